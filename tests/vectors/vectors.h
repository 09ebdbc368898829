/* Reading the golden vectors: tests/vectors/NAME.json, hex members into bytes. For test_vectors_*.c only. */
#ifndef TESTS_VECTORS_VECTORS_H
#define TESTS_VECTORS_VECTORS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/base/bytes.h"
#include "wzp/core/hex.h"

#define VECTOR_BYTES_MAX 4096

/** A decoded hex member. */
struct vector_bytes {
    uint8_t data[VECTOR_BYTES_MAX];
    size_t len;
};

/** The whole file; fails the test when it cannot be read. json_decref() it. */
static inline json_t *vector_load(const char *name)
{
    char path[1024];
    json_error_t error;

    (void)snprintf(path, sizeof path, "%s/tests/vectors/%s.json", WZP_SOURCE_DIR, name);
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return root;
}

static inline json_t *vector_member(const json_t *object, const char *name)
{
    json_t *member = json_object_get(object, name);
    if (!member)
        fail_msg("vector lacks \"%s\"", name);
    return member;
}

/** A non-empty list. */
static inline json_t *vector_list(const json_t *object, const char *name)
{
    json_t *list = vector_member(object, name);
    assert_true(json_array_size(list) > 0);
    return list;
}

static inline const char *vector_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(vector_member(object, name));
    assert_non_null(text);
    return text;
}

static inline unsigned vector_number(const json_t *object, const char *name)
{
    const json_t *member = vector_member(object, name);
    assert_true(json_is_integer(member));
    return (unsigned)json_integer_value(member);
}

static inline struct vector_bytes vector_hex_text(const char *text)
{
    assert_non_null(text);
    struct vector_bytes bytes = { .len = strlen(text) / 2 };

    assert_true(strlen(text) % 2 == 0 && bytes.len <= sizeof bytes.data);
    for (size_t i = 0; i < bytes.len; i++) {
        int high = wzp_hex_value(text[2 * i]), low = wzp_hex_value(text[2 * i + 1]);
        assert_true(high >= 0 && low >= 0);
        bytes.data[i] = (uint8_t)(high << 4 | low);
    }
    return bytes;
}

static inline struct vector_bytes vector_hex(const json_t *object, const char *name)
{
    return vector_hex_text(vector_text(object, name));
}

/** A hex member of exactly len bytes. */
static inline void vector_hex_into(const json_t *object, const char *name, uint8_t *ret, size_t len)
{
    struct vector_bytes bytes = vector_hex(object, name);
    assert_int_equal(bytes.len, len);
    memcpy(ret, bytes.data, len);
}

static inline struct wz_bytes vector_view(const struct vector_bytes *bytes)
{
    return wz_bytes(bytes->data, bytes->len);
}

/** The member must be exactly these bytes. */
static inline void vector_expect_hex(const json_t *object, const char *name, const void *data, size_t len)
{
    struct vector_bytes bytes = vector_hex(object, name);
    assert_int_equal(bytes.len, len);
    assert_memory_equal(bytes.data, data, len);
}

#endif
