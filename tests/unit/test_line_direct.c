/* Direct paths of lines, on loopback with a real relay and real QUIC: who is let in, what is carried where, and what
 * happens when the path is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/lossy_udp.h"
#include "wzp/core/handshake.h"
#include "wzp/io/line.h"
#include "wzp/io/quic.h"
#include "wzp/io/relay_server.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define WAIT_MS 10000
/** A dead direct path is noticed after 1.25 s and left within 2 s; slow machines get five times that. */
#define FAILOVER_MS (5 * 2000)
#define SEEN_MAX    4096

/** One line with its one call. */
struct phone {
    struct wzp_line *line;
    struct wzp_line_call *call; /**< NULL: none, or over */
    unsigned registered, unregistered, ups, downs, ended;
    enum wzp_line_end end; /**< of the call, with its reason */
    enum wzp_hangup_reason hangup_reason;
    enum wzp_accept_mode accept;
    char paths[128]; /**< "relay direct ", in order */
    struct wz_addr remote;
    int send_when_down, send_on_new_path; /**< what sending answered in these events */
    size_t datagrams, strange;
    bool seen[SEEN_MAX]; /**< by the number each datagram carries */
};

/** A socket and the lines that share it. */
struct place {
    struct wzp_line_group *group;
    struct wzp_quic *quic;
};

struct stage {
    struct wz_loop *loop;
    struct wzp_relay_server *relay;
    struct wz_addr relay_addr;
    struct place home, office, elsewhere;
    struct lossy_udp *road; /**< the way to the office; NULL: not made */
    struct phone alice, bob;
};

#define wait_for(stage, condition)                                                                                     \
    do {                                                                                                               \
        const uint64_t until_us_ = wz_clock_us() + WAIT_MS * 1000u;                                                    \
        while (!(condition) && wz_clock_us() < until_us_)                                                              \
            assert_true(wz_loop_turn((stage)->loop, 5) >= 0);                                                          \
        assert_true(condition);                                                                                        \
    } while (0)

/* ---- phones ---- */

static int send_number(const struct phone *phone, unsigned number)
{
    uint8_t buf[64];
    const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K, .seq = (uint16_t)number, .timestamp_ms = number };
    const int len = wzp_media_encode(&hdr, wz_bytes_str("sound"), buf, sizeof buf);
    assert_true(len > 0);
    return wzp_line_send(phone->call, wz_bytes(buf, (size_t)len));
}

static void on_path(struct phone *phone, const struct wzp_line_event *event)
{
    const char *name = event->path == WZP_LINE_PATH_DIRECT ? "direct " : "relay ";
    assert_true(strlen(phone->paths) + strlen(name) < sizeof phone->paths);
    strcat(phone->paths, name);
    assert_int_equal(wz_addr_parse(event->path_remote, &phone->remote), 0);
    if (phone->ups)
        phone->send_on_new_path = send_number(phone, 0);
}

static void on_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct phone *phone = arg;
    (void)line;
    switch (event->kind) {
    case WZP_LINE_REGISTERED:
        phone->registered++;
        break;
    case WZP_LINE_UNREGISTERED:
        phone->unregistered++;
        break;
    case WZP_LINE_INCOMING:
        phone->call = event->call;
        assert_int_equal(wzp_line_answer(event->call, phone->accept), 0);
        break;
    case WZP_LINE_PATH:
        on_path(phone, event);
        break;
    case WZP_LINE_MEDIA_UP:
        phone->ups++;
        break;
    case WZP_LINE_MEDIA_DOWN:
        phone->downs++;
        phone->send_when_down = send_number(phone, 0);
        break;
    case WZP_LINE_ENDED:
        phone->ended++;
        phone->end = event->end;
        phone->hangup_reason = event->hangup_reason;
        phone->call = NULL;
        break;
    default:
        break;
    }
}

