/* Codec2 and its repair through the whole bridge in virtual time: a peer that sends as every implementation does, a lossy
 * path with a seed, a phone that listens. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/codec_codec2.h"
#include "gateway/media/wzp_tx.h"
#include "tests/support/media_world.h"
#include "tests/support/speech.h"

#define FRAME    160
#define FRAME_US 20000
#define SEED     20261122u
/** Datagrams under way at once, when the path delays them. */
#define PATH_MAX_PACKETS 64

struct speech {
    int16_t *pcm;
    size_t count;
    struct judge_audio audio;
};

/* ---- a WZP peer with a lossy path ---- */

struct underway {
    uint64_t due_us; /**< 0: free */
    struct wzp_media_hdr hdr;
    size_t len;
    uint8_t payload[WZP_MEDIA_DATAGRAM_MAX];
};

struct peer {
    struct media_world *world;
    unsigned delay_max_ms; /**< each packet takes 0 to this long: some overtake others */
    struct underway path[PATH_MAX_PACKETS];
    struct gw_wzp_tx *tx;
    uint16_t seq;
    uint32_t timestamp_ms;
    uint32_t random;
    unsigned loss_percent;
    bool keeps_audio, keeps_other;
    unsigned sent, lost;
};

static uint32_t draw(struct peer *peer)
{
    peer->random = peer->random * 1664525u + 1013904223u;
    return peer->random >> 16;
}

static void put_underway(struct peer *peer, const struct wzp_media_hdr *hdr, struct wz_bytes payload)
{
    for (unsigned i = 0; i < PATH_MAX_PACKETS; i++) {
        struct underway *u = &peer->path[i];
        if (u->due_us)
            continue;
        u->due_us = peer->world->now_us + draw(peer) % (peer->delay_max_ms + 1) * 1000u;
        u->hdr = *hdr;
        u->len = payload.len;
        memcpy(u->payload, payload.data, payload.len);
        return;
    }
    fail_msg("more packets under way than this path holds");
}

/* To now + us, packets arriving when they are due. */
static void advance(struct peer *peer, uint64_t us)
{
    const uint64_t until_us = peer->world->now_us + us;

    for (;;) {
        struct underway *next = NULL;
        for (unsigned i = 0; i < PATH_MAX_PACKETS; i++) {
            struct underway *u = &peer->path[i];
            if (u->due_us && u->due_us <= until_us && (!next || u->due_us < next->due_us))
                next = u;
        }
        if (!next)
            break;
        if (next->due_us > peer->world->now_us)
            media_advance(peer->world, next->due_us - peer->world->now_us);
        media_peer_packet(peer->world, &next->hdr, wz_bytes(next->payload, next->len));
        next->due_us = 0;
    }
    media_advance(peer->world, until_us - peer->world->now_us);
}

static void on_packet(void *arg, const struct gw_wzp_tx_packet *packet)
{
    struct peer *peer = arg;
    const struct wzp_media_hdr hdr = {
        .codec = packet->codec,
        .is_repair = packet->is_repair,
        .fec_ratio = packet->fec_ratio,
        .fec_block = packet->fec_block,
        .fec_symbol = packet->fec_symbol,
        .seq = peer->seq++,
        .timestamp_ms = peer->timestamp_ms,
    };

    peer->timestamp_ms += packet->duration_ms;
    peer->sent++;
    const bool is_kept = packet->duration_ms > 0 ? peer->keeps_audio : peer->keeps_other;
    if (draw(peer) % 100 < peer->loss_percent && !is_kept) {
        peer->lost++;
        return;
    }
    if (peer->delay_max_ms == 0)
        media_peer_packet(peer->world, &hdr, packet->payload);
    else
        put_underway(peer, &hdr, packet->payload);
}

static void on_silence(void *arg, unsigned ms)
{
    struct peer *peer = arg;
    peer->timestamp_ms += ms;
}

static void peer_init(struct peer *peer, struct media_world *w, unsigned loss_percent, bool suppress)
{
    const struct gw_wzp_tx_config config = { .rate_hz = 8000,
                                             .complexity = 5,
                                             .suppress_silence = suppress,
                                             .packet = on_packet,
                                             .silence = on_silence,
                                             .arg = peer };
    *peer = (struct peer){ .world = w, .random = SEED, .loss_percent = loss_percent };
    assert_int_equal(gw_wzp_tx_new(&peer->tx, &config), 0);
}

static void peer_speaks(struct peer *peer, enum wzp_codec codec, const int16_t *pcm)
{
    memcpy(gw_wzp_tx_room(peer->tx), pcm, FRAME * sizeof *pcm);
    assert_int_equal(gw_wzp_tx_push(peer->tx, codec), 0);
    advance(peer, FRAME_US);
}

