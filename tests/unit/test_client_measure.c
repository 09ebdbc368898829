/* The measurements of wzp-client: pure, with delays, losses and clocks that are known; and the program in a room with an
 * echo. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_program.h"
#include "wzp/bin/client_measure_drift.c" /* a program's file is in no library */
#include "wzp/bin/client_measure_echo.c"
#include "wzp/rt/log.h"

#define FRAME_US 20000u
#define ECHO_S   2.0

/* ---- drift ---- */

static double noise_ms(uint32_t *state, double most)
{
    *state = *state * 1664525u + 1013904223u;
    return most * (*state >> 8) / 16777216.0;
}

/** A sender whose clock is ppm faster, over a path whose delay varies by up to jitter_ms; each stall_each-th
 *  second takes 80 ms longer (0: none). */
static struct client_drift_result run_drift(double ppm, unsigned packets, double jitter_ms, unsigned stall_each)
{
    struct client_drift *drift = NULL;
    struct client_drift_result result;
    uint32_t state = 7;
    assert_int_equal(client_drift_new(&drift), 0);
    for (unsigned i = 0; i < packets; i++) {
        const double sent_us = (double)i * FRAME_US / (1 + ppm / 1e6);
        const double stall_ms = stall_each && i / 50 % stall_each == 1 ? 80 : 0; /* for a whole second */
        const double delay_ms = 30 + noise_ms(&state, jitter_ms) * noise_ms(&state, 1) + stall_ms;
        client_drift_packet(drift, 4294960000u + i * 20, (uint64_t)(1e9 + sent_us + delay_ms * 1000));
    }
    client_drift_finish(drift, &result);
    client_drift_free(drift);
    return result;
}

static void a_known_drift_is_found_without_jitter(void **state)
{
    (void)state;
    static const double ppm[] = { 0, 100, -100, 2000, -3500 };
    for (size_t i = 0; i < sizeof ppm / sizeof ppm[0]; i++) {
        const struct client_drift_result got = run_drift(ppm[i], 500, 0, 0);
        assert_true(got.is_known);
        if (fabs(got.drift_ppm - ppm[i]) > 0.5)
            fail_msg("%.1f ppm is measured as %.1f", ppm[i], got.drift_ppm);
    }
}

static void a_known_drift_is_found_in_jitter(void **state)
{
    (void)state;
    for (double ppm = -200; ppm <= 200; ppm += 50) {
        const struct client_drift_result got = run_drift(ppm, 3000, 40, 0); /* a minute */
        assert_true(got.is_known);
        assert_true(got.error_ppm < 20);
        assert_true(got.delay_spread_ms > 10);
        if (fabs(got.drift_ppm - ppm) > 25)
            fail_msg("%.1f ppm is measured as %.1f +- %.1f", ppm, got.drift_ppm, got.error_ppm);
    }
}

static void a_path_that_stalls_at_times_does_not_move_the_line(void **state)
{
    (void)state;
    const struct client_drift_result got = run_drift(80, 3000, 5, 9);
    assert_true(got.is_known);
    if (fabs(got.drift_ppm - 80) > 10)
        fail_msg("80 ppm is measured as %.1f +- %.1f", got.drift_ppm, got.error_ppm);
}

static void an_hour_is_as_good_as_a_minute(void **state)
{
    (void)state;
    const struct client_drift_result got = run_drift(-12, 180000, 40, 0);
    assert_true(got.is_known && got.error_ppm < 1);
    assert_int_equal(got.packets, 180000);
    assert_true(fabs(got.seconds - 3600) < 1);
    assert_true(fabs(got.drift_ppm + 12) < 1);
}

static void too_little_is_not_judged(void **state)
{
    (void)state;
    assert_false(run_drift(0, 0, 0, 0).is_known);
    assert_false(run_drift(0, 30, 0, 0).is_known);
    assert_true(run_drift(0, 50, 0, 0).is_known);
}

/* ---- echo ---- */

struct sound {
    struct client_pcm signal;
    struct client_echo *echo;
    uint32_t random;
};

static int new_sound(void **state)
{
    static struct sound sound;
    sound = (struct sound){ .random = 7 };
    assert_int_equal(client_echo_signal(ECHO_S, &sound.signal), 0);
    assert_int_equal(client_echo_new(&sound.echo, &sound.signal), 0);
    *state = &sound;
    return 0;
}

