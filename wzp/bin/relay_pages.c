#include "wzp/bin/relay_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/bin/relay_metrics.h"

struct relay_pages {
    struct wz_httpd *httpd;
    struct wzp_relay_server *server;
    const struct relay_auth *auth;
    bool is_draining;
};

static void reply_text(struct wz_httpd_request *request, unsigned status, const char *text)
{
    char *copy = strdup(text);
    wz_httpd_reply(request, copy ? status : 500, "text/plain", copy, copy ? strlen(copy) : 0);
}

static void reply_metrics(struct relay_pages *pages, struct wz_httpd_request *request)
{
    size_t len = 0;
    char *text = relay_metrics_text(pages->server, pages->auth, &len);
    wz_httpd_reply(request, text ? 200 : 500, "text/plain; version=0.0.4; charset=utf-8", text, len);
}

static void handle(void *arg, struct wz_httpd_request *request)
{
    struct relay_pages *pages = arg;
    const char *method = wz_httpd_method(request), *path = wz_httpd_path(request);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        reply_text(request, 405, "read-only\n");
    else if (strcmp(path, "/metrics") == 0)
        reply_metrics(pages, request);
    else if (strcmp(path, "/healthz") == 0)
        reply_text(request, 200, "ok\n");
    else if (strcmp(path, "/readyz") == 0)
        reply_text(request, pages->is_draining ? 503 : 200, pages->is_draining ? "draining\n" : "ok\n");
    else
        reply_text(request, 404, "/metrics /healthz /readyz\n");
}

int relay_pages_new(struct relay_pages **ret, struct wz_loop *loop, const struct relay_pages_config *config,
                    char error[static WZ_HTTPD_ERROR_MAX])
{
    struct relay_pages *pages = calloc(1, sizeof *pages);
    if (!pages) {
        (void)strcpy(error, "out of memory");
        return -ENOMEM;
    }
    const struct wz_httpd_config httpd = {
        .tcp = config->listen, .tcp_may_be_remote = true, .handle = handle, .arg = pages
    };
    pages->server = config->server;
    pages->auth = config->auth;
    const int err = wz_httpd_new(&pages->httpd, loop, &httpd, error);
    if (err) {
        free(pages);
        return err;
    }
    *ret = pages;
    return 0;
}

void relay_pages_free(struct relay_pages *pages)
{
    if (!pages)
        return;
    wz_httpd_free(pages->httpd);
    free(pages);
}

struct wz_addr relay_pages_address(const struct relay_pages *pages)
{
    return wz_httpd_tcp_address(pages->httpd);
}

void relay_pages_set_draining(struct relay_pages *pages)
{
    pages->is_draining = true;
}
