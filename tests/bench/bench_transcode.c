/* How many calls one core carries: G.711 <-> Opus through the bridge, both directions, packets in and packets out without
 * sockets, against bare libopus doing the same frames at the same settings. Also pass-through, and memory.
 * The two are measured in turns on the same thread, so that a busy machine slows both; the median of the turns counts. */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <opus.h>

#include "gateway/media/bridge.h"
#include "gateway/media/codec_g711.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/rng.h"

#define CALLS      100 /* interleaved, so that states do not stay in the first cache */
#define FRAMES     100 /* per call and turn: two seconds */
#define TURNS      7
#define FRAME      160
#define FRAME_US   20000
#define RATE       8000
#define BITRATE    24000
#define COMPLEXITY 5
#define PACKET_MAX 400
#define START_US   1000000u

/** Two seconds of one voice, in every form it takes on the way. */
static int16_t speech[FRAMES * FRAME];
static uint8_t g711[FRAMES * FRAME];
static uint8_t opus[FRAMES][PACKET_MAX];
static int opus_len[FRAMES];

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "bench_transcode: %s\n", what);
    exit(1);
}

/* Voiced and unvoiced stretches with pauses: a pitch that wanders, harmonics under moving formants, noise. */
static void make_speech(void)
{
    double phase = 0;
    uint32_t noise = 1;

    for (int i = 0; i < FRAMES * FRAME; i++) {
        const double t = (double)i / RATE, syllable = fmax(0, sin(2 * 3.14159265 * 3.1 * t));
        const double pitch = 115 + 25 * sin(2 * 3.14159265 * 0.7 * t);
        const double formant = 600 + 300 * sin(2 * 3.14159265 * 1.3 * t);
        double v = 0;
        phase += 2 * 3.14159265 * pitch / RATE;
        for (int h = 1; h * pitch < 3400; h++)
            v += sin(h * phase) / (1 + pow((h * pitch - formant) / 250, 2));
        noise = noise * 1664525 + 1013904223;
        const double hiss = (double)(int32_t)noise / 2147483648.0 * (sin(2 * 3.14159265 * 5 * t) > 0.8 ? 0.4 : 0.02);
        speech[i] = (int16_t)(6000 * (syllable * v * 0.5 + hiss));
    }
}

static OpusEncoder *new_encoder(void)
{
    OpusEncoder *e = opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, NULL);

    check(e, "no encoder");
    check(opus_encoder_ctl(e, OPUS_SET_BITRATE(BITRATE)) == OPUS_OK &&
              opus_encoder_ctl(e, OPUS_SET_COMPLEXITY(COMPLEXITY)) == OPUS_OK &&
              opus_encoder_ctl(e, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE)) == OPUS_OK,
          "encoder settings");
    return e;
}

static void make_material(void)
{
    OpusEncoder *e = new_encoder();

    make_speech();
    gw_g711_encode(GW_G711_ULAW, speech, FRAMES * FRAME, g711);
    gw_g711_decode(GW_G711_ULAW, g711, FRAMES * FRAME, speech); /* both sides encode the very same samples */
    for (int f = 0; f < FRAMES; f++) {
        opus_len[f] = opus_encode(e, speech + f * FRAME, FRAME, opus[f], PACKET_MAX);
        check(opus_len[f] > 0, "encoding");
    }
    opus_encoder_destroy(e);
}

/* ---- the floor ---- */

static uint64_t floor_turn(OpusEncoder **enc, OpusDecoder **dec)
{
    const uint64_t start_us = wz_cpu_thread_us();
    uint8_t packet[PACKET_MAX];
    int16_t pcm[FRAME];

    for (int f = 0; f < FRAMES; f++) {
        for (int c = 0; c < CALLS; c++) {
            check(opus_encode(enc[c], speech + f * FRAME, FRAME, packet, PACKET_MAX) > 0, "encode");
            check(opus_decode(dec[c], opus[f], opus_len[f], pcm, FRAME, 0) == FRAME, "decode");
        }
    }
    return wz_cpu_thread_us() - start_us;
}

/* ---- the bridge ---- */

struct sink {
    uint64_t rtp, wzp;
};

static void on_rtp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    struct sink *sink = arg;

    (void)data, (void)len, (void)to;
    sink->rtp++;
}

static void on_rtcp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    (void)arg, (void)data, (void)len, (void)to;
}

static void on_wzp(void *arg, struct wz_bytes datagram)
{
    struct sink *sink = arg;

    (void)datagram;
    sink->wzp++;
}

struct calls {
    struct gw_bridge *bridge[CALLS];
    struct sink sink;
    struct wz_addr phone;
    enum gw_codec codec;
    uint64_t now_us;
    uint16_t seq;
    uint32_t media_ms;
};

static void calls_init(struct calls *calls, enum gw_codec codec)
{
    struct gw_bridge_config config = {
        .rtp = { .codec = codec,
                 .payload_type = codec == GW_CODEC_OPUS ? 111 : 0,
                 .dtmf_payload_type = 101,
                 .send = true,
                 .recv = true },
        .wzp = { .profile = WZP_CODEC_OPUS_24K, .complexity = COMPLEXITY },
        .rng = &wz_rng_system,
        .send_rtp = on_rtp,
        .send_rtcp = on_rtcp,
        .send_wzp = on_wzp,
        .arg = &calls->sink,
    };

    *calls = (struct calls){ .codec = codec, .now_us = START_US };
    check(wz_addr_parse("192.0.2.1:4000", &calls->phone) == 0, "address");
    config.rtp.remote = config.rtp.signalling = calls->phone;
    for (int c = 0; c < CALLS; c++) {
        check(gw_bridge_new(&calls->bridge[c], &config, calls->now_us) == 0, "bridge");
        gw_bridge_set_wzp_ready(calls->bridge[c], true);
    }
}

