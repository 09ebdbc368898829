#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/media/seqmap.h"

/* RTP at 48 kHz into WZP milliseconds, as a phone's Opus passes through; 20 ms frames. */
struct flow {
    struct gw_seqmap map;
    uint64_t now_us;
    uint16_t seq;
    uint32_t ts;
    bool is_new;
};

static struct flow new_flow(void)
{
    struct flow f = { 0 };
    gw_seqmap_init(&f.map, 48000, 1000, 0, 0);
    return f;
}

static enum gw_seqmap_result forward(struct flow *f, uint16_t seq, uint32_t ts)
{
    f->now_us += 20000;
    return gw_seqmap_forward(&f->map, seq, ts, 20, f->now_us, &f->seq, &f->ts, &f->is_new);
}

static void assert_out(const struct flow *f, uint16_t seq, uint32_t ts)
{
    assert_int_equal(f->seq, seq);
    assert_int_equal(f->ts, ts);
}

static void numbering_starts_where_told_and_counts_on(void **state)
{
    struct flow f = new_flow();

    (void)state;
    for (uint32_t n = 0; n < 200; n++) {
        assert_int_equal(forward(&f, (uint16_t)(65500 + n), 0xffff0000u + n * 960), GW_SEQMAP_FORWARD);
        assert_out(&f, (uint16_t)n, n * 20);
        assert_int_equal(f.is_new, n == 0);
    }
}

static void loss_stays_visible(void **state)
{
    struct flow f = new_flow();

    (void)state;
    (void)forward(&f, 10, 0);
    assert_int_equal(forward(&f, 13, 3 * 960), GW_SEQMAP_FORWARD);
    assert_out(&f, 3, 60);
}

static void a_pause_moves_the_timestamp_only(void **state)
{
    struct flow f = new_flow();

    (void)state;
    (void)forward(&f, 10, 0);
    (void)forward(&f, 11, 960 + 50 * 960);
    assert_out(&f, 1, 1020);
    assert_true(f.is_new);
}

static void reordered_packets_keep_their_numbers(void **state)
{
    struct flow f = new_flow();

    (void)state;
    (void)forward(&f, 10, 0);
    (void)forward(&f, 12, 1920);
    assert_out(&f, 2, 40);
    (void)forward(&f, 11, 960);
    assert_out(&f, 1, 20);
    assert_false(f.is_new);
    (void)forward(&f, 13, 2880);
    assert_out(&f, 3, 60);
}

static void duplicates_and_ancient_packets_are_refused(void **state)
{
    struct flow f = new_flow();

    (void)state;
    (void)forward(&f, 100, 96000);
    assert_int_equal(forward(&f, 100, 96000), GW_SEQMAP_DUPLICATE);
    (void)forward(&f, 101, 96960);
    assert_int_equal(forward(&f, 100, 96000), GW_SEQMAP_DUPLICATE);
    assert_int_equal(forward(&f, 20, 19200), GW_SEQMAP_OLD);
    assert_int_equal(forward(&f, 102, 97920), GW_SEQMAP_FORWARD);
    assert_out(&f, 2, 40);
}

static void packets_not_forwarded_leave_no_gap(void **state)
{
    struct flow f = new_flow();

    (void)state;
    (void)forward(&f, 10, 0);
    gw_seqmap_skip(&f.map, 11);
    gw_seqmap_skip(&f.map, 12);
    gw_seqmap_skip(&f.map, 12); /* a duplicate skips nothing more */
    (void)forward(&f, 13, 960);
    assert_out(&f, 1, 20);
}

static void no_two_packets_share_a_number_when_a_skipped_one_is_reordered(void **state)
{
    struct flow f = new_flow();

    (void)state;
    (void)forward(&f, 10, 0);
    gw_seqmap_skip(&f.map, 12);
    (void)forward(&f, 11, 960); /* before the skipped one */
    assert_out(&f, 1, 20);
    (void)forward(&f, 13, 1920);
    assert_out(&f, 2, 40);
    (void)forward(&f, 15, 2880);
    assert_out(&f, 4, 60);
    gw_seqmap_skip(&f.map, 14); /* late: its gap is out */
    (void)forward(&f, 16, 3840);
    assert_out(&f, 5, 80);
}

