/* Messages on QUIC streams: framing, order, limits, credit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/lossy_udp.h"
#include "tests/support/quic_peer.h"
#include "wzp/io/quic_internal.h"

#define MIB (1024u * 1024u)

struct pair {
    struct quic_world *w;
    struct quic_log *ours, *theirs;
    struct lossy_udp *lossy; /**< between them */
};

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    struct wz_addr any, bob;

    p->w = quic_world_new(NULL, NULL);
    bob = wzp_quic_local(p->w->bob.quic);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &any), 0);
    assert_int_equal(lossy_udp_new(&p->lossy, p->w->loop, &any, &bob, 11), 0);
    any = lossy_udp_local(p->lossy);
    p->ours = quic_world_connect(p->w, &any, "_signal", &p->theirs);
    assert_non_null(p->ours);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    lossy_udp_free(p->lossy);
    quic_world_free(p->w);
    free(p);
    return 0;
}

/** Streams without a trace on either side. */
static bool all_quiet(const struct pair *p)
{
    return wz_list_is_empty(&p->ours->conn->streams) && wz_list_is_empty(&p->theirs->conn->streams) &&
           p->ours->conn->unsent_bytes == 0 && p->theirs->conn->held_bytes == 0;
}

static void assert_numbers_in_order(const struct quic_log *log, uint32_t count)
{
    assert_int_equal(log->messages, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(log->number[i], i);
}

static void messages_arrive_in_the_order_they_were_sent(void **state)
{
    struct pair *p = *state;

    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(quic_log_send_number(p->ours, i), 0);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 50, QUIC_WAIT_MS));
    assert_numbers_in_order(p->theirs, 50);
    assert_int_equal(wzp_quic_stats(p->w->bob.quic)->messages_rx, 50);
    assert_int_equal(wzp_quic_stats(p->w->alice.quic)->messages_tx, 50);
}

static void three_hundred_messages_each_way_do_not_run_out_of_credit(void **state)
{
    struct pair *p = *state;

    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(quic_log_send_number(p->ours, i), 0);
        assert_int_equal(quic_log_send_number(p->theirs, i), 0);
        assert_true(quic_wait(p->w->loop, p->theirs->messages == i + 1 && p->ours->messages == i + 1, QUIC_WAIT_MS));
    }
    assert_numbers_in_order(p->theirs, 300);
    assert_numbers_in_order(p->ours, 300);
    assert_true(quic_wait(p->w->loop, all_quiet(p), QUIC_WAIT_MS));
}

static void burst_beyond_the_stream_limit_waits_for_credit(void **state)
{
    struct pair *p = *state;

    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(quic_log_send_number(p->ours, i), 0);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 1000, QUIC_WAIT_MS));
    assert_numbers_in_order(p->theirs, 1000);
}

static uint8_t *patterned(size_t len, uint64_t *ret_sum)
{
    uint8_t *data = malloc(len ? len : 1);

    assert_non_null(data);
    *ret_sum = 0;
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
        *ret_sum += data[i];
    }
    return data;
}

static void message_of_one_mebibyte_arrives_whole(void **state)
{
    struct pair *p = *state;
    uint64_t sum;
    uint8_t *data = patterned(MIB, &sum);

    assert_int_equal(wzp_quic_send_message(p->ours->conn, wz_bytes(data, MIB)), 0);
    assert_int_equal(wzp_quic_send_message(p->ours->conn, wz_bytes(data, MIB + 1)), -EMSGSIZE);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 1, QUIC_WAIT_MS));
    assert_int_equal(p->theirs->message_len, MIB);
    assert_int_equal(p->theirs->message_sum, sum);
    free(data);
}

static void send_framed(struct quic_log *log, uint32_t announced, const uint8_t *body, size_t len)
{
    uint8_t prefix[4];
    struct wz_writer out = wz_writer(prefix, sizeof prefix);

    wz_put_u32be(&out, announced);
    assert_int_equal(quic_send_on_stream(log->conn, false, wz_bytes(prefix, 4), wz_bytes(body, len)), 0);
}

