/* A line: one WZP identity that is registered at a relay, places and answers calls, and joins rooms.
 * It is wzp/core/client on a shared QUIC endpoint. Used by wzp-client, by every identity of the gateway and by
 * the echo service. Thread: the loop's. Handlers may call into the line; they must not free it. */
#ifndef WZP_IO_LINE_H
#define WZP_IO_LINE_H

#include <stdbool.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/base/rng.h"
#include "wzp/core/identity.h"
#include "wzp/core/signal.h"

struct wz_loop;
struct wzp_quic;
struct wzp_line;
/** A call or a joined room of a line. Dead after its ENDED event returns. */
struct wzp_line_call;

enum wzp_line_event_kind {
    WZP_LINE_REGISTERED,   /**< relay_build may be NULL */
    WZP_LINE_UNREGISTERED, /**< signal connection lost or refused; reason. The line goes on trying with back-off */
    WZP_LINE_INCOMING,     /**< a call is offered: answer, reject or hang up */
    WZP_LINE_RINGING,      /**< our offer reached the callee */
    WZP_LINE_ANSWERED,     /**< the callee accepted (DirectCallAnswer arrived), mode */
    WZP_LINE_SETUP,        /**< CallSetup arrived; peer_direct_addr NULL when absent */
    WZP_LINE_PATH,         /**< the media path was chosen; path */
    WZP_LINE_MEDIA_UP,     /**< media can be sent and received from now on */
    WZP_LINE_MEDIA_DOWN,   /**< the media connection ended (the call is ended by the core after at most 2 s) */
    WZP_LINE_ROOM_UPDATE,  /**< participants changed; count */
    WZP_LINE_ENDED,        /**< the last event of a call; reason, by_peer */
    WZP_LINE_REFLECTED,    /**< answer to wzp_line_reflect(); observed_addr, or NULL after 1 s */
    WZP_LINE_PONG,         /**< answer to wzp_line_ping(); rtt_us, or 0 after 2 s */
    WZP_LINE_SIGNAL,       /**< one message on the wire, for traces: outgoing, signal_name, body (never a token) */
};

enum wzp_line_path { WZP_LINE_PATH_RELAY, WZP_LINE_PATH_DIRECT };

enum wzp_line_end {
    WZP_LINE_END_LOCAL,        /**< we hung up, rejected or cancelled */
    WZP_LINE_END_HANGUP,       /**< the peer's or relay's Hangup; hangup_reason and `ringing_seen`, `answered_seen` tell more */
    WZP_LINE_END_RELAY_DOWN,   /**< the signal connection was lost before the answer, or no relay was reachable */
    WZP_LINE_END_NO_MEDIA,     /**< no media path in 10 s */
    WZP_LINE_END_MEDIA_LOST,   /**< the media connection died in the call */
    WZP_LINE_END_NO_ANSWER,    /**< our ring timer ran out */
    WZP_LINE_END_REFUSED,      /**< the relay refused (limit, access, bad room name) */
};

struct wzp_line_event {
    enum wzp_line_event_kind kind;
    struct wzp_line_call *call;            /**< NULL for events of the line itself */
    const char *call_id;                   /**< borrowed for the callback, as every pointer here */
    const char *reason;                    /**< text for logs, never NULL for UNREGISTERED and ENDED */
    const char *relay_build;
    /* INCOMING */
    const char *caller_fingerprint, *caller_alias, *dialled_number;
    const char *caller_reflexive_addr;
    const struct wzp_addr_list *caller_local_addrs;
    bool own_kind;                         /**< valid signature: the peer is one of ours */
    /* ANSWERED */
    enum wzp_accept_mode accept_mode;
    const char *callee_reflexive_addr;
    /* SETUP */
    const char *room, *relay_addr, *peer_direct_addr;
    const struct wzp_addr_list *peer_local_addrs;
    /* PATH, MEDIA_UP */
    enum wzp_line_path path;
    /* ENDED */
    enum wzp_line_end end;
    enum wzp_hangup_reason hangup_reason;
    bool by_peer, ringing_seen, answered_seen;
    /* ROOM_UPDATE */
    uint32_t participants;
    const struct wzp_signal *room_update;
    /* REFLECTED, PONG */
    const char *observed_addr;
    uint32_t rtt_us;
    /* SIGNAL */
    bool outgoing;
    const char *signal_name;
    struct wz_bytes body;
};

