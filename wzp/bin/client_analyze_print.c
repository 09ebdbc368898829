#include "wzp/bin/client_analyze_print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include <jansson.h>

#include "wzp/bin/client_json.h"

void client_analyze_print_line(const struct client_analysis *analysis, uint64_t t_us, uint64_t fresh)
{
    struct client_analysis_sums sums;
    double jitter_ms = 0;
    client_analysis_sums(analysis, &sums);
    for (size_t i = 0; i < client_analysis_count(analysis); i++)
        jitter_ms = fmax(jitter_ms, client_analysis_stream(analysis, i)->jitter_ms);
    printf("%5.0f s: %zu streams, %" PRIu64 " packets, %" PRIu64 " in the last second, %" PRIu64
           " lost, jitter up to %.1f ms\n",
           (double)t_us / 1e6, client_analysis_count(analysis), sums.packets, fresh, sums.lost, jitter_ms);
    (void)fflush(stdout);
}

/* ---- for people ---- */

static void print_codecs(const struct client_stream *stream)
{
    for (int i = 0; i < WZP_CODEC_COUNT; i++)
        if (stream->by_codec[i] && i != WZP_CODEC_COMFORT_NOISE)
            printf(", %s %" PRIu64, wzp_codec_name((enum wzp_codec)i), stream->by_codec[i]);
}

static void print_stream(const struct client_stream *stream, size_t number)
{
    printf("stream %zu: %" PRIu64 " packets in %.1f s, %.1f kbit/s, %" PRIu64
           " lost (%.1f %%), jitter %.1f ms (at most %.1f)\n",
           number, stream->packets, client_stream_seconds(stream), client_stream_kbps(stream), stream->lost,
           client_stream_loss_pct(stream), stream->jitter_ms, stream->jitter_max_ms);
    printf("  numbers %u to %u", stream->first_seq, stream->last_seq);
    print_codecs(stream);
    printf("\n  %" PRIu64 " duplicate, %" PRIu64 " reordered, %" PRIu64 " repair, %" PRIu64 " comfort noise, %" PRIu64
           " tiny (DTX), %" PRIu64 " padded (DRED)\n",
           stream->duplicate, stream->reordered, stream->repair, stream->comfort_noise, stream->tiny, stream->padded);
    if (stream->reports)
        printf("  %" PRIu64 " quality reports, the last: %.1f %% lost, round trip %u ms, jitter %u ms\n",
               stream->reports, stream->last_report.loss * 100.0 / 255, stream->last_report.rtt_4ms * 4u,
               stream->last_report.jitter_ms);
}

void client_analyze_print_summary(const struct client_analysis *analysis)
{
    struct client_analysis_sums sums;
    client_analysis_sums(analysis, &sums);
    for (size_t i = 0; i < client_analysis_count(analysis); i++)
        print_stream(client_analysis_stream(analysis, i), i + 1);
    printf("all: %zu streams, %" PRIu64 " datagrams, %" PRIu64 " lost, %" PRIu64 " duplicate, %" PRIu64
           " undecodable, %" PRIu64 " of no stream\n",
           client_analysis_count(analysis), sums.datagrams, sums.lost, sums.duplicate, sums.undecodable,
           sums.unassigned);
    (void)fflush(stdout);
}

/* ---- JSON ---- */

static json_t *codecs_json(const struct client_stream *stream)
{
    json_t *codecs = json_object();
    for (int i = 0; i < WZP_CODEC_COUNT; i++)
        if (stream->by_codec[i])
            client_json_put(codecs, wzp_codec_name((enum wzp_codec)i), client_json_count(stream->by_codec[i]));
    return codecs;
}

static json_t *report_json(const struct client_stream *stream)
{
    if (!stream->reports)
        return json_null();
    json_t *report = json_object();
    client_json_put(report, "loss_pct", client_json_real(stream->last_report.loss * 100.0 / 255));
    client_json_put(report, "rtt_ms", client_json_count(stream->last_report.rtt_4ms * 4u));
    client_json_put(report, "jitter_ms", client_json_count(stream->last_report.jitter_ms));
    return report;
}

static json_t *stream_json(const struct client_stream *stream)
{
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        { "packets", stream->packets },     { "lost", stream->lost },
        { "duplicate", stream->duplicate }, { "reordered", stream->reordered },
        { "repair", stream->repair },       { "comfort_noise", stream->comfort_noise },
        { "tiny", stream->tiny },           { "padded", stream->padded },
        { "reports", stream->reports },     { "bytes", stream->bytes },
        { "first_seq", stream->first_seq }, { "last_seq", stream->last_seq },
        { "first_us", stream->first_us },   { "codec_changes", stream->codec_changes },
    };
    json_t *object = json_object();
    client_json_put(object, "codec", client_json_text(wzp_codec_name(stream->codec)));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        client_json_put(object, counts[i].key, client_json_count(counts[i].value));
    client_json_put(object, "seconds", client_json_real(client_stream_seconds(stream)));
    client_json_put(object, "kbps", client_json_real(client_stream_kbps(stream)));
    client_json_put(object, "loss_pct", client_json_real(client_stream_loss_pct(stream)));
    client_json_put(object, "jitter_ms", client_json_real(stream->jitter_ms));
    client_json_put(object, "jitter_max_ms", client_json_real(stream->jitter_max_ms));
    client_json_put(object, "codecs", codecs_json(stream));
    client_json_put(object, "last_report", report_json(stream));
    return object;
}

void client_analyze_print_json(const struct client_analysis *analysis, uint64_t t_us, bool is_final)
{
    struct client_analysis_sums sums;
    json_t *streams = json_array();
    client_analysis_sums(analysis, &sums);
    for (size_t i = 0; i < client_analysis_count(analysis); i++)
        (void)json_array_append_new(streams, stream_json(client_analysis_stream(analysis, i))); /* as json_put */
    json_t *line = client_json_new("streams", t_us);
    client_json_put(line, "final", json_boolean(is_final));
    client_json_put(line, "datagrams", client_json_count(sums.datagrams));
    client_json_put(line, "undecodable", client_json_count(sums.undecodable));
    client_json_put(line, "unassigned", client_json_count(sums.unassigned));
    client_json_put(line, "streams", streams);
    client_json_print(line);
}
