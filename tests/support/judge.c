#include "tests/support/judge.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/judge_dsp.h"

/* Coarse delay search: energy envelope in steps of 10 ms. Fine: waveform, around it. */
#define ENVELOPE_HOP 80
#define FINE_RANGE   160
/** The local delay is looked for in each second of speech, this far around the global one (80 ms). */
#define SEGMENT        JUDGE_RATE_HZ
#define LOCAL_RANGE    640
#define LOCAL_CORR_MIN 0.5
#define MIN_SAMPLES    (JUDGE_RATE_HZ / 2)
/* Drop-outs: 20 ms windows every 5 ms; ref within 35 dB of its loudest, got 25 dB below ref. */
#define DROP_WINDOW    160
#define DROP_HOP       40
#define DROP_ACTIVE_DB 35.0
#define DROP_BELOW_DB  25.0
#define DROP_MIN_MS    20.0
#define ACTIVE_DB      30.0
#define SNR_MIN_DB     (-10.0)
#define SNR_MAX_DB     35.0
#define NSIM_RANGE_DB  50.0f
#define NSIM_ACTIVE_DB 3.0f

/* ref and got at JUDGE_RATE_HZ, band-passed; moved is got aligned to ref and of its length. */
struct work {
    struct judge_audio ref, got;
    float *ref_band, *got_band;
    float *moved, *moved_band;
};

static double power(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return n ? sum / (double)n : 0;
}

static double db(double p)
{
    return 10 * log10(p + 1e-12);
}

/* ---- delay ---- */

static size_t envelope(const struct judge_audio *audio, double *out)
{
    const size_t frames = audio->count / ENVELOPE_HOP;
    double mean = 0;

    for (size_t f = 0; f < frames; f++) {
        /* A floor at -60 dBFS: what is below is silence, however silent. */
        const double level = db(power(audio->sample + f * ENVELOPE_HOP, ENVELOPE_HOP));
        out[f] = level < -60 ? -60 : level;
        mean += out[f];
    }
    for (size_t f = 0; f < frames; f++)
        out[f] -= mean / (double)frames;
    return frames;
}

static double correlation(const double *a, size_t na, const double *b, size_t nb, long lag)
{
    double dot = 0, aa = 0, bb = 0;

    for (size_t i = 0; i < na; i++) {
        const long k = (long)i + lag;
        const double y = k >= 0 && k < (long)nb ? b[k] : 0;
        dot += a[i] * y;
        aa += a[i] * a[i];
        bb += y * y;
    }
    return dot / (sqrt(aa * bb) + 1e-9);
}

static int coarse_delay(const struct work *w, long *ret)
{
    double *a = calloc(w->ref.count / ENVELOPE_HOP + 1, sizeof *a);
    double *b = calloc(w->got.count / ENVELOPE_HOP + 1, sizeof *b);
    double best = -2;
    int err = -ENOMEM;

    if (!a || !b)
        goto out;
    const size_t na = envelope(&w->ref, a), nb = envelope(&w->got, b);
    for (long lag = -(long)na / 2; lag < (long)nb; lag++) {
        const double c = correlation(a, na, b, nb, lag);
        if (c > best) {
            best = c;
            *ret = lag * ENVELOPE_HOP;
        }
    }
    err = 0;
out:
    free(a);
    free(b);
    return err;
}

/* sum over i of a[i] * b[i + lag] for lag 0..lags-1, by FFT. dot holds lags values. */
static int cross_correlate(const float *a, size_t n, const float *b, size_t nb, size_t lags, double *dot)
{
    size_t size = 1;

    while (size < nb + n)
        size *= 2;
    double *x_re = calloc(4 * size, sizeof *x_re);
    if (!x_re)
        return -ENOMEM;
    double *x_im = x_re + size, *y_re = x_im + size, *y_im = y_re + size;
    for (size_t i = 0; i < n; i++)
        x_re[i] = (double)a[i];
    for (size_t i = 0; i < nb; i++)
        y_re[i] = (double)b[i];
    judge_fft(x_re, x_im, size);
    judge_fft(y_re, y_im, size);
    for (size_t i = 0; i < size; i++) {
        /* conj(conj(X) Y), so that a forward transform does the inverse. */
        const double re = x_re[i] * y_re[i] + x_im[i] * y_im[i], im = x_re[i] * y_im[i] - x_im[i] * y_re[i];
        x_re[i] = re;
        x_im[i] = -im;
    }
    judge_fft(x_re, x_im, size);
    for (size_t lag = 0; lag < lags; lag++)
        dot[lag] = x_re[lag] / (double)size;
    free(x_re);
    return 0;
}

