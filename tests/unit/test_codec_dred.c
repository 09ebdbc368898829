/* Deep redundancy (DRED) where libopus has it; where not, the same gap falls to concealment, and the feature says so. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/codec_opus.h"
#include "gateway/media/playout.h"
#include "tests/support/judge.h"
#include "tests/support/speech.h"

#define RATE     16000
#define FRAME    320
#define FRAME_US 20000u

struct speech {
    int16_t *pcm;
    size_t count;
    struct judge_audio audio;
};

static struct gw_opus_encoder *new_encoder(enum gw_opus_dred dred, uint32_t rate_hz)
{
    const struct gw_opus_encoder_config config = {
        .rate_hz = rate_hz, .bitrate_bps = 24000, .complexity = 8, .dred = dred
    };
    struct gw_opus_encoder *encoder;

    assert_int_equal(gw_opus_encoder_new(&encoder, &config), 0);
    return encoder;
}

/* ---- when it is sent ---- */

static void dred_is_sent_where_the_library_has_it_and_the_path_loses(void **state)
{
    struct gw_opus_encoder *always = new_encoder(GW_OPUS_DRED_ALWAYS, 48000);
    struct gw_opus_encoder *on_loss = new_encoder(GW_OPUS_DRED_ON_LOSS, RATE);
    struct gw_opus_encoder *narrow = new_encoder(GW_OPUS_DRED_ALWAYS, 8000);
    struct gw_opus_encoder *off = new_encoder(GW_OPUS_DRED_OFF, 48000);
    const bool has = gw_opus_has_dred();

    (void)state;
    assert_int_equal(gw_opus_encoder_dred(always), has ? 20 : 0);
    assert_int_equal(gw_opus_encoder_dred(on_loss), 0);
    gw_opus_encoder_set_loss(on_loss, 4);
    gw_opus_encoder_set_loss(narrow, 30);
    gw_opus_encoder_set_loss(off, 30);
    assert_int_equal(gw_opus_encoder_dred(on_loss), has ? 23 : 0);
    assert_int_equal(gw_opus_encoder_dred(narrow), 0);
    assert_int_equal(gw_opus_encoder_dred(off), 0);
    gw_opus_encoder_set_loss(on_loss, 0);
    assert_int_equal(gw_opus_encoder_dred(on_loss), 0);
    gw_opus_encoder_free(always);
    gw_opus_encoder_free(on_loss);
    gw_opus_encoder_free(narrow);
    gw_opus_encoder_free(off);
}

static void dred_reaches_as_far_back_as_bit_rate_and_loss_say(void **state)
{
    static const struct {
        uint32_t bitrate_bps;
        unsigned loss_pct, reach_10ms;
    } rows[] = {
        { 6000, 0, 50 },   { 6000, 40, 104 }, { 16000, 0, 20 },  { 24000, 0, 20 },  { 24000, 20, 35 },
        { 24000, 90, 50 }, { 32000, 0, 10 },  { 48000, 40, 30 }, { 64000, 20, 20 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gw_opus_encoder *encoder = new_encoder(GW_OPUS_DRED_ALWAYS, 48000);
        gw_opus_encoder_set_bitrate(encoder, rows[i].bitrate_bps);
        gw_opus_encoder_set_loss(encoder, rows[i].loss_pct);
        assert_int_equal(gw_opus_encoder_dred(encoder), gw_opus_has_dred() ? rows[i].reach_10ms : 0);
        gw_opus_encoder_free(encoder);
    }
}

/* ---- what it brings ---- */

struct outcome {
    double similarity;
    uint64_t dred, lost;
};

/* Bursts of three frames lost, every half second; the packet behind them is there when the first of them is due. */
static struct outcome hear_through_gaps(const struct speech *s, enum gw_opus_dred dred)
{
    const struct gw_playout_config config = {
        .codec = GW_CODEC_OPUS, .clock_hz = 1000, .rate_hz = RATE, .min_ms = 80, .initial_ms = 80
    };
    struct gw_opus_encoder *encoder = new_encoder(dred, RATE);
    int16_t *heard = calloc(s->count, sizeof *heard);
    struct gw_playout *playout;
    struct gw_playout_stats stats;
    struct judge_audio got;
    struct judge_result r;
    size_t n = 0;

    assert_non_null(heard);
    assert_int_equal(gw_playout_new(&playout, &config), 0);
    gw_opus_encoder_set_loss(encoder, 12);
    for (; (n + 1) * FRAME <= s->count; n++) {
        uint8_t packet[GW_OPUS_PACKET_MAX];
        const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K,
                                           .seq = (uint16_t)n,
                                           .timestamp_ms = (uint32_t)n * 20 };
        const int len = gw_opus_encode(encoder, s->pcm + n * FRAME, FRAME, packet, sizeof packet);
        assert_true(len > 0);
        if (n % 25 < 22)
            assert_int_equal(gw_playout_put_wzp(playout, &hdr, wz_bytes(packet, (size_t)len), n * FRAME_US), 0);
        (void)gw_playout_pull(playout, n * FRAME_US + 1000, heard + n * FRAME);
    }
    gw_playout_stats(playout, &stats);
    assert_int_equal(judge_audio_from_pcm(heard, n * FRAME, RATE, &got), 0);
    assert_int_equal(judge_compare(&s->audio, &got, &r), 0);
    print_message("    %s, %s: similarity %.3f drop-out %.0f ms, %u of %u lost frames from DRED\n", gw_opus_version(),
                  dred == GW_OPUS_DRED_OFF ? "without DRED" : "with DRED", r.similarity, r.longest_dropout_ms,
                  (unsigned)stats.dred, (unsigned)stats.jitter.lost);
    judge_audio_done(&got);
    gw_playout_free(playout);
    gw_opus_encoder_free(encoder);
    free(heard);
    return (struct outcome){ .similarity = r.similarity, .dred = stats.dred, .lost = stats.jitter.lost };
}

