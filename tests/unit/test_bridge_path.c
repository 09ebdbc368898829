/* A call whose WZP path changes, relay to direct and back, while the peer speaks: what the phone hears. The peer is played
 * with all it may do there: number anew or go on, lose what was under way, be overtaken by its own new path. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/support/media_world.h"
#include "tests/support/speech.h"

#define FRAME    160
#define FRAME_US 20000
#define MS_US    1000
/** When the path changes, in frames: from the relay to direct, and back. */
#define TO_DIRECT 125
#define TO_RELAY  275
/** What a change may cost beside what the network itself lost: the jitter buffer's start, and its proof of a new stream. */
#define DROPOUT_MAX_MS 100
/** Of both changes together: frames of 20 ms. */
#define NOT_TAKEN_MAX  (2 * DROPOUT_MAX_MS / 20)
#define SIMILARITY_MIN 0.7

enum notice {
    NOTICE_FIRST, /**< our line said so before the first packet of the new path */
    NOTICE_LATE,  /**< 200 ms after it */
    NOTICE_NONE,  /**< only the peer's path changed */
};

struct scenario {
    bool numbers_anew;
    enum notice notice;
    unsigned relay_ms, direct_ms; /**< one way */
    unsigned lost;                /**< frames that each change costs */
};

struct speech {
    int16_t *pcm;
    size_t count;
};

/** One packet under way. */
struct flight {
    uint64_t arrives_us;
    struct wzp_media_hdr hdr;
    size_t len;
    uint8_t payload[200];
};

static int make_speech(void **state)
{
    struct speech *s = calloc(1, sizeof *s);

    if (!s || speech_make_pcm(SPEECH_MAIN, 8000, &s->pcm, &s->count) < 0) {
        print_error("no speech: is espeak-ng installed? ./dev setup installs it\n");
        free(s);
        return -1;
    }
    *state = s;
    return 0;
}

static int drop_speech(void **state)
{
    struct speech *s = *state;

    free(s->pcm);
    free(s);
    return 0;
}

static bool is_direct(unsigned frame)
{
    return frame >= TO_DIRECT && frame < TO_RELAY;
}

static unsigned frames_since_change(unsigned frame)
{
    return frame >= TO_RELAY ? frame - TO_RELAY : frame >= TO_DIRECT ? frame - TO_DIRECT : frame;
}

static bool is_lost(const struct scenario *sc, unsigned frame)
{
    return frame >= TO_DIRECT && frames_since_change(frame) < sc->lost;
}

static int by_arrival(const void *a, const void *b)
{
    const struct flight *x = a, *y = b;
    return x->arrives_us < y->arrives_us ? -1 : x->arrives_us > y->arrives_us;
}

/** Everything that the peer says, in the order in which it arrives. */
static size_t send_all(const struct scenario *sc, struct media_world *w, const struct speech *s, struct flight *flight)
{
    size_t count = 0;

    for (unsigned frame = 0; (frame + 1) * FRAME <= s->count; frame++) {
        struct flight *f = &flight[count];
        if (sc->numbers_anew && frame >= TO_DIRECT && frames_since_change(frame) == 0)
            w->peer_seq = 0, w->peer_ts_ms = 0;
        const int len = gw_opus_encode(w->encoder, s->pcm + frame * FRAME, FRAME, f->payload, sizeof f->payload);
        assert_true(len > 0);
        f->len = (size_t)len;
        f->hdr =
            (struct wzp_media_hdr){ .codec = WZP_CODEC_OPUS_24K, .seq = w->peer_seq++, .timestamp_ms = w->peer_ts_ms };
        f->arrives_us = w->start_us + frame * FRAME_US + (is_direct(frame) ? sc->direct_ms : sc->relay_ms) * MS_US;
        w->peer_ts_ms += 20;
        count += !is_lost(sc, frame);
    }
    qsort(flight, count, sizeof *flight, by_arrival);
    return count;
}

/** When our own line speaks of the change, 0: never. */
static uint64_t notice_at_us(const struct scenario *sc, const struct media_world *w, unsigned frame)
{
    const unsigned delay_ms = frame == TO_DIRECT ? sc->direct_ms : sc->relay_ms;
    const uint64_t first_us = w->start_us + (frame + sc->lost) * FRAME_US + delay_ms * MS_US;

    return sc->notice == NOTICE_NONE ? 0 : sc->notice == NOTICE_FIRST ? first_us : first_us + 200 * MS_US;
}

static void advance_to(struct media_world *w, uint64_t at_us)
{
    if (at_us > w->now_us)
        media_advance(w, at_us - w->now_us);
}

static void play(const struct scenario *sc, struct media_world *w, const struct speech *s)
{
    struct flight *flight = calloc(s->count / FRAME, sizeof *flight);
    assert_non_null(flight);
    const size_t count = send_all(sc, w, s, flight);
    uint64_t notice_us[] = { notice_at_us(sc, w, TO_DIRECT), notice_at_us(sc, w, TO_RELAY) };

    for (size_t i = 0; i < count; i++) {
        for (unsigned n = 0; n < 2; n++) {
            if (notice_us[n] && notice_us[n] <= flight[i].arrives_us) {
                advance_to(w, notice_us[n]);
                gw_bridge_restart_wzp(w->bridge);
                notice_us[n] = 0;
            }
        }
        advance_to(w, flight[i].arrives_us);
        media_peer_packet(w, &flight[i].hdr, wz_bytes(flight[i].payload, flight[i].len));
    }
    media_advance(w, 1000 * MS_US);
    free(flight);
}

