/* The relay as a server: real QUIC on loopback, one loop. What the relay decides is tested in test_relay*.c;
 * here it is whether decisions reach the wire and back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/quic_peer.h"
#include "tests/support/relay_peer.h"
#include "wzp/core/media.h"
#include "wzp/io/relay_server.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

enum { ALICE, BOB, CAROL, PEERS = 4 };

struct world {
    struct wz_loop *loop;
    struct wzp_relay_server *server;
    struct wzp_quic *quic; /* the clients' endpoint */
    struct relay_peer peer[PEERS];
    unsigned drained;
};

static int start_server(struct world *w)
{
    struct wzp_relay_server_config config = { .relay = { .build = "abc1234", .rng = &wz_rng_system } };
    memset(config.relay.seed, 9, sizeof config.relay.seed);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &config.listen), 0);
    return wzp_relay_server_new(&w->server, w->loop, &config);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct wzp_quic_config config = { .rng = &wz_rng_system };
    assert_non_null(w);
    assert_int_equal(wz_loop_new(&w->loop), 0);
    assert_int_equal(start_server(w), 0);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &config.bind), 0);
    assert_int_equal(wzp_quic_new(&w->quic, w->loop, &config), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < PEERS; i++)
        relay_peer_done(&w->peer[i]);
    wzp_quic_free(w->quic);
    wzp_relay_server_free(w->server);
    wz_loop_free(w->loop);
    free(w);
    return 0;
}

static struct relay_peer *dial(struct world *w, unsigned user, const char *sni)
{
    struct relay_peer *peer = &w->peer[user];
    assert_int_equal(relay_peer_dial(peer, w->quic, wzp_relay_server_local(w->server), sni, user), 0);
    return peer;
}

static struct relay_peer *register_user(struct world *w, unsigned user)
{
    struct relay_peer *peer = dial(w, user, "_signal");
    assert_true(quic_wait(w->loop, peer->registered, QUIC_WAIT_MS));
    return peer;
}

static struct relay_peer *join(struct world *w, unsigned user, const char *room, uint32_t participants)
{
    struct relay_peer *peer = dial(w, user, room);
    assert_true(quic_wait(w->loop, peer->participants == participants, QUIC_WAIT_MS));
    return peer;
}

static void wait_for(struct world *w, struct relay_peer *peer, enum wzp_signal_kind kind, struct wzp_signal *ret)
{
    assert_true(quic_wait(w->loop, !wz_list_is_empty(&peer->inbox), QUIC_WAIT_MS));
    assert_true(relay_peer_take(peer, kind, ret));
}

static struct wzp_relay_stats stats(struct world *w)
{
    struct wzp_relay_stats ret;
    wzp_relay_server_stats(w->server, &ret);
    return ret;
}

/* ---- names ---- */

static void registration_is_acknowledged_and_reflect_shows_the_real_address(void **state)
{
    struct world *w = *state;
    struct relay_peer *alice = register_user(w, ALICE);
    struct wzp_signal answer;
    char text[WZ_ADDR_TEXT_MAX];
    relay_peer_send_text(alice, "\"Reflect\"");
    wait_for(w, alice, WZP_SIG_REFLECT_RESPONSE, &answer);
    const struct wz_addr local = wzp_quic_local(w->quic);
    assert_string_equal(answer.reflect_response.observed_addr, wz_addr_format(&local, text));
    wzp_signal_done(&answer);
    assert_int_equal(stats(w).registered, 1);
}

static void version_is_written_before_the_connection_closes(void **state)
{
    struct world *w = *state;
    struct relay_peer *peer = dial(w, ALICE, "version");
    assert_true(quic_wait(w->loop, peer->closed, QUIC_WAIT_MS));
    assert_string_equal(peer->uni, "abc1234");
    assert_string_equal(peer->reason, "");
}

static void ping_completes_the_handshake_and_closes(void **state)
{
    struct world *w = *state;
    struct relay_peer *peer = dial(w, ALICE, "ping");
    assert_true(quic_wait(w->loop, peer->closed, QUIC_WAIT_MS));
    assert_true(peer->up);
    assert_string_equal(peer->reason, "");
    assert_int_equal(peer->uni_len, 0);
}

