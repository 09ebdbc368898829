/* See loop.h. The timer heap is in timer.c. */
#include "wzp/rt/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/loop_internal.h"

/** Events taken from epoll in one turn. */
#define EVENTS_PER_TURN 64
/** Flushes may request others; after so many rounds the rest waits for the next turn. */
#define FLUSH_ROUNDS_MAX 8
/** Longest sleep; a turn that finds nothing due sleeps again. */
#define WAIT_MAX_US (3600u * UINT64_C(1000000))

struct wz_loop {
    struct wz_timer_heap timers;
    struct wz_list flushes;
    struct epoll_event event[EVENTS_PER_TURN];
    int event_count; /**< valid in event[] during dispatch */
    int event_at;
    uint64_t now_us;
    uint64_t timerfd_at_us; /**< what the timerfd is armed for; WZ_NEVER: disarmed */
    struct wz_udp_shared *udp_shared;
    pthread_t owner; /**< the thread inside wz_loop_turn(); valid while in_turn */
    int epoll_fd;
    int timer_fd;
    int wake_fd;
    bool in_turn;
    bool nested;    /**< wz_loop_fd() was asked for: due timers and flushes must show on the epoll fd */
    bool no_pwait2; /**< the kernel or a seccomp filter refuses epoll_pwait2 */
    atomic_bool stopping;
};

/* epoll_event.data.ptr of the two descriptors that are not a struct wz_io. */
static const char timer_tag, wake_tag;

static void assert_owner(const struct wz_loop *loop)
{
    assert(!loop->in_turn || pthread_equal(loop->owner, pthread_self()));
    (void)loop;
}

static int add_internal_fd(struct wz_loop *loop, int fd, const void *tag)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = (void *)(uintptr_t)tag };

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int wz_loop_new(struct wz_loop **ret)
{
    struct wz_loop *loop = calloc(1, sizeof *loop);
    int err;

    if (!loop)
        return -ENOMEM;
    wz_list_init(&loop->flushes);
    loop->timerfd_at_us = WZ_NEVER;
    loop->now_us = wz_clock_us();
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->epoll_fd < 0 || loop->timer_fd < 0 || loop->wake_fd < 0) {
        err = -errno;
        goto out;
    }
    err = add_internal_fd(loop, loop->timer_fd, &timer_tag);
    if (!err)
        err = add_internal_fd(loop, loop->wake_fd, &wake_tag);
    if (err)
        goto out;
    *ret = loop;
    loop = NULL;
out:
    wz_loop_free(loop);
    return err;
}

void wz_loop_free(struct wz_loop *loop)
{
    if (!loop)
        return;
    if (loop->epoll_fd >= 0)
        (void)close(loop->epoll_fd);
    if (loop->timer_fd >= 0)
        (void)close(loop->timer_fd);
    if (loop->wake_fd >= 0)
        (void)close(loop->wake_fd);
    wz_timer_heap_done(&loop->timers);
    free(loop);
}

uint64_t wz_loop_now_us(const struct wz_loop *loop)
{
    /* Outside a turn (called from another loop's callback) the time of the last turn may be long ago. */
    return loop->in_turn ? loop->now_us : wz_clock_us();
}

static void kick(struct wz_loop *loop)
{
    const uint64_t one = 1;

    (void)!write(loop->wake_fd, &one, sizeof one); /* EAGAIN means it is readable already */
}

void wz_loop_stop(struct wz_loop *loop)
{
    atomic_store(&loop->stopping, true);
    kick(loop);
}

int wz_loop_run(struct wz_loop *loop)
{
    int err = 0;

    while (!err && !atomic_load(&loop->stopping))
        err = wz_loop_turn(loop, -1);
    atomic_store(&loop->stopping, false);
    return err;
}

/** Arm the timerfd for the earliest timer. Armed too early costs one empty turn, so later is not re-armed. */
static void update_timerfd(struct wz_loop *loop)
{
    uint64_t at_us = wz_timer_heap_next_us(&loop->timers);
    struct itimerspec spec = { 0 };
    bool expired = loop->timerfd_at_us <= loop->now_us;

    if (!loop->nested || (at_us >= loop->timerfd_at_us && !expired))
        return;
    if (at_us != WZ_NEVER) {
        /* Zero would disarm. */
        uint64_t wake_us = at_us ? at_us : 1;
        spec.it_value.tv_sec = (time_t)(wake_us / 1000000u);
        spec.it_value.tv_nsec = (long)(wake_us % 1000000u) * 1000;
    }
    /* Setting it also clears an expiry, so the timerfd is never read. Fails only for bad arguments. */
    (void)timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
    loop->timerfd_at_us = at_us;
}

