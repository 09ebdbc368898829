/* Hangups that arrive at the client core, with and without a call_id (WZP-wire "Hangup"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "tests/support/client_world.h"

#define BUILD "9377a90"
#define BARE  "{\"Hangup\":{\"reason\":\"Normal\"}}"

static int new_world(void **state)
{
    *state = world_new(&(struct client_world_options){ .relay_build = BUILD });
    return 0;
}

static int end_world(void **state)
{
    world_free(*state);
    return 0;
}

static void assert_ended_by_peer(struct client_world *w, uint64_t call)
{
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 1);
    assert_int_equal(world_event_call(w, WZP_LINE_ENDED), call);
    assert_int_equal(world_event(w, WZP_LINE_ENDED)->end, WZP_LINE_END_HANGUP);
    assert_true(world_event(w, WZP_LINE_ENDED)->by_peer);
}

static void named_hangup_ends_its_call_only_and_tells_why(void **state)
{
    struct client_world *w = *state;
    const uint64_t first = world_place_call(w), second = world_place_call(w);
    world_say(w, w->signal, "{\"CallRinging\":{\"call_id\":\"%s\"}}", world_call_id(w, second));
    world_say(w, w->signal, "{\"Hangup\":{\"reason\":\"Busy\",\"call_id\":\"%s\"}}",
              world_call_id(w, second));
    assert_ended_by_peer(w, second);
    const struct wzp_line_event *event = world_event(w, WZP_LINE_ENDED);
    assert_int_equal(event->hangup_reason, WZP_HANGUP_BUSY);
    assert_true(event->ringing_seen);
    assert_false(event->answered_seen);
    assert_non_null(world_call_id(w, first));
}

static void hangup_before_ringing_says_so(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_say(w, w->signal, BARE);
    assert_ended_by_peer(w, call);
    assert_false(world_event(w, WZP_LINE_ENDED)->ringing_seen);
}

static void hangup_closes_the_media_connection(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    const uint64_t call = world_talk(w, &media);
    world_say(w, w->signal, BARE);
    assert_ended_by_peer(w, call);
    assert_true(world_event(w, WZP_LINE_ENDED)->answered_seen);
    assert_int_equal(world_last(w, WZP_CLIENT_CLOSE)->conn, media);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 0);
}

static void bare_hangup_without_calls_is_counted(void **state)
{
    struct client_world *w = *state;
    world_say(w, w->signal, BARE);
    assert_int_equal(wzp_client_stats(w->client)->unknown_calls, 1);
    assert_true(wz_list_is_empty(&w->effects));
}

static void bare_hangup_cannot_mean_a_call_the_relay_has_not_heard_of(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_talk(w, NULL);
    uint64_t reflecting = 0;
    const struct wzp_line_dial to = { .target_fingerprint = w->peer.fingerprint };
    assert_int_equal(wzp_client_call(w->client, &to, w->now_us, &reflecting), 0);
    world_say(w, w->signal, BARE);
    assert_ended_by_peer(w, call);
}

static void bare_hangup_does_not_end_a_room(void **state)
{
    struct client_world *w = *state;
    uint64_t room = 0;
    assert_int_equal(wzp_client_join(w->client, &(struct wzp_line_room){ .name = "ops" }, w->now_us, &room), 0);
    world_drain(w);
    world_media_up(w, 2);
    world_say(w, w->signal, BARE);
    world_advance_ms(w, 3000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void bare_hangup_waits_for_the_room_that_empties(void **state)
{
    struct client_world *w = *state;
    uint64_t media[2];
    world_talk(w, &media[0]);
    const uint64_t second = world_talk(w, &media[1]);
    world_say(w, w->signal, BARE);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 300);
    world_room_count(w, media[1], 1);
    assert_ended_by_peer(w, second);
    world_advance_ms(w, 10000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 1);
}

static void bare_hangup_after_the_room_emptied_ends_that_call(void **state)
{
    struct client_world *w = *state;
    uint64_t media[2];
    const uint64_t first = world_talk(w, &media[0]);
    world_talk(w, &media[1]);
    world_room_count(w, media[0], 1);
    world_advance_ms(w, 300);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_say(w, w->signal, BARE);
    assert_ended_by_peer(w, first);
}

static void bare_hangup_goes_with_the_media_connection_that_closes(void **state)
{
    struct client_world *w = *state;
    uint64_t media[2];
    const uint64_t first = world_talk(w, &media[0]);
    world_talk(w, &media[1]);
    world_say(w, w->signal, BARE);
    world_closed(w, media[0], "normal close");
    assert_ended_by_peer(w, first);
}

static void two_bare_hangups_end_the_two_calls_that_empty(void **state)
{
    struct client_world *w = *state;
    uint64_t media[3];
    for (int i = 0; i < 3; i++)
        world_talk(w, &media[i]);
    world_say(w, w->signal, BARE);
    world_say(w, w->signal, BARE);
    world_room_count(w, media[2], 1);
    world_room_count(w, media[0], 1);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 2);
    assert_int_equal(wzp_client_stats(w->client)->calls, 1);
}

static void bare_hangup_means_the_offer_the_relay_never_rang_for(void **state)
{
    struct client_world *w = *state;
    world_talk(w, NULL);
    const uint64_t offline = world_place_call(w);
    world_say(w, w->signal, BARE);
    world_advance_ms(w, 1999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_ended_by_peer(w, offline);
}

static void bare_hangup_means_the_call_whose_media_stopped(void **state)
{
    struct client_world *w = *state;
    const uint64_t first = world_talk(w, NULL), second = world_talk(w, NULL);
    wzp_client_media_seen(w->client, first, w->now_us);
    wzp_client_media_seen(w->client, second, w->now_us);
    world_say(w, w->signal, BARE);
    world_advance_ms(w, 1000);
    wzp_client_media_seen(w->client, second, w->now_us);
    world_advance_ms(w, 1000);
    assert_ended_by_peer(w, first);
}

static void bare_hangup_means_the_only_call_without_media(void **state)
{
    struct client_world *w = *state;
    world_talk(w, NULL);
    const uint64_t incoming = world_offer(w, "feed", BUILD);
    world_say(w, w->signal, BARE);
    world_advance_ms(w, 2000);
    assert_ended_by_peer(w, incoming);
}

static void bare_hangup_without_evidence_ends_nothing(void **state)
{
    struct client_world *w = *state;
    world_talk(w, NULL);
    world_talk(w, NULL);
    world_say(w, w->signal, BARE);
    world_advance_ms(w, 10000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    assert_int_equal(wzp_client_stats(w->client)->ambiguous_hangups, 1);
}

static void bare_hangup_cannot_mean_a_call_that_came_later(void **state)
{
    struct client_world *w = *state;
    const uint64_t first = world_talk(w, NULL), second = world_talk(w, NULL);
    world_say(w, w->signal, BARE);
    wzp_client_hangup(w->client, first, WZP_HANGUP_NORMAL, w->now_us);
    wzp_client_hangup(w->client, second, WZP_HANGUP_NORMAL, w->now_us);
    world_advance_ms(w, 1);
    world_clear(w);
    world_place_call(w);
    world_advance_ms(w, 10000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void more_bare_hangups_than_calls_are_dropped(void **state)
{
    struct client_world *w = *state;
    world_talk(w, NULL);
    world_talk(w, NULL);
    for (int i = 0; i < WZP_CLIENT_MAX_CALLS + 1; i++)
        world_say(w, w->signal, BARE);
    assert_int_equal(wzp_client_stats(w->client)->ambiguous_hangups, 1);
    world_advance_ms(w, 2000);
    assert_int_equal(wzp_client_stats(w->client)->ambiguous_hangups, WZP_CLIENT_MAX_CALLS + 1);
}

static void call_room_that_stays_empty_for_two_seconds_is_a_hangup(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    const uint64_t call = world_talk(w, &media);
    world_room_count(w, media, 1);
    world_advance_ms(w, 1999);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
    world_advance_ms(w, 1);
    assert_ended_by_peer(w, call);
    assert_int_equal(world_sent(w, WZP_SIG_HANGUP), 1); /* so that the relay forgets the call */
}