static void on_datagram(void *arg, struct wzp_line_call *call, struct wz_bytes data)
{
    struct phone *phone = arg;
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    assert_ptr_equal(call, phone->call);
    if (wzp_media_decode(data, &hdr, &payload) < 0 || payload.len != 5 || memcmp(payload.data, "sound", 5) != 0) {
        phone->strange++;
        return;
    }
    phone->datagrams++;
    if (hdr.seq < SEEN_MAX)
        phone->seen[hdr.seq] = true;
}

struct phone_options {
    uint8_t seed;
    bool rooms_only, no_direct;
};

static void start_phone(struct stage *s, struct phone *phone, const struct place *at,
                        const struct phone_options *options)
{
    const struct wzp_line_config config = {
        .seed = { options->seed },
        .build = "test",
        .relay = s->relay_addr,
        .rooms_only = options->rooms_only,
        .no_direct = options->no_direct,
        .share_local_addrs = true,
        .group = at->group,
        .handlers = { .event = on_event, .datagram = on_datagram },
        .arg = phone,
        .rng = &wz_rng_system,
    };
    *phone = (struct phone){ .accept = WZP_ACCEPT_TRUSTED };
    assert_int_equal(wzp_line_new(&phone->line, s->loop, at->quic, &config), 0);
}

/** The peer hears that this phone can be reached at addr, and nowhere else: what the relay sees of it, which would pass
 *  by a road, is not told behind a symmetric NAT. */
static void advertise(const struct phone *phone, const struct wz_addr *addr)
{
    struct wzp_line_addresses known = { .host_count = 1, .host = { *addr }, .stun_count = 2, .share_loopback = true };
    assert_int_equal(wz_addr_parse("192.0.2.1:1", &known.stun[0]), 0);
    assert_int_equal(wz_addr_parse("192.0.2.1:2", &known.stun[1]), 0);
    wzp_line_set_addresses(phone->line, &known);
}

static void call_bob(struct stage *s)
{
    wait_for(s, s->alice.registered && s->bob.registered);
    const struct wzp_line_dial dial = { .target_fingerprint = wzp_line_fingerprint(s->bob.line) };
    assert_int_equal(wzp_line_call(s->alice.line, &dial, NULL, &s->alice.call), 0);
}

/* ---- the stage ---- */

static struct wz_addr loopback(void)
{
    struct wz_addr addr;
    assert_int_equal(wz_addr_parse("127.0.0.1:1", &addr), 0);
    addr.port = 0;
    return addr;
}

static void open_place(struct stage *s, struct place *place)
{
    struct wzp_quic_config config = { .bind = loopback(), .rng = &wz_rng_system };
    assert_int_equal(wzp_line_group_new(&place->group), 0);
    wzp_line_group_serve(place->group, &config);
    assert_int_equal(wzp_quic_new(&place->quic, s->loop, &config), 0);
}

static void close_place(struct place *place)
{
    wzp_quic_free(place->quic);
    wzp_line_group_free(place->group);
    *place = (struct place){ 0 };
}

static int new_stage(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    struct wzp_relay_server_config config = { .relay = { .build = "relay-1", .rng = &wz_rng_system } };
    assert_non_null(s);
    assert_int_equal(wz_loop_new(&s->loop), 0);
    config.relay.seed[0] = 77;
    config.listen = loopback();
    assert_int_equal(wzp_relay_server_new(&s->relay, s->loop, &config), 0);
    s->relay_addr = wzp_relay_server_local(s->relay);
    open_place(s, &s->home);
    open_place(s, &s->office);
    open_place(s, &s->elsewhere);
    *state = s;
    return 0;
}

static int end_stage(void **state)
{
    struct stage *s = *state;
    wzp_line_free(s->alice.line);
    wzp_line_free(s->bob.line);
    close_place(&s->home);
    close_place(&s->office);
    close_place(&s->elsewhere);
    lossy_udp_free(s->road);
    wzp_relay_server_free(s->relay);
    wz_loop_free(s->loop);
    free(s);
    return 0;
}

static void start_both(struct stage *s)
{
    start_phone(s, &s->alice, &s->home, &(struct phone_options){ .seed = 1 });
    start_phone(s, &s->bob, &s->office, &(struct phone_options){ .seed = 2 });
}

