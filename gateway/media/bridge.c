/* The bridge's life and its clock. */
#include "gateway/media/bridge_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Clocks of all bridges lie on this grid, so that one wake-up serves many. */
#define GRID_US      5000
#define PTIME_MAX_MS 60
/** G.711 is transcoded at its own rate; tones and unfitting Opus frames at wide band. */
#define NARROW_HZ 8000
#define WIDE_HZ   16000

static uint64_t on_grid(uint64_t us)
{
    return (us + GRID_US - 1) / GRID_US * GRID_US;
}

static bool params_are_valid(const struct gw_rtp_params *p)
{
    return p->payload_type <= 127 && p->ptime_ms <= PTIME_MAX_MS && p->ptime_ms % 10 == 0 &&
           (p->dtmf_payload_type <= 127 || p->dtmf_payload_type == GW_RTP_PT_NONE) &&
           p->dtmf_payload_type != p->payload_type && p->dtmf_clock_hz <= 192000 && p->codec <= GW_CODEC_OPUS;
}

static bool wzp_is_valid(const struct gw_wzp_params *p)
{
    return gw_wzp_tx_can_send(p->profile) && p->complexity <= 10;
}

static struct gw_rtp_params with_defaults(const struct gw_rtp_params *p)
{
    struct gw_rtp_params out = *p;

    if (out.ptime_ms == 0)
        out.ptime_ms = 20;
    if (out.dtmf_clock_hz == 0)
        out.dtmf_clock_hz = 8000;
    return out;
}

/* ---- codecs ---- */

static void codecs_done(struct gw_bridge_codecs *c)
{
    gw_playout_free(c->from_rtp);
    gw_playout_free(c->from_wzp);
    gw_opus_encoder_free(c->to_phone);
    gw_wzp_tx_free(c->to_wzp);
    *c = (struct gw_bridge_codecs){ 0 };
}

static struct gw_playout_config playout_config(const struct gw_bridge_config *config, enum gw_codec codec,
                                               uint32_t clock_hz, uint32_t rate_hz)
{
    return (struct gw_playout_config){
        .codec = codec,
        .clock_hz = clock_hz,
        .rate_hz = rate_hz,
        .min_ms = config->jitter_min_ms,
        .initial_ms = config->jitter_initial_ms,
        .max_ms = config->jitter_max_ms,
    };
}

static int codecs_init(struct gw_bridge_codecs *ret, struct gw_bridge *b, enum gw_codec codec)
{
    const struct gw_bridge_config *config = &b->config;
    struct gw_bridge_codecs c = { .rate_hz = codec == GW_CODEC_OPUS ? WIDE_HZ : NARROW_HZ };
    const struct gw_playout_config from_rtp = playout_config(config, codec, gw_codec_clock_hz(codec), c.rate_hz);
    const struct gw_playout_config from_wzp = playout_config(config, GW_CODEC_OPUS, WZP_CLOCK_HZ, c.rate_hz);
    const struct gw_wzp_tx_config to_wzp = {
        .rate_hz = c.rate_hz,
        .complexity = config->wzp.complexity,
        .dred = GW_OPUS_DRED_ON_LOSS,
        .suppress_silence = config->wzp.suppress_silence,
        .packet = bridge_on_tx_packet,
        .silence = bridge_on_tx_silence,
        .arg = b,
    };
    int err = gw_playout_new(&c.from_rtp, &from_rtp);

    if (err)
        goto out;
    if (codec != GW_CODEC_OPUS) {
        err = gw_playout_new(&c.from_wzp, &from_wzp);
        if (err)
            goto out;
    }
    err = gw_wzp_tx_new(&c.to_wzp, &to_wzp);
    if (err)
        goto out;
    *ret = c, c = (struct gw_bridge_codecs){ 0 };
out:
    codecs_done(&c);
    return err;
}

