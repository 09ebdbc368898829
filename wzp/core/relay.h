/* What a relay does with each message and datagram: sans-IO. The same core runs in wzp-relay, embedded in the
 * gateway and in the simulator. Spec: docs/wzp-wire.md "Relay". Single-threaded; nothing blocks; no callback.
 *
 * Connections are the shell's: it names each by a non-zero id of its own choice that is never used again.
 *
 * What a party learns when a call does not come about, always as Hangup{reason, call_id}:
 *   - Normal: the callee is not registered (no CallRinging came before);
 *   - Busy: the callee is in a call and its client cannot tell calls apart (below), or it is the caller;
 *   - Declined: the callee answered Reject;
 *   - Timeout: nobody answered in ring_ms, or the parties did not meet within setup_ms of the answer;
 *   - Error: the other party's signal connection is gone, or the relay refused the offer: a limit, an illegal
 *     call id, draining, a connection that a newer registration has replaced.
 *
 * An offer that reuses the id of the sender's own live call gets no answer: a Hangup would end that call.
 *
 * A client "tells calls apart" when its registration carries a valid signature (all of ours) or it has sent a
 * Hangup with a call_id. Others treat any Hangup as theirs, so they get one call at a time.
 *
 * A registration replaces an older one under the same key. The older connection stays open, is answered
 * Reflect and Ping, may hang up, but places no calls; its end changes nothing.
 *
 * A call that both parties have reported direct outlives the signal connection of one of them by direct_grace_ms: who
 * registers again in time keeps it, else the other party hears Hangup{Error}. Other calls end with the connection.
 *
 * In a call room a second connection of a party replaces its first one.
 *
 * What a sender learns when its source (an IPv4 address, an IPv6 /64) is over a limit: an offer is answered
 * Hangup{Error, call_id}; Reflect and Ping are not answered; a registration (after a refusing Ack), a join and a
 * connection too many that waits are closed with "too many ... from this address, wait a minute".
 *
 * With require_token every connection shows an AuthToken first. Up to WZP_RELAY_PARKED_MAX messages that arrive before
 * the verdict are kept and dealt with after it. A refused token closes the connection, on `_signal` without a word. The
 * name that comes with a good verdict is the user's from then on: for offers, rooms and RoomUpdate. Without
 * require_token an AuthToken that comes first ends the connection, as anything unexpected does. */
#ifndef WZP_CORE_RELAY_H
#define WZP_CORE_RELAY_H

#include <stdbool.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/base/rng.h"
#include "wzp/core/identity.h"
#include "wzp/core/media.h"

/** Messages kept while a token is checked, and their bytes together. */
#define WZP_RELAY_PARKED_MAX   4
#define WZP_RELAY_PARKED_BYTES 16384
/** Longest name an auth server may give a user: printable ASCII without blanks, quotes and backslashes. */
#define WZP_RELAY_USER_MAX 127

struct wzp_relay;

struct wzp_relay_config {
    uint8_t seed[WZP_SEED_BYTES];
    const char *build;             /**< text of `version` and relay_build; copied */
    struct wz_addr public_address; /**< relay_addr of CallSetup; family NONE: the address each signal
                                      connection arrived on */
    unsigned max_sessions;         /**< joined media connections; 0: 100 */
    unsigned max_registrations;    /**< 0: 20000 */
    unsigned register_wait_ms;     /**< 0: 10000 */
    unsigned ring_ms;              /**< offer to answer; 0: 120000 */
    unsigned setup_ms;             /**< answer to both parties in the call room; 0: 30000 */
    unsigned offers_per_minute;    /**< per registration; 0: 300 */
    /* Per source: an IPv4 address or an IPv6 /64. Bursts of a whole minute's worth are allowed. 0: the default. */
    unsigned source_offers_per_minute;        /**< 1200 */
    unsigned source_reflects_per_minute;      /**< 2400: a call asks once at each end; reflects and pings together */
    unsigned source_joins_per_minute;         /**< 600 */
    unsigned source_registrations_per_minute; /**< unsigned ones, and those whose signature is wrong; 600 */
    /** Validly signed ones: a gateway registers all its users from one address and must get them back after a restart
     *  of the relay. 12000. */
    unsigned source_signed_registrations_per_minute;
    unsigned source_waiting; /**< connections whose first message (or verdict on a token) is due, and NAT probes; 256 */
    unsigned direct_grace_ms; /**< see above; 0: 20000 */
    bool require_token;       /**< every connection must show a token first (WZP_RELAY_CHECK_TOKEN) */
    /** Spec 8.2, strict column: registrations must be signed and not the zero key, offers must be signed by the
     *  registered key, media handshakes may not repeat an ephemeral key (the latest 262144 are remembered while the
     *  relay runs). */
    bool strict;
    bool quality_directives_off;
    unsigned max_calls;  /**< not ended; 0: 20000 */
    bool strict_privacy; /**< the callee sees the caller's addresses only after AcceptTrusted, in CallSetup */
    const struct wz_rng *rng;
};

