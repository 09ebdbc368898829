/* One SIPUA_EV_TRACE per message of a call, for its ladder. */
#include "sip/ua_internal.h"

#include <stdio.h>

#include <sofia-sip/su_alloc.h>
#include <sofia-sip/url.h>

#define SUMMARY_MAX 256
#define CSEQ_MAX    48

static void deliver(struct sipua_call *call, const struct sipua_trace *trace)
{
    if (call->state == CALL_OVER)
        return;
    call_deliver(call, &(struct sipua_event){ .kind = SIPUA_EV_TRACE, .phrase = "", .text = "", .trace = trace });
}

void trace_received(struct sipua_call *call, const sip_t *sip)
{
    char summary[SUMMARY_MAX] = "", cseq[CSEQ_MAX] = "", clean[SUMMARY_MAX];
    su_home_t home[1] = { SU_HOME_INIT(home) };
    const char *raw = NULL;
    if (!sip || nta_sip_is_internal(sip)) /* sofia words its own time-outs as responses */
        return;
    (void)su_home_init(home);
    if (sip->sip_request) {
        const char *url = url_as_string(home, sip->sip_request->rq_url);
        snprintf(summary, sizeof summary, "%s %s", sip->sip_request->rq_method_name, url ? url : "");
    } else if (sip->sip_status) {
        snprintf(summary, sizeof summary, "%d %s", sip->sip_status->st_status, sip->sip_status->st_phrase);
    }
    if (sip->sip_cseq)
        snprintf(cseq, sizeof cseq, "%u %s", (unsigned)sip->sip_cseq->cs_seq, sip->sip_cseq->cs_method_name);
    msg_t *msg = nua_current_request(call->ua->nua);
    if (call->ua->config.trace_raw && msg)
        raw = msg_as_string(home, msg, NULL, 0, NULL);
    ua_clean(summary, clean, sizeof clean);
    deliver(call, &(struct sipua_trace){ .summary = clean, .cseq = cseq, .raw = raw, .peer = call->peer });
    su_home_deinit(home);
}

void trace_response(struct sipua_call *call, int status, const char *phrase, const char *method, const char *body)
{
    char summary[SUMMARY_MAX], cseq[CSEQ_MAX];
    snprintf(summary, sizeof summary, "%d %s", status, phrase);
    if (call->outgoing)
        snprintf(cseq, sizeof cseq, "%s", method);
    else
        snprintf(cseq, sizeof cseq, "%u %s", call->invite_cseq, method);
    deliver(call, &(struct sipua_trace){ .outgoing = true,
                                         .summary = summary,
                                         .cseq = cseq,
                                         .raw = call->ua->config.trace_raw ? body : NULL,
                                         .peer = call->peer });
}

void trace_request(struct sipua_call *call, const char *method, const char *body)
{
    deliver(call, &(struct sipua_trace){ .outgoing = true,
                                         .summary = method,
                                         .cseq = method,
                                         .raw = call->ua->config.trace_raw ? body : NULL,
                                         .peer = call->peer });
}
