/* Which path the media of one call takes: the relay's room, or a direct connection to the peer. Pure: events and
 * time in, effects and a deadline out. The client core (client_race.c) owns the connections, the messages and the
 * relay's leg, and names the direct connections by its ids. Spec: docs/wzp-wire.md "Direct path".
 *
 * Against the reference (ACCEPTOR, DIALER: one side dials, reports over the relay decide):
 *
 *   RACING --a connection completes--> AGREEING --peer reports true,---> DIRECT --2 s without media, 5 s of silence,
 *     |                                   |       or its media comes       |       closed--> RELAY
 *     '--2 s, or nothing is left----------'--peer reports false, 3 s-------|--------------> RELAY
 *                                                                          '<-- media on the spare connection -- RELAY
 * The spare connection is the one chosen when we gave up waiting: for the peer's report, which may have been lost while
 * ours was not, or for its media. The acceptor knocks at the dialer's addresses while RACING, which opens its own NAT.
 * Between our own kind (OWN: both dial and accept; the side that nominates picks the first connection on which it has
 * verified the peer, the other confirms on that connection):
 *
 *   RACING --we nominate--> NOMINATED --confirmed--> DIRECT --silent 1.25 s, closed, peer reports false--> RELAY
 *     |  |                     |  '--closed or 1 s, another is verified--> NOMINATED; none: RACING
 *     |  '--the peer nominates-----------------------> DIRECT
 *     '--2 s (3 s where the peer nominates), peer reports false--> RELAY
 *
 * NONE stays in RELAY. The relay carries media while RACING between our own kind from 500 ms after the start on, and
 * in RELAY; never in AGREEING or DIRECT. RELAY is final but for the spare connection, until wzp_race_start(). */
#ifndef WZP_CORE_RACE_H
#define WZP_CORE_RACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WZP_RACE_MAX_DIALS   8 /**< of the peer's addresses */
#define WZP_RACE_MAX_INBOUND 4 /**< accepted connections open at once */
#define WZP_RACE_MAX_LINKS   (WZP_RACE_MAX_DIALS + WZP_RACE_MAX_INBOUND)
#define WZP_RACE_MAX_EFFECTS (WZP_RACE_MAX_LINKS + 12)

#define WZP_RACE_BUDGET_MS        2000u
#define WZP_RACE_FOLLOW_MS        1000u /**< longer than the budget: the peer's clock may have started later */
#define WZP_RACE_CONFIRM_MS       1000u /**< nomination to confirmation */
#define WZP_RACE_RELAY_AFTER_MS   500u  /**< own kind: media waits so long for a direct path */
#define WZP_RACE_RELAY_HOLD_MS    1000u /**< own kind: the relay's leg outlives the choice of a direct path */
#define WZP_RACE_HELLO_MS         2000u /**< connection complete to the peer's valid hello */
#define WZP_RACE_STRANGER_MS      300u  /**< reference: an unannounced address waits so long for an announced one */
#define WZP_RACE_REPORT_FIRST_MS  500u  /**< reference: a report before its race has begun is lost, */
#define WZP_RACE_REPORT_SECOND_MS 1500u /**< so there are two */
#define WZP_RACE_AGREE_MS         3000u /**< reference: our decision to the peer's report */
#define WZP_RACE_KNOCK_SECOND_MS  100u  /**< reference: the acceptor's first knock is at the start, */
#define WZP_RACE_KNOCK_THIRD_MS   300u  /**< and these are lost together only on a path that is no use */
#define WZP_RACE_KNOCKS           3u
#define WZP_RACE_PROBE_MS         500u
#define WZP_RACE_DEAD_MS          1250u /**< own kind: two probes and a half without a sign of life */
#define WZP_RACE_NO_MEDIA_MS      2000u /**< reference: chosen, but the peer may have chosen the relay */
#define WZP_RACE_SILENT_MS        5000u /**< reference: has sent media and stopped; it always sends */

enum wzp_race_kind { WZP_RACE_NONE, WZP_RACE_ACCEPTOR, WZP_RACE_DIALER, WZP_RACE_OWN };

enum wzp_race_state {
    WZP_RACE_RACING,
    WZP_RACE_NOMINATED,
    WZP_RACE_AGREEING,
    WZP_RACE_DIRECT,
    WZP_RACE_RELAY,
};

struct wzp_race_config {
    enum wzp_race_kind kind;
    bool reports;        /**< MediaPathReports may go over the signal connection */
    bool nominates;      /**< OWN: a guess until the peer is verified */
    bool announced_only; /**< ACCEPTOR: refuse a connection from an address that was not announced */
};

