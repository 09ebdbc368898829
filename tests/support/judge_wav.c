#include "tests/support/judge_wav.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/base/bytes.h"

#define WAV_MAX_BYTES   (256u << 20)
#define FORMAT_PCM      1
#define FORMAT_EXTENDED 0xfffe
#define SINC_ZEROS      24
#define SINC_STEPS      512

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static int read_file(const char *path, uint8_t **ret, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t len = 0, size = 0, n;
    int err = 0;

    if (!file)
        return -errno;
    do {
        if (len == size) {
            size = size ? size * 2 : 65536;
            uint8_t *more = size > WAV_MAX_BYTES ? NULL : realloc(data, size);
            if (!more) {
                err = -ENOMEM;
                break;
            }
            data = more;
        }
        n = fread(data + len, 1, size - len, file);
        len += n;
    } while (n > 0);
    (void)fclose(file);
    if (err) {
        free(data);
        return err;
    }
    *ret = data;
    *ret_len = len;
    return 0;
}

struct wav_format {
    unsigned channels;
    uint32_t rate_hz;
    bool is_pcm16;
};

static bool parse_format(struct wz_bytes chunk, struct wav_format *ret)
{
    if (chunk.len < 16)
        return false;
    const unsigned tag = le16(chunk.data);
    ret->channels = le16(chunk.data + 2);
    ret->rate_hz = le32(chunk.data + 4);
    ret->is_pcm16 = (tag == FORMAT_PCM || tag == FORMAT_EXTENDED) && le16(chunk.data + 14) == 16;
    return ret->is_pcm16 && ret->channels >= 1 && ret->channels <= 8 && ret->rate_hz >= 4000 && ret->rate_hz <= 192000;
}

static int to_mono(const struct wav_format *format, struct wz_bytes data, struct judge_audio *ret)
{
    const size_t frame_bytes = 2 * (size_t)format->channels;
    struct judge_audio audio = { .rate_hz = format->rate_hz, .count = data.len / frame_bytes };

    audio.sample = malloc((audio.count + 1) * sizeof *audio.sample);
    if (!audio.sample)
        return -ENOMEM;
    for (size_t i = 0; i < audio.count; i++) {
        float sum = 0;
        for (unsigned c = 0; c < format->channels; c++)
            sum += (float)(int16_t)le16(data.data + i * frame_bytes + 2 * c) / 32768.0f;
        audio.sample[i] = sum / (float)format->channels;
    }
    *ret = audio;
    return 0;
}

static int parse_wav(struct wz_bytes file, struct judge_audio *ret)
{
    struct wz_reader r = wz_reader(file);
    struct wz_bytes head, chunk;
    struct wav_format format = { 0 };

    if (!wz_get_slice(&r, 12, &head) || memcmp(head.data, "RIFF", 4) != 0 || memcmp(head.data + 8, "WAVE", 4) != 0)
        return -EBADMSG;
    while (wz_get_slice(&r, 8, &head)) {
        size_t len = le32(head.data + 4);
        const bool is_data = memcmp(head.data, "data", 4) == 0;
        if (is_data && len > wz_left(&r))
            len = wz_left(&r); /* written to a pipe, or still being written */
        if (!wz_get_slice(&r, len, &chunk))
            return -EBADMSG;
        if (memcmp(head.data, "fmt ", 4) == 0 && !parse_format(chunk, &format))
            return -EBADMSG;
        if (is_data)
            return format.is_pcm16 ? to_mono(&format, chunk, ret) : -EBADMSG;
        if (len % 2 && wz_left(&r) > 0)
            r.pos++;
    }
    return -EBADMSG;
}

int judge_wav_load(const char *path, struct judge_audio *ret)
{
    uint8_t *data = NULL;
    size_t len = 0;
    int err = read_file(path, &data, &len);

    if (err)
        return err;
    err = parse_wav(wz_bytes(data, len), ret);
    free(data);
    return err;
}

