/* Random calls between our own clients (tests/support/net_play.h). Rerun one seed: test_random_calls SEED */
#include "tests/support/net_play.h"

int main(int argc, char **argv)
{
    static const struct net_play_options options = { .mixed = false };
    return net_play_main(argc, argv, "test_random_calls", &options, 1, 400);
}
