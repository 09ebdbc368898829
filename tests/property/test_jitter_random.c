/* Random networks against the jitter buffer's promises. A failing run prints its seed; WZP_SEED=<n> repeats it alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/jitter.h"

#define NETWORKS  200
#define NONSENSES 30
#define FRAMES    1500
#define FRAME_US  20000

struct dice {
    uint64_t state;
};

static uint32_t roll(struct dice *d, uint32_t sides)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->state >> 33) % sides;
}

/* What one network does to packets. */
struct network {
    uint32_t loss_pct, dup_pct, jitter_us, note_pct, dtx_pct;
    uint32_t clock_hz, frame_ticks;
};

struct flight {
    uint64_t at_us;
    uint16_t seq;
    uint32_t ts;
    uint32_t id;
    bool is_note;
};

struct run {
    struct flight *flight;
    size_t count;
    uint64_t sent;   /**< distinct audio packets that will arrive */
    uint64_t copies; /**< audio packets that will arrive, duplicates included */
    bool is_mild;    /**< a network that the buffer should cope with */
};

static int by_arrival(const void *a, const void *b)
{
    const struct flight *x = a, *y = b;
    return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

static void plan(struct run *run, const struct network *net, struct dice *d)
{
    uint16_t seq = (uint16_t)roll(d, 65536);
    const uint32_t ts0 = roll(d, UINT32_MAX);

    run->flight = calloc(2 * 2 * FRAMES, sizeof *run->flight);
    assert_non_null(run->flight);
    for (uint32_t n = 0; n < FRAMES; n++) {
        struct flight f = { .seq = seq, .ts = ts0 + n * net->frame_ticks, .id = n };
        if (roll(d, 100) < net->dtx_pct)
            continue; /* not sent, and no sequence number used */
        seq++;
        const bool is_lost = roll(d, 100) < net->loss_pct;
        for (unsigned copy = roll(d, 100) < net->dup_pct ? 2 : 1; copy > 0 && !is_lost; copy--) {
            f.at_us = 1000000 + (uint64_t)n * FRAME_US + (net->jitter_us ? roll(d, net->jitter_us) : 0);
            run->flight[run->count++] = f;
            run->copies++;
            run->sent += copy == 1;
        }
        if (roll(d, 100) < net->note_pct) {
            struct flight note = { .seq = seq++, .is_note = true, .at_us = 1000000 + (uint64_t)n * FRAME_US };
            run->flight[run->count++] = note;
        }
    }
    qsort(run->flight, run->count, sizeof *run->flight, by_arrival);
}

/* Pops one frame period and checks each frame: at most once, in the order it was spoken. Frames played. */
static uint64_t play(struct gw_jitter *j, uint64_t now_us, uint32_t frame_ticks, int64_t *last_id)
{
    struct gw_jitter_out out;
    uint64_t played = 0;

    do {
        uint32_t id;
        gw_jitter_pop(j, now_us, &out);
        assert_true(out.duration_ticks > 0 && out.duration_ticks <= frame_ticks);
        if (out.kind != GW_JITTER_FRAME)
            continue;
        assert_int_equal(out.payload.len, sizeof id);
        memcpy(&id, out.payload.data, sizeof id);
        assert_true((int64_t)id > *last_id);
        *last_id = id;
        played++;
    } while (out.drop);
    return played;
}

static void deliver(struct gw_jitter *j, const struct flight *f, uint32_t frame_ticks)
{
    const struct gw_jitter_packet packet = {
        .seq = f->seq,
        .timestamp = f->ts,
        .duration_ticks = frame_ticks,
        .payload = wz_bytes(&f->id, sizeof f->id),
    };

    if (f->is_note)
        gw_jitter_note(j, f->seq);
    else
        (void)gw_jitter_put(j, &packet, f->at_us);
}

/* Nothing appears, nothing vanishes unaccounted. */
static void check_accounts(const struct gw_jitter *j, const struct run *run, uint64_t played)
{
    struct gw_jitter_stats stats;

    gw_jitter_stats(j, &stats);
    assert_int_equal(stats.resyncs, 0);
    assert_true(stats.received + stats.late + stats.duplicate + stats.overflow >= run->copies);
    assert_true(played + stats.overflow + stats.depth >= stats.received);
    assert_true(played <= stats.received && stats.received <= run->sent);
    assert_true(stats.lost <= FRAMES);
    /* A network within the buffer's means is played nearly whole. */
    if (run->is_mild)
        assert_true(played + stats.overflow >= run->sent * 80 / 100);
}

static void one_network(uint64_t seed)
{
    struct dice d = { seed * 2654435761u + 1 };
    struct network net = {
        .loss_pct = roll(&d, 30),
        .dup_pct = roll(&d, 20),
        .jitter_us = roll(&d, 150000),
        .note_pct = roll(&d, 20),
        .dtx_pct = roll(&d, 3) == 0 ? 40 : 0,
        .clock_hz = roll(&d, 2) ? 8000 : 1000,
    };
    const struct gw_jitter_config config = { .clock_hz = net.clock_hz };
    struct run run = { .is_mild = net.jitter_us < 60000 && net.dtx_pct == 0 };
    struct gw_jitter_stats stats;
    struct gw_jitter *j;
    uint64_t played = 0;
    int64_t last_id = -1;
    size_t next = 0;

    net.frame_ticks = net.clock_hz / 50;
    assert_int_equal(gw_jitter_new(&j, &config), 0);
    plan(&run, &net, &d);
    for (uint64_t t = 0; t < FRAMES + 100; t++) {
        const uint64_t now_us = 1000000 + t * FRAME_US + 3000;
        for (; next < run.count && run.flight[next].at_us <= now_us; next++)
            deliver(j, &run.flight[next], net.frame_ticks);
        if (roll(&d, 50) == 0)
            gw_jitter_hint_silence(j, roll(&d, 2));
        played += play(j, now_us, net.frame_ticks, &last_id);
        gw_jitter_stats(j, &stats);
        assert_true(stats.depth <= GW_JITTER_SLOTS);
        assert_in_range(stats.target_us, 20000, 200000);
    }
    check_accounts(j, &run, played);
    gw_jitter_free(j);
    free(run.flight);
}

/* cmocka leaves a failing test by longjmp: the seed is told by the teardown. 0: nothing runs. */
static uint64_t running_seed;

static int tell_seed(void **state)
{
    (void)state;
    if (running_seed)
        print_error("seed %llu; again alone: WZP_SEED=%llu test_jitter_random\n", (unsigned long long)running_seed,
                    (unsigned long long)running_seed);
    running_seed = 0;
    return 0;
}

static void for_each_seed(uint64_t count, void (*run)(uint64_t seed))
{
    const char *only = getenv("WZP_SEED");
    const uint64_t first = only ? strtoull(only, NULL, 10) : 1, last = only ? first : count;

    for (running_seed = first; running_seed <= last; running_seed++)
        run(running_seed);
    running_seed = 0;
}

static void promises_hold_on_random_networks(void **state)
{
    (void)state;
    for_each_seed(NETWORKS, one_network);
}

/* Any bytes, any times: only that nothing breaks. */
static void one_nonsense(uint64_t seed)
{
    static uint8_t bytes[GW_JITTER_PAYLOAD_MAX];
    struct dice d = { seed * 77777 };
    const struct gw_jitter_config config = { .clock_hz = roll(&d, 2) ? 48000 : 1000 };
    struct gw_jitter *j;
    uint64_t now_us = 0;

    assert_int_equal(gw_jitter_new(&j, &config), 0);
    for (unsigned n = 0; n < 20000; n++) {
        const struct gw_jitter_packet packet = {
            .seq = (uint16_t)(roll(&d, 4) ? n / 3 + roll(&d, 100) : roll(&d, 65536)),
            .timestamp = roll(&d, 4) ? n * 300 + roll(&d, 9000) : roll(&d, UINT32_MAX),
            .duration_ticks = 1 + roll(&d, config.clock_hz),
            .payload = wz_bytes(bytes, 1 + roll(&d, sizeof bytes)),
        };
        struct gw_jitter_out out;
        now_us += roll(&d, 20) ? roll(&d, 20000) : roll(&d, 5000000);
        switch (roll(&d, 5)) {
        case 0:
            gw_jitter_note(j, packet.seq);
            break;
        case 1:
        case 2:
            gw_jitter_pop(j, now_us, &out);
            assert_true(out.payload.len <= GW_JITTER_PAYLOAD_MAX && out.fec.len <= GW_JITTER_PAYLOAD_MAX);
            break;
        default:
            (void)gw_jitter_put(j, &packet, now_us);
            break;
        }
        if (roll(&d, 3000) == 0)
            gw_jitter_reset(j);
    }
    gw_jitter_free(j);
}

static void nonsense_does_not_break_it(void **state)
{
    (void)state;
    for_each_seed(NONSENSES, one_nonsense);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(promises_hold_on_random_networks, tell_seed),
        cmocka_unit_test_teardown(nonsense_does_not_break_it, tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
