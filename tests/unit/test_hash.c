/* The keyed hash map. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "wzp/base/hash.h"
#include "wzp/base/list.h"

#define ENTRIES 1000

struct entry {
    struct wz_hash_node node;
    char key[16];
    bool visited;
};

static void fill_fixed(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(0x5a + i);
}

static const struct wz_rng fixed_rng = { .fill = fill_fixed };

static struct wz_bytes key_of(const struct entry *e)
{
    return wz_bytes_str(e->key);
}

static struct entry *make_entries(struct wz_hash *map)
{
    struct entry *e = calloc(ENTRIES, sizeof *e);

    assert_non_null(e);
    assert_int_equal(wz_hash_init(map, &fixed_rng), 0);
    for (size_t i = 0; i < ENTRIES; i++) {
        (void)snprintf(e[i].key, sizeof e[i].key, "key-%zu", i);
        assert_int_equal(wz_hash_insert(map, &e[i].node, key_of(&e[i])), 0);
    }
    return e;
}

static void every_entry_is_found_after_growth(void **state)
{
    struct wz_hash map;
    struct entry *e = make_entries(&map);

    (void)state;
    assert_int_equal(map.count, ENTRIES);
    assert_true(map.mask >= ENTRIES / 2); /* it did grow */
    for (size_t i = 0; i < ENTRIES; i++)
        assert_ptr_equal(wz_hash_find(&map, key_of(&e[i])), &e[i].node);
    assert_null(wz_hash_find(&map, wz_bytes_str("key-1000")));
    assert_null(wz_hash_find(&map, wz_bytes_str("key-")));
    assert_null(wz_hash_find(&map, wz_bytes(NULL, 0)));
    wz_hash_done(&map);
    free(e);
}

static void second_insert_of_a_key_is_refused(void **state)
{
    struct wz_hash map;
    struct entry *e = make_entries(&map);
    struct entry twin = { .key = "key-500" };

    (void)state;
    assert_int_equal(wz_hash_insert(&map, &twin.node, key_of(&twin)), -EEXIST);
    assert_int_equal(map.count, ENTRIES);
    wz_hash_remove(&map, &e[500].node);
    assert_int_equal(wz_hash_insert(&map, &twin.node, key_of(&twin)), 0);
    assert_ptr_equal(wz_hash_find(&map, wz_bytes_str("key-500")), &twin.node);
    wz_hash_done(&map);
    free(e);
}

struct sweep {
    struct wz_hash *map;
    size_t visits;
};

static void visit_and_remove_even(void *arg, struct wz_hash_node *node)
{
    struct sweep *sweep = arg;
    struct entry *e = wz_container_of(node, struct entry, node);

    assert_false(e->visited);
    e->visited = true;
    sweep->visits++;
    if ((e->key[node->key.len - 1] - '0') % 2 == 0)
        wz_hash_remove(sweep->map, node);
}

static void removing_the_visited_entry_loses_no_other(void **state)
{
    struct wz_hash map;
    struct entry *e = make_entries(&map);
    struct sweep sweep = { .map = &map };

    (void)state;
    wz_hash_each(&map, visit_and_remove_even, &sweep);
    assert_int_equal(sweep.visits, ENTRIES);
    assert_int_equal(map.count, ENTRIES / 2);
    for (size_t i = 0; i < ENTRIES; i++)
        assert_int_equal(wz_hash_find(&map, key_of(&e[i])) != NULL, i % 2 != 0);
    wz_hash_done(&map);
    free(e);
}

/* SipHash-1-3 with key 00..0f over 00 01 02 ...: computed with an independent implementation that also
 * reproduces the published SipHash-2-4 vector. */
static void fill_reference_key(void *arg, uint8_t *out, size_t len)
{
    uint8_t *next = arg;

    for (size_t i = 0; i < len; i++)
        out[i] = (*next)++;
}

static void hash_is_siphash_1_3(void **state)
{
    uint8_t next = 0;
    const struct wz_rng rng = { .fill = fill_reference_key, .arg = &next };
    static const uint8_t in[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
    struct wz_hash map;
    struct wz_hash_node empty, one, eight, nine;

    (void)state;
    assert_int_equal(wz_hash_init(&map, &rng), 0);
    assert_int_equal(wz_hash_insert(&map, &empty, wz_bytes(in, 0)), 0);
    assert_int_equal(wz_hash_insert(&map, &one, wz_bytes(in, 1)), 0);
    assert_int_equal(wz_hash_insert(&map, &eight, wz_bytes(in, 8)), 0);
    assert_int_equal(wz_hash_insert(&map, &nine, wz_bytes(in, 9)), 0);
    assert_true(empty.hash == UINT64_C(0xabac0158050fc4dc));
    assert_true(one.hash == UINT64_C(0xc9f49bf37d57ca93));
    assert_true(eight.hash == UINT64_C(0x369095118d299a8e));
    assert_true(nine.hash == UINT64_C(0x25a48eb36c063de4));
    wz_hash_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_found_after_growth),
        cmocka_unit_test(second_insert_of_a_key_is_refused),
        cmocka_unit_test(removing_the_visited_entry_loses_no_other),
        cmocka_unit_test(hash_is_siphash_1_3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
