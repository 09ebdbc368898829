/* The media connection of the client core: where it is dialled, the handshake, path reports, loss, rooms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_world.h"

#define BUILD "9377a90"

static int new_relay(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = BUILD });
    return 0;
}

static int old_relay(void **state)
{
    *state = world_new(NULL);
    return 0;
}

static int end_world(void **state)
{
    world_free(*state);
    return 0;
}

/** Placed, answered by a peer with this build (NULL: none), set up with this relay_addr. */
static uint64_t setup_call(struct client_world *w, const char *peer_build, const char *relay_addr)
{
    const uint64_t call = world_place_call(w);
    world_answer(w, call, peer_build);
    world_clear(w);
    world_setup(w, call, relay_addr);
    return call;
}

static const char *dialled(const struct client_world *w, char text[static WZ_ADDR_TEXT_MAX])
{
    const struct wzp_client_effect *dial = world_last(w, WZP_CLIENT_DIAL);
    assert_non_null(dial);
    return wz_addr_format(&dial->to, text);
}

static void assert_dials(void **state, const char *relay_addr, const char *expect)
{
    struct client_world *w = *state;
    char text[WZ_ADDR_TEXT_MAX];
    setup_call(w, BUILD, relay_addr);
    assert_string_equal(dialled(w, text), expect);
}

/* ---- where to ---- */

static void setup_is_told_and_dials_the_room_at_the_announced_relay(void **state)
{
    struct client_world *w = *state;
    char text[WZ_ADDR_TEXT_MAX], room[64];
    const uint64_t call = setup_call(w, BUILD, "198.51.100.77:4433");
    (void)snprintf(room, sizeof room, "call-%s", world_call_id(w, call));
    assert_string_equal(dialled(w, text), "198.51.100.77:4433");
    assert_string_equal(world_last(w, WZP_CLIENT_DIAL)->sni, room);
    const struct wzp_line_event *event = world_event(w, WZP_LINE_SETUP);
    assert_string_equal(event->room, room);
    assert_string_equal(event->relay_addr, "198.51.100.77:4433");
    assert_null(event->peer_direct_addr);
    assert_int_equal(event->peer_local_addrs->count, 0);
}

static void setup_event_carries_the_peers_addresses(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    const char *id = world_call_id(w, call);
    world_say(w, w->signal,
              "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"call-%s\",\"relay_addr\":\"" WORLD_RELAY "\","
              "\"peer_direct_addr\":\"203.0.113.9:7\",\"peer_local_addrs\":[\"10.1.1.1:7\"]}}",
              id, id);
    const struct wzp_line_event *event = world_event(w, WZP_LINE_SETUP);
    assert_string_equal(event->peer_direct_addr, "203.0.113.9:7");
    assert_string_equal(event->peer_local_addrs->text[0], "10.1.1.1:7");
}

static void unparsable_relay_address_means_the_relay_we_know(void **state)
{
    assert_dials(state, "::1:4433", WORLD_RELAY);
}

static void host_name_as_relay_address_means_the_relay_we_know(void **state)
{
    assert_dials(state, "relay.example:4433", WORLD_RELAY);
}

static void private_relay_address_of_a_public_relay_means_the_relay_we_know(void **state)
{
    assert_dials(state, "192.168.7.7:4433", WORLD_RELAY);
}

static void loopback_relay_address_of_a_public_relay_means_the_relay_we_know(void **state)
{
    assert_dials(state, "127.0.0.1:4433", WORLD_RELAY);
}

static void relay_address_without_port_or_host_means_the_relay_we_know(void **state)
{
    struct client_world *w = *state;
    char text[WZ_ADDR_TEXT_MAX];
    setup_call(w, BUILD, "198.51.100.9:0");
    assert_string_equal(dialled(w, text), WORLD_RELAY);
    setup_call(w, BUILD, "0.0.0.0:4433");
    assert_string_equal(dialled(w, text), WORLD_RELAY);
}

