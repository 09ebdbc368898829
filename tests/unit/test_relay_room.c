/* The relay core's media side: who may enter a room, RoomUpdate, and where datagrams go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"

/** A 20-byte datagram of a codec; report: with quality trailer. */
static const uint8_t opus[20] = { 0x00, 0, 0, 1 };

static void assert_refused(struct relay_world *w, uint64_t conn, const char *reason)
{
    assert_false(relay_world_is_open(w, conn));
    assert_string_equal(relay_world_conn(w, conn)->close_reason, reason);
    assert_int_equal(relay_world_waiting(w, conn), 0);
}

/** Alice and bob in an answered call; their signal connections in signal[]. */
static void set_up_call(struct relay_world *w, const char *call_id, uint64_t signal[static 2])
{
    signal[ALICE] = relay_world_register(w, ALICE);
    signal[BOB] = relay_world_register(w, BOB);
    relay_world_call(w, signal[ALICE], ALICE, signal[BOB], BOB, call_id);
}

/* ---- names with a meaning ---- */

static void ping_is_closed_at_once_without_a_word(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_connect(w, "ping");
    assert_refused(w, conn, "");
    assert_null(relay_world_conn(w, conn)->uni);
}

static void version_writes_the_build_and_closes(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_connect(w, "version");
    assert_string_equal(relay_world_conn(w, conn)->uni, "test-build");
    assert_refused(w, conn, "");
}

static void names_of_relay_links_are_closed_politely(void **state)
{
    struct relay_world *w = *state;
    static const char *const names[] = { "_federation", "_probe", "_relay" };
    for (size_t i = 0; i < 3; i++) {
        const uint64_t conn = relay_world_connect(w, names[i]);
        assert_false(relay_world_is_open(w, conn));
        assert_true(strlen(relay_world_conn(w, conn)->close_reason) > 0);
    }
    assert_int_equal(relay_world_stats(w)->rooms, 0);
}

static void impossible_room_names_are_closed(void **state)
{
    struct relay_world *w = *state;
    char name[255];
    memset(name, 'a', sizeof name - 1);
    name[254] = '\0';
    assert_refused(w, relay_world_connect(w, name), "bad room name");
    assert_refused(w, relay_world_connect(w, ""), "bad room name");
}

/* ---- entering ---- */

static void call_offer_is_answered_with_a_valid_signature_then_the_room_is_told(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_join(w, ALICE, "ops", "Swift Wolf");
    struct wzp_signal answer = relay_world_take(w, conn, WZP_SIG_CALL_ANSWER);
    assert_int_equal(wzp_handshake_check_answer(&answer), 0);
    assert_memory_equal(answer.call_answer.keys.identity_pub, wzp_relay_identity(w->relay)->ed25519_public,
                        WZP_KEY_BYTES);
    assert_int_equal(answer.call_answer.chosen_profile.codec, WZP_CODEC_OPUS_24K);
    wzp_signal_done(&answer);
    char *text = relay_world_take_text(w, conn), expected[256];
    snprintf(expected, sizeof expected,
             "{\"RoomUpdate\":{\"count\":1,\"participants\":[{\"fingerprint\":\"%s\",\"alias\":\"Swift Wolf\","
             "\"relay_label\":null}]}}",
             w->user[ALICE].fingerprint);
    assert_string_equal(text, expected);
    free(text);
    assert_int_equal(relay_world_stats(w)->rooms, 1);
    assert_int_equal(relay_world_stats(w)->sessions, 1);
}

static void room_update_goes_to_everybody_on_join_and_leave_in_join_order(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_enter(w, ALICE, "ops"), bob = relay_world_enter(w, BOB, "ops");
    const uint64_t carol = relay_world_enter(w, CAROL, "ops");
    relay_world_ignore(w, bob);
    relay_world_expect(w, alice, WZP_SIG_ROOM_UPDATE);
    struct wzp_signal update = relay_world_take(w, alice, WZP_SIG_ROOM_UPDATE);
    assert_int_equal(update.room_update.count, 3);
    assert_string_equal(update.room_update.participant[0].fingerprint, w->user[ALICE].fingerprint);
    assert_string_equal(update.room_update.participant[2].fingerprint, w->user[CAROL].fingerprint);
    wzp_signal_done(&update);
    relay_world_drop(w, alice);
    update = relay_world_take(w, carol, WZP_SIG_ROOM_UPDATE);
    assert_int_equal(update.room_update.count, 2);
    assert_string_equal(update.room_update.participant[0].fingerprint, w->user[BOB].fingerprint);
    wzp_signal_done(&update);
    relay_world_expect(w, bob, WZP_SIG_ROOM_UPDATE);
}

