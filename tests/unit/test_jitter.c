#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/media/jitter.h"

#define FRAME_US 20000
#define TICKS    160

/* A sender of 20 ms frames at 8 kHz and a player that takes one every 20 ms, in virtual time. */
struct world {
    struct gw_jitter *j;
    uint64_t now_us;
    unsigned frames, lost, silence, underrun, grow, empty, drops, fec;
    uint32_t last_id; /* number of the frame played last; each payload carries its own */
    bool out_of_order;
};

static struct world new_world(unsigned min_ms, unsigned initial_ms, unsigned max_ms)
{
    const struct gw_jitter_config config = {
        .clock_hz = 8000,
        .min_ms = min_ms,
        .initial_ms = initial_ms,
        .max_ms = max_ms,
    };
    struct world w = { .now_us = 1000000 };

    assert_int_equal(gw_jitter_new(&w.j, &config), 0);
    return w;
}

static int put_at(struct world *w, uint16_t seq, uint32_t ts, uint32_t id, uint64_t now_us)
{
    const struct gw_jitter_packet packet = {
        .seq = seq,
        .timestamp = ts,
        .duration_ticks = TICKS,
        .payload = wz_bytes(&id, sizeof id),
    };
    return gw_jitter_put(w->j, &packet, now_us);
}

/* Frame n of an even stream. */
static int put(struct world *w, uint32_t n, uint64_t now_us)
{
    return put_at(w, (uint16_t)n, n * TICKS, n, now_us);
}

static enum gw_jitter_kind pop_at(struct world *w, uint64_t now_us)
{
    struct gw_jitter_out out;
    uint32_t id;

    gw_jitter_pop(w->j, now_us, &out);
    switch (out.kind) {
    case GW_JITTER_FRAME:
        assert_int_equal(out.payload.len, sizeof id);
        memcpy(&id, out.payload.data, sizeof id);
        w->out_of_order |= w->frames > 0 && id <= w->last_id;
        w->last_id = id;
        w->frames++;
        if (out.drop) {
            w->drops++;
            return pop_at(w, now_us);
        }
        break;
    case GW_JITTER_LOST:
        w->lost++;
        w->fec += out.fec.len > 0;
        break;
    case GW_JITTER_SILENCE:
        w->silence++;
        break;
    case GW_JITTER_UNDERRUN:
        w->underrun++;
        break;
    case GW_JITTER_GROW:
        w->grow++;
        break;
    case GW_JITTER_EMPTY:
        w->empty++;
        break;
    }
    return out.kind;
}

static struct gw_jitter_stats stats(const struct world *w)
{
    struct gw_jitter_stats s;
    gw_jitter_stats(w->j, &s);
    return s;
}

/* Frames first..first+count-1 arrive in time, one pop after each. */
static void run_even(struct world *w, uint32_t first, uint32_t count)
{
    for (uint32_t n = first; n < first + count; n++) {
        assert_int_equal(put(w, n, w->now_us), 0);
        (void)pop_at(w, w->now_us + 5000);
        w->now_us += FRAME_US;
    }
}

static void first_frame_waits_for_the_initial_delay(void **state)
{
    struct world w = new_world(20, 60, 200);

    (void)state;
    assert_int_equal(pop_at(&w, 0), GW_JITTER_EMPTY);
    for (uint32_t n = 0; n < 3; n++)
        assert_int_equal(put(&w, n, 1000000 + n * FRAME_US), 0);
    assert_int_equal(pop_at(&w, 1059999), GW_JITTER_EMPTY);
    assert_int_equal(pop_at(&w, 1060000), GW_JITTER_FRAME);
    assert_int_equal(w.last_id, 0);
    gw_jitter_free(w.j);
}

static void an_even_stream_plays_every_frame_in_order(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    run_even(&w, 0, 1000);
    assert_false(w.out_of_order);
    assert_int_equal(w.lost + w.underrun + w.silence + w.grow, 0);
    assert_int_equal(stats(&w).received, 1000);
    assert_true(stats(&w).target_us == 20000); /* an even stream needs no more than the least delay */
    gw_jitter_free(w.j);
}

