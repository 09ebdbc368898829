/* Signal processing of the judge: FFT, band filter, band energies. */
#ifndef TESTS_SUPPORT_JUDGE_DSP_H
#define TESTS_SUPPORT_JUDGE_DSP_H

#include <stddef.h>

#include "tests/support/judge_wav.h"

#define JUDGE_BANDS 21
/** STFT: 32 ms windows every 16 ms at JUDGE_RATE_HZ. */
#define JUDGE_WINDOW 256
#define JUDGE_HOP    128

/** In place, n a power of two. */
void judge_fft(double *re, double *im, size_t n);
/** Linear-phase band pass 300..3400 Hz, delay compensated. out holds count samples. */
void judge_band_pass(const float *in, size_t count, float *out);
/** Frames that fit into count samples. */
size_t judge_frames(size_t count);
/** Log energy (dB) of JUDGE_BANDS bark-like bands per frame: out[frame * JUDGE_BANDS + band]. */
void judge_bands(const float *in, size_t count, float *out);

#endif
