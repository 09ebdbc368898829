/* The life of a call object, and what the application may do with it. What the network does is in ua_event.c. */
#include "sip/ua_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/rt/clock.h"

/* magic = generation << SLOT_BITS | slot + 1; never NULL. */
#define SLOT_BITS 20
#define SLOT_MAX  ((UINT32_C(1) << SLOT_BITS) - 2)
#define SLOT_GROW 64
/* Longer than sofia's own 32 s for a transaction. */
#define CLOSING_MAX_US (40 * UINT64_C(1000000))
#define AGENT_NAME     "wzp-gateway"

static int slots_grow(struct sipua *ua)
{
    const uint32_t count = ua->slot_count + SLOT_GROW;
    if (count > SLOT_MAX)
        return -ENOMEM;
    struct call_slot *slot = realloc(ua->slot, count * sizeof *slot);
    if (!slot)
        return -ENOMEM;
    memset(slot + ua->slot_count, 0, SLOT_GROW * sizeof *slot);
    ua->slot = slot;
    ua->slot_count = count;
    return 0;
}

static int slot_take(struct sipua *ua, struct sipua_call *call)
{
    uint32_t i = 0;
    while (i < ua->slot_count && ua->slot[i].call)
        i++;
    if (i == ua->slot_count && slots_grow(ua) < 0)
        return -ENOMEM;
    ua->slot[i].call = call;
    call->slot = i;
    call->generation = ++ua->slot[i].generation;
    return 0;
}

int call_new(struct sipua *ua, struct sipua_call **ret)
{
    struct sipua_call *call = calloc(1, sizeof *call);
    if (!call)
        return -ENOMEM;
    if (slot_take(ua, call) < 0) {
        free(call);
        return -ENOMEM;
    }
    call->ua = ua;
    call->refs = 2;
    wz_list_init(&call->ending);
    ua->active++;
    *ret = call;
    return 0;
}

void call_ref(struct sipua_call *call)
{
    call->refs++;
}

void call_unref(struct sipua_call *call)
{
    if (--call->refs > 0)
        return;
    free(call->last_sdp);
    free(call);
}

void *call_magic(const struct sipua_call *call)
{
    return (void *)((uintptr_t)call->generation << SLOT_BITS | (call->slot + 1)); /* never dereferenced */
}

struct sipua_call *call_find(const struct sipua *ua, const void *magic)
{
    const uintptr_t value = (uintptr_t)magic;
    const uintptr_t slot = value & ((UINT32_C(1) << SLOT_BITS) - 1);
    if (slot == 0 || slot > ua->slot_count)
        return NULL;
    struct sipua_call *call = ua->slot[slot - 1].call;
    return call && call_magic(call) == magic ? call : NULL;
}

void call_deliver(struct sipua_call *call, const struct sipua_event *event)
{
    if (call->released)
        return;
    call_ref(call);
    call->ua->handlers.event(call->ua->arg, call, event);
    call_unref(call);
}

static void drop_offer(struct sipua_call *call)
{
    if (call->offer_pending)
        nua_destroy_event(&call->offer_event);
    call->offer_pending = false;
}

void call_finish(struct sipua_call *call, const struct call_end *end)
{
    struct sipua *ua = call->ua;
    if (call->state == CALL_OVER)
        return;
    if (end != &call->end)
        call->end = *end;
    drop_offer(call);
    call->state = CALL_OVER;
    if (call->nh) {
        nua_handle_bind(call->nh, NULL);
        nua_handle_destroy(call->nh);
        call->nh = NULL;
    }
    ua->slot[call->slot].call = NULL;
    ua->active--;
    wz_list_append(&ua->ending, &call->ending);
    ua_defer(ua);
}

void call_run_endings(struct sipua *ua)
{
    while (!wz_list_is_empty(&ua->ending)) {
        struct sipua_call *call = wz_container_of(ua->ending.next, struct sipua_call, ending);
        const struct call_end *end = &call->end;
        wz_list_remove(&call->ending);
        call_deliver(call, &(struct sipua_event){ .kind = end->kind,
                                                  .status = end->status,
                                                  .phrase = end->phrase,
                                                  .q850 = end->q850,
                                                  .text = end->text,
                                                  .by_peer = end->by_peer });
        call_unref(call);
    }
}

