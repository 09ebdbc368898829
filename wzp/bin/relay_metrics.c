/* See relay_metrics.h. Format: Prometheus text exposition format 0.0.4. */
#include "wzp/bin/relay_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLE(name, type, help, value)                                                                                \
    {                                                                                                                  \
        name, type, help, (unsigned long long)(value)                                                                  \
    }

struct sample {
    const char *name, *type, *help;
    unsigned long long value;
};

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_samples(FILE *out, const struct sample *sample, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        print_head(out, sample[i].name, sample[i].type, sample[i].help);
        (void)fprintf(out, "%s %llu\n", sample[i].name, sample[i].value);
    }
}

/* ---- the relay ---- */

static void print_relay(FILE *out, const struct wzp_relay_stats *s)
{
    const struct sample samples[] = {
        SAMPLE("wzp_relay_active_sessions", "gauge", "Media connections in rooms", s->sessions),
        SAMPLE("wzp_relay_active_rooms", "gauge", "Rooms with somebody in", s->rooms),
        SAMPLE("wzp_relay_packets_forwarded_total", "counter", "Media datagrams sent on, each copy counted",
               s->packets_forwarded),
        SAMPLE("wzp_relay_bytes_forwarded_total", "counter", "Their payload", s->bytes_forwarded),
        SAMPLE("wzp_relay_registered", "gauge", "Users registered", s->registered),
        SAMPLE("wzp_relay_calls", "gauge", "Calls not ended", s->calls),
        SAMPLE("wzp_relay_registrations_total", "counter", "Registrations taken", s->registrations_total),
        SAMPLE("wzp_relay_offers_total", "counter", "Calls offered", s->offers_total),
        SAMPLE("wzp_relay_answers_total", "counter", "Calls answered, rejections too", s->answers_total),
        SAMPLE("wzp_relay_calls_setup_total", "counter", "Calls whose parties were brought together",
               s->calls_setup_total),
        SAMPLE("wzp_relay_hangups_total", "counter", "Calls hung up by a party", s->hangups_total),
        SAMPLE("wzp_relay_reflects_total", "counter", "Clients told their public address", s->reflects_total),
        SAMPLE("wzp_relay_pings_total", "counter", "Pings answered", s->pings_total),
        SAMPLE("wzp_relay_media_packets_received_total", "counter", "Media datagrams received", s->datagrams_in),
        SAMPLE("wzp_relay_media_packets_bad_total", "counter", "Of these, not media", s->datagrams_bad),
        SAMPLE("wzp_relay_quality_directives_total", "counter", "Quality directives sent", s->quality_directives),
    };
    print_samples(out, samples, sizeof samples / sizeof samples[0]);
}

static void print_by_label(FILE *out, const char *name, const char *help, const char *label,
                           const struct sample *sample, size_t count)
{
    print_head(out, name, "counter", help);
    for (size_t i = 0; i < count; i++)
        (void)fprintf(out, "%s{%s=\"%s\"} %llu\n", name, label, sample[i].name, sample[i].value);
}

static void print_refusals(FILE *out, const struct wzp_relay_stats *s)
{
    const struct sample refused[] = {
        SAMPLE("limit", NULL, NULL, s->refused_limits),      SAMPLE("source", NULL, NULL, s->refused_source),
        SAMPLE("not_a_party", NULL, NULL, s->refused_acl),   SAMPLE("wrong_party", NULL, NULL, s->refused_wrong_party),
        SAMPLE("unsigned", NULL, NULL, s->refused_unsigned), SAMPLE("replayed", NULL, NULL, s->replayed_handshakes),
    };
    const struct sample ignored[] = {
        SAMPLE("bad", NULL, NULL, s->bad_signals),
        SAMPLE("unknown", NULL, NULL, s->unknown_signals),
        SAMPLE("unexpected", NULL, NULL, s->unexpected_signals),
    };
    const struct sample auth[] = {
        SAMPLE("ok", NULL, NULL, s->auth_ok),
        SAMPLE("fail", NULL, NULL, s->auth_failed),
    };
    print_by_label(out, "wzp_relay_refused_total", "Registrations, calls, joins and messages refused", "reason",
                   refused, sizeof refused / sizeof refused[0]);
    print_by_label(out, "wzp_relay_messages_ignored_total", "Messages without effect", "reason", ignored,
                   sizeof ignored / sizeof ignored[0]);
    print_by_label(out, "wzp_relay_auth_attempts_total", "Tokens shown by clients", "result", auth,
                   sizeof auth / sizeof auth[0]);
}

static void print_handshakes(FILE *out, const struct wzp_relay_stats *s)
{
    static const char name[] = "wzp_relay_handshake_duration_seconds";
    static const char *const upto[] = { "0.001", "0.005", "0.01", "0.025", "0.05", "0.1",
                                        "0.25",  "0.5",   "1",    "2.5",   "+Inf" };
    unsigned long long sum = 0;
    print_head(out, name, "histogram", "Media handshakes, from the connection to the answer");
    for (size_t i = 0; i < sizeof upto / sizeof upto[0]; i++) {
        sum += s->handshakes[i];
        (void)fprintf(out, "%s_bucket{le=\"%s\"} %llu\n", name, upto[i], sum);
    }
    (void)fprintf(out, "%s_sum %.6f\n%s_count %llu\n", name, (double)s->handshakes_sum_us / 1e6, name, sum);
}

