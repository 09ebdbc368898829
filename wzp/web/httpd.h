/* The operator's HTTP server: libmicrohttpd on threads of its own, on a Unix socket and, if wanted, a
 * loopback port. A request is handed to the owner's loop and answered from there, at once or later; HTTP
 * never runs on that loop. For the operator only: no TLS, no passwords; the socket's mode and the loopback
 * address are the protection, unless the pages are for everybody (tcp_may_be_remote). */
#ifndef WZP_WEB_HTTPD_H
#define WZP_WEB_HTTPD_H

#include <stdbool.h>
#include <stddef.h>

#include "wzp/base/addr.h"

struct wz_loop;
struct wz_httpd;
struct wz_httpd_request;

#define WZ_HTTPD_ERROR_MAX 256
/** Longest path, with its NUL; longer ones are answered 414. */
#define WZ_HTTPD_PATH_MAX 512
/** Longest request body; longer ones are answered 413. */
#define WZ_HTTPD_BODY_MAX_BYTES 65536
/** Connections at once on each listener, and so requests waiting for an answer. */
#define WZ_HTTPD_CONNECTIONS_MAX 32
/** A client that says nothing for so long is closed. */
#define WZ_HTTPD_TIMEOUT_S 10
/** Query parameters kept; further ones are ignored. */
#define WZ_HTTPD_QUERY_MAX 8

struct wz_httpd_config {
    const char *unix_path; /**< NULL: none. Mode 0600; a socket left behind by a dead process is replaced */
    struct wz_addr tcp;    /**< family NONE: none; loopback only; port 0: any */
    bool tcp_may_be_remote; /**< other addresses than loopback, too: for pages that anybody on that network may read */
    /** A complete request, on the owner's loop. Answer it with wz_httpd_reply(), here or later. */
    void (*handle)(void *arg, struct wz_httpd_request *request);
    void *arg;
};

/**
 * Open the listeners and start.
 *
 * @param loop   The owner's loop, where handle() runs.
 * @param error  On failure a sentence that names the address and the reason.
 * @return       0; -EADDRINUSE: another process serves there; -EINVAL: not loopback, or a path that is too
 * long; -EEXIST: the path is taken by something that is no socket; other negative errno.
 */
int wz_httpd_new(struct wz_httpd **ret, struct wz_loop *loop, const struct wz_httpd_config *config,
                 char error[static WZ_HTTPD_ERROR_MAX]);
/** Answer what is open with 503, stop, remove the socket file. NULL-safe. Thread: the owner's, outside
 * handle(). */
void wz_httpd_free(struct wz_httpd *httpd);
/** The TCP address, port filled in; family NONE without one. */
struct wz_addr wz_httpd_tcp_address(const struct wz_httpd *httpd);

/* The request, valid until it is answered. Thread: the owner's. */

/** "GET", "POST", ... */
const char *wz_httpd_method(const struct wz_httpd_request *request);
/** Percent-decoded, without the query. */
const char *wz_httpd_path(const struct wz_httpd_request *request);
/** A query parameter's value ("" when it has none), NULL when it is absent. */
const char *wz_httpd_query(const struct wz_httpd_request *request, const char *name);
/** The body; *ret_len is 0 without one. Not NUL-terminated. */
const char *wz_httpd_body(const struct wz_httpd_request *request, size_t *ret_len);

/**
 * Answer. The request must not be touched afterwards.
 *
 * @param content_type  A string literal.
 * @param body          malloc'd, ownership passes; NULL: empty.
 */
void wz_httpd_reply(struct wz_httpd_request *request, unsigned status, const char *content_type, char *body,
                    size_t body_len);

#endif
