/* judge: compares recordings from the shell.
 *   judge compare REF.wav GOT.wav [--min-similarity X] [--max-dropout-ms N] [--json]
 *   judge tone GOT.wav HZ [--min-snr-db X] [--json]
 *   judge digits GOT.wav [--expect DIGITS] [--json]
 * Exit: 0 as wanted, 1 a bound was missed, 2 usage or unreadable file. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/judge.h"

struct options {
    const char *word[4];
    int words;
    bool json;
    double min_similarity, max_dropout_ms, min_snr_db;
    const char *expect;
};

static int usage(void)
{
    (void)fprintf(stderr, "usage: judge compare REF.wav GOT.wav [--min-similarity X] [--max-dropout-ms N] [--json]\n"
                          "       judge tone GOT.wav HZ [--min-snr-db X] [--json]\n"
                          "       judge digits GOT.wav [--expect DIGITS] [--json]\n");
    return 2;
}

static bool parse_number(const char *text, double *ret)
{
    char *end;

    if (!text)
        return false;
    *ret = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        double *number = NULL;
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
            continue;
        }
        if (strcmp(argv[i], "--min-similarity") == 0)
            number = &o->min_similarity;
        else if (strcmp(argv[i], "--max-dropout-ms") == 0)
            number = &o->max_dropout_ms;
        else if (strcmp(argv[i], "--min-snr-db") == 0)
            number = &o->min_snr_db;
        if (number) {
            if (!parse_number(value, number))
                return false;
            i++;
        } else if (strcmp(argv[i], "--expect") == 0 && value) {
            o->expect = argv[++i];
        } else if (argv[i][0] != '-' && o->words < 4) {
            o->word[o->words++] = argv[i];
        } else {
            return false;
        }
    }
    return o->words > 0;
}

static bool load(const char *path, struct judge_audio *ret)
{
    const int err = judge_wav_load(path, ret);

    if (err)
        (void)fprintf(stderr, "judge: %s: %s\n", path, err == -EBADMSG ? "no 16-bit PCM WAV" : strerror(-err));
    return err == 0;
}

static int failed(int err)
{
    (void)fprintf(stderr, "judge: %s\n", err == -EINVAL ? "too short or silent" : strerror(-err));
    return err == -EINVAL ? 1 : 2;
}

static int run_compare(const struct options *o)
{
    struct judge_audio ref, got;
    struct judge_result r;

    if (o->words != 3 || !load(o->word[1], &ref))
        return 2;
    if (!load(o->word[2], &got)) {
        judge_audio_done(&ref);
        return 2;
    }
    const int err = judge_compare(&ref, &got, &r);
    judge_audio_done(&ref);
    judge_audio_done(&got);
    if (err)
        return failed(err);
    const bool ok = r.similarity >= o->min_similarity && r.longest_dropout_ms <= o->max_dropout_ms;
    (void)printf(o->json ? "{\"delay_ms\":%.2f,\"delay_wander_ms\":%.2f,\"similarity\":%.4f,\"band_snr_db\":%.2f,"
                           "\"longest_dropout_ms\":%.1f,\"dropout_at_s\":%.2f,\"dropouts\":%u,\"gain_db\":%.2f,"
                           "\"ok\":%s}\n"
                         : "delay_ms=%.2f delay_wander_ms=%.2f similarity=%.4f band_snr_db=%.2f "
                           "longest_dropout_ms=%.1f dropout_at_s=%.2f dropouts=%u gain_db=%.2f ok=%s\n",
                 r.delay_ms, r.delay_wander_ms, r.similarity, r.band_snr_db, r.longest_dropout_ms, r.dropout_at_s,
                 r.dropouts, r.gain_db, ok ? "true" : "false");
    return ok ? 0 : 1;
}

static int run_tone(const struct options *o)
{
    struct judge_audio got;
    struct judge_tone_result r;
    double hz;

    if (o->words != 3 || !parse_number(o->word[2], &hz) || !load(o->word[1], &got))
        return 2;
    const int err = judge_tone(&got, hz, &r);
    judge_audio_done(&got);
    if (err)
        return failed(err);
    (void)printf(o->json ? "{\"peak_hz\":%.2f,\"snr_db\":%.2f,\"level_dbfs\":%.2f}\n"
                         : "peak_hz=%.2f snr_db=%.2f level_dbfs=%.2f\n",
                 r.peak_hz, r.snr_db, r.level_dbfs);
    return r.snr_db >= o->min_snr_db ? 0 : 1;
}

static int run_digits(const struct options *o)
{
    struct judge_audio got;
    char digits[JUDGE_DIGITS_MAX + 1];

    if (o->words != 2 || !load(o->word[1], &got))
        return 2;
    const int err = judge_digits(&got, digits);
    judge_audio_done(&got);
    if (err)
        return failed(err);
    (void)printf(o->json ? "{\"digits\":\"%s\"}\n" : "digits=%s\n", digits);
    return !o->expect || strcmp(o->expect, digits) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o = { .max_dropout_ms = 1e9, .min_similarity = -1, .min_snr_db = -1000 };

    if (!parse(argc, argv, &o))
        return usage();
    if (strcmp(o.word[0], "compare") == 0 && o.words == 3)
        return run_compare(&o);
    if (strcmp(o.word[0], "tone") == 0 && o.words == 3)
        return run_tone(&o);
    if (strcmp(o.word[0], "digits") == 0 && o.words == 2)
        return run_digits(&o);
    return usage();
}
