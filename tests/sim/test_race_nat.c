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

/** The signal connection and the path in use: losers and the relay's leg beside a direct path are closed. */
static void assert_nothing_else_is_open(const struct stage *s)
{
    assert_int_equal(vquic_open_ends(s->alice->endpoint), 2);
    assert_int_equal(vquic_open_ends(s->bob->endpoint), 2);
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
        assert_nothing_else_is_open(&s);
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

static void symmetric_side_that_tells_no_address_is_direct_with_open_and_full_cone_peers(void **state)
{
    (void)state;
    for (size_t i = 0; i < NATS; i++) {
        pair_of_nats(nats[i], VNET_SYMMETRIC, true);
        pair_of_nats(VNET_SYMMETRIC, nats[i], true);
    }
    struct stage s = stage_new(1, &(struct net_client_options){ .nat = VNET_SYMMETRIC, .stun = true },
                               &(struct net_client_options){ .nat = VNET_FULL_CONE, .stun = true });
    talk(&s, 2000);
    assert_string_equal(s.b->peer_direct_addr, "");
    assert_direct(&s);
    hang_up_and_end(&s);
}

/* ---- IPv6 ---- */

static struct stage talk_over_ipv6(uint64_t seed, const char *alice_v6, const char *bob_v6, bool firewall)
{
    struct stage s =
        stage_new(seed,
                  &(struct net_client_options){
                      .nat = VNET_SYMMETRIC, .v6 = alice_v6, .firewall = firewall, .share_local_addrs = true },
                  &(struct net_client_options){
                      .nat = VNET_SYMMETRIC, .v6 = bob_v6, .firewall = firewall, .share_local_addrs = true });
    talk(&s, 6000);
    return s;
}

static void ipv6_on_both_sides_goes_direct_through_firewalls_whatever_the_ipv4_nats(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS_PER_PAIR; seed++) {
        struct stage s = talk_over_ipv6(seed, "2001:db8:1::5", "2001:db8:2::9", seed % 2);
        assert_direct_in_time(&s);
        assert_int_equal(s.a->send->remote.family, WZ_ADDR_V6);
        assert_both_hear(&s);
        hang_up_and_end(&s);
    }
}

static void ipv6_on_one_side_only_is_no_path(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS_PER_PAIR; seed++) {
        struct stage s =
            talk_over_ipv6(seed, seed % 2 ? "2001:db8:1::5" : NULL, seed % 2 ? NULL : "2001:db8:2::9", false);
        assert_relayed_in_time(&s);
        assert_both_hear(&s);
        hang_up_and_end(&s);
    }
}

/* ---- loss ---- */

static void ten_percent_loss_still_converges_behind_every_pair_of_nats(void **state)
{
    (void)state;
    for (size_t i = 0; i < NATS * NATS; i++) {
        for (uint64_t seed = 1; seed <= SEEDS_PER_PAIR; seed++) {
            struct stage s = stage_new(seed, &(struct net_client_options){ .nat = nats[i / NATS] },
                                       &(struct net_client_options){ .nat = nats[i % NATS] });
            s.net->v.loss_permille = 100;
            talk(&s, 12000);
            assert_true(s.a->up);
            assert_true(s.b->up);
            assert_true(net_agree(s.a, s.b));
            s.net->v.loss_permille = 0;
            net_run_ms(s.net, 500);
            assert_both_hear(&s);
            hang_up_and_end(&s);
        }
    }
}

/* ---- the path changes in the call ---- */

static struct stage talk_directly(uint64_t seed, enum vnet_nat_kind alice, enum vnet_nat_kind bob)
{
    struct stage s =
        stage_new(seed, &(struct net_client_options){ .nat = alice }, &(struct net_client_options){ .nat = bob });
    talk(&s, 4000);
    assert_direct_in_time(&s);
    return s;
}

static uint64_t offers(const struct stage *s)
{
    return wzp_relay_stats(s->net->relay)->offers_total;
}

static void cut_path_brings_both_back_to_the_relay_in_2_s_without_a_new_offer(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct stage s = talk_directly(seed, nats[seed % 3], nats[seed / 3 % 3]);
        const uint64_t offered = offers(&s);
        const unsigned setups = s.a->setups;
        net_cut(s.net, s.alice, s.bob, true);
        net_run_ms(s.net, BACK_WITHIN_US / MS);
        assert_relayed(&s);
        net_run_ms(s.net, 100);
        assert_both_hear(&s);
        assert_int_equal(offers(&s), offered);
        assert_int_equal(s.a->setups, setups);
        net_run_ms(s.net, 60000); /* and there it stays */
        assert_both_hear(&s);
        hang_up_and_end(&s);
    }
}

