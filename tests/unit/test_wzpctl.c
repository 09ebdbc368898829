/* wzpctl against an admin socket with known answers: its tables, its JSON, its exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/admin/admin.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"

#define OUTPUT_MAX  16384
#define DEADLINE_US UINT64_C(20000000)

struct world {
    char program[4096];
    char dir[64];
    char path[96];
    struct wz_loop *loop;
    struct gw_admin *admin;
    bool ready;
    bool empty;
    char asked_for[64];
    /* the run */
    struct wz_io io;
    int fd;
    bool over;
    char output[OUTPUT_MAX];
    size_t output_len;
    int status;
};

static json_t *health(void *arg)
{
    const struct world *w = arg;

    return json_pack("{s:b,s:i}", "ready", (int)w->ready, "users", 2);
}

static json_t *stats(void *arg)
{
    (void)arg;
    return json_pack("{s:{s:i},s:[{s:s}]}", "calls", "total", 7, "rows", "id", "x");
}

static json_t *calls(void *arg)
{
    const struct world *w = arg;

    if (w->empty)
        return json_array();
    return json_pack("[{s:s,s:s,s:s,s:s,s:s,s:n,s:s,s:I,s:I,s:s,s:s,s:i,s:{s:{s:s,s:s}}},"
                     "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:i}]",
                     "id", "c1", "direction", "sip-wzp", "user", "alice", "dialled", "*43", "peer", "ab12",
                     "peer_alias", "cause", "normal", "started_us", (json_int_t)86400000000, "ended_us",
                     (json_int_t)86401000000, "path", "relay", "codec", "PCMU", "setup_ms", 120, "media", "wzp",
                     "codec_tx", "Opus24k", "codec_rx", "Codec2_1200", "id", "c22",
                     "direction", "wzp-sip", "user", "bob", "dialled", "", "peer", "ffff", "peer_alias",
                     "Ca\x1brol", "state", "ringing", "started_us", (json_int_t)86402000000, "ended_us",
                     (json_int_t)0, "path", "none", "codec", "none", "setup_ms", 0);
}

static json_t *call(void *arg, const char *id)
{
    struct world *w = arg;

    (void)snprintf(w->asked_for, sizeof w->asked_for, "%s", id);
    if (strcmp(id, "last") != 0)
        return NULL;
    return json_pack("{s:s,s:[{s:I,s:s,s:b,s:s},{s:i},{s:I,s:s,s:b,s:s},{s:I,s:s,s:b,s:s}],s:{s:i}}", "id",
                     "c1", "ladder", "at_us", (json_int_t)1500000, "party", "sip", "outgoing", 0, "text",
                     "INVITE *43", "dropped", 3, "at_us", (json_int_t)1600000, "party", "wzp", "outgoing", 1,
                     "text", "DirectCallOffer", "at_us", (json_int_t)1700000, "party", "call", "outgoing", 0,
                     "text", "setup", "media", "rtp_rx", 50);
}

