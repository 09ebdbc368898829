/* One event loop per thread: epoll, a timer heap, and one flush per turn.
 * Runs bare (wz_loop_run) or under another loop through its pollable fd (wz_loop_fd + wz_loop_turn).
 * Thread: every function but wz_loop_stop is called on the loop's own thread. */
#ifndef WZP_RT_LOOP_H
#define WZP_RT_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "wzp/base/list.h"

struct wz_loop;

int wz_loop_new(struct wz_loop **ret);
/** NULL-safe. Every io, timer and flush must have been taken off before. */
void wz_loop_free(struct wz_loop *loop);

/** Monotonic time in microseconds, read once per turn. */
uint64_t wz_loop_now_us(const struct wz_loop *loop);

/** Run turns until wz_loop_stop(). 0, or negative errno if epoll itself fails. */
int wz_loop_run(struct wz_loop *loop);
/** Make wz_loop_run() return after the current turn. Thread: any. */
void wz_loop_stop(struct wz_loop *loop);

/** One turn: wait at most timeout_ms (-1: until something is due), dispatch, run timers, run flushes. */
int wz_loop_turn(struct wz_loop *loop, int timeout_ms);
/** Readable whenever wz_loop_turn() has work or a timer is due (timers arm a timerfd inside). */
int wz_loop_fd(struct wz_loop *loop);

/** A watched file descriptor, embedded in its owner. */
struct wz_io {
    struct wz_loop *loop;
    int fd;
    void (*ready)(void *arg, uint32_t events); /**< EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR */
    void *arg;
};

/** Watch fd, level-triggered. The fd stays the caller's to close, after wz_io_done(). */
int wz_io_init(struct wz_io *io, struct wz_loop *loop, int fd, uint32_t events,
               void (*ready)(void *arg, uint32_t events), void *arg);
int wz_io_events(struct wz_io *io, uint32_t events);
/** Safe inside any callback of the same turn, also for an io whose event is still pending; and twice. */
void wz_io_done(struct wz_io *io);

#define WZ_NEVER UINT64_MAX

/** A one-shot timer, embedded in its owner. */
struct wz_timer {
    struct wz_loop *loop;
    void (*fire)(void *arg);
    void *arg;
    uint64_t at_us;
    uint32_t heap_index; /**< 0: not armed */
};

void wz_timer_init(struct wz_timer *timer, struct wz_loop *loop, void (*fire)(void *arg), void *arg);
/** Arm or move. WZ_NEVER disarms; a time in the past fires in this or the next turn. */
void wz_timer_set(struct wz_timer *timer, uint64_t at_us);
/** Disarm; safe inside callbacks and twice. Call before the owner is freed. */
void wz_timer_cancel(struct wz_timer *timer);

/** Work collected during a turn and done once at its end (batched sends). */
struct wz_flush {
    struct wz_loop *loop;
    void (*run)(void *arg);
    void *arg;
    struct wz_list node;
};

void wz_flush_init(struct wz_flush *flush, struct wz_loop *loop, void (*run)(void *arg), void *arg);
/** Ask for run() at the end of this turn; asking twice runs it once. A run() may request others. */
void wz_flush_request(struct wz_flush *flush);
void wz_flush_cancel(struct wz_flush *flush);

/** Deliver a signal on this loop (signalfd; the caller has blocked signo in every thread). */
struct wz_signal_watch {
    struct wz_io io;
    int signo;
    void (*caught)(void *arg, int signo);
    void *arg;
};
int wz_signal_watch_init(struct wz_signal_watch *watch, struct wz_loop *loop, int signo,
                         void (*caught)(void *arg, int signo), void *arg);
void wz_signal_watch_done(struct wz_signal_watch *watch);

#endif
