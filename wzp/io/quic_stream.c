/* Messages on streams. One message is one bidirectional stream: u32 length, body, FIN; the reverse half of a stream
 * carries nothing and is finished at once. Messages are delivered in the order in which the peer opened its streams.
 *
 * Credit is the flow control of this layer: a peer's stream counts against its limit of 100 until its message was
 * delivered or given up, and a stream whose turn has not come gets no window beyond the first 64 KiB.
 * Spec: docs/wzp-wire.md "Framing", "Behaviour your stack must tolerate". */
#include "wzp/io/quic_internal.h"

#include <errno.h>
#include <stdlib.h>

#define PREFIX_BYTES 4
/** First allocation for a message that did not arrive in one piece. */
#define COLLECT_FIRST_BYTES 4096u

enum quic_rx_state {
    QUIC_RX_COLLECT,
    QUIC_RX_COMPLETE, /**< waits for its turn */
    QUIC_RX_GIVEN_UP, /**< reset, broken or too long: skipped when its turn comes */
    QUIC_RX_DONE,     /**< delivered, skipped, or never of interest */
};

struct quic_stream {
    struct wzp_quic_conn *conn;
    struct wz_list node, tx_node, rx_node;
    int64_t id; /**< -1: queued, not opened yet */
    bool local, uni;
    bool closed;     /**< ngtcp2 has forgotten it */
    bool credit_due; /**< the peer may open another one when this is over */

    uint8_t *tx; /**< kept until acknowledged */
    size_t tx_len, tx_sent;
    bool fin_sent;
    bool blocked; /**< the peer's window is shut, in the current pass */

    enum quic_rx_state rx;
    uint8_t prefix[PREFIX_BYTES];
    size_t prefix_got;
    uint8_t *body;
    size_t body_len, body_cap, body_got; /**< body_len: announced */
    size_t held;                         /**< of body_got: arrived before its turn, counted in conn->held_bytes */
};

/* ---- life ---- */

static struct quic_stream *stream_new(struct wzp_quic_conn *conn, int64_t id, bool local, bool uni)
{
    struct quic_stream *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->conn = conn;
    s->id = id;
    s->local = local;
    s->uni = uni;
    s->rx = local ? QUIC_RX_DONE : QUIC_RX_COLLECT;
    wz_list_append(&conn->streams, &s->node);
    wz_list_init(&s->tx_node);
    wz_list_init(&s->rx_node);
    return s;
}

static void drop_tx(struct quic_stream *s)
{
    s->conn->unsent_bytes -= s->tx_len;
    free(s->tx);
    s->tx = NULL;
    s->tx_len = s->tx_sent = 0;
    wz_list_remove(&s->tx_node);
}

static void uncount_held(struct quic_stream *s)
{
    s->conn->held_bytes -= s->held;
    s->held = 0;
}

static void drop_body(struct quic_stream *s)
{
    uncount_held(s);
    free(s->body);
    s->body = NULL;
    s->body_got = s->body_cap = 0;
}

static void stream_free(struct quic_stream *s)
{
    drop_tx(s);
    drop_body(s);
    wz_list_remove(&s->rx_node);
    wz_list_remove(&s->node);
    free(s);
}

void quic_streams_init(struct wzp_quic_conn *conn)
{
    wz_list_init(&conn->streams);
    wz_list_init(&conn->tx_ready);
    wz_list_init(&conn->rx_order);
    conn->rx_next_id = conn->server ? 0 : 1; /* the first bidirectional stream that the peer may open */
}

void quic_streams_free(struct wzp_quic_conn *conn)
{
    struct wz_list *pos, *tmp;

    wz_list_foreach (pos, tmp, &conn->streams)
        stream_free(wz_container_of(pos, struct quic_stream, node));
}

/** Free a stream that neither ngtcp2 nor the order of delivery needs any more, and hand the peer its credit back. */
static void stream_release(struct quic_stream *s)
{
    if (!s->closed || s->rx != QUIC_RX_DONE)
        return;
    if (s->credit_due && s->uni)
        ngtcp2_conn_extend_max_streams_uni(s->conn->qc, 1);
    else if (s->credit_due)
        ngtcp2_conn_extend_max_streams_bidi(s->conn->qc, 1);
    quic_mark_dirty(s->conn); /* the peer may wait for the credit */
    stream_free(s);
}

/* ---- receiving ---- */

static bool is_head(const struct quic_stream *s)
{
    return s->uni || s->id == s->conn->rx_next_id;
}

static void insert_in_order(struct quic_stream *s)
{
    struct wz_list *at = &s->conn->rx_order;

    while (at->prev != &s->conn->rx_order && wz_container_of(at->prev, struct quic_stream, rx_node)->id > s->id)
        at = at->prev;
    wz_list_append(at, &s->rx_node); /* before at: ascending ids */
}

