/* The table that drives parsing, defaults, checks, printing and the manual. For the files in config/ only. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cfg_kind {
    CFG_TEXT,        /**< char *, min..max bytes, only chars when given */
    CFG_SECRET,      /**< char *, never printed; may be "env:NAME" or "file:PATH" */
    CFG_SEED,        /**< struct cfg_seed, 64 hex digits; a secret too */
    CFG_FINGERPRINT, /**< char[CFG_FINGERPRINT_TEXT] */
    CFG_UINT,        /**< uint32_t, min..max */
    CFG_BOOL,        /**< bool */
    CFG_ENUM,        /**< an enum whose values count from 0 in the order of names */
    CFG_LISTEN,      /**< struct wz_addr, IP:PORT */
    CFG_IP,          /**< struct wz_addr, port 0 */
    CFG_IP_PORT,     /**< struct wz_addr, IP or IP:PORT */
    CFG_HOST,        /**< struct cfg_host, HOST[:PORT]; min is the default port */
    CFG_GROUP,       /**< struct described by sub, inline */
    CFG_LIST,        /**< struct cfg_list of sub, at most max entries */
};

enum cfg_flag {
    CFG_REQUIRED = 1,
    CFG_UNIQUE = 2,      /**< no two entries of the list have the same text */
    CFG_IN_DATA_DIR = 4, /**< default_text is a file name below data_dir */
};

struct cfg_checker;
struct cfg_schema;

struct cfg_field {
    const char *name;
    enum cfg_kind kind;
    unsigned flags;
    size_t offset;
    uint32_t min, max;
    const char *chars;        /**< bytes a text may hold; NULL: any printable UTF-8 */
    const char *const *names; /**< of an enum, NULL-terminated */
    const struct cfg_schema *sub;
    const char *default_text; /**< parsed like a value from the file; NULL: none */
    const char *unit;
    const char *help;
};

struct cfg_schema {
    size_t size;
    const struct cfg_field *field;
    size_t count;
    bool is_scalar; /**< list entries are plain values: field[0], without a name */
    /** Rules between settings; NULL: none. value is a struct described by this schema, path its place. */
    void (*check)(struct cfg_checker *checker, const void *value, const char *path);
};

/** What every struct cfg_xs list looks like. */
struct cfg_list {
    void *item;
    size_t count;
};

extern const struct cfg_schema cfg_schema;

/** The field of that name, NULL when there is none. */
const struct cfg_field *cfg_schema_find(const struct cfg_schema *schema, const char *name);

#endif
