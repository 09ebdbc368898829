/* Calibration of the audio judge: known degradations of known speech must land where docs/media.md says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/codec_g711.h"
#include "gateway/media/codec_opus.h"
#include "gateway/media/plc.h"
#include "gateway/media/tone.h"
#include "tests/support/judge.h"
#include "tests/support/speech.h"

#define RATE  8000
#define FRAME 160

struct material {
    int16_t *pcm;
    size_t count;
    struct judge_audio ref;
};

static int make_material(void **state)
{
    struct material *m = calloc(1, sizeof *m);
    const int err = m ? speech_make_pcm(SPEECH_MAIN, RATE, &m->pcm, &m->count) : -ENOMEM;

    if (err == -ENOENT) {
        print_error("espeak-ng is not installed: ./dev setup installs it\n");
        return -1;
    }
    if (err || judge_audio_from_pcm(m->pcm, m->count, RATE, &m->ref) < 0)
        return -1;
    *state = m;
    return 0;
}

static int drop_material(void **state)
{
    struct material *m = *state;

    judge_audio_done(&m->ref);
    free(m->pcm);
    free(m);
    return 0;
}

static struct judge_result compare_pcm(const struct material *m, const char *what, const int16_t *pcm, size_t count)
{
    struct judge_audio got;
    struct judge_result r;

    assert_int_equal(judge_audio_from_pcm(pcm, count, RATE, &got), 0);
    assert_int_equal(judge_compare(&m->ref, &got, &r), 0);
    judge_audio_done(&got);
    print_message("%-24s similarity %.3f snr %5.1f dB delay %7.2f ms wander %5.2f ms drop-out %5.1f ms\n", what,
                  r.similarity, r.band_snr_db, r.delay_ms, r.delay_wander_ms, r.longest_dropout_ms);
    return r;
}

static int16_t *copy(const struct material *m)
{
    int16_t *pcm = malloc(m->count * sizeof *pcm);

    assert_non_null(pcm);
    memcpy(pcm, m->pcm, m->count * sizeof *pcm);
    return pcm;
}

static struct judge_result through_opus(const struct material *m, const char *what, uint32_t bitrate_bps)
{
    const struct gw_opus_encoder_config config = { .rate_hz = RATE, .bitrate_bps = bitrate_bps, .complexity = 5 };
    struct gw_opus_encoder *enc;
    struct gw_opus_decoder *dec;
    int16_t *pcm = copy(m);

    assert_int_equal(gw_opus_encoder_new(&enc, &config), 0);
    assert_int_equal(gw_opus_decoder_new(&dec, RATE), 0);
    for (size_t i = 0; i + FRAME <= m->count; i += FRAME) {
        uint8_t packet[GW_OPUS_PACKET_MAX];
        const int len = gw_opus_encode(enc, pcm + i, FRAME, packet, sizeof packet);
        assert_true(len > 0);
        assert_int_equal(gw_opus_decode(dec, wz_bytes(packet, (size_t)len), pcm + i, FRAME), FRAME);
    }
    const struct judge_result r = compare_pcm(m, what, pcm, m->count);
    gw_opus_encoder_free(enc);
    gw_opus_decoder_free(dec);
    free(pcm);
    return r;
}

/* Every n-th frame is lost and concealed; 0: none. */
static struct judge_result through_g711(const struct material *m, const char *what, unsigned lose_every)
{
    struct gw_plc plc = { 0 };
    int16_t *pcm = copy(m);

    for (size_t i = 0, n = 1; i + FRAME <= m->count; i += FRAME, n++) {
        uint8_t code[FRAME];
        if (lose_every && n % lose_every == 0) {
            gw_plc_conceal(&plc, pcm + i, FRAME);
            continue;
        }
        gw_g711_encode(GW_G711_ALAW, pcm + i, FRAME, code);
        gw_g711_decode(GW_G711_ALAW, code, FRAME, pcm + i);
        gw_plc_good(&plc, pcm + i, FRAME);
    }
    const struct judge_result r = compare_pcm(m, what, pcm, m->count);
    free(pcm);
    return r;
}

