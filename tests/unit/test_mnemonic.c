#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "wzp/core/hex.h"
#include "wzp/core/identity.h"
#include "wzp/core/mnemonic_words.h"

/** The words of 32 zero bytes; the checksum is in the last. */
#define ELEVEN "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "
#define ZEROS  ELEVEN ELEVEN "abandon art"

static void expect_refused(const char *text, unsigned bad_word)
{
    uint8_t seed[WZP_SEED_BYTES] = { 7 };
    unsigned got = 99;

    assert_int_equal(wzp_mnemonic_parse(text, seed, &got), -EBADMSG);
    assert_int_equal(got, bad_word);
    assert_int_equal(seed[0], 7);
    assert_int_equal(wzp_mnemonic_parse(text, seed, NULL), -EBADMSG);
}

static void expect_zero_seed(const char *text)
{
    static const uint8_t zeros[WZP_SEED_BYTES];
    uint8_t seed[WZP_SEED_BYTES] = { 7 };

    assert_int_equal(wzp_mnemonic_parse(text, seed, NULL), 0);
    assert_memory_equal(seed, zeros, sizeof seed);
}

static void the_word_list_is_the_published_one(void **state)
{
    (void)state;
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned hash_len = 0;
    char text[2 * EVP_MAX_MD_SIZE + 1];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_non_null(ctx);
    assert_int_equal(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < WZP_MNEMONIC_LIST_WORDS; i++) {
        assert_int_equal(EVP_DigestUpdate(ctx, wzp_mnemonic_words[i], strlen(wzp_mnemonic_words[i])), 1);
        assert_int_equal(EVP_DigestUpdate(ctx, "\n", 1), 1);
    }
    assert_int_equal(EVP_DigestFinal_ex(ctx, hash, &hash_len), 1);
    EVP_MD_CTX_free(ctx);
    *wzp_hex_put(text, hash, hash_len) = '\0';
    assert_string_equal(text, "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
}

static void every_word_is_found(void **state)
{
    (void)state;
    /* A word in the last place but one changes nothing but what the checksum says: known words never count as bad. */
    for (size_t i = 0; i < WZP_MNEMONIC_LIST_WORDS; i++) {
        char text[WZP_MNEMONIC_TEXT];
        uint8_t seed[WZP_SEED_BYTES];
        unsigned bad_word = 0;
        (void)snprintf(text, sizeof text, ELEVEN ELEVEN "%.8s art", wzp_mnemonic_words[i]);
        int err = wzp_mnemonic_parse(text, seed, &bad_word);
        assert_true(err == 0 || err == -EBADMSG);
        assert_int_equal(bad_word, 0);
        if (!err) {
            char again[WZP_MNEMONIC_TEXT];
            assert_int_equal(wzp_mnemonic_format(seed, again), 0);
            assert_string_equal(again, text);
        }
    }
}

static void words_take_any_blanks_and_either_case(void **state)
{
    (void)state;
    expect_zero_seed(ZEROS);
    expect_zero_seed("  \t" ELEVEN "\r\n" ELEVEN "\n abandon \v\f art\n");
    char text[] = ZEROS;
    for (char *c = text; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    expect_zero_seed(text);
}

static void the_number_of_the_first_unknown_word_is_said(void **state)
{
    (void)state;
    expect_refused("abandonn " ELEVEN ELEVEN "art", 1);
    expect_refused(ELEVEN "aban " ELEVEN "art", 12); /* no prefixes */
    expect_refused(ELEVEN ELEVEN "abandon a", 24);
    expect_refused(ELEVEN ELEVEN "zzz zzz", 23);
    expect_refused(ELEVEN ELEVEN "abandon aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 24);
    expect_refused(ELEVEN ELEVEN "abandon \xc3\xa4rt", 24);
}

static void any_number_but_twenty_four_is_refused(void **state)
{
    (void)state;
    expect_refused("", 0);
    expect_refused(" \n", 0);
    expect_refused(ELEVEN ELEVEN "art", 0);
    expect_refused(ZEROS " abandon", 0);
    expect_refused(ZEROS " no-word", 0);
}

static void a_wrong_checksum_is_refused(void **state)
{
    (void)state;
    expect_refused(ELEVEN ELEVEN "abandon abandon", 0);
    expect_refused(ELEVEN ELEVEN "ability art", 0);
}

static void seeds_of_any_byte_come_back_from_their_words(void **state)
{
    (void)state;
    uint8_t seed[WZP_SEED_BYTES];
    char text[WZP_MNEMONIC_TEXT];

    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t again[WZP_SEED_BYTES];
        memset(seed, (int)byte, sizeof seed);
        assert_int_equal(wzp_mnemonic_format(seed, text), 0);
        assert_true(strlen(text) < sizeof text);
        assert_int_equal(wzp_mnemonic_parse(text, again, NULL), 0);
        assert_memory_equal(again, seed, sizeof seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_word_list_is_the_published_one),
        cmocka_unit_test(every_word_is_found),
        cmocka_unit_test(words_take_any_blanks_and_either_case),
        cmocka_unit_test(the_number_of_the_first_unknown_word_is_said),
        cmocka_unit_test(any_number_but_twenty_four_is_refused),
        cmocka_unit_test(a_wrong_checksum_is_refused),
        cmocka_unit_test(seeds_of_any_byte_come_back_from_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
