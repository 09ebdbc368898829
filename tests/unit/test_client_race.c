/* Whom the client core races against, and how: our own kind, the reference, older peers, rooms. The test plays the relay
 * and the peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_direct.h"

static int new_world(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = DIRECT_BUILD });
    return 0;
}

static int end_world(void **state)
{
    world_free(*state);
    return 0;
}

/* ---- what is dialled ---- */

static void own_kind_dials_every_candidate_at_once_ipv6_too(void **state)
{
    struct client_world *w = *state;
    const uint64_t call =
        direct_set_up_own(w, DIRECT_PEER, "\"" DIRECT_HOST "\",\"[2001:db8::7]:5000\",\"junk\",\"" DIRECT_HOST "\"");
    assert_int_equal(world_dials(w, true), 3);
    assert_int_equal(world_dials(w, false), 1); /* the relay does not wait */
    world_direct_conn(w, DIRECT_HOST);
    world_direct_conn(w, "[2001:db8::7]:5000");
    char sni[80];
    (void)snprintf(sni, sizeof sni, "call-%s", direct_room(w, call));
    assert_string_equal(world_last_dial(w, true)->sni, sni);
}

static void reference_is_dialled_by_ipv4_hosts_first(void **state)
{
    struct client_world *w = *state;
    char text[WZ_ADDR_TEXT_MAX];
    direct_set_up_reference(w, "100.1.2.3:5000", "\"[2001:db8::7]:5000\",\"" DIRECT_HOST "\"");
    assert_int_equal(world_dials(w, true), 2);
    assert_string_equal(wz_addr_format(&world_last_dial(w, true)->to, text), "100.1.2.3:5000");
}

static void acceptor_dials_nobody(void **state)
{
    struct client_world *w = *state;
    direct_set_up_reference(w, DIRECT_PEER, "\"" DIRECT_HOST "\"");
    assert_int_equal(world_dials(w, true), 0);
}

static size_t knocks_at(const struct client_world *w, const char *addr)
{
    char text[WZ_ADDR_TEXT_MAX];
    size_t count = 0;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        const struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        if (effect->kind != WZP_CLIENT_KNOCK)
            continue;
        assert_int_equal(effect->body.len, 1); /* too short for any packet of QUIC, and no amplification */
        count += strcmp(wz_addr_format(&effect->to, text), addr) == 0;
    }
    return count;
}

static void acceptor_knocks_three_times_at_each_ipv4_address_of_the_reference(void **state)
{
    struct client_world *w = *state;
    direct_set_up_reference(w, DIRECT_PEER, "\"" DIRECT_HOST "\",\"[2001:db8::7]:5000\"");
    world_advance_ms(w, 2500);
    assert_int_equal(knocks_at(w, DIRECT_PEER), 3);
    assert_int_equal(knocks_at(w, DIRECT_HOST), 3);
    assert_int_equal(world_count(w, WZP_CLIENT_KNOCK), 6);
}

static void dialer_and_our_own_kind_knock_nowhere(void **state)
{
    struct client_world *w = *state;
    direct_set_up_reference(w, DIRECT_LOW, NULL);
    direct_set_up_own(w, DIRECT_PEER, NULL);
    world_advance_ms(w, 2500);
    assert_int_equal(world_count(w, WZP_CLIENT_KNOCK), 0);
}

/* ---- the four mixes ---- */

static void mix_both_advertise_they_race(void **state)
{
    struct client_world *w = *state;
    direct_set_up_own(w, DIRECT_PEER, NULL);
    assert_string_equal(world_event(w, WZP_LINE_SETUP)->peer_direct_addr, DIRECT_PEER);
    assert_int_equal(world_dials(w, true), 1);
}

