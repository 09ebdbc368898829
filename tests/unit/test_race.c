/* The path of one call with our own kind, or without a race: each arrow of the diagram in wzp/core/race.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/race_stage.h"

/* ---- no race ---- */

static void without_a_race_the_relay_is_used_at_once(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_NONE, false);
    assert_false(wzp_race_is_open(&s->race));
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    stage_advance_ms(s, 10000);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 2);
    assert_false(stage_last_of(s, WZP_RACE_TELL_PEER)->ok);
    stage_feed_kind(s, WZP_RACE_RELAY_DOWN);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_NONE), 1);
    free(s);
}

static void race_that_may_not_report_tells_the_peer_nothing(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_NONE, false);
    wzp_race_start(&s->race, &(struct wzp_race_config){ .kind = WZP_RACE_OWN }, s->now_us);
    stage_advance_ms(s, 10000);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 0);
    free(s);
}

/* ---- own kind ---- */

static void first_verified_connection_is_nominated_and_the_rest_close_when_it_is_confirmed(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    for (uint64_t link = 1; link <= 3; link++)
        stage_dialled(s, link);
    stage_inbound(s, 9, true);
    stage_up(s, 2);
    stage_verified(s, 2, true);
    stage_verified(s, 9, true);
    assert_int_equal(s->race.state, WZP_RACE_NOMINATED);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_LINK), 1);
    assert_int_equal(stage_last_of(s, WZP_RACE_TELL_LINK)->link, 2);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_DIRECT), 0); /* not before the peer says so */
    stage_link_report(s, 9, true);                               /* not the one that we chose */
    assert_int_equal(s->race.state, WZP_RACE_NOMINATED);
    stage_link_report(s, 2, true);
    assert_int_equal(stage_last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    assert_true(stage_closed(s, 1) && stage_closed(s, 3) && stage_closed(s, 9) && !stage_closed(s, 2));
    assert_int_equal(wzp_race_direct_link(&s->race), 2);
    assert_true(stage_last_of(s, WZP_RACE_TELL_PEER)->ok);
    free(s);
}

static void peers_nomination_is_confirmed_on_the_same_connection(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, false);
    stage_dialled(s, 1);
    stage_inbound(s, 2, false);
    stage_up(s, 1);
    stage_verified(s, 1, false);
    stage_verified(s, 2, false);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_LINK), 0); /* the choice is the peer's */
    stage_link_report(s, 2, true);
    assert_int_equal(stage_last_of(s, WZP_RACE_TELL_LINK)->link, 2);
    assert_int_equal(stage_last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    assert_true(stage_closed(s, 1));
    free(s);
}

static void nomination_that_overtakes_the_hello_waits_for_it(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, false);
    stage_inbound(s, 1, true);
    stage_link_report(s, 1, true);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    stage_verified(s, 1, false);
    assert_int_equal(s->race.state, WZP_RACE_DIRECT);
    free(s);
}

static void nothing_is_chosen_without_a_valid_hello(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    stage_dialled(s, 1);
    stage_up(s, 1);
    stage_link_report(s, 1, true);
    stage_advance_ms(s, 1999);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_LINK), 0);
    free(s);
}

static void connection_without_a_hello_loses_its_place_after_two_seconds(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, false);
    stage_inbound(s, 1, true);
    stage_advance_ms(s, 1999);
    assert_false(stage_closed(s, 1));
    stage_advance_ms(s, 1);
    assert_true(stage_closed(s, 1));
    assert_int_equal(s->race.state, WZP_RACE_RACING); /* the peer may nominate another one */
    free(s);
}

static void nominated_connection_that_closes_gives_way_to_the_next(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    stage_dialled(s, 1);
    stage_dialled(s, 2);
    stage_up(s, 1);
    stage_up(s, 2);
    stage_verified(s, 1, true);
    stage_verified(s, 2, true);
    stage_down(s, 1);
    assert_int_equal(stage_last_of(s, WZP_RACE_TELL_LINK)->link, 2);
    stage_down(s, 2);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    free(s);
}

static void nomination_without_an_answer_is_withdrawn_after_a_second(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    stage_dialled(s, 1);
    stage_dialled(s, 2);
    stage_up(s, 1);
    stage_up(s, 2);
    stage_verified(s, 1, true);
    stage_verified(s, 2, true);
    stage_advance_ms(s, 1000);
    assert_true(stage_closed(s, 1));
    assert_int_equal(stage_last_of(s, WZP_RACE_TELL_LINK)->link, 2);
    stage_advance_ms(s, 1000); /* now the budget is used up too */
    assert_true(stage_closed(s, 2));
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    assert_false(stage_last_of(s, WZP_RACE_TELL_PEER)->ok);
    free(s);
}

static void nominator_gives_up_after_two_seconds_and_the_other_after_three(void **state)
{
    (void)state;
    for (int nominates = 0; nominates < 2; nominates++) {
        struct race_stage *s = stage_begin(WZP_RACE_OWN, nominates);
        stage_dialled(s, 1);
        stage_advance_ms(s, nominates ? 1999 : 2999);
        assert_true(wzp_race_is_open(&s->race));
        stage_advance_ms(s, 1);
        assert_false(wzp_race_is_open(&s->race));
        assert_true(stage_closed(s, 1));
        assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 1);
        assert_int_equal(stage_count_of(s, WZP_RACE_WANT_RELAY), 1);
        free(s);
    }
}

