/* See value.h. */
#include "config/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/mistakes.h"

/** Bytes of a wrong value that a message repeats. */
#define SHOWN 60
/** RFC 1035: a name is at most 253 characters. */
#define HOST_MAX 253

_Static_assert(sizeof(enum cfg_privacy) == sizeof(unsigned) && sizeof(enum cfg_log_level) == sizeof(unsigned),
               "enums are read and written as unsigned");

static void *member(const struct cfg_field *field, void *base)
{
    return (char *)base + field->offset;
}

__attribute__((format(printf, 2, 3))) static int wrong(char reason[static CFG_REASON_MAX], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(reason, CFG_REASON_MAX, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static void wipe(void *data, size_t len)
{
    volatile unsigned char *p = data;

    while (len-- > 0)
        *p++ = 0;
}

static void free_wiped(char *text)
{
    if (text)
        wipe(text, strlen(text));
    free(text);
}

/* ---- texts and secrets ---- */

static int check_text(const struct cfg_field *field, const char *text, char reason[static CFG_REASON_MAX])
{
    size_t len = strlen(text);

    if (len < field->min || len > field->max) {
        if (field->min == field->max)
            return wrong(reason, "must be %u characters long, not %zu", field->min, len);
        return wrong(reason, "must be %u to %u characters long, not %zu", field->min, field->max, len);
    }
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            return wrong(reason, "must not contain control characters");
        if (field->chars && !strchr(field->chars, *p))
            return field->kind == CFG_SECRET ? wrong(reason, "contains a character that is not allowed here")
                                             : wrong(reason, "\"%.*s\" contains \"%c\", which is not allowed here",
                                                     SHOWN, text, c < 0x80 ? c : '?');
    }
    return 0;
}

static int set_text(const struct cfg_field *field, void *base, const char *text, char reason[static CFG_REASON_MAX])
{
    char **place = member(field, base);
    int err = check_text(field, text, reason);
    char *copy;

    if (err)
        return err;
    copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free_wiped(*place);
    *place = copy;
    return 0;
}

/** Follow "env:NAME" or "file:PATH". *ret is NULL when text is the secret itself. */
static int resolve(const char *text, const struct cfg_secret_source *secrets, char **ret,
                   char reason[static CFG_REASON_MAX])
{
    bool env = strncmp(text, "env:", 4) == 0;
    bool file = strncmp(text, "file:", 5) == 0;
    int err;

    *ret = NULL;
    if (!secrets || (!env && !file))
        return 0;
    err = env ? secrets->read_env(secrets->arg, text + 4, ret) : secrets->read_file(secrets->arg, text + 5, ret);
    if (err == -ENOMEM)
        return err;
    if (err && env)
        return wrong(reason, "the environment variable \"%.*s\" is not set", SHOWN, text + 4);
    if (err)
        return wrong(reason, "cannot read the file \"%.*s\": %s", SHOWN, text + 5, strerror(-err));
    return 0;
}

static int set_secret(const struct cfg_field *field, void *base, const char *text,
                      const struct cfg_secret_source *secrets, char reason[static CFG_REASON_MAX])
{
    char inner[CFG_REASON_MAX];
    char *resolved;
    int err = resolve(text, secrets, &resolved, reason);

    if (err)
        return err;
    if (!resolved && !secrets && (strncmp(text, "env:", 4) == 0 || strncmp(text, "file:", 5) == 0)) {
        char **place = member(field, base); /* unread: kept as the reference it is */
        char *copy = strdup(text);
        if (!copy)
            return -ENOMEM;
        free_wiped(*place);
        *place = copy;
        return 0;
    }
    err = set_text(field, base, resolved ? resolved : text, inner);
    if (err == -EINVAL)
        (void)wrong(reason, "%s%.200s", resolved ? "what it refers to " : "", inner);
    free_wiped(resolved);
    return err;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/** Exactly 2 * len hex digits, skipping the separators. */
static bool parse_hex(const char *text, const char *separators, uint8_t *out, size_t len)
{
    size_t digits = 0;

    memset(out, 0, len);
    for (; *text; text++) {
        int value = hex_value(*text);
        if (value < 0 && strchr(separators, *text))
            continue;
        if (value < 0 || digits == 2 * len)
            return false;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | value);
        digits++;
    }
    return digits == 2 * len;
}

static int set_seed(struct cfg_seed *seed, const char *text, const struct cfg_secret_source *secrets,
                    char reason[static CFG_REASON_MAX])
{
    struct cfg_seed parsed = { .is_given = true };
    char *resolved;
    int err = resolve(text, secrets, &resolved, reason);

    if (err)
        return err;
    if (!parse_hex(resolved ? resolved : text, "", parsed.bytes, sizeof parsed.bytes))
        err = wrong(reason, "must be %d hex digits", 2 * CFG_SEED_BYTES);
    else
        *seed = parsed;
    wipe(&parsed, sizeof parsed);
    free_wiped(resolved);
    return err;
}

static int set_fingerprint(char *place, const char *text, char reason[static CFG_REASON_MAX])
{
    uint8_t raw[16];
    char *out = place;

    if (!parse_hex(text, ":-. ", raw, sizeof raw))
        return wrong(reason, "\"%.*s\" is not a fingerprint (32 hex digits)", SHOWN, text);
    for (size_t i = 0; i < sizeof raw; i++) /* groups of four with colons: the form that travels */
        out += snprintf(out, 4, "%02x%s", raw[i], i % 2 && i + 1 < sizeof raw ? ":" : "");
    return 0;
}

/* ---- numbers, switches, choices ---- */

static int set_uint(const struct cfg_field *field, void *base, const char *text, char reason[static CFG_REASON_MAX])
{
    uint64_t value = 0;
    char type[CFG_REASON_MAX / 2];

    cfg_value_type(field, type, sizeof type);
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || (p == text && *p == '0' && p[1]))
            return wrong(reason, "\"%.*s\" is not a whole number (%s)", SHOWN, text, type);
        if (value <= UINT32_MAX)
            value = value * 10 + (uint64_t)(*p - '0');
    }
    if (!*text)
        return wrong(reason, "must not be empty (%s)", type);
    if (value < field->min || value > field->max)
        return wrong(reason, "%.*s is out of range (%s)", SHOWN, text, type);
    *(uint32_t *)member(field, base) = (uint32_t)value;
    return 0;
}

