/* The path of one call: each arrow of the diagram in wzp/core/race.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wzp/core/race.h"

#define START_US 5000000u

/** One race, what it did since the last call, and a clock. */
struct stage {
    struct wzp_race race;
    uint64_t now_us;
    size_t count;
    struct wzp_race_effect did[256];
};

static void record(struct stage *s, const struct wzp_race_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        assert_in_range(s->count, 0, 255);
        s->did[s->count++] = effects->item[i];
    }
}

static void feed(struct stage *s, struct wzp_race_event event)
{
    struct wzp_race_effects effects;
    wzp_race_step(&s->race, &event, s->now_us, &effects);
    record(s, &effects);
}

static void advance_ms(struct stage *s, uint64_t ms)
{
    const uint64_t end_us = s->now_us + ms * 1000;
    for (uint64_t at_us; (at_us = wzp_race_deadline_us(&s->race)) <= end_us;) {
        struct wzp_race_effects effects;
        s->now_us = at_us > s->now_us ? at_us : s->now_us;
        wzp_race_tick(&s->race, s->now_us, &effects);
        record(s, &effects);
        assert_true(wzp_race_deadline_us(&s->race) > s->now_us);
    }
    s->now_us = end_us;
}

static size_t count_of(const struct stage *s, enum wzp_race_effect_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        count += s->did[i].kind == kind;
    return count;
}

static const struct wzp_race_effect *last_of(const struct stage *s, enum wzp_race_effect_kind kind)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->did[i].kind == kind)
            return &s->did[i];
    fail_msg("no effect %d", (int)kind);
    return NULL;
}

static bool closed(const struct stage *s, uint64_t link)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->did[i].kind == WZP_RACE_CLOSE_LINK && s->did[i].link == link)
            return true;
    return false;
}

static struct stage *begin(enum wzp_race_kind kind, bool nominates)
{
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->now_us = START_US;
    wzp_race_start(&s->race, &(struct wzp_race_config){ .kind = kind, .reports = true, .nominates = nominates },
                   s->now_us);
    return s;
}

static void dialled(struct stage *s, uint64_t link)
{
    assert_true(wzp_race_add(&s->race, link, false));
}

static void up(struct stage *s, uint64_t link)
{
    feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_UP, .link = link, .is_announced = true });
}

static void down(struct stage *s, uint64_t link)
{
    feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_DOWN, .link = link });
}

static void inbound(struct stage *s, uint64_t link, bool is_announced)
{
    assert_true(wzp_race_accepts(&s->race));
    assert_true(wzp_race_add(&s->race, link, true));
    feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_UP, .link = link, .is_announced = is_announced });
}

static void verified(struct stage *s, uint64_t link, bool nominates)
{
    feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_VERIFIED, .link = link, .nominates = nominates });
}

static void link_report(struct stage *s, uint64_t link, bool ok)
{
    feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_REPORT, .link = link, .ok = ok });
}

static void peer_report(struct stage *s, bool ok)
{
    feed(s, (struct wzp_race_event){ .kind = WZP_RACE_PEER_REPORT, .ok = ok });
}

static void simply(struct stage *s, enum wzp_race_event_kind kind)
{
    feed(s, (struct wzp_race_event){ .kind = kind });
}

/** Both sides verified on link 1, nominated and confirmed. */
static struct stage *direct_of_own_kind(void)
{
    struct stage *s = begin(WZP_RACE_OWN, true);
    dialled(s, 1);
    simply(s, WZP_RACE_RELAY_UP);
    up(s, 1);
    verified(s, 1, true);
    link_report(s, 1, true);
    assert_true(wzp_race_is_direct(&s->race));
    return s;
}

/* ---- no race ---- */

