/* A media worker: one thread with one QUIC endpoint, the lines (WZP identities) placed on it, and the media sessions
 * of their calls. The control thread talks to it in plain-data commands and hears plain-data events; both are copied
 * through mailboxes, and no pointer is shared. The file descriptors of an RTP port pair pass to the worker with
 * MEDIA_OPEN; MEDIA_CLOSED says that they are closed and the port may be lent again.
 *
 * A call is named by a `ref` that is unique in the process: the control thread makes those of outgoing calls, the
 * worker those of incoming ones (gw_ref_next()). */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/media/bridge.h"
#include "gateway/media/port_pool.h"
#include "wzp/base/addr.h"
#include "wzp/core/identity.h"
#include "wzp/core/signal.h"
#include "wzp/io/line.h"

#define GW_WORKER_MAX_STUN 4
#define GW_NAME_MAX        96 /**< aliases and display names are cut here, at a character's border */
#define GW_CALL_ID_TEXT    64
#define GW_REASON_MAX      192

enum gw_command_kind {
    GW_CMD_LINE_ADD,     /**< line_id (0, 1, 2, ... per worker, in order), seed, alias, delay_ms, is_echo */
    GW_CMD_CALL,         /**< ref, line_id, target, alias, hide_addresses */
    GW_CMD_ANSWER,       /**< ref, mode */
    GW_CMD_HANGUP,       /**< ref, reason; one GW_EV_ENDED follows if the call still exists */
    GW_CMD_MEDIA_OPEN,   /**< ref, ports, rtp */
    GW_CMD_MEDIA_UPDATE, /**< ref, rtp */
    GW_CMD_MEDIA_CLOSE,  /**< ref; GW_EV_MEDIA_CLOSED follows */
    GW_CMD_DTMF,         /**< ref, digit, duration_ms: a digit that came by SIP INFO */
};

struct gw_command {
    enum gw_command_kind kind;
    uint64_t ref;
    uint32_t line_id;
    union {
        struct {
            uint8_t seed[WZP_SEED_BYTES];
            char alias[GW_NAME_MAX];
            uint32_t delay_ms;
            bool is_echo;
        } line;
        struct {
            char target[WZP_FINGERPRINT_TEXT];
            char alias[GW_NAME_MAX];
            bool hide_addresses;
        } call;
        enum wzp_accept_mode mode;
        enum wzp_hangup_reason reason;
        struct {
            struct gw_port_pair ports;
            struct gw_rtp_params rtp;
        } media; /**< ports: MEDIA_OPEN only */
        struct {
            char digit;
            uint16_t duration_ms;
        } dtmf;
    };
};

enum gw_event_kind {
    GW_EV_LINE_UP,   /**< line_id, text: relay build or "" */
    GW_EV_LINE_DOWN, /**< line_id, text: reason */
    GW_EV_INCOMING,  /**< ref, line_id, incoming */
    GW_EV_RINGING,
    GW_EV_ANSWERED,
    GW_EV_SETUP, /**< setup */
    GW_EV_PATH,  /**< path: chosen, or changed in the call */
    GW_EV_MEDIA_UP,
    GW_EV_ENDED,        /**< ended: the WZP leg is gone */
    GW_EV_CALL_ID,      /**< text: the WZP call id of an outgoing call */
    GW_EV_WIRE,         /**< wire: one WZP message, for the trace */
    GW_EV_MEDIA_SILENT, /**< nothing from the phone (text "sip") or from WZP ("wzp") for media.timeout */
    GW_EV_MEDIA_CLOSED, /**< media: final counters; the port is free again */
    GW_EV_MEDIA_STATS,  /**< media: running counters, every 5 s */
};

struct gw_event {
    enum gw_event_kind kind;
    uint64_t ref;
    uint32_t line_id;
    union {
        char text[GW_REASON_MAX];
        struct {
            char call_id[GW_CALL_ID_TEXT];
            char fingerprint[WZP_FINGERPRINT_TEXT];
            char alias[GW_NAME_MAX];
            char reflexive_addr[WZ_ADDR_TEXT_MAX]; /**< "": not told */
            unsigned local_addr_count;
        } incoming;
        struct {
            char peer_direct_addr[WZ_ADDR_TEXT_MAX]; /**< "": absent */
            char relay_addr[WZ_ADDR_TEXT_MAX];
            unsigned peer_local_count;
        } setup;
        struct {
            enum wzp_line_path kind;
            char remote[WZ_ADDR_TEXT_MAX]; /**< the relay or the peer */
        } path;
        struct {
            enum wzp_line_end end;
            enum wzp_hangup_reason reason;
            bool by_peer, ringing_seen, answered_seen;
            char text[GW_REASON_MAX];
        } ended;
        struct {
            bool outgoing;
            char text[GW_REASON_MAX];
        } wire;
        struct {
            struct gw_bridge_stats stats;
        } media;
    };
};

struct gw_worker_config {
    unsigned index;
    const char *build;             /**< version text told to peers; outlives the worker */
    struct wz_addr relay;          /**< where the lines register */
    struct wz_addr bind;           /**< of the QUIC endpoint; port 0: any */
    struct wz_addr public_address; /**< of the endpoint, when the operator knows it; family NONE: unknown */
    unsigned stun_count;
    struct wz_addr stun[GW_WORKER_MAX_STUN];
    bool share_local_addrs;
    bool direct;                               /**< calls may take a path past the relay */
    bool strict;                               /**< see wzp_line_config */
    const char *pin_path;                      /**< strict: what relays showed first; outlives the worker */
    bool allow_loopback_hosts;                 /**< tell loopback addresses as host candidates (tests on one machine) */
    uint32_t media_timeout_ms;                 /**< 0: never */
    struct gw_wzp_params wzp;                  /**< codec settings of the WZP side of every bridge */
    unsigned jitter_initial_ms, jitter_max_ms; /**< 0: the bridge's defaults */
    /** Called on the worker's thread. Must post to a mailbox and return. */
    void (*emit)(void *arg, const struct gw_event *event);
    void *arg;
};

struct gw_worker;

/** Start the thread, open the endpoint, begin to learn its addresses. 0 or -errno. */
int gw_worker_new(struct gw_worker **ret, const struct gw_worker_config *config);
/** Hang up what is left, stop, join. Events of the last moments are still emitted. NULL-safe. */
void gw_worker_free(struct gw_worker *worker);
/** 0, or -EAGAIN when the mailbox is full (counted; nothing was taken). Thread: control. */
int gw_worker_post(struct gw_worker *worker, const struct gw_command *command);

/** A call ref nobody else has. Thread: any. */
uint64_t gw_ref_next(void);

#endif
