/* How a connection ends. The owner hears of it once, and forgets the connection. What stays for three probe time-outs
 * is its ids, so that late packets meet the close packet again (or nothing, when the peer closed first) instead of a
 * stateless reset. Spec: RFC 9000 section 10. */
#include "wzp/io/quic_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define CLOSE_LINGER_PTOS 3u

/** Copy text from the peer: cut, and nothing but printable ASCII. */
static void clean_text(struct wz_bytes in, char ret[static QUIC_REASON_MAX])
{
    size_t n = in.len < QUIC_REASON_MAX - 1 ? in.len : QUIC_REASON_MAX - 1;

    for (size_t i = 0; i < n; i++)
        ret[i] = in.data[i] >= 0x20 && in.data[i] < 0x7f ? (char)in.data[i] : '.';
    ret[n] = '\0';
}

static void remember_close_packet(struct wzp_quic_conn *conn, const uint8_t *data, size_t len)
{
    conn->close_packet = malloc(len);
    if (!conn->close_packet)
        return; /* late packets then meet silence */
    memcpy(conn->close_packet, data, len);
    conn->close_packet_len = len;
}

static void send_close_packet(struct wzp_quic_conn *conn, const quic_close_error *error)
{
    uint8_t *buf = wz_udp_reserve(conn->quic->udp);
    ngtcp2_path_storage ps;
    ngtcp2_pkt_info pi;
    ngtcp2_ssize n;

    ngtcp2_path_storage_zero(&ps);
    n = ngtcp2_conn_write_connection_close(conn->qc, &ps.path, &pi, buf, QUIC_PACKET_MAX, error,
                                           quic_now_ns(conn->quic));
    if (n <= 0)
        return; /* nothing was ever sent, or the amplification limit forbids it */
    remember_close_packet(conn, buf, (size_t)n);
    wz_udp_commit(conn->quic->udp, (size_t)n, &conn->remote, conn->server ? &conn->local : NULL);
}

/** Free what only a live connection needs; keep its ids for linger_ns. */
static void become_shell(struct wzp_quic_conn *conn, uint64_t linger_ns)
{
    struct wzp_quic *quic = conn->quic;

    if (conn->counted) {
        conn->counted = false;
        quic->accepted_now--;
        if (conn->state == QUIC_CONN_HANDSHAKE)
            quic->handshakes_now--;
    }
    conn->state = QUIC_CONN_CLOSED;
    wz_list_remove(&conn->dirty_node);
    quic_datagrams_free(conn);
    quic_streams_free(conn);
    ngtcp2_conn_del(conn->qc);
    conn->qc = NULL;
    quic_tls_session_done(&conn->tls);
    wz_timer_cancel(&conn->timer);
    wz_timer_set(&conn->timer, wz_loop_now_us(quic->loop) + linger_ns / NGTCP2_MICROSECONDS);
}

/** Tell the owner, then let go. With linger the ids stay. */
static void finish(struct wzp_quic_conn *conn, const struct wzp_quic_closed *why, bool linger)
{
    uint64_t linger_ns = linger ? CLOSE_LINGER_PTOS * ngtcp2_conn_get_pto(conn->qc) : 0;

    if (conn->server && conn->state == QUIC_CONN_HANDSHAKE)
        conn->quic->stats.handshake_failed++;
    conn->close_wanted = true; /* nothing but closed() reaches the owner from here on */
    quic_conn_enter(conn);
    if (conn->announced && conn->handlers.closed)
        conn->handlers.closed(conn->arg, conn, why);
    conn->busy--; /* as above */
    become_shell(conn, linger_ns);
}

void quic_conn_close_now(struct wzp_quic_conn *conn)
{
    struct wzp_quic_closed why = { .end = WZP_QUIC_END_LOCAL, .reason = conn->close_reason };
    quic_close_error error;

    quic_conn_enter(conn);
    (void)quic_conn_write_packets(conn); /* what was queued just before still leaves; a failure ends it all the same */
    conn->busy--;                        /* not quic_conn_leave(): that is what called us */
    quic_close_error_app(&error, 0, conn->close_reason);
    send_close_packet(conn, &error);
    finish(conn, &why, true);
}

/** The peer's CONNECTION_CLOSE, or its stateless reset. */
static void ended_by_peer(struct wzp_quic_conn *conn)
{
    struct quic_peer_close said = quic_peer_close(conn->qc);
    char text[QUIC_REASON_MAX];
    struct wzp_quic_closed why = { .code = said.code, .reason = text };

    clean_text(said.reason, text);
    if (conn->reset_seen) {
        why = (struct wzp_quic_closed){ .end = WZP_QUIC_END_RESET, .reason = "stateless reset" };
    } else if (conn->state == QUIC_CONN_HANDSHAKE) {
        why.end = WZP_QUIC_END_REFUSED;
    } else if (said.application || said.code == NGTCP2_NO_ERROR) {
        why.end = WZP_QUIC_END_PEER;
    } else {
        why.end = WZP_QUIC_END_ERROR;
    }
    if (why.reason == text && !said.application && !text[0])
        (void)snprintf(text, sizeof text, "peer reports transport error 0x%llx", (unsigned long long)said.code);
    finish(conn, &why, true);
}

void quic_conn_fail(struct wzp_quic_conn *conn, int liberr)
{
    struct wzp_quic_closed why = { .end = WZP_QUIC_END_ERROR, .reason = ngtcp2_strerror(liberr) };
    char text[QUIC_REASON_MAX];
    quic_close_error error;

    switch (liberr) {
    case NGTCP2_ERR_DRAINING:
    case NGTCP2_ERR_CLOSING:
        ended_by_peer(conn);
        return;
    case NGTCP2_ERR_IDLE_CLOSE:
        why.end = WZP_QUIC_END_IDLE;
        why.reason = "idle timeout";
        finish(conn, &why, false);
        return;
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        why.end = WZP_QUIC_END_IDLE;
        why.reason = "handshake timeout";
        finish(conn, &why, false);
        return;
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
        why.end = WZP_QUIC_END_REFUSED;
        finish(conn, &why, false);
        return;
    default:
        break;
    }
    why.code = ngtcp2_err_infer_quic_transport_error_code(liberr);
    if (liberr == NGTCP2_ERR_CRYPTO) {
        unsigned alert = ngtcp2_conn_get_tls_alert(conn->qc);
        why.code = NGTCP2_CRYPTO_ERROR | alert;
        (void)snprintf(text, sizeof text, "TLS alert %u", alert);
        why.reason = text;
    }
    if (conn->state == QUIC_CONN_HANDSHAKE)
        why.end = WZP_QUIC_END_REFUSED;
    quic_close_error_lib(&error, conn->qc, liberr);
    send_close_packet(conn, &error);
    finish(conn, &why, true);
}

void quic_conn_answer_closed(struct wzp_quic_conn *conn)
{
    /* Each power of two: a peer that missed it hears again, a flood does not get one answer a packet. */
    if (conn->close_packet && (conn->close_asked & (conn->close_asked + 1)) == 0)
        (void)wz_udp_send(conn->quic->udp, conn->close_packet, conn->close_packet_len, &conn->remote,
                          conn->server ? &conn->local : NULL);
    conn->close_asked++;
}

void wzp_quic_close(struct wzp_quic_conn *conn, const char *reason)
{
    if (!quic_conn_is_open(conn))
        return;
    clean_text(wz_bytes_str(reason ? reason : ""), conn->close_reason);
    conn->close_wanted = true;
    quic_conn_enter(conn);
    quic_conn_leave(conn); /* now, or when the handler we are in has returned */
}
