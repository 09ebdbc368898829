/* Keys seen before: the ephemeral keys of media handshakes, so that a recorded CallOffer opens no second connection
 * (spec 8.2 row 4). Remembered for as long as the relay runs, but no more than the latest WZP_RELAY_SEEN_MAX: beyond
 * that the oldest is forgotten. Thread: the relay's. */
#ifndef WZP_CORE_RELAY_SEEN_H
#define WZP_CORE_RELAY_SEEN_H

#include "wzp/base/hash.h"
#include "wzp/base/list.h"
#include "wzp/core/identity.h"

#define WZP_RELAY_SEEN_MAX 262144

struct relay_seen {
    struct wz_hash map;
    struct wz_list order; /**< oldest first */
};

/** 0 or -ENOMEM. */
int relay_seen_init(struct relay_seen *seen, const struct wz_rng *rng);
/** Safe on a zeroed struct. */
void relay_seen_done(struct relay_seen *seen);
/** Remember key: 0; -EEXIST when it was seen before; -ENOMEM. */
int relay_seen_add(struct relay_seen *seen, const uint8_t key[static WZP_KEY_BYTES]);

#endif
