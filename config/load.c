/* YAML document to struct cfg: a walk over libyaml's nodes along the schema, collecting every mistake. See
 * config.h. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "config/check.h"
#include "config/mistakes.h"
#include "config/schema.h"
#include "config/value.h"

/** Most fields of one group; see the assertion-like check in walk_map(). */
#define FIELDS_MAX 32
#define PATH_BYTES sizeof(((struct cfg_mistake *)NULL)->path)

struct walk {
    yaml_document_t *doc;
    bool *seen; /**< by node number */
    const struct cfg_secret_source *secrets;
    struct cfg_checker checker;
};

static void walk_map(struct walk *walk, const yaml_node_t *node, const struct cfg_schema *schema, void *base,
                     const char *path);

static struct cfg_place place_of(const yaml_mark_t *mark)
{
    return (struct cfg_place){ .line = (unsigned)mark->line + 1, .col = (unsigned)mark->column + 1 };
}

#define COMPLAIN(walk, node, path, ...)                                                                                \
    cfg_mistakes_add((walk)->checker.mistakes, place_of(&(node)->start_mark), path, __VA_ARGS__)

static void join_path(char out[static PATH_BYTES], const char *path, const char *name)
{
    (void)snprintf(out, PATH_BYTES, "%.60s%s%s", path, *path ? "." : "", name);
}

static const char *kind_of(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return "a single value";
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a group of settings";
    case YAML_NO_NODE:
    default:
        return "nothing";
    }
}

/** A node may be visited once: aliases can make loops, and a setting should stand where it is used. */
static const yaml_node_t *visit(struct walk *walk, int id, const char *path)
{
    const yaml_node_t *node = yaml_document_get_node(walk->doc, id);

    if (walk->seen[id]) {
        COMPLAIN(walk, node, path, "YAML aliases (*name) are not supported; text that begins with * needs quotes");
        return NULL;
    }
    walk->seen[id] = true;
    return node;
}

/** "", ~, null and none, unquoted, mean "not set". */
static bool is_absent(const yaml_node_t *node)
{
    const char *text;

    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    text = (const char *)node->data.scalar.value;
    return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "none") == 0;
}

static bool is_plain_tag(const yaml_node_t *node)
{
    const char *tag = (const char *)node->tag;

    return !tag || strcmp(tag, YAML_STR_TAG) == 0 || strcmp(tag, YAML_SEQ_TAG) == 0 || strcmp(tag, YAML_MAP_TAG) == 0;
}

static void walk_scalar(struct walk *walk, const yaml_node_t *node, const struct cfg_field *field, void *base,
                        const char *path)
{
    const char *text = (const char *)node->data.scalar.value;
    char reason[CFG_REASON_MAX];
    int err;

    cfg_checker_mark(&walk->checker, (const char *)base + field->offset, field, place_of(&node->start_mark));
    if (strlen(text) != node->data.scalar.length) {
        COMPLAIN(walk, node, path, "contains a NUL character");
        return;
    }
    err = cfg_value_set(field, base, text, walk->secrets, reason);
    if (err == -ENOMEM)
        walk->checker.out_of_memory = true;
    else if (err)
        COMPLAIN(walk, node, path, "%s", reason);
}

/** Give every field below base its default. Defaults of the table are right: a test sets each of them. */
static void set_defaults(struct walk *walk, const struct cfg_schema *schema, void *base)
{
    char reason[CFG_REASON_MAX];

    for (size_t i = 0; i < schema->count; i++) {
        const struct cfg_field *field = &schema->field[i];
        if (field->kind == CFG_GROUP)
            set_defaults(walk, field->sub, (char *)base + field->offset);
        else if (field->default_text && !(field->flags & CFG_IN_DATA_DIR) &&
                 cfg_value_set(field, base, field->default_text, NULL, reason) != 0)
            walk->checker.out_of_memory = true;
    }
}

static void walk_entry(struct walk *walk, int id, const struct cfg_schema *schema, void *base, const char *path)
{
    const yaml_node_t *node = visit(walk, id, path);

    if (!node)
        return;
    if (!is_plain_tag(node)) {
        COMPLAIN(walk, node, path, "YAML tags (!name) are not supported");
    } else if (!schema->is_scalar) {
        walk_map(walk, node, schema, base, path);
    } else if (node->type != YAML_SCALAR_NODE) {
        COMPLAIN(walk, node, path, "must be a single value, not %s", kind_of(node));
    } else {
        walk_scalar(walk, node, &schema->field[0], base, path);
    }
}

