/* The settings of wzp-relay: the TOML reader, the table, the file and its template. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A program's files are in no library. */
#include "wzp/bin/relay_mistakes.c"
#include "wzp/bin/relay_settings.c"
#include "wzp/bin/relay_settings_file.c"
#include "wzp/bin/relay_toml.c"

#include <sys/stat.h>

#define TEXT_MAX 16384

struct world {
    struct relay_settings settings;
    struct relay_mistakes mistakes, notes;
    struct relay_toml toml;
    char dir[64], path[96];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(relay_settings_init(&w->settings), 0);
    strcpy(w->dir, "/tmp/wzp-relay-config-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/sub/relay.toml", w->dir);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char sub[80];
    relay_settings_done(&w->settings);
    relay_toml_done(&w->toml);
    snprintf(sub, sizeof sub, "%s/sub", w->dir);
    unlink(w->path);
    rmdir(sub);
    rmdir(w->dir);
    free(w);
    return 0;
}

static size_t read_toml(struct world *w, const char *text)
{
    relay_toml_done(&w->toml);
    w->mistakes.kept = w->mistakes.count = 0;
    assert_int_equal(relay_toml_parse(wz_bytes_str(text), &w->toml, &w->mistakes), 0);
    return w->mistakes.count;
}

static size_t read_settings(struct world *w, const char *text)
{
    w->mistakes.kept = w->mistakes.count = w->notes.kept = w->notes.count = 0;
    assert_int_equal(relay_settings_parse(&w->settings, wz_bytes_str(text), &w->mistakes, &w->notes), 0);
    return w->mistakes.count;
}

static void assert_mistake(const struct world *w, size_t i, unsigned line, const char *part)
{
    assert_true(i < w->mistakes.kept);
    assert_int_equal(w->mistakes.item[i].line, line);
    if (!strstr(w->mistakes.item[i].text, part))
        fail_msg("\"%s\" does not say \"%s\"", w->mistakes.item[i].text, part);
}

/* ---- TOML ---- */

static void toml_values_of_each_type_are_read(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_toml(w, "# comment\n"
                                  "a = \"x\"   # behind\r\n"
                                  "\tb-2 = 'C:\\no # escape'\n"
                                  "n = -1_000\nzero = 0\nplus = +7\n"
                                  "yes = true\nno=false\n"
                                  "list = [ \"p\", # one\n  'q',\n]\nempty = []\n"
                                  "[[t]] # first\nk = 1\n[[t]]\nk = 2"),
                     0);
    assert_int_equal(w->toml.count, 11);
    const struct relay_toml_entry *e = w->toml.entry;
    assert_string_equal(e[0].value.text, "x");
    assert_string_equal(e[1].key, "b-2");
    assert_string_equal(e[1].value.text, "C:\\no # escape");
    assert_int_equal(e[2].value.integer, -1000);
    assert_int_equal(e[3].value.integer, 0);
    assert_int_equal(e[4].value.integer, 7);
    assert_true(e[5].value.boolean);
    assert_false(e[6].value.boolean);
    assert_int_equal(e[7].value.count, 2);
    assert_string_equal(e[7].value.item[1], "q");
    assert_int_equal(e[8].value.count, 0);
    assert_int_equal(e[8].line, 12);
    assert_int_equal(w->toml.table_count, 2);
    assert_int_equal(w->toml.table[1].line, 15);
    assert_int_equal(e[10].table, 2);
    assert_int_equal(e[10].value.integer, 2);
}

static void toml_escapes_become_utf8(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_toml(w, "a = \"\\t\\\"\\\\\\u00e9\\u20ac\\U0001F600\""), 0);
    assert_string_equal(w->toml.entry[0].value.text, "\t\"\\\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void toml_integers_keep_to_their_range(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_toml(w, "a = 9223372036854775807\nb = -9223372036854775808"), 0);
    assert_true(w->toml.entry[0].value.integer == INT64_MAX);
    assert_true(w->toml.entry[1].value.integer == INT64_MIN);
    assert_int_equal(read_toml(w, "a = 9223372036854775808\nb = -9223372036854775809"), 2);
}

