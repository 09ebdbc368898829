/* One of our client cores on the simulated network: what wzp/io/line.c does with sockets. */
#include "tests/support/client_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** A connection by the core's name. */
struct net_conn {
    struct wz_list node;
    uint64_t id, call;
    bool named; /**< it was once where media is sent, so media is heard on it */
    struct vquic_end *end;
};

static struct net_conn *conn_of(const struct net_client *client, uint64_t id)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->conns) {
        struct net_conn *conn = wz_container_of(pos, struct net_conn, node);
        if (conn->id == id)
            return conn;
    }
    return NULL;
}

static struct net_conn *add_conn(struct net_client *client, uint64_t id, uint64_t call, struct vquic_end *end)
{
    struct net_conn *conn = calloc(1, sizeof *conn);
    assert_non_null(conn);
    conn->id = id;
    conn->call = call;
    conn->end = end;
    end->user = conn;
    wz_list_append(&client->conns, &conn->node);
    return conn;
}

static void free_conn(struct net_conn *conn)
{
    conn->end->user = NULL;
    wz_list_remove(&conn->node);
    free(conn);
}

static struct net_call *call_of(struct net_client *client, uint64_t id)
{
    for (size_t i = client->call_count; i-- > 0;)
        if (client->call[i]->id == id)
            return client->call[i];
    return NULL;
}

/* ---- what the user is told ---- */

static void note_setup(struct net_call *call, const struct wzp_line_event *event)
{
    call->setups++;
    (void)snprintf(call->peer_direct_addr, sizeof call->peer_direct_addr, "%s",
                   event->peer_direct_addr ? event->peer_direct_addr : "");
    if (event->peer_local_addrs->count)
        (void)snprintf(call->peer_local_addr, sizeof call->peer_local_addr, "%s", event->peer_local_addrs->text[0]);
}

static void note_end(struct net_client *client, struct net_call *call, const struct wzp_line_event *event)
{
    call->end = event->end;
    call->hangup_reason = event->hangup_reason;
    call->by_peer = event->by_peer;
    call->ringing_seen = event->ringing_seen;
    net_call_ended(client, call);
}

static void note_path(struct net_client *client, struct net_call *call, const struct wzp_line_event *event)
{
    const bool is_direct = event->path == WZP_LINE_PATH_DIRECT;
    call->paths++;
    call->up = call->was_up; /* after MEDIA_DOWN it tells that media flows again */
    assert_non_null(call->send);
    assert_int_equal(net_call_is_direct(call), is_direct);
    if (is_direct && !call->direct_us)
        call->direct_us = client->net->v.now_us;
}

