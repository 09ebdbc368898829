/* WAV files: reading 16-bit PCM of any rate as 48 kHz mono, writing 48 kHz mono. Blocks on the disk. */
#ifndef WZP_BIN_CLIENT_WAV_H
#define WZP_BIN_CLIENT_WAV_H

#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"

#define CLIENT_WAV_RATE_HZ 48000u
/** Largest file read, and largest data written: 46 minutes of what we write. */
#define CLIENT_WAV_MAX_BYTES (256u << 20)

struct client_pcm {
    int16_t *sample; /**< malloc'ed */
    size_t count;
};

/** Parse a whole file. 0; -EBADMSG (no WAV); -ENOTSUP (not 16-bit PCM, over 2 channels, rate outside 4..192
 * kHz); -ENOMEM. */
int client_wav_parse(struct wz_bytes file, struct client_pcm *ret);
/** As client_wav_parse(), and -EFBIG or any error of opening and reading. */
int client_wav_load(const char *path, struct client_pcm *ret);
void client_pcm_done(struct client_pcm *pcm);

struct client_wav_writer;
int client_wav_create(struct client_wav_writer **ret, const char *path);
/** Past the limit samples are dropped. 0 or -EIO, -EFBIG. */
int client_wav_write(struct client_wav_writer *writer, const int16_t *sample, size_t count);
/** Completes the header. 0 or the error of writing. NULL-safe. */
int client_wav_close(struct client_wav_writer *writer);

#endif
