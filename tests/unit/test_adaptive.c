/* Which codec goes out: what reports, round trips and relays do to it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/media/adaptive.h"

#define SECOND_US UINT64_C(1000000)

struct world {
    struct gw_adaptive adaptive;
    uint64_t now_us;
};

static void start(struct world *w, enum wzp_codec ceiling, enum gw_adapt mode)
{
    *w = (struct world){ .now_us = SECOND_US };
    gw_adaptive_init(&w->adaptive, ceiling, mode, w->now_us);
}

static struct wzp_quality_report report_of(unsigned loss_pct, unsigned rtt_ms)
{
    return wzp_quality_from_stats(loss_pct * 1000 + 500, rtt_ms, 3);
}

/* A report of ours and one of the peer each second. */
static void both_report(struct world *w, unsigned seconds, unsigned loss_pct, unsigned our_rtt_ms, unsigned peer_rtt_ms)
{
    const struct wzp_quality_report ours = report_of(0, our_rtt_ms);
    const struct wzp_quality_report peers = report_of(loss_pct, peer_rtt_ms);

    for (unsigned n = 0; n < seconds; n++) {
        w->now_us += SECOND_US;
        (void)gw_adaptive_own_report(&w->adaptive, &ours, w->now_us);
        (void)gw_adaptive_peer_report(&w->adaptive, &peers, w->now_us);
    }
}

static enum wzp_codec codec(const struct world *w)
{
    return gw_adaptive_codec(&w->adaptive);
}

/* ---- distance ---- */

static void a_distant_path_without_loss_stays_good(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
    for (unsigned n = 0; n < 600; n++) {
        both_report(&w, 1, 0, 280 + n % 7 * 4, 600 - n % 5 * 4); /* and some jitter on top */
        assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
        assert_false(gw_adaptive_is_degraded(&w.adaptive));
    }
}

static void the_references_rule_lowers_for_distance_alone(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_REFERENCE);
    both_report(&w, 3, 0, 20, 104);
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_6K);
    both_report(&w, 3, 0, 20, 204);
    assert_int_equal(codec(&w), WZP_CODEC_CODEC2_1200);
}

static void off_means_the_configured_codec_whatever_happens(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_OFF);
    both_report(&w, 10, 50, 20, 900);
    assert_false(gw_adaptive_directive(&w.adaptive, &wzp_profile_catastrophic));
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
    assert_false(gw_adaptive_is_degraded(&w.adaptive));
}

/* ---- congestion and loss ---- */

static void a_path_that_grows_longer_is_congested_and_recovers_when_it_shrinks(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
    both_report(&w, 20, 0, 160, 180);
    both_report(&w, 2, 0, 264, 180);
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K); /* two are chance */
    both_report(&w, 1, 0, 264, 180);
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_6K); /* our own end's queue */
    both_report(&w, 3, 0, 160, 384);
    assert_int_equal(codec(&w), WZP_CODEC_CODEC2_1200); /* the peer's */
    both_report(&w, 10, 0, 160, 180);
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
}

static void growth_that_a_minute_of_sending_less_did_not_undo_is_the_paths_new_length(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
    both_report(&w, 20, 0, 40, 40);
    both_report(&w, 20, 0, 260, 260);
    assert_int_equal(codec(&w), WZP_CODEC_CODEC2_1200);
    both_report(&w, 60, 0, 260, 260);
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
}

static void loss_lowers_on_a_short_path_and_on_a_long_one(void **state)
{
    static const unsigned rtt_ms[] = { 12, 300 };

    (void)state;
    for (size_t i = 0; i < sizeof rtt_ms / sizeof *rtt_ms; i++) {
        struct world w;
        start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
        both_report(&w, 3, 6, rtt_ms[i], rtt_ms[i]);
        assert_int_equal(codec(&w), WZP_CODEC_OPUS_6K);
        assert_true(gw_adaptive_is_degraded(&w.adaptive));
        both_report(&w, 3, 16, rtt_ms[i], rtt_ms[i]);
        assert_int_equal(codec(&w), WZP_CODEC_CODEC2_1200);
        both_report(&w, 10, 0, rtt_ms[i], rtt_ms[i]);
        assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
    }
}

