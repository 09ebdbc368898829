/* A line: the client core on a QUIC endpoint and a loop. It carries out effects and passes on what happens;
 * every decision is the core's. */
#include "wzp/io/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/base/list.h"
#include "wzp/core/client.h"
#include "wzp/io/quic.h"
#include "wzp/rt/loop.h"

/** The core wants to know that media flows, not of every packet. */
#define MEDIA_SEEN_EVERY_US 100000u

/** One connection of the core. Freed by its closed() handler. */
struct line_conn {
    struct wz_list node;
    struct wzp_line *line;
    uint64_t id;
    struct wzp_quic_conn *quic; /**< NULL: the dial failed at once, the core is told from the timer */
    struct wzp_line_call *call; /**< NULL: signal connection, or the call is over */
    bool forgotten;             /**< the core has closed it and wants to hear nothing more */
};

struct wzp_line_call {
    struct wz_list node;
    struct wzp_line *line;
    uint64_t id;
    void *arg;
    char call_id[WZP_CALL_ID_MAX + 1];
    struct line_conn *media;
    bool is_up;
    uint64_t media_seen_us;
    struct wzp_line_media_stats stats; /**< of connections that are gone */
};

struct wzp_line {
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct wzp_client *client;
    struct wzp_line_handlers handlers;
    void *arg;
    struct wz_timer timer;
    struct wz_list calls, conns;
    bool dial_failed; /**< some conn has no quic */
};

static void line_pump(struct wzp_line *line);

static struct wzp_line_call *find_call(const struct wzp_line *line, uint64_t id)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->calls) {
        struct wzp_line_call *call = wz_container_of(pos, struct wzp_line_call, node);
        if (call->id == id)
            return call;
    }
    return NULL;
}

static struct line_conn *find_conn(const struct wzp_line *line, uint64_t id)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->conns) {
        struct line_conn *conn = wz_container_of(pos, struct line_conn, node);
        if (conn->id == id && !conn->forgotten)
            return conn;
    }
    return NULL;
}

static struct wzp_line_call *new_call(struct wzp_line *line, void *arg)
{
    struct wzp_line_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->line = line;
    call->arg = arg;
    wz_list_append(&line->calls, &call->node);
    return call;
}

static void bind_call(struct wzp_line_call *call, uint64_t id)
{
    const char *text = wzp_client_call_id(call->line->client, id);
    call->id = id;
    (void)snprintf(call->call_id, sizeof call->call_id, "%s", text ? text : "");
}

static void free_call(struct wzp_line_call *call)
{
    wz_list_remove(&call->node);
    if (call->media)
        call->media->call = NULL;
    free(call);
}

static void add_stats(struct wzp_line_media_stats *sum, const struct line_conn *conn)
{
    struct wzp_quic_conn_stats now;
    if (!conn || !conn->quic)
        return;
    wzp_quic_conn_stats(conn->quic, &now);
    sum->datagrams_rx += now.datagrams_rx;
    sum->datagrams_tx += now.datagrams_tx;
    sum->datagrams_dropped += now.datagrams_dropped;
    sum->packets_tx += now.packets_tx;
    sum->packets_lost += now.packets_lost;
    sum->rtt_us = now.rtt_us;
}

/** The connection serves its call no longer; what it counted stays with the call. */
static void detach_media(struct line_conn *conn)
{
    struct wzp_line_call *call = conn->call;
    conn->call = NULL;
    if (!call)
        return;
    add_stats(&call->stats, conn);
    call->media = NULL;
    call->is_up = false;
}

static void free_conn(struct line_conn *conn)
{
    detach_media(conn);
    wz_list_remove(&conn->node);
    free(conn);
}

/* ---- what QUIC tells ---- */

static void on_connected(void *arg, struct wzp_quic_conn *quic)
{
    (void)quic;
    struct line_conn *conn = arg;
    struct wzp_line *line = conn->line;
    if (conn->forgotten)
        return;
    const struct wzp_client_link link = { .remote = wzp_quic_conn_remote(conn->quic) };
    wzp_client_connected(line->client, conn->id, &link, wz_loop_now_us(line->loop));
    line_pump(line);
}

