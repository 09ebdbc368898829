/* Opening the parts of a gateway, one function each; every failure is a sentence. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_MODULE "app"
#include "gateway/app_internal.h"
#include "wzp/io/seed_file.h"
#include "wzp/rt/log.h"
#include "wzp/rt/rng.h"
#include "wzp/rt/udp.h"

#define EVENTS_WAITING_MAX 16384
/** The lines of a big directory register over this long, so that the relay is not run over. */
#define LINES_PER_SECOND 200

#define FAIL(error, ...) ((void)snprintf((error), GW_APP_ERROR_MAX, __VA_ARGS__))

/* ---- store ---- */

int gw_app_open_store(struct gw_app *app, char error[static GW_APP_ERROR_MAX])
{
    char why[GW_STORE_ERROR_MAX];
    if (mkdir(app->cfg->data_dir, 0700) < 0 && errno != EEXIST) {
        int err = -errno;
        FAIL(error, "data_dir %s cannot be made: %s", app->cfg->data_dir, strerror(-err));
        return err;
    }
    int err = gw_store_open(&app->store, app->loop, app->cfg->store.path, why);
    if (err)
        FAIL(error, "%s", why);
    return err;
}

/* ---- seeds ---- */

static int load_seed(const char *path, const char *what, uint8_t ret[static WZP_SEED_BYTES],
                     char error[static GW_APP_ERROR_MAX])
{
    bool created = false, loose = false;
    int err = wzp_seed_file_load(path, &wz_rng_system, ret, &created, &loose);
    if (err) {
        FAIL(error, "the %s seed file %s cannot be used: %s", what, path,
             err == -EBADMSG ? "it does not hold 64 hex digits" : strerror(-err));
        return err;
    }
    if (created)
        LOG_INFO("seed.created", "what=%s file=%s hint=\"keep a copy: it is the identity\"", what, path);
    if (loose)
        LOG_WARN("seed.readable", "file=%s hint=\"others can read it: chmod 600\"", path);
    return 0;
}

/* ---- relay ---- */

static int resolve(const struct cfg_host *host, struct wz_addr *ret, char error[static GW_APP_ERROR_MAX])
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG }, *found = NULL;
    if (wz_addr_parse_ip(host->host, host->port, ret) == 0)
        return 0;
    int err = getaddrinfo(host->host, NULL, &hints, &found);
    if (err) {
        FAIL(error, "%s cannot be resolved: %s", host->host, gai_strerror(err));
        return -EHOSTUNREACH;
    }
    *ret = wz_addr_from_sockaddr(found->ai_addr);
    ret->port = host->port;
    freeaddrinfo(found);
    return 0;
}

/* The embedded relay listens on any address; we reach it on the loopback of the same family. */
static struct wz_addr reach(struct wz_addr listening)
{
    static const uint8_t v4[4] = { 127, 0, 0, 1 };
    if (wz_addr_is_any(&listening)) {
        memset(listening.ip, 0, sizeof listening.ip);
        if (listening.family == WZ_ADDR_V4)
            memcpy(listening.ip, v4, sizeof v4);
        else
            listening.ip[15] = 1;
    }
    return listening;
}

static void warn_about_private_relay(const struct cfg *cfg)
{
    char text[WZ_ADDR_TEXT_MAX];
    const struct wz_addr *told = &cfg->relay.public_address;
    if (told->family == WZ_ADDR_NONE && !wz_addr_is_any(&cfg->relay.listen))
        told = &cfg->relay.listen;
    if (told->family == WZ_ADDR_NONE)
        LOG_INFO("relay.address", "hint=\"each client is told the address it connected to; set relay.public_address "
                                  "when clients come through a NAT\"");
    else if (wz_addr_kind(told) != WZ_ADDR_KIND_PUBLIC)
        LOG_WARN("relay.private_address",
                 "told=%s hint=\"clients outside this network cannot reach it; set "
                 "relay.public_address\"",
                 wz_addr_format(told, text));
}

int gw_app_open_relay(struct gw_app *app, char error[static GW_APP_ERROR_MAX])
{
    char text[WZ_ADDR_TEXT_MAX];
    const struct cfg_relay *relay = &app->cfg->relay;
    struct wzp_relay_server_config config = {
        .relay = { .build = WZP_VERSION,
                   .public_address = relay->public_address,
                   .max_sessions = relay->max_sessions,
                   .max_registrations = 0,
                   .rng = &wz_rng_system },
        .listen = relay->listen,
    };
    if (!relay->embedded)
        return resolve(&relay->connect, &app->relay_address, error);
    int err = load_seed(relay->identity_path, "relay", config.relay.seed, error);
    if (err)
        return err;
    if (config.relay.public_address.family != WZ_ADDR_NONE && config.relay.public_address.port == 0)
        config.relay.public_address.port = relay->listen.port;
    err = gw_relay_new(&app->relay, &config);
    explicit_bzero(config.relay.seed, sizeof config.relay.seed);
    if (err) {
        FAIL(error, "the relay cannot listen on %s: %s. Set relay.listen, or relay.connect to use another relay",
             wz_addr_format(&relay->listen, text), strerror(-err));
        return err;
    }
    app->relay_address = reach(wzp_relay_server_local(gw_relay_server(app->relay)));
    warn_about_private_relay(app->cfg);
    return 0;
}

