/* wzp-relay as a process: arguments, the start line, signals. The program lies beside this test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/quic_peer.h"
#include "tests/support/relay_peer.h"
#include "tests/support/relay_program.h"

struct daemon {
    struct relay_program p;
    struct relay_peer alice, bob;
};

static int setup(void **state)
{
    struct daemon *d = calloc(1, sizeof *d);
    relay_program_init(&d->p);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct daemon *d = *state;
    relay_peer_done(&d->alice);
    relay_peer_done(&d->bob);
    relay_program_done(&d->p);
    free(d);
    return 0;
}

static void spawn(struct daemon *d, const char *const *args)
{
    relay_program_spawn(&d->p, args);
}

static bool output_has(struct daemon *d, const char *text)
{
    return relay_program_says(&d->p, text);
}

static int exit_status(struct daemon *d)
{
    return relay_program_status(&d->p);
}

static void start(struct daemon *d)
{
    relay_program_start(&d->p, NULL);
}

/** Alice and bob register, alice's call rings. */
static void ring(struct daemon *d)
{
    const struct wz_addr relay = relay_program_address(&d->p);
    assert_int_equal(relay_peer_dial(&d->alice, d->p.quic, relay, "_signal", 1), 0);
    assert_int_equal(relay_peer_dial(&d->bob, d->p.quic, relay, "_signal", 2), 0);
    assert_true(quic_wait(d->p.loop, d->alice.registered && d->bob.registered, QUIC_WAIT_MS));
    char id[] = "c1";
    relay_peer_send(&d->alice,
                    &(struct wzp_signal){ .kind = WZP_SIG_DIRECT_CALL_OFFER,
                                          .offer = { .caller_fingerprint = d->alice.identity.fingerprint,
                                                     .target_fingerprint = d->bob.identity.fingerprint,
                                                     .call_id = id,
                                                     .keys = { .has_identity = true, .has_ephemeral = true } } });
    assert_true(quic_wait(d->p.loop, !wz_list_is_empty(&d->bob.inbox), QUIC_WAIT_MS));
}

/* ---- arguments ---- */

static void help_names_every_option(void **state)
{
    struct daemon *d = *state;
    static const char *const options[] = { "--config",       "--identity",       "--listen",       "--public-address",
                                           "--max-sessions", "--auth-url",       "--metrics-port", "--metrics-listen",
                                           "--strict",       "--strict-privacy", "--debug-tap",    "--log-level",
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
        { "--listen", "localhost:1" },       { "--listen", "1.2.3.4:99999" }, { "--public-address", "0.0.0.0:1" },
        { "--public-address", "relay.org" }, { "--max-sessions", "0" },       { "--max-sessions", "1x" },
        { "--log-level", "loud" },           { "--no-such-option", NULL },    { "surplus", NULL },
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
    relay_program_write(d->p.identity, "not a seed");
    spawn(d, (const char *const[]){ "--listen", "127.0.0.1:0", "-i", d->p.identity, NULL });
    assert_true(output_has(d, "identity.unusable"));
    assert_int_equal(exit_status(d), 1);
}

static void port_in_use_is_said_and_ends_with_one(void **state)
{
    struct daemon *d = *state, *second = calloc(1, sizeof *second);
    relay_program_init(&second->p);
    char address[WZ_ADDR_TEXT_MAX];
    start(d);
    const struct wz_addr addr = relay_program_address(&d->p);
    spawn(second, (const char *const[]){ "--listen", wz_addr_format(&addr, address), "-i", d->p.identity, NULL });
    assert_true(output_has(second, "relay.cannot_listen"));
    assert_int_equal(exit_status(second), 1);
    relay_program_done(&second->p);
    free(second);
}

/* ---- start ---- */

static void start_line_tells_address_and_both_fingerprints_which_stay(void **state)
{
    struct daemon *d = *state;
    char first[64], again[64], tls_first[128], tls_again[128];
    struct stat info;
    start(d);
    assert_true(relay_program_address(&d->p).port != 0);
    relay_program_member(&d->p, "relay.started", "fingerprint", first, sizeof first);
    relay_program_member(&d->p, "relay.started", "tls_fingerprint", tls_first, sizeof tls_first);
    assert_int_equal(strlen(first), 39);
    assert_int_equal(strlen(tls_first), 95);
    assert_int_equal(stat(d->p.identity, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(output_has(d, "relay.private_address")); /* 127.0.0.1 helps nobody elsewhere */
    kill(d->p.pid, SIGINT);
    assert_int_equal(exit_status(d), 0);
    start(d);
    relay_program_member(&d->p, "relay.started", "fingerprint", again, sizeof again);
    relay_program_member(&d->p, "relay.started", "tls_fingerprint", tls_again, sizeof tls_again);
    assert_string_equal(first, again);
    assert_string_equal(tls_first, tls_again);
}

/* ---- signals ---- */

static void sigterm_ends_an_idle_relay(void **state)
{
    struct daemon *d = *state;
    start(d);
    kill(d->p.pid, SIGTERM);
    assert_int_equal(exit_status(d), 0);
    assert_true(output_has(d, "relay.drained"));
}

static void sigterm_waits_for_the_call(void **state)
{
    struct daemon *d = *state;
    start(d);
    ring(d);
    kill(d->p.pid, SIGTERM);
    assert_true(output_has(d, "relay.draining"));
    relay_peer_send_text(&d->alice, "\"Reflect\"");
    assert_true(quic_wait(d->p.loop, d->alice.inbox.next->next != &d->alice.inbox, QUIC_WAIT_MS)); /* still serving */
    relay_peer_send_text(&d->bob, "{\"DirectCallAnswer\":{\"call_id\":\"c1\",\"accept_mode\":\"Reject\"}}");
    assert_int_equal(exit_status(d), 0);
    assert_true(output_has(d, "relay.drained"));
}

static void second_sigterm_stops_at_once(void **state)
{
    struct daemon *d = *state;
    start(d);
    ring(d);
    kill(d->p.pid, SIGTERM);
    assert_true(output_has(d, "relay.draining"));
    kill(d->p.pid, SIGTERM);
    assert_int_equal(exit_status(d), 0);
    assert_true(quic_wait(d->p.loop, d->alice.closed, QUIC_WAIT_MS));
    assert_string_equal(d->alice.reason, "shutdown");
}

static void sigint_stops_at_once_and_tells_the_clients(void **state)
{
    struct daemon *d = *state;
    start(d);
    ring(d);
    kill(d->p.pid, SIGINT);
    assert_int_equal(exit_status(d), 0);
    assert_true(quic_wait(d->p.loop, d->alice.closed && d->bob.closed, QUIC_WAIT_MS));
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
