/* The direct path of a call, seen from one client core; the test plays the relay and the peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_world.h"
#include "wzp/core/race.h"

#define BUILD     "9377a90"
#define PEER_ADDR "9.9.9.9:5000"  /* after WORLD_ADDR as a text: we accept */
#define LOW_ADDR  "10.1.1.1:5000" /* before it: we dial */
#define PEER_HOST "192.168.7.7:5000"

static int new_world(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = BUILD });
    return 0;
}

/** The peer nominates. */
static int following_world(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = BUILD, .peer_is_smaller = true });
    return 0;
}

static int end_world(void **state)
{
    world_free(*state);
    return 0;
}

static const char *room_of(struct client_world *w, uint64_t call)
{
    static char room[80];
    (void)snprintf(room, sizeof room, "call-%s", world_call_id(w, call));
    return room;
}

static bool last_report(struct client_world *w)
{
    struct wzp_signal report = world_last_sent(w, WZP_SIG_MEDIA_PATH_REPORT);
    const bool ok = report.path_report.direct_ok;
    assert_string_equal(report.path_report.race_winner, ok ? "Direct" : "Relay");
    wzp_signal_done(&report);
    return ok;
}

static uint64_t used(const struct client_world *w)
{
    const struct wzp_client_effect *use = world_last(w, WZP_CLIENT_USE);
    return use ? use->conn : 0;
}

static uint64_t relay_conn(const struct client_world *w)
{
    assert_non_null(world_last_dial(w, false));
    return world_last_dial(w, false)->conn;
}

/** A call with a reference peer up to CallSetup. */
static uint64_t set_up_reference(struct client_world *w, const char *peer_direct_addr, const char *local)
{
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    world_clear(w);
    world_setup_direct(w, call, peer_direct_addr, local);
    return call;
}

/** The same with our own kind. */
static uint64_t set_up_own(struct client_world *w, const char *peer_direct_addr, const char *local)
{
    const uint64_t call = world_place_call(w);
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, BUILD);
    world_clear(w);
    world_setup_direct(w, call, peer_direct_addr, local);
    return call;
}

/** Direct with our own kind, nominated by us; the relay's leg has been dropped. Returns the call. */
static uint64_t talk_directly(struct client_world *w, uint64_t *ret_conn)
{
    const uint64_t call = set_up_own(w, PEER_ADDR, NULL);
    const uint64_t conn = world_direct_conn(w, PEER_ADDR);
    world_media_up(w, 2);
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(used(w), conn);
    *ret_conn = conn;
    return call;
}

/* ---- what is dialled ---- */

static void own_kind_dials_every_candidate_at_once_ipv6_too(void **state)
{
    struct client_world *w = *state;
    const uint64_t call =
        set_up_own(w, PEER_ADDR, "\"" PEER_HOST "\",\"[2001:db8::7]:5000\",\"junk\",\"" PEER_HOST "\"");
    assert_int_equal(world_dials(w, true), 3);
    assert_int_equal(world_dials(w, false), 1); /* the relay does not wait */
    world_direct_conn(w, PEER_HOST);
    world_direct_conn(w, "[2001:db8::7]:5000");
    char sni[80];
    (void)snprintf(sni, sizeof sni, "call-%s", room_of(w, call));
    assert_string_equal(world_last_dial(w, true)->sni, sni);
}

static void reference_is_dialled_by_ipv4_hosts_first(void **state)
{
    struct client_world *w = *state;
    char text[WZ_ADDR_TEXT_MAX];
    set_up_reference(w, "100.1.2.3:5000", "\"[2001:db8::7]:5000\",\"" PEER_HOST "\"");
    assert_int_equal(world_dials(w, true), 2);
    assert_string_equal(wz_addr_format(&world_last_dial(w, true)->to, text), "100.1.2.3:5000");
}

static void acceptor_dials_nobody(void **state)
{
    struct client_world *w = *state;
    set_up_reference(w, PEER_ADDR, "\"" PEER_HOST "\"");
    assert_int_equal(world_dials(w, true), 0);
}

/* ---- the four mixes ---- */

static void mix_both_advertise_they_race(void **state)
{
    struct client_world *w = *state;
    set_up_own(w, PEER_ADDR, NULL);
    assert_string_equal(world_event(w, WZP_LINE_SETUP)->peer_direct_addr, PEER_ADDR);
    assert_int_equal(world_dials(w, true), 1);
}

