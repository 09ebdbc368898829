/* The registry of calls: its state diagram, its timers, who is in which call. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "wzp/core/registry.h"

#define ALICE "aaaa:0000:0000:0000:0000:0000:0000:0001"
#define BOB   "bbbb:0000:0000:0000:0000:0000:0000:0002"
#define CAROL "cccc:0000:0000:0000:0000:0000:0000:0003"

#define RING_US  1000u
#define SETUP_US 300u
#define AWAY_US  200u
#define KEEP_US  600u

static void fill_fixed(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    memset(out, 0x42, len);
}

static const struct wz_rng fixed_rng = { .fill = fill_fixed };
static const struct wzp_registry_addrs no_addrs;

static int setup(void **state)
{
    const struct wzp_registry_limits limits = {
        .max_live = 4, .max_ended = 3, .ring_us = RING_US, .setup_us = SETUP_US, .away_us = AWAY_US, .keep_us = KEEP_US
    };
    struct wzp_registry *reg = calloc(1, sizeof *reg);
    *state = reg;
    return wzp_registry_init(reg, &limits, &fixed_rng);
}

static int teardown(void **state)
{
    struct wzp_registry *reg = *state;
    wzp_registry_done(reg);
    free(reg);
    return 0;
}

static struct wzp_registry_call *add(struct wzp_registry *reg, const char *id, uint64_t now_us)
{
    struct wzp_registry_call *call = NULL;
    assert_int_equal(wzp_registry_add(reg, id, ALICE, BOB, &no_addrs, now_us, &call), 0);
    return call;
}

static struct wzp_registry_call *add_active(struct wzp_registry *reg, const char *id, uint64_t now_us)
{
    struct wzp_registry_call *call = add(reg, id, now_us);
    wzp_registry_ringing(call, now_us);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_GENERIC, &no_addrs, now_us), 0);
    return call;
}

/* ---- ids ---- */

static void legal_ids_are_what_fits_a_room_name(void **state)
{
    (void)state;
    char longest[WZP_CALL_ID_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[WZP_CALL_ID_MAX] = '\0';
    assert_true(wzp_registry_id_is_legal("a"));
    assert_true(wzp_registry_id_is_legal("0123456789"));
    assert_true(wzp_registry_id_is_legal("ABC-def_9"));
    assert_true(wzp_registry_id_is_legal(longest));
}

static void illegal_ids_are_told(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "a.b", "a b", "a@b", "-", "a-", "\xc3\xa4", "a/b", "a\n" };
    char too_long[WZP_CALL_ID_MAX + 2];
    memset(too_long, 'a', sizeof too_long);
    too_long[WZP_CALL_ID_MAX + 1] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(wzp_registry_id_is_legal(bad[i]));
    assert_false(wzp_registry_id_is_legal(too_long));
}

static void id_is_found_in_any_case_but_kept_as_written(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add(reg, "AbC", 0);
    assert_ptr_equal(wzp_registry_find(reg, "abc"), call);
    assert_ptr_equal(wzp_registry_find_room(reg, "call-abc"), call);
    assert_string_equal(call->id, "AbC");
    assert_string_equal(call->room, "call-AbC");
    assert_null(wzp_registry_find_room(reg, "abc"));
    assert_null(wzp_registry_find(reg, "not legal"));
}

/* ---- adding ---- */

static void same_id_twice_is_refused_while_the_call_lives_and_shortly_after(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add(reg, "x", 0), *other = NULL;
    assert_int_equal(wzp_registry_add(reg, "X", BOB, CAROL, &no_addrs, 0, &other), -EEXIST);
    wzp_registry_end(reg, call, 10);
    assert_int_equal(wzp_registry_add(reg, "x", BOB, CAROL, &no_addrs, 10, &other), -EEXIST);
    assert_null(wzp_registry_expired(reg, 10 + KEEP_US));
    assert_int_equal(wzp_registry_add(reg, "x", BOB, CAROL, &no_addrs, 700, &other), 0);
}

