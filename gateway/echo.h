/* The echo service: a WZP identity that answers every call and sends back what it hears. Dialling it from a phone
 * proves the whole way, SIP -> gateway -> QUIC -> relay -> QUIC and back. Thread: the line's worker. */
#ifndef GATEWAY_ECHO_H
#define GATEWAY_ECHO_H

#include "wzp/base/bytes.h"
#include "wzp/io/line.h"

/** What an echo line does with an event of a call, and with a datagram of one. */
void gw_echo_event(const struct wzp_line_event *event);
void gw_echo_received(struct wzp_line_call *call, struct wz_bytes data);

/**
 * The datagram to send back for one received: same codec, sequence, time stamp and payload, without the quality
 * trailer, which told about the other direction.
 * @return its length, or -EBADMSG / -EPROTONOSUPPORT for what cannot be echoed.
 */
int gw_echo_datagram(struct wz_bytes in, uint8_t *buf, size_t size);

#endif
