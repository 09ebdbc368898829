/* Phone -> WZP: what arrives on the RTP port. */
#include "gateway/media/bridge_internal.h"

#include <string.h>

/** 48 kHz ticks of the frames that WZP has. */
#define TICKS_20MS 960
#define TICKS_40MS 1920
/** Fitting packets in a row after which a phone is believed to send nothing else any more. */
#define FITTING_RUN 50

static void take_event(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, struct wz_bytes payload)
{
    struct gw_dtmf_out out;

    gw_dtmf_rx_packet(&b->dtmf, hdr->ssrc, hdr->timestamp_ticks, payload, b->now_us, &out);
    if (out.ends_former)
        gw_tone_close(&b->tone, out.former_ms);
    /* A full queue is counted by the tone generator. */
    if (out.begins)
        (void)gw_tone_open(&b->tone, out.digit);
    if (out.ends)
        gw_tone_close(&b->tone, out.duration_ms);
    if (bridge_is_opus(b))
        gw_seqmap_skip(&b->to_wzp, hdr->seq);
    gw_playout_note(b->codecs.from_rtp, hdr->seq);
    bridge_update_clock(b);
}

static void take_comfort_noise(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, struct wz_bytes payload)
{
    /* RFC 3389: the first byte is the level in -dBov; an empty payload is legal nowhere, and harmless here. */
    const int level_dbov = payload.len ? -(payload.data[0] & 0x7f) : -127;
    gw_playout_comfort(b->codecs.from_rtp, hdr->seq, level_dbov);
}

static enum wzp_codec nibble_for(const struct gw_bridge *b, int ticks)
{
    const enum wzp_codec profile = b->config.wzp.profile;

    if (ticks == TICKS_40MS)
        return WZP_CODEC_OPUS_6K; /* the only Opus profile with 40 ms frames */
    return wzp_codec_is_opus(profile) && wzp_codec_frame_ms(profile) == 20 ? profile : WZP_CODEC_OPUS_24K;
}

static void pass_through(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, struct wz_bytes payload, int ticks)
{
    struct wzp_media_hdr out = { .codec = nibble_for(b, ticks) };
    bool is_new;

    if (gw_tone_is_active(&b->tone)) {
        gw_seqmap_skip(&b->to_wzp, hdr->seq); /* the tone stands in its place */
        return;
    }
    if (!b->wzp_ready) {
        b->stats.wzp_not_ready++;
        gw_seqmap_skip(&b->to_wzp, hdr->seq);
        return;
    }
    switch (gw_seqmap_forward(&b->to_wzp, hdr->seq, hdr->timestamp_ticks, (uint32_t)ticks / 48, b->now_us, &out.seq,
                              &out.timestamp_ms, &is_new)) {
    case GW_SEQMAP_FORWARD:
        bridge_send_wzp(b, &out, payload);
        break;
    case GW_SEQMAP_DUPLICATE:
        b->stats.rtp_duplicate++;
        break;
    case GW_SEQMAP_OLD:
        b->stats.rtp_late++;
        break;
    }
}

/* A phone whose frames cannot go as they are is decoded and encoded anew until it has sent only fitting ones for a while. */
static bool must_reencode(struct gw_bridge *b, bool is_fitting)
{
    b->fitting_run = is_fitting ? b->fitting_run + 1 : 0;
    if (!b->reencodes && !is_fitting) {
        b->reencodes = true;
        gw_playout_reset(b->codecs.from_rtp);
    } else if (b->reencodes && b->fitting_run >= FITTING_RUN) {
        b->reencodes = false;
        gw_seqmap_restart(&b->to_wzp);
    }
    bridge_update_clock(b);
    return b->reencodes;
}

