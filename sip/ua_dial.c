/* An outgoing INVITE. */
#include "sip/ua_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sofia-sip/url.h>

/* What may not stand bare in the user part of a URI. */
#define USER_RESERVED "@:;?&=/,"

struct dial_texts {
    char uri[SIPUA_REG_URI_MAX + 1];
    char from[UA_URI_MAX], to[UA_URI_MAX], hop[UA_URI_MAX];
    bool pinned; /**< hop is used */
};

/* "sip:user@host:port" with the host of our own Contact. */
static int print_aor(const struct sipua_call *call, const char *user, char *buf, size_t size)
{
    char escaped[3 * SIPUA_USER_MAX];
    const char *host = strchr(call->contact, '@');
    if (!user || !*user || strlen(user) >= SIPUA_USER_MAX || !host)
        return -EINVAL;
    url_escape(escaped, user, USER_RESERVED);
    snprintf(buf, size, "sip:%s%.*s", escaped, (int)strcspn(host, ";>"), host);
    return 0;
}

static int print_texts(const struct sipua_call *call, const struct sipua_dial *dial, struct dial_texts *to)
{
    char aor[UA_URI_MAX / 2], display[SIPUA_DISPLAY_MAX];
    const char *uri = dial->binding ? dial->binding->contact : dial->uri;
    if (!uri || !*uri || strlen(uri) > SIPUA_REG_URI_MAX || !dial->sdp)
        return -EINVAL;
    memcpy(to->uri, uri, strlen(uri) + 1);
    if (print_aor(call, dial->from_user, aor, sizeof aor) < 0)
        return -EINVAL;
    ua_quotable(dial->from_display, display, sizeof display);
    snprintf(to->from, sizeof to->from, "\"%s\" <%s>", display, aor);
    if (dial->binding && print_aor(call, dial->binding->user, aor, sizeof aor) < 0)
        return -EINVAL;
    snprintf(to->to, sizeof to->to, "<%s>", dial->binding ? aor : uri);
    /* Behind an edge the Path leads to the phone; else where it registered from, which a NAT has made its address. */
    to->pinned = dial->binding && dial->binding->path[0] == '\0';
    if (to->pinned)
        ua_next_hop(&dial->binding->source, dial->binding->transport, to->hop, sizeof to->hop);
    return 0;
}

static void name_call(struct sipua_call *call)
{
    uint64_t id[2];
    wz_rng_fill(call->ua->config.rng, id, sizeof id);
    snprintf(call->id, sizeof call->id, "%016" PRIx64 "%016" PRIx64, id[0], id[1]);
}

static int send_invite(struct sipua_call *call, const struct sipua_dial *dial)
{
    struct dial_texts text;
    const char *path = dial->binding && dial->binding->path[0] ? dial->binding->path : NULL;
    if (dial->binding) {
        call->peer = dial->binding->source;
        call->transport = dial->binding->transport;
    }
    ua_contact(call->ua, dial->binding ? &call->peer : NULL, call->transport, call->contact, sizeof call->contact);
    int err = print_texts(call, dial, &text);
    if (err == 0)
        err = call_remember_sdp(call, dial->sdp);
    if (err < 0)
        return err;
    name_call(call);
    call->nh = nua_handle(call->ua->nua, call_magic(call), NUTAG_URL(text.uri), SIPTAG_TO_STR(text.to),
                          SIPTAG_FROM_STR(text.from), SIPTAG_CALL_ID_STR(call->id), TAG_END());
    if (!call->nh)
        return -ENOMEM;
    nua_invite(call->nh, TAG_IF(text.pinned, NUTAG_PROXY(text.hop)), TAG_IF(path, NUTAG_INITIAL_ROUTE_STR(path)),
               SIPTAG_CONTACT_STR(call->contact), SIPTAG_CONTENT_TYPE_STR("application/sdp"),
               SIPTAG_PAYLOAD_STR(dial->sdp), TAG_IF(dial->extra_headers, SIPTAG_HEADER_STR(dial->extra_headers)),
               TAG_END());
    return 0;
}

int sipua_dial(struct sipua *ua, const struct sipua_dial *dial, void *call_arg, struct sipua_call **ret)
{
    struct sipua_call *call = NULL;
    if (ua->shutting_down || ua->active >= ua->config.limits.max_calls)
        return -EAGAIN;
    int err = call_new(ua, &call);
    if (err < 0)
        return err;
    call->outgoing = true;
    call->state = CALL_CALLING;
    call->arg = call_arg;
    err = send_invite(call, dial);
    if (err < 0) { /* nobody has heard of it: no event */
        call->released = true;
        call_finish(call, &call->end);
        call_unref(call);
        return err;
    }
    *ret = call;
    trace_request(call, "INVITE", dial->sdp);
    return 0;
}
