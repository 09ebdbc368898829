/* What to send towards WZP: the profile, and the reports that decide it. */
#include <errno.h>

#include "gateway/media/bridge_internal.h"

/** Digits must survive: below this bit rate the profile is raised while they sound. */
#define TONE_BITRATE_MIN 16000
#define TONE_PROFILE     WZP_CODEC_OPUS_24K

enum wzp_codec bridge_codec_now(const struct gw_bridge *b)
{
    const enum wzp_codec codec = gw_adaptive_codec(&b->adaptive);

    if (gw_tone_is_active(&b->tone) && wzp_codec_bitrate_bps(codec) < TONE_BITRATE_MIN)
        return TONE_PROFILE;
    return codec;
}

bool bridge_must_encode(const struct gw_bridge *b)
{
    return !wzp_codec_is_opus(b->config.wzp.profile) || gw_adaptive_is_degraded(&b->adaptive);
}

int gw_bridge_set_profile(struct gw_bridge *bridge, const struct gw_wzp_params *params)
{
    if (!gw_wzp_tx_can_send(params->profile) || params->complexity > 10)
        return -EINVAL;
    bridge->config.wzp = *params; /* the frame being collected keeps its codec */
    gw_adaptive_init(&bridge->adaptive, params->profile, params->adapt, bridge->now_us);
    gw_wzp_tx_set_complexity(bridge->codecs.to_wzp, params->complexity);
    return 0;
}

void gw_bridge_quality_directive(struct gw_bridge *bridge, const struct wzp_profile *profile)
{
    (void)gw_adaptive_directive(&bridge->adaptive, profile); /* the next frame asks for the codec */
}

void gw_bridge_set_path_stats(struct gw_bridge *bridge, uint32_t loss_milli_pct, uint32_t rtt_ms, uint32_t jitter_ms)
{
    bridge->path_report = wzp_quality_from_stats(loss_milli_pct, rtt_ms, jitter_ms);
    bridge->has_path_report = true;
}

void bridge_take_report(struct gw_bridge *b, const struct wzp_quality_report *report)
{
    const unsigned loss_pct = report->loss * 100u / 255;

    b->stats.wzp_reports_rx++;
    b->stats.wzp_report = *report;
    (void)gw_adaptive_peer_report(&b->adaptive, report, b->now_us); /* the next frame asks for the codec */
    if (loss_pct != b->fec_loss_pct) {
        b->fec_loss_pct = loss_pct;
        gw_wzp_tx_set_loss(b->codecs.to_wzp, loss_pct);
    }
}

bool bridge_report_due(struct gw_bridge *b, struct wzp_quality_report *ret)
{
    if (!b->has_path_report || ++b->frames_since_report < GW_BRIDGE_REPORT_FRAMES)
        return false;
    *ret = b->path_report;
    b->frames_since_report = 0;
    b->stats.wzp_reports_tx++;
    (void)gw_adaptive_own_report(&b->adaptive, &b->path_report, b->now_us);
    return true;
}