static void deliver(struct wzp_quic_conn *conn, struct wz_bytes body)
{
    conn->quic->stats.messages_rx++;
    if (conn->handlers.message && quic_conn_is_open(conn))
        conn->handlers.message(conn->arg, conn, body);
}

static void finish_rx(struct quic_stream *s)
{
    s->rx = QUIC_RX_DONE;
    wz_list_remove(&s->rx_node);
    drop_body(s);
    stream_release(s);
}

/** Deliver and skip from the front of the order as far as possible. */
static void advance(struct wzp_quic_conn *conn)
{
    while (!wz_list_is_empty(&conn->rx_order)) {
        struct quic_stream *s = wz_container_of(conn->rx_order.next, struct quic_stream, rx_node);
        if (s->id != conn->rx_next_id)
            return;
        if (s->rx == QUIC_RX_COLLECT) {
            /* Now the head: let the rest of it through. */
            uncount_held(s);
            if (!s->closed)
                ngtcp2_conn_extend_max_stream_offset(conn->qc, s->id, s->prefix_got + s->body_got);
            return;
        }
        conn->rx_next_id += 4;
        if (s->rx == QUIC_RX_COMPLETE)
            deliver(conn, wz_bytes(s->body, s->body_len));
        finish_rx(s);
    }
}

static void give_up(struct quic_stream *s, bool count)
{
    if (s->rx != QUIC_RX_COLLECT)
        return;
    s->conn->quic->stats.streams_reset += count;
    if (s->uni) {
        finish_rx(s);
        return;
    }
    s->rx = QUIC_RX_GIVEN_UP;
    drop_body(s);
    advance(s->conn); /* may free s */
}

/** The peer broke the rules of the framing on this stream: the stream ends, the connection lives. */
static void refuse(struct quic_stream *s)
{
    if (!s->closed)
        (void)quic_stop_reading(s->conn->qc, s->id); /* fails without memory only: then the peer just goes on unheard */
    give_up(s, true);
}

static bool reserve_body(struct quic_stream *s, size_t more)
{
    size_t need = s->body_got + more;
    size_t cap = s->body_cap ? s->body_cap : COLLECT_FIRST_BYTES;
    uint8_t *body;

    if (need <= s->body_cap)
        return true;
    while (cap < need)
        cap *= 2;
    if (cap > s->body_len)
        cap = s->body_len;
    body = realloc(s->body, cap);
    if (!body)
        return false;
    s->body = body;
    s->body_cap = cap;
    return true;
}

static bool collect(struct quic_stream *s, struct wz_bytes data)
{
    size_t early = is_head(s) ? 0 : data.len;

    if (s->conn->held_bytes + early > QUIC_HELD_MAX_BYTES || !reserve_body(s, data.len))
        return false;
    if (data.len)
        memcpy(s->body + s->body_got, data.data, data.len);
    s->body_got += data.len;
    s->held += early;
    s->conn->held_bytes += early;
    return true;
}

/** Complete the length prefix from in. False: not complete yet. */
static bool take_prefix(struct quic_stream *s, struct wz_reader *in)
{
    struct wz_reader prefix;
    uint32_t len;

    if (s->prefix_got == PREFIX_BYTES)
        return true;
    while (s->prefix_got < PREFIX_BYTES && wz_get_u8(in, &s->prefix[s->prefix_got]))
        s->prefix_got++;
    prefix = wz_reader(wz_bytes(s->prefix, s->prefix_got));
    if (!wz_get_u32be(&prefix, &len))
        return false;
    s->body_len = len;
    return true;
}

/** Bytes of a message, in order. May free s. */
static void receive_message(struct quic_stream *s, struct wz_bytes data, bool fin)
{
    struct wz_reader in = wz_reader(data);
    size_t left;

    if (s->rx != QUIC_RX_COLLECT)
        return; /* what follows a message is ignored */
    if (!take_prefix(s, &in)) {
        if (fin)
            give_up(s, true);
        return;
    }
    if (s->body_len > QUIC_MESSAGE_MAX_BYTES) {
        refuse(s);
        return;
    }
    left = s->body_len - s->body_got;
    if (wz_left(&in) < left) {
        if (!collect(s, wz_bytes(in.pos, wz_left(&in))))
            refuse(s);
        else if (fin)
            give_up(s, true);
        return;
    }
    if (is_head(s) && s->body_got == 0) {
        /* The common case: all of it in one packet, and it is its turn. */
        struct wzp_quic_conn *conn = s->conn;
        conn->rx_next_id += 4;
        deliver(conn, wz_bytes(in.pos, left));
        finish_rx(s);
        advance(conn);
    } else if (!collect(s, wz_bytes(in.pos, left))) {
        refuse(s);
    } else {
        s->rx = QUIC_RX_COMPLETE;
        advance(s->conn);
    }
}

