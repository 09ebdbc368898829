/* The parser of Authorization and Proxy-Authorization values (RFC 7235 credentials, RFC 7616 parameters). */
#include "sip/auth.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define TEXT_MAX SIPUA_AUTH_FIELD_MAX

enum field {
    FIELD_USERNAME,
    FIELD_REALM,
    FIELD_NONCE,
    FIELD_URI,
    FIELD_RESPONSE,
    FIELD_CNONCE,
    FIELD_QOP,
    FIELD_NC,
    FIELD_ALGORITHM,
    FIELD_USERHASH,
    FIELD_COUNT,
};

static const char *const field_name[FIELD_COUNT] = {
    "username", "realm", "nonce", "uri", "response", "cnonce", "qop", "nc", "algorithm", "userhash",
};

static bool is_token_char(uint8_t c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static void skip_blank(struct wz_reader *in)
{
    while (wz_left(in) > 0 && (*in->pos == ' ' || *in->pos == '\t' || *in->pos == '\r' || *in->pos == '\n'))
        in->pos++;
}

static bool take_char(struct wz_reader *in, uint8_t wanted)
{
    skip_blank(in);
    if (wz_left(in) == 0 || *in->pos != wanted)
        return false;
    in->pos++;
    return true;
}

static bool take_token(struct wz_reader *in, char text[static TEXT_MAX])
{
    size_t len = 0;
    skip_blank(in);
    while (wz_left(in) > 0 && is_token_char(*in->pos)) {
        if (len + 1 >= TEXT_MAX)
            return false;
        text[len++] = (char)*in->pos++;
    }
    text[len] = '\0';
    return len > 0;
}

/* After the opening quote. Escapes are resolved; control bytes are refused, so that nothing here can break a log line
 * or a header that quotes the value. */
static bool take_quoted(struct wz_reader *in, char text[static TEXT_MAX])
{
    size_t len = 0;
    uint8_t c;
    while (wz_get_u8(in, &c)) {
        if (c == '"') {
            text[len] = '\0';
            return true;
        }
        if (c == '\\' && !wz_get_u8(in, &c))
            return false;
        if (c < 0x20 || c == 0x7f || len + 1 >= TEXT_MAX)
            return false;
        text[len++] = (char)c;
    }
    return false;
}

static bool take_value(struct wz_reader *in, char text[static TEXT_MAX])
{
    return take_char(in, '"') ? take_quoted(in, text) : take_token(in, text);
}

static enum field find_field(const char *name)
{
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (strcasecmp(name, field_name[i]) == 0)
            return (enum field)i;
    return FIELD_COUNT;
}

/* Lower-case hex copied to out; false when text holds anything else or does not fit. */
static bool copy_hex(const char *text, char *out, size_t size)
{
    size_t len = strlen(text);
    if (len == 0 || len >= size)
        return false;
    for (size_t i = 0; i <= len; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (c != '\0' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
        out[i] = c;
    }
    return true;
}

static int parse_nc(const char *text, struct sipua_auth_header *header)
{
    if (strlen(text) != 8 || !copy_hex(text, header->nc_text, sizeof header->nc_text))
        return -EBADMSG;
    uint32_t nc = 0;
    for (const char *c = header->nc_text; *c; c++)
        nc = nc << 4 | (uint32_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
    header->nc = nc;
    /* The response covers nc as it was sent. */
    memcpy(header->nc_text, text, sizeof header->nc_text);
    return 0;
}

static int store_field(enum field field, const char *text, struct sipua_auth_header *header)
{
    switch (field) {
    case FIELD_USERNAME:
        memcpy(header->username, text, strlen(text) + 1);
        return 0;
    case FIELD_REALM:
        memcpy(header->realm, text, strlen(text) + 1);
        return 0;
    case FIELD_NONCE:
        memcpy(header->nonce, text, strlen(text) + 1);
        return 0;
    case FIELD_URI:
        memcpy(header->uri, text, strlen(text) + 1);
        return 0;
    case FIELD_CNONCE:
        memcpy(header->cnonce, text, strlen(text) + 1);
        return 0;
    case FIELD_RESPONSE:
        return copy_hex(text, header->response, sizeof header->response) ? 0 : -EBADMSG;
    case FIELD_QOP:
        if (strcasecmp(text, "auth") != 0)
            return -EPROTONOSUPPORT;
        memcpy(header->qop, text, strlen(text) + 1);
        return 0;
    case FIELD_NC:
        return parse_nc(text, header);
    case FIELD_ALGORITHM:
        if (strcasecmp(text, "MD5") == 0)
            header->algorithm = SIPUA_AUTH_MD5;
        else if (strcasecmp(text, "SHA-256") == 0)
            header->algorithm = SIPUA_AUTH_SHA256;
        else
            return -EPROTONOSUPPORT;
        return 0;
    case FIELD_USERHASH:
        return strcasecmp(text, "false") == 0 ? 0 : -EPROTONOSUPPORT;
    case FIELD_COUNT:
        break;
    }
    return 0; /* a parameter that concerns others: opaque, vendor extensions */
}

static int parse_params(struct wz_reader *in, struct sipua_auth_header *header, bool seen[static FIELD_COUNT])
{
    for (unsigned count = 0;; count++) {
        char name[TEXT_MAX], text[TEXT_MAX];
        if (count == SIPUA_AUTH_PARAMS_MAX)
            return -EBADMSG;
        if (!take_token(in, name) || !take_char(in, '=') || !take_value(in, text))
            return -EBADMSG;
        const enum field field = find_field(name);
        if (field != FIELD_COUNT) {
            if (seen[field])
                return -EBADMSG;
            seen[field] = true;
        }
        const int err = store_field(field, text, header);
        if (err < 0)
            return err;
        skip_blank(in);
        if (wz_left(in) == 0)
            return 0;
        if (!take_char(in, ','))
            return -EBADMSG;
    }
}

int sipua_auth_parse(struct wz_bytes value, struct sipua_auth_header *ret)
{
    static const enum field required[] = {
        FIELD_USERNAME, FIELD_REALM, FIELD_NONCE, FIELD_URI, FIELD_RESPONSE, FIELD_CNONCE, FIELD_NC,
    };
    struct sipua_auth_header header = { .algorithm = SIPUA_AUTH_MD5 };
    bool seen[FIELD_COUNT] = { false };
    char scheme[TEXT_MAX];
    if (value.len > SIPUA_AUTH_HEADER_MAX)
        return -EBADMSG;
    struct wz_reader in = wz_reader(value);
    if (!take_token(&in, scheme))
        return -EBADMSG;
    if (strcasecmp(scheme, "Digest") != 0)
        return -EPROTONOSUPPORT;
    const int err = parse_params(&in, &header, seen);
    if (err < 0)
        return err;
    if (!seen[FIELD_QOP]) /* RFC 2069 style: a replay could not be told from the original */
        return -EPROTONOSUPPORT;
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        if (!seen[required[i]])
            return -EBADMSG;
    *ret = header;
    return 0;
}
