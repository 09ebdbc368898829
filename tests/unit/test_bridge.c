/* The bridge in virtual time: audio, signalling of losses, WZP's other packets, reports. Hold, re-INVITE, latch and digits
 * are in test_bridge_changes.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/codec_g711.h"
#include "gateway/media/tone.h"
#include "tests/support/media_world.h"
#include "tests/support/speech.h"

#define FRAME    160
#define FRAME_US 20000

struct speech {
    int16_t *pcm;
    size_t count;
    struct judge_audio ref;
};

static int make_speech(void **state)
{
    struct speech *s = calloc(1, sizeof *s);

    if (!s || speech_make_pcm(SPEECH_MAIN, 8000, &s->pcm, &s->count) < 0 ||
        judge_audio_from_pcm(s->pcm, s->count, 8000, &s->ref) < 0) {
        print_error("no speech: is espeak-ng installed? ./dev setup installs it\n");
        return -1;
    }
    *state = s;
    return 0;
}

static int drop_speech(void **state)
{
    struct speech *s = *state;

    judge_audio_done(&s->ref);
    free(s->pcm);
    free(s);
    return 0;
}

static const int16_t silence[FRAME];

static struct judge_result judge(const struct speech *s, struct judge_audio *got)
{
    struct judge_result r;

    assert_int_equal(judge_compare(&s->ref, got, &r), 0);
    judge_audio_done(got);
    print_message("    similarity %.3f drop-out %.0f ms delay %.1f ms wander %.1f ms\n", r.similarity,
                  r.longest_dropout_ms, r.delay_ms, r.delay_wander_ms);
    return r;
}

/* ---- transcoding ---- */

static void speech_of_the_phone_reaches_wzp(void **state)
{
    static const enum gw_codec codecs[] = { GW_CODEC_PCMU, GW_CODEC_PCMA };
    const struct speech *s = *state;

    for (unsigned c = 0; c < 2; c++) {
        const struct gw_bridge_config config = media_world_config(codecs[c]);
        struct media_world w;
        struct judge_audio got;
        media_world_init(&w, &config);
        for (size_t i = 0; i + FRAME <= s->count; i += FRAME) {
            media_phone_speaks(&w, s->pcm + i);
            media_advance(&w, FRAME_US);
        }
        media_advance(&w, 200000);
        for (size_t i = 0; i < w.wzp_count; i++) {
            assert_int_equal(w.wzp[i].hdr.codec, WZP_CODEC_OPUS_24K);
            assert_int_equal(w.wzp[i].hdr.seq, i);
            assert_int_equal(w.wzp[i].hdr.timestamp_ms, 20 * i);
            assert_false(w.wzp[i].hdr.has_report);
            if (i > 0)
                assert_int_equal(w.wzp[i].at_us - w.wzp[i - 1].at_us, FRAME_US);
        }
        media_decode_wzp(&w, &got);
        const struct judge_result r = judge(s, &got);
        assert_true(r.similarity >= 0.95);
        assert_true(r.longest_dropout_ms <= 20);
        assert_in_range(r.delay_ms, 20, 80);
        assert_int_equal(media_stats(&w).rtp_lost, 0);
        assert_false(media_stats(&w).pass_through_rtp);
        assert_in_range(-media_stats(&w).rtp_level_dbov, 1, 126);
        media_world_done(&w);
    }
}

static void speech_of_wzp_reaches_the_phone(void **state)
{
    static const enum gw_codec codecs[] = { GW_CODEC_PCMU, GW_CODEC_PCMA };
    const struct speech *s = *state;

    for (unsigned c = 0; c < 2; c++) {
        const struct gw_bridge_config config = media_world_config(codecs[c]);
        struct media_world w;
        struct judge_audio got;
        media_world_init(&w, &config);
        for (size_t i = 0; i + FRAME <= s->count; i += FRAME) {
            media_peer_speaks(&w, s->pcm + i);
            media_advance(&w, FRAME_US);
        }
        media_advance(&w, 200000);
        for (size_t i = 0; i < w.rtp_count; i++) {
            assert_int_equal(w.rtp[i].len, FRAME);
            assert_int_equal(w.rtp[i].hdr.payload_type, config.rtp.payload_type);
            assert_int_equal(w.rtp[i].hdr.marker, i == 0);
            assert_int_equal(w.rtp[i].hdr.ssrc, w.rtp[0].hdr.ssrc);
            assert_int_equal(w.rtp[i].hdr.seq, (uint16_t)(w.rtp[0].hdr.seq + i));
            assert_int_equal(w.rtp[i].hdr.timestamp_ticks, (uint32_t)(w.rtp[0].hdr.timestamp_ticks + FRAME * i));
        }
        media_decode_rtp(&w, &got);
        const struct judge_result r = judge(s, &got);
        assert_true(r.similarity >= 0.95);
        assert_true(r.longest_dropout_ms <= 20);
        assert_in_range(r.delay_ms, 20, 80);
        assert_int_equal(media_stats(&w).wzp_lost, 0);
        media_world_done(&w);
    }
}

