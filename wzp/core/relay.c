/* Life of the relay, what a new connection is for, and timers. The rest: see relay_private.h. */
#include "wzp/core/relay_private.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_MAX_SESSIONS      100
#define DEFAULT_MAX_REGISTRATIONS 20000
#define DEFAULT_MAX_CALLS         20000
#define DEFAULT_REGISTER_WAIT_MS  10000
#define DEFAULT_RING_MS           120000
#define DEFAULT_SETUP_MS          30000
#define DEFAULT_OFFERS_PER_MINUTE 300

/** Room names with a meaning of their own (docs/wzp-wire.md "SNI"). */
static const struct {
    const char *sni;
    const char *reason; /* why the connection is closed; NULL: served */
} special[] = {
    { "ping", "" }, /* the handshake was the answer */
    { "version", "" },
    { "_signal", NULL },
    /* Links between relays are not served yet; their dispatch belongs here. */
    { "_federation", "federation is not served by this relay" },
    { "_probe", "probes are not served by this relay" },
    { "_relay", "reserved name" },
};

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value ? value : fallback;
}

static uint64_t ms_to_us(unsigned ms)
{
    return (uint64_t)ms * 1000;
}

/* ---- life ---- */

static int init_tables(struct wzp_relay *relay, const struct wzp_relay_config *config)
{
    const struct wzp_registry_limits limits = {
        .max_live = or_default(config->max_calls, DEFAULT_MAX_CALLS),
        .max_ended = WZP_RELAY_MAX_ENDED,
        .ring_us = ms_to_us(or_default(config->ring_ms, DEFAULT_RING_MS)),
        .setup_us = ms_to_us(or_default(config->setup_ms, DEFAULT_SETUP_MS)),
        .keep_us = WZP_RELAY_KEEP_ENDED_US,
    };
    if (wz_hash_init(&relay->conns, config->rng) != 0 || wz_hash_init(&relay->registered, config->rng) != 0 ||
        wz_hash_init(&relay->rooms, config->rng) != 0)
        return -ENOMEM;
    return wzp_registry_init(&relay->registry, &limits, config->rng);
}

int wzp_relay_new(struct wzp_relay **ret, const struct wzp_relay_config *config)
{
    int err = -ENOMEM;
    struct wzp_relay *relay = calloc(1, sizeof *relay);
    if (!relay)
        goto out;
    wz_list_init(&relay->waiting);
    relay->rng = config->rng;
    relay->public_address = config->public_address;
    relay->max_sessions = or_default(config->max_sessions, DEFAULT_MAX_SESSIONS);
    relay->max_registrations = or_default(config->max_registrations, DEFAULT_MAX_REGISTRATIONS);
    relay->offers_per_minute = or_default(config->offers_per_minute, DEFAULT_OFFERS_PER_MINUTE);
    relay->register_wait_us = ms_to_us(or_default(config->register_wait_ms, DEFAULT_REGISTER_WAIT_MS));
    relay->strict_privacy = config->strict_privacy;
    if (!(relay->build = strdup(config->build)) || !(relay->stats_view = calloc(1, sizeof *relay->stats_view)))
        goto out;
    if ((err = init_tables(relay, config)) != 0)
        goto out;
    if ((err = wzp_identity_from_seed(config->seed, &relay->identity)) != 0)
        goto out;
    *ret = relay, relay = NULL;
out:
    wzp_relay_free(relay);
    return err;
}

static void free_conn(struct wzp_relay *relay, struct relay_conn *conn)
{
    wz_hash_remove(&relay->conns, &conn->by_id);
    wz_list_remove(&conn->wait);
    free(conn->room_name);
    free(conn->alias);
    free(conn);
}

static void free_conn_visit(void *arg, struct wz_hash_node *node)
{
    free_conn(arg, wz_container_of(node, struct relay_conn, by_id));
}

void wzp_relay_free(struct wzp_relay *relay)
{
    if (!relay)
        return;
    if (relay->rooms.bucket)
        relay_rooms_free(relay);
    if (relay->conns.bucket)
        wz_hash_each(&relay->conns, free_conn_visit, relay);
    wz_hash_done(&relay->conns);
    wz_hash_done(&relay->registered);
    wz_hash_done(&relay->rooms);
    wzp_registry_done(&relay->registry);
    relay_effects_free(relay);
    wzp_identity_done(&relay->identity);
    free(relay->route);
    free(relay->stats_view);
    free(relay->build);
    free(relay);
}

const struct wzp_identity *wzp_relay_identity(const struct wzp_relay *relay)
{
    return &relay->identity;
}

void wzp_relay_drain(struct wzp_relay *relay)
{
    relay->draining = true;
}

static void note_forming(void *arg, struct wz_hash_node *node)
{
    if (wzp_registry_is_forming(wz_container_of(node, struct wzp_registry_call, by_id)))
        *(bool *)arg = true;
}

