#define LOG_MODULE "relay"
#include "wzp/io/relay_server.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "wzp/base/hash.h"
#include "wzp/base/list.h"
#include "wzp/io/relay_tap.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"

/** What was sent right before a close gets this long to arrive. */
#define LINGER_US 100000
/** Accepted connections beyond the relay's own limits: pings, handshakes, connections going away. */
#define SPARE_CONNECTIONS     1024
#define DEFAULT_REGISTRATIONS 20000
#define DEFAULT_SESSIONS      100

struct server_conn {
    struct wz_hash_node by_id;
    uint64_t id;
    struct wzp_relay_server *server;
    struct wzp_quic_conn *quic;  /* NULL once closed */
    struct wzp_relay_port *port; /* NULL when the core could not take the connection */
    uint64_t sent_us;            /* when something was last sent; 0: never */
    struct wz_timer linger;
    char reason[64];        /* to close with when linger fires */
    struct wz_list gone;    /* closed, the core has not heard yet */
    struct wz_list refused; /* its token could not be asked about, the core has not heard yet */
};

struct wzp_relay_server {
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct wzp_relay *relay;
    struct wz_addr local;
    char tls_fingerprint[96];
    uint64_t last_id;
    struct wz_hash conns;
    struct wz_timer tick, drained_soon;
    void (*drained)(void *arg);
    void *drained_arg;

    /* Closing a connection calls us back at once. The effects being applied live until the next step, so the
     * core hears of it only afterwards. */
    struct wz_list gone, refused;
    bool applying, stopping;
    struct wzp_relay_tap tap;
    int (*check_token)(void *arg, uint64_t conn, struct wz_bytes token);
    void *arg;

    /* Held during a step and while counters are read; never on the datagram path: its counters are atomic. */
    pthread_mutex_t step_lock;
};

static struct server_conn *find_conn(const struct wzp_relay_server *server, uint64_t id)
{
    struct wz_hash_node *node = wz_hash_find(&server->conns, wz_bytes(&id, sizeof id));
    return node ? wz_container_of(node, struct server_conn, by_id) : NULL;
}

static void free_conn(struct server_conn *conn)
{
    wz_hash_remove(&conn->server->conns, &conn->by_id);
    wz_list_remove(&conn->gone);
    wz_list_remove(&conn->refused);
    wz_timer_cancel(&conn->linger);
    free(conn);
}

/* ---- effects ---- */

static void linger_over(void *arg)
{
    struct server_conn *conn = arg;
    if (conn->quic)
        wzp_quic_close(conn->quic, conn->reason);
}

static void close_conn(struct server_conn *conn, const char *reason)
{
    const uint64_t now_us = wz_loop_now_us(conn->server->loop);
    if (conn->sent_us == 0 || now_us - conn->sent_us >= LINGER_US) {
        wzp_quic_close(conn->quic, reason);
        return;
    }
    const size_t len = strnlen(reason, sizeof conn->reason - 1);
    memcpy(conn->reason, reason, len);
    conn->reason[len] = '\0';
    wz_timer_set(&conn->linger, conn->sent_us + LINGER_US);
}

static void send_on(struct server_conn *conn, const struct wzp_relay_effect *effect)
{
    conn->sent_us = wz_loop_now_us(conn->server->loop);
    const int err = effect->kind == WZP_RELAY_SEND_UNI ? wzp_quic_send_uni(conn->quic, effect->body)
                                                       : wzp_quic_send_message(conn->quic, effect->body);
    if (err == -ENOBUFS) {
        LOG_WARN("conn.too_slow", "conn=%llu", (unsigned long long)conn->id);
        wzp_quic_close(conn->quic, "too slow");
    } /* -ENOTCONN: it is closing, closed() will tell */
}

static void ask_about_token(struct server_conn *conn, struct wz_bytes token)
{
    struct wzp_relay_server *server = conn->server;
    const int err = server->check_token ? server->check_token(server->arg, conn->id, token) : -ENOSYS;
    if (!err)
        return;
    LOG_DEBUG("token.not_asked", "conn=%llu error=%d", (unsigned long long)conn->id, err);
    wz_list_remove(&conn->refused);
    wz_list_append(&server->refused, &conn->refused);
}

