#include "gateway/app.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "app"
#include "gateway/app_internal.h"
#include "gateway/control.h"
#include "gateway/loop_glib.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"

/** SIP gets this long for its last answers before we leave anyway. */
#define CLOSE_LIMIT_US 5000000u
/** SIGTERM waits this long for calls to end by themselves. */
#define SIGTERM_DRAIN_MS 60000u

static void stop_now(struct gw_app *app);

/* One worker less than cores: SIP, the relay and the system want some too. */
static unsigned default_workers(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 3)
        return 1;
    return cores - 1 < GW_APP_MAX_WORKERS ? (unsigned)(cores - 1) : GW_APP_MAX_WORKERS;
}

/* ---- what workers tell ---- */

static void line_changed(struct gw_app *app, unsigned worker, const struct gw_event *event)
{
    bool up = event->kind == GW_EV_LINE_UP;
    struct gw_user *user = gw_users_by_line(app->users, worker, event->line_id);
    bool *state = user ? &user->line_up : &app->echo_up;
    if (*state == up) {
        if (!up)
            LOG_DEBUG("line.down", "user=%s reason=\"%s\"", user ? user->name : "echo", event->text);
        return;
    }
    *state = up;
    app->lines_up += up ? 1u : (unsigned)-1;
    if (up)
        LOG_INFO("line.up", "user=%s fingerprint=%s relay_build=%s", user ? user->name : "echo",
                 user ? user->fingerprint : app->echo_fingerprint, event->text[0] ? event->text : "none");
    else
        LOG_WARN("line.down", "user=%s reason=\"%s\" hint=\"trying again\"", user ? user->name : "echo", event->text);
}

void gw_app_worker_event(struct gw_app *app, unsigned worker, const struct gw_event *event)
{
    if (event->kind == GW_EV_LINE_UP || event->kind == GW_EV_LINE_DOWN)
        line_changed(app, worker, event);
    else if (app->calls)
        gw_calls_worker_event(app->calls, worker, event);
}

/* ---- life ---- */

static void on_stop_from_elsewhere(void *arg, void *item)
{
    (void)item;
    gw_app_stop(arg);
}

static void on_phase_timer(void *arg)
{
    struct gw_app *app = arg;
    uint64_t now_us = wz_loop_now_us(app->loop);
    if (app->phase == GW_APP_DRAINING) {
        if (gw_calls_stats(app->calls)->active == 0 || now_us >= app->drain_until_us)
            gw_app_stop(app);
        else
            wz_timer_set(&app->phase_timer, now_us + 100000);
    } else if (app->phase == GW_APP_STOPPING) {
        LOG_WARN("app.close_timeout", "hint=\"SIP did not close in time; leaving\"");
        stop_now(app);
    }
}

static int open_loop(struct gw_app *app)
{
    app->context = g_main_context_new();
    app->main_loop = g_main_loop_new(app->context, FALSE);
    int err = wz_loop_new(&app->loop);
    if (err)
        return err;
    app->loop_source = gw_loop_attach(app->loop, app->context);
    wz_timer_init(&app->phase_timer, app->loop, on_phase_timer, app);
    return wz_mailbox_new(&app->stop_box, app->loop, 4, 1, on_stop_from_elsewhere, app);
}

int gw_app_new(struct gw_app **ret, const struct cfg *cfg, char error[static GW_APP_ERROR_MAX])
{
    static int (*const parts[])(struct gw_app *, char *) = {
        gw_app_open_store, gw_app_open_relay, gw_app_open_users, gw_app_open_workers,
        gw_app_open_ports, gw_control_open,   gw_app_open_sip,   gw_app_open_calls,
    };
    struct gw_app *app = calloc(1, sizeof *app);
    (void)snprintf(error, GW_APP_ERROR_MAX, "out of memory");
    if (!app)
        return -ENOMEM;
    app->cfg = cfg;
    app->started_wall_us = wz_wall_us();
    app->worker_count = default_workers();
    int err = open_loop(app);
    for (size_t i = 0; !err && i < sizeof parts / sizeof parts[0]; i++)
        err = parts[i](app, error);
    if (!err)
        err = gw_app_open_lines(app);
    if (err) {
        gw_app_free(app);
        return err;
    }
    *ret = app;
    return 0;
}