static void federation_link_is_closed_with_a_reason(void **state)
{
    struct world *w = *state;
    struct relay_peer *peer = dial(w, ALICE, "_federation");
    assert_true(quic_wait(w->loop, peer->closed, QUIC_WAIT_MS));
    assert_non_null(strstr(peer->reason, "federation"));
}

static void certificate_is_the_one_whose_fingerprint_is_shown(void **state)
{
    struct world *w = *state;
    uint8_t hash[32], seed[WZP_SEED_BYTES];
    char text[96] = "";
    struct relay_peer *alice = register_user(w, ALICE);
    assert_true(wzp_quic_conn_peer_cert_hash(alice->conn, hash));
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(text + 3 * i, sizeof text - 3 * i, i + 1 < sizeof hash ? "%02x:" : "%02x", hash[i]);
    assert_string_equal(wzp_relay_server_tls_fingerprint(w->server), text);
    struct wzp_identity identity;
    memset(seed, 9, sizeof seed);
    assert_int_equal(wzp_identity_from_seed(seed, &identity), 0);
    assert_string_equal(wzp_relay_server_fingerprint(w->server), identity.fingerprint);
}

static void second_server_on_the_same_port_is_refused(void **state)
{
    struct world *w = *state;
    struct wzp_relay_server *second = NULL;
    const struct wzp_relay_server_config config = { .relay = { .build = "x", .rng = &wz_rng_system },
                                                    .listen = wzp_relay_server_local(w->server) };
    assert_int_equal(wzp_relay_server_new(&second, w->loop, &config), -EADDRINUSE);
    assert_null(second);
}

/* ---- a call ---- */

static void offer(struct world *w, struct relay_peer *from, struct relay_peer *to, const char *call_id)
{
    (void)w;
    relay_peer_send(from, &(struct wzp_signal){ .kind = WZP_SIG_DIRECT_CALL_OFFER,
                                                .offer = { .caller_fingerprint = from->identity.fingerprint,
                                                           .target_fingerprint = to->identity.fingerprint,
                                                           .call_id = (char *)call_id,
                                                           .keys = { .has_identity = true, .has_ephemeral = true } } });
}

static void forget(struct world *w, struct relay_peer *peer, enum wzp_signal_kind kind)
{
    struct wzp_signal signal;
    wait_for(w, peer, kind, &signal);
    wzp_signal_done(&signal);
}

static void call_is_set_up_in_order_and_both_get_the_address_they_dialled(void **state)
{
    struct world *w = *state;
    struct relay_peer *alice = register_user(w, ALICE), *bob = register_user(w, BOB);
    offer(w, alice, bob, "c1");
    forget(w, bob, WZP_SIG_DIRECT_CALL_OFFER);
    forget(w, alice, WZP_SIG_CALL_RINGING);
    relay_peer_send_text(bob, "{\"DirectCallAnswer\":{\"call_id\":\"c1\",\"accept_mode\":\"AcceptGeneric\"}}");
    forget(w, alice, WZP_SIG_DIRECT_CALL_ANSWER);
    const struct wz_addr local = wzp_relay_server_local(w->server);
    char text[WZ_ADDR_TEXT_MAX];
    for (int i = 0; i < 2; i++) {
        struct wzp_signal setup_signal;
        wait_for(w, i ? bob : alice, WZP_SIG_CALL_SETUP, &setup_signal);
        assert_string_equal(setup_signal.setup.room, "call-c1");
        assert_string_equal(setup_signal.setup.relay_addr, wz_addr_format(&local, text));
        wzp_signal_done(&setup_signal);
    }
    assert_int_equal(stats(w).calls, 1);
}

