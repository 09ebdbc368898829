/* Calls of the client core: offers, answers, addresses, ring timers, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_world.h"

#define BUILD "9377a90"

static int new_relay(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = BUILD, .share_local_addrs = true });
    return 0;
}

static int old_relay(void **state)
{
    *state = world_new(&(struct client_world_options){ .share_local_addrs = true });
    return 0;
}

static int end_world(void **state)
{
    world_free(*state);
    return 0;
}

static uint64_t dial(struct client_world *w, bool hide_addresses)
{
    uint64_t call = 0;
    const struct wzp_line_dial to = {
        .target_fingerprint = w->peer.fingerprint,
        .caller_alias = "Alice",
        .dialled_number = "030123",
        .hide_addresses = hide_addresses,
    };
    assert_int_equal(wzp_client_call(w->client, &to, w->now_us, &call), 0);
    world_drain(w);
    return call;
}

static void know_a_host(struct client_world *w)
{
    struct wzp_line_addresses known = { .host_count = 1 };
    assert_int_equal(wz_addr_parse("192.168.1.10:40001", &known.host[0]), 0);
    wzp_client_set_addresses(w->client, &known);
}

/* ---- outgoing ---- */

static void call_reflects_before_it_offers(void **state)
{
    struct client_world *w = *state;
    dial(w, false);
    assert_int_equal(world_sent(w, WZP_SIG_REFLECT), 1);
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_OFFER), 0);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_OFFER), 1);
}

static void offer_says_who_calls_whom_from_where(void **state)
{
    struct client_world *w = *state;
    know_a_host(w);
    dial(w, false);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_OFFER);
    assert_string_equal(sig.offer.caller_fingerprint, wzp_client_fingerprint(w->client));
    assert_string_equal(sig.offer.target_fingerprint, w->peer.fingerprint);
    assert_string_equal(sig.offer.caller_alias, "Alice");
    assert_string_equal(sig.offer.dialled_number, "030123");
    assert_string_equal(sig.offer.caller_build_version, "test-1");
    assert_string_equal(sig.offer.caller_reflexive_addr, WORLD_ADDR);
    assert_int_equal(sig.offer.caller_local_addrs.count, 1);
    assert_string_equal(sig.offer.caller_local_addrs.text[0], "192.168.1.10:40001");
    assert_int_equal(strspn(sig.offer.call_id, "0123456789abcdef"), 32);
    assert_int_equal(strlen(sig.offer.call_id), 32);
    assert_int_equal(sig.offer.profile_count, 1);
    assert_int_equal(sig.offer.profile[0].codec, WZP_CODEC_OPUS_24K);
    wzp_signal_done(&sig);
}

static void offer_signature_covers_key_target_and_call(void **state)
{
    struct client_world *w = *state;
    world_place_call(w);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_OFFER);
    const struct wzp_signed_keys *keys = &sig.offer.keys;
    char message[32 + 39 + 32 + 1];
    memcpy(message, keys->ephemeral_pub, 32);
    (void)snprintf(message + 32, sizeof message - 32, "%s%s", w->peer.fingerprint, sig.offer.call_id);
    assert_int_equal(keys->signature_len, 64);
    assert_int_equal(wzp_verify(keys->identity_pub, wz_bytes(message, sizeof message - 1), keys->signature), 0);
    wzp_signal_done(&sig);
}

static void offer_goes_without_address_when_reflect_takes_over_a_second(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), 0);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    dial(w, false);
    world_advance_ms(w, 999);
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_OFFER), 0);
    world_advance_ms(w, 1);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_OFFER);
    assert_null(sig.offer.caller_reflexive_addr); /* an older answer may be stale */
    wzp_signal_done(&sig);
}

static void one_reflect_serves_all_calls_that_wait(void **state)
{
    struct client_world *w = *state;
    for (int i = 0; i < 10; i++)
        dial(w, false);
    assert_int_equal(world_sent(w, WZP_SIG_REFLECT), 1);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_OFFER), 10);
}

