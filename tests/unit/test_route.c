/* gateway/route: which rule finds whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/route.h"

#define FP_ALICE "6871:1211:0e91:ecb3:09f6:6f51:d257:ccaa"
#define FP_BOB "518e:b935:62fa:9e34:e59c:28b6:7fc2:d384"

static const struct gw_route_entry entries[] = {
    { .alias = "alice", .number = "1001", .user = "alice-desk", .fingerprint = FP_ALICE },
    { .alias = "bob", .number = "+4930123456", .fingerprint = FP_BOB },
    { .number = "*43", .fingerprint = FP_BOB },
};

static void expect(const char *dialled, enum gw_route_rule rule, const char *fingerprint)
{
    struct gw_routes *routes;
    struct gw_route route;
    assert_int_equal(gw_routes_new(&routes, entries, sizeof entries / sizeof entries[0]), 0);
    gw_routes_find(routes, dialled, &route);
    assert_int_equal(route.rule, rule);
    if (rule == GW_RULE_NONE)
        assert_int_equal(route.refusal, GW_CAUSE_NOT_FOUND);
    else
        assert_string_equal(route.fingerprint, fingerprint);
    gw_routes_free(routes);
}

static void fingerprint_is_found_in_every_spelling(void **state)
{
    (void)state;
    expect(FP_BOB, GW_RULE_FINGERPRINT, FP_BOB);
    expect("518EB93562FA9E34E59C28B67FC2D384", GW_RULE_FINGERPRINT, FP_BOB);
    expect("518e-b935-62fa-9e34-e59c-28b6-7fc2-d384", GW_RULE_FINGERPRINT, FP_BOB);
}

static void fingerprint_one_digit_short_or_long_is_not_one(void **state)
{
    (void)state;
    expect("518eb93562fa9e34e59c28b67fc2d38", GW_RULE_NONE, NULL);
    expect("518eb93562fa9e34e59c28b67fc2d3840", GW_RULE_NONE, NULL);
}

static void alias_number_and_user_are_tried_in_order(void **state)
{
    (void)state;
    expect("alice", GW_RULE_ALIAS, FP_ALICE);
    expect("1001", GW_RULE_NUMBER, FP_ALICE);
    expect("alice-desk", GW_RULE_USER, FP_ALICE);
    expect("*43", GW_RULE_NUMBER, FP_BOB);
}

static void number_is_found_with_visual_separators(void **state)
{
    (void)state;
    expect("+49 (30) 123-456", GW_RULE_NUMBER, FP_BOB);
    expect("+49.30.123456", GW_RULE_NUMBER, FP_BOB);
}

static void unknown_and_hostile_strings_are_not_found(void **state)
{
    (void)state;
    char longest[400];
    memset(longest, '7', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    expect("", GW_RULE_NONE, NULL);
    expect("nobody", GW_RULE_NONE, NULL);
    expect(longest, GW_RULE_NONE, NULL);
    expect(":::::", GW_RULE_NONE, NULL);
}

static void row_is_found_by_fingerprint(void **state)
{
    (void)state;
    struct gw_routes *routes;
    assert_int_equal(gw_routes_new(&routes, entries, 2), 0);
    assert_string_equal(gw_routes_by_fingerprint(routes, FP_ALICE)->number, "1001");
    assert_null(gw_routes_by_fingerprint(routes, "0000"));
    gw_routes_free(routes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprint_is_found_in_every_spelling),
        cmocka_unit_test(fingerprint_one_digit_short_or_long_is_not_one),
        cmocka_unit_test(alias_number_and_user_are_tried_in_order),
        cmocka_unit_test(number_is_found_with_visual_separators),
        cmocka_unit_test(unknown_and_hostile_strings_are_not_found),
        cmocka_unit_test(row_is_found_by_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
