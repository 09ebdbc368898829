#include "gateway/media/jitter_timing.h"

#include <stdlib.h>

#define BUCKET_US 10000
#define WINDOW_US 2000000u
/** Offsets that change by more than this belong to a stream that paused or restarted its clock. */
#define JUMP_US 1000000
/** Share of packets that shall be in time. */
#define QUANTILE 0.97f
/** Memory of the histogram: fast at the start, then some ten seconds. */
#define FORGET_START  0.99f
#define FORGET        0.998f
#define START_PACKETS 300

static int64_t us_of(const struct gw_timing *t, int64_t ticks)
{
    /* Split so that 2^63 microseconds are not exceeded on the way. */
    return ticks / t->clock_hz * 1000000 + ticks % t->clock_hz * 1000000 / t->clock_hz;
}

static int64_t earliest_us(const struct gw_timing *t)
{
    return t->floor_us[0] < t->floor_us[1] ? t->floor_us[0] : t->floor_us[1];
}

static int64_t clamp_us(const struct gw_timing *t, int64_t us)
{
    return us < t->min_us ? t->min_us : us > t->max_us ? t->max_us : us;
}

void gw_timing_init(struct gw_timing *timing, uint32_t clock_hz, unsigned min_ms, unsigned initial_ms, unsigned max_ms)
{
    unsigned bucket = initial_ms * 1000 / BUCKET_US;

    *timing = (struct gw_timing){
        .clock_hz = clock_hz,
        .min_us = (int64_t)min_ms * 1000,
        .initial_us = (int64_t)initial_ms * 1000,
        .max_us = (int64_t)max_ms * 1000,
        .target_us = (int64_t)initial_ms * 1000,
    };
    if (bucket > 0)
        bucket--;
    timing->late[bucket < GW_TIMING_BUCKETS ? bucket : GW_TIMING_BUCKETS - 1] = 1;
}

void gw_timing_restart(struct gw_timing *timing)
{
    timing->started = false;
}

static void rebase(struct gw_timing *t, int64_t offset_us, uint64_t now_us)
{
    t->floor_us[0] = t->floor_us[1] = offset_us;
    t->last_offset_us = offset_us;
    t->window_end_us = now_us + WINDOW_US;
}

static void learn(struct gw_timing *t, int64_t late_us)
{
    const float forget = t->packets < START_PACKETS ? FORGET_START : FORGET;
    const int64_t bucket = late_us / BUCKET_US;
    float sum = 0;
    int i;

    for (i = 0; i < GW_TIMING_BUCKETS; i++)
        t->late[i] *= forget;
    t->late[bucket < GW_TIMING_BUCKETS ? bucket : GW_TIMING_BUCKETS - 1] += 1 - forget;
    for (i = 0; i < GW_TIMING_BUCKETS - 1; i++) {
        sum += t->late[i];
        if (sum >= QUANTILE)
            break;
    }
    t->target_us = clamp_us(t, (int64_t)(i + 1) * BUCKET_US);
    t->packets++;
}

bool gw_timing_is_jump(const struct gw_timing *timing, int64_t ticks, uint64_t now_us)
{
    return timing->started && (int64_t)now_us - us_of(timing, ticks) < earliest_us(timing) - JUMP_US;
}

void gw_timing_packet(struct gw_timing *timing, int64_t ticks, uint64_t now_us)
{
    const int64_t offset_us = (int64_t)now_us - us_of(timing, ticks);

    if (!timing->started || llabs(offset_us - earliest_us(timing)) > JUMP_US) {
        rebase(timing, offset_us, now_us);
        timing->started = true;
    }
    if (now_us >= timing->window_end_us) {
        timing->floor_us[1] = timing->floor_us[0];
        timing->floor_us[0] = offset_us;
        timing->window_end_us = now_us + WINDOW_US;
    } else if (offset_us < timing->floor_us[0]) {
        timing->floor_us[0] = offset_us;
    }
    const int64_t step_us = llabs(offset_us - timing->last_offset_us);
    timing->last_offset_us = offset_us;
    timing->jitter_scaled_us =
        (uint32_t)((int64_t)timing->jitter_scaled_us + step_us - ((timing->jitter_scaled_us + 8) >> 4));
    learn(timing, offset_us - earliest_us(timing));
}

int64_t gw_timing_delay_us(const struct gw_timing *timing, int64_t ticks, uint64_t now_us)
{
    return (int64_t)now_us - us_of(timing, ticks) - earliest_us(timing);
}
