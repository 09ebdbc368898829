/* The sound of wzp-client: two of them, one datagram path between, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <unistd.h>

#include <cmocka.h>

#include "tests/support/judge.h"
#include "wzp/bin/client_audio.c" /* a program's file is in no library */
#include "wzp/bin/client_wav.c"

#define TONE_HZ 500.0

struct pair {
    struct client_audio *caller, *callee;
    uint64_t now_us;
    unsigned datagrams, lost, loss_every; /* of those from the caller */
    enum wzp_codec last_codec;
    uint16_t last_seq;
    bool gap_seen;
};

static void deliver(struct pair *p, const uint8_t *data, size_t len)
{
    uint8_t back[WZP_MEDIA_DATAGRAM_MAX];
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;

    assert_int_equal(wzp_media_decode(wz_bytes(data, len), &hdr, &payload), 0);
    p->gap_seen |= p->datagrams > 0 && hdr.seq != (uint16_t)(p->last_seq + 1);
    p->last_seq = hdr.seq;
    p->last_codec = hdr.codec;
    p->datagrams++;
    if (p->loss_every && p->datagrams % p->loss_every == 0) {
        p->lost++;
        return;
    }
    const size_t back_len = client_audio_receive(p->callee, wz_bytes(data, len), p->now_us, back);
    if (back_len) {
        uint8_t none[WZP_MEDIA_DATAGRAM_MAX];
        assert_int_equal(client_audio_receive(p->caller, wz_bytes(back, back_len), p->now_us, none), 0);
    }
}

static void run(struct pair *p, unsigned ticks)
{
    uint8_t buf[WZP_MEDIA_DATAGRAM_MAX];

    for (unsigned n = 0; n < ticks; n++) {
        size_t len = client_audio_tick(p->caller, p->now_us, buf);
        for (; len; len = client_audio_next(p->caller, buf))
            deliver(p, buf, len);
        for (len = client_audio_tick(p->callee, p->now_us, buf); len; len = client_audio_next(p->callee, buf)) {
            uint8_t none[WZP_MEDIA_DATAGRAM_MAX];
            assert_int_equal(client_audio_receive(p->caller, wz_bytes(buf, len), p->now_us, none), 0);
        }
        p->now_us += CLIENT_TICK_US;
    }
}

static void start(struct pair *p, const struct client_audio_config *caller, const struct client_audio_config *callee)
{
    *p = (struct pair){ .now_us = 5000000 };
    assert_int_equal(client_audio_new(&p->caller, caller), 0);
    assert_int_equal(client_audio_new(&p->callee, callee), 0);
}

static void audio_stop(struct pair *p)
{
    assert_int_equal(client_audio_free(p->caller), 0);
    assert_int_equal(client_audio_free(p->callee), 0);
}

static struct client_audio_stats stats_of(const struct client_audio *audio)
{
    struct client_audio_stats stats;
    client_audio_stats(audio, &stats);
    return stats;
}

/* ---- codecs ---- */

/* Three seconds of a voice-like buzz: a vocoder makes nothing of a sine. */
static struct client_pcm make_voice(void)
{
    static int16_t sample[3 * CLIENT_WAV_RATE_HZ];

    for (size_t i = 0; i < sizeof sample / sizeof sample[0]; i++) {
        double v = 0;
        for (int h = 1; h <= 20; h++)
            v += sin(2 * M_PI * 150 * h * (double)i / CLIENT_WAV_RATE_HZ) / h;
        sample[i] = (int16_t)lrint(5000 * v);
    }
    return (struct client_pcm){ .sample = sample, .count = 3 * CLIENT_WAV_RATE_HZ };
}

