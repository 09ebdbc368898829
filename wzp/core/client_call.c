/* Calls of a client, from the offer to CallSetup, and how they end. */
#include "wzp/core/client_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct wzp_client_call *client_call_find(const struct wzp_client *client, uint64_t id)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls) {
        struct wzp_client_call *call = wz_container_of(pos, struct wzp_client_call, node);
        if (call->id == id)
            return call;
    }
    return NULL;
}

struct wzp_client_call *client_call_by_id(const struct wzp_client *client, const char *call_id)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls) {
        struct wzp_client_call *call = wz_container_of(pos, struct wzp_client_call, node);
        if (call->kind != CLIENT_ROOM && strcmp(call->call_id, call_id) == 0)
            return call;
    }
    return NULL;
}

struct wzp_client_call *client_call_new(struct wzp_client *client, enum client_call_kind kind)
{
    struct wzp_client_call *call = calloc(1, sizeof *call);
    struct wzp_client_effect *ended = client_effect_new(WZP_CLIENT_EVENT);
    if (!call || !ended) {
        free(call);
        wzp_client_effect_free(ended);
        return NULL;
    }
    call->id = ++client->last_call;
    call->kind = kind;
    call->ended = ended;
    call->deadline_us = call->media_deadline_us = call->dial_deadline_us = WZP_CLIENT_NEVER;
    call->redial_at_us = call->lost_us = call->alone_us = call->known_us = WZP_CLIENT_NEVER;
    client_path_init(call);
    wz_list_append(&client->calls, &call->node);
    client->stats.calls++;
    return call;
}

void client_call_discard(struct wzp_client *client, struct wzp_client_call *call)
{
    wz_list_remove(&call->node);
    client->stats.calls--;
    client_conn_forget(&call->media);
    client_direct_forget_all(call);
    if (call->handshake_live)
        wzp_handshake_done(&call->handshake);
    wzp_client_effect_free(call->ended);
    free(call->caller_alias);
    free(call->dialled_number);
    free(call);
}

void client_call_end(struct wzp_client *client, struct wzp_client_call *call, enum wzp_line_end end,
                     enum wzp_hangup_reason hangup, const char *reason)
{
    client_conn_close(client, &call->media, "normal close");
    client_direct_close_all(client, call, "normal close");
    struct wzp_client_effect *ended = call->ended;
    call->ended = NULL;
    ended->call = call->id;
    memcpy(ended->call_id, call->call_id, sizeof ended->call_id);
    (void)snprintf(ended->text, sizeof ended->text, "%s", reason);
    ended->event = (struct wzp_line_event){
        .kind = WZP_LINE_ENDED,
        .call_id = ended->call_id,
        .reason = ended->text,
        .end = end,
        .hangup_reason = hangup,
        .by_peer = end == WZP_LINE_END_HANGUP,
        .ringing_seen = call->ringing_seen,
        .answered_seen = call->answered_seen,
    };
    client_push(client, ended);
    client_call_discard(client, call);
}

bool client_call_is_answered(const struct wzp_client_call *call)
{
    switch (call->state) {
    case CLIENT_ANSWERED:
    case CLIENT_JOINING:
    case CLIENT_UP:
    case CLIENT_DOWN:
        return true;
    case CLIENT_REFLECTING:
    case CLIENT_OFFERED:
    case CLIENT_RINGING:
        return false;
    }
    return false;
}

/** The relay has been told of this call. */
static bool relay_knows(const struct wzp_client_call *call)
{
    return call->known_us != WZP_CLIENT_NEVER;
}

static unsigned calls_the_relay_knows(const struct wzp_client *client)
{
    unsigned count = 0;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls)
        count += relay_knows(wz_container_of(pos, struct wzp_client_call, node));
    return count;
}

static void send_hangup(struct wzp_client *client, const struct wzp_client_call *call, const char *call_id,
                        enum wzp_hangup_reason reason)
{
    char id[WZP_CALL_ID_MAX + 1];
    (void)snprintf(id, sizeof id, "%s", call_id);
    const struct wzp_signal hangup = { .kind = WZP_SIG_HANGUP, .hangup = { .reason = reason, .call_id = id } };
    client_send(client, &client->signal, call, &hangup);
}

