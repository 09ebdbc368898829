/* What the files of the client core share. Included by wzp/core/client*.c only. */
#ifndef WZP_CORE_CLIENT_INTERNAL_H
#define WZP_CORE_CLIENT_INTERNAL_H

#include "wzp/core/candidates.h"
#include "wzp/core/client.h"
#include "wzp/core/handshake.h"
#include "wzp/core/race.h"

#define WZP_CLIENT_NEVER UINT64_MAX
#define WZP_CLIENT_MS    1000u

#define WZP_CLIENT_DIAL_MS     10000u /**< signal connection: dial to handshake complete */
#define WZP_CLIENT_REGISTER_MS 10000u /**< RegisterPresence to Ack */
#define WZP_CLIENT_STEADY_MS   5000u  /**< a registration that lasted this long resets the back-off */
#define WZP_CLIENT_REFLECT_MS  1000u
#define WZP_CLIENT_PONG_MS     2000u
#define WZP_CLIENT_RING_MS     60000u
#define WZP_CLIENT_INCOMING_MS 180000u /**< an offer nobody answers or cancels; relays give up before */
#define WZP_CLIENT_MEDIA_MS    10000u
#define WZP_CLIENT_MEDIA_DIAL_MS                                                                                       \
    1000u /**< announced relay address to the one we registered at, which is known to work */
#define WZP_CLIENT_GRACE_MS       2000u   /**< a Hangup that explains a lost or empty room may still come */
#define WZP_CLIENT_MEDIA_QUIET_MS 300u    /**< media already in flight when the peer hung up */
#define WZP_CLIENT_ABSENT_MS      40000u  /**< in the call's room, and the peer never came nor was heard: it is gone */
#define WZP_CLIENT_REJOIN_MS      10000u  /**< without a path, or back in the room without the peer: the call is lost */
#define WZP_CLIENT_REFUSED_MS     2000u   /**< without a path while the relay, where we are registered, refuses us */
#define WZP_CLIENT_HELD_MS        5000u   /**< a rejoined room that lasted this long makes the next loss a new one */
#define WZP_DIRECT_SNI_PREFIX     "call-" /**< before the room's name: the server name of a direct connection */

enum client_call_kind { CLIENT_OUTGOING, CLIENT_INCOMING, CLIENT_ROOM };

enum client_call_state {
    CLIENT_REFLECTING, /**< outgoing: the offer waits; incoming: the trusted answer waits */
    CLIENT_OFFERED,    /**< outgoing: not answered yet */
    CLIENT_RINGING,    /**< incoming: the user has not decided yet */
    CLIENT_ANSWERED,   /**< accepted; CallSetup has not come yet */
    CLIENT_JOINING,    /**< the media connection is being made */
    CLIENT_UP,
    CLIENT_DOWN, /**< the media connection is gone; a Hangup may still explain it */
};

/** A connection of ours; id 0: none. The effect that closes it is reserved, so that closing never fails. */
struct client_conn {
    uint64_t id;
    bool up;
    struct wzp_client_effect *close;
};

/** A direct connection of a call; conn.id 0: free. */
struct client_link {
    struct client_conn conn;
    struct wz_addr remote;
    bool has_exporter, is_verified;
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
};

/** Whom to race against, and how. */
struct client_race_plan {
    struct wzp_race_config config;
    size_t count;
    struct wz_addr addr[WZP_RACE_MAX_DIALS];
};

struct wzp_client_call {
    struct wz_list node;
    uint64_t id;
    enum client_call_kind kind;
    enum client_call_state state;
    struct wzp_client_effect *ended; /**< reserved: ENDED is never lost */

    char call_id[WZP_CALL_ID_MAX + 1];
    char peer[WZP_FINGERPRINT_TEXT];
    char room[WZP_CLIENT_SNI_SIZE];
    char *caller_alias, *dialled_number;
    bool hide_addresses;
    bool reflected;                   /**< this call's Reflect was answered in time */
    enum wzp_accept_mode accept_mode; /**< ours, or of an outgoing call the peer's */
    bool ringing_seen, answered_seen;
    bool peer_has_build; /**< the peer's offer or answer carried a build version: it knows MediaPathReport */
    bool own_kind;       /**< the peer's offer or answer was validly signed */
    bool told_any;       /**< this call told the peer an address of ours */
    bool race_again;     /**< of a room: the peer came while a race was under way */
    bool was_up;
    char told_reflexive[WZ_ADDR_TEXT_MAX]; /**< the reflexive one, exactly as it travelled; empty: none */