int bridge_make_opus_transcoder(struct gw_bridge *b)
{
    const struct gw_playout_config from_wzp =
        playout_config(&b->config, GW_CODEC_OPUS, WZP_CLOCK_HZ, b->codecs.rate_hz);
    const struct gw_opus_encoder_config to_phone = {
        .rate_hz = b->codecs.rate_hz,
        .bitrate_bps = wzp_codec_bitrate_bps(WZP_CODEC_OPUS_24K),
        .complexity = b->config.wzp.complexity,
    };
    int err = 0;

    if (!b->codecs.to_phone)
        err = gw_opus_encoder_new(&b->codecs.to_phone, &to_phone);
    if (!err && !b->codecs.from_wzp)
        err = gw_playout_new(&b->codecs.from_wzp, &from_wzp);
    return err;
}

/* ---- life ---- */

static void draw_names(struct gw_bridge *b, const struct gw_bridge_config *config)
{
    struct {
        uint32_t ssrc, timestamp;
        uint64_t cname;
        uint16_t seq;
    } random;

    wz_rng_fill(config->rng, &random, sizeof random);
    b->ssrc = random.ssrc;
    if (config->cname)
        (void)snprintf(b->cname, sizeof b->cname, "%s", config->cname);
    else
        (void)snprintf(b->cname, sizeof b->cname, "%016llx", (unsigned long long)random.cname);
    gw_seqmap_init(&b->to_rtp, WZP_CLOCK_HZ, gw_codec_clock_hz(config->rtp.codec), random.seq, random.timestamp);
    gw_seqmap_init(&b->to_wzp, gw_codec_clock_hz(config->rtp.codec), WZP_CLOCK_HZ, 0, 0);
}

int gw_bridge_new(struct gw_bridge **ret, const struct gw_bridge_config *config, uint64_t now_us)
{
    struct gw_bridge *b = NULL;
    int err = -EINVAL;

    if (!params_are_valid(&config->rtp) || !wzp_is_valid(&config->wzp))
        goto out;
    err = -ENOMEM;
    b = calloc(1, sizeof *b);
    if (!b)
        goto out;
    b->config = *config;
    b->config.rtp = with_defaults(&config->rtp);
    b->config.cname = NULL;
    b->config.rng = NULL;
    err = codecs_init(&b->codecs, b, config->rtp.codec);
    if (err)
        goto out;
    draw_names(b, config);
    gw_latch_init(&b->latch, &config->rtp.remote, &config->rtp.signalling, config->rtp.latch_any_source);
    gw_rtp_source_start(&b->wzp_source, 0, WZP_CLOCK_HZ);
    gw_dtmf_rx_init(&b->dtmf, b->config.rtp.dtmf_clock_hz);
    gw_tone_init(&b->tone, b->codecs.rate_hz);
    gw_adaptive_init(&b->adaptive, config->wzp.profile, config->wzp.adapt, now_us);
    b->marker_due = true;
    b->now_us = now_us;
    b->next_rtcp_us = now_us + GW_BRIDGE_RTCP_INTERVAL_US;
    bridge_update_clock(b);
    *ret = b, b = NULL, err = 0;
out:
    gw_bridge_free(b);
    return err;
}

void gw_bridge_free(struct gw_bridge *bridge)
{
    if (!bridge)
        return;
    codecs_done(&bridge->codecs);
    free(bridge);
}

/* ---- changes ---- */

static void exchange_codecs(struct gw_bridge *b, struct gw_bridge_codecs *fresh, enum gw_codec codec)
{
    const uint32_t clock_hz = gw_codec_clock_hz(codec);

    codecs_done(&b->codecs);
    b->codecs = *fresh;
    gw_wzp_tx_set_loss(b->codecs.to_wzp, b->fec_loss_pct);
    gw_tone_init(&b->tone, b->codecs.rate_hz);
    b->g711_count = 0;
    b->reencodes = b->decodes = false;
    b->rtp_source.active = false;
    /* The output goes on where it was; only its input, or its clock, is another. */
    gw_seqmap_init(&b->to_rtp, WZP_CLOCK_HZ, clock_hz, b->to_rtp.out_next, b->to_rtp.out_end);
    gw_seqmap_init(&b->to_wzp, clock_hz, WZP_CLOCK_HZ, b->to_wzp.out_next, b->to_wzp.out_end);
    b->marker_due = true;
}

