/* wzpctl: asks a running gateway over its Unix socket and prints the answer, for people or (--json) as it
 * came. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_SOCKET "wzp-data/ctl.sock"
/** A gateway that does not answer for so long hangs. */
#define ANSWER_LIMIT_S 10
/** Longest answer taken: every user and call of a large gateway. */
#define ANSWER_MAX_BYTES (64u << 20)
#define COLUMNS_MAX      9
#define CELL_MAX         64

static const char usage[] =
    "wzpctl " WZP_VERSION " - asks a running wzp-gateway\n"
    "\n"
    "  wzpctl [--socket PATH] [--json] COMMAND\n"
    "\n"
    "  show calls     live and recent calls, the newest last\n"
    "  show users     SIP users with number, fingerprint and state\n"
    "  trace CALL     the ladder of one call: every message and decision; CALL is an id from `show calls`,\n"
    "                 a SIP Call-ID, a WZP call id, or \"last\"\n"
    "  stats          every counter\n"
    "  health         is it up, and can it place calls; exit status 1 when it cannot\n"
    "  version\n"
    "\n"
    "  --socket PATH  admin.socket of the gateway (default: $WZP_SOCKET, else " DEFAULT_SOCKET ")\n"
    "  --json         print the JSON answer\n"
    "\n"
    "Exit status: 0 well, 1 the gateway says no, 2 wrong arguments, 3 no gateway answers.\n";

enum { EXIT_OK, EXIT_NO, EXIT_USAGE, EXIT_UNREACHABLE };

/* ---- asking ---- */

struct answer {
    unsigned status;
    json_t *json;
};

static int connect_to(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    const struct timeval limit = { .tv_sec = ANSWER_LIMIT_S };
    int fd;

    if (snprintf(name.sun_path, sizeof name.sun_path, "%s", path) >= (int)sizeof name.sun_path)
        return -ENAMETOOLONG;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
        connect(fd, (const struct sockaddr *)&name, sizeof name) < 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    return fd;
}

static int send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

/** Read until the gateway closes. *ret is malloc'd and NUL-terminated. */
static int receive_all(int fd, char **ret)
{
    char *data = NULL;
    size_t len = 0, room = 0;
    int err = 0;

    for (;;) {
        ssize_t n;
        if (room - len < 2) {
            char *more = len < ANSWER_MAX_BYTES ? realloc(data, room = room ? 2 * room : 65536) : NULL;
            if (!more) {
                err = len < ANSWER_MAX_BYTES ? -ENOMEM : -EFBIG;
                break;
            }
            data = more;
        }
        n = recv(fd, data + len, room - len - 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (err) {
        free(data);
        return err;
    }
    data[len] = '\0';
    *ret = data;
    return 0;
}

static int parse_answer(const char *text, struct answer *ret)
{
    const char *body = strstr(text, "\r\n\r\n");
    json_t *json;
    unsigned status;

    if (!body || sscanf(text, "HTTP/1.%*1u %3u", &status) != 1)
        return -EBADMSG;
    json = json_loads(body + 4, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!json)
        return -EBADMSG;
    *ret = (struct answer){ .status = status, .json = json };
    return 0;
}

/** An id may hold anything a phone put into its Call-ID. */
static void append_escaped(char *out, size_t size, const char *text)
{
    size_t len = strlen(out);

    for (; *text && size - len > 4; text++) {
        bool plain = (*text >= '0' && *text <= '9') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= 'a' && *text <= 'z') || strchr("-._~@", *text);
        len += (size_t)snprintf(out + len, size - len, plain ? "%c" : "%%%02X", (unsigned char)*text);
    }
}

/** GET path followed by the escaped name. 0 or negative errno. */
static int ask(const char *socket_path, const char *path, const char *name, struct answer *ret)
{
    char request[2048];
    char *text = NULL;
    int fd = connect_to(socket_path);
    int err;

    if (fd < 0)
        return fd;
    (void)snprintf(request, 64, "GET %s", path);
    append_escaped(request, sizeof request - 64, name);
    (void)snprintf(request + strlen(request), 64, " HTTP/1.0\r\nHost: localhost\r\n\r\n");
    err = send_all(fd, request, strlen(request));
    if (!err)
        err = receive_all(fd, &text);
    (void)close(fd);
    if (!err)
        err = parse_answer(text, ret);
    free(text);
    return err;
}

/* ---- cells ---- */

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text && *text ? text : "-";
}

