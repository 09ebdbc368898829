/* The relay's certificate: fully determined by its seed, byte for byte that of the reference relay, so that a
 * relay can be replaced without its TLS fingerprint changing. */
#include "wzp/core/identity.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "wzp/core/hex.h"

#define LABEL_TLS         "wzp-tls-ed25519"
#define CERT_NAME         "rcgen self signed cert"
#define CERT_HOST         "localhost"
#define CERT_NOT_BEFORE   "750101000000Z"   /* UTCTime: 1975 */
#define CERT_NOT_AFTER    "40960101000000Z" /* GeneralizedTime */
#define CERT_SERIAL_BYTES 20

static bool set_serial(X509 *cert, EVP_PKEY *key)
{
    uint8_t public_key[WZP_KEY_BYTES], hash[SHA256_DIGEST_LENGTH];
    size_t len = sizeof public_key;

    if (EVP_PKEY_get_raw_public_key(key, public_key, &len) != 1 || !SHA256(public_key, len, hash))
        return false;
    hash[0] &= 0x7f; /* keeps the DER integer positive within 20 bytes */
    BIGNUM *serial = BN_bin2bn(hash, CERT_SERIAL_BYTES, NULL);
    bool ok = serial && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));
    BN_free(serial);
    return ok;
}

static bool set_names(X509 *cert)
{
    X509_NAME *name = X509_NAME_new();
    bool ok = name &&
              X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, (const unsigned char *)CERT_NAME, -1,
                                         -1, 0) == 1 &&
              X509_set_issuer_name(cert, name) == 1 && X509_set_subject_name(cert, name) == 1;
    X509_NAME_free(name);
    return ok;
}

static bool add_host(X509 *cert)
{
    bool ok = false;
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *host = ASN1_IA5STRING_new();

    if (!names || !name || !host || ASN1_STRING_set(host, CERT_HOST, -1) != 1)
        goto out;
    GENERAL_NAME_set0_value(name, GEN_DNS, host);
    host = NULL;
    if (sk_GENERAL_NAME_push(names, name) <= 0)
        goto out;
    name = NULL;
    ok = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
out:
    ASN1_IA5STRING_free(host);
    GENERAL_NAME_free(name);
    GENERAL_NAMES_free(names);
    return ok;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *cert = X509_new();

    if (cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert, key) && set_names(cert) &&
        ASN1_TIME_set_string(X509_getm_notBefore(cert), CERT_NOT_BEFORE) == 1 &&
        ASN1_TIME_set_string(X509_getm_notAfter(cert), CERT_NOT_AFTER) == 1 && X509_set_pubkey(cert, key) == 1 &&
        add_host(cert) && X509_sign(cert, key, NULL) > 0)
        return cert;
    X509_free(cert);
    return NULL;
}

static EVP_PKEY *derive_key(const uint8_t seed[static WZP_SEED_BYTES])
{
    uint8_t secret[WZP_KEY_BYTES];
    EVP_PKEY *key = NULL;

    if (wzp_hkdf((struct wz_bytes){ 0 }, wz_bytes(seed, WZP_SEED_BYTES), wz_bytes_str(LABEL_TLS), secret,
                 sizeof secret) == 0)
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof secret);
    OPENSSL_cleanse(secret, sizeof secret);
    return key;
}

/** Move what an i2d function allocated (len <= 0: it failed) into a malloc'ed buffer; NULL on failure. */
static uint8_t *take_der(unsigned char *der, int len, size_t *ret_len)
{
    uint8_t *copy = len > 0 ? malloc((size_t)len) : NULL;

    if (copy) {
        memcpy(copy, der, (size_t)len);
        *ret_len = (size_t)len;
    }
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    return copy;
}

int wzp_relay_certificate(const uint8_t seed[static WZP_SEED_BYTES], uint8_t **ret_cert_der, size_t *ret_cert_len,
                          uint8_t **ret_key_der, size_t *ret_key_len)
{
    int err = -EIO;
    unsigned char *der = NULL;
    uint8_t *cert_der = NULL, *key_der = NULL;
    size_t cert_len = 0, key_len = 0;
    X509 *cert = NULL;
    PKCS8_PRIV_KEY_INFO *pkcs8 = NULL;
    EVP_PKEY *key = derive_key(seed);

    if (!key || !(cert = make_certificate(key)) || !(pkcs8 = EVP_PKEY2PKCS8(key)))
        goto out;
    err = -ENOMEM;
    int len = i2d_X509(cert, &der);
    if (!(cert_der = take_der(der, len, &cert_len)))
        goto out;
    der = NULL;
    len = i2d_PKCS8_PRIV_KEY_INFO(pkcs8, &der);
    if (!(key_der = take_der(der, len, &key_len)))
        goto out;
    *ret_cert_der = cert_der, *ret_cert_len = cert_len;
    *ret_key_der = key_der, *ret_key_len = key_len;
    cert_der = NULL;
    err = 0;
out:
    free(cert_der);
    PKCS8_PRIV_KEY_INFO_free(pkcs8);
    X509_free(cert);
    EVP_PKEY_free(key);
    return err;
}

void wzp_tls_fingerprint(struct wz_bytes cert_der, char ret[static 96])
{
    uint8_t hash[SHA256_DIGEST_LENGTH] = { 0 };
    char *out = ret;

    (void)SHA256(cert_der.data, cert_der.len, hash); /* fails only without the built-in digest */
    for (size_t i = 0; i < sizeof hash; i++) {
        if (i)
            *out++ = ':';
        out = wzp_hex_put(out, hash + i, 1);
    }
    *out = '\0';
}
