/* The queue of effects, and the connections that are made of them. */
#include "wzp/core/client_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct wzp_client_effect *client_effect_new(enum wzp_client_effect_kind kind)
{
    struct wzp_client_effect *effect = calloc(1, sizeof *effect);
    if (!effect)
        return NULL;
    effect->kind = kind;
    effect->reason = "";
    wz_list_init(&effect->node);
    return effect;
}

void wzp_client_effect_free(struct wzp_client_effect *effect)
{
    if (!effect)
        return;
    free(effect->owned_body);
    wzp_signal_done(&effect->owned_signal);
    free(effect);
}

struct wzp_client_effect *wzp_client_next_effect(struct wzp_client *client)
{
    if (wz_list_is_empty(&client->effects))
        return NULL;
    struct wz_list *node = client->effects.next;
    wz_list_remove(node);
    return wz_container_of(node, struct wzp_client_effect, node);
}

void client_push(struct wzp_client *client, struct wzp_client_effect *effect)
{
    if (!effect) {
        client->stats.lost_effects++;
        return;
    }
    wz_list_append(&client->effects, &effect->node);
}

struct wzp_client_effect *client_event(struct wzp_client *client, const struct wzp_client_call *call,
                                       enum wzp_line_event_kind kind)
{
    struct wzp_client_effect *effect = client_effect_new(WZP_CLIENT_EVENT);
    if (!effect) {
        client->stats.lost_effects++;
        return NULL;
    }
    effect->event.kind = kind;
    if (call) {
        effect->call = call->id;
        memcpy(effect->call_id, call->call_id, sizeof effect->call_id);
        effect->event.call_id = effect->call_id;
    }
    return effect;
}

void client_send(struct wzp_client *client, const struct client_conn *conn, const struct wzp_client_call *call,
                 const struct wzp_signal *signal)
{
    struct wzp_client_effect *effect = client_effect_new(WZP_CLIENT_SEND);
    char *json = NULL;
    size_t len = 0;
    if (!effect || wzp_signal_encode(signal, &json, &len) < 0) {
        wzp_client_effect_free(effect);
        client->stats.lost_effects++;
        return;
    }
    effect->conn = conn->id;
    effect->call = call ? call->id : 0;
    effect->signal = signal->kind;
    effect->owned_body = json;
    effect->body = wz_bytes(json, len);
    client_push(client, effect);
}

void client_send_token(struct wzp_client *client, const struct client_conn *conn)
{
    if (!client->auth_token)
        return;
    const struct wzp_signal token = { .kind = WZP_SIG_AUTH_TOKEN, .auth_token = { .token = client->auth_token } };
    client_send(client, conn, NULL, &token);
}

int client_conn_accept(struct wzp_client *client, struct client_conn *conn)
{
    struct wzp_client_effect *close = client_effect_new(WZP_CLIENT_CLOSE);
    if (!close)
        return -ENOMEM;
    *conn = (struct client_conn){ .id = ++client->last_conn, .up = true, .close = close };
    close->conn = conn->id;
    return 0;
}

int client_dial(struct wzp_client *client, struct client_conn *conn, uint64_t call, const struct wz_addr *to,
                const char *sni, bool is_direct)
{
    struct wzp_client_effect *dial = client_effect_new(WZP_CLIENT_DIAL);
    struct wzp_client_effect *close = client_effect_new(WZP_CLIENT_CLOSE);
    if (!dial || !close) {
        wzp_client_effect_free(dial);
        wzp_client_effect_free(close);
        return -ENOMEM;
    }
    conn->id = ++client->last_conn;
    conn->up = false;
    conn->close = close;
    dial->conn = close->conn = conn->id;
    dial->call = call;
    dial->to = *to;
    dial->is_direct = is_direct;
    (void)snprintf(dial->sni, sizeof dial->sni, "%s", sni);
    client_push(client, dial);
    return 0;
}

void client_conn_forget(struct client_conn *conn)
{
    wzp_client_effect_free(conn->close);
    *conn = (struct client_conn){ 0 };
}

void client_conn_close(struct wzp_client *client, struct client_conn *conn, const char *reason)
{
    if (conn->id == 0)
        return;
    conn->close->reason = reason;
    client_push(client, conn->close);
    *conn = (struct client_conn){ 0 };
}