int call_remember_sdp(struct sipua_call *call, const char *sdp)
{
    char *copy = strdup(sdp);
    if (!copy)
        return -ENOMEM;
    free(call->last_sdp);
    call->last_sdp = copy;
    return 0;
}

/* The end as it will be told once the network has agreed. */
static void begin_closing(struct sipua_call *call, uint32_t q850, const char *text)
{
    call->end = (struct call_end){ .kind = call->outgoing && !call->answered ? SIPUA_EV_FAILED : SIPUA_EV_ENDED,
                                   .status = call->outgoing && !call->answered ? 487 : 0,
                                   .q850 = q850 };
    snprintf(call->end.text, sizeof call->end.text, "%s", text ? text : "");
    ua_print_reason(q850, text, call->bye_reason, sizeof call->bye_reason);
    call->state = CALL_CLOSING;
    call->closing_since_us = wz_clock_us();
}

void call_send_bye(struct sipua_call *call)
{
    drop_offer(call);
    trace_request(call, "BYE", NULL);
    nua_bye(call->nh, TAG_IF(call->bye_reason[0], SIPTAG_REASON_STR(call->bye_reason)), TAG_END());
}

void call_sweep(struct sipua *ua, uint64_t now_us)
{
    for (uint32_t i = 0; i < ua->slot_count; i++) {
        struct sipua_call *call = ua->slot[i].call;
        if (call && call->state == CALL_CLOSING && now_us - call->closing_since_us > CLOSING_MAX_US)
            call_finish(call, &call->end);
    }
}

static bool is_unanswered_incoming(const struct sipua_call *call)
{
    return !call->outgoing && (call->state == CALL_TRYING || call->state == CALL_EARLY);
}

static int check_unanswered_incoming(const struct sipua_call *call)
{
    if (call->state >= CALL_CLOSING)
        return -ESHUTDOWN;
    return is_unanswered_incoming(call) ? 0 : -EPROTO;
}

int sipua_call_ring(struct sipua_call *call)
{
    return sipua_call_progress(call, 180, NULL);
}

int sipua_call_progress(struct sipua_call *call, int status, const char *sdp)
{
    int err = check_unanswered_incoming(call);
    if (err == 0 && (status <= 100 || status >= 200))
        err = -EINVAL;
    if (err == 0 && sdp)
        err = call_remember_sdp(call, sdp);
    if (err < 0)
        return err;
    const char *phrase = sip_status_phrase(status);
    call->state = CALL_EARLY;
    nua_respond(call->nh, status, phrase, SIPTAG_CONTACT_STR(call->contact),
                TAG_IF(sdp, SIPTAG_CONTENT_TYPE_STR("application/sdp")), TAG_IF(sdp, SIPTAG_PAYLOAD_STR(sdp)),
                TAG_END());
    trace_response(call, status, phrase, "INVITE", sdp);
    return 0;
}

int sipua_call_answer(struct sipua_call *call, const char *sdp)
{
    int err = check_unanswered_incoming(call);
    if (err == 0)
        err = call_remember_sdp(call, sdp);
    if (err < 0)
        return err;
    call->state = CALL_ANSWERED;
    call->answered = true;
    nua_respond(call->nh, SIP_200_OK, SIPTAG_CONTACT_STR(call->contact), SIPTAG_CONTENT_TYPE_STR("application/sdp"),
                SIPTAG_PAYLOAD_STR(sdp), TAG_END());
    trace_response(call, 200, sip_200_OK, "INVITE", sdp);
    return 0;
}