static void last_to_leave_closes_the_room(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_enter(w, ALICE, "ops");
    relay_world_drop(w, alice);
    assert_int_equal(relay_world_stats(w)->rooms, 0);
    assert_int_equal(relay_world_stats(w)->sessions, 0);
}

static void same_identity_twice_in_a_plain_room_is_two_participants(void **state)
{
    struct relay_world *w = *state;
    const uint64_t first = relay_world_enter(w, ALICE, "ops"), second = relay_world_enter(w, ALICE, "ops");
    assert_true(relay_world_is_open(w, first) && relay_world_is_open(w, second));
    assert_int_equal(relay_world_stats(w)->sessions, 2);
}

static void long_alias_is_cut_at_a_character(void **state)
{
    struct relay_world *w = *state;
    char alias[101] = "x"; /* then two-byte characters: a cut at 64 would split one */
    for (size_t i = 1; i + 1 < sizeof alias; i += 2)
        memcpy(alias + i, "\xc3\xa4", 2);
    alias[99] = '\0';
    const uint64_t conn = relay_world_join(w, ALICE, "ops", alias);
    relay_world_expect(w, conn, WZP_SIG_CALL_ANSWER);
    struct wzp_signal update = relay_world_take(w, conn, WZP_SIG_ROOM_UPDATE);
    assert_int_equal(strlen(update.room_update.participant[0].alias), 63);
    wzp_signal_done(&update);
}

static void bad_signature_is_refused(void **state)
{
    struct relay_world *w = *state;
    struct wzp_handshake handshake;
    struct wzp_signal offer;
    const uint64_t conn = relay_world_connect(w, "ops");
    assert_int_equal(wzp_handshake_init(&handshake, &w->rng), 0);
    assert_int_equal(wzp_handshake_offer(&handshake, &w->user[ALICE], NULL, &offer), 0);
    offer.call_offer.keys.signature[0] ^= 1;
    relay_world_send(w, conn, &offer);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
    assert_refused(w, conn, "bad call offer");
    assert_int_equal(relay_world_stats(w)->refused_acl, 1);
}

static void other_first_message_is_refused_and_silence_times_out(void **state)
{
    struct relay_world *w = *state;
    const uint64_t wrong = relay_world_connect(w, "ops"), silent = relay_world_connect(w, "ops");
    relay_world_send_text(w, wrong, "\"Reflect\"");
    assert_refused(w, wrong, "call offer expected");
    relay_world_advance_ms(w, 10000);
    assert_refused(w, silent, "");
}

static void garbage_before_the_offer_is_tolerated(void **state)
{
    struct relay_world *w = *state;
    struct wzp_handshake handshake;
    struct wzp_signal offer;
    const uint64_t conn = relay_world_connect(w, "ops");
    relay_world_send_text(w, conn, "{\"FromTheFuture\":1}");
    relay_world_send_text(w, conn, "{");
    assert_int_equal(wzp_handshake_init(&handshake, &w->rng), 0);
    assert_int_equal(wzp_handshake_offer(&handshake, &w->user[ALICE], NULL, &offer), 0);
    relay_world_send(w, conn, &offer);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
    relay_world_expect(w, conn, WZP_SIG_CALL_ANSWER);
}

static void messages_after_the_handshake_are_not_acted_on(void **state)
{
    struct relay_world *w = *state;
    const uint64_t conn = relay_world_enter(w, ALICE, "ops");
    relay_world_send_text(w, conn, "{\"Hangup\":{\"reason\":\"Normal\"}}");
    relay_world_send_text(w, conn, "\"Reflect\"");
    assert_true(relay_world_is_open(w, conn));
    assert_int_equal(relay_world_waiting(w, conn), 0);
    assert_int_equal(relay_world_stats(w)->unexpected_signals, 2);
}

