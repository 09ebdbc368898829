/* Media-connection handshake: CallOffer / CallAnswer signatures and the session key.
 * Spec: docs/wzp-wire.md "Media handshake". Thread: any. */
#ifndef WZP_CORE_HANDSHAKE_H
#define WZP_CORE_HANDSHAKE_H

#include "wzp/base/rng.h"
#include "wzp/core/identity.h"
#include "wzp/core/signal.h"

#define WZP_SESSION_ID_BYTES 4

/** TLS exporter of a direct connection, no context. */
#define WZP_DIRECT_EXPORTER_LABEL "EXPORTER-wzp-direct"
#define WZP_DIRECT_EXPORTER_BYTES 32

struct wzp_handshake {
    uint8_t ephemeral_secret[WZP_KEY_BYTES];
    uint8_t ephemeral_public[WZP_KEY_BYTES];
};

struct wzp_session_keys {
    uint8_t session_key[WZP_KEY_BYTES];
    uint8_t session_id[WZP_SESSION_ID_BYTES];
    uint16_t sas; /**< 0..9999 */
};

/** A fresh X25519 pair from rng. 0 or -EIO (crypto library). */
int wzp_handshake_init(struct wzp_handshake *hs, const struct wz_rng *rng);
/** Wipe the secret. */
void wzp_handshake_done(struct wzp_handshake *hs);

/** Client: fill a CallOffer (own keys, signature over ephemeral || "call-offer", all profiles). alias may be
 * NULL. */
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

/** X25519: 0, -EBADMSG (low-order point), -EIO. */
int wzp_key_agree(const uint8_t secret[static WZP_KEY_BYTES], const uint8_t peer_public[static WZP_KEY_BYTES],
                  uint8_t ret[static WZP_KEY_BYTES]);
/** SHA-256(session_key)[0..4]. 0 or -EIO. */
int wzp_session_id_of_key(const uint8_t session_key[static WZP_KEY_BYTES], uint8_t ret[static WZP_SESSION_ID_BYTES]);

/* Signatures on the signal connection. Signing: 0, -EINVAL (texts too long), -EIO. */
/** "register-presence" || identity_pub. */
int wzp_sign_register(const struct wzp_identity *id, uint8_t ret[static WZP_SIGNATURE_BYTES]);
/** ephemeral_pub || target fingerprint text || call_id. */
int wzp_sign_direct_offer(const struct wzp_identity *id, const uint8_t ephemeral[static WZP_KEY_BYTES],
                          const char *target_fingerprint, const char *call_id, uint8_t ret[static WZP_SIGNATURE_BYTES]);
/** ephemeral_pub || caller fingerprint text || call_id. */
int wzp_sign_direct_answer(const struct wzp_identity *id, const uint8_t ephemeral[static WZP_KEY_BYTES],
                           const char *caller_fingerprint, const char *call_id,
                           uint8_t ret[static WZP_SIGNATURE_BYTES]);

/** exporter || call_id: binds a direct connection's TLS session to an identity (spec 8.5). In a plain room the room name
 *  stands for the call_id. */
int wzp_sign_direct_hello(const struct wzp_identity *id, const uint8_t exporter[static WZP_DIRECT_EXPORTER_BYTES],
                          const char *call_id, uint8_t ret[static WZP_SIGNATURE_BYTES]);

/** A RegisterPresence that signed itself. 0 or -EBADMSG (also: unsigned). */
int wzp_check_register(const struct wzp_signed_keys *keys);
/** A direct offer (the peer is its target) or answer (the peer is the caller): 0 when its keys are all there
 * and signed, which marks our own kind; -EBADMSG otherwise. */
int wzp_check_direct(const struct wzp_signed_keys *keys, const char *peer_fingerprint, const char *call_id);
/** A DirectHello on the connection with this exporter value: 0 when its key signed it, -EBADMSG otherwise. Whose key it
 *  is, the caller compares. */
int wzp_check_direct_hello(const struct wzp_signed_keys *keys,
                           const uint8_t exporter[static WZP_DIRECT_EXPORTER_BYTES], const char *call_id);

#endif
