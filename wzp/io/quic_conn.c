/* One connection: set-up, the ngtcp2 callbacks that are not about streams or datagrams, its timer, accessors. */
#include "wzp/io/quic_internal.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>

#define DEFAULT_INITIAL_RTT_MS 300u
#define MAX_ACK_DELAY_MS       50u
/** A server's own keep-alive waits longer than a client's, so that one PING an interval serves both: the client's, which
 *  also keeps its NAT open. */
#define SERVER_KEEPALIVE_PERCENT 150u

/* ---- ids ---- */

int quic_conn_add_cid(struct wzp_quic_conn *conn, struct wz_hash *map, const uint8_t *data, size_t len)
{
    struct quic_cid *cid;
    int err;

    if (len > sizeof cid->data)
        return -EINVAL;
    cid = calloc(1, sizeof *cid);
    if (!cid)
        return -ENOMEM;
    cid->conn = conn;
    cid->map = map;
    cid->len = (uint8_t)len;
    memcpy(cid->data, data, len);
    err = wz_hash_insert(map, &cid->node, wz_bytes(cid->data, len));
    if (err) {
        free(cid);
        return err;
    }
    wz_list_append(&conn->cids, &cid->of_conn);
    return 0;
}

static void cid_free(struct quic_cid *cid)
{
    if (cid->conn->quic->last_cid == cid)
        cid->conn->quic->last_cid = NULL;
    wz_hash_remove(cid->map, &cid->node);
    wz_list_remove(&cid->of_conn);
    free(cid);
}

