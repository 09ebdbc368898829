/* The relay core, told as stories under a virtual clock: registration, small requests, draining. Calls are in
 * test_relay_call.c, rooms in test_relay_room.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"

static void send_kind(struct relay_world *w, uint64_t conn, enum wzp_signal_kind kind)
{
    relay_world_send(w, conn, &(struct wzp_signal){ .kind = kind });
}

/* ---- registration ---- */

static void registering_is_acknowledged_with_the_build(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_connect(w, "_signal");
    relay_world_send_register(w, conn, ALICE);
    char *text = relay_world_take_text(w, conn);
    assert_string_equal(text, "{\"RegisterPresenceAck\":{\"success\":true,\"relay_build\":\"test-build\"}}");
    free(text);
    assert_int_equal(relay_world_stats(w)->registered, 1);
    assert_int_equal(relay_world_stats(w)->registrations_total, 1);
}

static void silent_signal_connection_is_closed_after_ten_seconds(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_connect(w, "_signal");
    relay_world_advance_ms(w, 9999);
    assert_true(relay_world_is_open(w, conn));
    relay_world_advance_ms(w, 1);
    assert_false(relay_world_is_open(w, conn));
    assert_string_equal(relay_world_conn(w, conn)->close_reason, "");
}

static void registered_connection_has_no_timer(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_register(w, ALICE);
    assert_true(wzp_relay_deadline_us(w->relay) == UINT64_MAX);
    relay_world_advance_ms(w, 3600 * 1000);
    assert_true(relay_world_is_open(w, conn));
}

static void any_other_first_message_closes_the_connection(void **state)
{
    struct relay_world *w = *state;
    static const enum wzp_signal_kind kinds[] = { WZP_SIG_REFLECT, WZP_SIG_PING, WZP_SIG_HOLD };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const uint64_t conn = relay_world_connect(w, "_signal");
        send_kind(w, conn, kinds[i]);
        assert_false(relay_world_is_open(w, conn));
        assert_int_equal(relay_world_waiting(w, conn), 0);
    }
}

static void auth_token_to_an_open_relay_breaks_the_handshake(void **state)
{
    struct relay_world *w = *state;
    static const char *const names[] = { "_signal", "ops" };
    for (size_t i = 0; i < 2; i++) {
        const uint64_t conn = relay_world_connect(w, names[i]);
        relay_world_send_text(w, conn, "{\"AuthToken\":{\"token\":\"secret\"}}");
        assert_false(relay_world_is_open(w, conn));
        assert_int_equal(relay_world_waiting(w, conn), 0);
        assert_string_equal(relay_world_conn(w, conn)->close_reason, i ? "call offer expected" : "");
    }
    assert_int_equal(w->token_conn, 0); /* nobody was asked about it */
}

static void newer_registration_takes_over_and_the_old_ones_end_changes_nothing(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE);
    const uint64_t bob_old = relay_world_register(w, BOB), bob_new = relay_world_register(w, BOB);
    assert_int_equal(relay_world_stats(w)->registered, 2);
    relay_world_drop(w, bob_old);
    assert_int_equal(relay_world_stats(w)->registered, 2);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_expect(w, bob_new, WZP_SIG_DIRECT_CALL_OFFER);
    relay_world_expect(w, alice, WZP_SIG_CALL_RINGING);
}

static void calls_survive_the_end_of_a_replaced_connection(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob_old = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob_old, "c1");
    const uint64_t bob_new = relay_world_register(w, BOB);
    relay_world_drop(w, bob_old);
    assert_int_equal(relay_world_waiting(w, alice), 0);
    relay_world_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    relay_world_take_hangup(w, bob_new, WZP_HANGUP_NORMAL, "c1");
}

static void replaced_connection_may_ask_but_places_no_calls(void **state)
{
    struct relay_world *w = *state;
    const uint64_t old = relay_world_register(w, ALICE);
    relay_world_register(w, ALICE);
    relay_world_register(w, BOB);
    send_kind(w, old, WZP_SIG_REFLECT);
    relay_world_expect(w, old, WZP_SIG_REFLECT_RESPONSE);
    relay_world_offer(w, old, ALICE, BOB, "c1", NULL, NULL);
    relay_world_take_hangup(w, old, WZP_HANGUP_ERROR, "c1");
    assert_int_equal(relay_world_stats(w)->calls, 0);
}

static void registering_again_on_a_replaced_connection_claims_it_back(void **state)
{
    struct relay_world *w = *state;
    const uint64_t first = relay_world_register(w, ALICE), second = relay_world_register(w, ALICE);
    const uint64_t bob = relay_world_register(w, BOB);
    relay_world_send_register(w, first, ALICE);
    relay_world_expect(w, first, WZP_SIG_REGISTER_PRESENCE_ACK);
    relay_world_offer(w, bob, BOB, ALICE, "c1", NULL, NULL);
    relay_world_expect(w, first, WZP_SIG_DIRECT_CALL_OFFER);
    assert_int_equal(relay_world_waiting(w, second), 0);
    assert_int_equal(relay_world_stats(w)->registered, 2);
}

