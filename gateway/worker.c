#include "gateway/worker.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "worker"
#include "gateway/addresses.h"
#include "gateway/echo.h"
#include "gateway/thread.h"
#include "gateway/worker_call.h"
#include "wzp/io/pin_file.h"
#include "wzp/rt/log.h"
#include "wzp/rt/mailbox.h"
#include "wzp/rt/rng.h"

#define COMMANDS_WAITING_MAX 8192
#define WATCH_INTERVAL_US    1000000u
/** A relay that died is noticed after this long; it is three keep-alives. */
#define IDLE_MS 15000u

uint64_t gw_ref_next(void)
{
    static atomic_uint_fast64_t last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

static void emit_line(struct gw_worker_line *line, enum gw_event_kind kind, const char *text)
{
    struct gw_event event = { .kind = kind, .line_id = line->id };
    (void)snprintf(event.text, sizeof event.text, "%s", text ? text : "");
    line->worker->config.emit(line->worker->config.arg, &event);
}

static void on_line_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct gw_worker_line *self = arg;
    (void)line;
    if (event->call && self->is_echo)
        gw_echo_event(event);
    else if (event->call)
        gw_worker_call_event(self, event);
    else if (event->kind == WZP_LINE_REGISTERED)
        emit_line(self, GW_EV_LINE_UP, event->relay_build);
    else if (event->kind == WZP_LINE_UNREGISTERED)
        emit_line(self, GW_EV_LINE_DOWN, event->reason);
}

static void on_line_datagram(void *arg, struct wzp_line_call *call, struct wz_bytes data)
{
    const struct gw_worker_line *self = arg;
    struct gw_worker_call *wcall = wzp_line_call_arg(call);
    if (self->is_echo)
        gw_echo_received(call, data);
    else if (wcall && wcall->session)
        gw_session_wzp_datagram(wcall->session, data);
}

static void line_free(struct gw_worker_line *line)
{
    if (!line)
        return;
    wzp_line_free(line->line);
    free(line);
}

static struct gw_worker_line *line_by_id(struct gw_worker *worker, uint32_t id)
{
    return id < worker->line_count ? worker->line[id] : NULL;
}

