/* The connections of a line: dialled and accepted, what QUIC tells of them, and which of them carry a call's media. */
#include "wzp/io/line_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/core/handshake.h"

/** The core wants to know where media flows, not of every packet. */
#define MEDIA_SEEN_EVERY_US 100000u
/** First round trip to expect of a direct path: with QUIC's 300 ms a lost first packet would cost 900 ms. */
#define DIRECT_INITIAL_RTT_MS 100

struct line_conn *line_conn_find(const struct wzp_line *line, uint64_t id)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->conns) {
        struct line_conn *conn = wz_container_of(pos, struct line_conn, node);
        if (conn->id == id && !conn->forgotten)
            return conn;
    }
    return NULL;
}

/* ---- the connections of a call ---- */

/** Only of connections that were in use: what a dial lost that came to nothing says nothing about the path. */
static void add_stats(struct wzp_line_media_stats *sum, const struct line_conn *conn)
{
    struct wzp_quic_conn_stats now;
    if (!conn->quic || !conn->receives)
        return;
    wzp_quic_conn_stats(conn->quic, &now);
    sum->datagrams_rx += now.datagrams_rx;
    sum->datagrams_tx += now.datagrams_tx;
    sum->datagrams_dropped += now.datagrams_dropped;
    sum->packets_tx += now.packets_tx;
    sum->packets_lost += now.packets_lost;
    if (conn->call && conn->call->send == conn)
        sum->rtt_us = now.rtt_us; /* and stays when the path is gone: the last that was known */
}

void wzp_line_call_stats(const struct wzp_line_call *call, struct wzp_line_media_stats *ret)
{
    struct wz_list *pos, *tmp;
    *ret = call->gone;
    wz_list_foreach (pos, tmp, &call->line->conns) {
        const struct line_conn *conn = wz_container_of(pos, struct line_conn, node);
        if (conn->call == call)
            add_stats(ret, conn);
    }
    const struct line_conn *send = call->send;
    if (!send || !send->quic)
        return;
    ret->is_direct = send->is_direct;
    ret->remote = wzp_quic_conn_remote(send->quic);
}

/** The connection serves its call no longer; what it counted stays with the call. */
static void detach(struct line_conn *conn)
{
    struct wzp_line_call *call = conn->call;
    if (!call)
        return;
    add_stats(&call->gone, conn);
    conn->call = NULL;
    conn->receives = false;
    if (call->send == conn)
        call->send = NULL;
}

void line_conn_release_call(struct wzp_line_call *call)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &call->line->conns) {
        struct line_conn *conn = wz_container_of(pos, struct line_conn, node);
        if (conn->call == call)
            detach(conn);
    }
}

void line_conn_use(struct wzp_line_call *call, uint64_t id)
{
    struct line_conn *conn = id ? line_conn_find(call->line, id) : NULL;
    call->send = conn;
    if (!conn)
        return;
    conn->call = call;
    conn->receives = true;
}

int wzp_line_send(struct wzp_line_call *call, struct wz_bytes datagram)
{
    if (!call->was_up || call->is_down || !call->send || !call->send->quic)
        return -ENOTCONN;
    return wzp_quic_send_datagram(call->send->quic, datagram);
}

/* ---- life ---- */

static struct line_conn *conn_new(struct wzp_line *line, struct wzp_line_call *call)
{
    struct line_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->line = line;
    conn->call = call;
    wz_list_append(&line->conns, &conn->node);
    return conn;
}

static void conn_free(struct line_conn *conn)
{
    detach(conn);
    wz_list_remove(&conn->node);
    free(conn);
}

/* ---- what QUIC tells ---- */

/** What the core may know of a connection that is up. False: it must not be used. */
static bool describe(const struct wzp_quic_conn *quic, uint8_t exporter[static WZP_DIRECT_EXPORTER_BYTES],
                     struct wzp_client_link *ret)
{
    if (wzp_quic_conn_export(quic, WZP_DIRECT_EXPORTER_LABEL, exporter, WZP_DIRECT_EXPORTER_BYTES) < 0)
        return false;
    *ret = (struct wzp_client_link){ .exporter = exporter, .remote = wzp_quic_conn_remote(quic) };
    return true;
}

