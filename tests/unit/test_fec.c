#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "wzp/core/fec.h"

#define MS UINT64_C(1000)

#define K 5u
#define R 3u

/** Block 0 of an encoder and a decoder that listens: frame i is i + 1 bytes of 'a' + i. */
struct rig {
    struct wzp_fec_encoder *encoder;
    struct wzp_fec_decoder *decoder;
    uint64_t now_us;
};

static struct rig rig_new(void)
{
    struct rig rig = { .now_us = 10000 * MS };
    assert_int_equal(wzp_fec_encoder_new(&rig.encoder, K, 500), 0);
    assert_int_equal(wzp_fec_decoder_new(&rig.decoder, K), 0);
    return rig;
}

static void rig_free(struct rig *rig)
{
    wzp_fec_encoder_free(rig->encoder);
    wzp_fec_decoder_free(rig->decoder);
}

static struct wz_bytes frame_of(unsigned number)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    return wz_bytes(text + number, number % 8 + 1);
}

/** Encode the next block, whose frames are first_frame and so on. */
static void encode_block(struct rig *rig, unsigned first_frame)
{
    for (unsigned i = 0; i < K; i++)
        assert_int_equal(wzp_fec_encoder_add(rig->encoder, frame_of(first_frame + i)), i + 1 == K ? (int)R : 0);
}

static unsigned hear_source(struct rig *rig, uint8_t block, unsigned symbol, unsigned frame)
{
    return wzp_fec_decoder_source(rig->decoder, block, (uint8_t)symbol, frame_of(frame), rig->now_us);
}

/** Repair symbol `index` of the block last encoded, under the id it was sent with. */
static unsigned hear_repair(struct rig *rig, unsigned index)
{
    uint8_t symbol[WZP_FEC_SYMBOL_BYTES], block, esi;
    wzp_fec_encoder_repair(rig->encoder, index, symbol, &block, &esi);
    return wzp_fec_decoder_repair(rig->decoder, block, esi, wz_bytes(symbol, sizeof symbol), rig->now_us);
}

static void expect_frame(struct rig *rig, uint8_t block, unsigned symbol, unsigned number)
{
    struct wzp_fec_frame frame;
    assert_true(wzp_fec_decoder_take(rig->decoder, &frame));
    assert_int_equal(frame.block, block);
    assert_int_equal(frame.symbol, symbol);
    assert_int_equal(frame.len, frame_of(number).len);
    assert_memory_equal(frame.data, frame_of(number).data, frame.len);
}

static void expect_no_frame(struct rig *rig)
{
    struct wzp_fec_frame frame;
    assert_false(wzp_fec_decoder_take(rig->decoder, &frame));
}

static void frames_are_numbered_in_blocks_and_ids_wrap(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    for (unsigned i = 0; i < 300 * K; i++) {
        uint8_t block, symbol;
        wzp_fec_encoder_place(rig.encoder, &block, &symbol);
        assert_int_equal(block, i / K % 256);
        assert_int_equal(symbol, i % K);
        assert_int_equal(wzp_fec_encoder_add(rig.encoder, frame_of(0)), symbol == K - 1 ? (int)R : 0);
    }
    rig_free(&rig);
}

static void a_blocks_repairs_carry_its_id_and_follow_its_sources(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    encode_block(&rig, 0);
    encode_block(&rig, 0);
    for (unsigned i = 0; i < R; i++) {
        uint8_t symbol[WZP_FEC_SYMBOL_BYTES], block, esi;
        wzp_fec_encoder_repair(rig.encoder, i, symbol, &block, &esi);
        assert_int_equal(block, 1);
        assert_int_equal(esi, K + i);
    }
    rig_free(&rig);
}

