/* See relay_toml.h. A cursor over the text; after a mistake reading goes on in the next line. */
#include "wzp/bin/relay_toml.h"

#include <errno.h>
#include <stdlib.h>

/** Longest key, table name and string, in bytes. */
#define NAME_MAX_BYTES   64
#define STRING_MAX_BYTES 4096

/* Results of the functions below besides 0 and -ENOMEM: the mistake has been taken down. */
#define MISTAKEN (-EBADMSG)

struct parser {
    const uint8_t *pos, *end;
    unsigned line;
    bool skipping; /* inside a table that was itself a mistake */
    struct relay_toml *toml;
    struct relay_mistakes *mistakes;
};

static int next_byte(const struct parser *p)
{
    return p->pos < p->end ? *p->pos : -1;
}

static bool at_line_end(const struct parser *p)
{
    return p->pos == p->end || *p->pos == '\n' || (*p->pos == '\r' && p->end - p->pos > 1 && p->pos[1] == '\n');
}

static void skip_blanks(struct parser *p)
{
    while (next_byte(p) == ' ' || next_byte(p) == '\t')
        p->pos++;
}

/** To behind the newline, wherever in the line we are. */
static void skip_line(struct parser *p)
{
    while (p->pos < p->end && *p->pos != '\n')
        p->pos++;
    if (p->pos < p->end) {
        p->pos++;
        p->line++;
    }
}

/** Nothing but a comment may follow. */
static int finish_line(struct parser *p)
{
    skip_blanks(p);
    if (next_byte(p) == '#')
        while (!at_line_end(p)) {
            if (*p->pos != '\t' && (*p->pos < 0x20 || *p->pos == 0x7f)) {
                relay_mistake(p->mistakes, p->line, "control character in a comment");
                return MISTAKEN;
            }
            p->pos++;
        }
    if (at_line_end(p))
        return 0;
    relay_mistake(p->mistakes, p->line, "unexpected text after the value");
    return MISTAKEN;
}

static bool is_key_byte(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/** A bare key or table name. */
static int read_name(struct parser *p, char ret[static NAME_MAX_BYTES + 1])
{
    size_t len = 0;
    while (is_key_byte(next_byte(p))) {
        if (len == NAME_MAX_BYTES) {
            relay_mistake(p->mistakes, p->line, "name longer than %d characters", NAME_MAX_BYTES);
            return MISTAKEN;
        }
        ret[len++] = (char)*p->pos++;
    }
    ret[len] = '\0';
    if (len > 0)
        return 0;
    relay_mistake(p->mistakes, p->line, "expected a plain name of letters, digits, _ and -");
    return MISTAKEN;
}

/* ---- strings ---- */

struct text {
    char byte[STRING_MAX_BYTES + 4];
    size_t len;
};

static int hex_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** Append a code point as UTF-8; there is room for four bytes. */
static void put_code(struct text *text, uint32_t code)
{
    if (code < 0x80) {
        text->byte[text->len++] = (char)code;
        return;
    }
    const unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[4] = { 0, 0xc0, 0xe0, 0xf0 };
    text->byte[text->len++] = (char)(lead[more] | (code >> (6 * more)));
    for (unsigned i = more; i-- > 0;)
        text->byte[text->len++] = (char)(0x80 | ((code >> (6 * i)) & 0x3f));
}

/** Behind "\u" or "\U". */
static int read_code(struct parser *p, unsigned digits, struct text *text)
{
    uint32_t code = 0;
    for (unsigned i = 0; i < digits; i++) {
        const int value = hex_value(next_byte(p));
        if (value < 0) {
            relay_mistake(p->mistakes, p->line, "\\%c needs %u hex digits", digits == 4 ? 'u' : 'U', digits);
            return MISTAKEN;
        }
        code = code << 4 | (uint32_t)value;
        p->pos++;
    }
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        relay_mistake(p->mistakes, p->line, "U+%04X cannot stand in a string", (unsigned)code);
        return MISTAKEN;
    }
    put_code(text, code);
    return 0;
}

