#include "wzp/bin/client_phone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/bin/client_audio.h"
#include "wzp/bin/client_measure_run.h"
#include "wzp/bin/client_output.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define SECOND_US 1000000u
/** call, reflect and ping give up when the relay has not answered by then. */
#define REGISTER_WAIT_US (10 * SECOND_US)
/** A call waits so long for STUN, then goes without. */
#define ADDRESS_WAIT_US SECOND_US
/** Between the last message and the end of the process: lost packets are sent again. */
#define LINGER_US 100000u
/** A process that was stopped longer than this does not send what it missed. */
#define CATCH_UP_US (5 * SECOND_US)

struct client_phone {
    const struct client_options *options;
    const struct client_pcm *play;
    struct wz_loop *loop;
    struct wzp_line *line;
    struct client_output out;
    bool addresses_known, dialled, leaving, leaving_now;
    enum client_exit exit;

    struct wzp_line_call *call;
    bool was_up, ticking;
    struct client_audio *audio;
    struct client_measure *measure;          /**< NULL: nothing is measured */
    struct wzp_line_media_stats path_before; /**< a second ago */
    uint64_t tick_at_us, second_at_us;
    struct wz_timer wait, dial, ring, tick, every_second, duration, linger;
};

static uint64_t seconds_us(double seconds)
{
    return (uint64_t)(seconds * SECOND_US);
}

static void finish(struct client_phone *phone, enum client_exit code)
{
    if (phone->leaving)
        return;
    phone->leaving = true;
    phone->exit = code;
    wz_timer_cancel(&phone->wait);
    wz_timer_cancel(&phone->dial);
    wz_timer_cancel(&phone->duration);
    wz_timer_set(&phone->linger, wz_loop_now_us(phone->loop) + LINGER_US);
}

/* ---- media ---- */

static void print_media(struct client_phone *phone, bool is_final)
{
    struct client_audio_stats stats;
    client_audio_stats(phone->audio, &stats);
    client_output_media(&phone->out, wzp_line_call_id(phone->call), &stats, is_final, wz_loop_now_us(phone->loop));
}

static void start_ticking(struct client_phone *phone, uint64_t now_us)
{
    phone->ticking = true;
    phone->tick_at_us = now_us;
    wz_timer_set(&phone->tick, now_us);
    phone->second_at_us = now_us + SECOND_US;
    wz_timer_set(&phone->every_second, phone->second_at_us);
}

static void stop_ticking(struct client_phone *phone)
{
    phone->ticking = false;
    wz_timer_cancel(&phone->tick);
    wz_timer_cancel(&phone->every_second);
}

/** True when there was something to measure, or nothing was wanted. */
static bool end_measuring(struct client_phone *phone)
{
    if (!phone->measure)
        return true;
    const uint64_t t_us = wz_loop_now_us(phone->loop) - phone->out.start_us;
    const bool measured = client_measure_print(phone->measure, phone->out.json, t_us);
    client_measure_free(phone->measure);
    phone->measure = NULL;
    return measured;
}

/** True when the recording and the measurement are complete, or none was wanted. */
static bool end_media(struct client_phone *phone)
{
    stop_ticking(phone);
    wz_timer_cancel(&phone->duration);
    if (!phone->audio)
        return true;
    print_media(phone, true);
    const int err = client_audio_free(phone->audio);
    phone->audio = NULL;
    if (err < 0)
        fprintf(stderr, "wzp-client: %s: %s\n", phone->options->record, strerror(-err));
    const bool measured = end_measuring(phone);
    return err == 0 && measured;
}

