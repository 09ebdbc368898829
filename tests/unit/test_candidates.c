#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wzp/core/candidates.h"

static struct wz_addr addr(const char *text)
{
    struct wz_addr ret;
    if (wz_addr_parse(text, &ret) != 0)
        fail_msg("%s", text);
    return ret;
}

static struct wzp_candidates choose(const struct wzp_address_facts *facts)
{
    struct wzp_candidates ret;
    assert_int_equal(wzp_candidates_choose(facts, &ret), 0);
    return ret;
}

static void add_stun(struct wzp_address_facts *facts, const char *text)
{
    facts->stun[facts->stun_count++] = addr(text);
}

static void add_host(struct wzp_address_facts *facts, const char *text)
{
    facts->host[facts->host_count++] = addr(text);
}

static void a_public_reflect_answer_is_advertised(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .reflect = "203.0.113.5:40001" };
    struct wzp_candidates got = choose(&facts);
    assert_string_equal(got.reflexive, "203.0.113.5:40001");
    assert_false(got.symmetric);
    facts.reflect = "[2001:db8::1]:5";
    assert_string_equal(choose(&facts).reflexive, "[2001:db8::1]:5");
}

static void an_answer_that_says_nothing_about_the_nat_is_not_advertised(void **state)
{
    (void)state;
    static const char *const answers[] = {
        NULL,
        "",
        "nonsense",
        "203.0.113.5",
        "203.0.113.5:0",
        "127.0.0.1:5",
        "10.0.0.1:5",
        "100.64.0.1:5",
        "169.254.1.1:5",
        "0.0.0.0:5",
        "192.168.1.1:5",
        "172.31.0.1:5",
        "[::1]:5",
        "[fd00::1]:5",
        "[fe80::1]:5",
        "::1:4433",
        "relay.example:5",
        "203.0.113.5:70000",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct wzp_address_facts facts = { .reflect = answers[i] };
        assert_string_equal(choose(&facts).reflexive, "");
    }
}

static void a_mapped_reflect_answer_is_advertised_as_plain_ipv4(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .reflect = "[::ffff:203.0.113.5]:40001" };
    assert_string_equal(choose(&facts).reflexive, "203.0.113.5:40001");
    facts.reflect = "[::ffff:10.0.0.5]:40001";
    assert_string_equal(choose(&facts).reflexive, "");
}

static void behind_a_private_relay_stun_answers(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .reflect = "192.168.1.10:40001" };
    add_stun(&facts, "203.0.113.5:41000");
    add_stun(&facts, "203.0.113.5:41000");
    struct wzp_candidates got = choose(&facts);
    assert_string_equal(got.reflexive, "203.0.113.5:41000");
    assert_false(got.symmetric);
}

static void behind_a_private_relay_the_configured_address_goes_before_stun(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .reflect = "127.0.0.1:40001", .public_address = addr("198.51.100.7:5000") };
    assert_string_equal(choose(&facts).reflexive, "198.51.100.7:5000");
    add_stun(&facts, "203.0.113.5:41000");
    assert_string_equal(choose(&facts).reflexive, "198.51.100.7:5000");
    facts.reflect = "203.0.113.5:41000";
    assert_string_equal(choose(&facts).reflexive, "203.0.113.5:41000");
}

static void a_configured_address_that_is_not_public_does_not_count(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .public_address = addr("10.0.0.7:5000") };
    assert_string_equal(choose(&facts).reflexive, "");
}

static void two_public_mappings_are_a_symmetric_nat(void **state)
{
    (void)state;
    struct wzp_address_facts other_port = { .reflect = "203.0.113.5:40001" }, other_ip = other_port, two_stun = { 0 };
    add_stun(&other_port, "203.0.113.5:40002");
    add_stun(&other_ip, "203.0.113.6:40001");
    add_stun(&two_stun, "203.0.113.5:1");
    add_stun(&two_stun, "10.0.0.1:2");
    add_stun(&two_stun, "203.0.113.5:3");
    const struct wzp_address_facts *const all[] = { &other_port, &other_ip, &two_stun };
    for (size_t i = 0; i < 3; i++) {
        struct wzp_candidates got = choose(all[i]);
        assert_true(got.symmetric);
        assert_string_equal(got.reflexive, "");
    }
}

static void private_answers_never_contradict(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .reflect = "203.0.113.5:40001" };
    add_stun(&facts, "10.0.0.1:40001");
    add_stun(&facts, "203.0.113.5:40001");
    add_stun(&facts, "[fd00::1]:9");
    struct wzp_candidates got = choose(&facts);
    assert_false(got.symmetric);
    assert_string_equal(got.reflexive, "203.0.113.5:40001");
}

