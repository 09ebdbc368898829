#include "tests/support/client_program.h"

#include <setjmp.h>
#include <stdarg.h>

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "wzp/io/relay_server.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"
#include "wzp/rt/udp.h"

#define WAIT_US  30000000u
#define ARGS_MAX 24

static void answer_stun(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    struct client_stun *server = arg;
    const struct wz_addr *is = &server->mapped;
    (void)local;
    if (len < 20)
        return;
    server->requests++;
    if (is->family == WZ_ADDR_NONE)
        return;
    /* XOR-MAPPED-ADDRESS (RFC 8489 14.2): port and address, each xor the magic cookie. */
    const uint8_t cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };
    uint8_t answer[32] = { 1, 1, 0, 12, [20] = 0, 0x20, 0, 8, 0, 1 };
    memcpy(answer + 4, data + 4, 16);
    answer[26] = (uint8_t)(is->port >> 8) ^ cookie[0];
    answer[27] = (uint8_t)is->port ^ cookie[1];
    for (size_t i = 0; i < 4; i++)
        answer[28 + i] = is->ip[i] ^ cookie[i];
    (void)wz_udp_send(server->udp, answer, sizeof answer, from, NULL);
}

int client_stage_new(void **state)
{
    struct client_stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/wzp-stage-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(wz_loop_new(&s->loop), 0);
    for (size_t i = 0; i < CLIENT_STAGE_SERVERS; i++) {
        struct wzp_relay_server_config config = { .relay = { .build = "relay-1", .rng = &wz_rng_system } };
        struct wz_udp_config udp = { .fd = -1, .packet = answer_stun, .arg = &s->stun[i] };
        config.relay.seed[0] = (uint8_t)i;
        assert_int_equal(wz_addr_parse_ip("127.0.0.1", 0, &config.listen), 0);
        udp.bind = config.listen;
        assert_int_equal(wzp_relay_server_new(&s->relay[i], s->loop, &config), 0);
        assert_int_equal(wz_udp_new(&s->stun[i].udp, s->loop, &udp), 0);
        const struct wz_addr relay = wzp_relay_server_local(s->relay[i]), stun = wz_udp_local(s->stun[i].udp);
        (void)wz_addr_format(&relay, s->relay_text[i]);
        (void)wz_addr_format(&stun, s->stun[i].text);
    }
    for (size_t i = 0; i < CLIENT_PROGRAMS; i++)
        s->program[i].out = -1;
    *state = s;
    return 0;
}

int client_stage_end(void **state)
{
    struct client_stage *s = *state;
    for (size_t i = 0; i < CLIENT_PROGRAMS; i++) {
        if (s->program[i].pid > 0) {
            kill(s->program[i].pid, SIGKILL);
            waitpid(s->program[i].pid, NULL, 0);
        }
        if (s->program[i].out >= 0)
            close(s->program[i].out);
    }
    for (size_t i = 0; i < CLIENT_STAGE_SERVERS; i++) {
        wzp_relay_server_free(s->relay[i]);
        wz_udp_free(s->stun[i].udp);
    }
    wz_loop_free(s->loop);
    static const char *const files[] = { "seed", "a", "b", "" };
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        (void)remove(client_stage_path(s, files[i], path));
    free(s);
    return 0;
}

const char *client_stage_path(const struct client_stage *stage, const char *name, char buf[static 128])
{
    (void)snprintf(buf, 128, "%s/%s", stage->dir, name);
    return buf;
}

static void run_child(int out, const char *const *args)
{
    char self[PATH_MAX], path[PATH_MAX + 16];
    const char *argv[ARGS_MAX] = { "wzp-client" };
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        _exit(127);
    self[len] = '\0';
    (void)snprintf(path, sizeof path, "%s/wzp-client", dirname(self));
    for (size_t i = 0; args[i] && i + 2 < ARGS_MAX; i++)
        argv[i + 1] = args[i];
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv(path, (char *const *)argv);
    _exit(127);
}

void client_stage_start(struct client_stage *stage, size_t program, const char *const *args)
{
    struct client_program *child = &stage->program[program];
    int out[2];
    if (child->out >= 0)
        close(child->out);
    child->len = 0;
    child->text[0] = '\0';
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    child->pid = fork();
    if (child->pid == 0)
        run_child(out[1], args);
    assert_true(child->pid > 0);
    close(out[1]);
    child->out = out[0];
    assert_int_equal(fcntl(child->out, F_SETFL, O_NONBLOCK), 0);
}

static void read_output(struct client_program *program)
{
    if (program->out < 0)
        return;
    const ssize_t n = read(program->out, program->text + program->len, sizeof program->text - 1 - program->len);
    if (n > 0)
        program->len += (size_t)n;
    program->text[program->len] = '\0';
}

static void turn(struct client_stage *stage)
{
    assert_true(wz_loop_turn(stage->loop, 5) >= 0);
    for (size_t i = 0; i < CLIENT_PROGRAMS; i++)
        read_output(&stage->program[i]);
}

void client_stage_expect(struct client_stage *stage, size_t program, const char *text)
{
    const uint64_t until_us = wz_clock_us() + WAIT_US;
    while (!strstr(stage->program[program].text, text)) {
        if (wz_clock_us() > until_us)
            fail_msg("no %s in:\n%s", text, stage->program[program].text);
        turn(stage);
    }
}

int client_stage_exit(struct client_stage *stage, size_t program)
{
    struct client_program *child = &stage->program[program];
    const uint64_t until_us = wz_clock_us() + WAIT_US;
    int status = 0;
    while (waitpid(child->pid, &status, WNOHANG) != child->pid) {
        if (wz_clock_us() > until_us)
            fail_msg("does not end; said:\n%s", child->text);
        turn(stage);
    }
    child->pid = 0;
    read_output(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
