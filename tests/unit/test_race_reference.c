/* The path of one call with a reference peer: each arrow of the diagram in wzp/core/race.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/race_stage.h"

/* ---- the reference as the peer ---- */

static void dialer_keeps_the_first_connection_and_aborts_the_others(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_DIALER, false);
    stage_dialled(s, 1);
    stage_dialled(s, 2);
    assert_false(wzp_race_accepts(&s->race));
    stage_up(s, 2);
    assert_true(stage_closed(s, 1));
    assert_int_equal(s->race.state, WZP_RACE_AGREEING);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_DIRECT), 0);
    stage_peer_report(s, true);
    assert_int_equal(stage_last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    assert_int_equal(stage_count_of(s, WZP_RACE_PROBE), 0); /* the reference is not asked for Pongs */
    free(s);
}

static void result_is_reported_not_before_500_ms_and_again_at_1500_ms(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_DIALER, false);
    stage_dialled(s, 1);
    stage_up(s, 1);
    stage_advance_ms(s, 499);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 0);
    stage_advance_ms(s, 1);
    assert_true(stage_last_of(s, WZP_RACE_TELL_PEER)->ok);
    stage_advance_ms(s, 999);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 1);
    stage_advance_ms(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 2);
    stage_advance_ms(s, 9000);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 2);
    free(s);
}

static void late_result_is_reported_at_once(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_ACCEPTOR, false);
    stage_advance_ms(s, 1200);
    stage_inbound(s, 1, true);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 1);
    stage_advance_ms(s, 300);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 2);
    free(s);
}

static void peers_early_report_counts_when_our_connection_comes(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_DIALER, false);
    stage_dialled(s, 1);
    stage_peer_report(s, true);
    stage_up(s, 1);
    assert_int_equal(s->race.state, WZP_RACE_DIRECT);
    free(s);
}

/** Connected as this kind on link 1; the relay's leg is up, and the peer says nothing. */
static struct race_stage *connected_without_a_report(enum wzp_race_kind kind)
{
    struct race_stage *s = stage_begin(kind, false);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    if (kind == WZP_RACE_ACCEPTOR) {
        stage_inbound(s, 1, true);
    } else {
        stage_dialled(s, 1);
        stage_up(s, 1);
    }
    return s;
}

static void missing_report_means_relay_after_three_seconds(void **state)
{
    (void)state;
    struct race_stage *s = connected_without_a_report(WZP_RACE_DIALER);
    stage_advance_ms(s, 2999);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 0);
    stage_advance_ms(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    stage_peer_report(s, true); /* too late: media runs */
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    free(s);
}

static void peer_whose_report_was_lost_is_followed_when_it_speaks_on_the_spare_connection(void **state)
{
    (void)state;
    static const enum wzp_race_kind kinds[] = { WZP_RACE_DIALER, WZP_RACE_ACCEPTOR };
    for (size_t i = 0; i < 2; i++) {
        struct race_stage *s = connected_without_a_report(kinds[i]);
        stage_advance_ms(s, 3000);
        assert_int_equal(s->race.state, WZP_RACE_RELAY);
        assert_false(stage_closed(s, 1));
        stage_link_media(s, 1);
        assert_int_equal(stage_last_of(s, WZP_RACE_USE_DIRECT)->link, 1);
        assert_int_equal(stage_count_of(s, WZP_RACE_DROP_RELAY), 0); /* in doubt it is kept */
        free(s);
    }
}

static void peer_that_speaks_before_its_report_comes_has_agreed(void **state)
{
    (void)state;
    struct race_stage *s = connected_without_a_report(WZP_RACE_ACCEPTOR);
    stage_inbound(s, 2, true);
    stage_advance_ms(s, 1000);
    stage_link_media(s, 2);
    assert_int_equal(stage_last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    assert_true(stage_closed(s, 1));
    stage_peer_report(s, true); /* late, and no news */
    assert_true(wzp_race_is_direct(&s->race));
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_DIRECT), 1);
    free(s);
}

