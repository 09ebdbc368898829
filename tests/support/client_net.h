/* Client cores and one relay core on a simulated network with NATs (tests/support/vnet.h, vquic.h), beside models of the
 * reference's clients (net_reference.h). What a user sees of each call is recorded, and what must hold for every client is
 * checked on the way:
 *   - a call is announced before anything else about it, ends exactly once, and nothing is told of it afterwards;
 *   - media is sent on one connection at most, which is up and belongs to the call; what is heard comes from the call's
 *     other party;
 *   - two of our own kind that are both direct are so on one and the same connection;
 *   - no call is older than its timers;
 *   - a reference peer of the first generation gets no message that would kill its connection, a later one nothing of our
 *     own extensions. */
#ifndef TESTS_SUPPORT_CLIENT_NET_H
#define TESTS_SUPPORT_CLIENT_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/client_world.h"
#include "tests/support/vquic.h"
#include "wzp/core/relay.h"

#define NET_CLIENTS_MAX 8
#define NET_CALLS_MAX   4096
#define NET_RELAY       "198.51.100.1:4433"

enum net_kind {
    NET_OURS,
    NET_REFERENCE, /**< the reference's desktop client, as it is today */
    NET_SEED,      /**< of the first generation: relay only, dies of unknown messages */
};
const char *net_kind_name(enum net_kind kind);

/** What a client's user has seen of one call. */
struct net_call {
    uint64_t id;
    bool incoming, ended, up, was_up;
    unsigned rings, answers, setups, paths;
    char call_id[WZP_CALL_ID_MAX + 1];
    char peer_direct_addr[WZ_ADDR_TEXT_MAX];      /**< of CallSetup; empty: none */
    char peer_local_addr[WZ_ADDR_TEXT_MAX];       /**< its first one */
    char caller_reflexive_addr[WZ_ADDR_TEXT_MAX]; /**< of the offer */
    bool own_kind;
    enum wzp_line_end end;
    enum wzp_hangup_reason hangup_reason;
    bool by_peer, ringing_seen;
    bool ended_unheard;           /**< when it ended here, the client could not tell the relay */
    struct vquic_end *send;       /**< where media goes now; NULL: nowhere */
    uint64_t media_conn;          /**< the same by the core's name */
    uint64_t datagrams, heard_us; /**< of the peer's media, and when the last came */
    uint64_t begun_us, answered_us, setup_us, up_us, direct_us, ended_us; /**< 0: never; the first time each */
    uint64_t down_us; /**< since when there is no path; 0: there is */
};

struct net_reference;

struct net_client {
    struct client_net *net;
    enum net_kind kind;
    struct wzp_client *client;       /**< NULL: stopped, or not one of ours */
    struct net_reference *reference; /**< NULL: one of ours, or stopped */
    char fingerprint[WZP_FINGERPRINT_TEXT];
    struct wzp_client_config config;
    bool stun;
    struct vnet_host *host;
    uint16_t port;
    struct vquic_endpoint *endpoint;
    struct wz_list conns; /**< of our core */
    struct vnet_timer timer, media_timer;
    unsigned registered, unregistered;
    size_t call_count, call_size;
    struct net_call **call;
};

struct client_net {
    struct vnet v;
    struct vquic quic;
    struct wz_rng rng;
    struct wzp_relay *relay; /**< NULL: down */
    struct vnet_host *relay_host;
    struct vquic_endpoint *relay_endpoint;
    struct vnet_timer relay_timer, sweep_timer;
    bool verbose;            /**< print what users are told */
    unsigned media_every_ms; /**< every call that is up sends so often; 0: only net_send_media() does */
    size_t client_count;
    struct net_client client[NET_CLIENTS_MAX];
    size_t endpoint_count;
    struct vquic_endpoint *endpoint[256]; /**< all that ever were */
};

/** Zeros: one of ours, in the open. */
struct net_client_options {
    enum net_kind kind;
    enum vnet_nat_kind nat;
    bool share_local_addrs, no_direct, strict;
    bool stun;             /**< has asked two STUN servers before each call */
    bool firewall;         /**< of IPv6 */
    unsigned delay_ms;     /**< one way to the middle of the network; 0: 10 */
    const char *public_ip; /**< NULL: 203.0.113.N */
    const char *v6;        /**< NULL: none */
};

