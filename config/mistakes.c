/* See mistakes.h. */
#include "config/mistakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Longer names get no hint; also bounds the distance table. */
#define HINT_NAME_MAX 32

void cfg_mistakes_add(struct cfg_mistakes *mistakes, struct cfg_place place, const char *path, const char *fmt, ...)
{
    struct cfg_mistake *mistake;
    va_list ap;

    if (mistakes->count == CFG_MISTAKES_MAX) {
        mistakes->dropped++;
        return;
    }
    if (!mistakes->item)
        mistakes->item = calloc(CFG_MISTAKES_MAX, sizeof *mistakes->item);
    if (!mistakes->item) {
        mistakes->dropped++;
        return;
    }
    mistake = &mistakes->item[mistakes->count++];
    mistake->line = place.line;
    mistake->col = place.col;
    (void)snprintf(mistake->path, sizeof mistake->path, "%s", path);
    va_start(ap, fmt);
    (void)vsnprintf(mistake->text, sizeof mistake->text, fmt, ap); /* cut: a hint, not data */
    va_end(ap);
}

static int by_place(const void *a, const void *b)
{
    const struct cfg_mistake *x = a;
    const struct cfg_mistake *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->col < y->col ? -1 : x->col > y->col;
}

void cfg_mistakes_sort(struct cfg_mistakes *mistakes)
{
    if (mistakes->count > 1)
        qsort(mistakes->item, mistakes->count, sizeof *mistakes->item, by_place);
}

bool cfg_mistakes_any(const struct cfg_mistakes *mistakes)
{
    return mistakes->count + mistakes->dropped > 0;
}

void cfg_mistakes_done(struct cfg_mistakes *mistakes)
{
    free(mistakes->item);
    *mistakes = (struct cfg_mistakes){ 0 };
}

char *cfg_mistake_text(const char *file, const struct cfg_mistake *mistake)
{
    const char *colon = *mistake->path ? ": " : "";
    size_t size = strlen(file) + sizeof mistake->path + sizeof mistake->text + 32;
    char *text = malloc(size);

    if (text)
        (void)snprintf(text, size, "%s:%u:%u: %s%s%s", file, mistake->line, mistake->col, mistake->path, colon,
                       mistake->text);
    return text;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/** Levenshtein distance of two short words. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[HINT_NAME_MAX + 1];

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

size_t cfg_nearest_limit(const char *word)
{
    return strlen(word) < 4 ? 2 : 4; /* below this distance it is a slip of the finger */
}

const char *cfg_nearer(const char *word, const char *candidate, const char *best, size_t *best_distance)
{
    size_t word_len = strlen(word);
    size_t candidate_len = strlen(candidate);
    size_t d;

    if (word_len > HINT_NAME_MAX || candidate_len > HINT_NAME_MAX)
        return best;
    d = distance(word, word_len, candidate, candidate_len);
    if (d >= *best_distance || d >= candidate_len)
        return best;
    *best_distance = d;
    return candidate;
}
