#include "tests/support/client_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IDLE_US 30000000u

/** One simulated QUIC connection. The relay's name for it is id, the client's is client_conn. */
struct net_conn {
    struct wz_list node;
    uint64_t id, client_conn, call;
    struct net_client *client;
    char sni[WZP_CLIENT_SNI_SIZE];
    bool relay_knows, client_open, relay_open;
    uint64_t to_relay_us, to_client_us; /**< nothing may overtake what was sent before */
};

enum net_event_kind {
    NET_ARRIVES,   /**< the relay sees a new connection */
    NET_CONNECTED, /**< the client sees it complete */
    NET_TO_RELAY,
    NET_TO_CLIENT,
    NET_DATAGRAM_TO_RELAY,
    NET_DATAGRAM_TO_CLIENT,
    NET_RELAY_CLOSED,  /**< the client learns that the connection is gone */
    NET_CLIENT_CLOSED, /**< the relay learns it */
};

struct net_event {
    struct wz_list node;
    uint64_t at_us, order, conn;
    enum net_event_kind kind;
    size_t len;
    uint8_t data[];
};

static void drain_client(struct client_net *net, struct net_client *client);

static struct net_conn *conn_of(const struct client_net *net, uint64_t id)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &net->conns) {
        struct net_conn *conn = wz_container_of(pos, struct net_conn, node);
        if (conn->id == id)
            return conn;
    }
    return NULL;
}

static struct net_conn *conn_of_client(const struct client_net *net, const struct net_client *client,
                                       uint64_t id)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &net->conns) {
        struct net_conn *conn = wz_container_of(pos, struct net_conn, node);
        if (conn->client == client && conn->client_conn == id)
            return conn;
    }
    return NULL;
}

static uint64_t delay_us(struct client_net *net)
{
    const uint64_t spread_us = (uint64_t)(net->max_delay_ms - net->min_delay_ms) * 1000 + 1;
    return (uint64_t)net->min_delay_ms * 1000 + test_rng_below(&net->random, spread_us);
}

static void post(struct client_net *net, uint64_t at_us, enum net_event_kind kind, uint64_t conn,
                 struct wz_bytes data)
{
    struct net_event *event = calloc(1, sizeof *event + data.len);
    assert_non_null(event);
    event->at_us = at_us;
    event->order = ++net->last_event;
    event->kind = kind;
    event->conn = conn;
    event->len = data.len;
    if (data.len)
        memcpy(event->data, data.data, data.len);
    struct wz_list *pos = net->queue.prev;
    while (pos != &net->queue && wz_container_of(pos, struct net_event, node)->at_us > at_us)
        pos = pos->prev;
    wz_list_append(pos->next, &event->node);
}

/** Along a connection, in order. */
static void post_to_relay(struct client_net *net, struct net_conn *conn, enum net_event_kind kind,
                          struct wz_bytes data)
{
    const uint64_t at_us = net->now_us + delay_us(net);
    conn->to_relay_us = at_us > conn->to_relay_us ? at_us : conn->to_relay_us;
    post(net, conn->to_relay_us, kind, conn->id, data);
}

static void post_to_client(struct client_net *net, struct net_conn *conn, enum net_event_kind kind,
                           struct wz_bytes data)
{
    const uint64_t at_us = net->now_us + delay_us(net);
    conn->to_client_us = at_us > conn->to_client_us ? at_us : conn->to_client_us;
    post(net, conn->to_client_us, kind, conn->id, data);
}

static const struct wz_bytes nothing = { .data = NULL, .len = 0 };

