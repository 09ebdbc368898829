/* A small HTTP server for tests, on the test's loop: keeps each request as it came and answers what the test says,
 * holds it, or answers in another way than HTTP. Thread: the test's. */
#ifndef TESTS_SUPPORT_HTTP_PEER_H
#define TESTS_SUPPORT_HTTP_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "wzp/base/addr.h"
#include "wzp/rt/loop.h"

#define HTTP_PEER_CONNS       512
#define HTTP_PEER_REQUEST_MAX 16384

struct http_peer_conn {
    struct http_peer *peer;
    struct wz_io io;
    int fd; /**< -1: free */
    size_t len;
    char data[HTTP_PEER_REQUEST_MAX + 1];
};

struct http_peer {
    struct wz_loop *loop;
    struct wz_io io;
    int fd;
    struct wz_addr addr;
    /** The bytes to answer request (headers and body, NUL-terminated) with, malloc'd; NULL: hold it for ever. */
    char *(*answer)(void *arg, const char *request);
    void *arg;
    size_t requests;
    char last[HTTP_PEER_REQUEST_MAX + 1]; /**< the last whole request */
    struct http_peer_conn conn[HTTP_PEER_CONNS];
};

/** Listen on loopback; peer is large: allocate it. 0 or -errno. */
int http_peer_start(struct http_peer *peer, struct wz_loop *loop, char *(*answer)(void *arg, const char *request),
                    void *arg);
void http_peer_stop(struct http_peer *peer);
/** "HTTP/1.1 STATUS ..." with body, malloc'd. */
char *http_peer_reply(unsigned status, const char *body);

#endif
