/* UDP sockets on a loop over loopback: nothing lost or reordered per destination, with and without
 * coalescing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/udp.h"

#define TURN_MS     1000
#define DEADLINE_US UINT64_C(10000000)
#define RECORD_MAX  2048

struct peer {
    struct wz_udp *udp;
    size_t received;
    size_t len[RECORD_MAX];
    uint32_t number[RECORD_MAX]; /**< first four bytes of each packet */
    struct wz_addr from, local;
    struct wz_addr last_local;
    bool free_on_receive;
};

static struct wz_loop *loop;

static int open_loop(void **state)
{
    (void)state;
    return wz_loop_new(&loop);
}

static int close_loop(void **state)
{
    (void)state;
    wz_loop_free(loop);
    return 0;
}

static void on_packet(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    struct peer *p = arg;

    assert_true(p->received < RECORD_MAX);
    p->len[p->received] = len;
    if (len >= 4)
        memcpy(&p->number[p->received], data, 4);
    p->received++;
    p->from = *from;
    p->last_local = *local;
    if (len)
        data[0] ^= 0xff; /* the callback may write */
    if (p->free_on_receive) {
        wz_udp_free(p->udp);
        p->udp = NULL;
    }
}

static int try_open(struct peer *p, const char *bind_to, bool gro)
{
    struct wz_udp_config config = { .fd = -1, .want_gro = gro, .packet = on_packet, .arg = p, .buffer_bytes = 1 << 20 };

    *p = (struct peer){ 0 };
    assert_int_equal(wz_addr_parse(bind_to, &config.bind), 0);
    return wz_udp_new(&p->udp, loop, &config);
}

static void open_peer(struct peer *p, const char *bind_to, bool gro)
{
    assert_int_equal(try_open(p, bind_to, gro), 0);
    p->local = wz_udp_local(p->udp);
    assert_true(p->local.port != 0);
}

static void send_number(struct peer *p, uint32_t number, size_t len, const struct wz_addr *to)
{
    uint8_t data[WZ_UDP_PACKET_MAX] = { 0 };

    memcpy(data, &number, sizeof number);
    assert_int_equal(wz_udp_send(p->udp, data, len, to, NULL), 0);
}

static void turn_until(const struct peer *p, size_t received)
{
    uint64_t deadline_us = wz_clock_us() + DEADLINE_US;

    while (p->received < received) {
        assert_int_equal(wz_loop_turn(loop, TURN_MS), 0);
        if (wz_clock_us() > deadline_us)
            fail_msg("%zu of %zu packets arrived", p->received, received);
    }
}

static void packet_leaves_at_the_end_of_the_turn_and_arrives_with_both_addresses(void **state)
{
    struct peer a, b;

    (void)state;
    open_peer(&a, "127.0.0.1:0", false);
    open_peer(&b, "127.0.0.1:0", false);
    send_number(&a, 7, 20, &b.local);
    assert_int_equal(wz_udp_stats(a.udp)->tx_packets, 0);
    turn_until(&b, 1);
    assert_int_equal(b.number[0], 7);
    assert_int_equal(b.len[0], 20);
    assert_true(wz_addr_equal(&b.from, &a.local));
    assert_true(wz_addr_equal(&b.last_local, &b.local));
    assert_int_equal(wz_udp_stats(a.udp)->tx_packets, 1);
    assert_int_equal(wz_udp_stats(a.udp)->tx_bytes, 20);
    assert_int_equal(wz_udp_stats(b.udp)->rx_packets, 1);
    wz_udp_free(a.udp);
    wz_udp_free(b.udp);
}

/** Three receivers, interleaved sizes: every receiver sees its own packets in order, with their sizes. */
static void check_interleaved(bool tx_gro, bool rx_gro)
{
    static const size_t sizes[] = { 160, 160, 160, 40, 1200, 1200, 160, 80, 160, 160 };
    static struct peer a, to[3];
    const size_t packets = 600;

    open_peer(&a, "127.0.0.1:0", tx_gro);
    for (int i = 0; i < 3; i++)
        open_peer(&to[i], "127.0.0.1:0", rx_gro);
    for (uint32_t n = 0; n < packets; n++)
        send_number(&a, n, sizes[n / 3 % 10], &to[n % 3].local);
    for (uint32_t i = 0; i < 3; i++) {
        turn_until(&to[i], packets / 3);
        for (uint32_t k = 0; k < packets / 3; k++) {
            assert_int_equal(to[i].number[k], 3 * k + i);
            assert_int_equal(to[i].len[k], sizes[k % 10]);
        }
        assert_int_equal(to[i].received, packets / 3);
    }
    assert_int_equal(wz_udp_stats(a.udp)->tx_packets, packets);
    assert_int_equal(wz_udp_stats(a.udp)->tx_dropped, 0);
    for (int i = 0; i < 3; i++)
        wz_udp_free(to[i].udp);
    wz_udp_free(a.udp);
}