/** Behind a backslash. */
static int read_escape(struct parser *p, struct text *text)
{
    static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
    const int c = next_byte(p);
    if (c == 'u' || c == 'U') {
        p->pos++;
        return read_code(p, c == 'u' ? 4 : 8, text);
    }
    const char *known = c > 0 ? strchr(from, c) : NULL;
    if (!known) {
        relay_mistake(p->mistakes, p->line, "unknown escape in a string; a backslash is written \\\\");
        return MISTAKEN;
    }
    p->pos++;
    text->byte[text->len++] = to[known - from];
    return 0;
}

static int read_plain(struct parser *p, struct text *text)
{
    const uint8_t c = *p->pos++;
    if (c != '\t' && (c < 0x20 || c == 0x7f)) {
        relay_mistake(p->mistakes, p->line, "control character in a string");
        return MISTAKEN;
    }
    text->byte[text->len++] = (char)c;
    return 0;
}

/** "basic" with escapes or 'literal' without. */
static int read_string(struct parser *p, char **ret)
{
    struct text text = { .len = 0 };
    const uint8_t quote = *p->pos++;
    if (p->end - p->pos >= 2 && p->pos[0] == quote && p->pos[1] == quote) {
        relay_mistake(p->mistakes, p->line, "strings over several lines are not read");
        return MISTAKEN;
    }
    for (;;) {
        int err;
        if (at_line_end(p)) {
            relay_mistake(p->mistakes, p->line, "string without its closing %c", quote);
            return MISTAKEN;
        }
        if (*p->pos == quote)
            break;
        if (text.len >= STRING_MAX_BYTES) {
            relay_mistake(p->mistakes, p->line, "string longer than %d bytes", STRING_MAX_BYTES);
            return MISTAKEN;
        }
        if (*p->pos == '\\' && quote == '"') {
            p->pos++;
            err = read_escape(p, &text);
        } else {
            err = read_plain(p, &text);
        }
        if (err)
            return err;
    }
    p->pos++;
    char *copy = malloc(text.len + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, text.byte, text.len);
    copy[text.len] = '\0';
    *ret = copy;
    return 0;
}

/* ---- other values ---- */

static void free_value(struct relay_toml_value *value)
{
    free(value->text);
    for (size_t i = 0; i < value->count; i++)
        free(value->item[i]);
    free(value->item);
}

/** Between the strings of a list: blanks, newlines and comments. */
static int skip_list_space(struct parser *p)
{
    for (;;) {
        skip_blanks(p);
        if (p->pos == p->end || (next_byte(p) != '#' && !at_line_end(p)))
            return 0;
        const int err = finish_line(p);
        if (err)
            return err;
        skip_line(p);
    }
}

static int add_item(struct parser *p, struct relay_toml_value *value)
{
    if (next_byte(p) != '"' && next_byte(p) != '\'') {
        relay_mistake(p->mistakes, p->line,
                      p->pos == p->end ? "list without its closing ]" : "lists hold strings only, each in quotes");
        return MISTAKEN;
    }
    if (value->count == RELAY_TOML_LIST_MAX) {
        relay_mistake(p->mistakes, p->line, "more than %d entries in a list", RELAY_TOML_LIST_MAX);
        return MISTAKEN;
    }
    char **grown = realloc(value->item, (value->count + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    value->item = grown;
    const int err = read_string(p, &value->item[value->count]);
    if (!err)
        value->count++;
    return err;
}

static int read_list(struct parser *p, struct relay_toml_value *value)
{
    value->type = RELAY_TOML_STRINGS;
    p->pos++;
    for (;;) {
        int err = skip_list_space(p);
        if (!err && next_byte(p) == ']')
            break;
        if (!err)
            err = add_item(p, value);
        if (!err)
            err = skip_list_space(p);
        if (err)
            return err;
        if (next_byte(p) == ',') {
            p->pos++;
        } else if (next_byte(p) != ']') {
            relay_mistake(p->mistakes, p->line,
                          p->pos == p->end ? "list without its closing ]" : "expected , or ] in a list");
            return MISTAKEN;
        }
    }
    p->pos++;
    return 0;
}

/** Take the run of bytes up to a blank, a comment or the end of the line. */
static struct wz_bytes read_word(struct parser *p)
{
    const uint8_t *start = p->pos;
    while (!at_line_end(p) && *p->pos != ' ' && *p->pos != '\t' && *p->pos != '#')
        p->pos++;
    return wz_bytes(start, (size_t)(p->pos - start));
}

/** Digits with single underscores between them, no leading zero, within int64_t. */
static bool parse_integer(struct wz_bytes word, int64_t *ret)
{
    const bool is_negative = word.len > 0 && word.data[0] == '-';
    size_t i = is_negative || (word.len > 0 && word.data[0] == '+') ? 1 : 0;
    const size_t first = i;
    int64_t value = 0;
    if (i == word.len || (word.data[i] == '0' && word.len - i > 1))
        return false;
    for (; i < word.len; i++) {
        const uint8_t c = word.data[i];
        if (c == '_' && i > first && i + 1 < word.len && word.data[i - 1] != '_')
            continue;
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, c - '0', &value)) /* counted downwards: INT64_MIN fits */
            return false;
    }
    if (!is_negative && value == INT64_MIN)
        return false;
    *ret = is_negative ? value : -value;
    return true;
}

