/* Lines against the relay server on loopback, real QUIC: what the cores decided reaches the wire and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wzp/core/client.h"
#include "wzp/io/line.h"
#include "wzp/io/quic.h"
#include "wzp/io/relay_server.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define WAIT_MS   10000
#define CALLS_MAX 16

struct phone_call {
    struct wzp_line_call *call; /**< NULL: ended */
    unsigned ended, ups, rings, setups;
    enum wzp_line_end end;
    size_t datagrams;
    char peer_direct_addr[WZ_ADDR_TEXT_MAX];
    char text[64];
    struct wzp_line_media_stats stats; /**< as it was when the call ended */
};

struct phone {
    struct wzp_line *line;
    size_t calls;
    struct phone_call call[CALLS_MAX];
    unsigned registered, unregistered, reflected, pongs, sent, received;
    char observed[WZ_ADDR_TEXT_MAX];
    uint32_t rtt_us;
    int auto_answer; /**< an accept mode, or -1 */
    bool hang_up_at_once;
    char trace[512];
};

struct stage {
    struct wz_loop *loop;
    struct wzp_relay_server *relay;
    struct wz_addr relay_addr;
    struct wzp_line_group *group;
    struct wzp_quic *quic;
    struct phone alice, bob;
};

#define wait_for(stage, condition)                                                                           \
    do {                                                                                                     \
        const uint64_t until_us_ = wz_clock_us() + WAIT_MS * 1000u;                                          \
        while (!(condition) && wz_clock_us() < until_us_)                                                    \
            assert_true(wz_loop_turn((stage)->loop, 5) >= 0);                                                \
        assert_true(condition);                                                                              \
    } while (0)

static struct phone_call *call_of(struct phone *phone, const struct wzp_line_call *call)
{
    for (size_t i = 0; i < phone->calls; i++)
        if (phone->call[i].call == call)
            return &phone->call[i];
    return NULL;
}

static void on_incoming(struct phone *phone, const struct wzp_line_event *event)
{
    assert_true(phone->calls < CALLS_MAX);
    phone->call[phone->calls++] = (struct phone_call){ .call = event->call };
    if (phone->hang_up_at_once)
        wzp_line_hangup(event->call, WZP_HANGUP_BUSY);
    else if (phone->auto_answer >= 0)
        assert_int_equal(wzp_line_answer(event->call, (enum wzp_accept_mode)phone->auto_answer), 0);
}

static void on_ended(struct phone_call *call, const struct wzp_line_event *event)
{
    wzp_line_call_stats(event->call, &call->stats);
    call->ended++;
    call->end = event->end;
    call->call = NULL;
}

static void on_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct phone *phone = arg;
    struct phone_call *call = event->call ? call_of(phone, event->call) : NULL;
    (void)line;
    switch (event->kind) {
    case WZP_LINE_REGISTERED:
        phone->registered++;
        break;
    case WZP_LINE_UNREGISTERED:
        phone->unregistered++;
        break;
    case WZP_LINE_INCOMING:
        on_incoming(phone, event);
        break;
    case WZP_LINE_RINGING:
        call->rings++;
        break;
    case WZP_LINE_SETUP:
        call->setups++;
        (void)snprintf(call->peer_direct_addr, sizeof call->peer_direct_addr, "%s",
                       event->peer_direct_addr ? event->peer_direct_addr : "");
        break;
    case WZP_LINE_MEDIA_UP:
        call->ups++;
        break;
    case WZP_LINE_ENDED:
        on_ended(call, event);
        break;
    case WZP_LINE_REFLECTED:
        phone->reflected++;
        (void)snprintf(phone->observed, sizeof phone->observed, "%s",
                       event->observed_addr ? event->observed_addr : "");
        break;
    case WZP_LINE_PONG:
        phone->pongs++;
        phone->rtt_us = event->rtt_us;
        break;
    case WZP_LINE_SIGNAL:
        if (event->outgoing)
            phone->sent++;
        else
            phone->received++;
        if (strcmp(event->signal_name, "AuthToken") == 0)
            assert_int_equal(event->body.len, 0);
        break;
    default:
        break;
    }
}