struct client_net *net_new(uint64_t seed);
void net_free(struct client_net *net);
void net_run_ms(struct client_net *net, uint64_t ms);

/** Relay up with this configuration (NULL: defaults; rng, seed and build are filled in), or down: it says goodbye. */
void net_relay_up(struct client_net *net, const struct wzp_relay_config *config);
void net_relay_down(struct client_net *net);
/** It is gone without a word; its peers notice after 30 s. */
void net_relay_kill(struct client_net *net);

struct net_client *net_add(struct client_net *net, const struct net_client_options *options);
/** One of ours with a public address of its own, and a host address; shared when share is set. */
struct net_client *net_add_client(struct client_net *net, bool share_local_addrs);
/** All clients registered; fails the test when that takes over 30 s. */
void net_register_all(struct client_net *net);
bool net_is_registered(const struct net_client *client);
/** The process dies: no goodbye; the relay notices after 30 s. Its calls are marked ended. */
void net_kill_client(struct client_net *net, struct net_client *client);
/** It comes back, at another port. */
void net_restart_client(struct client_net *net, struct net_client *client);
/** No direct packet between these two, or again. */
void net_cut(struct client_net *net, const struct net_client *a, const struct net_client *b, bool is_cut);

/** from calls to: the new call of from. Negative errno as wzp_client_call(). */
int net_dial(struct client_net *net, struct net_client *from, const struct net_client *to, bool hide_addresses);
/** Join a plain room; the other one there may be reached at peer_direct_addr, NULL: not. The new call of client. */
struct net_call *net_join(struct client_net *net, struct net_client *client, const char *room,
                          const char *peer_direct_addr);
/** What the relay sees a client come from. */
struct wz_addr net_public_addr(const struct net_client *client);
/** The newest call a client has, or NULL. */
struct net_call *net_last_call(struct net_client *client);
void net_answer(struct client_net *net, struct net_client *client, const struct net_call *call,
                enum wzp_accept_mode mode);
void net_hangup(struct client_net *net, struct net_client *client, struct net_call *call,
                enum wzp_hangup_reason reason);
/** One datagram on the call's media connection. */
void net_send_media(struct client_net *net, struct net_client *client, const struct net_call *call);
/** Both parties of a fresh call, connected: returns once both have media. Fails the test otherwise. */
void net_talk(struct client_net *net, struct net_client *a, struct net_client *b, struct net_call **ret_a,
              struct net_call **ret_b);

bool net_call_is_direct(const struct net_call *call);
/** The other side's view of a call, or NULL. */
struct net_call *net_peer_call(struct client_net *net, const struct net_client *client, const struct net_call *call,
                               struct net_client **ret_peer);
/** Both on the same path, or both ended, or both not yet up. */
bool net_agree(const struct net_call *a, const struct net_call *b);

/* For the models of clients (net_client.c, net_reference.c). */
struct net_call *net_call_add(struct net_client *client, uint64_t id, bool incoming, const char *call_id);
/** A datagram of the call's peer arrived; fails the test when it is somebody else's. */
void net_call_heard(struct net_client *client, struct net_call *call, struct wz_bytes data);
void net_call_ended(struct net_client *client, struct net_call *call);
/** Media of the call goes here from now on; NULL: nowhere. */
void net_call_use(struct net_client *client, struct net_call *call, struct vquic_end *end);
void net_trace_event(const struct net_client *client, const struct net_call *call, int kind);
/** An endpoint of this client, or the relay's. */
struct vquic_endpoint *net_open_endpoint(struct client_net *net, struct vnet_host *host, uint16_t port,
                                         const struct vquic_handlers *handlers, void *owner);

/* net_client.c */
void net_client_start(struct net_client *client);
void net_client_stop(struct net_client *client);
/** Carry out what the core wants, check it, set its timer. */
void net_client_touch(struct net_client *client);

/* net_check.c */
void net_check_start(struct client_net *net);
void net_check_sends(const struct net_client *client);

#endif
