/* wzp-relay: signals and wiring. What it does is wzp/io/relay_server and wzp/core/relay. */
#define LOG_MODULE "relay"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wzp/bin/relay_auth.h"
#include "wzp/bin/relay_options.h"
#include "wzp/bin/relay_pages.h"
#include "wzp/bin/relay_settings.h"
#include "wzp/io/relay_server.h"
#include "wzp/io/seed_file.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"
#include "wzp/rt/udp.h"

#define BUILD_TEXT "wzp-relay/" WZP_VERSION
#define EXIT_USAGE 2

struct daemon {
    int argc;
    char **argv;
    struct relay_settings settings;
    struct wz_loop *loop;
    struct wzp_relay_server *server;
    struct relay_auth *auth;
    struct relay_pages *pages;
    struct wz_signal_watch term, interrupt, hangup;
    bool draining;
};

/* ---- settings ---- */

/** Takes over config's mistakes to standard error, as the compiler would print them. */
static void print_mistakes(const char *file, const struct relay_mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->kept; i++) {
        const struct relay_mistake *mistake = &mistakes->item[i];
        (void)fprintf(stderr, "%s:%u: %s\n", file, mistake->line, mistake->text);
    }
    if (mistakes->count > mistakes->kept)
        (void)fprintf(stderr, "%s: and %zu more\n", file, mistakes->count - mistakes->kept);
}

static int load_file(const char *file, struct relay_settings *settings)
{
    struct relay_mistakes mistakes = { .count = 0 }, notes = { .count = 0 };
    bool created = false;
    char quoted[256];
    const int err = relay_settings_load(settings, file, &mistakes, &notes, &created);
    if (err)
        (void)fprintf(stderr, "wzp-relay: %s: %s\n", file, strerror(-err));
    print_mistakes(file, &mistakes);
    for (size_t i = 0; i < notes.kept; i++)
        (void)fprintf(stderr, "%s:%u: note: %s\n", file, notes.item[i].line, notes.item[i].text);
    if (created)
        (void)fprintf(stderr, "wzp-relay: made %s, every setting in it is a comment\n",
                      wz_log_quote(file, quoted, sizeof quoted));
    return err ? err : mistakes.count > 0 ? -EBADMSG : 0;
}

/** Defaults, the file, then the command line. 0; 1 when all was said; -EINVAL (command line), else the file's. */
static int read_settings(int argc, char **argv, struct relay_settings *ret)
{
    struct relay_settings settings;
    const char *file = NULL;
    int err = relay_settings_init(&settings);
    if (err)
        return err;
    err = relay_options_parse(argc, argv, &settings, &file);
    if (!err && file) { /* once more, on top of the file */
        relay_settings_done(&settings);
        err = relay_settings_init(&settings);
        if (!err)
            err = load_file(file, &settings);
        if (!err)
            err = relay_options_parse(argc, argv, &settings, &file);
    }
    if (err)
        relay_settings_done(&settings);
    else
        *ret = settings;
    return err;
}

/** Apply what may change while we run, and name the rest. */
static void apply_changes(struct daemon *daemon, struct relay_settings *fresh)
{
    for (size_t i = 0; i < relay_setting_count(); i++) {
        const struct relay_setting *setting = relay_setting_at(i);
        if (relay_setting_differs(setting, &daemon->settings, fresh) && !relay_setting_is_live(setting))
            LOG_WARN("reload.needs_restart", "setting=%s",
                     relay_setting_name(setting) ? relay_setting_name(setting) : "?");
    }
    const int err = wzp_relay_server_set_tap(daemon->server, fresh->debug_tap);
    if (err)
        LOG_WARN("reload.no_room", "setting=debug_tap error=\"%s\"", strerror(-err));
    char *tap = daemon->settings.debug_tap;
    daemon->settings.debug_tap = fresh->debug_tap;
    fresh->debug_tap = tap;
    LOG_INFO("reload.done", "debug_tap=%s", daemon->settings.debug_tap ? "on" : "off");
}

static void reload(struct daemon *daemon)
{
    struct relay_settings fresh;
    if (read_settings(daemon->argc, daemon->argv, &fresh) != 0) {
        LOG_WARN("reload.refused", "hint=\"the mistakes are above; nothing has changed\"");
        return;
    }
    apply_changes(daemon, &fresh);
    relay_settings_done(&fresh);
}

/* ---- identity ---- */

static int default_identity_path(char *buf, size_t size)
{
    const char *home = getenv("HOME");
    if (!home || !home[0])
        return -ENOENT;
    return (size_t)snprintf(buf, size, "%s/.wzp/relay-identity", home) < size ? 0 : -ENAMETOOLONG;
}