/* The relay's effects die with the next call into it, and a CLOSE needs one: copy what follows first. */
static void relay_did(struct client_net *net, const struct wzp_relay_effects *effects)
{
    uint64_t closing[64];
    size_t count = 0;
    for (size_t i = 0; i < effects->count; i++) {
        const struct wzp_relay_effect *effect = &effects->item[i];
        struct net_conn *conn = conn_of(net, effect->conn);
        if (!conn || !conn->relay_open)
            continue;
        if (effect->kind == WZP_RELAY_SEND) {
            post_to_client(net, conn, NET_TO_CLIENT, effect->body);
        } else if (effect->kind == WZP_RELAY_CLOSE) {
            conn->relay_open = conn->relay_knows = false;
            post_to_client(net, conn, NET_RELAY_CLOSED, nothing);
            assert_in_range(count, 0, 63);
            closing[count++] = conn->id;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct wzp_relay_effects more;
        assert_int_equal(wzp_relay_closed(net->relay, closing[i], net->now_us, &more), 0);
        relay_did(net, &more);
    }
}

struct client_net *net_new(uint64_t seed)
{
    struct client_net *net = calloc(1, sizeof *net);
    assert_non_null(net);
    net->now_us = 1000000;
    net->random.state = seed * 0x9e3779b97f4a7c15ull + 1;
    net->rng = (struct wz_rng){ .fill = test_rng_fill, .arg = &net->random };
    net->min_delay_ms = 5;
    net->max_delay_ms = 60;
    wz_list_init(&net->conns);
    wz_list_init(&net->queue);
    return net;
}

static void forget_conn(struct net_conn *conn)
{
    wz_list_remove(&conn->node);
    free(conn);
}

void net_free(struct client_net *net)
{
    struct wz_list *pos, *tmp;
    for (size_t i = 0; i < net->client_count; i++)
        wzp_client_free(net->client[i].client);
    wzp_relay_free(net->relay);
    wz_list_foreach (pos, tmp, &net->queue) {
        wz_list_remove(pos);
        free(wz_container_of(pos, struct net_event, node));
    }
    wz_list_foreach (pos, tmp, &net->conns)
        forget_conn(wz_container_of(pos, struct net_conn, node));
    free(net);
}

void net_relay_up(struct client_net *net, const struct wzp_relay_config *config)
{
    struct wzp_relay_config mine = config ? *config : (struct wzp_relay_config){ 0 };
    mine.seed[0] = 99;
    mine.build = "net-relay";
    mine.rng = &net->rng;
    if (mine.public_address.family == WZ_ADDR_NONE)
        assert_int_equal(wz_addr_parse(NET_RELAY, &mine.public_address), 0);
    assert_int_equal(wzp_relay_new(&net->relay, &mine), 0);
}

void net_relay_down(struct client_net *net)
{
    wzp_relay_free(net->relay);
    net->relay = NULL;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &net->conns) {
        struct net_conn *conn = wz_container_of(pos, struct net_conn, node);
        conn->relay_open = conn->relay_knows = false;
        post_to_client(net, conn, NET_RELAY_CLOSED, nothing);
    }
}

struct net_client *net_add_client(struct client_net *net, bool share_local_addrs)
{
    assert_in_range(net->client_count, 0, NET_CLIENTS_MAX - 1);
    struct net_client *client = &net->client[net->client_count++];
    client->net = net;
    char text[WZ_ADDR_TEXT_MAX];
    (void)snprintf(text, sizeof text, "203.0.113.%u:4000", (unsigned)net->client_count);
    assert_int_equal(wz_addr_parse(text, &client->addr), 0);
    struct wzp_client_config config = {
        .seed = { (uint8_t)net->client_count, 7 },
        .build = "net-client",
        .share_local_addrs = share_local_addrs,
        .rng = &net->rng,
    };
    assert_int_equal(wz_addr_parse(NET_RELAY, &config.relay), 0);
    assert_int_equal(wzp_client_new(&client->client, &config, net->now_us), 0);
    struct wzp_line_addresses known = { .host_count = 1 };
    (void)snprintf(text, sizeof text, "192.168.1.%u:4000", (unsigned)net->client_count);
    assert_int_equal(wz_addr_parse(text, &known.host[0]), 0);
    wzp_client_set_addresses(client->client, &known);
    return client;
}

/* ---- what a client wants ---- */

static struct net_call *call_of(struct net_client *client, uint64_t id)
{
    for (size_t i = client->call_count; i-- > 0;)
        if (client->call[i].id == id)
            return &client->call[i];
    return NULL;
}

static struct net_call *add_call(struct net_client *client, uint64_t id, bool incoming)
{
    assert_in_range(client->call_count, 0, NET_CALLS_MAX - 1);
    struct net_call *call = &client->call[client->call_count++];
    *call = (struct net_call){ .id = id, .incoming = incoming };
    const char *text = wzp_client_call_id(client->client, id);
    (void)snprintf(call->call_id, sizeof call->call_id, "%s", text ? text : "");
    return call;
}

static void note_setup(struct net_call *call, const struct wzp_line_event *event)
{
    call->setups++;
    (void)snprintf(call->peer_direct_addr, sizeof call->peer_direct_addr, "%s",
                   event->peer_direct_addr ? event->peer_direct_addr : "");
    if (event->peer_local_addrs->count)
        (void)snprintf(call->peer_local_addr, sizeof call->peer_local_addr, "%s",
                       event->peer_local_addrs->text[0]);
}

