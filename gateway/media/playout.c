/* The playout's life, what arrives by RTP, and the pull. */
#include "gateway/media/playout.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/playout_internal.h"

/** Longest packets we play. */
#define OPUS_MAX_MS   120
#define G711_MAX_MS   60
#define OPUS_CLOCK_HZ 48000
/** Below this a frame counts as silent, so that the delay may be changed unheard (RMS 100). */
#define SILENT_MEAN_SQUARE 10000.0f
/** Weight of one 20 ms frame in the smoothed level: about one second. */
#define LEVEL_WEIGHT 0.02f

uint32_t gw_codec_clock_hz(enum gw_codec codec)
{
    return codec == GW_CODEC_OPUS ? OPUS_CLOCK_HZ : 8000;
}

const char *gw_codec_name(enum gw_codec codec)
{
    switch (codec) {
    case GW_CODEC_PCMU:
        return "PCMU";
    case GW_CODEC_PCMA:
        return "PCMA";
    case GW_CODEC_OPUS:
        return "opus";
    }
    return "?";
}

unsigned playout_frame_max_ms(const struct gw_playout *p)
{
    return p->config.codec == GW_CODEC_OPUS ? OPUS_MAX_MS : G711_MAX_MS;
}

static int make_decoder(struct gw_playout *p)
{
    if (p->config.codec == GW_CODEC_OPUS)
        return gw_opus_decoder_new(&p->opus, p->config.rate_hz);
    return p->config.rate_hz == 8000 ? 0 : -EINVAL;
}

int gw_playout_new(struct gw_playout **ret, const struct gw_playout_config *config)
{
    const struct gw_jitter_config jitter = {
        .clock_hz = config->clock_hz,
        .min_ms = config->min_ms,
        .initial_ms = config->initial_ms,
        .max_ms = config->max_ms,
    };
    struct gw_playout *p = calloc(1, sizeof *p);
    int err = -ENOMEM;

    if (!p)
        goto out;
    p->config = *config;
    p->noise_state = 1;
    err = make_decoder(p);
    if (err)
        goto out;
    err = gw_jitter_new(&p->jitter, &jitter);
    if (err)
        goto out;
    err = -ENOMEM;
    p->frame_samples = config->rate_hz / 50;
    /* Less than one pull is left over, then the longest frame comes on top. */
    p->fifo_size = config->rate_hz / 1000 * playout_frame_max_ms(p) + p->frame_samples;
    p->fifo = calloc(p->fifo_size, sizeof *p->fifo);
    if (!p->fifo)
        goto out;
    *ret = p, p = NULL, err = 0;
out:
    gw_playout_free(p);
    return err;
}

void gw_playout_free(struct gw_playout *playout)
{
    if (!playout)
        return;
    gw_jitter_free(playout->jitter);
    gw_opus_decoder_free(playout->opus);
    playout_codec2_free(playout->codec2);
    free(playout->fifo);
    free(playout);
}

void gw_playout_reset(struct gw_playout *playout)
{
    gw_jitter_reset(playout->jitter);
    if (playout->opus)
        gw_opus_decoder_reset(playout->opus);
    playout->plc = (struct gw_plc){ 0 };
    if (playout->codec2)
        gw_repair_reset(&playout->codec2->repair);
    gw_jitter_set_hold(playout->jitter, 0);
    playout->fifo_count = 0;
    playout->has_input = playout->has_noise = false;
}

bool gw_playout_is_fresh(const struct gw_playout *playout)
{
    return !playout->has_input;
}

/* ---- in ---- */

static uint32_t duration_ticks(const struct gw_playout *p, struct wz_bytes payload)
{
    uint64_t samples = payload.len, rate_hz = 8000;

    if (p->opus) {
        const int ticks = gw_opus_packet_ticks(payload);
        if (ticks < 0)
            return 0;
        samples = (uint64_t)ticks;
        rate_hz = OPUS_CLOCK_HZ;
    }
    if (samples * 1000 > playout_frame_max_ms(p) * rate_hz)
        return 0;
    return (uint32_t)(samples * p->config.clock_hz / rate_hz);
}

int playout_put(struct gw_playout *p, const struct gw_jitter_packet *packet, uint64_t now_us)
{
    if (packet->duration_ticks == 0 || packet->payload.len > GW_JITTER_PAYLOAD_MAX) {
        p->bad_payload++;
        gw_jitter_note(p->jitter, packet->seq);
        return -EBADMSG;
    }
    p->has_input = true;
    return gw_jitter_put(p->jitter, packet, now_us);
}