static void every_codec_carries_sound_from_one_client_to_the_other(void **state)
{
    const struct client_pcm voice = make_voice();

    (void)state;
    for (int i = 0; i < WZP_CODEC_COUNT; i++) {
        const enum wzp_codec codec = (enum wzp_codec)i;
        char path[] = "/tmp/wzp-client-audio-XXXXXX";
        const int fd = mkstemp(path);
        struct pair p;
        struct judge_audio heard = { 0 };
        if (codec == WZP_CODEC_COMFORT_NOISE) {
            (void)close(fd);
            (void)unlink(path);
            continue;
        }
        assert_true(fd >= 0);
        (void)close(fd);
        start(&p, &(struct client_audio_config){ .codec = codec, .play = &voice },
              &(struct client_audio_config){ .codec = codec, .quiet = true, .record = path });
        run(&p, 150);
        const struct client_audio_stats stats = stats_of(p.callee);
        assert_string_equal(stats.codec, wzp_codec_name(codec));
        assert_string_equal(stats_of(p.caller).codec_tx, wzp_codec_name(codec));
        assert_int_equal(stats.undecodable, 0);
        assert_int_equal(stats.lost, 0);
        assert_int_equal(stats.rx, p.datagrams);
        assert_false(p.gap_seen);
        audio_stop(&p);
        assert_int_equal(judge_wav_load(path, &heard), 0);
        (void)unlink(path);
        double energy = 0;
        for (size_t s = heard.count / 2; s < heard.count; s++)
            energy += (double)heard.sample[s] * (double)heard.sample[s];
        assert_true(energy / (double)(heard.count / 2) > 0.005);
        judge_audio_done(&heard);
    }
}

static void codec2_sends_its_repair_and_brings_back_what_is_lost(void **state)
{
    struct pair p;

    (void)state;
    start(&p, &(struct client_audio_config){ .codec = WZP_CODEC_CODEC2_1200, .tone_hz = TONE_HZ },
          &(struct client_audio_config){ .quiet = true });
    p.loss_every = 5;
    run(&p, 1600);
    const struct client_audio_stats stats = stats_of(p.callee);
    assert_int_equal(p.datagrams, 1600 / 2 * 2); /* as many repair packets as frames */
    assert_true(p.lost > 300);
    assert_true(stats.repaired > 100);
    assert_true(stats.unrepaired <= 4); /* the end of the last block */
    audio_stop(&p);
}

static void what_is_not_taken_is_gone_with_the_next_tick(void **state)
{
    const struct client_audio_config config = { .codec = WZP_CODEC_CODEC2_1200, .tone_hz = TONE_HZ };
    uint8_t buf[WZP_MEDIA_DATAGRAM_MAX];
    struct client_audio *audio;
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;

    (void)state;
    assert_int_equal(client_audio_new(&audio, &config), 0);
    for (unsigned n = 1; n <= 16; n++)
        assert_int_equal(client_audio_tick(audio, n * CLIENT_TICK_US, buf) > 0, n % 2 == 0);
    assert_true(client_audio_next(audio, buf) > 0); /* one of eight repair packets */
    assert_int_equal(client_audio_tick(audio, 17 * CLIENT_TICK_US, buf), 0);
    assert_int_equal(client_audio_next(audio, buf), 0);
    const size_t len = client_audio_tick(audio, 18 * CLIENT_TICK_US, buf);
    assert_int_equal(wzp_media_decode(wz_bytes(buf, len), &hdr, &payload), 0);
    assert_int_equal(hdr.seq, 16);
    assert_int_equal(client_audio_free(audio), 0);
}

/* ---- silence ---- */

static void a_quiet_client_without_source_sends_nothing(void **state)
{
    struct pair p;

    (void)state;
    start(&p, &(struct client_audio_config){ .quiet = true }, &(struct client_audio_config){ .quiet = true });
    run(&p, 100);
    assert_int_equal(p.datagrams, 0);
    assert_int_equal(stats_of(p.caller).tx, 0);
    audio_stop(&p);
    start(&p, &(struct client_audio_config){ 0 }, &(struct client_audio_config){ .quiet = true });
    run(&p, 100);
    assert_int_equal(p.datagrams, 100); /* without the wish, silence is sent */
    audio_stop(&p);
    start(&p, &(struct client_audio_config){ .quiet = true, .tone_hz = TONE_HZ },
          &(struct client_audio_config){ .quiet = true });
    run(&p, 100);
    assert_int_equal(p.datagrams, 100);
    audio_stop(&p);
}