static void write_log(const struct wzp_relay_effect *effect)
{
    static const enum wz_log_level level[] = {
        [WZP_RELAY_LOG_DEBUG] = WZ_LOG_DEBUG, [WZP_RELAY_LOG_INFO] = WZ_LOG_INFO, [WZP_RELAY_LOG_WARN] = WZ_LOG_WARN
    };
    WZ_LOG(level[effect->level], effect->reason, "%s", effect->text);
}

static void apply(struct wzp_relay_server *server, const struct wzp_relay_effects *effects)
{
    server->applying = true;
    for (size_t i = 0; i < effects->count; i++) {
        const struct wzp_relay_effect *effect = &effects->item[i];
        if (effect->kind == WZP_RELAY_LOG) {
            write_log(effect);
            continue;
        }
        struct server_conn *conn = find_conn(server, effect->conn);
        if (!conn || !conn->quic)
            continue;
        if (effect->kind == WZP_RELAY_CLOSE)
            close_conn(conn, effect->reason);
        else if (effect->kind == WZP_RELAY_CHECK_TOKEN)
            ask_about_token(conn, effect->body);
        else
            send_on(conn, effect);
    }
    server->applying = false;
}

/** Tell the core of connections that closed meanwhile. */
static void tell_gone(struct wzp_relay_server *server)
{
    while (!wz_list_is_empty(&server->gone)) {
        struct server_conn *conn = wz_container_of(server->gone.next, struct server_conn, gone);
        const uint64_t id = conn->id;
        struct wzp_relay_effects effects;
        free_conn(conn);
        pthread_mutex_lock(&server->step_lock);
        (void)wzp_relay_closed(server->relay, id, wz_loop_now_us(server->loop),
                               &effects); /* lost effects: timers help */
        pthread_mutex_unlock(&server->step_lock);
        apply(server, &effects);
    }
}

/** An effect that is lost here leaves a connection waiting, which its timer ends. */
static void tell_verdict(struct wzp_relay_server *server, uint64_t conn, bool is_valid, const char *fingerprint,
                         const char *alias)
{
    struct wzp_relay_effects effects;
    pthread_mutex_lock(&server->step_lock);
    (void)wzp_relay_token_checked(server->relay, conn, is_valid, fingerprint, alias, wz_loop_now_us(server->loop),
                                  &effects);
    pthread_mutex_unlock(&server->step_lock);
    apply(server, &effects);
}

/** The end of every entry from outside: tell the core what happened while its effects were applied, rearm timers. */
static void settle(struct wzp_relay_server *server)
{
    while (!wz_list_is_empty(&server->gone) || !wz_list_is_empty(&server->refused)) {
        tell_gone(server);
        if (!wz_list_is_empty(&server->refused)) {
            struct server_conn *conn = wz_container_of(server->refused.next, struct server_conn, refused);
            wz_list_remove(&conn->refused);
            tell_verdict(server, conn->id, false, NULL, NULL);
        }
    }
    wz_timer_set(&server->tick, wzp_relay_deadline_us(server->relay));
    if (server->drained && wzp_relay_is_drained(server->relay))
        wz_timer_set(&server->drained_soon, wz_loop_now_us(server->loop));
}

/** After a step that conn caused. */
static void finish(struct server_conn *conn, int err, const struct wzp_relay_effects *effects)
{
    struct wzp_relay_server *server = conn->server;
    const uint64_t id = conn->id;
    apply(server, effects);
    struct server_conn *still = find_conn(server, id);
    if (err && still && still->quic) {
        LOG_WARN("conn.failed", "conn=%llu error=%d", (unsigned long long)id, err);
        server->applying = true;
        wzp_quic_close(still->quic, "");
        server->applying = false;
    }
    settle(server);
}

/* ---- QUIC ---- */

static void on_message(void *arg, struct wzp_quic_conn *quic, struct wz_bytes body)
{
    struct server_conn *conn = arg;
    struct wzp_relay_server *server = conn->server;
    struct wzp_relay_effects effects;
    (void)quic;
    pthread_mutex_lock(&server->step_lock);
    const int err = wzp_relay_message(server->relay, conn->id, body, wz_loop_now_us(server->loop), &effects);
    pthread_mutex_unlock(&server->step_lock);
    finish(conn, err, &effects);
}

