#include "tests/vectors/vectors.h"

#include <errno.h>

#include "wzp/core/handshake.h"

/** The identity whose name the vector gives; seeds stand in identity.json. */
static struct wzp_identity identity_named(const char *name)
{
    json_t *root = vector_load("identity"), *vector;
    struct wzp_identity id = { 0 };
    uint8_t seed[WZP_SEED_BYTES];
    bool found = false;
    size_t index;

    json_array_foreach(vector_list(root, "vectors"), index, vector)
    {
        if (strcmp(vector_text(vector, "name"), name) != 0)
            continue;
        vector_hex_into(vector, "seed", seed, sizeof seed);
        assert_int_equal(wzp_identity_from_seed(seed, &id), 0);
        found = true;
    }
    assert_true(found);
    json_decref(root);
    return id;
}

/** Ed25519 is deterministic, so our signature must be the vector's. */
static void expect_signed(const json_t *vector, const struct wzp_identity *id)
{
    struct vector_bytes message = vector_hex(vector, "signed_bytes");
    uint8_t signature[WZP_SIGNATURE_BYTES];

    assert_int_equal(wzp_identity_sign(id, vector_view(&message), signature), 0);
    vector_expect_hex(vector, "signature", signature, sizeof signature);
    assert_int_equal(wzp_verify(id->ed25519_public, vector_view(&message), signature), 0);
    message.data[message.len - 1] ^= 1;
    assert_int_equal(wzp_verify(id->ed25519_public, vector_view(&message), signature), -EBADMSG);
}

static void raw_signatures_are_produced_and_verified(void **state)
{
    (void)state;
    json_t *root = vector_load("handshake_signatures"), *vector;
    struct wzp_identity s0 = identity_named("S0_count");
    size_t index;

    json_array_foreach(vector_list(root, "vectors"), index, vector)
    {
        struct wzp_identity id = identity_named(vector_text(vector, "signer"));
        vector_expect_hex(vector, "identity_pub", id.ed25519_public, WZP_KEY_BYTES);
        assert_int_equal(vector_hex(vector, "signed_bytes").len, vector_number(vector, "signed_len"));
        expect_signed(vector, &id);
    }
    expect_signed(vector_member(root, "register_presence_strict"), &s0);
    expect_signed(vector_member(root, "direct_call_offer_strict"), &s0);
    json_decref(root);
}

static void the_client_offer_carries_the_vectors_signature(void **state)
{
    (void)state;
    json_t *root = vector_load("handshake_signatures");
    const json_t *vector = json_array_get(vector_list(root, "vectors"), 0);
    struct wzp_identity id = identity_named(vector_text(vector, "signer"));
    struct wzp_handshake hs = { 0 };
    struct wzp_signal offer;

    vector_hex_into(vector, "ephemeral_pub", hs.ephemeral_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_handshake_offer(&hs, &id, NULL, &offer), 0);
    vector_expect_hex(vector, "signature", offer.call_offer.keys.signature,
                      offer.call_offer.keys.signature_len);
    assert_int_equal(wzp_handshake_check_offer(&offer), 0);
    assert_int_equal(wzp_handshake_check_answer(&offer), -EBADMSG);
    offer.call_offer.keys.ephemeral_pub[0] ^= 1;
    assert_int_equal(wzp_handshake_check_offer(&offer), -EBADMSG);
    wzp_signal_done(&offer);
    json_decref(root);
}

static void the_relay_answer_carries_the_vectors_signature(void **state)
{
    (void)state;
    json_t *root = vector_load("handshake_signatures");
    const json_t *vector = json_array_get(vector_list(root, "vectors"), 1);
    struct wzp_identity id = identity_named(vector_text(vector, "signer"));
    struct wzp_handshake hs = { 0 };
    struct wzp_signal answer;

    vector_hex_into(vector, "ephemeral_pub", hs.ephemeral_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_handshake_answer(&hs, &id, &answer), 0);
    vector_expect_hex(vector, "signature", answer.call_answer.keys.signature,
                      answer.call_answer.keys.signature_len);
    assert_int_equal(wzp_handshake_check_answer(&answer), 0);
    answer.call_answer.keys.signature[63] ^= 1;
    assert_int_equal(wzp_handshake_check_answer(&answer), -EBADMSG);
    wzp_signal_done(&answer);
    json_decref(root);
}

static void the_frames_of_the_catalogue_verify(void **state)
{
    (void)state;
    json_t *root = vector_load("signal_frames");
    json_t *frames = vector_list(root, "frames");
    struct wzp_signal offer, answer;

    assert_int_equal(wzp_signal_decode(wz_bytes_str(vector_text(json_array_get(frames, 0), "json")), &offer),
                     0);
    assert_int_equal(wzp_signal_decode(wz_bytes_str(vector_text(json_array_get(frames, 1), "json")), &answer),
                     0);
    assert_int_equal(wzp_handshake_check_offer(&offer), 0);
    assert_int_equal(wzp_handshake_check_answer(&answer), 0);
    wzp_signal_done(&offer);
    wzp_signal_done(&answer);
    json_decref(root);
}

static void registration_and_direct_offer_are_signed_as_documented(void **state)
{
    (void)state;
    json_t *root = vector_load("handshake_signatures");
    const json_t *call_offer = json_array_get(vector_list(root, "vectors"), 0);
    const json_t *direct = vector_member(root, "direct_call_offer_strict");
    struct wzp_identity id = identity_named("S0_count");
    struct wzp_signed_keys keys = { .has_identity = true,
                                    .has_ephemeral = true,
                                    .signature_len = WZP_SIGNATURE_BYTES };

    memcpy(keys.identity_pub, id.ed25519_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_sign_register(&id, keys.signature), 0);
    vector_expect_hex(vector_member(root, "register_presence_strict"), "signature", keys.signature,
                      WZP_SIGNATURE_BYTES);
    assert_int_equal(wzp_check_register(&keys), 0);

    vector_hex_into(call_offer, "ephemeral_pub", keys.ephemeral_pub, WZP_KEY_BYTES);
    const char *target = vector_text(direct, "target"), *call_id = vector_text(direct, "call_id");
    assert_int_equal(wzp_sign_direct_offer(&id, keys.ephemeral_pub, target, call_id, keys.signature), 0);
    vector_expect_hex(direct, "signature", keys.signature, WZP_SIGNATURE_BYTES);
    assert_int_equal(wzp_check_direct(&keys, target, call_id), 0);
    assert_int_equal(wzp_check_direct(&keys, target, "another"), -EBADMSG);
    assert_int_equal(wzp_check_register(&keys), -EBADMSG);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_signatures_are_produced_and_verified),
        cmocka_unit_test(the_client_offer_carries_the_vectors_signature),
        cmocka_unit_test(the_relay_answer_carries_the_vectors_signature),
        cmocka_unit_test(the_frames_of_the_catalogue_verify),
        cmocka_unit_test(registration_and_direct_offer_are_signed_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