int gw_bridge_update_rtp(struct gw_bridge *bridge, const struct gw_rtp_params *params, uint64_t now_us)
{
    const struct gw_rtp_params old = bridge->config.rtp;
    struct gw_bridge_codecs fresh;

    if (!params_are_valid(params))
        return -EINVAL;
    if (params->codec != old.codec) {
        const int err = codecs_init(&fresh, bridge, params->codec);
        if (err)
            return err;
        exchange_codecs(bridge, &fresh, params->codec);
    }
    bridge->now_us = now_us;
    bridge->config.rtp = with_defaults(params);
    bridge->latch.any_source = params->latch_any_source;
    gw_latch_update(&bridge->latch, &params->remote, &params->signalling);
    if (!wz_addr_equal(&old.remote, &params->remote))
        bridge->rtcp_source = (struct wz_addr){ 0 };
    if (bridge->dtmf.clock_hz != bridge->config.rtp.dtmf_clock_hz)
        gw_dtmf_rx_init(&bridge->dtmf, bridge->config.rtp.dtmf_clock_hz);
    /* What waited before the hold is stale after it. */
    if (params->send && !old.send && bridge->codecs.from_wzp)
        gw_playout_reset(bridge->codecs.from_wzp);
    if (params->recv && !old.recv)
        gw_playout_reset(bridge->codecs.from_rtp);
    if (params->send && !old.send)
        bridge->marker_due = true;
    bridge_update_clock(bridge);
    return 0;
}

void gw_bridge_set_wzp_ready(struct gw_bridge *bridge, bool is_ready)
{
    bridge->wzp_ready = is_ready;
}

void gw_bridge_restart_wzp(struct gw_bridge *bridge)
{
    gw_seqmap_suspect(&bridge->to_rtp);
    gw_adaptive_path_changed(&bridge->adaptive);
    bridge->has_path_report = false; /* until the new path's figures come */
    if (bridge->codecs.from_wzp)
        gw_playout_reset(bridge->codecs.from_wzp);
}

int gw_bridge_play_digit(struct gw_bridge *bridge, char digit, uint32_t duration_ms, uint64_t now_us)
{
    bridge->now_us = now_us;
    const int err = gw_tone_push(&bridge->tone, digit, duration_ms);
    bridge_update_clock(bridge);
    return err;
}

void gw_bridge_bye(struct gw_bridge *bridge, uint64_t now_us)
{
    bridge->now_us = now_us;
    bridge_send_report(bridge, true);
}

/* ---- clock ---- */

void bridge_update_clock(struct gw_bridge *b)
{
    const bool is_needed = bridge_plays_wzp(b) || b->reencodes || gw_tone_is_active(&b->tone);

    if (is_needed && !b->is_ticking)
        b->next_tick_us = on_grid(b->now_us);
    b->is_ticking = is_needed;
}

/* Nobody called for a while (a suspended process, a stalled loop): making up for all of it would burst. */
static void skip_missed_ticks(struct gw_bridge *b, uint64_t now_us)
{
    const uint64_t due = (now_us - b->next_tick_us) / TICK_US + 1;

    if (due <= GW_BRIDGE_CATCH_UP_MAX)
        return;
    const uint64_t skipped = due - GW_BRIDGE_CATCH_UP_MAX;
    b->stats.skipped_ticks += skipped;
    b->next_tick_us += skipped * TICK_US;
    /* Timestamps tell time: they go on, sequence numbers do not. */
    if (bridge_plays_wzp(b))
        gw_seqmap_pause(&b->to_rtp, (uint32_t)(skipped * (b->to_rtp.out_clock_hz / 50)));
    if (b->wzp_started)
        gw_seqmap_pause(&b->to_wzp, (uint32_t)(skipped * GW_PLAYOUT_FRAME_MS));
    b->marker_due = true;
}

