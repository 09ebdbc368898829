/* What the network does to a call: nua's events become ours. */
#include "sip/ua_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"

#define DTMF_DEFAULT_MS 160
#define DTMF_MAX_MS     10000
#define DTMF_BODY_MAX   256
#define BUSY_RETRY_S    "2"

/* The body's SDP in buf, or NULL when there is none that we can read. */
static const char *sdp_of(const sip_t *sip, char buf[static SIPUA_SDP_MAX_BYTES + 1])
{
    return sip && ua_body_sdp(sip, buf) == 1 ? buf : NULL;
}

static void finish(struct sipua_call *call, enum sipua_event_kind kind, int status, const char *phrase,
                   const sip_t *sip, bool by_peer)
{
    struct call_end end = { .kind = kind, .status = status, .by_peer = by_peer };
    end.q850 = ua_reason(sip, end.text, sizeof end.text);
    ua_clean(phrase, end.phrase, sizeof end.phrase);
    call_finish(call, &end);
}

static void refuse_offer(struct sipua_call *call, int status, const char *phrase)
{
    nua_respond(call->nh, status, phrase, NUTAG_WITH_THIS(call->ua->nua),
                TAG_IF(status == 500, SIPTAG_RETRY_AFTER_STR(BUSY_RETRY_S)), TAG_END());
    trace_response(call, status, phrase, "offer", NULL);
}

/* re-INVITE, or UPDATE with a body. */
static void on_offer(struct sipua_call *call, const sip_t *sip)
{
    char sdp[SIPUA_SDP_MAX_BYTES + 1];
    const int body = ua_body_sdp(sip, sdp);
    if (call->state != CALL_UP || call->offer_pending) {
        refuse_offer(call, 500, "Overlapping Requests");
        return;
    }
    if (body < 0) {
        refuse_offer(call, body == -EPROTONOSUPPORT ? 415 : 488,
                     body == -EPROTONOSUPPORT ? sip_415_Unsupported_media : sip_488_Not_acceptable);
        return;
    }
    call->invite_cseq = sip->sip_cseq->cs_seq;
    call->offer_is_ours = body == 0;
    call->offer_pending = nua_save_event(call->ua->nua, &call->offer_event) != 0;
    if (!call->offer_pending) {
        refuse_offer(call, SIP_500_INTERNAL_SERVER_ERROR);
        return;
    }
    /* sip belongs to the saved event now, which the application's answer frees. */
    call_deliver(call,
                 &(struct sipua_event){ .kind = SIPUA_EV_OFFER, .phrase = "", .text = "", .sdp = body ? sdp : NULL });
}

static void on_update(struct sipua_call *call, const sip_t *sip)
{
    if (sip->sip_payload && sip->sip_payload->pl_len > 0) {
        on_offer(call, sip);
        return;
    }
    nua_respond(call->nh, SIP_200_OK, NUTAG_WITH_THIS(call->ua->nua), SIPTAG_CONTACT_STR(call->contact), TAG_END());
    trace_response(call, 200, sip_200_OK, "UPDATE", NULL);
}

static void on_ack(struct sipua_call *call, const sip_t *sip)
{
    char buf[SIPUA_SDP_MAX_BYTES + 1];
    struct sipua_event event = { .phrase = "", .text = "", .sdp = sdp_of(sip, buf) };
    if (call->state == CALL_CLOSING && call->bye_on_ack) {
        call->bye_on_ack = false;
        call_send_bye(call);
    } else if (call->state == CALL_ANSWERED) {
        call->state = CALL_UP;
        event.kind = SIPUA_EV_ACKED;
        call_deliver(call, &event);
    } else if (call->state == CALL_UP && call->offer_is_ours) {
        call->offer_is_ours = false;
        event.kind = SIPUA_EV_OFFER_ACKED;
        call_deliver(call, &event);
    }
}

static void on_bye(struct sipua_call *call, const sip_t *sip)
{
    if (call->state == CALL_CLOSING) /* both hung up: ours was first, here */
        call_finish(call, &call->end);
    else if (call->answered)
        finish(call, SIPUA_EV_ENDED, 0, "", sip, true);
    else if (call->outgoing)
        finish(call, SIPUA_EV_FAILED, SIP_487_REQUEST_CANCELLED, sip, true);
    else
        finish(call, SIPUA_EV_CANCELLED, 0, "", sip, true);
}

