/* Tone generator: a queue of DTMF digits (Q.23) and single tones, rendered into PCM frames of any rate.
 * Ramps of 4 ms at both ends keep the spectrum clean. Sans-IO; plain data the caller holds. */
#ifndef GATEWAY_MEDIA_TONE_H
#define GATEWAY_MEDIA_TONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Digits that can wait behind the one that sounds. */
#define GW_TONE_QUEUE_MAX 32
/** Shortest tone and shortest pause that every detector understands. */
#define GW_TONE_DIGIT_MIN_MS 80
#define GW_TONE_PAUSE_MS     60
/** A digit whose end never comes stops here. */
#define GW_TONE_DIGIT_MAX_MS 8000

struct gw_tone_item {
    char digit;
    bool open; /**< still held: sounds until gw_tone_close() */
    uint32_t duration_ms;
};

struct gw_tone {
    uint32_t rate_hz;
    struct gw_tone_item queue[GW_TONE_QUEUE_MAX];
    unsigned head, count;
    /* The tone that sounds. */
    double phase[2], step[2];
    uint32_t played_samples;
    uint32_t ramp_down_left;
    uint32_t pause_left;
    uint64_t overflow; /**< digits dropped because the queue was full */
};

void gw_tone_init(struct gw_tone *tone, uint32_t rate_hz);
/** "0123456789*#ABCD" */
bool gw_tone_is_digit(char digit);
/** Queue a digit of a known length (at least GW_TONE_DIGIT_MIN_MS is played). 0, -EINVAL, -ENOSPC. */
int gw_tone_push(struct gw_tone *tone, char digit, uint32_t duration_ms);
/** Queue a digit whose length is not known yet. 0, -EINVAL, -ENOSPC. */
int gw_tone_open(struct gw_tone *tone, char digit);
/** The newest open digit has this length. Harmless when nothing is open. */
void gw_tone_close(struct gw_tone *tone, uint32_t duration_ms);
/** Is anything left to play, the pause after a digit included? */
bool gw_tone_is_active(const struct gw_tone *tone);
/** Overwrite pcm with the tone; samples after the last digit and its pause are silence. */
void gw_tone_render(struct gw_tone *tone, int16_t *pcm, size_t samples);

/** Add a plain sine into pcm; phase runs from 0 to 2 pi and is kept by the caller. */
void gw_sine_render(double hz, double amplitude, uint32_t rate_hz, double *phase, int16_t *pcm, size_t samples);

#endif
