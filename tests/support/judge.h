/* The audio judge: compares what came back with what was sent, without ears. Method: docs/media.md "The judge".
 * Measures depend on the material; test_judge.c calibrates them against known degradations. */
#ifndef TESTS_SUPPORT_JUDGE_H
#define TESTS_SUPPORT_JUDGE_H

#include "tests/support/judge_wav.h"

/** Everything is compared at this rate: the telephone band. */
#define JUDGE_RATE_HZ    8000
#define JUDGE_DIGITS_MAX 127

struct judge_result {
    double delay_ms;           /**< got behind ref */
    double delay_wander_ms;    /**< spread of the local delays: clock drift, lost or inserted audio */
    double similarity;         /**< spectro-temporal, 0..1; 1 is identical */
    double band_snr_db;        /**< segmental, 300..3400 Hz, active frames */
    double longest_dropout_ms; /**< ref speaks and got is silent */
    double dropout_at_s;       /**< where in ref */
    unsigned dropouts;         /**< of 20 ms and more */
    double gain_db;            /**< level of got relative to ref */
};

/** 0; -EINVAL when one of them is shorter than 0.5 s or silent; -ENOMEM. */
int judge_compare(const struct judge_audio *ref, const struct judge_audio *got, struct judge_result *ret);

struct judge_tone_result {
    double peak_hz;
    double snr_db; /**< power near hz against the rest of 100..3800 Hz */
    double level_dbfs;
};

/** The first 0.2 s are left out. 0, -EINVAL (too short), -ENOMEM. */
int judge_tone(const struct judge_audio *got, double hz, struct judge_tone_result *ret);

/** DTMF digits in order. 0 or -ENOMEM. */
int judge_digits(const struct judge_audio *got, char ret[static JUDGE_DIGITS_MAX + 1]);

#endif
