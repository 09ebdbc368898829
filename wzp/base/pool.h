/* Fixed-size object pool: one allocation at start, none afterwards. When it is empty the caller drops and
 * counts. Thread: the owner's only. */
#ifndef WZP_BASE_POOL_H
#define WZP_BASE_POOL_H

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct wz_pool {
    uint8_t *memory;
    void *free_head; /**< singly linked through the objects' first bytes */
    size_t free_count;
    size_t capacity;
};

/** Room for count objects of object_bytes each. 0, -EINVAL (zero or overflowing sizes), -ENOMEM. */
static inline int wz_pool_init(struct wz_pool *pool, size_t count, size_t object_bytes)
{
    const size_t align = alignof(max_align_t);
    size_t stride;
    size_t total;
    uint8_t *memory;

    if (!count || !object_bytes || __builtin_add_overflow(object_bytes, align - 1, &stride))
        return -EINVAL;
    stride -= stride % align;
    if (__builtin_mul_overflow(stride, count, &total))
        return -EINVAL;
    memory = malloc(total);
    if (!memory)
        return -ENOMEM;
    *pool = (struct wz_pool){ .memory = memory, .free_count = count, .capacity = count };
    for (size_t i = count; i-- > 0;) {
        void **object = (void **)(void *)(memory + i * stride);
        *object = pool->free_head;
        pool->free_head = object;
    }
    return 0;
}

/** NULL-memory-safe. Objects still out become invalid. */
static inline void wz_pool_done(struct wz_pool *pool)
{
    free(pool->memory);
    *pool = (struct wz_pool){ 0 };
}

/** An uninitialised object, or NULL when all are out. */
static inline void *wz_pool_get(struct wz_pool *pool)
{
    void **object = pool->free_head;

    if (!object)
        return NULL;
    pool->free_head = *object;
    pool->free_count--;
    return object;
}

/** Give back an object that came from this pool. NULL-safe. */
static inline void wz_pool_put(struct wz_pool *pool, void *object)
{
    if (!object)
        return;
    *(void **)object = pool->free_head;
    pool->free_head = object;
    pool->free_count++;
}

#endif
