/* wzp-client as a process, against a relay in this one: arguments, identity, events, calls, sound, signals,
 * exit codes. The program lies beside this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/judge.h"
#include "wzp/io/relay_server.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"
#include "wzp/rt/udp.h"

#define WAIT_MS    20000
#define OUTPUT_MAX 65536
#define ARGS_MAX   24
#define NOBODY     "0123:4567:89ab:cdef:0123:4567:89ab:cdef"

struct program {
    pid_t pid; /**< 0: ended */
    int out;   /**< standard output and error; -1: closed */
    size_t len;
    char text[OUTPUT_MAX];
};

struct stage {
    char dir[64], relay_text[WZ_ADDR_TEXT_MAX];
    struct wz_loop *loop;
    struct wzp_relay_server *relay;
    struct program alice, bob, carol;
};

static int new_stage(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/wzp-client-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(wz_loop_new(&s->loop), 0);
    struct wzp_relay_server_config config = { .relay = { .build = "relay-1", .rng = &wz_rng_system } };
    assert_int_equal(wz_addr_parse_ip("127.0.0.1", 0, &config.listen), 0);
    assert_int_equal(wzp_relay_server_new(&s->relay, s->loop, &config), 0);
    const struct wz_addr local = wzp_relay_server_local(s->relay);
    (void)wz_addr_format(&local, s->relay_text);
    s->alice.out = s->bob.out = s->carol.out = -1;
    *state = s;
    return 0;
}

static void end_program(struct program *program)
{
    if (program->pid > 0) {
        kill(program->pid, SIGKILL);
        waitpid(program->pid, NULL, 0);
    }
    if (program->out >= 0)
        close(program->out);
}

static int end_stage(void **state)
{
    struct stage *s = *state;
    end_program(&s->alice);
    end_program(&s->bob);
    end_program(&s->carol);
    wzp_relay_server_free(s->relay);
    wz_loop_free(s->loop);
    static const char *const files[] = { "alice", "bob", "carol", "back.wav", "words", "pins", "new/seed", "new", "" };
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", s->dir, files[i]);
        (void)remove(path);
    }
    free(s);
    return 0;
}

static void program_path(char ret[static PATH_MAX + 16])
{
    char self[PATH_MAX];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    (void)snprintf(ret, PATH_MAX + 16, "%s/wzp-client", dirname(self));
    if (access(ret, X_OK) != 0)
        fail_msg("%s is not built", ret);
}

static void spawn(struct program *program, const char *const *argv)
{
    char path[PATH_MAX + 16];
    int out[2];
    program_path(path);
    if (program->out >= 0)
        close(program->out);
    program->len = 0;
    program->text[0] = '\0';
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    program->pid = fork();
    if (program->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        execv(path, (char *const *)argv);
        _exit(127);
    }
    assert_true(program->pid > 0);
    close(out[1]);
    program->out = out[0];
    assert_int_equal(fcntl(program->out, F_SETFL, O_NONBLOCK), 0);
}

/** Start with JSON, the stage's relay and the seed file of this name; then the arguments, up to NULL. */
static void start(struct stage *s, struct program *program, const char *name, const char *const *args)
{
    char seed[128];
    const char *argv[ARGS_MAX] = { "wzp-client", "--json", "--relay", s->relay_text, "--seed-file", seed };
    (void)snprintf(seed, sizeof seed, "%s/%s", s->dir, name);
    for (size_t i = 0; args[i]; i++) {
        assert_true(i + 7 < ARGS_MAX);
        argv[6 + i] = args[i];
    }
    spawn(program, argv);
}

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void read_output(struct program *program)
{
    if (program->out < 0)
        return;
    const ssize_t n = read(program->out, program->text + program->len, OUTPUT_MAX - 1 - program->len);
    if (n > 0)
        program->len += (size_t)n;
    program->text[program->len] = '\0';
}

static void turn(struct stage *s)
{
    assert_true(wz_loop_turn(s->loop, 5) >= 0);
    read_output(&s->alice);
    read_output(&s->bob);
    read_output(&s->carol);
}

