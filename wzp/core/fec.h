/* Repair of lost Codec2 frames: blocks of K frames, RaptorQ repair symbols behind them (RFC 6330; the symbol layout is
 * ours to rebuild, see docs/wzp-wire.md "Repair"). Pure; no allocation after _new. Thread: the owner's.
 *
 * A symbol is 256 bytes: u16 little-endian frame length, the frame, zeros. Source packets carry the bare frame, repair
 * packets the whole symbol; the decoder pads sources before it solves, so it repairs what unmodified senders lose. */
#ifndef WZP_CORE_FEC_H
#define WZP_CORE_FEC_H

#include <stdbool.h>
#include <stddef.h>

#include "wzp/base/bytes.h"

#define WZP_FEC_SYMBOL_BYTES 256
#define WZP_FEC_FRAME_MAX    (WZP_FEC_SYMBOL_BYTES - 2)
/** Source frames of one block (frames_per_block of a profile). */
#define WZP_FEC_BLOCK_MAX 16

struct wzp_fec_encoder;

/** @param ratio_milli  Repair per source symbol in 1/1000: R = ceil(K * ratio). 0, -EINVAL (frames 0 or over the limit, or
 *  more symbols than a header can name), -ENOMEM. */
int wzp_fec_encoder_new(struct wzp_fec_encoder **ret, unsigned block_frames, unsigned ratio_milli);
void wzp_fec_encoder_free(struct wzp_fec_encoder *encoder);
/** The place of the next frame, for its header. */
void wzp_fec_encoder_place(const struct wzp_fec_encoder *encoder, uint8_t *ret_block, uint8_t *ret_symbol);
/**
 * Add the next source frame.
 * @return How many repair symbols now wait (0: the block goes on); -EINVAL (frame empty or over WZP_FEC_FRAME_MAX).
 */
int wzp_fec_encoder_add(struct wzp_fec_encoder *encoder, struct wz_bytes frame);
/** Repair symbol `index` of the block just completed; valid until the next add. ret_esi goes into fec_symbol. */
void wzp_fec_encoder_repair(struct wzp_fec_encoder *encoder, unsigned index, uint8_t ret[static WZP_FEC_SYMBOL_BYTES],
                            uint8_t *ret_block, uint8_t *ret_esi);
/** Give up the open block (codec change): the next frame opens a new one, under a new id unless the open one is empty. */
void wzp_fec_encoder_reset(struct wzp_fec_encoder *encoder);

/** Blocks that are repaired at the same time: the newest and those 1..3 ids behind it; older ids are late. */
#define WZP_FEC_OPEN_BLOCKS 4
/** What comes for a block that is complete is ignored this long; then its id may stand for another one. A block that got
 *  nothing for this long is forgotten. */
#define WZP_FEC_MEMORY_US UINT64_C(2000000)

struct wzp_fec_decoder;

/** One frame that was lost and is known again. Any length: where blocks of two senders meet (a room), or symbols are
 *  wrong, nonsense can look like a frame, so the codec must check that the length is one of its own. */
struct wzp_fec_frame {
    uint8_t block, symbol;
    size_t len;
    uint8_t data[WZP_FEC_FRAME_MAX];
};

struct wzp_fec_counts {
    uint64_t recovered; /**< frames brought back */
    uint64_t bad;       /**< "recovered" symbols that hold no frame: a wrong symbol took part */
    uint64_t late;      /**< packets of blocks that are complete or over */
    uint64_t odd;       /**< packets that fit no block: number, length */
};

/** @param block_frames  K of the codec's profile: 8 for Codec2_1200, 5 for Codec2_3200. 0, -EINVAL (0 or over the limit), -ENOMEM. */
int wzp_fec_decoder_new(struct wzp_fec_decoder **ret, unsigned block_frames);
void wzp_fec_decoder_free(struct wzp_fec_decoder *decoder);
void wzp_fec_decoder_reset(struct wzp_fec_decoder *decoder);
/** A source frame or a repair symbol as it came. Late, repeated and odd ones are harmless.
 *  @return How many frames this packet brought back; take each with wzp_fec_decoder_take(). */
unsigned wzp_fec_decoder_source(struct wzp_fec_decoder *decoder, uint8_t block, uint8_t symbol, struct wz_bytes frame,
                                uint64_t now_us);
unsigned wzp_fec_decoder_repair(struct wzp_fec_decoder *decoder, uint8_t block, uint8_t esi, struct wz_bytes symbol,
                                uint64_t now_us);
/** In order of their symbols; false: no more. What is not taken before the next packet is gone. */
bool wzp_fec_decoder_take(struct wzp_fec_decoder *decoder, struct wzp_fec_frame *ret);
struct wzp_fec_counts wzp_fec_decoder_counts(const struct wzp_fec_decoder *decoder);

#endif