static void over_long_messages_are_reset_and_the_connection_lives(void **state)
{
    struct pair *p = *state;
    uint64_t sum;
    uint8_t *data = patterned(MIB + 1, &sum);

    for (uint32_t i = 0; i < 10; i++) { /* often enough to run out of window if any leaked */
        send_framed(p->ours, MIB + 1, data, MIB + 1);
        assert_int_equal(quic_log_send_number(p->ours, i), 0);
        assert_true(quic_wait(p->w->loop, p->theirs->messages == i + 1, QUIC_WAIT_MS));
        assert_int_equal(wzp_quic_stats(p->w->bob.quic)->streams_reset, i + 1);
        assert_true(quic_wait(p->w->loop, p->ours->conn->unsent_bytes == 0, QUIC_WAIT_MS));
    }
    assert_numbers_in_order(p->theirs, 10);
    assert_int_equal(p->theirs->closed, 0);
    assert_true(quic_wait(p->w->loop, all_quiet(p), QUIC_WAIT_MS));
    free(data);
}

static void broken_frames_are_skipped_and_counted(void **state)
{
    static const uint8_t short_body[50] = { 0 };
    struct pair *p = *state;

    assert_int_equal(quic_send_on_stream(p->ours->conn, false, wz_bytes(NULL, 0), wz_bytes("\0\0\1", 3)), 0);
    send_framed(p->ours, 100, short_body, sizeof short_body);
    assert_int_equal(quic_send_on_stream(p->ours->conn, false, wz_bytes(NULL, 0), wz_bytes(NULL, 0)), 0);
    assert_int_equal(quic_log_send_number(p->ours, 0), 0);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 1, QUIC_WAIT_MS));
    assert_int_equal(wzp_quic_stats(p->w->bob.quic)->streams_reset, 3);
    assert_true(quic_wait(p->w->loop, all_quiet(p), QUIC_WAIT_MS));
}

static void bytes_after_a_message_are_ignored(void **state)
{
    static const uint8_t body[] = { 0, 0, 0, 0, 'j', 'u', 'n', 'k' };
    struct pair *p = *state;

    send_framed(p->ours, 4, body, sizeof body);
    assert_int_equal(quic_log_send_number(p->ours, 1), 0);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 2, QUIC_WAIT_MS));
    assert_numbers_in_order(p->theirs, 2);
    assert_int_equal(wzp_quic_stats(p->w->bob.quic)->streams_reset, 0);
}

static void empty_message_is_a_message(void **state)
{
    struct pair *p = *state;

    assert_int_equal(wzp_quic_send_message(p->ours->conn, wz_bytes(NULL, 0)), 0);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 1, QUIC_WAIT_MS));
    assert_int_equal(p->theirs->message_len, 0);
}

static void later_message_waits_for_a_slow_earlier_one(void **state)
{
    struct pair *p = *state;
    uint64_t sum;
    uint8_t *data = patterned(300000, &sum);
    uint32_t zero = 0;

    memcpy(data, &zero, sizeof zero);
    assert_int_equal(wzp_quic_send_message(p->ours->conn, wz_bytes(data, 300000)), 0);
    for (uint32_t i = 1; i < 20; i++)
        assert_int_equal(quic_log_send_number(p->ours, i), 0);
    /* The large one needs several round trips for its windows, the small ones arrive in the first. */
    assert_true(quic_wait(p->w->loop, p->theirs->conn->held_bytes > 0, QUIC_WAIT_MS));
    assert_int_equal(p->theirs->messages, 0);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 20, QUIC_WAIT_MS));
    assert_numbers_in_order(p->theirs, 20);
    assert_int_equal(p->theirs->conn->held_bytes, 0);
    free(data);
}