static void second_key_on_one_connection_is_refused(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_register(w, ALICE);
    relay_world_send_register(w, conn, BOB);
    struct wzp_signal ack = relay_world_take(w, conn, WZP_SIG_REGISTER_PRESENCE_ACK);
    assert_false(ack.register_ack.success);
    wzp_signal_done(&ack);
    assert_int_equal(relay_world_stats(w)->registered, 1);
    assert_true(relay_world_is_open(w, conn));
}

static void nat_probe_under_the_zero_key_is_answered_but_is_nobody(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), probe = relay_world_connect(w, "_signal");
    relay_world_send(w, probe, &(struct wzp_signal){ .kind = WZP_SIG_REGISTER_PRESENCE });
    struct wzp_signal ack = relay_world_take(w, probe, WZP_SIG_REGISTER_PRESENCE_ACK);
    assert_true(ack.register_ack.success);
    wzp_signal_done(&ack);
    send_kind(w, probe, WZP_SIG_REFLECT);
    relay_world_expect(w, probe, WZP_SIG_REFLECT_RESPONSE);
    assert_int_equal(relay_world_stats(w)->registered, 1);

    const uint8_t zero[WZP_KEY_BYTES] = { 0 };
    char fingerprint[WZP_FINGERPRINT_TEXT], json[1024];
    assert_int_equal(wzp_fingerprint_of_key(zero, fingerprint), 0);
    memcpy(w->user[DAVE].fingerprint, fingerprint, sizeof fingerprint);
    relay_world_offer(w, alice, ALICE, DAVE, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    relay_world_offer(w, probe, DAVE, ALICE, "c2", NULL, NULL);
    snprintf(json, sizeof json, "{\"Hangup\":{\"reason\":\"Normal\"}}");
    relay_world_send_text(w, probe, json);
    assert_int_equal(relay_world_waiting(w, alice), 0);
    assert_int_equal(relay_world_waiting(w, probe), 0);
}

static void nat_probe_that_stays_is_closed_after_ten_seconds(void **state)
{
    struct relay_world *w = *state;
    const uint64_t probe = relay_world_connect(w, "_signal");
    relay_world_advance_ms(w, 5000);
    relay_world_send(w, probe, &(struct wzp_signal){ .kind = WZP_SIG_REGISTER_PRESENCE });
    relay_world_expect(w, probe, WZP_SIG_REGISTER_PRESENCE_ACK);
    relay_world_advance_ms(w, 9999);
    assert_true(relay_world_is_open(w, probe));
    relay_world_advance_ms(w, 1);
    assert_false(relay_world_is_open(w, probe));
}

static void full_relay_says_so(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .max_registrations = 1 });
    relay_world_register(w, ALICE);
    const uint64_t bob = relay_world_connect(w, "_signal");
    relay_world_send_register(w, bob, BOB);
    struct wzp_signal ack = relay_world_take(w, bob, WZP_SIG_REGISTER_PRESENCE_ACK);
    assert_false(ack.register_ack.success);
    assert_string_equal(ack.register_ack.error, "relay is full");
    wzp_signal_done(&ack);
    assert_false(relay_world_is_open(w, bob));
    relay_world_register(w, ALICE); /* who is known comes back */
}

/* ---- small requests ---- */