static void mix_callee_private_stays_on_the_relay(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer_signed(w, call, WZP_ACCEPT_GENERIC, BUILD);
    world_setup_direct(w, call, NULL, NULL);
    assert_null(world_event(w, WZP_LINE_SETUP)->peer_direct_addr);
    assert_int_equal(world_accept(w, room_of(w, call), PEER_ADDR), 0);
    world_media_up(w, 2);
    assert_int_equal(world_event(w, WZP_LINE_MEDIA_UP)->path, WZP_LINE_PATH_RELAY);
    assert_int_equal(world_dials(w, true), 0);
}

static void private_callee_neither_dials_nor_accepts_nor_tells_its_address(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer_signed(w, "feed", BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_GENERIC, w->now_us), 0);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_REFLECT), 0);
    assert_int_equal(world_accept(w, "call-feed", PEER_ADDR), 0);
    world_setup_direct(w, call, PEER_ADDR, "\"" PEER_HOST "\"");
    assert_int_equal(world_dials(w, true), 0);
    assert_int_equal(world_accept(w, "call-feed", PEER_ADDR), 0);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1); /* nothing to wait for */
}

static void mix_caller_old_gets_no_race_and_no_report(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", NULL);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_TRUSTED, w->now_us), 0);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    world_setup_direct(w, call, LOW_ADDR, NULL);
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
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, BUILD);
    world_setup_direct(w, call, NULL, NULL);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(world_accept(w, room_of(w, call), PEER_ADDR), 0);
}

static void hidden_caller_does_not_show_itself_to_a_callee_that_advertises(void **state)
{
    struct client_world *w = *state;
    uint64_t call = 0;
    const struct wzp_line_dial dial = { .target_fingerprint = w->peer.fingerprint, .hide_addresses = true };
    assert_int_equal(wzp_client_call(w->client, &dial, w->now_us, &call), 0);
    world_drain(w);
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, BUILD);
    world_setup_direct(w, call, PEER_ADDR, "\"" PEER_HOST "\"");
    assert_int_equal(world_dials(w, true), 0);
    world_advance_ms(w, 500);
    assert_false(last_report(w));
}

static void seed_relay_means_no_race_and_no_report_with_the_reference(void **state)
{
    (void)state;
    struct client_world *w = world_new(NULL);
    set_up_reference(w, LOW_ADDR, NULL);
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
    talk_directly(w, &conn);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1);
    assert_int_equal(world_sent_on(w, w->signal, WZP_SIG_MEDIA_PATH_REPORT), 0);
    world_free(w);
}

static void no_direct_tells_no_address_and_takes_no_direct_path(void **state)
{
    (void)state;
    struct client_world *w =
        world_new(&(struct client_world_options){ .relay_build = BUILD, .no_direct = true, .share_local_addrs = true });
    struct wzp_line_addresses known = { .host_count = 1 };
    assert_int_equal(wz_addr_parse("192.168.1.5:4000", &known.host[0]), 0);
    wzp_client_set_addresses(w->client, &known);
    const uint64_t call = world_place_call(w);
    struct wzp_signal offer = world_last_sent(w, WZP_SIG_DIRECT_CALL_OFFER);
    assert_null(offer.offer.caller_reflexive_addr);
    assert_int_equal(offer.offer.caller_local_addrs.count, 0);
    wzp_signal_done(&offer);
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, BUILD);
    world_setup_direct(w, call, PEER_ADDR, NULL);
    assert_int_equal(world_dials(w, true), 0);
    assert_int_equal(world_accept(w, room_of(w, call), PEER_ADDR), 0);
    world_advance_ms(w, 500);
    assert_false(last_report(w)); /* spares the peer its wait */
    world_free(w);
}

/* ---- between our own kind ---- */

static void verified_connection_becomes_the_path(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, NULL);
    const uint64_t conn = world_direct_conn(w, PEER_ADDR);
    world_direct_up(w, conn);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_DIRECT_HELLO), 1);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 0);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1); /* nominated */
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(used(w), conn);
    assert_int_equal(world_event(w, WZP_LINE_PATH)->path, WZP_LINE_PATH_DIRECT);
    assert_string_equal(world_event(w, WZP_LINE_PATH)->path_remote, PEER_ADDR);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_true(last_report(w));
    assert_int_equal(world_sent_on(w, w->signal, WZP_SIG_MEDIA_PATH_REPORT), 1);
    assert_int_equal(wzp_client_stats(w->client)->direct_won, 1);
}