static int reset_stream(ngtcp2_conn *qc, int64_t id)
{
#if QUIC_NGTCP2_1
    return ngtcp2_conn_shutdown_stream_write(qc, 0, id, 0);
#else
    return ngtcp2_conn_shutdown_stream_write(qc, id, 0);
#endif
}

static void message_that_its_sender_resets_is_skipped(void **state)
{
    struct pair *p = *state;
    uint64_t sum;
    uint8_t *data = patterned(300000, &sum);

    assert_int_equal(wzp_quic_send_message(p->ours->conn, wz_bytes(data, 300000)), 0);
    assert_int_equal(quic_log_send_number(p->ours, 0), 0);
    assert_true(quic_wait(p->w->loop, !wz_list_is_empty(&p->theirs->conn->rx_order), QUIC_WAIT_MS));
    assert_int_equal(reset_stream(p->ours->conn->qc, 0), 0);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 1, QUIC_WAIT_MS));
    assert_numbers_in_order(p->theirs, 1);
    assert_true(quic_wait(p->w->loop, all_quiet(p), QUIC_WAIT_MS));
    free(data);
}

static void messages_that_arrive_too_early_in_bulk_are_bounded(void **state)
{
    struct pair *p = *state;
    uint64_t sum;
    uint8_t *data = patterned(60000, &sum);

    /* An announced first message whose body never comes ... */
    assert_int_equal(wzp_quic_send_message(p->ours->conn, wz_bytes(data, 60000)), 0);
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 1, QUIC_WAIT_MS));
    p->theirs->conn->rx_next_id = -1; /* ... as if: nothing is ever at its turn */
    for (int i = 0; i < 40; i++)
        assert_int_equal(wzp_quic_send_message(p->ours->conn, wz_bytes(data, 60000)), 0);
    assert_true(quic_wait(p->w->loop, wzp_quic_stats(p->w->bob.quic)->streams_reset > 0, QUIC_WAIT_MS));
    (void)quic_wait(p->w->loop, p->ours->conn->unsent_bytes == 0, 300);
    assert_true(p->theirs->conn->held_bytes <= QUIC_HELD_MAX_BYTES);
    assert_int_equal(p->theirs->messages, 1);
    assert_int_equal(p->theirs->closed, 0);
    free(data);
}

static void uni_stream_carries_raw_bytes(void **state)
{
    struct pair *p = *state;
    char most[QUIC_UNI_MAX_BYTES + 1] = { 0 };

    assert_int_equal(wzp_quic_send_uni(p->theirs->conn, wz_bytes("9377a90", 7)), 0);
    assert_true(quic_wait(p->w->loop, p->ours->unis == 1, QUIC_WAIT_MS));
    assert_int_equal(p->ours->uni_len, 7);
    assert_memory_equal(p->ours->uni, "9377a90", 7);
    assert_int_equal(wzp_quic_send_uni(p->theirs->conn, wz_bytes(most, sizeof most - 1)), 0);
    assert_true(quic_wait(p->w->loop, p->ours->unis == 2, QUIC_WAIT_MS));
    assert_int_equal(wzp_quic_send_uni(p->theirs->conn, wz_bytes(most, sizeof most)), 0);
    assert_true(quic_wait(p->w->loop, wzp_quic_stats(p->w->alice.quic)->streams_reset == 1, QUIC_WAIT_MS));
    assert_int_equal(p->ours->unis, 2);
    /* ngtcp2 0.12 never lets go of a peer's unidirectional stream, so 100 are all a connection gets there. */
    for (int i = 0; i < 97; i++)
        assert_int_equal(wzp_quic_send_uni(p->theirs->conn, wz_bytes("x", 1)), 0);
    assert_true(quic_wait(p->w->loop, p->ours->unis == 99, QUIC_WAIT_MS));
}

