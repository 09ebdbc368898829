/* WAV files for tests: 16-bit PCM in, mono float out. */
#ifndef TESTS_SUPPORT_JUDGE_WAV_H
#define TESTS_SUPPORT_JUDGE_WAV_H

#include <stddef.h>
#include <stdint.h>

/** Samples are -1..1, mono. */
struct judge_audio {
    uint32_t rate_hz;
    size_t count;
    float *sample;
};

/** Read 16-bit PCM WAV of any rate; channels are averaged. A data chunk of unknown length (streams) runs to the end of
 *  the file. 0 or -errno; -EBADMSG when it is no such file. */
int judge_wav_load(const char *path, struct judge_audio *ret);
/** 0 or -errno. */
int judge_wav_save(const char *path, const struct judge_audio *audio);
void judge_audio_done(struct judge_audio *audio);
/** Windowed-sinc resampling, any rates. 0 or -ENOMEM. */
int judge_resample(const struct judge_audio *in, uint32_t rate_hz, struct judge_audio *ret);
int judge_audio_from_pcm(const int16_t *pcm, size_t count, uint32_t rate_hz, struct judge_audio *ret);

#endif