static void toml_mistakes_name_their_line_and_reading_goes_on(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *text, *says;
    } wrong[] = {
        { "a", "expected a = value" },
        { "= 1", "plain name" },
        { "a.b = 1", "expected a = value" },
        { "\"a\" = 1", "plain name" },
        { "a = ", "expected a string" },
        { "a = yes", "expected a string" },
        { "a = 007", "expected a string" },
        { "a = 0x10", "expected a string" },
        { "a = 1.5", "expected a string" },
        { "a = 1__0", "expected a string" },
        { "a = 1_", "expected a string" },
        { "a = 1979-05-27", "expected a string" },
        { "a = { b = 1 }", "expected a string" },
        { "a = \"x", "closing \"" },
        { "a = 'x", "closing '" },
        { "a = \"\"\"x\"\"\"", "several lines" },
        { "a = \"\\q\"", "unknown escape" },
        { "a = \"\\u12\"", "4 hex digits" },
        { "a = \"\\u0000\"", "U+0000" },
        { "a = \"\\ud800\"", "U+D800" },
        { "a = \"\x01\"", "control character" },
        { "# \x02", "control character" },
        { "a = 1 b = 2", "unexpected text" },
        { "a = \"x\" y", "unexpected text" },
        { "a = [1]", "strings only" },
        { "a = [\"x\" \"y\"]", ", or ]" },
        { "a = [\"x\"", "closing ]" },
        { "[t]", "written [[t]]" },
        { "[[t]", "closing ]]" },
        { "[[t]] x", "unexpected text" },
        { "[[]]", "plain name" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "first = 1\n%s\n", wrong[i].text);
        assert_true(read_toml(w, text) >= 1);
        assert_int_equal(w->toml.entry[0].value.integer, 1);
        assert_mistake(w, 0, strcmp(wrong[i].text, "a = [\"x\"") == 0 ? 3 : 2, wrong[i].says);
    }
    assert_int_equal(read_toml(w, "a = 1\nb = ?\nc = 3\nd =\ne = 5\n"), 2);
    assert_int_equal(w->toml.count, 3);
    assert_mistake(w, 1, 4, "expected a string");
}

static void toml_key_twice_in_a_table_is_a_mistake(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_toml(w, "a = 1\nb = 2\na = 3\n[[t]]\na = 4\n[[t]]\na = 5\na = 6\n"), 2);
    assert_mistake(w, 0, 3, "second time");
    assert_mistake(w, 1, 8, "second time");
    assert_int_equal(w->toml.entry[0].value.integer, 1);
}

static void toml_keys_below_a_bad_header_add_no_mistakes(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_toml(w, "[t]\na = 1\na = 1\n[[u]]\nb = 2\n"), 1);
    assert_int_equal(w->toml.count, 1);
    assert_string_equal(w->toml.entry[0].key, "b");
}

static void toml_must_be_utf8_and_of_limited_size(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_toml(w, "a = 1\nb = \"\xff\"\n"), 1);
    assert_mistake(w, 0, 2, "UTF-8");
    assert_int_equal(read_toml(w, "a = \"\xed\xa0\x80\""), 1); /* a surrogate */
    assert_int_equal(read_toml(w, "a = \"\xc0\xaf\""), 1);     /* overlong */
    assert_int_equal(read_toml(w, "\xef\xbb\xbf"
                                  "a = 1"),
                     0); /* a byte order mark is none of it */
    char *huge = malloc(RELAY_TOML_MAX_BYTES + 2);
    memset(huge, '\n', RELAY_TOML_MAX_BYTES + 1);
    huge[RELAY_TOML_MAX_BYTES] = '\0';
    assert_int_equal(read_toml(w, huge), 0);
    huge[RELAY_TOML_MAX_BYTES] = '\n';
    huge[RELAY_TOML_MAX_BYTES + 1] = '\0';
    assert_int_equal(read_toml(w, huge), 1);
    assert_mistake(w, 0, 0, "larger than");
    free(huge);
}

static void toml_strings_and_names_keep_to_their_limits(void **state)
{
    struct world *w = *state;
    char text[STRING_MAX_BYTES + 64];
    const int before = snprintf(text, sizeof text, "a = '");
    memset(text + before, 'x', STRING_MAX_BYTES);
    strcpy(text + before + STRING_MAX_BYTES, "'");
    assert_int_equal(read_toml(w, text), 0);
    strcpy(text + before + STRING_MAX_BYTES, "x'");
    assert_int_equal(read_toml(w, text), 1);
    memset(text, 'k', 64);
    strcpy(text + 64, " = 1");
    assert_int_equal(read_toml(w, text), 0);
    text[64] = 'k';
    strcpy(text + 65, " = 1");
    assert_int_equal(read_toml(w, text), 1);
}

static void mistakes_beyond_the_limit_are_counted(void **state)
{
    struct world *w = *state;
    char text[TEXT_MAX] = "";
    for (int i = 0; i < RELAY_MISTAKES_MAX + 20; i++)
        strcat(text, "bad\n");
    assert_int_equal(read_toml(w, text), RELAY_MISTAKES_MAX + 20);
    assert_int_equal(w->mistakes.kept, RELAY_MISTAKES_MAX);
}

/* ---- settings ---- */