static void repairs_are_rounded_up(void **state)
{
    (void)state;
    static const struct {
        unsigned frames, ratio_milli;
        int repairs;
    } table[] = { { 5, 500, 3 }, { 8, 1000, 8 }, { 8, 0, 0 }, { 5, 1, 1 }, { 10, 200, 2 }, { 16, 15000, 240 } };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct wzp_fec_encoder *encoder;
        int got = 0;
        assert_int_equal(wzp_fec_encoder_new(&encoder, table[i].frames, table[i].ratio_milli), 0);
        for (unsigned frame = 0; frame < table[i].frames; frame++)
            got = wzp_fec_encoder_add(encoder, frame_of(0));
        assert_int_equal(got, table[i].repairs);
        wzp_fec_encoder_free(encoder);
    }
}

static void impossible_blocks_are_refused(void **state)
{
    (void)state;
    struct wzp_fec_encoder *encoder = NULL;
    struct wzp_fec_decoder *decoder = NULL;
    assert_int_equal(wzp_fec_encoder_new(&encoder, 0, 1000), -EINVAL);
    assert_int_equal(wzp_fec_encoder_new(&encoder, WZP_FEC_BLOCK_MAX + 1, 1000), -EINVAL);
    assert_int_equal(wzp_fec_encoder_new(&encoder, 16, 15001), -EINVAL);
    assert_int_equal(wzp_fec_encoder_new(&encoder, 2, UINT32_MAX), -EINVAL);
    assert_int_equal(wzp_fec_decoder_new(&decoder, 0), -EINVAL);
    assert_int_equal(wzp_fec_decoder_new(&decoder, WZP_FEC_BLOCK_MAX + 1), -EINVAL);
    assert_null(encoder);
    assert_null(decoder);
    wzp_fec_encoder_free(NULL);
    wzp_fec_decoder_free(NULL);
}

static void frames_that_do_not_fit_a_symbol_are_refused(void **state)
{
    (void)state;
    static const uint8_t big[WZP_FEC_FRAME_MAX + 1];
    struct wzp_fec_encoder *encoder;
    assert_int_equal(wzp_fec_encoder_new(&encoder, 1, 1000), 0);
    assert_int_equal(wzp_fec_encoder_add(encoder, wz_bytes(big, 0)), -EINVAL);
    assert_int_equal(wzp_fec_encoder_add(encoder, wz_bytes(big, sizeof big)), -EINVAL);
    assert_int_equal(wzp_fec_encoder_add(encoder, wz_bytes(big, sizeof big - 1)), 1);
    wzp_fec_encoder_free(encoder);
}

static void after_a_reset_the_next_frame_opens_a_new_block(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    uint8_t block, symbol;
    wzp_fec_encoder_reset(rig.encoder);
    wzp_fec_encoder_place(rig.encoder, &block, &symbol);
    assert_int_equal(block, 0); /* it had nothing in it */
    (void)wzp_fec_encoder_add(rig.encoder, frame_of(0));
    wzp_fec_encoder_reset(rig.encoder);
    wzp_fec_encoder_place(rig.encoder, &block, &symbol);
    assert_int_equal(block, 1);
    assert_int_equal(symbol, 0);
    encode_block(&rig, 0);
    rig_free(&rig);
}

static void lost_frames_come_back_in_order_of_their_symbols(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    encode_block(&rig, 0);
    assert_int_equal(hear_source(&rig, 0, 1, 1), 0);
    assert_int_equal(hear_source(&rig, 0, 3, 3), 0);
    assert_int_equal(hear_repair(&rig, 2), 0);
    assert_int_equal(hear_repair(&rig, 0), 0);
    assert_int_equal(hear_repair(&rig, 1), 3);
    expect_frame(&rig, 0, 0, 0);
    expect_frame(&rig, 0, 2, 2);
    expect_frame(&rig, 0, 4, 4);
    expect_no_frame(&rig);
    assert_int_equal(wzp_fec_decoder_counts(rig.decoder).recovered, 3);
    rig_free(&rig);
}