enum wzp_race_event_kind {
    WZP_RACE_LINK_UP,       /**< the QUIC handshake of `link` is complete; is_announced */
    WZP_RACE_LINK_VERIFIED, /**< OWN: the peer's hello on `link` is valid; nominates: the choice is ours */
    WZP_RACE_LINK_REPORT,   /**< OWN: MediaPathReport on `link` itself; ok */
    WZP_RACE_LINK_SEEN,     /**< any other message on `link` */
    WZP_RACE_LINK_DOWN,     /**< `link` is gone */
    WZP_RACE_PEER_REPORT,   /**< MediaPathReport over the relay, of this very call; ok */
    WZP_RACE_PEER_IN_ROOM,  /**< the relay shows the peer in the room */
    WZP_RACE_MEDIA,         /**< a datagram arrived on the path in use */
    WZP_RACE_LINK_MEDIA,    /**< a datagram arrived on `link`, which is not in use */
    WZP_RACE_RELAY_UP,      /**< the relay's room can carry media */
    WZP_RACE_RELAY_DOWN,
};

struct wzp_race_event {
    enum wzp_race_event_kind kind;
    uint64_t link;
    bool is_announced, nominates, ok;
};

enum wzp_race_effect_kind {
    WZP_RACE_USE_DIRECT, /**< send media on `link` */
    WZP_RACE_USE_RELAY,
    WZP_RACE_USE_NONE,   /**< the path in use is gone and no other is there yet */
    WZP_RACE_CLOSE_LINK, /**< close `link`, "not-selected" */
    WZP_RACE_TELL_LINK,  /**< send MediaPathReport on `link`; ok */
    WZP_RACE_TELL_PEER,  /**< send MediaPathReport over the relay; ok */
    WZP_RACE_PROBE,      /**< send Ping on `link` */
    WZP_RACE_KNOCK,      /**< send something that is no packet of QUIC to each address of the peer */
    WZP_RACE_DROP_RELAY, /**< the relay's leg is not needed: close it, "not-selected" */
    WZP_RACE_WANT_RELAY, /**< the relay's leg is needed: make one unless there is one */
};

struct wzp_race_effect {
    enum wzp_race_effect_kind kind;
    uint64_t link;
    bool ok;
};

struct wzp_race_effects {
    size_t count;
    struct wzp_race_effect item[WZP_RACE_MAX_EFFECTS];
};

/** One direct connection. The race's own; id 0: free. */
struct wzp_race_link {
    uint64_t id;
    bool is_inbound, is_up, is_announced, is_verified, peer_nominated;
    uint64_t up_us;
};

enum wzp_race_path { WZP_RACE_PATH_NONE, WZP_RACE_PATH_RELAY, WZP_RACE_PATH_DIRECT };

/** Plain data, the caller's; the fields are the race's. */
struct wzp_race {
    struct wzp_race_config config;
    enum wzp_race_state state;
    enum wzp_race_path path; /**< in use */
    bool relay_up;
    bool relay_held;   /**< DIRECT: the relay's leg has not been dropped yet */
    bool lost;         /**< a direct path was in use and died */
    bool peer_shown;   /**< DIRECT: the peer uses it too */
    bool peer_in_room; /**< by the relay's word */
    bool peer_agrees;  /**< reference: the peer reported true before we had a connection */
    bool decided;      /**< reference: the reports have been scheduled */
    unsigned knocks;   /**< ACCEPTOR: done so far */
    uint64_t start_us;
    uint64_t state_us;  /**< when the state began */
    uint64_t seen_us;   /**< DIRECT: last sign of life */
    uint64_t probe_us;  /**< DIRECT, OWN: the next Ping */
    uint64_t report_us; /**< reference: the next report; NEVER: none */
    uint64_t chosen;    /**< NOMINATED, AGREEING, DIRECT; RELAY: the spare connection; 0: none */
    struct wzp_race_link link[WZP_RACE_MAX_LINKS];
};

/** Begin with no connection. May be called again in RELAY (a room where the peer arrives later): the relay's leg and the
 *  path in use stay. */
void wzp_race_start(struct wzp_race *race, const struct wzp_race_config *config, uint64_t now_us);
/** A connection is being dialled, or (is_inbound) was accepted and LINK_UP follows. False: no room for it. */
bool wzp_race_add(struct wzp_race *race, uint64_t link, bool is_inbound);
/** An inbound connection would be welcome now. */
bool wzp_race_accepts(const struct wzp_race *race);
/** Links that the race does not know (any more) are ignored. */
void wzp_race_step(struct wzp_race *race, const struct wzp_race_event *event, uint64_t now_us,
                   struct wzp_race_effects *ret);
void wzp_race_tick(struct wzp_race *race, uint64_t now_us, struct wzp_race_effects *ret);
/** UINT64_MAX: no timer. */
uint64_t wzp_race_deadline_us(const struct wzp_race *race);

bool wzp_race_is_direct(const struct wzp_race *race);
/** A direct path may still be chosen without a new start. */
bool wzp_race_is_open(const struct wzp_race *race);
/** DIRECT: the connection chosen; else 0. */
uint64_t wzp_race_direct_link(const struct wzp_race *race);

#endif
