/* wzp-relay: arguments, signals and wiring. What it does is wzp/io/relay_server and wzp/core/relay. */
#define LOG_MODULE "relay"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wzp/io/relay_server.h"
#include "wzp/io/seed_file.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"
#include "wzp/rt/udp.h"

#define DEFAULT_PORT 4433
#define BUILD_TEXT   "wzp-relay/" WZP_VERSION
#define SESSIONS_MAX 1000000
#define EXIT_USAGE   2

static const char help_text[] =
    "usage: wzp-relay [options]\n"
    "\n"
    "The WZP relay: users register here, calls are brokered, media is forwarded inside rooms.\n"
    "\n"
    "  -i, --identity FILE      the relay's seed, 64 hex digits; made when missing, mode 0600\n"
    "                           (default ~/.wzp/relay-identity)\n"
    "      --listen ADDR        address and UDP port to serve on, IP[:PORT] or [IP6]:PORT (default "
    "0.0.0.0:4433)\n"
    "      --public-address ADDR\n"
    "                           address that clients are told for media, IP[:PORT]; without it each client "
    "is told\n"
    "                           the local address it reached the relay on, which is private behind a NAT\n"
    "      --max-sessions N     media connections in rooms at the same time (default 100)\n"
    "      --strict-privacy     show a caller's addresses to the callee only when the call was accepted as "
    "trusted\n"
    "      --log-level LEVEL    error, warn, info or debug (default info)\n"
    "      --json-log           one JSON object a line; also used when standard error is not a terminal\n"
    "  -V, --version            print the version\n"
    "  -h, --help               this text\n"
    "\n"
    "SIGTERM drains: no new registrations, calls or rooms; ends when the last call no longer needs the "
    "relay.\n"
    "A second SIGTERM, or SIGINT, stops at once; connected clients are told.\n"
    "Exit status: 0 after a signal, 1 when it could not start or failed, 2 for wrong arguments.\n";

struct options {
    const char *identity; /* NULL: the default place */
    struct wz_addr listen, public_address;
    unsigned max_sessions;
    bool strict_privacy;
    enum wz_log_level log_level;
    enum wz_log_format log_format;
};

struct daemon {
    struct wz_loop *loop;
    struct wzp_relay_server *server;
    struct wz_signal_watch term, interrupt;
    bool draining;
};

/* ---- arguments ---- */

static int usage_error(const char *option, const char *value, const char *expected)
{
    fprintf(stderr, "wzp-relay: %s %s: expected %s (try --help)\n", option, value, expected);
    return -EINVAL;
}

/** "IP:PORT", "[IP6]:PORT" or a bare IP with the default port. */
static int parse_address(const char *text, struct wz_addr *ret)
{
    if (wz_addr_parse(text, ret) == 0)
        return 0;
    return wz_addr_parse_ip(text, DEFAULT_PORT, ret);
}

static int parse_sessions(const char *text, unsigned *ret)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno || *end || end == text || value < 1 || value > SESSIONS_MAX)
        return -EINVAL;
    *ret = (unsigned)value;
    return 0;
}

enum { OPT_LISTEN = 256, OPT_PUBLIC, OPT_SESSIONS, OPT_STRICT, OPT_LEVEL, OPT_JSON };

static const struct option long_options[] = {
    { "identity", required_argument, NULL, 'i' },
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "public-address", required_argument, NULL, OPT_PUBLIC },
    { "max-sessions", required_argument, NULL, OPT_SESSIONS },
    { "strict-privacy", no_argument, NULL, OPT_STRICT },
    { "log-level", required_argument, NULL, OPT_LEVEL },
    { "json-log", no_argument, NULL, OPT_JSON },
    { "version", no_argument, NULL, 'V' },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};

/** 0; 1 when there is nothing more to do; -EINVAL after saying what is wrong. */
static int take_option(int option, struct options *ret)
{
    switch (option) {
    case 'i':
        ret->identity = optarg;
        return 0;
    case OPT_LISTEN:
        return parse_address(optarg, &ret->listen) == 0 ? 0 : usage_error("--listen", optarg, "IP[:PORT]");
    case OPT_PUBLIC:
        if (parse_address(optarg, &ret->public_address) == 0 && !wz_addr_is_any(&ret->public_address))
            return 0;
        return usage_error("--public-address", optarg, "IP[:PORT] (no host name: clients read it as a literal)");
    case OPT_SESSIONS:
        return parse_sessions(optarg, &ret->max_sessions) == 0 ? 0
                                                               : usage_error("--max-sessions", optarg, "1..1000000");
    case OPT_STRICT:
        ret->strict_privacy = true;
        return 0;
    case OPT_LEVEL:
        return wz_log_level_parse(optarg, &ret->log_level) == 0
                   ? 0
                   : usage_error("--log-level", optarg, "error, warn, info or debug");
    case OPT_JSON:
        ret->log_format = WZ_LOG_JSON;
        return 0;
    case 'V':
        puts("wzp-relay " WZP_VERSION);
        return 1;
    case 'h':
        fputs(help_text, stdout);
        return 1;
    default:
        fputs("try wzp-relay --help\n", stderr); /* getopt has named the option */
        return -EINVAL;
    }
}

