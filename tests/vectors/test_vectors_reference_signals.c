#include "tests/vectors/vectors.h"

#include <errno.h>

#include "wzp/core/handshake.h"
#include "wzp/core/identity.h"
#include "wzp/core/signal.h"

static struct wzp_signal decoded(const json_t *vector)
{
    struct wzp_signal sig;
    assert_int_equal(wzp_signal_decode(wz_bytes_str(vector_text(vector, "json")), &sig), 0);
    return sig;
}

static void captured_messages_are_known_and_come_out_as_they_were(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_signals"), *vector;
    size_t index, len;
    char *json;

    json_array_foreach(vector_list(root, "signals"), index, vector)
    {
        struct wzp_signal sig = decoded(vector);
        assert_string_equal(wzp_signal_kind_name(sig.kind), vector_text(vector, "kind"));
        assert_int_equal(wzp_signal_encode(&sig, &json, &len), 0);
        assert_string_equal(json, vector_text(vector, "json"));
        free(json);
        wzp_signal_done(&sig);
    }
    json_decref(root);
}

static void captured_handshakes_bear_valid_signatures(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_signals"), *vector;
    unsigned offers = 0, answers = 0;
    size_t index;

    json_array_foreach(vector_list(root, "signals"), index, vector)
    {
        struct wzp_signal sig = decoded(vector);
        if (sig.kind == WZP_SIG_CALL_OFFER) {
            assert_int_equal(wzp_handshake_check_offer(&sig), 0);
            sig.call_offer.keys.ephemeral_pub[0] ^= 1;
            assert_int_equal(wzp_handshake_check_offer(&sig), -EBADMSG);
            offers++;
        } else if (sig.kind == WZP_SIG_CALL_ANSWER) {
            assert_int_equal(wzp_handshake_check_answer(&sig), 0);
            sig.call_answer.keys.signature[0] ^= 1;
            assert_int_equal(wzp_handshake_check_answer(&sig), -EBADMSG);
            answers++;
        }
        wzp_signal_done(&sig);
    }
    assert_true(offers > 0 && answers > 0);
    json_decref(root);
}

/** Unsigned registrations and offers are what the reference sends: identities, but not of our own kind. */
static void captured_client_is_not_taken_for_our_own_kind(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_signals"), *vector;
    unsigned registrations = 0, offers = 0;
    char fingerprint[WZP_FINGERPRINT_TEXT];
    size_t index;

    json_array_foreach(vector_list(root, "signals"), index, vector)
    {
        struct wzp_signal sig = decoded(vector);
        bool is_client = strcmp(vector_text(vector, "from"), "reference client") == 0;
        if (is_client && sig.kind == WZP_SIG_REGISTER_PRESENCE) {
            assert_int_equal(wzp_check_register(&sig.register_presence.keys), -EBADMSG);
            registrations++;
        } else if (is_client && sig.kind == WZP_SIG_DIRECT_CALL_OFFER) {
            assert_int_equal(wzp_fingerprint_of_key(sig.offer.keys.identity_pub, fingerprint), 0);
            assert_string_equal(fingerprint, sig.offer.caller_fingerprint);
            assert_int_equal(
                wzp_check_direct(&sig.offer.keys, sig.offer.target_fingerprint, sig.offer.call_id), -EBADMSG);
            offers++;
        }
        wzp_signal_done(&sig);
    }
    assert_true(registrations > 0 && offers > 0);
    json_decref(root);
}

/** What our client had signed reaches the other side of the reference relay intact. */
static void our_signatures_survive_the_reference_relay(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_signals"), *vector;
    unsigned offers = 0, answers = 0;
    char caller[WZP_FINGERPRINT_TEXT] = "";
    size_t index;

    json_array_foreach(vector_list(root, "signals"), index, vector)
    {
        struct wzp_signal sig = decoded(vector);
        bool is_signed = strcmp(vector_text(vector, "from"), "reference relay") == 0;
        if (is_signed && sig.kind == WZP_SIG_DIRECT_CALL_OFFER && sig.offer.keys.signature_len) {
            assert_int_equal(
                wzp_check_direct(&sig.offer.keys, sig.offer.target_fingerprint, sig.offer.call_id), 0);
            (void)snprintf(caller, sizeof caller, "%s", sig.offer.caller_fingerprint);
            offers++;
        } else if (is_signed && sig.kind == WZP_SIG_DIRECT_CALL_ANSWER && sig.answer.keys.signature_len) {
            assert_int_equal(wzp_check_direct(&sig.answer.keys, caller, sig.answer.call_id), 0);
            answers++;
        }
        wzp_signal_done(&sig);
    }
    assert_true(offers == 1 && answers == 1);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_messages_are_known_and_come_out_as_they_were),
        cmocka_unit_test(captured_handshakes_bear_valid_signatures),
        cmocka_unit_test(captured_client_is_not_taken_for_our_own_kind),
        cmocka_unit_test(our_signatures_survive_the_reference_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
