/* Test speech from espeak-ng: several sentences, about 8 seconds, 22.05 kHz. */
#ifndef TESTS_SUPPORT_SPEECH_H
#define TESTS_SUPPORT_SPEECH_H

#include "tests/support/judge_wav.h"

enum speech_text {
    SPEECH_MAIN,
    SPEECH_OTHER, /**< other words by another voice: what must not be taken for SPEECH_MAIN */
};

/** 0; -ENOENT when espeak-ng is not installed; other -errno. */
int speech_make(enum speech_text text, struct judge_audio *ret);
/** The same, resampled to rate_hz as 16-bit PCM; *ret is the caller's to free. */
int speech_make_pcm(enum speech_text text, uint32_t rate_hz, int16_t **ret, size_t *ret_count);

#endif
