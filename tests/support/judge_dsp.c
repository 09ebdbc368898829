#include "tests/support/judge_dsp.h"

#include <math.h>

#include "tests/support/judge.h"

#define BAND_LOW_HZ  150.0
#define BAND_HIGH_HZ 3600.0
#define PASS_LOW_HZ  300.0
#define PASS_HIGH_HZ 3400.0
#define FIR_HALF     96

static const double pi = 3.14159265358979323846;

void judge_fft(double *re, double *im, size_t n)
{
    for (size_t i = 1, j = 0; i < n; i++) {
        size_t bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            const double r = re[i], m = im[i];
            re[i] = re[j], im[i] = im[j];
            re[j] = r, im[j] = m;
        }
    }
    for (size_t len = 2; len <= n; len <<= 1) {
        const double angle = -2 * pi / (double)len;
        const double step_re = cos(angle), step_im = sin(angle);
        for (size_t i = 0; i < n; i += len) {
            double w_re = 1, w_im = 0;
            for (size_t k = i; k < i + len / 2; k++) {
                const size_t h = k + len / 2;
                const double t_re = re[h] * w_re - im[h] * w_im, t_im = re[h] * w_im + im[h] * w_re;
                re[h] = re[k] - t_re, im[h] = im[k] - t_im;
                re[k] += t_re, im[k] += t_im;
                const double next = w_re * step_re - w_im * step_im;
                w_im = w_re * step_im + w_im * step_re;
                w_re = next;
            }
        }
    }
}

static double ideal_low_pass(double hz, int i)
{
    const double f = hz / JUDGE_RATE_HZ;
    return i == 0 ? 2 * f : sin(2 * pi * f * i) / (pi * i);
}

void judge_band_pass(const float *in, size_t count, float *out)
{
    double tap[2 * FIR_HALF + 1];

    for (int i = -FIR_HALF; i <= FIR_HALF; i++) {
        const double window = 0.54 + 0.46 * cos(pi * i / FIR_HALF);
        tap[i + FIR_HALF] = window * (ideal_low_pass(PASS_HIGH_HZ, i) - ideal_low_pass(PASS_LOW_HZ, i));
    }
    for (size_t n = 0; n < count; n++) {
        double sum = 0;
        for (int i = -FIR_HALF; i <= FIR_HALF; i++) {
            const long k = (long)n + i;
            if (k >= 0 && k < (long)count)
                sum += (double)in[k] * tap[i + FIR_HALF];
        }
        out[n] = (float)sum;
    }
}

size_t judge_frames(size_t count)
{
    return count < JUDGE_WINDOW ? 0 : (count - JUDGE_WINDOW) / JUDGE_HOP + 1;
}

/* Edges on the scale of Traunmueller's bark formula, inverted: 6 asinh(f / 600). */
static double edge_hz(int band)
{
    const double low = 6 * asinh(BAND_LOW_HZ / 600), high = 6 * asinh(BAND_HIGH_HZ / 600);
    return 600 * sinh((low + (high - low) * band / JUDGE_BANDS) / 6);
}

static float band_db(const double *power, int band)
{
    const double bin_hz = (double)JUDGE_RATE_HZ / JUDGE_WINDOW;
    double low = edge_hz(band), high = edge_hz(band + 1), sum = 0;
    int n = 0;

    if (high < low + 40)
        high = low + 40; /* at least one bin */
    for (int i = 0; i <= JUDGE_WINDOW / 2; i++) {
        if (i * bin_hz >= low && i * bin_hz < high) {
            sum += power[i];
            n++;
        }
    }
    return (float)(10 * log10((n ? sum / n : 0) + 1e-10));
}

void judge_bands(const float *in, size_t count, float *out)
{
    const size_t frames = judge_frames(count);

    for (size_t f = 0; f < frames; f++) {
        double re[JUDGE_WINDOW], im[JUDGE_WINDOW] = { 0 };
        for (int i = 0; i < JUDGE_WINDOW; i++) {
            const double hann = 0.5 - 0.5 * cos(2 * pi * i / JUDGE_WINDOW);
            re[i] = (double)in[f * JUDGE_HOP + (size_t)i] * hann / (JUDGE_WINDOW / 2.0);
        }
        judge_fft(re, im, JUDGE_WINDOW);
        for (int i = 0; i <= JUDGE_WINDOW / 2; i++)
            re[i] = re[i] * re[i] + im[i] * im[i];
        for (int b = 0; b < JUDGE_BANDS; b++)
            out[f * JUDGE_BANDS + (size_t)b] = band_db(re, b);
    }
}
