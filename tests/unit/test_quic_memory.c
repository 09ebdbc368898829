/* The allocator behind ngtcp2: every size, reuse, and that untouched parts of blocks stay out of memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wzp/io/quic_memory.h"

static void *take(struct quic_memory *memory, size_t size)
{
    void *block = memory->mem.malloc(size, memory->mem.user_data);

    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 16, 0);
    return block;
}

static void give(struct quic_memory *memory, void *block)
{
    memory->mem.free(block, memory->mem.user_data);
}

static void blocks_of_every_size_do_not_overlap(void **state)
{
    static const size_t size[] = { 1, 16, 4079, 4080, 4081, 8200, 12168, 16368, 16369, 70000 };
    enum { SIZES = sizeof size / sizeof size[0], COPIES = 100 };
    static uint8_t *block[SIZES][COPIES];
    struct quic_memory memory;

    (void)state;
    quic_memory_init(&memory);
    for (unsigned i = 0; i < SIZES; i++)
        for (unsigned j = 0; j < COPIES; j++)
            memset(block[i][j] = take(&memory, size[i]), (int)(i * COPIES + j) & 0xff, size[i]);
    for (unsigned i = 0; i < SIZES; i++) {
        for (unsigned j = 0; j < COPIES; j++) {
            for (size_t at = 0; at < size[i]; at++)
                if (block[i][j][at] != ((i * COPIES + j) & 0xff))
                    fail_msg("block %u of %zu bytes was overwritten at %zu", j, size[i], at);
            give(&memory, block[i][j]);
        }
    }
    quic_memory_done(&memory);
}

static void freed_block_is_used_again(void **state)
{
    struct quic_memory memory;
    void *first;

    (void)state;
    quic_memory_init(&memory);
    first = take(&memory, 8200);
    give(&memory, first);
    assert_ptr_equal(take(&memory, 8300), first);
    quic_memory_done(&memory);
}

static void growing_keeps_the_contents(void **state)
{
    static const size_t size[] = { 100, 3000, 5000, 9000, 9001, 15000, 50000 };
    struct quic_memory memory;
    uint8_t *block = NULL;

    (void)state;
    quic_memory_init(&memory);
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
        block = memory.mem.realloc(block, size[i], memory.mem.user_data);
        assert_non_null(block);
        for (size_t at = 0; i > 0 && at < size[i - 1]; at++)
            assert_int_equal(block[at], (uint8_t)at);
        for (size_t at = 0; at < size[i]; at++)
            block[at] = (uint8_t)at;
    }
    give(&memory, block);
    give(&memory, NULL);
    quic_memory_done(&memory);
}

static void zeroed_blocks_are_zero_and_overflow_is_refused(void **state)
{
    struct quic_memory memory;
    uint8_t *block;

    (void)state;
    quic_memory_init(&memory);
    give(&memory, memset(take(&memory, 8352), 0xff, 8352));
    block = memory.mem.calloc(2, 4176, memory.mem.user_data);
    assert_non_null(block);
    for (size_t i = 0; i < 8352; i++)
        assert_int_equal(block[i], 0);
    give(&memory, block);
    assert_null(memory.mem.calloc(SIZE_MAX / 2, 3, memory.mem.user_data));
    assert_null(memory.mem.malloc(SIZE_MAX - 4, memory.mem.user_data));
    quic_memory_done(&memory);
}

static void untouched_pages_of_a_block_are_not_resident(void **state)
{
    struct quic_memory memory;
    unsigned char resident[3];
    uint8_t *block;

    (void)state;
    quic_memory_init(&memory);
    block = take(&memory, 12000);
    block[0] = 1;
    assert_int_equal(mincore(block - 16, 12000, resident), 0);
    assert_int_equal(resident[0] & 1, 1);
    assert_int_equal(resident[1] & 1, 0);
    assert_int_equal(resident[2] & 1, 0);
    quic_memory_done(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_every_size_do_not_overlap),
        cmocka_unit_test(freed_block_is_used_again),
        cmocka_unit_test(growing_keeps_the_contents),
        cmocka_unit_test(zeroed_blocks_are_zero_and_overflow_is_refused),
        cmocka_unit_test(untouched_pages_of_a_block_are_not_resident),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
