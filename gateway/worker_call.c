#include "gateway/worker_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "worker"
#include "gateway/thread.h"
#include "wzp/rt/log.h"
#include "wzp/rt/rng.h"

/** Running counters are told to the control thread this often. */
#define STATS_EVERY_WATCHES 5

int gw_worker_calls_init(struct gw_worker *worker)
{
    wz_list_init(&worker->calls);
    return wz_hash_init(&worker->by_ref, &wz_rng_system);
}

static void emit(struct gw_worker_call *wcall, struct gw_event *event)
{
    event->ref = wcall->ref;
    wcall->worker->config.emit(wcall->worker->config.arg, event);
}

static void emit_kind(struct gw_worker_call *wcall, enum gw_event_kind kind)
{
    emit(wcall, &(struct gw_event){ .kind = kind });
}

static void emit_text(struct gw_worker_call *wcall, enum gw_event_kind kind, const char *text)
{
    struct gw_event event = { .kind = kind };
    (void)snprintf(event.text, sizeof event.text, "%s", text);
    emit(wcall, &event);
}

/* Copy peer text, cut at a character's border so that the rest is still UTF-8. */
static void copy_cut(char *to, size_t size, const char *from)
{
    size_t len = from ? strlen(from) : 0;
    if (len >= size) {
        len = size - 1;
        while (len && ((unsigned char)from[len] & 0xc0) == 0x80)
            len--;
    }
    if (len)
        memcpy(to, from, len);
    to[len] = '\0';
}

static struct gw_worker_call *find(struct gw_worker *worker, uint64_t ref)
{
    struct wz_hash_node *node = wz_hash_find(&worker->by_ref, wz_bytes(&ref, sizeof ref));
    return node ? wz_container_of(node, struct gw_worker_call, by_ref) : NULL;
}

static struct gw_worker_call *make(struct gw_worker *worker, uint64_t ref)
{
    struct gw_worker_call *wcall = calloc(1, sizeof *wcall);
    if (!wcall)
        return NULL;
    wcall->worker = worker;
    wcall->ref = ref;
    if (wz_hash_insert(&worker->by_ref, &wcall->by_ref, wz_bytes(&wcall->ref, sizeof wcall->ref)) < 0) {
        free(wcall);
        return NULL;
    }
    wz_list_append(&worker->calls, &wcall->node);
    return wcall;
}

static void release(struct gw_worker_call *wcall)
{
    wz_hash_remove(&wcall->worker->by_ref, &wcall->by_ref);
    wz_list_remove(&wcall->node);
    free(wcall);
}

static void release_if_unused(struct gw_worker_call *wcall)
{
    if (!wcall->call && !wcall->session)
        release(wcall);
}

static void close_media(struct gw_worker_call *wcall)
{
    struct gw_event event = { .kind = GW_EV_MEDIA_CLOSED };
    if (!wcall->session)
        return;
    gw_session_stats(wcall->session, &event.media.stats);
    gw_session_free(wcall->session);
    wcall->session = NULL;
    emit(wcall, &event);
}

void gw_worker_calls_done(struct gw_worker *worker)
{
    struct wz_list *pos, *tmp;
    if (!worker->by_ref.bucket)
        return;
    wz_list_foreach (pos, tmp, &worker->calls) {
        struct gw_worker_call *wcall = wz_container_of(pos, struct gw_worker_call, node);
        close_media(wcall);
        release(wcall);
    }
    wz_hash_done(&worker->by_ref);
}

/* ---- from the line ---- */

static void incoming(struct gw_worker_line *line, const struct wzp_line_event *event)
{
    struct gw_worker_call *wcall = make(line->worker, gw_ref_next());
    struct gw_event out = { .kind = GW_EV_INCOMING, .line_id = line->id };
    if (!wcall) {
        wzp_line_hangup(event->call, WZP_HANGUP_ERROR);
        return;
    }
    wcall->call = event->call;
    wzp_line_call_set_arg(event->call, wcall);
    copy_cut(out.incoming.call_id, sizeof out.incoming.call_id, event->call_id);
    copy_cut(out.incoming.fingerprint, sizeof out.incoming.fingerprint, event->caller_fingerprint);
    copy_cut(out.incoming.alias, sizeof out.incoming.alias, event->caller_alias);
    copy_cut(out.incoming.reflexive_addr, sizeof out.incoming.reflexive_addr, event->caller_reflexive_addr);
    out.incoming.local_addr_count = event->caller_local_addrs ? (unsigned)event->caller_local_addrs->count : 0;
    emit(wcall, &out);
}

