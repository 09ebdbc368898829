/* Signal framing: u32 big-endian length + JSON text. One message per QUIC stream; what follows is ignored.
 * Spec: docs/wzp-wire.md "Framing". Thread: any. */
#ifndef WZP_CORE_FRAME_H
#define WZP_CORE_FRAME_H

#include <stdbool.h>

#include "wzp/base/bytes.h"

#define WZP_FRAME_PREFIX_BYTES 4
#define WZP_SIGNAL_MAX_BYTES   1048576u

/** Collects one message out of arbitrary pieces. Zero-initialised is empty. */
struct wzp_frame_in {
    uint8_t prefix[WZP_FRAME_PREFIX_BYTES];
    size_t prefix_len;
    uint8_t *body; /**< grows with what arrives, never ahead of it by more than a page */
    size_t body_len, body_size, want;
};

/**
 * Feed bytes. 1: the message is complete (body, body_len); 0: more needed; -EMSGSIZE: length over the limit; -ENOMEM.
 * Bytes after a complete message are ignored.
 */
int wzp_frame_feed(struct wzp_frame_in *frame, struct wz_bytes in);
void wzp_frame_done(struct wzp_frame_in *frame);

/** Write the prefix for a body of len bytes. 0 or -EMSGSIZE. */
int wzp_frame_prefix(size_t len, uint8_t ret[static WZP_FRAME_PREFIX_BYTES]);

#endif
