#include "gateway/media/rtcp.h"

#include <errno.h>
#include <string.h>

#define RTCP_VERSION 2
#define BLOCK_BYTES  24

enum rtcp_type {
    RTCP_SR = 200,
    RTCP_RR = 201,
    RTCP_SDES = 202,
    RTCP_BYE = 203,
};

#define SDES_CNAME 1

struct rtcp_hdr {
    unsigned count;
    uint8_t type;
};

static bool get_u24be(struct wz_reader *r, uint32_t *ret)
{
    struct wz_bytes b;

    if (!wz_get_slice(r, 3, &b))
        return false;
    *ret = (uint32_t)b.data[0] << 16 | (uint32_t)b.data[1] << 8 | b.data[2];
    return true;
}

static bool get_block(struct wz_reader *r, struct gw_rtcp_block *ret)
{
    uint32_t lost;

    if (!wz_get_u32be(r, &ret->ssrc) || !wz_get_u8(r, &ret->fraction_lost) || !get_u24be(r, &lost) ||
        !wz_get_u32be(r, &ret->highest_seq) || !wz_get_u32be(r, &ret->jitter_ticks) ||
        !wz_get_u32be(r, &ret->last_sr) || !wz_get_u32be(r, &ret->delay_since_sr))
        return false;
    ret->lost = lost & 0x800000 ? (int32_t)lost - 0x1000000 : (int32_t)lost;
    return true;
}

static int get_report(struct wz_reader body, const struct rtcp_hdr *hdr, struct gw_rtcp_report *out)
{
    if (!wz_get_u32be(&body, &out->ssrc))
        return -EBADMSG;
    if (hdr->type == RTCP_SR) {
        uint32_t ntp_high, ntp_low;
        if (!wz_get_u32be(&body, &ntp_high) || !wz_get_u32be(&body, &ntp_low) ||
            !wz_get_u32be(&body, &out->rtp_ticks) || !wz_get_u32be(&body, &out->packets) ||
            !wz_get_u32be(&body, &out->octets))
            return -EBADMSG;
        out->ntp = (uint64_t)ntp_high << 32 | ntp_low;
        out->has_sender_info = true;
    }
    for (unsigned i = 0; i < hdr->count; i++) {
        struct gw_rtcp_block block;
        if (!get_block(&body, &block))
            return -EBADMSG;
        if (out->block_count < GW_RTCP_BLOCKS_MAX)
            out->block[out->block_count++] = block;
    }
    return 0;
}

/* Only the CNAME of the sender itself is of interest; mixers may list others. */
static int get_sdes(struct wz_reader body, const struct rtcp_hdr *hdr, struct gw_rtcp_report *out)
{
    for (unsigned chunk = 0; chunk < hdr->count; chunk++) {
        const uint8_t *start = body.pos;
        uint32_t ssrc;
        uint8_t type, len;
        struct wz_bytes text;

        if (!wz_get_u32be(&body, &ssrc))
            return -EBADMSG;
        for (;;) {
            if (!wz_get_u8(&body, &type))
                return -EBADMSG;
            if (type == 0)
                break;
            if (!wz_get_u8(&body, &len) || !wz_get_slice(&body, len, &text))
                return -EBADMSG;
            if (type == SDES_CNAME && ssrc == out->ssrc) {
                const size_t keep = text.len < GW_RTCP_CNAME_MAX ? text.len : GW_RTCP_CNAME_MAX;
                memcpy(out->cname, text.data, keep);
                out->cname[keep] = '\0';
            }
        }
        /* Each chunk ends on a 32-bit boundary. */
        const size_t used = (size_t)(body.pos - start);
        if (!wz_get_slice(&body, (4 - used % 4) % 4, &text))
            return -EBADMSG;
    }
    return 0;
}

static int get_bye(struct wz_reader body, const struct rtcp_hdr *hdr, struct gw_rtcp_report *out)
{
    for (unsigned i = 0; i < hdr->count; i++) {
        uint32_t ssrc;
        if (!wz_get_u32be(&body, &ssrc))
            return -EBADMSG;
        if (ssrc == out->ssrc)
            out->bye = true;
    }
    return 0;
}

static int get_packet(struct wz_reader *r, struct rtcp_hdr *ret_hdr, struct wz_reader *ret_body)
{
    uint8_t b0, type;
    uint16_t words;
    struct wz_bytes body;

    if (!wz_get_u8(r, &b0) || !wz_get_u8(r, &type) || !wz_get_u16be(r, &words) || b0 >> 6 != RTCP_VERSION ||
        !wz_get_slice(r, (size_t)words * 4, &body))
        return -EBADMSG;
    if (b0 & 0x20) {
        if (body.len == 0 || body.data[body.len - 1] == 0 || body.data[body.len - 1] > body.len)
            return -EBADMSG;
        body.len -= body.data[body.len - 1];
    }
    *ret_hdr = (struct rtcp_hdr){ .count = b0 & 0x1f, .type = type };
    *ret_body = wz_reader(body);
    return 0;
}

