/* Life and death of QUIC connections: two endpoints in one process on loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/lossy_udp.h"
#include "tests/support/quic_peer.h"
#include "wzp/core/identity.h"
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

/** A bad network in front of bob. */
static struct lossy_udp *lossy_to_bob(struct quic_world *w, struct wz_addr *ret_addr)
{
    struct wz_addr any, bob = wzp_quic_local(w->bob.quic);
    struct lossy_udp *lossy;

    assert_int_equal(wz_addr_parse("127.0.0.1:0", &any), 0);
    assert_int_equal(lossy_udp_new(&lossy, w->loop, &any, &bob, 1), 0);
    *ret_addr = lossy_udp_local(lossy);
    return lossy;
}

static const struct lossy_udp_shape dead_network = { .loss = 1000 }, good_network = { .loss = 0 };

/* ---- up ---- */

static void both_ends_hear_once_that_they_are_connected(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    assert_int_equal(ours->connected, 1);
    assert_int_equal(theirs->connected, 1);
    assert_true(wzp_quic_conn_is_up(ours->conn));
    assert_true(wzp_quic_conn_is_server(theirs->conn));
    assert_false(wzp_quic_conn_is_server(ours->conn));
    assert_int_equal(wzp_quic_stats(w->alice.quic)->dialled, 1);
    assert_int_equal(wzp_quic_stats(w->bob.quic)->accepted, 1);
}

static void each_end_knows_both_addresses(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);
    struct wz_addr a = wzp_quic_local(w->alice.quic), b = wzp_quic_local(w->bob.quic), seen;

    seen = wzp_quic_conn_remote(ours->conn);
    assert_true(wz_addr_equal(&seen, &b));
    seen = wzp_quic_conn_local(ours->conn);
    assert_true(wz_addr_equal(&seen, &a));
    seen = wzp_quic_conn_remote(theirs->conn);
    assert_true(wz_addr_equal(&seen, &a));
    seen = wzp_quic_conn_local(theirs->conn);
    assert_true(wz_addr_equal(&seen, &b));
}

static void both_dial_at_once_on_the_same_sockets(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *a = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "call-call-x");
    struct quic_log *b = quic_peer_dial(&w->bob, wzp_quic_local(w->alice.quic), "call-call-x");

    assert_non_null(a);
    assert_non_null(b);
    assert_true(quic_wait(
        w->loop, a->connected && b->connected && quic_peer_accepted(&w->alice, 0) && quic_peer_accepted(&w->bob, 0),
        QUIC_WAIT_MS));
    assert_int_equal(quic_log_send_number(a, 1), 0);
    assert_int_equal(quic_log_send_number(b, 2), 0);
    assert_true(quic_wait(
        w->loop, quic_peer_accepted(&w->alice, 0)->messages && quic_peer_accepted(&w->bob, 0)->messages, QUIC_WAIT_MS));
    assert_int_equal(quic_peer_accepted(&w->alice, 0)->number[0], 2);
    assert_int_equal(quic_peer_accepted(&w->bob, 0)->number[0], 1);
}

static void answer_comes_from_the_address_that_was_dialled(void **state)
{
    struct wzp_quic_config any = quic_peer_config();
    struct quic_world *w;
    struct quic_log *ours, *theirs;
    struct wz_addr to, seen;

    (void)state;
    assert_int_equal(wz_addr_parse("0.0.0.0:0", &any.bind), 0);
    w = quic_world_new(&any, &any);
    assert_int_equal(wz_addr_parse_ip("127.0.0.2", wzp_quic_local(w->bob.quic).port, &to), 0);
    ours = quic_world_connect(w, &to, "room", &theirs);
    assert_non_null(ours);
    seen = wzp_quic_conn_local(theirs->conn);
    assert_true(wz_addr_equal(&seen, &to));
    quic_world_free(w);
}

