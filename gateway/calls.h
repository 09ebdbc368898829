/* The table of live calls: makes them from SIP INVITEs and WZP offers, carries out what the call machine decides,
 * keeps the last ones for `wzpctl trace`. Thread: control. */
#ifndef GATEWAY_CALLS_H
#define GATEWAY_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/cause.h"
#include "wzp/base/addr.h"

struct gw_calls;
struct gw_event;
struct gw_port_pool;
struct gw_routes;
struct gw_store;
struct gw_users;
struct gw_worker;
struct json_t;
struct sipua;
struct sipua_call;
struct sipua_event;
struct sipua_incoming;
struct wz_loop;

/** Finished calls whose record can still be shown. */
#define GW_CALLS_KEPT 200

/** Everything borrowed for the table's life. */
struct gw_calls_config {
    struct wz_loop *loop;
    struct sipua *ua;
    struct gw_worker *const *worker;
    struct gw_users *users;
    const struct gw_routes *routes;
    struct gw_port_pool *ports;
    struct gw_store *store;       /**< NULL: no call records */
    struct wz_addr media_address; /**< what SDP says; family NONE: the local address that faces the phone */
    uint32_t ring_ms;
    unsigned max_calls;
};

/** Of all calls whose media has been closed. */
struct gw_media_totals {
    uint64_t wzp_rx, wzp_tx, wzp_lost, wzp_concealed;
    uint64_t wzp_repaired, wzp_unrepaired, wzp_dred;
    uint64_t wzp_comfort_noise_tx;
};

struct gw_calls_stats {
    uint64_t total, answered, refused;
    uint64_t ended[GW_CAUSE_COUNT];
    uint64_t path_direct, path_relay; /**< calls whose media was on it at least once */
    uint64_t path_changes;
    uint64_t unexpected_events; /**< events without a place in their call's state */
    unsigned active;
    struct gw_media_totals media;
};

int gw_calls_new(struct gw_calls **ret, const struct gw_calls_config *config);
/** Every call must be over (gw_calls_hang_up_all(), then wait for active == 0). NULL-safe. */
void gw_calls_free(struct gw_calls *calls);

/** The receivers of what sip/ua and the workers tell. */
void gw_calls_sip_incoming(struct gw_calls *calls, struct sipua_call *sip, const struct sipua_incoming *incoming);
void gw_calls_sip_event(struct gw_calls *calls, struct sipua_call *sip, const struct sipua_event *event);
void gw_calls_worker_event(struct gw_calls *calls, unsigned worker, const struct gw_event *event);

void gw_calls_hang_up_all(struct gw_calls *calls, enum gw_cause cause);
const struct gw_calls_stats *gw_calls_stats(const struct gw_calls *calls);

/** New references: a JSON array of live and recent calls; one call with its ladder (id: ours, the SIP Call-ID or the
 *  WZP call_id, or "last"), NULL when unknown. */
struct json_t *gw_calls_list(struct gw_calls *calls);
struct json_t *gw_calls_show(struct gw_calls *calls, const char *id);

#endif
