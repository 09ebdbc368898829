/* Received packets: STUN apart from QUIC, known connection ids, and everything that is answered without a connection:
 * new clients, Retry, refusals, version negotiation, stateless reset. Spec: RFC 9000 sections 5.2, 6, 8.1, 10.3. */
#include "wzp/io/quic_internal.h"

#include <errno.h>

#define STUN_HEADER_BYTES 20
#define STUN_COOKIE       UINT32_C(0x2112a442)
/** First byte of every token that ngtcp2 makes for Retry. */
#define RETRY_TOKEN_MAGIC 0xb6
#define RETRY_TOKEN_LIFE  (10 * NGTCP2_SECONDS)
/** RFC 9000 10.3: shorter than the packet that caused it, and never so short that it gives itself away. */
#define STATELESS_RESET_MIN       21
#define STATELESS_RESET_MIN_CAUSE 42
#define STATELESS_RESET_RANDOM    20
/** Long receive batches write in between, so that queues stay short and caches warm. */
#define RX_BEFORE_FLUSH 128u

bool quic_is_stun(struct wz_bytes packet)
{
    struct wz_reader in = wz_reader(packet);
    uint16_t type, len;
    uint32_t cookie;

    return packet.len >= STUN_HEADER_BYTES && packet.len % 4 == 0 && wz_get_u16be(&in, &type) && type < 0x4000 &&
           packet.data[0] <= 3 && wz_get_u16be(&in, &len) && (size_t)len + STUN_HEADER_BYTES == packet.len &&
           wz_get_u32be(&in, &cookie) && cookie == STUN_COOKIE;
}

/** One packet to answer, and where it came from. */
struct received {
    const uint8_t *data;
    size_t len;
    const struct wz_addr *from, *local;
};

static void answer(struct wzp_quic *quic, const struct received *rx, ngtcp2_ssize len)
{
    if (len > 0)
        wz_udp_commit(quic->udp, (size_t)len, rx->from, rx->local);
}

static void send_version_negotiation(struct wzp_quic *quic, const struct received *rx, const ngtcp2_version_cid *vc)
{
    const uint32_t versions[] = { NGTCP2_PROTO_VER_V1 };
    uint8_t random;

    wz_rng_fill(&quic->rng, &random, sizeof random);
    answer(quic, rx,
           ngtcp2_pkt_write_version_negotiation(wz_udp_reserve(quic->udp), QUIC_PACKET_MAX, random, vc->scid,
                                                vc->scidlen, vc->dcid, vc->dcidlen, versions, 1));
}

static void send_stateless_reset(struct wzp_quic *quic, const struct received *rx, const ngtcp2_version_cid *vc)
{
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    uint8_t random[STATELESS_RESET_RANDOM];
    size_t room = sizeof token + sizeof random;
    ngtcp2_cid cid;

    if (rx->len < STATELESS_RESET_MIN_CAUSE)
        return;
    if (room > rx->len - 1)
        room = rx->len - 1; /* so two endpoints without state do not echo for ever */
    ngtcp2_cid_init(&cid, vc->dcid, vc->dcidlen);
    if (ngtcp2_crypto_generate_stateless_reset_token(token, quic->secret, sizeof quic->secret, &cid) != 0)
        return;
    wz_rng_fill(&quic->rng, random, sizeof random);
    answer(quic, rx, ngtcp2_pkt_write_stateless_reset(wz_udp_reserve(quic->udp), room, token, random, sizeof random));
    quic->stats.stateless_resets++;
}

/** CONNECTION_CLOSE in an Initial packet, without state. */
static void refuse(struct wzp_quic *quic, const struct received *rx, const ngtcp2_pkt_hd *hd, uint64_t code)
{
    answer(quic, rx,
           ngtcp2_crypto_write_connection_close(wz_udp_reserve(quic->udp), QUIC_PACKET_MAX, hd->version, &hd->scid,
                                                &hd->dcid, code, NULL, 0));
}

static void send_retry(struct wzp_quic *quic, const struct received *rx, const ngtcp2_pkt_hd *hd)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
    struct sockaddr_storage sa;
    socklen_t sa_len = wz_addr_to_sockaddr(rx->from, &sa);
    ngtcp2_cid scid;
    ngtcp2_ssize len;

    scid.datalen = QUIC_CID_BYTES;
    wz_rng_fill(&quic->rng, scid.data, QUIC_CID_BYTES);
    len = ngtcp2_crypto_generate_retry_token(token, quic->secret, sizeof quic->secret, hd->version,
                                             (ngtcp2_sockaddr *)&sa, sa_len, &scid, &hd->dcid, quic_now_ns(quic));
    if (len < 0)
        return;
    answer(quic, rx,
           ngtcp2_crypto_write_retry(wz_udp_reserve(quic->udp), QUIC_PACKET_MAX, hd->version, &hd->scid, &scid,
                                     &hd->dcid, token, (size_t)len));
    quic->stats.retried++;
}

