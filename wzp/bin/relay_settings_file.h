/* Inside of the settings table, for relay_settings.c and relay_settings_file.c only. */
#ifndef WZP_BIN_RELAY_SETTINGS_FILE_H
#define WZP_BIN_RELAY_SETTINGS_FILE_H

#include "wzp/bin/relay_settings.h"

enum relay_setting_kind {
    RELAY_KIND_LISTEN, /**< IP[:PORT] */
    RELAY_KIND_PUBLIC, /**< the same, a real address */
    RELAY_KIND_METRICS_LISTEN,
    RELAY_KIND_METRICS_PORT, /**< a port of 127.0.0.1 */
    RELAY_KIND_TEXT,         /**< min..max bytes */
    RELAY_KIND_URL,
    RELAY_KIND_LEVEL,
    RELAY_KIND_COUNT,   /**< min..max */
    RELAY_KIND_FLAG,    /**< true or false */
    RELAY_KIND_LIST,    /**< of strings; only among the unserved */
    RELAY_KIND_IGNORED, /**< an integer the reference ignores, too */
};

struct relay_setting {
    const char *name;        /**< key in the file; NULL: none */
    const char *flag;        /**< long option; NULL: none */
    const char *placeholder; /**< of the flag's value; NULL: it takes none */
    enum relay_setting_kind kind;
    size_t offset; /**< of the member of struct relay_settings; unused when unserved */
    unsigned min, max;
    const char *default_text; /**< NULL: absent unless set */
    bool is_live;
    const char *unserved;
    const char *help;
};

/** 0 or -EINVAL with what was expected. */
int relay_setting_set_integer(const struct relay_setting *setting, struct relay_settings *settings, int64_t value,
                              char expected[static RELAY_MISTAKE_TEXT]);
/** 0 */
int relay_setting_set_flag(const struct relay_setting *setting, struct relay_settings *settings, bool value);
/** Text in lines of at most width characters, each after `before`. */
void relay_setting_print_wrapped(FILE *out, const char *text, const char *before, int width);

#endif
