#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/media/dtmf.h"
#include "gateway/media/tone.h"
#include "tests/support/judge.h"

#define SSRC 0xabcd0001u

struct phone {
    struct gw_dtmf_rx rx;
    char digits[64];
    size_t begun, ended;
    uint32_t last_ms;
};

static void apply(struct phone *p, const struct gw_dtmf_out *out)
{
    if (out->ends_former) {
        p->ended++;
        p->last_ms = out->former_ms;
    }
    if (out->begins)
        p->digits[p->begun++] = out->digit;
    if (out->ends) {
        p->ended++;
        p->last_ms = out->duration_ms;
    }
}

static void say(struct phone *p, uint32_t ssrc, uint32_t ts, uint8_t code, bool end, uint16_t duration, uint64_t now_us)
{
    const struct gw_dtmf_event event = { .code = code, .end = end, .volume = 10, .duration_ticks = duration };
    uint8_t payload[GW_DTMF_PAYLOAD_BYTES];
    struct gw_dtmf_out out;

    gw_dtmf_encode(&event, payload);
    gw_dtmf_rx_packet(&p->rx, ssrc, ts, wz_bytes(payload, sizeof payload), now_us, &out);
    apply(p, &out);
}

static struct phone new_phone(uint32_t clock_hz)
{
    struct phone p = { .digits = "" };
    gw_dtmf_rx_init(&p.rx, clock_hz);
    return p;
}

static void a_digit_with_all_its_packets_counts_once(void **state)
{
    struct phone p = new_phone(8000);

    (void)state;
    for (uint16_t n = 1; n <= 5; n++)
        say(&p, SSRC, 1000, 7, false, (uint16_t)(n * 160), n * 20000u);
    for (int n = 0; n < 3; n++)
        say(&p, SSRC, 1000, 7, true, 960, 120000);
    assert_string_equal(p.digits, "7");
    assert_int_equal(p.ended, 1);
    assert_int_equal(p.last_ms, 120);
    assert_int_equal(p.rx.digits, 1);
}

static void the_same_digit_twice_is_two_digits(void **state)
{
    struct phone p = new_phone(8000);

    (void)state;
    say(&p, SSRC, 1000, 5, true, 800, 0);
    say(&p, SSRC, 1000, 5, true, 800, 1000);
    say(&p, SSRC, 3000, 5, true, 800, 200000);
    assert_string_equal(p.digits, "55");
    assert_int_equal(p.ended, 2);
}

static void lost_ends_are_made_up_by_the_next_digit_or_by_time(void **state)
{
    struct phone p = new_phone(8000);
    struct gw_dtmf_out out;

    (void)state;
    say(&p, SSRC, 1000, 1, false, 480, 0);
    say(&p, SSRC, 4000, 2, false, 160, 300000);
    assert_string_equal(p.digits, "12");
    assert_int_equal(p.ended, 1);
    assert_int_equal(p.last_ms, 60);
    assert_int_equal(gw_dtmf_rx_deadline_us(&p.rx), 300000 + GW_DTMF_TIMEOUT_US);
    gw_dtmf_rx_tick(&p.rx, 300000 + GW_DTMF_TIMEOUT_US - 1, &out);
    assert_false(out.ends);
    gw_dtmf_rx_tick(&p.rx, 300000 + GW_DTMF_TIMEOUT_US, &out);
    assert_true(out.ends);
    assert_int_equal(out.duration_ms, 20);
    assert_int_equal(gw_dtmf_rx_deadline_us(&p.rx), UINT64_MAX);
    say(&p, SSRC, 4000, 2, true, 800, 900000); /* its end comes after all: no new digit */
    assert_string_equal(p.digits, "12");
}

static void only_the_end_packet_arrived(void **state)
{
    struct phone p = new_phone(8000);

    (void)state;
    say(&p, SSRC, 1000, 11, true, 1600, 0);
    assert_string_equal(p.digits, "#");
    assert_int_equal(p.last_ms, 200);
}

static void packets_out_of_order_do_not_shorten_or_repeat(void **state)
{
    struct phone p = new_phone(8000);

    (void)state;
    say(&p, SSRC, 1000, 3, false, 640, 0);
    say(&p, SSRC, 1000, 3, false, 320, 1000);
    say(&p, SSRC, 1000, 3, true, 960, 2000);
    say(&p, SSRC, 1000, 3, false, 800, 3000);
    say(&p, SSRC, 5000, 4, true, 800, 4000);
    say(&p, SSRC, 1000, 3, true, 960, 5000); /* of the digit before */
    assert_string_equal(p.digits, "34");
    assert_int_equal(p.ended, 2);
}

static void another_ssrc_is_another_digit(void **state)
{
    struct phone p = new_phone(8000);

    (void)state;
    say(&p, SSRC, 1000, 3, true, 960, 0);
    say(&p, SSRC + 1, 1000, 3, true, 960, 1000);
    assert_string_equal(p.digits, "33");
}

static void event_clock_beside_opus_is_honoured(void **state)
{
    struct phone p = new_phone(48000);

    (void)state;
    say(&p, SSRC, 1000, 0, true, 4800, 0);
    assert_int_equal(p.last_ms, 100);
}

