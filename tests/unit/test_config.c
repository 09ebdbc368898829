/* The configuration: defaults, every value kind, references to secrets, printing, the example. Mistakes have
 * their own file, test_config_mistakes.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/schema.h"
#include "config/value.h"

static struct cfg *parse(const char *text)
{
    struct cfg_mistakes mistakes;
    struct cfg *cfg = NULL;
    int err = cfg_parse(wz_bytes_str(text), &cfg_secrets_system, &cfg, &mistakes);

    if (err) {
        char *line = mistakes.count ? cfg_mistake_text("text", &mistakes.item[0]) : NULL;
        print_message("%s\n", line ? line : "no reason given");
        free(line);
    }
    cfg_mistakes_done(&mistakes);
    assert_int_equal(err, 0);
    return cfg;
}

static const char *addr_text(const struct wz_addr *addr)
{
    static char buf[WZ_ADDR_TEXT_MAX];

    return wz_addr_format(addr, buf);
}

static void empty_file_gives_the_defaults(void **state)
{
    static const char *const empty[] = { "", "# nothing\n", "---\n", "{}", "~\n", "sip:\nusers:\n" };

    (void)state;
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        struct cfg *cfg = parse(empty[i]);
        assert_string_equal(addr_text(&cfg->sip.listen), "0.0.0.0:5060");
        assert_true(cfg->sip.udp && cfg->sip.tcp);
        assert_string_equal(cfg->sip.realm, "wzp");
        assert_int_equal(cfg->sip.public_address.family, WZ_ADDR_NONE);
        assert_int_equal(cfg->sip.min_expires_s, 60);
        assert_int_equal(cfg->sip.max_expires_s, 3600);
        assert_int_equal(cfg->sip.ring_timeout_s, 60);
        assert_int_equal(cfg->media.ports_first, 10000);
        assert_int_equal(cfg->media.ports_last, 10063);
        assert_int_equal(cfg->media.jitter_target_ms, 40);
        assert_int_equal(cfg->media.jitter_max_ms, 200);
        assert_int_equal(cfg->media.opus_complexity, 5);
        assert_int_equal(cfg->media.profile, CFG_PROFILE_GOOD);
        assert_int_equal(cfg->media.adaptive, CFG_ADAPTIVE_YES);
        assert_false(cfg->media.suppress_silence);
        assert_int_equal(cfg->media.timeout_s, 30);
        assert_true(cfg->relay.embedded);
        assert_string_equal(addr_text(&cfg->relay.listen), "0.0.0.0:4433");
        assert_null(cfg->relay.connect.host);
        assert_int_equal(cfg->relay.max_sessions, 1000);
        assert_string_equal(cfg->relay.identity_path, "wzp-data/relay.seed");
        assert_int_equal(cfg->relay.stun.count, 0);
        assert_true(cfg->relay.share_local_addrs);
        assert_int_equal(cfg->relay.public_reflexive.family, WZ_ADDR_NONE);
        assert_true(cfg->relay.direct);
        assert_false(cfg->relay.strict);
        assert_string_equal(cfg->relay.pins_path, "wzp-data/relay-pins");
        assert_int_equal(cfg->users.count, 0);
        assert_int_equal(cfg->directory.count, 0);
        assert_string_equal(cfg->store.path, "wzp-data/gateway.db");
        assert_string_equal(cfg->data_dir, "wzp-data");
        assert_int_equal(cfg->log.level, CFG_LOG_INFO);
        assert_int_equal(cfg->log.format, CFG_LOG_AUTO);
        assert_string_equal(cfg->admin.socket_path, "wzp-data/ctl.sock");
        assert_int_equal(cfg->admin.http.family, WZ_ADDR_NONE);
        assert_true(cfg->echo.enabled);
        assert_string_equal(cfg->echo.number, "*43");
        assert_string_equal(cfg->identity.seed_path, "wzp-data/gateway.seed");
        cfg_free(cfg);
    }
}

/** Every setting, none at its default. Secrets aside, printing it gives exactly this text. */
static const char full[] = "data_dir: \"/var/lib/wzp\"\n"
                           "sip:\n"
                           "  listen: 127.0.0.1:0\n"
                           "  udp: no\n"
                           "  tcp: yes\n"
                           "  realm: \"example.org\"\n"
                           "  public_address: 198.51.100.7\n"
                           "  min_expires: 30\n"
                           "  max_expires: 600\n"
                           "  ring_timeout: 20\n"
                           "media:\n"
                           "  ports_first: 20000\n"
                           "  ports_last: 20999\n"
                           "  public_address: 2001:db8::7\n"
                           "  jitter_target_ms: 60\n"
                           "  jitter_max_ms: 400\n"
                           "  opus_complexity: 9\n"
                           "  profile: codec2-3200\n"
                           "  adaptive: reference\n"
                           "  suppress_silence: yes\n"
                           "  timeout: 0\n"
                           "relay:\n"
                           "  embedded: no\n"
                           "  listen: \"[::1]:4444\"\n"
                           "  connect: relay.example.org:4433\n"
                           "  public_address: 198.51.100.8:4433\n"
                           "  max_sessions: 50\n"
                           "  identity: \"r.seed\"\n"
                           "  stun:\n"
                           "    - stun.example.org:3478\n"
                           "    - \"[2001:db8::1]:19302\"\n"
                           "  share_local_addrs: no\n"
                           "  public_reflexive: 198.51.100.9\n"
                           "  direct: no\n"
                           "  strict: yes\n"
                           "  pins: \"p.txt\"\n"
                           "users:\n"
                           "  - name: \"alice\"\n"
                           "    password: (hidden)\n"
                           "    ha1: none\n"
                           "    alias: \"Al \\\"the\\\" \\\\ \xc3\x89ice\"\n"
                           "    number: \"+4930123\"\n"
                           "    display_name: \"Alice\"\n"
                           "    privacy: generic\n"
                           "    digest: both\n"
                           "    seed: none\n"
                           "    max_calls: 2\n"
                           "directory:\n"
                           "  - alias: \"carol\"\n"
                           "    number: none\n"
                           "    fingerprint: 0123:4567:89ab:cdef:0123:4567:89ab:cdef\n"
                           "  - alias: \"none\"\n"
                           "    number: \"2001\"\n"
                           "    fingerprint: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n"
                           "store:\n"
                           "  path: \"calls.db\"\n"
                           "log:\n"
                           "  level: debug\n"
                           "  format: json\n"
                           "admin:\n"
                           "  socket: \"/run/wzp.sock\"\n"
                           "  http: 127.0.0.1:9090\n"
                           "echo:\n"
                           "  enabled: no\n"
                           "  number: \"*99\"\n"
                           "identity:\n"
                           "  seed_file: \"g.seed\"\n";

