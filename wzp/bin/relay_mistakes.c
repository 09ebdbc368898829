/* See relay_mistakes.h. */
#include "wzp/bin/relay_mistakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** Longer names are compared with nothing. */
#define WORD_MAX_BYTES 48

void relay_mistake(struct relay_mistakes *mistakes, unsigned line, const char *format, ...)
{
    mistakes->count++;
    if (mistakes->kept == RELAY_MISTAKES_MAX)
        return;
    struct relay_mistake *mistake = &mistakes->item[mistakes->kept++];
    va_list args;
    mistake->line = line;
    va_start(args, format);
    (void)vsnprintf(mistake->text, sizeof mistake->text, format, args); /* cut at the limit */
    va_end(args);
}

void relay_mistakes_sort(struct relay_mistakes *mistakes)
{
    for (size_t i = 1; i < mistakes->kept; i++) {
        const struct relay_mistake moving = mistakes->item[i];
        size_t to = i;
        for (; to > 0 && mistakes->item[to - 1].line > moving.line; to--)
            mistakes->item[to] = mistakes->item[to - 1];
        mistakes->item[to] = moving;
    }
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    const size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/** Letters to change, add or drop to make one word out of the other (Levenshtein). */
static size_t edits_between(const char *a, const char *b)
{
    const size_t a_len = strlen(a), b_len = strlen(b);
    size_t row[WORD_MAX_BYTES + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *relay_nearest_name(const char *word, const char *const *candidate, size_t count)
{
    const char *best = NULL;
    size_t best_edits = strlen(word) < 4 ? 2 : 4; /* from here on it is no slip of the finger */
    if (strlen(word) > WORD_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(candidate[i]) > WORD_MAX_BYTES)
            continue;
        const size_t edits = edits_between(word, candidate[i]);
        if (edits < best_edits && edits < strlen(candidate[i])) {
            best_edits = edits;
            best = candidate[i];
        }
    }
    return best;
}