/** -EAGAIN: no token of ours; -EBADMSG: a Retry token that is not valid (any more); 0: *ret_odcid is set. */
static int check_token(struct wzp_quic *quic, const struct received *rx, const ngtcp2_pkt_hd *hd, ngtcp2_cid *ret_odcid)
{
    struct wz_bytes token = quic_hd_token(hd);
    struct sockaddr_storage sa;
    socklen_t sa_len = wz_addr_to_sockaddr(rx->from, &sa);

    if (!token.len || token.data[0] != RETRY_TOKEN_MAGIC)
        return -EAGAIN;
    if (ngtcp2_crypto_verify_retry_token(ret_odcid, token.data, token.len, quic->secret, sizeof quic->secret,
                                         hd->version, (ngtcp2_sockaddr *)&sa, sa_len, &hd->dcid, RETRY_TOKEN_LIFE,
                                         quic_now_ns(quic)) != 0)
        return -EBADMSG;
    return 0;
}

/** A client's first packet. Returns the new connection, or NULL when it was answered or dropped. */
static struct wzp_quic_conn *accept_client(struct wzp_quic *quic, const struct received *rx)
{
    struct wzp_quic_conn *conn;
    ngtcp2_pkt_hd hd;
    ngtcp2_cid odcid;
    int token;

    if (ngtcp2_accept(&hd, rx->data, rx->len) != 0) {
        quic->stats.bad_packets++;
        return NULL;
    }
    if (!quic->tls.server_cred)
        return NULL; /* a client only: silence, as if nobody were here */
    if (!quic->accepting || quic->accepted_now >= quic->max_connections) {
        quic->stats.refused_full++;
        refuse(quic, rx, &hd, NGTCP2_CONNECTION_REFUSED);
        return NULL;
    }
    token = check_token(quic, rx, &hd, &odcid);
    if (token == -EBADMSG) {
        refuse(quic, rx, &hd, NGTCP2_INVALID_TOKEN);
        return NULL;
    }
    if (token == -EAGAIN && quic->handshakes_now >= quic->max_handshakes) {
        send_retry(quic, rx, &hd);
        return NULL;
    }
    if (quic_conn_new(&conn, quic, NULL, &hd, token == 0 ? &odcid : NULL, rx->from, rx->local) < 0)
        return NULL;
    wzp_quic_conn_set_handlers(conn, &quic->handlers, quic->arg);
    conn->counted = true;
    quic->accepted_now++;
    quic->handshakes_now++;
    return conn;
}

static struct quic_cid *find_cid(const struct wz_hash *map, struct wz_bytes id)
{
    struct wz_hash_node *node = wz_hash_find(map, id);

    return node ? wz_container_of(node, struct quic_cid, node) : NULL;
}

static struct wzp_quic_conn *find_conn(struct wzp_quic *quic, struct wz_bytes id)
{
    if (!quic->last_cid || !wz_bytes_equal(id, wz_bytes(quic->last_cid->data, quic->last_cid->len)))
        quic->last_cid = find_cid(&quic->cids, id);
    return quic->last_cid ? quic->last_cid->conn : NULL;
}

/** Whose peer says by this packet that it has lost its state? */
static struct wzp_quic_conn *find_reset_conn(const struct wzp_quic *quic, const struct received *rx)
{
    const struct quic_cid *token;

    if (rx->len < STATELESS_RESET_MIN)
        return NULL;
    token = find_cid(&quic->tokens,
                     wz_bytes(rx->data + rx->len - NGTCP2_STATELESS_RESET_TOKENLEN, NGTCP2_STATELESS_RESET_TOKENLEN));
    return token ? token->conn : NULL;
}

static void on_quic_packet(struct wzp_quic *quic, const struct received *rx)
{
    struct wzp_quic_conn *conn;
    ngtcp2_version_cid vc;
    int err = ngtcp2_pkt_decode_version_cid(&vc, rx->data, rx->len, QUIC_CID_BYTES);

    if (err == NGTCP2_ERR_VERSION_NEGOTIATION && quic->tls.server_cred) {
        send_version_negotiation(quic, rx, &vc);
        return;
    }
    if (err) {
        quic->stats.bad_packets++;
        return;
    }
    conn = find_conn(quic, wz_bytes(vc.dcid, vc.dcidlen));
    if (!conn && (rx->data[0] & 0x80))
        conn = accept_client(quic, rx);
    else if (!conn && !(conn = find_reset_conn(quic, rx)))
        send_stateless_reset(quic, rx, &vc);
    if (!conn)
        return;
    if (conn->state == QUIC_CONN_CLOSED)
        quic_conn_answer_closed(conn);
    else
        quic_conn_read(conn, rx->data, rx->len, rx->from, rx->local);
}

void quic_on_packet(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    struct wzp_quic *quic = arg;
    struct received rx = { .data = data, .len = len, .from = from, .local = local };

    if (!len)
        return; /* ngtcp2 insists on a first byte */
    if (quic_is_stun(wz_bytes(data, len))) {
        quic->stats.stun_packets++;
        if (quic->stun)
            quic->stun(quic->stun_arg, wz_bytes(data, len), from, local);
        return;
    }
    on_quic_packet(quic, &rx);
    if (++quic->rx_since_flush >= RX_BEFORE_FLUSH)
        quic_flush_dirty(quic);
}
