#include "gateway/media/codec_g711.h"

/* Decoding tables, computed from the segment formulas of ITU-T G.711 (16-bit output scale). Encoding computes the segment
 * from the position of the highest bit, so it needs no table of 64 kB. */

#define ULAW_BIAS 132
#define ULAW_CLIP 32635

/* One expansion step per code, spelled as a constant expression so that the tables need no start-up code. */
#define U_MAG(c)  (((((~(c)&0x0f) << 3) + ULAW_BIAS) << ((~(c)&0x70) >> 4)) - ULAW_BIAS)
#define U(c)      ((int16_t)((c)&0x80 ? U_MAG(c) : -U_MAG(c)))
#define A_X(c)    ((c) ^ 0x55)
#define A_SEG(c)  ((A_X(c) & 0x70) >> 4)
#define A_BASE(c) (((A_X(c) & 0x0f) << 4) + 8)
#define A_MAG(c)  (A_SEG(c) == 0 ? A_BASE(c) : (A_BASE(c) + 0x100) << (A_SEG(c) ? A_SEG(c) - 1 : 0))
#define A(c)      ((int16_t)(A_X(c) & 0x80 ? A_MAG(c) : -A_MAG(c)))

#define ROW4(F, c)  F(c), F((c) + 1), F((c) + 2), F((c) + 3)
#define ROW16(F, c) ROW4(F, c), ROW4(F, (c) + 4), ROW4(F, (c) + 8), ROW4(F, (c) + 12)
#define ROW64(F, c) ROW16(F, c), ROW16(F, (c) + 16), ROW16(F, (c) + 32), ROW16(F, (c) + 48)
#define ROW256(F)   ROW64(F, 0), ROW64(F, 64), ROW64(F, 128), ROW64(F, 192)

static const int16_t ulaw_table[256] = { ROW256(U) };
static const int16_t alaw_table[256] = { ROW256(A) };

static uint8_t ulaw_encode(int pcm)
{
    const uint8_t sign = pcm < 0 ? 0x00 : 0x80;
    int mag = pcm < 0 ? -pcm : pcm;

    if (mag > ULAW_CLIP)
        mag = ULAW_CLIP;
    mag += ULAW_BIAS;
    const int segment = 31 - __builtin_clz((unsigned)mag) - 7;
    const int mantissa = (mag >> (segment + 3)) & 0x0f;
    return (uint8_t)(sign | (~(segment << 4 | mantissa) & 0x7f));
}

static uint8_t alaw_encode(int pcm)
{
    const uint8_t sign = pcm < 0 ? 0x00 : 0x80;
    const int mag = pcm < 0 ? ~pcm : pcm; /* one's complement: both signs have the same steps */
    int code;

    if (mag < 256) {
        code = mag >> 4;
    } else {
        const int segment = 31 - __builtin_clz((unsigned)mag) - 7;
        code = segment << 4 | ((mag >> (segment + 3)) & 0x0f);
    }
    return (uint8_t)((sign | code) ^ 0x55);
}

void gw_g711_decode(enum gw_g711_law law, const uint8_t *in, size_t samples, int16_t *pcm)
{
    const int16_t *table = law == GW_G711_ULAW ? ulaw_table : alaw_table;

    for (size_t i = 0; i < samples; i++)
        pcm[i] = table[in[i]];
}

void gw_g711_encode(enum gw_g711_law law, const int16_t *pcm, size_t samples, uint8_t *out)
{
    if (law == GW_G711_ULAW) {
        for (size_t i = 0; i < samples; i++)
            out[i] = ulaw_encode(pcm[i]);
    } else {
        for (size_t i = 0; i < samples; i++)
            out[i] = alaw_encode(pcm[i]);
    }
}
