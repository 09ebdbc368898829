/* The race between one of ours and the reference's client (its model, tests/support/net_reference.h), behind every ordered
 * pair of NATs, in either role, whoever calls. Prints the table that docs/interop.md holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>

#include <cmocka.h>

#include "tests/support/client_net.h"

#define MS             1000u
#define MEDIA_EVERY_MS 20
#define LOW_IP         "203.0.113.10" /**< the smaller text: its side accepts */
#define HIGH_IP        "203.0.113.20"

static const enum vnet_nat_kind nats[] = { VNET_OPEN, VNET_FULL_CONE, VNET_CONE, VNET_SYMMETRIC };
#define NATS (sizeof nats / sizeof nats[0])

struct pairing {
    enum vnet_nat_kind ours, theirs;
    bool we_dial, we_call;
    enum net_kind peer;
    bool stun, v6;
};

struct stage {
    struct client_net *net;
    struct net_client *us, *peer;
    struct net_call *mine, *theirs;
};

static struct stage talk(const struct pairing *pairing, uint64_t seed, unsigned loss_permille)
{
    struct stage s = { .net = net_new(seed) };
    s.net->media_every_ms = MEDIA_EVERY_MS;
    net_relay_up(s.net, NULL);
    s.us = net_add(s.net, &(struct net_client_options){ .nat = pairing->ours,
                                                        .public_ip = pairing->we_dial ? HIGH_IP : LOW_IP,
                                                        .share_local_addrs = true,
                                                        .v6 = pairing->v6 ? "2001:db8:1::5" : NULL,
                                                        .stun = pairing->stun });
    s.peer = net_add(s.net, &(struct net_client_options){ .kind = pairing->peer,
                                                          .nat = pairing->theirs,
                                                          .v6 = pairing->v6 ? "2001:db8:2::9" : NULL,
                                                          .public_ip = pairing->we_dial ? LOW_IP : HIGH_IP });
    net_register_all(s.net);
    s.net->v.loss_permille = loss_permille;
    struct net_client *caller = pairing->we_call ? s.us : s.peer, *callee = pairing->we_call ? s.peer : s.us;
    assert_int_equal(net_dial(s.net, caller, callee, false), 0);
    net_run_ms(s.net, 4000);
    s.mine = net_last_call(s.us);
    s.theirs = net_last_call(s.peer);
    assert_non_null(net_last_call(callee));
    net_answer(s.net, callee, net_last_call(callee), WZP_ACCEPT_TRUSTED);
    net_run_ms(s.net, 12000);
    return s;
}

/** Both on the same path, and heard by each other. */
static void assert_talking(const struct stage *s)
{
    assert_true(s->mine->up);
    assert_true(s->theirs->up);
    assert_true(net_agree(s->mine, s->theirs));
    assert_true(s->mine->heard_us + 200 * MS > s->net->v.now_us);
    assert_true(s->theirs->heard_us + 200 * MS > s->net->v.now_us);
}

static void hang_up_and_end(struct stage *s, bool we_hang_up)
{
    net_hangup(s->net, we_hang_up ? s->us : s->peer, we_hang_up ? s->mine : s->theirs, WZP_HANGUP_NORMAL);
    net_run_ms(s->net, 12000);
    assert_true(s->mine->ended);
    assert_true(s->theirs->ended);
    assert_int_equal(wzp_relay_stats(s->net->relay)->calls, 0);
    net_free(s->net);
}

/** The dialler's packets must get in. The reference says nothing when it accepts; ours knocks at the addresses it was told,
 *  which opens a NAT for packets from just there. */
static bool can_be_direct(const struct pairing *pairing)
{
    const enum vnet_nat_kind acceptor = pairing->we_dial ? pairing->theirs : pairing->ours;
    const bool knocks_help = !pairing->we_dial && pairing->ours == VNET_CONE && pairing->theirs != VNET_SYMMETRIC;
    return acceptor == VNET_OPEN || acceptor == VNET_FULL_CONE || knocks_help;
}

static void print_row(const struct pairing *pairing, const struct stage *s)
{
    print_message("| %-9s | %-13s | %-8s | %-6s | %14u |\n", vnet_nat_name(pairing->ours),
                  vnet_nat_name(pairing->theirs), pairing->we_dial ? "dials" : "accepts",
                  net_call_is_direct(s->mine) ? "direct" : "relay",
                  (unsigned)((s->mine->up_us - s->mine->setup_us) / MS));
}

static void one_pairing(const struct pairing *pairing)
{
    struct stage s = talk(pairing, 1, 0);
    if (pairing->we_call) /* who calls makes no difference */
        print_row(pairing, &s);
    assert_talking(&s);
    assert_int_equal(net_call_is_direct(s.mine), can_be_direct(pairing));
    hang_up_and_end(&s, pairing->we_call);
}

static void race_with_the_reference_goes_direct_where_its_acceptor_can_be_reached_else_relay(void **state)
{
    (void)state;
    print_message("| our NAT   | reference NAT | our role | path   | media after ms |\n");
    print_message("|-----------|---------------|----------|--------|----------------|\n");
    for (unsigned i = 0; i < NATS * NATS * 4; i++)
        one_pairing(&(struct pairing){ .ours = nats[i / 4 / NATS],
                                       .theirs = nats[i / 4 % NATS],
                                       .we_dial = i & 1,
                                       .we_call = i >> 1 & 1,
                                       .peer = NET_REFERENCE });
}

