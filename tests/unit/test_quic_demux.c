/* What a QUIC socket does with packets that belong to no connection: STUN, noise, new clients under load, old ones. */
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
#include "wzp/core/identity.h"
#include "wzp/io/quic_internal.h"

/** A plain socket beside the endpoints. */
struct raw {
    struct wz_udp *udp;
    size_t count, len;
    uint8_t last[2048];
};

static void on_raw(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    struct raw *raw = arg;

    (void)from;
    (void)local;
    raw->count++;
    raw->len = len;
    memcpy(raw->last, data, len);
}

static void raw_open(struct raw *raw, struct wz_loop *loop)
{
    struct wz_udp_config config = { .fd = -1, .packet = on_raw, .arg = raw };

    memset(raw, 0, sizeof *raw);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &config.bind), 0);
    assert_int_equal(wz_udp_new(&raw->udp, loop, &config), 0);
}

static void raw_send(struct raw *raw, const struct quic_peer *to, const void *data, size_t len)
{
    struct wz_addr addr = wzp_quic_local(to->quic);

    assert_int_equal(wz_udp_send(raw->udp, data, len, &addr, NULL), 0);
}

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

/* ---- STUN ---- */

static const uint8_t stun_request[28] = {
    0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3,   4,   5,   6,
    7,    8,    9,    10,   11,   12,   0x80, 0x22, 0, 4, 't', 'e', 's', 't',
};

static void stun_is_delivered_beside_live_quic(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    struct raw raw;

    assert_non_null(quic_world_connect(w, NULL, "room", &theirs));
    raw_open(&raw, w->loop);
    raw_send(&raw, &w->bob, stun_request, sizeof stun_request);
    assert_true(quic_wait(w->loop, w->bob.stuns == 1, QUIC_WAIT_MS));
    assert_int_equal(wzp_quic_stats(w->bob.quic)->stun_packets, 1);
    assert_int_equal(theirs->closed, 0);
    wz_udp_free(raw.udp);
}

static void endpoint_sends_raw_packets_from_its_own_port(void **state)
{
    struct quic_world *w = *state;
    struct wz_addr to;
    struct raw raw;

    raw_open(&raw, w->loop);
    to = wz_udp_local(raw.udp);
    assert_int_equal(wzp_quic_send_raw(w->bob.quic, wz_bytes(stun_request, sizeof stun_request), &to), 0);
    assert_true(quic_wait(w->loop, raw.count == 1, QUIC_WAIT_MS));
    assert_memory_equal(raw.last, stun_request, sizeof stun_request);
    wz_udp_free(raw.udp);
}

static void look_alikes_of_stun_are_not_stun(void **state)
{
    uint8_t p[28];

    (void)state;
    memcpy(p, stun_request, sizeof p);
    assert_true(quic_is_stun(wz_bytes(p, 28)));
    assert_false(quic_is_stun(wz_bytes(p, 27)));
    assert_false(quic_is_stun(wz_bytes(p, 24))); /* length field and size disagree */
    assert_false(quic_is_stun(wz_bytes(p, 8)));
    assert_false(quic_is_stun(wz_bytes(NULL, 0)));
    p[0] = 0x04; /* a greased short header may look like this */
    assert_false(quic_is_stun(wz_bytes(p, 28)));
    p[0] = 0x03; /* or like this, but without the cookie */
    assert_true(quic_is_stun(wz_bytes(p, 28)));
    p[4] ^= 1;
    assert_false(quic_is_stun(wz_bytes(p, 28)));
}

/** A short header whose first byte a peer greased to 0..3, on a known id: it is QUIC, not STUN. */
static void greased_quic_packet_is_not_taken_for_stun(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs;
    uint8_t packet[64] = { 0x02 };
    const struct quic_cid *cid;
    struct raw raw;

    assert_non_null(quic_world_connect(w, NULL, "room", &theirs));
    cid = wz_container_of(theirs->conn->cids.next, struct quic_cid, of_conn);
    memcpy(packet + 1, cid->data, cid->len);
    raw_open(&raw, w->loop);
    raw_send(&raw, &w->bob, packet, sizeof packet);
    (void)quic_wait(w->loop, false, 50);
    assert_int_equal(w->bob.stuns, 0);
    assert_int_equal(theirs->closed, 0);
    wz_udp_free(raw.udp);
}

/* ---- noise ---- */

