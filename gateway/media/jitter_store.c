#include "gateway/media/jitter_store.h"

#include <errno.h>
#include <string.h>

void gw_store_init(struct gw_store *store)
{
    for (unsigned i = 0; i < GW_STORE_CHUNKS; i++)
        store->next[i] = (uint8_t)(i + 1);
    store->next[GW_STORE_CHUNKS - 1] = GW_STORE_NONE;
    store->first_free = 0;
    store->free_count = GW_STORE_CHUNKS;
}

int gw_store_put(struct gw_store *store, struct wz_bytes payload, uint8_t *ret_first)
{
    const size_t need = (payload.len + GW_STORE_CHUNK_BYTES - 1) / GW_STORE_CHUNK_BYTES;
    const uint8_t first = store->first_free;
    uint8_t last = GW_STORE_NONE;
    size_t done = 0;

    if (need == 0 || need > store->free_count)
        return -ENOSPC;
    while (done < payload.len) {
        const size_t left = payload.len - done;
        const size_t n = left < GW_STORE_CHUNK_BYTES ? left : GW_STORE_CHUNK_BYTES;
        last = store->first_free;
        store->first_free = store->next[last];
        memcpy(store->bytes[last], payload.data + done, n);
        done += n;
    }
    store->next[last] = GW_STORE_NONE;
    store->free_count -= (unsigned)need;
    *ret_first = first;
    return 0;
}

void gw_store_copy(const struct gw_store *store, uint8_t first, uint8_t *out, size_t len)
{
    for (size_t done = 0; done < len && first != GW_STORE_NONE; first = store->next[first]) {
        const size_t n = len - done < GW_STORE_CHUNK_BYTES ? len - done : GW_STORE_CHUNK_BYTES;
        memcpy(out + done, store->bytes[first], n);
        done += n;
    }
}

void gw_store_release(struct gw_store *store, uint8_t first)
{
    while (first != GW_STORE_NONE) {
        const uint8_t next = store->next[first];
        store->next[first] = store->first_free;
        store->first_free = first;
        store->free_count++;
        first = next;
    }
}
