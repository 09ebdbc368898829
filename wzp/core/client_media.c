/* The media connection to the relay of a call or room: which address, the handshake, the room's size, its loss and
 * the way back. */
#include "wzp/core/client_internal.h"

#include <stdio.h>
#include <stdlib.h>

/** Where a call's relay may be, best first. */
struct client_relay_plan {
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
static struct client_relay_plan choose_relay(const struct wzp_client *client, const char *relay_addr)
{
    struct client_relay_plan plan = { .relay = client->relay };
    struct wz_addr announced;
    if (wz_addr_parse(relay_addr, &announced) < 0 || announced.port == 0 || reach_of(&announced) == 0 ||
        reach_of(&announced) < reach_of(&client->relay) || wz_addr_equal(&announced, &client->relay))
        return plan;
    plan.fallback = client->relay;
    plan.relay = announced;
    return plan;
}

static uint64_t ms(unsigned value)
{
    return (uint64_t)value * WZP_CLIENT_MS;
}

static void step_path(struct wzp_client *client, struct wzp_client_call *call, enum wzp_race_event_kind kind,
                      uint64_t now_us)
{
    client_path_step(client, call, &(struct wzp_race_event){ .kind = kind }, now_us);
}

/* ---- one attempt ---- */

static void forget_leg(struct wzp_client_call *call)
{
    if (call->handshake_live)
        wzp_handshake_done(&call->handshake);
    call->handshake_live = call->joined = call->in_room = false;
    call->others = 0;
    call->dial_deadline_us = WZP_CLIENT_NEVER;
    client_conn_forget(&call->media);
}

void client_media_leave(struct wzp_client *client, struct wzp_client_call *call, const char *reason)
{
    client_conn_close(client, &call->media, reason);
    forget_leg(call);
    call->fallback = (struct wz_addr){ 0 };
    call->rejoining = false;
    call->redial_at_us = WZP_CLIENT_NEVER;
}

static int dial_leg(struct wzp_client *client, struct wzp_client_call *call, const struct wz_addr *to)
{
    call->media_addr = *to;
    return client_dial(client, &call->media, call->id, to, call->room, false);
}

static void arm_dial_deadline(struct wzp_client_call *call, uint64_t now_us)
{
    const bool has_fallback = call->fallback.family != WZ_ADDR_NONE;
    call->dial_deadline_us = has_fallback ? now_us + ms(WZP_CLIENT_MEDIA_DIAL_MS) : WZP_CLIENT_NEVER;
}

/** No address is left. A Hangup may have caused it, so calls wait a moment; rooms have nobody to wait for. A race that is
 *  not over says when it wants the relay after all. */
static void no_way_left(struct wzp_client *client, struct wzp_client_call *call, bool refused, uint64_t now_us)
{
    if (wzp_race_is_open(&call->race))
        return;
    if (call->kind == CLIENT_ROOM) {
        client_call_end(client, call, refused ? WZP_LINE_END_REFUSED : WZP_LINE_END_NO_MEDIA, WZP_HANGUP_ERROR,
                        call->media_failure);
        return;
    }
    call->deadline_us = now_us + ms(WZP_CLIENT_GRACE_MS);
}

/** A relay where we are registered knows the call: that it turns us away is no accident. */
static void shorten_rejoin(const struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    const uint64_t soon_us = call->lost_us + ms(WZP_CLIENT_REFUSED_MS);
    if (client->signal_state == CLIENT_SIGNAL_REGISTERED && soon_us < call->deadline_us)
        call->deadline_us = soon_us > now_us ? soon_us : now_us;
}

/** The present attempt failed with call->media_failure; its connection is gone. Ends a room when it was the last. */
static void attempt_failed(struct wzp_client *client, struct wzp_client_call *call, bool refused, uint64_t now_us)
{
    const struct wz_addr next = call->fallback;
    call->fallback = (struct wz_addr){ 0 };
    if (call->rejoining) {
        if (refused)
            shorten_rejoin(client, call, now_us);
        return; /* the next dial has its time */
    }
    if (wzp_race_is_direct(&call->race))
        return; /* nobody needs it */
    if (next.family == WZ_ADDR_NONE || dial_leg(client, call, &next) < 0)
        no_way_left(client, call, refused, now_us);
}

static void fail_attempt(struct wzp_client *client, struct wzp_client_call *call, const char *reason, uint64_t now_us)
{
    client_path_note_failure(call, reason);
    client_conn_close(client, &call->media, "normal close");
    forget_leg(call);
    attempt_failed(client, call, false, now_us);
}

void client_media_start(struct wzp_client *client, struct wzp_client_call *call, const char *relay_addr,
                        uint64_t now_us)
{
    const struct client_relay_plan plan = choose_relay(client, relay_addr);
    call->state = CLIENT_JOINING;
    call->fallback = plan.fallback;
    if (dial_leg(client, call, &plan.relay) < 0) {
        client_path_note_failure(call, "out of memory");
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

static void tell_relay_key(struct wzp_client *client, const struct wzp_client_call *call,
                           const struct wzp_signed_keys *keys)
{
    char text[WZ_ADDR_TEXT_MAX];
    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_RELAY_KEY);
    if (!effect || !(effect->owned_body = malloc(WZP_KEY_BYTES))) {
        client->stats.lost_effects += effect != NULL;
        wzp_client_effect_free(effect);
        return;
    }
    memcpy(effect->owned_body, keys->identity_pub, WZP_KEY_BYTES);
    effect->event.body = wz_bytes(effect->owned_body, WZP_KEY_BYTES);
    (void)snprintf(effect->text, sizeof effect->text, "%s", wz_addr_format(&call->media_addr, text));
    effect->event.relay_addr = effect->text;
    client_push(client, effect);
}

static void on_call_answer(struct wzp_client *client, struct wzp_client_call *call, const struct wzp_signal *signal,
                           uint64_t now_us)
{
    if (!call->handshake_live) {
        client->stats.unexpected_signals++;
        return;
    }
    const struct wzp_signed_keys *keys = &signal->call_answer.keys;
    if (wzp_handshake_check_answer(signal) < 0) {
        fail_attempt(client, call, "the relay's handshake signature is wrong", now_us);
        return;
    }
    if (client->has_relay_key && memcmp(keys->identity_pub, client->relay_key, WZP_KEY_BYTES) != 0) {
        fail_attempt(client, call, WZP_CLIENT_REASON_RELAY_KEY, now_us);
        return;
    }
    tell_relay_key(client, call, keys);
    wzp_handshake_done(&call->handshake);
    call->handshake_live = false;
    call->joined = true;
    call->good_addr = call->media_addr;
    call->dial_deadline_us = WZP_CLIENT_NEVER;
    call->fallback = (struct wz_addr){ 0 };
    if (!call->rejoining) /* a relay that refuses the room says so after this answer */
        step_path(client, call, WZP_RACE_RELAY_UP, now_us);
}

/* ---- the room ---- */

/** How many of the room are not we; a connection of ours that the relay still believes in does not count. */
static uint32_t count_others(const struct wzp_client *client, const struct wzp_signal *update)
{
    const uint32_t count = update->room_update.count;
    uint32_t ours = 0;
    char text[WZP_FINGERPRINT_TEXT];
    for (size_t i = 0; i < update->room_update.participant_count; i++) {
        const char *fingerprint = update->room_update.participant[i].fingerprint;
        ours += fingerprint && wzp_fingerprint_normalise(fingerprint, text) == 0 &&
                strcmp(text, client->identity.fingerprint) == 0;
    }
    ours = ours ? ours : 1; /* a list may be short or empty: we are there */
    return count > ours ? count - ours : 0;
}

void client_media_await_peer(struct wzp_client_call *call, uint64_t now_us)
{
    const bool was_there = call->race.lost || (call->lost_us != WZP_CLIENT_NEVER && call->peer_seen);
    if (call->kind == CLIENT_ROOM)
        return;
    call->peer_seen = call->others > 0 || (call->peer_seen && !was_there);
    if (call->others > 0)
        return;
    if (was_there) {
        call->alone_us = now_us;
        call->deadline_us = now_us + ms(WZP_CLIENT_REJOIN_MS);
    } else if (!call->peer_seen) {
        call->deadline_us = now_us + ms(WZP_CLIENT_ABSENT_MS);
    }
}

/** The relay tells a remote hang-up across relays only by the room's size (spec 6.4). */
static void follow_room_size(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    if (call->kind == CLIENT_ROOM || call->state != CLIENT_UP || wzp_race_is_direct(&call->race))
        return;
    if (call->others > 0) {
        call->peer_seen = true;
        call->alone_us = call->deadline_us = WZP_CLIENT_NEVER;
    } else if (call->peer_seen && call->alone_us == WZP_CLIENT_NEVER) {
        /* Our own kind says when it hangs up; when it leaves without, it may be on its way back from a lost path. */
        call->alone_us = now_us;
        call->deadline_us = now_us + ms(call->own_kind ? WZP_CLIENT_REJOIN_MS : WZP_CLIENT_GRACE_MS);
        client_hangup_review(client, now_us);
    }
}

static void tell_room_update(struct wzp_client *client, const struct wzp_client_call *call, struct wzp_signal *signal)
{
    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_ROOM_UPDATE);
    if (!effect)
        return;
    effect->owned_signal = *signal;
    *signal = (struct wzp_signal){ 0 };
    effect->event.participants = effect->owned_signal.room_update.count;
    effect->event.room_update = &effect->owned_signal;
    client_push(client, effect);
}

static void on_room_update(struct wzp_client *client, struct wzp_client_call *call, struct wzp_signal *signal,
                           uint64_t now_us)
{
    if (!call->joined) {
        client->stats.unexpected_signals++;
        return;
    }
    const uint32_t before = call->others;
    const bool is_first = !call->in_room;
    call->others = count_others(client, signal);
    call->in_room = call->room_seen = true;
    tell_room_update(client, call, signal);
    if (is_first)
        call->held_since_us = now_us;
    if (call->rejoining) {
        call->rejoining = false;
        call->redial_at_us = WZP_CLIENT_NEVER;
        step_path(client, call, WZP_RACE_RELAY_UP, now_us); /* brings a path, so ends no call */
    }
    if (before == 0 && call->others > 0)
        client_path_peer_came(client, call, now_us); /* the relay's leg is up: it takes no path away */
    follow_room_size(client, call, now_us);
}

static void on_quality_directive(struct wzp_client *client, const struct wzp_client_call *call,
                                 struct wzp_signal *signal)
{
    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_QUALITY);
    if (!effect)
        return;
    effect->owned_signal = *signal;
    *signal = (struct wzp_signal){ 0 };
    effect->event.profile = &effect->owned_signal.quality_directive.recommended_profile;
    effect->event.reason = effect->owned_signal.quality_directive.reason;
    client_push(client, effect);
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
        on_quality_directive(client, call, signal);
        break;
    default:
        client->stats.unexpected_signals++;
        break;
    }
}