static void without_a_race_the_relay_is_used_at_once(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_NONE, false);
    assert_false(wzp_race_is_open(&s->race));
    simply(s, WZP_RACE_RELAY_UP);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    advance_ms(s, 10000);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 2);
    assert_false(last_of(s, WZP_RACE_TELL_PEER)->ok);
    simply(s, WZP_RACE_RELAY_DOWN);
    assert_int_equal(count_of(s, WZP_RACE_USE_NONE), 1);
    free(s);
}

static void race_that_may_not_report_tells_the_peer_nothing(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_NONE, false);
    wzp_race_start(&s->race, &(struct wzp_race_config){ .kind = WZP_RACE_OWN }, s->now_us);
    advance_ms(s, 10000);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 0);
    free(s);
}

/* ---- own kind ---- */

static void first_verified_connection_is_nominated_and_the_rest_close_when_it_is_confirmed(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    for (uint64_t link = 1; link <= 3; link++)
        dialled(s, link);
    inbound(s, 9, true);
    up(s, 2);
    verified(s, 2, true);
    verified(s, 9, true);
    assert_int_equal(s->race.state, WZP_RACE_NOMINATED);
    assert_int_equal(count_of(s, WZP_RACE_TELL_LINK), 1);
    assert_int_equal(last_of(s, WZP_RACE_TELL_LINK)->link, 2);
    assert_int_equal(count_of(s, WZP_RACE_USE_DIRECT), 0); /* not before the peer says so */
    link_report(s, 9, true);                               /* not the one that we chose */
    assert_int_equal(s->race.state, WZP_RACE_NOMINATED);
    link_report(s, 2, true);
    assert_int_equal(last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    assert_true(closed(s, 1) && closed(s, 3) && closed(s, 9) && !closed(s, 2));
    assert_int_equal(wzp_race_direct_link(&s->race), 2);
    assert_true(last_of(s, WZP_RACE_TELL_PEER)->ok);
    free(s);
}

static void peers_nomination_is_confirmed_on_the_same_connection(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, false);
    dialled(s, 1);
    inbound(s, 2, false);
    up(s, 1);
    verified(s, 1, false);
    verified(s, 2, false);
    assert_int_equal(count_of(s, WZP_RACE_TELL_LINK), 0); /* the choice is the peer's */
    link_report(s, 2, true);
    assert_int_equal(last_of(s, WZP_RACE_TELL_LINK)->link, 2);
    assert_int_equal(last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    assert_true(closed(s, 1));
    free(s);
}

static void nomination_that_overtakes_the_hello_waits_for_it(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, false);
    inbound(s, 1, true);
    link_report(s, 1, true);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    verified(s, 1, false);
    assert_int_equal(s->race.state, WZP_RACE_DIRECT);
    free(s);
}

static void nothing_is_chosen_without_a_valid_hello(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    dialled(s, 1);
    up(s, 1);
    link_report(s, 1, true);
    advance_ms(s, 1999);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    assert_int_equal(count_of(s, WZP_RACE_TELL_LINK), 0);
    free(s);
}

static void connection_without_a_hello_loses_its_place_after_two_seconds(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, false);
    inbound(s, 1, true);
    advance_ms(s, 1999);
    assert_false(closed(s, 1));
    advance_ms(s, 1);
    assert_true(closed(s, 1));
    assert_int_equal(s->race.state, WZP_RACE_RACING); /* the peer may nominate another one */
    free(s);
}

static void nominated_connection_that_closes_gives_way_to_the_next(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    dialled(s, 1);
    dialled(s, 2);
    up(s, 1);
    up(s, 2);
    verified(s, 1, true);
    verified(s, 2, true);
    down(s, 1);
    assert_int_equal(last_of(s, WZP_RACE_TELL_LINK)->link, 2);
    down(s, 2);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    free(s);
}

