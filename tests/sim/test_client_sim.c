/* Whole calls: client cores and the relay core on a simulated network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_net.h"

struct stage {
    struct client_net *net;
    struct net_client *alice, *bob;
};

static int new_stage(void **state)
{
    static struct stage stage;
    stage.net = net_new(1);
    net_relay_up(stage.net, NULL);
    stage.alice = net_add_client(stage.net, true);
    stage.bob = net_add_client(stage.net, true);
    net_cut(stage.net, stage.alice, stage.bob, true); /* these are stories of the relay */
    net_register_all(stage.net);
    *state = &stage;
    return 0;
}

static int end_stage(void **state)
{
    struct stage *s = *state;
    net_free(s->net);
    return 0;
}

/** Alice calls, Bob rings. */
static void ring_bob(struct stage *s, bool hide_addresses)
{
    assert_int_equal(net_dial(s->net, s->alice, s->bob, hide_addresses), 0);
    net_run_ms(s->net, 2000);
    assert_non_null(net_last_call(s->bob));
    assert_int_equal(net_last_call(s->alice)->rings, 1);
}

static void assert_nobody_has_calls(struct stage *s)
{
    assert_int_equal(wzp_client_stats(s->alice->client)->calls, 0);
    if (s->bob->client)
        assert_int_equal(wzp_client_stats(s->bob->client)->calls, 0);
    if (s->net->relay)
        assert_int_equal(wzp_relay_stats(s->net->relay)->calls, 0);
}

static void answered_call_carries_media_both_ways_until_hung_up(void **state)
{
    struct stage *s = *state;
    struct net_call *a = NULL, *b = NULL;
    net_talk(s->net, s->alice, s->bob, &a, &b);
    for (int i = 0; i < 50; i++) {
        net_send_media(s->net, s->alice, a);
        net_send_media(s->net, s->bob, b);
        net_run_ms(s->net, 20);
    }
    net_run_ms(s->net, 200);
    assert_int_equal(a->datagrams, 50);
    assert_int_equal(b->datagrams, 50);
    assert_true(a->own_kind);
    assert_true(b->own_kind);
    net_hangup(s->net, s->alice, a, WZP_HANGUP_NORMAL);
    net_run_ms(s->net, 500);
    assert_int_equal(a->end, WZP_LINE_END_LOCAL);
    assert_true(b->ended);
    assert_int_equal(b->end, WZP_LINE_END_HANGUP);
    assert_true(b->by_peer);
    assert_nobody_has_calls(s);
}

static void trusted_call_cross_wires_both_addresses(void **state)
{
    struct stage *s = *state;
    struct net_call *a = NULL, *b = NULL;
    net_talk(s->net, s->alice, s->bob, &a, &b);
    assert_string_equal(b->caller_reflexive_addr, "203.0.113.1:4000");
    assert_string_equal(b->peer_direct_addr, "203.0.113.1:4000");
    assert_string_equal(b->peer_local_addr, "192.168.1.1:4000");
    assert_string_equal(a->peer_direct_addr, "203.0.113.2:4000");
    assert_string_equal(a->peer_local_addr, "192.168.1.2:4000");
}

static void generic_answer_reveals_nothing_of_the_callee(void **state)
{
    struct stage *s = *state;
    ring_bob(s, false);
    net_answer(s->net, s->bob, net_last_call(s->bob), WZP_ACCEPT_GENERIC);
    net_run_ms(s->net, 3000);
    const struct net_call *a = net_last_call(s->alice);
    assert_true(a->up);
    assert_string_equal(a->peer_direct_addr, "");
    assert_string_equal(a->peer_local_addr, "");
    assert_string_equal(net_last_call(s->bob)->peer_direct_addr, "203.0.113.1:4000");
}

static void caller_that_hides_reveals_nothing(void **state)
{
    struct stage *s = *state;
    ring_bob(s, true);
    net_answer(s->net, s->bob, net_last_call(s->bob), WZP_ACCEPT_TRUSTED);
    net_run_ms(s->net, 3000);
    const struct net_call *b = net_last_call(s->bob);
    assert_true(b->up);
    assert_string_equal(b->caller_reflexive_addr, "");
    assert_string_equal(b->peer_direct_addr, "");
    assert_string_equal(b->peer_local_addr, "");
}

static void strict_relay_withholds_the_callers_address_from_a_generic_callee(void **state)
{
    (void)state;
    struct stage s = { .net = net_new(2) };
    net_relay_up(s.net, &(struct wzp_relay_config){ .strict_privacy = true });
    s.alice = net_add_client(s.net, true);
    s.bob = net_add_client(s.net, true);
    net_register_all(s.net);
    ring_bob(&s, false);
    net_answer(s.net, s.bob, net_last_call(s.bob), WZP_ACCEPT_GENERIC);
    net_run_ms(s.net, 3000);
    assert_true(net_last_call(s.bob)->up);
    assert_string_equal(net_last_call(s.bob)->peer_direct_addr, "");
    net_free(s.net);
}