/** Bob is reached over a road that a test can shape. */
static struct wz_addr build_road(struct stage *s, const struct place *to)
{
    const struct wz_addr listen = loopback(), target = wzp_quic_local(to->quic);
    assert_int_equal(lossy_udp_new(&s->road, s->loop, &listen, &target, 1), 0);
    return lossy_udp_local(s->road);
}

static struct wzp_relay_call_flow flow_of(const struct stage *s, const char *call_id)
{
    struct wzp_relay_call_flow flow = { 0 };
    assert_true(wzp_relay_server_call_flow(s->relay, call_id, &flow));
    return flow;
}

static void talk(struct stage *s, unsigned from)
{
    assert_int_equal(send_number(&s->alice, from), 0);
    assert_int_equal(send_number(&s->bob, from), 0);
    wait_for(s, s->alice.seen[from] && s->bob.seen[from]);
}

/* ---- stories ---- */

static void call_between_own_kind_goes_direct_and_the_relay_carries_nothing(void **state)
{
    struct stage *s = *state;
    start_both(s);
    const struct wz_addr home = wzp_quic_local(s->home.quic), office = wzp_quic_local(s->office.quic);
    advertise(&s->alice, &home);
    advertise(&s->bob, &office);
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    assert_string_equal(s->alice.paths, "direct ");
    assert_string_equal(s->bob.paths, "direct ");
    assert_true(wz_addr_equal(&s->alice.remote, &office));
    assert_true(wz_addr_equal(&s->bob.remote, &home));
    for (unsigned i = 1; i <= 20; i++)
        talk(s, i);
    const struct wzp_relay_call_flow flow = flow_of(s, wzp_line_call_id(s->alice.call));
    assert_int_equal(flow.from_caller, 0);
    assert_int_equal(flow.from_callee, 0);
    struct wzp_line_media_stats stats;
    wzp_line_call_stats(s->alice.call, &stats);
    assert_true(stats.is_direct);
    assert_true(wz_addr_equal(&stats.remote, &office));
    assert_int_equal(stats.datagrams_tx, 20);
    assert_int_equal(stats.datagrams_rx, 20);
}

static void hang_up_on_a_direct_call_reaches_the_peer(void **state)
{
    struct stage *s = *state;
    start_both(s);
    const struct wz_addr office = wzp_quic_local(s->office.quic);
    advertise(&s->bob, &office);
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    wzp_line_hangup(s->alice.call, WZP_HANGUP_NORMAL);
    wait_for(s, s->bob.ended);
    assert_int_equal(s->alice.ended, 1);
}

static void hang_up_after_the_relay_died_reaches_the_peer_on_the_direct_connection(void **state)
{
    struct stage *s = *state;
    start_both(s);
    const struct wz_addr office = wzp_quic_local(s->office.quic);
    advertise(&s->bob, &office);
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    assert_string_equal(s->bob.paths, "direct ");
    wzp_relay_server_free(s->relay);
    s->relay = NULL;
    wait_for(s, s->alice.unregistered && s->bob.unregistered);
    talk(s, 1);
    wzp_line_hangup(s->alice.call, WZP_HANGUP_BUSY); /* the message, and in the same turn the close */
    wait_for(s, s->bob.ended);
    assert_int_equal(s->bob.end, WZP_LINE_END_HANGUP);
    assert_int_equal(s->bob.hangup_reason, WZP_HANGUP_BUSY);
    assert_string_equal(s->bob.paths, "direct "); /* it did not have to look for the relay first */
}

static void lines_of_one_endpoint_reach_each_other_and_never_themselves(void **state)
{
    struct stage *s = *state;
    start_phone(s, &s->alice, &s->home, &(struct phone_options){ .seed = 1 });
    start_phone(s, &s->bob, &s->home, &(struct phone_options){ .seed = 2 });
    const struct wz_addr hairpin = build_road(s, &s->home);
    advertise(&s->alice, &hairpin);
    advertise(&s->bob, &hairpin);
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    talk(s, 1);
    assert_int_equal(s->alice.datagrams, 1);
    assert_int_equal(s->bob.datagrams, 1);
}

