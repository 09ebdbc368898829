/* See quic_memory.h. */
#include "wzp/io/quic_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/** A larger page of another architecture costs memory, nothing else. */
#define PAGE_BYTES   4096u
#define REGION_BYTES (1024u * 1024u)

/* A leak checker, where one is linked in, must look for pointers in here too. */
void __lsan_register_root_region(const void *begin, size_t size) __attribute__((weak));
void __lsan_unregister_root_region(const void *begin, size_t size) __attribute__((weak));

/** In front of everything that is handed out; 16 bytes keep malloc()'s alignment. */
union header {
    size_t pages; /* 0: from malloc() */
    unsigned char align[16];
};

/** Address space, resident where it was touched. Begins with this. */
struct quic_region {
    struct quic_region *next;
};

static unsigned char *new_region(struct quic_memory *memory)
{
    struct quic_region *region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (region == MAP_FAILED)
        return NULL;
    (void)madvise(region, REGION_BYTES, MADV_NOHUGEPAGE); /* those would be resident at once; a wish */
    if (__lsan_register_root_region)
        __lsan_register_root_region(region, REGION_BYTES);
    region->next = memory->regions;
    memory->regions = region;
    return (unsigned char *)region;
}

static void *take_slot(struct quic_memory *memory, size_t pages)
{
    size_t bytes = pages * PAGE_BYTES;
    void *slot = memory->free_slot[pages];

    if (slot) {
        memcpy(&memory->free_slot[pages], slot, sizeof(void *));
        return slot;
    }
    if (memory->fresh_bytes < bytes) {
        unsigned char *region = new_region(memory);
        if (!region)
            return NULL;
        memory->fresh = region + PAGE_BYTES;
        memory->fresh_bytes = REGION_BYTES - PAGE_BYTES;
    }
    slot = memory->fresh;
    memory->fresh += bytes;
    memory->fresh_bytes -= bytes;
    return slot;
}

static void give_slot(struct quic_memory *memory, void *slot, size_t pages)
{
    memcpy(slot, &memory->free_slot[pages], sizeof(void *));
    memory->free_slot[pages] = slot;
}

static void *hand_out(union header *header, size_t pages)
{
    if (!header)
        return NULL;
    header->pages = pages;
    return header + 1;
}

static void *memory_malloc(size_t size, void *user_data)
{
    size_t pages;

    if (size > SIZE_MAX - sizeof(union header) - PAGE_BYTES)
        return NULL;
    size += sizeof(union header);
    pages = size < PAGE_BYTES ? 0 : (size + PAGE_BYTES - 1) / PAGE_BYTES;
    if (pages > QUIC_MEMORY_PAGES_MAX)
        pages = 0;
    return hand_out(pages ? take_slot(user_data, pages) : malloc(size), pages);
}

static void memory_free(void *ptr, void *user_data)
{
    union header *header = ptr;

    if (!ptr)
        return;
    header--;
    if (header->pages)
        give_slot(user_data, header, header->pages);
    else
        free(header);
}

/** What is zeroed is touched: no slot. */
static void *memory_calloc(size_t count, size_t size, void *user_data)
{
    size_t bytes;

    (void)user_data;
    if (__builtin_mul_overflow(count, size, &bytes) || __builtin_add_overflow(bytes, sizeof(union header), &bytes))
        return NULL;
    return hand_out(calloc(1, bytes), 0);
}

static void *memory_realloc(void *ptr, size_t size, void *user_data)
{
    union header *header = ptr;
    size_t had;
    void *moved;

    if (!ptr)
        return memory_malloc(size, user_data);
    header--;
    if (!header->pages)
        return size > SIZE_MAX - sizeof *header ? NULL : hand_out(realloc(header, size + sizeof *header), 0);
    had = header->pages * PAGE_BYTES - sizeof *header;
    if (size <= had)
        return ptr;
    moved = memory_malloc(size, user_data);
    if (moved) {
        memcpy(moved, ptr, had);
        memory_free(ptr, user_data);
    }
    return moved;
}

void quic_memory_init(struct quic_memory *memory)
{
    *memory = (struct quic_memory){
        .mem = { .user_data = memory,
                 .malloc = memory_malloc,
                 .free = memory_free,
                 .calloc = memory_calloc,
                 .realloc = memory_realloc },
    };
}

void quic_memory_done(struct quic_memory *memory)
{
    while (memory->regions) {
        struct quic_region *region = memory->regions;
        memory->regions = region->next;
        if (__lsan_unregister_root_region)
            __lsan_unregister_root_region(region, REGION_BYTES);
        (void)munmap(region, REGION_BYTES);
    }
    memory->fresh = NULL;
    memory->fresh_bytes = 0;
}
