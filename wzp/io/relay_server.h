/* The relay as a server: wzp/core/relay on a QUIC endpoint and a loop. Used by wzp-relay and embedded in the
 * gateway. Thread: the loop's, but wzp_relay_server_stats() and _call_flow(), which any thread may
 * call: they wait for at most one signalling step, and the datagram path never waits for them. */
#ifndef WZP_IO_RELAY_SERVER_H
#define WZP_IO_RELAY_SERVER_H

#include "wzp/core/relay.h"
#include "wzp/io/quic.h"

struct wzp_relay_server;

struct wzp_relay_server_config {
    struct wzp_relay_config relay;
    struct wz_addr listen;
    unsigned max_handshakes; /**< unfinished ones before each address must prove itself (QUIC Retry); 0: 256 */
    const char *debug_tap;   /**< a room's name or "*": log its packets' headers; NULL: none */
    /** With relay.require_token: ask about the token of conn, answer later with wzp_relay_server_token_checked().
     *  Negative: it is refused. */
    int (*check_token)(void *arg, uint64_t conn, struct wz_bytes token);
    void *arg;
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

/** The verdict on conn's token; see wzp_relay_token_checked(). Not from inside check_token(). */
void wzp_relay_server_token_checked(struct wzp_relay_server *server, uint64_t conn, bool is_valid,
                                    const char *fingerprint, const char *alias);
/** Change the debug tap. 0, or negative errno: no name of a room. */
int wzp_relay_server_set_tap(struct wzp_relay_server *server, const char *room);
/** Counters of the endpoint. Thread: the loop's. */
const struct wzp_quic_stats *wzp_relay_server_quic_stats(const struct wzp_relay_server *server);
/** Thread: the loop's. */
void wzp_relay_server_each_session(struct wzp_relay_server *server,
                                   void (*visit)(void *arg, const struct wzp_relay_session_view *view), void *arg);

void wzp_relay_server_stats(struct wzp_relay_server *server, struct wzp_relay_stats *ret);
bool wzp_relay_server_call_flow(struct wzp_relay_server *server, const char *call_id, struct wzp_relay_call_flow *ret);

#endif