/** What somebody at the phone hears: Opus goes through a jitter buffer there, as any phone has one. */
static void hear(const struct media_world *w, struct judge_audio *ret)
{
    const struct gw_playout_config config = { .codec = GW_CODEC_OPUS, .clock_hz = 48000, .rate_hz = 8000 };
    struct judge_audio audio = { .rate_hz = 8000 };
    struct gw_playout *phone;
    size_t next = 0;

    if (w->config.rtp.codec != GW_CODEC_OPUS) {
        media_decode_rtp(w, ret);
        return;
    }
    const size_t frames = (size_t)((w->now_us - w->start_us) / FRAME_US);
    audio.sample = calloc(frames * FRAME, sizeof *audio.sample);
    assert_non_null(audio.sample);
    assert_int_equal(gw_playout_new(&phone, &config), 0);
    for (size_t frame = 0; frame < frames; frame++) {
        const uint64_t now_us = w->start_us + frame * FRAME_US;
        int16_t pcm[GW_PLAYOUT_SAMPLES_MAX];
        for (; next < w->rtp_count && w->rtp[next].at_us <= now_us; next++) {
            const struct media_rtp *p = &w->rtp[next];
            (void)gw_playout_put(phone, p->hdr.seq, p->hdr.timestamp_ticks, wz_bytes(p->payload, p->len), p->at_us);
        }
        (void)gw_playout_pull(phone, now_us, pcm);
        for (unsigned n = 0; n < FRAME; n++)
            audio.sample[audio.count++] = (float)pcm[n] / 32768.0f;
    }
    gw_playout_free(phone);
    *ret = audio;
}

static void assert_continuous(const struct speech *s, enum gw_codec codec, const struct scenario *sc)
{
    const struct gw_bridge_config config = media_world_config(codec);
    const unsigned overtaken_ms = sc->relay_ms > sc->direct_ms ? sc->relay_ms - sc->direct_ms : 0;
    struct judge_audio ref, got;
    struct judge_result result;
    struct media_world w;

    media_world_init(&w, &config);
    play(sc, &w, s);
    hear(&w, &got);
    assert_int_equal(judge_audio_from_pcm(s->pcm, s->count, 8000, &ref), 0);
    assert_int_equal(judge_compare(&ref, &got, &result), 0);
    const struct gw_bridge_stats stats = media_stats(&w);
    const uint64_t not_taken = stats.wzp_late + stats.wzp_duplicate;
    const double dropout_max_ms = DROPOUT_MAX_MS + sc->lost * 20 + overtaken_ms;
    if (getenv("V"))
        print_message("%d anew %d notice %d %u %u %u: drop %.0f at %.2f sim %.3f not taken %d\n", codec,
                      sc->numbers_anew, sc->notice, sc->relay_ms, sc->direct_ms, sc->lost, result.longest_dropout_ms,
                      result.dropout_at_s, result.similarity, (int)not_taken);
    if (result.longest_dropout_ms > dropout_max_ms || not_taken > NOT_TAKEN_MAX || result.similarity < SIMILARITY_MIN)
        fail_msg(
            "codec %d, anew %d, notice %d, relay %u ms, direct %u ms, lost %u: drop-out of %.0f ms at %.2f s, %llu "
            "packets not taken, similarity %.3f",
            (int)codec, (int)sc->numbers_anew, (int)sc->notice, sc->relay_ms, sc->direct_ms, sc->lost,
            result.longest_dropout_ms, result.dropout_at_s, (unsigned long long)not_taken, result.similarity);
    judge_audio_done(&ref);
    judge_audio_done(&got);
    media_world_done(&w);
}

/** Numbering and notice in every combination. */
static void assert_all_continuous(const struct speech *s, unsigned relay_ms, unsigned direct_ms, unsigned lost)
{
    static const enum gw_codec codecs[] = { GW_CODEC_PCMU, GW_CODEC_OPUS };

    for (unsigned n = 0; n < 2 * 2 * 3; n++) {
        const struct scenario sc = {
            .numbers_anew = n & 1,
            .notice = (enum notice)(n / 4),
            .relay_ms = relay_ms,
            .direct_ms = direct_ms,
            .lost = lost,
        };
        assert_continuous(s, codecs[n / 2 % 2], &sc);
    }
}

static void speech_goes_on_when_the_path_changes(void **state)
{
    assert_all_continuous(*state, 20, 20, 0);
}

static void speech_goes_on_when_the_change_costs_packets(void **state)
{
    assert_all_continuous(*state, 40, 20, 3);
    assert_all_continuous(*state, 30, 30, 10);
}

static void speech_goes_on_when_the_new_path_overtakes_the_old_one(void **state)
{
    assert_all_continuous(*state, 60, 20, 0);
    assert_all_continuous(*state, 90, 20, 0);
    assert_all_continuous(*state, 120, 15, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_goes_on_when_the_path_changes),
        cmocka_unit_test(speech_goes_on_when_the_change_costs_packets),
        cmocka_unit_test(speech_goes_on_when_the_new_path_overtakes_the_old_one),
    };
    return cmocka_run_group_tests(tests, make_speech, drop_speech);
}