bool wzp_relay_is_drained(const struct wzp_relay *relay)
{
    bool forming = false;
    if (!relay->draining || relay->call_rooms > 0)
        return false;
    /* The visitor changes nothing; wz_hash_each() is the only iterator and takes a mutable map. */
    wz_hash_each((struct wz_hash *)&relay->registry.calls, note_forming, &forming);
    return !forming;
}

/* ---- connections ---- */

static struct relay_conn *find_conn(const struct wzp_relay *relay, uint64_t id)
{
    struct wz_hash_node *node = wz_hash_find(&relay->conns, wz_bytes(&id, sizeof id));
    return node ? wz_container_of(node, struct relay_conn, by_id) : NULL;
}

void relay_greeted(struct relay_conn *conn)
{
    wz_list_remove(&conn->wait);
}

void relay_close(struct wzp_relay *relay, struct relay_conn *conn, const char *reason)
{
    if (conn->state == RELAY_CONN_CLOSING)
        return;
    relay_greeted(conn);
    if (conn->state == RELAY_CONN_REGISTERED)
        relay_unregister(relay, conn);
    else if (conn->state == RELAY_CONN_JOINED)
        relay_room_leave(relay, conn);
    conn->state = RELAY_CONN_CLOSING;
    relay_emit_close(relay, conn, reason);
}

static struct relay_conn *add_conn(struct wzp_relay *relay, uint64_t id, const char *sni)
{
    struct relay_conn *conn = calloc(1, sizeof *conn);
    if (!conn || !(conn->room_name = strdup(sni)))
        goto fail;
    conn->id = id;
    conn->party = WZP_REGISTRY_NOBODY;
    wz_list_init(&conn->wait);
    if (wz_hash_insert(&relay->conns, &conn->by_id, wz_bytes(&conn->id, sizeof conn->id)) != 0)
        goto fail;
    return conn;
fail:
    if (conn)
        free(conn->room_name);
    free(conn);
    return NULL;
}

static void await_first_message(struct wzp_relay *relay, struct relay_conn *conn, enum relay_conn_state state)
{
    conn->state = state;
    conn->wait_until_us = relay->now_us + relay->register_wait_us;
    wz_list_append(&relay->waiting, &conn->wait);
}

static void dispatch(struct wzp_relay *relay, struct relay_conn *conn, const char *sni)
{
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        if (strcmp(sni, special[i].sni) != 0)
            continue;
        if (!special[i].reason) {
            await_first_message(relay, conn, RELAY_CONN_WAIT_REGISTER);
            return;
        }
        if (strcmp(sni, "version") == 0)
            relay_send_build(relay, conn);
        relay_close(relay, conn, special[i].reason);
        return;
    }
    if (sni[0] == '\0' || strnlen(sni, WZP_RELAY_ROOM_NAME_MAX + 1) > WZP_RELAY_ROOM_NAME_MAX)
        relay_close(relay, conn, "bad room name");
    else
        await_first_message(relay, conn, RELAY_CONN_WAIT_OFFER);
}

int wzp_relay_connected(struct wzp_relay *relay, uint64_t conn_id, const char *sni, const struct wz_addr *remote,
                        const struct wz_addr *local, uint64_t now_us, struct wzp_relay_effects *ret)
{
    relay_effects_begin(relay, now_us);
    if (!find_conn(relay, conn_id)) {
        struct relay_conn *conn = add_conn(relay, conn_id, sni);
        if (conn) {
            conn->remote = *remote;
            conn->local = *local;
            dispatch(relay, conn, sni);
        } else {
            relay->effect_lost = true;
        }
    }
    return relay_effects_end(relay, ret);
}

void wzp_relay_set_handle(struct wzp_relay *relay, uint64_t conn_id, void *handle)
{
    struct relay_conn *conn = find_conn(relay, conn_id);
    if (conn)
        conn->handle = handle;
}

static void take_message(struct wzp_relay *relay, struct relay_conn *conn, struct wz_bytes body)
{
    struct wzp_signal signal;
    const int err = wzp_signal_decode(body, &signal);
    if (err == -ENOMEM) {
        relay->effect_lost = true;
        return;
    }
    if (err) {
        relay->stats.bad_signals++;
        relay_log(relay, WZP_RELAY_LOG_DEBUG, "signal.bad", "conn=%llu bytes=%zu", (unsigned long long)conn->id,
                  body.len);
        return;
    }
    if (signal.kind == WZP_SIG_UNKNOWN) {
        char name[WZP_CALL_ID_MAX + 1];
        relay->stats.unknown_signals++;
        relay_log(relay, WZP_RELAY_LOG_DEBUG, "signal.unknown", "conn=%llu name=%s", (unsigned long long)conn->id,
                  relay_log_text(signal.unknown.name ? signal.unknown.name : "", name));
    } else if (conn->state == RELAY_CONN_WAIT_OFFER || conn->state == RELAY_CONN_JOINED) {
        relay_media_message(relay, conn, &signal);
    } else {
        relay_signal_message(relay, conn, &signal);
    }
    wzp_signal_done(&signal);
}