static void media_starts_on_the_relay_after_half_a_second_and_moves(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    stage_dialled(s, 1);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_advance_ms(s, 499);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 0);
    stage_advance_ms(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    stage_up(s, 1);
    stage_verified(s, 1, true);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_NONE), 0); /* it runs on while we wait */
    stage_link_report(s, 1, true);
    assert_int_equal(stage_last_of(s, WZP_RACE_USE_DIRECT)->link, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_NONE), 0);
    free(s);
}

static void relay_is_not_used_while_a_nomination_is_out(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    stage_dialled(s, 1);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_advance_ms(s, 450);
    stage_up(s, 1);
    stage_verified(s, 1, true);
    stage_advance_ms(s, 100);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 0);
    stage_advance_ms(s, 900); /* unanswered */
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    free(s);
}

static void relay_leg_is_kept_until_the_peer_shows_itself_on_the_direct_path(void **state)
{
    (void)state;
    struct race_stage *s = stage_direct_of_own_kind(); /* the peer's confirmation has shown it */
    assert_int_equal(stage_count_of(s, WZP_RACE_DROP_RELAY), 1);
    free(s);

    s = stage_begin(WZP_RACE_OWN, false);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_inbound(s, 1, true);
    stage_verified(s, 1, false);
    stage_link_report(s, 1, true);
    stage_advance_ms(s, 300);
    assert_int_equal(stage_count_of(s, WZP_RACE_DROP_RELAY), 0);
    stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_SEEN, .link = 1 });
    assert_int_equal(stage_count_of(s, WZP_RACE_DROP_RELAY), 1);
    free(s);
}

static void relay_leg_is_dropped_after_a_second_in_any_case(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, false);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_inbound(s, 1, true);
    stage_verified(s, 1, false);
    stage_link_report(s, 1, true);
    stage_advance_ms(s, 999);
    assert_int_equal(stage_count_of(s, WZP_RACE_DROP_RELAY), 0);
    stage_advance_ms(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_DROP_RELAY), 1);
    free(s);
}

static void direct_path_is_probed_every_half_second(void **state)
{
    (void)state;
    struct race_stage *s = stage_direct_of_own_kind();
    assert_int_equal(stage_count_of(s, WZP_RACE_PROBE), 1);
    for (int i = 0; i < 10; i++) {
        stage_advance_ms(s, 500);
        stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_SEEN, .link = 1 });
    }
    assert_int_equal(stage_count_of(s, WZP_RACE_PROBE), 11);
    free(s);
}

static void direct_path_without_a_sign_of_life_is_dead_after_1250_ms(void **state)
{
    (void)state;
    struct race_stage *s = stage_direct_of_own_kind();
    stage_advance_ms(s, 1000);
    stage_feed_kind(s, WZP_RACE_MEDIA);
    stage_advance_ms(s, 1249);
    assert_true(wzp_race_is_direct(&s->race));
    stage_advance_ms(s, 1);
    assert_false(wzp_race_is_direct(&s->race));
    assert_true(stage_closed(s, 1));
    assert_true(s->race.lost);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_NONE), 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_WANT_RELAY), 1);
    assert_false(stage_last_of(s, WZP_RACE_TELL_PEER)->ok);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    assert_int_equal(stage_last_of(s, WZP_RACE_USE_RELAY)->link, 0);
    free(s);
}

static void closed_direct_path_returns_to_the_relay_at_once(void **state)
{
    (void)state;
    struct race_stage *s = stage_direct_of_own_kind();
    stage_down(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_WANT_RELAY), 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_NONE), 1);
    free(s);
}

static void relay_leg_that_is_still_held_takes_over_without_a_gap(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, false);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_inbound(s, 1, true);
    stage_verified(s, 1, false);
    stage_link_report(s, 1, true);
    stage_down(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_NONE) + stage_count_of(s, WZP_RACE_WANT_RELAY), 0);
    free(s);
}

static void peer_that_reports_relay_is_followed(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    stage_dialled(s, 1);
    stage_peer_report(s, false);
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    free(s);
    s = stage_direct_of_own_kind();
    stage_peer_report(s, true); /* it only confirms */
    assert_true(wzp_race_is_direct(&s->race));
    stage_peer_report(s, false);
    assert_false(wzp_race_is_direct(&s->race));
    assert_true(stage_closed(s, 1));
    free(s);
}

static void refusal_on_the_connection_itself_closes_it(void **state)
{
    (void)state;
    struct race_stage *s = stage_direct_of_own_kind();
    stage_link_report(s, 1, false);
    assert_true(stage_closed(s, 1));
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    free(s);
}

static void room_size_says_nothing_while_our_own_kind_is_direct(void **state)
{
    (void)state;
    struct race_stage *s = stage_direct_of_own_kind();
    stage_feed_kind(s, WZP_RACE_PEER_IN_ROOM);
    assert_true(wzp_race_is_direct(&s->race));
    free(s);
}

