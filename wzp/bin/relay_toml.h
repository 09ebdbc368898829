/* The part of TOML 1.0 that relay configuration files use: comments, `key = value` with strings, decimal
 * integers, booleans and lists of strings, and [[tables]] of such keys. Strict: everything else is a mistake with
 * its line, never a guess (docs/decisions/0008). Which keys exist is not known here. Thread: any. */
#ifndef WZP_BIN_RELAY_TOML_H
#define WZP_BIN_RELAY_TOML_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/bin/relay_mistakes.h"

/** Largest file. */
#define RELAY_TOML_MAX_BYTES (256u * 1024)
/** Key = value pairs in a file, and strings in one list. */
#define RELAY_TOML_ENTRIES_MAX 4096
#define RELAY_TOML_LIST_MAX    1024

enum relay_toml_type { RELAY_TOML_STRING, RELAY_TOML_INTEGER, RELAY_TOML_BOOLEAN, RELAY_TOML_STRINGS };

struct relay_toml_value {
    enum relay_toml_type type;
    char *text; /**< of STRING; UTF-8 without NUL inside */
    int64_t integer;
    bool boolean;
    char **item; /**< of STRINGS */
    size_t count;
};

struct relay_toml_entry {
    size_t table; /**< 0: the top level, n: the n-th [[table]] of the file */
    char *key;
    unsigned line;
    struct relay_toml_value value;
};

struct relay_toml_table {
    char *name;
    unsigned line;
};

struct relay_toml {
    struct relay_toml_entry *entry; /**< in the order of the file */
    size_t count;
    struct relay_toml_table *table;
    size_t table_count;
};

/**
 * Read a text. What is right is kept even when there are mistakes, so that all can be told at once.
 *
 * @param ret       Overwritten; free with relay_toml_done().
 * @param mistakes  Those found are added.
 * @return          0 (see mistakes) or -ENOMEM.
 */
int relay_toml_parse(struct wz_bytes text, struct relay_toml *ret, struct relay_mistakes *mistakes);
void relay_toml_done(struct relay_toml *toml);
/** "a string", "an integer", ... */
const char *relay_toml_type_name(enum relay_toml_type type);

#endif
