#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "wzp/core/frame.h"

static void a_frame_in_one_piece_is_complete(void **state)
{
    (void)state;
    struct wzp_frame_in in = { 0 };
    assert_int_equal(wzp_frame_feed(&in, wz_bytes("\0\0\0\2hi", 6)), 1);
    assert_int_equal(in.body_len, 2);
    assert_memory_equal(in.body, "hi", 2);
    wzp_frame_done(&in);
}

static void a_frame_byte_by_byte_is_complete_at_its_last(void **state)
{
    (void)state;
    static const char frame[] = "\0\0\0\3abc";
    struct wzp_frame_in in = { 0 };
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(wzp_frame_feed(&in, wz_bytes(frame + i, 1)), i == 6);
    assert_memory_equal(in.body, "abc", 3);
    wzp_frame_done(&in);
}

static void nothing_changes_nothing(void **state)
{
    (void)state;
    struct wzp_frame_in in = { 0 };
    assert_int_equal(wzp_frame_feed(&in, wz_bytes(NULL, 0)), 0);
    assert_int_equal(wzp_frame_feed(&in, wz_bytes("\0\0\0\1", 4)), 0);
    assert_int_equal(wzp_frame_feed(&in, wz_bytes(NULL, 0)), 0);
    assert_int_equal(wzp_frame_feed(&in, wz_bytes("x", 1)), 1);
    wzp_frame_done(&in);
}

static void what_follows_a_complete_message_is_ignored(void **state)
{
    (void)state;
    struct wzp_frame_in in = { 0 };
    assert_int_equal(wzp_frame_feed(&in, wz_bytes("\0\0\0\1xyz", 7)), 1);
    assert_int_equal(wzp_frame_feed(&in, wz_bytes("more", 4)), 1);
    assert_int_equal(in.body_len, 1);
    assert_memory_equal(in.body, "x", 1);
    wzp_frame_done(&in);
}

static void an_empty_message_is_complete_with_its_prefix(void **state)
{
    (void)state;
    struct wzp_frame_in in = { 0 };
    assert_int_equal(wzp_frame_feed(&in, wz_bytes("\0\0\0\0", 4)), 1);
    assert_int_equal(in.body_len, 0);
    wzp_frame_done(&in);
}

static void the_largest_message_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    struct wzp_frame_in at = { 0 }, past = { 0 };
    uint8_t prefix[WZP_FRAME_PREFIX_BYTES], *body = calloc(1, WZP_SIGNAL_MAX_BYTES);

    assert_non_null(body);
    body[WZP_SIGNAL_MAX_BYTES - 1] = 9;
    assert_int_equal(wzp_frame_prefix(WZP_SIGNAL_MAX_BYTES, prefix), 0);
    assert_memory_equal(prefix, "\0\x10\0\0", 4);
    assert_int_equal(wzp_frame_feed(&at, wz_bytes(prefix, sizeof prefix)), 0);
    assert_int_equal(wzp_frame_feed(&at, wz_bytes(body, WZP_SIGNAL_MAX_BYTES - 1)), 0);
    assert_int_equal(wzp_frame_feed(&at, wz_bytes(body + WZP_SIGNAL_MAX_BYTES - 1, 1)), 1);
    assert_int_equal(at.body_len, WZP_SIGNAL_MAX_BYTES);
    assert_int_equal(at.body[WZP_SIGNAL_MAX_BYTES - 1], 9);
    wzp_frame_done(&at);

    assert_int_equal(wzp_frame_prefix(WZP_SIGNAL_MAX_BYTES + 1, prefix), -EMSGSIZE);
    assert_int_equal(wzp_frame_feed(&past, wz_bytes("\0\x10\0\1", 4)), -EMSGSIZE);
    assert_int_equal(wzp_frame_feed(&past, wz_bytes("x", 1)), -EMSGSIZE);
    assert_null(past.body);
    wzp_frame_done(&past);
    free(body);
}

static void an_announced_megabyte_costs_no_more_than_a_page_ahead(void **state)
{
    (void)state;
    struct wzp_frame_in in = { 0 };
    uint8_t piece[5000] = { 0 };

    assert_int_equal(wzp_frame_feed(&in, wz_bytes("\0\x10\0\0", 4)), 0);
    assert_int_equal(in.body_size, 0);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(wzp_frame_feed(&in, wz_bytes(piece, sizeof piece)), 0);
        assert_in_range(in.body_size, in.body_len, in.body_len + 4096);
    }
    wzp_frame_done(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_in_one_piece_is_complete),
        cmocka_unit_test(a_frame_byte_by_byte_is_complete_at_its_last),
        cmocka_unit_test(nothing_changes_nothing),
        cmocka_unit_test(what_follows_a_complete_message_is_ignored),
        cmocka_unit_test(an_empty_message_is_complete_with_its_prefix),
        cmocka_unit_test(the_largest_message_passes_and_one_byte_more_does_not),
        cmocka_unit_test(an_announced_megabyte_costs_no_more_than_a_page_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
