#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "gateway/media/codec_codec2.h"
#include "gateway/media/resample.h"
#include "gateway/media/tone.h"

static const enum wzp_codec modes[] = { WZP_CODEC_CODEC2_3200, WZP_CODEC_CODEC2_1200 };
#define COUNT(a) (sizeof(a) / sizeof *(a))

static double rms(const int16_t *pcm, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)pcm[i] * pcm[i];
    return sqrt(sum / (double)n);
}

/* A vocoder knows voices, not sines. */
#define VOICE_HARMONICS 20

static void make_voice(double phase[VOICE_HARMONICS], int16_t *pcm, size_t samples)
{
    memset(pcm, 0, samples * sizeof *pcm);
    for (int h = 0; h < VOICE_HARMONICS; h++)
        gw_sine_render(150 * (h + 1), 5000.0 / (h + 1), 8000, &phase[h], pcm, samples);
}

static void frames_have_the_length_of_the_table_in_both_modes(void **state)
{
    (void)state;
    assert_int_equal(gw_codec2_frame_bytes(WZP_CODEC_CODEC2_3200), 8);
    assert_int_equal(gw_codec2_frame_samples(WZP_CODEC_CODEC2_3200), 160);
    assert_int_equal(gw_codec2_frame_bytes(WZP_CODEC_CODEC2_1200), 6);
    assert_int_equal(gw_codec2_frame_samples(WZP_CODEC_CODEC2_1200), 320);
    assert_int_equal(gw_codec2_frame_bytes(WZP_CODEC_OPUS_24K), 0);
    assert_int_equal(gw_codec2_frame_samples(WZP_CODEC_COMFORT_NOISE), 0);
}

/* A library whose mode has another frame length would write past these. */
static void encoder_writes_one_frame_and_no_more(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT(modes); m++) {
        struct gw_codec2_encoder *encoder;
        int16_t pcm[GW_CODEC2_SAMPLES_MAX] = { 0 };
        uint8_t frame[GW_CODEC2_BYTES_MAX + 8];
        double phase = 0;
        assert_int_equal(gw_codec2_encoder_new(&encoder, modes[m]), 0);
        for (unsigned n = 0; n < 50; n++) {
            memset(frame, 0xa5, sizeof frame);
            memset(pcm, 0, sizeof pcm);
            gw_sine_render(200, 8000, 8000, &phase, pcm, gw_codec2_frame_samples(modes[m]));
            const size_t len = gw_codec2_encode(encoder, pcm, frame);
            assert_int_equal(len, gw_codec2_frame_bytes(modes[m]));
            for (size_t i = len; i < sizeof frame; i++)
                assert_int_equal(frame[i], 0xa5);
        }
        gw_codec2_encoder_free(encoder);
    }
}

static void anything_but_one_whole_frame_is_refused(void **state)
{
    static const uint8_t bytes[16];

    (void)state;
    for (size_t m = 0; m < COUNT(modes); m++) {
        struct gw_codec2_decoder *decoder;
        int16_t pcm[GW_CODEC2_SAMPLES_MAX];
        assert_int_equal(gw_codec2_decoder_new(&decoder, modes[m]), 0);
        for (size_t len = 0; len <= sizeof bytes; len++) {
            const bool is_frame = len == gw_codec2_frame_bytes(modes[m]);
            assert_int_equal(gw_codec2_decode(decoder, wz_bytes(bytes, len), pcm),
                             is_frame ? (int)gw_codec2_frame_samples(modes[m]) : -EBADMSG);
        }
        gw_codec2_decoder_free(decoder);
    }
}

static void codecs_that_are_not_codec2_are_refused(void **state)
{
    struct gw_codec2_encoder *encoder = NULL;
    struct gw_codec2_decoder *decoder = NULL;

    (void)state;
    assert_int_equal(gw_codec2_encoder_new(&encoder, WZP_CODEC_OPUS_6K), -EINVAL);
    assert_int_equal(gw_codec2_decoder_new(&decoder, WZP_CODEC_COMFORT_NOISE), -EINVAL);
    assert_null(encoder);
    assert_null(decoder);
    gw_codec2_encoder_free(NULL);
    gw_codec2_decoder_free(NULL);
}