static int make_audio(struct client_phone *phone)
{
    const struct client_options *options = phone->options;
    int err = client_measure_new(&phone->measure, options);
    if (err < 0)
        return err;
    const struct client_pcm *signal = client_measure_signal(phone->measure);
    const struct client_audio_config config = {
        .codec = options->codec,
        .adapts = options->adaptive != CLIENT_ADAPTIVE_OFF,
        .by_reference = options->adaptive == CLIENT_ADAPTIVE_REFERENCE,
        .in_room = options->command == CLIENT_JOIN,
        .quiet = options->quiet,
        .suppress_silence = options->suppress_silence,
        .play = signal ? signal : phone->play,
        .tone_hz = options->tone_hz,
        .echo = options->echo,
        .record = options->record,
        .heard = signal ? client_measure_heard : NULL,
        .heard_arg = phone->measure,
    };
    err = client_audio_new(&phone->audio, &config);
    if (err < 0) {
        client_measure_free(phone->measure);
        phone->measure = NULL;
    }
    return err;
}

static void begin_media(struct client_phone *phone)
{
    const struct client_options *options = phone->options;
    const uint64_t now_us = wz_loop_now_us(phone->loop);
    phone->was_up = true;
    phone->path_before = (struct wzp_line_media_stats){ 0 };
    const int err = make_audio(phone);
    if (err < 0) {
        fprintf(stderr, "wzp-client: cannot begin the media%s%s: %s\n", options->record ? ", recording " : "",
                options->record ? options->record : "", strerror(-err));
        finish(phone, CLIENT_EXIT_FAILURE);
        wzp_line_hangup(phone->call, WZP_HANGUP_ERROR);
        return;
    }
    start_ticking(phone, now_us);
    const double measured_s = client_measure_seconds(phone->measure);
    const double duration_s = options->duration_s > 0 ? options->duration_s : measured_s;
    if (duration_s > 0)
        wz_timer_set(&phone->duration, now_us + seconds_us(duration_s));
}

static void on_tick(void *arg)
{
    struct client_phone *phone = arg;
    const uint64_t now_us = wz_loop_now_us(phone->loop);
    if (now_us - phone->tick_at_us > CATCH_UP_US)
        phone->tick_at_us = now_us;
    for (; phone->tick_at_us <= now_us; phone->tick_at_us += CLIENT_TICK_US) {
        uint8_t buf[WZP_MEDIA_DATAGRAM_MAX];
        for (size_t len = client_audio_tick(phone->audio, phone->tick_at_us, buf); len;
             len = client_audio_next(phone->audio, buf)) {
            (void)wzp_line_send(phone->call, wz_bytes(buf, len)); /* as lossy as the network */
            client_measure_sent(phone->measure, wz_bytes(buf, len), now_us);
        }
    }
    wz_timer_set(&phone->tick, phone->tick_at_us);
}

/** What the connection lost in the last second, for our quality reports. */
static void tell_path(struct client_phone *phone)
{
    struct client_audio_stats audio;
    struct wzp_line_media_stats path;
    client_audio_stats(phone->audio, &audio);
    wzp_line_call_stats(phone->call, &path);
    const uint64_t sent = path.packets_tx - phone->path_before.packets_tx;
    const uint64_t lost = path.packets_lost - phone->path_before.packets_lost;
    phone->path_before = path;
    client_audio_set_path_stats(phone->audio, sent ? (uint32_t)((lost < sent ? lost : sent) * 100000 / sent) : 0,
                                path.rtt_us / 1000, (uint32_t)audio.jitter_ms);
}

static void on_every_second(void *arg)
{
    struct client_phone *phone = arg;
    print_media(phone, false);
    tell_path(phone);
    phone->second_at_us += SECOND_US;
    wz_timer_set(&phone->every_second, phone->second_at_us);
    if (ferror(stdout))
        client_phone_leave(phone); /* nobody listens any more */
}

static void on_datagram(void *arg, struct wzp_line_call *call, struct wz_bytes data)
{
    struct client_phone *phone = arg;
    uint8_t buf[WZP_MEDIA_DATAGRAM_MAX];
    if (!phone->audio || call != phone->call)
        return;
    client_measure_received(phone->measure, data, wz_loop_now_us(phone->loop));
    const size_t len = client_audio_receive(phone->audio, data, wz_loop_now_us(phone->loop), buf);
    if (len)
        (void)wzp_line_send(call, wz_bytes(buf, len)); /* as lossy as the network */
}

/* ---- calls ---- */

