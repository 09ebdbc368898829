#include "wzp/bin/client_output.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "wzp/bin/client_json.h"

/** Room for a reason that names a file. */
#define CLEAN_SIZE 512

const char *client_end_name(const struct wzp_line_event *ended)
{
    static const char *const hangups[] = {
        [WZP_HANGUP_NORMAL] = "normal",   [WZP_HANGUP_BUSY] = "busy",   [WZP_HANGUP_DECLINED] = "declined",
        [WZP_HANGUP_TIMEOUT] = "timeout", [WZP_HANGUP_ERROR] = "error",
    };
    switch (ended->end) {
    case WZP_LINE_END_LOCAL:
        return "local";
    case WZP_LINE_END_HANGUP:
        return hangups[ended->hangup_reason];
    case WZP_LINE_END_RELAY_DOWN:
        return "relay_down";
    case WZP_LINE_END_NO_MEDIA:
        return "no_media";
    case WZP_LINE_END_MEDIA_LOST:
        return "media_lost";
    case WZP_LINE_END_NO_ANSWER:
        return "no_answer";
    case WZP_LINE_END_REFUSED:
        return "refused";
    }
    return "error";
}

static const char *path_name(enum wzp_line_path path)
{
    return path == WZP_LINE_PATH_DIRECT ? "direct" : "relay";
}

/* ---- JSON ---- */

static json_t *addr_list(const struct wzp_addr_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; list && i < list->count; i++)
        (void)json_array_append_new(array, client_json_text(list->text[i])); /* as client_json_put() */
    return array;
}

static json_t *new_line(const struct client_output *out, const char *name, uint64_t now_us)
{
    return client_json_new(name, now_us - out->start_us);
}

static void put_incoming(json_t *line, const struct wzp_line_event *event)
{
    client_json_put(line, "caller", client_json_text(event->caller_fingerprint));
    client_json_put(line, "alias", client_json_text(event->caller_alias));
    client_json_put(line, "number", client_json_text(event->dialled_number));
    client_json_put(line, "caller_reflexive_addr", client_json_text(event->caller_reflexive_addr));
    client_json_put(line, "caller_local_addrs", addr_list(event->caller_local_addrs));
    client_json_put(line, "own_kind", json_boolean(event->own_kind));
}

static void put_setup(json_t *line, const struct wzp_line_event *event)
{
    client_json_put(line, "room", client_json_text(event->room));
    client_json_put(line, "relay_addr", client_json_text(event->relay_addr));
    client_json_put(line, "peer_direct_addr", client_json_text(event->peer_direct_addr));
    client_json_put(line, "peer_local_addrs", addr_list(event->peer_local_addrs));
}

static void put_ended(json_t *line, const struct wzp_line_event *event)
{
    client_json_put(line, "reason", client_json_text(client_end_name(event)));
    client_json_put(line, "detail", client_json_text(event->reason));
    client_json_put(line, "by_peer", json_boolean(event->by_peer));
    client_json_put(line, "rang", json_boolean(event->ringing_seen));
    client_json_put(line, "answered", json_boolean(event->answered_seen));
}

static const char *event_name(enum wzp_line_event_kind kind)
{
    static const char *const names[] = {
        [WZP_LINE_REGISTERED] = "registered",
        [WZP_LINE_UNREGISTERED] = "unregistered",
        [WZP_LINE_INCOMING] = "incoming",
        [WZP_LINE_RINGING] = "ringing",
        [WZP_LINE_ANSWERED] = "answered",
        [WZP_LINE_SETUP] = "setup",
        [WZP_LINE_PATH] = "path",
        [WZP_LINE_MEDIA_UP] = "media_up",
        [WZP_LINE_MEDIA_DOWN] = "media_down",
        [WZP_LINE_QUALITY] = "quality",
        [WZP_LINE_RELAY_KEY] = NULL,
        [WZP_LINE_ROOM_UPDATE] = "room",
        [WZP_LINE_ENDED] = "ended",
        [WZP_LINE_REFLECTED] = "observed",
        [WZP_LINE_PONG] = "pong",
        [WZP_LINE_SIGNAL] = NULL,
    };
    return names[kind];
}

