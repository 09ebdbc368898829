/* The replay window against a model that remembers everything. A failing run prints its seed; WZP_SEED=<n> repeats it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "wzp/core/session.h"

#define SEED_DEFAULT 20260411u
#define PACKETS      200000u
#define NUMBERS      (PACKETS * 64u)

struct dice {
    uint64_t state;
};

static uint32_t roll(struct dice *d, uint32_t sides)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->state >> 33) % sides;
}

static uint64_t seed_of_run(void)
{
    const char *text = getenv("WZP_SEED");
    return text ? strtoull(text, NULL, 10) : SEED_DEFAULT;
}

static int tell_seed(void **state)
{
    (void)state;
    print_message("seed: WZP_SEED=%llu\n", (unsigned long long)seed_of_run());
    return 0;
}

/** The number of the next packet to arrive: new ones mostly, repeated and old ones, now and then a leap. */
static uint32_t next_number(struct dice *d, uint32_t newest)
{
    switch (roll(d, 20)) {
    case 0:
        return newest + roll(d, 3000);
    case 1:
    case 2:
        return newest - roll(d, newest < 3000 ? newest + 1 : 3000);
    case 3:
    case 4:
    case 5:
        return newest - roll(d, newest < 10 ? newest + 1 : 10);
    default:
        return newest + 1;
    }
}

static void each_packet_within_the_window_is_taken_once_and_no_older_one(void **state)
{
    (void)state;
    struct dice d = { seed_of_run() };
    struct wzp_replay replay = { 0 };
    uint32_t newest = 0;
    bool *seen = calloc(NUMBERS, sizeof *seen); /* by the number that 16 bits of are sent */

    assert_non_null(seen);
    for (unsigned i = 0; i < PACKETS; i++) {
        uint32_t number = next_number(&d, newest);
        if (number >= NUMBERS)
            break;
        bool expected = i == 0 || number > newest || (newest - number < WZP_REPLAY_WINDOW && !seen[number]);
        assert_int_equal(wzp_replay_is_fresh(&replay, (uint16_t)number), expected);
        if (!expected)
            continue;
        wzp_replay_mark(&replay, (uint16_t)number);
        seen[number] = true;
        newest = number > newest ? number : newest;
    }
    assert_true(newest > 100 * UINT16_MAX); /* it went round */
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_packet_within_the_window_is_taken_once_and_no_older_one, tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
