/* The direct calls a relay knows: who calls whom, what addresses they announced, how far the call is, and
 * when it must be given up. Pure data and timers; who is told what is wzp/core/relay's business.
 *
 * Spec: docs/wzp-wire.md "Call registry". Thread: the relay's.
 *
 *   add ──► PENDING ──ringing──► RINGING ──accept──► ACTIVE ──end──► ENDED ──keep_ms──► forgotten
 *              │  └─────────────accept──────────────────▲              ▲
 *              └──────────────── end (refused, hung up, timed out) ────┘
 *
 * Timers: PENDING and RINGING last ring_ms together. An ACTIVE call must settle within setup_ms: both parties
 * in the call's room, or both reporting a direct path. A settled call gets setup_ms again when nobody is left
 * in its room and the path is not direct: so a call whose parties forgot to hang up does not stay for ever.
 * A call on a direct path outlives the signal connection of one party by away_ms, whatever else happens.
 * All timers of a kind last equally long, so a list in starting order is a queue in order of deadlines. */
#ifndef WZP_CORE_REGISTRY_H
#define WZP_CORE_REGISTRY_H

#include <stdbool.h>

#include "wzp/base/hash.h"
#include "wzp/base/list.h"
#include "wzp/core/signal.h"

/** A longer text is no address and is not kept. */
#define WZP_REGISTRY_ADDR_TEXT_MAX 63
/** A relay's certificate fingerprint has 95. */
#define WZP_REGISTRY_RELAY_TEXT_MAX 127
#define WZP_CALL_ROOM_PREFIX        "call-"
/** "call-" + id and NUL. */
#define WZP_CALL_ROOM_TEXT (sizeof WZP_CALL_ROOM_PREFIX + WZP_CALL_ID_MAX)

enum wzp_registry_state {
    WZP_REGISTRY_PENDING, /**< offered */
    WZP_REGISTRY_RINGING, /**< the offer was handed to the callee */
    WZP_REGISTRY_ACTIVE,  /**< accepted */
    WZP_REGISTRY_ENDED,   /**< kept for its counters and so that its id is not used again at once */
};

enum wzp_registry_party {
    WZP_REGISTRY_CALLER,
    WZP_REGISTRY_CALLEE,
    WZP_REGISTRY_NOBODY, /**< not a party of the call */
};

/** What a party announced about itself, as opaque text. */
struct wzp_registry_addrs {
    char *reflexive; /**< NULL: none */
    struct wzp_addr_list local;
};

struct wzp_registry_call;

/** Membership of a call in the list of its party's live calls. */
struct wzp_registry_link {
    struct wz_list node;
    struct wzp_registry_call *call;
    struct wzp_registry_user *user;
};

/** Read-only for everyone but registry.c, except the counters. */
struct wzp_registry_call {
    char id[WZP_CALL_ID_MAX + 1];       /**< as the caller wrote it */
    char room[WZP_CALL_ROOM_TEXT];      /**< "call-" + id */
    char *fingerprint[2];               /**< how the relay names its users; by enum wzp_registry_party */
    struct wzp_registry_addrs addrs[2]; /**< empty once the call has ended */
    char *peer_relay_fp;                /**< where the other party is when not here, likewise; NULL: here */
    enum wzp_registry_state state;
    enum wzp_accept_mode accept_mode;                       /**< from ACTIVE on */
    uint64_t created_us, ringing_us, answered_us, ended_us; /**< 0: not yet */
    bool in_room[2];
    bool reports_direct[2];
    bool knows_reports[2]; /**< has shown that it understands MediaPathReport */
    bool settled;          /**< was once set up completely */
    bool away[2];          /**< lost its signal connection, and the path was direct */
    bool renewed[2];       /**< registered anew, and has not shown since that it still knows the call */
    /** Datagrams of rooms of this call that are closed again: from caller, from callee, copies forwarded. */
    uint64_t past_from[2], past_forwarded;

    char key[WZP_CALL_ID_MAX + 1]; /**< lower-case id: room names lose their case in TLS */
    struct wz_hash_node by_id;
    struct wzp_registry_link link[2];
    struct wz_list timer; /**< in one of the registry's queues, or alone */
    uint64_t due_us;      /**< WZP_REGISTRY_NEVER: no timer */
};

#define WZP_REGISTRY_NEVER UINT64_MAX

struct wzp_registry_limits {
    size_t max_live;  /**< calls that have not ended */
    size_t max_ended; /**< the oldest is forgotten early when there are more */
    uint64_t ring_us, setup_us, away_us, keep_us;
};

struct wzp_registry {
    struct wzp_registry_limits limits;
    struct wz_hash calls; /**< by lower-case id */
    struct wz_hash users; /**< parties of live calls, by fingerprint */
    struct wz_list ring_queue, setup_queue, away_queue, ended_queue;
    size_t live, ended;
};

