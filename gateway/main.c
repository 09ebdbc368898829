/* wzp-gateway: arguments and wiring only. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "gateway/app.h"
#include "gateway/selftest.h"
#include "wzp/rt/log.h"
#include "wzp/rt/rng.h"

#define DEFAULT_CONFIG "wzp-gateway.yaml"

static const char usage[] =
    "wzp-gateway " WZP_VERSION " - a telephone gateway between SIP and WZP\n"
    "\n"
    "  wzp-gateway [--config FILE]      serve; Ctrl-C stops, SIGTERM waits for calls to end\n"
    "  wzp-gateway --check-config       report every mistake in the file, open nothing\n"
    "  wzp-gateway --print-config       every setting with the value in force, secrets hidden\n"
    "  wzp-gateway --help-config        every setting with type, default and meaning\n"
    "  wzp-gateway --self-test          check this binary: libraries, link order, timers\n"
    "  wzp-gateway --version | --help\n"
    "\n"
    "Without --config it uses ./" DEFAULT_CONFIG "; if that is missing it writes one first, with comments,\n"
    "two users and fresh passwords. `wzpctl show calls` shows what a running gateway does.\n"
    "Exit status: 0 well ended, 1 failure, 2 wrong arguments or configuration.\n";

enum mode { SERVE, CHECK, PRINT };

static void print_mistakes(const char *path, const struct cfg_mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        char *text = cfg_mistake_text(path, &mistakes->item[i]);
        (void)fprintf(stderr, "%s\n", text ? text : "out of memory");
        free(text);
    }
    (void)fprintf(stderr, "%zu mistake%s in %s\n", mistakes->count + mistakes->dropped,
                  mistakes->count + mistakes->dropped == 1 ? "" : "s", path);
}

/* 0, or the exit status. */
static int load(const char *path, struct cfg **ret)
{
    struct cfg_mistakes mistakes = { 0 };
    int err = cfg_load(path, ret, &mistakes);
    if (err == -EINVAL)
        print_mistakes(path, &mistakes);
    else if (err)
        (void)fprintf(stderr, "%s cannot be read: %s\n", path, strerror(-err));
    cfg_mistakes_done(&mistakes);
    return err ? 2 : 0;
}

/* The first start of all: write a configuration and say so. */
static int write_first_config(const char *path)
{
    int err = cfg_write_example(path, &wz_rng_system);
    if (err) {
        (void)fprintf(stderr, "%s cannot be written: %s\n", path, strerror(-err));
        return 2;
    }
    (void)printf("wrote %s with two users, alice (1001) and bob (1002); their passwords are in it\n", path);
    (void)fflush(stdout);
    return 0;
}

static int print_config(const struct cfg *cfg)
{
    char *text = cfg_to_text(cfg);
    if (!text)
        return 1;
    (void)fputs(text, stdout);
    free(text);
    return 0;
}

static void set_up_log(const struct cfg_log *log)
{
    static const enum wz_log_level levels[] = { WZ_LOG_ERROR, WZ_LOG_WARN, WZ_LOG_INFO, WZ_LOG_DEBUG };
    static const enum wz_log_format formats[] = { WZ_LOG_AUTO, WZ_LOG_TEXT, WZ_LOG_JSON };
    wz_log_init(STDERR_FILENO, formats[log->format], levels[log->level]);
}

static int serve(const struct cfg *cfg)
{
    char error[GW_APP_ERROR_MAX];
    struct gw_app *app;
    sigset_t signals;
    set_up_log(&cfg->log);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL); /* before any thread exists: they inherit it */
    (void)signal(SIGPIPE, SIG_IGN);
    int err = gw_app_new(&app, cfg, error);
    if (err) {
        (void)fprintf(stderr, "wzp-gateway: %s\n", error);
        return 1;
    }
    err = gw_app_watch_signals(app);
    if (!err)
        err = gw_app_run(app);
    gw_app_free(app);
    return err ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "check-config", no_argument, NULL, 'k' },
        { "print-config", no_argument, NULL, 'p' }, { "help-config", no_argument, NULL, 'm' },
        { "self-test", no_argument, NULL, 't' },    { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },         { 0 },
    };
    const char *path = NULL;
    enum mode mode = SERVE;
    struct cfg *cfg;
    char *manual;
    int option;
    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            mode = CHECK;
            break;
        case 'p':
            mode = PRINT;
            break;
        case 'm':
            manual = cfg_manual();
            (void)fputs(manual ? manual : "out of memory\n", stdout);
            free(manual);
            return 0;
        case 't':
            return gw_selftest();
        case 'V':
            (void)puts("wzp-gateway " WZP_VERSION);
            return 0;
        case 'h':
            (void)fputs(usage, stdout);
            return 0;
        default:
            (void)fputs("try wzp-gateway --help\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "unexpected argument %s; try wzp-gateway --help\n", argv[optind]);
        return 2;
    }
    if (!path && access(DEFAULT_CONFIG, F_OK) < 0 && mode == SERVE && write_first_config(DEFAULT_CONFIG))
        return 2;
    path = path ? path : DEFAULT_CONFIG;
    int status = load(path, &cfg);
    if (status)
        return status;
    if (mode == CHECK)
        (void)printf("%s is right: %zu users\n", path, cfg->users.count);
    else
        status = mode == PRINT ? print_config(cfg) : serve(cfg);
    cfg_free(cfg);
    return status;
}
