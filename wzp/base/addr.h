/* IP address and port as a value: parsing, printing, classification. No sockets here (see wzp/rt/udp.h). */
#ifndef WZP_BASE_ADDR_H
#define WZP_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** "[" + 45 + "]:" + 5 + NUL, rounded up. */
#define WZ_ADDR_TEXT_MAX 64

enum wz_addr_family {
    WZ_ADDR_NONE = 0,
    WZ_ADDR_V4 = 4,
    WZ_ADDR_V6 = 6,
};

/** ip holds 4 or 16 bytes in network order; the rest is zero. port is in host order. */
struct wz_addr {
    enum wz_addr_family family;
    uint16_t port;
    uint32_t scope_id;
    uint8_t ip[16];
};

enum wz_addr_kind {
    WZ_ADDR_KIND_NONE,       /**< no address, unspecified, multicast, broadcast, documentation aside */
    WZ_ADDR_KIND_LOOPBACK,   /**< 127/8, ::1 */
    WZ_ADDR_KIND_LINK_LOCAL, /**< 169.254/16, fe80::/10 */
    WZ_ADDR_KIND_PRIVATE,    /**< 10/8, 172.16/12, 192.168/16, fc00::/7 */
    WZ_ADDR_KIND_CGNAT,      /**< 100.64/10 */
    WZ_ADDR_KIND_PUBLIC,     /**< everything else: the only kind that counts as a NAT mapping */
};

/** Parse "a.b.c.d:port" or "[v6]:port"; literals only. 0 or -EBADMSG. *ret untouched on failure. */
int wz_addr_parse(const char *text, struct wz_addr *ret);
/** Parse a bare IP literal ("a.b.c.d", "v6", "[v6]") with the given port. 0 or -EBADMSG. */
int wz_addr_parse_ip(const char *text, uint16_t port, struct wz_addr *ret);
/** Print "a.b.c.d:port" or "[v6]:port"; an IPv4-mapped IPv6 address prints as plain IPv4. Returns buf. */
const char *wz_addr_format(const struct wz_addr *addr, char buf[static WZ_ADDR_TEXT_MAX]);
/** Print the bare IP (no port, no brackets). Returns buf. */
const char *wz_addr_format_ip(const struct wz_addr *addr, char buf[static WZ_ADDR_TEXT_MAX]);
/** An IPv4-mapped IPv6 address becomes IPv4; others are returned as they are. */
struct wz_addr wz_addr_unmap(struct wz_addr addr);
enum wz_addr_kind wz_addr_kind(const struct wz_addr *addr);
bool wz_addr_equal(const struct wz_addr *a, const struct wz_addr *b);
bool wz_addr_same_ip(const struct wz_addr *a, const struct wz_addr *b);
/** Unspecified address (0.0.0.0, ::) or no family. */
bool wz_addr_is_any(const struct wz_addr *addr);

#endif
