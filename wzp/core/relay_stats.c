/* Counters of the relay, for metrics and call records. */
#include "wzp/core/relay_private.h"

#include <stdio.h>

void relay_count_handshake(struct wzp_relay *relay, uint64_t took_us)
{
    static const uint64_t bound_us[WZP_RELAY_HANDSHAKE_BUCKETS - 1] = { 1000,   5000,   10000,  25000,   50000,
                                                                        100000, 250000, 500000, 1000000, 2500000 };
    size_t bucket = 0;
    while (bucket < WZP_RELAY_HANDSHAKE_BUCKETS - 1 && took_us > bound_us[bucket])
        bucket++;
    relay->stats.handshakes[bucket]++;
    relay->stats.handshakes_sum_us += took_us;
}

const struct wzp_relay_stats *wzp_relay_stats(const struct wzp_relay *relay)
{
    struct wzp_relay_stats *view = relay->stats_view;
    *view = relay->stats;
    view->datagrams_in = atomic_load_explicit(&relay->datagrams_in, memory_order_relaxed);
    view->datagrams_bad = atomic_load_explicit(&relay->datagrams_bad, memory_order_relaxed);
    view->packets_forwarded = atomic_load_explicit(&relay->packets_forwarded, memory_order_relaxed);
    view->bytes_forwarded = atomic_load_explicit(&relay->bytes_forwarded, memory_order_relaxed);
    view->registered = (unsigned)relay->registered.count;
    view->calls = (unsigned)relay->registry.live;
    view->rooms = (unsigned)relay->rooms.count;
    return view;
}

struct visit {
    void (*visit)(void *arg, const struct wzp_relay_session_view *view);
    void *arg;
};

static void visit_room(void *arg, struct wz_hash_node *node)
{
    const struct visit *visit = arg;
    const struct relay_room *room = wz_container_of(node, struct relay_room, by_name);
    for (size_t i = 0; i < room->count; i++) {
        const struct relay_member *member = room->member[i]->media;
        const uint64_t report = atomic_load_explicit(&member->report, memory_order_relaxed);
        const struct wzp_relay_session_view view = {
            .conn = room->member[i]->id,
            .room = room->name,
            .fingerprint = relay_user(room->member[i]),
            .datagrams_in = atomic_load_explicit(&member->datagrams_in, memory_order_relaxed),
            .has_report = report != 0,
            .report = relay_report_unpack(report),
        };
        visit->visit(visit->arg, &view);
    }
}

void wzp_relay_each_session(const struct wzp_relay *relay,
                            void (*visit)(void *arg, const struct wzp_relay_session_view *view), void *arg)
{
    /* The visitor changes nothing; wz_hash_each() is the only iterator and takes a mutable map. */
    wz_hash_each((struct wz_hash *)&relay->rooms, visit_room, &(struct visit){ .visit = visit, .arg = arg });
}

bool wzp_relay_call_flow(const struct wzp_relay *relay, const char *call_id, struct wzp_relay_call_flow *ret)
{
    const struct wzp_registry_call *call = wzp_registry_find(&relay->registry, call_id);
    if (!call)
        return false;
    uint64_t from[2] = { call->past_from[0], call->past_from[1] };
    uint64_t forwarded = call->past_forwarded;
    char name[WZP_CALL_ROOM_TEXT];
    (void)snprintf(name, sizeof name, WZP_CALL_ROOM_PREFIX "%s", call->key);
    const struct relay_room *room = relay_find_room(relay, name);
    if (room) {
        forwarded += atomic_load_explicit(&room->forwarded, memory_order_relaxed);
        for (size_t i = 0; i < room->count; i++) {
            const struct relay_member *member = room->member[i]->media;
            from[member->party] += atomic_load_explicit(&member->datagrams_in, memory_order_relaxed);
        }
    }
    *ret = (struct wzp_relay_call_flow){ .from_caller = from[WZP_REGISTRY_CALLER],
                                         .from_callee = from[WZP_REGISTRY_CALLEE],
                                         .forwarded = forwarded };
    return true;
}
