/* The debug tap: which packets it shows, what of them, and how many. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wzp/core/media.h"
#include "wzp/io/relay_tap.h"
#include "wzp/rt/log.h"

struct world {
    struct wzp_relay_tap tap;
    FILE *log;
    char text[262144];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->log = tmpfile();
    assert_non_null(w->log);
    wz_log_init(fileno(w->log), WZ_LOG_TEXT, WZ_LOG_INFO);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    wz_log_init(STDERR_FILENO, WZ_LOG_AUTO, WZ_LOG_INFO);
    fclose(w->log);
    free(w);
    return 0;
}

/** What was logged so far. */
static const char *logged(struct world *w)
{
    const ssize_t len = pread(fileno(w->log), w->text, sizeof w->text - 1, 0);
    assert_true(len >= 0);
    w->text[len] = '\0';
    return w->text;
}

static size_t lines_with(struct world *w, const char *part)
{
    size_t count = 0;
    for (const char *pos = logged(w); (pos = strstr(pos, part)) != NULL; pos++)
        count++;
    return count;
}

static void packet(struct world *w, const char *sni, uint16_t seq, uint64_t now_us)
{
    const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_CODEC2_1200,
                                       .is_repair = true,
                                       .seq = seq,
                                       .timestamp_ms = 40,
                                       .fec_block = 3,
                                       .fec_symbol = 9 };
    uint8_t bytes[64];
    const int len = wzp_media_encode(&hdr, wz_bytes_str("speech"), bytes, sizeof bytes);
    assert_true(len > 0);
    wzp_relay_tap_packet(&w->tap, sni, 17, wz_bytes(bytes, (size_t)len), 2, now_us);
}

static void header_is_shown_and_never_the_payload(void **state)
{
    struct world *w = *state;
    assert_int_equal(wzp_relay_tap_set(&w->tap, "*"), 0);
    packet(w, "ops", 7, 1000000);
    assert_non_null(strstr(logged(w), "room=\"ops\" dir=in conn=17 seq=7 codec=Codec2_1200 ts_ms=40 block=3 symbol=9 "
                                      "repair=1 report=0 len=18 to=2\n"));
    assert_null(strstr(logged(w), "speech"));
}

static void room_is_known_by_its_name_in_any_case_and_by_its_hash(void **state)
{
    struct world *w = *state;
    char hash[WZP_ROOM_HASH_TEXT];
    assert_int_equal(wzp_room_hash("Ops", hash), 0);
    assert_int_equal(wzp_relay_tap_set(&w->tap, "Ops"), 0);
    packet(w, "ops", 1, 0);
    packet(w, hash, 2, 0);
    packet(w, "other", 3, 0);
    assert_int_equal(lines_with(w, "tap.packet"), 2);
}

static void all_rooms_are_those_that_are_rooms(void **state)
{
    struct world *w = *state;
    assert_int_equal(wzp_relay_tap_set(&w->tap, "*"), 0);
    packet(w, "_signal", 1, 0);
    packet(w, "call-x", 2, 0);
    assert_int_equal(lines_with(w, "tap.packet"), 1);
}

static void what_is_no_media_is_shown_as_bad(void **state)
{
    struct world *w = *state;
    assert_int_equal(wzp_relay_tap_set(&w->tap, "*"), 0);
    wzp_relay_tap_packet(&w->tap, "ops", 5, wz_bytes("short", 5), 0, 0);
    assert_non_null(strstr(logged(w), "conn=5 bad=1 len=5"));
}

static void lines_of_a_second_are_limited_and_the_unshown_are_counted(void **state)
{
    struct world *w = *state;
    const uint64_t start_us = 5000000;
    assert_int_equal(wzp_relay_tap_set(&w->tap, "*"), 0);
    for (uint16_t i = 0; i < WZP_RELAY_TAP_LINES_PER_S; i++)
        packet(w, "ops", i, start_us + i);
    assert_int_equal(lines_with(w, "tap.packet"), WZP_RELAY_TAP_LINES_PER_S);
    for (uint16_t i = 0; i < 50; i++)
        packet(w, "ops", i, start_us + 999999);
    assert_int_equal(lines_with(w, "tap.packet"), WZP_RELAY_TAP_LINES_PER_S);
    packet(w, "ops", 1, start_us + 1000000);
    assert_int_equal(lines_with(w, "tap.packet"), WZP_RELAY_TAP_LINES_PER_S + 1);
    assert_non_null(strstr(logged(w), "tap.unshown packets=50\n"));
}

static void no_room_turns_it_off_and_a_bad_one_changes_nothing(void **state)
{
    struct world *w = *state;
    assert_int_equal(wzp_relay_tap_set(&w->tap, "ops"), 0);
    assert_true(w->tap.is_on);
    assert_int_equal(wzp_relay_tap_set(&w->tap, ""), -EINVAL);
    assert_true(w->tap.is_on);
    assert_int_equal(wzp_relay_tap_set(&w->tap, NULL), 0);
    assert_false(w->tap.is_on);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(header_is_shown_and_never_the_payload),
        TEST(room_is_known_by_its_name_in_any_case_and_by_its_hash),
        TEST(all_rooms_are_those_that_are_rooms),
        TEST(what_is_no_media_is_shown_as_bad),
        TEST(lines_of_a_second_are_limited_and_the_unshown_are_counted),
        TEST(no_room_turns_it_off_and_a_bad_one_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