int wz_loop_fd(struct wz_loop *loop)
{
    if (!loop->nested) {
        loop->nested = true;
        update_timerfd(loop);
        if (!wz_list_is_empty(&loop->flushes))
            kick(loop);
    }
    return loop->epoll_fd;
}

static uint64_t wait_us(const struct wz_loop *loop, int timeout_ms)
{
    uint64_t next_us = wz_timer_heap_next_us(&loop->timers);
    uint64_t limit_us = timeout_ms < 0 ? WAIT_MAX_US : (uint64_t)timeout_ms * 1000u;
    uint64_t now_us;

    if (limit_us == 0 || !wz_list_is_empty(&loop->flushes) || atomic_load(&loop->stopping))
        return 0;
    if (next_us == WZ_NEVER)
        return limit_us;
    now_us = wz_clock_us();
    if (next_us <= now_us)
        return 0;
    return next_us - now_us < limit_us ? next_us - now_us : limit_us;
}

/** Fill event[]. Microsecond time-outs where the kernel has them; else whole milliseconds, rounded up. */
static int wait_events(struct wz_loop *loop, uint64_t timeout_us)
{
    int n;

#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 35))
    if (timeout_us > 0 && !loop->no_pwait2) {
        struct timespec ts = { .tv_sec = (time_t)(timeout_us / 1000000u),
                               .tv_nsec = (long)(timeout_us % 1000000u) * 1000 };
        n = epoll_pwait2(loop->epoll_fd, loop->event, EVENTS_PER_TURN, &ts, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n < 0 ? -errno : n;
        loop->no_pwait2 = true;
    }
#endif
    n = epoll_wait(loop->epoll_fd, loop->event, EVENTS_PER_TURN, (int)((timeout_us + 999u) / 1000u));
    return n < 0 ? -errno : n;
}

static void dispatch_events(struct wz_loop *loop)
{
    for (loop->event_at = 0; loop->event_at < loop->event_count; loop->event_at++) {
        const struct epoll_event *ev = &loop->event[loop->event_at];
        struct wz_io *io = ev->data.ptr;
        uint64_t ignored;

        if (!io || io == (const void *)&timer_tag)
            continue; /* removed during this turn; or the timerfd, whose timers run below */
        if (io == (const void *)&wake_tag)
            (void)!read(loop->wake_fd, &ignored, sizeof ignored);
        else
            io->ready(io->arg, ev->events);
    }
    loop->event_count = 0;
}

static void run_timers(struct wz_loop *loop)
{
    /* A timer that re-arms itself for "now" runs again next turn: the budget is what was armed at the start.
     */
    size_t budget = loop->timers.count;
    struct wz_timer *timer;

    while (budget-- > 0 && (timer = wz_timer_heap_pop_due(&loop->timers, loop->now_us)))
        timer->fire(timer->arg);
}

static void run_flushes(struct wz_loop *loop)
{
    for (int round = 0; round < FLUSH_ROUNDS_MAX && !wz_list_is_empty(&loop->flushes); round++) {
        struct wz_list last_of_round;

        wz_list_append(&loop->flushes, &last_of_round);
        while (loop->flushes.next != &last_of_round) {
            struct wz_flush *flush = wz_container_of(loop->flushes.next, struct wz_flush, node);
            wz_list_remove(&flush->node);
            flush->run(flush->arg);
        }
        wz_list_remove(&last_of_round);
    }
    if (loop->nested && !wz_list_is_empty(&loop->flushes))
        kick(loop);
}

int wz_loop_turn(struct wz_loop *loop, int timeout_ms)
{
    int n = wait_events(loop, wait_us(loop, timeout_ms));

    assert(!loop->in_turn); /* no turn inside a turn */
    if (n == -EINTR)
        n = 0;
    if (n < 0)
        return n;
    loop->owner = pthread_self();
    loop->in_turn = true;
    loop->event_count = n;
    loop->now_us = wz_clock_us();
    dispatch_events(loop);
    run_timers(loop);
    run_flushes(loop);
    update_timerfd(loop);
    loop->in_turn = false;
    return 0;
}

int wz_io_init(struct wz_io *io, struct wz_loop *loop, int fd, uint32_t events,
               void (*ready)(void *arg, uint32_t events), void *arg)
{
    struct epoll_event ev = { .events = events, .data.ptr = io };

    assert_owner(loop);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -errno;
    *io = (struct wz_io){ .loop = loop, .fd = fd, .ready = ready, .arg = arg };
    return 0;
}

int wz_io_events(struct wz_io *io, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = io };

    assert_owner(io->loop);
    return epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &ev) < 0 ? -errno : 0;
}

