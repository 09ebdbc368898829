/* Media workers of the gateway: which path their calls take, and what the control thread hears of it. Real threads, a
 * real relay on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/relay_thread.h"
#include "gateway/worker.h"
#include "gateway/worker_call.h"
#include "wzp/core/identity.h"
#include "wzp/io/relay_server.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/rng.h"

#define WAIT_US    10000000u
#define POLL_US    2000u
#define EVENTS_MAX 256

/** One worker, and what it told so far. Written on its thread, read on the test's. */
struct desk {
    struct gw_worker *worker;
    pthread_mutex_t lock;
    size_t count;
    struct gw_event event[EVENTS_MAX];
};

struct stage {
    char dir[64], pins[128];
    struct gw_relay *relay;
    struct wz_addr relay_addr;
    struct desk a, b;
};

static void take_event(void *arg, const struct gw_event *event)
{
    struct desk *desk = arg;
    (void)pthread_mutex_lock(&desk->lock);
    if (event->kind != GW_EV_WIRE && desk->count < EVENTS_MAX)
        desk->event[desk->count++] = *event;
    (void)pthread_mutex_unlock(&desk->lock);
}

static bool find_event(struct desk *desk, enum gw_event_kind kind, struct gw_event *ret)
{
    bool found = false;
    (void)pthread_mutex_lock(&desk->lock);
    for (size_t i = 0; i < desk->count && !found; i++) {
        found = desk->event[i].kind == kind;
        if (found)
            *ret = desk->event[i];
    }
    (void)pthread_mutex_unlock(&desk->lock);
    return found;
}

static struct gw_event await(struct desk *desk, enum gw_event_kind kind)
{
    const uint64_t until_us = wz_clock_us() + WAIT_US;
    struct gw_event event;
    while (!find_event(desk, kind, &event)) {
        if (wz_clock_us() > until_us)
            fail_msg("event %d did not come", (int)kind);
        (void)usleep(POLL_US); /* the worker has its own thread */
    }
    return event;
}

static void start_relay(struct stage *s, uint8_t seed, uint16_t port)
{
    struct wzp_relay_server_config config = { .relay = { .build = "relay-1", .rng = &wz_rng_system } };
    config.relay.seed[0] = seed;
    assert_int_equal(wz_addr_parse_ip("127.0.0.1", port, &config.listen), 0);
    assert_int_equal(gw_relay_new(&s->relay, &config), 0);
    s->relay_addr = wzp_relay_server_local(gw_relay_server(s->relay));
}

static int new_stage(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/wzp-worker.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->pins, sizeof s->pins, "%s/pins", s->dir);
    (void)pthread_mutex_init(&s->a.lock, NULL);
    (void)pthread_mutex_init(&s->b.lock, NULL);
    start_relay(s, 7, 0);
    *state = s;
    return 0;
}

static int end_stage(void **state)
{
    struct stage *s = *state;
    gw_worker_free(s->a.worker);
    gw_worker_free(s->b.worker);
    gw_relay_free(s->relay);
    (void)unlink(s->pins); /* not every test makes it */
    assert_int_equal(rmdir(s->dir), 0);
    free(s);
    return 0;
}

static void open_desk(const struct stage *s, struct desk *desk, uint8_t seed, const struct gw_worker_config *options,
                      bool is_echo)
{
    struct gw_worker_config config = *options;
    config.build = "test";
    config.relay = s->relay_addr;
    config.bind = (struct wz_addr){ .family = WZ_ADDR_V4 };
    config.share_local_addrs = config.allow_loopback_hosts = true;
    config.emit = take_event;
    config.arg = desk;
    assert_int_equal(gw_worker_new(&desk->worker, &config), 0);
    struct gw_command add = { .kind = GW_CMD_LINE_ADD, .line = { .seed = { seed }, .is_echo = is_echo } };
    assert_int_equal(gw_worker_post(desk->worker, &add), 0);
}