static void mix_callee_private_stays_on_the_relay(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer_signed(w, call, WZP_ACCEPT_GENERIC, DIRECT_BUILD);
    world_setup_direct(w, call, NULL, NULL);
    assert_null(world_event(w, WZP_LINE_SETUP)->peer_direct_addr);
    assert_int_equal(world_accept(w, direct_room(w, call), DIRECT_PEER), 0);
    world_media_up(w, 2);
    assert_int_equal(world_event(w, WZP_LINE_MEDIA_UP)->path, WZP_LINE_PATH_RELAY);
    assert_int_equal(world_dials(w, true), 0);
}

static void private_callee_neither_dials_nor_accepts_nor_tells_its_address(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer_signed(w, "feed", DIRECT_BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_GENERIC, w->now_us), 0);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_REFLECT), 0);
    assert_int_equal(world_accept(w, "call-feed", DIRECT_PEER), 0);
    world_setup_direct(w, call, DIRECT_PEER, "\"" DIRECT_HOST "\"");
    assert_int_equal(world_dials(w, true), 0);
    assert_int_equal(world_accept(w, "call-feed", DIRECT_PEER), 0);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1); /* nothing to wait for */
}

static void mix_caller_old_gets_no_race_and_no_report(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", NULL);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_TRUSTED, w->now_us), 0);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    world_setup_direct(w, call, DIRECT_LOW, NULL);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    world_advance_ms(w, 5000);
    assert_int_equal(world_dials(w, true), 0);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 0);
}

static void mix_neither_advertises_and_media_is_up_at_once(void **state)
{
    struct client_world *w = *state;
    uint64_t call = 0;
    const struct wzp_line_dial dial = { .target_fingerprint = w->peer.fingerprint, .hide_addresses = true };
    assert_int_equal(wzp_client_call(w->client, &dial, w->now_us, &call), 0);
    world_drain(w);
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, DIRECT_BUILD);
    world_setup_direct(w, call, NULL, NULL);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(world_accept(w, direct_room(w, call), DIRECT_PEER), 0);
}

static void hidden_caller_does_not_show_itself_to_a_callee_that_advertises(void **state)
{
    struct client_world *w = *state;
    uint64_t call = 0;
    const struct wzp_line_dial dial = { .target_fingerprint = w->peer.fingerprint, .hide_addresses = true };
    assert_int_equal(wzp_client_call(w->client, &dial, w->now_us, &call), 0);
    world_drain(w);
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, DIRECT_BUILD);
    world_setup_direct(w, call, DIRECT_PEER, "\"" DIRECT_HOST "\"");
    assert_int_equal(world_dials(w, true), 0);
    world_advance_ms(w, 500);
    assert_false(direct_last_report(w));
}

static void seed_relay_means_no_race_and_no_report_with_the_reference(void **state)
{
    (void)state;
    struct client_world *w = world_new(NULL);
    direct_set_up_reference(w, DIRECT_LOW, NULL);
    world_media_up(w, 2);
    world_advance_ms(w, 5000);
    assert_int_equal(world_dials(w, true), 0);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 0);
    world_free(w);
}

static void seed_relay_carries_a_race_of_our_own_kind_without_reports(void **state)
{
    (void)state;
    struct client_world *w = world_new(NULL);
    uint64_t conn = 0;
    direct_talk(w, &conn);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1);
    assert_int_equal(world_sent_on(w, w->signal, WZP_SIG_MEDIA_PATH_REPORT), 0);
    world_free(w);
}

static void no_direct_tells_no_address_and_takes_no_direct_path(void **state)
{
    (void)state;
    struct client_world *w = world_new(
        &(struct client_world_options){ .relay_build = DIRECT_BUILD, .no_direct = true, .share_local_addrs = true });
    struct wzp_line_addresses known = { .host_count = 1 };
    assert_int_equal(wz_addr_parse("192.168.1.5:4000", &known.host[0]), 0);
    wzp_client_set_addresses(w->client, &known);
    const uint64_t call = world_place_call(w);
    struct wzp_signal offer = world_last_sent(w, WZP_SIG_DIRECT_CALL_OFFER);
    assert_null(offer.offer.caller_reflexive_addr);
    assert_int_equal(offer.offer.caller_local_addrs.count, 0);
    wzp_signal_done(&offer);
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, DIRECT_BUILD);
    world_setup_direct(w, call, DIRECT_PEER, NULL);
    assert_int_equal(world_dials(w, true), 0);
    assert_int_equal(world_accept(w, direct_room(w, call), DIRECT_PEER), 0);
    world_advance_ms(w, 500);
    assert_false(direct_last_report(w)); /* spares the peer its wait */
    world_free(w);
}

