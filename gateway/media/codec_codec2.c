#include "gateway/media/codec_codec2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <codec2/codec2.h>

struct gw_codec2_encoder {
    struct CODEC2 *codec2;
    enum wzp_codec codec;
};

struct gw_codec2_decoder {
    struct CODEC2 *codec2;
    enum wzp_codec codec;
    uint8_t last[GW_CODEC2_BYTES_MAX]; /**< the newest good frame */
    unsigned concealed;                /**< frames invented since */
    bool has_last;
};

/* Each decodes to the frame length the table of codecs says; the test of this file holds the library to it. */
static int mode_of(enum wzp_codec codec)
{
    return codec == WZP_CODEC_CODEC2_3200 ? CODEC2_MODE_3200 : CODEC2_MODE_1200;
}

static bool is_codec2(enum wzp_codec codec)
{
    return codec == WZP_CODEC_CODEC2_3200 || codec == WZP_CODEC_CODEC2_1200;
}

size_t gw_codec2_frame_bytes(enum wzp_codec codec)
{
    return !is_codec2(codec) ? 0 : codec == WZP_CODEC_CODEC2_3200 ? 8 : 6;
}

size_t gw_codec2_frame_samples(enum wzp_codec codec)
{
    return is_codec2(codec) ? wzp_codec_frame_ms(codec) * (GW_CODEC2_RATE_HZ / 1000) : 0;
}

/* ---- encoder ---- */

int gw_codec2_encoder_new(struct gw_codec2_encoder **ret, enum wzp_codec codec)
{
    struct gw_codec2_encoder *e;
    int err = -ENOMEM;

    if (!is_codec2(codec))
        return -EINVAL;
    e = calloc(1, sizeof *e);
    if (!e)
        goto out;
    e->codec = codec;
    e->codec2 = codec2_create(mode_of(codec));
    if (!e->codec2)
        goto out;
    *ret = e, e = NULL, err = 0;
out:
    gw_codec2_encoder_free(e);
    return err;
}

void gw_codec2_encoder_free(struct gw_codec2_encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->codec2)
        codec2_destroy(encoder->codec2);
    free(encoder);
}

size_t gw_codec2_encode(struct gw_codec2_encoder *encoder, const int16_t *pcm, uint8_t ret[static GW_CODEC2_BYTES_MAX])
{
    int16_t in[GW_CODEC2_SAMPLES_MAX]; /* the library's argument is not const */

    memcpy(in, pcm, gw_codec2_frame_samples(encoder->codec) * sizeof *in);
    codec2_encode(encoder->codec2, ret, in);
    return gw_codec2_frame_bytes(encoder->codec);
}

/* ---- decoder ---- */

int gw_codec2_decoder_new(struct gw_codec2_decoder **ret, enum wzp_codec codec)
{
    struct gw_codec2_decoder *d;
    int err = -ENOMEM;

    if (!is_codec2(codec))
        return -EINVAL;
    d = calloc(1, sizeof *d);
    if (!d)
        goto out;
    d->codec = codec;
    d->codec2 = codec2_create(mode_of(codec));
    if (!d->codec2)
        goto out;
    *ret = d, d = NULL, err = 0;
out:
    gw_codec2_decoder_free(d);
    return err;
}

void gw_codec2_decoder_free(struct gw_codec2_decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->codec2)
        codec2_destroy(decoder->codec2);
    free(decoder);
}

int gw_codec2_decode(struct gw_codec2_decoder *decoder, struct wz_bytes frame,
                     int16_t ret[static GW_CODEC2_SAMPLES_MAX])
{
    if (frame.len != gw_codec2_frame_bytes(decoder->codec))
        return -EBADMSG;
    memcpy(decoder->last, frame.data, frame.len);
    decoder->has_last = true;
    decoder->concealed = 0;
    codec2_decode(decoder->codec2, ret, decoder->last);
    return (int)gw_codec2_frame_samples(decoder->codec);
}

size_t gw_codec2_conceal(struct gw_codec2_decoder *decoder, int16_t ret[static GW_CODEC2_SAMPLES_MAX])
{
    static const int gain_percent[] = { 80, 50, 20 };
    static const unsigned audible = sizeof gain_percent / sizeof gain_percent[0];
    const size_t samples = gw_codec2_frame_samples(decoder->codec);

    if (!decoder->has_last || decoder->concealed >= audible) {
        memset(ret, 0, samples * sizeof *ret);
        return samples;
    }
    codec2_decode(decoder->codec2, ret, decoder->last);
    for (size_t i = 0; i < samples; i++)
        ret[i] = (int16_t)(ret[i] * gain_percent[decoder->concealed] / 100);
    decoder->concealed++;
    return samples;
}
