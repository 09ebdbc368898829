/* The reference's race, by its clock: direct from the start, the relay from 1.0 s on, direct given up at 2.0 s, the relay at
 * 5.5 s; who comes second has another second; then both sides' reports decide within 3 s. */
#include "tests/support/net_reference_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RELAY_AT_US   (1000u * REF_MS)
#define DIRECT_END_US (2000u * REF_MS)
#define RELAY_END_US  (5500u * REF_MS)
#define LOSER_US      (1000u * REF_MS)
#define AGREE_US      (3000u * REF_MS)

static uint64_t now_of(const struct net_reference *ref)
{
    return ref->client->net->v.now_us;
}

/* ---- the relay's room ---- */

static void dial_relay(struct net_reference *ref)
{
    ref->race.relay_dialled = true;
    ref->relay = vquic_dial(ref->client->endpoint, &ref->relay_addr, ref->room, false);
}

static void send_call_offer(struct net_reference *ref)
{
    struct wzp_handshake handshake;
    struct wzp_signal offer = { 0 };
    char *json = NULL;
    size_t len = 0;
    assert_int_equal(wzp_handshake_init(&handshake, &ref->client->net->rng), 0);
    assert_int_equal(wzp_handshake_offer(&handshake, &ref->identity, NULL, &offer), 0);
    assert_int_equal(wzp_signal_encode(&offer, &json, &len), 0);
    vquic_send(ref->relay, wz_bytes(json, len));
    free(json);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
}

static void join_relay(struct net_reference *ref)
{
    ref->state = REF_JOINING;
    if (!ref->relay)
        dial_relay(ref);
    else if (vquic_is_up(ref->relay))
        send_call_offer(ref);
}

static void media_up(struct net_reference *ref, struct vquic_end *end)
{
    struct net_call *call = ref->call;
    ref->state = REF_UP;
    call->up = call->was_up = true;
    call->up_us = now_of(ref);
    if (end->conn->is_direct)
        call->direct_us = call->up_us;
    net_call_use(ref->client, call, end);
    net_trace_event(ref->client, call, (int)WZP_LINE_MEDIA_UP);
}

void ref_media_message(struct net_reference *ref, const struct wzp_signal *signal)
{
    if (signal->kind == WZP_SIG_CALL_ANSWER && ref->state == REF_JOINING)
        media_up(ref, ref->relay);
}

/* ---- the race ---- */

static void close_end(struct vquic_end **end, const char *reason)
{
    if (*end)
        vquic_close(*end, reason);
    *end = NULL;
}

static void drop_dials(struct ref_race *race, const char *reason)
{
    for (size_t i = 0; i < race->dial_count; i++)
        if (race->dial[i] != race->direct)
            close_end(&race->dial[i], reason);
    race->dial_count = 0;
}

static void decide(struct net_reference *ref)
{
    struct ref_race *race = &ref->race;
    race->agree_until_us = VNET_NEVER;
    if (race->direct_result == REF_OK && race->has_report && race->peer_ok) {
        close_end(&ref->relay, "not-selected");
        media_up(ref, race->direct);
    } else {
        close_end(&race->direct, "not-selected");
        join_relay(ref);
    }
}

static void finish(struct net_reference *ref)
{
    struct ref_race *race = &ref->race;
    vquic_set_accept(ref->client->endpoint, VQUIC_HOLD);
    drop_dials(race, "not-selected");
    if (race->relay_result != REF_OK)
        close_end(&ref->relay, "not-selected");
    if (race->direct_result != REF_OK && race->relay_result != REF_OK) {
        join_relay(ref); /* the race is an error: no report */
        return;
    }
    const bool ok = race->direct_result == REF_OK;
    ref_say(ref, ref->signal, "{\"MediaPathReport\":{\"call_id\":\"%s\",\"direct_ok\":%s,\"race_winner\":\"%s\"}}",
            ref->call->call_id, ok ? "true" : "false", ok ? "Direct" : "Relay");
    ref->state = REF_AGREEING;
    race->agree_until_us = now_of(ref) + AGREE_US;
    if (race->has_report)
        decide(ref);
}

static void set_result(struct net_reference *ref, enum ref_result *result, enum ref_result value)
{
    struct ref_race *race = &ref->race;
    if (ref->state != REF_RACING || *result != REF_PENDING)
        return;
    *result = value;
    if (race->first_us == VNET_NEVER)
        race->first_us = now_of(ref);
    if (race->direct_result != REF_PENDING && race->relay_result != REF_PENDING)
        finish(ref);
}

void ref_race_report(struct net_reference *ref, bool peer_ok)
{
    if (ref->state != REF_RACING && ref->state != REF_AGREEING)
        return; /* nobody waits for it */
    ref->race.has_report = true;
    ref->race.peer_ok = peer_ok;
    if (ref->state == REF_AGREEING)
        decide(ref);
}

