#include "gateway/calls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "calls"
#include "gateway/calls_internal.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/rng.h"

int gw_calls_new(struct gw_calls **ret, const struct gw_calls_config *config)
{
    struct gw_calls *calls = calloc(1, sizeof *calls);
    if (!calls)
        return -ENOMEM;
    calls->config = *config;
    wz_list_init(&calls->active);
    wz_list_init(&calls->past);
    int err = wz_hash_init(&calls->by_ref, &wz_rng_system);
    if (err) {
        free(calls);
        return err;
    }
    *ret = calls;
    return 0;
}

static void free_ports(struct gw_live *live)
{
    if (!live->has_ports)
        return;
    if (live->fds_ours) {
        (void)close(live->ports.fd_rtp);
        (void)close(live->ports.fd_rtcp);
    }
    gw_port_pool_give(live->calls->config.ports, live->ports.port, wz_loop_now_us(live->calls->config.loop));
    live->has_ports = live->fds_ours = false;
}

static void live_free(struct gw_live *live)
{
    wz_timer_cancel(&live->timer);
    gw_leg_sip_release(live);
    free_ports(live);
    wz_hash_remove(&live->calls->by_ref, &live->by_ref);
    wz_list_remove(&live->node);
    free(live);
}

void gw_calls_free(struct gw_calls *calls)
{
    struct wz_list *pos, *tmp;
    if (!calls)
        return;
    wz_list_foreach (pos, tmp, &calls->active)
        live_free(wz_container_of(pos, struct gw_live, node));
    wz_list_foreach (pos, tmp, &calls->past)
        live_free(wz_container_of(pos, struct gw_live, node));
    wz_hash_done(&calls->by_ref);
    free(calls);
}

const struct gw_calls_config *gw_calls_config(const struct gw_calls *calls)
{
    return &calls->config;
}

const struct gw_calls_stats *gw_calls_stats(const struct gw_calls *calls)
{
    return &calls->stats;
}