static void garbage_is_harmless(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs, *ours = quic_world_connect(w, NULL, "room", &theirs);
    uint32_t seed = 12345;
    struct raw raw;

    assert_non_null(ours);
    raw_open(&raw, w->loop);
    for (int i = 0; i < 3000; i++) {
        uint8_t packet[1300];
        size_t len = (size_t)(seed >> 8) % sizeof packet;
        for (size_t at = 0; at < len; at++)
            packet[at] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
        if (len > 5 && i % 3 == 0) /* some that look like version 1 long headers */
            memcpy(packet, (const uint8_t[]){ 0xc3, 0, 0, 0, 1 }, 5);
        raw_send(&raw, i % 2 ? &w->bob : &w->alice, packet, len);
        if (i % 50 == 0)
            assert_int_equal(wz_loop_turn(w->loop, 0), 0);
    }
    assert_int_equal(quic_log_send_number(ours, 5), 0);
    assert_true(quic_wait(w->loop, theirs->messages == 1, QUIC_WAIT_MS));
    assert_true(wzp_quic_stats(w->bob.quic)->bad_packets > 0);
    assert_int_equal(ours->closed + theirs->closed, 0);
    wz_udp_free(raw.udp);
}

static void unknown_version_gets_the_list_of_ours(void **state)
{
    struct quic_world *w = *state;
    uint8_t packet[1200] = { 0xc0, 0x0a, 0x0a, 0x0a, 0x0a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9 };
    struct raw raw;

    raw_open(&raw, w->loop);
    raw_send(&raw, &w->bob, packet, sizeof packet);
    assert_true(quic_wait(w->loop, raw.count == 1, QUIC_WAIT_MS));
    assert_memory_equal(raw.last + 1, "\0\0\0\0", 4);
    assert_memory_equal(raw.last + raw.len - 4, "\0\0\0\1", 4);
    wz_udp_free(raw.udp);
}

static void unknown_connection_gets_a_shorter_stateless_reset(void **state)
{
    struct quic_world *w = *state;
    uint8_t packet[60] = { 0x40, 1, 2, 3, 4, 5, 6, 7, 8 };
    struct raw raw;

    raw_open(&raw, w->loop);
    raw_send(&raw, &w->bob, packet, sizeof packet);
    assert_true(quic_wait(w->loop, raw.count == 1, QUIC_WAIT_MS));
    assert_true(raw.len < sizeof packet);
    raw_send(&raw, &w->bob, packet, 30); /* too short to answer without an endless echo */
    (void)quic_wait(w->loop, false, 50);
    assert_int_equal(raw.count, 1);
    assert_int_equal(wzp_quic_stats(w->bob.quic)->stateless_resets, 1);
    wz_udp_free(raw.udp);
}

static void client_only_endpoint_is_silent_to_callers(void **state)
{
    struct wzp_quic_config config = quic_peer_config();
    struct quic_world *w;
    struct quic_log *ours;

    (void)state;
    config.accept = false;
    w = quic_world_new(NULL, &config);
    ours = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");
    assert_false(quic_wait(w->loop, ours->closed || ours->connected, 200));
    quic_world_free(w);
}

/* ---- load ---- */

static void full_server_refuses_and_serves_again(void **state)
{
    struct wzp_quic_config config = quic_peer_config();
    struct quic_log *first, *second, *theirs;
    struct quic_world *w;

    (void)state;
    config.max_connections = 1;
    w = quic_world_new(NULL, &config);
    first = quic_world_connect(w, NULL, "room", &theirs);
    assert_non_null(first);
    second = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");
    assert_true(quic_wait(w->loop, second->closed, QUIC_WAIT_MS));
    assert_int_equal(second->end, WZP_QUIC_END_REFUSED);
    assert_int_equal(second->code, NGTCP2_CONNECTION_REFUSED);
    assert_int_equal(wzp_quic_stats(w->bob.quic)->refused_full, 1);
    assert_int_equal(first->closed, 0);
    wzp_quic_close(first->conn, "done");
    assert_true(quic_wait(w->loop, theirs->closed, QUIC_WAIT_MS));
    assert_non_null(quic_world_connect(w, NULL, "room", &theirs));
    quic_world_free(w);
}

static void draining_server_keeps_what_it_has(void **state)
{
    struct quic_world *w = *state;
    struct quic_log *theirs, *ours = quic_world_connect(w, NULL, "room", &theirs);
    struct quic_log *late;

    assert_non_null(ours);
    wzp_quic_stop_accepting(w->bob.quic);
    late = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");
    assert_true(quic_wait(w->loop, late->closed, QUIC_WAIT_MS));
    assert_int_equal(late->end, WZP_QUIC_END_REFUSED);
    assert_int_equal(quic_log_send_number(ours, 1), 0);
    assert_true(quic_wait(w->loop, theirs->messages == 1, QUIC_WAIT_MS));
}

