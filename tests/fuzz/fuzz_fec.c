/* Arbitrary packets into the repair decoder: source frames and repair symbols of any block, number and length, at any
 * time. What comes back must keep its bounds, and a block of an honest sender in between must come back whole. */
#include <stdlib.h>

#include "wzp/core/fec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void take_all(struct wzp_fec_decoder *decoder, unsigned promised, unsigned block_frames)
{
    struct wzp_fec_frame frame;
    unsigned taken = 0;

    for (; wzp_fec_decoder_take(decoder, &frame); taken++)
        check(frame.len > 0 && frame.len <= WZP_FEC_FRAME_MAX && frame.symbol < block_frames);
    check(taken == promised);
}

/** One packet: kind and pause, block, number, length, bytes (the rest of a symbol is zero). */
static bool feed_packet(struct wzp_fec_decoder *decoder, struct wz_reader *in, unsigned block_frames, uint64_t *now_us)
{
    uint8_t kind, block, number, len, symbol[WZP_FEC_SYMBOL_BYTES] = { 0 };
    struct wz_bytes bytes;

    if (!wz_get_u8(in, &kind) || !wz_get_u8(in, &block) || !wz_get_u8(in, &number) || !wz_get_u8(in, &len) ||
        !wz_get_slice(in, len < wz_left(in) ? len : wz_left(in), &bytes))
        return false;
    *now_us += (uint64_t)(kind >> 2) * 50000;
    if (bytes.len)
        memcpy(symbol, bytes.data, bytes.len);
    unsigned back = kind & 1 ? wzp_fec_decoder_source(decoder, block, number, bytes, *now_us)
                             : wzp_fec_decoder_repair(decoder, block, number,
                                                      kind & 2 ? bytes : wz_bytes(symbol, sizeof symbol), *now_us);
    take_all(decoder, back, block_frames);
    return true;
}

/** After a reset a block of which only repair symbols arrive must be whole again with a few more than its frames. */
static void check_honest_block(struct wzp_fec_decoder *decoder, unsigned block_frames, struct wz_bytes frame)
{
    struct wzp_fec_encoder *encoder;
    unsigned back = 0;

    if (wzp_fec_encoder_new(&encoder, block_frames, 4000) != 0)
        return;
    int repairs = 0;
    while (repairs == 0)
        repairs = wzp_fec_encoder_add(encoder, frame);
    wzp_fec_decoder_reset(decoder);
    for (int i = 0; i < repairs && back == 0; i++) {
        uint8_t symbol[WZP_FEC_SYMBOL_BYTES], block, esi;
        wzp_fec_encoder_repair(encoder, (unsigned)i, symbol, &block, &esi);
        back = wzp_fec_decoder_repair(decoder, block, esi, wz_bytes(symbol, sizeof symbol), 0);
    }
    check(back == block_frames);
    struct wzp_fec_frame got;
    for (unsigned i = 0; i < block_frames; i++)
        check(wzp_fec_decoder_take(decoder, &got) && got.symbol == i &&
              wz_bytes_equal(wz_bytes(got.data, got.len), frame));
    wzp_fec_encoder_free(encoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wz_reader in = wz_reader(wz_bytes(data, size));
    struct wzp_fec_decoder *decoder;
    uint64_t now_us = 0;
    uint8_t block_frames;

    if (!wz_get_u8(&in, &block_frames) || wzp_fec_decoder_new(&decoder, block_frames % (WZP_FEC_BLOCK_MAX + 1)) != 0)
        return 0;
    block_frames %= WZP_FEC_BLOCK_MAX + 1;
    while (feed_packet(decoder, &in, block_frames, &now_us))
        ;
    if (size <= WZP_FEC_FRAME_MAX)
        check_honest_block(decoder, block_frames, wz_bytes(data, size));
    wzp_fec_decoder_free(decoder);
    return 0;
}