static void every_packet_time_is_sent(void **state)
{
    static const unsigned ptimes[] = { 10, 20, 30, 40, 50, 60 };

    (void)state;
    for (unsigned p = 0; p < 6; p++) {
        struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
        struct media_world w;
        config.rtp.ptime_ms = ptimes[p];
        media_world_init(&w, &config);
        media_advance(&w, 6 * 600000 - 1);
        assert_int_equal(w.rtp_count, 3600 / ptimes[p]);
        for (size_t i = 0; i < w.rtp_count; i++) {
            assert_int_equal(w.rtp[i].len, ptimes[p] * 8);
            assert_int_equal(w.rtp[i].hdr.timestamp_ticks,
                             (uint32_t)(w.rtp[0].hdr.timestamp_ticks + i * ptimes[p] * 8));
        }
        media_world_done(&w);
    }
}

static void loss_duplicates_and_reordering_are_survived(void **state)
{
    const struct speech *s = *state;
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMA);
    struct media_world w;
    struct judge_audio got;
    uint8_t held[FRAME];
    uint32_t held_ts = 0, noise = 5;
    uint16_t held_seq = 0;
    bool is_holding = false;

    media_world_init(&w, &config);
    for (size_t i = 0, n = 0; i + FRAME <= s->count; i += FRAME, n++) {
        const uint32_t dice = (noise = noise * 1664525 + 1013904223) >> 24;
        if (dice < 8 && n > 10) { /* 3 % lost */
            w.phone_seq++;
            w.phone_ts += FRAME;
        } else {
            media_phone_speaks(&w, s->pcm + i);
        }
        if (is_holding) { /* one packet behind its successor, and once more */
            media_phone_packet(&w, 8, held_seq, held_ts, wz_bytes(held, sizeof held));
            media_phone_packet(&w, 8, held_seq, held_ts, wz_bytes(held, sizeof held));
            is_holding = false;
        }
        media_advance(&w, FRAME_US);
        if (dice > 230 && i + 2 * FRAME <= s->count) {
            gw_g711_encode(GW_G711_ALAW, s->pcm + i + FRAME, FRAME, held);
            held_seq = w.phone_seq++;
            held_ts = w.phone_ts;
            w.phone_ts += FRAME;
            is_holding = true;
            i += FRAME;
            media_advance(&w, FRAME_US);
        }
    }
    media_decode_wzp(&w, &got);
    const struct judge_result r = judge(s, &got);
    const struct gw_bridge_stats st = media_stats(&w);
    assert_true(r.similarity >= 0.88);
    assert_true(r.longest_dropout_ms <= 60);
    assert_true(st.rtp_duplicate > 10);
    assert_true(st.rtp_lost > 3);
    assert_true(st.rtp_concealed >= 3 && st.rtp_concealed < 60);
    media_world_done(&w);
}

static void a_phone_that_pauses_is_not_losing(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;

    (void)state;
    media_world_init(&w, &config);
    for (unsigned n = 0; n < 300; n++) {
        if (n % 60 < 30) {
            media_phone_speaks(&w, silence);
        } else {
            if (n % 60 == 30) { /* RFC 3389 */
                const uint8_t level = 60;
                media_phone_packet(&w, GW_RTP_PT_COMFORT_NOISE, w.phone_seq++, w.phone_ts, wz_bytes(&level, 1));
            }
            w.phone_ts += FRAME;
        }
        media_advance(&w, FRAME_US);
    }
    assert_int_equal(media_stats(&w).rtp_lost, 0);
    assert_int_equal(media_stats(&w).rtp_concealed, 0);
    assert_in_range(w.wzp_count, 295, 301); /* the stream towards WZP has no hole */
    media_world_done(&w);
}

