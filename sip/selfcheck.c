#include "sip/selfcheck.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>

#include <sofia-sip/su.h>
#include <sofia-sip/su_glib.h>
#include <sofia-sip/su_wait.h>

#define TIMER_MS 20
#define LIMIT_MS 2000

static void on_timer(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
    bool *fired = arg;
    (void)magic;
    (void)timer;
    *fired = true;
}

static gboolean on_limit(gpointer arg)
{
    bool *over = arg;
    *over = true;
    return G_SOURCE_REMOVE;
}

static int run(su_root_t *root, GMainContext *context)
{
    bool fired = false, over = false;
    su_timer_t *timer = su_timer_create(su_root_task(root), TIMER_MS);
    GSource *limit = g_timeout_source_new(LIMIT_MS);
    if (!timer)
        return -ENOMEM;
    g_source_set_callback(limit, on_limit, &over, NULL);
    g_source_attach(limit, context);
    su_timer_set(timer, on_timer, (su_timer_arg_t *)&fired);
    while (!fired && !over)
        g_main_context_iteration(context, TRUE);
    su_timer_destroy(timer);
    g_source_destroy(limit);
    g_source_unref(limit);
    return fired ? 0 : -ETIMEDOUT;
}

int sipua_selfcheck(void)
{
    GMainContext *context = g_main_context_new();
    int err = -ENOMEM;
    if (su_init() < 0)
        goto out;
    su_root_t *root = su_glib_root_create(NULL);
    if (root) {
        su_root_threading(root, 0);
        GSource *source = su_glib_root_gsource(root);
        g_source_attach(source, context);
        err = run(root, context);
        su_root_destroy(root);
    }
    su_deinit();
out:
    g_main_context_unref(context);
    return err;
}
