/* The WZP leg of a call: worker events -> machine events, effects -> worker commands. */
#include <stdio.h>
#include <string.h>

#define LOG_MODULE "leg_wzp"
#include "gateway/live.h"
#include "wzp/rt/log.h"

static struct gw_worker *worker_of(const struct gw_live *live)
{
    return gw_calls_config(live->calls)->worker[live->user->worker];
}

static int post(struct gw_live *live, struct gw_command *command)
{
    command->ref = live->ref;
    command->line_id = live->user->line_id;
    return gw_worker_post(worker_of(live), command);
}

void gw_leg_wzp_dial(struct gw_live *live)
{
    struct gw_command command = { .kind = GW_CMD_CALL };
    memcpy(command.call.target, live->peer_fingerprint, sizeof command.call.target);
    (void)snprintf(command.call.alias, sizeof command.call.alias, "%s", live->user->display);
    if (post(live, &command) < 0) /* a worker that far behind cannot carry a call */
        gw_live_step(live, &(struct gw_call_event){ .kind = GW_CALL_HANG_UP, .cause = GW_CAUSE_INTERNAL });
}

void gw_leg_wzp_answer(struct gw_live *live)
{
    enum wzp_accept_mode mode = live->user->generic ? WZP_ACCEPT_GENERIC : WZP_ACCEPT_TRUSTED;
    (void)post(live, &(struct gw_command){ .kind = GW_CMD_ANSWER, .mode = mode }); /* the connect timer covers it */
}

void gw_leg_wzp_hangup(struct gw_live *live, enum gw_cause cause)
{
    static const enum wzp_hangup_reason reasons[] = {
        [GW_WZP_NORMAL] = WZP_HANGUP_NORMAL,     [GW_WZP_BUSY] = WZP_HANGUP_BUSY,
        [GW_WZP_DECLINED] = WZP_HANGUP_DECLINED, [GW_WZP_TIMEOUT] = WZP_HANGUP_TIMEOUT,
        [GW_WZP_ERROR] = WZP_HANGUP_ERROR,
    };
    (void)post(live, &(struct gw_command){ .kind = GW_CMD_HANGUP, .reason = reasons[gw_cause_row(cause)->wzp] });
}

/* ---- media ---- */

static enum gw_codec media_codec(enum sipua_codec codec)
{
    switch (codec) {
    case SIPUA_CODEC_OPUS:
        return GW_CODEC_OPUS;
    case SIPUA_CODEC_PCMA:
        return GW_CODEC_PCMA;
    default:
        return GW_CODEC_PCMU;
    }
}

static struct gw_rtp_params rtp_params(const struct gw_live *live)
{
    const struct sipua_sdp_choice *choice = &live->choice;
    struct gw_rtp_params rtp = {
        .codec = media_codec(choice->codec),
        .payload_type = choice->pt,
        .dtmf_payload_type = choice->event_pt >= 0 ? (uint8_t)choice->event_pt : GW_RTP_PT_NONE,
        .dtmf_clock_hz = choice->event_clock_hz,
        .ptime_ms = choice->ptime_ms,
        .remote = choice->remote,
        .signalling = live->phone,
        .rtcp_mux = choice->rtcp_mux,
        .send = choice->may_send,
        .recv = choice->may_receive,
    };
    if (choice->remote_rtcp_port) {
        rtp.remote_rtcp = choice->remote;
        rtp.remote_rtcp.port = choice->remote_rtcp_port;
    }
    return rtp;
}

void gw_leg_wzp_media(struct gw_live *live)
{
    if (!live->media_wanted || !live->has_choice)
        return;
    struct gw_command command = { .kind = live->media_open ? GW_CMD_MEDIA_UPDATE : GW_CMD_MEDIA_OPEN };
    command.media.rtp = rtp_params(live);
    command.media.ports = live->ports;
    if (post(live, &command) < 0)
        return; /* the silence watch of nobody: the call's media time-out on the other side ends it */
    live->media_open = true;
    live->fds_ours = false;
}

void gw_leg_wzp_media_stop(struct gw_live *live)
{
    if (live->media_open)
        (void)post(live, &(struct gw_command){ .kind = GW_CMD_MEDIA_CLOSE });
}

void gw_leg_wzp_digit(struct gw_live *live, char digit, uint16_t duration_ms)
{
    gw_live_trace(live, GW_TRACE_MEDIA, true, "digit %c by INFO", digit);
    (void)post(live, &(struct gw_command){ .kind = GW_CMD_DTMF, .dtmf = { digit, duration_ms } });
}