static void our_hello_is_signed_for_this_connection_and_call(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, NULL);
    const uint64_t conn = world_direct_conn(w, PEER_ADDR);
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    char owner[WZP_FINGERPRINT_TEXT];
    world_exporter(conn, exporter);
    world_direct_up(w, conn);
    struct wzp_signal hello = world_last_sent(w, WZP_SIG_DIRECT_HELLO);
    assert_string_equal(hello.direct_hello.call_id, world_call_id(w, call));
    assert_int_equal(wzp_check_direct_hello(&hello.direct_hello.keys, exporter, world_call_id(w, call)), 0);
    assert_int_equal(wzp_fingerprint_of_key(hello.direct_hello.keys.identity_pub, owner), 0);
    assert_string_equal(owner, wzp_client_fingerprint(w->client));
    wzp_signal_done(&hello);
}

static void accepted_connection_is_confirmed_when_the_peer_nominates_it(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, NULL);
    const uint64_t conn = world_accept(w, room_of(w, call), "203.0.113.200:999");
    assert_true(conn != 0);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_DIRECT_HELLO), 1);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 0); /* the peer's choice to make */
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1);
    assert_int_equal(used(w), conn);
    assert_true(world_is_closed(w, world_direct_conn(w, PEER_ADDR)));
    assert_string_equal(world_event(w, WZP_LINE_PATH)->path_remote, "203.0.113.200:999");
}

static void side_without_an_address_dials_and_the_other_accepts(void **state)
{
    struct client_world *w = *state;
    /* The peer tells nothing: its NAT is symmetric. We told our address, so it dials us. */
    const uint64_t call = set_up_own(w, NULL, NULL);
    assert_int_equal(world_dials(w, true), 0);
    assert_true(world_accept(w, room_of(w, call), "203.0.113.200:999") != 0);
}

static void connection_that_comes_before_our_setup_takes_part(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    const uint64_t conn = world_accept(w, room_of(w, call), "203.0.113.200:999");
    assert_true(conn != 0);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_DIRECT_HELLO), 0); /* who knows whom we call */
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, BUILD);
    world_setup_direct(w, call, NULL, NULL);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_DIRECT_HELLO), 1);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1);
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(used(w), conn);
}

static void early_connection_of_a_call_that_does_not_race_is_closed(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    const uint64_t conn = world_accept(w, room_of(w, call), "203.0.113.200:999");
    world_answer(w, call, NULL);
    world_setup_direct(w, call, NULL, NULL);
    assert_true(world_is_closed(w, conn));
}

static void inbound_connections_are_limited_and_must_name_the_room(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, NULL, NULL);
    assert_int_equal(world_accept(w, "call-other", PEER_ADDR), 0);
    for (int i = 0; i < WZP_RACE_MAX_INBOUND; i++)
        assert_true(world_accept(w, room_of(w, call), PEER_ADDR) != 0);
    assert_int_equal(world_accept(w, room_of(w, call), PEER_ADDR), 0);
    assert_int_equal(wzp_client_stats(w->client)->direct_refused, 1);
}

static void forged_hello_closes_its_connection_and_others_go_on(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, "\"" PEER_HOST "\"");
    const uint64_t bad = world_direct_conn(w, PEER_HOST), good = world_direct_conn(w, PEER_ADDR);
    world_direct_up(w, bad);
    world_direct_up(w, good);
    world_hello(w, bad, &w->relay, world_call_id(w, call)); /* another identity */
    assert_true(world_is_closed(w, bad));
    assert_int_equal(wzp_client_stats(w->client)->direct_refused, 1);
    world_hello(w, good, &w->peer, world_call_id(w, call));
    world_report(w, good, world_call_id(w, call), true);
    assert_int_equal(used(w), good);
}

