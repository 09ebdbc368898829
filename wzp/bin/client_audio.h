/* The sound of one call of wzp-client: a source (file, tone, silence, or what arrives), the encoder, the
 * receive side (gateway/media/playout) and the recording. Sans-IO but for the files: datagrams in, datagrams
 * out, one tick each 20 ms. */
#ifndef WZP_BIN_CLIENT_AUDIO_H
#define WZP_BIN_CLIENT_AUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/bin/client_wav.h"
#include "wzp/core/media.h"

#define CLIENT_TICK_US 20000u

struct client_audio;

struct client_audio_config {
    enum wzp_codec codec;
    const struct client_pcm *play; /**< 48 kHz, borrowed; NULL: none */
    double tone_hz;                /**< 0: none */
    bool echo;
    const char *record; /**< path; NULL: none */
};

struct client_audio_stats {
    uint64_t rx, tx;      /**< datagrams */
    uint64_t undecodable; /**< malformed, unknown codec, Codec2 */
    uint64_t lost, concealed;
    double loss_pct, jitter_ms;
    const char *codec; /**< of what arrives; of what is sent until something arrives */
};

/** 0, -ENOMEM, or the error of creating the recording. The recording begins with the first tick. */
int client_audio_new(struct client_audio **ret, const struct client_audio_config *config);
/** Completes the recording: 0 or what went wrong with it. NULL-safe. */
int client_audio_free(struct client_audio *audio);

/** 20 ms have passed. Length of the datagram to send, written to buf; 0: none now. */
size_t client_audio_tick(struct client_audio *audio, uint64_t now_us, uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX]);
/** A datagram arrived. Length of the datagram to send back (with echo); 0: none. */
size_t client_audio_receive(struct client_audio *audio, struct wz_bytes datagram, uint64_t now_us,
                            uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX]);
void client_audio_stats(const struct client_audio *audio, struct client_audio_stats *ret);

#endif