static void sessions_beyond_the_limit_are_refused(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .max_sessions = 2 });
    const uint64_t alice = relay_world_enter(w, ALICE, "ops");
    relay_world_enter(w, BOB, "other");
    assert_refused(w, relay_world_join(w, CAROL, "third", NULL), "full");
    assert_int_equal(relay_world_stats(w)->refused_limits, 1);
    relay_world_drop(w, alice);
    relay_world_enter(w, CAROL, "third");
}

static void draining_refuses_plain_rooms_but_not_call_rooms(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    set_up_call(w, "c1", signal);
    wzp_relay_drain(w->relay);
    assert_refused(w, relay_world_join(w, ALICE, "ops", NULL), "relay is draining");
    const uint64_t alice = relay_world_enter(w, ALICE, "call-c1"), bob = relay_world_enter(w, BOB, "call-c1");
    assert_false(wzp_relay_is_drained(w->relay));
    relay_world_hangup(w, signal[ALICE], WZP_HANGUP_NORMAL, "c1");
    assert_false(wzp_relay_is_drained(w->relay)); /* the room is still open */
    relay_world_drop(w, alice);
    relay_world_drop(w, bob);
    assert_true(wzp_relay_is_drained(w->relay));
}

/* ---- call rooms ---- */

static void call_room_is_for_its_two_parties(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    set_up_call(w, "c1", signal);
    relay_world_enter(w, ALICE, "call-c1");
    assert_refused(w, relay_world_join(w, CAROL, "call-c1", NULL), "not a party of this call");
    assert_refused(w, relay_world_join(w, ALICE, "call-unknown", NULL), "not a party of this call");
    assert_refused(w, relay_world_join(w, ALICE, "call-", NULL), "not a party of this call");
    relay_world_enter(w, BOB, "call-c1");
    assert_int_equal(relay_world_stats(w)->refused_acl, 3);
}

static void call_id_with_capitals_is_found_by_its_lower_case_room(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    set_up_call(w, "AbC", signal);
    relay_world_enter(w, ALICE, "call-abc"); /* TLS lower-cases the name */
}

static void ended_call_cannot_be_entered_but_its_room_lives_on(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    set_up_call(w, "c1", signal);
    const uint64_t alice = relay_world_enter(w, ALICE, "call-c1");
    relay_world_hangup(w, signal[BOB], WZP_HANGUP_NORMAL, "c1");
    assert_refused(w, relay_world_join(w, BOB, "call-c1", NULL), "not a party of this call");
    assert_true(relay_world_is_open(w, alice));
}

static void party_that_dials_again_takes_its_own_place(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    set_up_call(w, "c1", signal);
    const uint64_t old = relay_world_enter(w, ALICE, "call-c1"), bob = relay_world_enter(w, BOB, "call-c1");
    relay_world_ignore(w, bob);
    const uint64_t again = relay_world_enter(w, ALICE, "call-c1");
    assert_false(relay_world_is_open(w, old));
    assert_string_equal(relay_world_conn(w, old)->close_reason, "replaced");
    assert_int_equal(relay_world_stats(w)->sessions, 2);
    relay_world_expect(w, bob, WZP_SIG_ROOM_UPDATE);
    struct wzp_signal update = relay_world_take(w, bob, WZP_SIG_ROOM_UPDATE);
    assert_int_equal(update.room_update.count, 2);
    wzp_signal_done(&update);
    assert_int_equal(relay_world_datagram(w, again, wz_bytes(opus, sizeof opus)), 1);
    assert_int_equal(relay_world_datagram(w, old, wz_bytes(opus, sizeof opus)), 0);
}

static void lone_party_that_dials_again_keeps_the_call(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    set_up_call(w, "c1", signal);
    const uint64_t old = relay_world_enter(w, ALICE, "call-c1");
    const uint64_t again = relay_world_enter(w, ALICE, "call-c1"); /* the room closes and opens in between */
    assert_false(relay_world_is_open(w, old));
    assert_true(relay_world_is_open(w, again));
    assert_int_equal(relay_world_stats(w)->rooms, 1);
}

