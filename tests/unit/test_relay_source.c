/* What one address may ask of a relay: the buckets, the bounded table of sources, and what the sender learns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"
#include "wzp/core/relay_source.h"

#define HERE  "203.0.113.7:40007"
#define THERE "203.0.113.8:40007"

/* ---- the table alone ---- */

static void fill_fixed(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    memset(out, 0x42, len);
}

static int setup(void **state)
{
    static const struct wz_rng rng = { .fill = fill_fixed };
    struct relay_sources *sources = calloc(1, sizeof *sources);
    *state = sources;
    if (relay_sources_init(sources, &rng) != 0)
        return -1;
    for (size_t i = 0; i < RELAY_CHARGE_COUNT; i++)
        sources->per_minute[i] = 2;
    sources->max_waiting = 2;
    return 0;
}

static int teardown(void **state)
{
    relay_sources_done(*state);
    free(*state);
    return 0;
}

static struct wz_addr v4(uint32_t number)
{
    struct wz_addr addr = { .family = WZ_ADDR_V4, .port = 1, .ip = { 10 } };
    for (size_t i = 1; i < 4; i++)
        addr.ip[i] = (uint8_t)(number >> (24 - 8 * i));
    return addr;
}

static struct wz_addr parsed(const char *text)
{
    struct wz_addr addr;
    assert_int_equal(wz_addr_parse(text, &addr), 0);
    return addr;
}

static bool take(struct relay_sources *sources, const struct wz_addr *addr, uint64_t now_us)
{
    return relay_source_take(sources, addr, RELAY_CHARGE_OFFER, now_us);
}

static void minutes_worth_passes_at_once_and_refills_evenly(void **state)
{
    struct relay_sources *sources = *state;
    const struct wz_addr addr = v4(1);
    assert_true(take(sources, &addr, 0) && take(sources, &addr, 0));
    assert_false(take(sources, &addr, 0));
    assert_false(take(sources, &addr, WZP_RELAY_MINUTE_US / 2 - 1));
    assert_true(take(sources, &addr, WZP_RELAY_MINUTE_US / 2));
    assert_false(take(sources, &addr, WZP_RELAY_MINUTE_US / 2));
    assert_true(take(sources, &addr, 10 * WZP_RELAY_MINUTE_US) && take(sources, &addr, 10 * WZP_RELAY_MINUTE_US));
    assert_false(take(sources, &addr, 10 * WZP_RELAY_MINUTE_US)); /* unused time does not pile up */
}

static void kinds_are_charged_apart_and_asking_charges_nothing(void **state)
{
    struct relay_sources *sources = *state;
    const struct wz_addr addr = v4(1);
    for (int i = 0; i < 5; i++)
        assert_true(relay_source_has(sources, &addr, RELAY_CHARGE_OFFER, 0));
    assert_true(take(sources, &addr, 0) && take(sources, &addr, 0));
    assert_false(relay_source_has(sources, &addr, RELAY_CHARGE_OFFER, 0));
    assert_true(relay_source_take(sources, &addr, RELAY_CHARGE_JOIN, 0));
}

