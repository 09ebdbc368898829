/* A call between one SIP leg and one WZP leg: a pure state machine, (call, event, now) -> effects.
 * It knows neither sofia nor QUIC: gateway/leg_sip and gateway/leg_wzp turn what they see into events and carry
 * out the effects. Thread: one at a time (the control thread in the gateway).
 *
 *   SIP caller:  IDLE -START-> DIALLING -WZP_RINGING-> RINGING -WZP_ANSWERED-> CONNECTING -WZP_MEDIA_UP-> UP
 *   WZP caller:  IDLE -START-> DIALLING -SIP_PROGRESS-> RINGING -SIP_ANSWERED-> CONNECTING -WZP_MEDIA_UP-> UP
 *   any state:   -(a leg ends, a timer, an operator)-> ENDED; each leg is closed exactly once.
 *
 * A phone is answered when media can flow (CONNECTING -> UP), not before. */
#ifndef GATEWAY_CALL_H
#define GATEWAY_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/cause.h"

/** Most contacts of one user that ring at once. */
#define GW_CALL_MAX_BRANCHES 10

enum gw_call_direction {
    GW_CALL_SIP_TO_WZP,
    GW_CALL_WZP_TO_SIP,
};

enum gw_call_state {
    GW_CALL_IDLE,
    GW_CALL_DIALLING,
    GW_CALL_RINGING,
    GW_CALL_CONNECTING,
    GW_CALL_UP,
    GW_CALL_ENDED,
};

enum gw_call_event_kind {
    GW_CALL_START,  /**< the route is known: `branches` contacts (WZP caller), or none */
    GW_CALL_REFUSE, /**< the route says no: `cause` */
    GW_CALL_WZP_RINGING,
    GW_CALL_WZP_ANSWERED,
    GW_CALL_WZP_MEDIA_UP,
    GW_CALL_WZP_ENDED,     /**< the WZP leg is gone: `cause` */
    GW_CALL_SIP_PROGRESS,  /**< `branch` rings */
    GW_CALL_SIP_ANSWERED,  /**< `branch` picked up */
    GW_CALL_SIP_FAILED,    /**< `branch` (or the calling leg) ended without an answer: `cause` */
    GW_CALL_SIP_CANCELLED, /**< the calling phone gave up; its leg is gone */
    GW_CALL_SIP_ENDED,     /**< BYE or lost dialog on `branch` or the calling leg: `cause` */
    GW_CALL_MEDIA_TIMEOUT, /**< no packet from the phone, or from WZP, for too long */
    GW_CALL_HANG_UP,       /**< operator or shutdown: `cause` */
    GW_CALL_EVENT_COUNT,
};

struct gw_call_event {
    enum gw_call_event_kind kind;
    enum gw_cause cause;
    unsigned branch;
    unsigned branches;
};

enum gw_call_effect_kind {
    GW_CALL_DO_WZP_DIAL,    /**< place the call on the WZP side */
    GW_CALL_DO_WZP_ANSWER,  /**< accept the WZP caller, with the user's privacy mode */
    GW_CALL_DO_WZP_HANGUP,  /**< end the WZP leg: `cause` */
    GW_CALL_DO_SIP_DIAL,    /**< invite contact `branch` */
    GW_CALL_DO_SIP_RING,    /**< 180 to the calling phone */
    GW_CALL_DO_SIP_ANSWER,  /**< 200 with SDP to the calling phone */
    GW_CALL_DO_SIP_HANGUP,  /**< end `branch`, or the calling leg: final response, CANCEL or BYE; `cause` */
    GW_CALL_DO_MEDIA_START, /**< join the legs' media (branch: the answering contact) */
    GW_CALL_DO_MEDIA_STOP,
    GW_CALL_DO_FINISHED, /**< the last effect of a call: write its record, free it */
};

struct gw_call_effect {
    enum gw_call_effect_kind kind;
    enum gw_cause cause;
    unsigned branch;
};

#define GW_CALL_MAX_EFFECTS (GW_CALL_MAX_BRANCHES + 6)

struct gw_call_effects {
    size_t count;
    struct gw_call_effect item[GW_CALL_MAX_EFFECTS];
};

struct gw_call_config {
    enum gw_call_direction direction;
    uint32_t ring_ms;    /**< START to answer; 0: 60000 */
    uint32_t connect_ms; /**< answer to media; 0: 12000 */
};

/** Plain data: the holder may read it. */
struct gw_call {
    enum gw_call_direction direction;
    enum gw_call_state state;
    enum gw_cause cause;    /**< why it ended; NONE before */
    bool wzp_open;          /**< the WZP leg wants a hang-up when the call ends */
    bool sip_open;          /**< the calling phone likewise (SIP caller) */
    uint32_t branches_open; /**< bit per contact (WZP caller) */
    unsigned winner;        /**< the contact that answered (WZP caller) */
    bool has_winner, media_started;
    enum gw_cause branch_cause; /**< the best reason a contact gave so far */
    uint32_t ring_ms, connect_ms;
    uint64_t deadline_us;
    uint64_t started_us, ringing_us, answered_us, ended_us; /**< 0: not yet */
};

void gw_call_init(struct gw_call *call, const struct gw_call_config *config);
/**
 * Feed one event.
 * @return 0; -EPROTO when the event has no place in this state (answered by nothing but the counter of the caller);
 *         effects are valid in both cases.
 */
int gw_call_step(struct gw_call *call, const struct gw_call_event *event, uint64_t now_us, struct gw_call_effects *ret);
/** Run the ring and connect timers. */
void gw_call_tick(struct gw_call *call, uint64_t now_us, struct gw_call_effects *ret);
/** UINT64_MAX: no timer wanted. */
uint64_t gw_call_deadline_us(const struct gw_call *call);

const char *gw_call_state_name(enum gw_call_state state);
const char *gw_call_event_name(enum gw_call_event_kind kind);

#endif
