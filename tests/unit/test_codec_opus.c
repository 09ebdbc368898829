#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "gateway/media/codec_opus.h"
#include "gateway/media/tone.h"
#include "tests/support/judge.h"

#define RATE  8000
#define FRAME 160

struct pair {
    struct gw_opus_encoder *enc;
    struct gw_opus_decoder *dec;
};

static struct pair make(uint32_t rate_hz, uint32_t bitrate_bps)
{
    const struct gw_opus_encoder_config config = { .rate_hz = rate_hz, .bitrate_bps = bitrate_bps, .complexity = 5 };
    struct pair p;

    assert_int_equal(gw_opus_encoder_new(&p.enc, &config), 0);
    assert_int_equal(gw_opus_decoder_new(&p.dec, rate_hz), 0);
    return p;
}

static void done(struct pair *p)
{
    gw_opus_encoder_free(p->enc);
    gw_opus_decoder_free(p->dec);
}

static void every_rate_and_frame_length_comes_back_whole(void **state)
{
    static const uint32_t rates[] = { 8000, 16000, 48000 };
    static int16_t pcm[1920];

    (void)state;
    for (size_t r = 0; r < 3; r++) {
        struct pair p = make(rates[r], 24000);
        for (unsigned ms = 20; ms <= 40; ms += 20) {
            const size_t samples = rates[r] / 1000 * ms;
            uint8_t packet[GW_OPUS_PACKET_MAX];
            double phase = 0;
            memset(pcm, 0, sizeof pcm);
            gw_sine_render(400, 8000, rates[r], &phase, pcm, samples);
            const int len = gw_opus_encode(p.enc, pcm, samples, packet, sizeof packet);
            assert_true(len > 2);
            assert_int_equal(gw_opus_packet_ticks(wz_bytes(packet, (size_t)len)), 48 * ms);
            assert_int_equal(gw_opus_decode(p.dec, wz_bytes(packet, (size_t)len), pcm, samples), samples);
        }
        done(&p);
    }
}

static void narrow_band_packets_play_on_a_48_khz_decoder(void **state)
{
    struct pair narrow = make(RATE, 24000);
    struct gw_opus_decoder *wide;
    static int16_t out[48000];
    struct judge_audio audio;
    struct judge_tone_result tone;
    double phase = 0;

    (void)state;
    assert_int_equal(gw_opus_decoder_new(&wide, 48000), 0);
    for (size_t f = 0; f < 50; f++) {
        int16_t pcm[FRAME] = { 0 };
        uint8_t packet[GW_OPUS_PACKET_MAX];
        gw_sine_render(1000, 8000, RATE, &phase, pcm, FRAME);
        const int len = gw_opus_encode(narrow.enc, pcm, FRAME, packet, sizeof packet);
        assert_int_equal(gw_opus_decode(wide, wz_bytes(packet, (size_t)len), out + f * 960, 960), 960);
    }
    assert_int_equal(judge_audio_from_pcm(out, 48000, 48000, &audio), 0);
    assert_int_equal(judge_tone(&audio, 1000, &tone), 0);
    assert_true(tone.snr_db > 20);
    judge_audio_done(&audio);
    gw_opus_decoder_free(wide);
    done(&narrow);
}

static void bad_packets_are_refused(void **state)
{
    struct pair p = make(RATE, 24000);
    const uint8_t code3_without_count[] = { 0x03 };
    int16_t pcm[FRAME];

    (void)state;
    assert_int_equal(gw_opus_packet_ticks(wz_bytes(NULL, 0)), -EBADMSG);
    assert_int_equal(gw_opus_packet_ticks(wz_bytes(code3_without_count, 1)), -EBADMSG);
    assert_int_equal(gw_opus_decode(p.dec, wz_bytes(NULL, 0), pcm, FRAME), -EBADMSG);
    assert_int_equal(gw_opus_decode(p.dec, wz_bytes(code3_without_count, 1), pcm, FRAME), -EBADMSG);
    done(&p);
}

static void a_frame_longer_than_the_room_is_refused(void **state)
{
    struct pair p = make(RATE, 24000);
    int16_t pcm[2 * FRAME] = { 0 };
    uint8_t packet[GW_OPUS_PACKET_MAX];

    (void)state;
    const int len = gw_opus_encode(p.enc, pcm, 2 * FRAME, packet, sizeof packet);
    assert_int_equal(gw_opus_decode(p.dec, wz_bytes(packet, (size_t)len), pcm, FRAME), -ENOSPC);
    assert_int_equal(gw_opus_encode(p.enc, pcm, 150, packet, sizeof packet), -EINVAL);
    done(&p);
}