static void own_frames_stand_between_without_a_gap(void **state)
{
    struct flow f = new_flow();
    uint16_t seq;
    uint32_t ts;

    (void)state;
    (void)forward(&f, 10, 0);
    for (uint16_t n = 0; n < 5; n++) {
        gw_seqmap_insert(&f.map, 20, &seq, &ts);
        assert_int_equal(seq, 1 + n);
        assert_int_equal(ts, 20 + 20 * n);
        gw_seqmap_skip(&f.map, (uint16_t)(11 + n));
    }
    assert_int_equal(forward(&f, 16, 6 * 960), GW_SEQMAP_FORWARD);
    assert_out(&f, 6, 120);
    assert_int_equal(forward(&f, 12, 2 * 960), GW_SEQMAP_DUPLICATE);
}

static void a_pause_of_ours_moves_time_on(void **state)
{
    struct flow f = new_flow();
    uint16_t seq;
    uint32_t ts;

    (void)state;
    gw_seqmap_insert(&f.map, 20, &seq, &ts);
    gw_seqmap_pause(&f.map, 1000);
    gw_seqmap_insert(&f.map, 20, &seq, &ts);
    assert_int_equal(seq, 1);
    assert_int_equal(ts, 1020);
}

static void another_source_goes_on_without_a_gap(void **state)
{
    struct flow f = new_flow();

    (void)state;
    (void)forward(&f, 10, 0);
    gw_seqmap_restart(&f.map);
    (void)forward(&f, 40000, 123456789);
    assert_out(&f, 1, 20);
}

static void a_sender_that_begins_anew_is_followed(void **state)
{
    struct flow f = new_flow();
    unsigned dropped = 0;

    (void)state;
    for (uint16_t n = 0; n < 300; n++)
        (void)forward(&f, n, n * 960u);
    for (uint16_t n = 0; n < 50; n++) /* the same numbers again, as after a change of the WZP path */
        dropped += forward(&f, n, n * 960u) != GW_SEQMAP_FORWARD;
    assert_in_range(dropped, 1, 5);
    assert_out(&f, 349, 349 * 20); /* what was dropped is a loss */
    (void)forward(&f, 30000, 5);   /* far away: at once */
    assert_out(&f, 350, 350 * 20);
}

static void what_a_new_numbering_has_missed_is_told_by_the_time(void **state)
{
    struct flow f = new_flow();

    (void)state;
    for (uint16_t n = 0; n < 300; n++)
        (void)forward(&f, n, n * 960u);
    f.now_us += 65000; /* three packets lost, and some jitter */
    gw_seqmap_suspect(&f.map);
    assert_int_equal(forward(&f, 0, 0), GW_SEQMAP_FORWARD);
    assert_out(&f, 303, 303 * 20);
    assert_true(f.is_new);
    f.now_us += 5000000; /* nobody loses that much: a pause */
    (void)forward(&f, 30000, 0);
    assert_out(&f, 304, 304 * 20 + 5000);
}

static void a_numbering_that_goes_on_after_all_is_not_touched(void **state)
{
    struct flow f = new_flow();

    (void)state;
    for (uint16_t n = 0; n < 300; n++)
        (void)forward(&f, n, n * 960u);
    gw_seqmap_suspect(&f.map);
    f.now_us += 33000; /* the new path's delay */
    (void)forward(&f, 302, 302 * 960u);
    assert_out(&f, 302, 302 * 20);
    (void)forward(&f, 301, 301 * 960u);
    assert_out(&f, 301, 301 * 20);
    assert_int_equal(forward(&f, 302, 302 * 960u), GW_SEQMAP_DUPLICATE);
}