static void frames_are_sent_only_when_the_path_is_up(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;

    (void)state;
    media_world_init(&w, &config);
    gw_bridge_set_wzp_ready(w.bridge, false);
    for (unsigned n = 0; n < 50; n++) {
        media_phone_speaks(&w, silence);
        media_advance(&w, FRAME_US);
        if (n == 24) {
            assert_int_equal(w.wzp_count, 0);
            assert_in_range(media_stats(&w).wzp_not_ready, 24, 26);
            gw_bridge_set_wzp_ready(w.bridge, true);
        }
    }
    assert_in_range(w.wzp_count, 24, 26);
    assert_int_equal(w.wzp[0].hdr.seq, 0);
    assert_int_equal(w.wzp[0].hdr.timestamp_ms, 0);
    media_world_done(&w);
}

static void a_stall_is_skipped_not_made_up_in_a_burst(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;

    (void)state;
    media_world_init(&w, &config);
    media_advance(&w, 99999);
    const size_t before = w.rtp_count;
    const uint32_t ts = w.rtp[before - 1].hdr.timestamp_ticks;
    w.now_us += 2000000; /* nobody calls for two seconds */
    gw_bridge_tick(w.bridge, w.now_us);
    assert_int_equal(w.rtp_count - before, GW_BRIDGE_CATCH_UP_MAX);
    assert_int_equal(media_stats(&w).skipped_ticks, 95);
    assert_true(w.rtp[before].hdr.marker);
    assert_int_equal(w.rtp[before].hdr.seq, (uint16_t)(w.rtp[before - 1].hdr.seq + 1));
    assert_int_equal(w.rtp[w.rtp_count - 1].hdr.timestamp_ticks, (uint32_t)(ts + 100 * FRAME)); /* time has passed */
    media_world_done(&w);
}

/* ---- pass-through ---- */

/* Packets of all kinds of content, Opus by their first byte only: the bridge must not look further. */
static struct wz_bytes opus_like(uint8_t *buf, uint8_t toc, uint32_t n)
{
    const size_t len = 3 + n * 7 % 150;

    buf[0] = toc;
    for (size_t i = 1; i < len; i++)
        buf[i] = (uint8_t)(n * 31 + i * 17);
    return wz_bytes(buf, len);
}

#define TOC_SILK_20MS 0x08
#define TOC_SILK_40MS 0x10
#define TOC_SILK_60MS 0x18

static void opus_passes_bit_exact_to_wzp_and_loss_stays_visible(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_OPUS);
    struct media_world w;
    uint8_t buf[200];

    (void)state;
    media_world_init(&w, &config);
    for (uint32_t n = 0; n < 500; n++) {
        if (n % 10 != 5)
            media_phone_packet(&w, 111, (uint16_t)(65300 + n), 4000000000u + n * 960, opus_like(buf, TOC_SILK_20MS, n));
        media_advance(&w, FRAME_US);
    }
    assert_int_equal(w.wzp_count, 450);
    for (uint32_t i = 0, n = 0; i < w.wzp_count; i++, n++) {
        if (n % 10 == 5)
            n++;
        assert_int_equal(w.wzp[i].hdr.seq, n);
        assert_int_equal(w.wzp[i].hdr.timestamp_ms, n * 20);
        assert_int_equal(w.wzp[i].hdr.codec, WZP_CODEC_OPUS_24K);
        assert_true(wz_bytes_equal(wz_bytes(w.wzp[i].payload, w.wzp[i].len), opus_like(buf, TOC_SILK_20MS, n)));
        assert_int_equal((w.wzp[i].at_us - w.start_us) % FRAME_US, 0); /* on arrival, not on a tick */
    }
    assert_int_equal(media_stats(&w).rtp_lost, 50 - 0);
    assert_true(media_stats(&w).pass_through_rtp);
    media_world_done(&w);
}