void client_call_send_hangup(struct wzp_client *client, struct wzp_client_call *call, enum wzp_hangup_reason reason)
{
    client_direct_send_hangup(client, call, reason); /* the relay may have forgotten the call, or be gone */
    if (!relay_knows(call) || client->signal_state != CLIENT_SIGNAL_REGISTERED)
        return;
    const bool unanswered_in = call->kind == CLIENT_INCOMING && !client_call_is_answered(call);
    if (unanswered_in && (!client->relay_build || reason == WZP_HANGUP_DECLINED)) {
        client_send_answer(client, call, WZP_ACCEPT_REJECT);
        return;
    }
    /* A relay of the first generation ignores the call_id and ends every call of ours: with others up,
     * closing this one's media connection must do (spec 8.1). */
    if (!client->relay_build && calls_the_relay_knows(client) > 1)
        return;
    send_hangup(client, call, call->call_id, reason);
}

/* ---- outgoing ---- */

static void fill_call_id(struct wzp_client *client, char ret[static WZP_CALL_ID_MAX + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[16];
    wz_rng_fill(&client->rng, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        ret[2 * i] = digits[random[i] >> 4];
        ret[2 * i + 1] = digits[random[i] & 15];
    }
    ret[2 * sizeof random] = '\0';
}

static void place_offer(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    client_send_offer(client, call);
    call->state = CLIENT_OFFERED;
    call->known_us = now_us;
    call->deadline_us = now_us + client->ring_us;
}

int wzp_client_call(struct wzp_client *client, const struct wzp_line_dial *dial, uint64_t now_us, uint64_t *ret_call)
{
    char target[WZP_FINGERPRINT_TEXT];
    if (wzp_fingerprint_normalise(dial->target_fingerprint, target) < 0 ||
        strcmp(target, client->identity.fingerprint) == 0)
        return -EINVAL;
    if (client->signal_state != CLIENT_SIGNAL_REGISTERED)
        return -ENOTCONN;
    if (client->stats.calls >= WZP_CLIENT_MAX_CALLS)
        return -ENOSPC;
    struct wzp_client_call *call = client_call_new(client, CLIENT_OUTGOING);
    if (!call)
        return -ENOMEM;
    if (wzp_signal_set_text(&call->caller_alias, dial->caller_alias) < 0 ||
        wzp_signal_set_text(&call->dialled_number, dial->dialled_number) < 0) {
        client_call_discard(client, call);
        return -ENOMEM;
    }
    memcpy(call->peer, target, sizeof call->peer);
    call->hide_addresses = dial->hide_addresses;
    fill_call_id(client, call->call_id);
    *ret_call = call->id;
    if (dial->hide_addresses) {
        place_offer(client, call, now_us);
        return 0;
    }
    call->state = CLIENT_REFLECTING;
    call->deadline_us = now_us + (uint64_t)WZP_CLIENT_REFLECT_MS * WZP_CLIENT_MS;
    client_reflect_start(client, now_us);
    return 0;
}

static void on_ringing(struct wzp_client *client, struct wzp_client_call *call)
{
    if (call->state != CLIENT_OFFERED || call->ringing_seen) {
        client->stats.unexpected_signals++;
        return;
    }
    call->ringing_seen = true;
    client_push(client, client_event(client, call, WZP_LINE_RINGING));
}

static void mark_answered(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    call->state = CLIENT_ANSWERED;
    call->answered_seen = true;
    call->deadline_us = WZP_CLIENT_NEVER;
    call->media_deadline_us = now_us + client->media_us;
}

/** Strict: whoever answered has not shown that it is the peer. */
static void refuse_unsigned_answer(struct wzp_client *client, struct wzp_client_call *call)
{
    client->stats.refused_unsigned++;
    client_call_send_hangup(client, call, WZP_HANGUP_ERROR);
    client_call_end(client, call, WZP_LINE_END_REFUSED, WZP_HANGUP_ERROR, "the answer is not signed by the callee");
}

static void on_answer(struct wzp_client *client, struct wzp_client_call *call, struct wzp_signal *signal,
                      uint64_t now_us)
{
    if (call->state != CLIENT_OFFERED) {
        client->stats.unexpected_signals++;
        return;
    }
    if (signal->answer.accept_mode == WZP_ACCEPT_REJECT) {
        client_call_end(client, call, WZP_LINE_END_HANGUP, WZP_HANGUP_DECLINED, "rejected");
        return;
    }
    call->own_kind = client_answer_is_own_kind(client, call, signal);
    if (client->strict && !call->own_kind) {
        refuse_unsigned_answer(client, call);
        return;
    }
    mark_answered(client, call, now_us);
    call->accept_mode = signal->answer.accept_mode;
    call->peer_has_build = signal->answer.callee_build_version != NULL;
    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_ANSWERED);
    if (!effect)
        return;
    effect->owned_signal = *signal;
    *signal = (struct wzp_signal){ 0 };
    effect->event.accept_mode = effect->owned_signal.answer.accept_mode;
    effect->event.callee_reflexive_addr = effect->owned_signal.answer.callee_reflexive_addr;
    effect->event.own_kind = call->own_kind;
    client_push(client, effect);
}

