/* The adaptive quality controller: reports of loss and delay in, a profile out. The same one judges a call's path in
 * clients and a room's weakest participant in the relay. Pure, plain data. Spec: docs/wzp-wire.md "Quality". */
#ifndef WZP_CORE_QUALITY_H
#define WZP_CORE_QUALITY_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/core/media.h"
#include "wzp/core/signal.h"

enum wzp_tier { /* worse is smaller */
                WZP_TIER_CATASTROPHIC,
                WZP_TIER_DEGRADED,
                WZP_TIER_GOOD,
                WZP_TIER_STUDIO_32K,
                WZP_TIER_STUDIO_48K,
                WZP_TIER_STUDIO_64K,
};

struct wzp_quality {
    bool is_cellular;
    enum wzp_tier tier;     /**< settled; wzp_quality_tier() says which one to use */
    unsigned worse, better; /**< reports in a row */
    bool is_probing;        /**< the next tier is being tried */
    unsigned probe_bad;
    uint64_t calm_since_us; /**< no worse report and no transition since */
    uint64_t probe_until_us, probe_not_before_us;
};

void wzp_quality_init(struct wzp_quality *quality, bool is_cellular, uint64_t now_us);
/** Takes one report. True when the profile to use has changed. */
bool wzp_quality_report(struct wzp_quality *quality, const struct wzp_quality_report *report, uint64_t now_us);
/** The tier to use now (a probe's, while one runs). */
enum wzp_tier wzp_quality_tier(const struct wzp_quality *quality);
/** What one report alone says. */
enum wzp_tier wzp_quality_classify(const struct wzp_quality_report *report, bool is_cellular);
const struct wzp_profile *wzp_tier_profile(enum wzp_tier tier);
/** "Catastrophic", "Degraded", "Good", "Studio32k", "Studio48k", "Studio64k". */
const char *wzp_tier_name(enum wzp_tier tier);

#endif
