/* What wzp-client prints: one JSON object a line, or lines to read. Both go to standard output, flushed. */
#ifndef WZP_BIN_CLIENT_OUTPUT_H
#define WZP_BIN_CLIENT_OUTPUT_H

#include <stdbool.h>

#include "wzp/bin/client_audio.h"
#include "wzp/core/line_event.h"

struct client_output {
    bool json;
    const char *fingerprint, *relay; /**< ours, and the relay as the user wrote it */
    uint64_t start_us;               /**< t_ms counts from here */
};

/** Events of the line that a user wants to see; others (SIGNAL) print nothing. */
void client_output_event(const struct client_output *out, const struct wzp_line_event *event, uint64_t now_us);
/** With JSON only: sums so far. */
void client_output_media(const struct client_output *out, const char *call_id, const struct client_audio_stats *stats,
                         bool is_final, uint64_t now_us);
/** The relay's build. */
void client_output_version(const struct client_output *out, const char *build, uint64_t now_us);
/** Our fingerprint; words: those of our seed, NULL: not wanted. */
void client_output_identity(bool json, const char *fingerprint, const char *words);
/** "local", "normal", "busy", "declined", "timeout", "error", "relay_down", "no_media", "media_lost",
 *  "no_answer" or "refused". */
const char *client_end_name(const struct wzp_line_event *ended);

#endif