/* ---- with the reference ---- */

static void rust_dialer_wins_when_both_report_direct(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_reference(w, DIRECT_PEER, NULL);
    const uint64_t relay = world_media_up(w, 1);
    const uint64_t conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
    assert_true(conn != 0);
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_HELLO), 0); /* it does not know it */
    world_advance_ms(w, 499);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 0);
    world_advance_ms(w, 1);
    assert_true(direct_last_report(w));
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_report(w, w->signal, world_call_id(w, call), true);
    assert_int_equal(direct_used(w), conn);
    assert_int_equal(world_event(w, WZP_LINE_MEDIA_UP)->path, WZP_LINE_PATH_DIRECT);
    wzp_client_media_seen(w->client, call, w->now_us);
    world_drain(w);
    assert_true(world_is_closed(w, relay));
    world_advance_ms(w, 1000);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 2);
    assert_int_equal(world_sent(w, WZP_SIG_PING), 0);
}

static void rust_acceptor_is_dialled_and_agrees(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_reference(w, "100.1.2.3:5000", "\"" DIRECT_HOST "\"");
    const uint64_t host = world_direct_conn(w, DIRECT_HOST), mapped = world_direct_conn(w, "100.1.2.3:5000");
    world_direct_up(w, mapped);
    assert_true(world_is_closed(w, host));
    assert_int_equal(world_accept(w, direct_room(w, call), DIRECT_PEER), 0);
    world_report(w, w->signal, world_call_id(w, call), true);
    assert_int_equal(direct_used(w), mapped);
}

static void peer_that_says_no_keeps_the_call_on_the_relay(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_reference(w, DIRECT_PEER, NULL);
    const uint64_t relay = world_media_up(w, 1), conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
    world_report(w, w->signal, world_call_id(w, call), false);
    assert_int_equal(direct_used(w), relay);
    assert_true(world_is_closed(w, conn));
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
}

static void missing_report_leads_to_the_relay_three_seconds_after_our_decision(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_reference(w, DIRECT_PEER, NULL);
    const uint64_t relay = world_media_up(w, 1);
    world_accept(w, direct_room(w, call), DIRECT_PEER);
    world_advance_ms(w, 2999);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_advance_ms(w, 1);
    assert_int_equal(direct_used(w), relay);
}

static void rust_peer_whose_report_was_lost_is_heard_on_the_direct_path(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_reference(w, DIRECT_PEER, NULL);
    const uint64_t relay = world_media_up(w, 1), conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
    world_advance_ms(w, 3000);
    assert_int_equal(direct_used(w), relay);
    assert_false(world_is_closed(w, conn));
    wzp_client_media_seen(w->client, call, w->now_us); /* in the room: says nothing of the other path */
    world_drain(w);
    assert_int_equal(direct_used(w), relay);
    wzp_client_media_elsewhere(w->client, conn, w->now_us);
    world_drain(w);
    assert_int_equal(direct_used(w), conn);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(world_event(w, WZP_LINE_PATH)->path, WZP_LINE_PATH_DIRECT);
}

static void media_before_the_hello_is_nobodys(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
    wzp_client_media_elsewhere(w->client, conn, w->now_us);
    wzp_client_media_elsewhere(w->client, conn + 1000, w->now_us);
    wzp_client_media_elsewhere(w->client, 0, w->now_us);
    world_drain(w);
    assert_int_equal(world_count(w, WZP_CLIENT_USE), 0);
}

