/* Random calls between our clients and the reference's of both generations (tests/support/net_play.h). Rerun one seed:
 * test_random_calls_mixed SEED */
#include "tests/support/net_play.h"

int main(int argc, char **argv)
{
    static const struct net_play_options options = { .mixed = true };
    return net_play_main(argc, argv, "test_random_calls_mixed", &options, 1001, 600);
}