enum wzp_relay_effect_kind {
    WZP_RELAY_SEND,        /**< framed message `body` on a new stream of `conn` */
    WZP_RELAY_SEND_UNI,    /**< raw `body` on a unidirectional stream of `conn` */
    WZP_RELAY_CLOSE,       /**< close `conn` with `reason` after what was sent before is delivered (linger 100 ms
                           when SEND_UNI came first) */
    WZP_RELAY_CHECK_TOKEN, /**< ask the auth server about the token `body` of `conn`; wzp_relay_token_checked() tells */
    WZP_RELAY_LOG,         /**< for the log: `reason` is the event ("call.setup"), `text` its key=value pairs */
};

enum wzp_relay_log_level { WZP_RELAY_LOG_DEBUG, WZP_RELAY_LOG_INFO, WZP_RELAY_LOG_WARN };

struct wzp_relay_effect {
    enum wzp_relay_effect_kind kind;
    enum wzp_relay_log_level level; /**< of LOG */
    uint64_t conn;
    struct wz_bytes body; /**< borrowed until the next call into the core */
    const char *reason;   /**< static or borrowed likewise */
    const char *text;     /**< holds only text that is safe in a log line */
};

/** Effects of one step, borrowed until the next call into the core. */
struct wzp_relay_effects {
    size_t count;
    const struct wzp_relay_effect *item;
};

#define WZP_RELAY_HANDSHAKE_BUCKETS 11

struct wzp_relay_stats {
    uint64_t registrations_total, offers_total, answers_total, calls_setup_total, hangups_total, reflects_total,
        pings_total;
    uint64_t unknown_signals, bad_signals, refused_limits, refused_acl, refused_wrong_party;
    uint64_t unexpected_signals; /**< known, but not here or not now */
    uint64_t refused_source;     /**< over a limit of their source */
    uint64_t auth_ok, auth_failed;
    uint64_t quality_directives; /**< changes told to a room, however many hear of one */
    uint64_t replayed_handshakes, refused_unsigned;
    /** Media handshakes by duration, connected to CallAnswer: at most .001 .005 .01 .025 .05 .1 .25 .5 1 2.5 s, longer.
     *  Not cumulative. */
    uint64_t handshakes[WZP_RELAY_HANDSHAKE_BUCKETS], handshakes_sum_us;
    uint64_t datagrams_in, datagrams_bad, packets_forwarded,
        bytes_forwarded; /**< forwarded counts copies, bytes payload only */
    unsigned registered, calls, rooms, sessions;
};

/** Datagrams of a call's room, over all times it was open. */
struct wzp_relay_call_flow {
    uint64_t from_caller, from_callee;
    uint64_t forwarded; /**< copies sent on to the other party */
};

int wzp_relay_new(struct wzp_relay **ret, const struct wzp_relay_config *config);
void wzp_relay_free(struct wzp_relay *relay);
const struct wzp_identity *wzp_relay_identity(const struct wzp_relay *relay);

/* Steps. Each returns 0, or -ENOMEM when an effect is missing: *ret then holds the others, and the shell
 * closes the connection that caused the step. */

