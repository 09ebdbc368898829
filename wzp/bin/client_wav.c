#include "wzp/bin/client_wav.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_PCM        1
#define FORMAT_EXTENSIBLE 0xfffe
#define HEADER_BYTES      44
#define RATE_MIN_HZ       4000u
#define RATE_MAX_HZ       192000u
/** Input samples that one output sample is made of: -70 dB stop band with the window below. */
#define TAPS 32

/* ---- resampling ---- */

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static double sinc(double x)
{
    return fabs(x) < 1e-9 ? 1.0 : sin(M_PI * x) / (M_PI * x);
}

/** Blackman window over -1..1. */
static double window(double x)
{
    return fabs(x) >= 1.0 ? 0.0 : 0.42 + 0.5 * cos(M_PI * x) + 0.08 * cos(2.0 * M_PI * x);
}

/** The filter for an output sample that lies phase/phases after input sample TAPS/2 - 1. */
static void fill_phase(float *tap, double offset, double cutoff)
{
    double sum = 0;
    double value[TAPS];
    for (int i = 0; i < TAPS; i++) {
        const double x = i - (TAPS / 2 - 1) - offset;
        value[i] = sinc(x * cutoff) * window(x / (TAPS / 2));
        sum += value[i];
    }
    for (int i = 0; i < TAPS; i++)
        tap[i] = (float)(value[i] / sum);
}

static int16_t filter_at(const int16_t *in, size_t count, size_t at, const float *tap)
{
    float sum = 0;
    for (size_t i = 0; i < TAPS; i++) {
        const size_t k = at + i - (TAPS / 2 - 1); /* wraps to a huge number before the start */
        if (k < count)
            sum += tap[i] * (float)in[k];
    }
    return (int16_t)(sum > 32767 ? 32767 : sum < -32768 ? -32768 : lrintf(sum));
}

/** Polyphase: rate/48000 reduced to step/phases, one filter for each phase. */
static int resample(const int16_t *in, size_t count, uint32_t rate_hz, struct client_pcm *ret)
{
    const uint32_t divisor = common_divisor(rate_hz, CLIENT_WAV_RATE_HZ);
    const size_t phases = CLIENT_WAV_RATE_HZ / divisor, step = rate_hz / divisor;
    const double cutoff = rate_hz > CLIENT_WAV_RATE_HZ ? (double)CLIENT_WAV_RATE_HZ / rate_hz : 1.0;
    const size_t out_count = (size_t)((uint64_t)count * phases / step);
    float *taps = calloc(phases * TAPS, sizeof *taps);
    int16_t *out = calloc(out_count + 1, sizeof *out);
    if (!taps || !out) {
        free(taps);
        free(out);
        return -ENOMEM;
    }
    for (size_t i = 0; i < phases; i++)
        fill_phase(taps + i * TAPS, (double)i / (double)phases, cutoff);
    for (size_t i = 0; i < out_count; i++) {
        const uint64_t at = (uint64_t)i * step;
        out[i] = filter_at(in, count, (size_t)(at / phases), taps + (at % phases) * TAPS);
    }
    free(taps);
    *ret = (struct client_pcm){ .sample = out, .count = out_count };
    return 0;
}

/* ---- reading ---- */

struct wav_format {
    unsigned format, channels, bits;
    uint32_t rate_hz;
};

static bool get_u16le(struct wz_reader *in, unsigned *ret)
{
    struct wz_bytes raw;
    if (!wz_get_slice(in, 2, &raw))
        return false;
    *ret = raw.data[0] | (unsigned)raw.data[1] << 8;
    return true;
}

static bool get_u32le(struct wz_reader *in, uint32_t *ret)
{
    unsigned low, high;
    if (!get_u16le(in, &low) || !get_u16le(in, &high))
        return false;
    *ret = low | (uint32_t)high << 16;
    return true;
}

static bool parse_format(struct wz_bytes chunk, struct wav_format *ret)
{
    struct wz_reader in = wz_reader(chunk);
    uint32_t byte_rate;
    unsigned align;
    if (!get_u16le(&in, &ret->format) || !get_u16le(&in, &ret->channels) || !get_u32le(&in, &ret->rate_hz) ||
        !get_u32le(&in, &byte_rate) || !get_u16le(&in, &align) || !get_u16le(&in, &ret->bits))
        return false;
    unsigned extra, valid_bits;
    uint32_t mask;
    if (ret->format == FORMAT_EXTENSIBLE)
        return get_u16le(&in, &extra) && get_u16le(&in, &valid_bits) && get_u32le(&in, &mask) &&
               get_u16le(&in, &ret->format); /* the sub-format's first two bytes are the format proper */
    return true;
}

/** Walk the chunks. Programs that write to a pipe leave sizes that are too large: what is there counts. */
static int find_data(struct wz_bytes file, struct wav_format *format, struct wz_bytes *ret)
{
    struct wz_reader in = wz_reader(file);
    struct wz_bytes riff, wave, name;
    uint32_t size;
    bool has_format = false;
    if (!wz_get_slice(&in, 4, &riff) || !get_u32le(&in, &size) || !wz_get_slice(&in, 4, &wave) ||
        !wz_bytes_equal(riff, wz_bytes_str("RIFF")) || !wz_bytes_equal(wave, wz_bytes_str("WAVE")))
        return -EBADMSG;
    while (wz_get_slice(&in, 4, &name) && get_u32le(&in, &size)) {
        const size_t left = wz_left(&in);
        struct wz_bytes chunk = { 0 };
        (void)wz_get_slice(&in, size < left ? size : left, &chunk); /* cannot fail: at most what is left */
        if (wz_bytes_equal(name, wz_bytes_str("fmt ")))
            has_format = parse_format(chunk, format);
        if (wz_bytes_equal(name, wz_bytes_str("data"))) {
            *ret = chunk;
            return has_format ? 0 : -EBADMSG;
        }
        (void)wz_get_slice(&in, size & 1, &chunk); /* chunks are padded to even length */
    }
    return -EBADMSG;
}