static void refused_calls_leave_nothing_behind(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = NULL;
    assert_int_equal(wzp_registry_add(reg, "x", ALICE, ALICE, &no_addrs, 0, &call), -EINVAL);
    assert_int_equal(wzp_registry_add(reg, "x.y", ALICE, BOB, &no_addrs, 0, &call), -EINVAL);
    assert_int_equal(wzp_registry_add(reg, "x", "", BOB, &no_addrs, 0, &call), -EINVAL);
    assert_null(call);
    assert_int_equal(reg->live, 0);
    assert_int_equal(reg->calls.count, 0);
    assert_int_equal(reg->users.count, 0);
    assert_true(wzp_registry_deadline_us(reg) == WZP_REGISTRY_NEVER);
}

static void limit_of_live_calls_holds_and_ended_ones_do_not_count(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *first = add(reg, "c0", 0), *call = NULL;
    add(reg, "c1", 0);
    add(reg, "c2", 0);
    add(reg, "c3", 0);
    assert_int_equal(wzp_registry_add(reg, "c4", ALICE, BOB, &no_addrs, 0, &call), -ENOSPC);
    wzp_registry_end(reg, first, 0);
    assert_int_equal(wzp_registry_add(reg, "c4", ALICE, BOB, &no_addrs, 0, &call), 0);
}

static void oldest_ended_call_is_forgotten_when_there_are_too_many(void **state)
{
    struct wzp_registry *reg = *state;
    static const char *const id[] = { "e0", "e1", "e2", "e3" };
    for (size_t i = 0; i < 4; i++)
        wzp_registry_end(reg, add(reg, id[i], 0), 0);
    assert_null(wzp_registry_find(reg, "e0"));
    assert_non_null(wzp_registry_find(reg, "e1"));
    assert_non_null(wzp_registry_find(reg, "e3"));
    assert_int_equal(reg->ended, 3);
}

static void addresses_are_copied_and_nonsense_is_left_out(void **state)
{
    struct wzp_registry *reg = *state;
    char text[] = "192.168.1.2:4000";
    char longest[WZP_REGISTRY_ADDR_TEXT_MAX + 1], too_long[WZP_REGISTRY_ADDR_TEXT_MAX + 2], empty[] = "";
    memset(longest, '1', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memset(too_long, '1', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    const struct wzp_registry_addrs addrs = {
        .reflexive = too_long,
        .local = { .count = 4, .text = { text, too_long, longest, empty } },
    };
    struct wzp_registry_call *call = NULL;
    assert_int_equal(wzp_registry_add(reg, "x", ALICE, BOB, &addrs, 0, &call), 0);
    text[0] = 'X';
    const struct wzp_registry_addrs *kept = &call->addrs[WZP_REGISTRY_CALLER];
    assert_null(kept->reflexive);
    assert_int_equal(kept->local.count, 2);
    assert_string_equal(kept->local.text[0], "192.168.1.2:4000");
    assert_string_equal(kept->local.text[1], longest);
    wzp_registry_end(reg, call, 1);
    assert_int_equal(call->addrs[WZP_REGISTRY_CALLER].local.count, 0);
}

static void both_addresses_accept_mode_local_addresses_and_peer_relay_are_stored_returned_and_cleared(void **state)
{
    struct wzp_registry *reg = *state;
    char caller_addr[] = "203.0.113.5:1", callee_addr[] = "198.51.100.9:2", lan[] = "192.168.1.2:3";
    const struct wzp_registry_addrs caller = { .reflexive = caller_addr, .local = { .count = 1, .text = { lan } } };
    const struct wzp_registry_addrs callee = { .reflexive = callee_addr };
    struct wzp_registry_call *call = NULL;
    assert_int_equal(wzp_registry_add(reg, "x", ALICE, BOB, &caller, 0, &call), 0);
    assert_null(call->peer_relay_fp);
    assert_int_equal(wzp_registry_set_peer_relay(call, "0c:62"), 0);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_TRUSTED, &callee, 1), 0);

    const struct wzp_registry_call *kept = wzp_registry_find(reg, "x");
    assert_string_equal(kept->addrs[WZP_REGISTRY_CALLER].reflexive, caller_addr);
    assert_int_equal(kept->addrs[WZP_REGISTRY_CALLER].local.count, 1);
    assert_string_equal(kept->addrs[WZP_REGISTRY_CALLER].local.text[0], lan);
    assert_string_equal(kept->addrs[WZP_REGISTRY_CALLEE].reflexive, callee_addr);
    assert_int_equal(kept->addrs[WZP_REGISTRY_CALLEE].local.count, 0);
    assert_int_equal(kept->accept_mode, WZP_ACCEPT_TRUSTED);
    assert_string_equal(kept->peer_relay_fp, "0c:62");

    assert_int_equal(wzp_registry_set_peer_relay(call, NULL), 0);
    assert_null(kept->peer_relay_fp);
    assert_int_equal(wzp_registry_set_peer_relay(call, "0c:62"), 0);
    wzp_registry_end(reg, call, 2);
    for (int party = 0; party < 2; party++) {
        assert_null(kept->addrs[party].reflexive);
        assert_int_equal(kept->addrs[party].local.count, 0);
    }
    assert_null(kept->peer_relay_fp);
    assert_int_equal(wzp_registry_set_peer_relay(call, "0c:62"), -EINVAL);
}