static void plain_batches_keep_order_and_sizes(void **state)
{
    (void)state;
    check_interleaved(false, false);
}

static void segmented_batches_keep_order_and_sizes(void **state)
{
    (void)state;
    check_interleaved(true, true);
}

static void segmented_sender_reaches_a_plain_receiver(void **state)
{
    (void)state;
    check_interleaved(true, false);
}

static void empty_and_largest_packets_pass_and_one_byte_more_is_refused(void **state)
{
    uint8_t data[WZ_UDP_PACKET_MAX + 1] = { 0 };
    struct peer a, b;

    (void)state;
    open_peer(&a, "127.0.0.1:0", true);
    open_peer(&b, "127.0.0.1:0", true);
    assert_int_equal(wz_udp_send(a.udp, NULL, 0, &b.local, NULL), 0);
    assert_int_equal(wz_udp_send(a.udp, data, WZ_UDP_PACKET_MAX, &b.local, NULL), 0);
    assert_int_equal(wz_udp_send(a.udp, data, WZ_UDP_PACKET_MAX + 1, &b.local, NULL), -EMSGSIZE);
    turn_until(&b, 2);
    assert_int_equal(b.len[0], 0);
    assert_int_equal(b.len[1], WZ_UDP_PACKET_MAX);
    wz_udp_free(a.udp);
    wz_udp_free(b.udp);
}

static void reserved_slot_that_is_not_committed_sends_nothing(void **state)
{
    struct peer a, b;

    (void)state;
    open_peer(&a, "127.0.0.1:0", false);
    open_peer(&b, "127.0.0.1:0", false);
    for (int i = 0; i < 1000; i++)
        assert_non_null(wz_udp_reserve(a.udp));
    memset(wz_udp_reserve(a.udp), 1, WZ_UDP_PACKET_MAX);
    wz_udp_commit(a.udp, 10, &b.local, NULL);
    turn_until(&b, 1);
    assert_int_equal(wz_udp_stats(a.udp)->tx_packets, 1);
    wz_udp_free(a.udp);
    wz_udp_free(b.udp);
}

static void wildcard_socket_learns_and_chooses_the_local_address(void **state)
{
    struct peer any, b;
    struct wz_addr to;
    char text[WZ_ADDR_TEXT_MAX];

    (void)state;
    open_peer(&any, "0.0.0.0:0", false);
    open_peer(&b, "127.0.0.1:0", false);
    assert_int_equal(wz_addr_parse_ip("127.0.0.5", any.local.port, &to), 0);
    send_number(&b, 1, 8, &to);
    turn_until(&any, 1);
    assert_string_equal(wz_addr_format_ip(&any.last_local, text), "127.0.0.5");
    assert_int_equal(any.last_local.port, any.local.port);
    assert_int_equal(wz_udp_send(any.udp, "abcd", 4, &b.local, &any.last_local), 0); /* answer from there */
    turn_until(&b, 1);
    assert_true(wz_addr_equal(&b.from, &any.last_local));
    wz_udp_free(any.udp);
    wz_udp_free(b.udp);
}

static void dual_stack_socket_speaks_plain_ipv4_and_ipv6(void **state)
{
    struct peer any, v4, v6;
    struct wz_addr to;
    int err;

    (void)state;
    err = try_open(&any, "[::]:0", true);
    if (err == -EAFNOSUPPORT)
        skip(); /* a kernel without IPv6 */
    assert_int_equal(err, 0);
    open_peer(&v4, "127.0.0.1:0", false);
    assert_int_equal(wz_addr_parse_ip("127.0.0.1", wz_udp_local(any.udp).port, &to), 0);
    send_number(&v4, 1, 8, &to);
    turn_until(&any, 1);
    assert_int_equal(any.from.family, WZ_ADDR_V4);
    assert_true(wz_addr_equal(&any.from, &v4.local));
    assert_true(wz_addr_equal(&any.last_local, &to));
    assert_int_equal(wz_udp_send(any.udp, "abcd", 4, &any.from, &any.last_local), 0);
    turn_until(&v4, 1);
    assert_true(wz_addr_equal(&v4.from, &to));
    if (try_open(&v6, "[::1]:0", false) == 0) {
        v6.local = wz_udp_local(v6.udp);
        assert_int_equal(wz_addr_parse_ip("::1", wz_udp_local(any.udp).port, &to), 0);
        send_number(&v6, 2, 8, &to);
        turn_until(&any, 2);
        assert_true(wz_addr_equal(&any.from, &v6.local));
        assert_int_equal(wz_udp_send(any.udp, "abcd", 4, &any.from, &any.last_local), 0);
        turn_until(&v6, 1);
        wz_udp_free(v6.udp);
    }
    wz_udp_free(any.udp);
    wz_udp_free(v4.udp);
}