/* RFC 6086 leaves the body open; two forms exist: "5" and "Signal=5\r\nDuration=160". */
static char dtmf_digit(const char *body)
{
    const char *signal = strstr(body, "ignal=");
    const char *at = signal ? signal + strlen("ignal=") : body;
    at += strspn(at, " \t\r\n");
    if (*at >= 'a' && *at <= 'd')
        return (char)(*at - 'a' + 'A');
    return *at && strchr("0123456789*#ABCD", *at) ? *at : '\0';
}

static uint16_t dtmf_duration_ms(const char *body)
{
    const char *duration = strstr(body, "uration=");
    const unsigned long ms = duration ? strtoul(duration + strlen("uration="), NULL, 10) : DTMF_DEFAULT_MS;
    return ms >= 1 && ms <= DTMF_MAX_MS ? (uint16_t)ms : DTMF_DEFAULT_MS;
}

static void on_info(struct sipua_call *call, const sip_t *sip)
{
    char body[DTMF_BODY_MAX] = "";
    const char *type = sip->sip_content_type && sip->sip_content_type->c_type ? sip->sip_content_type->c_type : "";
    const bool has_body = sip->sip_payload && sip->sip_payload->pl_data && sip->sip_payload->pl_len > 0;
    const bool is_dtmf = strcasecmp(type, "application/dtmf-relay") == 0 || strcasecmp(type, "application/dtmf") == 0;
    const bool ok = !has_body || is_dtmf;
    nua_respond(call->nh, ok ? 200 : 415, ok ? sip_200_OK : sip_415_Unsupported_media, NUTAG_WITH_THIS(call->ua->nua),
                TAG_END());
    if (!has_body || !is_dtmf || sip->sip_payload->pl_len >= sizeof body || call->state != CALL_UP)
        return;
    memcpy(body, sip->sip_payload->pl_data, sip->sip_payload->pl_len);
    const char digit = dtmf_digit(body);
    if (digit)
        call_deliver(call, &(struct sipua_event){ .kind = SIPUA_EV_INFO_DTMF,
                                                  .phrase = "",
                                                  .text = "",
                                                  .digit = digit,
                                                  .duration_ms = dtmf_duration_ms(body) });
}

/* A refresh of ours (RFC 4028) that had to be a re-INVITE without SDP drew an offer: answer what we answered before. */
static void ack_refresh(struct sipua_call *call, const sip_t *sip)
{
    const bool offered = sip && sip->sip_payload && sip->sip_payload->pl_len > 0 && call->last_sdp;
    nua_ack(call->nh, SIPTAG_CONTACT_STR(call->contact), TAG_IF(offered, SIPTAG_CONTENT_TYPE_STR("application/sdp")),
            TAG_IF(offered, SIPTAG_PAYLOAD_STR(call->last_sdp)), TAG_END());
}

static void on_accepted(struct sipua_call *call, int status, const char *phrase, const sip_t *sip)
{
    char buf[SIPUA_SDP_MAX_BYTES + 1];
    const bool updates = sip && sip->sip_allow && sip_is_allowed(sip->sip_allow, sip_method_update, "UPDATE");
    call->state = CALL_UP;
    call->answered = true;
    nua_set_hparams(call->nh, NUTAG_UPDATE_REFRESH(updates), TAG_END());
    nua_ack(call->nh, SIPTAG_CONTACT_STR(call->contact), TAG_END());
    trace_request(call, "ACK", NULL);
    call_deliver(
        call, &(struct sipua_event){
                  .kind = SIPUA_EV_ANSWERED, .status = status, .phrase = phrase, .text = "", .sdp = sdp_of(sip, buf) });
}