static void place_call(struct client_phone *phone)
{
    if (phone->dialled || phone->leaving || !wzp_line_is_registered(phone->line))
        return;
    if (!phone->addresses_known) {
        wz_timer_set(&phone->dial, wz_loop_now_us(phone->loop) + ADDRESS_WAIT_US);
        return;
    }
    phone->dialled = true;
    wz_timer_cancel(&phone->dial);
    wz_timer_cancel(&phone->wait);
    const struct wzp_line_dial dial = {
        .target_fingerprint = phone->options->target,
        .dialled_number = phone->options->number,
        .hide_addresses = phone->options->hide_addresses,
    };
    const int err = wzp_line_call(phone->line, &dial, NULL, &phone->call);
    if (err < 0) {
        fprintf(stderr, "wzp-client: cannot call %s: %s\n", phone->options->target,
                err == -EINVAL ? "that is ourselves" : strerror(-err));
        finish(phone, CLIENT_EXIT_FAILURE);
    }
}

static void on_dial_timer(void *arg)
{
    struct client_phone *phone = arg;
    phone->addresses_known = true; /* as far as they will be */
    place_call(phone);
}

static void on_ring_timer(void *arg)
{
    struct client_phone *phone = arg;
    if (phone->call)
        (void)wzp_line_answer(phone->call, phone->options->accept); /* it is ringing: the timer dies with the call */
}

static void take_call(struct client_phone *phone, struct wzp_line_call *call)
{
    if (phone->options->command != CLIENT_ANSWER || phone->call || phone->leaving) {
        wzp_line_hangup(call, WZP_HANGUP_BUSY);
        return;
    }
    phone->call = call;
    phone->was_up = false;
    wz_timer_set(&phone->ring, wz_loop_now_us(phone->loop) + seconds_us(phone->options->ring_delay_s));
}

/** What the end of a call that never had media means. */
static enum client_exit exit_unanswered(const struct client_phone *phone, const struct wzp_line_event *ended)
{
    switch (ended->end) {
    case WZP_LINE_END_LOCAL:
        return phone->options->accept == WZP_ACCEPT_REJECT ? CLIENT_EXIT_OK : CLIENT_EXIT_NO_ANSWER;
    case WZP_LINE_END_HANGUP:
        if (ended->hangup_reason == WZP_HANGUP_BUSY)
            return CLIENT_EXIT_BUSY;
        /* Rust relays say Normal for a rejection, and for a callee that is not there: then it never rang. */
        if (ended->hangup_reason == WZP_HANGUP_DECLINED ||
            (ended->hangup_reason == WZP_HANGUP_NORMAL && ended->ringing_seen))
            return CLIENT_EXIT_REJECTED;
        return CLIENT_EXIT_NO_ANSWER;
    case WZP_LINE_END_NO_ANSWER:
        return CLIENT_EXIT_NO_ANSWER;
    case WZP_LINE_END_REFUSED:
        return CLIENT_EXIT_FAILURE;
    case WZP_LINE_END_RELAY_DOWN:
    case WZP_LINE_END_NO_MEDIA:
    case WZP_LINE_END_MEDIA_LOST:
        break;
    }
    return CLIENT_EXIT_BROKEN;
}

static void call_ended(struct client_phone *phone, const struct wzp_line_event *ended, bool recorded)
{
    const bool held = phone->was_up && (ended->end == WZP_LINE_END_LOCAL || ended->end == WZP_LINE_END_HANGUP);
    const bool broke = phone->was_up && ended->end != WZP_LINE_END_REFUSED && !held;
    enum client_exit code = held ? CLIENT_EXIT_OK : broke ? CLIENT_EXIT_BROKEN : exit_unanswered(phone, ended);
    if (!recorded)
        code = CLIENT_EXIT_FAILURE;
    wz_timer_cancel(&phone->ring);
    phone->call = NULL;
    if (phone->options->command == CLIENT_ANSWER && phone->options->keep && recorded)
        return;
    finish(phone, code);
}

/* ---- the line ---- */