static void direct_call_without_media_is_kept_by_its_probes(void **state)
{
    (void)state;
    struct stage s = talk_directly(1, VNET_CONE, VNET_FULL_CONE);
    s.net->media_every_ms = 0;
    net_run_ms(s.net, 120000);
    assert_direct(&s);
    assert_int_equal(s.a->paths, 1);
    assert_int_equal(s.b->paths, 1);
    hang_up_and_end(&s);
}

static void rebinding_nat_interrupts_a_direct_call_for_2_s_at_most(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct stage s = talk_directly(seed, nats[seed % 3], nats[seed / 3 % 3]);
        vnet_nat_reboot(seed % 2 ? s.alice->host->nat : s.bob->host->nat);
        net_run_ms(s.net, BACK_WITHIN_US / MS + 100);
        assert_true(s.a->up);
        assert_true(s.b->up);
        assert_true(net_agree(s.a, s.b));
        assert_both_hear(&s);
        hang_up_and_end(&s);
    }
}

static void rebinding_nat_does_not_end_a_relayed_call(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct stage s = stage_new(seed, &(struct net_client_options){ .nat = VNET_SYMMETRIC },
                                   &(struct net_client_options){ .nat = VNET_CONE });
        talk(&s, 4000);
        assert_relayed_in_time(&s);
        vnet_nat_reboot(s.alice->host->nat);
        net_run_ms(s.net, 60000);
        assert_relayed(&s);
        assert_both_hear(&s);
        hang_up_and_end(&s);
    }
}

/* ---- the relay dies ---- */

static void relay_killed_in_a_direct_call_changes_nothing_and_both_register_again(void **state)
{
    (void)state;
    struct stage s = talk_directly(1, VNET_CONE, VNET_FULL_CONE);
    net_relay_kill(s.net);
    net_run_ms(s.net, 60000); /* they notice after 30 */
    assert_direct(&s);
    assert_both_hear(&s);
    net_relay_up(s.net, NULL);
    net_run_ms(s.net, 45000);
    assert_true(net_is_registered(s.alice));
    assert_true(net_is_registered(s.bob));
    assert_direct(&s);
    assert_both_hear(&s);
    net_hangup(s.net, s.alice, s.a, WZP_HANGUP_NORMAL); /* told to the peer itself: this relay does not know the call */
    net_run_ms(s.net, 200);
    assert_int_equal(s.a->end, WZP_LINE_END_LOCAL);
    assert_true(s.b->ended);
    assert_int_equal(s.b->end, WZP_LINE_END_HANGUP);
    assert_int_equal(s.b->hangup_reason, WZP_HANGUP_NORMAL);
    hang_up_and_end(&s);
}

static struct stage talk_over_relay(uint64_t seed)
{
    struct stage s = stage_new(seed, &(struct net_client_options){ .nat = VNET_SYMMETRIC },
                               &(struct net_client_options){ .nat = VNET_SYMMETRIC });
    talk(&s, 5000);
    assert_relayed_in_time(&s);
    return s;
}

static void assert_both_lost_media(const struct stage *s)
{
    assert_true(s->a->ended);
    assert_true(s->b->ended);
    assert_int_equal(s->a->end, WZP_LINE_END_MEDIA_LOST);
    assert_int_equal(s->b->end, WZP_LINE_END_MEDIA_LOST);
}

static void relay_killed_under_a_relayed_call_ends_it_for_both_as_media_lost(void **state)
{
    (void)state;
    struct stage s = talk_over_relay(1);
    net_relay_kill(s.net);
    net_run_ms(s.net, 30000 + 10000 + 2000); /* silence is noticed, ten seconds of trying */
    assert_both_lost_media(&s);
    hang_up_and_end(&s);
}

static void relay_restarted_under_a_relayed_call_ends_it_for_both_as_media_lost_and_the_next_one_works(void **state)
{
    (void)state;
    struct stage s = talk_over_relay(1);
    net_relay_down(s.net);
    net_relay_up(s.net, NULL);
    net_run_ms(s.net, 13000);
    assert_both_lost_media(&s);
    net_register_all(s.net);
    talk(&s, 5000);
    assert_relayed_in_time(&s);
    hang_up_and_end(&s);
}

/* ---- a client dies ---- */

