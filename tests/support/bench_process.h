/* What benchmarks share: their options, and a server in a process of its own whose CPU time and memory are read from
 * outside, so that a load generator never counts itself. Header only: benchmarks are single files.
 * Thread: the benchmark's only one. */
#ifndef TESTS_SUPPORT_BENCH_PROCESS_H
#define TESTS_SUPPORT_BENCH_PROCESS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wzp/base/addr.h"
#include "wzp/io/quic.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

/** A server gets this long to answer its first handshake. */
#define BENCH_START_MS 15000

struct bench_options {
    const char *relay; /**< our wzp-relay; default: the one beside the benchmark */
    const char *peer;  /**< another relay's program for comparison, or NULL */
    const char *only;  /**< modes whose name contains this, or NULL */
    bool quick;        /**< seconds, to show that it works; figures mean little */
    char relay_path[4096];
};

__attribute__((noreturn)) static inline void bench_die(const char *what, int error)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(error));
    exit(EXIT_FAILURE);
}

/** Exits on wrong arguments. */
static inline void bench_options(int argc, char **argv, struct bench_options *ret)
{
    char self[4096];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    *ret = (struct bench_options){ .relay = ret->relay_path };
    if (n <= 0)
        bench_die("/proc/self/exe", errno);
    self[n] = '\0';
    const char *folder = dirname(self);
    snprintf(ret->relay_path, sizeof ret->relay_path, "%.4080s/wzp-relay", folder);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            ret->quick = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--peer") == 0) {
            ret->peer = argv[++i];
        } else if (i + 1 < argc && strcmp(argv[i], "--relay") == 0) {
            ret->relay = argv[++i];
        } else if (i + 1 < argc && strcmp(argv[i], "--only") == 0) {
            ret->only = argv[++i];
        } else {
            fprintf(stderr, "usage: %s [--quick] [--peer PROGRAM] [--relay PROGRAM] [--only PART_OF_A_NAME]\n",
                    argv[0]);
            exit(2);
        }
    }
}

static inline bool bench_wanted(const struct bench_options *options, const char *mode)
{
    return !options->only || strstr(mode, options->only);
}

/** Sockets by the thousand, as far as the system lets us. */
static inline void bench_raise_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* a lower limit shows when a socket cannot be opened */
    }
}

/* ---- a process ---- */

struct bench_process {
    pid_t pid;
    struct wz_addr address;
    char home[32]; /**< a temporary folder: identity and whatever else a relay keeps there */
};

/** CPU time of all threads of the process, kernel part included. */
static inline uint64_t bench_cpu_us(const struct bench_process *process)
{
    clockid_t clock;
    struct timespec used;
    const int err = clock_getcpuclockid(process->pid, &clock);
    if (err || clock_gettime(clock, &used) != 0)
        bench_die("CPU clock of the server", err ? err : errno);
    return (uint64_t)used.tv_sec * 1000000u + (uint64_t)used.tv_nsec / 1000u;
}

/** Resident memory in kB. */
static inline uint64_t bench_rss_kb(const struct bench_process *process)
{
    char path[64], line[128];
    unsigned long long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)process->pid);
    FILE *in = fopen(path, "re");
    if (!in)
        bench_die(path, errno);
    while (fgets(line, sizeof line, in) && sscanf(line, "VmRSS: %llu", &kb) != 1)
        ;
    fclose(in);
    return kb;
}

static inline bool bench_is_alive(const struct bench_process *process)
{
    return waitpid(process->pid, NULL, WNOHANG) == 0;
}

static inline void bench_process_stop(struct bench_process *process)
{
    kill(process->pid, SIGKILL);
    (void)waitpid(process->pid, NULL, 0);
    if (process->home[0]) {
        char path[128];
        snprintf(path, sizeof path, "%s/.wzp/relay-identity", process->home);
        (void)unlink(path);
        snprintf(path, sizeof path, "%s/.wzp", process->home);
        (void)rmdir(path);
        (void)rmdir(process->home); /* stays when another relay kept more in it */
    }
}

/* ---- a relay ---- */

/** A UDP port of 127.0.0.1 that was free a moment ago: other relays cannot tell which one they chose. */
static inline struct wz_addr bench_free_address(void)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof sin;
    struct wz_addr address;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof sin) != 0 ||
        getsockname(fd, (struct sockaddr *)&sin, &len) != 0)
        bench_die("free port", errno);
    close(fd);
    if (wz_addr_parse_ip("127.0.0.1", ntohs(sin.sin_port), &address) != 0)
        bench_die("free port", EINVAL);
    return address;
}

static inline void bench_probe_connected(void *arg, struct wzp_quic_conn *conn)
{
    bool *answered = arg;
    (void)conn;
    *answered = true;
}

/** Handshakes until one succeeds. */
static inline void bench_wait_ready(const struct bench_process *process)
{
    static const struct wzp_quic_handlers handlers = { .connected = bench_probe_connected };
    const uint64_t end_us = wz_clock_us() + BENCH_START_MS * UINT64_C(1000);
    struct wzp_quic_config config = { .rng = &wz_rng_system };
    bool answered = false;
    while (!answered) {
        struct wz_loop *loop = NULL;
        struct wzp_quic *quic = NULL;
        struct wzp_quic_conn *conn;
        const struct wzp_quic_dial dial = {
            .to = process->address, .sni = "ping", .initial_rtt_ms = 30, .handlers = &handlers, .arg = &answered
        };
        if (!bench_is_alive(process) || wz_clock_us() > end_us)
            bench_die("the server does not answer", ETIMEDOUT);
        (void)wz_addr_parse("127.0.0.1:0", &config.bind);
        if (wz_loop_new(&loop) != 0 || wzp_quic_new(&quic, loop, &config) != 0 ||
            wzp_quic_connect(quic, &dial, &conn) != 0)
            bench_die("cannot dial the server", ENOMEM);
        for (const uint64_t until_us = wz_clock_us() + 200000; !answered && wz_clock_us() < until_us;)
            (void)wz_loop_turn(loop, 10);
        wzp_quic_free(quic);
        wz_loop_free(loop);
    }
}

static inline void bench_exec_relay(const struct bench_process *process, const char *program, bool is_ours)
{
    char listen[WZ_ADDR_TEXT_MAX];
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    wz_addr_format(&process->address, listen);
    setenv("HOME", process->home, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* an interrupted benchmark leaves nothing behind */
    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
        if (!is_ours)
            dup2(null, STDERR_FILENO);
    }
    if (is_ours)
        execl(program, program, "--listen", listen, "--max-sessions", "10000", "--log-level", "error", (char *)NULL);
    else
        execl(program, program, "--listen", listen, (char *)NULL);
    _exit(127);
}

/** Start a relay program on loopback and wait until it answers. Exits when it does not. */
static inline void bench_relay_start(struct bench_process *ret, const char *program, bool is_ours)
{
    if (access(program, X_OK) != 0)
        bench_die(program, errno);
    snprintf(ret->home, sizeof ret->home, "/tmp/wzp-bench-XXXXXX");
    if (!mkdtemp(ret->home))
        bench_die(ret->home, errno);
    ret->address = bench_free_address();
    ret->pid = fork();
    if (ret->pid < 0)
        bench_die("fork", errno);
    if (ret->pid == 0)
        bench_exec_relay(ret, program, is_ours);
    bench_wait_ready(ret);
}

#endif