static void announced_relay_that_is_silent_for_a_second_is_given_up_for_ours(void **state)
{
    struct client_world *w = *state;
    char text[WZ_ADDR_TEXT_MAX];
    setup_call(w, BUILD, "198.51.100.77:4433");
    world_advance_ms(w, 999);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 1);
    world_advance_ms(w, 1);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1);
    assert_string_equal(dialled(w, text), WORLD_RELAY);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
}

static void announced_relay_that_refuses_is_given_up_at_once(void **state)
{
    struct client_world *w = *state;
    char text[WZ_ADDR_TEXT_MAX];
    setup_call(w, BUILD, "198.51.100.77:4433");
    world_closed(w, world_last(w, WZP_CLIENT_DIAL)->conn, "refused");
    assert_string_equal(dialled(w, text), WORLD_RELAY);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 0); /* it is gone already */
}

static void connected_relay_without_an_answer_is_given_up_too(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, "198.51.100.77:4433");
    world_connected(w, world_last(w, WZP_CLIENT_DIAL)->conn);
    world_advance_ms(w, 3000);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 2);
}

static void setup_in_capitals_is_joined_in_lower_case(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    world_say(w, w->signal, "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"Call-X\",\"relay_addr\":\"\"}}",
              world_call_id(w, call));
    assert_string_equal(world_last(w, WZP_CLIENT_DIAL)->sni, "call-x");
}

static void setup_with_an_impossible_room_uses_the_call_id(void **state)
{
    struct client_world *w = *state;
    char room[64];
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    (void)snprintf(room, sizeof room, "call-%s", world_call_id(w, call));
    world_say(w, w->signal, "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"a b\",\"relay_addr\":\"\"}}",
              world_call_id(w, call));
    assert_string_equal(world_last(w, WZP_CLIENT_DIAL)->sni, room);
}

static void second_setup_is_not_followed(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = setup_call(w, BUILD, WORLD_RELAY);
    world_setup(w, call, "198.51.100.77:4433");
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 1);
    assert_int_equal(wzp_client_stats(w->client)->unexpected_signals, 1);
}

static void setup_of_a_call_we_have_not_answered_is_not_followed(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", BUILD);
    world_setup(w, call, WORLD_RELAY);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 0);
}

static void setup_without_an_answer_sets_the_caller_up(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_setup(w, call, WORLD_RELAY);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
}

/* ---- handshake ---- */

static void media_handshake_offers_a_signed_key_and_brings_media_up(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, WORLD_RELAY);
    world_connected(w, world_last(w, WZP_CLIENT_DIAL)->conn);
    struct wzp_signal offer = world_last_sent(w, WZP_SIG_CALL_OFFER);
    assert_int_equal(wzp_handshake_check_offer(&offer), 0);
    wzp_signal_done(&offer);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    world_media_up(w, 2);
    assert_int_equal(world_events(w, WZP_LINE_PATH), 1);
    assert_int_equal(world_event(w, WZP_LINE_PATH)->path, WZP_LINE_PATH_RELAY);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
    assert_int_equal(world_event(w, WZP_LINE_ROOM_UPDATE)->participants, 2);
}

static void token_goes_first_on_media_connections_too(void **state)
{
    (void)state;
    struct client_world *w = world_new(&(struct client_world_options){ .token = "eyJ" });
    setup_call(w, BUILD, WORLD_RELAY);
    world_connected(w, world_last(w, WZP_CLIENT_DIAL)->conn);
    assert_int_equal(world_sent(w, WZP_SIG_AUTH_TOKEN), 1);
    assert_int_equal(world_sent(w, WZP_SIG_CALL_OFFER), 1);
    world_free(w);
}

static void forged_call_answer_brings_no_media(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, WORLD_RELAY);
    const uint64_t conn = world_last(w, WZP_CLIENT_DIAL)->conn;
    world_connected(w, conn);
    struct wzp_handshake hs;
    struct wzp_signal answer = { 0 };
    assert_int_equal(wzp_handshake_init(&hs, &w->rng), 0);
    assert_int_equal(wzp_handshake_answer(&hs, &w->relay, &answer), 0);
    answer.call_answer.keys.signature[0] ^= 1;
    world_say_signal(w, conn, &answer);
    wzp_signal_done(&answer);
    wzp_handshake_done(&hs);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 0);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1);
}

