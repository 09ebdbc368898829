/* Pins of relays: kept on first use, held against later ones, in a file that people may edit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "wzp/io/pin_file.h"
#include "wzp/rt/log.h"

#define CERT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CERT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY_C  "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

struct place {
    char dir[64], path[128];
    struct wz_addr relay;
    uint8_t a[WZP_PIN_BYTES], b[WZP_PIN_BYTES], c[WZP_PIN_BYTES];
};

static int new_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/wzp-pins.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof p->path, "%s/relay-pins", p->dir);
    assert_int_equal(wz_addr_parse("192.0.2.1:4433", &p->relay), 0);
    memset(p->a, 0xaa, sizeof p->a);
    memset(p->b, 0xbb, sizeof p->b);
    memset(p->c, 0xcc, sizeof p->c);
    *state = p;
    return 0;
}

static int end_place(void **state)
{
    struct place *p = *state;
    (void)unlink(p->path);              /* not every test makes it */
    assert_int_equal(rmdir(p->dir), 0); /* and nothing else was left */
    free(p);
    return 0;
}

static struct wzp_pin_file *open_pins(const struct place *p)
{
    struct wzp_pin_file *pins = NULL;
    assert_int_equal(wzp_pin_file_open(&pins, p->path), 0);
    return pins;
}

static void write_text(const struct place *p, const char *text)
{
    FILE *out = fopen(p->path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void assert_text(const struct place *p, const char *expect)
{
    char text[1024] = "";
    FILE *in = fopen(p->path, "r");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    assert_int_equal(fclose(in), 0);
    assert_string_equal(text, expect);
}

static void first_certificate_is_pinned_and_another_one_is_refused(void **state)
{
    struct place *p = *state;
    struct wzp_pin_file *pins = open_pins(p);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->a), 0);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->a), 0);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->b), -EKEYREJECTED);
    assert_text(p, "192.0.2.1:4433 " CERT_A " -\n");
    wzp_pin_file_free(pins);
    pins = open_pins(p);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->b), -EKEYREJECTED);
    wzp_pin_file_free(pins);
}

static void key_joins_its_certificate_and_another_one_is_refused(void **state)
{
    struct place *p = *state;
    struct wzp_pin_file *pins = open_pins(p);
    uint8_t key[WZP_PIN_BYTES];
    assert_int_equal(wzp_pin_file_check_key(pins, &p->relay, p->c), -ENOENT);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->a), 0);
    assert_false(wzp_pin_file_key(pins, &p->relay, key));
    assert_int_equal(wzp_pin_file_check_key(pins, &p->relay, p->c), 0);
    assert_int_equal(wzp_pin_file_check_key(pins, &p->relay, p->b), -EKEYREJECTED);
    assert_true(wzp_pin_file_key(pins, &p->relay, key));
    assert_memory_equal(key, p->c, sizeof key);
    assert_text(p, "192.0.2.1:4433 " CERT_A " " KEY_C "\n");
    wzp_pin_file_free(pins);
}

static void file_is_private(void **state)
{
    struct place *p = *state;
    struct wzp_pin_file *pins = open_pins(p);
    struct stat info;
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->a), 0);
    assert_int_equal(stat(p->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    wzp_pin_file_free(pins);
}

static void comments_and_junk_lines_are_kept_and_pins_after_them_count(void **state)
{
    struct place *p = *state;
    struct wz_addr other;
    write_text(p, "# relays of ours\nnot a pin\n192.0.2.1:4433 " CERT_A " -\n192.0.2.9:1 zz -\n");
    assert_int_equal(wz_addr_parse("[2001:db8::1]:4433", &other), 0);
    struct wzp_pin_file *pins = open_pins(p);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->b), -EKEYREJECTED);
    assert_int_equal(wzp_pin_file_check_cert(pins, &other, p->b), 0);
    assert_text(p, "# relays of ours\nnot a pin\n192.0.2.9:1 zz -\n192.0.2.1:4433 " CERT_A " -\n"
                   "[2001:db8::1]:4433 " CERT_B " -\n");
    wzp_pin_file_free(pins);
}