static int load_seed(const struct relay_settings *settings, uint8_t ret[static WZP_SEED_BYTES])
{
    char default_path[4096];
    const char *path = settings->identity ? settings->identity : default_path;
    if (!settings->identity && default_identity_path(default_path, sizeof default_path) != 0) {
        LOG_ERROR("identity.no_home", "hint=\"HOME is not set, use --identity FILE\"");
        return -ENOENT;
    }
    bool created = false, loose = false;
    const int err = wzp_seed_file_load(path, &wz_rng_system, ret, &created, &loose);
    if (err == -EBADMSG)
        LOG_ERROR("identity.unusable",
                  "file=\"%s\" error=\"not a seed: 64 hex digits expected\" hint=\"move it away to get a new "
                  "identity; it is never overwritten\"",
                  path);
    else if (err)
        LOG_ERROR("identity.unusable", "file=\"%s\" error=\"%s\"", path, strerror(-err));
    else if (created)
        LOG_INFO("identity.created", "file=\"%s\"", path);
    if (!err && loose)
        LOG_WARN("identity.readable", "file=\"%s\" hint=\"chmod 600: others can impersonate this relay\"", path);
    return err;
}

/* ---- signals ---- */

static void on_drained(void *arg)
{
    struct daemon *daemon = arg;
    LOG_INFO("relay.drained", "stopping=now");
    wz_loop_stop(daemon->loop);
}

static void on_signal(void *arg, int signo)
{
    struct daemon *daemon = arg;
    if (signo == SIGHUP) {
        reload(daemon);
        return;
    }
    if (signo == SIGTERM && !daemon->draining) {
        struct wzp_relay_stats stats;
        wzp_relay_server_stats(daemon->server, &stats);
        LOG_INFO("relay.draining", "calls=%u sessions=%u hint=\"SIGTERM again stops at once\"", stats.calls,
                 stats.sessions);
        daemon->draining = true;
        if (daemon->pages)
            relay_pages_set_draining(daemon->pages);
        wzp_relay_server_drain(daemon->server, on_drained, daemon);
        return;
    }
    LOG_INFO("relay.stopping", "signal=%s", signo == SIGTERM ? "SIGTERM" : "SIGINT");
    wz_loop_stop(daemon->loop);
}

static int watch_signals(struct daemon *daemon)
{
    int err = wz_signal_watch_init(&daemon->term, daemon->loop, SIGTERM, on_signal, daemon);
    if (!err)
        err = wz_signal_watch_init(&daemon->interrupt, daemon->loop, SIGINT, on_signal, daemon);
    if (!err)
        err = wz_signal_watch_init(&daemon->hangup, daemon->loop, SIGHUP, on_signal, daemon);
    return err;
}

/* ---- tokens ---- */

static int on_token(void *arg, uint64_t conn, struct wz_bytes token)
{
    const struct daemon *daemon = arg;
    return relay_auth_check(daemon->auth, conn, token);
}

static void on_verdict(void *arg, uint64_t conn, const struct relay_auth_verdict *verdict)
{
    const struct daemon *daemon = arg;
    wzp_relay_server_token_checked(daemon->server, conn, verdict->is_valid,
                                   verdict->is_valid ? verdict->fingerprint : NULL,
                                   verdict->alias[0] ? verdict->alias : NULL);
}

static int start_auth(struct daemon *daemon)
{
    const struct relay_auth_config config = { .url = daemon->settings.auth_url, .decided = on_verdict, .arg = daemon };
    if (!config.url)
        return 0;
    const int err = relay_auth_new(&daemon->auth, daemon->loop, &config);
    if (err)
        LOG_ERROR("auth.cannot_start", "error=\"%s\"", strerror(-err));
    else if (strncmp(config.url, "http:", 5) == 0)
        LOG_WARN("auth.clear_text", "hint=\"tokens travel unencrypted: use https unless the server is on this host\"");
    return err;
}

/* ---- running ---- */

/** What clients are told when no public address is configured: the address our traffic leaves from. */
static void warn_if_private(const struct relay_settings *settings, const struct wz_addr *local)
{
    struct wz_addr advertised = settings->public_address;
    char text[WZ_ADDR_TEXT_MAX];
    if (advertised.family == WZ_ADDR_NONE)
        advertised = *local;
    if (wz_addr_is_any(&advertised)) {
        struct wz_addr outside;
        if (wz_addr_parse(local->family == WZ_ADDR_V6 ? "[2001:4860:4860::8888]:53" : "8.8.8.8:53", &outside) != 0 ||
            wz_addr_local_towards(&outside, &advertised) != 0)
            return; /* no route to anywhere: nothing to say about it */
        advertised.port = local->port;
    }
    if (wz_addr_kind(&advertised) != WZ_ADDR_KIND_PUBLIC)
        LOG_WARN("relay.private_address",
                 "advertised=%s hint=\"clients elsewhere cannot reach it for media: use --public-address\"",
                 wz_addr_format(&advertised, text));
}

