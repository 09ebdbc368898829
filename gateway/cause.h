/* Why a call ended, in one vocabulary for both worlds, and the one table that translates it.
 * SIP status codes: RFC 3261; cause codes: Q.850 in Reason headers (RFC 3326). Pure. Thread: any. */
#ifndef GATEWAY_CAUSE_H
#define GATEWAY_CAUSE_H

#include <stdbool.h>

enum gw_cause {
    GW_CAUSE_NONE,
    GW_CAUSE_NORMAL,    /**< somebody hung up an answered call */
    GW_CAUSE_CANCELLED, /**< the caller gave up before the answer */
    GW_CAUSE_BUSY,
    GW_CAUSE_DECLINED,
    GW_CAUSE_NO_ANSWER, /**< it rang, nobody came */
    GW_CAUSE_OFFLINE,   /**< the called user is not registered anywhere */
    GW_CAUSE_NOT_FOUND, /**< no rule, user or number fits what was dialled */
    GW_CAUSE_FORBIDDEN,
    GW_CAUSE_LIMIT,    /**< too many calls at once */
    GW_CAUSE_NO_CODEC, /**< SDP without a common codec */
    GW_CAUSE_BAD_SDP,
    GW_CAUSE_RELAY_DOWN, /**< the WZP relay is not reachable */
    GW_CAUSE_NO_PATH,    /**< answered, but no media path came up in time */
    GW_CAUSE_MEDIA_LOST, /**< the media connection died, or no packets came for too long */
    GW_CAUSE_SHUTDOWN,   /**< the gateway is stopping */
    GW_CAUSE_OPERATOR,   /**< an operator hung up */
    GW_CAUSE_INTERNAL,   /**< out of ports or memory */
    GW_CAUSE_COUNT,
};

/** How WZP says it; translated to enum wzp_hangup_reason by gateway/leg_wzp. */
enum gw_wzp_say {
    GW_WZP_NORMAL,
    GW_WZP_BUSY,
    GW_WZP_DECLINED,
    GW_WZP_TIMEOUT,
    GW_WZP_ERROR,
};

struct gw_cause_row {
    enum gw_cause cause;
    const char *name;    /**< in logs, call records and metrics: "busy" */
    unsigned sip_status; /**< final response while the SIP leg is unanswered */
    const char *sip_phrase;
    unsigned q850;       /**< Reason: Q.850;cause= on responses and BYE */
    enum gw_wzp_say wzp; /**< Hangup reason towards the WZP leg */
};

/** Never NULL: an unknown cause reads as GW_CAUSE_INTERNAL. */
const struct gw_cause_row *gw_cause_row(enum gw_cause cause);
const char *gw_cause_name(enum gw_cause cause);

/** A final response from a phone -> cause. q850 0: the response had no Reason header. */
enum gw_cause gw_cause_from_sip(unsigned status, unsigned q850);
/** A Hangup from WZP. ringing_seen: CallRinging came before it; answered: the call was up. */
enum gw_cause gw_cause_from_wzp(enum gw_wzp_say reason, bool ringing_seen, bool answered);

#endif
