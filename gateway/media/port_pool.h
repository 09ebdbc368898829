/* Even/odd UDP port pairs for RTP and RTCP. Every pair of the range is bound when the pool is made, so that a port thief
 * is found at start and not in a call; a pair stays bound between calls. After a call it rests: not lent again for two
 * seconds, and not while a sender of the former call still sends into it.
 * Thread: one (the control thread). The lent sockets may be used on any thread. */
#ifndef GATEWAY_MEDIA_PORT_POOL_H
#define GATEWAY_MEDIA_PORT_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/base/addr.h"

/** Pairs one pool may hold. */
#define GW_PORT_POOL_PAIRS_MAX 8192
#define GW_PORT_POOL_REST_US   2000000u

struct gw_port_pool;

struct gw_port_pool_config {
    struct wz_addr bind_ip; /**< port is ignored */
    uint16_t first_port;    /**< rounded up to an even number; 0: the kernel chooses pair_count pairs (tests) */
    uint16_t last_port;     /**< inclusive; an odd one completes a pair */
    unsigned pair_count;    /**< with first_port 0 only */
};

/** A lent pair. The sockets are non-blocking and the borrower's to close; the pool keeps the ports. */
struct gw_port_pair {
    int fd_rtp;
    int fd_rtcp;
    uint16_t port; /**< RTP; RTCP is port + 1 */
};

/** 0, -EINVAL (no pair in the range), or -EADDRINUSE and the like; ret_port (may be NULL) names the port that failed. */
int gw_port_pool_new(struct gw_port_pool **ret, const struct gw_port_pool_config *config, uint16_t *ret_port);
void gw_port_pool_free(struct gw_port_pool *pool);
/** Lend a pair, its receive buffers emptied. 0, -ENOSPC (all lent or resting), -EMFILE. */
int gw_port_pool_take(struct gw_port_pool *pool, uint64_t now_us, struct gw_port_pair *ret);
/** The borrower has closed (or will close) its sockets of this pair. */
void gw_port_pool_give(struct gw_port_pool *pool, uint16_t port, uint64_t now_us);
/** Pairs not lent, resting ones included. */
unsigned gw_port_pool_free_pairs(const struct gw_port_pool *pool);
unsigned gw_port_pool_total_pairs(const struct gw_port_pool *pool);

#endif