static void vanished_callee_is_noticed(void **state)
{
    struct world *w = *state;
    struct wzp_signal hangup;
    struct relay_peer *alice = register_user(w, ALICE), *bob = register_user(w, BOB);
    offer(w, alice, bob, "c1");
    forget(w, alice, WZP_SIG_CALL_RINGING);
    relay_peer_done(bob);
    wait_for(w, alice, WZP_SIG_HANGUP, &hangup);
    assert_int_equal(hangup.hangup.reason, WZP_HANGUP_ERROR);
    assert_string_equal(hangup.hangup.call_id, "c1");
    wzp_signal_done(&hangup);
}

static void bad_messages_leave_the_connection_alive(void **state)
{
    struct world *w = *state;
    struct relay_peer *alice = register_user(w, ALICE);
    relay_peer_send_text(alice, "{\"Ping\":{\"timestamp_ms\":1,\"timestamp_ms\":2}}");
    relay_peer_send_text(alice, "{\"FromTheFuture\":{}}");
    relay_peer_send_text(alice, "no JSON");
    relay_peer_send_text(alice, "{\"Ping\":{\"timestamp_ms\":77}}");
    struct wzp_signal pong;
    wait_for(w, alice, WZP_SIG_PONG, &pong);
    assert_int_equal(pong.ping.timestamp_ms, 77);
    wzp_signal_done(&pong);
    assert_int_equal(stats(w).bad_signals, 2);
    assert_int_equal(stats(w).unknown_signals, 1);
}

static void message_of_a_mebibyte_without_sense_does_not_harm_the_connection(void **state)
{
    struct world *w = *state;
    struct relay_peer *alice = register_user(w, ALICE);
    const size_t len = 1048576;
    char *huge = malloc(len + 1);
    memset(huge, ' ', len);
    huge[len] = '\0';
    relay_peer_send_text(alice, huge); /* exactly the limit: arrives, is no JSON */
    free(huge);
    assert_true(quic_wait(w->loop, stats(w).bad_signals == 1, QUIC_WAIT_MS));
    relay_peer_send_text(alice, "\"Reflect\"");
    forget(w, alice, WZP_SIG_REFLECT_RESPONSE);
}

/* ---- rooms ---- */

static void datagrams_are_forwarded_byte_for_byte_to_the_others(void **state)
{
    struct world *w = *state;
    uint8_t data[160];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    data[0] = 0x00;
    data[1] = 0x03; /* unused bits of the header survive as well */
    struct relay_peer *alice = join(w, ALICE, "ops", 1), *bob = join(w, BOB, "ops", 2);
    struct relay_peer *carol = join(w, CAROL, "other", 1);
    assert_true(quic_wait(w->loop, alice->participants == 2, QUIC_WAIT_MS));
    assert_int_equal(wzp_quic_send_datagram(alice->conn, wz_bytes(data, sizeof data)), 0);
    assert_true(quic_wait(w->loop, bob->datagrams == 1, QUIC_WAIT_MS));
    assert_int_equal(bob->datagram_len, sizeof data);
    assert_memory_equal(bob->datagram, data, sizeof data);
    assert_int_equal(wzp_quic_send_datagram(bob->conn, wz_bytes(data, 12)), 0);
    assert_true(quic_wait(w->loop, alice->datagrams == 1, QUIC_WAIT_MS));
    assert_int_equal(bob->datagrams, 1);
    assert_int_equal(carol->datagrams, 0);
    assert_int_equal(stats(w).packets_forwarded, 2);
}

static void datagram_of_eleven_bytes_is_dropped_and_the_connection_lives(void **state)
{
    struct world *w = *state;
    const uint8_t data[12] = { 0 };
    struct relay_peer *alice = join(w, ALICE, "ops", 1), *bob = join(w, BOB, "ops", 2);
    assert_int_equal(wzp_quic_send_datagram(alice->conn, wz_bytes(data, 11)), 0);
    assert_int_equal(wzp_quic_send_datagram(alice->conn, wz_bytes(data, 12)), 0);
    assert_true(quic_wait(w->loop, bob->datagrams == 1, QUIC_WAIT_MS));
    assert_int_equal(bob->datagram_len, 12);
    assert_int_equal(stats(w).datagrams_bad, 1);
    assert_false(alice->closed);
}

