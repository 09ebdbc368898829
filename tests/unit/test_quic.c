/* The QUIC endpoint: two of them in one process on loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/support/quic_peer.h"

#define WAIT_MS 5000

struct world {
    struct wz_loop *loop;
    struct quic_peer alice, bob; /**< alice dials, bob answers */
};

static int setup_with(void **state, const struct wzp_quic_config *a, const struct wzp_quic_config *b)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    assert_int_equal(wz_loop_new(&w->loop), 0);
    assert_int_equal(quic_peer_start(&w->alice, w->loop, a), 0);
    assert_int_equal(quic_peer_start(&w->bob, w->loop, b), 0);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    struct wzp_quic_config config = quic_peer_config();

    return setup_with(state, &config, &config);
}

static int teardown(void **state)
{
    struct world *w = *state;

    quic_peer_stop(&w->alice);
    quic_peer_stop(&w->bob);
    wz_loop_free(w->loop);
    free(w);
    return 0;
}

static struct wz_addr addr_of(const struct quic_peer *peer)
{
    return wzp_quic_local(peer->quic);
}

/** Both ends are up; *ret_theirs is bob's. */
static struct quic_log *connect_up(struct world *w, const char *sni, struct quic_log **ret_theirs)
{
    size_t before = w->bob.logs;
    struct quic_log *ours = quic_peer_dial(&w->alice, addr_of(&w->bob), sni);

    assert_non_null(ours);
    assert_true(quic_wait(w->loop, ours->connected && w->bob.logs > before, WAIT_MS));
    *ret_theirs = &w->bob.log[before];
    return ours;
}

static void client_and_server_connect_and_agree(void **state)
{
    struct world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, "_signal", &theirs);

    assert_string_equal(theirs->sni, "_signal");
    assert_int_equal(ours->connected, 1);
    assert_int_equal(theirs->connected, 1);
}

static void message_and_datagram_travel_both_ways(void **state)
{
    struct world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, "room", &theirs);

    assert_int_equal(quic_log_send_number(ours, 7), 0);
    assert_int_equal(quic_log_send_number(theirs, 9), 0);
    assert_int_equal(wzp_quic_send_datagram(ours->conn, wz_bytes("ping", 4)), 0);
    assert_int_equal(wzp_quic_send_datagram(theirs->conn, wz_bytes("pong!", 5)), 0);
    assert_true(quic_wait(w->loop, ours->messages && theirs->messages && ours->datagrams && theirs->datagrams, WAIT_MS));
    assert_int_equal(theirs->number[0], 7);
    assert_int_equal(ours->number[0], 9);
    assert_int_equal(theirs->datagram_len, 4);
    assert_memory_equal(ours->datagram, "pong!", 5);
}

static void close_reason_reaches_the_peer(void **state)
{
    struct world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, "room", &theirs);

    assert_int_equal(quic_log_send_number(ours, 1), 0);
    wzp_quic_close(ours->conn, "normal close");
    assert_int_equal(ours->closed, 1);
    assert_int_equal(ours->end, WZP_QUIC_END_LOCAL);
    assert_true(quic_wait(w->loop, theirs->closed, WAIT_MS));
    assert_int_equal(theirs->end, WZP_QUIC_END_PEER);
    assert_int_equal(theirs->code, 0);
    assert_string_equal(theirs->reason, "normal close");
    assert_int_equal(theirs->messages, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(client_and_server_connect_and_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(message_and_datagram_travel_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(close_reason_reaches_the_peer, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
