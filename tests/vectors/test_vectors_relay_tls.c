#include "tests/vectors/vectors.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "wzp/core/identity.h"

static void the_certificate_is_the_reference_relays_byte_for_byte(void **state)
{
    (void)state;
    json_t *root = vector_load("relay_tls"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "vectors"), index, vector)
    {
        uint8_t seed[WZP_SEED_BYTES], *cert, *key;
        size_t cert_len, key_len;
        char fingerprint[96];
        vector_hex_into(vector, "seed", seed, sizeof seed);
        assert_int_equal(wzp_relay_certificate(seed, &cert, &cert_len, &key, &key_len), 0);
        assert_int_equal(cert_len, vector_number(vector, "cert_len"));
        vector_expect_hex(vector, "cert_der", cert, cert_len);
        wzp_tls_fingerprint(wz_bytes(cert, cert_len), fingerprint);
        assert_string_equal(fingerprint, vector_text(vector, "tls_fingerprint"));
        free(cert);
        free(key);
    }
    json_decref(root);
}

static void the_private_key_is_the_certificates(void **state)
{
    (void)state;
    json_t *root = vector_load("relay_tls"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "vectors"), index, vector)
    {
        uint8_t seed[WZP_SEED_BYTES], raw[WZP_KEY_BYTES], *cert_der, *key_der;
        size_t cert_len, key_len, raw_len = sizeof raw;
        vector_hex_into(vector, "seed", seed, sizeof seed);
        assert_int_equal(wzp_relay_certificate(seed, &cert_der, &cert_len, &key_der, &key_len), 0);
        const unsigned char *pos = key_der;
        EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &pos, (long)key_len);
        assert_non_null(key);
        assert_int_equal(EVP_PKEY_get_raw_private_key(key, raw, &raw_len), 1);
        vector_expect_hex(vector, "tls_ed25519_secret", raw, raw_len);
        pos = cert_der;
        X509 *cert = d2i_X509(NULL, &pos, (long)cert_len);
        assert_non_null(cert);
        assert_int_equal(X509_check_private_key(cert, key), 1);
        assert_int_equal(X509_verify(cert, key), 1);
        X509_free(cert);
        EVP_PKEY_free(key);
        free(cert_der);
        free(key_der);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_certificate_is_the_reference_relays_byte_for_byte),
        cmocka_unit_test(the_private_key_is_the_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
