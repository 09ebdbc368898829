/* The event loop: order within a turn, timers, removal inside callbacks, and use under another loop. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define SECOND_US     UINT64_C(1000000)
#define TRACE_MAX     64
#define RANDOM_TIMERS 500

struct world {
    struct wz_loop *loop;
    char trace[TRACE_MAX + 1];
    size_t trace_len;
};

struct actor {
    struct world *world;
    char name;
    struct wz_timer timer;
    struct wz_flush flush;
    struct wz_io io;
    int fd;
    struct actor *victim;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    if (!w || wz_loop_new(&w->loop) != 0)
        return -1;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    wz_loop_free(w->loop);
    free(w);
    return 0;
}

static void note(struct world *w, char c)
{
    assert_true(w->trace_len < TRACE_MAX);
    w->trace[w->trace_len++] = c;
}

static void note_name(void *arg)
{
    const struct actor *a = arg;

    note(a->world, a->name);
}

static void note_io(void *arg, uint32_t events)
{
    assert_true(events & EPOLLIN);
    note_name(arg);
}

static struct actor timer_actor(struct world *w, char name)
{
    return (struct actor){ .world = w, .name = name };
}

static void open_ready_fd(struct actor *a)
{
    a->fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(a->fd >= 0);
}

static void timers_fire_in_order_of_time(void **state)
{
    struct world *w = *state;
    uint64_t now_us = wz_loop_now_us(w->loop);
    struct actor a = timer_actor(w, 'a'), b = timer_actor(w, 'b'), c = timer_actor(w, 'c');

    wz_timer_init(&a.timer, w->loop, note_name, &a);
    wz_timer_init(&b.timer, w->loop, note_name, &b);
    wz_timer_init(&c.timer, w->loop, note_name, &c);
    wz_timer_set(&c.timer, now_us - 10);
    wz_timer_set(&a.timer, now_us - 30);
    wz_timer_set(&b.timer, now_us - 20);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "abc");
    assert_int_equal(a.timer.heap_index, 0);
}

static void moved_timer_fires_once_and_cancelled_timer_never(void **state)
{
    struct world *w = *state;
    uint64_t now_us = wz_loop_now_us(w->loop);
    struct actor a = timer_actor(w, 'a'), b = timer_actor(w, 'b');

    wz_timer_init(&a.timer, w->loop, note_name, &a);
    wz_timer_init(&b.timer, w->loop, note_name, &b);
    wz_timer_set(&a.timer, now_us + 3600 * SECOND_US);
    wz_timer_set(&a.timer, now_us - 1);
    wz_timer_set(&b.timer, now_us - 1);
    wz_timer_cancel(&b.timer);
    wz_timer_cancel(&b.timer);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "a");
    wz_timer_set(&b.timer, now_us - 1);
    wz_timer_set(&b.timer, WZ_NEVER); /* the other way to disarm */
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "a");
}

static void rearm_for_the_past(void *arg)
{
    struct actor *a = arg;

    note(a->world, a->name);
    wz_timer_set(&a->timer, 0);
}

static void timer_that_rearms_itself_for_now_starves_nobody(void **state)
{
    struct world *w = *state;
    uint64_t now_us = wz_loop_now_us(w->loop);
    struct actor greedy = timer_actor(w, 'g'), meek = timer_actor(w, 'm');

    wz_timer_init(&greedy.timer, w->loop, rearm_for_the_past, &greedy);
    wz_timer_init(&meek.timer, w->loop, note_name, &meek);
    wz_timer_set(&greedy.timer, now_us - 5);
    wz_timer_set(&meek.timer, now_us - 4);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0); /* returns at all */
    assert_string_equal(w->trace, "gm");
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "gmg");
    wz_timer_cancel(&greedy.timer);
}

struct ordered_timer {
    struct wz_timer timer;
    uint64_t wanted_us;
    uint64_t *last_us;
    size_t *fired;
};

static void check_order(void *arg)
{
    struct ordered_timer *t = arg;

    assert_true(t->wanted_us >= *t->last_us);
    *t->last_us = t->wanted_us;
    ++*t->fired;
}

static void random_sets_moves_and_cancels_keep_the_heap_ordered(void **state)
{
    struct world *w = *state;
    static struct ordered_timer t[RANDOM_TIMERS];
    uint64_t now_us = wz_loop_now_us(w->loop);
    uint64_t last_us = 0;
    size_t fired = 0;
    size_t armed = 0;
    uint32_t seed;

    wz_rng_fill(&wz_rng_system, &seed, sizeof seed);
    print_message("seed %u\n", seed);
    srand(seed);
    for (size_t i = 0; i < RANDOM_TIMERS; i++) {
        t[i] = (struct ordered_timer){ .last_us = &last_us, .fired = &fired };
        wz_timer_init(&t[i].timer, w->loop, check_order, &t[i]);
    }
    for (size_t step = 0; step < 20 * RANDOM_TIMERS; step++) {
        struct ordered_timer *one = &t[(size_t)rand() % RANDOM_TIMERS];
        if (rand() % 4 == 0) {
            wz_timer_cancel(&one->timer);
        } else {
            one->wanted_us = now_us - (uint64_t)(rand() % 100000);
            wz_timer_set(&one->timer, one->wanted_us);
        }
    }
    for (size_t i = 0; i < RANDOM_TIMERS; i++)
        armed += t[i].timer.heap_index != 0;
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_int_equal(fired, armed);
    assert_true(armed > 0);
}

