#include "tests/support/vquic_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS            1000u
#define IDLE_US       ((uint64_t)VQUIC_IDLE_MS * MS)
#define KEEPALIVE_US  ((uint64_t)VQUIC_KEEPALIVE_MS * MS)
#define HANDSHAKE_US  ((uint64_t)VQUIC_HANDSHAKE_MS * MS)
#define PTO_RELAY_US  (900u * MS) /**< three times the first guess of the round trip: 300 ms */
#define PTO_DIRECT_US (300u * MS) /**< 100 ms */
#define ACK_DELAY_US  (25u * MS)
#define BACKOFF_MAX   6u
#define CLOSE_LINGERS 3u /**< probe time-outs for which a closed end still answers */

enum packet_kind { PACKET_INITIAL, PACKET_FLIGHT, PACKET_DATA, PACKET_ACK, PACKET_PING, PACKET_DATAGRAM, PACKET_CLOSE };

/** One message: on its way, or arrived before its turn. */
struct chunk {
    struct wz_list node;
    uint64_t seq, sent_us;
    bool repeated;
    size_t len;
    uint8_t data[];
};

static const struct wz_bytes nothing = { .data = NULL, .len = 0 };

static uint64_t now_of(const struct vquic_end *end)
{
    return end->conn->quic->net->now_us;
}

struct vquic_end *vquic_other(struct vquic_end *end)
{
    return end->is_server ? &end->conn->client : &end->conn->server;
}

bool vquic_is_up(const struct vquic_end *end)
{
    return end->state == VQUIC_UP;
}

const uint8_t *vquic_exporter(const struct vquic_end *end)
{
    return end->conn->exporter[end->is_server];
}

struct vquic_end *vquic_end_by_id(const struct vquic *quic, uint64_t id)
{
    return id > 0 && id <= quic->last_id ? quic->end[id] : NULL;
}

/* ---- packets out ---- */

static void send_packet(struct vquic_end *end, enum packet_kind kind, uint64_t seq, struct wz_bytes data)
{
    const struct vnet_header header = {
        .kind = (uint8_t)kind,
        .to_server = !end->is_server,
        .conn = end->conn,
        .seq = seq,
        .ack = end->wanted_seq - 1,
    };
    if (end->endpoint->open)
        vnet_send(&end->endpoint->socket, &end->remote, &header, data, &end->not_before_us);
}

static uint64_t pto_us(const struct vquic_end *end)
{
    uint64_t pto = end->conn->is_direct ? PTO_DIRECT_US : PTO_RELAY_US;
    if (end->rtt_us)
        pto = 2 * end->rtt_us + ACK_DELAY_US;
    return pto << (end->backoff < BACKOFF_MAX ? end->backoff : BACKOFF_MAX);
}

static void arm(struct vquic_end *end)
{
    uint64_t at_us = end->pto_at_us;
    if (end->state == VQUIC_HANDSHAKE) {
        at_us = end->begun_us + HANDSHAKE_US < at_us ? end->begun_us + HANDSHAKE_US : at_us;
    } else if (end->state == VQUIC_UP) {
        at_us = end->heard_us + IDLE_US < at_us ? end->heard_us + IDLE_US : at_us;
        at_us = end->ping_at_us < at_us ? end->ping_at_us : at_us;
    } else {
        at_us = VNET_NEVER;
    }
    vnet_timer_set(end->conn->quic->net, &end->timer, at_us);
}

static void send_chunk(struct vquic_end *end, struct chunk *chunk)
{
    send_packet(end, PACKET_DATA, chunk->seq, wz_bytes(chunk->data, chunk->len));
}

static struct chunk *new_chunk(uint64_t seq, struct wz_bytes body)
{
    struct chunk *chunk = calloc(1, sizeof *chunk + body.len);
    assert_non_null(chunk);
    chunk->seq = seq;
    chunk->len = body.len;
    if (body.len)
        memcpy(chunk->data, body.data, body.len);
    wz_list_init(&chunk->node);
    return chunk;
}

static void drop_chunks(struct wz_list *list)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, list) {
        wz_list_remove(pos);
        free(wz_container_of(pos, struct chunk, node));
    }
}