static void call_room_that_fills_again_goes_on(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    world_talk(w, &media);
    world_room_count(w, media, 1);
    world_advance_ms(w, 1000);
    world_room_count(w, media, 2);
    world_advance_ms(w, 10000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void call_room_that_still_brings_media_is_not_empty(void **state)
{
    struct client_world *w = *state;
    uint64_t media = 0;
    const uint64_t call = world_talk(w, &media);
    world_room_count(w, media, 1);
    world_advance_ms(w, 1500);
    wzp_client_media_seen(w->client, call, w->now_us);
    world_advance_ms(w, 10000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

static void first_one_in_the_call_room_waits_for_the_other(void **state)
{
    struct client_world *w = *state;
    const uint64_t call = world_place_call(w);
    world_answer(w, call, NULL);
    world_setup(w, call, WORLD_RELAY);
    world_media_up(w, 1);
    world_advance_ms(w, 10000);
    assert_int_equal(world_events(w, WZP_LINE_ENDED), 0);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_world, end_world)
    const struct CMUnitTest tests[] = {
        STORY(named_hangup_ends_its_call_only_and_tells_why),
        STORY(hangup_before_ringing_says_so),
        STORY(hangup_closes_the_media_connection),
        STORY(bare_hangup_without_calls_is_counted),
        STORY(bare_hangup_cannot_mean_a_call_the_relay_has_not_heard_of),
        STORY(bare_hangup_does_not_end_a_room),
        STORY(bare_hangup_waits_for_the_room_that_empties),
        STORY(bare_hangup_after_the_room_emptied_ends_that_call),
        STORY(bare_hangup_goes_with_the_media_connection_that_closes),
        STORY(two_bare_hangups_end_the_two_calls_that_empty),
        STORY(bare_hangup_means_the_offer_the_relay_never_rang_for),
        STORY(bare_hangup_means_the_call_whose_media_stopped),
        STORY(bare_hangup_means_the_only_call_without_media),
        STORY(bare_hangup_without_evidence_ends_nothing),
        STORY(bare_hangup_cannot_mean_a_call_that_came_later),
        STORY(more_bare_hangups_than_calls_are_dropped),
        STORY(call_room_that_stays_empty_for_two_seconds_is_a_hangup),
        STORY(call_room_that_fills_again_goes_on),
        STORY(call_room_that_still_brings_media_is_not_empty),
        STORY(first_one_in_the_call_room_waits_for_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