static void refuse(struct line_conn *conn, const char *reason)
{
    conn->refused = reason;
    wzp_quic_close(conn->quic, "refused");
}

/* Without memory the core's short reason must do. */
void line_conn_tell_refusal(struct wzp_line *line, const struct wz_addr *relay, const char *what)
{
    char addr[WZ_ADDR_TEXT_MAX];
    const char *path = wzp_pin_file_path(line->pins);
    char *text = NULL;
    if (asprintf(&text, "the %s of relay %s changed; if that is right, %s%s%s", what, wz_addr_format(relay, addr),
                 path ? "remove its line from " : "start again", path ? path : "", path ? " and start again" : "") < 0)
        return;
    free(line->refusal);
    line->refusal = text;
}

/** Nothing is sent to a relay whose certificate is not the pinned one. */
static bool check_relay(struct line_conn *conn)
{
    struct wzp_line *line = conn->line;
    uint8_t hash[WZP_PIN_BYTES];
    if (!line->pins || conn->is_direct)
        return true;
    if (wzp_quic_conn_peer_cert_hash(conn->quic, hash) && wzp_pin_file_check_cert(line->pins, &conn->to, hash) == 0)
        return true;
    line_conn_tell_refusal(line, &conn->to, "certificate");
    refuse(conn, LINE_REFUSED_CERTIFICATE);
    return false;
}

bool line_conn_check_key(struct wzp_line_call *call, const struct wzp_line_event *shown)
{
    struct wzp_line *line = call->line;
    struct wz_addr relay;
    if (!line->pins || shown->body.len != WZP_PIN_BYTES || wz_addr_parse(shown->relay_addr, &relay) < 0 ||
        wzp_pin_file_check_key(line->pins, &relay, shown->body.data) == 0)
        return true;
    line_conn_tell_refusal(line, &relay, "identity key");
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->conns) {
        struct line_conn *conn = wz_container_of(pos, struct line_conn, node);
        if (conn->call == call && !conn->is_direct && !conn->forgotten && conn->quic)
            refuse(conn, LINE_REFUSED_KEY);
    }
    return false;
}

static void on_connected(void *arg, struct wzp_quic_conn *quic)
{
    struct line_conn *conn = arg;
    struct wzp_line *line = conn->line;
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    struct wzp_client_link link;
    if (conn->forgotten || !check_relay(conn))
        return;
    if (!describe(quic, exporter, &link)) {
        refuse(conn, "no key material of the TLS session");
        return;
    }
    wzp_client_connected(line->client, conn->id, &link, wz_loop_now_us(line->loop));
    explicit_bzero(exporter, sizeof exporter);
    line_pump(line);
}

static void on_message(void *arg, struct wzp_quic_conn *quic, struct wz_bytes body)
{
    (void)quic;
    struct line_conn *conn = arg;
    struct wzp_line *line = conn->line;
    if (conn->forgotten)
        return;
    wzp_client_message(line->client, conn->id, body, wz_loop_now_us(line->loop));
    line_pump(line);
}

/** The core wants to know that something comes on the path in use, or on a direct connection that is not (yet). */
static void tell_of_datagram(struct line_conn *conn)
{
    struct wzp_line *line = conn->line;
    const struct wzp_line_call *call = conn->call;
    const uint64_t now_us = wz_loop_now_us(line->loop);
    if (now_us - conn->told_us < MEDIA_SEEN_EVERY_US)
        return;
    conn->told_us = now_us;
    if (conn == call->send)
        wzp_client_media_seen(line->client, call->id, now_us);
    else if (conn->is_direct)
        wzp_client_media_elsewhere(line->client, conn->id, now_us);
    line_pump(line);
}

static void on_datagram(void *arg, struct wzp_quic_conn *quic, struct wz_bytes data)
{
    (void)quic;
    struct line_conn *conn = arg;
    const struct wzp_line *line = conn->line;
    if (conn->call)
        tell_of_datagram(conn);
    struct wzp_line_call *call = conn->call; /* the core may have ended it, or have chosen this connection */
    if (call && conn->receives && call->was_up && line->handlers.datagram)
        line->handlers.datagram(line->arg, call, data);
}

