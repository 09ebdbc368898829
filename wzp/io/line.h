/* A line: one WZP identity that is registered at a relay, places and answers calls, and joins rooms.
 * It is wzp/core/client on a shared QUIC endpoint. Used by wzp-client, by every identity of the gateway and
 * by the echo service. Thread: the loop's. Handlers may call into the line; they must not free it. */
#ifndef WZP_IO_LINE_H
#define WZP_IO_LINE_H

#include <stdbool.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/base/rng.h"
#include "wzp/core/identity.h"
#include "wzp/core/line_event.h"

struct wz_loop;
struct wzp_quic;
struct wzp_quic_config;
struct wzp_line;
struct wzp_pin_file;

/** The lines of one endpoint, so that an inbound direct connection finds the call that expects it. Make it before the
 *  endpoint; free it after the endpoint and the lines. */
struct wzp_line_group;

int wzp_line_group_new(struct wzp_line_group **ret);
void wzp_line_group_free(struct wzp_line_group *group);
/** Have the endpoint to be made take inbound connections for the group (accept, handlers, arg and limits). */
void wzp_line_group_serve(struct wzp_line_group *group, struct wzp_quic_config *config);

/** Make an endpoint that speaks both versions of IP on one socket and port where the machine can, when config asks for
 *  an unspecified IPv4 address; else as config says. As wzp_quic_new(). */
int wzp_line_open_endpoint(struct wzp_quic **ret, struct wz_loop *loop, const struct wzp_quic_config *config);
/** Does an address of this machine, with the endpoint's port, lead to the endpoint's socket? */
bool wzp_line_endpoint_has(const struct wzp_quic *quic, const struct wz_addr *host);

struct wzp_line_handlers {
    void (*event)(void *arg, struct wzp_line *line, const struct wzp_line_event *event);
    /** A media datagram of call; data borrowed. Undecoded: the media engine parses it. */
    void (*datagram)(void *arg, struct wzp_line_call *call, struct wz_bytes data);
};

struct wzp_line_config {
    uint8_t seed[WZP_SEED_BYTES];
    const char *alias;            /**< NULL: none; copied */
    const char *build;            /**< *_build_version text; copied */
    struct wz_addr relay;         /**< where to register and, when CallSetup's address is unusable, to fetch media */
    const char *auth_token;       /**< NULL: none; copied */
    unsigned start_delay_ms;      /**< jittered start of many identities */
    unsigned ring_ms;             /**< our own ring timer as caller; 0: 60000 */
    unsigned media_ms;            /**< answer to media up; 0: 10000 */
    bool rooms_only;              /**< never register: wzp_line_join() is all that is wanted */
    bool share_local_addrs;       /**< advertise host candidates (never to AcceptGeneric callers' peers) */
    struct wzp_line_group *group; /**< NULL: the line takes no direct path */
    bool no_direct;               /**< never take one, and advertise no address */
    bool strict; /**< signed offers and answers only; the relay's certificate and key must stay the same */
    struct wzp_pin_file *pins; /**< strict: what relays showed first; outlives the line. NULL: the line's own memory */
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
/** Tell the line what was learned outside about our addresses. Copied. */
void wzp_line_set_addresses(struct wzp_line *line, const struct wzp_line_addresses *addresses);

/** Reflect (at most 1 s), then offer. Events follow; the call exists until ENDED.
 *  -ENOTCONN when not registered; -EINVAL (no fingerprint, or our own); -ENOSPC at WZP_CLIENT_MAX_CALLS;
 * -ENOMEM. */
int wzp_line_call(struct wzp_line *line, const struct wzp_line_dial *dial, void *call_arg, struct wzp_line_call **ret);
/** Join a plain room (media handshake, datagrams, ROOM_UPDATE); needs no registration. The name is
 * lower-cased, or hashed when it is no legal server name (docs/wzp-wire.md "QUIC"). -EINVAL when empty;
 * -ENOSPC; -ENOMEM. */
int wzp_line_join(struct wzp_line *line, const struct wzp_line_room *room, void *call_arg, struct wzp_line_call **ret);
/** Answer an incoming call. TRUSTED reflects first and reveals our addresses; REJECT ends it. -EPROTO when
 * not ringing. */
int wzp_line_answer(struct wzp_line_call *call, enum wzp_accept_mode mode);
/** End a call or leave a room. Before the answer of an incoming call: BUSY/DECLINED/... as the relay
 * understands it. ENDED(LOCAL) is delivered before this returns. */
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
    bool is_direct;        /**< the path in use now */
    struct wz_addr remote; /**< its other end; family NONE: no path */
};
/** Sums of all connections that carried media of the call. */
void wzp_line_call_stats(const struct wzp_line_call *call, struct wzp_line_media_stats *ret);

/** Ask the relay for our address / a Pong; one event follows. -ENOTCONN when not registered; -EALREADY while
 * one is under way (its event serves both). */
int wzp_line_reflect(struct wzp_line *line);
int wzp_line_ping(struct wzp_line *line);

#endif
