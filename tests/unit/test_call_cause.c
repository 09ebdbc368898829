/* gateway/cause: a test per row of the table between SIP, Q.850 and WZP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/cause.h"

static void every_cause_has_its_own_row_and_a_final_status(void **state)
{
    (void)state;
    for (int i = 0; i < GW_CAUSE_COUNT; i++) {
        const struct gw_cause_row *row = gw_cause_row((enum gw_cause)i);
        assert_int_equal(row->cause, i);
        assert_in_range(row->sip_status, 400, 699);
        assert_in_range(row->q850, 1, 127);
    }
    assert_int_equal(gw_cause_row((enum gw_cause)999)->cause, GW_CAUSE_INTERNAL);
}

static void wzp_hangup_reads_as_the_design_says(void **state)
{
    (void)state;
    static const struct {
        enum gw_wzp_say say;
        int ringing;
        unsigned status;
    } row[] = {
        { GW_WZP_NORMAL, 0, 480 }, { GW_WZP_BUSY, 1, 486 },   { GW_WZP_DECLINED, 1, 603 },
        { GW_WZP_TIMEOUT, 1, 408 }, { GW_WZP_NORMAL, 1, 603 }, { GW_WZP_ERROR, 1, 480 },
        { GW_WZP_DECLINED, 0, 480 }, { GW_WZP_BUSY, 0, 486 },
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        enum gw_cause cause = gw_cause_from_wzp(row[i].say, row[i].ringing, 0);
        assert_int_equal(gw_cause_row(cause)->sip_status, row[i].status);
    }
    assert_int_equal(gw_cause_from_wzp(GW_WZP_NORMAL, 1, 1), GW_CAUSE_NORMAL);
}

static void sip_refusals_keep_their_meaning_in_wzp(void **state)
{
    (void)state;
    assert_int_equal(gw_cause_row(gw_cause_from_sip(486, 0))->wzp, GW_WZP_BUSY);
    assert_int_equal(gw_cause_row(gw_cause_from_sip(600, 0))->wzp, GW_WZP_BUSY);
    assert_int_equal(gw_cause_row(gw_cause_from_sip(603, 0))->wzp, GW_WZP_DECLINED);
    assert_int_equal(gw_cause_row(gw_cause_from_sip(408, 0))->wzp, GW_WZP_TIMEOUT);
    assert_int_equal(gw_cause_from_sip(480, 0), GW_CAUSE_OFFLINE);
    assert_int_equal(gw_cause_from_sip(488, 0), GW_CAUSE_NO_CODEC);
    assert_int_equal(gw_cause_from_sip(500, 0), GW_CAUSE_INTERNAL);
}

static void reason_header_beats_a_vague_status(void **state)
{
    (void)state;
    assert_int_equal(gw_cause_from_sip(480, 17), GW_CAUSE_BUSY);
    assert_int_equal(gw_cause_from_sip(480, 19), GW_CAUSE_NO_ANSWER);
    assert_int_equal(gw_cause_from_sip(500, 21), GW_CAUSE_DECLINED);
    assert_int_equal(gw_cause_from_sip(486, 21), GW_CAUSE_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cause_has_its_own_row_and_a_final_status),
        cmocka_unit_test(wzp_hangup_reads_as_the_design_says),
        cmocka_unit_test(sip_refusals_keep_their_meaning_in_wzp),
        cmocka_unit_test(reason_header_beats_a_vague_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