static void rejected_call_ends_declined(void **state)
{
    struct stage *s = *state;
    ring_bob(s, false);
    net_answer(s->net, s->bob, net_last_call(s->bob), WZP_ACCEPT_REJECT);
    net_run_ms(s->net, 500);
    const struct net_call *a = net_last_call(s->alice);
    assert_int_equal(a->end, WZP_LINE_END_HANGUP);
    assert_int_equal(a->hangup_reason, WZP_HANGUP_DECLINED);
    assert_true(a->ringing_seen);
    assert_nobody_has_calls(s);
}

static void busy_callee_is_told_as_busy(void **state)
{
    struct stage *s = *state;
    ring_bob(s, false);
    net_hangup(s->net, s->bob, net_last_call(s->bob), WZP_HANGUP_BUSY);
    net_run_ms(s->net, 500);
    assert_int_equal(net_last_call(s->alice)->hangup_reason, WZP_HANGUP_BUSY);
    assert_nobody_has_calls(s);
}

static void call_to_nobody_ends_before_it_rings(void **state)
{
    struct stage *s = *state;
    struct net_client *carol = net_add_client(s->net, true); /* known, but never registers: */
    wzp_client_stop(carol->client, s->net->v.now_us);
    assert_int_equal(net_dial(s->net, s->alice, carol, false), 0);
    net_run_ms(s->net, 2000);
    const struct net_call *a = net_last_call(s->alice);
    assert_int_equal(a->end, WZP_LINE_END_HANGUP);
    assert_int_equal(a->rings, 0);
    assert_false(a->ringing_seen);
    assert_nobody_has_calls(s);
}

static void cancelled_call_stops_ringing(void **state)
{
    struct stage *s = *state;
    ring_bob(s, false);
    net_hangup(s->net, s->alice, net_last_call(s->alice), WZP_HANGUP_NORMAL);
    net_run_ms(s->net, 500);
    const struct net_call *b = net_last_call(s->bob);
    assert_int_equal(b->end, WZP_LINE_END_HANGUP);
    assert_true(b->by_peer);
    assert_nobody_has_calls(s);
}

static void unanswered_call_ends_on_both_sides(void **state)
{
    struct stage *s = *state;
    ring_bob(s, false);
    net_run_ms(s->net, 62000);
    assert_int_equal(net_last_call(s->alice)->end, WZP_LINE_END_NO_ANSWER);
    assert_int_equal(net_last_call(s->bob)->end, WZP_LINE_END_HANGUP);
    assert_int_equal(net_last_call(s->bob)->hangup_reason, WZP_HANGUP_TIMEOUT);
    assert_nobody_has_calls(s);
}

static void callee_that_vanishes_while_ringing_ends_the_call(void **state)
{
    struct stage *s = *state;
    ring_bob(s, false);
    net_kill_client(s->net, s->bob);
    net_run_ms(s->net, 31000);
    assert_true(net_last_call(s->alice)->ended);
    assert_int_equal(net_last_call(s->alice)->end, WZP_LINE_END_HANGUP);
    assert_nobody_has_calls(s);
}

static void peer_that_vanishes_in_a_call_ends_it(void **state)
{
    struct stage *s = *state;
    struct net_call *a = NULL, *b = NULL;
    net_talk(s->net, s->alice, s->bob, &a, &b);
    net_kill_client(s->net, s->bob);
    net_run_ms(s->net, 33000);
    assert_true(a->ended);
    assert_int_equal(a->end, WZP_LINE_END_HANGUP);
    assert_nobody_has_calls(s);
}

static void dead_relay_ends_calls_on_both_sides_and_the_next_call_works(void **state)
{
    struct stage *s = *state;
    struct net_call *a = NULL, *b = NULL;
    net_talk(s->net, s->alice, s->bob, &a, &b);
    net_relay_down(s->net);
    net_run_ms(s->net, 13000); /* ten seconds of trying */
    assert_int_equal(a->end, WZP_LINE_END_MEDIA_LOST);
    assert_int_equal(b->end, WZP_LINE_END_MEDIA_LOST);
    net_run_ms(s->net, 60000);
    net_relay_up(s->net, NULL);
    net_run_ms(s->net, 40000);
    net_talk(s->net, s->bob, s->alice, &b, &a);
    assert_int_equal(s->alice->registered, 2);
}

