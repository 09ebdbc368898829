/* wzp-relay as a process: arguments, the start line, signals. The program lies beside this test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/quic_peer.h"
#include "tests/support/relay_peer.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define OUTPUT_MAX 65536

struct daemon {
    char dir[64], identity[128];
    pid_t pid; /* 0: not running */
    int out;   /* its standard output and error */
    char text[OUTPUT_MAX];
    size_t len;
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct relay_peer alice, bob;
};

static int setup(void **state)
{
    struct daemon *d = calloc(1, sizeof *d);
    strcpy(d->dir, "/tmp/wzp-relay-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    snprintf(d->identity, sizeof d->identity, "%s/relay-identity", d->dir);
    d->out = -1;
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct daemon *d = *state;
    if (d->pid) {
        kill(d->pid, SIGKILL);
        waitpid(d->pid, NULL, 0);
    }
    relay_peer_done(&d->alice);
    relay_peer_done(&d->bob);
    if (d->quic)
        wzp_quic_free(d->quic);
    if (d->loop)
        wz_loop_free(d->loop);
    if (d->out >= 0)
        close(d->out);
    unlink(d->identity);
    rmdir(d->dir);
    free(d);
    return 0;
}

static void spawn(struct daemon *d, const char *const *args)
{
    char self[PATH_MAX], program[PATH_MAX + 16];
    const char *argv[16] = { "wzp-relay" };
    int out[2];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    snprintf(program, sizeof program, "%s/wzp-relay", dirname(self));
    if (access(program, X_OK) != 0)
        fail_msg("%s is not built", program);
    for (size_t i = 0; args[i]; i++)
        argv[i + 1] = args[i];
    if (d->out >= 0)
        close(d->out);
    d->len = 0;
    assert_int_equal(pipe(out), 0);
    d->pid = fork();
    if (d->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        close(out[1]);
        execv(program, (char *const *)argv);
        _exit(127);
    }
    assert_true(d->pid > 0);
    close(out[1]);
    d->out = out[0];
}

/** Read on until the output contains text, or it ends, or nothing comes for a while. */
static bool output_has(struct daemon *d, const char *text)
{
    const uint64_t until_us = wz_clock_us() + QUIC_WAIT_MS * 1000u;
    d->text[d->len] = '\0';
    while (!strstr(d->text, text) && wz_clock_us() < until_us) {
        struct pollfd pfd = { .fd = d->out, .events = POLLIN };
        if (d->quic)
            (void)wz_loop_turn(d->loop, 0);
        if (poll(&pfd, 1, 10) <= 0)
            continue;
        const ssize_t n = read(d->out, d->text + d->len, OUTPUT_MAX - 1 - d->len);
        if (n <= 0)
            break;
        d->len += (size_t)n;
        d->text[d->len] = '\0';
    }
    return strstr(d->text, text) != NULL;
}

/** Its exit status, or -1 when it does not end or dies of a signal. */
static int exit_status(struct daemon *d)
{
    const uint64_t until_us = wz_clock_us() + QUIC_WAIT_MS * 1000u;
    int status = 0;
    while (wz_clock_us() < until_us) {
        if (waitpid(d->pid, &status, WNOHANG) == d->pid) {
            d->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        if (d->quic)
            (void)wz_loop_turn(d->loop, 5);
        else
            (void)poll(NULL, 0, 5);
    }
    return -1;
}

static void start(struct daemon *d)
{
    spawn(d, (const char *const[]){ "--listen", "127.0.0.1:0", "--json-log", "-i", d->identity, NULL });
    assert_true(output_has(d, "\"relay.started\""));
    assert_true(output_has(d, "}\n"));
}

/** The address of the start line. */
static struct wz_addr listening(const struct daemon *d)
{
    char text[WZ_ADDR_TEXT_MAX];
    struct wz_addr addr;
    const char *pos = strstr(d->text, "\"listen\":\"");
    assert_non_null(pos);
    assert_int_equal(sscanf(pos, "\"listen\":\"%63[^\"]", text), 1);
    assert_int_equal(wz_addr_parse(text, &addr), 0);
    return addr;
}

/** Alice and bob register, alice's call rings. */
static void ring(struct daemon *d)
{
    struct wzp_quic_config config = { .rng = &wz_rng_system };
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &config.bind), 0);
    assert_int_equal(wz_loop_new(&d->loop), 0);
    assert_int_equal(wzp_quic_new(&d->quic, d->loop, &config), 0);
    assert_int_equal(relay_peer_dial(&d->alice, d->quic, listening(d), "_signal", 1), 0);
    assert_int_equal(relay_peer_dial(&d->bob, d->quic, listening(d), "_signal", 2), 0);
    assert_true(quic_wait(d->loop, d->alice.registered && d->bob.registered, QUIC_WAIT_MS));
    char id[] = "c1";
    relay_peer_send(&d->alice, &(struct wzp_signal){
                                   .kind = WZP_SIG_DIRECT_CALL_OFFER,
                                   .offer = { .caller_fingerprint = d->alice.identity.fingerprint,
                                              .target_fingerprint = d->bob.identity.fingerprint,
                                              .call_id = id,
                                              .keys = { .has_identity = true, .has_ephemeral = true } } });
    assert_true(quic_wait(d->loop, !wz_list_is_empty(&d->bob.inbox), QUIC_WAIT_MS));
}

