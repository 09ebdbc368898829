/* Forwarding a packet stream into another numbering: gaps, order and pauses stay as they are, so that loss remains
 * visible to the receiver; packets that are not forwarded, and frames of our own put in between, leave no trace.
 * Sans-IO; plain data. */
#ifndef GATEWAY_MEDIA_SEQMAP_H
#define GATEWAY_MEDIA_SEQMAP_H

#include <stdbool.h>
#include <stdint.h>

/** Sequence steps beyond this start a new numbering instead of leaving a gap. */
#define GW_SEQMAP_STEP_MAX 1000
/** Packets behind the newest that are still told from duplicates. */
#define GW_SEQMAP_WINDOW 64
/** What a renumbered stream has missed is a loss up to here, beyond a pause: its numbers are not left out then. */
#define GW_SEQMAP_LOSS_MAX_MS 1000
/** Timestamp jumps beyond these are a restarted clock, not a pause or a late packet. */
#define GW_SEQMAP_PAUSE_MAX_MS  600000
#define GW_SEQMAP_BEHIND_MAX_MS 6000

struct gw_seqmap {
    uint32_t in_clock_hz, out_clock_hz;
    bool started;  /**< an input position is known */
    bool anchored; /**< the next packet need not be anchored to the output */
    uint16_t in_highest;
    uint16_t in_anchor; /**< input before this is numbered by the former offset */
    uint16_t offset, former_offset;
    uint64_t seen;            /**< bit n: in_highest - n came */
    uint16_t stale_seq;       /**< the newest packet that was a duplicate, old or of the former numbering */
    unsigned stale_run;       /**< such packets in a row */
    uint16_t former_highest;  /**< of the numbering before this one, */
    uint64_t former_until_us; /**< whose last packets may still be under way until then */
    unsigned suspect_left;    /**< packets of which each may be the first of a new numbering */
    bool is_timed;            /**< newest_us is known: nothing of our own came since */
    uint64_t newest_us;       /**< when the newest packet was forwarded */
    uint32_t in_base, out_base;
    uint16_t out_next; /**< one past the highest output sequence number */
    uint32_t out_end;  /**< output timestamp one past the newest frame */
};

enum gw_seqmap_result {
    GW_SEQMAP_FORWARD,
    GW_SEQMAP_DUPLICATE,
    GW_SEQMAP_OLD, /**< too late to be placed */
};

/** first_seq and first_timestamp: what the first packet out shall carry. Clocks: whole multiples of 1000. */
void gw_seqmap_init(struct gw_seqmap *map, uint32_t in_clock_hz, uint32_t out_clock_hz, uint16_t first_seq,
                    uint32_t first_timestamp);
/** Number one packet. duration in output ticks, never 0. ret_discontinuity: a pause or new numbering came before it. A new
 *  numbering goes on where the time since the newest packet says, in whole frames, so that what was lost there stays
 *  visible too. */
enum gw_seqmap_result gw_seqmap_forward(struct gw_seqmap *map, uint16_t seq, uint32_t timestamp, uint32_t out_duration,
                                        uint64_t now_us, uint16_t *ret_seq, uint32_t *ret_timestamp,
                                        bool *ret_discontinuity);
/** An input packet that is not forwarded: its sequence number leaves no gap. */
void gw_seqmap_skip(struct gw_seqmap *map, uint16_t seq);
/** A frame of our own: takes the next number and timestamp; the input is anchored anew behind it. */
void gw_seqmap_insert(struct gw_seqmap *map, uint32_t out_duration, uint16_t *ret_seq, uint32_t *ret_timestamp);
/** Nothing is sent for this long; the output's timestamps go on, and the input is anchored anew. */
void gw_seqmap_pause(struct gw_seqmap *map, uint32_t out_duration);
/** The input may start over now or soon, or go on: the first packet that does not continue it is a new numbering. */
void gw_seqmap_suspect(struct gw_seqmap *map);
/** The input starts over (another SSRC); the output goes on. */
void gw_seqmap_restart(struct gw_seqmap *map);

#endif
