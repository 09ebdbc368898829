/* The bounded record of one call: messages, state changes and counters on one time line. When it is full the middle
 * is dropped: how a call began and how it ended explain most faults. Pure. Thread: the owner's. */
#ifndef GATEWAY_TRACE_H
#define GATEWAY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_TRACE_HEAD     48 /**< first entries, kept for ever */
#define GW_TRACE_TAIL     48 /**< newest entries */
#define GW_TRACE_TEXT_MAX 120

enum gw_trace_party {
    GW_TRACE_CALL, /**< the call's own state changes */
    GW_TRACE_SIP,
    GW_TRACE_WZP,
    GW_TRACE_MEDIA,
};

struct gw_trace_entry {
    uint64_t at_us; /**< wall clock */
    enum gw_trace_party party;
    bool outgoing; /**< gateway to party */
    char text[GW_TRACE_TEXT_MAX];
};

struct gw_trace {
    size_t total; /**< entries ever added */
    struct gw_trace_entry head[GW_TRACE_HEAD];
    struct gw_trace_entry tail[GW_TRACE_TAIL];
};

/** Add a line, cut at GW_TRACE_TEXT_MAX, control bytes replaced. */
void gw_trace_add(struct gw_trace *trace, uint64_t wall_us, enum gw_trace_party party, bool outgoing, const char *fmt,
                  ...) __attribute__((format(printf, 5, 6)));
/** Entries that can be read now. */
size_t gw_trace_count(const struct gw_trace *trace);
/** The index-th kept entry, oldest first. ret_dropped_before: entries lost just before it (0 but at the gap). */
const struct gw_trace_entry *gw_trace_at(const struct gw_trace *trace, size_t index, size_t *ret_dropped_before);
const char *gw_trace_party_name(enum gw_trace_party party);

#endif