static void peer_speaks_all(struct peer *peer, enum wzp_codec codec, const struct speech *s)
{
    for (size_t i = 0; i + FRAME <= s->count; i += FRAME)
        peer_speaks(peer, codec, s->pcm + i);
    media_advance(peer->world, 20 * FRAME_US); /* what waits in the jitter buffer */
}

static struct judge_result judge(const struct speech *s, struct judge_audio *got, const char *what)
{
    struct judge_result r;

    assert_int_equal(judge_compare(&s->audio, got, &r), 0);
    print_message("    %s: similarity %.3f drop-out %.0f ms at %.2f s delay %.1f ms wander %.1f ms\n", what,
                  r.similarity, r.longest_dropout_ms, r.dropout_at_s, r.delay_ms, r.delay_wander_ms);
    judge_audio_done(got);
    return r;
}

/* ---- lossless ---- */

/* The codec by itself: what the bridge is measured against. */
static double bare_similarity(const struct speech *s, enum wzp_codec codec)
{
    const size_t samples = gw_codec2_frame_samples(codec);
    struct gw_codec2_encoder *encoder;
    struct gw_codec2_decoder *decoder;
    struct judge_audio got;
    struct judge_result r;
    int16_t *pcm = malloc((s->count + samples) * sizeof *pcm);
    size_t done = 0;

    assert_non_null(pcm);
    assert_int_equal(gw_codec2_encoder_new(&encoder, codec), 0);
    assert_int_equal(gw_codec2_decoder_new(&decoder, codec), 0);
    for (; done + samples <= s->count; done += samples) {
        uint8_t frame[GW_CODEC2_BYTES_MAX];
        int16_t out[GW_CODEC2_SAMPLES_MAX];
        const size_t len = gw_codec2_encode(encoder, s->pcm + done, frame);
        assert_int_equal(gw_codec2_decode(decoder, wz_bytes(frame, len), out), samples);
        memcpy(pcm + done, out, samples * sizeof *pcm);
    }
    assert_int_equal(judge_audio_from_pcm(pcm, done, 8000, &got), 0);
    assert_int_equal(judge_compare(&s->audio, &got, &r), 0);
    print_message("    bare %s: similarity %.3f drop-out %.0f ms delay %.1f ms\n", wzp_codec_name(codec), r.similarity,
                  r.longest_dropout_ms, r.delay_ms);
    judge_audio_done(&got);
    gw_codec2_encoder_free(encoder);
    gw_codec2_decoder_free(decoder);
    free(pcm);
    return r.similarity;
}

static void judge_codec(const struct speech *s, enum wzp_codec codec, double least)
{
    const double bare = bare_similarity(s, codec);
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;
    struct peer peer;
    struct judge_audio got;

    media_world_init(&w, &config);
    peer_init(&peer, &w, 10, false);
    peer.keeps_audio = true; /* the delay stays as it is: the judge cannot follow a change under a vocoder */
    peer_speaks_all(&peer, codec, s);
    const struct gw_bridge_stats st = media_stats(&w);
    assert_int_equal(st.wzp_codec_rx, codec);
    assert_int_equal(st.wzp_unrepaired, 0);
    assert_int_equal(st.wzp_repaired, 0);
    assert_int_equal(st.wzp_bad, 0);
    media_decode_rtp(&w, &got);
    const double similarity = judge(s, &got, wzp_codec_name(codec)).similarity;
    assert_true(similarity >= least);
    assert_true(similarity >= bare - 0.02);
    gw_wzp_tx_free(peer.tx);
    media_world_done(&w);
}

static void codec2_speech_of_the_peer_is_heard_in_both_modes(void **state)
{
    judge_codec(*state, WZP_CODEC_CODEC2_3200, 0.70);
    judge_codec(*state, WZP_CODEC_CODEC2_1200, 0.60);
}

/* ---- loss ---- */

struct residual {
    uint64_t frames, concealed, unrepaired, repaired;
    double packet_loss_pct;
};

/* A minute of speech; what is concealed in the first two seconds, while the delay settles, is left out. */
static struct residual residual_loss(const struct speech *s, enum wzp_codec codec, unsigned loss_percent,
                                     unsigned delay_max_ms)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    const unsigned pushes = 3000, settled = 100;
    struct residual r = { 0 };
    struct media_world w;
    struct peer peer;

    media_world_init(&w, &config);
    peer_init(&peer, &w, loss_percent, false);
    peer.delay_max_ms = delay_max_ms;
    for (unsigned n = 0; n < pushes; n++) {
        peer_speaks(&peer, codec, s->pcm + n % (s->count / FRAME) * FRAME);
        if (n == settled) {
            r.concealed = media_stats(&w).wzp_concealed;
            r.unrepaired = media_stats(&w).wzp_unrepaired;
        }
    }
    const struct gw_bridge_stats st = media_stats(&w);
    r.frames = (pushes - settled) * GW_PLAYOUT_FRAME_MS / wzp_codec_frame_ms(codec);
    r.concealed = st.wzp_concealed - r.concealed;
    r.unrepaired = st.wzp_unrepaired - r.unrepaired;
    r.repaired = st.wzp_repaired;
    r.packet_loss_pct = 100.0 * peer.lost / peer.sent;
    print_message("    %s, seed %u: %.1f %% of the packets lost, %.2f %% of the frames concealed, %u brought back, "
                  "delay %u ms\n",
                  wzp_codec_name(codec), SEED, r.packet_loss_pct, 100.0 * (double)r.concealed / (double)r.frames,
                  (unsigned)r.repaired, st.wzp_delay_us / 1000);
    gw_wzp_tx_free(peer.tx);
    media_world_done(&w);
    return r;
}

