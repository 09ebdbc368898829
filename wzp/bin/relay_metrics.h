/* What a relay counts, as Prometheus text: the reference's names where the meaning is the same, our own beside them;
 * what this relay does not do (links, probes, a jitter buffer) has no number. docs/relay.md lists them. */
#ifndef WZP_BIN_RELAY_METRICS_H
#define WZP_BIN_RELAY_METRICS_H

#include <stddef.h>

#include "wzp/bin/relay_auth.h"
#include "wzp/io/relay_server.h"

/** Sessions listed one by one; a room of hundreds needs no line for each. */
#define RELAY_METRICS_SESSIONS_MAX 1000

/** auth may be NULL. The text is malloc'd; NULL without memory. Thread: the server's. */
char *relay_metrics_text(struct wzp_relay_server *server, const struct relay_auth *auth, size_t *ret_len);

#endif
