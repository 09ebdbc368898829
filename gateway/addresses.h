/* What the world calls a worker's socket: host candidates and STUN answers, learned at start and again every minute,
 * on the QUIC endpoint's own socket. The client core decides what of it is told to whom.
 * Spec: docs/wzp-wire.md "Addresses". Thread: the worker's. */
#ifndef GATEWAY_ADDRESSES_H
#define GATEWAY_ADDRESSES_H

#include "wzp/io/line.h"

struct wz_loop;
struct wzp_quic;
struct gw_addresses;

#define GW_ADDRESSES_MAX_STUN 4

struct gw_addresses_config {
    struct wz_addr public_address; /**< family NONE: not configured */
    unsigned stun_count;
    struct wz_addr stun[GW_ADDRESSES_MAX_STUN];
    bool allow_loopback_hosts;
    /** Something is known now that was not before. */
    void (*changed)(void *arg, const struct wzp_line_addresses *known);
    void *arg;
};

int gw_addresses_new(struct gw_addresses **ret, struct wz_loop *loop, struct wzp_quic *quic,
                     const struct gw_addresses_config *config);
void gw_addresses_free(struct gw_addresses *addresses);
/** A STUN packet arrived on the endpoint's socket. */
void gw_addresses_packet(struct gw_addresses *addresses, struct wz_bytes packet, const struct wz_addr *from);
/** What is known now; borrowed until the next change. */
const struct wzp_line_addresses *gw_addresses_known(const struct gw_addresses *addresses);

#endif
