/* The relay core, told as stories under a virtual clock: direct calls from the offer to the hang-up. How they end
 * by themselves, and path reports, are in test_relay_path.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"

#define BOB_ADDR  "198.51.100.9:40002"
#define BOB_LOCAL "192.168.7.2:40002"

/* ---- offer ---- */

static void offer_reaches_the_callee_and_the_caller_hears_ringing(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_offer(w, alice, ALICE, BOB, "c1", RELAY_WORLD_ALICE_ADDR, RELAY_WORLD_ALICE_LOCAL);
    struct wzp_signal offer = relay_world_take(w, bob, WZP_SIG_DIRECT_CALL_OFFER);
    assert_string_equal(offer.offer.caller_fingerprint, w->user[ALICE].fingerprint);
    assert_string_equal(offer.offer.caller_reflexive_addr, RELAY_WORLD_ALICE_ADDR);
    assert_int_equal(offer.offer.caller_local_addrs.count, 1);
    assert_string_equal(offer.offer.caller_local_addrs.text[0], RELAY_WORLD_ALICE_LOCAL);
    wzp_signal_done(&offer);
    struct wzp_signal ringing = relay_world_take(w, alice, WZP_SIG_CALL_RINGING);
    assert_string_equal(ringing.ringing.call_id, "c1");
    wzp_signal_done(&ringing);
    assert_int_equal(relay_world_stats(w)->calls, 1);
}

static void unknown_fields_of_offer_and_answer_survive(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    char json[2048];
    snprintf(json, sizeof json,
             "{\"DirectCallOffer\":{\"caller_fingerprint\":\"somebody else\",\"caller_alias\":null,"
             "\"target_fingerprint\":\"%s\",\"call_id\":\"c1\","
             "\"identity_pub\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"
             "\"ephemeral_pub\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"
             "\"signature\":[],\"supported_profiles\":[],\"dialled_number\":\"4711\",\"future\":{\"a\":[1,2]}}}",
             w->user[BOB].fingerprint);
    relay_world_send_text(w, alice, json);
    char *text = relay_world_take_text(w, bob);
    assert_non_null(strstr(text, "\"future\":{\"a\":[1,2]}"));
    assert_non_null(strstr(text, "\"dialled_number\":\"4711\""));
    free(text);
    relay_world_send_text(w, bob,
                          "{\"DirectCallAnswer\":{\"call_id\":\"c1\",\"accept_mode\":\"AcceptGeneric\",\"x\":7}}");
    relay_world_expect(w, alice, WZP_SIG_CALL_RINGING);
    text = relay_world_take_text(w, alice);
    assert_non_null(strstr(text, "\"x\":7"));
    free(text);
}

static void caller_fingerprint_is_the_registered_one_whatever_the_offer_says(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_offer(w, alice, CAROL, BOB, "c1", NULL, NULL);
    struct wzp_signal offer = relay_world_take(w, bob, WZP_SIG_DIRECT_CALL_OFFER);
    assert_string_equal(offer.offer.caller_fingerprint, w->user[ALICE].fingerprint);
    wzp_signal_done(&offer);
    assert_int_equal(relay_world_stats(w)->refused_wrong_party, 1);
}

static void target_may_be_written_in_capitals_and_without_colons(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    char bare[WZP_FINGERPRINT_TEXT] = "";
    for (size_t i = 0, n = 0; w->user[BOB].fingerprint[i]; i++) {
        const char c = w->user[BOB].fingerprint[i];
        if (c != ':')
            bare[n++] = c >= 'a' && c <= 'f' ? (char)(c - 'a' + 'A') : c;
    }
    memcpy(w->user[BOB].fingerprint, bare, sizeof bare);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_expect(w, bob, WZP_SIG_DIRECT_CALL_OFFER);
}

static void offer_to_somebody_offline_ends_without_ringing(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    assert_int_equal(relay_world_waiting(w, alice), 0);
    assert_int_equal(relay_world_stats(w)->calls, 0);
}

static void offer_to_a_nonsense_fingerprint_ends_without_ringing(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE);
    memcpy(w->user[BOB].fingerprint, "nobody", 7);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
}

