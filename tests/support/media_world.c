#include "tests/support/media_world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gateway/media/codec_g711.h"
#include "gateway/media/dtmf.h"

#define RATE  8000
#define FRAME 160

struct wz_addr media_addr(const char *text)
{
    struct wz_addr addr = { 0 };
    assert_int_equal(wz_addr_parse(text, &addr), 0);
    return addr;
}

/* Repeatable, and different at each draw. */
static void count_up(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(i * 37 + 11);
}

static const struct wz_rng counting_rng = { .fill = count_up };

/* ---- what the bridge sends ---- */

static void on_rtp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    struct media_world *w = arg;
    struct media_rtp *p = &w->rtp[w->rtp_count % MEDIA_WORLD_PACKETS];
    struct wz_bytes payload;

    assert_int_equal(gw_rtp_decode(wz_bytes(data, len), &p->hdr, &payload), 0);
    p->at_us = w->now_us;
    p->to = *to;
    p->len = payload.len;
    memcpy(p->payload, payload.data, payload.len);
    w->rtp_count++;
}

static void on_rtcp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    struct media_world *w = arg;

    assert_int_equal(gw_rtcp_decode(wz_bytes(data, len), &w->rtcp), 0);
    w->rtcp_to = *to;
    w->rtcp_count++;
}

static void on_wzp(void *arg, struct wz_bytes datagram)
{
    struct media_world *w = arg;
    struct media_wzp *p = &w->wzp[w->wzp_count % MEDIA_WORLD_PACKETS];
    struct wz_bytes payload;

    assert_int_equal(wzp_media_decode(datagram, &p->hdr, &payload), 0);
    p->at_us = w->now_us;
    p->len = payload.len;
    memcpy(p->payload, payload.data, payload.len);
    w->wzp_count++;
}

/* ---- life ---- */

struct gw_bridge_config media_world_config(enum gw_codec codec)
{
    return (struct gw_bridge_config){
        .rtp = {
            .codec = codec,
            .payload_type = codec == GW_CODEC_PCMU ? 0 : codec == GW_CODEC_PCMA ? 8 : 111,
            .dtmf_payload_type = MEDIA_WORLD_DTMF_PT,
            .remote = media_addr("192.0.2.10:4000"),
            .signalling = media_addr("192.0.2.10:5060"),
            .send = true,
            .recv = true,
        },
        .wzp = { .profile = WZP_CODEC_OPUS_24K, .complexity = 5 },
    };
}

void media_world_init(struct media_world *w, const struct gw_bridge_config *config)
{
    const struct gw_opus_encoder_config encoder = { .rate_hz = RATE, .bitrate_bps = 24000, .complexity = 5 };

    *w = (struct media_world){
        .config = *config,
        .now_us = 7000000,
        .phone = config->rtp.remote,
        .phone_seq = 65500,
        .phone_ts = 0xfffff000,
        .phone_ssrc = MEDIA_WORLD_SSRC,
    };
    w->config.rng = &counting_rng;
    w->config.send_rtp = on_rtp;
    w->config.send_rtcp = on_rtcp;
    w->config.send_wzp = on_wzp;
    w->config.arg = w;
    w->start_us = w->now_us;
    w->rtp = calloc(MEDIA_WORLD_PACKETS, sizeof *w->rtp);
    w->wzp = calloc(MEDIA_WORLD_PACKETS, sizeof *w->wzp);
    assert_true(w->rtp && w->wzp);
    assert_int_equal(gw_opus_encoder_new(&w->encoder, &encoder), 0);
    assert_int_equal(gw_opus_encoder_new(&w->phone_encoder, &encoder), 0);
    assert_int_equal(gw_bridge_new(&w->bridge, &w->config, w->now_us), 0);
    gw_bridge_set_wzp_ready(w->bridge, true);
}

void media_world_done(struct media_world *w)
{
    gw_bridge_free(w->bridge);
    gw_opus_encoder_free(w->encoder);
    gw_opus_encoder_free(w->phone_encoder);
    free(w->rtp);
    free(w->wzp);
}

void media_advance(struct media_world *w, uint64_t us)
{
    const uint64_t until_us = w->now_us + us;

    for (;;) {
        const uint64_t deadline_us = gw_bridge_deadline_us(w->bridge);
        if (deadline_us > until_us)
            break;
        w->now_us = deadline_us > w->now_us ? deadline_us : w->now_us;
        gw_bridge_tick(w->bridge, w->now_us);
        assert_true(gw_bridge_deadline_us(w->bridge) > deadline_us);
    }
    w->now_us = until_us;
}

/* ---- the phone ---- */

void media_phone_packet(struct media_world *w, uint8_t pt, uint16_t seq, uint32_t ts, struct wz_bytes payload)
{
    const struct gw_rtp_hdr hdr = { .payload_type = pt, .seq = seq, .timestamp_ticks = ts, .ssrc = w->phone_ssrc };
    uint8_t packet[GW_RTP_PACKET_MAX];
    const int len = gw_rtp_encode(&hdr, payload, packet, sizeof packet);

    assert_true(len > 0);
    gw_bridge_rtp_packet(w->bridge, packet, (size_t)len, &w->phone, w->now_us);
}