/** a calls the line with this seed at b. Returns a's ref. */
static uint64_t call(struct stage *s, uint8_t seed)
{
    const uint8_t bytes[WZP_SEED_BYTES] = { seed };
    struct wzp_identity identity;
    struct gw_command command = { .kind = GW_CMD_CALL, .ref = gw_ref_next() };
    assert_int_equal(wzp_identity_from_seed(bytes, &identity), 0);
    memcpy(command.call.target, identity.fingerprint, sizeof command.call.target);
    wzp_identity_done(&identity);
    (void)await(&s->a, GW_EV_LINE_UP);
    (void)await(&s->b, GW_EV_LINE_UP);
    assert_int_equal(gw_worker_post(s->a.worker, &command), 0);
    return command.ref;
}

static void answer(struct stage *s, enum wzp_accept_mode mode)
{
    const struct gw_event incoming = await(&s->b, GW_EV_INCOMING);
    const struct gw_command command = { .kind = GW_CMD_ANSWER, .ref = incoming.ref, .mode = mode };
    assert_int_equal(gw_worker_post(s->b.worker, &command), 0);
}

static void calls_of_two_gateways_go_direct(void **state)
{
    struct stage *s = *state;
    struct wz_addr peer;
    open_desk(s, &s->a, 1, &(struct gw_worker_config){ .direct = true }, false);
    open_desk(s, &s->b, 2, &(struct gw_worker_config){ .direct = true }, false);
    (void)call(s, 2);
    answer(s, WZP_ACCEPT_TRUSTED);
    const struct gw_event path = await(&s->a, GW_EV_PATH);
    assert_int_equal(path.path.kind, WZP_LINE_PATH_DIRECT);
    assert_int_equal(wz_addr_parse(path.path.remote, &peer), 0);
    assert_int_not_equal(peer.port, s->relay_addr.port);
    assert_int_equal(await(&s->b, GW_EV_PATH).path.kind, WZP_LINE_PATH_DIRECT);
    (void)await(&s->a, GW_EV_MEDIA_UP);
    (void)await(&s->b, GW_EV_MEDIA_UP);
}

static void gateway_with_direct_off_stays_on_the_relay(void **state)
{
    struct stage *s = *state;
    char relay[WZ_ADDR_TEXT_MAX];
    open_desk(s, &s->a, 1, &(struct gw_worker_config){ .direct = false }, false);
    open_desk(s, &s->b, 2, &(struct gw_worker_config){ .direct = true }, false);
    (void)call(s, 2);
    answer(s, WZP_ACCEPT_TRUSTED);
    const struct gw_event path = await(&s->a, GW_EV_PATH);
    assert_int_equal(path.path.kind, WZP_LINE_PATH_RELAY);
    assert_string_equal(path.path.remote, wz_addr_format(&s->relay_addr, relay));
    assert_int_equal(await(&s->b, GW_EV_PATH).path.kind, WZP_LINE_PATH_RELAY);
}

static void echo_tells_nobody_where_the_gateway_stands(void **state)
{
    struct stage *s = *state;
    open_desk(s, &s->a, 1, &(struct gw_worker_config){ .direct = true }, false);
    open_desk(s, &s->b, 2, &(struct gw_worker_config){ .direct = true }, true);
    (void)call(s, 2);
    assert_int_equal(await(&s->a, GW_EV_PATH).path.kind, WZP_LINE_PATH_RELAY);
    assert_string_equal(await(&s->a, GW_EV_SETUP).setup.peer_direct_addr, "");
    assert_int_equal(await(&s->a, GW_EV_SETUP).setup.peer_local_count, 0);
    (void)await(&s->a, GW_EV_MEDIA_UP);
}

static void strict_gateway_refuses_a_relay_that_was_exchanged(void **state)
{
    struct stage *s = *state;
    const struct gw_worker_config strict = { .strict = true, .pin_path = s->pins };
    open_desk(s, &s->a, 1, &strict, false);
    (void)await(&s->a, GW_EV_LINE_UP);
    gw_worker_free(s->a.worker);
    s->a.worker = NULL;
    s->a.count = 0;
    gw_relay_free(s->relay);
    start_relay(s, 8, s->relay_addr.port);
    open_desk(s, &s->a, 1, &strict, false);
    const struct gw_event down = await(&s->a, GW_EV_LINE_DOWN);
    assert_non_null(strstr(down.text, "the certificate of relay"));
    assert_non_null(strstr(down.text, s->pins));
}

