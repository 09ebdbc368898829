#include "tests/vectors/vectors.h"

#include <openssl/sha.h>

#include "wzp/core/fec.h"
#include "wzp/core/gf256.h"
#include "wzp/core/raptorq.h"

/** What of a symbol is not zero in raptorq_blocks.json. */
#define SHORT_BYTES 8

/** The hex member, then zeros: a whole symbol. */
static void symbol_of(const json_t *repair, uint8_t ret[static WZP_FEC_SYMBOL_BYTES])
{
    struct vector_bytes prefix = vector_hex(repair, "data_prefix");

    assert_int_equal(vector_number(repair, "full_len"), WZP_FEC_SYMBOL_BYTES);
    memset(ret, 0, WZP_FEC_SYMBOL_BYTES);
    memcpy(ret, prefix.data, prefix.len);
}

static struct vector_bytes frame_of(const json_t *vector, size_t index)
{
    return vector_hex_text(json_string_value(json_array_get(vector_list(vector, "frames"), index)));
}

static void repair_symbols_are_those_of_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("fec_raptorq"), *vector, *repair;
    size_t index, number;

    json_array_foreach (vector_list(root, "cases"), index, vector) {
        unsigned k = vector_number(vector, "K");
        json_t *repairs = vector_list(vector, "repairs");
        unsigned count = (unsigned)json_array_size(repairs);
        struct wzp_fec_encoder *encoder;

        assert_int_equal(wzp_fec_encoder_new(&encoder, k, count * 1000 / k), 0);
        for (unsigned i = 0; i < k; i++) {
            struct vector_bytes frame = frame_of(vector, i);
            assert_int_equal(wzp_fec_encoder_add(encoder, vector_view(&frame)), i + 1 < k ? 0 : (int)count);
        }
        json_array_foreach (repairs, number, repair) {
            uint8_t expected[WZP_FEC_SYMBOL_BYTES], got[WZP_FEC_SYMBOL_BYTES], block, esi;
            symbol_of(repair, expected);
            wzp_fec_encoder_repair(encoder, (unsigned)number, got, &block, &esi);
            assert_int_equal(esi, vector_number(repair, "esi"));
            assert_memory_equal(got, expected, sizeof got);
        }
        wzp_fec_encoder_free(encoder);
    }
    json_decref(root);
}

/** Every single loss against every repair symbol of the vector. */
static void a_lost_frame_comes_back_from_any_repair_symbol_of_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("fec_raptorq"), *vector, *repair;
    size_t index, number;

    json_array_foreach (vector_list(root, "cases"), index, vector) {
        unsigned k = vector_number(vector, "K");
        struct wzp_fec_decoder *decoder;
        assert_int_equal(wzp_fec_decoder_new(&decoder, k), 0);
        for (unsigned lost = 0; lost < k; lost++) {
            json_array_foreach (vector_list(vector, "repairs"), number, repair) {
                uint8_t symbol[WZP_FEC_SYMBOL_BYTES];
                struct wzp_fec_frame frame;
                wzp_fec_decoder_reset(decoder);
                for (unsigned i = 0; i < k; i++) {
                    struct vector_bytes source = frame_of(vector, i);
                    if (i != lost)
                        assert_int_equal(wzp_fec_decoder_source(decoder, 9, (uint8_t)i, vector_view(&source), 0), 0);
                }
                symbol_of(repair, symbol);
                assert_int_equal(wzp_fec_decoder_repair(decoder, 9, (uint8_t)vector_number(repair, "esi"),
                                                        wz_bytes(symbol, sizeof symbol), 0),
                                 1);
                assert_true(wzp_fec_decoder_take(decoder, &frame));
                struct vector_bytes expected = frame_of(vector, lost);
                assert_int_equal(frame.block, 9);
                assert_int_equal(frame.symbol, lost);
                assert_int_equal(frame.len, expected.len);
                assert_memory_equal(frame.data, expected.data, expected.len);
                assert_false(wzp_fec_decoder_take(decoder, &frame));
            }
        }
        wzp_fec_decoder_free(decoder);
    }
    json_decref(root);
}

/** All repair symbols of the block, one behind the other. */
static size_t all_repairs(const struct wzp_raptorq *raptorq, json_t *sources, uint8_t *ret)
{
    size_t len = 0, index;
    json_t *source;

    for (unsigned id = raptorq->sources; id < WZP_RAPTORQ_SYMBOLS; id++, len += SHORT_BYTES) {
        memset(ret + len, 0, SHORT_BYTES);
        json_array_foreach (sources, index, source) {
            struct vector_bytes symbol = vector_hex_text(json_string_value(source));
            assert_int_equal(symbol.len, SHORT_BYTES);
            wzp_gf256_add_scaled(ret + len, symbol.data, raptorq->coefficient[id][index], SHORT_BYTES);
        }
    }
    return len;
}

static void every_block_size_gives_every_repair_symbol_of_the_library(void **state)
{
    (void)state;
    json_t *root = vector_load("raptorq_blocks"), *vector, *repair;
    size_t index, number;

    json_array_foreach (vector_list(root, "cases"), index, vector) {
        uint8_t repairs[WZP_RAPTORQ_SYMBOLS * SHORT_BYTES], hash[SHA256_DIGEST_LENGTH];
        struct wzp_raptorq raptorq;
        assert_int_equal(wzp_raptorq_init(&raptorq, vector_number(vector, "K")), 0);
        size_t len = all_repairs(&raptorq, vector_list(vector, "sources"), repairs);
        json_array_foreach (vector_list(vector, "first_repairs"), number, repair) {
            struct vector_bytes expected = vector_hex_text(json_string_value(repair));
            assert_memory_equal(repairs + number * SHORT_BYTES, expected.data, SHORT_BYTES);
        }
        assert_non_null(SHA256(repairs, len, hash));
        vector_expect_hex(vector, "all_repairs_sha256", hash, sizeof hash);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repair_symbols_are_those_of_the_vectors),
        cmocka_unit_test(every_block_size_gives_every_repair_symbol_of_the_library),
        cmocka_unit_test(a_lost_frame_comes_back_from_any_repair_symbol_of_the_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
