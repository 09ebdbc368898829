/* Repair of lost frames against random loss, and what is left of the loss that unmodified senders suffer. A failing run
 * prints its seed; WZP_SEED=<n> repeats it alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/core/fec.h"

#define SEED_DEFAULT 20260411u

#define BLOCKS_PER_SIZE 2000
#define FIGURE_FRAMES   40000u
#define LOSS_PCT        20

/** Packets of one block, in the order they are sent. */
#define PACKETS_MAX (3 * WZP_FEC_BLOCK_MAX)

struct dice {
    uint64_t state;
};

static uint32_t roll(struct dice *d, uint32_t sides)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->state >> 33) % sides;
}

static uint64_t seed_of_run(void)
{
    const char *text = getenv("WZP_SEED");
    return text ? strtoull(text, NULL, 10) : SEED_DEFAULT;
}

static int tell_seed(void **state)
{
    (void)state;
    print_message("seed: WZP_SEED=%llu\n", (unsigned long long)seed_of_run());
    return 0;
}

/** A stream as an unmodified sender makes it: bare source frames, whole repair symbols. */
struct stream {
    struct dice dice;
    unsigned k, r;
    size_t frame_len; /**< 0: any */
    struct wzp_fec_encoder *encoder;
    struct wzp_fec_decoder *decoder;
    uint64_t now_us;
    uint8_t block;
    size_t len[WZP_FEC_BLOCK_MAX];
    uint8_t frame[WZP_FEC_BLOCK_MAX][WZP_FEC_FRAME_MAX];
    uint8_t repair[PACKETS_MAX][WZP_FEC_SYMBOL_BYTES];
    bool have[WZP_FEC_BLOCK_MAX]; /**< received or recovered */
};

static struct stream stream_new(uint64_t seed, unsigned k, unsigned ratio_milli, size_t frame_len)
{
    struct stream s = { .dice = { seed }, .k = k, .r = (k * ratio_milli + 999) / 1000, .frame_len = frame_len };
    assert_int_equal(wzp_fec_encoder_new(&s.encoder, k, ratio_milli), 0);
    assert_int_equal(wzp_fec_decoder_new(&s.decoder, k), 0);
    return s;
}

static void stream_free(struct stream *s)
{
    wzp_fec_encoder_free(s->encoder);
    wzp_fec_decoder_free(s->decoder);
}

/** The next block, all its packets. */
static void send_block(struct stream *s)
{
    int repairs = 0;

    memset(s->have, 0, sizeof s->have);
    for (unsigned i = 0; i < s->k; i++) {
        uint8_t symbol;
        s->len[i] = s->frame_len ? s->frame_len : 1 + roll(&s->dice, WZP_FEC_FRAME_MAX);
        for (size_t j = 0; j < s->len[i]; j++)
            s->frame[i][j] = (uint8_t)roll(&s->dice, 256);
        wzp_fec_encoder_place(s->encoder, &s->block, &symbol);
        assert_int_equal(symbol, i);
        repairs = wzp_fec_encoder_add(s->encoder, wz_bytes(s->frame[i], s->len[i]));
    }
    assert_int_equal(repairs, s->r);
    for (unsigned i = 0; i < s->r; i++) {
        uint8_t block, esi;
        wzp_fec_encoder_repair(s->encoder, i, s->repair[i], &block, &esi);
        assert_int_equal(block, s->block);
        assert_int_equal(esi, s->k + i);
    }
    s->now_us += 160000;
}

/** Every frame that comes back must be the one that was sent. */
static void take_all(struct stream *s, unsigned promised)
{
    struct wzp_fec_frame frame;
    unsigned taken = 0;

    for (; wzp_fec_decoder_take(s->decoder, &frame); taken++) {
        assert_int_equal(frame.block, s->block);
        assert_in_range(frame.symbol, 0, s->k - 1);
        assert_false(s->have[frame.symbol]);
        assert_int_equal(frame.len, s->len[frame.symbol]);
        assert_memory_equal(frame.data, s->frame[frame.symbol], frame.len);
        s->have[frame.symbol] = true;
    }
    assert_int_equal(taken, promised);
}

/** Packet number `index` of the block arrives. */
static void deliver(struct stream *s, unsigned index)
{
    unsigned back;

    if (index < s->k) {
        s->have[index] = true;
        back = wzp_fec_decoder_source(s->decoder, s->block, (uint8_t)index, wz_bytes(s->frame[index], s->len[index]),
                                      s->now_us);
    } else {
        back = wzp_fec_decoder_repair(s->decoder, s->block, (uint8_t)index,
                                      wz_bytes(s->repair[index - s->k], WZP_FEC_SYMBOL_BYTES), s->now_us);
    }
    take_all(s, back);
}

static unsigned count_missing(const struct stream *s)
{
    unsigned missing = 0;
    for (unsigned i = 0; i < s->k; i++)
        missing += !s->have[i];
    return missing;
}

static void shuffle(struct dice *d, unsigned *order, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned i = count; i-- > 1;) {
        unsigned j = roll(d, i + 1), was = order[i];
        order[i] = order[j];
        order[j] = was;
    }
}

