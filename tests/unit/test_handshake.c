#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "wzp/core/handshake.h"

/** What one signature may cover. */
#define SIGNED_MAX_BYTES 320

static void fill_counting(void *arg, uint8_t *out, size_t len)
{
    uint8_t *next = arg;
    memset(out, (*next)++, len);
}

struct parties {
    uint8_t next;
    struct wzp_identity client, relay;
    struct wzp_handshake at_client, at_relay;
};

static struct parties parties_new(void)
{
    struct parties p = { .next = 21 };
    const struct wz_rng rng = { fill_counting, &p.next };
    uint8_t seed[WZP_SEED_BYTES] = { 1 };
    assert_int_equal(wzp_identity_from_seed(seed, &p.client), 0);
    seed[0] = 2;
    assert_int_equal(wzp_identity_from_seed(seed, &p.relay), 0);
    assert_int_equal(wzp_handshake_init(&p.at_client, &rng), 0);
    assert_int_equal(wzp_handshake_init(&p.at_relay, &rng), 0);
    return p;
}

/** Through the wire and back. */
static struct wzp_signal sent(struct wzp_signal *sig)
{
    struct wzp_signal got;
    char *json;
    size_t len;
    assert_int_equal(wzp_signal_encode(sig, &json, &len), 0);
    assert_int_equal(wzp_signal_decode(wz_bytes(json, len), &got), 0);
    free(json);
    wzp_signal_done(sig);
    return got;
}

static void client_and_relay_agree_on_a_session(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signal offer, answer;
    struct wzp_session_keys at_client, at_relay;

    assert_int_equal(wzp_handshake_offer(&p.at_client, &p.client, "Swift Wolf", &offer), 0);
    offer = sent(&offer);
    assert_int_equal(wzp_handshake_check_offer(&offer), 0);
    assert_string_equal(offer.call_offer.alias, "Swift Wolf");
    assert_int_equal(offer.call_offer.profile_count, 6);
    assert_int_equal(offer.call_offer.profile[0].codec, WZP_CODEC_OPUS_64K);
    assert_int_equal(offer.call_offer.profile[5].codec, WZP_CODEC_CODEC2_1200);

    assert_int_equal(wzp_handshake_answer(&p.at_relay, &p.relay, &answer), 0);
    answer = sent(&answer);
    assert_int_equal(wzp_handshake_check_answer(&answer), 0);
    assert_int_equal(answer.call_answer.chosen_profile.codec, WZP_CODEC_OPUS_24K);

    assert_int_equal(wzp_handshake_keys(&p.at_relay, offer.call_offer.keys.ephemeral_pub, &at_relay), 0);
    assert_int_equal(wzp_handshake_keys(&p.at_client, answer.call_answer.keys.ephemeral_pub, &at_client), 0);
    assert_memory_equal(at_client.session_key, at_relay.session_key, WZP_KEY_BYTES);
    assert_memory_equal(at_client.session_id, at_relay.session_id, WZP_SESSION_ID_BYTES);
    assert_int_equal(at_client.sas, at_relay.sas);
    assert_in_range(at_client.sas, 0, 9999);
    wzp_signal_done(&offer);
    wzp_signal_done(&answer);
}

static void an_offer_without_keys_or_signature_is_refused(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signal offer;
    assert_int_equal(wzp_handshake_offer(&p.at_client, &p.client, NULL, &offer), 0);
    assert_null(offer.call_offer.alias);

    struct wzp_signed_keys good = offer.call_offer.keys;
    offer.call_offer.keys.signature_len = 0;
    assert_int_equal(wzp_handshake_check_offer(&offer), -EBADMSG);
    offer.call_offer.keys = good;
    offer.call_offer.keys.has_identity = false;
    assert_int_equal(wzp_handshake_check_offer(&offer), -EBADMSG);
    offer.call_offer.keys = good;
    offer.call_offer.keys.has_ephemeral = false;
    assert_int_equal(wzp_handshake_check_offer(&offer), -EBADMSG);
    offer.call_offer.keys = good;
    memcpy(offer.call_offer.keys.identity_pub, p.relay.ed25519_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_handshake_check_offer(&offer), -EBADMSG);
    offer.call_offer.keys = good;
    assert_int_equal(wzp_handshake_check_offer(&offer), 0);
    wzp_signal_done(&offer);
}

static void an_offers_signature_does_not_do_for_an_answer(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signal offer, answer = { .kind = WZP_SIG_CALL_ANSWER };
    assert_int_equal(wzp_handshake_offer(&p.at_client, &p.client, NULL, &offer), 0);
    answer.call_answer.keys = offer.call_offer.keys;
    assert_int_equal(wzp_handshake_check_answer(&answer), -EBADMSG);
    wzp_signal_done(&offer);
}