int wzp_client_join(struct wzp_client *client, const struct wzp_line_room *room, uint64_t now_us, uint64_t *ret_call)
{
    char sni[WZP_CLIENT_SNI_SIZE];
    struct wz_addr peer = { 0 };
    if (wzp_room_name_to_sni(room->name, sni) < 0 ||
        (room->peer_direct_addr && (wz_addr_parse(room->peer_direct_addr, &peer) < 0 || peer.port == 0)))
        return -EINVAL;
    if (client->stats.calls >= WZP_CLIENT_MAX_CALLS)
        return -ENOSPC;
    struct wzp_client_call *call = client_call_new(client, CLIENT_ROOM);
    if (!call)
        return -ENOMEM;
    memcpy(call->room, sni, sizeof call->room);
    call->media_deadline_us = now_us + client->media_us;
    call->state = CLIENT_JOINING;
    call->media_addr = client->relay;
    if (client_dial(client, &call->media, call->id, &client->relay, call->room, false) < 0) {
        client_call_discard(client, call);
        return -ENOMEM;
    }
    client_direct_plan_room(client, call, &peer, &call->plan);
    client_path_start(client, call, now_us);
    *ret_call = call->id;
    return 0;
}

/* ---- incoming ---- */

/** The media room of such an id can be joined: short, DNS syntax, no capitals (spec 2.4). */
static bool call_id_is_usable(const char *call_id)
{
    char room[WZP_CLIENT_SNI_SIZE], lower[WZP_CLIENT_SNI_SIZE];
    if (call_id[0] == '\0' || strlen(call_id) > WZP_CALL_ID_MAX)
        return false;
    (void)snprintf(room, sizeof room, WZP_ROOM_CALL_PREFIX "%s", call_id);
    memcpy(lower, room, sizeof lower);
    wzp_room_name_lower(lower);
    return strcmp(room, lower) == 0 && wzp_room_name_is_sni(room);
}

/** Refuse an offer that never became a call of ours. */
static void refuse_offer(struct wzp_client *client, const struct wzp_signal *signal, enum wzp_hangup_reason reason)
{
    if (client->relay_build) {
        send_hangup(client, NULL, signal->offer.call_id, reason);
        return;
    }
    const struct wzp_signal answer = {
        .kind = WZP_SIG_DIRECT_CALL_ANSWER,
        .answer = { .call_id = signal->offer.call_id, .accept_mode = WZP_ACCEPT_REJECT },
    };
    client_send(client, &client->signal, NULL, &answer);
}

/** The offer moves into the event. */
static void announce_incoming(struct wzp_client *client, struct wzp_client_effect *effect,
                              const struct wzp_client_call *call, struct wzp_signal *signal)
{
    effect->event.own_kind = call->own_kind;
    effect->owned_signal = *signal;
    *signal = (struct wzp_signal){ 0 };
    const struct wzp_signal *offer = &effect->owned_signal;
    (void)snprintf(effect->text, sizeof effect->text, "%s", call->peer);
    effect->event.caller_fingerprint = effect->text;
    effect->event.caller_alias = offer->offer.caller_alias;
    effect->event.dialled_number = offer->offer.dialled_number;
    effect->event.caller_reflexive_addr = offer->offer.caller_reflexive_addr;
    effect->event.caller_local_addrs = &offer->offer.caller_local_addrs;
    client_push(client, effect);
}

static struct wzp_client_call *new_incoming(struct wzp_client *client, const struct wzp_signal *signal,
                                            const char *caller, uint64_t now_us)
{
    if (client->stats.calls >= WZP_CLIENT_MAX_CALLS)
        return NULL;
    struct wzp_client_call *call = client_call_new(client, CLIENT_INCOMING);
    if (!call)
        return NULL;
    call->state = CLIENT_RINGING;
    call->known_us = now_us;
    call->deadline_us = now_us + (uint64_t)WZP_CLIENT_INCOMING_MS * WZP_CLIENT_MS;
    call->peer_has_build = signal->offer.caller_build_version != NULL;
    call->own_kind = client_offer_is_own_kind(client, signal);
    (void)snprintf(call->peer, sizeof call->peer, "%s", caller);
    (void)snprintf(call->call_id, sizeof call->call_id, "%s", signal->offer.call_id);
    return call;
}

