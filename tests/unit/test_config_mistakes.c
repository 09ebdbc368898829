/* Every kind of mistake in a configuration: its exact place, its path, and a reason that helps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define LINES_MAX 24

struct expectation {
    const char *yaml;
    const char *lines[LINES_MAX]; /**< "line:col: path: reason", all of them in order */
};

static void check(const struct expectation *e)
{
    struct cfg_mistakes mistakes;
    struct cfg *cfg = NULL;
    size_t expected = 0;

    while (expected < LINES_MAX && e->lines[expected])
        expected++;
    assert_int_equal(cfg_parse(wz_bytes_str(e->yaml), NULL, &cfg, &mistakes), -EINVAL);
    assert_null(cfg);
    for (size_t i = 0; i < mistakes.count || i < expected; i++) {
        char *text = i < mistakes.count ? cfg_mistake_text("f", &mistakes.item[i]) : NULL;
        if (!text || i >= expected || strcmp(text + 2, e->lines[i]) != 0)
            fail_msg("in\n%s\nmistake %zu is \"%s\", expected \"%s\"", e->yaml, i, text ? text + 2 : "(none)",
                     i < expected ? e->lines[i] : "(none)");
        free(text);
    }
    cfg_mistakes_done(&mistakes);
}

static void check_all(const struct expectation *e, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&e[i]);
}

#define CHECK_ALL(table) check_all(table, sizeof(table) / sizeof((table)[0]))

