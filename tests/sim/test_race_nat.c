/* The race between our own clients behind every pair of NATs, in virtual time: who gets through directly and how fast, who
 * is carried by the relay, and what happens to a call when its path changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_net.h"

#define MS                1000u
#define DIRECT_WITHIN_US  (500u * MS)
#define RELAY_WITHIN_US   (2500u * MS)
#define BACK_WITHIN_US    (2000u * MS)
#define MEDIA_EVERY_MS    20
#define DELAY_SHORTEST_MS 5 /**< one way to the middle: round trips are 20 to 80 ms */
#define DELAY_LONGEST_MS  20
#define SEEDS_PER_PAIR    6

struct stage {
    struct client_net *net;
    struct net_client *alice, *bob;
    struct net_call *a, *b;
};

static unsigned any_delay_ms(struct client_net *net)
{
    return (unsigned)(DELAY_SHORTEST_MS + test_rng_below(&net->v.random, DELAY_LONGEST_MS - DELAY_SHORTEST_MS + 1));
}

static struct stage stage_new(uint64_t seed, const struct net_client_options *alice,
                              const struct net_client_options *bob)
{
    struct stage s = { .net = net_new(seed) };
    struct net_client_options a = *alice, b = *bob;
    s.net->media_every_ms = MEDIA_EVERY_MS;
    a.delay_ms = any_delay_ms(s.net);
    b.delay_ms = any_delay_ms(s.net);
    net_relay_up(s.net, NULL);
    s.alice = net_add(s.net, &a);
    s.bob = net_add(s.net, &b);
    net_register_all(s.net);
    return s;
}

static void ring(struct stage *s)
{
    assert_int_equal(net_dial(s->net, s->alice, s->bob, false), 0);
    net_run_ms(s->net, 3000);
    s->a = net_last_call(s->alice);
    s->b = net_last_call(s->bob);
    assert_non_null(s->b);
}

static void talk(struct stage *s, uint64_t for_ms)
{
    ring(s);
    net_answer(s->net, s->bob, s->b, WZP_ACCEPT_TRUSTED);
    net_run_ms(s->net, for_ms);
}

/** Media came to both in the last tenth of a second. */
static void assert_both_hear(const struct stage *s)
{
    const uint64_t soon_us = 100 * MS + 2 * MEDIA_EVERY_MS * MS;
    assert_true(s->a->heard_us + soon_us > s->net->v.now_us);
    assert_true(s->b->heard_us + soon_us > s->net->v.now_us);
}

static void assert_direct(const struct stage *s)
{
    assert_true(net_call_is_direct(s->a));
    assert_true(net_call_is_direct(s->b));
    assert_true(net_agree(s->a, s->b));
}

static void assert_relayed(const struct stage *s)
{
    assert_true(s->a->up);
    assert_true(s->b->up);
    assert_false(net_call_is_direct(s->a));
    assert_false(net_call_is_direct(s->b));
}

static void assert_direct_in_time(const struct stage *s)
{
    assert_direct(s);
    assert_true(s->a->direct_us <= s->a->setup_us + DIRECT_WITHIN_US);
    assert_true(s->b->direct_us <= s->b->setup_us + DIRECT_WITHIN_US);
}

static void assert_relayed_in_time(const struct stage *s)
{
    assert_relayed(s);
    assert_true(s->a->up_us <= s->a->setup_us + RELAY_WITHIN_US);
    assert_true(s->b->up_us <= s->b->setup_us + RELAY_WITHIN_US);
}

static void hang_up_and_end(struct stage *s)
{
    if (!s->a->ended)
        net_hangup(s->net, s->alice, s->a, WZP_HANGUP_NORMAL);
    net_run_ms(s->net, 40000);
    assert_true(s->a->ended);
    assert_true(s->b->ended);
    if (s->net->relay)
        assert_int_equal(wzp_relay_stats(s->net->relay)->calls, 0);
    net_free(s->net);
}

/** Simultaneous open works unless a NAT that gives each destination its own port meets one that lets in known ports only. */
static bool can_be_direct(enum vnet_nat_kind a, enum vnet_nat_kind b)
{
    const bool a_is_picky = a == VNET_CONE || a == VNET_SYMMETRIC;
    const bool b_is_picky = b == VNET_CONE || b == VNET_SYMMETRIC;
    return !(a == VNET_SYMMETRIC && b_is_picky) && !(b == VNET_SYMMETRIC && a_is_picky);
}

static void pair_of_nats(enum vnet_nat_kind alice, enum vnet_nat_kind bob, bool stun)
{
    for (uint64_t seed = 1; seed <= SEEDS_PER_PAIR; seed++) {
        struct stage s =
            stage_new(seed, &(struct net_client_options){ .nat = alice, .stun = stun, .share_local_addrs = seed % 2 },
                      &(struct net_client_options){ .nat = bob, .stun = stun, .share_local_addrs = seed % 3 != 0 });
        talk(&s, 6000);
        if (can_be_direct(alice, bob))
            assert_direct_in_time(&s);
        else
            assert_relayed_in_time(&s);
        assert_both_hear(&s);
        hang_up_and_end(&s);
    }
}

static const enum vnet_nat_kind nats[] = { VNET_OPEN, VNET_FULL_CONE, VNET_CONE, VNET_SYMMETRIC };
#define NATS (sizeof nats / sizeof nats[0])

static void every_pair_of_nats_goes_direct_in_500_ms_where_simultaneous_open_can_work_else_relay_in_2500_ms(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < NATS; i++)
        for (size_t k = 0; k < NATS; k++)
            pair_of_nats(nats[i], nats[k], false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            every_pair_of_nats_goes_direct_in_500_ms_where_simultaneous_open_can_work_else_relay_in_2500_ms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