static void nomination_without_an_answer_is_withdrawn_after_a_second(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    dialled(s, 1);
    dialled(s, 2);
    up(s, 1);
    up(s, 2);
    verified(s, 1, true);
    verified(s, 2, true);
    advance_ms(s, 1000);
    assert_true(closed(s, 1));
    assert_int_equal(last_of(s, WZP_RACE_TELL_LINK)->link, 2);
    advance_ms(s, 1000); /* now the budget is used up too */
    assert_true(closed(s, 2));
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    assert_false(last_of(s, WZP_RACE_TELL_PEER)->ok);
    free(s);
}

static void nominator_gives_up_after_two_seconds_and_the_other_after_three(void **state)
{
    (void)state;
    for (int nominates = 0; nominates < 2; nominates++) {
        struct stage *s = begin(WZP_RACE_OWN, nominates);
        dialled(s, 1);
        advance_ms(s, nominates ? 1999 : 2999);
        assert_true(wzp_race_is_open(&s->race));
        advance_ms(s, 1);
        assert_false(wzp_race_is_open(&s->race));
        assert_true(closed(s, 1));
        assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 1);
        assert_int_equal(count_of(s, WZP_RACE_WANT_RELAY), 1);
        free(s);
    }
}

static void media_starts_on_the_relay_after_half_a_second_and_moves(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    dialled(s, 1);
    simply(s, WZP_RACE_RELAY_UP);
    advance_ms(s, 499);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 0);
    advance_ms(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    up(s, 1);
    verified(s, 1, true);
    assert_int_equal(count_of(s, WZP_RACE_USE_NONE), 0); /* it runs on while we wait */
    link_report(s, 1, true);
    assert_int_equal(last_of(s, WZP_RACE_USE_DIRECT)->link, 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_NONE), 0);
    free(s);
}

static void relay_is_not_used_while_a_nomination_is_out(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    dialled(s, 1);
    simply(s, WZP_RACE_RELAY_UP);
    advance_ms(s, 450);
    up(s, 1);
    verified(s, 1, true);
    advance_ms(s, 100);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 0);
    advance_ms(s, 900); /* unanswered */
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    free(s);
}

static void relay_leg_is_kept_until_the_peer_shows_itself_on_the_direct_path(void **state)
{
    (void)state;
    struct stage *s = direct_of_own_kind(); /* the peer's confirmation has shown it */
    assert_int_equal(count_of(s, WZP_RACE_DROP_RELAY), 1);
    free(s);

    s = begin(WZP_RACE_OWN, false);
    simply(s, WZP_RACE_RELAY_UP);
    inbound(s, 1, true);
    verified(s, 1, false);
    link_report(s, 1, true);
    advance_ms(s, 300);
    assert_int_equal(count_of(s, WZP_RACE_DROP_RELAY), 0);
    feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_SEEN, .link = 1 });
    assert_int_equal(count_of(s, WZP_RACE_DROP_RELAY), 1);
    free(s);
}

static void relay_leg_is_dropped_after_a_second_in_any_case(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, false);
    simply(s, WZP_RACE_RELAY_UP);
    inbound(s, 1, true);
    verified(s, 1, false);
    link_report(s, 1, true);
    advance_ms(s, 999);
    assert_int_equal(count_of(s, WZP_RACE_DROP_RELAY), 0);
    advance_ms(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_DROP_RELAY), 1);
    free(s);
}

static void direct_path_is_probed_every_half_second(void **state)
{
    (void)state;
    struct stage *s = direct_of_own_kind();
    assert_int_equal(count_of(s, WZP_RACE_PROBE), 1);
    for (int i = 0; i < 10; i++) {
        advance_ms(s, 500);
        feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_SEEN, .link = 1 });
    }
    assert_int_equal(count_of(s, WZP_RACE_PROBE), 11);
    free(s);
}

