#include "wzp/core/handshake.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#define LABEL_CALL_OFFER  "call-offer"
#define LABEL_CALL_ANSWER "call-answer"
#define LABEL_REGISTER    "register-presence"
#define LABEL_SESSION_KEY "warzone-session-key"
#define LABEL_SAS         "warzone-sas-code"
#define SAS_MODULUS       10000u

/** A key or label, a fingerprint and a call id or a room's name; texts that do not fit are refused, never cut. */
#define SIGNED_MAX_BYTES 320

int wzp_handshake_init(struct wzp_handshake *hs, const struct wz_rng *rng)
{
    struct wzp_handshake fresh;
    size_t len = WZP_KEY_BYTES;

    wz_rng_fill(rng, fresh.ephemeral_secret, sizeof fresh.ephemeral_secret);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, fresh.ephemeral_secret, WZP_KEY_BYTES);
    int err = key && EVP_PKEY_get_raw_public_key(key, fresh.ephemeral_public, &len) == 1 ? 0 : -EIO;
    EVP_PKEY_free(key);
    if (!err)
        *hs = fresh;
    OPENSSL_cleanse(&fresh, sizeof fresh);
    return err;
}

void wzp_handshake_done(struct wzp_handshake *hs)
{
    OPENSSL_cleanse(hs, sizeof *hs);
}

/** The bytes that a signature covers: up to three parts back to back. */
struct signed_bytes {
    uint8_t data[SIGNED_MAX_BYTES];
    struct wz_writer out;
};

static struct wz_bytes join(struct signed_bytes *buf, struct wz_bytes a, struct wz_bytes b, struct wz_bytes c)
{
    buf->out = wz_writer(buf->data, sizeof buf->data);
    wz_put(&buf->out, a.data, a.len);
    wz_put(&buf->out, b.data, b.len);
    wz_put(&buf->out, c.data, c.len);
    return wz_bytes(buf->data, wz_writer_ok(&buf->out) ? wz_written(&buf->out) : 0);
}

static int sign_joined(const struct wzp_identity *id, struct wz_bytes a, struct wz_bytes b, struct wz_bytes c,
                       uint8_t ret[static WZP_SIGNATURE_BYTES])
{
    struct signed_bytes buf;
    struct wz_bytes message = join(&buf, a, b, c);
    return message.len ? wzp_identity_sign(id, message, ret) : -EINVAL;
}

static struct wz_bytes key_bytes(const uint8_t key[static WZP_KEY_BYTES])
{
    return wz_bytes(key, WZP_KEY_BYTES);
}

/** Our keys and the signature over ephemeral || label. */
static int fill_keys(const struct wzp_handshake *hs, const struct wzp_identity *id, const char *label,
                     struct wzp_signed_keys *ret)
{
    int err =
        sign_joined(id, key_bytes(hs->ephemeral_public), wz_bytes_str(label), (struct wz_bytes){ 0 }, ret->signature);
    if (err)
        return err;
    memcpy(ret->identity_pub, id->ed25519_public, WZP_KEY_BYTES);
    memcpy(ret->ephemeral_pub, hs->ephemeral_public, WZP_KEY_BYTES);
    ret->has_identity = ret->has_ephemeral = true;
    ret->signature_len = WZP_SIGNATURE_BYTES;
    return 0;
}

/** The signature must be the message's own key over parts. */
static int check_keys(const struct wzp_signed_keys *keys, struct wz_bytes a, struct wz_bytes b)
{
    struct signed_bytes buf;
    struct wz_bytes message = join(&buf, key_bytes(keys->ephemeral_pub), a, b);

    if (!keys->has_identity || !keys->has_ephemeral || keys->signature_len != WZP_SIGNATURE_BYTES || !message.len)
        return -EBADMSG;
    return wzp_verify(keys->identity_pub, message, keys->signature);
}

int wzp_handshake_offer(const struct wzp_handshake *hs, const struct wzp_identity *id, const char *alias,
                        struct wzp_signal *ret)
{
    const struct wzp_profile *const all[] = {
        &wzp_profile_studio_64k, &wzp_profile_studio_48k, &wzp_profile_studio_32k,
        &wzp_profile_good,       &wzp_profile_degraded,   &wzp_profile_catastrophic,
    };
    struct wzp_signal sig = { .kind = WZP_SIG_CALL_OFFER };

    int err = fill_keys(hs, id, LABEL_CALL_OFFER, &sig.call_offer.keys);
    if (!err)
        err = wzp_signal_set_text(&sig.call_offer.alias, alias);
    if (err)
        return err;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sig.call_offer.profile[sig.call_offer.profile_count++] = *all[i];
    *ret = sig;
    return 0;
}

int wzp_handshake_check_offer(const struct wzp_signal *offer)
{
    if (offer->kind != WZP_SIG_CALL_OFFER)
        return -EBADMSG;
    return check_keys(&offer->call_offer.keys, wz_bytes_str(LABEL_CALL_OFFER), (struct wz_bytes){ 0 });
}

int wzp_handshake_answer(const struct wzp_handshake *hs, const struct wzp_identity *relay, struct wzp_signal *ret)
{
    struct wzp_signal sig = { .kind = WZP_SIG_CALL_ANSWER };

    int err = fill_keys(hs, relay, LABEL_CALL_ANSWER, &sig.call_answer.keys);
    if (err)
        return err;
    sig.call_answer.chosen_profile = wzp_profile_good;
    *ret = sig;
    return 0;
}

int wzp_handshake_check_answer(const struct wzp_signal *answer)
{
    if (answer->kind != WZP_SIG_CALL_ANSWER)
        return -EBADMSG;
    return check_keys(&answer->call_answer.keys, wz_bytes_str(LABEL_CALL_ANSWER), (struct wz_bytes){ 0 });
}

