/* Collecting mistakes while a file is walked. For the files in config/ only. */
#ifndef CONFIG_MISTAKES_H
#define CONFIG_MISTAKES_H

#include "config/config.h"

/** A place in the file; both count from 1. */
struct cfg_place {
    unsigned line;
    unsigned col;
};

/** Add one; silently counted beyond CFG_MISTAKES_MAX or without memory. */
void cfg_mistakes_add(struct cfg_mistakes *mistakes, struct cfg_place place, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void cfg_mistakes_sort(struct cfg_mistakes *mistakes);
/** Any kept or dropped. */
bool cfg_mistakes_any(const struct cfg_mistakes *mistakes);

/** The candidate nearest to word by edit distance, NULL when none is near. Keep *ret_distance between calls. */
const char *cfg_nearer(const char *word, const char *candidate, const char *best, size_t *best_distance);
/** Start value for best_distance: farther candidates are no help. */
size_t cfg_nearest_limit(const char *word);

#endif
