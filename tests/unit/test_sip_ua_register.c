/* The user agent against a hand-written client: registration, strangers' requests, several agents. */
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

static struct sip_peer_message message; /* large; one at a time */

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
    sip_peer_send(&world->peer,
                  &(struct sip_peer_request){ .method = "REGISTER", .user = "alice", .call_id = "a", .cseq = 1 });
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

static void brief(struct sipua_config *config)
{
    config->min_expires_s = 1;
}

static int open_brief(void **state)
{
    return sip_world_setup(state, false, brief);
}

static void registration_that_is_not_refreshed_expires(void **state)
{
    struct sip_world *world = *state;
    assert_true(sip_world_register(world, "alice", "secret", 1, &message));
    assert_int_equal(world->unregistered, 0);
    assert_false(sip_world_wait_unregistered(world, 1, 500));
    assert_true(sip_world_wait_unregistered(world, 1, 5000));
    assert_int_equal(sipua_stats(world->ua).bindings, 0);
}

static void expect_status(struct sip_world *world, const char *method, int status)
{
    sip_peer_send(&world->peer,
                  &(struct sip_peer_request){ .method = method, .user = "alice", .call_id = method, .cseq = 1 });
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
    sip_peer_send(&world->peer,
                  &(struct sip_peer_request){ .method = "DANCE", .user = "alice", .call_id = "d", .cseq = 1 });
    assert_true(sip_peer_receive(&world->peer, &message, 5000));
    assert_true(message.status == 405 || message.status == 501);
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
    const struct sipua_handlers handlers = {
        .credentials = (int (*)(void *, const char *, struct sipua_credentials *))abort,
        .incoming = (void (*)(void *, struct sipua_call *, const struct sipua_incoming *))abort,
        .event = (void (*)(void *, struct sipua_call *, const struct sipua_event *))abort
    };
    assert_int_equal(sipua_new(&second, world->context, &config, &handlers, NULL), -EADDRINUSE);
    assert_null(second);
}

#define UDP(test) cmocka_unit_test_setup_teardown(test, sip_world_setup_udp, sip_world_teardown)
#define TCP(test)                                                                                                      \
    {                                                                                                                  \
#test "_over_tcp", test, sip_world_setup_tcp, sip_world_teardown, NULL                                         \
    }

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
        cmocka_unit_test_setup_teardown(registration_that_is_not_refreshed_expires, open_brief, sip_world_teardown),
        UDP(other_methods_are_refused_without_asking_who),
        UDP(unknown_method_is_refused),
        UDP(two_agents_live_in_one_process),
        UDP(taken_port_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