static void take_audio(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, struct wz_bytes payload)
{
    if (bridge_is_opus(b)) {
        const int ticks = gw_opus_packet_ticks(payload);
        if (ticks < 0) {
            b->stats.rtp_bad++;
            return;
        }
        if (!must_reencode(b, (ticks == TICKS_20MS || ticks == TICKS_40MS) && !bridge_must_encode(b))) {
            pass_through(b, hdr, payload, ticks);
            return;
        }
    }
    /* Late ones, duplicates and bad payloads are counted by the playout. */
    (void)gw_playout_put(b->codecs.from_rtp, hdr->seq, hdr->timestamp_ticks, payload, b->now_us);
}

enum packet_kind {
    PACKET_AUDIO,
    PACKET_EVENT,
    PACKET_COMFORT_NOISE,
    PACKET_UNKNOWN,
};

static enum packet_kind kind_of(const struct gw_bridge *b, uint8_t payload_type)
{
    if (payload_type == b->config.rtp.payload_type)
        return PACKET_AUDIO;
    if (payload_type == b->config.rtp.dtmf_payload_type)
        return PACKET_EVENT;
    if (payload_type == GW_RTP_PT_COMFORT_NOISE && !bridge_is_opus(b))
        return PACKET_COMFORT_NOISE;
    return PACKET_UNKNOWN;
}

static bool is_from_peer(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, const struct wz_addr *from)
{
    switch (gw_latch_packet(&b->latch, from, hdr->ssrc, hdr->seq, b->now_us)) {
    case GW_LATCH_ACCEPT:
        return true;
    case GW_LATCH_WATCH:
        b->stats.rtp_watched++;
        return false;
    case GW_LATCH_STRANGER:
        b->stats.rtp_strangers++;
        return false;
    }
    return false;
}

static void note_source(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, enum packet_kind kind)
{
    if (!b->rtp_source.active || (kind == PACKET_AUDIO && hdr->ssrc != b->rtp_source.ssrc)) {
        if (b->rtp_source.active) {
            gw_playout_reset(b->codecs.from_rtp);
            gw_seqmap_restart(&b->to_wzp);
        }
        gw_rtp_source_start(&b->rtp_source, hdr->ssrc, gw_codec_clock_hz(b->config.rtp.codec));
    }
    /* A jump is counted once believed; whether it is played is for the jitter buffer to say. */
    if (hdr->ssrc == b->rtp_source.ssrc)
        (void)gw_rtp_source_packet(&b->rtp_source, hdr->seq, hdr->timestamp_ticks, b->now_us);
}

void gw_bridge_rtp_packet(struct gw_bridge *bridge, const uint8_t *data, size_t len, const struct wz_addr *from,
                          uint64_t now_us)
{
    struct gw_rtp_hdr hdr;
    struct wz_bytes payload;
    const struct wz_bytes packet = wz_bytes(data, len);

    bridge->now_us = now_us;
    if (bridge->config.rtp.rtcp_mux && gw_rtp_is_rtcp(packet)) {
        gw_bridge_rtcp_packet(bridge, data, len, from, now_us);
        return;
    }
    if (gw_rtp_decode(packet, &hdr, &payload) < 0) {
        bridge->stats.rtp_bad++;
        return;
    }
    const enum packet_kind kind = kind_of(bridge, hdr.payload_type);
    if (kind == PACKET_UNKNOWN) {
        bridge->stats.rtp_bad_pt++;
        return;
    }
    if (!is_from_peer(bridge, &hdr, from))
        return;
    bridge->stats.rtp_rx++;
    bridge->stats.rtp_rx_bytes += len;
    bridge->stats.rtp_last_rx_us = now_us;
    if (!bridge->config.rtp.recv) {
        bridge->stats.rtp_on_hold++;
        return;
    }
    note_source(bridge, &hdr, kind);
    switch (kind) {
    case PACKET_AUDIO:
        take_audio(bridge, &hdr, payload);
        break;
    case PACKET_EVENT:
        take_event(bridge, &hdr, payload);
        break;
    case PACKET_COMFORT_NOISE:
        take_comfort_noise(bridge, &hdr, payload);
        break;
    case PACKET_UNKNOWN:
        break;
    }
}
