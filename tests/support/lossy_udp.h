/* A bad network between two UDP ends: forwards between any number of clients and one target, and loses, delays,
 * reorders and duplicates packets as a seed says. The same seed and the same packets give the same fate.
 * Thread: the loop's. */
#ifndef TESTS_SUPPORT_LOSSY_UDP_H
#define TESTS_SUPPORT_LOSSY_UDP_H

#include "wzp/base/addr.h"

struct wz_loop;
struct lossy_udp;

/** What happens to packets, each direction alike. Shares are in thousandths. */
struct lossy_udp_shape {
    unsigned loss, duplicate, reorder;
    unsigned delay_ms;   /**< added to every packet */
    unsigned jitter_ms;  /**< plus 0..jitter_ms, order kept */
    unsigned reorder_ms; /**< a reordered packet comes so much later, and others overtake it; 0: 20 */
};

struct lossy_udp_stats {
    uint64_t received, forwarded, lost, duplicated, reordered;
    uint64_t overflowed; /**< more packets under way, or more clients, than there is room for */
};

int lossy_udp_new(struct lossy_udp **ret, struct wz_loop *loop, const struct wz_addr *listen,
                  const struct wz_addr *target, uint64_t seed);
void lossy_udp_free(struct lossy_udp *lossy);
/** Where clients send to. */
struct wz_addr lossy_udp_local(const struct lossy_udp *lossy);
/** Applies to packets that arrive from now on; those under way keep their time. Starts as all zero: a perfect network. */
void lossy_udp_shape(struct lossy_udp *lossy, const struct lossy_udp_shape *shape);
const struct lossy_udp_stats *lossy_udp_stats(const struct lossy_udp *lossy);

#endif