int gw_playout_put(struct gw_playout *playout, uint16_t seq, uint32_t timestamp, struct wz_bytes payload,
                   uint64_t now_us)
{
    const struct gw_jitter_packet packet = {
        .seq = seq,
        .timestamp = timestamp,
        .duration_ticks = duration_ticks(playout, payload),
        .payload = payload,
        .tag = WZP_CODEC_OPUS_24K, /* G.711 has no tag, and all Opus is one */
    };

    return playout_put(playout, &packet, now_us);
}

void gw_playout_comfort(struct gw_playout *playout, uint16_t seq, int level_dbov)
{
    /* Uniform noise of amplitude A has an RMS of A / sqrt(3). */
    playout->noise_amplitude = 32768.0f * powf(10, (float)level_dbov / 20) * 1.7320508f;
    if (playout->noise_amplitude > INT16_MAX)
        playout->noise_amplitude = INT16_MAX;
    playout->has_noise = true;
    playout->noise_seq = seq;
    playout->comfort_noise++;
    gw_jitter_note(playout->jitter, seq);
}

void gw_playout_note(struct gw_playout *playout, uint16_t seq)
{
    gw_jitter_note(playout->jitter, seq);
}

/* ---- out ---- */

size_t playout_samples_of_ticks(const struct gw_playout *p, uint32_t ticks)
{
    return (size_t)((uint64_t)ticks * p->config.rate_hz / p->config.clock_hz);
}

size_t playout_room_at(const struct gw_playout *p, const int16_t *pcm)
{
    return (size_t)(p->fifo + p->fifo_size - pcm);
}

/* from fades out while to fades in; the result, of to's length, lies at from. */
static void cross_fade(int16_t *from, size_t from_samples, const int16_t *to, size_t to_samples)
{
    const int n = (int)(from_samples < to_samples ? from_samples : to_samples);

    for (int i = 0; i < n; i++)
        from[i] = (int16_t)((from[i] * (n - i) + to[i] * i) / n);
    memmove(from + n, to + n, (to_samples - (size_t)n) * sizeof *to);
}

/* Append one frame to the fifo. True when it is received audio. */
static bool produce(struct gw_playout *p, uint64_t now_us)
{
    const uint64_t play_us = now_us + p->fifo_count * UINT64_C(1000000) / p->config.rate_hz;
    int16_t *end = p->fifo + p->fifo_count;
    struct gw_jitter_out out;
    size_t dropped = 0;

    gw_jitter_pop(p->jitter, play_us, &out);
    if (out.drop) {
        /* Frames up to half the room are cross-faded with their successor; longer ones just go. */
        dropped = playout_play(p, &out, end);
        if (2 * dropped > playout_room_at(p, end))
            dropped = 0;
        gw_jitter_pop(p->jitter, play_us, &out);
        if (playout_samples_of_ticks(p, out.duration_ticks) > dropped)
            dropped = 0;
    }
    const size_t samples = playout_play(p, &out, end + dropped);
    if (dropped > 0)
        cross_fade(end, dropped, end + dropped, samples);
    p->fifo_count += samples;
    return out.kind == GW_JITTER_FRAME;
}

static void measure(struct gw_playout *p, const int16_t *pcm)
{
    float sum = 0;

    for (size_t i = 0; i < p->frame_samples; i++)
        sum += (float)pcm[i] * (float)pcm[i];
    sum /= (float)p->frame_samples;
    p->mean_square += LEVEL_WEIGHT * (sum - p->mean_square);
    gw_jitter_hint_silence(p->jitter, sum < SILENT_MEAN_SQUARE);
}

bool gw_playout_pull(struct gw_playout *playout, uint64_t now_us, int16_t *pcm)
{
    bool is_audio = playout->fifo_count > 0;

    while (playout->fifo_count < playout->frame_samples)
        is_audio |= produce(playout, now_us);
    memcpy(pcm, playout->fifo, playout->frame_samples * sizeof *pcm);
    playout->fifo_count -= playout->frame_samples;
    memmove(playout->fifo, playout->fifo + playout->frame_samples, playout->fifo_count * sizeof *playout->fifo);
    measure(playout, pcm);
    return is_audio;
}

void gw_playout_stats(const struct gw_playout *playout, struct gw_playout_stats *ret)
{
    const float full = 32768.0f * 32768.0f;
    const float level = 10 * log10f(playout->mean_square / full + 1e-13f);

    *ret = (struct gw_playout_stats){
        .bad_payload = playout->bad_payload,
        .comfort_noise = playout->comfort_noise,
        .repaired = playout->codec2 ? playout->codec2->repair.repaired : 0,
        .unrepaired = playout->unrepaired,
        .dred = playout->dred,
        .level_dbov = level < -127 ? -127
                      : level > 0  ? 0
                                   : (int)level,
    };
    gw_jitter_stats(playout->jitter, &ret->jitter);
}
