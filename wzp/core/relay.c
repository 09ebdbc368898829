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
#define DEFAULT_DIRECT_GRACE_MS   20000

#define DEFAULT_SOURCE_OFFERS        1200
#define DEFAULT_SOURCE_REFLECTS      2400
#define DEFAULT_SOURCE_JOINS         600
#define DEFAULT_SOURCE_REGISTRATIONS 600
#define DEFAULT_SOURCE_SIGNED        12000
#define DEFAULT_SOURCE_WAITING       256

_Static_assert(sizeof(struct relay_conn) <= 256, "what a registered client costs the core");

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

static int init_sources(struct relay_sources *sources, const struct wzp_relay_config *config)
{
    const int err = relay_sources_init(sources, config->rng);
    unsigned *per_minute = sources->per_minute;
    per_minute[RELAY_CHARGE_OFFER] = or_default(config->source_offers_per_minute, DEFAULT_SOURCE_OFFERS);
    per_minute[RELAY_CHARGE_ASK] = or_default(config->source_reflects_per_minute, DEFAULT_SOURCE_REFLECTS);
    per_minute[RELAY_CHARGE_JOIN] = or_default(config->source_joins_per_minute, DEFAULT_SOURCE_JOINS);
    per_minute[RELAY_CHARGE_REGISTRATION] =
        or_default(config->source_registrations_per_minute, DEFAULT_SOURCE_REGISTRATIONS);
    per_minute[RELAY_CHARGE_SIGNED_REGISTRATION] =
        or_default(config->source_signed_registrations_per_minute, DEFAULT_SOURCE_SIGNED);
    sources->max_waiting = or_default(config->source_waiting, DEFAULT_SOURCE_WAITING);
    return err;
}

static int init_tables(struct wzp_relay *relay, const struct wzp_relay_config *config)
{
    const struct wzp_registry_limits limits = {
        .max_live = or_default(config->max_calls, DEFAULT_MAX_CALLS),
        .max_ended = WZP_RELAY_MAX_ENDED,
        .ring_us = ms_to_us(or_default(config->ring_ms, DEFAULT_RING_MS)),
        .setup_us = ms_to_us(or_default(config->setup_ms, DEFAULT_SETUP_MS)),
        .away_us = ms_to_us(or_default(config->direct_grace_ms, DEFAULT_DIRECT_GRACE_MS)),
        .keep_us = WZP_RELAY_KEEP_ENDED_US,
    };
    if (wz_hash_init(&relay->conns, config->rng) != 0 || wz_hash_init(&relay->registered, config->rng) != 0 ||
        wz_hash_init(&relay->rooms, config->rng) != 0 || relay_seen_init(&relay->seen, config->rng) != 0 ||
        init_sources(&relay->sources, config) != 0)
        return -ENOMEM;
    return wzp_registry_init(&relay->registry, &limits, config->rng);
}

static void take_settings(struct wzp_relay *relay, const struct wzp_relay_config *config)
{
    relay->rng = config->rng;
    relay->public_address = config->public_address;
    relay->max_sessions = or_default(config->max_sessions, DEFAULT_MAX_SESSIONS);
    relay->max_registrations = or_default(config->max_registrations, DEFAULT_MAX_REGISTRATIONS);
    relay->offers_per_minute = or_default(config->offers_per_minute, DEFAULT_OFFERS_PER_MINUTE);
    relay->register_wait_us = ms_to_us(or_default(config->register_wait_ms, DEFAULT_REGISTER_WAIT_MS));
    relay->strict = config->strict;
    relay->strict_privacy = config->strict_privacy;
    relay->require_token = config->require_token;
    relay->quality_directives_off = config->quality_directives_off;
}

