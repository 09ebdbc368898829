/* RTP packets (RFC 3550 section 5.1): header in, header out. Thread: any. Allocates nothing. */
#ifndef GATEWAY_MEDIA_RTP_H
#define GATEWAY_MEDIA_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"

#define GW_RTP_HEADER_BYTES 12
/** Largest packet we read or write: one Ethernet frame. */
#define GW_RTP_PACKET_MAX 1500
/** RFC 3389 comfort noise, static for every 8 kHz codec. */
#define GW_RTP_PT_COMFORT_NOISE 13
/** No payload type: real ones are 0..127. */
#define GW_RTP_PT_NONE 255

struct gw_rtp_hdr {
    bool marker;
    uint8_t payload_type;
    uint16_t seq;
    uint32_t timestamp_ticks;
    uint32_t ssrc;
};

/**
 * Decode one packet: CSRC list, header extension and padding are checked and stepped over.
 * @param ret_payload  Borrowed from in; may be empty.
 * @return 0; -EBADMSG (shorter than it says, padding longer than the payload); -EPROTONOSUPPORT (version other than 2).
 *         Outputs untouched on failure.
 */
int gw_rtp_decode(struct wz_bytes in, struct gw_rtp_hdr *ret_hdr, struct wz_bytes *ret_payload);

/** Write header and payload. Total length, or -ENOSPC, or -EINVAL (payload type over 127). */
int gw_rtp_encode(const struct gw_rtp_hdr *hdr, struct wz_bytes payload, uint8_t *buf, size_t size);

/** On a multiplexed port (RFC 5761): is this packet RTCP rather than RTP? */
bool gw_rtp_is_rtcp(struct wz_bytes in);

#endif
