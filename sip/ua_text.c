/* Small conversions between sofia's message structs and plain text, for the other ua_*.c files. */
#include "sip/ua_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sofia-sip/msg_addr.h>
#include <sofia-sip/url.h>

#include "wzp/rt/udp.h"

struct wz_addr ua_source(struct sipua *ua, const sip_t *sip, enum sipua_transport *ret_transport)
{
    struct wz_addr source = { 0 };
    msg_t *msg = nua_current_request(ua->nua);
    const char *protocol = sip->sip_via && sip->sip_via->v_protocol ? sip->sip_via->v_protocol : "";
    if (msg && msg_addr(msg))
        source = wz_addr_from_sockaddr(&msg_addr(msg)->su_sa);
    *ret_transport = strcasecmp(protocol, "SIP/2.0/TCP") == 0 ? SIPUA_TCP : SIPUA_UDP;
    return source;
}

/* The address of ours that this peer can reach. */
static struct wz_addr own_address(const struct sipua *ua, const struct wz_addr *peer)
{
    struct wz_addr own = ua->config.public_address;
    if (own.family == WZ_ADDR_NONE) {
        own = ua->local;
        if (wz_addr_is_any(&own) && (!peer || wz_addr_local_towards(peer, &own) < 0))
            own = ua->local;
        own.port = 0;
    }
    if (own.port == 0)
        own.port = ua->local.port;
    return own;
}

void ua_contact(const struct sipua *ua, const struct wz_addr *peer, enum sipua_transport transport, char *buf,
                size_t size)
{
    char text[WZ_ADDR_TEXT_MAX];
    const struct wz_addr own = own_address(ua, peer);
    snprintf(buf, size, "<sip:gw@%s%s>", wz_addr_format(&own, text), transport == SIPUA_TCP ? ";transport=tcp" : "");
}

void ua_next_hop(const struct wz_addr *peer, enum sipua_transport transport, char *buf, size_t size)
{
    char text[WZ_ADDR_TEXT_MAX];
    snprintf(buf, size, "sip:%s;transport=%s", wz_addr_format(peer, text), transport == SIPUA_TCP ? "tcp" : "udp");
}

int ua_user(const url_t *url, char *buf, size_t size)
{
    if (!url || !url->url_user || strlen(url->url_user) >= size || !*url->url_user)
        return -EBADMSG;
    const size_t len = url_unescape_to(buf, url->url_user, size - 1);
    buf[len] = '\0';
    for (const char *c = buf; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return -EBADMSG;
    return strlen(buf) == len && len > 0 ? 0 : -EBADMSG;
}

void ua_clean(const char *text, char *buf, size_t size)
{
    size_t len = 0;
    const bool quoted = text && *text == '"';
    for (const char *c = text ? text + quoted : ""; *c && len + 1 < size; c++) {
        if (quoted && *c == '"')
            break;
        if (quoted && *c == '\\' && c[1])
            c++;
        if ((unsigned char)*c >= 0x20 && *c != 0x7f)
            buf[len++] = *c;
    }
    buf[len] = '\0';
}

int ua_body_sdp(const sip_t *sip, char *buf)
{
    const sip_payload_t *body = sip->sip_payload;
    const sip_content_type_t *type = sip->sip_content_type;
    if (!body || !body->pl_data || body->pl_len == 0)
        return 0;
    if (!type || !type->c_type || strcasecmp(type->c_type, "application/sdp") != 0 || sip->sip_content_encoding)
        return -EPROTONOSUPPORT;
    if (body->pl_len > SIPUA_SDP_MAX_BYTES)
        return -EMSGSIZE;
    if (memchr(body->pl_data, '\0', body->pl_len))
        return -EBADMSG;
    memcpy(buf, body->pl_data, body->pl_len);
    buf[body->pl_len] = '\0';
    return 1;
}

uint32_t ua_reason(const sip_t *sip, char *text, size_t size)
{
    text[0] = '\0';
    for (const sip_reason_t *reason = sip ? sip->sip_reason : NULL; reason; reason = reason->re_next) {
        if (!reason->re_protocol || strcasecmp(reason->re_protocol, "Q.850") != 0 || !reason->re_cause)
            continue;
        const unsigned long cause = strtoul(reason->re_cause, NULL, 10);
        ua_clean(reason->re_text, text, size);
        return cause <= 127 ? (uint32_t)cause : 0;
    }
    return 0;
}

void ua_quotable(const char *text, char *buf, size_t size)
{
    size_t len = 0;
    for (const char *c = text ? text : ""; *c && len + 1 < size; c++)
        if ((unsigned char)*c >= 0x20 && *c != 0x7f && *c != '"' && *c != '\\')
            buf[len++] = *c;
    buf[len] = '\0';
}

void ua_print_reason(uint32_t q850, const char *text, char *buf, size_t size)
{
    char clean[SIPUA_TEXT_MAX / 2];
    ua_quotable(text, clean, sizeof clean);
    buf[0] = '\0';
    if (q850 != 0)
        snprintf(buf, size, "Q.850;cause=%u%s%s%s", q850, *clean ? ";text=\"" : "", clean, *clean ? "\"" : "");
}