static void hello_of_another_call_or_connection_is_refused(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, "\"" PEER_HOST "\"");
    const uint64_t one = world_direct_conn(w, PEER_HOST), two = world_direct_conn(w, PEER_ADDR);
    world_direct_up(w, one);
    world_hello(w, one, &w->peer, "feed");
    assert_true(world_is_closed(w, one));
    world_direct_up(w, two);
    struct wzp_signal hello = { .kind = WZP_SIG_DIRECT_HELLO };
    char id[WZP_CALL_ID_MAX + 1];
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    world_exporter(one, exporter); /* relayed from the other connection by a man in the middle */
    (void)snprintf(id, sizeof id, "%s", world_call_id(w, call));
    hello.direct_hello.call_id = id;
    hello.direct_hello.keys.has_identity = true;
    hello.direct_hello.keys.signature_len = WZP_SIGNATURE_BYTES;
    memcpy(hello.direct_hello.keys.identity_pub, w->peer.ed25519_public, WZP_KEY_BYTES);
    assert_int_equal(wzp_sign_direct_hello(&w->peer, exporter, id, hello.direct_hello.keys.signature), 0);
    world_say_signal(w, two, &hello);
    assert_true(world_is_closed(w, two));
    assert_int_equal(wzp_client_stats(w->client)->direct_refused, 2);
}

static void connection_without_an_exporter_is_refused(void **state)
{
    struct client_world *w = *state;
    set_up_own(w, PEER_ADDR, NULL);
    const uint64_t conn = world_direct_conn(w, PEER_ADDR);
    world_connected(w, conn);
    assert_true(world_is_closed(w, conn));
}

static void media_waits_half_a_second_for_a_direct_path_and_moves_later(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, NULL);
    const uint64_t conn = world_direct_conn(w, PEER_ADDR), relay = world_media_up(w, 2);
    world_advance_ms(w, 499);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(used(w), relay);
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(used(w), conn);
    assert_int_equal(world_events(w, WZP_LINE_PATH), 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 0);
    assert_true(world_is_closed(w, relay)); /* the peer's confirmation has shown it */
}

static void race_that_nobody_wins_ends_on_the_relay(void **state)
{
    struct client_world *w = *state;
    set_up_own(w, PEER_ADDR, NULL);
    const uint64_t relay = world_media_up(w, 2);
    world_advance_ms(w, 2000);
    assert_int_equal(used(w), relay);
    assert_true(world_is_closed(w, world_direct_conn(w, PEER_ADDR)));
    assert_false(last_report(w));
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 1);
}

static void direct_path_serves_when_the_relay_is_not_reached(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, NULL), conn = world_direct_conn(w, PEER_ADDR);
    world_closed(w, relay_conn(w), "no route");
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    for (int i = 0; i < 40; i++) {
        world_advance_ms(w, 500);
        world_say(w, conn, "{\"Ping\":{\"timestamp_ms\":1}}");
    }
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void room_size_does_not_end_a_direct_call(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, NULL), conn = world_accept(w, room_of(w, call), PEER_ADDR);
    const uint64_t relay = world_media_up(w, 2);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    world_report(w, conn, world_call_id(w, call), true);
    assert_false(world_is_closed(w, relay)); /* held for a moment */
    world_room_count(w, relay, 1);
    world_say(w, conn, "{\"Ping\":{\"timestamp_ms\":1}}");
    assert_true(world_is_closed(w, relay));
    for (int i = 0; i < 10; i++) {
        world_advance_ms(w, 500);
        world_say(w, conn, "{\"Pong\":{\"timestamp_ms\":1}}");
    }
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

/* ---- life and death of a direct path ---- */

static void direct_path_is_probed_and_answers_probes(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    talk_directly(w, &conn);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_PING), 1);
    world_advance_ms(w, 500);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_PING), 2);
    world_say(w, conn, "{\"Ping\":{\"timestamp_ms\":77}}");
    struct wzp_signal pong = world_last_sent(w, WZP_SIG_PONG);
    assert_int_equal(pong.ping.timestamp_ms, 77);
    wzp_signal_done(&pong);
}

static void dead_direct_path_is_back_on_the_relay_within_two_seconds(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    talk_directly(w, &conn);
    world_clear(w);
    world_advance_ms(w, 1249);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 1);
    assert_string_equal(world_event(w, WZP_LINE_MEDIA_DOWN)->reason, "the direct path is silent");
    assert_int_equal(used(w), 0);
    assert_true(world_is_closed(w, conn));
    assert_false(last_report(w));
    world_advance_ms(w, 200); /* connecting */
    const uint64_t relay = world_media_up(w, 1);
    assert_int_equal(used(w), relay);
    assert_int_equal(world_event(w, WZP_LINE_PATH)->path, WZP_LINE_PATH_RELAY);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0); /* once per call */
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_CALL_OFFER), 0);
    assert_int_equal(wzp_client_stats(w->client)->direct_lost_path, 1);
    assert_int_equal(wzp_client_stats(w->client)->relay_redials, 1);
    world_room_count(w, relay, 2);
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void direct_path_lost_while_the_relay_hangs_is_given_up_after_ten_seconds(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, NULL);
    const uint64_t conn = world_accept(w, room_of(w, call), PEER_ADDR);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(used(w), conn);
    world_closed(w, conn, "idle"); /* the relay has not answered yet */
    assert_int_equal(world_dials(w, false), 1);
    world_advance_ms(w, 1000);
    assert_int_equal(world_dials(w, false), 2);
    world_advance_ms(w, 8999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_MEDIA_LOST);
}

