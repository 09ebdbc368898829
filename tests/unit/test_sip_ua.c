/* The user agent against a hand-written SIP client: registration, calls in and out, refusals, hold, CANCEL. */
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

#define OUR_SDP                                                                                                       \
    "v=0\r\no=- 9 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"

static int open_with(void **state, bool tcp, void (*change)(struct sipua_config *config))
{
    struct sip_world *world = calloc(1, sizeof *world);
    struct sipua_config config = sip_world_config();
    if (change)
        change(&config);
    sip_world_open(world, &config, tcp);
    *state = world;
    return 0;
}

static int open_udp(void **state)
{
    return open_with(state, false, NULL);
}

static int open_tcp(void **state)
{
    return open_with(state, true, NULL);
}

static void one_call(struct sipua_config *config)
{
    config->limits.max_calls = 1;
}

static int open_one_call(void **state)
{
    return open_with(state, false, one_call);
}

static void public_address(struct sipua_config *config)
{
    (void)wz_addr_parse("203.0.113.7:0", &config->public_address);
}

static int open_public(void **state)
{
    return open_with(state, false, public_address);
}

static int close_world(void **state)
{
    sip_world_close(*state);
    free(*state);
    return 0;
}

static struct sip_peer_message message; /* large; one at a time */

static void send_in_dialog(struct sip_world *world, const char *method, const char *call_id, const char *to_tag,
                           unsigned cseq, const char *headers, const char *body)
{
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = method, .user = "alice", .to_user = "someone",
                                                            .call_id = call_id, .cseq = cseq, .to_tag = to_tag,
                                                            .headers = headers, .body = body });
}

/* alice has called and been answered; to_tag: 128 bytes. */
static void answered_call(struct sip_world *world, const char *call_id, char *to_tag)
{
    assert_true(sip_world_invite(world, "alice", "secret", "*43", call_id, sip_world_sdp));
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_to_tag(&message, to_tag, 128));
    send_in_dialog(world, "ACK", call_id, to_tag, 2, NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
}

/* The parts of a response that tell a stranger something: everything but tags, nonces and branches. */
static void strip(const struct sip_peer_message *from, char *to, size_t size)
{
    char value[1024], nonce[256] = "", *at;
    snprintf(to, size, "%d", from->status);
    if (!sip_peer_header(from, "WWW-Authenticate", 0, value, sizeof value))
        return;
    assert_true(sip_peer_param(value, "nonce", nonce, sizeof nonce));
    assert_non_null(at = strstr(value, nonce));
    memset(at, 'n', strlen(nonce));
    snprintf(to + strlen(to), size - strlen(to), "%s", value);
}

static void right_password_registers_and_contact_is_listed(void **state)
{
    struct sip_world *world = *state;
    char contact[512], expires[16];
    assert_true(sip_world_register(world, "alice", "secret", 120, &message));
    assert_true(sip_peer_header(&message, "Contact", 0, contact, sizeof contact));
    assert_non_null(strstr(contact, "<sip:alice@127.0.0.1:"));
    assert_true(sip_peer_param(contact, "expires", expires, sizeof expires));
    assert_int_equal(atoi(expires), 120);
    assert_int_equal(world->registered, 1);
    assert_int_equal(sipua_stats(world->ua).bindings, 1);
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    assert_int_equal(sipua_reg_contacts(sipua_registrar(world->ua), "alice", 0, binding), 1);
    assert_true(wz_addr_equal(&binding[0]->source, &world->peer.local));
    assert_int_equal(binding[0]->transport, world->peer.tcp ? SIPUA_TCP : SIPUA_UDP);
}

static void sha256_user_registers_with_sha256(void **state)
{
    struct sip_world *world = *state;
    assert_true(sip_world_register(world, "bob", "hidden", 120, &message));
}

