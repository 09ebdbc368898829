/* See hash.h. SipHash-1-3: Aumasson and Bernstein, "SipHash: a fast short-input PRF"; one round a word, three
 * at the end, which is enough to keep bucket positions unpredictable. */
#include "wzp/base/hash.h"

#include <errno.h>
#include <stdlib.h>

#define INITIAL_BUCKETS 16

struct sip_state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip_state *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

static inline uint64_t load_le(const uint8_t *data, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)data[i] << (8 * i);
    return word;
}

static uint64_t siphash13(uint64_t k0, uint64_t k1, struct wz_bytes in)
{
    struct sip_state s = {
        .v0 = k0 ^ 0x736f6d6570736575u,
        .v1 = k1 ^ 0x646f72616e646f6du,
        .v2 = k0 ^ 0x6c7967656e657261u,
        .v3 = k1 ^ 0x7465646279746573u,
    };
    size_t at = 0;
    uint64_t last;

    for (; in.len - at >= 8; at += 8) {
        uint64_t word = load_le(in.data + at, 8);
        s.v3 ^= word;
        sip_round(&s);
        s.v0 ^= word;
    }
    last = (uint64_t)in.len << 56;
    if (at < in.len) /* an empty key may be NULL, which takes no offset */
        last |= load_le(in.data + at, in.len - at);
    s.v3 ^= last;
    sip_round(&s);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

int wz_hash_init(struct wz_hash *map, const struct wz_rng *rng)
{
    struct wz_hash_node **bucket = calloc(INITIAL_BUCKETS, sizeof(struct wz_hash_node *));

    if (!bucket)
        return -ENOMEM;
    *map = (struct wz_hash){ .bucket = bucket, .mask = INITIAL_BUCKETS - 1 };
    wz_rng_fill(rng, &map->k0, sizeof map->k0);
    wz_rng_fill(rng, &map->k1, sizeof map->k1);
    return 0;
}

void wz_hash_done(struct wz_hash *map)
{
    free(map->bucket);
    *map = (struct wz_hash){ 0 };
}

static struct wz_hash_node *find_hashed(const struct wz_hash *map, uint64_t hash, struct wz_bytes key)
{
    for (struct wz_hash_node *node = map->bucket[hash & map->mask]; node; node = node->next)
        if (node->hash == hash && wz_bytes_equal(node->key, key))
            return node;
    return NULL;
}

struct wz_hash_node *wz_hash_find(const struct wz_hash *map, struct wz_bytes key)
{
    return find_hashed(map, siphash13(map->k0, map->k1, key), key);
}

/** Double the table. Failing is survivable: chains grow longer and the next insert tries again. */
static void grow(struct wz_hash *map)
{
    size_t buckets = (map->mask + 1) * 2;
    struct wz_hash_node **bucket = calloc(buckets, sizeof(struct wz_hash_node *));

    if (!bucket)
        return;
    for (size_t i = 0; i <= map->mask; i++) {
        struct wz_hash_node *next;
        for (struct wz_hash_node *node = map->bucket[i]; node; node = next) {
            struct wz_hash_node **slot = &bucket[node->hash & (buckets - 1)];
            next = node->next;
            node->next = *slot;
            *slot = node;
        }
    }
    free(map->bucket);
    map->bucket = bucket;
    map->mask = buckets - 1;
}

int wz_hash_insert(struct wz_hash *map, struct wz_hash_node *node, struct wz_bytes key)
{
    uint64_t hash = siphash13(map->k0, map->k1, key);
    struct wz_hash_node **slot;

    if (find_hashed(map, hash, key))
        return -EEXIST;
    if (map->count > map->mask)
        grow(map);
    slot = &map->bucket[hash & map->mask];
    *node = (struct wz_hash_node){ .next = *slot, .hash = hash, .key = key };
    *slot = node;
    map->count++;
    return 0;
}

void wz_hash_remove(struct wz_hash *map, struct wz_hash_node *node)
{
    struct wz_hash_node **link = &map->bucket[node->hash & map->mask];

    while (*link && *link != node)
        link = &(*link)->next;
    if (!*link)
        return;
    *link = node->next;
    node->next = NULL;
    map->count--;
}

void wz_hash_each(struct wz_hash *map, void (*visit)(void *arg, struct wz_hash_node *node), void *arg)
{
    for (size_t i = 0; i <= map->mask && map->bucket; i++) {
        struct wz_hash_node *next;
        for (struct wz_hash_node *node = map->bucket[i]; node; node = next) {
            next = node->next;
            visit(arg, node);
        }
    }
}