static void unreachable_family_is_dropped_and_counted(void **state)
{
    struct peer a;
    struct wz_addr to;

    (void)state;
    open_peer(&a, "127.0.0.1:0", false);
    assert_int_equal(wz_addr_parse("[2001:db8::1]:9", &to), 0);
    send_number(&a, 1, 8, &to);
    send_number(&a, 1, 8, &(struct wz_addr){ 0 });
    wz_udp_flush(a.udp);
    assert_int_equal(wz_udp_stats(a.udp)->tx_dropped, 2);
    assert_int_equal(wz_udp_stats(a.udp)->tx_packets, 0);
    wz_udp_free(a.udp);
}

static void refused_message_does_not_hold_up_the_rest_of_the_batch(void **state)
{
    struct peer a, b;
    struct wz_addr broadcast;

    (void)state;
    open_peer(&a, "127.0.0.1:0", true);
    open_peer(&b, "127.0.0.1:0", true);
    assert_int_equal(wz_addr_parse("255.255.255.255:9", &broadcast), 0); /* EACCES without SO_BROADCAST */
    send_number(&a, 1, 8, &b.local);
    send_number(&a, 0, 8, &broadcast);
    send_number(&a, 2, 8, &b.local);
    turn_until(&b, 2);
    assert_int_equal(b.number[1], 2);
    assert_int_equal(wz_udp_stats(a.udp)->tx_dropped, 1);
    wz_udp_free(a.udp);
    wz_udp_free(b.udp);
}

static void packets_of_a_turn_leave_in_one_call_whoever_they_are_for(void **state)
{
    enum { PEERS = 20, EACH = 5 };
    static struct peer a, to[PEERS];

    (void)state;
    open_peer(&a, "127.0.0.1:0", true);
    for (unsigned i = 0; i < PEERS; i++)
        open_peer(&to[i], "127.0.0.1:0", true);
    for (uint32_t n = 0; n < EACH; n++) /* interleaved, as a relay forwards */
        for (unsigned i = 0; i < PEERS; i++)
            send_number(&a, n, 100, &to[i].local);
    for (unsigned i = 0; i < PEERS; i++) {
        turn_until(&to[i], EACH);
        for (uint32_t n = 0; n < EACH; n++)
            assert_int_equal(to[i].number[n], n);
        /* What one peer gets is one segmented message, which arrives as one. */
        assert_int_equal(wz_udp_stats(to[i].udp)->rx_calls, 1);
    }
    assert_int_equal(wz_udp_stats(a.udp)->tx_packets, PEERS * EACH);
    assert_int_equal(wz_udp_stats(a.udp)->tx_calls, 1);
    wz_udp_free(a.udp);
    for (unsigned i = 0; i < PEERS; i++)
        wz_udp_free(to[i].udp);
}

static void socket_may_be_freed_by_its_own_callback(void **state)
{
    struct peer a, b;
    uint64_t deadline_us = wz_clock_us() + DEADLINE_US;

    (void)state;
    open_peer(&a, "127.0.0.1:0", true);
    open_peer(&b, "127.0.0.1:0", true);
    b.free_on_receive = true;
    for (uint32_t i = 0; i < 20; i++)
        send_number(&a, i, 100, &b.local);
    while (b.udp && wz_clock_us() < deadline_us)
        assert_int_equal(wz_loop_turn(loop, TURN_MS), 0);
    assert_null(b.udp);
    assert_int_equal(b.received, 1);
    wz_udp_free(a.udp);
}

static void last_socket_of_the_loop_may_be_freed_by_its_own_callback(void **state)
{
    struct peer a, b;

    (void)state;
    open_peer(&a, "127.0.0.1:0", false);
    open_peer(&b, "127.0.0.1:0", false);
    b.free_on_receive = true;
    send_number(&a, 1, 100, &b.local);
    wz_udp_free(a.udp); /* what was queued still leaves */
    turn_until(&b, 1);
    assert_null(b.udp);
}