static void on_datagram(void *arg, struct wzp_quic_conn *quic, struct wz_bytes data)
{
    const struct server_conn *conn = arg;
    struct wzp_relay_server *server = conn->server;
    const uint64_t now_us = wz_loop_now_us(server->loop);
    void *const *handles;
    if (!conn->port)
        return;
    const size_t count = wzp_relay_route_from(server->relay, conn->port, data, now_us, &handles);
    if (server->tap.is_on)
        wzp_relay_tap_packet(&server->tap, wzp_quic_conn_sni(quic), conn->id, data, count, now_us);
    if (count > 0) /* the handles are what set_handle() was given; connections that cannot keep up drop and count */
        (void)wzp_quic_send_datagram_all((struct wzp_quic_conn *const *)handles, count, data);
    if (wzp_relay_is_due(server->relay))
        wz_timer_set(&server->tick, now_us);
}

static void on_closed(void *arg, struct wzp_quic_conn *quic, const struct wzp_quic_closed *why)
{
    struct server_conn *conn = arg;
    struct wzp_relay_server *server = conn->server;
    (void)quic;
    LOG_DEBUG("conn.closed", "conn=%llu code=%llu reason=\"%s\"", (unsigned long long)conn->id,
              (unsigned long long)why->code, why->reason);
    conn->quic = NULL;
    if (server->stopping) {
        free_conn(conn);
        return;
    }
    wz_list_append(&server->gone, &conn->gone);
    if (!server->applying)
        settle(server);
}

static const struct wzp_quic_handlers conn_handlers = {
    .message = on_message,
    .datagram = on_datagram,
    .closed = on_closed,
};

static void on_connected(void *arg, struct wzp_quic_conn *quic)
{
    struct wzp_relay_server *server = arg;
    struct server_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        goto refuse;
    conn->id = ++server->last_id;
    conn->server = server;
    conn->quic = quic;
    wz_list_init(&conn->gone);
    wz_list_init(&conn->refused);
    wz_timer_init(&conn->linger, server->loop, linger_over, conn);
    if (wz_hash_insert(&server->conns, &conn->by_id, wz_bytes(&conn->id, sizeof conn->id)) != 0)
        goto refuse;
    wzp_quic_conn_set_handlers(quic, &conn_handlers, conn);

    const struct wz_addr remote = wzp_quic_conn_remote(quic), local = wzp_quic_conn_local(quic);
    char text[WZ_ADDR_TEXT_MAX], sni[64];
    LOG_DEBUG("conn.connected", "conn=%llu remote=%s sni=%s", (unsigned long long)conn->id,
              wz_addr_format(&remote, text), wz_log_quote(wzp_quic_conn_sni(quic), sni, sizeof sni));
    struct wzp_relay_effects effects;
    pthread_mutex_lock(&server->step_lock);
    const int err = wzp_relay_connected(server->relay, conn->id, wzp_quic_conn_sni(quic), &remote, &local,
                                        wz_loop_now_us(server->loop), &effects);
    wzp_relay_set_handle(server->relay, conn->id, quic);
    conn->port = wzp_relay_port(server->relay, conn->id);
    pthread_mutex_unlock(&server->step_lock);
    finish(conn, err, &effects);
    return;
refuse:
    free(conn);
    wzp_quic_close(quic, "");
}

/* ---- timers ---- */

static void on_tick(void *arg)
{
    struct wzp_relay_server *server = arg;
    struct wzp_relay_effects effects;
    pthread_mutex_lock(&server->step_lock);
    (void)wzp_relay_tick(server->relay, wz_loop_now_us(server->loop), &effects); /* lost effects: peers' timers help */
    pthread_mutex_unlock(&server->step_lock);
    apply(server, &effects);
    settle(server);
}

static void on_drained(void *arg)
{
    struct wzp_relay_server *server = arg;
    void (*drained)(void *arg) = server->drained;
    server->drained = NULL;
    if (drained)
        drained(server->drained_arg);
}

/* ---- life ---- */

static int open_endpoint(struct wzp_relay_server *server, const struct wzp_relay_server_config *config)
{
    uint8_t *cert = NULL, *key = NULL;
    size_t cert_len, key_len;
    int err = wzp_relay_certificate(config->relay.seed, &cert, &cert_len, &key, &key_len);
    if (err)
        return err;
    wzp_tls_fingerprint(wz_bytes(cert, cert_len), server->tls_fingerprint);
    const unsigned registrations =
        config->relay.max_registrations ? config->relay.max_registrations : DEFAULT_REGISTRATIONS;
    const unsigned sessions = config->relay.max_sessions ? config->relay.max_sessions : DEFAULT_SESSIONS;
    const struct wzp_quic_config quic = {
        .bind = config->listen,
        .cert_der = wz_bytes(cert, cert_len),
        .key_der = wz_bytes(key, key_len),
        .accept = true,
        .max_handshakes = config->max_handshakes,
        .max_connections = registrations + sessions + SPARE_CONNECTIONS,
        .handlers = { .connected = on_connected },
        .arg = server,
        .rng = config->relay.rng,
    };
    err = wzp_quic_new(&server->quic, server->loop, &quic);
    explicit_bzero(key, key_len);
    free(key);
    free(cert);
    if (!err)
        server->local = wzp_quic_local(server->quic);
    return err;
}