static void name_of_the_peer_relay_is_bounded(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add(reg, "x", 0);
    char text[WZP_REGISTRY_RELAY_TEXT_MAX + 2];
    memset(text, 'a', sizeof text);
    text[WZP_REGISTRY_RELAY_TEXT_MAX] = '\0';
    assert_int_equal(wzp_registry_set_peer_relay(call, text), 0);
    text[WZP_REGISTRY_RELAY_TEXT_MAX] = 'a';
    text[WZP_REGISTRY_RELAY_TEXT_MAX + 1] = '\0';
    assert_int_equal(wzp_registry_set_peer_relay(call, text), -EINVAL);
    assert_int_equal(wzp_registry_set_peer_relay(call, ""), -EINVAL);
    assert_int_equal(strlen(call->peer_relay_fp), WZP_REGISTRY_RELAY_TEXT_MAX);
}

static void names_of_parties_may_be_of_any_length(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = NULL;
    char name[200];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(wzp_registry_add(reg, "x", "a", name, &no_addrs, 0, &call), 0);
    assert_ptr_equal(wzp_registry_first_of(reg, name), call);
    assert_int_equal(wzp_registry_party_of(call, name), WZP_REGISTRY_CALLEE);
    assert_int_equal(wzp_registry_party_of(call, "a"), WZP_REGISTRY_CALLER);
}

/* ---- states ---- */

static void call_walks_from_pending_to_forgotten(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add(reg, "x", 5);
    assert_int_equal(call->state, WZP_REGISTRY_PENDING);
    wzp_registry_ringing(call, 6);
    assert_int_equal(call->state, WZP_REGISTRY_RINGING);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_TRUSTED, &no_addrs, 7), 0);
    assert_int_equal(call->state, WZP_REGISTRY_ACTIVE);
    assert_int_equal(call->accept_mode, WZP_ACCEPT_TRUSTED);
    wzp_registry_end(reg, call, 8);
    assert_int_equal(call->state, WZP_REGISTRY_ENDED);
    assert_int_equal(call->created_us, 5);
    assert_int_equal(call->ringing_us, 6);
    assert_int_equal(call->answered_us, 7);
    assert_int_equal(call->ended_us, 8);
    assert_null(wzp_registry_expired(reg, 8 + KEEP_US - 1));
    assert_non_null(wzp_registry_find(reg, "x"));
    assert_null(wzp_registry_expired(reg, 8 + KEEP_US));
    assert_null(wzp_registry_find(reg, "x"));
}