static void no_media_in_ten_seconds_after_the_answer_ends_the_call(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    world_advance_ms(w, 9999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_NO_MEDIA);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 1);
}

static void hanging_media_dial_ends_the_call_after_ten_seconds(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, WORLD_RELAY);
    world_advance_ms(w, 10000);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_NO_MEDIA);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1);
}

static void refused_media_dial_ends_the_call_after_a_grace(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, WORLD_RELAY);
    world_closed(w, world_last(w, WZP_CLIENT_DIAL)->conn, "refused by relay");
    world_advance_ms(w, 1999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_NO_MEDIA);
    assert_string_equal(world_event(w, WZP_LINE_ENDED)->reason, "refused by relay");
}

/* ---- path reports ---- */

static void path_report_says_relay_twice(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, WORLD_RELAY);
    world_media_up(w, 2);
    world_advance_ms(w, 499);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 0);
    world_advance_ms(w, 1);
    struct wzp_signal sig = world_last_sent(w, WZP_SIG_MEDIA_PATH_REPORT);
    assert_false(sig.path_report.direct_ok);
    assert_string_equal(sig.path_report.race_winner, "Relay");
    wzp_signal_done(&sig);
    world_advance_ms(w, 1000);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 2);
    world_advance_ms(w, 60000);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 2);
}

static void callee_reports_its_path_to_a_caller_with_a_build(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_offer(w, "feed", BUILD);
    assert_int_equal(wzp_client_answer(w->client, call, WZP_ACCEPT_GENERIC, w->now_us), 0);
    world_setup(w, call, WORLD_RELAY);
    world_advance_ms(w, 2000);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 2);
}

static void peer_without_build_gets_no_path_report(void **state)
{
    struct client_world *w = *state;
    setup_call(w, NULL, WORLD_RELAY);
    world_advance_ms(w, 2000);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 0);
}

static void relay_without_build_gets_no_path_report(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, WORLD_RELAY);
    world_advance_ms(w, 2000);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 0);
}

static void ended_call_reports_no_path(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = setup_call(w, BUILD, WORLD_RELAY);
    wzp_client_hangup(w->client, call, WZP_HANGUP_NORMAL, w->now_us);
    world_advance_ms(w, 2000);
    assert_int_equal(world_sent(w, WZP_SIG_MEDIA_PATH_REPORT), 0);
}

static void peers_path_report_changes_nothing_without_a_race(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_talk(w, NULL);
    world_say(w, w->signal, "{\"MediaPathReport\":{\"call_id\":\"%s\",\"direct_ok\":true,\"race_winner\":\"Direct\"}}",
              world_call_id(w, call));
    assert_true(wz_list_is_empty(&w->effects));
}

/* ---- loss ---- */

static void lost_media_is_told_and_ends_the_call_after_ten_seconds_of_redialling(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    world_talk(w, &media);
    world_closed(w, media, "idle");
    assert_string_equal(world_event(w, WZP_LINE_MEDIA_DOWN)->reason, "idle");
    assert_int_equal(world_last(w, WZP_CLIENT_USE)->conn, 0);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 1);
    world_advance_ms(w, 1000);
    assert_int_equal(world_count(w, WZP_CLIENT_DIAL), 2);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1); /* the first attempt */
    world_advance_ms(w, 8999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_MEDIA_LOST);
    assert_false(world_event(w, WZP_LINE_ENDED)->by_peer);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 1);
}

static void hangup_right_after_lost_media_explains_it(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    const uint64_t call = world_talk(w, &media);
    world_closed(w, media, "normal close");
    world_advance_ms(w, 500);
    world_say(w, w->signal, "{\"Hangup\":{\"reason\":\"Normal\",\"call_id\":\"%s\"}}", world_call_id(w, call));
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_HANGUP);
    assert_true(world_event(w, WZP_LINE_ENDED)->by_peer);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 0);
}