static void client_restarted_in_a_direct_call_ends_it_for_the_other_in_its_timers(void **state)
{
    (void)state;
    struct stage s = talk_directly(1, VNET_CONE, VNET_CONE);
    net_kill_client(s.net, s.bob);
    net_restart_client(s.net, s.bob);
    net_run_ms(s.net, 1250 + 500 + 10000 + 1000); /* silence, back on the relay, waiting for the peer */
    assert_true(s.a->ended);
    assert_int_equal(s.a->end, WZP_LINE_END_MEDIA_LOST);
    net_register_all(s.net);
    talk(&s, 5000);
    assert_direct(&s);
    hang_up_and_end(&s);
}

static void client_restarted_in_a_relayed_call_ends_it_for_the_other_as_hung_up(void **state)
{
    (void)state;
    struct stage s = talk_over_relay(1);
    net_kill_client(s.net, s.bob);
    net_restart_client(s.net, s.bob);
    net_run_ms(s.net, 30000 + 10000 + 1500); /* the relay notices its silence; it might be on its way back */
    assert_true(s.a->ended);
    assert_int_equal(s.a->end, WZP_LINE_END_HANGUP);
    net_register_all(s.net);
    talk(&s, 5000);
    assert_relayed(&s);
    hang_up_and_end(&s);
}

/* ---- rooms ---- */

static void room_with_the_others_address_goes_direct_however_late_the_other_comes(void **state)
{
    (void)state;
    static const unsigned later_ms[] = { 0, 300, 1000, 2500, 10000 };
    for (size_t i = 0; i < sizeof later_ms / sizeof later_ms[0]; i++) {
        struct stage s = stage_new(i + 1, &(struct net_client_options){ .nat = VNET_CONE },
                                   &(struct net_client_options){ .nat = VNET_CONE });
        char alice_at[WZ_ADDR_TEXT_MAX], bob_at[WZ_ADDR_TEXT_MAX];
        const struct wz_addr alice = net_public_addr(s.alice), bob = net_public_addr(s.bob);
        s.a = net_join(s.net, s.alice, "kitchen", wz_addr_format(&bob, bob_at));
        net_run_ms(s.net, later_ms[i]);
        s.b = net_join(s.net, s.bob, "kitchen", wz_addr_format(&alice, alice_at));
        net_run_ms(s.net, 5000);
        assert_direct(&s);
        assert_both_hear(&s);
        net_hangup(s.net, s.alice, s.a, WZP_HANGUP_NORMAL);
        net_hangup(s.net, s.bob, s.b, WZP_HANGUP_NORMAL);
        hang_up_and_end(&s);
    }
}

/* ---- privacy, and who is at the other end ---- */

/** Watches the wire between two hosts. */
struct spy {
    const struct net_client *hidden, *other;
    unsigned packets, texts;
};

static bool is_address_of(const struct wz_addr *addr, const struct net_client *client)
{
    return wz_addr_same_ip(addr, &client->host->v4) || wz_addr_same_ip(addr, &client->host->v6) ||
           (client->host->nat->public_ip.family != WZ_ADDR_NONE &&
            wz_addr_same_ip(addr, &client->host->nat->public_ip));
}

static bool has_text(const struct vnet_packet *packet, const struct wz_addr *addr)
{
    char text[WZ_ADDR_TEXT_MAX];
    if (addr->family == WZ_ADDR_NONE)
        return false;
    wz_addr_format_ip(addr, text);
    return memmem(packet->data, packet->len, text, strlen(text)) != NULL;
}

static void spy_sees(void *arg, const struct vnet_packet *packet)
{
    struct spy *spy = arg;
    const struct vnet_host *hidden = spy->hidden->host;
    spy->packets += packet->sender == spy->other->host && is_address_of(&packet->aimed_at, spy->hidden);
    spy->packets += packet->sender == hidden && is_address_of(&packet->aimed_at, spy->other);
    if (is_address_of(&packet->aimed_at, spy->other))
        spy->texts +=
            has_text(packet, &hidden->v4) || has_text(packet, &hidden->v6) || has_text(packet, &hidden->nat->public_ip);
}

static const struct net_client_options cone_with_everything = {
    .nat = VNET_CONE,
    .v6 = "2001:db8:1::5",
    .share_local_addrs = true,
    .stun = true,
};
static const struct net_client_options open_with_everything = {
    .nat = VNET_FULL_CONE,
    .v6 = "2001:db8:2::9",
    .share_local_addrs = true,
    .stun = true,
};

