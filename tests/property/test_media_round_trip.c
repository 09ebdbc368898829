/* Random media headers and random datagrams, and random messages cut into random pieces.
 * On failure the seed is printed; rerun with: test_media_round_trip SEED */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "wzp/core/frame.h"
#include "wzp/core/media.h"

static uint64_t first_seed = 1;
static uint64_t seeds = 20000;

#define CHECK(seed, cond)                                                                                    \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            printf("seed %llu: %s\n", (unsigned long long)(seed), #cond);                                    \
            fail();                                                                                          \
        }                                                                                                    \
    } while (0)

static uint64_t rng_of(uint64_t seed)
{
    return seed * 0x9e3779b97f4a7c15u + 1;
}

static uint32_t next(uint64_t *rng)
{
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return (uint32_t)(*rng >> 32);
}

static struct wzp_media_hdr random_header(uint64_t *rng)
{
    struct wzp_media_hdr hdr = {
        .codec = (enum wzp_codec)(next(rng) % WZP_CODEC_COUNT),
        .is_repair = next(rng) & 1,
        .has_report = next(rng) & 1,
        .fec_ratio = (uint8_t)(next(rng) % 128),
        .seq = (uint16_t)next(rng),
        .timestamp_ms = next(rng),
        .fec_block = (uint8_t)next(rng),
        .fec_symbol = (uint8_t)next(rng),
        .reserved = (uint8_t)next(rng),
        .csrc_count = (uint8_t)next(rng),
    };
    if (hdr.has_report)
        hdr.report = (struct wzp_quality_report){ (uint8_t)next(rng), (uint8_t)next(rng), (uint8_t)next(rng),
                                                  (uint8_t)next(rng) };
    return hdr;
}

static bool headers_equal(const struct wzp_media_hdr *a, const struct wzp_media_hdr *b)
{
    return a->codec == b->codec && a->is_repair == b->is_repair && a->has_report == b->has_report &&
           a->fec_ratio == b->fec_ratio && a->seq == b->seq && a->timestamp_ms == b->timestamp_ms &&
           a->fec_block == b->fec_block && a->fec_symbol == b->fec_symbol && a->reserved == b->reserved &&
           a->csrc_count == b->csrc_count && a->report.loss == b->report.loss &&
           a->report.rtt_4ms == b->report.rtt_4ms && a->report.jitter_ms == b->report.jitter_ms &&
           a->report.bitrate_cap_kbps == b->report.bitrate_cap_kbps;
}

static void what_was_encoded_decodes_to_the_same_packet(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        uint64_t rng = rng_of(seed);
        struct wzp_media_hdr hdr = random_header(&rng), got;
        uint8_t payload[300], datagram[400];
        size_t len = next(&rng) % (sizeof payload + 1);
        struct wz_bytes got_payload;
        for (size_t i = 0; i < len; i++)
            payload[i] = (uint8_t)next(&rng);

        int written = wzp_media_encode(&hdr, wz_bytes(payload, len), datagram, sizeof datagram);
        size_t trailer = hdr.has_report ? WZP_MEDIA_TRAILER_BYTES : 0;
        CHECK(seed, written == (int)(WZP_MEDIA_HEADER_BYTES + len + trailer));
        CHECK(seed, wzp_media_decode(wz_bytes(datagram, (size_t)written), &got, &got_payload) == 0);
        CHECK(seed, headers_equal(&hdr, &got));
        CHECK(seed, wz_bytes_equal(got_payload, wz_bytes(payload, len)));
    }
}

static void messages_survive_being_cut_anywhere(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds / 20; seed++) {
        uint64_t rng = rng_of(seed);
        size_t len = next(&rng) % 20000, total = WZP_FRAME_PREFIX_BYTES + len, pos = 0;
        uint8_t *wire = malloc(total + 5);
        struct wzp_frame_in in = { 0 };
        CHECK(seed, wire && wzp_frame_prefix(len, wire) == 0);
        for (size_t i = WZP_FRAME_PREFIX_BYTES; i < total + 5; i++)
            wire[i] = (uint8_t)next(&rng);
        while (pos < total) {
            size_t most = next(&rng) % 8 ? 20 : 6000, piece = 1 + next(&rng) % most;
            if (piece > total + 5 - pos) /* the last piece may reach into what follows the message */
                piece = total + 5 - pos;
            pos += piece;
            CHECK(seed, wzp_frame_feed(&in, wz_bytes(wire + pos - piece, piece)) == (pos >= total));
        }
        CHECK(seed,
              wz_bytes_equal(wz_bytes(in.body, in.body_len), wz_bytes(wire + WZP_FRAME_PREFIX_BYTES, len)));
        wzp_frame_done(&in);
        free(wire);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_decodes_to_the_same_packet),
        cmocka_unit_test(messages_survive_being_cut_anywhere),
    };
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = 20; /* a twentieth of them for the second test */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