static void dual_stack_endpoint_serves_ipv4_and_ipv6(void **state)
{
    struct wzp_quic_config both = quic_peer_config();
    struct quic_world *w;
    struct quic_log *ours, *theirs;
    struct wz_addr to;

    (void)state;
    assert_int_equal(wz_addr_parse("[::]:0", &both.bind), 0);
    w = quic_world_new(&both, &both);
    assert_int_equal(wz_addr_parse_ip("127.0.0.1", wzp_quic_local(w->bob.quic).port, &to), 0);
    ours = quic_world_connect(w, &to, "room", &theirs);
    assert_non_null(ours);
    assert_int_equal(wzp_quic_conn_remote(theirs->conn).family, WZ_ADDR_V4);
    assert_int_equal(wz_addr_parse_ip("::1", wzp_quic_local(w->bob.quic).port, &to), 0);
    ours = quic_world_connect(w, &to, "room", &theirs);
    assert_non_null(ours);
    assert_int_equal(wzp_quic_conn_remote(theirs->conn).family, WZ_ADDR_V6);
    quic_world_free(w);
}

static void sni_reaches_the_server_in_lower_case(void **state)
{
    static const char *const names[][2] = {
        { "_signal", "_signal" }, { "_federation", "_federation" }, { "call-42", "call-42" }, { NULL, "default" },
        { "Ops", "ops" },         { "a_b.c-d_", "a_b.c-d_" },
    };
    struct quic_world *w = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct quic_log *theirs;
        assert_non_null(quic_world_connect(w, NULL, names[i][0], &theirs));
        assert_string_equal(theirs->sni, names[i][1]);
    }
}

static void illegal_sni_is_not_dialled(void **state)
{
    struct quic_world *w = *state;

    assert_null(quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room 1"));
    assert_null(quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), ""));
    assert_null(quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "1234"));
}

/** Guards TLS's server name repair: when this one fails, GnuTLS takes underscores and the repair can go. */
static void without_the_repair_an_underscore_is_refused(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours;

    w->bob.quic->tls.repair_sni = false;
    ours = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "_signal");
    assert_true(quic_wait(w->loop, ours->closed, QUIC_WAIT_MS));
    assert_int_equal(ours->connected, 0);
    assert_int_equal(ours->end, WZP_QUIC_END_REFUSED);
    assert_int_equal(ours->code, NGTCP2_CRYPTO_ERROR | 47);
    assert_non_null(quic_world_connect(w, NULL, "signal", &theirs));
}

static void wrong_alpn_is_refused(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *ours;

    w->alice.quic->tls.alpn = "h3";
    ours = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");
    assert_true(quic_wait(w->loop, ours->closed, QUIC_WAIT_MS));
    assert_int_equal(ours->end, WZP_QUIC_END_REFUSED);
    assert_int_equal(ours->code, 0x178);
    assert_int_equal(w->bob.logs, 0);
    assert_int_equal(wzp_quic_stats(w->bob.quic)->handshake_failed, 1);
}

static void aes_128_gcm_is_chosen(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    assert_int_equal(gnutls_cipher_get(ours->conn->tls.session), GNUTLS_CIPHER_AES_128_GCM);
    assert_int_equal(gnutls_protocol_get_version(ours->conn->tls.session), GNUTLS_TLS1_3);
}

static void exporter_is_equal_on_both_sides(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");
    uint8_t a[32], b[32], other[32];

    assert_int_equal(wzp_quic_conn_export(ours->conn, "EXPORTER-wzp-direct", a, sizeof a), -EAGAIN);
    assert_true(quic_wait(w->loop, ours->connected && quic_peer_accepted(&w->bob, 0), QUIC_WAIT_MS));
    theirs = quic_peer_accepted(&w->bob, 0);
    assert_int_equal(wzp_quic_conn_export(ours->conn, "EXPORTER-wzp-direct", a, sizeof a), 0);
    assert_int_equal(wzp_quic_conn_export(theirs->conn, "EXPORTER-wzp-direct", b, sizeof b), 0);
    assert_int_equal(wzp_quic_conn_export(theirs->conn, "EXPORTER-wzp-other", other, sizeof other), 0);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, other, sizeof a);
}

static void colon_hex(const uint8_t in[32], char ret[96])
{
    for (size_t i = 0; i < 32; i++)
        (void)snprintf(ret + 3 * i, 4, i < 31 ? "%02x:" : "%02x", in[i]);
}

