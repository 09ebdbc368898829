#include "wzp/bin/client_nat_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ice/enumerate.h"
#include "ice/stun.h"
#include "wzp/bin/client_json.h"
#include "wzp/bin/client_nat.h"
#include "wzp/io/line.h"
#include "wzp/io/quic.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define OWN_MAX 32
#define WHY_MAX 160

_Static_assert(CLIENT_RELAYS_MAX + CLIENT_STUN_MAX <= CLIENT_NAT_SERVERS_MAX, "every server has a row");
_Static_assert(CLIENT_STUN_MAX <= WICE_STUN_MAX_SERVERS, "every STUN server is asked");

/** One server. */
struct row {
    struct client_nat_run *run;
    const char *text;      /**< as the user wrote it */
    struct wzp_line *line; /**< a relay's; NULL: a STUN server */
    bool is_done;
    bool has_rtt;
    unsigned asked; /**< times; of two questions it is not known which was answered */
    uint64_t asked_us, rtt_us;
    struct client_nat_answer answer;
    char why[WHY_MAX]; /**< no answer: the reason */
};

struct client_nat_run {
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct wice_stun *stun;
    struct wz_timer end, again;
    bool json;
    uint64_t start_us;
    size_t count, relay_count;
    struct row row[CLIENT_NAT_SERVERS_MAX]; /**< relays, then STUN servers */
};

static void finish(struct row *row)
{
    struct client_nat_run *run = row->run;
    row->is_done = true;
    for (size_t i = 0; i < run->count; i++)
        if (!run->row[i].is_done)
            return;
    wz_loop_stop(run->loop);
}

static void answered(struct row *row, const struct wz_addr *seen)
{
    row->answer.seen = *seen;
    row->has_rtt = row->asked == 1;
    row->rtt_us = wz_loop_now_us(row->run->loop) - row->asked_us;
    finish(row);
}

/* ---- relays ---- */

static void ask_relay(struct row *row)
{
    row->asked++;
    row->asked_us = wz_loop_now_us(row->run->loop);
    if (wzp_line_reflect(row->line) < 0) {
        (void)snprintf(row->why, sizeof row->why, "the connection is gone");
        finish(row);
    }
}

static void reflected(struct row *row, const char *text)
{
    struct wz_addr seen;
    if (text && wz_addr_parse(text, &seen) == 0) {
        answered(row, &seen);
        return;
    }
    (void)snprintf(row->why, sizeof row->why, text ? "it answers with no address" : "it does not answer Reflect");
    finish(row);
}

static void on_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct row *row = arg;
    (void)line;
    if (row->is_done)
        return;
    switch (event->kind) {
    case WZP_LINE_REGISTERED:
        ask_relay(row);
        break;
    case WZP_LINE_REFLECTED:
        reflected(row, event->observed_addr);
        break;
    case WZP_LINE_UNREGISTERED:
        (void)snprintf(row->why, sizeof row->why, "%s", event->reason);
        finish(row);
        break;
    case WZP_LINE_INCOMING: /* nobody knows this key */
        wzp_line_hangup(event->call, WZP_HANGUP_BUSY);
        break;
    default:
        break;
    }
}

/** A key of its own for each relay, forgotten afterwards: nobody is pushed out of his registration. */
static int add_relay(struct client_nat_run *run, const char *text, const struct wz_addr *relay)
{
    struct row *row = &run->row[run->count++];
    *row = (struct row){ .run = run, .text = text, .answer = { .server = *relay } };
    struct wzp_line_config config = {
        .build = "wzp-client/" WZP_VERSION,
        .relay = *relay,
        .no_direct = true,
        .handlers = { .event = on_event },
        .arg = row,
        .rng = &wz_rng_system,
    };
    wz_rng_fill(&wz_rng_system, config.seed, sizeof config.seed);
    const int err = wzp_line_new(&row->line, run->loop, run->quic, &config);
    explicit_bzero(config.seed, sizeof config.seed);
    return err;
}

/* ---- STUN ---- */

static void stun_send(void *arg, struct wz_bytes packet, const struct wz_addr *to)
{
    struct client_nat_run *run = arg;
    for (size_t i = run->relay_count; i < run->count; i++) {
        if (wz_addr_equal(&run->row[i].answer.server, to)) {
            run->row[i].asked++;
            run->row[i].asked_us = wz_loop_now_us(run->loop);
        }
    }
    (void)wzp_quic_send_raw(run->quic, packet, to); /* lost packets are sent again */
}

void client_nat_packet(struct client_nat_run *run, struct wz_bytes packet, const struct wz_addr *from)
{
    if (!wice_stun_packet(run->stun, packet, from))
        return;
    for (size_t i = run->relay_count; i < run->count; i++) {
        struct wz_addr seen;
        if (!run->row[i].is_done && wice_stun_mapping(run->stun, i - run->relay_count, &seen))
            answered(&run->row[i], &seen);
    }
}

static void on_again(void *arg)
{
    struct client_nat_run *run = arg;
    wice_stun_tick(run->stun, wz_loop_now_us(run->loop));
    wz_timer_set(&run->again, wice_stun_deadline_us(run->stun));
}

static int add_stun(struct client_nat_run *run, const struct client_nat_config *config)
{
    struct wice_stun_config stun = { .server_count = config->stun_count, .send = stun_send, .arg = run };
    for (size_t i = 0; i < config->stun_count; i++) {
        stun.server[i] = config->stun[i];
        run->row[run->count++] =
            (struct row){ .run = run, .text = config->stun_text[i], .answer = { .server = config->stun[i] } };
    }
    return wice_stun_new(&run->stun, &stun);
}