static void walk_list(struct walk *walk, const yaml_node_t *node, const struct cfg_field *field, struct cfg_list *list,
                      const char *path)
{
    const yaml_node_item_t *start = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - start);
    char entry[PATH_BYTES];

    if (count > field->max) {
        COMPLAIN(walk, node, path, "has %zu entries; at most %u are allowed", count, field->max);
        return;
    }
    list->item = calloc(count ? count : 1, field->sub->size);
    if (!list->item) {
        walk->checker.out_of_memory = true;
        return;
    }
    list->count = count;
    for (size_t i = 0; i < count; i++) {
        void *base = (char *)list->item + i * field->sub->size;
        (void)snprintf(entry, sizeof entry, "%.60s[%zu]", path, i);
        set_defaults(walk, field->sub, base);
        walk_entry(walk, start[i], field->sub, base, entry);
    }
    cfg_check_unique(&walk->checker, field->sub, list, path);
}

static void walk_value(struct walk *walk, int id, const struct cfg_field *field, void *base, const char *path)
{
    const yaml_node_t *node = visit(walk, id, path);
    yaml_node_type_t wanted = field->kind == CFG_GROUP  ? YAML_MAPPING_NODE
                              : field->kind == CFG_LIST ? YAML_SEQUENCE_NODE
                                                        : YAML_SCALAR_NODE;

    if (!node)
        return;
    if (!is_plain_tag(node)) {
        COMPLAIN(walk, node, path, "YAML tags (!name) are not supported");
    } else if (is_absent(node)) {
        bool needs_value = (field->flags & CFG_REQUIRED) || (field->default_text && field->kind < CFG_GROUP);
        if (needs_value)
            COMPLAIN(walk, node, path, "must have a value");
    } else if (node->type != wanted) {
        const yaml_node_t expected = { .type = wanted };
        COMPLAIN(walk, node, path, "must be %s, not %s", kind_of(&expected), kind_of(node));
    } else if (field->kind == CFG_GROUP) {
        walk_map(walk, node, field->sub, (char *)base + field->offset, path);
    } else if (field->kind == CFG_LIST) {
        walk_list(walk, node, field, (struct cfg_list *)(void *)((char *)base + field->offset), path);
    } else {
        walk_scalar(walk, node, field, base, path);
    }
}

static void complain_unknown(struct walk *walk, const yaml_node_t *key, const struct cfg_schema *schema,
                             const char *path)
{
    const char *name = (const char *)key->data.scalar.value;
    const char *best = NULL;
    size_t best_distance = cfg_nearest_limit(name);

    for (size_t i = 0; i < schema->count; i++)
        best = cfg_nearer(name, schema->field[i].name, best, &best_distance);
    if (best)
        COMPLAIN(walk, key, path, "unknown setting \"%.60s\"; did you mean \"%s\"?", name, best);
    else
        COMPLAIN(walk, key, path, "unknown setting \"%.60s\"", name);
}

/** One "key: value" line of a group. first[] remembers the key node of each field. */
static void walk_pair(struct walk *walk, const yaml_node_pair_t *pair, const struct cfg_schema *schema, void *base,
                      const char *path, const yaml_node_t *first[static FIELDS_MAX])
{
    const yaml_node_t *key = visit(walk, pair->key, path);
    const struct cfg_field *field;
    char full[PATH_BYTES];

    if (!key)
        return;
    if (key->type != YAML_SCALAR_NODE) {
        COMPLAIN(walk, key, path, "a setting's name must be plain text");
        return;
    }
    field = cfg_schema_find(schema, (const char *)key->data.scalar.value);
    if (!field) {
        complain_unknown(walk, key, schema, path);
        return;
    }
    join_path(full, path, field->name);
    if (first[field - schema->field]) {
        COMPLAIN(walk, key, full, "was already set on line %u",
                 place_of(&first[field - schema->field]->start_mark).line);
        return;
    }
    first[field - schema->field] = key;
    walk_value(walk, pair->value, field, base, full);
}

