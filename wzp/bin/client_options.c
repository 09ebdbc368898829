#include "wzp/bin/client_options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/base/addr.h"
#include "wzp/bin/client_audio.h"

#define DEFAULT_RELAY "127.0.0.1:4433"
#define SECONDS_MAX   1e6

static const char help_text[] =
    "usage: wzp-client [options] COMMAND\n"
    "\n"
    "A WZP softphone for the shell.\n"
    "\n"
    "  register           register and stay registered; calls are answered busy\n"
    "  call FINGERPRINT   call somebody\n"
    "  answer             wait for a call, answer it and end with it\n"
    "  room NAME          join a room (needs no registration)\n"
    "  reflect            ask the relay which address it sees\n"
    "  ping               measure the round trip to the relay; once a second with --duration\n"
    "  version            ask the relay for its build\n"
    "  identity           print our fingerprint (the relay is not asked)\n"
    "  nat                tell what kind of NAT we are behind, from what relays and STUN servers see\n"
    "  analyze ROOM       listen to a room without sending anything; tell how each stream arrives\n"
    "  analyze --replay FILE  the same from a capture\n"
    "\n"
    "      --relay HOST[:PORT]  the relay (default " DEFAULT_RELAY "); nat: up to 8 times\n"
    "      --port N             our UDP port (default: any free one)\n"
    "      --no-direct          media always takes the relay, and nobody is told our addresses\n"
    "      --strict             signed offers and answers only, and the relay must show the certificate and key\n"
    "                           that it showed first\n"
    "      --pin-file FILE      strict: what relays showed first (default ~/.wzp/relay-pins)\n"
    "      --alias NAME         the name that others see\n"
    "      --json               one JSON object a line on standard output\n"
    "      --duration S         register, ping: end after S seconds;\n"
    "                           call, answer, room: hang up S seconds after media is up;\n"
    "                           analyze: end S seconds after the room was joined\n"
    "      --stun HOST[:PORT]   learn our public address there too (up to 4 times; port 3478)\n"
    "\n"
    "who we are, at most one of:\n"
    "      --seed-file FILE     64 hex digits; made when missing, mode 0600 (default ~/.wzp/client-seed)\n"
    "      --seed HEX           64 hex digits; others on this machine can see them\n"
    "      --mnemonic WORDS     24 words, as one argument; others on this machine can see them\n"
    "      --mnemonic-file FILE a file that holds them\n"
    "\n"
    "sound:\n"
    "      --play FILE.wav      send this (16 bit PCM, mono or stereo, any rate), then silence\n"
    "      --tone HZ            send a sine\n"
    "      --echo               send back what arrives\n"
    "      --record FILE.wav    write what arrives (48 kHz mono, from the moment media is up)\n"
    "      --codec NAME         what to send (default opus24k):"
    "\n"
    "                           good, degraded, catastrophic, studio-32k, studio-48k, studio-64k, codec2-1200,\n"
    "                           codec2-3200, opus6k, opus16k, opus24k, opus32k, opus48k, opus64k, or auto: the best\n"
    "                           that reports and the relay allow\n"
    "      --adaptive MODE      what may lower the codec during a call: off (default), nothing; on (with auto), loss\n"
    "                           and congestion; reference, a distant relay too\n"
    "      --suppress-silence   send comfort noise for silent stretches\n"
    "      --quiet              send nothing, instead of silence, when none of these says what\n"
    "\n"
    "measuring (call, answer, room):\n"
    "      --echo-test S        send sweeps for S seconds to a peer that sends them back (--echo), hang up, and tell\n"
    "                           round trip, loss and likeness\n"
    "      --drift-test S       listen for S seconds, hang up, and tell how fast the sender's clock runs beside ours\n"
    "\n"
    "call:\n"
    "      --number N           number that a gateway shall dial for us\n"
    "      --hide-addresses     tell the callee none of our addresses\n"
    "answer:\n"
    "      --accept MODE        generic: our addresses stay private (default); trusted: reveal them; reject\n"
    "      --ring-delay S       answer after S seconds\n"
    "      --keep               wait for the next call after one has ended\n"
    "room:\n"
    "      --peer-direct-addr A:P  the only other participant may be reached here, past the relay; both sides\n"
    "                           must name each other\n"
    "analyze:\n"
    "      --capture FILE       write every datagram and its time to a file\n"
    "      --replay FILE        read such a file instead of joining a room\n"
    "identity:\n"
    "      --show-mnemonic      print the 24 words of our seed too\n"
    "\n"
    "  -V, --version            print our own version\n"
    "  -h, --help               this text\n"
    "\n"
    "Control-C hangs up and leaves properly; a second one ends at once.\n"
    "\n"
    "Exit status: 0 the call was held, or what was asked for was done; 1 failure, relay not reachable, NAT unknown,\n"
    "nothing to measure came; 2 wrong arguments; 3 no answer, or the callee is not registered; 4 busy; 5 rejected;\n"
    "6 the call broke: no media path, media or relay lost.\n";

