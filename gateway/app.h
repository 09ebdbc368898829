/* The whole gateway as one object: creates and connects everything from a configuration. Two may live in one process.
 * Thread: the one that runs gw_app_run() (the control thread). */
#ifndef GATEWAY_APP_H
#define GATEWAY_APP_H

#include <stdbool.h>
#include <stddef.h>

#include "wzp/base/addr.h"

struct cfg;
struct gw_app;
struct json_t;

#define GW_APP_ERROR_MAX 512

/**
 * Open everything: store, relay, workers, SIP. Nothing is served before gw_app_run().
 * @param cfg    Borrowed for the app's life.
 * @param error  On failure a sentence that says what is wrong and what to do.
 */
int gw_app_new(struct gw_app **ret, const struct cfg *cfg, char error[static GW_APP_ERROR_MAX]);
/** NULL-safe; after gw_app_run() has returned. */
void gw_app_free(struct gw_app *app);

/** Serve until told to stop and everything is closed. 0, or -errno of the event loop. */
int gw_app_run(struct gw_app *app);
/** No new calls; return from gw_app_run() when the last one has ended, or after drain_ms. Thread: control. */
void gw_app_drain(struct gw_app *app, unsigned drain_ms);
/** End calls and return from gw_app_run(). Twice: at once. Thread: control. */
void gw_app_stop(struct gw_app *app);
/** The same from another thread. Thread: any. */
void gw_app_stop_from_elsewhere(struct gw_app *app);
/** SIGINT stops, SIGTERM drains and the second one stops. The caller has blocked both in every thread. */
int gw_app_watch_signals(struct gw_app *app);

/** Where phones reach it, ports filled in. */
struct wz_addr gw_app_sip_address(const struct gw_app *app);
/** Of the embedded relay; family NONE when there is none. */
struct wz_addr gw_app_relay_address(const struct gw_app *app);
/** The fingerprint of a SIP user, or of "echo"; NULL: no such. */
const char *gw_app_fingerprint(const struct gw_app *app, const char *user);

#endif
