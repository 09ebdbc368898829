/* Phone -> WZP: what arrives on the RTP port, and what is made of it. */
#include "gateway/media/bridge_internal.h"

#include <string.h>

/** 48 kHz ticks of the frames that WZP has. */
#define TICKS_20MS 960
#define TICKS_40MS 1920
/** Fitting packets in a row after which a phone is believed to send nothing else any more. */
#define FITTING_RUN 50
/** Digits must survive: below this bit rate the profile is raised while they sound. */
#define TONE_BITRATE_MIN 16000
#define TONE_PROFILE     WZP_CODEC_OPUS_24K

/* ---- out ---- */

static void send_wzp(struct gw_bridge *b, enum wzp_codec codec, uint16_t seq, uint32_t timestamp_ms,
                     struct wz_bytes payload)
{
    uint8_t datagram[WZP_MEDIA_DATAGRAM_MAX];
    struct wzp_media_hdr hdr = { .codec = codec, .seq = seq, .timestamp_ms = timestamp_ms };

    if (b->has_path_report && ++b->frames_since_report >= GW_BRIDGE_REPORT_FRAMES) {
        hdr.has_report = true;
        hdr.report = b->path_report;
        b->frames_since_report = 0;
        b->stats.wzp_reports_tx++;
    }
    const int len = wzp_media_encode(&hdr, payload, datagram, sizeof datagram);
    if (len < 0) {
        b->stats.rtp_bad++; /* an Opus packet larger than any datagram */
        return;
    }
    b->wzp_started = true;
    b->stats.wzp_tx++;
    b->stats.wzp_tx_bytes += (uint64_t)len;
    b->config.send_wzp(b->config.arg, wz_bytes(datagram, (size_t)len));
}

/* ---- encoding ---- */

static void pause_wzp(struct gw_bridge *b)
{
    b->pcm_count = 0;
    if (b->wzp_started)
        gw_seqmap_pause(&b->to_wzp, GW_PLAYOUT_FRAME_MS);
}

static enum wzp_codec profile_now(const struct gw_bridge *b)
{
    const enum wzp_codec profile = b->config.wzp.profile;

    if (gw_tone_is_active(&b->tone) && wzp_codec_bitrate_bps(profile) < TONE_BITRATE_MIN)
        return TONE_PROFILE;
    return profile;
}

static void encode(struct gw_bridge *b)
{
    uint8_t packet[GW_OPUS_PACKET_MAX];
    uint16_t seq;
    uint32_t timestamp_ms;

    gw_opus_encoder_set_bitrate(b->codecs.encoder, wzp_codec_bitrate_bps(b->frame_profile));
    const int len = gw_opus_encode(b->codecs.encoder, b->pcm, b->pcm_count, packet, sizeof packet);
    b->pcm_count = 0;
    if (len < 0)
        return; /* cannot happen with the sizes above; a missing frame is concealed */
    gw_seqmap_insert(&b->to_wzp, wzp_codec_frame_ms(b->frame_profile), &seq, &timestamp_ms);
    send_wzp(b, b->frame_profile, seq, timestamp_ms, wz_bytes(packet, (size_t)len));
}

void bridge_tick_to_wzp(struct gw_bridge *b, uint64_t tick_us)
{
    const bool is_tone = gw_tone_is_active(&b->tone);
    const bool plays_audio =
        (!bridge_is_opus(b) || b->reencodes) && b->config.rtp.recv && !gw_playout_is_fresh(b->codecs.from_rtp);
    const size_t samples = b->codecs.rate_hz / 50;
    struct gw_dtmf_out ended;
    int16_t *end;

    gw_dtmf_rx_tick(&b->dtmf, tick_us, &ended);
    if (ended.ends)
        gw_tone_close(&b->tone, ended.duration_ms);
    if (b->pcm_count == 0)
        b->frame_profile = profile_now(b);
    end = b->pcm + b->pcm_count;
    if (plays_audio)
        (void)gw_playout_pull(b->codecs.from_rtp, tick_us, end);
    if (is_tone)
        gw_tone_render(&b->tone, end, samples);
    if (!plays_audio && !is_tone) {
        pause_wzp(b);
        return;
    }
    if (!b->wzp_ready) {
        b->stats.wzp_not_ready++;
        pause_wzp(b);
        return;
    }
    b->pcm_count += samples;
    if (b->pcm_count >= b->codecs.rate_hz / 1000 * wzp_codec_frame_ms(b->frame_profile))
        encode(b);
}

/* ---- in ---- */

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
    if (ticks == TICKS_40MS)
        return WZP_CODEC_OPUS_6K; /* the only profile with 40 ms frames */
    return wzp_codec_frame_ms(b->config.wzp.profile) == 20 ? b->config.wzp.profile : WZP_CODEC_OPUS_24K;
}

static void pass_through(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, struct wz_bytes payload, int ticks)
{
    uint16_t seq;
    uint32_t timestamp_ms;
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
    switch (gw_seqmap_forward(&b->to_wzp, hdr->seq, hdr->timestamp_ticks, (uint32_t)ticks / 48, &seq, &timestamp_ms,
                              &is_new)) {
    case GW_SEQMAP_FORWARD:
        send_wzp(b, nibble_for(b, ticks), seq, timestamp_ms, payload);
        break;
    case GW_SEQMAP_DUPLICATE:
        b->stats.rtp_duplicate++;
        break;
    case GW_SEQMAP_OLD:
        b->stats.rtp_late++;
        break;
    }
}

/* A phone that sends frames WZP does not have is decoded and encoded anew until it has sent only fitting ones for a while. */
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
        if (!must_reencode(b, ticks == TICKS_20MS || ticks == TICKS_40MS)) {
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
