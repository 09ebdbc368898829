/* Registration, Reflect, Ping and bad input of the client core. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_world.h"

static int new_world(void **state)
{
    *state = world_new(NULL);
    return 0;
}

static int end_world(void **state)
{
    world_free(*state);
    return 0;
}

static struct client_world *unregistered(const char *alias, const char *token)
{
    return world_new(&(struct client_world_options){ .unregistered = true, .alias = alias, .token = token });
}

static void first_registration_dials_at_once_with_the_signal_name(void **state)
{
    (void)state;
    struct client_world *w = unregistered(NULL, NULL);
    world_advance_ms(w, 0);
    const struct wzp_client_effect *dial = world_last(w, WZP_CLIENT_DIAL);
    assert_non_null(dial);
    assert_string_equal(dial->sni, "_signal");
    char text[WZ_ADDR_TEXT_MAX];
    assert_string_equal(wz_addr_format(&dial->to, text), WORLD_RELAY);
    world_free(w);
}

static void registration_is_signed_and_carries_the_alias(void **state)
{
    (void)state;
    struct client_world *w = unregistered("Swift Wolf", NULL);
    world_register(w, NULL);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_REGISTER_PRESENCE);
    const struct wzp_signed_keys *keys = &sig.register_presence.keys;
    assert_string_equal(sig.register_presence.alias, "Swift Wolf");
    assert_int_equal(keys->signature_len, WZP_SIGNATURE_BYTES);
    uint8_t message[17 + WZP_KEY_BYTES] = "register-presence";
    memcpy(message + 17, keys->identity_pub, WZP_KEY_BYTES);
    assert_int_equal(wzp_verify(keys->identity_pub, wz_bytes(message, sizeof message), keys->signature), 0);
    char owner[WZP_FINGERPRINT_TEXT];
    assert_int_equal(wzp_fingerprint_of_key(keys->identity_pub, owner), 0);
    assert_string_equal(owner, wzp_client_fingerprint(w->client));
    wzp_signal_done(&sig);
    world_free(w);
}

static void token_goes_first_when_there_is_one(void **state)
{
    (void)state;
    struct client_world *w = unregistered(NULL, "eyJ");
    world_register(w, NULL);
    assert_int_equal(world_sent(w, WZP_SIG_AUTH_TOKEN), 1);
    /* dial, token, registration: in this order */
    const struct wzp_client_effect *second =
        wz_container_of(w->effects.next->next, const struct wzp_client_effect, node);
    assert_int_equal(second->signal, WZP_SIG_AUTH_TOKEN);
    world_free(w);
}

static void ack_announces_registration_with_the_relays_build(void **state)
{
    (void)state;
    struct client_world *w = unregistered(NULL, NULL);
    world_register(w, "9377a90");
    assert_string_equal(world_event(w, WZP_LINE_REGISTERED)->relay_build, "9377a90");
    world_free(w);
}

static void ack_without_build_registers_too(void **state)
{
    (void)state;
    struct client_world *w = unregistered(NULL, NULL);
    world_register(w, NULL);
    assert_null(world_event(w, WZP_LINE_REGISTERED)->relay_build);
    world_free(w);
}

static void refused_registration_is_told_and_tried_again(void **state)
{
    (void)state;
    struct client_world *w = unregistered(NULL, NULL);
    world_advance_ms(w, 0);
    const uint64_t conn = world_last(w, WZP_CLIENT_DIAL)->conn;
    world_connected(w, conn);
    world_say(w, conn, "{\"RegisterPresenceAck\":{\"success\":false,\"error\":\"bad token\"}}");
    assert_string_equal(world_event(w, WZP_LINE_UNREGISTERED)->reason, "bad token");
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1);
    world_clear(w);
    world_advance_ms(w, 1300);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 1);
    world_free(w);
}

static void silent_relay_is_given_up_after_ten_seconds(void **state)
{
    (void)state;
    struct client_world *w = unregistered(NULL, NULL);
    world_advance_ms(w, 0);
    world_connected(w, world_last(w, WZP_CLIENT_DIAL)->conn);
    world_advance_ms(w, 9999);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1);
    assert_int_equal(world_events(w, WZP_LINE_UNREGISTERED), 1);
    world_free(w);
}

static void dial_that_hangs_is_given_up_after_ten_seconds(void **state)
{
    (void)state;
    struct client_world *w = unregistered(NULL, NULL);
    world_advance_ms(w, 10000);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1);
    assert_int_equal(world_events(w, WZP_LINE_UNREGISTERED), 1);
    world_free(w);
}

