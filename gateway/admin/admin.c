/* See admin.h. */
#include "gateway/admin/admin.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/admin/metrics.h"
#include "wzp/web/httpd.h"

#define OK                 200u
#define NOT_FOUND          404u
#define METHOD_NOT_ALLOWED 405u
#define INTERNAL_ERROR     500u
#define UNAVAILABLE        503u

static const char type_json[] = "application/json";

struct gw_admin {
    struct gw_admin_config config;
    struct wz_httpd *httpd;
};

/** An error page in JSON: every answer but the metrics is. */
static void reply_error(struct wz_httpd_request *request, unsigned status, const char *reason)
{
    json_t *json = json_pack("{s:s}", "error", reason);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    wz_httpd_reply(request, status, type_json, text, text ? strlen(text) : 0);
    json_decref(json);
}

/** Takes the reference. NULL: could not be made. */
static void reply_json(struct wz_httpd_request *request, unsigned status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (text)
        wz_httpd_reply(request, status, type_json, text, strlen(text));
    else
        reply_error(request, INTERNAL_ERROR, "the answer could not be made");
}

static void get_health(struct gw_admin *admin, struct wz_httpd_request *request, const char *rest)
{
    (void)rest;
    reply_json(request, OK, admin->config.source.health(admin->config.source.arg));
}

static void get_ready(struct gw_admin *admin, struct wz_httpd_request *request, const char *rest)
{
    json_t *health = admin->config.source.health(admin->config.source.arg);
    bool ready = json_is_true(json_object_get(health, "ready"));

    (void)rest;
    reply_json(request, ready ? OK : UNAVAILABLE, health);
}

static void get_stats(struct gw_admin *admin, struct wz_httpd_request *request, const char *rest)
{
    (void)rest;
    reply_json(request, OK, admin->config.source.stats(admin->config.source.arg));
}

static void get_metrics(struct gw_admin *admin, struct wz_httpd_request *request, const char *rest)
{
    json_t *stats = admin->config.source.stats(admin->config.source.arg);
    char *text = stats ? gw_metrics_text(stats, admin->config.metric_prefix) : NULL;

    (void)rest;
    json_decref(stats);
    if (text)
        wz_httpd_reply(request, OK, "text/plain; version=0.0.4", text, strlen(text));
    else
        reply_error(request, INTERNAL_ERROR, "the counters could not be read");
}

static void get_calls(struct gw_admin *admin, struct wz_httpd_request *request, const char *rest)
{
    (void)rest;
    reply_json(request, OK, admin->config.source.calls(admin->config.source.arg));
}

static void get_call(struct gw_admin *admin, struct wz_httpd_request *request, const char *id)
{
    json_t *call = admin->config.source.call(admin->config.source.arg, id);

    if (call)
        reply_json(request, OK, call);
    else
        reply_error(request, NOT_FOUND, "no such call");
}

static void get_users(struct gw_admin *admin, struct wz_httpd_request *request, const char *rest)
{
    (void)rest;
    reply_json(request, OK, admin->config.source.users(admin->config.source.arg));
}

/** A path that ends in "/" takes a name behind it. */
static const struct route {
    const char *path;
    void (*get)(struct gw_admin *admin, struct wz_httpd_request *request, const char *rest);
} routes[] = {
    { "/healthz", get_health }, { "/readyz", get_ready }, { "/metrics", get_metrics }, { "/stats", get_stats },
    { "/calls", get_calls },    { "/calls/", get_call },  { "/users", get_users },
};

/** *ret_rest is what follows a "/" route. */
static const struct route *find_route(const char *path, const char **ret_rest)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t len = strlen(routes[i].path);
        bool named = routes[i].path[len - 1] == '/';
        if (strncmp(path, routes[i].path, len) != 0 || (named ? path[len] == '\0' : path[len] != '\0'))
            continue;
        *ret_rest = path + len;
        return &routes[i];
    }
    return NULL;
}

static void handle(void *arg, struct wz_httpd_request *request)
{
    struct gw_admin *admin = arg;
    const char *rest;
    const char *method = wz_httpd_method(request);
    const struct route *route = find_route(wz_httpd_path(request), &rest);

    if (!route)
        reply_error(request, NOT_FOUND, "no such page");
    else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        reply_error(request, METHOD_NOT_ALLOWED, "this page can only be read");
    else
        route->get(admin, request, rest);
}

int gw_admin_new(struct gw_admin **ret, struct wz_loop *loop, const struct gw_admin_config *config,
                 char error[static GW_ADMIN_ERROR_MAX])
{
    struct gw_admin *admin = calloc(1, sizeof *admin);
    struct wz_httpd_config httpd = {
        .unix_path = config->socket_path, .tcp = config->http, .handle = handle, .arg = admin
    };
    int err;

    _Static_assert(GW_ADMIN_ERROR_MAX >= WZ_HTTPD_ERROR_MAX, "the server's sentence is passed on");
    if (!admin) {
        (void)snprintf(error, GW_ADMIN_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    admin->config = *config;
    admin->config.socket_path = NULL; /* was borrowed */
    err = wz_httpd_new(&admin->httpd, loop, &httpd, error);
    if (err) {
        free(admin);
        return err;
    }
    *ret = admin;
    return 0;
}

void gw_admin_free(struct gw_admin *admin)
{
    if (!admin)
        return;
    wz_httpd_free(admin->httpd);
    free(admin);
}

struct wz_addr gw_admin_http_address(const struct gw_admin *admin)
{
    return wz_httpd_tcp_address(admin->httpd);
}
