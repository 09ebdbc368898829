/* What strangers and odd phones send to the user agent: it answers or is silent, and lives. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/sip_world.h"

#define OUR_SDP "v=0\r\no=- 9 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"

static struct sip_peer_message message; /* large; one at a time */

/* Whatever came before, a registration still works. */
static void assert_alive(struct sip_world *world)
{
    while (sip_peer_receive(&world->peer, &message, 50))
        ;
    assert_true(sip_world_register(world, "bob", "hidden", 120, &message));
}

static void garbage_is_survived(void **state)
{
    static const char *const packets[] = {
        "x",
        "\r\n\r\n\r\n",
        "INVITE",
        "INVITE sip:x SIP/2.0\r\n\r\n",
        "SIP/2.0 200 OK\r\n\r\n",
        "INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK\r\nContent-Length: 99999999999\r\n\r\n",
        "INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP\r\nFrom: <\r\nTo: >\r\nCall-ID: \r\nCSeq: -1 INVITE\r\n\r\n",
        "REGISTER \377\376\375 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKq\r\n\r\n",
        "ACK sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: "
        "<sip:c@d>;tag=2\r\n"
        "Call-ID: nothing\r\nCSeq: 1 ACK\r\n\r\n",
        "CANCEL sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKc\r\nFrom: <sip:a@b>;tag=1\r\nTo: "
        "<sip:c@d>\r\n"
        "Call-ID: nothing\r\nCSeq: 1 CANCEL\r\n\r\n",
    };
    struct sip_world *world = *state;
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        sip_peer_send_text(&world->peer, packets[i]);
        sip_world_pump(world);
    }
    assert_alive(world);
}

/* sofia can serve STUN on its SIP port, with parsers that had holes. */
static void stun_on_the_sip_port_is_not_served(void **state)
{
    static const uint8_t request[] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    uint8_t reply[256] = { 0 };
    struct sip_world *world = *state;
    assert_int_equal(send(world->peer.fd, request, sizeof request, 0), sizeof request);
    for (unsigned i = 0; i < 20; i++)
        sip_world_pump(world);
    const ssize_t got = recv(world->peer.fd, reply, sizeof reply, MSG_DONTWAIT);
    assert_true(got < 0 || (reply[0] == 1 && reply[1] == 0x11)); /* silence or an error, no binding response */
    assert_alive(world);
}

static void expect_register_status(struct sip_world *world, const char *contact, int status)
{
    static unsigned nr;
    char challenge[1024], auth[1024], headers[3000], id[32];
    struct sip_peer_request request = {
        .method = "REGISTER", .user = "alice", .call_id = id, .cseq = 1, .no_contact = true
    };
    snprintf(id, sizeof id, "odd-%u", nr++);
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, 401, &message));
    assert_true(sip_peer_header(&message, "WWW-Authenticate", 0, challenge, sizeof challenge));
    sip_peer_digest("Authorization", challenge, "alice", "secret", "REGISTER", "sip:test", 1, auth, sizeof auth);
    snprintf(headers, sizeof headers, "%s%s", auth, contact);
    request.headers = headers;
    request.cseq = 2;
    sip_peer_send(&world->peer, &request);
    assert_true(sip_peer_expect(&world->peer, status, &message));
}

static void contacts_that_cannot_be_dialled_are_refused(void **state)
{
    char contact[2048], uri[SIPUA_REG_URI_MAX + 64];
    struct sip_world *world = *state;
    expect_register_status(world, "Contact: <http://x/y>\r\n", 400);
    expect_register_status(world, "Contact: <tel:+123>\r\n", 400);
    expect_register_status(world, "Contact: <sips:a@b>\r\n", 400);
    expect_register_status(world, "Contact: <sip:a@b?Replaces=x>\r\n", 400);
    expect_register_status(world, "Contact: *\r\n", 400); /* without Expires: 0 */
    expect_register_status(world, "Contact: *\r\nExpires: 0\r\nContact: <sip:a@b>\r\n", 400);
    memset(uri, 'u', sizeof uri);
    uri[sizeof uri - 1] = '\0';
    snprintf(contact, sizeof contact, "Contact: <sip:%s@b>\r\n", uri);
    expect_register_status(world, contact, 400);
    contact[0] = '\0';
    for (unsigned i = 0; i <= SIPUA_REG_MAX_CONTACTS; i++)
        snprintf(contact + strlen(contact), sizeof contact - strlen(contact), "Contact: <sip:%u@b>\r\n", i);
    expect_register_status(world, contact, 503);
    assert_int_equal(world->registered, 0);
    expect_register_status(world, "Contact: <sip:a@b>;expires=oops\r\n", 200);
    expect_register_status(world, "Contact: *\r\nExpires: 0\r\n", 200);
}