static void a_late_source_can_be_what_a_repair_waited_for(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    encode_block(&rig, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(hear_source(&rig, 0, i, i), 0);
    assert_int_equal(hear_repair(&rig, 0), 0);
    assert_int_equal(hear_source(&rig, 0, 4, 4), 1);
    expect_frame(&rig, 0, 3, 3);
    rig_free(&rig);
}

static void frames_not_taken_before_the_next_packet_are_gone(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    encode_block(&rig, 0);
    for (unsigned i = 1; i < K; i++)
        assert_int_equal(hear_source(&rig, 0, i, i), 0);
    assert_int_equal(hear_repair(&rig, 0), 1);
    assert_int_equal(hear_source(&rig, 1, 0, 0), 0);
    expect_no_frame(&rig);
    rig_free(&rig);
}

static void repeated_packets_do_not_count_twice(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    encode_block(&rig, 0);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(hear_source(&rig, 0, i % 3, i % 3), 0);
        assert_int_equal(hear_repair(&rig, 1), 0);
    }
    assert_int_equal(hear_repair(&rig, 0), 2);
    rig_free(&rig);
}

static void packets_of_a_complete_block_are_ignored_for_two_seconds(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    encode_block(&rig, 0);
    for (unsigned i = 0; i < K; i++)
        assert_int_equal(hear_source(&rig, 0, i, i), 0);
    rig.now_us += 1999 * MS;
    for (unsigned i = 0; i < R; i++)
        assert_int_equal(hear_repair(&rig, i), 0);
    assert_int_equal(wzp_fec_decoder_counts(rig.decoder).late, R);
    rig.now_us += 1 * MS; /* from here on the id stands for a new block */
    for (unsigned i = 1; i < K; i++)
        assert_int_equal(hear_source(&rig, 0, i, i), 0);
    assert_int_equal(hear_repair(&rig, 0), 1);
    expect_frame(&rig, 0, 0, 0);
    rig_free(&rig);
}

static void four_blocks_are_open_at_once_and_older_ones_are_over(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    for (unsigned block = 0; block < WZP_FEC_OPEN_BLOCKS; block++)
        for (unsigned i = 1; i < K; i++)
            assert_int_equal(hear_source(&rig, (uint8_t)block, i, i + block), 0);
    encode_block(&rig, 0);
    assert_int_equal(hear_repair(&rig, 0), 1);
    expect_frame(&rig, 0, 0, 0);

    assert_int_equal(hear_source(&rig, 5, 0, 0), 0); /* block 1 is four ids behind it */
    encode_block(&rig, 1);
    assert_int_equal(hear_repair(&rig, 0), 0);
    assert_int_equal(wzp_fec_decoder_counts(rig.decoder).late, 1);
    encode_block(&rig, 2);
    assert_int_equal(hear_repair(&rig, 0), 1);
    expect_frame(&rig, 2, 0, 2);
    rig_free(&rig);
}

static void ids_up_to_128_behind_are_late_and_beyond_are_ahead(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    assert_int_equal(hear_source(&rig, 200, 0, 0), 0);
    assert_int_equal(hear_source(&rig, 200 - 128, 0, 0), 0);
    assert_int_equal(hear_source(&rig, 200 - WZP_FEC_OPEN_BLOCKS, 0, 0), 0);
    assert_int_equal(wzp_fec_decoder_counts(rig.decoder).late, 2);
    assert_int_equal(hear_source(&rig, (uint8_t)(200 + 127), 0, 0), 0);
    assert_int_equal(wzp_fec_decoder_counts(rig.decoder).late, 2);
    assert_int_equal(hear_source(&rig, 200, 1, 1), 0);
    assert_int_equal(wzp_fec_decoder_counts(rig.decoder).late, 3);
    rig_free(&rig);
}

static void blocks_go_on_across_the_wrap_of_their_ids(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    for (unsigned block = 0; block < 600; block++) {
        encode_block(&rig, block % 16);
        rig.now_us += 160 * MS;
        for (unsigned i = 0; i < K; i++)
            if (i != block % K)
                assert_int_equal(hear_source(&rig, (uint8_t)block, i, block % 16 + i), 0);
        assert_int_equal(hear_repair(&rig, block % R), 1);
        expect_frame(&rig, (uint8_t)block, block % K, block % 16 + block % K);
    }
    rig_free(&rig);
}