static void on_registered(struct client_phone *phone)
{
    switch (phone->options->command) {
    case CLIENT_CALL:
        place_call(phone);
        break;
    case CLIENT_REFLECT:
        (void)wzp_line_reflect(phone->line); /* registered, and asked once: cannot fail */
        break;
    case CLIENT_PING:
        (void)wzp_line_ping(phone->line);
        break;
    case CLIENT_REGISTER:
    case CLIENT_ANSWER:
    case CLIENT_JOIN:
    case CLIENT_VERSION:
    case CLIENT_IDENTITY:
    case CLIENT_NAT:
    case CLIENT_ANALYZE:
        break;
    }
}

static void on_pong(struct client_phone *phone, const struct wzp_line_event *event)
{
    if (event->rtt_us)
        phone->exit = CLIENT_EXIT_OK;
    if (phone->options->duration_s > 0)
        wz_timer_set(&phone->every_second, wz_loop_now_us(phone->loop) + SECOND_US);
    else
        finish(phone, event->rtt_us ? CLIENT_EXIT_OK : CLIENT_EXIT_FAILURE);
}

static void ping_again(void *arg)
{
    struct client_phone *phone = arg;
    (void)wzp_line_ping(phone->line); /* not registered now: on_registered pings again */
}

static void handle(struct client_phone *phone, const struct wzp_line_event *event)
{
    switch (event->kind) {
    case WZP_LINE_REGISTERED:
        on_registered(phone);
        break;
    case WZP_LINE_INCOMING:
        take_call(phone, event->call);
        break;
    case WZP_LINE_MEDIA_UP:
        begin_media(phone);
        break;
    case WZP_LINE_MEDIA_DOWN:
        stop_ticking(phone);
        break;
    case WZP_LINE_QUALITY:
        if (phone->audio)
            client_audio_directive(phone->audio, event->profile);
        break;
    case WZP_LINE_PATH:
        if (phone->audio)
            client_audio_path_changed(phone->audio);
        if (phone->audio &&
            !phone->ticking) /* a new path after MEDIA_DOWN; the jitter buffer finds a new stream itself */
            start_ticking(phone, wz_loop_now_us(phone->loop));
        break;
    case WZP_LINE_REFLECTED:
        finish(phone, event->observed_addr ? CLIENT_EXIT_OK : CLIENT_EXIT_FAILURE);
        break;
    case WZP_LINE_PONG:
        on_pong(phone, event);
        break;
    default:
        break; /* printed, and that is all */
    }
}

static void on_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct client_phone *phone = arg;
    (void)line;
    const bool ours = event->call && event->call == phone->call;
    const bool ended = event->kind == WZP_LINE_ENDED;
    const bool recorded = ended && ours ? end_media(phone) : true;
    client_output_event(&phone->out, event, wz_loop_now_us(phone->loop));
    if (ended && ours)
        call_ended(phone, event, recorded);
    else if (!ended)
        handle(phone, event);
}

/* ---- life ---- */

static void on_wait_timer(void *arg)
{
    struct client_phone *phone = arg;
    fputs("wzp-client: the relay does not answer\n", stderr);
    finish(phone, CLIENT_EXIT_FAILURE);
}

static void on_duration(void *arg)
{
    struct client_phone *phone = arg;
    if (phone->call)
        wzp_line_hangup(phone->call, WZP_HANGUP_NORMAL);
    else if (phone->options->command == CLIENT_REGISTER)
        finish(phone, wzp_line_is_registered(phone->line) ? CLIENT_EXIT_OK : CLIENT_EXIT_FAILURE);
    else
        finish(phone, phone->exit);
}

static void on_linger(void *arg)
{
    struct client_phone *phone = arg;
    wz_loop_stop(phone->loop);
}

