/* Packets are recognised by their payload, which a peer that sends back datagrams leaves as it is; sound by the energies
 * of some bands over time, which survive every codec. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/bin/client_measure.h"
#include "wzp/core/media.h"

/* The signal: sweeps between tones that a simple generator chooses, so that no stretch is like another. */
#define SWEEP_SAMPLES   4800u
#define SWEEP_LOW_HZ    400.0
#define SWEEP_OCTAVES   2.5
#define SWEEP_AMPLITUDE 9000.0

/* Bands: energies each 5 ms of 20 ms of sound, at 8 kHz. */
#define THIN         6u
#define BAND_RATE_HZ (CLIENT_WAV_RATE_HZ / THIN)
#define BANDS        12u
#define BAND_LOW_HZ  350.0
#define BAND_RATIO   1.19
#define WINDOW       160u
#define HOP          40u
#define HOP_MS       5
#define DELAY_HOPS   (CLIENT_ECHO_DELAY_MAX_MS / HOP_MS)
/** What is compared at most: a minute. */
#define FRAMES_MAX 12000u
/** Pieces of half a second may come this much sooner or later than most. */
#define PIECE_FRAMES 100u
#define STRAY_HOPS   30u
/** Below that there was no sound: mean energy of a band. */
#define SILENCE_ENERGY 5.0

struct bands {
    size_t frames;
    float (*frame)[BANDS]; /**< FRAMES_MAX of them */
    float window[WINDOW];
    size_t filled;
    unsigned thin_count;
    float thin_sum;
};

struct flight {
    uint64_t hash, at_us;
    uint64_t number; /**< among those that count */
    bool counts, is_back;
};

struct client_echo {
    double seconds;
    struct bands sent_bands, heard_bands;
    struct flight flight[CLIENT_ECHO_FLIGHT];
    uint64_t flights; /**< all packets sent, the silence after the signal too */
    uint64_t sent, first_back, back, other;
    uint64_t first_us;
    double rtt_sum_ms, rtt_min_ms, rtt_max_ms, rtt_last_ms, change_sum_ms;
};

/* ---- the signal ---- */

static double tone_of(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return SWEEP_LOW_HZ * exp2(SWEEP_OCTAVES * (*state >> 8) / 16777216.0);
}

int client_echo_signal(double seconds, struct client_pcm *ret)
{
    const size_t count = (size_t)(seconds * CLIENT_WAV_RATE_HZ);
    int16_t *sample = calloc(count + 1, sizeof *sample);
    uint32_t state = 1;
    double phase = 0, from_hz = tone_of(&state), to_hz = tone_of(&state);
    if (!sample)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const double part = (double)(i % SWEEP_SAMPLES) / SWEEP_SAMPLES;
        phase = fmod(phase + 2 * M_PI * (from_hz + (to_hz - from_hz) * part) / CLIENT_WAV_RATE_HZ, 2 * M_PI);
        sample[i] = (int16_t)lrint(SWEEP_AMPLITUDE * sin(phase));
        if (i % SWEEP_SAMPLES == SWEEP_SAMPLES - 1) {
            from_hz = to_hz;
            to_hz = tone_of(&state);
        }
    }
    *ret = (struct client_pcm){ .sample = sample, .count = count };
    return 0;
}

/* ---- bands ---- */

static int bands_init(struct bands *bands)
{
    bands->frame = calloc(FRAMES_MAX, sizeof *bands->frame);
    return bands->frame ? 0 : -ENOMEM;
}

/** Goertzel: how much of one frequency is in the window. */
static float energy_at(const float *window, double hz)
{
    const double step = 2 * cos(2 * M_PI * hz / BAND_RATE_HZ);
    double before = 0, last = 0;
    for (size_t i = 0; i < WINDOW; i++) {
        const double next = window[i] + step * last - before;
        before = last;
        last = next;
    }
    return (float)sqrt(fmax(0, last * last + before * before - step * last * before)) / WINDOW;
}

