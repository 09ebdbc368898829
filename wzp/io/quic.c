/* See quic.h and quic_internal.h. This file: the endpoint. */
#include "wzp/io/quic.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>

#include "wzp/io/quic_internal.h"

#define DEFAULT_MAX_CONNECTIONS 20000u
#define DEFAULT_MAX_HANDSHAKES  256u
#define DEFAULT_IDLE_MS         30000u
#define DEFAULT_KEEPALIVE_MS    5000u
#define DEFAULT_HANDSHAKE_MS    10000u
/** Room for bursts of many connections; a kernel with a lower limit gives what it has. */
#define SOCKET_BUFFER_BYTES (4 * 1024 * 1024)

/* ---- writing ---- */

void quic_mark_dirty(struct wzp_quic_conn *conn)
{
    struct wzp_quic *quic = conn->quic;

    if (conn->state == QUIC_CONN_CLOSED || !wz_list_is_empty(&conn->dirty_node))
        return;
    wz_list_append(&quic->dirty, &conn->dirty_node);
    wz_flush_request(&quic->flush);
}

void quic_flush_dirty(struct wzp_quic *quic)
{
    quic->rx_since_flush = 0;
    while (!wz_list_is_empty(&quic->dirty)) {
        struct wzp_quic_conn *conn = wz_container_of(quic->dirty.next, struct wzp_quic_conn, dirty_node);
        wz_list_remove(&conn->dirty_node);
        quic_conn_write(conn);
    }
}

static void on_flush(void *arg)
{
    struct wzp_quic *quic = arg;

    quic_flush_dirty(quic);
    wz_udp_flush(quic->udp);
}

/* ---- life ---- */

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value ? value : fallback;
}

/** With a lasting key the secret lasts too, so that a restarted relay resets the connections of its former life. */
static int make_secret(struct wzp_quic *quic, struct wz_bytes key_der)
{
    static const char context[] = "wzp quic secret";

    if (!key_der.len) {
        wz_rng_fill(&quic->rng, quic->secret, sizeof quic->secret);
        return 0;
    }
    return gnutls_hmac_fast(GNUTLS_MAC_SHA256, key_der.data, key_der.len, context, sizeof context - 1, quic->secret)
               ? -EINVAL
               : 0;
}

static void take_config(struct wzp_quic *quic, struct wz_loop *loop, const struct wzp_quic_config *config)
{
    quic->loop = loop;
    quic->rng = *config->rng;
    quic->handlers = config->handlers;
    quic->arg = config->arg;
    quic->stun = config->stun;
    quic->stun_arg = config->stun_arg;
    quic->accepting = config->accept;
    quic->max_connections = or_default(config->max_connections, DEFAULT_MAX_CONNECTIONS);
    quic->max_handshakes = or_default(config->max_handshakes, DEFAULT_MAX_HANDSHAKES);
    quic->idle_ms = or_default(config->idle_ms, DEFAULT_IDLE_MS);
    quic->keepalive_ms = or_default(config->keepalive_ms, DEFAULT_KEEPALIVE_MS);
    quic->handshake_ms = or_default(config->handshake_ms, DEFAULT_HANDSHAKE_MS);
    quic_memory_init(&quic->memory);
    wz_list_init(&quic->conns);
    wz_list_init(&quic->dirty);
    wz_flush_init(&quic->flush, loop, on_flush, quic);
}

int wzp_quic_new(struct wzp_quic **ret, struct wz_loop *loop, const struct wzp_quic_config *config)
{
    struct wzp_quic *quic = calloc(1, sizeof *quic);
    struct wz_udp_config udp = {
        .bind = config->bind,
        .fd = -1,
        .want_gro = true,
        .dont_fragment = true,
        .buffer_bytes = SOCKET_BUFFER_BYTES,
        .packet = quic_on_packet,
        .arg = quic,
    };
    int err;

    if (!quic)
        return -ENOMEM;
    take_config(quic, loop, config);
    err = make_secret(quic, config->key_der);
    if (!err)
        err = wz_hash_init(&quic->cids, &quic->rng);
    if (!err)
        err = wz_hash_init(&quic->tokens, &quic->rng);
    if (!err)
        err = quic_tls_init(&quic->tls, config->accept, config->cert_der, config->key_der);
    if (!err)
        err = wz_udp_new(&quic->udp, loop, &udp);
    if (err) {
        wzp_quic_free(quic);
        return err;
    }
    *ret = quic;
    return 0;
}

void wzp_quic_free(struct wzp_quic *quic)
{
    struct wz_list *pos, *tmp;

    if (!quic)
        return;
    quic->accepting = false;
    quic->stopping = true; /* closed() must not dial again */
    /* closed() may close others, never free them: each list node stays until the second round. */
    wz_list_foreach (pos, tmp, &quic->conns)
        wzp_quic_close(wz_container_of(pos, struct wzp_quic_conn, node), "shutdown");
    wz_list_foreach (pos, tmp, &quic->conns)
        quic_conn_free(wz_container_of(pos, struct wzp_quic_conn, node));
    wz_flush_cancel(&quic->flush);
    wz_udp_free(quic->udp); /* flushes */
    quic_pool_done(&quic->pool);
    quic_memory_done(&quic->memory);
    quic_tls_done(&quic->tls);
    wz_hash_done(&quic->cids);
    wz_hash_done(&quic->tokens);
    gnutls_memset(quic->secret, 0, sizeof quic->secret);
    free(quic);
}

int wzp_quic_connect(struct wzp_quic *quic, const struct wzp_quic_dial *dial, struct wzp_quic_conn **ret)
{
    struct wz_addr local = wz_udp_local(quic->udp);
    struct wzp_quic_conn *conn;
    int err;

    if (quic->stopping || dial->to.family == WZ_ADDR_NONE || !dial->to.port ||
        (dial->sni && !quic_sni_is_legal(wz_bytes_str(dial->sni))))
        return -EINVAL;
    err = quic_conn_new(&conn, quic, dial, NULL, NULL, &dial->to, &local);
    if (err)
        return err;
    wzp_quic_conn_set_handlers(conn, dial->handlers, dial->arg);
    conn->announced = true;
    quic->stats.dialled++;
    quic_mark_dirty(conn); /* the first packet leaves with this turn's flush */
    *ret = conn;
    return 0;
}

/* ---- the rest ---- */

struct wz_addr wzp_quic_local(const struct wzp_quic *quic)
{
    return wz_udp_local(quic->udp);
}

const struct wzp_quic_stats *wzp_quic_stats(const struct wzp_quic *quic)
{
    return &quic->stats;
}

int wzp_quic_send_raw(struct wzp_quic *quic, struct wz_bytes packet, const struct wz_addr *to)
{
    return wz_udp_send(quic->udp, packet.data, packet.len, to, NULL);
}

void wzp_quic_stop_accepting(struct wzp_quic *quic)
{
    quic->accepting = false;
}
