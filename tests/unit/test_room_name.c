#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "wzp/core/room_name.h"

static void legal_server_names_are_recognised(void **state)
{
    (void)state;
    static const char *const good[] = {
        "general", "Ops",     "_signal",    "call-18a5c2d3e4f50617",           "a", "a1",
        "1a",      "1.2.3.a", "a-b_c.d--e", "a47b63f7d5b511ba5bc4089a74446906"
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!wzp_room_name_is_sni(good[i]))
            fail_msg("%s", good[i]);
}

static void illegal_server_names_are_recognised(void **state)
{
    (void)state;
    static const char *const bad[] = { "",     "room 1", "1234", "a.1234", "1.2.3.4", "caf\xc3\xa9",
                                       "a..b", ".a",     "a.",   "-a",     "a-",      "a.-b",
                                       "a/b",  "a:b",    "a*" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (wzp_room_name_is_sni(bad[i]))
            fail_msg("%s", bad[i]);
}

static void labels_and_names_have_limits(void **state)
{
    (void)state;
    char name[WZP_SNI_MAX + 2];
    memset(name, 'a', sizeof name);
    name[WZP_SNI_LABEL_MAX] = '\0';
    assert_true(wzp_room_name_is_sni(name));
    name[WZP_SNI_LABEL_MAX] = 'a';
    name[WZP_SNI_LABEL_MAX + 1] = '\0';
    assert_false(wzp_room_name_is_sni(name));

    memset(name, 'a', sizeof name);
    for (size_t i = 50; i < sizeof name; i += 51)
        name[i] = '.';
    name[WZP_SNI_MAX] = '\0';
    assert_true(wzp_room_name_is_sni(name));
    name[WZP_SNI_MAX] = 'a';
    name[WZP_SNI_MAX + 1] = '\0';
    assert_false(wzp_room_name_is_sni(name));
}

static void legal_rooms_travel_in_lower_case_and_others_hashed(void **state)
{
    (void)state;
    char sni[WZP_SNI_MAX + 1];
    assert_int_equal(wzp_room_name_to_sni("Ops-Room_1", sni), 0);
    assert_string_equal(sni, "ops-room_1");
    assert_int_equal(wzp_room_name_to_sni("Ops Room", sni), 0);
    assert_string_equal(sni, "ed6484036ca8ce512c2e05398ba329d9");
    assert_int_equal(wzp_room_name_to_sni("", sni), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_server_names_are_recognised),
        cmocka_unit_test(illegal_server_names_are_recognised),
        cmocka_unit_test(labels_and_names_have_limits),
        cmocka_unit_test(legal_rooms_travel_in_lower_case_and_others_hashed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