static void note_end(struct net_call *call, const struct wzp_line_event *event)
{
    call->ended = true;
    call->up = false;
    call->end = event->end;
    call->hangup_reason = event->hangup_reason;
    call->by_peer = event->by_peer;
    call->ringing_seen = event->ringing_seen;
}

static void note_call_event(struct net_client *client, uint64_t id, const struct wzp_line_event *event)
{
    struct net_call *call =
        event->kind == WZP_LINE_INCOMING ? add_call(client, id, true) : call_of(client, id);
    assert_non_null(call);
    if (call->ended)
        fail_msg("event %d after the end of call %s", (int)event->kind, call->call_id);
    switch (event->kind) {
    case WZP_LINE_INCOMING:
        call->own_kind = event->own_kind;
        (void)snprintf(call->caller_reflexive_addr, sizeof call->caller_reflexive_addr, "%s",
                       event->caller_reflexive_addr ? event->caller_reflexive_addr : "");
        break;
    case WZP_LINE_RINGING:
        call->rings++;
        break;
    case WZP_LINE_ANSWERED:
        call->answers++;
        call->own_kind = event->own_kind;
        break;
    case WZP_LINE_SETUP:
        note_setup(call, event);
        break;
    case WZP_LINE_PATH:
        call->paths++;
        call->up = call->was_up; /* after MEDIA_DOWN it tells that media flows again */
        break;
    case WZP_LINE_MEDIA_UP:
        assert_false(call->was_up);
        call->up = call->was_up = true;
        break;
    case WZP_LINE_MEDIA_DOWN:
        assert_true(call->up);
        call->up = false;
        break;
    case WZP_LINE_ENDED:
        note_end(call, event);
        break;
    default:
        break;
    }
}

static void note_event(struct net_client *client, const struct wzp_client_effect *effect)
{
    if (effect->event.kind == WZP_LINE_REGISTERED)
        client->registered++;
    else if (effect->event.kind == WZP_LINE_UNREGISTERED)
        client->unregistered++;
    else if (effect->call && effect->event.kind != WZP_LINE_SIGNAL)
        note_call_event(client, effect->call, &effect->event);
}

static void open_conn(struct client_net *net, struct net_client *client,
                      const struct wzp_client_effect *effect)
{
    struct net_conn *conn = calloc(1, sizeof *conn);
    assert_non_null(conn);
    conn->id = ++net->last_conn;
    conn->client_conn = effect->conn;
    conn->call = effect->call;
    conn->client = client;
    conn->client_open = true;
    memcpy(conn->sni, effect->sni, sizeof conn->sni);
    wz_list_append(&net->conns, &conn->node);
    struct wz_addr relay;
    assert_int_equal(wz_addr_parse(NET_RELAY, &relay), 0);
    if (net->relay && wz_addr_equal(&relay, &effect->to))
        post_to_relay(net, conn, NET_ARRIVES, nothing);
    else
        post_to_client(net, conn, NET_RELAY_CLOSED, nothing);
}

static void close_conn(struct client_net *net, struct net_client *client, uint64_t id)
{
    struct net_conn *conn = conn_of_client(net, client, id);
    if (!conn)
        return;
    conn->client_open = false;
    post_to_relay(net, conn, NET_CLIENT_CLOSED, nothing);
}

static void drain_client(struct client_net *net, struct net_client *client)
{
    for (struct wzp_client_effect *effect;
         client->client && (effect = wzp_client_next_effect(client->client));) {
        switch (effect->kind) {
        case WZP_CLIENT_DIAL:
            open_conn(net, client, effect);
            break;
        case WZP_CLIENT_SEND: {
            struct net_conn *conn = conn_of_client(net, client, effect->conn);
            if (conn && conn->client_open)
                post_to_relay(net, conn, NET_TO_RELAY, effect->body);
            break;
        }
        case WZP_CLIENT_CLOSE:
            close_conn(net, client, effect->conn);
            break;
        case WZP_CLIENT_EVENT:
            note_event(client, effect);
            break;
        case WZP_CLIENT_USE:
            call_of(client, effect->call)->media_conn = effect->conn;
            break;
        }
        wzp_client_effect_free(effect);
    }
}

/* ---- what arrives ---- */