static void on_message(void *arg, struct wzp_quic_conn *quic, struct wz_bytes body)
{
    (void)quic;
    struct line_conn *conn = arg;
    struct wzp_line *line = conn->line;
    if (conn->forgotten)
        return;
    wzp_client_message(line->client, conn->id, body, wz_loop_now_us(line->loop));
    line_pump(line);
}

static void on_datagram(void *arg, struct wzp_quic_conn *quic, struct wz_bytes data)
{
    (void)quic;
    struct line_conn *conn = arg;
    struct wzp_line *line = conn->line;
    struct wzp_line_call *call = conn->call;
    if (!call || !call->is_up)
        return;
    const uint64_t now_us = wz_loop_now_us(line->loop);
    if (now_us - call->media_seen_us >= MEDIA_SEEN_EVERY_US) {
        call->media_seen_us = now_us;
        wzp_client_media_seen(line->client, call->id, now_us);
    }
    if (line->handlers.datagram)
        line->handlers.datagram(line->arg, call, data);
}

static void on_closed(void *arg, struct wzp_quic_conn *quic, const struct wzp_quic_closed *why)
{
    (void)quic;
    struct line_conn *conn = arg;
    struct wzp_line *line = conn->line;
    const uint64_t id = conn->id;
    const bool forgotten = conn->forgotten;
    free_conn(conn);
    if (forgotten)
        return;
    wzp_client_closed(line->client, id, why->reason, wz_loop_now_us(line->loop));
    line_pump(line);
}

static const struct wzp_quic_handlers quic_handlers = {
    .connected = on_connected,
    .message = on_message,
    .datagram = on_datagram,
    .closed = on_closed,
};

/* ---- what the core wants done ---- */

static void apply_dial(struct wzp_line *line, const struct wzp_client_effect *effect)
{
    struct line_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return; /* the core's own timer gives the attempt up */
    conn->line = line;
    conn->id = effect->conn;
    conn->call = effect->call ? find_call(line, effect->call) : NULL;
    if (conn->call)
        conn->call->media = conn;
    wz_list_append(&line->conns, &conn->node);
    const struct wzp_quic_dial dial = {
        .to = effect->to,
        .sni = effect->sni,
        .handlers = &quic_handlers,
        .arg = conn,
    };
    if (wzp_quic_connect(line->quic, &dial, &conn->quic) < 0) {
        conn->quic = NULL;
        line->dial_failed = true;
    }
}

static void deliver(struct wzp_line *line, const struct wzp_line_event *event)
{
    if (line->handlers.event)
        line->handlers.event(line->arg, line, event);
}

static void apply_send(struct wzp_line *line, const struct wzp_client_effect *effect)
{
    struct line_conn *conn = find_conn(line, effect->conn);
    if (!conn || !conn->quic)
        return;
    const int err = wzp_quic_send_message(conn->quic, effect->body);
    if (err == -ENOBUFS) {
        wzp_quic_close(conn->quic, "peer does not read");
        return;
    }
    if (err < 0)
        return; /* closing: closed() follows */
    struct wzp_line_call *call = find_call(line, effect->call);
    const struct wzp_line_event event = {
        .kind = WZP_LINE_SIGNAL,
        .call = call,
        .call_id = call ? call->call_id : NULL,
        .outgoing = true,
        .signal_name = wzp_signal_kind_name(effect->signal),
        .body = effect->signal == WZP_SIG_AUTH_TOKEN ? wz_bytes(NULL, 0) : effect->body,
    };
    deliver(line, &event);
}

static void apply_close(struct wzp_line *line, const struct wzp_client_effect *effect)
{
    struct line_conn *conn = find_conn(line, effect->conn);
    if (!conn)
        return;
    conn->forgotten = true;
    detach_media(conn);
    if (conn->quic)
        wzp_quic_close(conn->quic, effect->reason); /* frees conn, now or after the handler we are in */
    else
        free_conn(conn);
}