static void late_report_of_another_call_decides_nothing(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_reference(w, DIRECT_PEER, NULL);
    world_accept(w, direct_room(w, call), DIRECT_PEER);
    world_report(w, w->signal, "feed", true);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    assert_int_equal(wzp_client_stats(w->client)->unknown_calls, 1);
}

static void report_that_comes_before_setup_is_kept(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, DIRECT_BUILD);
    world_report(w, w->signal, world_call_id(w, call), true);
    world_setup_direct(w, call, DIRECT_PEER, NULL);
    const uint64_t conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
    assert_int_equal(direct_used(w), conn);
}

static void direct_with_a_silent_rust_peer_goes_to_the_relay_room_too(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_reference(w, DIRECT_PEER, NULL);
    const uint64_t relay = world_media_up(w, 1), conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
    world_report(w, w->signal, world_call_id(w, call), true);
    world_advance_ms(w, 2000);
    assert_int_equal(direct_used(w), relay);
    assert_false(world_is_closed(w, conn));
    world_room_count(w, relay, 2); /* it had chosen the relay */
    assert_true(world_is_closed(w, conn));
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void without_our_own_text_there_is_no_role(void **state)
{
    struct client_world *w = *state;
    uint64_t call = 0;
    const struct wzp_line_dial dial = { .target_fingerprint = w->peer.fingerprint };
    assert_int_equal(wzp_client_call(w->client, &dial, w->now_us, &call), 0);
    world_advance_ms(w, 1000); /* the Reflect is not answered: nothing cached stands in */
    world_answer(w, call, DIRECT_BUILD);
    world_setup_direct(w, call, DIRECT_PEER, NULL);
    world_media_up(w, 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(world_accept(w, direct_room(w, call), DIRECT_PEER), 0);
}

/* ---- rooms ---- */

static uint64_t join(struct client_world *w, const char *peer_direct_addr)
{
    uint64_t call = 0;
    const struct wzp_line_room room = { .name = "Ops", .peer_direct_addr = peer_direct_addr };
    assert_int_equal(wzp_client_join(w->client, &room, w->now_us, &call), 0);
    world_drain(w);
    return call;
}

static void room_with_a_peer_address_races_under_the_rooms_name(void **state)
{
    struct client_world *w = *state;
    join(w, DIRECT_PEER);
    const uint64_t conn = world_direct_conn(w, DIRECT_PEER);
    assert_string_equal(world_last_dial(w, true)->sni, "call-ops");
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, "ops");
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1);
    world_report(w, conn, "ops", true);
    assert_int_equal(direct_used(w), conn);
    assert_int_equal(world_event(w, WZP_LINE_PATH)->path, WZP_LINE_PATH_DIRECT);
    assert_int_equal(world_sent_on(w, w->signal, WZP_SIG_MEDIA_PATH_REPORT), 0);
}

static void room_accepts_any_identity_but_its_own(void **state)
{
    struct client_world *w = *state;
    join(w, DIRECT_PEER);
    struct wzp_identity self;
    const uint8_t seed[WZP_SEED_BYTES] = { 3 };
    assert_int_equal(wzp_identity_from_seed(seed, &self), 0);
    const uint64_t mirror = world_accept(w, "ops", DIRECT_PEER), other = world_accept(w, "ops", DIRECT_PEER);
    world_hello(w, mirror, &self, "ops");
    assert_true(world_is_closed(w, mirror));
    world_hello(w, other, &w->relay, "ops");
    assert_false(world_is_closed(w, other));
    wzp_identity_done(&self);
}

static void room_races_again_when_the_peer_comes_later(void **state)
{
    struct client_world *w = *state;
    join(w, DIRECT_PEER);
    const uint64_t relay = world_media_up(w, 1);
    world_advance_ms(w, 10000); /* alone */
    assert_int_equal(world_dials(w, true), 1);
    world_room_count(w, relay, 2);
    assert_int_equal(world_dials(w, true), 2);
    const uint64_t conn = world_last_dial(w, true)->conn;
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, "ops");
    world_report(w, conn, "ops", true);
    assert_int_equal(direct_used(w), conn);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 0);
}

