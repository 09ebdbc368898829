/* gateway/call under random event sequences. Invariants: a call ends exactly once, every opened leg is closed
 * exactly once by one side, media stops iff it started, nothing happens after the end, a call with time running
 * always ends. On failure the seed is printed; rerun with: test_call_random SEED */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gateway/call.h"

static uint64_t first_seed = 1;
static uint64_t seeds = 20000;

static uint32_t next(uint64_t *rng)
{
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return (uint32_t)(*rng >> 32);
}

struct world {
    struct gw_call call;
    bool sip_alive, wzp_alive;           /* what the outside world still has open */
    bool branch_alive[GW_CALL_MAX_BRANCHES];
    unsigned finished, media;
    uint64_t seed;
};

#define CHECK(w, cond)                                                        \
    do {                                                                      \
        if (!(cond)) {                                                        \
            printf("seed %llu: %s\n", (unsigned long long)(w)->seed, #cond);  \
            fail();                                                           \
        }                                                                     \
    } while (0)

static void carry_out(struct world *w, const struct gw_call_effects *eff)
{
    for (size_t i = 0; i < eff->count; i++) {
        const struct gw_call_effect *e = &eff->item[i];
        CHECK(w, w->finished == 0);
        switch (e->kind) {
        case GW_CALL_DO_WZP_DIAL:
            CHECK(w, !w->wzp_alive);
            w->wzp_alive = true;
            break;
        case GW_CALL_DO_WZP_HANGUP:
            CHECK(w, w->wzp_alive);
            w->wzp_alive = false;
            break;
        case GW_CALL_DO_WZP_ANSWER:
            CHECK(w, w->wzp_alive);
            break;
        case GW_CALL_DO_SIP_DIAL:
            CHECK(w, !w->branch_alive[e->branch]);
            w->branch_alive[e->branch] = true;
            break;
        case GW_CALL_DO_SIP_HANGUP:
            if (w->call.direction == GW_CALL_SIP_TO_WZP) {
                CHECK(w, w->sip_alive);
                w->sip_alive = false;
            } else {
                CHECK(w, w->branch_alive[e->branch]);
                w->branch_alive[e->branch] = false;
            }
            break;
        case GW_CALL_DO_SIP_RING:
        case GW_CALL_DO_SIP_ANSWER:
            CHECK(w, w->sip_alive);
            break;
        case GW_CALL_DO_MEDIA_START:
            CHECK(w, w->media == 0);
            w->media++;
            break;
        case GW_CALL_DO_MEDIA_STOP:
            CHECK(w, w->media == 1);
            w->media--;
            break;
        case GW_CALL_DO_FINISHED:
            w->finished++;
            break;
        }
    }
}

static void random_event(struct world *w, uint64_t *rng, uint64_t now_us)
{
    struct gw_call_effects eff;
    struct gw_call_event event = {
        .kind = (enum gw_call_event_kind)(next(rng) % GW_CALL_EVENT_COUNT),
        .cause = (enum gw_cause)(1 + next(rng) % (GW_CAUSE_COUNT - 1)),
        .branch = next(rng) % GW_CALL_MAX_BRANCHES,
        .branches = next(rng) % (GW_CALL_MAX_BRANCHES + 2),
    };
    /* The outside world only tells what can happen to it; a leg that ends is gone before we hear of it. */
    bool sip_caller = w->call.direction == GW_CALL_SIP_TO_WZP;
    bool ends_sip = event.kind == GW_CALL_SIP_CANCELLED || event.kind == GW_CALL_SIP_ENDED ||
                    event.kind == GW_CALL_SIP_FAILED;
    if (event.kind == GW_CALL_WZP_ENDED) {
        if (!w->wzp_alive)
            return;
        w->wzp_alive = false;
    } else if (ends_sip && sip_caller) {
        if (!w->sip_alive)
            return;
        w->sip_alive = false;
    } else if (ends_sip) {
        if (!w->branch_alive[event.branch] || event.kind == GW_CALL_SIP_CANCELLED)
            return;
        w->branch_alive[event.branch] = false;
    } else if (event.kind == GW_CALL_SIP_ANSWERED && !w->branch_alive[event.branch]) {
        return;
    }
    bool over = w->finished != 0;
    gw_call_step(&w->call, &event, now_us, &eff);
    if (over)
        CHECK(w, eff.count == 0);
    carry_out(w, &eff);
}

static void one_seed(uint64_t seed)
{
    uint64_t rng = seed * 0x9e3779b97f4a7c15u + 1, now_us = 1;
    struct world w = { .seed = seed };
    struct gw_call_effects eff;
    enum gw_call_direction direction = next(&rng) % 2 ? GW_CALL_SIP_TO_WZP : GW_CALL_WZP_TO_SIP;
    gw_call_init(&w.call, &(struct gw_call_config){ .direction = direction });
    w.sip_alive = direction == GW_CALL_SIP_TO_WZP;
    w.wzp_alive = direction == GW_CALL_WZP_TO_SIP;
    gw_call_step(&w.call, &(struct gw_call_event){ .kind = GW_CALL_START, .branches = next(&rng) % 5 }, now_us, &eff);
    carry_out(&w, &eff);
    for (unsigned steps = next(&rng) % 40; steps; steps--) {
        now_us += next(&rng) % 5000000;
        gw_call_tick(&w.call, now_us, &eff);
        carry_out(&w, &eff);
        random_event(&w, &rng, now_us);
    }
    if (!w.finished && w.call.state == GW_CALL_UP) {
        gw_call_step(&w.call, &(struct gw_call_event){ .kind = GW_CALL_HANG_UP, .cause = GW_CAUSE_OPERATOR }, now_us, &eff);
        carry_out(&w, &eff);
    }
    while (!w.finished) { /* timers alone must end it */
        CHECK(&w, gw_call_deadline_us(&w.call) != UINT64_MAX);
        now_us = gw_call_deadline_us(&w.call);
        gw_call_tick(&w.call, now_us, &eff);
        carry_out(&w, &eff);
    }
    CHECK(&w, w.finished == 1 && !w.sip_alive && !w.wzp_alive && w.media == 0);
    for (unsigned i = 0; i < GW_CALL_MAX_BRANCHES; i++)
        CHECK(&w, !w.branch_alive[i]);
}

static void random_calls_end_once_and_close_every_leg(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++)
        one_seed(seed);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = 1;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_calls_end_once_and_close_every_leg) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