static void direct_path_without_a_sign_of_life_is_dead_after_1250_ms(void **state)
{
    (void)state;
    struct stage *s = direct_of_own_kind();
    advance_ms(s, 1000);
    simply(s, WZP_RACE_MEDIA);
    advance_ms(s, 1249);
    assert_true(wzp_race_is_direct(&s->race));
    advance_ms(s, 1);
    assert_false(wzp_race_is_direct(&s->race));
    assert_true(closed(s, 1));
    assert_true(s->race.lost);
    assert_int_equal(count_of(s, WZP_RACE_USE_NONE), 1);
    assert_int_equal(count_of(s, WZP_RACE_WANT_RELAY), 1);
    assert_false(last_of(s, WZP_RACE_TELL_PEER)->ok);
    simply(s, WZP_RACE_RELAY_UP);
    assert_int_equal(last_of(s, WZP_RACE_USE_RELAY)->link, 0);
    free(s);
}

static void closed_direct_path_returns_to_the_relay_at_once(void **state)
{
    (void)state;
    struct stage *s = direct_of_own_kind();
    down(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_WANT_RELAY), 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_NONE), 1);
    free(s);
}

static void relay_leg_that_is_still_held_takes_over_without_a_gap(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, false);
    simply(s, WZP_RACE_RELAY_UP);
    inbound(s, 1, true);
    verified(s, 1, false);
    link_report(s, 1, true);
    down(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_NONE) + count_of(s, WZP_RACE_WANT_RELAY), 0);
    free(s);
}

static void peer_that_reports_relay_is_followed(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    dialled(s, 1);
    peer_report(s, false);
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    free(s);
    s = direct_of_own_kind();
    peer_report(s, true); /* it only confirms */
    assert_true(wzp_race_is_direct(&s->race));
    peer_report(s, false);
    assert_false(wzp_race_is_direct(&s->race));
    assert_true(closed(s, 1));
    free(s);
}

static void refusal_on_the_connection_itself_closes_it(void **state)
{
    (void)state;
    struct stage *s = direct_of_own_kind();
    link_report(s, 1, false);
    assert_true(closed(s, 1));
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    free(s);
}

static void room_size_says_nothing_while_our_own_kind_is_direct(void **state)
{
    (void)state;
    struct stage *s = direct_of_own_kind();
    simply(s, WZP_RACE_PEER_IN_ROOM);
    assert_true(wzp_race_is_direct(&s->race));
    free(s);
}

static void places_for_connections_are_limited(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    for (uint64_t link = 1; link <= WZP_RACE_MAX_DIALS; link++)
        dialled(s, link);
    assert_false(wzp_race_add(&s->race, 50, false));
    for (uint64_t link = 100; link < 100 + WZP_RACE_MAX_INBOUND; link++)
        inbound(s, link, true);
    assert_false(wzp_race_accepts(&s->race));
    assert_false(wzp_race_add(&s->race, 200, true));
    down(s, 100);
    assert_true(wzp_race_accepts(&s->race));
    free(s);
}

static void decided_race_accepts_nobody(void **state)
{
    (void)state;
    struct stage *s = direct_of_own_kind();
    assert_false(wzp_race_accepts(&s->race));
    down(s, 1);
    assert_false(wzp_race_accepts(&s->race));
    up(s, 77); /* unknown: ignored */
    free(s);
}

/* ---- the reference as the peer ---- */

static void dialer_keeps_the_first_connection_and_aborts_the_others(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_DIALER, false);
    dialled(s, 1);
    dialled(s, 2);
    assert_false(wzp_race_accepts(&s->race));
    up(s, 2);
    assert_true(closed(s, 1));
    assert_int_equal(s->race.state, WZP_RACE_AGREEING);
    assert_int_equal(count_of(s, WZP_RACE_USE_DIRECT), 0);
    peer_report(s, true);
    assert_int_equal(last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    assert_int_equal(count_of(s, WZP_RACE_PROBE), 0); /* the reference is not asked for Pongs */
    free(s);
}

static void result_is_reported_not_before_500_ms_and_again_at_1500_ms(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_DIALER, false);
    dialled(s, 1);
    up(s, 1);
    advance_ms(s, 499);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 0);
    advance_ms(s, 1);
    assert_true(last_of(s, WZP_RACE_TELL_PEER)->ok);
    advance_ms(s, 999);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 1);
    advance_ms(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 2);
    advance_ms(s, 9000);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 2);
    free(s);
}