static void opus_passes_bit_exact_to_the_phone(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_OPUS);
    struct media_world w;
    uint8_t buf[200];
    uint16_t seq = 0;

    (void)state;
    media_world_init(&w, &config);
    for (uint32_t n = 0; n < 400; n++) {
        const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_48K, .seq = seq++, .timestamp_ms = n * 20 };
        media_peer_packet(&w, &hdr, opus_like(buf, TOC_SILK_20MS, n));
        media_advance(&w, FRAME_US);
    }
    assert_int_equal(w.rtp_count, 400);
    for (uint32_t n = 0; n < 400; n++) {
        assert_int_equal(w.rtp[n].hdr.payload_type, 111);
        assert_int_equal(w.rtp[n].hdr.seq, (uint16_t)(w.rtp[0].hdr.seq + n));
        assert_int_equal(w.rtp[n].hdr.timestamp_ticks, (uint32_t)(w.rtp[0].hdr.timestamp_ticks + n * 960));
        assert_int_equal(w.rtp[n].hdr.marker, n == 0);
        assert_true(wz_bytes_equal(wz_bytes(w.rtp[n].payload, w.rtp[n].len), opus_like(buf, TOC_SILK_20MS, n)));
    }
    media_world_done(&w);
}

static void frames_of_40_ms_pass_as_the_40_ms_profile(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_OPUS);
    struct media_world w;
    uint8_t buf[200];

    (void)state;
    media_world_init(&w, &config);
    for (uint32_t n = 0; n < 10; n++)
        media_phone_packet(&w, 111, (uint16_t)n, n * 1920, opus_like(buf, TOC_SILK_40MS, n));
    assert_int_equal(w.wzp_count, 10);
    assert_int_equal(w.wzp[9].hdr.codec, WZP_CODEC_OPUS_6K);
    assert_int_equal(w.wzp[9].hdr.timestamp_ms, 360);
    media_world_done(&w);
}

static void wzp_packets_without_opus_leave_no_gap_at_the_phone(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_OPUS);
    struct media_world w;
    uint8_t buf[200];
    uint16_t seq = 0;

    (void)state;
    media_world_init(&w, &config);
    for (uint32_t n = 0; n < 100; n++) {
        struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K, .seq = seq++, .timestamp_ms = n * 20 };
        if (n % 10 == 3) {
            hdr.codec = WZP_CODEC_COMFORT_NOISE;
            media_peer_packet(&w, &hdr, wz_bytes("2", 1));
        } else if (n % 10 == 7) {
            hdr.is_repair = true;
            hdr.codec = WZP_CODEC_CODEC2_1200;
            media_peer_packet(&w, &hdr, wz_bytes(buf, 100));
        } else {
            media_peer_packet(&w, &hdr, opus_like(buf, TOC_SILK_20MS, n));
        }
        media_advance(&w, FRAME_US);
    }
    assert_int_equal(w.rtp_count, 80);
    for (size_t i = 1; i < w.rtp_count; i++)
        assert_int_equal(w.rtp[i].hdr.seq, (uint16_t)(w.rtp[i - 1].hdr.seq + 1));
    assert_int_equal(w.rtp[79].hdr.timestamp_ticks, (uint32_t)(w.rtp[0].hdr.timestamp_ticks + 99 * 960));
    assert_int_equal(media_stats(&w).wzp_comfort_noise, 10);
    assert_int_equal(media_stats(&w).wzp_repair, 10);
    media_world_done(&w);
}

/* 60 ms frames have no WZP profile: decoded and encoded anew in 20 ms frames, until the phone sends fitting ones again. */
static void frames_that_wzp_does_not_have_are_encoded_anew(void **state)
{
    const struct speech *s = *state;
    const struct gw_bridge_config config = media_world_config(GW_CODEC_OPUS);
    struct media_world w;
    struct judge_audio got;
    uint8_t payload[GW_OPUS_PACKET_MAX];
    uint16_t seq = 0;
    uint32_t ts = 0;

    media_world_init(&w, &config);
    for (size_t i = 0; i + 3 * FRAME <= s->count; i += 3 * FRAME) {
        const int len = gw_opus_encode(w.phone_encoder, s->pcm + i, 3 * FRAME, payload, sizeof payload);
        assert_true(len > 0);
        media_phone_packet(&w, 111, seq++, ts, wz_bytes(payload, (size_t)len));
        ts += 3 * 960;
        media_advance(&w, 3 * FRAME_US);
    }
    assert_false(media_stats(&w).pass_through_rtp);
    for (size_t i = 0; i < w.wzp_count; i++)
        assert_int_equal(gw_opus_packet_ticks(wz_bytes(w.wzp[i].payload, w.wzp[i].len)), 960);
    media_decode_wzp(&w, &got);
    const struct judge_result r = judge(s, &got);
    assert_true(r.similarity >= 0.88);
    assert_true(r.longest_dropout_ms <= 20);
    for (unsigned n = 0; n < 60; n++) {
        media_phone_packet(&w, 111, seq++, ts, opus_like(payload, TOC_SILK_20MS, n));
        ts += 960;
        media_advance(&w, FRAME_US);
    }
    assert_true(media_stats(&w).pass_through_rtp);
    const struct media_wzp *last = &w.wzp[w.wzp_count - 1];
    assert_true(wz_bytes_equal(wz_bytes(last->payload, last->len), opus_like(payload, TOC_SILK_20MS, 59)));
    assert_int_equal(last->hdr.seq, w.wzp_count - 1);
    media_world_done(&w);
}