/** How long until the next dial, when the present one fails at once. */
static uint64_t delay_to_next_dial_ms(struct client_world *w)
{
    const uint64_t failed_us = w->now_us;
    world_closed(w, world_last(w, WZP_CLIENT_DIAL)->conn, "refused");
    world_clear(w);
    while (world_count(w, WZP_CLIENT_DIAL) == 0)
        world_advance_us(w, wzp_client_deadline_us(w->client) - w->now_us);
    return (w->now_us - failed_us) / 1000;
}

static void attempts_back_off_to_thirty_seconds_and_never_end(void **state)
{
    (void)state;
    static const unsigned expect_s[] = { 1, 2, 4, 8, 15, 30, 30, 30, 30 };
    struct client_world *w = unregistered(NULL, NULL);
    world_advance_ms(w, 0);
    for (size_t i = 0; i < sizeof expect_s / sizeof expect_s[0]; i++) {
        const uint64_t least_ms = expect_s[i] * 1000u;
        assert_in_range(delay_to_next_dial_ms(w), least_ms, least_ms + least_ms / 4);
    }
    for (int i = 0; i < 200; i++)
        assert_in_range(delay_to_next_dial_ms(w), 30000, 37500);
    world_free(w);
}

static void steady_registration_that_is_lost_is_renewed_at_once(void **state)
{
    struct client_world *w = *state;
    world_advance_ms(w, 5000);
    world_closed(w, w->signal, "idle");
    assert_string_equal(world_event(w, WZP_LINE_UNREGISTERED)->reason, "idle");
    world_advance_ms(w, 250);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 1);
}

static void relay_that_drops_us_right_after_the_ack_is_backed_off_from(void **state)
{
    struct client_world *w = *state;
    world_advance_ms(w, 4999);
    world_closed(w, w->signal, "normal close");
    world_advance_ms(w, 999);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 0);
    world_advance_ms(w, 251);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 1);
}

static void start_delay_spreads_the_first_registration(void **state)
{
    (void)state;
    struct client_world *w =
        world_new(&(struct client_world_options){ .unregistered = true, .start_delay_ms = 5000 });
    assert_in_range(wzp_client_deadline_us(w->client), w->now_us + 1, w->now_us + 5000000);
    world_advance_ms(w, 5000);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 1);
    world_free(w);
}

static void rooms_only_never_registers(void **state)
{
    (void)state;
    struct client_world *w = world_new(&(struct client_world_options){ .rooms_only = true });
    world_advance_ms(w, 100000);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 0);
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), -ENOTCONN);
    world_free(w);
}

static void reflect_reports_the_observed_address(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), 0);
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), -EALREADY);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    assert_string_equal(world_event(w, WZP_LINE_REFLECTED)->observed_addr, WORLD_ADDR);
    assert_string_equal(wzp_client_reflexive_addr(w->client), WORLD_ADDR);
    assert_int_equal(world_events(w, WZP_LINE_REFLECTED), 1);
}

static void unanswered_reflect_reports_no_address_after_one_second(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), 0);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), 0);
    world_clear(w);
    world_advance_ms(w, 999);
    assert_int_equal(world_events(w, WZP_LINE_REFLECTED), 0);
    world_advance_ms(w, 1);
    assert_null(world_event(w, WZP_LINE_REFLECTED)->observed_addr); /* not the older answer */
}

static void reflect_answer_that_is_no_address_is_not_believed(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), 0);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"nonsense\"}}");
    assert_null(wzp_client_reflexive_addr(w->client));
    assert_int_equal(wzp_client_stats(w->client)->bad_signals, 1);
}

static void reflect_that_dies_with_the_connection_is_answered(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), 0);
    assert_int_equal(wzp_client_ping(w->client, w->now_us), 0);
    world_closed(w, w->signal, "gone");
    assert_null(world_event(w, WZP_LINE_REFLECTED)->observed_addr);
    assert_int_equal(world_event(w, WZP_LINE_PONG)->rtt_us, 0);
}

static void ping_measures_the_round_trip(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(wzp_client_ping(w->client, w->now_us), 0);
    assert_int_equal(wzp_client_ping(w->client, w->now_us), -EALREADY);
    world_drain(w);
    struct wzp_signal ping = world_last_sent(w, WZP_SIG_PING);
    w->now_us += 23456;
    world_say(w, w->signal, "{\"Pong\":{\"timestamp_ms\":%llu}}", (unsigned long long)ping.ping.timestamp_ms);
    assert_int_equal(world_event(w, WZP_LINE_PONG)->rtt_us, 23456);
    wzp_signal_done(&ping);
}

static void ping_without_pong_reports_zero_after_two_seconds(void **state)
{
    struct client_world *w = *state;
    assert_int_equal(wzp_client_ping(w->client, w->now_us), 0);
    world_say(w, w->signal, "{\"Pong\":{\"timestamp_ms\":7}}"); /* an answer to something else */
    world_advance_ms(w, 1999);
    assert_int_equal(world_events(w, WZP_LINE_PONG), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_PONG)->rtt_us, 0);
}

