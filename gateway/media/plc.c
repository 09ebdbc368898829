#include "gateway/media/plc.h"

#include <string.h>

/** Full level for 10 ms, then falling to nothing at 60 ms. */
#define HOLD_SAMPLES 80
#define FADE_SAMPLES 400
/** The way back is blended over a quarter period, longer after longer gaps, at most 10 ms. */
#define BLEND_MAX 80

static void remember(struct gw_plc *plc, const int16_t *pcm, size_t samples)
{
    if (samples >= GW_PLC_HISTORY) {
        memcpy(plc->history, pcm + samples - GW_PLC_HISTORY, sizeof plc->history);
        return;
    }
    memmove(plc->history, plc->history + samples, (GW_PLC_HISTORY - samples) * sizeof *pcm);
    memcpy(plc->history + GW_PLC_HISTORY - samples, pcm, samples * sizeof *pcm);
}

/* The lag at which the last 20 ms resemble what was before them most: normalised correlation, squared. */
static unsigned find_pitch(const struct gw_plc *plc)
{
    const int16_t *end = plc->history + GW_PLC_HISTORY - GW_PLC_COMPARE;
    float best = -1;
    unsigned pitch = GW_PLC_PITCH_MAX;

    for (unsigned lag = GW_PLC_PITCH_MIN; lag <= GW_PLC_PITCH_MAX; lag++) {
        float dot = 0, energy = 1;
        for (unsigned i = 0; i < GW_PLC_COMPARE; i++) {
            dot += (float)end[i] * (float)*(end + i - lag);
            energy += (float)*(end + i - lag) * (float)*(end + i - lag);
        }
        const float score = dot > 0 ? dot * dot / energy : 0;
        if (score > best) {
            best = score;
            pitch = lag;
        }
    }
    return pitch;
}

/* Linear blend: weight of b grows from 0 to 1 over n. */
static int16_t blend(int a, int b, unsigned i, unsigned n)
{
    return (int16_t)((a * (int)(n - i) + b * (int)i) / (int)n);
}

static void begin(struct gw_plc *plc)
{
    const unsigned pitch = find_pitch(plc), quarter = pitch / 4;
    const int16_t *last = plc->history + GW_PLC_HISTORY - pitch;

    plc->pitch = pitch;
    plc->phase = 0;
    memcpy(plc->period, last, pitch * sizeof *last);
    /* The end of the period runs into what came before its beginning, so that the repetition has no seam. */
    for (unsigned i = 0; i < quarter; i++)
        plc->period[pitch - quarter + i] =
            blend(last[(int)(pitch - quarter + i)], *(last + i - quarter), i + 1, quarter);
}

static int16_t next_sample(struct gw_plc *plc)
{
    int v = plc->period[plc->phase];

    plc->phase = (plc->phase + 1) % plc->pitch;
    if (plc->concealed >= HOLD_SAMPLES + FADE_SAMPLES)
        v = 0;
    else if (plc->concealed > HOLD_SAMPLES)
        v = v * (int)(HOLD_SAMPLES + FADE_SAMPLES - plc->concealed) / FADE_SAMPLES;
    plc->concealed++;
    return (int16_t)v;
}

void gw_plc_conceal(struct gw_plc *plc, int16_t *pcm, size_t samples)
{
    const bool is_first = plc->concealed == 0;

    if (is_first)
        begin(plc);
    for (size_t i = 0; i < samples; i++)
        pcm[i] = next_sample(plc);
    if (!is_first)
        return;
    /* The first quarter period grows out of the last good samples, mirrored: no step at the joint. */
    const unsigned quarter = plc->pitch / 4;
    for (unsigned i = 0; i < quarter && i < samples; i++)
        pcm[i] = blend(plc->history[GW_PLC_HISTORY - 1 - i], pcm[i], i + 1, quarter);
}

void gw_plc_good(struct gw_plc *plc, int16_t *pcm, size_t samples)
{
    if (plc->concealed > 0) {
        unsigned n = plc->pitch / 4 + plc->concealed / 4;
        if (n > BLEND_MAX)
            n = BLEND_MAX;
        for (unsigned i = 0; i < n && i < samples; i++)
            pcm[i] = blend(next_sample(plc), pcm[i], i, n);
        plc->concealed = 0;
    }
    remember(plc, pcm, samples);
}