static void arrives(struct client_net *net, struct net_conn *conn)
{
    if (!net->relay)
        return;
    struct wz_addr local;
    struct wzp_relay_effects effects;
    assert_int_equal(wz_addr_parse(NET_RELAY, &local), 0);
    conn->relay_open = conn->relay_knows = true;
    assert_int_equal(wzp_relay_connected(net->relay, conn->id, conn->sni, &conn->client->addr, &local,
                                         net->now_us, &effects),
                     0);
    relay_did(net, &effects);
    if (conn->relay_open)
        wzp_relay_set_handle(net->relay, conn->id, conn);
    post_to_client(net, conn, NET_CONNECTED, nothing);
}

static void deliver_to_relay(struct client_net *net, struct net_conn *conn, const struct net_event *event)
{
    struct wzp_relay_effects effects;
    if (!net->relay || !conn->relay_open)
        return;
    if (event->kind == NET_TO_RELAY) {
        (void)wzp_relay_message(net->relay, conn->id, wz_bytes(event->data, event->len), net->now_us,
                                &effects);
        relay_did(net, &effects);
        return;
    }
    void *const *to = NULL;
    const size_t count =
        wzp_relay_route(net->relay, conn->id, wz_bytes(event->data, event->len), net->now_us, &to);
    for (size_t i = 0; i < count; i++) {
        struct net_conn *other = to[i];
        if (other && other->relay_open)
            post(net, net->now_us + delay_us(net), NET_DATAGRAM_TO_CLIENT, other->id,
                 wz_bytes(event->data, event->len));
    }
}

static void client_closed(struct client_net *net, struct net_conn *conn)
{
    if (net->relay && conn->relay_knows) {
        struct wzp_relay_effects effects;
        conn->relay_open = conn->relay_knows = false;
        assert_int_equal(wzp_relay_closed(net->relay, conn->id, net->now_us, &effects), 0);
        relay_did(net, &effects);
    }
}

static void deliver_to_client(struct client_net *net, struct net_conn *conn, const struct net_event *event)
{
    struct net_client *client = conn->client;
    if (!client->client || !conn->client_open)
        return;
    switch (event->kind) {
    case NET_CONNECTED:
        wzp_client_connected(client->client, conn->client_conn, &(struct wzp_client_link){ 0 }, net->now_us);
        break;
    case NET_TO_CLIENT:
        wzp_client_message(client->client, conn->client_conn, wz_bytes(event->data, event->len), net->now_us);
        break;
    case NET_DATAGRAM_TO_CLIENT: {
        struct net_call *call = call_of(client, conn->call);
        if (call && call->up) {
            call->datagrams++;
            wzp_client_media_seen(client->client, call->id, net->now_us);
        }
        break;
    }
    default:
        conn->client_open = false;
        wzp_client_closed(client->client, conn->client_conn, "closed by relay", net->now_us);
        break;
    }
    drain_client(net, client);
}

static void happen(struct client_net *net, const struct net_event *event)
{
    struct net_conn *conn = conn_of(net, event->conn);
    if (!conn)
        return;
    switch (event->kind) {
    case NET_ARRIVES:
        arrives(net, conn);
        break;
    case NET_TO_RELAY:
    case NET_DATAGRAM_TO_RELAY:
        deliver_to_relay(net, conn, event);
        break;
    case NET_CLIENT_CLOSED:
        client_closed(net, conn);
        break;
    case NET_CONNECTED:
    case NET_TO_CLIENT:
    case NET_DATAGRAM_TO_CLIENT:
    case NET_RELAY_CLOSED:
        deliver_to_client(net, conn, event);
        break;
    }
    if (!conn->client_open && !conn->relay_knows)
        forget_conn(conn);
}

/* ---- time ---- */

static uint64_t next_us(const struct client_net *net)
{
    uint64_t next = UINT64_MAX;
    if (!wz_list_is_empty(&net->queue))
        next = wz_container_of(net->queue.next, struct net_event, node)->at_us;
    if (net->relay && wzp_relay_deadline_us(net->relay) < next)
        next = wzp_relay_deadline_us(net->relay);
    for (size_t i = 0; i < net->client_count; i++)
        if (net->client[i].client && wzp_client_deadline_us(net->client[i].client) < next)
            next = wzp_client_deadline_us(net->client[i].client);
    return next;
}

