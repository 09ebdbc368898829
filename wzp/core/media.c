#include "wzp/core/media.h"

#include <errno.h>

/* Byte 0: version (ignored, sent as 0), repair, codec, report, top bit of the FEC ratio. */
#define BYTE0_REPAIR      0x40u
#define BYTE0_CODEC_SHIFT 2
#define BYTE0_CODEC_MASK  0x0fu
#define BYTE0_REPORT      0x02u
#define BYTE0_RATIO_HIGH  0x01u
/* Byte 1: the other six bits of the ratio, then two unused. */
#define BYTE1_RATIO_SHIFT 2
#define RATIO_LOW_BITS    6
#define RATIO_LOW_MASK    0x3fu

#define FEC_RATIO_MAX       127u
#define FEC_RATIO_MAX_MILLI 2000u

/** What every sender writes; nobody reads it. */
#define BITRATE_CAP_KBPS 200u

static const struct codec_info {
    const char *name;
    unsigned bitrate_bps;
    uint8_t frame_ms;
    bool is_opus;
} codecs[WZP_CODEC_COUNT] = {
    [WZP_CODEC_OPUS_24K] = { "Opus24k", 24000, 20, true },
    [WZP_CODEC_OPUS_16K] = { "Opus16k", 16000, 20, true },
    [WZP_CODEC_OPUS_6K] = { "Opus6k", 6000, 40, true },
    [WZP_CODEC_CODEC2_3200] = { "Codec2_3200", 3200, 20, false },
    [WZP_CODEC_CODEC2_1200] = { "Codec2_1200", 1200, 40, false },
    [WZP_CODEC_COMFORT_NOISE] = { "ComfortNoise", 0, 20, false },
    [WZP_CODEC_OPUS_32K] = { "Opus32k", 32000, 20, true },
    [WZP_CODEC_OPUS_48K] = { "Opus48k", 48000, 20, true },
    [WZP_CODEC_OPUS_64K] = { "Opus64k", 64000, 20, true },
};

static bool codec_is_valid(enum wzp_codec codec)
{
    return (unsigned)codec < WZP_CODEC_COUNT;
}

static bool get_report(struct wz_reader *in, struct wzp_quality_report *ret)
{
    return wz_get_u8(in, &ret->loss) && wz_get_u8(in, &ret->rtt_4ms) && wz_get_u8(in, &ret->jitter_ms) &&
           wz_get_u8(in, &ret->bitrate_cap_kbps);
}

static bool get_header(struct wz_reader *in, struct wzp_media_hdr *ret)
{
    uint8_t byte0, byte1;

    if (!wz_get_u8(in, &byte0) || !wz_get_u8(in, &byte1) || !wz_get_u16be(in, &ret->seq) ||
        !wz_get_u32be(in, &ret->timestamp_ms) || !wz_get_u8(in, &ret->fec_block) || !wz_get_u8(in, &ret->fec_symbol) ||
        !wz_get_u8(in, &ret->reserved) || !wz_get_u8(in, &ret->csrc_count))
        return false;
    ret->is_repair = byte0 & BYTE0_REPAIR;
    ret->codec = (enum wzp_codec)(byte0 >> BYTE0_CODEC_SHIFT & BYTE0_CODEC_MASK);
    ret->has_report = byte0 & BYTE0_REPORT;
    ret->fec_ratio = (uint8_t)((byte0 & BYTE0_RATIO_HIGH) << RATIO_LOW_BITS | byte1 >> BYTE1_RATIO_SHIFT);
    return true;
}

int wzp_media_decode(struct wz_bytes in, struct wzp_media_hdr *ret_hdr, struct wz_bytes *ret_payload)
{
    struct wz_reader reader = wz_reader(in);
    struct wzp_media_hdr hdr = { 0 };
    struct wz_bytes payload;

    if (!get_header(&reader, &hdr))
        return -EBADMSG;
    if (!codec_is_valid(hdr.codec))
        return -EPROTONOSUPPORT;

    size_t trailer = hdr.has_report ? WZP_MEDIA_TRAILER_BYTES : 0;
    if (wz_left(&reader) < trailer || !wz_get_slice(&reader, wz_left(&reader) - trailer, &payload))
        return -EBADMSG;
    if (hdr.has_report && !get_report(&reader, &hdr.report))
        return -EBADMSG;

    *ret_hdr = hdr;
    *ret_payload = payload;
    return 0;
}