static void five_calls_on_one_identity_end_one_by_one(void **state)
{
    struct stage *s = *state;
    struct net_client *callers[5] = { s->bob };
    struct net_call *theirs[5], *ours[5];
    for (size_t i = 1; i < 5; i++)
        callers[i] = net_add_client(s->net, false);
    for (size_t i = 1; i < 5; i++)
        net_cut(s->net, s->alice, callers[i], true);
    net_register_all(s->net);
    for (size_t i = 0; i < 5; i++)
        net_talk(s->net, callers[i], s->alice, &theirs[i], &ours[i]);
    for (size_t i = 0; i < 5; i++) {
        if (i % 2)
            net_hangup(s->net, s->alice, ours[i], WZP_HANGUP_NORMAL);
        else
            net_hangup(s->net, callers[i], theirs[i], WZP_HANGUP_NORMAL);
        net_run_ms(s->net, 3000);
        for (size_t k = 0; k < 5; k++) {
            assert_int_equal(ours[k]->ended, k <= i);
            assert_int_equal(theirs[k]->ended, k <= i);
        }
    }
}

static void calls_crossing_each_other_both_work(void **state)
{
    struct stage *s = *state;
    assert_int_equal(net_dial(s->net, s->alice, s->bob, false), 0);
    assert_int_equal(net_dial(s->net, s->bob, s->alice, false), 0);
    net_run_ms(s->net, 2000);
    assert_int_equal(s->alice->call_count, 2);
    assert_int_equal(s->bob->call_count, 2);
    net_answer(s->net, s->bob, net_last_call(s->bob), WZP_ACCEPT_GENERIC);
    net_answer(s->net, s->alice, net_last_call(s->alice), WZP_ACCEPT_TRUSTED);
    net_run_ms(s->net, 3000);
    for (size_t i = 0; i < 2; i++) {
        assert_true(s->alice->call[i]->up);
        assert_true(s->bob->call[i]->up);
    }
}

static void hangup_that_crosses_the_answer_ends_the_call_once(void **state)
{
    struct stage *s = *state;
    ring_bob(s, false);
    net_answer(s->net, s->bob, net_last_call(s->bob), WZP_ACCEPT_GENERIC);
    net_hangup(s->net, s->alice, net_last_call(s->alice), WZP_HANGUP_NORMAL);
    net_run_ms(s->net, 15000);
    assert_true(net_last_call(s->bob)->ended);
    assert_nobody_has_calls(s);
}

static void strangers_cannot_join_a_call_room(void **state)
{
    struct stage *s = *state;
    struct net_call *a = NULL, *b = NULL;
    net_talk(s->net, s->alice, s->bob, &a, &b);
    struct net_client *carol = net_add_client(s->net, false);
    net_register_all(s->net);
    char room[64];
    uint64_t id = 0;
    (void)snprintf(room, sizeof room, "call-%s", a->call_id);
    assert_int_equal(wzp_client_join(carol->client, &(struct wzp_line_room){ .name = room }, s->net->v.now_us, &id), 0);
    (void)net_call_add(carol, id, false, NULL);
    net_run_ms(s->net, 3000);
    assert_int_equal(net_last_call(carol)->end, WZP_LINE_END_REFUSED);
    net_send_media(s->net, s->alice, a);
    net_run_ms(s->net, 200);
    assert_int_equal(b->datagrams, 1);
}

static void slow_network_still_connects(void **state)
{
    struct stage *s = *state;
    s->net->v.jitter_ms = 300;
    assert_int_equal(net_dial(s->net, s->alice, s->bob, false), 0);
    net_run_ms(s->net, 3000);
    net_answer(s->net, s->bob, net_last_call(s->bob), WZP_ACCEPT_TRUSTED);
    net_run_ms(s->net, 6000);
    assert_true(net_last_call(s->alice)->up);
    assert_true(net_last_call(s->bob)->up);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_stage, end_stage)
    const struct CMUnitTest tests[] = {
        STORY(answered_call_carries_media_both_ways_until_hung_up),
        STORY(trusted_call_cross_wires_both_addresses),
        STORY(generic_answer_reveals_nothing_of_the_callee),
        STORY(caller_that_hides_reveals_nothing),
        cmocka_unit_test(strict_relay_withholds_the_callers_address_from_a_generic_callee),
        STORY(rejected_call_ends_declined),
        STORY(busy_callee_is_told_as_busy),
        STORY(call_to_nobody_ends_before_it_rings),
        STORY(cancelled_call_stops_ringing),
        STORY(unanswered_call_ends_on_both_sides),
        STORY(callee_that_vanishes_while_ringing_ends_the_call),
        STORY(peer_that_vanishes_in_a_call_ends_it),
        STORY(dead_relay_ends_calls_on_both_sides_and_the_next_call_works),
        STORY(five_calls_on_one_identity_end_one_by_one),
        STORY(calls_crossing_each_other_both_work),
        STORY(hangup_that_crosses_the_answer_ends_the_call_once),
        STORY(strangers_cannot_join_a_call_room),
        STORY(slow_network_still_connects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