/** Interleaved little-endian samples to mono. */
static int mix_down(struct wz_bytes data, unsigned channels, struct client_pcm *ret)
{
    const size_t count = data.len / (2 * channels);
    int16_t *mono = calloc(count + 1, sizeof *mono);
    if (!mono)
        return -ENOMEM;
    struct wz_reader in = wz_reader(data);
    for (size_t i = 0; i < count; i++) {
        int sum = 0;
        for (unsigned k = 0; k < channels; k++) {
            unsigned raw = 0;
            (void)get_u16le(&in, &raw); /* count was taken from the length */
            sum += (int16_t)(uint16_t)raw;
        }
        mono[i] = (int16_t)(sum / (int)channels);
    }
    *ret = (struct client_pcm){ .sample = mono, .count = count };
    return 0;
}

int client_wav_parse(struct wz_bytes file, struct client_pcm *ret)
{
    struct wav_format format = { 0 };
    struct wz_bytes data = { 0 };
    int err = find_data(file, &format, &data);
    if (err < 0)
        return err;
    if (format.format != FORMAT_PCM || format.bits != 16 || format.channels < 1 || format.channels > 2 ||
        format.rate_hz < RATE_MIN_HZ || format.rate_hz > RATE_MAX_HZ)
        return -ENOTSUP;
    struct client_pcm mono;
    err = mix_down(data, format.channels, &mono);
    if (err < 0)
        return err;
    if (format.rate_hz == CLIENT_WAV_RATE_HZ) {
        *ret = mono;
        return 0;
    }
    err = resample(mono.sample, mono.count, format.rate_hz, ret);
    client_pcm_done(&mono);
    return err;
}

static int read_file(FILE *file, uint8_t **ret, size_t *ret_len)
{
    if (fseek(file, 0, SEEK_END) < 0)
        return -errno;
    const long size = ftell(file);
    if (size < 0)
        return -errno;
    if ((unsigned long)size > CLIENT_WAV_MAX_BYTES)
        return -EFBIG;
    rewind(file);
    uint8_t *data = malloc((size_t)size + 1);
    if (!data)
        return -ENOMEM;
    if (fread(data, 1, (size_t)size, file) != (size_t)size) {
        free(data);
        return -EIO;
    }
    *ret = data;
    *ret_len = (size_t)size;
    return 0;
}

int client_wav_load(const char *path, struct client_pcm *ret)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return -errno;
    uint8_t *data = NULL;
    size_t len = 0;
    int err = read_file(file, &data, &len);
    (void)fclose(file); /* was only read */
    if (!err)
        err = client_wav_parse(wz_bytes(data, len), ret);
    free(data);
    return err;
}

void client_pcm_done(struct client_pcm *pcm)
{
    free(pcm->sample);
    *pcm = (struct client_pcm){ 0 };
}

/* ---- writing ---- */

struct client_wav_writer {
    FILE *file;
    size_t data_bytes;
};

static void put_u32le(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static int write_header(FILE *file, size_t data_bytes)
{
    uint8_t header[HEADER_BYTES] = "RIFF\0\0\0\0WAVEfmt \20\0\0\0\1\0\1\0";
    put_u32le(header + 4, (uint32_t)(data_bytes + HEADER_BYTES - 8));
    put_u32le(header + 24, CLIENT_WAV_RATE_HZ);
    put_u32le(header + 28, CLIENT_WAV_RATE_HZ * 2);
    header[32] = 2;
    header[34] = 16;
    memcpy(header + 36, "data", 4);
    put_u32le(header + 40, (uint32_t)data_bytes);
    return fwrite(header, 1, sizeof header, file) == sizeof header ? 0 : -EIO;
}

int client_wav_create(struct client_wav_writer **ret, const char *path)
{
    struct client_wav_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return -ENOMEM;
    writer->file = fopen(path, "wbe");
    int err = writer->file ? write_header(writer->file, 0) : -errno;
    if (err < 0) {
        if (writer->file)
            (void)fclose(writer->file); /* the error is known */
        free(writer);
        return err;
    }
    *ret = writer;
    return 0;
}

int client_wav_write(struct client_wav_writer *writer, const int16_t *sample, size_t count)
{
    uint8_t raw[2 * 960];
    while (count) {
        const size_t now = count < 960 ? count : 960;
        if (writer->data_bytes + 2 * now > CLIENT_WAV_MAX_BYTES)
            return -EFBIG;
        for (size_t i = 0; i < now; i++) {
            raw[2 * i] = (uint8_t)((uint16_t)sample[i] & 255);
            raw[2 * i + 1] = (uint8_t)((uint16_t)sample[i] >> 8);
        }
        if (fwrite(raw, 2, now, writer->file) != now)
            return -EIO;
        writer->data_bytes += 2 * now;
        sample += now;
        count -= now;
    }
    return 0;
}

int client_wav_close(struct client_wav_writer *writer)
{
    if (!writer)
        return 0;
    int err = 0;
    if (fseek(writer->file, 0, SEEK_SET) < 0)
        err = -errno;
    else
        err = write_header(writer->file, writer->data_bytes);
    if (fclose(writer->file) != 0 && !err)
        err = -EIO;
    free(writer);
    return err;
}