void vquic_send(struct vquic_end *end, struct wz_bytes body)
{
    if (end->state != VQUIC_UP)
        return;
    struct chunk *chunk = new_chunk(end->next_seq++, body);
    chunk->sent_us = now_of(end);
    wz_list_append(&end->unacked, &chunk->node);
    send_chunk(end, chunk);
    if (end->pto_at_us == VNET_NEVER)
        end->pto_at_us = now_of(end) + pto_us(end);
    arm(end);
}

void vquic_send_datagram(struct vquic_end *end, struct wz_bytes data)
{
    if (end->state == VQUIC_UP)
        send_packet(end, PACKET_DATAGRAM, 0, data);
}

/* ---- ends ---- */

void vquic_end_now(struct vquic_end *end, const char *reason)
{
    end->state = VQUIC_CLOSED;
    (void)snprintf(end->reason, sizeof end->reason, "%s", reason);
    drop_chunks(&end->unacked);
    drop_chunks(&end->early);
    arm(end);
}

static void end_told(struct vquic_end *end, const char *reason)
{
    const bool is_announced = !end->is_server || end->state == VQUIC_UP;
    struct vquic_endpoint *endpoint = end->endpoint;
    vquic_end_now(end, reason);
    if (is_announced && endpoint->open)
        endpoint->handlers.closed(endpoint->owner, end, end->reason);
}

void vquic_close(struct vquic_end *end, const char *reason)
{
    if (end->state == VQUIC_CLOSED || end->state == VQUIC_NONE)
        return;
    vquic_end_now(end, reason);
    end->backoff = 0;
    end->closing_until_us = now_of(end) + CLOSE_LINGERS * pto_us(end);
    send_packet(end, PACKET_CLOSE, 0, wz_bytes(end->reason, strlen(end->reason) + 1));
}

static void begin(struct vquic_end *end, struct vquic_endpoint *endpoint, const struct wz_addr *remote)
{
    end->endpoint = endpoint;
    end->remote = *remote;
    end->state = VQUIC_HANDSHAKE;
    end->begun_us = end->heard_us = now_of(end);
    end->pto_at_us = now_of(end) + pto_us(end);
}

static void become_up(struct vquic_end *end)
{
    end->state = VQUIC_UP;
    end->backoff = 0;
    end->pto_at_us = VNET_NEVER;
    end->ping_at_us = now_of(end) + KEEPALIVE_US + (end->is_server ? KEEPALIVE_US / 2 : 0);
}

static void send_flight(struct vquic_end *end)
{
    send_packet(end, PACKET_FLIGHT, 0, nothing);
    arm(end);
}

void vquic_answer(struct vquic_end *end)
{
    begin(end, end->endpoint, &end->remote);
    send_flight(end);
}

/* ---- packets in ---- */

static void on_initial(struct vquic_end *end, struct vquic_endpoint *endpoint, const struct wz_addr *from)
{
    if (end->state == VQUIC_NONE && endpoint->accept != VQUIC_REFUSE) {
        begin(end, endpoint, from);
        if (endpoint->accept == VQUIC_HOLD)
            end->state = VQUIC_HELD;
    }
    if (end->state == VQUIC_HANDSHAKE)
        send_flight(end);
}

/** The client's handshake is complete; its last packet is message 1, with nothing in it. */
static void on_flight(struct vquic_end *end)
{
    if (end->state != VQUIC_HANDSHAKE)
        return;
    const uint64_t took_us = now_of(end) - end->begun_us;
    end->rtt_us = end->backoff == 0 ? took_us : 0;
    become_up(end);
    vquic_send(end, nothing);
    end->endpoint->handlers.connected(end->endpoint->owner, end);
}

static void on_ack(struct vquic_end *end, uint64_t ack)
{
    struct wz_list *pos, *tmp;
    bool any = false;
    wz_list_foreach (pos, tmp, &end->unacked) {
        struct chunk *chunk = wz_container_of(pos, struct chunk, node);
        if (chunk->seq > ack)
            break;
        if (!chunk->repeated)
            end->rtt_us = now_of(end) - chunk->sent_us;
        any = true;
        wz_list_remove(pos);
        free(chunk);
    }
    if (!any)
        return;
    end->backoff = 0;
    end->pto_at_us = wz_list_is_empty(&end->unacked) ? VNET_NEVER : now_of(end) + pto_us(end);
}