static int end_sound(void **state)
{
    struct sound *sound = *state;
    client_echo_free(sound->echo);
    free(sound->signal.sample);
    return 0;
}

static struct wz_bytes packet(unsigned number, bool anew, uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX])
{
    const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K,
                                       .seq = (uint16_t)number,
                                       .timestamp_ms = number * 20 };
    const uint8_t payload[] = { 0x78, anew, (uint8_t)number, (uint8_t)(number >> 8) };
    const int len = wzp_media_encode(&hdr, wz_bytes(payload, sizeof payload), buf, WZP_MEDIA_DATAGRAM_MAX);
    assert_true(len > 0);
    return wz_bytes(buf, (size_t)len);
}

/** count packets go out, each comes back after 40 ms, every other one 6 ms later; each lost_each-th does not. */
static void send_and_return(struct sound *sound, unsigned count, unsigned lost_each, bool anew)
{
    uint8_t buf[WZP_MEDIA_DATAGRAM_MAX];
    for (unsigned i = 0; i < count + 3; i++) {
        if (i < count)
            client_echo_sent(sound->echo, packet(i, false, buf), i * FRAME_US);
        if (i >= 3 && (!lost_each || (i - 3) % lost_each != lost_each - 1))
            client_echo_received(sound->echo, packet(i - 3, anew, buf),
                                 (i - 3) * FRAME_US + 40000 + ((i - 3) % 2 ? 6000 : 0));
    }
}

static void round_trip_is_that_of_the_packets(void **state)
{
    struct sound *sound = *state;
    struct client_echo_result got;
    send_and_return(sound, 100, 0, false);
    client_echo_finish(sound->echo, &got);
    assert_int_equal(got.sent, 100);
    assert_int_equal(got.back, 100);
    assert_true(got.loss_pct == 0);
    assert_true(got.rtt_min_ms == 40 && got.rtt_max_ms == 46 && fabs(got.rtt_ms - 43) < 1e-6);
    assert_true(fabs(got.rtt_jitter_ms - 6) < 1e-6);
}

static void packets_that_do_not_come_back_are_lost(void **state)
{
    struct sound *sound = *state;
    struct client_echo_result got;
    send_and_return(sound, 100, 10, false);
    client_echo_finish(sound->echo, &got);
    assert_int_equal(got.back, 90);
    assert_true(fabs(got.loss_pct - 10) < 1e-6);
}

static void what_was_sent_before_the_echo_was_there_is_not_lost(void **state)
{
    struct sound *sound = *state;
    struct client_echo_result got;
    uint8_t buf[WZP_MEDIA_DATAGRAM_MAX];
    for (unsigned i = 0; i < 80; i++) {
        client_echo_sent(sound->echo, packet(i, false, buf), i * FRAME_US);
        if (i >= 30)
            client_echo_received(sound->echo, packet(i, false, buf), i * FRAME_US + 5000);
    }
    client_echo_finish(sound->echo, &got);
    assert_int_equal(got.sent, 50);
    assert_true(got.loss_pct == 0);
}

static void silence_after_the_signal_does_not_count(void **state)
{
    struct sound *sound = *state;
    struct client_echo_result got;
    send_and_return(sound, 150, 0, false); /* 3 s */
    client_echo_finish(sound->echo, &got);
    assert_int_equal(got.sent, 100);
    assert_int_equal(got.back, 100);
    assert_int_equal(got.other, 0);
}

static void a_peer_that_encodes_anew_leaves_the_loss_unknown(void **state)
{
    struct sound *sound = *state;
    struct client_echo_result got;
    send_and_return(sound, 100, 0, true);
    client_echo_finish(sound->echo, &got);
    assert_int_equal(got.back, 0);
    assert_int_equal(got.other, 100);
    assert_true(isnan(got.loss_pct));
}

/** The sound comes back after delay_ms, as loud as gain, with noise. */
static struct client_echo_result hear(struct sound *sound, unsigned delay_ms, double gain, double noise)
{
    const size_t delay = delay_ms * (CLIENT_WAV_RATE_HZ / 1000);
    struct client_echo_result got;
    for (size_t i = 0; i < sound->signal.count + delay; i++) {
        const double clean = i < delay ? 0 : gain * sound->signal.sample[i - delay];
        const int16_t sample = (int16_t)(clean + noise_ms(&sound->random, 2 * noise) - noise);
        client_echo_heard(sound->echo, &sample, 1);
    }
    client_echo_finish(sound->echo, &got);
    return got;
}

