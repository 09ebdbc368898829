#include "tests/vectors/vectors.h"

#include <errno.h>

#include "wzp/core/session.h"

static struct wzp_handshake pair_of(const json_t *object, const char *secret, const char *public)
{
    struct wzp_handshake hs;
    vector_hex_into(object, secret, hs.ephemeral_secret, WZP_KEY_BYTES);
    vector_hex_into(object, public, hs.ephemeral_public, WZP_KEY_BYTES);
    return hs;
}

static void fill_from_secret(void *arg, uint8_t *out, size_t len)
{
    assert_int_equal(len, WZP_KEY_BYTES);
    memcpy(out, arg, len);
}

static void a_secret_gives_its_public_key(void **state)
{
    (void)state;
    json_t *root = vector_load("session");
    struct wzp_handshake a = pair_of(root, "a_ephemeral_secret", "a_ephemeral_pub"), hs;
    const struct wz_rng rng = { fill_from_secret, a.ephemeral_secret };

    assert_int_equal(wzp_handshake_init(&hs, &rng), 0);
    assert_memory_equal(hs.ephemeral_secret, a.ephemeral_secret, WZP_KEY_BYTES);
    assert_memory_equal(hs.ephemeral_public, a.ephemeral_public, WZP_KEY_BYTES);
    wzp_handshake_done(&hs);
    json_decref(root);
}

static void both_sides_derive_the_vectors_session(void **state)
{
    (void)state;
    json_t *root = vector_load("session");
    struct wzp_handshake side[2] = { pair_of(root, "a_ephemeral_secret", "a_ephemeral_pub"),
                                     pair_of(root, "b_ephemeral_secret", "b_ephemeral_pub") };

    for (size_t i = 0; i < 2; i++) {
        struct wzp_session_keys keys;
        uint8_t shared[WZP_KEY_BYTES];
        assert_int_equal(wzp_key_agree(side[i].ephemeral_secret, side[1 - i].ephemeral_public, shared), 0);
        vector_expect_hex(root, "shared_secret", shared, sizeof shared);
        assert_int_equal(wzp_handshake_keys(&side[i], side[1 - i].ephemeral_public, &keys), 0);
        vector_expect_hex(root, "session_key", keys.session_key, sizeof keys.session_key);
        vector_expect_hex(root, "session_id", keys.session_id, sizeof keys.session_id);
        assert_int_equal(keys.sas, vector_number(root, "sas_code"));
    }
    json_decref(root);
}

static void expect_nonce(const json_t *vector, const uint8_t *id)
{
    uint8_t nonce[WZP_SESSION_NONCE_BYTES];
    wzp_session_nonce(id, vector_number(vector, "seq"),
                      (enum wzp_session_side)vector_number(vector, "direction"), nonce);
    vector_expect_hex(vector, "nonce", nonce, sizeof nonce);
}

static void nonces_are_laid_out_as_in_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("session"), *vector;
    const json_t *unit = vector_member(root, "nonce_layout_unit");
    uint8_t id[WZP_SESSION_ID_BYTES];
    size_t index;

    vector_hex_into(root, "session_id", id, sizeof id);
    json_array_foreach(vector_list(root, "nonces"), index, vector) expect_nonce(vector, id);
    vector_hex_into(unit, "session_id", id, sizeof id);
    expect_nonce(unit, id);
    json_decref(root);
}

/** Two ends of one session. */
struct ends {
    struct wzp_session initiator, responder;
};

static struct ends ends_of(const json_t *root)
{
    struct wzp_session_keys keys = { 0 };
    struct ends ends;

    vector_hex_into(root, "session_key", keys.session_key, sizeof keys.session_key);
    vector_hex_into(root, "session_id", keys.session_id, sizeof keys.session_id);
    assert_int_equal(wzp_session_init(&ends.initiator, &keys, WZP_SESSION_INITIATOR), 0);
    assert_int_equal(wzp_session_init(&ends.responder, &keys, WZP_SESSION_RESPONDER), 0);
    return ends;
}

static void ends_done(struct ends *ends)
{
    wzp_session_done(&ends->initiator);
    wzp_session_done(&ends->responder);
}

static void the_initiator_seals_the_vectors_and_the_responder_opens_them(void **state)
{
    (void)state;
    json_t *root = vector_load("session"), *vector;
    struct ends ends = ends_of(root);
    size_t index;

    json_array_foreach(vector_list(root, "aead"), index, vector)
    {
        struct vector_bytes aad = vector_hex(vector, "aad"), plain = vector_hex(vector, "plaintext");
        uint8_t sealed[256], opened[256];
        uint16_t seq;
        int len = wzp_session_seal(&ends.initiator, vector_view(&aad), vector_view(&plain), sealed,
                                   sizeof sealed, &seq);
        assert_int_equal(len, plain.len + WZP_SESSION_TAG_BYTES);
        assert_int_equal(seq, vector_number(vector, "seq"));
        vector_expect_hex(vector, "ciphertext", sealed, (size_t)len);
        assert_int_equal(wzp_session_open(&ends.responder, seq, vector_view(&aad),
                                          wz_bytes(sealed, (size_t)len), opened, sizeof opened),
                         plain.len);
        assert_memory_equal(opened, plain.data, plain.len);
    }
    ends_done(&ends);
    json_decref(root);
}

static void rekeying_gives_the_vectors_key(void **state)
{
    (void)state;
    json_t *root = vector_load("session");
    const json_t *vector = vector_member(root, "rekey");
    struct wzp_handshake a = pair_of(vector, "new_a_secret", "new_a_pub");
    struct wzp_handshake b = pair_of(vector, "new_b_secret", "new_b_pub");
    struct ends ends = ends_of(root);
    uint8_t shared[WZP_KEY_BYTES];

    assert_int_equal(wzp_key_agree(a.ephemeral_secret, b.ephemeral_public, shared), 0);
    vector_expect_hex(vector, "dh", shared, sizeof shared);
    assert_int_equal(wzp_session_rekey(&ends.initiator, &a, b.ephemeral_public), 0);
    assert_int_equal(wzp_session_rekey(&ends.responder, &b, a.ephemeral_public), 0);
    vector_expect_hex(vector, "new_key", ends.initiator.key, WZP_KEY_BYTES);
    vector_expect_hex(vector, "new_key", ends.responder.key, WZP_KEY_BYTES);
    vector_expect_hex(vector, "new_session_id", ends.initiator.id, WZP_SESSION_ID_BYTES);
    ends_done(&ends);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_gives_its_public_key),
        cmocka_unit_test(both_sides_derive_the_vectors_session),
        cmocka_unit_test(nonces_are_laid_out_as_in_the_vectors),
        cmocka_unit_test(the_initiator_seals_the_vectors_and_the_responder_opens_them),
        cmocka_unit_test(rekeying_gives_the_vectors_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