static void expect(struct stage *s, struct program *program, const char *text)
{
    const uint64_t until_us = wz_clock_us() + WAIT_MS * 1000u;
    while (!strstr(program->text, text)) {
        if (wz_clock_us() > until_us)
            fail_msg("no %s in:\n%s", text, program->text);
        turn(s);
    }
}

/** Exit code of the program, -1 when a signal ended it. Fails the test when it does not end. */
static int exit_code(struct stage *s, struct program *program)
{
    const uint64_t until_us = wz_clock_us() + WAIT_MS * 1000u;
    int status = 0;
    while (waitpid(program->pid, &status, WNOHANG) != program->pid) {
        if (wz_clock_us() > until_us)
            fail_msg("does not end; said:\n%s", program->text);
        turn(s);
    }
    program->pid = 0;
    read_output(program);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void fingerprint_of(struct stage *s, struct program *program, char ret[static WZP_FINGERPRINT_TEXT])
{
    expect(s, program, "\"event\":\"registered\"");
    expect(s, program, "\"relay_build\":\"relay-1\"}");
    const char *pos = strstr(program->text, "\"fingerprint\":\"");
    assert_non_null(pos);
    assert_int_equal(sscanf(pos, "\"fingerprint\":\"%39[0-9a-f:]\"", ret), 1);
}

static int run(struct stage *s, const char *const *args)
{
    const char *argv[ARGS_MAX] = { "wzp-client" };
    for (size_t i = 0; args[i]; i++)
        argv[i + 1] = args[i];
    spawn(&s->alice, argv);
    return exit_code(s, &s->alice);
}

/* ---- arguments ---- */

static void help_and_version_are_printed(void **state)
{
    struct stage *s = *state;
    assert_int_equal(run(s, ARGS("--help")), 0);
    assert_non_null(strstr(s->alice.text, "Exit status:"));
    assert_int_equal(run(s, ARGS("--version")), 0);
    assert_non_null(strstr(s->alice.text, "wzp-client 0."));
}

static void wrong_arguments_are_named_and_exit_with_2(void **state)
{
    struct stage *s = *state;
    const struct {
        const char *const *args;
        const char *named;
    } cases[] = {
        { (const char *const[]){ NULL }, "no command" },
        { ARGS("dance"), "dance" },
        { ARGS("--nonsense", "ping"), "nonsense" },
        { ARGS("call"), "FINGERPRINT" },
        { ARGS("call", "bob"), "32 hex digits" },
        { ARGS("room"), "NAME" },
        { ARGS("ping", "more"), "more" },
        { ARGS("--duration", "soon", "register"), "seconds" },
        { ARGS("--duration", "-1", "register"), "seconds" },
        { ARGS("--duration", "nan", "register"), "seconds" },
        { ARGS("--tone", "5", "register"), "20..20000" },
        { ARGS("--codec", "opus7k", "register"), "opus24k" },
        { ARGS("--adaptive", "maybe", "answer"), "off, on or reference" },
        { ARGS("--codec", "auto", "--adaptive", "off", "answer"), "since the codec is auto" },
        { ARGS("--accept", "maybe", "answer"), "trusted" },
        { ARGS("--tone", "440", "--echo", "answer"), "only one of" },
        { ARGS("--seed", "00", "--mnemonic", "abandon", "identity"), "only one of" },
        { ARGS("--peer-direct-addr", "example.org:1", "room", "x"), "A.B.C.D:P" },
        { ARGS("--peer-direct-addr", "192.0.2.1:0", "room", "x"), "A.B.C.D:P" },
        { ARGS("--port", "65536", "ping"), "1..65535" },
        { ARGS("--port", "1.5", "ping"), "whole" },
        { ARGS("--stun", "a", "--stun", "b", "--stun", "c", "--stun", "d", "--stun", "e", "ping"), "at most 4" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(run(s, cases[i].args), 2);
        if (!strstr(s->alice.text, cases[i].named))
            fail_msg("%s not named in: %s", cases[i].named, s->alice.text);
    }
}

static void files_and_hosts_that_do_not_exist_are_named(void **state)
{
    struct stage *s = *state;
    assert_int_equal(run(s, ARGS("--play", "/nonexistent.wav", "room", "x")), 1);
    assert_non_null(strstr(s->alice.text, "/nonexistent.wav: No such file"));
    assert_int_equal(run(s, ARGS("--play", "/dev/null", "room", "x")), 1);
    assert_non_null(strstr(s->alice.text, "not a WAV file"));
    assert_int_equal(run(s, ARGS("--relay", "1.2.3.4:99999", "ping")), 1);
    assert_non_null(strstr(s->alice.text, "HOST[:PORT]"));
    assert_int_equal(run(s, ARGS("--relay", "no host", "ping")), 1);
    assert_non_null(strstr(s->alice.text, "unknown host name"));
}

/* ---- identity ---- */

static void identity_is_made_on_first_use_and_kept(void **state)
{
    struct stage *s = *state;
    char first[WZP_FINGERPRINT_TEXT], second[WZP_FINGERPRINT_TEXT], path[128];
    struct stat info;
    start(s, &s->alice, "new/seed", ARGS("register"));
    fingerprint_of(s, &s->alice, first);
    kill(s->alice.pid, SIGTERM);
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_non_null(strstr(s->alice.text, "a new identity was made in"));
    (void)snprintf(path, sizeof path, "%s/new/seed", s->dir);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof path, "%s/new", s->dir);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    start(s, &s->bob, "new/seed", ARGS("register"));
    fingerprint_of(s, &s->bob, second);
    kill(s->bob.pid, SIGTERM);
    assert_int_equal(exit_code(s, &s->bob), 0);
    assert_string_equal(first, second);
    assert_null(strstr(s->bob.text, "a new identity"));
}

#define SEED_0  "0000000000000000000000000000000000000000000000000000000000000000"
#define PRINT_0 "27ba:36eb:371e:ea99:e7d0:ee57:3165:e50e"
#define WORDS_0                                                                                                        \
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "                 \
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art"

static void identity_is_printed_with_its_24_words_only_when_asked(void **state)
{
    struct stage *s = *state;
    assert_int_equal(run(s, ARGS("identity", "--seed", SEED_0)), 0);
    assert_string_equal(s->alice.text, PRINT_0 "\n");
    assert_int_equal(run(s, ARGS("identity", "--seed", SEED_0, "--show-mnemonic")), 0);
    assert_string_equal(s->alice.text, PRINT_0 "\n" WORDS_0 "\n");
    assert_int_equal(run(s, ARGS("--json", "identity", "--seed", SEED_0)), 0);
    assert_string_equal(s->alice.text, "{\"event\":\"identity\",\"fingerprint\":\"" PRINT_0 "\"}\n");
}

static void twenty_four_words_give_the_identity_back(void **state)
{
    struct stage *s = *state;
    char path[128];
    assert_int_equal(run(s, ARGS("identity", "--mnemonic", WORDS_0)), 0);
    assert_string_equal(s->alice.text, PRINT_0 "\n");
    (void)snprintf(path, sizeof path, "%s/words", s->dir);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs("  " WORDS_0 "\n", out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(run(s, ARGS("identity", "--mnemonic-file", path)), 0);
    assert_string_equal(s->alice.text, PRINT_0 "\n");
}

static void seeds_and_words_that_are_wrong_are_named(void **state)
{
    struct stage *s = *state;
    assert_int_equal(run(s, ARGS("identity", "--seed", "12")), 1);
    assert_non_null(strstr(s->alice.text, "64 hex digits"));
    assert_int_equal(run(s, ARGS("identity", "--mnemonic", "abandon potato")), 1);
    assert_non_null(strstr(s->alice.text, "24 words"));
    assert_int_equal(run(s, ARGS("identity", "--mnemonic", "abandon xyzzy")), 1);
    assert_non_null(strstr(s->alice.text, "word 2"));
    assert_int_equal(run(s, ARGS("identity", "--mnemonic-file", "/nonexistent")), 1);
    assert_non_null(strstr(s->alice.text, "/nonexistent: No such file"));
}

/* ---- questions to the relay ---- */

static void version_reflect_and_ping_are_answered(void **state)
{
    struct stage *s = *state;
    start(s, &s->alice, "alice", ARGS("version"));
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_non_null(strstr(s->alice.text, "\"event\":\"version\""));
    assert_non_null(strstr(s->alice.text, "\"build\":\"relay-1\""));
    start(s, &s->alice, "alice", ARGS("reflect"));
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_non_null(strstr(s->alice.text, "\"addr\":\"127.0.0.1:"));
    start(s, &s->alice, "alice", ARGS("ping"));
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_non_null(strstr(s->alice.text, "\"event\":\"pong\""));
    assert_null(strstr(s->alice.text, "\"rtt_ms\":null"));
}

static void relay_is_found_by_name(void **state)
{
    struct stage *s = *state;
    char relay[64];
    (void)snprintf(relay, sizeof relay, "localhost%s", strrchr(s->relay_text, ':'));
    assert_int_equal(run(s, ARGS("--relay", relay, "version")), 0);
    assert_non_null(strstr(s->alice.text, "relay build relay-1"));
}

/* ---- calls ---- */

static void call_with_echo_brings_the_tone_back_and_tells_each_step(void **state)
{
    struct stage *s = *state;
    char bob[WZP_FINGERPRINT_TEXT], back[128];
    (void)snprintf(back, sizeof back, "%s/back.wav", s->dir);
    start(s, &s->bob, "bob", ARGS("--echo", "--ring-delay", "0.2", "answer"));
    fingerprint_of(s, &s->bob, bob);
    start(s, &s->alice, "alice",
          ARGS("--alias", "Alice", "--number", "030", "--tone", "1000", "--record", back, "--duration", "2.5", "call",
               bob));
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_int_equal(exit_code(s, &s->bob), 0);
    static const char *const steps[] = { "registered", "ringing", "answered", "setup", "path", "media", "ended" };
    const char *pos = s->alice.text;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char event[64];
        (void)snprintf(event, sizeof event, "{\"event\":\"%s\",", steps[i]);
        pos = strstr(pos, event);
        if (!pos)
            fail_msg("no %s in its place:\n%s", steps[i], s->alice.text);
    }
    assert_non_null(strstr(s->alice.text, "\"peer_direct_addr\":null"));
    assert_non_null(strstr(s->alice.text, "\"path\":\"relay\""));
    assert_non_null(strstr(s->bob.text, "\"alias\":\"Alice\",\"number\":\"030\""));
    assert_non_null(strstr(s->bob.text, "\"reason\":\"normal\""));
    struct judge_audio got;
    struct judge_tone_result tone;
    assert_int_equal(judge_wav_load(back, &got), 0);
    assert_int_equal(got.rate_hz, 48000);
    assert_in_range(got.count, 48000 * 2, 48000 * 4);
    assert_int_equal(judge_tone(&got, 1000, &tone), 0);
    judge_audio_done(&got);
    assert_true(tone.peak_hz > 990 && tone.peak_hz < 1010);
    assert_true(tone.snr_db > 10); /* a busy machine may cost some frames */
}

static void callee_that_is_not_there_exits_with_3(void **state)
{
    struct stage *s = *state;
    start(s, &s->alice, "alice", ARGS("call", NOBODY));
    assert_int_equal(exit_code(s, &s->alice), 3);
    assert_non_null(strstr(s->alice.text, "\"event\":\"ended\""));
    assert_null(strstr(s->alice.text, "\"event\":\"ringing\""));
}

static void rejected_call_exits_with_5(void **state)
{
    struct stage *s = *state;
    char bob[WZP_FINGERPRINT_TEXT];
    start(s, &s->bob, "bob", ARGS("--accept", "reject", "answer"));
    fingerprint_of(s, &s->bob, bob);
    start(s, &s->alice, "alice", ARGS("call", bob));
    assert_int_equal(exit_code(s, &s->alice), 5);
    assert_non_null(strstr(s->alice.text, "\"reason\":\"declined\""));
    assert_int_equal(exit_code(s, &s->bob), 0);
}

static void call_to_somebody_in_a_call_exits_with_4(void **state)
{
    struct stage *s = *state;
    char bob[WZP_FINGERPRINT_TEXT];
    start(s, &s->bob, "bob", ARGS("answer"));
    fingerprint_of(s, &s->bob, bob);
    start(s, &s->alice, "alice", ARGS("call", bob));
    expect(s, &s->alice, "\"event\":\"media_up\"");
    start(s, &s->carol, "carol", ARGS("call", bob));
    assert_int_equal(exit_code(s, &s->carol), 4);
    kill(s->bob.pid, SIGTERM);
    assert_int_equal(exit_code(s, &s->bob), 0);
    assert_int_equal(exit_code(s, &s->alice), 0);
}

static void control_c_hangs_up_and_completes_the_recording(void **state)
{
    struct stage *s = *state;
    char bob[WZP_FINGERPRINT_TEXT], back[128];
    (void)snprintf(back, sizeof back, "%s/back.wav", s->dir);
    start(s, &s->bob, "bob", ARGS("--keep", "--tone", "500", "--codec", "opus6k", "answer"));
    fingerprint_of(s, &s->bob, bob);
    start(s, &s->alice, "alice", ARGS("--record", back, "call", bob));
    expect(s, &s->alice, "\"event\":\"media\"");
    kill(s->alice.pid, SIGINT);
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_non_null(strstr(s->alice.text, "\"final\":true"));
    assert_non_null(strstr(s->alice.text, "\"codec\":\"Opus6k\""));
    expect(s, &s->bob, "\"event\":\"ended\"");
    assert_non_null(strstr(s->bob.text, "\"by_peer\":true"));
    struct judge_audio got;
    assert_int_equal(judge_wav_load(back, &got), 0);
    assert_true(got.count >= 48000 * 9 / 10);
    judge_audio_done(&got);
    kill(s->bob.pid, SIGINT); /* was waiting for the next call */
    assert_int_equal(exit_code(s, &s->bob), 0);
}

static void cancelled_call_exits_with_3_and_stops_ringing(void **state)
{
    struct stage *s = *state;
    char bob[WZP_FINGERPRINT_TEXT];
    start(s, &s->bob, "bob", ARGS("--ring-delay", "60", "answer"));
    fingerprint_of(s, &s->bob, bob);
    start(s, &s->alice, "alice", ARGS("call", bob));
    expect(s, &s->alice, "\"event\":\"ringing\"");
    kill(s->alice.pid, SIGINT);
    assert_int_equal(exit_code(s, &s->alice), 3);
    assert_int_equal(exit_code(s, &s->bob), 3); /* its only call ended unanswered */
}

/** Answers every binding request with "you are 203.0.113.9:5555". */
struct stun_server {
    struct wz_udp *udp;
    unsigned requests;
};

static void answer_stun(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    static const uint8_t mapped[12] = { 0,           0x20,        0,          8,        0,          1,
                                        0x15 ^ 0x21, 0xb3 ^ 0x12, 203 ^ 0x21, 0 ^ 0x12, 113 ^ 0xa4, 9 ^ 0x42 };
    struct stun_server *server = arg;
    uint8_t answer[32] = { 1, 1, 0, sizeof mapped };
    (void)local;
    if (len < 20)
        return;
    memcpy(answer + 4, data + 4, 16); /* cookie and transaction */
    memcpy(answer + 20, mapped, sizeof mapped);
    server->requests++;
    (void)wz_udp_send(server->udp, answer, sizeof answer, from, NULL);
}

static void address_that_stun_shows_is_told_to_the_callee(void **state)
{
    struct stage *s = *state;
    struct stun_server server = { .requests = 0 };
    struct wz_udp_config udp = { .fd = -1, .packet = answer_stun, .arg = &server };
    char bob[WZP_FINGERPRINT_TEXT], stun[WZ_ADDR_TEXT_MAX];
    assert_int_equal(wz_addr_parse_ip("127.0.0.1", 0, &udp.bind), 0);
    assert_int_equal(wz_udp_new(&server.udp, s->loop, &udp), 0);
    const struct wz_addr local = wz_udp_local(server.udp);
    start(s, &s->bob, "bob", ARGS("--accept", "trusted", "--ring-delay", "0.1", "answer"));
    fingerprint_of(s, &s->bob, bob);
    start(s, &s->alice, "alice", ARGS("--stun", wz_addr_format(&local, stun), "--duration", "0.1", "call", bob));
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_int_equal(exit_code(s, &s->bob), 0);
    wz_udp_free(server.udp);
    assert_true(server.requests >= 1);
    assert_non_null(strstr(s->bob.text, "\"caller_reflexive_addr\":\"203.0.113.9:5555\""));
    assert_non_null(strstr(s->bob.text, "\"peer_direct_addr\":\"203.0.113.9:5555\""));
    assert_non_null(strstr(s->alice.text, "\"peer_direct_addr\":null")); /* bob knows no public address */
}

static void hidden_addresses_do_not_reach_the_callee(void **state)
{
    struct stage *s = *state;
    struct stun_server server = { .requests = 0 };
    struct wz_udp_config udp = { .fd = -1, .packet = answer_stun, .arg = &server };
    char bob[WZP_FINGERPRINT_TEXT], stun[WZ_ADDR_TEXT_MAX];
    assert_int_equal(wz_addr_parse_ip("127.0.0.1", 0, &udp.bind), 0);
    assert_int_equal(wz_udp_new(&server.udp, s->loop, &udp), 0);
    const struct wz_addr local = wz_udp_local(server.udp);
    (void)wz_addr_format(&local, stun);
    start(s, &s->bob, "bob", ARGS("answer"));
    fingerprint_of(s, &s->bob, bob);
    start(s, &s->alice, "alice", ARGS("--stun", stun, "--hide-addresses", "--duration", "0.1", "call", bob));
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_int_equal(exit_code(s, &s->bob), 0);
    wz_udp_free(server.udp);
    assert_non_null(strstr(s->bob.text, "\"caller_reflexive_addr\":null,\"caller_local_addrs\":[]"));
    assert_non_null(strstr(s->bob.text, "\"peer_direct_addr\":null,\"peer_local_addrs\":[]"));
}

static void room_carries_sound_between_two(void **state)
{
    struct stage *s = *state;
    char back[128];
    (void)snprintf(back, sizeof back, "%s/back.wav", s->dir);
    start(s, &s->bob, "bob", ARGS("--tone", "700", "room", "Ops Room"));
    expect(s, &s->bob, "\"event\":\"media_up\"");
    start(s, &s->alice, "alice", ARGS("--record", back, "--duration", "2", "room", "Ops Room"));
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_non_null(strstr(s->alice.text, "\"participants\":2"));
    struct judge_audio got;
    struct judge_tone_result tone;
    assert_int_equal(judge_wav_load(back, &got), 0);
    assert_int_equal(judge_tone(&got, 700, &tone), 0);
    judge_audio_done(&got);
    assert_true(tone.snr_db > 10); /* a busy machine may cost some frames */
    kill(s->bob.pid, SIGINT);
    assert_int_equal(exit_code(s, &s->bob), 0);
}

static uint16_t free_port(struct stage *s)
{
    struct wz_udp *udp = NULL;
    struct wz_udp_config config = { .fd = -1 };
    assert_int_equal(wz_addr_parse_ip("0.0.0.0", 0, &config.bind), 0);
    assert_int_equal(wz_udp_new(&udp, s->loop, &config), 0);
    const uint16_t port = wz_udp_local(udp).port;
    wz_udp_free(udp);
    return port;
}

/** Each names the other as its only peer, at a port of its own. */
static void start_room_pair(struct stage *s, bool alice_goes_direct)
{
    char a[8], b[8], at_a[32], at_b[32];
    (void)snprintf(a, sizeof a, "%u", free_port(s));
    (void)snprintf(b, sizeof b, "%u", free_port(s));
    (void)snprintf(at_a, sizeof at_a, "127.0.0.1:%s", a);
    (void)snprintf(at_b, sizeof at_b, "127.0.0.1:%s", b);
    start(s, &s->bob, "bob", ARGS("--port", b, "--peer-direct-addr", at_a, "--tone", "700", "room", "ops"));
    start(s, &s->alice, "alice",
          ARGS("--port", a, "--peer-direct-addr", at_b, "--duration", "1.5", "room", "ops",
               alice_goes_direct ? NULL : "--no-direct"));
}

static void room_with_peer_direct_addr_goes_past_the_relay(void **state)
{
    struct stage *s = *state;
    struct wzp_relay_stats stats;
    start_room_pair(s, true);
    expect(s, &s->alice, "\"event\":\"path\"");
    expect(s, &s->bob, "\"path\":\"direct\",\"remote\":\"127.0.0.1:");
    expect(s, &s->alice, "\"path\":\"direct\",\"remote\":\"127.0.0.1:");
    wzp_relay_server_stats(s->relay, &stats);
    const uint64_t carried = stats.packets_forwarded;
    assert_int_equal(exit_code(s, &s->alice), 0);
    wzp_relay_server_stats(s->relay, &stats);
    assert_int_equal(stats.packets_forwarded, carried);
    kill(s->bob.pid, SIGINT);
    assert_int_equal(exit_code(s, &s->bob), 0);
}

static void no_direct_keeps_a_room_on_the_relay(void **state)
{
    struct stage *s = *state;
    start_room_pair(s, false);
    assert_int_equal(exit_code(s, &s->alice), 0);
    assert_non_null(strstr(s->alice.text, "\"path\":\"relay\""));
    assert_null(strstr(s->alice.text, "\"path\":\"direct\""));
    assert_null(strstr(s->bob.text, "\"path\":\"direct\""));
    kill(s->bob.pid, SIGINT);
    assert_int_equal(exit_code(s, &s->bob), 0);
}

static void strict_client_refuses_a_relay_that_was_exchanged(void **state)
{
    struct stage *s = *state;
    char pins[128];
    (void)snprintf(pins, sizeof pins, "%s/pins", s->dir);
    start(s, &s->alice, "alice", ARGS("--strict", "--pin-file", pins, "--duration", "0.5", "register"));
    assert_int_equal(exit_code(s, &s->alice), 0);
    struct wzp_relay_server_config config = { .relay = { .build = "relay-2", .rng = &wz_rng_system } };
    config.relay.seed[0] = 99;
    config.listen = wzp_relay_server_local(s->relay);
    wzp_relay_server_free(s->relay);
    assert_int_equal(wzp_relay_server_new(&s->relay, s->loop, &config), 0);
    start(s, &s->alice, "alice", ARGS("--strict", "--pin-file", pins, "--duration", "0.5", "register"));
    assert_int_equal(exit_code(s, &s->alice), 1);
    assert_non_null(strstr(s->alice.text, "\"event\":\"unregistered\""));
    assert_non_null(strstr(s->alice.text, "the certificate of relay 127.0.0.1:"));
    assert_non_null(strstr(s->alice.text, pins));
    start(s, &s->alice, "alice", ARGS("--duration", "0.5", "register")); /* not strict */
    assert_int_equal(exit_code(s, &s->alice), 0);
}

int main(void)
{
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_stage, end_stage)
    const struct CMUnitTest tests[] = {
        STORY(help_and_version_are_printed),
        STORY(wrong_arguments_are_named_and_exit_with_2),
        STORY(files_and_hosts_that_do_not_exist_are_named),
        STORY(identity_is_made_on_first_use_and_kept),
        STORY(identity_is_printed_with_its_24_words_only_when_asked),
        STORY(twenty_four_words_give_the_identity_back),
        STORY(seeds_and_words_that_are_wrong_are_named),
        STORY(version_reflect_and_ping_are_answered),
        STORY(relay_is_found_by_name),
        STORY(call_with_echo_brings_the_tone_back_and_tells_each_step),
        STORY(callee_that_is_not_there_exits_with_3),
        STORY(rejected_call_exits_with_5),
        STORY(call_to_somebody_in_a_call_exits_with_4),
        STORY(control_c_hangs_up_and_completes_the_recording),
        STORY(cancelled_call_exits_with_3_and_stops_ringing),
        STORY(address_that_stun_shows_is_told_to_the_callee),
        STORY(hidden_addresses_do_not_reach_the_callee),
        STORY(room_carries_sound_between_two),
        STORY(room_with_peer_direct_addr_goes_past_the_relay),
        STORY(no_direct_keeps_a_room_on_the_relay),
        STORY(strict_client_refuses_a_relay_that_was_exchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