/* The delay within around +- range at which ref[from..from+n) and got agree best; its normalised correlation. */
static int best_delay(const struct work *w, size_t from, size_t n, long around, long range, long *ret, double *ret_corr)
{
    const size_t lags = 2 * (size_t)range + 1, nb = n + lags - 1;
    const long start = (long)from + around - range;
    float *window = calloc(nb, sizeof *window);
    double *dot = calloc(lags, sizeof *dot);
    int err = -ENOMEM;

    if (!window || !dot)
        goto out;
    for (size_t i = 0; i < nb; i++) {
        const long k = start + (long)i;
        window[i] = k >= 0 && k < (long)w->got.count ? w->got_band[k] : 0;
    }
    err = cross_correlate(w->ref_band + from, n, window, nb, lags, dot);
    if (err)
        goto out;
    const double rr = power(w->ref_band + from, n) * (double)n;
    double gg = power(window, n) * (double)n;
    *ret_corr = -2;
    for (size_t lag = 0; lag < lags; lag++) {
        const double c = dot[lag] / (sqrt(rr * (gg > 0 ? gg : 0)) + 1e-9);
        if (c > *ret_corr) {
            *ret_corr = c;
            *ret = around - range + (long)lag;
        }
        if (lag + 1 < lags)
            gg += (double)window[lag + n] * (double)window[lag + n] - (double)window[lag] * (double)window[lag];
    }
out:
    free(window);
    free(dot);
    return err;
}

/* ---- alignment ---- */

static void move(struct work *w, size_t from, size_t n, long delay)
{
    for (size_t i = from; i < from + n; i++) {
        const long k = (long)i + delay;
        const bool inside = k >= 0 && k < (long)w->got.count;
        w->moved[i] = inside ? w->got.sample[k] : 0;
        w->moved_band[i] = inside ? w->got_band[k] : 0;
    }
}

/* Jitter buffers insert and drop frames: each second of speech is aligned by itself, around the global delay. */
static int align(struct work *w, long delay, struct judge_result *result)
{
    const double loudest = db(power(w->ref_band, w->ref.count));
    long least = delay, most = delay, now = delay;
    bool any = false;

    for (size_t from = 0; from < w->ref.count; from += SEGMENT) {
        const size_t n = w->ref.count - from < SEGMENT ? w->ref.count - from : SEGMENT;
        double corr;
        if (n >= SEGMENT / 2 && db(power(w->ref_band + from, n)) > loudest - 20) {
            long local = delay;
            const int err = best_delay(w, from, n, delay, LOCAL_RANGE, &local, &corr);
            if (err)
                return err;
            if (corr >= LOCAL_CORR_MIN) {
                now = local;
                least = !any || local < least ? local : least;
                most = !any || local > most ? local : most;
                any = true;
            }
        }
        move(w, from, n, now);
    }
    result->delay_wander_ms = (double)(most - least) * 1000 / JUDGE_RATE_HZ;
    return 0;
}

static void match_level(struct work *w, struct judge_result *result)
{
    const double gain = sqrt(power(w->ref_band, w->ref.count) / (power(w->moved_band, w->ref.count) + 1e-12));
    const double used = gain > 1000 ? 1000 : gain;

    for (size_t i = 0; i < w->ref.count; i++) {
        w->moved[i] *= (float)used;
        w->moved_band[i] *= (float)used;
    }
    result->gain_db = -20 * log10(used + 1e-9);
}

/* ---- similarity ---- */

