/* Chained hash map with intrusive nodes and a keyed hash (SipHash-1-3), so that a peer that chooses
 * its keys cannot choose its bucket. Keys live in the caller's objects. */
#ifndef WZP_BASE_HASH_H
#define WZP_BASE_HASH_H

#include "wzp/base/bytes.h"
#include "wzp/base/rng.h"

struct wz_hash_node {
    struct wz_hash_node *next;
    uint64_t hash;
    struct wz_bytes key; /**< borrowed from the object that holds the node; must not change while linked */
};

struct wz_hash {
    struct wz_hash_node **bucket;
    size_t mask;
    size_t count;
    uint64_t k0, k1;
};

/** 0 or -ENOMEM. The hash key is drawn from rng. */
int wz_hash_init(struct wz_hash *map, const struct wz_rng *rng);
/** Frees the table, not the nodes' objects. */
void wz_hash_done(struct wz_hash *map);
struct wz_hash_node *wz_hash_find(const struct wz_hash *map, struct wz_bytes key);
/** Link node under key. 0, -EEXIST when the key is present, -ENOMEM. */
int wz_hash_insert(struct wz_hash *map, struct wz_hash_node *node, struct wz_bytes key);
/** Unlink; node must be linked in map. */
void wz_hash_remove(struct wz_hash *map, struct wz_hash_node *node);
/** Visit every node; visit may remove the node it is given, no other. */
void wz_hash_each(struct wz_hash *map, void (*visit)(void *arg, struct wz_hash_node *node), void *arg);

#endif
