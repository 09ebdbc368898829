/* RTCP compound packets (RFC 3550 section 6): SR, RR, SDES CNAME and BYE in one struct. Thread: any. Allocates nothing. */
#ifndef GATEWAY_MEDIA_RTCP_H
#define GATEWAY_MEDIA_RTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"

/** Report blocks kept of one compound packet; further ones are checked and skipped. */
#define GW_RTCP_BLOCKS_MAX 8
/** Packets in one compound packet that we are ready to walk. */
#define GW_RTCP_COMPOUND_MAX 16
#define GW_RTCP_CNAME_MAX    63
/** Room for what gw_rtcp_encode() writes at most. */
#define GW_RTCP_PACKET_MAX (28 + 24 * GW_RTCP_BLOCKS_MAX + 8 + 2 + GW_RTCP_CNAME_MAX + 4 + 8)

struct gw_rtcp_block {
    uint32_t ssrc;         /**< whose packets this block is about */
    uint8_t fraction_lost; /**< of the last interval, 0..255 is 0..100 % */
    int32_t lost;          /**< since the start, 24 bits signed; negative with duplicates */
    uint32_t highest_seq;  /**< with wrap count in the upper half */
    uint32_t jitter_ticks;
    uint32_t last_sr;        /**< middle 32 bits of the last SR's NTP time; 0: none yet */
    uint32_t delay_since_sr; /**< 1/65536 s */
};

struct gw_rtcp_report {
    uint32_t ssrc;        /**< of the sender of this compound packet */
    bool has_sender_info; /**< SR, else RR */
    uint64_t ntp;         /**< 32.32 seconds; the sender's clock */
    uint32_t rtp_ticks;
    uint32_t packets;
    uint32_t octets;
    unsigned block_count;
    struct gw_rtcp_block block[GW_RTCP_BLOCKS_MAX];
    bool bye;
    char cname[GW_RTCP_CNAME_MAX + 1]; /**< "" when absent; cut when longer */
};

/**
 * Decode one compound packet; unknown packet types inside are stepped over.
 * @return 0; -EBADMSG (a length that does not fit, no SR or RR, no known packet at all). *ret untouched on failure.
 */
int gw_rtcp_decode(struct wz_bytes in, struct gw_rtcp_report *ret);

/** Write SR or RR, SDES with the CNAME, and BYE when asked. Total length, -ENOSPC or -EINVAL. */
int gw_rtcp_encode(const struct gw_rtcp_report *report, uint8_t *buf, size_t size);

/** NTP format of a time in microseconds; any epoch (RFC 3550 section 4 allows elapsed time). */
uint64_t gw_rtcp_ntp(uint64_t now_us);
/** The middle 32 bits, as last_sr carries them. */
uint32_t gw_rtcp_ntp_middle(uint64_t ntp);

/**
 * Round trip from a block that answers one of our SRs.
 * @param now_middle  gw_rtcp_ntp_middle(gw_rtcp_ntp(now_us)).
 * @return microseconds; -EAGAIN when the block answers no SR; -EBADMSG when the answer is older than the question.
 */
int64_t gw_rtcp_rtt_us(const struct gw_rtcp_block *block, uint32_t now_middle);

#endif