static void calling_oneself_is_busy(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE);
    relay_world_offer(w, alice, ALICE, ALICE, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_BUSY, "c1");
    assert_int_equal(relay_world_waiting(w, alice), 0);
}

static void repeated_call_id_of_ones_own_live_call_is_ignored(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_offer(w, alice, ALICE, BOB, "C1", NULL, NULL);
    assert_int_equal(relay_world_waiting(w, alice), 0); /* a Hangup would end the call that rings */
    assert_int_equal(relay_world_waiting(w, bob), 0);
    assert_int_equal(relay_world_stats(w)->calls, 1);
}

static void repeated_call_id_of_a_strangers_call_is_refused(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    const uint64_t carol = relay_world_register(w, CAROL);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_offer(w, carol, CAROL, ALICE, "c1", NULL, NULL);
    relay_world_take_hangup(w, carol, WZP_HANGUP_ERROR, "c1");
    assert_int_equal(relay_world_waiting(w, alice), 0);
    assert_int_equal(relay_world_waiting(w, bob), 0);
}

static void illegal_call_id_is_refused(void **state)
{
    struct relay_world *w = *state;
    static const char *const ids[] = { "", "1.2", "a@b", "x-",
                                       "123456789012345678901234567890123456789012345678901234" };
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        relay_world_offer(w, alice, ALICE, BOB, ids[i], NULL, NULL);
        relay_world_take_hangup(w, alice, WZP_HANGUP_ERROR, ids[i]);
    }
    assert_int_equal(relay_world_waiting(w, bob), 0);
    assert_int_equal(relay_world_stats(w)->refused_limits, 5);
}

static void longest_legal_call_id_works(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "12345678901234567890123456789012345678901234567890123");
}

static void offers_beyond_the_rate_are_refused_until_time_has_passed(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .offers_per_minute = 2 });
    const uint64_t alice = relay_world_register(w, ALICE);
    for (int i = 0; i < 2; i++) {
        relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
        relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    }
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_ERROR, "c1");
    relay_world_advance_ms(w, 29999);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_ERROR, "c1");
    relay_world_advance_ms(w, 1);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
}

static void registering_anew_earns_no_offers(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .offers_per_minute = 1 });
    const uint64_t alice = relay_world_register(w, ALICE);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    const uint64_t again = relay_world_register(w, ALICE);
    relay_world_offer(w, again, ALICE, BOB, "c2", NULL, NULL);
    relay_world_take_hangup(w, again, WZP_HANGUP_ERROR, "c2");
}

static void calls_beyond_the_limit_are_refused(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .max_calls = 1 });
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_offer(w, alice, ALICE, BOB, "c2", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_ERROR, "c2");
    assert_int_equal(relay_world_waiting(w, bob), 0);
}

/* ---- busy: clients that cannot tell calls apart ---- */

static void client_that_cannot_tell_calls_apart_gets_one_at_a_time(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), carol = relay_world_register(w, CAROL);
    const uint64_t bob = relay_world_register_plain(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_offer(w, carol, CAROL, BOB, "c2", NULL, NULL);
    relay_world_take_hangup(w, carol, WZP_HANGUP_BUSY, "c2");
    assert_int_equal(relay_world_waiting(w, bob), 0);
}

static void plain_client_that_calls_somebody_is_busy_too(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register_plain(w, ALICE), bob = relay_world_register(w, BOB);
    const uint64_t carol = relay_world_register(w, CAROL);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_offer(w, carol, CAROL, ALICE, "c2", NULL, NULL);
    relay_world_take_hangup(w, carol, WZP_HANGUP_BUSY, "c2");
}

