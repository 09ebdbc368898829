#include "tests/support/relay_program.h"

#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/quic_peer.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define ARGS_MAX 24

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "relay_program: %s\n", what);
    abort();
}

void relay_program_init(struct relay_program *program)
{
    struct wzp_quic_config config = { .rng = &wz_rng_system };
    memset(program, 0, sizeof *program);
    strcpy(program->dir, "/tmp/wzp-relay-XXXXXX");
    require(mkdtemp(program->dir) != NULL, "no directory");
    snprintf(program->identity, sizeof program->identity, "%s/relay-identity", program->dir);
    snprintf(program->config, sizeof program->config, "%s/relay.toml", program->dir);
    program->out = -1;
    require(wz_addr_parse("127.0.0.1:0", &config.bind) == 0 && wz_loop_new(&program->loop) == 0 &&
                wzp_quic_new(&program->quic, program->loop, &config) == 0,
            "no endpoint");
}

void relay_program_done(struct relay_program *program)
{
    if (program->pid) {
        kill(program->pid, SIGKILL);
        waitpid(program->pid, NULL, 0);
    }
    wzp_quic_free(program->quic);
    wz_loop_free(program->loop);
    if (program->out >= 0)
        close(program->out);
    unlink(program->identity);
    unlink(program->config);
    rmdir(program->dir);
}

void relay_program_spawn(struct relay_program *program, const char *const *args)
{
    char self[PATH_MAX], path[PATH_MAX + 16];
    const char *argv[ARGS_MAX] = { "wzp-relay" };
    int out[2];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    require(len > 0, "no /proc");
    self[len] = '\0';
    snprintf(path, sizeof path, "%s/wzp-relay", dirname(self));
    require(access(path, X_OK) == 0, "wzp-relay is not built");
    for (size_t i = 0; args[i]; i++) {
        require(i + 2 < ARGS_MAX, "too many arguments");
        argv[i + 1] = args[i];
    }
    if (program->out >= 0)
        close(program->out);
    program->len = 0;
    require(pipe(out) == 0, "no pipe");
    program->pid = fork();
    if (program->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        close(out[1]);
        execv(path, (char *const *)argv);
        _exit(127);
    }
    require(program->pid > 0, "no process");
    close(out[1]);
    program->out = out[0];
}

void relay_program_start(struct relay_program *program, const char *const *more)
{
    const char *args[ARGS_MAX] = { "--listen", "127.0.0.1:0", "--json-log", "-i", program->identity };
    for (size_t i = 0; more && more[i]; i++)
        args[5 + i] = more[i];
    relay_program_spawn(program, args);
    if (!relay_program_says(program, "\"relay.started\"") || !relay_program_says(program, "}\n")) {
        (void)fprintf(stderr, "%s\n", program->text);
        abort();
    }
}

bool relay_program_says(struct relay_program *program, const char *text)
{
    const uint64_t until_us = wz_clock_us() + QUIC_WAIT_MS * 1000u;
    program->text[program->len] = '\0';
    while (!strstr(program->text, text) && wz_clock_us() < until_us) {
        struct pollfd pfd = { .fd = program->out, .events = POLLIN };
        (void)wz_loop_turn(program->loop, 0);
        if (poll(&pfd, 1, 10) <= 0)
            continue;
        const ssize_t n = read(program->out, program->text + program->len, RELAY_PROGRAM_OUTPUT_MAX - 1 - program->len);
        if (n <= 0)
            break;
        program->len += (size_t)n;
        program->text[program->len] = '\0';
    }
    return strstr(program->text, text) != NULL;
}

void relay_program_forget(struct relay_program *program)
{
    program->len = 0;
    program->text[0] = '\0';
}

int relay_program_status(struct relay_program *program)
{
    const uint64_t until_us = wz_clock_us() + QUIC_WAIT_MS * 1000u;
    int status = 0;
    while (wz_clock_us() < until_us) {
        if (waitpid(program->pid, &status, WNOHANG) == program->pid) {
            program->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        (void)wz_loop_turn(program->loop, 5);
    }
    return -1;
}

void relay_program_member(const struct relay_program *program, const char *event, const char *member, char *ret,
                          size_t size)
{
    char pattern[80];
    snprintf(pattern, sizeof pattern, "\"event\":\"%s\"", event);
    const char *pos = strstr(program->text, pattern);
    require(pos != NULL, event);
    for (const char *next; (next = strstr(pos + 1, pattern)) != NULL;)
        pos = next;
    snprintf(pattern, sizeof pattern, "\"%s\":\"", member);
    pos = strstr(pos, pattern);
    require(pos != NULL, member);
    pos += strlen(pattern);
    const size_t len = strcspn(pos, "\"");
    require(len < size, "member too long");
    memcpy(ret, pos, len);
    ret[len] = '\0';
}

struct wz_addr relay_program_address(const struct relay_program *program)
{
    char text[WZ_ADDR_TEXT_MAX];
    struct wz_addr addr;
    relay_program_member(program, "relay.started", "listen", text, sizeof text);
    require(wz_addr_parse(text, &addr) == 0, "no address");
    return addr;
}

void relay_program_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    require(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "cannot write");
}