static void pending_call_may_be_accepted_at_once(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add(reg, "x", 0);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_GENERIC, &no_addrs, 1), 0);
    wzp_registry_ringing(call, 2);
    assert_int_equal(call->state, WZP_REGISTRY_ACTIVE);
}

static void call_is_accepted_once_and_never_by_reject(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add(reg, "x", 0);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_REJECT, &no_addrs, 1), -EINVAL);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_GENERIC, &no_addrs, 1), 0);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_TRUSTED, &no_addrs, 1), -EPROTO);
    assert_int_equal(call->accept_mode, WZP_ACCEPT_GENERIC);
    wzp_registry_end(reg, call, 2);
    wzp_registry_end(reg, call, 3);
    assert_int_equal(call->ended_us, 2);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_GENERIC, &no_addrs, 4), -EPROTO);
}

static void parties_are_told_apart(void **state)
{
    struct wzp_registry *reg = *state;
    const struct wzp_registry_call *call = add(reg, "x", 0);
    assert_int_equal(wzp_registry_party_of(call, ALICE), WZP_REGISTRY_CALLER);
    assert_int_equal(wzp_registry_party_of(call, BOB), WZP_REGISTRY_CALLEE);
    assert_int_equal(wzp_registry_party_of(call, CAROL), WZP_REGISTRY_NOBODY);
}

static void live_calls_of_a_user_are_found_until_they_end(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *first = add(reg, "x", 0), *second = add(reg, "y", 0);
    assert_ptr_equal(wzp_registry_first_of(reg, BOB), first);
    wzp_registry_end(reg, first, 0);
    assert_ptr_equal(wzp_registry_first_of(reg, BOB), second);
    wzp_registry_end(reg, second, 0);
    assert_null(wzp_registry_first_of(reg, BOB));
    assert_null(wzp_registry_first_of(reg, ALICE));
    assert_null(wzp_registry_first_of(reg, CAROL));
}

static void live_calls_of_a_party_are_walked_in_order(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *first = add(reg, "x", 0), *second = add(reg, "y", 0), *third = add(reg, "z", 0);
    assert_ptr_equal(wzp_registry_next_of(first, WZP_REGISTRY_CALLER), second);
    assert_ptr_equal(wzp_registry_next_of(second, WZP_REGISTRY_CALLEE), third);
    assert_null(wzp_registry_next_of(third, WZP_REGISTRY_CALLEE));
    wzp_registry_end(reg, second, 0);
    assert_ptr_equal(wzp_registry_next_of(first, WZP_REGISTRY_CALLER), third);
    assert_null(wzp_registry_next_of(second, WZP_REGISTRY_CALLER));
}

/* ---- timers ---- */

static void unanswered_call_expires(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add(reg, "x", 50);
    wzp_registry_ringing(call, 60);
    assert_int_equal(wzp_registry_deadline_us(reg), 50 + RING_US);
    assert_null(wzp_registry_expired(reg, 50 + RING_US - 1));
    assert_ptr_equal(wzp_registry_expired(reg, 50 + RING_US), call);
}

static void answered_call_must_settle(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_active(reg, "x", 100);
    assert_true(wzp_registry_is_forming(call));
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, true, 110); /* one is not enough */
    assert_null(wzp_registry_expired(reg, 100 + SETUP_US - 1));
    assert_ptr_equal(wzp_registry_expired(reg, 100 + SETUP_US), call);
}

static void both_in_the_room_settle_the_call(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_active(reg, "x", 0);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, true, 1);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLEE, true, 2);
    assert_false(wzp_registry_is_forming(call));
    assert_true(wzp_registry_deadline_us(reg) == WZP_REGISTRY_NEVER);
}