static void peer_seen_in_the_room_before_media_began_is_missed_when_it_leaves(void **state)
{
    struct client_world *w = *state;
    set_up_own(w, PEER_ADDR, NULL);
    const uint64_t relay = world_media_up(w, 2);
    world_advance_ms(w, 2500);
    assert_int_equal(used(w), relay);
    world_room_count(w, relay, 1);
    world_advance_ms(w, 9999); /* it may come back: our own kind redials */
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_HANGUP);
}

static void media_keeps_a_direct_path_alive(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    const uint64_t call = talk_directly(w, &conn);
    for (int i = 0; i < 100; i++) {
        world_advance_ms(w, 100);
        wzp_client_media_seen(w->client, call, w->now_us);
    }
    world_drain(w);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 0);
}

static void peer_that_leaves_the_direct_path_is_followed_to_the_relay(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    const uint64_t call = talk_directly(w, &conn);
    world_clear(w);
    world_report(w, w->signal, world_call_id(w, call), false);
    assert_true(world_is_closed(w, conn));
    assert_int_equal(world_dials(w, false), 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 1);
}

static void closed_direct_path_redials_the_relay_at_once(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    talk_directly(w, &conn);
    world_clear(w);
    world_closed(w, conn, "idle");
    assert_string_equal(world_event(w, WZP_LINE_MEDIA_DOWN)->reason, "idle");
    assert_int_equal(world_dials(w, false), 1);
}

static void peer_that_does_not_come_back_to_the_room_ends_the_call(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    talk_directly(w, &conn);
    world_closed(w, conn, "idle");
    world_media_up(w, 1);
    world_advance_ms(w, 9999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_MEDIA_LOST);
}

static void hangup_explains_a_lost_direct_path(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    talk_directly(w, &conn);
    world_closed(w, conn, "normal close");
    world_say(w, w->signal, "{\"Hangup\":{\"reason\":\"Normal\"}}");
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_HANGUP);
}

static void direct_call_survives_the_loss_of_the_signal_connection(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    const uint64_t call = talk_directly(w, &conn);
    world_closed(w, w->signal, "idle");
    for (int i = 0; i < 20; i++) {
        world_advance_ms(w, 500);
        world_say(w, conn, "{\"Pong\":{\"timestamp_ms\":1}}");
    }
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    assert_true(world_events(w, WZP_LINE_UNREGISTERED) >= 1);
    world_clear(w);
    wzp_client_hangup(w->client, call, WZP_HANGUP_NORMAL, w->now_us);
    world_drain(w);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_HANGUP), 1); /* the relay could not tell it */
}

static void hangup_on_the_direct_connection_ends_the_call(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    const uint64_t call = talk_directly(w, &conn);
    world_say(w, conn, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"feed\"}}");
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_say(w, conn, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"%s\"}}", world_call_id(w, call));
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_HANGUP);
    assert_true(world_event(w, WZP_LINE_ENDED)->by_peer);
}

static void other_messages_on_a_direct_connection_are_counted(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    const uint64_t call = talk_directly(w, &conn);
    world_say(w, conn, "\"Hold\"");
    world_say(w, conn, "{\"RoomUpdate\":{\"count\":2,\"participants\":[]}}");
    world_hello(w, conn, &w->peer, world_call_id(w, call)); /* a second one */
    assert_int_equal(wzp_client_stats(w->client)->unexpected_signals, 3);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void stranger_on_a_direct_connection_gets_no_answer(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, NULL, NULL), conn = world_accept(w, room_of(w, call), PEER_ADDR);
    world_say(w, conn, "{\"Ping\":{\"timestamp_ms\":1}}");
    world_say(w, conn, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"%s\"}}", world_call_id(w, call));
    assert_int_equal(world_sent(w, WZP_SIG_PONG), 0);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    assert_int_equal(wzp_client_stats(w->client)->unexpected_signals, 2);
}