void gw_app_free(struct gw_app *app)
{
    if (!app)
        return;
    if (app->watching_signals) {
        wz_signal_watch_done(&app->sigint);
        wz_signal_watch_done(&app->sigterm);
    }
    if (app->ua &&
        app->phase == GW_APP_STARTING) { /* the start failed late: sofia wants its orderly end all the same */
        gw_app_stop(app);
        g_main_loop_run(app->main_loop);
    }
    gw_control_close(app);
    for (unsigned i = 0; i < app->worker_count; i++)
        gw_worker_free(app->worker[i]);
    for (unsigned i = 0; i < app->worker_count; i++)
        wz_mailbox_free(app->link[i].events, NULL);
    gw_calls_free(app->calls);
    if (app->sip_closed) /* else we were told to leave at once, and the process ends */
        sipua_free(app->ua);
    gw_port_pool_free(app->ports);
    gw_routes_free(app->routes);
    gw_users_free(app->users);
    gw_relay_free(app->relay);
    gw_store_close(app->store);
    wz_timer_cancel(&app->phase_timer);
    wz_mailbox_free(app->stop_box, NULL);
    if (app->loop_source) {
        g_source_destroy(app->loop_source);
        g_source_unref(app->loop_source);
    }
    wz_loop_free(app->loop);
    g_main_loop_unref(app->main_loop);
    g_main_context_unref(app->context);
    free(app);
}

int gw_app_run(struct gw_app *app)
{
    char text[WZ_ADDR_TEXT_MAX], relay[WZ_ADDR_TEXT_MAX];
    struct wz_addr sip = gw_app_sip_address(app);
    app->phase = GW_APP_SERVING;
    LOG_INFO("app.serving", "sip=%s relay=%s embedded=%s users=%zu workers=%u", wz_addr_format(&sip, text),
             wz_addr_format(&app->relay_address, relay), app->relay ? "yes" : "no", gw_users_count(app->users),
             app->worker_count);
    g_main_context_push_thread_default(app->context);
    g_main_loop_run(app->main_loop);
    g_main_context_pop_thread_default(app->context);
    return 0;
}

void gw_app_drain(struct gw_app *app, unsigned drain_ms)
{
    if (app->phase >= GW_APP_DRAINING)
        return;
    app->phase = GW_APP_DRAINING;
    app->drain_until_us = wz_loop_now_us(app->loop) + (uint64_t)drain_ms * 1000;
    sipua_set_draining(app->ua, true);
    LOG_INFO("app.draining", "calls=%u limit_s=%u", gw_calls_stats(app->calls)->active, drain_ms / 1000);
    wz_timer_set(&app->phase_timer, wz_loop_now_us(app->loop));
}

static void stop_now(struct gw_app *app)
{
    app->phase = GW_APP_STOPPED;
    wz_timer_cancel(&app->phase_timer);
    g_main_loop_quit(app->main_loop);
}

static void on_sip_closed(void *arg)
{
    struct gw_app *app = arg;
    app->sip_closed = true;
    stop_now(app);
}

void gw_app_stop(struct gw_app *app)
{
    if (app->phase == GW_APP_STOPPING) {
        stop_now(app);
        return;
    }
    if (app->phase == GW_APP_STOPPED)
        return;
    app->phase = GW_APP_STOPPING;
    wz_timer_set(&app->phase_timer, wz_loop_now_us(app->loop) + CLOSE_LIMIT_US);
    if (app->calls)
        gw_calls_hang_up_all(app->calls, GW_CAUSE_SHUTDOWN);
    sipua_shutdown(app->ua, on_sip_closed, app);
}

void gw_app_stop_from_elsewhere(struct gw_app *app)
{
    (void)wz_mailbox_post(app->stop_box, ""); /* full: somebody has asked already */
}

static void on_signal(void *arg, int signo)
{
    struct gw_app *app = arg;
    if (signo == SIGTERM && app->phase < GW_APP_DRAINING)
        gw_app_drain(app, SIGTERM_DRAIN_MS);
    else
        gw_app_stop(app);
}

int gw_app_watch_signals(struct gw_app *app)
{
    int err = wz_signal_watch_init(&app->sigint, app->loop, SIGINT, on_signal, app);
    if (err)
        return err;
    err = wz_signal_watch_init(&app->sigterm, app->loop, SIGTERM, on_signal, app);
    if (err) {
        wz_signal_watch_done(&app->sigint);
        return err;
    }
    app->watching_signals = true;
    return 0;
}

/* ---- asking ---- */

struct wz_addr gw_app_sip_address(const struct gw_app *app)
{
    return sipua_local(app->ua);
}

struct wz_addr gw_app_relay_address(const struct gw_app *app)
{
    return app->relay ? app->relay_address : (struct wz_addr){ .family = WZ_ADDR_NONE };
}

const char *gw_app_fingerprint(const struct gw_app *app, const char *name)
{
    const struct gw_user *user = gw_users_find(app->users, name);
    if (user)
        return user->fingerprint;
    return app->cfg->echo.enabled && strcmp(name, "echo") == 0 ? app->echo_fingerprint : NULL;
}
