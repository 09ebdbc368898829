/* Life of the user agent: sofia's root on our GMainContext, listening, the dispatch of nua's events, shutdown. */
#include "sip/ua_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib.h>
#include <sofia-sip/su.h>
#include <sofia-sip/su_glib.h>
#include <sofia-sip/su_log.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/udp.h"

#define ALLOW "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REGISTER"
/* What sofia must not answer by itself. */
#define APPLICATION_METHODS "INVITE, REGISTER, UPDATE, INFO"
#define MIN_SE_S            90
#define TICK_MS             1000
#define REPLAY_SLOTS        8192
#define DEFAULT_EXPIRES_S   3600
#define PORT_TRIES          32
#define SOFIA_LOG_LINE      512
#define SOFIA_DEBUG_LEVEL   3

struct deferred_source {
    GSource source;
    struct sipua *ua;
};

void ua_defer(struct sipua *ua)
{
    g_source_set_ready_time(ua->deferred, 0);
}

static gboolean run_deferred(GSource *source, GSourceFunc callback, gpointer arg)
{
    struct sipua *ua = ((struct deferred_source *)(void *)source)->ua;
    (void)callback;
    (void)arg;
    g_source_set_ready_time(source, -1);
    call_run_endings(ua);
    if (ua->nua_is_down && ua->shutdown_done) {
        void (*done)(void *arg) = ua->shutdown_done;
        ua->shutdown_done = NULL;
        done(ua->shutdown_arg); /* may free ua */
    }
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs deferred_funcs = { .dispatch = run_deferred };

static void sofia_log(void *stream, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));

static void sofia_log(void *stream, const char *fmt, va_list args)
{
    char line[SOFIA_LOG_LINE], quoted[SOFIA_LOG_LINE + 2];
    (void)stream;
    if (!wz_log_wants(WZ_LOG_DEBUG))
        return;
    vsnprintf(line, sizeof line, fmt, args);
    line[strcspn(line, "\r\n")] = '\0';
    if (*line)
        LOG_DEBUG("sofia", "text=%s", wz_log_quote(line, quoted, sizeof quoted));
}

/* sofia has one log per process; every user agent sets it the same way. */
static void redirect_sofia_log(void)
{
    su_log_redirect(NULL, sofia_log, NULL);
    su_log_set_level(NULL, wz_log_wants(WZ_LOG_DEBUG) ? SOFIA_DEBUG_LEVEL : 0);
}

static bool event_has_own_handle(nua_event_t event)
{
    return event != nua_r_shutdown && event != nua_r_set_params && event != nua_r_get_params;
}

/* A request that belongs to no call of ours. */
static void on_outside_request(struct sipua *ua, nua_event_t event, int status, nua_handle_t *nh, const sip_t *sip)
{
    switch (event) {
    case nua_i_register:
        if (status < 200)
            ua_on_register(ua, nh, sip);
        break;
    case nua_i_info:
    case nua_i_update:
        if (status < 200)
            nua_respond(nh, SIP_481_NO_CALL, NUTAG_WITH_THIS(ua->nua), TAG_END());
        break;
    default: /* OPTIONS: answered by sofia; the rest: refused by it, see ALLOW */
        break;
    }
    nua_handle_destroy(nh);
}

static void on_nua_event(nua_event_t event, int status, char const *phrase, nua_t *nua, struct sipua *ua,
                         nua_handle_t *nh, nua_hmagic_t *magic, sip_t const *sip, tagi_t tags[])
{
    struct sipua_call *call = call_find(ua, magic);
    (void)nua;
    if (event == nua_r_shutdown) {
        if (status >= 200) {
            ua->nua_is_down = true;
            ua_defer(ua);
        }
    } else if (call) {
        call_ref(call);
        call_on_event(call, event, status, phrase ? phrase : "", sip, tags);
        call_unref(call);
    } else if (event == nua_i_invite && nh && sip && status < 200) {
        ua_on_new_invite(ua, nh, sip);
    } else if (nh && event_has_own_handle(event)) {
        on_outside_request(ua, event, status, nh, sip);
    }
}

static void on_tick(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
    struct sipua *ua = arg;
    (void)magic;
    (void)timer;
    sipua_reg_expire(ua->reg, wz_wall_us());
    ua->stats.bindings = (uint32_t)sipua_reg_count(ua->reg);
    call_sweep(ua, wz_clock_us());
}

static void on_bound(void *arg, const struct sipua_binding *binding)
{
    struct sipua *ua = arg;
    if (ua->handlers.registered)
        ua->handlers.registered(ua->arg, binding);
}