int gw_rtcp_decode(struct wz_bytes in, struct gw_rtcp_report *ret)
{
    struct wz_reader r = wz_reader(in);
    struct gw_rtcp_report out = { 0 };
    bool has_report = false;

    for (unsigned n = 0; n < GW_RTCP_COMPOUND_MAX && wz_left(&r) > 0; n++) {
        struct rtcp_hdr hdr;
        struct wz_reader body;
        int err = get_packet(&r, &hdr, &body);

        if (err == 0 && (hdr.type == RTCP_SR || hdr.type == RTCP_RR)) {
            err = get_report(body, &hdr, &out);
            has_report = true;
        } else if (err == 0 && has_report && hdr.type == RTCP_SDES) {
            err = get_sdes(body, &hdr, &out);
        } else if (err == 0 && has_report && hdr.type == RTCP_BYE) {
            err = get_bye(body, &hdr, &out);
        }
        if (err)
            return err;
    }
    if (!has_report)
        return -EBADMSG;
    *ret = out;
    return 0;
}

static void put_hdr(struct wz_writer *w, unsigned count, enum rtcp_type type, size_t body_bytes)
{
    wz_put_u8(w, (uint8_t)(RTCP_VERSION << 6 | count));
    wz_put_u8(w, (uint8_t)type);
    wz_put_u16be(w, (uint16_t)(body_bytes / 4));
}

static void put_block(struct wz_writer *w, const struct gw_rtcp_block *block)
{
    /* 24 bits, clamped as RFC 3550 appendix A.3 says. */
    int32_t lost = block->lost;
    if (lost > 0x7fffff)
        lost = 0x7fffff;
    if (lost < -0x800000)
        lost = -0x800000;
    wz_put_u32be(w, block->ssrc);
    wz_put_u32be(w, (uint32_t)block->fraction_lost << 24 | ((uint32_t)lost & 0xffffff));
    wz_put_u32be(w, block->highest_seq);
    wz_put_u32be(w, block->jitter_ticks);
    wz_put_u32be(w, block->last_sr);
    wz_put_u32be(w, block->delay_since_sr);
}

static void put_sdes(struct wz_writer *w, uint32_t ssrc, const char *cname)
{
    static const uint8_t zeros[4] = { 0 };
    const size_t len = strnlen(cname, GW_RTCP_CNAME_MAX);
    const size_t item = 4 + 2 + len;
    const size_t pad = 4 - item % 4; /* at least one byte: the end marker */

    put_hdr(w, 1, RTCP_SDES, item + pad);
    wz_put_u32be(w, ssrc);
    wz_put_u8(w, SDES_CNAME);
    wz_put_u8(w, (uint8_t)len);
    wz_put(w, cname, len);
    wz_put(w, zeros, pad);
}

int gw_rtcp_encode(const struct gw_rtcp_report *report, uint8_t *buf, size_t size)
{
    struct wz_writer w = wz_writer(buf, size);
    const size_t blocks_bytes = (size_t)report->block_count * BLOCK_BYTES;

    if (report->block_count > GW_RTCP_BLOCKS_MAX)
        return -EINVAL;
    if (report->has_sender_info) {
        put_hdr(&w, report->block_count, RTCP_SR, 24 + blocks_bytes);
        wz_put_u32be(&w, report->ssrc);
        wz_put_u32be(&w, (uint32_t)(report->ntp >> 32));
        wz_put_u32be(&w, (uint32_t)report->ntp);
        wz_put_u32be(&w, report->rtp_ticks);
        wz_put_u32be(&w, report->packets);
        wz_put_u32be(&w, report->octets);
    } else {
        put_hdr(&w, report->block_count, RTCP_RR, 4 + blocks_bytes);
        wz_put_u32be(&w, report->ssrc);
    }
    for (unsigned i = 0; i < report->block_count; i++)
        put_block(&w, &report->block[i]);
    if (report->cname[0])
        put_sdes(&w, report->ssrc, report->cname);
    if (report->bye) {
        put_hdr(&w, 1, RTCP_BYE, 4);
        wz_put_u32be(&w, report->ssrc);
    }
    return wz_writer_ok(&w) ? (int)wz_written(&w) : -ENOSPC;
}

uint64_t gw_rtcp_ntp(uint64_t now_us)
{
    const uint64_t seconds = now_us / 1000000, rest_us = now_us % 1000000;
    return seconds << 32 | (rest_us << 32) / 1000000;
}

uint32_t gw_rtcp_ntp_middle(uint64_t ntp)
{
    return (uint32_t)(ntp >> 16);
}

int64_t gw_rtcp_rtt_us(const struct gw_rtcp_block *block, uint32_t now_middle)
{
    if (block->last_sr == 0)
        return -EAGAIN;
    const int32_t rtt = (int32_t)(now_middle - block->last_sr - block->delay_since_sr);
    if (rtt < 0)
        return -EBADMSG;
    return (int64_t)rtt * 1000000 / 65536;
}
