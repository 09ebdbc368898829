/* Which codec to send now: the configured one, lowered while reports say that the path does not carry it, never raised
 * above it. Joins wzp/core/quality with what a relay directs. A path that is long but does not lose, and is not getting
 * longer, carries as much as a short one: distance alone lowers nothing, unless GW_ADAPT_REFERENCE asks for it.
 * Plain data, sans-IO. Spec: docs/wzp-wire.md "Quality", docs/decisions/0010. */
#ifndef GATEWAY_MEDIA_ADAPTIVE_H
#define GATEWAY_MEDIA_ADAPTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/core/quality.h"

enum gw_adapt {
    GW_ADAPT_CONGESTION, /**< by loss, and by the round trip as far as it has grown */
    GW_ADAPT_REFERENCE,  /**< by loss and the round trip itself, as the reference's clients do */
    GW_ADAPT_OFF,        /**< reports and directives change nothing */
};

/** The round trips that one end reported in the last 30 to 60 seconds. */
struct gw_rtt_range {
    bool is_known;
    uint64_t window_until_us;
    uint8_t least_4ms[2], most_4ms[2]; /**< of this window and of the one before */
};

struct gw_adaptive {
    enum gw_adapt mode;
    bool is_room; /**< set after init: several peers report in turns, and nobody can tell their round trips apart */
    enum wzp_codec ceiling;
    struct wzp_quality quality;
    struct wzp_quality_report own; /**< newest figures of our own, as they are judged; zeros: none */
    struct gw_rtt_range own_rtt, peer_rtt;
    uint64_t peer_until_us; /**< the peer's reports set the pace until then */
    bool has_directive;
    enum wzp_codec directed;
};

/** Starts at the configured codec's own tier: nothing is known against it. */
void gw_adaptive_init(struct gw_adaptive *adaptive, enum wzp_codec ceiling, enum gw_adapt mode, uint64_t now_us);
/** A report came from the peer: judged together with our own newest figures, the worse of each. True when the codec to
 *  send has changed. */
bool gw_adaptive_peer_report(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us);
/** Our own figures of the path, as often as we report them; they are judged alone while the peer reports nothing. */
bool gw_adaptive_own_report(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us);
/** A relay recommends this for everyone in the room; it holds until the next one. With GW_ADAPT_CONGESTION it lifts the
 *  limit of the one before and sets none, if the round trips that we know of explain it: the loss and the growth that
 *  the relay sees are in the reports that we see. True when the codec has changed. */
bool gw_adaptive_directive(struct gw_adaptive *adaptive, const struct wzp_profile *profile);
/** Media takes another path: round trips start anew, and what the old path's relay said is void. */
void gw_adaptive_path_changed(struct gw_adaptive *adaptive);
enum wzp_codec gw_adaptive_codec(const struct gw_adaptive *adaptive);
/** Does the path itself, rather than the configuration, ask for the low rates? */
bool gw_adaptive_is_degraded(const struct gw_adaptive *adaptive);

#endif
