/* What wzp-client's observer makes of the datagrams of a room: streams told apart, and their figures; and the program,
 * live and from a capture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_program.h"
#include "wzp/bin/client_analyze.c" /* a program's file is in no library */
#include "wzp/rt/log.h"

static struct client_analysis *analysis;

static int new_analysis(void **state)
{
    (void)state;
    return client_analysis_new(&analysis);
}

static int end_analysis(void **state)
{
    (void)state;
    client_analysis_free(analysis);
    return 0;
}

/** One talker. */
struct talker {
    struct wzp_media_hdr hdr;
    uint64_t next_us;
    uint8_t mark; /**< in each payload: two talkers never say the same */
    size_t payload_bytes;
};

static struct talker talker(enum wzp_codec codec, uint16_t seq, uint32_t timestamp_ms, uint64_t start_us)
{
    static uint8_t mark;
    return (struct talker){ .hdr = { .codec = codec, .seq = seq, .timestamp_ms = timestamp_ms },
                            .next_us = start_us,
                            .mark = ++mark,
                            .payload_bytes = 60 };
}

static int give(const struct talker *t, uint64_t at_us)
{
    uint8_t buf[WZP_MEDIA_DATAGRAM_MAX], payload[200] = { t->mark, (uint8_t)t->hdr.seq, (uint8_t)(t->hdr.seq >> 8) };
    const int len = wzp_media_encode(&t->hdr, wz_bytes(payload, t->payload_bytes), buf, sizeof buf);
    assert_true(len > 0);
    return client_analysis_packet(analysis, at_us, wz_bytes(buf, (size_t)len));
}

static void step(struct talker *t)
{
    t->hdr.seq++;
    t->hdr.timestamp_ms += wzp_codec_frame_ms(t->hdr.codec);
    t->next_us += wzp_codec_frame_ms(t->hdr.codec) * 1000u;
}

/** The talker's next packet arrives on time; its stream. */
static int speak(struct talker *t)
{
    const int index = give(t, t->next_us);
    step(t);
    return index;
}

static const struct client_stream *only_stream(void)
{
    assert_int_equal(client_analysis_count(analysis), 1);
    return client_analysis_stream(analysis, 0);
}

/* ---- figures ---- */

static void a_steady_stream_has_no_loss_and_no_jitter(void **state)
{
    (void)state;
    struct talker t = talker(WZP_CODEC_OPUS_24K, 0, 0, 1000);
    for (int i = 0; i < 101; i++)
        assert_int_equal(speak(&t), 0);
    const struct client_stream *stream = only_stream();
    assert_int_equal(stream->packets, 101);
    assert_int_equal(stream->lost + stream->duplicate + stream->reordered, 0);
    assert_true(stream->jitter_max_ms < 0.001);
    assert_int_equal(stream->codec, WZP_CODEC_OPUS_24K);
    assert_true(client_stream_seconds(stream) == 2.0);
    assert_true(client_stream_kbps(stream) > 28.8 && client_stream_kbps(stream) < 29.2); /* 101 of 72 bytes in 2 s */
}

static void gaps_duplicates_and_overtaken_packets_are_counted(void **state)
{
    (void)state;
    struct talker t = talker(WZP_CODEC_OPUS_24K, 65530, 4294967280u, 0); /* both wrap */
    for (int i = 0; i < 50; i++) {
        if (i == 10 || i == 11) { /* lost */
            step(&t);
        } else if (i == 20) { /* twice */
            assert_int_equal(give(&t, t.next_us), 0);
            assert_int_equal(speak(&t), 0);
        } else if (i == 30) { /* overtaken by the next */
            const struct talker late = t;
            step(&t);
            assert_int_equal(give(&t, t.next_us), 0);
            assert_int_equal(give(&late, t.next_us + 1000), 0);
            step(&t);
            i++;
        } else {
            assert_int_equal(speak(&t), 0);
        }
    }
    const struct client_stream *stream = only_stream();
    assert_int_equal(stream->packets, 48);
    assert_int_equal(stream->lost, 2);
    assert_int_equal(stream->duplicate, 1);
    assert_int_equal(stream->reordered, 1);
    assert_true(client_stream_loss_pct(stream) == 4.0);
}

static void jitter_is_that_of_rfc_3550(void **state)
{
    (void)state;
    struct talker t = talker(WZP_CODEC_OPUS_24K, 0, 0, 0);
    double jitter_ms = 0;
    for (int i = 0; i < 200; i++, step(&t)) {
        const uint64_t late_us = i % 2 ? 8000 : 0; /* every change is 8 ms */
        assert_int_equal(give(&t, t.next_us + late_us), 0);
        if (i > 0)
            jitter_ms += (8 - jitter_ms) / 16;
    }
    assert_true(fabs(only_stream()->jitter_ms - jitter_ms) < 0.001);
    assert_true(fabs(only_stream()->jitter_ms - 8) < 0.01);
}