static void callee_that_answers_privately_stays_on_the_relay(void **state)
{
    struct stage *s = *state;
    start_both(s);
    const struct wz_addr home = wzp_quic_local(s->home.quic), office = wzp_quic_local(s->office.quic);
    advertise(&s->alice, &home);
    advertise(&s->bob, &office);
    s->bob.accept = WZP_ACCEPT_GENERIC;
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    talk(s, 1);
    assert_string_equal(s->alice.paths, "relay ");
    assert_string_equal(s->bob.paths, "relay ");
    assert_int_equal(flow_of(s, wzp_line_call_id(s->alice.call)).forwarded, 2);
}

static void no_direct_keeps_the_call_on_the_relay(void **state)
{
    struct stage *s = *state;
    start_phone(s, &s->alice, &s->home, &(struct phone_options){ .seed = 1, .no_direct = true });
    start_phone(s, &s->bob, &s->office, &(struct phone_options){ .seed = 2 });
    const struct wz_addr home = wzp_quic_local(s->home.quic), office = wzp_quic_local(s->office.quic);
    advertise(&s->alice, &home);
    advertise(&s->bob, &office);
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    talk(s, 1);
    assert_string_equal(s->alice.paths, "relay ");
    assert_string_equal(s->bob.paths, "relay ");
}

static void cut_direct_path_is_left_for_the_relay_without_a_new_offer(void **state)
{
    struct stage *s = *state;
    start_both(s);
    const struct wz_addr road = build_road(s, &s->office);
    advertise(&s->bob, &road);
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    assert_string_equal(s->alice.paths, "direct ");
    talk(s, 1);
    lossy_udp_shape(s->road, &(struct lossy_udp_shape){ .loss = 1000 });
    const uint64_t cut_us = wz_clock_us();
    wait_for(s, strcmp(s->alice.paths, "direct relay ") == 0 && strcmp(s->bob.paths, "direct relay ") == 0);
    assert_in_range(wz_clock_us() - cut_us, 0, FAILOVER_MS * 1000u);
    talk(s, 2);
    assert_true(flow_of(s, wzp_line_call_id(s->alice.call)).forwarded >= 2);
    assert_int_equal(s->alice.ended + s->bob.ended, 0);
    assert_int_equal(s->alice.ups, 1); /* once in a call */
    assert_int_equal(s->alice.downs, 1);
    assert_int_equal(s->alice.send_when_down, -ENOTCONN);
    assert_int_equal(s->alice.send_on_new_path, 0);
    struct wzp_line_media_stats stats;
    wzp_line_call_stats(s->alice.call, &stats);
    assert_false(stats.is_direct);
    assert_true(wz_addr_equal(&stats.remote, &s->relay_addr));
    assert_int_equal(stats.datagrams_tx, 3); /* one each on the direct path, in the PATH event and on the relay */
}

/** Both say number, and 5 ms pass. */
static void send_both(struct stage *s, unsigned number)
{
    const uint64_t until_us = wz_clock_us() + 5000;
    assert_true(number < SEEN_MAX);
    assert_int_equal(send_number(&s->alice, number), 0); /* there is always a path */
    assert_int_equal(send_number(&s->bob, number), 0);
    while (wz_clock_us() < until_us)
        assert_true(wz_loop_turn(s->loop, 1) >= 0);
}

static void change_of_path_loses_no_datagram_in_flight(void **state)
{
    struct stage *s = *state;
    start_both(s);
    const struct wz_addr road = build_road(s, &s->office);
    lossy_udp_shape(s->road, &(struct lossy_udp_shape){ .delay_ms = 250 }); /* media begins on the relay */
    advertise(&s->bob, &road);
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    assert_string_equal(s->alice.paths, "relay ");
    unsigned sent = 0;
    while (strcmp(s->alice.paths, "relay direct ") != 0 || strcmp(s->bob.paths, "relay direct ") != 0)
        send_both(s, ++sent);
    for (const unsigned until = sent + 20; sent < until;)
        send_both(s, ++sent);
    for (unsigned i = 1; i <= sent; i++)
        wait_for(s, s->alice.seen[i] && s->bob.seen[i]);
    assert_int_equal(s->alice.downs, 0);
}

