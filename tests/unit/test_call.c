/* gateway/call: each arrow of the state diagram, and that each leg is closed exactly once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "gateway/call.h"

static struct gw_call call;
static struct gw_call_effects eff;

static void begin(enum gw_call_direction direction)
{
    gw_call_init(&call, &(struct gw_call_config){ .direction = direction, .ring_ms = 1000, .connect_ms = 500 });
}

static int feed(enum gw_call_event_kind kind, uint64_t now_us)
{
    return gw_call_step(&call, &(struct gw_call_event){ .kind = kind }, now_us, &eff);
}

static int feed_branch(enum gw_call_event_kind kind, unsigned branch, enum gw_cause cause, uint64_t now_us)
{
    return gw_call_step(&call, &(struct gw_call_event){ .kind = kind, .branch = branch, .cause = cause }, now_us, &eff);
}

static unsigned count(enum gw_call_effect_kind kind)
{
    unsigned n = 0;
    for (size_t i = 0; i < eff.count; i++)
        n += eff.item[i].kind == kind;
    return n;
}

static void phone_calls_and_is_answered(void **state)
{
    (void)state;
    begin(GW_CALL_SIP_TO_WZP);
    assert_int_equal(feed(GW_CALL_START, 1), 0);
    assert_int_equal(count(GW_CALL_DO_WZP_DIAL), 1);
    assert_int_equal(feed(GW_CALL_WZP_RINGING, 2), 0);
    assert_int_equal(count(GW_CALL_DO_SIP_RING), 1);
    assert_int_equal(feed(GW_CALL_WZP_ANSWERED, 3), 0);
    assert_int_equal(eff.count, 0); /* not before media can flow */
    assert_int_equal(feed(GW_CALL_WZP_MEDIA_UP, 4), 0);
    assert_int_equal(count(GW_CALL_DO_SIP_ANSWER), 1);
    assert_int_equal(count(GW_CALL_DO_MEDIA_START), 1);
    assert_int_equal(call.state, GW_CALL_UP);
    assert_int_equal(call.answered_us, 4);
    assert_int_equal(gw_call_deadline_us(&call), UINT64_MAX);
}

static void bye_from_the_phone_hangs_up_wzp_once(void **state)
{
    phone_calls_and_is_answered(state);
    assert_int_equal(feed_branch(GW_CALL_SIP_ENDED, 0, GW_CAUSE_NORMAL, 9), 0);
    assert_int_equal(count(GW_CALL_DO_WZP_HANGUP), 1);
    assert_int_equal(count(GW_CALL_DO_SIP_HANGUP), 0);
    assert_int_equal(count(GW_CALL_DO_MEDIA_STOP), 1);
    assert_int_equal(eff.item[eff.count - 1].kind, GW_CALL_DO_FINISHED);
    assert_int_equal(feed_branch(GW_CALL_WZP_ENDED, 0, GW_CAUSE_NORMAL, 9), -EPROTO);
    assert_int_equal(eff.count, 0);
}

static void hangup_from_wzp_ends_the_phone_once(void **state)
{
    phone_calls_and_is_answered(state);
    assert_int_equal(feed_branch(GW_CALL_WZP_ENDED, 0, GW_CAUSE_NORMAL, 9), 0);
    assert_int_equal(count(GW_CALL_DO_SIP_HANGUP), 1);
    assert_int_equal(count(GW_CALL_DO_WZP_HANGUP), 0);
    assert_int_equal(call.cause, GW_CAUSE_NORMAL);
}

static void cancel_while_ringing_hangs_up_wzp(void **state)
{
    (void)state;
    begin(GW_CALL_SIP_TO_WZP);
    feed(GW_CALL_START, 1);
    feed(GW_CALL_WZP_RINGING, 2);
    assert_int_equal(feed(GW_CALL_SIP_CANCELLED, 3), 0);
    assert_int_equal(count(GW_CALL_DO_WZP_HANGUP), 1);
    assert_int_equal(count(GW_CALL_DO_SIP_HANGUP), 0);
    assert_int_equal(call.cause, GW_CAUSE_CANCELLED);
}