static void other_business_goes_on_while_a_call_reflects(void **state)
{
    struct client_world *w = *state;
    dial(w, false);
    assert_true(world_offer(w, "feed", BUILD) != 0);
    dial(w, true);
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_OFFER), 1);
}

static void hidden_addresses_are_neither_asked_for_nor_sent(void **state)
{
    struct client_world *w = *state;
    know_a_host(w);
    dial(w, true);
    assert_int_equal(world_sent(w, WZP_SIG_REFLECT), 0);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_OFFER);
    assert_null(sig.offer.caller_reflexive_addr);
    assert_int_equal(sig.offer.caller_local_addrs.count, 0);
    wzp_signal_done(&sig);
}

static void two_public_mappings_advertise_no_reflexive_address(void **state)
{
    struct client_world *w = *state;
    struct wzp_line_addresses known = { .stun_count = 1 };
    assert_int_equal(wz_addr_parse("203.0.113.5:50001", &known.stun[0]), 0);
    wzp_client_set_addresses(w->client, &known);
    world_place_call(w);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_OFFER);
    assert_null(sig.offer.caller_reflexive_addr);
    wzp_signal_done(&sig);
}

static void call_needs_a_registration_and_a_fingerprint_that_is_not_our_own(void **state)
{
    struct client_world *w = *state;
    uint64_t call = 7;
    struct wzp_line_dial to = { .target_fingerprint = "bob" };
    assert_int_equal(wzp_client_call(w->client, &to, w->now_us, &call), -EINVAL);
    to.target_fingerprint = wzp_client_fingerprint(w->client);
    assert_int_equal(wzp_client_call(w->client, &to, w->now_us, &call), -EINVAL);
    world_closed(w, w->signal, "gone");
    to.target_fingerprint = w->peer.fingerprint;
    assert_int_equal(wzp_client_call(w->client, &to, w->now_us, &call), -ENOTCONN);
    assert_int_equal(call, 7);
    assert_int_equal(wzp_client_stats(w->client)->calls, 0);
}

static void ringing_is_told_once(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_say(w, w->signal, "{\"CallRinging\":{\"call_id\":\"%s\"}}", world_call_id(w, call));
    world_say(w, w->signal, "{\"CallRinging\":{\"call_id\":\"%s\"}}", world_call_id(w, call));
    assert_int_equal(world_events(w, WZP_LINE_RINGING), 1);
    assert_int_equal(world_event_call(w, WZP_LINE_RINGING), call);
}

static void accepting_answer_is_told_with_its_mode(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_say(w, w->signal,
              "{\"DirectCallAnswer\":{\"call_id\":\"%s\",\"accept_mode\":\"AcceptTrusted\","
              "\"callee_reflexive_addr\":\"192.0.2.9:1\"}}",
              world_call_id(w, call));
    const struct wzp_line_event *event = world_event(w, WZP_LINE_ANSWERED);
    assert_int_equal(event->accept_mode, WZP_ACCEPT_TRUSTED);
    assert_string_equal(event->callee_reflexive_addr, "192.0.2.9:1");
    assert_false(event->own_kind);
}

static void signed_answer_marks_our_own_kind(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    char id[WZP_CALL_ID_MAX + 1];
    (void)snprintf(id, sizeof id, "%s", world_call_id(w, call));
    struct wzp_signal sig = { .kind = WZP_SIG_DIRECT_CALL_ANSWER };
    sig.answer.call_id = id;
    sig.answer.accept_mode = WZP_ACCEPT_GENERIC;
    struct wzp_signed_keys *keys = &sig.answer.keys;
    keys->has_identity = keys->has_ephemeral = true;
    memcpy(keys->identity_pub, w->peer.ed25519_public, 32);
    memset(keys->ephemeral_pub, 5, 32);
    keys->signature_len = 64;
    assert_int_equal(
        wzp_sign_direct_answer(&w->peer, keys->ephemeral_pub, wzp_client_fingerprint(w->client), id, keys->signature),
        0);
    world_say_signal(w, w->signal, &sig);
    assert_true(world_event(w, WZP_LINE_ANSWERED)->own_kind);
}