static void a_digit_longer_than_a_segment_stays_one(void **state)
{
    struct phone p = new_phone(8000);

    (void)state;
    say(&p, SSRC, 1000, 6, false, 0xffff, 0);
    say(&p, SSRC, 1000 + 0xffff, 6, false, 160, 20000);
    say(&p, SSRC, 1000 + 0xffff, 6, true, 8000, 40000);
    assert_string_equal(p.digits, "6");
    assert_int_equal(p.last_ms, (0xffff + 8000) / 8);
}

static void what_is_no_digit_is_ignored_and_counted(void **state)
{
    struct phone p = new_phone(8000);
    struct gw_dtmf_out out;

    (void)state;
    say(&p, SSRC, 1000, 16, true, 800, 0);
    gw_dtmf_rx_packet(&p.rx, SSRC, 2000, wz_bytes("abc", 3), 0, &out);
    assert_false(out.begins);
    assert_int_equal(p.rx.ignored, 2);
    assert_int_equal(p.begun, 0);
}

/* ---- tones ---- */

static void read_digits(struct gw_tone *tone, size_t ms, char digits[static JUDGE_DIGITS_MAX + 1])
{
    static int16_t pcm[8000 * 12];
    struct judge_audio audio;

    for (size_t i = 0; i < ms / 20; i++)
        gw_tone_render(tone, pcm + i * 160, 160);
    assert_int_equal(judge_audio_from_pcm(pcm, ms / 20 * 160, 8000, &audio), 0);
    assert_int_equal(judge_digits(&audio, digits), 0);
    judge_audio_done(&audio);
}

static void every_digit_is_read_back(void **state)
{
    char digits[JUDGE_DIGITS_MAX + 1];
    struct gw_tone tone;

    (void)state;
    gw_tone_init(&tone, 8000);
    for (const char *d = "0123456789*#ABCD"; *d; d++)
        assert_int_equal(gw_tone_push(&tone, *d, 1), 0); /* lengthened to the shortest that detectors hear */
    read_digits(&tone, 3000, digits);
    assert_string_equal(digits, "0123456789*#ABCD");
    assert_false(gw_tone_is_active(&tone));
}

static void an_open_digit_sounds_until_closed(void **state)
{
    int16_t pcm[160];
    struct gw_tone tone;
    unsigned frames = 0;

    (void)state;
    gw_tone_init(&tone, 8000);
    assert_int_equal(gw_tone_open(&tone, '5'), 0);
    for (unsigned f = 0; f < 50; f++)
        gw_tone_render(&tone, pcm, 160);
    assert_true(gw_tone_is_active(&tone));
    gw_tone_close(&tone, 400); /* shorter than it has sounded already: it stops at once, without a click */
    while (gw_tone_is_active(&tone) && frames < 100) {
        gw_tone_render(&tone, pcm, 160);
        frames++;
    }
    assert_in_range(frames, 3, 4); /* ramp and pause */
    gw_tone_close(&tone, 100);
    assert_false(gw_tone_is_active(&tone));
}

static void an_open_digit_ends_by_itself(void **state)
{
    int16_t pcm[160];
    struct gw_tone tone;

    (void)state;
    gw_tone_init(&tone, 8000);
    assert_int_equal(gw_tone_open(&tone, '5'), 0);
    for (unsigned f = 0; f < (GW_TONE_DIGIT_MAX_MS + GW_TONE_PAUSE_MS) / 20 + 1; f++)
        gw_tone_render(&tone, pcm, 160);
    assert_false(gw_tone_is_active(&tone));
}

static void the_queue_has_its_limit(void **state)
{
    struct gw_tone tone;

    (void)state;
    gw_tone_init(&tone, 8000);
    for (unsigned n = 0; n < GW_TONE_QUEUE_MAX; n++)
        assert_int_equal(gw_tone_push(&tone, '1', 80), 0);
    assert_int_equal(gw_tone_push(&tone, '1', 80), -ENOSPC);
    assert_int_equal(tone.overflow, 1);
    assert_int_equal(gw_tone_push(&tone, 'x', 80), -EINVAL);
    assert_int_equal(gw_tone_open(&tone, 'E'), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digit_with_all_its_packets_counts_once),
        cmocka_unit_test(the_same_digit_twice_is_two_digits),
        cmocka_unit_test(lost_ends_are_made_up_by_the_next_digit_or_by_time),
        cmocka_unit_test(only_the_end_packet_arrived),
        cmocka_unit_test(packets_out_of_order_do_not_shorten_or_repeat),
        cmocka_unit_test(another_ssrc_is_another_digit),
        cmocka_unit_test(event_clock_beside_opus_is_honoured),
        cmocka_unit_test(a_digit_longer_than_a_segment_stays_one),
        cmocka_unit_test(what_is_no_digit_is_ignored_and_counted),
        cmocka_unit_test(every_digit_is_read_back),
        cmocka_unit_test(an_open_digit_sounds_until_closed),
        cmocka_unit_test(an_open_digit_ends_by_itself),
        cmocka_unit_test(the_queue_has_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
