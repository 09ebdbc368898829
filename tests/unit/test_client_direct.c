/* A direct path between our own kind, from the hello to the way back to the relay, seen from one client core. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_direct.h"

static int new_world(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = DIRECT_BUILD });
    return 0;
}

/** The peer nominates. */
static int following_world(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = DIRECT_BUILD, .peer_is_smaller = true });
    return 0;
}

static int end_world(void **state)
{
    world_free(*state);
    return 0;
}

/* ---- between our own kind ---- */

static void verified_connection_becomes_the_path(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t conn = world_direct_conn(w, DIRECT_PEER);
    world_direct_up(w, conn);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_DIRECT_HELLO), 1);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 0);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1); /* nominated */
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(direct_used(w), conn);
    assert_int_equal(world_event(w, WZP_LINE_PATH)->path, WZP_LINE_PATH_DIRECT);
    assert_string_equal(world_event(w, WZP_LINE_PATH)->path_remote, DIRECT_PEER);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_true(direct_last_report(w));
    assert_int_equal(world_sent_on(w, w->signal, WZP_SIG_MEDIA_PATH_REPORT), 1);
    assert_int_equal(wzp_client_stats(w->client)->direct_won, 1);
}

static void our_hello_is_signed_for_this_connection_and_call(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t conn = world_direct_conn(w, DIRECT_PEER);
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
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t conn = world_accept(w, direct_room(w, call), "203.0.113.200:999");
    assert_true(conn != 0);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_DIRECT_HELLO), 1);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 0); /* the peer's choice to make */
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1);
    assert_int_equal(direct_used(w), conn);
    assert_true(world_is_closed(w, world_direct_conn(w, DIRECT_PEER)));
    assert_string_equal(world_event(w, WZP_LINE_PATH)->path_remote, "203.0.113.200:999");
}

static void side_without_an_address_dials_and_the_other_accepts(void **state)
{
    struct client_world *w = *state;
    /* The peer tells nothing: its NAT is symmetric. We told our address, so it dials us. */
    const uint64_t call = direct_set_up_own(w, NULL, NULL);
    assert_int_equal(world_dials(w, true), 0);
    assert_true(world_accept(w, direct_room(w, call), "203.0.113.200:999") != 0);
}

static void connection_that_comes_before_our_setup_takes_part(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    const uint64_t conn = world_accept(w, direct_room(w, call), "203.0.113.200:999");
    assert_true(conn != 0);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_DIRECT_HELLO), 0); /* who knows whom we call */
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, DIRECT_BUILD);
    world_setup_direct(w, call, NULL, NULL);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_DIRECT_HELLO), 1);
    assert_int_equal(world_sent_on(w, conn, WZP_SIG_MEDIA_PATH_REPORT), 1);
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(direct_used(w), conn);
}

static void early_connection_of_a_call_that_does_not_race_is_closed(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    const uint64_t conn = world_accept(w, direct_room(w, call), "203.0.113.200:999");
    world_answer(w, call, NULL);
    world_setup_direct(w, call, NULL, NULL);
    assert_true(world_is_closed(w, conn));
}

static void inbound_connections_are_limited_and_must_name_the_room(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, NULL, NULL);
    assert_int_equal(world_accept(w, "call-other", DIRECT_PEER), 0);
    for (int i = 0; i < WZP_RACE_MAX_INBOUND; i++)
        assert_true(world_accept(w, direct_room(w, call), DIRECT_PEER) != 0);
    assert_int_equal(world_accept(w, direct_room(w, call), DIRECT_PEER), 0);
    assert_int_equal(wzp_client_stats(w->client)->direct_refused, 1);
}

static void forged_hello_closes_its_connection_and_others_go_on(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, "\"" DIRECT_HOST "\"");
    const uint64_t bad = world_direct_conn(w, DIRECT_HOST), good = world_direct_conn(w, DIRECT_PEER);
    world_direct_up(w, bad);
    world_direct_up(w, good);
    world_hello(w, bad, &w->relay, world_call_id(w, call)); /* another identity */
    assert_true(world_is_closed(w, bad));
    assert_int_equal(wzp_client_stats(w->client)->direct_refused, 1);
    world_hello(w, good, &w->peer, world_call_id(w, call));
    world_report(w, good, world_call_id(w, call), true);
    assert_int_equal(direct_used(w), good);
}

static void hello_of_another_call_or_connection_is_refused(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, "\"" DIRECT_HOST "\"");
    const uint64_t one = world_direct_conn(w, DIRECT_HOST), two = world_direct_conn(w, DIRECT_PEER);
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
    direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t conn = world_direct_conn(w, DIRECT_PEER);
    world_connected(w, conn);
    assert_true(world_is_closed(w, conn));
}

static void media_waits_half_a_second_for_a_direct_path_and_moves_later(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t conn = world_direct_conn(w, DIRECT_PEER), relay = world_media_up(w, 2);
    world_advance_ms(w, 499);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(direct_used(w), relay);
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(direct_used(w), conn);
    assert_int_equal(world_events(w, WZP_LINE_PATH), 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 0);
    assert_true(world_is_closed(w, relay)); /* the peer's confirmation has shown it */
}