static void gaps_are_rebuilt_from_dred_or_concealed_where_there_is_none(void **state)
{
    const struct outcome without = hear_through_gaps(*state, GW_OPUS_DRED_OFF);
    const struct outcome with = hear_through_gaps(*state, GW_OPUS_DRED_ON_LOSS);

    assert_int_equal(without.dred, 0);
    if (!gw_opus_has_dred()) {
        assert_int_equal(with.dred, 0);
        assert_true(with.similarity == without.similarity); /* the same packets, the same concealment */
        return;
    }
    assert_true(with.dred > with.lost / 2);
    assert_true(with.similarity > without.similarity);
}

static void packets_without_dred_rebuild_only_the_frame_before_them(void **state)
{
    const struct speech *s = *state;
    struct gw_opus_encoder *encoder = new_encoder(GW_OPUS_DRED_OFF, RATE);
    struct gw_opus_decoder *decoder;
    uint8_t packet[GW_OPUS_PACKET_MAX];
    int16_t pcm[FRAME];
    bool is_dred = true;
    int len = 0;

    gw_opus_encoder_set_loss(encoder, 20);
    assert_int_equal(gw_opus_decoder_new(&decoder, RATE), 0);
    for (unsigned n = 0; n < 50; n++) {
        len = gw_opus_encode(encoder, s->pcm + n * FRAME, FRAME, packet, sizeof packet);
        (void)gw_opus_decode(decoder, wz_bytes(packet, (size_t)len), pcm, FRAME);
    }
    const struct wz_bytes next = wz_bytes(packet, (size_t)len);
    assert_int_equal(gw_opus_rebuild(decoder, next, 3 * FRAME, pcm, FRAME, &is_dred), -ENODATA);
    assert_true(is_dred); /* untouched on failure */
    assert_int_equal(gw_opus_rebuild(decoder, next, FRAME / 2, pcm, FRAME, &is_dred), -ENODATA);
    assert_int_equal(gw_opus_rebuild(decoder, wz_bytes(NULL, 0), FRAME, pcm, FRAME, &is_dred), -ENODATA);
    assert_int_equal(gw_opus_rebuild(decoder, next, FRAME, pcm, FRAME, &is_dred), FRAME);
    assert_false(is_dred);
    gw_opus_decoder_free(decoder);
    gw_opus_encoder_free(encoder);
}

static int make_speech(void **state)
{
    static struct speech s;

    if (speech_make_pcm(SPEECH_MAIN, RATE, &s.pcm, &s.count) < 0 ||
        judge_audio_from_pcm(s.pcm, s.count, RATE, &s.audio) < 0)
        return -1;
    *state = &s;
    return 0;
}

static int free_speech(void **state)
{
    struct speech *s = *state;

    free(s->pcm);
    judge_audio_done(&s->audio);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dred_is_sent_where_the_library_has_it_and_the_path_loses),
        cmocka_unit_test(dred_reaches_as_far_back_as_bit_rate_and_loss_say),
        cmocka_unit_test(gaps_are_rebuilt_from_dred_or_concealed_where_there_is_none),
        cmocka_unit_test(packets_without_dred_rebuild_only_the_frame_before_them),
    };
    return cmocka_run_group_tests(tests, make_speech, free_speech);
}
