/* See check.h. */
#include "config/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INITIAL_MARKS 64
#define PATH_BYTES    sizeof(((struct cfg_mistake *)NULL)->path)

void cfg_checker_mark(struct cfg_checker *checker, const void *value, const void *what, struct cfg_place place)
{
    if (checker->mark_count == checker->mark_room) {
        size_t room = checker->mark_room ? checker->mark_room * 2 : INITIAL_MARKS;
        struct cfg_mark *mark = realloc(checker->mark, room * sizeof *mark);
        if (!mark) {
            checker->out_of_memory = true;
            return;
        }
        checker->mark = mark;
        checker->mark_room = room;
    }
    checker->mark[checker->mark_count++] = (struct cfg_mark){ .value = value, .what = what, .place = place };
}

bool cfg_checker_find(const struct cfg_checker *checker, const void *value, const void *what, struct cfg_place *ret)
{
    /* Backwards: rules mostly ask about what was just read. */
    for (size_t i = checker->mark_count; i-- > 0;) {
        const struct cfg_mark *mark = &checker->mark[i];
        if (mark->value == value && mark->what == what) {
            *ret = mark->place;
            return true;
        }
    }
    return false;
}

bool cfg_checker_is_set(const struct cfg_checker *checker, const struct cfg_schema *schema, const void *base,
                        const char *name)
{
    const struct cfg_field *field = cfg_schema_find(schema, name);
    const void *value = (const char *)base + field->offset;

    for (size_t i = checker->mark_count; i-- > 0;) {
        const struct cfg_mark *mark = &checker->mark[i];
        if (mark->value == value && mark->what == field)
            return true;
        if (mark->value == base && mark->what == schema)
            return false; /* the group's own mark comes before those of its members */
    }
    return false;
}

void cfg_checker_done(struct cfg_checker *checker)
{
    free(checker->mark);
    checker->mark = NULL;
}

/** Report about setting name of the struct at value; points at the setting if it was set, else at its group.
 */
static void complain(struct cfg_checker *checker, const struct cfg_schema *schema, const void *value, const char *path,
                     const char *name, const char *reason)
{
    const struct cfg_field *field = cfg_schema_find(schema, name);
    struct cfg_place place = { .line = 1, .col = 1 };
    char full[PATH_BYTES];

    if (!field || !cfg_checker_find(checker, (const char *)value + field->offset, field, &place))
        (void)cfg_checker_find(checker, value, schema, &place);
    (void)snprintf(full, sizeof full, "%s%s%s", path, *path ? "." : "", name);
    cfg_mistakes_add(checker->mistakes, place, full, "%s", reason);
}

static const struct cfg_schema *sub_schema(const char *group)
{
    return cfg_schema_find(&cfg_schema, group)->sub;
}

void cfg_check_sip(struct cfg_checker *checker, const void *value, const char *path)
{
    const struct cfg_sip *sip = value;

    if (!sip->udp && !sip->tcp)
        complain(checker, sub_schema("sip"), value, path, "udp", "udp and tcp cannot both be off");
    if (sip->min_expires_s > sip->max_expires_s)
        complain(checker, sub_schema("sip"), value, path, "min_expires", "is more than max_expires");
}

void cfg_check_media(struct cfg_checker *checker, const void *value, const char *path)
{
    const struct cfg_media *media = value;

    if (media->ports_first >= media->ports_last)
        complain(checker, sub_schema("media"), value, path, "ports_last", "must be more than ports_first");
    if (media->jitter_target_ms > media->jitter_max_ms)
        complain(checker, sub_schema("media"), value, path, "jitter_target_ms", "is more than jitter_max_ms");
}

void cfg_check_user(struct cfg_checker *checker, const void *value, const char *path)
{
    const struct cfg_schema *schema = sub_schema("users");
    const struct cfg_user *user = value;
    bool password = cfg_checker_is_set(checker, schema, user, "password");
    bool ha1 = cfg_checker_is_set(checker, schema, user, "ha1");

    if (!password && !ha1)
        complain(checker, schema, value, path, "password", "is missing (or give ha1)");
    if (password && ha1)
        complain(checker, schema, value, path, "ha1", "give a password or ha1, not both");
    if (!password && ha1 && user->digest != CFG_DIGEST_MD5)
        complain(checker, schema, value, path, "digest", "ha1 is an MD5 value; SHA-256 needs the password");
}

void cfg_check_contact(struct cfg_checker *checker, const void *value, const char *path)
{
    const struct cfg_contact *contact = value;

    if (!contact->alias && !contact->number)
        complain(checker, sub_schema("directory"), value, path, "alias", "an entry needs an alias or a number");
}

void cfg_check_admin(struct cfg_checker *checker, const void *value, const char *path)
{
    const struct cfg_admin *admin = value;

    if (admin->http.family != WZ_ADDR_NONE && wz_addr_kind(&admin->http) != WZ_ADDR_KIND_LOOPBACK)
        complain(checker, sub_schema("admin"), value, path, "http",
                 "must be a loopback address (127.0.0.1 or ::1): this port asks for no password");
}

