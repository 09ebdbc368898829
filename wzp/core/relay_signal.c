/* Signal connections: registration, Reflect, Ping; direct calls go on to relay_call.c. */
#include "wzp/core/relay_private.h"

#include <errno.h>

#include "wzp/core/handshake.h"

struct relay_conn *relay_find_registered(const struct wzp_relay *relay, const char *user)
{
    struct wz_hash_node *node = wz_hash_find(&relay->registered, wz_bytes_str(user));
    return node ? wz_container_of(node, struct relay_conn, by_user) : NULL;
}

void relay_unexpected(struct wzp_relay *relay, const struct relay_conn *conn, const struct wzp_signal *signal)
{
    relay->stats.unexpected_signals++;
    relay_log(relay, WZP_RELAY_LOG_DEBUG, "signal.unexpected", "conn=%llu kind=%s", (unsigned long long)conn->id,
              wzp_signal_kind_name(signal->kind));
}

/* ---- registration ---- */

static bool is_zero_key(const uint8_t key[static WZP_KEY_BYTES])
{
    uint8_t any = 0;
    for (size_t i = 0; i < WZP_KEY_BYTES; i++)
        any |= key[i];
    return any == 0;
}

static void acknowledge(struct wzp_relay *relay, const struct relay_conn *conn, const char *error)
{
    const struct wzp_signal ack = {
        .kind = WZP_SIG_REGISTER_PRESENCE_ACK,
        .register_ack = { .success = error == NULL, .error = (char *)error, .relay_build = relay->build },
    };
    relay_send(relay, conn, &ack);
}

/** error is told to the client; the reason is counted by the caller. */
static void refuse_registration(struct wzp_relay *relay, struct relay_conn *conn, const char *error)
{
    char remote[WZ_ADDR_TEXT_MAX];
    relay_log(relay, WZP_RELAY_LOG_WARN, "client.refused", "remote=%s why=\"%s\"",
              wz_addr_format(&conn->remote, remote), error);
    acknowledge(relay, conn, error);
    relay_close(relay, conn, error);
}

/** Make conn the place where messages for its fingerprint go. 0 or -ENOMEM. */
static int take_over(struct wzp_relay *relay, struct relay_conn *conn)
{
    struct relay_conn *old = relay_find_registered(relay, relay_user(conn));
    if (old) {
        /* The old connection's offers spend from the same bucket, so reconnecting earns no new credit. */
        conn->offers = old->offers;
        conn->tells_calls_apart |= old->tells_calls_apart;
        wz_hash_remove(&relay->registered, &old->by_user);
        old->is_current = false;
    }
    if (wz_hash_insert(&relay->registered, &conn->by_user, wz_bytes_str(relay_user(conn))) != 0) {
        if (old) { /* an entry was just freed: putting the old one back needs no memory */
            old->is_current = wz_hash_insert(&relay->registered, &old->by_user, wz_bytes_str(relay_user(old))) == 0;
        }
        return -ENOMEM;
    }
    conn->is_current = true;
    return 0;
}

/** Why this user may not register now, or NULL. Those who are known may always come back. */
static const char *registration_obstacle(const struct wzp_relay *relay, const char *user)
{
    if (relay_find_registered(relay, user) || wzp_registry_first_of(&relay->registry, user))
        return NULL;
    if (relay->draining)
        return "relay is draining";
    return relay->registered.count >= relay->max_registrations ? "relay is full" : NULL;
}

static void welcome(struct wzp_relay *relay, struct relay_conn *conn)
{
    char remote[WZ_ADDR_TEXT_MAX];
    relay_greeted(relay, conn);
    conn->state = RELAY_CONN_REGISTERED;
    relay->stats.registrations_total++;
    relay_log(relay, WZP_RELAY_LOG_INFO, "client.registered", "fingerprint=%s remote=%s registered=%zu",
              relay_user(conn), wz_addr_format(&conn->remote, remote), relay->registered.count);
    acknowledge(relay, conn, NULL);
    relay_call_party_back(relay, relay_user(conn));
}

static void register_user(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signed_keys *keys,
                          bool is_signed)
{
    if (wzp_fingerprint_of_key(keys->identity_pub, conn->fingerprint) != 0) {
        relay->effect_lost = true;
        return;
    }
    const char *obstacle = registration_obstacle(relay, relay_user(conn));
    if (obstacle) {
        relay->stats.refused_limits++;
        refuse_registration(relay, conn, obstacle);
        return;
    }
    conn->tells_calls_apart = is_signed;
    if (take_over(relay, conn) != 0)
        relay->effect_lost = true;
    else
        welcome(relay, conn);
}

/** NAT probes of the reference register under the zero key, ask Reflect and leave, all in 1.5 s. No limit of registrations
 *  counts them, so they stay among those of their source that wait, and as long. */
static void register_probe(struct wzp_relay *relay, struct relay_conn *conn)
{
    relay_await(relay, conn, RELAY_CONN_PROBE);
    acknowledge(relay, conn, NULL);
}