/* ---- life ---- */

static void on_end(void *arg)
{
    struct client_nat_run *run = arg;
    wz_loop_stop(run->loop);
}

int client_nat_new(struct client_nat_run **ret, struct wz_loop *loop, struct wzp_quic *quic,
                   const struct client_nat_config *config)
{
    struct client_nat_run *run = calloc(1, sizeof *run);
    if (!run)
        return -ENOMEM;
    run->loop = loop;
    run->quic = quic;
    run->json = config->json;
    run->start_us = wz_loop_now_us(loop);
    wz_timer_init(&run->end, loop, on_end, run);
    wz_timer_init(&run->again, loop, on_again, run);
    int err = 0;
    for (size_t i = 0; !err && i < config->relay_count; i++)
        err = add_relay(run, config->relay_text[i], &config->relay[i]);
    run->relay_count = run->count;
    if (!err)
        err = add_stun(run, config);
    if (err < 0) {
        client_nat_free(run);
        return err;
    }
    *ret = run;
    return 0;
}

void client_nat_free(struct client_nat_run *run)
{
    if (!run)
        return;
    wz_timer_cancel(&run->end);
    wz_timer_cancel(&run->again);
    for (size_t i = 0; i < run->relay_count; i++)
        wzp_line_free(run->row[i].line);
    wice_stun_free(run->stun);
    free(run);
}

/* ---- printing ---- */

static const char *kind_of(const struct row *row)
{
    return row->line ? "relay" : "stun";
}

static void print_row(const struct client_nat_run *run, const struct row *row)
{
    char seen[WZ_ADDR_TEXT_MAX] = "", rtt[32] = "";
    const bool has_answer = row->answer.seen.family != WZ_ADDR_NONE;
    const char *drops = has_answer ? client_nat_drops(&row->answer.seen) : NULL;
    if (has_answer)
        (void)wz_addr_format(&row->answer.seen, seen);
    if (run->json) {
        json_t *line = client_json_new("nat_server", wz_loop_now_us(run->loop) - run->start_us);
        client_json_put(line, "server", client_json_text(row->text));
        client_json_put(line, "kind", client_json_text(kind_of(row)));
        client_json_put(line, "addr", client_json_text(has_answer ? seen : NULL));
        client_json_put(line, "dropped", client_json_text(drops));
        client_json_put(line, "rtt_ms", row->has_rtt ? client_json_real((double)row->rtt_us / 1000) : json_null());
        client_json_put(line, "error", client_json_text(row->why[0] ? row->why : NULL));
        client_json_print(line);
        return;
    }
    if (row->has_rtt)
        (void)snprintf(rtt, sizeof rtt, ", %.1f ms", (double)row->rtt_us / 1000);
    printf("%-5s %s: %s%s%s%s\n", kind_of(row), row->text, has_answer ? seen : row->why, rtt,
           drops ? ", does not count: " : "", drops ? drops : "");
}

static void print_result(const struct client_nat_run *run, const struct client_nat_result *result)
{
    char mapped[WZ_ADDR_TEXT_MAX];
    const char *addr = result->counted ? wz_addr_format(&result->mapped, mapped) : NULL;
    if (!run->json) {
        printf("NAT: %s%s%s: %s\n", client_nat_verdict_name(result->verdict), addr ? ", " : "", addr ? addr : "",
               client_nat_meaning(result));
        (void)fflush(stdout);
        return;
    }
    json_t *line = client_json_new("nat", wz_loop_now_us(run->loop) - run->start_us);
    client_json_put(line, "verdict", client_json_text(client_nat_verdict_name(result->verdict)));
    client_json_put(line, "addr", client_json_text(addr));
    client_json_put(line, "translated", json_boolean(result->translated));
    client_json_put(line, "answers", client_json_count(result->counted));
    client_json_put(line, "meaning", client_json_text(client_nat_meaning(result)));
    client_json_print(line);
}

static struct client_nat_result classify(const struct client_nat_run *run)
{
    struct client_nat_answer answer[CLIENT_NAT_SERVERS_MAX];
    struct wz_addr own[OWN_MAX];
    const size_t own_count = wice_enumerate(wzp_quic_local(run->quic).port, false, own, OWN_MAX);
    for (size_t i = 0; i < run->count; i++)
        answer[i] = run->row[i].answer;
    return client_nat_classify(answer, run->count, own, own_count);
}

enum client_exit client_nat_ask(struct client_nat_run *run)
{
    const uint64_t now_us = wz_loop_now_us(run->loop);
    wice_stun_start(run->stun, now_us);
    wz_timer_set(&run->again, now_us);
    wz_timer_set(&run->end, now_us + CLIENT_NAT_WAIT_US);
    const int err = wz_loop_run(run->loop);
    if (err < 0) {
        fprintf(stderr, "wzp-client: cannot run: %s\n", strerror(-err));
        return CLIENT_EXIT_FAILURE;
    }
    for (size_t i = 0; i < run->count; i++)
        if (!run->row[i].is_done)
            (void)snprintf(run->row[i].why, sizeof run->row[i].why, "no answer in 1.5 s");
    const struct client_nat_result result = classify(run);
    for (size_t i = 0; i < run->count; i++)
        print_row(run, &run->row[i]);
    print_result(run, &result);
    return result.verdict == CLIENT_NAT_UNKNOWN ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK;
}