static void rejecting_answer_ends_the_call_as_declined(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_say(w, w->signal, "{\"DirectCallAnswer\":{\"call_id\":\"%s\",\"accept_mode\":\"Reject\"}}",
              world_call_id(w, call));
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_HANGUP);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->hangup_reason, WZP_HANGUP_DECLINED);
}

static void unanswered_call_ends_after_the_ring_time_and_tells_the_relay(void **state)
{
    struct client_world *w = *state;
    world_place_call(w);
    world_advance_ms(w, 59999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_NO_ANSWER);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_HANGUP);
    assert_int_equal(sig.hangup.reason, WZP_HANGUP_TIMEOUT);
    assert_non_null(sig.hangup.call_id);
    wzp_signal_done(&sig);
}

static void answered_call_rings_no_more(void **state)
{
    struct client_world *w = *state;
    world_talk(w, NULL);
    world_advance_ms(w, 120000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void cancel_while_reflecting_sends_nothing(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = dial(w, false);
    wzp_client_hangup(w->client, call, WZP_HANGUP_NORMAL, w->now_us);
    world_drain(w);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_LOCAL);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 0);
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_OFFER), 0);
}

static void cancel_of_an_offer_names_the_call(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    char id[WZP_CALL_ID_MAX + 1];
    (void)snprintf(id, sizeof id, "%s", world_call_id(w, call));
    wzp_client_hangup(w->client, call, WZP_HANGUP_NORMAL, w->now_us);
    wzp_client_hangup(w->client, call, WZP_HANGUP_NORMAL, w->now_us); /* over already */
    world_drain(w);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_HANGUP);
    assert_string_equal(sig.hangup.call_id, id);
    wzp_signal_done(&sig);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 1);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 1);
}

static void lost_relay_ends_what_is_not_set_up(void **state)
{
    struct client_world *w = *state;
    world_talk(w, NULL);
    world_place_call(w);
    world_offer(w, "feed", BUILD);
    const uint64_t answered = world_place_call(w);
    world_answer(w, answered, NULL);
    world_closed(w, w->signal, "idle");
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 3);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_RELAY_DOWN);
    assert_int_equal(wzp_client_stats(w->client)->calls, 1);
}

static void messages_about_unknown_calls_are_counted(void **state)
{
    struct client_world *w = *state;
    world_say(w, w->signal, "{\"CallRinging\":{\"call_id\":\"x\"}}");
    world_say(w, w->signal, "{\"DirectCallAnswer\":{\"call_id\":\"x\",\"accept_mode\":\"AcceptGeneric\"}}");
    world_say(w, w->signal, "{\"CallSetup\":{\"call_id\":\"x\",\"room\":\"call-x\",\"relay_addr\":\"1.2.3.4:5\"}}");
    world_say(w, w->signal, "{\"MediaPathReport\":{\"call_id\":\"x\",\"direct_ok\":true}}");
    world_say(w, w->signal, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"x\"}}");
    assert_int_equal(wzp_client_stats(w->client)->unknown_calls, 5);
    assert_true(wz_list_is_empty(&w->effects));
}

static void call_beyond_the_limit_is_refused(void **state)
{
    struct client_world *w = *state;
    for (int i = 0; i < WZP_CLIENT_MAX_CALLS; i++)
        dial(w, true);
    const struct wzp_line_dial to = { .target_fingerprint = w->peer.fingerprint };
    uint64_t call = 0;
    assert_int_equal(wzp_client_call(w->client, &to, w->now_us, &call), -ENOSPC);
    assert_int_equal(wzp_client_join(w->client, &(struct wzp_line_room){ .name = "ops" }, w->now_us, &call), -ENOSPC);
}

/* ---- incoming ---- */

