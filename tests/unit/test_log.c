/* Log lines: one write each, text for people, valid JSON for machines whatever a peer put into a value. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "unit"
#include "wzp/rt/log.h"

static int pipe_fd[2];

static int open_pipe(void **state)
{
    (void)state;
    return pipe2(pipe_fd, O_NONBLOCK | O_CLOEXEC);
}

static int close_pipe(void **state)
{
    (void)state;
    wz_log_init(STDERR_FILENO, WZ_LOG_TEXT, WZ_LOG_INFO);
    (void)close(pipe_fd[0]);
    (void)close(pipe_fd[1]);
    return 0;
}

/** The one line waiting in the pipe, without its newline; "" when there is none. */
static const char *line(void)
{
    static char buf[8192];
    ssize_t n = read(pipe_fd[0], buf, sizeof buf - 1);

    if (n <= 0)
        return "";
    assert_int_equal(buf[n - 1], '\n');
    buf[n - 1] = '\0';
    assert_null(strchr(buf, '\n'));
    return buf;
}

static json_t *json_line(void)
{
    json_error_t error;
    const char *text = line();
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (!root)
        fail_msg("not JSON (%s): %s", error.text, text);
    return root;
}

static void assert_member(json_t *root, const char *key, const char *expected)
{
    const char *value = json_string_value(json_object_get(root, key));

    if (!value)
        fail_msg("no text member \"%s\"", key);
    assert_string_equal(value, expected);
}

static void text_line_has_time_level_module_event_and_fields(void **state)
{
    const char *text;

    (void)state;
    wz_log_init(pipe_fd[1], WZ_LOG_TEXT, WZ_LOG_INFO);
    LOG_INFO("call.answered", "call=%s setup_ms=%u", "ab12", 340u);
    text = line();
    assert_true(strlen(text) > 25);
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[23], 'Z');
    assert_string_equal(text + 24, " info  unit call.answered call=ab12 setup_ms=340");
}

static void level_below_the_threshold_formats_nothing(void **state)
{
    int evaluated = 0;

    (void)state;
    wz_log_init(pipe_fd[1], WZ_LOG_TEXT, WZ_LOG_WARN);
    LOG_INFO("unit.quiet", "n=%d", ++evaluated);
    assert_int_equal(evaluated, 0);
    assert_string_equal(line(), "");
    LOG_WARN("unit.loud", "n=%d", ++evaluated);
    assert_int_equal(evaluated, 1);
    assert_non_null(strstr(line(), "unit.loud n=1"));
}

static void text_line_cannot_be_forged_with_a_newline(void **state)
{
    (void)state;
    wz_log_init(pipe_fd[1], WZ_LOG_TEXT, WZ_LOG_INFO);
    LOG_INFO("unit.peer", "name=%s", "x\n2026 error fake\x1b[31m");
    assert_non_null(strstr(line(), "name=x?2026 error fake?[31m"));
}

static void json_line_has_typed_members(void **state)
{
    json_t *root;

    (void)state;
    wz_log_init(pipe_fd[1], WZ_LOG_JSON, WZ_LOG_DEBUG);
    LOG_DEBUG("call.stats", "call=%s loss=%.2f rx=%d ok=%s id=%s seq=%s neg=%d user=\"1001\"",
              "18a5c2d3e4f50617", 0.25, 42, "true", "1234567890123456", "007", -3);
    root = json_line();
    assert_member(root, "level", "debug");
    assert_member(root, "module", "unit");
    assert_member(root, "event", "call.stats");
    assert_member(root, "call", "18a5c2d3e4f50617");
    assert_member(root, "id", "1234567890123456"); /* too long for a double */
    assert_member(root, "seq", "007");
    assert_member(root, "user", "1001"); /* quoted text stays text */
    assert_true(json_real_value(json_object_get(root, "loss")) == 0.25);
    assert_int_equal(json_integer_value(json_object_get(root, "rx")), 42);
    assert_int_equal(json_integer_value(json_object_get(root, "neg")), -3);
    assert_true(json_is_true(json_object_get(root, "ok")));
    assert_int_equal(strlen(json_string_value(json_object_get(root, "ts"))), 24);
    json_decref(root);
}

