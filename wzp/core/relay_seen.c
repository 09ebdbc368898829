#include "wzp/core/relay_seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct seen_key {
    struct wz_hash_node by_key;
    struct wz_list order;
    uint8_t key[WZP_KEY_BYTES];
};

int relay_seen_init(struct relay_seen *seen, const struct wz_rng *rng)
{
    wz_list_init(&seen->order);
    return wz_hash_init(&seen->map, rng);
}

static void forget(struct relay_seen *seen, struct seen_key *entry)
{
    wz_list_remove(&entry->order);
    wz_hash_remove(&seen->map, &entry->by_key);
    free(entry);
}

void relay_seen_done(struct relay_seen *seen)
{
    if (!seen->map.bucket)
        return;
    while (!wz_list_is_empty(&seen->order))
        forget(seen, wz_container_of(seen->order.next, struct seen_key, order));
    wz_hash_done(&seen->map);
}

int relay_seen_add(struct relay_seen *seen, const uint8_t key[static WZP_KEY_BYTES])
{
    struct seen_key *entry = calloc(1, sizeof *entry);
    if (!entry)
        return -ENOMEM;
    memcpy(entry->key, key, sizeof entry->key);
    const int err = wz_hash_insert(&seen->map, &entry->by_key, wz_bytes(entry->key, sizeof entry->key));
    if (err) {
        free(entry);
        return err;
    }
    wz_list_append(&seen->order, &entry->order);
    if (seen->map.count > WZP_RELAY_SEEN_MAX)
        forget(seen, wz_container_of(seen->order.next, struct seen_key, order));
    return 0;
}
