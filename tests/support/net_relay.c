/* The relay's shell on the simulated network. */
#include "tests/support/client_net.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define RELAY_CLOSING_MAX 64

static void arm(struct client_net *net)
{
    vnet_timer_set(&net->v, &net->relay_timer, net->relay ? wzp_relay_deadline_us(net->relay) : VNET_NEVER);
}

/* The relay's effects die with the next call into it, and a CLOSE needs one: note who is closed first. */
static void relay_did(struct client_net *net, const struct wzp_relay_effects *effects)
{
    uint64_t closing[RELAY_CLOSING_MAX];
    size_t count = 0;
    for (size_t i = 0; i < effects->count; i++) {
        const struct wzp_relay_effect *effect = &effects->item[i];
        struct vquic_end *end = vquic_end_by_id(&net->quic, effect->conn);
        if (!end || end->state == VQUIC_CLOSED)
            continue;
        if (effect->kind == WZP_RELAY_SEND) {
            vquic_send(end, effect->body);
        } else if (effect->kind == WZP_RELAY_CLOSE) {
            vquic_close(end, effect->reason);
            assert_in_range(count, 0, RELAY_CLOSING_MAX - 1);
            closing[count++] = end->id;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct wzp_relay_effects more;
        assert_int_equal(wzp_relay_closed(net->relay, closing[i], net->v.now_us, &more), 0);
        relay_did(net, &more);
    }
    arm(net);
}

static void on_connected(void *owner, struct vquic_end *end)
{
    struct client_net *net = owner;
    struct wz_addr local;
    struct wzp_relay_effects effects;
    assert_int_equal(wz_addr_parse(NET_RELAY, &local), 0);
    assert_int_equal(
        wzp_relay_connected(net->relay, end->id, end->conn->sni, &end->remote, &local, net->v.now_us, &effects), 0);
    relay_did(net, &effects);
    if (vquic_is_up(end))
        wzp_relay_set_handle(net->relay, end->id, end);
}

static void on_message(void *owner, struct vquic_end *end, struct wz_bytes body)
{
    struct client_net *net = owner;
    struct wzp_relay_effects effects;
    assert_int_equal(wzp_relay_message(net->relay, end->id, body, net->v.now_us, &effects), 0);
    relay_did(net, &effects);
}

static void on_datagram(void *owner, struct vquic_end *end, struct wz_bytes data)
{
    struct client_net *net = owner;
    void *const *to = NULL;
    const size_t count = wzp_relay_route(net->relay, end->id, data, net->v.now_us, &to);
    for (size_t i = 0; i < count; i++)
        vquic_send_datagram(to[i], data);
    if (wzp_relay_is_due(net->relay))
        arm(net);
}

static void on_closed(void *owner, struct vquic_end *end, const char *reason)
{
    struct client_net *net = owner;
    struct wzp_relay_effects effects;
    (void)reason;
    assert_int_equal(wzp_relay_closed(net->relay, end->id, net->v.now_us, &effects), 0);
    relay_did(net, &effects);
}

static void relay_due(void *arg)
{
    struct client_net *net = arg;
    struct wzp_relay_effects effects;
    if (!net->relay)
        return;
    assert_int_equal(wzp_relay_tick(net->relay, net->v.now_us, &effects), 0);
    relay_did(net, &effects);
}

void net_relay_up(struct client_net *net, const struct wzp_relay_config *config)
{
    static const struct vquic_handlers handlers = { on_connected, on_message, on_datagram, on_closed };
    struct wzp_relay_config mine = config ? *config : (struct wzp_relay_config){ 0 };
    struct wz_addr at;
    mine.seed[0] = 99;
    mine.build = "net-relay";
    mine.rng = &net->rng;
    assert_int_equal(wz_addr_parse(NET_RELAY, &at), 0);
    if (mine.public_address.family == WZ_ADDR_NONE)
        mine.public_address = at;
    assert_int_equal(wzp_relay_new(&net->relay, &mine), 0);
    net->relay_endpoint = net_open_endpoint(net, net->relay_host, at.port, &handlers, net);
    vquic_set_accept(net->relay_endpoint, VQUIC_ACCEPT);
    net->relay_timer.due = relay_due;
    net->relay_timer.arg = net;
    arm(net);
}

static void forget_relay(struct client_net *net)
{
    wzp_relay_free(net->relay);
    net->relay = NULL;
    arm(net);
}

void net_relay_down(struct client_net *net)
{
    vquic_shut(net->relay_endpoint, "relay shuts down");
    forget_relay(net);
}

void net_relay_kill(struct client_net *net)
{
    vquic_kill(net->relay_endpoint);
    forget_relay(net);
}
