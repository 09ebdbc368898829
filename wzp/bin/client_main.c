/* wzp-client: arguments, identity, signals and wiring. What it does is client_phone.c on wzp/io/line. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wzp/bin/client_addresses.h"
#include "wzp/bin/client_analyze_run.h"
#include "wzp/bin/client_nat_run.h"
#include "wzp/bin/client_options.h"
#include "wzp/bin/client_output.h"
#include "wzp/bin/client_phone.h"
#include "wzp/bin/client_version.h"
#include "wzp/bin/client_wav.h"
#include "wzp/io/pin_file.h"
#include "wzp/io/quic.h"
#include "wzp/io/seed_file.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define RELAY_PORT 4433
#define STUN_PORT  3478
#define PATH_SIZE  4096

struct client {
    struct client_options options;
    struct wz_addr relay, stun[CLIENT_STUN_MAX];
    struct wz_addr relays[CLIENT_RELAYS_MAX]; /**< nat's */
    struct client_pcm play;
    struct wz_loop *loop;
    struct wzp_line_group *group; /**< NULL: no direct paths */
    struct wzp_pin_file *pins;    /**< NULL: not strict */
    struct wzp_quic *quic;
    struct client_phone *phone;
    struct client_addresses *addresses;
    struct client_nat_run *nat;
    struct wz_signal_watch interrupt, term;
    bool watching;
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "wzp-client: %s: %s\n", what, why);
    return -EINVAL;
}

static int resolve(const char *text, uint16_t port, struct wz_addr *ret)
{
    switch (client_resolve(text, port, ret)) {
    case 0:
        return 0;
    case -ENOENT:
        return complain(text, "unknown host name");
    default:
        return complain(text, "expected HOST[:PORT]");
    }
}

/** HOME/.wzp/name into buf. */
static int home_path(const char *name, const char *option, char buf[static PATH_SIZE])
{
    const char *home = getenv("HOME");
    if (!home || !home[0])
        return complain("no HOME", option);
    if ((size_t)snprintf(buf, PATH_SIZE, "%s/.wzp/%s", home, name) >= PATH_SIZE)
        return complain(home, strerror(ENAMETOOLONG));
    return 0;
}

static int load_seed_file(const struct client_options *options, uint8_t ret[static WZP_SEED_BYTES])
{
    char default_path[PATH_SIZE];
    const char *path = options->seed_file;
    if (!path && home_path("client-seed", "use --seed-file FILE", default_path) < 0)
        return -EINVAL;
    path = path ? path : default_path;
    bool created = false, loose = false;
    const int err = wzp_seed_file_load(path, &wz_rng_system, ret, &created, &loose);
    if (err < 0)
        return complain(path, err == -EBADMSG ? "not a seed: 64 hex digits expected" : strerror(-err));
    if (created)
        fprintf(stderr, "wzp-client: a new identity was made in %s; keep the file, it is your number\n", path);
    if (loose)
        fprintf(stderr, "wzp-client: %s can be read by others, who can then be you: chmod 600\n", path);
    return 0;
}

static int parse_mnemonic(const char *what, const char *text, uint8_t ret[static WZP_SEED_BYTES])
{
    unsigned bad_word = 0;
    char why[64];
    if (wzp_mnemonic_parse(text, ret, &bad_word) == 0)
        return 0;
    if (bad_word)
        (void)snprintf(why, sizeof why, "word %u is not in the list", bad_word);
    else
        (void)snprintf(why, sizeof why, "expected 24 words whose check holds");
    return complain(what, why);
}

static int load_mnemonic_file(const char *path, uint8_t ret[static WZP_SEED_BYTES])
{
    char text[2 * WZP_MNEMONIC_TEXT]; /* room for generous white space */
    FILE *in = fopen(path, "re");
    if (!in)
        return complain(path, strerror(errno));
    const size_t len = fread(text, 1, sizeof text - 1, in);
    const bool failed = ferror(in) != 0, whole = feof(in) != 0;
    (void)fclose(in); /* read only */
    text[len] = '\0';
    const int err = failed   ? complain(path, "cannot be read")
                    : !whole ? complain(path, "expected 24 words and nothing more")
                             : parse_mnemonic(path, text, ret);
    explicit_bzero(text, sizeof text);
    return err;
}

static int load_seed(const struct client_options *options, uint8_t ret[static WZP_SEED_BYTES])
{
    if (options->seed_hex)
        return wzp_seed_parse(options->seed_hex, ret) < 0 ? complain("--seed", "64 hex digits expected") : 0;
    if (options->mnemonic)
        return parse_mnemonic("--mnemonic", options->mnemonic, ret);
    if (options->mnemonic_file)
        return load_mnemonic_file(options->mnemonic_file, ret);
    return load_seed_file(options, ret);
}

