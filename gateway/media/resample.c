#include "gateway/media/resample.h"

#include <math.h>
#include <string.h>

#define LOW_RATE_HZ 8000
/** Middle of the transition band: what folds back stays above speech. */
#define CUTOFF_HZ   3800.0
#define KAISER_BETA 7.0
/** 40 ms. */
#define LOW_SAMPLES_MAX  320
#define HIGH_SAMPLES_MAX (LOW_SAMPLES_MAX * GW_RESAMPLE_FACTOR_MAX)
#define HISTORY_MAX      (GW_RESAMPLE_FACTOR_MAX * GW_RESAMPLE_TAPS)

/* Modified Bessel function of the first kind, order 0. */
static double bessel_i0(double x)
{
    double sum = 1, term = 1;

    for (int k = 1; k < 40; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

void gw_resampler_init(struct gw_resampler *resampler, uint32_t high_rate_hz)
{
    const unsigned factor = high_rate_hz / LOW_RATE_HZ;
    const int taps = (int)factor * GW_RESAMPLE_TAPS;
    const double middle = (taps - 1) / 2.0, band = 2 * CUTOFF_HZ / high_rate_hz;
    double sum = 0;

    *resampler = (struct gw_resampler){ .factor = factor };
    for (int i = 0; i < taps; i++) {
        const double x = i - middle, w = x / (middle + 0.5);
        const double sinc = x == 0 ? band : sin(M_PI * band * x) / (M_PI * x);
        const double value = sinc * bessel_i0(KAISER_BETA * sqrt(1 - w * w)) / bessel_i0(KAISER_BETA);
        resampler->coefficient[i] = (float)value;
        sum += value;
    }
    for (int i = 0; i < taps; i++)
        resampler->coefficient[i] /= (float)sum;
}

static int16_t clip(float v)
{
    return (int16_t)lrintf(v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v);
}

/* The last `keep` samples before the new ones, then the new ones. */
static void line_up(const struct gw_resampler *r, float *line, size_t keep, const int16_t *in, size_t samples)
{
    memcpy(line, r->history, keep * sizeof *line);
    for (size_t i = 0; i < samples; i++)
        line[keep + i] = in[i];
}

void gw_resample_up(struct gw_resampler *resampler, const int16_t *in, size_t samples, int16_t *out)
{
    const unsigned factor = resampler->factor;
    float line[GW_RESAMPLE_TAPS + LOW_SAMPLES_MAX];

    if (factor == 1) {
        memmove(out, in, samples * sizeof *out);
        return;
    }
    line_up(resampler, line, GW_RESAMPLE_TAPS, in, samples);
    for (size_t i = 0; i < samples; i++) {
        for (unsigned phase = 0; phase < factor; phase++) {
            const float *at = line + GW_RESAMPLE_TAPS + i;
            float sum = 0;
            for (unsigned t = 0; t < GW_RESAMPLE_TAPS; t++)
                sum += resampler->coefficient[t * factor + phase] * *(at - t);
            out[i * factor + phase] = clip(sum * (float)factor);
        }
    }
    memcpy(resampler->history, line + samples, GW_RESAMPLE_TAPS * sizeof *line);
}

void gw_resample_down(struct gw_resampler *resampler, const int16_t *in, size_t samples, int16_t *out)
{
    const unsigned factor = resampler->factor, taps = factor * GW_RESAMPLE_TAPS;
    float line[HISTORY_MAX + HIGH_SAMPLES_MAX];

    if (factor == 1) {
        memmove(out, in, samples * sizeof *out);
        return;
    }
    line_up(resampler, line, taps, in, samples * factor);
    for (size_t i = 0; i < samples; i++) {
        const float *at = line + taps + i * factor;
        float sum = 0;
        for (unsigned t = 0; t < taps; t++)
            sum += resampler->coefficient[t] * *(at - t);
        out[i] = clip(sum);
    }
    memcpy(resampler->history, line + samples * factor, taps * sizeof *line);
}
