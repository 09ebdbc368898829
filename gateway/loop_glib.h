/* A wz_loop as one GSource of a GMainContext: sofia and libnice want GLib, our I/O wants epoll; one fd joins them.
 * Thread: the context's. */
#ifndef GATEWAY_LOOP_GLIB_H
#define GATEWAY_LOOP_GLIB_H

#include <glib.h>

struct wz_loop;

/** Attach loop to context. The caller destroys (g_source_destroy) and unrefs the source before freeing the loop.
 *  NULL when out of memory. */
GSource *gw_loop_attach(struct wz_loop *loop, GMainContext *context);

#endif