static void note_call_event(struct net_client *client, uint64_t id, const struct wzp_line_event *event)
{
    const uint64_t now_us = client->net->v.now_us;
    struct net_call *call = event->kind == WZP_LINE_INCOMING
                                ? net_call_add(client, id, true, wzp_client_call_id(client->client, id))
                                : call_of(client, id);
    assert_non_null(call);
    if (call->ended)
        fail_msg("event %d after the end of call %s", (int)event->kind, call->call_id);
    net_trace_event(client, call, (int)event->kind);
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
        call->answered_us = now_us;
        call->own_kind = event->own_kind;
        break;
    case WZP_LINE_SETUP:
        call->setup_us = now_us;
        call->answered_us = call->answered_us ? call->answered_us : now_us;
        note_setup(call, event);
        break;
    case WZP_LINE_PATH:
        note_path(client, call, event);
        break;
    case WZP_LINE_MEDIA_UP:
        assert_false(call->was_up);
        call->up = call->was_up = true;
        call->up_us = now_us;
        break;
    case WZP_LINE_MEDIA_DOWN:
        assert_true(call->up);
        call->up = false;
        break;
    case WZP_LINE_ENDED:
        note_end(client, call, event);
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

/* ---- what the core wants ---- */

static void use(struct net_client *client, const struct wzp_client_effect *effect)
{
    struct net_call *call = call_of(client, effect->call);
    struct net_conn *conn = conn_of(client, effect->conn);
    assert_non_null(call);
    if (effect->conn != 0 && (!conn || !vquic_is_up(conn->end)))
        fail_msg("media of call %s is sent on connection %llu, which is not there", call->call_id,
                 (unsigned long long)effect->conn);
    if (conn) {
        if (conn->call != 0 && conn->call != call->id)
            fail_msg("connection %llu carries media of two calls", (unsigned long long)conn->id);
        conn->named = true;
        conn->call = call->id;
    }
    call->media_conn = effect->conn;
    net_call_use(client, call, conn ? conn->end : NULL);
}

static void close_conn(struct net_client *client, const struct wzp_client_effect *effect)
{
    struct net_conn *conn = conn_of(client, effect->conn);
    if (!conn)
        return;
    vquic_close(conn->end, effect->reason);
    free_conn(conn);
}

static void carry_out(struct net_client *client, const struct wzp_client_effect *effect)
{
    struct net_conn *conn = NULL;
    switch (effect->kind) {
    case WZP_CLIENT_DIAL:
        add_conn(client, effect->conn, effect->call,
                 vquic_dial(client->endpoint, &effect->to, effect->sni, effect->is_direct));
        break;
    case WZP_CLIENT_SEND:
        conn = conn_of(client, effect->conn);
        if (conn)
            vquic_send(conn->end, effect->body);
        break;
    case WZP_CLIENT_CLOSE:
        close_conn(client, effect);
        break;
    case WZP_CLIENT_KNOCK:
        vquic_knock(client->endpoint, &effect->to, effect->body);
        break;
    case WZP_CLIENT_EVENT:
        note_event(client, effect);
        break;
    case WZP_CLIENT_USE:
        use(client, effect);
        break;
    }
}

void net_client_touch(struct net_client *client)
{
    for (struct wzp_client_effect *effect; client->client && (effect = wzp_client_next_effect(client->client));) {
        carry_out(client, effect);
        wzp_client_effect_free(effect);
    }
    if (!client->client)
        return;
    net_check_sends(client);
    vnet_timer_set(&client->net->v, &client->timer, wzp_client_deadline_us(client->client));
}

/* ---- what the network brings ---- */

static void accepted(struct net_client *client, struct vquic_end *end)
{
    const struct wzp_client_link link = { .exporter = vquic_exporter(end), .remote = end->remote };
    const bool is_own_dial = vquic_other(end)->endpoint == client->endpoint;
    const uint64_t id =
        is_own_dial ? 0 : wzp_client_accepted(client->client, end->conn->sni, &link, client->net->v.now_us);
    if (id != 0)
        (void)add_conn(client, id, 0, end);
    else
        vquic_close(end, "stale");
}

static void on_connected(void *owner, struct vquic_end *end)
{
    struct net_client *client = owner;
    const struct net_conn *conn = end->user;
    const struct wzp_client_link link = { .exporter = vquic_exporter(end), .remote = end->remote };
    if (end->is_server)
        accepted(client, end);
    else if (conn)
        wzp_client_connected(client->client, conn->id, &link, client->net->v.now_us);
    net_client_touch(client);
}

static void on_message(void *owner, struct vquic_end *end, struct wz_bytes body)
{
    struct net_client *client = owner;
    const struct net_conn *conn = end->user;
    if (conn)
        wzp_client_message(client->client, conn->id, body, client->net->v.now_us);
    net_client_touch(client);
}

static void on_datagram(void *owner, struct vquic_end *end, struct wz_bytes data)
{
    struct net_client *client = owner;
    const struct net_conn *conn = end->user;
    struct net_call *call = conn && conn->call ? call_of(client, conn->call) : NULL;
    if (conn && (!call || conn->id != call->media_conn))
        wzp_client_media_elsewhere(client->client, conn->id, client->net->v.now_us);
    else if (call && call->was_up)
        wzp_client_media_seen(client->client, call->id, client->net->v.now_us);
    net_client_touch(client);
    /* What came may have chosen the connection, or ended the call. */
    conn = end->user;
    call = conn && conn->named ? call_of(client, conn->call) : NULL;
    if (call && call->was_up && !call->ended)
        net_call_heard(client, call, data);
}

static void on_closed(void *owner, struct vquic_end *end, const char *reason)
{
    struct net_client *client = owner;
    struct net_conn *conn = end->user;
    if (!conn)
        return;
    const uint64_t id = conn->id;
    free_conn(conn);
    wzp_client_closed(client->client, id, reason, client->net->v.now_us);
    net_client_touch(client);
}

static void on_timer(void *arg)
{
    struct net_client *client = arg;
    if (!client->client)
        return;
    wzp_client_tick(client->client, client->net->v.now_us);
    net_client_touch(client);
}

void net_client_start(struct net_client *client)
{
    static const struct vquic_handlers handlers = { on_connected, on_message, on_datagram, on_closed };
    struct client_net *net = client->net;
    client->endpoint = net_open_endpoint(net, client->host, client->port, &handlers, client);
    vquic_set_accept(client->endpoint, client->config.no_direct ? VQUIC_REFUSE : VQUIC_ACCEPT);
    client->timer.due = on_timer;
    client->timer.arg = client;
    assert_int_equal(wzp_client_new(&client->client, &client->config, net->v.now_us), 0);
    (void)snprintf(client->fingerprint, sizeof client->fingerprint, "%s", wzp_client_fingerprint(client->client));
}

void net_client_stop(struct net_client *client)
{
    struct wz_list *pos, *tmp;
    wzp_client_free(client->client);
    client->client = NULL;
    wz_list_foreach (pos, tmp, &client->conns)
        free_conn(wz_container_of(pos, struct net_conn, node));
}