void media_phone_speaks(struct media_world *w, const int16_t *pcm)
{
    const enum gw_codec codec = w->config.rtp.codec;
    uint8_t payload[GW_OPUS_PACKET_MAX];
    int len = FRAME;

    if (codec == GW_CODEC_OPUS)
        len = gw_opus_encode(w->phone_encoder, pcm, FRAME, payload, sizeof payload);
    else
        gw_g711_encode(codec == GW_CODEC_PCMA ? GW_G711_ALAW : GW_G711_ULAW, pcm, FRAME, payload);
    assert_true(len > 0);
    media_phone_packet(w, w->config.rtp.payload_type, w->phone_seq++, w->phone_ts, wz_bytes(payload, (size_t)len));
    w->phone_ts += gw_codec_clock_hz(codec) / 50;
}

void media_phone_digit(struct media_world *w, char digit, unsigned duration_ms)
{
    static const char codes[] = "0123456789*#ABCD";
    const uint32_t step = gw_codec_clock_hz(w->config.rtp.codec) / 50, start = w->phone_ts;
    struct gw_dtmf_event event = { .code = (uint8_t)(strchr(codes, digit) - codes), .volume = 10 };
    uint8_t payload[GW_DTMF_PAYLOAD_BYTES];

    for (unsigned ms = 20; ms <= duration_ms; ms += 20) {
        event.duration_ticks = (uint16_t)(ms * 8);
        gw_dtmf_encode(&event, payload);
        media_phone_packet(w, MEDIA_WORLD_DTMF_PT, w->phone_seq++, start, wz_bytes(payload, sizeof payload));
        w->phone_ts += step;
        media_advance(w, 20000);
    }
    event.end = true;
    for (unsigned n = 0; n < 3; n++) {
        gw_dtmf_encode(&event, payload);
        media_phone_packet(w, MEDIA_WORLD_DTMF_PT, w->phone_seq++, start, wz_bytes(payload, sizeof payload));
    }
}

/* ---- the WZP peer ---- */

void media_peer_packet(struct media_world *w, const struct wzp_media_hdr *hdr, struct wz_bytes payload)
{
    uint8_t datagram[WZP_MEDIA_DATAGRAM_MAX];
    const int len = wzp_media_encode(hdr, payload, datagram, sizeof datagram);

    assert_true(len > 0);
    gw_bridge_wzp_packet(w->bridge, wz_bytes(datagram, (size_t)len), w->now_us);
}

void media_peer_speaks(struct media_world *w, const int16_t *pcm)
{
    const struct wzp_media_hdr hdr = {
        .codec = WZP_CODEC_OPUS_24K,
        .seq = w->peer_seq++,
        .timestamp_ms = w->peer_ts_ms,
    };
    uint8_t payload[GW_OPUS_PACKET_MAX];
    const int len = gw_opus_encode(w->encoder, pcm, FRAME, payload, sizeof payload);

    assert_true(len > 0);
    w->peer_ts_ms += 20;
    media_peer_packet(w, &hdr, wz_bytes(payload, (size_t)len));
}

/* ---- listening ---- */

static void append(struct judge_audio *audio, const int16_t *pcm, size_t count)
{
    float *more = realloc(audio->sample, (audio->count + count) * sizeof *more);

    assert_non_null(more);
    audio->sample = more;
    for (size_t i = 0; i < count; i++)
        audio->sample[audio->count++] = (float)pcm[i] / 32768.0f;
}

void media_decode_wzp(const struct media_world *w, struct judge_audio *ret)
{
    struct judge_audio audio = { .rate_hz = RATE };
    struct gw_opus_decoder *decoder;
    int16_t pcm[RATE / 1000 * GW_OPUS_DURATION_MAX_MS];

    assert_true(w->wzp_count <= MEDIA_WORLD_PACKETS);
    assert_int_equal(gw_opus_decoder_new(&decoder, RATE), 0);
    for (size_t i = 0; i < w->wzp_count; i++) {
        const int n =
            gw_opus_decode(decoder, wz_bytes(w->wzp[i].payload, w->wzp[i].len), pcm, sizeof pcm / sizeof *pcm);
        assert_true(n > 0);
        append(&audio, pcm, (size_t)n);
    }
    gw_opus_decoder_free(decoder);
    *ret = audio;
}

void media_decode_rtp(const struct media_world *w, struct judge_audio *ret)
{
    struct judge_audio audio = { .rate_hz = RATE };
    int16_t pcm[1300];

    assert_true(w->rtp_count <= MEDIA_WORLD_PACKETS);
    for (size_t i = 0; i < w->rtp_count; i++) {
        gw_g711_decode(w->rtp[i].hdr.payload_type == 8 ? GW_G711_ALAW : GW_G711_ULAW, w->rtp[i].payload, w->rtp[i].len,
                       pcm);
        append(&audio, pcm, w->rtp[i].len);
    }
    *ret = audio;
}

struct gw_bridge_stats media_stats(const struct media_world *w)
{
    struct gw_bridge_stats s;
    gw_bridge_stats(w->bridge, &s);
    return s;
}