void gw_bridge_tick(struct gw_bridge *bridge, uint64_t now_us)
{
    bridge->now_us = now_us;
    if (bridge->is_ticking && now_us >= bridge->next_tick_us)
        skip_missed_ticks(bridge, now_us);
    while (bridge->is_ticking && now_us >= bridge->next_tick_us) {
        const uint64_t tick_us = bridge->next_tick_us;
        bridge->next_tick_us += TICK_US;
        bridge_tick_to_wzp(bridge, tick_us);
        if (bridge_plays_wzp(bridge))
            bridge_tick_to_rtp(bridge, tick_us);
        bridge_update_clock(bridge);
    }
    if (now_us >= bridge->next_rtcp_us) {
        bridge_send_report(bridge, false);
        bridge->next_rtcp_us = now_us + GW_BRIDGE_RTCP_INTERVAL_US;
    }
}

uint64_t gw_bridge_deadline_us(const struct gw_bridge *bridge)
{
    if (bridge->is_ticking && bridge->next_tick_us < bridge->next_rtcp_us)
        return bridge->next_tick_us;
    return bridge->next_rtcp_us;
}

/* ---- statistics ---- */

#define LEVEL_UNKNOWN 1

void gw_bridge_stats(const struct gw_bridge *bridge, struct gw_bridge_stats *ret)
{
    const bool passes_rtp = bridge_is_opus(bridge) && !bridge->reencodes;
    struct gw_playout_stats from_rtp, from_wzp = { .level_dbov = LEVEL_UNKNOWN };

    gw_playout_stats(bridge->codecs.from_rtp, &from_rtp);
    if (bridge->codecs.from_wzp)
        gw_playout_stats(bridge->codecs.from_wzp, &from_wzp);
    *ret = bridge->stats;
    ret->rtp_lost = gw_rtp_source_lost(&bridge->rtp_source);
    ret->rtp_late += from_rtp.jitter.late;
    ret->rtp_duplicate += from_rtp.jitter.duplicate;
    ret->rtp_bad += from_rtp.bad_payload;
    ret->rtp_jitter_us = gw_rtp_source_jitter_us(&bridge->rtp_source);
    ret->rtp_delay_us = passes_rtp ? 0 : from_rtp.jitter.delay_us;
    ret->rtp_concealed = from_rtp.jitter.concealed;
    ret->latch = bridge->latch.state;
    ret->rtp_source = gw_latch_target(&bridge->latch);
    ret->wzp_lost = gw_rtp_source_lost(&bridge->wzp_source);
    ret->wzp_late += from_wzp.jitter.late;
    ret->wzp_duplicate += from_wzp.jitter.duplicate;
    ret->wzp_bad += from_wzp.bad_payload;
    ret->wzp_jitter_us = gw_rtp_source_jitter_us(&bridge->wzp_source);
    ret->wzp_delay_us = from_wzp.jitter.delay_us;
    ret->wzp_concealed = from_wzp.jitter.concealed;
    ret->pass_through_rtp = passes_rtp;
    ret->wzp_repaired = from_wzp.repaired;
    ret->wzp_unrepaired = from_wzp.unrepaired;
    ret->wzp_dred = from_wzp.dred;
    ret->wzp_codec_tx = bridge_codec_now(bridge);
    ret->wzp_tier = wzp_quality_tier(&bridge->adaptive.quality);
    ret->pass_through_wzp = !bridge_plays_wzp(bridge);
    ret->rtp_level_dbov = passes_rtp ? LEVEL_UNKNOWN : from_rtp.level_dbov;
    ret->wzp_level_dbov = from_wzp.level_dbov;
    ret->dtmf_digits = bridge->dtmf.digits;
    ret->path_delay_us = ret->rtp_delay_us + ret->rtt_us / 2;
}
