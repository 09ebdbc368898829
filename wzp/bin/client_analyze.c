#include "wzp/bin/client_analyze.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "wzp/base/seq.h"

/** A packet may be this many numbers ahead of a stream, and more after a pause. */
#define AHEAD_MAX    100
#define AHEAD_PER_MS 0.2 /* two packets each 10 ms: more than any profile sends */
#define AHEAD_LIMIT  16000.0
/** Before the first number seen: packets that overtook each other at the very start. */
#define BEFORE_FIRST_MAX 3
/** A timestamp runs ahead of our clock by at most what waited somewhere and comes at once. */
#define BURST_MAX_MS 400.0
/** Late packets: at most a 40 ms frame and a stretch of suppressed silence lie between two numbers. */
#define FRAME_MAX_MS   40
#define SILENCE_MAX_MS 1000.0
/** What a difference weighs in milliseconds of transit time. */
#define COST_PER_NUMBER 10.0
#define COST_CODEC      200.0
#define COST_NONE       INFINITY
#define TINY_BYTES      2
/* Opus table of contents: code 3 has a frame count byte with a padding flag (RFC 6716 3.2.5). */
#define OPUS_CODE_MASK    0x03u
#define OPUS_PADDING_FLAG 0x40u

struct seen {
    int64_t number; /**< extended sequence number + 1; 0: empty */
    uint32_t hash;
};

struct stream {
    struct client_stream figures;
    int64_t first, highest; /**< extended sequence numbers */
    double transit_ms;      /**< arrival - timestamp of the newest packet */
    uint32_t highest_ts_ms;
    bool has_source; /**< transit of a source packet is known: jitter can be measured */
    double source_transit_ms;
    struct seen history[CLIENT_STREAM_HISTORY];
};

struct client_analysis {
    size_t count;
    struct stream *stream[CLIENT_STREAMS_MAX];
    uint64_t newest_us;
    uint64_t datagrams, undecodable, unassigned;
};

/** A packet as it is matched. */
struct arrival {
    uint64_t at_us;
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    size_t bytes;
    uint32_t hash;
};

int client_analysis_new(struct client_analysis **ret)
{
    struct client_analysis *analysis = calloc(1, sizeof *analysis);
    if (!analysis)
        return -ENOMEM;
    *ret = analysis;
    return 0;
}

void client_analysis_free(struct client_analysis *analysis)
{
    if (!analysis)
        return;
    for (size_t i = 0; i < analysis->count; i++)
        free(analysis->stream[i]);
    free(analysis);
}

/** FNV-1a: tells copies from other packets; nobody gains by a collision. */
static uint32_t hash_of(struct wz_bytes data)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < data.len; i++)
        hash = (hash ^ data.data[i]) * 16777619u;
    return hash;
}

static double transit_of(const struct arrival *in)
{
    return (double)in->at_us / 1000.0 - in->hdr.timestamp_ms;
}

/** Timestamps wrap: the shortest way between two transit times. */
static double transit_change(double from, double to)
{
    return remainder(to - from, 4294967296.0);
}

static struct seen *seen_at(struct stream *stream, int64_t number)
{
    return &stream->history[(uint64_t)number % CLIENT_STREAM_HISTORY];
}

/* ---- whose packet is it? ---- */

static bool runs_on(const struct stream *stream, const struct arrival *in, int32_t ahead)
{
    const double elapsed_ms = (double)(in->at_us - stream->figures.last_us) / 1000.0;
    const int32_t ts_ahead = seq32_diff(in->hdr.timestamp_ms, stream->highest_ts_ms);
    return ahead <= fmin(AHEAD_MAX + elapsed_ms * AHEAD_PER_MS, AHEAD_LIMIT) && ts_ahead >= 0 &&
           ts_ahead <= elapsed_ms + BURST_MAX_MS;
}

