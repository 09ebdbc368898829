/* The race of a call carried out: paths that come and go, and what the user hears of it. */
#include "wzp/core/client_internal.h"

#include <stdio.h>

void client_path_note_failure(struct wzp_client_call *call, const char *reason)
{
    (void)snprintf(call->media_failure, sizeof call->media_failure, "%s", reason);
}

void client_path_init(struct wzp_client_call *call)
{
    wzp_race_start(&call->race, &(struct wzp_race_config){ .kind = WZP_RACE_NONE }, 0);
}

static void tell_path(struct wzp_client *client, const struct wzp_client_call *call, enum wzp_line_event_kind kind,
                      enum wzp_line_path path, const struct wz_addr *remote)
{
    char text[WZ_ADDR_TEXT_MAX];
    struct wzp_client_effect *effect = client_event(client, call, kind);
    if (!effect)
        return;
    (void)snprintf(effect->text, sizeof effect->text, "%s", wz_addr_format(remote, text));
    effect->event.path = path;
    effect->event.path_remote = effect->text;
    client_push(client, effect);
}

static void send_media_on(struct wzp_client *client, const struct wzp_client_call *call, uint64_t conn)
{
    struct wzp_client_effect *effect = client_effect_new(WZP_CLIENT_USE);
    if (effect) {
        effect->conn = conn;
        effect->call = call->id;
    }
    client_push(client, effect);
}

static void use_path(struct wzp_client *client, struct wzp_client_call *call, uint64_t conn, enum wzp_line_path path,
                     const struct wz_addr *remote)
{
    call->state = CLIENT_UP;
    call->deadline_us = call->media_deadline_us = call->alone_us = WZP_CLIENT_NEVER;
    send_media_on(client, call, conn);
    tell_path(client, call, WZP_LINE_PATH, path, remote);
    if (!call->was_up)
        tell_path(client, call, WZP_LINE_MEDIA_UP, path, remote);
    call->was_up = true;
}

static void use_direct(struct wzp_client *client, struct wzp_client_call *call, const struct client_link *link)
{
    call->rejoining = false;
    call->redial_at_us = call->lost_us = WZP_CLIENT_NEVER;
    client->stats.direct_won++;
    use_path(client, call, link->conn.id, WZP_LINE_PATH_DIRECT, &link->remote);
}

static void use_none(struct wzp_client *client, struct wzp_client_call *call)
{
    call->state = CLIENT_DOWN;
    send_media_on(client, call, 0);
    struct wzp_client_effect *effect = client_event(client, call, WZP_LINE_MEDIA_DOWN);
    if (!effect)
        return;
    (void)snprintf(effect->text, sizeof effect->text, "%s", call->media_failure);
    effect->event.reason = effect->text;
    client_push(client, effect);
}

static void tell_peer(struct wzp_client *client, const struct wzp_client_call *call, bool direct_ok)
{
    if (client->signal_state == CLIENT_SIGNAL_REGISTERED)
        client_direct_report(client, call, &client->signal, direct_ok);
}

void client_path_tell_relay(struct wzp_client *client)
{
    struct wz_list *pos, *tmp;
    if (!client->relay_build) /* it would drop us for the unknown message */
        return;
    wz_list_foreach (pos, tmp, &client->calls) {
        const struct wzp_client_call *call = wz_container_of(pos, struct wzp_client_call, node);
        if (call->kind != CLIENT_ROOM && call->race.config.reports && wzp_race_is_direct(&call->race))
            tell_peer(client, call, true);
    }
}

static void on_link_effect(struct wzp_client *client, struct wzp_client_call *call,
                           const struct wzp_race_effect *effect, uint64_t now_us)
{
    struct client_link *link = client_direct_find(call, effect->link);
    if (!link)
        return;
    switch (effect->kind) {
    case WZP_RACE_USE_DIRECT:
        use_direct(client, call, link);
        break;
    case WZP_RACE_TELL_LINK:
        client_direct_report(client, call, &link->conn, effect->ok);
        break;
    case WZP_RACE_PROBE:
        client_direct_probe(client, call, &link->conn, now_us);
        break;
    default: /* CLOSE_LINK */
        client_conn_close(client, &link->conn, "not-selected");
        break;
    }
}

