/* Datagrams: where they go, and what the quality reports in them mean for the room (spec 6.7).
 *
 * A room's tier is that of its weakest participant; one that reports nothing counts as Good. Those who send reports
 * themselves understand a QualityDirective (others may be old and lose their signalling over it) and are told whenever the
 * tier is not the one they were told last. Reports come in datagrams, where nothing is sent or allocated: they only put
 * the room on a list for the next tick.
 *
 *   at rest ──report changed something──► due ──tick: nothing to tell──► at rest
 *      ▲                                   └─────tick: directive────► cooling (one second)
 *      └───────── tick, nothing changed meanwhile, else looked at again ────┘ */
#include "wzp/core/relay_private.h"

#include <stdio.h>

/* ---- quality of rooms ---- */

static struct relay_room *first_room(const struct wz_list *list)
{
    return wz_list_is_empty(list) ? NULL : wz_container_of(list->next, struct relay_room, quality);
}

static bool has_reported(const struct relay_member *member)
{
    return atomic_load_explicit(&member->report, memory_order_relaxed) != 0;
}

static enum wzp_tier weakest_tier(const struct relay_room *room)
{
    enum wzp_tier tier = wzp_quality_tier(&room->member[0]->media->quality);
    for (size_t i = 1; i < room->count; i++) {
        const enum wzp_tier other = wzp_quality_tier(&room->member[i]->media->quality);
        if (other < tier)
            tier = other;
    }
    return tier;
}

/** Tell those who report and believe something else. False when there is nobody to tell. */
static bool direct(struct wzp_relay *relay, struct relay_room *room, enum wzp_tier tier)
{
    char reason[64];
    (void)snprintf(reason, sizeof reason, "weakest link: %s", wzp_tier_name(tier)); /* names are short */
    const struct wzp_signal directive = {
        .kind = WZP_SIG_QUALITY_DIRECTIVE,
        .quality_directive = { .recommended_profile = *wzp_tier_profile(tier), .reason = reason },
    };
    bool told = false;
    for (size_t i = 0; i < room->count; i++) {
        struct relay_member *member = room->member[i]->media;
        if (member->told_tier == tier || !has_reported(member))
            continue;
        member->told_tier = tier;
        relay_send(relay, room->member[i], &directive);
        told = true;
    }
    return told;
}

static void look_at(struct wzp_relay *relay, struct relay_room *room)
{
    wz_list_remove(&room->quality);
    room->is_cooling = room->quality_dirty = false;
    const enum wzp_tier tier = weakest_tier(room);
    if (!direct(relay, room, tier))
        return;
    relay->stats.quality_directives++;
    relay_log(relay, WZP_RELAY_LOG_INFO, "room.quality", "room=%s tier=%s participants=%zu", room->name,
              wzp_tier_name(tier), room->count);
    room->is_cooling = true;
    room->cool_at_us = relay->now_us + WZP_RELAY_DIRECTIVE_GAP_US;
    wz_list_append(&relay->quality_cooling, &room->quality);
}

void relay_quality_review(struct wzp_relay *relay, struct relay_room *room)
{
    if (relay->quality_directives_off)
        return;
    if (room->is_cooling)
        room->quality_dirty = true;
    else
        look_at(relay, room);
}

void relay_quality_tick(struct wzp_relay *relay)
{
    struct relay_room *room;
    while ((room = first_room(&relay->quality_due)))
        look_at(relay, room);
    while ((room = first_room(&relay->quality_cooling)) && room->cool_at_us <= relay->now_us) {
        wz_list_remove(&room->quality);
        room->is_cooling = false;
        if (room->quality_dirty)
            look_at(relay, room);
    }
}

uint64_t relay_quality_deadline_us(const struct wzp_relay *relay)
{
    if (!wz_list_is_empty(&relay->quality_due))
        return relay->quality_due_us;
    const struct relay_room *room = first_room(&relay->quality_cooling);
    return room ? room->cool_at_us : UINT64_MAX;
}

