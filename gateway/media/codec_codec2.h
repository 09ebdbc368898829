/* Codec2 at 3200 and 1200 bit/s, 8 kHz, whole frames only (20 ms in 8 bytes, 40 ms in 6). Thread: one per object.
 * Allocates in new only. Spec: docs/wzp-wire.md "Codecs". */
#ifndef GATEWAY_MEDIA_CODEC_CODEC2_H
#define GATEWAY_MEDIA_CODEC_CODEC2_H

#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/core/media.h"

#define GW_CODEC2_RATE_HZ 8000
/** Samples and bytes of the longest frames: 40 ms at 1200 bit/s, 20 ms at 3200. */
#define GW_CODEC2_SAMPLES_MAX 320
#define GW_CODEC2_BYTES_MAX   8

/** Bytes and samples of one frame; 0 for any other codec. */
size_t gw_codec2_frame_bytes(enum wzp_codec codec);
size_t gw_codec2_frame_samples(enum wzp_codec codec);

struct gw_codec2_encoder;
struct gw_codec2_decoder;

/** 0, -EINVAL (not a Codec2), -ENOMEM. */
int gw_codec2_encoder_new(struct gw_codec2_encoder **ret, enum wzp_codec codec);
void gw_codec2_encoder_free(struct gw_codec2_encoder *encoder);
/** One frame of gw_codec2_frame_samples(). Bytes written. */
size_t gw_codec2_encode(struct gw_codec2_encoder *encoder, const int16_t *pcm, uint8_t ret[static GW_CODEC2_BYTES_MAX]);

int gw_codec2_decoder_new(struct gw_codec2_decoder **ret, enum wzp_codec codec);
void gw_codec2_decoder_free(struct gw_codec2_decoder *decoder);
/** One frame. Samples written, or -EBADMSG (not exactly one frame). */
int gw_codec2_decode(struct gw_codec2_decoder *decoder, struct wz_bytes frame,
                     int16_t ret[static GW_CODEC2_SAMPLES_MAX]);
/** A frame is missing: the last one again, quieter each time, silent from the fourth on. Samples written. */
size_t gw_codec2_conceal(struct gw_codec2_decoder *decoder, int16_t ret[static GW_CODEC2_SAMPLES_MAX]);

#endif
