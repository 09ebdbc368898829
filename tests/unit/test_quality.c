#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wzp/core/quality.h"

#define SECOND_US UINT64_C(1000000)

/** A controller on its own clock: one report a second, as senders make them. */
struct rig {
    struct wzp_quality quality;
    uint64_t now_us;
};

static struct rig rig_new(bool is_cellular)
{
    struct rig rig = { .now_us = 1000 * SECOND_US };
    wzp_quality_init(&rig.quality, is_cellular, rig.now_us);
    return rig;
}

/** A report that alone says tier on a default link. */
static struct wzp_quality_report saying(enum wzp_tier tier)
{
    static const uint32_t rtt_ms[] = {
        [WZP_TIER_CATASTROPHIC] = 400, [WZP_TIER_DEGRADED] = 120,  [WZP_TIER_GOOD] = 88,
        [WZP_TIER_STUDIO_32K] = 60,    [WZP_TIER_STUDIO_48K] = 40, [WZP_TIER_STUDIO_64K] = 8,
    };
    struct wzp_quality_report report = wzp_quality_from_stats(0, rtt_ms[tier], 3);
    assert_int_equal(wzp_quality_classify(&report, false), tier);
    return report;
}

static bool report(struct rig *rig, enum wzp_tier tier)
{
    struct wzp_quality_report one = saying(tier);
    rig->now_us += SECOND_US;
    return wzp_quality_report(&rig->quality, &one, rig->now_us);
}

/** Each of them must leave the profile alone. */
static void reports(struct rig *rig, enum wzp_tier tier, unsigned times)
{
    while (times--)
        assert_false(report(rig, tier));
}

static void expect_tier(const struct rig *rig, enum wzp_tier tier)
{
    assert_string_equal(wzp_tier_name(wzp_quality_tier(&rig->quality)), wzp_tier_name(tier));
}

static void climb_to(struct rig *rig, enum wzp_tier tier)
{
    for (unsigned i = 0; wzp_quality_tier(&rig->quality) < tier; i++) {
        assert_true(i < 100);
        (void)report(rig, tier); /* the loop's condition says when it worked */
    }
    expect_tier(rig, tier);
}

/** 30 calm seconds at the tier in use, the last of which starts the probe. */
static void start_probe(struct rig *rig, enum wzp_tier at)
{
    reports(rig, at, 29);
    assert_true(report(rig, at));
    expect_tier(rig, at + 1);
}

struct boundary {
    uint8_t loss, rtt_4ms;
    enum wzp_tier tier;
};

static void expect_table(const struct boundary *table, size_t count, bool is_cellular)
{
    for (size_t i = 0; i < count; i++) {
        struct wzp_quality_report one = { .loss = table[i].loss, .rtt_4ms = table[i].rtt_4ms };
        assert_string_equal(wzp_tier_name(wzp_quality_classify(&one, is_cellular)), wzp_tier_name(table[i].tier));
    }
}

static void one_report_is_classified_by_loss_or_round_trip_at_each_boundary(void **state)
{
    (void)state;
    static const struct boundary table[] = {
        { 0, 0, WZP_TIER_STUDIO_64K },     { 0, 7, WZP_TIER_STUDIO_64K },     { 0, 8, WZP_TIER_STUDIO_48K },
        { 2, 12, WZP_TIER_STUDIO_48K },    { 2, 13, WZP_TIER_STUDIO_32K },    { 3, 0, WZP_TIER_STUDIO_32K },
        { 5, 19, WZP_TIER_STUDIO_32K },    { 5, 20, WZP_TIER_GOOD },          { 6, 0, WZP_TIER_GOOD },
        { 12, 24, WZP_TIER_GOOD },         { 12, 25, WZP_TIER_DEGRADED },     { 13, 0, WZP_TIER_DEGRADED },
        { 38, 49, WZP_TIER_DEGRADED },     { 38, 50, WZP_TIER_CATASTROPHIC }, { 39, 0, WZP_TIER_CATASTROPHIC },
        { 255, 0, WZP_TIER_CATASTROPHIC }, { 0, 255, WZP_TIER_CATASTROPHIC },
    };
    expect_table(table, sizeof table / sizeof *table, false);
}

static void on_cellular_links_limits_are_wider_and_there_is_no_studio(void **state)
{
    (void)state;
    static const struct boundary table[] = {
        { 0, 0, WZP_TIER_GOOD },          { 20, 75, WZP_TIER_GOOD },      { 20, 76, WZP_TIER_DEGRADED },
        { 21, 0, WZP_TIER_DEGRADED },     { 63, 125, WZP_TIER_DEGRADED }, { 63, 126, WZP_TIER_CATASTROPHIC },
        { 64, 0, WZP_TIER_CATASTROPHIC },
    };
    expect_table(table, sizeof table / sizeof *table, true);
}

static void jitter_and_the_bitrate_cap_do_not_count(void **state)
{
    (void)state;
    struct wzp_quality_report one = { .jitter_ms = 255, .bitrate_cap_kbps = 0 };
    assert_int_equal(wzp_quality_classify(&one, false), WZP_TIER_STUDIO_64K);
}

