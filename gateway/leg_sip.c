/* The SIP leg of a call: sipua events -> machine events, effects -> sipua, and the offer/answer in between. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_MODULE "leg_sip"
#include "gateway/live.h"
#include "wzp/rt/log.h"
#include "wzp/rt/udp.h"

/** RTP packetisation we ask for and send. */
#define PTIME_MS 20
/** RFC 3261 20.43: incompatible media format / not available. */
#define WARNING_FORMAT 305

static void step(struct gw_live *live, enum gw_call_event_kind kind, unsigned branch, enum gw_cause cause)
{
    gw_live_step(live, &(struct gw_call_event){ .kind = kind, .branch = branch, .cause = cause });
}

/* The address the phone shall send RTP to: configured, or the one of ours that faces it. */
static struct wz_addr media_address(const struct gw_live *live)
{
    struct wz_addr addr = gw_calls_config(live->calls)->media_address;
    if (addr.family == WZ_ADDR_NONE && wz_addr_local_towards(&live->phone, &addr) < 0)
        addr = sipua_local(gw_calls_config(live->calls)->ua);
    addr.port = live->ports.port;
    return addr;
}

static int take_ports(struct gw_live *live)
{
    if (live->has_ports)
        return 0;
    int err = gw_port_pool_take(gw_calls_config(live->calls)->ports, wz_loop_now_us(gw_calls_config(live->calls)->loop),
                                &live->ports);
    if (err)
        return err;
    live->has_ports = live->fds_ours = true;
    return 0;
}

/* The codec in use comes first, so that a renegotiation keeps it when the phone still has it. */
static struct sipua_sdp_caps caps(struct gw_live *live)
{
    static const enum sipua_codec order[] = { SIPUA_CODEC_OPUS, SIPUA_CODEC_PCMA, SIPUA_CODEC_PCMU };
    struct sipua_sdp_caps caps = {
        .telephone_event = true,
        .audio = media_address(live),
        .session_id = live->started_wall_us,
        .session_version = ++live->sdp_version,
        .ptime_ms = PTIME_MS,
        .rtcp_mux = false,
        .direction = SIPUA_DIR_SENDRECV,
    };
    if (live->has_choice)
        caps.prefer[caps.prefer_count++] = live->choice.codec;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (!live->has_choice || order[i] != live->choice.codec)
            caps.prefer[caps.prefer_count++] = order[i];
    }
    return caps;
}

static void chosen(struct gw_live *live, const struct sipua_sdp_choice *choice)
{
    char remote[WZ_ADDR_TEXT_MAX];
    live->choice = *choice;
    live->has_choice = true;
    gw_live_trace(live, GW_TRACE_MEDIA, false, "%s/%u pt %u to %s%s%s dtmf %d/%u", sipua_codec_name(choice->codec),
                  choice->clock_hz, choice->pt, wz_addr_format(&choice->remote, remote),
                  choice->may_send ? "" : " (hold: we do not send)", choice->may_receive ? "" : " (we do not receive)",
                  choice->event_pt, choice->event_clock_hz);
    gw_leg_wzp_media(live);
}

/* Answer the offer in sdp into live->local. */
static enum gw_cause answer_offer(struct gw_live *live, const char *sdp)
{
    struct sipua_sdp offer;
    struct sipua_sdp_choice choice;
    int err = sipua_sdp_parse(sdp, strlen(sdp), &offer);
    if (err)
        return GW_CAUSE_BAD_SDP;
    struct sipua_sdp_caps own = caps(live);
    err = sipua_sdp_answer(&offer, &own, &live->local, &choice, live->why);
    if (err)
        return GW_CAUSE_NO_CODEC;
    live->local_is_offer = false;
    chosen(live, &choice);
    return GW_CAUSE_NONE;
}

static void make_offer(struct gw_live *live)
{
    struct sipua_sdp_caps own = caps(live);
    sipua_sdp_offer(&own, &live->local);
    live->local_is_offer = true;
}

