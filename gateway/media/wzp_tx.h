/* The sending side of one WZP stream: 20 ms of PCM in per push, packets of any codec of the table out: Opus, Codec2 with
 * its repair packets, comfort noise in place of silence. Numbers and times are given by the caller, who may put other
 * packets in between. The codec may change with any frame; Codec2's encoder, resampler and repair are made when it is
 * first asked for. Sans-IO, one thread. Spec: docs/wzp-wire.md "Codecs", "Repair". */
#ifndef GATEWAY_MEDIA_WZP_TX_H
#define GATEWAY_MEDIA_WZP_TX_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/media/codec_opus.h"
#include "wzp/core/media.h"

/** One push. */
#define GW_WZP_TX_PUSH_MS 20
/** Every so many suppressed frames one comfort-noise packet says that we live. */
#define GW_WZP_TX_NOISE_EVERY 10

struct gw_wzp_tx;

struct gw_wzp_tx_packet {
    enum wzp_codec codec;
    bool is_repair;
    uint8_t fec_ratio, fec_block, fec_symbol;
    unsigned duration_ms; /**< of the audio in it: 20 or 40; repair and comfort noise: 0 */
    struct wz_bytes payload;
};

struct gw_wzp_tx_config {
    uint32_t rate_hz;    /**< of the PCM: 8000, 16000 or 48000 */
    unsigned complexity; /**< 0..10 */
    enum gw_opus_dred dred;
    bool suppress_silence; /**< stop sending when nobody speaks */
    /** One packet to send now; a repair packet carries the time of the frame behind it. Borrowed for the call. */
    void (*packet)(void *arg, const struct gw_wzp_tx_packet *packet);
    /** So much silence is not sent: time goes on. */
    void (*silence)(void *arg, unsigned ms);
    void *arg;
};

/** 0, -EINVAL, -ENOMEM. */
int gw_wzp_tx_new(struct gw_wzp_tx **ret, const struct gw_wzp_tx_config *config);
void gw_wzp_tx_free(struct gw_wzp_tx *tx);
/** Any codec we can send with: Opus and Codec2, not comfort noise. */
bool gw_wzp_tx_can_send(enum wzp_codec codec);

/** Where the caller may write the next 20 ms before gw_wzp_tx_push(). */
int16_t *gw_wzp_tx_room(struct gw_wzp_tx *tx);
/**
 * The 20 ms in gw_wzp_tx_room() shall go out. `codec` counts at the start of a frame, so 40 ms frames are finished first.
 * 0, or -ENOMEM (Codec2 asked for, first time): then Opus6k is sent.
 */
int gw_wzp_tx_push(struct gw_wzp_tx *tx, enum wzp_codec codec);
/** Give up what was collected for the next frame: something else is sent, or nothing. */
void gw_wzp_tx_drop(struct gw_wzp_tx *tx);
void gw_wzp_tx_set_loss(struct gw_wzp_tx *tx, unsigned loss_pct);
void gw_wzp_tx_set_complexity(struct gw_wzp_tx *tx, unsigned complexity);

#endif
