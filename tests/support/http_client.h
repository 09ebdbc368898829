/* A plain HTTP client on a test's own loop: sends bytes, collects what comes back until the server closes. */
#ifndef TESTS_SUPPORT_HTTP_CLIENT_H
#define TESTS_SUPPORT_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "wzp/base/addr.h"
#include "wzp/rt/loop.h"

#define HTTP_CLIENT_MAX 131072

struct http_client {
    struct wz_loop *loop;
    struct wz_io io;
    int fd;
    bool closed; /**< by the server */
    size_t len;
    char data[HTTP_CLIENT_MAX]; /**< NUL-terminated */
};

/** Connect to a Unix socket (path) or, path NULL, to addr, and send. 0 or -errno. */
int http_client_open(struct http_client *client, struct wz_loop *loop, const char *path,
                     const struct wz_addr *addr, const char *request, size_t len);
void http_client_close(struct http_client *client);
/** Turn the loop until the server has closed. False after ten seconds. */
bool http_client_wait(struct http_client *client);
/** 0 when there is no answer. */
unsigned http_client_status(const struct http_client *client);
/** What follows the headers, "" when there is none. */
const char *http_client_body(const struct http_client *client);
/** open, wait, close: "METHOD PATH" without a body over a Unix socket. Returns the status, 0 without an
 * answer. */
unsigned http_client_get(struct http_client *client, struct wz_loop *loop, const char *path,
                         const char *method_and_path);

#endif