    uint64_t deadline_us;       /**< what it means follows from the state */
    uint64_t media_deadline_us; /**< answered, but no media by then: NO_MEDIA */
    uint64_t known_us;          /**< when the relay and we both knew of it; NEVER: it does not yet */

    struct wzp_race race;
    struct client_race_plan plan; /**< of a room: kept, the peer may come later */
    enum { CLIENT_NO_REPORT, CLIENT_REPORT_RELAY, CLIENT_REPORT_DIRECT } early_report; /**< came before CallSetup */
    struct client_link link[WZP_RACE_MAX_LINKS];

    struct client_conn media; /**< the relay's leg */
    struct wz_addr media_addr;
    struct wz_addr good_addr; /**< where a relay let us in last; family NONE: nowhere yet */
    bool joined;              /**< the handshake on this leg is through */
    bool in_room;             /**< and a RoomUpdate came on it */
    bool rejoining;           /**< on the way back to the room */
    bool room_seen;           /**< a RoomUpdate came ever: the relay let us in */
    bool peer_seen;           /**< the room held two or more */
    bool handshake_live;
    uint32_t others;        /**< in the room besides us, by the last RoomUpdate */
    unsigned redials;       /**< since lost_us */
    uint64_t lost_us;       /**< since when there was no path; NEVER: there always was */
    uint64_t held_since_us; /**< when we were let into the room last */
    uint64_t redial_at_us;
    uint64_t dial_deadline_us;
    struct wz_addr fallback; /**< family NONE: none, or used up */
    struct wzp_handshake handshake;
    char media_failure[64]; /**< why the last attempt failed, for the ENDED event */

    uint64_t alone_us;      /**< since when the call room holds only us; NEVER: it does not */
    uint64_t media_seen_us; /**< last media; 0: none yet */
};

/** A Hangup without call_id that could mean any of several calls. */
struct client_bare_hangup {
    uint64_t at_us;
    enum wzp_hangup_reason reason;
};

enum client_signal_state {
    CLIENT_SIGNAL_OFF, /**< rooms only, or stopped */
    CLIENT_SIGNAL_WAITING,
    CLIENT_SIGNAL_DIALLING,
    CLIENT_SIGNAL_REGISTERING,
    CLIENT_SIGNAL_REGISTERED,
};

struct wzp_client {
    struct wzp_identity identity;
    char *alias, *build, *auth_token;
    struct wz_addr relay;
    uint64_t ring_us, media_us;
    bool share_local_addrs, no_direct, strict;
    bool has_relay_key;
    uint8_t relay_key[WZP_KEY_BYTES];
    struct wz_rng rng;
    struct wzp_line_addresses addresses;

    enum client_signal_state signal_state;
    struct client_conn signal;
    uint64_t signal_deadline_us;
    uint64_t registered_us;
    unsigned attempt;
    char *relay_build; /**< of the present registration; NULL: a relay of the first generation */

    char *reflexive_addr;
    uint64_t reflect_deadline_us; /**< NEVER: none under way */
    bool reflect_asked;           /**< by the user */
    uint64_t ping_sent_us;
    uint64_t ping_deadline_us; /**< NEVER: none under way */

    uint64_t last_conn, last_call;
    struct wz_list calls;
    size_t bare_count;
    struct client_bare_hangup bare[WZP_CLIENT_MAX_CALLS];

    struct wz_list effects;
    struct wzp_client_stats stats;
};

/* client_effect.c: the queue, and the connections that need it. */
struct wzp_client_effect *client_effect_new(enum wzp_client_effect_kind kind);
/** Queue an effect with its own memory (NULL: there was none; counted). */
void client_push(struct wzp_client *client, struct wzp_client_effect *effect);
/** A new EVENT effect, or NULL (counted). call may be NULL. */
struct wzp_client_effect *client_event(struct wzp_client *client, const struct wzp_client_call *call,
                                       enum wzp_line_event_kind kind);