/** Bound to no address in particular, as programs do it. False: this machine has no IPv6. */
static bool open_wide_place(struct stage *s, struct place *place)
{
    struct wzp_quic_config config = { .bind = { .family = WZ_ADDR_V4 }, .rng = &wz_rng_system };
    assert_int_equal(wzp_line_group_new(&place->group), 0);
    wzp_line_group_serve(place->group, &config);
    assert_int_equal(wzp_line_open_endpoint(&place->quic, s->loop, &config), 0);
    return wzp_quic_local(place->quic).family == WZ_ADDR_V6;
}

static void direct_path_takes_ipv6_beside_an_ipv4_relay(void **state)
{
    struct stage *s = *state;
    struct wz_addr office;
    close_place(&s->home);
    close_place(&s->office);
    const bool has_ipv6 = open_wide_place(s, &s->home) && open_wide_place(s, &s->office);
    if (!has_ipv6) {
        print_message("no IPv6 on this machine\n");
        skip();
    }
    assert_int_equal(wz_addr_parse_ip("::1", wzp_quic_local(s->office.quic).port, &office), 0);
    start_both(s);
    advertise(&s->bob, &office);
    call_bob(s);
    wait_for(s, s->alice.ups && s->bob.ups);
    assert_string_equal(s->alice.paths, "direct ");
    assert_true(wz_addr_equal(&s->alice.remote, &office));
    talk(s, 1);
}

static void address_of_this_machine_is_a_candidate_only_if_the_socket_has_it(void **state)
{
    struct stage *s = *state;
    struct wz_addr own = wzp_quic_local(s->home.quic), other_port = own, other_ip = own, v6;
    other_port.port++;
    other_ip.ip[3]++;
    assert_int_equal(wz_addr_parse_ip("::1", own.port, &v6), 0);
    assert_true(wzp_line_endpoint_has(s->home.quic, &own));
    assert_false(wzp_line_endpoint_has(s->home.quic, &other_port));
    assert_false(wzp_line_endpoint_has(s->home.quic, &other_ip));
    assert_false(wzp_line_endpoint_has(s->home.quic, &v6));
    close_place(&s->home);
    const bool has_ipv6 = open_wide_place(s, &s->home);
    own.port = other_ip.port = v6.port = wzp_quic_local(s->home.quic).port;
    assert_true(wzp_line_endpoint_has(s->home.quic, &own));
    assert_true(wzp_line_endpoint_has(s->home.quic, &other_ip));
    assert_int_equal(wzp_line_endpoint_has(s->home.quic, &v6), has_ipv6);
}

/* ---- rooms ---- */

static void join(struct phone *phone, const struct place *peer)
{
    char text[WZ_ADDR_TEXT_MAX];
    const struct wz_addr addr = peer ? wzp_quic_local(peer->quic) : (struct wz_addr){ 0 };
    const struct wzp_line_room room = { .name = "Ops", .peer_direct_addr = peer ? wz_addr_format(&addr, text) : NULL };
    assert_int_equal(wzp_line_join(phone->line, &room, NULL, &phone->call), 0);
}

static void room_with_each_others_addresses_goes_direct(void **state)
{
    struct stage *s = *state;
    start_phone(s, &s->alice, &s->home, &(struct phone_options){ .seed = 1, .rooms_only = true });
    start_phone(s, &s->bob, &s->office, &(struct phone_options){ .seed = 2, .rooms_only = true });
    join(&s->alice, &s->office);
    join(&s->bob, &s->home);
    wait_for(s, strstr(s->alice.paths, "direct ") && strstr(s->bob.paths, "direct "));
    wait_for(s, s->alice.ups && s->bob.ups);
    talk(s, 1);
}