/* Gaussian of sigma 1 along one axis, mirrored at the ends. */
static void smooth(const float *in, float *out, size_t n, size_t stride)
{
    static const float weight[5] = { 0.39894347f, 0.24197145f, 0.05399112f, 0.00443186f, 0.00013383f };

    for (size_t i = 0; i < n; i++) {
        float sum = weight[0] * in[i * stride];
        for (size_t d = 1; d < 5; d++) {
            size_t left = i >= d ? i - d : d - i - 1, right = i + d < n ? i + d : 2 * n - 1 - i - d;
            if (left >= n)
                left = n - 1;
            if (right >= n)
                right = 0;
            sum += weight[d] * (in[left * stride] + in[right * stride]);
        }
        out[i * stride] = sum;
    }
}

static void smooth_2d(float *x, float *scratch, size_t frames)
{
    for (size_t b = 0; b < JUDGE_BANDS; b++)
        smooth(x + b, scratch + b, frames, JUDGE_BANDS);
    for (size_t f = 0; f < frames; f++)
        smooth(scratch + f * JUDGE_BANDS, x + f * JUDGE_BANDS, JUDGE_BANDS, 1);
}

struct nsim {
    size_t frames;
    float *r, *d;                  /* band levels above the floor, 0..50 dB */
    float *mr, *md, *rr, *dd, *rd; /* local means of r, d and of their products */
    float *scratch;
};

static void above_floor(float *x, size_t n, float top)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] > top - NSIM_RANGE_DB ? x[i] - (top - NSIM_RANGE_DB) : 0;
}

static float nsim_cell(const struct nsim *s, size_t i)
{
    const float c1 = 0.5f * 0.5f, c3 = 1.5f * 1.5f / 2; /* (0.01 L)^2, (0.03 L)^2 / 2 with L = 50 */
    const float vr = s->rr[i] - s->mr[i] * s->mr[i], vd = s->dd[i] - s->md[i] * s->md[i];
    const float cov = s->rd[i] - s->mr[i] * s->md[i];
    const float spread = vr > 0 && vd > 0 ? sqrtf(vr * vd) : 0;

    return (2 * s->mr[i] * s->md[i] + c1) / (s->mr[i] * s->mr[i] + s->md[i] * s->md[i] + c1) * (cov + c3) /
           (spread + c3);
}

static double nsim_mean(const struct nsim *s)
{
    double sum = 0;
    size_t n = 0;

    for (size_t f = 0; f < s->frames; f++) {
        float level = 0;
        for (size_t b = 0; b < JUDGE_BANDS; b++)
            level += s->r[f * JUDGE_BANDS + b];
        if (level / JUDGE_BANDS <= NSIM_ACTIVE_DB)
            continue;
        for (size_t b = 0; b < JUDGE_BANDS; b++)
            sum += (double)nsim_cell(s, f * JUDGE_BANDS + b);
        n += JUDGE_BANDS;
    }
    return n ? sum / (double)n : 0;
}

static int similarity(const struct work *w, double *ret)
{
    struct nsim s = { .frames = judge_frames(w->ref.count) };
    const size_t cells = s.frames * JUDGE_BANDS;
    float *memory = calloc(8 * cells, sizeof *memory);
    float top = -200;

    if (!memory)
        return -ENOMEM;
    s.r = memory, s.d = s.r + cells, s.mr = s.d + cells, s.md = s.mr + cells;
    s.rr = s.md + cells, s.dd = s.rr + cells, s.rd = s.dd + cells, s.scratch = s.rd + cells;
    judge_bands(w->ref.sample, w->ref.count, s.r);
    judge_bands(w->moved, w->ref.count, s.d);
    for (size_t i = 0; i < cells; i++)
        top = s.r[i] > top ? s.r[i] : top;
    above_floor(s.r, cells, top);
    above_floor(s.d, cells, top);
    for (size_t i = 0; i < cells; i++) {
        s.mr[i] = s.r[i], s.md[i] = s.d[i];
        s.rr[i] = s.r[i] * s.r[i], s.dd[i] = s.d[i] * s.d[i], s.rd[i] = s.r[i] * s.d[i];
    }
    float *fields[] = { s.mr, s.md, s.rr, s.dd, s.rd };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        smooth_2d(fields[i], s.scratch, s.frames);
    *ret = nsim_mean(&s);
    free(memory);
    return 0;
}

/* ---- SNR and drop-outs ---- */

static double frame_top_db(const struct work *w)
{
    double top = -120;

    for (size_t i = 0; i + DROP_WINDOW <= w->ref.count; i += DROP_WINDOW) {
        const double level = db(power(w->ref_band + i, DROP_WINDOW));
        top = level > top ? level : top;
    }
    return top;
}

