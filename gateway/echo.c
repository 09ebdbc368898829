#include "gateway/echo.h"

#define LOG_MODULE "echo"
#include "wzp/core/media.h"
#include "wzp/rt/log.h"

int gw_echo_datagram(struct wz_bytes in, uint8_t *buf, size_t size)
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    int err = wzp_media_decode(in, &hdr, &payload);
    if (err)
        return err;
    hdr.has_report = false;
    return wzp_media_encode(&hdr, payload, buf, size);
}

void gw_echo_event(const struct wzp_line_event *event)
{
    switch (event->kind) {
    case WZP_LINE_INCOMING:
        /* Generic: whoever tests the echo learns nothing about where the gateway stands. */
        if (wzp_line_answer(event->call, WZP_ACCEPT_GENERIC) < 0)
            wzp_line_hangup(event->call, WZP_HANGUP_ERROR);
        break;
    case WZP_LINE_ENDED:
        LOG_DEBUG("echo.ended", "call=%s", event->call_id ? event->call_id : "?");
        break;
    default:
        break;
    }
}

void gw_echo_received(struct wzp_line_call *call, struct wz_bytes data)
{
    uint8_t buf[WZP_MEDIA_DATAGRAM_MAX];
    int len = gw_echo_datagram(data, buf, sizeof buf);
    if (len > 0)
        (void)wzp_line_send(call, wz_bytes(buf, (size_t)len)); /* a lost echo is a lost packet */
}
