/* The user agent is called by a hand-written client: answer, refusals, renegotiation, both ways to end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/sip_world.h"

#define OUR_SDP "v=0\r\no=- 9 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"

static struct sip_peer_message message; /* large; one at a time */

static void one_call(struct sipua_config *config)
{
    config->limits.max_calls = 1;
}

static int open_one_call(void **state)
{
    return sip_world_setup(state, false, one_call);
}

static void public_address(struct sipua_config *config)
{
    (void)wz_addr_parse("203.0.113.7:0", &config->public_address);
}

static int open_public(void **state)
{
    return sip_world_setup(state, false, public_address);
}

/* alice has called and been answered; to_tag: SIP_WORLD_TAG_MAX bytes. */
static void answered_call(struct sip_world *world, const char *call_id, char *to_tag)
{
    assert_true(sip_world_answered_call(world, call_id, OUR_SDP, to_tag));
}

static void invite_rings_is_answered_and_ended_by_the_phone(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX], contact[256];
    assert_true(sip_world_invite(world, "alice", "secret", "*43", "call-1", sip_world_sdp));
    assert_string_equal(world->from_user, "alice");
    assert_string_equal(world->to_user, "*43");
    assert_string_equal(world->offer, sip_world_sdp);
    assert_int_equal(world->transport, world->peer.tcp ? SIPUA_TCP : SIPUA_UDP);
    assert_true(wz_addr_equal(&world->source, &world->peer.local));
    assert_int_equal(sipua_call_ring(world->call), 0);
    assert_true(sip_peer_expect(&world->peer, 180, &message));
    assert_true(sip_peer_header(&message, "Contact", 0, contact, sizeof contact));
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_string_equal(message.body, OUR_SDP);
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    sip_world_in_dialog(world, "ACK", "call-1", to_tag, 2, NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
    sip_world_in_dialog(world, "BYE", "call-1", to_tag, 3, "Reason: Q.850;cause=16;text=\"bye now\"\r\n", NULL);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ENDED);
    assert_true(sip_world_last(world)->by_peer);
    assert_int_equal(sip_world_last(world)->q850, 16);
    assert_string_equal(sip_world_last(world)->text, "bye now");
    assert_true(sipua_call_is_over(world->call));
    assert_int_equal(sipua_call_hangup(world->call, 16, NULL), -ESHUTDOWN);
    assert_int_equal(sipua_stats(world->ua).calls_active, 0);
}

static void hangup_of_an_answered_call_sends_one_bye(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX], reason[128];
    answered_call(world, "call-2", to_tag);
    assert_int_equal(sipua_call_hangup(world->call, 31, "relay gone"), 0);
    assert_int_equal(sipua_call_hangup(world->call, 31, "relay gone"), -ESHUTDOWN);
    assert_true(sip_peer_expect_request(&world->peer, "BYE", &message));
    assert_true(sip_peer_header(&message, "Reason", 0, reason, sizeof reason));
    assert_string_equal(reason, "Q.850;cause=31;text=\"relay gone\"");
    sip_peer_respond(&world->peer, &message, 200, NULL, NULL, NULL);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ENDED);
    assert_false(sip_world_last(world)->by_peer);
    assert_false(sip_peer_receive(&world->peer, &message, 700)); /* past one T1: nothing is sent again */
}

static void hangup_before_the_ack_waits_for_it(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "call-3", sip_world_sdp));
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_int_equal(sipua_call_hangup(world->call, 16, NULL), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    sip_world_in_dialog(world, "ACK", "call-3", to_tag, 2, NULL, NULL);
    assert_true(sip_peer_expect_request(&world->peer, "BYE", &message));
    sip_peer_respond(&world->peer, &message, 200, NULL, NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ENDED);
}

static void cancel_ends_a_ringing_call_with_487(void **state)
{
    struct sip_world *world = *state;
    char uri[128], server[WZ_ADDR_TEXT_MAX];
    assert_true(sip_world_invite(world, "alice", "secret", "55", "call-4", sip_world_sdp));
    assert_int_equal(sipua_call_ring(world->call), 0);
    assert_true(sip_peer_expect(&world->peer, 180, &message));
    snprintf(uri, sizeof uri, "sip:55@%s", wz_addr_format(&world->peer.server, server));
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "CANCEL",
                                                            .uri = uri,
                                                            .user = "alice",
                                                            .to_user = "someone",
                                                            .call_id = "call-4",
                                                            .cseq = 2,
                                                            .branch = world->peer.branch,
                                                            .no_contact = true });
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_expect(&world->peer, 487, &message));
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_CANCELLED);
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), -ESHUTDOWN);
}

