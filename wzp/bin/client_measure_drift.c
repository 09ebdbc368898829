/* The quickest packet of each stretch of media time waited least, so a line through those shows the clocks rather than the
 * network. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "wzp/base/seq.h"
#include "wzp/bin/client_measure.h"

#define STRETCHES        256
#define STRETCH_FIRST_MS 100.0
/** Below that a line means nothing. */
#define STRETCHES_MIN 5
#define SPAN_MIN_MS   800.0
/** Stretches further from the line than this many times the middle distance are left out. */
#define OUTLIER_TIMES 4.0
#define OUTLIER_MS    0.05
#define FIT_ROUNDS    3

struct stretch {
    bool is_used;
    double media_ms;          /**< of the quickest packet */
    double least_ms, most_ms; /**< arrival - media time */
};

struct client_drift {
    uint64_t packets;
    uint64_t first_us;
    uint32_t last_timestamp_ms;
    double media_ms, media_max_ms; /**< since the first packet, unwrapped */
    double width_ms;
    struct stretch stretch[STRETCHES];
};

int client_drift_new(struct client_drift **ret)
{
    struct client_drift *drift = calloc(1, sizeof *drift);
    if (!drift)
        return -ENOMEM;
    drift->width_ms = STRETCH_FIRST_MS;
    *ret = drift;
    return 0;
}

void client_drift_free(struct client_drift *drift)
{
    free(drift);
}

static void merge(struct stretch *into, const struct stretch *from)
{
    const double most_ms = fmax(into->most_ms, from->most_ms);
    if (!from->is_used)
        return;
    if (!into->is_used) {
        *into = *from;
        return;
    }
    if (from->least_ms < into->least_ms)
        *into = *from;
    into->most_ms = most_ms;
}

/** Stretches of twice the width, half as many. */
static void widen(struct client_drift *drift)
{
    for (size_t i = 0; i < STRETCHES / 2; i++) {
        struct stretch joined = drift->stretch[2 * i];
        merge(&joined, &drift->stretch[2 * i + 1]);
        drift->stretch[i] = joined;
    }
    for (size_t i = STRETCHES / 2; i < STRETCHES; i++)
        drift->stretch[i] = (struct stretch){ 0 };
    drift->width_ms *= 2;
}

void client_drift_packet(struct client_drift *drift, uint32_t timestamp_ms, uint64_t now_us)
{
    if (!drift->packets++) {
        drift->first_us = now_us;
        drift->last_timestamp_ms = timestamp_ms;
    }
    drift->media_ms += seq32_diff(timestamp_ms, drift->last_timestamp_ms);
    drift->last_timestamp_ms = timestamp_ms;
    if (drift->media_ms < 0)
        return; /* overtaken by the very first */
    drift->media_max_ms = fmax(drift->media_max_ms, drift->media_ms);
    while (drift->media_ms >= drift->width_ms * STRETCHES)
        widen(drift);
    const double delay_ms = (double)(now_us - drift->first_us) / 1000.0 - drift->media_ms;
    merge(&drift->stretch[(size_t)(drift->media_ms / drift->width_ms)],
          &(struct stretch){ .is_used = true, .media_ms = drift->media_ms, .least_ms = delay_ms, .most_ms = delay_ms });
}

/* ---- the line ---- */

struct line {
    size_t points;
    double slope, offset, error;
};

static struct line fit(const struct stretch *point, size_t count)
{
    struct line line = { .points = count };
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, rest = 0;
    for (size_t i = 0; i < count; i++) {
        mean_x += point[i].media_ms / (double)count;
        mean_y += point[i].least_ms / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        const double x = point[i].media_ms - mean_x;
        xx += x * x;
        xy += x * (point[i].least_ms - mean_y);
    }
    line.slope = xx > 0 ? xy / xx : 0;
    line.offset = mean_y - line.slope * mean_x;
    for (size_t i = 0; i < count; i++) {
        const double distance = point[i].least_ms - line.offset - line.slope * point[i].media_ms;
        rest += distance * distance;
    }
    if (count > 2 && xx > 0)
        line.error = sqrt(rest / (double)(count - 2) / xx);
    return line;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** Keep the points that lie near the line, at the front. How many these are. */
static size_t leave_out(struct stretch *point, size_t count, const struct line *line)
{
    double distance[STRETCHES], sorted[STRETCHES];
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        sorted[i] = distance[i] = fabs(point[i].least_ms - line->offset - line->slope * point[i].media_ms);
    qsort(sorted, count, sizeof sorted[0], by_size);
    for (size_t i = 0; i < count; i++)
        if (distance[i] <= sorted[count / 2] * OUTLIER_TIMES + OUTLIER_MS)
            point[kept++] = point[i];
    return kept;
}

void client_drift_finish(const struct client_drift *drift, struct client_drift_result *ret)
{
    struct stretch point[STRETCHES];
    size_t count = 0;
    *ret = (struct client_drift_result){ .packets = drift->packets, .seconds = drift->media_max_ms / 1000 };
    for (size_t i = 0; i < STRETCHES; i++) {
        if (!drift->stretch[i].is_used)
            continue;
        point[count++] = drift->stretch[i];
        ret->delay_spread_ms = fmax(ret->delay_spread_ms, drift->stretch[i].most_ms - drift->stretch[i].least_ms);
    }
    if (count < STRETCHES_MIN || drift->media_max_ms < SPAN_MIN_MS)
        return;
    struct line line = fit(point, count);
    for (int round = 0; round < FIT_ROUNDS; round++) {
        const size_t kept = leave_out(point, count, &line);
        if (kept == count || kept < STRETCHES_MIN)
            break;
        count = kept;
        line = fit(point, count);
    }
    ret->is_known = true;
    ret->drift_ppm = -line.slope / (1 + line.slope) * 1e6;
    ret->error_ppm = line.error * 1e6;
}