static void mappings_of_different_families_never_contradict(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .reflect = "203.0.113.5:40001" };
    add_stun(&facts, "[2001:db8::1]:40001");
    struct wzp_candidates got = choose(&facts);
    assert_false(got.symmetric);
    assert_string_equal(got.reflexive, "203.0.113.5:40001");
}

static void a_configured_address_holds_behind_a_symmetric_nat(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .reflect = "203.0.113.5:40001", .public_address = addr("198.51.100.7:5000") };
    add_stun(&facts, "203.0.113.5:40002");
    struct wzp_candidates got = choose(&facts);
    assert_true(got.symmetric);
    assert_string_equal(got.reflexive, "198.51.100.7:5000");
}

static void host_addresses_are_filtered_and_kept_in_order(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .share_local = true };
    add_host(&facts, "127.0.0.1:5000");
    add_host(&facts, "192.168.1.10:5000");
    add_host(&facts, "203.0.113.5:5000");
    add_host(&facts, "100.64.1.2:5000");
    add_host(&facts, "169.254.7.7:5000");
    add_host(&facts, "[::1]:5001");
    add_host(&facts, "[fe80::1]:5001");
    add_host(&facts, "[2001:db8::1]:5001");
    add_host(&facts, "[fd00::1]:5001");
    add_host(&facts, "192.168.1.10:5000");
    add_host(&facts, "[::ffff:10.0.0.1]:5000");
    add_host(&facts, "172.16.0.1:0");
    static const char *const want[] = { "192.168.1.10:5000", "100.64.1.2:5000", "[2001:db8::1]:5001", "[fd00::1]:5001",
                                        "10.0.0.1:5000" };
    struct wzp_candidates got = choose(&facts);
    assert_int_equal(got.local_count, sizeof want / sizeof *want);
    for (size_t i = 0; i < got.local_count; i++)
        assert_string_equal(got.local[i], want[i]);
}

static void host_addresses_stay_at_home_unless_policy_shares_them(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .reflect = "203.0.113.5:40001" };
    add_host(&facts, "192.168.1.10:5000");
    struct wzp_candidates got = choose(&facts);
    assert_int_equal(got.local_count, 0);
    assert_string_equal(got.reflexive, "203.0.113.5:40001");
}

static void counts_beyond_the_arrays_are_cut(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { .share_local = true,
                                       .host_count = WZP_CANDIDATES_MAX_HOST + 1,
                                       .stun_count = WZP_CANDIDATES_MAX_STUN + 1 };
    for (size_t i = 0; i < WZP_CANDIDATES_MAX_HOST; i++) {
        char text[WZ_ADDR_TEXT_MAX];
        (void)snprintf(text, sizeof text, "10.0.0.%zu:5", i);
        facts.host[i] = addr(text);
    }
    for (size_t i = 0; i < WZP_CANDIDATES_MAX_STUN; i++)
        facts.stun[i] = addr("203.0.113.5:40001");
    struct wzp_candidates got = choose(&facts);
    assert_int_equal(got.local_count, WZP_SIGNAL_MAX_ADDRS);
    assert_string_equal(got.reflexive, "203.0.113.5:40001");
}

static void loopback_host_is_told_only_where_every_peer_is_on_this_machine(void **state)
{
    (void)state;
    struct wzp_address_facts facts = {
        .reflect = "127.0.0.1:4000", .share_local = true, .host_count = 1, .host = { addr("127.0.0.1:4000") }
    };
    struct wzp_candidates got = choose(&facts);
    assert_string_equal(got.reflexive, "");
    assert_int_equal(got.local_count, 0);
    facts.share_loopback = true;
    got = choose(&facts);
    assert_string_equal(got.reflexive, "127.0.0.1:4000");
    assert_int_equal(got.local_count, 1);
}

static void reflect_answer_of_a_relay_in_the_house_is_told_where_host_addresses_are(void **state)
{
    (void)state;
    static const char *const answers[] = { "10.0.0.1:5", "192.168.1.1:5", "172.31.0.1:5", "100.64.0.1:5",
                                           "[fd00::1]:5" };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct wzp_address_facts facts = { .reflect = answers[i], .share_local = true };
        struct wzp_candidates got = choose(&facts);
        assert_string_equal(got.reflexive, answers[i]);
        assert_false(got.symmetric);
        facts.share_local = false;
        facts.share_loopback = true;
        assert_string_equal(choose(&facts).reflexive, "");
    }
    struct wzp_address_facts mapped = { .reflect = "[::ffff:10.0.0.5]:40001", .share_local = true };
    assert_string_equal(choose(&mapped).reflexive, "10.0.0.5:40001");
}