static void places_for_connections_are_limited(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    for (uint64_t link = 1; link <= WZP_RACE_MAX_DIALS; link++)
        stage_dialled(s, link);
    assert_false(wzp_race_add(&s->race, 50, false));
    for (uint64_t link = 100; link < 100 + WZP_RACE_MAX_INBOUND; link++)
        stage_inbound(s, link, true);
    assert_false(wzp_race_accepts(&s->race));
    assert_false(wzp_race_add(&s->race, 200, true));
    stage_down(s, 100);
    assert_true(wzp_race_accepts(&s->race));
    free(s);
}

static void decided_race_accepts_nobody(void **state)
{
    (void)state;
    struct race_stage *s = stage_direct_of_own_kind();
    assert_false(wzp_race_accepts(&s->race));
    stage_down(s, 1);
    assert_false(wzp_race_accepts(&s->race));
    stage_up(s, 77); /* unknown: ignored */
    free(s);
}

/* ---- anything at any time ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull >> 33;
}

/** What the effects claim must be one consistent story. */
static void check_story(const struct race_stage *s, enum wzp_race_path *path, uint64_t *link)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct wzp_race_effect *effect = &s->did[i];
        if (effect->kind == WZP_RACE_USE_DIRECT) {
            *path = WZP_RACE_PATH_DIRECT;
            *link = effect->link;
        } else if (effect->kind == WZP_RACE_USE_RELAY) {
            *path = WZP_RACE_PATH_RELAY;
        } else if (effect->kind == WZP_RACE_USE_NONE) {
            *path = WZP_RACE_PATH_NONE;
        }
    }
    assert_int_equal(*path, s->race.path);
    if (*path == WZP_RACE_PATH_DIRECT)
        assert_int_equal(*link, wzp_race_direct_link(&s->race));
    assert_int_equal(*path == WZP_RACE_PATH_DIRECT, wzp_race_is_direct(&s->race));
    if (*path == WZP_RACE_PATH_RELAY)
        assert_true(s->race.relay_up);
}

static void random_events_never_choose_two_paths(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15ull, link = 0, last = 0;
        enum wzp_race_path path = WZP_RACE_PATH_NONE;
        struct race_stage *s = stage_begin((enum wzp_race_kind)(seed % 4), seed & 4);
        for (int step = 0; step < 60; step++) {
            s->count = 0;
            const uint64_t what = next_random(&random) % 14;
            const struct wzp_race_event event = {
                .kind = (enum wzp_race_event_kind)(what % 10),
                .link = last ? 1 + next_random(&random) % last : 0,
                .is_announced = next_random(&random) & 1,
                .nominates = seed & 4,
                .ok = next_random(&random) % 4 != 0,
            };
            if (what < 10)
                stage_feed(s, event);
            else if (what < 12)
                stage_advance_ms(s, next_random(&random) % 700);
            else if (wzp_race_is_open(&s->race) && wzp_race_add(&s->race, last + 1, what == 13))
                last++;
            check_story(s, &path, &link);
        }
        free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_race_the_relay_is_used_at_once),
        cmocka_unit_test(race_that_may_not_report_tells_the_peer_nothing),
        cmocka_unit_test(first_verified_connection_is_nominated_and_the_rest_close_when_it_is_confirmed),
        cmocka_unit_test(peers_nomination_is_confirmed_on_the_same_connection),
        cmocka_unit_test(nomination_that_overtakes_the_hello_waits_for_it),
        cmocka_unit_test(nothing_is_chosen_without_a_valid_hello),
        cmocka_unit_test(connection_without_a_hello_loses_its_place_after_two_seconds),
        cmocka_unit_test(nominated_connection_that_closes_gives_way_to_the_next),
        cmocka_unit_test(nomination_without_an_answer_is_withdrawn_after_a_second),
        cmocka_unit_test(nominator_gives_up_after_two_seconds_and_the_other_after_three),
        cmocka_unit_test(media_starts_on_the_relay_after_half_a_second_and_moves),
        cmocka_unit_test(relay_is_not_used_while_a_nomination_is_out),
        cmocka_unit_test(relay_leg_is_kept_until_the_peer_shows_itself_on_the_direct_path),
        cmocka_unit_test(relay_leg_is_dropped_after_a_second_in_any_case),
        cmocka_unit_test(direct_path_is_probed_every_half_second),
        cmocka_unit_test(direct_path_without_a_sign_of_life_is_dead_after_1250_ms),
        cmocka_unit_test(closed_direct_path_returns_to_the_relay_at_once),
        cmocka_unit_test(relay_leg_that_is_still_held_takes_over_without_a_gap),
        cmocka_unit_test(peer_that_reports_relay_is_followed),
        cmocka_unit_test(refusal_on_the_connection_itself_closes_it),
        cmocka_unit_test(room_size_says_nothing_while_our_own_kind_is_direct),
        cmocka_unit_test(places_for_connections_are_limited),
        cmocka_unit_test(decided_race_accepts_nobody),
        cmocka_unit_test(random_events_never_choose_two_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
