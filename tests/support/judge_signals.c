/* The judge's single-file measures: tones and DTMF digits. */
#include "tests/support/judge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <spandsp/telephony.h>
#include <spandsp/logging.h>
#include <spandsp/queue.h>
#include <spandsp/complex.h>
#include <spandsp/dds.h>
#include <spandsp/super_tone_rx.h>
#include <spandsp/tone_detect.h>
#include <spandsp/tone_generate.h>
#include <spandsp/dtmf.h>

#include "tests/support/judge_dsp.h"

#define TONE_FFT_MAX 65536u
#define BAND_LOW_HZ  100.0
#define BAND_HIGH_HZ 3800.0

static int tone_spectrum(const float *x, size_t n, double hz, struct judge_tone_result *ret)
{
    const double pi = 3.14159265358979323846, bin_hz = (double)JUDGE_RATE_HZ / (double)n;
    const double near_hz = fmax(6, 8 * bin_hz);
    double *re = calloc(2 * n, sizeof *re), *im = re + n;
    double tone = 0, rest = 0, peak = -1;

    if (!re)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        re[i] = (double)x[i] * (0.5 - 0.5 * cos(2 * pi * (double)i / (double)n));
    judge_fft(re, im, n);
    for (size_t i = 0; i <= n / 2; i++) {
        const double f = (double)i * bin_hz, p = re[i] * re[i] + im[i] * im[i];
        if (p > peak) {
            peak = p;
            ret->peak_hz = f;
        }
        if (fabs(f - hz) < near_hz)
            tone += p;
        else if (f > BAND_LOW_HZ && f < BAND_HIGH_HZ)
            rest += p;
    }
    ret->snr_db = 10 * log10((tone + 1e-12) / (rest + 1e-12));
    free(re);
    return 0;
}

int judge_tone(const struct judge_audio *got, double hz, struct judge_tone_result *ret)
{
    struct judge_audio audio;
    struct judge_tone_result result = { 0 };
    size_t n = TONE_FFT_MAX, skip = JUDGE_RATE_HZ / 5;
    int err = judge_resample(got, JUDGE_RATE_HZ, &audio);

    if (err)
        return err;
    while (n > 0 && n + skip > audio.count)
        n /= 2;
    if (n < 1024) {
        err = -EINVAL;
    } else {
        double sum = 0;
        for (size_t i = skip; i < skip + n; i++)
            sum += (double)audio.sample[i] * (double)audio.sample[i];
        result.level_dbfs = 10 * log10(sum / (double)n + 1e-12);
        err = tone_spectrum(audio.sample + skip, n, hz, &result);
    }
    judge_audio_done(&audio);
    if (!err)
        *ret = result;
    return err;
}

int judge_digits(const struct judge_audio *got, char ret[static JUDGE_DIGITS_MAX + 1])
{
    struct judge_audio audio;
    dtmf_rx_state_t *rx = NULL;
    int err = judge_resample(got, JUDGE_RATE_HZ, &audio);

    if (err)
        return err;
    rx = dtmf_rx_init(NULL, NULL, NULL);
    if (!rx) {
        err = -ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < audio.count; i++) {
        const float v = audio.sample[i] * 32768.0f;
        const int16_t pcm = (int16_t)lrintf(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
        (void)dtmf_rx(rx, &pcm, 1);
    }
    ret[dtmf_rx_get(rx, ret, JUDGE_DIGITS_MAX)] = '\0';
    (void)dtmf_rx_free(rx);
out:
    judge_audio_done(&audio);
    return err;
}