static int set_bool(bool *place, const char *text, char reason[static CFG_REASON_MAX])
{
    if (strcmp(text, "yes") == 0 || strcmp(text, "true") == 0)
        *place = true;
    else if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0)
        *place = false;
    else
        return wrong(reason, "\"%.*s\" is neither yes nor no", SHOWN, text);
    return 0;
}

static int set_enum(const struct cfg_field *field, void *base, const char *text, char reason[static CFG_REASON_MAX])
{
    const char *best = NULL;
    size_t best_distance = cfg_nearest_limit(text);
    char type[CFG_REASON_MAX / 2];

    for (unsigned i = 0; field->names[i]; i++) {
        if (strcmp(text, field->names[i]) == 0) {
            *(unsigned *)member(field, base) = i;
            return 0;
        }
        best = cfg_nearer(text, field->names[i], best, &best_distance);
    }
    if (best)
        return wrong(reason, "\"%.*s\" is unknown; did you mean \"%s\"?", SHOWN, text, best);
    cfg_value_type(field, type, sizeof type);
    return wrong(reason, "\"%.*s\" is unknown; use one of: %s", SHOWN, text, type);
}

/* ---- addresses ---- */

static int set_addr(const struct cfg_field *field, void *base, const char *text, char reason[static CFG_REASON_MAX])
{
    struct wz_addr addr;
    char type[CFG_REASON_MAX / 2];
    bool ok = false;

    if (field->kind != CFG_IP)
        ok = wz_addr_parse(text, &addr) == 0;
    if (!ok && field->kind != CFG_LISTEN)
        ok = wz_addr_parse_ip(text, 0, &addr) == 0;
    if (!ok) {
        cfg_value_type(field, type, sizeof type);
        return wrong(reason, "\"%.*s\" is not an address (%s)", SHOWN, text, type);
    }
    if (field->kind != CFG_LISTEN && wz_addr_is_any(&addr))
        return wrong(reason, "\"%.*s\" is no address that others could use", SHOWN, text);
    *(struct wz_addr *)member(field, base) = addr;
    return 0;
}