static void keep_early(struct vquic_end *end, uint64_t seq, struct wz_bytes body)
{
    struct wz_list *pos = end->early.next;
    while (pos != &end->early && wz_container_of(pos, struct chunk, node)->seq < seq)
        pos = pos->next;
    if (pos == &end->early || wz_container_of(pos, struct chunk, node)->seq != seq)
        wz_list_append(pos, &new_chunk(seq, body)->node);
}

static void take_message(struct vquic_end *end, uint64_t seq, struct wz_bytes body)
{
    if (end->is_server && seq == 1) {
        become_up(end);
        end->endpoint->handlers.connected(end->endpoint->owner, end);
    } else if (end->state == VQUIC_UP) {
        end->endpoint->handlers.message(end->endpoint->owner, end, body);
    }
}

static bool may_take(const struct vquic_end *end)
{
    return end->state == VQUIC_UP || (end->is_server && end->state == VQUIC_HANDSHAKE);
}

static void on_data(struct vquic_end *end, uint64_t seq, struct wz_bytes body)
{
    if (seq > end->wanted_seq)
        keep_early(end, seq, body);
    if (seq == end->wanted_seq) {
        end->wanted_seq++;
        take_message(end, seq, body);
    }
    while (may_take(end) && !wz_list_is_empty(&end->early)) {
        struct chunk *chunk = wz_container_of(end->early.next, struct chunk, node);
        if (chunk->seq > end->wanted_seq)
            break;
        wz_list_remove(&chunk->node);
        if (chunk->seq == end->wanted_seq) {
            end->wanted_seq++;
            take_message(end, chunk->seq, wz_bytes(chunk->data, chunk->len));
        }
        free(chunk);
    }
    if (may_take(end))
        send_packet(end, PACKET_ACK, 0, nothing);
}

static void on_packet(struct vquic_end *end, const struct vnet_packet *packet)
{
    struct vquic_endpoint *endpoint = end->endpoint;
    const struct wz_bytes data = wz_bytes(packet->data, packet->len);
    end->heard_us = now_of(end);
    on_ack(end, packet->header.ack);
    switch ((enum packet_kind)packet->header.kind) {
    case PACKET_INITIAL:
        break;
    case PACKET_FLIGHT:
        on_flight(end);
        break;
    case PACKET_DATA:
        on_data(end, packet->header.seq, data);
        break;
    case PACKET_ACK:
        break;
    case PACKET_PING:
        send_packet(end, PACKET_ACK, 0, nothing);
        break;
    case PACKET_DATAGRAM:
        if (end->state == VQUIC_UP)
            endpoint->handlers.datagram(endpoint->owner, end, data);
        break;
    case PACKET_CLOSE:
        end_told(end, (const char *)packet->data);
        break;
    }
    if (end->state == VQUIC_UP || end->state == VQUIC_HANDSHAKE)
        arm(end);
}

void vquic_receive(void *arg, const struct vnet_packet *packet)
{
    struct vquic_endpoint *endpoint = arg;
    struct vquic_conn *conn = packet->header.conn;
    if (!conn)
        return; /* a knock */
    struct vquic_end *end = packet->header.to_server ? &conn->server : &conn->client;
    if (packet->header.kind == PACKET_INITIAL && (end->state == VQUIC_NONE || end->endpoint == endpoint))
        on_initial(end, endpoint, &packet->from);
    if (end->endpoint != endpoint || end->state == VQUIC_NONE)
        return;
    if (end->state == VQUIC_HELD) {
        if (packet->header.kind == PACKET_CLOSE)
            vquic_end_now(end, "gone before it was accepted");
        return;
    }
    if (end->state == VQUIC_CLOSED) {
        if (now_of(end) < end->closing_until_us && packet->header.kind != PACKET_CLOSE)
            send_packet(end, PACKET_CLOSE, 0, wz_bytes(end->reason, strlen(end->reason) + 1));
        return;
    }
    if (!wz_addr_equal(&end->remote, &packet->from)) {
        if (!end->is_server)
            return; /* clients do not follow */
        end->remote = packet->from;
    }
    on_packet(end, packet);
}

