/* One WZP identity as a client, sans-IO: registration, calls, rooms, the media handshake and every timer of
 * them. The same core runs in wzp-client, in every identity of the gateway and in the simulator
 * (wzp/io/line.h puts it on a socket). Spec: docs/wzp-wire.md "Client". Thread: one at a time; nothing
 * blocks; no callback.
 *
 * Every function that takes now_us may queue effects; the shell takes them with wzp_client_next_effect()
 * until there are none, carries them out in that order, and then arms one timer for wzp_client_deadline_us().
 * Connections and calls are named by non-zero ids that are never used again.
 *
 *   registration:  WAITING --delay--> DIALLING --connected--> REGISTERING --Ack--> REGISTERED
 *                     ^------------------ closed, refused, 10 s without progress ------'
 *   outgoing:      REFLECTING --answer or 1 s--> OFFERED --DirectCallAnswer--> ANSWERED --CallSetup-->
 *                  JOINING
 *   incoming:      RINGING --answer()--> [REFLECTING --answer or 1 s-->] ANSWERED --CallSetup--> JOINING
 *   room:          JOINING
 *   all:           JOINING --path--> UP --path lost--> DOWN --path--> UP
 *                                                        '--10 s, or the relay refuses for 2 s--> ended
 * Which path that is, the relay's room or a direct connection, wzp/core/race.h decides. */
#ifndef WZP_CORE_CLIENT_H
#define WZP_CORE_CLIENT_H

#include <stdbool.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/base/list.h"
#include "wzp/base/rng.h"
#include "wzp/core/line_event.h"
#include "wzp/core/room_name.h"

/** Calls and rooms of one client at once; an offer beyond that is answered Busy. */
#define WZP_CLIENT_MAX_CALLS 64
#define WZP_CLIENT_SNI_SIZE  (WZP_SNI_MAX + 1)
/** The reason of an end when relay_key was not the one shown: the shell knows where the pin is kept. */
#define WZP_CLIENT_REASON_RELAY_KEY "the relay shows another identity key than the pinned one"

struct wzp_client;

struct wzp_client_config {
    uint8_t seed[WZP_SEED_BYTES];
    const char *alias;      /**< NULL: none; copied */
    const char *build;      /**< *_build_version text, NULL: none; copied */
    const char *auth_token; /**< NULL: none; copied */
    struct wz_addr relay;
    unsigned start_delay_ms; /**< the first registration starts at a random moment within this time */
    unsigned ring_ms;        /**< 0: 60000 */
    unsigned media_ms;       /**< 0: 10000 */
    bool rooms_only;         /**< never register */
    bool share_local_addrs;
    bool no_direct; /**< never take a direct path: advertise no address, dial none, accept none */
    /** Require what the reference leaves open (spec 8.2, strict column): offers and answers must be validly signed by the
     *  fingerprint they name, and the relay's identity key must stay the same. */
    bool strict;
    bool has_relay_key; /**< strict: the only key that a relay's media handshake may show */
    uint8_t relay_key[WZP_KEY_BYTES];
    const struct wz_rng *rng; /**< borrowed as long as the client lives */
};

/** What the shell knows of a connection whose QUIC handshake is complete. Borrowed for the call. */
struct wzp_client_link {
    const uint8_t *exporter; /**< WZP_DIRECT_EXPORTER_BYTES of the TLS exporter WZP_DIRECT_EXPORTER_LABEL */
    struct wz_addr remote;
};

enum wzp_client_effect_kind {
    WZP_CLIENT_DIAL,  /**< open connection `conn` (for `call`, 0: signal) to `to` with server name `sni` */
    WZP_CLIENT_SEND,  /**< framed message `body` on a new stream of `conn`; `signal` names it, `call` it
                         belongs to */
    WZP_CLIENT_CLOSE, /**< close `conn` with `reason`; the core wants to hear nothing more of it */
    WZP_CLIENT_KNOCK, /**< send the packet `body`, which is none of QUIC, to `to`; it opens our NAT */
    WZP_CLIENT_EVENT, /**< tell the user `event`; `call` is 0 for events of the line itself */
    WZP_CLIENT_USE,   /**< from now on media of `call` is sent on `conn` (0: on none). Received is media of every
                         connection of the call that was ever named here and is still open */
};

/** One thing to do. Its pointers live as long as the effect. event.call is the shell's to fill in. */
struct wzp_client_effect {
    enum wzp_client_effect_kind kind;
    uint64_t conn;
    uint64_t call;
    struct wz_addr to;
    bool is_direct; /**< DIAL: to the peer, past the relay */
    char sni[WZP_CLIENT_SNI_SIZE];
    struct wz_bytes body;
    enum wzp_signal_kind signal;
    const char *reason;
    struct wzp_line_event event;
    /* The core's: */
    struct wz_list node;
    char call_id[WZP_CALL_ID_MAX + 1];
    char text[128];
    char *owned_body;
    struct wzp_signal owned_signal;
};

