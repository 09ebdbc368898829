#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "gateway/media/codec_g711.h"
#include "gateway/media/codec_opus.h"
#include "gateway/media/playout.h"
#include "gateway/media/tone.h"
#include "tests/support/judge.h"

#define FRAME    160
#define FRAME_US 20000

static struct gw_playout *new_g711(void)
{
    const struct gw_playout_config config = { .codec = GW_CODEC_PCMU, .clock_hz = 8000, .rate_hz = 8000 };
    struct gw_playout *p;

    assert_int_equal(gw_playout_new(&p, &config), 0);
    return p;
}

static struct gw_playout *new_wzp(uint32_t rate_hz)
{
    const struct gw_playout_config config = { .codec = GW_CODEC_OPUS, .clock_hz = 1000, .rate_hz = rate_hz };
    struct gw_playout *p;

    assert_int_equal(gw_playout_new(&p, &config), 0);
    return p;
}

static double rms(const int16_t *pcm, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)pcm[i] * pcm[i];
    return sqrt(sum / (double)n);
}

static void before_anything_came_silence_is_played(void **state)
{
    struct gw_playout *p = new_g711();
    int16_t pcm[FRAME];

    (void)state;
    assert_true(gw_playout_is_fresh(p));
    assert_false(gw_playout_pull(p, 0, pcm));
    assert_true(rms(pcm, FRAME) == 0);
    gw_playout_free(p);
    gw_playout_free(NULL);
}

static void packets_of_10_to_60_ms_give_the_same_even_stream(void **state)
{
    (void)state;
    for (unsigned ptime_ms = 10; ptime_ms <= 60; ptime_ms += 10) {
        struct gw_playout *p = new_g711();
        static int16_t out[4 * 8000];
        struct judge_audio audio;
        struct judge_tone_result tone;
        double phase = 0;
        uint32_t ts = 0;
        uint16_t seq = 0;
        size_t pulled = 0;
        for (unsigned ms = 0; ms < 4000; ms += 10) {
            if (ms % ptime_ms == 0) {
                int16_t pcm[480] = { 0 };
                uint8_t code[480];
                gw_sine_render(700, 8000, 8000, &phase, pcm, ptime_ms * 8);
                gw_g711_encode(GW_G711_ULAW, pcm, ptime_ms * 8, code);
                assert_int_equal(gw_playout_put(p, seq++, ts, wz_bytes(code, ptime_ms * 8), ms * 1000u), 0);
                ts += ptime_ms * 8;
            }
            if (ms % 20 == 0) {
                (void)gw_playout_pull(p, ms * 1000u + 500, out + pulled);
                pulled += FRAME;
            }
        }
        /* A seam anywhere would spread the tone's spectrum. */
        assert_int_equal(judge_audio_from_pcm(out, pulled, 8000, &audio), 0);
        assert_int_equal(judge_tone(&audio, 700, &tone), 0);
        assert_true(tone.snr_db > 30);
        judge_audio_done(&audio);
        gw_playout_free(p);
    }
}

static void shrinking_the_delay_leaves_no_click(void **state)
{
    struct gw_playout *p = new_g711();
    struct gw_playout_stats stats;
    int16_t out[FRAME], before = 0;
    double phase = 0;
    int worst = 0;
    uint16_t sent = 0;

    (void)state;
    for (unsigned t = 0; t < 400; t++) {
        while (sent <= t && !(t >= 50 && t < 57)) { /* seven frames late, once */
            int16_t pcm[FRAME] = { 0 };
            uint8_t code[FRAME];
            gw_sine_render(130, 5000, 8000, &phase, pcm, FRAME); /* 2.6 periods: a frame cut out leaves a step */
            gw_g711_encode(GW_G711_ULAW, pcm, FRAME, code);
            (void)gw_playout_put(p, sent, sent * FRAME, wz_bytes(code, FRAME), t * FRAME_US);
            sent++;
        }
        (void)gw_playout_pull(p, t * FRAME_US + 3000, out);
        for (unsigned i = 0; i < FRAME && t > 70; i++) {
            const int step = out[i] > before ? out[i] - before : before - out[i];
            worst = step > worst ? step : worst;
            before = out[i];
        }
        before = out[FRAME - 1];
    }
    gw_playout_stats(p, &stats);
    assert_true(stats.jitter.shrunk >= 3);
    assert_true(worst < 1200); /* the sine's own steepest step is 511, a cut's up to 10000 */
    gw_playout_free(p);
}