/* ---- loss, and the way back ---- */

/** Dial if it is time, and say when the next time is. */
static void redial(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    static const uint16_t after_ms[] = { 0, 1000, 3000, 6000 };
    const size_t most = sizeof after_ms / sizeof after_ms[0];
    if (call->redials < most && call->lost_us + ms(after_ms[call->redials]) <= now_us) {
        const struct wz_addr to = call->good_addr.family != WZ_ADDR_NONE ? call->good_addr : client->relay;
        call->redials++;
        if (dial_leg(client, call, &to) == 0)
            client->stats.relay_redials++;
        else
            client_path_note_failure(call, "out of memory");
    }
    call->redial_at_us = call->redials < most ? call->lost_us + ms(after_ms[call->redials]) : WZP_CLIENT_NEVER;
}

void client_media_rejoin(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    const bool held = call->held_since_us != 0 && now_us >= call->held_since_us + ms(WZP_CLIENT_HELD_MS);
    if (call->lost_us == WZP_CLIENT_NEVER || held) {
        call->lost_us = now_us;
        call->redials = 0;
    }
    call->held_since_us = 0;
    call->rejoining = true;
    call->alone_us = WZP_CLIENT_NEVER;
    call->deadline_us = call->lost_us + ms(WZP_CLIENT_REJOIN_MS);
    if (call->media.id != 0 && call->redials == 0)
        call->redials = 1; /* a leg that was never finished is the first attempt */
    redial(client, call, now_us);
}