static void line_that_the_operator_removed_is_learned_anew_without_a_restart(void **state)
{
    struct place *p = *state;
    struct wzp_pin_file *pins = open_pins(p);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->a), 0);
    write_text(p, "");
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->b), 0);
    assert_text(p, "192.0.2.1:4433 " CERT_B " -\n");
    wzp_pin_file_free(pins);
}

static void two_objects_on_one_file_hold_each_others_pins(void **state)
{
    struct place *p = *state;
    struct wz_addr other;
    assert_int_equal(wz_addr_parse("192.0.2.2:4433", &other), 0);
    struct wzp_pin_file *one = open_pins(p), *two = open_pins(p);
    assert_int_equal(wzp_pin_file_check_cert(one, &p->relay, p->a), 0);
    assert_int_equal(wzp_pin_file_check_cert(two, &p->relay, p->b), -EKEYREJECTED);
    assert_int_equal(wzp_pin_file_check_cert(two, &other, p->b), 0);
    assert_int_equal(wzp_pin_file_check_cert(one, &other, p->a), -EKEYREJECTED);
    assert_text(p, "192.0.2.1:4433 " CERT_A " -\n192.0.2.2:4433 " CERT_B " -\n");
    wzp_pin_file_free(one);
    wzp_pin_file_free(two);
}

static void without_a_path_pins_live_in_memory(void **state)
{
    struct place *p = *state;
    struct wzp_pin_file *pins = NULL;
    assert_int_equal(wzp_pin_file_open(&pins, NULL), 0);
    assert_null(wzp_pin_file_path(pins));
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->a), 0);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->b), -EKEYREJECTED);
    wzp_pin_file_free(pins);
}

static void file_that_cannot_be_written_still_holds_pins_in_memory(void **state)
{
    struct place *p = *state;
    struct wzp_pin_file *pins = NULL;
    char path[160];
    write_text(p, ""); /* a file where a directory would be needed */
    (void)snprintf(path, sizeof path, "%s/pins", p->path);
    assert_int_equal(wzp_pin_file_open(&pins, path), -ENOTDIR);
    assert_int_equal(unlink(p->path), 0);
    assert_int_equal(wzp_pin_file_open(&pins, path), 0);
    write_text(p, "");
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->a), 0);
    assert_int_equal(wzp_pin_file_check_cert(pins, &p->relay, p->b), -EKEYREJECTED);
    wzp_pin_file_free(pins);
}

static void more_relays_than_the_limit_are_refused(void **state)
{
    struct place *p = *state;
    struct wzp_pin_file *pins = NULL;
    struct wz_addr relay = p->relay;
    assert_int_equal(wzp_pin_file_open(&pins, NULL), 0);
    for (unsigned i = 0; i < WZP_PIN_FILE_MAX_PINS; i++) {
        relay.port = (uint16_t)(1 + i);
        assert_int_equal(wzp_pin_file_check_cert(pins, &relay, p->a), 0);
    }
    relay.port++;
    assert_int_equal(wzp_pin_file_check_cert(pins, &relay, p->a), -E2BIG);
    wzp_pin_file_free(pins);
}

int main(void)
{
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    wz_log_init(null, WZ_LOG_TEXT, WZ_LOG_WARN); /* bad lines and files are warned of on purpose */
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_place, end_place)
    const struct CMUnitTest tests[] = {
        STORY(first_certificate_is_pinned_and_another_one_is_refused),
        STORY(key_joins_its_certificate_and_another_one_is_refused),
        STORY(file_is_private),
        STORY(comments_and_junk_lines_are_kept_and_pins_after_them_count),
        STORY(line_that_the_operator_removed_is_learned_anew_without_a_restart),
        STORY(two_objects_on_one_file_hold_each_others_pins),
        STORY(without_a_path_pins_live_in_memory),
        STORY(file_that_cannot_be_written_still_holds_pins_in_memory),
        STORY(more_relays_than_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