static void receive_uni(struct quic_stream *s, struct wz_bytes data, bool fin)
{
    struct wzp_quic_conn *conn = s->conn;

    if (s->rx != QUIC_RX_COLLECT)
        return;
    s->body_len = QUIC_UNI_MAX_BYTES;
    if (s->body_got + data.len > QUIC_UNI_MAX_BYTES || !collect(s, data)) {
        refuse(s);
        return;
    }
    if (!fin)
        return;
    s->rx = QUIC_RX_DONE;
    if (conn->handlers.uni && quic_conn_is_open(conn))
        conn->handlers.uni(conn->arg, conn, wz_bytes(s->body, s->body_got));
    drop_body(s);
}

/* ---- sending ---- */

static void queue_tx(struct quic_stream *s)
{
    if (wz_list_is_empty(&s->tx_node))
        wz_list_append(&s->conn->tx_ready, &s->tx_node);
    quic_mark_dirty(s->conn);
}

int quic_send_on_stream(struct wzp_quic_conn *conn, bool uni, struct wz_bytes prefix, struct wz_bytes body)
{
    struct quic_stream *s;
    size_t len = prefix.len + body.len;

    if (!quic_conn_is_open(conn))
        return -ENOTCONN;
    if (conn->unsent_bytes + len > QUIC_UNSENT_MAX_BYTES)
        return -ENOBUFS;
    s = stream_new(conn, -1, true, uni);
    if (!s)
        return -ENOMEM;
    s->tx = malloc(len ? len : 1);
    if (!s->tx) {
        stream_free(s);
        return -ENOMEM;
    }
    if (prefix.len)
        memcpy(s->tx, prefix.data, prefix.len);
    if (body.len)
        memcpy(s->tx + prefix.len, body.data, body.len);
    s->tx_len = len;
    conn->unsent_bytes += len;
    conn->quic->stats.messages_tx += !uni;
    queue_tx(s);
    return 0;
}

int wzp_quic_send_message(struct wzp_quic_conn *conn, struct wz_bytes body)
{
    uint8_t prefix[PREFIX_BYTES];
    struct wz_writer out = wz_writer(prefix, sizeof prefix);

    if (body.len > QUIC_MESSAGE_MAX_BYTES)
        return -EMSGSIZE;
    wz_put_u32be(&out, (uint32_t)body.len);
    return quic_send_on_stream(conn, false, wz_bytes(prefix, sizeof prefix), body);
}

int wzp_quic_send_uni(struct wzp_quic_conn *conn, struct wz_bytes body)
{
    return quic_send_on_stream(conn, true, wz_bytes(NULL, 0), body);
}

void quic_streams_open(struct wzp_quic_conn *conn)
{
    struct wz_list *pos, *tmp;
    bool bidi = true, uni = true;

    wz_list_foreach (pos, tmp, &conn->tx_ready) {
        struct quic_stream *s = wz_container_of(pos, struct quic_stream, tx_node);
        s->blocked = false;
        if (s->id >= 0 || !(s->uni ? uni : bidi))
            continue;
        if (s->uni)
            uni = ngtcp2_conn_open_uni_stream(conn->qc, &s->id, s) == 0;
        else
            bidi = ngtcp2_conn_open_bidi_stream(conn->qc, &s->id, s) == 0;
        if (!(s->uni ? uni : bidi))
            s->id = -1; /* the peer's limit: on_streams_extended() comes later */
    }
}

static struct quic_stream *next_ready(struct wzp_quic_conn *conn)
{
    struct wz_list *pos, *tmp;

    wz_list_foreach (pos, tmp, &conn->tx_ready) {
        struct quic_stream *s = wz_container_of(pos, struct quic_stream, tx_node);
        if (s->id >= 0 && !s->blocked)
            return s;
    }
    return NULL;
}

ngtcp2_ssize quic_streams_write(struct wzp_quic_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *pi, uint8_t *buf,
                                ngtcp2_tstamp ts, bool *ret_more)
{
    struct quic_stream *s = next_ready(conn);
    ngtcp2_ssize taken = -1;
    ngtcp2_ssize n;
    ngtcp2_vec vec;

    *ret_more = s != NULL;
    if (!s)
        return NGTCP2_ERR_WRITE_MORE;
    vec = (ngtcp2_vec){ .base = s->tx ? s->tx + s->tx_sent : NULL, .len = s->tx_len - s->tx_sent };
    n = ngtcp2_conn_writev_stream(conn->qc, path, pi, buf, QUIC_PACKET_MAX, &taken,
                                  NGTCP2_WRITE_STREAM_FLAG_MORE | NGTCP2_WRITE_STREAM_FLAG_FIN, s->id, &vec,
                                  vec.len > 0, ts);
    if (taken >= 0) {
        s->tx_sent += (size_t)taken;
        s->fin_sent = s->tx_sent == s->tx_len;
        if (s->fin_sent)
            wz_list_remove(&s->tx_node);
    }
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
        s->blocked = true;
        return NGTCP2_ERR_WRITE_MORE;
    }
    if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) {
        wz_list_remove(&s->tx_node); /* the peer sent STOP_SENDING: it does not want the rest */
        return NGTCP2_ERR_WRITE_MORE;
    }
    return n;
}