static void peer_without_a_report_that_is_in_the_room_leaves_no_spare_connection(void **state)
{
    (void)state;
    struct race_stage *before = connected_without_a_report(WZP_RACE_ACCEPTOR);
    stage_feed_kind(before, WZP_RACE_PEER_IN_ROOM);
    stage_advance_ms(before, 3000);
    assert_true(stage_closed(before, 1));
    free(before);
    struct race_stage *after = connected_without_a_report(WZP_RACE_ACCEPTOR);
    stage_advance_ms(after, 3000);
    assert_false(stage_closed(after, 1));
    stage_feed_kind(after, WZP_RACE_PEER_IN_ROOM);
    assert_true(stage_closed(after, 1));
    free(after);
}

static void stranger_that_speaks_before_the_peer_has_agreed_decides_nothing(void **state)
{
    (void)state;
    struct race_stage *s = connected_without_a_report(WZP_RACE_ACCEPTOR);
    stage_inbound(s, 2, false);
    stage_link_media(s, 2);
    assert_int_equal(s->race.state, WZP_RACE_AGREEING);
    stage_peer_report(s, true);
    assert_int_equal(stage_last_of(s, WZP_RACE_USE_DIRECT)->link, 1);
    assert_true(stage_closed(s, 2));
    free(s);
}

static void media_of_our_own_kind_on_a_connection_not_in_use_decides_nothing(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, false);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_inbound(s, 1, true);
    stage_link_media(s, 1);
    stage_verified(s, 1, false);
    stage_link_media(s, 1);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    stage_advance_ms(s, 5000);
    stage_link_media(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_DIRECT), 0);
    free(s);
}

/* ---- knocking ---- */

static void acceptor_knocks_at_0_and_100_and_300_ms(void **state)
{
    (void)state;
    static const unsigned waits_ms[] = { 0, 99, 1, 199, 1, 5000 }, knocks[] = { 1, 1, 2, 2, 3, 3 };
    struct race_stage *s = stage_begin(WZP_RACE_ACCEPTOR, false);
    for (size_t i = 0; i < 6; i++) {
        stage_advance_ms(s, waits_ms[i]);
        assert_int_equal(stage_count_of(s, WZP_RACE_KNOCK), knocks[i]);
    }
    free(s);
}

static void acceptor_stops_knocking_when_the_dialer_is_in(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_ACCEPTOR, false);
    stage_advance_ms(s, 50);
    stage_inbound(s, 1, true);
    stage_advance_ms(s, 2000);
    assert_int_equal(stage_count_of(s, WZP_RACE_KNOCK), 1);
    free(s);
}

static void knocks_that_a_late_timer_missed_are_not_made_up_for(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_ACCEPTOR, false);
    s->now_us += 150 * 1000;
    stage_advance_ms(s, 0);
    assert_int_equal(stage_count_of(s, WZP_RACE_KNOCK), 1);
    stage_advance_ms(s, 150);
    assert_int_equal(stage_count_of(s, WZP_RACE_KNOCK), 2);
    free(s);
}

static void nobody_but_the_acceptor_knocks(void **state)
{
    (void)state;
    static const enum wzp_race_kind kinds[] = { WZP_RACE_DIALER, WZP_RACE_OWN, WZP_RACE_NONE };
    for (size_t i = 0; i < 3; i++) {
        struct race_stage *s = stage_begin(kinds[i], false);
        if (kinds[i] != WZP_RACE_NONE)
            stage_dialled(s, 1);
        stage_advance_ms(s, 5000);
        assert_int_equal(stage_count_of(s, WZP_RACE_KNOCK), 0);
        free(s);
    }
}

static void peers_no_means_relay_at_once(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_DIALER, false);
    stage_dialled(s, 1);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_up(s, 1);
    stage_peer_report(s, false);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_true(stage_closed(s, 1));
    free(s);
}

