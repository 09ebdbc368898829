#include "wzp/core/session.h"

#include <errno.h>
#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define LABEL_REKEY "warzone-rekey"

/** How far ahead a sequence number may be; half the circle and more is behind. */
#define SEQ_AHEAD_MAX 0x7fff

static uint64_t replay_bit(uint16_t seq)
{
    return (uint64_t)1 << seq % 64;
}

static size_t replay_word(uint16_t seq)
{
    return seq % WZP_REPLAY_WINDOW / 64;
}

bool wzp_replay_is_fresh(const struct wzp_replay *replay, uint16_t seq)
{
    uint16_t ahead = (uint16_t)(seq - replay->newest), behind = (uint16_t)(replay->newest - seq);

    if (!replay->has_any || (ahead > 0 && ahead <= SEQ_AHEAD_MAX))
        return true;
    return behind < WZP_REPLAY_WINDOW && !(replay->seen[replay_word(seq)] & replay_bit(seq));
}

void wzp_replay_mark(struct wzp_replay *replay, uint16_t seq)
{
    uint16_t ahead = (uint16_t)(seq - replay->newest);

    if (!replay->has_any || (ahead >= WZP_REPLAY_WINDOW && ahead <= SEQ_AHEAD_MAX)) {
        memset(replay->seen, 0, sizeof replay->seen);
        replay->has_any = true;
        replay->newest = seq;
    } else if (ahead <= SEQ_AHEAD_MAX) {
        while (replay->newest != seq) {
            replay->newest++;
            replay->seen[replay_word(replay->newest)] &= ~replay_bit(replay->newest);
        }
    }
    replay->seen[replay_word(seq)] |= replay_bit(seq);
}

int wzp_session_init(struct wzp_session *session, const struct wzp_session_keys *keys, enum wzp_session_side side)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (!cipher)
        return -ENOMEM;
    if (EVP_CipherInit_ex(cipher, EVP_chacha20_poly1305(), NULL, NULL, NULL, 1) != 1) {
        EVP_CIPHER_CTX_free(cipher);
        return -EIO;
    }
    *session = (struct wzp_session){ .side = side, .cipher = cipher };
    memcpy(session->key, keys->session_key, sizeof session->key);
    memcpy(session->id, keys->session_id, sizeof session->id);
    return 0;
}

void wzp_session_done(struct wzp_session *session)
{
    EVP_CIPHER_CTX_free(session->cipher);
    OPENSSL_cleanse(session, sizeof *session);
}

void wzp_session_nonce(const uint8_t id[static WZP_SESSION_ID_BYTES], uint32_t counter, enum wzp_session_side sender,
                       uint8_t ret[static WZP_SESSION_NONCE_BYTES])
{
    struct wz_writer out = wz_writer(ret, WZP_SESSION_NONCE_BYTES);

    memset(ret, 0, WZP_SESSION_NONCE_BYTES);
    wz_put(&out, id, WZP_SESSION_ID_BYTES);
    wz_put_u32be(&out, counter);
    wz_put_u8(&out, (uint8_t)sender);
}

/** Key, nonce and associated data for one packet; encrypt says which way. */
static bool begin(struct wzp_session *session, uint32_t counter, enum wzp_session_side sender, struct wz_bytes aad,
                  bool encrypt)
{
    uint8_t nonce[WZP_SESSION_NONCE_BYTES];
    int len;

    wzp_session_nonce(session->id, counter, sender, nonce);
    return aad.len <= INT_MAX && EVP_CipherInit_ex(session->cipher, NULL, NULL, session->key, nonce, encrypt) == 1 &&
           EVP_CipherUpdate(session->cipher, NULL, &len, aad.data, (int)aad.len) == 1;
}

int wzp_session_seal(struct wzp_session *session, struct wz_bytes aad, struct wz_bytes plain, uint8_t *buf, size_t size,
                     uint16_t *ret_seq)
{
    int len = 0, rest = 0;

    if (session->sealed >= WZP_SESSION_MAX_PACKETS)
        return -EKEYEXPIRED;
    if (size < WZP_SESSION_TAG_BYTES || size - WZP_SESSION_TAG_BYTES < plain.len ||
        plain.len > INT_MAX - WZP_SESSION_TAG_BYTES)
        return -ENOSPC;
    if (!begin(session, session->sealed, session->side, aad, true) ||
        EVP_CipherUpdate(session->cipher, buf, &len, plain.data, (int)plain.len) != 1 ||
        EVP_CipherFinal_ex(session->cipher, buf + len, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(session->cipher, EVP_CTRL_AEAD_GET_TAG, WZP_SESSION_TAG_BYTES, buf + plain.len) != 1)
        return -EIO;
    *ret_seq = (uint16_t)session->sealed++;
    return (int)plain.len + WZP_SESSION_TAG_BYTES;
}

int wzp_session_open(struct wzp_session *session, uint16_t seq, struct wz_bytes aad, struct wz_bytes sealed,
                     uint8_t *buf, size_t size)
{
    enum wzp_session_side peer = session->side == WZP_SESSION_INITIATOR ? WZP_SESSION_RESPONDER : WZP_SESSION_INITIATOR;
    struct wz_reader in = wz_reader(sealed);
    struct wz_bytes text;
    uint8_t tag[WZP_SESSION_TAG_BYTES];
    int len = 0, rest = 0;

    if (sealed.len < sizeof tag || sealed.len > INT_MAX)
        return -EBADMSG;
    (void)wz_get_slice(&in, sealed.len - sizeof tag, &text); /* what is left is the tag */
    memcpy(tag, in.pos, sizeof tag);
    if (size < text.len)
        return -ENOSPC;
    if (!wzp_replay_is_fresh(&session->replay, seq))
        return -EALREADY;
    if (!begin(session, seq, peer, aad, false) ||
        EVP_CIPHER_CTX_ctrl(session->cipher, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1)
        return -EIO;
    if (EVP_CipherUpdate(session->cipher, buf, &len, text.data, (int)text.len) != 1 ||
        EVP_CipherFinal_ex(session->cipher, buf + len, &rest) != 1) {
        OPENSSL_cleanse(buf, text.len); /* not to be mistaken for something genuine */
        return -EBADMSG;
    }
    wzp_replay_mark(&session->replay, seq);
    return (int)text.len;
}

int wzp_session_rekey(struct wzp_session *session, const struct wzp_handshake *fresh,
                      const uint8_t peer_public[static WZP_KEY_BYTES])
{
    uint8_t shared[WZP_KEY_BYTES], key[WZP_KEY_BYTES], id[WZP_SESSION_ID_BYTES];

    int err = wzp_key_agree(fresh->ephemeral_secret, peer_public, shared);
    if (!err)
        err = wzp_hkdf(wz_bytes(session->key, sizeof session->key), wz_bytes(shared, sizeof shared),
                       wz_bytes_str(LABEL_REKEY), key, sizeof key);
    if (!err)
        err = wzp_session_id_of_key(key, id);
    if (!err) {
        memcpy(session->key, key, sizeof key);
        memcpy(session->id, id, sizeof id);
        session->sealed = 0;
        session->replay = (struct wzp_replay){ 0 };
    }
    OPENSSL_cleanse(shared, sizeof shared);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}