static void source_is_an_ipv4_address_or_an_ipv6_64(void **state)
{
    struct relay_sources *sources = *state;
    static const struct {
        const char *first, *second;
        bool same;
    } rows[] = {
        { "192.0.2.1:1", "192.0.2.1:2", true },
        { "192.0.2.2:1", "192.0.2.3:1", false },
        { "192.0.2.4:1", "[::ffff:192.0.2.4]:1", true },
        { "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", true },
        { "[2001:db8:0:2::1]:1", "[2001:db8:0:3::1]:1", false },
        { "0.0.0.5:1", "[0:5::]:1", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct wz_addr first = parsed(rows[i].first), second = parsed(rows[i].second);
        assert_true(take(sources, &first, 0) && take(sources, &first, 0));
        assert_int_equal(take(sources, &second, 0), !rows[i].same);
    }
}

static void waiting_connections_are_counted_and_released(void **state)
{
    struct relay_sources *sources = *state;
    const struct wz_addr addr = v4(1), other = v4(2);
    struct relay_source *first = relay_source_wait(sources, &addr, 0), *second = relay_source_wait(sources, &addr, 0);
    assert_non_null(first);
    assert_ptr_equal(first, second);
    assert_null(relay_source_wait(sources, &addr, 0));
    assert_non_null(relay_source_wait(sources, &other, 0));
    relay_source_waited(sources, first);
    assert_non_null(relay_source_wait(sources, &addr, 0));
}

static void sources_at_rest_are_forgotten_as_new_ones_come(void **state)
{
    struct relay_sources *sources = *state;
    for (uint32_t i = 0; i < 100; i++) {
        const struct wz_addr addr = v4(i);
        assert_true(take(sources, &addr, 0));
    }
    assert_int_equal(sources->map.count, 100);
    for (uint32_t i = 100; i < 200; i++) {
        const struct wz_addr addr = v4(i);
        assert_true(take(sources, &addr, WZP_RELAY_MINUTE_US));
    }
    assert_int_equal(sources->map.count, 100);
}

static void table_is_bounded_and_a_full_bucket_goes_before_an_empty_one(void **state)
{
    struct relay_sources *sources = *state;
    const struct wz_addr hostile = v4(0), resting = v4(1), newcomer = v4(1 << 20);
    assert_true(take(sources, &hostile, 0) && take(sources, &hostile, 0)); /* empty for a minute: the oldest entry */
    assert_true(take(sources, &resting, 0));                               /* full again after half a minute */
    const uint64_t now_us = WZP_RELAY_MINUTE_US / 2 - 1;
    for (uint32_t i = 2; i < WZP_RELAY_SOURCES_MAX; i++) {
        const struct wz_addr addr = v4(i);
        assert_true(take(sources, &addr, now_us) && take(sources, &addr, now_us));
    }
    assert_int_equal(sources->map.count, WZP_RELAY_SOURCES_MAX);
    assert_true(take(sources, &newcomer, now_us + 1));
    assert_int_equal(sources->map.count, WZP_RELAY_SOURCES_MAX);
    assert_true(take(sources, &hostile, now_us + 1));  /* what half a minute earned it ... */
    assert_false(take(sources, &hostile, now_us + 1)); /* ... and not a new bucket */
}

static void longest_unused_source_goes_when_none_is_at_rest(void **state)
{
    struct relay_sources *sources = *state;
    for (uint32_t i = 0; i <= WZP_RELAY_SOURCES_MAX; i++) {
        const struct wz_addr addr = v4(i);
        assert_true(take(sources, &addr, 0) && take(sources, &addr, 0));
    }
    const struct wz_addr oldest = v4(0), second = v4(1);
    assert_int_equal(sources->map.count, WZP_RELAY_SOURCES_MAX);
    assert_false(take(sources, &second, 0));
    assert_true(take(sources, &oldest, 0));
}

static void sources_with_waiting_connections_are_never_forgotten(void **state)
{
    struct relay_sources *sources = *state;
    const struct wz_addr newcomer = v4(1 << 20);
    struct relay_source *first = NULL;
    for (uint32_t i = 0; i < WZP_RELAY_SOURCES_MAX; i++) {
        const struct wz_addr addr = v4(i);
        struct relay_source *source = relay_source_wait(sources, &addr, 0);
        assert_non_null(source);
        first = first ? first : source;
    }
    assert_false(take(sources, &newcomer, 0));
    assert_null(relay_source_wait(sources, &newcomer, 0));
    relay_source_waited(sources, first);
    assert_true(take(sources, &newcomer, 0));
}

/* ---- what the sender learns ---- */

static void offers_over_the_limit_of_a_source_are_hung_up_with_an_error(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .source_offers_per_minute = 2 });
    const uint64_t alice = relay_world_register(w, ALICE), carol = relay_world_register(w, CAROL);
    relay_world_offer(w, alice, ALICE, BOB, "c1", NULL, NULL);
    relay_world_offer(w, carol, CAROL, BOB, "c2", NULL, NULL); /* another user behind the same address */
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c1");
    relay_world_take_hangup(w, carol, WZP_HANGUP_NORMAL, "c2");
    relay_world_offer(w, alice, ALICE, BOB, "c3", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_ERROR, "c3");
    assert_int_equal(relay_world_stats(w)->refused_source, 1);

    const uint64_t elsewhere = relay_world_connect_from(w, "_signal", THERE, RELAY_WORLD_LOCAL);
    relay_world_send_register(w, elsewhere, BOB);
    relay_world_expect(w, elsewhere, WZP_SIG_REGISTER_PRESENCE_ACK);
    relay_world_offer(w, elsewhere, BOB, ALICE, "c4", NULL, NULL);
    relay_world_expect(w, elsewhere, WZP_SIG_CALL_RINGING);
    relay_world_ignore(w, alice);

    relay_world_advance_ms(w, 30000);
    relay_world_offer(w, alice, ALICE, DAVE, "c5", NULL, NULL);
    relay_world_take_hangup(w, alice, WZP_HANGUP_NORMAL, "c5");
}