static void leaving_is_announced(void **state)
{
    struct world *w = *state;
    struct relay_peer *alice = join(w, ALICE, "ops", 1), *bob = join(w, BOB, "ops", 2);
    assert_true(quic_wait(w->loop, alice->participants == 2, QUIC_WAIT_MS));
    relay_peer_done(alice);
    assert_true(quic_wait(w->loop, bob->participants == 1, QUIC_WAIT_MS));
}

static void refused_join_is_closed_with_a_reason(void **state)
{
    struct world *w = *state;
    struct relay_peer *alice = dial(w, ALICE, "call-nosuchcall");
    assert_true(quic_wait(w->loop, alice->closed, QUIC_WAIT_MS));
    assert_string_equal(alice->reason, "not a party of this call");
    assert_false(alice->joined);
}

/* ---- draining, stopping ---- */

static void count_drained(void *arg)
{
    struct world *w = arg;
    w->drained++;
}

static void draining_waits_for_the_call_and_tells_once(void **state)
{
    struct world *w = *state;
    struct relay_peer *alice = register_user(w, ALICE), *bob = register_user(w, BOB);
    offer(w, alice, bob, "c1");
    forget(w, alice, WZP_SIG_CALL_RINGING);
    wzp_relay_server_drain(w->server, count_drained, w);
    struct relay_peer *carol = dial(w, CAROL, "_signal");
    assert_true(quic_wait(w->loop, carol->closed, QUIC_WAIT_MS));
    assert_false(wz_list_is_empty(&carol->inbox)); /* the Ack that says no arrived before the close */
    assert_int_equal(w->drained, 0);
    relay_peer_send_text(alice, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"c1\"}}");
    assert_true(quic_wait(w->loop, w->drained == 1, QUIC_WAIT_MS));
    relay_peer_send_text(alice, "\"Reflect\"");
    forget(w, alice, WZP_SIG_REFLECT_RESPONSE);
    assert_int_equal(w->drained, 1);
}

static void clients_are_told_when_the_server_stops(void **state)
{
    struct world *w = *state;
    struct relay_peer *alice = register_user(w, ALICE);
    wzp_relay_server_free(w->server);
    w->server = NULL;
    assert_true(quic_wait(w->loop, alice->closed, QUIC_WAIT_MS));
    assert_string_equal(alice->reason, "shutdown");
}

/* ---- tokens ---- */

struct token_world {
    struct wzp_relay_server *server;
    uint64_t conn;
    char token[32];
    int answer;
};

static int take_token(void *arg, uint64_t conn, struct wz_bytes token)
{
    struct token_world *t = arg;
    t->conn = conn;
    memcpy(t->token, token.data, token.len < sizeof t->token - 1 ? token.len : sizeof t->token - 1);
    return t->answer;
}

/** A server of its own that asks for tokens; alice has shown hers. */
static void show_token(struct world *w, struct token_world *t)
{
    struct wzp_relay_server_config config = { .relay = { .build = "x", .require_token = true, .rng = &wz_rng_system },
                                              .check_token = take_token,
                                              .arg = t };
    struct relay_peer *alice = &w->peer[ALICE];
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &config.listen), 0);
    assert_int_equal(wzp_relay_server_new(&t->server, w->loop, &config), 0);
    assert_int_equal(relay_peer_dial_silently(alice, w->quic, wzp_relay_server_local(t->server), "_signal", ALICE), 0);
    relay_peer_send_text(alice, "{\"AuthToken\":{\"token\":\"secret\"}}");
    relay_peer_greet(alice);
    assert_true(quic_wait(w->loop, t->conn != 0, QUIC_WAIT_MS));
}

static void token_waits_for_its_verdict(void **state)
{
    struct world *w = *state;
    struct token_world t = { .answer = 0 };
    show_token(w, &t);
    assert_string_equal(t.token, "secret");
    assert_false(w->peer[ALICE].registered);
    wzp_relay_server_token_checked(t.server, t.conn, true, "user:alice", "alice");
    assert_true(quic_wait(w->loop, w->peer[ALICE].registered, QUIC_WAIT_MS));
    wzp_relay_server_free(t.server);
}

