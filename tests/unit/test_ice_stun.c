/* ice/stun, ice/enumerate, ice/selfcheck: answers are believed only from the server asked and for the request
 * sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ice/enumerate.h"
#include "ice/selfcheck.h"
#include "ice/stun.h"

struct wire {
    unsigned sent;
    uint8_t packet[64];
    size_t len;
    struct wz_addr to;
};

static void on_send(void *arg, struct wz_bytes packet, const struct wz_addr *to)
{
    struct wire *wire = arg;
    assert_true(packet.len <= sizeof wire->packet);
    memcpy(wire->packet, packet.data, packet.len);
    wire->len = packet.len;
    wire->to = *to;
    wire->sent++;
}

static struct wz_addr addr(const char *text)
{
    struct wz_addr ret;
    assert_int_equal(wz_addr_parse(text, &ret), 0);
    return ret;
}

/* A binding response by hand (RFC 8489 5, 14.2): header, cookie, the request's id, XOR-MAPPED-ADDRESS. */
static size_t response(const struct wire *wire, const struct wz_addr *mapped, uint8_t out[static 64])
{
    static const uint8_t cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };
    uint8_t head[4] = { 0x01, 0x01, 0x00, 12 };
    uint8_t attr[12] = {
        0x00, 0x20, 0x00, 8, 0, 1, (uint8_t)(mapped->port >> 8 ^ 0x21), (uint8_t)(mapped->port ^ 0x12)
    };
    for (int i = 0; i < 4; i++)
        attr[8 + i] = mapped->ip[i] ^ cookie[i];
    memcpy(out, head, 4);
    memcpy(out + 4, wire->packet + 4, 16);
    memcpy(out + 20, attr, 12);
    return 32;
}

static struct wice_stun *one_server(struct wire *wire)
{
    struct wice_stun *stun;
    struct wice_stun_config config = { .server_count = 1, .send = on_send, .arg = wire };
    config.server[0] = addr("198.51.100.7:3478");
    assert_int_equal(wice_stun_new(&stun, &config), 0);
    return stun;
}

static void mapped_address_is_learned(void **state)
{
    (void)state;
    struct wire wire = { 0 };
    uint8_t packet[64];
    struct wz_addr mapped = addr("203.0.113.5:40001"), got, server = addr("198.51.100.7:3478");
    struct wice_stun *stun = one_server(&wire);
    wice_stun_start(stun, 1000);
    assert_int_equal(wire.sent, 1);
    assert_true(wz_addr_equal(&wire.to, &server));
    assert_false(wice_stun_is_done(stun));
    size_t len = response(&wire, &mapped, packet);
    assert_true(wice_stun_packet(stun, wz_bytes(packet, len), &server));
    assert_true(wice_stun_is_done(stun));
    assert_true(wice_stun_mapping(stun, 0, &got));
    assert_true(wz_addr_equal(&got, &mapped));
    wice_stun_free(stun);
}

static void answer_from_elsewhere_or_for_another_request_is_ignored(void **state)
{
    (void)state;
    struct wire wire = { 0 };
    uint8_t packet[64];
    struct wz_addr mapped = addr("203.0.113.5:40001"), got, server = addr("198.51.100.7:3478"),
                   stranger = addr("198.51.100.8:3478");
    struct wice_stun *stun = one_server(&wire);
    wice_stun_start(stun, 1000);
    size_t len = response(&wire, &mapped, packet);
    assert_false(wice_stun_packet(stun, wz_bytes(packet, len), &stranger));
    packet[19] ^= 1; /* transaction id */
    assert_false(wice_stun_packet(stun, wz_bytes(packet, len), &server));
    assert_false(wice_stun_packet(stun, wz_bytes(packet, 19), &server));
    assert_false(wice_stun_packet(stun, wz_bytes(packet, 0), &server));
    assert_false(wice_stun_mapping(stun, 0, &got));
    wice_stun_free(stun);
}

static void silent_server_is_asked_four_times_and_given_up(void **state)
{
    (void)state;
    struct wire wire = { 0 };
    struct wice_stun *stun = one_server(&wire);
    static const uint64_t at_us[] = { 500000, 1500000, 3500000 };
    wice_stun_start(stun, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(wice_stun_deadline_us(stun), at_us[i]);
        wice_stun_tick(stun, at_us[i] - 1);
        assert_int_equal(wire.sent, i + 1);
        wice_stun_tick(stun, at_us[i]);
        assert_int_equal(wire.sent, i + 2);
    }
    wice_stun_tick(stun, 7500000);
    assert_true(wice_stun_is_done(stun));
    assert_int_equal(wire.sent, 4);
    wice_stun_free(stun);
}

/* A binding error response: ERROR-CODE 500. */
static size_t refusal(const struct wire *wire, uint8_t out[static 64])
{
    static const uint8_t head[4] = { 0x01, 0x11, 0x00, 8 }, attr[8] = { 0x00, 0x09, 0x00, 4, 0, 0, 5, 0 };
    memcpy(out, head, 4);
    memcpy(out + 4, wire->packet + 4, 16);
    memcpy(out + 20, attr, 8);
    return 28;
}

static void refusal_ends_the_round_without_a_mapping(void **state)
{
    (void)state;
    struct wire wire = { 0 };
    uint8_t packet[64];
    struct wz_addr server = addr("198.51.100.7:3478"), got;
    struct wice_stun *stun = one_server(&wire);
    wice_stun_start(stun, 0);
    assert_true(wice_stun_packet(stun, wz_bytes(packet, refusal(&wire, packet)), &server));
    assert_true(wice_stun_is_done(stun));
    assert_false(wice_stun_mapping(stun, 0, &got));
    wice_stun_free(stun);
}

