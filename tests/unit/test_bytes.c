/* The bounded reader and writer: nothing is read or written past the end, and a failed read moves nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wzp/base/bytes.h"

static void reads_big_endian_in_order(void **state)
{
    const uint8_t in[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07 };
    struct wz_reader r = wz_reader(wz_bytes(in, sizeof in));
    uint8_t a;
    uint16_t b;
    uint32_t c;

    (void)state;
    assert_true(wz_get_u8(&r, &a));
    assert_true(wz_get_u16be(&r, &b));
    assert_true(wz_get_u32be(&r, &c));
    assert_int_equal(a, 0x01);
    assert_int_equal(b, 0x0203);
    assert_int_equal(c, 0x04050607);
    assert_int_equal(wz_left(&r), 0);
}

static void short_read_fails_and_moves_nothing(void **state)
{
    const uint8_t in[] = { 0xaa, 0xbb, 0xcc };
    struct wz_reader r = wz_reader(wz_bytes(in, sizeof in));
    uint32_t word = 7;
    uint16_t half = 7;
    uint8_t byte = 7;
    struct wz_bytes slice = { 0 };

    (void)state;
    assert_false(wz_get_u32be(&r, &word));
    assert_false(wz_get_slice(&r, 4, &slice));
    assert_false(wz_get_slice(&r, SIZE_MAX, &slice));
    assert_int_equal(word, 7);
    assert_null(slice.data);
    assert_int_equal(wz_left(&r), 3);
    assert_true(wz_get_slice(&r, 2, &slice));
    assert_int_equal(slice.data[1], 0xbb);
    assert_false(wz_get_u16be(&r, &half));
    assert_true(wz_get_u8(&r, &byte));
    assert_false(wz_get_u8(&r, &byte));
    assert_int_equal(byte, 0xcc);
    assert_int_equal(half, 7);
}

static void writer_round_trips_through_reader(void **state)
{
    uint8_t buf[9];
    struct wz_writer w = wz_writer(buf, sizeof buf);
    struct wz_reader r;
    uint32_t word;
    uint16_t half;

    (void)state;
    wz_put_u32be(&w, 0xdeadbeef);
    wz_put_u16be(&w, 0x1234);
    wz_put(&w, "abc", 3);
    assert_true(wz_writer_ok(&w));
    assert_int_equal(wz_written(&w), sizeof buf);
    r = wz_reader(wz_bytes(buf, sizeof buf));
    assert_true(wz_get_u32be(&r, &word));
    assert_true(wz_get_u16be(&r, &half));
    assert_int_equal(word, 0xdeadbeef);
    assert_int_equal(half, 0x1234);
    assert_true(wz_bytes_equal(wz_bytes(r.pos, wz_left(&r)), wz_bytes_str("abc")));
}

static void overflow_is_sticky_and_writes_nothing_past_the_end(void **state)
{
    uint8_t buf[4] = { 0, 0, 0, 0x55 };
    struct wz_writer w = wz_writer(buf, 3);

    (void)state;
    wz_put_u16be(&w, 0x0102);
    wz_put_u16be(&w, 0x0304); /* one byte too many */
    wz_put_u8(&w, 0x05);      /* would fit, but the message is already broken */
    assert_false(wz_writer_ok(&w));
    assert_int_equal(wz_written(&w), 2);
    assert_int_equal(buf[2], 0);
    assert_int_equal(buf[3], 0x55);
}

static void empty_runs_are_equal_whatever_their_pointer(void **state)
{
    (void)state;
    assert_true(wz_bytes_equal(wz_bytes(NULL, 0), wz_bytes("x", 0)));
    assert_false(wz_bytes_equal(wz_bytes("x", 1), wz_bytes("x", 0)));
    assert_false(wz_bytes_equal(wz_bytes("x", 1), wz_bytes("y", 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_big_endian_in_order),
        cmocka_unit_test(short_read_fails_and_moves_nothing),
        cmocka_unit_test(writer_round_trips_through_reader),
        cmocka_unit_test(overflow_is_sticky_and_writes_nothing_past_the_end),
        cmocka_unit_test(empty_runs_are_equal_whatever_their_pointer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