static void plain_client_is_free_again_after_its_call(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register_plain(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_send_text(w, bob, "{\"Hangup\":{\"reason\":\"Normal\"}}");
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    relay_world_ring(w, alice, bob, "c2");
}

static void client_that_hung_up_with_an_id_once_may_have_several_calls(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), carol = relay_world_register(w, CAROL);
    const uint64_t bob = relay_world_register_plain(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_hangup(w, bob, WZP_HANGUP_NORMAL, "c1");
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    relay_world_ring(w, alice, bob, "c2");
    relay_world_offer(w, carol, CAROL, BOB, "c3", NULL, NULL);
    relay_world_expect(w, bob, WZP_SIG_DIRECT_CALL_OFFER);
}

static void wrong_signature_makes_no_client_able_to_tell_calls_apart(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), carol = relay_world_register(w, CAROL);
    const uint64_t bob = relay_world_connect(w, "_signal");
    struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE };
    struct wzp_signed_keys *keys = &signal.register_presence.keys;
    keys->has_identity = true;
    keys->signature_len = WZP_SIGNATURE_BYTES;
    memcpy(keys->identity_pub, w->user[BOB].ed25519_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_sign_register(&w->user[ALICE], keys->signature), 0);
    relay_world_send(w, bob, &signal);
    relay_world_expect(w, bob,
                       WZP_SIG_REGISTER_PRESENCE_ACK); /* still registered: the reference signs nothing either */
    relay_world_ring(w, alice, bob, "c1");
    relay_world_offer(w, carol, CAROL, BOB, "c2", NULL, NULL);
    relay_world_take_hangup(w, carol, WZP_HANGUP_BUSY, "c2");
}

static void five_calls_at_once_on_one_identity_end_one_by_one(void **state)
{
    struct relay_world *w = *state;
    static const char *const id[] = { "c0", "c1", "c2", "c3", "c4" };
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    for (int i = 0; i < 5; i++)
        relay_world_call(w, alice, ALICE, bob, BOB, id[i]);
    assert_int_equal(relay_world_stats(w)->calls, 5);
    for (int i = 4; i >= 0; i--) {
        relay_world_hangup(w, i % 2 ? alice : bob, WZP_HANGUP_NORMAL, id[i]);
        relay_world_take_hangup(w, i % 2 ? bob : alice, WZP_HANGUP_NORMAL, id[i]);
        assert_int_equal(relay_world_stats(w)->calls, i);
    }
    assert_int_equal(relay_world_waiting(w, alice), 0);
    assert_int_equal(relay_world_waiting(w, bob), 0);
}

/* ---- answer ---- */

static void trusted_answer_cross_wires_both_addresses(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_TRUSTED, BOB_ADDR, BOB_LOCAL);

    struct wzp_signal answer = relay_world_take(w, alice, WZP_SIG_DIRECT_CALL_ANSWER); /* before the setup */
    assert_string_equal(answer.answer.callee_reflexive_addr, BOB_ADDR);
    assert_string_equal(answer.answer.callee_local_addrs.text[0], BOB_LOCAL);
    wzp_signal_done(&answer);
    struct wzp_signal to_alice = relay_world_take(w, alice, WZP_SIG_CALL_SETUP);
    assert_string_equal(to_alice.setup.call_id, "c1");
    assert_string_equal(to_alice.setup.room, "call-c1");
    assert_string_equal(to_alice.setup.peer_direct_addr, BOB_ADDR);
    assert_int_equal(to_alice.setup.peer_local_addrs.count, 1);
    assert_string_equal(to_alice.setup.peer_local_addrs.text[0], BOB_LOCAL);
    wzp_signal_done(&to_alice);
    struct wzp_signal to_bob = relay_world_take(w, bob, WZP_SIG_CALL_SETUP);
    assert_string_equal(to_bob.setup.room, "call-c1");
    assert_string_equal(to_bob.setup.peer_direct_addr, RELAY_WORLD_ALICE_ADDR);
    assert_string_equal(to_bob.setup.peer_local_addrs.text[0], RELAY_WORLD_ALICE_LOCAL);
    wzp_signal_done(&to_bob);
    assert_non_null(strstr(w->last_accepted, "call=c1 "));
    assert_non_null(strstr(w->last_accepted, "p2p_viable=true"));
    assert_int_equal(relay_world_stats(w)->calls_setup_total, 1);
}

