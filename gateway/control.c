#include "gateway/control.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/admin/admin.h"
#include "gateway/app_internal.h"
#include "wzp/rt/clock.h"

/* ---- health ---- */

static const char *not_ready_because(const struct gw_app *app)
{
    if (app->phase != GW_APP_SERVING)
        return app->phase == GW_APP_STARTING ? "starting" : "draining";
    if (app->lines_up == 0)
        return "the relay is not reachable";
    return NULL;
}

static json_t *health(void *arg)
{
    const struct gw_app *app = arg;
    const char *why = not_ready_because(app);
    size_t lines = gw_users_count(app->users) + (app->cfg->echo.enabled ? 1 : 0);
    char sip[WZ_ADDR_TEXT_MAX] = "", relay[WZ_ADDR_TEXT_MAX];
    if (app->ua) {
        struct wz_addr at = sipua_local(app->ua);
        (void)wz_addr_format(&at, sip);
    }
    return json_pack("{s:b,s:s?,s:s,s:s,s:s,s:i,s:i,s:i}", "ready", !why, "reason", why, "version", WZP_VERSION, "sip",
                     sip, "relay", wz_addr_format(&app->relay_address, relay), "lines_up", (int)app->lines_up, "lines",
                     (int)lines, "calls", app->calls ? (int)gw_calls_stats(app->calls)->active : 0);
}

/* ---- counters ---- */

static json_t *calls_stats(const struct gw_app *app)
{
    const struct gw_calls_stats *s = gw_calls_stats(app->calls);
    json_t *ended = json_object();
    for (int cause = 1; cause < GW_CAUSE_COUNT; cause++)
        (void)json_object_set_new(ended, gw_cause_name((enum gw_cause)cause),
                                  json_integer((json_int_t)s->ended[cause]));
    return json_pack("{s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "active", (int)s->active, "total", (json_int_t)s->total,
                     "answered", (json_int_t)s->answered, "refused", (json_int_t)s->refused, "unexpected_events",
                     (json_int_t)s->unexpected_events, "path_direct", (json_int_t)s->path_direct, "path_relay",
                     (json_int_t)s->path_relay, "path_changes", (json_int_t)s->path_changes, "ended", ended);
}

static json_t *media_stats(const struct gw_app *app)
{
    const struct gw_media_totals *m = &gw_calls_stats(app->calls)->media;
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "wzp_rx_total", (json_int_t)m->wzp_rx, "wzp_tx_total",
                     (json_int_t)m->wzp_tx, "wzp_lost_total", (json_int_t)m->wzp_lost, "wzp_concealed_total",
                     (json_int_t)m->wzp_concealed, "wzp_repaired_total", (json_int_t)m->wzp_repaired,
                     "wzp_unrepaired_total", (json_int_t)m->wzp_unrepaired, "wzp_dred_total", (json_int_t)m->wzp_dred,
                     "wzp_comfort_noise_tx_total", (json_int_t)m->wzp_comfort_noise_tx);
}

static json_t *sip_stats(const struct gw_app *app)
{
    struct sipua_stats s = sipua_stats(app->ua);
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:i}", "register_ok", (json_int_t)s.register_ok,
                     "register_challenged", (json_int_t)s.register_challenged, "register_refused",
                     (json_int_t)s.register_refused, "invite_ok", (json_int_t)s.invite_ok, "invite_challenged",
                     (json_int_t)s.invite_challenged, "invite_refused", (json_int_t)s.invite_refused, "auth_failed",
                     (json_int_t)s.auth_failed, "overload_refused", (json_int_t)s.overload_refused, "calls_active",
                     (int)s.calls_active, "bindings", (int)s.bindings);
}

/* The relay's own count of each recent call of ours: what proves that media went through it. */
static json_t *relay_calls(const struct gw_app *app)
{
    json_t *rows = json_object(), *list = gw_calls_list(app->calls), *array = json_array(), *call;
    size_t index;
    const char *id;
    json_array_foreach (list, index, call) {
        struct wzp_relay_call_flow flow;
        id = json_string_value(json_object_get(call, "wzp_call_id"));
        if (id && wzp_relay_server_call_flow(gw_relay_server(app->relay), id, &flow))
            (void)json_object_set_new(rows, id,
                                      json_pack("{s:s,s:I,s:I,s:I}", "call_id", id, "caller_datagrams",
                                                (json_int_t)flow.from_caller, "callee_datagrams",
                                                (json_int_t)flow.from_callee, "forwarded", (json_int_t)flow.forwarded));
    }
    json_object_foreach (rows, id, call)
        (void)json_array_append(array, call);
    json_decref(rows);
    json_decref(list);
    return array;
}