static int on_new_cid(ngtcp2_conn *qc, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user_data)
{
    struct wzp_quic_conn *conn = user_data;
    const struct wzp_quic *quic = conn->quic;

    (void)qc;
    wz_rng_fill(&quic->rng, cid->data, len);
    cid->datalen = len;
    if (quic_conn_add_cid(conn, &conn->quic->cids, cid->data, len) < 0 ||
        ngtcp2_crypto_generate_stateless_reset_token(token, quic->secret, sizeof quic->secret, cid) != 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static void forget_cid(struct wzp_quic_conn *conn, const struct wz_hash *map, struct wz_bytes id)
{
    struct wz_hash_node *node = wz_hash_find(map, id);
    struct quic_cid *cid = node ? wz_container_of(node, struct quic_cid, node) : NULL;

    if (cid && cid->conn == conn)
        cid_free(cid);
}

static int on_remove_cid(ngtcp2_conn *qc, const ngtcp2_cid *cid, void *user_data)
{
    struct wzp_quic_conn *conn = user_data;

    (void)qc;
    forget_cid(conn, &conn->quic->cids, wz_bytes(cid->data, cid->datalen));
    return 0;
}

/** The peer's ids come and go, and with them the tokens of its stateless resets. */
static int on_peer_cid_status(ngtcp2_conn *qc, quic_cid_status status, uint64_t seq, const ngtcp2_cid *cid,
                              const uint8_t *token, void *user_data)
{
    struct wzp_quic_conn *conn = user_data;
    struct wz_hash *tokens = &conn->quic->tokens;

    (void)qc;
    (void)seq;
    (void)cid;
    if (!token)
        return 0;
    if (status == NGTCP2_CONNECTION_ID_STATUS_TYPE_DEACTIVATE)
        forget_cid(conn, tokens, wz_bytes(token, NGTCP2_STATELESS_RESET_TOKENLEN));
    else /* failing costs a quick end: the idle timeout finds out too */
        (void)quic_conn_add_cid(conn, tokens, token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

/* ---- ngtcp2 callbacks ---- */

static void on_rand(uint8_t *out, size_t len, const ngtcp2_rand_ctx *ctx)
{
    wz_rng_fill(ctx->native_handle, out, len);
}

static int on_handshake_completed(ngtcp2_conn *qc, void *user_data)
{
    struct wzp_quic_conn *conn = user_data;
    struct wzp_quic *quic = conn->quic;

    if (conn->state != QUIC_CONN_HANDSHAKE || conn->close_wanted)
        return 0;
    conn->state = QUIC_CONN_UP;
    if (conn->counted) {
        quic->handshakes_now--;
        quic->stats.accepted++;
    }
    ngtcp2_conn_set_keep_alive_timeout(qc, quic->keepalive_ms * (conn->server ? SERVER_KEEPALIVE_PERCENT : 100u) *
                                               NGTCP2_MILLISECONDS / 100u);
    quic_datagrams_refresh(conn);
    conn->announced = true;
    quic_mark_dirty(conn);
    if (conn->handlers.connected)
        conn->handlers.connected(conn->arg, conn);
    return 0;
}

static int on_stateless_reset(ngtcp2_conn *qc, const ngtcp2_pkt_stateless_reset *sr, void *user_data)
{
    struct wzp_quic_conn *conn = user_data;

    (void)qc;
    (void)sr;
    conn->reset_seen = true;
    return 0;
}

static void set_callbacks(ngtcp2_callbacks *cb)
{
    *cb = (ngtcp2_callbacks){
        .client_initial = ngtcp2_crypto_client_initial_cb,
        .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
        .rand = on_rand,
        .get_new_connection_id = on_new_cid,
        .remove_connection_id = on_remove_cid,
        .dcid_status = on_peer_cid_status,
        .handshake_completed = on_handshake_completed,
        .recv_stateless_reset = on_stateless_reset,
    };
    quic_streams_set_callbacks(cb);
    quic_datagrams_set_callbacks(cb);
}

/* ---- set-up ---- */

static void set_settings(ngtcp2_settings *settings, struct wzp_quic *quic, unsigned initial_rtt_ms)
{
    ngtcp2_settings_default(settings);
    settings->initial_ts = quic_now_ns(quic);
    settings->initial_rtt = (initial_rtt_ms ? initial_rtt_ms : DEFAULT_INITIAL_RTT_MS) * NGTCP2_MILLISECONDS;
    settings->max_tx_udp_payload_size = QUIC_PACKET_MAX;
    settings->ack_thresh = QUIC_ACK_EVERY_PACKETS;
    settings->handshake_timeout = quic->handshake_ms * NGTCP2_MILLISECONDS;
    settings->rand_ctx.native_handle = &quic->rng;
}

static void set_params(ngtcp2_transport_params *params, const struct wzp_quic *quic)
{
    ngtcp2_transport_params_default(params);
    params->initial_max_stream_data_bidi_local = QUIC_MAX_STREAM_DATA;
    params->initial_max_stream_data_bidi_remote = QUIC_MAX_STREAM_DATA;
    params->initial_max_stream_data_uni = QUIC_MAX_STREAM_DATA;
    params->initial_max_data = QUIC_MAX_DATA;
    params->initial_max_streams_bidi = QUIC_MAX_STREAMS;
    params->initial_max_streams_uni = QUIC_MAX_STREAMS;
    params->max_idle_timeout = quic->idle_ms * NGTCP2_MILLISECONDS;
    params->max_datagram_frame_size = QUIC_MAX_DATAGRAM;
    params->active_connection_id_limit = QUIC_ACTIVE_CIDS;
    params->max_ack_delay = MAX_ACK_DELAY_MS * NGTCP2_MILLISECONDS;
}

static ngtcp2_path path_of(struct wzp_quic_conn *conn)
{
    return (ngtcp2_path){
        .local = { .addr = (ngtcp2_sockaddr *)&conn->local_sa, .addrlen = conn->sa_len },
        .remote = { .addr = (ngtcp2_sockaddr *)&conn->remote_sa, .addrlen = conn->sa_len },
    };
}

static void random_cid(const struct wzp_quic *quic, ngtcp2_cid *ret)
{
    ret->datalen = QUIC_CID_BYTES;
    wz_rng_fill(&quic->rng, ret->data, QUIC_CID_BYTES);
}

static int make_server(struct wzp_quic_conn *conn, const ngtcp2_callbacks *cb, ngtcp2_settings *settings,
                       ngtcp2_transport_params *params, const ngtcp2_pkt_hd *hd, const ngtcp2_cid *retry_odcid)
{
    struct wzp_quic *quic = conn->quic;
    ngtcp2_path path = path_of(conn);
    ngtcp2_cid scid;
    int err;

    random_cid(quic, &scid);
    quic_params_original_dcid(params, retry_odcid ? retry_odcid : &hd->dcid);
    if (retry_odcid) {
        params->retry_scid = hd->dcid;
        params->retry_scid_present = 1;
        quic_settings_token(settings, hd);
    }
    if (ngtcp2_crypto_generate_stateless_reset_token(params->stateless_reset_token, quic->secret, sizeof quic->secret,
                                                     &scid) != 0)
        return -ENOMEM;
    params->stateless_reset_token_present = 1;
    if (ngtcp2_conn_server_new(&conn->qc, &hd->scid, &scid, &path, hd->version, cb, settings, params,
                               &conn->quic->memory.mem, conn) != 0)
        return -ENOMEM;
    err = quic_conn_add_cid(conn, &quic->cids, scid.data, scid.datalen);
    if (!err) /* the client uses its own choice until it has seen ours */
        err = quic_conn_add_cid(conn, &quic->cids, hd->dcid.data, hd->dcid.datalen);
    return err;
}

static int make_client(struct wzp_quic_conn *conn, const ngtcp2_callbacks *cb, const ngtcp2_settings *settings,
                       const ngtcp2_transport_params *params)
{
    ngtcp2_path path = path_of(conn);
    ngtcp2_cid scid, dcid;

    random_cid(conn->quic, &scid);
    random_cid(conn->quic, &dcid);
    if (ngtcp2_conn_client_new(&conn->qc, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, cb, settings, params,
                               &conn->quic->memory.mem, conn) != 0)
        return -ENOMEM;
    return quic_conn_add_cid(conn, &conn->quic->cids, scid.data, scid.datalen);
}

static void on_timer(void *arg);

static void init_addresses(struct wzp_quic_conn *conn, const struct wz_addr *remote, const struct wz_addr *local)
{
    conn->remote = wz_addr_unmap(*remote);
    conn->local = wz_addr_unmap(*local);
    if (conn->local.family != conn->remote.family) /* a dual-stack socket's "any"; the first packet tells more */
        conn->local = (struct wz_addr){ .family = conn->remote.family, .port = local->port };
    conn->sa_len = wz_addr_to_sockaddr(&conn->remote, &conn->remote_sa);
    (void)wz_addr_to_sockaddr(&conn->local, &conn->local_sa);
}

int quic_conn_new(struct wzp_quic_conn **ret, struct wzp_quic *quic, const struct wzp_quic_dial *dial,
                  const ngtcp2_pkt_hd *hd, const ngtcp2_cid *retry_odcid, const struct wz_addr *remote,
                  const struct wz_addr *local)
{
    struct wzp_quic_conn *conn = calloc(1, sizeof *conn);
    ngtcp2_callbacks cb;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    int err;

    if (!conn)
        return -ENOMEM;
    conn->quic = quic;
    conn->server = hd != NULL;
    wz_list_append(&quic->conns, &conn->node);
    wz_list_init(&conn->dirty_node);
    wz_list_init(&conn->cids);
    quic_streams_init(conn);
    wz_timer_init(&conn->timer, quic->loop, on_timer, conn);
    init_addresses(conn, remote, local);
    set_callbacks(&cb);
    set_settings(&settings, quic, dial ? dial->initial_rtt_ms : 0);
    set_params(&params, quic);
    err = quic_tls_session_init(&conn->tls, &quic->tls, conn->server, dial ? dial->sni : NULL);
    if (!err)
        err = conn->server ? make_server(conn, &cb, &settings, &params, hd, retry_odcid)
                           : make_client(conn, &cb, &settings, &params);
    if (err) {
        quic_conn_free(conn);
        return err;
    }
    conn->tls.qc = conn->qc;
    ngtcp2_conn_set_tls_native_handle(conn->qc, conn->tls.session);
    *ret = conn;
    return 0;
}

void quic_conn_free(struct wzp_quic_conn *conn)
{
    struct wz_list *pos, *tmp;

    wz_timer_cancel(&conn->timer);
    wz_list_remove(&conn->dirty_node);
    wz_list_remove(&conn->node);
    quic_datagrams_free(conn);
    quic_streams_free(conn);
    if (conn->qc)
        ngtcp2_conn_del(conn->qc);
    quic_tls_session_done(&conn->tls);
    wz_list_foreach (pos, tmp, &conn->cids)
        cid_free(wz_container_of(pos, struct quic_cid, of_conn));
    free(conn->close_packet);
    free(conn);
}

/* ---- events ---- */

void quic_conn_enter(struct wzp_quic_conn *conn)
{
    conn->busy++;
}

void quic_conn_leave(struct wzp_quic_conn *conn)
{
    if (--conn->busy > 0 || conn->state == QUIC_CONN_CLOSED)
        return;
    if (conn->fatal)
        quic_conn_fail(conn, conn->fatal);
    else if (conn->close_wanted)
        quic_conn_close_now(conn);
}

/** The path a packet came by, as ngtcp2 should see it. A client has one local address, whatever the kernel says. */
static ngtcp2_path received_path(struct wzp_quic_conn *conn, const struct wz_addr *from, const struct wz_addr *local,
                                 struct sockaddr_storage *from_sa, struct sockaddr_storage *local_sa)
{
    ngtcp2_path path = path_of(conn);

    if (!wz_addr_equal(from, &conn->remote)) {
        path.remote.addr = (ngtcp2_sockaddr *)from_sa;
        path.remote.addrlen = wz_addr_to_sockaddr(from, from_sa);
    }
    if (conn->server && !wz_addr_equal(local, &conn->local)) {
        path.local.addr = (ngtcp2_sockaddr *)local_sa;
        path.local.addrlen = wz_addr_to_sockaddr(local, local_sa);
    }
    return path;
}

/** Follow ngtcp2 when it moved to another path (the client's NAT gave it a new port, or it changed networks). */
static void refresh_addresses(struct wzp_quic_conn *conn)
{
    const ngtcp2_path *path = ngtcp2_conn_get_path(conn->qc);

    conn->remote = wz_addr_from_sockaddr(path->remote.addr);
    if (conn->server)
        conn->local = wz_addr_from_sockaddr(path->local.addr);
    conn->sa_len = wz_addr_to_sockaddr(&conn->remote, &conn->remote_sa);
    if (conn->server)
        (void)wz_addr_to_sockaddr(&conn->local, &conn->local_sa);
}

void quic_conn_read(struct wzp_quic_conn *conn, const uint8_t *data, size_t len, const struct wz_addr *from,
                    const struct wz_addr *local)
{
    struct sockaddr_storage from_sa, local_sa;
    ngtcp2_path path = received_path(conn, from, local, &from_sa, &local_sa);
    const ngtcp2_pkt_info pi = { 0 };
    bool moved = path.remote.addr == (ngtcp2_sockaddr *)&from_sa || path.local.addr == (ngtcp2_sockaddr *)&local_sa;
    uint64_t datagrams = conn->stats.datagrams_rx;
    int err;

    quic_conn_enter(conn);
    if (!conn->server)
        conn->local = *local;
    err = ngtcp2_conn_read_pkt(conn->qc, &path, &pi, data, len, quic_now_ns(conn->quic));
    if (err)
        conn->fatal = err;
    else if (moved)
        quic_mark_dirty(conn); /* the new path is validated at once */
    else
        quic_conn_write_after_read(conn, conn->stats.datagrams_rx != datagrams);
    if (moved)
        refresh_addresses(conn);
    quic_conn_leave(conn);
}

static void on_timer(void *arg)
{
    struct wzp_quic_conn *conn = arg;
    ngtcp2_tstamp now = quic_now_ns(conn->quic);
    uint64_t due_us;
    int err = 0;

    if (conn->state == QUIC_CONN_CLOSED) {
        quic_conn_free(conn);
        return;
    }
    due_us = quic_conn_deadline_us(conn);
    if (due_us > wz_loop_now_us(conn->quic->loop)) {
        wz_timer_set(&conn->timer, due_us); /* the deadline had moved back meanwhile */
        return;
    }
    quic_conn_enter(conn);
    err = ngtcp2_conn_handle_expiry(conn->qc, now);
    if (err)
        conn->fatal = err;
    else
        quic_mark_dirty(conn);
    quic_conn_leave(conn);
}

/* ---- accessors ---- */

void wzp_quic_conn_set_handlers(struct wzp_quic_conn *conn, const struct wzp_quic_handlers *handlers, void *arg)
{
    conn->handlers = handlers ? *handlers : (struct wzp_quic_handlers){ 0 };
    conn->arg = arg;
}

const char *wzp_quic_conn_sni(const struct wzp_quic_conn *conn)
{
    return conn->tls.sni;
}

struct wz_addr wzp_quic_conn_remote(const struct wzp_quic_conn *conn)
{
    return conn->remote;
}

struct wz_addr wzp_quic_conn_local(const struct wzp_quic_conn *conn)
{
    return conn->local;
}

bool wzp_quic_conn_is_server(const struct wzp_quic_conn *conn)
{
    return conn->server;
}

bool wzp_quic_conn_is_up(const struct wzp_quic_conn *conn)
{
    return conn->state == QUIC_CONN_UP && quic_conn_is_open(conn);
}

bool wzp_quic_conn_peer_cert_hash(const struct wzp_quic_conn *conn, uint8_t ret[static 32])
{
    const gnutls_datum_t *cert;
    unsigned count = 0;

    if (conn->state != QUIC_CONN_UP || conn->server)
        return false;
    cert = gnutls_certificate_get_peers(conn->tls.session, &count);
    return cert && count > 0 && gnutls_hash_fast(GNUTLS_DIG_SHA256, cert->data, cert->size, ret) == 0;
}

int wzp_quic_conn_export(const struct wzp_quic_conn *conn, const char *label, uint8_t *ret, size_t len)
{
    if (conn->state != QUIC_CONN_UP)
        return -EAGAIN;
    return gnutls_prf_rfc5705(conn->tls.session, strlen(label), label, 0, NULL, len, (char *)ret) == 0 ? 0 : -EINVAL;
}

void wzp_quic_conn_stats(const struct wzp_quic_conn *conn, struct wzp_quic_conn_stats *ret)
{
    *ret = conn->stats;
    if (conn->qc)
        quic_round_trip(conn->qc, &ret->rtt_us, &ret->min_rtt_us);
}
