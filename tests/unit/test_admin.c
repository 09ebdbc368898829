/* The admin routes over a real Unix socket, and counters as metrics. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/metrics.h"
#include "tests/support/http_client.h"

struct world {
    char dir[64];
    char path[96];
    struct wz_loop *loop;
    struct gw_admin *admin;
    bool ready;
    bool broken;
    char asked_for[64];
    struct http_client client;
};

static json_t *health(void *arg)
{
    const struct world *w = arg;

    return json_pack("{s:b,s:s}", "ready", (int)w->ready, "relay", "connected");
}

static json_t *stats(void *arg)
{
    const struct world *w = arg;

    return w->broken ? NULL : json_pack("{s:{s:i,s:i}}", "calls", "active", 2, "total", 7);
}

static json_t *calls(void *arg)
{
    const struct world *w = arg;

    return w->broken ? NULL : json_pack("[{s:s}]", "id", "c1");
}

static json_t *call(void *arg, const char *id)
{
    struct world *w = arg;

    (void)snprintf(w->asked_for, sizeof w->asked_for, "%s", id);
    return strcmp(id, "unknown") == 0 ? NULL : json_pack("{s:s}", "id", id);
}

static json_t *users(void *arg)
{
    (void)arg;
    return json_pack("[{s:s}]", "name", "alice");
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char error[GW_ADMIN_ERROR_MAX];

    if (!w)
        return -1;
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/wzp-admin-XXXXXX");
    if (!mkdtemp(w->dir) || wz_loop_new(&w->loop) != 0)
        return -1;
    (void)snprintf(w->path, sizeof w->path, "%s/ctl.sock", w->dir);
    struct gw_admin_config config = {
        .socket_path = w->path,
        .metric_prefix = "wzp_gateway",
        .source = { .health = health,
                    .stats = stats,
                    .calls = calls,
                    .call = call,
                    .users = users,
                    .arg = w },
    };
    if (gw_admin_new(&w->admin, w->loop, &config, error) != 0) {
        print_message("%s\n", error);
        return -1;
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    gw_admin_free(w->admin);
    wz_loop_free(w->loop);
    (void)rmdir(w->dir);
    free(w);
    return 0;
}

static unsigned ask(struct world *w, const char *what)
{
    return http_client_get(&w->client, w->loop, w->path, what);
}

static void assert_page(struct world *w, const char *what, unsigned status, const char *body)
{
    unsigned got = ask(w, what);

    if (got != status || strcmp(http_client_body(&w->client), body) != 0)
        fail_msg("%s: %u %s, expected %u %s", what, got, http_client_body(&w->client), status, body);
}

static void every_page_shows_its_source(void **state)
{
    struct world *w = *state;

    w->ready = true;
    assert_page(w, "GET /healthz", 200, "{\"ready\":true,\"relay\":\"connected\"}");
    assert_page(w, "GET /readyz", 200, "{\"ready\":true,\"relay\":\"connected\"}");
    assert_page(w, "GET /stats", 200, "{\"calls\":{\"active\":2,\"total\":7}}");
    assert_page(w, "GET /calls", 200, "[{\"id\":\"c1\"}]");
    assert_page(w, "GET /calls/c1", 200, "{\"id\":\"c1\"}");
    assert_page(w, "GET /users", 200, "[{\"name\":\"alice\"}]");
    assert_page(w, "GET /metrics", 200,
                "# TYPE wzp_gateway_calls_active untyped\nwzp_gateway_calls_active 2\n"
                "# TYPE wzp_gateway_calls_total untyped\nwzp_gateway_calls_total 7\n");
    assert_non_null(strstr(w->client.data, "Content-Type: text/plain; version=0.0.4"));
    assert_page(w, "HEAD /healthz", 200, "");
}

static void not_ready_is_unavailable_but_alive(void **state)
{
    struct world *w = *state;

    assert_page(w, "GET /readyz", 503, "{\"ready\":false,\"relay\":\"connected\"}");
    assert_int_equal(ask(w, "GET /healthz"), 200);
}

static void call_id_may_hold_anything(void **state)
{
    struct world *w = *state;

    assert_int_equal(ask(w, "GET /calls/a%2Fb%40192.0.2.1%20x"), 200);
    assert_string_equal(w->asked_for, "a/b@192.0.2.1 x");
    assert_page(w, "GET /calls/unknown", 404, "{\"error\":\"no such call\"}");
}

static void other_pages_and_methods_are_refused(void **state)
{
    struct world *w = *state;

    assert_page(w, "GET /", 404, "{\"error\":\"no such page\"}");
    assert_page(w, "GET /callsx", 404, "{\"error\":\"no such page\"}");
    assert_page(w, "GET /calls/", 404, "{\"error\":\"no such page\"}");
    assert_page(w, "GET /stats/x", 404, "{\"error\":\"no such page\"}");
    assert_page(w, "POST /calls", 405, "{\"error\":\"this page can only be read\"}");
    assert_non_null(strstr(w->client.data, "Allow: GET, HEAD"));
}

static void source_that_fails_is_an_error_page(void **state)
{
    struct world *w = *state;

    w->broken = true;
    assert_page(w, "GET /stats", 500, "{\"error\":\"the answer could not be made\"}");
    assert_page(w, "GET /metrics", 500, "{\"error\":\"the counters could not be read\"}");
}

static void metrics_take_numbers_and_switches_of_nested_groups_only(void **state)
{
    json_t *json =
        json_pack("{s:I,s:f,s:b,s:s,s:n,s:[i],s:{s:{s:i}}}", "big", (json_int_t)9007199254740993, "rate",
                  0.25, "up", 1, "name", "x", "nothing", "rows", 1, "a b", "c-d", "e.f", 5);
    char *text;

    (void)state;
    assert_non_null(json);
    text = gw_metrics_text(json, "p");
    assert_string_equal(text, "# TYPE p_big untyped\np_big 9007199254740993\n"
                              "# TYPE p_rate untyped\np_rate 0.25\n"
                              "# TYPE p_up gauge\np_up 1\n"
                              "# TYPE p_a_b_c_d_e_f untyped\np_a_b_c_d_e_f 5\n");
    free(text);
    json_decref(json);
}

static void metrics_of_bottomless_groups_end(void **state)
{
    json_t *json = json_pack("{s:i}", "n", 1);
    char *text;

    (void)state;
    for (int i = 0; i < 100; i++)
        json = json_pack("{s:o}", "g", json);
    text = gw_metrics_text(json, "p");
    assert_string_equal(text, "");
    free(text);
    json_decref(json);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(every_page_shows_its_source),
        T(not_ready_is_unavailable_but_alive),
        T(call_id_may_hold_anything),
        T(other_pages_and_methods_are_refused),
        T(source_that_fails_is_an_error_page),
        cmocka_unit_test(metrics_take_numbers_and_switches_of_nested_groups_only),
        cmocka_unit_test(metrics_of_bottomless_groups_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