static void late_offer_is_answered_in_the_ack(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "call-5", NULL));
    assert_false(world->has_offer);
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    sip_world_in_dialog(world, "ACK", "call-5", to_tag, 2, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
    assert_string_equal(sip_world_last(world)->sdp, sip_world_sdp);
}

static void rejection_carries_warning_reason_and_retry_after(void **state)
{
    struct sip_world *world = *state;
    char value[512];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "call-6", sip_world_sdp));
    assert_int_equal(
        sipua_call_reject(world->call, &(struct sipua_refusal){ .status = 488,
                                                                .warning_code = 305,
                                                                .warning = "offered \"G729\"; accepted PCMU",
                                                                .q850 = 65,
                                                                .retry_after_s = 3 }),
        0);
    assert_int_equal(world->event_count, 0); /* never from inside the call */
    assert_true(sip_peer_expect(&world->peer, 488, &message));
    assert_true(sip_peer_header(&message, "Warning", 0, value, sizeof value));
    assert_string_equal(value, "305 wzp-gateway \"offered G729; accepted PCMU\"");
    assert_true(sip_peer_header(&message, "Reason", 0, value, sizeof value));
    assert_string_equal(value, "Q.850;cause=65");
    assert_true(sip_peer_header(&message, "Retry-After", 0, value, sizeof value));
    assert_string_equal(value, "3");
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ENDED);
    assert_int_equal(sip_world_last(world)->status, 488);
}

static void full_system_answers_503_with_retry_after(void **state)
{
    struct sip_world *world = *state;
    char value[64];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "call-7", sip_world_sdp));
    assert_false(sip_world_invite(world, "alice", "secret", "2", "call-8", sip_world_sdp));
    assert_int_equal(world->incoming_count, 1);
    assert_true(sip_peer_expect(&world->peer, 503, &message));
    assert_true(sip_peer_header(&message, "Retry-After", 0, value, sizeof value));
    assert_string_equal(value, "7");
}

static void draining_refuses_new_calls_only(void **state)
{
    struct sip_world *world = *state;
    sipua_set_draining(world->ua, true);
    assert_true(sip_world_register(world, "alice", "secret", 120, &message));
    assert_false(sip_world_invite(world, "alice", "secret", "1", "call-9", sip_world_sdp));
    assert_true(sip_peer_expect(&world->peer, 503, &message));
}

static void hold_reinvite_is_offered_and_answered(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX];
    const char *hold = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                       "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";
    answered_call(world, "call-10", to_tag);
    sip_world_in_dialog(world, "INVITE", "call-10", to_tag, 3, NULL, hold);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER);
    assert_string_equal(sip_world_last(world)->sdp, hold);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP "a=recvonly\r\n"), 0);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), -EPROTO);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_non_null(strstr(message.body, "a=recvonly"));
    sip_world_in_dialog(world, "ACK", "call-10", to_tag, 3, NULL, NULL);
    sip_world_in_dialog(world, "BYE", "call-10", to_tag, 4, NULL, NULL);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
}

static void reinvite_without_sdp_draws_our_offer(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX];
    answered_call(world, "call-11", to_tag);
    sip_world_in_dialog(world, "INVITE", "call-11", to_tag, 3, NULL, NULL);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER);
    assert_false(sip_world_last(world)->has_sdp);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    sip_world_in_dialog(world, "ACK", "call-11", to_tag, 3, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 3));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER_ACKED);
    assert_string_equal(sip_world_last(world)->sdp, sip_world_sdp);
}

static void refused_reoffer_leaves_the_call_up(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX];
    answered_call(world, "call-12", to_tag);
    sip_world_in_dialog(world, "INVITE", "call-12", to_tag, 3, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sipua_call_answer_offer(world->call, 488, NULL), 0);
    assert_true(sip_peer_expect(&world->peer, 488, &message));
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "ACK",
                                                            .user = "alice",
                                                            .to_user = "someone",
                                                            .call_id = "call-12",
                                                            .cseq = 3,
                                                            .to_tag = to_tag,
                                                            .branch = world->peer.branch });
    assert_false(sipua_call_is_over(world->call));
    sip_world_in_dialog(world, "BYE", "call-12", to_tag, 4, NULL, NULL);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
}

static void update_with_sdp_is_an_offer_and_without_a_refresh(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX];
    answered_call(world, "call-13", to_tag);
    sip_world_in_dialog(world, "UPDATE", "call-13", to_tag, 3, NULL, NULL);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_int_equal(world->event_count, 1);
    sip_world_in_dialog(world, "UPDATE", "call-13", to_tag, 4, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_string_equal(message.body, OUR_SDP);
}

