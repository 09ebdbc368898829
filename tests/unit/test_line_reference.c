/* A line and a client of the reference's ways, over real QUIC: it dials, and may never report what came of its race. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/relay_peer.h"
#include "wzp/core/media.h"
#include "wzp/io/line.h"
#include "wzp/io/relay_server.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define WAIT_MS 10000
#define CALL_ID "0123456789abcdef0123456789abcdef"
/** After every address of our line as a text, so that the reference dials. */
#define PEER_TEXT "127.0.0.2:9"

struct stage {
    struct wz_loop *loop;
    struct wzp_relay_server *relay;
    struct wzp_line_group *group;
    struct wzp_quic *home, *abroad;
    struct wzp_line *line;
    struct wzp_line_call *call;
    bool registered, up;
    enum wzp_line_path path;
    size_t heard;
    struct relay_peer peer;       /**< the reference's signal connection */
    struct wzp_quic_conn *direct; /**< NULL: none, or closed */
    bool is_connected;
    size_t peer_heard;
};

#define wait_for(stage, condition)                                                                                     \
    do {                                                                                                               \
        const uint64_t until_us_ = wz_clock_us() + WAIT_MS * 1000u;                                                    \
        while (!(condition) && wz_clock_us() < until_us_)                                                              \
            assert_true(wz_loop_turn((stage)->loop, 5) >= 0);                                                          \
        assert_true(condition);                                                                                        \
    } while (0)

/* ---- our side ---- */

static void on_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct stage *s = arg;
    (void)line;
    switch (event->kind) {
    case WZP_LINE_REGISTERED:
        s->registered = true;
        break;
    case WZP_LINE_INCOMING:
        s->call = event->call;
        assert_int_equal(wzp_line_answer(event->call, WZP_ACCEPT_TRUSTED), 0);
        break;
    case WZP_LINE_PATH:
        s->path = event->path;
        break;
    case WZP_LINE_MEDIA_UP:
        s->up = true;
        break;
    default:
        break;
    }
}

static void on_datagram(void *arg, struct wzp_line_call *call, struct wz_bytes data)
{
    struct stage *s = arg;
    (void)data;
    assert_ptr_equal(call, s->call);
    s->heard++;
}

/* ---- the reference's side ---- */

static void direct_connected(void *arg, struct wzp_quic_conn *conn)
{
    struct stage *s = arg;
    (void)conn;
    s->is_connected = true;
}

static void direct_datagram(void *arg, struct wzp_quic_conn *conn, struct wz_bytes data)
{
    struct stage *s = arg;
    (void)conn;
    (void)data;
    s->peer_heard++;
}

static void direct_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    struct stage *s = arg;
    (void)conn;
    (void)why;
    s->direct = NULL;
}

static const struct wzp_quic_handlers direct_handlers = {
    .connected = direct_connected,
    .datagram = direct_datagram,
    .closed = direct_closed,
};

static void dial_directly(struct stage *s)
{
    const struct wzp_quic_dial dial = {
        .to = wzp_quic_local(s->home),
        .sni = "call-call-" CALL_ID,
        .handlers = &direct_handlers,
        .arg = s,
    };
    assert_int_equal(wzp_quic_connect(s->abroad, &dial, &s->direct), 0);
    wait_for(s, s->is_connected);
}

static size_t media(uint8_t buf[static 64])
{
    const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K };
    const int len = wzp_media_encode(&hdr, wz_bytes_str("sound"), buf, 64);
    assert_true(len > 0);
    return (size_t)len;
}

/** Unsigned, as the reference does, but of a version that races. */
static void call_line(struct stage *s)
{
    char target[WZP_FINGERPRINT_TEXT], own[WZP_FINGERPRINT_TEXT], host[WZ_ADDR_TEXT_MAX];
    char id[] = CALL_ID, reflexive[] = PEER_TEXT, build[] = "9377a90";
    const struct wz_addr addr = wzp_quic_local(s->abroad);
    wait_for(s, s->registered && s->peer.registered);
    (void)snprintf(target, sizeof target, "%s", wzp_line_fingerprint(s->line));
    (void)snprintf(own, sizeof own, "%s", s->peer.identity.fingerprint);
    wz_addr_format(&addr, host);
    relay_peer_send(&s->peer, &(struct wzp_signal){ .kind = WZP_SIG_DIRECT_CALL_OFFER,
                                                    .offer = { .caller_fingerprint = own,
                                                               .target_fingerprint = target,
                                                               .call_id = id,
                                                               .keys = { .has_identity = true, .has_ephemeral = true },
                                                               .caller_reflexive_addr = reflexive,
                                                               .caller_local_addrs = { .count = 1, .text = { host } },
                                                               .caller_build_version = build } });
    wait_for(s, s->call);
}