static void last_mapping_stays_until_the_next_round_is_answered_or_given_up(void **state)
{
    (void)state;
    struct wire wire = { 0 };
    uint8_t packet[64];
    struct wz_addr server = addr("198.51.100.7:3478"), mapped = addr("203.0.113.5:40001"), got;
    struct wice_stun *stun = one_server(&wire);
    wice_stun_start(stun, 0);
    size_t len = response(&wire, &mapped, packet);
    assert_true(wice_stun_packet(stun, wz_bytes(packet, len), &server));
    assert_false(wice_stun_packet(stun, wz_bytes(packet, len), &server)); /* once */
    wice_stun_start(stun, 10000000);
    assert_false(wice_stun_packet(stun, wz_bytes(packet, len), &server)); /* the answer to the last round */
    assert_true(wice_stun_mapping(stun, 0, &got));
    for (uint64_t now_us = 10500000; !wice_stun_is_done(stun); now_us += 500000)
        wice_stun_tick(stun, now_us);
    assert_false(wice_stun_mapping(stun, 0, &got));
    wice_stun_free(stun);
}

/* What went to each of several servers. */
struct wires {
    struct wire to[WICE_STUN_MAX_SERVERS];
    struct wz_addr server[WICE_STUN_MAX_SERVERS];
};

static void on_send_to_many(void *arg, struct wz_bytes packet, const struct wz_addr *to)
{
    struct wires *wires = arg;
    for (size_t i = 0; i < WICE_STUN_MAX_SERVERS; i++)
        if (wz_addr_equal(&wires->server[i], to))
            on_send(&wires->to[i], packet, to);
}

static void several_servers_are_asked_at_once_and_kept_apart(void **state)
{
    (void)state;
    struct wires wires = { 0 };
    struct wice_stun_config config = { .server_count = WICE_STUN_MAX_SERVERS,
                                       .send = on_send_to_many,
                                       .arg = &wires };
    struct wice_stun *stun;
    struct wz_addr got;
    uint8_t packet[64];
    for (size_t i = 0; i < WICE_STUN_MAX_SERVERS; i++) {
        wires.server[i] = config.server[i] = addr("198.51.100.7:3478");
        wires.server[i].port = config.server[i].port = (uint16_t)(3478 + i);
    }
    assert_int_equal(wice_stun_new(&stun, &config), 0);
    wice_stun_start(stun, 0);
    struct wz_addr mapped = addr("203.0.113.5:40001");
    /* The second server's id from the third server's address is nobody's answer. */
    size_t len = response(&wires.to[1], &mapped, packet);
    assert_false(wice_stun_packet(stun, wz_bytes(packet, len), &wires.server[2]));
    for (size_t i = WICE_STUN_MAX_SERVERS; i-- > 1;) { /* the first one stays silent */
        mapped.port = (uint16_t)(40000 + i);
        len = response(&wires.to[i], &mapped, packet);
        assert_true(wice_stun_packet(stun, wz_bytes(packet, len), &wires.server[i]));
    }
    assert_false(wice_stun_is_done(stun));
    assert_false(wice_stun_mapping(stun, 0, &got));
    for (size_t i = 1; i < WICE_STUN_MAX_SERVERS; i++) {
        assert_true(wice_stun_mapping(stun, i, &got));
        assert_int_equal(got.port, 40000 + i);
    }
    assert_false(wice_stun_mapping(stun, WICE_STUN_MAX_SERVERS, &got));
    wice_stun_free(stun);
    config.server_count = WICE_STUN_MAX_SERVERS + 1;
    assert_int_equal(wice_stun_new(&stun, &config), -EINVAL);
}

static void no_server_is_done_at_once(void **state)
{
    (void)state;
    struct wire wire = { 0 };
    struct wice_stun *stun;
    assert_int_equal(wice_stun_new(&stun, &(struct wice_stun_config){ .send = on_send, .arg = &wire }), 0);
    wice_stun_start(stun, 0);
    assert_true(wice_stun_is_done(stun));
    assert_int_equal(wire.sent, 0);
    wice_stun_free(stun);
}

static void enumeration_carries_the_port_and_no_link_local(void **state)
{
    (void)state;
    struct wz_addr found[16];
    size_t count = wice_enumerate(4433, true, found, 16);
    assert_true(count >= 1); /* loopback at least */
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(found[i].port, 4433);
        assert_int_not_equal(wz_addr_kind(&found[i]), WZ_ADDR_KIND_LINK_LOCAL);
    }
    size_t without = wice_enumerate(4433, false, found, 16);
    for (size_t i = 0; i < without; i++)
        assert_int_not_equal(wz_addr_kind(&found[i]), WZ_ADDR_KIND_LOOPBACK);
    assert_int_equal(wice_enumerate(4433, true, found, 0), 0);
}

static void two_agents_find_each_other(void **state)
{
    (void)state;
    assert_int_equal(wice_selfcheck(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapped_address_is_learned),
        cmocka_unit_test(answer_from_elsewhere_or_for_another_request_is_ignored),
        cmocka_unit_test(silent_server_is_asked_four_times_and_given_up),
        cmocka_unit_test(refusal_ends_the_round_without_a_mapping),
        cmocka_unit_test(last_mapping_stays_until_the_next_round_is_answered_or_given_up),
        cmocka_unit_test(several_servers_are_asked_at_once_and_kept_apart),
        cmocka_unit_test(no_server_is_done_at_once),
        cmocka_unit_test(enumeration_carries_the_port_and_no_link_local),
        cmocka_unit_test(two_agents_find_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
