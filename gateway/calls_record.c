/* The call's record: one row, written when it ends and once more when its last counters are in. */
#include <stdio.h>
#include <string.h>

#include "gateway/calls_internal.h"
#include "gateway/store/store.h"

#define COPY(to, from) ((void)snprintf((to), sizeof(to), "%s", (from))) /* cut on purpose */

void gw_calls_record(const struct gw_live *live)
{
    struct gw_store *store = live->calls->config.store;
    const struct gw_call *core = &live->core;
    struct gw_store_call row = {
        .q850 = gw_cause_row(core->cause)->q850,
        .started_at_us = live->started_wall_us,
        .answered_at_us = live->answered_wall_us,
        .ended_at_us = live->ended_wall_us,
        .rtp_rx = live->media.rtp_rx,
        .rtp_tx = live->media.rtp_tx,
        .rtp_lost = live->media.rtp_lost,
        .wzp_rx = live->media.wzp_rx,
        .wzp_tx = live->media.wzp_tx,
        .wzp_lost = live->media.wzp_lost,
    };
    if (!store)
        return;
    COPY(row.id, live->id);
    COPY(row.direction, core->direction == GW_CALL_SIP_TO_WZP ? "sip-wzp" : "wzp-sip");
    COPY(row.user, live->user ? live->user->name : "");
    COPY(row.dialled, live->dialled);
    COPY(row.peer, live->peer_fingerprint);
    COPY(row.peer_alias, live->peer_alias);
    COPY(row.wzp_call_id, live->wzp_call_id);
    COPY(row.sip_call_id, live->sip_call_id);
    COPY(row.codec, live->has_choice ? sipua_codec_name(live->choice.codec) : "none");
    COPY(row.path, gw_live_path_name(live));
    COPY(row.cause, gw_cause_name(core->cause));
    (void)gw_store_save_call(store, &row); /* a full store counts what it drops; the call does not suffer */
}
