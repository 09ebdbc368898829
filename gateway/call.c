#include "gateway/call.h"

#include <errno.h>

static void put(struct gw_call_effects *eff, enum gw_call_effect_kind kind, enum gw_cause cause, unsigned branch)
{
    if (eff->count < GW_CALL_MAX_EFFECTS)
        eff->item[eff->count++] = (struct gw_call_effect){ kind, cause, branch };
}

void gw_call_init(struct gw_call *call, const struct gw_call_config *config)
{
    *call = (struct gw_call){
        .direction = config->direction,
        .state = GW_CALL_IDLE,
        .wzp_open = config->direction == GW_CALL_WZP_TO_SIP,
        .sip_open = config->direction == GW_CALL_SIP_TO_WZP,
        .ring_ms = config->ring_ms ? config->ring_ms : 60000,
        .connect_ms = config->connect_ms ? config->connect_ms : 12000,
        .deadline_us = UINT64_MAX,
    };
}

static void close_branches(struct gw_call *call, enum gw_cause cause, struct gw_call_effects *eff)
{
    for (unsigned i = 0; i < GW_CALL_MAX_BRANCHES; i++) {
        if (call->branches_open & 1u << i)
            put(eff, GW_CALL_DO_SIP_HANGUP, cause, i);
    }
    call->branches_open = 0;
}

/* Every way a call ends goes through here: each leg that is still open is closed once, then the record. */
static void end(struct gw_call *call, enum gw_cause cause, uint64_t now_us, struct gw_call_effects *eff)
{
    if (call->media_started)
        put(eff, GW_CALL_DO_MEDIA_STOP, cause, 0);
    if (call->sip_open)
        put(eff, GW_CALL_DO_SIP_HANGUP, cause, 0);
    close_branches(call, cause, eff);
    if (call->wzp_open)
        put(eff, GW_CALL_DO_WZP_HANGUP, cause, 0);
    call->sip_open = call->wzp_open = call->media_started = false;
    call->state = GW_CALL_ENDED;
    call->cause = cause;
    call->ended_us = now_us;
    call->deadline_us = UINT64_MAX;
    put(eff, GW_CALL_DO_FINISHED, cause, 0);
}

static void start(struct gw_call *call, unsigned branches, uint64_t now_us, struct gw_call_effects *eff)
{
    call->started_us = now_us;
    if (call->direction == GW_CALL_SIP_TO_WZP) {
        call->wzp_open = true;
        put(eff, GW_CALL_DO_WZP_DIAL, GW_CAUSE_NONE, 0);
    } else if (branches == 0) {
        end(call, GW_CAUSE_OFFLINE, now_us, eff);
        return;
    } else {
        if (branches > GW_CALL_MAX_BRANCHES)
            branches = GW_CALL_MAX_BRANCHES;
        call->branches_open = (1u << branches) - 1;
        for (unsigned i = 0; i < branches; i++)
            put(eff, GW_CALL_DO_SIP_DIAL, GW_CAUSE_NONE, i);
    }
    call->state = GW_CALL_DIALLING;
    call->deadline_us = now_us + (uint64_t)call->ring_ms * 1000;
}

static void connecting(struct gw_call *call, uint64_t now_us)
{
    call->state = GW_CALL_CONNECTING;
    call->deadline_us = now_us + (uint64_t)call->connect_ms * 1000;
}

/* Media can flow. The calling phone is answered now; a called phone has answered already. */
static void up(struct gw_call *call, uint64_t now_us, struct gw_call_effects *eff)
{
    call->state = GW_CALL_UP;
    call->answered_us = now_us;
    call->deadline_us = UINT64_MAX;
    call->media_started = true;
    if (call->direction == GW_CALL_SIP_TO_WZP)
        put(eff, GW_CALL_DO_SIP_ANSWER, GW_CAUSE_NONE, 0);
    put(eff, GW_CALL_DO_MEDIA_START, GW_CAUSE_NONE, call->winner);
}

/* Of several refusals the caller is told the one that says most: a decision beats an absence. */
static unsigned weight(enum gw_cause cause)
{
    switch (cause) {
    case GW_CAUSE_DECLINED:
        return 5;
    case GW_CAUSE_BUSY:
        return 4;
    case GW_CAUSE_NO_ANSWER:
        return 3;
    case GW_CAUSE_NO_CODEC:
        return 2;
    case GW_CAUSE_NONE:
        return 0;
    default:
        return 1;
    }
}

static void branch_gone(struct gw_call *call, unsigned branch, enum gw_cause cause, uint64_t now_us,
                        struct gw_call_effects *eff)
{
    call->branches_open &= ~(1u << branch);
    if (weight(cause) > weight(call->branch_cause))
        call->branch_cause = cause;
    /* 603 is a decision of the person, not of one device (RFC 3261 16.7): stop ringing everywhere. */
    if (call->branches_open == 0 || cause == GW_CAUSE_DECLINED)
        end(call, call->branch_cause, now_us, eff);
}

static int sip_answered(struct gw_call *call, unsigned branch, uint64_t now_us, struct gw_call_effects *eff)
{
    if (call->state != GW_CALL_DIALLING && call->state != GW_CALL_RINGING) {
        /* Two phones answered at once: the second one is hung up. */
        call->branches_open &= ~(1u << branch);
        put(eff, GW_CALL_DO_SIP_HANGUP, GW_CAUSE_CANCELLED, branch);
        return 0;
    }
    call->has_winner = true;
    call->winner = branch;
    call->branches_open &= ~(1u << branch);
    close_branches(call, GW_CAUSE_CANCELLED, eff);
    call->branches_open = 1u << branch;
    put(eff, GW_CALL_DO_WZP_ANSWER, GW_CAUSE_NONE, 0);
    connecting(call, now_us);
    return 0;
}

