#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/media/rtcp.h"
#include "gateway/media/rtp_source.h"

static struct gw_rtcp_report full_report(void)
{
    struct gw_rtcp_report r = {
        .ssrc = 0x11223344,
        .has_sender_info = true,
        .ntp = 0x0102030405060708,
        .rtp_ticks = 90000,
        .packets = 50,
        .octets = 8000,
        .block_count = 2,
        .bye = true,
        .cname = "alice@example",
    };
    r.block[0] = (struct gw_rtcp_block){ .ssrc = 5,
                                         .fraction_lost = 64,
                                         .lost = -3,
                                         .highest_seq = 0x0001ffff,
                                         .jitter_ticks = 17,
                                         .last_sr = 0xaabbccdd,
                                         .delay_since_sr = 65536 };
    r.block[1] = (struct gw_rtcp_block){ .ssrc = 6, .lost = 0x7fffff };
    return r;
}

static void compound_packet_survives_a_round_trip(void **state)
{
    const struct gw_rtcp_report in = full_report();
    struct gw_rtcp_report out;
    uint8_t buf[GW_RTCP_PACKET_MAX];

    (void)state;
    const int len = gw_rtcp_encode(&in, buf, sizeof buf);
    assert_true(len > 0 && len % 4 == 0);
    assert_int_equal(gw_rtcp_decode(wz_bytes(buf, (size_t)len), &out), 0);
    assert_int_equal(out.ssrc, in.ssrc);
    assert_true(out.has_sender_info && out.bye);
    assert_true(out.ntp == in.ntp && out.rtp_ticks == 90000 && out.packets == 50 && out.octets == 8000);
    assert_string_equal(out.cname, "alice@example");
    assert_int_equal(out.block_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(out.block[i].ssrc, in.block[i].ssrc);
        assert_int_equal(out.block[i].fraction_lost, in.block[i].fraction_lost);
        assert_int_equal(out.block[i].lost, in.block[i].lost);
        assert_int_equal(out.block[i].highest_seq, in.block[i].highest_seq);
        assert_int_equal(out.block[i].jitter_ticks, in.block[i].jitter_ticks);
        assert_int_equal(out.block[i].last_sr, in.block[i].last_sr);
        assert_int_equal(out.block[i].delay_since_sr, in.block[i].delay_since_sr);
    }
}

static void largest_report_fits_the_stated_room(void **state)
{
    struct gw_rtcp_report in = full_report();
    uint8_t buf[GW_RTCP_PACKET_MAX];

    (void)state;
    in.block_count = GW_RTCP_BLOCKS_MAX;
    memset(in.cname, 'x', GW_RTCP_CNAME_MAX);
    in.cname[GW_RTCP_CNAME_MAX] = '\0';
    const int len = gw_rtcp_encode(&in, buf, sizeof buf);
    assert_true(len > 0);
    assert_int_equal(gw_rtcp_encode(&in, buf, (size_t)len - 1), -ENOSPC);
    in.block_count = GW_RTCP_BLOCKS_MAX + 1;
    assert_int_equal(gw_rtcp_encode(&in, buf, sizeof buf), -EINVAL);
}

static void every_truncation_is_refused(void **state)
{
    const struct gw_rtcp_report in = full_report();
    struct gw_rtcp_report out = { .ssrc = 1 };
    uint8_t buf[GW_RTCP_PACKET_MAX];

    (void)state;
    const int len = gw_rtcp_encode(&in, buf, sizeof buf);
    const int sr = 28 + 2 * 24, sdes = 24;
    for (int n = 0; n < len; n++) {
        /* A compound packet may end after any whole packet. */
        const int wanted = n == sr || n == sr + sdes ? 0 : -EBADMSG;
        assert_int_equal(gw_rtcp_decode(wz_bytes(buf, (size_t)n), &out), wanted);
    }
}

static void more_blocks_than_we_keep_are_still_checked(void **state)
{
    uint8_t packet[8 + 31 * 24] = { 0x80 | 31, 201 };
    struct gw_rtcp_report out;

    (void)state;
    packet[2] = 0, packet[3] = (uint8_t)(sizeof packet / 4 - 1);
    assert_int_equal(gw_rtcp_decode(wz_bytes(packet, sizeof packet), &out), 0);
    assert_int_equal(out.block_count, GW_RTCP_BLOCKS_MAX);
    packet[3]--; /* one word short of 31 blocks */
    assert_int_equal(gw_rtcp_decode(wz_bytes(packet, sizeof packet - 4), &out), -EBADMSG);
}

static void unknown_packets_are_stepped_over_and_bye_alone_is_no_report(void **state)
{
    static const uint8_t app_after_rr[] = {
        0x80, 201, 0, 1, 0, 0, 0, 7, 0x80, 204, 0, 2, 0, 0, 0, 7, 'n', 'a', 'm', 'e'
    };
    static const uint8_t bye[] = { 0x81, 203, 0, 1, 0, 0, 0, 7 };
    struct gw_rtcp_report out;

    (void)state;
    assert_int_equal(gw_rtcp_decode(wz_bytes(app_after_rr, sizeof app_after_rr), &out), 0);
    assert_int_equal(out.ssrc, 7);
    assert_false(out.bye);
    assert_int_equal(gw_rtcp_decode(wz_bytes(bye, sizeof bye), &out), -EBADMSG);
    assert_int_equal(gw_rtcp_decode(wz_bytes(NULL, 0), &out), -EBADMSG);
}