static void symmetric_side_that_knows_it_does_not_race_with_the_reference(void **state)
{
    (void)state;
    for (unsigned i = 0; i < NATS * 4; i++) {
        const struct pairing pairing = { .ours = VNET_SYMMETRIC,
                                         .theirs = nats[i / 4],
                                         .we_dial = i & 1,
                                         .we_call = i >> 1 & 1,
                                         .peer = NET_REFERENCE,
                                         .stun = true };
        struct stage s = talk(&pairing, i + 1, 0);
        assert_talking(&s);
        assert_false(net_call_is_direct(s.mine));
        assert_int_equal(wzp_client_stats(s.us->client)->direct_won, 0);
        hang_up_and_end(&s, i & 1);
    }
}

static void first_generation_talks_over_the_relay_and_is_sent_nothing_that_it_dies_of(void **state)
{
    (void)state;
    for (unsigned i = 0; i < NATS * 4; i++) {
        const struct pairing pairing = {
            .ours = nats[i / 4], .theirs = VNET_OPEN, .we_dial = i & 1, .we_call = i >> 1 & 1, .peer = NET_SEED
        };
        struct stage s = talk(&pairing, i + 1, 0);
        assert_talking(&s);
        assert_false(net_call_is_direct(s.mine));
        assert_int_equal(s.peer->registered, 1);
        hang_up_and_end(&s, i & 1);
    }
}

static void loss_between_us_and_the_reference_still_ends_on_one_path(void **state)
{
    (void)state;
    for (unsigned i = 0; i < NATS * NATS * 4; i++) {
        const struct pairing pairing = { .ours = nats[i / 4 / NATS],
                                         .theirs = nats[i / 4 % NATS],
                                         .we_dial = i & 1,
                                         .we_call = i >> 1 & 1,
                                         .peer = NET_REFERENCE };
        struct stage s = talk(&pairing, i + 1, 100);
        s.net->v.loss_permille = 0;
        net_run_ms(s.net, 1000);
        assert_talking(&s);
        hang_up_and_end(&s, i & 1);
    }
}

/** The reference tells IPv6 addresses, and answers at none of them. */
static void ipv6_addresses_of_the_reference_are_not_dialled(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        const struct pairing pairing = { .ours = VNET_CONE,
                                         .theirs = VNET_OPEN,
                                         .we_dial = i & 1,
                                         .we_call = i >> 1 & 1,
                                         .peer = NET_REFERENCE,
                                         .v6 = true };
        struct stage s = talk(&pairing, i + 1, 0);
        assert_talking(&s);
        assert_int_equal(net_call_is_direct(s.mine), can_be_direct(&pairing));
        assert_int_equal(s.net->v.stats.sent_ipv6, 0);
        hang_up_and_end(&s, i & 1);
    }
}

static struct stage talk_directly(unsigned i)
{
    const struct pairing pairing = {
        .ours = VNET_FULL_CONE, .theirs = VNET_OPEN, .we_dial = i & 1, .we_call = i >> 1 & 1, .peer = NET_REFERENCE
    };
    struct stage s = talk(&pairing, i + 1, 0);
    assert_talking(&s);
    assert_true(net_call_is_direct(s.mine));
    return s;
}

/** It does not look for another path, so we cannot follow it anywhere. */
static void cut_path_to_the_reference_ends_the_call_for_both_as_media_lost(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct stage s = talk_directly(i);
        net_cut(s.net, s.us, s.peer, true);
        net_run_ms(s.net, 5000 + 10000 + 2000); /* silence, and waiting for it in the relay's room */
        assert_true(s.mine->ended);
        assert_int_equal(s.mine->end, WZP_LINE_END_MEDIA_LOST);
        assert_true(s.theirs->ended);
        assert_int_equal(s.theirs->end, WZP_LINE_END_HANGUP);
        hang_up_and_end(&s, true);
    }
}

static void reference_that_was_silent_for_8_s_is_found_again_on_the_direct_path(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct stage s = talk_directly(i);
        net_cut(s.net, s.us, s.peer, true);
        net_run_ms(s.net, 8000);
        assert_false(net_call_is_direct(s.mine));
        net_cut(s.net, s.us, s.peer, false);
        net_run_ms(s.net, 15000);
        assert_talking(&s);
        assert_true(net_call_is_direct(s.mine));
        hang_up_and_end(&s, i & 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(race_with_the_reference_goes_direct_where_its_acceptor_can_be_reached_else_relay),
        cmocka_unit_test(symmetric_side_that_knows_it_does_not_race_with_the_reference),
        cmocka_unit_test(first_generation_talks_over_the_relay_and_is_sent_nothing_that_it_dies_of),
        cmocka_unit_test(ipv6_addresses_of_the_reference_are_not_dialled),
        cmocka_unit_test(cut_path_to_the_reference_ends_the_call_for_both_as_media_lost),
        cmocka_unit_test(reference_that_was_silent_for_8_s_is_found_again_on_the_direct_path),
        cmocka_unit_test(loss_between_us_and_the_reference_still_ends_on_one_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