/* alice's INVITE with further headers; the answer to it must be status. */
static void expect_invite_status(struct sip_world *world, const char *call_id, const char *headers, int status)
{
    char challenge[1024], auth[1024], all[2048], uri[128], server[WZ_ADDR_TEXT_MAX];
    snprintf(uri, sizeof uri, "sip:1@%s", wz_addr_format(&world->peer.server, server));
    struct sip_peer_request request = { .method = "INVITE",
                                        .uri = uri,
                                        .user = "alice",
                                        .to_user = "someone",
                                        .call_id = call_id,
                                        .cseq = 1,
                                        .body = sip_world_sdp,
                                        .headers = headers };
    sip_peer_send(&world->peer, &request);
    do {
        assert_true(sip_peer_receive(&world->peer, &message, 5000));
    } while (message.status == 100);
    if (message.status == status)
        return;
    assert_true(sip_peer_header(&message, "Proxy-Authenticate", 0, challenge, sizeof challenge));
    sip_peer_digest("Proxy-Authorization", challenge, "alice", "secret", "INVITE", uri, 1, auth, sizeof auth);
    snprintf(all, sizeof all, "%s%s", auth, headers);
    request.headers = all;
    request.cseq = 2;
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, status, &message));
}

static void session_timer_is_agreed_and_too_short_refused(void **state)
{
    struct sip_world *world = *state;
    char value[128];
    expect_invite_status(world, "timer-1", "Supported: timer\r\nSession-Expires: 30\r\n", 422);
    assert_true(sip_peer_header(&message, "Min-SE", 0, value, sizeof value));
    assert_string_equal(value, "90");
    expect_invite_status(world, "timer-2", "Supported: timer\r\nSession-Expires: 120\r\n", 100);
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_header(&message, "Session-Expires", 0, value, sizeof value));
    assert_string_equal(value, "120;refresher=uac");
}

static void reliable_progress_is_acknowledged_by_prack(void **state)
{
    struct sip_world *world = *state;
    char value[32], headers[64], to_tag[SIP_WORLD_TAG_MAX];
    expect_invite_status(world, "rel", "Require: 100rel\r\n", 100);
    assert_int_equal(sipua_call_progress(world->call, 183, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 183, &message));
    assert_string_equal(message.body, OUR_SDP);
    assert_true(sip_peer_header(&message, "RSeq", 0, value, sizeof value));
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0); /* waits for the PRACK */
    snprintf(headers, sizeof headers, "RAck: %s 2 INVITE\r\n", value);
    sip_world_in_dialog(world, "PRACK", "rel", to_tag, 3, headers, NULL);
    assert_true(sip_peer_expect(&world->peer, 200, &message)); /* to one of the two */
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    sip_world_in_dialog(world, "ACK", "rel", to_tag, 2, NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
}

static void info_carries_a_digit(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX], text[1024], local[WZ_ADDR_TEXT_MAX];
    const char *body = "Signal=#\r\nDuration=250\r\n";
    answered_call(world, "call-14", to_tag);
    wz_addr_format(&world->peer.local, local);
    snprintf(
        text, sizeof text,
        "INFO sip:gw@test SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bKinfo\r\nFrom: "
        "<sip:alice@test>;tag=f-call-14\r\n"
        "To: <sip:someone@test>;tag=%s\r\nCall-ID: call-14\r\nCSeq: 3 INFO\r\nContent-Type: application/dtmf-relay\r\n"
        "Content-Length: %zu\r\n\r\n%s",
        local, to_tag, strlen(body), body);
    sip_peer_send_text(&world->peer, text);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_INFO_DTMF);
    assert_int_equal(sip_world_last(world)->digit, '#');
    assert_int_equal(sip_world_last(world)->duration_ms, 250);
}

static void released_call_is_hung_up_and_says_nothing(void **state)
{
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX];
    answered_call(world, "call-15", to_tag);
    sipua_call_release(world->call);
    world->call = NULL;
    assert_true(sip_peer_expect_request(&world->peer, "BYE", &message));
    sip_peer_respond(&world->peer, &message, 200, NULL, NULL, NULL);
    sip_world_pump(world);
    assert_int_equal(world->event_count, 1);
    assert_int_equal(sipua_stats(world->ua).calls_active, 0);
}

static void body_that_is_not_sdp_gets_415(void **state)
{
    struct sip_world *world = *state;
    char challenge[1024], auth[1024], headers[1200], uri[128], server[WZ_ADDR_TEXT_MAX];
    snprintf(uri, sizeof uri, "sip:1@%s", wz_addr_format(&world->peer.server, server));
    struct sip_peer_request request = { .method = "INVITE", .uri = uri, .user = "alice", .call_id = "mp", .cseq = 1 };
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 407, &message));
    assert_true(sip_peer_header(&message, "Proxy-Authenticate", 0, challenge, sizeof challenge));
    sip_peer_digest("Proxy-Authorization", challenge, "alice", "secret", "INVITE", uri, 1, auth, sizeof auth);
    snprintf(headers, sizeof headers, "%sContent-Encoding: gzip\r\n", auth);
    request.headers = headers;
    request.body = "v=0\r\n";
    request.cseq = 2;
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 415, &message));
    assert_int_equal(world->incoming_count, 0);
}

