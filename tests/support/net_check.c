/* What must hold for every call at every moment. */
#include "tests/support/client_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000u
/* The client core's timers (docs/wzp-wire.md "Client"), and a second for the sweep. */
#define SWEEP_US    (1000u * MS)
#define RING_US     ((uint64_t)(1000 + 60000) * MS + SWEEP_US)
#define INCOMING_US ((uint64_t)180000 * MS + SWEEP_US)
#define MEDIA_US    ((uint64_t)(1000 + 10000) * MS + SWEEP_US)
#define DOWN_US     ((uint64_t)10000 * MS + SWEEP_US)

static void check_same_connection(struct client_net *net, const struct net_client *client, const struct net_call *call)
{
    struct net_client *peer = NULL;
    const struct net_call *theirs = net_peer_call(net, client, call, &peer);
    if (!theirs || theirs->ended || peer->kind != NET_OURS || !net_call_is_direct(theirs))
        return;
    if (theirs->send != vquic_other(call->send))
        fail_msg("call %s is direct on two connections", call->call_id);
}

void net_check_sends(const struct net_client *client)
{
    for (size_t i = 0; i < client->call_count; i++) {
        const struct net_call *call = client->call[i];
        if (call->ended || !call->send) {
            if (!call->ended && call->up)
                fail_msg("call %s is up without a path", call->call_id);
            continue;
        }
        if (!vquic_is_up(call->send) || call->send->endpoint != client->endpoint)
            fail_msg("call %s sends on a connection that is gone", call->call_id);
        if (net_call_is_direct(call))
            check_same_connection(client->net, client, call);
    }
}

static bool is_over(uint64_t since_us, uint64_t limit_us, uint64_t now_us)
{
    return now_us > since_us + limit_us;
}

static void check_age(const struct net_call *call, uint64_t now_us)
{
    const char *what = NULL;
    if (call->was_up && !call->up && is_over(call->down_us, DOWN_US, now_us))
        what = "without a path";
    else if (!call->was_up && call->answered_us && is_over(call->answered_us, MEDIA_US, now_us))
        what = "answered without media";
    else if (!call->answered_us && is_over(call->begun_us, call->incoming ? INCOMING_US : RING_US, now_us))
        what = "unanswered";
    if (what)
        fail_msg("call %s is %s for longer than its timer", call->call_id, what);
}

static void sweep(void *arg)
{
    struct client_net *net = arg;
    for (size_t i = 0; i < net->client_count; i++) {
        const struct net_client *client = &net->client[i];
        for (size_t k = 0; client->kind == NET_OURS && k < client->call_count; k++)
            if (!client->call[k]->ended)
                check_age(client->call[k], net->v.now_us);
    }
    vnet_timer_set(&net->v, &net->sweep_timer, net->v.now_us + SWEEP_US);
}

void net_check_start(struct client_net *net)
{
    net->sweep_timer = (struct vnet_timer){ .want_us = VNET_NEVER, .due = sweep, .arg = net };
    vnet_timer_set(&net->v, &net->sweep_timer, net->v.now_us + SWEEP_US);
}