static void every_setting_of_the_reference_that_we_serve_is_read(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_settings(w, "listen_addr = \"127.0.0.1:5000\"\nmax_sessions = 7\nlog_level = \"warn\"\n"
                                      "auth_url = \"https://auth.example/validate\"\nmetrics_port = 9090\n"
                                      "debug_tap = \"*\"\n"),
                     0);
    char text[WZ_ADDR_TEXT_MAX];
    assert_string_equal(wz_addr_format(&w->settings.listen, text), "127.0.0.1:5000");
    assert_int_equal(w->settings.max_sessions, 7);
    assert_int_equal(w->settings.log_level, WZ_LOG_WARN);
    assert_string_equal(w->settings.auth_url, "https://auth.example/validate");
    assert_string_equal(wz_addr_format(&w->settings.metrics, text), "127.0.0.1:9090"); /* not the whole world */
    assert_string_equal(w->settings.debug_tap, "*");
    assert_int_equal(w->notes.count, 0);
}

static void settings_of_our_own_are_read(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_settings(w, "public_address = \"198.51.100.1\"\nmetrics_listen = \"[::]:9100\"\n"
                                      "strict = true\nstrict_privacy = true\nquality_directives = false\n"
                                      "ring_ms = 60000\nsource_waiting = 9\njson_log = true\nidentity = \"/x\"\n"),
                     0);
    char text[WZ_ADDR_TEXT_MAX];
    assert_string_equal(wz_addr_format(&w->settings.public_address, text), "198.51.100.1:4433");
    assert_string_equal(wz_addr_format(&w->settings.metrics, text), "[::]:9100");
    assert_true(w->settings.strict && w->settings.strict_privacy && w->settings.json_log);
    assert_false(w->settings.quality_directives);
    assert_int_equal(w->settings.ring_ms, 60000);
    assert_int_equal(w->settings.source_waiting, 9);
    assert_string_equal(w->settings.identity, "/x");
}

static void defaults_are_those_of_the_core(void **state)
{
    struct world *w = *state;
    const struct relay_settings *s = &w->settings;
    char text[WZ_ADDR_TEXT_MAX];
    assert_string_equal(wz_addr_format(&s->listen, text), "0.0.0.0:4433");
    assert_int_equal(s->max_sessions, 100);
    assert_int_equal(s->max_registrations, 20000);
    assert_int_equal(s->ring_ms, 120000);
    assert_int_equal(s->setup_ms, 30000);
    assert_int_equal(s->offers_per_minute, 300);
    assert_int_equal(s->source_reflects_per_minute, 2400);
    assert_true(s->quality_directives);
    assert_false(s->strict || s->strict_privacy || s->json_log);
    assert_null(s->auth_url);
    assert_int_equal(s->metrics.family, WZ_ADDR_NONE);
}

static void every_mistake_of_a_file_is_told_at_once_in_order(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_settings(w, "listen_addr = \"localhost:1\"\n"  /* 1 */
                                      "max_sesions = 5\n"                /* 2 */
                                      "max_sessions = 0\n"               /* 3 */
                                      "strict = \"yes\"\n"               /* 4 */
                                      "metrics_port = 70000\n"           /* 5 */
                                      "auth_url = \"ftp://x/\"\n"        /* 6 */
                                      "log_level = \"loud\"\n"           /* 7 */
                                      "this is not TOML\n"               /* 8 */
                                      "public_address = \"0.0.0.0:1\"\n" /* 9 */
                                      "[[peer]]\nurl = \"1.2.3.4:5\"\n"  /* 10 */
                                      "[[trusted]]\n"),                  /* 12 */
                     11);
    assert_mistake(w, 0, 1, "listen_addr = \"localhost:1\": expected IP[:PORT]");
    assert_mistake(w, 1, 2, "did you mean max_sessions?");
    assert_mistake(w, 2, 3, "expected 1..1000000");
    assert_mistake(w, 3, 4, "expected true or false");
    assert_mistake(w, 4, 5, "expected 1..65535");
    assert_mistake(w, 5, 6, "http");
    assert_mistake(w, 6, 7, "error, warn, info or debug");
    assert_mistake(w, 7, 8, "expected this = value");
    assert_mistake(w, 8, 9, "no host name");
    assert_mistake(w, 9, 10, "did you mean [[peers]]?");
    assert_mistake(w, 10, 12, "not served by this relay yet");
}

static void what_later_relays_serve_is_refused_unless_it_asks_for_nothing(void **state)
{
    struct world *w = *state;
    static const char *const asks[] = { "remote_relay = \"1.2.3.4:5\"",
                                        "probe_targets = [\"1.2.3.4:5\"]",
                                        "probe_mesh = true",
                                        "trunking_enabled = true",
                                        "ws_port = 8080",
                                        "static_dir = \"/srv\"",
                                        "[[peers]]",
                                        "[[trusted]]",
                                        "[[global_rooms]]" };
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        assert_int_equal(read_settings(w, asks[i]), 1);
        assert_mistake(w, 0, 1, "not served by this relay yet");
    }
    assert_int_equal(read_settings(w, "remote_relay = \"\"\nprobe_targets = []\nprobe_mesh = false\n"
                                      "trunking_enabled = false\njitter_target_depth = 50\njitter_max_depth = 250\n"),
                     0);
    assert_int_equal(w->notes.count, 6);
}

