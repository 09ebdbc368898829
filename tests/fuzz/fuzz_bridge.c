/* The whole bridge under any packets from both sides in any order and time. The input is a program of steps:
 * 1 byte kind, 1 byte argument, and for packets as many bytes as the argument says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/bridge.h"
#include "wzp/core/fec.h"
#include "wzp/core/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 400

enum step {
    STEP_RTP,
    STEP_RTP_HEADED, /**< a sound header in front: deeper code is reached */
    STEP_RTCP,
    STEP_WZP,
    STEP_WZP_HEADED,
    STEP_TIME, /**< 0..1275 ms */
    STEP_UPDATE,
    STEP_DIGIT,
    STEP_COUNT,
};

struct sums {
    uint64_t rtp, wzp;
};

struct world {
    struct gw_bridge *bridge;
    struct gw_rtp_params params;
    struct wz_addr from[3];
    uint64_t now_us;
    uint16_t rtp_seq, wzp_seq;
    struct sums out;
};

static void fill(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    memset(out, 0x5a, len);
}

static void on_rtp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    struct world *w = arg;
    struct gw_rtp_hdr hdr;
    struct wz_bytes payload;

    if (gw_rtp_decode(wz_bytes(data, len), &hdr, &payload) < 0 || to->family == WZ_ADDR_NONE)
        abort();
    w->out.rtp++;
}

static void on_rtcp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    struct gw_rtcp_report report;

    (void)arg;
    if (gw_rtcp_decode(wz_bytes(data, len), &report) < 0 || to->family == WZ_ADDR_NONE)
        abort();
}

static void on_wzp(void *arg, struct wz_bytes datagram)
{
    struct world *w = arg;
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;

    if (wzp_media_decode(datagram, &hdr, &payload) < 0 || datagram.len > WZP_MEDIA_DATAGRAM_MAX)
        abort();
    w->out.wzp++;
}

static void set_codec(struct gw_rtp_params *params, uint8_t choice)
{
    params->codec = (enum gw_codec)(choice % 3);
    params->payload_type = params->codec == GW_CODEC_OPUS ? 111 : params->codec == GW_CODEC_PCMA ? 8 : 0;
    params->ptime_ms = 10 * (choice / 3 % 7);
    params->send = !(choice & 0x40);
    params->recv = !(choice & 0x80);
}

static void headed_rtp(struct world *w, uint8_t arg, struct wz_bytes payload)
{
    const struct gw_rtp_hdr hdr = {
        .payload_type = arg & 0x80   ? 101
                        : arg & 0x40 ? GW_RTP_PT_COMFORT_NOISE
                                     : w->params.payload_type,
        .seq = w->rtp_seq++,
        .timestamp_ticks = (uint32_t)(w->now_us / 1000 * gw_codec_clock_hz(w->params.codec) / 1000),
        .ssrc = 1,
    };
    uint8_t packet[GW_RTP_PACKET_MAX];
    const int len = gw_rtp_encode(&hdr, payload, packet, sizeof packet);

    if (len > 0)
        gw_bridge_rtp_packet(w->bridge, packet, (size_t)len, &w->from[0], w->now_us);
}

/* Blocks as senders of Codec2 make them, so that repair is reached: bare frames, then whole symbols. */
static struct wz_bytes as_codec2(struct wzp_media_hdr *hdr, struct wz_bytes payload, uint8_t buf[WZP_FEC_SYMBOL_BYTES])
{
    const unsigned block = hdr->codec == WZP_CODEC_CODEC2_1200 ? 8 : 5, repair = block == 8 ? 8 : 3;
    size_t len = block == 8 ? 6 : 8;

    hdr->fec_block = (uint8_t)(hdr->seq / (block + repair));
    hdr->fec_symbol = (uint8_t)(hdr->seq % (block + repair));
    hdr->is_repair = hdr->fec_symbol >= block;
    if (hdr->is_repair)
        len = WZP_FEC_SYMBOL_BYTES;
    memset(buf, 0, WZP_FEC_SYMBOL_BYTES);
    if (payload.len > 0)
        memcpy(buf, payload.data, payload.len < len ? payload.len : len);
    return wz_bytes(buf, len);
}

