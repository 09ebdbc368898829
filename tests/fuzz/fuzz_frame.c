/* Arbitrary bytes as one QUIC stream, cut into pieces. Input: one byte of seed for the cuts, then the stream.
 * However it is cut, the reader must come to the verdict and the body that it comes to in one piece. */
#include <errno.h>
#include <stdlib.h>

#include "wzp/core/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_complete(const struct wzp_frame_in *frame, struct wz_bytes stream)
{
    uint8_t prefix[WZP_FRAME_PREFIX_BYTES];

    if (frame->body_len > stream.len - WZP_FRAME_PREFIX_BYTES)
        abort();
    if (frame->body_len && memcmp(frame->body, stream.data + WZP_FRAME_PREFIX_BYTES, frame->body_len) != 0)
        abort();
    if (wzp_frame_prefix(frame->body_len, prefix) != 0 || memcmp(prefix, stream.data, sizeof prefix) != 0)
        abort();
}

static int feed_pieces(struct wzp_frame_in *frame, struct wz_bytes stream, uint8_t seed)
{
    int verdict = 0;

    for (size_t pos = 0; pos < stream.len && verdict == 0;) {
        seed = (uint8_t)(seed * 5 + 3);
        size_t piece = 1u + seed % 32u;
        if (piece > stream.len - pos)
            piece = stream.len - pos;
        verdict = wzp_frame_feed(frame, wz_bytes(stream.data + pos, piece));
        pos += piece;
    }
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wzp_frame_in whole = { 0 }, pieces = { 0 };

    if (size < 1)
        return 0;
    struct wz_bytes stream = wz_bytes(data + 1, size - 1);
    int verdict = wzp_frame_feed(&whole, stream);
    if (feed_pieces(&pieces, stream, data[0]) != verdict || whole.body_len != pieces.body_len)
        abort();
    if (verdict == 1) {
        check_complete(&whole, stream);
        check_complete(&pieces, stream);
    } else if (verdict != 0 && verdict != -EMSGSIZE) {
        abort();
    }
    wzp_frame_done(&whole);
    wzp_frame_done(&pieces);
    return 0;
}