static void remove_victim(void *arg, uint32_t events)
{
    struct actor *a = arg;

    (void)events;
    note(a->world, a->name);
    wz_io_done(&a->victim->io);
    wz_io_done(&a->victim->io); /* twice is harmless */
    wz_io_done(&a->io);
}

static void io_removed_in_the_same_turn_is_not_called(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'x'), b = timer_actor(w, 'x');

    open_ready_fd(&a);
    open_ready_fd(&b);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(wz_io_init(&a.io, w->loop, a.fd, EPOLLIN, remove_victim, &a), 0);
    assert_int_equal(wz_io_init(&b.io, w->loop, b.fd, EPOLLIN, remove_victim, &b), 0);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "x"); /* whichever came first removed the other */
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "x");
    (void)close(a.fd);
    (void)close(b.fd);
}

static void io_events_can_be_muted_and_restored(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a');

    open_ready_fd(&a);
    assert_int_equal(wz_io_init(&a.io, w->loop, a.fd, 0, note_io, &a), 0);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "");
    assert_int_equal(wz_io_events(&a.io, EPOLLIN), 0);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "a");
    wz_io_done(&a.io);
    (void)close(a.fd);
    assert_int_equal(wz_io_init(&a.io, w->loop, -1, EPOLLIN, note_io, &a), -EBADF);
}

static void request_flush_of(void *arg)
{
    struct actor *a = arg;

    note(a->world, 't');
    wz_flush_request(&a->flush);
    wz_flush_request(&a->flush);
}

static void request_flush_io(void *arg, uint32_t events)
{
    struct actor *a = arg;

    (void)events;
    note(a->world, 'i');
    wz_flush_request(&a->flush);
}

static void flush_runs_once_a_turn_after_io_and_timers(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'F');

    open_ready_fd(&a);
    wz_flush_init(&a.flush, w->loop, note_name, &a);
    wz_timer_init(&a.timer, w->loop, request_flush_of, &a);
    wz_timer_set(&a.timer, wz_loop_now_us(w->loop) - 1);
    assert_int_equal(wz_io_init(&a.io, w->loop, a.fd, EPOLLIN, request_flush_io, &a), 0);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "itF");
    wz_io_done(&a.io);
    (void)close(a.fd);
}

static void flush_another(void *arg)
{
    struct actor *a = arg;

    note(a->world, a->name);
    wz_flush_request(&a->victim->flush);
}

static void flush_may_request_another_in_the_same_turn(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a'), b = timer_actor(w, 'b');

    a.victim = &b;
    wz_flush_init(&a.flush, w->loop, flush_another, &a);
    wz_flush_init(&b.flush, w->loop, note_name, &b);
    wz_flush_request(&a.flush);
    assert_int_equal(wz_loop_turn(w->loop, -1), 0); /* pending work: does not sleep */
    assert_string_equal(w->trace, "ab");
}

static void flush_that_requests_itself_does_not_hang_the_turn(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a');

    a.victim = &a;
    wz_flush_init(&a.flush, w->loop, flush_another, &a);
    wz_flush_request(&a.flush);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_true(w->trace_len >= 1);
    wz_flush_cancel(&a.flush);
    w->trace_len = 0;
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_int_equal(w->trace_len, 0);
}

static bool fd_readable_within_ms(struct wz_loop *loop, int timeout_ms)
{
    struct pollfd p = { .fd = wz_loop_fd(loop), .events = POLLIN };

    return poll(&p, 1, timeout_ms) == 1;
}

static void nested_fd_becomes_readable_when_a_timer_is_due(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a');
    uint64_t start_us = wz_clock_us();

    assert_false(fd_readable_within_ms(w->loop, 0));
    wz_timer_init(&a.timer, w->loop, note_name, &a);
    wz_timer_set(&a.timer, start_us + 20000);
    assert_true(fd_readable_within_ms(w->loop, 5000));
    assert_true(wz_clock_us() >= start_us + 20000);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "a");
    assert_false(fd_readable_within_ms(w->loop, 0)); /* and is quiet again */
}

