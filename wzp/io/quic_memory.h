/* Where ngtcp2's memory comes from. It takes its small objects out of blocks of 4 to 12 kB, nine of them per connection,
 * and most stay almost empty. Each block starts on a page of its own here, so that the empty part is never resident: a
 * third less memory per idle connection. Thread: the endpoint's. */
#ifndef WZP_IO_QUIC_MEMORY_H
#define WZP_IO_QUIC_MEMORY_H

#include <stddef.h>

#include <ngtcp2/ngtcp2.h>

/** Blocks of up to so many pages have slots; others come from malloc(). */
#define QUIC_MEMORY_PAGES_MAX 4

struct quic_memory {
    ngtcp2_mem mem; /**< what ngtcp2 is given; it keeps the pointer */
    struct quic_region *regions;
    void *free_slot[QUIC_MEMORY_PAGES_MAX + 1]; /**< by pages */
    unsigned char *fresh;                       /**< what is left of the newest region */
    size_t fresh_bytes;
};

void quic_memory_init(struct quic_memory *memory);
/** Every connection that used it is gone. */
void quic_memory_done(struct quic_memory *memory);

#endif