static void apply_event(struct wzp_line *line, struct wzp_client_effect *effect)
{
    struct wzp_line_call *call = effect->call ? find_call(line, effect->call) : NULL;
    if (effect->event.kind == WZP_LINE_INCOMING) {
        call = new_call(line, NULL);
        if (!call) {
            wzp_client_hangup(line->client, effect->call, WZP_HANGUP_BUSY, wz_loop_now_us(line->loop));
            return;
        }
        bind_call(call, effect->call);
    }
    if (effect->call && !call && effect->event.kind != WZP_LINE_SIGNAL)
        return; /* its line call could not be made */
    effect->event.call = call;
    if (call && effect->event.kind == WZP_LINE_MEDIA_UP)
        call->is_up = true;
    deliver(line, &effect->event);
    if (effect->event.kind == WZP_LINE_ENDED)
        free_call(call);
}

/** Carry out everything the core wants. A handler may call back into the line: the inner pump then goes on
 * where the outer one is, so the order is kept. */
static void line_pump(struct wzp_line *line)
{
    for (struct wzp_client_effect *effect; (effect = wzp_client_next_effect(line->client));) {
        switch (effect->kind) {
        case WZP_CLIENT_DIAL:
            apply_dial(line, effect);
            break;
        case WZP_CLIENT_SEND:
            apply_send(line, effect);
            break;
        case WZP_CLIENT_CLOSE:
            apply_close(line, effect);
            break;
        case WZP_CLIENT_EVENT:
            apply_event(line, effect);
            break;
        case WZP_CLIENT_USE:
            break;
        }
        wzp_client_effect_free(effect);
    }
    wz_timer_set(&line->timer,
                 line->dial_failed ? wz_loop_now_us(line->loop) : wzp_client_deadline_us(line->client));
}

static void report_failed_dials(struct wzp_line *line, uint64_t now_us)
{
    line->dial_failed = false;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->conns) {
        struct line_conn *conn = wz_container_of(pos, struct line_conn, node);
        if (conn->quic)
            continue;
        const uint64_t id = conn->id;
        free_conn(conn);
        wzp_client_closed(line->client, id, "cannot dial", now_us);
    }
}

static void on_timer(void *arg)
{
    struct wzp_line *line = arg;
    const uint64_t now_us = wz_loop_now_us(line->loop);
    if (line->dial_failed)
        report_failed_dials(line, now_us);
    wzp_client_tick(line->client, now_us);
    line_pump(line);
}

/* ---- what the user wants ---- */

int wzp_line_new(struct wzp_line **ret, struct wz_loop *loop, struct wzp_quic *quic,
                 const struct wzp_line_config *config)
{
    struct wzp_line *line = calloc(1, sizeof *line);
    if (!line)
        return -ENOMEM;
    line->loop = loop;
    line->quic = quic;
    line->handlers = config->handlers;
    line->arg = config->arg;
    wz_list_init(&line->calls);
    wz_list_init(&line->conns);
    wz_timer_init(&line->timer, loop, on_timer, line);
    struct wzp_client_config core = {
        .alias = config->alias,
        .build = config->build,
        .auth_token = config->auth_token,
        .relay = config->relay,
        .start_delay_ms = config->start_delay_ms,
        .ring_ms = config->ring_ms,
        .media_ms = config->media_ms,
        .rooms_only = config->rooms_only,
        .share_local_addrs = config->share_local_addrs,
        .rng = config->rng,
    };
    memcpy(core.seed, config->seed, sizeof core.seed);
    const uint64_t now_us = wz_loop_now_us(loop);
    const int err = wzp_client_new(&line->client, &core, now_us);
    explicit_bzero(core.seed, sizeof core.seed);
    if (err < 0) {
        free(line);
        return err;
    }
    wz_timer_set(&line->timer, wzp_client_deadline_us(line->client)); /* no event before this returns */
    *ret = line;
    return 0;
}

