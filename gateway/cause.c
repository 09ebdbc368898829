#include "gateway/cause.h"

#include <stddef.h>

static const struct gw_cause_row rows[] = {
    { GW_CAUSE_NONE, "none", 500, "Server Internal Error", 41, GW_WZP_ERROR },
    { GW_CAUSE_NORMAL, "normal", 480, "Temporarily Unavailable", 16, GW_WZP_NORMAL },
    { GW_CAUSE_CANCELLED, "cancelled", 487, "Request Terminated", 16, GW_WZP_NORMAL },
    { GW_CAUSE_BUSY, "busy", 486, "Busy Here", 17, GW_WZP_BUSY },
    { GW_CAUSE_DECLINED, "declined", 603, "Decline", 21, GW_WZP_DECLINED },
    { GW_CAUSE_NO_ANSWER, "no-answer", 408, "Request Timeout", 19, GW_WZP_TIMEOUT },
    { GW_CAUSE_OFFLINE, "offline", 480, "Temporarily Unavailable", 20, GW_WZP_ERROR },
    { GW_CAUSE_NOT_FOUND, "not-found", 404, "Not Found", 1, GW_WZP_NORMAL },
    { GW_CAUSE_FORBIDDEN, "forbidden", 403, "Forbidden", 21, GW_WZP_DECLINED },
    { GW_CAUSE_LIMIT, "limit", 486, "Busy Here", 17, GW_WZP_BUSY },
    { GW_CAUSE_NO_CODEC, "no-codec", 488, "Not Acceptable Here", 88, GW_WZP_ERROR },
    { GW_CAUSE_BAD_SDP, "bad-sdp", 400, "Bad Session Description", 95, GW_WZP_ERROR },
    { GW_CAUSE_RELAY_DOWN, "relay-down", 503, "Service Unavailable", 38, GW_WZP_ERROR },
    { GW_CAUSE_NO_PATH, "no-path", 504, "Server Time-out", 3, GW_WZP_ERROR },
    { GW_CAUSE_MEDIA_LOST, "media-lost", 500, "Server Internal Error", 41, GW_WZP_ERROR },
    { GW_CAUSE_SHUTDOWN, "shutdown", 503, "Service Unavailable", 41, GW_WZP_NORMAL },
    { GW_CAUSE_OPERATOR, "operator", 480, "Temporarily Unavailable", 16, GW_WZP_NORMAL },
    { GW_CAUSE_INTERNAL, "internal", 500, "Server Internal Error", 41, GW_WZP_ERROR },
};

_Static_assert(sizeof rows / sizeof rows[0] == GW_CAUSE_COUNT, "one row per cause");

const struct gw_cause_row *gw_cause_row(enum gw_cause cause)
{
    if ((unsigned)cause >= GW_CAUSE_COUNT)
        cause = GW_CAUSE_INTERNAL;
    return &rows[cause];
}

const char *gw_cause_name(enum gw_cause cause)
{
    return gw_cause_row(cause)->name;
}

/* A Reason header is more exact than the status it rides on (a PBX sends 480 for many things). */
static enum gw_cause from_q850(unsigned q850)
{
    switch (q850) {
    case 17:
        return GW_CAUSE_BUSY;
    case 18:
    case 19:
        return GW_CAUSE_NO_ANSWER;
    case 20:
        return GW_CAUSE_OFFLINE;
    case 21:
        return GW_CAUSE_DECLINED;
    default:
        return GW_CAUSE_NONE;
    }
}

enum gw_cause gw_cause_from_sip(unsigned status, unsigned q850)
{
    switch (status) {
    case 486:
    case 600:
        return GW_CAUSE_BUSY;
    case 403:
        return GW_CAUSE_FORBIDDEN;
    case 603:
        return GW_CAUSE_DECLINED;
    case 487:
        return GW_CAUSE_CANCELLED;
    case 404:
    case 410:
    case 484:
    case 604:
        return GW_CAUSE_NOT_FOUND;
    case 488:
    case 606:
    case 415:
        return GW_CAUSE_NO_CODEC;
    default:
        break;
    }
    enum gw_cause said = from_q850(q850);
    if (said != GW_CAUSE_NONE)
        return said;
    if (status == 408)
        return GW_CAUSE_NO_ANSWER;
    if (status == 480)
        return GW_CAUSE_OFFLINE;
    if (status >= 200 && status < 300)
        return GW_CAUSE_NORMAL;
    return GW_CAUSE_INTERNAL;
}

enum gw_cause gw_cause_from_wzp(enum gw_wzp_say reason, bool ringing_seen, bool answered)
{
    if (answered)
        return reason == GW_WZP_ERROR ? GW_CAUSE_MEDIA_LOST : GW_CAUSE_NORMAL;
    if (!ringing_seen) /* the relay answers for a user who is not there; Busy is the one thing it knows better */
        return reason == GW_WZP_BUSY ? GW_CAUSE_BUSY : GW_CAUSE_OFFLINE;
    switch (reason) {
    case GW_WZP_BUSY:
        return GW_CAUSE_BUSY;
    case GW_WZP_TIMEOUT:
        return GW_CAUSE_NO_ANSWER;
    case GW_WZP_ERROR: /* our relay: the callee vanished while ringing */
        return GW_CAUSE_OFFLINE;
    case GW_WZP_DECLINED:
    case GW_WZP_NORMAL: /* a Rust relay tells a Reject as Normal */
        return GW_CAUSE_DECLINED;
    }
    return GW_CAUSE_INTERNAL;
}
