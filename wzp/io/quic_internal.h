/* What the files of the QUIC endpoint share. Private to wzp/io (and to tests that must look inside).
 *
 *   quic.c           endpoint: start, stop, dirty list, one flush per turn
 *   quic_accept.c    received packets: STUN, connection ids, new connections, Retry, stateless answers
 *   quic_conn.c      connection: ngtcp2 callbacks, timer, accessors
 *   quic_close.c     how a connection ends: close, error, drain
 *   quic_write.c     what leaves: the packet loop
 *   quic_stream.c    framed messages on streams
 *   quic_datagram.c  datagram queue and buffer pool
 *   quic_memory.c    where ngtcp2's blocks come from
 *   quic_tls.c       GnuTLS
 *
 * Rules: ngtcp2 is never entered for a connection that is already inside it. Public functions that a handler may call
 * only queue work and mark the connection dirty; streams are opened, packets written and connections closed from the
 * flush, or when the outermost call on the connection has returned (conn->busy). */
#ifndef WZP_IO_QUIC_INTERNAL_H
#define WZP_IO_QUIC_INTERNAL_H

#include <sys/socket.h>

#include "wzp/base/hash.h"
#include "wzp/base/list.h"
#include "wzp/io/quic.h"
#include "wzp/io/quic_compat.h"
#include "wzp/io/quic_memory.h"
#include "wzp/io/quic_tls.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/udp.h"

#define QUIC_CID_BYTES 8
/** Largest packet we send: 1500 less IPv6 and UDP headers. */
#define QUIC_PACKET_MAX 1452
/** Longest close reason we send or report. */
#define QUIC_REASON_MAX   96
#define QUIC_SECRET_BYTES 32

/** Datagrams that wait per connection; a power of two. */
#define QUIC_DATAGRAM_QUEUE 256u
/** Pool of shared datagram buffers: grown by slabs, never shrunk, at most this many buffers per endpoint. */
#define QUIC_BUFFER_SLAB 64u
#define QUIC_BUFFERS_MAX 32768u

/** Messages. */
#define QUIC_MESSAGE_MAX_BYTES (1024u * 1024u)
#define QUIC_UNI_MAX_BYTES     4096u
/** Bytes of messages that arrived before their turn; a further one is reset. */
#define QUIC_HELD_MAX_BYTES (1024u * 1024u)
/** Bytes queued for sending or not acknowledged. */
#define QUIC_UNSENT_MAX_BYTES (4u * 1024u * 1024u)

/* Transport parameters (docs/wzp-wire.md "Transport parameters"). */
#define QUIC_MAX_DATA        262144u
#define QUIC_MAX_STREAM_DATA 65536u
#define QUIC_MAX_STREAMS     100u
#define QUIC_MAX_DATAGRAM    65535u
#define QUIC_ACTIVE_CIDS     5u

/** Media needs few acknowledgements, and each is a packet of its own at 50 packets a second. Fewer than the ten packets
 *  of an initial congestion window, so that a bulk sender never waits for the delay. */
#define QUIC_ACK_EVERY_PACKETS 8u

/** A datagram shared by the queues of all its receivers. */
struct quic_buffer {
    struct quic_buffer *next_free;
    uint32_t refs;
    uint32_t len;
    uint8_t data[QUIC_PACKET_MAX];
};

struct quic_buffer_pool {
    struct quic_buffer *free;
    struct quic_buffer_slab *slabs;
    size_t total;
};

/** A connection id, or the token of a stateless reset, that leads to a connection. */
struct quic_cid {
    struct wz_hash_node node;
    struct wz_hash *map; /**< quic->cids or quic->tokens */
    struct wz_list of_conn;
    struct wzp_quic_conn *conn;
    uint8_t len;
    uint8_t data[NGTCP2_MAX_CIDLEN];
};