static void room_where_only_one_names_the_other_stays_on_the_relay(void **state)
{
    struct stage *s = *state;
    start_phone(s, &s->alice, &s->home, &(struct phone_options){ .seed = 1, .rooms_only = true });
    start_phone(s, &s->bob, &s->office, &(struct phone_options){ .seed = 2, .rooms_only = true });
    join(&s->alice, &s->office);
    join(&s->bob, NULL);
    wait_for(s, s->alice.ups && s->bob.ups);
    talk(s, 1);
    assert_string_equal(s->alice.paths, "relay ");
    assert_string_equal(s->bob.paths, "relay ");
}

/* ---- strangers ---- */

struct stranger {
    struct wzp_quic_conn *conn; /**< NULL: closed */
    bool connected, closed;
    char reason[64];
    size_t datagrams;
};

static void stranger_connected(void *arg, struct wzp_quic_conn *conn)
{
    struct stranger *stranger = arg;
    (void)conn;
    stranger->connected = true;
}

static void stranger_datagram(void *arg, struct wzp_quic_conn *conn, struct wz_bytes data)
{
    struct stranger *stranger = arg;
    (void)conn;
    (void)data;
    stranger->datagrams++;
}

static void stranger_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    struct stranger *stranger = arg;
    (void)conn;
    stranger->conn = NULL;
    stranger->closed = true;
    (void)snprintf(stranger->reason, sizeof stranger->reason, "%s", why->reason);
}

static const struct wzp_quic_handlers stranger_handlers = {
    .connected = stranger_connected,
    .datagram = stranger_datagram,
    .closed = stranger_closed,
};

static void send_stranger(struct stage *s, struct stranger *stranger, const char *sni)
{
    const struct wzp_quic_dial dial = {
        .to = wzp_quic_local(s->office.quic),
        .sni = sni,
        .handlers = &stranger_handlers,
        .arg = stranger,
    };
    *stranger = (struct stranger){ 0 };
    assert_int_equal(wzp_quic_connect(s->elsewhere.quic, &dial, &stranger->conn), 0);
}

static void stranger_is_closed_as_stale_whatever_it_names(void **state)
{
    struct stage *s = *state;
    static const char *const names[] = { "call-call-0123456789abcdef", "call-ops", "_signal", "ping", NULL };
    start_both(s);
    const struct wz_addr office = wzp_quic_local(s->office.quic);
    advertise(&s->bob, &office);
    call_bob(s); /* somebody is expected, but not these */
    wait_for(s, s->alice.ups && s->bob.ups);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stranger stranger;
        send_stranger(s, &stranger, names[i]);
        wait_for(s, stranger.closed);
        assert_string_equal(stranger.reason, "stale");
    }
    talk(s, 1);
}

/** A hello that is right in all but whose key signed it. */
static void send_hello(const struct stranger *stranger, const char *call_id)
{
    static const uint8_t seed[WZP_SEED_BYTES] = { 66 };
    struct wzp_identity mallory;
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    char id[WZP_CALL_ID_MAX + 1], *json = NULL;
    size_t len = 0;
    (void)snprintf(id, sizeof id, "%s", call_id);
    struct wzp_signal hello = { .kind = WZP_SIG_DIRECT_HELLO, .direct_hello.call_id = id };
    struct wzp_signed_keys *keys = &hello.direct_hello.keys;
    assert_int_equal(wzp_identity_from_seed(seed, &mallory), 0);
    assert_int_equal(wzp_quic_conn_export(stranger->conn, WZP_DIRECT_EXPORTER_LABEL, exporter, sizeof exporter), 0);
    keys->has_identity = true;
    memcpy(keys->identity_pub, mallory.ed25519_public, sizeof keys->identity_pub);
    assert_int_equal(wzp_sign_direct_hello(&mallory, exporter, id, keys->signature), 0);
    keys->signature_len = WZP_SIGNATURE_BYTES;
    assert_int_equal(wzp_signal_encode(&hello, &json, &len), 0);
    assert_int_equal(wzp_quic_send_message(stranger->conn, wz_bytes(json, len)), 0);
    free(json);
    wzp_identity_done(&mallory);
}