static bool has_identity(const struct client_options *options)
{
    return options->seed_file || options->seed_hex || options->mnemonic || options->mnemonic_file;
}

static int print_identity(const struct client_options *options)
{
    uint8_t seed[WZP_SEED_BYTES];
    char words[WZP_MNEMONIC_TEXT];
    struct wzp_identity identity;
    if (load_seed(options, seed) < 0)
        return -EINVAL;
    const int err = wzp_identity_from_seed(seed, &identity);
    if (!err) {
        wzp_mnemonic_format(seed, words);
        client_output_identity(options->json, identity.fingerprint, options->show_mnemonic ? words : NULL);
        explicit_bzero(words, sizeof words);
        wzp_identity_done(&identity);
    }
    explicit_bzero(seed, sizeof seed);
    return err < 0 ? complain("no identity", strerror(-err)) : 0;
}

static int open_pins(struct client *client)
{
    char default_path[PATH_SIZE];
    const char *path = client->options.pin_file;
    if (!client->options.strict)
        return 0;
    if (!path && home_path("relay-pins", "use --pin-file FILE", default_path) < 0)
        return -EINVAL;
    path = path ? path : default_path;
    const int err = wzp_pin_file_open(&client->pins, path);
    return err < 0 ? complain(path, strerror(-err)) : 0;
}

static int load_play(struct client *client)
{
    if (!client->options.play)
        return 0;
    const int err = client_wav_load(client->options.play, &client->play);
    if (err == -EBADMSG)
        return complain(client->options.play, "not a WAV file");
    if (err == -ENOTSUP)
        return complain(client->options.play, "expected 16-bit PCM, mono or stereo, 4 to 192 kHz");
    return err < 0 ? complain(client->options.play, strerror(-err)) : 0;
}

/** Everything that can be wrong with what the user asked for. */
static int prepare(struct client *client)
{
    int err = resolve(client->options.relay, RELAY_PORT, &client->relay);
    for (size_t i = 0; !err && i < client->options.relay_count; i++)
        err = resolve(client->options.relays[i], RELAY_PORT, &client->relays[i]);
    for (size_t i = 0; !err && i < client->options.stun_count; i++)
        err = resolve(client->options.stun[i], STUN_PORT, &client->stun[i]);
    return err ? err : load_play(client);
}

/* ---- running ---- */

static void on_stun(void *arg, struct wz_bytes packet, const struct wz_addr *from, const struct wz_addr *local)
{
    struct client *client = arg;
    (void)local;
    if (client->addresses)
        client_addresses_packet(client->addresses, packet, from);
    if (client->nat)
        client_nat_packet(client->nat, packet, from);
}

static void on_addresses(void *arg, const struct wzp_line_addresses *found)
{
    struct client *client = arg;
    client_phone_set_addresses(client->phone, found);
}

static void on_signal(void *arg, int signo)
{
    struct client *client = arg;
    (void)signo;
    if (client->phone)
        client_phone_leave(client->phone);
    else
        wz_loop_stop(client->loop); /* what was learned until now is printed */
}

static int open_endpoint(struct client *client)
{
    struct wzp_quic_config config = {
        .bind = { .family = client->relay.family, .port = client->options.port },
        .stun = on_stun,
        .stun_arg = client,
        .rng = &wz_rng_system,
    };
    if (!client->options.no_direct && client->options.command != CLIENT_NAT &&
        client->options.command != CLIENT_ANALYZE) {
        const int err = wzp_line_group_new(&client->group);
        if (err < 0)
            return complain("cannot take direct connections", strerror(-err));
        wzp_line_group_serve(client->group, &config);
    }
    const int err = wzp_line_open_endpoint(&client->quic, client->loop, &config);
    return err < 0 ? complain("cannot open a UDP socket", strerror(-err)) : 0;
}

/** Control-C leaves properly: delivered on the loop, so blocked everywhere else. */
static int watch_signals(struct client *client)
{
    sigset_t set;
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that goes away is no reason to vanish from a call */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int err = wz_signal_watch_init(&client->interrupt, client->loop, SIGINT, on_signal, client);
    if (err < 0)
        return err;
    err = wz_signal_watch_init(&client->term, client->loop, SIGTERM, on_signal, client);
    if (err < 0)
        wz_signal_watch_done(&client->interrupt);
    client->watching = err == 0;
    return err;
}