static void ended(struct gw_worker_call *wcall, const struct wzp_line_event *event)
{
    struct gw_event out = {
        .kind = GW_EV_ENDED,
        .ended = { .end = event->end,
                   .reason = event->hangup_reason,
                   .by_peer = event->by_peer,
                   .ringing_seen = event->ringing_seen,
                   .answered_seen = event->answered_seen },
    };
    copy_cut(out.ended.text, sizeof out.ended.text, event->reason);
    wcall->call = NULL;
    wcall->media_up = false;
    if (wcall->session)
        gw_session_set_wzp_ready(wcall->session, false);
    emit(wcall, &out);
    release_if_unused(wcall);
}

static void setup(struct gw_worker_call *wcall, const struct wzp_line_event *event)
{
    struct gw_event out = { .kind = GW_EV_SETUP };
    copy_cut(out.setup.peer_direct_addr, sizeof out.setup.peer_direct_addr, event->peer_direct_addr);
    copy_cut(out.setup.relay_addr, sizeof out.setup.relay_addr, event->relay_addr);
    out.setup.peer_local_count = event->peer_local_addrs ? (unsigned)event->peer_local_addrs->count : 0;
    emit(wcall, &out);
}

/* A changed path: the peer's stream may begin anew, and after MEDIA_DOWN media may be sent again. */
static void path_chosen(struct gw_worker_call *wcall, const struct wzp_line_event *event)
{
    struct gw_event out = { .kind = GW_EV_PATH, .path = { .kind = event->path } };
    copy_cut(out.path.remote, sizeof out.path.remote, event->path_remote);
    if (wcall->was_up && wcall->session) {
        gw_session_restart_wzp(wcall->session);
        gw_session_set_wzp_ready(wcall->session, true);
    }
    wcall->media_up = wcall->was_up;
    emit(wcall, &out);
}

static void wire(struct gw_worker_call *wcall, const struct wzp_line_event *event)
{
    struct gw_event out = { .kind = GW_EV_WIRE, .wire.outgoing = event->outgoing };
    copy_cut(out.wire.text, sizeof out.wire.text, event->signal_name);
    emit(wcall, &out);
}

void gw_worker_call_event(struct gw_worker_line *line, const struct wzp_line_event *event)
{
    struct gw_worker_call *wcall = wzp_line_call_arg(event->call);
    if (event->kind == WZP_LINE_INCOMING) {
        incoming(line, event);
        return;
    }
    if (!wcall)
        return; /* an incoming call we could not take; its ENDED says nothing new */
    switch (event->kind) {
    case WZP_LINE_RINGING:
        emit_kind(wcall, GW_EV_RINGING);
        break;
    case WZP_LINE_ANSWERED:
        emit_kind(wcall, GW_EV_ANSWERED);
        break;
    case WZP_LINE_SETUP:
        setup(wcall, event);
        break;
    case WZP_LINE_PATH:
        path_chosen(wcall, event);
        break;
    case WZP_LINE_MEDIA_UP:
        wcall->media_up = wcall->was_up = true;
        if (wcall->session)
            gw_session_set_wzp_ready(wcall->session, true);
        emit_kind(wcall, GW_EV_MEDIA_UP);
        break;
    case WZP_LINE_MEDIA_DOWN:
        wcall->media_up = false;
        if (wcall->session)
            gw_session_set_wzp_ready(wcall->session, false);
        break;
    case WZP_LINE_QUALITY:
        if (wcall->session)
            gw_session_quality_directive(wcall->session, event->profile);
        break;
    case WZP_LINE_ENDED:
        ended(wcall, event);
        break;
    case WZP_LINE_SIGNAL:
        wire(wcall, event);
        break;
    default:
        break;
    }
}