static const struct {
    const char *name;
    enum client_command command;
    const char *argument; /**< what it needs, or NULL */
} commands[] = {
    { "register", CLIENT_REGISTER, NULL }, { "call", CLIENT_CALL, "FINGERPRINT" }, { "answer", CLIENT_ANSWER, NULL },
    { "room", CLIENT_JOIN, "NAME" },       { "reflect", CLIENT_REFLECT, NULL },    { "ping", CLIENT_PING, NULL },
    { "version", CLIENT_VERSION, NULL },   { "identity", CLIENT_IDENTITY, NULL },  { "nat", CLIENT_NAT, NULL },
    { "analyze", CLIENT_ANALYZE, "ROOM" },
};

static int usage_error(const char *what, const char *value, const char *expected)
{
    fprintf(stderr, "wzp-client: %s %s: expected %s (try --help)\n", what, value, expected);
    return -EINVAL;
}

static int parse_number(const char *option, const char *text, double least, double most, const char *expected,
                        double *ret)
{
    char *end;
    errno = 0;
    const double value = strtod(text, &end);
    if (errno || end == text || *end || !(value >= least && value <= most)) /* NaN fails too */
        return usage_error(option, text, expected);
    *ret = value;
    return 0;
}

static int parse_accept(const char *text, enum wzp_accept_mode *ret)
{
    if (strcmp(text, "generic") == 0)
        *ret = WZP_ACCEPT_GENERIC;
    else if (strcmp(text, "trusted") == 0)
        *ret = WZP_ACCEPT_TRUSTED;
    else if (strcmp(text, "reject") == 0)
        *ret = WZP_ACCEPT_REJECT;
    else
        return usage_error("--accept", text, "trusted, generic or reject");
    return 0;
}

static int parse_adaptive(const char *text, enum client_adaptive *ret)
{
    if (strcmp(text, "off") == 0)
        *ret = CLIENT_ADAPTIVE_OFF;
    else if (strcmp(text, "on") == 0)
        *ret = CLIENT_ADAPTIVE_ON;
    else if (strcmp(text, "reference") == 0)
        *ret = CLIENT_ADAPTIVE_REFERENCE;
    else
        return usage_error("--adaptive", text, "off, on or reference");
    return 0;
}

enum {
    OPT_RELAY = 256,
    OPT_SEED_FILE,
    OPT_ALIAS,
    OPT_JSON,
    OPT_DURATION,
    OPT_STUN,
    OPT_PLAY,
    OPT_TONE,
    OPT_ECHO,
    OPT_RECORD,
    OPT_CODEC,
    OPT_NUMBER,
    OPT_HIDE,
    OPT_ACCEPT,
    OPT_RING_DELAY,
    OPT_KEEP,
    OPT_SEED,
    OPT_MNEMONIC,
    OPT_MNEMONIC_FILE,
    OPT_SHOW_MNEMONIC,
    OPT_NO_DIRECT,
    OPT_STRICT,
    OPT_PIN_FILE,
    OPT_PEER_DIRECT,
    OPT_PORT,
    OPT_QUIET,
    OPT_SUPPRESS_SILENCE,
    OPT_ADAPTIVE,
    OPT_CAPTURE,
    OPT_REPLAY,
    OPT_ECHO_TEST,
    OPT_DRIFT_TEST,
};

