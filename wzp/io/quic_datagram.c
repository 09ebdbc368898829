/* Datagrams: a bounded queue per connection that drops its oldest entry, and a pool of buffers that the queues of
 * several connections share, so that a relay copies a packet once however many receive it. */
#include "wzp/io/quic_internal.h"

#include <errno.h>
#include <stdlib.h>

/** Frame type and a two-byte length in front of the payload. */
#define DATAGRAM_FRAME_OVERHEAD 3
/** Short header: flags, packet number as ngtcp2 may write it, AEAD tag. The destination id comes on top. */
#define SHORT_PACKET_OVERHEAD (1 + 4 + 16)

/* ---- pool ---- */

struct quic_buffer_slab {
    struct quic_buffer_slab *next;
    struct quic_buffer buffer[QUIC_BUFFER_SLAB];
};

static bool pool_grow(struct quic_buffer_pool *pool)
{
    struct quic_buffer_slab *slab;

    if (pool->total + QUIC_BUFFER_SLAB > QUIC_BUFFERS_MAX)
        return false;
    slab = malloc(sizeof *slab);
    if (!slab)
        return false;
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->total += QUIC_BUFFER_SLAB;
    for (size_t i = 0; i < QUIC_BUFFER_SLAB; i++) {
        slab->buffer[i].next_free = pool->free;
        pool->free = &slab->buffer[i];
    }
    return true;
}

/** A buffer with one reference and a copy of data, or NULL when the pool is exhausted. */
static struct quic_buffer *pool_get(struct quic_buffer_pool *pool, struct wz_bytes data)
{
    struct quic_buffer *buffer;

    if (!pool->free && !pool_grow(pool))
        return NULL;
    buffer = pool->free;
    pool->free = buffer->next_free;
    buffer->refs = 1;
    buffer->len = (uint32_t)data.len;
    if (data.len)
        memcpy(buffer->data, data.data, data.len);
    return buffer;
}

static void pool_unref(struct quic_buffer_pool *pool, struct quic_buffer *buffer)
{
    if (--buffer->refs > 0)
        return;
    buffer->next_free = pool->free;
    pool->free = buffer;
}

void quic_pool_done(struct quic_buffer_pool *pool)
{
    while (pool->slabs) {
        struct quic_buffer_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        free(slab);
    }
    *pool = (struct quic_buffer_pool){ 0 };
}

/* ---- queue ---- */

static void count_drop(struct wzp_quic_conn *conn)
{
    conn->stats.datagrams_dropped++;
    conn->quic->stats.datagrams_dropped++;
}

static struct quic_buffer *queue_pop(struct wzp_quic_conn *conn)
{
    return conn->queue[conn->queue_head++ & (QUIC_DATAGRAM_QUEUE - 1)];
}

void quic_datagrams_drop_oldest(struct wzp_quic_conn *conn)
{
    pool_unref(&conn->quic->pool, queue_pop(conn));
    count_drop(conn);
}

/** Takes a reference of its own. */
static int queue_push(struct wzp_quic_conn *conn, struct quic_buffer *buffer)
{
    if (!conn->queue) {
        conn->queue = malloc(QUIC_DATAGRAM_QUEUE * sizeof(struct quic_buffer *));
        if (!conn->queue)
            return -ENOMEM;
    }
    if (conn->queue_tail - conn->queue_head == QUIC_DATAGRAM_QUEUE)
        quic_datagrams_drop_oldest(conn);
    buffer->refs++;
    conn->queue[conn->queue_tail++ & (QUIC_DATAGRAM_QUEUE - 1)] = buffer;
    quic_mark_dirty(conn);
    return 0;
}

void quic_datagrams_free(struct wzp_quic_conn *conn)
{
    while (quic_datagrams_wait(conn))
        quic_datagrams_drop_oldest(conn);
    free(conn->queue);
    conn->queue = NULL;
}

size_t wzp_quic_conn_max_datagram(const struct wzp_quic_conn *conn)
{
    const ngtcp2_transport_params *peer;
    size_t overhead, packet, frame;

    if (conn->state != QUIC_CONN_UP)
        return 0;
    peer = ngtcp2_conn_get_remote_transport_params(conn->qc);
    overhead = SHORT_PACKET_OVERHEAD + ngtcp2_conn_get_dcid(conn->qc)->datalen;
    packet = ngtcp2_conn_get_path_max_tx_udp_payload_size(conn->qc);
    if (packet > QUIC_PACKET_MAX)
        packet = QUIC_PACKET_MAX;
    if (!peer || packet <= overhead)
        return 0;
    frame = packet - overhead;
    if (frame > peer->max_datagram_frame_size)
        frame = (size_t)peer->max_datagram_frame_size;
    return frame > DATAGRAM_FRAME_OVERHEAD ? frame - DATAGRAM_FRAME_OVERHEAD : 0;
}

