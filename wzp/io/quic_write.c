/* What leaves: one pass over a connection writes every packet that its windows allow, datagrams first, several frames
 * a packet where they wait anyway. No pacing: ngtcp2_conn_update_pkt_tx_time() would delay replies (media is paced by
 * its source). */
#include "wzp/io/quic_internal.h"

/** ngtcp2 sometimes names a deadline in the past that only a received packet can lift (amplification limit). */
#define TIMER_FLOOR_US 1000u

/** Build one packet. Its length; 0: nothing more to send now; negative: ngtcp2 error. */
static ngtcp2_ssize build_packet(struct wzp_quic_conn *conn, ngtcp2_path *path, uint8_t *buf, ngtcp2_tstamp ts)
{
    bool up = conn->state == QUIC_CONN_UP;
    bool streams = up;
    ngtcp2_pkt_info pi;
    ngtcp2_ssize n;

    for (;;) {
        if (up && quic_datagrams_wait(conn))
            n = quic_datagrams_write(conn, path, &pi, buf, ts);
        else if (streams)
            n = quic_streams_write(conn, path, &pi, buf, ts, &streams);
        else
            return ngtcp2_conn_writev_stream(conn->qc, path, &pi, buf, QUIC_PACKET_MAX, NULL,
                                             NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0, ts);
        if (n != NGTCP2_ERR_WRITE_MORE)
            return n;
    }
}

/** Addresses as ngtcp2 chose them; the usual path needs no conversion. */
static void commit_packet(struct wzp_quic_conn *conn, const ngtcp2_path *path, size_t len)
{
    struct wz_addr to = conn->remote;
    struct wz_addr from = conn->local;

    if (path->remote.addrlen != conn->sa_len || memcmp(path->remote.addr, &conn->remote_sa, conn->sa_len) != 0)
        to = wz_addr_from_sockaddr(path->remote.addr);
    if (path->local.addrlen != conn->sa_len || memcmp(path->local.addr, &conn->local_sa, conn->sa_len) != 0)
        from = wz_addr_from_sockaddr(path->local.addr);
    /* A client lets the kernel choose the source, so that it survives a change of its own address. */
    wz_udp_commit(conn->quic->udp, len, &to, conn->server ? &from : NULL);
    conn->stats.packets_tx++;
}

/** A datagram that ngtcp2 will not take although the window is open would block the queue for ever. */
static bool is_stuck(struct wzp_quic_conn *conn)
{
    return conn->state == QUIC_CONN_UP && quic_datagrams_wait(conn) &&
           ngtcp2_conn_get_cwnd_left(conn->qc) >= QUIC_PACKET_MAX;
}

int quic_conn_write_packets(struct wzp_quic_conn *conn)
{
    ngtcp2_tstamp ts = quic_now_ns(conn->quic);
    ngtcp2_path_storage ps;

    ngtcp2_path_storage_zero(&ps);
    if (conn->state == QUIC_CONN_UP) {
        quic_datagrams_refresh(conn);
        quic_streams_open(conn);
    }
    for (;;) {
        uint8_t *buf = wz_udp_reserve(conn->quic->udp);
        ngtcp2_ssize n = build_packet(conn, &ps.path, buf, ts);
        if (n < 0)
            return (int)n;
        if (n > 0)
            commit_packet(conn, &ps.path, (size_t)n);
        else if (is_stuck(conn))
            quic_datagrams_drop_oldest(conn);
        else
            return 0;
    }
}

void quic_conn_arm_timer(struct wzp_quic_conn *conn)
{
    ngtcp2_tstamp expiry = ngtcp2_conn_get_expiry(conn->qc);
    uint64_t floor_us = wz_loop_now_us(conn->quic->loop) + TIMER_FLOOR_US;
    uint64_t at_us;

    if (expiry == UINT64_MAX) {
        wz_timer_cancel(&conn->timer);
        return;
    }
    at_us = expiry / NGTCP2_MICROSECONDS + 1;
    if (at_us < floor_us)
        at_us = floor_us;
    /* Too early costs one empty call; so a deadline that moved back (as every packet does it) is left where it is. */
    if (!conn->timer.heap_index || at_us < conn->timer.at_us)
        wz_timer_set(&conn->timer, at_us);
}

void quic_conn_write(struct wzp_quic_conn *conn)
{
    int err;

    if (conn->state == QUIC_CONN_CLOSED)
        return;
    quic_conn_enter(conn);
    err = quic_conn_write_packets(conn);
    if (err)
        conn->fatal = err;
    else
        quic_conn_arm_timer(conn);
    quic_conn_leave(conn);
}