/* ---- events ---- */

static enum gw_wzp_say said(enum wzp_hangup_reason reason)
{
    switch (reason) {
    case WZP_HANGUP_BUSY:
        return GW_WZP_BUSY;
    case WZP_HANGUP_DECLINED:
        return GW_WZP_DECLINED;
    case WZP_HANGUP_TIMEOUT:
        return GW_WZP_TIMEOUT;
    case WZP_HANGUP_ERROR:
        return GW_WZP_ERROR;
    case WZP_HANGUP_NORMAL:
        break;
    }
    return GW_WZP_NORMAL;
}

static enum gw_cause cause_of_end(const struct gw_live *live, const struct gw_event *event)
{
    bool answered = event->ended.answered_seen || live->core.state >= GW_CALL_CONNECTING;
    switch (event->ended.end) {
    case WZP_LINE_END_HANGUP:
        if (live->core.direction == GW_CALL_WZP_TO_SIP && !answered)
            return GW_CAUSE_CANCELLED;
        return gw_cause_from_wzp(said(event->ended.reason), event->ended.ringing_seen, answered);
    case WZP_LINE_END_RELAY_DOWN:
        return GW_CAUSE_RELAY_DOWN;
    case WZP_LINE_END_NO_MEDIA:
        return GW_CAUSE_NO_PATH;
    case WZP_LINE_END_MEDIA_LOST:
        return GW_CAUSE_MEDIA_LOST;
    case WZP_LINE_END_NO_ANSWER:
        return GW_CAUSE_NO_ANSWER;
    case WZP_LINE_END_REFUSED:
        return GW_CAUSE_LIMIT;
    case WZP_LINE_END_LOCAL:
        break;
    }
    return GW_CAUSE_INTERNAL;
}

static void step(struct gw_live *live, enum gw_call_event_kind kind, enum gw_cause cause)
{
    gw_live_step(live, &(struct gw_call_event){ .kind = kind, .cause = cause });
}

static void silent(struct gw_live *live, const char *side)
{
    LOG_WARN("call.silent", "call=%s side=%s", live->id, side);
    gw_live_trace(live, GW_TRACE_MEDIA, false, "nothing heard from %s for too long", side);
    step(live, GW_CALL_MEDIA_TIMEOUT, GW_CAUSE_MEDIA_LOST);
}

static void ended(struct gw_live *live, const struct gw_event *event)
{
    gw_live_trace(live, GW_TRACE_WZP, false, "ended: %s%s", event->ended.text,
                  event->ended.by_peer ? " (by the peer)" : "");
    step(live, GW_CALL_WZP_ENDED, cause_of_end(live, event));
}

static void set_up(struct gw_live *live, const struct gw_event *event)
{
    memcpy(live->peer_direct_addr, event->setup.peer_direct_addr, sizeof live->peer_direct_addr);
    gw_live_trace(
        live, GW_TRACE_WZP, false, "call set up: relay %s, peer %s, %u local addresses", event->setup.relay_addr,
        event->setup.peer_direct_addr[0] ? event->setup.peer_direct_addr : "not told", event->setup.peer_local_count);
}

void gw_leg_wzp_event(struct gw_live *live, const struct gw_event *event)
{
    switch (event->kind) {
    case GW_EV_CALL_ID:
        (void)snprintf(live->wzp_call_id, sizeof live->wzp_call_id, "%.*s", GW_CALL_ID_TEXT - 1, event->text);
        break;
    case GW_EV_RINGING:
        step(live, GW_CALL_WZP_RINGING, GW_CAUSE_NONE);
        break;
    case GW_EV_ANSWERED:
        step(live, GW_CALL_WZP_ANSWERED, GW_CAUSE_NONE);
        break;
    case GW_EV_SETUP:
        set_up(live, event);
        break;
    case GW_EV_PATH:
        gw_live_take_path(live, event->path.kind, event->path.remote);
        break;
    case GW_EV_MEDIA_UP:
        step(live, GW_CALL_WZP_MEDIA_UP, GW_CAUSE_NONE);
        break;
    case GW_EV_ENDED:
        ended(live, event);
        break;
    case GW_EV_WIRE:
        gw_live_trace(live, GW_TRACE_WZP, event->wire.outgoing, "%s", event->wire.text);
        break;
    case GW_EV_MEDIA_SILENT:
        silent(live, event->text);
        break;
    case GW_EV_MEDIA_STATS:
        live->media = event->media.stats;
        break;
    default:
        break;
    }
}