int wzp_relay_message(struct wzp_relay *relay, uint64_t conn_id, struct wz_bytes body, uint64_t now_us,
                      struct wzp_relay_effects *ret)
{
    relay_effects_begin(relay, now_us);
    struct relay_conn *conn = find_conn(relay, conn_id);
    if (conn && conn->state != RELAY_CONN_CLOSING)
        take_message(relay, conn, body);
    return relay_effects_end(relay, ret);
}

int wzp_relay_closed(struct wzp_relay *relay, uint64_t conn_id, uint64_t now_us, struct wzp_relay_effects *ret)
{
    relay_effects_begin(relay, now_us);
    struct relay_conn *conn = find_conn(relay, conn_id);
    if (conn) {
        if (conn->state == RELAY_CONN_REGISTERED)
            relay_unregister(relay, conn);
        else if (conn->state == RELAY_CONN_JOINED)
            relay_room_leave(relay, conn);
        free_conn(relay, conn);
    }
    return relay_effects_end(relay, ret);
}

/* ---- timers ---- */

static struct relay_conn *longest_waiting(const struct wzp_relay *relay)
{
    if (wz_list_is_empty(&relay->waiting))
        return NULL;
    return wz_container_of(relay->waiting.next, struct relay_conn, wait);
}

int wzp_relay_tick(struct wzp_relay *relay, uint64_t now_us, struct wzp_relay_effects *ret)
{
    relay_effects_begin(relay, now_us);
    struct relay_conn *conn;
    while ((conn = longest_waiting(relay)) && conn->wait_until_us <= now_us)
        relay_close(relay, conn, ""); /* as the reference does: no word, code 0 */
    struct wzp_registry_call *call;
    while ((call = wzp_registry_expired(&relay->registry, now_us)))
        relay_call_expired(relay, call);
    return relay_effects_end(relay, ret);
}

uint64_t wzp_relay_deadline_us(const struct wzp_relay *relay)
{
    const struct relay_conn *conn = longest_waiting(relay);
    const uint64_t calls_us = wzp_registry_deadline_us(&relay->registry);
    return conn && conn->wait_until_us < calls_us ? conn->wait_until_us : calls_us;
}

/* ---- media fast path ---- */

/** Bytes between header and trailer, or -1 for what no receiver could read. */
static int payload_bytes(struct wz_bytes datagram)
{
    if (datagram.len < WZP_MEDIA_HEADER_BYTES)
        return -1;
    const unsigned codec = datagram.data[0] >> 2 & 0x0f;
    const bool has_report = datagram.data[0] & 0x02;
    const size_t overhead = WZP_MEDIA_HEADER_BYTES + (has_report ? WZP_MEDIA_TRAILER_BYTES : 0u);
    if (codec >= WZP_CODEC_COUNT || datagram.len < overhead)
        return -1;
    return (int)(datagram.len - overhead);
}

size_t wzp_relay_route(struct wzp_relay *relay, uint64_t conn_id, struct wz_bytes datagram, uint64_t now_us,
                       void *const **ret_handles)
{
    (void)now_us; /* for the rate window of federation */
    relay_count(&relay->datagrams_in, 1);
    struct relay_conn *conn = find_conn(relay, conn_id);
    if (!conn || conn->state != RELAY_CONN_JOINED)
        return 0;
    const int payload = payload_bytes(datagram);
    if (payload < 0) {
        relay_count(&relay->datagrams_bad, 1);
        return 0;
    }
    relay_count(&conn->datagrams_in, 1);
    struct relay_room *room = conn->room;
    size_t count = 0;
    for (size_t i = 0; i < room->count; i++)
        if (i != conn->room_index && room->member[i]->handle)
            relay->route[count++] = room->member[i]->handle;
    relay_count(&room->forwarded, count);
    relay_count(&relay->packets_forwarded, count);
    relay_count(&relay->bytes_forwarded, count * (uint64_t)payload);
    *ret_handles = relay->route;
    return count;
}

/* ---- counters ---- */

const struct wzp_relay_stats *wzp_relay_stats(const struct wzp_relay *relay)
{
    struct wzp_relay_stats *view = relay->stats_view;
    *view = relay->stats;
    view->datagrams_in = atomic_load_explicit(&relay->datagrams_in, memory_order_relaxed);
    view->datagrams_bad = atomic_load_explicit(&relay->datagrams_bad, memory_order_relaxed);
    view->packets_forwarded = atomic_load_explicit(&relay->packets_forwarded, memory_order_relaxed);
    view->bytes_forwarded = atomic_load_explicit(&relay->bytes_forwarded, memory_order_relaxed);
    view->registered = (unsigned)relay->registered.count;
    view->calls = (unsigned)relay->registry.live;
    view->rooms = (unsigned)relay->rooms.count;
    return view;
}
