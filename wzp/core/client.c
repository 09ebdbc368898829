/* The client core's front: what the shell and the user call. */
#include "wzp/core/client.h"

#include <errno.h>
#include <stdlib.h>

#include "wzp/core/client_internal.h"

static int client_configure(struct wzp_client *client, const struct wzp_client_config *config)
{
    client->relay = config->relay;
    client->ring_us = (uint64_t)(config->ring_ms ? config->ring_ms : WZP_CLIENT_RING_MS) * WZP_CLIENT_MS;
    client->media_us = (uint64_t)(config->media_ms ? config->media_ms : WZP_CLIENT_MEDIA_MS) * WZP_CLIENT_MS;
    client->share_local_addrs = config->share_local_addrs;
    client->no_direct = config->no_direct;
    client->strict = config->strict;
    client->has_relay_key = config->has_relay_key;
    memcpy(client->relay_key, config->relay_key, sizeof client->relay_key);
    client->rng = *config->rng;
    if (wzp_signal_set_text(&client->alias, config->alias) < 0 ||
        wzp_signal_set_text(&client->build, config->build) < 0 ||
        wzp_signal_set_text(&client->auth_token, config->auth_token) < 0)
        return -ENOMEM;
    return wzp_identity_from_seed(config->seed, &client->identity);
}

int wzp_client_new(struct wzp_client **ret, const struct wzp_client_config *config, uint64_t now_us)
{
    if (!config->rng || config->relay.family == WZ_ADDR_NONE)
        return -EINVAL;
    struct wzp_client *client = calloc(1, sizeof *client);
    if (!client)
        return -ENOMEM;
    wz_list_init(&client->calls);
    wz_list_init(&client->effects);
    client->signal_deadline_us = WZP_CLIENT_NEVER;
    client->reflect_deadline_us = WZP_CLIENT_NEVER;
    client->ping_deadline_us = WZP_CLIENT_NEVER;
    int err = client_configure(client, config);
    if (err < 0) {
        wzp_client_free(client);
        return err;
    }
    if (!config->rooms_only)
        client_signal_start(client, config->start_delay_ms, now_us);
    *ret = client;
    return 0;
}

void wzp_client_free(struct wzp_client *client)
{
    if (!client)
        return;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls)
        client_call_discard(client, wz_container_of(pos, struct wzp_client_call, node));
    wz_list_foreach (pos, tmp, &client->effects)
        wzp_client_effect_free(wz_container_of(pos, struct wzp_client_effect, node));
    client_conn_forget(&client->signal);
    free(client->relay_build);
    free(client->reflexive_addr);
    free(client->alias);
    free(client->build);
    free(client->auth_token);
    wzp_identity_done(&client->identity);
    free(client);
}

void wzp_client_stop(struct wzp_client *client, uint64_t now_us)
{
    (void)now_us; /* every entry point that queues effects takes the time */
    while (!wz_list_is_empty(&client->calls)) {
        struct wzp_client_call *call = wz_container_of(client->calls.next, struct wzp_client_call, node);
        client_call_send_hangup(client, call, WZP_HANGUP_NORMAL);
        client_call_end(client, call, WZP_LINE_END_LOCAL, WZP_HANGUP_NORMAL, "leaving");
    }
    client->bare_count = 0;
    client_conn_close(client, &client->signal, "normal close");
    client->signal_state = CLIENT_SIGNAL_OFF;
    client->signal_deadline_us = WZP_CLIENT_NEVER;
    client->reflect_deadline_us = WZP_CLIENT_NEVER;
    client->ping_deadline_us = WZP_CLIENT_NEVER;
}

/** The call that has this connection; *ret_link: which direct one, or NULL for the relay's leg. */
static struct wzp_client_call *call_of_conn(const struct wzp_client *client, uint64_t conn,
                                            struct client_link **ret_link)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls) {
        struct wzp_client_call *call = wz_container_of(pos, struct wzp_client_call, node);
        *ret_link = client_direct_find(call, conn);
        if (*ret_link || call->media.id == conn)
            return call;
    }
    return NULL;
}

void wzp_client_connected(struct wzp_client *client, uint64_t conn, const struct wzp_client_link *link, uint64_t now_us)
{
    if (conn == 0)
        return;
    if (conn == client->signal.id) {
        client_signal_connected(client, now_us);
        return;
    }
    struct client_link *direct = NULL;
    struct wzp_client_call *call = call_of_conn(client, conn, &direct);
    if (call && direct)
        client_direct_connected(client, call, direct, link, now_us);
    else if (call)
        client_media_connected(client, call, now_us);
}

uint64_t wzp_client_accepted(struct wzp_client *client, const char *sni, const struct wzp_client_link *link,
                             uint64_t now_us)
{
    uint64_t conn = 0;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls)
        if (client_direct_accept(client, wz_container_of(pos, struct wzp_client_call, node), sni, link, now_us, &conn))
            break;
    return conn;
}

void wzp_client_closed(struct wzp_client *client, uint64_t conn, const char *reason, uint64_t now_us)
{
    if (conn == 0)
        return;
    if (conn == client->signal.id) {
        client_conn_forget(&client->signal);
        client_signal_lost(client, reason, now_us);
        return;
    }
    struct client_link *direct = NULL;
    struct wzp_client_call *call = call_of_conn(client, conn, &direct);
    if (call && direct)
        client_direct_closed(client, call, direct, reason, now_us);
    else if (call)
        client_media_closed(client, call, reason, now_us);
}

