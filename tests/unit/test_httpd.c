/* The operator's HTTP server over a real Unix socket and a loopback port. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/http_client.h"
#include "wzp/web/httpd.h"

#define HELD_MAX 4

struct world {
    char dir[64];
    char path[96];
    struct wz_loop *loop;
    struct wz_httpd *httpd;
    bool hold; /**< keep requests instead of answering them */
    struct wz_httpd_request *held[HELD_MAX];
    size_t held_count;
    struct http_client client;
};

/** Says back what it was asked: "METHOD PATH q=QUERY BODY_BYTES". */
static void answer(struct wz_httpd_request *request)
{
    const char *query = wz_httpd_query(request, "q");
    size_t body_len;
    const char *body = wz_httpd_body(request, &body_len);
    char *text = malloc(WZ_HTTPD_PATH_MAX + 256);
    int len;

    assert_non_null(text);
    len = snprintf(text, WZ_HTTPD_PATH_MAX + 256, "%s %s q=%s %zu%c", wz_httpd_method(request),
                   wz_httpd_path(request), query ? query : "(none)", body_len,
                   body_len ? body[body_len - 1] : '.');
    wz_httpd_reply(request, 200, "text/plain", text, (size_t)len);
}

static void handle(void *arg, struct wz_httpd_request *request)
{
    struct world *w = arg;

    if (w->hold && w->held_count < HELD_MAX)
        w->held[w->held_count++] = request;
    else
        answer(request);
}

static int try_start(struct world *w, const char *path, const char *tcp,
                     char error[static WZ_HTTPD_ERROR_MAX])
{
    struct wz_httpd_config config = { .unix_path = path, .handle = handle, .arg = w };

    if (tcp)
        assert_int_equal(wz_addr_parse(tcp, &config.tcp), 0);
    return wz_httpd_new(&w->httpd, w->loop, &config, error);
}

static void start(struct world *w, const char *path, const char *tcp)
{
    char error[WZ_HTTPD_ERROR_MAX];

    if (try_start(w, path, tcp, error) != 0)
        fail_msg("%s", error);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    if (!w)
        return -1;
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/wzp-httpd-XXXXXX");
    if (!mkdtemp(w->dir) || wz_loop_new(&w->loop) != 0)
        return -1;
    (void)snprintf(w->path, sizeof w->path, "%s/ctl.sock", w->dir);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    wz_httpd_free(w->httpd);
    wz_loop_free(w->loop);
    (void)unlink(w->path);
    (void)rmdir(w->dir);
    free(w);
    return 0;
}

static unsigned get(struct world *w, const char *what)
{
    return http_client_get(&w->client, w->loop, w->path, what);
}

static void request_reaches_the_owner_and_its_answer_comes_back(void **state)
{
    struct world *w = *state;

    start(w, w->path, NULL);
    assert_int_equal(get(w, "GET /calls/a%20b?x=1&q=two%26"), 200);
    assert_string_equal(http_client_body(&w->client), "GET /calls/a b q=two& 0.");
    assert_non_null(strstr(w->client.data, "Cache-Control: no-store"));
    assert_int_equal(get(w, "DELETE /?q"), 200);
    assert_string_equal(http_client_body(&w->client), "DELETE / q= 0.");
    assert_int_equal(wz_httpd_tcp_address(w->httpd).family, WZ_ADDR_NONE);
}

static void answers_may_come_later_and_in_another_order(void **state)
{
    struct world *w = *state;
    static struct http_client first, second;
    static const char one[] = "GET /one HTTP/1.0\r\n\r\n", two[] = "GET /two HTTP/1.0\r\n\r\n";

    start(w, w->path, NULL);
    w->hold = true;
    assert_int_equal(http_client_open(&first, w->loop, w->path, NULL, one, strlen(one)), 0);
    while (w->held_count < 1)
        assert_int_equal(wz_loop_turn(w->loop, 10000), 0);
    assert_int_equal(http_client_open(&second, w->loop, w->path, NULL, two, strlen(two)), 0);
    while (w->held_count < 2)
        assert_int_equal(wz_loop_turn(w->loop, 10000), 0);
    answer(w->held[1]);
    assert_true(http_client_wait(&second));
    assert_string_equal(http_client_body(&second), "GET /two q=(none) 0.");
    assert_int_equal(first.len, 0);
    answer(w->held[0]);
    assert_true(http_client_wait(&first));
    assert_string_equal(http_client_body(&first), "GET /one q=(none) 0.");
    http_client_close(&first);
    http_client_close(&second);
}

