/* Opus at the rate of the other leg (8, 16 or 48 kHz), mono: any Opus decoder accepts what comes out, so no resampler
 * is needed. Thread: one per object. Allocates in new only (libopus keeps no other memory). */
#ifndef GATEWAY_MEDIA_CODEC_OPUS_H
#define GATEWAY_MEDIA_CODEC_OPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"

/** Largest packet we write: 40 ms at 64 kb/s with room for VBR peaks. */
#define GW_OPUS_PACKET_MAX 640
/** RFC 6716: no packet is longer than 120 ms. */
#define GW_OPUS_DURATION_MAX_MS 120
/** Samples of the longest packet at 48 kHz. */
#define GW_OPUS_SAMPLES_MAX 5760

struct gw_opus_encoder;
struct gw_opus_decoder;

/** Deep redundancy: a packet tells up to a second of what came before it. Needs libopus 1.5 on both sides and at least
 *  wide band; other decoders skip it. It takes bits and time, so the gateway sends it where packets do get lost. */
enum gw_opus_dred {
    GW_OPUS_DRED_OFF,
    GW_OPUS_DRED_ON_LOSS,
    GW_OPUS_DRED_ALWAYS,
};

/** Is it in the libopus we run with? Where not, in-band FEC and concealment remain. */
bool gw_opus_has_dred(void);
/** "libopus 1.3.1" */
const char *gw_opus_version(void);

struct gw_opus_encoder_config {
    uint32_t rate_hz;     /**< 8000, 16000 or 48000 */
    uint32_t bitrate_bps; /**< 6000..64000 */
    unsigned complexity;  /**< 0..10 */
    bool dtx;
    enum gw_opus_dred dred; /**< without effect where gw_opus_has_dred() is false, and at 8 kHz */
};

/** 0, -EINVAL, -ENOMEM. */
int gw_opus_encoder_new(struct gw_opus_encoder **ret, const struct gw_opus_encoder_config *config);
void gw_opus_encoder_free(struct gw_opus_encoder *encoder);
void gw_opus_encoder_set_bitrate(struct gw_opus_encoder *encoder, uint32_t bitrate_bps);
void gw_opus_encoder_set_complexity(struct gw_opus_encoder *encoder, unsigned complexity);
/** Loss the other side reports; 2 % and more turns redundancy on: DRED where it may be used, else in-band FEC. */
void gw_opus_encoder_set_loss(struct gw_opus_encoder *encoder, unsigned loss_pct);
/** How far back the next packets' DRED reaches, in units of 10 ms; 0: none is sent. */
unsigned gw_opus_encoder_dred(const struct gw_opus_encoder *encoder);
/** Encode one frame of 20 or 40 ms (any Opus frame length works). Packet bytes, -EINVAL (length), -ENOSPC. */
int gw_opus_encode(struct gw_opus_encoder *encoder, const int16_t *pcm, size_t samples, uint8_t *buf, size_t size);

int gw_opus_decoder_new(struct gw_opus_decoder **ret, uint32_t rate_hz);
void gw_opus_decoder_free(struct gw_opus_decoder *decoder);
void gw_opus_decoder_reset(struct gw_opus_decoder *decoder);
/** Decode one packet. Samples written, -EBADMSG (not Opus), -ENOSPC (max too small for its duration). */
int gw_opus_decode(struct gw_opus_decoder *decoder, struct wz_bytes packet, int16_t *pcm, size_t max);
/**
 * A frame before packet was lost: rebuild it from packet's DRED, or, when it stood right before packet, from in-band FEC.
 * @param ahead  Samples from the start of the lost frame to the start of packet's audio.
 * @return       Samples, or -ENODATA (packet does not tell; conceal instead). *ret_is_dred says which of the two it was.
 */
int gw_opus_rebuild(struct gw_opus_decoder *decoder, struct wz_bytes packet, size_t ahead, int16_t *pcm, size_t samples,
                    bool *ret_is_dred);
/** Nothing came: conceal. samples must be a multiple of 2.5 ms. Samples or -errno. */
int gw_opus_conceal(struct gw_opus_decoder *decoder, int16_t *pcm, size_t samples);

/** Duration of a packet in 1/48000 s, read from its first bytes; -EBADMSG (empty, invalid, over 120 ms). */
int gw_opus_packet_ticks(struct wz_bytes packet);

#endif