static void relay_certificate_is_presented_byte_for_byte(void **state)
{
    static const uint8_t seed[WZP_SEED_BYTES] = { 1, 2, 3 };
    struct wzp_quic_config config = quic_peer_config();
    char expected[96], seen[96];
    uint8_t *cert, *key, hash[32];
    size_t cert_len, key_len;
    struct quic_log *ours, *theirs;
    struct quic_world *w;

    (void)state;
    assert_int_equal(wzp_relay_certificate(seed, &cert, &cert_len, &key, &key_len), 0);
    config.cert_der = wz_bytes(cert, cert_len);
    config.key_der = wz_bytes(key, key_len);
    wzp_tls_fingerprint(config.cert_der, expected);
    w = quic_world_new(NULL, &config);
    free(cert);
    free(key);
    ours = quic_world_connect(w, NULL, "room", &theirs);
    assert_non_null(ours);
    assert_true(wzp_quic_conn_peer_cert_hash(ours->conn, hash));
    colon_hex(hash, seen);
    assert_string_equal(seen, expected);
    assert_false(wzp_quic_conn_peer_cert_hash(theirs->conn, hash)); /* clients have none */
    quic_world_free(w);
}

static void broken_certificate_is_an_error_at_start(void **state)
{
    struct wzp_quic_config config = quic_peer_config();
    struct quic_world *w = *state;
    struct quic_peer peer;

    config.cert_der = wz_bytes("nonsense", 8);
    config.key_der = wz_bytes("nonsense", 8);
    assert_int_equal(quic_peer_start(&peer, w->loop, &config), -EINVAL);
}

/* ---- down ---- */

static void close_reason_and_last_message_reach_the_peer(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    assert_int_equal(quic_log_send_number(ours, 1), 0);
    wzp_quic_close(ours->conn, "normal close");
    assert_int_equal(ours->closed, 1); /* before the call returned */
    assert_int_equal(ours->end, WZP_QUIC_END_LOCAL);
    assert_true(quic_wait(w->loop, theirs->closed, QUIC_WAIT_MS));
    assert_int_equal(theirs->end, WZP_QUIC_END_PEER);
    assert_int_equal(theirs->code, 0);
    assert_string_equal(theirs->reason, "normal close");
    assert_int_equal(theirs->messages, 1);
}

static void server_closes_too(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    wzp_quic_close(theirs->conn, "not-selected");
    assert_true(quic_wait(w->loop, ours->closed, QUIC_WAIT_MS));
    assert_int_equal(ours->end, WZP_QUIC_END_PEER);
    assert_string_equal(ours->reason, "not-selected");
}

static void close_reason_is_cut_and_cleaned(void **state)
{
    char reason[300];
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    memset(reason, 'x', sizeof reason);
    reason[0] = '\n';
    reason[sizeof reason - 1] = '\0';
    wzp_quic_close(ours->conn, reason);
    assert_true(quic_wait(w->loop, theirs->closed, QUIC_WAIT_MS));
    assert_int_equal(strlen(theirs->reason), QUIC_REASON_MAX - 1);
    assert_int_equal(theirs->reason[0], '.');
}

static void close_self(struct quic_log *log)
{
    wzp_quic_close(log->conn, "heard enough");
    assert_int_equal(log->closed, 0); /* not inside its own handler */
}

static void close_inside_a_handler_waits_for_the_handler(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct quic_log *ours = connect_up(w, &theirs);

    w->bob.on_message = close_self;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(quic_log_send_number(ours, i), 0);
    assert_true(quic_wait(w->loop, ours->closed && theirs->closed, QUIC_WAIT_MS));
    assert_int_equal(theirs->messages, 1); /* none after the close */
    assert_int_equal(theirs->closed, 1);
    assert_string_equal(ours->reason, "heard enough");
}

static void close_all_others(struct quic_log *log)
{
    for (size_t i = 0; i < log->peer->logs; i++)
        if (&log->peer->log[i] != log && log->peer->log[i].conn)
            wzp_quic_close(log->peer->log[i].conn, "kicked");
}