static void messages_sent_before_the_handshake_wait_for_it(void **state)
{
    struct pair *p = *state;
    struct quic_log *early = quic_peer_dial(&p->w->alice, wzp_quic_local(p->w->bob.quic), "_signal");

    assert_int_equal(quic_log_send_number(early, 0), 0);
    assert_int_equal(quic_log_send_number(early, 1), 0);
    assert_int_equal(early->connected, 0);
    assert_true(quic_wait(p->w->loop, p->w->bob.logs == 2 && p->w->bob.log[1].messages == 2, QUIC_WAIT_MS));
    assert_numbers_in_order(&p->w->bob.log[1], 2);
}

static void peer_that_does_not_read_fills_a_bounded_queue(void **state)
{
    const struct lossy_udp_shape dead = { .loss = 1000 };
    struct pair *p = *state;
    uint64_t sum;
    uint8_t *data = patterned(MIB, &sum);
    int sent = 0;

    lossy_udp_shape(p->lossy, &dead);
    while (sent < 10 && wzp_quic_send_message(p->ours->conn, wz_bytes(data, MIB)) == 0)
        sent++;
    assert_int_equal(sent, 3); /* with their prefixes four do not fit into 4 MiB */
    assert_int_equal(wzp_quic_send_message(p->ours->conn, wz_bytes(data, MIB)), -ENOBUFS);
    free(data);
}

static void nothing_is_sent_after_close(void **state)
{
    struct pair *p = *state;
    struct wzp_quic_conn *conn = p->theirs->conn;

    wzp_quic_close(p->ours->conn, "done");
    assert_true(quic_wait(p->w->loop, p->theirs->closed, QUIC_WAIT_MS));
    /* The shell still exists inside; the owner must not use it, but a slip must not crash either. */
    assert_int_equal(wzp_quic_send_message(conn, wz_bytes("x", 1)), -ENOTCONN);
    assert_int_equal(wzp_quic_send_datagram(conn, wz_bytes("x", 1)), -ENOTCONN);
}

static void messages_survive_ten_per_cent_loss_in_order(void **state)
{
    const struct lossy_udp_shape bad = { .loss = 100, .delay_ms = 5, .jitter_ms = 5, .reorder = 50, .duplicate = 30 };
    struct pair *p = *state;

    lossy_udp_shape(p->lossy, &bad);
    for (uint32_t i = 0; i < 400; i++) {
        assert_int_equal(quic_log_send_number(p->ours, i), 0);
        assert_int_equal(quic_log_send_number(p->theirs, i), 0);
        if (i % 10 == 0)
            (void)quic_wait(p->w->loop, false, 5);
    }
    assert_true(quic_wait(p->w->loop, p->theirs->messages == 400 && p->ours->messages == 400, 30000));
    assert_numbers_in_order(p->theirs, 400);
    assert_numbers_in_order(p->ours, 400);
    assert_true(lossy_udp_stats(p->lossy)->lost > 0);
    assert_true(quic_wait(p->w->loop, all_quiet(p), 10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_arrive_in_the_order_they_were_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(three_hundred_messages_each_way_do_not_run_out_of_credit, setup, teardown),
        cmocka_unit_test_setup_teardown(burst_beyond_the_stream_limit_waits_for_credit, setup, teardown),
        cmocka_unit_test_setup_teardown(message_of_one_mebibyte_arrives_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(over_long_messages_are_reset_and_the_connection_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_frames_are_skipped_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_after_a_message_are_ignored, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_message_is_a_message, setup, teardown),
        cmocka_unit_test_setup_teardown(later_message_waits_for_a_slow_earlier_one, setup, teardown),
        cmocka_unit_test_setup_teardown(message_that_its_sender_resets_is_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_that_arrive_too_early_in_bulk_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(uni_stream_carries_raw_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_sent_before_the_handshake_wait_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_that_does_not_read_fills_a_bounded_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_sent_after_close, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_survive_ten_per_cent_loss_in_order, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