int sipua_call_reject(struct sipua_call *call, const struct sipua_refusal *refusal)
{
    char warning[SIPUA_SDP_WHY_MAX + 64] = "", text[SIPUA_SDP_WHY_MAX], reason[SIPUA_TEXT_MAX], seconds[16] = "";
    const char *phrase = refusal->phrase ? refusal->phrase : sip_status_phrase(refusal->status);
    const int err = check_unanswered_incoming(call);
    if (err < 0)
        return err;
    if (refusal->status < 300 || refusal->status > 699)
        return -EINVAL;
    if (!phrase)
        phrase = "Refused";
    ua_quotable(refusal->warning, text, sizeof text);
    if (refusal->warning_code)
        snprintf(warning, sizeof warning, "%d " AGENT_NAME " \"%s\"", refusal->warning_code, text);
    if (refusal->retry_after_s)
        snprintf(seconds, sizeof seconds, "%u", refusal->retry_after_s);
    ua_print_reason(refusal->q850, NULL, reason, sizeof reason);
    nua_respond(call->nh, refusal->status, phrase, TAG_IF(*warning, SIPTAG_WARNING_STR(warning)),
                TAG_IF(*seconds, SIPTAG_RETRY_AFTER_STR(seconds)), TAG_IF(*reason, SIPTAG_REASON_STR(reason)),
                TAG_END());
    trace_response(call, refusal->status, phrase, "INVITE", NULL);
    struct call_end end = { .kind = SIPUA_EV_ENDED, .status = refusal->status, .q850 = refusal->q850 };
    snprintf(end.phrase, sizeof end.phrase, "%s", phrase);
    call_finish(call, &end);
    return 0;
}

int sipua_call_answer_offer(struct sipua_call *call, int status, const char *sdp)
{
    if (call->state >= CALL_CLOSING)
        return -ESHUTDOWN;
    if (!call->offer_pending)
        return -EPROTO;
    if (status < 200 || status > 699 || (status < 300 && !sdp))
        return -EINVAL;
    if (status < 300 && call_remember_sdp(call, sdp) < 0)
        return -ENOMEM;
    const bool ok = status < 300;
    const char *phrase = sip_status_phrase(status);
    nua_respond(call->nh, status, phrase ? phrase : "Refused", NUTAG_WITH_SAVED(&call->offer_event),
                SIPTAG_CONTACT_STR(call->contact), TAG_IF(ok, SIPTAG_CONTENT_TYPE_STR("application/sdp")),
                TAG_IF(ok, SIPTAG_PAYLOAD_STR(sdp)), TAG_END());
    drop_offer(call);
    trace_response(call, status, phrase ? phrase : "Refused", "offer", ok ? sdp : NULL);
    return 0;
}

int sipua_call_hangup(struct sipua_call *call, uint32_t q850, const char *text)
{
    switch (call->state) {
    case CALL_CLOSING:
    case CALL_OVER:
        return -ESHUTDOWN;
    case CALL_ANSWERED:
        begin_closing(call, q850, text);
        call->bye_on_ack = true;
        return 0;
    case CALL_UP:
        begin_closing(call, q850, text);
        call_send_bye(call);
        return 0;
    case CALL_TRYING:
    case CALL_EARLY:
    case CALL_CALLING:
        break;
    }
    if (!call->outgoing)
        return sipua_call_reject(call, &(struct sipua_refusal){ .status = 603, .q850 = q850 });
    begin_closing(call, q850, text);
    trace_request(call, "CANCEL", NULL);
    nua_cancel(call->nh, TAG_IF(call->bye_reason[0], SIPTAG_REASON_STR(call->bye_reason)), TAG_END());
    return 0;
}

void sipua_call_release(struct sipua_call *call)
{
    if (!call)
        return;
    call->released = true;
    (void)sipua_call_hangup(call, 0, NULL); /* over already: nothing to do */
    call_unref(call);
}

void *sipua_call_arg(const struct sipua_call *call)
{
    return call->arg;
}

void sipua_call_set_arg(struct sipua_call *call, void *arg)
{
    call->arg = arg;
}

bool sipua_call_is_over(const struct sipua_call *call)
{
    return call->state == CALL_OVER;
}

const char *sipua_call_id(const struct sipua_call *call)
{
    return call->id;
}
