#include "wzp/core/identity.h"

#include <ctype.h>
#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include "wzp/core/hex.h"

#define LABEL_ED25519 "warzone-ed25519"
#define LABEL_X25519  "warzone-x25519"

/** Fingerprints print as groups of four digits. */
#define FINGERPRINT_GROUP_BYTES 2

int wzp_hkdf(struct wz_bytes salt, struct wz_bytes ikm, struct wz_bytes info, uint8_t *ret, size_t ret_len)
{
    int err = -EIO;
    EVP_KDF_CTX *ctx = NULL;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    if (!kdf || !(ctx = EVP_KDF_CTX_new(kdf)))
        goto out;

    /* The parameter type has no const; HKDF only reads. */
    OSSL_PARAM param[5], *p = param;
    char digest[] = "SHA256";
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)ikm.data, ikm.len);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.data, info.len);
    if (salt.len)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.data, salt.len);
    *p = OSSL_PARAM_construct_end();
    if (EVP_KDF_derive(ctx, ret, ret_len, param) == 1)
        err = 0;
out:
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return err;
}

/** The public half of a raw private key of one of the two curves. */
static int public_of(int type, const uint8_t secret[static WZP_KEY_BYTES], uint8_t ret[static WZP_KEY_BYTES])
{
    size_t len = WZP_KEY_BYTES;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(type, NULL, secret, WZP_KEY_BYTES);
    int err = key && EVP_PKEY_get_raw_public_key(key, ret, &len) == 1 ? 0 : -EIO;
    EVP_PKEY_free(key);
    return err;
}

int wzp_identity_from_seed(const uint8_t seed[static WZP_SEED_BYTES], struct wzp_identity *ret)
{
    const struct wz_bytes none = { 0 }, ikm = wz_bytes(seed, WZP_SEED_BYTES);
    struct wzp_identity id = { 0 };

    memcpy(id.seed, seed, sizeof id.seed);
    int err = wzp_hkdf(none, ikm, wz_bytes_str(LABEL_ED25519), id.ed25519_secret, sizeof id.ed25519_secret);
    if (!err)
        err = wzp_hkdf(none, ikm, wz_bytes_str(LABEL_X25519), id.x25519_secret, sizeof id.x25519_secret);
    if (!err)
        err = public_of(EVP_PKEY_ED25519, id.ed25519_secret, id.ed25519_public);
    if (!err)
        err = public_of(EVP_PKEY_X25519, id.x25519_secret, id.x25519_public);
    if (!err)
        err = wzp_fingerprint_of_key(id.ed25519_public, id.fingerprint);
    if (!err)
        *ret = id;
    OPENSSL_cleanse(&id, sizeof id);
    return err;
}

void wzp_identity_done(struct wzp_identity *id)
{
    OPENSSL_cleanse(id, sizeof *id);
}

int wzp_seed_parse(const char *text, uint8_t ret[static WZP_SEED_BYTES])
{
    uint8_t seed[WZP_SEED_BYTES];
    int err = -EBADMSG;

    while (isspace((unsigned char)*text))
        text++;
    for (size_t i = 0; i < sizeof seed; i++, text += 2) {
        int high = wzp_hex_value(text[0]);
        int low = high < 0 ? -1 : wzp_hex_value(text[1]); /* text[0] may be the NUL */
        if (low < 0)
            goto out;
        seed[i] = (uint8_t)(high << 4 | low);
    }
    while (isspace((unsigned char)*text))
        text++;
    if (*text == '\0') {
        memcpy(ret, seed, sizeof seed);
        err = 0;
    }
out:
    OPENSSL_cleanse(seed, sizeof seed);
    return err;
}

void wzp_seed_format(const uint8_t seed[static WZP_SEED_BYTES], char ret[static 65])
{
    *wzp_hex_put(ret, seed, WZP_SEED_BYTES) = '\0';
}

static void format_fingerprint(const uint8_t raw[static WZP_FINGERPRINT_BYTES], char ret[static WZP_FINGERPRINT_TEXT])
{
    char *out = ret;
    for (size_t i = 0; i < WZP_FINGERPRINT_BYTES; i += FINGERPRINT_GROUP_BYTES) {
        if (i)
            *out++ = ':';
        out = wzp_hex_put(out, raw + i, FINGERPRINT_GROUP_BYTES);
    }
    *out = '\0';
}

int wzp_fingerprint_of_key(const uint8_t public_key[static WZP_KEY_BYTES], char ret[static WZP_FINGERPRINT_TEXT])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];

    if (!SHA256(public_key, WZP_KEY_BYTES, hash))
        return -EIO;
    format_fingerprint(hash, ret);
    return 0;
}

int wzp_fingerprint_normalise(const char *text, char ret[static WZP_FINGERPRINT_TEXT])
{
    uint8_t raw[WZP_FINGERPRINT_BYTES] = { 0 };
    size_t digits = 0;

    for (; *text; text++) {
        if (strchr(":-. \t", *text))
            continue;
        int value = wzp_hex_value(*text);
        if (value < 0 || digits == 2 * sizeof raw)
            return -EBADMSG;
        raw[digits / 2] = (uint8_t)(raw[digits / 2] << 4 | value);
        digits++;
    }
    if (digits != 2 * sizeof raw)
        return -EBADMSG;
    format_fingerprint(raw, ret);
    return 0;
}

int wzp_identity_sign(const struct wzp_identity *id, struct wz_bytes message, uint8_t ret[static WZP_SIGNATURE_BYTES])
{
    int err = -EIO;
    uint8_t signature[WZP_SIGNATURE_BYTES];
    size_t len = sizeof signature;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, id->ed25519_secret, WZP_KEY_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!key || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, &len, message.data, message.len) != 1 || len != sizeof signature)
        goto out;
    memcpy(ret, signature, sizeof signature);
    err = 0;
out:
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return err;
}

int wzp_verify(const uint8_t public_key[static WZP_KEY_BYTES], struct wz_bytes message,
               const uint8_t signature[static WZP_SIGNATURE_BYTES])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, WZP_KEY_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool fits = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, signature, WZP_SIGNATURE_BYTES, message.data, message.len) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return fits ? 0 : -EBADMSG;
}
