#define LOG_MODULE "pins"
#include "wzp/io/pin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "wzp/core/hex.h"
#include "wzp/io/seed_file.h"
#include "wzp/rt/log.h"

/** A file of this size holds ten times the pins it may. */
#define FILE_MAX_BYTES (1024 * 1024)
/** Address, two hashes and blanks. */
#define LINE_SIZE (WZ_ADDR_TEXT_MAX + 4 * WZP_PIN_BYTES + 4)
#define NO_KEY    "-"

struct pin {
    struct wz_addr addr;
    uint8_t cert[WZP_PIN_BYTES];
    bool has_key;
    uint8_t key[WZP_PIN_BYTES];
};

/** What a relay has shown. */
enum shown { SHOWN_CERT, SHOWN_KEY };

/** What stands in a file, or is to. */
struct pin_table {
    size_t count, room;
    struct pin *pin;
    char *other; /**< comments and lines that could not be read, as they were; malloc'ed, NULL: none */
};

struct wzp_pin_file {
    char *path;
    struct pin_table table;
};

/* ---- text ---- */

static bool parse_hash(const char *text, uint8_t ret[static WZP_PIN_BYTES])
{
    if (strlen(text) != 2 * WZP_PIN_BYTES)
        return false;
    for (size_t i = 0; i < WZP_PIN_BYTES; i++) {
        const int high = wzp_hex_value(text[2 * i]), low = wzp_hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/** line is taken apart. */
static bool parse_line(char *line, struct pin *ret)
{
    char *save = NULL;
    const char *addr = strtok_r(line, " \t", &save), *cert = strtok_r(NULL, " \t", &save),
               *key = strtok_r(NULL, " \t", &save);
    struct pin pin = { 0 };
    if (!addr || !cert || !key || strtok_r(NULL, " \t", &save) || wz_addr_parse(addr, &pin.addr) < 0 ||
        !parse_hash(cert, pin.cert))
        return false;
    pin.has_key = strcmp(key, NO_KEY) != 0;
    if (pin.has_key && !parse_hash(key, pin.key))
        return false;
    *ret = pin;
    return true;
}

static void print_pin(FILE *out, const struct pin *pin)
{
    char line[LINE_SIZE], addr[WZ_ADDR_TEXT_MAX];
    char *end = stpcpy(line, wz_addr_format(&pin->addr, addr));
    *end++ = ' ';
    end = wzp_hex_put(end, pin->cert, sizeof pin->cert);
    *end++ = ' ';
    if (pin->has_key)
        end = wzp_hex_put(end, pin->key, sizeof pin->key);
    else
        end = stpcpy(end, NO_KEY);
    *end = '\0';
    (void)fprintf(out, "%s\n", line); /* errors show at fclose */
}

/* ---- tables ---- */

static struct pin *find(const struct pin_table *table, const struct wz_addr *addr)
{
    for (size_t i = 0; i < table->count; i++)
        if (wz_addr_equal(&table->pin[i].addr, addr))
            return &table->pin[i];
    return NULL;
}

static void table_done(struct pin_table *table)
{
    free(table->pin);
    free(table->other);
    *table = (struct pin_table){ 0 };
}

static int add_pin(struct pin_table *table, const struct pin *pin)
{
    if (table->count >= WZP_PIN_FILE_MAX_PINS)
        return -E2BIG;
    if (table->count == table->room) {
        const size_t room = table->room ? table->room * 2 : 4;
        struct pin *grown = realloc(table->pin, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        table->pin = grown;
        table->room = room;
    }
    table->pin[table->count++] = *pin;
    return 0;
}

/** The first line of an address counts, as it was written first. */
static int take_line(struct pin_table *table, const char *path, unsigned number, char *line, FILE *other)
{
    struct pin pin;
    char copy[LINE_SIZE];
    const size_t len = strlen(line);
    if (len < sizeof copy) {
        memcpy(copy, line, len + 1);
        if (parse_line(copy, &pin))
            return find(table, &pin.addr) ? 0 : add_pin(table, &pin);
    }
    (void)fprintf(other, "%s\n", line);
    if (line[0] != '#' && line[strspn(line, " \t\r")] != '\0')
        LOG_WARN("line.not_understood", "file=\"%s\" line=%u", path, number);
    return 0;
}

/** Reads path into table, which is empty. No file is no error. */
static int read_file(const char *path, struct pin_table *table)
{
    char *line = NULL;
    size_t room = 0, total = 0, other_len = 0;
    unsigned number = 0;
    FILE *in = fopen(path, "re"), *other = NULL;
    int err = 0;
    if (!in)
        return errno == ENOENT ? 0 : -errno;
    other = open_memstream(&table->other, &other_len);
    if (!other)
        err = -ENOMEM;
    for (ssize_t len; !err && (len = getline(&line, &room, in)) >= 0; number++) {
        total += (size_t)len;
        line[strcspn(line, "\n")] = '\0';
        err = total > FILE_MAX_BYTES ? -EFBIG : take_line(table, path, number + 1, line, other);
    }
    if (!err && ferror(in))
        err = -EIO;
    if (other && fclose(other) != 0 && !err)
        err = -ENOMEM;
    free(line);
    (void)fclose(in); /* read only */
    return err;
}

/* ---- writing ---- */

/** Lock the directory of path against other writers: the file itself changes its inode. Returns what to close. */
static int lock_directory(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t len = slash ? (size_t)(slash - path) : 0;
    int err = wzp_make_parent_dirs(path);
    if (err)
        return err;
    (void)snprintf(dir, sizeof dir, "%.*s", (int)len, path);
    const int fd = open(!slash ? "." : len ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        err = -errno;
        (void)close(fd);
        return err;
    }
    return fd;
}

static int print_table(FILE *out, const struct pin_table *table)
{
    if (table->other)
        (void)fputs(table->other, out); /* errors show below */
    for (size_t i = 0; i < table->count; i++)
        print_pin(out, &table->pin[i]);
    return fflush(out) == 0 && fsync(fileno(out)) == 0 ? 0 : -errno;
}

static int write_file(const char *path, const struct pin_table *table)
{
    char temp[PATH_MAX];
    if ((size_t)snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= sizeof temp)
        return -ENAMETOOLONG;
    const int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return -errno;
    FILE *out = fdopen(fd, "w");
    int err = out ? print_table(out, table) : -errno;
    if (out)
        (void)fclose(out); /* it was flushed */
    else
        (void)close(fd);
    if (!err && rename(temp, path) != 0)
        err = -errno;
    if (err)
        (void)unlink(temp);
    return err;
}

/* ---- checking ---- */

static int learn_cert(struct pin_table *table, const struct wz_addr *addr, const uint8_t shown[static WZP_PIN_BYTES])
{
    const struct pin *pin = find(table, addr);
    struct pin fresh = { .addr = *addr };
    if (pin)
        return memcmp(pin->cert, shown, WZP_PIN_BYTES) == 0 ? 0 : -EKEYREJECTED;
    memcpy(fresh.cert, shown, sizeof fresh.cert);
    const int err = add_pin(table, &fresh);
    return err < 0 ? err : 1;
}

static int learn_key(struct pin_table *table, const struct wz_addr *addr, const uint8_t shown[static WZP_PIN_BYTES])
{
    struct pin *pin = find(table, addr);
    if (!pin)
        return -ENOENT;
    if (pin->has_key)
        return memcmp(pin->key, shown, WZP_PIN_BYTES) == 0 ? 0 : -EKEYREJECTED;
    memcpy(pin->key, shown, sizeof pin->key);
    pin->has_key = true;
    return 1;
}

/** Change table by what a relay has shown. 1: changed; 0: it is as pinned; else -errno. */
static int learn(struct pin_table *table, enum shown what, const struct wz_addr *addr,
                 const uint8_t shown[static WZP_PIN_BYTES])
{
    return what == SHOWN_CERT ? learn_cert(table, addr, shown) : learn_key(table, addr, shown);
}

/** What the file holds now is what counts: others may have written, and the operator removed a line. */
static int learn_in_file(struct wzp_pin_file *pins, enum shown what, const struct wz_addr *addr,
                         const uint8_t shown[static WZP_PIN_BYTES])
{
    struct pin_table table = { 0 };
    const int lock = lock_directory(pins->path);
    if (lock < 0)
        return lock;
    int learned = 0, err = read_file(pins->path, &table);
    if (!err)
        learned = learn(&table, what, addr, shown);
    if (learned > 0)
        err = write_file(pins->path, &table);
    if (!err) {
        const struct pin_table old = pins->table;
        pins->table = table;
        table = old;
    }
    table_done(&table);
    (void)close(lock); /* unlocks */
    return err ? err : learned;
}

static int check(struct wzp_pin_file *pins, enum shown what, const struct wz_addr *addr,
                 const uint8_t shown[static WZP_PIN_BYTES])
{
    const struct pin *pin = find(&pins->table, addr);
    const uint8_t *pinned = !pin ? NULL : what == SHOWN_CERT ? pin->cert : pin->has_key ? pin->key : NULL;
    if (pinned && memcmp(pinned, shown, WZP_PIN_BYTES) == 0)
        return 0;
    if (pins->path) {
        const int err = learn_in_file(pins, what, addr, shown);
        if (err >= 0)
            return 0;
        if (err == -EKEYREJECTED || err == -ENOENT || err == -E2BIG)
            return err;
        LOG_ERROR("file.not_written", "file=\"%s\" error=\"%s\"", pins->path, strerror(-err));
    }
    const int err = learn(&pins->table, what, addr, shown);
    return err < 0 ? err : 0;
}

int wzp_pin_file_check_cert(struct wzp_pin_file *pins, const struct wz_addr *addr,
                            const uint8_t cert_sha256[static WZP_PIN_BYTES])
{
    return check(pins, SHOWN_CERT, addr, cert_sha256);
}

int wzp_pin_file_check_key(struct wzp_pin_file *pins, const struct wz_addr *addr,
                           const uint8_t relay_key[static WZP_PIN_BYTES])
{
    return check(pins, SHOWN_KEY, addr, relay_key);
}

bool wzp_pin_file_key(const struct wzp_pin_file *pins, const struct wz_addr *addr, uint8_t ret[static WZP_PIN_BYTES])
{
    const struct pin *pin = find(&pins->table, addr);
    if (!pin || !pin->has_key)
        return false;
    memcpy(ret, pin->key, WZP_PIN_BYTES);
    return true;
}

/* ---- life ---- */

int wzp_pin_file_open(struct wzp_pin_file **ret, const char *path)
{
    struct wzp_pin_file *pins = calloc(1, sizeof *pins);
    int err = -ENOMEM;
    if (!pins || (path && !(pins->path = strdup(path))))
        goto out;
    err = path ? read_file(path, &pins->table) : 0;
    if (err)
        goto out;
    *ret = pins;
    pins = NULL;
out:
    wzp_pin_file_free(pins);
    return err;
}

void wzp_pin_file_free(struct wzp_pin_file *pins)
{
    if (!pins)
        return;
    table_done(&pins->table);
    free(pins->path);
    free(pins);
}

const char *wzp_pin_file_path(const struct wzp_pin_file *pins)
{
    return pins->path;
}
