/* Requests to an auth server: libcurl on its own thread, answers on the loop. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/http_peer.h"
#include "tests/support/quic_peer.h"
#include "wzp/web/http_post.h"

#define SHORT_TIMEOUT_MS 300
#define ANSWERS_MAX      2048

struct world {
    struct wz_loop *loop;
    struct http_peer server;
    struct wz_http_post *post;
    char url[128];
    bool hold;
    unsigned status;
    const char *raw; /* answered instead of HTTP */
    char *body;
    /* what came back */
    size_t answers;
    uint64_t id[ANSWERS_MAX];
    int err;
    unsigned got_status;
    char got[256];
    size_t got_len;
    size_t timeouts;
};

static char *say(void *arg, const char *request)
{
    struct world *w = arg;
    (void)request;
    if (w->hold)
        return NULL;
    return w->raw ? strdup(w->raw) : http_peer_reply(w->status, w->body ? w->body : "{}");
}

static void on_answer(void *arg, uint64_t id, const struct wz_http_answer *answer)
{
    struct world *w = arg;
    assert_true(w->answers < ANSWERS_MAX);
    w->id[w->answers++] = id;
    w->err = answer->err;
    w->timeouts += answer->err == -ETIMEDOUT;
    w->got_status = answer->status;
    w->got_len = answer->body_len;
    assert_int_equal(answer->body[answer->body_len], 0);
    assert_true((answer->err != 0) == (answer->reason[0] != '\0'));
    (void)snprintf(w->got, sizeof w->got, "%s", answer->body);
}

static int setup_with(void **state, unsigned timeout_ms)
{
    struct world *w = calloc(1, sizeof *w);
    char text[WZ_ADDR_TEXT_MAX];
    assert_non_null(w);
    w->status = 200;
    assert_int_equal(wz_loop_new(&w->loop), 0);
    assert_int_equal(http_peer_start(&w->server, w->loop, say, w), 0);
    snprintf(w->url, sizeof w->url, "http://%s/check?a=b", wz_addr_format(&w->server.addr, text));
    const struct wz_http_post_config config = { .timeout_ms = timeout_ms, .answered = on_answer, .arg = w };
    assert_int_equal(wz_http_post_new(&w->post, w->loop, &config), 0);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 0);
}

static int setup_impatient(void **state)
{
    return setup_with(state, SHORT_TIMEOUT_MS);
}

static int teardown(void **state)
{
    struct world *w = *state;
    wz_http_post_free(w->post);
    http_peer_stop(&w->server);
    wz_loop_free(w->loop);
    free(w->body);
    free(w);
    return 0;
}

static int ask(struct world *w, uint64_t id, const char *bearer)
{
    const struct wz_http_request request = { .url = w->url, .body = "{\"token\":\"t\"}", .bearer = bearer };
    return wz_http_post_send(w->post, id, &request);
}

static void wait_answer(struct world *w)
{
    const size_t before = w->answers;
    assert_true(quic_wait(w->loop, w->answers > before, QUIC_WAIT_MS));
}

