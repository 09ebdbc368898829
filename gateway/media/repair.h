/* Lost Codec2 frames of one incoming WZP stream brought back from its repair packets, with the sequence number and time
 * they were sent under. One decoder of wzp/core/fec per codec in use, made by the first packet of that codec: the media
 * path's one allocation, so that calls without Codec2 do not pay 2 x its memory. Sans-IO, one thread.
 * Spec: docs/wzp-wire.md "Repair". */
#ifndef GATEWAY_MEDIA_REPAIR_H
#define GATEWAY_MEDIA_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/core/fec.h"
#include "wzp/core/media.h"

/** Blocks whose packets are remembered; a power of two. */
#define GW_REPAIR_BLOCKS 4
/** Source and repair symbols of the largest block remembered. */
#define GW_REPAIR_SYMBOLS 32
/** After this long without loss playing need no longer wait for repair. */
#define GW_REPAIR_CALM_US 10000000u

struct gw_repair_block {
    bool used;
    uint8_t block;
    uint64_t last_us;
    uint32_t seen;                        /**< bit n: symbol n came, */
    uint16_t seq[GW_REPAIR_SYMBOLS];      /**< with this number, */
    uint32_t frame_ms[GW_REPAIR_SYMBOLS]; /**< and belongs to this time */
};

struct gw_repair_codec {
    struct wzp_fec_decoder *decoder; /**< NULL: not used yet */
    struct gw_repair_block block[GW_REPAIR_BLOCKS];
};

/** Starts zeroed. */
struct gw_repair {
    struct gw_repair_codec codec[2]; /**< Codec2 3200 and 1200 */
    enum wzp_codec current;          /**< of the newest Codec2 packet; another one closes the former's open blocks */
    bool has_current, has_seq;
    uint16_t highest_seq;
    uint64_t lossy_until_us;
    uint64_t repaired;
};

struct gw_repair_frame {
    uint16_t seq;
    uint32_t timestamp_ms;
    struct wzp_fec_frame frame;
};

void gw_repair_done(struct gw_repair *repair);
/** The stream begins anew. */
void gw_repair_reset(struct gw_repair *repair);
/** Nothing has been played yet: waiting for repair costs no gap, so wait until it is known that nothing gets lost. */
void gw_repair_expect_loss(struct gw_repair *repair, uint64_t now_us);
/** A Codec2 packet, source or repair. Frames this brings back: take each with gw_repair_take(). 0 also when memory for
 *  the decoder is missing: then nothing is repaired. */
unsigned gw_repair_packet(struct gw_repair *repair, const struct wzp_media_hdr *hdr, struct wz_bytes payload,
                          uint64_t now_us);
/** Comfort noise used this number: no loss. */
void gw_repair_note(struct gw_repair *repair, uint16_t seq);
/** The peer sends another kind of codec now: the open block is never finished. */
void gw_repair_leave(struct gw_repair *repair);
/** False: no more. */
bool gw_repair_take(struct gw_repair *repair, struct gw_repair_frame *ret);
/** Longer than jitter asks for, how long frames must wait so that repair comes in time: what a block takes, while there
 *  is loss or it is expected. */
uint32_t gw_repair_hold_us(const struct gw_repair *repair, uint64_t now_us);

#endif