static void a_quiet_client_still_echoes(void **state)
{
    struct pair p;

    (void)state;
    start(&p, &(struct client_audio_config){ .codec = WZP_CODEC_CODEC2_3200, .tone_hz = TONE_HZ },
          &(struct client_audio_config){ .quiet = true, .echo = true });
    run(&p, 100);
    assert_int_equal(stats_of(p.callee).tx, p.datagrams);
    assert_int_equal(stats_of(p.caller).rx, p.datagrams);
    assert_int_equal(stats_of(p.caller).undecodable, 0);
    audio_stop(&p);
}

static void suppressed_silence_is_comfort_noise_now_and_then(void **state)
{
    struct pair p;

    (void)state;
    start(&p, &(struct client_audio_config){ .suppress_silence = true },
          &(struct client_audio_config){ .quiet = true });
    run(&p, 205);
    assert_int_equal(p.datagrams, 5 + 20);
    assert_int_equal(p.last_codec, WZP_CODEC_COMFORT_NOISE);
    assert_false(p.gap_seen);
    audio_stop(&p);
}

/* ---- quality ---- */

static void reports_go_both_ways_and_lower_the_codec_when_it_may_adapt(void **state)
{
    struct pair p;

    (void)state;
    start(&p, &(struct client_audio_config){ .codec = WZP_CODEC_OPUS_24K, .adapts = true, .tone_hz = TONE_HZ },
          &(struct client_audio_config){ .codec = WZP_CODEC_OPUS_24K });
    client_audio_set_path_stats(p.callee, 20000, 40, 3);
    run(&p, 400);
    assert_int_equal(stats_of(p.callee).reports_tx, 8);
    assert_int_equal(stats_of(p.caller).reports_rx, 8);
    assert_int_equal(stats_of(p.caller).reports_tx, 0); /* it was told nothing about its path */
    assert_int_equal(p.last_codec, WZP_CODEC_CODEC2_1200);
    audio_stop(&p);
}

static void the_relays_directive_counts_only_for_who_adapts(void **state)
{
    struct pair p;

    (void)state;
    start(&p, &(struct client_audio_config){ .codec = WZP_CODEC_OPUS_24K, .adapts = true, .tone_hz = TONE_HZ },
          &(struct client_audio_config){ .codec = WZP_CODEC_OPUS_24K });
    client_audio_directive(p.caller, &wzp_profile_degraded);
    client_audio_directive(p.callee, &wzp_profile_degraded);
    assert_string_equal(stats_of(p.caller).codec_tx, "Opus6k");
    assert_string_equal(stats_of(p.callee).codec_tx, "Opus24k");
    audio_stop(&p);
}

static void auto_starts_at_good_and_climbs_as_reports_allow(void **state)
{
    struct client_audio_config config = { .tone_hz = TONE_HZ };
    struct pair p;

    (void)state;
    assert_int_equal(client_codec_parse("auto", &config.codec, &config.adapts), 0);
    start(&p, &config, &(struct client_audio_config){ 0 });
    client_audio_set_path_stats(p.callee, 0, 10, 1);
    assert_string_equal(stats_of(p.caller).codec_tx, "Opus24k");
    run(&p, 50 * 35);
    assert_string_equal(stats_of(p.caller).codec_tx, "Opus64k");
    audio_stop(&p);
}

