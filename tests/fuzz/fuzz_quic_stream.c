/* wzp/io/quic_stream: a peer's streams hold anything. A live connection carries them; a model says how many messages
 * must come out, and the connection must survive.
 * The input is a list of streams: a length (u16), and that many bytes. */
#include <stdlib.h>

#include "wzp/io/quic_internal.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/rng.h"

#define STREAMS_MAX 40
#define WAIT_US     5000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Two endpoints, one connection between them that lives as long as the process. */
static struct {
    struct wz_loop *loop;
    struct wzp_quic *dialler, *server;
    struct wzp_quic_conn *ours, *theirs;
    size_t messages;
    int64_t last_id; /**< of the next stream to come, when all were dealt with */
} world;

static void on_connected(void *arg, struct wzp_quic_conn *conn)
{
    (void)arg;
    world.theirs = conn;
}

static void on_message(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    (void)arg;
    (void)conn;
    (void)body;
    world.messages++;
}

static void on_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    (void)arg;
    (void)conn;
    (void)why;
    abort();
}

static bool is_up(void)
{
    return world.theirs && wzp_quic_conn_is_up(world.ours);
}

static bool is_all_delivered(void)
{
    return world.theirs->rx_next_id == world.last_id;
}

static void wait_for(bool (*condition)(void))
{
    uint64_t until_us = wz_clock_us() + WAIT_US;

    while (!condition())
        if (wz_loop_turn(world.loop, 5) < 0 || wz_clock_us() > until_us)
            abort();
}

static void connect_once(void)
{
    static const struct wzp_quic_handlers ours = { .closed = on_closed };
    struct wzp_quic_config config = { .rng = &wz_rng_system };
    struct wzp_quic_dial dial = { .sni = "fuzz", .handlers = &ours };

    if (world.loop)
        return;
    if (wz_addr_parse("127.0.0.1:0", &config.bind) < 0 || wz_loop_new(&world.loop) < 0 ||
        wzp_quic_new(&world.dialler, world.loop, &config) < 0)
        abort();
    config.accept = true;
    config.handlers =
        (struct wzp_quic_handlers){ .connected = on_connected, .message = on_message, .closed = on_closed };
    if (wzp_quic_new(&world.server, world.loop, &config) < 0)
        abort();
    dial.to = wzp_quic_local(world.server);
    if (wzp_quic_connect(world.dialler, &dial, &world.ours) < 0)
        abort();
    wait_for(is_up);
}

/** The framing as the specification has it: a length, at most 1 MiB, and all of the body. */
static bool is_message(struct wz_bytes bytes)
{
    struct wz_reader in = wz_reader(bytes);
    uint32_t len;

    return wz_get_u32be(&in, &len) && len <= QUIC_MESSAGE_MAX_BYTES && len <= wz_left(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wz_reader in = wz_reader(wz_bytes(data, size));
    size_t expected, streams = 0;
    uint16_t len;

    connect_once();
    expected = world.messages;
    while (streams++ < STREAMS_MAX && wz_get_u16be(&in, &len)) {
        struct wz_bytes body;
        if (len > wz_left(&in))
            len = (uint16_t)wz_left(&in);
        (void)wz_get_slice(&in, len, &body);
        expected += is_message(body);
        if (quic_send_on_stream(world.ours, false, wz_bytes(NULL, 0), body) < 0)
            abort();
        world.last_id += 4;
    }
    wait_for(is_all_delivered);
    if (world.messages != expected)
        abort();
    return 0;
}
