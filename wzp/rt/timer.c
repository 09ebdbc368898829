/* The binary heap behind struct wz_timer; see loop_internal.h. */
#include "wzp/rt/loop.h"

#include <stdlib.h>

#include "wzp/rt/loop_internal.h"

#define INITIAL_ROOM 64

static void place(struct wz_timer_heap *heap, size_t at, struct wz_timer *timer)
{
    heap->slot[at] = timer;
    timer->heap_index = (uint32_t)at;
}

static void sift_up(struct wz_timer_heap *heap, size_t at)
{
    struct wz_timer *timer = heap->slot[at];

    while (at > 1 && timer->at_us < heap->slot[at / 2]->at_us) {
        place(heap, at, heap->slot[at / 2]);
        at /= 2;
    }
    place(heap, at, timer);
}

static void sift_down(struct wz_timer_heap *heap, size_t at)
{
    struct wz_timer *timer = heap->slot[at];

    for (;;) {
        size_t child = at * 2;
        if (child > heap->count)
            break;
        if (child < heap->count && heap->slot[child + 1]->at_us < heap->slot[child]->at_us)
            child++;
        if (timer->at_us <= heap->slot[child]->at_us)
            break;
        place(heap, at, heap->slot[child]);
        at = child;
    }
    place(heap, at, timer);
}

static void make_room(struct wz_timer_heap *heap)
{
    size_t room = heap->room ? heap->room * 2 : INITIAL_ROOM;
    struct wz_timer **slot;

    if (heap->count + 1 < heap->room)
        return;
    slot = realloc(heap->slot, room * sizeof(struct wz_timer *));
    if (!slot)
        abort();
    heap->slot = slot;
    heap->room = room;
}

void wz_timer_heap_done(struct wz_timer_heap *heap)
{
    free(heap->slot);
    *heap = (struct wz_timer_heap){ 0 };
}

void wz_timer_heap_set(struct wz_timer_heap *heap, struct wz_timer *timer, uint64_t at_us)
{
    if (!timer->heap_index) {
        make_room(heap);
        timer->at_us = at_us;
        place(heap, ++heap->count, timer);
        sift_up(heap, heap->count);
        return;
    }
    bool earlier = at_us < timer->at_us;
    timer->at_us = at_us;
    if (earlier)
        sift_up(heap, timer->heap_index);
    else
        sift_down(heap, timer->heap_index);
}

void wz_timer_heap_remove(struct wz_timer_heap *heap, struct wz_timer *timer)
{
    size_t at = timer->heap_index;
    struct wz_timer *last = heap->slot[heap->count--];

    timer->heap_index = 0;
    if (last == timer)
        return;
    place(heap, at, last);
    sift_up(heap, at);
    sift_down(heap, last->heap_index);
}

uint64_t wz_timer_heap_next_us(const struct wz_timer_heap *heap)
{
    return heap->count ? heap->slot[1]->at_us : WZ_NEVER;
}

struct wz_timer *wz_timer_heap_pop_due(struct wz_timer_heap *heap, uint64_t now_us)
{
    struct wz_timer *timer;

    if (wz_timer_heap_next_us(heap) > now_us || !heap->count)
        return NULL;
    timer = heap->slot[1];
    wz_timer_heap_remove(heap, timer);
    timer->at_us = WZ_NEVER;
    return timer;
}