static int ask_version(struct client *client)
{
    char build[128];
    const struct client_output out = {
        .json = client->options.json,
        .relay = client->options.relay,
        .start_us = wz_loop_now_us(client->loop),
    };
    const int err = client_version_ask(client->loop, client->quic, &client->relay, build, sizeof build);
    if (err < 0)
        return complain(client->options.relay, err == -ETIMEDOUT ? "the relay does not answer" : strerror(-err));
    client_output_version(&out, build, wz_loop_now_us(client->loop));
    return 0;
}

static enum client_exit ask_nat(struct client *client)
{
    const struct client_nat_config config = {
        .relay_count = client->options.relay_count,
        .relay_text = client->options.relays,
        .relay = client->relays,
        .stun_count = client->options.stun_count,
        .stun_text = client->options.stun,
        .stun = client->stun,
        .json = client->options.json,
    };
    int err = client_nat_new(&client->nat, client->loop, client->quic, &config);
    if (!err)
        err = watch_signals(client);
    if (err < 0) {
        (void)complain("cannot run", strerror(-err));
        return CLIENT_EXIT_FAILURE;
    }
    return client_nat_ask(client->nat);
}

static enum client_exit analyze(struct client *client)
{
    const struct client_options *options = &client->options;
    struct client_analyze_config config = {
        .room = options->target,
        .relay_text = options->relay,
        .capture = options->capture,
        .relay = client->relay,
        .duration_s = options->duration_s,
        .json = options->json,
    };
    int err = 0;
    if (has_identity(options))
        err = load_seed(options, config.seed);
    else /* whoever listens need not be anybody */
        wz_rng_fill(&wz_rng_system, config.seed, sizeof config.seed);
    if (!err && watch_signals(client) < 0)
        err = complain("cannot watch for signals", options->target);
    const enum client_exit code =
        err < 0 ? CLIENT_EXIT_FAILURE : client_analyze_live(client->loop, client->quic, &config);
    explicit_bzero(config.seed, sizeof config.seed);
    return code;
}

static int run_phone(struct client *client)
{
    struct client_phone_config config = {
        .options = &client->options,
        .play = client->play.sample ? &client->play : NULL,
        .relay = client->relay,
        .group = client->group,
        .pins = client->pins,
    };
    int err = load_seed(&client->options, config.seed);
    if (err < 0)
        return err;
    err = client_phone_new(&client->phone, client->loop, client->quic, &config);
    explicit_bzero(config.seed, sizeof config.seed);
    if (!err)
        err = client_addresses_new(&client->addresses, client->loop, client->quic, client->stun,
                                   client->options.stun_count, on_addresses, client);
    if (!err)
        err = watch_signals(client);
    if (!err)
        err = wz_loop_run(client->loop);
    return err < 0 ? complain("cannot run", strerror(-err)) : 0;
}

static void tear_down(struct client *client)
{
    if (client->watching) {
        wz_signal_watch_done(&client->interrupt);
        wz_signal_watch_done(&client->term);
    }
    client_nat_free(client->nat);
    client_addresses_free(client->addresses);
    client_phone_free(client->phone);
    wzp_quic_free(client->quic);
    wzp_line_group_free(client->group);
    wzp_pin_file_free(client->pins);
    wz_loop_free(client->loop);
    client_pcm_done(&client->play);
}

static enum client_exit run(struct client *client)
{
    if (client->options.command == CLIENT_IDENTITY)
        return print_identity(&client->options) < 0 ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK;
    if (client->options.command == CLIENT_ANALYZE && client->options.replay)
        return client_analyze_replay(client->options.replay, client->options.json);
    if (prepare(client) < 0 || open_pins(client) < 0)
        return CLIENT_EXIT_FAILURE;
    if (wz_loop_new(&client->loop) < 0 || open_endpoint(client) < 0)
        return CLIENT_EXIT_FAILURE;
    if (client->options.command == CLIENT_VERSION)
        return ask_version(client) < 0 ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK;
    if (client->options.command == CLIENT_NAT)
        return ask_nat(client);
    if (client->options.command == CLIENT_ANALYZE)
        return analyze(client);
    if (run_phone(client) < 0)
        return CLIENT_EXIT_FAILURE;
    return client_phone_exit(client->phone);
}

int main(int argc, char **argv)
{
    struct client client = { 0 };
    const int parsed = client_options_parse(argc, argv, &client.options);
    if (parsed)
        return parsed < 0 ? CLIENT_EXIT_USAGE : CLIENT_EXIT_OK;
    const enum client_exit code = run(&client);
    tear_down(&client);
    return (int)code;
}
