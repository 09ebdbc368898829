/* A line: the client core on a QUIC endpoint and a loop. It carries out effects and passes on what happens;
 * every decision is the core's. */
#include "wzp/io/line_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/core/room_name.h"

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

/** A direct connection names the room that the peers share, which is "call-" and the id in calls. */
static void expect_direct(struct wzp_line_call *call, const char *room_prefix, const char *room)
{
    char sni[WZP_CLIENT_SNI_SIZE];
    const int len = snprintf(sni, sizeof sni, WZP_ROOM_CALL_PREFIX "%s%s", room_prefix, room);
    if (len > 0 && (size_t)len < sizeof sni)
        line_group_expect(call, sni);
}

static void free_call(struct wzp_line_call *call)
{
    line_group_forget(call);
    line_conn_release_call(call);
    wz_list_remove(&call->node);
    free(call);
}

/* ---- what the core wants done ---- */

static void deliver(struct wzp_line *line, const struct wzp_line_event *event)
{
    if (line->handlers.event)
        line->handlers.event(line->arg, line, event);
}

static void apply_send(struct wzp_line *line, const struct wzp_client_effect *effect)
{
    struct line_conn *conn = line_conn_find(line, effect->conn);
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

static void follow_media(struct wzp_line_call *call, enum wzp_line_event_kind news)
{
    if (news == WZP_LINE_MEDIA_UP)
        call->was_up = true;
    else if (news == WZP_LINE_MEDIA_DOWN)
        call->is_down = true;
    else if (news == WZP_LINE_PATH)
        call->is_down = false;
}

static void explain_refusal(struct wzp_line *line, struct wzp_line_event *event)
{
    if (!line->pins || (event->kind != WZP_LINE_UNREGISTERED && event->kind != WZP_LINE_ENDED))
        return;
    const bool key_refused_by_core = strcmp(event->reason, WZP_CLIENT_REASON_RELAY_KEY) == 0;
    if (key_refused_by_core)
        line_conn_tell_refusal(line, &line->relay, "identity key");
    if (line->refusal && (key_refused_by_core || strcmp(event->reason, LINE_REFUSED_CERTIFICATE) == 0 ||
                          strcmp(event->reason, LINE_REFUSED_KEY) == 0))
        event->reason = line->refusal;
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
        expect_direct(call, WZP_ROOM_CALL_PREFIX, call->call_id);
    }
    if (effect->call && !call && effect->event.kind != WZP_LINE_SIGNAL)
        return; /* its line call could not be made */
    effect->event.call = call;
    if (call)
        follow_media(call, effect->event.kind);
    if (call && effect->event.kind == WZP_LINE_RELAY_KEY && !line_conn_check_key(call, &effect->event))
        return;
    explain_refusal(line, &effect->event);
    deliver(line, &effect->event);
    if (effect->event.kind == WZP_LINE_ENDED)
        free_call(call);
}

static void apply_use(struct wzp_line *line, const struct wzp_client_effect *effect)
{
    struct wzp_line_call *call = find_call(line, effect->call);
    if (call)
        line_conn_use(call, effect->conn);
}

/* A handler may call back into the line: the inner pump then goes on where the outer one is, so the order is kept. */
void line_pump(struct wzp_line *line)
{
    for (struct wzp_client_effect *effect; (effect = wzp_client_next_effect(line->client));) {
        switch (effect->kind) {
        case WZP_CLIENT_DIAL:
            line_conn_dial(line, effect, effect->call ? find_call(line, effect->call) : NULL);
            break;
        case WZP_CLIENT_SEND:
            apply_send(line, effect);
            break;
        case WZP_CLIENT_CLOSE:
            line_conn_close(line, effect);
            break;
        case WZP_CLIENT_KNOCK:
            (void)wzp_quic_send_raw(line->quic, effect->body, &effect->to); /* nobody waits for it */
            break;
        case WZP_CLIENT_EVENT:
            apply_event(line, effect);
            break;
        case WZP_CLIENT_USE:
            apply_use(line, effect);
            break;
        }
        wzp_client_effect_free(effect);
    }
    wz_timer_set(&line->timer, line->dial_failed ? wz_loop_now_us(line->loop) : wzp_client_deadline_us(line->client));
}

static void on_timer(void *arg)
{
    struct wzp_line *line = arg;
    const uint64_t now_us = wz_loop_now_us(line->loop);
    if (line->dial_failed)
        line_conn_report_failed(line, now_us);
    wzp_client_tick(line->client, now_us);
    line_pump(line);
}

