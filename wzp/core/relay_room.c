/* Media connections: handshake, who may enter which room, RoomUpdate. Forwarding is wzp_relay_route(). */
#include "wzp/core/relay_private.h"

#include <errno.h>
#include <stdlib.h>

#include "wzp/core/handshake.h"

struct relay_room *relay_find_room(const struct wzp_relay *relay, const char *name)
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
    return relay_find_room(relay, folded) != NULL;
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
    wz_list_remove(&room->quality);
    free(room->member);
    free(room->handle);
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
    wz_list_init(&room->quality);
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

/** Grow *array to size items. */
static bool grow(void *array, size_t size, size_t item_bytes)
{
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    if (!(grown = realloc(old, size * item_bytes)))
        return false;
    memcpy(array, &grown, sizeof grown);
    return true;
}

/** Space for one more member, and for all the others' handles in wzp_relay_route(). */
static bool make_place(struct wzp_relay *relay, struct relay_room *room)
{
    if (room->count == room->size) {
        const size_t size = room->size ? room->size * 2 : 2;
        if (!grow(&room->member, size, sizeof room->member[0]) || !grow(&room->handle, size, sizeof room->handle[0]))
            return false;
        room->size = size;
    }
    if (room->count >= relay->route_size) {
        const size_t size = relay->route_size ? relay->route_size * 2 : 8;
        if (!grow(&relay->route, size, sizeof relay->route[0]))
            return false;
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
        list[i] = (struct wzp_participant){ .fingerprint = (char *)relay_user(room->member[i]), /* only read */
                                            .alias = room->member[i]->media->alias };
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
    const struct relay_member *member = conn->media;
    return member->party == WZP_REGISTRY_NOBODY ? NULL : wzp_registry_find_room(&relay->registry, member->room_name);
}

/** Keep a leaving member's counters with its call. */
static void bank_counters(struct wzp_registry_call *call, const struct relay_member *member,
                          const struct relay_room *room)
{
    call->past_from[member->party] += atomic_load_explicit(&member->datagrams_in, memory_order_relaxed);
    if (room->count == 0)
        call->past_forwarded += atomic_load_explicit(&room->forwarded, memory_order_relaxed);
}

static void close_gap(struct relay_room *room, size_t at)
{
    room->count--;
    for (size_t i = at; i < room->count; i++) {
        room->member[i] = room->member[i + 1];
        room->handle[i] = room->handle[i + 1];
        room->member[i]->media->index = i;
    }
}

void relay_room_leave(struct wzp_relay *relay, struct relay_conn *conn)
{
    struct relay_member *member = conn->media;
    struct relay_room *room = member->room;
    struct wzp_registry_call *call = call_of_member(relay, conn);
    close_gap(room, member->index);
    member->room = NULL;
    conn->state = RELAY_CONN_CLOSING;
    relay->stats.sessions--;
    relay_log(relay, WZP_RELAY_LOG_INFO, "room.left", "room=%s fingerprint=%s participants=%zu", room->name,
              relay_user(conn), room->count);
    if (call) {
        bank_counters(call, member, room);
        wzp_registry_set_in_room(&relay->registry, call, member->party, false, relay->now_us);
    }
    if (room->count > 0) {
        announce(relay, room);
        relay_quality_review(relay, room);
    } else {
        free_room(relay, room);
    }
}

/* ---- entering ---- */

static void refuse(struct wzp_relay *relay, struct relay_conn *conn, uint64_t *counter, const char *why)
{
    char remote[WZ_ADDR_TEXT_MAX], room[WZP_CALL_ID_MAX + 1];
    (*counter)++;
    relay_log(relay, WZP_RELAY_LOG_WARN, "room.refused", "room=%s remote=%s why=\"%s\"",
              relay_log_text(conn->media->room_name, room), wz_addr_format(&conn->remote, remote), why);
    relay_close(relay, conn, why);
}

/** A call's room is for its two parties while the call lives. */
static bool may_enter_call(struct wzp_relay *relay, struct relay_conn *conn)
{
    const struct wzp_registry_call *call = wzp_registry_find_room(&relay->registry, conn->media->room_name);
    if (!call || call->state == WZP_REGISTRY_ENDED)
        return false;
    conn->media->party = wzp_registry_party_of(call, relay_user(conn));
    return conn->media->party != WZP_REGISTRY_NOBODY;
}

/** A party that dials again (its old connection may be dead but not yet timed out) takes its own place. */
static void replace_earlier(struct wzp_relay *relay, const struct relay_conn *conn)
{
    const struct relay_room *room = relay_find_room(relay, conn->media->room_name);
    for (size_t i = 0; room && i < room->count; i++) {
        if (room->member[i]->media->party == conn->media->party) {
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
    struct relay_member *member = conn->media;
    struct relay_room *room = relay_find_room(relay, member->room_name);
    if (!room && !(room = open_room(relay, member->room_name))) {
        relay->effect_lost = true;
        return;
    }
    if (!make_place(relay, room)) {
        relay->effect_lost = true;
        if (room->count == 0)
            free_room(relay, room);
        return;
    }
    member->room = room;
    member->index = room->count;
    room->handle[room->count] = conn->handle;
    room->member[room->count++] = conn;
    conn->state = RELAY_CONN_JOINED;
    relay->stats.sessions++;
    relay_log(relay, WZP_RELAY_LOG_INFO, "room.joined", "room=%s fingerprint=%s participants=%zu", room->name,
              relay_user(conn), room->count);
    struct wzp_registry_call *call = call_of_member(relay, conn);
    if (call)
        wzp_registry_set_in_room(&relay->registry, call, member->party, true, relay->now_us);
    announce(relay, room);
    relay_quality_review(relay, room);
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

/** Who offers, and that it may: false after refusing. */
static bool check_call_offer(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *offer)
{
    const struct wzp_signed_keys *keys = &offer->call_offer.keys;
    if (!relay_charge(relay, conn, RELAY_CHARGE_JOIN)) { /* before the signature, which costs the most */
        relay_close(relay, conn, "too many joins from this address, wait a minute");
        return false;
    }
    if (wzp_handshake_check_offer(offer) != 0 || wzp_fingerprint_of_key(keys->identity_pub, conn->fingerprint) != 0) {
        refuse(relay, conn, &relay->stats.refused_acl, "bad call offer");
        return false;
    }
    const int err = relay->strict ? relay_seen_add(&relay->seen, keys->ephemeral_pub) : 0;
    if (err == -EEXIST) {
        refuse(relay, conn, &relay->stats.replayed_handshakes, "repeated call offer");
        return false;
    }
    if (err)
        relay->effect_lost = true;
    return err == 0;
}

/** What its room demands: false after refusing. */
static bool check_room(struct wzp_relay *relay, struct relay_conn *conn)
{
    if (is_call_room(conn->media->room_name)) {
        if (!may_enter_call(relay, conn)) {
            refuse(relay, conn, &relay->stats.refused_acl, "not a party of this call");
            return false;
        }
        replace_earlier(relay, conn);
    } else if (relay->draining) {
        refuse(relay, conn, &relay->stats.refused_limits, "relay is draining");
        return false;
    }
    const struct relay_room *room = relay_find_room(relay, conn->media->room_name);
    if (relay->stats.sessions >= relay->max_sessions || (room && room->count >= WZP_RELAY_ROOM_MAX)) {
        refuse(relay, conn, &relay->stats.refused_limits, "full");
        return false;
    }
    return true;
}

static void take_call_offer(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *offer)
{
    relay_greeted(relay, conn);
    if (!check_call_offer(relay, conn, offer) || !check_room(relay, conn))
        return;
    const char *alias = offer->call_offer.alias;
    if ((alias && !(conn->media->alias = copy_alias(alias))) || send_call_answer(relay, conn) != 0) {
        relay->effect_lost = true;
        return;
    }
    relay_count_handshake(relay, relay->now_us - conn->media->connected_us);
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
        return;
    }
    relay_unexpected(relay, conn, signal); /* an AuthToken too: as the reference without an auth server */
    relay_close(relay, conn, "call offer expected");
}