static void cname_longer_than_ours_is_cut(void **state)
{
    uint8_t packet[8 + 4 + 4 + 2 + 255 + 3] = { 0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 202, 0, 66, 0, 0, 0, 7, 1, 255 };
    struct gw_rtcp_report out;

    (void)state;
    memset(packet + 18, 'c', 255);
    assert_int_equal(gw_rtcp_decode(wz_bytes(packet, sizeof packet), &out), 0);
    assert_int_equal(strlen(out.cname), GW_RTCP_CNAME_MAX);
}

static void round_trip_time_is_what_the_clock_says(void **state)
{
    const uint64_t sent_us = 1234567890, held_us = 250000, rtt_us = 80000;
    struct gw_rtcp_block block = {
        .last_sr = gw_rtcp_ntp_middle(gw_rtcp_ntp(sent_us)),
        .delay_since_sr = (uint32_t)(held_us * 65536 / 1000000),
    };
    const uint32_t now = gw_rtcp_ntp_middle(gw_rtcp_ntp(sent_us + held_us + rtt_us));

    (void)state;
    assert_in_range(gw_rtcp_rtt_us(&block, now), rtt_us - 50, rtt_us + 50);
    block.delay_since_sr += 65536;
    assert_int_equal(gw_rtcp_rtt_us(&block, now), -EBADMSG);
    block.last_sr = 0;
    assert_int_equal(gw_rtcp_rtt_us(&block, now), -EAGAIN);
}

/* ---- receive statistics ---- */

static void feed(struct gw_rtp_source *s, unsigned from, unsigned count)
{
    for (unsigned n = from; n < from + count; n++)
        assert_true(gw_rtp_source_packet(s, (uint16_t)n, n * 160, n * UINT64_C(20000)));
}

static void loss_is_counted_over_the_wrap(void **state)
{
    struct gw_rtp_source s;
    struct gw_rtcp_block block;

    (void)state;
    gw_rtp_source_start(&s, 9, 8000);
    feed(&s, 65500, 100);
    gw_rtp_source_report(&s, 0, &block);
    assert_int_equal(block.lost, 0);
    assert_int_equal(block.fraction_lost, 0);
    assert_int_equal(block.highest_seq, 65599);
    feed(&s, 65610, 30); /* ten are missing */
    gw_rtp_source_report(&s, 0, &block);
    assert_int_equal(block.lost, 10);
    assert_int_equal(block.fraction_lost, 10 * 256 / 40);
    assert_int_equal(gw_rtp_source_lost(&s), 10);
    gw_rtp_source_report(&s, 0, &block);
    assert_int_equal(block.fraction_lost, 0);
}

static void duplicates_make_cumulative_loss_negative_but_never_the_fraction(void **state)
{
    struct gw_rtp_source s;
    struct gw_rtcp_block block;

    (void)state;
    gw_rtp_source_start(&s, 9, 8000);
    feed(&s, 1, 10);
    feed(&s, 8, 3);
    gw_rtp_source_report(&s, 0, &block);
    assert_int_equal(block.lost, -3);
    assert_int_equal(block.fraction_lost, 0);
    assert_int_equal(gw_rtp_source_lost(&s), 0);
    feed(&s, 13, 1); /* two are missing: our own count is not fooled by the three duplicates */
    assert_int_equal(gw_rtp_source_lost(&s), 2);
}

static void a_jump_is_believed_at_the_second_packet(void **state)
{
    struct gw_rtp_source s;

    (void)state;
    gw_rtp_source_start(&s, 9, 8000);
    feed(&s, 1, 10);
    assert_false(gw_rtp_source_packet(&s, 30000, 0, 0));
    assert_true(gw_rtp_source_packet(&s, 30001, 160, 20000));
    assert_int_equal(s.received, 1);
}

static void jitter_follows_the_rfc(void **state)
{
    struct gw_rtp_source s;

    (void)state;
    gw_rtp_source_start(&s, 9, 8000);
    feed(&s, 0, 100);
    assert_int_equal(gw_rtp_source_jitter_us(&s), 0);
    /* Every packet alternately 10 ms late: |D| is 80 ticks each time, so J goes to 80 ticks. */
    for (unsigned n = 100; n < 400; n++)
        (void)gw_rtp_source_packet(&s, (uint16_t)n, n * 160, n * UINT64_C(20000) + (n % 2) * 10000);
    assert_in_range(gw_rtp_source_jitter_us(&s), 9000, 10000);
}

static void report_answers_the_last_sr(void **state)
{
    struct gw_rtp_source s;
    struct gw_rtcp_block block;

    (void)state;
    gw_rtp_source_start(&s, 9, 8000);
    feed(&s, 0, 2);
    gw_rtp_source_report(&s, 5000000, &block);
    assert_int_equal(block.last_sr, 0);
    assert_int_equal(block.delay_since_sr, 0);
    gw_rtp_source_sr(&s, 0x0001000200030004, 1000000);
    gw_rtp_source_report(&s, 3000000, &block);
    assert_int_equal(block.last_sr, 0x00020003);
    assert_int_equal(block.delay_since_sr, 2 * 65536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compound_packet_survives_a_round_trip),
        cmocka_unit_test(largest_report_fits_the_stated_room),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(more_blocks_than_we_keep_are_still_checked),
        cmocka_unit_test(unknown_packets_are_stepped_over_and_bye_alone_is_no_report),
        cmocka_unit_test(cname_longer_than_ours_is_cut),
        cmocka_unit_test(round_trip_time_is_what_the_clock_says),
        cmocka_unit_test(loss_is_counted_over_the_wrap),
        cmocka_unit_test(duplicates_make_cumulative_loss_negative_but_never_the_fraction),
        cmocka_unit_test(a_jump_is_believed_at_the_second_packet),
        cmocka_unit_test(jitter_follows_the_rfc),
        cmocka_unit_test(report_answers_the_last_sr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
