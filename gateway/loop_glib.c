#include "gateway/loop_glib.h"

#include "wzp/rt/loop.h"

struct loop_source {
    GSource base;
    struct wz_loop *loop;
};

/* The epoll fd is readable whenever the loop has work: timers show on it through a timerfd. GLib asks the fd. */
static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer arg)
{
    struct loop_source *self = (struct loop_source *)source;
    (void)callback;
    (void)arg;
    (void)wz_loop_turn(self->loop, 0); /* only epoll itself can fail, and then nothing here can help */
    return G_SOURCE_CONTINUE;
}

GSource *gw_loop_attach(struct wz_loop *loop, GMainContext *context)
{
    static GSourceFuncs funcs = { .dispatch = dispatch };
    GSource *source = g_source_new(&funcs, sizeof(struct loop_source));
    ((struct loop_source *)source)->loop = loop;
    g_source_add_unix_fd(source, wz_loop_fd(loop), G_IO_IN);
    g_source_attach(source, context);
    return source;
}