static void token_that_cannot_be_asked_about_is_refused(void **state)
{
    struct world *w = *state;
    struct token_world t = { .answer = -ENOBUFS };
    show_token(w, &t);
    assert_true(quic_wait(w->loop, w->peer[ALICE].closed, QUIC_WAIT_MS));
    assert_false(w->peer[ALICE].registered);
    wzp_relay_server_free(t.server);
}

static void verdict_for_a_connection_that_is_gone_is_ignored(void **state)
{
    struct world *w = *state;
    struct token_world t = { .answer = 0 };
    struct wzp_relay_stats now;
    show_token(w, &t);
    relay_peer_done(&w->peer[ALICE]);
    assert_true(quic_wait(w->loop, w->peer[ALICE].closed, QUIC_WAIT_MS));
    for (int i = 0; i < 20; i++) /* let the server hear of it */
        assert_true(wz_loop_turn(w->loop, 5) >= 0);
    wzp_relay_server_token_checked(t.server, t.conn, true, "user:alice", NULL);
    wzp_relay_server_stats(t.server, &now);
    assert_int_equal(now.registered, 0);
    wzp_relay_server_free(t.server);
}

/* ---- under attack ---- */

#define FLOOD_SOURCES        20
#define FLOOD_EACH           2
#define FLOOD_HANDSHAKES_MAX 8

/** First flights from many addresses that nobody follows up, as with spoofed sources: their loop never turns again. */
static void flood_of_half_open_handshakes_brings_retry_and_a_real_client_still_registers(void **state)
{
    struct world *w = *state;
    struct wzp_relay_server_config config = { .relay = { .build = "x", .rng = &wz_rng_system },
                                              .max_handshakes = FLOOD_HANDSHAKES_MAX };
    static const struct wzp_quic_handlers nothing;
    struct wzp_relay_server *server;
    struct wzp_quic *source[FLOOD_SOURCES];
    struct wz_loop *flood;
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &config.listen), 0);
    assert_int_equal(wzp_relay_server_new(&server, w->loop, &config), 0);
    assert_int_equal(wz_loop_new(&flood), 0);
    for (unsigned i = 0; i < FLOOD_SOURCES; i++) {
        struct wzp_quic_config client = { .rng = &wz_rng_system };
        char text[32];
        snprintf(text, sizeof text, "127.0.0.%u:0", 2 + i);
        assert_int_equal(wz_addr_parse(text, &client.bind), 0);
        assert_int_equal(wzp_quic_new(&source[i], flood, &client), 0);
        for (unsigned k = 0; k < FLOOD_EACH; k++) {
            struct wzp_quic_conn *conn;
            const struct wzp_quic_dial dial = { .to = wzp_relay_server_local(server),
                                                .sni = "_signal",
                                                .handlers = &nothing };
            assert_int_equal(wzp_quic_connect(source[i], &dial, &conn), 0);
        }
    }
    assert_true(wz_loop_turn(flood, 0) >= 0);
    const struct wzp_quic_stats *quic = wzp_relay_server_quic_stats(server);
    const uint64_t expected = FLOOD_SOURCES * FLOOD_EACH - FLOOD_HANDSHAKES_MAX;
    assert_true(quic_wait(w->loop, quic->retried >= expected, QUIC_WAIT_MS));
    assert_int_equal(quic->accepted, 0);

    struct relay_peer *alice = &w->peer[ALICE];
    assert_int_equal(relay_peer_dial(alice, w->quic, wzp_relay_server_local(server), "_signal", ALICE), 0);
    assert_true(quic_wait(w->loop, alice->registered, QUIC_WAIT_MS));
    assert_true(quic->retried > expected); /* she had to prove her address as well */
    assert_int_equal(quic->accepted, 1);
    for (unsigned i = 0; i < FLOOD_SOURCES; i++)
        wzp_quic_free(source[i]);
    wz_loop_free(flood);
    wzp_relay_server_free(server);
}

/* ---- counters from another thread ---- */