static void a_lost_packet_is_concealed_once_with_fec_at_hand(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    for (uint32_t n = 0; n < 100; n++) {
        if (n != 50)
            (void)put(&w, n, w.now_us);
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    assert_int_equal(w.lost + w.underrun, 1);
    assert_int_equal(w.fec, 1);
    assert_int_equal(stats(&w).lost, 1);
    assert_int_equal(stats(&w).concealed, 1);
    assert_false(w.out_of_order);
    gw_jitter_free(w.j);
}

static void reordered_packets_are_played_in_order(void **state)
{
    struct world w = new_world(0, 60, 0);

    (void)state;
    for (uint32_t n = 0; n < 200; n += 2) { /* 1 0 3 2 5 4 ... */
        assert_int_equal(put(&w, n + 1, w.now_us), 0);
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
        assert_int_equal(put(&w, n, w.now_us), 0);
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    assert_false(w.out_of_order);
    assert_int_equal(stats(&w).lost, 0);
    assert_int_equal(stats(&w).late, 0);
    assert_int_equal(w.lost, 0);
    gw_jitter_free(w.j);
}

static void duplicates_are_dropped_and_counted(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    for (uint32_t n = 0; n < 100; n++) {
        assert_int_equal(put(&w, n, w.now_us), 0);
        assert_int_equal(put(&w, n, w.now_us), -EEXIST);
        (void)pop_at(&w, w.now_us + 5000);
        if (n > 10)
            assert_int_equal(put(&w, n - 5, w.now_us + 6000), -EEXIST); /* played already */
        w.now_us += FRAME_US;
    }
    assert_int_equal(stats(&w).received, 100);
    assert_int_equal(stats(&w).duplicate, 100 + 89);
    assert_int_equal(stats(&w).late, 0);
    assert_false(w.out_of_order);
    gw_jitter_free(w.j);
}

static void a_late_packet_is_dropped_and_no_longer_counted_lost(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    for (uint32_t n = 0; n < 100; n++) {
        if (n != 50)
            (void)put(&w, n, w.now_us);
        if (n == 60)
            assert_int_equal(put(&w, 50, w.now_us), -ETIME);
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    assert_int_equal(stats(&w).late, 1);
    assert_int_equal(stats(&w).lost, 0);
    assert_int_equal(stats(&w).concealed, 1);
    gw_jitter_free(w.j);
}

static void a_pause_of_the_sender_is_no_loss(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    run_even(&w, 0, 100);
    /* One second of DTX: the timestamp goes on, the sequence number does not. */
    for (unsigned n = 0; n < 50; n++) {
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    for (uint32_t n = 0; n < 100; n++) {
        assert_int_equal(put_at(&w, (uint16_t)(100 + n), (150 + n) * TICKS, 150 + n, w.now_us), 0);
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    assert_int_equal(stats(&w).lost, 0);
    assert_int_equal(stats(&w).concealed, 0);
    assert_in_range(stats(&w).silence, 48, 52);
    assert_false(w.out_of_order);
    gw_jitter_free(w.j);
}

static void other_packets_in_the_numbering_are_no_loss(void **state)
{
    struct world w = new_world(0, 0, 0);
    uint16_t seq = 65000;

    (void)state;
    for (uint32_t n = 0; n < 1000; n++) {
        (void)put_at(&w, seq++, n * TICKS, n, w.now_us);
        if (n % 5 == 4) { /* repair packets after each block */
            for (unsigned r = 0; r < 3; r++)
                gw_jitter_note(w.j, seq++);
        }
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    assert_int_equal(stats(&w).lost, 0);
    assert_int_equal(w.lost + w.silence, 0);
    gw_jitter_free(w.j);
}

static void nothing_but_comfort_noise_for_long_does_not_fill_the_window(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    run_even(&w, 0, 50);
    for (unsigned n = 0; n < 5000; n++) { /* one of ten frames becomes a comfort-noise packet */
        if (n % 10 == 0)
            gw_jitter_note(w.j, (uint16_t)(50 + n / 10));
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    for (uint32_t n = 0; n < 50; n++) {
        assert_int_equal(put_at(&w, (uint16_t)(550 + n), (5050 + n) * TICKS, 5050 + n, w.now_us), 0);
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    assert_int_equal(stats(&w).lost, 0);
    assert_true(w.frames > 90);
    gw_jitter_free(w.j);
}

static void a_restarted_sender_is_followed(void **state)
{
    static const uint16_t seqs[] = { 30000, 0, 45 }; /* far, and near behind: within the window */

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct world w = new_world(0, 0, 0);
        unsigned refused = 0;
        run_even(&w, 0, 60);
        const unsigned before = w.frames;
        w.frames = 0;
        for (uint32_t n = 0; n < 50; n++) {
            refused += put_at(&w, (uint16_t)(seqs[i] + n), 7000000 + n * TICKS, 1000 + n, w.now_us) != 0;
            (void)pop_at(&w, w.now_us + 5000);
            w.now_us += FRAME_US;
        }
        assert_in_range(refused, 1, 5);
        assert_true(w.frames > 40 && before > 50);
        assert_in_range(stats(&w).resyncs, 1, 1);
        gw_jitter_free(w.j);
    }
}

static void the_same_stream_begun_anew_is_followed(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    run_even(&w, 0, 50);
    w.frames = 0;
    for (uint32_t n = 0; n < 50; n++) { /* a WZP peer whose path changed: zero again, timestamps too */
        (void)put(&w, n, w.now_us);
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    assert_true(w.frames > 40);
    gw_jitter_free(w.j);
}

static void one_stray_packet_moves_nothing(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    run_even(&w, 0, 100);
    assert_int_equal(put_at(&w, 30000, 99999999, 0, w.now_us), -EAGAIN);
    assert_int_equal(put_at(&w, 100, 99999999, 0, w.now_us), -EAGAIN); /* a timestamp out of nowhere */
    run_even(&w, 100, 100);
    assert_int_equal(stats(&w).resyncs, 0);
    assert_int_equal(w.lost + w.underrun, 0);
    assert_false(w.out_of_order);
    gw_jitter_free(w.j);
}

static void a_long_loss_burst_is_bridged_without_resync(void **state)
{
    struct world w = new_world(0, 0, 0);

    (void)state;
    run_even(&w, 0, 100);
    for (unsigned n = 0; n < 200; n++) {
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
    }
    run_even(&w, 300, 100);
    assert_int_equal(stats(&w).lost, 200);
    assert_int_equal(stats(&w).resyncs, 0);
    assert_in_range(w.frames, 195, 200);
    gw_jitter_free(w.j);
}

static void a_stalled_network_costs_delay_first_and_gives_it_back(void **state)
{
    struct world w = new_world(0, 0, 0);
    uint32_t sent = 0;

    (void)state;
    for (unsigned t = 0; t < 1500; t++) {
        /* Between 2.0 s and 2.16 s nothing arrives, then all of it at once. */
        if (t < 100 || t >= 108) {
            while (sent <= t)
                assert_int_equal(put(&w, sent++, w.now_us), 0);
        }
        (void)pop_at(&w, w.now_us + 5000);
        w.now_us += FRAME_US;
        if (t == 120)
            assert_true(stats(&w).delay_us > 120000);
    }
    assert_false(w.out_of_order);
    assert_int_equal(stats(&w).lost, 0);
    assert_true(w.drops >= 4);
    assert_true(stats(&w).delay_us < 80000);
    gw_jitter_free(w.j);
}

static void jitter_raises_the_target_so_that_few_are_late(void **state)
{
    struct world w = new_world(0, 40, 0);
    uint32_t noise = 7;
    uint64_t due[3000];
    unsigned next = 0, invented = 0;

    (void)state;
    for (unsigned n = 0; n < 3000; n++)
        due[n] = 1000000 + n * FRAME_US + ((noise = noise * 1664525 + 1013904223) >> 8) % 60000; /* 0..60 ms */
    for (unsigned t = 0; t < 3000; t++) {
        const uint64_t now_us = 1000000 + t * FRAME_US + 5000;
        for (unsigned n = next; n < 3000 && n < t + 2; n++) {
            if (due[n] <= now_us && due[n] > 0) {
                (void)put(&w, n, due[n]);
                due[n] = 0;
            }
        }
        while (next < 3000 && due[next] == 0)
            next++;
        const enum gw_jitter_kind kind = pop_at(&w, now_us);
        invented += t > 1000 && kind != GW_JITTER_FRAME;
    }
    assert_in_range(stats(&w).target_us, 50000, 80000);
    assert_in_range(stats(&w).jitter_us, 10000, 30000);
    assert_true(invented < 60); /* 3 % of 2000 */
    assert_false(w.out_of_order);
    gw_jitter_free(w.j);
}

static void delay_is_bounded_when_far_too_much_arrives(void **state)
{
    struct world w = new_world(0, 0, 200);

    (void)state;
    for (uint32_t n = 0; n < 40; n++)
        (void)put(&w, n, w.now_us + n);
    for (unsigned n = 0; n < 3; n++)
        (void)pop_at(&w, w.now_us + 45000 + n * FRAME_US);
    assert_true(stats(&w).depth <= 10);
    assert_in_range(stats(&w).overflow, 28, 32);
    gw_jitter_free(w.j);
}

static void a_full_pool_gives_up_the_oldest(void **state)
{
    struct world w = new_world(0, 0, 200);
    uint8_t big[GW_JITTER_PAYLOAD_MAX] = { 0 };
    struct gw_jitter_packet packet = { .duration_ticks = TICKS, .payload = wz_bytes(big, sizeof big) };
    struct gw_jitter_out out;

    (void)state;
    for (unsigned n = 0; n < 20; n++) {
        packet.seq = (uint16_t)(100 + n);
        packet.timestamp = (100 + n) * TICKS;
        assert_int_equal(gw_jitter_put(w.j, &packet, w.now_us), 0);
    }
    const unsigned kept = stats(&w).depth;
    assert_true(kept >= 2 && kept < 20);
    assert_int_equal(stats(&w).overflow, 20 - kept);
    gw_jitter_pop(w.j, w.now_us + 400000, &out);
    assert_int_equal(out.kind, GW_JITTER_FRAME);
    assert_int_equal(out.seq, 120 - kept);
    gw_jitter_reset(w.j);
    run_even(&w, 0, 50);
    assert_true(w.frames > 45);
    gw_jitter_free(w.j);
}

static void nonsense_is_refused(void **state)
{
    static uint8_t big[GW_JITTER_PAYLOAD_MAX + 1];
    struct gw_jitter_packet packet = { .seq = 1, .duration_ticks = TICKS, .payload = wz_bytes(big, 10) };
    const struct gw_jitter_config bad[] = {
        { .clock_hz = 999 },
        { .clock_hz = 192001 },
        { .clock_hz = 8000, .min_ms = 50 },
        { .clock_hz = 8000, .initial_ms = 300 },
        { .clock_hz = 8000, .max_ms = 1001 },
    };
    struct world w = new_world(0, 0, 0);
    struct gw_jitter *j;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gw_jitter_new(&j, &bad[i]), -EINVAL);
    packet.duration_ticks = 0;
    assert_int_equal(gw_jitter_put(w.j, &packet, 0), -EINVAL);
    packet.duration_ticks = 8001;
    assert_int_equal(gw_jitter_put(w.j, &packet, 0), -EINVAL);
    packet.duration_ticks = TICKS;
    packet.payload.len = 0;
    assert_int_equal(gw_jitter_put(w.j, &packet, 0), -EINVAL);
    packet.payload.len = GW_JITTER_PAYLOAD_MAX + 1;
    assert_int_equal(gw_jitter_put(w.j, &packet, 0), -EINVAL);
    packet.payload.len = GW_JITTER_PAYLOAD_MAX;
    assert_int_equal(gw_jitter_put(w.j, &packet, 0), 0);
    gw_jitter_free(w.j);
}

/* Ten minutes at 100 ppm either way: 60 ms of drift, taken up by single frames; the delay must not grow. */
static void clock_drift_is_followed(void **state)
{
    static const int ppms[] = { 100, -100 };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct world w = new_world(0, 0, 0);
        uint64_t sent = 0, worst_delay = 0;
        for (uint64_t t = 0; t < 30000; t++) {
            const uint64_t now_us = 1000000 + t * FRAME_US;
            while (1000000 + sent * (FRAME_US - (uint64_t)(int64_t)(ppms[i] / 50)) <= now_us)
                (void)put(&w, (uint32_t)sent, now_us), sent++;
            (void)pop_at(&w, now_us + 5000);
            if (t > 3000 && stats(&w).delay_us > worst_delay)
                worst_delay = stats(&w).delay_us;
        }
        assert_true(worst_delay < 75000);
        assert_int_equal(stats(&w).lost, 0);
        assert_int_equal(stats(&w).late, 0);
        assert_in_range(w.drops + w.grow + w.underrun, 1, 12);
        assert_false(w.out_of_order);
        gw_jitter_free(w.j);
    }
}

static void silence_lets_the_delay_shrink_at_once(void **state)
{
    unsigned frames_needed[2];

    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        struct world w = new_world(20, 20, 200);
        run_even(&w, 0, 100);
        uint32_t n = 100;
        for (unsigned t = 0; t < 6; t++) { /* nothing for 120 ms, then all of it */
            (void)pop_at(&w, w.now_us + 5000);
            w.now_us += FRAME_US;
        }
        while (n < 106)
            (void)put(&w, n++, w.now_us);
        gw_jitter_hint_silence(w.j, silent);
        for (frames_needed[silent] = 0; frames_needed[silent] < 1000; frames_needed[silent]++) {
            (void)put(&w, n++, w.now_us);
            (void)pop_at(&w, w.now_us + 5000);
            w.now_us += FRAME_US;
            if (stats(&w).delay_us < 90000)
                break;
        }
        gw_jitter_free(w.j);
    }
    assert_true(frames_needed[1] * 3 < frames_needed[0]);
    assert_true(frames_needed[0] < 1000);
}

/* ---- rebuilt packets ---- */

static int put_repaired(struct world *w, uint32_t n)
{
    const struct gw_jitter_packet packet = {
        .seq = (uint16_t)n,
        .timestamp = n * TICKS,
        .duration_ticks = TICKS,
        .payload = wz_bytes(&n, sizeof n),
        .tag = 7,
        .is_repaired = true,
    };
    return gw_jitter_put(w->j, &packet, w->now_us);
}

static void a_hold_lets_what_is_rebuilt_late_be_played_in_its_place(void **state)
{
    struct world w = new_world(20, 40, 200);
    struct gw_jitter_stats stats;

    (void)state;
    gw_jitter_set_hold(w.j, 80000);
    for (uint32_t n = 0; n < 100; n++) {
        if (n % 5 != 1)
            assert_int_equal(put(&w, n, w.now_us), 0);
        if (n % 5 == 4)
            assert_int_equal(put_repaired(&w, n - 3), 0);
        (void)pop_at(&w, w.now_us);
        w.now_us += FRAME_US;
    }
    gw_jitter_stats(w.j, &stats);
    assert_false(w.out_of_order);
    assert_int_equal(w.lost, 0);
    assert_int_equal(stats.lost, 0);
    assert_int_equal(stats.repaired, 20);
    assert_true(stats.target_us >= 100000);
    gw_jitter_free(w.j);
}

static void a_rebuilt_packet_that_is_late_or_known_changes_nothing(void **state)
{
    struct world w = new_world(20, 40, 200);
    struct gw_jitter_stats before, after;

    (void)state;
    assert_int_equal(put_repaired(&w, 3), -ETIME); /* no stream yet */
    for (uint32_t n = 0; n < 50; n++) {
        if (n < 10 || n > 15)
            assert_int_equal(put(&w, n, w.now_us), 0);
        (void)pop_at(&w, w.now_us);
        w.now_us += FRAME_US;
    }
    gw_jitter_stats(w.j, &before);
    for (uint32_t n = 10; n < 16; n++) /* a run of them is no restarted stream */
        assert_int_equal(put_repaired(&w, n), -ETIME);
    assert_int_equal(put_repaired(&w, 49), -EEXIST);
    assert_int_equal(put_repaired(&w, 200), -ETIME);
    gw_jitter_stats(w.j, &after);
    assert_memory_equal(&before, &after, sizeof before);
    gw_jitter_free(w.j);
}

static void a_lost_frame_shows_the_next_packet_and_how_far_ahead_it_is(void **state)
{
    struct world w = new_world(20, 40, 200);
    struct gw_jitter_out out = { 0 };
    uint32_t ahead = 3;

    (void)state;
    for (uint32_t n = 0; n < 30; n++) {
        const struct gw_jitter_packet packet = { .seq = (uint16_t)n,
                                                 .timestamp = n * TICKS,
                                                 .duration_ticks = TICKS,
                                                 .payload = wz_bytes(&n, sizeof n),
                                                 .tag = (uint8_t)n };
        if (n < 20 || n > 22)
            assert_int_equal(gw_jitter_put(w.j, &packet, w.now_us), 0);
        if (n >= 2)
            gw_jitter_pop(w.j, w.now_us, &out);
        if (out.kind == GW_JITTER_FRAME)
            assert_int_equal(out.tag, out.seq);
        if (out.kind == GW_JITTER_LOST && out.fec.len > 0) {
            assert_int_equal(out.tag, 23);
            assert_int_equal(out.fec_ahead_ticks % TICKS, 0);
            assert_true(out.fec_ahead_ticks / TICKS <= ahead);
            ahead = out.fec_ahead_ticks / TICKS - 1;
        }
        w.now_us += FRAME_US;
    }
    assert_int_equal(ahead, 0); /* the last of the three stood right before it */
    gw_jitter_free(w.j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_frame_waits_for_the_initial_delay),
        cmocka_unit_test(an_even_stream_plays_every_frame_in_order),
        cmocka_unit_test(a_lost_packet_is_concealed_once_with_fec_at_hand),
        cmocka_unit_test(reordered_packets_are_played_in_order),
        cmocka_unit_test(duplicates_are_dropped_and_counted),
        cmocka_unit_test(a_late_packet_is_dropped_and_no_longer_counted_lost),
        cmocka_unit_test(a_pause_of_the_sender_is_no_loss),
        cmocka_unit_test(other_packets_in_the_numbering_are_no_loss),
        cmocka_unit_test(nothing_but_comfort_noise_for_long_does_not_fill_the_window),
        cmocka_unit_test(a_restarted_sender_is_followed),
        cmocka_unit_test(the_same_stream_begun_anew_is_followed),
        cmocka_unit_test(one_stray_packet_moves_nothing),
        cmocka_unit_test(a_long_loss_burst_is_bridged_without_resync),
        cmocka_unit_test(a_stalled_network_costs_delay_first_and_gives_it_back),
        cmocka_unit_test(jitter_raises_the_target_so_that_few_are_late),
        cmocka_unit_test(delay_is_bounded_when_far_too_much_arrives),
        cmocka_unit_test(a_full_pool_gives_up_the_oldest),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(clock_drift_is_followed),
        cmocka_unit_test(silence_lets_the_delay_shrink_at_once),
        cmocka_unit_test(a_hold_lets_what_is_rebuilt_late_be_played_in_its_place),
        cmocka_unit_test(a_rebuilt_packet_that_is_late_or_known_changes_nothing),
        cmocka_unit_test(a_lost_frame_shows_the_next_packet_and_how_far_ahead_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