/* ---- what else WZP sends ---- */

static void unknown_codecs_and_stubs_are_counted_and_the_call_lives(void **state)
{
    const struct speech *s = *state;
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;
    struct judge_audio got;
    uint8_t unknown[20] = { 9 << 2 };

    media_world_init(&w, &config);
    for (size_t i = 0, n = 0; i + FRAME <= s->count; i += FRAME, n++) {
        media_peer_speaks(&w, s->pcm + i);
        if (n % 10 == 0) {
            gw_bridge_wzp_packet(w.bridge, wz_bytes(unknown, sizeof unknown), w.now_us);
            gw_bridge_wzp_packet(w.bridge, wz_bytes(unknown, 11), w.now_us);
        }
        media_advance(&w, FRAME_US);
    }
    const struct gw_bridge_stats st = media_stats(&w);
    const uint64_t times = (s->count / FRAME + 9) / 10;
    assert_int_equal(st.wzp_bad_codec, times);
    assert_int_equal(st.wzp_bad, times);
    assert_int_equal(st.wzp_lost, 0);
    media_decode_rtp(&w, &got);
    assert_true(judge(s, &got).similarity >= 0.95);
    media_world_done(&w);
}

static void comfort_noise_is_heard_as_noise(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;
    double energy = 0;

    (void)state;
    media_world_init(&w, &config);
    for (unsigned n = 0; n < 100; n++) {
        if (n < 20) {
            media_peer_speaks(&w, silence);
        } else if (n % 10 == 0) {
            const struct wzp_media_hdr cn = { .codec = WZP_CODEC_COMFORT_NOISE,
                                              .seq = w.peer_seq++,
                                              .timestamp_ms = 20 * n };
            media_peer_packet(&w, &cn, wz_bytes("2", 1));
        }
        media_advance(&w, FRAME_US);
    }
    for (unsigned i = 50; i < 100; i++) {
        int16_t out[FRAME];
        gw_g711_decode(GW_G711_ULAW, w.rtp[i].payload, FRAME, out);
        for (unsigned k = 0; k < FRAME; k++)
            energy += (double)out[k] * out[k] / (50.0 * FRAME);
    }
    assert_true(energy > 20 * 20 && energy < 60 * 60); /* +-50, white */
    assert_int_equal(media_stats(&w).wzp_comfort_noise, 8);
    assert_int_equal(media_stats(&w).wzp_concealed, 0);
    media_world_done(&w);
}

static void forty_ms_frames_of_the_peer_are_played(void **state)
{
    const struct speech *s = *state;
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;
    struct judge_audio got;

    media_world_init(&w, &config);
    gw_opus_encoder_set_bitrate(w.encoder, 16000);
    for (size_t i = 0; i + 2 * FRAME <= s->count; i += 2 * FRAME) {
        const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_6K,
                                           .seq = w.peer_seq++,
                                           .timestamp_ms = w.peer_ts_ms };
        uint8_t payload[GW_OPUS_PACKET_MAX];
        const int len = gw_opus_encode(w.encoder, s->pcm + i, 2 * FRAME, payload, sizeof payload);
        media_peer_packet(&w, &hdr, wz_bytes(payload, (size_t)len));
        w.peer_ts_ms += 40;
        media_advance(&w, 2 * FRAME_US);
    }
    media_decode_rtp(&w, &got);
    const struct judge_result r = judge(s, &got);
    assert_true(r.similarity >= 0.9);
    assert_true(r.longest_dropout_ms <= 20);
    media_world_done(&w);
}

/* ---- reports ---- */