static void dialer_without_a_connection_left_takes_the_relay_before_the_budget_ends(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_DIALER, false);
    stage_dialled(s, 1);
    stage_dialled(s, 2);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_down(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 0);
    stage_down(s, 2);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    stage_advance_ms(s, 500);
    assert_false(stage_last_of(s, WZP_RACE_TELL_PEER)->ok);
    free(s);
}

static void race_with_the_reference_ends_after_two_seconds(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_ACCEPTOR, false);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_advance_ms(s, 1999);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 0);
    stage_advance_ms(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 1);
    assert_false(stage_last_of(s, WZP_RACE_TELL_PEER)->ok);
    free(s);
}

static void acceptor_prefers_an_announced_address_for_300_ms(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_ACCEPTOR, false);
    stage_inbound(s, 1, false);
    stage_advance_ms(s, 299);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    stage_inbound(s, 2, true);
    assert_int_equal(s->race.chosen, 2);
    free(s);
    s = stage_begin(WZP_RACE_ACCEPTOR, false);
    stage_inbound(s, 1, false);
    stage_advance_ms(s, 300);
    assert_int_equal(s->race.chosen, 1);
    free(s);
}

static void strict_acceptor_takes_announced_addresses_only(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_NONE, false);
    const struct wzp_race_config strict = { .kind = WZP_RACE_ACCEPTOR, .reports = true, .announced_only = true };
    wzp_race_start(&s->race, &strict, s->now_us);
    stage_inbound(s, 1, false);
    assert_true(stage_closed(s, 1));
    stage_inbound(s, 2, true);
    assert_int_equal(s->race.chosen, 2);
    free(s);
}

static void acceptor_follows_the_dialer_that_keeps_another_connection(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_ACCEPTOR, false);
    stage_inbound(s, 1, true);
    stage_inbound(s, 2, true);
    stage_down(s, 1);
    assert_int_equal(s->race.state, WZP_RACE_AGREEING);
    stage_peer_report(s, true);
    assert_int_equal(stage_last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    free(s);
}

/** Direct with a reference peer whose media has not come yet; the relay's leg is up. */
static struct race_stage *direct_with_reference(void)
{
    struct race_stage *s = stage_begin(WZP_RACE_ACCEPTOR, false);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_inbound(s, 1, true);
    stage_peer_report(s, true);
    assert_true(wzp_race_is_direct(&s->race));
    s->count = 0;
    return s;
}

static void direct_without_a_packet_in_two_seconds_goes_to_the_room_as_well(void **state)
{
    (void)state;
    struct race_stage *s = direct_with_reference();
    stage_advance_ms(s, 2000);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_false(stage_closed(s, 1));   /* the peer may still speak there */
    stage_feed_kind(s, WZP_RACE_MEDIA); /* in the room */
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_DIRECT), 0);
    stage_link_media(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_DIRECT), 1);
    free(s);
}

static void spare_connection_closes_when_the_peer_comes_to_the_room(void **state)
{
    (void)state;
    struct race_stage *s = direct_with_reference();
    stage_advance_ms(s, 2000);
    stage_feed_kind(s, WZP_RACE_PEER_IN_ROOM);
    assert_true(stage_closed(s, 1));
    stage_link_media(s, 1);
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    free(s);
}

static void peer_that_joined_the_room_has_chosen_the_relay(void **state)
{
    (void)state;
    struct race_stage *s = direct_with_reference();
    stage_feed_kind(s, WZP_RACE_PEER_IN_ROOM);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_true(stage_closed(s, 1));
    free(s);
}

static void first_media_on_direct_drops_the_relay_leg(void **state)
{
    (void)state;
    struct race_stage *s = direct_with_reference();
    assert_int_equal(stage_count_of(s, WZP_RACE_DROP_RELAY), 0);
    stage_feed_kind(s, WZP_RACE_MEDIA);
    assert_int_equal(stage_count_of(s, WZP_RACE_DROP_RELAY), 1);
    free(s);
}

