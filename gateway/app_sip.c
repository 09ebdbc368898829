/* SIP for the whole gateway: credentials from the users, registrations into the store, calls into the table. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_MODULE "app"
#include "gateway/app_internal.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/rng.h"

static int credentials(void *arg, const char *name, struct sipua_credentials *ret)
{
    struct gw_app *app = arg;
    const struct gw_user *user = gw_users_find(app->users, name);
    if (!user)
        return -ENOENT;
    *ret = user->credentials;
    return 0;
}

static void to_row(const struct sipua_binding *binding, struct gw_store_binding *row)
{
    char source[WZ_ADDR_TEXT_MAX];
    *row = (struct gw_store_binding){ .reg_id = binding->reg_id,
                                      .cseq = binding->cseq,
                                      .updated_at_us = binding->updated_at_us,
                                      .expires_at_us = binding->expires_at_us };
    (void)snprintf(row->user, sizeof row->user, "%s", binding->user);
    (void)snprintf(row->contact, sizeof row->contact, "%s", binding->contact);
    (void)snprintf(row->source, sizeof row->source, "%s", wz_addr_format(&binding->source, source));
    (void)snprintf(row->transport, sizeof row->transport, "%s", binding->transport == SIPUA_TCP ? "tcp" : "udp");
    (void)snprintf(row->user_agent, sizeof row->user_agent, "%s", binding->user_agent);
    (void)snprintf(row->instance_id, sizeof row->instance_id, "%s", binding->instance_id);
    (void)snprintf(row->path, sizeof row->path, "%s", binding->path);
    (void)snprintf(row->call_id, sizeof row->call_id, "%s", binding->call_id);
}

static void registered(void *arg, const struct sipua_binding *binding)
{
    struct gw_app *app = arg;
    struct gw_store_binding row;
    to_row(binding, &row);
    (void)gw_store_save_binding(app->store, &row); /* a full store counts it; the phone refreshes */
    LOG_INFO("phone.registered", "user=%s source=%s transport=%s", binding->user, row.source, row.transport);
}

static void unregistered(void *arg, const struct sipua_binding *binding, enum sipua_unbind_reason reason)
{
    static const char *const why[] = { "removed", "expired", "replaced", "evicted" };
    struct gw_app *app = arg;
    (void)gw_store_delete_binding(app->store, binding->user, binding->contact);
    LOG_INFO("phone.unregistered", "user=%s reason=%s", binding->user, why[reason]);
}

static void incoming(void *arg, struct sipua_call *call, const struct sipua_incoming *in)
{
    struct gw_app *app = arg;
    gw_calls_sip_incoming(app->calls, call, in);
}

static void sip_event(void *arg, struct sipua_call *call, const struct sipua_event *event)
{
    struct gw_app *app = arg;
    gw_calls_sip_event(app->calls, call, event);
}

struct restore {
    struct gw_app *app;
    unsigned restored;
};

static void restore_binding(void *arg, const struct gw_store_binding *row)
{
    struct restore *restore = arg;
    struct sipua_binding binding = {
        .user = row->user,
        .contact = row->contact,
        .user_agent = row->user_agent,
        .instance_id = row->instance_id,
        .path = row->path,
        .reg_id = row->reg_id,
        .call_id = row->call_id,
        .cseq = row->cseq,
        .transport = strcmp(row->transport, "tcp") == 0 ? SIPUA_TCP : SIPUA_UDP,
        .updated_at_us = row->updated_at_us,
        .expires_at_us = row->expires_at_us,
    };
    if (wz_addr_parse(row->source, &binding.source) < 0 || !gw_users_find(restore->app->users, row->user))
        return; /* a user that was taken out of the configuration */
    restore->restored += sipua_reg_restore(sipua_registrar(restore->app->ua), &binding, wz_wall_us()) == 0;
}

int gw_app_open_sip(struct gw_app *app, char error[static GW_APP_ERROR_MAX])
{
    char text[WZ_ADDR_TEXT_MAX];
    const struct cfg_sip *sip = &app->cfg->sip;
    struct restore restore = { .app = app };
    int err = sipua_new(&app->ua, app->context,
                        &(struct sipua_config){ .listen = sip->listen,
                                                .udp = sip->udp,
                                                .tcp = sip->tcp,
                                                .public_address = sip->public_address,
                                                .realm = sip->realm,
                                                .user_agent = "wzp-gateway/" WZP_VERSION,
                                                .limits = { .max_calls = GW_APP_MAX_CALLS,
                                                            .max_registrations = GW_APP_MAX_REGISTRATIONS,
                                                            .retry_after_s = 10 },
                                                .min_expires_s = sip->min_expires_s,
                                                .max_expires_s = sip->max_expires_s,
                                                .session_expires_s = 1800,
                                                .rng = &wz_rng_system },
                        &(struct sipua_handlers){ .credentials = credentials,
                                                  .registered = registered,
                                                  .unregistered = unregistered,
                                                  .incoming = incoming,
                                                  .event = sip_event },
                        app);
    if (err) {
        (void)snprintf(error, GW_APP_ERROR_MAX,
                       "SIP cannot listen on %s: %s. Is another phone system running here? Set sip.listen",
                       wz_addr_format(&sip->listen, text), strerror(-err));
        return err;
    }
    err = gw_store_load_bindings(app->store, wz_wall_us(), restore_binding, &restore);
    if (err)
        LOG_ERROR("store.unreadable", "hint=\"phones must register again\"");
    if (restore.restored)
        LOG_INFO("phone.restored", "count=%u", restore.restored);
    return 0;
}
