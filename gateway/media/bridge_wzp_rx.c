/* WZP -> phone: what arrives from the WZP path, and the RTP made of it. */
#include "gateway/media/bridge_internal.h"

#include <errno.h>
#include <string.h>

#include "gateway/media/codec_g711.h"

void bridge_send_rtp(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, struct wz_bytes payload)
{
    const struct wz_addr to = gw_latch_target(&b->latch);
    uint8_t packet[GW_RTP_PACKET_MAX];

    if (to.family == WZ_ADDR_NONE)
        return; /* nobody knows yet where the phone is: it has to speak first */
    const int len = gw_rtp_encode(hdr, payload, packet, sizeof packet);
    if (len < 0)
        return; /* payloads are bounded by datagram and ptime, so this is not reached */
    b->marker_due = false;
    b->last_rtp_ticks = hdr->timestamp_ticks;
    b->last_rtp_us = b->now_us;
    b->stats.rtp_tx++;
    b->stats.rtp_tx_bytes += payload.len;
    b->config.send_rtp(b->config.arg, packet, (size_t)len, &to);
}

static struct gw_rtp_hdr rtp_hdr(const struct gw_bridge *b, uint16_t seq, uint32_t timestamp_ticks, bool is_new)
{
    return (struct gw_rtp_hdr){
        .marker = is_new || b->marker_due,
        .payload_type = b->config.rtp.payload_type,
        .seq = seq,
        .timestamp_ticks = timestamp_ticks,
        .ssrc = b->ssrc,
    };
}

/* ---- G.711 ---- */

static void send_g711(struct gw_bridge *b, size_t bytes)
{
    uint16_t seq;
    uint32_t timestamp_ticks;

    gw_seqmap_insert(&b->to_rtp, (uint32_t)bytes, &seq, &timestamp_ticks);
    const struct gw_rtp_hdr hdr = rtp_hdr(b, seq, timestamp_ticks, false);
    bridge_send_rtp(b, &hdr, wz_bytes(b->g711, bytes));
    b->g711_count -= bytes;
    memmove(b->g711, b->g711 + bytes, b->g711_count);
}

static void tick_g711(struct gw_bridge *b, uint64_t tick_us)
{
    const enum gw_g711_law law = b->config.rtp.codec == GW_CODEC_PCMA ? GW_G711_ALAW : GW_G711_ULAW;
    const size_t packet_bytes = b->config.rtp.ptime_ms * 8;
    int16_t pcm[GW_PLAYOUT_SAMPLES_MAX];
    const size_t samples = b->codecs.rate_hz / 50;

    if (!b->config.rtp.send) {
        b->g711_count = 0;
        gw_seqmap_pause(&b->to_rtp, (uint32_t)samples);
        return;
    }
    (void)gw_playout_pull(b->codecs.from_wzp, tick_us, pcm);
    gw_g711_encode(law, pcm, samples, b->g711 + b->g711_count);
    b->g711_count += samples;
    while (b->g711_count >= packet_bytes)
        send_g711(b, packet_bytes);
}

/* ---- Opus ---- */

/* 48 kHz ticks of one tick of ours. */
#define OPUS_TICKS 960
/* Opus packets in a row after which the peer is believed to send no Codec2 any more. */
#define OPUS_RUN 50

static void tick_opus(struct gw_bridge *b, uint64_t tick_us)
{
    int16_t pcm[GW_PLAYOUT_SAMPLES_MAX];
    uint8_t packet[GW_OPUS_PACKET_MAX];
    uint16_t seq;
    uint32_t timestamp_ticks;

    (void)gw_playout_pull(b->codecs.from_wzp, tick_us, pcm);
    const int len = gw_opus_encode(b->codecs.to_phone, pcm, b->codecs.rate_hz / 50, packet, sizeof packet);
    if (len < 0 || !b->config.rtp.send) { /* the former cannot happen with the sizes above */
        gw_seqmap_pause(&b->to_rtp, OPUS_TICKS);
        return;
    }
    gw_seqmap_insert(&b->to_rtp, OPUS_TICKS, &seq, &timestamp_ticks);
    const struct gw_rtp_hdr hdr = rtp_hdr(b, seq, timestamp_ticks, false);
    bridge_send_rtp(b, &hdr, wz_bytes(packet, (size_t)len));
}

