/* wzp-relay as a process: its settings, from file and command line, and what they do; its pages over HTTP. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/http_client.h"
#include "tests/support/quic_peer.h"
#include "tests/support/relay_peer.h"
#include "tests/support/relay_program.h"
#include "wzp/core/media.h"

struct world {
    struct relay_program relay;
    struct relay_peer alice, bob;
    struct http_client client;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    relay_program_init(&w->relay);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    relay_peer_done(&w->alice);
    relay_peer_done(&w->bob);
    relay_program_done(&w->relay);
    free(w);
    return 0;
}

/** Start with this file's text (NULL: no file) and up to four more arguments. */
static void start(struct world *w, const char *file, const char *const *more)
{
    const char *args[8] = { NULL };
    size_t count = 0;
    if (file) {
        relay_program_write(w->relay.config, file);
        args[count++] = "-c";
        args[count++] = w->relay.config;
    }
    for (size_t i = 0; more && more[i]; i++)
        args[count++] = more[i];
    relay_program_start(&w->relay, args);
}

static void dial(struct world *w, struct relay_peer *peer, const char *sni, unsigned user)
{
    assert_int_equal(relay_peer_dial(peer, w->relay.quic, relay_program_address(&w->relay), sni, user), 0);
}

static void join_both(struct world *w)
{
    dial(w, &w->alice, "ops", 1);
    assert_true(quic_wait(w->relay.loop, w->alice.participants == 1, QUIC_WAIT_MS));
    dial(w, &w->bob, "ops", 2);
    assert_true(quic_wait(w->relay.loop, w->bob.participants == 2, QUIC_WAIT_MS));
}

/** One media packet from alice, with a quality report. */
static void send_packet(struct world *w, uint16_t seq)
{
    const struct wzp_media_hdr hdr = {
        .codec = WZP_CODEC_OPUS_24K, .seq = seq, .has_report = true, .report = { 51, 10, 7, 200 }
    };
    uint8_t packet[64];
    const int len = wzp_media_encode(&hdr, wz_bytes_str("payload"), packet, sizeof packet);
    assert_true(len > 0);
    assert_int_equal(wzp_quic_send_datagram(w->alice.conn, wz_bytes(packet, (size_t)len)), 0);
}

static void send_and_wait(struct world *w, uint16_t seq)
{
    const uint64_t before = w->bob.datagrams;
    send_packet(w, seq);
    assert_true(quic_wait(w->relay.loop, w->bob.datagrams > before, QUIC_WAIT_MS));
}

static const char *get(struct world *w, const char *method_and_path, unsigned status)
{
    char text[WZ_ADDR_TEXT_MAX], request[256];
    struct wz_addr addr;
    assert_true(relay_program_says(&w->relay, "metrics.started"));
    assert_true(relay_program_says(&w->relay, "}\n"));
    relay_program_member(&w->relay, "metrics.started", "listen", text, sizeof text);
    assert_int_equal(wz_addr_parse(text, &addr), 0);
    if (wz_addr_is_any(&addr))
        assert_int_equal(wz_addr_parse_ip("127.0.0.1", addr.port, &addr), 0);
    const int len = snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: relay.example\r\nConnection: close\r\n\r\n",
                             method_and_path);
    assert_int_equal(http_client_open(&w->client, w->relay.loop, NULL, &addr, request, (size_t)len), 0);
    assert_true(http_client_wait(&w->client));
    assert_int_equal(http_client_status(&w->client), status);
    http_client_close(&w->client);
    return http_client_body(&w->client);
}

static void assert_line(const char *page, const char *line)
{
    char with_ends[256];
    snprintf(with_ends, sizeof with_ends, "\n%s\n", line);
    if (!strstr(page, with_ends))
        fail_msg("no line \"%s\" in\n%s", line, page);
}

/* ---- identity ---- */

static void seed_file_of_the_reference_gives_its_certificate_and_fingerprints(void **state)
{
    struct world *w = *state;
    char tls[128];
    size_t i;
    json_t *root = json_load_file(WZP_SOURCE_DIR "/tests/vectors/relay_tls.json", 0, NULL), *vector;
    assert_non_null(root);
    assert_true(json_array_size(json_object_get(root, "vectors")) >= 2);
    json_array_foreach (json_object_get(root, "vectors"), i, vector) {
        relay_program_write(w->relay.identity, json_string_value(json_object_get(vector, "seed")));
        start(w, NULL, NULL);
        relay_program_member(&w->relay, "relay.started", "tls_fingerprint", tls, sizeof tls);
        assert_string_equal(tls, json_string_value(json_object_get(vector, "tls_fingerprint")));
        kill(w->relay.pid, SIGINT);
        assert_int_equal(relay_program_status(&w->relay), 0);
    }
    json_decref(root);
}

