/* Wrap-around comparison of sequence numbers (RFC 1982 serial arithmetic). */
#ifndef WZP_BASE_SEQ_H
#define WZP_BASE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq16_before(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b) < 0;
}

static inline bool seq32_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

/** Signed distance from b to a. */
static inline int16_t seq16_diff(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b);
}

static inline int32_t seq32_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

#endif
