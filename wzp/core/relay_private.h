/* Inside of the relay core, shared by relay*.c only: relay.c (life, dispatch, timers), relay_effect.c
 * (collecting effects), relay_signal.c (registration and small requests), relay_call.c (direct calls),
 * relay_room.c (media). */
#ifndef WZP_CORE_RELAY_PRIVATE_H
#define WZP_CORE_RELAY_PRIVATE_H

#include <stdatomic.h>

#include "wzp/base/hash.h"
#include "wzp/base/list.h"
#include "wzp/core/registry.h"
#include "wzp/core/relay.h"
#include "wzp/core/signal.h"

/** Participants of one room: a RoomUpdate of so many, all with long aliases, stays under the signal limit. */
#define WZP_RELAY_ROOM_MAX 1024
/** A participant's alias is cut to this many bytes. */
#define WZP_RELAY_ALIAS_MAX 64
/** Room names longer than a DNS name cannot come out of TLS. */
#define WZP_RELAY_ROOM_NAME_MAX 253
/** Ended calls stay known this long, and at most so many of them. */
#define WZP_RELAY_KEEP_ENDED_US (60 * UINT64_C(1000000))
#define WZP_RELAY_MAX_ENDED     65536
#define WZP_RELAY_MINUTE_US     UINT64_C(60000000)

enum relay_conn_state {
    RELAY_CONN_WAIT_REGISTER, /**< `_signal`, RegisterPresence is due */
    RELAY_CONN_REGISTERED,
    RELAY_CONN_PROBE,      /**< registered under the zero key: asks for its address, is nobody */
    RELAY_CONN_WAIT_OFFER, /**< media, CallOffer is due */
    RELAY_CONN_JOINED,
    RELAY_CONN_CLOSING, /**< we have asked the shell to close it: it gets nothing more */
};

struct relay_room;

struct relay_conn {
    struct wz_hash_node by_id;
    uint64_t id;
    enum relay_conn_state state;
    struct wz_addr remote, local;
    void *handle;
    struct wz_list wait; /**< in relay.waiting while the first message is due */
    uint64_t wait_until_us;
    char fingerprint[WZP_FINGERPRINT_TEXT]; /**< "" before registration or join */

    /* signal connections */
    struct wz_hash_node by_fingerprint;
    bool is_current; /**< linked in relay.registered: messages for the fingerprint come here */
    bool tells_calls_apart;
    uint64_t offer_credit_us, offer_credit_at_us; /**< token bucket: each offer costs its share of a minute */

    /* media connections */
    char *room_name;
    char *alias;
    struct relay_room *room;
    size_t room_index;
    enum wzp_registry_party party; /**< in a call room */
    /* Written by the relay's thread only; read by others for statistics. */
    _Atomic uint64_t datagrams_in;
};

struct relay_room {
    struct wz_hash_node by_name;
    char *name;
    bool is_call;
    size_t count, size;
    struct relay_conn **member; /**< in join order */
    _Atomic uint64_t forwarded;
};

struct wzp_relay {
    struct wzp_identity identity;
    char *build;
    struct wz_addr public_address;
    unsigned max_sessions, max_registrations, offers_per_minute;
    uint64_t register_wait_us;
    bool strict_privacy;
    const struct wz_rng *rng;

    bool draining;
    uint64_t now_us;           /**< of the current step */
    struct wz_hash conns;      /**< by id */
    struct wz_hash registered; /**< current signal connections by fingerprint */
    struct wz_hash rooms;      /**< by name */
    struct wz_list waiting;    /**< first message due, oldest first */
    struct wzp_registry registry;
    size_t call_rooms;

    void **route; /**< room for the largest room's handles */
    size_t route_size;

    /* The effects of the current step. */
    struct wzp_relay_effect *effect;
    size_t effect_count, effect_size;
    void **owned; /**< what the effects point to */
    size_t owned_count, owned_size;
    bool effect_lost;

    struct wzp_relay_stats stats;       /**< all but the four below */
    struct wzp_relay_stats *stats_view; /**< what wzp_relay_stats() hands out */
    _Atomic uint64_t datagrams_in, datagrams_bad, packets_forwarded, bytes_forwarded;
};

/* ---- relay_effect.c ---- */
void relay_effects_begin(struct wzp_relay *relay, uint64_t now_us);
int relay_effects_end(struct wzp_relay *relay, struct wzp_relay_effects *ret);
void relay_effects_free(struct wzp_relay *relay);
/** Encode and send; nothing when the connection is closing. */
void relay_send(struct wzp_relay *relay, const struct relay_conn *conn, const struct wzp_signal *signal);
/** The same message to every member: encoded once. */
void relay_send_room(struct wzp_relay *relay, const struct relay_room *room, const struct wzp_signal *signal);
void relay_send_build(struct wzp_relay *relay, const struct relay_conn *conn);
void relay_emit_close(struct wzp_relay *relay, const struct relay_conn *conn, const char *reason);
void relay_log(struct wzp_relay *relay, enum wzp_relay_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** Peer text made safe for a log line: cut, anything but [A-Za-z0-9._:-] becomes '?'. Returns buf. */
const char *relay_log_text(const char *text, char buf[static WZP_CALL_ID_MAX + 1]);

/* ---- relay.c ---- */
/** Take conn out of everything, then have it closed. */
void relay_close(struct wzp_relay *relay, struct relay_conn *conn, const char *reason);
/** The first message has come: its timer stops. */
void relay_greeted(struct relay_conn *conn);

/* ---- relay_signal.c ---- */
void relay_signal_message(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
/** A registered connection ends: forget the registration and its calls, unless a newer one has taken over. */
void relay_unregister(struct wzp_relay *relay, struct relay_conn *conn);
/** Where messages for this user go, or NULL. */
struct relay_conn *relay_find_registered(const struct wzp_relay *relay, const char *fingerprint);
void relay_unexpected(struct wzp_relay *relay, const struct relay_conn *conn, const struct wzp_signal *signal);

/* ---- relay_call.c ---- */
void relay_call_offer(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
void relay_call_answer(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
void relay_call_hangup(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
void relay_call_path_report(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *signal);
/** A call's timer has run out. */
void relay_call_expired(struct wzp_relay *relay, struct wzp_registry_call *call);
/** End every call of a user that is gone. */
void relay_call_party_gone(struct wzp_relay *relay, const char *fingerprint);

/* ---- relay_room.c ---- */
void relay_media_message(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
void relay_room_leave(struct wzp_relay *relay, struct relay_conn *conn);
void relay_rooms_free(struct wzp_relay *relay);
bool relay_room_exists(const struct wzp_relay *relay, const char *name);

/** A counter that only the relay's thread writes. */
static inline void relay_count(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

#endif
