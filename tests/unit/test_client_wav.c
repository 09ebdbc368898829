/* The WAV reader and writer of wzp-client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <unistd.h>

#include <cmocka.h>

#include "wzp/bin/client_wav.c" /* a program's file is in no library */

#define FILE_MAX 400000

struct wav {
    size_t len;
    uint8_t byte[FILE_MAX];
};

static void add(struct wav *wav, const void *data, size_t len)
{
    assert_true(wav->len + len <= FILE_MAX);
    memcpy(wav->byte + wav->len, data, len);
    wav->len += len;
}

static void add_u32(struct wav *wav, uint32_t value)
{
    uint8_t raw[4];
    put_u32le(raw, value);
    add(wav, raw, 4);
}

static void add_u16(struct wav *wav, unsigned value)
{
    const uint8_t raw[2] = { (uint8_t)value, (uint8_t)(value >> 8) };
    add(wav, raw, 2);
}

/** Header up to the samples of a file that says its data is data_bytes long. */
static struct wav *begin(unsigned format, unsigned channels, uint32_t rate_hz, unsigned bits,
                         uint32_t data_bytes)
{
    static struct wav wav;
    wav.len = 0;
    add(&wav, "RIFF", 4);
    add_u32(&wav, 36 + data_bytes);
    add(&wav, "WAVEfmt ", 8);
    add_u32(&wav, format == FORMAT_EXTENSIBLE ? 40 : 16);
    add_u16(&wav, format);
    add_u16(&wav, channels);
    add_u32(&wav, rate_hz);
    add_u32(&wav, rate_hz * channels * bits / 8);
    add_u16(&wav, channels * bits / 8);
    add_u16(&wav, bits);
    if (format == FORMAT_EXTENSIBLE) {
        add_u16(&wav, 22);
        add_u16(&wav, bits);
        add_u32(&wav, 4);
        add(&wav, "\1\0\0\0\0\0\20\0\200\0\0\252\0\70\233\161", 16);
    }
    add(&wav, "data", 4);
    add_u32(&wav, data_bytes);
    return &wav;
}

static int parse(const struct wav *wav, struct client_pcm *ret)
{
    return client_wav_parse(wz_bytes(wav->byte, wav->len), ret);
}

/** A second of a sine at rate_hz, mono. */
static struct wav *sine(uint32_t rate_hz, double hz)
{
    struct wav *wav = begin(FORMAT_PCM, 1, rate_hz, 16, rate_hz * 2);
    for (uint32_t i = 0; i < rate_hz; i++)
        add_u16(wav, (uint16_t)(int16_t)lrint(10000.0 * sin(2.0 * M_PI * hz * i / rate_hz)));
    return wav;
}

/** Largest difference from the same sine at 48 kHz, away from the ends. */
static double worst_difference(const struct client_pcm *pcm, double amplitude, double hz)
{
    double worst = 0;
    for (size_t i = 1000; i + 1000 < pcm->count; i++) {
        const double want = amplitude * sin(2.0 * M_PI * hz * (double)i / CLIENT_WAV_RATE_HZ);
        worst = fmax(worst, fabs(want - pcm->sample[i]));
    }
    return worst;
}

static void samples_at_48_khz_are_taken_as_they_are(void **state)
{
    (void)state;
    struct client_pcm pcm;
    struct wav *wav = begin(FORMAT_PCM, 1, 48000, 16, 6);
    add(wav, "\1\0\377\177\0\200", 6);
    assert_int_equal(parse(wav, &pcm), 0);
    assert_int_equal(pcm.count, 3);
    assert_int_equal(pcm.sample[0], 1);
    assert_int_equal(pcm.sample[1], 32767);
    assert_int_equal(pcm.sample[2], -32768);
    client_pcm_done(&pcm);
}

static void stereo_is_mixed(void **state)
{
    (void)state;
    struct client_pcm pcm;
    struct wav *wav = begin(FORMAT_PCM, 2, 48000, 16, 8);
    add_u16(wav, 100);
    add_u16(wav, 300);
    add_u16(wav, 32767);
    add_u16(wav, 32767);
    assert_int_equal(parse(wav, &pcm), 0);
    assert_int_equal(pcm.count, 2);
    assert_int_equal(pcm.sample[0], 200);
    assert_int_equal(pcm.sample[1], 32767);
    client_pcm_done(&pcm);
}

static void other_rates_become_48_khz_without_changing_the_sound(void **state)
{
    (void)state;
    static const uint32_t rates[] = { 8000, 11025, 16000, 22050, 24000, 32000, 44100, 96000 };
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct client_pcm pcm;
        assert_int_equal(parse(sine(rates[i], 1000), &pcm), 0);
        assert_int_equal(pcm.count, 48000);
        const double worst = worst_difference(&pcm, 10000, 1000);
        if (worst > 100) /* 1 %: 40 dB below */
            fail_msg("%u Hz: %.0f off", (unsigned)rates[i], worst);
        client_pcm_done(&pcm);
    }
}

static void what_48_khz_cannot_carry_is_filtered_out(void **state)
{
    (void)state;
    struct client_pcm pcm;
    assert_int_equal(parse(sine(96000, 36000), &pcm), 0);
    assert_true(worst_difference(&pcm, 0, 0) < 200);
    client_pcm_done(&pcm);
}