static void configurations_out_of_range_are_refused(void **state)
{
    static const struct gw_opus_encoder_config bad[] = {
        { .rate_hz = 44100, .bitrate_bps = 24000 },
        { .rate_hz = 8000, .bitrate_bps = 5999 },
        { .rate_hz = 8000, .bitrate_bps = 64001 },
        { .rate_hz = 8000, .bitrate_bps = 24000, .complexity = 11 },
    };
    struct gw_opus_encoder *enc = NULL;
    struct gw_opus_decoder *dec = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gw_opus_encoder_new(&enc, &bad[i]), -EINVAL);
    assert_int_equal(gw_opus_decoder_new(&dec, 44100), -EINVAL);
    assert_null(enc);
    assert_null(dec);
}

/* Rebuilding from the next packet's FEC must come nearer to what was sent than guessing does. */
static void in_band_fec_beats_concealment(void **state)
{
    double error_fec = 0, error_plc = 0;

    (void)state;
    for (int use_fec = 0; use_fec < 2; use_fec++) {
        struct pair p = make(16000, 24000);
        double phase = 0, hz = 150;
        uint8_t packet[2][GW_OPUS_PACKET_MAX];
        int16_t sent[320], lost[320];
        int len[2];

        gw_opus_encoder_set_loss(p.enc, 20);
        for (int f = 0; f < 60; f++) {
            int16_t pcm[320] = { 0 };
            hz += 9; /* a glide: what is repeated is wrong */
            gw_sine_render(hz, 9000, 16000, &phase, pcm, 320);
            len[f % 2] = gw_opus_encode(p.enc, pcm, 320, packet[f % 2], sizeof packet[0]);
            if (f < 40 || f % 6 > 1) {
                (void)gw_opus_decode(p.dec, wz_bytes(packet[f % 2], (size_t)len[f % 2]), lost, 320);
            } else if (f % 6 == 0) {
                memcpy(sent, pcm, sizeof sent); /* lost */
            } else {
                const struct wz_bytes next = wz_bytes(packet[f % 2], (size_t)len[f % 2]);
                bool is_dred = true;
                const int n = use_fec ? gw_opus_rebuild(p.dec, next, 320, lost, 320, &is_dred)
                                      : gw_opus_conceal(p.dec, lost, 320);
                assert_true(!use_fec || !is_dred);
                double energy = 0, rebuilt = 0;
                assert_int_equal(n, 320);
                for (int i = 0; i < 320; i++) {
                    energy += (double)sent[i] * sent[i];
                    rebuilt += (double)lost[i] * lost[i];
                }
                *(use_fec ? &error_fec : &error_plc) += fabs(10 * log10((rebuilt + 1) / (energy + 1)));
                (void)gw_opus_decode(p.dec, next, lost, 320);
            }
        }
        done(&p);
    }
    assert_true(error_fec < error_plc);
}

static void profiles_change_the_packet_size(void **state)
{
    struct pair p = make(RATE, 64000);
    size_t big = 0, small = 0;
    double phase = 0;
    uint32_t noise = 1;

    (void)state;
    for (int f = 0; f < 100; f++) {
        int16_t pcm[FRAME] = { 0 };
        uint8_t packet[GW_OPUS_PACKET_MAX];
        gw_sine_render(300, 5000, RATE, &phase, pcm, FRAME);
        for (int i = 0; i < FRAME; i++)
            pcm[i] = (int16_t)(pcm[i] + (int16_t)((noise = noise * 1664525 + 1013904223) >> 20));
        if (f == 50)
            gw_opus_encoder_set_bitrate(p.enc, 8000);
        *(f < 50 ? &big : &small) += (size_t)gw_opus_encode(p.enc, pcm, FRAME, packet, sizeof packet);
    }
    assert_true(small * 2 < big);
    done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rate_and_frame_length_comes_back_whole),
        cmocka_unit_test(narrow_band_packets_play_on_a_48_khz_decoder),
        cmocka_unit_test(bad_packets_are_refused),
        cmocka_unit_test(a_frame_longer_than_the_room_is_refused),
        cmocka_unit_test(configurations_out_of_range_are_refused),
        cmocka_unit_test(in_band_fec_beats_concealment),
        cmocka_unit_test(profiles_change_the_packet_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
