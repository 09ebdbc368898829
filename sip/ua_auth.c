/* Who sent this request: challenge, verify, and hold the claimed identity against the proven one. */
#include "sip/ua_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "wzp/rt/clock.h"

/* Headers looked at before giving up; a client answers at most two challenges. */
#define AUTH_HEADERS_MAX 4

/* INVITE uses the proxy's pair of headers, REGISTER the server's, always. */
static bool is_proxy_style(const sip_t *sip)
{
    return sip->sip_request->rq_method == sip_method_invite;
}

static void challenge(struct sipua *ua, nua_handle_t *nh, const sip_t *sip, enum sipua_auth_policy policy, bool stale)
{
    char value[2][SIPUA_AUTH_CHALLENGE_MAX];
    const uint64_t now_us = wz_clock_us();
    const bool two = policy == SIPUA_POLICY_BOTH;
    sipua_auth_challenge(ua->auth, policy == SIPUA_POLICY_MD5 ? SIPUA_AUTH_MD5 : SIPUA_AUTH_SHA256, stale, now_us,
                         value[0]);
    if (two)
        sipua_auth_challenge(ua->auth, SIPUA_AUTH_MD5, stale, now_us, value[1]);
    if (is_proxy_style(sip)) {
        ua->stats.invite_challenged++;
        nua_respond(nh, SIP_407_PROXY_AUTH_REQUIRED, NUTAG_WITH_THIS(ua->nua), SIPTAG_PROXY_AUTHENTICATE_STR(value[0]),
                    TAG_IF(two, SIPTAG_PROXY_AUTHENTICATE_STR(value[1])), TAG_END());
    } else {
        ua->stats.register_challenged++;
        nua_respond(nh, SIP_401_UNAUTHORIZED, NUTAG_WITH_THIS(ua->nua), SIPTAG_WWW_AUTHENTICATE_STR(value[0]),
                    TAG_IF(two, SIPTAG_WWW_AUTHENTICATE_STR(value[1])), TAG_END());
    }
}

/* sofia has cut the header into parameters; its own printing of them loses the end of long ones. */
/* sofia has taken the value apart at its commas. Its own printing of the header loses parameters of long values
 * (sip_header_as_string, 1.12.11), so the text is put together here. */
static int parse_one(const sip_authorization_t *from, struct sipua_auth_header *ret)
{
    char text[SIPUA_AUTH_HEADER_MAX];
    int len = snprintf(text, sizeof text, "%s ", from->au_scheme ? from->au_scheme : "");
    for (size_t i = 0; from->au_params && from->au_params[i]; i++) {
        if (len < 0 || (size_t)len >= sizeof text)
            return -EBADMSG;
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%s", i ? ", " : "", from->au_params[i]);
    }
    if (len < 0 || (size_t)len >= sizeof text)
        return -EBADMSG;
    return sipua_auth_parse(wz_bytes(text, (size_t)len), ret);
}

/* The credentials meant for us. 0; -ENOENT: none; -EBADMSG: some that no client of ours would write. */
static int find_header(const struct sipua *ua, const sip_t *sip, struct sipua_auth_header *ret)
{
    const sip_authorization_t *from = is_proxy_style(sip) ? sip->sip_proxy_authorization : sip->sip_authorization;
    int result = -ENOENT;
    for (unsigned i = 0; from && i < AUTH_HEADERS_MAX; i++, from = from->au_next) {
        const int err = parse_one(from, ret);
        if (err == 0 && strcmp(ret->realm, ua->config.realm) == 0)
            return 0;
        if (err == -EBADMSG)
            result = -EBADMSG;
    }
    return result;
}

static void refuse(struct sipua *ua, nua_handle_t *nh, const sip_t *sip, int status, const char *phrase)
{
    if (is_proxy_style(sip))
        ua->stats.invite_refused++;
    else
        ua->stats.register_refused++;
    nua_respond(nh, status, phrase, NUTAG_WITH_THIS(ua->nua), TAG_END());
}

int ua_authenticate(struct sipua *ua, nua_handle_t *nh, const sip_t *sip, const url_t *aor, char *user)
{
    struct sipua_auth_header header = { 0 };
    struct sipua_credentials credentials = { .policy = ua->config.default_policy };
    char claimed[SIPUA_USER_MAX];
    if (ua_user(aor, claimed, sizeof claimed) < 0) {
        refuse(ua, nh, sip, SIP_400_BAD_REQUEST);
        return -EACCES;
    }
    const int err = find_header(ua, sip, &header);
    if (err == -EBADMSG) {
        refuse(ua, nh, sip, 400, "Bad Authorization Header");
        return -EACCES;
    }
    /* The account that is checked is the one whose name was given with the password; the first request has none yet. */
    const char *name = err == 0 ? header.username : claimed;
    const bool known = strlen(name) < SIPUA_USER_MAX && ua->handlers.credentials(ua->arg, name, &credentials) == 0;
    if (!known)
        credentials = (struct sipua_credentials){ .policy = ua->config.default_policy };
    const enum sipua_auth_verdict verdict = err < 0
                                                ? SIPUA_AUTH_DENIED
                                                : sipua_auth_check(ua->auth, &header, sip->sip_request->rq_method_name,
                                                                   known ? &credentials : NULL, wz_clock_us());
    const enum sipua_auth_policy policy = credentials.policy;
    OPENSSL_cleanse(&credentials, sizeof credentials);
    if (verdict != SIPUA_AUTH_OK) {
        if (err == 0 && verdict == SIPUA_AUTH_DENIED)
            ua->stats.auth_failed++;
        challenge(ua, nh, sip, policy, verdict == SIPUA_AUTH_STALE);
        return -EACCES;
    }
    if (strcmp(claimed, header.username) != 0) { /* a good password does not make one somebody else */
        refuse(ua, nh, sip, SIP_403_FORBIDDEN);
        return -EACCES;
    }
    memcpy(user, claimed, strlen(claimed) + 1);
    return 0;
}