static void contact_says_the_public_address(void **state)
{
    struct sip_world *world = *state;
    char contact[256], want[64], to_tag[128];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "call-16", sip_world_sdp));
    assert_int_equal(sipua_call_ring(world->call), 0);
    assert_true(sip_peer_expect(&world->peer, 180, &message));
    assert_true(sip_peer_header(&message, "Contact", 0, contact, sizeof contact));
    snprintf(want, sizeof want, "<sip:gw@203.0.113.7:%u>", sipua_local(world->ua).port);
    assert_string_equal(contact, want);
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_header(&message, "Contact", 0, contact, sizeof contact));
    assert_string_equal(contact, want);
    /* a phone follows it: the request-URI is the public one */
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "ACK",
                                                            .uri = "sip:gw@203.0.113.7",
                                                            .user = "alice",
                                                            .to_user = "someone",
                                                            .call_id = "call-16",
                                                            .cseq = 2,
                                                            .to_tag = to_tag });
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
}

static void raw_traces(struct sipua_config *config)
{
    config->trace_raw = true;
}

static int open_raw(void **state)
{
    return sip_world_setup(state, false, raw_traces);
}

static void raw_trace_holds_the_message_to_its_end(void **state)
{
    struct sip_world *world = *state;
    assert_true(sip_world_invite(world, "alice", "secret", "*43", "raw", sip_world_sdp));
    assert_int_equal(world->trace_count, 1);
    const char *raw = world->trace[0].text;
    assert_memory_equal(raw, "INVITE sip:*43@", 15);
    const size_t len = strlen(raw), tail = strlen(sip_world_sdp);
    assert_true(len > tail);
    assert_string_equal(raw + len - tail, sip_world_sdp);
}

static void trace_tells_the_ladder_in_order(void **state)
{
    static const struct {
        bool outgoing;
        const char *starts;
    } want[] = { { false, "INVITE sip:*43" }, { true, "200 OK" }, { false, "ACK " }, { false, "BYE " } };
    struct sip_world *world = *state;
    char to_tag[SIP_WORLD_TAG_MAX];
    answered_call(world, "call-17", to_tag);
    sip_world_in_dialog(world, "BYE", "call-17", to_tag, 3, NULL, NULL);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(world->trace_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(world->trace[i].outgoing, want[i].outgoing);
        assert_memory_equal(world->trace[i].summary, want[i].starts, strlen(want[i].starts));
    }
}

#define UDP(test) cmocka_unit_test_setup_teardown(test, sip_world_setup_udp, sip_world_teardown)
#define TCP(test)                                                                                                      \
    {                                                                                                                  \
#test "_over_tcp", test, sip_world_setup_tcp, sip_world_teardown, NULL                                         \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        UDP(invite_rings_is_answered_and_ended_by_the_phone),
        TCP(invite_rings_is_answered_and_ended_by_the_phone),
        UDP(hangup_of_an_answered_call_sends_one_bye),
        TCP(hangup_of_an_answered_call_sends_one_bye),
        UDP(hangup_before_the_ack_waits_for_it),
        UDP(cancel_ends_a_ringing_call_with_487),
        TCP(cancel_ends_a_ringing_call_with_487),
        UDP(late_offer_is_answered_in_the_ack),
        UDP(rejection_carries_warning_reason_and_retry_after),
        cmocka_unit_test_setup_teardown(full_system_answers_503_with_retry_after, open_one_call, sip_world_teardown),
        UDP(draining_refuses_new_calls_only),
        UDP(hold_reinvite_is_offered_and_answered),
        UDP(reinvite_without_sdp_draws_our_offer),
        UDP(refused_reoffer_leaves_the_call_up),
        UDP(update_with_sdp_is_an_offer_and_without_a_refresh),
        UDP(session_timer_is_agreed_and_too_short_refused),
        UDP(reliable_progress_is_acknowledged_by_prack),
        UDP(info_carries_a_digit),
        UDP(released_call_is_hung_up_and_says_nothing),
        UDP(body_that_is_not_sdp_gets_415),
        cmocka_unit_test_setup_teardown(contact_says_the_public_address, open_public, sip_world_teardown),
        cmocka_unit_test_setup_teardown(raw_trace_holds_the_message_to_its_end, open_raw, sip_world_teardown),
        UDP(trace_tells_the_ladder_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
