/* The relay core, told as stories under a virtual clock: path reports, calls that end by themselves, and calls on a direct
 * path whose party loses the relay. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"

/* ---- calls that end by themselves ---- */

static void unanswered_call_times_out_for_both(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_advance_ms(w, 119999);
    assert_int_equal(relay_world_waiting(w, alice), 0);
    relay_world_advance_ms(w, 1);
    relay_world_take_hangup(w, alice, WZP_HANGUP_TIMEOUT, "c1");
    relay_world_take_hangup(w, bob, WZP_HANGUP_TIMEOUT, "c1");
    assert_int_equal(relay_world_stats(w)->calls, 0);
    relay_world_answer(w, bob, "c1", WZP_ACCEPT_GENERIC, NULL, NULL); /* too late */
    assert_int_equal(relay_world_waiting(w, alice) + relay_world_waiting(w, bob), 0);
}

static void answered_call_whose_parties_never_meet_times_out(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_advance_ms(w, 30000);
    relay_world_take_hangup(w, alice, WZP_HANGUP_TIMEOUT, "c1");
    relay_world_take_hangup(w, bob, WZP_HANGUP_TIMEOUT, "c1");
}

static void vanished_callee_ends_the_call_with_an_error(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_drop(w, bob);
    relay_world_take_hangup(w, alice, WZP_HANGUP_ERROR, "c1");
    assert_int_equal(relay_world_stats(w)->registered, 1);
    assert_int_equal(relay_world_stats(w)->calls, 0);
    relay_world_offer(w, alice, ALICE, BOB, "c2", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c2");
}

static void vanished_caller_ends_all_its_calls(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    const uint64_t carol = relay_world_register(w, CAROL);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_call(w, alice, ALICE, carol, CAROL, "c2");
    relay_world_drop(w, alice);
    relay_world_take_hangup(w, bob, WZP_HANGUP_ERROR, "c1");
    relay_world_take_hangup(w, carol, WZP_HANGUP_ERROR, "c2");
}

static void two_parties_that_vanish_together_leave_no_call(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_drop(w, alice);
    relay_world_drop(w, bob);
    assert_int_equal(relay_world_stats(w)->calls, 0);
    assert_int_equal(relay_world_stats(w)->registered, 0);
    relay_world_advance_ms(w, 60000);
    assert_true(wzp_relay_deadline_us(w->relay) == UINT64_MAX);
}

/* ---- path report ---- */

static void path_report_goes_to_the_other_party_of_that_call_only(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    const uint64_t carol = relay_world_register(w, CAROL);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_call(w, alice, ALICE, carol, CAROL, "c2");
    relay_world_path_report(w, bob, "c1", true);
    struct wzp_signal report = relay_world_take(w, alice, WZP_SIG_MEDIA_PATH_REPORT);
    assert_string_equal(report.path_report.call_id, "c1");
    assert_true(report.path_report.direct_ok);
    assert_string_equal(report.path_report.race_winner, "Direct");
    wzp_signal_done(&report);
    assert_int_equal(relay_world_waiting(w, bob) + relay_world_waiting(w, carol), 0);
    relay_world_path_report(w, carol, "c1", true);
    assert_int_equal(relay_world_stats(w)->refused_wrong_party, 1);
    assert_int_equal(relay_world_waiting(w, alice) + relay_world_waiting(w, bob), 0);
}

/* It would lose its signal connection over the unknown kind, and the call with it. */
static void path_report_is_kept_from_a_client_of_the_first_generation(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register_plain(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_path_report(w, alice, "c1", false);
    assert_int_equal(relay_world_waiting(w, bob), 0);
    relay_world_hangup(w, bob, WZP_HANGUP_NORMAL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
}

static void build_in_offer_or_answer_shows_that_a_client_knows_path_reports(void **state)
{
    static const char offer[] = "{\"DirectCallOffer\":{\"caller_fingerprint\":\"%s\",\"caller_alias\":null,"
                                "\"target_fingerprint\":\"%s\",\"call_id\":\"c1\",\"identity_pub\":%s,"
                                "\"ephemeral_pub\":%s,\"signature\":[],\"supported_profiles\":[],"
                                "\"caller_build_version\":\"9377a90\"}}";
    static const char zeros[] = "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]";
    struct relay_world *w = *state;
    char text[1024];
    const uint64_t alice = relay_world_register_plain(w, ALICE), bob = relay_world_register_plain(w, BOB);
    (void)snprintf(text, sizeof text, offer, w->user[ALICE].fingerprint, w->user[BOB].fingerprint, zeros, zeros);
    relay_world_send_text(w, alice, text);
    relay_world_send_text(w, bob,
                          "{\"DirectCallAnswer\":{\"call_id\":\"c1\",\"accept_mode\":\"AcceptTrusted\","
                          "\"callee_build_version\":\"9377a90\"}}");
    relay_world_ignore(w, alice);
    relay_world_ignore(w, bob);
    relay_world_path_report(w, alice, "c1", true);
    relay_world_expect(w, bob, WZP_SIG_MEDIA_PATH_REPORT);
    relay_world_path_report(w, bob, "c1", true);
    relay_world_expect(w, alice, WZP_SIG_MEDIA_PATH_REPORT);
}

static void client_that_reports_its_path_hears_the_others_too(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register_plain(w, ALICE), bob = relay_world_register_plain(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_path_report(w, bob, "c1", true);
    assert_int_equal(relay_world_waiting(w, alice), 0);
    relay_world_path_report(w, alice, "c1", true);
    relay_world_expect(w, bob, WZP_SIG_MEDIA_PATH_REPORT);
}

static void path_report_before_the_answer_is_dropped(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    relay_world_path_report(w, alice, "c1", true);
    assert_int_equal(relay_world_waiting(w, bob), 0);
}

static void call_on_a_direct_path_needs_no_room_and_lives_on(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_call(w, alice, ALICE, bob, BOB, "c1");
    relay_world_path_report(w, alice, "c1", true);
    relay_world_path_report(w, bob, "c1", true);
    relay_world_advance_ms(w, 3600 * 1000);
    assert_int_equal(relay_world_stats(w)->calls, 1);
}

/* ---- calls on a direct path ---- */

/** Registers both, sets up c1 and has both report a direct path. Nothing is left to take. */
static void set_up_direct_call(struct relay_world *w, uint64_t conn[static 2])
{
    conn[ALICE] = relay_world_register(w, ALICE);
    conn[BOB] = relay_world_register(w, BOB);
    relay_world_call(w, conn[ALICE], ALICE, conn[BOB], BOB, "c1");
    relay_world_path_report(w, conn[ALICE], "c1", true);
    relay_world_path_report(w, conn[BOB], "c1", true);
    relay_world_ignore(w, conn[ALICE]);
    relay_world_ignore(w, conn[BOB]);
}

static void broken_direct_path_starts_the_setup_timer_again(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_advance_ms(w, 600000);
    relay_world_path_report(w, conn[BOB], "c1", false);
    relay_world_expect(w, conn[ALICE], WZP_SIG_MEDIA_PATH_REPORT);
    relay_world_advance_ms(w, 29999);
    assert_int_equal(relay_world_waiting(w, conn[ALICE]), 0);
    relay_world_advance_ms(w, 1);
    relay_world_take_hangup(w, conn[ALICE], WZP_HANGUP_TIMEOUT, "c1");
    relay_world_take_hangup(w, conn[BOB], WZP_HANGUP_TIMEOUT, "c1");
}

static void broken_direct_path_that_goes_on_in_the_room_keeps_the_call(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_path_report(w, conn[BOB], "c1", false);
    relay_world_enter(w, ALICE, "call-c1");
    relay_world_enter(w, BOB, "call-c1");
    relay_world_advance_ms(w, 600000);
    assert_int_equal(relay_world_stats(w)->calls, 1);
}

static void party_of_a_direct_call_may_lose_the_relay_for_a_while(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_drop(w, conn[BOB]);
    assert_int_equal(relay_world_waiting(w, conn[ALICE]), 0);
    relay_world_advance_ms(w, 19999);
    conn[BOB] = relay_world_register(w, BOB);
    relay_world_advance_ms(w, 600000);
    assert_int_equal(relay_world_waiting(w, conn[ALICE]), 0);
    assert_int_equal(relay_world_stats(w)->calls, 1);
    relay_world_hangup(w, conn[ALICE], WZP_HANGUP_NORMAL, "c1");
    relay_world_take_hangup(w, conn[BOB], WZP_HANGUP_NORMAL, "c1"); /* it is a party as before */
}

static void party_of_a_direct_call_that_stays_away_ends_it(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_drop(w, conn[ALICE]);
    relay_world_advance_ms(w, 19999);
    assert_int_equal(relay_world_waiting(w, conn[BOB]), 0);
    relay_world_advance_ms(w, 1);
    relay_world_take_hangup(w, conn[BOB], WZP_HANGUP_ERROR, "c1");
    assert_int_equal(relay_world_stats(w)->calls, 0);
}

static void grace_of_a_direct_call_can_be_set(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .direct_grace_ms = 5 });
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_drop(w, conn[ALICE]);
    relay_world_advance_ms(w, 5);
    relay_world_take_hangup(w, conn[BOB], WZP_HANGUP_ERROR, "c1");
}

static void direct_call_ends_when_both_parties_are_gone(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_drop(w, conn[ALICE]);
    relay_world_drop(w, conn[BOB]);
    assert_int_equal(relay_world_stats(w)->calls, 0);
    relay_world_advance_ms(w, 60000);
    assert_true(wzp_relay_deadline_us(w->relay) == UINT64_MAX);
}

static void party_that_hangs_up_while_the_other_is_away_ends_the_call(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_drop(w, conn[ALICE]);
    relay_world_hangup(w, conn[BOB], WZP_HANGUP_NORMAL, "c1");
    assert_int_equal(relay_world_stats(w)->calls, 0);
    relay_world_advance_ms(w, 20000);
    assert_int_equal(relay_world_waiting(w, conn[BOB]), 0);
}

static void direct_path_that_breaks_while_a_party_is_away_gets_no_longer_grace(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_drop(w, conn[ALICE]);
    relay_world_path_report(w, conn[BOB], "c1", false);
    relay_world_advance_ms(w, 20000);
    relay_world_take_hangup(w, conn[BOB], WZP_HANGUP_ERROR, "c1");
}

static void party_that_comes_back_to_a_broken_path_has_the_setup_time_to_meet(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_drop(w, conn[ALICE]);
    relay_world_path_report(w, conn[BOB], "c1", false);
    relay_world_advance_ms(w, 10000);
    conn[ALICE] = relay_world_register(w, ALICE);
    relay_world_advance_ms(w, 29999);
    assert_int_equal(relay_world_stats(w)->calls, 1);
    relay_world_advance_ms(w, 1);
    relay_world_take_hangup(w, conn[ALICE], WZP_HANGUP_TIMEOUT, "c1");
    relay_world_take_hangup(w, conn[BOB], WZP_HANGUP_TIMEOUT, "c1");
}

static void direct_call_that_both_parties_forgot_ends(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    for (unsigned user = ALICE; user <= BOB; user++) {
        relay_world_drop(w, conn[user]);
        conn[user] = relay_world_register(w, user);
    }
    relay_world_advance_ms(w, 29999);
    assert_int_equal(relay_world_stats(w)->calls, 1);
    relay_world_advance_ms(w, 1);
    relay_world_take_hangup(w, conn[ALICE], WZP_HANGUP_TIMEOUT, "c1");
    assert_int_equal(relay_world_stats(w)->calls, 0);
}

static void direct_call_that_one_party_still_reports_goes_on(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    for (unsigned user = ALICE; user <= BOB; user++) {
        relay_world_drop(w, conn[user]);
        conn[user] = relay_world_register(w, user);
    }
    relay_world_path_report(w, conn[BOB], "c1", true);
    relay_world_advance_ms(w, 3600000);
    assert_int_equal(relay_world_stats(w)->calls, 1);
}

static void only_direct_calls_of_a_vanished_party_go_on(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    const uint64_t carol = relay_world_register(w, CAROL);
    relay_world_call(w, conn[ALICE], ALICE, carol, CAROL, "c2");
    relay_world_call(w, carol, CAROL, conn[ALICE], ALICE, "c3");
    relay_world_path_report(w, carol, "c3", true); /* one report is no direct path */
    relay_world_ignore(w, carol);
    relay_world_drop(w, conn[ALICE]);
    relay_world_take_hangup(w, carol, WZP_HANGUP_ERROR, "c2");
    relay_world_take_hangup(w, carol, WZP_HANGUP_ERROR, "c3");
    assert_int_equal(relay_world_waiting(w, conn[BOB]), 0);
    assert_int_equal(relay_world_stats(w)->calls, 1);
}

static void absent_party_does_not_hold_up_draining(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    set_up_direct_call(w, conn);
    relay_world_drop(w, conn[ALICE]);
    wzp_relay_drain(w->relay);
    assert_true(wzp_relay_is_drained(w->relay));
    relay_world_register(w, ALICE); /* the party of a call is let in */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, relay_world_setup, relay_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(unanswered_call_times_out_for_both),
        TEST(answered_call_whose_parties_never_meet_times_out),
        TEST(vanished_callee_ends_the_call_with_an_error),
        TEST(vanished_caller_ends_all_its_calls),
        TEST(two_parties_that_vanish_together_leave_no_call),
        TEST(path_report_goes_to_the_other_party_of_that_call_only),
        TEST(path_report_is_kept_from_a_client_of_the_first_generation),
        TEST(build_in_offer_or_answer_shows_that_a_client_knows_path_reports),
        TEST(client_that_reports_its_path_hears_the_others_too),
        TEST(path_report_before_the_answer_is_dropped),
        TEST(call_on_a_direct_path_needs_no_room_and_lives_on),
        TEST(broken_direct_path_starts_the_setup_timer_again),
        TEST(broken_direct_path_that_goes_on_in_the_room_keeps_the_call),
        TEST(party_of_a_direct_call_may_lose_the_relay_for_a_while),
        TEST(party_of_a_direct_call_that_stays_away_ends_it),
        TEST(grace_of_a_direct_call_can_be_set),
        TEST(direct_call_ends_when_both_parties_are_gone),
        TEST(party_that_hangs_up_while_the_other_is_away_ends_the_call),
        TEST(direct_path_that_breaks_while_a_party_is_away_gets_no_longer_grace),
        TEST(party_that_comes_back_to_a_broken_path_has_the_setup_time_to_meet),
        TEST(direct_call_that_both_parties_forgot_ends),
        TEST(direct_call_that_one_party_still_reports_goes_on),
        TEST(only_direct_calls_of_a_vanished_party_go_on),
        TEST(absent_party_does_not_hold_up_draining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
