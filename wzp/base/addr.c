/* See addr.h. inet_pton and inet_ntop do the text work; they are plain libc conversions without I/O. */
#include "wzp/base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/** Longest IP literal we look at: 39 characters of IPv6, '%', a 32-bit scope. */
#define IP_TEXT_MAX 51

static const uint8_t v4_mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/** Decimal digits only (strtoul would take signs and blanks). Returns false when not 1..max_digits digits. */
static bool parse_decimal(const char *text, size_t len, size_t max_digits, uint64_t limit, uint64_t *ret)
{
    uint64_t value = 0;

    if (len < 1 || len > max_digits)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > limit)
        return false;
    *ret = value;
    return true;
}

/** Parse len bytes as an IPv6 literal with an optional numeric scope, or as an IPv4 literal. */
static int parse_literal(const char *text, size_t len, bool allow_v4, bool allow_v6, struct wz_addr *ret)
{
    char copy[IP_TEXT_MAX + 1];
    struct wz_addr addr = { 0 };
    char *percent;

    if (len == 0 || len > IP_TEXT_MAX || memchr(text, '\0', len))
        return -EBADMSG;
    memcpy(copy, text, len);
    copy[len] = '\0';

    if (allow_v4 && inet_pton(AF_INET, copy, addr.ip) == 1) {
        addr.family = WZ_ADDR_V4;
        *ret = addr;
        return 0;
    }
    if (!allow_v6)
        return -EBADMSG;
    percent = strchr(copy, '%');
    if (percent) {
        uint64_t scope;
        if (!parse_decimal(percent + 1, strlen(percent + 1), 10, UINT32_MAX, &scope))
            return -EBADMSG;
        addr.scope_id = (uint32_t)scope;
        *percent = '\0';
    }
    if (inet_pton(AF_INET6, copy, addr.ip) != 1)
        return -EBADMSG;
    addr.family = WZ_ADDR_V6;
    *ret = addr;
    return 0;
}

int wz_addr_parse(const char *text, struct wz_addr *ret)
{
    const char *colon = strrchr(text, ':');
    struct wz_addr addr;
    uint64_t port;
    size_t ip_len;
    int err;

    if (!colon || !parse_decimal(colon + 1, strlen(colon + 1), 5, UINT16_MAX, &port))
        return -EBADMSG;
    ip_len = (size_t)(colon - text);
    if (text[0] == '[') {
        if (ip_len < 2 || text[ip_len - 1] != ']')
            return -EBADMSG;
        err = parse_literal(text + 1, ip_len - 2, false, true, &addr);
    } else {
        err = parse_literal(text, ip_len, true, false, &addr);
    }
    if (err)
        return err;
    addr.port = (uint16_t)port;
    *ret = addr;
    return 0;
}

int wz_addr_parse_ip(const char *text, uint16_t port, struct wz_addr *ret)
{
    size_t len = strlen(text);
    struct wz_addr addr;
    int err;

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']')
        err = parse_literal(text + 1, len - 2, false, true, &addr);
    else
        err = parse_literal(text, len, true, true, &addr);
    if (err)
        return err;
    addr.port = port;
    *ret = addr;
    return 0;
}

const char *wz_addr_format_ip(const struct wz_addr *addr, char buf[static WZ_ADDR_TEXT_MAX])
{
    struct wz_addr plain = wz_addr_unmap(*addr);

    switch (plain.family) {
    case WZ_ADDR_V4:
        (void)inet_ntop(AF_INET, plain.ip, buf, WZ_ADDR_TEXT_MAX); /* cannot fail: family known, room enough */
        break;
    case WZ_ADDR_V6:
        (void)inet_ntop(AF_INET6, plain.ip, buf, WZ_ADDR_TEXT_MAX);
        if (plain.scope_id) {
            size_t len = strlen(buf);
            (void)snprintf(buf + len, WZ_ADDR_TEXT_MAX - len, "%%%" PRIu32, plain.scope_id);
        }
        break;
    case WZ_ADDR_NONE:
    default:
        (void)snprintf(buf, WZ_ADDR_TEXT_MAX, "none");
        break;
    }
    return buf;
}