int wzp_key_agree(const uint8_t secret[static WZP_KEY_BYTES], const uint8_t peer_public[static WZP_KEY_BYTES],
                  uint8_t ret[static WZP_KEY_BYTES])
{
    int err = -EIO;
    uint8_t shared[WZP_KEY_BYTES];
    size_t len = sizeof shared;
    EVP_PKEY_CTX *ctx = NULL;
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, WZP_KEY_BYTES);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer_public, WZP_KEY_BYTES);

    if (!own || !peer || !(ctx = EVP_PKEY_CTX_new(own, NULL)) || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer(ctx, peer) != 1)
        goto out;
    /* The library refuses an all-zero result: the peer sent a point of low order. */
    err = EVP_PKEY_derive(ctx, shared, &len) == 1 && len == sizeof shared ? 0 : -EBADMSG;
    if (!err)
        memcpy(ret, shared, sizeof shared);
out:
    OPENSSL_cleanse(shared, sizeof shared);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return err;
}

int wzp_session_id_of_key(const uint8_t session_key[static WZP_KEY_BYTES], uint8_t ret[static WZP_SESSION_ID_BYTES])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];

    if (!SHA256(session_key, WZP_KEY_BYTES, hash))
        return -EIO;
    memcpy(ret, hash, WZP_SESSION_ID_BYTES);
    return 0;
}

int wzp_handshake_keys(const struct wzp_handshake *hs, const uint8_t peer_public[static WZP_KEY_BYTES],
                       struct wzp_session_keys *ret)
{
    const struct wz_bytes none = { 0 };
    struct wzp_session_keys keys = { 0 };
    uint8_t shared[WZP_KEY_BYTES], sas[4];
    uint32_t number = 0;

    int err = wzp_key_agree(hs->ephemeral_secret, peer_public, shared);
    if (!err)
        err = wzp_hkdf(none, key_bytes(shared), wz_bytes_str(LABEL_SESSION_KEY), keys.session_key,
                       sizeof keys.session_key);
    if (!err)
        err = wzp_hkdf(none, key_bytes(shared), wz_bytes_str(LABEL_SAS), sas, sizeof sas);
    if (!err)
        err = wzp_session_id_of_key(keys.session_key, keys.session_id);
    if (!err) {
        struct wz_reader in = wz_reader(wz_bytes(sas, sizeof sas));
        (void)wz_get_u32be(&in, &number); /* four bytes are there */
        keys.sas = (uint16_t)(number % SAS_MODULUS);
        *ret = keys;
    }
    OPENSSL_cleanse(shared, sizeof shared);
    OPENSSL_cleanse(&keys, sizeof keys);
    return err;
}

int wzp_sign_register(const struct wzp_identity *id, uint8_t ret[static WZP_SIGNATURE_BYTES])
{
    return sign_joined(id, wz_bytes_str(LABEL_REGISTER), key_bytes(id->ed25519_public), (struct wz_bytes){ 0 }, ret);
}

int wzp_sign_direct_offer(const struct wzp_identity *id, const uint8_t ephemeral[static WZP_KEY_BYTES],
                          const char *target_fingerprint, const char *call_id, uint8_t ret[static WZP_SIGNATURE_BYTES])
{
    return sign_joined(id, key_bytes(ephemeral), wz_bytes_str(target_fingerprint), wz_bytes_str(call_id), ret);
}

int wzp_sign_direct_answer(const struct wzp_identity *id, const uint8_t ephemeral[static WZP_KEY_BYTES],
                           const char *caller_fingerprint, const char *call_id, uint8_t ret[static WZP_SIGNATURE_BYTES])
{
    return sign_joined(id, key_bytes(ephemeral), wz_bytes_str(caller_fingerprint), wz_bytes_str(call_id), ret);
}

int wzp_sign_direct_hello(const struct wzp_identity *id, const uint8_t exporter[static WZP_DIRECT_EXPORTER_BYTES],
                          const char *call_id, uint8_t ret[static WZP_SIGNATURE_BYTES])
{
    return sign_joined(id, wz_bytes(exporter, WZP_DIRECT_EXPORTER_BYTES), wz_bytes_str(call_id), (struct wz_bytes){ 0 },
                       ret);
}

int wzp_check_register(const struct wzp_signed_keys *keys)
{
    struct signed_bytes buf;
    struct wz_bytes message =
        join(&buf, wz_bytes_str(LABEL_REGISTER), key_bytes(keys->identity_pub), (struct wz_bytes){ 0 });

    if (!keys->has_identity || keys->signature_len != WZP_SIGNATURE_BYTES)
        return -EBADMSG;
    return wzp_verify(keys->identity_pub, message, keys->signature);
}

int wzp_check_direct(const struct wzp_signed_keys *keys, const char *peer_fingerprint, const char *call_id)
{
    return check_keys(keys, wz_bytes_str(peer_fingerprint), wz_bytes_str(call_id));
}

int wzp_check_direct_hello(const struct wzp_signed_keys *keys, const uint8_t exporter[static WZP_DIRECT_EXPORTER_BYTES],
                           const char *call_id)
{
    struct signed_bytes buf;
    struct wz_bytes message =
        join(&buf, wz_bytes(exporter, WZP_DIRECT_EXPORTER_BYTES), wz_bytes_str(call_id), (struct wz_bytes){ 0 });

    if (!message.len || !keys->has_identity || keys->signature_len != WZP_SIGNATURE_BYTES)
        return -EBADMSG;
    return wzp_verify(keys->identity_pub, message, keys->signature);
}