/** A connection finished its QUIC handshake. remote and local as the socket saw them; sni lower-cased. */
int wzp_relay_connected(struct wzp_relay *relay, uint64_t conn, const char *sni, const struct wz_addr *remote,
                        const struct wz_addr *local, uint64_t now_us, struct wzp_relay_effects *ret);
/** A framed message arrived. */
int wzp_relay_message(struct wzp_relay *relay, uint64_t conn, struct wz_bytes body, uint64_t now_us,
                      struct wzp_relay_effects *ret);
/** The connection is gone, whoever closed it. Not called for ids the core does not know: harmless. */
int wzp_relay_closed(struct wzp_relay *relay, uint64_t conn, uint64_t now_us, struct wzp_relay_effects *ret);
/** The auth server's verdict on the token of conn. fingerprint (the text that names this user from now on) and alias may
 *  be NULL when refused. Unknown connections are ignored: they may be gone. */
int wzp_relay_token_checked(struct wzp_relay *relay, uint64_t conn, bool is_valid, const char *fingerprint,
                            const char *alias, uint64_t now_us, struct wzp_relay_effects *ret);
/** Run timers. */
int wzp_relay_tick(struct wzp_relay *relay, uint64_t now_us, struct wzp_relay_effects *ret);
/** When wzp_relay_tick() is wanted next; UINT64_MAX: no timer. */
uint64_t wzp_relay_deadline_us(const struct wzp_relay *relay);
/** No new registrations, offers or joins from now on; existing calls go on. */
void wzp_relay_drain(struct wzp_relay *relay);
/** Draining, and no call needs this relay any more: none is being set up and no call room is open. */
bool wzp_relay_is_drained(const struct wzp_relay *relay);

/** The shell's handle for a connection (struct wzp_quic_conn *), handed back by wzp_relay_route(). Set after
 * connected. */
void wzp_relay_set_handle(struct wzp_relay *relay, uint64_t conn, void *handle);
/** The sending end of a connection, which spares wzp_relay_route_from() the search. */
struct wzp_relay_port;
/** Valid from connected until wzp_relay_closed() of conn returns. NULL: unknown. */
struct wzp_relay_port *wzp_relay_port(struct wzp_relay *relay, uint64_t conn);
/**
 * Where a datagram goes. Fast path: no allocation. Ask wzp_relay_is_due() afterwards: a quality report in the datagram
 * may have made a directive due.
 * @param ret_handles  The other participants' handles, borrowed until the next call into the core.
 * @return how many; 0: drop it (not joined, malformed, alone).
 */
size_t wzp_relay_route_from(struct wzp_relay *relay, struct wzp_relay_port *port, struct wz_bytes datagram,
                            uint64_t now_us, void *const **ret_handles);
/** The same by the connection's id; 0 also when it is unknown. */
size_t wzp_relay_route(struct wzp_relay *relay, uint64_t conn, struct wz_bytes datagram, uint64_t now_us,
                       void *const **ret_handles);
/** True when a datagram has made wzp_relay_tick() wanted at once. Costs one comparison. */
bool wzp_relay_is_due(const struct wzp_relay *relay);

/* Counters. Another thread may ask while the relay's own runs wzp_relay_route(), never during a step. */

/** Valid until the next call of this function. */
const struct wzp_relay_stats *wzp_relay_stats(const struct wzp_relay *relay);
/** One joined media connection, for metrics: the last quality report seen from it. */
struct wzp_relay_session_view {
    uint64_t conn;
    const char *room, *fingerprint; /**< borrowed for the visit; the fingerprint is the user's name */
    uint64_t datagrams_in;
    bool has_report;
    struct wzp_quality_report report;
};
void wzp_relay_each_session(const struct wzp_relay *relay,
                            void (*visit)(void *arg, const struct wzp_relay_session_view *view), void *arg);
/** Datagrams of the call's room, over all times it was open, by party; false when unknown (kept 60 s after the end). */
bool wzp_relay_call_flow(const struct wzp_relay *relay, const char *call_id, struct wzp_relay_call_flow *ret);

#endif