static void ended_call_closes_every_connection(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_own(w, PEER_ADDR, "\"" PEER_HOST "\"");
    assert_true(world_accept(w, room_of(w, call), PEER_ADDR) != 0);
    wzp_client_hangup(w->client, call, WZP_HANGUP_NORMAL, w->now_us);
    world_drain(w);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 4); /* relay, two dialled, one accepted */
}

/* ---- the relay's leg comes back ---- */

static void lost_relay_leg_is_redialled_and_the_call_goes_on(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    world_talk(w, &media);
    world_closed(w, media, "idle");
    const uint64_t again = world_media_up(w, 0);
    assert_int_equal(used(w), 0); /* a relay that refuses the room says so now */
    world_room_count(w, again, 2);
    assert_int_equal(used(w), again);
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 1);
    assert_int_equal(world_events(w, WZP_LINE_PATH), 1);
}

static void relay_that_refuses_the_return_ends_the_call_after_two_seconds(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    world_talk(w, &media);
    world_closed(w, media, "idle");
    world_closed(w, world_media_up(w, 0), "normal close");
    world_advance_ms(w, 1000);
    world_closed(w, world_media_up(w, 0), "normal close");
    world_advance_ms(w, 999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_MEDIA_LOST);
}

static void refusal_counts_only_where_we_are_registered(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    world_talk(w, &media);
    world_closed(w, media, "idle");
    world_closed(w, w->signal, "idle"); /* the relay restarts */
    const uint64_t first = world_last_dial(w, false)->conn;
    world_connected(w, first);
    world_closed(w, first, "normal close");
    world_advance_ms(w, 2500);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void relay_leg_that_keeps_dying_is_given_up_after_ten_seconds(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    world_talk(w, &media);
    for (int i = 0; i < 4; i++) {
        world_closed(w, media, "idle");
        world_advance_ms(w, 3000);
        if (world_events(w, WZP_LINE_ENDED))
            break;
        media = world_media_up(w, 2);
    }
    world_advance_ms(w, 10000);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_MEDIA_LOST);
    assert_true(wzp_client_stats(w->client)->relay_redials <= 4);
}

static void our_own_old_connection_is_not_the_peer(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    world_talk(w, &media);
    world_closed(w, media, "idle");
    const uint64_t again = world_media_up(w, 0);
    const char *own = wzp_client_fingerprint(w->client);
    world_say(w, again,
              "{\"RoomUpdate\":{\"count\":2,\"participants\":[{\"fingerprint\":\"%s\"},{\"fingerprint\":\"%s\"}]}}",
              own, own);
    world_advance_ms(w, 10000);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_MEDIA_LOST);
}

/* ---- with the reference ---- */

static void rust_dialer_wins_when_both_report_direct(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_reference(w, PEER_ADDR, NULL);
    const uint64_t relay = world_media_up(w, 1);
    const uint64_t conn = world_accept(w, room_of(w, call), PEER_ADDR);
    assert_true(conn != 0);
    assert_int_equal(world_sent(w, WZP_SIG_DIRECT_HELLO), 0); /* it does not know it */
    world_advance_ms(w, 499);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 0);
    world_advance_ms(w, 1);
    assert_true(last_report(w));
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_report(w, w->signal, world_call_id(w, call), true);
    assert_int_equal(used(w), conn);
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
    const uint64_t call = set_up_reference(w, "100.1.2.3:5000", "\"" PEER_HOST "\"");
    const uint64_t host = world_direct_conn(w, PEER_HOST), mapped = world_direct_conn(w, "100.1.2.3:5000");
    world_direct_up(w, mapped);
    assert_true(world_is_closed(w, host));
    assert_int_equal(world_accept(w, room_of(w, call), PEER_ADDR), 0);
    world_report(w, w->signal, world_call_id(w, call), true);
    assert_int_equal(used(w), mapped);
}

static void peer_that_says_no_keeps_the_call_on_the_relay(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_reference(w, PEER_ADDR, NULL);
    const uint64_t relay = world_media_up(w, 1), conn = world_accept(w, room_of(w, call), PEER_ADDR);
    world_report(w, w->signal, world_call_id(w, call), false);
    assert_int_equal(used(w), relay);
    assert_true(world_is_closed(w, conn));
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
}