static const struct option long_options[] = {
    { "relay", required_argument, NULL, OPT_RELAY },
    { "seed-file", required_argument, NULL, OPT_SEED_FILE },
    { "alias", required_argument, NULL, OPT_ALIAS },
    { "json", no_argument, NULL, OPT_JSON },
    { "duration", required_argument, NULL, OPT_DURATION },
    { "stun", required_argument, NULL, OPT_STUN },
    { "play", required_argument, NULL, OPT_PLAY },
    { "tone", required_argument, NULL, OPT_TONE },
    { "echo", no_argument, NULL, OPT_ECHO },
    { "record", required_argument, NULL, OPT_RECORD },
    { "codec", required_argument, NULL, OPT_CODEC },
    { "number", required_argument, NULL, OPT_NUMBER },
    { "hide-addresses", no_argument, NULL, OPT_HIDE },
    { "accept", required_argument, NULL, OPT_ACCEPT },
    { "ring-delay", required_argument, NULL, OPT_RING_DELAY },
    { "keep", no_argument, NULL, OPT_KEEP },
    { "seed", required_argument, NULL, OPT_SEED },
    { "mnemonic", required_argument, NULL, OPT_MNEMONIC },
    { "mnemonic-file", required_argument, NULL, OPT_MNEMONIC_FILE },
    { "show-mnemonic", no_argument, NULL, OPT_SHOW_MNEMONIC },
    { "no-direct", no_argument, NULL, OPT_NO_DIRECT },
    { "strict", no_argument, NULL, OPT_STRICT },
    { "pin-file", required_argument, NULL, OPT_PIN_FILE },
    { "peer-direct-addr", required_argument, NULL, OPT_PEER_DIRECT },
    { "port", required_argument, NULL, OPT_PORT },
    { "quiet", no_argument, NULL, OPT_QUIET },
    { "suppress-silence", no_argument, NULL, OPT_SUPPRESS_SILENCE },
    { "adaptive", required_argument, NULL, OPT_ADAPTIVE },
    { "capture", required_argument, NULL, OPT_CAPTURE },
    { "replay", required_argument, NULL, OPT_REPLAY },
    { "echo-test", required_argument, NULL, OPT_ECHO_TEST },
    { "drift-test", required_argument, NULL, OPT_DRIFT_TEST },
    { "version", no_argument, NULL, 'V' },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};

static int parse_port(const char *text, uint16_t *ret)
{
    double port = 0;
    if (parse_number("--port", text, 1, UINT16_MAX, "1..65535", &port) < 0)
        return -EINVAL;
    *ret = (uint16_t)port;
    return (double)*ret == port ? 0 : usage_error("--port", text, "a whole number");
}

static int take_stun(struct client_options *ret)
{
    if (ret->stun_count == CLIENT_STUN_MAX)
        return usage_error("--stun", optarg, "at most 4 servers");
    ret->stun[ret->stun_count++] = optarg;
    return 0;
}

static int take_relay(struct client_options *ret)
{
    if (ret->relay_count == CLIENT_RELAYS_MAX)
        return usage_error("--relay", optarg, "at most 8 relays");
    if (ret->relay_count == 0)
        ret->relay = optarg;
    ret->relays[ret->relay_count++] = optarg;
    return 0;
}