static void distance_lowers_the_codec_by_the_references_rule_only(void **state)
{
    struct pair p;

    (void)state;
    for (int by_reference = 0; by_reference < 2; by_reference++) {
        start(&p,
              &(struct client_audio_config){
                  .codec = WZP_CODEC_OPUS_24K, .adapts = true, .by_reference = by_reference, .tone_hz = TONE_HZ },
              &(struct client_audio_config){ .codec = WZP_CODEC_OPUS_24K });
        client_audio_set_path_stats(p.caller, 0, 250, 3);
        client_audio_set_path_stats(p.callee, 0, 250, 3);
        run(&p, 400);
        assert_string_equal(stats_of(p.caller).codec_tx, by_reference ? "Codec2_1200" : "Opus24k");
        audio_stop(&p);
    }
}

/* ---- names ---- */

static void codecs_are_known_by_the_names_users_know(void **state)
{
    static const struct {
        const char *name;
        enum wzp_codec codec;
        bool is_auto;
    } rows[] = {
        { "auto", WZP_CODEC_OPUS_64K, true },
        { "good", WZP_CODEC_OPUS_24K, false },
        { "opus", WZP_CODEC_OPUS_24K, false },
        { "degraded", WZP_CODEC_OPUS_6K, false },
        { "opus6k", WZP_CODEC_OPUS_6K, false },
        { "catastrophic", WZP_CODEC_CODEC2_1200, false },
        { "codec2-1200", WZP_CODEC_CODEC2_1200, false },
        { "Codec2-3200", WZP_CODEC_CODEC2_3200, false },
        { "studio-32k", WZP_CODEC_OPUS_32K, false },
        { "studio-48k", WZP_CODEC_OPUS_48K, false },
        { "studio-64k", WZP_CODEC_OPUS_64K, false },
        { "opus16k", WZP_CODEC_OPUS_16K, false },
        { "Opus32k", WZP_CODEC_OPUS_32K, false },
    };
    enum wzp_codec codec = WZP_CODEC_OPUS_16K;
    bool is_auto = true;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(client_codec_parse(rows[i].name, &codec, &is_auto), 0);
        assert_int_equal(codec, rows[i].codec);
        assert_int_equal(is_auto, rows[i].is_auto);
    }
    codec = WZP_CODEC_OPUS_16K;
    assert_int_equal(client_codec_parse("ComfortNoise", &codec, &is_auto), -EINVAL);
    assert_int_equal(client_codec_parse("", &codec, &is_auto), -EINVAL);
    assert_int_equal(client_codec_parse("opus24", &codec, &is_auto), -EINVAL);
    assert_int_equal(codec, WZP_CODEC_OPUS_16K);
}

static void features_name_the_library_and_say_whether_it_has_dred(void **state)
{
    char text[100], cut[8];

    (void)state;
    client_audio_features(text, sizeof text);
    assert_non_null(strstr(text, "libopus"));
    assert_non_null(strstr(text, gw_opus_has_dred() ? "(DRED)" : "(no DRED)"));
    client_audio_features(cut, sizeof cut);
    assert_int_equal(strlen(cut), sizeof cut - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_carries_sound_from_one_client_to_the_other),
        cmocka_unit_test(codec2_sends_its_repair_and_brings_back_what_is_lost),
        cmocka_unit_test(what_is_not_taken_is_gone_with_the_next_tick),
        cmocka_unit_test(a_quiet_client_without_source_sends_nothing),
        cmocka_unit_test(a_quiet_client_still_echoes),
        cmocka_unit_test(suppressed_silence_is_comfort_noise_now_and_then),
        cmocka_unit_test(reports_go_both_ways_and_lower_the_codec_when_it_may_adapt),
        cmocka_unit_test(the_relays_directive_counts_only_for_who_adapts),
        cmocka_unit_test(auto_starts_at_good_and_climbs_as_reports_allow),
        cmocka_unit_test(distance_lowers_the_codec_by_the_references_rule_only),
        cmocka_unit_test(codecs_are_known_by_the_names_users_know),
        cmocka_unit_test(features_name_the_library_and_say_whether_it_has_dred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