static void missing_report_leads_to_the_relay_three_seconds_after_our_decision(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_reference(w, PEER_ADDR, NULL);
    const uint64_t relay = world_media_up(w, 1);
    world_accept(w, room_of(w, call), PEER_ADDR);
    world_advance_ms(w, 2999);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_advance_ms(w, 1);
    assert_int_equal(used(w), relay);
}

static void late_report_of_another_call_decides_nothing(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_reference(w, PEER_ADDR, NULL);
    world_accept(w, room_of(w, call), PEER_ADDR);
    world_report(w, w->signal, "feed", true);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    assert_int_equal(wzp_client_stats(w->client)->unknown_calls, 1);
}

static void report_that_comes_before_setup_is_kept(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    world_report(w, w->signal, world_call_id(w, call), true);
    world_setup_direct(w, call, PEER_ADDR, NULL);
    const uint64_t conn = world_accept(w, room_of(w, call), PEER_ADDR);
    assert_int_equal(used(w), conn);
}

static void direct_with_a_silent_rust_peer_goes_to_the_relay_room_too(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = set_up_reference(w, PEER_ADDR, NULL);
    const uint64_t relay = world_media_up(w, 1), conn = world_accept(w, room_of(w, call), PEER_ADDR);
    world_report(w, w->signal, world_call_id(w, call), true);
    world_advance_ms(w, 2000);
    assert_int_equal(used(w), relay);
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
    world_answer(w, call, BUILD);
    world_setup_direct(w, call, PEER_ADDR, NULL);
    world_media_up(w, 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(world_accept(w, room_of(w, call), PEER_ADDR), 0);
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
    join(w, PEER_ADDR);
    const uint64_t conn = world_direct_conn(w, PEER_ADDR);
    assert_string_equal(world_last_dial(w, true)->sni, "call-ops");
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, "ops");
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1);
    world_report(w, conn, "ops", true);
    assert_int_equal(used(w), conn);
    assert_int_equal(world_event(w, WZP_LINE_PATH)->path, WZP_LINE_PATH_DIRECT);
    assert_int_equal(world_sent_on(w, w->signal, WZP_SIG_MEDIA_PATH_REPORT), 0);
}

static void room_accepts_any_identity_but_its_own(void **state)
{
    struct client_world *w = *state;
    join(w, PEER_ADDR);
    struct wzp_identity self;
    const uint8_t seed[WZP_SEED_BYTES] = { 3 };
    assert_int_equal(wzp_identity_from_seed(seed, &self), 0);
    const uint64_t mirror = world_accept(w, "ops", PEER_ADDR), other = world_accept(w, "ops", PEER_ADDR);
    world_hello(w, mirror, &self, "ops");
    assert_true(world_is_closed(w, mirror));
    world_hello(w, other, &w->relay, "ops");
    assert_false(world_is_closed(w, other));
    wzp_identity_done(&self);
}

static void room_races_again_when_the_peer_comes_later(void **state)
{
    struct client_world *w = *state;
    join(w, PEER_ADDR);
    const uint64_t relay = world_media_up(w, 1);
    world_advance_ms(w, 10000); /* alone */
    assert_int_equal(world_dials(w, true), 1);
    world_room_count(w, relay, 2);
    assert_int_equal(world_dials(w, true), 2);
    const uint64_t conn = world_last_dial(w, true)->conn;
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, "ops");
    world_report(w, conn, "ops", true);
    assert_int_equal(used(w), conn);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 0);
}

static void lost_direct_path_of_a_room_returns_to_the_relay(void **state)
{
    struct client_world *w = *state;
    join(w, PEER_ADDR);
    const uint64_t conn = world_direct_conn(w, PEER_ADDR);
    world_media_up(w, 2);
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, "ops");
    world_report(w, conn, "ops", true);
    world_closed(w, conn, "idle");
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    const uint64_t again = world_media_up(w, 1);
    assert_int_equal(used(w), again);
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0); /* a room may be empty */
    assert_int_equal(world_dials(w, true), 1);            /* what has died once is left alone */
}