static void reflect_answer_that_reaches_nobody_is_not_told_even_in_the_house(void **state)
{
    (void)state;
    static const char *const answers[] = { "",          "nonsense",      "127.0.0.1:5",
                                           "[::1]:5",   "169.254.1.1:5", "[fe80::1]:5",
                                           "0.0.0.0:5", "10.0.0.1:0" };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct wzp_address_facts facts = { .reflect = answers[i], .share_local = true };
        assert_string_equal(choose(&facts).reflexive, "");
    }
}

static void mapping_or_configured_address_or_symmetric_nat_goes_before_a_relay_in_the_house(void **state)
{
    (void)state;
    const struct wzp_address_facts house = { .reflect = "192.168.1.10:40001", .share_local = true };
    struct wzp_address_facts stun = house, configured = house, symmetric = house;
    add_stun(&stun, "203.0.113.5:41000");
    assert_string_equal(choose(&stun).reflexive, "203.0.113.5:41000");
    configured.public_address = addr("198.51.100.7:5000");
    assert_string_equal(choose(&configured).reflexive, "198.51.100.7:5000");
    add_stun(&symmetric, "203.0.113.5:41000");
    add_stun(&symmetric, "203.0.113.5:41001");
    assert_string_equal(choose(&symmetric).reflexive, "");
    assert_true(choose(&symmetric).symmetric);
}

/* ---- whom to dial ---- */

static struct wzp_addr_list list_of(size_t count, char **texts)
{
    struct wzp_addr_list list = { .count = count };
    memcpy(list.text, texts, count * sizeof *texts);
    return list;
}