static void missing_frames_are_repeated_quieter_and_then_silent(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT(modes); m++) {
        const size_t samples = gw_codec2_frame_samples(modes[m]);
        struct gw_codec2_encoder *encoder;
        struct gw_codec2_decoder *decoder;
        int16_t pcm[GW_CODEC2_SAMPLES_MAX] = { 0 };
        uint8_t frame[GW_CODEC2_BYTES_MAX];
        double phase[VOICE_HARMONICS] = { 0 }, level;
        assert_int_equal(gw_codec2_encoder_new(&encoder, modes[m]), 0);
        assert_int_equal(gw_codec2_decoder_new(&decoder, modes[m]), 0);
        assert_int_equal(gw_codec2_conceal(decoder, pcm), samples); /* nothing known yet */
        assert_true(rms(pcm, samples) == 0);
        for (unsigned n = 0; n < 40; n++) {
            make_voice(phase, pcm, samples);
            const size_t len = gw_codec2_encode(encoder, pcm, frame);
            (void)gw_codec2_decode(decoder, wz_bytes(frame, len), pcm);
        }
        level = rms(pcm, samples);
        assert_true(level > 500);
        for (unsigned n = 0; n < 3; n++) {
            assert_int_equal(gw_codec2_conceal(decoder, pcm), samples);
            assert_true(rms(pcm, samples) < level);
            assert_true(rms(pcm, samples) > 0);
            level = rms(pcm, samples);
        }
        (void)gw_codec2_conceal(decoder, pcm);
        assert_true(rms(pcm, samples) == 0);
        gw_codec2_encoder_free(encoder);
        gw_codec2_decoder_free(decoder);
    }
}

/* ---- the resampler around it ---- */

static void tones_pass_up_and_down_at_their_level(void **state)
{
    static const uint32_t rates[] = { 8000, 16000, 48000 };

    (void)state;
    for (size_t r = 0; r < COUNT(rates); r++) {
        struct gw_resampler up, down;
        int16_t low[160] = { 0 }, high[960], back[160];
        double phase = 0;
        gw_resampler_init(&up, rates[r]);
        gw_resampler_init(&down, rates[r]);
        for (unsigned n = 0; n < 20; n++) {
            memset(low, 0, sizeof low);
            gw_sine_render(1000, 10000, 8000, &phase, low, 160);
            gw_resample_up(&up, low, 160, high);
            gw_resample_down(&down, high, 160, back);
        }
        assert_true(fabs(rms(high, 160 * rates[r] / 8000) - 7071) < 150);
        assert_true(fabs(rms(back, 160) - 7071) < 150);
    }
}

static void what_8_khz_cannot_carry_is_kept_out(void **state)
{
    struct gw_resampler down;
    int16_t high[960], low[160];
    double phase = 0;

    (void)state;
    gw_resampler_init(&down, 48000);
    for (unsigned n = 0; n < 20; n++) {
        memset(high, 0, sizeof high);
        gw_sine_render(6000, 10000, 48000, &phase, high, 960);
        gw_resample_down(&down, high, 160, low);
    }
    assert_true(rms(low, 160) < 10); /* 57 dB below what went in */
}

static void full_scale_is_clipped_not_wrapped(void **state)
{
    struct gw_resampler up;
    int16_t low[160], high[960];

    (void)state;
    gw_resampler_init(&up, 48000);
    for (unsigned i = 0; i < 160; i++)
        low[i] = i / 20 % 2 ? INT16_MAX : INT16_MIN; /* edges that overshoot */
    gw_resample_up(&up, low, 160, high);
    for (unsigned i = 9; i < 159;
         i++) { /* the filter is 1.5 ms behind; in the middle of each half wave the sign is clear */
        if (i % 20 > 5 && i % 20 < 15 && i + 12 < 160)
            assert_true((high[(i + 12) * 6] > 0) == (low[i] > 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_have_the_length_of_the_table_in_both_modes),
        cmocka_unit_test(encoder_writes_one_frame_and_no_more),
        cmocka_unit_test(anything_but_one_whole_frame_is_refused),
        cmocka_unit_test(codecs_that_are_not_codec2_are_refused),
        cmocka_unit_test(missing_frames_are_repeated_quieter_and_then_silent),
        cmocka_unit_test(tones_pass_up_and_down_at_their_level),
        cmocka_unit_test(what_8_khz_cannot_carry_is_kept_out),
        cmocka_unit_test(full_scale_is_clipped_not_wrapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
