/* A repair symbol's layout: u16 little-endian frame length, the frame, zeros. For fec_*.c only. */
#ifndef WZP_CORE_FEC_SYMBOL_H
#define WZP_CORE_FEC_SYMBOL_H

#include "wzp/core/fec.h"
#include "wzp/core/raptorq.h"

_Static_assert(WZP_FEC_BLOCK_MAX <= WZP_RAPTORQ_SOURCES_MAX, "a block is one RaptorQ source block");

#define WZP_FEC_PREFIX_BYTES (WZP_FEC_SYMBOL_BYTES - WZP_FEC_FRAME_MAX)

static inline bool wzp_fec_frame_fits(struct wz_bytes frame)
{
    return frame.len > 0 && frame.len <= WZP_FEC_FRAME_MAX;
}

/** frame must fit. */
static inline void wzp_fec_symbol_of(struct wz_bytes frame, uint8_t ret[static WZP_FEC_SYMBOL_BYTES])
{
    ret[0] = (uint8_t)(frame.len & 0xff);
    ret[1] = (uint8_t)(frame.len >> 8);
    memcpy(ret + WZP_FEC_PREFIX_BYTES, frame.data, frame.len);
    memset(ret + WZP_FEC_PREFIX_BYTES + frame.len, 0, WZP_FEC_FRAME_MAX - frame.len);
}

/** Length of the frame in a symbol, or 0 when it holds none: the length is none, or something follows the frame. */
static inline size_t wzp_fec_frame_len(const uint8_t symbol[static WZP_FEC_SYMBOL_BYTES])
{
    size_t len = (size_t)symbol[1] << 8 | symbol[0];

    if (len > WZP_FEC_FRAME_MAX)
        return 0;
    for (size_t i = WZP_FEC_PREFIX_BYTES + len; i < WZP_FEC_SYMBOL_BYTES; i++)
        if (symbol[i])
            return 0;
    return len;
}

#endif
