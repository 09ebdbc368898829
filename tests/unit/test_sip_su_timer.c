/* sofia's timers on a private GMainContext. Newer upstream mixes clocks there: this is the guard. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>
#include <stdbool.h>

#include <sofia-sip/su.h>
#include <sofia-sip/su_glib.h>
#include <sofia-sip/su_wait.h>

#include "sip/selfcheck.h"
#include "wzp/rt/clock.h"

#define TIMER_MS    30
#define DEADLINE_US 3000000

struct world {
    GMainContext *context;
    su_root_t *root;
    GSource *source;
    uint64_t fired_at_us;
    unsigned fired;
};

static int open_world(void **state)
{
    struct world *world = g_new0(struct world, 1);
    su_init();
    world->context = g_main_context_new();
    world->root = su_glib_root_create(NULL);
    su_root_threading(world->root, 0);
    world->source = su_glib_root_gsource(world->root);
    g_source_attach(world->source, world->context);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    g_source_destroy(world->source);
    su_root_destroy(world->root);
    g_main_context_unref(world->context);
    g_free(world);
    return 0;
}

static void on_timer(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
    struct world *world = arg;
    (void)magic;
    (void)timer;
    world->fired++;
    world->fired_at_us = wz_clock_us();
}

static gboolean wake(gpointer arg)
{
    (void)arg;
    return G_SOURCE_CONTINUE;
}

/* Runs the context until the timer has fired often enough; a GLib time-out makes a dead timer a failure, not a hang. */
static void run_until(struct world *world, unsigned fired)
{
    const uint64_t until_us = wz_clock_us() + DEADLINE_US;
    GSource *ticker = g_timeout_source_new(100);
    g_source_set_callback(ticker, wake, NULL, NULL);
    g_source_attach(ticker, world->context);
    while (world->fired < fired && wz_clock_us() < until_us)
        g_main_context_iteration(world->context, TRUE);
    g_source_destroy(ticker);
    g_source_unref(ticker);
}

static void timer_fires_once_and_not_early(void **state)
{
    struct world *world = *state;
    const uint64_t start_us = wz_clock_us();
    su_timer_t *timer = su_timer_create(su_root_task(world->root), TIMER_MS);
    assert_int_equal(su_timer_set(timer, on_timer, world), 0);
    run_until(world, 1);
    assert_int_equal(world->fired, 1);
    assert_true(world->fired_at_us - start_us >= (TIMER_MS - 2) * 1000);
    su_timer_destroy(timer);
}

static void repeating_timer_goes_on(void **state)
{
    struct world *world = *state;
    su_timer_t *timer = su_timer_create(su_root_task(world->root), TIMER_MS);
    assert_int_equal(su_timer_set_for_ever(timer, on_timer, world), 0);
    run_until(world, 4);
    assert_true(world->fired >= 4);
    su_timer_destroy(timer);
}

static void selfcheck_of_the_binary_passes(void **state)
{
    (void)state;
    assert_int_equal(sipua_selfcheck(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timer_fires_once_and_not_early, open_world, close_world),
        cmocka_unit_test_setup_teardown(repeating_timer_goes_on, open_world, close_world),
        cmocka_unit_test(selfcheck_of_the_binary_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