void wz_io_done(struct wz_io *io)
{
    struct wz_loop *loop = io->loop;

    if (!loop)
        return;
    assert_owner(loop);
    for (int i = loop->event_at + 1; i < loop->event_count; i++)
        if (loop->event[i].data.ptr == io)
            loop->event[i].data.ptr = NULL;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL); /* fails only if the fd was closed early */
    io->loop = NULL;
}

void wz_timer_init(struct wz_timer *timer, struct wz_loop *loop, void (*fire)(void *arg), void *arg)
{
    *timer = (struct wz_timer){ .loop = loop, .fire = fire, .arg = arg, .at_us = WZ_NEVER };
}

void wz_timer_set(struct wz_timer *timer, uint64_t at_us)
{
    struct wz_loop *loop = timer->loop;

    if (at_us == WZ_NEVER) {
        wz_timer_cancel(timer);
        return;
    }
    assert_owner(loop);
    /* Never before now, so that a timer re-armed for the past cannot overtake others that are due. */
    if (loop->in_turn && at_us < loop->now_us)
        at_us = loop->now_us;
    wz_timer_heap_set(&loop->timers, timer, at_us);
    if (!loop->in_turn)
        update_timerfd(loop);
}

void wz_timer_cancel(struct wz_timer *timer)
{
    if (!timer->loop || !timer->heap_index)
        return;
    assert_owner(timer->loop);
    wz_timer_heap_remove(&timer->loop->timers, timer);
    timer->at_us = WZ_NEVER;
}

void wz_flush_init(struct wz_flush *flush, struct wz_loop *loop, void (*run)(void *arg), void *arg)
{
    *flush = (struct wz_flush){ .loop = loop, .run = run, .arg = arg };
    wz_list_init(&flush->node);
}

void wz_flush_request(struct wz_flush *flush)
{
    struct wz_loop *loop = flush->loop;

    assert_owner(loop);
    if (!wz_list_is_empty(&flush->node))
        return;
    wz_list_append(&loop->flushes, &flush->node);
    if (!loop->in_turn && loop->nested)
        kick(loop); /* asked from the outer loop's callback: make our fd readable */
}

void wz_flush_cancel(struct wz_flush *flush)
{
    if (flush->loop)
        wz_list_remove(&flush->node);
}

static void on_signal(void *arg, uint32_t events)
{
    struct wz_signal_watch *watch = arg;
    struct signalfd_siginfo info;

    (void)events;
    if (read(watch->io.fd, &info, sizeof info) == (ssize_t)sizeof info)
        watch->caught(watch->arg, (int)info.ssi_signo);
}

int wz_signal_watch_init(struct wz_signal_watch *watch, struct wz_loop *loop, int signo,
                         void (*caught)(void *arg, int signo), void *arg)
{
    sigset_t set;
    int fd;
    int err;

    (void)sigemptyset(&set);
    if (sigaddset(&set, signo) < 0)
        return -errno;
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    *watch = (struct wz_signal_watch){ .signo = signo, .caught = caught, .arg = arg };
    err = wz_io_init(&watch->io, loop, fd, EPOLLIN, on_signal, watch);
    if (err)
        (void)close(fd);
    return err;
}

void wz_signal_watch_done(struct wz_signal_watch *watch)
{
    if (!watch->io.loop)
        return;
    wz_io_done(&watch->io);
    (void)close(watch->io.fd);
}

struct wz_udp_shared **wz_loop_udp_shared(struct wz_loop *loop)
{
    return &loop->udp_shared;
}