static void another_path_has_a_length_of_its_own(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
    both_report(&w, 10, 0, 8, 8); /* direct */
    (void)gw_adaptive_directive(&w.adaptive, &wzp_profile_catastrophic);
    gw_adaptive_path_changed(&w.adaptive);
    both_report(&w, 10, 0, 240, 240); /* over a distant relay */
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
}

static void in_a_room_the_distance_between_two_peers_is_not_growth(void **state)
{
    const struct wzp_quality_report near = report_of(0, 8), far = report_of(0, 400), lossy = report_of(8, 400);
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
    w.adaptive.is_room = true;
    for (unsigned n = 0; n < 40; n++) {
        w.now_us += SECOND_US / 4;
        (void)gw_adaptive_peer_report(&w.adaptive, n % 8 ? &far : &near, w.now_us);
        assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
    }
    for (unsigned n = 0; n < 3; n++)
        (void)gw_adaptive_peer_report(&w.adaptive, &lossy, w.now_us);
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_6K);
}

/* ---- directives ---- */

static void a_directive_that_distance_explains_is_set_aside(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
    both_report(&w, 5, 0, 20, 220);
    assert_false(gw_adaptive_directive(&w.adaptive, &wzp_profile_catastrophic));
    assert_false(gw_adaptive_directive(&w.adaptive, &wzp_profile_degraded));
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
    both_report(&w, 3, 6, 20, 220); /* with loss we see for ourselves */
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_6K);
}

static void a_directive_below_what_distance_explains_is_obeyed(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
    both_report(&w, 5, 0, 20, 120); /* explains Opus6k */
    assert_true(gw_adaptive_directive(&w.adaptive, &wzp_profile_catastrophic));
    assert_int_equal(codec(&w), WZP_CODEC_CODEC2_1200);
    both_report(&w, 30, 0, 20, 120);
    assert_int_equal(codec(&w), WZP_CODEC_CODEC2_1200); /* until the next one */
    assert_true(gw_adaptive_directive(&w.adaptive, &wzp_profile_degraded));
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_24K);
}

static void a_directive_on_a_short_path_is_obeyed(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_CONGESTION);
    assert_true(gw_adaptive_directive(&w.adaptive, &wzp_profile_degraded)); /* nothing is known of the path */
    both_report(&w, 5, 0, 20, 60);
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_6K);
    assert_true(gw_adaptive_directive(&w.adaptive, &wzp_profile_good));
    assert_true(gw_adaptive_directive(&w.adaptive, &wzp_profile_catastrophic));
    assert_int_equal(codec(&w), WZP_CODEC_CODEC2_1200);
}

static void the_reference_obeys_every_directive(void **state)
{
    struct world w;

    (void)state;
    start(&w, WZP_CODEC_OPUS_24K, GW_ADAPT_REFERENCE);
    both_report(&w, 2, 0, 20, 220);
    assert_true(gw_adaptive_directive(&w.adaptive, &wzp_profile_degraded));
    assert_int_equal(codec(&w), WZP_CODEC_OPUS_6K);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_distant_path_without_loss_stays_good),
        cmocka_unit_test(the_references_rule_lowers_for_distance_alone),
        cmocka_unit_test(off_means_the_configured_codec_whatever_happens),
        cmocka_unit_test(a_path_that_grows_longer_is_congested_and_recovers_when_it_shrinks),
        cmocka_unit_test(growth_that_a_minute_of_sending_less_did_not_undo_is_the_paths_new_length),
        cmocka_unit_test(loss_lowers_on_a_short_path_and_on_a_long_one),
        cmocka_unit_test(another_path_has_a_length_of_its_own),
        cmocka_unit_test(in_a_room_the_distance_between_two_peers_is_not_growth),
        cmocka_unit_test(a_directive_that_distance_explains_is_set_aside),
        cmocka_unit_test(a_directive_below_what_distance_explains_is_obeyed),
        cmocka_unit_test(a_directive_on_a_short_path_is_obeyed),
        cmocka_unit_test(the_reference_obeys_every_directive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
