#include "wzp/core/quality.h"

#define TIER_TOP WZP_TIER_STUDIO_64K

#define WORSE_NEEDED          3u
#define WORSE_NEEDED_CELLULAR 2u
#define BETTER_NEEDED         5u
#define BETTER_NEEDED_GOOD    10u /**< from Good on a step up costs bandwidth that may not be there */

#define SECOND_US        UINT64_C(1000000)
#define PROBE_CALM_US    (30 * SECOND_US)
#define PROBE_LENGTH_US  (5 * SECOND_US)
#define PROBE_PENALTY_US (60 * SECOND_US + PROBE_CALM_US)
#define PROBE_BAD_MAX    1u

#define LOSS_NEVER 101u /**< percent: only the round trip decides */

/** The worst tier comes first; a report gets the first whose loss or round trip it reaches. */
struct tier_limit {
    enum wzp_tier tier;
    unsigned loss_pct, rtt_ms;
};

static const struct tier_limit default_limits[] = {
    { WZP_TIER_CATASTROPHIC, 15, 200 }, { WZP_TIER_DEGRADED, 5, 100 },           { WZP_TIER_GOOD, 2, 80 },
    { WZP_TIER_STUDIO_32K, 1, 50 },     { WZP_TIER_STUDIO_48K, LOSS_NEVER, 30 },
};

/** Here a limit must be exceeded, not reached. */
static const struct tier_limit cellular_limits[] = {
    { WZP_TIER_CATASTROPHIC, 25, 500 },
    { WZP_TIER_DEGRADED, 8, 300 },
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static enum wzp_tier classify_default(unsigned loss_scaled, unsigned rtt_ms)
{
    for (size_t i = 0; i < COUNT(default_limits); i++) {
        const struct tier_limit *limit = &default_limits[i];
        if (loss_scaled >= limit->loss_pct * UINT8_MAX || rtt_ms >= limit->rtt_ms)
            return limit->tier;
    }
    return TIER_TOP;
}

static enum wzp_tier classify_cellular(unsigned loss_scaled, unsigned rtt_ms)
{
    for (size_t i = 0; i < COUNT(cellular_limits); i++) {
        const struct tier_limit *limit = &cellular_limits[i];
        if (loss_scaled > limit->loss_pct * UINT8_MAX || rtt_ms > limit->rtt_ms)
            return limit->tier;
    }
    return WZP_TIER_GOOD;
}

enum wzp_tier wzp_quality_classify(const struct wzp_quality_report *report, bool is_cellular)
{
    unsigned loss_scaled = report->loss * 100u; /* percent times 255, so nothing is rounded */
    unsigned rtt_ms = report->rtt_4ms * 4u;

    return is_cellular ? classify_cellular(loss_scaled, rtt_ms) : classify_default(loss_scaled, rtt_ms);
}

void wzp_quality_init(struct wzp_quality *quality, bool is_cellular, uint64_t now_us)
{
    *quality = (struct wzp_quality){ .is_cellular = is_cellular, .tier = WZP_TIER_GOOD, .calm_since_us = now_us };
}

enum wzp_tier wzp_quality_tier(const struct wzp_quality *quality)
{
    return quality->is_probing ? quality->tier + 1 : quality->tier;
}

static void settle(struct wzp_quality *quality, enum wzp_tier tier, uint64_t now_us)
{
    quality->tier = tier;
    quality->worse = quality->better = 0;
    quality->is_probing = false;
    quality->calm_since_us = now_us;
}

static void count(struct wzp_quality *quality, enum wzp_tier seen, uint64_t now_us)
{
    quality->worse = seen < quality->tier ? quality->worse + 1 : 0;
    quality->better = seen > quality->tier ? quality->better + 1 : 0;
    if (quality->worse)
        quality->calm_since_us = now_us;
}

/** Whether enough reports in a row moved the settled tier. */
static bool follow_reports(struct wzp_quality *quality, enum wzp_tier seen, uint64_t now_us)
{
    unsigned worse_needed = quality->is_cellular ? WORSE_NEEDED_CELLULAR : WORSE_NEEDED;
    unsigned better_needed = quality->tier >= WZP_TIER_GOOD ? BETTER_NEEDED_GOOD : BETTER_NEEDED;

    if (quality->worse >= worse_needed)
        settle(quality, seen, now_us);
    else if (quality->better >= better_needed)
        settle(quality, quality->tier + 1, now_us);
    else
        return false;
    return true;
}

static void judge_probe(struct wzp_quality *quality, enum wzp_tier seen, uint64_t now_us)
{
    if (seen < wzp_quality_tier(quality))
        quality->probe_bad++;
    if (quality->probe_bad > PROBE_BAD_MAX) {
        quality->is_probing = false;
        quality->probe_not_before_us = now_us + PROBE_PENALTY_US;
    } else if (now_us >= quality->probe_until_us) {
        settle(quality, wzp_quality_tier(quality), now_us);
    }
}

/** Cellular links are never probed: their table knows nothing above Good. */
static bool may_probe(const struct wzp_quality *quality, uint64_t now_us)
{
    return !quality->is_cellular && quality->tier < TIER_TOP && now_us >= quality->probe_not_before_us &&
           now_us - quality->calm_since_us >= PROBE_CALM_US;
}

bool wzp_quality_report(struct wzp_quality *quality, const struct wzp_quality_report *report, uint64_t now_us)
{
    const enum wzp_tier before = wzp_quality_tier(quality);
    const enum wzp_tier seen = wzp_quality_classify(report, quality->is_cellular);

    count(quality, seen, now_us);
    if (!follow_reports(quality, seen, now_us)) {
        if (quality->is_probing) {
            judge_probe(quality, seen, now_us);
        } else if (may_probe(quality, now_us)) {
            quality->is_probing = true;
            quality->probe_bad = 0;
            quality->probe_until_us = now_us + PROBE_LENGTH_US;
        }
    }
    return wzp_quality_tier(quality) != before;
}

static const struct {
    const char *name;
    const struct wzp_profile *profile;
} tiers[] = {
    [WZP_TIER_CATASTROPHIC] = { "Catastrophic", &wzp_profile_catastrophic },
    [WZP_TIER_DEGRADED] = { "Degraded", &wzp_profile_degraded },
    [WZP_TIER_GOOD] = { "Good", &wzp_profile_good },
    [WZP_TIER_STUDIO_32K] = { "Studio32k", &wzp_profile_studio_32k },
    [WZP_TIER_STUDIO_48K] = { "Studio48k", &wzp_profile_studio_48k },
    [WZP_TIER_STUDIO_64K] = { "Studio64k", &wzp_profile_studio_64k },
};

const struct wzp_profile *wzp_tier_profile(enum wzp_tier tier)
{
    return tiers[tier].profile;
}

const char *wzp_tier_name(enum wzp_tier tier)
{
    return (size_t)tier < COUNT(tiers) ? tiers[tier].name : "unknown";
}