static bool is_host_name(const char *text)
{
    size_t len = strlen(text);

    if (len < 1 || len > HOST_MAX || text[0] == '-' || text[0] == '.')
        return false;
    for (const char *p = text; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!letter && *p != '-' && *p != '.' && *p != '_')
            return false;
    }
    return true;
}

/** "host", "host:port", "1.2.3.4:port", "[v6]", "[v6]:port". host has room for HOST_MAX bytes and NUL. */
static bool split_host(const char *text, uint16_t default_port, char *host, uint16_t *ret_port)
{
    struct wz_addr addr;
    const char *colon = strrchr(text, ':');
    unsigned long port = default_port;
    char buf[WZ_ADDR_TEXT_MAX];

    if (wz_addr_parse(text, &addr) == 0 || wz_addr_parse_ip(text, default_port, &addr) == 0) {
        (void)snprintf(host, HOST_MAX + 1, "%s", wz_addr_format_ip(&addr, buf));
        *ret_port = addr.port;
        return addr.port != 0 && !wz_addr_is_any(&addr);
    }
    if (colon) {
        char *end;
        if (colon[1] < '1' || colon[1] > '9' || strlen(colon + 1) > 5)
            return false;
        port = strtoul(colon + 1, &end, 10);
        if (*end || port > UINT16_MAX)
            return false;
    }
    if (snprintf(host, HOST_MAX + 1, "%.*s", colon ? (int)(colon - text) : HOST_MAX + 1, text) > HOST_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return is_host_name(host);
}

static int set_host(const struct cfg_field *field, void *base, const char *text, char reason[static CFG_REASON_MAX])
{
    struct cfg_host *place = member(field, base);
    char host[HOST_MAX + 1];
    uint16_t port;
    char *copy;

    if (!split_host(text, (uint16_t)field->min, host, &port))
        return wrong(reason, "\"%.*s\" is not a host and port (HOST:PORT)", SHOWN, text);
    copy = strdup(host);
    if (!copy)
        return -ENOMEM;
    free(place->host);
    *place = (struct cfg_host){ .host = copy, .port = port };
    return 0;
}

int cfg_value_set(const struct cfg_field *field, void *base, const char *text, const struct cfg_secret_source *secrets,
                  char reason[static CFG_REASON_MAX])
{
    switch (field->kind) {
    case CFG_TEXT:
        return set_text(field, base, text, reason);
    case CFG_SECRET:
        return set_secret(field, base, text, secrets, reason);
    case CFG_SEED:
        return set_seed(member(field, base), text, secrets, reason);
    case CFG_FINGERPRINT:
        return set_fingerprint(member(field, base), text, reason);
    case CFG_UINT:
        return set_uint(field, base, text, reason);
    case CFG_BOOL:
        return set_bool(member(field, base), text, reason);
    case CFG_ENUM:
        return set_enum(field, base, text, reason);
    case CFG_LISTEN:
    case CFG_IP:
    case CFG_IP_PORT:
        return set_addr(field, base, text, reason);
    case CFG_HOST:
        return set_host(field, base, text, reason);
    case CFG_GROUP:
    case CFG_LIST:
        break;
    }
    return -EINVAL; /* not a scalar: the walk never asks */
}

/* ---- back to text ---- */

/** A double-quoted YAML scalar; the text has no control characters. */
static char *quoted(const char *text)
{
    char *out = malloc(2 * strlen(text) + 3);
    char *p = out;

    if (!out)
        return NULL;
    *p++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *p++ = '\\';
        *p++ = *text;
    }
    *p++ = '"';
    *p = '\0';
    return out;
}

/** YAML reads a leading bracket as a list and a leading colon as a key. */
static char *quoted_if_needed(const char *text)
{
    return text[0] == '[' || text[0] == ':' ? quoted(text) : strdup(text);
}