static void on_datagram(void *arg, struct wzp_line_call *line_call, struct wz_bytes data)
{
    struct phone_call *call = call_of(arg, line_call);
    assert_non_null(call);
    call->datagrams++;
    (void)snprintf(call->text, sizeof call->text, "%.*s", (int)(data.len - 12), (const char *)data.data + 12);
}

static void start_phone(struct stage *s, struct phone *phone, uint8_t seed, bool rooms_only)
{
    const struct wzp_line_config config = {
        .seed = { seed },
        .build = "test",
        .relay = s->relay_addr,
        .rooms_only = rooms_only,
        .group = s->group,
        .handlers = { .event = on_event, .datagram = on_datagram },
        .arg = phone,
        .rng = &wz_rng_system,
    };
    *phone = (struct phone){ .auto_answer = -1 };
    assert_int_equal(wzp_line_new(&phone->line, s->loop, s->quic, &config), 0);
}

static void start_relay(struct stage *s, uint16_t port)
{
    struct wzp_relay_server_config config = { .relay = { .build = "relay-1", .rng = &wz_rng_system } };
    config.relay.seed[0] = 77;
    assert_int_equal(wz_addr_parse("127.0.0.1:1", &config.listen), 0);
    config.listen.port = port;
    assert_int_equal(wzp_relay_server_new(&s->relay, s->loop, &config), 0);
    s->relay_addr = wzp_relay_server_local(s->relay);
}

static int new_stage(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(wz_loop_new(&s->loop), 0);
    start_relay(s, 0);
    struct wzp_quic_config quic = { .rng = &wz_rng_system };
    assert_int_equal(wz_addr_parse("127.0.0.1:1", &quic.bind), 0);
    quic.bind.port = 0;
    assert_int_equal(wzp_line_group_new(&s->group), 0);
    wzp_line_group_serve(s->group, &quic);
    assert_int_equal(wzp_quic_new(&s->quic, s->loop, &quic), 0);
    start_phone(s, &s->alice, 1, false);
    start_phone(s, &s->bob, 2, false);
    wait_for(s, s->alice.registered && s->bob.registered);
    *state = s;
    return 0;
}

static int end_stage(void **state)
{
    struct stage *s = *state;
    wzp_line_free(s->alice.line);
    wzp_line_free(s->bob.line);
    wzp_quic_free(s->quic);
    wzp_line_group_free(s->group);
    wzp_relay_server_free(s->relay);
    wz_loop_free(s->loop);
    free(s);
    return 0;
}

static struct phone_call *dial(struct phone *from, const struct phone *to)
{
    const struct wzp_line_dial dial = { .target_fingerprint = wzp_line_fingerprint(to->line) };
    struct wzp_line_call *line_call = NULL;
    assert_int_equal(wzp_line_call(from->line, &dial, NULL, &line_call), 0);
    struct phone_call *call = &from->call[from->calls++];
    *call = (struct phone_call){ .call = line_call };
    return call;
}

static void send_text(struct phone_call *call, uint16_t seq, const char *text)
{
    uint8_t buf[128];
    const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K, .seq = seq, .timestamp_ms = seq * 20u };
    const int len = wzp_media_encode(&hdr, wz_bytes_str(text), buf, sizeof buf);
    assert_true(len > 0);
    assert_int_equal(wzp_line_send(call->call, wz_bytes(buf, (size_t)len)), 0);
}

