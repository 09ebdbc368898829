#include "ice/enumerate.h"

#include <glib.h>
#include <nice/interfaces.h>

static bool is_wanted(const struct wz_addr *addr, bool include_loopback)
{
    switch (wz_addr_kind(addr)) {
    case WZ_ADDR_KIND_NONE:
    case WZ_ADDR_KIND_LINK_LOCAL:
        return false;
    case WZ_ADDR_KIND_LOOPBACK:
        return include_loopback;
    default:
        return true;
    }
}

size_t wice_enumerate(uint16_t port, bool include_loopback, struct wz_addr *ret, size_t max)
{
    size_t count = 0;
    GList *ips = nice_interfaces_get_local_ips(include_loopback);
    for (GList *item = ips; item && count < max; item = item->next) {
        struct wz_addr addr;
        bool repeated = false;
        if (wz_addr_parse_ip(item->data, port, &addr) < 0 || !is_wanted(&addr, include_loopback))
            continue; /* "fe80::1%eth0" and the like do not parse, and are not wanted */
        for (size_t i = 0; i < count; i++)
            repeated |= wz_addr_equal(&ret[i], &addr);
        if (!repeated)
            ret[count++] = addr;
    }
    g_list_free_full(ips, g_free);
    return count;
}