/* ---- arguments ---- */

static void help_names_every_option(void **state)
{
    struct daemon *d = *state;
    static const char *const options[] = { "--identity",     "--listen",         "--public-address",
                                           "--max-sessions", "--strict-privacy", "--log-level",
                                           "--json-log",     "--version",        "--help" };
    spawn(d, (const char *const[]){ "-h", NULL });
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        assert_true(output_has(d, options[i]));
    assert_int_equal(exit_status(d), 0);
}

static void version_is_printed(void **state)
{
    struct daemon *d = *state;
    spawn(d, (const char *const[]){ "-V", NULL });
    assert_true(output_has(d, "wzp-relay 0."));
    assert_int_equal(exit_status(d), 0);
}

static void wrong_arguments_are_named_and_end_with_two(void **state)
{
    struct daemon *d = *state;
    static const char *const wrong[][2] = {
        { "--listen", "localhost:1" },
        { "--listen", "1.2.3.4:99999" },
        { "--public-address", "0.0.0.0:1" },
        { "--public-address", "relay.org" },
        { "--max-sessions", "0" },
        { "--max-sessions", "1x" },
        { "--log-level", "loud" },
        { "--no-such-option", NULL },
        { "surplus", NULL },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        spawn(d, (const char *const[]){ wrong[i][0], wrong[i][1], NULL });
        assert_true(output_has(d, wrong[i][1] ? wrong[i][1] : wrong[i][0]));
        assert_int_equal(exit_status(d), 2);
    }
}

static void identity_file_with_other_content_stops_the_start(void **state)
{
    struct daemon *d = *state;
    FILE *f = fopen(d->identity, "w");
    fputs("not a seed", f);
    fclose(f);
    spawn(d, (const char *const[]){ "--listen", "127.0.0.1:0", "-i", d->identity, NULL });
    assert_true(output_has(d, "identity.unusable"));
    assert_int_equal(exit_status(d), 1);
}

static void port_in_use_is_said_and_ends_with_one(void **state)
{
    struct daemon *d = *state, second = { .out = -1 };
    char address[WZ_ADDR_TEXT_MAX];
    start(d);
    const struct wz_addr addr = listening(d);
    spawn(&second,
          (const char *const[]){ "--listen", wz_addr_format(&addr, address), "-i", d->identity, NULL });
    assert_true(output_has(&second, "relay.cannot_listen"));
    assert_int_equal(exit_status(&second), 1);
    close(second.out);
}