static void opus_of_any_wzp_profile_is_played_at_any_rate(void **state)
{
    static const uint32_t rates[] = { 8000, 16000, 48000 };

    (void)state;
    for (unsigned r = 0; r < 3; r++) {
        struct gw_playout *p = new_wzp(rates[r]);
        const struct gw_opus_encoder_config config = { .rate_hz = 48000, .bitrate_bps = 24000, .complexity = 3 };
        struct gw_opus_encoder *enc;
        static int16_t out[48000 * 2];
        struct judge_audio audio;
        struct judge_tone_result tone;
        double phase = 0;
        uint16_t seq = 0;
        size_t pulled = 0;
        assert_int_equal(gw_opus_encoder_new(&enc, &config), 0);
        for (unsigned ms = 0; ms < 2000; ms += 20) {
            const bool is_long = ms >= 1000; /* the codec changes in mid-stream: 40 ms frames from here on */
            if (!is_long || ms % 40 == 0) {
                const struct wzp_media_hdr hdr = { .codec = is_long ? WZP_CODEC_OPUS_6K : WZP_CODEC_OPUS_24K,
                                                   .seq = seq++,
                                                   .timestamp_ms = ms };
                int16_t pcm[1920] = { 0 };
                uint8_t packet[GW_OPUS_PACKET_MAX];
                gw_sine_render(500, 8000, 48000, &phase, pcm, is_long ? 1920 : 960);
                const int len = gw_opus_encode(enc, pcm, is_long ? 1920 : 960, packet, sizeof packet);
                assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes(packet, (size_t)len), ms * 1000u), 0);
            }
            (void)gw_playout_pull(p, ms * 1000u + 500, out + pulled);
            pulled += rates[r] / 50;
        }
        assert_int_equal(judge_audio_from_pcm(out, pulled, rates[r], &audio), 0);
        assert_int_equal(judge_tone(&audio, 500, &tone), 0);
        assert_true(tone.snr_db > 12);
        judge_audio_done(&audio);
        gw_opus_encoder_free(enc);
        gw_playout_free(p);
    }
}

/* A word begins and its first frame is lost: only the next packet's FEC knows that it was there. */
static void a_lost_onset_is_rebuilt_from_in_band_fec(void **state)
{
    const struct gw_opus_encoder_config config = { .rate_hz = 16000, .bitrate_bps = 24000, .complexity = 5 };
    struct gw_playout *p = new_wzp(16000);
    struct gw_opus_encoder *enc;
    static int16_t out[60 * 320];
    double phase[4] = { 0 }, loudest = 0;
    size_t first_loud = 0;

    (void)state;
    assert_int_equal(gw_opus_encoder_new(&enc, &config), 0);
    gw_opus_encoder_set_loss(enc, 20);
    for (uint16_t n = 0; n < 60; n++) {
        int16_t pcm[320] = { 0 };
        uint8_t packet[GW_OPUS_PACKET_MAX];
        for (unsigned h = 0; h < 4 && n >= 30; h++)
            gw_sine_render(160 * (h + 1), 3000, 16000, &phase[h], pcm, 320);
        const int len = gw_opus_encode(enc, pcm, 320, packet, sizeof packet);
        if (n != 30)
            (void)gw_playout_put(p, n, n * 20u, wz_bytes(packet, (size_t)len), n * FRAME_US);
        (void)gw_playout_pull(p, n * UINT64_C(20000) + 1000, out + n * 320);
    }
    for (size_t n = 0; n < 60; n++)
        loudest = fmax(loudest, rms(out + n * 320, 320));
    while (rms(out + first_loud * 320, 320) < loudest / 4)
        first_loud++;
    assert_int_equal(first_loud, 30 + 2); /* two frames of delay, none swallowed */
    gw_opus_encoder_free(enc);
    gw_playout_free(p);
}

static void wzp_packets_are_sorted_by_kind(void **state)
{
    struct gw_playout *p = new_wzp(8000);
    struct wzp_media_hdr hdr = { .codec = WZP_CODEC_CODEC2_3200, .fec_symbol = 1, .is_repair = true };
    struct gw_playout_stats stats;
    const uint8_t opus[] = { 0x08, 1, 2, 3 };

    (void)state;
    assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes("r", 1), 0), 0);
    hdr = (struct wzp_media_hdr){ .codec = WZP_CODEC_CODEC2_3200, .seq = 1 };
    assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes("sevense", 7), 0), -EBADMSG);
    hdr.codec = WZP_CODEC_CODEC2_1200;
    assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes("eighteig", 8), 0), -EBADMSG);
    hdr = (struct wzp_media_hdr){ .codec = WZP_CODEC_COMFORT_NOISE, .seq = 2 };
    assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes("2", 1), 0), 0);
    hdr = (struct wzp_media_hdr){ .codec = WZP_CODEC_OPUS_24K, .seq = 3 };
    assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes(NULL, 0), 0), -EBADMSG);
    assert_true(gw_playout_is_fresh(p));
    hdr.seq = 4;
    assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes(opus, sizeof opus), 0), 0);
    assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes(opus, sizeof opus), 0), -EEXIST);
    assert_false(gw_playout_is_fresh(p));
    gw_playout_stats(p, &stats);
    assert_int_equal(stats.comfort_noise, 1);
    assert_int_equal(stats.bad_payload, 3);
    assert_int_equal(stats.jitter.received, 1);
    hdr = (struct wzp_media_hdr){ .codec = WZP_CODEC_CODEC2_3200, .seq = 5, .timestamp_ms = 20 };
    assert_int_equal(gw_playout_put_wzp(p, &hdr, wz_bytes("eighteig", 8), 0), 0);
    gw_playout_stats(p, &stats);
    assert_int_equal(stats.jitter.received, 2);
    gw_playout_reset(p);
    assert_true(gw_playout_is_fresh(p));
    gw_playout_free(p);
}

