/* A relay with an auth server: the token first, then the name that came back is the user's everywhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"

#define ALICE_NAME "user-17"
#define BOB_NAME   "ABCD-ef"

static const char token_text[] = "{\"AuthToken\":{\"token\":\"secret\"}}";

static int setup(void **state)
{
    *state = relay_world_new(&(struct wzp_relay_config){ .require_token = true });
    return 0;
}

static uint64_t show_token(struct relay_world *w, const char *sni)
{
    const uint64_t conn = relay_world_connect(w, sni);
    relay_world_send_text(w, conn, token_text);
    assert_true(relay_world_is_open(w, conn));
    assert_int_equal(w->token_conn, conn);
    assert_string_equal(w->token, "secret");
    return conn;
}

static uint64_t register_as(struct relay_world *w, unsigned user, const char *name)
{
    const uint64_t conn = show_token(w, "_signal");
    relay_world_verdict(w, conn, name);
    relay_world_send_signed_register(w, conn, user);
    relay_world_expect(w, conn, WZP_SIG_REGISTER_PRESENCE_ACK);
    return conn;
}

static uint64_t join_as(struct relay_world *w, unsigned user, const char *name, const char *room)
{
    const uint64_t conn = show_token(w, room);
    relay_world_verdict(w, conn, name);
    relay_world_send_call_offer(w, conn, user, NULL);
    return conn;
}

static void assert_closed(struct relay_world *w, uint64_t conn, const char *reason)
{
    assert_false(relay_world_is_open(w, conn));
    assert_string_equal(relay_world_conn(w, conn)->close_reason, reason);
}

/* ---- the token ---- */

static void token_is_asked_about_before_anything_is_answered(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = show_token(w, "_signal");
    relay_world_send_register(w, conn, ALICE);
    assert_int_equal(relay_world_waiting(w, conn), 0);
    relay_world_verdict(w, conn, ALICE_NAME);
    relay_world_expect(w, conn, WZP_SIG_REGISTER_PRESENCE_ACK); /* what had waited was dealt with */
    assert_int_equal(relay_world_stats(w)->auth_ok, 1);
    assert_int_equal(relay_world_stats(w)->registered, 1);
}

static void first_message_without_a_token_is_refused_as_the_reference_does(void **state)
{
    struct relay_world *w = *state;
    const uint64_t signal = relay_world_connect(w, "_signal"), media = relay_world_connect(w, "ops");
    relay_world_send_register(w, signal, ALICE);
    relay_world_send_call_offer(w, media, BOB, NULL);
    assert_closed(w, signal, "");
    assert_closed(w, media, "normal close");
    assert_int_equal(relay_world_waiting(w, signal) + relay_world_waiting(w, media), 0);
    assert_int_equal(relay_world_stats(w)->auth_failed, 2);
}

static void refused_token_closes_the_connection_without_a_word(void **state)
{
    struct relay_world *w = *state;
    const uint64_t signal = show_token(w, "_signal");
    relay_world_verdict(w, signal, NULL);
    const uint64_t media = show_token(w, "ops");
    relay_world_verdict(w, media, NULL);
    assert_closed(w, signal, "");
    assert_closed(w, media, "normal close");
    assert_int_equal(relay_world_stats(w)->auth_failed, 2);
    assert_int_equal(relay_world_stats(w)->auth_ok, 0);
}

static void waiting_for_a_token_has_a_timer(void **state)
{
    struct relay_world *w = *state;
    const uint64_t signal = relay_world_connect(w, "_signal"), media = relay_world_connect(w, "ops");
    relay_world_advance_ms(w, 9999);
    assert_true(relay_world_is_open(w, signal) && relay_world_is_open(w, media));
    relay_world_advance_ms(w, 1);
    assert_closed(w, signal, "");
    assert_closed(w, media, "");
}

