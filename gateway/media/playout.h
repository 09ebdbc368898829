/* The receive side of one audio stream: jitter buffer, decoder and concealment; packets in, 20 ms of PCM out per pull.
 * Used for both directions of a transcoding bridge and by the softphone. Sans-IO, one thread.
 * Allocates in gw_playout_new, and once with the first Codec2 packet of a WZP stream: few calls ever see one. */
#ifndef GATEWAY_MEDIA_PLAYOUT_H
#define GATEWAY_MEDIA_PLAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/media/jitter.h"
#include "wzp/core/media.h"

/** One pull. */
#define GW_PLAYOUT_FRAME_MS 20
#define GW_PLAYOUT_FRAME_US 20000u
/** Samples of one pull at the highest rate. */
#define GW_PLAYOUT_SAMPLES_MAX 960

enum gw_codec {
    GW_CODEC_PCMU,
    GW_CODEC_PCMA,
    GW_CODEC_OPUS,
};

/** RTP clock: 8000 or 48000. */
uint32_t gw_codec_clock_hz(enum gw_codec codec);
/** "PCMU", "PCMA", "opus" */
const char *gw_codec_name(enum gw_codec codec);

struct gw_playout;

struct gw_playout_config {
    enum gw_codec codec;
    uint32_t clock_hz;                   /**< of the timestamps: 8000, 48000, or 1000 for WZP */
    uint32_t rate_hz;                    /**< of the PCM: 8000 for G.711; 8000, 16000 or 48000 for Opus */
    unsigned min_ms, initial_ms, max_ms; /**< jitter buffer; 0: its defaults */
};

struct gw_playout_stats {
    struct gw_jitter_stats jitter;
    uint64_t bad_payload;   /**< not decodable, or of a length the codec does not have */
    uint64_t comfort_noise; /**< comfort-noise packets received */
    uint64_t repaired;      /**< Codec2 frames brought back from repair packets */
    uint64_t unrepaired;    /**< Codec2 frames that had to be concealed */
    uint64_t dred;          /**< Opus frames reconstructed from a later packet's deep redundancy */
    int level_dbov;         /**< smoothed level of what was played, -127..0 */
};

/** 0, -ENOMEM, -EINVAL. */
int gw_playout_new(struct gw_playout **ret, const struct gw_playout_config *config);
void gw_playout_free(struct gw_playout *playout);
/** A new stream begins (another SSRC): decoder and buffer start over. */
void gw_playout_reset(struct gw_playout *playout);

/** An audio packet. Errors of gw_jitter_put(), or -EBADMSG (payload the codec does not have; counted). */
int gw_playout_put(struct gw_playout *playout, uint16_t seq, uint32_t timestamp, struct wz_bytes payload,
                   uint64_t now_us);
/** Comfort noise: used up a sequence number; noise of this level is played where audio is missing, until audio comes. */
void gw_playout_comfort(struct gw_playout *playout, uint16_t seq, int level_dbov);
/** A packet that is neither (repair, telephone event, a codec we cannot decode). */
void gw_playout_note(struct gw_playout *playout, uint16_t seq);

/**
 * One decoded WZP datagram of any codec, sorted into the three above (clock 1000 only). The codec may change with any
 * packet; lost Codec2 frames come back from repair packets.
 * @return 0; -ENOMEM (the first Codec2 packet: noted, so it plays as silence); errors of gw_playout_put().
 */
int gw_playout_put_wzp(struct gw_playout *playout, const struct wzp_media_hdr *hdr, struct wz_bytes payload,
                       uint64_t now_us);

/**
 * The next 20 ms, always rate_hz / 50 samples. Call once per 20 ms of real time.
 * @return true when any of it was received audio, false for invented audio (silence, concealment, noise).
 */
bool gw_playout_pull(struct gw_playout *playout, uint64_t now_us, int16_t *pcm);
/** Nothing has been put yet since new or reset. */
bool gw_playout_is_fresh(const struct gw_playout *playout);

void gw_playout_stats(const struct gw_playout *playout, struct gw_playout_stats *ret);

#endif
