/* The media connection of a call or room: which address, the handshake, the room's size, and its loss. */
#include "wzp/core/client_internal.h"

#include <stdio.h>

/** Where a call's media may go, best first. A direct path between the peers will join this list. */
struct client_path_plan {
    struct wz_addr relay;
    struct wz_addr fallback; /**< family NONE: none */
};

/** How far an address reaches: one that reaches less far than the relay we talk to cannot be that relay's. */
static int reach_of(const struct wz_addr *addr)
{
    switch (wz_addr_kind(addr)) {
    case WZ_ADDR_KIND_PUBLIC:
        return 4;
    case WZ_ADDR_KIND_PRIVATE:
    case WZ_ADDR_KIND_CGNAT:
        return 3;
    case WZ_ADDR_KIND_LINK_LOCAL:
        return 2;
    case WZ_ADDR_KIND_LOOPBACK:
        return 1;
    case WZ_ADDR_KIND_NONE:
        break;
    }
    return 0;
}

/** A relay behind NAT announces its private address (spec 8.2 row 28): then the one we registered at must do.
 */
static struct client_path_plan choose_path(const struct wzp_client *client, const char *relay_addr)
{
    struct client_path_plan plan = { .relay = client->relay };
    struct wz_addr announced;
    if (wz_addr_parse(relay_addr, &announced) < 0 || announced.port == 0 || reach_of(&announced) == 0 ||
        reach_of(&announced) < reach_of(&client->relay) || wz_addr_equal(&announced, &client->relay))
        return plan;
    plan.fallback = client->relay;
    plan.relay = announced;
    return plan;
}

static void end_handshake(struct wzp_client_call *call)
{
    if (call->handshake_live)
        wzp_handshake_done(&call->handshake);
    call->handshake_live = false;
}

/** No address is left. A Hangup may have caused it, so calls wait a moment; rooms have nobody to wait for. */
static void no_way_left(struct wzp_client *client, struct wzp_client_call *call, bool refused, uint64_t now_us)
{
    if (call->kind == CLIENT_ROOM) {
        client_call_end(client, call, refused ? WZP_LINE_END_REFUSED : WZP_LINE_END_NO_MEDIA, WZP_HANGUP_ERROR,
                        call->media_failure);
        return;
    }
    call->deadline_us = now_us + (uint64_t)WZP_CLIENT_GRACE_MS * WZP_CLIENT_MS;
}

static void arm_dial_deadline(struct wzp_client_call *call, uint64_t now_us)
{
    const bool has_fallback = call->fallback.family != WZ_ADDR_NONE;
    call->dial_deadline_us =
        has_fallback ? now_us + (uint64_t)WZP_CLIENT_MEDIA_DIAL_MS * WZP_CLIENT_MS : WZP_CLIENT_NEVER;
}

/** The present attempt failed with call->media_failure; its connection is gone. Ends a room when it was the
 * last. */
static void try_fallback(struct wzp_client *client, struct wzp_client_call *call, bool refused, uint64_t now_us)
{
    const struct wz_addr next = call->fallback;
    call->fallback = (struct wz_addr){ 0 };
    call->dial_deadline_us = WZP_CLIENT_NEVER;
    if (next.family == WZ_ADDR_NONE || client_dial(client, &call->media, call->id, &next, call->room) < 0)
        no_way_left(client, call, refused, now_us);
}

static void fail_attempt(struct wzp_client *client, struct wzp_client_call *call, const char *reason, uint64_t now_us)
{
    (void)snprintf(call->media_failure, sizeof call->media_failure, "%s", reason);
    end_handshake(call);
    client_conn_close(client, &call->media, "normal close");
    try_fallback(client, call, false, now_us);
}

void client_media_start(struct wzp_client *client, struct wzp_client_call *call, const char *relay_addr,
                        uint64_t now_us)
{
    const struct client_path_plan plan = choose_path(client, relay_addr);
    call->state = CLIENT_JOINING;
    call->fallback = plan.fallback;
    if (client_dial(client, &call->media, call->id, &plan.relay, call->room) < 0) {
        (void)snprintf(call->media_failure, sizeof call->media_failure, "out of memory");
        no_way_left(client, call, false, now_us);
        return;
    }
    arm_dial_deadline(call, now_us);
}

void client_media_connected(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    if (call->media.up)
        return;
    call->media.up = true;
    struct wzp_signal offer = { 0 };
    if (wzp_handshake_init(&call->handshake, &client->rng) < 0) {
        fail_attempt(client, call, "no key for the media handshake", now_us);
        return;
    }
    call->handshake_live = true;
    const char *alias = call->caller_alias ? call->caller_alias : client->alias;
    if (wzp_handshake_offer(&call->handshake, &client->identity, alias, &offer) < 0) {
        fail_attempt(client, call, "cannot sign the media handshake", now_us);
        return;
    }
    client_send_token(client, &call->media);
    client_send(client, &call->media, call, &offer);
    wzp_signal_done(&offer);
    arm_dial_deadline(call, now_us);
}

static void media_is_up(struct wzp_client *client, struct wzp_client_call *call)
{
    end_handshake(call);
    call->state = CLIENT_UP;
    call->deadline_us = call->media_deadline_us = call->dial_deadline_us = WZP_CLIENT_NEVER;
    call->fallback = (struct wz_addr){ 0 };
    const enum wzp_line_event_kind news[] = { WZP_LINE_PATH, WZP_LINE_MEDIA_UP };
    for (size_t i = 0; i < 2; i++) {
        struct wzp_client_effect *effect = client_event(client, call, news[i]);
        if (!effect)
            continue;
        effect->event.path = WZP_LINE_PATH_RELAY;
        client_push(client, effect);
    }
}

