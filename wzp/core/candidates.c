#include "wzp/core/candidates.h"

#include <errno.h>
#include <string.h>

/** Public and with a port: what a NAT mapping looks like. */
static bool is_mapping(const struct wz_addr *addr)
{
    return addr->port != 0 && wz_addr_kind(addr) == WZ_ADDR_KIND_PUBLIC;
}

static bool get_reflect(const struct wzp_address_facts *facts, struct wz_addr *ret)
{
    struct wz_addr addr;

    if (!facts->reflect || wz_addr_parse(facts->reflect, &addr) != 0)
        return false;
    *ret = wz_addr_unmap(addr);
    return is_mapping(ret);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/** A mapping differs only from one of its own family: an IPv6 answer says nothing about the IPv4 NAT. */
static bool contradicts(const struct wz_addr *a, const struct wz_addr *b)
{
    return a->family == b->family && !wz_addr_equal(a, b);
}

struct mappings {
    size_t count;
    struct wz_addr addr[1 + WZP_CANDIDATES_MAX_STUN]; /**< Reflect's first, if it counts */
};

static struct mappings collect_mappings(const struct wzp_address_facts *facts, bool *ret_has_reflect)
{
    struct mappings seen = { 0 };

    *ret_has_reflect = get_reflect(facts, &seen.addr[0]);
    if (*ret_has_reflect)
        seen.count = 1;
    for (size_t i = 0; i < min_size(facts->stun_count, WZP_CANDIDATES_MAX_STUN); i++) {
        struct wz_addr stun = wz_addr_unmap(facts->stun[i]);
        if (is_mapping(&stun))
            seen.addr[seen.count++] = stun;
    }
    return seen;
}

static bool are_symmetric(const struct mappings *seen)
{
    for (size_t i = 1; i < seen->count; i++)
        for (size_t k = 0; k < i; k++)
            if (contradicts(&seen->addr[k], &seen->addr[i]))
                return true;
    return false;
}

static bool is_shareable(const struct wz_addr *addr)
{
    enum wz_addr_kind kind = wz_addr_kind(addr);

    if (addr->port == 0)
        return false;
    if (addr->family == WZ_ADDR_V4) /* a public IPv4 address is the reflexive one already */
        return kind == WZ_ADDR_KIND_PRIVATE || kind == WZ_ADDR_KIND_CGNAT;
    return kind == WZ_ADDR_KIND_PRIVATE || kind == WZ_ADDR_KIND_PUBLIC;
}

static void add_local(struct wzp_candidates *out, const struct wz_addr *addr)
{
    char text[WZ_ADDR_TEXT_MAX];

    if (out->local_count == WZP_SIGNAL_MAX_ADDRS)
        return;
    wz_addr_format(addr, text);
    for (size_t i = 0; i < out->local_count; i++)
        if (strcmp(out->local[i], text) == 0)
            return;
    memcpy(out->local[out->local_count++], text, sizeof text);
}

int wzp_candidates_choose(const struct wzp_address_facts *facts, struct wzp_candidates *ret)
{
    struct wzp_candidates out = { 0 };
    bool has_reflect;

    if (!facts || !ret)
        return -EINVAL;
    struct mappings seen = collect_mappings(facts, &has_reflect);
    out.symmetric = are_symmetric(&seen);

    struct wz_addr configured = wz_addr_unmap(facts->public_address);
    if (is_mapping(&configured) && (!has_reflect || out.symmetric))
        wz_addr_format(&configured, out.reflexive);
    else if (seen.count && !out.symmetric)
        wz_addr_format(&seen.addr[0], out.reflexive);

    if (facts->share_local) {
        for (size_t i = 0; i < min_size(facts->host_count, WZP_CANDIDATES_MAX_HOST); i++) {
            struct wz_addr host = wz_addr_unmap(facts->host[i]);
            if (is_shareable(&host))
                add_local(&out, &host);
        }
    }
    *ret = out;
    return 0;
}

enum wzp_role wzp_candidates_role(const char *own, const char *peer)
{
    if (!own || !*own || !peer || !*peer)
        return WZP_ROLE_NONE;
    int order = strcmp(own, peer);
    if (order == 0)
        return WZP_ROLE_NONE;
    return order < 0 ? WZP_ROLE_ACCEPTOR : WZP_ROLE_DIALER;
}

const char *wzp_role_name(enum wzp_role role)
{
    switch (role) {
    case WZP_ROLE_ACCEPTOR:
        return "Acceptor";
    case WZP_ROLE_DIALER:
        return "Dialer";
    default:
        return "None";
    }
}