static void extensible_format_is_read(void **state)
{
    (void)state;
    struct client_pcm pcm;
    struct wav *wav = begin(FORMAT_EXTENSIBLE, 1, 48000, 16, 2);
    add_u16(wav, 7);
    assert_int_equal(parse(wav, &pcm), 0);
    assert_int_equal(pcm.sample[0], 7);
    client_pcm_done(&pcm);
}

static void unknown_chunks_of_odd_length_are_skipped(void **state)
{
    (void)state;
    struct client_pcm pcm;
    struct wav *wav = begin(FORMAT_PCM, 1, 48000, 16, 2);
    wav->len -= 8;
    add(wav, "LIST", 4);
    add_u32(wav, 3);
    add(wav, "abc\0data", 8);
    add_u32(wav, 2);
    add_u16(wav, 7);
    assert_int_equal(parse(wav, &pcm), 0);
    assert_int_equal(pcm.count, 1);
    assert_int_equal(pcm.sample[0], 7);
    client_pcm_done(&pcm);
}

static void data_size_beyond_the_file_means_to_its_end(void **state)
{
    (void)state;
    struct client_pcm pcm;
    struct wav *wav = begin(FORMAT_PCM, 1, 48000, 16, 0x7ffff000); /* as espeak writes into a pipe */
    add_u16(wav, 7);
    add(wav, "x", 1); /* half a sample */
    assert_int_equal(parse(wav, &pcm), 0);
    assert_int_equal(pcm.count, 1);
    client_pcm_done(&pcm);
}

static void what_is_no_wav_is_refused(void **state)
{
    (void)state;
    struct client_pcm pcm = { .count = 77 };
    struct wav *wav = begin(FORMAT_PCM, 1, 48000, 16, 0);
    for (size_t len = 0; len < wav->len; len++)
        assert_int_equal(client_wav_parse(wz_bytes(wav->byte, len), &pcm), -EBADMSG);
    memcpy(wav->byte, "RIFX", 4);
    assert_int_equal(parse(wav, &pcm), -EBADMSG);
    assert_int_equal(pcm.count, 77);
}

static void formats_we_do_not_read_are_named_so(void **state)
{
    (void)state;
    struct client_pcm pcm;
    assert_int_equal(parse(begin(3, 1, 48000, 16, 0), &pcm), -ENOTSUP); /* float */
    assert_int_equal(parse(begin(FORMAT_PCM, 1, 48000, 8, 0), &pcm), -ENOTSUP);
    assert_int_equal(parse(begin(FORMAT_PCM, 3, 48000, 16, 0), &pcm), -ENOTSUP);
    assert_int_equal(parse(begin(FORMAT_PCM, 0, 48000, 16, 0), &pcm), -ENOTSUP);
    assert_int_equal(parse(begin(FORMAT_PCM, 1, 3999, 16, 0), &pcm), -ENOTSUP);
    assert_int_equal(parse(begin(FORMAT_PCM, 1, 192001, 16, 0), &pcm), -ENOTSUP);
    assert_int_equal(parse(begin(FORMAT_PCM, 1, 4000, 16, 0), &pcm), 0);
    client_pcm_done(&pcm);
    assert_int_equal(parse(begin(FORMAT_PCM, 1, 192000, 16, 0), &pcm), 0);
    client_pcm_done(&pcm);
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    char path[] = "/tmp/wzp-wav-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    int16_t in[2500];
    for (size_t i = 0; i < 2500; i++)
        in[i] = (int16_t)(i * 13 - 16000);
    struct client_wav_writer *writer = NULL;
    assert_int_equal(client_wav_create(&writer, path), 0);
    assert_int_equal(client_wav_write(writer, in, 2500), 0);
    assert_int_equal(client_wav_close(writer), 0);
    struct client_pcm pcm;
    assert_int_equal(client_wav_load(path, &pcm), 0);
    assert_int_equal(pcm.count, 2500);
    assert_memory_equal(pcm.sample, in, sizeof in);
    client_pcm_done(&pcm);
    unlink(path);
    assert_int_equal(client_wav_load(path, &pcm), -ENOENT);
    assert_int_equal(client_wav_create(&writer, "/nonexistent/x.wav"), -ENOENT);
}

static void full_disk_is_told(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    struct client_wav_writer *writer = NULL;
    const int16_t pcm[960] = { 0 };
    assert_int_equal(client_wav_create(&writer, "/dev/full"), 0); /* buffered */
    for (int i = 0; i < 20; i++)
        (void)client_wav_write(writer, pcm, 960);
    assert_true(client_wav_close(writer) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_at_48_khz_are_taken_as_they_are),
        cmocka_unit_test(stereo_is_mixed),
        cmocka_unit_test(other_rates_become_48_khz_without_changing_the_sound),
        cmocka_unit_test(what_48_khz_cannot_carry_is_filtered_out),
        cmocka_unit_test(extensible_format_is_read),
        cmocka_unit_test(unknown_chunks_of_odd_length_are_skipped),
        cmocka_unit_test(data_size_beyond_the_file_means_to_its_end),
        cmocka_unit_test(what_is_no_wav_is_refused),
        cmocka_unit_test(formats_we_do_not_read_are_named_so),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
