/* Whole-number resampling between 8 kHz and 16 or 48 kHz, for the one codec that knows 8 kHz only (Opus runs at the leg's
 * own rate). Windowed-sinc FIR, pass band to 3.6 kHz, 1.5 ms of delay. Plain data, no allocation. */
#ifndef GATEWAY_MEDIA_RESAMPLE_H
#define GATEWAY_MEDIA_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define GW_RESAMPLE_FACTOR_MAX 6
/** Coefficients per phase. */
#define GW_RESAMPLE_TAPS 24

/** Starts with gw_resampler_init(); one direction only. */
struct gw_resampler {
    unsigned factor;
    float coefficient[GW_RESAMPLE_FACTOR_MAX * GW_RESAMPLE_TAPS];
    float history[GW_RESAMPLE_FACTOR_MAX * GW_RESAMPLE_TAPS]; /**< the newest input samples, oldest first */
};

/** @param high_rate_hz  8000 (samples pass as they are), 16000 or 48000. */
void gw_resampler_init(struct gw_resampler *resampler, uint32_t high_rate_hz);
/** 8 kHz to the high rate; out holds factor * samples. At most 40 ms at a time. */
void gw_resample_up(struct gw_resampler *resampler, const int16_t *in, size_t samples, int16_t *out);
/** The high rate to 8 kHz; samples are those of the output, in holds factor times as many. At most 40 ms at a time. */
void gw_resample_down(struct gw_resampler *resampler, const int16_t *in, size_t samples, int16_t *out);

#endif
