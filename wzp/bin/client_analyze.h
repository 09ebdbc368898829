/* What an observer of a room can tell from its datagrams alone: the streams in them and how well they arrive. Pure: no
 * sockets, no clock. Thread: one at a time.
 *
 * Media carries no sender, so streams are told apart by their runs: a packet belongs to the stream whose sequence number
 * and timestamp it continues best, and never to one that has that number already with other content. Two talkers who
 * begin in the same instant with the same codec can be mixed up; what the numbers say of all together stays right. */
#ifndef WZP_BIN_CLIENT_ANALYZE_H
#define WZP_BIN_CLIENT_ANALYZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/core/media.h"

#define CLIENT_STREAMS_MAX 64
/** Packets of a stream remembered: a late one is known as such, and a second copy as a duplicate. */
#define CLIENT_STREAM_HISTORY 256

/** Figures of one stream. */
struct client_stream {
    uint64_t packets;   /**< all but duplicates */
    uint64_t lost;      /**< numbers that never came */
    uint64_t duplicate; /**< the same packet again */
    uint64_t reordered; /**< came after a later one */
    uint64_t repair, comfort_noise;
    uint64_t tiny;                      /**< Opus of at most 2 bytes: the sender is silent (DTX) */
    uint64_t padded;                    /**< Opus with padding, where DRED is */
    uint64_t by_codec[WZP_CODEC_COUNT]; /**< without repair */
    uint64_t bytes;                     /**< of the datagrams */
    uint64_t reports;
    struct wzp_quality_report last_report; /**< valid when reports > 0 */
    enum wzp_codec codec;                  /**< the last that was neither repair nor comfort noise */
    unsigned codec_changes;
    double jitter_ms, jitter_max_ms; /**< RFC 3550, from timestamps */
    uint64_t first_us, last_us;      /**< arrival */
    uint16_t first_seq, last_seq;
    uint32_t last_timestamp_ms;
    uint8_t participant; /**< byte 10 of the header; 0 with all but relays that number participants */
};

struct client_analysis;

/** 0 or -ENOMEM. */
int client_analysis_new(struct client_analysis **ret);
void client_analysis_free(struct client_analysis *analysis);
/** Take a datagram that arrived at at_us, since any start (a time that goes back counts as the newest). The index of its stream; -EBADMSG: no media;
 *  -ENOSPC: there are CLIENT_STREAMS_MAX streams and it continues none. Both are counted. */
int client_analysis_packet(struct client_analysis *analysis, uint64_t at_us, struct wz_bytes datagram);

size_t client_analysis_count(const struct client_analysis *analysis);
/** Borrowed until the next packet. */
const struct client_stream *client_analysis_stream(const struct client_analysis *analysis, size_t index);

struct client_analysis_sums {
    uint64_t datagrams;   /**< all that were given */
    uint64_t undecodable; /**< no media */
    uint64_t unassigned;  /**< beyond the limit of streams */
    uint64_t packets, lost, duplicate;
};
void client_analysis_sums(const struct client_analysis *analysis, struct client_analysis_sums *ret);

/** From the first packet to the last. */
double client_stream_seconds(const struct client_stream *stream);
double client_stream_loss_pct(const struct client_stream *stream);
/** Of datagrams, without what QUIC, UDP and IP add; 0 for a single packet. */
double client_stream_kbps(const struct client_stream *stream);

#endif
