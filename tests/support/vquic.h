/* QUIC on the simulated network, message by message: a dial sends its first packet again and again with back-off, so that
 * two ends behind NATs open them for each other as in life; messages are acknowledged, repeated and delivered in order,
 * datagrams may be lost. A server follows its client to a new address, a client does not follow. Connections are kept
 * alive every 5 s and die after 30 s of silence. Ids: each end has one, never used again. */
#ifndef TESTS_SUPPORT_VQUIC_H
#define TESTS_SUPPORT_VQUIC_H

#include "tests/support/vnet.h"
#include "wzp/core/client.h"
#include "wzp/core/handshake.h"

#define VQUIC_IDLE_MS      30000u
#define VQUIC_KEEPALIVE_MS 5000u
#define VQUIC_HANDSHAKE_MS 10000u

struct vquic_end;

/** connected: the handshake is complete, on either side. Nothing is told of an end after closed, or after the owner
 *  closed it. */
struct vquic_handlers {
    void (*connected)(void *owner, struct vquic_end *end);
    void (*message)(void *owner, struct vquic_end *end, struct wz_bytes body);
    void (*datagram)(void *owner, struct vquic_end *end, struct wz_bytes data);
    void (*closed)(void *owner, struct vquic_end *end, const char *reason);
};

enum vquic_accept {
    VQUIC_REFUSE, /**< not a server: no answer */
    VQUIC_HOLD,   /**< nobody accepts at present: the dialler waits */
    VQUIC_ACCEPT,
};

/** A UDP socket with QUIC on it. The memory is the caller's, and must outlive the network. */
struct vquic_endpoint {
    struct vquic *quic;
    struct vnet_socket socket;
    struct vquic_handlers handlers;
    void *owner;
    enum vquic_accept accept;
    bool open;
};

enum vquic_state { VQUIC_NONE, VQUIC_HELD, VQUIC_HANDSHAKE, VQUIC_UP, VQUIC_CLOSED };

struct vquic_end {
    struct vquic_conn *conn;
    struct vquic_endpoint *endpoint;
    enum vquic_state state;
    bool is_server;
    uint64_t id;
    struct wz_addr remote;
    void *user; /**< the owner's */
    /* vquic.c's: */
    uint64_t next_seq, wanted_seq; /**< of messages, from 1 */
    struct wz_list unacked, early;
    uint64_t rtt_us, pto_at_us, heard_us, ping_at_us, begun_us, closing_until_us, not_before_us;
    unsigned backoff;
    struct vnet_timer timer;
    char reason[64];
};

struct vquic_conn {
    struct wz_list node;
    struct vquic *quic;
    char sni[WZP_CLIENT_SNI_SIZE];
    bool is_direct;                                 /**< dialled past the relay */
    uint8_t exporter[2][WZP_DIRECT_EXPORTER_BYTES]; /**< of the client and of the server: the same */
    struct vquic_end client, server;
};

struct vquic {
    struct vnet *net;
    struct wz_list conns;
    uint64_t last_id;
    size_t end_size;
    struct vquic_end **end; /**< by id */
    bool man_in_the_middle; /**< of direct connections dialled from now on: the two ends share no secret */
};

void vquic_init(struct vquic *quic, struct vnet *net);
void vquic_done(struct vquic *quic);

void vquic_open(struct vquic *quic, struct vquic_endpoint *endpoint, struct vnet_host *host, uint16_t port);
/** Accept from now on, or not; connections that were held are answered. */
void vquic_set_accept(struct vquic_endpoint *endpoint, enum vquic_accept accept);
/** The process is gone: nothing is said and nothing is told. */
void vquic_kill(struct vquic_endpoint *endpoint);
/** Close all connections, then the socket. Nothing is told. */
void vquic_shut(struct vquic_endpoint *endpoint, const char *reason);

struct vquic_end *vquic_dial(struct vquic_endpoint *endpoint, const struct wz_addr *to, const char *sni,
                             bool is_direct);
/** A packet that is none of QUIC: it opens NATs, and nobody reads it. */
void vquic_knock(struct vquic_endpoint *endpoint, const struct wz_addr *to, struct wz_bytes data);
void vquic_send(struct vquic_end *end, struct wz_bytes body);
void vquic_send_datagram(struct vquic_end *end, struct wz_bytes data);
/** Our side is over at once; the other learns of it as far as the network lets it. Nothing is told. */
void vquic_close(struct vquic_end *end, const char *reason);

struct vquic_end *vquic_end_by_id(const struct vquic *quic, uint64_t id);
struct vquic_end *vquic_other(struct vquic_end *end);
/** Handshake done and not closed, on this side. */
bool vquic_is_up(const struct vquic_end *end);
const uint8_t *vquic_exporter(const struct vquic_end *end);
/** Ends of this endpoint that are not closed. */
size_t vquic_open_ends(const struct vquic_endpoint *endpoint);

#endif
