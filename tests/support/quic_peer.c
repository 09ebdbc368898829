#include "tests/support/quic_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/rt/rng.h"

static void on_message(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    struct quic_log *log = arg;
    struct wz_reader in = wz_reader(body);
    uint32_t number = 0;

    (void)conn;
    (void)wz_get_u32be(&in, &number);
    if (log->messages < QUIC_LOG_NUMBERS)
        log->number[log->messages] = number;
    log->messages++;
    log->message_len = body.len;
    log->message_sum = 0;
    for (size_t i = 0; i < body.len; i++)
        log->message_sum += body.data[i];
    if (log->peer->on_message)
        log->peer->on_message(log);
}

static void on_uni(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    struct quic_log *log = arg;

    (void)conn;
    log->unis++;
    log->uni_len = body.len;
    if (body.len && body.len <= sizeof log->uni)
        memcpy(log->uni, body.data, body.len);
}

static void on_datagram(void *arg, struct wzp_quic_conn *conn, struct wz_bytes data)
{
    struct quic_log *log = arg;

    (void)conn;
    log->datagrams++;
    log->datagram_len = data.len;
    if (data.len && data.len <= sizeof log->datagram)
        memcpy(log->datagram, data.data, data.len);
    if (log->peer->on_datagram)
        log->peer->on_datagram(log);
}

static void on_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    struct quic_log *log = arg;

    (void)conn;
    log->closed++;
    log->conn = NULL;
    log->end = why->end;
    log->code = why->code;
    (void)snprintf(log->reason, sizeof log->reason, "%s", why->reason);
    if (log->peer->on_closed)
        log->peer->on_closed(log);
}

static void on_connected(void *arg, struct wzp_quic_conn *conn)
{
    struct quic_log *log = arg;

    log->connected++;
    (void)snprintf(log->sni, sizeof log->sni, "%s", wzp_quic_conn_sni(conn));
    if (log->peer->on_connected)
        log->peer->on_connected(log);
}

static const struct wzp_quic_handlers handlers = {
    .connected = on_connected,
    .message = on_message,
    .uni = on_uni,
    .datagram = on_datagram,
    .closed = on_closed,
};

static struct quic_log *new_log(struct quic_peer *peer)
{
    struct quic_log *log;

    if (peer->logs == QUIC_PEER_LOGS)
        return NULL;
    log = &peer->log[peer->logs++];
    *log = (struct quic_log){ .peer = peer };
    return log;
}

/** The endpoint's own handler: every accepted connection gets a log. */
static void on_accepted(void *arg, struct wzp_quic_conn *conn)
{
    struct quic_log *log = new_log(arg);

    if (!log) {
        wzp_quic_close(conn, "test is full");
        return;
    }
    log->conn = conn;
    log->accepted = true;
    wzp_quic_conn_set_handlers(conn, &handlers, log);
    on_connected(log, conn);
}

static void on_stun(void *arg, struct wz_bytes packet, const struct wz_addr *from, const struct wz_addr *local)
{
    struct quic_peer *peer = arg;

    (void)packet;
    (void)from;
    (void)local;
    peer->stuns++;
}

struct wzp_quic_config quic_peer_config(void)
{
    struct wzp_quic_config config = { .accept = true, .rng = &wz_rng_system };

    (void)wz_addr_parse("127.0.0.1:0", &config.bind);
    return config;
}

int quic_peer_start(struct quic_peer *peer, struct wz_loop *loop, const struct wzp_quic_config *config)
{
    struct wzp_quic_config copy = *config;

    *peer = (struct quic_peer){ .loop = loop };
    copy.handlers.connected = on_accepted;
    copy.stun = on_stun;
    copy.stun_arg = peer;
    copy.arg = peer;
    return wzp_quic_new(&peer->quic, loop, &copy);
}

void quic_peer_stop(struct quic_peer *peer)
{
    wzp_quic_free(peer->quic);
    peer->quic = NULL;
}

struct quic_log *quic_peer_dial(struct quic_peer *peer, struct wz_addr to, const char *sni)
{
    struct quic_log *log = new_log(peer);
    struct wzp_quic_dial dial = { .to = to, .sni = sni, .handlers = &handlers, .arg = log };

    if (!log || wzp_quic_connect(peer->quic, &dial, &log->conn) < 0)
        return NULL;
    return log;
}

struct quic_log *quic_peer_accepted(struct quic_peer *peer, size_t i)
{
    for (size_t at = 0; at < peer->logs; at++) {
        if (peer->log[at].accepted && i-- == 0)
            return &peer->log[at];
    }
    return NULL;
}

int quic_log_send_number(struct quic_log *log, uint32_t number)
{
    uint8_t body[8];
    struct wz_writer out = wz_writer(body, sizeof body);

    wz_put_u32be(&out, number);
    wz_put_u32be(&out, 0);
    return log->conn ? wzp_quic_send_message(log->conn, wz_bytes(body, sizeof body)) : -ENOTCONN;
}

struct quic_world *quic_world_new(const struct wzp_quic_config *alice, const struct wzp_quic_config *bob)
{
    struct wzp_quic_config config = quic_peer_config();
    struct quic_world *w = calloc(1, sizeof *w);

    if (!w || wz_loop_new(&w->loop) < 0 || quic_peer_start(&w->alice, w->loop, alice ? alice : &config) < 0 ||
        quic_peer_start(&w->bob, w->loop, bob ? bob : &config) < 0)
        abort();
    return w;
}

void quic_world_free(struct quic_world *w)
{
    quic_peer_stop(&w->alice);
    quic_peer_stop(&w->bob);
    wz_loop_free(w->loop);
    free(w);
}

struct quic_log *quic_world_connect(struct quic_world *w, const struct wz_addr *to, const char *sni,
                                    struct quic_log **ret_theirs)
{
    struct wz_addr bob = wzp_quic_local(w->bob.quic);
    size_t before = w->bob.logs;
    struct quic_log *ours = quic_peer_dial(&w->alice, to ? *to : bob, sni);

    if (!ours || !quic_wait(w->loop, ours->closed || (ours->connected && w->bob.logs > before), QUIC_WAIT_MS) ||
        ours->closed)
        return NULL;
    *ret_theirs = &w->bob.log[before];
    return ours;
}
