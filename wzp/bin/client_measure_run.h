/* The measurements of one call of wzp-client: what the phone sends, receives and plays passes by here. Thread: the
 * loop's. */
#ifndef WZP_BIN_CLIENT_MEASURE_RUN_H
#define WZP_BIN_CLIENT_MEASURE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/bin/client_options.h"
#include "wzp/bin/client_wav.h"

struct client_measure;

/** *ret is NULL when the options ask for no measurement. 0 or -ENOMEM. */
int client_measure_new(struct client_measure **ret, const struct client_options *options);
void client_measure_free(struct client_measure *measure);
/** What the echo test wants to be played; NULL: nothing. Lives as long as the measurement. */
const struct client_pcm *client_measure_signal(const struct client_measure *measure);
/** Hang up after this long. */
double client_measure_seconds(const struct client_measure *measure);

/* All take NULL: nothing is measured. */
void client_measure_sent(struct client_measure *measure, struct wz_bytes datagram, uint64_t now_us);
void client_measure_received(struct client_measure *measure, struct wz_bytes datagram, uint64_t now_us);
/** For client_audio_config.heard: arg is the measurement. */
void client_measure_heard(void *arg, const int16_t *sample, size_t count);
/** Print the results, t_us after the start. False: there was nothing to measure. */
bool client_measure_print(const struct client_measure *measure, bool json, uint64_t t_us);

#endif