static void corrupt_identity_is_an_error_and_stays_as_it_is(void **state)
{
    struct world *w = *state;
    char text[32] = "";
    relay_program_write(w->relay.identity, "not 64 hex digits\n");
    relay_program_spawn(&w->relay, (const char *const[]){ "--listen", "127.0.0.1:0", "-i", w->relay.identity, NULL });
    assert_true(relay_program_says(&w->relay, "never overwritten"));
    assert_int_equal(relay_program_status(&w->relay), 1);
    FILE *file = fopen(w->relay.identity, "r");
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "not 64 hex digits\n");
}

/* ---- file and command line ---- */

static void missing_settings_file_is_made_from_a_template(void **state)
{
    struct world *w = *state;
    char first[64] = "";
    relay_program_start(&w->relay, (const char *const[]){ "-c", w->relay.config, NULL });
    assert_true(relay_program_says(&w->relay, "every setting in it is a comment"));
    FILE *file = fopen(w->relay.config, "r");
    assert_non_null(file);
    assert_non_null(fgets(first, sizeof first, file));
    fclose(file);
    assert_int_equal(first[0], '#');
    kill(w->relay.pid, SIGINT);
    assert_int_equal(relay_program_status(&w->relay), 0);
    relay_program_start(&w->relay, (const char *const[]){ "-c", w->relay.config, NULL }); /* it reads it, too */
}

static void command_line_overrides_the_file(void **state)
{
    struct world *w = *state;
    start(w, "listen_addr = \"192.0.2.77:1\"\nmax_sessions = 1\n",
          (const char *const[]){ "--max-sessions", "2", NULL });
    join_both(w); /* and it listens on loopback, since start() says so */
}

static void every_mistake_of_the_file_is_printed_with_its_line_and_nothing_starts(void **state)
{
    struct world *w = *state;
    char expected[256];
    relay_program_write(w->relay.config, "max_sesions = 5\n\nstrict = 1\nmetrics_port = 0\n[[peers]]\n");
    relay_program_spawn(&w->relay, (const char *const[]){ "-c", w->relay.config, "-i", w->relay.identity, NULL });
    static const char *const says[] = { ":1: unknown setting max_sesions, did you mean max_sessions?",
                                        ":3: strict: expected true or false", ":4: metrics_port = 0: expected 1..65535",
                                        ":5: [[peers]]: links between relays are not served by this relay yet" };
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        snprintf(expected, sizeof expected, "%s%s\n", w->relay.config, says[i]);
        assert_true(relay_program_says(&w->relay, expected));
    }
    assert_int_equal(relay_program_status(&w->relay), 1);
}

static void file_of_the_reference_with_its_defaults_starts_and_notes_what_has_no_effect(void **state)
{
    struct world *w = *state;
    start(w,
          "listen_addr = \"0.0.0.0:4433\"\nmax_sessions = 100\njitter_target_depth = 50\njitter_max_depth = 250\n"
          "log_level = \"info\"\nprobe_targets = []\nprobe_mesh = false\ntrunking_enabled = false\n",
          NULL);
    assert_true(relay_program_says(&w->relay, ":3: note: jitter_target_depth has no effect"));
    assert_true(relay_program_says(&w->relay, ":8: note: trunking_enabled"));
}

static void options_that_are_not_served_yet_are_refused_with_a_sentence(void **state)
{
    struct world *w = *state;
    static const char *const flags[][2] = {
        { "--remote", "1.2.3.4:5" }, { "--probe", "1.2.3.4:5" }, { "--probe-mesh", NULL },
        { "--trunking", NULL },      { "--ws-port", "8080" },    { "--static-dir", "/srv" },
        { "--global-room", "ops" },  { "--mesh-status", NULL },  { "--event-log", "/tmp/events" },
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        relay_program_spawn(&w->relay, (const char *const[]){ flags[i][0], flags[i][1], NULL });
        assert_true(relay_program_says(&w->relay, "served by this relay yet"));
        assert_non_null(strstr(w->relay.text, flags[i][0]));
        assert_int_equal(relay_program_status(&w->relay), 2);
    }
}

/* ---- limits ---- */

static void max_sessions_refuses_one_too_many(void **state)
{
    struct world *w = *state;
    start(w, "max_sessions = 1\n", NULL);
    dial(w, &w->alice, "ops", 1);
    assert_true(quic_wait(w->relay.loop, w->alice.participants == 1, QUIC_WAIT_MS));
    dial(w, &w->bob, "ops", 2);
    assert_true(quic_wait(w->relay.loop, w->bob.closed, QUIC_WAIT_MS));
    assert_false(w->bob.joined);
    assert_false(w->alice.closed);
}