static void room_takes_no_direct_path_without_an_address_or_with_no_direct(void **state)
{
    struct client_world *w = *state;
    join(w, NULL);
    assert_int_equal(world_accept(w, "ops", PEER_ADDR), 0);
    uint64_t call = 0;
    const struct wzp_line_room bad = { .name = "x", .peer_direct_addr = "junk" };
    assert_int_equal(wzp_client_join(w->client, &bad, w->now_us, &call), -EINVAL);
    struct client_world *shy = world_new(&(struct client_world_options){ .rooms_only = true, .no_direct = true });
    join(shy, PEER_ADDR);
    assert_int_equal(world_dials(shy, true), 0);
    assert_int_equal(world_accept(shy, "ops", PEER_ADDR), 0);
    world_free(shy);
}

int main(void)
{
#define OWN(name)    cmocka_unit_test_setup_teardown(name, new_world, end_world)
#define FOLLOW(name) cmocka_unit_test_setup_teardown(name, following_world, end_world)
    const struct CMUnitTest tests[] = {
        OWN(own_kind_dials_every_candidate_at_once_ipv6_too),
        OWN(reference_is_dialled_by_ipv4_hosts_first),
        OWN(acceptor_dials_nobody),
        OWN(mix_both_advertise_they_race),
        OWN(mix_callee_private_stays_on_the_relay),
        OWN(private_callee_neither_dials_nor_accepts_nor_tells_its_address),
        OWN(mix_caller_old_gets_no_race_and_no_report),
        OWN(mix_neither_advertises_and_media_is_up_at_once),
        OWN(hidden_caller_does_not_show_itself_to_a_callee_that_advertises),
        cmocka_unit_test(seed_relay_means_no_race_and_no_report_with_the_reference),
        cmocka_unit_test(seed_relay_carries_a_race_of_our_own_kind_without_reports),
        cmocka_unit_test(no_direct_tells_no_address_and_takes_no_direct_path),
        OWN(verified_connection_becomes_the_path),
        OWN(our_hello_is_signed_for_this_connection_and_call),
        FOLLOW(accepted_connection_is_confirmed_when_the_peer_nominates_it),
        OWN(side_without_an_address_dials_and_the_other_accepts),
        OWN(connection_that_comes_before_our_setup_takes_part),
        OWN(early_connection_of_a_call_that_does_not_race_is_closed),
        OWN(inbound_connections_are_limited_and_must_name_the_room),
        OWN(forged_hello_closes_its_connection_and_others_go_on),
        OWN(hello_of_another_call_or_connection_is_refused),
        OWN(connection_without_an_exporter_is_refused),
        OWN(media_waits_half_a_second_for_a_direct_path_and_moves_later),
        OWN(race_that_nobody_wins_ends_on_the_relay),
        OWN(direct_path_serves_when_the_relay_is_not_reached),
        FOLLOW(room_size_does_not_end_a_direct_call),
        OWN(direct_path_is_probed_and_answers_probes),
        OWN(dead_direct_path_is_back_on_the_relay_within_two_seconds),
        FOLLOW(direct_path_lost_while_the_relay_hangs_is_given_up_after_ten_seconds),
        OWN(peer_seen_in_the_room_before_media_began_is_missed_when_it_leaves),
        OWN(media_keeps_a_direct_path_alive),
        OWN(peer_that_leaves_the_direct_path_is_followed_to_the_relay),
        OWN(closed_direct_path_redials_the_relay_at_once),
        OWN(peer_that_does_not_come_back_to_the_room_ends_the_call),
        OWN(hangup_explains_a_lost_direct_path),
        OWN(direct_call_survives_the_loss_of_the_signal_connection),
        OWN(hangup_on_the_direct_connection_ends_the_call),
        OWN(other_messages_on_a_direct_connection_are_counted),
        OWN(stranger_on_a_direct_connection_gets_no_answer),
        OWN(ended_call_closes_every_connection),
        OWN(lost_relay_leg_is_redialled_and_the_call_goes_on),
        OWN(relay_that_refuses_the_return_ends_the_call_after_two_seconds),
        OWN(refusal_counts_only_where_we_are_registered),
        OWN(relay_leg_that_keeps_dying_is_given_up_after_ten_seconds),
        OWN(our_own_old_connection_is_not_the_peer),
        OWN(rust_dialer_wins_when_both_report_direct),
        OWN(rust_acceptor_is_dialled_and_agrees),
        OWN(peer_that_says_no_keeps_the_call_on_the_relay),
        OWN(missing_report_leads_to_the_relay_three_seconds_after_our_decision),
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