static void two_lines_on_one_socket_talk_and_hang_up(void **state)
{
    struct stage *s = *state;
    s->bob.auto_answer = WZP_ACCEPT_TRUSTED;
    struct phone_call *a = dial(&s->alice, &s->bob), *b = &s->bob.call[0];
    wait_for(s, a->ups && b->ups);
    assert_int_equal(a->rings, 1);
    send_text(a, 0, "from alice");
    send_text(b, 0, "from bob");
    wait_for(s, a->datagrams && b->datagrams);
    assert_string_equal(a->text, "from bob");
    assert_string_equal(b->text, "from alice");
    wzp_line_hangup(a->call, WZP_HANGUP_NORMAL);
    assert_int_equal(a->ended, 1); /* before hangup() returned */
    assert_int_equal(a->end, WZP_LINE_END_LOCAL);
    wait_for(s, b->ended);
    assert_int_equal(b->end, WZP_LINE_END_HANGUP);
    assert_int_equal(a->stats.datagrams_rx, 1); /* still told when the connection is gone */
    assert_int_equal(b->stats.datagrams_tx, 1);
}

static void loopback_address_is_not_advertised_as_a_mapping(void **state)
{
    struct stage *s = *state;
    s->bob.auto_answer = WZP_ACCEPT_TRUSTED;
    struct phone_call *a = dial(&s->alice, &s->bob), *b = &s->bob.call[0];
    wait_for(s, a->setups && b->setups);
    assert_string_equal(a->peer_direct_addr, "");
    assert_string_equal(b->peer_direct_addr, "");
}

static void configured_public_address_reaches_the_peer(void **state)
{
    struct stage *s = *state;
    struct wzp_line_addresses known = { .host_count = 0 };
    assert_int_equal(wz_addr_parse("203.0.113.8:9999", &known.public_address), 0);
    wzp_line_set_addresses(s->bob.line, &known);
    s->bob.auto_answer = WZP_ACCEPT_TRUSTED;
    struct phone_call *a = dial(&s->alice, &s->bob);
    wait_for(s, a->setups);
    assert_string_equal(a->peer_direct_addr, "203.0.113.8:9999");
}

static void handler_may_hang_up_in_the_event_that_announces_the_call(void **state)
{
    struct stage *s = *state;
    s->bob.hang_up_at_once = true;
    struct phone_call *a = dial(&s->alice, &s->bob);
    wait_for(s, a->ended);
    assert_int_equal(a->end, WZP_LINE_END_HANGUP);
    assert_int_equal(s->bob.call[0].ended, 1);
}

static void reflect_and_ping_are_answered(void **state)
{
    struct stage *s = *state;
    char expect[WZ_ADDR_TEXT_MAX];
    const struct wz_addr local = wzp_quic_local(s->quic);
    assert_int_equal(wzp_line_reflect(s->alice.line), 0);
    assert_int_equal(wzp_line_ping(s->alice.line), 0);
    wait_for(s, s->alice.reflected && s->alice.pongs);
    assert_string_equal(s->alice.observed, wz_addr_format(&local, expect));
    assert_string_equal(wzp_line_reflexive_addr(s->alice.line), expect);
    assert_in_range(s->alice.rtt_us, 1, 2000000);
}

static void rooms_need_no_registration(void **state)
{
    struct stage *s = *state;
    struct phone carol, dave;
    start_phone(s, &carol, 3, true);
    start_phone(s, &dave, 4, true);
    struct phone *const phones[] = { &carol, &dave };
    for (size_t i = 0; i < 2; i++) {
        phones[i]->calls = 1;
        phones[i]->call[0] = (struct phone_call){ .call = NULL };
        assert_int_equal(wzp_line_join(phones[i]->line, &(struct wzp_line_room){ .name = "Ops" }, NULL, &phones[i]->call[0].call), 0);
    }
    wait_for(s, carol.call[0].ups && dave.call[0].ups);
    send_text(&carol.call[0], 0, "hello room");
    wait_for(s, dave.call[0].datagrams);
    assert_string_equal(dave.call[0].text, "hello room");
    assert_int_equal(carol.registered, 0);
    wzp_line_free(carol.line);
    wzp_line_free(dave.line);
    assert_int_equal(carol.call[0].ended, 1); /* free leaves the room and says so */
}

