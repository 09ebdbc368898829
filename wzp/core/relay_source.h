/* What one source (an IPv4 address, or an IPv6 /64, which is what one subscriber holds) may ask of a relay per minute,
 * and how many of its connections may wait at once. Token buckets in a bounded table. Thread: the relay's.
 *
 * A bucket holds a minute's worth, so bursts pass; it refills evenly. A source whose buckets are all full and that has no
 * waiting connection is forgotten at will: that changes nothing. Only when WZP_RELAY_SOURCES_MAX others are busy at the
 * same time, the one unused for longest is forgotten with buckets that are not full: who commands that many sources has
 * that many buckets anyway. */
#ifndef WZP_CORE_RELAY_SOURCE_H
#define WZP_CORE_RELAY_SOURCE_H

#include <stdbool.h>

#include "wzp/base/addr.h"
#include "wzp/base/hash.h"
#include "wzp/base/list.h"

#define WZP_RELAY_SOURCES_MAX 16384
#define WZP_RELAY_MINUTE_US   UINT64_C(60000000)

enum relay_charge {
    RELAY_CHARGE_OFFER,
    RELAY_CHARGE_ASK, /**< Reflect, Ping, and registering again on the same connection */
    RELAY_CHARGE_JOIN,
    RELAY_CHARGE_REGISTRATION,
    RELAY_CHARGE_SIGNED_REGISTRATION,
    RELAY_CHARGE_COUNT,
};

/** Empty while full_at_us is a minute ahead; full once it has passed. All zero: full. */
struct relay_bucket {
    uint64_t full_at_us;
};

/** True when one more of per_minute (not 0) may happen now. */
bool relay_bucket_has(const struct relay_bucket *bucket, unsigned per_minute, uint64_t now_us);
/** The same, and it happens. */
bool relay_bucket_take(struct relay_bucket *bucket, unsigned per_minute, uint64_t now_us);

struct relay_source;

struct relay_sources {
    struct wz_hash map;
    struct wz_list idle;                     /**< those without waiting connections, longest unused first */
    unsigned per_minute[RELAY_CHARGE_COUNT]; /**< none 0 */
    unsigned max_waiting;
};

/** 0 or -ENOMEM. Set the limits afterwards. */
int relay_sources_init(struct relay_sources *sources, const struct wz_rng *rng);
/** Safe on a zeroed struct. */
void relay_sources_done(struct relay_sources *sources);

/** True when this source may do one more now; it is charged. False also without memory. */
bool relay_source_take(struct relay_sources *sources, const struct wz_addr *remote, enum relay_charge charge,
                       uint64_t now_us);
/** True when it might; nothing is charged. */
bool relay_source_has(const struct relay_sources *sources, const struct wz_addr *remote, enum relay_charge charge,
                      uint64_t now_us);
/** One more connection of this source waits. NULL: too many do (or no memory). Valid until relay_source_waited(). */
struct relay_source *relay_source_wait(struct relay_sources *sources, const struct wz_addr *remote, uint64_t now_us);
void relay_source_waited(struct relay_sources *sources, struct relay_source *source);

#endif