static void many_unfinished_handshakes_demand_retry(void **state)
{
    struct wzp_quic_config config = quic_peer_config();
    struct quic_world *w;
    struct quic_log *dialled[12];
    size_t up = 0;

    (void)state;
    config.max_handshakes = 2;
    w = quic_world_new(NULL, &config);
    for (size_t i = 0; i < 12; i++)
        dialled[i] = quic_peer_dial(&w->alice, wzp_quic_local(w->bob.quic), "room");
    for (size_t i = 0; i < 12; i++)
        up += quic_wait(w->loop, dialled[i]->connected, QUIC_WAIT_MS);
    assert_int_equal(up, 12);
    assert_true(wzp_quic_stats(w->bob.quic)->retried >= 1);
    assert_true(quic_wait(w->loop, wzp_quic_stats(w->bob.quic)->accepted == 12, QUIC_WAIT_MS));
    assert_int_equal(w->bob.quic->handshakes_now, 0);
    assert_int_equal(w->bob.quic->accepted_now, 12);
    quic_world_free(w);
}

/** First flights that nobody follows up: they must not hold state for longer than the handshake timeout. */
static void abandoned_handshakes_are_forgotten(void **state)
{
    const struct lossy_udp_shape dead = { .loss = 1000 };
    struct wzp_quic_config config = quic_peer_config();
    struct wz_addr any, bob, to;
    struct lossy_udp *lossy;
    struct quic_world *w;

    (void)state;
    config.handshake_ms = 200;
    w = quic_world_new(NULL, &config);
    bob = wzp_quic_local(w->bob.quic);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &any), 0);
    assert_int_equal(lossy_udp_new(&lossy, w->loop, &any, &bob, 1), 0);
    to = lossy_udp_local(lossy);
    assert_non_null(quic_peer_dial(&w->alice, to, "room"));
    assert_true(quic_wait(w->loop, w->bob.quic->handshakes_now == 1, QUIC_WAIT_MS));
    lossy_udp_shape(lossy, &dead);
    assert_true(quic_wait(w->loop, wz_list_is_empty(&w->bob.quic->conns), QUIC_WAIT_MS));
    assert_int_equal(w->bob.quic->accepted_now, 0);
    assert_int_equal(wzp_quic_stats(w->bob.quic)->handshake_failed, 1);
    assert_int_equal(w->bob.logs, 0); /* the owner never heard of it */
    lossy_udp_free(lossy);
    quic_world_free(w);
}

/* ---- restart ---- */

static void restarted_server_resets_old_connections(void **state)
{
    static const uint8_t seed[WZP_SEED_BYTES] = { 9 };
    const struct lossy_udp_shape dead = { .loss = 1000 }, good = { .loss = 0 };
    struct wzp_quic_config config = quic_peer_config();
    struct quic_log *ours, *theirs;
    struct wz_addr any, to;
    struct lossy_udp *lossy;
    uint8_t *cert, *key;
    size_t cert_len, key_len;
    struct quic_world *w;

    (void)state;
    assert_int_equal(wzp_relay_certificate(seed, &cert, &cert_len, &key, &key_len), 0);
    config.cert_der = wz_bytes(cert, cert_len);
    config.key_der = wz_bytes(key, key_len);
    w = quic_world_new(NULL, &config);
    config.bind = wzp_quic_local(w->bob.quic);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &any), 0);
    assert_int_equal(lossy_udp_new(&lossy, w->loop, &any, &config.bind, 1), 0);
    to = lossy_udp_local(lossy);
    ours = quic_world_connect(w, &to, "_signal", &theirs);
    assert_non_null(ours);
    (void)quic_wait(w->loop, false, 50); /* connection ids with their reset tokens have been exchanged */
    lossy_udp_shape(lossy, &dead);       /* the power goes: no goodbye */
    quic_peer_stop(&w->bob);
    assert_int_equal(quic_peer_start(&w->bob, w->loop, &config), 0);
    (void)quic_wait(w->loop, false, 20);
    lossy_udp_shape(lossy, &good);
    assert_int_equal(wzp_quic_send_datagram(ours->conn, wz_bytes("anybody there, after all this time?", 35)), 0);
    assert_true(quic_wait(w->loop, ours->closed, QUIC_WAIT_MS));
    assert_int_equal(ours->end, WZP_QUIC_END_RESET);
    lossy_udp_free(lossy);
    quic_world_free(w);
    free(cert);
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stun_is_delivered_beside_live_quic, setup, teardown),
        cmocka_unit_test_setup_teardown(endpoint_sends_raw_packets_from_its_own_port, setup, teardown),
        cmocka_unit_test(look_alikes_of_stun_are_not_stun),
        cmocka_unit_test_setup_teardown(greased_quic_packet_is_not_taken_for_stun, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_is_harmless, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_version_gets_the_list_of_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_connection_gets_a_shorter_stateless_reset, setup, teardown),
        cmocka_unit_test(client_only_endpoint_is_silent_to_callers),
        cmocka_unit_test(full_server_refuses_and_serves_again),
        cmocka_unit_test_setup_teardown(draining_server_keeps_what_it_has, setup, teardown),
        cmocka_unit_test(many_unfinished_handshakes_demand_retry),
        cmocka_unit_test(abandoned_handshakes_are_forgotten),
        cmocka_unit_test(restarted_server_resets_old_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