struct wzp_quic {
    struct wz_loop *loop;
    struct wz_udp *udp;
    struct wz_flush flush;
    struct wz_rng rng;
    struct quic_tls tls;
    struct wzp_quic_handlers handlers; /**< for accepted connections */
    void *arg;
    void (*stun)(void *arg, struct wz_bytes packet, const struct wz_addr *from, const struct wz_addr *local);
    void *stun_arg;
    struct wz_hash cids;
    struct quic_cid *last_cid; /**< of the packet before: bursts of one peer arrive together */
    struct wz_hash tokens;     /**< a stateless reset carries a random id; its last 16 bytes say whose it is */
    struct wz_list conns;      /**< all, those that only remember a close included */
    struct wz_list dirty;      /**< have something to write */
    struct quic_buffer_pool pool;
    struct quic_memory memory;
    uint8_t secret[QUIC_SECRET_BYTES]; /**< stateless reset and Retry tokens */
    unsigned max_connections, max_handshakes;
    unsigned idle_ms, keepalive_ms, handshake_ms;
    unsigned accepted_now;   /**< accepted connections that are not closed */
    unsigned handshakes_now; /**< those of them whose handshake is unfinished */
    unsigned rx_since_flush;
    bool accepting, stopping;
    struct wzp_quic_stats stats;
};

enum quic_conn_state {
    QUIC_CONN_HANDSHAKE,
    QUIC_CONN_UP,
    QUIC_CONN_CLOSED, /**< closed() was called; only ids and the close packet are left, for 3 PTO */
};

struct wzp_quic_conn {
    struct wzp_quic *quic;
    ngtcp2_conn *qc;
    struct quic_tls_session tls;
    enum quic_conn_state state;
    bool server;
    bool announced;  /**< the owner knows this connection, so closed() is due */
    bool counted;    /**< in accepted_now */
    bool reset_seen; /**< a stateless reset arrived */
    bool close_wanted;
    unsigned busy; /**< depth of calls inside ngtcp2 or a handler on this connection */
    int fatal;     /**< an ngtcp2 error to act on when busy drops to 0 */
    char close_reason[QUIC_REASON_MAX];

    struct wzp_quic_handlers handlers;
    void *arg;

    struct wz_list node;       /**< quic->conns */
    struct wz_list dirty_node; /**< quic->dirty, or empty */
    struct wz_list cids;       /**< struct quic_cid.of_conn */
    struct wz_timer timer;
    uint64_t quiet_since_us; /**< when the oldest of quiet_packets came */
    unsigned quiet_packets;  /**< received, perhaps not acknowledged, and nothing to write but that */

    struct wz_addr remote, local;
    struct sockaddr_storage remote_sa, local_sa; /**< the same, as ngtcp2 keeps them */
    socklen_t sa_len;

    /* quic_datagram.c */
    struct quic_buffer **queue; /**< QUIC_DATAGRAM_QUEUE entries, made on first use */
    unsigned queue_head, queue_tail;
    size_t max_datagram; /**< refreshed before each write */

    /* quic_stream.c */
    struct wz_list streams;  /**< struct quic_stream.node: every stream that ngtcp2 or we know */
    struct wz_list tx_ready; /**< struct quic_stream.tx_node: something to write */
    struct wz_list rx_order; /**< struct quic_stream.rx_node: undelivered, ascending id */
    int64_t rx_next_id;      /**< the message to deliver next */
    size_t held_bytes;       /**< of messages that arrived before their turn */
    size_t unsent_bytes;

    /* quic_close.c */
    uint8_t *close_packet;
    size_t close_packet_len;
    unsigned close_asked; /**< packets that arrived since */

    struct wzp_quic_conn_stats stats;
};

static inline uint64_t quic_now_ns(const struct wzp_quic *quic)
{
    return wz_loop_now_us(quic->loop) * NGTCP2_MICROSECONDS;
}

/* quic.c */
void quic_mark_dirty(struct wzp_quic_conn *conn);
/** Write what every dirty connection has; called by the flush, and within long receive batches. */
void quic_flush_dirty(struct wzp_quic *quic);

/* quic_accept.c */
void quic_on_packet(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local);
/** RFC 8489 header, cookie and length: not a QUIC packet whose fixed bit was greased away. */
bool quic_is_stun(struct wz_bytes packet);

/* quic_conn.c */
/** A connection of either role. hd NULL: client, and dial is given. retry_odcid: after a Retry. 0, -EINVAL, -ENOMEM. */
int quic_conn_new(struct wzp_quic_conn **ret, struct wzp_quic *quic, const struct wzp_quic_dial *dial,
                  const ngtcp2_pkt_hd *hd, const ngtcp2_cid *retry_odcid, const struct wz_addr *remote,
                  const struct wz_addr *local);
