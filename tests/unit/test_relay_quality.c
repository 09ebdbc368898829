/* QualityDirective: a room follows its weakest participant, and who has shown that it knows of quality is told. Also what
 * metrics see of a session and of a handshake. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"
#include "wzp/core/quality.h"

static const struct wzp_quality_report good = { .loss = 7, .rtt_4ms = 10, .bitrate_cap_kbps = 200 };
static const struct wzp_quality_report degraded = { .loss = 20, .rtt_4ms = 10, .bitrate_cap_kbps = 200 };
static const struct wzp_quality_report catastrophic = { .loss = 60, .rtt_4ms = 10, .bitrate_cap_kbps = 200 };
static const struct wzp_quality_report studio = { .loss = 0, .rtt_4ms = 1, .bitrate_cap_kbps = 200 };

/** A packet of conn with a report in it, as the reference sends one a second. */
static void report(struct relay_world *w, uint64_t conn, const struct wzp_quality_report *report, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        uint8_t data[20] = { 0x02 }; /* Opus 24k with trailer */
        memcpy(data + 16, &(uint8_t[]){ report->loss, report->rtt_4ms, report->jitter_ms, report->bitrate_cap_kbps },
               4);
        relay_world_datagram(w, conn, wz_bytes(data, sizeof data));
        relay_world_advance_ms(w, 1000);
    }
}

static void speak(struct relay_world *w, uint64_t conn)
{
    const uint8_t data[16] = { 0 };
    relay_world_datagram(w, conn, wz_bytes(data, sizeof data));
}

static void expect_directive(struct relay_world *w, uint64_t conn, enum wzp_tier tier)
{
    char expected[64];
    struct wzp_signal signal = relay_world_take(w, conn, WZP_SIG_QUALITY_DIRECTIVE);
    snprintf(expected, sizeof expected, "weakest link: %s", wzp_tier_name(tier));
    assert_string_equal(signal.quality_directive.reason, expected);
    assert_int_equal(signal.quality_directive.recommended_profile.codec, wzp_tier_profile(tier)->codec);
    wzp_signal_done(&signal);
}

static void enter(struct relay_world *w, size_t count, uint64_t conn[])
{
    for (unsigned user = 0; user < count; user++)
        conn[user] = relay_world_enter(w, user, "ops");
    for (size_t i = 0; i < count; i++)
        relay_world_ignore(w, conn[i]);
}

static size_t waiting(struct relay_world *w, size_t count, const uint64_t conn[])
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += relay_world_waiting(w, conn[i]);
    return sum;
}

static void weakest_participant_directs_all_who_report_itself_included(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[3];
    enter(w, 3, conn);
    report(w, conn[BOB], &good, 1);
    report(w, conn[ALICE], &degraded, 2);
    assert_int_equal(waiting(w, 3, conn), 0); /* two reports may be chance */
    report(w, conn[ALICE], &degraded, 1);
    char *text = relay_world_take_text(w, conn[ALICE]);
    assert_string_equal(text, "{\"QualityDirective\":{\"recommended_profile\":{\"codec\":\"Opus6k\",\"fec_ratio\":0.5,"
                              "\"frame_duration_ms\":40,\"frames_per_block\":10},"
                              "\"reason\":\"weakest link: Degraded\"}}");
    free(text);
    expect_directive(w, conn[BOB], WZP_TIER_DEGRADED);
    assert_int_equal(waiting(w, 3, conn), 0);
    assert_int_equal(relay_world_stats(w)->quality_directives, 1);
}

static void participant_that_never_sent_a_report_is_not_directed(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    enter(w, 2, conn);
    speak(w, conn[BOB]); /* seed-era clients lose their signalling over a message they do not know */
    report(w, conn[ALICE], &catastrophic, 3);
    expect_directive(w, conn[ALICE], WZP_TIER_CATASTROPHIC);
    assert_int_equal(relay_world_waiting(w, conn[BOB]), 0);
}

static void participant_that_reports_later_is_told_what_the_others_know(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    enter(w, 2, conn);
    report(w, conn[ALICE], &degraded, 3);
    relay_world_ignore(w, conn[ALICE]);
    report(w, conn[BOB], &good, 1);
    expect_directive(w, conn[BOB], WZP_TIER_DEGRADED);
    assert_int_equal(relay_world_waiting(w, conn[ALICE]), 0);
}