static void generic_answer_hides_the_callee_even_if_its_client_told(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_GENERIC, BOB_ADDR, BOB_LOCAL);
    for (int i = 0; i < 2; i++) { /* answer and setup */
        char *text = relay_world_take_text(w, alice);
        assert_null(strstr(text, BOB_ADDR));
        assert_null(strstr(text, BOB_LOCAL));
        assert_null(strstr(text, "callee_reflexive_addr"));
        assert_null(strstr(text, "callee_local_addrs"));
        free(text);
    }
    struct wzp_signal to_bob = relay_world_take(w, bob, WZP_SIG_CALL_SETUP);
    assert_string_equal(to_bob.setup.peer_direct_addr,
                        RELAY_WORLD_ALICE_ADDR); /* the caller's are shown: as the reference */
    wzp_signal_done(&to_bob);
    assert_non_null(strstr(w->last_accepted, "p2p_viable=false"));
}

static void strict_privacy_hides_the_caller_until_it_is_trusted(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .strict_privacy = true });
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    static const struct {
        const char *id;
        enum wzp_accept_mode mode;
        bool shown;
    } rows[] = { { "c1", WZP_ACCEPT_GENERIC, false }, { "c2", WZP_ACCEPT_TRUSTED, true } };
    for (size_t i = 0; i < 2; i++) {
        relay_world_offer(w, alice, ALICE, BOB, rows[i].id, RELAY_WORLD_ALICE_ADDR, RELAY_WORLD_ALICE_LOCAL);
        char *offer = relay_world_take_text(w, bob);
        assert_null(strstr(offer, RELAY_WORLD_ALICE_ADDR));
        assert_null(strstr(offer, RELAY_WORLD_ALICE_LOCAL));
        free(offer);
        relay_world_answer(w, bob, rows[i].id, rows[i].mode, BOB_ADDR, NULL);
        char *to_bob = relay_world_take_text(w, bob);
        assert_non_null(strstr(to_bob, "CallSetup"));
        assert_int_equal(strstr(to_bob, RELAY_WORLD_ALICE_ADDR) != NULL, rows[i].shown);
        assert_int_equal(strstr(to_bob, RELAY_WORLD_ALICE_LOCAL) != NULL, rows[i].shown);
        free(to_bob);
    }
}

static void optional_addresses_are_elided_when_absent(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    char *text = relay_world_take_text(w, bob);
    assert_null(strstr(text, "caller_reflexive_addr"));
    assert_null(strstr(text, "caller_local_addrs"));
    assert_null(strstr(text, "caller_build_version"));
    free(text);
    relay_world_expect(w, alice, WZP_SIG_CALL_RINGING);
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_TRUSTED, NULL, NULL);
    text = relay_world_take_text(w, alice);
    assert_string_equal(text, "{\"DirectCallAnswer\":{\"call_id\":\"c1\",\"accept_mode\":\"AcceptTrusted\"}}");
    free(text);
    text = relay_world_take_text(w, bob);
    assert_string_equal(
        text, "{\"CallSetup\":{\"call_id\":\"c1\",\"room\":\"call-c1\",\"relay_addr\":\"" RELAY_WORLD_LOCAL "\"}}");
    free(text);
}

static void p2p_viable_is_logged_only_when_both_advertise(void **state)
{
    struct relay_world *w = *state;
    static const struct {
        const char *id, *caller, *callee;
        enum wzp_accept_mode mode;
        const char *logged;
    } rows[] = {
        { "both", RELAY_WORLD_ALICE_ADDR, BOB_ADDR, WZP_ACCEPT_TRUSTED, "p2p_viable=true" },
        { "private", RELAY_WORLD_ALICE_ADDR, NULL, WZP_ACCEPT_GENERIC, "p2p_viable=false" },
        { "careless", RELAY_WORLD_ALICE_ADDR, BOB_ADDR, WZP_ACCEPT_GENERIC, "p2p_viable=false" },
        { "old", NULL, BOB_ADDR, WZP_ACCEPT_TRUSTED, "p2p_viable=false" },
        { "neither", NULL, NULL, WZP_ACCEPT_TRUSTED, "p2p_viable=false" },
    };
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        relay_world_offer(w, alice, ALICE, BOB, rows[i].id, rows[i].caller, NULL);
        relay_world_answer(w, bob, rows[i].id, rows[i].mode, rows[i].callee, NULL);
        assert_non_null(strstr(w->last_accepted, rows[i].logged));
    }
}

