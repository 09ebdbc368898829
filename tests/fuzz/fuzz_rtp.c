/* RTP decoder, and the telephone events inside: what is decoded survives encoding. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/dtmf.h"
#include "gateway/media/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_event(const struct gw_rtp_hdr *hdr, struct wz_bytes payload)
{
    struct gw_dtmf_event event, again;
    struct gw_dtmf_rx rx;
    struct gw_dtmf_out out;
    uint8_t buf[GW_DTMF_PAYLOAD_BYTES];

    gw_dtmf_rx_init(&rx, 8000);
    gw_dtmf_rx_packet(&rx, hdr->ssrc, hdr->timestamp_ticks, payload, 0, &out);
    if (gw_dtmf_decode(payload, &event) < 0)
        return;
    gw_dtmf_encode(&event, buf);
    if (gw_dtmf_decode(wz_bytes(buf, sizeof buf), &again) < 0 || again.code != event.code || again.end != event.end ||
        again.volume != event.volume || again.duration_ticks != event.duration_ticks)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_rtp_hdr hdr, again;
    struct wz_bytes payload, payload_again;
    uint8_t buf[GW_RTP_PACKET_MAX];

    (void)gw_rtp_is_rtcp(wz_bytes(data, size));
    if (gw_rtp_decode(wz_bytes(data, size), &hdr, &payload) < 0)
        return 0;
    check_event(&hdr, payload);
    const int len = gw_rtp_encode(&hdr, payload, buf, sizeof buf);
    if (len < 0)
        return 0; /* larger than what we send */
    if (gw_rtp_decode(wz_bytes(buf, (size_t)len), &again, &payload_again) < 0 || again.marker != hdr.marker ||
        again.payload_type != hdr.payload_type || again.seq != hdr.seq ||
        again.timestamp_ticks != hdr.timestamp_ticks || again.ssrc != hdr.ssrc ||
        !wz_bytes_equal(payload, payload_again))
        abort();
    return 0;
}