static void identical_audio_scores_one(void **state)
{
    const struct judge_result r =
        compare_pcm(*state, "identical", ((struct material *)*state)->pcm, ((struct material *)*state)->count);
    assert_true(r.similarity > 0.999);
    assert_true(r.band_snr_db > 34);
    assert_float_equal(r.delay_ms, 0, 1e-9);
    assert_float_equal(r.delay_wander_ms, 0, 1e-9);
    assert_float_equal(r.longest_dropout_ms, 0, 1e-9);
}

static void codecs_are_ranked_as_ears_rank_them(void **state)
{
    const struct judge_result g711 = through_g711(*state, "G.711", 0);
    const struct judge_result opus24 = through_opus(*state, "Opus 24 kb/s", 24000);
    const struct judge_result opus12 = through_opus(*state, "Opus 12 kb/s", 12000);
    const struct judge_result opus6 = through_opus(*state, "Opus 6 kb/s", 6000);

    assert_true(g711.similarity > 0.98);
    assert_true(opus24.similarity > 0.92);
    assert_true(opus12.similarity > 0.85 && opus12.similarity < opus24.similarity);
    assert_true(opus6.similarity > 0.65 && opus6.similarity < opus12.similarity);
    assert_true(opus24.longest_dropout_ms < 60);
    assert_true(opus6.longest_dropout_ms < 60);
}

static void loss_costs_similarity(void **state)
{
    const struct judge_result none = through_g711(*state, "G.711, no loss", 0);
    const struct judge_result some = through_g711(*state, "G.711, 5 % loss", 20);
    const struct judge_result much = through_g711(*state, "G.711, 20 % loss", 5);

    assert_true(some.similarity < none.similarity);
    assert_true(much.similarity < some.similarity - 0.02);
    assert_true(some.similarity > 0.9);
}

static void another_recording_is_recognised(void **state)
{
    int16_t *other;
    size_t count;

    assert_int_equal(speech_make_pcm(SPEECH_OTHER, RATE, &other, &count), 0);
    const struct judge_result r = compare_pcm(*state, "another recording", other, count);
    assert_true(r.similarity < 0.4);
    free(other);
}

static void delay_is_measured_exactly(void **state)
{
    static const size_t delays[] = { 1, 40, 371, 8000, 20000 };
    const struct material *m = *state;

    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        int16_t *pcm = calloc(m->count + delays[i], sizeof *pcm);
        assert_non_null(pcm);
        memcpy(pcm + delays[i], m->pcm, m->count * sizeof *pcm);
        const struct judge_result r = compare_pcm(m, "delayed", pcm, m->count + delays[i]);
        assert_float_equal(r.delay_ms, (double)delays[i] / 8, 0.01);
        assert_true(r.similarity > 0.999);
        free(pcm);
    }
}

/* The loudest place of the speech: there a drop-out is one beyond doubt. */
static size_t loudest_at(const struct material *m, size_t window)
{
    double best = -1;
    size_t at = 0;

    for (size_t i = 0; i + window < m->count; i += 80) {
        double least = 1e18;
        for (size_t k = i; k + 160 <= i + window; k += 80) {
            double sum = 0;
            for (size_t n = k; n < k + 160; n++)
                sum += (double)m->pcm[n] * m->pcm[n];
            least = sum < least ? sum : least;
        }
        if (least > best) {
            best = least;
            at = i;
        }
    }
    return at;
}

static void inserted_dropouts_are_found_with_their_length(void **state)
{
    static const unsigned lengths_ms[] = { 40, 60, 100 };
    const struct material *m = *state;

    for (size_t i = 0; i < sizeof lengths_ms / sizeof lengths_ms[0]; i++) {
        const size_t samples = lengths_ms[i] * 8, at = loudest_at(m, samples);
        int16_t *pcm = copy(m);
        memset(pcm + at, 0, samples * sizeof *pcm);
        const struct judge_result r = compare_pcm(m, "drop-out", pcm, m->count);
        assert_float_equal(r.longest_dropout_ms, lengths_ms[i], 12);
        assert_float_equal(r.dropout_at_s, (double)at / RATE, 0.02);
        free(pcm);
    }
}