/** Unlink and free; nobody is told. */
void quic_conn_free(struct wzp_quic_conn *conn);
/** Feed one packet. The connection may be closed (not freed) afterwards. */
void quic_conn_read(struct wzp_quic_conn *conn, const uint8_t *data, size_t len, const struct wz_addr *from,
                    const struct wz_addr *local);
/** map: quic->cids or quic->tokens. 0, -EEXIST, -EINVAL, -ENOMEM. */
int quic_conn_add_cid(struct wzp_quic_conn *conn, struct wz_hash *map, const uint8_t *data, size_t len);
/** Enter and leave: the outermost leave acts on close_wanted and fatal. */
void quic_conn_enter(struct wzp_quic_conn *conn);
void quic_conn_leave(struct wzp_quic_conn *conn);
/** Handlers may be called: the connection is not closed and nobody asked for it. */
static inline bool quic_conn_is_open(const struct wzp_quic_conn *conn)
{
    return conn->state != QUIC_CONN_CLOSED && !conn->close_wanted;
}

/* quic_write.c */
/** Write and arm the timer; a failure ends the connection. */
void quic_conn_write(struct wzp_quic_conn *conn);
/** Write only. 0 or an ngtcp2 error; the caller is between enter and leave. */
int quic_conn_write_packets(struct wzp_quic_conn *conn);
void quic_conn_arm_timer(struct wzp_quic_conn *conn);
/** A packet was read: write in this turn's flush if there is a reason to, or later, together with something else.
 *  is_media: it brought a datagram; others may have opened a window or ended a path MTU probe. */
void quic_conn_write_after_read(struct wzp_quic_conn *conn, bool is_media);
/** When the timer should fire; UINT64_MAX: never. */
uint64_t quic_conn_deadline_us(const struct wzp_quic_conn *conn);

/* quic_close.c */
/** Write what waits, then say goodbye with code 0 and conn->close_reason. */
void quic_conn_close_now(struct wzp_quic_conn *conn);
/** An ngtcp2 function failed with liberr. */
void quic_conn_fail(struct wzp_quic_conn *conn, int liberr);
/** A packet for a closed connection arrived. */
void quic_conn_answer_closed(struct wzp_quic_conn *conn);

/* quic_stream.c */
void quic_streams_init(struct wzp_quic_conn *conn);
void quic_streams_free(struct wzp_quic_conn *conn);
void quic_streams_set_callbacks(ngtcp2_callbacks *cb);
/** prefix + body + FIN on a new stream, whatever they are. 0, -ENOTCONN, -ENOBUFS, -ENOMEM. */
int quic_send_on_stream(struct wzp_quic_conn *conn, bool uni, struct wz_bytes prefix, struct wz_bytes body);
/** Open queued streams as far as the peer allows. Not in the middle of a packet. */
void quic_streams_open(struct wzp_quic_conn *conn);
/** Add stream data to the packet that is being built. NGTCP2_ERR_WRITE_MORE: call again; else as
 *  ngtcp2_conn_writev_stream(). *ret_more: false when no stream has anything that could be written in this pass. */
ngtcp2_ssize quic_streams_write(struct wzp_quic_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *pi, uint8_t *buf,
                                ngtcp2_tstamp ts, bool *ret_more);

/* quic_datagram.c */
void quic_datagrams_set_callbacks(ngtcp2_callbacks *cb);
void quic_datagrams_free(struct wzp_quic_conn *conn);
static inline bool quic_datagrams_wait(const struct wzp_quic_conn *conn)
{
    return conn->queue_head != conn->queue_tail;
}
/** Note what the path takes now and drop what it does not take any more. Not in the middle of a packet. */
void quic_datagrams_refresh(struct wzp_quic_conn *conn);
void quic_datagrams_drop_oldest(struct wzp_quic_conn *conn);
/** Add the oldest datagram to the packet that is being built. Returns as ngtcp2_conn_writev_datagram(). */
ngtcp2_ssize quic_datagrams_write(struct wzp_quic_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *pi, uint8_t *buf,
                                  ngtcp2_tstamp ts);
void quic_pool_done(struct quic_buffer_pool *pool);

#endif
