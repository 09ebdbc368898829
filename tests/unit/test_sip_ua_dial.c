/* The user agent calls a registered phone: answer, refusal, hang-up at every moment. */
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

static struct sipua_call *dial_alice(struct sip_world *world)
{
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    struct sipua_call *call = NULL;
    assert_true(sip_world_register(world, "alice", "secret", 120, &message));
    assert_int_equal(sipua_reg_contacts(sipua_registrar(world->ua), "alice", 0, binding), 1);
    assert_int_equal(
        sipua_dial(world->ua,
                   &(struct sipua_dial){
                       .binding = binding[0], .from_user = "2002", .sdp = OUR_SDP, .from_display = "Wanda \"W\"" },
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

static void path_of_the_registration_is_the_route_of_the_call(void **state)
{
    struct sip_world *world = *state;
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    char challenge[1024], auth[1024], headers[2048], path[128], value[512], local[WZ_ADDR_TEXT_MAX];
    struct sip_peer_request request = {
        .method = "REGISTER", .user = "alice", .call_id = "path", .cseq = 1, .headers = headers
    };
    snprintf(path, sizeof path, "<sip:token@%s;lr>", wz_addr_format(&world->peer.local, local));
    snprintf(headers, sizeof headers, "Path: %s\r\n", path);
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 401, &message));
    assert_true(sip_peer_header(&message, "WWW-Authenticate", 0, challenge, sizeof challenge));
    sip_peer_digest("Authorization", challenge, "alice", "secret", "REGISTER", "sip:test", 1, auth, sizeof auth);
    /* The contact itself leads nowhere, as that of a browser does. */
    snprintf(headers, sizeof headers, "%sPath: %s\r\nContact: <sip:alice@x.invalid>\r\n", auth, path);
    request.cseq = 2;
    request.no_contact = true;
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_header(&message, "Path", 0, value, sizeof value));
    assert_string_equal(value, path);
    assert_int_equal(sipua_reg_contacts(sipua_registrar(world->ua), "alice", 0, binding), 1);
    assert_string_equal(binding[0]->path, path);
    assert_int_equal(sipua_dial(world->ua,
                                &(struct sipua_dial){ .binding = binding[0], .from_user = "1", .sdp = OUR_SDP }, NULL,
                                &world->call),
                     0);
    assert_true(sip_peer_expect_request(&world->peer, "INVITE", &message));
    assert_memory_equal(message.text, "INVITE sip:alice@x.invalid SIP/2.0\r\n", 36);
    assert_true(sip_peer_header(&message, "Route", 0, value, sizeof value));
    assert_string_equal(value, path);
    sip_peer_respond(&world->peer, &message, 486, "phone", NULL, NULL);
    assert_true(sip_peer_expect_request(&world->peer, "ACK", &message));
    assert_true(sip_world_wait_events(world, 1));
}

static void hold_by_the_called_phone_is_offered(void **state)
{
    struct sip_world *world = *state;
    char from[256], to[256], tag[64], call_id[128], text[2048], local[WZ_ADDR_TEXT_MAX];
    dial_alice(world);
    assert_true(sip_peer_expect_request(&world->peer, "INVITE", &message));
    assert_true(sip_peer_header(&message, "From", 0, from, sizeof from));
    assert_true(sip_peer_header(&message, "To", 0, to, sizeof to));
    assert_true(sip_peer_header(&message, "Call-ID", 0, call_id, sizeof call_id));
    assert_true(sip_peer_param(from, "tag", tag, sizeof tag));
    assert_string_equal(sipua_call_id(world->call), call_id);
    sip_peer_respond(&world->peer, &message, 200, "phone", NULL, sip_world_sdp);
    assert_true(sip_peer_expect_request(&world->peer, "ACK", &message));
    assert_true(sip_world_wait_events(world, 1));
    wz_addr_format(&world->peer.local, local);
    snprintf(text, sizeof text,
             "INVITE sip:gw@test SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKhold\r\nFrom: %s;tag=phone\r\nTo: %s\r\n"
             "Call-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@%s>\r\nContent-Type: application/sdp\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             local, to, from, call_id, local, strlen(sip_world_sdp), sip_world_sdp);
    sip_peer_send_text(&world->peer, text);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
}

static void dial_without_what_it_needs_is_refused(void **state)
{
    struct sip_world *world = *state;
    struct sipua_call *call = NULL;
    assert_int_equal(
        sipua_dial(world->ua, &(struct sipua_dial){ .uri = "sip:a@127.0.0.1", .from_user = "1" }, NULL, &call),
        -EINVAL);
    assert_int_equal(
        sipua_dial(world->ua, &(struct sipua_dial){ .uri = "sip:a@127.0.0.1", .sdp = OUR_SDP }, NULL, &call), -EINVAL);
    assert_int_equal(sipua_dial(world->ua, &(struct sipua_dial){ .from_user = "1", .sdp = OUR_SDP }, NULL, &call),
                     -EINVAL);
    assert_null(call);
    assert_int_equal(sipua_stats(world->ua).calls_active, 0);
    sip_world_pump(world);
    assert_int_equal(world->event_count, 0);
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
    assert_int_equal(sipua_dial(world->ua,
                                &(struct sipua_dial){ .binding = binding[0], .from_user = "1", .sdp = OUR_SDP }, NULL,
                                &world->call),
                     0);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_FAILED);
    assert_int_equal(sip_world_last(world)->status, 503);
    assert_int_equal(sipua_stats(world->ua).bindings, 0);
    assert_int_equal(world->unregistered, 1);
}

#define UDP(test) cmocka_unit_test_setup_teardown(test, sip_world_setup_udp, sip_world_teardown)
#define TCP(test)                                                                                                      \
    {                                                                                                                  \
#test "_over_tcp", test, sip_world_setup_tcp, sip_world_teardown, NULL                                         \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        UDP(registered_phone_is_called_on_its_flow_and_answers),
        TCP(registered_phone_is_called_on_its_flow_and_answers),
        UDP(path_of_the_registration_is_the_route_of_the_call),
        UDP(hold_by_the_called_phone_is_offered),
        UDP(dial_without_what_it_needs_is_refused),
        UDP(busy_phone_fails_the_call),
        TCP(busy_phone_fails_the_call),
        UDP(hangup_while_ringing_cancels_and_waits_for_487),
        UDP(answer_that_crosses_the_cancel_is_acked_and_ended),
        UDP(redirection_is_not_followed),
        TCP(closed_connection_fails_the_call_and_drops_the_binding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