bool wzp_relay_is_due(const struct wzp_relay *relay)
{
    return !wz_list_is_empty(&relay->quality_due);
}

/** Datagrams have changed something in the room: look at it in the next tick. */
static void touch(struct wzp_relay *relay, struct relay_room *room, uint64_t now_us)
{
    if (room->quality_dirty)
        return;
    room->quality_dirty = true;
    if (room->is_cooling)
        return;
    if (wz_list_is_empty(&relay->quality_due))
        relay->quality_due_us = now_us;
    wz_list_append(&relay->quality_due, &room->quality);
}

static void note_report(struct wzp_relay *relay, struct relay_member *member, struct wz_bytes datagram, uint64_t now_us)
{
    const uint8_t *trailer = datagram.data + datagram.len - WZP_MEDIA_TRAILER_BYTES;
    const struct wzp_quality_report report = {
        .loss = trailer[0], .rtt_4ms = trailer[1], .jitter_ms = trailer[2], .bitrate_cap_kbps = trailer[3]
    };
    const bool is_first = !has_reported(member);
    atomic_store_explicit(&member->report, relay_report_pack(&report), memory_order_relaxed);
    if (relay->quality_directives_off)
        return;
    const bool is_changed = wzp_quality_report(&member->quality, &report, now_us);
    if (is_changed || is_first) /* who reports for the first time may have to hear what the others know */
        touch(relay, member->room, now_us);
}

/* ---- the fast path ---- */

struct wzp_relay_port *wzp_relay_port(struct wzp_relay *relay, uint64_t conn_id)
{
    return (struct wzp_relay_port *)(void *)relay_find_conn(relay, conn_id);
}

/** Bytes between header and trailer, or -1 for what no receiver could read. */
static int payload_bytes(struct wz_bytes datagram, bool has_report)
{
    if (datagram.len < WZP_MEDIA_HEADER_BYTES)
        return -1;
    const unsigned codec = datagram.data[0] >> 2 & 0x0f;
    const size_t overhead = WZP_MEDIA_HEADER_BYTES + (has_report ? WZP_MEDIA_TRAILER_BYTES : 0u);
    if (codec >= WZP_CODEC_COUNT || datagram.len < overhead)
        return -1;
    return (int)(datagram.len - overhead);
}

/** The handles of all but one member. */
static size_t others(struct wzp_relay *relay, const struct relay_room *room, size_t sender)
{
    size_t count = 0;
    for (size_t i = 0; i < room->count; i++)
        if (i != sender && room->handle[i])
            relay->route[count++] = room->handle[i];
    return count;
}

size_t wzp_relay_route_from(struct wzp_relay *relay, struct wzp_relay_port *port, struct wz_bytes datagram,
                            uint64_t now_us, void *const **ret_handles)
{
    const struct relay_conn *conn = (const struct relay_conn *)(const void *)port;
    relay_count(&relay->datagrams_in, 1);
    if (conn->state != RELAY_CONN_JOINED)
        return 0;
    const bool has_report = datagram.len > 0 && datagram.data[0] & 0x02;
    const int payload = payload_bytes(datagram, has_report);
    if (payload < 0) {
        relay_count(&relay->datagrams_bad, 1);
        return 0;
    }
    struct relay_member *member = conn->media;
    relay_count(&member->datagrams_in, 1);
    if (has_report)
        note_report(relay, member, datagram, now_us);
    const size_t count = others(relay, member->room, member->index);
    relay_count(&member->room->forwarded, count);
    relay_count(&relay->packets_forwarded, count);
    relay_count(&relay->bytes_forwarded, count * (uint64_t)payload);
    *ret_handles = relay->route;
    return count;
}

size_t wzp_relay_route(struct wzp_relay *relay, uint64_t conn_id, struct wz_bytes datagram, uint64_t now_us,
                       void *const **ret_handles)
{
    struct wzp_relay_port *port = wzp_relay_port(relay, conn_id);
    return port ? wzp_relay_route_from(relay, port, datagram, now_us, ret_handles) : 0;
}