static void call_whose_room_refuses_us_ends_as_refused(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, WORLD_RELAY);
    const uint64_t media = world_media_up(w, 0); /* CallAnswer, but never a RoomUpdate */
    world_closed(w, media, "normal close");
    world_advance_ms(w, 2000);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_REFUSED);
}

static void call_whose_peer_never_comes_ends_after_40_seconds(void **state)
{
    struct client_world *w = *state;
    setup_call(w, BUILD, WORLD_RELAY);
    world_media_up(w, 1);
    world_advance_ms(w, 39000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1500);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_MEDIA_LOST);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 1);
}

static void peer_that_is_heard_but_not_listed_is_there(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = setup_call(w, BUILD, WORLD_RELAY);
    world_media_up(w, 1);
    wzp_client_media_seen(w->client, call, w->now_us);
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void signal_loss_does_not_end_a_call_with_media(void **state)
{
    struct client_world *w = *state;
    world_talk(w, NULL);
    world_closed(w, w->signal, "idle");
    world_advance_ms(w, 5000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

/* ---- rooms ---- */

static uint64_t join(struct client_world *w, const char *room)
{
    uint64_t call = 0;
    assert_int_equal(wzp_client_join(w->client, &(struct wzp_line_room){ .name = room }, w->now_us, &call), 0);
    world_drain(w);
    return call;
}

static void room_is_joined_under_its_lower_case_name(void **state)
{
    struct client_world *w = *state;
    char text[WZ_ADDR_TEXT_MAX];
    join(w, "Ops");
    assert_string_equal(world_last(w, WZP_CLIENT_DIAL)->sni, "ops");
    assert_string_equal(dialled(w, text), WORLD_RELAY);
    world_media_up(w, 1);
    assert_int_equal(world_events(w, WZP_LINE_MEDIA_UP), 1);
}

static void room_name_that_tls_cannot_carry_is_hashed(void **state)
{
    struct client_world *w = *state;
    join(w, "Ops Room");
    assert_string_equal(world_last(w, WZP_CLIENT_DIAL)->sni, "ed6484036ca8ce512c2e05398ba329d9");
    uint64_t call = 0;
    assert_int_equal(wzp_client_join(w->client, &(struct wzp_line_room){ .name = "" }, w->now_us, &call), -EINVAL);
}

static void room_with_one_participant_stays(void **state)
{
    struct client_world *w = *state;
    join(w, "ops");
    const uint64_t media = world_media_up(w, 2);
    world_room_count(w, media, 1);
    world_advance_ms(w, 60000);
    assert_int_equal(world_events(w, WZP_LINE_ROOM_UPDATE), 2);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void room_that_closes_on_us_is_refused_or_lost(void **state)
{
    struct client_world *w = *state;
    join(w, "ops");
    world_closed(w, world_media_up(w, 0), "normal close");
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_REFUSED);
    join(w, "ops");
    world_closed(w, world_media_up(w, 1), "idle");
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_MEDIA_LOST);
    join(w, "ops");
    world_closed(w, world_last(w, WZP_CLIENT_DIAL)->conn, "no route");
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_NO_MEDIA);
}

static void room_that_does_not_answer_ends_after_ten_seconds(void **state)
{
    struct client_world *w = *state;
    join(w, "ops");
    world_advance_ms(w, 10000);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_NO_MEDIA);
}

static void leaving_a_room_sends_no_hangup(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = join(w, "ops");
    world_media_up(w, 2);
    wzp_client_hangup(w->client, call, WZP_HANGUP_NORMAL, w->now_us);
    world_drain(w);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 0);
    assert_int_equal(world_count(w, WZP_CLIENT_CLOSE), 1);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_LOCAL);
}