void wzp_line_free(struct wzp_line *line)
{
    if (!line)
        return;
    wzp_client_stop(line->client, wz_loop_now_us(line->loop));
    line_pump(line);
    wz_timer_cancel(&line->timer);
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->conns)
        free_conn(wz_container_of(pos, struct line_conn, node));
    wz_list_foreach (pos, tmp, &line->calls)
        free_call(wz_container_of(pos, struct wzp_line_call, node));
    wzp_client_free(line->client);
    free(line);
}

const char *wzp_line_fingerprint(const struct wzp_line *line)
{
    return wzp_client_fingerprint(line->client);
}

bool wzp_line_is_registered(const struct wzp_line *line)
{
    return wzp_client_is_registered(line->client);
}

const char *wzp_line_reflexive_addr(const struct wzp_line *line)
{
    return wzp_client_reflexive_addr(line->client);
}

void wzp_line_set_addresses(struct wzp_line *line, const struct wzp_line_addresses *addresses)
{
    wzp_client_set_addresses(line->client, addresses);
}

/** The core has made call `id`, or failed with err. */
static int finish_new_call(struct wzp_line_call *call, uint64_t id, int err, struct wzp_line_call **ret)
{
    struct wzp_line *line = call->line;
    if (err < 0) {
        free_call(call);
        return err;
    }
    bind_call(call, id);
    *ret = call; /* before the pump: its events carry this call */
    line_pump(line);
    return 0;
}

int wzp_line_call(struct wzp_line *line, const struct wzp_line_dial *dial, void *call_arg,
                  struct wzp_line_call **ret)
{
    struct wzp_line_call *call = new_call(line, call_arg);
    if (!call)
        return -ENOMEM;
    uint64_t id = 0;
    const int err = wzp_client_call(line->client, dial, wz_loop_now_us(line->loop), &id);
    return finish_new_call(call, id, err, ret);
}

int wzp_line_join(struct wzp_line *line, const struct wzp_line_room *room, void *call_arg, struct wzp_line_call **ret)
{
    struct wzp_line_call *call = new_call(line, call_arg);
    if (!call)
        return -ENOMEM;
    uint64_t id = 0;
    const int err = wzp_client_join(line->client, room, wz_loop_now_us(line->loop), &id);
    return finish_new_call(call, id, err, ret);
}

int wzp_line_answer(struct wzp_line_call *call, enum wzp_accept_mode mode)
{
    struct wzp_line *line = call->line;
    const int err = wzp_client_answer(line->client, call->id, mode, wz_loop_now_us(line->loop));
    line_pump(line);
    return err;
}

void wzp_line_hangup(struct wzp_line_call *call, enum wzp_hangup_reason reason)
{
    struct wzp_line *line = call->line;
    wzp_client_hangup(line->client, call->id, reason, wz_loop_now_us(line->loop));
    line_pump(line);
}

int wzp_line_send(struct wzp_line_call *call, struct wz_bytes datagram)
{
    if (!call->is_up || !call->media || !call->media->quic)
        return -ENOTCONN;
    return wzp_quic_send_datagram(call->media->quic, datagram);
}

void wzp_line_call_set_arg(struct wzp_line_call *call, void *arg)
{
    call->arg = arg;
}

void *wzp_line_call_arg(const struct wzp_line_call *call)
{
    return call->arg;
}

const char *wzp_line_call_id(const struct wzp_line_call *call)
{
    return call->call_id;
}

struct wzp_line *wzp_line_call_line(const struct wzp_line_call *call)
{
    return call->line;
}

void wzp_line_call_stats(const struct wzp_line_call *call, struct wzp_line_media_stats *ret)
{
    *ret = call->stats;
    add_stats(ret, call->media);
}

int wzp_line_reflect(struct wzp_line *line)
{
    const int err = wzp_client_reflect(line->client, wz_loop_now_us(line->loop));
    line_pump(line);
    return err;
}

int wzp_line_ping(struct wzp_line *line)
{
    const int err = wzp_client_ping(line->client, wz_loop_now_us(line->loop));
    line_pump(line);
    return err;
}