static void user_with_both_is_challenged_twice(void **state)
{
    struct sip_world *world = *state;
    char first[512], second[512];
    sip_peer_send(&world->peer,
                  &(struct sip_peer_request){ .method = "REGISTER", .user = "carol", .call_id = "two", .cseq = 1 });
    assert_true(sip_peer_expect(&world->peer, 401, &message));
    assert_true(sip_peer_header(&message, "WWW-Authenticate", 0, first, sizeof first));
    assert_true(sip_peer_header(&message, "WWW-Authenticate", 1, second, sizeof second));
    assert_non_null(strstr(first, "SHA-256"));
    assert_non_null(strstr(second, "MD5"));
}

static void wrong_password_and_unknown_user_get_the_same_answer(void **state)
{
    struct sip_world *world = *state;
    char wrong[2048], unknown[2048];
    assert_false(sip_world_register(world, "alice", "guess", 120, &message));
    strip(&message, wrong, sizeof wrong);
    assert_int_equal(message.status, 401);
    assert_false(sip_world_register(world, "nobody", "guess", 120, &message));
    strip(&message, unknown, sizeof unknown);
    assert_string_equal(wrong, unknown);
    assert_int_equal(world->registered, 0);
    assert_int_equal(sipua_stats(world->ua).auth_failed, 2);
}

static void good_password_for_another_account_is_forbidden(void **state)
{
    struct sip_world *world = *state;
    char challenge[1024], auth[1024];
    struct sip_peer_request request = { .method = "REGISTER", .user = "bob", .call_id = "steal", .cseq = 1 };
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "REGISTER", .user = "alice", .call_id = "a", .cseq = 1 });
    assert_true(sip_peer_expect(&world->peer, 401, &message));
    assert_true(sip_peer_header(&message, "WWW-Authenticate", 0, challenge, sizeof challenge));
    sip_peer_digest("Authorization", challenge, "alice", "secret", "REGISTER", "sip:test", 1, auth, sizeof auth);
    request.headers = auth;
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 403, &message));
    assert_int_equal(world->registered, 0);
}

static void replayed_register_is_stale(void **state)
{
    struct sip_world *world = *state;
    char challenge[1024], auth[1024];
    struct sip_peer_request request = { .method = "REGISTER", .user = "alice", .call_id = "replay", .cseq = 1 };
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 401, &message));
    assert_true(sip_peer_header(&message, "WWW-Authenticate", 0, challenge, sizeof challenge));
    sip_peer_digest("Authorization", challenge, "alice", "secret", "REGISTER", "sip:test", 1, auth, sizeof auth);
    request.headers = auth;
    request.cseq = 2;
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    request.cseq = 3;
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 401, &message));
    assert_true(sip_peer_header(&message, "WWW-Authenticate", 0, challenge, sizeof challenge));
    assert_non_null(strstr(challenge, "stale=true"));
}

static void too_brief_registration_gets_423(void **state)
{
    struct sip_world *world = *state;
    char seconds[16];
    assert_false(sip_world_register(world, "alice", "secret", 5, &message));
    assert_int_equal(message.status, 423);
    assert_true(sip_peer_header(&message, "Min-Expires", 0, seconds, sizeof seconds));
    assert_string_equal(seconds, "60");
}

static void unregistering_removes_the_contact(void **state)
{
    struct sip_world *world = *state;
    char contact[512];
    assert_true(sip_world_register(world, "alice", "secret", 120, &message));
    assert_true(sip_world_register(world, "alice", "secret", 0, &message));
    assert_false(sip_peer_header(&message, "Contact", 0, contact, sizeof contact));
    assert_int_equal(world->unregistered, 1);
    assert_int_equal(sipua_stats(world->ua).bindings, 0);
}

static void invite_rings_is_answered_and_ended_by_the_phone(void **state)
{
    struct sip_world *world = *state;
    char to_tag[128], contact[256];
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
    send_in_dialog(world, "ACK", "call-1", to_tag, 2, NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
    send_in_dialog(world, "BYE", "call-1", to_tag, 3, "Reason: Q.850;cause=16;text=\"bye now\"\r\n", NULL);
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
    char to_tag[128], reason[128];
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
    char to_tag[128];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "call-3", sip_world_sdp));
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_int_equal(sipua_call_hangup(world->call, 16, NULL), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    send_in_dialog(world, "ACK", "call-3", to_tag, 2, NULL, NULL);
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
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "CANCEL", .uri = uri, .user = "alice", .to_user = "someone",
                                                            .call_id = "call-4", .cseq = 2, .branch = world->peer.branch,
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
    char to_tag[128];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "call-5", NULL));
    assert_false(world->has_offer);
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    send_in_dialog(world, "ACK", "call-5", to_tag, 2, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
    assert_string_equal(sip_world_last(world)->sdp, sip_world_sdp);
}