/** Options that only keep their argument; NULL: not one of them. */
static const char **text_option(int option, struct client_options *ret)
{
    switch (option) {
    case OPT_SEED_FILE:
        return &ret->seed_file;
    case OPT_SEED:
        return &ret->seed_hex;
    case OPT_MNEMONIC:
        return &ret->mnemonic;
    case OPT_MNEMONIC_FILE:
        return &ret->mnemonic_file;
    case OPT_PIN_FILE:
        return &ret->pin_file;
    case OPT_PEER_DIRECT:
        return &ret->peer_direct_addr;
    case OPT_ALIAS:
        return &ret->alias;
    case OPT_PLAY:
        return &ret->play;
    case OPT_RECORD:
        return &ret->record;
    case OPT_NUMBER:
        return &ret->number;
    case OPT_CAPTURE:
        return &ret->capture;
    case OPT_REPLAY:
        return &ret->replay;
    default:
        return NULL;
    }
}

/** Options that switch something on; NULL: not one of them. */
static bool *switch_option(int option, struct client_options *ret)
{
    switch (option) {
    case OPT_JSON:
        return &ret->json;
    case OPT_ECHO:
        return &ret->echo;
    case OPT_HIDE:
        return &ret->hide_addresses;
    case OPT_KEEP:
        return &ret->keep;
    case OPT_NO_DIRECT:
        return &ret->no_direct;
    case OPT_STRICT:
        return &ret->strict;
    case OPT_SHOW_MNEMONIC:
        return &ret->show_mnemonic;
    case OPT_QUIET:
        return &ret->quiet;
    case OPT_SUPPRESS_SILENCE:
        return &ret->suppress_silence;
    default:
        return NULL;
    }
}

static void print_version(void)
{
    char features[128];
    client_audio_features(features, sizeof features);
    printf("wzp-client " WZP_VERSION " (%s)\n", features);
}

/** What the arguments said, where a default depends on it. */
struct given {
    bool codec_auto, adaptive;
};

static int take_option(int option, struct client_options *ret, struct given *given)
{
    const char **text = text_option(option, ret);
    bool *on = switch_option(option, ret);
    if (text)
        *text = optarg;
    if (on)
        *on = true;
    if (text || on)
        return 0;
    switch (option) {
    case OPT_DURATION:
        return parse_number("--duration", optarg, 0, SECONDS_MAX, "seconds", &ret->duration_s);
    case OPT_RING_DELAY:
        return parse_number("--ring-delay", optarg, 0, SECONDS_MAX, "seconds", &ret->ring_delay_s);
    case OPT_TONE:
        return parse_number("--tone", optarg, 20, 20000, "20..20000 Hz", &ret->tone_hz);
    case OPT_ECHO_TEST:
        return parse_number("--echo-test", optarg, 1, CLIENT_ECHO_TEST_MAX_S, "1..600 seconds", &ret->echo_test_s);
    case OPT_DRIFT_TEST:
        return parse_number("--drift-test", optarg, 1, SECONDS_MAX, "seconds, at least 1", &ret->drift_test_s);
    case OPT_PORT:
        return parse_port(optarg, &ret->port);
    case OPT_RELAY:
        return take_relay(ret);
    case OPT_STUN:
        return take_stun(ret);
    case OPT_CODEC:
        return client_codec_parse(optarg, &ret->codec, &given->codec_auto) < 0
                   ? usage_error("--codec", optarg, CLIENT_CODEC_NAMES)
                   : 0;
    case OPT_ADAPTIVE:
        given->adaptive = true;
        return parse_adaptive(optarg, &ret->adaptive);
    case OPT_ACCEPT:
        return parse_accept(optarg, &ret->accept);
    case 'V':
        print_version();
        return 1;
    case 'h':
        fputs(help_text, stdout);
        return 1;
    default:
        fputs("try wzp-client --help\n", stderr); /* getopt has named the option */
        return -EINVAL;
    }
}

