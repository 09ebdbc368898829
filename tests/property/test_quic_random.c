/* Random lives of QUIC connections on a bad network, against what must always hold: messages arrive in order without
 * gaps, a connection is closed exactly once, nothing follows its end, and nothing is left when all is over.
 * One seed per run, printed first; TEST_SEED=n runs that one alone. Time is real, so a seed repeats what is done, not
 * each packet's fate. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/lossy_udp.h"
#include "tests/support/quic_peer.h"
#include "wzp/io/quic_internal.h"

#define RUNS  12
#define STEPS 400

struct chaos {
    struct quic_world *w;
    struct lossy_udp *lossy;
    struct wz_addr to_bob;
    uint64_t random;
    uint32_t sent[2][QUIC_PEER_LOGS]; /**< messages queued per log, alice's and bob's */
};

static uint32_t roll(struct chaos *c, uint32_t below)
{
    c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(c->random >> 33) % below;
}

static void check_log(const struct quic_log *log)
{
    size_t known = log->messages < QUIC_LOG_NUMBERS ? log->messages : QUIC_LOG_NUMBERS;

    assert_true(log->closed <= 1);
    assert_true(log->connected <= 1);
    for (size_t i = 0; i < known; i++)
        assert_int_equal(log->number[i], i);
}

static struct quic_log *pick(struct chaos *c, struct quic_peer **ret_peer, size_t *ret_at)
{
    struct quic_peer *peer = roll(c, 2) ? &c->w->alice : &c->w->bob;

    if (!peer->logs)
        return NULL;
    *ret_peer = peer;
    *ret_at = roll(c, (uint32_t)peer->logs);
    return peer->log[*ret_at].conn ? &peer->log[*ret_at] : NULL;
}

static void send_number(struct chaos *c, struct quic_log *log, const struct quic_peer *peer, size_t at)
{
    static uint8_t body[70000];
    uint32_t *next = &c->sent[peer == &c->w->bob][at];
    struct wz_writer out = wz_writer(body, sizeof body);
    size_t len = roll(c, 8) ? 4 + roll(c, 300) : 4 + roll(c, sizeof body - 4);

    wz_put_u32be(&out, *next);
    if (wzp_quic_send_message(log->conn, wz_bytes(body, len)) == 0)
        ++*next;
}

static void send_datagrams(struct chaos *c, struct quic_log *log)
{
    static const uint8_t data[1500];
    uint32_t count = roll(c, 20);

    for (uint32_t i = 0; i < count; i++)
        (void)wzp_quic_send_datagram(log->conn, wz_bytes(data, roll(c, sizeof data)));
}

static void broken_stream(struct chaos *c, struct quic_log *log, struct quic_peer *peer)
{
    static const uint8_t junk[64] = { 0xff, 0xff, 0xff, 0xff };

    (void)peer;
    (void)quic_send_on_stream(log->conn, roll(c, 2), wz_bytes(NULL, 0), wz_bytes(junk, roll(c, sizeof junk)));
}

static void reshape(struct chaos *c)
{
    struct lossy_udp_shape shape = {
        .loss = roll(c, 200),
        .duplicate = roll(c, 50),
        .reorder = roll(c, 100),
        .delay_ms = roll(c, 4),
        .jitter_ms = roll(c, 4),
        .reorder_ms = 1 + roll(c, 10),
    };

    if (roll(c, 10) == 0)
        shape.loss = 1000;
    lossy_udp_shape(c->lossy, &shape);
}

static void step(struct chaos *c)
{
    struct quic_peer *peer = NULL;
    size_t at = 0;
    struct quic_log *log = pick(c, &peer, &at);
    uint32_t what = roll(c, 100);

    if (what < 8)
        (void)quic_peer_dial(&c->w->alice, c->to_bob, roll(c, 2) ? "_signal" : "room");
    else if (what < 12)
        reshape(c);
    else if (log && what < 15)
        wzp_quic_close(log->conn, "random");
    else if (log && what < 20)
        broken_stream(c, log, peer);
    else if (log && what < 60)
        send_number(c, log, peer, at);
    else if (log && what < 80)
        send_datagrams(c, log);
    assert_true(wz_loop_turn(c->w->loop, (int)roll(c, 3)) >= 0);
}

static void open_chaos(struct chaos *c, uint64_t seed)
{
    struct wzp_quic_config config = quic_peer_config();
    struct wz_addr any, bob;

    memset(c, 0, sizeof *c);
    c->random = seed;
    config.idle_ms = 400;
    config.keepalive_ms = 100;
    config.handshake_ms = 600;
    config.max_handshakes = 3;
    config.max_connections = 16;
    c->w = quic_world_new(&config, &config);
    bob = wzp_quic_local(c->w->bob.quic);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &any), 0);
    assert_int_equal(lossy_udp_new(&c->lossy, c->w->loop, &any, &bob, seed), 0);
    c->to_bob = lossy_udp_local(c->lossy);
}

static bool nothing_left(const struct wzp_quic *quic)
{
    return wz_list_is_empty(&quic->conns) && quic->cids.count == 0 && quic->tokens.count == 0 &&
           quic->accepted_now == 0 && quic->handshakes_now == 0;
}

static void close_all(struct quic_peer *peer)
{
    for (size_t i = 0; i < peer->logs; i++)
        if (peer->log[i].conn)
            wzp_quic_close(peer->log[i].conn, "end of the test");
}

static void run(uint64_t seed)
{
    struct chaos c;

    open_chaos(&c, seed);
    for (int i = 0; i < STEPS; i++)
        step(&c);
    close_all(&c.w->alice);
    close_all(&c.w->bob);
    assert_true(quic_wait(c.w->loop, nothing_left(c.w->alice.quic) && nothing_left(c.w->bob.quic), 20000));
    for (size_t i = 0; i < c.w->alice.logs; i++)
        check_log(&c.w->alice.log[i]);
    for (size_t i = 0; i < c.w->bob.logs; i++)
        check_log(&c.w->bob.log[i]);
    for (size_t i = 0; i < c.w->alice.logs; i++)
        assert_int_equal(c.w->alice.log[i].closed, 1);
    for (size_t i = 0; i < c.w->bob.logs; i++)
        assert_int_equal(c.w->bob.log[i].closed, 1);
    lossy_udp_free(c.lossy);
    quic_world_free(c.w);
}

static void random_lives_keep_the_rules(void **state)
{
    const char *only = getenv("TEST_SEED");

    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        uint64_t use = only ? strtoull(only, NULL, 0) : seed;
        (void)fprintf(stderr, "seed %llu (TEST_SEED=%llu test_quic_random)\n", (unsigned long long)use,
                      (unsigned long long)use);
        run(use);
        if (only)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives_keep_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
