/* Inside of the relay core, shared by relay*.c only: relay.c (life, dispatch, timers), relay_effect.c
 * (collecting effects), relay_token.c (who must show a token first), relay_signal.c (registration and small requests),
 * relay_call.c (direct calls), relay_room.c (media connections and rooms), relay_media.c (datagrams, quality of rooms),
 * relay_stats.c (counters). */
#ifndef WZP_CORE_RELAY_PRIVATE_H
#define WZP_CORE_RELAY_PRIVATE_H

#include <stdatomic.h>

#include "wzp/base/hash.h"
#include "wzp/base/list.h"
#include "wzp/core/quality.h"
#include "wzp/core/registry.h"
#include "wzp/core/relay.h"
#include "wzp/core/relay_seen.h"
#include "wzp/core/relay_source.h"
#include "wzp/core/signal.h"

/** Participants of one room: a RoomUpdate of so many, all with long names and aliases, stays under the signal limit. */
#define WZP_RELAY_ROOM_MAX 1024
/** A participant's alias is cut to this many bytes. */
#define WZP_RELAY_ALIAS_MAX 64
/** Room names longer than a DNS name cannot come out of TLS. */
#define WZP_RELAY_ROOM_NAME_MAX 253
/** Ended calls stay known this long, and at most so many of them. */
#define WZP_RELAY_KEEP_ENDED_US (60 * UINT64_C(1000000))
#define WZP_RELAY_MAX_ENDED     65536
/** A room hears of its quality no more often: a participant whose reports jump must not keep all others busy. */
#define WZP_RELAY_DIRECTIVE_GAP_US UINT64_C(1000000)

enum relay_conn_state {
    RELAY_CONN_NEW,        /**< what it is for has not been looked at; it stays so when memory ran out, and is closed */
    RELAY_CONN_WAIT_TOKEN, /**< AuthToken is due */
    RELAY_CONN_CHECKING,   /**< the token's verdict is due */
    RELAY_CONN_WAIT_REGISTER, /**< `_signal`, RegisterPresence is due */
    RELAY_CONN_REGISTERED,
    RELAY_CONN_PROBE,      /**< registered under the zero key: asks for its address, is nobody */
    RELAY_CONN_WAIT_OFFER, /**< media, CallOffer is due */
    RELAY_CONN_JOINED,
    RELAY_CONN_CLOSING, /**< we have asked the shell to close it: it gets nothing more */
};

struct relay_room;
struct relay_parked;

/** What a media connection has beyond a signal connection: there are many more of the latter. */
struct relay_member {
    uint64_t connected_us;
    char *room_name;
    char *alias;
    struct relay_room *room;       /**< NULL: not joined */
    size_t index;                  /**< in the room */
    enum wzp_registry_party party; /**< in a call room */
    struct wzp_quality quality;
    enum wzp_tier told_tier; /**< the last directive it was sent said so */
    /* Written by the relay's thread only; read by others for statistics. */
    _Atomic uint64_t datagrams_in;
    _Atomic uint64_t report; /**< the latest quality report, see relay_report_pack(); 0: none yet */
};

/** Registrations are what a relay has most of: keep it small (checked in relay.c). */
struct relay_conn {
    struct wz_hash_node by_id;
    uint64_t id;
    void *handle;
    struct relay_member *media; /**< NULL: a signal connection */
    enum relay_conn_state state;
    struct wz_addr remote, local;
    struct wz_list wait; /**< in relay.waiting while something is due from the other side */
    uint64_t waits_since_us;
    struct relay_source *source;            /**< that this connection waits; NULL when it does not */
    struct relay_parked *parked;            /**< messages kept while the token is checked, oldest first */
    char fingerprint[WZP_FINGERPRINT_TEXT]; /**< of its key; "" before registration or join */
    char *user;                             /**< the name the auth server gave; NULL: the fingerprint is the name */

    /* signal connections */
    struct wz_hash_node by_user;
    struct relay_bucket offers;
    bool is_current; /**< linked in relay.registered: messages for the user come here */
    bool tells_calls_apart;
};

struct relay_room {
    struct wz_hash_node by_name;
    char *name;
    bool is_call;
    size_t count, size;
    struct relay_conn **member; /**< in join order */
    void **handle;              /**< theirs, in the same order */
    _Atomic uint64_t forwarded;
    enum wzp_tier tier;     /**< of the last directive */
    bool quality_dirty;     /**< somebody's tier, or who is here, has changed since it was looked at */
    bool is_cooling;        /**< a directive went out less than WZP_RELAY_DIRECTIVE_GAP_US ago */
    uint64_t cool_at_us;    /**< when is_cooling */
    struct wz_list quality; /**< in relay.quality_cooling, else in relay.quality_due when dirty */
};

struct wzp_relay {
    struct wzp_identity identity;
    char *build;
    struct wz_addr public_address;
    unsigned max_sessions, max_registrations, offers_per_minute;
    uint64_t register_wait_us;
    bool strict, strict_privacy, require_token, quality_directives_off;
    const struct wz_rng *rng;