static void residual_loss_at_20_percent_is_at_most_half_a_percent_with_8_and_8(void **state)
{
    const struct residual r = residual_loss(*state, WZP_CODEC_CODEC2_1200, 20, 0);

    assert_true(r.packet_loss_pct > 18 && r.packet_loss_pct < 22);
    assert_true(r.repaired > r.frames / 10);
    assert_true((double)r.concealed <= 0.005 * (double)r.frames);
}

static void residual_loss_at_20_percent_is_at_most_4_percent_with_5_and_3(void **state)
{
    const struct residual r = residual_loss(*state, WZP_CODEC_CODEC2_3200, 20, 0);

    assert_true(r.packet_loss_pct > 18 && r.packet_loss_pct < 22);
    assert_true(r.repaired > r.frames / 10);
    assert_true((double)r.concealed <= 0.04 * (double)r.frames);
}

/* Packets that come up to 60 ms late and overtake one another: the 97th percentile of lateness is waited for. */
static void loss_on_a_path_that_jitters_and_reorders_is_repaired_too(void **state)
{
    const struct residual slow = residual_loss(*state, WZP_CODEC_CODEC2_1200, 20, 60);
    const struct residual fast = residual_loss(*state, WZP_CODEC_CODEC2_3200, 20, 60);

    assert_true((double)slow.concealed <= 0.01 * (double)slow.frames);
    assert_true((double)fast.concealed <= 0.05 * (double)fast.frames);
}

/* Without loss nobody waits for repair for long. */
static void delay_for_repair_goes_when_there_is_no_loss_and_comes_back_with_it(void **state)
{
    const struct speech *s = *state;
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    uint32_t delay_ms[3];
    struct media_world w;
    struct peer peer;

    media_world_init(&w, &config);
    peer_init(&peer, &w, 0, false);
    for (unsigned n = 0; n < 2500; n++) {
        peer.loss_percent = n < 1500 ? 0 : 10;
        peer_speaks(&peer, WZP_CODEC_CODEC2_1200, s->pcm + n % (s->count / FRAME) * FRAME);
        if (n == 200 || n == 1499)
            delay_ms[n == 1499] = media_stats(&w).wzp_delay_us / 1000;
    }
    delay_ms[2] = media_stats(&w).wzp_delay_us / 1000;
    print_message("    delay %u ms at first, %u ms after 30 s without loss, %u ms with loss\n", delay_ms[0],
                  delay_ms[1], delay_ms[2]);
    assert_in_range(delay_ms[0], 280, 380);
    assert_in_range(delay_ms[1], 10, 120);
    assert_in_range(delay_ms[2], 260, 400);
    gw_wzp_tx_free(peer.tx);
    media_world_done(&w);
}

/* ---- changes ---- */

static void codec_of_the_peer_may_change_on_any_frame(void **state)
{
    static const enum wzp_codec codecs[] = { WZP_CODEC_OPUS_24K,    WZP_CODEC_CODEC2_3200, WZP_CODEC_OPUS_6K,
                                             WZP_CODEC_CODEC2_1200, WZP_CODEC_OPUS_64K,    WZP_CODEC_CODEC2_3200,
                                             WZP_CODEC_CODEC2_1200, WZP_CODEC_OPUS_16K };
    const struct speech *s = *state;
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMA);
    struct media_world w;
    struct peer peer;
    struct judge_audio got;

    media_world_init(&w, &config);
    peer_init(&peer, &w, 0, false);
    for (size_t i = 0, n = 0; i + FRAME <= s->count; i += FRAME, n++)
        peer_speaks(&peer, codecs[n / 50 % (sizeof codecs / sizeof codecs[0])], s->pcm + i);
    assert_int_equal(media_stats(&w).wzp_lost, 0);
    assert_int_equal(media_stats(&w).wzp_bad, 0);
    media_decode_rtp(&w, &got);
    const struct judge_result r = judge(s, &got, "changing every second");
    assert_true(r.similarity >= 0.60);
    gw_wzp_tx_free(peer.tx);
    media_world_done(&w);
}