/* ---- time ---- */

static void probe(struct vquic_end *end)
{
    struct wz_list *pos, *tmp;
    end->backoff++;
    end->pto_at_us = now_of(end) + pto_us(end);
    if (end->state == VQUIC_HANDSHAKE) {
        send_packet(end, end->is_server ? PACKET_FLIGHT : PACKET_INITIAL, 0, nothing);
        return;
    }
    wz_list_foreach (pos, tmp, &end->unacked) {
        struct chunk *chunk = wz_container_of(pos, struct chunk, node);
        chunk->repeated = true;
        send_chunk(end, chunk);
    }
}

static void due(void *arg)
{
    struct vquic_end *end = arg;
    const uint64_t now_us = now_of(end);
    if (!end->endpoint->open)
        return;
    if (end->state == VQUIC_HANDSHAKE && end->begun_us + HANDSHAKE_US <= now_us) {
        end_told(end, "handshake timeout");
        return;
    }
    if (end->state == VQUIC_UP && end->heard_us + IDLE_US <= now_us) {
        end_told(end, "idle timeout");
        return;
    }
    if (end->state == VQUIC_UP && end->ping_at_us <= now_us) {
        end->ping_at_us = now_us + KEEPALIVE_US;
        send_packet(end, PACKET_PING, 0, nothing);
    }
    if (end->pto_at_us <= now_us)
        probe(end);
    arm(end);
}

/* ---- connections ---- */

void vquic_init(struct vquic *quic, struct vnet *net)
{
    *quic = (struct vquic){ .net = net };
    wz_list_init(&quic->conns);
}

void vquic_done(struct vquic *quic)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &quic->conns) {
        struct vquic_conn *conn = wz_container_of(pos, struct vquic_conn, node);
        for (int i = 0; i < 2; i++) {
            drop_chunks(i ? &conn->client.unacked : &conn->server.unacked);
            drop_chunks(i ? &conn->client.early : &conn->server.early);
        }
        free(conn);
    }
    free(quic->end);
}

static void init_end(struct vquic *quic, struct vquic_conn *conn, struct vquic_end *end, bool is_server)
{
    if (quic->last_id + 1 >= quic->end_size) {
        quic->end_size = quic->end_size ? quic->end_size * 2 : 64;
        quic->end = realloc(quic->end, quic->end_size * sizeof(struct vquic_end *));
        assert_non_null(quic->end);
    }
    end->conn = conn;
    end->is_server = is_server;
    end->id = ++quic->last_id;
    quic->end[end->id] = end;
    end->next_seq = end->wanted_seq = 1;
    end->pto_at_us = end->ping_at_us = VNET_NEVER;
    end->timer = (struct vnet_timer){ .want_us = VNET_NEVER, .due = due, .arg = end };
    wz_list_init(&end->unacked);
    wz_list_init(&end->early);
}

struct vquic_end *vquic_dial(struct vquic_endpoint *endpoint, const struct wz_addr *to, const char *sni, bool is_direct)
{
    struct vquic *quic = endpoint->quic;
    struct vquic_conn *conn = calloc(1, sizeof *conn);
    assert_non_null(conn);
    conn->quic = quic;
    conn->is_direct = is_direct;
    (void)snprintf(conn->sni, sizeof conn->sni, "%s", sni);
    test_rng_fill(&quic->net->random, conn->exporter[0], sizeof conn->exporter[0]);
    memcpy(conn->exporter[1], conn->exporter[0], sizeof conn->exporter[0]);
    if (is_direct && quic->man_in_the_middle)
        conn->exporter[1][0] ^= 1;
    init_end(quic, conn, &conn->client, false);
    init_end(quic, conn, &conn->server, true);
    wz_list_append(&quic->conns, &conn->node);
    begin(&conn->client, endpoint, to);
    send_packet(&conn->client, PACKET_INITIAL, 0, nothing);
    arm(&conn->client);
    return &conn->client;
}
