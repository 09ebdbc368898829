/* The mailbox: order, bound, wake-up from another thread, nothing lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/mailbox.h"

#define CAPACITY    8
#define POSTERS     4
#define POSTS_EACH  2000
#define DEADLINE_US UINT64_C(20000000)

struct letter {
    int from;
    int number;
};

struct reader {
    struct wz_loop *loop;
    struct wz_mailbox *box;
    int last[POSTERS];
    int received;
    int dropped;
    bool repost;
};

static void on_letter(void *arg, void *item)
{
    struct reader *r = arg;
    const struct letter *l = item;

    assert_int_equal(l->number, r->last[l->from] + 1); /* in order, none lost, none twice */
    r->last[l->from] = l->number;
    r->received++;
    if (r->repost) {
        const struct letter again = { .from = l->from, .number = l->number + 1 };
        assert_int_equal(wz_mailbox_post(r->box, &again), 0);
    }
}

static void on_drop(void *arg, void *item)
{
    struct reader *r = arg;
    const struct letter *l = item;

    assert_int_equal(l->number, ++r->dropped);
}

static void open_box(struct reader *r)
{
    *r = (struct reader){ 0 };
    assert_int_equal(wz_loop_new(&r->loop), 0);
    assert_int_equal(wz_mailbox_new(&r->box, r->loop, CAPACITY, sizeof(struct letter), on_letter, r), 0);
}

static void close_box(struct reader *r, void (*drop)(void *, void *))
{
    wz_mailbox_free(r->box, drop);
    wz_loop_free(r->loop);
}

static void items_arrive_in_order_on_the_loop(void **state)
{
    struct reader r;

    (void)state;
    open_box(&r);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(wz_mailbox_post(r.box, &(struct letter){ .number = i }), 0);
    assert_int_equal(r.received, 0); /* never inside post */
    assert_int_equal(wz_mailbox_waiting(r.box), 3);
    assert_int_equal(wz_loop_turn(r.loop, 1000), 0);
    assert_int_equal(r.received, 3);
    assert_int_equal(wz_mailbox_waiting(r.box), 0);
    close_box(&r, NULL);
}

static void full_box_refuses_one_past_its_capacity_and_recovers(void **state)
{
    struct reader r;

    (void)state;
    open_box(&r);
    for (int i = 1; i <= CAPACITY; i++)
        assert_int_equal(wz_mailbox_post(r.box, &(struct letter){ .number = i }), 0);
    assert_int_equal(wz_mailbox_post(r.box, &(struct letter){ .number = CAPACITY + 1 }), -EAGAIN);
    assert_int_equal(wz_loop_turn(r.loop, 1000), 0);
    assert_int_equal(r.received, CAPACITY);
    assert_int_equal(wz_mailbox_post(r.box, &(struct letter){ .number = CAPACITY + 1 }), 0);
    assert_int_equal(wz_loop_turn(r.loop, 1000), 0);
    assert_int_equal(r.received, CAPACITY + 1);
    close_box(&r, NULL);
}

static void items_left_at_free_are_given_to_drop(void **state)
{
    struct reader r;

    (void)state;
    open_box(&r);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(wz_mailbox_post(r.box, &(struct letter){ .number = i }), 0);
    close_box(&r, on_drop);
    assert_int_equal(r.received, 0);
    assert_int_equal(r.dropped, 5);
}

static void receiver_that_posts_to_itself_does_not_hang_the_turn(void **state)
{
    struct reader r;

    (void)state;
    open_box(&r);
    r.repost = true;
    assert_int_equal(wz_mailbox_post(r.box, &(struct letter){ .number = 1 }), 0);
    assert_int_equal(wz_loop_turn(r.loop, 1000), 0);
    assert_int_equal(r.received, CAPACITY);
    assert_int_equal(wz_loop_turn(r.loop, 1000), 0); /* still awake */
    assert_int_equal(r.received, 2 * CAPACITY);
    close_box(&r, NULL);
}

struct poster {
    struct wz_mailbox *box;
    int from;
};

static void *post_many(void *arg)
{
    const struct poster *p = arg;

    for (int i = 1; i <= POSTS_EACH;) {
        if (wz_mailbox_post(p->box, &(struct letter){ .from = p->from, .number = i }) == 0)
            i++;
        else
            (void)sched_yield();
    }
    return NULL;
}

static void posts_from_many_threads_all_arrive_in_each_threads_order(void **state)
{
    struct reader r;
    pthread_t thread[POSTERS];
    struct poster poster[POSTERS];
    uint64_t deadline_us = wz_clock_us() + DEADLINE_US;

    (void)state;
    open_box(&r);
    for (int i = 0; i < POSTERS; i++) {
        poster[i] = (struct poster){ .box = r.box, .from = i };
        assert_int_equal(pthread_create(&thread[i], NULL, post_many, &poster[i]), 0);
    }
    while (r.received < POSTERS * POSTS_EACH) {
        assert_int_equal(wz_loop_turn(r.loop, 1000), 0);
        assert_true(wz_clock_us() < deadline_us);
    }
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(r.received, POSTERS * POSTS_EACH);
    close_box(&r, NULL);
}

static void senseless_sizes_are_refused(void **state)
{
    struct wz_mailbox *box = NULL;

    (void)state;
    assert_int_equal(wz_mailbox_new(&box, NULL, 0, 4, on_letter, NULL), -EINVAL);
    assert_int_equal(wz_mailbox_new(&box, NULL, 4, 0, on_letter, NULL), -EINVAL);
    assert_null(box);
    wz_mailbox_free(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_arrive_in_order_on_the_loop),
        cmocka_unit_test(full_box_refuses_one_past_its_capacity_and_recovers),
        cmocka_unit_test(items_left_at_free_are_given_to_drop),
        cmocka_unit_test(receiver_that_posts_to_itself_does_not_hang_the_turn),
        cmocka_unit_test(posts_from_many_threads_all_arrive_in_each_threads_order),
        cmocka_unit_test(senseless_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
