/* RTCP of the phone's leg: our reports, and what the phone says about our stream. */
#include "gateway/media/bridge_internal.h"

static struct wz_addr rtcp_target(const struct gw_bridge *b)
{
    struct wz_addr to = gw_latch_target(&b->latch);

    if (b->config.rtp.rtcp_mux || to.family == WZ_ADDR_NONE)
        return to;
    if (b->rtcp_source.family != WZ_ADDR_NONE)
        return b->rtcp_source;
    /* The SDP's a=rtcp is worth as much as its RTP address: no more once a NAT has been seen in between. */
    if (wz_addr_equal(&to, &b->latch.sdp) && !wz_addr_is_any(&b->config.rtp.remote_rtcp))
        return b->config.rtp.remote_rtcp;
    to.port++;
    return to;
}

void bridge_send_report(struct gw_bridge *b, bool bye)
{
    const struct wz_addr to = rtcp_target(b);
    struct gw_rtcp_report report = { .ssrc = b->ssrc, .bye = bye };
    uint8_t packet[GW_RTCP_PACKET_MAX];

    if (to.family == WZ_ADDR_NONE || to.port == 0)
        return;
    if (b->stats.rtp_tx != b->rtp_tx_reported) {
        const uint64_t since_us = b->now_us - b->last_rtp_us;
        report.has_sender_info = true;
        report.ntp = gw_rtcp_ntp(b->now_us);
        report.rtp_ticks = b->last_rtp_ticks + (uint32_t)(since_us * gw_codec_clock_hz(b->config.rtp.codec) / 1000000);
        report.packets = (uint32_t)b->stats.rtp_tx;
        report.octets = (uint32_t)b->stats.rtp_tx_bytes;
        b->rtp_tx_reported = b->stats.rtp_tx;
    }
    if (b->rtp_source.active) {
        report.block_count = 1;
        gw_rtp_source_report(&b->rtp_source, b->now_us, &report.block[0]);
    }
    for (unsigned i = 0; i < sizeof report.cname; i++)
        report.cname[i] = b->cname[i];
    const int len = gw_rtcp_encode(&report, packet, sizeof packet);
    if (len < 0)
        return; /* the buffer holds the largest report */
    b->stats.rtcp_tx++;
    b->config.send_rtcp(b->config.arg, packet, (size_t)len, &to);
}

static void take_block(struct gw_bridge *b, const struct gw_rtcp_block *block)
{
    const uint32_t clock_hz = gw_codec_clock_hz(b->config.rtp.codec);
    const int64_t rtt_us = gw_rtcp_rtt_us(block, gw_rtcp_ntp_middle(gw_rtcp_ntp(b->now_us)));

    b->stats.peer_fraction_lost = block->fraction_lost;
    b->stats.peer_lost = block->lost > 0 ? (uint32_t)block->lost : 0;
    b->stats.peer_jitter_us = (uint32_t)((uint64_t)block->jitter_ticks * 1000000 / clock_hz);
    if (rtt_us >= 0)
        b->stats.rtt_us = (uint32_t)rtt_us;
}

void gw_bridge_rtcp_packet(struct gw_bridge *bridge, const uint8_t *data, size_t len, const struct wz_addr *from,
                           uint64_t now_us)
{
    struct gw_rtcp_report report;

    bridge->now_us = now_us;
    if (!gw_latch_knows_ip(&bridge->latch, from)) {
        bridge->stats.rtp_strangers++;
        return;
    }
    if (gw_rtcp_decode(wz_bytes(data, len), &report) < 0) {
        bridge->stats.rtcp_bad++;
        return;
    }
    bridge->stats.rtcp_rx++;
    bridge->stats.rtp_last_rx_us = now_us;
    bridge->rtcp_source = wz_addr_unmap(*from);
    bridge->stats.peer_bye |= report.bye;
    if (report.has_sender_info && report.ssrc == bridge->rtp_source.ssrc)
        gw_rtp_source_sr(&bridge->rtp_source, report.ntp, now_us);
    for (unsigned i = 0; i < report.block_count; i++) {
        if (report.block[i].ssrc == bridge->ssrc)
            take_block(bridge, &report.block[i]);
    }
}