static void calls_done(struct calls *calls)
{
    for (int c = 0; c < CALLS; c++)
        gw_bridge_free(calls->bridge[c]);
}

static uint64_t bridge_turn(struct calls *calls)
{
    const uint64_t start_us = wz_cpu_thread_us();
    uint8_t rtp[GW_RTP_PACKET_MAX], wzp[WZP_MEDIA_DATAGRAM_MAX];

    for (int f = 0; f < FRAMES; f++) {
        const bool is_opus = calls->codec == GW_CODEC_OPUS;
        const struct gw_rtp_hdr hdr = { .payload_type = is_opus ? 111 : 0,
                                        .seq = calls->seq,
                                        .ssrc = 1,
                                        .timestamp_ticks = calls->media_ms * (is_opus ? 48 : 8) };
        const struct wzp_media_hdr media = { .codec = WZP_CODEC_OPUS_24K,
                                             .seq = calls->seq,
                                             .timestamp_ms = calls->media_ms };
        const struct wz_bytes frame = wz_bytes(opus[f], (size_t)opus_len[f]);
        const int rtp_len = gw_rtp_encode(&hdr, is_opus ? frame : wz_bytes(g711 + f * FRAME, FRAME), rtp, sizeof rtp);
        const int wzp_len = wzp_media_encode(&media, frame, wzp, sizeof wzp);
        for (int c = 0; c < CALLS; c++) {
            gw_bridge_rtp_packet(calls->bridge[c], rtp, (size_t)rtp_len, &calls->phone, calls->now_us);
            gw_bridge_wzp_packet(calls->bridge[c], wz_bytes(wzp, (size_t)wzp_len), calls->now_us);
            gw_bridge_tick(calls->bridge[c], calls->now_us);
        }
        calls->now_us += FRAME_US;
        calls->seq++;
        calls->media_ms += 20;
    }
    return wz_cpu_thread_us() - start_us;
}

/* ---- figures ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values)
{
    qsort(values, TURNS, sizeof *values, by_value);
    return values[TURNS / 2];
}

static double calls_per_core(uint64_t turn_us)
{
    return (double)CALLS * FRAMES * FRAME_US / (double)turn_us;
}

static double heap_kb(void)
{
    const struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd) / 1000;
}

/* Calls per core, and memory of one call. */
static void measure_passing(double *ret_calls, double *ret_kb)
{
    double value[TURNS];
    struct calls calls;
    const double before_kb = heap_kb();

    calls_init(&calls, GW_CODEC_OPUS);
    *ret_kb = (heap_kb() - before_kb) / CALLS;
    (void)bridge_turn(&calls);
    for (int t = 0; t < TURNS; t++)
        value[t] = calls_per_core(bridge_turn(&calls));
    check(calls.sink.rtp == CALLS * FRAMES * (TURNS + 1) && calls.sink.wzp == calls.sink.rtp, "frames went missing");
    calls_done(&calls);
    *ret_calls = median(value);
}

static void measure_transcoding(double *ret_calls, double *ret_ratio, double *ret_kb)
{
    static OpusEncoder *enc[CALLS];
    static OpusDecoder *dec[CALLS];
    double value[TURNS], ratio[TURNS];
    struct calls calls;
    const double before_kb = heap_kb();

    calls_init(&calls, GW_CODEC_PCMU);
    *ret_kb = (heap_kb() - before_kb) / CALLS;
    for (int c = 0; c < CALLS; c++) {
        enc[c] = new_encoder();
        dec[c] = opus_decoder_create(RATE, 1, NULL);
        check(dec[c], "no decoder");
    }
    (void)floor_turn(enc, dec);
    (void)bridge_turn(&calls);
    for (int t = 0; t < TURNS; t++) {
        const uint64_t floor_us = floor_turn(enc, dec), bridge_us = bridge_turn(&calls);
        value[t] = calls_per_core(bridge_us);
        ratio[t] = (double)floor_us / (double)bridge_us;
    }
    /* A bridge that lost frames would look fast. The first frames wait in the jitter buffer. */
    check(calls.sink.rtp >= CALLS * (FRAMES * (TURNS + 1) - 5) && calls.sink.wzp >= CALLS * (FRAMES * (TURNS + 1) - 5),
          "frames went missing");
    for (int c = 0; c < CALLS; c++) {
        opus_encoder_destroy(enc[c]);
        opus_decoder_destroy(dec[c]);
    }
    calls_done(&calls);
    *ret_calls = median(value);
    *ret_ratio = median(ratio);
}

int main(void)
{
    double transcoded, ratio, transcoded_kb, passed, passed_kb;

    make_material();
    measure_transcoding(&transcoded, &ratio, &transcoded_kb);
    measure_passing(&passed, &passed_kb);
    (void)printf("transcode.calls_per_core %.0f calls %.3f against bare libopus\n", transcoded, ratio);
    (void)printf("transcode.memory_per_call %.1f kB %.2f against 100 kB\n", transcoded_kb, transcoded_kb / 100);
    (void)printf("pass_through.calls_per_core %.0f calls %.1f against transcoding\n", passed, passed / transcoded);
    (void)printf("pass_through.memory_per_call %.1f kB %.2f against 100 kB\n", passed_kb, passed_kb / 100);
    return 0;
}
