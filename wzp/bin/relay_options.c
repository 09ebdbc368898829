/* See relay_options.h. */
#include "wzp/bin/relay_options.h"

#include <errno.h>
#include <getopt.h>

/** Flags there can be; the table of settings has fewer. */
#define FLAGS_MAX 64
/** getopt's value of the i-th setting's flag. */
#define FLAG_BASE 256

static void print_help(void)
{
    (void)fputs("usage: wzp-relay [options]\n"
                "\n"
                "The WZP relay: users register here, calls are brokered, media is forwarded inside rooms.\n"
                "\n"
                "  -c, --config FILE\n"
                "             settings, as TOML; made from a commented template when missing.\n"
                "             The command line overrides it\n",
                stdout);
    relay_settings_print_flags(stdout);
    (void)fputs("  -V, --version\n"
                "  -h, --help\n"
                "\n"
                "SIGTERM drains: no new registrations, calls or rooms; ends when the last call no longer needs the "
                "relay.\n"
                "A second SIGTERM, or SIGINT, stops at once; connected clients are told.\n"
                "SIGHUP reads the file again, applies debug_tap and says what else needs a restart.\n"
                "Exit status: 0 after a signal, 1 when it could not start or failed, 2 for wrong arguments.\n"
                "\n"
                "Options of other relays that are understood but not served yet (refused at start): --remote,\n"
                "--probe, --probe-mesh, --mesh-status, --trunking, --ws-port, --static-dir, --global-room, "
                "--event-log.\n",
                stdout);
}

static int usage_error(const char *flag, const char *value, const char *expected)
{
    (void)fprintf(stderr, "wzp-relay: --%s %s: expected %s (try --help)\n", flag, value, expected);
    return -EINVAL;
}

static int take_setting(const struct relay_setting *setting, struct relay_settings *settings)
{
    char expected[RELAY_MISTAKE_TEXT];
    const char *flag = relay_setting_flag(setting), *why = relay_setting_unserved(setting);
    if (why) {
        (void)fprintf(stderr, "wzp-relay: --%s: %s\n", flag, why);
        return -EINVAL;
    }
    const int err = relay_setting_set_text(setting, settings, optarg ? optarg : "", expected);
    return err == -EINVAL ? usage_error(flag, optarg ? optarg : "", expected) : err;
}

static int take_option(int option, struct relay_settings *settings, const char **ret_config)
{
    switch (option) {
    case 'c':
        *ret_config = optarg;
        return 0;
    case 'V':
        puts("wzp-relay " WZP_VERSION);
        return 1;
    case 'h':
        print_help();
        return 1;
    case '?':
        (void)fputs("try wzp-relay --help\n", stderr); /* getopt has named the option */
        return -EINVAL;
    default:
        return take_setting(relay_setting_at((size_t)(option - FLAG_BASE)), settings);
    }
}

/** Fills ret, which is all zero, from the table; returns the value of --identity. */
static int list_flags(struct option ret[static FLAGS_MAX])
{
    static const struct option own[] = {
        { "config", required_argument, NULL, 'c' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
    };
    size_t count = sizeof own / sizeof own[0];
    int identity = '?';
    memcpy(ret, own, sizeof own);
    for (size_t i = 0; i < relay_setting_count() && count + 1 < FLAGS_MAX; i++) {
        const struct relay_setting *setting = relay_setting_at(i);
        const char *flag = relay_setting_flag(setting);
        if (!flag)
            continue;
        const int value = FLAG_BASE + (int)i;
        ret[count++] = (struct option){ flag, relay_setting_flag_takes_value(setting) ? required_argument : no_argument,
                                        NULL, value };
        if (strcmp(flag, "identity") == 0)
            identity = value;
    }
    return identity;
}

int relay_options_parse(int argc, char **argv, struct relay_settings *settings, const char **ret_config)
{
    struct option flags[FLAGS_MAX] = { 0 };
    const int identity = list_flags(flags);
    const char *config = NULL;
    int option;
    optind = 0; /* glibc: start over */
    while ((option = getopt_long(argc, argv, "c:i:Vh", flags, NULL)) != -1) {
        const int err = take_option(option == 'i' ? identity : option, settings, &config);
        if (err)
            return err;
    }
    if (optind < argc) {
        (void)fprintf(stderr, "wzp-relay: argument %s: expected options only (try --help)\n", argv[optind]);
        return -EINVAL;
    }
    *ret_config = config;
    return 0;
}
