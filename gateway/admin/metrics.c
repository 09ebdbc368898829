/* See metrics.h. Format: Prometheus text exposition format 0.0.4. */
#include "gateway/admin/metrics.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Longest metric name; deeper or longer ones are left out. */
#define NAME_MAX_BYTES 160
#define DEPTH_MAX      8

/** Names hold letters, digits and underscores only. */
static bool join(char *out, size_t size, const char *prefix, const char *key)
{
    int len = snprintf(out, size, "%s_%s", prefix, key);

    if (len < 0 || (size_t)len >= size)
        return false;
    for (char *p = out; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
        if (!letter && !(*p >= '0' && *p <= '9'))
            *p = '_';
    }
    return true;
}

static void print_value(FILE *out, const char *name, const json_t *value)
{
    if (json_is_integer(value))
        (void)fprintf(out, "# TYPE %s untyped\n%s %" JSON_INTEGER_FORMAT "\n", name, name, json_integer_value(value));
    else if (json_is_real(value))
        (void)fprintf(out, "# TYPE %s untyped\n%s %.9g\n", name, name, json_real_value(value));
    else if (json_is_boolean(value))
        (void)fprintf(out, "# TYPE %s gauge\n%s %d\n", name, name, json_is_true(value) ? 1 : 0);
}

static void print_object(FILE *out, const char *prefix, const json_t *object, int depth)
{
    const char *key;
    json_t *value;

    if (depth == DEPTH_MAX)
        return;
    /* jansson's iteration takes no const, and changes nothing. */
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        char name[NAME_MAX_BYTES];
        if (!join(name, sizeof name, prefix, key))
            continue;
        if (json_is_object(value))
            print_object(out, name, value, depth + 1);
        else
            print_value(out, name, value);
    }
}

char *gw_metrics_text(const struct json_t *stats, const char *prefix)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    bool failed;

    if (!out)
        return NULL;
    print_object(out, prefix, stats, 0);
    failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
