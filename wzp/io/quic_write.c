/* What leaves: one pass over a connection writes every packet that its windows allow, datagrams first, several frames
 * a packet where they wait anyway. No pacing: ngtcp2_conn_update_pkt_tx_time() would delay replies (media is paced by
 * its source).
 *
 * Acknowledgements: ngtcp2 wants each out an eighth of a round trip after the packet, which on short paths is a packet
 * of its own for every packet of media. On a connection that carries datagrams only nobody waits for them: they leave
 * with the next datagram, or after ACK_WAIT_US. */
#include "wzp/io/quic_internal.h"

/** ngtcp2 sometimes names a deadline in the past that only a received packet can lift (amplification limit). */
#define TIMER_FLOOR_US 1000u
/** More than the 20 ms between two packets of a talker, and with TIMER_GRID_US less than the max_ack_delay we announce. */
#define ACK_WAIT_US 25000u
/** Timers of connections with nothing urgent fire together, so that their packets leave together. */
#define TIMER_GRID_US 10000u
/** Packets that may wait for one acknowledgement; as ngtcp2 is told. More would stall senders of full packets, whose
 *  congestion window starts at ten. */
#define QUIET_PACKETS_MAX QUIC_ACK_EVERY_PACKETS

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

/** Neither streams nor waiting datagrams: what ngtcp2 has to write can wait a little. */
static bool is_calm(const struct wzp_quic_conn *conn)
{
    return conn->state == QUIC_CONN_UP && wz_list_is_empty(&conn->streams) && !quic_datagrams_wait(conn);
}

uint64_t quic_conn_deadline_us(const struct wzp_quic_conn *conn)
{
    ngtcp2_tstamp expiry = ngtcp2_conn_get_expiry(conn->qc);
    uint64_t at_us = expiry / NGTCP2_MICROSECONDS + 1;

    if (expiry == UINT64_MAX)
        return WZ_NEVER;
    if (!is_calm(conn))
        return at_us;
    if (conn->quiet_packets && at_us < conn->quiet_since_us + ACK_WAIT_US)
        at_us = conn->quiet_since_us + ACK_WAIT_US;
    return (at_us + TIMER_GRID_US - 1) / TIMER_GRID_US * TIMER_GRID_US;
}

void quic_conn_arm_timer(struct wzp_quic_conn *conn)
{
    uint64_t floor_us = wz_loop_now_us(conn->quic->loop) + TIMER_FLOOR_US;
    uint64_t at_us = quic_conn_deadline_us(conn);

    if (at_us == WZ_NEVER) {
        wz_timer_cancel(&conn->timer);
        return;
    }
    if (at_us < floor_us)
        at_us = floor_us;
    /* Too early costs one empty call; so a deadline that moved back (as every packet does it) is left where it is. */
    if (!conn->timer.heap_index || at_us < conn->timer.at_us)
        wz_timer_set(&conn->timer, at_us);
}

static void begin_quiet(struct wzp_quic_conn *conn, uint64_t now_us)
{
    conn->quiet_packets = 1;
    conn->quiet_since_us = now_us;
}

void quic_conn_write_after_read(struct wzp_quic_conn *conn, bool is_media)
{
    if (!is_media || !is_calm(conn) || conn->quiet_packets + 1 >= QUIET_PACKETS_MAX) {
        quic_mark_dirty(conn);
        return;
    }
    if (conn->quiet_packets++)
        return;
    begin_quiet(conn, wz_loop_now_us(conn->quic->loop));
    quic_conn_arm_timer(conn);
}

/** ngtcp2 names a deadline that soon only while an acknowledgement is due: a probe takes the peer's own delay longer. */
static void note_acknowledged(struct wzp_quic_conn *conn)
{
    uint64_t now_us = wz_loop_now_us(conn->quic->loop);

    if (ngtcp2_conn_get_expiry(conn->qc) / NGTCP2_MICROSECONDS > now_us + ACK_WAIT_US)
        conn->quiet_packets = 0;
    else if (!conn->quiet_packets)
        begin_quiet(conn, now_us);
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
    if (!err && conn->state == QUIC_CONN_UP)
        note_acknowledged(conn);
    if (!err)
        quic_conn_arm_timer(conn);
    quic_conn_leave(conn);
}