void client_media_closed(struct wzp_client *client, struct wzp_client_call *call, const char *reason, uint64_t now_us)
{
    const bool was_joined = call->joined, refused = call->media.up && !call->in_room;
    forget_leg(call);
    if (wzp_race_is_direct(&call->race)) {
        step_path(client, call, WZP_RACE_RELAY_DOWN, now_us);
        return;
    }
    client_path_note_failure(call, reason);
    if (!was_joined || call->rejoining) {
        attempt_failed(client, call, refused, now_us);
        return;
    }
    const bool gives_up = call->kind == CLIENT_ROOM && call->was_up && !call->race.lost;
    if (!gives_up) {
        client_media_rejoin(client, call, now_us);
        if (refused)
            shorten_rejoin(client, call, now_us);
    }
    /* No Hangup can mean a room, so the room is still there after this. */
    step_path(client, call, WZP_RACE_RELAY_DOWN, now_us);
    if (gives_up)
        client_media_deadline(client, call, now_us);
}

/** Media came after the room seemed empty, or though nobody was ever seen there: the count was wrong. */
static bool somebody_talks(const struct wzp_client_call *call)
{
    if (call->alone_us == WZP_CLIENT_NEVER)
        return call->media_seen_us != 0;
    return call->media_seen_us > call->alone_us + ms(WZP_CLIENT_MEDIA_QUIET_MS);
}