static void rejection_carries_warning_reason_and_retry_after(void **state)
{
    struct sip_world *world = *state;
    char value[512];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "call-6", sip_world_sdp));
    assert_int_equal(sipua_call_reject(world->call, &(struct sipua_refusal){ .status = 488, .warning_code = 305,
                                                                             .warning = "offered \"G729\"; accepted PCMU",
                                                                             .q850 = 65, .retry_after_s = 3 }),
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
    char to_tag[128];
    const char *hold = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                       "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";
    answered_call(world, "call-10", to_tag);
    send_in_dialog(world, "INVITE", "call-10", to_tag, 3, NULL, hold);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER);
    assert_string_equal(sip_world_last(world)->sdp, hold);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP "a=recvonly\r\n"), 0);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), -EPROTO);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_non_null(strstr(message.body, "a=recvonly"));
    send_in_dialog(world, "ACK", "call-10", to_tag, 3, NULL, NULL);
    send_in_dialog(world, "BYE", "call-10", to_tag, 4, NULL, NULL);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
}

static void reinvite_without_sdp_draws_our_offer(void **state)
{
    struct sip_world *world = *state;
    char to_tag[128];
    answered_call(world, "call-11", to_tag);
    send_in_dialog(world, "INVITE", "call-11", to_tag, 3, NULL, NULL);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER);
    assert_false(sip_world_last(world)->has_sdp);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    send_in_dialog(world, "ACK", "call-11", to_tag, 3, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 3));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER_ACKED);
    assert_string_equal(sip_world_last(world)->sdp, sip_world_sdp);
}

static void refused_reoffer_leaves_the_call_up(void **state)
{
    struct sip_world *world = *state;
    char to_tag[128];
    answered_call(world, "call-12", to_tag);
    send_in_dialog(world, "INVITE", "call-12", to_tag, 3, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sipua_call_answer_offer(world->call, 488, NULL), 0);
    assert_true(sip_peer_expect(&world->peer, 488, &message));
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "ACK", .user = "alice", .to_user = "someone",
                                                            .call_id = "call-12", .cseq = 3, .to_tag = to_tag,
                                                            .branch = world->peer.branch });
    assert_false(sipua_call_is_over(world->call));
    send_in_dialog(world, "BYE", "call-12", to_tag, 4, NULL, NULL);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
}

