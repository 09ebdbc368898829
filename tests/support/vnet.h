/* A simulated network in virtual time: timers, hosts behind NATs, packets with delay and loss. Whatever is random comes
 * from one generator, and whatever happens is hashed into `trace`: the same seed gives the same run. What travels are the
 * packets of tests/support/vquic.h. */
#ifndef TESTS_SUPPORT_VNET_H
#define TESTS_SUPPORT_VNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/client_world.h"
#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/base/list.h"

#define VNET_NEVER       UINT64_MAX
#define VNET_NAT_IDLE_MS 30000u /**< a mapping, or a hole in it, without traffic for so long is gone */

struct vnet;
struct vquic_conn;

/** Fires once after it was set, at want_us; may be set again at any time. Lives as long as the network. */
struct vnet_timer {
    uint64_t want_us, armed_us;
    void (*due)(void *arg);
    void *arg;
};

enum vnet_nat_kind {
    VNET_OPEN,      /**< no NAT, no filter */
    VNET_FULL_CONE, /**< one mapping for all, open for all */
    VNET_CONE,      /**< one mapping for all, open for whom was sent to: address and port */
    VNET_SYMMETRIC, /**< a mapping for each destination, open for it alone */
    VNET_FIREWALL,  /**< no translation, open for whom was sent to */
};
const char *vnet_nat_name(enum vnet_nat_kind kind);

struct vnet_mapping;

struct vnet_nat {
    struct vnet *net;
    struct wz_list node;
    enum vnet_nat_kind kind;
    struct wz_addr public_ip; /**< port 0; FIREWALL: none */
    uint16_t next_port;
    size_t count, size;
    struct vnet_mapping *mapping;
};

struct vnet_host {
    struct vnet *net;
    struct wz_list node, sockets;
    struct wz_addr v4, v6;     /**< port 0; family NONE: has none */
    struct vnet_nat *nat;      /**< of IPv4; OPEN: v4 is public */
    struct vnet_nat *firewall; /**< of IPv6; NULL: none */
    uint64_t delay_us;         /**< one way to the middle of the network */
    bool unplugged;            /**< nothing comes or goes */
};

/** What a packet is, for both ends of a connection. */
struct vnet_header {
    uint8_t kind;
    bool to_server;
    struct vquic_conn *conn;
    uint64_t seq, ack;
};

struct vnet_packet {
    struct wz_addr from, to; /**< as the receiver sees them */
    struct vnet_host *sender;
    struct wz_addr aimed_at; /**< where it was sent */
    struct vnet_header header;
    size_t len;
    uint8_t data[];
};

struct vnet_socket {
    struct wz_list node;
    struct vnet_host *host;
    uint16_t port;
    void (*receive)(void *arg, const struct vnet_packet *packet);
    void *arg;
};

struct vnet_cut {
    const struct vnet_host *a, *b;
};
#define VNET_CUTS_MAX 16

struct vnet_stats {
    uint64_t sent, sent_ipv6, delivered, lost, filtered, unroutable;
};

struct vnet {
    uint64_t now_us;
    struct test_rng random;
    uint64_t trace;
    unsigned loss_permille, jitter_ms;
    size_t event_count, event_size;
    struct vnet_event *event; /**< a heap */
    uint64_t last_event;
    struct wz_list hosts, nats;
    size_t cut_count;
    struct vnet_cut cut[VNET_CUTS_MAX];
    void (*watch)(void *arg, const struct vnet_packet *packet); /**< sees each packet as it leaves; may be NULL */
    void *watch_arg;
    struct vnet_stats stats;
};

void vnet_init(struct vnet *net, uint64_t seed);
void vnet_done(struct vnet *net);
void vnet_run_until(struct vnet *net, uint64_t end_us);
void vnet_timer_set(struct vnet *net, struct vnet_timer *timer, uint64_t at_us);
void vnet_trace(struct vnet *net, const void *data, size_t len);
void vnet_trace_number(struct vnet *net, uint64_t number);

/** public_ip: text without port; NULL for FIREWALL. */
struct vnet_nat *vnet_add_nat(struct vnet *net, enum vnet_nat_kind kind, const char *public_ip);
/** v6 may be NULL. Behind an OPEN nat, v4 is the public address. */
struct vnet_host *vnet_add_host(struct vnet *net, struct vnet_nat *nat, const char *v4, const char *v6,
                                unsigned delay_ms);
/** Socket of a host; the memory is the caller's. */
void vnet_bind(struct vnet_socket *socket, struct vnet_host *host, uint16_t port);
void vnet_unbind(struct vnet_socket *socket);
/** Nothing overtakes: the packet arrives at *not_before or later, and moves it. */
void vnet_send(struct vnet_socket *socket, const struct wz_addr *to, const struct vnet_header *header,
               struct wz_bytes data, uint64_t *not_before);

/** No packet passes between these two any more, or (is_cut false) again. */
void vnet_cut_path(struct vnet *net, const struct vnet_host *a, const struct vnet_host *b, bool is_cut);
bool vnet_is_cut(const struct vnet *net, const struct vnet_host *a, const struct vnet_host *b);

/* vnet_nat.c */
/** What the world sees a packet from this socket to `to` come from. Makes or refreshes the mapping. */
struct wz_addr vnet_nat_outbound(struct vnet_nat *nat, struct vnet_host *host, const struct wz_addr *inner,
                                 const struct wz_addr *to);
/** Whom a packet to our side reaches: NULL: nobody. *ret_port is the port there. */
struct vnet_host *vnet_nat_inbound(struct vnet_nat *nat, const struct wz_addr *from, const struct wz_addr *to,
                                   uint16_t *ret_port);
/** All mappings are gone; new ones have other ports. */
void vnet_nat_reboot(struct vnet_nat *nat);

#endif