static void rogue_that_knows_the_name_but_not_the_key_never_gets_media(void **state)
{
    struct stage *s = *state;
    struct stranger rogue;
    char sni[128], call_id[WZP_CALL_ID_MAX + 1];
    start_both(s);
    const struct wz_addr road = build_road(s, &s->office);
    lossy_udp_shape(s->road, &(struct lossy_udp_shape){ .loss = 1000 }); /* the peer itself does not get through */
    advertise(&s->bob, &road);
    call_bob(s);
    wait_for(s, s->bob.call);
    (void)snprintf(call_id, sizeof call_id, "%s", wzp_line_call_id(s->bob.call));
    (void)snprintf(sni, sizeof sni, "call-call-%s", call_id);
    send_stranger(s, &rogue, sni);
    wait_for(s, rogue.connected);
    if (!rogue.closed)
        send_hello(&rogue, call_id);
    while (!rogue.closed) {
        uint8_t buf[64];
        const struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K };
        const int len = wzp_media_encode(&hdr, wz_bytes_str("noise"), buf, sizeof buf);
        (void)wzp_quic_send_datagram(rogue.conn, wz_bytes(buf, (size_t)len)); /* closing: refused, as it should be */
        if (s->bob.ups)
            (void)send_number(&s->bob, 9);
        assert_true(wz_loop_turn(s->loop, 5) >= 0);
    }
    wait_for(s, s->alice.ups && s->bob.ups);
    talk(s, 1);
    assert_string_equal(s->bob.paths, "relay ");
    assert_int_equal(s->bob.strange, 0);
    assert_int_equal(rogue.datagrams, 0);
}

static void endpoint_without_a_group_takes_nobody(void **state)
{
    struct stage *s = *state;
    struct wzp_quic *alone = NULL;
    struct stranger stranger = { 0 };
    const struct wzp_quic_config config = { .bind = loopback(), .handshake_ms = 300, .rng = &wz_rng_system };
    assert_int_equal(wzp_quic_new(&alone, s->loop, &config), 0);
    const struct wzp_quic_dial dial = {
        .to = wzp_quic_local(alone), .sni = "call-call-x", .handlers = &stranger_handlers, .arg = &stranger
    };
    struct wzp_quic *patient = NULL; /* gives up soon */
    assert_int_equal(wzp_quic_new(&patient, s->loop, &config), 0);
    assert_int_equal(wzp_quic_connect(patient, &dial, &stranger.conn), 0);
    wait_for(s, stranger.closed);
    assert_false(stranger.connected);
    wzp_quic_free(patient);
    wzp_quic_free(alone);
}

int main(void)
{
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_stage, end_stage)
    const struct CMUnitTest tests[] = {
        STORY(call_between_own_kind_goes_direct_and_the_relay_carries_nothing),
        STORY(hang_up_on_a_direct_call_reaches_the_peer),
        STORY(hang_up_after_the_relay_died_reaches_the_peer_on_the_direct_connection),
        STORY(lines_of_one_endpoint_reach_each_other_and_never_themselves),
        STORY(callee_that_answers_privately_stays_on_the_relay),
        STORY(no_direct_keeps_the_call_on_the_relay),
        STORY(cut_direct_path_is_left_for_the_relay_without_a_new_offer),
        STORY(change_of_path_loses_no_datagram_in_flight),
        STORY(direct_path_takes_ipv6_beside_an_ipv4_relay),
        STORY(address_of_this_machine_is_a_candidate_only_if_the_socket_has_it),
        STORY(room_with_each_others_addresses_goes_direct),
        STORY(room_where_only_one_names_the_other_stays_on_the_relay),
        STORY(stranger_is_closed_as_stale_whatever_it_names),
        STORY(rogue_that_knows_the_name_but_not_the_key_never_gets_media),
        STORY(endpoint_without_a_group_takes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
