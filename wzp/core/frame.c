#include "wzp/core/frame.h"

#include <errno.h>
#include <stdlib.h>

/** A sender that announces a megabyte and delivers nothing costs us at most this. */
#define FRAME_GROW_BYTES 4096u

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int take_prefix(struct wzp_frame_in *frame, struct wz_reader *in)
{
    while (frame->prefix_len < WZP_FRAME_PREFIX_BYTES && wz_get_u8(in, &frame->prefix[frame->prefix_len]))
        frame->prefix_len++;
    if (frame->prefix_len < WZP_FRAME_PREFIX_BYTES)
        return 0;

    struct wz_reader prefix = wz_reader(wz_bytes(frame->prefix, sizeof frame->prefix));
    uint32_t len = 0;
    (void)wz_get_u32be(&prefix, &len); /* four bytes are there */
    if (len > WZP_SIGNAL_MAX_BYTES)
        return -EMSGSIZE;
    frame->want = len;
    return 1;
}

/** Room for body_len + more bytes, in whole pages but never more than the message needs. */
static int grow(struct wzp_frame_in *frame, size_t more)
{
    size_t need = frame->body_len + more;
    if (need <= frame->body_size)
        return 0;
    size_t size = min_size(frame->want, (need + FRAME_GROW_BYTES - 1) / FRAME_GROW_BYTES * FRAME_GROW_BYTES);
    uint8_t *body = realloc(frame->body, size);
    if (!body)
        return -ENOMEM;
    frame->body = body;
    frame->body_size = size;
    return 0;
}

int wzp_frame_feed(struct wzp_frame_in *frame, struct wz_bytes in)
{
    struct wz_reader reader = wz_reader(in);
    struct wz_bytes piece = { 0 };

    int have_prefix = take_prefix(frame, &reader);
    if (have_prefix <= 0)
        return have_prefix;

    size_t len = min_size(wz_left(&reader), frame->want - frame->body_len);
    if (len > 0) {
        int err = grow(frame, len);
        if (err)
            return err;
        (void)wz_get_slice(&reader, len, &piece); /* len is at most what is left */
        memcpy(frame->body + frame->body_len, piece.data, piece.len);
        frame->body_len += len;
    }
    return frame->body_len == frame->want ? 1 : 0;
}

void wzp_frame_done(struct wzp_frame_in *frame)
{
    free(frame->body);
    *frame = (struct wzp_frame_in){ 0 };
}

int wzp_frame_prefix(size_t len, uint8_t ret[static WZP_FRAME_PREFIX_BYTES])
{
    if (len > WZP_SIGNAL_MAX_BYTES)
        return -EMSGSIZE;
    struct wz_writer out = wz_writer(ret, WZP_FRAME_PREFIX_BYTES);
    wz_put_u32be(&out, (uint32_t)len);
    return 0;
}
