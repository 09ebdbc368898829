/* Measuring the path of a call: what is sent to a peer that sends it back, and how fast its clock runs. Pure: no sockets, no
 * clock. Thread: one at a time. */
#ifndef WZP_BIN_CLIENT_MEASURE_H
#define WZP_BIN_CLIENT_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/bin/client_wav.h"

/* ---- echo: round trip, loss, likeness ---- */

/** Packets under way at once: more than 10 s of any profile. */
#define CLIENT_ECHO_FLIGHT 1024
/** Longest delay of the sound that is looked for. */
#define CLIENT_ECHO_DELAY_MAX_MS 2000
/** A packet that has not come back by then after the last was sent is lost. */
#define CLIENT_ECHO_TAIL_S 1.5

struct client_echo;

struct client_echo_result {
    uint64_t sent, back; /**< packets with sound; sent counts from the first that came back */
    uint64_t other;      /**< came, but were not what we sent: the peer encodes anew, or others talk */
    double loss_pct;     /**< of sent; NAN: only other packets came, so nobody knows */
    double rtt_ms, rtt_min_ms, rtt_max_ms; /**< of packets; 0 when none came back */
    double rtt_jitter_ms;                  /**< mean change from one packet to the next */
    bool heard;                            /**< sound came back */
    double sound_delay_ms; /**< from our encoder to our loudspeaker, through the jitter buffer; to about 3 ms */
    double similarity;     /**< of what came back to what was sent, -1..1 */
};

/** Sweeps for this long, different in every tenth of a second. 0 or -ENOMEM. */
int client_echo_signal(double seconds, struct client_pcm *ret);

/** signal: what is being sent, 48 kHz, borrowed as long as this lives. 0 or -ENOMEM. */
int client_echo_new(struct client_echo **ret, const struct client_pcm *signal);
void client_echo_free(struct client_echo *echo);
/** We sent a datagram. Comfort noise, repair and what comes after the signal do not count. */
void client_echo_sent(struct client_echo *echo, struct wz_bytes datagram, uint64_t now_us);
void client_echo_received(struct client_echo *echo, struct wz_bytes datagram, uint64_t now_us);
/** Sound to the loudspeaker, 48 kHz; the first sample belongs to the moment of the signal's first. */
void client_echo_heard(struct client_echo *echo, const int16_t *sample, size_t count);
void client_echo_finish(const struct client_echo *echo, struct client_echo_result *ret);

/* ---- drift: the sender's media clock beside ours ---- */

struct client_drift;

struct client_drift_result {
    bool is_known;    /**< there was enough to tell */
    double drift_ppm; /**< positive: the sender's clock is faster */
    double error_ppm; /**< one standard error */
    uint64_t packets;
    double seconds;         /**< of the sender's media time */
    double delay_spread_ms; /**< how much longer than the quickest packets the slowest took */
};

/** 0 or -ENOMEM. */
int client_drift_new(struct client_drift **ret);
void client_drift_free(struct client_drift *drift);
/** A packet of the one stream that is watched. */
void client_drift_packet(struct client_drift *drift, uint32_t timestamp_ms, uint64_t now_us);
void client_drift_finish(const struct client_drift *drift, struct client_drift_result *ret);

#endif