/* ---- from the control thread ---- */

/* The line would not even try: an end as if the relay had refused, in words that fit. */
static void not_placed(struct gw_worker *worker, uint64_t ref, int err)
{
    struct gw_event event = { .kind = GW_EV_ENDED, .ref = ref };
    const char *why = strerror(-err);
    switch (err) {
    case -ENOTCONN:
        event.ended.end = WZP_LINE_END_RELAY_DOWN;
        why = "not registered at the relay";
        break;
    case -EINVAL: /* the route only yields fingerprints, so it can only be the caller's own */
        event.ended.end = WZP_LINE_END_HANGUP;
        event.ended.reason = WZP_HANGUP_BUSY;
        why = "a call to oneself";
        break;
    default:
        event.ended.end = WZP_LINE_END_REFUSED;
        LOG_ERROR("call.not_placed", "ref=%llu error=\"%s\"", (unsigned long long)ref, why);
        break;
    }
    (void)snprintf(event.ended.text, sizeof event.ended.text, "%s", why);
    worker->config.emit(worker->config.arg, &event);
}

static void place_call(struct gw_worker *worker, struct gw_worker_line *line, const struct gw_command *command)
{
    struct gw_worker_call *wcall = make(worker, command->ref);
    int err = -ENOMEM;
    if (wcall) {
        err = line ? wzp_line_call(line->line,
                                   &(struct wzp_line_dial){
                                       .target_fingerprint = command->call.target,
                                       .caller_alias = command->call.alias[0] ? command->call.alias : NULL,
                                       .hide_addresses = command->call.hide_addresses,
                                   },
                                   wcall, &wcall->call)
                   : -ENOTCONN;
    }
    if (!err) {
        emit_text(wcall, GW_EV_CALL_ID, wzp_line_call_id(wcall->call));
        return;
    }
    if (wcall)
        release(wcall);
    not_placed(worker, command->ref, err);
}

static void send_wzp(void *arg, struct wz_bytes datagram)
{
    struct gw_worker_call *wcall = arg;
    if (wcall->call)
        (void)wzp_line_send(wcall->call, datagram); /* refused ones are counted by the line */
}

/* The phone's port opens. It may come before or after the WZP path, and even after the WZP leg has gone: then the
 * session only waits to be closed. */
static void open_media(struct gw_worker *worker, const struct gw_command *command)
{
    struct gw_worker_call *wcall = find(worker, command->ref);
    if (!wcall)
        wcall = make(worker, command->ref);
    if (!wcall || wcall->session) {
        (void)close(command->media.ports.fd_rtp);
        (void)close(command->media.ports.fd_rtcp);
        return;
    }
    struct gw_session_config config = {
        .fd_rtp = command->media.ports.fd_rtp,
        .fd_rtcp = command->media.ports.fd_rtcp,
        .bridge = { .rtp = command->media.rtp,
                    .wzp = worker->config.wzp,
                    .jitter_initial_ms = worker->config.jitter_initial_ms,
                    .jitter_max_ms = worker->config.jitter_max_ms,
                    .rng = &wz_rng_system },
        .send_wzp = send_wzp,
        .arg = wcall,
    };
    struct wz_loop *loop = gw_thread_loop(worker->thread);
    int err = gw_session_new(&wcall->session, loop, &config);
    if (err) {
        LOG_ERROR("media.not_opened", "ref=%llu error=\"%s\"", (unsigned long long)wcall->ref, strerror(-err));
        emit_text(wcall, GW_EV_MEDIA_SILENT, "sip");
        emit(wcall, &(struct gw_event){ .kind = GW_EV_MEDIA_CLOSED });
        release_if_unused(wcall);
        return;
    }
    wcall->session_since_us = wz_loop_now_us(loop);
    wcall->on_hold = !command->media.rtp.recv;
    gw_session_set_wzp_ready(wcall->session, wcall->media_up);
}