static char *addr_text(const struct wz_addr *addr, bool with_port)
{
    char buf[WZ_ADDR_TEXT_MAX];

    if (addr->family == WZ_ADDR_NONE)
        return strdup("none");
    return quoted_if_needed(with_port ? wz_addr_format(addr, buf) : wz_addr_format_ip(addr, buf));
}

static char *host_text(const struct cfg_host *host)
{
    char buf[HOST_MAX + 16];

    if (!host->host)
        return strdup("none");
    (void)snprintf(buf, sizeof buf, strchr(host->host, ':') ? "[%s]:%u" : "%s:%u", host->host, (unsigned)host->port);
    return quoted_if_needed(buf);
}

char *cfg_value_text(const struct cfg_field *field, const void *base)
{
    const void *place = (const char *)base + field->offset;
    char buf[16];

    switch (field->kind) {
    case CFG_TEXT:
        return *(char *const *)place ? quoted(*(char *const *)place) : strdup("none");
    case CFG_SECRET:
        return strdup(*(char *const *)place ? "(hidden)" : "none");
    case CFG_SEED:
        return strdup(((const struct cfg_seed *)place)->is_given ? "(hidden)" : "none");
    case CFG_FINGERPRINT:
        return strdup(place);
    case CFG_UINT:
        (void)snprintf(buf, sizeof buf, "%u", *(const uint32_t *)place);
        return strdup(buf);
    case CFG_BOOL:
        return strdup(*(const bool *)place ? "yes" : "no");
    case CFG_ENUM:
        return strdup(field->names[*(const unsigned *)place]);
    case CFG_LISTEN:
        return addr_text(place, true); /* port 0 is shown: it means "any" */
    case CFG_IP:
    case CFG_IP_PORT:
        return addr_text(place, ((const struct wz_addr *)place)->port != 0);
    case CFG_HOST:
        return host_text(place);
    case CFG_GROUP:
    case CFG_LIST:
        break;
    }
    return strdup("");
}

void cfg_value_type(const struct cfg_field *field, char *ret, size_t size)
{
    size_t len = 0;

    switch (field->kind) {
    case CFG_UINT:
        (void)snprintf(ret, size, "%u to %u%s%s", field->min, field->max, field->unit ? " " : "",
                       field->unit ? field->unit : "");
        return;
    case CFG_ENUM:
        ret[0] = '\0';
        for (size_t i = 0; field->names[i] && len < size; i++)
            len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? ", " : "", field->names[i]);
        return;
    case CFG_TEXT:
    case CFG_SECRET:
    case CFG_SEED:
    case CFG_FINGERPRINT:
    case CFG_BOOL:
    case CFG_LISTEN:
    case CFG_IP:
    case CFG_IP_PORT:
    case CFG_HOST:
    case CFG_GROUP:
    case CFG_LIST: {
        static const char *const names[] = {
            [CFG_TEXT] = "text",      [CFG_SECRET] = "secret",
            [CFG_SEED] = "secret",    [CFG_FINGERPRINT] = "fingerprint",
            [CFG_BOOL] = "yes or no", [CFG_LISTEN] = "IP:PORT",
            [CFG_IP] = "IP",          [CFG_IP_PORT] = "IP or IP:PORT",
            [CFG_HOST] = "HOST:PORT", [CFG_GROUP] = "group",
            [CFG_LIST] = "list",
        };
        (void)snprintf(ret, size, "%s", names[field->kind]);
        return;
    }
    }
}

void cfg_value_clear(const struct cfg_field *field, void *base)
{
    void *place = member(field, base);

    if (field->kind == CFG_TEXT || field->kind == CFG_SECRET) {
        free_wiped(*(char **)place);
        *(char **)place = NULL;
    } else if (field->kind == CFG_SEED) {
        wipe(place, sizeof(struct cfg_seed));
    } else if (field->kind == CFG_HOST) {
        struct cfg_host *host = place;
        free(host->host);
        *host = (struct cfg_host){ 0 };
    }
}
