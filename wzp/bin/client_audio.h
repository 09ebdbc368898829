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
#include "wzp/core/quality.h"

#define CLIENT_TICK_US 20000u
/** Our packets between two quality reports. */
#define CLIENT_REPORT_FRAMES 50

/** The codec names that --codec takes, for its help and its mistakes. */
#define CLIENT_CODEC_NAMES                                                                                             \
    "auto, good, degraded, catastrophic, studio-32k, studio-48k, studio-64k, codec2-1200, codec2-3200, opus6k, "       \
    "opus16k, opus24k, opus32k, opus48k or opus64k"

/**
 * A codec by the name users know it under, in any case.
 * @param ret_auto  The codec is the best one to use; reports may lower it.
 * @return 0, or -EINVAL. Outputs untouched on failure.
 */
int client_codec_parse(const char *name, enum wzp_codec *ret, bool *ret_auto);
/** What the media code can do with the libraries we run with, as `wzp-client version` prints it: "libopus 1.3.1 (no
 *  DRED), Codec2". Written to buf, cut at size. */
void client_audio_features(char *buf, size_t size);

struct client_audio;

struct client_audio_config {
    enum wzp_codec codec;
    bool adapts;                   /**< lower the codec while quality reports or the relay ask for it */
    bool by_reference;             /**< adapt by the reference's rule, which lowers it for distance alone too */
    bool in_room;                  /**< several peers may report */
    const struct client_pcm *play; /**< 48 kHz, borrowed; NULL: none */
    double tone_hz;                /**< 0: none */
    bool echo;
    bool quiet;            /**< without file, tone and echo nothing is sent, instead of encoded silence */
    bool suppress_silence; /**< comfort noise for silent stretches */
    const char *record;    /**< path; NULL: none */
    /** What is played to the user, 20 ms each tick; NULL: nobody wants it. */
    void (*heard)(void *arg, const int16_t *sample, size_t count);
    void *heard_arg;
};

struct client_audio_stats {
    uint64_t rx, tx;      /**< datagrams */
    uint64_t undecodable; /**< malformed, unknown codec */
    uint64_t lost, concealed;
    uint64_t repaired, unrepaired; /**< Codec2 frames lost and brought back, or not */
    uint64_t reports_rx, reports_tx;
    double loss_pct, jitter_ms;
    const char *codec;    /**< of what arrives; of what is sent until something arrives */
    const char *codec_tx; /**< of what is sent now */
};

/** 0, -ENOMEM, or the error of creating the recording. The recording begins with the first tick. */
int client_audio_new(struct client_audio **ret, const struct client_audio_config *config);
/** Completes the recording: 0 or what went wrong with it. NULL-safe. */
int client_audio_free(struct client_audio *audio);

/** 20 ms have passed. Length of the datagram to send, written to buf; 0: none now. Codec2 has more to send at the end of
 *  a block: call client_audio_next() until it returns 0. */
size_t client_audio_tick(struct client_audio *audio, uint64_t now_us, uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX]);
/** Another datagram of the same tick: its length; 0: no more. What is not taken before the next tick is gone. */
size_t client_audio_next(struct client_audio *audio, uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX]);
/** A datagram arrived. Length of the datagram to send back (with echo); 0: none. */
size_t client_audio_receive(struct client_audio *audio, struct wz_bytes datagram, uint64_t now_us,
                            uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX]);
/** Statistics of the path, sent in our quality reports; without them no report is sent. */
void client_audio_set_path_stats(struct client_audio *audio, uint32_t loss_milli_pct, uint32_t rtt_ms,
                                 uint32_t jitter_ms);
/** Media takes another path: what is known of the old one is void. */
void client_audio_path_changed(struct client_audio *audio);
/** The relay recommends a profile for the whole room; ignored unless config.adapts. */
void client_audio_directive(struct client_audio *audio, const struct wzp_profile *profile);
void client_audio_stats(const struct client_audio *audio, struct client_audio_stats *ret);

#endif
