#include "gateway/trace.h"

#include <stdarg.h>
#include <stdio.h>

static void clean(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
    }
}

void gw_trace_add(struct gw_trace *trace, uint64_t wall_us, enum gw_trace_party party, bool outgoing, const char *fmt,
                  ...)
{
    struct gw_trace_entry *entry = trace->total < GW_TRACE_HEAD
                                       ? &trace->head[trace->total]
                                       : &trace->tail[(trace->total - GW_TRACE_HEAD) % GW_TRACE_TAIL];
    va_list args;
    entry->at_us = wall_us;
    entry->party = party;
    entry->outgoing = outgoing;
    va_start(args, fmt);
    (void)vsnprintf(entry->text, sizeof entry->text, fmt, args); /* cut on purpose */
    va_end(args);
    clean(entry->text);
    trace->total++;
}

size_t gw_trace_count(const struct gw_trace *trace)
{
    return trace->total < GW_TRACE_HEAD + GW_TRACE_TAIL ? trace->total : GW_TRACE_HEAD + GW_TRACE_TAIL;
}

const struct gw_trace_entry *gw_trace_at(const struct gw_trace *trace, size_t index, size_t *ret_dropped_before)
{
    size_t dropped = trace->total - gw_trace_count(trace);
    *ret_dropped_before = index == GW_TRACE_HEAD ? dropped : 0;
    if (index < GW_TRACE_HEAD)
        return &trace->head[index];
    return &trace->tail[(index - GW_TRACE_HEAD + dropped) % GW_TRACE_TAIL];
}

const char *gw_trace_party_name(enum gw_trace_party party)
{
    static const char *const names[] = { "call", "sip", "wzp", "media" };
    return (unsigned)party < sizeof names / sizeof names[0] ? names[party] : "?";
}