/** Registers with an empty signature, as the reference's clients do. */
static void register_unsigned(struct world *w, struct relay_peer *peer)
{
    char json[512];
    int len = snprintf(json, sizeof json, "{\"RegisterPresence\":{\"identity_pub\":[");
    assert_int_equal(relay_peer_dial_silently(peer, w->relay.quic, relay_program_address(&w->relay), "_signal", 1), 0);
    for (size_t i = 0; i < WZP_KEY_BYTES; i++)
        len += snprintf(json + len, sizeof json - (size_t)len, "%s%u", i ? "," : "", peer->identity.ed25519_public[i]);
    snprintf(json + len, sizeof json - (size_t)len, "],\"signature\":[],\"alias\":null}}");
    relay_peer_send_text(peer, json);
}

static void strict_mode_refuses_a_registration_without_signature_and_takes_a_signed_one(void **state)
{
    struct world *w = *state;
    start(w, NULL, (const char *const[]){ "--strict", NULL });
    register_unsigned(w, &w->alice);
    assert_true(quic_wait(w->relay.loop, w->alice.closed, QUIC_WAIT_MS));
    assert_false(w->alice.registered);
    dial(w, &w->bob, "_signal", 2);
    assert_true(quic_wait(w->relay.loop, w->bob.registered, QUIC_WAIT_MS));
}

static void without_strict_mode_the_unsigned_are_taken(void **state)
{
    struct world *w = *state;
    start(w, NULL, NULL);
    register_unsigned(w, &w->alice);
    assert_true(quic_wait(w->relay.loop, w->alice.registered, QUIC_WAIT_MS));
}

/* ---- pages ---- */

static void metrics_have_the_names_of_the_reference_and_count(void **state)
{
    struct world *w = *state;
    start(w, NULL, (const char *const[]){ "--metrics-listen", "127.0.0.1:0", NULL });
    join_both(w);
    send_and_wait(w, 1);
    send_and_wait(w, 2);
    const char *page = get(w, "GET /metrics", 200);
    assert_line(page, "wzp_relay_active_sessions 2");
    assert_line(page, "wzp_relay_active_rooms 1");
    assert_line(page, "wzp_relay_packets_forwarded_total 2");
    assert_line(page, "# TYPE wzp_relay_packets_forwarded_total counter");
    assert_line(page, "wzp_relay_auth_attempts_total{result=\"ok\"} 0");
    assert_line(page, "wzp_relay_handshake_duration_seconds_bucket{le=\"+Inf\"} 2");
    assert_line(page, "wzp_relay_handshake_duration_seconds_count 2");
    assert_non_null(strstr(page, "\nwzp_relay_bytes_forwarded_total "));
    assert_null(strstr(page, "\nwzp_relay_bytes_forwarded_total 0\n"));
    assert_non_null(strstr(page, "\nwzp_relay_session_loss_pct{session_id=\""));
    assert_non_null(strstr(page, "\"} 20\n")); /* 51 of 255 */
    assert_non_null(strstr(page, "\nwzp_relay_session_rtt_ms{session_id=\""));
    assert_non_null(strstr(page, "\"} 40\n"));
    assert_null(strstr(page, "federation")); /* what is not served is not shown as zero */
}

static void metrics_of_our_own_count_users_calls_refusals_and_quic(void **state)
{
    struct world *w = *state;
    start(w, "metrics_listen = \"127.0.0.1:0\"\n", NULL);
    dial(w, &w->alice, "_signal", 1);
    assert_true(quic_wait(w->relay.loop, w->alice.registered, QUIC_WAIT_MS));
    dial(w, &w->bob, "call-unknown", 2);
    assert_true(quic_wait(w->relay.loop, w->bob.closed, QUIC_WAIT_MS));
    const char *page = get(w, "GET /metrics", 200);
    assert_line(page, "wzp_relay_registered 1");
    assert_line(page, "wzp_relay_registrations_total 1");
    assert_line(page, "wzp_relay_calls 0");
    assert_line(page, "wzp_relay_refused_total{reason=\"not_a_party\"} 1");
    assert_line(page, "wzp_relay_refused_total{reason=\"source\"} 0");
    assert_line(page, "wzp_relay_quic_accepted_total 2");
    assert_line(page, "wzp_relay_quic_retried_total 0");
    assert_line(page, "wzp_relay_quic_handshake_failed_total 0");
    assert_line(page, "wzp_relay_quic_datagrams_dropped_total 0");
}