static void unknown_settings_name_the_nearest(void **state)
{
    static const struct expectation table[] = {
        { "sipp:\n  listen: 0.0.0.0:5060\n", { "1:1: unknown setting \"sipp\"; did you mean \"sip\"?" } },
        { "sip:\n  lisen: 0.0.0.0:5060\n",
          { "2:3: sip: unknown setting \"lisen\"; did you mean \"listen\"?" } },
        { "users:\n  - name: a\n    password: b\n    pasword: c\n",
          { "4:5: users[0]: unknown setting \"pasword\"; did you mean \"password\"?" } },
        { "media: {zzzzzzzz: 1}\n", { "1:9: media: unknown setting \"zzzzzzzz\"" } },
        { "<<: {a: b}\n", { "1:1: unknown setting \"<<\"" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void numbers_out_of_range_or_not_numbers(void **state)
{
    static const struct expectation table[] = {
        { "sip:\n  ring_timeout: 4\n", { "2:17: sip.ring_timeout: 4 is out of range (5 to 600 s)" } },
        { "sip:\n  ring_timeout: 601\n", { "2:17: sip.ring_timeout: 601 is out of range (5 to 600 s)" } },
        { "sip: {ring_timeout: 99999999999999999999999999}\n",
          { "1:21: sip.ring_timeout: 99999999999999999999999999 is out of range (5 to 600 s)" } },
        { "sip: {ring_timeout: 010}\n",
          { "1:21: sip.ring_timeout: \"010\" is not a whole number (5 to 600 s)" } },
        { "sip: {ring_timeout: 0x10}\n",
          { "1:21: sip.ring_timeout: \"0x10\" is not a whole number (5 to 600 s)" } },
        { "sip: {ring_timeout: -5}\n",
          { "1:21: sip.ring_timeout: \"-5\" is not a whole number (5 to 600 s)" } },
        { "sip: {ring_timeout: +5}\n",
          { "1:21: sip.ring_timeout: \"+5\" is not a whole number (5 to 600 s)" } },
        { "sip: {ring_timeout: 5.5}\n",
          { "1:21: sip.ring_timeout: \"5.5\" is not a whole number (5 to 600 s)" } },
        { "sip: {ring_timeout: 1e2}\n",
          { "1:21: sip.ring_timeout: \"1e2\" is not a whole number (5 to 600 s)" } },
        { "sip: {ring_timeout: ''}\n", { "1:21: sip.ring_timeout: must not be empty (5 to 600 s)" } },
        { "media: {opus_complexity: 11}\n", { "1:26: media.opus_complexity: 11 is out of range (0 to 10)" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void switches_and_choices(void **state)
{
    static const struct expectation table[] = {
        { "sip:\n  udp: maybe\n", { "2:8: sip.udp: \"maybe\" is neither yes nor no" } },
        { "sip:\n  udp: on\n", { "2:8: sip.udp: \"on\" is neither yes nor no" } },
        { "sip:\n  udp: True\n", { "2:8: sip.udp: \"True\" is neither yes nor no" } },
        { "sip:\n  udp: 1\n", { "2:8: sip.udp: \"1\" is neither yes nor no" } },
        { "log:\n  level: inof\n", { "2:10: log.level: \"inof\" is unknown; did you mean \"info\"?" } },
        { "log:\n  format: yamlish\n",
          { "2:11: log.format: \"yamlish\" is unknown; use one of: auto, text, json" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void addresses_and_hosts(void **state)
{
    static const struct expectation table[] = {
        { "sip: {listen: 5060}\n", { "1:15: sip.listen: \"5060\" is not an address (IP:PORT)" } },
        { "sip: {listen: 0.0.0.0}\n", { "1:15: sip.listen: \"0.0.0.0\" is not an address (IP:PORT)" } },
        { "sip: {listen: 'localhost:5060'}\n",
          { "1:15: sip.listen: \"localhost:5060\" is not an address (IP:PORT)" } },
        { "sip: {public_address: '1.2.3.4:5'}\n",
          { "1:23: sip.public_address: \"1.2.3.4:5\" is not an address (IP)" } },
        { "media: {public_address: 0.0.0.0}\n",
          { "1:25: media.public_address: \"0.0.0.0\" is no address that others could use" } },
        { "relay: {public_address: here}\n",
          { "1:25: relay.public_address: \"here\" is not an address (IP or IP:PORT)" } },
        { "relay: {connect: 'a b:4433'}\n",
          { "1:18: relay.connect: \"a b:4433\" is not a host and port (HOST:PORT)" } },
        { "relay: {connect: 'a:0'}\n",
          { "1:18: relay.connect: \"a:0\" is not a host and port (HOST:PORT)" } },
        { "relay: {connect: 'a:65536'}\n",
          { "1:18: relay.connect: \"a:65536\" is not a host and port (HOST:PORT)" } },
        { "relay: {connect: ':1'}\n", { "1:18: relay.connect: \":1\" is not a host and port (HOST:PORT)" } },
        { "relay:\n  stun:\n    - ok.example\n    - 'bad:port'\n",
          { "4:7: relay.stun[1]: \"bad:port\" is not a host and port (HOST:PORT)" } },
        { "admin: {http: 0.0.0.0:80}\n",
          { "1:15: admin.http: must be a loopback address (127.0.0.1 or ::1): this port asks for no "
            "password" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void wrong_shapes(void **state)
{
    static const struct expectation table[] = {
        { "sip: yes\n", { "1:6: sip: must be a group of settings, not a single value" } },
        { "sip: [a]\n", { "1:6: sip: must be a group of settings, not a list" } },
        { "sip:\n  realm: [a, b]\n", { "2:10: sip.realm: must be a single value, not a list" } },
        { "sip:\n  realm: {a: b}\n", { "2:10: sip.realm: must be a single value, not a group of settings" } },
        { "users: {name: a}\n", { "1:8: users: must be a list, not a group of settings" } },
        { "users:\n  - bob\n", { "2:5: users[0]: must be a group of settings, not a single value" } },
        { "relay:\n  stun: [[a]]\n", { "2:10: relay.stun[0]: must be a single value, not a list" } },
        { "- a\n", { "1:1: must be a group of settings, not a list" } },
        { "hello\n", { "1:1: must be a group of settings, not a single value" } },
        { "? [a]\n: b\n", { "1:3: a setting's name must be plain text" } },
        { "sip:\n  udp:\n", { "2:7: sip.udp: must have a value" } },
        { "users:\n  - name: none\n    password: x\n", { "2:11: users[0].name: must have a value" } },
        { "relay: {stun: [a, b, c, d, e, f, g, h, i]}\n",
          { "1:15: relay.stun: has 9 entries; at most 8 are allowed" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void texts_too_long_or_with_forbidden_characters(void **state)
{
    static const struct expectation table[] = {
        { "sip: {realm: ''}\n", { "1:14: sip.realm: must be 1 to 63 characters long, not 0" } },
        { "sip: {realm: 'a\"b'}\n",
          { "1:14: sip.realm: \"a\"b\" contains \"\"\", which is not allowed here" } },
        { "users: [{name: 'a@b', password: x}]\n",
          { "1:16: users[0].name: \"a@b\" contains \"@\", which is not allowed here" } },
        { "users: [{name: a, password: x, number: 12-34}]\n",
          { "1:40: users[0].number: \"12-34\" contains \"-\", which is not allowed here" } },
        { "users: [{name: a, password: x, alias: \"a\\x07b\"}]\n",
          { "1:39: users[0].alias: must not contain control characters" } },
        { "users: [{name: a, password: \"a\\0b\"}]\n",
          { "1:29: users[0].password: contains a NUL character" } },
        { "users: [{name: a, ha1: 0123}]\n", { "1:24: users[0].ha1: must be 32 characters long, not 4" } },
        { "users: [{name: a, ha1: 0123456789abcdef0123456789abcdeg}]\n",
          { "1:24: users[0].ha1: contains a character that is not allowed here" } },
        { "users: [{name: a, password: x, seed: abc}]\n", { "1:38: users[0].seed: must be 64 hex digits" } },
        { "directory: [{alias: a, fingerprint: 'abcd'}]\n",
          { "1:37: directory[0].fingerprint: \"abcd\" is not a fingerprint (32 hex digits)" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void settings_given_twice(void **state)
{
    static const struct expectation table[] = {
        { "sip:\n  udp: yes\n  tcp: yes\n  udp: no\n", { "4:3: sip.udp: was already set on line 2" } },
        { "sip: {}\nlog: {}\nsip: {}\n", { "3:1: sip: was already set on line 1" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void names_numbers_and_aliases_used_twice(void **state)
{
    static const struct expectation table[] = {
        { "users:\n"
          "  - {name: a, password: x}\n"
          "  - {name: b, password: x}\n"
          "  - {name: a, password: x}\n"
          "  - {name: a, password: x}\n",
          { "4:12: users[2].name: \"a\" was already used on line 2",
            "5:12: users[3].name: \"a\" was already used on line 2" } },
        { "users:\n"
          "  - {name: a, password: x, number: \"1\"}\n"
          "  - {name: b, password: x, number: \"1\"}\n"
          "directory:\n"
          "  - {number: \"1\", fingerprint: 0123456789abcdef0123456789abcdef}\n",
          { "3:36: users[1].number: \"1\" was already used on line 2",
            "5:14: directory[0].number: \"1\" was already used on line 2" } },
        { "directory:\n"
          "  - {alias: x, fingerprint: 0123456789abcdef0123456789abcdef}\n"
          "users: [{name: a, password: x, alias: x}]\n",
          { "2:13: directory[0].alias: \"x\" was already used on line 3" } },
        { "users: [{name: a, password: x, number: '*43'}]\n",
          { "1:40: users[0].number: \"*43\" is already the number of the echo" } },
        { "echo: {number: '*1'}\nusers: [{name: a, password: x, number: '*1'}]\n",
          { "2:40: users[0].number: \"*1\" was already used on line 1" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void settings_that_contradict_each_other(void **state)
{
    static const struct expectation table[] = {
        { "sip:\n  udp: no\n  tcp: no\n", { "2:8: sip.udp: udp and tcp cannot both be off" } },
        { "sip:\n  max_expires: 30\n", { "2:3: sip.min_expires: is more than max_expires" } },
        { "sip: {max_expires: 100, min_expires: 200}\n",
          { "1:38: sip.min_expires: is more than max_expires" } },
        { "media:\n  ports_first: 2000\n  ports_last: 2000\n",
          { "3:15: media.ports_last: must be more than ports_first" } },
        { "media: {jitter_target_ms: 300}\n",
          { "1:27: media.jitter_target_ms: is more than jitter_max_ms" } },
        { "relay: {embedded: no}\n",
          { "1:19: relay.embedded: without the embedded relay, connect must name one" } },
        { "relay: {embedded: yes, connect: a}\n",
          { "1:19: relay.embedded: connect names another relay; leave out one of the two" } },
        { "users: [{name: a}]\n", { "1:9: users[0].password: is missing (or give ha1)" } },
        { "users: [{password: x}]\n", { "1:9: users[0]: the setting \"name\" is missing" } },
        { "users: [{name: a, password: x, ha1: 0123456789abcdef0123456789abcdef}]\n",
          { "1:37: users[0].ha1: give a password or ha1, not both" } },
        { "users: [{name: a, digest: both, ha1: 0123456789abcdef0123456789abcdef}]\n",
          { "1:27: users[0].digest: ha1 is an MD5 value; SHA-256 needs the password" } },
        { "directory: [{fingerprint: 0123456789abcdef0123456789abcdef}]\n",
          { "1:13: directory[0].alias: an entry needs an alias or a number" } },
        { "directory: [{alias: a}]\n", { "1:13: directory[0]: the setting \"fingerprint\" is missing" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void yaml_that_is_more_than_settings(void **state)
{
    static const struct expectation table[] = {
        { "sip: &a {udp: yes}\nlog: *a\n",
          { "1:6: log: YAML aliases (*name) are not supported; text that begins with * needs quotes" } },
        { "users: &u\n  - *u\n",
          { "1:8: users[0]: YAML aliases (*name) are not supported; text that begins with * needs quotes" } },
        { "echo:\n  number: *43\n",
          { "2:11: not valid YAML: found undefined alias (text that begins with * needs quotes)" } },
        { "sip: {}\n---\nlog: {}\n", { "3:1: only one YAML document per file is allowed" } },
        { "sip: !weird {}\n", { "1:6: sip: YAML tags (!name) are not supported" } },
        { "sip:\n  ring_timeout: !!int 5\n",
          { "2:17: sip.ring_timeout: YAML tags (!name) are not supported" } },
        { "sip:\n\tudp: yes\n",
          { "2:1: not valid YAML: while scanning for the next token: found character that cannot start any "
            "token" } },
        { "sip: [\n",
          { "2:1: not valid YAML: while parsing a flow node: did not find expected node content" } },
    };

    (void)state;
    CHECK_ALL(table);
}

static void all_mistakes_of_a_file_come_at_once_in_order(void **state)
{
    static const struct expectation e = {
        "sip:\n"
        "  listen: nowhere\n"
        "  ring_timeout: 9999\n"
        "  relm: x\n"
        "users:\n"
        "  - name: alice\n"
        "    password: x\n"
        "    max_calls: many\n"
        "  - name: alice\n"
        "    password: y\n"
        "    privacy: truste\n"
        "  - bob\n"
        "log: {level: loud}\n"
        "sip:\n"
        "  udp: no\n",
        { "2:11: sip.listen: \"nowhere\" is not an address (IP:PORT)",
          "3:17: sip.ring_timeout: 9999 is out of range (5 to 600 s)",
          "4:3: sip: unknown setting \"relm\"; did you mean \"realm\"?",
          "8:16: users[0].max_calls: \"many\" is not a whole number (1 to 1000)",
          "9:11: users[1].name: \"alice\" was already used on line 6",
          "11:14: users[1].privacy: \"truste\" is unknown; did you mean \"trusted\"?",
          "12:5: users[2]: must be a group of settings, not a single value",
          "13:14: log.level: \"loud\" is unknown; use one of: error, warn, info, debug",
          "14:1: sip: was already set on line 1" },
    };

    (void)state;
    check(&e);
}

static void mistakes_never_show_a_secret(void **state)
{
    static const char yaml[] = "users:\n"
                               "  - {name: a, password: \"hush\\x07hush\", seed: hushhush}\n"
                               "  - {name: b, ha1: hushhush}\n";
    struct cfg_mistakes mistakes;
    struct cfg *cfg = NULL;

    (void)state;
    assert_int_equal(cfg_parse(wz_bytes_str(yaml), NULL, &cfg, &mistakes), -EINVAL);
    assert_int_equal(mistakes.count, 3);
    for (size_t i = 0; i < mistakes.count; i++)
        assert_null(strstr(mistakes.item[i].text, "hush"));
    cfg_mistakes_done(&mistakes);
}

static void flood_of_mistakes_is_cut_and_counted(void **state)
{
    static char yaml[(CFG_MISTAKES_MAX + 10) * 16];
    struct cfg_mistakes mistakes;
    struct cfg *cfg = NULL;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < CFG_MISTAKES_MAX + 7; i++)
        len += (size_t)snprintf(yaml + len, sizeof yaml - len, "zz%d: 1\n", i);
    assert_int_equal(cfg_parse(wz_bytes(yaml, len), NULL, &cfg, &mistakes), -EINVAL);
    assert_int_equal(mistakes.count, CFG_MISTAKES_MAX);
    assert_int_equal(mistakes.dropped, 7);
    cfg_mistakes_done(&mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_settings_name_the_nearest),
        cmocka_unit_test(numbers_out_of_range_or_not_numbers),
        cmocka_unit_test(switches_and_choices),
        cmocka_unit_test(addresses_and_hosts),
        cmocka_unit_test(wrong_shapes),
        cmocka_unit_test(texts_too_long_or_with_forbidden_characters),
        cmocka_unit_test(settings_given_twice),
        cmocka_unit_test(names_numbers_and_aliases_used_twice),
        cmocka_unit_test(settings_that_contradict_each_other),
        cmocka_unit_test(yaml_that_is_more_than_settings),
        cmocka_unit_test(all_mistakes_of_a_file_come_at_once_in_order),
        cmocka_unit_test(mistakes_never_show_a_secret),
        cmocka_unit_test(flood_of_mistakes_is_cut_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