static void race_that_nobody_wins_ends_on_the_relay(void **state)
{
    struct client_world *w = *state;
    direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t relay = world_media_up(w, 2);
    world_advance_ms(w, 2000);
    assert_int_equal(direct_used(w), relay);
    assert_true(world_is_closed(w, world_direct_conn(w, DIRECT_PEER)));
    assert_false(direct_last_report(w));
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 1);
}

static void direct_path_serves_when_the_relay_is_not_reached(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL), conn = world_direct_conn(w, DIRECT_PEER);
    world_closed(w, direct_relay_conn(w), "no route");
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
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL),
                   conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
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
    direct_talk(w, &conn);
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
    direct_talk(w, &conn);
    world_clear(w);
    world_advance_ms(w, 1249);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_DOWN), 1);
    assert_string_equal(world_event(w, WZP_LINE_MEDIA_DOWN)->reason, "the direct path is silent");
    assert_int_equal(direct_used(w), 0);
    assert_true(world_is_closed(w, conn));
    assert_false(direct_last_report(w));
    world_advance_ms(w, 200); /* connecting */
    const uint64_t relay = world_media_up(w, 1);
    assert_int_equal(direct_used(w), relay);
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
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(direct_used(w), conn);
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
    direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t relay = world_media_up(w, 2);
    world_advance_ms(w, 2500);
    assert_int_equal(direct_used(w), relay);
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
    const uint64_t call = direct_talk(w, &conn);
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
    const uint64_t call = direct_talk(w, &conn);
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
    direct_talk(w, &conn);
    world_clear(w);
    world_closed(w, conn, "idle");
    assert_string_equal(world_event(w, WZP_LINE_MEDIA_DOWN)->reason, "idle");
    assert_int_equal(world_dials(w, false), 1);
}

static void peer_that_does_not_come_back_to_the_room_ends_the_call(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    direct_talk(w, &conn);
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
    direct_talk(w, &conn);
    world_closed(w, conn, "normal close");
    world_say(w, w->signal, "{\"Hangup\":{\"reason\":\"Normal\"}}");
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_HANGUP);
}

static void direct_call_survives_the_loss_of_the_signal_connection(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    const uint64_t call = direct_talk(w, &conn);
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

static void relay_hears_of_a_direct_call_again_after_a_new_registration(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    direct_talk(w, &conn);
    world_closed(w, w->signal, "idle");
    world_clear(w);
    for (int i = 0; i < 20 && !world_last(w, WZP_CLIENT_DIAL); i++) {
        world_advance_ms(w, 500);
        world_say(w, conn, "{\"Pong\":{\"timestamp_ms\":1}}");
    }
    world_register(w, DIRECT_BUILD);
    struct wzp_signal report = world_last_sent(w, WZP_SIG_MEDIA_PATH_REPORT);
    assert_true(report.path_report.direct_ok);
    wzp_signal_done(&report);
}

static void hangup_on_the_direct_connection_ends_the_call(void **state)
{
    struct client_world *w = *state;
    uint64_t conn = 0;
    const uint64_t call = direct_talk(w, &conn);
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
    const uint64_t call = direct_talk(w, &conn);
    world_say(w, conn, "\"Hold\"");
    world_say(w, conn, "{\"RoomUpdate\":{\"count\":2,\"participants\":[]}}");
    world_hello(w, conn, &w->peer, world_call_id(w, call)); /* a second one */
    assert_int_equal(wzp_client_stats(w->client)->unexpected_signals, 3);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void stranger_on_a_direct_connection_gets_no_answer(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, NULL, NULL), conn = world_accept(w, direct_room(w, call), DIRECT_PEER);
    world_say(w, conn, "{\"Ping\":{\"timestamp_ms\":1}}");
    world_say(w, conn, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"%s\"}}", world_call_id(w, call));
    assert_int_equal(world_sent(w, WZP_SIG_PONG), 0);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    assert_int_equal(wzp_client_stats(w->client)->unexpected_signals, 2);
}

static void ended_call_closes_every_connection(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, "\"" DIRECT_HOST "\"");
    assert_true(world_accept(w, direct_room(w, call), DIRECT_PEER) != 0);
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
    assert_int_equal(direct_used(w), 0); /* a relay that refuses the room says so now */
    world_room_count(w, again, 2);
    assert_int_equal(direct_used(w), again);
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

int main(void)
{
#define OWN(name)    cmocka_unit_test_setup_teardown(name, new_world, end_world)
#define FOLLOW(name) cmocka_unit_test_setup_teardown(name, following_world, end_world)
    const struct CMUnitTest tests[] = {
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
        OWN(relay_hears_of_a_direct_call_again_after_a_new_registration),
        OWN(hangup_on_the_direct_connection_ends_the_call),
        OWN(other_messages_on_a_direct_connection_are_counted),
        OWN(stranger_on_a_direct_connection_gets_no_answer),
        OWN(ended_call_closes_every_connection),
        OWN(lost_relay_leg_is_redialled_and_the_call_goes_on),
        OWN(relay_that_refuses_the_return_ends_the_call_after_two_seconds),
        OWN(refusal_counts_only_where_we_are_registered),
        OWN(relay_leg_that_keeps_dying_is_given_up_after_ten_seconds),
        OWN(our_own_old_connection_is_not_the_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