/* ---- users and routes ---- */

static int echo_seed(const uint8_t master[static WZP_SEED_BYTES], uint8_t ret[static WZP_SEED_BYTES])
{
    static const char info[] = "wzp-gateway service echo";
    return wzp_hkdf(wz_bytes(NULL, 0), wz_bytes(master, WZP_SEED_BYTES), wz_bytes(info, sizeof info - 1), ret,
                    WZP_SEED_BYTES);
}

static int make_routes(struct gw_app *app)
{
    const struct cfg *cfg = app->cfg;
    size_t users = gw_users_count(app->users), count = 0;
    struct gw_route_entry *row = calloc(users + cfg->directory.count + 1, sizeof *row);
    if (!row)
        return -ENOMEM;
    for (size_t i = 0; i < users; i++) {
        const struct gw_user *user = gw_users_at(app->users, i);
        row[count++] = (struct gw_route_entry){ user->alias, user->number, user->name, user->fingerprint };
    }
    for (size_t i = 0; i < cfg->directory.count; i++) {
        const struct cfg_contact *contact = &cfg->directory.item[i];
        row[count++] = (struct gw_route_entry){ contact->alias, contact->number, NULL, contact->fingerprint };
    }
    if (cfg->echo.enabled)
        row[count++] = (struct gw_route_entry){ "echo", cfg->echo.number, NULL, app->echo_fingerprint };
    int err = gw_routes_new(&app->routes, row, count);
    free(row);
    return err;
}

int gw_app_open_users(struct gw_app *app, char error[static GW_APP_ERROR_MAX])
{
    uint8_t master[WZP_SEED_BYTES], seed[WZP_SEED_BYTES];
    struct wzp_identity identity;
    int err = load_seed(app->cfg->identity.seed_path, "gateway", master, error);
    if (err)
        return err;
    FAIL(error, "the users' keys cannot be made");
    err = gw_users_new(&app->users, app->cfg, master, app->worker_count);
    if (!err)
        err = echo_seed(master, seed);
    if (!err)
        err = wzp_identity_from_seed(seed, &identity);
    if (!err) {
        memcpy(app->echo_fingerprint, identity.fingerprint, sizeof app->echo_fingerprint);
        memcpy(app->echo_seed, seed, sizeof app->echo_seed);
        wzp_identity_done(&identity);
        err = make_routes(app);
    }
    explicit_bzero(master, sizeof master);
    explicit_bzero(seed, sizeof seed);
    return err;
}

/* ---- workers ---- */

static void on_worker_event(void *arg, void *item)
{
    struct gw_app_worker *link = arg;
    gw_app_worker_event(link->app, link->index, item);
}

/* On the worker's thread. Statistics may be dropped when the control thread is behind; everything else is waited for:
 * a lost "ended" would be a call that never ends. */
static void emit(void *arg, const struct gw_event *event)
{
    struct gw_app_worker *link = arg;
    while (wz_mailbox_post(link->events, event) < 0 && event->kind != GW_EV_MEDIA_STATS && event->kind != GW_EV_WIRE)
        (void)usleep(1000);
}

static struct gw_wzp_params wzp_params(const struct cfg_media *media)
{
    static const enum wzp_codec codecs[] = {
        [CFG_PROFILE_GOOD] = WZP_CODEC_OPUS_24K,           [CFG_PROFILE_STUDIO_32K] = WZP_CODEC_OPUS_32K,
        [CFG_PROFILE_STUDIO_48K] = WZP_CODEC_OPUS_48K,     [CFG_PROFILE_STUDIO_64K] = WZP_CODEC_OPUS_64K,
        [CFG_PROFILE_OPUS16K] = WZP_CODEC_OPUS_16K,        [CFG_PROFILE_OPUS6K] = WZP_CODEC_OPUS_6K,
        [CFG_PROFILE_CODEC2_3200] = WZP_CODEC_CODEC2_3200, [CFG_PROFILE_CODEC2_1200] = WZP_CODEC_CODEC2_1200,
    };
    static const enum gw_adapt modes[] = {
        [CFG_ADAPTIVE_YES] = GW_ADAPT_CONGESTION,
        [CFG_ADAPTIVE_NO] = GW_ADAPT_OFF,
        [CFG_ADAPTIVE_REFERENCE] = GW_ADAPT_REFERENCE,
    };
    return (struct gw_wzp_params){
        .profile = codecs[media->profile],
        .complexity = media->opus_complexity,
        .adapt = modes[media->adaptive],
        .suppress_silence = media->suppress_silence,
    };
}

static void resolve_stun(const struct cfg_relay *relay, struct gw_worker_config *config)
{
    char why[GW_APP_ERROR_MAX];
    for (size_t i = 0; i < relay->stun.count && config->stun_count < GW_WORKER_MAX_STUN; i++) {
        if (resolve(&relay->stun.item[i], &config->stun[config->stun_count], why) == 0)
            config->stun_count++;
        else
            LOG_WARN("stun.unresolved", "server=%s", relay->stun.item[i].host);
    }
}

