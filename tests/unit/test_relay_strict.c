/* Strict mode of the relay: what is not signed, or signed before, is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"
#include "wzp/core/relay_seen.h"

static int setup(void **state)
{
    *state = relay_world_new(&(struct wzp_relay_config){ .strict = true });
    return 0;
}

static void assert_registration_refused(struct relay_world *w, uint64_t conn, const char *error)
{
    struct wzp_signal ack = relay_world_take(w, conn, WZP_SIG_REGISTER_PRESENCE_ACK);
    assert_false(ack.register_ack.success);
    assert_string_equal(ack.register_ack.error, error);
    wzp_signal_done(&ack);
    assert_false(relay_world_is_open(w, conn));
    assert_int_equal(relay_world_stats(w)->registered, 0);
}

static void strict_relay_takes_signed_registrations_only(void **state)
{
    struct relay_world *w = *state;
    const uint64_t plain = relay_world_connect(w, "_signal"), forged = relay_world_connect(w, "_signal");
    relay_world_send_register(w, plain, ALICE);
    assert_registration_refused(w, plain, "registration is not signed");

    struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE };
    struct wzp_signed_keys *keys = &signal.register_presence.keys;
    keys->has_identity = true;
    keys->signature_len = WZP_SIGNATURE_BYTES;
    memcpy(keys->identity_pub, w->user[ALICE].ed25519_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_sign_register(&w->user[BOB], keys->signature), 0);
    relay_world_send(w, forged, &signal);
    assert_registration_refused(w, forged, "registration is not signed");

    assert_int_equal(relay_world_stats(w)->refused_unsigned, 2);
    relay_world_register(w, ALICE);
}

static void strict_relay_refuses_the_zero_key(void **state)
{
    struct relay_world *w = *state;
    const uint64_t probe = relay_world_connect(w, "_signal");
    relay_world_send(w, probe, &(struct wzp_signal){ .kind = WZP_SIG_REGISTER_PRESENCE });
    assert_registration_refused(w, probe, "the zero key is nobody");
    assert_int_equal(relay_world_stats(w)->refused_unsigned, 1);
}

static void strict_relay_takes_offers_signed_by_the_registered_key_only(void **state)
{
    struct relay_world *w = *state;
    const uint64_t alice = relay_world_register(w, ALICE), bob = relay_world_register(w, BOB);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_ERROR, "c1");
    relay_world_signed_offer(w, alice, CAROL, BOB, "c2"); /* signed, but by another key */
    relay_world_take_hangup(w, alice, WZP_HANGUP_ERROR, "c2");
    assert_int_equal(relay_world_waiting(w, bob), 0);
    assert_int_equal(relay_world_stats(w)->refused_unsigned, 2);
    relay_world_signed_offer(w, alice, ALICE, BOB, "c3");
    relay_world_expect(w, bob, WZP_SIG_DIRECT_CALL_OFFER);
}

static void offers_without_a_signature_pass_a_relay_that_is_not_strict(void **state)
{
    struct relay_world *w = relay_world_restart(state, NULL);
    const uint64_t alice = relay_world_register_plain(w, ALICE), bob = relay_world_register_plain(w, BOB);
    relay_world_ring(w, alice, bob, "c1");
    assert_int_equal(relay_world_stats(w)->refused_unsigned, 0);
}

/** The same CallOffer on two connections; true when the second one was answered. */
static bool replay(struct relay_world *w)
{
    struct wzp_handshake handshake;
    struct wzp_signal offer;
    const uint64_t first = relay_world_connect(w, "ops"), second = relay_world_connect(w, "ops");
    assert_int_equal(wzp_handshake_init(&handshake, &w->rng), 0);
    assert_int_equal(wzp_handshake_offer(&handshake, &w->user[ALICE], NULL, &offer), 0);
    relay_world_send(w, first, &offer);
    relay_world_expect(w, first, WZP_SIG_CALL_ANSWER);
    relay_world_drop(w, first);
    relay_world_send(w, second, &offer);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
    return relay_world_waiting(w, second) > 0;
}

static void strict_relay_refuses_a_repeated_media_handshake(void **state)
{
    struct relay_world *w = *state;
    assert_false(replay(w));
    assert_int_equal(relay_world_stats(w)->replayed_handshakes, 1);
    relay_world_enter(w, ALICE, "ops"); /* with a new key */
}

static void repeated_media_handshake_passes_a_relay_that_is_not_strict(void **state)
{
    struct relay_world *w = relay_world_restart(state, NULL);
    assert_true(replay(w));
    assert_int_equal(relay_world_stats(w)->replayed_handshakes, 0);
}

static void handshake_that_was_never_valid_is_not_remembered(void **state)
{
    struct relay_world *w = *state;
    struct wzp_handshake handshake;
    struct wzp_signal offer;
    const uint64_t forged = relay_world_connect(w, "ops"), true_one = relay_world_connect(w, "ops");
    assert_int_equal(wzp_handshake_init(&handshake, &w->rng), 0);
    assert_int_equal(wzp_handshake_offer(&handshake, &w->user[ALICE], NULL, &offer), 0);
    offer.call_offer.keys.signature[0] ^= 1;
    relay_world_send(w, forged, &offer);
    offer.call_offer.keys.signature[0] ^= 1;
    relay_world_send(w, true_one, &offer);
    relay_world_expect(w, true_one, WZP_SIG_CALL_ANSWER);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
}

static void number_key(uint32_t number, uint8_t key[static WZP_KEY_BYTES])
{
    memset(key, 0, WZP_KEY_BYTES);
    memcpy(key, &number, sizeof number);
}

static void remembered_keys_are_bounded_and_the_oldest_goes_first(void **state)
{
    const struct relay_world *w = *state;
    struct relay_seen seen;
    uint8_t key[WZP_KEY_BYTES];
    assert_int_equal(relay_seen_init(&seen, &w->rng), 0);
    for (uint32_t i = 0; i < WZP_RELAY_SEEN_MAX; i++) {
        number_key(i, key);
        assert_int_equal(relay_seen_add(&seen, key), 0);
    }
    number_key(0, key);
    assert_int_equal(relay_seen_add(&seen, key), -EEXIST);
    number_key(WZP_RELAY_SEEN_MAX, key);
    assert_int_equal(relay_seen_add(&seen, key), 0);
    assert_int_equal(seen.map.count, WZP_RELAY_SEEN_MAX);
    number_key(1, key);
    assert_int_equal(relay_seen_add(&seen, key), -EEXIST);
    number_key(0, key);
    assert_int_equal(relay_seen_add(&seen, key), 0); /* forgotten */
    relay_seen_done(&seen);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, relay_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(strict_relay_takes_signed_registrations_only),
        TEST(strict_relay_refuses_the_zero_key),
        TEST(strict_relay_takes_offers_signed_by_the_registered_key_only),
        TEST(offers_without_a_signature_pass_a_relay_that_is_not_strict),
        TEST(strict_relay_refuses_a_repeated_media_handshake),
        TEST(repeated_media_handshake_passes_a_relay_that_is_not_strict),
        TEST(handshake_that_was_never_valid_is_not_remembered),
        TEST(remembered_keys_are_bounded_and_the_oldest_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
