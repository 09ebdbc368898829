/* What repair costs: one block of Codec2_1200 (8 frames, 8 repair symbols) encoded and, with all its frames lost,
 * decoded, against copying the same bytes. Measured in turns on one thread; the median of the turns counts. */
#include <stdio.h>
#include <stdlib.h>

#include "wzp/core/fec.h"
#include "wzp/rt/clock.h"

#define FRAMES      8u
#define FRAME_BYTES 6u
#define BLOCKS      5000u
#define TURNS       7

static const uint8_t frame[FRAME_BYTES] = { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5 };

struct bench {
    struct wzp_fec_encoder *encoder;
    struct wzp_fec_decoder *decoder;
    uint8_t symbol[FRAMES][WZP_FEC_SYMBOL_BYTES], copy[FRAMES][WZP_FEC_SYMBOL_BYTES];
    uint8_t block, esi[FRAMES];
};

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "bench_fec: %s\n", what);
    exit(1);
}

static void encode(struct bench *b)
{
    int repairs = 0;

    while (repairs == 0)
        repairs = wzp_fec_encoder_add(b->encoder, wz_bytes(frame, sizeof frame));
    check(repairs == (int)FRAMES, "encoding failed");
    for (unsigned i = 0; i < FRAMES; i++)
        wzp_fec_encoder_repair(b->encoder, i, b->symbol[i], &b->block, &b->esi[i]);
}

static void decode(struct bench *b)
{
    unsigned back = 0;

    wzp_fec_decoder_reset(b->decoder);
    for (unsigned i = 0; i < FRAMES; i++)
        back = wzp_fec_decoder_repair(b->decoder, b->block, b->esi[i], wz_bytes(b->symbol[i], sizeof b->symbol[i]), 0);
    check(back == FRAMES, "decoding failed");
}

static void copy(struct bench *b)
{
    memcpy(b->copy, b->symbol, sizeof b->copy);
    __asm__ volatile("" : : "r"(b->copy) : "memory"); /* the copy is not optimised away */
}

/** CPU nanoseconds a block. */
static uint64_t measure(struct bench *b, void (*step)(struct bench *))
{
    uint64_t start_us = wz_cpu_thread_us();

    for (unsigned i = 0; i < BLOCKS; i++)
        step(b);
    return (wz_cpu_thread_us() - start_us) * 1000 / BLOCKS;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void report(const char *what, uint64_t block_ns, uint64_t floor_ns)
{
    (void)printf("fec.%s %.2f us_per_block %.1f against copying its repair symbols\n", what, (double)block_ns / 1000,
                 (double)block_ns / (double)(floor_ns ? floor_ns : 1));
}

int main(void)
{
    static struct bench b;
    void (*const steps[])(struct bench *) = { encode, decode, copy };
    uint64_t figure[3][TURNS];

    check(wzp_fec_encoder_new(&b.encoder, FRAMES, 1000) == 0, "no encoder");
    check(wzp_fec_decoder_new(&b.decoder, FRAMES) == 0, "no decoder");
    for (unsigned turn = 0; turn < TURNS; turn++)
        for (unsigned i = 0; i < 3; i++)
            figure[i][turn] = measure(&b, steps[i]);
    for (unsigned i = 0; i < 3; i++)
        qsort(figure[i], TURNS, sizeof figure[i][0], by_size);
    report("encode", figure[0][TURNS / 2], figure[2][TURNS / 2]);
    report("decode", figure[1][TURNS / 2], figure[2][TURNS / 2]);
    wzp_fec_encoder_free(b.encoder);
    wzp_fec_decoder_free(b.decoder);
    return 0;
}