struct wzp_line_handlers {
    void (*event)(void *arg, struct wzp_line *line, const struct wzp_line_event *event);
    /** A media datagram of call; data borrowed. Undecoded: the media engine parses it. */
    void (*datagram)(void *arg, struct wzp_line_call *call, struct wz_bytes data);
};

struct wzp_line_config {
    uint8_t seed[WZP_SEED_BYTES];
    const char *alias;             /**< NULL: none; copied */
    const char *build;             /**< *_build_version text; copied */
    struct wz_addr relay;          /**< where to register and, when CallSetup's address is unusable, to fetch media */
    const char *auth_token;        /**< NULL: none; copied */
    unsigned start_delay_ms;       /**< jittered start of many identities */
    unsigned ring_ms;              /**< our own ring timer as caller; 0: 60000 */
    unsigned media_ms;             /**< answer to media up; 0: 10000 */
    bool share_local_addrs;        /**< advertise host candidates (never to AcceptGeneric callers' peers) */
    struct wzp_line_handlers handlers;
    void *arg;
    const struct wz_rng *rng;
};

int wzp_line_new(struct wzp_line **ret, struct wz_loop *loop, struct wzp_quic *quic,
                 const struct wzp_line_config *config);
/** Hang up every call, leave the relay, free. ENDED is delivered for each call. */
void wzp_line_free(struct wzp_line *line);
const char *wzp_line_fingerprint(const struct wzp_line *line);
bool wzp_line_is_registered(const struct wzp_line *line);
/** The address Reflect last showed, or NULL. */
const char *wzp_line_reflexive_addr(const struct wzp_line *line);
/** What the NAT looks like, learned outside (docs/wzp-wire.md "Addresses"): host candidates with the endpoint's port,
 *  STUN mappings, and a configured public address (family NONE: unset). The client core applies the rules. Copied. */
struct wzp_line_addresses {
    size_t host_count;
    struct wz_addr host[WZP_SIGNAL_MAX_ADDRS];
    size_t stun_count;
    struct wz_addr stun[8];
    struct wz_addr public_address;
};
void wzp_line_set_addresses(struct wzp_line *line, const struct wzp_line_addresses *addresses);

struct wzp_line_dial {
    const char *target_fingerprint;    /**< routing form */
    const char *caller_alias;          /**< NULL: the line's alias */
    const char *dialled_number;        /**< NULL: none */
    bool hide_addresses;               /**< offer neither reflexive nor local addresses */
};
/** Reflect (at most 1 s), then offer. Events follow; the call exists until ENDED. -ENOTCONN when not registered. */
int wzp_line_call(struct wzp_line *line, const struct wzp_line_dial *dial, void *call_arg,
                  struct wzp_line_call **ret);
/** Join a plain room (media handshake, datagrams, ROOM_UPDATE); needs no registration. */
int wzp_line_join(struct wzp_line *line, const char *room, void *call_arg, struct wzp_line_call **ret);
/** Answer an incoming call. TRUSTED reflects first and reveals our addresses; REJECT ends it. -EPROTO when not ringing. */
int wzp_line_answer(struct wzp_line_call *call, enum wzp_accept_mode mode);
/** End a call or leave a room. Before the answer of an incoming call: BUSY/DECLINED/... as the relay understands it.
 *  ENDED(LOCAL) is delivered before this returns. */
void wzp_line_hangup(struct wzp_line_call *call, enum wzp_hangup_reason reason);
/** Queue one datagram. 0; -ENOTCONN before MEDIA_UP; -EMSGSIZE. */
int wzp_line_send(struct wzp_line_call *call, struct wz_bytes datagram);

void wzp_line_call_set_arg(struct wzp_line_call *call, void *arg);
void *wzp_line_call_arg(const struct wzp_line_call *call);
const char *wzp_line_call_id(const struct wzp_line_call *call);
struct wzp_line *wzp_line_call_line(const struct wzp_line_call *call);

struct wzp_line_media_stats {
    uint64_t datagrams_rx, datagrams_tx, datagrams_dropped;
    uint64_t packets_tx, packets_lost;
    uint32_t rtt_us;
};
void wzp_line_call_stats(const struct wzp_line_call *call, struct wzp_line_media_stats *ret);

/** Ask the relay for our address / a Pong; one event follows. -ENOTCONN when not registered. */
int wzp_line_reflect(struct wzp_line *line);
int wzp_line_ping(struct wzp_line *line);

#endif
