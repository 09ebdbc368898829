/* Adaptive jitter buffer, driven by time: packets go in when they arrive, one frame comes out per frame period.
 *
 * The play point runs along the stream's timestamps; sequence numbers tell loss from silence. So it serves RTP
 * (8 or 48 kHz ticks) and WZP (milliseconds), streams with DTX (timestamps jump, sequence numbers do not), and
 * streams in which other packets use up sequence numbers (gw_jitter_note).
 *
 *   delay     time from the earliest a packet could have come (minimum over some seconds, so clock drift is
 *             followed) to its play time. Target: the 97th percentile of how late packets are, within min..max.
 *   underrun  nothing to play: the play point waits, so a late packet is still played and the delay has grown.
 *   hold      added to the target while lost packets may still be repaired (gw_jitter_set_hold).
 *   shrink    more delay than the target, and the buffer never ran low for a second: one frame is dropped; at most
 *             one per half second, or at once while the caller says the stream is silent. grow: likewise.
 *
 * Sans-IO, one thread. Everything is allocated by gw_jitter_new; payload bytes live in a pool of small chunks. */
#ifndef GATEWAY_MEDIA_JITTER_H
#define GATEWAY_MEDIA_JITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/base/bytes.h"

/** Sequence numbers that can wait at once; a power of two. */
#define GW_JITTER_SLOTS 64
/** Largest payload: one Opus packet (RFC 6716 section 3.2). */
#define GW_JITTER_PAYLOAD_MAX 1275

struct gw_jitter;

struct gw_jitter_config {
    uint32_t clock_hz;   /**< timestamp ticks per second: 8000, 48000; 1000 for WZP */
    unsigned min_ms;     /**< 0: 20 */
    unsigned initial_ms; /**< 0: 40 */
    unsigned max_ms;     /**< 0: 200 */
};

struct gw_jitter_packet {
    uint16_t seq;
    uint32_t timestamp;      /**< ticks */
    uint32_t duration_ticks; /**< of this packet's audio; 0 is refused */
    struct wz_bytes payload; /**< copied; 1..GW_JITTER_PAYLOAD_MAX bytes */
    uint8_t tag;             /**< the caller's own (which decoder); comes back with the payload */
    /** Rebuilt by error correction: says nothing about the network's timing and, too late, is no restarted stream. */
    bool is_repaired;
};

enum gw_jitter_kind {
    GW_JITTER_EMPTY,    /**< before the first frame is due: play silence */
    GW_JITTER_FRAME,    /**< decode payload */
    GW_JITTER_LOST,     /**< conceal duration_ticks; fec holds the next packet that is already here */
    GW_JITTER_SILENCE,  /**< the sender paused (DTX): conceal or comfort noise, not a loss */
    GW_JITTER_UNDERRUN, /**< nothing there, late or lost: conceal */
    GW_JITTER_GROW,     /**< conceal one frame so that the delay grows towards its target */
};

struct gw_jitter_out {
    enum gw_jitter_kind kind;
    /** With FRAME: the buffer wants to shrink by one frame. Decode this one, call gw_jitter_pop() again at once and
     *  play what that gives (cross-fading the two hides the seam). */
    bool drop;
    uint16_t seq;
    uint32_t duration_ticks;
    struct wz_bytes payload;  /**< FRAME; valid until the next call on this buffer */
    struct wz_bytes fec;      /**< LOST; empty when there is none; valid as payload */
    uint32_t fec_ahead_ticks; /**< from the start of the lost frame to the start of fec's audio */
    uint8_t tag;              /**< of payload or fec */
};

struct gw_jitter_stats {
    uint64_t received; /**< packets accepted */
    uint64_t lost;     /**< sequence numbers that never came in time and never came late */
    uint64_t late;     /**< came after their play time; dropped */
    uint64_t duplicate;
    uint64_t overflow;  /**< dropped because buffer or pool was full, or longer than the delay limit */
    uint64_t concealed; /**< frames the caller had to invent: loss, late, growth */
    uint64_t silence;   /**< frames of DTX */
    uint64_t shrunk;    /**< frames dropped to lower the delay */
    uint64_t resyncs;   /**< jumps of the stream that were followed */
    uint64_t repaired;  /**< packets put that were rebuilt and came in time */
    uint32_t jitter_us; /**< RFC 3550 interarrival jitter */
    uint32_t delay_us;  /**< present delay of the play point */
    uint32_t target_us;
    unsigned depth; /**< packets waiting */
};

/** 0, -ENOMEM, -EINVAL (clock outside 1000..192000, or not min <= initial <= max <= 1000 ms). */
int gw_jitter_new(struct gw_jitter **ret, const struct gw_jitter_config *config);
void gw_jitter_free(struct gw_jitter *jitter);
/** Start over with a new stream; counters stay. */
void gw_jitter_reset(struct gw_jitter *jitter);

/** A packet arrived. When the pool is full the oldest waiting packets make room.
 *  0; -EEXIST duplicate; -ETIME late; -ENOSPC older than all that fill the pool; -EAGAIN a jump not believed yet;
 *  -EINVAL. */
int gw_jitter_put(struct gw_jitter *jitter, const struct gw_jitter_packet *packet, uint64_t now_us);
/** A packet without audio of its own used this sequence number (repair, comfort noise, telephone event). */
void gw_jitter_note(struct gw_jitter *jitter, uint16_t seq);
/** The next frame period has come. Between two calls the time of the frame returned (duration_ticks) should pass. */
void gw_jitter_pop(struct gw_jitter *jitter, uint64_t now_us, struct gw_jitter_out *ret);
/** Wait this much longer than arrivals alone would ask for; 0: no more. The delay follows frame by frame. */
void gw_jitter_set_hold(struct gw_jitter *jitter, uint32_t hold_us);
/** Was the frame just played (near) silent? Then the delay may be changed at once. */
void gw_jitter_hint_silence(struct gw_jitter *jitter, bool is_silent);

void gw_jitter_stats(const struct gw_jitter *jitter, struct gw_jitter_stats *ret);

#endif