/** The grace of a state is over. Ends the call, unless an empty room turned out to be alive. */
void client_media_deadline(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    (void)now_us;
    if (call->state == CLIENT_UP && somebody_talks(call)) {
        call->alone_us = call->deadline_us = WZP_CLIENT_NEVER;
        return;
    }
    if (call->state == CLIENT_JOINING && wzp_race_is_open(&call->race)) {
        call->deadline_us = wzp_race_deadline_us(&call->race); /* not over: its own timers go first */
        return;
    }
    const bool left = call->state == CLIENT_UP && call->peer_seen;
    client_call_send_hangup(client, call, left ? WZP_HANGUP_NORMAL : WZP_HANGUP_ERROR);
    if (left)
        client_call_end(client, call, WZP_LINE_END_HANGUP, WZP_HANGUP_NORMAL, "the peer left the room");
    else if (call->state == CLIENT_UP)
        client_call_end(client, call, WZP_LINE_END_MEDIA_LOST, WZP_HANGUP_ERROR,
                        call->alone_us == WZP_CLIENT_NEVER ? "the peer never came" : "the peer did not come back");
    else if (call->state == CLIENT_JOINING)
        client_call_end(client, call, WZP_LINE_END_NO_MEDIA, WZP_HANGUP_ERROR, call->media_failure);
    else
        client_call_end(client, call,
                        call->room_seen || call->race.lost ? WZP_LINE_END_MEDIA_LOST : WZP_LINE_END_REFUSED,
                        WZP_HANGUP_ERROR, call->media_failure);
}

void client_media_tick(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    if (call->redial_at_us <= now_us) {
        if (call->media.id != 0)
            client_path_note_failure(call, "the relay does not answer");
        client_conn_close(client, &call->media, "normal close");
        forget_leg(call);
        redial(client, call, now_us);
    } else if (call->dial_deadline_us <= now_us) {
        fail_attempt(client, call, "the relay does not answer at the address it announced", now_us);
    }
}