static void silent_participants_count_as_good(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    enter(w, 2, conn);
    report(w, conn[ALICE], &studio, 40);
    assert_int_equal(waiting(w, 2, conn), 0);
    report(w, conn[BOB], &studio, 40); /* now both climb */
    assert_true(relay_world_waiting(w, conn[ALICE]) > 0);
    expect_directive(w, conn[BOB], WZP_TIER_STUDIO_32K);
}

static void recovered_participant_lifts_the_room_again(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    enter(w, 2, conn);
    report(w, conn[BOB], &good, 1);
    report(w, conn[ALICE], &degraded, 3);
    relay_world_ignore(w, conn[ALICE]);
    relay_world_ignore(w, conn[BOB]);
    report(w, conn[ALICE], &good, 5);
    expect_directive(w, conn[ALICE], WZP_TIER_GOOD);
    expect_directive(w, conn[BOB], WZP_TIER_GOOD);
}

static void leaving_of_the_weakest_lifts_the_room(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    enter(w, 2, conn);
    report(w, conn[BOB], &good, 1);
    report(w, conn[ALICE], &degraded, 3);
    expect_directive(w, conn[BOB], WZP_TIER_DEGRADED);
    relay_world_drop(w, conn[ALICE]);
    relay_world_expect(w, conn[BOB], WZP_SIG_ROOM_UPDATE);
    expect_directive(w, conn[BOB], WZP_TIER_GOOD);
}

static void joining_of_a_silent_one_brings_a_studio_room_back_to_good(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[1];
    enter(w, 1, conn);
    report(w, conn[ALICE], &studio, 15);
    expect_directive(w, conn[ALICE], WZP_TIER_STUDIO_32K);
    relay_world_ignore(w, conn[ALICE]);
    const uint64_t bob = relay_world_enter(w, BOB, "ops");
    relay_world_expect(w, conn[ALICE], WZP_SIG_ROOM_UPDATE);
    expect_directive(w, conn[ALICE], WZP_TIER_GOOD);
    assert_int_equal(relay_world_waiting(w, bob), 0);
}

/** Reports that jump, without time passing between them. */
static void jump(struct relay_world *w, uint64_t conn, unsigned rounds)
{
    for (unsigned i = 0; i < rounds * 8; i++) {
        const struct wzp_quality_report *now = i % 8 < 3 ? &degraded : &good;
        const uint8_t data[16] = { 0x02, [12] = now->loss, [13] = now->rtt_4ms };
        relay_world_datagram(w, conn, wz_bytes(data, sizeof data));
    }
}

static void room_hears_of_its_quality_at_most_once_a_second(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    enter(w, 2, conn);
    report(w, conn[BOB], &good, 1);
    jump(w, conn[ALICE], 100);
    assert_int_equal(relay_world_waiting(w, conn[BOB]), 1);
    expect_directive(w, conn[BOB], WZP_TIER_DEGRADED);
    relay_world_advance_ms(w, 999);
    assert_int_equal(relay_world_waiting(w, conn[BOB]), 0);
    relay_world_advance_ms(w, 1); /* where it ended up is told in the end */
    expect_directive(w, conn[BOB], WZP_TIER_GOOD);
    relay_world_advance_ms(w, 1000);
    assert_true(wzp_relay_deadline_us(w->relay) == UINT64_MAX); /* a quiet room has no timer */
}

static void room_that_closes_while_a_directive_is_due_leaves_no_timer(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[1];
    void *const *handles;
    enter(w, 1, conn);
    const uint8_t data[16] = { 0x02, [12] = 200 };
    for (int i = 0; i < 3; i++)
        (void)wzp_relay_route(w->relay, conn[0], wz_bytes(data, sizeof data), w->now_us, &handles);
    assert_true(wzp_relay_is_due(w->relay));
    assert_int_equal(wzp_relay_deadline_us(w->relay), w->now_us);
    relay_world_drop(w, conn[0]);
    assert_false(wzp_relay_is_due(w->relay));
    assert_true(wzp_relay_deadline_us(w->relay) == UINT64_MAX);
}

static void directives_can_be_switched_off(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .quality_directives_off = true });
    uint64_t conn[2];
    enter(w, 2, conn);
    report(w, conn[ALICE], &catastrophic, 10);
    report(w, conn[BOB], &catastrophic, 10);
    assert_int_equal(waiting(w, 2, conn), 0);
    assert_true(wzp_relay_deadline_us(w->relay) == UINT64_MAX);
}