/* The phone's answer to our offer. NONE, or why the call cannot go on. */
static enum gw_cause apply_answer(struct gw_live *live, const char *sdp)
{
    struct sipua_sdp answer;
    struct sipua_sdp_choice choice;
    if (!sdp || sipua_sdp_parse(sdp, strlen(sdp), &answer) < 0)
        return GW_CAUSE_BAD_SDP;
    if (sipua_sdp_apply_answer(&live->local, &answer, PTIME_MS, &choice, live->why) < 0)
        return GW_CAUSE_NO_CODEC;
    live->local_is_offer = false;
    chosen(live, &choice);
    return GW_CAUSE_NONE;
}

enum gw_cause gw_leg_sip_take_offer(struct gw_live *live, const char *sdp)
{
    if (take_ports(live) < 0)
        return GW_CAUSE_INTERNAL;
    if (!sdp) {
        make_offer(live);
        return GW_CAUSE_NONE;
    }
    return answer_offer(live, sdp);
}

void gw_leg_sip_ring(struct gw_live *live)
{
    if (live->leg[0].sip)
        (void)sipua_call_ring(live->leg[0].sip); /* a call that is over tells so by its last event */
}

void gw_leg_sip_answer(struct gw_live *live)
{
    char sdp[SIPUA_SDP_TEXT_MAX];
    if (!live->leg[0].sip || sipua_sdp_format(&live->local, sdp, sizeof sdp) < 0)
        return;
    (void)sipua_call_answer(live->leg[0].sip, sdp);
}

/* Who calls, as the phone shows it: the directory's number, else the fingerprint without colons. */
static void caller_user(const struct gw_live *live, char *buf, size_t size)
{
    const struct gw_route_entry *row =
        gw_routes_by_fingerprint(gw_calls_config(live->calls)->routes, live->peer_fingerprint);
    size_t out = 0;
    if (row && row->number) {
        (void)snprintf(buf, size, "%s", row->number);
        return;
    }
    for (const char *p = live->peer_fingerprint; *p && out + 1 < size; p++) {
        if (*p != ':')
            buf[out++] = *p;
    }
    buf[out] = '\0';
}

int gw_leg_sip_dial(struct gw_live *live, unsigned branch)
{
    char sdp[SIPUA_SDP_TEXT_MAX], from[GW_DIALLED_MAX];
    struct gw_leg_sip *leg = &live->leg[branch];
    int err = take_ports(live);
    if (err)
        return err;
    if (!live->local_is_offer)
        make_offer(live);
    err = sipua_sdp_format(&live->local, sdp, sizeof sdp);
    if (err < 0)
        return err;
    caller_user(live, from, sizeof from);
    leg->live = live;
    leg->branch = branch;
    return sipua_dial(gw_calls_config(live->calls)->ua,
                      &(struct sipua_dial){ .binding = live->contact[branch],
                                            .from_user = from,
                                            .from_display = live->peer_alias[0] ? live->peer_alias : NULL,
                                            .sdp = sdp },
                      leg, &leg->sip);
}

void gw_leg_sip_hangup(struct gw_live *live, unsigned branch, enum gw_cause cause)
{
    const struct gw_cause_row *row = gw_cause_row(cause);
    struct gw_leg_sip *leg = &live->leg[branch];
    if (!leg->sip)
        return;
    struct sipua_refusal refusal = {
        .status = (int)row->sip_status,
        .phrase = row->sip_phrase,
        .q850 = row->q850,
        .retry_after_s = row->sip_status == 503 ? 10 : 0,
    };
    if (live->why[0]) {
        refusal.warning_code = WARNING_FORMAT;
        refusal.warning = live->why;
    }
    /* An unanswered incoming call is refused; everything else is hung up (CANCEL or BYE as its state demands). */
    if (live->core.direction == GW_CALL_WZP_TO_SIP || sipua_call_reject(leg->sip, &refusal) == -EPROTO)
        (void)sipua_call_hangup(leg->sip, row->q850, row->name);
}

void gw_leg_sip_release(struct gw_live *live)
{
    for (unsigned i = 0; i < GW_CALL_MAX_BRANCHES; i++) {
        sipua_call_release(live->leg[i].sip);
        live->leg[i].sip = NULL;
    }
}

/* ---- events ---- */

