/* Inside of gateway/calls*.c only. */
#ifndef GATEWAY_CALLS_INTERNAL_H
#define GATEWAY_CALLS_INTERNAL_H

#include "gateway/calls.h"
#include "gateway/live.h"
#include "wzp/base/hash.h"
#include "wzp/base/list.h"

struct gw_calls {
    struct gw_calls_config config;
    struct wz_hash by_ref;
    struct wz_list active; /**< newest last; with those whose legs are still closing */
    struct wz_list past;   /**< settled ones, newest last */
    unsigned past_count;
    struct gw_calls_stats stats;
};

/** A live or past call by our id, a SIP Call-ID, a WZP call_id, or "last". NULL: unknown. */
struct gw_live *gw_calls_by_id(struct gw_calls *calls, const char *id);
/** Write or update the call's record in the store (gateway/calls_record.c). */
void gw_calls_record(const struct gw_live *live);

#endif