static void nobody_answers_within_the_ring_time(void **state)
{
    (void)state;
    begin(GW_CALL_SIP_TO_WZP);
    feed(GW_CALL_START, 0);
    feed(GW_CALL_WZP_RINGING, 5);
    gw_call_tick(&call, 999999, &eff);
    assert_int_equal(eff.count, 0);
    gw_call_tick(&call, 1000000, &eff);
    assert_int_equal(call.cause, GW_CAUSE_NO_ANSWER);
    assert_int_equal(count(GW_CALL_DO_SIP_HANGUP), 1);
    assert_int_equal(count(GW_CALL_DO_WZP_HANGUP), 1);
}

static void answered_without_a_media_path_fails(void **state)
{
    (void)state;
    begin(GW_CALL_SIP_TO_WZP);
    feed(GW_CALL_START, 0);
    feed(GW_CALL_WZP_ANSWERED, 10);
    gw_call_tick(&call, 500010, &eff);
    assert_int_equal(call.cause, GW_CAUSE_NO_PATH);
    assert_int_equal(eff.item[0].kind, GW_CALL_DO_SIP_HANGUP);
    assert_int_equal(gw_cause_row(call.cause)->sip_status, 504);
}

static void refused_call_gets_its_status_and_no_dial(void **state)
{
    (void)state;
    begin(GW_CALL_SIP_TO_WZP);
    assert_int_equal(feed_branch(GW_CALL_REFUSE, 0, GW_CAUSE_NOT_FOUND, 1), 0);
    assert_int_equal(eff.item[0].kind, GW_CALL_DO_SIP_HANGUP);
    assert_int_equal(eff.item[0].cause, GW_CAUSE_NOT_FOUND);
    assert_int_equal(count(GW_CALL_DO_WZP_DIAL), 0);
}

static void start_fork(unsigned branches)
{
    begin(GW_CALL_WZP_TO_SIP);
    assert_int_equal(gw_call_step(&call, &(struct gw_call_event){ .kind = GW_CALL_START, .branches = branches }, 1, &eff), 0);
}

static void wzp_caller_rings_all_contacts_and_losers_are_cancelled(void **state)
{
    (void)state;
    start_fork(3);
    assert_int_equal(count(GW_CALL_DO_SIP_DIAL), 3);
    feed_branch(GW_CALL_SIP_PROGRESS, 1, GW_CAUSE_NONE, 2);
    assert_int_equal(call.state, GW_CALL_RINGING);
    assert_int_equal(feed_branch(GW_CALL_SIP_ANSWERED, 1, GW_CAUSE_NONE, 3), 0);
    assert_int_equal(count(GW_CALL_DO_SIP_HANGUP), 2);
    assert_int_equal(count(GW_CALL_DO_WZP_ANSWER), 1);
    for (size_t i = 0; i < eff.count; i++)
        assert_true(eff.item[i].kind != GW_CALL_DO_SIP_HANGUP || eff.item[i].branch != 1);
    assert_int_equal(feed(GW_CALL_WZP_MEDIA_UP, 4), 0);
    assert_int_equal(count(GW_CALL_DO_SIP_ANSWER), 0);
    assert_int_equal(eff.item[0].kind, GW_CALL_DO_MEDIA_START);
    assert_int_equal(eff.item[0].branch, 1);
}

static void second_phone_that_answers_is_hung_up(void **state)
{
    (void)state;
    start_fork(2);
    feed_branch(GW_CALL_SIP_ANSWERED, 0, GW_CAUSE_NONE, 2);
    assert_int_equal(feed_branch(GW_CALL_SIP_ANSWERED, 1, GW_CAUSE_NONE, 3), 0);
    assert_int_equal(eff.count, 1);
    assert_int_equal(eff.item[0].kind, GW_CALL_DO_SIP_HANGUP);
    assert_int_equal(eff.item[0].branch, 1);
    assert_int_equal(call.state, GW_CALL_CONNECTING);
}

