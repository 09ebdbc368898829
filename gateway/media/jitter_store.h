/* Payload bytes of a jitter buffer in chains of small chunks: frames of 60 bytes and of 1275 share one small pool.
 * Plain data inside its owner; one thread. */
#ifndef GATEWAY_MEDIA_JITTER_STORE_H
#define GATEWAY_MEDIA_JITTER_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"

#define GW_STORE_CHUNK_BYTES 124
/** 320 ms of G.711, 200 ms of Opus at 128 kb/s: more than the longest delay. */
#define GW_STORE_CHUNKS 32
#define GW_STORE_NONE   UINT8_MAX

struct gw_store {
    uint8_t next[GW_STORE_CHUNKS];
    uint8_t first_free;
    unsigned free_count;
    uint8_t bytes[GW_STORE_CHUNKS][GW_STORE_CHUNK_BYTES];
};

void gw_store_init(struct gw_store *store);
/** Copy payload in. 0 or -ENOSPC. */
int gw_store_put(struct gw_store *store, struct wz_bytes payload, uint8_t *ret_first);
/** Copy len bytes of the chain out. */
void gw_store_copy(const struct gw_store *store, uint8_t first, uint8_t *out, size_t len);
void gw_store_release(struct gw_store *store, uint8_t first);

#endif