static void print_json(const struct client_output *out, const struct wzp_line_event *event, uint64_t now_us)
{
    json_t *line = new_line(out, event_name(event->kind), now_us);
    if (event->call)
        client_json_put(line, "call_id", client_json_text(event->call_id));
    switch (event->kind) {
    case WZP_LINE_REGISTERED:
        client_json_put(line, "fingerprint", client_json_text(out->fingerprint));
        client_json_put(line, "relay", client_json_text(out->relay));
        client_json_put(line, "relay_build", client_json_text(event->relay_build));
        break;
    case WZP_LINE_UNREGISTERED:
    case WZP_LINE_MEDIA_DOWN:
        client_json_put(line, "reason", client_json_text(event->reason));
        break;
    case WZP_LINE_INCOMING:
        put_incoming(line, event);
        break;
    case WZP_LINE_ANSWERED:
        client_json_put(line, "mode", client_json_text(wzp_accept_mode_name(event->accept_mode)));
        client_json_put(line, "callee_reflexive_addr", client_json_text(event->callee_reflexive_addr));
        client_json_put(line, "own_kind", json_boolean(event->own_kind));
        break;
    case WZP_LINE_SETUP:
        put_setup(line, event);
        break;
    case WZP_LINE_PATH:
    case WZP_LINE_MEDIA_UP:
        client_json_put(line, "path", client_json_text(path_name(event->path)));
        client_json_put(line, "remote", client_json_text(event->path_remote));
        break;
    case WZP_LINE_QUALITY:
        client_json_put(line, "codec", client_json_text(wzp_codec_name(event->profile->codec)));
        client_json_put(line, "reason", client_json_text(event->reason));
        break;
    case WZP_LINE_ROOM_UPDATE:
        client_json_put(line, "participants", json_integer(event->participants));
        break;
    case WZP_LINE_ENDED:
        put_ended(line, event);
        break;
    case WZP_LINE_REFLECTED:
        client_json_put(line, "addr", client_json_text(event->observed_addr));
        break;
    case WZP_LINE_PONG:
        client_json_put(line, "rtt_ms", event->rtt_us ? client_json_real(event->rtt_us / 1000.0) : json_null());
        break;
    case WZP_LINE_RINGING:
    case WZP_LINE_RELAY_KEY:
    case WZP_LINE_SIGNAL:
        break;
    }
    client_json_print(line);
}

/* ---- lines to read ---- */

/** Peer text on a terminal: without control characters. */
static const char *clean(const char *value, char buf[static CLEAN_SIZE])
{
    size_t len = 0;
    for (; value && *value && len < CLEAN_SIZE - 1; value++)
        buf[len++] = (char)((unsigned char)*value < 32 || *value == 127 ? '?' : *value);
    buf[len] = '\0';
    return buf;
}