static void odd_credentials_get_400_or_a_challenge(void **state)
{
    static const struct {
        const char *header;
        int status;
    } row[] = {
        { "Authorization: Digest username=\"alice\", username=\"alice\"\r\n", 400 },
        { "Authorization: Basic YWxpY2U6c2VjcmV0\r\n", 401 },
        { "Authorization: Digest username=\"alice\", realm=\"test realm\", nonce=\"n\", uri=\"x\", response=\"00\"\r\n",
          401 },
    };
    struct sip_world *world = *state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char id[32];
        snprintf(id, sizeof id, "cred-%zu", i);
        sip_peer_send(&world->peer,
                      &(struct sip_peer_request){
                          .method = "REGISTER", .user = "alice", .call_id = id, .cseq = 1, .headers = row[i].header });
        assert_true(sip_peer_receive(&world->peer, &message, 5000));
        assert_int_equal(message.status, row[i].status);
    }
    assert_int_equal(world->registered, 0);
}

static void over_long_user_is_refused(void **state)
{
    char user[SIPUA_USER_MAX + 1];
    struct sip_world *world = *state;
    memset(user, 'u', sizeof user);
    user[SIPUA_USER_MAX] = '\0';
    sip_peer_send(&world->peer,
                  &(struct sip_peer_request){ .method = "REGISTER", .user = user, .call_id = "l", .cseq = 1 });
    assert_true(sip_peer_expect(&world->peer, 400, &message));
    user[SIPUA_USER_MAX - 1] = '\0';
    sip_peer_send(&world->peer,
                  &(struct sip_peer_request){ .method = "REGISTER", .user = user, .call_id = "m", .cseq = 1 });
    assert_true(sip_peer_expect(&world->peer, 401, &message));
}

static void too_large_message_over_tcp_is_refused(void **state)
{
    char head[512], local[WZ_ADDR_TEXT_MAX];
    struct sip_world *world = *state;
    struct wz_addr server = sipua_local(world->ua);
    snprintf(
        head, sizeof head,
        "MESSAGE sip:x SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=z9hG4bKl\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
        "Call-ID: large\r\nCSeq: 1 MESSAGE\r\nContent-Length: 200000\r\n\r\n",
        wz_addr_format(&world->peer.local, local));
    sip_peer_send_text(&world->peer, head);
    static char block[8192];
    memset(block, 'x', sizeof block - 1);
    for (unsigned i = 0; i < 20; i++) {
        (void)send(world->peer.fd, block, sizeof block - 1, MSG_NOSIGNAL); /* it may have closed by now */
        sip_world_pump(world);
    }
    sip_peer_close(&world->peer);
    sip_peer_open(&world->peer, &server, true, sip_world_pump, world);
    assert_alive(world);
}

static void keepalive_over_tcp_gets_its_pong(void **state)
{
    char pong[8] = "";
    struct sip_world *world = *state;
    sip_peer_send_text(&world->peer, "\r\n\r\n");
    for (unsigned i = 0; i < 1000 && recv(world->peer.fd, pong, sizeof pong, MSG_DONTWAIT) <= 0; i++)
        sip_world_pump(world);
    assert_memory_equal(pong, "\r\n", 2);
}

