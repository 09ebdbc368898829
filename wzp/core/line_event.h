/* What a line tells its user, and what the user tells it: plain data, shared by the client core and the line
 * on top of it. See wzp/io/line.h for the calls. */
#ifndef WZP_CORE_LINE_EVENT_H
#define WZP_CORE_LINE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/core/signal.h"

/** A call or a joined room of a line. Dead after its ENDED event returns. */
struct wzp_line_call;

enum wzp_line_event_kind {
    WZP_LINE_REGISTERED,   /**< relay_build may be NULL */
    WZP_LINE_UNREGISTERED, /**< signal connection lost or refused; reason. The line goes on trying with
                              back-off */
    WZP_LINE_INCOMING,     /**< a call is offered: answer, reject or hang up */
    WZP_LINE_RINGING,      /**< our offer reached the callee */
    WZP_LINE_ANSWERED,     /**< the callee accepted (DirectCallAnswer arrived), mode */
    WZP_LINE_SETUP,        /**< CallSetup arrived; peer_direct_addr NULL when absent */
    WZP_LINE_PATH,         /**< the media path was chosen, or changed in the call; path, path_remote. The peer's
                              stream may begin anew on it */
    WZP_LINE_MEDIA_UP,     /**< media can be sent and received from now on; once per call */
    WZP_LINE_MEDIA_DOWN,   /**< no path at present: another one is being made, else ENDED follows; then PATH tells that
                              media flows again */
    WZP_LINE_QUALITY,      /**< the relay recommends a profile for everyone in the room; profile, reason */
    WZP_LINE_RELAY_KEY,    /**< the relay's identity key, shown by its media handshake: body is the 32 bytes, relay_addr
                              where. For pinning */
    WZP_LINE_ROOM_UPDATE,  /**< participants changed; count */
    WZP_LINE_ENDED,        /**< the last event of a call; reason, by_peer */
    WZP_LINE_REFLECTED,    /**< answer to wzp_line_reflect(); observed_addr, or NULL after 1 s */
    WZP_LINE_PONG,         /**< answer to wzp_line_ping(); rtt_us, or 0 after 2 s */
    WZP_LINE_SIGNAL,       /**< one message on the wire, for traces: outgoing, signal_name, body (never a token) */
};

enum wzp_line_path { WZP_LINE_PATH_RELAY, WZP_LINE_PATH_DIRECT };

enum wzp_line_end {
    WZP_LINE_END_LOCAL,      /**< we hung up, rejected or cancelled */
    WZP_LINE_END_HANGUP,     /**< the peer's or relay's Hangup; hangup_reason and `ringing_seen`, `answered_seen`
                            tell more */
    WZP_LINE_END_RELAY_DOWN, /**< the signal connection was lost before the answer, or no relay was reachable
                              */
    WZP_LINE_END_NO_MEDIA,   /**< no media path in 10 s */
    WZP_LINE_END_MEDIA_LOST, /**< the media connection died in the call */
    WZP_LINE_END_NO_ANSWER,  /**< our ring timer ran out */
    WZP_LINE_END_REFUSED,    /**< the relay refused (limit, access, bad room name); strict: the answer is unsigned */
};

struct wzp_line_event {
    enum wzp_line_event_kind kind;
    struct wzp_line_call *call; /**< NULL for events of the line itself */
    const char *call_id;        /**< borrowed for the callback, as every pointer here */
    const char *reason;         /**< text for logs, never NULL for UNREGISTERED and ENDED */
    const char *relay_build;
    /* INCOMING; own_kind also with ANSWERED */
    const char *caller_fingerprint, *caller_alias, *dialled_number;
    const char *caller_reflexive_addr;
    const struct wzp_addr_list *caller_local_addrs;
    bool own_kind; /**< valid signature: the peer is one of ours */
    /* ANSWERED */
    enum wzp_accept_mode accept_mode;
    const char *callee_reflexive_addr;
    /* SETUP */
    const char *room, *relay_addr, *peer_direct_addr;
    const struct wzp_addr_list *peer_local_addrs;
    /* PATH, MEDIA_UP */
    enum wzp_line_path path;
    const char *path_remote; /**< address of the other end: the relay's or the peer's */
    /* QUALITY */
    const struct wzp_profile *profile;
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

/** What the NAT looks like, learned outside (docs/wzp-wire.md "Addresses"): host candidates with the
 * endpoint's port, STUN mappings, and a configured public address (family NONE: unset). The client core
 * applies the rules. Copied. */
struct wzp_line_addresses {
    size_t host_count;
    struct wz_addr host[WZP_SIGNAL_MAX_ADDRS];
    size_t stun_count;
    struct wz_addr stun[8];
    struct wz_addr public_address;
    bool share_loopback; /**< loopback host addresses are told too: every peer is on this machine (tests) */
};

/** A room to join. Everything is copied. */
struct wzp_line_room {
    const char *name;
    /** The only other participant may be reached here, past the relay: both sides race it as they do in calls
     *  (docs/wzp-wire.md "Direct path"). NULL: none. */
    const char *peer_direct_addr;
};

/** An outgoing call. Everything is copied. */
struct wzp_line_dial {
    const char *target_fingerprint; /**< routing form */
    const char *caller_alias;       /**< NULL: the line's alias */
    const char *dialled_number;     /**< NULL: none */
    bool hide_addresses;            /**< offer neither reflexive nor local addresses */
};

#endif
