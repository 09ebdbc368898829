/* A new INVITE: authenticate, check what can be checked without knowing the route, hand it to the application. */
#include "sip/ua_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wzp/rt/log.h"

static void refuse(struct sipua *ua, nua_handle_t *nh, int status, const char *phrase)
{
    ua->stats.invite_refused++;
    nua_respond(nh, status, phrase, NUTAG_WITH_THIS(ua->nua), SIPTAG_ACCEPT_STR("application/sdp"), TAG_END());
}

static void refuse_overload(struct sipua *ua, nua_handle_t *nh)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", ua->config.limits.retry_after_s);
    ua->stats.overload_refused++;
    ua->stats.invite_refused++;
    nua_respond(nh, SIP_503_SERVICE_UNAVAILABLE, NUTAG_WITH_THIS(ua->nua), SIPTAG_RETRY_AFTER_STR(seconds), TAG_END());
}

/* Requests of ours in this dialog go where the INVITE came from: a phone behind a NAT writes a private address into
 * its Contact. With a Record-Route the proxies know better. */
static void pin_next_hop(struct sipua_call *call, const sip_t *sip)
{
    char hop[UA_URI_MAX];
    const bool updates = sip->sip_allow && sip_is_allowed(sip->sip_allow, sip_method_update, "UPDATE");
    ua_next_hop(&call->peer, call->transport, hop, sizeof hop);
    nua_set_hparams(call->nh, NUTAG_UPDATE_REFRESH(updates), TAG_IF(!sip->sip_record_route, NUTAG_PROXY(hop)),
                    TAG_END());
}

static int new_call(struct sipua *ua, nua_handle_t *nh, const sip_t *sip, struct sipua_call **ret)
{
    struct sipua_call *call = NULL;
    const int err = call_new(ua, &call);
    if (err < 0)
        return err;
    call->nh = nh;
    call->state = CALL_TRYING;
    call->invite_cseq = sip->sip_cseq->cs_seq;
    call->peer = ua_source(ua, sip, &call->transport);
    snprintf(call->id, sizeof call->id, "%s", sip->sip_call_id->i_id);
    ua_contact(ua, &call->peer, call->transport, call->contact, sizeof call->contact);
    nua_handle_bind(nh, call_magic(call));
    pin_next_hop(call, sip);
    *ret = call;
    return 0;
}

/* 0, or -EACCES when the INVITE has been answered. */
static int check_invite(struct sipua *ua, nua_handle_t *nh, const sip_t *sip, char *from, char *dialled, char *sdp)
{
    if (ua_authenticate(ua, nh, sip, sip->sip_from->a_url, from) < 0)
        return -EACCES;
    if (ua->draining || ua->active >= ua->config.limits.max_calls) {
        refuse_overload(ua, nh);
        return -EACCES;
    }
    if (ua_user(sip->sip_request->rq_url, dialled, SIPUA_USER_MAX) < 0) {
        refuse(ua, nh, SIP_484_ADDRESS_INCOMPLETE);
        return -EACCES;
    }
    switch (ua_body_sdp(sip, sdp)) {
    case 0:
        sdp[0] = '\0';
        return 0;
    case 1:
        return 0;
    case -EPROTONOSUPPORT:
        refuse(ua, nh, SIP_415_UNSUPPORTED_MEDIA);
        return -EACCES;
    case -EMSGSIZE:
        refuse(ua, nh, SIP_413_REQUEST_TOO_LARGE);
        return -EACCES;
    default:
        refuse(ua, nh, 400, "Bad Session Description");
        return -EACCES;
    }
}

void ua_on_new_invite(struct sipua *ua, nua_handle_t *nh, const sip_t *sip)
{
    char from[SIPUA_USER_MAX], dialled[SIPUA_USER_MAX], display[SIPUA_DISPLAY_MAX], agent[SIPUA_DISPLAY_MAX];
    char sdp[SIPUA_SDP_MAX_BYTES + 1];
    struct sipua_call *call = NULL;
    if (check_invite(ua, nh, sip, from, dialled, sdp) < 0) {
        nua_handle_destroy(nh);
        return;
    }
    if (new_call(ua, nh, sip, &call) < 0) {
        refuse_overload(ua, nh);
        nua_handle_destroy(nh);
        return;
    }
    ua->stats.invite_ok++;
    ua_clean(sip->sip_from->a_display, display, sizeof display);
    ua_clean(sip->sip_user_agent ? sip->sip_user_agent->g_string : NULL, agent, sizeof agent);
    call_ref(call);
    ua->handlers.incoming(ua->arg, call,
                          &(struct sipua_incoming){
                              .from_user = from,
                              .from_display = display,
                              .to_user = dialled,
                              .sdp = *sdp ? sdp : NULL,
                              .source = call->peer,
                              .transport = call->transport,
                              .call_id = call->id,
                              .user_agent = agent,
                          });
    trace_received(call, sip);
    call_unref(call);
}