static void metrics_have_one_address(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_settings(w, "metrics_port = 1\nmetrics_listen = \"0.0.0.0:2\"\n"), 1);
    assert_mistake(w, 0, 2, "exclude each other");
}

static void changes_between_two_readings_are_seen(void **state)
{
    struct world *w = *state;
    struct relay_settings other;
    size_t changed = 0;
    assert_int_equal(relay_settings_init(&other), 0);
    for (size_t i = 0; i < relay_setting_count(); i++)
        assert_false(relay_setting_differs(relay_setting_at(i), &w->settings, &other));
    assert_int_equal(read_settings(w, "listen_addr = \"127.0.0.1\"\nmax_sessions = 7\nlog_level = \"warn\"\n"
                                      "auth_url = \"http://a/\"\ndebug_tap = \"ops\"\nstrict = true\n"),
                     0);
    for (size_t i = 0; i < relay_setting_count(); i++) {
        const struct relay_setting *setting = relay_setting_at(i);
        if (relay_setting_differs(setting, &w->settings, &other)) {
            assert_int_equal(relay_setting_is_live(setting), strcmp(relay_setting_name(setting), "debug_tap") == 0);
            changed++;
        }
    }
    assert_int_equal(changed, 6);
    relay_settings_done(&other);
}

/* ---- files ---- */

static void missing_file_is_made_and_read_as_all_defaults(void **state)
{
    struct world *w = *state;
    bool created = false;
    struct stat info;
    assert_int_equal(relay_settings_load(&w->settings, w->path, &w->mistakes, &w->notes, &created), 0);
    assert_true(created);
    assert_int_equal(w->mistakes.count, 0);
    assert_int_equal(stat(w->path, &info), 0);
    assert_int_equal(relay_settings_load(&w->settings, w->path, &w->mistakes, &w->notes, &created), 0);
    assert_false(created);
    assert_int_equal(w->settings.max_sessions, 100);
}

/** The template with the # of every setting removed whose default is a value. */
static void template_names_every_setting_and_its_defaults_are_ours(void **state)
{
    struct world *w = *state;
    char *text = relay_settings_template(), *out = calloc(1, TEXT_MAX);
    size_t settings = 0, len = 0;
    assert_non_null(text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] != '#' || line[1] == ' ')
            continue;
        char name[64];
        settings++;
        assert_int_equal(sscanf(line, "#%63[a-z_] =", name), 1);
        assert_non_null(find_setting(name));
        if (find_setting(name)->default_text)
            len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s\n", line + 1);
    }
    assert_true(settings >= 24);
    assert_int_equal(read_settings(w, out), 0);
    struct relay_settings other;
    assert_int_equal(relay_settings_init(&other), 0);
    for (size_t i = 0; i < relay_setting_count(); i++)
        assert_false(relay_setting_differs(relay_setting_at(i), &w->settings, &other));
    relay_settings_done(&other);
    free(text);
    free(out);
}

static void file_that_cannot_be_read_is_an_error(void **state)
{
    struct world *w = *state;
    bool created = true;
    assert_int_equal(relay_settings_load(&w->settings, "/proc/none/relay.toml", &w->mistakes, &w->notes, &created),
                     -ENOENT);
    assert_int_equal(relay_settings_load(&w->settings, w->dir, &w->mistakes, &w->notes, &created), -EISDIR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(toml_values_of_each_type_are_read),
        TEST(toml_escapes_become_utf8),
        TEST(toml_integers_keep_to_their_range),
        TEST(toml_mistakes_name_their_line_and_reading_goes_on),
        TEST(toml_key_twice_in_a_table_is_a_mistake),
        TEST(toml_keys_below_a_bad_header_add_no_mistakes),
        TEST(toml_must_be_utf8_and_of_limited_size),
        TEST(toml_strings_and_names_keep_to_their_limits),
        TEST(mistakes_beyond_the_limit_are_counted),
        TEST(every_setting_of_the_reference_that_we_serve_is_read),
        TEST(settings_of_our_own_are_read),
        TEST(defaults_are_those_of_the_core),
        TEST(every_mistake_of_a_file_is_told_at_once_in_order),
        TEST(what_later_relays_serve_is_refused_unless_it_asks_for_nothing),
        TEST(metrics_have_one_address),
        TEST(changes_between_two_readings_are_seen),
        TEST(missing_file_is_made_and_read_as_all_defaults),
        TEST(template_names_every_setting_and_its_defaults_are_ours),
        TEST(file_that_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