static void a_call_starts_at_good(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    expect_tier(&rig, WZP_TIER_GOOD);
    assert_int_equal(wzp_tier_profile(WZP_TIER_GOOD)->codec, WZP_CODEC_OPUS_24K);
}

static void three_worse_reports_in_a_row_jump_to_the_tier_of_the_third(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    reports(&rig, WZP_TIER_CATASTROPHIC, 2);
    assert_true(report(&rig, WZP_TIER_DEGRADED));
    expect_tier(&rig, WZP_TIER_DEGRADED);

    rig = rig_new(false);
    reports(&rig, WZP_TIER_DEGRADED, 2);
    assert_true(report(&rig, WZP_TIER_CATASTROPHIC));
    expect_tier(&rig, WZP_TIER_CATASTROPHIC);
}

static void two_worse_reports_suffice_on_cellular(void **state)
{
    (void)state;
    struct rig rig = rig_new(true);
    reports(&rig, WZP_TIER_CATASTROPHIC, 1); /* 400 ms: Degraded there */
    assert_true(report(&rig, WZP_TIER_CATASTROPHIC));
    expect_tier(&rig, WZP_TIER_DEGRADED);
}

static void five_better_reports_in_a_row_climb_one_step(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    reports(&rig, WZP_TIER_CATASTROPHIC, 2);
    assert_true(report(&rig, WZP_TIER_CATASTROPHIC));
    reports(&rig, WZP_TIER_STUDIO_64K, 4);
    assert_true(report(&rig, WZP_TIER_STUDIO_64K));
    expect_tier(&rig, WZP_TIER_DEGRADED);
    reports(&rig, WZP_TIER_STUDIO_64K, 4);
    assert_true(report(&rig, WZP_TIER_STUDIO_64K));
    expect_tier(&rig, WZP_TIER_GOOD);
}

static void from_good_upwards_a_step_takes_ten(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    for (int tier = WZP_TIER_STUDIO_32K; tier <= WZP_TIER_STUDIO_64K; tier++) {
        reports(&rig, WZP_TIER_STUDIO_64K, 9);
        assert_true(report(&rig, WZP_TIER_STUDIO_64K));
        expect_tier(&rig, (enum wzp_tier)tier);
    }
    reports(&rig, WZP_TIER_STUDIO_64K, 100); /* nothing is above it */
}

static void an_equal_report_clears_both_counters(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    reports(&rig, WZP_TIER_DEGRADED, 2);
    reports(&rig, WZP_TIER_GOOD, 1);
    reports(&rig, WZP_TIER_DEGRADED, 2);
    reports(&rig, WZP_TIER_GOOD, 1);
    reports(&rig, WZP_TIER_STUDIO_64K, 9);
    reports(&rig, WZP_TIER_GOOD, 1);
    reports(&rig, WZP_TIER_STUDIO_64K, 9);
    assert_true(report(&rig, WZP_TIER_STUDIO_64K));
}

static void better_and_worse_reports_clear_each_other(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    for (int i = 0; i < 20; i++) {
        reports(&rig, WZP_TIER_DEGRADED, 2);
        reports(&rig, WZP_TIER_STUDIO_64K, 1);
    }
    expect_tier(&rig, WZP_TIER_GOOD);
}

static void thirty_calm_seconds_start_a_probe_that_is_adopted_after_five(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    start_probe(&rig, WZP_TIER_GOOD);
    reports(&rig, WZP_TIER_STUDIO_32K, 4);
    assert_true(rig.quality.is_probing);
    reports(&rig, WZP_TIER_STUDIO_32K, 1);
    assert_false(rig.quality.is_probing);
    reports(&rig, WZP_TIER_STUDIO_32K, 10); /* adopted: what it says is no longer better */
    expect_tier(&rig, WZP_TIER_STUDIO_32K);
}

static void one_bad_report_does_not_end_a_probe(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    start_probe(&rig, WZP_TIER_GOOD);
    reports(&rig, WZP_TIER_GOOD, 1);
    reports(&rig, WZP_TIER_STUDIO_32K, 4);
    assert_false(rig.quality.is_probing);
    expect_tier(&rig, WZP_TIER_STUDIO_32K);
}

static void each_probe_counts_its_own_bad_reports(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    for (enum wzp_tier tier = WZP_TIER_GOOD; tier < WZP_TIER_STUDIO_48K; tier++) {
        start_probe(&rig, tier);
        reports(&rig, tier, 1);
        reports(&rig, tier + 1, 4);
        assert_false(rig.quality.is_probing);
        expect_tier(&rig, tier + 1);
    }
}

static void a_second_bad_report_returns_to_the_tier_probed_from(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    start_probe(&rig, WZP_TIER_GOOD);
    reports(&rig, WZP_TIER_GOOD, 1);
    assert_true(report(&rig, WZP_TIER_GOOD));
    expect_tier(&rig, WZP_TIER_GOOD);
}

