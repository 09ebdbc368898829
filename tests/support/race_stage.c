#include "tests/support/race_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define START_US 5000000u

static void record(struct race_stage *s, const struct wzp_race_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        assert_in_range(s->count, 0, 255);
        s->did[s->count++] = effects->item[i];
    }
}

void stage_feed(struct race_stage *s, struct wzp_race_event event)
{
    struct wzp_race_effects effects;
    wzp_race_step(&s->race, &event, s->now_us, &effects);
    record(s, &effects);
}

void stage_advance_ms(struct race_stage *s, uint64_t ms)
{
    const uint64_t end_us = s->now_us + ms * 1000;
    for (uint64_t at_us; (at_us = wzp_race_deadline_us(&s->race)) <= end_us;) {
        struct wzp_race_effects effects;
        s->now_us = at_us > s->now_us ? at_us : s->now_us;
        wzp_race_tick(&s->race, s->now_us, &effects);
        record(s, &effects);
        assert_true(wzp_race_deadline_us(&s->race) > s->now_us);
    }
    s->now_us = end_us;
}

size_t stage_count_of(const struct race_stage *s, enum wzp_race_effect_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        count += s->did[i].kind == kind;
    return count;
}

const struct wzp_race_effect *stage_last_of(const struct race_stage *s, enum wzp_race_effect_kind kind)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->did[i].kind == kind)
            return &s->did[i];
    fail_msg("no effect %d", (int)kind);
    return NULL;
}

bool stage_closed(const struct race_stage *s, uint64_t link)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->did[i].kind == WZP_RACE_CLOSE_LINK && s->did[i].link == link)
            return true;
    return false;
}

struct race_stage *stage_begin(enum wzp_race_kind kind, bool nominates)
{
    struct race_stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->now_us = START_US;
    wzp_race_start(&s->race, &(struct wzp_race_config){ .kind = kind, .reports = true, .nominates = nominates },
                   s->now_us);
    return s;
}

void stage_dialled(struct race_stage *s, uint64_t link)
{
    assert_true(wzp_race_add(&s->race, link, false));
}

void stage_up(struct race_stage *s, uint64_t link)
{
    stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_UP, .link = link, .is_announced = true });
}

void stage_down(struct race_stage *s, uint64_t link)
{
    stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_DOWN, .link = link });
}

void stage_inbound(struct race_stage *s, uint64_t link, bool is_announced)
{
    assert_true(wzp_race_accepts(&s->race));
    assert_true(wzp_race_add(&s->race, link, true));
    stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_UP, .link = link, .is_announced = is_announced });
}

void stage_verified(struct race_stage *s, uint64_t link, bool nominates)
{
    stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_VERIFIED, .link = link, .nominates = nominates });
}

void stage_link_report(struct race_stage *s, uint64_t link, bool ok)
{
    stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_REPORT, .link = link, .ok = ok });
}

void stage_link_media(struct race_stage *s, uint64_t link)
{
    stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_LINK_MEDIA, .link = link });
}

void stage_peer_report(struct race_stage *s, bool ok)
{
    stage_feed(s, (struct wzp_race_event){ .kind = WZP_RACE_PEER_REPORT, .ok = ok });
}

void stage_feed_kind(struct race_stage *s, enum wzp_race_event_kind kind)
{
    stage_feed(s, (struct wzp_race_event){ .kind = kind });
}

struct race_stage *stage_direct_of_own_kind(void)
{
    struct race_stage *s = stage_begin(WZP_RACE_OWN, true);
    stage_dialled(s, 1);
    stage_feed_kind(s, WZP_RACE_RELAY_UP);
    stage_up(s, 1);
    stage_verified(s, 1, true);
    stage_link_report(s, 1, true);
    assert_true(wzp_race_is_direct(&s->race));
    return s;
}
