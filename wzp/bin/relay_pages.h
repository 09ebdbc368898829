/* The pages a relay serves over HTTP: /metrics, /healthz, /readyz. Read-only. Thread: the server's loop. */
#ifndef WZP_BIN_RELAY_PAGES_H
#define WZP_BIN_RELAY_PAGES_H

#include <stdbool.h>

#include "wzp/bin/relay_auth.h"
#include "wzp/io/relay_server.h"
#include "wzp/web/httpd.h"

struct relay_pages;

struct relay_pages_config {
    struct wz_addr listen; /**< any address; port 0: any */
    struct wzp_relay_server *server;
    const struct relay_auth *auth; /**< may be NULL */
};

/** 0, or that of wz_httpd_new() with its sentence in error. */
int relay_pages_new(struct relay_pages **ret, struct wz_loop *loop, const struct relay_pages_config *config,
                    char error[static WZ_HTTPD_ERROR_MAX]);
/** NULL-safe. */
void relay_pages_free(struct relay_pages *pages);
struct wz_addr relay_pages_address(const struct relay_pages *pages);
/** /readyz says no from now on. */
void relay_pages_set_draining(struct relay_pages *pages);

#endif
