/* Serial arithmetic at and around the wrap. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wzp/base/seq.h"

static void order_survives_the_wrap(void **state)
{
    (void)state;
    assert_true(seq16_before(1, 2));
    assert_false(seq16_before(2, 1));
    assert_false(seq16_before(5, 5));
    assert_true(seq16_before(65535, 0));
    assert_true(seq16_before(65000, 100));
    assert_false(seq16_before(0, 65535));
    assert_true(seq32_before(UINT32_MAX, 0));
    assert_false(seq32_before(0, UINT32_MAX));
}

static void distance_is_signed(void **state)
{
    (void)state;
    assert_int_equal(seq16_diff(3, 65534), 5);
    assert_int_equal(seq16_diff(65534, 3), -5);
    assert_int_equal(seq32_diff(2, UINT32_MAX), 3);
    assert_int_equal(seq32_diff(UINT32_MAX, 2), -3);
    assert_int_equal(seq16_diff(32767, 0), 32767);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_survives_the_wrap),
        cmocka_unit_test(distance_is_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