static void the_delay_of_the_sound_is_found(void **state)
{
    struct sound *sound = *state;
    const struct client_echo_result got = hear(sound, 237, 0.5, 200);
    assert_true(got.heard);
    assert_true(got.similarity > 0.95);
    if (fabs(got.sound_delay_ms - 237) > 3)
        fail_msg("237 ms are measured as %.1f", got.sound_delay_ms);
}

static void a_delay_that_changes_on_the_way_is_no_other_sound(void **state)
{
    struct sound *sound = *state;
    struct client_echo_result got;
    const size_t delay = 100 * (CLIENT_WAV_RATE_HZ / 1000), stretch = 60 * (CLIENT_WAV_RATE_HZ / 1000);
    for (size_t i = 0; i < sound->signal.count + delay + stretch; i++) {
        const size_t later = i < sound->signal.count * 2 / 3 ? delay : delay + stretch;
        client_echo_heard(sound->echo, &(int16_t){ i < later ? 0 : sound->signal.sample[i - later] }, 1);
    }
    client_echo_finish(sound->echo, &got);
    assert_true(got.similarity > 0.85);
    if (fabs(got.sound_delay_ms - 100) > 5)
        fail_msg("100 ms are measured as %.1f", got.sound_delay_ms);
}

static void the_longest_delay_is_found_too(void **state)
{
    struct sound *sound = *state;
    const struct client_echo_result got = hear(sound, CLIENT_ECHO_DELAY_MAX_MS - 20, 1, 0);
    assert_true(fabs(got.sound_delay_ms - (CLIENT_ECHO_DELAY_MAX_MS - 20)) <= 3);
}

static void noise_is_not_like_the_signal_and_silence_is_no_sound(void **state)
{
    struct sound *sound = *state;
    const struct client_echo_result noise = hear(sound, 0, 0, 8000);
    assert_true(noise.similarity < 0.3);
    client_echo_free(sound->echo);
    assert_int_equal(client_echo_new(&sound->echo, &sound->signal), 0);
    const struct client_echo_result silence = hear(sound, 0, 0, 0);
    assert_false(silence.heard);
    assert_true(silence.similarity == 0);
}

/* ---- the program ---- */

static double number_after(const char *text, const char *key)
{
    const char *pos = strstr(text, key);
    if (!pos)
        fail_msg("no %s in:\n%s", key, text);
    return strtod(pos + strlen(key), NULL);
}

static void start_member(struct client_stage *s, size_t program, const char *seed, const char *const *more)
{
    const char *args[16] = { "--json", "--relay", s->relay_text[0], "--seed-file", seed, "room", "x" };
    for (size_t i = 0; more[i] && i < 8; i++)
        args[7 + i] = more[i];
    client_stage_start(s, program, args);
}

static void echo_and_drift_are_measured_in_a_room(void **state)
{
    struct client_stage *s = *state;
    char seed[2][128];
    (void)client_stage_path(s, "a", seed[0]);
    (void)client_stage_path(s, "b", seed[1]);
    start_member(s, 0, seed[0], CLIENT_ARGS("--echo"));
    client_stage_expect(s, 0, "\"event\":\"media_up\"");
    start_member(s, 1, seed[1], CLIENT_ARGS("--echo-test", "2", "--drift-test", "2"));
    assert_int_equal(client_stage_exit(s, 1), 0);
    kill(s->program[0].pid, SIGINT);
    assert_int_equal(client_stage_exit(s, 0), 0);
    const char *echo = strstr(s->program[1].text, "\"event\":\"echo_test\"");
    assert_non_null(echo);
    assert_true(number_after(echo, "\"back\":") >= 80);
    assert_true(number_after(echo, "\"loss_pct\":") < 20);
    assert_true(number_after(echo, "\"rtt_min_ms\":") < 100 && number_after(echo, "\"rtt_min_ms\":") > 0);
    assert_true(number_after(echo, "\"similarity\":") > 0.6); /* a busy machine conceals some of it */
    assert_true(number_after(echo, "\"sound_delay_ms\":") > 20);
    const char *drift = strstr(s->program[1].text, "\"event\":\"drift_test\"");
    assert_non_null(drift);
    assert_true(number_after(drift, "\"packets\":") >= 80);
    assert_true(fabs(number_after(drift, "\"drift_ppm\":")) < 5000); /* one clock, seen through a busy machine */
}