static unsigned post(struct world *w, size_t body_len)
{
    static char request[WZ_HTTPD_BODY_MAX_BYTES + 256];
    int len = snprintf(request, sizeof request, "POST /p HTTP/1.0\r\nContent-Length: %zu\r\n\r\n", body_len);
    unsigned status;

    memset(request + len, 'x', body_len);
    request[(size_t)len + body_len - 1] = 'z';
    assert_int_equal(http_client_open(&w->client, w->loop, w->path, NULL, request, (size_t)len + body_len),
                     0);
    assert_true(http_client_wait(&w->client));
    status = http_client_status(&w->client);
    http_client_close(&w->client);
    return status;
}

static void body_passes_at_the_limit_and_not_one_past(void **state)
{
    struct world *w = *state;

    start(w, w->path, NULL);
    assert_int_equal(post(w, 1), 200);
    assert_string_equal(http_client_body(&w->client), "POST /p q=(none) 1z");
    assert_int_equal(post(w, WZ_HTTPD_BODY_MAX_BYTES), 200);
    assert_string_equal(http_client_body(&w->client), "POST /p q=(none) 65536z");
    assert_int_equal(post(w, WZ_HTTPD_BODY_MAX_BYTES + 1), 413);
    assert_int_equal(post(w, 1), 200); /* and goes on serving */
}

static void path_passes_at_the_limit_and_not_one_past(void **state)
{
    struct world *w = *state;
    char what[WZ_HTTPD_PATH_MAX + 16];

    start(w, w->path, NULL);
    memset(what, 'a', sizeof what);
    memcpy(what, "GET /", 5);
    what[4 + WZ_HTTPD_PATH_MAX - 1] = '\0'; /* the path has 511 bytes */
    assert_int_equal(get(w, what), 200);
    what[4 + WZ_HTTPD_PATH_MAX - 1] = 'a';
    what[4 + WZ_HTTPD_PATH_MAX] = '\0';
    assert_int_equal(get(w, what), 414);
}

static void query_parameters_beyond_the_limit_are_ignored(void **state)
{
    struct world *w = *state;

    start(w, w->path, NULL);
    assert_int_equal(get(w, "GET /?a=1&b=2&c=3&d=4&e=5&f=6&g=7&q=8"), 200);
    assert_string_equal(http_client_body(&w->client), "GET / q=8 0.");
    assert_int_equal(get(w, "GET /?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&q=9"), 200);
    assert_string_equal(http_client_body(&w->client), "GET / q=(none) 0.");
}

static void garbage_is_refused_and_serving_goes_on(void **state)
{
    static const char garbage[] = "\x16\x03\x01 this is not HTTP\r\n\r\n";
    struct world *w = *state;

    start(w, w->path, NULL);
    assert_int_equal(http_client_open(&w->client, w->loop, w->path, NULL, garbage, strlen(garbage)), 0);
    assert_true(http_client_wait(&w->client));
    assert_true(http_client_status(&w->client) == 0 || http_client_status(&w->client) >= 400);
    http_client_close(&w->client);
    assert_int_equal(get(w, "GET /"), 200);
}

static unsigned get_over_tcp(struct world *w, const char *host)
{
    struct wz_addr addr = wz_httpd_tcp_address(w->httpd);
    char request[256];
    int len =
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nConnection: close\r\nHost: %s\r\n\r\n", host);
    unsigned status;

    assert_int_equal(http_client_open(&w->client, w->loop, NULL, &addr, request, (size_t)len), 0);
    assert_true(http_client_wait(&w->client));
    status = http_client_status(&w->client);
    http_client_close(&w->client);
    return status;
}

static void loopback_port_answers_to_local_names_only(void **state)
{
    struct world *w = *state;

    start(w, NULL, "127.0.0.1:0");
    assert_true(wz_httpd_tcp_address(w->httpd).port != 0);
    assert_int_equal(get_over_tcp(w, "127.0.0.1:9090"), 200);
    assert_int_equal(get_over_tcp(w, "localhost"), 200);
    assert_int_equal(get_over_tcp(w, "localhost:9090"), 200);
    assert_int_equal(get_over_tcp(w, "[::1]:9090"), 200);
    assert_int_equal(get_over_tcp(w, "rebound.example"), 403); /* a web page's name pointed at us */
    assert_int_equal(get_over_tcp(w, "localhost.example"), 403);
    assert_int_equal(get_over_tcp(w, "192.0.2.1"), 403);
}

static void other_addresses_than_loopback_are_refused(void **state)
{
    struct world *w = *state;
    char error[WZ_HTTPD_ERROR_MAX];

    assert_int_equal(try_start(w, NULL, "0.0.0.0:0", error), -EINVAL);
    assert_null(w->httpd);
    assert_string_equal(error, "cannot serve HTTP on 0.0.0.0:0: not a loopback address");
}

