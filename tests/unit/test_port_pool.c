#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/media/port_pool.h"
#include "wzp/rt/udp.h"

static struct wz_addr loopback(uint16_t port)
{
    struct wz_addr addr;
    assert_int_equal(wz_addr_parse_ip("127.0.0.1", port, &addr), 0);
    return addr;
}

static struct gw_port_pool *new_pool(unsigned pairs)
{
    const struct gw_port_pool_config config = { .bind_ip = loopback(0), .pair_count = pairs };
    struct gw_port_pool *pool = NULL;

    assert_int_equal(gw_port_pool_new(&pool, &config, NULL), 0);
    return pool;
}

static void close_pair(const struct gw_port_pair *pair)
{
    assert_int_equal(close(pair->fd_rtp), 0);
    assert_int_equal(close(pair->fd_rtcp), 0);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    return wz_addr_from_sockaddr((struct sockaddr *)&ss).port;
}

static void send_to(uint16_t port)
{
    const struct wz_addr addr = loopback(port);
    struct sockaddr_storage ss;
    const socklen_t len = wz_addr_to_sockaddr(&addr, &ss);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(sendto(fd, "stale", 5, 0, (struct sockaddr *)&ss, len), 5);
    (void)close(fd);
}

static void pairs_are_even_and_odd_neighbours(void **state)
{
    struct gw_port_pool *pool = new_pool(3);
    struct gw_port_pair pair[3];

    (void)state;
    assert_int_equal(gw_port_pool_total_pairs(pool), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(gw_port_pool_take(pool, 0, &pair[i]), 0);
        assert_int_equal(pair[i].port % 2, 0);
        assert_int_equal(port_of(pair[i].fd_rtp), pair[i].port);
        assert_int_equal(port_of(pair[i].fd_rtcp), pair[i].port + 1);
        assert_true(fcntl(pair[i].fd_rtp, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(pair[i].fd_rtp, F_GETFD) & FD_CLOEXEC);
    }
    assert_int_equal(gw_port_pool_free_pairs(pool), 0);
    struct gw_port_pair none = { .port = 7 };
    assert_int_equal(gw_port_pool_take(pool, 0, &none), -ENOSPC);
    assert_int_equal(none.port, 7);
    for (unsigned i = 0; i < 3; i++)
        close_pair(&pair[i]);
    gw_port_pool_free(pool);
    gw_port_pool_free(NULL);
}

static void a_returned_pair_rests_and_its_port_stays_bound(void **state)
{
    struct gw_port_pool *pool = new_pool(1);
    struct gw_port_pair pair, again;
    struct sockaddr_storage ss;

    (void)state;
    assert_int_equal(gw_port_pool_take(pool, 0, &pair), 0);
    close_pair(&pair);
    gw_port_pool_give(pool, pair.port, 1000);
    gw_port_pool_give(pool, pair.port, 1000); /* twice is once */
    assert_int_equal(gw_port_pool_free_pairs(pool), 1);
    const struct wz_addr addr = loopback(pair.port);
    const socklen_t len = wz_addr_to_sockaddr(&addr, &ss);
    const int thief = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(thief, (struct sockaddr *)&ss, len), -1);
    (void)close(thief);
    assert_int_equal(gw_port_pool_take(pool, 1000 + GW_PORT_POOL_REST_US - 1, &again), -ENOSPC);
    assert_int_equal(gw_port_pool_take(pool, 1000 + GW_PORT_POOL_REST_US, &again), 0);
    assert_int_equal(again.port, pair.port);
    close_pair(&again);
    gw_port_pool_free(pool);
}