static void calls_at_once_on_one_line_are_kept_apart(void **state)
{
    struct stage *s = *state;
    s->bob.auto_answer = WZP_ACCEPT_GENERIC;
    struct phone_call *a[3];
    for (size_t i = 0; i < 3; i++)
        a[i] = dial(&s->alice, &s->bob);
    wait_for(s, a[0]->ups && a[1]->ups && a[2]->ups && s->bob.calls == 3 && s->bob.call[0].ups &&
                    s->bob.call[1].ups && s->bob.call[2].ups);
    send_text(a[1], 0, "middle");
    wait_for(s, s->bob.call[1].datagrams);
    assert_string_equal(s->bob.call[1].text, "middle");
    wzp_line_hangup(a[1]->call, WZP_HANGUP_NORMAL);
    wait_for(s, s->bob.call[1].ended);
    assert_int_equal(s->bob.call[0].ended + s->bob.call[2].ended, 0);
}

static void sending_needs_media(void **state)
{
    struct stage *s = *state;
    const uint8_t datagram[20] = { 0 };
    struct phone_call *a = dial(&s->alice, &s->bob);
    assert_int_equal(wzp_line_send(a->call, wz_bytes(datagram, sizeof datagram)), -ENOTCONN);
}

static void relay_that_goes_is_noticed_and_found_again(void **state)
{
    struct stage *s = *state;
    s->bob.auto_answer = WZP_ACCEPT_GENERIC;
    struct phone_call *a = dial(&s->alice, &s->bob), *b = &s->bob.call[0];
    wait_for(s, a->ups && b->ups);
    const uint16_t port = s->relay_addr.port;
    wzp_relay_server_free(s->relay);
    s->relay = NULL;
    wait_for(s, a->ended && b->ended && s->alice.unregistered && s->bob.unregistered);
    assert_int_equal(a->end, WZP_LINE_END_MEDIA_LOST);
    const struct wzp_line_dial to = { .target_fingerprint = wzp_line_fingerprint(s->bob.line) };
    struct wzp_line_call *none = NULL;
    assert_int_equal(wzp_line_call(s->alice.line, &to, NULL, &none), -ENOTCONN);
    assert_null(none);
    start_relay(s, port);
    wait_for(s, s->alice.registered == 2 && s->bob.registered == 2);
}

static void freed_line_ends_its_calls_and_the_peer_hears_of_it(void **state)
{
    struct stage *s = *state;
    s->bob.auto_answer = WZP_ACCEPT_GENERIC;
    struct phone_call *a = dial(&s->alice, &s->bob), *b = &s->bob.call[0];
    wait_for(s, a->ups && b->ups);
    wzp_line_free(s->alice.line);
    s->alice.line = NULL;
    assert_int_equal(a->ended, 1);
    wait_for(s, b->ended);
    assert_int_equal(b->end, WZP_LINE_END_HANGUP);
}

static void signals_are_traced_both_ways(void **state)
{
    struct stage *s = *state;
    assert_int_equal(s->alice.sent, 1);     /* RegisterPresence */
    assert_int_equal(s->alice.received, 1); /* its Ack */
    assert_int_equal(wzp_line_ping(s->alice.line), 0);
    wait_for(s, s->alice.pongs);
    assert_int_equal(s->alice.sent, 2);
    assert_int_equal(s->alice.received, 2);
}

int main(void)
{
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_stage, end_stage)
    const struct CMUnitTest tests[] = {
        STORY(two_lines_on_one_socket_talk_and_hang_up),
        STORY(loopback_address_is_not_advertised_as_a_mapping),
        STORY(configured_public_address_reaches_the_peer),
        STORY(handler_may_hang_up_in_the_event_that_announces_the_call),
        STORY(reflect_and_ping_are_answered),
        STORY(rooms_need_no_registration),
        STORY(calls_at_once_on_one_line_are_kept_apart),
        STORY(sending_needs_media),
        STORY(relay_that_goes_is_noticed_and_found_again),
        STORY(freed_line_ends_its_calls_and_the_peer_hears_of_it),
        STORY(signals_are_traced_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
