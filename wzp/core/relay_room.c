/* Media connections: handshake, who may enter which room, RoomUpdate. Forwarding is wzp_relay_route(). */
#include "wzp/core/relay_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "wzp/core/handshake.h"

static struct relay_room *find_room(const struct wzp_relay *relay, const char *name)
{
    struct wz_hash_node *node = wz_hash_find(&relay->rooms, wz_bytes_str(name));
    return node ? wz_container_of(node, struct relay_room, by_name) : NULL;
}

bool relay_room_exists(const struct wzp_relay *relay, const char *name)
{
    char folded[WZP_RELAY_ROOM_NAME_MAX + 1];
    size_t i = 0;
    for (; name[i] && i < WZP_RELAY_ROOM_NAME_MAX; i++)
        folded[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    folded[i] = '\0';
    return find_room(relay, folded) != NULL;
}

static bool is_call_room(const char *name)
{
    return strncmp(name, WZP_CALL_ROOM_PREFIX, sizeof WZP_CALL_ROOM_PREFIX - 1) == 0;
}

/* ---- rooms ---- */

static void free_room(struct wzp_relay *relay, struct relay_room *room)
{
    wz_hash_remove(&relay->rooms, &room->by_name);
    if (room->is_call)
        relay->call_rooms--;
    free(room->member);
    free(room->name);
    free(room);
}

static struct relay_room *open_room(struct wzp_relay *relay, const char *name)
{
    struct relay_room *room = calloc(1, sizeof *room);
    if (!room || !(room->name = strdup(name)))
        goto fail;
    if (wz_hash_insert(&relay->rooms, &room->by_name, wz_bytes_str(room->name)) != 0)
        goto fail;
    room->is_call = is_call_room(name);
    if (room->is_call)
        relay->call_rooms++;
    return room;
fail:
    if (room)
        free(room->name);
    free(room);
    return NULL;
}

static void free_room_visit(void *arg, struct wz_hash_node *node)
{
    free_room(arg, wz_container_of(node, struct relay_room, by_name));
}

void relay_rooms_free(struct wzp_relay *relay)
{
    wz_hash_each(&relay->rooms, free_room_visit, relay);
}

/** Space for one more member, and for all the others' handles in wzp_relay_route(). */
static bool make_place(struct wzp_relay *relay, struct relay_room *room)
{
    if (room->count == room->size) {
        const size_t size = room->size ? room->size * 2 : 2;
        struct relay_conn **member = realloc(room->member, size * sizeof(struct relay_conn *));
        if (!member)
            return false;
        room->member = member;
        room->size = size;
    }
    if (room->count >= relay->route_size) {
        const size_t size = relay->route_size ? relay->route_size * 2 : 8;
        void **route = realloc(relay->route, size * sizeof(void *));
        if (!route)
            return false;
        relay->route = route;
        relay->route_size = size;
    }
    return true;
}

static void announce(struct wzp_relay *relay, const struct relay_room *room)
{
    struct wzp_participant *list = calloc(room->count, sizeof *list);
    if (!list) {
        relay->effect_lost = true;
        return;
    }
    for (size_t i = 0; i < room->count; i++)
        list[i] =
            (struct wzp_participant){ .fingerprint = room->member[i]->fingerprint, .alias = room->member[i]->alias };
    relay_send_room(
        relay, room,
        &(struct wzp_signal){
            .kind = WZP_SIG_ROOM_UPDATE,
            .room_update = { .count = (uint32_t)room->count, .participant_count = room->count, .participant = list } });
    free(list);
}

/** The call a member's room belongs to; NULL for plain rooms and for calls already forgotten. */
static struct wzp_registry_call *call_of_member(const struct wzp_relay *relay, const struct relay_conn *conn)
{
    return conn->party == WZP_REGISTRY_NOBODY ? NULL : wzp_registry_find_room(&relay->registry, conn->room_name);
}

/** Keep a leaving member's counters with its call. */
static void bank_counters(struct wzp_registry_call *call, const struct relay_conn *conn, const struct relay_room *room)
{
    call->past_from[conn->party] += atomic_load_explicit(&conn->datagrams_in, memory_order_relaxed);
    if (room->count == 0)
        call->past_forwarded += atomic_load_explicit(&room->forwarded, memory_order_relaxed);
}

void relay_room_leave(struct wzp_relay *relay, struct relay_conn *conn)
{
    struct relay_room *room = conn->room;
    struct wzp_registry_call *call = call_of_member(relay, conn);
    room->count--;
    for (size_t i = conn->room_index; i < room->count; i++) {
        room->member[i] = room->member[i + 1];
        room->member[i]->room_index = i;
    }
    conn->room = NULL;
    conn->state = RELAY_CONN_CLOSING;
    relay->stats.sessions--;
    relay_log(relay, WZP_RELAY_LOG_INFO, "room.left", "room=%s fingerprint=%s participants=%zu", room->name,
              conn->fingerprint, room->count);
    if (call) {
        bank_counters(call, conn, room);
        wzp_registry_set_in_room(&relay->registry, call, conn->party, false, relay->now_us);
    }
    if (room->count > 0)
        announce(relay, room);
    else
        free_room(relay, room);
}

/* ---- entering ---- */

static void refuse(struct wzp_relay *relay, struct relay_conn *conn, uint64_t *counter, const char *why)
{
    char remote[WZ_ADDR_TEXT_MAX], room[WZP_CALL_ID_MAX + 1];
    (*counter)++;
    relay_log(relay, WZP_RELAY_LOG_WARN, "room.refused", "room=%s remote=%s why=\"%s\"",
              relay_log_text(conn->room_name, room), wz_addr_format(&conn->remote, remote), why);
    relay_close(relay, conn, why);
}

/** A call's room is for its two parties while the call lives. */
static bool may_enter_call(struct wzp_relay *relay, struct relay_conn *conn)
{
    const struct wzp_registry_call *call = wzp_registry_find_room(&relay->registry, conn->room_name);
    if (!call || call->state == WZP_REGISTRY_ENDED)
        return false;
    conn->party = wzp_registry_party_of(call, conn->fingerprint);
    return conn->party != WZP_REGISTRY_NOBODY;
}

/** A party that dials again (its old connection may be dead but not yet timed out) takes its own place. */
static void replace_earlier(struct wzp_relay *relay, const struct relay_conn *conn)
{
    const struct relay_room *room = find_room(relay, conn->room_name);
    for (size_t i = 0; room && i < room->count; i++) {
        if (room->member[i]->party == conn->party) {
            relay_close(relay, room->member[i], "replaced");
            return; /* the room may be gone now */
        }
    }
}

static char *copy_alias(const char *alias)
{
    size_t len = strnlen(alias, WZP_RELAY_ALIAS_MAX + 1);
    if (len > WZP_RELAY_ALIAS_MAX) {
        len = WZP_RELAY_ALIAS_MAX;
        while (len > 0 && ((unsigned char)alias[len] & 0xc0) == 0x80)
            len--; /* do not cut inside a UTF-8 character */
    }
    return strndup(alias, len);
}

/** Enter the room; everybody there, the newcomer included, gets a RoomUpdate. */
static void join(struct wzp_relay *relay, struct relay_conn *conn)
{
    struct relay_room *room = find_room(relay, conn->room_name);
    if (!room && !(room = open_room(relay, conn->room_name))) {
        relay->effect_lost = true;
        return;
    }
    if (!make_place(relay, room)) {
        relay->effect_lost = true;
        if (room->count == 0)
            free_room(relay, room);
        return;
    }
    conn->room = room;
    conn->room_index = room->count;
    room->member[room->count++] = conn;
    conn->state = RELAY_CONN_JOINED;
    relay->stats.sessions++;
    relay_log(relay, WZP_RELAY_LOG_INFO, "room.joined", "room=%s fingerprint=%s participants=%zu", room->name,
              conn->fingerprint, room->count);
    struct wzp_registry_call *call = call_of_member(relay, conn);
    if (call)
        wzp_registry_set_in_room(&relay->registry, call, conn->party, true, relay->now_us);
    announce(relay, room);
}

static int send_call_answer(struct wzp_relay *relay, const struct relay_conn *conn)
{
    struct wzp_handshake handshake;
    struct wzp_signal answer;
    int err = wzp_handshake_init(&handshake, relay->rng);
    if (err)
        return err;
    err = wzp_handshake_answer(&handshake, &relay->identity, &answer);
    wzp_handshake_done(&handshake); /* the session key protects nothing on this wire */
    if (err)
        return err;
    relay_send(relay, conn, &answer);
    wzp_signal_done(&answer);
    return 0;
}

static void take_call_offer(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *offer)
{
    relay_greeted(conn);
    if (wzp_handshake_check_offer(offer) != 0 ||
        wzp_fingerprint_of_key(offer->call_offer.keys.identity_pub, conn->fingerprint) != 0) {
        refuse(relay, conn, &relay->stats.refused_acl, "bad call offer");
        return;
    }
    if (is_call_room(conn->room_name)) {
        if (!may_enter_call(relay, conn)) {
            refuse(relay, conn, &relay->stats.refused_acl, "not a party of this call");
            return;
        }
        replace_earlier(relay, conn);
    } else if (relay->draining) {
        refuse(relay, conn, &relay->stats.refused_limits, "relay is draining");
        return;
    }
    const struct relay_room *room = find_room(relay, conn->room_name);
    if (relay->stats.sessions >= relay->max_sessions || (room && room->count >= WZP_RELAY_ROOM_MAX)) {
        refuse(relay, conn, &relay->stats.refused_limits, "full");
        return;
    }
    const char *alias = offer->call_offer.alias;
    if ((alias && !(conn->alias = copy_alias(alias))) || send_call_answer(relay, conn) != 0) {
        relay->effect_lost = true;
        return;
    }
    join(relay, conn);
}

void relay_media_message(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal)
{
    if (conn->state == RELAY_CONN_JOINED) {
        relay_unexpected(relay, conn, signal); /* after the handshake only datagrams are looked at */
        return;
    }
    if (signal->kind == WZP_SIG_CALL_OFFER) {
        take_call_offer(relay, conn, signal);
    } else if (signal->kind != WZP_SIG_AUTH_TOKEN) { /* meant for a relay with an auth server: tolerated */
        relay_unexpected(relay, conn, signal);
        relay_close(relay, conn, "call offer expected");
    }
}

/* ---- counters ---- */

bool wzp_relay_call_flow(const struct wzp_relay *relay, const char *call_id, struct wzp_relay_call_flow *ret)
{
    const struct wzp_registry_call *call = wzp_registry_find(&relay->registry, call_id);
    if (!call)
        return false;
    uint64_t from[2] = { call->past_from[0], call->past_from[1] };
    uint64_t forwarded = call->past_forwarded;
    char name[WZP_CALL_ROOM_TEXT];
    (void)snprintf(name, sizeof name, WZP_CALL_ROOM_PREFIX "%s", call->key);
    const struct relay_room *room = find_room(relay, name);
    if (room) {
        forwarded += atomic_load_explicit(&room->forwarded, memory_order_relaxed);
        for (size_t i = 0; i < room->count; i++)
            from[room->member[i]->party] += atomic_load_explicit(&room->member[i]->datagrams_in, memory_order_relaxed);
    }
    *ret = (struct wzp_relay_call_flow){ .from_caller = from[WZP_REGISTRY_CALLER],
                                         .from_callee = from[WZP_REGISTRY_CALLEE],
                                         .forwarded = forwarded };
    return true;
}

bool wzp_relay_call_counts(const struct wzp_relay *relay, const char *call_id, uint64_t ret_in_out[static 2])
{
    struct wzp_relay_call_flow flow;
    if (!wzp_relay_call_flow(relay, call_id, &flow))
        return false;
    ret_in_out[0] = flow.from_caller + flow.from_callee;
    ret_in_out[1] = flow.forwarded;
    return true;
}
