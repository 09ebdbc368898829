#include "gateway/media/wzp_tx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/codec_codec2.h"
#include "gateway/media/resample.h"
#include "wzp/core/fec.h"
#include "wzp/core/signal.h"

/** Pushes of the longest frame. */
#define FRAME_PUSHES_MAX 2
/** A frame below an RMS of 100 is silent; after this many they are no longer sent. */
#define SILENT_MEAN_SQUARE 10000
#define HANGOVER_FRAMES    5
/** The level byte of comfort noise; receivers of today do not look at it. */
#define NOISE_LEVEL 50
/** Repair of Codec2_3200, which is in no preset. */
#define BLOCK_3200       5
#define RATIO_3200_MILLI 500

/** Made when the codec is first used. */
struct codec2_tx {
    struct gw_codec2_encoder *encoder;
    struct wzp_fec_encoder *fec;
    uint8_t ratio; /**< as in the header */
};

struct gw_wzp_tx {
    struct gw_wzp_tx_config config;
    size_t push_samples;
    struct gw_opus_encoder *opus;
    struct codec2_tx codec2[2]; /**< 3200, 1200 */
    struct gw_resampler resampler;
    enum wzp_codec codec; /**< of the frame being collected */
    enum wzp_codec sent;  /**< of the newest frame sent */
    size_t count;
    unsigned silent_frames;
    unsigned suppressed_frames;
    int16_t pcm[]; /**< room for 40 ms, the longest frame */
};

int gw_wzp_tx_new(struct gw_wzp_tx **ret, const struct gw_wzp_tx_config *config)
{
    const struct gw_opus_encoder_config opus = {
        .rate_hz = config->rate_hz,
        .bitrate_bps = wzp_codec_bitrate_bps(WZP_CODEC_OPUS_24K),
        .complexity = config->complexity,
        .dred = config->dred,
    };
    const size_t push_samples = config->rate_hz / 1000 * GW_WZP_TX_PUSH_MS;
    struct gw_wzp_tx *tx = calloc(1, sizeof *tx + FRAME_PUSHES_MAX * push_samples * sizeof *tx->pcm);
    int err = -ENOMEM;

    if (!tx)
        goto out;
    tx->config = *config;
    tx->push_samples = push_samples;
    err = gw_opus_encoder_new(&tx->opus, &opus);
    if (err)
        goto out;
    *ret = tx, tx = NULL;
out:
    gw_wzp_tx_free(tx);
    return err;
}

void gw_wzp_tx_free(struct gw_wzp_tx *tx)
{
    if (!tx)
        return;
    gw_opus_encoder_free(tx->opus);
    for (unsigned i = 0; i < 2; i++) {
        gw_codec2_encoder_free(tx->codec2[i].encoder);
        wzp_fec_encoder_free(tx->codec2[i].fec);
    }
    free(tx);
}

/* ---- Codec2 ---- */

static struct codec2_tx *codec2_of(struct gw_wzp_tx *tx, enum wzp_codec codec)
{
    return &tx->codec2[codec == WZP_CODEC_CODEC2_1200];
}

static int need_codec2(struct gw_wzp_tx *tx, enum wzp_codec codec)
{
    const bool is_1200 = codec == WZP_CODEC_CODEC2_1200;
    const unsigned block = is_1200 ? wzp_profile_catastrophic.frames_per_block : BLOCK_3200;
    const unsigned ratio_milli =
        is_1200 ? (unsigned)(wzp_profile_catastrophic.fec_ratio * 1000 + 0.5f) : RATIO_3200_MILLI;
    struct codec2_tx *c = codec2_of(tx, codec);
    int err;

    if (c->encoder && c->fec)
        return 0;
    if (!c->encoder) {
        err = gw_codec2_encoder_new(&c->encoder, codec);
        if (err)
            return err;
    }
    c->ratio = wzp_fec_ratio_encode(ratio_milli);
    if (tx->resampler.factor == 0)
        gw_resampler_init(&tx->resampler, tx->config.rate_hz);
    return wzp_fec_encoder_new(&c->fec, block, ratio_milli);
}

static void send_repair(struct gw_wzp_tx *tx, const struct codec2_tx *c, unsigned count)
{
    uint8_t symbol[WZP_FEC_SYMBOL_BYTES];

    for (unsigned i = 0; i < count; i++) {
        struct gw_wzp_tx_packet packet = {
            .codec = tx->codec,
            .is_repair = true,
            .fec_ratio = c->ratio,
            .payload = wz_bytes(symbol, sizeof symbol),
        };
        wzp_fec_encoder_repair(c->fec, i, symbol, &packet.fec_block, &packet.fec_symbol);
        tx->config.packet(tx->config.arg, &packet);
    }
}

