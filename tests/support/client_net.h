/* Client cores and one relay core on a simulated network: virtual time, seeded delays per connection,
 * messages of a connection in order. Checks on the way what must hold for every client: no event after ENDED,
 * ENDED once. */
#ifndef TESTS_SUPPORT_CLIENT_NET_H
#define TESTS_SUPPORT_CLIENT_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/client_world.h"
#include "wzp/core/relay.h"

#define NET_CLIENTS_MAX 8
#define NET_CALLS_MAX   4096
#define NET_RELAY       "198.51.100.1:4433"

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
    uint64_t media_conn, datagrams;
};

struct net_client {
    struct wzp_client *client; /**< NULL: stopped */
    struct client_net *net;
    struct wz_addr addr; /**< where the relay sees it */
    unsigned registered, unregistered;
    size_t call_count;
    struct net_call call[NET_CALLS_MAX];
};

struct client_net {
    uint64_t now_us;
    struct test_rng random;
    struct wz_rng rng;
    struct wzp_relay *relay; /**< NULL: down */
    unsigned min_delay_ms, max_delay_ms;
    size_t client_count;
    struct net_client client[NET_CLIENTS_MAX];
    struct wz_list conns, queue;
    uint64_t last_conn, last_event;
};

struct client_net *net_new(uint64_t seed);
void net_free(struct client_net *net);
/** Relay up with this configuration (NULL: defaults; rng, seed and build are filled in), or down: connections
 * die. */
void net_relay_up(struct client_net *net, const struct wzp_relay_config *config);
void net_relay_down(struct client_net *net);

/** A client with a public address of its own, and a host address; shared when share is set. */
struct net_client *net_add_client(struct client_net *net, bool share_local_addrs);
/** All clients registered; fails the test when that takes over 30 s. */
void net_register_all(struct client_net *net);
/** The process dies: no goodbye; the relay notices after 30 s. */
void net_kill_client(struct client_net *net, struct net_client *client);

void net_run_ms(struct client_net *net, uint64_t ms);

/** from calls to: the new call of from. Negative errno as wzp_client_call(). */
int net_dial(struct client_net *net, struct net_client *from, const struct net_client *to,
             bool hide_addresses);
/** The newest call a client has, or NULL. */
struct net_call *net_last_call(struct net_client *client);
void net_answer(struct client_net *net, struct net_client *client, const struct net_call *call,
                enum wzp_accept_mode mode);
void net_hangup(struct client_net *net, struct net_client *client, const struct net_call *call,
                enum wzp_hangup_reason reason);
/** One datagram on the call's media connection. */
void net_send_media(struct client_net *net, struct net_client *client, const struct net_call *call);
/** Both parties of a fresh call, connected: returns once both have media. Fails the test otherwise. */
void net_talk(struct client_net *net, struct net_client *a, struct net_client *b, struct net_call **ret_a,
              struct net_call **ret_b);

#endif
