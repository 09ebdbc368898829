#include "wzp/core/relay_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/** Longest text of a LOG effect. */
#define LOG_TEXT_MAX 512

void relay_effects_begin(struct wzp_relay *relay, uint64_t now_us)
{
    for (size_t i = 0; i < relay->owned_count; i++)
        free(relay->owned[i]);
    relay->owned_count = relay->effect_count = 0;
    relay->effect_lost = false;
    relay->now_us = now_us;
}

int relay_effects_end(struct wzp_relay *relay, struct wzp_relay_effects *ret)
{
    *ret = (struct wzp_relay_effects){ .count = relay->effect_count, .item = relay->effect };
    return relay->effect_lost ? -ENOMEM : 0;
}

void relay_effects_free(struct wzp_relay *relay)
{
    relay_effects_begin(relay, 0);
    free(relay->owned);
    free(relay->effect);
}

/** Double an array that is full. */
static bool make_room(void **array, size_t count, size_t *size, size_t item_bytes)
{
    if (count < *size)
        return true;
    const size_t size_new = *size ? *size * 2 : 16;
    void *grown = realloc(*array, size_new * item_bytes);
    if (!grown)
        return false;
    *array = grown;
    *size = size_new;
    return true;
}

static bool push(struct wzp_relay *relay, const struct wzp_relay_effect *effect)
{
    void *array = relay->effect;
    const bool ok = make_room(&array, relay->effect_count, &relay->effect_size, sizeof *relay->effect);
    relay->effect = array;
    if (ok)
        relay->effect[relay->effect_count++] = *effect;
    else
        relay->effect_lost = true;
    return ok;
}

/** Have block freed when the next step begins; on failure it is freed now. */
static bool own(struct wzp_relay *relay, void *block)
{
    void *array = relay->owned;
    const bool ok = make_room(&array, relay->owned_count, &relay->owned_size, sizeof *relay->owned);
    relay->owned = array;
    if (ok) {
        relay->owned[relay->owned_count++] = block;
    } else {
        free(block);
        relay->effect_lost = true;
    }
    return ok;
}

static bool encode(struct wzp_relay *relay, const struct wzp_signal *signal, struct wz_bytes *ret)
{
    char *json = NULL;
    size_t len = 0;
    if (wzp_signal_encode(signal, &json, &len) != 0) {
        relay->effect_lost = true;
        return false;
    }
    if (!own(relay, json))
        return false;
    *ret = wz_bytes(json, len);
    return true;
}

void relay_send(struct wzp_relay *relay, const struct relay_conn *conn, const struct wzp_signal *signal)
{
    struct wz_bytes body;
    if (conn->state == RELAY_CONN_CLOSING || !encode(relay, signal, &body))
        return;
    push(relay, &(struct wzp_relay_effect){ .kind = WZP_RELAY_SEND, .conn = conn->id, .body = body });
}

void relay_send_room(struct wzp_relay *relay, const struct relay_room *room, const struct wzp_signal *signal)
{
    struct wz_bytes body;
    if (!encode(relay, signal, &body))
        return;
    for (size_t i = 0; i < room->count; i++)
        push(relay, &(struct wzp_relay_effect){ .kind = WZP_RELAY_SEND, .conn = room->member[i]->id, .body = body });
}

void relay_send_build(struct wzp_relay *relay, const struct relay_conn *conn)
{
    push(relay, &(struct wzp_relay_effect){
                    .kind = WZP_RELAY_SEND_UNI, .conn = conn->id, .body = wz_bytes_str(relay->build) });
}

void relay_emit_check_token(struct wzp_relay *relay, const struct relay_conn *conn, const char *token)
{
    char *copy = strdup(token);
    if (!copy)
        relay->effect_lost = true;
    else if (own(relay, copy))
        push(relay,
             &(struct wzp_relay_effect){ .kind = WZP_RELAY_CHECK_TOKEN, .conn = conn->id, .body = wz_bytes_str(copy) });
}

void relay_emit_close(struct wzp_relay *relay, const struct relay_conn *conn, const char *reason)
{
    push(relay, &(struct wzp_relay_effect){ .kind = WZP_RELAY_CLOSE, .conn = conn->id, .reason = reason });
}

void relay_log(struct wzp_relay *relay, enum wzp_relay_log_level level, const char *event, const char *format, ...)
{
    char text[LOG_TEXT_MAX];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = len >= 0 ? strdup(text) : NULL;
    if (!copy)
        relay->effect_lost = true;
    else if (own(relay, copy))
        push(relay, &(struct wzp_relay_effect){ .kind = WZP_RELAY_LOG, .level = level, .reason = event, .text = copy });
}

const char *relay_log_text(const char *text, char buf[static WZP_CALL_ID_MAX + 1])
{
    size_t i = 0;
    for (; text[i] && i < WZP_CALL_ID_MAX; i++) {
        const char c = text[i];
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._:-", c);
        buf[i] = plain ? c : '?';
    }
    buf[i] = '\0';
    return buf;
}
