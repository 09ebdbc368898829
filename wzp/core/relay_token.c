/* Relays with an auth server: a connection shows a token first, the shell asks about it, and the name that comes back is
 * the user's. What the connection sends meanwhile waits.
 *
 *   WAIT_TOKEN ──AuthToken──► CHECKING ──valid──► WAIT_REGISTER or WAIT_OFFER, then the messages that waited
 *       └─anything else, silence─┴─refused, too many messages, silence──► closed */
#include "wzp/core/relay_private.h"

#include <errno.h>
#include <stdlib.h>

struct relay_parked {
    size_t count, bytes;
    struct {
        uint8_t *data;
        size_t len;
    } message[WZP_RELAY_PARKED_MAX];
};

/** What the reference's connections end with: `_signal` without a word. */
static const char *farewell(const struct relay_conn *conn)
{
    return conn->media ? "normal close" : "";
}

static enum relay_charge charge_of(const struct relay_conn *conn)
{
    return conn->media ? RELAY_CHARGE_JOIN : RELAY_CHARGE_REGISTRATION;
}

static void refuse(struct wzp_relay *relay, struct relay_conn *conn, const char *why)
{
    char remote[WZ_ADDR_TEXT_MAX];
    relay->stats.auth_failed++;
    relay_log(relay, WZP_RELAY_LOG_WARN, "client.token_refused", "remote=%s why=\"%s\"",
              wz_addr_format(&conn->remote, remote), why);
    relay_close(relay, conn, farewell(conn));
}

void relay_token_message(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *signal)
{
    if (signal->kind != WZP_SIG_AUTH_TOKEN) {
        relay_unexpected(relay, conn, signal);
        refuse(relay, conn, "no token");
        return;
    }
    /* Wrong tokens are charged when the verdict comes; who has spent it all may not guess on. */
    if (!relay_source_has(&relay->sources, &conn->remote, charge_of(conn), relay->now_us)) {
        relay->stats.refused_source++;
        relay_close(relay, conn, "too many tokens from this address, wait a minute");
        return;
    }
    relay_await(relay, conn, RELAY_CONN_CHECKING);
    relay_emit_check_token(relay, conn, signal->auth_token.token);
}

/* ---- messages that wait ---- */

void relay_park(struct wzp_relay *relay, struct relay_conn *conn, struct wz_bytes body)
{
    struct relay_parked *parked = conn->parked;
    if (!parked && !(parked = conn->parked = calloc(1, sizeof *parked))) {
        relay->effect_lost = true;
        return;
    }
    if (parked->count == WZP_RELAY_PARKED_MAX || body.len > WZP_RELAY_PARKED_BYTES - parked->bytes) {
        relay->stats.refused_limits++;
        relay_close(relay, conn, "too many messages before the token was checked");
        return;
    }
    uint8_t *copy = malloc(body.len + 1); /* never of 0 bytes */
    if (!copy) {
        relay->effect_lost = true;
        return;
    }
    if (body.len > 0)
        memcpy(copy, body.data, body.len);
    parked->message[parked->count].data = copy;
    parked->message[parked->count++].len = body.len;
    parked->bytes += body.len;
}

static void free_parked(struct relay_parked *parked)
{
    for (size_t i = 0; parked && i < parked->count; i++)
        free(parked->message[i].data);
    free(parked);
}

void relay_parked_free(struct relay_conn *conn)
{
    free_parked(conn->parked);
    conn->parked = NULL;
}

/* ---- the verdict ---- */

/** A name stands in messages, map keys and log lines as it is. */
static bool is_user_name(const char *text)
{
    size_t len = 0;
    for (; text[len]; len++)
        if (len == WZP_RELAY_USER_MAX || text[len] <= ' ' || text[len] > '~' || text[len] == '"' || text[len] == '\\')
            return false;
    return len > 0;
}

static void accept_user(struct wzp_relay *relay, struct relay_conn *conn, const char *name, const char *alias)
{
    char text[WZP_CALL_ID_MAX + 1], remote[WZ_ADDR_TEXT_MAX];
    if (!(conn->user = strdup(name))) {
        relay->effect_lost = true;
        return;
    }
    relay->stats.auth_ok++;
    relay_log(relay, WZP_RELAY_LOG_INFO, "client.authenticated", "fingerprint=%s alias=%s remote=%s", name,
              relay_log_text(alias ? alias : "", text), wz_addr_format(&conn->remote, remote));
    relay_await(relay, conn, conn->media ? RELAY_CONN_WAIT_OFFER : RELAY_CONN_WAIT_REGISTER);
    struct relay_parked *parked = conn->parked;
    conn->parked = NULL;
    for (size_t i = 0; parked && i < parked->count && conn->state != RELAY_CONN_CLOSING; i++)
        relay_take_message(relay, conn, wz_bytes(parked->message[i].data, parked->message[i].len));
    free_parked(parked);
}

int wzp_relay_token_checked(struct wzp_relay *relay, uint64_t conn_id, bool is_valid, const char *fingerprint,
                            const char *alias, uint64_t now_us, struct wzp_relay_effects *ret)
{
    relay_effects_begin(relay, now_us);
    struct relay_conn *conn = relay_find_conn(relay, conn_id);
    if (conn && conn->state == RELAY_CONN_CHECKING) {
        if (is_valid && fingerprint && is_user_name(fingerprint)) {
            accept_user(relay, conn, fingerprint, alias);
        } else {
            (void)relay_source_take(&relay->sources, &conn->remote, charge_of(conn), now_us); /* it is over already */
            refuse(relay, conn, is_valid ? "the auth server gave no usable name" : "not valid");
        }
    }
    return relay_effects_end(relay, ret);
}