static void json_line_unquotes_peer_text_exactly(void **state)
{
    static const char peer[] = "a \"b\" = \\ c\n\t\x01 \xc3\xa9";
    char quoted[64];
    json_t *root;

    (void)state;
    wz_log_init(pipe_fd[1], WZ_LOG_JSON, WZ_LOG_INFO);
    LOG_INFO("unit.peer", "alias=%s n=1", wz_log_quote(peer, quoted, sizeof quoted));
    root = json_line();
    assert_member(root, "alias", peer);
    assert_int_equal(json_integer_value(json_object_get(root, "n")), 1);
    json_decref(root);
}

static void json_line_stays_valid_for_broken_utf8_and_bare_words(void **state)
{
    static const char *const hostile[] = {
        "\xff\xfe",
        "\xc0\xaf",
        "\xed\xa0\x80",
        "\xf5\x80\x80\x80",
        "\xe2\x82",
        "\xf0\x9f\x98\x80",
        "\"",
        "\\",
        "=",
        "==",
        "a=\"",
        "a=\"\\",
        "a=\"\\x4",
        "=\"x\"",
        "a=\"b\"c",
    };

    (void)state;
    wz_log_init(pipe_fd[1], WZ_LOG_JSON, WZ_LOG_INFO);
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        LOG_INFO("unit.hostile", "%s", hostile[i]);
        json_decref(json_line());
    }
}

static void words_without_a_key_become_msg(void **state)
{
    json_t *root;

    (void)state;
    wz_log_init(pipe_fd[1], WZ_LOG_JSON, WZ_LOG_INFO);
    LOG_INFO("unit.words", "relay is private port=%d", 4433);
    root = json_line();
    assert_member(root, "msg", "relay is private");
    assert_int_equal(json_integer_value(json_object_get(root, "port")), 4433);
    json_decref(root);
}

static void overlong_json_line_is_cut_at_a_member(void **state)
{
    char big[2000];
    json_t *root;

    (void)state;
    memset(big, 0x01, sizeof big - 1); /* grows six times when escaped */
    big[sizeof big - 1] = '\0';
    wz_log_init(pipe_fd[1], WZ_LOG_JSON, WZ_LOG_INFO);
    LOG_INFO("unit.big", "first=1 big=%s", big);
    root = json_line();
    assert_int_equal(json_integer_value(json_object_get(root, "first")), 1);
    assert_null(json_object_get(root, "big"));
    json_decref(root);
}

static void quote_cuts_at_the_buffer_and_never_mid_escape(void **state)
{
    char buf[8];

    (void)state;
    assert_string_equal(wz_log_quote("abc", buf, sizeof buf), "\"abc\"");
    assert_string_equal(wz_log_quote("abcdefgh", buf, sizeof buf), "\"abcde\"");
    assert_string_equal(wz_log_quote("abcd\"", buf, sizeof buf), "\"abcd\"");
    assert_string_equal(wz_log_quote("abc\n", buf, sizeof buf), "\"abc\"");
    assert_string_equal(wz_log_quote("a\n", buf, sizeof buf), "\"a\\x0a\"");
    assert_string_equal(wz_log_quote(NULL, buf, sizeof buf), "\"\"");
    assert_string_equal(wz_log_quote("abc", buf, 2), "");
}

static void level_names_parse(void **state)
{
    enum wz_log_level level = WZ_LOG_ERROR;

    (void)state;
    assert_int_equal(wz_log_level_parse("debug", &level), 0);
    assert_int_equal(level, WZ_LOG_DEBUG);
    assert_int_equal(wz_log_level_parse("DEBUG", &level), -EINVAL);
    assert_int_equal(wz_log_level_parse("", &level), -EINVAL);
    assert_int_equal(level, WZ_LOG_DEBUG);
}

static void auto_format_is_json_when_not_a_terminal(void **state)
{
    (void)state;
    wz_log_init(pipe_fd[1], WZ_LOG_AUTO, WZ_LOG_INFO);
    LOG_INFO("unit.auto", "n=1");
    json_decref(json_line());
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_pipe, close_pipe)
    const struct CMUnitTest tests[] = {
        T(text_line_has_time_level_module_event_and_fields),
        T(level_below_the_threshold_formats_nothing),
        T(text_line_cannot_be_forged_with_a_newline),
        T(json_line_has_typed_members),
        T(json_line_unquotes_peer_text_exactly),
        T(json_line_stays_valid_for_broken_utf8_and_bare_words),
        T(words_without_a_key_become_msg),
        T(overlong_json_line_is_cut_at_a_member),
        T(quote_cuts_at_the_buffer_and_never_mid_escape),
        T(level_names_parse),
        T(auto_format_is_json_when_not_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