static void on_call_answer(struct wzp_client *client, struct wzp_client_call *call, const struct wzp_signal *signal,
                           uint64_t now_us)
{
    if (call->state != CLIENT_JOINING || !call->handshake_live) {
        client->stats.unexpected_signals++;
        return;
    }
    if (wzp_handshake_check_answer(signal) < 0)
        fail_attempt(client, call, "the relay's handshake signature is wrong", now_us);
    else
        media_is_up(client, call);
}

/** The relay tells a remote hang-up across relays only by the room's size (spec 6.4). */
static void follow_room_size(struct wzp_client *client, struct wzp_client_call *call, uint32_t count, uint64_t now_us)
{
    call->room_seen = true;
    if (call->kind == CLIENT_ROOM)
        return;
    if (count >= 2) {
        call->peer_seen = true;
        call->alone_us = call->deadline_us = WZP_CLIENT_NEVER;
    } else if (call->peer_seen && call->alone_us == WZP_CLIENT_NEVER) {
        call->alone_us = now_us;
        call->deadline_us = now_us + (uint64_t)WZP_CLIENT_GRACE_MS * WZP_CLIENT_MS;
        client_hangup_review(client, now_us);
    }
}

static void on_room_update(struct wzp_client *client, struct wzp_client_call *call, struct wzp_signal *signal,
                           uint64_t now_us)
{
    if (call->state != CLIENT_UP) {
        client->stats.unexpected_signals++;
        return;
    }
    const uint32_t count = signal->room_update.count;
    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_ROOM_UPDATE);
    if (effect) {
        effect->owned_signal = *signal;
        *signal = (struct wzp_signal){ 0 };
        effect->event.participants = count;
        effect->event.room_update = &effect->owned_signal;
        client_push(client, effect);
    }
    follow_room_size(client, call, count, now_us);
}

void client_media_message(struct wzp_client *client, struct wzp_client_call *call, struct wzp_signal *signal,
                          uint64_t now_us)
{
    switch (signal->kind) {
    case WZP_SIG_CALL_ANSWER:
        on_call_answer(client, call, signal, now_us);
        break;
    case WZP_SIG_ROOM_UPDATE:
        on_room_update(client, call, signal, now_us);
        break;
    case WZP_SIG_QUALITY_DIRECTIVE:
        break; /* in the trace; acting on it belongs to the media engine */
    default:
        client->stats.unexpected_signals++;
        break;
    }
}

static void lost_while_up(struct wzp_client *client, struct wzp_client_call *call, const char *reason, uint64_t now_us)
{
    (void)snprintf(call->media_failure, sizeof call->media_failure, "%s", reason);
    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_MEDIA_DOWN);
    if (effect) {
        (void)snprintf(effect->text, sizeof effect->text, "%s", reason);
        effect->event.reason = effect->text;
        client_push(client, effect);
    }
    call->state = CLIENT_DOWN;
    if (call->kind == CLIENT_ROOM) {
        client_media_deadline(client, call, now_us);
        return;
    }
    call->deadline_us = now_us + (uint64_t)WZP_CLIENT_GRACE_MS * WZP_CLIENT_MS;
    client_hangup_review(client, now_us);
}

void client_media_closed(struct wzp_client *client, struct wzp_client_call *call, const char *reason, uint64_t now_us)
{
    const bool was_connected = call->media.up;
    client_conn_forget(&call->media);
    if (call->state == CLIENT_UP) {
        lost_while_up(client, call, reason, now_us);
        return;
    }
    end_handshake(call);
    (void)snprintf(call->media_failure, sizeof call->media_failure, "%s", reason);
    try_fallback(client, call, was_connected, now_us);
}

/** The grace of a state is over. Ends the call, unless an empty room turned out to be alive. */
void client_media_deadline(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    (void)now_us;
    const uint64_t quiet_us = (uint64_t)WZP_CLIENT_MEDIA_QUIET_MS * WZP_CLIENT_MS;
    if (call->state == CLIENT_UP && call->media_seen_us > call->alone_us + quiet_us) {
        call->alone_us = call->deadline_us = WZP_CLIENT_NEVER; /* somebody still talks: the count was wrong */
        return;
    }
    const bool left = call->state == CLIENT_UP;
    client_call_send_hangup(client, call, left ? WZP_HANGUP_NORMAL : WZP_HANGUP_ERROR);
    if (left)
        client_call_end(client, call, WZP_LINE_END_HANGUP, WZP_HANGUP_NORMAL, "the peer left the room");
    else if (call->state == CLIENT_JOINING)
        client_call_end(client, call, WZP_LINE_END_NO_MEDIA, WZP_HANGUP_ERROR, call->media_failure);
    else
        client_call_end(client, call, call->room_seen ? WZP_LINE_END_MEDIA_LOST : WZP_LINE_END_REFUSED,
                        WZP_HANGUP_ERROR, call->media_failure);
}

void client_media_tick(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    if (call->dial_deadline_us <= now_us)
        fail_attempt(client, call, "the relay does not answer at the address it announced", now_us);
}