static json_t *relay_stats(const struct gw_app *app)
{
    struct wzp_relay_stats s;
    if (!app->relay)
        return json_null();
    wzp_relay_server_stats(gw_relay_server(app->relay), &s);
    return json_pack("{s:i,s:i,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "registered", (int)s.registered, "rooms",
                     (int)s.rooms, "sessions", (int)s.sessions, "active_calls", (int)s.calls, "offers_total",
                     (json_int_t)s.offers_total, "calls_setup_total", (json_int_t)s.calls_setup_total,
                     "datagrams_in_total", (json_int_t)s.datagrams_in, "packets_forwarded_total",
                     (json_int_t)s.packets_forwarded, "bytes_forwarded_total", (json_int_t)s.bytes_forwarded,
                     "datagrams_bad_total", (json_int_t)s.datagrams_bad, "calls", relay_calls(app));
}

static json_t *stats(void *arg)
{
    const struct gw_app *app = arg;
    if (!app->calls || !app->ua)
        return json_object();
    struct gw_store_stats store = gw_store_stats(app->store);
    return json_pack("{s:I,s:i,s:o,s:o,s:o,s:o,s:{s:i,s:i},s:{s:I,s:I,s:I}}", "uptime_seconds",
                     (json_int_t)((wz_wall_us() - app->started_wall_us) / 1000000), "lines_up", (int)app->lines_up,
                     "calls", calls_stats(app), "media", media_stats(app), "sip", sip_stats(app), "relay",
                     relay_stats(app), "ports", "free", (int)gw_port_pool_free_pairs(app->ports), "total",
                     (int)gw_port_pool_total_pairs(app->ports), "store", "written", (json_int_t)store.written,
                     "dropped", (json_int_t)store.dropped, "failed", (json_int_t)store.failed);
}

/* ---- tables ---- */

static json_t *calls(void *arg)
{
    const struct gw_app *app = arg;
    return app->calls ? gw_calls_list(app->calls) : json_array();
}

static json_t *call(void *arg, const char *id)
{
    const struct gw_app *app = arg;
    return app->calls ? gw_calls_show(app->calls, id) : NULL;
}

static json_t *contacts(const struct gw_app *app, const struct gw_user *user)
{
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    uint64_t now_us = wz_wall_us();
    size_t count = sipua_reg_contacts(sipua_registrar(app->ua), user->name, now_us, binding);
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        char source[WZ_ADDR_TEXT_MAX];
        (void)json_array_append_new(array, json_pack("{s:s,s:s,s:s,s:s,s:I}", "contact", binding[i]->contact, "source",
                                                     wz_addr_format(&binding[i]->source, source), "transport",
                                                     binding[i]->transport == SIPUA_TCP ? "tcp" : "udp", "user_agent",
                                                     binding[i]->user_agent, "expires_s",
                                                     (json_int_t)((binding[i]->expires_at_us - now_us) / 1000000)));
    }
    return array;
}

static json_t *users(void *arg)
{
    const struct gw_app *app = arg;
    json_t *array = json_array();
    for (size_t i = 0; app->ua && i < gw_users_count(app->users); i++) {
        const struct gw_user *user = gw_users_at(app->users, i);
        (void)json_array_append_new(array, json_pack("{s:s,s:s?,s:s?,s:s,s:b,s:i,s:o}", "name", user->name, "number",
                                                     user->number, "alias", user->alias, "fingerprint",
                                                     user->fingerprint, "line_up", (int)user->line_up, "active_calls",
                                                     (int)user->active_calls, "contacts", contacts(app, user)));
    }
    return array;
}

int gw_control_open(struct gw_app *app, char *error)
{
    char why[GW_ADMIN_ERROR_MAX];
    struct gw_admin_config config = {
        .socket_path = app->cfg->admin.socket_path,
        .http = app->cfg->admin.http,
        .metric_prefix = "wzp_gateway",
        .source = { .health = health, .stats = stats, .calls = calls, .call = call, .users = users, .arg = app },
    };
    int err = gw_admin_new(&app->admin, app->loop, &config, why);
    if (err)
        (void)snprintf(error, GW_APP_ERROR_MAX, "%s", why);
    return err;
}

void gw_control_close(struct gw_app *app)
{
    gw_admin_free(app->admin);
    app->admin = NULL;
}
