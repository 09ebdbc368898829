/* Whom the client core believes: strict mode, the relay's pinned key; and what the relay recommends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "tests/support/client_world.h"

#define BUILD "9377a90"

static int strict_world(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = BUILD, .strict = true });
    return 0;
}

static int plain_world(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = BUILD });
    return 0;
}

static int end_world(void **state)
{
    world_free(*state);
    return 0;
}

static void strict_client_refuses_an_unsigned_offer(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(world_offer(w, "feed", BUILD), 0);
    struct wzp_signal hangup = world_last_sent(w, WZP_SIG_HANGUP);
    assert_string_equal(hangup.hangup.call_id, "feed");
    assert_int_equal(hangup.hangup.reason, WZP_HANGUP_ERROR);
    wzp_signal_done(&hangup);
    assert_int_equal(wzp_client_stats(w->client)->refused_unsigned, 1);
    assert_int_equal(wzp_client_stats(w->client)->calls, 0);
}

static void strict_client_refuses_an_unsigned_offer_at_a_seed_relay_by_its_answer(void **state)
{
    (void)state;
    struct client_world *w = world_new(&(struct client_world_options){ .strict = true });
    assert_int_equal(world_offer(w, "feed", NULL), 0);
    struct wzp_signal answer = world_last_sent(w, WZP_SIG_DIRECT_CALL_ANSWER);
    assert_int_equal(answer.answer.accept_mode, WZP_ACCEPT_REJECT);
    wzp_signal_done(&answer);
    world_free(w);
}

static void strict_client_takes_a_signed_offer(void **state)
{
    struct client_world *w = *state;
    assert_true(world_offer_signed(w, "feed", BUILD) != 0);
    assert_true(world_event(w, WZP_LINE_INCOMING)->own_kind);
}

static void strict_client_refuses_an_offer_that_another_key_signed(void **state)
{
    struct client_world *w = *state;
    char own[WZP_FINGERPRINT_TEXT], id[] = "feed";
    memcpy(own, wzp_client_fingerprint(w->client), sizeof own);
    struct wzp_signal offer = { .kind = WZP_SIG_DIRECT_CALL_OFFER };
    offer.offer.caller_fingerprint = w->peer.fingerprint; /* claims to be the peer */
    offer.offer.target_fingerprint = own;
    offer.offer.call_id = id;
    struct wzp_signed_keys *keys = &offer.offer.keys;
    keys->has_identity = keys->has_ephemeral = true;
    keys->signature_len = WZP_SIGNATURE_BYTES;
    memset(keys->ephemeral_pub, 9, sizeof keys->ephemeral_pub);
    memcpy(keys->identity_pub, w->relay.ed25519_public, sizeof keys->identity_pub);
    assert_int_equal(wzp_sign_direct_offer(&w->relay, keys->ephemeral_pub, own, id, keys->signature), 0);
    world_say_signal(w, w->signal, &offer);
    assert_int_equal(world_events(w, WZP_LINE_INCOMING), 0);
    assert_int_equal(wzp_client_stats(w->client)->refused_unsigned, 1);
}

static void strict_client_hangs_up_on_an_unsigned_answer(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_REFUSED);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 1);
    assert_int_equal(world_events(w, WZP_LINE_ANSWERED), 0);
    assert_int_equal(wzp_client_stats(w->client)->refused_unsigned, 1);
}

static void strict_client_hangs_up_on_a_setup_without_an_answer(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_setup(w, call, WORLD_RELAY);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_REFUSED);
}

static void strict_client_goes_on_with_a_signed_answer_and_believes_any_rejection(void **state)
{
    struct client_world *w = *state;
    uint64_t call = world_place_call(w);
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, BUILD);
    assert_true(world_event(w, WZP_LINE_ANSWERED)->own_kind);
    call = world_place_call(w);
    world_say(w, w->signal, "{\"DirectCallAnswer\":{\"call_id\":\"%s\",\"accept_mode\":\"Reject\"}}",
              world_call_id(w, call));
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->hangup_reason, WZP_HANGUP_DECLINED);
    assert_int_equal(wzp_client_stats(w->client)->refused_unsigned, 0);
}

