#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "gateway/media/latch.h"

static struct wz_addr at(const char *text)
{
    struct wz_addr addr = { 0 };
    assert_int_equal(wz_addr_parse(text, &addr), 0);
    return addr;
}

static const struct wz_addr nobody = { 0 };

static enum gw_latch_verdict hear(struct gw_latch *l, const char *from, uint16_t seq, uint64_t now_us)
{
    const struct wz_addr addr = at(from);
    return gw_latch_packet(l, &addr, 7, seq, now_us);
}

static void assert_target(const struct gw_latch *l, const char *text)
{
    const struct wz_addr wanted = at(text), target = gw_latch_target(l);
    assert_true(wz_addr_equal(&target, &wanted));
}

static struct gw_latch behind_nat(void)
{
    const struct wz_addr sdp = at("192.168.1.5:4000"), signalling = at("203.0.113.9:5060");
    struct gw_latch l;

    gw_latch_init(&l, &sdp, &signalling, false);
    return l;
}

static void sends_to_the_sdp_address_until_latched(void **state)
{
    struct gw_latch l = behind_nat();

    (void)state;
    assert_target(&l, "192.168.1.5:4000");
    for (uint16_t seq = 1; seq < GW_LATCH_PACKETS; seq++)
        assert_int_equal(hear(&l, "203.0.113.9:62000", seq, 0), GW_LATCH_WATCH);
    assert_int_equal(l.state, GW_LATCH_UNLATCHED);
    assert_target(&l, "192.168.1.5:4000");
    assert_int_equal(hear(&l, "203.0.113.9:62000", GW_LATCH_PACKETS, 0), GW_LATCH_ACCEPT);
    assert_int_equal(l.state, GW_LATCH_LATCHED);
    assert_target(&l, "203.0.113.9:62000");
}

static void strangers_never_latch(void **state)
{
    struct gw_latch l = behind_nat();

    (void)state;
    for (uint16_t seq = 1; seq < 100; seq++)
        assert_int_equal(hear(&l, "198.51.100.1:4000", seq, 0), GW_LATCH_STRANGER);
    assert_target(&l, "192.168.1.5:4000");
}

static void after_latching_nobody_else_is_heard(void **state)
{
    struct gw_latch l = behind_nat();

    (void)state;
    for (uint16_t seq = 1; seq <= GW_LATCH_PACKETS; seq++)
        (void)hear(&l, "203.0.113.9:62000", seq, 0);
    for (uint16_t seq = 100; seq < 200; seq++)
        assert_int_equal(hear(&l, "203.0.113.9:63000", seq, 1000), GW_LATCH_STRANGER);
    assert_target(&l, "203.0.113.9:62000");
    assert_int_equal(hear(&l, "203.0.113.9:62000", 5, 1000), GW_LATCH_ACCEPT);
    assert_int_equal(l.moves, 1);
}

static void exact_sdp_source_is_heard_at_once_and_locks(void **state)
{
    struct gw_latch l = behind_nat();

    (void)state;
    for (uint16_t seq = 1; seq <= GW_LATCH_PACKETS; seq++)
        assert_int_equal(hear(&l, "192.168.1.5:4000", seq, 0), GW_LATCH_ACCEPT);
    assert_int_equal(l.state, GW_LATCH_LOCKED);
    assert_int_equal(hear(&l, "203.0.113.9:62000", 1, 0), GW_LATCH_STRANGER);
}

static void exact_sdp_source_takes_over_while_settling_not_after(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct gw_latch l = behind_nat();
        const uint64_t now_us = late ? GW_LATCH_SETTLE_US : GW_LATCH_SETTLE_US - 1;
        for (uint16_t seq = 1; seq <= GW_LATCH_PACKETS; seq++)
            (void)hear(&l, "203.0.113.9:62000", seq, 0);
        for (uint16_t seq = 500; seq < 500 + GW_LATCH_PACKETS; seq++)
            (void)hear(&l, "192.168.1.5:4000", seq, now_us);
        assert_int_equal(l.state, GW_LATCH_LOCKED);
        assert_target(&l, late ? "203.0.113.9:62000" : "192.168.1.5:4000");
    }
}

static void random_sequence_numbers_do_not_qualify(void **state)
{
    static const uint16_t jumps[] = { 1, 1000, 30000, 7, 50000, 200, 9000 };
    struct gw_latch l = behind_nat();

    (void)state;
    for (unsigned i = 0; i < sizeof jumps / sizeof jumps[0]; i++)
        assert_int_equal(hear(&l, "203.0.113.9:62000", jumps[i], 0), GW_LATCH_WATCH);
    /* One packet repeated is no progress either. */
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(hear(&l, "203.0.113.9:62000", 9000, 0), GW_LATCH_WATCH);
}

static void two_sources_at_one_ip_do_not_disturb_each_other(void **state)
{
    struct gw_latch l = behind_nat();

    (void)state;
    for (uint16_t seq = 1; seq < GW_LATCH_PACKETS; seq++) {
        (void)hear(&l, "203.0.113.9:62000", seq, 0);
        (void)hear(&l, "203.0.113.9:62001", (uint16_t)(seq + 9000), 0);
    }
    assert_int_equal(hear(&l, "203.0.113.9:62001", 9000 + GW_LATCH_PACKETS, 0), GW_LATCH_ACCEPT);
    assert_target(&l, "203.0.113.9:62001");
}

