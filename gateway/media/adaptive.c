#include "gateway/media/adaptive.h"

/** Peers report once a second; after this long without one they do not. */
#define PEER_REPORTS_US 3000000u

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

void gw_adaptive_init(struct gw_adaptive *adaptive, enum wzp_codec ceiling, bool is_fixed, uint64_t now_us)
{
    *adaptive = (struct gw_adaptive){ .is_fixed = is_fixed, .ceiling = ceiling };
    wzp_quality_init(&adaptive->quality, false, now_us);
    adaptive->quality.tier = tier_of(ceiling);
}

static bool judge(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us)
{
    const enum wzp_codec before = gw_adaptive_codec(adaptive);

    (void)wzp_quality_report(&adaptive->quality, report, now_us); /* what counts is what we send */
    return gw_adaptive_codec(adaptive) != before;
}

static uint8_t worse(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

bool gw_adaptive_peer_report(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us)
{
    /* Fed in turns, a good and a bad end would cancel out for ever. */
    const struct wzp_quality_report both = {
        .loss = worse(report->loss, adaptive->own.loss),
        .rtt_4ms = worse(report->rtt_4ms, adaptive->own.rtt_4ms),
        .jitter_ms = worse(report->jitter_ms, adaptive->own.jitter_ms),
        .bitrate_cap_kbps = report->bitrate_cap_kbps,
    };

    adaptive->peer_until_us = now_us + PEER_REPORTS_US;
    return judge(adaptive, &both, now_us);
}

bool gw_adaptive_own_report(struct gw_adaptive *adaptive, const struct wzp_quality_report *report, uint64_t now_us)
{
    adaptive->own = *report;
    return now_us >= adaptive->peer_until_us && judge(adaptive, report, now_us);
}

bool gw_adaptive_directive(struct gw_adaptive *adaptive, const struct wzp_profile *profile)
{
    const enum wzp_codec before = gw_adaptive_codec(adaptive);

    if (profile->codec == WZP_CODEC_COMFORT_NOISE)
        return false;
    adaptive->has_directive = true;
    adaptive->directed = profile->codec;
    return gw_adaptive_codec(adaptive) != before;
}

enum wzp_codec gw_adaptive_codec(const struct gw_adaptive *adaptive)
{
    enum wzp_codec codec = adaptive->ceiling;

    if (adaptive->is_fixed)
        return codec;
    codec = lower(codec, wzp_tier_profile(wzp_quality_tier(&adaptive->quality))->codec);
    return adaptive->has_directive ? lower(codec, adaptive->directed) : codec;
}

bool gw_adaptive_is_degraded(const struct gw_adaptive *adaptive)
{
    if (adaptive->is_fixed)
        return false;
    return wzp_quality_tier(&adaptive->quality) <= WZP_TIER_DEGRADED ||
           (adaptive->has_directive &&
            wzp_codec_bitrate_bps(adaptive->directed) <= wzp_codec_bitrate_bps(WZP_CODEC_OPUS_6K));
}
