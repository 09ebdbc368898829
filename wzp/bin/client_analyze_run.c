#include "wzp/bin/client_analyze_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wzp/bin/client_analyze.h"
#include "wzp/bin/client_analyze_print.h"
#include "wzp/bin/client_capture.h"
#include "wzp/bin/client_output.h"
#include "wzp/io/line.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define SECOND_US 1000000u

struct observer {
    const struct client_analyze_config *config;
    struct wz_loop *loop;
    struct wzp_line *line;
    struct wzp_line_call *room; /**< NULL: left, or thrown out */
    struct client_analysis *analysis;
    struct client_capture_writer *capture; /**< NULL: none wanted, or it failed */
    struct client_output out;
    struct wz_timer second, end;
    uint64_t start_us, second_at_us, datagrams_before;
    bool was_up, capture_failed, refused;
};

static uint64_t elapsed_us(const struct observer *observer)
{
    return wz_loop_now_us(observer->loop) - observer->start_us;
}

static void capture_failed(struct observer *observer, int err)
{
    fprintf(stderr, "wzp-client: %s: %s\n", observer->config->capture, strerror(-err));
    observer->capture_failed = true;
}

static void on_datagram(void *arg, struct wzp_line_call *call, struct wz_bytes data)
{
    struct observer *observer = arg;
    const uint64_t at_us = elapsed_us(observer);
    (void)call;
    (void)client_analysis_packet(observer->analysis, at_us, data); /* what is no media is counted */
    if (!observer->capture || observer->capture_failed)
        return;
    const int err = client_capture_write(observer->capture, at_us, data);
    if (err < 0) {
        capture_failed(observer, err);
        wz_loop_stop(observer->loop);
    }
}

static void print_progress(struct observer *observer)
{
    struct client_analysis_sums sums;
    client_analysis_sums(observer->analysis, &sums);
    if (observer->config->json)
        client_analyze_print_json(observer->analysis, elapsed_us(observer), false);
    else if (isatty(STDOUT_FILENO))
        client_analyze_print_line(observer->analysis, elapsed_us(observer),
                                  sums.datagrams - observer->datagrams_before);
    observer->datagrams_before = sums.datagrams;
}

static void on_second(void *arg)
{
    struct observer *observer = arg;
    print_progress(observer);
    observer->second_at_us += SECOND_US;
    wz_timer_set(&observer->second, observer->second_at_us);
    if (ferror(stdout))
        wz_loop_stop(observer->loop); /* nobody listens any more */
}

static void on_end(void *arg)
{
    struct observer *observer = arg;
    wz_loop_stop(observer->loop);
}

static void begin(struct observer *observer)
{
    const uint64_t now_us = wz_loop_now_us(observer->loop);
    observer->was_up = true;
    observer->second_at_us = now_us + SECOND_US;
    wz_timer_set(&observer->second, observer->second_at_us);
    if (observer->config->duration_s > 0)
        wz_timer_set(&observer->end, now_us + (uint64_t)(observer->config->duration_s * SECOND_US));
}

static void on_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct observer *observer = arg;
    (void)line;
    client_output_event(&observer->out, event, wz_loop_now_us(observer->loop));
    if (event->kind == WZP_LINE_MEDIA_UP) {
        begin(observer);
    } else if (event->kind == WZP_LINE_ENDED) {
        observer->refused = event->end != WZP_LINE_END_LOCAL;
        observer->room = NULL;
        wz_loop_stop(observer->loop);
    }
}

static int open_capture(struct observer *observer)
{
    struct client_capture_info info = { 0 };
    const struct client_analyze_config *config = observer->config;
    if (!config->capture)
        return 0;
    (void)snprintf(info.room, sizeof info.room, "%s", config->room);
    (void)snprintf(info.relay, sizeof info.relay, "%s", config->relay_text);
    client_capture_now(info.start_time);
    const int err = client_capture_create(&observer->capture, config->capture, &info);
    if (err < 0)
        capture_failed(observer, err);
    return err;
}

