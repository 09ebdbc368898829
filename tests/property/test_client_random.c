/* Clients and relay under random events. What must hold: a call is announced before anything else about it,
 * ends exactly once, and nothing is told of it afterwards (checked by client_net on every event); when
 * everybody has hung up, no call is left in any client or in the relay. On failure the seed is printed; rerun
 * with: test_client_random SEED */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/client_net.h"

#define CLIENTS 4
#define STEPS   120
#define SEEDS   150

static uint64_t first_seed = 1, seeds = SEEDS, present_seed;

static struct net_call *any_call(struct client_net *net, struct net_client *client)
{
    /* Mostly a recent one: old ones are over. Those are tried too. */
    if (!client->call_count)
        return NULL;
    const size_t recent = client->call_count < 8 ? client->call_count : 8;
    return client->call[client->call_count - 1 - test_rng_below(&net->v.random, recent)];
}

static void relay_flaps(struct client_net *net)
{
    if (net->relay)
        net_relay_down(net);
    else
        net_relay_up(net, NULL);
}

/** A message that no honest relay would send now: about any call, in any state. */
static void say_nonsense(struct client_net *net, struct net_client *client)
{
    static const char *const formats[] = {
        "{\"Hangup\":{\"reason\":\"Normal\"}}",
        "{\"CallRinging\":{\"call_id\":\"%s\"}}",
        "{\"DirectCallAnswer\":{\"call_id\":\"%s\",\"accept_mode\":\"AcceptGeneric\"}}",
        "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"call-%s\",\"relay_addr\":\"198.51.100.200:1\"}}",
        "{\"MediaPathReport\":{\"call_id\":\"%s\",\"direct_ok\":true}}",
        "{\"RoomUpdate\":{\"count\":1,\"participants\":[]}}",
        "{\"RegisterPresenceAck\":{\"success\":false}}",
    };
    const struct net_call *call = any_call(net, client);
    const char *id = call ? call->call_id : "none";
    char text[512];
    const size_t pick = test_rng_below(&net->v.random, sizeof formats / sizeof formats[0]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const int len = snprintf(text, sizeof text, formats[pick], id, id);
#pragma GCC diagnostic pop
    const uint64_t conn = 1 + test_rng_below(&net->v.random, 40); /* one of its connections, or none */
    wzp_client_message(client->client, conn, wz_bytes(text, (size_t)len), net->v.now_us);
}

static void act(struct client_net *net)
{
    struct net_client *client = &net->client[test_rng_below(&net->v.random, CLIENTS)];
    struct net_client *other = &net->client[test_rng_below(&net->v.random, CLIENTS)];
    struct net_call *call = any_call(net, client);
    switch (test_rng_below(&net->v.random, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        (void)net_dial(net, client, other, test_rng_below(&net->v.random, 2)); /* may be refused: that is the point */
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        if (call)
            net_answer(net, client, call, (enum wzp_accept_mode)test_rng_below(&net->v.random, 3));
        break;
    case 8:
    case 9:
        if (call)
            net_hangup(net, client, call, (enum wzp_hangup_reason)test_rng_below(&net->v.random, 5));
        break;
    case 10:
    case 11:
        if (call)
            net_send_media(net, client, call);
        break;
    case 12:
        say_nonsense(net, client);
        break;
    case 13:
        if (test_rng_below(&net->v.random, 10) == 0)
            relay_flaps(net);
        break;
    case 14:
        (void)wzp_client_reflect(client->client, net->v.now_us);
        break;
    default:
        (void)wzp_client_ping(client->client, net->v.now_us);
        break;
    }
}

static void everybody_hangs_up(struct client_net *net)
{
    for (size_t i = 0; i < CLIENTS; i++)
        for (size_t k = 0; k < net->client[i].call_count; k++)
            if (!net->client[i].call[k]->ended)
                net_hangup(net, &net->client[i], net->client[i].call[k], WZP_HANGUP_NORMAL);
}

static void check_nothing_is_left(struct client_net *net)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(wzp_client_stats(net->client[i].client)->calls, 0);
        for (size_t k = 0; k < net->client[i].call_count; k++)
            assert_true(net->client[i].call[k]->ended);
    }
    if (net->relay)
        assert_int_equal(wzp_relay_stats(net->relay)->calls, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_true(vquic_open_ends(net->client[i].endpoint) <= 1); /* signal connections only */
}

static void one_seed(uint64_t seed)
{
    struct client_net *net = net_new(seed);
    net_relay_up(net, NULL);
    net->v.jitter_ms = (unsigned)(10 + test_rng_below(&net->v.random, 500));
    for (size_t i = 0; i < CLIENTS; i++)
        (void)net_add_client(net, test_rng_below(&net->v.random, 2));
    for (size_t i = 0; i < STEPS; i++) {
        act(net);
        net_run_ms(net, test_rng_below(&net->v.random, 10) ? test_rng_below(&net->v.random, 400)
                                                           : test_rng_below(&net->v.random, 20000));
    }
    everybody_hangs_up(net);
    net_run_ms(net, 400000);
    everybody_hangs_up(net); /* offers that were still on their way */
    net_run_ms(net, 400000);
    check_nothing_is_left(net);
    net_free(net);
}

static void no_call_leaks_or_ends_twice_whatever_happens(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        present_seed = seed;
        one_seed(seed);
    }
    present_seed = 0;
}

static int print_seed(void **state)
{
    (void)state;
    if (present_seed)
        printf("failed with seed %llu; rerun: test_client_random %llu\n", (unsigned long long)present_seed,
               (unsigned long long)present_seed);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(no_call_leaks_or_ends_twice_whatever_happens, print_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
