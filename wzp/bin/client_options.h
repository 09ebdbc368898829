/* The arguments of wzp-client. */
#ifndef WZP_BIN_CLIENT_OPTIONS_H
#define WZP_BIN_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/core/media.h"
#include "wzp/core/signal.h"

#define CLIENT_STUN_MAX   4
#define CLIENT_RELAYS_MAX 8
/** Longest echo test: what is sent lies in memory. */
#define CLIENT_ECHO_TEST_MAX_S 600

/** Exit codes, as printed by --help. */
enum client_exit {
    CLIENT_EXIT_OK = 0,
    CLIENT_EXIT_FAILURE = 1,
    CLIENT_EXIT_USAGE = 2,
    CLIENT_EXIT_NO_ANSWER = 3,
    CLIENT_EXIT_BUSY = 4,
    CLIENT_EXIT_REJECTED = 5,
    CLIENT_EXIT_BROKEN = 6,
};

enum client_command {
    CLIENT_REGISTER,
    CLIENT_CALL,
    CLIENT_ANSWER,
    CLIENT_JOIN,
    CLIENT_REFLECT,
    CLIENT_PING,
    CLIENT_VERSION,
    CLIENT_IDENTITY,
    CLIENT_NAT,
    CLIENT_ANALYZE,
};

/** What may lower the codec during a call. */
enum client_adaptive {
    CLIENT_ADAPTIVE_OFF,       /**< nothing */
    CLIENT_ADAPTIVE_ON,        /**< loss, congestion, and what a relay directs because of them */
    CLIENT_ADAPTIVE_REFERENCE, /**< the reference's rule, where distance counts too */
};

/** Texts are borrowed from argv. */
struct client_options {
    enum client_command command;
    const char *target; /**< fingerprint or room; NULL for the other commands, and for analyze with replay */
    const char *relay;  /**< the first one */
    const char *relays[CLIENT_RELAYS_MAX]; /**< those that were named; only nat takes more than one, or none */
    size_t relay_count;
    /** Where our identity comes from: at most one of these; none: ~/.wzp/client-seed. */
    const char *seed_file, *seed_hex, *mnemonic, *mnemonic_file;
    const char *pin_file;         /**< NULL: ~/.wzp/relay-pins */
    const char *peer_direct_addr; /**< room: NULL: none */
    const char *alias, *number, *play, *record;
    const char *stun[CLIENT_STUN_MAX];
    size_t stun_count;
    const char *capture, *replay; /**< analyze: the file to write, the file to read instead of joining */
    bool json, echo, hide_addresses, keep, no_direct, strict, show_mnemonic;
    uint16_t port;     /**< our UDP port; 0: any */
    double tone_hz;    /**< 0: none */
    double duration_s; /**< 0: without end */
    double ring_delay_s;
    double echo_test_s, drift_test_s; /**< 0: not wanted */
    enum wzp_accept_mode accept;
    enum wzp_codec codec;
    enum client_adaptive adaptive; /**< other than OFF: codec is the best one to use */
    bool quiet, suppress_silence;
};

/** 0; 1: printed what was asked for, nothing to do; -EINVAL: said on standard error what is wrong. */
int client_options_parse(int argc, char **argv, struct client_options *ret);

#endif
