/* RFC 4733 telephone events received and sent. An event is known by (SSRC, timestamp): a missing marker, missing or
 * repeated end packets and packets out of order neither lose nor double a digit. Sans-IO; plain data. */
#ifndef GATEWAY_MEDIA_DTMF_H
#define GATEWAY_MEDIA_DTMF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"

#define GW_DTMF_PAYLOAD_BYTES 4
/** An event without an end packet ends when nothing was heard of it for so long. */
#define GW_DTMF_TIMEOUT_US 200000

struct gw_dtmf_event {
    uint8_t code; /**< 0..15 are digits, 16 flash */
    bool end;
    uint8_t volume; /**< 0..63: minus dBm0 */
    uint16_t duration_ticks;
};

/** The first event of the payload. 0 or -EBADMSG (shorter than 4 bytes). */
int gw_dtmf_decode(struct wz_bytes payload, struct gw_dtmf_event *ret);
void gw_dtmf_encode(const struct gw_dtmf_event *event, uint8_t buf[static GW_DTMF_PAYLOAD_BYTES]);
/** '0'..'9' '*' '#' 'A'..'D', or 0 for codes that are no digit. */
char gw_dtmf_digit(uint8_t code);

/** What one packet (or the passing of time) means, in this order. */
struct gw_dtmf_out {
    bool ends_former; /**< the former digit ended, its end packets were lost */
    uint32_t former_ms;
    bool begins; /**< a new digit sounds from now on */
    char digit;
    bool ends;            /**< the present digit ended (also together with begins) */
    uint32_t duration_ms; /**< its length, when ends */
};

struct gw_dtmf_rx {
    uint32_t clock_hz;
    bool seen;   /**< an event was heard; ssrc and timestamp name the last one */
    bool active; /**< and it has not ended */
    uint32_t ssrc;
    uint32_t timestamp;     /**< of the first segment's start */
    uint32_t segment_ticks; /**< start of the present segment, relative to timestamp (long events) */
    uint32_t duration_ticks;
    char digit;
    uint64_t last_us;
    uint64_t digits;  /**< counted once each */
    uint64_t ignored; /**< events that are no digit, or malformed */
};

/** clock_hz: of the event's own rtpmap, which may differ from the codec's. */
void gw_dtmf_rx_init(struct gw_dtmf_rx *rx, uint32_t clock_hz);
void gw_dtmf_rx_packet(struct gw_dtmf_rx *rx, uint32_t ssrc, uint32_t timestamp, struct wz_bytes payload,
                       uint64_t now_us, struct gw_dtmf_out *ret);
/** Ends a digit whose end packets were all lost. */
void gw_dtmf_rx_tick(struct gw_dtmf_rx *rx, uint64_t now_us, struct gw_dtmf_out *ret);
/** When gw_dtmf_rx_tick() has something to do; UINT64_MAX: never. */
uint64_t gw_dtmf_rx_deadline_us(const struct gw_dtmf_rx *rx);

#endif