static void echo_and_drift_are_measured_in_a_call(void **state)
{
    struct client_stage *s = *state;
    char seed[2][128], callee[64];
    (void)client_stage_path(s, "a", seed[0]);
    (void)client_stage_path(s, "b", seed[1]);
    client_stage_start(s, 0,
                       CLIENT_ARGS("--json", "--relay", s->relay_text[0], "--seed-file", seed[0], "--echo", "answer"));
    client_stage_expect(s, 0, "\"relay_build\"");
    assert_int_equal(sscanf(strstr(s->program[0].text, "\"fingerprint\":"), "\"fingerprint\":\"%39[0-9a-f:]\"", callee),
                     1);
    client_stage_start(s, 1,
                       CLIENT_ARGS("--relay", s->relay_text[0], "--seed-file", seed[1], "--echo-test", "1.5",
                                   "--drift-test", "2", "call", callee));
    assert_int_equal(client_stage_exit(s, 1), 0);
    assert_int_equal(client_stage_exit(s, 0), 0);
    assert_non_null(strstr(s->program[1].text, "packets came back"));
    assert_non_null(strstr(s->program[1].text, "echo: the sound came back after"));
    assert_non_null(strstr(s->program[1].text, "drift: the sender's clock runs"));
}

static void without_an_echo_there_is_nothing_to_measure(void **state)
{
    struct client_stage *s = *state;
    char seed[128];
    (void)client_stage_path(s, "a", seed);
    start_member(s, 0, seed, CLIENT_ARGS("--echo-test", "1"));
    assert_int_equal(client_stage_exit(s, 0), 1);
    assert_non_null(strstr(s->program[0].text, "\"back\":0,\"other\":0,\"loss_pct\":100.0,\"rtt_ms\":null"));
    assert_non_null(strstr(s->program[0].text, "\"sound_delay_ms\":null,\"similarity\":0.0"));
}

static void measuring_needs_media(void **state)
{
    struct client_stage *s = *state;
    client_stage_start(s, 0, CLIENT_ARGS("--echo-test", "1", "ping"));
    assert_int_equal(client_stage_exit(s, 0), 2);
    assert_non_null(strstr(s->program[0].text, "call, answer or room"));
    client_stage_start(s, 0, CLIENT_ARGS("--echo-test", "601", "room", "x"));
    assert_int_equal(client_stage_exit(s, 0), 2);
    client_stage_start(s, 0, CLIENT_ARGS("--echo-test", "1", "--tone", "440", "room", "x"));
    assert_int_equal(client_stage_exit(s, 0), 2);
    assert_non_null(strstr(s->program[0].text, "only one of"));
}

int main(void)
{
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
#define SOUND(name) cmocka_unit_test_setup_teardown(name, new_sound, end_sound)
#define STORY(name) cmocka_unit_test_setup_teardown(name, client_stage_new, client_stage_end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_drift_is_found_without_jitter),
        cmocka_unit_test(a_known_drift_is_found_in_jitter),
        cmocka_unit_test(a_path_that_stalls_at_times_does_not_move_the_line),
        cmocka_unit_test(an_hour_is_as_good_as_a_minute),
        cmocka_unit_test(too_little_is_not_judged),
        SOUND(round_trip_is_that_of_the_packets),
        SOUND(packets_that_do_not_come_back_are_lost),
        SOUND(what_was_sent_before_the_echo_was_there_is_not_lost),
        SOUND(silence_after_the_signal_does_not_count),
        SOUND(a_peer_that_encodes_anew_leaves_the_loss_unknown),
        SOUND(the_delay_of_the_sound_is_found),
        SOUND(a_delay_that_changes_on_the_way_is_no_other_sound),
        SOUND(the_longest_delay_is_found_too),
        SOUND(noise_is_not_like_the_signal_and_silence_is_no_sound),
        STORY(echo_and_drift_are_measured_in_a_room),
        STORY(echo_and_drift_are_measured_in_a_call),
        STORY(without_an_echo_there_is_nothing_to_measure),
        STORY(measuring_needs_media),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