static void each_party_is_told_the_relay_address_it_came_in_on(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_connect_from(w, "_signal", "10.0.0.5:1", "10.0.0.1:4433");
    const uint64_t bob = relay_world_connect_from(w, "_signal", "[2001:db8::5]:1", "[2001:db8::1]:4433");
    relay_world_send_register(w, alice, ALICE);
    relay_world_expect(w, alice, WZP_SIG_REGISTER_PRESENCE_ACK);
    relay_world_send_register(w, bob, BOB);
    relay_world_expect(w, bob, WZP_SIG_REGISTER_PRESENCE_ACK);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_GENERIC, NULL, NULL);
    relay_world_expect(w, alice, WZP_SIG_DIRECT_CALL_ANSWER);
    struct wzp_signal to_alice = relay_world_take(w, alice, WZP_SIG_CALL_SETUP);
    struct wzp_signal to_bob = relay_world_take(w, bob, WZP_SIG_CALL_SETUP);
    assert_string_equal(to_alice.setup.relay_addr, "10.0.0.1:4433");
    assert_string_equal(to_bob.setup.relay_addr, "[2001:db8::1]:4433");
    wzp_signal_done(&to_alice);
    wzp_signal_done(&to_bob);
}

static void configured_public_address_is_told_to_everybody(void **state)
{
    struct wzp_relay_config config = { 0 };
    assert_int_equal(wz_addr_parse("198.51.100.77:5555", &config.public_address), 0);
    struct relay_world *w = relay_world_restart(state, &config);
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_GENERIC, NULL, NULL);
    struct wzp_signal to_bob = relay_world_take(w, bob, WZP_SIG_CALL_SETUP);
    assert_string_equal(to_bob.setup.relay_addr, "198.51.100.77:5555");
    wzp_signal_done(&to_bob);
}

static void reject_becomes_a_declined_hangup_to_the_caller(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_REJECT, BOB_ADDR, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_DECLINED, "c1");
    assert_int_equal(relay_world_waiting(w, alice), 0);
    assert_int_equal(relay_world_waiting(w, bob), 0);
    assert_int_equal(relay_world_stats(w)->calls, 0);
}

static void only_the_callee_may_answer(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    const uint64_t carol = relay_world_register(w, CAROL);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_answer(w, carol, "c1", WZP_ACCEPT_TRUSTED, BOB_ADDR, NULL);
    relay_world_answer(w, alice, "c1", WZP_ACCEPT_TRUSTED, BOB_ADDR, NULL);
    relay_world_answer(w, alice, "c1", WZP_ACCEPT_REJECT, NULL, NULL);
    assert_int_equal(relay_world_stats(w)->refused_wrong_party, 3);
    assert_int_equal(relay_world_stats(w)->calls_setup_total, 0);
    assert_int_equal(relay_world_stats(w)->calls, 1);
    assert_int_equal(relay_world_waiting(w, alice) + relay_world_waiting(w, bob) + relay_world_waiting(w, carol), 0);
}

static void second_answer_and_answer_to_an_unknown_call_do_nothing(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_TRUSTED, BOB_ADDR, NULL);
    relay_world_answer(w, bob, "unknown", WZP_ACCEPT_TRUSTED, BOB_ADDR, NULL);
    assert_int_equal(relay_world_waiting(w, alice) + relay_world_waiting(w, bob), 0);
    assert_int_equal(relay_world_stats(w)->calls_setup_total, 1);
}

/* ---- hang-up ---- */

static void hangup_with_an_id_ends_that_call_only(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_call(w, alice, ALICE, bob, BOB, "c2");
    relay_world_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    relay_world_take_hangup(w, bob, WZP_HANGUP_NORMAL, "c1");
    assert_int_equal(relay_world_waiting(w, bob), 0);
    assert_int_equal(relay_world_stats(w)->calls, 1);
}

static void hangup_without_an_id_ends_all_calls_of_the_sender_and_names_each(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    const uint64_t carol = relay_world_register(w, CAROL);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_call(w, carol, CAROL, alice, ALICE, "c2");
    relay_world_call(w, carol, CAROL, bob, BOB, "c3");
    relay_world_hangup(w, alice, WZP_HANGUP_NORMAL, NULL);
    relay_world_take_hangup(w, bob, WZP_HANGUP_NORMAL, "c1");
    relay_world_take_hangup(w, carol, WZP_HANGUP_NORMAL, "c2");
    assert_int_equal(relay_world_waiting(w, bob) + relay_world_waiting(w, carol), 0);
    assert_int_equal(relay_world_stats(w)->calls, 1);
}