static void headed_wzp(struct world *w, uint8_t arg, struct wz_bytes payload)
{
    struct wzp_media_hdr hdr = {
        .codec = (enum wzp_codec)(arg % WZP_CODEC_COUNT),
        .is_repair = arg > 250,
        .has_report = arg % 50 == 49,
        .report = { .loss = arg, .rtt_4ms = (uint8_t)(arg / 2) },
        .seq = w->wzp_seq++,
        .timestamp_ms = (uint32_t)(w->now_us / 1000),
    };
    uint8_t datagram[WZP_MEDIA_DATAGRAM_MAX], codec2[WZP_FEC_SYMBOL_BYTES];

    if (hdr.codec == WZP_CODEC_CODEC2_3200 || hdr.codec == WZP_CODEC_CODEC2_1200)
        payload = as_codec2(&hdr, payload, codec2);
    const int len = wzp_media_encode(&hdr, payload, datagram, sizeof datagram);

    if (len > 0)
        gw_bridge_wzp_packet(w->bridge, wz_bytes(datagram, (size_t)len), w->now_us);
}

/* Arguments that are no digit choose a profile instead. */
static void digit_or_profile(struct world *w, uint8_t arg)
{
    const struct gw_wzp_params params = { .profile = (enum wzp_codec)(arg % WZP_CODEC_COUNT) };

    if (arg < 0x80)
        (void)gw_bridge_play_digit(w->bridge, (char)arg, arg, w->now_us);
    else if (arg < 0xf0)
        (void)gw_bridge_set_profile(w->bridge, &params);
    else
        gw_bridge_quality_directive(w->bridge, wzp_tier_profile((enum wzp_tier)(arg % (WZP_TIER_STUDIO_64K + 1))));
}

static void take_step(struct world *w, enum step step, uint8_t arg, struct wz_bytes bytes)
{
    const struct wz_addr *from = &w->from[arg % 3];

    switch (step) {
    case STEP_RTP:
        gw_bridge_rtp_packet(w->bridge, bytes.data, bytes.len, from, w->now_us);
        break;
    case STEP_RTP_HEADED:
        headed_rtp(w, arg, bytes);
        break;
    case STEP_RTCP:
        gw_bridge_rtcp_packet(w->bridge, bytes.data, bytes.len, from, w->now_us);
        break;
    case STEP_WZP:
        gw_bridge_wzp_packet(w->bridge, bytes, w->now_us);
        break;
    case STEP_WZP_HEADED:
        headed_wzp(w, arg, bytes);
        break;
    case STEP_TIME:
        w->now_us += arg * UINT64_C(5000);
        gw_bridge_tick(w->bridge, w->now_us);
        if (gw_bridge_deadline_us(w->bridge) <= w->now_us)
            abort();
        break;
    case STEP_UPDATE:
        set_codec(&w->params, arg);
        (void)gw_bridge_update_rtp(w->bridge, &w->params, w->now_us);
        break;
    case STEP_DIGIT:
        digit_or_profile(w, arg);
        break;
    case STEP_COUNT:
        break;
    }
}

static void run_program(struct world *w, struct wz_bytes program)
{
    struct wz_reader r = wz_reader(program);
    uint8_t kind, arg;

    for (unsigned n = 0; n < STEPS_MAX && wz_get_u8(&r, &kind) && wz_get_u8(&r, &arg); n++) {
        const enum step step = (enum step)(kind % STEP_COUNT);
        struct wz_bytes bytes = wz_bytes(NULL, 0);
        if (step <= STEP_WZP_HEADED && !wz_get_slice(&r, arg, &bytes))
            bytes = wz_bytes(r.pos, wz_left(&r));
        take_step(w, step, arg, bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wz_rng rng = { .fill = fill };
    struct world w = { .now_us = 1000000 };
    struct gw_bridge_config config = { .rng = &rng, .send_rtp = on_rtp, .send_rtcp = on_rtcp, .send_wzp = on_wzp };
    struct gw_bridge_stats stats;

    if (size < 1 || wz_addr_parse("192.0.2.1:4000", &w.from[0]) < 0 ||
        wz_addr_parse("192.0.2.1:4002", &w.from[1]) < 0 || wz_addr_parse("198.51.100.1:1", &w.from[2]) < 0)
        return 0;
    w.params.remote = w.params.signalling = w.from[0];
    w.params.dtmf_payload_type = 101;
    set_codec(&w.params, data[0] & 0x3f);
    config.rtp = w.params;
    config.arg = &w;
    if (gw_bridge_new(&w.bridge, &config, w.now_us) < 0)
        abort();
    gw_bridge_set_wzp_ready(w.bridge, true);
    gw_bridge_set_path_stats(w.bridge, 1, 2, 3);
    run_program(&w, wz_bytes(data + 1, size - 1));
    gw_bridge_bye(w.bridge, w.now_us);
    gw_bridge_stats(w.bridge, &stats);
    if (stats.rtp_tx != w.out.rtp || stats.wzp_tx != w.out.wzp)
        abort();
    gw_bridge_free(w.bridge);
    return 0;
}