/** 1..WZP_CALL_ID_MAX of [A-Za-z0-9_-], not ending in '-': what can stand in a room name. */
bool wzp_registry_id_is_legal(const char *call_id);

int wzp_registry_init(struct wzp_registry *reg, const struct wzp_registry_limits *limits, const struct wz_rng *rng);
/** Forget everything. Safe on a zeroed struct. */
void wzp_registry_done(struct wzp_registry *reg);

/**
 * A new PENDING call. The texts are copied; addresses that cannot be any are left out.
 * @return 0; -EINVAL (illegal id, a party without a name, or caller and callee are the same); -EEXIST (id in use or ended recently);
 *         -ENOSPC (max_live); -ENOMEM.
 */
int wzp_registry_add(struct wzp_registry *reg, const char *call_id, const char *caller, const char *callee,
                     const struct wzp_registry_addrs *addrs, uint64_t now_us, struct wzp_registry_call **ret);
/** PENDING -> RINGING; other states stay. */
void wzp_registry_ringing(struct wzp_registry_call *call, uint64_t now_us);
/** PENDING or RINGING -> ACTIVE. 0; -EPROTO (answered or ended before); -EINVAL (Reject); -ENOMEM. */
int wzp_registry_accept(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_accept_mode mode,
                        const struct wzp_registry_addrs *callee_addrs, uint64_t now_us);
/** -> ENDED; ending twice is harmless. The call stays findable for keep_us. */
void wzp_registry_end(struct wzp_registry *reg, struct wzp_registry_call *call, uint64_t now_us);

/** A party entered or left the call's room. */
void wzp_registry_set_in_room(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party,
                              bool in_room, uint64_t now_us);
/** A party showed that it understands MediaPathReport. */
void wzp_registry_set_knows_reports(struct wzp_registry_call *call, enum wzp_registry_party party);
/** A party reported its media path, so it understands such reports too. */
void wzp_registry_set_direct(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party,
                             bool direct, uint64_t now_us);

/** True when both parties have reported a direct path, and not both have registered anew since without a word of it. */
bool wzp_registry_is_direct(const struct wzp_registry_call *call);
/**
 * The signal connection of a party of a direct call is gone, or back.
 * @return true when the call goes on; false when the other party is away too: end it.
 */
bool wzp_registry_set_away(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party,
                           bool is_away, uint64_t now_us);
/** A party registered anew: it is back if it was away. Whether it still knows the call, its next report or its coming
 *  into the room shows. */
void wzp_registry_renew(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party,
                        uint64_t now_us);
/** Name the relay the other party is at (NULL: it is here). 0, -EINVAL (empty, or longer than
 *  WZP_REGISTRY_RELAY_TEXT_MAX, or the call has ended), -ENOMEM. */
int wzp_registry_set_peer_relay(struct wzp_registry_call *call, const char *peer_relay_fp);

/** By id in any case; ended calls included. NULL: unknown. */
struct wzp_registry_call *wzp_registry_find(const struct wzp_registry *reg, const char *call_id);
/** The call a room name ("call-" + id) belongs to, ended ones included. NULL: none. */
struct wzp_registry_call *wzp_registry_find_room(const struct wzp_registry *reg, const char *room);
/** Some live call of this fingerprint, or NULL: `while ((call = first)) end(call)` walks all. */
struct wzp_registry_call *wzp_registry_first_of(const struct wzp_registry *reg, const char *fingerprint);
/** The live call of this party after call, or NULL. Ask before call is ended. */
struct wzp_registry_call *wzp_registry_next_of(const struct wzp_registry_call *call, enum wzp_registry_party party);
enum wzp_registry_party wzp_registry_party_of(const struct wzp_registry_call *call, const char *fingerprint);
/** True while the call still needs the relay to be set up: not answered yet, or its setup timer runs. A party that is
 *  away does not make it so. */
bool wzp_registry_is_forming(const struct wzp_registry_call *call);

/**
 * Forget ended calls that are due, then return a live call whose timer has run out, or NULL. The caller ends
 * it (and says so to the parties) before it asks again.
 */
struct wzp_registry_call *wzp_registry_expired(struct wzp_registry *reg, uint64_t now_us);
/** When wzp_registry_expired() is wanted; WZP_REGISTRY_NEVER: no timer runs. */
uint64_t wzp_registry_deadline_us(const struct wzp_registry *reg);

/** Copy what looks like an address. 0 or -ENOMEM (*ret untouched). */
int wzp_registry_addrs_copy(const char *reflexive, const struct wzp_addr_list *local, struct wzp_registry_addrs *ret);
void wzp_registry_addrs_done(struct wzp_registry_addrs *addrs);

#endif