static void generic_answer_shows_the_caller_no_packet_and_no_text_of_the_callees_address(void **state)
{
    (void)state;
    struct stage s = stage_new(1, &open_with_everything, &cone_with_everything);
    struct spy spy = { .hidden = s.bob, .other = s.alice };
    s.net->v.watch = spy_sees;
    s.net->v.watch_arg = &spy;
    ring(&s);
    net_answer(s.net, s.bob, s.b, WZP_ACCEPT_GENERIC);
    net_run_ms(s.net, 10000);
    assert_relayed_in_time(&s);
    assert_both_hear(&s);
    assert_int_equal(spy.packets, 0);
    assert_int_equal(spy.texts, 0);
    hang_up_and_end(&s);
}

static void caller_with_hidden_addresses_shows_the_callee_no_packet_and_no_text_of_them(void **state)
{
    (void)state;
    struct stage s = stage_new(1, &cone_with_everything, &open_with_everything);
    struct spy spy = { .hidden = s.alice, .other = s.bob };
    s.net->v.watch = spy_sees;
    s.net->v.watch_arg = &spy;
    assert_int_equal(net_dial(s.net, s.alice, s.bob, true), 0);
    net_run_ms(s.net, 3000);
    s.a = net_last_call(s.alice);
    s.b = net_last_call(s.bob);
    net_answer(s.net, s.bob, s.b, WZP_ACCEPT_TRUSTED);
    net_run_ms(s.net, 10000);
    assert_relayed_in_time(&s);
    assert_both_hear(&s);
    assert_int_equal(spy.packets, 0);
    assert_int_equal(spy.texts, 0);
    hang_up_and_end(&s);
}

static void spy_sees_a_trusted_answer(void **state)
{
    (void)state;
    struct stage s = stage_new(1, &open_with_everything, &cone_with_everything);
    struct spy spy = { .hidden = s.bob, .other = s.alice };
    s.net->v.watch = spy_sees;
    s.net->v.watch_arg = &spy;
    talk(&s, 4000);
    assert_direct_in_time(&s);
    assert_int_not_equal(spy.packets, 0);
    assert_int_not_equal(spy.texts, 0);
    hang_up_and_end(&s);
}

static void man_in_the_middle_of_the_direct_path_never_carries_the_call(void **state)
{
    (void)state;
    struct stage s = stage_new(1, &cone_with_everything, &open_with_everything);
    s.net->quic.man_in_the_middle = true;
    talk(&s, 10000);
    assert_relayed_in_time(&s);
    assert_int_equal(s.a->direct_us, 0);
    assert_int_equal(s.b->direct_us, 0);
    assert_both_hear(&s);
    hang_up_and_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            every_pair_of_nats_goes_direct_in_500_ms_where_simultaneous_open_can_work_else_relay_in_2500_ms),
        cmocka_unit_test(symmetric_side_that_tells_no_address_is_direct_with_open_and_full_cone_peers),
        cmocka_unit_test(ipv6_on_both_sides_goes_direct_through_firewalls_whatever_the_ipv4_nats),
        cmocka_unit_test(ipv6_on_one_side_only_is_no_path),
        cmocka_unit_test(ten_percent_loss_still_converges_behind_every_pair_of_nats),
        cmocka_unit_test(cut_path_brings_both_back_to_the_relay_in_2_s_without_a_new_offer),
        cmocka_unit_test(direct_call_without_media_is_kept_by_its_probes),
        cmocka_unit_test(rebinding_nat_interrupts_a_direct_call_for_2_s_at_most),
        cmocka_unit_test(rebinding_nat_does_not_end_a_relayed_call),
        cmocka_unit_test(relay_killed_in_a_direct_call_changes_nothing_and_both_register_again),
        cmocka_unit_test(relay_killed_under_a_relayed_call_ends_it_for_both_as_media_lost),
        cmocka_unit_test(relay_restarted_under_a_relayed_call_ends_it_for_both_as_media_lost_and_the_next_one_works),
        cmocka_unit_test(client_restarted_in_a_direct_call_ends_it_for_the_other_in_its_timers),
        cmocka_unit_test(client_restarted_in_a_relayed_call_ends_it_for_the_other_as_hung_up),
        cmocka_unit_test(room_with_the_others_address_goes_direct_however_late_the_other_comes),
        cmocka_unit_test(generic_answer_shows_the_caller_no_packet_and_no_text_of_the_callees_address),
        cmocka_unit_test(caller_with_hidden_addresses_shows_the_callee_no_packet_and_no_text_of_them),
        cmocka_unit_test(spy_sees_a_trusted_answer),
        cmocka_unit_test(man_in_the_middle_of_the_direct_path_never_carries_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