static void run_timers(struct client_net *net)
{
    if (net->relay && wzp_relay_deadline_us(net->relay) <= net->now_us) {
        struct wzp_relay_effects effects;
        assert_int_equal(wzp_relay_tick(net->relay, net->now_us, &effects), 0);
        relay_did(net, &effects);
    }
    for (size_t i = 0; i < net->client_count; i++) {
        struct net_client *client = &net->client[i];
        if (client->client && wzp_client_deadline_us(client->client) <= net->now_us)
            wzp_client_tick(client->client, net->now_us);
        drain_client(net, client);
    }
}

void net_run_ms(struct client_net *net, uint64_t ms)
{
    const uint64_t end_us = net->now_us + ms * 1000;
    for (size_t i = 0; i < net->client_count; i++)
        drain_client(net, &net->client[i]);
    for (uint64_t at_us; (at_us = next_us(net)) <= end_us;) {
        net->now_us = at_us > net->now_us ? at_us : net->now_us;
        while (!wz_list_is_empty(&net->queue)) {
            struct net_event *event = wz_container_of(net->queue.next, struct net_event, node);
            if (event->at_us > net->now_us)
                break;
            wz_list_remove(&event->node);
            happen(net, event);
            free(event);
        }
        run_timers(net);
    }
    net->now_us = end_us;
}

/* ---- what users do ---- */

void net_register_all(struct client_net *net)
{
    for (unsigned i = 0; i < 300; i++) {
        size_t ready = 0;
        for (size_t k = 0; k < net->client_count; k++)
            ready += !net->client[k].client || wzp_client_is_registered(net->client[k].client);
        if (ready == net->client_count)
            return;
        net_run_ms(net, 100);
    }
    fail_msg("not all clients registered in 30 s");
}

void net_kill_client(struct client_net *net, struct net_client *client)
{
    wzp_client_free(client->client);
    client->client = NULL;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &net->conns) {
        struct net_conn *conn = wz_container_of(pos, struct net_conn, node);
        if (conn->client != client || !conn->client_open)
            continue;
        conn->client_open = false;
        post(net, net->now_us + IDLE_US, NET_CLIENT_CLOSED, conn->id, nothing);
    }
}

int net_dial(struct client_net *net, struct net_client *from, const struct net_client *to,
             bool hide_addresses)
{
    uint64_t id = 0;
    const struct wzp_line_dial dial = {
        .target_fingerprint = wzp_client_fingerprint(to->client),
        .hide_addresses = hide_addresses,
    };
    const int err = wzp_client_call(from->client, &dial, net->now_us, &id);
    if (err < 0)
        return err;
    add_call(from, id, false);
    drain_client(net, from);
    return 0;
}

struct net_call *net_last_call(struct net_client *client)
{
    return client->call_count ? &client->call[client->call_count - 1] : NULL;
}

void net_answer(struct client_net *net, struct net_client *client, const struct net_call *call,
                enum wzp_accept_mode mode)
{
    (void)wzp_client_answer(client->client, call->id, mode,
                            net->now_us); /* random tests answer at wrong times too */
    drain_client(net, client);
}

void net_hangup(struct client_net *net, struct net_client *client, const struct net_call *call,
                enum wzp_hangup_reason reason)
{
    wzp_client_hangup(client->client, call->id, reason, net->now_us);
    drain_client(net, client);
}

void net_send_media(struct client_net *net, struct net_client *client, const struct net_call *call)
{
    static const uint8_t datagram[WZP_MEDIA_HEADER_BYTES + 20];
    struct net_conn *conn = conn_of_client(net, client, call->media_conn);
    if (!conn || !conn->client_open || !call->up)
        return;
    post(net, net->now_us + delay_us(net), NET_DATAGRAM_TO_RELAY, conn->id,
         wz_bytes(datagram, sizeof datagram));
}

void net_talk(struct client_net *net, struct net_client *a, struct net_client *b, struct net_call **ret_a,
              struct net_call **ret_b)
{
    const size_t before = b->call_count;
    assert_int_equal(net_dial(net, a, b, false), 0);
    struct net_call *mine = net_last_call(a);
    net_run_ms(net, 2000);
    assert_int_equal(b->call_count, before + 1);
    struct net_call *theirs = net_last_call(b);
    net_answer(net, b, theirs, WZP_ACCEPT_TRUSTED);
    net_run_ms(net, 3000);
    assert_true(mine->up);
    assert_true(theirs->up);
    *ret_a = mine;
    *ret_b = theirs;
}
