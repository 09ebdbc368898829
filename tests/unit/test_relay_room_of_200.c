/* A conference at its largest: 200 media connections in one room of a relay, over real QUIC on loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/quic_peer.h"
#include "wzp/core/handshake.h"
#include "wzp/core/media.h"
#include "wzp/io/relay_server.h"
#include "wzp/rt/log.h"
#include "wzp/rt/rng.h"

enum { MEMBERS = 200, AT_ONCE = 20, DATAGRAMS = 100, TALKER = 17 };

/** Under a sanitizer on a busy machine. */
#define ROOM_WAIT_MS 60000

struct room;

struct member {
    struct room *room;
    struct wzp_quic_conn *conn;
    char *update; /* the last RoomUpdate, undecoded: each of 200 members gets one for each that joins */
    size_t update_len;
    unsigned count; /* participants the last update tells of, 0: not looked at yet */
    unsigned datagrams;
    uint8_t seen[DATAGRAMS];
};

struct room {
    struct wz_loop *loop;
    struct wzp_relay_server *server;
    struct wzp_quic *quic;
    struct member member[MEMBERS];
    unsigned closed;
    unsigned arrived; /* datagrams at all members */
};

static void on_message(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    static const char kind[] = "{\"RoomUpdate\"";
    struct member *m = arg;
    (void)conn;
    if (body.len < sizeof kind - 1 || memcmp(body.data, kind, sizeof kind - 1) != 0)
        return;
    free(m->update);
    m->update = malloc(body.len);
    assert_non_null(m->update);
    memcpy(m->update, body.data, body.len);
    m->update_len = body.len;
    m->count = 0;
}

static void on_datagram(void *arg, struct wzp_quic_conn *conn, struct wz_bytes data)
{
    struct member *m = arg;
    (void)conn;
    assert_true(data.len > WZP_MEDIA_HEADER_BYTES);
    m->seen[data.data[data.len - 1]]++;
    m->datagrams++;
    m->room->arrived++;
}

static void on_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    struct member *m = arg;
    (void)conn, (void)why;
    m->conn = NULL;
    m->room->closed++;
}

/** What the last RoomUpdate says, and that its list is as long. */
static unsigned participants(struct member *m)
{
    struct wzp_signal signal;
    if (m->count || !m->update)
        return m->count;
    assert_int_equal(wzp_signal_decode(wz_bytes(m->update, m->update_len), &signal), 0);
    assert_int_equal(signal.kind, WZP_SIG_ROOM_UPDATE);
    assert_int_equal(signal.room_update.count, signal.room_update.participant_count);
    m->count = signal.room_update.count;
    wzp_signal_done(&signal);
    return m->count;
}

static void send_call_offer(struct wzp_quic_conn *conn, unsigned user)
{
    uint8_t seed[WZP_SEED_BYTES] = { 0x20, (uint8_t)user };
    struct wzp_handshake handshake;
    struct wzp_identity identity;
    struct wzp_signal offer;
    char *json;
    size_t len;
    assert_int_equal(wzp_identity_from_seed(seed, &identity), 0);
    assert_int_equal(wzp_handshake_init(&handshake, &wz_rng_system), 0);
    assert_int_equal(wzp_handshake_offer(&handshake, &identity, NULL, &offer), 0);
    assert_int_equal(wzp_signal_encode(&offer, &json, &len), 0);
    assert_int_equal(wzp_quic_send_message(conn, wz_bytes(json, len)), 0);
    free(json);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
    wzp_identity_done(&identity);
}

static void dial(struct room *room, unsigned user)
{
    static const struct wzp_quic_handlers handlers = { .message = on_message,
                                                       .datagram = on_datagram,
                                                       .closed = on_closed };
    struct member *m = &room->member[user];
    const struct wzp_quic_dial dial = {
        .to = wzp_relay_server_local(room->server), .sni = "assembly", .handlers = &handlers, .arg = m
    };
    m->room = room;
    assert_int_equal(wzp_quic_connect(room->quic, &dial, &m->conn), 0);
    send_call_offer(m->conn, user);
}

static bool all_know(struct room *room, unsigned members, unsigned count)
{
    for (unsigned i = 0; i < members; i++)
        if (participants(&room->member[i]) != count)
            return false;
    return true;
}

/** Members join a few at a time, each of them once those before are in. */
static void fill(struct room *room)
{
    for (unsigned joined = 0; joined < MEMBERS; joined += AT_ONCE) {
        for (unsigned i = 0; i < AT_ONCE; i++)
            dial(room, joined + i);
        assert_true(quic_wait(room->loop, room->closed > 0 || all_know(room, joined + AT_ONCE, joined + AT_ONCE),
                              ROOM_WAIT_MS));
        assert_int_equal(room->closed, 0);
    }
}

static int setup(void **state)
{
    struct room *room = calloc(1, sizeof *room);
    struct wzp_relay_server_config server = {
        .relay = { .build = "abc1234", .max_sessions = MEMBERS, .rng = &wz_rng_system }
    };
    struct wzp_quic_config client = { .rng = &wz_rng_system };
    assert_non_null(room);
    assert_int_equal(wz_loop_new(&room->loop), 0);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &server.listen), 0);
    assert_int_equal(wzp_relay_server_new(&room->server, room->loop, &server), 0);
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &client.bind), 0);
    assert_int_equal(wzp_quic_new(&room->quic, room->loop, &client), 0);
    *state = room;
    return 0;
}

static int teardown(void **state)
{
    struct room *room = *state;
    wzp_quic_free(room->quic);
    wzp_relay_server_free(room->server);
    wz_loop_free(room->loop);
    for (unsigned i = 0; i < MEMBERS; i++)
        free(room->member[i].update);
    free(room);
    return 0;
}

static void room_of_200_hears_one_talker_and_knows_who_is_there(void **state)
{
    struct room *room = *state;
    uint8_t datagram[WZP_MEDIA_HEADER_BYTES + 80] = { 0 };
    struct wzp_relay_stats stats;

    fill(room);
    for (unsigned i = 0; i < DATAGRAMS; i++) { /* paced: nothing may be lost in a socket's buffer */
        datagram[sizeof datagram - 1] = (uint8_t)i;
        assert_int_equal(wzp_quic_send_datagram(room->member[TALKER].conn, wz_bytes(datagram, sizeof datagram)), 0);
        (void)quic_wait(room->loop, room->arrived == (i + 1) * (MEMBERS - 1), ROOM_WAIT_MS / DATAGRAMS);
    }
    assert_int_equal(room->arrived, DATAGRAMS * (MEMBERS - 1));
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_int_equal(room->member[i].datagrams, i == TALKER ? 0 : DATAGRAMS);
        for (unsigned k = 0; i != TALKER && k < DATAGRAMS; k++)
            assert_int_equal(room->member[i].seen[k], 1);
    }
    wzp_relay_server_stats(room->server, &stats);
    assert_int_equal(stats.sessions, MEMBERS);
    assert_int_equal(stats.datagrams_in, DATAGRAMS);
    assert_int_equal(stats.packets_forwarded, DATAGRAMS * (MEMBERS - 1));

    /* One leaves: the others are told. */
    wzp_quic_close(room->member[MEMBERS - 1].conn, "done");
    assert_true(quic_wait(room->loop, all_know(room, MEMBERS - 1, MEMBERS - 1), ROOM_WAIT_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(room_of_200_hears_one_talker_and_knows_who_is_there, setup, teardown),
    };

    wz_log_init(STDERR_FILENO, WZ_LOG_TEXT, WZ_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