static int sip_caller_event(struct gw_call *call, const struct gw_call_event *event, uint64_t now_us,
                            struct gw_call_effects *eff)
{
    switch (event->kind) {
    case GW_CALL_WZP_RINGING:
        if (call->state != GW_CALL_DIALLING)
            return -EPROTO;
        call->state = GW_CALL_RINGING;
        call->ringing_us = now_us;
        put(eff, GW_CALL_DO_SIP_RING, GW_CAUSE_NONE, 0);
        return 0;
    case GW_CALL_WZP_ANSWERED:
        if (call->state != GW_CALL_DIALLING && call->state != GW_CALL_RINGING)
            return -EPROTO;
        connecting(call, now_us);
        return 0;
    case GW_CALL_SIP_CANCELLED:
    case GW_CALL_SIP_ENDED:
    case GW_CALL_SIP_FAILED:
        call->sip_open = false;
        end(call, event->kind == GW_CALL_SIP_CANCELLED ? GW_CAUSE_CANCELLED : event->cause, now_us, eff);
        return 0;
    default:
        return -EPROTO;
    }
}

static int wzp_caller_event(struct gw_call *call, const struct gw_call_event *event, uint64_t now_us,
                            struct gw_call_effects *eff)
{
    bool known = event->branch < GW_CALL_MAX_BRANCHES && (call->branches_open & 1u << event->branch);
    switch (event->kind) {
    case GW_CALL_SIP_PROGRESS:
        if (!known || call->state != GW_CALL_DIALLING)
            return -EPROTO;
        call->state = GW_CALL_RINGING;
        call->ringing_us = now_us;
        return 0;
    case GW_CALL_SIP_ANSWERED:
        if (!known && event->branch >= GW_CALL_MAX_BRANCHES)
            return -EPROTO;
        if (call->has_winner && call->winner == event->branch)
            return -EPROTO;
        return sip_answered(call, event->branch, now_us, eff);
    case GW_CALL_SIP_FAILED:
    case GW_CALL_SIP_ENDED:
        if (!known)
            return -EPROTO;
        if (call->has_winner && call->winner == event->branch) {
            call->branches_open = 0;
            end(call, event->cause, now_us, eff);
        } else {
            branch_gone(call, event->branch, event->cause, now_us, eff);
        }
        return 0;
    default:
        return -EPROTO;
    }
}

int gw_call_step(struct gw_call *call, const struct gw_call_event *event, uint64_t now_us, struct gw_call_effects *ret)
{
    ret->count = 0;
    if (call->state == GW_CALL_ENDED)
        return -EPROTO;
    switch (event->kind) {
    case GW_CALL_START:
        if (call->state != GW_CALL_IDLE)
            return -EPROTO;
        start(call, event->branches, now_us, ret);
        return 0;
    case GW_CALL_REFUSE:
        if (call->state != GW_CALL_IDLE)
            return -EPROTO;
        call->started_us = now_us;
        end(call, event->cause, now_us, ret);
        return 0;
    case GW_CALL_HANG_UP:
        end(call, event->cause, now_us, ret);
        return 0;
    case GW_CALL_WZP_ENDED:
        call->wzp_open = false;
        end(call, event->cause, now_us, ret);
        return 0;
    case GW_CALL_WZP_MEDIA_UP:
        if (call->state != GW_CALL_CONNECTING)
            return -EPROTO;
        up(call, now_us, ret);
        return 0;
    case GW_CALL_MEDIA_TIMEOUT:
        if (call->state != GW_CALL_UP)
            return -EPROTO;
        end(call, GW_CAUSE_MEDIA_LOST, now_us, ret);
        return 0;
    default:
        break;
    }
    if (call->state == GW_CALL_IDLE && event->kind != GW_CALL_SIP_CANCELLED && event->kind != GW_CALL_SIP_ENDED)
        return -EPROTO;
    return call->direction == GW_CALL_SIP_TO_WZP ? sip_caller_event(call, event, now_us, ret)
                                                 : wzp_caller_event(call, event, now_us, ret);
}

void gw_call_tick(struct gw_call *call, uint64_t now_us, struct gw_call_effects *ret)
{
    ret->count = 0;
    if (now_us < call->deadline_us)
        return;
    switch (call->state) {
    case GW_CALL_DIALLING:
    case GW_CALL_RINGING:
        end(call, GW_CAUSE_NO_ANSWER, now_us, ret);
        break;
    case GW_CALL_CONNECTING:
        end(call, GW_CAUSE_NO_PATH, now_us, ret);
        break;
    default:
        call->deadline_us = UINT64_MAX;
        break;
    }
}

uint64_t gw_call_deadline_us(const struct gw_call *call)
{
    return call->deadline_us;
}

const char *gw_call_state_name(enum gw_call_state state)
{
    static const char *const names[] = { "idle", "dialling", "ringing", "connecting", "up", "ended" };
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "?";
}

const char *gw_call_event_name(enum gw_call_event_kind kind)
{
    static const char *const names[] = {
        "start",        "refuse",     "wzp-ringing",   "wzp-answered", "wzp-media-up",  "wzp-ended", "sip-progress",
        "sip-answered", "sip-failed", "sip-cancelled", "sip-ended",    "media-timeout", "hang-up",
    };
    _Static_assert(sizeof names / sizeof names[0] == GW_CALL_EVENT_COUNT, "one name per event");
    return (unsigned)kind < GW_CALL_EVENT_COUNT ? names[kind] : "?";
}