static void every_setting_is_read_and_printed_back(void **state)
{
    struct cfg *cfg = parse(full);
    char *text = cfg_to_text(cfg);

    (void)state;
    assert_string_equal(text, full);
    free(text);

    assert_false(cfg->sip.udp);
    assert_int_equal(cfg->sip.listen.port, 0);
    assert_int_equal(cfg->sip.public_address.port, 0);
    assert_string_equal(cfg->relay.connect.host, "relay.example.org");
    assert_int_equal(cfg->relay.connect.port, 4433);
    assert_int_equal(cfg->relay.stun.count, 2);
    assert_string_equal(cfg->relay.stun.item[1].host, "2001:db8::1");
    assert_int_equal(cfg->relay.stun.item[1].port, 19302);
    assert_int_equal(cfg->relay.public_reflexive.port, 0);
    assert_false(cfg->relay.direct);
    assert_true(cfg->relay.strict);
    assert_string_equal(cfg->relay.pins_path, "p.txt");
    assert_int_equal(cfg->users.item[0].privacy, CFG_PRIVACY_GENERIC);
    assert_int_equal(cfg->users.item[0].digest, CFG_DIGEST_BOTH);
    assert_string_equal(cfg->users.item[0].password, "(hidden)");
    assert_string_equal(cfg->users.item[0].alias, "Al \"the\" \\ \xc3\x89ice");
    assert_string_equal(cfg->directory.item[1].alias, "none"); /* quoted: a name, not absence */
    assert_int_equal(cfg->log.level, CFG_LOG_DEBUG);
    assert_int_equal(cfg->log.format, CFG_LOG_JSON);
    assert_ptr_equal(cfg_user_by_name(cfg, "alice"), &cfg->users.item[0]);
    assert_null(cfg_user_by_name(cfg, "Alice"));
    cfg_free(cfg);
    cfg_free(NULL);
}

