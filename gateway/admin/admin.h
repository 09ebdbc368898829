/* What the operator may ask over HTTP: a table of routes in front of callbacks that produce JSON.
 *
 *   GET /healthz      200 while the control thread answers
 *   GET /readyz       200 or 503 by "ready"
 *   GET /metrics      the numbers of /stats for Prometheus
 *   GET /stats        every counter
 *   GET /users        SIP users with their fingerprints
 *   GET /calls        live and recent calls
 *   GET /calls/<id>   one with its ladder; "last" too
 *
 * Thread: the control thread's, callbacks included. */
#ifndef GATEWAY_ADMIN_ADMIN_H
#define GATEWAY_ADMIN_ADMIN_H

#include "wzp/base/addr.h"

struct json_t;
struct wz_loop;
struct gw_admin;

#define GW_ADMIN_ERROR_MAX 256

/** Each returns a new reference, or NULL: unknown (call), out of memory (the others). arg comes first. */
struct gw_admin_source {
    struct json_t *(*health)(void *arg); /**< an object with at least "ready": true or false */
    struct json_t *(*stats)(void *arg);  /**< an object; its numbers and switches become metrics */
    struct json_t *(*calls)(void *arg);
    struct json_t *(*call)(void *arg, const char *id);
    struct json_t *(*users)(void *arg);
    void *arg;
};

struct gw_admin_config {
    const char *socket_path;   /**< borrowed for the call */
    struct wz_addr http;       /**< loopback, or family NONE */
    const char *metric_prefix; /**< "wzp_gateway"; a string literal */
    struct gw_admin_source source;
};

/** Open the socket and the port and serve. error: on failure a sentence. Errors as wz_httpd_new(). */
int gw_admin_new(struct gw_admin **ret, struct wz_loop *loop, const struct gw_admin_config *config,
                 char error[static GW_ADMIN_ERROR_MAX]);
/** NULL-safe. */
void gw_admin_free(struct gw_admin *admin);
/** Of the TCP listener, port filled in. */
struct wz_addr gw_admin_http_address(const struct gw_admin *admin);

#endif
