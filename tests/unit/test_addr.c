/* Addresses as text and as values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "wzp/base/addr.h"

static void assert_parses_to(const char *in, const char *out)
{
    struct wz_addr addr;
    char text[WZ_ADDR_TEXT_MAX];

    assert_int_equal(wz_addr_parse(in, &addr), 0);
    assert_string_equal(wz_addr_format(&addr, text), out);
}

static void text_round_trips(void **state)
{
    (void)state;
    assert_parses_to("192.0.2.1:5060", "192.0.2.1:5060");
    assert_parses_to("0.0.0.0:0", "0.0.0.0:0");
    assert_parses_to("[2001:db8::1]:65535", "[2001:db8::1]:65535");
    assert_parses_to("[2001:0DB8:0:0:0:0:0:1]:1", "[2001:db8::1]:1");
    assert_parses_to("[fe80::1%3]:4433", "[fe80::1%3]:4433");
    assert_parses_to("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
                     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
    assert_parses_to("[::ffff:10.1.2.3]:80", "10.1.2.3:80");
}

static void malformed_text_is_refused_and_output_untouched(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "1.2.3.4",
        "1.2.3.4:",
        ":5060",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:+5",
        "1.2.3.4: 5",
        "1.2.3.4:5x",
        "1.2.3:5",
        "1.2.3.256:5",
        "1.2.3.4.5:5",
        "host:5",
        "2001:db8::1:5060x",
        "::1",
        "[::1]",
        "[::1]5",
        "[1.2.3.4]:5",
        "[::1:5",
        "::1]:5",
        "[]:5",
        "[fe80::1%eth0]:5",
        "[fe80::1%]:5",
        "[fe80::1%4294967296]:5",
        "1.2.3.4:123456",
        " 1.2.3.4:5",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1",
    };
    struct wz_addr addr = { .family = WZ_ADDR_V4, .port = 77 };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (wz_addr_parse(bad[i], &addr) != -EBADMSG)
            fail_msg("accepted \"%s\"", bad[i]);
        assert_int_equal(addr.port, 77);
    }
}

static void bare_ip_takes_the_given_port(void **state)
{
    struct wz_addr addr;
    char text[WZ_ADDR_TEXT_MAX];

    (void)state;
    assert_int_equal(wz_addr_parse_ip("198.51.100.7", 9, &addr), 0);
    assert_string_equal(wz_addr_format(&addr, text), "198.51.100.7:9");
    assert_int_equal(wz_addr_parse_ip("[2001:db8::2]", 9, &addr), 0);
    assert_int_equal(wz_addr_parse_ip("2001:db8::2", 9, &addr), 0);
    assert_string_equal(wz_addr_format_ip(&addr, text), "2001:db8::2");
    assert_int_equal(wz_addr_parse_ip("1.2.3.4:5", 9, &addr), -EBADMSG);
    assert_int_equal(wz_addr_parse_ip("", 9, &addr), -EBADMSG);
    assert_int_equal(wz_addr_parse_ip("[1.2.3.4]", 9, &addr), -EBADMSG);
}

static void assert_kind(const char *ip, enum wz_addr_kind kind)
{
    struct wz_addr addr;

    assert_int_equal(wz_addr_parse_ip(ip, 1, &addr), 0);
    if (wz_addr_kind(&addr) != kind)
        fail_msg("%s is of kind %d, expected %d", ip, (int)wz_addr_kind(&addr), (int)kind);
}

static void kinds_change_exactly_at_the_range_edges(void **state)
{
    (void)state;
    assert_kind("9.255.255.255", WZ_ADDR_KIND_PUBLIC);
    assert_kind("10.0.0.0", WZ_ADDR_KIND_PRIVATE);
    assert_kind("10.255.255.255", WZ_ADDR_KIND_PRIVATE);
    assert_kind("11.0.0.0", WZ_ADDR_KIND_PUBLIC);
    assert_kind("100.63.255.255", WZ_ADDR_KIND_PUBLIC);
    assert_kind("100.64.0.0", WZ_ADDR_KIND_CGNAT);
    assert_kind("100.127.255.255", WZ_ADDR_KIND_CGNAT);
    assert_kind("100.128.0.0", WZ_ADDR_KIND_PUBLIC);
    assert_kind("127.255.0.1", WZ_ADDR_KIND_LOOPBACK);
    assert_kind("169.253.255.255", WZ_ADDR_KIND_PUBLIC);
    assert_kind("169.254.0.1", WZ_ADDR_KIND_LINK_LOCAL);
    assert_kind("172.15.255.255", WZ_ADDR_KIND_PUBLIC);
    assert_kind("172.16.0.0", WZ_ADDR_KIND_PRIVATE);
    assert_kind("172.31.255.255", WZ_ADDR_KIND_PRIVATE);
    assert_kind("172.32.0.0", WZ_ADDR_KIND_PUBLIC);
    assert_kind("192.168.0.1", WZ_ADDR_KIND_PRIVATE);
    assert_kind("192.169.0.1", WZ_ADDR_KIND_PUBLIC);
    assert_kind("203.0.113.9", WZ_ADDR_KIND_PUBLIC);
    assert_kind("0.1.2.3", WZ_ADDR_KIND_NONE);
    assert_kind("224.0.0.1", WZ_ADDR_KIND_NONE);
    assert_kind("255.255.255.255", WZ_ADDR_KIND_NONE);
    assert_kind("::", WZ_ADDR_KIND_NONE);
    assert_kind("::1", WZ_ADDR_KIND_LOOPBACK);
    assert_kind("ff02::1", WZ_ADDR_KIND_NONE);
    assert_kind("fe80::1", WZ_ADDR_KIND_LINK_LOCAL);
    assert_kind("febf::1", WZ_ADDR_KIND_LINK_LOCAL);
    assert_kind("fc00::1", WZ_ADDR_KIND_PRIVATE);
    assert_kind("fdff::1", WZ_ADDR_KIND_PRIVATE);
    assert_kind("2001:4860::1", WZ_ADDR_KIND_PUBLIC);
    assert_kind("::ffff:192.168.1.1", WZ_ADDR_KIND_PRIVATE);
    assert_int_equal(wz_addr_kind(&(struct wz_addr){ 0 }), WZ_ADDR_KIND_NONE);
}

static void mapped_and_plain_addresses_are_equal(void **state)
{
    struct wz_addr mapped;
    struct wz_addr plain;
    struct wz_addr other;

    (void)state;
    assert_int_equal(wz_addr_parse("[::ffff:192.0.2.1]:7", &mapped), 0);
    assert_int_equal(wz_addr_parse("192.0.2.1:7", &plain), 0);
    assert_int_equal(wz_addr_parse("192.0.2.1:8", &other), 0);
    assert_true(wz_addr_equal(&mapped, &plain));
    assert_int_equal(wz_addr_unmap(mapped).family, WZ_ADDR_V4);
    assert_false(wz_addr_equal(&plain, &other));
    assert_true(wz_addr_same_ip(&plain, &other));
}

static void unspecified_addresses_are_any(void **state)
{
    struct wz_addr addr = { 0 };

    (void)state;
    assert_true(wz_addr_is_any(&addr));
    assert_int_equal(wz_addr_parse("0.0.0.0:5", &addr), 0);
    assert_true(wz_addr_is_any(&addr));
    assert_int_equal(wz_addr_parse("[::]:5", &addr), 0);
    assert_true(wz_addr_is_any(&addr));
    assert_int_equal(wz_addr_parse("[::1]:5", &addr), 0);
    assert_false(wz_addr_is_any(&addr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(malformed_text_is_refused_and_output_untouched),
        cmocka_unit_test(bare_ip_takes_the_given_port),
        cmocka_unit_test(kinds_change_exactly_at_the_range_edges),
        cmocka_unit_test(mapped_and_plain_addresses_are_equal),
        cmocka_unit_test(unspecified_addresses_are_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
