/* Digest server: nonces, replay table, response check. See auth.h. */
#include "sip/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define NONCE_KEY_BYTES 32
#define NONCE_MAC_BYTES 16
/* time, random id, MAC */
#define NONCE_BYTES      (8 + 8 + NONCE_MAC_BYTES)
#define NONCE_TEXT_MAX   (2 * NONCE_BYTES + 1)
#define DIGEST_PARTS_MAX 6

struct nonce {
    uint64_t issued_us;
    uint64_t id;
};

/* One remembered nonce. When another takes the slot, forgotten_us keeps a later replay of the first one out. */
struct replay_slot {
    uint64_t id;
    uint64_t issued_us;
    uint64_t forgotten_us; /**< nonces issued up to here, and not in this slot, may have been used before */
    uint32_t nc;           /**< 0: free */
};

struct sipua_auth {
    const struct wz_rng *rng;
    uint8_t key[NONCE_KEY_BYTES];
    char realm[SIPUA_AUTH_FIELD_MAX];
    char dummy_md5[SIPUA_HA1_TEXT_MAX]; /**< stands in for an unknown user's HA1 */
    char dummy_sha256[SIPUA_HA1_TEXT_MAX];
    struct replay_slot *slot;
    size_t slot_mask;
};

static void hex(const uint8_t *data, size_t len, char *out)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digit[data[i] >> 4];
        out[2 * i + 1] = digit[data[i] & 15];
    }
    out[2 * len] = '\0';
}

/* H(part[0] ":" part[1] ...), lower-case hex. */
static void digest(enum sipua_auth_algorithm algorithm, const char *const part[], size_t count,
                   char ret[static SIPUA_HA1_TEXT_MAX])
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestInit_ex(ctx, algorithm == SIPUA_AUTH_SHA256 ? EVP_sha256() : EVP_md5(), NULL) != 1)
        goto out;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && EVP_DigestUpdate(ctx, ":", 1) != 1)
            goto out;
        if (EVP_DigestUpdate(ctx, part[i], strlen(part[i])) != 1)
            goto out;
    }
    if (EVP_DigestFinal_ex(ctx, md, &len) != 1 || len > (SIPUA_HA1_TEXT_MAX - 1) / 2)
        len = 0;
out:
    /* Without a digest (no memory, MD5 forbidden by policy) the text is empty and can match no response. */
    hex(md, len, ret);
    EVP_MD_CTX_free(ctx);
}

void sipua_auth_ha1(enum sipua_auth_algorithm algorithm, const char *user, const char *realm, const char *password,
                    char ret[static SIPUA_HA1_TEXT_MAX])
{
    const char *const part[] = { user, realm, password };
    digest(algorithm, part, 3, ret);
}

void sipua_auth_response(const struct sipua_auth_header *header, const char *method, const char *ha1,
                         char ret[static SIPUA_HA1_TEXT_MAX])
{
    char ha2[SIPUA_HA1_TEXT_MAX];
    const char *const request[] = { method, header->uri };
    digest(header->algorithm, request, 2, ha2);
    const char *const all[DIGEST_PARTS_MAX] = { ha1, header->nonce, header->nc_text, header->cnonce, header->qop, ha2 };
    digest(header->algorithm, all, DIGEST_PARTS_MAX, ret);
}

static bool realm_is_printable(const char *realm)
{
    for (const char *c = realm; *c; c++)
        if (*c < 0x20 || *c == 0x7f || *c == '"' || *c == '\\')
            return false;
    return *realm && strlen(realm) < SIPUA_AUTH_FIELD_MAX;
}

int sipua_auth_new(struct sipua_auth **ret, const char *realm, const struct wz_rng *rng, size_t replay_slots)
{
    if (!realm_is_printable(realm) || replay_slots == 0 || (replay_slots & (replay_slots - 1)) != 0)
        return -EINVAL;
    struct sipua_auth *auth = calloc(1, sizeof *auth);
    if (!auth || !(auth->slot = calloc(replay_slots, sizeof *auth->slot))) {
        free(auth);
        return -ENOMEM;
    }
    auth->rng = rng;
    auth->slot_mask = replay_slots - 1;
    memcpy(auth->realm, realm, strlen(realm) + 1);
    wz_rng_fill(rng, auth->key, sizeof auth->key);
    uint8_t dummy[32];
    wz_rng_fill(rng, dummy, sizeof dummy);
    hex(dummy, 16, auth->dummy_md5);
    hex(dummy, 32, auth->dummy_sha256);
    *ret = auth;
    return 0;
}

void sipua_auth_free(struct sipua_auth *auth)
{
    if (!auth)
        return;
    OPENSSL_cleanse(auth->key, sizeof auth->key);
    free(auth->slot);
    free(auth);
}

