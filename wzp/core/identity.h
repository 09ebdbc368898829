/* A user is a key: seed -> Ed25519 and X25519 keys -> fingerprint. Spec: docs/wzp-wire.md "Identity".
 * Thread: any. OpenSSL stays inside the .c. */
#ifndef WZP_CORE_IDENTITY_H
#define WZP_CORE_IDENTITY_H

#include <stdbool.h>

#include "wzp/base/bytes.h"

#define WZP_SEED_BYTES        32
#define WZP_KEY_BYTES         32
#define WZP_SIGNATURE_BYTES   64
#define WZP_FINGERPRINT_BYTES 16
/** "xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx" and NUL. */
#define WZP_FINGERPRINT_TEXT 40

struct wzp_identity {
    uint8_t seed[WZP_SEED_BYTES];
    uint8_t ed25519_secret[WZP_KEY_BYTES];
    uint8_t ed25519_public[WZP_KEY_BYTES];
    uint8_t x25519_secret[WZP_KEY_BYTES];
    uint8_t x25519_public[WZP_KEY_BYTES];
    char fingerprint[WZP_FINGERPRINT_TEXT];
};

/** Derive everything from seed. 0 or -ENOMEM/-EIO from the crypto library. */
int wzp_identity_from_seed(const uint8_t seed[static WZP_SEED_BYTES], struct wzp_identity *ret);
/** Wipe the secrets. */
void wzp_identity_done(struct wzp_identity *id);

/** Seed text: 64 hex digits (surrounding white space ignored). 0 or -EBADMSG. */
int wzp_seed_parse(const char *text, uint8_t ret[static WZP_SEED_BYTES]);
void wzp_seed_format(const uint8_t seed[static WZP_SEED_BYTES], char ret[static 65]);

#define WZP_MNEMONIC_WORDS 24
/** Longest of 24 words with blanks between, and NUL. */
#define WZP_MNEMONIC_TEXT (WZP_MNEMONIC_WORDS * 9)
/** 24 English words of BIP 39 whose entropy is the seed. Any white space between, any case. 0 or -EBADMSG (a word that is
 *  none, not 24, checksum). *ret_bad_word: number 1..24 of the first unknown word, 0 for other faults; may be NULL. */
int wzp_mnemonic_parse(const char *text, uint8_t ret[static WZP_SEED_BYTES], unsigned *ret_bad_word);
/** Lower-case, one blank between. 0 or -EIO (crypto library). */
int wzp_mnemonic_format(const uint8_t seed[static WZP_SEED_BYTES], char ret[static WZP_MNEMONIC_TEXT]);

/** SHA-256(public key)[0..16] in the routing form: lower-case, colons. */
int wzp_fingerprint_of_key(const uint8_t public_key[static WZP_KEY_BYTES], char ret[static WZP_FINGERPRINT_TEXT]);
/** Accept 32 hex digits with or without ':' '-' '.' or blanks between, any case; print the routing form. 0 or -EBADMSG. */
int wzp_fingerprint_normalise(const char *text, char ret[static WZP_FINGERPRINT_TEXT]);

int wzp_identity_sign(const struct wzp_identity *id, struct wz_bytes message, uint8_t ret[static WZP_SIGNATURE_BYTES]);
/** 0 when the signature fits, -EBADMSG when not. */
int wzp_verify(const uint8_t public_key[static WZP_KEY_BYTES], struct wz_bytes message,
               const uint8_t signature[static WZP_SIGNATURE_BYTES]);

/** HKDF-SHA256 (RFC 5869); salt may be empty (32 zero bytes). 0 or -EIO. */
int wzp_hkdf(struct wz_bytes salt, struct wz_bytes ikm, struct wz_bytes info, uint8_t *ret, size_t ret_len);

/** A relay's deterministic self-signed certificate for seed (docs/wzp-wire.md "Relay certificate").
 * cert_der/key_der (PKCS#8) are malloc'ed and the caller's to free. 0 or -EIO/-ENOMEM. */
int wzp_relay_certificate(const uint8_t seed[static WZP_SEED_BYTES], uint8_t **ret_cert_der, size_t *ret_cert_len,
                          uint8_t **ret_key_der, size_t *ret_key_len);
/** SHA-256 of the DER as 32 lower-case hex pairs joined by ':' (95 characters and NUL). */
void wzp_tls_fingerprint(struct wz_bytes cert_der, char ret[static 96]);

#endif
