/* REGISTER: authenticate, take apart, let the table decide, say what is registered now. */
#include "sip/ua_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/su_alloc.h>
#include <sofia-sip/url.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"

#define EXPIRES_TEXT_MAX 16
#define PATH_MAX_BYTES   512
#define AGENT_MAX        128
#define INSTANCE_MAX     128

/* A REGISTER while it is taken apart; home owns the strings. */
struct parsed {
    su_home_t home[1];
    struct sipua_reg_request request;
    struct sipua_reg_contact contact[SIPUA_REG_MAX_CONTACTS];
};

/* RFC 3261 20.19: an expires parameter that is no number means 3600. */
static uint32_t parse_expires(const char *text)
{
    char *end;
    if (!text)
        return SIPUA_REG_UNSTATED;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || *text == '-')
        return 3600;
    return value >= SIPUA_REG_UNSTATED ? SIPUA_REG_UNSTATED - 1 : (uint32_t)value;
}

static const char *cut(su_home_t *home, const char *text, size_t max)
{
    const char *copy = text ? su_strndup(home, text, (isize_t)max) : "";
    return copy ? copy : "";
}

/* Only what can be dialled again later: plain sip, a host, no headers hidden in the URL. */
static bool contact_is_usable(const url_t *url)
{
    return url->url_type == url_sip && url->url_host && *url->url_host && !url->url_headers;
}

static int parse_contact(struct parsed *to, const sip_contact_t *from)
{
    struct sipua_reg_contact *contact = &to->contact[to->request.contact_count];
    if (!contact_is_usable(from->m_url))
        return -EBADMSG;
    const char *uri = url_as_string(to->home, from->m_url);
    const char *instance = msg_params_find(from->m_params, "+sip.instance=");
    const char *reg_id = msg_params_find(from->m_params, "reg-id=");
    char *clean = su_alloc(to->home, INSTANCE_MAX);
    if (!uri || !clean)
        return -ENOMEM;
    ua_clean(instance, clean, INSTANCE_MAX);
    *contact = (struct sipua_reg_contact){
        .uri = uri,
        .expires_s = parse_expires(from->m_expires),
        .instance_id = clean,
        .reg_id = reg_id ? (uint32_t)strtoul(reg_id, NULL, 10) : 0,
    };
    to->request.contact_count++;
    return 0;
}

static int parse_contacts(struct parsed *to, const sip_t *sip)
{
    for (const sip_contact_t *from = sip->sip_contact; from; from = from->m_next) {
        if (from->m_url->url_type == url_any) {
            to->request.star = true;
            continue;
        }
        if (to->request.contact_count == SIPUA_REG_MAX_CONTACTS)
            return -ENOSPC;
        const int err = parse_contact(to, from);
        if (err < 0)
            return err;
    }
    return 0;
}

/* The Path as one header value, ready to be a Route; "" without one, NULL when memory is short. */
static const char *print_path(su_home_t *home, const sip_path_t *path)
{
    const char *text = "";
    for (; path && text; path = path->r_next) {
        const char *url = url_as_string(home, path->r_url);
        text = url ? su_sprintf(home, "%s%s<%s>", text, *text ? ", " : "", url) : NULL;
    }
    return text;
}

static int parse_register(struct sipua *ua, const sip_t *sip, const char *user, struct parsed *to)
{
    struct sipua_reg_request *request = &to->request;
    const char *path = print_path(to->home, sip->sip_path);
    request->user = user;
    request->call_id = sip->sip_call_id->i_id;
    request->cseq = sip->sip_cseq->cs_seq;
    request->contact = to->contact;
    request->expires_s = sip->sip_expires ? (uint32_t)sip->sip_expires->ex_delta : SIPUA_REG_UNSTATED;
    if (sip->sip_expires && request->expires_s == SIPUA_REG_UNSTATED)
        request->expires_s--;
    request->source = ua_source(ua, sip, &request->transport);
    request->user_agent = cut(to->home, sip->sip_user_agent ? sip->sip_user_agent->g_string : NULL, AGENT_MAX);
    if (!path)
        return -ENOMEM;
    if (strlen(path) > PATH_MAX_BYTES)
        return -EBADMSG;
    request->path = path;
    return parse_contacts(to, sip);
}

/* All contacts of the user in one header value. */
static char *print_contacts(struct sipua *ua, su_home_t *home, const char *user, uint64_t now_us)
{
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    const size_t count = sipua_reg_contacts(ua->reg, user, now_us, binding);
    char *text = NULL;
    for (size_t i = 0; i < count; i++) {
        const unsigned left_s = (unsigned)((binding[i]->expires_at_us - now_us + 999999) / 1000000);
        text = su_sprintf(home, "%s%s<%s>;expires=%u", text ? text : "", text ? ", " : "", binding[i]->contact, left_s);
    }
    return text;
}

static void respond_ok(struct sipua *ua, nua_handle_t *nh, const sip_t *sip, struct parsed *parsed)
{
    const char *contacts = print_contacts(ua, parsed->home, parsed->request.user, wz_wall_us());
    ua->stats.register_ok++;
    nua_respond(nh, SIP_200_OK, NUTAG_WITH_THIS(ua->nua), TAG_IF(contacts, SIPTAG_CONTACT_STR(contacts)),
                TAG_IF(sip->sip_path, SIPTAG_PATH(sip->sip_path)), TAG_END());
}

static void respond_error(struct sipua *ua, nua_handle_t *nh, int err)
{
    char text[EXPIRES_TEXT_MAX];
    ua->stats.register_refused++;
    switch (err) {
    case -ERANGE:
        snprintf(text, sizeof text, "%u", ua->config.min_expires_s);
        nua_respond(nh, SIP_423_INTERVAL_TOO_BRIEF, NUTAG_WITH_THIS(ua->nua), SIPTAG_MIN_EXPIRES_STR(text), TAG_END());
        return;
    case -EBADMSG:
        nua_respond(nh, 400, "Bad Contact", NUTAG_WITH_THIS(ua->nua), TAG_END());
        return;
    case -EPROTO:
        nua_respond(nh, 500, "CSeq Out Of Order", NUTAG_WITH_THIS(ua->nua), TAG_END());
        return;
    default:
        snprintf(text, sizeof text, "%u", ua->config.limits.retry_after_s);
        ua->stats.overload_refused++;
        nua_respond(nh, SIP_503_SERVICE_UNAVAILABLE, NUTAG_WITH_THIS(ua->nua), SIPTAG_RETRY_AFTER_STR(text), TAG_END());
        return;
    }
}

void ua_on_register(struct sipua *ua, nua_handle_t *nh, const sip_t *sip)
{
    char user[SIPUA_USER_MAX];
    struct parsed parsed = { .home = { SU_HOME_INIT(parsed.home) } };
    if (ua_authenticate(ua, nh, sip, sip->sip_to->a_url, user) < 0)
        return;
    (void)su_home_init(parsed.home);
    int err = parse_register(ua, sip, user, &parsed);
    if (err == 0)
        err = sipua_reg_update(ua->reg, &parsed.request, wz_wall_us());
    if (err < 0)
        respond_error(ua, nh, err);
    else
        respond_ok(ua, nh, sip, &parsed);
    ua->stats.bindings = (uint32_t)sipua_reg_count(ua->reg);
    su_home_deinit(parsed.home);
}