/** Each metric has one TYPE line, its samples follow it, and no sample stands twice. */
static void metrics_are_well_formed(void **state)
{
    struct world *w = *state;
    char *line, *rest, name[96], type_of[96] = "", seen[HTTP_CLIENT_MAX] = "\n";
    size_t samples = 0;
    start(w, NULL, (const char *const[]){ "--metrics-listen", "127.0.0.1:0", NULL });
    join_both(w);
    send_and_wait(w, 1);
    char *page = strdup(get(w, "GET /metrics", 200));
    for (line = strtok_r(page, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char key[160];
        if (sscanf(line, "# TYPE %95s", name) == 1) {
            strcpy(type_of, name);
            continue;
        }
        if (line[0] == '#')
            continue;
        double value;
        assert_int_equal(sscanf(line, "%158s %lf", key, &value), 2);
        assert_int_equal(strncmp(key, type_of, strlen(type_of)), 0);
        char with_ends[170];
        snprintf(with_ends, sizeof with_ends, "\n%s\n", key);
        assert_null(strstr(seen, with_ends));
        strcat(seen, key);
        strcat(seen, "\n");
        samples++;
    }
    assert_true(samples > 40);
    free(page);
}

static void every_metric_is_in_the_document(void **state)
{
    struct world *w = *state;
    char *rest, name[96], quoted[100], *document = calloc(1, HTTP_CLIENT_MAX);
    size_t metrics = 0;
    FILE *file = fopen(WZP_SOURCE_DIR "/docs/relay.md", "r");
    assert_non_null(file);
    assert_true(fread(document, 1, HTTP_CLIENT_MAX - 1, file) > 0);
    fclose(file);
    start(w, NULL,
          (const char *const[]){ "--metrics-listen", "127.0.0.1:0", "--auth-url", "http://127.0.0.1:1/", NULL });
    char *page = strdup(get(w, "GET /metrics", 200));
    for (char *line = strtok_r(page, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "# TYPE wzp_relay%95s", name) != 1)
            continue;
        metrics++;
        snprintf(quoted, sizeof quoted, "%s`", name);
        if (strstr(document, quoted))
            continue;
        snprintf(quoted, sizeof quoted, "%s{", name);
        if (!strstr(document, quoted))
            fail_msg("docs/relay.md does not know wzp_relay%s", name);
    }
    assert_true(metrics > 30);
    free(page);
    free(document);
}

static void pages_tell_health_and_refuse_everything_else(void **state)
{
    struct world *w = *state;
    start(w, NULL, (const char *const[]){ "--metrics-listen", "0.0.0.0:0", NULL }); /* a whole network may read */
    assert_string_equal(get(w, "GET /healthz", 200), "ok\n");
    assert_string_equal(get(w, "GET /readyz", 200), "ok\n");
    (void)get(w, "GET /", 404);
    (void)get(w, "GET /presence", 404);
    (void)get(w, "POST /metrics", 405);
}

static void draining_relay_is_alive_and_not_ready(void **state)
{
    struct world *w = *state;
    start(w, NULL, (const char *const[]){ "--metrics-listen", "127.0.0.1:0", NULL });
    char id[] = "c1";
    dial(w, &w->alice, "_signal", 1);
    dial(w, &w->bob, "_signal", 2);
    assert_true(quic_wait(w->relay.loop, w->alice.registered && w->bob.registered, QUIC_WAIT_MS));
    relay_peer_send(&w->alice,
                    &(struct wzp_signal){ .kind = WZP_SIG_DIRECT_CALL_OFFER,
                                          .offer = { .caller_fingerprint = w->alice.identity.fingerprint,
                                                     .target_fingerprint = w->bob.identity.fingerprint,
                                                     .call_id = id,
                                                     .keys = { .has_identity = true, .has_ephemeral = true } } });
    assert_true(quic_wait(w->relay.loop, !wz_list_is_empty(&w->bob.inbox), QUIC_WAIT_MS));
    kill(w->relay.pid, SIGTERM);
    assert_true(relay_program_says(&w->relay, "relay.draining"));
    (void)get(w, "GET /healthz", 200);
    (void)get(w, "GET /readyz", 503);
}