/* The text of a nonce: the MAC makes sure that only we could have written it. */
static void nonce_print(const struct sipua_auth *auth, const struct nonce *nonce, char text[static NONCE_TEXT_MAX])
{
    uint8_t raw[NONCE_BYTES], mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    struct wz_writer out = wz_writer(raw, sizeof raw);
    wz_put_u32be(&out, (uint32_t)(nonce->issued_us >> 32));
    wz_put_u32be(&out, (uint32_t)nonce->issued_us);
    wz_put_u32be(&out, (uint32_t)(nonce->id >> 32));
    wz_put_u32be(&out, (uint32_t)nonce->id);
    memset(mac, 0, sizeof mac);
    (void)HMAC(EVP_sha256(), auth->key, (int)sizeof auth->key, raw, wz_written(&out), mac, &mac_len);
    wz_put(&out, mac, NONCE_MAC_BYTES);
    hex(raw, sizeof raw, text);
}

static bool hex_u64(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        const char c = text[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret = value;
    return true;
}

/* False when the nonce is not one of ours. */
static bool nonce_parse(const struct sipua_auth *auth, const char *text, struct nonce *ret)
{
    struct nonce nonce;
    char again[NONCE_TEXT_MAX];
    if (strlen(text) != NONCE_TEXT_MAX - 1 || !hex_u64(text, &nonce.issued_us) || !hex_u64(text + 16, &nonce.id))
        return false;
    nonce_print(auth, &nonce, again);
    if (CRYPTO_memcmp(again, text, NONCE_TEXT_MAX - 1) != 0)
        return false;
    *ret = nonce;
    return true;
}

void sipua_auth_challenge(struct sipua_auth *auth, enum sipua_auth_algorithm algorithm, bool stale, uint64_t now_us,
                          char buf[static SIPUA_AUTH_CHALLENGE_MAX])
{
    struct nonce nonce = { .issued_us = now_us };
    char text[NONCE_TEXT_MAX];
    wz_rng_fill(auth->rng, &nonce.id, sizeof nonce.id);
    nonce_print(auth, &nonce, text);
    snprintf(buf, SIPUA_AUTH_CHALLENGE_MAX, "Digest realm=\"%s\", nonce=\"%s\", algorithm=%s, qop=\"auth\"%s",
             auth->realm, text, algorithm == SIPUA_AUTH_SHA256 ? "SHA-256" : "MD5", stale ? ", stale=true" : "");
}

/* Remember that nc was used with this nonce; false when it may have been used before. */
static bool replay_accept(struct sipua_auth *auth, const struct nonce *nonce, uint32_t nc)
{
    struct replay_slot *slot = &auth->slot[nonce->id & auth->slot_mask];
    if (nc == 0)
        return false;
    if (slot->nc == 0 || slot->id != nonce->id) {
        if (nonce->issued_us <= slot->forgotten_us)
            return false;
        if (slot->nc != 0 && slot->issued_us > slot->forgotten_us)
            slot->forgotten_us = slot->issued_us;
        slot->id = nonce->id;
        slot->issued_us = nonce->issued_us;
    } else if (nc <= slot->nc) {
        return false;
    }
    slot->nc = nc;
    return true;
}

static bool algorithm_is_allowed(enum sipua_auth_policy policy, enum sipua_auth_algorithm algorithm)
{
    switch (policy) {
    case SIPUA_POLICY_MD5:
        return algorithm == SIPUA_AUTH_MD5;
    case SIPUA_POLICY_SHA256:
        return algorithm == SIPUA_AUTH_SHA256;
    case SIPUA_POLICY_BOTH:
        return true;
    }
    return false;
}

enum sipua_auth_verdict sipua_auth_check(struct sipua_auth *auth, const struct sipua_auth_header *header,
                                         const char *method, const struct sipua_credentials *credentials,
                                         uint64_t now_us)
{
    const bool sha256 = header->algorithm == SIPUA_AUTH_SHA256;
    const size_t len = sha256 ? 64 : 32;
    const char *ha1 = sha256 ? auth->dummy_sha256 : auth->dummy_md5;
    bool possible = strcmp(header->realm, auth->realm) == 0;
    if (credentials && algorithm_is_allowed(credentials->policy, header->algorithm) &&
        strlen(sha256 ? credentials->ha1_sha256 : credentials->ha1_md5) == len)
        ha1 = sha256 ? credentials->ha1_sha256 : credentials->ha1_md5;
    else
        possible = false;

    char expected[SIPUA_HA1_TEXT_MAX];
    struct nonce nonce = { 0 };
    sipua_auth_response(header, method, ha1, expected);
    const bool ours = nonce_parse(auth, header->nonce, &nonce);
    const bool same = strlen(expected) == len && strlen(header->response) == len &&
                      CRYPTO_memcmp(expected, header->response, len) == 0;
    OPENSSL_cleanse(expected, sizeof expected);
    if (!possible || !same)
        return SIPUA_AUTH_DENIED;
    /* From here on the password is proven, at some time; only a fresh nonce tells that it is now. */
    if (!ours || now_us < nonce.issued_us || now_us - nonce.issued_us > SIPUA_AUTH_NONCE_LIFE_S * UINT64_C(1000000))
        return SIPUA_AUTH_STALE;
    return replay_accept(auth, &nonce, header->nc) ? SIPUA_AUTH_OK : SIPUA_AUTH_STALE;
}