static void verdict_that_never_comes_has_a_timer_and_so_has_what_follows_it(void **state)
{
    struct relay_world *w = *state;
    relay_world_connect(w, "other");
    relay_world_advance_ms(w, 5000);
    const uint64_t unheard = show_token(w, "_signal"), heard = show_token(w, "_signal");
    relay_world_advance_ms(w, 9999);
    relay_world_verdict(w, heard, ALICE_NAME);
    assert_true(relay_world_is_open(w, unheard));
    relay_world_advance_ms(w, 1);
    assert_closed(w, unheard, "");
    relay_world_advance_ms(w, 9998);
    assert_true(relay_world_is_open(w, heard));
    relay_world_advance_ms(w, 1);
    assert_closed(w, heard, "");
}

static void four_messages_wait_for_the_verdict_and_a_fifth_closes(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = show_token(w, "_signal"), greedy = show_token(w, "_signal");
    relay_world_send_signed_register(w, conn, ALICE);
    for (int i = 0; i < 3; i++)
        relay_world_send_text(w, conn, "\"Reflect\"");
    for (int i = 0; i < 4; i++)
        relay_world_send_text(w, greedy, "\"Reflect\"");
    assert_true(relay_world_is_open(w, conn) && relay_world_is_open(w, greedy));
    relay_world_send_text(w, greedy, "\"Reflect\"");
    assert_closed(w, greedy, "too many messages before the token was checked");
    relay_world_verdict(w, conn, ALICE_NAME);
    relay_world_expect(w, conn, WZP_SIG_REGISTER_PRESENCE_ACK);
    for (int i = 0; i < 3; i++)
        relay_world_expect(w, conn, WZP_SIG_REFLECT_RESPONSE); /* in their order */
}

static void bytes_that_wait_for_the_verdict_are_bounded(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = show_token(w, "_signal");
    char *body = malloc(WZP_RELAY_PARKED_BYTES + 2);
    memset(body, ' ', WZP_RELAY_PARKED_BYTES + 1);
    body[WZP_RELAY_PARKED_BYTES] = '\0';
    relay_world_send_text(w, conn, body);
    assert_true(relay_world_is_open(w, conn));
    relay_world_send_text(w, conn, " ");
    assert_false(relay_world_is_open(w, conn));
    free(body);
}

static void what_waits_behind_a_refused_message_is_dropped(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = show_token(w, "_signal");
    relay_world_send_text(w, conn, token_text); /* a second token is no registration */
    relay_world_send_register(w, conn, ALICE);
    relay_world_verdict(w, conn, ALICE_NAME);
    assert_false(relay_world_is_open(w, conn));
    assert_int_equal(relay_world_stats(w)->registered, 0);
}

static void verdicts_for_connections_that_are_gone_or_decided_are_ignored(void **state)
{
    struct relay_world *w = *state;
    const uint64_t gone = show_token(w, "_signal"), alice = register_as(w, ALICE, ALICE_NAME);
    relay_world_drop(w, gone);
    relay_world_verdict(w, gone, BOB_NAME);
    relay_world_verdict(w, alice, NULL);
    relay_world_verdict(w, 4711, BOB_NAME);
    assert_true(relay_world_is_open(w, alice));
    assert_int_equal(relay_world_stats(w)->auth_ok, 1);
    assert_int_equal(relay_world_stats(w)->auth_failed, 0);
}

