/* After gw_bridge_new() no packet and no tick allocates, but for the first of Codec2. Allocations are counted by standing in for malloc (glibc lets a
 * program do that); under a sanitizer, which stands there itself, by its hook. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gateway/media/wzp_tx.h"
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

/* ---- Codec2: allocated when first used, then no more ---- */

struct codec2_peer {
    struct media_world *world;
    uint16_t seq;
    uint32_t timestamp_ms;
};

static void on_peer_packet(void *arg, const struct gw_wzp_tx_packet *packet)
{
    struct codec2_peer *peer = arg;
    const struct wzp_media_hdr hdr = {
        .codec = packet->codec,
        .is_repair = packet->is_repair,
        .fec_ratio = packet->fec_ratio,
        .fec_block = packet->fec_block,
        .fec_symbol = packet->fec_symbol,
        .seq = peer->seq++,
        .timestamp_ms = peer->timestamp_ms,
    };

    peer->timestamp_ms += packet->duration_ms;
    if (peer->seq % 7 != 0)
        media_peer_packet(peer->world, &hdr, packet->payload);
}

static void on_peer_silence(void *arg, unsigned ms)
{
    struct codec2_peer *peer = arg;
    peer->timestamp_ms += ms;
}

/* Both modes and Opus in turns, half a second each, in both directions, under loss. */
static void speak_codec2(struct media_world *w, struct gw_wzp_tx *tx, unsigned frames)
{
    static const enum wzp_codec order[] = { WZP_CODEC_CODEC2_3200, WZP_CODEC_CODEC2_1200, WZP_CODEC_OPUS_24K };

    for (unsigned n = 0; n < frames; n++) {
        const enum wzp_codec codec = order[n / 25 % 3];
        const struct gw_wzp_params params = { .profile = codec, .complexity = 5 };
        assert_int_equal(gw_bridge_set_profile(w->bridge, &params), 0);
        memset(gw_wzp_tx_room(tx), 0, sizeof silence);
        assert_int_equal(gw_wzp_tx_push(tx, codec), 0);
        media_phone_speaks(w, silence);
        media_advance(w, 20000);
    }
}

static size_t allocations_of_codec2(enum gw_codec codec)
{
    const struct gw_bridge_config config = media_world_config(codec);
    struct media_world w;
    struct codec2_peer peer = { .world = &w };
    const struct gw_wzp_tx_config tx_config = {
        .rate_hz = 8000, .packet = on_peer_packet, .silence = on_peer_silence, .arg = &peer
    };
    struct gw_wzp_tx *tx;

    media_world_init(&w, &config);
    assert_int_equal(gw_wzp_tx_new(&tx, &tx_config), 0);
    const size_t before = allocations;
    speak_codec2(&w, tx, 100);
    assert_true(allocations > before);
    const size_t in_use = allocations;
    speak_codec2(&w, tx, 500);
    const size_t count = allocations - in_use;
    assert_true(media_stats(&w).wzp_repaired > 0 && media_stats(&w).wzp_repair_tx > 0);
    gw_wzp_tx_free(tx);
    media_world_done(&w);
    return count;
}

static void codec2_allocates_when_first_used_and_never_again(void **state)
{
    (void)state;
    assert_int_equal(allocations_of_codec2(GW_CODEC_PCMU), 0);
    assert_int_equal(allocations_of_codec2(GW_CODEC_OPUS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(making_a_bridge_is_seen_to_allocate),
        cmocka_unit_test(a_transcoded_call_allocates_nothing),
        cmocka_unit_test(a_passed_through_call_allocates_nothing),
        cmocka_unit_test(codec2_allocates_when_first_used_and_never_again),
    };
    count_allocations();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