static void print_readable(const struct client_output *out, const struct wzp_line_event *event)
{
    char a[CLEAN_SIZE], b[CLEAN_SIZE];
    switch (event->kind) {
    case WZP_LINE_REGISTERED:
        printf("registered as %s at %s (relay build %s)\n", out->fingerprint, out->relay,
               event->relay_build ? clean(event->relay_build, a) : "unknown");
        break;
    case WZP_LINE_UNREGISTERED:
        printf("not registered: %s; trying again\n", clean(event->reason, a));
        break;
    case WZP_LINE_INCOMING:
        printf("call from %s %s\n", event->caller_fingerprint, clean(event->caller_alias, a));
        break;
    case WZP_LINE_RINGING:
        puts("ringing");
        break;
    case WZP_LINE_ANSWERED:
        printf("answered (%s)\n", wzp_accept_mode_name(event->accept_mode));
        break;
    case WZP_LINE_SETUP:
        printf("set up: relay %s, peer %s\n", clean(event->relay_addr, a),
               event->peer_direct_addr ? clean(event->peer_direct_addr, b) : "keeps its address private");
        break;
    case WZP_LINE_PATH:
        printf("path %s %s\n", path_name(event->path), clean(event->path_remote, a));
        break;
    case WZP_LINE_MEDIA_UP:
        puts("media is up");
        break;
    case WZP_LINE_MEDIA_DOWN:
        printf("media lost: %s\n", clean(event->reason, a));
        break;
    case WZP_LINE_QUALITY:
        printf("the relay recommends %s: %s\n", wzp_codec_name(event->profile->codec), clean(event->reason, a));
        break;
    case WZP_LINE_ROOM_UPDATE:
        printf("%" PRIu32 " in the room\n", event->participants);
        break;
    case WZP_LINE_ENDED:
        printf("ended: %s (%s)\n", client_end_name(event), clean(event->reason, a));
        break;
    case WZP_LINE_REFLECTED:
        printf("observed address: %s\n", event->observed_addr ? clean(event->observed_addr, a) : "no answer");
        break;
    case WZP_LINE_PONG:
        if (event->rtt_us)
            printf("pong: %.3f ms\n", event->rtt_us / 1000.0);
        else
            puts("pong: no answer");
        break;
    case WZP_LINE_RELAY_KEY:
    case WZP_LINE_SIGNAL:
        break;
    }
    (void)fflush(stdout);
}

void client_output_event(const struct client_output *out, const struct wzp_line_event *event, uint64_t now_us)
{
    if (!event_name(event->kind))
        return;
    if (out->json)
        print_json(out, event, now_us);
    else
        print_readable(out, event);
}

void client_output_media(const struct client_output *out, const char *call_id, const struct client_audio_stats *stats,
                         bool is_final, uint64_t now_us)
{
    if (!out->json) {
        if (is_final)
            printf("media: %" PRIu64 " received, %" PRIu64 " sent, %.1f %% lost, jitter %.1f ms, %s\n", stats->rx,
                   stats->tx, stats->loss_pct, stats->jitter_ms, stats->codec);
        (void)fflush(stdout);
        return;
    }
    json_t *line = new_line(out, "media", now_us);
    client_json_put(line, "call_id", client_json_text(call_id));
    client_json_put(line, "rx", client_json_count(stats->rx));
    client_json_put(line, "tx", client_json_count(stats->tx));
    client_json_put(line, "lost", client_json_count(stats->lost));
    client_json_put(line, "loss_pct", client_json_real(stats->loss_pct));
    client_json_put(line, "jitter_ms", client_json_real(stats->jitter_ms));
    client_json_put(line, "codec", client_json_text(stats->codec));
    client_json_put(line, "codec_tx", client_json_text(stats->codec_tx));
    client_json_put(line, "concealed", client_json_count(stats->concealed));
    client_json_put(line, "repaired", client_json_count(stats->repaired));
    client_json_put(line, "unrepaired", client_json_count(stats->unrepaired));
    client_json_put(line, "reports_rx", client_json_count(stats->reports_rx));
    client_json_put(line, "reports_tx", client_json_count(stats->reports_tx));
    client_json_put(line, "undecodable", client_json_count(stats->undecodable));
    client_json_put(line, "final", json_boolean(is_final));
    client_json_print(line);
}

void client_output_version(const struct client_output *out, const char *build, uint64_t now_us)
{
    char a[CLEAN_SIZE];
    if (!out->json) {
        printf("relay build %s\n", clean(build, a));
        (void)fflush(stdout);
        return;
    }
    json_t *line = new_line(out, "version", now_us);
    client_json_put(line, "relay", client_json_text(out->relay));
    client_json_put(line, "build", client_json_text(build));
    client_json_print(line);
}

void client_output_identity(bool json, const char *fingerprint, const char *words)
{
    if (!json) {
        printf("%s\n", fingerprint);
        if (words)
            printf("%s\n", words);
        (void)fflush(stdout);
        return;
    }
    json_t *line = json_object();
    client_json_put(line, "event", client_json_text("identity"));
    client_json_put(line, "fingerprint", client_json_text(fingerprint));
    if (words)
        client_json_put(line, "mnemonic", client_json_text(words));
    client_json_print(line);
}