static void update_with_sdp_is_an_offer_and_without_a_refresh(void **state)
{
    struct sip_world *world = *state;
    char to_tag[128];
    answered_call(world, "call-13", to_tag);
    send_in_dialog(world, "UPDATE", "call-13", to_tag, 3, NULL, NULL);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_int_equal(world->event_count, 1);
    send_in_dialog(world, "UPDATE", "call-13", to_tag, 4, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_string_equal(message.body, OUR_SDP);
}

static void info_carries_a_digit(void **state)
{
    struct sip_world *world = *state;
    char to_tag[128], text[1024], local[WZ_ADDR_TEXT_MAX];
    const char *body = "Signal=#\r\nDuration=250\r\n";
    answered_call(world, "call-14", to_tag);
    wz_addr_format(&world->peer.local, local);
    snprintf(text, sizeof text,
             "INFO sip:gw@test SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bKinfo\r\nFrom: <sip:alice@test>;tag=f-call-14\r\n"
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

static struct sipua_call *dial_alice(struct sip_world *world)
{
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    struct sipua_call *call = NULL;
    assert_true(sip_world_register(world, "alice", "secret", 120, &message));
    assert_int_equal(sipua_reg_contacts(sipua_registrar(world->ua), "alice", 0, binding), 1);
    assert_int_equal(sipua_dial(world->ua,
                                &(struct sipua_dial){ .binding = binding[0], .from_user = "2002", .sdp = OUR_SDP,
                                                      .from_display = "Wanda \"W\"" },
                                world, &call),
                     0);
    assert_ptr_equal(sipua_call_arg(call), world);
    world->call = call;
    return call;
}

static void registered_phone_is_called_on_its_flow_and_answers(void **state)
{
    struct sip_world *world = *state;
    char from[256], tag[64], contact[256];
    struct sipua_call *call = dial_alice(world);
    assert_true(sip_peer_expect_request(&world->peer, "INVITE", &message));
    assert_string_equal(message.body, OUR_SDP);
    assert_true(sip_peer_header(&message, "From", 0, from, sizeof from));
    assert_memory_equal(from, "\"Wanda W\" <sip:2002@127.0.0.1", 29);
    assert_true(sip_peer_param(from, "tag", tag, sizeof tag));
    assert_true(sip_peer_header(&message, "Contact", 0, contact, sizeof contact));
    sip_peer_respond(&world->peer, &message, 180, "phone", NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_PROGRESS);
    assert_int_equal(sip_world_last(world)->status, 180);
    sip_peer_respond(&world->peer, &message, 200, "phone", NULL, sip_world_sdp);
    assert_true(sip_peer_expect_request(&world->peer, "ACK", &message));
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ANSWERED);
    assert_string_equal(sip_world_last(world)->sdp, sip_world_sdp);
    assert_int_equal(sipua_call_hangup(call, 16, NULL), 0);
    assert_true(sip_peer_expect_request(&world->peer, "BYE", &message));
    sip_peer_respond(&world->peer, &message, 200, NULL, NULL, NULL);
    assert_true(sip_world_wait_events(world, 3));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ENDED);
}

static void busy_phone_fails_the_call(void **state)
{
    struct sip_world *world = *state;
    dial_alice(world);
    assert_true(sip_peer_expect_request(&world->peer, "INVITE", &message));
    sip_peer_respond(&world->peer, &message, 486, "phone", "Reason: Q.850;cause=17\r\n", NULL);
    assert_true(sip_peer_expect_request(&world->peer, "ACK", &message));
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_FAILED);
    assert_int_equal(sip_world_last(world)->status, 486);
    assert_int_equal(sip_world_last(world)->q850, 17);
}

static void hangup_while_ringing_cancels_and_waits_for_487(void **state)
{
    struct sip_world *world = *state;
    static struct sip_peer_message invite;
    struct sipua_call *call = dial_alice(world);
    assert_true(sip_peer_expect_request(&world->peer, "INVITE", &invite));
    sip_peer_respond(&world->peer, &invite, 180, "phone", NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sipua_call_hangup(call, 16, NULL), 0);
    assert_true(sip_peer_expect_request(&world->peer, "CANCEL", &message));
    sip_peer_respond(&world->peer, &message, 200, NULL, NULL, NULL);
    sip_world_pump(world);
    assert_false(sipua_call_is_over(call));
    sip_peer_respond(&world->peer, &invite, 487, "phone", NULL, NULL);
    assert_true(sip_peer_expect_request(&world->peer, "ACK", &message));
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_FAILED);
    assert_int_equal(sip_world_last(world)->status, 487);
}

static void answer_that_crosses_the_cancel_is_acked_and_ended(void **state)
{
    struct sip_world *world = *state;
    static struct sip_peer_message invite;
    struct sipua_call *call = dial_alice(world);
    assert_true(sip_peer_expect_request(&world->peer, "INVITE", &invite));
    sip_peer_respond(&world->peer, &invite, 180, "phone", NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sipua_call_hangup(call, 16, NULL), 0);
    assert_true(sip_peer_expect_request(&world->peer, "CANCEL", &message));
    sip_peer_respond(&world->peer, &invite, 200, "phone", NULL, sip_world_sdp);
    sip_peer_respond(&world->peer, &message, 481, NULL, NULL, NULL);
    assert_true(sip_peer_expect_request(&world->peer, "ACK", &message));
    assert_true(sip_peer_expect_request(&world->peer, "BYE", &message));
    sip_peer_respond(&world->peer, &message, 200, NULL, NULL, NULL);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_FAILED);
}

