/* Inside of gateway/app*.c and control.c only. */
#ifndef GATEWAY_APP_INTERNAL_H
#define GATEWAY_APP_INTERNAL_H

#include <glib.h>

#include "config/config.h"
#include "gateway/app.h"
#include "gateway/calls.h"
#include "gateway/media/port_pool.h"
#include "gateway/relay_thread.h"
#include "gateway/route.h"
#include "gateway/store/store.h"
#include "gateway/users.h"
#include "gateway/worker.h"
#include "sip/ua.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/mailbox.h"

#define GW_APP_MAX_WORKERS       8
#define GW_APP_MAX_CALLS         4096
#define GW_APP_MAX_REGISTRATIONS 20000

struct gw_app;
struct gw_admin;

/** How a worker's events find their way: worker thread -> mailbox -> control thread. */
struct gw_app_worker {
    struct gw_app *app;
    unsigned index;
    struct wz_mailbox *events;
};

enum gw_app_phase {
    GW_APP_STARTING,
    GW_APP_SERVING,
    GW_APP_DRAINING, /**< no new calls, waiting for the last to end */
    GW_APP_STOPPING, /**< calls are being hung up, SIP is closing */
    GW_APP_STOPPED,
};

struct gw_app {
    const struct cfg *cfg;
    enum gw_app_phase phase;
    uint64_t started_wall_us;
    GMainContext *context;
    GMainLoop *main_loop;
    struct wz_loop *loop;
    GSource *loop_source;
    struct wz_timer phase_timer;
    struct wz_mailbox *stop_box;
    struct wz_signal_watch sigint, sigterm;
    bool watching_signals;

    struct gw_store *store;
    struct gw_relay *relay;
    struct wz_addr relay_address; /**< where our lines register */
    struct gw_users *users;
    struct gw_routes *routes;
    struct gw_port_pool *ports;
    struct sipua *ua;
    bool sip_closed; /**< its shutdown is complete: it may be freed */
    struct gw_calls *calls;
    struct gw_admin *admin; /**< the operator's door */
    unsigned worker_count;
    struct gw_worker *worker[GW_APP_MAX_WORKERS];
    struct gw_app_worker link[GW_APP_MAX_WORKERS];
    char echo_fingerprint[WZP_FINGERPRINT_TEXT];
    uint8_t echo_seed[WZP_SEED_BYTES]; /**< until its line has been made */
    uint32_t echo_line;
    bool echo_up;
    unsigned lines_up;
    uint64_t drain_until_us;
};

/* gateway/app_open.c, app_sip.c: each part of gw_app_new(), in this order. error as there. */
int gw_app_open_store(struct gw_app *app, char error[static GW_APP_ERROR_MAX]);
int gw_app_open_relay(struct gw_app *app, char error[static GW_APP_ERROR_MAX]);
int gw_app_open_users(struct gw_app *app, char error[static GW_APP_ERROR_MAX]);
int gw_app_open_workers(struct gw_app *app, char error[static GW_APP_ERROR_MAX]);
int gw_app_open_ports(struct gw_app *app, char error[static GW_APP_ERROR_MAX]);
int gw_app_open_sip(struct gw_app *app, char error[static GW_APP_ERROR_MAX]);
int gw_app_open_calls(struct gw_app *app, char error[static GW_APP_ERROR_MAX]);
/** Give every identity its line (after gw_app_open_calls()). */
int gw_app_open_lines(struct gw_app *app);

/* gateway/app.c: what a worker told, on the control thread. */
void gw_app_worker_event(struct gw_app *app, unsigned worker, const struct gw_event *event);

#endif