static void printed_configuration_holds_no_secret(void **state)
{
    struct cfg *cfg = parse("users:\n"
                            "  - {name: a, password: hush-password}\n"
                            "  - {name: b, ha1: 0123456789abcdef0123456789ABCDEF,\n"
                            "     seed: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff}\n");
    char *text = cfg_to_text(cfg);

    (void)state;
    assert_non_null(text);
    assert_null(strstr(text, "hush"));
    assert_null(strstr(text, "0123456789"));
    assert_null(strstr(text, "00112233"));
    assert_non_null(strstr(text, "(hidden)"));
    assert_true(cfg->users.item[1].seed.is_given);
    assert_int_equal(cfg->users.item[1].seed.bytes[1], 0x11);
    assert_int_equal(cfg->users.item[1].seed.bytes[31], 0xff);
    assert_false(cfg->users.item[0].seed.is_given);
    free(text);
    cfg_free(cfg);
}

static void fingerprints_are_taken_in_every_writing(void **state)
{
    struct cfg *cfg =
        parse("directory:\n"
              "  - {number: \"1\", fingerprint: 0123456789abcdef0123456789abcdef}\n"
              "  - {number: \"2\", fingerprint: 0123-4567-89AB-CDEF-0123-4567-89ab-cdef}\n"
              "  - {number: \"3\", fingerprint: '01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef'}\n");

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(cfg->directory.item[i].fingerprint, "0123:4567:89ab:cdef:0123:4567:89ab:cdef");
    cfg_free(cfg);
}

static void hosts_take_the_default_port(void **state)
{
    struct cfg *cfg =
        parse("relay:\n  connect: relay.example.org\n  stun: [a.example, 192.0.2.1, '2001:db8::5', b:99]\n");

    (void)state;
    assert_false(cfg->relay.embedded); /* another relay is used instead */
    assert_int_equal(cfg->relay.connect.port, 4433);
    assert_int_equal(cfg->relay.stun.item[0].port, 3478);
    assert_string_equal(cfg->relay.stun.item[1].host, "192.0.2.1");
    assert_int_equal(cfg->relay.stun.item[1].port, 3478);
    assert_string_equal(cfg->relay.stun.item[2].host, "2001:db8::5");
    assert_int_equal(cfg->relay.stun.item[2].port, 3478);
    assert_int_equal(cfg->relay.stun.item[3].port, 99);
    cfg_free(cfg);
}

static void switches_take_four_words(void **state)
{
    struct cfg *cfg =
        parse("sip: {udp: true, tcp: false}\necho: {enabled: no}\nrelay: {share_local_addrs: yes}\n");

    (void)state;
    assert_true(cfg->sip.udp);
    assert_false(cfg->sip.tcp);
    assert_false(cfg->echo.enabled);
    assert_true(cfg->relay.share_local_addrs);
    cfg_free(cfg);
}

static void data_dir_moves_the_files_that_are_not_named(void **state)
{
    struct cfg *cfg = parse("data_dir: /srv/gw\nstore: {path: other.db}\n");

    (void)state;
    assert_string_equal(cfg->store.path, "other.db");
    assert_string_equal(cfg->relay.identity_path, "/srv/gw/relay.seed");
    assert_string_equal(cfg->identity.seed_path, "/srv/gw/gateway.seed");
    assert_string_equal(cfg->admin.socket_path, "/srv/gw/ctl.sock");
    cfg_free(cfg);
}

/* ---- secrets elsewhere ---- */

struct files {
    char dir[64];
    char path[96];
};

static int make_dir(void **state)
{
    struct files *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/wzp-config-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->path, sizeof f->path, "%s/file", f->dir);
    *state = f;
    return 0;
}

static int remove_dir(void **state)
{
    struct files *f = *state;

    (void)unlink(f->path);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

static void write_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    (void)close(fd);
}

static void passwords_come_from_the_environment_and_from_files(void **state)
{
    struct files *f = *state;
    char yaml[256];
    struct cfg *cfg;

    write_file(f->path, "from file\r\n", 11);
    assert_int_equal(setenv("WZP_TEST_PASSWORD", "from env", 1), 0);
    (void)snprintf(yaml, sizeof yaml,
                   "users: [{name: a, password: 'env:WZP_TEST_PASSWORD'}, {name: b, password: 'file:%s'}]\n",
                   f->path);
    cfg = parse(yaml);
    assert_string_equal(cfg->users.item[0].password, "from env");
    assert_string_equal(cfg->users.item[1].password, "from file");
    cfg_free(cfg);
    assert_int_equal(unsetenv("WZP_TEST_PASSWORD"), 0);
}

