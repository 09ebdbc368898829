/* QUIC datagrams: sizes, queue, sharing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/quic_peer.h"
#include "wzp/io/quic_internal.h"

static int setup(void **state)
{
    *state = quic_world_new(NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    quic_world_free(*state);
    return 0;
}

static struct quic_log *connect_up(struct quic_world *w, struct quic_log **ret_theirs)
{
    struct quic_log *ours = quic_world_connect(w, NULL, "room", ret_theirs);

    assert_non_null(ours);
    return ours;
}

static void datagrams_travel_both_ways_byte_for_byte(void **state)
{
    static const uint8_t odd[11] = { 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    assert_int_equal(wzp_quic_send_datagram(ours->conn, wz_bytes(odd, sizeof odd)), 0);
    assert_int_equal(wzp_quic_send_datagram(theirs->conn, wz_bytes(NULL, 0)), 0);
    assert_true(quic_wait(w->loop, theirs->datagrams == 1 && ours->datagrams == 1, QUIC_WAIT_MS));
    assert_int_equal(theirs->datagram_len, sizeof odd);
    assert_memory_equal(theirs->datagram, odd, sizeof odd);
    assert_int_equal(ours->datagram_len, 0);
}

static void largest_datagram_passes_and_one_more_byte_does_not(void **state)
{
    uint8_t data[1500];
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);
    size_t max = wzp_quic_conn_max_datagram(ours->conn);

    assert_true(max >= 1150 && max <= 1500);
    memset(data, 0xa5, sizeof data);
    assert_int_equal(wzp_quic_send_datagram(ours->conn, wz_bytes(data, max)), 0);
    assert_int_equal(wzp_quic_send_datagram(ours->conn, wz_bytes(data, max + 1)), -EMSGSIZE);
    assert_true(quic_wait(w->loop, theirs->datagrams == 1, QUIC_WAIT_MS));
    assert_int_equal(theirs->datagram_len, max);
    assert_memory_equal(theirs->datagram, data, max);
    assert_int_equal(wzp_quic_stats(w->alice.quic)->datagrams_dropped, 1);
}

static void path_mtu_discovery_makes_room_for_larger_ones(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    assert_true(quic_wait(w->loop, wzp_quic_conn_max_datagram(ours->conn) > 1400, QUIC_WAIT_MS));
    assert_true(wzp_quic_conn_max_datagram(ours->conn) <= QUIC_PACKET_MAX);
}

static void before_the_handshake_there_are_no_datagrams(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *ours = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");

    assert_int_equal(wzp_quic_conn_max_datagram(ours->conn), 0);
    assert_int_equal(wzp_quic_send_datagram(ours->conn, wz_bytes("x", 1)), -ENOTCONN);
}

static void record_number(struct quic_log *log)
{
    struct wz_reader in = wz_reader(wz_bytes(log->datagram, log->datagram_len));
    uint32_t number = 0;

    (void)wz_get_u32be(&in, &number);
    log->number[(log->datagrams - 1) % QUIC_LOG_NUMBERS] = number;
}

static void send_numbered(struct quic_log *log, uint32_t number)
{
    uint8_t data[20] = { 0 };
    struct wz_writer out = wz_writer(data, sizeof data);

    wz_put_u32be(&out, number);
    assert_int_equal(wzp_quic_send_datagram(log->conn, wz_bytes(data, sizeof data)), 0);
}

static void full_queue_drops_its_oldest(void **state)
{
    const uint32_t sent = QUIC_DATAGRAM_QUEUE + 44;
    struct wzp_quic_conn_stats stats;
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    w->bob.on_datagram = record_number;
    for (uint32_t i = 0; i < sent; i++)
        send_numbered(ours, i);
    assert_true(quic_wait(w->loop, theirs->datagrams == QUIC_DATAGRAM_QUEUE, QUIC_WAIT_MS));
    for (uint32_t i = 0; i < QUIC_DATAGRAM_QUEUE; i++)
        assert_int_equal(theirs->number[i], i + 44);
    wzp_quic_conn_stats(ours->conn, &stats);
    assert_int_equal(stats.datagrams_dropped, 44);
    assert_int_equal(stats.datagrams_tx, QUIC_DATAGRAM_QUEUE);
}

static void datagrams_that_wait_share_packets(void **state)
{
    struct wzp_quic_conn_stats before, after;
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    (void)quic_wait(w->loop, false, 50); /* the handshake settles */
    wzp_quic_conn_stats(ours->conn, &before);
    for (uint32_t i = 0; i < 100; i++)
        send_numbered(ours, i);
    assert_true(quic_wait(w->loop, theirs->datagrams == 100, QUIC_WAIT_MS));
    wzp_quic_conn_stats(ours->conn, &after);
    assert_true(after.packets_tx - before.packets_tx < 10);
}

static size_t pool_in_use(const struct wzp_quic *quic)
{
    size_t unused = 0;

    for (const struct quic_buffer *b = quic->pool.free; b; b = b->next_free)
        unused++;
    return quic->pool.total - unused;
}

/** What both ends have sent. */
static uint64_t packets_of(const struct quic_log *a, const struct quic_log *b)
{
    struct wzp_quic_conn_stats one, other;

    wzp_quic_conn_stats(a->conn, &one);
    wzp_quic_conn_stats(b->conn, &other);
    return one.packets_tx + other.packets_tx;
}