static void datagram_too_short_for_its_report_is_no_report(void **state)
{
    struct relay_world *w = *state;
    uint64_t conn[2];
    enter(w, 2, conn);
    const uint8_t data[15] = { 0x02, [11] = 255, 255, 255, 255 };
    for (int i = 0; i < 5; i++)
        assert_int_equal(relay_world_datagram(w, conn[ALICE], wz_bytes(data, sizeof data)), 0);
    assert_int_equal(waiting(w, 2, conn), 0);
    assert_int_equal(relay_world_stats(w)->datagrams_bad, 5);
}

/* ---- what metrics see ---- */

struct seen_session {
    size_t count;
    bool has_report[RELAY_WORLD_USERS];
    struct wzp_quality_report report[RELAY_WORLD_USERS];
    uint64_t datagrams_in[RELAY_WORLD_USERS];
    const struct relay_world *w;
};

static void note_session(void *arg, const struct wzp_relay_session_view *view)
{
    struct seen_session *seen = arg;
    for (unsigned user = 0; user < RELAY_WORLD_USERS; user++) {
        if (strcmp(view->fingerprint, seen->w->user[user].fingerprint) != 0)
            continue;
        seen->has_report[user] = view->has_report;
        seen->report[user] = view->report;
        seen->datagrams_in[user] = view->datagrams_in;
    }
    assert_string_equal(view->room, "ops");
    assert_true(view->conn > 0);
    seen->count++;
}

static void each_session_is_shown_with_its_last_report(void **state)
{
    struct relay_world *w = *state;
    struct seen_session seen = { .w = w };
    uint64_t conn[2];
    enter(w, 2, conn);
    speak(w, conn[BOB]);
    report(w, conn[ALICE], &degraded, 2);
    report(w, conn[ALICE], &(struct wzp_quality_report){ 1, 2, 3, 4 }, 1);
    relay_world_connect(w, "not joined yet");
    wzp_relay_each_session(w->relay, note_session, &seen);
    assert_int_equal(seen.count, 2);
    assert_true(seen.has_report[ALICE]);
    assert_int_equal(seen.report[ALICE].loss, 1);
    assert_int_equal(seen.report[ALICE].rtt_4ms, 2);
    assert_int_equal(seen.report[ALICE].jitter_ms, 3);
    assert_int_equal(seen.report[ALICE].bitrate_cap_kbps, 4);
    assert_int_equal(seen.datagrams_in[ALICE], 3);
    assert_false(seen.has_report[BOB]);
    assert_int_equal(seen.datagrams_in[BOB], 1);
}

static void report_of_all_zeros_is_a_report(void **state)
{
    struct relay_world *w = *state;
    struct seen_session seen = { .w = w };
    uint64_t conn[1];
    enter(w, 1, conn);
    report(w, conn[ALICE], &(struct wzp_quality_report){ 0 }, 1);
    wzp_relay_each_session(w->relay, note_session, &seen);
    assert_true(seen.has_report[ALICE]);
}

static void handshakes_are_counted_by_how_long_they_took(void **state)
{
    struct relay_world *w = *state;
    static const uint64_t took_us[] = { 1000, 1001, 5000, 2500000, 2500001 };
    static const size_t bucket[] = { 0, 1, 1, 9, 10 };
    uint64_t expected[WZP_RELAY_HANDSHAKE_BUCKETS] = { 0 }, sum_us = 0;
    for (size_t i = 0; i < sizeof took_us / sizeof took_us[0]; i++) {
        const uint64_t conn = relay_world_connect(w, "ops");
        w->now_us += took_us[i];
        relay_world_send_call_offer(w, conn, ALICE, NULL);
        expected[bucket[i]]++;
        sum_us += took_us[i];
    }
    assert_memory_equal(relay_world_stats(w)->handshakes, expected, sizeof expected);
    assert_int_equal(relay_world_stats(w)->handshakes_sum_us, sum_us);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, relay_world_setup, relay_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(weakest_participant_directs_all_who_report_itself_included),
        TEST(participant_that_never_sent_a_report_is_not_directed),
        TEST(participant_that_reports_later_is_told_what_the_others_know),
        TEST(silent_participants_count_as_good),
        TEST(recovered_participant_lifts_the_room_again),
        TEST(leaving_of_the_weakest_lifts_the_room),
        TEST(joining_of_a_silent_one_brings_a_studio_room_back_to_good),
        TEST(room_hears_of_its_quality_at_most_once_a_second),
        TEST(room_that_closes_while_a_directive_is_due_leaves_no_timer),
        TEST(directives_can_be_switched_off),
        TEST(datagram_too_short_for_its_report_is_no_report),
        TEST(each_session_is_shown_with_its_last_report),
        TEST(report_of_all_zeros_is_a_report),
        TEST(handshakes_are_counted_by_how_long_they_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
