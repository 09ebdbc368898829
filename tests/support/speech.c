#include "tests/support/speech.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *const words[] = {
    [SPEECH_MAIN] = "The quick brown fox jumps over the lazy dog near the river bank. "
                    "She sells sea shells by the shore, and we were away a year ago. "
                    "Please call four nine five, seven two one, before noon today.",
    [SPEECH_OTHER] = "Nothing in this recording resembles the other one at all. Rain fell on the empty harbour "
                     "while two old boats drifted slowly towards the open sea, and nobody noticed them leaving.",
};
static const char *const voice[] = { [SPEECH_MAIN] = "en", [SPEECH_OTHER] = "en+f3" };

static int run_espeak(enum speech_text text, const char *path)
{
    char *const argv[] = { "espeak-ng",
                           "-v",
                           (char *)(uintptr_t)voice[text],
                           "-w",
                           (char *)(uintptr_t)path,
                           (char *)(uintptr_t)words[text],
                           NULL };
    pid_t pid;
    int status;
    const int err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

    if (err)
        return -err;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return -ENOENT;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int speech_make(enum speech_text text, struct judge_audio *ret)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    int fd, err;

    (void)snprintf(path, sizeof path, "%s/wzp-speech-XXXXXX", dir && *dir ? dir : "/tmp");
    fd = mkstemp(path);
    if (fd < 0)
        return -errno;
    (void)close(fd);
    err = run_espeak(text, path);
    if (!err)
        err = judge_wav_load(path, ret);
    (void)unlink(path);
    return err;
}

int speech_make_pcm(enum speech_text text, uint32_t rate_hz, int16_t **ret, size_t *ret_count)
{
    struct judge_audio raw = { 0 }, audio = { 0 };
    int err = speech_make(text, &raw);
    int16_t *pcm = NULL;

    if (!err)
        err = judge_resample(&raw, rate_hz, &audio);
    if (!err) {
        pcm = malloc((audio.count + 1) * sizeof *pcm);
        err = pcm ? 0 : -ENOMEM;
    }
    for (size_t i = 0; !err && i < audio.count; i++) {
        const float v = audio.sample[i] * 32768.0f;
        pcm[i] = (int16_t)lrintf(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
    }
    if (!err) {
        *ret = pcm;
        *ret_count = audio.count;
    }
    judge_audio_done(&raw);
    judge_audio_done(&audio);
    return err;
}