static void the_comparison_number_differs_when_someone_stands_between(void **state)
{
    (void)state;
    struct parties p = parties_new();
    const struct wz_rng rng = { fill_counting, &p.next };
    struct wzp_handshake between;
    struct wzp_session_keys at_client, at_relay, direct;

    assert_int_equal(wzp_handshake_init(&between, &rng), 0);
    assert_int_equal(wzp_handshake_keys(&p.at_client, between.ephemeral_public, &at_client), 0);
    assert_int_equal(wzp_handshake_keys(&p.at_relay, between.ephemeral_public, &at_relay), 0);
    assert_int_equal(wzp_handshake_keys(&p.at_client, p.at_relay.ephemeral_public, &direct), 0);
    assert_int_not_equal(at_client.sas, at_relay.sas);
    assert_int_not_equal(at_client.sas, direct.sas);
    assert_memory_not_equal(at_client.session_key, at_relay.session_key, WZP_KEY_BYTES);
    wzp_handshake_done(&between);
}

static void a_low_order_key_is_refused(void **state)
{
    (void)state;
    static const uint8_t points[][WZP_KEY_BYTES] = { { 0 }, { 1 } };
    struct parties p = parties_new();
    struct wzp_session_keys keys = { .sas = 77 };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(wzp_handshake_keys(&p.at_client, points[i], &keys), -EBADMSG);
    assert_int_equal(keys.sas, 77);
}

static struct wzp_signed_keys keys_of(const struct wzp_identity *id, const struct wzp_handshake *hs)
{
    struct wzp_signed_keys keys = { .has_identity = true, .has_ephemeral = true, .signature_len = WZP_SIGNATURE_BYTES };
    memcpy(keys.identity_pub, id->ed25519_public, WZP_KEY_BYTES);
    memcpy(keys.ephemeral_pub, hs->ephemeral_public, WZP_KEY_BYTES);
    return keys;
}

static void a_direct_answer_is_bound_to_caller_and_call(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signed_keys keys = keys_of(&p.client, &p.at_client);
    assert_int_equal(wzp_sign_direct_answer(&p.client, keys.ephemeral_pub, p.relay.fingerprint, "c1", keys.signature),
                     0);
    assert_int_equal(wzp_check_direct(&keys, p.relay.fingerprint, "c1"), 0);
    assert_int_equal(wzp_check_direct(&keys, p.relay.fingerprint, "c2"), -EBADMSG);
    assert_int_equal(wzp_check_direct(&keys, p.client.fingerprint, "c1"), -EBADMSG);
    keys.has_ephemeral = false;
    assert_int_equal(wzp_check_direct(&keys, p.relay.fingerprint, "c1"), -EBADMSG);
}

static void texts_too_long_to_sign_are_refused_not_cut(void **state)
{
    (void)state;
    struct parties p = parties_new();
    char call_id[SIGNED_MAX_BYTES - WZP_KEY_BYTES + 1 + 1];
    struct wzp_signed_keys keys = keys_of(&p.client, &p.at_client);
    memset(call_id, 'c', sizeof call_id - 1);
    call_id[sizeof call_id - 1] = '\0';
    assert_int_equal(wzp_sign_direct_offer(&p.client, keys.ephemeral_pub, "", call_id, keys.signature), -EINVAL);
    assert_int_equal(wzp_check_direct(&keys, "", call_id), -EBADMSG);
    call_id[sizeof call_id - 2] = '\0';
    assert_int_equal(wzp_sign_direct_offer(&p.client, keys.ephemeral_pub, "", call_id, keys.signature), 0);
    assert_int_equal(wzp_check_direct(&keys, "", call_id), 0);
}

/** Exporter values of two TLS connections. */
static const uint8_t connection_a[WZP_DIRECT_EXPORTER_BYTES] = { 0xa0, [31] = 0x0a };
static const uint8_t connection_b[WZP_DIRECT_EXPORTER_BYTES] = { 0xa0, [31] = 0x0b };

/** The hello that id sends on the connection, as it arrives. */
static struct wzp_signal hello_of(const struct wzp_identity *id, const uint8_t *exporter, const char *call_id)
{
    struct wzp_signal hello = { .kind = WZP_SIG_DIRECT_HELLO };
    struct wzp_signed_keys *keys = &hello.direct_hello.keys;

    assert_int_equal(wzp_signal_set_text(&hello.direct_hello.call_id, call_id), 0);
    assert_int_equal(wzp_sign_direct_hello(id, exporter, call_id, keys->signature), 0);
    memcpy(keys->identity_pub, id->ed25519_public, WZP_KEY_BYTES);
    keys->has_identity = true;
    keys->signature_len = WZP_SIGNATURE_BYTES;
    return sent(&hello);
}