static json_int_t number_of(const json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}

/** Peers choose names and addresses: nothing of theirs may move the cursor. */
static void copy_printable(char *out, size_t size, const char *text)
{
    size_t len = 0;

    for (; *text && len + 1 < size; text++)
        out[len++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
    out[len] = '\0';
}

static void clock_cell(char cell[static CELL_MAX], json_int_t wall_us, bool with_ms)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    size_t len;

    if (wall_us <= 0 || !localtime_r(&seconds, &tm)) {
        (void)snprintf(cell, CELL_MAX, "-");
        return;
    }
    len = strftime(cell, CELL_MAX, with_ms ? "%H:%M:%S" : "%m-%d %H:%M:%S", &tm);
    if (with_ms)
        (void)snprintf(cell + len, CELL_MAX - len, ".%03d", (int)(wall_us / 1000 % 1000));
}

/* ---- tables ---- */

struct table {
    const char *const *heading; /**< NULL-terminated, at most COLUMNS_MAX */
    void (*fill)(const json_t *row, char cell[COLUMNS_MAX][CELL_MAX]);
};

static void print_row(char cell[COLUMNS_MAX][CELL_MAX], const size_t width[COLUMNS_MAX], size_t columns)
{
    for (size_t i = 0; i < columns; i++)
        (void)printf(i + 1 < columns ? "%-*s  " : "%.*s\n", i + 1 < columns ? (int)width[i] : CELL_MAX, cell[i]);
}

static void measure_row(char cell[COLUMNS_MAX][CELL_MAX], size_t width[COLUMNS_MAX], size_t columns)
{
    for (size_t i = 0; i < columns; i++)
        if (strlen(cell[i]) > width[i])
            width[i] = strlen(cell[i]);
}

/** Two passes over the rows: widths first. */
static void print_table(const struct table *table, const json_t *rows, const char *when_empty)
{
    char cell[COLUMNS_MAX][CELL_MAX];
    size_t width[COLUMNS_MAX] = { 0 };
    size_t columns = 0;

    if (!json_array_size(rows)) {
        (void)puts(when_empty);
        return;
    }
    for (; table->heading[columns]; columns++)
        (void)snprintf(cell[columns], CELL_MAX, "%s", table->heading[columns]);
    measure_row(cell, width, columns);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        table->fill(json_array_get(rows, i), cell);
        measure_row(cell, width, columns);
    }
    for (size_t i = 0; i < columns; i++)
        (void)snprintf(cell[i], CELL_MAX, "%s", table->heading[i]);
    print_row(cell, width, columns);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        table->fill(json_array_get(rows, i), cell);
        print_row(cell, width, columns);
    }
}

/** What is sent and what is heard, where they differ. */
static void wzp_codec_cell(char cell[static CELL_MAX], const json_t *wzp)
{
    const char *tx = text_of(wzp, "codec_tx"), *rx = text_of(wzp, "codec_rx");

    if (strcmp(tx, rx) == 0)
        copy_printable(cell, CELL_MAX, tx);
    else
        (void)snprintf(cell, CELL_MAX, "%.24s out, %.24s in", tx, rx);
}

