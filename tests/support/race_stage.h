/* A race alone: a virtual clock, and a record of what it wants done. */
#ifndef TESTS_SUPPORT_RACE_STAGE_H
#define TESTS_SUPPORT_RACE_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/core/race.h"

/** did: since the test set count to 0, oldest first. */
struct race_stage {
    struct wzp_race race;
    uint64_t now_us;
    size_t count;
    struct wzp_race_effect did[256];
};

/** One event, now. */
void stage_feed(struct race_stage *s, struct wzp_race_event event);
/** Go to now + ms, running each timer at its moment. */
void stage_advance_ms(struct race_stage *s, uint64_t ms);
/** Effects of this kind, and the last of them; fails the test when there is none. */
size_t stage_count_of(const struct race_stage *s, enum wzp_race_effect_kind kind);
const struct wzp_race_effect *stage_last_of(const struct race_stage *s, enum wzp_race_effect_kind kind);
/** A CLOSE_LINK of this one. */
bool stage_closed(const struct race_stage *s, uint64_t link);
/** A race that may report. free() ends it. */
struct race_stage *stage_begin(enum wzp_race_kind kind, bool nominates);
/** A dial begins; a connection is complete, from an announced address; it is gone. */
void stage_dialled(struct race_stage *s, uint64_t link);
void stage_up(struct race_stage *s, uint64_t link);
void stage_down(struct race_stage *s, uint64_t link);
/** An accepted connection. Fails the test when it is not welcome. */
void stage_inbound(struct race_stage *s, uint64_t link, bool is_announced);
void stage_verified(struct race_stage *s, uint64_t link, bool nominates);
void stage_link_report(struct race_stage *s, uint64_t link, bool ok);
/** A datagram on this one, which is not in use. */
void stage_link_media(struct race_stage *s, uint64_t link);
void stage_peer_report(struct race_stage *s, bool ok);
/** An event without more to it. */
void stage_feed_kind(struct race_stage *s, enum wzp_race_event_kind kind);
/** Verified on link 1, nominated by us and confirmed; the relay's leg is up before. */
struct race_stage *stage_direct_of_own_kind(void);

#endif
