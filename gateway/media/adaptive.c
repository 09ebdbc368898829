#include "gateway/media/adaptive.h"

/** Peers report once a second; after this long without one they do not. */
#define PEER_REPORTS_US 3000000u
/** Growth that outlasts two of these is the path's new length: sending less did not help. */
#define RTT_WINDOW_US 30000000u

/* Higher bit rate, better sound; comfort noise is nothing to send with. */
static enum wzp_codec lower(enum wzp_codec a, enum wzp_codec b)
{
    return wzp_codec_bitrate_bps(a) < wzp_codec_bitrate_bps(b) ? a : b;
}

static enum wzp_tier tier_of(enum wzp_codec codec)
{
    switch (codec) {
    case WZP_CODEC_OPUS_64K:
        return WZP_TIER_STUDIO_64K;
    case WZP_CODEC_OPUS_48K:
        return WZP_TIER_STUDIO_48K;
    case WZP_CODEC_OPUS_32K:
        return WZP_TIER_STUDIO_32K;
    default:
        return WZP_TIER_GOOD; /* lower ones are the ceiling's choice, not the path's */
    }
}

void gw_adaptive_init(struct gw_adaptive *adaptive, enum wzp_codec ceiling, enum gw_adapt mode, uint64_t now_us)
{
    *adaptive = (struct gw_adaptive){ .mode = mode, .ceiling = ceiling };
    wzp_quality_init(&adaptive->quality, false, now_us);
    adaptive->quality.tier = tier_of(ceiling);
}

/* ---- how long the path is, and how much longer it has become ---- */

static uint8_t worse(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

static void range_take(struct gw_rtt_range *range, uint8_t rtt_4ms, uint64_t now_us)
{
    if (!range->is_known || now_us >= range->window_until_us + RTT_WINDOW_US) {
        *range = (struct gw_rtt_range){ .is_known = true,
                                        .window_until_us = now_us + RTT_WINDOW_US,
                                        .least_4ms = { rtt_4ms, rtt_4ms },
                                        .most_4ms = { rtt_4ms, rtt_4ms } };
    } else if (now_us >= range->window_until_us) {
        range->window_until_us += RTT_WINDOW_US;
        range->least_4ms[1] = range->least_4ms[0];
        range->most_4ms[1] = range->most_4ms[0];
        range->least_4ms[0] = range->most_4ms[0] = rtt_4ms;
    }
    range->most_4ms[0] = worse(range->most_4ms[0], rtt_4ms);
    if (rtt_4ms < range->least_4ms[0])
        range->least_4ms[0] = rtt_4ms;
}

static uint8_t range_least(const struct gw_rtt_range *range)
{
    return range->least_4ms[0] < range->least_4ms[1] ? range->least_4ms[0] : range->least_4ms[1];
}

static uint8_t range_most(const struct gw_rtt_range *range)
{
    return worse(range->most_4ms[0], range->most_4ms[1]);
}

/** The report as it is judged: with the round trip that has been added, which is queues, not distance. */
static struct wzp_quality_report judged(const struct gw_adaptive *adaptive, struct gw_rtt_range *range,
                                        const struct wzp_quality_report *report, uint64_t now_us)
{
    struct wzp_quality_report ret = *report;

    range_take(range, report->rtt_4ms, now_us);
    if (adaptive->mode == GW_ADAPT_CONGESTION)
        ret.rtt_4ms = (uint8_t)(report->rtt_4ms - range_least(range));
    return ret;
}

/* ---- reports and directives ---- */

static bool judge(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us)
{
    const enum wzp_codec before = gw_adaptive_codec(adaptive);

    (void)wzp_quality_report(&adaptive->quality, report, now_us); /* what counts is what we send */
    return gw_adaptive_codec(adaptive) != before;
}

bool gw_adaptive_peer_report(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us)
{
    /* Fed in turns, a good and a bad end would cancel out for ever. */
    struct wzp_quality_report both = judged(adaptive, &adaptive->peer_rtt, report, now_us);

    if (adaptive->mode == GW_ADAPT_CONGESTION && adaptive->is_room)
        both.rtt_4ms = 0; /* the difference between two peers is no growth */
    both.loss = worse(both.loss, adaptive->own.loss);
    both.rtt_4ms = worse(both.rtt_4ms, adaptive->own.rtt_4ms);
    both.jitter_ms = worse(both.jitter_ms, adaptive->own.jitter_ms);
    adaptive->peer_until_us = now_us + PEER_REPORTS_US;
    return judge(adaptive, &both, now_us);
}

bool gw_adaptive_own_report(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us)
{
    adaptive->own = judged(adaptive, &adaptive->own_rtt, report, now_us);
    return now_us >= adaptive->peer_until_us && judge(adaptive, &adaptive->own, now_us);
}

/** Would a relay that goes by the round trip itself direct this, or less, without any loss? */
static bool distance_explains(const struct gw_adaptive *adaptive, enum wzp_codec directed)
{
    const struct wzp_quality_report distance = {
        .rtt_4ms = worse(range_most(&adaptive->own_rtt), range_most(&adaptive->peer_rtt)),
    };
    const enum wzp_codec by_distance = wzp_tier_profile(wzp_quality_classify(&distance, false))->codec;

    return wzp_codec_bitrate_bps(by_distance) <= wzp_codec_bitrate_bps(directed);
}

bool gw_adaptive_directive(struct gw_adaptive *adaptive, const struct wzp_profile *profile)
{
    const enum wzp_codec before = gw_adaptive_codec(adaptive);

    if (profile->codec == WZP_CODEC_COMFORT_NOISE)
        return false;
    adaptive->has_directive = adaptive->mode != GW_ADAPT_CONGESTION || !distance_explains(adaptive, profile->codec);
    adaptive->directed = profile->codec;
    return gw_adaptive_codec(adaptive) != before;
}

void gw_adaptive_path_changed(struct gw_adaptive *adaptive)
{
    adaptive->own_rtt = adaptive->peer_rtt = (struct gw_rtt_range){ 0 };
    adaptive->own = (struct wzp_quality_report){ 0 };
    adaptive->has_directive = false;
}

enum wzp_codec gw_adaptive_codec(const struct gw_adaptive *adaptive)
{
    enum wzp_codec codec = adaptive->ceiling;

    if (adaptive->mode == GW_ADAPT_OFF)
        return codec;
    codec = lower(codec, wzp_tier_profile(wzp_quality_tier(&adaptive->quality))->codec);
    return adaptive->has_directive ? lower(codec, adaptive->directed) : codec;
}

bool gw_adaptive_is_degraded(const struct gw_adaptive *adaptive)
{
    if (adaptive->mode == GW_ADAPT_OFF)
        return false;
    return wzp_quality_tier(&adaptive->quality) <= WZP_TIER_DEGRADED ||
           (adaptive->has_directive &&
            wzp_codec_bitrate_bps(adaptive->directed) <= wzp_codec_bitrate_bps(WZP_CODEC_OPUS_6K));
}
