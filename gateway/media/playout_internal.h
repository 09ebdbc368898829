/* What the parts of the playout share: playout.c (life, RTP in, pull), playout_wzp.c (WZP in), playout_decode.c (sound). */
#ifndef GATEWAY_MEDIA_PLAYOUT_INTERNAL_H
#define GATEWAY_MEDIA_PLAYOUT_INTERNAL_H

#include "gateway/media/codec_codec2.h"
#include "gateway/media/codec_opus.h"
#include "gateway/media/playout.h"
#include "gateway/media/plc.h"
#include "gateway/media/repair.h"
#include "gateway/media/resample.h"

#define PLAYOUT_WZP_CLOCK_HZ 1000

/** What Codec2 needs; made with its first packet. */
struct playout_codec2 {
    struct gw_codec2_decoder *decoder[2]; /**< 3200, 1200; NULL: not used yet */
    struct gw_resampler resampler;
    struct gw_repair repair;
};

struct gw_playout {
    struct gw_playout_config config;
    struct gw_jitter *jitter;
    struct gw_opus_decoder *opus;
    struct gw_plc plc; /**< G.711 */
    struct playout_codec2 *codec2;
    enum wzp_codec last_codec; /**< of the newest frame played; WZP streams only */

    size_t frame_samples; /**< of one pull */
    size_t fifo_size, fifo_count;
    int16_t *fifo; /**< decoded, not pulled yet */

    bool has_input;
    bool has_noise;     /**< comfort noise was announced, */
    uint16_t noise_seq; /**< by this packet, and no audio from behind it has been played */
    float noise_amplitude;
    uint32_t noise_state;
    float mean_square;
    uint64_t bad_payload, comfort_noise, unrepaired, dred;
};

/** Longest packet that is played. */
unsigned playout_frame_max_ms(const struct gw_playout *p);
size_t playout_samples_of_ticks(const struct gw_playout *p, uint32_t ticks);
/** Samples of the fifo from pcm on. */
size_t playout_room_at(const struct gw_playout *p, const int16_t *pcm);
/** Put one audio packet of `codec` (WZP streams) into the jitter buffer; duration 0: bad, counted. */
int playout_put(struct gw_playout *p, const struct gw_jitter_packet *packet, uint64_t now_us);
/** Make the sound of what the jitter buffer gave. Samples written to pcm, a place in the fifo. */
size_t playout_play(struct gw_playout *p, const struct gw_jitter_out *out, int16_t *pcm);

/** NULL-safe. */
void playout_codec2_free(struct playout_codec2 *codec2);
static inline unsigned playout_codec2_index(enum wzp_codec codec)
{
    return codec == WZP_CODEC_CODEC2_1200;
}
static inline bool playout_is_codec2(enum wzp_codec codec)
{
    return codec == WZP_CODEC_CODEC2_3200 || codec == WZP_CODEC_CODEC2_1200;
}

#endif