static void strangers_never_meet_in_the_room_of_a_forgotten_call(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    set_up_call(w, "c1", signal);
    const uint64_t alice = relay_world_enter(w, ALICE, "call-c1");
    relay_world_hangup(w, signal[ALICE], WZP_HANGUP_NORMAL, "c1");
    relay_world_ignore(w, signal[BOB]);
    relay_world_advance_ms(w, 60000); /* the record is gone, alice is still in the room */
    relay_world_offer(w, signal[BOB], BOB, ALICE, "C1", NULL, NULL);
    relay_world_take_hangup(w, signal[BOB], WZP_HANGUP_ERROR, "C1");
    relay_world_drop(w, alice);
    relay_world_offer(w, signal[BOB], BOB, ALICE, "c1", NULL, NULL);
    relay_world_expect(w, signal[ALICE], WZP_SIG_DIRECT_CALL_OFFER);
}

static void call_that_both_left_without_hanging_up_ends(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    set_up_call(w, "c1", signal);
    const uint64_t alice = relay_world_enter(w, ALICE, "call-c1"), bob = relay_world_enter(w, BOB, "call-c1");
    relay_world_advance_ms(w, 600000);
    assert_int_equal(relay_world_stats(w)->calls, 1);
    relay_world_drop(w, alice);
    relay_world_drop(w, bob);
    relay_world_advance_ms(w, 30000);
    relay_world_take_hangup(w, signal[ALICE], WZP_HANGUP_TIMEOUT, "c1");
    relay_world_take_hangup(w, signal[BOB], WZP_HANGUP_TIMEOUT, "c1");
}

/* ---- datagrams ---- */

static void datagram_goes_to_all_others_and_never_back(void **state)
{
    struct relay_world *w = *state;
    void *const *handles;
    const uint64_t alice = relay_world_enter(w, ALICE, "ops"), bob = relay_world_enter(w, BOB, "ops");
    const uint64_t carol = relay_world_enter(w, CAROL, "ops"), other = relay_world_enter(w, CAROL, "other");
    assert_int_equal(wzp_relay_route(w->relay, bob, wz_bytes(opus, sizeof opus), w->now_us, &handles), 2);
    assert_ptr_equal(handles[0], relay_world_conn(w, alice));
    assert_ptr_equal(handles[1], relay_world_conn(w, carol));
    assert_int_equal(relay_world_datagram(w, other, wz_bytes(opus, sizeof opus)), 0);
    assert_int_equal(relay_world_stats(w)->datagrams_in, 2);
    assert_int_equal(relay_world_stats(w)->packets_forwarded, 2);
    assert_int_equal(relay_world_stats(w)->bytes_forwarded, 2 * (sizeof opus - 12));
}

static void malformed_datagrams_are_counted_and_dropped(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_enter(w, ALICE, "ops");
    relay_world_enter(w, BOB, "ops");
    uint8_t data[20] = { 0 };
    assert_int_equal(relay_world_datagram(w, alice, wz_bytes(data, 0)), 0);
    assert_int_equal(relay_world_datagram(w, alice, wz_bytes(data, 11)), 0);
    data[0] = 9 << 2;
    assert_int_equal(relay_world_datagram(w, alice, wz_bytes(data, 20)), 0);
    data[0] = 15 << 2;
    assert_int_equal(relay_world_datagram(w, alice, wz_bytes(data, 20)), 0);
    data[0] = 2; /* quality trailer promised, three bytes there */
    assert_int_equal(relay_world_datagram(w, alice, wz_bytes(data, 15)), 0);
    assert_int_equal(relay_world_stats(w)->datagrams_bad, 5);
    assert_int_equal(relay_world_stats(w)->packets_forwarded, 0);
}

static void shortest_and_last_codec_datagrams_pass(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_enter(w, ALICE, "ops");
    relay_world_enter(w, BOB, "ops");
    uint8_t data[20] = { 0 };
    assert_int_equal(relay_world_datagram(w, alice, wz_bytes(data, 12)), 1);
    data[0] = 8 << 2;
    assert_int_equal(relay_world_datagram(w, alice, wz_bytes(data, 20)), 1);
    data[0] = 2;
    assert_int_equal(relay_world_datagram(w, alice, wz_bytes(data, 16)), 1);
    assert_int_equal(relay_world_stats(w)->bytes_forwarded, 8);
    assert_int_equal(relay_world_stats(w)->datagrams_bad, 0);
}