static void socket_is_private_and_goes_with_the_server(void **state)
{
    struct world *w = *state;
    struct stat st;
    mode_t before = umask(0);

    start(w, w->path, NULL);
    (void)umask(before);
    assert_int_equal(stat(w->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    wz_httpd_free(w->httpd);
    w->httpd = NULL;
    assert_int_equal(stat(w->path, &st), -1);
}

static void socket_of_a_dead_process_is_replaced(void **state)
{
    struct world *w = *state;
    char aside[128];

    (void)snprintf(aside, sizeof aside, "%s.aside", w->path);
    start(w, w->path, NULL);
    assert_int_equal(rename(w->path, aside), 0); /* so that free() leaves the file */
    wz_httpd_free(w->httpd);
    w->httpd = NULL;
    assert_int_equal(rename(aside, w->path), 0);
    start(w, w->path, NULL);
    assert_int_equal(get(w, "GET /"), 200);
}

static void socket_of_a_living_process_is_left_alone(void **state)
{
    struct world *w = *state;
    struct wz_httpd *alive;
    char error[WZ_HTTPD_ERROR_MAX];

    start(w, w->path, NULL);
    alive = w->httpd;
    assert_int_equal(try_start(w, w->path, NULL, error), -EADDRINUSE);
    assert_non_null(strstr(error, "another process serves there"));
    assert_ptr_equal(w->httpd, alive);
    assert_int_equal(get(w, "GET /"), 200);
}

static void other_files_are_never_replaced(void **state)
{
    struct world *w = *state;
    char error[WZ_HTTPD_ERROR_MAX];
    char too_long[200];
    int fd = open(w->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(try_start(w, w->path, NULL, error), -EEXIST);
    assert_int_equal(access(w->path, F_OK), 0);
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(try_start(w, too_long, NULL, error), -ENAMETOOLONG);
    assert_int_equal(try_start(w, "/nonexistent/dir/ctl.sock", NULL, error), -ENOENT);
    assert_null(w->httpd);
}

static void file_put_in_place_of_the_socket_survives_the_end(void **state)
{
    struct world *w = *state;
    int fd;

    start(w, w->path, NULL);
    assert_int_equal(unlink(w->path), 0);
    fd = open(w->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    wz_httpd_free(w->httpd);
    w->httpd = NULL;
    assert_int_equal(access(w->path, F_OK), 0);
}

static void requests_open_at_the_end_are_answered_unavailable(void **state)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    struct world *w = *state;
    static struct http_client taken, waiting;

    start(w, w->path, NULL);
    w->hold = true;
    assert_int_equal(http_client_open(&taken, w->loop, w->path, NULL, request, strlen(request)), 0);
    while (w->held_count < 1)
        assert_int_equal(wz_loop_turn(w->loop, 10000), 0);
    /* This one may be anywhere between the socket and the mailbox. */
    assert_int_equal(http_client_open(&waiting, w->loop, w->path, NULL, request, strlen(request)), 0);
    wz_httpd_free(w->httpd);
    w->httpd = NULL;
    assert_true(http_client_wait(&taken));
    assert_true(http_client_wait(&waiting));
    assert_true(http_client_status(&taken) == 503 || http_client_status(&taken) == 0);
    assert_true(http_client_status(&waiting) == 503 || http_client_status(&waiting) == 0);
    http_client_close(&taken);
    http_client_close(&waiting);
}

static void client_that_leaves_before_the_answer_harms_nobody(void **state)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    struct world *w = *state;

    start(w, w->path, NULL);
    w->hold = true;
    assert_int_equal(http_client_open(&w->client, w->loop, w->path, NULL, request, strlen(request)), 0);
    while (w->held_count < 1)
        assert_int_equal(wz_loop_turn(w->loop, 10000), 0);
    http_client_close(&w->client);
    answer(w->held[0]);
    w->hold = false;
    assert_int_equal(get(w, "GET /"), 200);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(request_reaches_the_owner_and_its_answer_comes_back),
        T(answers_may_come_later_and_in_another_order),
        T(body_passes_at_the_limit_and_not_one_past),
        T(path_passes_at_the_limit_and_not_one_past),
        T(query_parameters_beyond_the_limit_are_ignored),
        T(garbage_is_refused_and_serving_goes_on),
        T(loopback_port_answers_to_local_names_only),
        T(other_addresses_than_loopback_are_refused),
        T(socket_is_private_and_goes_with_the_server),
        T(socket_of_a_dead_process_is_replaced),
        T(socket_of_a_living_process_is_left_alone),
        T(other_files_are_never_replaced),
        T(file_put_in_place_of_the_socket_survives_the_end),
        T(requests_open_at_the_end_are_answered_unavailable),
        T(client_that_leaves_before_the_answer_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