static void quality_reports_are_sent_every_fifty_frames_once_there_are_figures(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;
    size_t reports = 0;

    (void)state;
    media_world_init(&w, &config);
    gw_bridge_set_path_stats(w.bridge, 5000, 48, 7);
    for (unsigned n = 0; n < 503; n++) {
        media_phone_speaks(&w, silence);
        media_advance(&w, FRAME_US);
    }
    for (size_t i = 0; i < w.wzp_count; i++) {
        assert_int_equal(w.wzp[i].hdr.has_report, i % 50 == 49);
        reports += w.wzp[i].hdr.has_report;
    }
    assert_int_equal(reports, 10);
    assert_int_equal(w.wzp[49].hdr.report.loss, 12);
    assert_int_equal(w.wzp[49].hdr.report.rtt_4ms, 12);
    assert_int_equal(w.wzp[49].hdr.report.jitter_ms, 7);
    assert_int_equal(w.wzp[49].hdr.report.bitrate_cap_kbps, 200);
    assert_int_equal(media_stats(&w).wzp_reports_tx, 10);
    media_world_done(&w);
}

static void the_peers_report_is_kept_and_is_no_audio(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_OPUS);
    const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K,
                                       .has_report = true,
                                       .report = {
                                           .loss = 25, .rtt_4ms = 10, .jitter_ms = 3, .bitrate_cap_kbps = 200 } };
    struct media_world w;
    uint8_t buf[200];

    (void)state;
    media_world_init(&w, &config);
    const struct wz_bytes payload = opus_like(buf, TOC_SILK_20MS, 9);
    media_peer_packet(&w, &hdr, payload);
    assert_int_equal(media_stats(&w).wzp_reports_rx, 1);
    assert_int_equal(media_stats(&w).wzp_report.loss, 25);
    assert_true(wz_bytes_equal(wz_bytes(w.rtp[0].payload, w.rtp[0].len), payload));
    media_world_done(&w);
}

static void rtcp_reports_go_out_every_five_seconds(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    const struct wz_addr to = media_addr("192.0.2.10:4001");
    struct media_world w;

    (void)state;
    media_world_init(&w, &config);
    for (unsigned n = 0; n < 251; n++) {
        if (n % 50 == 20)
            w.phone_seq++, w.phone_ts += FRAME; /* lost */
        else
            media_phone_speaks(&w, silence);
        media_advance(&w, FRAME_US);
    }
    assert_int_equal(w.rtcp_count, 1);
    assert_true(wz_addr_equal(&w.rtcp_to, &to));
    assert_true(w.rtcp.has_sender_info);
    assert_int_equal(w.rtcp.ssrc, w.rtp[0].hdr.ssrc);
    assert_in_range(w.rtcp.packets, 249, 251);
    assert_int_equal(w.rtcp.octets, w.rtcp.packets * FRAME);
    assert_in_range((uint32_t)(w.rtcp.rtp_ticks - w.rtp[0].hdr.timestamp_ticks), 248 * FRAME, 252 * FRAME);
    assert_int_equal(w.rtcp.block_count, 1);
    assert_int_equal(w.rtcp.block[0].ssrc, MEDIA_WORLD_SSRC);
    assert_int_equal(w.rtcp.block[0].lost, 5);
    assert_int_equal(w.rtcp.block[0].fraction_lost, 5 * 256 / 250);
    assert_true(strlen(w.rtcp.cname) == 16);
    assert_false(w.rtcp.bye);
    gw_bridge_bye(w.bridge, w.now_us);
    assert_int_equal(w.rtcp_count, 2);
    assert_true(w.rtcp.bye);
    media_world_done(&w);
}

