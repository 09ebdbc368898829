/* The bad network of tests/support/lossy_udp.h: other tests rely on it doing what it says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/support/lossy_udp.h"
#include "tests/support/quic_peer.h"
#include "wzp/rt/udp.h"

#define PACKETS 1000
#define WAIT_MS 5000

struct world {
    struct wz_loop *loop;
    struct wz_udp *client, *target;
    struct lossy_udp *lossy;
    size_t count, back_count;
    uint16_t got[4 * PACKETS];
    uint64_t first_us;
    bool mute; /**< the target does not answer */
};

static void on_target(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    struct world *w = arg;

    (void)local;
    if (w->count == 0)
        w->first_us = wz_clock_us();
    if (len == 2 && w->count < sizeof w->got / sizeof w->got[0])
        memcpy(&w->got[w->count], data, 2);
    w->count++;
    if (!w->mute)
        (void)wz_udp_send(w->target, data, len, from, NULL);
}

static void on_client(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    struct world *w = arg;

    (void)data;
    (void)len;
    (void)from;
    (void)local;
    w->back_count++;
}

static struct wz_udp *open_udp(struct world *w, void (*packet)(void *, uint8_t *, size_t, const struct wz_addr *,
                                                               const struct wz_addr *))
{
    struct wz_udp_config config = { .fd = -1, .packet = packet, .arg = w, .buffer_bytes = 1 << 20 };
    struct wz_udp *udp;

    assert_int_equal(wz_addr_parse("127.0.0.1:0", &config.bind), 0);
    assert_int_equal(wz_udp_new(&udp, w->loop, &config), 0);
    return udp;
}

static void open_world(struct world *w, uint64_t seed)
{
    struct wz_addr any, target;

    memset(w, 0, sizeof *w);
    assert_int_equal(wz_loop_new(&w->loop), 0);
    w->target = open_udp(w, on_target);
    w->client = open_udp(w, on_client);
    target = wz_udp_local(w->target);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &any), 0);
    assert_int_equal(lossy_udp_new(&w->lossy, w->loop, &any, &target, seed), 0);
}

static void close_world(struct world *w)
{
    lossy_udp_free(w->lossy);
    wz_udp_free(w->client);
    wz_udp_free(w->target);
    wz_loop_free(w->loop);
}

/** Send count numbered packets, a few a turn so that no socket buffer overflows. */
static void send_numbered(struct world *w, uint16_t count)
{
    struct wz_addr to = lossy_udp_local(w->lossy);

    for (uint16_t i = 0; i < count; i++) {
        assert_int_equal(wz_udp_send(w->client, &i, sizeof i, &to, NULL), 0);
        if (i % 20 == 19)
            assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    }
}

static bool all_arrived(const struct world *w, uint64_t sent)
{
    const struct lossy_udp_stats *s = lossy_udp_stats(w->lossy);

    return s->received >= sent && s->forwarded + s->lost == s->received + s->duplicated;
}

static void perfect_network_keeps_everything_in_order(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, 1);
    send_numbered(&w, PACKETS);
    assert_true(quic_wait(w.loop, w.count == PACKETS && w.back_count == PACKETS, WAIT_MS));
    for (uint16_t i = 0; i < PACKETS; i++)
        assert_int_equal(w.got[i], i);
    close_world(&w);
}

static void delay_is_at_least_what_was_asked(void **state)
{
    const struct lossy_udp_shape shape = { .delay_ms = 40, .jitter_ms = 10 };
    struct world w;
    uint64_t start_us;

    (void)state;
    open_world(&w, 1);
    lossy_udp_shape(w.lossy, &shape);
    start_us = wz_clock_us();
    send_numbered(&w, 50);
    assert_true(quic_wait(w.loop, w.count == 50, WAIT_MS));
    assert_true(w.first_us - start_us >= 40000);
    for (uint16_t i = 0; i < 50; i++)
        assert_int_equal(w.got[i], i); /* jitter alone does not reorder */
    close_world(&w);
}

static void loss_duplicates_and_reordering_are_about_as_frequent_as_asked(void **state)
{
    const struct lossy_udp_shape shape = { .loss = 100, .duplicate = 50, .reorder = 50, .reorder_ms = 5 };
    const struct lossy_udp_stats *s;
    struct world w;

    (void)state;
    open_world(&w, 7);
    lossy_udp_shape(w.lossy, &shape);
    send_numbered(&w, PACKETS);
    s = lossy_udp_stats(w.lossy);
    assert_true(quic_wait(w.loop, all_arrived(&w, PACKETS) && all_arrived(&w, PACKETS + w.count), WAIT_MS));
    assert_true(s->lost * 1000 / s->received >= 70 && s->lost * 1000 / s->received <= 130);
    assert_true(s->duplicated * 1000 / s->received >= 25 && s->duplicated * 1000 / s->received <= 75);
    assert_true(s->reordered * 1000 / s->received >= 25 && s->reordered * 1000 / s->received <= 75);
    close_world(&w);
}

static void run_fates(uint64_t seed, bool ret_arrived[static 200])
{
    const struct lossy_udp_shape shape = { .loss = 300 };
    struct world w;

    open_world(&w, seed);
    w.mute = true; /* answers would throw dice too, at times that are not ours to say */
    lossy_udp_shape(w.lossy, &shape);
    send_numbered(&w, 200);
    assert_true(quic_wait(w.loop, all_arrived(&w, 200) && w.count == lossy_udp_stats(w.lossy)->forwarded, WAIT_MS));
    memset(ret_arrived, 0, 200 * sizeof *ret_arrived);
    for (size_t i = 0; i < w.count; i++)
        ret_arrived[w.got[i]] = true;
    close_world(&w);
}

static void same_seed_means_same_fate(void **state)
{
    bool first[200], again[200], other[200];

    (void)state;
    run_fates(42, first);
    run_fates(42, again);
    run_fates(43, other);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

static void two_clients_are_told_apart(void **state)
{
    struct world w;
    struct wz_udp *other;
    struct wz_addr to;
    size_t first;

    (void)state;
    open_world(&w, 1);
    to = lossy_udp_local(w.lossy);
    other = open_udp(&w, on_client);
    send_numbered(&w, 1);
    assert_true(quic_wait(w.loop, w.back_count == 1, WAIT_MS));
    first = w.count;
    assert_int_equal(wz_udp_send(other, "x", 1, &to, NULL), 0);
    assert_true(quic_wait(w.loop, w.count == first + 1 && w.back_count == 2, WAIT_MS));
    wz_udp_free(other);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perfect_network_keeps_everything_in_order),
        cmocka_unit_test(delay_is_at_least_what_was_asked),
        cmocka_unit_test(loss_duplicates_and_reordering_are_about_as_frequent_as_asked),
        cmocka_unit_test(same_seed_means_same_fate),
        cmocka_unit_test(two_clients_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
