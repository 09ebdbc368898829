/* The file a seed lives in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wzp/io/seed_file.h"

struct place {
    char dir[64];
    char path[128];
};

static void fill_counting(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)i;
}

static const struct wz_rng counting = { .fill = fill_counting };

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/wzp-seed-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/a/b/seed", p->dir);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char sub[128];
    unlink(p->path);
    snprintf(sub, sizeof sub, "%s/a/b", p->dir);
    rmdir(sub);
    snprintf(sub, sizeof sub, "%s/a", p->dir);
    rmdir(sub);
    const int left = rmdir(p->dir); /* fails when a temporary file was left behind */
    free(p);
    return left;
}

static void write_file(const struct place *p, const char *text)
{
    char sub[128];
    snprintf(sub, sizeof sub, "%s/a", p->dir);
    mkdir(sub, 0700);
    snprintf(sub, sizeof sub, "%s/a/b", p->dir);
    mkdir(sub, 0700);
    FILE *f = fopen(p->path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void missing_file_is_made_for_its_owner_only_and_read_again(void **state)
{
    const struct place *p = *state;
    uint8_t seed[WZP_SEED_BYTES], again[WZP_SEED_BYTES];
    bool created = false, loose = true;
    struct stat info;
    assert_int_equal(wzp_seed_file_load(p->path, &counting, seed, &created, &loose), 0);
    assert_true(created);
    assert_false(loose);
    assert_int_equal(seed[31], 31);
    assert_int_equal(stat(p->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, 65);
    assert_int_equal(wzp_seed_file_load(p->path, &counting, again, &created, NULL), 0);
    assert_false(created);
    assert_memory_equal(seed, again, sizeof seed);
}

static void hex_without_newline_is_read_and_a_loose_mode_is_told(void **state)
{
    const struct place *p = *state;
    uint8_t seed[WZP_SEED_BYTES];
    bool loose = false;
    write_file(p, "00000000000000000000000000000000000000000000000000000000000000FF");
    assert_int_equal(chmod(p->path, 0644), 0);
    assert_int_equal(wzp_seed_file_load(p->path, &counting, seed, NULL, &loose), 0);
    assert_int_equal(seed[31], 0xff);
    assert_true(loose);
}

static void other_content_is_refused_and_left_alone(void **state)
{
    const struct place *p = *state;
    static const char *const contents[] = {
        "", "hello", "00ff", "00000000000000000000000000000000000000000000000000000000000000FF00"
    };
    uint8_t seed[WZP_SEED_BYTES] = { 7 };
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        struct stat info;
        write_file(p, contents[i]);
        assert_int_equal(wzp_seed_file_load(p->path, &counting, seed, NULL, NULL), -EBADMSG);
        assert_int_equal(seed[0], 7);
        assert_int_equal(stat(p->path, &info), 0);
        assert_int_equal(info.st_size, strlen(contents[i]));
    }
}

static void oversized_file_is_refused(void **state)
{
    const struct place *p = *state;
    uint8_t seed[WZP_SEED_BYTES];
    char text[400];
    memset(text, ' ', sizeof text);
    memset(text, '0', 64);
    text[sizeof text - 1] = '\0';
    write_file(p, text);
    assert_int_equal(wzp_seed_file_load(p->path, &counting, seed, NULL, NULL), -EBADMSG);
}

static void place_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    uint8_t seed[WZP_SEED_BYTES];
    assert_int_equal(wzp_seed_file_load("/dev/null/x/seed", &counting, seed, NULL, NULL), -ENOTDIR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(missing_file_is_made_for_its_owner_only_and_read_again),
        TEST(hex_without_newline_is_read_and_a_loose_mode_is_told),
        TEST(other_content_is_refused_and_left_alone),
        TEST(oversized_file_is_refused),
        cmocka_unit_test(place_that_cannot_be_made_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