static void redirection_is_not_followed(void **state)
{
    struct sip_world *world = *state;
    dial_alice(world);
    assert_true(sip_peer_expect_request(&world->peer, "INVITE", &message));
    /* A second Contact of sip_peer_respond's own is harmless; neither may be called. */
    sip_peer_respond(&world->peer, &message, 302, "phone", "Contact: <sip:900@127.0.0.1:9>\r\n", NULL);
    assert_true(sip_peer_expect_request(&world->peer, "ACK", &message));
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_FAILED);
    assert_int_equal(sip_world_last(world)->status, 302);
    assert_false(sip_peer_receive(&world->peer, &message, 200));
}

static void closed_connection_fails_the_call_and_drops_the_binding(void **state)
{
    struct sip_world *world = *state;
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    assert_true(sip_world_register(world, "alice", "secret", 120, &message));
    assert_int_equal(sipua_reg_contacts(sipua_registrar(world->ua), "alice", 0, binding), 1);
    sip_peer_close(&world->peer);
    sip_world_pump(world);
    assert_int_equal(sipua_dial(world->ua, &(struct sipua_dial){ .binding = binding[0], .from_user = "1", .sdp = OUR_SDP },
                                NULL, &world->call),
                     0);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_FAILED);
    assert_int_equal(sip_world_last(world)->status, 503);
    assert_int_equal(sipua_stats(world->ua).bindings, 0);
    assert_int_equal(world->unregistered, 1);
}

static void released_call_is_hung_up_and_says_nothing(void **state)
{
    struct sip_world *world = *state;
    char to_tag[128];
    answered_call(world, "call-15", to_tag);
    sipua_call_release(world->call);
    world->call = NULL;
    assert_true(sip_peer_expect_request(&world->peer, "BYE", &message));
    sip_peer_respond(&world->peer, &message, 200, NULL, NULL, NULL);
    sip_world_pump(world);
    assert_int_equal(world->event_count, 1);
    assert_int_equal(sipua_stats(world->ua).calls_active, 0);
}

static void expect_status(struct sip_world *world, const char *method, int status)
{
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = method, .user = "alice", .call_id = method, .cseq = 1 });
    assert_true(sip_peer_expect(&world->peer, status, &message));
}

static void other_methods_are_refused_without_asking_who(void **state)
{
    struct sip_world *world = *state;
    expect_status(world, "OPTIONS", 200);
    expect_status(world, "MESSAGE", 405);
    expect_status(world, "SUBSCRIBE", 405);
    expect_status(world, "NOTIFY", 405);
    expect_status(world, "PUBLISH", 405);
    expect_status(world, "REFER", 405);
    expect_status(world, "INFO", 481);
    expect_status(world, "BYE", 481);
    expect_status(world, "UPDATE", 481);
}

static void unknown_method_is_refused(void **state)
{
    struct sip_world *world = *state;
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "DANCE", .user = "alice", .call_id = "d", .cseq = 1 });
    assert_true(sip_peer_receive(&world->peer, &message, 5000));
    assert_true(message.status == 405 || message.status == 501);
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
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "ACK", .uri = "sip:gw@203.0.113.7", .user = "alice",
                                                            .to_user = "someone", .call_id = "call-16", .cseq = 2,
                                                            .to_tag = to_tag });
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
}

static void trace_tells_the_ladder_in_order(void **state)
{
    static const struct {
        bool outgoing;
        const char *starts;
    } want[] = { { false, "INVITE sip:*43" }, { true, "200 OK" }, { false, "ACK " }, { false, "BYE " } };
    struct sip_world *world = *state;
    char to_tag[128];
    answered_call(world, "call-17", to_tag);
    send_in_dialog(world, "BYE", "call-17", to_tag, 3, NULL, NULL);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(world->trace_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(world->trace[i].outgoing, want[i].outgoing);
        assert_memory_equal(world->trace[i].summary, want[i].starts, strlen(want[i].starts));
    }
}