static void relays_identity_key_is_told_for_pinning(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    world_setup(w, call, WORLD_RELAY);
    world_media_up(w, 2);
    const struct wzp_line_event *event = world_event(w, WZP_LINE_RELAY_KEY);
    assert_int_equal(event->body.len, WZP_KEY_BYTES);
    assert_memory_equal(event->body.data, w->relay.ed25519_public, WZP_KEY_BYTES);
    assert_string_equal(event->relay_addr, WORLD_RELAY);
}

static void relay_with_another_key_than_the_pinned_one_gets_no_media(void **state)
{
    (void)state;
    struct wzp_identity other;
    const uint8_t seed[WZP_SEED_BYTES] = { 77 };
    assert_int_equal(wzp_identity_from_seed(seed, &other), 0);
    struct client_world *w = world_new(&(struct client_world_options){ .relay_build = BUILD, .pinned_relay = &other });
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    world_setup(w, call, WORLD_RELAY);
    world_media_up(w, 0);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    assert_int_equal(world_events(w, WZP_LINE_RELAY_KEY), 0); /* or it would be pinned */
    world_advance_ms(w, 2000);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_NO_MEDIA);
    assert_string_equal(world_event(w, WZP_LINE_ENDED)->reason,
                        "the relay shows another identity key than the pinned one");
    world_free(w);
    wzp_identity_done(&other);
}

static void relay_with_the_pinned_key_carries_media(void **state)
{
    (void)state;
    struct wzp_identity relay;
    const uint8_t seed[WZP_SEED_BYTES] = { 1 };
    assert_int_equal(wzp_identity_from_seed(seed, &relay), 0);
    struct client_world *w = world_new(&(struct client_world_options){ .relay_build = BUILD, .pinned_relay = &relay });
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    world_setup(w, call, WORLD_RELAY);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    world_free(w);
    wzp_identity_done(&relay);
}

static void quality_directive_is_told_to_the_user(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    world_talk(w, &media);
    const struct wzp_signal directive = {
        .kind = WZP_SIG_QUALITY_DIRECTIVE,
        .quality_directive = { .recommended_profile = wzp_profile_degraded },
    };
    world_say_signal(w, media, &directive);
    const struct wzp_line_event *event = world_event(w, WZP_LINE_QUALITY);
    assert_int_equal(event->profile->codec, wzp_profile_degraded.codec);
    assert_int_equal(event->profile->frame_duration_ms, wzp_profile_degraded.frame_duration_ms);
    assert_null(event->reason);
}

int main(void)
{
#define STRICT(name) cmocka_unit_test_setup_teardown(name, strict_world, end_world)
#define PLAIN(name)  cmocka_unit_test_setup_teardown(name, plain_world, end_world)
    const struct CMUnitTest tests[] = {
        STRICT(strict_client_refuses_an_unsigned_offer),
        cmocka_unit_test(strict_client_refuses_an_unsigned_offer_at_a_seed_relay_by_its_answer),
        STRICT(strict_client_takes_a_signed_offer),
        STRICT(strict_client_refuses_an_offer_that_another_key_signed),
        STRICT(strict_client_hangs_up_on_an_unsigned_answer),
        STRICT(strict_client_hangs_up_on_a_setup_without_an_answer),
        STRICT(strict_client_goes_on_with_a_signed_answer_and_believes_any_rejection),
        PLAIN(relays_identity_key_is_told_for_pinning),
        cmocka_unit_test(relay_with_another_key_than_the_pinned_one_gets_no_media),
        cmocka_unit_test(relay_with_the_pinned_key_carries_media),
        PLAIN(quality_directive_is_told_to_the_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