/* ---- what the user wants ---- */

static void configure_core(const struct wzp_line *line, const struct wzp_line_config *config,
                           struct wzp_client_config *ret)
{
    *ret = (struct wzp_client_config){
        .alias = config->alias,
        .build = config->build,
        .auth_token = config->auth_token,
        .relay = config->relay,
        .start_delay_ms = config->start_delay_ms,
        .ring_ms = config->ring_ms,
        .media_ms = config->media_ms,
        .rooms_only = config->rooms_only,
        .share_local_addrs = config->share_local_addrs,
        .no_direct = !line->group,
        .strict = config->strict,
        .rng = config->rng,
    };
    memcpy(ret->seed, config->seed, sizeof ret->seed);
    if (line->pins)
        ret->has_relay_key = wzp_pin_file_key(line->pins, &config->relay, ret->relay_key);
}

int wzp_line_new(struct wzp_line **ret, struct wz_loop *loop, struct wzp_quic *quic,
                 const struct wzp_line_config *config)
{
    struct wzp_client_config core = { 0 };
    struct wzp_line *line = calloc(1, sizeof *line);
    int err = -ENOMEM;
    if (!line)
        return err;
    line->loop = loop;
    line->quic = quic;
    line->relay = config->relay;
    line->group = config->no_direct ? NULL : config->group;
    line->handlers = config->handlers;
    line->arg = config->arg;
    wz_list_init(&line->calls);
    wz_list_init(&line->conns);
    wz_timer_init(&line->timer, loop, on_timer, line);
    if (config->strict && !config->pins && (err = wzp_pin_file_open(&line->own_pins, NULL)) < 0)
        goto out;
    line->pins = !config->strict ? NULL : config->pins ? config->pins : line->own_pins;
    configure_core(line, config, &core);
    err = wzp_client_new(&line->client, &core, wz_loop_now_us(loop));
    if (err < 0)
        goto out;
    wz_timer_set(&line->timer, wzp_client_deadline_us(line->client)); /* no event before this returns */
    *ret = line;
    line = NULL;
out:
    explicit_bzero(core.seed, sizeof core.seed);
    if (line)
        wzp_pin_file_free(line->own_pins);
    free(line);
    return err;
}

void wzp_line_free(struct wzp_line *line)
{
    if (!line)
        return;
    wzp_client_stop(line->client, wz_loop_now_us(line->loop));
    line_pump(line);
    wz_timer_cancel(&line->timer);
    struct wz_list *pos, *tmp;
    line_conn_free_all(line);
    wz_list_foreach (pos, tmp, &line->calls)
        free_call(wz_container_of(pos, struct wzp_line_call, node));
    wzp_client_free(line->client);
    wzp_pin_file_free(line->own_pins);
    free(line->refusal);
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

/** The core has made the call, or failed with err. */
static int finish_new_call(struct wzp_line_call *call, int err, struct wzp_line_call **ret)
{
    struct wzp_line *line = call->line;
    if (err < 0) {
        free_call(call);
        return err;
    }
    *ret = call; /* before the pump: its events carry this call */
    line_pump(line);
    return 0;
}

int wzp_line_call(struct wzp_line *line, const struct wzp_line_dial *dial, void *call_arg, struct wzp_line_call **ret)
{
    struct wzp_line_call *call = new_call(line, call_arg);
    if (!call)
        return -ENOMEM;
    uint64_t id = 0;
    const int err = wzp_client_call(line->client, dial, wz_loop_now_us(line->loop), &id);
    if (!err) {
        bind_call(call, id);
        expect_direct(call, WZP_ROOM_CALL_PREFIX, call->call_id);
    }
    return finish_new_call(call, err, ret);
}

int wzp_line_join(struct wzp_line *line, const struct wzp_line_room *room, void *call_arg, struct wzp_line_call **ret)
{
    struct wzp_line_call *call = new_call(line, call_arg);
    char sni[WZP_SNI_MAX + 1];
    if (!call)
        return -ENOMEM;
    uint64_t id = 0;
    const int err = wzp_client_join(line->client, room, wz_loop_now_us(line->loop), &id);
    if (!err)
        bind_call(call, id);
    if (!err && room->peer_direct_addr && wzp_room_name_to_sni(room->name, sni) == 0)
        expect_direct(call, "", sni);
    return finish_new_call(call, err, ret);
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