static void the_next_probe_waits_ninety_seconds_after_an_abort(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    start_probe(&rig, WZP_TIER_GOOD);
    reports(&rig, WZP_TIER_GOOD, 1);
    assert_true(report(&rig, WZP_TIER_GOOD));
    reports(&rig, WZP_TIER_GOOD, 89);
    assert_true(report(&rig, WZP_TIER_GOOD));
    expect_tier(&rig, WZP_TIER_STUDIO_32K);
}

static void a_worse_report_starts_the_calm_anew(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    reports(&rig, WZP_TIER_GOOD, 25);
    reports(&rig, WZP_TIER_DEGRADED, 1);
    start_probe(&rig, WZP_TIER_GOOD);
}

static void a_transition_starts_the_calm_anew(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    reports(&rig, WZP_TIER_GOOD, 15);
    climb_to(&rig, WZP_TIER_STUDIO_32K);
    start_probe(&rig, WZP_TIER_STUDIO_32K);
}

static void a_link_gone_bad_during_a_probe_falls_with_the_third_report(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    start_probe(&rig, WZP_TIER_GOOD);
    reports(&rig, WZP_TIER_CATASTROPHIC, 1);
    assert_true(report(&rig, WZP_TIER_CATASTROPHIC));
    expect_tier(&rig, WZP_TIER_GOOD);
    assert_true(report(&rig, WZP_TIER_CATASTROPHIC));
    expect_tier(&rig, WZP_TIER_CATASTROPHIC);
}

static void ten_better_reports_during_a_probe_settle_without_a_change_of_profile(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    reports(&rig, WZP_TIER_GOOD, 22);
    reports(&rig, WZP_TIER_STUDIO_32K, 7);
    assert_true(report(&rig, WZP_TIER_STUDIO_32K)); /* calm for 30 s: the probe, eight better ones in */
    assert_true(rig.quality.is_probing);
    reports(&rig, WZP_TIER_STUDIO_32K, 2);
    assert_false(rig.quality.is_probing);
    expect_tier(&rig, WZP_TIER_STUDIO_32K);
}

static void the_top_tier_and_cellular_links_are_never_probed(void **state)
{
    (void)state;
    struct rig rig = rig_new(false);
    climb_to(&rig, WZP_TIER_STUDIO_64K);
    reports(&rig, WZP_TIER_STUDIO_64K, 120);
    rig = rig_new(true);
    reports(&rig, WZP_TIER_STUDIO_64K, 120);
    expect_tier(&rig, WZP_TIER_GOOD);
}

static void each_tier_has_its_profile_and_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum wzp_codec codec;
    } expected[] = {
        { "Catastrophic", WZP_CODEC_CODEC2_1200 },
        { "Degraded", WZP_CODEC_OPUS_6K },
        { "Good", WZP_CODEC_OPUS_24K },
        { "Studio32k", WZP_CODEC_OPUS_32K },
        { "Studio48k", WZP_CODEC_OPUS_48K },
        { "Studio64k", WZP_CODEC_OPUS_64K },
    };
    for (int tier = WZP_TIER_CATASTROPHIC; tier <= WZP_TIER_STUDIO_64K; tier++) {
        assert_string_equal(wzp_tier_name((enum wzp_tier)tier), expected[tier].name);
        assert_int_equal(wzp_tier_profile((enum wzp_tier)tier)->codec, expected[tier].codec);
    }
    assert_string_equal(wzp_tier_name((enum wzp_tier)(WZP_TIER_STUDIO_64K + 1)), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_report_is_classified_by_loss_or_round_trip_at_each_boundary),
        cmocka_unit_test(on_cellular_links_limits_are_wider_and_there_is_no_studio),
        cmocka_unit_test(jitter_and_the_bitrate_cap_do_not_count),
        cmocka_unit_test(a_call_starts_at_good),
        cmocka_unit_test(three_worse_reports_in_a_row_jump_to_the_tier_of_the_third),
        cmocka_unit_test(two_worse_reports_suffice_on_cellular),
        cmocka_unit_test(five_better_reports_in_a_row_climb_one_step),
        cmocka_unit_test(from_good_upwards_a_step_takes_ten),
        cmocka_unit_test(an_equal_report_clears_both_counters),
        cmocka_unit_test(better_and_worse_reports_clear_each_other),
        cmocka_unit_test(thirty_calm_seconds_start_a_probe_that_is_adopted_after_five),
        cmocka_unit_test(one_bad_report_does_not_end_a_probe),
        cmocka_unit_test(each_probe_counts_its_own_bad_reports),
        cmocka_unit_test(a_second_bad_report_returns_to_the_tier_probed_from),
        cmocka_unit_test(the_next_probe_waits_ninety_seconds_after_an_abort),
        cmocka_unit_test(a_worse_report_starts_the_calm_anew),
        cmocka_unit_test(a_transition_starts_the_calm_anew),
        cmocka_unit_test(a_link_gone_bad_during_a_probe_falls_with_the_third_report),
        cmocka_unit_test(ten_better_reports_during_a_probe_settle_without_a_change_of_profile),
        cmocka_unit_test(the_top_tier_and_cellular_links_are_never_probed),
        cmocka_unit_test(each_tier_has_its_profile_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