static void after_two_silent_seconds_a_sender_may_count_from_anywhere(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    assert_int_equal(hear_source(&rig, 100, 0, 9), 0);
    encode_block(&rig, 0);
    rig.now_us += 2000 * MS;
    for (unsigned i = 1; i < K; i++)
        assert_int_equal(hear_source(&rig, 0, i, i), 0);
    assert_int_equal(hear_repair(&rig, 0), 1);
    expect_frame(&rig, 0, 0, 0);
    rig_free(&rig);
}

static void a_block_not_heard_of_for_two_seconds_does_not_mix_with_its_successor(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    assert_int_equal(hear_source(&rig, 0, 0, 9), 0);
    encode_block(&rig, 0);
    rig.now_us += 2000 * MS;
    for (unsigned i = 1; i < K; i++)
        assert_int_equal(hear_source(&rig, 0, i, i), 0);
    assert_int_equal(hear_repair(&rig, 0), 1);
    expect_frame(&rig, 0, 0, 0);
    rig_free(&rig);
}

static void a_source_that_contradicts_a_known_one_opens_the_block_anew(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    assert_int_equal(hear_source(&rig, 0, 0, 7), 0); /* the block that the sender gave up */
    assert_int_equal(hear_source(&rig, 0, 1, 8), 0);
    encode_block(&rig, 0);
    for (unsigned i = 0; i < K; i++)
        if (i != 1)
            assert_int_equal(hear_source(&rig, 0, i, i), 0);
    assert_int_equal(hear_repair(&rig, 0), 1);
    expect_frame(&rig, 0, 1, 1);
    rig_free(&rig);
}

static void a_reset_forgets_open_and_complete_blocks(void **state)
{
    (void)state;
    struct rig rig = rig_new();
    assert_int_equal(hear_source(&rig, 9, 0, 0), 0);
    encode_block(&rig, 0);
    for (unsigned round = 0; round < 2; round++) {
        wzp_fec_decoder_reset(rig.decoder);
        for (unsigned i = 1; i < K; i++)
            assert_int_equal(hear_source(&rig, 0, i, i), 0);
        assert_int_equal(hear_repair(&rig, 0), 1);
        expect_frame(&rig, 0, 0, 0);
    }
    rig_free(&rig);
}

static void odd_packets_are_counted_and_dropped(void **state)
{
    (void)state;
    static const uint8_t bytes[WZP_FEC_SYMBOL_BYTES + 1];
    struct rig rig = rig_new();
    struct wzp_fec_decoder *decoder = rig.decoder;
    assert_int_equal(wzp_fec_decoder_source(decoder, 0, K, wz_bytes(bytes, 8), 0), 0);
    assert_int_equal(wzp_fec_decoder_source(decoder, 0, 255, wz_bytes(bytes, 8), 0), 0);
    assert_int_equal(wzp_fec_decoder_source(decoder, 0, 0, wz_bytes(NULL, 0), 0), 0);
    assert_int_equal(wzp_fec_decoder_source(decoder, 0, 0, wz_bytes(bytes, WZP_FEC_FRAME_MAX + 1), 0), 0);
    assert_int_equal(wzp_fec_decoder_repair(decoder, 0, K - 1, wz_bytes(bytes, WZP_FEC_SYMBOL_BYTES), 0), 0);
    assert_int_equal(wzp_fec_decoder_repair(decoder, 0, K, wz_bytes(bytes, WZP_FEC_SYMBOL_BYTES - 1), 0), 0);
    assert_int_equal(wzp_fec_decoder_repair(decoder, 0, K, wz_bytes(bytes, WZP_FEC_SYMBOL_BYTES + 1), 0), 0);
    assert_int_equal(wzp_fec_decoder_counts(decoder).odd, 7);
    rig_free(&rig);
}

