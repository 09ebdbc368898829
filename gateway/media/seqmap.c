#include "gateway/media/seqmap.h"

#include <stdlib.h>

#include "wzp/base/seq.h"

#define BASE_MOVE_SECONDS 3600
/** Stale packets in a row that prove a restart; fewer, where the network would have held them for over a second. */
#define STALE_RUN 5
#define OLD_RUN   2
/** Packets of the former numbering in a row, with none of the present one between: it was the right one. */
#define FORMER_RUN 3
/** Packets of the former numbering are expected for this long, and only while the present one has not come that near. */
#define FORMER_US   500000
#define FORMER_NEAR 8
/** Told that the numbering may change: for how many packets, how much later than the time since the newest packet a
 * timestamp may be for all that, and how far behind a known packet is no duplicate any more. */
#define SUSPECT_PACKETS  50
#define SUSPECT_SLACK_MS 500
#define SUSPECT_BEHIND   8

void gw_seqmap_init(struct gw_seqmap *map, uint32_t in_clock_hz, uint32_t out_clock_hz, uint16_t first_seq,
                    uint32_t first_timestamp)
{
    *map = (struct gw_seqmap){
        .in_clock_hz = in_clock_hz,
        .out_clock_hz = out_clock_hz,
        .out_next = first_seq,
        .out_end = first_timestamp,
    };
}

static void begin_anew(struct gw_seqmap *map, uint64_t now_us)
{
    map->former_highest = map->in_highest;
    map->former_until_us = now_us + FORMER_US;
    map->started = false;
    map->anchored = false;
    map->stale_run = 0;
    map->suspect_left = 0;
}

void gw_seqmap_restart(struct gw_seqmap *map)
{
    begin_anew(map, 0);
    map->former_until_us = 0; /* another source may use the very same numbers */
}

void gw_seqmap_suspect(struct gw_seqmap *map)
{
    map->suspect_left = SUSPECT_PACKETS;
}

/* Whole input ticks since the anchor, in output ticks; both directions of time. */
static int64_t to_out_ticks(const struct gw_seqmap *map, int32_t in_ticks)
{
    return (int64_t)in_ticks * map->out_clock_hz / map->in_clock_hz;
}

/* A new numbering does not say what is missing before its first packet; the time since the newest one does. */
static void catch_up(struct gw_seqmap *map, uint32_t out_duration, uint64_t now_us)
{
    const uint64_t max_us = UINT64_C(1000) * GW_SEQMAP_PAUSE_MAX_MS;

    if (!map->is_timed || now_us <= map->newest_us)
        return;
    const uint64_t elapsed_us = now_us - map->newest_us < max_us ? now_us - map->newest_us : max_us;
    const uint32_t ticks = (uint32_t)(elapsed_us * map->out_clock_hz / 1000000);
    const uint32_t frames = (ticks + out_duration / 2) / out_duration;
    if (frames < 2)
        return;
    map->out_end += (frames - 1) * out_duration;
    if ((frames - 1) * out_duration <= GW_SEQMAP_LOSS_MAX_MS / 1000 * map->out_clock_hz)
        map->out_next = (uint16_t)(map->out_next + frames - 1);
}

/* From here on this input packet continues the output without a gap. */
static void anchor(struct gw_seqmap *map, uint16_t seq, uint32_t timestamp)
{
    map->former_offset = map->offset;
    map->offset = (uint16_t)(map->out_next - seq);
    map->in_anchor = seq;
    map->in_base = timestamp;
    map->out_base = map->out_end;
    map->anchored = true;
    if (!map->started) {
        map->started = true;
        map->former_offset = map->offset;
        map->in_highest = seq;
        map->seen = 0;
    }
}

enum arrival {
    ARRIVAL_NEW,
    ARRIVAL_DUPLICATE,
    ARRIVAL_OLD,
};

static enum arrival note_arrival(struct gw_seqmap *map, uint16_t seq)
{
    const int16_t ahead = seq16_diff(seq, map->in_highest);