static int read_bare(struct parser *p, struct relay_toml_value *value)
{
    const struct wz_bytes word = read_word(p);
    const bool is_true = wz_bytes_equal(word, wz_bytes_str("true"));
    if (is_true || wz_bytes_equal(word, wz_bytes_str("false"))) {
        value->type = RELAY_TOML_BOOLEAN;
        value->boolean = is_true;
        return 0;
    }
    value->type = RELAY_TOML_INTEGER;
    if (parse_integer(word, &value->integer))
        return 0;
    relay_mistake(p->mistakes, p->line,
                  "expected a string in quotes, a decimal integer, true, false or a list of strings");
    return MISTAKEN;
}

static int read_value(struct parser *p, struct relay_toml_value *value)
{
    switch (next_byte(p)) {
    case '"':
    case '\'':
        value->type = RELAY_TOML_STRING;
        return read_string(p, &value->text);
    case '[':
        return read_list(p, value);
    default:
        return read_bare(p, value);
    }
}

/* ---- lines ---- */

static bool has_entry(const struct relay_toml *toml, size_t table, const char *key)
{
    for (size_t i = toml->count; i-- > 0 && toml->entry[i].table == table;) /* tables are not mixed */
        if (strcmp(toml->entry[i].key, key) == 0)
            return true;
    return false;
}