static void register_first(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signed_keys *keys)
{
    const bool is_zero = is_zero_key(keys->identity_pub);
    /* Optional on the wire, and made by our own clients only. */
    const bool is_signed = !is_zero && wzp_check_register(keys) == 0;
    if (!relay_charge(relay, conn, is_signed ? RELAY_CHARGE_SIGNED_REGISTRATION : RELAY_CHARGE_REGISTRATION)) {
        refuse_registration(relay, conn, "too many registrations from this address, wait a minute");
    } else if (relay->strict && !is_signed) {
        relay->stats.refused_unsigned++;
        refuse_registration(relay, conn, is_zero ? "the zero key is nobody" : "registration is not signed");
    } else if (is_zero) {
        register_probe(relay, conn);
    } else {
        register_user(relay, conn, keys, is_signed);
    }
}

/** A second registration on one connection: the same user claims it back, another one cannot have it. */
static void register_again(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signed_keys *keys)
{
    char fingerprint[WZP_FINGERPRINT_TEXT];
    if (!relay_charge(relay, conn, RELAY_CHARGE_ASK))
        return;
    if (wzp_fingerprint_of_key(keys->identity_pub, fingerprint) != 0 || strcmp(fingerprint, conn->fingerprint) != 0) {
        relay->stats.refused_wrong_party++;
        acknowledge(relay, conn, "already registered under another key");
        return;
    }
    if (!conn->is_current && take_over(relay, conn) != 0) {
        relay->effect_lost = true;
        return;
    }
    acknowledge(relay, conn, NULL);
}

void relay_unregister(struct wzp_relay *relay, struct relay_conn *conn)
{
    if (!conn->is_current)
        return;
    conn->is_current = false;
    wz_hash_remove(&relay->registered, &conn->by_user);
    relay_log(relay, WZP_RELAY_LOG_INFO, "client.gone", "fingerprint=%s registered=%zu", relay_user(conn),
              relay->registered.count);
    relay_call_party_gone(relay, relay_user(conn));
}

/* ---- small requests ---- */

static void reflect(struct wzp_relay *relay, const struct relay_conn *conn)
{
    char remote[WZ_ADDR_TEXT_MAX];
    if (!relay_charge(relay, conn, RELAY_CHARGE_ASK))
        return;
    wz_addr_format(&conn->remote, remote);
    relay->stats.reflects_total++;
    relay_send(
        relay, conn,
        &(struct wzp_signal){ .kind = WZP_SIG_REFLECT_RESPONSE, .reflect_response = { .observed_addr = remote } });
}

static void pong(struct wzp_relay *relay, const struct relay_conn *conn, uint64_t timestamp_ms)
{
    if (!relay_charge(relay, conn, RELAY_CHARGE_ASK))
        return;
    relay->stats.pings_total++;
    relay_send(relay, conn, &(struct wzp_signal){ .kind = WZP_SIG_PONG, .ping = { .timestamp_ms = timestamp_ms } });
}

/* ---- dispatch ---- */

static void first_message(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *signal)
{
    if (signal->kind == WZP_SIG_REGISTER_PRESENCE) {
        register_first(relay, conn, &signal->register_presence.keys);
        return;
    }
    relay_unexpected(relay, conn, signal);
    /* As the reference without an auth server, whose clients know what an unexplained close means here. */
    relay_close(relay, conn, signal->kind == WZP_SIG_AUTH_TOKEN ? "" : "register first");
}

static bool is_about_calls(enum wzp_signal_kind kind)
{
    return kind == WZP_SIG_DIRECT_CALL_OFFER || kind == WZP_SIG_DIRECT_CALL_ANSWER || kind == WZP_SIG_HANGUP ||
           kind == WZP_SIG_MEDIA_PATH_REPORT;
}

void relay_signal_message(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal)
{
    if (conn->state == RELAY_CONN_WAIT_REGISTER) {
        first_message(relay, conn, signal);
        return;
    }
    if (conn->state == RELAY_CONN_PROBE && is_about_calls(signal->kind)) {
        relay->stats.refused_wrong_party++;
        return;
    }
    switch (signal->kind) {
    case WZP_SIG_REFLECT:
        reflect(relay, conn);
        break;
    case WZP_SIG_PING:
        pong(relay, conn, signal->ping.timestamp_ms);
        break;
    case WZP_SIG_REGISTER_PRESENCE:
        if (conn->state == RELAY_CONN_REGISTERED)
            register_again(relay, conn, &signal->register_presence.keys);
        else if (relay_charge(relay, conn, RELAY_CHARGE_ASK))
            acknowledge(relay, conn, NULL);
        break;
    case WZP_SIG_DIRECT_CALL_OFFER:
        relay_call_offer(relay, conn, signal);
        break;
    case WZP_SIG_DIRECT_CALL_ANSWER:
        relay_call_answer(relay, conn, signal);
        break;
    case WZP_SIG_HANGUP:
        relay_call_hangup(relay, conn, signal);
        break;
    case WZP_SIG_MEDIA_PATH_REPORT:
        relay_call_path_report(relay, conn, signal);
        break;
    default:
        relay_unexpected(relay, conn, signal);
        break;
    }
}