void client_send(struct wzp_client *client, const struct client_conn *conn, const struct wzp_client_call *call,
                 const struct wzp_signal *signal);
/** The AuthToken, first message of every connection, when there is one. */
void client_send_token(struct wzp_client *client, const struct client_conn *conn);
/** 0 or -ENOMEM (nothing queued). */
int client_dial(struct wzp_client *client, struct client_conn *conn, uint64_t call, const struct wz_addr *to,
                const char *sni, bool is_direct);
/** Name an accepted connection, which is up. 0 or -ENOMEM. */
int client_conn_accept(struct wzp_client *client, struct client_conn *conn);
/** Forget a connection that is gone. */
void client_conn_forget(struct client_conn *conn);
/** Close and forget; harmless on none. */
void client_conn_close(struct wzp_client *client, struct client_conn *conn, const char *reason);

/* client_signal.c: the signal connection. */
void client_signal_start(struct wzp_client *client, unsigned start_delay_ms, uint64_t now_us);
void client_signal_connected(struct wzp_client *client, uint64_t now_us);
void client_signal_message(struct wzp_client *client, struct wzp_signal *signal, uint64_t now_us);
void client_signal_lost(struct wzp_client *client, const char *reason, uint64_t now_us);
void client_signal_tick(struct wzp_client *client, uint64_t now_us);
uint64_t client_signal_deadline_us(const struct wzp_client *client);
/** Ask the relay for our address unless that is under way already. */
void client_reflect_start(struct wzp_client *client, uint64_t now_us);

/* client_call.c: calls from offer to CallSetup, and how they end. */
struct wzp_client_call *client_call_find(const struct wzp_client *client, uint64_t id);
struct wzp_client_call *client_call_by_id(const struct wzp_client *client, const char *call_id);
struct wzp_client_call *client_call_new(struct wzp_client *client, enum client_call_kind kind);
/** Free a call that was never announced. */
void client_call_discard(struct wzp_client *client, struct wzp_client_call *call);
/** ENDED, close, free. reason is for logs and static or borrowed. */
void client_call_end(struct wzp_client *client, struct wzp_client_call *call, enum wzp_line_end end,
                     enum wzp_hangup_reason hangup, const char *reason);
/** Tell the relay that the call is over, as far as this relay can be told (spec 8.1). */
void client_call_send_hangup(struct wzp_client *client, struct wzp_client_call *call, enum wzp_hangup_reason reason);
bool client_call_is_answered(const struct wzp_client_call *call);
void client_call_message(struct wzp_client *client, struct wzp_signal *signal, uint64_t now_us);
/** The Reflect answer came: whoever waited goes on. */
void client_call_reflected(struct wzp_client *client, uint64_t now_us);
/** The signal connection is gone: calls that have no room to go to end. */
void client_call_signal_lost(struct wzp_client *client);
/** A timer of the call is due. May end and free it. */
void client_call_tick(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);

/* client_offer.c: building and checking offers and answers. */
void client_send_offer(struct wzp_client *client, struct wzp_client_call *call);
void client_send_answer(struct wzp_client *client, struct wzp_client_call *call, enum wzp_accept_mode mode);
bool client_offer_is_own_kind(const struct wzp_client *client, const struct wzp_signal *signal);
bool client_answer_is_own_kind(const struct wzp_client *client, const struct wzp_client_call *call,
                               const struct wzp_signal *signal);

/* client_hangup.c: Hangups, with and without a call_id. */
void client_hangup_message(struct wzp_client *client, const struct wzp_signal *signal, uint64_t now_us);
/** Something changed that may tell which call a bare Hangup meant. */
void client_hangup_review(struct wzp_client *client, uint64_t now_us);
uint64_t client_hangup_deadline_us(const struct wzp_client *client);
/** The peer hung this call up. Frees it. */
void client_hangup_by_peer(struct wzp_client *client, struct wzp_client_call *call, enum wzp_hangup_reason reason);