static void put_le(uint8_t *p, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

int judge_wav_save(const char *path, const struct judge_audio *audio)
{
    const uint32_t data_bytes = (uint32_t)(audio->count * 2);
    uint8_t head[44] = "RIFF....WAVEfmt ";
    FILE *file = fopen(path, "wb");
    int err = 0;

    if (!file)
        return -errno;
    put_le(head + 4, 36 + data_bytes, 4);
    put_le(head + 16, 16, 4);
    put_le(head + 20, FORMAT_PCM, 2);
    put_le(head + 22, 1, 2);
    put_le(head + 24, audio->rate_hz, 4);
    put_le(head + 28, audio->rate_hz * 2, 4);
    put_le(head + 32, 2, 2);
    put_le(head + 34, 16, 2);
    memcpy(head + 36, "data", 4);
    put_le(head + 40, data_bytes, 4);
    if (fwrite(head, sizeof head, 1, file) != 1)
        err = -EIO;
    for (size_t i = 0; i < audio->count && !err; i++) {
        const float v = audio->sample[i] * 32768.0f;
        uint8_t le[2];
        put_le(le, (uint16_t)(int16_t)lrintf(v > 32767 ? 32767 : v < -32768 ? -32768 : v), 2);
        if (fwrite(le, sizeof le, 1, file) != 1)
            err = -EIO;
    }
    if (fclose(file) != 0 && !err)
        err = -EIO;
    return err;
}

void judge_audio_done(struct judge_audio *audio)
{
    free(audio->sample);
    *audio = (struct judge_audio){ 0 };
}

/* Windowed sinc over SINC_ZEROS zero crossings, SINC_STEPS points each; read with linear interpolation. */
static float *make_sinc(void)
{
    const double pi = 3.14159265358979323846;
    const size_t n = SINC_ZEROS * SINC_STEPS;
    float *table = calloc(n + 2, sizeof *table);

    for (size_t i = 0; table && i < n; i++) {
        const double x = (double)i / SINC_STEPS;
        const double window = 0.5 + 0.5 * cos(pi * x / SINC_ZEROS);
        table[i] = (float)(window * (i == 0 ? 1 : sin(pi * x) / (pi * x)));
    }
    return table;
}

static double sinc_at(const float *table, double x)
{
    const double at = fabs(x) * SINC_STEPS;
    const size_t i = (size_t)at;

    if (i >= SINC_ZEROS * SINC_STEPS)
        return 0;
    return (double)table[i] + (at - (double)i) * ((double)table[i + 1] - (double)table[i]);
}

int judge_resample(const struct judge_audio *in, uint32_t rate_hz, struct judge_audio *ret)
{
    const double step = (double)in->rate_hz / rate_hz;
    /* Relative to the input's sampling rate; a little room for the filter's slope. */
    const double cutoff = rate_hz < in->rate_hz ? 0.95 * rate_hz / in->rate_hz : 1.0;
    const double reach = SINC_ZEROS / cutoff;
    struct judge_audio out = { .rate_hz = rate_hz, .count = (size_t)((double)in->count / step) };
    float *table = make_sinc();

    out.sample = calloc(out.count + 1, sizeof *out.sample);
    if (!out.sample || !table) {
        free(out.sample);
        free(table);
        return -ENOMEM;
    }
    for (size_t i = 0; i < out.count; i++) {
        const double center = (double)i * step;
        const long first = lrint(ceil(center - reach)), last = lrint(floor(center + reach));
        double sum = 0;
        if (rate_hz == in->rate_hz) {
            out.sample[i] = in->sample[i];
            continue;
        }
        for (long k = first < 0 ? 0 : first; k <= last && k < (long)in->count; k++)
            sum += (double)in->sample[k] * sinc_at(table, ((double)k - center) * cutoff);
        out.sample[i] = (float)(sum * cutoff);
    }
    free(table);
    *ret = out;
    return 0;
}

int judge_audio_from_pcm(const int16_t *pcm, size_t count, uint32_t rate_hz, struct judge_audio *ret)
{
    struct judge_audio audio = { .rate_hz = rate_hz, .count = count };

    audio.sample = malloc((count + 1) * sizeof *audio.sample);
    if (!audio.sample)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        audio.sample[i] = (float)pcm[i] / 32768.0f;
    *ret = audio;
    return 0;
}