static void walk_map(struct walk *walk, const yaml_node_t *node, const struct cfg_schema *schema, void *base,
                     const char *path)
{
    const yaml_node_t *first[FIELDS_MAX] = { NULL };

    if (node->type != YAML_MAPPING_NODE) {
        COMPLAIN(walk, node, path, "must be a group of settings, not %s", kind_of(node));
        return;
    }
    if (schema->count > FIELDS_MAX)
        abort(); /* the table outgrew FIELDS_MAX: every run would show it */
    cfg_checker_mark(&walk->checker, base, schema, place_of(&node->start_mark));
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++)
        walk_pair(walk, pair, schema, base, path, first);
    for (size_t i = 0; i < schema->count; i++)
        if ((schema->field[i].flags & CFG_REQUIRED) && !first[i])
            COMPLAIN(walk, node, path, "the setting \"%s\" is missing", schema->field[i].name);
    if (schema->check && schema != &cfg_schema)
        schema->check(&walk->checker, base, path);
}

/** "data_dir/name" for each file setting that was left out. */
static int fill_paths(const struct cfg_schema *schema, void *base, const char *data_dir)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct cfg_field *field = &schema->field[i];
        char **place = (char **)(void *)((char *)base + field->offset);
        int err = 0;
        if (field->kind == CFG_GROUP) {
            err = fill_paths(field->sub, place, data_dir);
        } else if ((field->flags & CFG_IN_DATA_DIR) && !*place) {
            size_t size = strlen(data_dir) + strlen(field->default_text) + 2;
            *place = malloc(size);
            if (*place)
                (void)snprintf(*place, size, "%s/%s", data_dir, field->default_text);
            else
                err = -ENOMEM;
        }
        if (err)
            return err;
    }
    return 0;
}

static void clear(const struct cfg_schema *schema, void *base)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct cfg_field *field = &schema->field[i];
        void *place = (char *)base + field->offset;
        if (field->kind == CFG_GROUP) {
            clear(field->sub, place);
        } else if (field->kind == CFG_LIST) {
            struct cfg_list *list = place;
            for (size_t k = 0; k < list->count; k++)
                clear(field->sub, (char *)list->item + k * field->sub->size);
            free(list->item);
        } else {
            cfg_value_clear(field, base);
        }
    }
}

void cfg_free(struct cfg *cfg)
{
    if (!cfg)
        return;
    clear(&cfg_schema, cfg);
    free(cfg);
}

static void complain_syntax(struct cfg_mistakes *mistakes, const yaml_parser_t *parser)
{
    struct cfg_place place = place_of(&parser->problem_mark);
    const char *problem = parser->problem ? parser->problem : "unreadable";
    const char *hint = strstr(problem, "undefined alias") ? " (text that begins with * needs quotes)" : "";

    cfg_mistakes_add(mistakes, place, "", "not valid YAML: %s%s%s%s", parser->context ? parser->context : "",
                     parser->context ? ": " : "", problem, hint);
}

/** An external relay switches the embedded one off unless the file says otherwise (which is then a mistake).
 */
static void settle_relay(const struct cfg_checker *checker, struct cfg_relay *relay)
{
    const struct cfg_schema *schema = cfg_schema_find(&cfg_schema, "relay")->sub;
    struct cfg_place unused;

    if (relay->connect.host &&
        !cfg_checker_find(checker, &relay->embedded, cfg_schema_find(schema, "embedded"), &unused))
        relay->embedded = false;
}

/** Walk the document (NULL: an empty file) into cfg. */
static void walk_document(struct walk *walk, yaml_node_t *root, struct cfg *cfg)
{
    set_defaults(walk, &cfg_schema, cfg);
    if (root && !is_absent(root)) {
        walk->seen[1] = true; /* libyaml numbers the root 1 */
        if (is_plain_tag(root))
            walk_map(walk, root, &cfg_schema, cfg, "");
        else
            COMPLAIN(walk, root, "", "YAML tags (!name) are not supported");
    }
    settle_relay(&walk->checker, &cfg->relay);
    cfg_schema.check(&walk->checker, cfg, "");
}