static void on_offer(struct wzp_client *client, struct wzp_signal *signal, uint64_t now_us)
{
    char caller[WZP_FINGERPRINT_TEXT], target[WZP_FINGERPRINT_TEXT];
    if (wzp_fingerprint_normalise(signal->offer.caller_fingerprint, caller) < 0 ||
        wzp_fingerprint_normalise(signal->offer.target_fingerprint, target) < 0 ||
        strcmp(target, client->identity.fingerprint) != 0) {
        client->stats.refused_bad++;
        return;
    }
    if (client_call_by_id(client, signal->offer.call_id)) {
        /* Any answer would name, and so end, the call that has the id already. */
        client->stats.refused_duplicate++;
        return;
    }
    if (!call_id_is_usable(signal->offer.call_id)) {
        client->stats.refused_bad++;
        if (strlen(signal->offer.call_id) <= WZP_CALL_ID_MAX)
            refuse_offer(client, signal, WZP_HANGUP_ERROR);
        return;
    }
    if (client->strict && !client_offer_is_own_kind(client, signal)) {
        client->stats.refused_unsigned++;
        refuse_offer(client, signal, WZP_HANGUP_ERROR);
        return;
    }
    struct wzp_client_call *call = new_incoming(client, signal, caller, now_us);
    struct wzp_client_effect *effect = call ? client_event(client, call, WZP_LINE_INCOMING) : NULL;
    if (!effect) {
        client->stats.refused_limit++;
        refuse_offer(client, signal, WZP_HANGUP_BUSY);
        if (call)
            client_call_discard(client, call);
        return;
    }
    client->stats.offers_in++;
    announce_incoming(client, effect, call, signal);
}

static void accept_call(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    client_send_answer(client, call, call->accept_mode);
    mark_answered(client, call, now_us);
}

int wzp_client_answer(struct wzp_client *client, uint64_t id, enum wzp_accept_mode mode, uint64_t now_us)
{
    struct wzp_client_call *call = client_call_find(client, id);
    if (!call || call->kind != CLIENT_INCOMING || call->state != CLIENT_RINGING)
        return -EPROTO;
    call->accept_mode = mode;
    switch (mode) {
    case WZP_ACCEPT_REJECT:
        wzp_client_hangup(client, id, WZP_HANGUP_DECLINED, now_us);
        break;
    case WZP_ACCEPT_GENERIC:
        accept_call(client, call, now_us);
        break;
    case WZP_ACCEPT_TRUSTED:
        call->state = CLIENT_REFLECTING;
        call->deadline_us = now_us + (uint64_t)WZP_CLIENT_REFLECT_MS * WZP_CLIENT_MS;
        client_reflect_start(client, now_us);
        break;
    }
    return 0;
}

/* ---- both ---- */

static void on_setup(struct wzp_client *client, struct wzp_client_call *call, struct wzp_signal *signal,
                     uint64_t now_us)
{
    /* A caller may be set up by a relay that kept the answer to itself. */
    if (call->state == CLIENT_OFFERED && client->strict) {
        refuse_unsigned_answer(client, call);
        return;
    }
    if (call->state == CLIENT_OFFERED)
        mark_answered(client, call, now_us);
    if (call->state != CLIENT_ANSWERED) {
        client->stats.unexpected_signals++;
        return;
    }
    const char *room = signal->setup.room;
    if (wzp_room_name_is_sni(room))
        (void)snprintf(call->room, sizeof call->room, "%s", room);
    else
        (void)snprintf(call->room, sizeof call->room, WZP_ROOM_CALL_PREFIX "%s", call->call_id);
    wzp_room_name_lower(call->room);
    client_direct_plan(client, call, signal, &call->plan);

    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_SETUP);
    char relay_addr[WZ_ADDR_TEXT_MAX] = "";
    if (strlen(signal->setup.relay_addr) < sizeof relay_addr)
        (void)snprintf(relay_addr, sizeof relay_addr, "%s", signal->setup.relay_addr);
    if (effect) {
        effect->owned_signal = *signal;
        *signal = (struct wzp_signal){ 0 };
        effect->event.room = effect->owned_signal.setup.room;
        effect->event.relay_addr = effect->owned_signal.setup.relay_addr;
        effect->event.peer_direct_addr = effect->owned_signal.setup.peer_direct_addr;
        effect->event.peer_local_addrs = &effect->owned_signal.setup.peer_local_addrs;
        client_push(client, effect);
    }
    client_media_start(client, call, relay_addr, now_us);
    client_path_start(client, call, now_us);
}

