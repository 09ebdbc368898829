/* What we know of one RTP sender we hear: sequence with wraps, loss, interarrival jitter, its last SR.
 * RFC 3550 appendices A.1, A.3, A.8. Plain data, sans-IO. */
#ifndef GATEWAY_MEDIA_RTP_SOURCE_H
#define GATEWAY_MEDIA_RTP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/media/rtcp.h"

struct gw_rtp_source {
    bool active;
    uint32_t ssrc;
    uint32_t clock_hz;
    uint16_t highest_seq;
    uint32_t cycles; /**< wraps, shifted by 16 */
    uint32_t base_seq;
    uint32_t bad_seq;  /**< a jump waits for its successor before it is believed */
    uint32_t received; /**< duplicates included, as RFC 3550 counts */
    uint32_t duplicates;
    uint64_t seen; /**< bit n: highest_seq - n came */
    uint32_t expected_prior;
    uint32_t received_prior;
    int32_t transit_ticks;
    uint32_t jitter_scaled; /**< 16 x ticks */
    uint32_t last_sr;
    uint64_t last_sr_us;
};

/** Forget everything and listen to ssrc. */
void gw_rtp_source_start(struct gw_rtp_source *source, uint32_t ssrc, uint32_t clock_hz);
/** Count one packet. False: a sequence jump that is not believed yet. */
bool gw_rtp_source_packet(struct gw_rtp_source *source, uint16_t seq, uint32_t timestamp_ticks, uint64_t now_us);
/** An SR of this source arrived. */
void gw_rtp_source_sr(struct gw_rtp_source *source, uint64_t ntp, uint64_t now_us);
/** Fill the block for our next report and begin a new interval. */
void gw_rtp_source_report(struct gw_rtp_source *source, uint64_t now_us, struct gw_rtcp_block *ret);
/** Packets that never came since the start; duplicates make up for nothing. */
uint32_t gw_rtp_source_lost(const struct gw_rtp_source *source);
uint32_t gw_rtp_source_jitter_us(const struct gw_rtp_source *source);

#endif