static void on_unbound(void *arg, const struct sipua_binding *binding, enum sipua_unbind_reason reason)
{
    struct sipua *ua = arg;
    if (ua->handlers.unregistered)
        ua->handlers.unregistered(ua->arg, binding, reason);
}

static int bind_probe(const struct sockaddr_storage *sa, socklen_t len, int type, int *ret_fd)
{
    const int one = 1;
    const int fd = socket(sa->ss_family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* As sofia does it: a connection that lingers must not keep us from listening again. */
    if (type == SOCK_STREAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)sa, len) < 0) {
        const int err = -errno;
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

/* The port that UDP and TCP can both have now; that of at, or any if it is 0. Asked before sofia is, because a
 * nua_create() that cannot bind leaks. Somebody may still take it in between: the caller tries again. */
static int probe_port(const struct wz_addr *at, uint16_t *ret)
{
    struct sockaddr_storage sa;
    int udp = -1, tcp = -1;
    socklen_t len = wz_addr_to_sockaddr(at, &sa);
    int err = bind_probe(&sa, len, SOCK_DGRAM, &udp);
    if (err == 0 && getsockname(udp, (struct sockaddr *)&sa, &len) < 0)
        err = -errno;
    if (err == 0)
        err = bind_probe(&sa, len, SOCK_STREAM, &tcp);
    if (err == 0)
        *ret = wz_addr_from_sockaddr((struct sockaddr *)&sa).port;
    if (udp >= 0)
        close(udp);
    if (tcp >= 0)
        close(tcp);
    return err;
}

/* Everything sofia is told. When the edge stands in front, the URL becomes its loopback side, and TPTAG_* change as
 * it needs them; nothing else in sip/ knows where messages come from. */
static nua_t *create_nua(struct sipua *ua)
{
    const struct sipua_config *config = &ua->config;
    char address[WZ_ADDR_TEXT_MAX], url[UA_URI_MAX];
    const char *transport = !config->tcp ? ";transport=udp" : !config->udp ? ";transport=tcp" : "";
    snprintf(url, sizeof url, "sip:%s%s", wz_addr_format(&ua->local, address), transport);
    return nua_create(
        ua->root, on_nua_event, ua, NUTAG_URL(url),
        /* media and answers are ours */
        NUTAG_MEDIA_ENABLE(0), NUTAG_AUTOANSWER(0), NUTAG_AUTOALERT(0), NUTAG_AUTOACK(0), NUTAG_AUTO302(0),
        /* The default list is cleared first: NUTAG_ALLOW and its like join lists in place and corrupt
                       * memory, so methods are named by SIPTAG_ALLOW_STR and by one list here. */
        NUTAG_APPL_METHOD(NULL), NUTAG_APPL_METHOD(APPLICATION_METHODS), SIPTAG_ALLOW_STR(ALLOW),
        SIPTAG_SUPPORTED_STR("timer, 100rel"), SIPTAG_USER_AGENT_STR(config->user_agent),
        /* the phone refreshes the session if it can */
        NUTAG_SESSION_TIMER(config->session_expires_s), NUTAG_MIN_SE(MIN_SE_S),
        NUTAG_SESSION_REFRESHER(nua_remote_refresher), NUTAG_EARLY_MEDIA(0),
        /* a large INVITE must not change to TCP by itself: the phone may not listen there */
        NTATAG_UDP_MTU(SIPUA_MESSAGE_MAX_BYTES - 1), NTATAG_MAXSIZE(SIPUA_MESSAGE_MAX_BYTES), NTATAG_SERVER_RPORT(1),
        /* a registered connection lives at least as long as its binding; its keepalives get a pong */
        TPTAG_IDLE((config->max_expires_s + 60) * 1000), TPTAG_PONG2PING(1), TPTAG_STUN_SERVER(0), TAG_END());
}

static int listen_somewhere(struct sipua *ua)
{
    const unsigned tries = ua->config.listen.port == 0 ? PORT_TRIES : 1;
    int err = -EADDRINUSE;
    ua->local = ua->config.listen;
    for (unsigned i = 0; i < tries && err == -EADDRINUSE; i++) {
        err = probe_port(&ua->config.listen, &ua->local.port);
        if (err == 0 && !(ua->nua = create_nua(ua)))
            err = -EADDRINUSE;
    }
    return err;
}

static int copy_config(struct sipua *ua, const struct sipua_config *config)
{
    ua->config = *config;
    ua->realm = strdup(config->realm);
    ua->user_agent = strdup(config->user_agent);
    ua->config.realm = ua->realm;
    ua->config.user_agent = ua->user_agent;
    return ua->realm && ua->user_agent ? 0 : -ENOMEM;
}

static int create_tables(struct sipua *ua)
{
    const struct sipua_config *config = &ua->config;
    const int err = sipua_auth_new(&ua->auth, config->realm, config->rng, REPLAY_SLOTS);
    if (err < 0)
        return err;
    return sipua_reg_new(&ua->reg, &(struct sipua_reg_config){
                                       .rng = config->rng,
                                       .min_expires_s = config->min_expires_s,
                                       .max_expires_s = config->max_expires_s,
                                       .default_expires_s = DEFAULT_EXPIRES_S,
                                       .max_bindings = config->limits.max_registrations,
                                       .bound = on_bound,
                                       .unbound = on_unbound,
                                       .arg = ua,
                                   });
}

static int attach(struct sipua *ua, GMainContext *context)
{
    su_init();
    redirect_sofia_log();
    ua->deferred = g_source_new(&deferred_funcs, sizeof(struct deferred_source));
    ((struct deferred_source *)(void *)ua->deferred)->ua = ua;
    g_source_attach(ua->deferred, context);
    ua->root = su_glib_root_create(NULL);
    if (!ua->root)
        return -ENOMEM;
    su_root_threading(ua->root, 0); /* sofia on this thread, not on one of its own */
    ua->root_source = su_glib_root_gsource(ua->root);
    g_source_attach(ua->root_source, context);
    ua->tick = su_timer_create(su_root_task(ua->root), TICK_MS);
    return ua->tick && su_timer_set_for_ever(ua->tick, on_tick, ua) == 0 ? 0 : -ENOMEM;
}

int sipua_new(struct sipua **ret, struct _GMainContext *context, const struct sipua_config *config,
              const struct sipua_handlers *handlers, void *arg)
{
    if (!context || !config->realm || !config->user_agent || !config->rng || (!config->udp && !config->tcp) ||
        config->listen.family == WZ_ADDR_NONE || !handlers->credentials || !handlers->incoming || !handlers->event)
        return -EINVAL;
    struct sipua *ua = calloc(1, sizeof *ua);
    if (!ua)
        return -ENOMEM;
    ua->handlers = *handlers;
    ua->arg = arg;
    wz_list_init(&ua->ending);
    int err = copy_config(ua, config);
    if (err == 0)
        err = create_tables(ua);
    if (err == 0)
        err = attach(ua, context);
    if (err == 0)
        err = listen_somewhere(ua);
    if (err == 0)
        *ret = ua, ua = NULL;
    sipua_free(ua);
    return err;
}

void sipua_shutdown(struct sipua *ua, void (*done)(void *arg), void *arg)
{
    if (ua->shutting_down)
        return;
    ua->draining = ua->shutting_down = true;
    ua->shutdown_done = done;
    ua->shutdown_arg = arg;
    for (uint32_t i = 0; i < ua->slot_count; i++) {
        struct sipua_call *call = ua->slot[i].call;
        if (call && call->state == CALL_TRYING)
            (void)sipua_call_reject(
                call, &(struct sipua_refusal){ .status = 503, .retry_after_s = ua->config.limits.retry_after_s });
        else if (call)
            (void)sipua_call_hangup(call, 0, NULL);
    }
    nua_shutdown(ua->nua);
}

static void finish_leftover_calls(struct sipua *ua)
{
    for (uint32_t i = 0; i < ua->slot_count; i++) {
        if (ua->slot[i].call) {
            ua->slot[i].call->released = true;
            call_finish(ua->slot[i].call, &ua->slot[i].call->end);
        }
    }
    call_run_endings(ua);
}

void sipua_free(struct sipua *ua)
{
    if (!ua)
        return;
    finish_leftover_calls(ua);
    if (ua->tick)
        su_timer_destroy(ua->tick);
    nua_destroy(ua->nua);
    if (ua->root_source)
        g_source_destroy(ua->root_source); /* its memory is the root's */
    if (ua->root)
        su_root_destroy(ua->root);
    if (ua->deferred) {
        g_source_destroy(ua->deferred);
        g_source_unref(ua->deferred);
    }
    sipua_reg_free(ua->reg);
    sipua_auth_free(ua->auth);
    free(ua->slot);
    free(ua->realm);
    free(ua->user_agent);
    free(ua);
}

struct wz_addr sipua_local(const struct sipua *ua)
{
    return ua->local;
}

struct sipua_stats sipua_stats(const struct sipua *ua)
{
    struct sipua_stats stats = ua->stats;
    stats.calls_active = ua->active;
    stats.bindings = (uint32_t)sipua_reg_count(ua->reg);
    return stats;
}

struct sipua_reg *sipua_registrar(struct sipua *ua)
{
    return ua->reg;
}

void sipua_set_draining(struct sipua *ua, bool draining)
{
    ua->draining = draining || ua->shutting_down;
}