/* ---- start ---- */

static void start_line_tells_address_and_both_fingerprints_which_stay(void **state)
{
    struct daemon *d = *state;
    char first[64], again[64], tls_first[128], tls_again[128];
    struct stat info;
    start(d);
    assert_true(listening(d).port != 0);
    assert_int_equal(sscanf(strstr(d->text, "\"fingerprint\""), "\"fingerprint\":\"%63[0-9a-f:]", first), 1);
    assert_int_equal(
        sscanf(strstr(d->text, "\"tls_fingerprint\""), "\"tls_fingerprint\":\"%127[0-9a-f:]", tls_first), 1);
    assert_int_equal(strlen(first), 39);
    assert_int_equal(strlen(tls_first), 95);
    assert_int_equal(stat(d->identity, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(output_has(d, "relay.private_address")); /* 127.0.0.1 helps nobody elsewhere */
    kill(d->pid, SIGINT);
    assert_int_equal(exit_status(d), 0);
    start(d);
    assert_int_equal(sscanf(strstr(d->text, "\"fingerprint\""), "\"fingerprint\":\"%63[0-9a-f:]", again), 1);
    assert_int_equal(
        sscanf(strstr(d->text, "\"tls_fingerprint\""), "\"tls_fingerprint\":\"%127[0-9a-f:]", tls_again), 1);
    assert_string_equal(first, again);
    assert_string_equal(tls_first, tls_again);
}

/* ---- signals ---- */

static void sigterm_ends_an_idle_relay(void **state)
{
    struct daemon *d = *state;
    start(d);
    kill(d->pid, SIGTERM);
    assert_int_equal(exit_status(d), 0);
    assert_true(output_has(d, "relay.drained"));
}

static void sigterm_waits_for_the_call(void **state)
{
    struct daemon *d = *state;
    start(d);
    ring(d);
    kill(d->pid, SIGTERM);
    assert_true(output_has(d, "relay.draining"));
    relay_peer_send_text(&d->alice, "\"Reflect\"");
    assert_true(
        quic_wait(d->loop, d->alice.inbox.next->next != &d->alice.inbox, QUIC_WAIT_MS)); /* still serving */
    relay_peer_send_text(&d->bob, "{\"DirectCallAnswer\":{\"call_id\":\"c1\",\"accept_mode\":\"Reject\"}}");
    assert_int_equal(exit_status(d), 0);
    assert_true(output_has(d, "relay.drained"));
}

static void second_sigterm_stops_at_once(void **state)
{
    struct daemon *d = *state;
    start(d);
    ring(d);
    kill(d->pid, SIGTERM);
    assert_true(output_has(d, "relay.draining"));
    kill(d->pid, SIGTERM);
    assert_int_equal(exit_status(d), 0);
    assert_true(quic_wait(d->loop, d->alice.closed, QUIC_WAIT_MS));
    assert_string_equal(d->alice.reason, "shutdown");
}

static void sigint_stops_at_once_and_tells_the_clients(void **state)
{
    struct daemon *d = *state;
    start(d);
    ring(d);
    kill(d->pid, SIGINT);
    assert_int_equal(exit_status(d), 0);
    assert_true(quic_wait(d->loop, d->alice.closed && d->bob.closed, QUIC_WAIT_MS));
    assert_string_equal(d->bob.reason, "shutdown");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(help_names_every_option),
        TEST(version_is_printed),
        TEST(wrong_arguments_are_named_and_end_with_two),
        TEST(identity_file_with_other_content_stops_the_start),
        TEST(port_in_use_is_said_and_ends_with_one),
        TEST(start_line_tells_address_and_both_fingerprints_which_stay),
        TEST(sigterm_ends_an_idle_relay),
        TEST(sigterm_waits_for_the_call),
        TEST(second_sigterm_stops_at_once),
        TEST(sigint_stops_at_once_and_tells_the_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