/** A wrong symbol's bytes as they come out of the only equation: symbol 0 of a block of one frame is its own repair. */
static void expect_bad(const uint8_t symbol[static WZP_FEC_SYMBOL_BYTES], unsigned bad)
{
    struct wzp_fec_decoder *decoder;
    struct wzp_fec_encoder *encoder;
    uint8_t repair[WZP_FEC_SYMBOL_BYTES], block, esi;
    struct wzp_fec_frame frame;

    assert_int_equal(wzp_fec_decoder_new(&decoder, 2), 0);
    assert_int_equal(wzp_fec_encoder_new(&encoder, 2, 500), 0);
    assert_int_equal(wzp_fec_encoder_add(encoder, frame_of(0)), 0);
    assert_int_equal(wzp_fec_encoder_add(encoder, frame_of(1)), 1);
    wzp_fec_encoder_repair(encoder, 0, repair, &block, &esi);
    for (size_t i = 0; i < sizeof repair; i++)
        repair[i] ^= symbol[i];
    assert_int_equal(wzp_fec_decoder_source(decoder, 0, 0, frame_of(0), 0), 0);
    assert_int_equal(wzp_fec_decoder_repair(decoder, 0, esi, wz_bytes(repair, sizeof repair), 0), bad ? 0 : 1);
    assert_int_equal(wzp_fec_decoder_counts(decoder).bad, bad);
    assert_int_equal(wzp_fec_decoder_take(decoder, &frame), bad ? 0 : 1);
    wzp_fec_decoder_free(decoder);
    wzp_fec_encoder_free(encoder);
}

static void what_comes_out_of_a_wrong_symbol_is_no_frame(void **state)
{
    (void)state;
    expect_bad((const uint8_t[WZP_FEC_SYMBOL_BYTES]){ 0 }, 0);
    expect_bad((const uint8_t[WZP_FEC_SYMBOL_BYTES]){ [1] = 1 }, 1);  /* the length */
    expect_bad((const uint8_t[WZP_FEC_SYMBOL_BYTES]){ [20] = 1 }, 1); /* zeros behind the frame */
    expect_bad((const uint8_t[WZP_FEC_SYMBOL_BYTES]){ [255] = 1 }, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_numbered_in_blocks_and_ids_wrap),
        cmocka_unit_test(a_blocks_repairs_carry_its_id_and_follow_its_sources),
        cmocka_unit_test(repairs_are_rounded_up),
        cmocka_unit_test(impossible_blocks_are_refused),
        cmocka_unit_test(frames_that_do_not_fit_a_symbol_are_refused),
        cmocka_unit_test(after_a_reset_the_next_frame_opens_a_new_block),
        cmocka_unit_test(lost_frames_come_back_in_order_of_their_symbols),
        cmocka_unit_test(a_late_source_can_be_what_a_repair_waited_for),
        cmocka_unit_test(frames_not_taken_before_the_next_packet_are_gone),
        cmocka_unit_test(repeated_packets_do_not_count_twice),
        cmocka_unit_test(packets_of_a_complete_block_are_ignored_for_two_seconds),
        cmocka_unit_test(four_blocks_are_open_at_once_and_older_ones_are_over),
        cmocka_unit_test(ids_up_to_128_behind_are_late_and_beyond_are_ahead),
        cmocka_unit_test(blocks_go_on_across_the_wrap_of_their_ids),
        cmocka_unit_test(after_two_silent_seconds_a_sender_may_count_from_anywhere),
        cmocka_unit_test(a_block_not_heard_of_for_two_seconds_does_not_mix_with_its_successor),
        cmocka_unit_test(a_source_that_contradicts_a_known_one_opens_the_block_anew),
        cmocka_unit_test(a_reset_forgets_open_and_complete_blocks),
        cmocka_unit_test(odd_packets_are_counted_and_dropped),
        cmocka_unit_test(what_comes_out_of_a_wrong_symbol_is_no_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