/* ---- ngtcp2 callbacks ---- */

static int on_stream_open(ngtcp2_conn *qc, int64_t id, void *user_data)
{
    struct quic_stream *s = stream_new(user_data, id, false, !ngtcp2_is_bidi_stream(id));

    if (!s)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    s->credit_due = true;
    if (!s->uni) {
        insert_in_order(s);
        queue_tx(s); /* nothing to say on the reverse half but FIN */
    }
    return ngtcp2_conn_set_stream_user_data(qc, id, s) ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_data(ngtcp2_conn *qc, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data, size_t len,
                          void *user_data, void *stream_user_data)
{
    struct wzp_quic_conn *conn = user_data;
    struct quic_stream *s = stream_user_data;
    bool fin = flags & NGTCP2_STREAM_DATA_FLAG_FIN;

    (void)offset;
    ngtcp2_conn_extend_max_offset(qc, len);
    if (!s || s->local || !quic_conn_is_open(conn))
        return 0; /* the reverse half of our own stream: nothing of interest */
    if (is_head(s))
        ngtcp2_conn_extend_max_stream_offset(qc, id, len);
    if (s->uni)
        receive_uni(s, wz_bytes(data, len), fin);
    else
        receive_message(s, wz_bytes(data, len), fin);
    return 0;
}

static int on_stream_reset(ngtcp2_conn *qc, int64_t id, uint64_t final_size, uint64_t code, void *user_data,
                           void *stream_user_data)
{
    struct wzp_quic_conn *conn = user_data;
    struct quic_stream *s = stream_user_data;

    (void)qc;
    (void)final_size;
    (void)code;
    if (s && s->local)
        return 0;
    if (!s) {
        /* Reset before anything else of it arrived: ngtcp2 forgets it at once and returns the credit itself. */
        s = ngtcp2_is_bidi_stream(id) && !ngtcp2_conn_is_local_stream(conn->qc, id) ? stream_new(conn, id, false, false)
                                                                                    : NULL;
        if (!s)
            return 0;
        s->closed = true;
        insert_in_order(s);
    }
    give_up(s, false);
    return 0;
}

static int on_stream_close(ngtcp2_conn *qc, uint32_t flags, int64_t id, uint64_t code, void *user_data,
                           void *stream_user_data)
{
    struct quic_stream *s = stream_user_data;

    (void)qc;
    (void)flags;
    (void)id;
    (void)code;
    (void)user_data;
    if (!s)
        return 0;
    s->closed = true;
    drop_tx(s);
    if (s->rx == QUIC_RX_COLLECT)
        give_up(s, false); /* releases it, or leaves that to its turn */
    else
        stream_release(s);
    return 0;
}

static int on_acked(ngtcp2_conn *qc, int64_t id, uint64_t offset, uint64_t len, void *user_data, void *stream_user_data)
{
    struct quic_stream *s = stream_user_data;

    (void)qc;
    (void)id;
    (void)user_data;
    if (s && s->tx && s->fin_sent && offset + len == s->tx_len)
        drop_tx(s); /* ngtcp2 reports a contiguous prefix, so nothing earlier is outstanding */
    return 0;
}

static int on_window_extended(ngtcp2_conn *qc, int64_t id, uint64_t max, void *user_data, void *stream_user_data)
{
    (void)qc;
    (void)id;
    (void)max;
    (void)stream_user_data;
    quic_mark_dirty(user_data);
    return 0;
}

static int on_streams_extended(ngtcp2_conn *qc, uint64_t max, void *user_data)
{
    (void)qc;
    (void)max;
    quic_mark_dirty(user_data);
    return 0;
}

void quic_streams_set_callbacks(ngtcp2_callbacks *cb)
{
    cb->stream_open = on_stream_open;
    cb->recv_stream_data = on_stream_data;
    cb->stream_reset = on_stream_reset;
    cb->stream_close = on_stream_close;
    cb->acked_stream_data_offset = on_acked;
    cb->extend_max_stream_data = on_window_extended;
    cb->extend_max_local_streams_bidi = on_streams_extended;
    cb->extend_max_local_streams_uni = on_streams_extended;
}