/** The call a message of the signal connection names, or NULL. */
static const struct wzp_client_call *call_named_by(const struct wzp_client *client, const struct wzp_signal *signal)
{
    const char *id = NULL;
    switch (signal->kind) {
    case WZP_SIG_DIRECT_CALL_ANSWER:
        id = signal->answer.call_id;
        break;
    case WZP_SIG_CALL_RINGING:
        id = signal->ringing.call_id;
        break;
    case WZP_SIG_CALL_SETUP:
        id = signal->setup.call_id;
        break;
    case WZP_SIG_MEDIA_PATH_REPORT:
        id = signal->path_report.call_id;
        break;
    case WZP_SIG_HANGUP:
        id = signal->hangup.call_id;
        break;
    default:
        break;
    }
    return id ? client_call_by_id(client, id) : NULL;
}

static void trace_incoming(struct wzp_client *client, const struct wzp_client_call *call,
                           const struct wzp_signal *signal, struct wz_bytes body)
{
    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_SIGNAL);
    if (!effect)
        return;
    effect->owned_body = malloc(body.len + 1);
    if (!effect->owned_body) {
        wzp_client_effect_free(effect);
        client->stats.lost_effects++;
        return;
    }
    memcpy(effect->owned_body, body.data, body.len);
    effect->owned_body[body.len] = '\0';
    effect->event.body = wz_bytes(effect->owned_body, body.len);
    effect->event.signal_name = wzp_signal_kind_name(signal->kind);
    client_push(client, effect);
}

void wzp_client_message(struct wzp_client *client, uint64_t conn, struct wz_bytes body, uint64_t now_us)
{
    const bool is_signal = conn != 0 && conn == client->signal.id;
    struct client_link *direct = NULL;
    struct wzp_client_call *call = is_signal || conn == 0 ? NULL : call_of_conn(client, conn, &direct);
    if (!is_signal && !call)
        return;
    struct wzp_signal signal = { 0 };
    if (wzp_signal_decode(body, &signal) < 0) {
        client->stats.bad_signals++; /* the connection lives (spec 3.3) */
        return;
    }
    trace_incoming(client, call ? call : call_named_by(client, &signal), &signal, body);
    if (signal.kind == WZP_SIG_UNKNOWN)
        client->stats.unknown_signals++;
    else if (is_signal)
        client_signal_message(client, &signal, now_us);
    else if (direct)
        client_direct_message(client, call, direct, &signal, now_us);
    else
        client_media_message(client, call, &signal, now_us);
    wzp_signal_done(&signal);
}

void wzp_client_media_seen(struct wzp_client *client, uint64_t call_id, uint64_t now_us)
{
    struct wzp_client_call *call = client_call_find(client, call_id);
    if (!call)
        return;
    call->media_seen_us = now_us;
    client_path_step(client, call, &(struct wzp_race_event){ .kind = WZP_RACE_MEDIA }, now_us);
}

void wzp_client_media_elsewhere(struct wzp_client *client, uint64_t conn, uint64_t now_us)
{
    struct client_link *link = NULL;
    struct wzp_client_call *call = conn == 0 ? NULL : call_of_conn(client, conn, &link);
    if (link)
        client_path_step(client, call, &(struct wzp_race_event){ .kind = WZP_RACE_LINK_MEDIA, .link = conn }, now_us);
}

static uint64_t call_deadline_us(const struct wzp_client_call *call)
{
    const uint64_t at_us[] = { call->deadline_us, call->media_deadline_us, call->dial_deadline_us, call->redial_at_us,
                               wzp_race_deadline_us(&call->race) };
    uint64_t first = WZP_CLIENT_NEVER;
    for (size_t i = 0; i < sizeof at_us / sizeof at_us[0]; i++)
        first = at_us[i] < first ? at_us[i] : first;
    return first;
}

static struct wzp_client_call *call_due(const struct wzp_client *client, uint64_t now_us)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls) {
        struct wzp_client_call *call = wz_container_of(pos, struct wzp_client_call, node);
        if (call_deadline_us(call) <= now_us)
            return call;
    }
    return NULL;
}

void wzp_client_tick(struct wzp_client *client, uint64_t now_us)
{
    client_signal_tick(client, now_us);
    client_hangup_review(client, now_us);
    /* One call's end may end another, so look afresh after each. */
    for (struct wzp_client_call *call; (call = call_due(client, now_us));)
        client_call_tick(client, call, now_us);
}

uint64_t wzp_client_deadline_us(const struct wzp_client *client)
{
    uint64_t first = client_signal_deadline_us(client);
    const uint64_t hangup_us = client_hangup_deadline_us(client);
    first = hangup_us < first ? hangup_us : first;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls) {
        const uint64_t at_us = call_deadline_us(wz_container_of(pos, struct wzp_client_call, node));
        first = at_us < first ? at_us : first;
    }
    return first;
}

void wzp_client_set_addresses(struct wzp_client *client, const struct wzp_line_addresses *addresses)
{
    client->addresses = *addresses;
}

bool wzp_client_is_registered(const struct wzp_client *client)
{
    return client->signal_state == CLIENT_SIGNAL_REGISTERED;
}

const char *wzp_client_fingerprint(const struct wzp_client *client)
{
    return client->identity.fingerprint;
}

const char *wzp_client_reflexive_addr(const struct wzp_client *client)
{
    return client->reflexive_addr;
}

const char *wzp_client_call_id(const struct wzp_client *client, uint64_t call_id)
{
    const struct wzp_client_call *call = client_call_find(client, call_id);
    return call ? call->call_id : NULL;
}

const struct wzp_client_stats *wzp_client_stats(const struct wzp_client *client)
{
    return &client->stats;
}