static bool is_late_for(const struct stream *stream, const struct arrival *in, int32_t ahead)
{
    const int64_t number = stream->highest + ahead;
    const int32_t ts_ahead = seq32_diff(in->hdr.timestamp_ms, stream->highest_ts_ms);
    if (number < stream->first && (number < stream->first - BEFORE_FIRST_MAX || in->hdr.codec != stream->figures.codec))
        return false;
    return ahead > -CLIENT_STREAM_HISTORY && ts_ahead <= 0 && ts_ahead >= (double)ahead * FRAME_MAX_MS - SILENCE_MAX_MS;
}

/** How badly a packet continues a stream; COST_NONE: not at all. */
static double cost_of(struct stream *stream, const struct arrival *in)
{
    const int32_t ahead = seq16_diff(in->hdr.seq, (uint16_t)stream->highest);
    const int64_t number = stream->highest + ahead;
    const struct seen *seen = seen_at(stream, number);
    if (in->hdr.reserved != stream->figures.participant ||
        !(ahead > 0 ? runs_on(stream, in, ahead) : is_late_for(stream, in, ahead)))
        return COST_NONE;
    if (seen->number == number + 1)
        return seen->hash == in->hash ? 0 : COST_NONE;
    const bool same_codec = in->hdr.codec == stream->figures.codec || in->hdr.codec == WZP_CODEC_COMFORT_NOISE;
    return fabs(transit_change(stream->transit_ms, transit_of(in))) + COST_PER_NUMBER * abs(ahead - 1) +
           (same_codec ? 0 : COST_CODEC);
}

static int find_stream(const struct client_analysis *analysis, const struct arrival *in)
{
    double least = COST_NONE;
    int found = -1;
    for (size_t i = 0; i < analysis->count; i++) {
        const double cost = cost_of(analysis->stream[i], in);
        if (cost < least) {
            least = cost;
            found = (int)i;
        }
    }
    return found;
}

static int begin_stream(struct client_analysis *analysis, const struct arrival *in)
{
    if (analysis->count == CLIENT_STREAMS_MAX)
        return -ENOSPC;
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOSPC;
    stream->first = stream->highest = (int64_t)in->hdr.seq + UINT16_MAX + 1; /* what came before it is not negative */
    stream->highest--;                                                       /* its first packet is the next one */
    stream->highest_ts_ms = in->hdr.timestamp_ms;
    stream->transit_ms = transit_of(in);
    stream->figures.codec = in->hdr.codec;
    stream->figures.first_us = in->at_us;
    stream->figures.first_seq = in->hdr.seq;
    stream->figures.participant = in->hdr.reserved;
    analysis->stream[analysis->count] = stream;
    return (int)analysis->count++;
}

/* ---- figures ---- */

static void count_jitter(struct stream *stream, const struct arrival *in)
{
    const double transit_ms = transit_of(in);
    struct client_stream *figures = &stream->figures;
    if (in->hdr.is_repair)
        return; /* leaves together with the frame before the one whose time it carries */
    if (stream->has_source) {
        const double change = fabs(transit_change(stream->source_transit_ms, transit_ms));
        figures->jitter_ms += (change - figures->jitter_ms) / 16;
        figures->jitter_max_ms = fmax(figures->jitter_max_ms, figures->jitter_ms);
    }
    stream->has_source = true;
    stream->source_transit_ms = transit_ms;
}

static bool has_padding(struct wz_bytes opus)
{
    return opus.len >= 2 && (opus.data[0] & OPUS_CODE_MASK) == OPUS_CODE_MASK && opus.data[1] & OPUS_PADDING_FLAG;
}

static void count_content(struct client_stream *figures, const struct arrival *in)
{
    const enum wzp_codec codec = in->hdr.codec;
    if (in->hdr.has_report) {
        figures->reports++;
        figures->last_report = in->hdr.report;
    }
    if (in->hdr.is_repair) {
        figures->repair++;
        return;
    }
    figures->by_codec[codec]++;
    if (codec == WZP_CODEC_COMFORT_NOISE) {
        figures->comfort_noise++;
        return;
    }
    if (figures->codec != codec && figures->codec != WZP_CODEC_COMFORT_NOISE)
        figures->codec_changes++;
    figures->codec = codec;
    if (wzp_codec_is_opus(codec) && in->payload.len <= TINY_BYTES)
        figures->tiny++;
    if (wzp_codec_is_opus(codec) && has_padding(in->payload))
        figures->padded++;
}