static void repair_comfort_noise_reports_and_silence_are_told(void **state)
{
    (void)state;
    struct talker t = talker(WZP_CODEC_CODEC2_1200, 0, 0, 0);
    assert_int_equal(speak(&t), 0);
    t.hdr.is_repair = true;
    assert_int_equal(give(&t, t.next_us), 0);
    t.hdr.seq++;
    t.hdr.is_repair = false;
    t.hdr.codec = WZP_CODEC_COMFORT_NOISE;
    t.payload_bytes = 1;
    assert_int_equal(speak(&t), 0);
    t.hdr.codec = WZP_CODEC_OPUS_16K;
    t.payload_bytes = 2;
    t.hdr.has_report = true;
    t.hdr.report = (struct wzp_quality_report){ .loss = 51, .rtt_4ms = 10, .jitter_ms = 7 };
    assert_int_equal(speak(&t), 0);
    const struct client_stream *stream = only_stream();
    assert_int_equal(stream->repair, 1);
    assert_int_equal(stream->comfort_noise, 1);
    assert_int_equal(stream->tiny, 1);
    assert_int_equal(stream->reports, 1);
    assert_int_equal(stream->last_report.loss, 51);
    assert_int_equal(stream->codec, WZP_CODEC_OPUS_16K);
    assert_int_equal(stream->codec_changes, 1);
    assert_int_equal(stream->by_codec[WZP_CODEC_CODEC2_1200], 1);
    assert_int_equal(stream->lost, 0);
}

static void opus_padding_hints_at_dred(void **state)
{
    (void)state;
    uint8_t buf[64];
    const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K };
    const uint8_t padded[] = { 0x7b, 0x41, 2, 9, 0, 0 }, plain[] = { 0x78, 0x41, 2, 9, 0, 0 };
    int len = wzp_media_encode(&hdr, wz_bytes(padded, sizeof padded), buf, sizeof buf);
    (void)client_analysis_packet(analysis, 0, wz_bytes(buf, (size_t)len));
    assert_int_equal(only_stream()->padded, 1);
    const struct wzp_media_hdr next = { .codec = WZP_CODEC_OPUS_24K, .seq = 1, .timestamp_ms = 20 };
    len = wzp_media_encode(&next, wz_bytes(plain, sizeof plain), buf, sizeof buf);
    (void)client_analysis_packet(analysis, 20000, wz_bytes(buf, (size_t)len));
    assert_int_equal(only_stream()->padded, 1);
}

/* ---- streams ---- */

