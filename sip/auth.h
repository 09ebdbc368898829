/* Digest authentication, the server's side: MD5 and SHA-256 with qop=auth (RFC 7616, RFC 8760 for SIP).
 * Nonces are stateless: time, random bytes and a MAC; a bounded table of the nonces in use refuses a repeated nc.
 * An unknown user costs the same work and gets the same answer as a wrong password.
 * Pure: the time is passed in, randomness injected.  Thread: one per object. */
#ifndef SIP_AUTH_H
#define SIP_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/base/rng.h"

#define SIPUA_AUTH_HEADER_MAX    2048 /**< longest Authorization value looked at */
#define SIPUA_AUTH_FIELD_MAX     256  /**< longest parameter value kept, NUL included */
#define SIPUA_AUTH_PARAMS_MAX    24   /**< most parameters in one header */
#define SIPUA_AUTH_CHALLENGE_MAX 512
#define SIPUA_HA1_TEXT_MAX       65 /**< 64 hex digits and NUL */
#define SIPUA_AUTH_NONCE_LIFE_S  300

enum sipua_auth_algorithm {
    SIPUA_AUTH_MD5,
    SIPUA_AUTH_SHA256,
};

/** Which challenges a user gets. One is the default: some phones fail when there are two at all. */
enum sipua_auth_policy {
    SIPUA_POLICY_MD5,
    SIPUA_POLICY_SHA256,
    SIPUA_POLICY_BOTH, /**< SHA-256 first, as RFC 8760 wants; either is accepted */
};

/** What the directory knows of a user. HA1 = H(user ":" realm ":" password), lower-case hex; "" = not available. */
struct sipua_credentials {
    char ha1_md5[SIPUA_HA1_TEXT_MAX];
    char ha1_sha256[SIPUA_HA1_TEXT_MAX];
    enum sipua_auth_policy policy;
};

/** An Authorization or Proxy-Authorization header, taken apart. Missing text parameters are "". */
struct sipua_auth_header {
    char username[SIPUA_AUTH_FIELD_MAX];
    char realm[SIPUA_AUTH_FIELD_MAX];
    char nonce[SIPUA_AUTH_FIELD_MAX];
    char uri[SIPUA_AUTH_FIELD_MAX];
    char response[SIPUA_HA1_TEXT_MAX];
    char cnonce[SIPUA_AUTH_FIELD_MAX];
    char qop[16];
    char nc_text[9];
    uint32_t nc;
    enum sipua_auth_algorithm algorithm; /**< MD5 when absent */
};

/**
 * Parse one header value ("Digest username=..., ..."). Strict: duplicate parameters, bad quoting, control bytes,
 * over-long values, an unknown algorithm or a qop other than auth are refused.
 * @return 0, -EBADMSG, or -EPROTONOSUPPORT (not Digest, algorithm or qop unknown: answer with a challenge).
 */
int sipua_auth_parse(struct wz_bytes value, struct sipua_auth_header *ret);

enum sipua_auth_verdict {
    SIPUA_AUTH_OK,
    SIPUA_AUTH_DENIED, /**< wrong password, unknown user, algorithm not allowed: one and the same */
    SIPUA_AUTH_STALE,  /**< response right, but nonce too old, not ours, or nc repeated: challenge with stale=true */
};

struct sipua_auth;

/**
 * @param realm         Copied; printable, without quotes or backslash, under SIPUA_AUTH_FIELD_MAX bytes.
 * @param rng           Borrowed for the life of the object.
 * @param replay_slots  Nonces whose nc is remembered, a power of two; a forgotten one is answered as stale.
 * @return              0, -EINVAL or -ENOMEM.
 */
int sipua_auth_new(struct sipua_auth **ret, const char *realm, const struct wz_rng *rng, size_t replay_slots);
/** NULL-safe; wipes the key. */
void sipua_auth_free(struct sipua_auth *auth);

/** Write one challenge value ("Digest realm=..."), SIPUA_AUTH_CHALLENGE_MAX bytes. */
void sipua_auth_challenge(struct sipua_auth *auth, enum sipua_auth_algorithm algorithm, bool stale, uint64_t now_us,
                          char buf[static SIPUA_AUTH_CHALLENGE_MAX]);

/**
 * Check a response. The work is the same whether the user exists or not.
 * @param method       The request's method.
 * @param credentials  NULL for an unknown user.
 */
enum sipua_auth_verdict sipua_auth_check(struct sipua_auth *auth, const struct sipua_auth_header *header,
                                         const char *method, const struct sipua_credentials *credentials,
                                         uint64_t now_us);

/** H(user:realm:password) as lower-case hex. */
void sipua_auth_ha1(enum sipua_auth_algorithm algorithm, const char *user, const char *realm, const char *password,
                    char ret[static SIPUA_HA1_TEXT_MAX]);

/** The response value of a request (RFC 7616 3.4.1, qop=auth); exposed for test vectors and test clients. */
void sipua_auth_response(const struct sipua_auth_header *header, const char *method, const char *ha1,
                         char ret[static SIPUA_HA1_TEXT_MAX]);

#endif