int gw_app_open_workers(struct gw_app *app, char error[static GW_APP_ERROR_MAX])
{
    struct gw_worker_config config = {
        .build = WZP_VERSION,
        .relay = app->relay_address,
        .bind = { .family = app->relay_address.family },
        .public_address = app->cfg->relay.public_reflexive,
        .share_local_addrs = app->cfg->relay.share_local_addrs,
        .direct = app->cfg->relay.direct,
        .strict = app->cfg->relay.strict,
        .pin_path = app->cfg->relay.pins_path,
        .media_timeout_ms = app->cfg->media.timeout_s * 1000,
        .wzp = wzp_params(&app->cfg->media),
        .jitter_initial_ms = app->cfg->media.jitter_target_ms,
        .jitter_max_ms = app->cfg->media.jitter_max_ms,
        .emit = emit,
    };
    resolve_stun(&app->cfg->relay, &config);
    for (unsigned i = 0; i < app->worker_count; i++) {
        struct gw_app_worker *link = &app->link[i];
        *link = (struct gw_app_worker){ .app = app, .index = i };
        int err = wz_mailbox_new(&link->events, app->loop, EVENTS_WAITING_MAX, sizeof(struct gw_event), on_worker_event,
                                 link);
        config.index = i;
        config.arg = link;
        if (!err)
            err = gw_worker_new(&app->worker[i], &config);
        if (err) {
            FAIL(error, "media worker %u cannot start: %s", i, strerror(-err));
            return err;
        }
    }
    return 0;
}

static int add_line(struct gw_app *app, unsigned worker, uint32_t line_id, const uint8_t seed[static WZP_SEED_BYTES],
                    const char *alias, uint32_t delay_ms, bool is_echo)
{
    struct gw_command command = { .kind = GW_CMD_LINE_ADD, .line_id = line_id };
    int err;
    command.line.delay_ms = delay_ms;
    command.line.is_echo = is_echo;
    memcpy(command.line.seed, seed, WZP_SEED_BYTES);
    (void)snprintf(command.line.alias, sizeof command.line.alias, "%s", alias);
    while ((err = gw_worker_post(app->worker[worker], &command)) == -EAGAIN)
        (void)usleep(1000); /* at start only: thousands of lines are handed over faster than they are made */
    explicit_bzero(command.line.seed, sizeof command.line.seed);
    return err;
}

int gw_app_open_lines(struct gw_app *app)
{
    int err = 0;
    for (size_t i = 0; i < gw_users_count(app->users) && !err; i++) {
        const struct gw_user *user = gw_users_at(app->users, i);
        err = add_line(app, user->worker, user->line_id, user->seed, user->display,
                       (uint32_t)(i * 1000 / LINES_PER_SECOND), false);
    }
    if (!err && app->cfg->echo.enabled) {
        /* The last worker: with two or more the echo is on another endpoint than most callers. */
        unsigned worker = app->worker_count - 1;
        app->echo_line = gw_users_lines(app->users, worker);
        err = add_line(app, worker, app->echo_line, app->echo_seed, "echo", 0, true);
    }
    explicit_bzero(app->echo_seed, sizeof app->echo_seed);
    return err;
}

/* ---- calls ---- */

int gw_app_open_ports(struct gw_app *app, char error[static GW_APP_ERROR_MAX])
{
    uint16_t taken = 0;
    const struct cfg_media *media = &app->cfg->media;
    struct gw_port_pool_config pool = { .bind_ip = { .family = app->cfg->sip.listen.family },
                                        .first_port = (uint16_t)media->ports_first,
                                        .last_port = (uint16_t)media->ports_last };
    int err = gw_port_pool_new(&app->ports, &pool, &taken);
    if (err)
        FAIL(error, "media port %u cannot be used: %s. Set media.ports_first and ports_last to a free range", taken,
             strerror(-err));
    return err;
}

int gw_app_open_calls(struct gw_app *app, char error[static GW_APP_ERROR_MAX])
{
    const struct cfg_media *media = &app->cfg->media;
    struct wz_addr media_address =
        media->public_address.family != WZ_ADDR_NONE ? media->public_address : app->cfg->sip.public_address;
    if (media_address.family == WZ_ADDR_NONE && !wz_addr_is_any(&app->cfg->sip.listen))
        media_address = app->cfg->sip.listen;
    FAIL(error, "out of memory");
    return gw_calls_new(&app->calls, &(struct gw_calls_config){ .loop = app->loop,
                                                                .ua = app->ua,
                                                                .worker = app->worker,
                                                                .users = app->users,
                                                                .routes = app->routes,
                                                                .ports = app->ports,
                                                                .store = app->store,
                                                                .media_address = media_address,
                                                                .ring_ms = app->cfg->sip.ring_timeout_s * 1000,
                                                                .max_calls = GW_APP_MAX_CALLS });
}