static void late_result_is_reported_at_once(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_ACCEPTOR, false);
    advance_ms(s, 1200);
    inbound(s, 1, true);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 1);
    advance_ms(s, 300);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 2);
    free(s);
}

static void peers_early_report_counts_when_our_connection_comes(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_DIALER, false);
    dialled(s, 1);
    peer_report(s, true);
    up(s, 1);
    assert_int_equal(s->race.state, WZP_RACE_DIRECT);
    free(s);
}

static void missing_report_means_relay_after_three_seconds(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_DIALER, false);
    dialled(s, 1);
    simply(s, WZP_RACE_RELAY_UP);
    advance_ms(s, 100);
    up(s, 1);
    advance_ms(s, 2999);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 0);
    advance_ms(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_true(closed(s, 1));
    peer_report(s, true); /* too late: media runs */
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    free(s);
}

static void peers_no_means_relay_at_once(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_DIALER, false);
    dialled(s, 1);
    simply(s, WZP_RACE_RELAY_UP);
    up(s, 1);
    peer_report(s, false);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_true(closed(s, 1));
    free(s);
}

static void dialer_without_a_connection_left_takes_the_relay_before_the_budget_ends(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_DIALER, false);
    dialled(s, 1);
    dialled(s, 2);
    simply(s, WZP_RACE_RELAY_UP);
    down(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 0);
    down(s, 2);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    advance_ms(s, 500);
    assert_false(last_of(s, WZP_RACE_TELL_PEER)->ok);
    free(s);
}

static void race_with_the_reference_ends_after_two_seconds(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_ACCEPTOR, false);
    simply(s, WZP_RACE_RELAY_UP);
    advance_ms(s, 1999);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 0);
    advance_ms(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 1);
    assert_false(last_of(s, WZP_RACE_TELL_PEER)->ok);
    free(s);
}

static void acceptor_prefers_an_announced_address_for_300_ms(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_ACCEPTOR, false);
    inbound(s, 1, false);
    advance_ms(s, 299);
    assert_int_equal(s->race.state, WZP_RACE_RACING);
    inbound(s, 2, true);
    assert_int_equal(s->race.chosen, 2);
    free(s);
    s = begin(WZP_RACE_ACCEPTOR, false);
    inbound(s, 1, false);
    advance_ms(s, 300);
    assert_int_equal(s->race.chosen, 1);
    free(s);
}

static void strict_acceptor_takes_announced_addresses_only(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_NONE, false);
    const struct wzp_race_config strict = { .kind = WZP_RACE_ACCEPTOR, .reports = true, .announced_only = true };
    wzp_race_start(&s->race, &strict, s->now_us);
    inbound(s, 1, false);
    assert_true(closed(s, 1));
    inbound(s, 2, true);
    assert_int_equal(s->race.chosen, 2);
    free(s);
}

static void acceptor_follows_the_dialer_that_keeps_another_connection(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_ACCEPTOR, false);
    inbound(s, 1, true);
    inbound(s, 2, true);
    down(s, 1);
    assert_int_equal(s->race.state, WZP_RACE_AGREEING);
    peer_report(s, true);
    assert_int_equal(last_of(s, WZP_RACE_USE_DIRECT)->link, 2);
    free(s);
}

/** Direct with a reference peer whose media has not come yet; the relay's leg is up. */
static struct stage *direct_with_reference(void)
{
    struct stage *s = begin(WZP_RACE_ACCEPTOR, false);
    simply(s, WZP_RACE_RELAY_UP);
    inbound(s, 1, true);
    peer_report(s, true);
    assert_true(wzp_race_is_direct(&s->race));
    s->count = 0;
    return s;
}