static void the_phones_rtcp_tells_loss_and_round_trip(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;
    uint8_t packet[GW_RTCP_PACKET_MAX];

    (void)state;
    media_world_init(&w, &config);
    for (unsigned n = 0; n < 251; n++) {
        media_phone_speaks(&w, silence);
        media_advance(&w, FRAME_US);
    }
    struct gw_rtcp_report report = {
        .ssrc = MEDIA_WORLD_SSRC, .has_sender_info = true, .ntp = 0x1234567890abcdef, .block_count = 2
    };
    report.block[0] = (struct gw_rtcp_block){ .ssrc = 1, .fraction_lost = 99 };
    report.block[1] = (struct gw_rtcp_block){ .ssrc = w.rtcp.ssrc,
                                              .fraction_lost = 26,
                                              .lost = 25,
                                              .jitter_ticks = 80,
                                              .last_sr = gw_rtcp_ntp_middle(w.rtcp.ntp),
                                              .delay_since_sr = 0 };
    media_advance(&w, 40000);
    int len = gw_rtcp_encode(&report, packet, sizeof packet);
    const struct wz_addr from = media_addr("192.0.2.10:4005"), stranger = media_addr("198.51.100.1:4001");
    gw_bridge_rtcp_packet(w.bridge, packet, (size_t)len, &stranger, w.now_us);
    assert_int_equal(media_stats(&w).rtcp_rx, 0);
    gw_bridge_rtcp_packet(w.bridge, packet, (size_t)len, &from, w.now_us);
    const struct gw_bridge_stats st = media_stats(&w);
    assert_int_equal(st.rtcp_rx, 1);
    assert_int_equal(st.peer_fraction_lost, 26);
    assert_int_equal(st.peer_lost, 25);
    assert_int_equal(st.peer_jitter_us, 10000);
    assert_in_range(st.rtt_us, 40000, 61000);
    assert_false(st.peer_bye);
    media_advance(&w, 5000000);
    assert_true(wz_addr_equal(&w.rtcp_to, &from)); /* where its RTCP comes from */
    assert_int_equal(w.rtcp.block[0].last_sr, 0x567890ab);
    report.bye = true;
    len = gw_rtcp_encode(&report, packet, sizeof packet);
    gw_bridge_rtcp_packet(w.bridge, packet, (size_t)len, &from, w.now_us);
    assert_true(media_stats(&w).peer_bye);
    gw_bridge_rtcp_packet(w.bridge, packet, 7, &from, w.now_us);
    assert_int_equal(media_stats(&w).rtcp_bad, 1);
    media_world_done(&w);
}

static void bad_configurations_are_refused(void **state)
{
    struct gw_bridge_config config;
    struct gw_bridge *b = NULL;

    (void)state;
    for (unsigned i = 0; i < 7; i++) {
        config = media_world_config(GW_CODEC_PCMU);
        if (i == 0)
            config.rtp.payload_type = 128;
        else if (i == 1)
            config.rtp.ptime_ms = 70;
        else if (i == 2)
            config.rtp.ptime_ms = 15;
        else if (i == 3)
            config.rtp.dtmf_payload_type = config.rtp.payload_type;
        else if (i == 4)
            config.wzp.profile = WZP_CODEC_COMFORT_NOISE;
        else if (i == 5)
            config.wzp.complexity = 11;
        else
            config.jitter_min_ms = 500;
        assert_int_equal(gw_bridge_new(&b, &config, 0), -EINVAL);
        assert_null(b);
    }
    gw_bridge_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_of_the_phone_reaches_wzp),
        cmocka_unit_test(speech_of_wzp_reaches_the_phone),
        cmocka_unit_test(every_packet_time_is_sent),
        cmocka_unit_test(loss_duplicates_and_reordering_are_survived),
        cmocka_unit_test(a_phone_that_pauses_is_not_losing),
        cmocka_unit_test(frames_are_sent_only_when_the_path_is_up),
        cmocka_unit_test(a_stall_is_skipped_not_made_up_in_a_burst),
        cmocka_unit_test(opus_passes_bit_exact_to_wzp_and_loss_stays_visible),
        cmocka_unit_test(opus_passes_bit_exact_to_the_phone),
        cmocka_unit_test(frames_of_40_ms_pass_as_the_40_ms_profile),
        cmocka_unit_test(wzp_packets_without_opus_leave_no_gap_at_the_phone),
        cmocka_unit_test(frames_that_wzp_does_not_have_are_encoded_anew),
        cmocka_unit_test(unknown_codecs_and_stubs_are_counted_and_the_call_lives),
        cmocka_unit_test(comfort_noise_is_heard_as_noise),
        cmocka_unit_test(forty_ms_frames_of_the_peer_are_played),
        cmocka_unit_test(quality_reports_are_sent_every_fifty_frames_once_there_are_figures),
        cmocka_unit_test(the_peers_report_is_kept_and_is_no_audio),
        cmocka_unit_test(rtcp_reports_go_out_every_five_seconds),
        cmocka_unit_test(the_phones_rtcp_tells_loss_and_round_trip),
        cmocka_unit_test(bad_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, make_speech, drop_speech);
}