/** One block of which packets arrive in random order until nothing is missing; how many it took beyond K. */
static unsigned packets_beyond_k(struct stream *s)
{
    unsigned order[PACKETS_MAX], used = 0;

    send_block(s);
    shuffle(&s->dice, order, s->k + s->r);
    while (used < s->k)
        deliver(s, order[used++]);
    while (count_missing(s)) {
        assert_true(used < s->k + s->r);
        deliver(s, order[used++]);
    }
    return used - s->k;
}

static void any_k_packets_of_a_block_bring_all_frames_back_and_rarely_one_more_is_needed(void **state)
{
    (void)state;
    struct dice sizes = { seed_of_run() };
    unsigned blocks = 0, one_more = 0, two_more = 0;

    for (unsigned k = 1; k <= WZP_FEC_BLOCK_MAX; k++) {
        struct stream s = stream_new(sizes.state + k, k, 2000, 0);
        for (unsigned i = 0; i < BLOCKS_PER_SIZE / WZP_FEC_BLOCK_MAX; i++, blocks++) {
            unsigned beyond = packets_beyond_k(&s);
            one_more += beyond >= 1;
            two_more += beyond >= 2;
        }
        assert_int_equal(wzp_fec_decoder_counts(s.decoder).bad, 0);
        stream_free(&s);
    }
    print_message("%u blocks of 1..%d frames: %u needed one packet more than frames, %u two\n", blocks,
                  WZP_FEC_BLOCK_MAX, one_more, two_more);
    assert_true(one_more * 50 <= blocks); /* 2 %; RaptorQ promises less than 1 % */
    assert_true(two_more * 500 <= blocks);
}

/** Frames of 10,000 that stay lost when every packet is lost with LOSS_PCT. */
static unsigned residual_loss(unsigned k, unsigned ratio_milli, size_t frame_len)
{
    struct stream s = stream_new(seed_of_run(), k, ratio_milli, frame_len);
    unsigned frames = 0, missing = 0;

    for (; frames < FIGURE_FRAMES; frames += k) {
        send_block(&s);
        for (unsigned i = 0; i < k + s.r; i++)
            if (roll(&s.dice, 100) >= LOSS_PCT)
                deliver(&s, i);
        missing += count_missing(&s);
    }
    stream_free(&s);
    print_message("K=%u R=%u at %d %% loss: %u of %u frames stay lost (%.3f %%)\n", k, s.r, LOSS_PCT, missing, frames,
                  100.0 * missing / frames);
    return (unsigned)(UINT64_C(10000) * missing / frames);
}

static void codec2_1200_from_unmodified_senders_keeps_at_most_half_a_percent_of_twenty_percent_loss(void **state)
{
    (void)state;
    assert_in_range(residual_loss(8, 1000, 6), 0, 50);
}

static void codec2_3200_from_unmodified_senders_keeps_at_most_four_percent_of_twenty_percent_loss(void **state)
{
    (void)state;
    assert_in_range(residual_loss(5, 500, 8), 0, 400);
}

/** Blocks behind, ahead and at the same time, wrong ones too: what comes back may be nonsense, but within its bounds. */
static void nonsense_does_not_break_the_decoder(void **state)
{
    (void)state;
    struct dice d = { seed_of_run() };

    for (unsigned k = 1; k <= WZP_FEC_BLOCK_MAX; k++) {
        struct wzp_fec_decoder *decoder;
        uint8_t bytes[WZP_FEC_SYMBOL_BYTES + 8], block = 0;
        uint64_t now_us = 0;
        assert_int_equal(wzp_fec_decoder_new(&decoder, k), 0);
        for (unsigned i = 0; i < 5000; i++) {
            struct wzp_fec_frame frame;
            unsigned back, taken = 0;
            block = (uint8_t)(roll(&d, 20) ? block + roll(&d, 2) : roll(&d, 256));
            now_us += roll(&d, 100) ? roll(&d, 30000) : roll(&d, 5000000);
            memset(bytes, 0, sizeof bytes);
            for (unsigned j = 0; j < 4; j++)
                bytes[roll(&d, roll(&d, 2) ? 12 : sizeof bytes)] = (uint8_t)roll(&d, 256);
            if (roll(&d, 2))
                back = wzp_fec_decoder_source(decoder, block, (uint8_t)roll(&d, k + 1), wz_bytes(bytes, roll(&d, 20)),
                                              now_us);
            else
                back = wzp_fec_decoder_repair(decoder, block, (uint8_t)(k + roll(&d, 12)),
                                              wz_bytes(bytes, WZP_FEC_SYMBOL_BYTES + !roll(&d, 20)), now_us);
            for (; wzp_fec_decoder_take(decoder, &frame); taken++) {
                assert_in_range(frame.len, 1, WZP_FEC_FRAME_MAX);
                assert_in_range(frame.symbol, 0, k - 1);
            }
            assert_int_equal(taken, back);
        }
        wzp_fec_decoder_free(decoder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(any_k_packets_of_a_block_bring_all_frames_back_and_rarely_one_more_is_needed,
                                  tell_seed),
        cmocka_unit_test_teardown(
            codec2_1200_from_unmodified_senders_keeps_at_most_half_a_percent_of_twenty_percent_loss, tell_seed),
        cmocka_unit_test_teardown(codec2_3200_from_unmodified_senders_keeps_at_most_four_percent_of_twenty_percent_loss,
                                  tell_seed),
        cmocka_unit_test_teardown(nonsense_does_not_break_the_decoder, tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