/* Line ids are places in this array; one that cannot be made leaves its place empty. */
static int append_place(struct gw_worker *worker)
{
    if (worker->line_count == worker->line_room) {
        size_t room = worker->line_room ? worker->line_room * 2 : 16;
        struct gw_worker_line **grown = realloc(worker->line, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        worker->line = grown;
        worker->line_room = room;
    }
    worker->line[worker->line_count++] = NULL;
    return 0;
}

static int line_add(struct gw_worker *worker, const struct gw_command *command)
{
    if (command->line_id != worker->line_count)
        return -EINVAL;
    int err = append_place(worker);
    if (err)
        return err;
    struct gw_worker_line *line = calloc(1, sizeof *line);
    if (!line)
        return -ENOMEM;
    line->worker = worker;
    line->id = command->line_id;
    line->is_echo = command->line.is_echo;
    struct wzp_line_config config = {
        .alias = command->line.alias[0] ? command->line.alias : NULL,
        .build = worker->config.build,
        .relay = worker->config.relay,
        .start_delay_ms = command->line.delay_ms,
        .ring_ms = 300000, /* the call machine's ring timer decides; this one is the safety net */
        .share_local_addrs = worker->config.share_local_addrs,
        .group = worker->group,
        .strict = worker->config.strict,
        .pins = worker->pins,
        .handlers = { .event = on_line_event, .datagram = on_line_datagram },
        .arg = line,
        .rng = &wz_rng_system,
    };
    memcpy(config.seed, command->line.seed, sizeof config.seed);
    err = wzp_line_new(&line->line, gw_thread_loop(worker->thread), worker->quic, &config);
    explicit_bzero(config.seed, sizeof config.seed);
    if (err) {
        free(line);
        return err;
    }
    worker->line[line->id] = line;
    wzp_line_set_addresses(line->line, gw_addresses_known(worker->addresses));
    return 0;
}

static void receive(void *arg, void *item)
{
    struct gw_worker *worker = arg;
    struct gw_command *command = item;
    int err = 0;
    if (command->kind == GW_CMD_LINE_ADD) {
        err = line_add(worker, command);
        explicit_bzero(command->line.seed, sizeof command->line.seed);
        if (err)
            LOG_ERROR("line.failed", "line=%u error=\"%s\"", command->line_id, strerror(-err));
        return;
    }
    gw_worker_call_command(worker, line_by_id(worker, command->line_id), command);
}

static void on_addresses(void *arg, const struct wzp_line_addresses *known)
{
    struct gw_worker *worker = arg;
    for (size_t i = 0; i < worker->line_count; i++) {
        if (worker->line[i])
            wzp_line_set_addresses(worker->line[i]->line, known);
    }
}

static void on_stun(void *arg, struct wz_bytes packet, const struct wz_addr *from, const struct wz_addr *local)
{
    struct gw_worker *worker = arg;
    (void)local;
    gw_addresses_packet(worker->addresses, packet, from);
}

static void on_watch(void *arg)
{
    struct gw_worker *worker = arg;
    uint64_t now_us = wz_loop_now_us(gw_thread_loop(worker->thread));
    gw_worker_calls_watch(worker, now_us);
    wz_timer_set(&worker->watch, now_us + WATCH_INTERVAL_US);
}

static void stop(void *arg)
{
    struct gw_worker *worker = arg;
    wz_timer_cancel(&worker->watch);
    for (size_t i = 0; i < worker->line_count; i++)
        line_free(worker->line[i]);
    free(worker->line);
    worker->line = NULL;
    worker->line_count = 0;
    gw_worker_calls_done(worker);
    gw_addresses_free(worker->addresses);
    wzp_quic_free(worker->quic);
    wzp_line_group_free(worker->group);
    wzp_pin_file_free(worker->pins);
    wz_mailbox_free(worker->mailbox, NULL);
    worker->addresses = NULL;
    worker->quic = NULL;
    worker->group = NULL;
    worker->pins = NULL;
    worker->mailbox = NULL;
}

static int open_addresses(struct gw_worker *worker)
{
    struct gw_addresses_config config = {
        .public_address = worker->config.public_address,
        .stun_count = worker->config.stun_count,
        .allow_loopback_hosts = worker->config.allow_loopback_hosts,
        .changed = on_addresses,
        .arg = worker,
    };
    memcpy(config.stun, worker->config.stun, sizeof config.stun);
    return gw_addresses_new(&worker->addresses, gw_thread_loop(worker->thread), worker->quic, &config);
}

/* One socket for everything: what a relay or a STUN server sees of it is true for direct paths too. */
static int open_endpoint(struct gw_worker *worker)
{
    struct wzp_quic_config config = {
        .bind = worker->config.bind,
        .idle_ms = IDLE_MS,
        .stun = on_stun,
        .stun_arg = worker,
        .rng = &wz_rng_system,
    };
    if (worker->config.direct) {
        const int err = wzp_line_group_new(&worker->group);
        if (err)
            return err;
        wzp_line_group_serve(worker->group, &config);
    }
    return wzp_line_open_endpoint(&worker->quic, gw_thread_loop(worker->thread), &config);
}

static int start(void *arg)
{
    struct gw_worker *worker = arg;
    struct wz_loop *loop = gw_thread_loop(worker->thread);
    wz_timer_init(&worker->watch, loop, on_watch, worker);
    int err = gw_worker_calls_init(worker);
    if (err)
        goto out;
    err = wz_mailbox_new(&worker->mailbox, loop, COMMANDS_WAITING_MAX, sizeof(struct gw_command), receive, worker);
    if (err)
        goto out;
    if (worker->config.strict)
        err = wzp_pin_file_open(&worker->pins, worker->config.pin_path);
    if (err)
        goto out;
    err = open_endpoint(worker);
    if (err)
        goto out;
    err = open_addresses(worker);
    if (err)
        goto out;
    wz_timer_set(&worker->watch, wz_loop_now_us(loop) + WATCH_INTERVAL_US);
out:
    if (err)
        stop(worker);
    return err;
}

int gw_worker_new(struct gw_worker **ret, const struct gw_worker_config *config)
{
    char name[16];
    struct gw_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return -ENOMEM;
    worker->config = *config;
    (void)snprintf(name, sizeof name, "wzp-media-%u", config->index % 1000);
    int err = gw_thread_new(&worker->thread,
                            &(struct gw_thread_config){ .name = name, .start = start, .stop = stop, .arg = worker });
    if (err) {
        free(worker);
        return err;
    }
    *ret = worker;
    return 0;
}

void gw_worker_free(struct gw_worker *worker)
{
    if (!worker)
        return;
    gw_thread_free(worker->thread);
    free(worker);
}

int gw_worker_post(struct gw_worker *worker, const struct gw_command *command)
{
    int err = wz_mailbox_post(worker->mailbox, command);
    if (err)
        LOG_ERROR("worker.full", "worker=%u command=%d", worker->config.index, (int)command->kind);
    return err;
}
