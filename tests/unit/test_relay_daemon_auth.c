/* wzp-relay with an auth server: the real program, real QUIC, a small HTTP server of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/http_peer.h"
#include "tests/support/quic_peer.h"
#include "tests/support/relay_peer.h"
#include "tests/support/relay_program.h"
#include "wzp/web/http_post.h"

/* A program's file is in no library. */
#include "wzp/bin/relay_auth.c"

#define WAITING_MANY 200
/** A verdict comes after 5 s at the latest. */
#define VERDICT_WAIT_MS 9000

struct world {
    struct relay_program relay;
    struct http_peer server;
    struct relay_peer alice, bob;
    struct relay_peer many[WAITING_MANY];
    const char *body; /* what every token is answered; NULL: by name */
    char *huge;
    bool hold;
};

/** "token-NAME" belongs to user NAME. */
static char *judge(void *arg, const char *request)
{
    struct world *w = arg;
    char name[32], body[160] = "{\"valid\":false}";
    if (w->hold)
        return NULL;
    const char *token = strstr(request, "{\"token\":\"token-");
    if (!w->body && token && sscanf(token, "{\"token\":\"token-%31[a-z]", name) == 1)
        snprintf(body, sizeof body, "{\"valid\":true,\"fingerprint\":\"user:%s\",\"alias\":\"%s\"}", name, name);
    return http_peer_reply(200, w->body ? w->body : body);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    relay_program_init(&w->relay);
    assert_int_equal(http_peer_start(&w->server, w->relay.loop, judge, w), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    relay_peer_done(&w->alice);
    relay_peer_done(&w->bob);
    for (size_t i = 0; i < WAITING_MANY; i++)
        relay_peer_done(&w->many[i]);
    http_peer_stop(&w->server);
    relay_program_done(&w->relay);
    free(w->huge);
    free(w);
    return 0;
}

static void start(struct world *w)
{
    char url[128], text[WZ_ADDR_TEXT_MAX];
    snprintf(url, sizeof url, "http://%s/v1/validate", wz_addr_format(&w->server.addr, text));
    relay_program_start(&w->relay, (const char *const[]){ "--auth-url", url, NULL });
}

static void dial(struct world *w, struct relay_peer *peer, const char *sni, unsigned user, const char *token)
{
    char json[128];
    assert_int_equal(relay_peer_dial_silently(peer, w->relay.quic, relay_program_address(&w->relay), sni, user), 0);
    snprintf(json, sizeof json, "{\"AuthToken\":{\"token\":\"%s\"}}", token);
    relay_peer_send_text(peer, json);
    relay_peer_greet(peer);
}

static void assert_refused(struct world *w, const char *token, unsigned wait_ms)
{
    dial(w, &w->alice, "_signal", 1, token);
    assert_true(quic_wait(w->relay.loop, w->alice.closed, wait_ms));
    assert_false(w->alice.registered);
}

/* ---- end to end ---- */

static void two_clients_with_valid_tokens_call_each_other_by_the_names_they_were_given(void **state)
{
    struct world *w = *state;
    struct wzp_signal offer;
    start(w);
    dial(w, &w->alice, "_signal", 1, "token-alice");
    dial(w, &w->bob, "_signal", 2, "token-bob");
    assert_true(quic_wait(w->relay.loop, w->alice.registered && w->bob.registered, QUIC_WAIT_MS));
    relay_peer_send_text(&w->alice,
                         "{\"DirectCallOffer\":{\"caller_fingerprint\":\"user:alice\","
                         "\"target_fingerprint\":\"user:bob\",\"call_id\":\"c1\","
                         "\"identity_pub\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"
                         "\"ephemeral_pub\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"
                         "\"signature\":[],\"supported_profiles\":[]}}");
    assert_true(quic_wait(w->relay.loop, !wz_list_is_empty(&w->bob.inbox), QUIC_WAIT_MS));
    assert_true(relay_peer_take(&w->bob, WZP_SIG_DIRECT_CALL_OFFER, &offer));
    assert_string_equal(offer.offer.caller_fingerprint, "user:alice");
    wzp_signal_done(&offer);
}

static void token_goes_to_the_server_in_the_body_and_as_bearer(void **state)
{
    struct world *w = *state;
    start(w);
    dial(w, &w->alice, "_signal", 1, "token-alice");
    assert_true(quic_wait(w->relay.loop, w->alice.registered, QUIC_WAIT_MS));
    assert_non_null(strstr(w->server.last, "POST /v1/validate HTTP/1.1\r\n"));
    assert_non_null(strstr(w->server.last, "\r\nAuthorization: Bearer token-alice\r\n"));
    assert_non_null(strstr(w->server.last, "\r\n\r\n{\"token\":\"token-alice\"}"));
    assert_true(relay_program_says(&w->relay, "client.registered"));
    assert_null(strstr(w->relay.text, "token-alice")); /* never in the log */
}

static void rooms_need_a_token_too(void **state)
{
    struct world *w = *state;
    start(w);
    dial(w, &w->alice, "ops", 1, "token-alice");
    assert_true(quic_wait(w->relay.loop, w->alice.participants == 1, QUIC_WAIT_MS));
    dial(w, &w->bob, "ops", 2, "stolen");
    assert_true(quic_wait(w->relay.loop, w->bob.closed, QUIC_WAIT_MS));
    assert_false(w->bob.joined);
    assert_int_equal(w->alice.participants, 1);
}

static void without_a_token_nobody_registers(void **state)
{
    struct world *w = *state;
    start(w);
    assert_int_equal(relay_peer_dial(&w->alice, w->relay.quic, relay_program_address(&w->relay), "_signal", 1), 0);
    assert_true(quic_wait(w->relay.loop, w->alice.closed, QUIC_WAIT_MS));
    assert_false(w->alice.registered);
    assert_int_equal(w->server.requests, 0);
}

static void invalid_token_is_refused(void **state)
{
    struct world *w = *state;
    start(w);
    assert_refused(w, "forged", QUIC_WAIT_MS);
    assert_int_equal(w->server.requests, 1);
}

static void garbage_from_the_server_is_a_refusal(void **state)
{
    struct world *w = *state;
    w->body = "<html>sure!</html>";
    start(w);
    assert_refused(w, "token-alice", QUIC_WAIT_MS);
    assert_true(relay_program_says(&w->relay, "auth.failed"));
}

static void huge_answer_is_a_refusal(void **state)
{
    struct world *w = *state;
    static const char good[] = "{\"valid\":true,\"fingerprint\":\"user:alice\"}";
    const size_t len = WZ_HTTP_ANSWER_MAX_BYTES + 1;
    w->huge = malloc(len + 1);
    memset(w->huge, ' ', len);
    memcpy(w->huge, good, sizeof good - 1);
    w->huge[len] = '\0';
    w->body = w->huge;
    start(w);
    assert_refused(w, "token-alice", QUIC_WAIT_MS);
}

static void server_that_is_down_lets_nobody_in(void **state)
{
    struct world *w = *state;
    start(w);
    http_peer_stop(&w->server);
    assert_refused(w, "token-alice", QUIC_WAIT_MS);
    assert_true(relay_program_says(&w->relay, "auth.failed"));
}

static void server_that_hangs_lets_nobody_in_and_the_relay_still_serves_others(void **state)
{
    struct world *w = *state;
    char token[32];
    struct relay_peer *ping = &w->bob;
    w->hold = true;
    start(w);
    for (unsigned i = 0; i < WAITING_MANY; i++) {
        snprintf(token, sizeof token, "token-%c", 'a' + (char)(i % 26));
        dial(w, &w->many[i], "_signal", 100 + i, token);
    }
    for (unsigned i = 0; i < WAITING_MANY; i++)
        assert_true(quic_wait(w->relay.loop, w->many[i].up, QUIC_WAIT_MS));
    assert_true(quic_wait(w->relay.loop, w->server.requests == WZ_HTTP_POST_RUNNING_MAX, QUIC_WAIT_MS));
    const uint64_t asked_us = wz_clock_us();
    assert_int_equal(relay_peer_dial(ping, w->relay.quic, relay_program_address(&w->relay), "version", 1), 0);
    assert_true(quic_wait(w->relay.loop, ping->closed, QUIC_WAIT_MS));
    assert_true(ping->uni_len > 0);
    assert_true(wz_clock_us() - asked_us < 2000000); /* far less than the 5 s that the tokens wait */
    for (unsigned i = 0; i < WAITING_MANY; i++)
        assert_true(quic_wait(w->relay.loop, w->many[i].closed, VERDICT_WAIT_MS));
    for (unsigned i = 0; i < WAITING_MANY; i++)
        assert_false(w->many[i].registered);
}

static void stopping_does_not_wait_for_verdicts(void **state)
{
    struct world *w = *state;
    w->hold = true;
    start(w);
    dial(w, &w->alice, "_signal", 1, "token-alice");
    assert_true(quic_wait(w->relay.loop, w->server.requests == 1, QUIC_WAIT_MS));
    const uint64_t asked_us = wz_clock_us();
    kill(w->relay.pid, SIGINT);
    assert_int_equal(relay_program_status(&w->relay), 0);
    assert_true(wz_clock_us() - asked_us < 3000000);
}

/* ---- answers ---- */

static bool parses(unsigned status, const char *body, struct relay_auth_verdict *ret)
{
    return relay_auth_parse(status, body, strlen(body), ret) == 0;
}

static void answer_gives_the_user_a_name(void **state)
{
    struct relay_auth_verdict verdict;
    (void)state;
    assert_true(parses(200, "{\"valid\":true,\"fingerprint\":\"ab:cd\",\"alias\":\"Al\",\"more\":1}", &verdict));
    assert_true(verdict.is_valid);
    assert_string_equal(verdict.fingerprint, "ab:cd");
    assert_string_equal(verdict.alias, "Al");
    assert_true(parses(299, "{\"valid\":true,\"fingerprint\":\"x\",\"alias\":null}", &verdict));
    assert_string_equal(verdict.alias, "");
    assert_true(parses(200, "{\"valid\":false}", &verdict));
    assert_false(verdict.is_valid);
}

static void answer_that_is_not_exactly_agreed_counts_for_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "true",
        "{\"valid\":1,\"fingerprint\":\"x\"}",
        "{\"valid\":\"true\",\"fingerprint\":\"x\"}",
        "{\"valid\":true}",
        "{\"valid\":true,\"fingerprint\":null}",
        "{\"valid\":true,\"fingerprint\":\"\"}",
        "{\"valid\":true,\"fingerprint\":\"a b\"}",
        "{\"valid\":true,\"fingerprint\":\"a\\n\"}",
        "{\"valid\":true,\"fingerprint\":\"a\\\"\"}",
        "{\"valid\":true,\"fingerprint\":\"a\\u0000\"}",
        "{\"valid\":true,\"fingerprint\":\"x\",\"alias\":7}",
        "{\"valid\":true,\"fingerprint\":\"x\",\"fingerprint\":\"y\"}",
        "{\"valid\":true,\"fingerprint\":\"x\"} trailing",
    };
    struct relay_auth_verdict verdict;
    char text[RELAY_AUTH_FINGERPRINT_MAX + 64];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(parses(200, bad[i], &verdict));
    assert_false(parses(199, "{\"valid\":false}", &verdict));
    assert_false(parses(302, "{\"valid\":false}", &verdict));
    assert_false(parses(500, "{\"valid\":true,\"fingerprint\":\"x\"}", &verdict));
    snprintf(text, sizeof text, "{\"valid\":true,\"fingerprint\":\"%0*d\"}", RELAY_AUTH_FINGERPRINT_MAX, 7);
    assert_true(parses(200, text, &verdict));
    snprintf(text, sizeof text, "{\"valid\":true,\"fingerprint\":\"%0*d\"}", RELAY_AUTH_FINGERPRINT_MAX + 1, 7);
    assert_false(parses(200, text, &verdict));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(two_clients_with_valid_tokens_call_each_other_by_the_names_they_were_given),
        TEST(token_goes_to_the_server_in_the_body_and_as_bearer),
        TEST(rooms_need_a_token_too),
        TEST(without_a_token_nobody_registers),
        TEST(invalid_token_is_refused),
        TEST(garbage_from_the_server_is_a_refusal),
        TEST(huge_answer_is_a_refusal),
        TEST(server_that_is_down_lets_nobody_in),
        TEST(server_that_hangs_lets_nobody_in_and_the_relay_still_serves_others),
        TEST(stopping_does_not_wait_for_verdicts),
        cmocka_unit_test(answer_gives_the_user_a_name),
        cmocka_unit_test(answer_that_is_not_exactly_agreed_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
