/* End-to-end protection of media payloads: ChaCha20-Poly1305 under a key agreed by wzp/core/handshake.h.
 *
 * The wire does not use it today: media is in the clear above QUIC, and every relay on the path can read it.
 * This is the derivation of the reference with its one flaw mended: there both directions share their nonces,
 * here the direction byte separates them. The initiator's packets are therefore those of the reference. Spec:
 * docs/wzp-wire.md "Media handshake". Thread: the owner's. Allocates in init only. */
#ifndef WZP_CORE_SESSION_H
#define WZP_CORE_SESSION_H

#include "wzp/core/handshake.h"

#define WZP_SESSION_TAG_BYTES   16
#define WZP_SESSION_NONCE_BYTES 12
/** Packets that one key may seal; then wzp_session_rekey() is due. */
#define WZP_SESSION_MAX_PACKETS 65536u
#define WZP_REPLAY_WINDOW       1024

/** Which sequence numbers have been seen, up to WZP_REPLAY_WINDOW behind the newest. Zero-initialised is
 * empty. */
struct wzp_replay {
    bool has_any;
    uint16_t newest;
    uint64_t seen[WZP_REPLAY_WINDOW / 64]; /**< bit seq % WZP_REPLAY_WINDOW */
};

/** True when seq was not seen yet and is not too old. Serial arithmetic: up to 0x7fff ahead is new. */
bool wzp_replay_is_fresh(const struct wzp_replay *replay, uint16_t seq);
/** Remember a fresh seq. */
void wzp_replay_mark(struct wzp_replay *replay, uint16_t seq);

/** The value is that of the direction byte in the nonces of the packets that this side sends. */
enum wzp_session_side {
    WZP_SESSION_INITIATOR = 0,
    WZP_SESSION_RESPONDER = 1,
};

struct wzp_session {
    enum wzp_session_side side;
    uint8_t key[WZP_KEY_BYTES];
    uint8_t id[WZP_SESSION_ID_BYTES];
    uint32_t sealed; /**< packets under this key, and so the next counter */
    struct wzp_replay replay;
    void *cipher; /**< EVP_CIPHER_CTX */
};

/** 0, -ENOMEM or -EIO. */
int wzp_session_init(struct wzp_session *session, const struct wzp_session_keys *keys, enum wzp_session_side side);
/** Wipe and free. */
void wzp_session_done(struct wzp_session *session);

/**
 * Seal one packet: ciphertext and tag into buf.
 * @param aad      What is sent in the clear beside it (the media header).
 * @param ret_seq  The counter that the receiver must be told.
 * @return length; -ENOSPC (buf too small); -EKEYEXPIRED (rekey first); -EIO.
 */
int wzp_session_seal(struct wzp_session *session, struct wz_bytes aad, struct wz_bytes plain, uint8_t *buf, size_t size,
                     uint16_t *ret_seq);
/**
 * Open a packet of the other side. Only a genuine packet moves the replay window.
 * @return length of the plain text in buf; -EBADMSG (forged, damaged, shorter than its tag); -EALREADY
 * (replayed or too old); -ENOSPC (buf too small); -EIO.
 */
int wzp_session_open(struct wzp_session *session, uint16_t seq, struct wz_bytes aad, struct wz_bytes sealed,
                     uint8_t *buf, size_t size);
/**
 * Change to a key derived from the old one and a new agreement; counters start again. Both sides must do it
 * between the same two packets of either direction. 0, -EBADMSG (low-order point), -EIO; unchanged on
 * failure.
 */
int wzp_session_rekey(struct wzp_session *session, const struct wzp_handshake *fresh,
                      const uint8_t peer_public[static WZP_KEY_BYTES]);

/** session id, counter big-endian, direction, three zeros. */
void wzp_session_nonce(const uint8_t id[static WZP_SESSION_ID_BYTES], uint32_t counter, enum wzp_session_side sender,
                       uint8_t ret[static WZP_SESSION_NONCE_BYTES]);

#endif
