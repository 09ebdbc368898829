#include "tests/vectors/vectors.h"

#include "wzp/core/fec.h"

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
    json_t *one = json_pack("{s:O}", "frame", json_array_get(vector_list(vector, "frames"), index));
    assert_non_null(one);
    struct vector_bytes frame = vector_hex(one, "frame");
    json_decref(one);
    return frame;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repair_symbols_are_those_of_the_vectors),
        cmocka_unit_test(a_lost_frame_comes_back_from_any_repair_symbol_of_the_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