static void start_timers(struct client_phone *phone)
{
    const enum client_command command = phone->options->command;
    const uint64_t now_us = wz_loop_now_us(phone->loop);
    const bool pings = command == CLIENT_PING;
    wz_timer_init(&phone->wait, phone->loop, on_wait_timer, phone);
    wz_timer_init(&phone->dial, phone->loop, on_dial_timer, phone);
    wz_timer_init(&phone->ring, phone->loop, on_ring_timer, phone);
    wz_timer_init(&phone->tick, phone->loop, on_tick, phone);
    wz_timer_init(&phone->every_second, phone->loop, pings ? ping_again : on_every_second, phone);
    wz_timer_init(&phone->duration, phone->loop, on_duration, phone);
    wz_timer_init(&phone->linger, phone->loop, on_linger, phone);
    if (command == CLIENT_CALL || command == CLIENT_REFLECT || (pings && phone->options->duration_s <= 0))
        wz_timer_set(&phone->wait, now_us + REGISTER_WAIT_US);
    if ((pings || command == CLIENT_REGISTER) && phone->options->duration_s > 0)
        wz_timer_set(&phone->duration, now_us + seconds_us(phone->options->duration_s));
}

int client_phone_new(struct client_phone **ret, struct wz_loop *loop, struct wzp_quic *quic,
                     const struct client_phone_config *config)
{
    struct client_phone *phone = calloc(1, sizeof *phone);
    if (!phone)
        return -ENOMEM;
    const struct client_options *options = config->options;
    phone->options = options;
    phone->play = config->play;
    phone->loop = loop;
    phone->exit = options->command == CLIENT_PING ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK;
    start_timers(phone);
    struct wzp_line_config line = {
        .alias = options->alias,
        .build = "wzp-client/" WZP_VERSION,
        .relay = config->relay,
        .rooms_only = options->command == CLIENT_JOIN,
        .share_local_addrs = true,
        .group = config->group,
        .no_direct = options->no_direct,
        .strict = options->strict,
        .pins = config->pins,
        .handlers = { .event = on_event, .datagram = on_datagram },
        .arg = phone,
        .rng = &wz_rng_system,
    };
    const struct wzp_line_room room = { .name = options->target, .peer_direct_addr = options->peer_direct_addr };
    memcpy(line.seed, config->seed, sizeof line.seed);
    int err = wzp_line_new(&phone->line, loop, quic, &line);
    explicit_bzero(line.seed, sizeof line.seed);
    if (!err) {
        phone->out = (struct client_output){
            .json = options->json,
            .fingerprint = wzp_line_fingerprint(phone->line),
            .relay = options->relay,
            .start_us = wz_loop_now_us(loop),
        };
        if (options->command == CLIENT_JOIN)
            err = wzp_line_join(phone->line, &room, NULL, &phone->call);
    }
    if (err < 0) {
        client_phone_free(phone);
        return err;
    }
    *ret = phone;
    return 0;
}

void client_phone_free(struct client_phone *phone)
{
    if (!phone)
        return;
    wzp_line_free(phone->line); /* the ENDED of a call that is still up completes the recording */
    struct wz_timer *const timers[] = { &phone->wait,         &phone->dial,     &phone->ring,  &phone->tick,
                                        &phone->every_second, &phone->duration, &phone->linger };
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
        wz_timer_cancel(timers[i]);
    free(phone);
}

void client_phone_set_addresses(struct client_phone *phone, const struct wzp_line_addresses *addresses)
{
    wzp_line_set_addresses(phone->line, addresses);
    phone->addresses_known = true;
    if (phone->options->command == CLIENT_CALL)
        place_call(phone);
}

void client_phone_leave(struct client_phone *phone)
{
    if (phone->leaving_now)
        wz_loop_stop(phone->loop);
    phone->leaving_now = true;
    if (phone->call)
        wzp_line_hangup(phone->call, WZP_HANGUP_NORMAL); /* its ENDED event finishes, unless we wait for more calls */
    const bool waiting = phone->options->command == CLIENT_REGISTER || phone->options->command == CLIENT_ANSWER ||
                         phone->options->command == CLIENT_PING;
    finish(phone, waiting ? phone->exit : CLIENT_EXIT_FAILURE);
}

enum client_exit client_phone_exit(const struct client_phone *phone)
{
    return phone->exit;
}