static int take_command(int argc, char **argv, struct client_options *ret)
{
    if (optind >= argc) {
        fputs("wzp-client: no command (try --help)\n", stderr);
        return -EINVAL;
    }
    const char *name = argv[optind++];
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i].name) != 0)
            continue;
        ret->command = commands[i].command;
        const bool is_optional = ret->command == CLIENT_ANALYZE && ret->replay;
        if (commands[i].argument && optind >= argc && !is_optional)
            return usage_error("command", name, commands[i].argument);
        if (commands[i].argument && optind < argc)
            ret->target = argv[optind++];
        if (optind < argc)
            return usage_error("argument", argv[optind], "nothing more");
        return 0;
    }
    return usage_error("command", name,
                       "register, call, answer, room, reflect, ping, version, identity, nat or analyze");
}

static bool has_media(enum client_command command)
{
    return command == CLIENT_CALL || command == CLIENT_ANSWER || command == CLIENT_JOIN;
}

/** Of the options that belong to some commands only. */
static int check_measuring(const struct client_options *options)
{
    const enum client_command command = options->command;
    if (command == CLIENT_NAT && options->relay_count + options->stun_count == 0)
        return usage_error("command", "nat", "at least one --relay or --stun");
    if (command != CLIENT_NAT && options->relay_count > 1)
        return usage_error("--relay", options->relays[1], "one relay");
    if (command == CLIENT_ANALYZE && options->replay && (options->target || options->capture))
        return usage_error("--replay", options->replay, "neither a room nor --capture");
    if (command != CLIENT_ANALYZE && (options->capture || options->replay))
        return usage_error("option", options->capture ? "--capture" : "--replay", "the command analyze");
    if ((options->echo_test_s > 0 || options->drift_test_s > 0) && !has_media(command))
        return usage_error("option", options->echo_test_s > 0 ? "--echo-test" : "--drift-test",
                           "the command call, answer or room");
    return 0;
}

static int check_together(const struct client_options *options)
{
    char fingerprint[WZP_FINGERPRINT_TEXT];
    struct wz_addr peer;
    if ((options->seed_file != NULL) + (options->seed_hex != NULL) + (options->mnemonic != NULL) +
            (options->mnemonic_file != NULL) >
        1) {
        fputs("wzp-client: only one of --seed-file, --seed, --mnemonic and --mnemonic-file (try --help)\n", stderr);
        return -EINVAL;
    }
    if (options->peer_direct_addr && (wz_addr_parse(options->peer_direct_addr, &peer) < 0 || peer.port == 0))
        return usage_error("--peer-direct-addr", options->peer_direct_addr, "an address and port, A.B.C.D:P or [V6]:P");
    if ((options->play != NULL) + (options->tone_hz > 0) + options->echo + (options->echo_test_s > 0) > 1) {
        fputs("wzp-client: only one of --play, --tone, --echo and --echo-test (try --help)\n", stderr);
        return -EINVAL;
    }
    if (options->command == CLIENT_CALL && wzp_fingerprint_normalise(options->target, fingerprint) < 0)
        return usage_error("call", options->target, "a fingerprint of 32 hex digits");
    return check_measuring(options);
}

/** "auto" adapts unless told how; a named codec is kept unless told otherwise. */
static int settle_adaptive(struct client_options *options, const struct given *given)
{
    if (!given->codec_auto)
        return 0;
    if (!given->adaptive)
        options->adaptive = CLIENT_ADAPTIVE_ON;
    return options->adaptive == CLIENT_ADAPTIVE_OFF
               ? usage_error("--adaptive", "off", "on or reference, since the codec is auto")
               : 0;
}

int client_options_parse(int argc, char **argv, struct client_options *ret)
{
    struct client_options options = {
        .relay = DEFAULT_RELAY,
        .accept = WZP_ACCEPT_GENERIC,
        .codec = WZP_CODEC_OPUS_24K,
    };
    struct given given = { 0 };
    int option;
    while ((option = getopt_long(argc, argv, "Vh", long_options, NULL)) != -1) {
        const int err = take_option(option, &options, &given);
        if (err)
            return err;
    }
    int err = settle_adaptive(&options, &given);
    if (!err)
        err = take_command(argc, argv, &options);
    if (!err)
        err = check_together(&options);
    if (err)
        return err;
    *ret = options;
    return 0;
}
