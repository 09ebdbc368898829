/* RTCP decoder: what is decoded survives encoding, except that further blocks and a longer CNAME have been cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/rtcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int blocks_differ(const struct gw_rtcp_block *a, const struct gw_rtcp_block *b)
{
    return a->ssrc != b->ssrc || a->fraction_lost != b->fraction_lost || a->lost != b->lost ||
           a->highest_seq != b->highest_seq || a->jitter_ticks != b->jitter_ticks || a->last_sr != b->last_sr ||
           a->delay_since_sr != b->delay_since_sr;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_rtcp_report report, again;
    uint8_t buf[GW_RTCP_PACKET_MAX];

    if (gw_rtcp_decode(wz_bytes(data, size), &report) < 0)
        return 0;
    const int len = gw_rtcp_encode(&report, buf, sizeof buf);
    if (len < 0 || gw_rtcp_decode(wz_bytes(buf, (size_t)len), &again) < 0)
        abort();
    if (again.ssrc != report.ssrc || again.has_sender_info != report.has_sender_info ||
        again.block_count != report.block_count || again.bye != report.bye || strcmp(again.cname, report.cname) != 0)
        abort();
    if (report.has_sender_info && (again.ntp != report.ntp || again.rtp_ticks != report.rtp_ticks ||
                                   again.packets != report.packets || again.octets != report.octets))
        abort();
    for (unsigned i = 0; i < report.block_count; i++) {
        if (blocks_differ(&again.block[i], &report.block[i]))
            abort();
        (void)gw_rtcp_rtt_us(&report.block[i], 0x12345678);
    }
    return 0;
}