static void inserted_frame_shows_as_wander_not_as_ruin(void **state)
{
    const struct material *m = *state;
    const size_t at = m->count / 2, extra = 2 * FRAME;
    int16_t *pcm = calloc(m->count + extra, sizeof *pcm);

    assert_non_null(pcm);
    memcpy(pcm, m->pcm, at * sizeof *pcm);
    memcpy(pcm + at + extra, m->pcm + at, (m->count - at) * sizeof *pcm);
    const struct judge_result r = compare_pcm(m, "40 ms inserted", pcm, m->count + extra);
    assert_float_equal(r.delay_wander_ms, 40, 1);
    assert_true(r.similarity > 0.9);
    free(pcm);
}

static void silence_is_refused(void **state)
{
    const struct material *m = *state;
    int16_t zeros[RATE] = { 0 };
    struct judge_audio got;
    struct judge_result r;

    assert_int_equal(judge_audio_from_pcm(zeros, RATE, RATE, &got), 0);
    assert_int_equal(judge_compare(&m->ref, &got, &r), -EINVAL);
    judge_audio_done(&got);
}

static void other_rates_are_compared_too(void **state)
{
    struct judge_audio wide = { 0 }, raw = { 0 };
    struct judge_result r;

    (void)state;
    assert_int_equal(speech_make(SPEECH_MAIN, &raw), 0);
    assert_int_equal(judge_resample(&raw, 48000, &wide), 0);
    assert_int_equal(judge_compare(&raw, &wide, &r), 0);
    assert_true(r.similarity > 0.99);
    assert_float_equal(r.delay_ms, 0, 0.2);
    judge_audio_done(&wide);
    judge_audio_done(&raw);
}

static void tone_is_told_from_noise(void **state)
{
    int16_t pcm[2 * RATE] = { 0 };
    struct judge_audio audio;
    struct judge_tone_result r;
    double phase = 0;
    uint32_t noise = 1;

    (void)state;
    gw_sine_render(1004, 8000, RATE, &phase, pcm, 2 * RATE);
    assert_int_equal(judge_audio_from_pcm(pcm, 2 * RATE, RATE, &audio), 0);
    assert_int_equal(judge_tone(&audio, 1004, &r), 0);
    assert_float_equal(r.peak_hz, 1004, 2);
    assert_true(r.snr_db > 50);
    judge_audio_done(&audio);
    for (size_t i = 0; i < 2 * RATE; i++)
        pcm[i] = (int16_t)((noise = noise * 1664525 + 1013904223) >> 18);
    assert_int_equal(judge_audio_from_pcm(pcm, 2 * RATE, RATE, &audio), 0);
    assert_int_equal(judge_tone(&audio, 1004, &r), 0);
    assert_true(r.snr_db < 0);
    judge_audio_done(&audio);
}

static void digits_are_read_and_speech_holds_none(void **state)
{
    const struct material *m = *state;
    int16_t pcm[4 * RATE];
    struct gw_tone tone;
    struct judge_audio audio;
    char digits[JUDGE_DIGITS_MAX + 1];

    gw_tone_init(&tone, RATE);
    for (const char *d = "1590*#AD33"; *d; d++)
        assert_int_equal(gw_tone_push(&tone, *d, 100), 0);
    gw_tone_render(&tone, pcm, 4 * RATE);
    assert_int_equal(judge_audio_from_pcm(pcm, 4 * RATE, RATE, &audio), 0);
    assert_int_equal(judge_digits(&audio, digits), 0);
    assert_string_equal(digits, "1590*#AD33");
    judge_audio_done(&audio);
    assert_int_equal(judge_digits(&m->ref, digits), 0);
    assert_string_equal(digits, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identical_audio_scores_one),
        cmocka_unit_test(codecs_are_ranked_as_ears_rank_them),
        cmocka_unit_test(loss_costs_similarity),
        cmocka_unit_test(another_recording_is_recognised),
        cmocka_unit_test(delay_is_measured_exactly),
        cmocka_unit_test(inserted_dropouts_are_found_with_their_length),
        cmocka_unit_test(inserted_frame_shows_as_wander_not_as_ruin),
        cmocka_unit_test(silence_is_refused),
        cmocka_unit_test(other_rates_are_compared_too),
        cmocka_unit_test(tone_is_told_from_noise),
        cmocka_unit_test(digits_are_read_and_speech_holds_none),
    };
    return cmocka_run_group_tests(tests, make_material, drop_material);
}