static void apply(struct wzp_client *client, struct wzp_client_call *call, const struct wzp_race_effect *effect,
                  uint64_t now_us)
{
    switch (effect->kind) {
    case WZP_RACE_USE_DIRECT:
    case WZP_RACE_CLOSE_LINK:
    case WZP_RACE_TELL_LINK:
    case WZP_RACE_PROBE:
        on_link_effect(client, call, effect, now_us);
        break;
    case WZP_RACE_USE_RELAY:
        use_path(client, call, call->media.id, WZP_LINE_PATH_RELAY, &call->media_addr);
        client_media_await_peer(call, now_us);
        break;
    case WZP_RACE_USE_NONE:
        use_none(client, call);
        break;
    case WZP_RACE_TELL_PEER:
        tell_peer(client, call, effect->ok);
        break;
    case WZP_RACE_KNOCK:
        client_direct_knock(client, call);
        break;
    case WZP_RACE_DROP_RELAY:
        client_media_leave(client, call, "not-selected");
        break;
    case WZP_RACE_WANT_RELAY:
        if ((call->media.id == 0 || call->was_up) && !call->rejoining)
            client_media_rejoin(client, call, now_us);
        break;
    }
}

static void race_room_again(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    call->race_again = false;
    client_path_start(client, call, now_us);
}

static void carry_out(struct wzp_client *client, struct wzp_client_call *call, const struct wzp_race_effects *effects,
                      bool was_lost, uint64_t now_us)
{
    bool path_gone = false;
    for (size_t i = 0; i < effects->count; i++) {
        apply(client, call, &effects->item[i], now_us);
        path_gone = path_gone || effects->item[i].kind == WZP_RACE_USE_NONE;
    }
    client->stats.direct_lost_path += call->race.lost && !was_lost;
    if (wzp_race_is_direct(&call->race))
        call->race_again = false; /* nothing better to race for */
    if (call->race_again && !wzp_race_is_open(&call->race))
        race_room_again(client, call, now_us);
    if (path_gone)
        client_hangup_review(client, now_us); /* last: it may end this call */
}

void client_path_start(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    wzp_race_start(&call->race, &call->plan.config, now_us);
    client_direct_dial(client, call, &call->plan);
    client_direct_begin_early(client, call, now_us);
    if (call->early_report != CLIENT_NO_REPORT)
        client_path_step(
            client, call,
            &(struct wzp_race_event){ .kind = WZP_RACE_PEER_REPORT, .ok = call->early_report == CLIENT_REPORT_DIRECT },
            now_us);
}

void client_path_step(struct wzp_client *client, struct wzp_client_call *call, const struct wzp_race_event *event,
                      uint64_t now_us)
{
    struct wzp_race_effects effects;
    const bool was_lost = call->race.lost;
    wzp_race_step(&call->race, event, now_us, &effects);
    carry_out(client, call, &effects, was_lost, now_us);
}

void client_path_tick(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    struct wzp_race_effects effects;
    const bool was_lost = call->race.lost;
    if (wzp_race_is_direct(&call->race))
        client_path_note_failure(call, "the direct path is silent");
    wzp_race_tick(&call->race, now_us, &effects);
    carry_out(client, call, &effects, was_lost, now_us);
}

void client_path_peer_came(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    client_path_step(client, call, &(struct wzp_race_event){ .kind = WZP_RACE_PEER_IN_ROOM }, now_us);
    /* The two of a room come at different times: what was dialled before the other was there found nobody. */
    if (call->kind != CLIENT_ROOM || call->plan.config.kind != WZP_RACE_OWN || call->race.lost ||
        wzp_race_is_direct(&call->race))
        return;
    call->race_again = true;
    if (!wzp_race_is_open(&call->race))
        race_room_again(client, call, now_us);
}