static int join(struct observer *observer, struct wzp_quic *quic)
{
    struct wzp_line_config line = {
        .build = "wzp-client/" WZP_VERSION,
        .relay = observer->config->relay,
        .rooms_only = true,
        .no_direct = true,
        .handlers = { .event = on_event, .datagram = on_datagram },
        .arg = observer,
        .rng = &wz_rng_system,
    };
    const struct wzp_line_room room = { .name = observer->config->room };
    memcpy(line.seed, observer->config->seed, sizeof line.seed);
    int err = wzp_line_new(&observer->line, observer->loop, quic, &line);
    explicit_bzero(line.seed, sizeof line.seed);
    if (err < 0)
        return err;
    observer->out = (struct client_output){
        .json = observer->config->json,
        .fingerprint = wzp_line_fingerprint(observer->line),
        .relay = observer->config->relay_text,
        .start_us = observer->start_us,
    };
    return wzp_line_join(observer->line, &room, NULL, &observer->room);
}

static void print_summary(const struct client_analysis *analysis, bool json, uint64_t t_us)
{
    if (json)
        client_analyze_print_json(analysis, t_us, true);
    else
        client_analyze_print_summary(analysis);
}

static void leave(struct observer *observer)
{
    if (observer->room)
        wzp_line_hangup(observer->room, WZP_HANGUP_NORMAL);
    wzp_line_free(observer->line);
    wz_timer_cancel(&observer->second);
    wz_timer_cancel(&observer->end);
    if (observer->was_up)
        print_summary(observer->analysis, observer->config->json, elapsed_us(observer));
    client_analysis_free(observer->analysis);
    const int err = client_capture_close(observer->capture);
    if (err < 0 && !observer->capture_failed)
        capture_failed(observer, err);
}

enum client_exit client_analyze_live(struct wz_loop *loop, struct wzp_quic *quic,
                                     const struct client_analyze_config *config)
{
    struct observer observer = { .config = config, .loop = loop, .start_us = wz_loop_now_us(loop) };
    wz_timer_init(&observer.second, loop, on_second, &observer);
    wz_timer_init(&observer.end, loop, on_end, &observer);
    int err = client_analysis_new(&observer.analysis);
    if (!err)
        err = open_capture(&observer);
    if (!err)
        err = join(&observer, quic);
    if (!err)
        err = wz_loop_run(loop);
    if (err < 0 && !observer.capture_failed)
        fprintf(stderr, "wzp-client: cannot join %s: %s\n", config->room, strerror(-err));
    leave(&observer);
    if (err < 0 || observer.capture_failed)
        return CLIENT_EXIT_FAILURE;
    if (!observer.was_up)
        return observer.refused ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK; /* stopped before: as asked */
    return observer.refused ? CLIENT_EXIT_BROKEN : CLIENT_EXIT_OK;
}

/* ---- reading again ---- */

static int count_packets(struct client_capture_reader *reader, struct client_analysis *analysis, uint64_t *ret_last_us)
{
    struct client_capture_packet packet = { 0 };
    int more;
    while ((more = client_capture_next(reader, &packet)) > 0)
        (void)client_analysis_packet(analysis, packet.at_us, packet.datagram); /* what is no media is counted */
    *ret_last_us = packet.at_us;
    return more;
}

static enum client_exit replay(const char *path, struct wz_bytes file, bool json)
{
    struct client_capture_reader reader;
    struct client_analysis *analysis = NULL;
    uint64_t last_us = 0;
    int err = client_capture_open(&reader, file);
    const bool opened = err == 0;
    if (!err)
        err = client_analysis_new(&analysis);
    if (analysis)
        err = count_packets(&reader, analysis, &last_us);
    if (err < 0)
        fprintf(stderr, "wzp-client: %s: %s\n", path, reader.why[0] ? reader.why : strerror(-err));
    if (analysis && opened)
        print_summary(analysis, json, last_us);
    client_analysis_free(analysis);
    return err < 0 && err != -ENODATA ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK;
}

enum client_exit client_analyze_replay(const char *path, bool json)
{
    uint8_t *data = NULL;
    size_t len = 0;
    const int err = client_capture_load(path, &data, &len);
    if (err < 0) {
        fprintf(stderr, "wzp-client: %s: %s\n", path, strerror(-err));
        return CLIENT_EXIT_FAILURE;
    }
    const enum client_exit code = replay(path, wz_bytes(data, len), json);
    free(data);
    return code;
}
