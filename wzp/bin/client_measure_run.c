#include "wzp/bin/client_measure_run.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "wzp/bin/client_analyze.h"
#include "wzp/bin/client_json.h"
#include "wzp/bin/client_measure.h"

struct client_measure {
    double seconds;
    struct client_pcm signal;
    struct client_echo *echo;        /**< NULL: not wanted */
    struct client_drift *drift;      /**< NULL: not wanted */
    struct client_analysis *streams; /**< drift: finds the packets of one stream */
};

static int prepare(struct client_measure *measure, const struct client_options *options)
{
    int err = 0;
    if (options->echo_test_s > 0)
        err = client_echo_signal(options->echo_test_s, &measure->signal);
    if (!err && options->echo_test_s > 0)
        err = client_echo_new(&measure->echo, &measure->signal);
    if (!err && options->drift_test_s > 0)
        err = client_drift_new(&measure->drift);
    if (!err && options->drift_test_s > 0)
        err = client_analysis_new(&measure->streams);
    return err;
}

int client_measure_new(struct client_measure **ret, const struct client_options *options)
{
    *ret = NULL;
    if (options->echo_test_s <= 0 && options->drift_test_s <= 0)
        return 0;
    struct client_measure *measure = calloc(1, sizeof *measure);
    if (!measure)
        return -ENOMEM;
    const double echo_s = options->echo_test_s > 0 ? options->echo_test_s + CLIENT_ECHO_TAIL_S : 0;
    measure->seconds = fmax(echo_s, options->drift_test_s);
    const int err = prepare(measure, options);
    if (err < 0) {
        client_measure_free(measure);
        return err;
    }
    *ret = measure;
    return 0;
}

void client_measure_free(struct client_measure *measure)
{
    if (!measure)
        return;
    client_echo_free(measure->echo);
    client_drift_free(measure->drift);
    client_analysis_free(measure->streams);
    client_pcm_done(&measure->signal);
    free(measure);
}

const struct client_pcm *client_measure_signal(const struct client_measure *measure)
{
    return measure && measure->signal.sample ? &measure->signal : NULL;
}

double client_measure_seconds(const struct client_measure *measure)
{
    return measure ? measure->seconds : 0;
}

void client_measure_sent(struct client_measure *measure, struct wz_bytes datagram, uint64_t now_us)
{
    if (measure && measure->echo)
        client_echo_sent(measure->echo, datagram, now_us);
}

/** Of several talkers the first one heard is watched. Repair is sent ahead of its time. */
static void follow_drift(struct client_measure *measure, struct wz_bytes datagram, uint64_t now_us)
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    const int stream = client_analysis_packet(measure->streams, now_us, datagram);
    if (stream == 0 && wzp_media_decode(datagram, &hdr, &payload) == 0 && !hdr.is_repair)
        client_drift_packet(measure->drift, hdr.timestamp_ms, now_us);
}

void client_measure_received(struct client_measure *measure, struct wz_bytes datagram, uint64_t now_us)
{
    if (measure && measure->echo)
        client_echo_received(measure->echo, datagram, now_us);
    if (measure && measure->drift)
        follow_drift(measure, datagram, now_us);
}

void client_measure_heard(void *arg, const int16_t *sample, size_t count)
{
    struct client_measure *measure = arg;
    if (measure && measure->echo)
        client_echo_heard(measure->echo, sample, count);
}

/* ---- printing ---- */

static void print_echo_json(const struct client_echo_result *echo, uint64_t t_us)
{
    const bool back = echo->back > 0;
    json_t *line = client_json_new("echo_test", t_us);
    client_json_put(line, "sent", client_json_count(echo->sent));
    client_json_put(line, "back", client_json_count(echo->back));
    client_json_put(line, "other", client_json_count(echo->other));
    client_json_put(line, "loss_pct", client_json_real(echo->loss_pct));
    client_json_put(line, "rtt_ms", back ? client_json_real(echo->rtt_ms) : json_null());
    client_json_put(line, "rtt_min_ms", back ? client_json_real(echo->rtt_min_ms) : json_null());
    client_json_put(line, "rtt_max_ms", back ? client_json_real(echo->rtt_max_ms) : json_null());
    client_json_put(line, "rtt_jitter_ms", back ? client_json_real(echo->rtt_jitter_ms) : json_null());
    client_json_put(line, "sound_delay_ms", echo->heard ? client_json_real(echo->sound_delay_ms) : json_null());
    client_json_put(line, "similarity", client_json_real(echo->similarity));
    client_json_print(line);
}

static void print_echo(const struct client_echo_result *echo)
{
    if (echo->back)
        printf("echo: %" PRIu64 " of %" PRIu64 " packets came back (%.1f %% lost), round trip %.1f ms (%.1f to %.1f), "
               "jitter %.2f ms\n",
               echo->back, echo->sent, echo->loss_pct, echo->rtt_ms, echo->rtt_min_ms, echo->rtt_max_ms,
               echo->rtt_jitter_ms);
    else
        printf("echo: none of %" PRIu64 " packets came back as it was sent; %" PRIu64 " others came\n", echo->sent,
               echo->other);
    if (echo->heard)
        printf("echo: the sound came back after %.0f ms, likeness %.2f\n", echo->sound_delay_ms, echo->similarity);
    else
        puts("echo: no sound of ours came back");
    (void)fflush(stdout);
}

static void print_drift_json(const struct client_drift_result *drift, uint64_t t_us)
{
    json_t *line = client_json_new("drift_test", t_us);
    client_json_put(line, "packets", client_json_count(drift->packets));
    client_json_put(line, "seconds", client_json_real(drift->seconds));
    client_json_put(line, "drift_ppm", drift->is_known ? client_json_real(drift->drift_ppm) : json_null());
    client_json_put(line, "error_ppm", drift->is_known ? client_json_real(drift->error_ppm) : json_null());
    client_json_put(line, "delay_spread_ms", client_json_real(drift->delay_spread_ms));
    client_json_print(line);
}

static void print_drift(const struct client_drift_result *drift)
{
    if (drift->is_known)
        printf("drift: the sender's clock runs %.1f ppm %s than ours (error %.1f ppm), from %" PRIu64
               " packets in %.1f s; delays vary by %.1f ms\n",
               fabs(drift->drift_ppm), drift->drift_ppm < 0 ? "slower" : "faster", drift->error_ppm, drift->packets,
               drift->seconds, drift->delay_spread_ms);
    else
        printf("drift: %" PRIu64 " packets in %.1f s are too few to tell\n", drift->packets, drift->seconds);
    (void)fflush(stdout);
}

bool client_measure_print(const struct client_measure *measure, bool json, uint64_t t_us)
{
    struct client_echo_result echo = { .back = 1 };
    struct client_drift_result drift = { .is_known = true };
    if (measure->echo) {
        client_echo_finish(measure->echo, &echo);
        if (json)
            print_echo_json(&echo, t_us);
        else
            print_echo(&echo);
    }
    if (measure->drift) {
        client_drift_finish(measure->drift, &drift);
        if (json)
            print_drift_json(&drift, t_us);
        else
            print_drift(&drift);
    }
    return (echo.back > 0 || echo.heard) && drift.is_known;
}
