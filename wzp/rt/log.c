/* See log.h. A line is built on the stack and leaves in one write(2); nothing is allocated. */
#include "wzp/rt/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wzp/rt/clock.h"

/** Longest line written, newline included; what does not fit is cut at a member's boundary. */
#define LINE_MAX_BYTES 4096
/** Longest formatted key=value text of one line. */
#define FIELDS_MAX_BYTES 2048
/** Kept free while members are added, for "}" or the like and the newline. */
#define LINE_TAIL_BYTES 4
/** Digits of a bare number that JSON readers keep exactly; longer ones (call ids) stay text. */
#define NUMBER_MAX_DIGITS 15

/* Set once by wz_log_init() before other threads exist, read-only afterwards. */
static struct {
    int fd;
    enum wz_log_level level;
    bool json;
} sink = { .fd = STDERR_FILENO, .level = WZ_LOG_INFO };

static const char *const level_names[] = { "error", "warn", "info", "debug" };

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool full;
};

void wz_log_init(int fd, enum wz_log_format format, enum wz_log_level level)
{
    sink.fd = fd;
    sink.level = level;
    sink.json = format == WZ_LOG_JSON || (format == WZ_LOG_AUTO && !isatty(fd));
}

int wz_log_level_parse(const char *text, enum wz_log_level *ret)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret = (enum wz_log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool wz_log_wants(enum wz_log_level level)
{
    return level <= sink.level;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

const char *wz_log_quote(const char *text, char *buf, size_t size)
{
    size_t len = 0;

    if (size < 3) { /* no room for the quotes: nothing rather than half a pair */
        if (size)
            buf[0] = '\0';
        return buf;
    }
    buf[len++] = '"';
    for (const char *p = text ? text : ""; *p; p++) {
        unsigned char c = (unsigned char)*p;
        size_t need = is_control(c) ? 4 : c == '"' || c == '\\' ? 2 : 1;
        if (size - len < need + 2)
            break;
        if (need == 4) {
            (void)snprintf(buf + len, 5, "\\x%02x", c);
        } else {
            if (need == 2)
                buf[len] = '\\';
            buf[len + need - 1] = (char)c;
        }
        len += need;
    }
    buf[len++] = '"';
    buf[len] = '\0';
    return buf;
}

static void put(struct line *out, const char *text, size_t len)
{
    if (out->full || LINE_MAX_BYTES - LINE_TAIL_BYTES - out->len < len) {
        out->full = true;
        return;
    }
    memcpy(out->text + out->len, text, len);
    out->len += len;
}

static void put_str(struct line *out, const char *text)
{
    put(out, text, strlen(text));
}

/** "2026-01-31T12:00:00.123Z" */
static void put_time(struct line *out)
{
    uint64_t now_us = wz_wall_us();
    time_t seconds = (time_t)(now_us / 1000000u);
    struct tm tm;
    char buf[40];
    size_t len;

    if (!gmtime_r(&seconds, &tm))
        return;
    len = strftime(buf, sizeof buf, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(buf + len, sizeof buf - len, ".%03uZ", (unsigned)(now_us / 1000u % 1000u));
    put_str(out, buf);
}

/* ---- text ---- */

static void build_text(struct line *out, enum wz_log_level level, const char *module, const char *event,
                       const char *fields)
{
    static const char *const padded[] = { " error ", " warn  ", " info  ", " debug " };

    put_time(out);
    put_str(out, padded[level]);
    put_str(out, module);
    put_str(out, " ");
    put_str(out, event);
    if (*fields)
        put_str(out, " ");
    for (const char *p = fields; *p; p++) /* a stray newline must not forge a second line */
        put(out, is_control((unsigned char)*p) ? "?" : p, 1);
}

/* ---- JSON ---- */

/** Length of the well-formed UTF-8 sequence at text, 0 if it is not one (RFC 3629: no surrogates, no
 * overlong). */
static size_t utf8_len(const unsigned char *text, size_t left)
{
    size_t len = text[0] < 0x80 ? 1 : (text[0] & 0xe0) == 0xc0 ? 2 : (text[0] & 0xf0) == 0xe0 ? 3 : 4;
    uint32_t code = text[0] & (0xffu >> (len + 1));
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (len == 1)
        return 1;
    if (left < len || text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    return code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : len;
}

/** One byte or character of a JSON string. Returns the bytes of text consumed. */
static size_t put_json_char(struct line *out, const unsigned char *text, size_t left)
{
    char buf[8];
    size_t len;

    if (text[0] == '"' || text[0] == '\\') {
        const char escaped[2] = { '\\', (char)text[0] };
        put(out, escaped, 2);
        return 1;
    }
    if (is_control(text[0])) {
        (void)snprintf(buf, sizeof buf, "\\u%04x", text[0]);
        put_str(out, buf);
        return 1;
    }
    len = utf8_len(text, left);
    if (len)
        put(out, (const char *)text, len);
    else
        put_str(out, "\\ufffd");
    return len ? len : 1;
}

static void put_json_string(struct line *out, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *end = p + len;

    put_str(out, "\"");
    while (p < end)
        p += put_json_char(out, p, (size_t)(end - p));
    put_str(out, "\"");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Length of the quoted value at text (which starts with a quote), both quotes included; at most to the end.
 */
static size_t quoted_len(const char *text)
{
    size_t i = 1;

    while (text[i] && text[i] != '"')
        i += text[i] == '\\' && text[i + 1] ? 2 : 1;
    return text[i] ? i + 1 : i;
}

/** Undo wz_log_quote() and write the value as a JSON string. */
static void put_json_quoted(struct line *out, const char *text, size_t len)
{
    char plain[FIELDS_MAX_BYTES];
    size_t n = 0;
    size_t end = len > 1 && text[len - 1] == '"' ? len - 1 : len;

    for (size_t i = 1; i < end; i++) {
        char c = text[i];
        if (c == '\\' && i + 3 < end && text[i + 1] == 'x' && hex_digit(text[i + 2]) >= 0 &&
            hex_digit(text[i + 3]) >= 0) {
            c = (char)(hex_digit(text[i + 2]) << 4 | hex_digit(text[i + 3]));
            i += 3;
        } else if (c == '\\' && i + 1 < end) {
            c = text[++i];
        }
        plain[n++] = c;
    }
    put_json_string(out, plain, n);
}

/** -?digits[.digits] without a leading zero and short enough to survive a double. */
static bool is_json_number(const char *text, size_t len)
{
    size_t i = text[0] == '-' ? 1 : 0;
    size_t first = i;
    size_t digits = 0;
    bool point = false;

    for (; i < len; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            digits++;
        } else if (text[i] == '.' && !point && digits > 0 && i + 1 < len) {
            point = true;
        } else {
            return false;
        }
    }
    if (digits < 1 || digits > NUMBER_MAX_DIGITS)
        return false;
    return text[first] != '0' || first + 1 == len || text[first + 1] == '.';
}

static void put_json_value(struct line *out, const char *text, size_t len)
{
    if (len && text[0] == '"')
        put_json_quoted(out, text, len);
    else if (len && (is_json_number(text, len) || (len == 4 && strncmp(text, "true", 4) == 0) ||
                     (len == 5 && strncmp(text, "false", 5) == 0)))
        put(out, text, len);
    else
        put_json_string(out, text, len);
}

/** The next token: key=value, or a word without '='. Returns its length; *ret_eq is the '=' or NULL. */
static size_t next_token(const char *text, const char **ret_eq)
{
    size_t i = 0;

    *ret_eq = NULL;
    while (text[i] && text[i] != ' ') {
        if (text[i] == '=' && !*ret_eq && i > 0)
            *ret_eq = text + i;
        if (text[i] == '"' && (i == 0 || *ret_eq == text + i - 1)) {
            i += quoted_len(text + i);
            break;
        }
        i++;
    }
    return i;
}

/** Words that are not key=value, as one "msg" member. */
static void put_json_words(struct line *out, const char *fields)
{
    char words[FIELDS_MAX_BYTES];
    size_t n = 0;
    size_t before = out->len;

    for (const char *p = fields; *p;) {
        const char *eq;
        size_t len = next_token(p, &eq);
        if (len && !eq) {
            if (n)
                words[n++] = ' ';
            memcpy(words + n, p, len);
            n += len;
        }
        p += len;
        while (*p == ' ')
            p++;
    }
    if (!n)
        return;
    put_str(out, ",\"msg\":");
    put_json_string(out, words, n);
    if (out->full)
        out->len = before;
}

static void put_json_members(struct line *out, const char *fields)
{
    for (const char *p = fields; *p && !out->full;) {
        const char *eq;
        size_t len = next_token(p, &eq);
        size_t before = out->len;
        if (eq) {
            put_str(out, ",");
            put_json_string(out, p, (size_t)(eq - p));
            put_str(out, ":");
            put_json_value(out, eq + 1, len - (size_t)(eq + 1 - p));
            if (out->full)
                out->len = before; /* a cut line is still valid JSON */
        }
        p += len;
        while (*p == ' ')
            p++;
    }
    if (!out->full)
        put_json_words(out, fields);
}

static void build_json(struct line *out, enum wz_log_level level, const char *module, const char *event,
                       const char *fields)
{
    put_str(out, "{\"ts\":\"");
    put_time(out);
    put_str(out, "\",\"level\":\"");
    put_str(out, level_names[level]);
    put_str(out, "\",\"module\":");
    put_json_string(out, module, strlen(module));
    put_str(out, ",\"event\":");
    put_json_string(out, event, strlen(event));
    put_json_members(out, fields);
    memcpy(out->text + out->len++, "}", 1); /* LINE_TAIL_BYTES keeps room */
}

void wz_log_write(enum wz_log_level level, const char *module, const char *event, const char *fmt, ...)
{
    struct line out;
    char fields[FIELDS_MAX_BYTES];
    va_list ap;

    out.len = 0;
    out.full = false;
    va_start(ap, fmt);
    (void)vsnprintf(fields, sizeof fields, fmt, ap); /* cut at the limit */
    va_end(ap);
    if (sink.json)
        build_json(&out, level, module, event, fields);
    else
        build_text(&out, level, module, event, fields);
    out.text[out.len++] = '\n';
    (void)!write(sink.fd, out.text, out.len); /* nowhere to report a log that cannot be written */
}