/* ---- a path that changes, event by event ---- */

struct told {
    size_t count;
    enum gw_event_kind kind[8];
};

static void note(void *arg, const struct gw_event *event)
{
    struct told *told = arg;
    assert_true(told->count < sizeof told->kind / sizeof told->kind[0]);
    told->kind[told->count++] = event->kind;
}

/** A call object of a line that does nothing else. */
struct idle {
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct wzp_line *line;
    struct wzp_line_call *call;
};

static void open_idle(struct idle *idle, const struct wz_addr *relay)
{
    const struct wzp_quic_config quic = { .bind = { .family = WZ_ADDR_V4 }, .rng = &wz_rng_system };
    const struct wzp_line_config line = { .seed = { 9 }, .relay = *relay, .rooms_only = true, .rng = &wz_rng_system };
    assert_int_equal(wz_loop_new(&idle->loop), 0);
    assert_int_equal(wzp_quic_new(&idle->quic, idle->loop, &quic), 0);
    assert_int_equal(wzp_line_new(&idle->line, idle->loop, idle->quic, &line), 0);
    assert_int_equal(wzp_line_join(idle->line, &(struct wzp_line_room){ .name = "x" }, NULL, &idle->call), 0);
}

static void close_idle(const struct idle *idle)
{
    wzp_line_free(idle->line);
    wzp_quic_free(idle->quic);
    wz_loop_free(idle->loop);
}

static void path_after_media_down_carries_media_again_and_answers_nobody_twice(void **state)
{
    struct stage *s = *state;
    struct told told = { 0 };
    struct gw_worker worker = { .config = { .emit = note, .arg = &told } };
    struct gw_worker_line line = { .worker = &worker };
    struct idle idle;
    open_idle(&idle, &s->relay_addr);
    assert_int_equal(gw_worker_calls_init(&worker), 0);
    static const struct {
        enum wzp_line_event_kind news;
        enum wzp_line_path path;
        bool carries;
    } steps[] = {
        { WZP_LINE_INCOMING, 0, false },
        { WZP_LINE_PATH, WZP_LINE_PATH_DIRECT, false },
        { WZP_LINE_MEDIA_UP, WZP_LINE_PATH_DIRECT, true },
        { WZP_LINE_MEDIA_DOWN, 0, false },
        { WZP_LINE_PATH, WZP_LINE_PATH_RELAY, true },
        { WZP_LINE_PATH, WZP_LINE_PATH_DIRECT, true },
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct wzp_line_event event = {
            .kind = steps[i].news, .call = idle.call, .path = steps[i].path, .path_remote = "192.0.2.1:5", .reason = ""
        };
        gw_worker_call_event(&line, &event);
        const struct gw_worker_call *wcall = wzp_line_call_arg(idle.call);
        assert_non_null(wcall);
        assert_int_equal(wcall->media_up, steps[i].carries);
    }
    static const enum gw_event_kind expect[] = { GW_EV_INCOMING, GW_EV_PATH, GW_EV_MEDIA_UP, GW_EV_PATH, GW_EV_PATH };
    assert_int_equal(told.count, sizeof expect / sizeof expect[0]);
    assert_memory_equal(told.kind, expect, sizeof expect);
    wzp_line_call_set_arg(idle.call, NULL);
    gw_worker_calls_done(&worker);
    close_idle(&idle);
}

int main(void)
{
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_stage, end_stage)
    const struct CMUnitTest tests[] = {
        STORY(calls_of_two_gateways_go_direct),
        STORY(gateway_with_direct_off_stays_on_the_relay),
        STORY(echo_tells_nobody_where_the_gateway_stands),
        STORY(strict_gateway_refuses_a_relay_that_was_exchanged),
        STORY(path_after_media_down_carries_media_again_and_answers_nobody_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