static void a_direct_hello_is_bound_to_its_connection_call_and_key(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signal hello = hello_of(&p.client, connection_a, "c1");
    struct wzp_signed_keys *keys = &hello.direct_hello.keys;

    assert_string_equal(hello.direct_hello.call_id, "c1");
    assert_int_equal(wzp_check_direct_hello(keys, connection_a, "c1"), 0);
    assert_int_equal(wzp_check_direct_hello(keys, connection_b, "c1"), -EBADMSG);
    assert_int_equal(wzp_check_direct_hello(keys, connection_a, "c2"), -EBADMSG);
    assert_int_equal(wzp_check_direct_hello(keys, connection_a, ""), -EBADMSG);
    memcpy(keys->identity_pub, p.relay.ed25519_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_check_direct_hello(keys, connection_a, "c1"), -EBADMSG);
    wzp_signal_done(&hello);
}

static void a_direct_hello_without_key_or_whole_signature_is_refused(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signal hello = hello_of(&p.client, connection_a, "c1");
    struct wzp_signed_keys *keys = &hello.direct_hello.keys;

    keys->has_identity = false;
    assert_int_equal(wzp_check_direct_hello(keys, connection_a, "c1"), -EBADMSG);
    keys->has_identity = true;
    keys->signature_len = 0;
    assert_int_equal(wzp_check_direct_hello(keys, connection_a, "c1"), -EBADMSG);
    keys->signature_len = WZP_SIGNATURE_BYTES;
    assert_int_equal(wzp_check_direct_hello(keys, connection_a, "c1"), 0);
    keys->signature[WZP_SIGNATURE_BYTES - 1] ^= 1;
    assert_int_equal(wzp_check_direct_hello(keys, connection_a, "c1"), -EBADMSG);
    wzp_signal_done(&hello);
}

static void a_direct_hello_with_a_truncated_signature_reads_as_unsigned(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signal hello = hello_of(&p.client, connection_a, "c1"), cut;
    char *json;
    size_t len;

    assert_int_equal(wzp_signal_encode(&hello, &json, &len), 0);
    char *last = strrchr(json, ',');
    assert_non_null(last);
    memcpy(last, "]}}", sizeof "]}}"); /* 63 bytes of 64 */
    assert_int_equal(wzp_signal_decode(wz_bytes_str(json), &cut), 0);
    assert_true(cut.direct_hello.keys.signature_odd);
    assert_int_equal(wzp_check_direct_hello(&cut.direct_hello.keys, connection_a, "c1"), -EBADMSG);
    free(json);
    wzp_signal_done(&hello);
    wzp_signal_done(&cut);
}

static void a_direct_hellos_call_id_is_refused_when_too_long_to_sign(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signal hello = hello_of(&p.client, connection_a, "c1");
    char call_id[SIGNED_MAX_BYTES - WZP_DIRECT_EXPORTER_BYTES + 1 + 1];
    uint8_t signature[WZP_SIGNATURE_BYTES];

    memset(call_id, 'c', sizeof call_id - 1);
    call_id[sizeof call_id - 1] = '\0';
    assert_int_equal(wzp_sign_direct_hello(&p.client, connection_a, call_id, signature), -EINVAL);
    assert_int_equal(wzp_check_direct_hello(&hello.direct_hello.keys, connection_a, call_id), -EBADMSG);
    call_id[sizeof call_id - 2] = '\0';
    assert_int_equal(wzp_sign_direct_hello(&p.client, connection_a, call_id, signature), 0);
    wzp_signal_done(&hello);
}

static void an_unsigned_registration_is_told_from_a_signed_one(void **state)
{
    (void)state;
    struct parties p = parties_new();
    struct wzp_signed_keys keys = keys_of(&p.client, &p.at_client);
    assert_int_equal(wzp_sign_register(&p.client, keys.signature), 0);
    assert_int_equal(wzp_check_register(&keys), 0);
    keys.signature_len = 0;
    assert_int_equal(wzp_check_register(&keys), -EBADMSG);
    keys.signature_len = WZP_SIGNATURE_BYTES;
    memcpy(keys.identity_pub, p.relay.ed25519_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_check_register(&keys), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_and_relay_agree_on_a_session),
        cmocka_unit_test(an_offer_without_keys_or_signature_is_refused),
        cmocka_unit_test(an_offers_signature_does_not_do_for_an_answer),
        cmocka_unit_test(the_comparison_number_differs_when_someone_stands_between),
        cmocka_unit_test(a_low_order_key_is_refused),
        cmocka_unit_test(a_direct_answer_is_bound_to_caller_and_call),
        cmocka_unit_test(texts_too_long_to_sign_are_refused_not_cut),
        cmocka_unit_test(a_direct_hello_is_bound_to_its_connection_call_and_key),
        cmocka_unit_test(a_direct_hello_without_key_or_whole_signature_is_refused),
        cmocka_unit_test(a_direct_hello_with_a_truncated_signature_reads_as_unsigned),
        cmocka_unit_test(a_direct_hellos_call_id_is_refused_when_too_long_to_sign),
        cmocka_unit_test(an_unsigned_registration_is_told_from_a_signed_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