static void a_pair_somebody_still_sends_to_rests_longer(void **state)
{
    struct gw_port_pool *pool = new_pool(1);
    struct gw_port_pair pair;
    uint8_t byte;

    (void)state;
    assert_int_equal(gw_port_pool_take(pool, 0, &pair), 0);
    close_pair(&pair);
    gw_port_pool_give(pool, pair.port, 0);
    send_to(pair.port);
    send_to((uint16_t)(pair.port + 1));
    assert_int_equal(gw_port_pool_take(pool, GW_PORT_POOL_REST_US, &pair), -ENOSPC);
    assert_int_equal(gw_port_pool_take(pool, 2 * GW_PORT_POOL_REST_US, &pair), 0);
    /* And nothing of the former call is in it. */
    assert_int_equal(recv(pair.fd_rtp, &byte, 1, 0), -1);
    assert_int_equal(recv(pair.fd_rtcp, &byte, 1, 0), -1);
    close_pair(&pair);
    gw_port_pool_free(pool);
}

static void pairs_take_turns(void **state)
{
    struct gw_port_pool *pool = new_pool(3);
    uint16_t last = 0;

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct gw_port_pair pair;
        assert_int_equal(gw_port_pool_take(pool, i * UINT64_C(1000000), &pair), 0);
        assert_int_not_equal(pair.port, last);
        last = pair.port;
        close_pair(&pair);
        gw_port_pool_give(pool, pair.port, i * UINT64_C(1000000));
    }
    gw_port_pool_free(pool);
}

static void a_stolen_port_is_found_at_start_and_named(void **state)
{
    struct gw_port_pool *first = new_pool(1), *second = NULL;
    struct gw_port_pair pair;
    uint16_t failed = 0;

    (void)state;
    assert_int_equal(gw_port_pool_take(first, 0, &pair), 0);
    const struct gw_port_pool_config config = {
        .bind_ip = loopback(0),
        .first_port = pair.port,
        .last_port = (uint16_t)(pair.port + 1),
    };
    assert_int_equal(gw_port_pool_new(&second, &config, &failed), -EADDRINUSE);
    assert_int_equal(failed, pair.port);
    assert_null(second);
    close_pair(&pair);
    gw_port_pool_free(first);
}

static void a_configured_range_holds_whole_pairs_only(void **state)
{
    struct gw_port_pool *probe = new_pool(1), *pool = NULL;
    struct gw_port_pair pair;

    (void)state;
    assert_int_equal(gw_port_pool_take(probe, 0, &pair), 0);
    close_pair(&pair);
    gw_port_pool_free(probe);
    /* From the odd port below to the even one above: one pair. */
    const struct gw_port_pool_config config = {
        .bind_ip = loopback(0),
        .first_port = (uint16_t)(pair.port - 1),
        .last_port = (uint16_t)(pair.port + 2),
    };
    const int err = gw_port_pool_new(&pool, &config, NULL);
    if (err == -EADDRINUSE)
        skip(); /* somebody took a neighbouring port meanwhile */
    assert_int_equal(err, 0);
    assert_int_equal(gw_port_pool_total_pairs(pool), 1);
    gw_port_pool_free(pool);
}

static void impossible_ranges_are_refused(void **state)
{
    const struct gw_port_pool_config bad[] = {
        { .bind_ip = loopback(0) },
        { .bind_ip = loopback(0), .first_port = 10001, .last_port = 10002 },
        { .bind_ip = loopback(0), .first_port = 10002, .last_port = 10000 },
        { .first_port = 10000, .last_port = 10001 },
        { .bind_ip = loopback(0), .pair_count = GW_PORT_POOL_PAIRS_MAX + 1 },
    };
    struct gw_port_pool *pool = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gw_port_pool_new(&pool, &bad[i], NULL), -EINVAL);
    assert_null(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_even_and_odd_neighbours),
        cmocka_unit_test(a_returned_pair_rests_and_its_port_stays_bound),
        cmocka_unit_test(a_pair_somebody_still_sends_to_rests_longer),
        cmocka_unit_test(pairs_take_turns),
        cmocka_unit_test(a_stolen_port_is_found_at_start_and_named),
        cmocka_unit_test(a_configured_range_holds_whole_pairs_only),
        cmocka_unit_test(impossible_ranges_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
