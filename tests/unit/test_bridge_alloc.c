/* After gw_bridge_new() no packet and no tick allocates. Allocations are counted by standing in for malloc (glibc lets a
 * program do that); under a sanitizer, which stands there itself, by its hook. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/support/media_world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

static volatile size_t allocations;

#if HAS_SANITIZER
/* As <sanitizer/allocator_interface.h> has it, which gcc does not install. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static void on_malloc(const volatile void *ptr, size_t size)
{
    (void)ptr;
    (void)size;
    allocations++;
}

static void on_free(const volatile void *ptr)
{
    (void)ptr;
}

static void count_allocations(void)
{
    assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
}
#else
/* glibc's own entry points; the standard names below replace malloc for the whole program. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    allocations++;
    return __libc_realloc(ptr, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}

static void count_allocations(void)
{
}
#endif

static const int16_t silence[160];

/* The counter must see the library's allocations, or the other tests prove nothing. */
static void making_a_bridge_is_seen_to_allocate(void **state)
{
    const struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;

    (void)state;
    const size_t before = allocations;
    media_world_init(&w, &config);
    assert_true(allocations >= before + 10);
    media_world_done(&w);
}

/* Ten seconds with everything in them: audio both ways, loss, digits, foreign packets, RTCP, hold. */
static size_t allocations_of_a_call(enum gw_codec codec)
{
    const struct gw_bridge_config config = media_world_config(codec);
    static const uint8_t odd_opus[] = { 0x18, 1, 2, 3, 4 }; /* 60 ms */
    struct gw_rtcp_report report = { .ssrc = MEDIA_WORLD_SSRC, .has_sender_info = true };
    uint8_t rtcp[GW_RTCP_PACKET_MAX];
    struct media_world w;

    media_world_init(&w, &config);
    const int len = gw_rtcp_encode(&report, rtcp, sizeof rtcp);
    const size_t before = allocations;
    gw_bridge_set_path_stats(w.bridge, 1000, 20, 3);
    for (unsigned n = 0; n < 500; n++) {
        if (n % 17 != 0)
            media_phone_speaks(&w, silence);
        if (n % 13 != 0)
            media_peer_speaks(&w, silence);
        if (n % 100 == 50)
            media_phone_digit(&w, '7', 100);
        if (n % 100 == 60)
            (void)gw_bridge_play_digit(w.bridge, '8', 100, w.now_us);
        if (n == 200 && codec == GW_CODEC_OPUS) {
            media_phone_packet(&w, 111, w.phone_seq++, w.phone_ts, wz_bytes(odd_opus, sizeof odd_opus));
            w.phone_ts += 2880;
        }
        if (n % 50 == 0)
            gw_bridge_rtcp_packet(w.bridge, rtcp, (size_t)len, &w.phone, w.now_us);
        struct gw_rtp_params params = w.config.rtp;
        params.send = params.recv = n % 200 < 150;
        (void)gw_bridge_update_rtp(w.bridge, &params, w.now_us);
        media_advance(&w, 20000);
    }
    gw_bridge_bye(w.bridge, w.now_us);
    (void)media_stats(&w);
    const size_t count = allocations - before;
    assert_true(w.rtp_count > 300 && w.wzp_count > 300);
    media_world_done(&w);
    return count;
}

static void a_transcoded_call_allocates_nothing(void **state)
{
    (void)state;
    assert_int_equal(allocations_of_a_call(GW_CODEC_PCMU), 0);
    assert_int_equal(allocations_of_a_call(GW_CODEC_PCMA), 0);
}

static void a_passed_through_call_allocates_nothing(void **state)
{
    (void)state;
    assert_int_equal(allocations_of_a_call(GW_CODEC_OPUS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(making_a_bridge_is_seen_to_allocate),
        cmocka_unit_test(a_transcoded_call_allocates_nothing),
        cmocka_unit_test(a_passed_through_call_allocates_nothing),
    };
    count_allocations();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