static void on_closed(void *arg, struct wzp_quic_conn *quic, const struct wzp_quic_closed *why)
{
    (void)quic;
    struct line_conn *conn = arg;
    struct wzp_line *line = conn->line;
    const uint64_t id = conn->id;
    const bool forgotten = conn->forgotten;
    const char *reason = conn->refused ? conn->refused : why->reason;
    conn_free(conn);
    if (forgotten)
        return;
    wzp_client_closed(line->client, id, reason, wz_loop_now_us(line->loop));
    line_pump(line);
}

static const struct wzp_quic_handlers quic_handlers = {
    .connected = on_connected,
    .message = on_message,
    .datagram = on_datagram,
    .closed = on_closed,
};

/* ---- dialled ---- */

void line_conn_dial(struct wzp_line *line, const struct wzp_client_effect *effect, struct wzp_line_call *call)
{
    struct line_conn *conn = conn_new(line, call);
    if (!conn)
        return; /* the core's own timer gives the attempt up */
    conn->id = effect->conn;
    conn->to = effect->to;
    conn->is_direct = effect->is_direct;
    const struct wzp_quic_dial dial = {
        .to = effect->to,
        .sni = effect->sni,
        .initial_rtt_ms = effect->is_direct ? DIRECT_INITIAL_RTT_MS : 0,
        .handlers = &quic_handlers,
        .arg = conn,
    };
    if (wzp_quic_connect(line->quic, &dial, &conn->quic) < 0) {
        conn->quic = NULL;
        line->dial_failed = true;
    }
}

void line_conn_report_failed(struct wzp_line *line, uint64_t now_us)
{
    line->dial_failed = false;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->conns) {
        struct line_conn *conn = wz_container_of(pos, struct line_conn, node);
        if (conn->quic)
            continue;
        const uint64_t id = conn->id;
        conn_free(conn);
        wzp_client_closed(line->client, id, "cannot dial", now_us);
    }
}

/* ---- accepted ---- */

/** Both ends of a TLS session export the same value: the connection is one that this line dialled, to itself. */
static bool is_own_dial(const struct wzp_line *line, const uint8_t exporter[static WZP_DIRECT_EXPORTER_BYTES])
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->conns) {
        const struct line_conn *conn = wz_container_of(pos, struct line_conn, node);
        uint8_t theirs[WZP_DIRECT_EXPORTER_BYTES];
        if (conn->is_direct && conn->quic &&
            wzp_quic_conn_export(conn->quic, WZP_DIRECT_EXPORTER_LABEL, theirs, sizeof theirs) == 0 &&
            memcmp(theirs, exporter, sizeof theirs) == 0)
            return true;
    }
    return false;
}

bool line_conn_accept(struct wzp_line_call *call, struct wzp_quic_conn *quic)
{
    struct wzp_line *line = call->line;
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    struct wzp_client_link link;
    if (!describe(quic, exporter, &link) || is_own_dial(line, exporter))
        return false;
    struct line_conn *conn = conn_new(line, call);
    if (!conn)
        return false;
    conn->is_direct = true;
    conn->quic = quic;
    conn->id = wzp_client_accepted(line->client, wzp_quic_conn_sni(quic), &link, wz_loop_now_us(line->loop));
    explicit_bzero(exporter, sizeof exporter);
    if (conn->id == 0) {
        conn->quic = NULL; /* it is not ours: what it counted neither */
        conn_free(conn);
        return false;
    }
    wzp_quic_conn_set_handlers(quic, &quic_handlers, conn);
    line_pump(line);
    return true;
}

/* ---- the end ---- */

/** Frees conn, now or after the QUIC handler we are in. */
static void close_conn(struct line_conn *conn, const char *reason)
{
    conn->forgotten = true;
    detach(conn);
    if (conn->quic)
        wzp_quic_close(conn->quic, reason);
    else
        conn_free(conn);
}

void line_conn_close(struct wzp_line *line, const struct wzp_client_effect *effect)
{
    struct line_conn *conn = line_conn_find(line, effect->conn);
    if (conn)
        close_conn(conn, effect->reason);
}

void line_conn_free_all(struct wzp_line *line)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &line->conns)
        close_conn(wz_container_of(pos, struct line_conn, node), "shutdown");
}
