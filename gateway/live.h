/* A live call: the pure machine of gateway/call with the legs, media and record that belong to it. Shared by calls.c
 * (table, effects), leg_sip.c and leg_wzp.c; nobody else includes it. Thread: control. */
#ifndef GATEWAY_LIVE_H
#define GATEWAY_LIVE_H

#include "gateway/call.h"
#include "gateway/calls.h"
#include "gateway/media/port_pool.h"
#include "gateway/route.h"
#include "gateway/trace.h"
#include "gateway/users.h"
#include "gateway/worker.h"
#include "sip/sdp.h"
#include "sip/ua.h"
#include "wzp/base/list.h"
#include "wzp/rt/loop.h"

#define GW_LIVE_ID_TEXT 17
/** Longer Call-IDs are cut: they only serve to find a call again. */
#define GW_SIP_CALL_ID_MAX 128

struct gw_live;

/** One phone of a call: the calling one, or one contact of the called user. */
struct gw_leg_sip {
    struct gw_live *live;
    unsigned branch;
    struct sipua_call *sip; /**< NULL: none, or given back */
    bool failed_locally;    /**< we refused its answer; its own end tells nothing new */
};

struct gw_live {
    struct gw_calls *calls;
    struct wz_hash_node by_ref;
    struct wz_list node;
    uint64_t ref;
    char id[GW_LIVE_ID_TEXT];
    struct gw_call core;
    struct wz_timer timer;
    bool finished;               /**< DO_FINISHED was carried out; it settles when its legs and media are closed too */
    unsigned depth;              /**< steps under way: effects may cause events */
    char why[SIPUA_SDP_WHY_MAX]; /**< text of the Warning that a refusal carries, or "" */
    bool past;                   /**< settled: kept for `wzpctl trace` only */
    bool counted;                /**< in the user's active calls */
    struct gw_user *user;        /**< the SIP side; NULL only while an unknown one is refused */
    char dialled[GW_DIALLED_MAX];
    char peer_fingerprint[WZP_FINGERPRINT_TEXT];
    char peer_alias[GW_NAME_MAX];
    char wzp_call_id[GW_CALL_ID_TEXT];
    char sip_call_id[GW_SIP_CALL_ID_MAX];
    char peer_direct_addr[WZ_ADDR_TEXT_MAX];
    enum wzp_line_path path; /**< the one in use, or the last */
    bool has_path;
    char path_remote[WZ_ADDR_TEXT_MAX]; /**< its other end */
    unsigned path_changes;
    bool seen_direct, seen_relay;

    struct gw_leg_sip leg[GW_CALL_MAX_BRANCHES];
    const struct sipua_binding *contact[GW_CALL_MAX_BRANCHES]; /**< valid while START is carried out only */
    struct wz_addr phone;                                      /**< where the phone's signalling comes from */

    /* offer/answer */
    struct sipua_sdp local; /**< our newest offer or answer */
    bool local_is_offer;    /**< the peer's answer is still to come */
    struct sipua_sdp_choice choice;
    bool has_choice;
    uint64_t sdp_version;

    /* media */
    struct gw_port_pair ports;
    bool has_ports; /**< the port is lent to this call */
    bool fds_ours;  /**< the descriptors have not been handed to the worker yet */
    bool media_wanted, media_open;
    struct gw_bridge_stats media;

    uint64_t started_wall_us, answered_wall_us, ended_wall_us;
    struct gw_trace trace;
};

/** Feed an event to the machine and carry out its effects. The call may be gone afterwards: touch it no more. */
void gw_live_step(struct gw_live *live, const struct gw_call_event *event);
/** When the machine, every leg and the media are over, move the call to the past ones. Touch it no more. */
void gw_live_settle(struct gw_live *live);
/** The WZP leg's media path was chosen or has changed. */
void gw_live_take_path(struct gw_live *live, enum wzp_line_path path, const char *remote);
/** "none", "direct" or "relay". */
const char *gw_live_path_name(const struct gw_live *live);
const struct gw_calls_config *gw_calls_config(const struct gw_calls *calls);
void gw_live_trace(struct gw_live *live, enum gw_trace_party party, bool outgoing, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* gateway/leg_sip.c */
/** Read the caller's offer (NULL: late offer) and prepare our answer. NONE, or why the call must be refused; then
 *  live->why may hold a sentence for the Warning header. */
enum gw_cause gw_leg_sip_take_offer(struct gw_live *live, const char *sdp);
void gw_leg_sip_ring(struct gw_live *live);
void gw_leg_sip_answer(struct gw_live *live);
/** Invite contact branch. 0, or -errno: the branch has failed. */
int gw_leg_sip_dial(struct gw_live *live, unsigned branch);
void gw_leg_sip_hangup(struct gw_live *live, unsigned branch, enum gw_cause cause);
void gw_leg_sip_event(struct gw_leg_sip *leg, const struct sipua_event *event);
void gw_leg_sip_release(struct gw_live *live);

/* gateway/leg_wzp.c */
void gw_leg_wzp_dial(struct gw_live *live);
void gw_leg_wzp_answer(struct gw_live *live);
void gw_leg_wzp_hangup(struct gw_live *live, enum gw_cause cause);
void gw_leg_wzp_event(struct gw_live *live, const struct gw_event *event);
/** Hand the phone's port and what was negotiated to the worker, or tell it of a change. */
void gw_leg_wzp_media(struct gw_live *live);
void gw_leg_wzp_media_stop(struct gw_live *live);
void gw_leg_wzp_digit(struct gw_live *live, char digit, uint16_t duration_ms);

#endif