static void bad_and_unknown_messages_are_counted_and_the_connection_lives(void **state)
{
    struct client_world *w = *state;
    world_say(w, w->signal, "not json");
    world_say(w, w->signal, "{\"Hangup\":{\"reason\":\"Normal\",\"reason\":\"Busy\"}}");
    world_say(w, w->signal, "{\"FromTheFuture\":{\"x\":1}}");
    world_say(w, w->signal, "\"Hold\"");
    const struct wzp_client_stats *stats = wzp_client_stats(w->client);
    assert_int_equal(stats->bad_signals, 2);
    assert_int_equal(stats->unknown_signals, 1);
    assert_int_equal(stats->unexpected_signals, 1);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 0);
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), 0);
}

static void calls_before_the_ack_are_ignored(void **state)
{
    (void)state;
    struct client_world *w = unregistered(NULL, NULL);
    world_advance_ms(w, 0);
    w->signal = world_last(w, WZP_CLIENT_DIAL)->conn;
    world_connected(w, w->signal);
    assert_int_equal(world_offer(w, "early", NULL), 0);
    assert_int_equal(wzp_client_stats(w->client)->unexpected_signals, 1);
    world_free(w);
}

static void messages_of_unknown_connections_are_ignored(void **state)
{
    struct client_world *w = *state;
    world_say(w, 0, "\"Reflect\"");
    world_say(w, 999, "{\"Hangup\":{\"reason\":\"Normal\"}}");
    world_connected(w, 999);
    world_closed(w, 999, "gone");
    assert_true(wz_list_is_empty(&w->effects));
    assert_int_equal(w->traces, 1); /* the Ack */
}

static void every_incoming_message_is_traced(void **state)
{
    struct client_world *w = *state;
    w->traces = 0;
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    world_say(w, w->signal, "{\"FromTheFuture\":{}}");
    assert_int_equal(w->traces, 2);
}

static void stop_leaves_the_relay_for_good(void **state)
{
    struct client_world *w = *state;
    world_talk(w, NULL);
    world_place_call(w);
    world_say(w, w->signal, "{\"Hangup\":{\"reason\":\"Normal\"}}"); /* whose, is not known yet */
    wzp_client_stop(w->client, w->now_us);
    world_drain(w);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 2);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 2); /* media and signal */
    world_clear(w);
    world_closed(w, w->signal, "too late");
    world_advance_ms(w, 100000);
    assert_true(wz_list_is_empty(&w->effects));
    assert_int_equal(wzp_client_deadline_us(w->client), UINT64_MAX);
}

static void config_without_relay_or_rng_is_refused(void **state)
{
    (void)state;
    struct wzp_client *client = NULL;
    struct wzp_client_config config = { .relay = { .family = WZ_ADDR_NONE } };
    assert_int_equal(wzp_client_new(&client, &config, 0), -EINVAL);
    assert_null(client);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_world, end_world)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_registration_dials_at_once_with_the_signal_name),
        cmocka_unit_test(registration_is_signed_and_carries_the_alias),
        cmocka_unit_test(token_goes_first_when_there_is_one),
        cmocka_unit_test(ack_announces_registration_with_the_relays_build),
        cmocka_unit_test(ack_without_build_registers_too),
        cmocka_unit_test(refused_registration_is_told_and_tried_again),
        cmocka_unit_test(silent_relay_is_given_up_after_ten_seconds),
        cmocka_unit_test(dial_that_hangs_is_given_up_after_ten_seconds),
        cmocka_unit_test(attempts_back_off_to_thirty_seconds_and_never_end),
        STORY(steady_registration_that_is_lost_is_renewed_at_once),
        STORY(relay_that_drops_us_right_after_the_ack_is_backed_off_from),
        cmocka_unit_test(start_delay_spreads_the_first_registration),
        cmocka_unit_test(rooms_only_never_registers),
        STORY(reflect_reports_the_observed_address),
        STORY(unanswered_reflect_reports_no_address_after_one_second),
        STORY(reflect_answer_that_is_no_address_is_not_believed),
        STORY(reflect_that_dies_with_the_connection_is_answered),
        STORY(ping_measures_the_round_trip),
        STORY(ping_without_pong_reports_zero_after_two_seconds),
        STORY(bad_and_unknown_messages_are_counted_and_the_connection_lives),
        cmocka_unit_test(calls_before_the_ack_are_ignored),
        STORY(messages_of_unknown_connections_are_ignored),
        STORY(every_incoming_message_is_traced),
        STORY(stop_leaves_the_relay_for_good),
        cmocka_unit_test(config_without_relay_or_rng_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