/* An offer that overtakes the ACK of a late offer runs into an assertion of nua if it is let through. */
static void update_before_the_ack_of_a_late_offer(void **state)
{
    char to_tag[SIP_WORLD_TAG_MAX];
    struct sip_world *world = *state;
    assert_true(sip_world_invite(world, "alice", "secret", "1", "race-1", NULL));
    assert_int_equal(sipua_call_answer(world->call, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    sip_world_in_dialog(world, "UPDATE", "race-1", to_tag, 3, NULL, sip_world_sdp);
    assert_true(sip_peer_expect(&world->peer, 500, &message));
    sip_world_in_dialog(world, "ACK", "race-1", to_tag, 2, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ACKED);
    sip_world_in_dialog(world, "ACK", "race-1", to_tag, 2, NULL, sip_world_sdp);
    assert_alive(world);
}

static void bye_during_a_pending_offer_ends_the_call(void **state)
{
    char to_tag[SIP_WORLD_TAG_MAX];
    struct sip_world *world = *state;
    assert_true(sip_world_answered_call(world, "race-2", OUR_SDP, to_tag));
    sip_world_in_dialog(world, "INVITE", "race-2", to_tag, 3, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 2));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_OFFER);
    sip_world_in_dialog(world, "BYE", "race-2", to_tag, 4, NULL, NULL);
    assert_true(sip_world_wait_events(world, 3));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_ENDED);
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), -ESHUTDOWN);
    assert_alive(world);
}

static void second_offer_while_one_is_pending_is_refused(void **state)
{
    char to_tag[SIP_WORLD_TAG_MAX];
    struct sip_world *world = *state;
    assert_true(sip_world_answered_call(world, "race-3", OUR_SDP, to_tag));
    sip_world_in_dialog(world, "INVITE", "race-3", to_tag, 3, NULL, sip_world_sdp);
    assert_true(sip_world_wait_events(world, 2));
    sip_world_in_dialog(world, "UPDATE", "race-3", to_tag, 4, NULL, sip_world_sdp);
    assert_true(sip_peer_expect(&world->peer, 500, &message));
    assert_int_equal(sipua_call_answer_offer(world->call, 200, OUR_SDP), 0);
    assert_true(sip_peer_expect(&world->peer, 200, &message));
}

static void early_bye_of_the_caller_cancels(void **state)
{
    char to_tag[SIP_WORLD_TAG_MAX];
    struct sip_world *world = *state;
    assert_true(sip_world_invite(world, "alice", "secret", "1", "race-4", sip_world_sdp));
    assert_int_equal(sipua_call_ring(world->call), 0);
    assert_true(sip_peer_expect(&world->peer, 180, &message));
    assert_true(sip_peer_to_tag(&message, to_tag, sizeof to_tag));
    sip_world_in_dialog(world, "BYE", "race-4", to_tag, 3, NULL, NULL);
    assert_true(sip_world_wait_events(world, 1));
    assert_int_equal(sip_world_last(world)->kind, SIPUA_EV_CANCELLED);
    assert_alive(world);
}

static void retransmitted_invite_is_one_call(void **state)
{
    struct sip_world *world = *state;
    char uri[128], server[WZ_ADDR_TEXT_MAX];
    assert_true(sip_world_invite(world, "alice", "secret", "1", "again", sip_world_sdp));
    snprintf(uri, sizeof uri, "sip:1@%s", wz_addr_format(&world->peer.server, server));
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "INVITE",
                                                            .uri = uri,
                                                            .user = "alice",
                                                            .to_user = "someone",
                                                            .call_id = "again",
                                                            .cseq = 2,
                                                            .branch = world->peer.branch,
                                                            .body = sip_world_sdp });
    assert_true(sip_peer_receive(&world->peer, &message, 5000)); /* the 100 again */
    assert_int_equal(message.status, 100);
    assert_int_equal(world->incoming_count, 1);
}

#define UDP(test) cmocka_unit_test_setup_teardown(test, sip_world_setup_udp, sip_world_teardown)
#define TCP(test)                                                                                                      \
    {                                                                                                                  \
#test, test, sip_world_setup_tcp, sip_world_teardown, NULL                                                     \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        UDP(garbage_is_survived),
        UDP(stun_on_the_sip_port_is_not_served),
        UDP(contacts_that_cannot_be_dialled_are_refused),
        UDP(odd_credentials_get_400_or_a_challenge),
        UDP(over_long_user_is_refused),
        TCP(too_large_message_over_tcp_is_refused),
        TCP(keepalive_over_tcp_gets_its_pong),
        UDP(update_before_the_ack_of_a_late_offer),
        UDP(bye_during_a_pending_offer_ends_the_call),
        UDP(second_offer_while_one_is_pending_is_refused),
        UDP(early_bye_of_the_caller_cancels),
        UDP(retransmitted_invite_is_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