/* The answer to our INVITE while nobody has hung up. */
static void on_invite_response(struct sipua_call *call, int status, const char *phrase, const sip_t *sip)
{
    char buf[SIPUA_SDP_MAX_BYTES + 1];
    if (status >= 300) {
        /* Not an answer but a failure to send: behind a NAT nobody can open the connection again, only the phone. */
        const bool answered = sip && !nta_sip_is_internal(sip);
        if (!answered && call->transport == SIPUA_TCP)
            (void)sipua_reg_drop_connection(call->ua->reg, &call->peer);
        /* sofia uses 900 and up for its own troubles. */
        finish(call, SIPUA_EV_FAILED, status < 700 ? status : 500, phrase, sip, answered);
    } else if (status >= 200) {
        on_accepted(call, status, phrase, sip);
    } else if (status > 100) {
        call->state = CALL_EARLY;
        call_deliver(
            call,
            &(struct sipua_event){
                .kind = SIPUA_EV_PROGRESS, .status = status, .phrase = phrase, .text = "", .sdp = sdp_of(sip, buf) });
    }
}

static void on_r_invite(struct sipua_call *call, int status, const char *phrase, const sip_t *sip)
{
    if (call->state == CALL_CALLING || (call->state == CALL_EARLY && call->outgoing)) {
        on_invite_response(call, status, phrase, sip);
    } else if (status < 200) {
        return;
    } else if (status < 300) {
        ack_refresh(call, sip);
        if (call->state == CALL_CLOSING && !call->answered) /* the 200 crossed our CANCEL */
            call_send_bye(call);
    } else if (call->state == CALL_CLOSING && !call->answered) {
        call_finish(call, &call->end);
    }
}

/* nua has ended the call by itself: no ACK, no PRACK, no session refresh, a dialog-destroying response. */
static void on_terminated(struct sipua_call *call, int status, const char *phrase)
{
    if (call->state == CALL_CLOSING)
        call_finish(call, &call->end);
    else if (call->answered)
        finish(call, SIPUA_EV_ENDED, status, phrase, NULL, false);
    else if (call->outgoing)
        finish(call, SIPUA_EV_FAILED, status >= 300 && status < 700 ? status : 500, phrase, NULL, false);
    else
        finish(call, SIPUA_EV_CANCELLED, status, phrase, NULL, false);
}

static void on_terminating(struct sipua_call *call, int status, const char *phrase)
{
    if (!call->answered || call->state == CALL_CLOSING || call->state == CALL_OVER)
        return;
    call->state = CALL_CLOSING; /* nua's BYE is on its way; the end comes with its answer */
    call->closing_since_us = wz_clock_us();
    call->end = (struct call_end){ .kind = SIPUA_EV_ENDED, .status = status };
    ua_clean(phrase, call->end.phrase, sizeof call->end.phrase);
    ua_clean(phrase, call->end.text, sizeof call->end.text);
}

static void on_state(struct sipua_call *call, int status, const char *phrase, tagi_t *tags)
{
    int state = nua_callstate_init;
    tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
    if (state == nua_callstate_terminated)
        on_terminated(call, status, phrase);
    else if (state == nua_callstate_terminating)
        on_terminating(call, status, phrase);
}

void call_on_event(struct sipua_call *call, nua_event_t event, int status, const char *phrase, const sip_t *sip,
                   tagi_t *tags)
{
    if (event != nua_i_state)
        trace_received(call, sip);
    if (call->state == CALL_OVER) /* ended by what the application did with the trace */
        return;
    switch (event) {
    case nua_i_invite:
        if (status < 200)
            on_offer(call, sip);
        break;
    case nua_i_update:
        if (status < 200)
            on_update(call, sip);
        break;
    case nua_i_info:
        on_info(call, sip);
        break;
    case nua_i_ack:
        on_ack(call, sip);
        break;
    case nua_i_cancel:
        finish(call, SIPUA_EV_CANCELLED, 0, "", sip, true);
        break;
    case nua_i_bye:
        on_bye(call, sip);
        break;
    case nua_r_invite:
        on_r_invite(call, status, phrase, sip);
        break;
    case nua_r_bye:
        if (status >= 200)
            call_finish(call, &call->end);
        break;
    case nua_i_state:
        on_state(call, status, phrase, tags);
        break;
    case nua_i_terminated:
        on_terminated(call, status, phrase);
        break;
    default: /* nua_i_active, nua_i_prack, nua_i_error, nua_r_cancel...: the events above tell the same */
        LOG_DEBUG("sip.event", "call=%s event=%s status=%d", call->id, nua_event_name(event), status);
        break;
    }
}