static void handler_may_close_other_connections(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs[3];
    struct quic_log *ours[3];

    for (size_t i = 0; i < 3; i++)
        ours[i] = connect_up(w, &theirs[i]);
    w->bob.on_datagram = close_all_others;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(wzp_quic_send_datagram(ours[i]->conn, wz_bytes("x", 1)), 0);
    assert_true(quic_wait(w->loop, ours[0]->closed + ours[1]->closed + ours[2]->closed == 2, QUIC_WAIT_MS));
    assert_int_equal(theirs[0]->closed + theirs[1]->closed + theirs[2]->closed, 2);
}

static void refuse_at_once(struct quic_log *log)
{
    wzp_quic_close(log->conn, "stale");
}

static void acceptor_may_close_when_it_hears_of_a_connection(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *ours;

    w->bob.on_connected = refuse_at_once;
    ours = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");
    assert_true(quic_wait(w->loop, ours->closed, QUIC_WAIT_MS));
    assert_int_equal(quic_peer_accepted(&w->bob, 0)->closed, 1);
}

static void close_packet_is_repeated_for_who_missed_it(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *ours, *theirs;
    struct wz_addr to;
    struct lossy_udp *lossy = lossy_to_bob(w, &to);

    ours = quic_world_connect(w, &to, "room", &theirs);
    assert_non_null(ours);
    lossy_udp_shape(lossy, &dead_network);
    wzp_quic_close(ours->conn, "bye");
    assert_true(quic_wait(w->loop, lossy_udp_stats(lossy)->lost > 0, QUIC_WAIT_MS));
    assert_int_equal(theirs->closed, 0);
    lossy_udp_shape(lossy, &good_network);
    assert_int_equal(wzp_quic_send_datagram(theirs->conn, wz_bytes("still there?", 12)), 0);
    assert_true(quic_wait(w->loop, theirs->closed, QUIC_WAIT_MS));
    assert_int_equal(theirs->end, WZP_QUIC_END_PEER);
    assert_string_equal(theirs->reason, "bye");
    lossy_udp_free(lossy);
}

static void silence_ends_a_connection(void **state)
{
    struct wzp_quic_config config = quic_peer_config();
    struct quic_world *w;
    struct quic_log *ours, *theirs;
    struct lossy_udp *lossy;
    struct wz_addr to;

    (void)state;
    config.idle_ms = 400;
    config.keepalive_ms = 100;
    w = quic_world_new(&config, &config);
    lossy = lossy_to_bob(w, &to);
    ours = quic_world_connect(w, &to, "room", &theirs);
    assert_non_null(ours);
    (void)quic_wait(w->loop, false, 900); /* keep-alives carry it over twice the idle time */
    assert_int_equal(ours->closed + theirs->closed, 0);
    lossy_udp_shape(lossy, &dead_network);
    assert_true(quic_wait(w->loop, ours->closed && theirs->closed, QUIC_WAIT_MS));
    assert_int_equal(ours->end, WZP_QUIC_END_IDLE);
    assert_int_equal(theirs->end, WZP_QUIC_END_IDLE);
    lossy_udp_free(lossy);
    quic_world_free(w);
}

static void one_ping_an_interval_serves_both_ends(void **state)
{
    enum { INTERVALS = 15 };
    struct wzp_quic_config config = quic_peer_config();
    struct wzp_quic_conn_stats ours_before, ours_after, theirs_before, theirs_after;
    struct quic_world *w;
    struct quic_log *ours, *theirs;
    uint64_t packets;

    (void)state;
    config.keepalive_ms = 100;
    w = quic_world_new(&config, &config);
    ours = quic_world_connect(w, NULL, "room", &theirs);
    assert_non_null(ours);
    (void)quic_wait(w->loop, false, 400); /* path MTU probes have ended */
    wzp_quic_conn_stats(ours->conn, &ours_before);
    wzp_quic_conn_stats(theirs->conn, &theirs_before);
    (void)quic_wait(w->loop, false, INTERVALS * 100);
    wzp_quic_conn_stats(ours->conn, &ours_after);
    wzp_quic_conn_stats(theirs->conn, &theirs_after);
    packets = ours_after.packets_tx - ours_before.packets_tx + theirs_after.packets_tx - theirs_before.packets_tx;
    /* A PING and its acknowledgement each; four packets if both ends asked. */
    assert_true(packets >= INTERVALS / 2);
    assert_true(packets <= 3 * INTERVALS);
    quic_world_free(w);
}

