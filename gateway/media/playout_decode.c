/* Sound out of packets: decoders, concealment, comfort noise. */
#include <string.h>

#include "gateway/media/codec_g711.h"
#include "gateway/media/playout_internal.h"
#include "wzp/base/seq.h"

/* Concealment comes in whole steps of 2.5 ms from Opus, and must fit. */
static size_t conceal_samples(const struct gw_playout *p, const int16_t *pcm, uint32_t ticks)
{
    const size_t step = p->config.rate_hz / 400, max = playout_room_at(p, pcm) / step * step;
    const size_t n = (playout_samples_of_ticks(p, ticks) + step - 1) / step * step;

    return n == 0 ? step : n > max ? max : n;
}

static size_t make_noise(struct gw_playout *p, int16_t *pcm, uint32_t ticks)
{
    const size_t samples = conceal_samples(p, pcm, ticks);

    for (size_t i = 0; i < samples; i++) {
        p->noise_state = p->noise_state * 1664525u + 1013904223u;
        pcm[i] = (int16_t)(p->noise_amplitude * ((float)(int32_t)p->noise_state / 2147483648.0f));
    }
    return samples;
}

/* ---- Codec2 ---- */

static struct gw_codec2_decoder *codec2_of(const struct gw_playout *p, enum wzp_codec codec)
{
    if (!playout_is_codec2(codec) || !p->codec2)
        return NULL;
    return p->codec2->decoder[playout_codec2_index(codec)];
}

static size_t conceal_codec2(struct gw_playout *p, struct gw_codec2_decoder *decoder, int16_t *pcm, size_t samples)
{
    const unsigned factor = p->codec2->resampler.factor;
    int16_t narrow[GW_CODEC2_SAMPLES_MAX];
    size_t done = 0;

    while (done < samples) {
        size_t n = gw_codec2_conceal(decoder, narrow);
        if (n * factor > samples - done)
            n = (samples - done) / factor; /* steps of 2.5 ms are whole at 8 kHz too */
        gw_resample_up(&p->codec2->resampler, narrow, n, pcm + done);
        done += n * factor;
    }
    return samples;
}

static size_t decode_codec2(struct gw_playout *p, struct gw_codec2_decoder *decoder, struct wz_bytes payload,
                            int16_t *pcm)
{
    int16_t narrow[GW_CODEC2_SAMPLES_MAX];
    const int n = gw_codec2_decode(decoder, payload, narrow);

    if (n <= 0 || (size_t)n * p->codec2->resampler.factor > playout_room_at(p, pcm))
        return 0;
    gw_resample_up(&p->codec2->resampler, narrow, (size_t)n, pcm);
    return (size_t)n * p->codec2->resampler.factor;
}

/* ---- all ---- */

/* A frame that was lost while the packet behind it is here already may be told by that packet. */
static int conceal_opus(struct gw_playout *p, int16_t *pcm, size_t samples, const struct gw_jitter_out *out)
{
    bool is_dred = false;
    int n = -1;

    if (out->kind == GW_JITTER_LOST && out->fec.len > 0 && wzp_codec_is_opus((enum wzp_codec)out->tag))
        n = gw_opus_rebuild(p->opus, out->fec, playout_samples_of_ticks(p, out->fec_ahead_ticks), pcm, samples,
                            &is_dred);
    if (n < 0)
        n = gw_opus_conceal(p->opus, pcm, samples);
    p->dred += is_dred;
    return n;
}

static size_t conceal(struct gw_playout *p, int16_t *pcm, const struct gw_jitter_out *out)
{
    const size_t samples = conceal_samples(p, pcm, out->duration_ticks);
    struct gw_codec2_decoder *codec2 = codec2_of(p, p->last_codec);

    if (codec2) {
        p->unrepaired += out->kind == GW_JITTER_LOST;
        return conceal_codec2(p, codec2, pcm, samples);
    }
    if (!p->opus) {
        gw_plc_conceal(&p->plc, pcm, samples);
        return samples;
    }
    const int n = conceal_opus(p, pcm, samples, out);
    if (n >= 0)
        return (size_t)n;
    memset(pcm, 0, samples * sizeof *pcm);
    return samples;
}

static size_t decode_g711(struct gw_playout *p, struct wz_bytes payload, int16_t *pcm)
{
    gw_g711_decode(p->config.codec == GW_CODEC_PCMA ? GW_G711_ALAW : GW_G711_ULAW, payload.data, payload.len, pcm);
    gw_plc_good(&p->plc, pcm, payload.len);
    return payload.len;
}

static size_t decode(struct gw_playout *p, const struct gw_jitter_out *out, int16_t *pcm)
{
    size_t samples = 0;

    if (!p->opus)
        return decode_g711(p, out->payload, pcm);
    p->last_codec = (enum wzp_codec)out->tag;
    struct gw_codec2_decoder *codec2 = codec2_of(p, p->last_codec);
    if (codec2) {
        samples = decode_codec2(p, codec2, out->payload, pcm);
    } else {
        const int n = gw_opus_decode(p->opus, out->payload, pcm, playout_room_at(p, pcm));
        samples = n > 0 ? (size_t)n : 0;
    }
    if (samples > 0)
        return samples;
    p->bad_payload++;
    return conceal(p, pcm, out);
}

size_t playout_play(struct gw_playout *p, const struct gw_jitter_out *out, int16_t *pcm)
{
    switch (out->kind) {
    case GW_JITTER_FRAME:
        if (seq16_before(p->noise_seq, out->seq))
            p->has_noise = false;
        return decode(p, out, pcm);
    case GW_JITTER_EMPTY:
        if (!p->has_noise) {
            const size_t samples = conceal_samples(p, pcm, out->duration_ticks);
            memset(pcm, 0, samples * sizeof *pcm);
            return samples;
        }
        return make_noise(p, pcm, out->duration_ticks);
    case GW_JITTER_SILENCE:
    case GW_JITTER_UNDERRUN:
    case GW_JITTER_GROW:
        if (p->has_noise)
            return make_noise(p, pcm, out->duration_ticks);
        break;
    case GW_JITTER_LOST:
        break;
    }
    return conceal(p, pcm, out);
}