    if (ahead > 0) {
        map->seen = ahead < GW_SEQMAP_WINDOW ? map->seen << ahead | 1 : 1;
        map->in_highest = seq;
        return ARRIVAL_NEW;
    }
    if (ahead <= -GW_SEQMAP_WINDOW)
        return ARRIVAL_OLD;
    const uint64_t bit = UINT64_C(1) << -ahead;
    if (map->seen & bit)
        return ARRIVAL_DUPLICATE;
    map->seen |= bit;
    return ARRIVAL_NEW;
}

static uint32_t out_timestamp(const struct gw_seqmap *map, uint32_t timestamp)
{
    return map->out_base + (uint32_t)to_out_ticks(map, seq32_diff(timestamp, map->in_base));
}

/* Too far from where the stream was to be a gap, a pause or a late packet of the same numbering. */
static bool is_far(const struct gw_seqmap *map, uint16_t seq, uint32_t timestamp)
{
    const int64_t ahead = seq32_diff(out_timestamp(map, timestamp), map->out_end);

    if (abs(seq16_diff(seq, map->in_highest)) > GW_SEQMAP_STEP_MAX)
        return true;
    return map->anchored && (ahead > (int64_t)GW_SEQMAP_PAUSE_MAX_MS / 1000 * map->out_clock_hz ||
                             ahead < -(int64_t)GW_SEQMAP_BEHIND_MAX_MS / 1000 * map->out_clock_hz);
}

/* Hours after the anchor the distance would no longer fit 31 bits: move the anchor on by whole seconds, which both clocks
 * divide exactly. */
static void move_base(struct gw_seqmap *map, uint32_t timestamp)
{
    const int32_t seconds = seq32_diff(timestamp, map->in_base) / (int32_t)map->in_clock_hz;

    if (seconds < BASE_MOVE_SECONDS)
        return;
    map->in_base += (uint32_t)seconds * map->in_clock_hz;
    map->out_base += (uint32_t)seconds * map->out_clock_hz;
}

/* A late packet of the numbering before the present one, overtaken by it. */
static bool is_of_former(const struct gw_seqmap *map, uint16_t seq, uint64_t now_us)
{
    const int behind_former = abs(seq16_diff(seq, map->former_highest));

    return now_us < map->former_until_us && abs(seq16_diff(map->in_highest, map->former_highest)) > FORMER_NEAR &&
           behind_former <= GW_SEQMAP_WINDOW && behind_former < abs(seq16_diff(seq, map->in_highest));
}

static bool is_known(const struct gw_seqmap *map, int16_t ahead)
{
    return ahead <= 0 && ahead > -GW_SEQMAP_WINDOW && map->seen >> -ahead & 1;
}

/* Where a change was announced, a packet that the present numbering does not lead to is of a new one. */
static bool is_suspect(struct gw_seqmap *map, uint16_t seq, uint32_t timestamp, uint64_t now_us)
{
    const int16_t ahead = seq16_diff(seq, map->in_highest);

    if (map->suspect_left == 0)
        return false;
    map->suspect_left--;
    if (ahead <= -GW_SEQMAP_WINDOW)
        return true;
    if (ahead <= 0)
        return ahead <= -SUSPECT_BEHIND && is_known(map, ahead);
    if (!map->anchored || !map->is_timed)
        return false; /* is numbered behind our own frames anyway */
    const int64_t ticks_ahead = seq32_diff(out_timestamp(map, timestamp), map->out_end);
    const uint64_t elapsed_us = now_us > map->newest_us ? now_us - map->newest_us : 0;
    return ticks_ahead * 1000 / map->out_clock_hz > (int64_t)(elapsed_us / 1000) + SUSPECT_SLACK_MS;
}