const char *wz_addr_format(const struct wz_addr *addr, char buf[static WZ_ADDR_TEXT_MAX])
{
    char ip[WZ_ADDR_TEXT_MAX];
    bool v6 = wz_addr_unmap(*addr).family == WZ_ADDR_V6;

    wz_addr_format_ip(addr, ip);
    if (addr->family == WZ_ADDR_NONE)
        (void)snprintf(buf, WZ_ADDR_TEXT_MAX, "%s", ip);
    else
        (void)snprintf(buf, WZ_ADDR_TEXT_MAX, v6 ? "[%.54s]:%u" : "%.54s:%u", ip, (unsigned)addr->port);
    return buf;
}

struct wz_addr wz_addr_unmap(struct wz_addr addr)
{
    struct wz_addr plain = { .family = WZ_ADDR_V4, .port = addr.port };

    if (addr.family != WZ_ADDR_V6 || memcmp(addr.ip, v4_mapped_prefix, sizeof v4_mapped_prefix) != 0)
        return addr;
    memcpy(plain.ip, addr.ip + sizeof v4_mapped_prefix, 4);
    return plain;
}

static enum wz_addr_kind kind_v4(const uint8_t ip[static 4])
{
    if (ip[0] == 0 || ip[0] >= 224) /* this network; multicast, reserved, broadcast */
        return WZ_ADDR_KIND_NONE;
    if (ip[0] == 127)
        return WZ_ADDR_KIND_LOOPBACK;
    if (ip[0] == 169 && ip[1] == 254)
        return WZ_ADDR_KIND_LINK_LOCAL;
    if (ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168))
        return WZ_ADDR_KIND_PRIVATE;
    if (ip[0] == 100 && (ip[1] & 0xc0) == 64)
        return WZ_ADDR_KIND_CGNAT;
    return WZ_ADDR_KIND_PUBLIC;
}

static enum wz_addr_kind kind_v6(const uint8_t ip[static 16])
{
    static const uint8_t loopback[16] = { [15] = 1 };
    static const uint8_t unspecified[16] = { 0 };

    if (ip[0] == 0xff || memcmp(ip, unspecified, sizeof unspecified) == 0)
        return WZ_ADDR_KIND_NONE;
    if (memcmp(ip, loopback, sizeof loopback) == 0)
        return WZ_ADDR_KIND_LOOPBACK;
    if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80)
        return WZ_ADDR_KIND_LINK_LOCAL;
    if ((ip[0] & 0xfe) == 0xfc)
        return WZ_ADDR_KIND_PRIVATE;
    return WZ_ADDR_KIND_PUBLIC;
}

enum wz_addr_kind wz_addr_kind(const struct wz_addr *addr)
{
    struct wz_addr plain = wz_addr_unmap(*addr);

    switch (plain.family) {
    case WZ_ADDR_V4:
        return kind_v4(plain.ip);
    case WZ_ADDR_V6:
        return kind_v6(plain.ip);
    case WZ_ADDR_NONE:
    default:
        return WZ_ADDR_KIND_NONE;
    }
}

bool wz_addr_same_ip(const struct wz_addr *a, const struct wz_addr *b)
{
    struct wz_addr x = wz_addr_unmap(*a);
    struct wz_addr y = wz_addr_unmap(*b);

    return x.family == y.family && x.scope_id == y.scope_id && memcmp(x.ip, y.ip, sizeof x.ip) == 0;
}

bool wz_addr_equal(const struct wz_addr *a, const struct wz_addr *b)
{
    return a->port == b->port && wz_addr_same_ip(a, b);
}

bool wz_addr_is_any(const struct wz_addr *addr)
{
    static const uint8_t zero[16] = { 0 };
    struct wz_addr plain = wz_addr_unmap(*addr);

    return plain.family == WZ_ADDR_NONE || memcmp(plain.ip, zero, sizeof zero) == 0;
}
