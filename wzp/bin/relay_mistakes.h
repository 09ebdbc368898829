/* What is wrong with a configuration file: every mistake with its line, in the order of the file.
 * Thread: any. Allocates nothing. */
#ifndef WZP_BIN_RELAY_MISTAKES_H
#define WZP_BIN_RELAY_MISTAKES_H

#include <stddef.h>

/** Mistakes kept; further ones are only counted. */
#define RELAY_MISTAKES_MAX 100
#define RELAY_MISTAKE_TEXT 256
/** Peer or user text quoted in a mistake is cut here. */
#define RELAY_MISTAKE_QUOTE 64

struct relay_mistake {
    unsigned line; /**< 0: the file as a whole */
    char text[RELAY_MISTAKE_TEXT];
};

struct relay_mistakes {
    struct relay_mistake item[RELAY_MISTAKES_MAX];
    size_t kept, count;
};

/** Take down one more; a sentence without full stop. */
void relay_mistake(struct relay_mistakes *mistakes, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** By line; those of one line stay in the order they were found. */
void relay_mistakes_sort(struct relay_mistakes *mistakes);

/** The candidate that word was probably meant to be, or NULL. */
const char *relay_nearest_name(const char *word, const char *const *candidate, size_t count);

#endif