static void answered(struct gw_leg_sip *leg, const char *sdp)
{
    struct gw_live *live = leg->live;
    if (live->core.has_winner) { /* a second phone: the machine hangs it up */
        step(live, GW_CALL_SIP_ANSWERED, leg->branch, GW_CAUSE_NONE);
        return;
    }
    enum gw_cause cause = apply_answer(live, sdp);
    if (cause == GW_CAUSE_NONE) {
        step(live, GW_CALL_SIP_ANSWERED, leg->branch, GW_CAUSE_NONE);
        return;
    }
    LOG_WARN("call.bad_answer", "call=%s branch=%u why=\"%s\"", live->id, leg->branch, live->why);
    leg->failed_locally = true;
    gw_leg_sip_hangup(live, leg->branch, cause);
    step(live, GW_CALL_SIP_FAILED, leg->branch, cause);
}

/* The ACK: it carries the answer when our 200 carried the offer. */
static void acked(struct gw_leg_sip *leg, const char *sdp)
{
    struct gw_live *live = leg->live;
    if (!live->local_is_offer)
        return;
    enum gw_cause cause = apply_answer(live, sdp);
    if (cause != GW_CAUSE_NONE)
        step(live, GW_CALL_HANG_UP, 0, cause);
}

/* A re-INVITE or UPDATE: hold, resume, another address or codec. */
static void offered(struct gw_leg_sip *leg, const char *sdp)
{
    char text[SIPUA_SDP_TEXT_MAX];
    struct gw_live *live = leg->live;
    enum gw_cause cause = GW_CAUSE_NONE;
    if (sdp)
        cause = answer_offer(live, sdp);
    else
        make_offer(live);
    if (cause == GW_CAUSE_NONE && sipua_sdp_format(&live->local, text, sizeof text) > 0)
        (void)sipua_call_answer_offer(leg->sip, 200, text);
    else
        (void)sipua_call_answer_offer(leg->sip, (int)gw_cause_row(cause)->sip_status, NULL);
}

static void last_event(struct gw_leg_sip *leg, enum gw_call_event_kind kind, enum gw_cause cause)
{
    struct gw_live *live = leg->live;
    bool told = leg->failed_locally;
    sipua_call_release(leg->sip);
    leg->sip = NULL;
    if (told)
        gw_live_settle(live);
    else
        step(live, kind, leg->branch, cause);
}

static enum gw_cause cause_of_bye(const struct sipua_event *event)
{
    if (event->by_peer || event->status == 0)
        return GW_CAUSE_NORMAL;
    return event->status == 408 ? GW_CAUSE_MEDIA_LOST : gw_cause_from_sip((unsigned)event->status, event->q850);
}

static void traced(struct gw_live *live, const struct sipua_event *event)
{
    gw_live_trace(live, GW_TRACE_SIP, event->trace->outgoing, "%s (%s)", event->trace->summary, event->trace->cseq);
}

void gw_leg_sip_event(struct gw_leg_sip *leg, const struct sipua_event *event)
{
    struct gw_live *live = leg->live;
    switch (event->kind) {
    case SIPUA_EV_TRACE:
        traced(live, event);
        break;
    case SIPUA_EV_PROGRESS:
        if (event->status >= 180)
            step(live, GW_CALL_SIP_PROGRESS, leg->branch, GW_CAUSE_NONE);
        break;
    case SIPUA_EV_ANSWERED:
        answered(leg, event->sdp);
        break;
    case SIPUA_EV_ACKED:
    case SIPUA_EV_OFFER_ACKED:
        acked(leg, event->sdp);
        break;
    case SIPUA_EV_OFFER:
        offered(leg, event->sdp);
        break;
    case SIPUA_EV_INFO_DTMF:
        gw_leg_wzp_digit(live, event->digit, event->duration_ms);
        break;
    case SIPUA_EV_CANCELLED:
        last_event(leg, GW_CALL_SIP_CANCELLED, GW_CAUSE_CANCELLED);
        break;
    case SIPUA_EV_FAILED:
        last_event(leg, GW_CALL_SIP_FAILED, gw_cause_from_sip((unsigned)event->status, event->q850));
        break;
    case SIPUA_EV_ENDED:
        last_event(leg, GW_CALL_SIP_ENDED, cause_of_bye(event));
        break;
    }
}
