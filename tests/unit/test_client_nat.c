/* NAT classification of wzp-client: the rules as tables, and the program asking relays and STUN servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_program.h"
#include "wzp/bin/client_nat.c" /* a program's file is in no library */
#include "wzp/io/relay_server.h"
#include "wzp/rt/log.h"

#define ANSWERS_MAX 4

static struct wz_addr addr(const char *text)
{
    struct wz_addr ret = { 0 };
    if (text)
        assert_int_equal(wz_addr_parse(text, &ret), 0);
    return ret;
}

/** Answers of different servers. */
static struct client_nat_result classify(const char *const *seen, const char *own)
{
    struct client_nat_answer answer[ANSWERS_MAX];
    const struct wz_addr host = addr(own);
    size_t count = 0;
    for (; count < ANSWERS_MAX && seen[count]; count++) {
        answer[count] = (struct client_nat_answer){ .server = addr("198.51.100.1:3478"), .seen = addr(seen[count]) };
        answer[count].server.ip[3] = (uint8_t)(count + 1);
    }
    return client_nat_classify(answer, count, &host, own != NULL);
}

static void answers_become_a_verdict(void **state)
{
    (void)state;
    static const struct {
        const char *seen[ANSWERS_MAX + 1];
        enum client_nat_verdict verdict;
        size_t counted;
    } cases[] = {
        { { NULL }, CLIENT_NAT_UNKNOWN, 0 },
        { { "203.0.113.9:5555" }, CLIENT_NAT_UNKNOWN, 1 },
        { { "203.0.113.9:5555", "203.0.113.9:5555" }, CLIENT_NAT_CONE, 2 },
        { { "203.0.113.9:5555", "203.0.113.9:5555", "203.0.113.9:5555" }, CLIENT_NAT_CONE, 3 },
        { { "203.0.113.9:5555", "203.0.113.9:5556" }, CLIENT_NAT_SYMMETRIC_PORT, 2 },
        { { "203.0.113.9:5555", "203.0.113.9:5555", "203.0.113.9:7" }, CLIENT_NAT_SYMMETRIC_PORT, 3 },
        { { "203.0.113.9:5555", "203.0.113.8:5555" }, CLIENT_NAT_MULTIPLE, 2 },
        { { "203.0.113.9:5555", "203.0.113.9:5556", "203.0.113.8:5555" }, CLIENT_NAT_MULTIPLE, 3 },
        { { "[2001:db8::1]:5", "[2001:db8::1]:5" }, CLIENT_NAT_CONE, 2 },
        { { "[::ffff:203.0.113.9]:5555", "203.0.113.9:5555" }, CLIENT_NAT_CONE, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct client_nat_result got = classify(cases[i].seen, NULL);
        if (got.verdict != cases[i].verdict || got.counted != cases[i].counted)
            fail_msg("case %zu: %s of %zu", i, client_nat_verdict_name(got.verdict), got.counted);
    }
}

static void private_and_shared_addresses_do_not_count(void **state)
{
    (void)state;
    static const struct {
        const char *seen, *why;
    } cases[] = {
        { "127.0.0.1:5", "loopback" },
        { "10.1.2.3:5", "private" },
        { "192.168.1.1:5", "private" },
        { "172.31.0.1:5", "private" },
        { "[fc00::1]:5", "private" },
        { "100.64.0.1:5", "carrier-grade NAT" },
        { "100.127.0.1:5", "carrier-grade NAT" },
        { "169.254.0.1:5", "link-local" },
        { "0.0.0.0:5", "no address" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct wz_addr seen = addr(cases[i].seen);
        assert_string_equal(client_nat_drops(&seen), cases[i].why);
        const struct client_nat_result got =
            classify((const char *const[]){ cases[i].seen, "203.0.113.9:5555", cases[i].seen, NULL }, NULL);
        assert_int_equal(got.verdict, CLIENT_NAT_UNKNOWN);
        assert_int_equal(got.counted, 1);
    }
    const struct wz_addr open = addr("100.128.0.1:5");
    assert_null(client_nat_drops(&open));
}

static void the_family_with_more_answers_is_judged(void **state)
{
    (void)state;
    const struct client_nat_result mixed =
        classify((const char *const[]){ "[2001:db8::1]:5", "203.0.113.9:5", "203.0.113.9:6", NULL }, NULL);
    assert_int_equal(mixed.verdict, CLIENT_NAT_SYMMETRIC_PORT);
    const struct client_nat_result even =
        classify((const char *const[]){ "[2001:db8::1]:5", "203.0.113.9:5", NULL }, NULL);
    assert_int_equal(even.mapped.family, WZ_ADDR_V4);
    assert_int_equal(even.verdict, CLIENT_NAT_UNKNOWN);
}

static void one_server_asked_twice_is_one_answer(void **state)
{
    (void)state;
    const struct client_nat_answer twice[2] = {
        { .server = addr("198.51.100.1:3478"), .seen = addr("203.0.113.9:5555") },
        { .server = addr("198.51.100.1:3478"), .seen = addr("203.0.113.9:5555") },
    };
    const struct client_nat_result got = client_nat_classify(twice, 2, NULL, 0);
    assert_int_equal(got.verdict, CLIENT_NAT_UNKNOWN);
    assert_int_equal(got.counted, 1);
}

static void an_address_of_our_own_is_no_translation(void **state)
{
    (void)state;
    const char *const seen[] = { "203.0.113.9:5555", "203.0.113.9:5555", NULL };
    const struct client_nat_result open = classify(seen, "203.0.113.9:5555");
    const struct client_nat_result behind = classify(seen, "10.0.0.2:5555");
    assert_false(open.translated);
    assert_true(behind.translated);
    assert_non_null(strstr(client_nat_meaning(&open), "there is no NAT"));
    assert_null(strstr(client_nat_meaning(&behind), "there is no NAT"));
}

static void every_verdict_has_a_name_and_says_what_it_means_for_calls(void **state)
{
    (void)state;
    static const char *const names[] = { "Unknown", "Multiple", "Cone", "SymmetricPort" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct client_nat_result result = { .verdict = (enum client_nat_verdict)i, .translated = true };
        assert_string_equal(client_nat_verdict_name(result.verdict), names[i]);
        assert_non_null(strstr(client_nat_meaning(&result), "direct calls will work"));
    }
}

/* ---- the program ---- */

static void relays_on_loopback_are_rows_and_the_verdict_is_unknown(void **state)
{
    struct client_stage *s = *state;
    client_stage_start(s, 0,
                       CLIENT_ARGS("--json", "nat", "--relay", s->relay_text[0], "--relay", s->relay_text[1], "--stun",
                                   s->stun[0].text));
    assert_int_equal(client_stage_exit(s, 0), 1);
    const char *text = s->program[0].text;
    const char *first = strstr(text, s->relay_text[0]), *second = strstr(text, s->relay_text[1]);
    assert_non_null(first);
    assert_non_null(second);
    unsigned port[2];
    assert_int_equal(sscanf(strstr(first, "\"addr\":"), "\"addr\":\"127.0.0.1:%u\"", &port[0]), 1);
    assert_int_equal(sscanf(strstr(second, "\"addr\":"), "\"addr\":\"127.0.0.1:%u\"", &port[1]), 1);
    assert_int_equal(port[0], port[1]); /* one socket */
    assert_non_null(strstr(first, "\"dropped\":\"loopback\",\"rtt_ms\":"));
    assert_non_null(strstr(text, "\"kind\":\"stun\",\"addr\":null,\"dropped\":null,\"rtt_ms\":null,\"error\":\"no "
                                 "answer in 1.5 s\""));
    assert_non_null(strstr(text, "\"verdict\":\"Unknown\",\"addr\":null"));
    assert_true(s->stun[0].requests >= 2);
    struct wzp_relay_stats stats;
    wzp_relay_server_stats(s->relay[0], &stats);
    assert_int_equal(stats.registered, 0); /* gone again */
}

static void ask_stun(struct client_stage *s, const char *a, const char *b)
{
    s->stun[0].mapped = addr(a);
    s->stun[1].mapped = addr(b);
    client_stage_start(s, 0, CLIENT_ARGS("nat", "--stun", s->stun[0].text, "--stun", s->stun[1].text));
    assert_int_equal(client_stage_exit(s, 0), 0);
}

static void stun_servers_alone_give_each_verdict(void **state)
{
    struct client_stage *s = *state;
    ask_stun(s, "203.0.113.9:5555", "203.0.113.9:5555");
    assert_non_null(strstr(s->program[0].text, "NAT: Cone, 203.0.113.9:5555: direct calls will work"));
    ask_stun(s, "203.0.113.9:5555", "203.0.113.9:5556");
    assert_non_null(strstr(s->program[0].text, "NAT: SymmetricPort"));
    ask_stun(s, "203.0.113.9:5555", "203.0.113.8:5555");
    assert_non_null(strstr(s->program[0].text, "NAT: Multiple"));
    char row[128];
    (void)snprintf(row, sizeof row, "stun  %s: 203.0.113.8:5555, ", s->stun[1].text);
    assert_non_null(strstr(s->program[0].text, row));
}

static void nobody_to_ask_is_a_wrong_argument(void **state)
{
    struct client_stage *s = *state;
    client_stage_start(s, 0, CLIENT_ARGS("nat"));
    assert_int_equal(client_stage_exit(s, 0), 2);
    assert_non_null(strstr(s->program[0].text, "at least one --relay or --stun"));
    client_stage_start(s, 0, CLIENT_ARGS("ping", "--relay", s->relay_text[0], "--relay", s->relay_text[1]));
    assert_int_equal(client_stage_exit(s, 0), 2);
    assert_non_null(strstr(s->program[0].text, "one relay"));
}

int main(void)
{
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
#define STORY(name) cmocka_unit_test_setup_teardown(name, client_stage_new, client_stage_end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_become_a_verdict),
        cmocka_unit_test(private_and_shared_addresses_do_not_count),
        cmocka_unit_test(the_family_with_more_answers_is_judged),
        cmocka_unit_test(one_server_asked_twice_is_one_answer),
        cmocka_unit_test(an_address_of_our_own_is_no_translation),
        cmocka_unit_test(every_verdict_has_a_name_and_says_what_it_means_for_calls),
        STORY(relays_on_loopback_are_rows_and_the_verdict_is_unknown),
        STORY(stun_servers_alone_give_each_verdict),
        STORY(nobody_to_ask_is_a_wrong_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