static void fill_call(const json_t *row, char cell[COLUMNS_MAX][CELL_MAX])
{
    bool over = number_of(row, "ended_us") > 0;
    bool incoming = strcmp(text_of(row, "direction"), "wzp-sip") == 0;
    const char *peer = text_of(row, "peer_alias");
    char who[CELL_MAX];

    if (strcmp(peer, "-") == 0)
        peer = text_of(row, "peer");
    clock_cell(cell[0], number_of(row, "started_us"), false);
    copy_printable(cell[1], CELL_MAX, text_of(row, "id"));
    copy_printable(cell[2], CELL_MAX, incoming ? peer : text_of(row, "user"));
    copy_printable(who, sizeof who, incoming ? text_of(row, "user") : text_of(row, "dialled"));
    (void)snprintf(cell[3], CELL_MAX, "%.60s", who);
    copy_printable(cell[4], CELL_MAX, text_of(row, over ? "cause" : "state"));
    copy_printable(cell[5], CELL_MAX, text_of(row, "path"));
    copy_printable(cell[6], CELL_MAX, text_of(row, "codec"));
    wzp_codec_cell(cell[7], json_object_get(json_object_get(row, "media"), "wzp"));
    if (number_of(row, "setup_ms") > 0)
        (void)snprintf(cell[8], CELL_MAX, "%" JSON_INTEGER_FORMAT " ms", number_of(row, "setup_ms"));
    else
        (void)snprintf(cell[8], CELL_MAX, "-");
}

static void print_calls(const json_t *rows)
{
    static const char *const heading[COLUMNS_MAX + 1] = { "STARTED", "ID",    "FROM",      "TO",     "STATE OR CAUSE",
                                                          "PATH",    "CODEC", "WZP CODEC", "SET-UP", NULL };
    const struct table table = { .heading = heading, .fill = fill_call };

    print_table(&table, rows, "no calls yet");
}

static void fill_user(const json_t *row, char cell[COLUMNS_MAX][CELL_MAX])
{
    const json_t *up = json_object_get(row, "line_up");
    const json_t *contacts = json_object_get(row, "contacts");

    copy_printable(cell[0], CELL_MAX, text_of(row, "name"));
    copy_printable(cell[1], CELL_MAX, text_of(row, "number"));
    copy_printable(cell[2], CELL_MAX, text_of(row, "alias"));
    (void)snprintf(cell[3], CELL_MAX, "%s", json_is_true(up) ? "registered" : "down");
    if (json_is_array(contacts))
        (void)snprintf(cell[4], CELL_MAX, "%zu", json_array_size(contacts));
    else
        (void)snprintf(cell[4], CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(contacts));
    copy_printable(cell[5], CELL_MAX, text_of(row, "fingerprint"));
}

static void print_users(const json_t *rows)
{
    static const char *const heading[] = { "USER", "NUMBER", "ALIAS", "AT THE RELAY", "PHONES", "FINGERPRINT", NULL };
    const struct table table = { .heading = heading, .fill = fill_user };

    print_table(&table, rows, "no users");
}

/* ---- other answers ---- */

/** Numbers, texts and nested groups, one a line, by their path. */
static void print_tree(const char *prefix, const json_t *value)
{
    char path[256];
    const char *key;
    json_t *member;
    size_t index;

    if (json_is_object(value)) {
        json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
            (void)snprintf(path, sizeof path, "%.200s%s%.50s", prefix, *prefix ? "." : "", key);
            print_tree(path, member);
        }
    } else if (json_is_array(value)) {
        json_array_foreach (value, index, member) {
            (void)snprintf(path, sizeof path, "%.200s[%zu]", prefix, index);
            print_tree(path, member);
        }
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        (void)printf("%-40s %s\n", prefix, text ? text : "?");
        free(text);
    }
}

/** One step of a ladder: time, who to whom, what. */
static void print_step(const json_t *step)
{
    char when[CELL_MAX];
    char what[512];
    const char *party = text_of(step, "party");
    bool outgoing = json_is_true(json_object_get(step, "outgoing"));

    if (json_object_get(step, "dropped")) {
        (void)printf("              ... %" JSON_INTEGER_FORMAT " steps not kept ...\n", number_of(step, "dropped"));
        return;
    }
    clock_cell(when, number_of(step, "at_us"), true);
    copy_printable(what, sizeof what, text_of(step, "text"));
    if (strcmp(party, "sip") == 0)
        (void)printf("%s  SIP %s gateway          %s\n", when, outgoing ? "<--" : "-->", what);
    else if (strcmp(party, "wzp") == 0)
        (void)printf("%s          gateway %s WZP  %s\n", when, outgoing ? "-->" : "<--", what);
    else
        (void)printf("%s          * %-14s%s\n", when, party, what);
}