static void offer_is_announced_with_all_it_says(void **state)
{
    struct client_world *w = *state;
    world_say(w, w->signal,
              "{\"DirectCallOffer\":{\"caller_fingerprint\":\"%s\",\"caller_alias\":\"Bob\",\"target_"
              "fingerprint\":\"%s\","
              "\"call_id\":\"feed\",\"identity_pub\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
              "1,1,1,1,1],"
              "\"ephemeral_pub\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"
              "\"signature\":[],"
              "\"supported_profiles\":[],\"caller_reflexive_addr\":\"192.0.2.7:9\",\"caller_local_addrs\":["
              "\"10.0.0.1:9\"],"
              "\"dialled_number\":\"911\"}}",
              w->peer.fingerprint, wzp_client_fingerprint(w->client));
    const struct wzp_line_event *event = world_event(w, WZP_LINE_INCOMING);
    assert_string_equal(event->call_id, "feed");
    assert_string_equal(event->caller_fingerprint, w->peer.fingerprint);
    assert_string_equal(event->caller_alias, "Bob");
    assert_string_equal(event->dialled_number, "911");
    assert_string_equal(event->caller_reflexive_addr, "192.0.2.7:9");
    assert_string_equal(event->caller_local_addrs->text[0], "10.0.0.1:9");
    assert_false(event->own_kind);
}

static struct wzp_signal signed_offer(struct client_world *w, const struct wzp_identity *signer, char *own, char *id)
{
    struct wzp_signal sig = { .kind = WZP_SIG_DIRECT_CALL_OFFER };
    sig.offer.caller_fingerprint = w->peer.fingerprint;
    sig.offer.target_fingerprint = own;
    sig.offer.call_id = id;
    struct wzp_signed_keys *keys = &sig.offer.keys;
    keys->has_identity = keys->has_ephemeral = true;
    memcpy(keys->identity_pub, signer->ed25519_public, 32);
    memset(keys->ephemeral_pub, 5, 32);
    keys->signature_len = 64;
    assert_int_equal(wzp_sign_direct_offer(signer, keys->ephemeral_pub, own, id, keys->signature), 0);
    return sig;
}

static void signed_offer_marks_our_own_kind_only_when_the_key_is_the_callers(void **state)
{
    struct client_world *w = *state;
    char own[WZP_FINGERPRINT_TEXT], good[] = "a1", forged[] = "a2", wrong[] = "a3";
    (void)snprintf(own, sizeof own, "%s", wzp_client_fingerprint(w->client));
    struct wzp_signal sig = signed_offer(w, &w->peer, own, good);
    world_say_signal(w, w->signal, &sig);
    assert_true(world_event(w, WZP_LINE_INCOMING)->own_kind);
    sig = signed_offer(w, &w->relay, own, forged); /* valid, but another's key */
    world_say_signal(w, w->signal, &sig);
    assert_string_equal(world_event(w, WZP_LINE_INCOMING)->call_id, "a2");
    assert_false(world_event(w, WZP_LINE_INCOMING)->own_kind);
    sig = signed_offer(w, &w->peer, own, wrong);
    sig.offer.keys.signature[3] ^= 1;
    world_say_signal(w, w->signal, &sig);
    assert_false(world_event(w, WZP_LINE_INCOMING)->own_kind);
}

static void generic_answer_keeps_addresses_private(void **state)
{
    struct client_world *w = *state;
    know_a_host(w);
    const uint64_t call = world_offer(w, "feed", BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_GENERIC, w->now_us), 0);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_REFLECT), 0);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    assert_int_equal(sig.answer.accept_mode, WZP_ACCEPT_GENERIC);
    assert_null(sig.answer.callee_reflexive_addr);
    assert_int_equal(sig.answer.callee_local_addrs.count, 0);
    assert_true(sig.answer.has_profile);
    assert_string_equal(sig.answer.callee_build_version, "test-1");
    wzp_signal_done(&sig);
}