/* client_path.c: the race carried out: what it wants done with paths, and what is told to it. */
/** Before CallSetup there is nothing to race for. */
void client_path_init(struct wzp_client_call *call);
/** For the events that follow a loss. */
void client_path_note_failure(struct wzp_client_call *call, const char *reason);
void client_path_start(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);
/** May end and free the call, by a Hangup that waited for this; so nothing may follow it. */
void client_path_step(struct wzp_client *client, struct wzp_client_call *call, const struct wzp_race_event *event,
                      uint64_t now_us);
/** Registered anew: the relay hears which calls are direct, else it takes them for forgotten. */
void client_path_tell_relay(struct wzp_client *client);
void client_path_tick(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);
/** A participant came into the room where there was none. */
void client_path_peer_came(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);

/* client_direct.c: direct connections. */
/** From CallSetup. */
void client_direct_plan(const struct wzp_client *client, const struct wzp_client_call *call,
                        const struct wzp_signal *setup, struct client_race_plan *ret);
/** In a room. */
void client_direct_plan_room(const struct wzp_client *client, const struct wzp_client_call *call,
                             const struct wz_addr *peer, struct client_race_plan *ret);
void client_direct_dial(struct wzp_client *client, struct wzp_client_call *call, const struct client_race_plan *plan);
/** The race has begun: for connections that came before it, too. They were accepted since the peer's CallSetup may be
 *  faster than ours. Ends no call. */
void client_direct_begin_early(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);
struct client_link *client_direct_find(struct wzp_client_call *call, uint64_t conn);
/** What a direct connection signs and names: the call_id, or the room's name. */
const char *client_direct_id(const struct wzp_client_call *call);
/** True when the call takes the connection; *ret_conn is its name. */
bool client_direct_accept(struct wzp_client *client, struct wzp_client_call *call, const char *sni,
                          const struct wzp_client_link *link, uint64_t now_us, uint64_t *ret_conn);
/** These may end and free the call. */
void client_direct_connected(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                             const struct wzp_client_link *info, uint64_t now_us);
void client_direct_message(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                           const struct wzp_signal *signal, uint64_t now_us);
void client_direct_closed(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                          const char *reason, uint64_t now_us);
void client_direct_report(struct wzp_client *client, const struct wzp_client_call *call, const struct client_conn *conn,
                          bool ok);
void client_direct_probe(struct wzp_client *client, const struct wzp_client_call *call, const struct client_conn *conn,
                         uint64_t now_us);
/** Send a packet that nobody reads to each address of the peer, so that our NAT lets the peer's in. */
void client_direct_knock(struct wzp_client *client, const struct wzp_client_call *call);
void client_direct_send_hangup(struct wzp_client *client, struct wzp_client_call *call, enum wzp_hangup_reason reason);
/** Close what is left, at the end of the call. */
void client_direct_close_all(struct wzp_client *client, struct wzp_client_call *call, const char *reason);
void client_direct_forget_all(struct wzp_client_call *call);

/* client_media.c: the media connection to the relay. Each may end and free the call, unless it says otherwise. */
void client_media_start(struct wzp_client *client, struct wzp_client_call *call, const char *relay_addr,
                        uint64_t now_us);
void client_media_connected(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);
void client_media_message(struct wzp_client *client, struct wzp_client_call *call, struct wzp_signal *signal,
                          uint64_t now_us);
void client_media_closed(struct wzp_client *client, struct wzp_client_call *call, const char *reason, uint64_t now_us);
/** call->deadline_us has passed in JOINING, UP or DOWN. */
void client_media_deadline(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);
/** Back to the relay's room. Never ends the call. */
void client_media_rejoin(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);
/** Media runs over the relay again: the peer should be there soon. Never ends the call. */
void client_media_await_peer(struct wzp_client_call *call, uint64_t now_us);
/** Close the leg, with which reason, or forget it when it is gone. Never ends the call. */
void client_media_leave(struct wzp_client *client, struct wzp_client_call *call, const char *reason);
/** call->dial_deadline_us or call->redial_at_us may have passed. */
void client_media_tick(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);

#endif