static void more_sources_than_slots_cannot_starve_the_true_one(void **state)
{
    struct gw_latch l = behind_nat();

    (void)state;
    for (uint16_t seq = 1; seq <= GW_LATCH_PACKETS; seq++) {
        char from[32];
        (void)hear(&l, "203.0.113.9:62000", seq, 0);
        for (unsigned port = 1; port <= 2 * GW_LATCH_CANDIDATES && l.state == GW_LATCH_UNLATCHED; port++) {
            (void)snprintf(from, sizeof from, "203.0.113.9:%u", 1000 * seq + port);
            (void)hear(&l, from, 1, 0);
        }
    }
    assert_target(&l, "203.0.113.9:62000");
}

static void a_new_offer_with_the_same_address_keeps_the_latch(void **state)
{
    struct gw_latch l = behind_nat();
    const struct wz_addr sdp = at("192.168.1.5:4000"), moved = at("192.168.1.5:4002"),
                         signalling = at("203.0.113.9:5060");
    struct wz_addr hold = sdp;

    (void)state;
    for (uint16_t seq = 1; seq <= GW_LATCH_PACKETS; seq++)
        (void)hear(&l, "203.0.113.9:62000", seq, 0);
    gw_latch_update(&l, &sdp, &signalling);
    assert_target(&l, "203.0.113.9:62000");
    for (unsigned i = 0; i < 4; i++)
        hold.ip[i] = 0;
    gw_latch_update(&l, &hold, &signalling); /* old-style hold */
    assert_target(&l, "203.0.113.9:62000");
    gw_latch_update(&l, &moved, &signalling);
    assert_int_equal(l.state, GW_LATCH_UNLATCHED);
    assert_target(&l, "192.168.1.5:4002");
    for (uint16_t seq = 1; seq <= GW_LATCH_PACKETS; seq++)
        (void)hear(&l, "203.0.113.9:64000", seq, 9000000);
    assert_target(&l, "203.0.113.9:64000");
    assert_int_equal(l.moves, 2);
}

static void trunk_that_opted_out_may_send_from_anywhere(void **state)
{
    const struct wz_addr sdp = at("192.0.2.1:4000");
    struct gw_latch l;

    (void)state;
    gw_latch_init(&l, &sdp, &nobody, true);
    for (uint16_t seq = 1; seq <= GW_LATCH_PACKETS; seq++)
        (void)hear(&l, "198.51.100.77:9000", seq, 0);
    assert_target(&l, "198.51.100.77:9000");
}

static void without_any_address_nothing_is_sent_nor_believed(void **state)
{
    struct gw_latch l;

    (void)state;
    gw_latch_init(&l, &nobody, &nobody, false);
    assert_int_equal(gw_latch_target(&l).family, WZ_ADDR_NONE);
    assert_int_equal(hear(&l, "198.51.100.77:9000", 1, 0), GW_LATCH_STRANGER);
}

static void mapped_ipv6_is_the_same_ipv4_source(void **state)
{
    const struct wz_addr sdp = at("192.0.2.1:4000");
    struct gw_latch l;

    (void)state;
    gw_latch_init(&l, &sdp, &nobody, false);
    assert_int_equal(hear(&l, "[::ffff:192.0.2.1]:4000", 1, 0), GW_LATCH_ACCEPT);
}

static void rtcp_is_taken_from_the_same_ip_only(void **state)
{
    struct gw_latch l = behind_nat();
    const struct wz_addr sdp = at("192.168.1.5:1"), nat = at("203.0.113.9:1"), other = at("198.51.100.1:1");

    (void)state;
    assert_true(gw_latch_knows_ip(&l, &sdp));
    assert_true(gw_latch_knows_ip(&l, &nat));
    assert_false(gw_latch_knows_ip(&l, &other));
    for (uint16_t seq = 1; seq <= GW_LATCH_PACKETS; seq++)
        (void)hear(&l, "203.0.113.9:62000", seq, 0);
    assert_true(gw_latch_knows_ip(&l, &nat));
    assert_false(gw_latch_knows_ip(&l, &sdp));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_to_the_sdp_address_until_latched),
        cmocka_unit_test(strangers_never_latch),
        cmocka_unit_test(after_latching_nobody_else_is_heard),
        cmocka_unit_test(exact_sdp_source_is_heard_at_once_and_locks),
        cmocka_unit_test(exact_sdp_source_takes_over_while_settling_not_after),
        cmocka_unit_test(random_sequence_numbers_do_not_qualify),
        cmocka_unit_test(two_sources_at_one_ip_do_not_disturb_each_other),
        cmocka_unit_test(more_sources_than_slots_cannot_starve_the_true_one),
        cmocka_unit_test(a_new_offer_with_the_same_address_keeps_the_latch),
        cmocka_unit_test(trunk_that_opted_out_may_send_from_anywhere),
        cmocka_unit_test(without_any_address_nothing_is_sent_nor_believed),
        cmocka_unit_test(mapped_ipv6_is_the_same_ipv4_source),
        cmocka_unit_test(rtcp_is_taken_from_the_same_ip_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