static void assert_secret_refused(const char *reference, const char *reason)
{
    char yaml[256];
    struct cfg *cfg = NULL;
    struct cfg_mistakes mistakes;

    (void)snprintf(yaml, sizeof yaml, "users:\n  - name: a\n    password: \"%s\"\n", reference);
    assert_int_equal(cfg_parse(wz_bytes_str(yaml), &cfg_secrets_system, &cfg, &mistakes), -EINVAL);
    assert_null(cfg);
    assert_int_equal(mistakes.count, 1);
    assert_int_equal(mistakes.item[0].line, 3);
    if (!strstr(mistakes.item[0].text, reason))
        fail_msg("\"%s\" does not say \"%s\"", mistakes.item[0].text, reason);
    cfg_mistakes_done(&mistakes);
}

static void references_that_lead_nowhere_are_mistakes(void **state)
{
    struct files *f = *state;
    char reference[128];
    static char big[5000];

    assert_secret_refused("env:WZP_TEST_SURELY_UNSET", "is not set");
    assert_secret_refused("file:/nonexistent/secret", "No such file");
    (void)snprintf(reference, sizeof reference, "file:%s", f->dir);
    assert_secret_refused(reference, "Is a directory");
    (void)snprintf(reference, sizeof reference, "file:%s", f->path);
    write_file(f->path, "\n", 1);
    assert_secret_refused(reference, "what it refers to must be 1 to 127");
    write_file(f->path, "a\0b", 3);
    assert_secret_refused(reference, "cannot read");
    memset(big, 'x', sizeof big);
    write_file(f->path, big, sizeof big);
    assert_secret_refused(reference, "too large");
}

static void file_that_cannot_be_read_is_an_errno(void **state)
{
    struct files *f = *state;
    struct cfg *cfg = NULL;
    struct cfg_mistakes mistakes;

    assert_int_equal(cfg_load("/nonexistent/gateway.yaml", &cfg, &mistakes), -ENOENT);
    assert_int_equal(cfg_load(f->dir, &cfg, &mistakes), -EISDIR);
    assert_int_equal(mistakes.count, 0);
    assert_null(cfg);
}

static void file_over_the_limit_is_refused(void **state)
{
    struct files *f = *state;
    struct cfg *cfg = NULL;
    struct cfg_mistakes mistakes;

    write_file(f->path, "#", 1);
    assert_int_equal(truncate(f->path, (off_t)CFG_FILE_MAX_BYTES + 1), 0);
    assert_int_equal(cfg_load(f->path, &cfg, &mistakes), -EFBIG);
}

/* ---- the example ---- */

static void fill_counting(void *arg, uint8_t *out, size_t len)
{
    uint8_t *next = arg;

    for (size_t i = 0; i < len; i++)
        out[i] = (*next)++;
}

static void written_example_is_private_loads_and_is_never_overwritten(void **state)
{
    struct files *f = *state;
    uint8_t next = 1;
    const struct wz_rng rng = { .fill = fill_counting, .arg = &next };
    struct cfg_mistakes mistakes;
    struct cfg *cfg = NULL;
    struct stat st;

    assert_int_equal(cfg_write_example(f->path, &rng), 0);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(cfg_load(f->path, &cfg, &mistakes), 0);
    assert_int_equal(cfg->users.count, 2);
    assert_string_equal(cfg->users.item[0].name, "alice");
    assert_string_equal(cfg->users.item[0].number, "1001");
    assert_string_equal(cfg->users.item[1].name, "bob");
    assert_string_equal(cfg->users.item[1].number, "1002");
    assert_int_equal(strlen(cfg->users.item[0].password), 20);
    assert_int_equal(strlen(cfg->users.item[1].password), 20);
    assert_string_not_equal(cfg->users.item[0].password, cfg->users.item[1].password);
    cfg_free(cfg);
    assert_int_equal(cfg_write_example(f->path, &rng), -EEXIST);
    assert_int_equal(cfg_write_example("/nonexistent/x.yaml", &rng), -ENOENT);
}