static void trusted_answer_reflects_and_tells_addresses(void **state)
{
    struct client_world *w = *state;
    know_a_host(w);
    const uint64_t call = world_offer(w, "feed", BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_TRUSTED, w->now_us), 0);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_ANSWER), 0);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    assert_string_equal(sig.answer.callee_reflexive_addr, WORLD_ADDR);
    assert_string_equal(sig.answer.callee_local_addrs.text[0], "192.168.1.10:40001");
    wzp_signal_done(&sig);
}

/** Answers as trusted, with a public address and a host at hand; whether the answer tells any. */
static bool trusted_answer_tells_addresses(struct client_world *w, uint64_t call)
{
    know_a_host(w);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_TRUSTED, w->now_us), 0);
    world_drain(w);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    const bool told = sig.answer.callee_reflexive_addr || sig.answer.callee_local_addrs.count > 0;
    wzp_signal_done(&sig);
    return told;
}

static void trusted_answer_to_a_caller_without_a_build_tells_no_address(void **state)
{
    struct client_world *w = *state;
    assert_false(trusted_answer_tells_addresses(w, world_offer(w, "feed", NULL)));
    assert_true(trusted_answer_tells_addresses(w, world_offer_signed(w, "beef", NULL)));
}

static void trusted_answer_at_an_old_relay_tells_addresses_to_our_own_kind_only(void **state)
{
    struct client_world *w = *state;
    assert_false(trusted_answer_tells_addresses(w, world_offer(w, "feed", BUILD)));
    assert_true(trusted_answer_tells_addresses(w, world_offer_signed(w, "beef", NULL)));
}

static void trusted_answer_goes_after_a_second_without_reflect(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_TRUSTED, w->now_us), 0);
    world_advance_ms(w, 1000);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    assert_int_equal(sig.answer.accept_mode, WZP_ACCEPT_TRUSTED);
    assert_null(sig.answer.callee_reflexive_addr);
    wzp_signal_done(&sig);
}

static void answer_signature_covers_key_caller_and_call(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_GENERIC, w->now_us), 0);
    world_drain(w);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    const struct wzp_signed_keys *keys = &sig.answer.keys;
    char message[32 + 39 + 4 + 1];
    memcpy(message, keys->ephemeral_pub, 32);
    (void)snprintf(message + 32, sizeof message - 32, "%sfeed", w->peer.fingerprint);
    assert_int_equal(wzp_verify(keys->identity_pub, wz_bytes(message, sizeof message - 1), keys->signature), 0);
    wzp_signal_done(&sig);
}

static void answers_choose_the_good_profile_and_tell_our_build(void **state)
{
    struct client_world *w = *state;
    static const enum wzp_accept_mode modes[] = { WZP_ACCEPT_REJECT, WZP_ACCEPT_GENERIC, WZP_ACCEPT_TRUSTED };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char id[] = { 'a', (char)('0' + i), '\0' };
        const uint64_t call = world_offer(w, id, BUILD);
        assert_int_equal(wzp_client_answer(w->client, call, modes[i], w->now_us), 0);
        world_advance_ms(w, 1000);
        struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
        assert_int_equal(sig.answer.accept_mode, modes[i]);
        assert_true(sig.answer.has_profile);
        assert_memory_equal(&sig.answer.chosen_profile, &wzp_profile_good, sizeof wzp_profile_good);
        assert_string_equal(sig.answer.callee_build_version, "test-1");
        wzp_signal_done(&sig);
    }
}

static void second_answer_is_an_error(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_GENERIC, w->now_us), 0);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_TRUSTED, w->now_us), -EPROTO);
    assert_int_equal(wzp_client_answer(w->client, world_place_call(w), WZP_ACCEPT_TRUSTED, w->now_us), -EPROTO);
    assert_int_equal(wzp_client_answer(w->client, 12345, WZP_ACCEPT_TRUSTED, w->now_us), -EPROTO);
}

