#include "gateway/media/tone.h"

#include <errno.h>
#include <math.h>

/** Amplitude of each of the two sines: about -9 dBm0, within what Q.24 receivers expect. */
#define DIGIT_AMPLITUDE 6500.0
#define RAMP_MS         4

static const double pi = 3.14159265358979323846;

static const char keypad[4][4] = {
    { '1', '2', '3', 'A' },
    { '4', '5', '6', 'B' },
    { '7', '8', '9', 'C' },
    { '*', '0', '#', 'D' },
};
static const double row_hz[4] = { 697, 770, 852, 941 };
static const double column_hz[4] = { 1209, 1336, 1477, 1633 };

static bool find_digit(char digit, unsigned *ret_row, unsigned *ret_column)
{
    for (unsigned row = 0; row < 4; row++) {
        for (unsigned column = 0; column < 4; column++) {
            if (keypad[row][column] == digit) {
                *ret_row = row;
                *ret_column = column;
                return true;
            }
        }
    }
    return false;
}

void gw_tone_init(struct gw_tone *tone, uint32_t rate_hz)
{
    *tone = (struct gw_tone){ .rate_hz = rate_hz };
}

bool gw_tone_is_digit(char digit)
{
    unsigned row, column;
    return find_digit(digit, &row, &column);
}

static uint32_t samples_of(const struct gw_tone *tone, uint32_t ms)
{
    return (uint32_t)((uint64_t)ms * tone->rate_hz / 1000);
}

static void begin_head(struct gw_tone *tone)
{
    unsigned row = 0, column = 0;

    (void)find_digit(tone->queue[tone->head].digit, &row, &column); /* checked by enqueue() */
    tone->step[0] = 2 * pi * row_hz[row] / tone->rate_hz;
    tone->step[1] = 2 * pi * column_hz[column] / tone->rate_hz;
    tone->phase[0] = tone->phase[1] = 0;
    tone->played_samples = 0;
}

static int enqueue(struct gw_tone *tone, char digit, bool open, uint32_t duration_ms)
{
    if (!gw_tone_is_digit(digit))
        return -EINVAL;
    if (tone->count == GW_TONE_QUEUE_MAX) {
        tone->overflow++;
        return -ENOSPC;
    }
    if (duration_ms < GW_TONE_DIGIT_MIN_MS)
        duration_ms = GW_TONE_DIGIT_MIN_MS;
    if (duration_ms > GW_TONE_DIGIT_MAX_MS)
        duration_ms = GW_TONE_DIGIT_MAX_MS;
    tone->queue[(tone->head + tone->count) % GW_TONE_QUEUE_MAX] =
        (struct gw_tone_item){ .digit = digit, .open = open, .duration_ms = duration_ms };
    if (tone->count++ == 0)
        begin_head(tone);
    return 0;
}

int gw_tone_push(struct gw_tone *tone, char digit, uint32_t duration_ms)
{
    return enqueue(tone, digit, false, duration_ms);
}

int gw_tone_open(struct gw_tone *tone, char digit)
{
    return enqueue(tone, digit, true, GW_TONE_DIGIT_MAX_MS);
}

void gw_tone_close(struct gw_tone *tone, uint32_t duration_ms)
{
    for (unsigned i = tone->count; i-- > 0;) {
        struct gw_tone_item *item = &tone->queue[(tone->head + i) % GW_TONE_QUEUE_MAX];
        if (!item->open)
            continue;
        item->open = false;
        item->duration_ms = duration_ms < GW_TONE_DIGIT_MIN_MS   ? GW_TONE_DIGIT_MIN_MS
                            : duration_ms > GW_TONE_DIGIT_MAX_MS ? GW_TONE_DIGIT_MAX_MS
                                                                 : duration_ms;
        return;
    }
}

bool gw_tone_is_active(const struct gw_tone *tone)
{
    return tone->count > 0 || tone->pause_left > 0;
}

static void end_head(struct gw_tone *tone)
{
    tone->head = (tone->head + 1) % GW_TONE_QUEUE_MAX;
    tone->count--;
    tone->pause_left = samples_of(tone, GW_TONE_PAUSE_MS);
    if (tone->count > 0)
        begin_head(tone);
}

/* The duration may be shortened while the tone sounds (its end was announced late): the ramp down starts at the end
 * known now, and never jumps. */
static double envelope(struct gw_tone *tone, uint32_t end)
{
    const uint32_t ramp = samples_of(tone, RAMP_MS);

    if (tone->played_samples < ramp)
        return (double)tone->played_samples / ramp;
    if (tone->ramp_down_left == 0 && tone->played_samples + ramp >= end)
        tone->ramp_down_left = ramp;
    if (tone->ramp_down_left > 0)
        return (double)tone->ramp_down_left-- / ramp;
    return 1;
}

static int16_t next_sample(struct gw_tone *tone)
{
    if (tone->pause_left > 0) {
        tone->pause_left--;
        return 0;
    }
    if (tone->count == 0)
        return 0;
    const double gain = DIGIT_AMPLITUDE * envelope(tone, samples_of(tone, tone->queue[tone->head].duration_ms));
    const double v = gain * (sin(tone->phase[0]) + sin(tone->phase[1]));
    for (unsigned i = 0; i < 2; i++) {
        tone->phase[i] += tone->step[i];
        if (tone->phase[i] > 2 * pi)
            tone->phase[i] -= 2 * pi;
    }
    tone->played_samples++;
    if (tone->ramp_down_left == 1) {
        tone->ramp_down_left = 0;
        end_head(tone);
    }
    return (int16_t)lrint(v);
}

void gw_tone_render(struct gw_tone *tone, int16_t *pcm, size_t samples)
{
    for (size_t i = 0; i < samples; i++)
        pcm[i] = next_sample(tone);
}

static int16_t clip16(double v)
{
    return v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : (int16_t)lrint(v);
}

void gw_sine_render(double hz, double amplitude, uint32_t rate_hz, double *phase, int16_t *pcm, size_t samples)
{
    const double step = 2 * pi * hz / rate_hz;

    for (size_t i = 0; i < samples; i++) {
        pcm[i] = clip16(pcm[i] + amplitude * sin(*phase));
        *phase += step;
        if (*phase > 2 * pi)
            *phase -= 2 * pi;
    }
}