static void reference_that_falls_silent_for_five_seconds_is_sought_in_the_room(void **state)
{
    (void)state;
    struct race_stage *s = direct_with_reference();
    stage_feed_kind(s, WZP_RACE_MEDIA);
    stage_advance_ms(s, 4999);
    assert_true(wzp_race_is_direct(&s->race));
    stage_advance_ms(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_WANT_RELAY), 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_NONE), 1);
    free(s);
}

static void closed_connection_of_a_reference_peer_leads_to_the_room(void **state)
{
    (void)state;
    struct race_stage *s = direct_with_reference();
    stage_feed_kind(s, WZP_RACE_MEDIA);
    stage_down(s, 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_WANT_RELAY), 1);
    assert_int_equal(stage_count_of(s, WZP_RACE_TELL_PEER), 0); /* a late report would be taken for the next call's */
    free(s);
}

static void new_start_keeps_the_path_in_use(void **state)
{
    (void)state;
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_advance_ms(s, 2500);
    s->count = 0;
    wzp_race_start(&s->race, &(struct wzp_race_config){ .kind = WZP_RACE_OWN, .nominates = true }, s->now_us);
    stage_dialled(s, 5);
    stage_up(s, 5);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_NONE), 0);
    stage_verified(s, 5, true);
    stage_link_report(s, 5, true);
    assert_int_equal(stage_count_of(s, WZP_RACE_USE_DIRECT), 1);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialer_keeps_the_first_connection_and_aborts_the_others),
        cmocka_unit_test(result_is_reported_not_before_500_ms_and_again_at_1500_ms),
        cmocka_unit_test(late_result_is_reported_at_once),
        cmocka_unit_test(peers_early_report_counts_when_our_connection_comes),
        cmocka_unit_test(missing_report_means_relay_after_three_seconds),
        cmocka_unit_test(peer_whose_report_was_lost_is_followed_when_it_speaks_on_the_spare_connection),
        cmocka_unit_test(peer_that_speaks_before_its_report_comes_has_agreed),
        cmocka_unit_test(peer_without_a_report_that_is_in_the_room_leaves_no_spare_connection),
        cmocka_unit_test(media_of_our_own_kind_on_a_connection_not_in_use_decides_nothing),
        cmocka_unit_test(stranger_that_speaks_before_the_peer_has_agreed_decides_nothing),
        cmocka_unit_test(acceptor_knocks_at_0_and_100_and_300_ms),
        cmocka_unit_test(acceptor_stops_knocking_when_the_dialer_is_in),
        cmocka_unit_test(knocks_that_a_late_timer_missed_are_not_made_up_for),
        cmocka_unit_test(nobody_but_the_acceptor_knocks),
        cmocka_unit_test(peers_no_means_relay_at_once),
        cmocka_unit_test(dialer_without_a_connection_left_takes_the_relay_before_the_budget_ends),
        cmocka_unit_test(race_with_the_reference_ends_after_two_seconds),
        cmocka_unit_test(acceptor_prefers_an_announced_address_for_300_ms),
        cmocka_unit_test(strict_acceptor_takes_announced_addresses_only),
        cmocka_unit_test(acceptor_follows_the_dialer_that_keeps_another_connection),
        cmocka_unit_test(direct_without_a_packet_in_two_seconds_goes_to_the_room_as_well),
        cmocka_unit_test(spare_connection_closes_when_the_peer_comes_to_the_room),
        cmocka_unit_test(peer_that_joined_the_room_has_chosen_the_relay),
        cmocka_unit_test(first_media_on_direct_drops_the_relay_leg),
        cmocka_unit_test(reference_that_falls_silent_for_five_seconds_is_sought_in_the_room),
        cmocka_unit_test(closed_connection_of_a_reference_peer_leads_to_the_room),
        cmocka_unit_test(new_start_keeps_the_path_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