/* ---- uniqueness ---- */

/** One use of a text that must be used once. */
struct use {
    const char *text;
    const void *value; /**< the member, for its place */
    const struct cfg_field *field;
    const char *list; /**< "users"; index follows; NULL list: path is the field's own */
    size_t index;
    size_t order;
};

struct uses {
    struct use *item;
    size_t count;
};

static int by_text(const void *a, const void *b)
{
    const struct use *x = a;
    const struct use *y = b;
    int order = strcmp(x->text, y->text);

    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

/** Report all but the first use of each text. */
static void report_repeated(struct cfg_checker *checker, struct uses *uses)
{
    if (uses->count < 2)
        return;
    qsort(uses->item, uses->count, sizeof *uses->item, by_text);
    for (size_t i = 1, first = 0; i < uses->count; i++) {
        const struct use *use = &uses->item[i];
        struct cfg_place place = { .line = 1, .col = 1 };
        struct cfg_place before = place;
        char path[PATH_BYTES];

        if (strcmp(use->text, uses->item[first].text) != 0) {
            first = i;
            continue;
        }
        (void)cfg_checker_find(checker, use->value, use->field, &place);
        if (use->list)
            (void)snprintf(path, sizeof path, "%.60s[%zu].%s", use->list, use->index, use->field->name);
        else
            (void)snprintf(path, sizeof path, "echo.%s", use->field->name);
        if (cfg_checker_find(checker, uses->item[first].value, uses->item[first].field, &before))
            cfg_mistakes_add(checker->mistakes, place, path, "\"%s\" was already used on line %u", use->text,
                             before.line);
        else
            cfg_mistakes_add(checker->mistakes, place, path, "\"%s\" is already the number of the echo", use->text);
    }
}

static void add_use(struct uses *uses, const struct cfg_field *field, const void *base, const char *list, size_t index)
{
    const void *value = (const char *)base + field->offset;
    const char *text = *(char *const *)value;

    if (!text)
        return;
    uses->item[uses->count] = (struct use){
        .text = text, .value = value, .field = field, .list = list, .index = index, .order = uses->count
    };
    uses->count++;
}

static bool uses_init(struct cfg_checker *checker, struct uses *uses, size_t room)
{
    *uses = (struct uses){ .item = calloc(room ? room : 1, sizeof *uses->item) };
    if (!uses->item)
        checker->out_of_memory = true;
    return uses->item != NULL;
}

static void add_list(struct uses *uses, const struct cfg_field *field, const struct cfg_schema *schema,
                     const struct cfg_list *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++)
        add_use(uses, field, (const char *)list->item + i * schema->size, path, i);
}

void cfg_check_unique(struct cfg_checker *checker, const struct cfg_schema *schema, const struct cfg_list *list,
                      const char *path)
{
    for (size_t f = 0; f < schema->count; f++) {
        struct uses uses;
        if (!(schema->field[f].flags & CFG_UNIQUE) || !uses_init(checker, &uses, list->count))
            continue;
        add_list(&uses, &schema->field[f], schema, list, path);
        report_repeated(checker, &uses);
        free(uses.item);
    }
}

/** Whoever is dialled must be one: a number or alias names one user, contact or the echo. */
static void check_dialled(struct cfg_checker *checker, const struct cfg *cfg, const char *name)
{
    const struct cfg_schema *users = sub_schema("users");
    const struct cfg_schema *directory = sub_schema("directory");
    const struct cfg_field *echo = cfg_schema_find(sub_schema("echo"), name);
    struct uses uses;

    if (!uses_init(checker, &uses, cfg->users.count + cfg->directory.count + 1))
        return;
    if (echo && cfg->echo.enabled)
        add_use(&uses, echo, &cfg->echo, NULL, 0);
    add_list(&uses, cfg_schema_find(users, name), users, (const struct cfg_list *)&cfg->users, "users");
    add_list(&uses, cfg_schema_find(directory, name), directory, (const struct cfg_list *)&cfg->directory, "directory");
    report_repeated(checker, &uses);
    free(uses.item);
}

void cfg_check_whole(struct cfg_checker *checker, const void *value, const char *path)
{
    const struct cfg_schema *relay = sub_schema("relay");
    const struct cfg *cfg = value;
    struct cfg_place unused;
    bool chosen = cfg_checker_find(checker, &cfg->relay.embedded, cfg_schema_find(relay, "embedded"), &unused);

    (void)path;
    check_dialled(checker, cfg, "number");
    check_dialled(checker, cfg, "alias");
    if (!cfg->relay.embedded && !cfg->relay.connect.host)
        complain(checker, relay, &cfg->relay, "relay", "embedded", "without the embedded relay, connect must name one");
    if (chosen && cfg->relay.embedded && cfg->relay.connect.host)
        complain(checker, relay, &cfg->relay, "relay", "embedded",
                 "connect names another relay; leave out one of the two");
}