/* ---- the endpoint, the auth server ---- */

static void print_quic(FILE *out, const struct wzp_quic_stats *q)
{
    const struct sample samples[] = {
        SAMPLE("wzp_relay_quic_accepted_total", "counter", "Connections accepted", q->accepted),
        SAMPLE("wzp_relay_quic_handshake_failed_total", "counter", "Of these, never finished", q->handshake_failed),
        SAMPLE("wzp_relay_quic_retried_total", "counter", "Address checks demanded under load", q->retried),
        SAMPLE("wzp_relay_quic_refused_full_total", "counter", "Connections refused for want of room", q->refused_full),
        SAMPLE("wzp_relay_quic_stateless_resets_total", "counter", "Packets of connections nobody knows answered",
               q->stateless_resets),
        SAMPLE("wzp_relay_quic_bad_packets_total", "counter", "Packets that are no QUIC", q->bad_packets),
        SAMPLE("wzp_relay_quic_datagrams_sent_total", "counter", "Datagrams sent", q->datagrams_tx),
        SAMPLE("wzp_relay_quic_datagrams_dropped_total", "counter", "Datagrams dropped: a peer takes them too slowly",
               q->datagrams_dropped),
        SAMPLE("wzp_relay_quic_streams_reset_total", "counter", "Streams given up: too long or broken",
               q->streams_reset),
    };
    print_samples(out, samples, sizeof samples / sizeof samples[0]);
}

static void print_auth(FILE *out, const struct relay_auth *auth)
{
    struct relay_auth_stats s;
    relay_auth_stats(auth, &s);
    const struct sample samples[] = {
        SAMPLE("wzp_relay_auth_server_asked_total", "counter", "Questions to the auth server", s.asked),
        SAMPLE("wzp_relay_auth_server_failed_total", "counter", "Of these, without a usable answer", s.failed),
        SAMPLE("wzp_relay_auth_server_waiting", "gauge", "Questions not answered yet", s.waiting),
    };
    print_samples(out, samples, sizeof samples / sizeof samples[0]);
}

/* ---- sessions ---- */

enum session_value { SESSION_LOSS, SESSION_RTT, SESSION_JITTER, SESSION_PACKETS };

struct session_page {
    FILE *out;
    const char *name;
    enum session_value value;
    size_t left;
};

static void print_session(void *arg, const struct wzp_relay_session_view *view)
{
    struct session_page *page = arg;
    double value = 0;
    if (page->left == 0 || (!view->has_report && page->value != SESSION_PACKETS))
        return;
    page->left--;
    switch (page->value) {
    case SESSION_LOSS:
        value = view->report.loss * 100.0 / 255.0;
        break;
    case SESSION_RTT:
        value = view->report.rtt_4ms * 4.0;
        break;
    case SESSION_JITTER:
        value = view->report.jitter_ms;
        break;
    case SESSION_PACKETS:
        value = (double)view->datagrams_in;
        break;
    }
    (void)fprintf(page->out, "%s{session_id=\"%llu\"} %.15g\n", page->name, (unsigned long long)view->conn, value);
}

static void print_sessions(FILE *out, struct wzp_relay_server *server)
{
    static const struct {
        const char *name, *type, *help;
        enum session_value value;
    } metric[] = {
        { "wzp_relay_session_loss_pct", "gauge", "Loss of the last report from this session", SESSION_LOSS },
        { "wzp_relay_session_rtt_ms", "gauge", "Round trip of the last report", SESSION_RTT },
        { "wzp_relay_session_jitter_ms", "gauge", "Jitter of the last report", SESSION_JITTER },
        { "wzp_relay_session_packets_received_total", "counter", "Media datagrams from this session", SESSION_PACKETS },
    };
    for (size_t i = 0; i < sizeof metric / sizeof metric[0]; i++) {
        struct session_page page = { out, metric[i].name, metric[i].value, RELAY_METRICS_SESSIONS_MAX };
        print_head(out, metric[i].name, metric[i].type, metric[i].help);
        wzp_relay_server_each_session(server, print_session, &page);
    }
}

char *relay_metrics_text(struct wzp_relay_server *server, const struct relay_auth *auth, size_t *ret_len)
{
    struct wzp_relay_stats stats;
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    if (!out)
        return NULL;
    wzp_relay_server_stats(server, &stats);
    print_relay(out, &stats);
    print_refusals(out, &stats);
    print_handshakes(out, &stats);
    print_quic(out, wzp_relay_server_quic_stats(server));
    if (auth)
        print_auth(out, auth);
    print_sessions(out, server);
    const bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
