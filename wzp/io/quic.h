/* QUIC for WZP: one UDP socket, many connections, client and server at once, STUN beside it.
 * ngtcp2 and GnuTLS stay inside wzp/io. Spec: docs/wzp-wire.md "QUIC"; RFC 9000, 9221.
 * Thread: the loop's. A handler may close connections and send; it must not free the endpoint. */
#ifndef WZP_IO_QUIC_H
#define WZP_IO_QUIC_H

#include <stdbool.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/base/rng.h"

struct wz_loop;
struct wzp_quic;
struct wzp_quic_conn;

enum wzp_quic_end {
    WZP_QUIC_END_LOCAL,   /**< wzp_quic_close() */
    WZP_QUIC_END_PEER,    /**< the peer closed; reason is its text */
    WZP_QUIC_END_IDLE,    /**< 30 s without a packet, or the handshake did not finish in time */
    WZP_QUIC_END_REFUSED, /**< TLS alert or transport error during the handshake */
    WZP_QUIC_END_ERROR,   /**< protocol error by the peer, or ours */
    WZP_QUIC_END_RESET,   /**< stateless reset: the peer lost its state */
};

struct wzp_quic_closed {
    enum wzp_quic_end end;
    uint64_t code;
    const char *reason; /**< cleaned for logs, never NULL; borrowed for the call */
};

/** All are optional. arg is the endpoint's for accepted connections until wzp_quic_conn_set_handlers(). */
struct wzp_quic_handlers {
    /** The handshake is complete (both roles). For accepted connections this is the first call. */
    void (*connected)(void *arg, struct wzp_quic_conn *conn);
    /** One whole framed message (u32 length + body) on a bidirectional stream, in stream-id order. body borrowed. */
    void (*message)(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body);
    /** All of a unidirectional stream up to its FIN (at most 4096 bytes). */
    void (*uni)(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body);
    void (*datagram)(void *arg, struct wzp_quic_conn *conn, struct wz_bytes data);
    /** Exactly once per connection that was returned or announced; the pointer is dead when this returns. */
    void (*closed)(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why);
};

struct wzp_quic_config {
    struct wz_addr bind;
    /** Certificate and PKCS#8 key (DER) for the server role; both empty: a throw-away P-256 certificate is made
     *  on first use when `accept` is set. Borrowed for wzp_quic_new() only. */
    struct wz_bytes cert_der, key_der;
    bool accept;                       /**< take inbound connections */
    unsigned max_connections;          /**< accepted ones; 0: 20000 */
    unsigned max_handshakes;           /**< unfinished accepted ones before Retry is demanded; 0: 256 */
    unsigned idle_ms;                  /**< 0: 30000 */
    unsigned keepalive_ms;             /**< 0: 5000; accepted connections wait half as long again */
    unsigned handshake_ms;             /**< 0: 10000 */
    struct wzp_quic_handlers handlers; /**< for accepted connections */
    void *arg;
    /** A STUN packet (RFC 8489 header, cookie and length right) arrived on the socket. NULL: dropped. */
    void (*stun)(void *arg, struct wz_bytes packet, const struct wz_addr *from, const struct wz_addr *local);
    void *stun_arg;
    const struct wz_rng *rng;
};

struct wzp_quic_stats {
    uint64_t accepted, dialled, handshake_failed, retried, stateless_resets, stun_packets, bad_packets, refused_full;
    uint64_t datagrams_rx, datagrams_tx, datagrams_dropped; /**< dropped: own queue full (oldest goes) or too big */
    uint64_t messages_rx, messages_tx, streams_reset;       /**< reset: over-long or broken frame */
};

int wzp_quic_new(struct wzp_quic **ret, struct wz_loop *loop, const struct wzp_quic_config *config);
/** Close every connection ("shutdown"), send the close packets, free. closed() is called for each. */
void wzp_quic_free(struct wzp_quic *quic);
/** The bound address, port filled in. */
struct wz_addr wzp_quic_local(const struct wzp_quic *quic);
const struct wzp_quic_stats *wzp_quic_stats(const struct wzp_quic *quic);
/** Send a raw packet (STUN) from the endpoint's socket. */
int wzp_quic_send_raw(struct wzp_quic *quic, struct wz_bytes packet, const struct wz_addr *to);
/** Refuse new inbound connections from now on (drain). */
void wzp_quic_stop_accepting(struct wzp_quic *quic);

