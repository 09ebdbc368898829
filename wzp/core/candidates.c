#include "wzp/core/candidates.h"

#include <errno.h>
#include <string.h>

/** Public and with a port: what a NAT mapping looks like. */
static bool is_mapping(const struct wz_addr *addr)
{
    return addr->port != 0 && wz_addr_kind(addr) == WZ_ADDR_KIND_PUBLIC;
}

/** The relay's answer, if it is an address; family NONE: it is not. */
static struct wz_addr parse_reflect(const struct wzp_address_facts *facts)
{
    struct wz_addr addr;

    if (!facts->reflect || wz_addr_parse(facts->reflect, &addr) != 0)
        return (struct wz_addr){ .family = WZ_ADDR_NONE };
    return wz_addr_unmap(addr);
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

    seen.addr[0] = parse_reflect(facts);
    *ret_has_reflect = is_mapping(&seen.addr[0]);
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

static bool is_shareable(const struct wz_addr *addr, bool share_loopback)
{
    enum wz_addr_kind kind = wz_addr_kind(addr);

    if (addr->port == 0)
        return false;
    if (kind == WZ_ADDR_KIND_LOOPBACK)
        return share_loopback;
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

/** What a relay in the same house or VPN saw: no mapping, but it reaches us from wherever that relay does. */
static bool is_of_the_house(const struct wz_addr *reflect, const struct wzp_address_facts *facts)
{
    if (!facts->share_local || reflect->port == 0)
        return false;
    switch (wz_addr_kind(reflect)) {
    case WZ_ADDR_KIND_PRIVATE:
    case WZ_ADDR_KIND_CGNAT:
        return true;
    case WZ_ADDR_KIND_LOOPBACK:
        return facts->share_loopback;
    case WZ_ADDR_KIND_NONE:
    case WZ_ADDR_KIND_LINK_LOCAL:
    case WZ_ADDR_KIND_PUBLIC:
        break;
    }
    return false;
}

int wzp_candidates_choose(const struct wzp_address_facts *facts, struct wzp_candidates *ret)
{
    struct wzp_candidates out = { 0 };
    bool has_reflect;

    if (!facts || !ret)
        return -EINVAL;
    struct mappings seen = collect_mappings(facts, &has_reflect);
    out.symmetric = are_symmetric(&seen);

    const struct wz_addr reflect = parse_reflect(facts);
    const struct wz_addr configured = wz_addr_unmap(facts->public_address);
    if (is_mapping(&configured) && (!has_reflect || out.symmetric))
        wz_addr_format(&configured, out.reflexive);
    else if (seen.count && !out.symmetric)
        wz_addr_format(&seen.addr[0], out.reflexive);
    else if (!seen.count && is_of_the_house(&reflect, facts))
        wz_addr_format(&reflect, out.reflexive);

    if (facts->share_local) {
        for (size_t i = 0; i < min_size(facts->host_count, WZP_CANDIDATES_MAX_HOST); i++) {
            struct wz_addr host = wz_addr_unmap(facts->host[i]);
            if (is_shareable(&host, facts->share_loopback))
                add_local(&out, &host);
        }
    }
    *ret = out;
    return 0;
}

/** Something a datagram can be sent to, as far as this policy goes. */
static bool is_dialable(const struct wz_addr *addr, const struct wzp_dial_policy *policy)
{
    if (addr->port == 0 || (policy->reference && addr->family != WZ_ADDR_V4))
        return false;
    switch (wz_addr_kind(addr)) {
    case WZ_ADDR_KIND_NONE:
        return false;
    case WZ_ADDR_KIND_LOOPBACK:
    case WZ_ADDR_KIND_LINK_LOCAL:
        if (!policy->loopback)
            return false;
        break;
    case WZ_ADDR_KIND_PRIVATE:
    case WZ_ADDR_KIND_CGNAT:
    case WZ_ADDR_KIND_PUBLIC:
        break;
    }
    for (size_t i = 0; i < policy->own_count; i++)
        if (wz_addr_equal(addr, &policy->own[i]))
            return false; /* two private networks often use the same addresses */
    return true;
}

static bool get_dialable(const char *text, const struct wzp_dial_policy *policy, struct wz_addr *ret)
{
    struct wz_addr addr;

    if (!text || wz_addr_parse(text, &addr) != 0)
        return false;
    addr = wz_addr_unmap(addr);
    if (!is_dialable(&addr, policy))
        return false;
    *ret = addr;
    return true;
}

/** A family of which we know no address of our own is tried last; when we know none at all, none is. */
static bool is_of_our_families(const struct wz_addr *addr, const struct wzp_dial_policy *policy)
{
    for (size_t i = 0; i < policy->own_count; i++)
        if (policy->own[i].family == addr->family)
            return true;
    return policy->own_count == 0 || policy->reference;
}

struct dial_list {
    size_t count, max;
    struct wz_addr *addr;
};

static void add_to_dial(struct dial_list *list, const struct wz_addr *addr)
{
    for (size_t i = 0; i < list->count; i++)
        if (wz_addr_equal(&list->addr[i], addr))
            return;
    if (list->count < list->max)
        list->addr[list->count++] = *addr;
}

static void add_hosts(struct dial_list *list, const struct wzp_addr_list *local, const struct wzp_dial_policy *policy,
                      bool of_our_families)
{
    struct wz_addr host;

    for (size_t i = 0; local && i < local->count; i++)
        if (get_dialable(local->text[i], policy, &host) && is_of_our_families(&host, policy) == of_our_families)
            add_to_dial(list, &host);
}

size_t wzp_candidates_to_dial(const char *reflexive, const struct wzp_addr_list *local,
                              const struct wzp_dial_policy *policy, struct wz_addr *ret, size_t max)
{
    struct wz_addr mapped = { 0 };
    const bool has_mapped = get_dialable(reflexive, policy, &mapped);
    struct dial_list list = { .max = has_mapped ? max - 1 : max, .addr = ret };

    add_hosts(&list, local, policy, true);
    list.max = max;
    if (has_mapped)
        add_to_dial(&list, &mapped);
    add_hosts(&list, local, policy, false);
    return list.count;
}

bool wzp_candidates_announced(const struct wz_addr *addr, const struct wz_addr *told, size_t told_count)
{
    const struct wz_addr plain = wz_addr_unmap(*addr);

    for (size_t i = 0; i < told_count; i++)
        if (wz_addr_same_ip(&plain, &told[i]))
            return true;
    return false;
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