static void nested_fd_does_not_spin_on_a_far_or_moved_timer(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a');
    uint64_t now_us = wz_clock_us();
    int turns = 0;

    (void)wz_loop_fd(w->loop);
    wz_timer_init(&a.timer, w->loop, note_name, &a);
    wz_timer_set(&a.timer, UINT64_MAX - 1);
    assert_false(fd_readable_within_ms(w->loop, 0));
    wz_timer_set(&a.timer, now_us + 2000);
    wz_timer_set(&a.timer, now_us + 3600 * SECOND_US); /* moved away: at most one empty turn */
    while (fd_readable_within_ms(w->loop, 20)) {
        assert_int_equal(wz_loop_turn(w->loop, 0), 0);
        assert_true(++turns <= 1);
    }
    assert_string_equal(w->trace, "");
    wz_timer_cancel(&a.timer);
}

static void bare_loop_sleeps_while_the_only_timer_is_far(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a');
    uint64_t before_us = wz_clock_us();
    uint64_t cpu_us = wz_cpu_thread_us();

    wz_timer_init(&a.timer, w->loop, note_name, &a);
    wz_timer_set(&a.timer, UINT64_MAX - 1);
    assert_int_equal(wz_loop_turn(w->loop, 30), 0);
    assert_true(wz_clock_us() - before_us >= 29000);
    assert_true(wz_cpu_thread_us() - cpu_us < 20000);
    wz_timer_cancel(&a.timer);
}

static void flush_requested_from_outside_makes_the_nested_fd_readable(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a');

    (void)wz_loop_fd(w->loop);
    wz_flush_init(&a.flush, w->loop, note_name, &a);
    wz_flush_request(&a.flush);
    assert_true(fd_readable_within_ms(w->loop, 0));
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "a");
    assert_false(fd_readable_within_ms(w->loop, 0));
}

static void *stop_from_thread(void *arg)
{
    wz_loop_stop(arg);
    return NULL;
}

static void stop_from_another_thread_ends_a_sleeping_run(void **state)
{
    struct world *w = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stop_from_thread, w->loop), 0);
    assert_int_equal(wz_loop_run(w->loop), 0); /* also when the stop came first */
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void stop_loop(void *arg)
{
    struct actor *a = arg;

    note(a->world, a->name);
    wz_loop_stop(a->world->loop);
}

static void loop_runs_again_after_a_stop(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a');

    wz_timer_init(&a.timer, w->loop, stop_loop, &a);
    for (int i = 0; i < 3; i++) {
        wz_timer_set(&a.timer, wz_clock_us() + 1000);
        assert_int_equal(wz_loop_run(w->loop), 0);
    }
    assert_string_equal(w->trace, "aaa");
}

static void note_signal(void *arg, int signo)
{
    assert_int_equal(signo, SIGUSR1);
    note_name(arg);
}

static void watched_signal_arrives_on_the_loop(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 's');
    struct wz_signal_watch watch;
    sigset_t set, old;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    assert_int_equal(wz_signal_watch_init(&watch, w->loop, SIGUSR1, note_signal, &a), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(wz_loop_turn(w->loop, 1000), 0);
    assert_string_equal(w->trace, "s");
    wz_signal_watch_done(&watch);
    wz_signal_watch_done(&watch);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
}

static void compare_clock_twice(void *arg)
{
    struct actor *a = arg;
    uint64_t first_us = wz_loop_now_us(a->world->loop);

    while (wz_clock_us() <= first_us + 100)
        ; /* let real time pass */
    assert_true(wz_loop_now_us(a->world->loop) == first_us);
    note(a->world, a->name);
}

static void time_stands_still_within_a_turn_and_runs_outside(void **state)
{
    struct world *w = *state;
    struct actor a = timer_actor(w, 'a');
    uint64_t before_us = wz_clock_us();

    wz_timer_init(&a.timer, w->loop, compare_clock_twice, &a);
    wz_timer_set(&a.timer, 0);
    assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    assert_string_equal(w->trace, "a");
    assert_true(wz_loop_now_us(w->loop) > before_us + 100);
    assert_true(wz_wall_us() > UINT64_C(1600000000) * SECOND_US);
    assert_true(wz_cpu_process_us() > 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(timers_fire_in_order_of_time),
        T(moved_timer_fires_once_and_cancelled_timer_never),
        T(timer_that_rearms_itself_for_now_starves_nobody),
        T(random_sets_moves_and_cancels_keep_the_heap_ordered),
        T(io_removed_in_the_same_turn_is_not_called),
        T(io_events_can_be_muted_and_restored),
        T(flush_runs_once_a_turn_after_io_and_timers),
        T(flush_may_request_another_in_the_same_turn),
        T(flush_that_requests_itself_does_not_hang_the_turn),
        T(nested_fd_becomes_readable_when_a_timer_is_due),
        T(nested_fd_does_not_spin_on_a_far_or_moved_timer),
        T(bare_loop_sleeps_while_the_only_timer_is_far),
        T(flush_requested_from_outside_makes_the_nested_fd_readable),
        T(stop_from_another_thread_ends_a_sleeping_run),
        T(loop_runs_again_after_a_stop),
        T(watched_signal_arrives_on_the_loop),
        T(time_stands_still_within_a_turn_and_runs_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