/** Two talkers that began at other times: each packet goes to its own. */
static void expect_apart(struct talker a, struct talker b)
{
    int index[2] = { -1, -1 };
    for (int i = 0; i < 400; i++) {
        struct talker *t = a.next_us <= b.next_us ? &a : &b;
        const int who = t == &b, got = speak(t);
        if (index[who] < 0)
            index[who] = got;
        assert_int_equal(got, index[who]);
    }
    assert_int_not_equal(index[0], index[1]);
    assert_int_equal(client_analysis_count(analysis), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(client_analysis_stream(analysis, i)->lost + client_analysis_stream(analysis, i)->duplicate, 0);
}

static void talkers_far_apart_in_numbers_are_two_streams(void **state)
{
    (void)state;
    expect_apart(talker(WZP_CODEC_OPUS_24K, 0, 0, 0), talker(WZP_CODEC_OPUS_24K, 30000, 600000, 7000));
}

static void a_talker_half_a_second_behind_is_another_stream(void **state)
{
    (void)state;
    expect_apart(talker(WZP_CODEC_OPUS_24K, 0, 0, 0), talker(WZP_CODEC_OPUS_24K, 0, 0, 510000));
}

static void a_talker_ahead_when_the_observer_joins_is_another_stream(void **state)
{
    (void)state;
    expect_apart(talker(WZP_CODEC_CODEC2_3200, 0, 0, 0), talker(WZP_CODEC_OPUS_24K, 41, 820, 7000));
}

static void a_participant_number_of_the_relay_decides(void **state)
{
    (void)state;
    struct talker a = talker(WZP_CODEC_OPUS_24K, 0, 0, 0), b = talker(WZP_CODEC_OPUS_24K, 0, 0, 3000);
    a.hdr.reserved = 1;
    b.hdr.reserved = 2;
    expect_apart(a, b);
}

static void talkers_in_step_are_counted_completely(void **state)
{
    (void)state;
    struct talker a = talker(WZP_CODEC_OPUS_24K, 0, 0, 0), b = talker(WZP_CODEC_OPUS_24K, 0, 0, 500);
    for (int i = 0; i < 100; i++) {
        assert_true(speak(&a) >= 0);
        assert_true(speak(&b) >= 0);
    }
    struct client_analysis_sums sums;
    client_analysis_sums(analysis, &sums);
    assert_int_equal(client_analysis_count(analysis), 2);
    assert_int_equal(sums.packets, 200);
    assert_int_equal(sums.lost, 0);
}

static void a_stream_survives_a_stalled_path_and_a_long_silence(void **state)
{
    (void)state;
    struct talker t = talker(WZP_CODEC_OPUS_24K, 0, 0, 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(speak(&t), 0);
    const uint64_t stalled_until_us = t.next_us + 3000000;
    while (t.next_us < stalled_until_us) { /* 3 s come at once */
        assert_int_equal(give(&t, stalled_until_us), 0);
        step(&t);
    }
    t.next_us += 20000000; /* nothing is sent, time goes on */
    t.hdr.timestamp_ms += 20000;
    for (int i = 0; i < 50; i++)
        assert_int_equal(speak(&t), 0);
    assert_int_equal(only_stream()->lost, 0);
}

static void a_sender_that_begins_anew_is_a_new_stream(void **state)
{
    (void)state;
    struct talker t = talker(WZP_CODEC_OPUS_24K, 0, 0, 0);
    for (int i = 0; i < 500; i++)
        assert_int_equal(speak(&t), 0);
    t.hdr.seq = 0;
    t.hdr.timestamp_ms = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(speak(&t), 1);
    assert_int_equal(client_analysis_stream(analysis, 0)->lost, 0);
}

static void what_is_no_media_and_streams_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    struct client_analysis_sums sums;
    assert_int_equal(client_analysis_packet(analysis, 0, wz_bytes("short", 5)), -EBADMSG);
    for (unsigned i = 0; i < CLIENT_STREAMS_MAX + 1; i++) {
        struct talker t = talker(WZP_CODEC_OPUS_24K, (uint16_t)(i * 1000), i * 100000, 0);
        assert_int_equal(give(&t, 0), i < CLIENT_STREAMS_MAX ? (int)i : -ENOSPC);
    }
    client_analysis_sums(analysis, &sums);
    assert_int_equal(sums.undecodable, 1);
    assert_int_equal(sums.unassigned, 1);
    assert_int_equal(sums.datagrams, CLIENT_STREAMS_MAX + 2);
}

/* ---- the program ---- */

/** The last line with streams, from the array on. */
static const char *streams_of(const struct client_stage *s, size_t program)
{
    const char *line = strstr(s->program[program].text, "\"final\":true");
    assert_non_null(line);
    const char *streams = strstr(line, "\"streams\":");
    assert_non_null(streams);
    return streams;
}

static void a_capture_replayed_gives_the_figures_of_the_live_run(void **state)
{
    struct client_stage *s = *state;
    char seed[128], file[128], live[4096];
    const char *relay = s->relay_text[0];
    (void)client_stage_path(s, "seed", seed);
    (void)client_stage_path(s, "a", file);
    client_stage_start(s, 0,
                       CLIENT_ARGS("--json", "--relay", relay, "--seed-file", seed, "--tone", "440", "room", "x"));
    client_stage_expect(s, 0, "\"event\":\"media_up\"");
    client_stage_start(s, 1,
                       CLIENT_ARGS("--json", "--relay", relay, "analyze", "x", "--capture", file, "--duration", "1.5"));
    assert_int_equal(client_stage_exit(s, 1), 0);
    kill(s->program[0].pid, SIGINT);
    assert_int_equal(client_stage_exit(s, 0), 0);
    (void)snprintf(live, sizeof live, "%s", streams_of(s, 1));
    assert_non_null(strstr(live, "\"codec\":\"Opus24k\""));
    assert_non_null(strstr(live, "\"lost\":0,"));
    assert_non_null(strstr(s->program[1].text, "\"final\":false")); /* one a second before */
    unsigned packets = 0;
    assert_int_equal(sscanf(strstr(live, "\"packets\":"), "\"packets\":%u", &packets), 1);
    assert_in_range(packets, 40, 80);
    client_stage_start(s, 2, CLIENT_ARGS("--json", "analyze", "--replay", file));
    assert_int_equal(client_stage_exit(s, 2), 0);
    assert_string_equal(streams_of(s, 2), live);
    assert_non_null(strstr(s->program[0].text, "\"rx\":0,")); /* the observer was silent */
}

static void an_observer_stopped_in_between_leaves_a_readable_capture(void **state)
{
    struct client_stage *s = *state;
    char seed[128], file[128];
    const char *relay = s->relay_text[0];
    (void)client_stage_path(s, "seed", seed);
    (void)client_stage_path(s, "a", file);
    client_stage_start(s, 0,
                       CLIENT_ARGS("--json", "--relay", relay, "--seed-file", seed, "--tone", "440", "room", "x"));
    client_stage_start(s, 1, CLIENT_ARGS("--json", "--relay", relay, "analyze", "x", "--capture", file));
    client_stage_expect(s, 1, "\"final\":false");
    kill(s->program[1].pid, SIGKILL);
    assert_int_equal(client_stage_exit(s, 1), -1);
    client_stage_start(s, 2, CLIENT_ARGS("analyze", "--replay", file));
    assert_int_equal(client_stage_exit(s, 2), 0);
    assert_non_null(strstr(s->program[2].text, "stream 1: "));
    assert_non_null(strstr(s->program[2].text, "Opus24k"));
    kill(s->program[0].pid, SIGINT);
    assert_int_equal(client_stage_exit(s, 0), 0);
}

static void control_c_ends_an_observer_with_its_summary(void **state)
{
    struct client_stage *s = *state;
    client_stage_start(s, 0, CLIENT_ARGS("--relay", s->relay_text[0], "analyze", "x"));
    client_stage_expect(s, 0, "media is up");
    kill(s->program[0].pid, SIGINT);
    assert_int_equal(client_stage_exit(s, 0), 0);
    assert_non_null(strstr(s->program[0].text, "all: 0 streams, 0 datagrams"));
}

static void wrong_files_and_arguments_are_named(void **state)
{
    struct client_stage *s = *state;
    const struct {
        const char *const *args;
        int code;
        const char *named;
    } cases[] = {
        { CLIENT_ARGS("analyze"), 2, "ROOM" },
        { CLIENT_ARGS("analyze", "x", "--replay", "y"), 2, "neither a room" },
        { CLIENT_ARGS("--capture", "y", "ping"), 2, "the command analyze" },
        { CLIENT_ARGS("analyze", "--replay", "/nonexistent"), 1, "/nonexistent: No such file" },
        { CLIENT_ARGS("analyze", "--replay", "/dev/null"), 1,
          "/dev/null: no capture file: expected 57 5A 50 01 at byte 0" },
        { CLIENT_ARGS("analyze", "x", "--capture", "/nonexistent/file"), 1, "/nonexistent/file: No such file" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client_stage_start(s, 0, cases[i].args);
        assert_int_equal(client_stage_exit(s, 0), cases[i].code);
        if (!strstr(s->program[0].text, cases[i].named))
            fail_msg("%s not named in: %s", cases[i].named, s->program[0].text);
    }
}

int main(void)
{
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
#define FIGURES(name) cmocka_unit_test_setup_teardown(name, new_analysis, end_analysis)
#define STORY(name)   cmocka_unit_test_setup_teardown(name, client_stage_new, client_stage_end)
    const struct CMUnitTest tests[] = {
        FIGURES(a_steady_stream_has_no_loss_and_no_jitter),
        FIGURES(gaps_duplicates_and_overtaken_packets_are_counted),
        FIGURES(jitter_is_that_of_rfc_3550),
        FIGURES(repair_comfort_noise_reports_and_silence_are_told),
        FIGURES(opus_padding_hints_at_dred),
        FIGURES(talkers_far_apart_in_numbers_are_two_streams),
        FIGURES(a_talker_half_a_second_behind_is_another_stream),
        FIGURES(a_talker_ahead_when_the_observer_joins_is_another_stream),
        FIGURES(a_participant_number_of_the_relay_decides),
        FIGURES(talkers_in_step_are_counted_completely),
        FIGURES(a_stream_survives_a_stalled_path_and_a_long_silence),
        FIGURES(a_sender_that_begins_anew_is_a_new_stream),
        FIGURES(what_is_no_media_and_streams_beyond_the_limit_are_counted),
        STORY(a_capture_replayed_gives_the_figures_of_the_live_run),
        STORY(an_observer_stopped_in_between_leaves_a_readable_capture),
        STORY(control_c_ends_an_observer_with_its_summary),
        STORY(wrong_files_and_arguments_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