/* A phone that speaks Opus cannot play Codec2: it gets Opus made of it, and the peer's own Opus again afterwards. */
static void phone_with_opus_hears_codec2_and_then_the_peers_own_packets_again(void **state)
{
    const struct speech *s = *state;
    const struct gw_bridge_config config = media_world_config(GW_CODEC_OPUS);
    struct media_world w;
    struct peer peer;
    struct judge_audio got = { .rate_hz = 8000 };
    struct gw_opus_decoder *decoder;

    media_world_init(&w, &config);
    peer_init(&peer, &w, 10, false);
    peer.keeps_audio = true; /* the delay stays as it is */
    assert_int_equal(gw_opus_decoder_new(&decoder, 8000), 0);
    peer_speaks_all(&peer, WZP_CODEC_CODEC2_3200, s);
    assert_false(media_stats(&w).pass_through_wzp);
    got.sample = calloc(w.rtp_count * FRAME, sizeof *got.sample);
    assert_non_null(got.sample);
    for (size_t i = 0; i < w.rtp_count; i++) {
        int16_t pcm[FRAME];
        assert_int_equal(gw_opus_decode(decoder, wz_bytes(w.rtp[i].payload, w.rtp[i].len), pcm, FRAME), FRAME);
        for (unsigned k = 0; k < FRAME; k++)
            got.sample[got.count++] = pcm[k] / 32768.0f;
        assert_int_equal(w.rtp[i].hdr.seq, (uint16_t)(w.rtp[0].hdr.seq + i));
        assert_int_equal(w.rtp[i].hdr.timestamp_ticks, w.rtp[0].hdr.timestamp_ticks + 960 * (uint32_t)i);
    }
    assert_true(judge(s, &got, "Codec2_3200 to an Opus phone").similarity >= 0.68);
    for (unsigned n = 0; n < 60; n++)
        peer_speaks(&peer, WZP_CODEC_OPUS_24K, s->pcm + (size_t)n * FRAME);
    assert_true(media_stats(&w).pass_through_wzp);
    for (size_t i = 1; i < w.rtp_count; i++)
        assert_int_equal(w.rtp[i].hdr.seq, (uint16_t)(w.rtp[i - 1].hdr.seq + 1));
    gw_opus_decoder_free(decoder);
    gw_wzp_tx_free(peer.tx);
    media_world_done(&w);
}

/* Comfort noise within a block: numbers no longer follow symbols one to one, the frames still find their places. */
static void suppressed_silence_within_blocks_neither_loses_nor_misplaces_frames(void **state)
{
    const struct speech *s = *state;
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    static const int16_t silence[FRAME];
    struct media_world w;
    struct peer peer;

    media_world_init(&w, &config);
    peer_init(&peer, &w, 5, true);
    peer.keeps_other = true;
    for (unsigned n = 0; n < 3000; n++) {
        const bool speaks = n % 60 < 23;
        peer_speaks(&peer, WZP_CODEC_CODEC2_3200, speaks ? s->pcm + (50 + n % 23) * FRAME : silence);
    }
    const struct gw_bridge_stats st = media_stats(&w);
    print_message("    %u brought back, %u concealed, %u comfort noise\n", (unsigned)st.wzp_repaired,
                  (unsigned)st.wzp_unrepaired, (unsigned)st.wzp_comfort_noise);
    assert_true(st.wzp_comfort_noise > 100);
    assert_true(st.wzp_repaired > 20);
    assert_true(st.wzp_unrepaired <= st.wzp_repaired / 3);
    gw_wzp_tx_free(peer.tx);
    media_world_done(&w);
}

static int make_speech(void **state)
{
    static struct speech s;

    if (speech_make_pcm(SPEECH_MAIN, 8000, &s.pcm, &s.count) < 0 ||
        judge_audio_from_pcm(s.pcm, s.count, 8000, &s.audio) < 0)
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
        cmocka_unit_test(codec2_speech_of_the_peer_is_heard_in_both_modes),
        cmocka_unit_test(residual_loss_at_20_percent_is_at_most_half_a_percent_with_8_and_8),
        cmocka_unit_test(residual_loss_at_20_percent_is_at_most_4_percent_with_5_and_3),
        cmocka_unit_test(loss_on_a_path_that_jitters_and_reorders_is_repaired_too),
        cmocka_unit_test(delay_for_repair_goes_when_there_is_no_loss_and_comes_back_with_it),
        cmocka_unit_test(codec_of_the_peer_may_change_on_any_frame),
        cmocka_unit_test(phone_with_opus_hears_codec2_and_then_the_peers_own_packets_again),
        cmocka_unit_test(suppressed_silence_within_blocks_neither_loses_nor_misplaces_frames),
    };
    return cmocka_run_group_tests(tests, make_speech, free_speech);
}