struct wzp_quic_dial {
    struct wz_addr to;
    const char *sni;                          /**< lower-case, DNS-legal; copied */
    unsigned initial_rtt_ms;                  /**< 0: 300; direct paths use 100 */
    const struct wzp_quic_handlers *handlers; /**< borrowed as long as the connection lives */
    void *arg;
};
/** Start a connection. closed() tells of failure; connected() of success; neither is called before this returns.
 *  0, -EINVAL (address, SNI, endpoint is stopping), -ENOMEM. */
int wzp_quic_connect(struct wzp_quic *quic, const struct wzp_quic_dial *dial, struct wzp_quic_conn **ret);

/** Hand an accepted connection to its owner. handlers borrowed as long as the connection lives. */
void wzp_quic_conn_set_handlers(struct wzp_quic_conn *conn, const struct wzp_quic_handlers *handlers, void *arg);
/** The SNI, lower-cased; "default" when the client sent none or an IP literal. Lives as long as the connection. */
const char *wzp_quic_conn_sni(const struct wzp_quic_conn *conn);
struct wz_addr wzp_quic_conn_remote(const struct wzp_quic_conn *conn);
/** The local address the connection runs on (pktinfo), port filled in. */
struct wz_addr wzp_quic_conn_local(const struct wzp_quic_conn *conn);
bool wzp_quic_conn_is_server(const struct wzp_quic_conn *conn);
bool wzp_quic_conn_is_up(const struct wzp_quic_conn *conn);
/** SHA-256 of the peer's certificate DER (client role); false before the handshake. */
bool wzp_quic_conn_peer_cert_hash(const struct wzp_quic_conn *conn, uint8_t ret[static 32]);
/** TLS exporter (RFC 8446 7.5), no context. 0 or -EAGAIN before the handshake is complete. */
int wzp_quic_conn_export(const struct wzp_quic_conn *conn, const char *label, uint8_t *ret, size_t len);

/** One framed message on a new bidirectional stream: prefix + body + FIN. Copies body.
 *  0; -EMSGSIZE (over 1 MiB); -ENOTCONN (closing); -ENOBUFS (over 4 MiB not acknowledged: the peer does not
 *  read); -ENOMEM. Before the handshake it waits. */
int wzp_quic_send_message(struct wzp_quic_conn *conn, struct wz_bytes body);
/** Raw bytes + FIN on a new unidirectional stream (the `version` answer). */
int wzp_quic_send_uni(struct wzp_quic_conn *conn, struct wz_bytes body);
/** Queue one datagram (copied). A full queue drops its oldest, counted. 0; -EMSGSIZE; -ENOTCONN. */
int wzp_quic_send_datagram(struct wzp_quic_conn *conn, struct wz_bytes data);
/** Queue one datagram to many connections: one shared buffer. Entries may be NULL or closing: skipped.
 *  Returns how many took it. */
size_t wzp_quic_send_datagram_all(struct wzp_quic_conn *const *conns, size_t count, struct wz_bytes data);
/** Largest datagram the path takes now (0 before the handshake). */
size_t wzp_quic_conn_max_datagram(const struct wzp_quic_conn *conn);

/** Close with application code 0 and this reason. closed(END_LOCAL) is called before this returns, unless
 *  called inside a handler of the same connection: then right after that handler. Idempotent. */
void wzp_quic_close(struct wzp_quic_conn *conn, const char *reason);

struct wzp_quic_conn_stats {
    uint64_t datagrams_rx, datagrams_tx, datagrams_dropped;
    uint64_t packets_tx, packets_lost;
    uint32_t rtt_us, min_rtt_us;
};
void wzp_quic_conn_stats(const struct wzp_quic_conn *conn, struct wzp_quic_conn_stats *ret);

#endif
