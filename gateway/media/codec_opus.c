#include "gateway/media/codec_opus.h"

#include <errno.h>
#include <stdlib.h>

#include <opus.h>

#define OPUS_CLOCK_HZ 48000
/** Reported loss from which in-band FEC costs less than it saves. */
#define FEC_FROM_PCT 2

struct gw_opus_encoder {
    OpusEncoder *opus;
    struct gw_opus_encoder_config config;
};

struct gw_opus_decoder {
    OpusDecoder *opus;
};

static bool is_rate(uint32_t rate_hz)
{
    return rate_hz == 8000 || rate_hz == 16000 || rate_hz == 48000;
}

int gw_opus_encoder_new(struct gw_opus_encoder **ret, const struct gw_opus_encoder_config *config)
{
    struct gw_opus_encoder *e = NULL;
    int opus_err = OPUS_OK, err = -ENOMEM;

    if (!is_rate(config->rate_hz) || config->complexity > 10 || config->bitrate_bps < 6000 ||
        config->bitrate_bps > 64000)
        return -EINVAL;
    e = calloc(1, sizeof *e);
    if (!e)
        goto out;
    e->config = *config;
    e->opus = opus_encoder_create((opus_int32)config->rate_hz, 1, OPUS_APPLICATION_VOIP, &opus_err);
    if (!e->opus)
        goto out;
    (void)opus_encoder_ctl(e->opus, OPUS_SET_BITRATE((opus_int32)config->bitrate_bps));
    (void)opus_encoder_ctl(e->opus, OPUS_SET_COMPLEXITY((opus_int32)config->complexity));
    (void)opus_encoder_ctl(e->opus, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
    (void)opus_encoder_ctl(e->opus, OPUS_SET_DTX(config->dtx ? 1 : 0));
    *ret = e, e = NULL, err = 0;
out:
    gw_opus_encoder_free(e);
    return err;
}

void gw_opus_encoder_free(struct gw_opus_encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->opus)
        opus_encoder_destroy(encoder->opus);
    free(encoder);
}

void gw_opus_encoder_set_bitrate(struct gw_opus_encoder *encoder, uint32_t bitrate_bps)
{
    if (encoder->config.bitrate_bps == bitrate_bps)
        return;
    encoder->config.bitrate_bps = bitrate_bps;
    (void)opus_encoder_ctl(encoder->opus, OPUS_SET_BITRATE((opus_int32)bitrate_bps));
}

void gw_opus_encoder_set_complexity(struct gw_opus_encoder *encoder, unsigned complexity)
{
    encoder->config.complexity = complexity;
    (void)opus_encoder_ctl(encoder->opus, OPUS_SET_COMPLEXITY((opus_int32)complexity));
}

void gw_opus_encoder_set_loss(struct gw_opus_encoder *encoder, unsigned loss_pct)
{
    const opus_int32 pct = loss_pct > 100 ? 100 : (opus_int32)loss_pct;

    (void)opus_encoder_ctl(encoder->opus, OPUS_SET_INBAND_FEC(pct >= FEC_FROM_PCT ? 1 : 0));
    (void)opus_encoder_ctl(encoder->opus, OPUS_SET_PACKET_LOSS_PERC(pct));
}

int gw_opus_encode(struct gw_opus_encoder *encoder, const int16_t *pcm, size_t samples, uint8_t *buf, size_t size)
{
    if (samples > GW_OPUS_SAMPLES_MAX || size > INT32_MAX)
        return -EINVAL;
    const int n = opus_encode(encoder->opus, pcm, (int)samples, buf, (opus_int32)size);
    if (n == OPUS_BUFFER_TOO_SMALL)
        return -ENOSPC;
    return n < 0 ? -EINVAL : n;
}

int gw_opus_decoder_new(struct gw_opus_decoder **ret, uint32_t rate_hz)
{
    struct gw_opus_decoder *d = NULL;
    int opus_err = OPUS_OK, err = -ENOMEM;

    if (!is_rate(rate_hz))
        return -EINVAL;
    d = calloc(1, sizeof *d);
    if (!d)
        goto out;
    d->opus = opus_decoder_create((opus_int32)rate_hz, 1, &opus_err);
    if (!d->opus)
        goto out;
    *ret = d, d = NULL, err = 0;
out:
    gw_opus_decoder_free(d);
    return err;
}

void gw_opus_decoder_free(struct gw_opus_decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->opus)
        opus_decoder_destroy(decoder->opus);
    free(decoder);
}

void gw_opus_decoder_reset(struct gw_opus_decoder *decoder)
{
    (void)opus_decoder_ctl(decoder->opus, OPUS_RESET_STATE);
}

static int decode(struct gw_opus_decoder *d, struct wz_bytes packet, int16_t *pcm, size_t samples, int fec)
{
    if (samples > GW_OPUS_SAMPLES_MAX)
        samples = GW_OPUS_SAMPLES_MAX;
    const int n = opus_decode(d->opus, packet.data, (opus_int32)packet.len, pcm, (int)samples, fec);
    if (n == OPUS_BUFFER_TOO_SMALL)
        return -ENOSPC;
    return n < 0 ? -EBADMSG : n;
}

int gw_opus_decode(struct gw_opus_decoder *decoder, struct wz_bytes packet, int16_t *pcm, size_t max)
{
    /* libopus takes an empty packet for a lost one; ours are never meant so. */
    if (packet.len == 0 || packet.len > INT32_MAX)
        return -EBADMSG;
    return decode(decoder, packet, pcm, max, 0);
}

int gw_opus_decode_fec(struct gw_opus_decoder *decoder, struct wz_bytes packet, int16_t *pcm, size_t samples)
{
    if (packet.len == 0 || packet.len > INT32_MAX)
        return -EBADMSG;
    return decode(decoder, packet, pcm, samples, 1);
}

int gw_opus_conceal(struct gw_opus_decoder *decoder, int16_t *pcm, size_t samples)
{
    return decode(decoder, wz_bytes(NULL, 0), pcm, samples, 0);
}

int gw_opus_packet_ticks(struct wz_bytes packet)
{
    if (packet.len == 0 || packet.len > INT32_MAX)
        return -EBADMSG;
    const int n = opus_packet_get_nb_samples(packet.data, (opus_int32)packet.len, OPUS_CLOCK_HZ);
    return n <= 0 ? -EBADMSG : n;
}
