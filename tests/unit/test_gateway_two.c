/* Two whole gateways in one process: nothing is global. Each has its own relay, keys, ports and echo; a WZP line calls
 * both echoes at the same time and hears from each what it sent there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "gateway/app.h"
#include "wzp/core/media.h"
#include "wzp/io/line.h"
#include "wzp/io/quic.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define LIMIT_US 20000000u
#define START_TRIES 20

struct gateway {
    char dir[64];
    struct cfg *cfg;
    struct gw_app *app;
    pthread_t thread;
    sem_t opened;
    char error[GW_APP_ERROR_MAX];
};

struct caller {
    struct wzp_quic *quic;
    struct wzp_line *line;
    struct wzp_line_call *call;
    bool registered, media_up, heard, ended;
    uint8_t payload;
};

static char *config_text(const char *dir, unsigned sip_port, unsigned relay_port, unsigned media_port)
{
    static char text[1024];
    (void)snprintf(text, sizeof text,
                   "data_dir: %s\n"
                   "sip: {listen: \"127.0.0.1:%u\"}\n"
                   "relay: {listen: \"127.0.0.1:%u\"}\n"
                   "media: {ports_first: %u, ports_last: %u}\n"
                   "users: [{name: alice, password: secret-of-alice}]\n",
                   dir, sip_port, relay_port, media_port, media_port + 7);
    return text;
}

/* Ports are drawn, since a gateway takes several: another draw when one is taken. */
static void open_somewhere(struct gateway *gateway)
{
    for (unsigned i = 0; i < START_TRIES; i++) {
        struct cfg_mistakes mistakes = { 0 };
        uint16_t drawn;
        wz_rng_fill(&wz_rng_system, &drawn, sizeof drawn);
        unsigned base = 20000u + drawn % 10000u * 4u;
        const char *text = config_text(gateway->dir, base, base + 1, (base + 2) & ~1u);
        int err = cfg_parse(wz_bytes_str(text), NULL, &gateway->cfg, &mistakes);
        cfg_mistakes_done(&mistakes);
        if (err || gw_app_new(&gateway->app, gateway->cfg, gateway->error) == 0)
            return;
        cfg_free(gateway->cfg);
        gateway->cfg = NULL;
    }
}

/* A gateway's whole life is on one thread, as its header asks. */
static void *live(void *arg)
{
    struct gateway *gateway = arg;
    open_somewhere(gateway);
    (void)sem_post(&gateway->opened);
    if (gateway->app)
        (void)gw_app_run(gateway->app);
    gw_app_free(gateway->app);
    cfg_free(gateway->cfg);
    return NULL;
}

static void open_gateway(struct gateway *gateway)
{
    (void)snprintf(gateway->dir, sizeof gateway->dir, "/tmp/wzp-two-XXXXXX");
    assert_non_null(mkdtemp(gateway->dir));
    assert_int_equal(sem_init(&gateway->opened, 0, 0), 0);
    assert_int_equal(pthread_create(&gateway->thread, NULL, live, gateway), 0);
    assert_int_equal(sem_wait(&gateway->opened), 0);
    if (!gateway->app)
        fail_msg("the gateway did not start: %s", gateway->error);
}

static void close_gateway(struct gateway *gateway)
{
    char command[256];
    gw_app_stop_from_elsewhere(gateway->app);
    assert_int_equal(pthread_join(gateway->thread, NULL), 0);
    (void)sem_destroy(&gateway->opened);
    (void)snprintf(command, sizeof command, "rm -rf '%.60s'", gateway->dir);
    assert_int_equal(system(command), 0);
}

static void on_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct caller *caller = arg;
    (void)line;
    caller->registered |= event->kind == WZP_LINE_REGISTERED;
    caller->media_up |= event->kind == WZP_LINE_MEDIA_UP;
    caller->ended |= event->kind == WZP_LINE_ENDED;
}