/* A relay reads no stream of a media connection after the handshake: what we sent there would use up its credit. */
static void media_connection_hears_the_handshake_and_nothing_else(void **state)
{
    struct client_world *w = *state;
    size_t sent = 0;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, BUILD);
    world_setup(w, call, WORLD_RELAY);
    const uint64_t media = world_media_up(w, 2);
    assert_int_equal(world_sent_on(w, media, WZP_SIG_CALL_OFFER), 1);
    world_room_count(w, media, 1);
    world_room_count(w, media, 2);
    world_say(w, media, "\"Hold\"");
    world_say(w, media, "{\"Ping\":{\"timestamp_ms\":1}}");
    assert_int_equal(wzp_client_ping(w->client, w->now_us), 0);
    assert_int_equal(wzp_client_reflect(w->client, w->now_us), 0);
    world_advance_ms(w, 60000);
    wzp_client_hangup(w->client, call, WZP_HANGUP_NORMAL, w->now_us);
    world_drain(w);
    assert_int_equal(world_sent_on(w, w->signal, WZP_SIG_HANGUP), 1);
    for (enum wzp_signal_kind kind = 0; kind < WZP_SIG_KIND_COUNT; kind++)
        sent += world_sent_on(w, media, kind);
    assert_int_equal(sent, 1);
}

int main(void)
{
#define NEW(name) cmocka_unit_test_setup_teardown(name, new_relay, end_world)
#define OLD(name) cmocka_unit_test_setup_teardown(name, old_relay, end_world)
    const struct CMUnitTest tests[] = {
        NEW(setup_is_told_and_dials_the_room_at_the_announced_relay),
        NEW(setup_event_carries_the_peers_addresses),
        NEW(unparsable_relay_address_means_the_relay_we_know),
        NEW(host_name_as_relay_address_means_the_relay_we_know),
        NEW(private_relay_address_of_a_public_relay_means_the_relay_we_know),
        NEW(loopback_relay_address_of_a_public_relay_means_the_relay_we_know),
        NEW(relay_address_without_port_or_host_means_the_relay_we_know),
        NEW(announced_relay_that_is_silent_for_a_second_is_given_up_for_ours),
        NEW(announced_relay_that_refuses_is_given_up_at_once),
        NEW(connected_relay_without_an_answer_is_given_up_too),
        NEW(setup_in_capitals_is_joined_in_lower_case),
        NEW(setup_with_an_impossible_room_uses_the_call_id),
        NEW(second_setup_is_not_followed),
        NEW(setup_of_a_call_we_have_not_answered_is_not_followed),
        NEW(setup_without_an_answer_sets_the_caller_up),
        NEW(media_handshake_offers_a_signed_key_and_brings_media_up),
        cmocka_unit_test(token_goes_first_on_media_connections_too),
        NEW(forged_call_answer_brings_no_media),
        NEW(no_media_in_ten_seconds_after_the_answer_ends_the_call),
        NEW(hanging_media_dial_ends_the_call_after_ten_seconds),
        NEW(refused_media_dial_ends_the_call_after_a_grace),
        NEW(path_report_says_relay_twice),
        NEW(callee_reports_its_path_to_a_caller_with_a_build),
        NEW(peer_without_build_gets_no_path_report),
        OLD(relay_without_build_gets_no_path_report),
        NEW(ended_call_reports_no_path),
        NEW(peers_path_report_changes_nothing_without_a_race),
        NEW(lost_media_is_told_and_ends_the_call_after_ten_seconds_of_redialling),
        NEW(hangup_right_after_lost_media_explains_it),
        NEW(call_whose_room_refuses_us_ends_as_refused),
        NEW(call_whose_peer_never_comes_ends_after_40_seconds),
        NEW(peer_that_is_heard_but_not_listed_is_there),
        NEW(signal_loss_does_not_end_a_call_with_media),
        NEW(room_is_joined_under_its_lower_case_name),
        NEW(room_name_that_tls_cannot_carry_is_hashed),
        NEW(room_with_one_participant_stays),
        NEW(room_that_closes_on_us_is_refused_or_lost),
        NEW(room_that_does_not_answer_ends_after_ten_seconds),
        NEW(leaving_a_room_sends_no_hangup),
        NEW(media_connection_hears_the_handshake_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