static void datagrams_outside_a_room_go_nowhere(void **state)
{
    struct relay_world *w = *state;
    const uint64_t signal = relay_world_register(w, ALICE), waiting = relay_world_connect(w, "ops");
    relay_world_enter(w, BOB, "ops");
    assert_int_equal(relay_world_datagram(w, signal, wz_bytes(opus, sizeof opus)), 0);
    assert_int_equal(relay_world_datagram(w, waiting, wz_bytes(opus, sizeof opus)), 0);
    assert_int_equal(relay_world_datagram(w, 4711, wz_bytes(opus, sizeof opus)), 0);
}

static void big_room_reaches_everybody(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .max_sessions = 50 });
    uint64_t conn[50];
    w->silent = true;
    for (size_t i = 0; i < 50; i++)
        conn[i] = relay_world_join(w, (unsigned)i % RELAY_WORLD_USERS, "big", NULL);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(relay_world_datagram(w, conn[i], wz_bytes(opus, sizeof opus)), 49);
}

/* ---- counters of a call ---- */

static void datagrams_of_a_call_are_counted_by_party_and_kept_after_its_end(void **state)
{
    struct relay_world *w = *state;
    uint64_t signal[2];
    struct wzp_relay_call_flow flow;
    set_up_call(w, "c1", signal);
    assert_true(wzp_relay_call_flow(w->relay, "c1", &flow));
    assert_int_equal(flow.from_caller + flow.from_callee + flow.forwarded, 0);
    const uint64_t alice = relay_world_enter(w, ALICE, "call-c1");
    relay_world_datagram(w, alice, wz_bytes(opus, sizeof opus)); /* alone: nobody gets it */
    const uint64_t bob = relay_world_enter(w, BOB, "call-c1");
    for (int i = 0; i < 3; i++)
        relay_world_datagram(w, alice, wz_bytes(opus, sizeof opus));
    relay_world_datagram(w, bob, wz_bytes(opus, sizeof opus));
    for (int after_the_end = 0; after_the_end < 2; after_the_end++) {
        assert_true(wzp_relay_call_flow(w->relay, "C1", &flow));
        assert_int_equal(flow.from_caller, 4);
        assert_int_equal(flow.from_callee, 1);
        assert_int_equal(flow.forwarded, 4);
        if (!after_the_end) {
            relay_world_hangup(w, signal[ALICE], WZP_HANGUP_NORMAL, "c1");
            relay_world_drop(w, alice);
            relay_world_drop(w, bob);
        }
    }
    relay_world_advance_ms(w, 60000);
    assert_false(wzp_relay_call_flow(w->relay, "c1", &flow));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, relay_world_setup, relay_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(ping_is_closed_at_once_without_a_word),
        TEST(version_writes_the_build_and_closes),
        TEST(names_of_relay_links_are_closed_politely),
        TEST(impossible_room_names_are_closed),
        TEST(call_offer_is_answered_with_a_valid_signature_then_the_room_is_told),
        TEST(room_update_goes_to_everybody_on_join_and_leave_in_join_order),
        TEST(last_to_leave_closes_the_room),
        TEST(same_identity_twice_in_a_plain_room_is_two_participants),
        TEST(long_alias_is_cut_at_a_character),
        TEST(bad_signature_is_refused),
        TEST(other_first_message_is_refused_and_silence_times_out),
        TEST(garbage_before_the_offer_is_tolerated),
        TEST(messages_after_the_handshake_are_not_acted_on),
        TEST(sessions_beyond_the_limit_are_refused),
        TEST(draining_refuses_plain_rooms_but_not_call_rooms),
        TEST(call_room_is_for_its_two_parties),
        TEST(call_id_with_capitals_is_found_by_its_lower_case_room),
        TEST(ended_call_cannot_be_entered_but_its_room_lives_on),
        TEST(party_that_dials_again_takes_its_own_place),
        TEST(lone_party_that_dials_again_keeps_the_call),
        TEST(strangers_never_meet_in_the_room_of_a_forgotten_call),
        TEST(call_that_both_left_without_hanging_up_ends),
        TEST(datagram_goes_to_all_others_and_never_back),
        TEST(malformed_datagrams_are_counted_and_dropped),
        TEST(shortest_and_last_codec_datagrams_pass),
        TEST(datagrams_outside_a_room_go_nowhere),
        TEST(big_room_reaches_everybody),
        TEST(datagrams_of_a_call_are_counted_by_party_and_kept_after_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