static void lost_direct_path_of_a_room_returns_to_the_relay(void **state)
{
    struct client_world *w = *state;
    join(w, DIRECT_PEER);
    const uint64_t conn = world_direct_conn(w, DIRECT_PEER);
    world_media_up(w, 2);
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, "ops");
    world_report(w, conn, "ops", true);
    world_closed(w, conn, "idle");
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    const uint64_t again = world_media_up(w, 1);
    assert_int_equal(direct_used(w), again);
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0); /* a room may be empty */
    assert_int_equal(world_dials(w, true), 1);            /* what has died once is left alone */
}

static void room_takes_no_direct_path_without_an_address_or_with_no_direct(void **state)
{
    struct client_world *w = *state;
    join(w, NULL);
    assert_int_equal(world_accept(w, "ops", DIRECT_PEER), 0);
    uint64_t call = 0;
    const struct wzp_line_room bad = { .name = "x", .peer_direct_addr = "junk" };
    assert_int_equal(wzp_client_join(w->client, &bad, w->now_us, &call), -EINVAL);
    struct client_world *shy = world_new(&(struct client_world_options){ .rooms_only = true, .no_direct = true });
    join(shy, DIRECT_PEER);
    assert_int_equal(world_dials(shy, true), 0);
    assert_int_equal(world_accept(shy, "ops", DIRECT_PEER), 0);
    world_free(shy);
}

int main(void)
{
#define OWN(name) cmocka_unit_test_setup_teardown(name, new_world, end_world)
    const struct CMUnitTest tests[] = {
        OWN(own_kind_dials_every_candidate_at_once_ipv6_too),
        OWN(reference_is_dialled_by_ipv4_hosts_first),
        OWN(acceptor_dials_nobody),
        OWN(acceptor_knocks_three_times_at_each_ipv4_address_of_the_reference),
        OWN(dialer_and_our_own_kind_knock_nowhere),
        OWN(mix_both_advertise_they_race),
        OWN(mix_callee_private_stays_on_the_relay),
        OWN(private_callee_neither_dials_nor_accepts_nor_tells_its_address),
        OWN(mix_caller_old_gets_no_race_and_no_report),
        OWN(mix_neither_advertises_and_media_is_up_at_once),
        OWN(hidden_caller_does_not_show_itself_to_a_callee_that_advertises),
        cmocka_unit_test(seed_relay_means_no_race_and_no_report_with_the_reference),
        cmocka_unit_test(seed_relay_carries_a_race_of_our_own_kind_without_reports),
        cmocka_unit_test(no_direct_tells_no_address_and_takes_no_direct_path),
        OWN(rust_dialer_wins_when_both_report_direct),
        OWN(rust_acceptor_is_dialled_and_agrees),
        OWN(peer_that_says_no_keeps_the_call_on_the_relay),
        OWN(missing_report_leads_to_the_relay_three_seconds_after_our_decision),
        OWN(rust_peer_whose_report_was_lost_is_heard_on_the_direct_path),
        OWN(media_before_the_hello_is_nobodys),
        OWN(late_report_of_another_call_decides_nothing),
        OWN(report_that_comes_before_setup_is_kept),
        OWN(direct_with_a_silent_rust_peer_goes_to_the_relay_room_too),
        OWN(without_our_own_text_there_is_no_role),
        OWN(room_with_a_peer_address_races_under_the_rooms_name),
        OWN(room_accepts_any_identity_but_its_own),
        OWN(room_races_again_when_the_peer_comes_later),
        OWN(lost_direct_path_of_a_room_returns_to_the_relay),
        OWN(room_takes_no_direct_path_without_an_address_or_with_no_direct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