/** The peer's result, of this very call. One that comes before our race waits for it. */
static void on_path_report(struct wzp_client *client, struct wzp_client_call *call, bool direct_ok, uint64_t now_us)
{
    if (wzp_race_is_direct(&call->race))
        client_path_note_failure(call, "the peer has left the direct path");
    if (client_call_is_answered(call) && call->state != CLIENT_ANSWERED)
        client_path_step(client, call, &(struct wzp_race_event){ .kind = WZP_RACE_PEER_REPORT, .ok = direct_ok },
                         now_us);
    else
        call->early_report = direct_ok ? CLIENT_REPORT_DIRECT : CLIENT_REPORT_RELAY;
}

void client_call_message(struct wzp_client *client, struct wzp_signal *signal, uint64_t now_us)
{
    if (signal->kind == WZP_SIG_DIRECT_CALL_OFFER) {
        on_offer(client, signal, now_us);
        return;
    }
    const char *call_id = signal->kind == WZP_SIG_DIRECT_CALL_ANSWER ? signal->answer.call_id
                          : signal->kind == WZP_SIG_CALL_RINGING     ? signal->ringing.call_id
                          : signal->kind == WZP_SIG_CALL_SETUP       ? signal->setup.call_id
                                                                     : signal->path_report.call_id;
    struct wzp_client_call *call = client_call_by_id(client, call_id);
    if (!call) {
        client->stats.unknown_calls++;
        return;
    }
    switch (signal->kind) {
    case WZP_SIG_DIRECT_CALL_ANSWER:
        on_answer(client, call, signal, now_us);
        break;
    case WZP_SIG_CALL_RINGING:
        on_ringing(client, call);
        break;
    case WZP_SIG_CALL_SETUP:
        on_setup(client, call, signal, now_us);
        break;
    default:
        on_path_report(client, call, signal->path_report.direct_ok, now_us);
        break;
    }
}

static void go_on_after_reflect(struct wzp_client *client, struct wzp_client_call *call, bool reflected,
                                uint64_t now_us)
{
    call->reflected = reflected;
    if (call->kind == CLIENT_OUTGOING)
        place_offer(client, call, now_us);
    else
        accept_call(client, call, now_us);
}

void client_call_reflected(struct wzp_client *client, uint64_t now_us)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls) {
        struct wzp_client_call *call = wz_container_of(pos, struct wzp_client_call, node);
        if (call->state == CLIENT_REFLECTING)
            go_on_after_reflect(client, call, true, now_us);
    }
}

void client_call_signal_lost(struct wzp_client *client)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls) {
        struct wzp_client_call *call = wz_container_of(pos, struct wzp_client_call, node);
        /* Without CallSetup there is no room to go to. A call whose media runs goes on. */
        if (!client_call_is_answered(call) || call->state == CLIENT_ANSWERED)
            client_call_end(client, call, WZP_LINE_END_RELAY_DOWN, WZP_HANGUP_ERROR, "the relay is gone");
    }
}

void wzp_client_hangup(struct wzp_client *client, uint64_t id, enum wzp_hangup_reason reason, uint64_t now_us)
{
    struct wzp_client_call *call = client_call_find(client, id);
    if (!call)
        return;
    client_call_send_hangup(client, call, reason);
    client_call_end(client, call, WZP_LINE_END_LOCAL, reason, "hung up here");
    client_hangup_review(client, now_us);
}

void client_call_tick(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    if (wzp_race_deadline_us(&call->race) <= now_us) {
        client_path_tick(client, call, now_us);
        return; /* it may be gone; what else is due comes next */
    }
    if (call->media_deadline_us <= now_us) {
        client_call_send_hangup(client, call, WZP_HANGUP_ERROR);
        client_call_end(client, call, WZP_LINE_END_NO_MEDIA, WZP_HANGUP_ERROR,
                        call->media_failure[0] ? call->media_failure : "no media path in time");
        return;
    }
    if (call->deadline_us > now_us) {
        client_media_tick(client, call, now_us);
        return;
    }
    switch (call->state) {
    case CLIENT_REFLECTING:
        go_on_after_reflect(client, call, false, now_us);
        break;
    case CLIENT_OFFERED:
    case CLIENT_RINGING:
        client_call_send_hangup(client, call, WZP_HANGUP_TIMEOUT);
        client_call_end(client, call, WZP_LINE_END_NO_ANSWER, WZP_HANGUP_TIMEOUT, "no answer");
        break;
    case CLIENT_ANSWERED:
    case CLIENT_JOINING:
    case CLIENT_UP:
    case CLIENT_DOWN:
        client_media_deadline(client, call, now_us);
        break;
    }
}