/** The packet's number in the stream, remembered. False: it was there before. */
static bool take_number(struct stream *stream, const struct arrival *in)
{
    struct client_stream *figures = &stream->figures;
    const int64_t number = stream->highest + seq16_diff(in->hdr.seq, (uint16_t)stream->highest);
    struct seen *seen = seen_at(stream, number);
    if (seen->number == number + 1) {
        figures->duplicate++;
        return false;
    }
    *seen = (struct seen){ .number = number + 1, .hash = in->hash };
    if (number < stream->first)
        stream->first = number;
    if (number > stream->highest) {
        stream->highest = number;
        stream->highest_ts_ms = in->hdr.timestamp_ms;
        stream->transit_ms = transit_of(in);
    } else {
        figures->reordered++;
    }
    return true;
}

static void count(struct stream *stream, const struct arrival *in)
{
    struct client_stream *figures = &stream->figures;
    figures->last_us = in->at_us;
    if (!take_number(stream, in))
        return;
    figures->packets++;
    figures->bytes += in->bytes;
    figures->lost = (uint64_t)(stream->highest - stream->first + 1) - figures->packets;
    figures->first_seq = (uint16_t)stream->first;
    figures->last_seq = (uint16_t)stream->highest;
    figures->last_timestamp_ms = stream->highest_ts_ms;
    count_jitter(stream, in);
    count_content(figures, in);
}

int client_analysis_packet(struct client_analysis *analysis, uint64_t at_us, struct wz_bytes datagram)
{
    /* A file may say anything. */
    analysis->newest_us = at_us > analysis->newest_us ? at_us : analysis->newest_us;
    struct arrival in = { .at_us = analysis->newest_us, .bytes = datagram.len };
    analysis->datagrams++;
    if (wzp_media_decode(datagram, &in.hdr, &in.payload) < 0) {
        analysis->undecodable++;
        return -EBADMSG;
    }
    in.hash = hash_of(datagram);
    int index = find_stream(analysis, &in);
    if (index < 0)
        index = begin_stream(analysis, &in);
    if (index < 0) {
        analysis->unassigned++;
        return index;
    }
    count(analysis->stream[index], &in);
    return index;
}

size_t client_analysis_count(const struct client_analysis *analysis)
{
    return analysis->count;
}

const struct client_stream *client_analysis_stream(const struct client_analysis *analysis, size_t index)
{
    return &analysis->stream[index]->figures;
}

void client_analysis_sums(const struct client_analysis *analysis, struct client_analysis_sums *ret)
{
    *ret = (struct client_analysis_sums){
        .datagrams = analysis->datagrams,
        .undecodable = analysis->undecodable,
        .unassigned = analysis->unassigned,
    };
    for (size_t i = 0; i < analysis->count; i++) {
        ret->packets += analysis->stream[i]->figures.packets;
        ret->lost += analysis->stream[i]->figures.lost;
        ret->duplicate += analysis->stream[i]->figures.duplicate;
    }
}

double client_stream_seconds(const struct client_stream *stream)
{
    return (double)(stream->last_us - stream->first_us) / 1e6;
}

double client_stream_loss_pct(const struct client_stream *stream)
{
    const uint64_t expected = stream->packets + stream->lost;
    return expected ? 100.0 * (double)stream->lost / (double)expected : 0;
}

double client_stream_kbps(const struct client_stream *stream)
{
    const double seconds = client_stream_seconds(stream);
    return seconds > 0 ? (double)stream->bytes * 8 / 1000 / seconds : 0;
}