static double band_snr(const struct work *w)
{
    const double top = frame_top_db(w);
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i + DROP_WINDOW <= w->ref.count; i += DROP_WINDOW) {
        const double signal = power(w->ref_band + i, DROP_WINDOW);
        double noise = 0;
        if (db(signal) < top - ACTIVE_DB)
            continue;
        for (size_t k = i; k < i + DROP_WINDOW; k++) {
            const double d = (double)w->ref_band[k] - (double)w->moved_band[k];
            noise += d * d;
        }
        const double snr = db(signal) - db(noise / DROP_WINDOW);
        sum += snr < SNR_MIN_DB ? SNR_MIN_DB : snr > SNR_MAX_DB ? SNR_MAX_DB : snr;
        n++;
    }
    return n ? sum / (double)n : 0;
}

static void find_dropouts(const struct work *w, struct judge_result *result)
{
    const double top = frame_top_db(w);
    size_t run_from = 0;
    bool in_run = false;

    for (size_t i = 0; i + DROP_WINDOW <= w->ref.count; i += DROP_HOP) {
        const double level = db(power(w->ref_band + i, DROP_WINDOW));
        const bool is_out =
            level > top - DROP_ACTIVE_DB && db(power(w->moved_band + i, DROP_WINDOW)) < level - DROP_BELOW_DB;
        if (is_out && !in_run)
            run_from = i;
        in_run = is_out;
        if (!is_out)
            continue;
        const double ms = (double)(i + DROP_WINDOW - run_from) * 1000 / JUDGE_RATE_HZ;
        result->dropouts += i == run_from && ms >= DROP_MIN_MS;
        if (ms > result->longest_dropout_ms) {
            result->longest_dropout_ms = ms;
            result->dropout_at_s = (double)run_from / JUDGE_RATE_HZ;
        }
    }
}

/* ---- the whole ---- */

static void work_done(struct work *w)
{
    judge_audio_done(&w->ref);
    judge_audio_done(&w->got);
    free(w->ref_band);
    free(w->got_band);
    free(w->moved);
    free(w->moved_band);
}

static int prepare(struct work *w, const struct judge_audio *ref, const struct judge_audio *got)
{
    int err = judge_resample(ref, JUDGE_RATE_HZ, &w->ref);

    if (!err)
        err = judge_resample(got, JUDGE_RATE_HZ, &w->got);
    if (err)
        return err;
    if (w->ref.count < MIN_SAMPLES || w->got.count < MIN_SAMPLES || power(w->ref.sample, w->ref.count) < 1e-9 ||
        power(w->got.sample, w->got.count) < 1e-9)
        return -EINVAL;
    w->ref_band = calloc(w->ref.count, sizeof(float));
    w->got_band = calloc(w->got.count, sizeof(float));
    w->moved = calloc(w->ref.count, sizeof(float));
    w->moved_band = calloc(w->ref.count, sizeof(float));
    if (!w->ref_band || !w->got_band || !w->moved || !w->moved_band)
        return -ENOMEM;
    judge_band_pass(w->ref.sample, w->ref.count, w->ref_band);
    judge_band_pass(w->got.sample, w->got.count, w->got_band);
    return 0;
}

int judge_compare(const struct judge_audio *ref, const struct judge_audio *got, struct judge_result *ret)
{
    struct judge_result result = { 0 };
    struct work w = { 0 };
    long delay = 0;
    double corr;
    int err = prepare(&w, ref, got);

    if (err)
        goto out;
    err = coarse_delay(&w, &delay);
    if (err)
        goto out;
    err = best_delay(&w, 0, w.ref.count, delay, FINE_RANGE, &delay, &corr);
    if (err)
        goto out;
    result.delay_ms = (double)delay * 1000 / JUDGE_RATE_HZ;
    err = align(&w, delay, &result);
    if (err)
        goto out;
    match_level(&w, &result);
    err = similarity(&w, &result.similarity);
    if (err)
        goto out;
    result.band_snr_db = band_snr(&w);
    find_dropouts(&w, &result);
    *ret = result;
out:
    work_done(&w);
    return err;
}