static void print_trace(const json_t *call)
{
    static const char *const facts[] = { "id",    "direction", "user",        "dialled", "peer",        "state",
                                         "cause", "path",      "path_remote", "codec",   "sip_call_id", "wzp_call_id" };
    const json_t *ladder = json_object_get(call, "ladder");
    const json_t *step;
    size_t index;

    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        char value[256];
        copy_printable(value, sizeof value, text_of(call, facts[i]));
        (void)printf("%-12s %s\n", facts[i], value);
    }
    (void)putchar('\n');
    json_array_foreach (ladder, index, step)
        print_step(step);
    (void)putchar('\n');
    print_tree("media", json_object_get(call, "media"));
}

static void print_health(const json_t *health)
{
    (void)puts(json_is_true(json_object_get(health, "ready")) ? "ready" : "not ready");
    print_tree("", health);
}

static void print_stats(const json_t *stats)
{
    print_tree("", stats);
}

/* ---- commands ---- */

static const struct command {
    const char *word[2]; /**< the second may be NULL, or "" for a name given by the user */
    const char *path;
    void (*print)(const json_t *json);
} commands[] = {
    { { "show", "calls" }, "/calls", print_calls },  { { "show", "users" }, "/users", print_users },
    { { "trace", "" }, "/calls/", print_trace },     { { "stats", NULL }, "/stats", print_stats },
    { { "health", NULL }, "/readyz", print_health },
};

static const struct command *find_command(char **words, int count)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *command = &commands[i];
        int wanted = command->word[1] ? 2 : 1;
        if (count != wanted || strcmp(words[0], command->word[0]) != 0)
            continue;
        if (wanted == 1 || !*command->word[1] || strcmp(words[1], command->word[1]) == 0)
            return command;
    }
    return NULL;
}

static void print_json(const json_t *json)
{
    (void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    (void)putchar('\n');
}

static int run(const struct command *command, const char *name, const char *socket_path, bool as_json)
{
    struct answer answer;
    int err = ask(socket_path, command->path, name, &answer);
    bool refused;

    if (err) {
        (void)fprintf(stderr, "wzpctl: no gateway answers at %s: %s\n", socket_path, strerror(-err));
        return EXIT_UNREACHABLE;
    }
    refused = answer.status >= 400;
    if (refused && json_object_get(answer.json, "error"))
        (void)fprintf(stderr, "wzpctl: %s\n", text_of(answer.json, "error"));
    else if (as_json)
        print_json(answer.json);
    else
        command->print(answer.json);
    json_decref(answer.json);
    return refused ? EXIT_NO : EXIT_OK;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "socket", required_argument, NULL, 's' },
        { "json", no_argument, NULL, 'j' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    const char *socket_path = getenv("WZP_SOCKET");
    const struct command *command;
    bool as_json = false;
    int option;

    while ((option = getopt_long(argc, argv, "s:jVh", options, NULL)) != -1) {
        switch (option) {
        case 's':
            socket_path = optarg;
            break;
        case 'j':
            as_json = true;
            break;
        case 'V':
            (void)puts("wzpctl " WZP_VERSION);
            return EXIT_OK;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_OK;
        default:
            (void)fputs("try wzpctl --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (argc - optind == 1 && strcmp(argv[optind], "version") == 0) {
        (void)puts("wzpctl " WZP_VERSION);
        return EXIT_OK;
    }
    command = find_command(argv + optind, argc - optind);
    if (!command) {
        (void)fputs(optind == argc ? usage : "wzpctl: no such command; try wzpctl --help\n", stderr);
        return EXIT_USAGE;
    }
    return run(command, command->word[1] && !*command->word[1] ? argv[optind + 1] : "",
               socket_path ? socket_path : DEFAULT_SOCKET, as_json);
}