static void both_waiting_in_the_room_before_the_answer_settle_it_at_once(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add(reg, "x", 0);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, true, 1);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLEE, true, 1);
    assert_int_equal(wzp_registry_accept(reg, call, WZP_ACCEPT_GENERIC, &no_addrs, 2), 0);
    assert_false(wzp_registry_is_forming(call));
}

static void direct_path_settles_only_when_both_report_it(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_active(reg, "x", 0);
    wzp_registry_set_direct(reg, call, WZP_REGISTRY_CALLER, true, 1);
    assert_true(wzp_registry_is_forming(call));
    wzp_registry_set_direct(reg, call, WZP_REGISTRY_CALLEE, true, 2);
    assert_false(wzp_registry_is_forming(call));
}

static void call_whose_parties_left_without_hanging_up_expires(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_active(reg, "x", 0);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, true, 1);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLEE, true, 1);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, false, 5000);
    assert_true(wzp_registry_deadline_us(reg) == WZP_REGISTRY_NEVER); /* the other is still there */
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLEE, false, 6000);
    assert_int_equal(wzp_registry_deadline_us(reg), 6000 + SETUP_US);
    assert_ptr_equal(wzp_registry_expired(reg, 6000 + SETUP_US), call);
}

static void party_that_comes_back_in_time_keeps_the_call(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_active(reg, "x", 0);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, true, 1);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLEE, true, 1);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, false, 50);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLEE, false, 50);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, true, 60);
    assert_null(wzp_registry_expired(reg, 100000));
}

static void leaving_the_room_for_the_direct_path_keeps_the_call(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_active(reg, "x", 0);
    for (int party = 0; party < 2; party++) {
        wzp_registry_set_in_room(reg, call, (enum wzp_registry_party)party, true, 1);
        wzp_registry_set_direct(reg, call, (enum wzp_registry_party)party, true, 2);
    }
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLER, false, 3);
    wzp_registry_set_in_room(reg, call, WZP_REGISTRY_CALLEE, false, 3);
    assert_null(wzp_registry_expired(reg, 100000));
    wzp_registry_set_direct(reg, call, WZP_REGISTRY_CALLEE, false, 100000); /* it broke */
    assert_int_equal(wzp_registry_deadline_us(reg), 100000 + SETUP_US);
}

static struct wzp_registry_call *add_direct(struct wzp_registry *reg, const char *id, uint64_t now_us)
{
    struct wzp_registry_call *call = add_active(reg, id, now_us);
    wzp_registry_set_direct(reg, call, WZP_REGISTRY_CALLER, true, now_us);
    assert_false(wzp_registry_is_direct(call));
    wzp_registry_set_direct(reg, call, WZP_REGISTRY_CALLEE, true, now_us);
    assert_true(wzp_registry_is_direct(call));
    return call;
}

static void party_that_is_away_too_long_is_due_and_the_first_to_go_decides(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_direct(reg, "x", 0), *other = add_direct(reg, "y", 0);
    assert_true(wzp_registry_set_away(reg, call, WZP_REGISTRY_CALLER, true, 1000));
    assert_true(wzp_registry_set_away(reg, other, WZP_REGISTRY_CALLEE, true, 1001));
    assert_false(wzp_registry_is_forming(call));
    wzp_registry_set_direct(reg, call, WZP_REGISTRY_CALLEE, false, 1002);           /* changes no timer now */
    assert_true(wzp_registry_set_away(reg, call, WZP_REGISTRY_CALLER, true, 1003)); /* it was already */
    assert_int_equal(wzp_registry_deadline_us(reg), 1000 + AWAY_US);
    assert_null(wzp_registry_expired(reg, 1000 + AWAY_US - 1));
    assert_ptr_equal(wzp_registry_expired(reg, 1000 + AWAY_US), call);
    wzp_registry_end(reg, call, 1000 + AWAY_US);
    assert_ptr_equal(wzp_registry_expired(reg, 1001 + AWAY_US), other);
}