static void reflect_shows_the_address_the_connection_came_from(void **state)
{
    struct relay_world *w = *state;
    static const struct {
        const char *remote, *shown;
    } rows[] = {
        { "192.0.2.17:4433", "192.0.2.17:4433" },
        { "[2001:db8::1]:9", "[2001:db8::1]:9" },
        { "[::ffff:192.0.2.1]:5", "192.0.2.1:5" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint64_t conn = relay_world_connect_from(w, "_signal", rows[i].remote, RELAY_WORLD_LOCAL);
        relay_world_send_register(w, conn, ALICE);
        relay_world_expect(w, conn, WZP_SIG_REGISTER_PRESENCE_ACK);
        relay_world_send_text(w, conn, "\"Reflect\"");
        struct wzp_signal answer = relay_world_take(w, conn, WZP_SIG_REFLECT_RESPONSE);
        assert_string_equal(answer.reflect_response.observed_addr, rows[i].shown);
        wzp_signal_done(&answer);
    }
    assert_int_equal(relay_world_stats(w)->reflects_total, 3);
}

static void ping_is_echoed(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_register(w, ALICE);
    relay_world_send_text(w, conn, "{\"Ping\":{\"timestamp_ms\":1744300000000}}");
    char *text = relay_world_take_text(w, conn);
    assert_string_equal(text, "{\"Pong\":{\"timestamp_ms\":1744300000000}}");
    free(text);
}

static void bad_and_unknown_messages_are_counted_and_the_connection_lives(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_register(w, ALICE);
    relay_world_send_text(w, conn, "{\"Ping\":{\"timestamp_ms\":1,\"timestamp_ms\":2}}");
    relay_world_send_text(w, conn, "{\"Ping\":");
    relay_world_send_text(w, conn, "");
    relay_world_send_text(w, conn, "{\"FromTheFuture\":{\"x\":1}}");
    relay_world_send_text(w, conn, "\"Hold\"");
    relay_world_send_text(w, conn, "{\"CallRinging\":{\"call_id\":\"c1\"}}");
    assert_int_equal(relay_world_stats(w)->bad_signals, 3);
    assert_int_equal(relay_world_stats(w)->unknown_signals, 1);
    assert_int_equal(relay_world_stats(w)->unexpected_signals, 2);
    assert_int_equal(relay_world_waiting(w, conn), 0);
    send_kind(w, conn, WZP_SIG_REFLECT);
    relay_world_expect(w, conn, WZP_SIG_REFLECT_RESPONSE);
}

/* ---- draining ---- */

static void draining_refuses_what_is_new_and_serves_what_is_there(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    wzp_relay_drain(w->relay);
    assert_false(wzp_relay_is_drained(w->relay));

    const uint64_t carol = relay_world_connect(w, "_signal");
    relay_world_send_register(w, carol, CAROL);
    struct wzp_signal ack = relay_world_take(w, carol, WZP_SIG_REGISTER_PRESENCE_ACK);
    assert_false(ack.register_ack.success);
    wzp_signal_done(&ack);
    assert_false(relay_world_is_open(w, carol));
    relay_world_offer(w, bob, BOB, ALICE, "c2", NULL, NULL);
    relay_world_take_hangup(w, bob, WZP_HANGUP_ERROR, "c2");
    relay_world_register(w, ALICE); /* a party of a call may reconnect */

    relay_world_answer(w, bob, "c1", WZP_ACCEPT_GENERIC, NULL, NULL);
    relay_world_expect(w, bob, WZP_SIG_CALL_SETUP);
    relay_world_hangup(w, bob, WZP_HANGUP_NORMAL, "c1");
    assert_true(wzp_relay_is_drained(w->relay));
}

static void idle_relay_is_drained_at_once(void **state)
{
    struct relay_world *w = *state;
    relay_world_register(w, ALICE);
    assert_false(wzp_relay_is_drained(w->relay));
    wzp_relay_drain(w->relay);
    assert_true(wzp_relay_is_drained(w->relay));
}

static void direct_call_does_not_hold_up_draining(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    wzp_relay_drain(w->relay);
    assert_false(wzp_relay_is_drained(w->relay));
    relay_world_path_report(w, alice, "c1", true);
    relay_world_path_report(w, bob, "c1", true);
    assert_true(wzp_relay_is_drained(w->relay));
}

/* ---- unknown connections ---- */

static void steps_about_unknown_connections_are_harmless(void **state)
{
    struct relay_world *w = *state;
    struct wzp_relay_effects effects;
    assert_int_equal(wzp_relay_message(w->relay, 4711, wz_bytes_str("\"Reflect\""), w->now_us, &effects), 0);
    assert_int_equal(effects.count, 0);
    assert_int_equal(wzp_relay_closed(w->relay, 4711, w->now_us, &effects), 0);
    assert_int_equal(effects.count, 0);
    wzp_relay_set_handle(w->relay, 4711, w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, relay_world_setup, relay_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(registering_is_acknowledged_with_the_build),
        TEST(silent_signal_connection_is_closed_after_ten_seconds),
        TEST(registered_connection_has_no_timer),
        TEST(any_other_first_message_closes_the_connection),
        TEST(auth_token_to_an_open_relay_breaks_the_handshake),
        TEST(newer_registration_takes_over_and_the_old_ones_end_changes_nothing),
        TEST(calls_survive_the_end_of_a_replaced_connection),
        TEST(replaced_connection_may_ask_but_places_no_calls),
        TEST(registering_again_on_a_replaced_connection_claims_it_back),
        TEST(second_key_on_one_connection_is_refused),
        TEST(nat_probe_under_the_zero_key_is_answered_but_is_nobody),
        TEST(nat_probe_that_stays_is_closed_after_ten_seconds),
        TEST(full_relay_says_so),
        TEST(reflect_shows_the_address_the_connection_came_from),
        TEST(ping_is_echoed),
        TEST(bad_and_unknown_messages_are_counted_and_the_connection_lives),
        TEST(draining_refuses_what_is_new_and_serves_what_is_there),
        TEST(idle_relay_is_drained_at_once),
        TEST(direct_call_does_not_hold_up_draining),
        TEST(steps_about_unknown_connections_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