static void all_phones_busy_tells_busy(void **state)
{
    (void)state;
    start_fork(2);
    feed_branch(GW_CALL_SIP_FAILED, 0, GW_CAUSE_OFFLINE, 2);
    assert_int_equal(eff.count, 0);
    feed_branch(GW_CALL_SIP_FAILED, 1, GW_CAUSE_BUSY, 3);
    assert_int_equal(eff.item[0].kind, GW_CALL_DO_WZP_HANGUP);
    assert_int_equal(eff.item[0].cause, GW_CAUSE_BUSY);
}

static void decline_on_one_phone_stops_the_others(void **state)
{
    (void)state;
    start_fork(2);
    feed_branch(GW_CALL_SIP_FAILED, 0, GW_CAUSE_DECLINED, 2);
    assert_int_equal(count(GW_CALL_DO_SIP_HANGUP), 1);
    assert_int_equal(count(GW_CALL_DO_WZP_HANGUP), 1);
    assert_int_equal(call.cause, GW_CAUSE_DECLINED);
}

static void user_without_contacts_is_offline(void **state)
{
    (void)state;
    start_fork(0);
    assert_int_equal(call.cause, GW_CAUSE_OFFLINE);
    assert_int_equal(count(GW_CALL_DO_WZP_HANGUP), 1);
}

static void wzp_caller_gives_up_cancels_every_contact(void **state)
{
    (void)state;
    start_fork(4);
    feed_branch(GW_CALL_WZP_ENDED, 0, GW_CAUSE_CANCELLED, 2);
    assert_int_equal(count(GW_CALL_DO_SIP_HANGUP), 4);
    assert_int_equal(count(GW_CALL_DO_WZP_HANGUP), 0);
}

static void silence_ends_both_legs(void **state)
{
    phone_calls_and_is_answered(state);
    assert_int_equal(feed(GW_CALL_MEDIA_TIMEOUT, 9), 0);
    assert_int_equal(call.cause, GW_CAUSE_MEDIA_LOST);
    assert_int_equal(count(GW_CALL_DO_SIP_HANGUP), 1);
    assert_int_equal(count(GW_CALL_DO_WZP_HANGUP), 1);
}

static void event_without_a_place_is_named(void **state)
{
    (void)state;
    begin(GW_CALL_SIP_TO_WZP);
    assert_int_equal(feed(GW_CALL_WZP_RINGING, 1), -EPROTO);
    feed(GW_CALL_START, 1);
    assert_int_equal(feed(GW_CALL_START, 1), -EPROTO);
    assert_int_equal(feed(GW_CALL_WZP_MEDIA_UP, 1), -EPROTO);
    assert_int_equal(feed(GW_CALL_SIP_ANSWERED, 1), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phone_calls_and_is_answered),
        cmocka_unit_test(bye_from_the_phone_hangs_up_wzp_once),
        cmocka_unit_test(hangup_from_wzp_ends_the_phone_once),
        cmocka_unit_test(cancel_while_ringing_hangs_up_wzp),
        cmocka_unit_test(nobody_answers_within_the_ring_time),
        cmocka_unit_test(answered_without_a_media_path_fails),
        cmocka_unit_test(refused_call_gets_its_status_and_no_dial),
        cmocka_unit_test(wzp_caller_rings_all_contacts_and_losers_are_cancelled),
        cmocka_unit_test(second_phone_that_answers_is_hung_up),
        cmocka_unit_test(all_phones_busy_tells_busy),
        cmocka_unit_test(decline_on_one_phone_stops_the_others),
        cmocka_unit_test(user_without_contacts_is_offline),
        cmocka_unit_test(wzp_caller_gives_up_cancels_every_contact),
        cmocka_unit_test(silence_ends_both_legs),
        cmocka_unit_test(event_without_a_place_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
