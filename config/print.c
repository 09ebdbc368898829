/* The configuration as text: what is in force, and the manual. See config.h. */
#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "config/value.h"

/** A text that grows; failed allocations make it NULL for good. */
struct text {
    char *data;
    size_t len;
    size_t room;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *out, const char *fmt, ...)
{
    va_list ap;
    int need;

    va_start(ap, fmt);
    need = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (out->failed || need < 0)
        return;
    if (out->room - out->len <= (size_t)need) {
        size_t room = (out->room + (size_t)need + 1) * 2;
        char *data = realloc(out->data, room);
        if (!data) {
            out->failed = true;
            return;
        }
        out->data = data;
        out->room = room;
    }
    va_start(ap, fmt);
    (void)vsnprintf(out->data + out->len, out->room - out->len, fmt, ap);
    va_end(ap);
    out->len += (size_t)need;
}

static char *finish(struct text *out)
{
    if (out->failed) {
        free(out->data);
        return NULL;
    }
    return out->data;
}

static void add_value(struct text *out, const struct cfg_field *field, const void *base)
{
    char *value = cfg_value_text(field, base);

    if (value)
        add(out, "%s\n", value);
    else
        out->failed = true;
    free(value);
}

static void print_group(struct text *out, const struct cfg_schema *schema, const void *base, int indent, bool in_list);

static void print_list(struct text *out, const struct cfg_schema *schema, const struct cfg_list *list, int indent)
{
    if (!list->count)
        add(out, " []\n");
    else
        add(out, "\n");
    for (size_t i = 0; i < list->count; i++) {
        const void *base = (const char *)list->item + i * schema->size;
        add(out, "%*s- ", indent, "");
        if (schema->is_scalar)
            add_value(out, &schema->field[0], base);
        else
            print_group(out, schema, base, indent + 2, true);
    }
}

/** in_list: the first line's indent has been written as "- ". */
static void print_group(struct text *out, const struct cfg_schema *schema, const void *base, int indent, bool in_list)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct cfg_field *field = &schema->field[i];
        const void *place = (const char *)base + field->offset;
        add(out, "%*s%s:", i == 0 && in_list ? 0 : indent, "", field->name);
        if (field->kind == CFG_GROUP) {
            add(out, "\n");
            print_group(out, field->sub, place, indent + 2, false);
        } else if (field->kind == CFG_LIST) {
            print_list(out, field->sub, place, indent + 2);
        } else {
            add(out, " ");
            add_value(out, field, base);
        }
    }
}

char *cfg_to_text(const struct cfg *cfg)
{
    struct text out = { 0 };

    print_group(&out, &cfg_schema, cfg, 0, false);
    return finish(&out);
}

static void describe(struct text *out, const struct cfg_schema *schema, const char *path)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct cfg_field *field = &schema->field[i];
        char type[128];
        char full[96];

        (void)snprintf(full, sizeof full, "%s%s%s", path, *path ? "." : "", field->name);
        cfg_value_type(field, type, sizeof type);
        add(out, "%s%s (%s", full, field->kind == CFG_LIST ? "[]" : "", type);
        if (field->kind == CFG_LIST && field->sub->is_scalar) {
            cfg_value_type(&field->sub->field[0], type, sizeof type);
            add(out, " of %s", type);
        }
        if (field->flags & CFG_REQUIRED)
            add(out, ", required");
        if (field->default_text)
            add(out, ", default %s%s", field->flags & CFG_IN_DATA_DIR ? "DATA_DIR/" : "", field->default_text);
        add(out, ")\n    %s\n", field->help);
        if (field->kind == CFG_GROUP) {
            describe(out, field->sub, full);
        } else if (field->kind == CFG_LIST && !field->sub->is_scalar) {
            char entry[96];
            (void)snprintf(entry, sizeof entry, "%.80s[]", full);
            describe(out, field->sub, entry);
        }
    }
}

char *cfg_manual(void)
{
    struct text out = { 0 };

    describe(&out, &cfg_schema, "");
    return finish(&out);
}