static void party_that_is_back_stops_its_timer(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_direct(reg, "x", 0);
    assert_true(wzp_registry_set_away(reg, call, WZP_REGISTRY_CALLER, true, 10));
    assert_true(wzp_registry_set_away(reg, call, WZP_REGISTRY_CALLER, false, 20));
    assert_true(wzp_registry_deadline_us(reg) == WZP_REGISTRY_NEVER);
    assert_true(wzp_registry_set_away(reg, call, WZP_REGISTRY_CALLER, true, 30));
    wzp_registry_set_direct(reg, call, WZP_REGISTRY_CALLEE, false, 40);
    assert_true(wzp_registry_set_away(reg, call, WZP_REGISTRY_CALLER, false, 50));
    assert_int_equal(wzp_registry_deadline_us(reg), 50 + SETUP_US); /* the path had broken meanwhile */
}

static void call_of_two_absent_parties_is_over(void **state)
{
    struct wzp_registry *reg = *state;
    struct wzp_registry_call *call = add_direct(reg, "x", 0);
    assert_true(wzp_registry_set_away(reg, call, WZP_REGISTRY_CALLER, true, 10));
    assert_false(wzp_registry_set_away(reg, call, WZP_REGISTRY_CALLEE, true, 20));
}

static void deadline_is_that_of_the_first_timer(void **state)
{
    struct wzp_registry *reg = *state;
    assert_true(wzp_registry_deadline_us(reg) == WZP_REGISTRY_NEVER);
    add(reg, "ringing", 0);
    assert_int_equal(wzp_registry_deadline_us(reg), RING_US);
    wzp_registry_end(reg, add(reg, "ended", 100), 100);
    assert_int_equal(wzp_registry_deadline_us(reg), 100 + KEEP_US);
    add_active(reg, "active", 200);
    assert_int_equal(wzp_registry_deadline_us(reg), 200 + SETUP_US);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_ids_are_what_fits_a_room_name),
        cmocka_unit_test(illegal_ids_are_told),
        TEST(id_is_found_in_any_case_but_kept_as_written),
        TEST(same_id_twice_is_refused_while_the_call_lives_and_shortly_after),
        TEST(refused_calls_leave_nothing_behind),
        TEST(limit_of_live_calls_holds_and_ended_ones_do_not_count),
        TEST(oldest_ended_call_is_forgotten_when_there_are_too_many),
        TEST(addresses_are_copied_and_nonsense_is_left_out),
        TEST(both_addresses_accept_mode_local_addresses_and_peer_relay_are_stored_returned_and_cleared),
        TEST(name_of_the_peer_relay_is_bounded),
        TEST(names_of_parties_may_be_of_any_length),
        TEST(call_walks_from_pending_to_forgotten),
        TEST(pending_call_may_be_accepted_at_once),
        TEST(call_is_accepted_once_and_never_by_reject),
        TEST(parties_are_told_apart),
        TEST(live_calls_of_a_user_are_found_until_they_end),
        TEST(live_calls_of_a_party_are_walked_in_order),
        TEST(unanswered_call_expires),
        TEST(answered_call_must_settle),
        TEST(both_in_the_room_settle_the_call),
        TEST(both_waiting_in_the_room_before_the_answer_settle_it_at_once),
        TEST(direct_path_settles_only_when_both_report_it),
        TEST(call_whose_parties_left_without_hanging_up_expires),
        TEST(party_that_comes_back_in_time_keeps_the_call),
        TEST(leaving_the_room_for_the_direct_path_keeps_the_call),
        TEST(party_that_is_away_too_long_is_due_and_the_first_to_go_decides),
        TEST(party_that_is_back_stops_its_timer),
        TEST(call_of_two_absent_parties_is_over),
        TEST(deadline_is_that_of_the_first_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
