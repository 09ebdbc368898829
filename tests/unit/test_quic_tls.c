/* Server names: DNS syntax, and finding the name in a raw ClientHello. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "wzp/io/quic_tls.h"

static bool legal(const char *name)
{
    return quic_sni_is_legal(wz_bytes_str(name));
}

static void names_of_the_protocol_are_legal(void **state)
{
    (void)state;
    assert_true(legal("_signal"));
    assert_true(legal("call-call-0123456789abcdef"));
    assert_true(legal("0c62cf1d0c62cf1d0c62cf1d0c62cf1d"));
    assert_true(legal("a"));
    assert_true(legal("1.example"));
    assert_true(legal("Ops"));
}

static void other_names_are_not(void **state)
{
    (void)state;
    assert_false(legal(""));
    assert_false(legal("room 1"));
    assert_false(legal("1234"));
    assert_false(legal("a.1234"));
    assert_false(legal("-a"));
    assert_false(legal("a-"));
    assert_false(legal("a..b"));
    assert_false(legal(".a"));
    assert_false(legal("a."));
    assert_false(legal("caf\xc3\xa9"));
}

static void lengths_are_limited(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'a', sizeof name);
    assert_true(quic_sni_is_legal(wz_bytes(name, 63)));
    assert_false(quic_sni_is_legal(wz_bytes(name, 64)));
    for (size_t i = 63; i < sizeof name; i += 64)
        name[i] = '.';
    assert_true(quic_sni_is_legal(wz_bytes(name, 253)));
    assert_false(quic_sni_is_legal(wz_bytes(name, 254)));
}

/** A ClientHello body with an unrelated extension before server_name. */
static size_t build_hello(uint8_t *buf, size_t size, const char *name)
{
    struct wz_writer out = wz_writer(buf, size);
    const uint8_t random[34] = { 3, 3 };
    uint16_t len = (uint16_t)strlen(name);

    wz_put(&out, random, sizeof random);
    wz_put_u8(&out, 0);
    wz_put_u16be(&out, 2);
    wz_put_u16be(&out, 0x1301);
    wz_put_u8(&out, 1);
    wz_put_u8(&out, 0);
    wz_put_u16be(&out, (uint16_t)(4 + 2 + 4 + 5 + len));
    wz_put_u16be(&out, 43);
    wz_put_u16be(&out, 2);
    wz_put_u16be(&out, 0x0304);
    wz_put_u16be(&out, 0);
    wz_put_u16be(&out, (uint16_t)(5 + len));
    wz_put_u16be(&out, (uint16_t)(3 + len));
    wz_put_u8(&out, 0);
    wz_put_u16be(&out, len);
    wz_put(&out, name, len);
    return wz_written(&out);
}

static void name_is_found_in_a_hello(void **state)
{
    uint8_t hello[200];
    size_t len = build_hello(hello, sizeof hello, "_signal");
    size_t at, name_len;

    (void)state;
    assert_true(quic_find_sni(wz_bytes(hello, len), &at, &name_len));
    assert_int_equal(name_len, 7);
    assert_memory_equal(hello + at, "_signal", 7);
}

static void cut_hello_has_no_name_and_is_not_read_beyond(void **state)
{
    uint8_t hello[200];
    size_t len = build_hello(hello, sizeof hello, "_signal");

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1); /* so that the sanitizer sees a read past its end */
        size_t at, name_len;
        memcpy(copy, hello, cut);
        assert_false(quic_find_sni(wz_bytes(copy, cut), &at, &name_len));
        free(copy);
    }
}

static void damaged_hello_is_not_read_beyond(void **state)
{
    uint8_t hello[200];
    size_t len = build_hello(hello, sizeof hello, "_signal");

    (void)state;
    for (size_t i = 34; i < len; i++)
        for (unsigned value = 0; value < 256; value += 5) {
            uint8_t *copy = malloc(len);
            size_t at, name_len;
            memcpy(copy, hello, len);
            copy[i] = (uint8_t)value;
            if (quic_find_sni(wz_bytes(copy, len), &at, &name_len))
                assert_true(at + name_len <= len);
            free(copy);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_the_protocol_are_legal),
        cmocka_unit_test(other_names_are_not),
        cmocka_unit_test(lengths_are_limited),
        cmocka_unit_test(name_is_found_in_a_hello),
        cmocka_unit_test(cut_hello_has_no_name_and_is_not_read_beyond),
        cmocka_unit_test(damaged_hello_is_not_read_beyond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