static void reject_ends_the_call_here_with_an_answer(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_REJECT, w->now_us), 0);
    world_drain(w);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    assert_int_equal(sig.answer.accept_mode, WZP_ACCEPT_REJECT);
    wzp_signal_done(&sig);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_LOCAL);
}

static void busy_is_a_hangup_at_a_new_relay(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", BUILD);
    wzp_client_hangup(w->client, call, WZP_HANGUP_BUSY, w->now_us);
    world_drain(w);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_HANGUP);
    assert_int_equal(sig.hangup.reason, WZP_HANGUP_BUSY);
    assert_string_equal(sig.hangup.call_id, "feed");
    wzp_signal_done(&sig);
}

static void declined_is_a_reject_at_any_relay(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", BUILD);
    wzp_client_hangup(w->client, call, WZP_HANGUP_DECLINED, w->now_us);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 0);
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_ANSWER), 1);
}

static void busy_is_a_reject_at_an_old_relay(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", NULL);
    wzp_client_hangup(w->client, call, WZP_HANGUP_BUSY, w->now_us);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 0);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    assert_int_equal(sig.answer.accept_mode, WZP_ACCEPT_REJECT);
    wzp_signal_done(&sig);
}

static void old_relay_hears_no_hangup_while_other_calls_are_up(void **state)
{
    struct client_world *w = *state;
    const uint64_t first = world_talk(w, NULL);
    const uint64_t second = world_talk(w, NULL);
    wzp_client_hangup(w->client, first, WZP_HANGUP_NORMAL, w->now_us);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 0); /* it would end the second too */
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1);
    wzp_client_hangup(w->client, second, WZP_HANGUP_NORMAL, w->now_us);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 1);
}

static void offer_with_an_id_in_use_is_refused_without_hurting_the_call(void **state)
{
    struct client_world *w = *state;
    world_offer(w, "feed", BUILD);
    world_clear(w);
    assert_int_equal(world_offer(w, "feed", BUILD), 0);
    assert_true(wz_list_is_empty(&w->effects));
    assert_int_equal(wzp_client_stats(w->client)->refused_duplicate, 1);
    assert_int_equal(wzp_client_stats(w->client)->calls, 1);
}

static void offer_whose_room_nobody_could_join_is_refused(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(world_offer(w, "FEED", BUILD), 0);
    assert_int_equal(world_offer(w, "a b", BUILD), 0);
    assert_int_equal(world_offer(w, "", BUILD), 0);
    assert_int_equal(world_offer(w, "a123456789a123456789a123456789a123456789a1234567890123", BUILD), 0);
    assert_int_equal(wzp_client_stats(w->client)->refused_bad, 4);
    assert_true(world_offer(w, "a123456789a123456789a123456789a123456789a123456789012", BUILD) != 0); /* 53 */
}

static void offer_for_somebody_else_is_ignored(void **state)
{
    struct client_world *w = *state;
    world_say(w, w->signal,
              "{\"DirectCallOffer\":{\"caller_fingerprint\":\"%s\",\"target_fingerprint\":\"%s\",\"call_id\":"
              "\"feed\","
              "\"identity_pub\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"
              "\"ephemeral_pub\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"
              "\"signature\":[],"
              "\"supported_profiles\":[]}}",
              w->peer.fingerprint, w->relay.fingerprint);
    assert_int_equal(wzp_client_stats(w->client)->refused_bad, 1);
    assert_true(wz_list_is_empty(&w->effects));
}

static void offer_beyond_the_limit_is_answered_busy(void **state)
{
    struct client_world *w = *state;
    for (int i = 0; i < WZP_CLIENT_MAX_CALLS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "id%d", i);
        assert_true(world_offer(w, id, BUILD) != 0);
    }
    assert_int_equal(world_offer(w, "onemore", BUILD), 0);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_HANGUP);
    assert_int_equal(sig.hangup.reason, WZP_HANGUP_BUSY);
    assert_string_equal(sig.hangup.call_id, "onemore");
    wzp_signal_done(&sig);
    assert_int_equal(wzp_client_stats(w->client)->refused_limit, 1);
}

