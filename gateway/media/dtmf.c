#include "gateway/media/dtmf.h"

#include "wzp/base/seq.h"

#include <errno.h>

#define DIGIT_CODES 16
/** Longest duration field: a longer event goes on in a new segment (RFC 4733 section 2.5.1.3). */
#define SEGMENT_MAX_TICKS 0xffffu

int gw_dtmf_decode(struct wz_bytes payload, struct gw_dtmf_event *ret)
{
    struct wz_reader r = wz_reader(payload);
    struct gw_dtmf_event event;
    uint8_t flags;

    if (!wz_get_u8(&r, &event.code) || !wz_get_u8(&r, &flags) || !wz_get_u16be(&r, &event.duration_ticks))
        return -EBADMSG;
    event.end = flags & 0x80;
    event.volume = flags & 0x3f;
    *ret = event;
    return 0;
}

void gw_dtmf_encode(const struct gw_dtmf_event *event, uint8_t buf[static GW_DTMF_PAYLOAD_BYTES])
{
    struct wz_writer w = wz_writer(buf, GW_DTMF_PAYLOAD_BYTES);

    wz_put_u8(&w, event->code);
    wz_put_u8(&w, (uint8_t)((event->end ? 0x80 : 0) | (event->volume & 0x3f)));
    wz_put_u16be(&w, event->duration_ticks);
}

char gw_dtmf_digit(uint8_t code)
{
    static const char digits[DIGIT_CODES + 1] = "0123456789*#ABCD";
    return code < DIGIT_CODES ? digits[code] : '\0';
}

void gw_dtmf_rx_init(struct gw_dtmf_rx *rx, uint32_t clock_hz)
{
    *rx = (struct gw_dtmf_rx){ .clock_hz = clock_hz };
}

static uint32_t duration_ms(const struct gw_dtmf_rx *rx)
{
    return (uint32_t)((uint64_t)(rx->segment_ticks + rx->duration_ticks) * 1000 / rx->clock_hz);
}

/* A long event is cut into segments: the same digit goes on with a timestamp that follows the former segment. */
static bool is_next_segment(const struct gw_dtmf_rx *rx, char digit, uint32_t timestamp)
{
    return rx->active && digit == rx->digit && rx->duration_ticks == SEGMENT_MAX_TICKS &&
           timestamp == rx->timestamp + rx->segment_ticks + SEGMENT_MAX_TICKS;
}

static void begin(struct gw_dtmf_rx *rx, uint32_t ssrc, uint32_t timestamp, char digit, struct gw_dtmf_out *out)
{
    if (rx->active) {
        out->ends_former = true;
        out->former_ms = duration_ms(rx);
    }
    rx->seen = rx->active = true;
    rx->ssrc = ssrc;
    rx->timestamp = timestamp;
    rx->segment_ticks = 0;
    rx->duration_ticks = 0;
    rx->digit = digit;
    rx->digits++;
    out->begins = true;
}

static void end(struct gw_dtmf_rx *rx, struct gw_dtmf_out *out)
{
    rx->active = false;
    out->ends = true;
    out->duration_ms = duration_ms(rx);
}

void gw_dtmf_rx_packet(struct gw_dtmf_rx *rx, uint32_t ssrc, uint32_t timestamp, struct wz_bytes payload,
                       uint64_t now_us, struct gw_dtmf_out *ret)
{
    struct gw_dtmf_event event;
    char digit = '\0';

    *ret = (struct gw_dtmf_out){ 0 };
    if (gw_dtmf_decode(payload, &event) == 0)
        digit = gw_dtmf_digit(event.code);
    if (digit == '\0') {
        rx->ignored++;
        return;
    }
    if (!rx->seen || rx->ssrc != ssrc) {
        begin(rx, ssrc, timestamp, digit, ret);
    } else if (timestamp != rx->timestamp + rx->segment_ticks) {
        if (is_next_segment(rx, digit, timestamp)) {
            rx->segment_ticks += SEGMENT_MAX_TICKS;
            rx->duration_ticks = 0;
        } else if (seq32_before(timestamp, rx->timestamp + rx->segment_ticks)) {
            return; /* an event that was over before this one began */
        } else {
            begin(rx, ssrc, timestamp, digit, ret);
        }
    } else if (!rx->active) {
        return; /* a repeated end */
    }
    ret->digit = rx->digit;
    rx->last_us = now_us;
    if (event.duration_ticks > rx->duration_ticks)
        rx->duration_ticks = event.duration_ticks; /* updates may come out of order */
    if (event.end)
        end(rx, ret);
}

void gw_dtmf_rx_tick(struct gw_dtmf_rx *rx, uint64_t now_us, struct gw_dtmf_out *ret)
{
    *ret = (struct gw_dtmf_out){ .digit = rx->digit };
    if (rx->active && now_us >= rx->last_us + GW_DTMF_TIMEOUT_US)
        end(rx, ret);
}

uint64_t gw_dtmf_rx_deadline_us(const struct gw_dtmf_rx *rx)
{
    return rx->active ? rx->last_us + GW_DTMF_TIMEOUT_US : UINT64_MAX;
}
