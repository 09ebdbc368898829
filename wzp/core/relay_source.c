#include "wzp/core/relay_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** How far from the oldest one a source with full buckets is looked for when the table is full. */
#define SEARCH_MAX 16
/** Sources at rest that are forgotten whenever a new one comes: memory follows use without a timer. */
#define TIDY_MAX 2
/** Family, then what tells sources apart of the address. */
#define KEY_BYTES_MAX 9

struct relay_source {
    struct wz_hash_node by_key;
    struct wz_list idle;
    struct relay_bucket bucket[RELAY_CHARGE_COUNT];
    unsigned waiting;
    uint8_t key[KEY_BYTES_MAX];
};

/* ---- buckets ---- */

/** When the bucket would be full again after one more. */
static uint64_t full_after_us(const struct relay_bucket *bucket, unsigned per_minute, uint64_t now_us)
{
    const uint64_t start_us = bucket->full_at_us > now_us ? bucket->full_at_us : now_us;
    return start_us + WZP_RELAY_MINUTE_US / per_minute;
}

bool relay_bucket_has(const struct relay_bucket *bucket, unsigned per_minute, uint64_t now_us)
{
    return full_after_us(bucket, per_minute, now_us) <= now_us + WZP_RELAY_MINUTE_US;
}

bool relay_bucket_take(struct relay_bucket *bucket, unsigned per_minute, uint64_t now_us)
{
    if (!relay_bucket_has(bucket, per_minute, now_us))
        return false;
    bucket->full_at_us = full_after_us(bucket, per_minute, now_us);
    return true;
}

/* ---- the table ---- */

int relay_sources_init(struct relay_sources *sources, const struct wz_rng *rng)
{
    *sources = (struct relay_sources){ 0 };
    wz_list_init(&sources->idle);
    return wz_hash_init(&sources->map, rng);
}

static void forget(struct relay_sources *sources, struct relay_source *source)
{
    wz_list_remove(&source->idle);
    wz_hash_remove(&sources->map, &source->by_key);
    free(source);
}

static void forget_visit(void *arg, struct wz_hash_node *node)
{
    forget(arg, wz_container_of(node, struct relay_source, by_key));
}

void relay_sources_done(struct relay_sources *sources)
{
    if (sources->map.bucket)
        wz_hash_each(&sources->map, forget_visit, sources);
    wz_hash_done(&sources->map);
}

/** True when the source is as good as new. */
static bool is_at_rest(const struct relay_source *source, uint64_t now_us)
{
    for (size_t i = 0; i < RELAY_CHARGE_COUNT; i++)
        if (source->bucket[i].full_at_us > now_us)
            return false;
    return source->waiting == 0;
}

static struct relay_source *oldest(const struct relay_sources *sources)
{
    return wz_list_is_empty(&sources->idle) ? NULL : wz_container_of(sources->idle.next, struct relay_source, idle);
}

static struct relay_source *victim(const struct relay_sources *sources, uint64_t now_us)
{
    struct wz_list *pos = sources->idle.next;
    for (size_t i = 0; i < SEARCH_MAX && pos != &sources->idle; i++, pos = pos->next) {
        struct relay_source *source = wz_container_of(pos, struct relay_source, idle);
        if (is_at_rest(source, now_us))
            return source;
    }
    return oldest(sources);
}

/** A place for one more; false when every source has waiting connections. */
static bool make_place(struct relay_sources *sources, uint64_t now_us)
{
    struct relay_source *source = oldest(sources);
    for (size_t i = 0; i < TIDY_MAX && source && is_at_rest(source, now_us); i++) {
        forget(sources, source);
        source = oldest(sources);
    }
    if (sources->map.count < WZP_RELAY_SOURCES_MAX)
        return true;
    if (!(source = victim(sources, now_us)))
        return false;
    forget(sources, source);
    return true;
}

static struct wz_bytes make_key(const struct wz_addr *remote, uint8_t ret[static KEY_BYTES_MAX])
{
    const struct wz_addr addr = wz_addr_unmap(*remote);
    const size_t ip_bytes = addr.family == WZ_ADDR_V6 ? 8 : 4;
    ret[0] = (uint8_t)addr.family;
    memcpy(ret + 1, addr.ip, ip_bytes);
    return wz_bytes(ret, 1 + ip_bytes);
}

static struct relay_source *find(const struct relay_sources *sources, const struct wz_addr *remote)
{
    uint8_t key[KEY_BYTES_MAX];
    struct wz_hash_node *node = wz_hash_find(&sources->map, make_key(remote, key));
    return node ? wz_container_of(node, struct relay_source, by_key) : NULL;
}

/** The source, made when it is new, as the one used last. NULL: no memory, or no place. */
static struct relay_source *use(struct relay_sources *sources, const struct wz_addr *remote, uint64_t now_us)
{
    struct relay_source *source = find(sources, remote);
    if (!source) {
        if (!make_place(sources, now_us) || !(source = calloc(1, sizeof *source)))
            return NULL;
        wz_list_init(&source->idle);
        if (wz_hash_insert(&sources->map, &source->by_key, make_key(remote, source->key)) != 0) {
            free(source);
            return NULL;
        }
    }
    wz_list_remove(&source->idle);
    if (source->waiting == 0)
        wz_list_append(&sources->idle, &source->idle);
    return source;
}

/* ---- charging ---- */

bool relay_source_take(struct relay_sources *sources, const struct wz_addr *remote, enum relay_charge charge,
                       uint64_t now_us)
{
    struct relay_source *source = use(sources, remote, now_us);
    return source && relay_bucket_take(&source->bucket[charge], sources->per_minute[charge], now_us);
}

bool relay_source_has(const struct relay_sources *sources, const struct wz_addr *remote, enum relay_charge charge,
                      uint64_t now_us)
{
    const struct relay_source *source = find(sources, remote);
    return !source || relay_bucket_has(&source->bucket[charge], sources->per_minute[charge], now_us);
}

struct relay_source *relay_source_wait(struct relay_sources *sources, const struct wz_addr *remote, uint64_t now_us)
{
    struct relay_source *source = use(sources, remote, now_us);
    if (!source || source->waiting >= sources->max_waiting)
        return NULL;
    source->waiting++;
    wz_list_remove(&source->idle);
    return source;
}

void relay_source_waited(struct relay_sources *sources, struct relay_source *source)
{
    if (--source->waiting == 0)
        wz_list_append(&sources->idle, &source->idle);
}