void gw_live_trace(struct gw_live *live, enum gw_trace_party party, bool outgoing, const char *fmt, ...)
{
    char text[GW_TRACE_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* cut on purpose */
    va_end(args);
    gw_trace_add(&live->trace, wz_wall_us(), party, outgoing, "%s", text);
}

const char *gw_live_path_name(const struct gw_live *live)
{
    if (!live->has_path)
        return "none";
    return live->path == WZP_LINE_PATH_DIRECT ? "direct" : "relay";
}

void gw_live_take_path(struct gw_live *live, enum wzp_line_path path, const char *remote)
{
    struct gw_calls_stats *stats = &live->calls->stats;
    bool *seen = path == WZP_LINE_PATH_DIRECT ? &live->seen_direct : &live->seen_relay;
    if (!*seen)
        (*(path == WZP_LINE_PATH_DIRECT ? &stats->path_direct : &stats->path_relay))++;
    *seen = true;
    if (live->has_path) {
        live->path_changes++;
        stats->path_changes++;
    }
    live->has_path = true;
    live->path = path;
    (void)snprintf(live->path_remote, sizeof live->path_remote, "%s", remote);
    gw_live_trace(live, GW_TRACE_WZP, false, "path: %s %s", gw_live_path_name(live), remote);
    LOG_INFO("call.path", "call=%s path=%s remote=%s", live->id, gw_live_path_name(live), remote);
}

/* ---- the machine's effects ---- */

static void finished(struct gw_live *live)
{
    struct gw_calls *calls = live->calls;
    const struct gw_call *core = &live->core;
    live->finished = true;
    wz_timer_cancel(&live->timer);
    if (live->user && live->counted)
        live->user->active_calls--;
    live->counted = false;
    calls->stats.active--;
    calls->stats.ended[core->cause]++;
    if (!core->answered_us)
        calls->stats.refused++;
    live->ended_wall_us = wz_wall_us();
    if (!live->media_open)
        free_ports(live);
    LOG_INFO("call.ended", "call=%s cause=%s duration_ms=%llu", live->id, gw_cause_name(core->cause),
             core->answered_us ? (unsigned long long)(core->ended_us - core->answered_us) / 1000 : 0ull);
    gw_calls_record(live);
}

static void media_start(struct gw_live *live)
{
    live->answered_wall_us = wz_wall_us();
    live->calls->stats.answered++;
    LOG_INFO("call.answered", "call=%s wzp_call=%s path=%s setup_ms=%llu", live->id, live->wzp_call_id,
             gw_live_path_name(live), (unsigned long long)(live->core.answered_us - live->core.started_us) / 1000);
    live->media_wanted = true;
    gw_leg_wzp_media(live);
}

static void dial(struct gw_live *live, unsigned branch)
{
    int err = gw_leg_sip_dial(live, branch);
    if (!err)
        return;
    LOG_WARN("call.contact_failed", "call=%s branch=%u error=\"%s\"", live->id, branch, strerror(-err));
    gw_live_step(live,
                 &(struct gw_call_event){ .kind = GW_CALL_SIP_FAILED, .branch = branch, .cause = GW_CAUSE_INTERNAL });
}

static void carry_out(struct gw_live *live, const struct gw_call_effect *effect)
{
    switch (effect->kind) {
    case GW_CALL_DO_WZP_DIAL:
        gw_leg_wzp_dial(live);
        break;
    case GW_CALL_DO_WZP_ANSWER:
        gw_leg_wzp_answer(live);
        break;
    case GW_CALL_DO_WZP_HANGUP:
        gw_leg_wzp_hangup(live, effect->cause);
        break;
    case GW_CALL_DO_SIP_DIAL:
        dial(live, effect->branch);
        break;
    case GW_CALL_DO_SIP_RING:
        gw_leg_sip_ring(live);
        break;
    case GW_CALL_DO_SIP_ANSWER:
        gw_leg_sip_answer(live);
        break;
    case GW_CALL_DO_SIP_HANGUP:
        gw_leg_sip_hangup(live, effect->branch, effect->cause);
        break;
    case GW_CALL_DO_MEDIA_START:
        media_start(live);
        break;
    case GW_CALL_DO_MEDIA_STOP:
        gw_leg_wzp_media_stop(live);
        break;
    case GW_CALL_DO_FINISHED:
        finished(live);
        break;
    }
}

static void carry_out_all(struct gw_live *live, enum gw_call_state before, const struct gw_call_effects *eff)
{
    live->depth++;
    if (live->core.state != before)
        gw_live_trace(live, GW_TRACE_CALL, false, "%s%s%s", gw_call_state_name(live->core.state),
                      live->core.state == GW_CALL_ENDED ? ": " : "",
                      live->core.state == GW_CALL_ENDED ? gw_cause_name(live->core.cause) : "");
    for (size_t i = 0; i < eff->count; i++)
        carry_out(live, &eff->item[i]);
    if (!live->finished)
        wz_timer_set(&live->timer, gw_call_deadline_us(&live->core));
    live->depth--;
    gw_live_settle(live);
}

void gw_live_step(struct gw_live *live, const struct gw_call_event *event)
{
    struct gw_call_effects eff;
    enum gw_call_state before = live->core.state;
    if (gw_call_step(&live->core, event, wz_loop_now_us(live->calls->config.loop), &eff) < 0) {
        if (!live->finished)
            live->calls->stats.unexpected_events++;
        LOG_DEBUG("call.unexpected", "call=%s event=%s state=%s", live->id, gw_call_event_name(event->kind),
                  gw_call_state_name(before));
    }
    carry_out_all(live, before, &eff);
}

static void on_timer(void *arg)
{
    struct gw_live *live = arg;
    struct gw_call_effects eff;
    enum gw_call_state before = live->core.state;
    gw_call_tick(&live->core, wz_loop_now_us(live->calls->config.loop), &eff);
    carry_out_all(live, before, &eff);
}

static bool has_open_leg(const struct gw_live *live)
{
    for (unsigned i = 0; i < GW_CALL_MAX_BRANCHES; i++) {
        if (live->leg[i].sip)
            return true;
    }
    return false;
}

void gw_live_settle(struct gw_live *live)
{
    struct gw_calls *calls = live->calls;
    if (live->depth || !live->finished || live->media_open || has_open_leg(live))
        return;
    free_ports(live);
    if (!live->past) {
        live->past = true;
        wz_list_remove(&live->node);
        wz_list_append(&calls->past, &live->node);
        if (++calls->past_count > GW_CALLS_KEPT) {
            calls->past_count--;
            live_free(wz_container_of(calls->past.next, struct gw_live, node));
        }
    }
}

/* ---- making calls ---- */

static struct gw_live *live_new(struct gw_calls *calls, uint64_t ref, enum gw_call_direction direction)
{
    uint8_t id[(GW_LIVE_ID_TEXT - 1) / 2];
    struct gw_live *live = calloc(1, sizeof *live);
    if (!live)
        return NULL;
    live->calls = calls;
    live->ref = ref;
    if (wz_hash_insert(&calls->by_ref, &live->by_ref, wz_bytes(&live->ref, sizeof live->ref)) < 0) {
        free(live);
        return NULL;
    }
    wz_rng_fill(&wz_rng_system, id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        (void)snprintf(live->id + 2 * i, 3, "%02x", id[i]);
    wz_timer_init(&live->timer, calls->config.loop, on_timer, live);
    gw_call_init(&live->core, &(struct gw_call_config){ .direction = direction, .ring_ms = calls->config.ring_ms });
    live->started_wall_us = wz_wall_us();
    wz_list_append(&calls->active, &live->node);
    calls->stats.total++;
    calls->stats.active++;
    return live;
}

/* Room for one more call of this user, and in all? Counted when there is. */
static bool admit(struct gw_live *live)
{
    const struct gw_calls *calls = live->calls;
    if (calls->stats.active > calls->config.max_calls || live->user->active_calls >= live->user->max_calls)
        return false;
    live->user->active_calls++;
    live->counted = true;
    return true;
}

static void refuse(struct gw_live *live, enum gw_cause cause)
{
    gw_live_step(live, &(struct gw_call_event){ .kind = GW_CALL_REFUSE, .cause = cause });
}

/* Every reason not to place this call, cheapest first; the phone hears exactly one. */
static enum gw_cause check_outgoing(struct gw_live *live, const struct sipua_incoming *incoming)
{
    struct gw_route route;
    if (!live->user)
        return GW_CAUSE_FORBIDDEN;
    gw_routes_find(live->calls->config.routes, incoming->to_user, &route);
    gw_live_trace(live, GW_TRACE_CALL, false, "dialled %s: rule %s", incoming->to_user, gw_route_rule_name(route.rule));
    if (route.refusal != GW_CAUSE_NONE)
        return route.refusal;
    memcpy(live->peer_fingerprint, route.fingerprint, sizeof live->peer_fingerprint);
    if (!live->user->line_up)
        return GW_CAUSE_RELAY_DOWN;
    if (!admit(live))
        return GW_CAUSE_LIMIT;
    return gw_leg_sip_take_offer(live, incoming->sdp);
}

void gw_calls_sip_incoming(struct gw_calls *calls, struct sipua_call *sip, const struct sipua_incoming *incoming)
{
    struct gw_live *live = live_new(calls, gw_ref_next(), GW_CALL_SIP_TO_WZP);
    char quoted[GW_DIALLED_MAX];
    if (!live) {
        (void)sipua_call_reject(sip, &(struct sipua_refusal){ .status = 503, .retry_after_s = 5 });
        sipua_call_release(sip);
        return;
    }
    live->leg[0] = (struct gw_leg_sip){ .live = live, .sip = sip };
    sipua_call_set_arg(sip, &live->leg[0]);
    live->phone = incoming->source;
    live->user = gw_users_find(calls->config.users, incoming->from_user);
    (void)snprintf(live->dialled, sizeof live->dialled, "%s", incoming->to_user);
    (void)snprintf(live->sip_call_id, sizeof live->sip_call_id, "%s", incoming->call_id);
    LOG_INFO("call.offered", "call=%s direction=sip-wzp from=%s dialled=%s sip_call=%s", live->id, incoming->from_user,
             wz_log_quote(incoming->to_user, quoted, sizeof quoted), live->sip_call_id);
    enum gw_cause cause = check_outgoing(live, incoming);
    if (cause != GW_CAUSE_NONE)
        refuse(live, cause);
    else
        gw_live_step(live, &(struct gw_call_event){ .kind = GW_CALL_START });
}

static void wzp_incoming(struct gw_calls *calls, unsigned worker, const struct gw_event *event)
{
    char quoted[GW_NAME_MAX * 2];
    struct gw_user *user = gw_users_by_line(calls->config.users, worker, event->line_id);
    struct gw_live *live = user ? live_new(calls, event->ref, GW_CALL_WZP_TO_SIP) : NULL;
    if (!live) { /* out of memory: the caller is told by the worker's hang-up */
        struct gw_command no = {
            .kind = GW_CMD_HANGUP, .ref = event->ref, .line_id = event->line_id, .reason = WZP_HANGUP_ERROR
        };
        (void)gw_worker_post(calls->config.worker[worker], &no);
        return;
    }
    live->user = user;
    memcpy(live->peer_fingerprint, event->incoming.fingerprint, sizeof live->peer_fingerprint);
    (void)snprintf(live->peer_alias, sizeof live->peer_alias, "%s", event->incoming.alias);
    (void)snprintf(live->wzp_call_id, sizeof live->wzp_call_id, "%s", event->incoming.call_id);
    (void)snprintf(live->dialled, sizeof live->dialled, "%s", user->name);
    LOG_INFO("call.offered", "call=%s direction=wzp-sip from=%s alias=%s to=%s wzp_call=%s caller_reflexive=%s",
             live->id, live->peer_fingerprint, wz_log_quote(live->peer_alias, quoted, sizeof quoted), user->name,
             live->wzp_call_id, event->incoming.reflexive_addr[0] ? event->incoming.reflexive_addr : "none");
    gw_live_trace(live, GW_TRACE_WZP, false, "offered, caller's address %s, %u local addresses",
                  event->incoming.reflexive_addr[0] ? event->incoming.reflexive_addr : "not told",
                  event->incoming.local_addr_count);
    if (!admit(live)) {
        refuse(live, GW_CAUSE_LIMIT);
        return;
    }
    size_t contacts = sipua_reg_contacts(sipua_registrar(calls->config.ua), user->name, wz_wall_us(), live->contact);
    if (contacts)
        live->phone = live->contact[0]->source;
    gw_live_step(live, &(struct gw_call_event){ .kind = GW_CALL_START, .branches = (unsigned)contacts });
}

/* ---- what the legs tell ---- */

void gw_calls_sip_event(struct gw_calls *calls, struct sipua_call *sip, const struct sipua_event *event)
{
    struct gw_leg_sip *leg = sipua_call_arg(sip);
    (void)calls;
    if (leg && leg->sip == sip)
        gw_leg_sip_event(leg, event);
}

static struct gw_live *by_ref(struct gw_calls *calls, uint64_t ref)
{
    struct wz_hash_node *node = wz_hash_find(&calls->by_ref, wz_bytes(&ref, sizeof ref));
    return node ? wz_container_of(node, struct gw_live, by_ref) : NULL;
}

static void add_media(struct gw_media_totals *totals, const struct gw_bridge_stats *media)
{
    totals->wzp_rx += media->wzp_rx;
    totals->wzp_tx += media->wzp_tx;
    totals->wzp_lost += media->wzp_lost;
    totals->wzp_concealed += media->wzp_concealed;
    totals->wzp_repaired += media->wzp_repaired;
    totals->wzp_unrepaired += media->wzp_unrepaired;
    totals->wzp_dred += media->wzp_dred;
    totals->wzp_comfort_noise_tx += media->wzp_comfort_noise_tx;
}

static void media_closed(struct gw_live *live, const struct gw_event *event)
{
    live->media = event->media.stats;
    add_media(&live->calls->stats.media, &live->media);
    live->media_open = false;
    gw_live_trace(live, GW_TRACE_MEDIA, false, "closed: rtp rx %llu tx %llu lost %llu, wzp rx %llu tx %llu lost %llu",
                  (unsigned long long)live->media.rtp_rx, (unsigned long long)live->media.rtp_tx,
                  (unsigned long long)live->media.rtp_lost, (unsigned long long)live->media.wzp_rx,
                  (unsigned long long)live->media.wzp_tx, (unsigned long long)live->media.wzp_lost);
    if (live->finished)
        gw_calls_record(live); /* once more, with the final counters */
    gw_live_settle(live);
}

void gw_calls_worker_event(struct gw_calls *calls, unsigned worker, const struct gw_event *event)
{
    if (event->kind == GW_EV_INCOMING) {
        wzp_incoming(calls, worker, event);
        return;
    }
    struct gw_live *live = by_ref(calls, event->ref);
    if (!live)
        return;
    if (live->past && event->kind != GW_EV_WIRE)
        return; /* settled while the event was under way; the last message still belongs on the ladder */
    if (event->kind == GW_EV_MEDIA_CLOSED)
        media_closed(live, event);
    else
        gw_leg_wzp_event(live, event);
}

/* ---- operator ---- */

void gw_calls_hang_up_all(struct gw_calls *calls, enum gw_cause cause)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &calls->active) {
        struct gw_live *live = wz_container_of(pos, struct gw_live, node);
        if (!live->finished)
            gw_live_step(live, &(struct gw_call_event){ .kind = GW_CALL_HANG_UP, .cause = cause });
    }
}

struct gw_live *gw_calls_by_id(struct gw_calls *calls, const char *id)
{
    struct wz_list *const lists[] = { &calls->active, &calls->past };
    struct wz_list *pos;
    if (strcmp(id, "last") == 0) {
        struct wz_list *newest = wz_list_is_empty(&calls->active) ? &calls->past : &calls->active;
        return wz_list_is_empty(newest) ? NULL : wz_container_of(newest->prev, struct gw_live, node);
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (pos = lists[i]->prev; pos != lists[i]; pos = pos->prev) {
            struct gw_live *live = wz_container_of(pos, struct gw_live, node);
            if (strcmp(live->id, id) == 0 || strcmp(live->wzp_call_id, id) == 0 || strcmp(live->sip_call_id, id) == 0)
                return live;
        }
    }
    return NULL;
}
