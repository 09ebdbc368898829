/* Packet loss concealment for G.711 at 8 kHz, in the manner of G.711 appendix I without its delay: the last pitch period is
 * repeated, seams are overlapped, the level falls to nothing within 60 ms.
 * Own code: spandsp's plc (0.0.6) copies overlapping memory with memcpy. Thread: one per object. */
#ifndef GATEWAY_MEDIA_PLC_H
#define GATEWAY_MEDIA_PLC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Pitches from 66 to 200 Hz. */
#define GW_PLC_PITCH_MIN 40
#define GW_PLC_PITCH_MAX 120
/** The stretch that two periods are compared over, and the longest period before it. */
#define GW_PLC_COMPARE 160
#define GW_PLC_HISTORY (GW_PLC_COMPARE + GW_PLC_PITCH_MAX + GW_PLC_PITCH_MAX / 4)

/** Plain data; starts zeroed. */
struct gw_plc {
    int16_t history[GW_PLC_HISTORY];  /**< the newest good samples */
    int16_t period[GW_PLC_PITCH_MAX]; /**< what is repeated */
    unsigned pitch;                   /**< its length */
    unsigned phase;                   /**< next sample of it */
    unsigned concealed;               /**< samples invented since the last good one */
};

/** Good audio passes through; after a concealed stretch its beginning is blended in place. */
void gw_plc_good(struct gw_plc *plc, int16_t *pcm, size_t samples);
/** Invent samples. */
void gw_plc_conceal(struct gw_plc *plc, int16_t *pcm, size_t samples);

#endif