static int parse_options(int argc, char **argv, struct options *ret)
{
    int option;
    while ((option = getopt_long(argc, argv, "i:Vh", long_options, NULL)) != -1) {
        const int err = take_option(option, ret);
        if (err)
            return err;
    }
    if (optind < argc)
        return usage_error("argument", argv[optind], "options only");
    return 0;
}

/* ---- identity ---- */

static int default_identity_path(char *buf, size_t size)
{
    const char *home = getenv("HOME");
    if (!home || !home[0])
        return -ENOENT;
    return (size_t)snprintf(buf, size, "%s/.wzp/relay-identity", home) < size ? 0 : -ENAMETOOLONG;
}

static int load_seed(const struct options *options, uint8_t ret[static WZP_SEED_BYTES])
{
    char default_path[4096];
    const char *path = options->identity ? options->identity : default_path;
    if (!options->identity && default_identity_path(default_path, sizeof default_path) != 0) {
        LOG_ERROR("identity.no_home", "hint=\"HOME is not set, use --identity FILE\"");
        return -ENOENT;
    }
    bool created = false, loose = false;
    const int err = wzp_seed_file_load(path, &wz_rng_system, ret, &created, &loose);
    if (err)
        LOG_ERROR("identity.unusable", "file=\"%s\" error=\"%s\"", path,
                  err == -EBADMSG ? "not a seed: 64 hex digits expected" : strerror(-err));
    else if (created)
        LOG_INFO("identity.created", "file=\"%s\"", path);
    if (!err && loose)
        LOG_WARN("identity.readable", "file=\"%s\" hint=\"chmod 600: others can impersonate this relay\"", path);
    return err;
}

/* ---- running ---- */

static void on_drained(void *arg)
{
    struct daemon *daemon = arg;
    LOG_INFO("relay.drained", "stopping=now");
    wz_loop_stop(daemon->loop);
}

static void on_signal(void *arg, int signo)
{
    struct daemon *daemon = arg;
    if (signo == SIGTERM && !daemon->draining) {
        struct wzp_relay_stats stats;
        wzp_relay_server_stats(daemon->server, &stats);
        LOG_INFO("relay.draining", "calls=%u sessions=%u hint=\"SIGTERM again stops at once\"", stats.calls,
                 stats.sessions);
        daemon->draining = true;
        wzp_relay_server_drain(daemon->server, on_drained, daemon);
        return;
    }
    LOG_INFO("relay.stopping", "signal=%s", signo == SIGTERM ? "SIGTERM" : "SIGINT");
    wz_loop_stop(daemon->loop);
}

/** What clients are told when no public address is configured: the address our traffic leaves from. */
static void warn_if_private(const struct options *options, const struct wz_addr *local)
{
    struct wz_addr advertised = options->public_address;
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

static int start_server(struct daemon *daemon, const struct options *options)
{
    struct wzp_relay_server_config config = {
        .relay = { .build = BUILD_TEXT,
                   .public_address = options->public_address,
                   .max_sessions = options->max_sessions,
                   .strict_privacy = options->strict_privacy,
                   .rng = &wz_rng_system },
        .listen = options->listen,
    };
    char text[WZ_ADDR_TEXT_MAX];
    int err = load_seed(options, config.relay.seed);
    if (err)
        return err;
    err = wzp_relay_server_new(&daemon->server, daemon->loop, &config);
    explicit_bzero(config.relay.seed, sizeof config.relay.seed);
    if (err) {
        LOG_ERROR("relay.cannot_listen", "listen=%s error=\"%s\"", wz_addr_format(&options->listen, text),
                  strerror(-err));
        return err;
    }
    const struct wz_addr local = wzp_relay_server_local(daemon->server);
    LOG_INFO("relay.started", "listen=%s fingerprint=%s tls_fingerprint=%s version=%s", wz_addr_format(&local, text),
             wzp_relay_server_fingerprint(daemon->server), wzp_relay_server_tls_fingerprint(daemon->server),
             WZP_VERSION);
    warn_if_private(options, &local);
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

static int run(const struct options *options)
{
    struct daemon daemon = { 0 };
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    int err = wz_loop_new(&daemon.loop);
    if (err)
        return err;
    err = start_server(&daemon, options);
    if (!err)
        err = wz_signal_watch_init(&daemon.term, daemon.loop, SIGTERM, on_signal, &daemon);
    if (!err)
        err = wz_signal_watch_init(&daemon.interrupt, daemon.loop, SIGINT, on_signal, &daemon);
    if (!err) {
        err = wz_loop_run(daemon.loop);
        log_totals(&daemon);
    }
    wz_signal_watch_done(&daemon.term);
    wz_signal_watch_done(&daemon.interrupt);
    wzp_relay_server_free(daemon.server);
    wz_loop_free(daemon.loop);
    return err;
}

int main(int argc, char **argv)
{
    struct options options = { .log_level = WZ_LOG_INFO, .log_format = WZ_LOG_AUTO };
    (void)parse_address("0.0.0.0", &options.listen); /* a literal */
    const int err = parse_options(argc, argv, &options);
    if (err)
        return err > 0 ? EXIT_SUCCESS : EXIT_USAGE;
    wz_log_init(STDERR_FILENO, options.log_format, options.log_level);
    return run(&options) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