static void add_frame(struct bands *bands)
{
    double hz = BAND_LOW_HZ;
    float shaped[WINDOW];
    for (size_t i = 0; i < WINDOW; i++)
        shaped[i] = bands->window[i] * (float)(0.5 - 0.5 * cos(2 * M_PI * ((double)i + 0.5) / WINDOW));
    for (size_t band = 0; band < BANDS; band++, hz *= BAND_RATIO)
        bands->frame[bands->frames][band] = energy_at(shaped, hz);
    bands->frames++;
}

static void bands_add(struct bands *bands, const int16_t *sample, size_t count)
{
    for (size_t i = 0; i < count && bands->frames < FRAMES_MAX; i++) {
        bands->thin_sum += sample[i];
        if (++bands->thin_count < THIN)
            continue;
        bands->window[bands->filled++] = bands->thin_sum / THIN;
        bands->thin_sum = 0;
        bands->thin_count = 0;
        if (bands->filled < WINDOW)
            continue;
        add_frame(bands);
        memmove(bands->window, bands->window + HOP, (WINDOW - HOP) * sizeof bands->window[0]);
        bands->filled = WINDOW - HOP;
    }
}

/** How alike sent is from one frame to before another to what was heard so many hops later: -1..1; 0 where one of them
 *  is silent. */
static double likeness(const struct client_echo *echo, size_t from, size_t to, size_t delay)
{
    const struct bands *sent = &echo->sent_bands, *heard = &echo->heard_bands;
    double s = 0, h = 0, ss = 0, hh = 0, sh = 0, n = 0;
    for (size_t i = from; i < to && i + delay < heard->frames; i++) {
        for (size_t band = 0; band < BANDS; band++, n++) {
            const double a = sent->frame[i][band], b = heard->frame[i + delay][band];
            s += a;
            h += b;
            ss += a * a;
            hh += b * b;
            sh += a * b;
        }
    }
    const double varied = n > 0 ? (ss - s * s / n) * (hh - h * h / n) : 0;
    return varied > 0 && h / n > SILENCE_ENERGY ? (sh - s * h / n) / sqrt(varied) : 0;
}

/** Mean likeness of the pieces, each where it is most like: a jitter buffer that changes its delay changes no sound. */
static double likeness_in_pieces(const struct client_echo *echo, size_t delay)
{
    const size_t first = delay > STRAY_HOPS ? delay - STRAY_HOPS : 0;
    double sum = 0;
    size_t pieces = 0;
    for (size_t from = 0; from + PIECE_FRAMES <= echo->sent_bands.frames; from += PIECE_FRAMES) {
        if (from + PIECE_FRAMES + delay > echo->heard_bands.frames)
            break;
        double best = -1;
        for (size_t at = first; at <= delay + STRAY_HOPS; at++)
            best = fmax(best, likeness(echo, from, from + PIECE_FRAMES, at));
        sum += best;
        pieces++;
    }
    return pieces ? sum / (double)pieces : 0;
}

/** The delay with the greatest likeness, between the hops too. */
static void compare_sound(const struct client_echo *echo, struct client_echo_result *ret)
{
    double at[DELAY_HOPS];
    size_t best = 0;
    for (size_t i = 0; i < DELAY_HOPS; i++) {
        /* Half of what was sent must be there to compare. */
        const bool enough = echo->heard_bands.frames >= i + echo->sent_bands.frames / 2;
        at[i] = enough ? likeness(echo, 0, echo->sent_bands.frames, i) : 0;
        best = at[i] > at[best] ? i : best;
    }
    ret->heard = at[best] > 0;
    if (!ret->heard)
        return;
    ret->similarity = fmax(at[best], likeness_in_pieces(echo, best));
    ret->sound_delay_ms = (double)(best * HOP_MS);
    if (best == 0 || best + 1 == DELAY_HOPS)
        return;
    const double bend = at[best - 1] - 2 * at[best] + at[best + 1];
    if (bend < 0)
        ret->sound_delay_ms += 0.5 * HOP_MS * (at[best - 1] - at[best + 1]) / bend;
}

/* ---- packets ---- */