static void late_packets_of_the_former_numbering_are_dropped(void **state)
{
    struct flow f = new_flow();

    (void)state;
    for (uint16_t n = 5000; n < 5300; n++)
        (void)forward(&f, n, n * 960u);
    gw_seqmap_suspect(&f.map);
    for (uint16_t n = 0; n < 6; n++) {
        assert_int_equal(forward(&f, n, n * 960u), GW_SEQMAP_FORWARD);
        assert_out(&f, 300 + n, (300 + n) * 20u);
        f.now_us -= 20000; /* both come at once */
        assert_int_equal(forward(&f, (uint16_t)(5300 + n), (5300u + n) * 960), GW_SEQMAP_OLD);
    }
}

static void one_stray_packet_does_not_stop_the_stream(void **state)
{
    struct flow f = new_flow();
    unsigned dropped = 0;

    (void)state;
    for (uint16_t n = 0; n < 300; n++)
        (void)forward(&f, n, n * 960u);
    (void)forward(&f, 40000, 5);
    for (uint16_t n = 300; n < 350; n++)
        dropped += forward(&f, n, n * 960u) != GW_SEQMAP_FORWARD;
    assert_in_range(dropped, 0, 2);
    assert_out(&f, 350, 350 * 20);
}

static void hours_do_not_shift_the_timestamps(void **state)
{
    struct flow f = new_flow();
    uint64_t n;

    (void)state;
    for (n = 0; n < 30 * UINT64_C(180000); n += 50) /* 30 hours, a packet each second */
        assert_int_equal(forward(&f, (uint16_t)(n / 50), (uint32_t)(n * 960)), GW_SEQMAP_FORWARD);
    assert_int_equal(f.ts, (uint32_t)((n - 50) * 20));
}

static void milliseconds_become_ticks(void **state)
{
    struct gw_seqmap map;
    uint16_t seq;
    uint32_t ts;
    bool is_new;

    (void)state;
    gw_seqmap_init(&map, 1000, 48000, 500, 0xfffffff0);
    assert_int_equal(gw_seqmap_forward(&map, 0, 0, 960, 0, &seq, &ts, &is_new), GW_SEQMAP_FORWARD);
    assert_int_equal(seq, 500);
    assert_int_equal(ts, 0xfffffff0);
    assert_int_equal(gw_seqmap_forward(&map, 1, 20, 1920, 20000, &seq, &ts, &is_new), GW_SEQMAP_FORWARD);
    assert_int_equal(ts, (uint32_t)(0xfffffff0 + 960));
    assert_int_equal(gw_seqmap_forward(&map, 2, 60, 960, 60000, &seq, &ts, &is_new), GW_SEQMAP_FORWARD);
    assert_int_equal(ts, (uint32_t)(0xfffffff0 + 960 + 1920));
    assert_false(is_new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbering_starts_where_told_and_counts_on),
        cmocka_unit_test(loss_stays_visible),
        cmocka_unit_test(a_pause_moves_the_timestamp_only),
        cmocka_unit_test(reordered_packets_keep_their_numbers),
        cmocka_unit_test(duplicates_and_ancient_packets_are_refused),
        cmocka_unit_test(packets_not_forwarded_leave_no_gap),
        cmocka_unit_test(no_two_packets_share_a_number_when_a_skipped_one_is_reordered),
        cmocka_unit_test(own_frames_stand_between_without_a_gap),
        cmocka_unit_test(a_pause_of_ours_moves_time_on),
        cmocka_unit_test(another_source_goes_on_without_a_gap),
        cmocka_unit_test(a_sender_that_begins_anew_is_followed),
        cmocka_unit_test(what_a_new_numbering_has_missed_is_told_by_the_time),
        cmocka_unit_test(a_numbering_that_goes_on_after_all_is_not_touched),
        cmocka_unit_test(late_packets_of_the_former_numbering_are_dropped),
        cmocka_unit_test(one_stray_packet_does_not_stop_the_stream),
        cmocka_unit_test(hours_do_not_shift_the_timestamps),
        cmocka_unit_test(milliseconds_become_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
