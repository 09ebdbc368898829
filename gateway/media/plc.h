/* Packet loss concealment for waveform codecs (G.711 appendix I style, by spandsp): pitch repetition that fades out
 * within 50 ms, and a smooth way back. Thread: one per object. */
#ifndef GATEWAY_MEDIA_PLC_H
#define GATEWAY_MEDIA_PLC_H

#include <stddef.h>
#include <stdint.h>

struct gw_plc;

/** 8 kHz mono. 0 or -ENOMEM. */
int gw_plc_new(struct gw_plc **ret);
void gw_plc_free(struct gw_plc *plc);
/** Good audio passes through; after a concealed stretch its beginning is blended in place. */
void gw_plc_good(struct gw_plc *plc, int16_t *pcm, size_t samples);
/** Invent samples. */
void gw_plc_conceal(struct gw_plc *plc, int16_t *pcm, size_t samples);

#endif