static void body_and_bearer_arrive_and_the_answer_comes_back(void **state)
{
    struct world *w = *state;
    w->body = strdup("{\"valid\":true}");
    assert_int_equal(ask(w, 42, "abc.def"), 0);
    wait_answer(w);
    assert_int_equal(w->id[0], 42);
    assert_int_equal(w->err, 0);
    assert_int_equal(w->got_status, 200);
    assert_string_equal(w->got, "{\"valid\":true}");
    assert_true(strncmp(w->server.last, "POST /check?a=b HTTP/1.1\r\n", 26) == 0);
    assert_non_null(strstr(w->server.last, "\r\nAuthorization: Bearer abc.def\r\n"));
    assert_non_null(strstr(w->server.last, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(w->server.last, "\r\n\r\n{\"token\":\"t\"}"));
    assert_null(strstr(w->server.last, "Expect:"));
}

static void without_a_bearer_there_is_no_such_header(void **state)
{
    struct world *w = *state;
    assert_int_equal(ask(w, 1, NULL), 0);
    wait_answer(w);
    assert_null(strstr(w->server.last, "Authorization"));
}

static void header_cannot_be_broken_out_of(void **state)
{
    struct world *w = *state;
    assert_int_equal(ask(w, 1, "a\r\nX-Admin: yes"), -EINVAL);
    assert_int_equal(ask(w, 1, "a b"), -EINVAL);
    assert_int_equal(ask(w, 1, ""), -EINVAL);
    assert_int_equal(w->server.requests, 0);
}

static void only_http_and_https_urls_are_taken(void **state)
{
    static const char *const good[] = { "http://a/", "https://auth.example:8443/v1?x=y", "http://[::1]:80/" };
    static const char *const bad[] = { "", "a", "ftp://a/", "file:///etc/passwd", "http://", "gopher://a/", "/x" };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(wz_http_post_takes_url(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(wz_http_post_takes_url(bad[i]));
    char longest[WZ_HTTP_URL_MAX + 2] = "http://a/";
    memset(longest + 9, 'x', WZ_HTTP_URL_MAX - 9);
    assert_true(wz_http_post_takes_url(longest));
    longest[WZ_HTTP_URL_MAX] = 'x';
    assert_false(wz_http_post_takes_url(longest));
}

static void slow_server_is_given_up_in_time(void **state)
{
    struct world *w = *state;
    w->hold = true;
    assert_int_equal(ask(w, 1, NULL), 0);
    wait_answer(w);
    assert_int_equal(w->err, -ETIMEDOUT);
    assert_int_equal(w->got_len, 0);
}

static void server_that_is_down_is_an_error(void **state)
{
    struct world *w = *state;
    http_peer_stop(&w->server);
    assert_int_equal(ask(w, 1, NULL), 0);
    wait_answer(w);
    assert_int_equal(w->err, -ECONNREFUSED);
}

static void something_else_than_http_is_an_error(void **state)
{
    struct world *w = *state;
    w->raw = "\x16\x03\x01 what is this\r\n\r\n";
    assert_int_equal(ask(w, 1, NULL), 0);
    wait_answer(w);
    assert_true(w->err < 0);
}

static void https_is_not_spoken_in_clear(void **state)
{
    struct world *w = *state;
    memmove(w->url + 5, w->url + 4, strlen(w->url + 4) + 1);
    w->url[4] = 's';
    w->raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    assert_int_equal(ask(w, 1, NULL), 0);
    wait_answer(w);
    assert_true(w->err < 0);
    assert_int_equal(w->server.requests, 0);
}

static void redirect_is_not_followed(void **state)
{
    struct world *w = *state;
    char reply[256];
    snprintf(reply, sizeof reply, "HTTP/1.1 307 Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", w->url);
    w->raw = reply;
    assert_int_equal(ask(w, 1, NULL), 0);
    wait_answer(w);
    assert_int_equal(w->err, 0);
    assert_int_equal(w->got_status, 307);
    assert_int_equal(w->server.requests, 1);
}

static void answer_of_the_limit_comes_and_one_byte_more_does_not(void **state)
{
    struct world *w = *state;
    w->body = malloc(WZ_HTTP_ANSWER_MAX_BYTES + 2);
    memset(w->body, ' ', WZ_HTTP_ANSWER_MAX_BYTES + 1);
    w->body[WZ_HTTP_ANSWER_MAX_BYTES] = '\0';
    assert_int_equal(ask(w, 1, NULL), 0);
    wait_answer(w);
    assert_int_equal(w->err, 0);
    assert_int_equal(w->got_len, WZ_HTTP_ANSWER_MAX_BYTES);
    w->body[WZ_HTTP_ANSWER_MAX_BYTES] = ' ';
    w->body[WZ_HTTP_ANSWER_MAX_BYTES + 1] = '\0';
    assert_int_equal(ask(w, 2, NULL), 0);
    wait_answer(w);
    assert_int_equal(w->err, -EMSGSIZE);
}

static void every_request_is_answered_once_also_those_beyond_what_runs_at_once(void **state)
{
    struct world *w = *state;
    uint64_t sum = 0;
    const size_t count = 3 * WZ_HTTP_POST_RUNNING_MAX;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ask(w, i + 1, NULL), 0);
    assert_true(quic_wait(w->loop, w->answers == count, QUIC_WAIT_MS));
    for (size_t i = 0; i < count; i++)
        sum += w->id[i];
    assert_int_equal(sum, count * (count + 1) / 2);
    assert_int_equal(w->err, 0);
}

static void queue_is_bounded_and_those_who_wait_in_it_time_out_too(void **state)
{
    struct world *w = *state;
    w->hold = true;
    for (size_t i = 0; i < WZ_HTTP_POST_WAITING_MAX; i++)
        assert_int_equal(ask(w, i, NULL), 0);
    assert_int_equal(ask(w, 1, NULL), -ENOBUFS);
    assert_true(quic_wait(w->loop, w->answers == WZ_HTTP_POST_WAITING_MAX, QUIC_WAIT_MS));
    assert_int_equal(w->timeouts, WZ_HTTP_POST_WAITING_MAX);
    assert_int_equal(ask(w, 1, NULL), 0); /* there is room again */
}

static void freeing_gives_up_what_is_under_way(void **state)
{
    struct world *w = *state;
    w->hold = true;
    for (size_t i = 0; i < 2 * WZ_HTTP_POST_RUNNING_MAX; i++)
        assert_int_equal(ask(w, i, NULL), 0);
    assert_true(quic_wait(w->loop, w->server.requests > 0, QUIC_WAIT_MS));
    wz_http_post_free(w->post);
    w->post = NULL;
    assert_int_equal(w->answers, 0);
}

int main(void)
{
#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define IMPATIENT(name) cmocka_unit_test_setup_teardown(name, setup_impatient, teardown)
    const struct CMUnitTest tests[] = {
        TEST(body_and_bearer_arrive_and_the_answer_comes_back),
        TEST(without_a_bearer_there_is_no_such_header),
        TEST(header_cannot_be_broken_out_of),
        TEST(only_http_and_https_urls_are_taken),
        IMPATIENT(slow_server_is_given_up_in_time),
        TEST(server_that_is_down_is_an_error),
        TEST(something_else_than_http_is_an_error),
        IMPATIENT(https_is_not_spoken_in_clear),
        TEST(redirect_is_not_followed),
        TEST(answer_of_the_limit_comes_and_one_byte_more_does_not),
        TEST(every_request_is_answered_once_also_those_beyond_what_runs_at_once),
        IMPATIENT(queue_is_bounded_and_those_who_wait_in_it_time_out_too),
        TEST(freeing_gives_up_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