static void announced_noise_ends_with_the_next_audio(void **state)
{
    struct gw_playout *p = new_g711();
    uint8_t code[FRAME];
    int16_t pcm[FRAME];
    double noisy = 0;

    (void)state;
    memset(code, 0xff, sizeof code);
    for (unsigned n = 0; n < 100; n++) {
        if (n < 20 || (n >= 40 && n < 60))
            (void)gw_playout_put(p, (uint16_t)(n < 20 ? n : n - 19), n * FRAME, wz_bytes(code, FRAME), n * FRAME_US);
        if (n == 20)
            gw_playout_comfort(p, 20, -40);
        (void)gw_playout_pull(p, n * FRAME_US + 1000, pcm);
        if (n == 35)
            noisy = rms(pcm, FRAME);
    }
    assert_true(noisy > 250 && noisy < 400); /* -40 dBov is an RMS of 328 */
    assert_true(rms(pcm, FRAME) < 10);       /* a pause without announcement is silent */
    gw_playout_free(p);
}

static void payloads_the_codec_does_not_have_are_counted(void **state)
{
    struct gw_playout *p = new_g711();
    static const uint8_t code[481];
    struct gw_playout_stats stats;

    (void)state;
    assert_int_equal(gw_playout_put(p, 1, 0, wz_bytes(code, 0), 0), -EBADMSG);
    assert_int_equal(gw_playout_put(p, 2, 0, wz_bytes(code, 481), 0), -EBADMSG); /* over 60 ms */
    assert_int_equal(gw_playout_put(p, 3, 0, wz_bytes(code, 480), 0), 0);
    gw_playout_stats(p, &stats);
    assert_int_equal(stats.bad_payload, 2);
    gw_playout_free(p);
}

static void rates_a_codec_does_not_have_are_refused(void **state)
{
    const struct gw_playout_config bad[] = {
        { .codec = GW_CODEC_PCMU, .clock_hz = 8000, .rate_hz = 16000 },
        { .codec = GW_CODEC_OPUS, .clock_hz = 48000, .rate_hz = 44100 },
        { .codec = GW_CODEC_OPUS, .clock_hz = 500, .rate_hz = 48000 },
    };
    struct gw_playout *p = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gw_playout_new(&p, &bad[i]), -EINVAL);
    assert_null(p);
}

static void level_is_measured(void **state)
{
    struct gw_playout *p = new_g711();
    struct gw_playout_stats stats;
    int16_t out[FRAME];
    double phase = 0;

    (void)state;
    for (unsigned n = 0; n < 400; n++) {
        int16_t pcm[FRAME] = { 0 };
        uint8_t code[FRAME];
        gw_sine_render(1000, 3277 * sqrt(2), 8000, &phase, pcm, FRAME); /* RMS a tenth of full scale */
        gw_g711_encode(GW_G711_ULAW, pcm, FRAME, code);
        (void)gw_playout_put(p, (uint16_t)n, n * FRAME, wz_bytes(code, FRAME), n * FRAME_US);
        (void)gw_playout_pull(p, n * FRAME_US + 1000, out);
    }
    gw_playout_stats(p, &stats);
    assert_in_range(-stats.level_dbov, 19, 21);
    gw_playout_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_anything_came_silence_is_played),
        cmocka_unit_test(packets_of_10_to_60_ms_give_the_same_even_stream),
        cmocka_unit_test(shrinking_the_delay_leaves_no_click),
        cmocka_unit_test(opus_of_any_wzp_profile_is_played_at_any_rate),
        cmocka_unit_test(a_lost_onset_is_rebuilt_from_in_band_fec),
        cmocka_unit_test(wzp_packets_are_sorted_by_kind),
        cmocka_unit_test(announced_noise_ends_with_the_next_audio),
        cmocka_unit_test(payloads_the_codec_does_not_have_are_counted),
        cmocka_unit_test(rates_a_codec_does_not_have_are_refused),
        cmocka_unit_test(level_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