static void reflects_and_pings_over_the_limit_of_a_source_are_not_answered(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .source_reflects_per_minute = 2 });
    const uint64_t conn = relay_world_register(w, ALICE);
    relay_world_send_text(w, conn, "\"Reflect\"");
    relay_world_send_text(w, conn, "{\"Ping\":{\"timestamp_ms\":1}}");
    relay_world_expect(w, conn, WZP_SIG_REFLECT_RESPONSE);
    relay_world_expect(w, conn, WZP_SIG_PONG);
    relay_world_send_text(w, conn, "\"Reflect\"");
    relay_world_send_text(w, conn, "{\"Ping\":{\"timestamp_ms\":1}}");
    relay_world_send_register(w, conn, ALICE);
    assert_int_equal(relay_world_waiting(w, conn), 0);
    assert_true(relay_world_is_open(w, conn));
    assert_int_equal(relay_world_stats(w)->refused_source, 3);
    assert_int_equal(relay_world_stats(w)->reflects_total, 1);
}

static void joins_over_the_limit_of_a_source_are_closed_with_a_reason(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .source_joins_per_minute = 1 });
    relay_world_enter(w, ALICE, "ops");
    const uint64_t again = relay_world_join(w, BOB, "ops", NULL);
    assert_string_equal(relay_world_conn(w, again)->close_reason, "too many joins from this address, wait a minute");
    const uint64_t elsewhere = relay_world_join_from(w, BOB, "ops", THERE);
    relay_world_expect(w, elsewhere, WZP_SIG_CALL_ANSWER);
    assert_int_equal(relay_world_stats(w)->refused_source, 1);
    assert_int_equal(relay_world_stats(w)->sessions, 2);
}

static void registrations_over_the_limit_of_a_source_are_closed_with_a_reason(void **state)
{
    struct relay_world *w =
        relay_world_restart(state, &(struct wzp_relay_config){ .source_registrations_per_minute = 1 });
    relay_world_register_plain(w, ALICE);
    const uint64_t bob = relay_world_connect(w, "_signal");
    relay_world_send_register(w, bob, BOB);
    struct wzp_signal ack = relay_world_take(w, bob, WZP_SIG_REGISTER_PRESENCE_ACK);
    assert_false(ack.register_ack.success);
    assert_string_equal(ack.register_ack.error, "too many registrations from this address, wait a minute");
    wzp_signal_done(&ack);
    assert_string_equal(relay_world_conn(w, bob)->close_reason,
                        "too many registrations from this address, wait a minute");
    assert_int_equal(relay_world_stats(w)->refused_source, 1);
    relay_world_register(w, CAROL); /* signed: another bucket */
}

static void signed_registrations_have_a_larger_limit_of_their_own(void **state)
{
    struct relay_world *w =
        relay_world_restart(state, &(struct wzp_relay_config){ .source_registrations_per_minute = 1,
                                                               .source_signed_registrations_per_minute = 3 });
    for (unsigned user = 0; user < 3; user++)
        relay_world_register(w, user);
    const uint64_t fourth = relay_world_connect(w, "_signal");
    relay_world_send_signed_register(w, fourth, DAVE);
    assert_false(relay_world_is_open(w, fourth));
    relay_world_register_plain(w, DAVE);
}