static void on_datagram(void *arg, struct wzp_line_call *call, struct wz_bytes data)
{
    struct caller *caller = arg;
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    (void)call;
    if (wzp_media_decode(data, &hdr, &payload) == 0 && payload.len == 1)
        caller->heard |= payload.data[0] == caller->payload;
}

static void open_caller(struct caller *caller, struct wz_loop *loop, const struct gateway *gateway, uint8_t number)
{
    struct wzp_quic_config quic = { .rng = &wz_rng_system };
    struct wzp_line_config config = {
        .relay = gw_app_relay_address(gateway->app),
        .handlers = { .event = on_event, .datagram = on_datagram },
        .arg = caller,
        .rng = &wz_rng_system,
    };
    memset(config.seed, number, sizeof config.seed);
    caller->payload = number;
    assert_int_equal(wz_addr_parse("127.0.0.1:0", &quic.bind), 0);
    assert_int_equal(wzp_quic_new(&caller->quic, loop, &quic), 0);
    assert_int_equal(wzp_line_new(&caller->line, loop, caller->quic, &config), 0);
}

static bool turn_until(struct wz_loop *loop, const bool *a, const bool *b)
{
    uint64_t limit_us = wz_clock_us() + LIMIT_US;
    while ((!*a || !*b) && wz_clock_us() < limit_us)
        (void)wz_loop_turn(loop, 20);
    return *a && *b;
}

/* The echo registers while we do: a call that comes too early ends as "not there" and is placed again. */
static void call_echo(struct wz_loop *loop, struct caller *caller, const struct gateway *gateway)
{
    struct wzp_line_dial dial = { .target_fingerprint = gw_app_fingerprint(gateway->app, "echo") };
    uint64_t limit_us = wz_clock_us() + LIMIT_US;
    caller->ended = true;
    while (!caller->media_up && wz_clock_us() < limit_us) {
        if (caller->ended) {
            caller->ended = false;
            assert_int_equal(wzp_line_call(caller->line, &dial, NULL, &caller->call), 0);
        }
        (void)wz_loop_turn(loop, 20);
    }
    assert_true(caller->media_up);
}

static void speak_until_heard(struct wz_loop *loop, struct caller *caller)
{
    uint64_t limit_us = wz_clock_us() + LIMIT_US;
    for (uint16_t seq = 0; !caller->heard && wz_clock_us() < limit_us; seq++) {
        uint8_t buf[64];
        struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_24K, .seq = seq, .timestamp_ms = seq * 20u };
        int len = wzp_media_encode(&hdr, wz_bytes(&caller->payload, 1), buf, sizeof buf);
        (void)wzp_line_send(caller->call, wz_bytes(buf, (size_t)len));
        (void)wz_loop_turn(loop, 20);
    }
    assert_true(caller->heard);
}

static void two_gateways_echo_side_by_side(void **state)
{
    (void)state;
    struct gateway gateway[2] = { 0 };
    struct caller caller[2] = { 0 };
    struct wz_loop *loop;
    assert_int_equal(wz_loop_new(&loop), 0);
    for (unsigned i = 0; i < 2; i++) {
        open_gateway(&gateway[i]);
        open_caller(&caller[i], loop, &gateway[i], (uint8_t)(17 + i));
    }
    assert_string_not_equal(gw_app_fingerprint(gateway[0].app, "alice"), gw_app_fingerprint(gateway[1].app, "alice"));
    assert_true(turn_until(loop, &caller[0].registered, &caller[1].registered));
    for (unsigned i = 0; i < 2; i++)
        call_echo(loop, &caller[i], &gateway[i]);
    for (unsigned i = 0; i < 2; i++)
        speak_until_heard(loop, &caller[i]);
    for (unsigned i = 0; i < 2; i++) {
        wzp_line_hangup(caller[i].call, WZP_HANGUP_NORMAL);
        assert_true(caller[i].ended);
        wzp_line_free(caller[i].line);
        wzp_quic_free(caller[i].quic);
    }
    wz_loop_free(loop);
    for (unsigned i = 0; i < 2; i++)
        close_gateway(&gateway[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(two_gateways_echo_side_by_side) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