int wzp_quic_send_datagram(struct wzp_quic_conn *conn, struct wz_bytes data)
{
    struct quic_buffer *buffer;
    int err;

    if (!quic_conn_is_open(conn) || conn->state != QUIC_CONN_UP)
        return -ENOTCONN;
    if (data.len > conn->max_datagram) {
        count_drop(conn);
        return -EMSGSIZE;
    }
    buffer = pool_get(&conn->quic->pool, data);
    if (!buffer) {
        count_drop(conn);
        return 0; /* as lost as in a full queue */
    }
    err = queue_push(conn, buffer);
    pool_unref(&conn->quic->pool, buffer);
    return err;
}

size_t wzp_quic_send_datagram_all(struct wzp_quic_conn *const *conns, size_t count, struct wz_bytes data)
{
    struct quic_buffer *buffer = NULL;
    struct quic_buffer_pool *pool = NULL;
    size_t taken = 0;

    for (size_t i = 0; i < count; i++) {
        struct wzp_quic_conn *conn = conns[i];
        if (!conn || !quic_conn_is_open(conn) || conn->state != QUIC_CONN_UP)
            continue;
        if (data.len > conn->max_datagram) {
            count_drop(conn);
            continue;
        }
        if (!buffer) {
            pool = &conn->quic->pool;
            buffer = pool_get(pool, data);
        }
        if (buffer && &conn->quic->pool != pool)
            taken += wzp_quic_send_datagram(conn, data) == 0; /* of another endpoint: cannot share */
        else if (buffer)
            taken += queue_push(conn, buffer) == 0;
        else
            count_drop(conn); /* the pool is exhausted */
    }
    if (buffer)
        pool_unref(pool, buffer);
    return taken;
}

/* ---- packets ---- */

void quic_datagrams_refresh(struct wzp_quic_conn *conn)
{
    unsigned waiting = conn->queue_tail - conn->queue_head;
    size_t max = wzp_quic_conn_max_datagram(conn);

    if (max >= conn->max_datagram) {
        conn->max_datagram = max;
        return;
    }
    /* The path shrank: sift the queue, keeping its order. */
    conn->max_datagram = max;
    while (waiting-- > 0) {
        struct quic_buffer *buffer = queue_pop(conn);
        if (buffer->len <= max) {
            conn->queue[conn->queue_tail++ & (QUIC_DATAGRAM_QUEUE - 1)] = buffer;
        } else {
            pool_unref(&conn->quic->pool, buffer);
            count_drop(conn);
        }
    }
}

ngtcp2_ssize quic_datagrams_write(struct wzp_quic_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *pi, uint8_t *buf,
                                  ngtcp2_tstamp ts)
{
    struct quic_buffer *buffer = conn->queue[conn->queue_head & (QUIC_DATAGRAM_QUEUE - 1)];
    ngtcp2_vec vec = { .base = buffer->data, .len = buffer->len };
    bool more = conn->queue_tail - conn->queue_head > 1 || !wz_list_is_empty(&conn->tx_ready);
    int accepted = 0;
    ngtcp2_ssize n = ngtcp2_conn_writev_datagram(
        conn->qc, path, pi, buf, QUIC_PACKET_MAX, &accepted,
        more ? NGTCP2_WRITE_DATAGRAM_FLAG_MORE : NGTCP2_WRITE_DATAGRAM_FLAG_NONE, 0, &vec, vec.len > 0, ts);

    if (accepted) {
        pool_unref(&conn->quic->pool, queue_pop(conn));
        conn->stats.datagrams_tx++;
        conn->quic->stats.datagrams_tx++;
    }
    return n;
}

/* ---- ngtcp2 callbacks ---- */

static int on_datagram(ngtcp2_conn *qc, uint32_t flags, const uint8_t *data, size_t len, void *user_data)
{
    struct wzp_quic_conn *conn = user_data;

    (void)qc;
    (void)flags;
    conn->stats.datagrams_rx++;
    conn->quic->stats.datagrams_rx++;
    if (conn->handlers.datagram && quic_conn_is_open(conn) && conn->state == QUIC_CONN_UP)
        conn->handlers.datagram(conn->arg, conn, wz_bytes(data, len));
    return 0;
}

static int on_datagram_lost(ngtcp2_conn *qc, uint64_t id, void *user_data)
{
    struct wzp_quic_conn *conn = user_data;

    (void)qc;
    (void)id;
    conn->stats.packets_lost++;
    return 0;
}

void quic_datagrams_set_callbacks(ngtcp2_callbacks *cb)
{
    cb->recv_datagram = on_datagram;
    cb->lost_datagram = on_datagram_lost;
}
