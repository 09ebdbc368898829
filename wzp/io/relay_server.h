/* The relay as a server: wzp/core/relay on a QUIC endpoint and a loop. Used by wzp-relay and embedded in the
 * gateway. Thread: the loop's, but wzp_relay_server_stats(), _call_counts() and _call_flow(), which any
 * thread may call: they wait for at most one signalling step, and the datagram path never waits for them. */
#ifndef WZP_IO_RELAY_SERVER_H
#define WZP_IO_RELAY_SERVER_H

#include "wzp/core/relay.h"
#include "wzp/io/quic.h"

struct wzp_relay_server;

struct wzp_relay_server_config {
    struct wzp_relay_config relay;
    struct wz_addr listen;
};

/** Binds and serves. 0, or -EADDRINUSE, -EACCES, ... (the caller says which address). */
int wzp_relay_server_new(struct wzp_relay_server **ret, struct wz_loop *loop,
                         const struct wzp_relay_server_config *config);
void wzp_relay_server_free(struct wzp_relay_server *server);
struct wz_addr wzp_relay_server_local(const struct wzp_relay_server *server);
/** "0c:62:..." of the certificate it presents. */
const char *wzp_relay_server_tls_fingerprint(const struct wzp_relay_server *server);
const char *wzp_relay_server_fingerprint(const struct wzp_relay_server *server);
/** No new registrations, calls or plain rooms; connections are still taken, so that parties of answered calls
 * reach their room. drained() is called once, from the loop, when no call needs this relay any more. */
void wzp_relay_server_drain(struct wzp_relay_server *server, void (*drained)(void *arg), void *arg);

void wzp_relay_server_stats(struct wzp_relay_server *server, struct wzp_relay_stats *ret);
bool wzp_relay_server_call_counts(struct wzp_relay_server *server, const char *call_id,
                                  uint64_t ret_in_out[static 2]);
bool wzp_relay_server_call_flow(struct wzp_relay_server *server, const char *call_id,
                                struct wzp_relay_call_flow *ret);

#endif