static void hangup_reason_and_unknown_fields_are_passed_on(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_send_text(w, bob, "{\"Hangup\":{\"reason\":\"Busy\",\"call_id\":\"c1\",\"q850\":17}}");
    char *text = relay_world_take_text(w, alice);
    assert_non_null(strstr(text, "\"reason\":\"Busy\""));
    assert_non_null(strstr(text, "\"call_id\":\"c1\""));
    assert_non_null(strstr(text, "\"q850\":17"));
    free(text);
}

static void only_a_party_may_hang_up(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    const uint64_t carol = relay_world_register(w, CAROL);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_hangup(w, carol, WZP_HANGUP_NORMAL, "c1");
    relay_world_hangup(w, carol, WZP_HANGUP_NORMAL, NULL);
    relay_world_hangup(w, alice, WZP_HANGUP_NORMAL, "unknown");
    assert_int_equal(relay_world_stats(w)->calls, 1);
    assert_int_equal(relay_world_stats(w)->refused_wrong_party, 1);
    assert_int_equal(relay_world_waiting(w, alice) + relay_world_waiting(w, bob), 0);
}

static void second_hangup_of_one_call_is_harmless(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    relay_world_hangup(w, bob, WZP_HANGUP_NORMAL, "c1");
    relay_world_take_hangup(w, bob, WZP_HANGUP_NORMAL, "c1");
    assert_int_equal(relay_world_waiting(w, alice) + relay_world_waiting(w, bob), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, relay_world_setup, relay_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(offer_reaches_the_callee_and_the_caller_hears_ringing),
        TEST(unknown_fields_of_offer_and_answer_survive),
        TEST(caller_fingerprint_is_the_registered_one_whatever_the_offer_says),
        TEST(target_may_be_written_in_capitals_and_without_colons),
        TEST(offer_to_somebody_offline_ends_without_ringing),
        TEST(offer_to_a_nonsense_fingerprint_ends_without_ringing),
        TEST(calling_oneself_is_busy),
        TEST(repeated_call_id_of_ones_own_live_call_is_ignored),
        TEST(repeated_call_id_of_a_strangers_call_is_refused),
        TEST(illegal_call_id_is_refused),
        TEST(longest_legal_call_id_works),
        TEST(offers_beyond_the_rate_are_refused_until_time_has_passed),
        TEST(registering_anew_earns_no_offers),
        TEST(calls_beyond_the_limit_are_refused),
        TEST(client_that_cannot_tell_calls_apart_gets_one_at_a_time),
        TEST(plain_client_that_calls_somebody_is_busy_too),
        TEST(plain_client_is_free_again_after_its_call),
        TEST(client_that_hung_up_with_an_id_once_may_have_several_calls),
        TEST(wrong_signature_makes_no_client_able_to_tell_calls_apart),
        TEST(five_calls_at_once_on_one_identity_end_one_by_one),
        TEST(trusted_answer_cross_wires_both_addresses),
        TEST(generic_answer_hides_the_callee_even_if_its_client_told),
        TEST(strict_privacy_hides_the_caller_until_it_is_trusted),
        TEST(optional_addresses_are_elided_when_absent),
        TEST(p2p_viable_is_logged_only_when_both_advertise),
        TEST(each_party_is_told_the_relay_address_it_came_in_on),
        TEST(configured_public_address_is_told_to_everybody),
        TEST(reject_becomes_a_declined_hangup_to_the_caller),
        TEST(only_the_callee_may_answer),
        TEST(second_answer_and_answer_to_an_unknown_call_do_nothing),
        TEST(hangup_with_an_id_ends_that_call_only),
        TEST(hangup_without_an_id_ends_all_calls_of_the_sender_and_names_each),
        TEST(hangup_reason_and_unknown_fields_are_passed_on),
        TEST(only_a_party_may_hang_up),
        TEST(second_hangup_of_one_call_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
