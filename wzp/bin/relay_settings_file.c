/* The settings file: what its TOML says into struct relay_settings, and the template of a new one. */
#include "wzp/bin/relay_settings_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "wzp/bin/relay_toml.h"
#include "wzp/io/seed_file.h"

/** Names of the file are fewer than this. */
#define NAMES_MAX 64

static const char *const reference_tables[] = { "peers", "trusted", "global_rooms" };
#define REFERENCE_TABLES (sizeof reference_tables / sizeof reference_tables[0])

struct reading {
    struct relay_settings *settings;
    struct relay_mistakes *mistakes, *notes;
    const struct relay_setting *metrics; /* which of the two ways it was set by; NULL: not yet */
};

static const struct relay_setting *find_setting(const char *name)
{
    for (size_t i = 0; i < relay_setting_count(); i++) {
        const struct relay_setting *setting = relay_setting_at(i);
        if (setting->name && strcmp(setting->name, name) == 0)
            return setting;
    }
    return NULL;
}

static void unknown_key(struct reading *r, const struct relay_toml_entry *entry)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < relay_setting_count() && count < NAMES_MAX; i++)
        if (relay_setting_at(i)->name)
            names[count++] = relay_setting_at(i)->name;
    const char *nearest = relay_nearest_name(entry->key, names, count);
    relay_mistake(r->mistakes, entry->line, "unknown setting %s%s%s%s", entry->key, nearest ? ", did you mean " : "",
                  nearest ? nearest : "", nearest ? "?" : "");
}

static enum relay_toml_type wanted_type(const struct relay_setting *setting)
{
    switch (setting->kind) {
    case RELAY_KIND_COUNT:
    case RELAY_KIND_METRICS_PORT:
    case RELAY_KIND_IGNORED:
        return RELAY_TOML_INTEGER;
    case RELAY_KIND_FLAG:
        return RELAY_TOML_BOOLEAN;
    case RELAY_KIND_LIST:
        return RELAY_TOML_STRINGS;
    default:
        return RELAY_TOML_STRING;
    }
}

/** Does it ask for nothing: the value the reference has without it? */
static bool asks_for_nothing(const struct relay_toml_value *value)
{
    switch (value->type) {
    case RELAY_TOML_STRING:
        return value->text[0] == '\0';
    case RELAY_TOML_INTEGER:
        return false;
    case RELAY_TOML_BOOLEAN:
        return !value->boolean;
    case RELAY_TOML_STRINGS:
        return value->count == 0;
    }
    return false;
}

static int set_value(struct reading *r, const struct relay_setting *setting, const struct relay_toml_entry *entry)
{
    const struct relay_toml_value *value = &entry->value;
    char expected[RELAY_MISTAKE_TEXT], shown[RELAY_MISTAKE_QUOTE];
    int err;
    if (value->type == RELAY_TOML_BOOLEAN)
        return relay_setting_set_flag(setting, r->settings, value->boolean);
    if (value->type == RELAY_TOML_INTEGER) {
        err = relay_setting_set_integer(setting, r->settings, value->integer, expected);
        (void)snprintf(shown, sizeof shown, "%lld", (long long)value->integer);
    } else {
        err = relay_setting_set_text(setting, r->settings, value->text, expected);
        (void)wz_log_quote(value->text, shown, sizeof shown);
    }
    if (err == -EINVAL)
        relay_mistake(r->mistakes, entry->line, "%s = %s: expected %s", entry->key, shown, expected);
    return err == -EINVAL ? 0 : err;
}

static int read_entry(struct reading *r, const struct relay_toml_entry *entry)
{
    const struct relay_setting *setting = find_setting(entry->key);
    if (!setting) {
        unknown_key(r, entry);
        return 0;
    }
    if (entry->value.type != wanted_type(setting)) {
        relay_mistake(r->mistakes, entry->line, "%s: expected %s", entry->key,
                      relay_toml_type_name(wanted_type(setting)));
        return 0;
    }
    if (setting->kind == RELAY_KIND_IGNORED) {
        relay_mistake(r->notes, entry->line, "%s has no effect: this relay forwards without a jitter buffer",
                      entry->key);
        return 0;
    }
    if (setting->unserved) {
        relay_mistake(asks_for_nothing(&entry->value) ? r->notes : r->mistakes, entry->line, "%s: %s", entry->key,
                      setting->unserved);
        return 0;
    }
    const bool is_metrics = setting->kind == RELAY_KIND_METRICS_PORT || setting->kind == RELAY_KIND_METRICS_LISTEN;
    if (is_metrics && r->metrics) {
        relay_mistake(r->mistakes, entry->line, "%s and %s exclude each other", entry->key, r->metrics->name);
        return 0;
    }
    if (is_metrics)
        r->metrics = setting;
    return set_value(r, setting, entry);
}