/** Takes what value owns when it returns 0. */
static int add_entry(struct parser *p, const char *key, unsigned line, const struct relay_toml_value *value)
{
    struct relay_toml *toml = p->toml;
    if (has_entry(toml, toml->table_count, key)) {
        relay_mistake(p->mistakes, line, "%s stands here a second time", key);
        return MISTAKEN;
    }
    if (toml->count == RELAY_TOML_ENTRIES_MAX) {
        relay_mistake(p->mistakes, line, "more than %d settings", RELAY_TOML_ENTRIES_MAX);
        return MISTAKEN;
    }
    struct relay_toml_entry *grown = realloc(toml->entry, (toml->count + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    toml->entry = grown;
    char *copy = strdup(key);
    if (!copy)
        return -ENOMEM;
    toml->entry[toml->count++] =
        (struct relay_toml_entry){ .table = toml->table_count, .key = copy, .line = line, .value = *value };
    return 0;
}

static int read_setting(struct parser *p)
{
    struct relay_toml_value value = { 0 };
    const unsigned line = p->line;
    char key[NAME_MAX_BYTES + 1];
    int err = read_name(p, key);
    if (err)
        return err;
    skip_blanks(p);
    if (next_byte(p) != '=') {
        relay_mistake(p->mistakes, line, "expected %s = value", key);
        return MISTAKEN;
    }
    p->pos++;
    skip_blanks(p);
    err = read_value(p, &value);
    if (!err)
        err = finish_line(p);
    if (!err && !p->skipping && (err = add_entry(p, key, line, &value)) == 0)
        return 0;
    free_value(&value);
    return err;
}

static int add_table(struct parser *p, const char *name)
{
    struct relay_toml *toml = p->toml;
    if (toml->table_count == RELAY_TOML_ENTRIES_MAX) {
        relay_mistake(p->mistakes, p->line, "more than %d tables", RELAY_TOML_ENTRIES_MAX);
        return MISTAKEN;
    }
    struct relay_toml_table *grown = realloc(toml->table, (toml->table_count + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    toml->table = grown;
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    toml->table[toml->table_count++] = (struct relay_toml_table){ .name = copy, .line = p->line };
    return 0;
}

/** "[[name]]"; keys below a header that is a mistake are read and forgotten, so that they do not add to it. */
static int read_header(struct parser *p)
{
    char name[NAME_MAX_BYTES + 1];
    p->skipping = true;
    p->pos++;
    const bool is_list = next_byte(p) == '[';
    if (is_list)
        p->pos++;
    skip_blanks(p);
    int err = read_name(p, name);
    if (err)
        return err;
    skip_blanks(p);
    for (int i = is_list ? 2 : 1; i > 0; i--) {
        if (next_byte(p) != ']') {
            relay_mistake(p->mistakes, p->line, "table header without its closing %s", is_list ? "]]" : "]");
            return MISTAKEN;
        }
        p->pos++;
    }
    if (!is_list) {
        relay_mistake(p->mistakes, p->line, "[%s]: tables are written [[%s]]", name, name);
        return MISTAKEN;
    }
    err = finish_line(p);
    if (!err)
        err = add_table(p, name);
    p->skipping = err != 0;
    return err;
}

static int read_line(struct parser *p)
{
    skip_blanks(p);
    if (at_line_end(p) || next_byte(p) == '#')
        return finish_line(p);
    return next_byte(p) == '[' ? read_header(p) : read_setting(p);
}

/** Length of the UTF-8 sequence at pos (RFC 3629), 0 when it is none. */
static size_t utf8_len(const uint8_t *pos, size_t left)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    const size_t len = pos[0] < 0x80 ? 1 : pos[0] < 0xe0 ? 2 : pos[0] < 0xf0 ? 3 : 4;
    uint32_t code = pos[0] & (0xffu >> (len + 1));
    if (len == 1)
        return 1;
    if (left < len || pos[0] < 0xc2 || pos[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((pos[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (pos[i] & 0x3fu);
    }
    return code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : len;
}

/** False after taking down the first place that is no UTF-8. */
static bool check_utf8(struct wz_bytes text, struct relay_mistakes *mistakes)
{
    unsigned line = 1;
    for (size_t i = 0; i < text.len;) {
        const size_t len = utf8_len(text.data + i, text.len - i);
        if (len == 0) {
            relay_mistake(mistakes, line, "not UTF-8 text");
            return false;
        }
        line += text.data[i] == '\n';
        i += len;
    }
    return true;
}

int relay_toml_parse(struct wz_bytes text, struct relay_toml *ret, struct relay_mistakes *mistakes)
{
    static const uint8_t byte_order_mark[3] = { 0xef, 0xbb, 0xbf };
    struct parser p = { .line = 1, .toml = ret, .mistakes = mistakes };
    *ret = (struct relay_toml){ 0 };
    if (text.len > RELAY_TOML_MAX_BYTES) {
        relay_mistake(mistakes, 0, "larger than %u bytes", RELAY_TOML_MAX_BYTES);
        return 0;
    }
    if (!check_utf8(text, mistakes))
        return 0;
    if (text.len >= 3 && memcmp(text.data, byte_order_mark, 3) == 0)
        text = wz_bytes(text.data + 3, text.len - 3);
    p.pos = text.data;
    p.end = text.len ? text.data + text.len : text.data;
    while (p.pos < p.end) {
        const int err = read_line(&p);
        if (err == -ENOMEM)
            return err;
        skip_line(&p);
    }
    return 0;
}

void relay_toml_done(struct relay_toml *toml)
{
    for (size_t i = 0; i < toml->count; i++) {
        free(toml->entry[i].key);
        free_value(&toml->entry[i].value);
    }
    free(toml->entry);
    for (size_t i = 0; i < toml->table_count; i++)
        free(toml->table[i].name);
    free(toml->table);
    *toml = (struct relay_toml){ 0 };
}

const char *relay_toml_type_name(enum relay_toml_type type)
{
    static const char *const names[] = { "a string in quotes", "an integer", "true or false", "a list of strings" };
    return names[type];
}