static void gateway_registers_ten_thousand_times_from_one_address_by_default(void **state)
{
    struct relay_world *w = *state;
    w->silent = true;
    for (unsigned i = 0; i < 10000; i++) {
        const uint64_t conn = relay_world_connect(w, "_signal");
        relay_world_send_signed_register(w, conn, i % RELAY_WORLD_USERS);
        assert_true(relay_world_is_open(w, conn));
        relay_world_forget(w, conn);
        w->now_us += 6000; /* its jitter spreads them over a minute */
    }
    assert_int_equal(relay_world_stats(w)->registrations_total, 10000);
    assert_int_equal(relay_world_stats(w)->refused_source, 0);
}

static void wrong_signature_is_charged_as_none(void **state)
{
    struct relay_world *w =
        relay_world_restart(state, &(struct wzp_relay_config){ .source_registrations_per_minute = 1 });
    struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE };
    struct wzp_signed_keys *keys = &signal.register_presence.keys;
    keys->has_identity = true;
    keys->signature_len = WZP_SIGNATURE_BYTES;
    memcpy(keys->identity_pub, w->user[BOB].ed25519_public, WZP_KEY_BYTES);
    for (int i = 0; i < 2; i++) {
        const uint64_t conn = relay_world_connect(w, "_signal");
        relay_world_send(w, conn, &signal);
        assert_int_equal(relay_world_is_open(w, conn), i == 0);
    }
}

static void nat_probes_are_charged_as_registrations(void **state)
{
    struct relay_world *w =
        relay_world_restart(state, &(struct wzp_relay_config){ .source_registrations_per_minute = 1 });
    for (int i = 0; i < 2; i++) {
        const uint64_t probe = relay_world_connect(w, "_signal");
        relay_world_send(w, probe, &(struct wzp_signal){ .kind = WZP_SIG_REGISTER_PRESENCE });
        assert_int_equal(relay_world_is_open(w, probe), i == 0);
    }
}

static void connections_over_the_limit_that_wait_are_closed_with_a_reason(void **state)
{
    struct relay_world *w = relay_world_restart(state, &(struct wzp_relay_config){ .source_waiting = 2 });
    const uint64_t first = relay_world_connect(w, "_signal");
    relay_world_connect(w, "ops");
    const uint64_t third = relay_world_connect(w, "_signal");
    assert_string_equal(relay_world_conn(w, third)->close_reason,
                        "too many connections waiting from this address, wait a minute");
    assert_true(relay_world_is_open(w, relay_world_connect_from(w, "_signal", THERE, RELAY_WORLD_LOCAL)));
    relay_world_send_register(w, first, ALICE); /* it waits no longer */
    assert_true(relay_world_is_open(w, relay_world_connect(w, "_signal")));
    assert_false(relay_world_is_open(w, relay_world_connect(w, "_signal")));
    relay_world_advance_ms(w, 10000); /* they have timed out */
    assert_true(relay_world_is_open(w, relay_world_connect(w, "ops")));
    assert_int_equal(relay_world_stats(w)->refused_source, 2);
}

int main(void)
{
#define TABLE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define STORY(name) cmocka_unit_test_setup_teardown(name, relay_world_setup, relay_world_teardown)
    const struct CMUnitTest tests[] = {
        TABLE(minutes_worth_passes_at_once_and_refills_evenly),
        TABLE(kinds_are_charged_apart_and_asking_charges_nothing),
        TABLE(source_is_an_ipv4_address_or_an_ipv6_64),
        TABLE(waiting_connections_are_counted_and_released),
        TABLE(sources_at_rest_are_forgotten_as_new_ones_come),
        TABLE(table_is_bounded_and_a_full_bucket_goes_before_an_empty_one),
        TABLE(longest_unused_source_goes_when_none_is_at_rest),
        TABLE(sources_with_waiting_connections_are_never_forgotten),
        STORY(offers_over_the_limit_of_a_source_are_hung_up_with_an_error),
        STORY(reflects_and_pings_over_the_limit_of_a_source_are_not_answered),
        STORY(joins_over_the_limit_of_a_source_are_closed_with_a_reason),
        STORY(registrations_over_the_limit_of_a_source_are_closed_with_a_reason),
        STORY(signed_registrations_have_a_larger_limit_of_their_own),
        STORY(gateway_registers_ten_thousand_times_from_one_address_by_default),
        STORY(wrong_signature_is_charged_as_none),
        STORY(nat_probes_are_charged_as_registrations),
        STORY(connections_over_the_limit_that_wait_are_closed_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