static struct wzp_relay_config core_config(const struct relay_settings *s)
{
    return (struct wzp_relay_config){
        .build = BUILD_TEXT,
        .public_address = s->public_address,
        .max_sessions = s->max_sessions,
        .max_registrations = s->max_registrations,
        .max_calls = s->max_calls,
        .register_wait_ms = s->register_wait_ms,
        .ring_ms = s->ring_ms,
        .setup_ms = s->setup_ms,
        .offers_per_minute = s->offers_per_minute,
        .source_offers_per_minute = s->source_offers_per_minute,
        .source_reflects_per_minute = s->source_reflects_per_minute,
        .source_joins_per_minute = s->source_joins_per_minute,
        .source_registrations_per_minute = s->source_registrations_per_minute,
        .source_signed_registrations_per_minute = s->source_signed_registrations_per_minute,
        .direct_grace_ms = s->direct_grace_ms,
        .source_waiting = s->source_waiting,
        .require_token = s->auth_url != NULL,
        .strict = s->strict,
        .strict_privacy = s->strict_privacy,
        .quality_directives_off = !s->quality_directives,
        .rng = &wz_rng_system,
    };
}

static int start_server(struct daemon *daemon)
{
    const struct relay_settings *settings = &daemon->settings;
    struct wzp_relay_server_config config = {
        .relay = core_config(settings),
        .listen = settings->listen,
        .debug_tap = settings->debug_tap,
        .check_token = on_token,
        .arg = daemon,
    };
    char text[WZ_ADDR_TEXT_MAX];
    int err = load_seed(settings, config.relay.seed);
    if (err)
        return err;
    err = wzp_relay_server_new(&daemon->server, daemon->loop, &config);
    explicit_bzero(config.relay.seed, sizeof config.relay.seed);
    if (err) {
        LOG_ERROR("relay.cannot_listen", "listen=%s error=\"%s\"", wz_addr_format(&settings->listen, text),
                  strerror(-err));
        return err;
    }
    const struct wz_addr local = wzp_relay_server_local(daemon->server);
    LOG_INFO("relay.started", "listen=%s fingerprint=%s tls_fingerprint=%s version=%s", wz_addr_format(&local, text),
             wzp_relay_server_fingerprint(daemon->server), wzp_relay_server_tls_fingerprint(daemon->server),
             WZP_VERSION);
    warn_if_private(settings, &local);
    return 0;
}

static int start_pages(struct daemon *daemon)
{
    const struct relay_pages_config config = { .listen = daemon->settings.metrics,
                                               .server = daemon->server,
                                               .auth = daemon->auth };
    char error[WZ_HTTPD_ERROR_MAX], text[WZ_ADDR_TEXT_MAX];
    if (config.listen.family == WZ_ADDR_NONE)
        return 0;
    const int err = relay_pages_new(&daemon->pages, daemon->loop, &config, error);
    if (err) {
        LOG_ERROR("metrics.cannot_listen", "error=\"%s\"", error);
        return err;
    }
    const struct wz_addr local = relay_pages_address(daemon->pages);
    LOG_INFO("metrics.started", "listen=%s", wz_addr_format(&local, text));
    return 0;
}

static void log_totals(struct daemon *daemon)
{
    struct wzp_relay_stats stats;
    wzp_relay_server_stats(daemon->server, &stats);
    LOG_INFO("relay.stopped", "registrations=%llu offers=%llu calls=%llu datagrams_in=%llu forwarded=%llu",
             (unsigned long long)stats.registrations_total, (unsigned long long)stats.offers_total,
             (unsigned long long)stats.calls_setup_total, (unsigned long long)stats.datagrams_in,
             (unsigned long long)stats.packets_forwarded);
}

static void block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* threads made later inherit this */
    signal(SIGPIPE, SIG_IGN);
}

static int run(struct daemon *daemon)
{
    int err = wz_loop_new(&daemon->loop);
    if (err)
        return err;
    err = start_auth(daemon);
    if (!err)
        err = start_server(daemon);
    if (!err)
        err = start_pages(daemon);
    if (!err)
        err = watch_signals(daemon);
    if (!err) {
        err = wz_loop_run(daemon->loop);
        log_totals(daemon);
    }
    wz_signal_watch_done(&daemon->term);
    wz_signal_watch_done(&daemon->interrupt);
    wz_signal_watch_done(&daemon->hangup);
    relay_pages_free(daemon->pages);
    relay_auth_free(daemon->auth);
    wzp_relay_server_free(daemon->server);
    wz_loop_free(daemon->loop);
    return err;
}

int main(int argc, char **argv)
{
    struct daemon daemon = { .argc = argc, .argv = argv };
    int err = read_settings(argc, argv, &daemon.settings);
    if (err > 0)
        return EXIT_SUCCESS;
    if (err)
        return err == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    block_signals();
    wz_log_init(STDERR_FILENO, daemon.settings.json_log ? WZ_LOG_JSON : WZ_LOG_AUTO, daemon.settings.log_level);
    err = run(&daemon);
    relay_settings_done(&daemon.settings);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
