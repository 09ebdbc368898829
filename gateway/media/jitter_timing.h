/* When packets come compared with their timestamps: the earliest transit over the last seconds (so that clock drift is
 * followed), how late the others are, and the delay that would have caught nearly all of them. Plain data, sans-IO. */
#ifndef GATEWAY_MEDIA_JITTER_TIMING_H
#define GATEWAY_MEDIA_JITTER_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#define GW_TIMING_BUCKETS 32

struct gw_timing {
    uint32_t clock_hz;
    int64_t min_us, initial_us, max_us;
    bool started;
    int64_t floor_us[2]; /**< least offset (arrival - timestamp) of this and of the former window */
    uint64_t window_end_us;
    int64_t last_offset_us;
    uint32_t jitter_scaled_us; /**< 16 x */
    uint32_t packets;
    float late[GW_TIMING_BUCKETS]; /**< share of packets that late, in steps of 10 ms; forgets slowly */
    int64_t target_us;
};

void gw_timing_init(struct gw_timing *timing, uint32_t clock_hz, unsigned min_ms, unsigned initial_ms, unsigned max_ms);
/** The stream starts over; what was learned about lateness stays. */
void gw_timing_restart(struct gw_timing *timing);
/** Is this packet's timestamp so far ahead of its arrival that the sender's clock must have jumped? */
bool gw_timing_is_jump(const struct gw_timing *timing, int64_t ticks, uint64_t now_us);
void gw_timing_packet(struct gw_timing *timing, int64_t ticks, uint64_t now_us);
/** Delay that a frame with this timestamp would have if it were played now. */
int64_t gw_timing_delay_us(const struct gw_timing *timing, int64_t ticks, uint64_t now_us);

#endif
