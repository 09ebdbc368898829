/* Media-connection handshake: CallOffer / CallAnswer signatures and the session key.
 * Spec: docs/wzp-wire.md "Media handshake". Thread: any. */
#ifndef WZP_CORE_HANDSHAKE_H
#define WZP_CORE_HANDSHAKE_H

#include "wzp/base/rng.h"
#include "wzp/core/identity.h"
#include "wzp/core/signal.h"

struct wzp_handshake {
    uint8_t ephemeral_secret[WZP_KEY_BYTES];
    uint8_t ephemeral_public[WZP_KEY_BYTES];
};

struct wzp_session_keys {
    uint8_t session_key[32];
    uint8_t session_id[4];
    uint16_t sas; /**< 0..9999 */
};

int wzp_handshake_init(struct wzp_handshake *hs, const struct wz_rng *rng);
void wzp_handshake_done(struct wzp_handshake *hs);

/** Client: fill a CallOffer (own keys, signature over ephemeral || "call-offer", all profiles). alias may be NULL. */
int wzp_handshake_offer(const struct wzp_handshake *hs, const struct wzp_identity *id, const char *alias,
                        struct wzp_signal *ret);
/** Relay: verify a CallOffer. 0 or -EBADMSG. */
int wzp_handshake_check_offer(const struct wzp_signal *offer);
/** Relay: fill the CallAnswer (signature over ephemeral || "call-answer", profile GOOD). */
int wzp_handshake_answer(const struct wzp_handshake *hs, const struct wzp_identity *relay, struct wzp_signal *ret);
/** Client: verify a CallAnswer against its own key. 0 or -EBADMSG. */
int wzp_handshake_check_answer(const struct wzp_signal *answer);

/** Both: derive the session from own secret and the peer's ephemeral key. 0 or -EBADMSG (low-order point). */
int wzp_handshake_keys(const struct wzp_handshake *hs, const uint8_t peer_public[static WZP_KEY_BYTES],
                       struct wzp_session_keys *ret);

/* Signatures on the signal connection. */
/** "register-presence" || identity_pub. */
int wzp_sign_register(const struct wzp_identity *id, uint8_t ret[static WZP_SIGNATURE_BYTES]);
/** ephemeral_pub || target fingerprint text || call_id. */
int wzp_sign_direct_offer(const struct wzp_identity *id, const uint8_t ephemeral[static WZP_KEY_BYTES],
                          const char *target_fingerprint, const char *call_id,
                          uint8_t ret[static WZP_SIGNATURE_BYTES]);
/** ephemeral_pub || caller fingerprint text || call_id. */
int wzp_sign_direct_answer(const struct wzp_identity *id, const uint8_t ephemeral[static WZP_KEY_BYTES],
                           const char *caller_fingerprint, const char *call_id,
                           uint8_t ret[static WZP_SIGNATURE_BYTES]);

#endif