static void direct_without_a_packet_in_two_seconds_goes_to_the_room_as_well(void **state)
{
    (void)state;
    struct stage *s = direct_with_reference();
    advance_ms(s, 2000);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_false(closed(s, 1)); /* the peer may still speak there */
    simply(s, WZP_RACE_MEDIA);
    assert_int_equal(count_of(s, WZP_RACE_USE_DIRECT), 1);
    free(s);
}

static void spare_connection_closes_when_the_peer_comes_to_the_room(void **state)
{
    (void)state;
    struct stage *s = direct_with_reference();
    advance_ms(s, 2000);
    simply(s, WZP_RACE_PEER_IN_ROOM);
    assert_true(closed(s, 1));
    simply(s, WZP_RACE_MEDIA);
    assert_int_equal(s->race.state, WZP_RACE_RELAY);
    free(s);
}

static void peer_that_joined_the_room_has_chosen_the_relay(void **state)
{
    (void)state;
    struct stage *s = direct_with_reference();
    simply(s, WZP_RACE_PEER_IN_ROOM);
    assert_int_equal(count_of(s, WZP_RACE_USE_RELAY), 1);
    assert_true(closed(s, 1));
    free(s);
}

static void first_media_on_direct_drops_the_relay_leg(void **state)
{
    (void)state;
    struct stage *s = direct_with_reference();
    assert_int_equal(count_of(s, WZP_RACE_DROP_RELAY), 0);
    simply(s, WZP_RACE_MEDIA);
    assert_int_equal(count_of(s, WZP_RACE_DROP_RELAY), 1);
    free(s);
}

static void reference_that_falls_silent_for_five_seconds_is_sought_in_the_room(void **state)
{
    (void)state;
    struct stage *s = direct_with_reference();
    simply(s, WZP_RACE_MEDIA);
    advance_ms(s, 4999);
    assert_true(wzp_race_is_direct(&s->race));
    advance_ms(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_WANT_RELAY), 1);
    assert_int_equal(count_of(s, WZP_RACE_USE_NONE), 1);
    free(s);
}

static void closed_connection_of_a_reference_peer_leads_to_the_room(void **state)
{
    (void)state;
    struct stage *s = direct_with_reference();
    simply(s, WZP_RACE_MEDIA);
    down(s, 1);
    assert_int_equal(count_of(s, WZP_RACE_WANT_RELAY), 1);
    assert_int_equal(count_of(s, WZP_RACE_TELL_PEER), 0); /* a late report would be taken for the next call's */
    free(s);
}

static void new_start_keeps_the_path_in_use(void **state)
{
    (void)state;
    struct stage *s = begin(WZP_RACE_OWN, true);
    simply(s, WZP_RACE_RELAY_UP);
    advance_ms(s, 2500);
    s->count = 0;
    wzp_race_start(&s->race, &(struct wzp_race_config){ .kind = WZP_RACE_OWN, .nominates = true }, s->now_us);
    dialled(s, 5);
    up(s, 5);
    assert_int_equal(count_of(s, WZP_RACE_USE_NONE), 0);
    verified(s, 5, true);
    link_report(s, 5, true);
    assert_int_equal(count_of(s, WZP_RACE_USE_DIRECT), 1);
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
static void check_story(const struct stage *s, enum wzp_race_path *path, uint64_t *link)
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
        struct stage *s = begin((enum wzp_race_kind)(seed % 4), seed & 4);
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
                feed(s, event);
            else if (what < 12)
                advance_ms(s, next_random(&random) % 700);
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
        cmocka_unit_test(dialer_keeps_the_first_connection_and_aborts_the_others),
        cmocka_unit_test(result_is_reported_not_before_500_ms_and_again_at_1500_ms),
        cmocka_unit_test(late_result_is_reported_at_once),
        cmocka_unit_test(peers_early_report_counts_when_our_connection_comes),
        cmocka_unit_test(missing_report_means_relay_after_three_seconds),
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
        cmocka_unit_test(random_events_never_choose_two_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
