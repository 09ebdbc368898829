#include <errno.h>
#include <stdlib.h>

#include "wzp/core/fec_symbol.h"
#include "wzp/core/gf256.h"

struct wzp_fec_encoder {
    struct wzp_raptorq raptorq;
    unsigned block_frames, repairs;
    uint8_t block; /**< of the next frame */
    unsigned filled;
    uint8_t complete_block;
    size_t used; /**< bytes of the block's symbols that are not all zero */
    uint8_t source[WZP_FEC_BLOCK_MAX][WZP_FEC_SYMBOL_BYTES];
};

int wzp_fec_encoder_new(struct wzp_fec_encoder **ret, unsigned block_frames, unsigned ratio_milli)
{
    uint64_t repairs = ((uint64_t)block_frames * ratio_milli + 999) / 1000;

    if (block_frames == 0 || block_frames > WZP_FEC_BLOCK_MAX || repairs > WZP_RAPTORQ_SYMBOLS - block_frames)
        return -EINVAL;
    struct wzp_fec_encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder)
        return -ENOMEM;
    int err = wzp_raptorq_init(&encoder->raptorq, block_frames);
    if (err) {
        free(encoder);
        return err;
    }
    encoder->block_frames = block_frames;
    encoder->repairs = (unsigned)repairs;
    *ret = encoder;
    return 0;
}

void wzp_fec_encoder_free(struct wzp_fec_encoder *encoder)
{
    free(encoder);
}

void wzp_fec_encoder_place(const struct wzp_fec_encoder *encoder, uint8_t *ret_block, uint8_t *ret_symbol)
{
    *ret_block = encoder->block;
    *ret_symbol = (uint8_t)encoder->filled;
}

int wzp_fec_encoder_add(struct wzp_fec_encoder *encoder, struct wz_bytes frame)
{
    if (!wzp_fec_frame_fits(frame))
        return -EINVAL;
    if (encoder->filled == 0)
        encoder->used = 0;
    if (encoder->used < WZP_FEC_PREFIX_BYTES + frame.len)
        encoder->used = WZP_FEC_PREFIX_BYTES + frame.len;
    wzp_fec_symbol_of(frame, encoder->source[encoder->filled++]);
    if (encoder->filled < encoder->block_frames)
        return 0;
    encoder->complete_block = encoder->block++;
    encoder->filled = 0;
    return (int)encoder->repairs;
}

void wzp_fec_encoder_repair(struct wzp_fec_encoder *encoder, unsigned index, uint8_t ret[static WZP_FEC_SYMBOL_BYTES],
                            uint8_t *ret_block, uint8_t *ret_esi)
{
    uint8_t esi = (uint8_t)(encoder->block_frames + index);

    memset(ret, 0, WZP_FEC_SYMBOL_BYTES);
    for (unsigned i = 0; i < encoder->block_frames; i++)
        wzp_gf256_add_scaled(ret, encoder->source[i], encoder->raptorq.coefficient[esi][i], encoder->used);
    *ret_block = encoder->complete_block;
    *ret_esi = esi;
}

void wzp_fec_encoder_reset(struct wzp_fec_encoder *encoder)
{
    if (encoder->filled)
        encoder->block++;
    encoder->filled = 0;
}