static void assert_dials(const char *reflexive, const struct wzp_addr_list *local, const struct wzp_dial_policy *policy,
                         size_t max, size_t count, const char *const *expect)
{
    struct wz_addr got[WZP_SIGNAL_MAX_ADDRS + 1];
    char text[WZ_ADDR_TEXT_MAX];
    assert_int_equal(wzp_candidates_to_dial(reflexive, local, policy, got, max), count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(wz_addr_format(&got[i], text), expect[i]);
}

static void reference_is_dialled_at_its_ipv4_hosts_and_then_its_mapping(void **state)
{
    (void)state;
    char *texts[] = { (char[]){ "[2001:db8::1]:5" }, (char[]){ "10.0.0.1:5" }, (char[]){ "10.0.0.1:5" },
                      (char[]){ "192.168.1.1:5" } };
    const struct wzp_addr_list local = list_of(4, texts);
    const struct wz_addr own = addr("[2001:db8::9]:1"); /* what we have ourselves is not asked */
    const struct wzp_dial_policy policy = { .reference = true, .own_count = 1, .own = &own };
    assert_dials("9.9.9.9:5", &local, &policy, 8, 3,
                 (const char *const[]){ "10.0.0.1:5", "192.168.1.1:5", "9.9.9.9:5" });
}

static void own_kind_is_dialled_at_hosts_of_our_families_first_and_others_last(void **state)
{
    (void)state;
    char *texts[] = { (char[]){ "[2001:db8::1]:5" }, (char[]){ "10.0.0.1:5" } };
    const struct wzp_addr_list local = list_of(2, texts);
    const struct wz_addr own = addr("192.168.1.9:4000");
    const struct wzp_dial_policy policy = { .own_count = 1, .own = &own };
    assert_dials("9.9.9.9:5", &local, &policy, 8, 3,
                 (const char *const[]){ "10.0.0.1:5", "9.9.9.9:5", "[2001:db8::1]:5" });
}

static void mapping_keeps_its_place_when_there_are_too_many_hosts(void **state)
{
    (void)state;
    char text[6][WZ_ADDR_TEXT_MAX], *texts[6];
    for (size_t i = 0; i < 6; i++) {
        (void)snprintf(text[i], sizeof text[i], "10.0.0.%zu:5", i);
        texts[i] = text[i];
    }
    const struct wzp_addr_list local = list_of(6, texts);
    const struct wzp_dial_policy policy = { 0 };
    assert_dials("9.9.9.9:5", &local, &policy, 4, 4,
                 (const char *const[]){ "10.0.0.0:5", "10.0.0.1:5", "10.0.0.2:5", "9.9.9.9:5" });
    assert_dials(NULL, &local, &policy, 4, 4,
                 (const char *const[]){ "10.0.0.0:5", "10.0.0.1:5", "10.0.0.2:5", "10.0.0.3:5" });
}

static void what_is_no_address_of_a_peer_is_not_dialled(void **state)
{
    (void)state;
    char *texts[] = { (char[]){ "junk" },        (char[]){ "10.0.0.1:0" },      (char[]){ "127.0.0.1:5" },
                      (char[]){ "224.0.0.1:5" }, (char[]){ "169.254.1.1:5" },   (char[]){ "0.0.0.0:5" },
                      (char[]){ "[::1]:5" },     (char[]){ "192.168.1.9:4000" } };
    const struct wzp_addr_list local = list_of(8, texts);
    const struct wz_addr own = addr("192.168.1.9:4000");
    struct wzp_dial_policy policy = { .own_count = 1, .own = &own };
    assert_dials("host.example:5", &local, &policy, 8, 0, NULL);
    assert_dials(NULL, NULL, &policy, 8, 0, NULL);
    policy.loopback = true; /* the relay is on this machine as well */
    assert_dials("127.0.0.1:7", &local, &policy, 8, 4,
                 (const char *const[]){ "127.0.0.1:5", "169.254.1.1:5", "127.0.0.1:7", "[::1]:5" });
}

static void announced_is_the_same_ip_with_any_port(void **state)
{
    (void)state;
    const struct wz_addr told[] = { addr("10.0.0.1:5"), addr("9.9.9.9:5") };
    const struct wz_addr same = addr("9.9.9.9:60000"), mapped = addr("[::ffff:9.9.9.9]:1"), other = addr("9.9.9.8:5");
    assert_true(wzp_candidates_announced(&same, told, 2));
    assert_true(wzp_candidates_announced(&mapped, told, 2));
    assert_false(wzp_candidates_announced(&other, told, 2));
    assert_false(wzp_candidates_announced(&same, told, 0));
}

static void missing_arguments_are_our_bug(void **state)
{
    (void)state;
    struct wzp_address_facts facts = { 0 };
    struct wzp_candidates ret;
    assert_int_equal(wzp_candidates_choose(NULL, &ret), -EINVAL);
    assert_int_equal(wzp_candidates_choose(&facts, NULL), -EINVAL);
}

static void without_both_texts_there_is_no_role(void **state)
{
    (void)state;
    assert_int_equal(wzp_candidates_role(NULL, "a"), WZP_ROLE_NONE);
    assert_int_equal(wzp_candidates_role("a", NULL), WZP_ROLE_NONE);
    assert_int_equal(wzp_candidates_role("", "a"), WZP_ROLE_NONE);
    assert_int_equal(wzp_candidates_role("a", ""), WZP_ROLE_NONE);
    assert_int_equal(wzp_candidates_role("a", "a"), WZP_ROLE_NONE);
    assert_int_equal(wzp_candidates_role("a", "b"), WZP_ROLE_ACCEPTOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_reflect_answer_is_advertised),
        cmocka_unit_test(an_answer_that_says_nothing_about_the_nat_is_not_advertised),
        cmocka_unit_test(a_mapped_reflect_answer_is_advertised_as_plain_ipv4),
        cmocka_unit_test(behind_a_private_relay_stun_answers),
        cmocka_unit_test(behind_a_private_relay_the_configured_address_goes_before_stun),
        cmocka_unit_test(a_configured_address_that_is_not_public_does_not_count),
        cmocka_unit_test(two_public_mappings_are_a_symmetric_nat),
        cmocka_unit_test(private_answers_never_contradict),
        cmocka_unit_test(mappings_of_different_families_never_contradict),
        cmocka_unit_test(a_configured_address_holds_behind_a_symmetric_nat),
        cmocka_unit_test(host_addresses_are_filtered_and_kept_in_order),
        cmocka_unit_test(host_addresses_stay_at_home_unless_policy_shares_them),
        cmocka_unit_test(counts_beyond_the_arrays_are_cut),
        cmocka_unit_test(loopback_host_is_told_only_where_every_peer_is_on_this_machine),
        cmocka_unit_test(reflect_answer_of_a_relay_in_the_house_is_told_where_host_addresses_are),
        cmocka_unit_test(reflect_answer_that_reaches_nobody_is_not_told_even_in_the_house),
        cmocka_unit_test(mapping_or_configured_address_or_symmetric_nat_goes_before_a_relay_in_the_house),
        cmocka_unit_test(reference_is_dialled_at_its_ipv4_hosts_and_then_its_mapping),
        cmocka_unit_test(own_kind_is_dialled_at_hosts_of_our_families_first_and_others_last),
        cmocka_unit_test(mapping_keeps_its_place_when_there_are_too_many_hosts),
        cmocka_unit_test(what_is_no_address_of_a_peer_is_not_dialled),
        cmocka_unit_test(announced_is_the_same_ip_with_any_port),
        cmocka_unit_test(missing_arguments_are_our_bug),
        cmocka_unit_test(without_both_texts_there_is_no_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
