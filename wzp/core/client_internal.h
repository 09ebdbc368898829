/* What the files of the client core share. Included by wzp/core/client*.c only. */
#ifndef WZP_CORE_CLIENT_INTERNAL_H
#define WZP_CORE_CLIENT_INTERNAL_H

#include "wzp/core/candidates.h"
#include "wzp/core/client.h"
#include "wzp/core/handshake.h"

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
    1000u                         /**< announced relay address to the one we registered at, which is known to work */
#define WZP_CLIENT_GRACE_MS 2000u /**< a Hangup that explains a lost or empty room may still come */
/** MediaPathReport: a copy that comes before the peer waits for it is lost, so there are two. */
#define WZP_CLIENT_REPORT_FIRST_MS  500u
#define WZP_CLIENT_REPORT_SECOND_MS 1500u
#define WZP_CLIENT_MEDIA_QUIET_MS   300u /**< media already in flight when the peer hung up */

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
    bool reflected; /**< this call's Reflect was answered in time */
    enum wzp_accept_mode accept_mode;
    bool ringing_seen, answered_seen;
    bool peer_has_build; /**< the peer's offer or answer carried a build version: it knows MediaPathReport */

    uint64_t deadline_us;       /**< what it means follows from the state */
    uint64_t media_deadline_us; /**< answered, but no media by then: NO_MEDIA */
    uint64_t report_at_us;
    uint64_t known_us; /**< when the relay and we both knew of it; NEVER: it does not yet */
    uint64_t setup_us;

    struct client_conn media;
    uint64_t dial_deadline_us;
    struct wz_addr fallback; /**< family NONE: none, or used up */
    struct wzp_handshake handshake;
    bool handshake_live;
    char media_failure[64]; /**< why the last attempt failed, for the ENDED event */

    bool room_seen;         /**< a RoomUpdate came: the relay let us in */
    bool peer_seen;         /**< the room held two or more */
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
    bool share_local_addrs;
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
                const char *sni);
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
void client_call_send_hangup(struct wzp_client *client, const struct wzp_client_call *call,
                             enum wzp_hangup_reason reason);
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
void client_send_answer(struct wzp_client *client, const struct wzp_client_call *call, enum wzp_accept_mode mode);
bool client_offer_is_own_kind(const struct wzp_client *client, const struct wzp_signal *signal);
bool client_answer_is_own_kind(const struct wzp_client *client, const struct wzp_client_call *call,
                               const struct wzp_signal *signal);

/* client_hangup.c: Hangups, with and without a call_id. */
void client_hangup_message(struct wzp_client *client, const struct wzp_signal *signal, uint64_t now_us);
/** Something changed that may tell which call a bare Hangup meant. */
void client_hangup_review(struct wzp_client *client, uint64_t now_us);
uint64_t client_hangup_deadline_us(const struct wzp_client *client);

/* client_media.c: the media connection. Each may end and free the call. */
void client_media_start(struct wzp_client *client, struct wzp_client_call *call, const char *relay_addr,
                        uint64_t now_us);
void client_media_connected(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);
void client_media_message(struct wzp_client *client, struct wzp_client_call *call, struct wzp_signal *signal,
                          uint64_t now_us);
void client_media_closed(struct wzp_client *client, struct wzp_client_call *call, const char *reason, uint64_t now_us);
/** call->deadline_us has passed in JOINING, UP or DOWN. */
void client_media_deadline(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);
/** call->dial_deadline_us may have passed. */
void client_media_tick(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us);

#endif