static void update_media(struct gw_worker_call *wcall, const struct gw_rtp_params *rtp)
{
    if (!wcall->session)
        return;
    if (gw_session_update_rtp(wcall->session, rtp) < 0)
        LOG_ERROR("media.not_updated", "ref=%llu", (unsigned long long)wcall->ref);
    if (wcall->on_hold && rtp->recv) /* after a hold the phone has its full time again */
        wcall->session_since_us = wz_loop_now_us(gw_thread_loop(wcall->worker->thread));
    wcall->on_hold = !rtp->recv;
}

void gw_worker_call_command(struct gw_worker *worker, struct gw_worker_line *line, const struct gw_command *command)
{
    struct gw_worker_call *wcall = find(worker, command->ref);
    if (command->kind == GW_CMD_CALL) {
        place_call(worker, line, command);
        return;
    }
    if (command->kind == GW_CMD_MEDIA_OPEN) {
        open_media(worker, command);
        return;
    }
    if (!wcall)
        return; /* the call ended while the command was under way */
    switch (command->kind) {
    case GW_CMD_ANSWER:
        if (wcall->call && wzp_line_answer(wcall->call, command->mode) < 0)
            wzp_line_hangup(wcall->call, WZP_HANGUP_ERROR);
        break;
    case GW_CMD_HANGUP:
        if (wcall->call)
            wzp_line_hangup(wcall->call, command->reason);
        break;
    case GW_CMD_MEDIA_UPDATE:
        update_media(wcall, &command->media.rtp);
        break;
    case GW_CMD_MEDIA_CLOSE:
        close_media(wcall);
        release_if_unused(wcall);
        break;
    case GW_CMD_DTMF:
        if (wcall->session)
            (void)gw_session_play_digit(wcall->session, command->dtmf.digit, command->dtmf.duration_ms);
        break;
    default:
        break;
    }
}

/* ---- once a second ---- */

/* Loss of the last second on the QUIC path, as 1/1000 %. */
static void tell_path(struct gw_worker_call *wcall, const struct gw_bridge_stats *stats)
{
    struct wzp_line_media_stats path;
    wzp_line_call_stats(wcall->call, &path);
    uint64_t sent = path.packets_tx - wcall->path_before.packets_tx;
    uint64_t lost = path.packets_lost - wcall->path_before.packets_lost;
    uint32_t loss_milli_pct = sent ? (uint32_t)((lost < sent ? lost : sent) * 100000 / sent) : 0;
    wcall->path_before = path;
    gw_session_set_path_stats(wcall->session, loss_milli_pct, path.rtt_us / 1000, stats->wzp_jitter_us / 1000);
}

/* A side is silent when nothing at all came: comfort noise, RTCP and held calls' keep-alives all count as life. A
 * phone on hold may send nothing, so only the side that should send is judged. */
static const char *silent_side(const struct gw_worker_call *wcall, const struct gw_bridge_stats *stats, uint64_t now_us)
{
    uint64_t limit_us = (uint64_t)wcall->worker->config.media_timeout_ms * 1000;
    uint64_t rtp_us = stats->rtp_last_rx_us > wcall->session_since_us ? stats->rtp_last_rx_us : wcall->session_since_us;
    if (limit_us && !wcall->on_hold && now_us - rtp_us > limit_us)
        return "sip";
    return NULL;
}

static void watch(struct gw_worker_call *wcall, uint64_t now_us)
{
    struct gw_event event = { .kind = GW_EV_MEDIA_STATS };
    gw_session_stats(wcall->session, &event.media.stats);
    if (wcall->call && wcall->media_up)
        tell_path(wcall, &event.media.stats);
    const char *side = silent_side(wcall, &event.media.stats, now_us);
    if (side && !wcall->silence_told) {
        wcall->silence_told = true;
        emit_text(wcall, GW_EV_MEDIA_SILENT, side);
    }
    if (++wcall->watches % STATS_EVERY_WATCHES == 0)
        emit(wcall, &event);
}

void gw_worker_calls_watch(struct gw_worker *worker, uint64_t now_us)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &worker->calls) {
        struct gw_worker_call *wcall = wz_container_of(pos, struct gw_worker_call, node);
        if (wcall->session)
            watch(wcall, now_us);
    }
}
