/* Which codec to send now: the configured one, lowered while reports say that the path does not carry it, never raised
 * above it. Joins wzp/core/quality with what a relay directs. Plain data, sans-IO. Spec: docs/wzp-wire.md "Quality". */
#ifndef GATEWAY_MEDIA_ADAPTIVE_H
#define GATEWAY_MEDIA_ADAPTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/core/quality.h"

struct gw_adaptive {
    bool is_fixed; /**< reports and directives change nothing */
    enum wzp_codec ceiling;
    struct wzp_quality quality;
    struct wzp_quality_report own; /**< newest figures of our own; zeros: none */
    uint64_t peer_until_us;        /**< the peer's reports set the pace until then */
    bool has_directive;
    enum wzp_codec directed;
};

/** Starts at the configured codec's own tier: nothing is known against it. */
void gw_adaptive_init(struct gw_adaptive *adaptive, enum wzp_codec ceiling, bool is_fixed, uint64_t now_us);
/** A report came from the peer: judged together with our own newest figures, the worse of each. True when the codec to
 *  send has changed. */
bool gw_adaptive_peer_report(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us);
/** Our own figures of the path, as often as we report them; they are judged alone while the peer reports nothing. */
bool gw_adaptive_own_report(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us);
/** A relay recommends this for everyone in the room; it holds until the next one. True when the codec has changed. */
bool gw_adaptive_directive(struct gw_adaptive *adaptive, const struct wzp_profile *profile);
enum wzp_codec gw_adaptive_codec(const struct gw_adaptive *adaptive);
/** Does the path itself, rather than the configuration, ask for the low rates? */
bool gw_adaptive_is_degraded(const struct gw_adaptive *adaptive);

#endif