static void send_codec2(struct gw_wzp_tx *tx)
{
    const struct codec2_tx *c = codec2_of(tx, tx->codec);
    int16_t narrow[GW_CODEC2_SAMPLES_MAX];
    uint8_t frame[GW_CODEC2_BYTES_MAX];
    struct gw_wzp_tx_packet packet = {
        .codec = tx->codec,
        .fec_ratio = c->ratio,
        .duration_ms = wzp_codec_frame_ms(tx->codec),
    };

    gw_resample_down(&tx->resampler, tx->pcm, gw_codec2_frame_samples(tx->codec), narrow);
    packet.payload = wz_bytes(frame, gw_codec2_encode(c->encoder, narrow, frame));
    wzp_fec_encoder_place(c->fec, &packet.fec_block, &packet.fec_symbol);
    const int repairs = wzp_fec_encoder_add(c->fec, packet.payload);
    tx->config.packet(tx->config.arg, &packet);
    if (repairs > 0)
        send_repair(tx, c, (unsigned)repairs);
}

/* ---- Opus ---- */

static void send_opus(struct gw_wzp_tx *tx)
{
    uint8_t buf[GW_OPUS_PACKET_MAX];

    gw_opus_encoder_set_bitrate(tx->opus, wzp_codec_bitrate_bps(tx->codec));
    const int len = gw_opus_encode(tx->opus, tx->pcm, tx->count, buf, sizeof buf);
    if (len < 0) { /* cannot happen with the sizes above; a missing frame is concealed */
        tx->config.silence(tx->config.arg, wzp_codec_frame_ms(tx->codec));
        return;
    }
    const struct gw_wzp_tx_packet packet = {
        .codec = tx->codec,
        .duration_ms = wzp_codec_frame_ms(tx->codec),
        .payload = wz_bytes(buf, (size_t)len),
    };
    tx->config.packet(tx->config.arg, &packet);
}

/* ---- silence ---- */

static bool is_silent(const struct gw_wzp_tx *tx)
{
    int64_t sum = 0;

    for (size_t i = 0; i < tx->count; i++)
        sum += tx->pcm[i] * tx->pcm[i];
    return sum < (int64_t)tx->count * SILENT_MEAN_SQUARE;
}

/* True when this frame is not sent. */
static bool suppress(struct gw_wzp_tx *tx)
{
    static const uint8_t level = NOISE_LEVEL;
    struct gw_wzp_tx_packet noise = { .codec = WZP_CODEC_COMFORT_NOISE, .payload = wz_bytes(&level, 1) };

    if (!tx->config.suppress_silence)
        return false;
    if (!is_silent(tx)) {
        tx->silent_frames = tx->suppressed_frames = 0;
        return false;
    }
    if (tx->silent_frames < HANGOVER_FRAMES) {
        tx->silent_frames++;
        return false;
    }
    tx->config.silence(tx->config.arg, wzp_codec_frame_ms(tx->codec));
    if (++tx->suppressed_frames % GW_WZP_TX_NOISE_EVERY == 0) {
        uint8_t symbol;
        if (codec2_of(tx, tx->codec)->fec && gw_codec2_frame_bytes(tx->codec) > 0)
            wzp_fec_encoder_place(codec2_of(tx, tx->codec)->fec, &noise.fec_block, &symbol);
        tx->config.packet(tx->config.arg, &noise);
    }
    return true;
}

/* ---- in ---- */

bool gw_wzp_tx_can_send(enum wzp_codec codec)
{
    return wzp_codec_is_opus(codec) || gw_codec2_frame_bytes(codec) > 0;
}

int16_t *gw_wzp_tx_room(struct gw_wzp_tx *tx)
{
    return tx->pcm + tx->count;
}

/* The frame begins: its codec is settled now. */
static int choose(struct gw_wzp_tx *tx, enum wzp_codec codec)
{
    int err = 0;

    if (gw_codec2_frame_bytes(codec) > 0)
        err = need_codec2(tx, codec);
    tx->codec = err ? WZP_CODEC_OPUS_6K : codec;
    if (tx->codec != tx->sent && codec2_of(tx, tx->sent)->fec && gw_codec2_frame_bytes(tx->sent) > 0)
        wzp_fec_encoder_reset(codec2_of(tx, tx->sent)->fec); /* receivers give up the open block too */
    return err;
}

int gw_wzp_tx_push(struct gw_wzp_tx *tx, enum wzp_codec codec)
{
    const int err = tx->count == 0 ? choose(tx, codec) : 0;

    tx->count += tx->push_samples;
    if (tx->count < tx->push_samples * wzp_codec_frame_ms(tx->codec) / GW_WZP_TX_PUSH_MS)
        return err;
    if (!suppress(tx)) {
        if (wzp_codec_is_opus(tx->codec))
            send_opus(tx);
        else
            send_codec2(tx);
        tx->sent = tx->codec;
    }
    tx->count = 0;
    return err;
}

void gw_wzp_tx_drop(struct gw_wzp_tx *tx)
{
    tx->count = 0;
}

void gw_wzp_tx_set_loss(struct gw_wzp_tx *tx, unsigned loss_pct)
{
    gw_opus_encoder_set_loss(tx->opus, loss_pct);
}

void gw_wzp_tx_set_complexity(struct gw_wzp_tx *tx, unsigned complexity)
{
    gw_opus_encoder_set_complexity(tx->opus, complexity);
}