static json_t *users(void *arg)
{
    (void)arg;
    return json_pack("[{s:s,s:s,s:n,s:b,s:i,s:s}]", "name", "alice", "number", "1001", "alias", "line_up", 1,
                     "contacts", 2, "fingerprint", "ab12:cd34");
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char self[2048];
    char error[GW_ADMIN_ERROR_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (!w || len < 0)
        return -1;
    self[len] = '\0';
    (void)snprintf(w->program, sizeof w->program, "%s/wzpctl", dirname(self));
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/wzp-ctl-XXXXXX");
    if (!mkdtemp(w->dir) || wz_loop_new(&w->loop) != 0)
        return -1;
    (void)snprintf(w->path, sizeof w->path, "%s/ctl.sock", w->dir);
    const struct gw_admin_config config = {
        .socket_path = w->path,
        .metric_prefix = "p",
        .source = { .health = health,
                    .stats = stats,
                    .calls = calls,
                    .call = call,
                    .users = users,
                    .arg = w },
    };
    *state = w;
    return gw_admin_new(&w->admin, w->loop, &config, error);
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

static void on_output(void *arg, uint32_t events)
{
    struct world *w = arg;
    ssize_t n = read(w->fd, w->output + w->output_len, OUTPUT_MAX - 1 - w->output_len);

    (void)events;
    if (n > 0) {
        w->output_len += (size_t)n;
    } else {
        w->over = true;
        wz_io_done(&w->io);
    }
}

/** Run wzpctl with the words given, serving it meanwhile; output and status are kept in w. */
static void run(struct world *w, const char *words)
{
    char copy[256];
    char *argv[16] = { (char *)"wzpctl" };
    char *env[] = { (char *)"TZ=UTC", (char *)"ASAN_OPTIONS=detect_leaks=1", NULL };
    int argc = 1;
    int pipe_fd[2];
    posix_spawn_file_actions_t actions;
    uint64_t deadline_us = wz_clock_us() + DEADLINE_US;
    char *save = NULL;
    pid_t pid;

    (void)snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok_r(copy, " ", &save); word && argc < 15; word = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(word, "SOCKET") == 0 ? w->path : word;
    assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDERR_FILENO);
    if (posix_spawn(&pid, w->program, &actions, NULL, argv, env) != 0)
        fail_msg("%s is not there: build it too", w->program);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(pipe_fd[1]);
    w->fd = pipe_fd[0];
    w->output_len = 0;
    w->over = false;
    assert_int_equal(wz_io_init(&w->io, w->loop, w->fd, EPOLLIN, on_output, w), 0);
    while (!w->over) {
        assert_int_equal(wz_loop_turn(w->loop, 1000), 0);
        assert_true(wz_clock_us() < deadline_us);
    }
    w->output[w->output_len] = '\0';
    (void)close(w->fd);
    assert_int_equal(waitpid(pid, &w->status, 0), pid);
    assert_true(WIFEXITED(w->status));
    w->status = WEXITSTATUS(w->status);
}

static void calls_are_a_table_that_peers_cannot_spoil(void **state)
{
    struct world *w = *state;

    run(w, "--socket SOCKET show calls");
    assert_int_equal(w->status, 0);
    assert_string_equal(w->output,
                        "STARTED         ID   FROM    TO   STATE OR CAUSE  PATH   CODEC  WZP CODEC                    "
                        "SET-UP\n"
                        "01-02 00:00:00  c1   alice   *43  normal          relay  PCMU   Opus24k out, Codec2_1200 in  "
                        "120 ms\n"
                        "01-02 00:00:02  c22  Ca?rol  bob  ringing         none   none   -                            "
                        "-\n");
    w->empty = true;
    run(w, "--socket SOCKET show calls");
    assert_string_equal(w->output, "no calls yet\n");
}

static void users_are_a_table_with_their_fingerprints(void **state)
{
    struct world *w = *state;

    run(w, "--socket SOCKET show users");
    assert_int_equal(w->status, 0);
    assert_string_equal(w->output, "USER   NUMBER  ALIAS  AT THE RELAY  PHONES  FINGERPRINT\n"
                                   "alice  1001    -      registered    2       ab12:cd34\n");
}

static void trace_prints_the_ladder(void **state)
{
    struct world *w = *state;

    run(w, "--socket SOCKET trace last");
    assert_int_equal(w->status, 0);
    assert_non_null(strstr(w->output, "00:00:01.500  SIP --> gateway          INVITE *43\n"
                                      "              ... 3 steps not kept ...\n"
                                      "00:00:01.600          gateway --> WZP  DirectCallOffer\n"
                                      "00:00:01.700          * call          setup\n"));
    assert_non_null(strstr(w->output, "media.rtp_rx"));
}

static void unknown_call_is_said_and_shows_in_the_status(void **state)
{
    struct world *w = *state;

    run(w, "--socket SOCKET trace a/b%c@host");
    assert_string_equal(w->asked_for, "a/b%c@host"); /* escaped on the way */
    assert_int_equal(w->status, 1);
    assert_string_equal(w->output, "wzpctl: no such call\n");
}

static void health_and_its_status_follow_readiness(void **state)
{
    struct world *w = *state;

    run(w, "--socket SOCKET health");
    assert_int_equal(w->status, 1);
    assert_non_null(strstr(w->output, "not ready\n"));
    w->ready = true;
    run(w, "--socket SOCKET health");
    assert_int_equal(w->status, 0);
    assert_int_equal(strncmp(w->output, "ready\n", 6), 0);
}

static void json_comes_as_it_is_also_when_not_ready(void **state)
{
    struct world *w = *state;
    json_t *json;

    run(w, "--socket SOCKET --json health");
    assert_int_equal(w->status, 1);
    json = json_loads(w->output, 0, NULL);
    assert_true(json_is_false(json_object_get(json, "ready")));
    json_decref(json);
    run(w, "--json --socket SOCKET show calls");
    json = json_loads(w->output, 0, NULL);
    assert_int_equal(json_array_size(json), 2);
    json_decref(json);
}

static void stats_print_every_value_by_its_path(void **state)
{
    struct world *w = *state;

    run(w, "--socket SOCKET stats");
    assert_int_equal(w->status, 0);
    assert_non_null(strstr(w->output, "calls.total                              7\n"));
    assert_non_null(strstr(w->output, "rows[0].id                               \"x\"\n"));
}

static void wrong_arguments_and_a_missing_gateway_have_their_own_status(void **state)
{
    struct world *w = *state;

    run(w, "show nonsense");
    assert_int_equal(w->status, 2);
    run(w, "");
    assert_int_equal(w->status, 2);
    run(w, "--socket /nonexistent/ctl.sock stats");
    assert_int_equal(w->status, 3);
    assert_string_equal(w->output,
                        "wzpctl: no gateway answers at /nonexistent/ctl.sock: No such file or directory\n");
    run(w, "version");
    assert_int_equal(w->status, 0);
    run(w, "--help");
    assert_int_equal(w->status, 0);
    assert_non_null(strstr(w->output, "trace CALL"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(calls_are_a_table_that_peers_cannot_spoil),
        T(users_are_a_table_with_their_fingerprints),
        T(trace_prints_the_ladder),
        T(unknown_call_is_said_and_shows_in_the_status),
        T(health_and_its_status_follow_readiness),
        T(json_comes_as_it_is_also_when_not_ready),
        T(stats_print_every_value_by_its_path),
        T(wrong_arguments_and_a_missing_gateway_have_their_own_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