struct wzp_client_stats {
    uint64_t registrations, offers_out, offers_in, refused_limit, refused_duplicate, refused_bad;
    uint64_t bad_signals, unknown_signals, unexpected_signals, unknown_calls, ambiguous_hangups, lost_effects;
    uint64_t refused_unsigned; /**< strict: offers and answers that their sender has not signed */
    uint64_t direct_won;       /**< direct paths that came into use */
    uint64_t direct_lost_path; /**< of these, how many died in the call */
    uint64_t direct_refused;   /**< direct connections closed for a bad hello, or turned away at a limit */
    uint64_t relay_redials;    /**< returns to the relay's room, each dial of them */
    unsigned calls;
};

/** @return 0, -EINVAL (no relay, no rng), -ENOMEM, -EIO (crypto library). */
int wzp_client_new(struct wzp_client **ret, const struct wzp_client_config *config, uint64_t now_us);
/** NULL-safe. Tells nobody: call wzp_client_stop() first. */
void wzp_client_free(struct wzp_client *client);
/** Hang up every call and leave the relay for good. */
void wzp_client_stop(struct wzp_client *client, uint64_t now_us);

/** The next thing to do, the caller's to free with wzp_client_effect_free(); NULL: nothing left. */
struct wzp_client_effect *wzp_client_next_effect(struct wzp_client *client);
void wzp_client_effect_free(struct wzp_client_effect *effect);

/** A dialled connection finished its QUIC handshake. */
void wzp_client_connected(struct wzp_client *client, uint64_t conn, const struct wzp_client_link *link,
                          uint64_t now_us);
/** An inbound connection finished its QUIC handshake, naming `sni`. Returns its id when a call of this client expects
 *  such a connection; 0: not ours, ask the next client or close it with "stale". */
uint64_t wzp_client_accepted(struct wzp_client *client, const char *sni, const struct wzp_client_link *link,
                             uint64_t now_us);
/** A framed message arrived; body borrowed. */
void wzp_client_message(struct wzp_client *client, uint64_t conn, struct wz_bytes body, uint64_t now_us);
/** The connection is gone or could not be made; reason is for logs. Ids that the core closed itself are
 * ignored. */
void wzp_client_closed(struct wzp_client *client, uint64_t conn, const char *reason, uint64_t now_us);
/** Media of this call arrived on the connection that USE named last. Telling it ten times a second is enough. */
void wzp_client_media_seen(struct wzp_client *client, uint64_t call, uint64_t now_us);
/** A datagram arrived on a direct connection that is not the one in use: a reference peer that has chosen it may be heard
 *  before it is. USE follows if so; until USE names it, nothing from there is media. As often as above. */
void wzp_client_media_elsewhere(struct wzp_client *client, uint64_t conn, uint64_t now_us);
/** Run timers. */
void wzp_client_tick(struct wzp_client *client, uint64_t now_us);
/** When wzp_client_tick() is wanted next; UINT64_MAX: no timer. */
uint64_t wzp_client_deadline_us(const struct wzp_client *client);

/** As wzp_line_call(), wzp_line_join(), wzp_line_answer(), wzp_line_hangup() (wzp/io/line.h). */
int wzp_client_call(struct wzp_client *client, const struct wzp_line_dial *dial, uint64_t now_us, uint64_t *ret_call);
int wzp_client_join(struct wzp_client *client, const struct wzp_line_room *room, uint64_t now_us, uint64_t *ret_call);
int wzp_client_answer(struct wzp_client *client, uint64_t call, enum wzp_accept_mode mode, uint64_t now_us);
/** A call that has ended already is ignored. */
void wzp_client_hangup(struct wzp_client *client, uint64_t call, enum wzp_hangup_reason reason, uint64_t now_us);
/** -ENOTCONN when not registered; -EALREADY while one is under way (its event serves both). */
int wzp_client_reflect(struct wzp_client *client, uint64_t now_us);
int wzp_client_ping(struct wzp_client *client, uint64_t now_us);
void wzp_client_set_addresses(struct wzp_client *client, const struct wzp_line_addresses *addresses);

bool wzp_client_is_registered(const struct wzp_client *client);
const char *wzp_client_fingerprint(const struct wzp_client *client);
/** NULL before the first answer of this registration. */
const char *wzp_client_reflexive_addr(const struct wzp_client *client);
/** NULL when the call is over. */
const char *wzp_client_call_id(const struct wzp_client *client, uint64_t call);
const struct wzp_client_stats *wzp_client_stats(const struct wzp_client *client);

#endif