static void offer_beyond_the_limit_is_rejected_at_an_old_relay(void **state)
{
    struct client_world *w = *state;
    for (int i = 0; i < WZP_CLIENT_MAX_CALLS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "id%d", i);
        assert_true(world_offer(w, id, NULL) != 0);
    }
    assert_int_equal(world_offer(w, "onemore", NULL), 0);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 0);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    assert_int_equal(sig.answer.accept_mode, WZP_ACCEPT_REJECT);
    wzp_signal_done(&sig);
}

static void offer_nobody_answers_is_forgotten_after_three_minutes(void **state)
{
    struct client_world *w = *state;
    world_offer(w, "feed", BUILD);
    world_advance_ms(w, 180000);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_NO_ANSWER);
    assert_int_equal(wzp_client_stats(w->client)->calls, 0);
}

int main(void)
{
#define NEW(name) cmocka_unit_test_setup_teardown(name, new_relay, end_world)
#define OLD(name) cmocka_unit_test_setup_teardown(name, old_relay, end_world)
    const struct CMUnitTest tests[] = {
        NEW(call_reflects_before_it_offers),
        NEW(offer_says_who_calls_whom_from_where),
        NEW(offer_signature_covers_key_target_and_call),
        NEW(offer_goes_without_address_when_reflect_takes_over_a_second),
        NEW(one_reflect_serves_all_calls_that_wait),
        NEW(other_business_goes_on_while_a_call_reflects),
        NEW(hidden_addresses_are_neither_asked_for_nor_sent),
        NEW(two_public_mappings_advertise_no_reflexive_address),
        NEW(call_needs_a_registration_and_a_fingerprint_that_is_not_our_own),
        NEW(ringing_is_told_once),
        NEW(accepting_answer_is_told_with_its_mode),
        NEW(signed_answer_marks_our_own_kind),
        NEW(rejecting_answer_ends_the_call_as_declined),
        NEW(unanswered_call_ends_after_the_ring_time_and_tells_the_relay),
        NEW(answered_call_rings_no_more),
        NEW(cancel_while_reflecting_sends_nothing),
        NEW(cancel_of_an_offer_names_the_call),
        NEW(lost_relay_ends_what_is_not_set_up),
        NEW(messages_about_unknown_calls_are_counted),
        NEW(call_beyond_the_limit_is_refused),
        NEW(offer_is_announced_with_all_it_says),
        NEW(signed_offer_marks_our_own_kind_only_when_the_key_is_the_callers),
        NEW(generic_answer_keeps_addresses_private),
        NEW(trusted_answer_reflects_and_tells_addresses),
        NEW(trusted_answer_to_a_caller_without_a_build_tells_no_address),
        OLD(trusted_answer_at_an_old_relay_tells_addresses_to_our_own_kind_only),
        NEW(trusted_answer_goes_after_a_second_without_reflect),
        NEW(answer_signature_covers_key_caller_and_call),
        NEW(answers_choose_the_good_profile_and_tell_our_build),
        NEW(second_answer_is_an_error),
        NEW(reject_ends_the_call_here_with_an_answer),
        NEW(busy_is_a_hangup_at_a_new_relay),
        NEW(declined_is_a_reject_at_any_relay),
        OLD(busy_is_a_reject_at_an_old_relay),
        OLD(old_relay_hears_no_hangup_while_other_calls_are_up),
        NEW(offer_with_an_id_in_use_is_refused_without_hurting_the_call),
        NEW(offer_whose_room_nobody_could_join_is_refused),
        NEW(offer_for_somebody_else_is_ignored),
        NEW(offer_beyond_the_limit_is_answered_busy),
        OLD(offer_beyond_the_limit_is_rejected_at_an_old_relay),
        NEW(offer_nobody_answers_is_forgotten_after_three_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
