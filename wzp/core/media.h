/* One media datagram: 12-byte header, payload, optional 4-byte quality trailer.
 * Spec: docs/wzp-wire.md "Media header". Thread: any. Allocates nothing. */
#ifndef WZP_CORE_MEDIA_H
#define WZP_CORE_MEDIA_H

#include <stdbool.h>

#include "wzp/base/bytes.h"

#define WZP_MEDIA_HEADER_BYTES  12
#define WZP_MEDIA_TRAILER_BYTES 4
/** Largest datagram we send: fits the smallest QUIC path with the longest connection id. */
#define WZP_MEDIA_DATAGRAM_MAX 1150

enum wzp_codec {
    WZP_CODEC_OPUS_24K = 0,
    WZP_CODEC_OPUS_16K = 1,
    WZP_CODEC_OPUS_6K = 2,
    WZP_CODEC_CODEC2_3200 = 3,
    WZP_CODEC_CODEC2_1200 = 4,
    WZP_CODEC_COMFORT_NOISE = 5,
    WZP_CODEC_OPUS_32K = 6,
    WZP_CODEC_OPUS_48K = 7,
    WZP_CODEC_OPUS_64K = 8,
    WZP_CODEC_COUNT = 9,
};

struct wzp_quality_report {
    uint8_t loss; /**< 0..255 is 0..100 % */
    uint8_t rtt_4ms;
    uint8_t jitter_ms;
    uint8_t bitrate_cap_kbps; /**< always 200 on the wire today */
};

struct wzp_media_hdr {
    enum wzp_codec codec;
    bool is_repair;
    bool has_report;
    uint8_t fec_ratio; /**< encoded, 0..127 = 0..2.0 */
    uint16_t seq;
    uint32_t timestamp_ms;
    uint8_t fec_block;
    uint8_t fec_symbol;
    uint8_t reserved;
    uint8_t csrc_count;
    struct wzp_quality_report report; /**< valid when has_report */
};

/**
 * Decode one datagram.
 * @param ret_payload  What lies between header and trailer, borrowed from in.
 * @return 0; -EBADMSG (shorter than its header and trailer); -EPROTONOSUPPORT (codec 9..15). Outputs untouched on failure.
 */
int wzp_media_decode(struct wz_bytes in, struct wzp_media_hdr *ret_hdr, struct wz_bytes *ret_payload);
/** Write header + payload + trailer into buf. Length, or -ENOSPC, or -EINVAL (codec or ratio out of range). */
int wzp_media_encode(const struct wzp_media_hdr *hdr, struct wz_bytes payload, uint8_t *buf, size_t size);

bool wzp_codec_is_opus(enum wzp_codec codec);
/** 20 or 40. */
unsigned wzp_codec_frame_ms(enum wzp_codec codec);
unsigned wzp_codec_bitrate_bps(enum wzp_codec codec);
/** The spelling of the signals: "Opus24k", "Codec2_3200", ... */
const char *wzp_codec_name(enum wzp_codec codec);
/** 0 or -EBADMSG. */
int wzp_codec_parse(const char *name, enum wzp_codec *ret);

/** ratio in 1/1000; encoded = min(127, round_half_up(ratio * 63.5)). */
uint8_t wzp_fec_ratio_encode(unsigned ratio_milli);

/** Truncating encode of statistics into the trailer (spec 4.4); loss in 1/1000 of a percent. */
struct wzp_quality_report wzp_quality_from_stats(uint32_t loss_milli_pct, uint32_t rtt_ms, uint32_t jitter_ms);

#endif