static void dial_candidate(struct net_reference *ref, const char *text)
{
    struct ref_race *race = &ref->race;
    struct wz_addr to;
    char sni[WZP_CLIENT_SNI_SIZE + 8];
    if (!text || wz_addr_parse(text, &to) < 0 || to.family != WZ_ADDR_V4)
        return;
    for (size_t i = 0; i < race->dial_count; i++)
        if (wz_addr_equal(&race->dial[i]->remote, &to))
            return;
    (void)snprintf(sni, sizeof sni, "call-%s", ref->room);
    race->dial[race->dial_count++] = vquic_dial(ref->client->endpoint, &to, sni, true);
}

void ref_race_start(struct net_reference *ref, const struct wzp_signal *setup)
{
    struct ref_race *race = &ref->race;
    *race = (struct ref_race){ .start_us = now_of(ref), .first_us = VNET_NEVER, .agree_until_us = VNET_NEVER };
    race->role = wzp_candidates_role(ref->reflexive, setup->setup.peer_direct_addr);
    if (ref->client->kind == NET_SEED || race->role == WZP_ROLE_NONE) {
        join_relay(ref);
        return;
    }
    ref->state = REF_RACING;
    if (race->role == WZP_ROLE_ACCEPTOR) {
        vquic_set_accept(ref->client->endpoint, VQUIC_ACCEPT);
        return;
    }
    for (size_t i = 0; i < setup->setup.peer_local_addrs.count; i++)
        dial_candidate(ref, setup->setup.peer_local_addrs.text[i]);
    dial_candidate(ref, setup->setup.peer_direct_addr);
    if (race->dial_count == 0)
        set_result(ref, &race->direct_result, REF_FAILED);
}

static bool direct_connected(struct net_reference *ref, struct vquic_end *end)
{
    struct ref_race *race = &ref->race;
    if (ref->state != REF_RACING || race->direct_result != REF_PENDING) {
        vquic_close(end, "stale");
        return true;
    }
    race->direct = end;
    drop_dials(race, "not-selected");
    if (end->is_server)
        vquic_set_accept(ref->client->endpoint, VQUIC_HOLD);
    set_result(ref, &race->direct_result, REF_OK);
    return true;
}

bool ref_media_connected(struct net_reference *ref, struct vquic_end *end)
{
    if (end->conn->is_direct)
        return direct_connected(ref, end);
    if (end != ref->relay)
        return false;
    if (ref->state == REF_JOINING)
        send_call_offer(ref);
    else
        set_result(ref, &ref->race.relay_result, REF_OK);
    return true;
}

bool ref_media_closed(struct net_reference *ref, const struct vquic_end *end)
{
    struct ref_race *race = &ref->race;
    bool any = false;
    if (end == ref->relay) {
        ref->relay = NULL;
        set_result(ref, &race->relay_result, REF_FAILED);
        return true;
    }
    for (size_t i = 0; i < race->dial_count; i++) {
        race->dial[i] = race->dial[i] == end ? NULL : race->dial[i];
        any = any || race->dial[i];
    }
    if (race->dial_count > 0 && !any) {
        race->dial_count = 0;
        set_result(ref, &race->direct_result, REF_FAILED);
    }
    return end->conn->is_direct;
}

uint64_t ref_race_deadline_us(const struct net_reference *ref)
{
    const struct ref_race *race = &ref->race;
    if (ref->state == REF_AGREEING)
        return race->agree_until_us;
    if (ref->state != REF_RACING)
        return VNET_NEVER;
    uint64_t at_us = race->start_us + RELAY_END_US;
    if (!race->relay_dialled)
        at_us = race->start_us + RELAY_AT_US;
    else if (race->direct_result == REF_PENDING)
        at_us = race->start_us + DIRECT_END_US;
    const uint64_t loser_us = race->first_us == VNET_NEVER ? VNET_NEVER : race->first_us + LOSER_US;
    return loser_us < at_us ? loser_us : at_us;
}

void ref_race_tick(struct net_reference *ref)
{
    struct ref_race *race = &ref->race;
    const uint64_t now_us = now_of(ref);
    if (ref->state == REF_AGREEING && race->agree_until_us <= now_us) {
        decide(ref);
        return;
    }
    if (ref->state != REF_RACING)
        return;
    if (!race->relay_dialled && race->start_us + RELAY_AT_US <= now_us)
        dial_relay(ref);
    if (race->start_us + DIRECT_END_US <= now_us) {
        drop_dials(race, "not-selected");
        set_result(ref, &race->direct_result, REF_FAILED);
    }
    if (race->start_us + RELAY_END_US <= now_us)
        set_result(ref, &race->relay_result, REF_FAILED);
    if (ref->state == REF_RACING && race->first_us != VNET_NEVER && race->first_us + LOSER_US <= now_us)
        finish(ref);
}

void ref_race_close(struct net_reference *ref, const char *reason)
{
    drop_dials(&ref->race, reason);
    close_end(&ref->race.direct, reason);
    close_end(&ref->relay, reason);
    vquic_set_accept(ref->client->endpoint, ref->client->kind == NET_SEED ? VQUIC_REFUSE : VQUIC_HOLD);
}