static void refuse_second_document(yaml_parser_t *parser, struct cfg_mistakes *mistakes)
{
    yaml_document_t doc;
    yaml_node_t *root;

    if (!yaml_parser_load(parser, &doc)) {
        complain_syntax(mistakes, parser);
        return;
    }
    root = yaml_document_get_root_node(&doc);
    if (root)
        cfg_mistakes_add(mistakes, place_of(&root->start_mark), "", "only one YAML document per file is allowed");
    yaml_document_delete(&doc);
}

static int parse_document(yaml_parser_t *parser, const struct cfg_secret_source *secrets, struct cfg *cfg,
                          struct cfg_mistakes *mistakes)
{
    struct walk walk = { .secrets = secrets, .checker = { .mistakes = mistakes } };
    yaml_document_t doc;
    int err = 0;

    if (!yaml_parser_load(parser, &doc)) {
        if (parser->error == YAML_MEMORY_ERROR)
            return -ENOMEM;
        complain_syntax(mistakes, parser);
        return 0;
    }
    walk.doc = &doc;
    walk.seen = calloc((size_t)(doc.nodes.top - doc.nodes.start) + 2, sizeof *walk.seen);
    if (walk.seen) {
        yaml_node_t *root = yaml_document_get_root_node(&doc);
        walk_document(&walk, root, cfg);
        if (root) /* an empty stream has ended already */
            refuse_second_document(parser, mistakes);
    }
    if (!walk.seen || walk.checker.out_of_memory)
        err = -ENOMEM;
    cfg_checker_done(&walk.checker);
    free(walk.seen);
    yaml_document_delete(&doc);
    return err;
}

int cfg_parse(struct wz_bytes text, const struct cfg_secret_source *secrets, struct cfg **ret,
              struct cfg_mistakes *mistakes)
{
    struct cfg *cfg = calloc(1, sizeof *cfg);
    yaml_parser_t parser;
    int err;

    *mistakes = (struct cfg_mistakes){ 0 };
    if (!cfg || !yaml_parser_initialize(&parser)) {
        free(cfg);
        return -ENOMEM;
    }
    yaml_parser_set_input_string(&parser, text.data ? text.data : (const unsigned char *)"", text.len);
    err = parse_document(&parser, secrets, cfg, mistakes);
    yaml_parser_delete(&parser);
    if (!err && cfg_mistakes_any(mistakes)) {
        cfg_mistakes_sort(mistakes);
        err = -EINVAL;
    }
    if (!err)
        err = fill_paths(&cfg_schema, cfg, cfg->data_dir);
    if (err) {
        cfg_free(cfg);
        return err;
    }
    *ret = cfg;
    return 0;
}

static int read_config_file(const char *path, uint8_t **ret, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    uint8_t *data = NULL;
    size_t len = 0;
    int err = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        err = -errno;
    else if (S_ISDIR(st.st_mode))
        err = -EISDIR;
    else if (st.st_size > (off_t)CFG_FILE_MAX_BYTES)
        err = -EFBIG;
    while (!err) { /* not by st_size: a pipe (/dev/stdin) is fine too */
        ssize_t n;
        if (len % 65536 == 0) {
            uint8_t *more = realloc(data, len + 65536);
            if (!more) {
                err = -ENOMEM;
                break;
            }
            data = more;
        }
        n = read(fd, data + len, 65536 - len % 65536);
        if (n < 0 && errno != EINTR)
            err = -errno;
        else if (n == 0)
            break;
        else if (n > 0)
            len += (size_t)n;
        if (len > CFG_FILE_MAX_BYTES)
            err = -EFBIG;
    }
    (void)close(fd);
    if (err) {
        free(data);
        return err;
    }
    *ret = data;
    *ret_len = len;
    return 0;
}

int cfg_load(const char *path, struct cfg **ret, struct cfg_mistakes *mistakes)
{
    uint8_t *data = NULL;
    size_t len = 0;
    int err;

    *mistakes = (struct cfg_mistakes){ 0 };
    err = read_config_file(path, &data, &len);
    if (err)
        return err;
    err = cfg_parse(wz_bytes(data, len), &cfg_secrets_system, ret, mistakes);
    free(data); /* may hold passwords; the process keeps them in struct cfg anyway */
    return err;
}

const struct cfg_user *cfg_user_by_name(const struct cfg *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->users.count; i++)
        if (strcmp(cfg->users.item[i].name, name) == 0)
            return &cfg->users.item[i];
    return NULL;
}
