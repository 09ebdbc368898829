/* The keyed hash map and the object pool. */
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
#include "wzp/base/pool.h"

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

static void pool_hands_out_each_object_once_and_then_refuses(void **state)
{
    struct wz_pool pool = { 0 };
    uint8_t *got[5];

    (void)state;
    assert_int_equal(wz_pool_init(&pool, 5, 33), 0);
    for (int i = 0; i < 5; i++) {
        got[i] = wz_pool_get(&pool);
        assert_non_null(got[i]);
        assert_int_equal((uintptr_t)got[i] % alignof(max_align_t), 0);
        for (int j = 0; j < 33; j++)
            got[i][j] = (uint8_t)i;
    }
    for (int i = 0; i < 5; i++) /* objects do not overlap */
        assert_true(got[i][0] == i && got[i][32] == i);
    assert_null(wz_pool_get(&pool));
    wz_pool_put(&pool, got[2]);
    wz_pool_put(&pool, NULL);
    assert_int_equal(pool.free_count, 1);
    assert_ptr_equal(wz_pool_get(&pool), got[2]);
    wz_pool_done(&pool);
}

static void pool_refuses_sizes_that_overflow(void **state)
{
    struct wz_pool pool = { 0 };
    const volatile size_t huge = SIZE_MAX; /* a constant would make gcc warn of the loop that is never reached */

    (void)state;
    assert_int_equal(wz_pool_init(&pool, 0, 8), -EINVAL);
    assert_int_equal(wz_pool_init(&pool, 8, 0), -EINVAL);
    assert_int_equal(wz_pool_init(&pool, 2, huge), -EINVAL);
    assert_int_equal(wz_pool_init(&pool, huge, 16), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_found_after_growth),
        cmocka_unit_test(second_insert_of_a_key_is_refused),
        cmocka_unit_test(removing_the_visited_entry_loses_no_other),
        cmocka_unit_test(hash_is_siphash_1_3),
        cmocka_unit_test(pool_hands_out_each_object_once_and_then_refuses),
        cmocka_unit_test(pool_refuses_sizes_that_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
