#include "tests/vectors/vectors.h"

#include "wzp/core/identity.h"
#include "wzp/core/mnemonic_words.h"

static void seeds_give_the_keys_and_fingerprints(void **state)
{
    (void)state;
    json_t *root = vector_load("identity"), *vector;
    size_t index;

    json_array_foreach (vector_list(root, "vectors"), index, vector) {
        struct wzp_identity id;
        uint8_t seed[WZP_SEED_BYTES];
        vector_hex_into(vector, "seed", seed, sizeof seed);
        assert_int_equal(wzp_identity_from_seed(seed, &id), 0);
        vector_expect_hex(vector, "ed25519_secret", id.ed25519_secret, sizeof id.ed25519_secret);
        vector_expect_hex(vector, "ed25519_pub", id.ed25519_public, sizeof id.ed25519_public);
        vector_expect_hex(vector, "x25519_secret_unclamped", id.x25519_secret, sizeof id.x25519_secret);
        vector_expect_hex(vector, "x25519_pub", id.x25519_public, sizeof id.x25519_public);
        assert_string_equal(id.fingerprint, vector_text(vector, "fingerprint"));
        wzp_identity_done(&id);
    }
    json_decref(root);
}

static void seed_text_goes_both_ways(void **state)
{
    (void)state;
    json_t *root = vector_load("identity"), *vector;
    size_t index;

    json_array_foreach (vector_list(root, "vectors"), index, vector) {
        uint8_t seed[WZP_SEED_BYTES];
        char text[65];
        assert_int_equal(wzp_seed_parse(vector_text(vector, "seed"), seed), 0);
        vector_expect_hex(vector, "seed", seed, sizeof seed);
        wzp_seed_format(seed, text);
        assert_string_equal(text, vector_text(vector, "seed"));
    }
    json_decref(root);
}

static void raw_fingerprints_print_in_the_routing_form(void **state)
{
    (void)state;
    json_t *root = vector_load("identity"), *vector;
    size_t index;

    json_array_foreach (vector_list(root, "vectors"), index, vector) {
        char text[WZP_FINGERPRINT_TEXT];
        assert_int_equal(wzp_fingerprint_normalise(vector_text(vector, "fingerprint_raw"), text), 0);
        assert_string_equal(text, vector_text(vector, "fingerprint"));
    }
    json_decref(root);
}

/** The words whose indexes the vector lists, one blank between. */
static void words_of(const json_t *vector, char ret[static WZP_MNEMONIC_TEXT])
{
    json_t *list = vector_list(vector, "bip39_word_indexes_0based"), *number;
    size_t index, len = 0;

    assert_int_equal(json_array_size(list), WZP_MNEMONIC_WORDS);
    json_array_foreach (list, index, number) {
        json_int_t value = json_integer_value(number);
        assert_in_range(value, 0, WZP_MNEMONIC_LIST_WORDS - 1);
        len +=
            (size_t)snprintf(ret + len, WZP_MNEMONIC_TEXT - len, "%s%s", index ? " " : "", wzp_mnemonic_words[value]);
    }
}

static void twenty_four_words_go_both_ways(void **state)
{
    (void)state;
    json_t *root = vector_load("identity"), *vector;
    size_t index;

    json_array_foreach (vector_list(root, "vectors"), index, vector) {
        uint8_t expected[WZP_SEED_BYTES], seed[WZP_SEED_BYTES];
        char expected_text[WZP_MNEMONIC_TEXT], text[WZP_MNEMONIC_TEXT];
        words_of(vector, expected_text);
        vector_hex_into(vector, "seed", expected, sizeof expected);
        assert_int_equal(wzp_mnemonic_format(expected, text), 0);
        assert_string_equal(text, expected_text);
        assert_int_equal(wzp_mnemonic_parse(expected_text, seed, NULL), 0);
        assert_memory_equal(seed, expected, sizeof seed);
    }
    json_decref(root);
}

static void the_zero_key_of_nat_probes_has_its_known_fingerprint(void **state)
{
    (void)state;
    json_t *root = vector_load("identity");
    const json_t *vector = vector_member(root, "zero_key");
    uint8_t key[WZP_KEY_BYTES];
    char text[WZP_FINGERPRINT_TEXT];

    vector_hex_into(vector, "pub", key, sizeof key);
    assert_int_equal(wzp_fingerprint_of_key(key, text), 0);
    assert_string_equal(text, vector_text(vector, "fingerprint"));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_give_the_keys_and_fingerprints),
        cmocka_unit_test(seed_text_goes_both_ways),
        cmocka_unit_test(raw_fingerprints_print_in_the_routing_form),
        cmocka_unit_test(twenty_four_words_go_both_ways),
        cmocka_unit_test(the_zero_key_of_nat_probes_has_its_known_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