static void acknowledgements_of_media_leave_with_media(void **state)
{
    enum { ROUNDS = 40, ROUND_MS = 5 };
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);
    uint64_t before;

    (void)quic_wait(w->loop, wzp_quic_conn_max_datagram(ours->conn) > 1300, QUIC_WAIT_MS); /* probes have gone */
    before = packets_of(ours, theirs);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        send_numbered(ours, i);
        send_numbered(theirs, i);
        (void)quic_wait(w->loop, false, ROUND_MS);
    }
    assert_int_equal(ours->datagrams, ROUNDS);
    assert_int_equal(theirs->datagrams, ROUNDS);
    /* One packet a datagram; with an acknowledgement of its own for each it would be twice as many. */
    assert_true(packets_of(ours, theirs) - before <= 2 * ROUNDS + ROUNDS / 2);
}

static void lone_datagram_is_acknowledged_all_the_same(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);
    uint64_t room;

    (void)quic_wait(w->loop, wzp_quic_conn_max_datagram(ours->conn) > 1300, QUIC_WAIT_MS);
    (void)quic_wait(w->loop, false, 100); /* whatever was in flight has been acknowledged */
    room = ngtcp2_conn_get_cwnd_left(ours->conn->qc);
    send_numbered(ours, 1);
    assert_true(quic_wait(w->loop, theirs->datagrams == 1, QUIC_WAIT_MS));
    assert_true(ngtcp2_conn_get_cwnd_left(ours->conn->qc) < room);
    assert_true(quic_wait(w->loop, ngtcp2_conn_get_cwnd_left(ours->conn->qc) >= room, QUIC_WAIT_MS));
    assert_int_equal(theirs->conn->stats.datagrams_tx, 0);
}

static void fan_out_shares_one_buffer(void **state)
{
    struct wzp_quic_conn *list[4] = { NULL };
    struct quic_world *w = *state;
    struct quic_log *theirs[3];

    for (size_t i = 0; i < 3; i++) {
        (void)connect_up(w, &theirs[i]);
        list[i + 1] = theirs[i]->conn; /* list[0] stays empty */
    }
    assert_int_equal(wzp_quic_send_datagram_all(list, 4, wz_bytes("to all", 6)), 3);
    assert_int_equal(pool_in_use(w->bob.quic), 1);
    assert_true(quic_wait(
        w->loop, w->alice.log[0].datagrams + w->alice.log[1].datagrams + w->alice.log[2].datagrams == 3, QUIC_WAIT_MS));
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(w->alice.log[i].datagram, "to all", 6);
    assert_int_equal(pool_in_use(w->bob.quic), 0);
}

static void fan_out_skips_closing_connections_and_crosses_endpoints(void **state)
{
    struct wzp_quic_conn *list[3];
    struct quic_world *w = *state;
    struct quic_log *theirs[2];
    struct quic_log *ours[2];

    for (size_t i = 0; i < 2; i++)
        ours[i] = connect_up(w, &theirs[i]);
    list[0] = theirs[0]->conn;
    list[1] = theirs[1]->conn;
    list[2] = ours[0]->conn; /* of the other endpoint: its own copy */
    wzp_quic_close(theirs[1]->conn, "leaving");
    assert_int_equal(wzp_quic_send_datagram_all(list, 3, wz_bytes("both", 4)), 2);
    assert_true(quic_wait(w->loop, ours[0]->datagrams == 1 && theirs[0]->datagrams == 1, QUIC_WAIT_MS));
    assert_int_equal(ours[1]->datagrams, 0);
}

static void echo(struct quic_log *log)
{
    if (log->conn)
        (void)wzp_quic_send_datagram(log->conn, wz_bytes(log->datagram, log->datagram_len));
}

static void steady_flow_needs_no_more_buffers(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    w->bob.on_datagram = echo;
    for (uint32_t i = 0; i < 2000; i++) {
        send_numbered(ours, i);
        assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    }
    assert_true(quic_wait(w->loop, ours->datagrams == 2000, QUIC_WAIT_MS));
    assert_int_equal(w->bob.quic->pool.total, QUIC_BUFFER_SLAB);
    assert_int_equal(w->alice.quic->pool.total, QUIC_BUFFER_SLAB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(datagrams_travel_both_ways_byte_for_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(largest_datagram_passes_and_one_more_byte_does_not, setup, teardown),
        cmocka_unit_test_setup_teardown(path_mtu_discovery_makes_room_for_larger_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(before_the_handshake_there_are_no_datagrams, setup, teardown),
        cmocka_unit_test_setup_teardown(full_queue_drops_its_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(datagrams_that_wait_share_packets, setup, teardown),
        cmocka_unit_test_setup_teardown(acknowledgements_of_media_leave_with_media, setup, teardown),
        cmocka_unit_test_setup_teardown(lone_datagram_is_acknowledged_all_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(fan_out_shares_one_buffer, setup, teardown),
        cmocka_unit_test_setup_teardown(fan_out_skips_closing_connections_and_crosses_endpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(steady_flow_needs_no_more_buffers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