static void handshake_with_nobody_times_out(void **state)
{
    struct wzp_quic_config config = quic_peer_config();
    struct quic_world *w;
    struct quic_log *ours;
    struct lossy_udp *lossy;
    struct wz_addr to;

    (void)state;
    config.handshake_ms = 300;
    w = quic_world_new(&config, NULL);
    lossy = lossy_to_bob(w, &to);
    lossy_udp_shape(lossy, &dead_network);
    ours = quic_peer_dial(&w->alice, to, "room");
    assert_true(quic_wait(w->loop, ours->closed, QUIC_WAIT_MS));
    assert_int_equal(ours->connected, 0);
    assert_int_equal(ours->end, WZP_QUIC_END_IDLE);
    lossy_udp_free(lossy);
    quic_world_free(w);
}

static void stopping_an_endpoint_closes_its_connections(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs, *dialling;
    struct quic_log *ours = connect_up(w, &theirs);

    dialling = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");
    quic_peer_stop(&w->alice);
    assert_int_equal(ours->closed, 1);
    assert_int_equal(dialling->closed, 1);
    assert_true(quic_wait(w->loop, theirs->closed, QUIC_WAIT_MS));
    assert_string_equal(theirs->reason, "shutdown");
}

static void closed_connections_leave_nothing_behind(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;

    for (int i = 0; i < 20; i++)
        wzp_quic_close(connect_up(w, &theirs)->conn, "done");
    assert_true(quic_wait(w->loop, wz_list_is_empty(&w->alice.quic->conns) && wz_list_is_empty(&w->bob.quic->conns),
                          QUIC_WAIT_MS));
    assert_int_equal(w->alice.quic->cids.count, 0);
    assert_int_equal(w->bob.quic->cids.count, 0);
    assert_int_equal(w->bob.quic->accepted_now, 0);
    assert_int_equal(w->bob.quic->handshakes_now, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ends_hear_once_that_they_are_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(each_end_knows_both_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(both_dial_at_once_on_the_same_sockets, setup, teardown),
        cmocka_unit_test(answer_comes_from_the_address_that_was_dialled),
        cmocka_unit_test(dual_stack_endpoint_serves_ipv4_and_ipv6),
        cmocka_unit_test_setup_teardown(sni_reaches_the_server_in_lower_case, setup, teardown),
        cmocka_unit_test_setup_teardown(illegal_sni_is_not_dialled, setup, teardown),
        cmocka_unit_test_setup_teardown(without_the_repair_an_underscore_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_alpn_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(aes_128_gcm_is_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(exporter_is_equal_on_both_sides, setup, teardown),
        cmocka_unit_test(relay_certificate_is_presented_byte_for_byte),
        cmocka_unit_test_setup_teardown(broken_certificate_is_an_error_at_start, setup, teardown),
        cmocka_unit_test_setup_teardown(close_reason_and_last_message_reach_the_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(server_closes_too, setup, teardown),
        cmocka_unit_test_setup_teardown(close_reason_is_cut_and_cleaned, setup, teardown),
        cmocka_unit_test_setup_teardown(close_inside_a_handler_waits_for_the_handler, setup, teardown),
        cmocka_unit_test_setup_teardown(handler_may_close_other_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(acceptor_may_close_when_it_hears_of_a_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(close_packet_is_repeated_for_who_missed_it, setup, teardown),
        cmocka_unit_test(silence_ends_a_connection),
        cmocka_unit_test(one_ping_an_interval_serves_both_ends),
        cmocka_unit_test(handshake_with_nobody_times_out),
        cmocka_unit_test_setup_teardown(stopping_an_endpoint_closes_its_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_connections_leave_nothing_behind, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