static void committed_example_loads_and_equals_the_built_in_one(void **state)
{
    static char file[16384];
    char *built_in = cfg_example_text("change-me-alice", "change-me-bob");
    FILE *in = fopen(WZP_SOURCE_DIR "/config/example.yaml", "rb");
    struct cfg_mistakes mistakes;
    struct cfg *cfg = NULL;
    size_t len;

    (void)state;
    assert_non_null(in);
    len = fread(file, 1, sizeof file - 1, in);
    (void)fclose(in);
    file[len] = '\0';
    assert_string_equal(file, built_in);
    assert_int_equal(cfg_load(WZP_SOURCE_DIR "/config/example.yaml", &cfg, &mistakes), 0);
    cfg_free(cfg);
    free(built_in);
}

/** Uncomment the commented settings of the example: they must exist and show the defaults. */
static void settings_commented_out_in_the_example_exist(void **state)
{
    static const char *const commented[] = {
        "sip: {public_address: none, realm: wzp, ring_timeout: 60}\n",
        "media: {public_address: none, profile: good, adaptive: yes, suppress_silence: no}\n",
        "relay: {connect: 'relay.example.org:4433', public_address: none}\n",
        "relay: {stun: ['stun.example.org:3478'], share_local_addrs: yes}\n",
        "relay: {direct: yes, strict: no}\n",
        "data_dir: wzp-data\n",
        "log: {level: info, format: auto}\n",
        "admin: {http: none}\n"
    };

    (void)state;
    for (size_t i = 0; i < sizeof commented / sizeof commented[0]; i++)
        cfg_free(parse(commented[i]));
}

/* ---- the table itself ---- */

static void check_schema(const struct cfg_schema *schema, bool in_list)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct cfg_field *field = &schema->field[i];
        if (!schema->is_scalar) {
            assert_non_null(field->help);
            assert_ptr_equal(cfg_schema_find(schema, field->name), field); /* no name twice */
        }
        assert_true(field->offset < schema->size);
        assert_true(field->min <= field->max || field->kind == CFG_HOST);
        if (field->sub) {
            assert_true(field->kind == CFG_GROUP || field->kind == CFG_LIST);
            check_schema(field->sub, in_list || field->kind == CFG_LIST);
        }
        if (field->default_text) {
            void *base = calloc(1, schema->size);
            char reason[CFG_REASON_MAX] = "";
            if (cfg_value_set(field, base, field->default_text, NULL, reason) != 0)
                fail_msg("default of %s: %s", field->name, reason);
            cfg_value_clear(field, base);
            free(base);
        }
    }
}

static void table_is_consistent_and_every_default_is_valid(void **state)
{
    (void)state;
    check_schema(&cfg_schema, false);
}

static void manual_names_every_setting_with_range_default_and_help(void **state)
{
    char *manual = cfg_manual();

    (void)state;
    assert_non_null(manual);
    assert_non_null(strstr(manual, "sip.min_expires (10 to 86400 s, default 60)\n    Shortest registration"));
    assert_non_null(strstr(manual, "users[].name (text, required)\n"));
    assert_non_null(strstr(manual, "users[].digest (md5, sha256, both, default md5)\n"));
    assert_non_null(strstr(manual, "relay.stun[] (list of HOST:PORT)\n"));
    assert_non_null(strstr(manual, "store.path (text, default DATA_DIR/gateway.db)\n"));
    free(manual);
}

int main(void)
{
#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_gives_the_defaults),
        cmocka_unit_test(every_setting_is_read_and_printed_back),
        cmocka_unit_test(printed_configuration_holds_no_secret),
        cmocka_unit_test(fingerprints_are_taken_in_every_writing),
        cmocka_unit_test(hosts_take_the_default_port),
        cmocka_unit_test(switches_take_four_words),
        cmocka_unit_test(data_dir_moves_the_files_that_are_not_named),
        WITH_DIR(passwords_come_from_the_environment_and_from_files),
        WITH_DIR(references_that_lead_nowhere_are_mistakes),
        WITH_DIR(file_that_cannot_be_read_is_an_errno),
        WITH_DIR(file_over_the_limit_is_refused),
        WITH_DIR(written_example_is_private_loads_and_is_never_overwritten),
        cmocka_unit_test(committed_example_loads_and_equals_the_built_in_one),
        cmocka_unit_test(settings_commented_out_in_the_example_exist),
        cmocka_unit_test(table_is_consistent_and_every_default_is_valid),
        cmocka_unit_test(manual_names_every_setting_with_range_default_and_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