int client_echo_new(struct client_echo **ret, const struct client_pcm *signal)
{
    struct client_echo *echo = calloc(1, sizeof *echo);
    if (!echo || bands_init(&echo->sent_bands) < 0 || bands_init(&echo->heard_bands) < 0) {
        client_echo_free(echo);
        return -ENOMEM;
    }
    echo->seconds = (double)signal->count / CLIENT_WAV_RATE_HZ;
    bands_add(&echo->sent_bands, signal->sample, signal->count);
    *ret = echo;
    return 0;
}

void client_echo_free(struct client_echo *echo)
{
    if (!echo)
        return;
    free(echo->sent_bands.frame);
    free(echo->heard_bands.frame);
    free(echo);
}

/** FNV-1a of the payload of a packet with sound; false: another kind of packet. */
static bool payload_hash(struct wz_bytes datagram, uint64_t *ret)
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    if (wzp_media_decode(datagram, &hdr, &payload) < 0 || hdr.is_repair || hdr.codec == WZP_CODEC_COMFORT_NOISE)
        return false;
    *ret = 14695981039346656037u;
    for (size_t i = 0; i < payload.len; i++)
        *ret = (*ret ^ payload.data[i]) * 1099511628211u;
    return true;
}

void client_echo_sent(struct client_echo *echo, struct wz_bytes datagram, uint64_t now_us)
{
    uint64_t hash;
    if (!payload_hash(datagram, &hash))
        return;
    if (!echo->flights)
        echo->first_us = now_us;
    const bool counts = (double)(now_us - echo->first_us) / 1e6 < echo->seconds;
    echo->flight[echo->flights++ % CLIENT_ECHO_FLIGHT] =
        (struct flight){ .hash = hash, .at_us = now_us, .number = echo->sent, .counts = counts };
    echo->sent += counts;
}

static struct flight *find_flight(struct client_echo *echo, uint64_t hash)
{
    const uint64_t oldest = echo->flights > CLIENT_ECHO_FLIGHT ? echo->flights - CLIENT_ECHO_FLIGHT : 0;
    for (uint64_t i = oldest; i < echo->flights; i++) {
        struct flight *flight = &echo->flight[i % CLIENT_ECHO_FLIGHT];
        if (!flight->is_back && flight->hash == hash)
            return flight;
    }
    return NULL;
}

void client_echo_received(struct client_echo *echo, struct wz_bytes datagram, uint64_t now_us)
{
    uint64_t hash;
    if (!echo->flights || !payload_hash(datagram, &hash))
        return;
    struct flight *flight = find_flight(echo, hash);
    if (!flight) {
        echo->other++;
        return;
    }
    const double rtt_ms = (double)(now_us - flight->at_us) / 1000.0;
    flight->is_back = true;
    if (!flight->counts)
        return;
    if (!echo->back || flight->number < echo->first_back)
        echo->first_back = flight->number;
    echo->rtt_min_ms = echo->back ? fmin(echo->rtt_min_ms, rtt_ms) : rtt_ms;
    echo->rtt_max_ms = fmax(echo->rtt_max_ms, rtt_ms);
    echo->rtt_sum_ms += rtt_ms;
    echo->change_sum_ms += echo->back ? fabs(rtt_ms - echo->rtt_last_ms) : 0;
    echo->rtt_last_ms = rtt_ms;
    echo->back++;
}

void client_echo_heard(struct client_echo *echo, const int16_t *sample, size_t count)
{
    bands_add(&echo->heard_bands, sample, count);
}

void client_echo_finish(const struct client_echo *echo, struct client_echo_result *ret)
{
    const double back = (double)echo->back;
    *ret = (struct client_echo_result){
        .sent = echo->sent - echo->first_back,
        .back = echo->back,
        .other = echo->other,
        .rtt_min_ms = echo->rtt_min_ms,
        .rtt_max_ms = echo->rtt_max_ms,
        .rtt_ms = echo->back ? echo->rtt_sum_ms / back : 0,
        .rtt_jitter_ms = echo->back > 1 ? echo->change_sum_ms / (back - 1) : 0,
    };
    if (!echo->back && echo->other)
        ret->loss_pct = NAN;
    else
        ret->loss_pct = ret->sent ? 100.0 * (double)(ret->sent - ret->back) / (double)ret->sent : 0;
    compare_sound(echo, ret);
}
