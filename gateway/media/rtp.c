#include "gateway/media/rtp.h"

#include <errno.h>

#define RTP_VERSION 2

int gw_rtp_decode(struct wz_bytes in, struct gw_rtp_hdr *ret_hdr, struct wz_bytes *ret_payload)
{
    struct wz_reader r = wz_reader(in);
    struct gw_rtp_hdr hdr;
    struct wz_bytes skipped, payload;
    uint8_t b0, b1;

    if (!wz_get_u8(&r, &b0) || !wz_get_u8(&r, &b1))
        return -EBADMSG;
    if (b0 >> 6 != RTP_VERSION)
        return -EPROTONOSUPPORT;
    hdr.marker = b1 & 0x80;
    hdr.payload_type = b1 & 0x7f;
    if (!wz_get_u16be(&r, &hdr.seq) || !wz_get_u32be(&r, &hdr.timestamp_ticks) || !wz_get_u32be(&r, &hdr.ssrc))
        return -EBADMSG;
    if (!wz_get_slice(&r, (size_t)(b0 & 0x0f) * 4, &skipped))
        return -EBADMSG;
    if (b0 & 0x10) {
        uint16_t profile, words;
        if (!wz_get_u16be(&r, &profile) || !wz_get_u16be(&r, &words) || !wz_get_slice(&r, (size_t)words * 4, &skipped))
            return -EBADMSG;
    }
    payload = wz_bytes(r.pos, wz_left(&r));
    if (b0 & 0x20) {
        /* The last byte counts the padding, itself included. */
        if (payload.len == 0)
            return -EBADMSG;
        const uint8_t padding = payload.data[payload.len - 1];
        if (padding == 0 || padding > payload.len)
            return -EBADMSG;
        payload.len -= padding;
    }
    *ret_hdr = hdr;
    *ret_payload = payload;
    return 0;
}

int gw_rtp_encode(const struct gw_rtp_hdr *hdr, struct wz_bytes payload, uint8_t *buf, size_t size)
{
    struct wz_writer w = wz_writer(buf, size);

    if (hdr->payload_type > 127)
        return -EINVAL;
    if (size < GW_RTP_HEADER_BYTES || payload.len > size - GW_RTP_HEADER_BYTES)
        return -ENOSPC;
    wz_put_u8(&w, RTP_VERSION << 6);
    wz_put_u8(&w, (uint8_t)((hdr->marker ? 0x80 : 0) | hdr->payload_type));
    wz_put_u16be(&w, hdr->seq);
    wz_put_u32be(&w, hdr->timestamp_ticks);
    wz_put_u32be(&w, hdr->ssrc);
    wz_put(&w, payload.data, payload.len);
    return (int)wz_written(&w);
}

bool gw_rtp_is_rtcp(struct wz_bytes in)
{
    /* RFC 5761 section 4: RTCP types 192..223 would be RTP types 64..95 with the marker set. */
    return in.len >= 2 && in.data[1] >= 192 && in.data[1] <= 223;
}
