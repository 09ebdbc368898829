/* gateway/trace: bounded, keeps the beginning and the end, never lets control bytes through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/trace.h"

static void full_trace_keeps_the_beginning_and_the_end(void **state)
{
    (void)state;
    struct gw_trace *trace = calloc(1, sizeof *trace);
    size_t gap;
    for (unsigned i = 0; i < 500; i++)
        gw_trace_add(trace, i, GW_TRACE_SIP, true, "message %u", i);
    assert_int_equal(gw_trace_count(trace), GW_TRACE_HEAD + GW_TRACE_TAIL);
    assert_string_equal(gw_trace_at(trace, 0, &gap)->text, "message 0");
    assert_int_equal(gap, 0);
    const struct gw_trace_entry *after = gw_trace_at(trace, GW_TRACE_HEAD, &gap);
    assert_int_equal(gap, 500 - GW_TRACE_HEAD - GW_TRACE_TAIL);
    assert_int_equal(after->at_us, 500 - GW_TRACE_TAIL);
    assert_string_equal(gw_trace_at(trace, gw_trace_count(trace) - 1, &gap)->text, "message 499");
    free(trace);
}

static void entries_are_in_order_without_a_gap_when_not_full(void **state)
{
    (void)state;
    struct gw_trace *trace = calloc(1, sizeof *trace);
    size_t gap;
    for (unsigned i = 0; i < GW_TRACE_HEAD + 7; i++)
        gw_trace_add(trace, i, GW_TRACE_WZP, false, "%u", i);
    for (unsigned i = 0; i < gw_trace_count(trace); i++) {
        assert_int_equal(gw_trace_at(trace, i, &gap)->at_us, i);
        assert_int_equal(gap, 0);
    }
    free(trace);
}

static void long_and_hostile_text_is_cut_and_cleaned(void **state)
{
    (void)state;
    struct gw_trace *trace = calloc(1, sizeof *trace);
    size_t gap;
    char peer[1000];
    memset(peer, '\x1b', sizeof peer - 1);
    peer[sizeof peer - 1] = '\0';
    gw_trace_add(trace, 1, GW_TRACE_SIP, false, "%s", peer);
    const char *text = gw_trace_at(trace, 0, &gap)->text;
    assert_int_equal(strlen(text), GW_TRACE_TEXT_MAX - 1);
    assert_null(strchr(text, '\x1b'));
    free(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_trace_keeps_the_beginning_and_the_end),
        cmocka_unit_test(entries_are_in_order_without_a_gap_when_not_full),
        cmocka_unit_test(long_and_hostile_text_is_cut_and_cleaned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
