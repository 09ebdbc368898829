/* sip/auth: any Authorization value. What parses is bounded and printable, and is never accepted: nobody here knows
 * the password. */
#include <stdlib.h>
#include <string.h>

#include "sip/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    memset(out, 7, len);
}

static void require_printable(const char *text, size_t size)
{
    const size_t len = strnlen(text, size);
    if (len == size)
        abort();
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wz_rng rng = { .fill = fill };
    struct sipua_auth_header header;
    struct sipua_credentials credentials = { .policy = SIPUA_POLICY_BOTH };
    struct sipua_auth *auth;
    if (sipua_auth_parse(wz_bytes(data, size), &header) < 0)
        return 0;
    require_printable(header.username, sizeof header.username);
    require_printable(header.realm, sizeof header.realm);
    require_printable(header.nonce, sizeof header.nonce);
    require_printable(header.uri, sizeof header.uri);
    require_printable(header.cnonce, sizeof header.cnonce);
    require_printable(header.response, sizeof header.response);
    if (sipua_auth_new(&auth, "realm", &rng, 2) < 0)
        return 0;
    sipua_auth_ha1(SIPUA_AUTH_MD5, "u", "realm", "a password that is in no input", credentials.ha1_md5);
    sipua_auth_ha1(SIPUA_AUTH_SHA256, "u", "realm", "a password that is in no input", credentials.ha1_sha256);
    if (sipua_auth_check(auth, &header, "INVITE", &credentials, 1) != SIPUA_AUTH_DENIED ||
        sipua_auth_check(auth, &header, "INVITE", NULL, 1) != SIPUA_AUTH_DENIED)
        abort();
    sipua_auth_free(auth);
    return 0;
}
