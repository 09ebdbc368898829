#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "wzp/core/identity.h"

#define HEX31 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e"

static void seed_text_takes_surrounding_blanks_and_either_case(void **state)
{
    (void)state;
    uint8_t seed[WZP_SEED_BYTES];
    assert_int_equal(wzp_seed_parse(" \t" HEX31 "1F\r\n", seed), 0);
    assert_int_equal(seed[0], 0);
    assert_int_equal(seed[31], 0x1f);
}

static void other_seed_texts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " ", HEX31, (HEX31 "1"), (HEX31 "1f0"), (HEX31 "1g"), (HEX31 " 1f"), (HEX31 "1f 0"), ("0x" HEX31),
    };
    uint8_t seed[WZP_SEED_BYTES] = { 42 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(wzp_seed_parse(bad[i], seed), -EBADMSG);
    assert_int_equal(seed[0], 42);
}

static void fingerprints_normalise_whatever_stands_between(void **state)
{
    (void)state;
    static const char want[] = "6871:1211:0e91:ecb3:09f6:6f51:d257:ccaa";
    static const char *const good[] = {
        want,
        "687112110E91ECB309F66F51D257CCAA",
        "6871-1211-0e91-ecb3-09f6-6f51-d257-ccaa",
        " 6871.1211 0e91:ecb3-09f6::6f51\td257ccaa ",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[WZP_FINGERPRINT_TEXT];
        assert_int_equal(wzp_fingerprint_normalise(good[i], text), 0);
        assert_string_equal(text, want);
    }
}

static void what_is_no_fingerprint_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       ":",
                                       "687112110e91ecb309f66f51d257cca",
                                       "687112110e91ecb309f66f51d257ccaaf",
                                       "687112110e91ecb309f66f51d257ccag",
                                       "687112110e91ecb309f66f51d257cca/" };
    char text[WZP_FINGERPRINT_TEXT] = "kept";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(wzp_fingerprint_normalise(bad[i], text), -EBADMSG);
    assert_string_equal(text, "kept");
}

/* RFC 5869, test cases 1 and 3 (with and without salt). */
static void hkdf_follows_rfc_5869(void **state)
{
    (void)state;
    static const uint8_t salt[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const uint8_t info[] = { 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9 };
    static const uint8_t want1[] = { 0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f,
                                     0x64, 0xd0, 0x36, 0x2f, 0x2a, 0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a,
                                     0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56, 0xec, 0xc4, 0xc5, 0xbf, 0x34,
                                     0x00, 0x72, 0x08, 0xd5, 0xb8, 0x87, 0x18, 0x58, 0x65 };
    static const uint8_t want3[] = { 0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80,
                                     0x2a, 0x06, 0x3c, 0x5a, 0x31, 0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1,
                                     0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f, 0x3c, 0x73, 0x8d, 0x2d, 0x9d,
                                     0x20, 0x13, 0x95, 0xfa, 0xa4, 0xb6, 0x1a, 0x96, 0xc8 };
    uint8_t ikm[22], out[42];
    memset(ikm, 0x0b, sizeof ikm);
    assert_int_equal(wzp_hkdf(wz_bytes(salt, sizeof salt), wz_bytes(ikm, sizeof ikm),
                              wz_bytes(info, sizeof info), out, sizeof out),
                     0);
    assert_memory_equal(out, want1, sizeof out);
    assert_int_equal(
        wzp_hkdf(wz_bytes(NULL, 0), wz_bytes(ikm, sizeof ikm), wz_bytes(NULL, 0), out, sizeof out), 0);
    assert_memory_equal(out, want3, sizeof out);
}

static struct wzp_identity identity_of(uint8_t seed_byte)
{
    uint8_t seed[WZP_SEED_BYTES];
    struct wzp_identity id;
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(wzp_identity_from_seed(seed, &id), 0);
    return id;
}

static void a_signature_fits_only_its_key_and_message(void **state)
{
    (void)state;
    struct wzp_identity alice = identity_of(1), bob = identity_of(2);
    const struct wz_bytes message = wz_bytes_str("hello"), other = wz_bytes_str("hellp");
    uint8_t signature[WZP_SIGNATURE_BYTES];

    assert_int_equal(wzp_identity_sign(&alice, message, signature), 0);
    assert_int_equal(wzp_verify(alice.ed25519_public, message, signature), 0);
    assert_int_equal(wzp_verify(alice.ed25519_public, other, signature), -EBADMSG);
    assert_int_equal(wzp_verify(bob.ed25519_public, message, signature), -EBADMSG);
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 0x10;
        assert_int_equal(wzp_verify(alice.ed25519_public, message, signature), -EBADMSG);
        signature[i] ^= 0x10;
    }
}

static void an_empty_message_can_be_signed(void **state)
{
    (void)state;
    struct wzp_identity alice = identity_of(1);
    uint8_t signature[WZP_SIGNATURE_BYTES];
    assert_int_equal(wzp_identity_sign(&alice, wz_bytes("", 0), signature), 0);
    assert_int_equal(wzp_verify(alice.ed25519_public, wz_bytes("", 0), signature), 0);
}

static void done_wipes_the_secrets(void **state)
{
    (void)state;
    struct wzp_identity alice = identity_of(1);
    static const struct wzp_identity zeros;
    wzp_identity_done(&alice);
    assert_memory_equal(&alice, &zeros, sizeof alice);
}

static void the_certificate_depends_on_the_seed_alone(void **state)
{
    (void)state;
    uint8_t seed[WZP_SEED_BYTES] = { 7 }, *cert[3], *key[3];
    size_t cert_len[3], key_len[3];
    for (size_t i = 0; i < 3; i++) {
        seed[0] = i < 2 ? 7 : 8;
        assert_int_equal(wzp_relay_certificate(seed, &cert[i], &cert_len[i], &key[i], &key_len[i]), 0);
    }
    assert_int_equal(cert_len[0], cert_len[1]);
    assert_memory_equal(cert[0], cert[1], cert_len[0]);
    assert_memory_not_equal(cert[0], cert[2], cert_len[2] < cert_len[0] ? cert_len[2] : cert_len[0]);
    for (size_t i = 0; i < 3; i++) {
        free(cert[i]);
        free(key[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_text_takes_surrounding_blanks_and_either_case),
        cmocka_unit_test(other_seed_texts_are_refused),
        cmocka_unit_test(fingerprints_normalise_whatever_stands_between),
        cmocka_unit_test(what_is_no_fingerprint_is_refused),
        cmocka_unit_test(hkdf_follows_rfc_5869),
        cmocka_unit_test(a_signature_fits_only_its_key_and_message),
        cmocka_unit_test(an_empty_message_can_be_signed),
        cmocka_unit_test(done_wipes_the_secrets),
        cmocka_unit_test(the_certificate_depends_on_the_seed_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
