/* Phone -> WZP: frames made on the clock, and the datagrams of all that is sent. */
#include "gateway/media/bridge_internal.h"

void bridge_send_wzp(struct gw_bridge *b, struct wzp_media_hdr *hdr, struct wz_bytes payload)
{
    uint8_t datagram[WZP_MEDIA_DATAGRAM_MAX];

    if (!hdr->is_repair && hdr->codec != WZP_CODEC_COMFORT_NOISE)
        hdr->has_report = bridge_report_due(b, &hdr->report);
    const int len = wzp_media_encode(hdr, payload, datagram, sizeof datagram);
    if (len < 0) {
        b->stats.rtp_bad++; /* an Opus packet larger than any datagram */
        return;
    }
    b->wzp_started = true;
    b->stats.wzp_tx++;
    b->stats.wzp_tx_bytes += (uint64_t)len;
    b->stats.wzp_repair_tx += hdr->is_repair;
    b->stats.wzp_comfort_noise_tx += hdr->codec == WZP_CODEC_COMFORT_NOISE;
    b->config.send_wzp(b->config.arg, wz_bytes(datagram, (size_t)len));
}

void bridge_on_tx_packet(void *arg, const struct gw_wzp_tx_packet *packet)
{
    struct gw_bridge *b = arg;
    struct wzp_media_hdr hdr = {
        .codec = packet->codec,
        .is_repair = packet->is_repair,
        .fec_ratio = packet->fec_ratio,
        .fec_block = packet->fec_block,
        .fec_symbol = packet->fec_symbol,
    };

    gw_seqmap_insert(&b->to_wzp, packet->duration_ms, &hdr.seq, &hdr.timestamp_ms);
    bridge_send_wzp(b, &hdr, packet->payload);
}

void bridge_on_tx_silence(void *arg, unsigned ms)
{
    struct gw_bridge *b = arg;

    if (b->wzp_started)
        gw_seqmap_pause(&b->to_wzp, ms);
}

static void pause_wzp(struct gw_bridge *b)
{
    gw_wzp_tx_drop(b->codecs.to_wzp);
    bridge_on_tx_silence(b, GW_PLAYOUT_FRAME_MS);
}

void bridge_tick_to_wzp(struct gw_bridge *b, uint64_t tick_us)
{
    const bool is_tone = gw_tone_is_active(&b->tone);
    const bool plays_audio =
        (!bridge_is_opus(b) || b->reencodes) && b->config.rtp.recv && !gw_playout_is_fresh(b->codecs.from_rtp);
    const enum wzp_codec codec = bridge_codec_now(b);
    int16_t *pcm = gw_wzp_tx_room(b->codecs.to_wzp);
    struct gw_dtmf_out ended;

    gw_dtmf_rx_tick(&b->dtmf, tick_us, &ended);
    if (ended.ends)
        gw_tone_close(&b->tone, ended.duration_ms);
    if (plays_audio)
        (void)gw_playout_pull(b->codecs.from_rtp, tick_us, pcm);
    if (is_tone)
        gw_tone_render(&b->tone, pcm, b->codecs.rate_hz / 50);
    if (!plays_audio && !is_tone) {
        pause_wzp(b);
        return;
    }
    if (!b->wzp_ready) {
        b->stats.wzp_not_ready++;
        pause_wzp(b);
        return;
    }
    (void)gw_wzp_tx_push(b->codecs.to_wzp, codec); /* without memory for Codec2 it is Opus6k */
}