    bool draining;
    uint64_t now_us;                             /**< of the current step */
    struct wz_hash conns;                        /**< by id */
    struct wz_hash registered;                   /**< current signal connections by user */
    struct wz_hash rooms;                        /**< by name */
    struct wz_list waiting;                      /**< longest waiting first */
    struct wz_list quality_due, quality_cooling; /**< rooms; the latter in order of cool_at_us */
    uint64_t quality_due_us;                     /**< since when quality_due is not empty */
    struct wzp_registry registry;
    struct relay_sources sources;
    struct relay_seen seen; /**< strict: ephemeral keys of media handshakes */
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
/** token is copied. */
void relay_emit_check_token(struct wzp_relay *relay, const struct relay_conn *conn, const char *token);
void relay_emit_close(struct wzp_relay *relay, const struct relay_conn *conn, const char *reason);
void relay_log(struct wzp_relay *relay, enum wzp_relay_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** Peer text made safe for a log line: cut, anything but [A-Za-z0-9._:-] becomes '?'. Returns buf. */
const char *relay_log_text(const char *text, char buf[static WZP_CALL_ID_MAX + 1]);

/* ---- relay.c ---- */
struct relay_conn *relay_find_conn(const struct wzp_relay *relay, uint64_t id);
/** Take conn out of everything, then have it closed. */
void relay_close(struct wzp_relay *relay, struct relay_conn *conn, const char *reason);
/** Something is due from the other side in register_wait from now, in this state. */
void relay_await(struct wzp_relay *relay, struct relay_conn *conn, enum relay_conn_state state);
/** The first message has come: its timer stops. */
void relay_greeted(struct wzp_relay *relay, struct relay_conn *conn);
/** A message, when nothing is checked any more. */
void relay_take_message(struct wzp_relay *relay, struct relay_conn *conn, struct wz_bytes body);
/** The user's name in all maps and messages. */
static inline const char *relay_user(const struct relay_conn *conn)
{
    return conn->user ? conn->user : conn->fingerprint;
}
/** True when the source of conn may do one more; else it is counted and false. */
bool relay_charge(struct wzp_relay *relay, const struct relay_conn *conn, enum relay_charge charge);

/* ---- relay_token.c ---- */
void relay_token_message(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *signal);
/** Keep a message until the verdict; too many close the connection. */
void relay_park(struct wzp_relay *relay, struct relay_conn *conn, struct wz_bytes body);
void relay_parked_free(struct relay_conn *conn);

/* ---- relay_signal.c ---- */
void relay_signal_message(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
/** A registered connection ends: forget the registration and its calls, unless a newer one has taken over. */
void relay_unregister(struct wzp_relay *relay, struct relay_conn *conn);
/** Where messages for this user go, or NULL. */
struct relay_conn *relay_find_registered(const struct wzp_relay *relay, const char *user);
void relay_unexpected(struct wzp_relay *relay, const struct relay_conn *conn, const struct wzp_signal *signal);

/* ---- relay_call.c ---- */
void relay_call_offer(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
void relay_call_answer(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
void relay_call_hangup(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
void relay_call_path_report(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *signal);
/** A call's timer has run out. */
void relay_call_expired(struct wzp_relay *relay, struct wzp_registry_call *call);
/** A user is gone: its calls end, those on a direct path after a while. */
void relay_call_party_gone(struct wzp_relay *relay, const char *user);
/** It has registered again. */
void relay_call_party_back(struct wzp_relay *relay, const char *user);

/* ---- relay_room.c ---- */
void relay_media_message(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal);
void relay_room_leave(struct wzp_relay *relay, struct relay_conn *conn);
void relay_rooms_free(struct wzp_relay *relay);
/** By its lower-case name, or NULL. */
struct relay_room *relay_find_room(const struct wzp_relay *relay, const char *name);
/** The same in any case. */
bool relay_room_exists(const struct wzp_relay *relay, const char *name);

/* ---- relay_media.c ---- */
/** Who is in the room has changed: its participants may have to hear of another tier. */
void relay_quality_review(struct wzp_relay *relay, struct relay_room *room);
/** Rooms in which datagrams have changed something, or that have cooled down. */
void relay_quality_tick(struct wzp_relay *relay);
uint64_t relay_quality_deadline_us(const struct wzp_relay *relay);

/* ---- relay_stats.c ---- */
void relay_count_handshake(struct wzp_relay *relay, uint64_t took_us);

/** A report as one atomic word, which is never 0. */
static inline uint64_t relay_report_pack(const struct wzp_quality_report *report)
{
    return UINT64_C(1) << 32 | (uint64_t)report->loss << 24 | (uint64_t)report->rtt_4ms << 16 |
           (uint64_t)report->jitter_ms << 8 | report->bitrate_cap_kbps;
}

static inline struct wzp_quality_report relay_report_unpack(uint64_t word)
{
    return (struct wzp_quality_report){ .loss = (uint8_t)(word >> 24),
                                        .rtt_4ms = (uint8_t)(word >> 16),
                                        .jitter_ms = (uint8_t)(word >> 8),
                                        .bitrate_cap_kbps = (uint8_t)word };
}

/** A counter that only the relay's thread writes. */
static inline void relay_count(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

#endif