int wzp_media_encode(const struct wzp_media_hdr *hdr, struct wz_bytes payload, uint8_t *buf, size_t size)
{
    struct wz_writer out = wz_writer(buf, size);

    if (!codec_is_valid(hdr->codec) || hdr->fec_ratio > FEC_RATIO_MAX)
        return -EINVAL;
    unsigned byte0 = (unsigned)hdr->codec << BYTE0_CODEC_SHIFT | (unsigned)hdr->fec_ratio >> RATIO_LOW_BITS;
    if (hdr->is_repair)
        byte0 |= BYTE0_REPAIR;
    if (hdr->has_report)
        byte0 |= BYTE0_REPORT;

    wz_put_u8(&out, (uint8_t)byte0);
    wz_put_u8(&out, (uint8_t)((hdr->fec_ratio & RATIO_LOW_MASK) << BYTE1_RATIO_SHIFT));
    wz_put_u16be(&out, hdr->seq);
    wz_put_u32be(&out, hdr->timestamp_ms);
    wz_put_u8(&out, hdr->fec_block);
    wz_put_u8(&out, hdr->fec_symbol);
    wz_put_u8(&out, hdr->reserved);
    wz_put_u8(&out, hdr->csrc_count);
    wz_put(&out, payload.data, payload.len);
    if (hdr->has_report) {
        wz_put_u8(&out, hdr->report.loss);
        wz_put_u8(&out, hdr->report.rtt_4ms);
        wz_put_u8(&out, hdr->report.jitter_ms);
        wz_put_u8(&out, hdr->report.bitrate_cap_kbps);
    }
    return wz_writer_ok(&out) ? (int)wz_written(&out) : -ENOSPC;
}

bool wzp_codec_is_opus(enum wzp_codec codec)
{
    return codec_is_valid(codec) && codecs[codec].is_opus;
}

unsigned wzp_codec_frame_ms(enum wzp_codec codec)
{
    return codec_is_valid(codec) ? codecs[codec].frame_ms : codecs[WZP_CODEC_OPUS_24K].frame_ms;
}

unsigned wzp_codec_bitrate_bps(enum wzp_codec codec)
{
    return codec_is_valid(codec) ? codecs[codec].bitrate_bps : 0;
}

const char *wzp_codec_name(enum wzp_codec codec)
{
    return codec_is_valid(codec) ? codecs[codec].name : "unknown";
}

int wzp_codec_parse(const char *name, enum wzp_codec *ret)
{
    for (unsigned i = 0; i < WZP_CODEC_COUNT; i++) {
        if (strcmp(codecs[i].name, name) == 0) {
            *ret = (enum wzp_codec)i;
            return 0;
        }
    }
    return -EBADMSG;
}

uint8_t wzp_fec_ratio_encode(unsigned ratio_milli)
{
    if (ratio_milli >= FEC_RATIO_MAX_MILLI)
        return FEC_RATIO_MAX;
    return (uint8_t)((ratio_milli * 635u + 5000u) / 10000u); /* 63.5 steps for 1.0, half rounds up */
}

static uint8_t cap_u8(uint32_t value)
{
    return (uint8_t)(value < UINT8_MAX ? value : UINT8_MAX);
}

struct wzp_quality_report wzp_quality_from_stats(uint32_t loss_milli_pct, uint32_t rtt_ms, uint32_t jitter_ms)
{
    uint64_t loss = (uint64_t)loss_milli_pct * UINT8_MAX / 100000u;

    return (struct wzp_quality_report){
        .loss = loss < UINT8_MAX ? (uint8_t)loss : UINT8_MAX,
        .rtt_4ms = cap_u8(rtt_ms / 4),
        .jitter_ms = cap_u8(jitter_ms),
        .bitrate_cap_kbps = BITRATE_CAP_KBPS,
    };
}
