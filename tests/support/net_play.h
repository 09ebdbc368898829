/* Random calls between clients of all kinds behind random NATs, with loss, cut paths, rebinding NATs, dying relays and
 * clients; then a healthy network, on which everybody must come to agree; then everybody hangs up, and nothing may be left.
 * What is checked at every moment stands in client_net.h. */
#ifndef TESTS_SUPPORT_NET_PLAY_H
#define TESTS_SUPPORT_NET_PLAY_H

#include <stdbool.h>
#include <stdint.h>

struct net_play_options {
    bool mixed;   /**< reference clients of both generations among ours */
    bool verbose; /**< print what is done and what comes of it */
};

/** What a run came to, so that a test can see that it was not idle. */
struct net_play_result {
    uint64_t trace; /**< the same for the same seed */
    uint64_t calls, up, direct, lost_direct, heard;
};

/** Play the seed; fails the test when anything does not hold. */
void net_play(uint64_t seed, const struct net_play_options *options, struct net_play_result *ret);

/**
 * A test program of it: seeds first..first+count-1, or with an argument that one alone, told at length. Fails also when the
 * same seed gives another trace, or when hardly any call came up or went direct.
 */
int net_play_main(int argc, char **argv, const char *name, const struct net_play_options *options, uint64_t first,
                  uint64_t count);

#endif