static void two_agents_live_in_one_process(void **state)
{
    struct sip_world *world = *state, *other = calloc(1, sizeof *other);
    struct sipua_config config = sip_world_config();
    sip_world_open(other, &config, false);
    assert_true(sipua_local(world->ua).port != sipua_local(other->ua).port);
    assert_true(sip_world_register(world, "alice", "secret", 120, &message));
    assert_true(sip_world_register(other, "alice", "secret", 120, &message));
    assert_int_equal(world->registered, 1);
    assert_int_equal(other->registered, 1);
    sip_world_close(other);
    free(other);
    assert_true(sip_world_register(world, "bob", "hidden", 120, &message));
}

static void taken_port_is_reported(void **state)
{
    struct sip_world *world = *state;
    struct sipua_config config = sip_world_config();
    struct sipua *second = NULL;
    config.listen = sipua_local(world->ua);
    const struct sipua_handlers handlers = { .credentials = (int (*)(void *, const char *, struct sipua_credentials *))abort,
                                             .incoming = (void (*)(void *, struct sipua_call *,
                                                                   const struct sipua_incoming *))abort,
                                             .event = (void (*)(void *, struct sipua_call *,
                                                                const struct sipua_event *))abort };
    assert_int_equal(sipua_new(&second, world->context, &config, &handlers, NULL), -EADDRINUSE);
    assert_null(second);
}

#define UDP(test) cmocka_unit_test_setup_teardown(test, open_udp, close_world)
#define TCP(test) { #test "_over_tcp", test, open_tcp, close_world, NULL }

int main(void)
{
    const struct CMUnitTest tests[] = {
        UDP(right_password_registers_and_contact_is_listed),
        TCP(right_password_registers_and_contact_is_listed),
        UDP(sha256_user_registers_with_sha256),
        UDP(user_with_both_is_challenged_twice),
        UDP(wrong_password_and_unknown_user_get_the_same_answer),
        UDP(good_password_for_another_account_is_forbidden),
        UDP(replayed_register_is_stale),
        UDP(too_brief_registration_gets_423),
        UDP(unregistering_removes_the_contact),
        UDP(invite_rings_is_answered_and_ended_by_the_phone),
        TCP(invite_rings_is_answered_and_ended_by_the_phone),
        UDP(hangup_of_an_answered_call_sends_one_bye),
        TCP(hangup_of_an_answered_call_sends_one_bye),
        UDP(hangup_before_the_ack_waits_for_it),
        UDP(cancel_ends_a_ringing_call_with_487),
        TCP(cancel_ends_a_ringing_call_with_487),
        UDP(late_offer_is_answered_in_the_ack),
        UDP(rejection_carries_warning_reason_and_retry_after),
        cmocka_unit_test_setup_teardown(full_system_answers_503_with_retry_after, open_one_call, close_world),
        UDP(draining_refuses_new_calls_only),
        UDP(hold_reinvite_is_offered_and_answered),
        UDP(reinvite_without_sdp_draws_our_offer),
        UDP(refused_reoffer_leaves_the_call_up),
        UDP(update_with_sdp_is_an_offer_and_without_a_refresh),
        UDP(info_carries_a_digit),
        UDP(registered_phone_is_called_on_its_flow_and_answers),
        TCP(registered_phone_is_called_on_its_flow_and_answers),
        UDP(busy_phone_fails_the_call),
        TCP(busy_phone_fails_the_call),
        UDP(hangup_while_ringing_cancels_and_waits_for_487),
        UDP(answer_that_crosses_the_cancel_is_acked_and_ended),
        UDP(redirection_is_not_followed),
        TCP(closed_connection_fails_the_call_and_drops_the_binding),
        UDP(released_call_is_hung_up_and_says_nothing),
        UDP(other_methods_are_refused_without_asking_who),
        UDP(unknown_method_is_refused),
        UDP(body_that_is_not_sdp_gets_415),
        cmocka_unit_test_setup_teardown(contact_says_the_public_address, open_public, close_world),
        UDP(trace_tells_the_ladder_in_order),
        UDP(two_agents_live_in_one_process),
        UDP(taken_port_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
