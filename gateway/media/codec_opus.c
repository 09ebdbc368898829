#include "gateway/media/codec_opus.h"

#include <errno.h>
#include <stdlib.h>

#include <opus.h>

#define OPUS_CLOCK_HZ 48000
/** Reported loss from which redundancy costs less than it saves. */
#define FEC_FROM_PCT 2
/** With a lower hint libopus spends nothing on DRED. */
#define DRED_HINT_PCT 15
/** Loss at which DRED reaches as far back as it may. */
#define DRED_FULL_PCT 40
/** Narrow-band decoders cannot use it. */
#define DRED_FROM_HZ 16000

#ifdef OPUS_SET_DRED_DURATION
#define HAS_DRED 1
#else
#define HAS_DRED 0 /* libopus before 1.5 */
#endif

struct gw_opus_encoder {
    OpusEncoder *opus;
    struct gw_opus_encoder_config config;
    unsigned loss_pct;
    unsigned dred_10ms;
};

struct gw_opus_decoder {
    OpusDecoder *opus;
    uint32_t rate_hz;
#if HAS_DRED
    OpusDRED *dred; /* NULL: this libopus was built without */
    OpusDREDDecoder *dred_decoder;
#endif
};

static bool is_rate(uint32_t rate_hz)
{
    return rate_hz == 8000 || rate_hz == 16000 || rate_hz == 48000;
}

/* ---- encoder ---- */

bool gw_opus_has_dred(void)
{
#if HAS_DRED
    /* Built without, the library has the functions, and even gives a decoder; only this fails. */
    OpusDRED *dred = opus_dred_alloc(NULL);
    const bool has = dred != NULL;

    if (dred)
        opus_dred_free(dred);
    return has;
#else
    return false;
#endif
}

const char *gw_opus_version(void)
{
    return opus_get_version_string();
}

/* Reach in 10 ms by bit rate: without loss, and at DRED_FULL_PCT of it. */
static unsigned dred_reach(uint32_t bitrate_bps, unsigned loss_pct)
{
    const unsigned least = bitrate_bps >= 32000 ? 10 : bitrate_bps >= 16000 ? 20 : 50;
    const unsigned most = bitrate_bps >= 32000 ? 30 : bitrate_bps >= 16000 ? 50 : 104;
    const unsigned pct = loss_pct < DRED_FULL_PCT ? loss_pct : DRED_FULL_PCT;

    return least + (most - least) * pct / DRED_FULL_PCT;
}

static bool wants_dred(const struct gw_opus_encoder *e)
{
    return e->config.rate_hz >= DRED_FROM_HZ &&
           (e->config.dred == GW_OPUS_DRED_ALWAYS ||
            (e->config.dred == GW_OPUS_DRED_ON_LOSS && e->loss_pct >= FEC_FROM_PCT));
}

/* True when the library does it. */
static bool set_dred(struct gw_opus_encoder *e, unsigned reach_10ms)
{
#if HAS_DRED
    if (opus_encoder_ctl(e->opus, OPUS_SET_DRED_DURATION((opus_int32)reach_10ms)) != OPUS_OK)
        return false;
    e->dred_10ms = reach_10ms;
    return reach_10ms > 0;
#else
    (void)e, (void)reach_10ms;
    return false;
#endif
}

/* One redundancy or the other, never both. */
static void protect(struct gw_opus_encoder *e)
{
    const bool has_dred = set_dred(e, wants_dred(e) ? dred_reach(e->config.bitrate_bps, e->loss_pct) : 0);
    const unsigned hint_pct = has_dred && e->loss_pct < DRED_HINT_PCT ? DRED_HINT_PCT : e->loss_pct;

    (void)opus_encoder_ctl(e->opus, OPUS_SET_INBAND_FEC(!has_dred && e->loss_pct >= FEC_FROM_PCT ? 1 : 0));
    (void)opus_encoder_ctl(e->opus, OPUS_SET_PACKET_LOSS_PERC((opus_int32)hint_pct));
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
    protect(e);
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
    protect(encoder);
}

void gw_opus_encoder_set_complexity(struct gw_opus_encoder *encoder, unsigned complexity)
{
    encoder->config.complexity = complexity;
    (void)opus_encoder_ctl(encoder->opus, OPUS_SET_COMPLEXITY((opus_int32)complexity));
}

void gw_opus_encoder_set_loss(struct gw_opus_encoder *encoder, unsigned loss_pct)
{
    encoder->loss_pct = loss_pct > 100 ? 100 : loss_pct;
    protect(encoder);
}

unsigned gw_opus_encoder_dred(const struct gw_opus_encoder *encoder)
{
    return encoder->dred_10ms;
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

/* ---- decoder ---- */

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
    d->rate_hz = rate_hz;
#if HAS_DRED
    if (rate_hz > 8000) /* at 8 kHz decoders cannot use it, and a gateway has two of them in each G.711 call */
        d->dred = opus_dred_alloc(NULL);
    d->dred_decoder = d->dred ? opus_dred_decoder_create(NULL) : NULL;
    if (d->dred && !d->dred_decoder)
        goto out;
#endif
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
#if HAS_DRED
    if (decoder->dred)
        opus_dred_free(decoder->dred);
    if (decoder->dred_decoder)
        opus_dred_decoder_destroy(decoder->dred_decoder);
#endif
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

/* Samples, or 0: packet's DRED does not reach back that far. */
static int rebuild_by_dred(struct gw_opus_decoder *d, struct wz_bytes packet, size_t ahead, int16_t *pcm,
                           size_t samples)
{
#if HAS_DRED
    int end = 0;

    if (!d->dred || ahead > d->rate_hz) /* it never tells more than a second */
        return 0;
    /* Asked for exactly `ahead` it stops a little short: it counts in steps of 40 ms with an offset. */
    const size_t wanted = ahead + d->rate_hz / 10;
    const int reach = opus_dred_parse(d->dred_decoder, d->dred, packet.data, (opus_int32)packet.len, (opus_int32)wanted,
                                      (opus_int32)d->rate_hz, &end, 0);
    if (reach < (int)ahead || (int)(ahead - samples) < end)
        return 0;
    const int n = opus_decoder_dred_decode(d->opus, d->dred, (opus_int32)ahead, pcm, (opus_int32)samples);
    return n < 0 ? 0 : n;
#else
    (void)d, (void)packet, (void)ahead, (void)pcm, (void)samples;
    return 0;
#endif
}

int gw_opus_rebuild(struct gw_opus_decoder *decoder, struct wz_bytes packet, size_t ahead, int16_t *pcm, size_t samples,
                    bool *ret_is_dred)
{
    int n;

    if (packet.len == 0 || packet.len > INT32_MAX || ahead < samples || ahead > INT32_MAX)
        return -ENODATA;
    n = rebuild_by_dred(decoder, packet, ahead, pcm, samples);
    if (n > 0) {
        *ret_is_dred = true;
        return n;
    }
    n = ahead == samples ? decode(decoder, packet, pcm, samples, 1) : -ENODATA;
    if (n < 0)
        return -ENODATA;
    *ret_is_dred = false;
    return n;
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