static void busy_socket_yields_after_a_bounded_number_of_packets(void **state)
{
    static struct peer a, b;

    (void)state;
    open_peer(&a, "127.0.0.1:0", true);
    open_peer(&b, "127.0.0.1:0", false);
    for (uint32_t i = 0; i < 400; i++)
        send_number(&a, i, 20, &b.local);
    wz_udp_flush(a.udp);
    assert_int_equal(wz_loop_turn(loop, TURN_MS), 0);
    assert_int_equal(b.received, 256); /* four batches of 64 */
    turn_until(&b, 400);
    wz_udp_free(a.udp);
    wz_udp_free(b.udp);
}

static void overlong_datagram_is_not_delivered(void **state)
{
    static uint8_t big[4000];
    struct peer a, b;
    struct sockaddr_storage ss;
    socklen_t len;

    (void)state;
    open_peer(&a, "127.0.0.1:0", false);
    open_peer(&b, "127.0.0.1:0", false);
    len = wz_addr_to_sockaddr(&b.local, &ss);
    assert_int_equal(sendto(wz_udp_fd(a.udp), big, sizeof big, 0, (struct sockaddr *)&ss, len), sizeof big);
    send_number(&a, 5, 8, &b.local);
    turn_until(&b, 1);
    assert_int_equal(b.received, 1);
    assert_int_equal(b.number[0], 5);
    wz_udp_free(a.udp);
    wz_udp_free(b.udp);
}

static void adopted_socket_is_used_and_left_alone_on_failure(void **state)
{
    struct peer b;
    struct wz_udp *udp = NULL;
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct wz_udp_config config = { .fd = fd, .packet = on_packet, .arg = &b };

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    open_peer(&b, "127.0.0.1:0", false);
    assert_int_equal(wz_udp_new(&udp, loop, &config), 0);
    assert_int_equal(wz_udp_fd(udp), fd);
    assert_int_equal(wz_udp_send(udp, "abcd", 4, &b.local, NULL), 0);
    turn_until(&b, 1);
    wz_udp_free(udp);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed with it */
    config.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(wz_udp_new(&udp, loop, &config), -ENOTSOCK);
    assert_true(fcntl(config.fd, F_GETFD) >= 0); /* still the caller's */
    (void)close(config.fd);
    wz_udp_free(b.udp);
}

static void taken_port_is_reported(void **state)
{
    struct peer a, b;
    char text[WZ_ADDR_TEXT_MAX];

    (void)state;
    open_peer(&a, "127.0.0.1:0", false);
    assert_int_equal(try_open(&b, wz_addr_format(&a.local, text), false), -EADDRINUSE);
    assert_null(b.udp);
    wz_udp_free(a.udp);
    wz_udp_free(NULL);
}

static void local_address_towards_loopback_is_loopback(void **state)
{
    struct wz_addr dest, local;

    (void)state;
    assert_int_equal(wz_addr_parse("127.0.0.9:9", &dest), 0);
    assert_int_equal(wz_addr_local_towards(&dest, &local), 0);
    assert_int_equal(wz_addr_kind(&local), WZ_ADDR_KIND_LOOPBACK);
    assert_int_equal(wz_addr_local_towards(&(struct wz_addr){ 0 }, &local), -EINVAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_loop, close_loop)
    const struct CMUnitTest tests[] = {
        T(packet_leaves_at_the_end_of_the_turn_and_arrives_with_both_addresses),
        T(plain_batches_keep_order_and_sizes),
        T(segmented_batches_keep_order_and_sizes),
        T(segmented_sender_reaches_a_plain_receiver),
        T(empty_and_largest_packets_pass_and_one_byte_more_is_refused),
        T(reserved_slot_that_is_not_committed_sends_nothing),
        T(wildcard_socket_learns_and_chooses_the_local_address),
        T(dual_stack_socket_speaks_plain_ipv4_and_ipv6),
        T(unreachable_family_is_dropped_and_counted),
        T(refused_message_does_not_hold_up_the_rest_of_the_batch),
        T(packets_of_a_turn_leave_in_one_call_whoever_they_are_for),
        T(socket_may_be_freed_by_its_own_callback),
        T(last_socket_of_the_loop_may_be_freed_by_its_own_callback),
        T(busy_socket_yields_after_a_bounded_number_of_packets),
        T(overlong_datagram_is_not_delivered),
        T(adopted_socket_is_used_and_left_alone_on_failure),
        T(taken_port_is_reported),
        T(local_address_towards_loopback_is_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