/* Known, old or former packets in a row, each continuing the one before: the sender began anew not far away. */
static bool is_restarted(struct gw_seqmap *map, uint16_t seq, bool is_former)
{
    const int16_t ahead = seq16_diff(seq, map->in_highest);
    const bool is_old = ahead <= -GW_SEQMAP_WINDOW;

    if (!is_former && !is_old && !is_known(map, ahead))
        map->stale_run = 0;
    else if (map->stale_run > 0 && seq == (uint16_t)(map->stale_seq + 1))
        map->stale_run++;
    else
        map->stale_run = 1;
    map->stale_seq = seq;
    return map->stale_run >= (is_former ? FORMER_RUN : is_old ? OLD_RUN : STALE_RUN);
}

/* Does this packet begin a numbering that is not the present one? */
static bool is_new_numbering(struct gw_seqmap *map, uint16_t seq, uint32_t timestamp, bool is_former, uint64_t now_us)
{
    if (is_former)
        return is_restarted(map, seq, true);
    return is_far(map, seq, timestamp) || is_suspect(map, seq, timestamp, now_us) || is_restarted(map, seq, false);
}

enum gw_seqmap_result gw_seqmap_forward(struct gw_seqmap *map, uint16_t seq, uint32_t timestamp, uint32_t out_duration,
                                        uint64_t now_us, uint16_t *ret_seq, uint32_t *ret_timestamp,
                                        bool *ret_discontinuity)
{
    bool renumbered = false;
    const bool is_former = map->started && is_of_former(map, seq, now_us);

    if (map->started && is_new_numbering(map, seq, timestamp, is_former, now_us))
        begin_anew(map, now_us);
    else if (is_former)
        return GW_SEQMAP_OLD;
    if (!map->started) {
        catch_up(map, out_duration, now_us);
        anchor(map, seq, timestamp);
        renumbered = true;
    }
    switch (note_arrival(map, seq)) {
    case ARRIVAL_DUPLICATE:
        return GW_SEQMAP_DUPLICATE;
    case ARRIVAL_OLD:
        return GW_SEQMAP_OLD;
    case ARRIVAL_NEW:
        break;
    }
    if (!map->anchored) {
        /* Frames of our own stand before; what is older than they are has no place left. */
        if (seq != map->in_highest)
            return GW_SEQMAP_OLD;
        anchor(map, seq, timestamp);
        renumbered = true;
    }
    const bool is_before = seq16_before(seq, map->in_anchor);
    const uint16_t out_seq = (uint16_t)(seq + (is_before ? map->former_offset : map->offset));
    const uint32_t out_ts = out_timestamp(map, timestamp);

    *ret_discontinuity = renumbered || (seq == map->in_highest && seq32_before(map->out_end, out_ts));
    if (!seq16_before(out_seq, map->out_next))
        map->out_next = (uint16_t)(out_seq + 1);
    if (seq32_before(map->out_end, out_ts + out_duration))
        map->out_end = out_ts + out_duration;
    if (seq == map->in_highest) {
        map->is_timed = true;
        map->newest_us = now_us;
    }
    move_base(map, timestamp);
    *ret_seq = out_seq;
    *ret_timestamp = out_ts;
    return GW_SEQMAP_FORWARD;
}

void gw_seqmap_skip(struct gw_seqmap *map, uint16_t seq)
{
    if (!map->started || abs(seq16_diff(seq, map->in_highest)) > GW_SEQMAP_STEP_MAX)
        return;
    const bool is_newest = seq16_before(map->in_highest, seq);
    if (note_arrival(map, seq) != ARRIVAL_NEW || !is_newest)
        return; /* out of order: its gap is out already, closing it now would number two packets alike */
    map->former_offset = map->offset;
    map->offset--;
    map->in_anchor = (uint16_t)(seq + 1);
}

void gw_seqmap_insert(struct gw_seqmap *map, uint32_t out_duration, uint16_t *ret_seq, uint32_t *ret_timestamp)
{
    *ret_seq = map->out_next++;
    *ret_timestamp = map->out_end;
    map->out_end += out_duration;
    map->anchored = false;
    map->is_timed = false;
}

void gw_seqmap_pause(struct gw_seqmap *map, uint32_t out_duration)
{
    map->out_end += out_duration;
    map->anchored = false;
    map->is_timed = false;
}
