/* What loop.c shares with its neighbours in wzp/rt; nobody else includes this. */
#ifndef WZP_RT_LOOP_INTERNAL_H
#define WZP_RT_LOOP_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

struct wz_loop;
struct wz_timer;
struct wz_udp_shared;

/** Binary heap ordered by at_us; slot 0 is unused so that heap_index 0 can mean "not armed". */
struct wz_timer_heap {
    struct wz_timer **slot;
    size_t count;
    size_t room; /**< slots allocated, the unused one included */
};

void wz_timer_heap_done(struct wz_timer_heap *heap);
/** Insert or move. Aborts when memory for the heap is exhausted: a lost timer would be a silent hang. */
void wz_timer_heap_set(struct wz_timer_heap *heap, struct wz_timer *timer, uint64_t at_us);
/** timer must be in the heap. */
void wz_timer_heap_remove(struct wz_timer_heap *heap, struct wz_timer *timer);
/** The earliest deadline, WZ_NEVER when there is none. */
uint64_t wz_timer_heap_next_us(const struct wz_timer_heap *heap);
/** Remove and return the earliest timer if it is due, else NULL. */
struct wz_timer *wz_timer_heap_pop_due(struct wz_timer_heap *heap, uint64_t now_us);

/** Place for the receive buffers that all UDP sockets of a loop share; NULL while there is no socket. */
struct wz_udp_shared **wz_loop_udp_shared(struct wz_loop *loop);

#endif
