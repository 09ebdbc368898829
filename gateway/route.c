#include "gateway/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum key_kind { KEY_ALIAS, KEY_NUMBER, KEY_USER, KEY_FINGERPRINT, KEY_KINDS };

/* One sorted array per kind of key: built once, searched by bisection. */
struct index {
    const struct gw_route_entry **row;
    size_t count;
};

struct gw_routes {
    struct gw_route_entry *entry;
    struct index by[KEY_KINDS];
};

static const char *key_of(const struct gw_route_entry *entry, enum key_kind kind)
{
    switch (kind) {
    case KEY_ALIAS:
        return entry->alias;
    case KEY_NUMBER:
        return entry->number;
    case KEY_USER:
        return entry->user;
    default:
        return entry->fingerprint;
    }
}

#define COMPARE(NAME, KIND)                                                                                            \
    static int NAME(const void *a, const void *b)                                                                      \
    {                                                                                                                  \
        return strcmp(key_of(*(const struct gw_route_entry *const *)a, KIND),                                          \
                      key_of(*(const struct gw_route_entry *const *)b, KIND));                                         \
    }
COMPARE(compare_alias, KEY_ALIAS)
COMPARE(compare_number, KEY_NUMBER)
COMPARE(compare_user, KEY_USER)
COMPARE(compare_fingerprint, KEY_FINGERPRINT)

static int (*const compare[KEY_KINDS])(const void *, const void *) = {
    [KEY_ALIAS] = compare_alias,
    [KEY_NUMBER] = compare_number,
    [KEY_USER] = compare_user,
    [KEY_FINGERPRINT] = compare_fingerprint,
};

static int build_index(struct index *index, enum key_kind kind, const struct gw_route_entry *entry, size_t count)
{
    index->row = calloc(count ? count : 1, sizeof *index->row);
    if (!index->row)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (key_of(&entry[i], kind))
            index->row[index->count++] = &entry[i];
    }
    qsort(index->row, index->count, sizeof *index->row, compare[kind]);
    return 0;
}

int gw_routes_new(struct gw_routes **ret, const struct gw_route_entry *entries, size_t count)
{
    int err = -ENOMEM;
    struct gw_routes *routes = calloc(1, sizeof *routes);
    if (!routes)
        goto out;
    routes->entry = calloc(count ? count : 1, sizeof *routes->entry);
    if (!routes->entry)
        goto out;
    if (count)
        memcpy(routes->entry, entries, count * sizeof *entries);
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        err = build_index(&routes->by[kind], (enum key_kind)kind, routes->entry, count);
        if (err)
            goto out;
    }
    *ret = routes, routes = NULL, err = 0;
out:
    gw_routes_free(routes);
    return err;
}

void gw_routes_free(struct gw_routes *routes)
{
    if (!routes)
        return;
    for (int kind = 0; kind < KEY_KINDS; kind++)
        free(routes->by[kind].row);
    free(routes->entry);
    free(routes);
}

static const struct gw_route_entry *find(const struct gw_routes *routes, enum key_kind kind, const char *key)
{
    const struct index *index = &routes->by[kind];
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(key, key_of(index->row[mid], kind));
        if (order == 0)
            return index->row[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* 32 hex digits with or without colons and dashes, nothing else. */
static bool as_fingerprint(const char *dialled, char ret[static GW_FINGERPRINT_TEXT])
{
    char text[GW_FINGERPRINT_TEXT];
    size_t digits = 0, out = 0;
    for (const char *p = dialled; *p; p++) {
        char c = *p;
        if (c == ':' || c == '-')
            continue;
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) || digits == 32)
            return false;
        if (digits && digits % 4 == 0)
            text[out++] = ':';
        text[out++] = c;
        digits++;
    }
    if (digits != 32)
        return false;
    text[out] = '\0';
    memcpy(ret, text, sizeof text);
    return true;
}

/* "+49 (30) 123-456" and "+4930123456" are one number; anything with a letter is not a number at all. */
static bool as_number(const char *dialled, char ret[static GW_DIALLED_MAX])
{
    size_t out = 0;
    for (const char *p = dialled; *p; p++) {
        if (strchr(" -.()/", *p))
            continue;
        if (!(*p >= '0' && *p <= '9') && !strchr("+*#", *p))
            return false;
        if (out + 1 >= GW_DIALLED_MAX)
            return false;
        ret[out++] = *p;
    }
    ret[out] = '\0';
    return out > 0;
}

static void fits(struct gw_route *ret, enum gw_route_rule rule, const char *fingerprint)
{
    ret->rule = rule;
    ret->refusal = GW_CAUSE_NONE;
    memcpy(ret->fingerprint, fingerprint, strlen(fingerprint) + 1);
}

void gw_routes_find(const struct gw_routes *routes, const char *dialled, struct gw_route *ret)
{
    char text[GW_DIALLED_MAX];
    const struct gw_route_entry *row;
    *ret = (struct gw_route){ .rule = GW_RULE_NONE, .refusal = GW_CAUSE_NOT_FOUND };
    if (as_fingerprint(dialled, ret->fingerprint)) {
        memcpy(text, ret->fingerprint, GW_FINGERPRINT_TEXT);
        fits(ret, GW_RULE_FINGERPRINT, text);
    } else if ((row = find(routes, KEY_ALIAS, dialled)) != NULL) {
        fits(ret, GW_RULE_ALIAS, row->fingerprint);
    } else if (as_number(dialled, text) && (row = find(routes, KEY_NUMBER, text)) != NULL) {
        fits(ret, GW_RULE_NUMBER, row->fingerprint);
    } else if ((row = find(routes, KEY_USER, dialled)) != NULL) {
        fits(ret, GW_RULE_USER, row->fingerprint);
    }
}

const struct gw_route_entry *gw_routes_by_fingerprint(const struct gw_routes *routes, const char *fingerprint)
{
    return find(routes, KEY_FINGERPRINT, fingerprint);
}

const char *gw_route_rule_name(enum gw_route_rule rule)
{
    static const char *const names[] = { "none", "fingerprint", "alias", "number", "user" };
    return (unsigned)rule < sizeof names / sizeof names[0] ? names[rule] : "?";
}