static struct wz_addr loopback(void)
{
    struct wz_addr addr;
    assert_int_equal(wz_addr_parse("127.0.0.1:1", &addr), 0);
    addr.port = 0;
    return addr;
}

static void start_line(struct stage *s)
{
    struct wzp_quic_config quic = { .bind = loopback(), .rng = &wz_rng_system };
    const struct wzp_line_addresses known = { .share_loopback = true };
    assert_int_equal(wzp_line_group_new(&s->group), 0);
    wzp_line_group_serve(s->group, &quic);
    assert_int_equal(wzp_quic_new(&s->home, s->loop, &quic), 0);
    const struct wzp_line_config line = {
        .seed = { 1 },
        .build = "test",
        .relay = wzp_relay_server_local(s->relay),
        .share_local_addrs = true,
        .group = s->group,
        .handlers = { .event = on_event, .datagram = on_datagram },
        .arg = s,
        .rng = &wz_rng_system,
    };
    assert_int_equal(wzp_line_new(&s->line, s->loop, s->home, &line), 0);
    wzp_line_set_addresses(s->line, &known);
}

static int new_stage(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    struct wzp_relay_server_config config = { .relay = { .build = "relay-1", .rng = &wz_rng_system } };
    const struct wzp_quic_config abroad = { .bind = loopback(), .rng = &wz_rng_system };
    assert_non_null(s);
    assert_int_equal(wz_loop_new(&s->loop), 0);
    config.relay.seed[0] = 77;
    config.listen = loopback();
    assert_int_equal(wzp_relay_server_new(&s->relay, s->loop, &config), 0);
    start_line(s);
    assert_int_equal(wzp_quic_new(&s->abroad, s->loop, &abroad), 0);
    assert_int_equal(relay_peer_dial(&s->peer, s->abroad, wzp_relay_server_local(s->relay), "_signal", 7), 0);
    *state = s;
    return 0;
}

static int end_stage(void **state)
{
    struct stage *s = *state;
    wzp_line_free(s->line);
    relay_peer_done(&s->peer);
    wzp_quic_free(s->abroad);
    wzp_quic_free(s->home);
    wzp_line_group_free(s->group);
    wzp_relay_server_free(s->relay);
    wz_loop_free(s->loop);
    free(s);
    return 0;
}

/* ---- stories ---- */

static void reference_that_speaks_on_the_direct_connection_without_a_report_is_heard_and_answered(void **state)
{
    struct stage *s = *state;
    uint8_t buf[64];
    const size_t len = media(buf);
    call_line(s);
    dial_directly(s);
    assert_false(s->up); /* it waits for the report */
    for (const uint64_t until_us = wz_clock_us() + WAIT_MS * 1000u; !s->up;) {
        assert_true(wz_clock_us() < until_us);
        assert_non_null(s->direct);
        (void)wzp_quic_send_datagram(s->direct, wz_bytes(buf, len)); /* a full queue drops, as media does */
        assert_true(wz_loop_turn(s->loop, 5) >= 0);
    }
    assert_int_equal(s->path, WZP_LINE_PATH_DIRECT);
    wait_for(s, s->heard > 0);
    assert_int_equal(wzp_line_send(s->call, wz_bytes(buf, len)), 0);
    wait_for(s, s->peer_heard > 0);
}

static void acceptor_knocks_at_the_socket_that_will_dial(void **state)
{
    struct stage *s = *state;
    call_line(s);
    wait_for(s, wzp_quic_stats(s->abroad)->bad_packets > 0);
    dial_directly(s); /* and it does no harm */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            reference_that_speaks_on_the_direct_connection_without_a_report_is_heard_and_answered, new_stage,
            end_stage),
        cmocka_unit_test_setup_teardown(acceptor_knocks_at_the_socket_that_will_dial, new_stage, end_stage),
    };
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