static void names_that_cannot_stand_in_a_log_line_are_refused(void **state)
{
    struct relay_world *w = *state;
    char longest[WZP_RELAY_USER_MAX + 1], too_long[WZP_RELAY_USER_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memset(too_long, 'a', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    const char *const bad[] = { "", "a b", "a\"b", "a\\b", "a\nb", "\xc3\xa4", too_long };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const uint64_t conn = show_token(w, "_signal");
        relay_world_verdict(w, conn, bad[i]);
        assert_closed(w, conn, "");
    }
    register_as(w, ALICE, longest);
}

static void wrong_tokens_are_charged_to_their_source(void **state)
{
    struct relay_world *w = relay_world_restart(
        state, &(struct wzp_relay_config){ .require_token = true, .source_registrations_per_minute = 2 });
    for (int i = 0; i < 2; i++)
        relay_world_verdict(w, show_token(w, "_signal"), NULL);
    const uint64_t third = relay_world_connect(w, "_signal");
    w->token_conn = 0;
    relay_world_send_text(w, third, token_text);
    assert_closed(w, third, "too many tokens from this address, wait a minute");
    assert_int_equal(w->token_conn, 0); /* the auth server is spared */
    assert_int_equal(relay_world_stats(w)->refused_source, 1);
}

/* ---- the name ---- */

static void offers_find_the_name_and_carry_the_callers(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = register_as(w, ALICE, ALICE_NAME), bob = register_as(w, BOB, BOB_NAME);
    relay_world_offer(w, alice, ALICE, BOB, "c0", NULL, NULL); /* nobody goes by the key's fingerprint */
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c0");
    memcpy(w->user[BOB].fingerprint, BOB_NAME, sizeof BOB_NAME);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    struct wzp_signal offer = relay_world_take(w, bob, WZP_SIG_DIRECT_CALL_OFFER);
    assert_string_equal(offer.offer.caller_fingerprint, ALICE_NAME);
    assert_string_equal(offer.offer.target_fingerprint, BOB_NAME);
    wzp_signal_done(&offer);
    relay_world_expect(w, alice, WZP_SIG_CALL_RINGING);
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_GENERIC, NULL, NULL);
    relay_world_expect(w, alice, WZP_SIG_DIRECT_CALL_ANSWER);

    const uint64_t media = join_as(w, ALICE, ALICE_NAME, "call-c1");
    relay_world_expect(w, media, WZP_SIG_CALL_ANSWER);
    const uint64_t stranger = join_as(w, BOB, "somebody-else", "call-c1"); /* bob's key, but not his name */
    assert_closed(w, stranger, "not a party of this call");
}

static void room_update_shows_the_name(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = join_as(w, ALICE, ALICE_NAME, "ops");
    relay_world_expect(w, conn, WZP_SIG_CALL_ANSWER);
    struct wzp_signal update = relay_world_take(w, conn, WZP_SIG_ROOM_UPDATE);
    assert_string_equal(update.room_update.participant[0].fingerprint, ALICE_NAME);
    wzp_signal_done(&update);
}

static void registering_the_same_name_takes_over_whatever_the_key(void **state)
{
    struct relay_world *w = *state;
    const uint64_t first = register_as(w, ALICE, ALICE_NAME), second = register_as(w, BOB, ALICE_NAME);
    const uint64_t carol = register_as(w, CAROL, "carol");
    memcpy(w->user[DAVE].fingerprint, ALICE_NAME, sizeof ALICE_NAME);
    relay_world_drop(w, first);
    relay_world_offer(w, carol, CAROL, DAVE, "c1", NULL, NULL);
    relay_world_expect(w, second, WZP_SIG_DIRECT_CALL_OFFER);
    assert_int_equal(relay_world_stats(w)->registered, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, relay_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(token_is_asked_about_before_anything_is_answered),
        TEST(first_message_without_a_token_is_refused_as_the_reference_does),
        TEST(refused_token_closes_the_connection_without_a_word),
        TEST(waiting_for_a_token_has_a_timer),
        TEST(verdict_that_never_comes_has_a_timer_and_so_has_what_follows_it),
        TEST(four_messages_wait_for_the_verdict_and_a_fifth_closes),
        TEST(bytes_that_wait_for_the_verdict_are_bounded),
        TEST(what_waits_behind_a_refused_message_is_dropped),
        TEST(verdicts_for_connections_that_are_gone_or_decided_are_ignored),
        TEST(names_that_cannot_stand_in_a_log_line_are_refused),
        TEST(wrong_tokens_are_charged_to_their_source),
        TEST(offers_find_the_name_and_carry_the_callers),
        TEST(room_update_shows_the_name),
        TEST(registering_the_same_name_takes_over_whatever_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