int wzp_relay_new(struct wzp_relay **ret, const struct wzp_relay_config *config)
{
    int err = -ENOMEM;
    struct wzp_relay *relay = calloc(1, sizeof *relay);
    if (!relay)
        goto out;
    wz_list_init(&relay->waiting);
    wz_list_init(&relay->quality_due);
    wz_list_init(&relay->quality_cooling);
    take_settings(relay, config);
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
    relay_greeted(relay, conn);
    relay_parked_free(conn);
    if (conn->media) {
        free(conn->media->room_name);
        free(conn->media->alias);
        free(conn->media);
    }
    free(conn->user);
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
    relay_sources_done(&relay->sources);
    relay_seen_done(&relay->seen);
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

struct relay_conn *relay_find_conn(const struct wzp_relay *relay, uint64_t id)
{
    struct wz_hash_node *node = wz_hash_find(&relay->conns, wz_bytes(&id, sizeof id));
    return node ? wz_container_of(node, struct relay_conn, by_id) : NULL;
}

/** What is due has come, or will not come any more. */
void relay_greeted(struct wzp_relay *relay, struct relay_conn *conn)
{
    wz_list_remove(&conn->wait);
    if (conn->source)
        relay_source_waited(&relay->sources, conn->source);
    conn->source = NULL;
}

/** Take conn out of the maps and rooms it is in. */
static void detach(struct wzp_relay *relay, struct relay_conn *conn)
{
    relay_greeted(relay, conn);
    if (conn->state == RELAY_CONN_REGISTERED)
        relay_unregister(relay, conn);
    else if (conn->state == RELAY_CONN_JOINED)
        relay_room_leave(relay, conn);
    conn->state = RELAY_CONN_CLOSING;
}

void relay_close(struct wzp_relay *relay, struct relay_conn *conn, const char *reason)
{
    if (conn->state == RELAY_CONN_CLOSING)
        return;
    detach(relay, conn);
    relay_emit_close(relay, conn, reason);
}

bool relay_charge(struct wzp_relay *relay, const struct relay_conn *conn, enum relay_charge charge)
{
    if (relay_source_take(&relay->sources, &conn->remote, charge, relay->now_us))
        return true;
    relay->stats.refused_source++;
    return false;
}

static struct relay_conn *add_conn(struct wzp_relay *relay, uint64_t id)
{
    struct relay_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->id = id;
    wz_list_init(&conn->wait);
    if (wz_hash_insert(&relay->conns, &conn->by_id, wz_bytes(&conn->id, sizeof conn->id)) != 0) {
        free(conn);
        return NULL;
    }
    return conn;
}

void relay_await(struct wzp_relay *relay, struct relay_conn *conn, enum relay_conn_state state)
{
    conn->state = state;
    conn->waits_since_us = relay->now_us;
    wz_list_remove(&conn->wait);
    wz_list_append(&relay->waiting, &conn->wait);
}

/** A connection that will have to say what it wants: state is what is due when no token is. */
static void await_first_message(struct wzp_relay *relay, struct relay_conn *conn, enum relay_conn_state state)
{
    if (!(conn->source = relay_source_wait(&relay->sources, &conn->remote, relay->now_us))) {
        relay->stats.refused_source++;
        relay_close(relay, conn, "too many connections waiting from this address, wait a minute");
        return;
    }
    relay_await(relay, conn, relay->require_token ? RELAY_CONN_WAIT_TOKEN : state);
}

static void await_media(struct wzp_relay *relay, struct relay_conn *conn, const char *sni)
{
    if (sni[0] == '\0' || strnlen(sni, WZP_RELAY_ROOM_NAME_MAX + 1) > WZP_RELAY_ROOM_NAME_MAX) {
        relay_close(relay, conn, "bad room name");
        return;
    }
    conn->media = calloc(1, sizeof *conn->media);
    if (!conn->media || !(conn->media->room_name = strdup(sni))) {
        relay->effect_lost = true;
        return;
    }
    conn->media->connected_us = relay->now_us;
    conn->media->party = WZP_REGISTRY_NOBODY;
    conn->media->told_tier = WZP_TIER_GOOD;
    wzp_quality_init(&conn->media->quality, false, relay->now_us);
    await_first_message(relay, conn, RELAY_CONN_WAIT_OFFER);
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
    await_media(relay, conn, sni);
}

int wzp_relay_connected(struct wzp_relay *relay, uint64_t conn_id, const char *sni, const struct wz_addr *remote,
                        const struct wz_addr *local, uint64_t now_us, struct wzp_relay_effects *ret)
{
    relay_effects_begin(relay, now_us);
    if (!relay_find_conn(relay, conn_id)) {
        struct relay_conn *conn = add_conn(relay, conn_id);
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
    struct relay_conn *conn = relay_find_conn(relay, conn_id);
    if (!conn)
        return;
    conn->handle = handle;
    if (conn->state == RELAY_CONN_JOINED)
        conn->media->room->handle[conn->media->index] = handle;
}

void relay_take_message(struct wzp_relay *relay, struct relay_conn *conn, struct wz_bytes body)
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
    } else if (conn->state == RELAY_CONN_WAIT_TOKEN) {
        relay_token_message(relay, conn, &signal);
    } else if (conn->media) {
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
    struct relay_conn *conn = relay_find_conn(relay, conn_id);
    if (conn && conn->state == RELAY_CONN_CHECKING)
        relay_park(relay, conn, body);
    else if (conn && conn->state != RELAY_CONN_NEW && conn->state != RELAY_CONN_CLOSING)
        relay_take_message(relay, conn, body);
    return relay_effects_end(relay, ret);
}

int wzp_relay_closed(struct wzp_relay *relay, uint64_t conn_id, uint64_t now_us, struct wzp_relay_effects *ret)
{
    relay_effects_begin(relay, now_us);
    struct relay_conn *conn = relay_find_conn(relay, conn_id);
    if (conn) {
        detach(relay, conn);
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

/** When what is due from this connection must have come; never for NULL. */
static uint64_t patience_us(const struct wzp_relay *relay, const struct relay_conn *conn)
{
    return conn ? conn->waits_since_us + relay->register_wait_us : UINT64_MAX;
}

int wzp_relay_tick(struct wzp_relay *relay, uint64_t now_us, struct wzp_relay_effects *ret)
{
    relay_effects_begin(relay, now_us);
    struct relay_conn *conn;
    while ((conn = longest_waiting(relay)) && patience_us(relay, conn) <= now_us)
        relay_close(relay, conn, ""); /* as the reference does: no word, code 0 */
    struct wzp_registry_call *call;
    while ((call = wzp_registry_expired(&relay->registry, now_us)))
        relay_call_expired(relay, call);
    relay_quality_tick(relay);
    return relay_effects_end(relay, ret);
}

uint64_t wzp_relay_deadline_us(const struct wzp_relay *relay)
{
    const uint64_t due_us[] = { patience_us(relay, longest_waiting(relay)), wzp_registry_deadline_us(&relay->registry),
                                relay_quality_deadline_us(relay) };
    uint64_t first_us = UINT64_MAX;
    for (size_t i = 0; i < sizeof due_us / sizeof due_us[0]; i++)
        if (due_us[i] < first_us)
            first_us = due_us[i];
    return first_us;
}