int wzp_relay_server_new(struct wzp_relay_server **ret, struct wz_loop *loop,
                         const struct wzp_relay_server_config *config)
{
    struct wzp_relay_server *server = calloc(1, sizeof *server);
    if (!server)
        return -ENOMEM;
    server->loop = loop;
    server->check_token = config->check_token;
    server->arg = config->arg;
    wz_list_init(&server->gone);
    wz_list_init(&server->refused);
    wz_timer_init(&server->tick, loop, on_tick, server);
    wz_timer_init(&server->drained_soon, loop, on_drained, server);
    pthread_mutex_init(&server->step_lock, NULL);
    int err = wz_hash_init(&server->conns, config->relay.rng);
    if (!err)
        err = wzp_relay_tap_set(&server->tap, config->debug_tap);
    if (!err)
        err = wzp_relay_new(&server->relay, &config->relay);
    if (!err)
        err = open_endpoint(server, config);
    if (err) {
        wzp_relay_server_free(server);
        return err;
    }
    *ret = server;
    return 0;
}

void wzp_relay_server_free(struct wzp_relay_server *server)
{
    if (!server)
        return;
    server->stopping = true;
    if (server->quic)
        wzp_quic_free(server->quic); /* closes and frees every connection */
    wz_timer_cancel(&server->tick);
    wz_timer_cancel(&server->drained_soon);
    wzp_relay_free(server->relay);
    wz_hash_done(&server->conns);
    pthread_mutex_destroy(&server->step_lock);
    free(server);
}

struct wz_addr wzp_relay_server_local(const struct wzp_relay_server *server)
{
    return server->local;
}

const char *wzp_relay_server_tls_fingerprint(const struct wzp_relay_server *server)
{
    return server->tls_fingerprint;
}

const char *wzp_relay_server_fingerprint(const struct wzp_relay_server *server)
{
    return wzp_relay_identity(server->relay)->fingerprint;
}

void wzp_relay_server_drain(struct wzp_relay_server *server, void (*drained)(void *arg), void *arg)
{
    server->drained = drained;
    server->drained_arg = arg;
    pthread_mutex_lock(&server->step_lock);
    wzp_relay_drain(server->relay);
    pthread_mutex_unlock(&server->step_lock);
    settle(server);
}

void wzp_relay_server_token_checked(struct wzp_relay_server *server, uint64_t conn, bool is_valid,
                                    const char *fingerprint, const char *alias)
{
    tell_verdict(server, conn, is_valid, fingerprint, alias);
    settle(server);
}

int wzp_relay_server_set_tap(struct wzp_relay_server *server, const char *room)
{
    return wzp_relay_tap_set(&server->tap, room);
}

const struct wzp_quic_stats *wzp_relay_server_quic_stats(const struct wzp_relay_server *server)
{
    return wzp_quic_stats(server->quic);
}

void wzp_relay_server_each_session(struct wzp_relay_server *server,
                                   void (*visit)(void *arg, const struct wzp_relay_session_view *view), void *arg)
{
    wzp_relay_each_session(server->relay, visit, arg);
}

/* ---- counters, any thread ---- */

void wzp_relay_server_stats(struct wzp_relay_server *server, struct wzp_relay_stats *ret)
{
    pthread_mutex_lock(&server->step_lock);
    *ret = *wzp_relay_stats(server->relay);
    pthread_mutex_unlock(&server->step_lock);
}

bool wzp_relay_server_call_flow(struct wzp_relay_server *server, const char *call_id, struct wzp_relay_call_flow *ret)
{
    pthread_mutex_lock(&server->step_lock);
    const bool known = wzp_relay_call_flow(server->relay, call_id, ret);
    pthread_mutex_unlock(&server->step_lock);
    return known;
}
