#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "wzp/core/gf256.h"

/** Schoolbook: shift and add polynomials, then divide by x^8 + x^4 + x^3 + x^2 + 1. */
static uint8_t slow_mul(unsigned a, unsigned b)
{
    unsigned product = 0;
    for (unsigned bit = 0; bit < 8; bit++)
        if (b >> bit & 1)
            product ^= a << bit;
    for (unsigned bit = 14; bit >= 8; bit--)
        if (product >> bit & 1)
            product ^= 0x11du << (bit - 8);
    return (uint8_t)product;
}

static void products_are_those_of_the_polynomials(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            assert_int_equal(wzp_gf256_mul((uint8_t)a, (uint8_t)b), slow_mul(a, b));
}

static void each_element_but_zero_has_its_inverse(void **state)
{
    (void)state;
    assert_int_equal(wzp_gf256_inverse(0), 0);
    for (unsigned a = 1; a < 256; a++)
        assert_int_equal(wzp_gf256_mul((uint8_t)a, wzp_gf256_inverse((uint8_t)a)), 1);
}

static void runs_of_any_length_and_place_are_worked_on_and_nothing_beside_them(void **state)
{
    (void)state;
    enum { SIZE = 40 };
    for (size_t start = 0; start < 9; start++) {
        for (size_t len = 0; start + len < SIZE; len++) {
            uint8_t sum[SIZE], scaled[SIZE], term[SIZE];
            for (size_t i = 0; i < SIZE; i++) {
                sum[i] = scaled[i] = (uint8_t)(i * 7 + 1);
                term[i] = (uint8_t)(i * 31 + len);
            }
            uint8_t factor = (uint8_t)(len * 13 + start);
            wzp_gf256_add_scaled(sum + start, term + start, factor, len);
            wzp_gf256_scale(scaled + start, factor, len);
            for (size_t i = 0; i < SIZE; i++) {
                uint8_t was = (uint8_t)(i * 7 + 1);
                bool inside = i >= start && i < start + len;
                assert_int_equal(sum[i], inside ? was ^ slow_mul(term[i], factor) : was);
                assert_int_equal(scaled[i], inside ? slow_mul(was, factor) : was);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_the_polynomials),
        cmocka_unit_test(each_element_but_zero_has_its_inverse),
        cmocka_unit_test(runs_of_any_length_and_place_are_worked_on_and_nothing_beside_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