static void quality_reports_in_datagrams_bring_a_directive_at_once(void **state)
{
    struct world *w = *state;
    const uint8_t lossy[20] = { 0x02, [16] = 60, 10, 0, 200 }; /* Opus with a report of 23 % loss */
    struct wzp_signal directive;
    struct relay_peer *alice = join(w, ALICE, "ops", 1), *bob = join(w, BOB, "ops", 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wzp_quic_send_datagram(alice->conn, wz_bytes(lossy, sizeof lossy)), 0);
    wait_for(w, alice, WZP_SIG_QUALITY_DIRECTIVE, &directive);
    assert_string_equal(directive.quality_directive.reason, "weakest link: Catastrophic");
    wzp_signal_done(&directive);
    assert_true(wz_list_is_empty(&bob->inbox)); /* it has sent no report */
}

struct reader {
    struct wzp_relay_server *server;
    atomic_bool stop;
    uint64_t reads, last_forwarded;
    bool went_back;
};

static void *read_counters(void *arg)
{
    struct reader *r = arg;
    while (!atomic_load(&r->stop)) {
        struct wzp_relay_stats now;
        struct wzp_relay_call_flow flow;
        wzp_relay_server_stats(r->server, &now);
        (void)wzp_relay_server_call_flow(r->server, "c1", &flow);
        r->went_back |= now.packets_forwarded < r->last_forwarded;
        r->last_forwarded = now.packets_forwarded;
        r->reads++;
    }
    return NULL;
}

static void counters_may_be_read_from_another_thread_while_media_flows(void **state)
{
    struct world *w = *state;
    const uint8_t data[50] = { 0 };
    pthread_t thread;
    struct reader reader = { .server = w->server };
    struct relay_peer *alice = join(w, ALICE, "ops", 1), *bob = join(w, BOB, "ops", 2);
    assert_int_equal(pthread_create(&thread, NULL, read_counters, &reader), 0);
    for (int i = 0; i < 200; i++) {
        const uint64_t before = bob->datagrams;
        assert_int_equal(wzp_quic_send_datagram(alice->conn, wz_bytes(data, sizeof data)), 0);
        assert_true(quic_wait(w->loop, bob->datagrams > before, QUIC_WAIT_MS));
        if (i % 20 == 0)
            relay_peer_send_text(alice, "\"Reflect\""); /* a step beside the datagrams */
    }
    atomic_store(&reader.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(reader.reads > 0);
    assert_false(reader.went_back);
    assert_int_equal(stats(w).packets_forwarded, 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(registration_is_acknowledged_and_reflect_shows_the_real_address),
        TEST(version_is_written_before_the_connection_closes),
        TEST(ping_completes_the_handshake_and_closes),
        TEST(federation_link_is_closed_with_a_reason),
        TEST(certificate_is_the_one_whose_fingerprint_is_shown),
        TEST(second_server_on_the_same_port_is_refused),
        TEST(call_is_set_up_in_order_and_both_get_the_address_they_dialled),
        TEST(vanished_callee_is_noticed),
        TEST(bad_messages_leave_the_connection_alive),
        TEST(message_of_a_mebibyte_without_sense_does_not_harm_the_connection),
        TEST(datagrams_are_forwarded_byte_for_byte_to_the_others),
        TEST(datagram_of_eleven_bytes_is_dropped_and_the_connection_lives),
        TEST(leaving_is_announced),
        TEST(refused_join_is_closed_with_a_reason),
        TEST(draining_waits_for_the_call_and_tells_once),
        TEST(clients_are_told_when_the_server_stops),
        TEST(token_waits_for_its_verdict),
        TEST(token_that_cannot_be_asked_about_is_refused),
        TEST(verdict_for_a_connection_that_is_gone_is_ignored),
        TEST(flood_of_half_open_handshakes_brings_retry_and_a_real_client_still_registers),
        TEST(quality_reports_in_datagrams_bring_a_directive_at_once),
        TEST(counters_may_be_read_from_another_thread_while_media_flows),
    };
    wz_log_init(STDERR_FILENO, WZ_LOG_TEXT, WZ_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
