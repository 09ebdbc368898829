#include "tests/support/vnet.h"

#include <stdlib.h>
#include <string.h>

#define NAT_IDLE_US ((uint64_t)VNET_NAT_IDLE_MS * 1000)
#define HOLES_MAX   64

struct vnet_hole {
    struct wz_addr to;
    uint64_t used_us;
};

struct vnet_mapping {
    struct vnet_host *host;
    struct wz_addr inner, outer;
    struct wz_addr to; /**< SYMMETRIC: the one destination */
    uint64_t used_us;
    size_t hole_count;
    struct vnet_hole hole[HOLES_MAX];
};

const char *vnet_nat_name(enum vnet_nat_kind kind)
{
    static const char *const name[] = { "open", "full-cone", "cone", "symmetric", "firewall" };
    return name[kind];
}

static bool is_fresh(const struct vnet_nat *nat, uint64_t used_us)
{
    return used_us + NAT_IDLE_US > nat->net->now_us;
}

static void drop_stale(struct vnet_nat *nat)
{
    for (size_t i = 0; i < nat->count;) {
        if (is_fresh(nat, nat->mapping[i].used_us))
            i++;
        else
            nat->mapping[i] = nat->mapping[--nat->count];
    }
}

static struct vnet_mapping *mapping_of(const struct vnet_nat *nat, const struct wz_addr *inner,
                                       const struct wz_addr *to)
{
    for (size_t i = 0; i < nat->count; i++) {
        struct vnet_mapping *mapping = &nat->mapping[i];
        if (wz_addr_equal(&mapping->inner, inner) && (nat->kind != VNET_SYMMETRIC || wz_addr_equal(&mapping->to, to)))
            return mapping;
    }
    return NULL;
}

static struct vnet_mapping *add_mapping(struct vnet_nat *nat, struct vnet_host *host, const struct wz_addr *inner,
                                        const struct wz_addr *to)
{
    if (nat->count == nat->size) {
        const size_t size = nat->size ? nat->size * 2 : 4;
        struct vnet_mapping *grown = realloc(nat->mapping, size * sizeof *grown);
        if (!grown)
            abort();
        nat->mapping = grown;
        nat->size = size;
    }
    struct vnet_mapping *mapping = &nat->mapping[nat->count++];
    *mapping = (struct vnet_mapping){ .host = host, .inner = *inner, .outer = *inner, .to = *to };
    if (nat->kind != VNET_FIREWALL) {
        mapping->outer = nat->public_ip;
        mapping->outer.port = nat->next_port++;
    }
    return mapping;
}

static struct vnet_hole *hole_of(struct vnet_mapping *mapping, const struct wz_addr *to)
{
    for (size_t i = 0; i < mapping->hole_count; i++)
        if (wz_addr_equal(&mapping->hole[i].to, to))
            return &mapping->hole[i];
    return NULL;
}

static void open_hole(struct vnet_mapping *mapping, const struct wz_addr *to, uint64_t now_us)
{
    struct vnet_hole *hole = hole_of(mapping, to);
    if (!hole && mapping->hole_count < HOLES_MAX) {
        hole = &mapping->hole[mapping->hole_count++];
    } else if (!hole) { /* the one unused for longest gives way */
        hole = &mapping->hole[0];
        for (size_t i = 1; i < HOLES_MAX; i++)
            hole = mapping->hole[i].used_us < hole->used_us ? &mapping->hole[i] : hole;
    }
    *hole = (struct vnet_hole){ .to = *to, .used_us = now_us };
}

struct wz_addr vnet_nat_outbound(struct vnet_nat *nat, struct vnet_host *host, const struct wz_addr *inner,
                                 const struct wz_addr *to)
{
    if (nat->kind == VNET_OPEN)
        return *inner;
    drop_stale(nat);
    struct vnet_mapping *mapping = mapping_of(nat, inner, to);
    if (!mapping)
        mapping = add_mapping(nat, host, inner, to);
    mapping->used_us = nat->net->now_us;
    open_hole(mapping, to, nat->net->now_us);
    return mapping->outer;
}

struct vnet_host *vnet_nat_inbound(struct vnet_nat *nat, const struct wz_addr *from, const struct wz_addr *to,
                                   uint16_t *ret_port)
{
    drop_stale(nat);
    for (size_t i = 0; i < nat->count; i++) {
        struct vnet_mapping *mapping = &nat->mapping[i];
        if (!wz_addr_equal(&mapping->outer, to))
            continue;
        struct vnet_hole *hole = hole_of(mapping, from);
        if (nat->kind != VNET_FULL_CONE && (!hole || !is_fresh(nat, hole->used_us)))
            return NULL;
        mapping->used_us = nat->net->now_us;
        if (hole)
            hole->used_us = nat->net->now_us;
        *ret_port = mapping->inner.port;
        return mapping->host;
    }
    return NULL;
}

void vnet_nat_reboot(struct vnet_nat *nat)
{
    nat->count = 0;
    nat->next_port = (uint16_t)(nat->next_port + 1000);
}
