/* G.711 mu-law and A-law (ITU-T G.711) by table, 8 kHz mono. Thread: any; the tables are constant. */
#ifndef GATEWAY_MEDIA_CODEC_G711_H
#define GATEWAY_MEDIA_CODEC_G711_H

#include <stddef.h>
#include <stdint.h>

enum gw_g711_law {
    GW_G711_ULAW,
    GW_G711_ALAW,
};

void gw_g711_decode(enum gw_g711_law law, const uint8_t *in, size_t samples, int16_t *pcm);
void gw_g711_encode(enum gw_g711_law law, const int16_t *pcm, size_t samples, uint8_t *out);

#endif