void bridge_tick_to_rtp(struct gw_bridge *b, uint64_t tick_us)
{
    if (bridge_is_opus(b))
        tick_opus(b, tick_us);
    else
        tick_g711(b, tick_us);
}

/* A phone that speaks Opus gets Opus made of Codec2, and all else with it, until the peer has sent only Opus for a while. */
static bool must_decode(struct gw_bridge *b, const struct wzp_media_hdr *hdr)
{
    const bool is_codec2 = !hdr->is_repair && gw_wzp_tx_can_send(hdr->codec) && !wzp_codec_is_opus(hdr->codec);

    b->opus_run = is_codec2 ? 0 : b->opus_run + wzp_codec_is_opus(hdr->codec);
    if (!b->decodes && is_codec2 && bridge_make_opus_transcoder(b) == 0) {
        b->decodes = true;
        gw_playout_reset(b->codecs.from_wzp);
    } else if (b->decodes && b->opus_run >= OPUS_RUN) {
        b->decodes = false;
        gw_seqmap_restart(&b->to_rtp);
    }
    bridge_update_clock(b);
    return b->decodes;
}

static void pass_through(struct gw_bridge *b, const struct wzp_media_hdr *hdr, struct wz_bytes payload)
{
    uint16_t seq;
    uint32_t timestamp_ticks;
    bool is_new;
    int ticks = -EBADMSG;

    if (!hdr->is_repair && wzp_codec_is_opus(hdr->codec)) {
        ticks = gw_opus_packet_ticks(payload);
        b->stats.wzp_bad += ticks < 0;
    }
    if (ticks < 0) {
        gw_seqmap_skip(&b->to_rtp, hdr->seq);
        return;
    }
    switch (gw_seqmap_forward(&b->to_rtp, hdr->seq, hdr->timestamp_ms, (uint32_t)ticks, b->now_us, &seq,
                              &timestamp_ticks, &is_new)) {
    case GW_SEQMAP_FORWARD: {
        const struct gw_rtp_hdr out = rtp_hdr(b, seq, timestamp_ticks, is_new);
        bridge_send_rtp(b, &out, payload);
        break;
    }
    case GW_SEQMAP_DUPLICATE:
        b->stats.wzp_duplicate++;
        break;
    case GW_SEQMAP_OLD:
        b->stats.wzp_late++;
        break;
    }
}

/* ---- in ---- */

static void count(struct gw_bridge *b, const struct wzp_media_hdr *hdr)
{
    if (!hdr->is_repair && hdr->codec != WZP_CODEC_COMFORT_NOISE)
        b->stats.wzp_codec_rx = hdr->codec;
    if (hdr->is_repair)
        b->stats.wzp_repair++;
    else if (hdr->codec == WZP_CODEC_COMFORT_NOISE)
        b->stats.wzp_comfort_noise++;
    else if (hdr->codec == WZP_CODEC_CODEC2_3200 || hdr->codec == WZP_CODEC_CODEC2_1200)
        b->stats.wzp_codec2++;
}

void gw_bridge_wzp_packet(struct gw_bridge *bridge, struct wz_bytes datagram, uint64_t now_us)
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    const int err = wzp_media_decode(datagram, &hdr, &payload);

    bridge->now_us = now_us;
    if (err == -EPROTONOSUPPORT)
        bridge->stats.wzp_bad_codec++;
    else if (err)
        bridge->stats.wzp_bad++;
    if (err)
        return;
    bridge->stats.wzp_rx++;
    bridge->stats.wzp_rx_bytes += datagram.len;
    bridge->stats.wzp_last_rx_us = now_us;
    count(bridge, &hdr);
    if (hdr.has_report)
        bridge_take_report(bridge, &hdr.report);
    (void)gw_rtp_source_packet(&bridge->wzp_source, hdr.seq, hdr.timestamp_ms, now_us);
    if (!bridge->config.rtp.send)
        return; /* the phone is on hold */
    if (bridge_is_opus(bridge) && !must_decode(bridge, &hdr))
        pass_through(bridge, &hdr, payload);
    else
        (void)gw_playout_put_wzp(bridge->codecs.from_wzp, &hdr, payload, now_us); /* counted there */
}