static void refuse_table(struct reading *r, const struct relay_toml_table *table)
{
    for (size_t i = 0; i < REFERENCE_TABLES; i++)
        if (strcmp(table->name, reference_tables[i]) == 0) {
            relay_mistake(r->mistakes, table->line, "[[%s]]: links between relays are not served by this relay yet",
                          table->name);
            return;
        }
    const char *nearest = relay_nearest_name(table->name, reference_tables, REFERENCE_TABLES);
    relay_mistake(r->mistakes, table->line, "unknown table [[%s]]%s%s%s", table->name,
                  nearest ? ", did you mean [[" : "", nearest ? nearest : "", nearest ? "]]?" : "");
}

int relay_settings_parse(struct relay_settings *settings, struct wz_bytes text, struct relay_mistakes *mistakes,
                         struct relay_mistakes *notes)
{
    struct reading r = { .settings = settings, .mistakes = mistakes, .notes = notes };
    struct relay_toml toml;
    int err = relay_toml_parse(text, &toml, mistakes);
    for (size_t i = 0; !err && i < toml.count; i++)
        if (toml.entry[i].table == 0) /* those of a table are refused with it */
            err = read_entry(&r, &toml.entry[i]);
    for (size_t i = 0; !err && i < toml.table_count; i++)
        refuse_table(&r, &toml.table[i]);
    relay_toml_done(&toml);
    relay_mistakes_sort(mistakes);
    return err;
}

/* ---- files ---- */

/** Reads at most one byte more than is allowed, so that the parser sees it is too large. */
static int read_file(const char *path, char **ret, size_t *ret_len)
{
    const size_t room = RELAY_TOML_MAX_BYTES + 1;
    size_t len = 0;
    ssize_t n = -1;
    int err = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char *text = malloc(room);
    if (!text)
        err = -ENOMEM;
    while (!err && len < room && (n = read(fd, text + len, room - len)) > 0)
        len += (size_t)n;
    if (!err && n < 0)
        err = -errno;
    (void)close(fd);
    if (err) {
        free(text);
        return err;
    }
    *ret = text;
    *ret_len = len;
    return 0;
}

char *relay_settings_template(void)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    (void)fputs("# wzp-relay: every setting with its default, or a word in capitals where it has none.\n"
                "# Remove the # of a line to change it.\n"
                "# The command line overrides this file.\n",
                out);
    for (size_t i = 0; i < relay_setting_count(); i++) {
        const struct relay_setting *setting = relay_setting_at(i);
        if (!setting->name || setting->unserved || setting->kind == RELAY_KIND_IGNORED)
            continue;
        const bool is_text = wanted_type(setting) == RELAY_TOML_STRING;
        (void)fputc('\n', out);
        relay_setting_print_wrapped(out, setting->help, "# ", 100);
        (void)fprintf(out, is_text ? "#%s = \"%s\"\n" : "#%s = %s\n", setting->name,
                      setting->default_text ? setting->default_text : setting->placeholder);
    }
    const bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

/** -EEXIST when somebody was faster. */
static int create_file(const char *path)
{
    char *text = relay_settings_template();
    if (!text)
        return -ENOMEM;
    int err = wzp_make_parent_dirs(path);
    const int fd = err ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (!err && fd < 0)
        err = -errno;
    if (!err && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        err = errno ? -errno : -EIO;
    if (fd >= 0 && close(fd) != 0 && !err)
        err = -errno;
    free(text);
    return err;
}

int relay_settings_load(struct relay_settings *settings, const char *path, struct relay_mistakes *mistakes,
                        struct relay_mistakes *notes, bool *ret_created)
{
    char *text;
    size_t len;
    bool created = false;
    int err = read_file(path, &text, &len);
    if (err == -ENOENT) {
        err = create_file(path);
        created = err == 0;
        if (!err || err == -EEXIST)
            err = read_file(path, &text, &len);
    }
    if (err)
        return err;
    err = relay_settings_parse(settings, wz_bytes(text, len), mistakes, notes);
    free(text);
    if (!err)
        *ret_created = created;
    return err;
}