static void metrics_port_in_use_stops_the_start(void **state)
{
    struct world *w = *state;
    char text[WZ_ADDR_TEXT_MAX];
    struct relay_program *second = calloc(1, sizeof *second);
    start(w, NULL, (const char *const[]){ "--metrics-listen", "127.0.0.1:0", NULL });
    assert_true(relay_program_says(&w->relay, "metrics.started"));
    assert_true(relay_program_says(&w->relay, "}\n"));
    relay_program_member(&w->relay, "metrics.started", "listen", text, sizeof text);
    relay_program_init(second);
    relay_program_spawn(second, (const char *const[]){ "--listen", "127.0.0.1:0", "-i", second->identity,
                                                       "--metrics-port", strchr(text, ':') + 1, NULL });
    assert_true(relay_program_says(second, "metrics.cannot_listen"));
    assert_int_equal(relay_program_status(second), 1);
    relay_program_done(second);
    free(second);
}

/* ---- tap, reload ---- */

static void tap_logs_the_headers_of_its_room_only(void **state)
{
    struct world *w = *state;
    start(w, NULL, (const char *const[]){ "--debug-tap", "ops", NULL });
    join_both(w);
    send_and_wait(w, 4711);
    assert_true(relay_program_says(&w->relay, "\"tap.packet\""));
    assert_true(relay_program_says(&w->relay, "\"seq\":4711"));
    assert_true(relay_program_says(&w->relay, "\"codec\":\"Opus24k\""));
    assert_non_null(strstr(w->relay.text, "\"dir\":\"in\""));
    assert_non_null(strstr(w->relay.text, "\"to\":1"));
    assert_null(strstr(w->relay.text, "payload"));
    kill(w->relay.pid, SIGINT);
    assert_int_equal(relay_program_status(&w->relay), 0);
}

static void tap_of_another_room_and_no_tap_log_nothing(void **state)
{
    struct world *w = *state;
    start(w, NULL, (const char *const[]){ "--debug-tap", "other", NULL });
    join_both(w);
    send_and_wait(w, 1);
    kill(w->relay.pid, SIGINT);
    assert_true(relay_program_says(&w->relay, "relay.stopped"));
    assert_null(strstr(w->relay.text, "tap.packet"));
}

static void reload_turns_the_tap_on_and_names_what_needs_a_restart(void **state)
{
    struct world *w = *state;
    start(w, "max_sessions = 5\n", NULL);
    join_both(w);
    relay_program_write(w->relay.config, "max_sessions = 6\ndebug_tap = \"*\"\n");
    kill(w->relay.pid, SIGHUP);
    assert_true(relay_program_says(&w->relay, "reload.done"));
    assert_non_null(strstr(w->relay.text, "\"reload.needs_restart\",\"setting\":\"max_sessions\""));
    send_and_wait(w, 99);
    assert_true(relay_program_says(&w->relay, "\"seq\":99"));
}

static void reload_of_a_bad_file_changes_nothing(void **state)
{
    struct world *w = *state;
    start(w, "debug_tap = \"*\"\n", NULL);
    join_both(w);
    relay_program_write(w->relay.config, "debug_tap = 5\n");
    kill(w->relay.pid, SIGHUP);
    assert_true(relay_program_says(&w->relay, "reload.refused"));
    assert_true(relay_program_says(&w->relay, ":1: debug_tap: expected a string in quotes"));
    send_and_wait(w, 98);
    assert_true(relay_program_says(&w->relay, "\"seq\":98"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(seed_file_of_the_reference_gives_its_certificate_and_fingerprints),
        TEST(corrupt_identity_is_an_error_and_stays_as_it_is),
        TEST(missing_settings_file_is_made_from_a_template),
        TEST(command_line_overrides_the_file),
        TEST(every_mistake_of_the_file_is_printed_with_its_line_and_nothing_starts),
        TEST(file_of_the_reference_with_its_defaults_starts_and_notes_what_has_no_effect),
        TEST(options_that_are_not_served_yet_are_refused_with_a_sentence),
        TEST(max_sessions_refuses_one_too_many),
        TEST(strict_mode_refuses_a_registration_without_signature_and_takes_a_signed_one),
        TEST(without_strict_mode_the_unsigned_are_taken),
        TEST(metrics_have_the_names_of_the_reference_and_count),
        TEST(metrics_of_our_own_count_users_calls_refusals_and_quic),
        TEST(metrics_are_well_formed),
        TEST(every_metric_is_in_the_document),
        TEST(pages_tell_health_and_refuse_everything_else),
        TEST(draining_relay_is_alive_and_not_ready),
        TEST(metrics_port_in_use_stops_the_start),
        TEST(tap_logs_the_headers_of_its_room_only),
        TEST(tap_of_another_room_and_no_tap_log_nothing),
        TEST(reload_turns_the_tap_on_and_names_what_needs_a_restart),
        TEST(reload_of_a_bad_file_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
