#include "gateway/store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
/** "WZPG": tells our database from any other SQLite file. */
#define APPLICATION_ID 0x575a5047

enum statement {
    SAVE_BINDING,
    DELETE_BINDING,
    SAVE_CALL,
    EACH_BINDING,
    RECENT_CALLS,
    STATEMENTS,
};

struct gw_db {
    sqlite3 *sqlite;
    sqlite3_stmt *statement[STATEMENTS];
};

static const char schema[] =
    "CREATE TABLE binding("
    " user TEXT NOT NULL, contact TEXT NOT NULL, source TEXT NOT NULL, transport TEXT NOT NULL,"
    " user_agent TEXT NOT NULL, instance_id TEXT NOT NULL, path TEXT NOT NULL, reg_id INTEGER NOT NULL,"
    " call_id TEXT NOT NULL, cseq INTEGER NOT NULL, updated_at_us INTEGER NOT NULL, expires_at_us INTEGER "
    "NOT NULL,"
    " PRIMARY KEY(user, contact)) WITHOUT ROWID;"
    "CREATE TABLE call("
    " id TEXT PRIMARY KEY, direction TEXT NOT NULL, user TEXT NOT NULL, dialled TEXT NOT NULL, peer TEXT NOT "
    "NULL,"
    " peer_alias TEXT NOT NULL, wzp_call_id TEXT NOT NULL, sip_call_id TEXT NOT NULL, codec TEXT NOT NULL,"
    " path TEXT NOT NULL, cause TEXT NOT NULL, q850 INTEGER NOT NULL, started_at_us INTEGER NOT NULL,"
    " answered_at_us INTEGER NOT NULL, ended_at_us INTEGER NOT NULL, rtp_rx INTEGER NOT NULL,"
    " rtp_tx INTEGER NOT NULL, rtp_lost INTEGER NOT NULL, wzp_rx INTEGER NOT NULL, wzp_tx INTEGER NOT NULL,"
    " wzp_lost INTEGER NOT NULL);"
    "CREATE INDEX call_by_start ON call(started_at_us);";

static const char *const sql[STATEMENTS] = {
    [SAVE_BINDING] = "INSERT OR REPLACE INTO binding VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
    [DELETE_BINDING] = "DELETE FROM binding WHERE user=?1 AND contact=?2",
    [SAVE_CALL] = ("INSERT OR REPLACE INTO call VALUES(" /* in the order of the table */
                   "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)"),
    [EACH_BINDING] = "SELECT * FROM binding WHERE expires_at_us>?1 ORDER BY user, updated_at_us",
    [RECENT_CALLS] = "SELECT * FROM call ORDER BY started_at_us DESC LIMIT ?1",
};

static int run(struct gw_db *db, const char *text)
{
    return sqlite3_exec(db->sqlite, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static int pragma_value(struct gw_db *db, const char *pragma, int *ret)
{
    sqlite3_stmt *stmt = NULL;
    int err = -EIO;
    if (sqlite3_prepare_v2(db->sqlite, pragma, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        *ret = sqlite3_column_int(stmt, 0);
        err = 0;
    }
    (void)sqlite3_finalize(stmt);
    return err;
}

static int create_schema(struct gw_db *db)
{
    char pragmas[96];
    (void)snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%d;", APPLICATION_ID,
                   SCHEMA_VERSION);
    if (run(db, "BEGIN IMMEDIATE") < 0 || run(db, schema) < 0 || run(db, pragmas) < 0)
        return -EIO;
    return run(db, "COMMIT");
}

/* A file that is empty gets our schema; one that is not ours, or newer than us, is left alone. */
static int check_schema(struct gw_db *db, const char **ret_why)
{
    int version = 0, application = 0, tables = 0;
    *ret_why = "it is damaged, or not a SQLite database";
    if (pragma_value(db, "PRAGMA user_version", &version) < 0 ||
        pragma_value(db, "PRAGMA application_id", &application) < 0 ||
        pragma_value(db, "SELECT count(*) FROM sqlite_master", &tables) < 0)
        return -EBADMSG;
    if (tables == 0) {
        *ret_why = "its schema cannot be written";
        return create_schema(db);
    }
    *ret_why = "it belongs to another program";
    if (application != APPLICATION_ID)
        return -EBADMSG;
    *ret_why = "it was written by a newer version of this program";
    return version > SCHEMA_VERSION ? -ENOTSUP : 0;
}

/* SQLite would let everybody read who called whom; its side files take the mode of this one. */
static void create_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd); /* if it could not be made, opening says why */
}

int gw_db_open(struct gw_db **ret, const char *path, char error[static GW_STORE_ERROR_MAX])
{
    int err = -ENOMEM;
    const char *why = "out of memory";
    struct gw_db *db = calloc(1, sizeof *db);
    if (!db)
        goto out;
    create_private(path);
    if (sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        why = db->sqlite ? sqlite3_errmsg(db->sqlite) : "out of memory";
        err = -EACCES;
        goto out;
    }
    (void)sqlite3_busy_timeout(db->sqlite, 2000); /* another gateway's check-config, a backup */
    err = check_schema(db, &why);
    if (err)
        goto out;
    /* WAL: a crash loses at most what was not yet handed to the kernel; a committed record is never half. */
    if (run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;") < 0) {
        why = sqlite3_errmsg(db->sqlite);
        err = -EIO;
        goto out;
    }
    for (int i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(db->sqlite, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statement[i], NULL) !=
            SQLITE_OK) {
            why = sqlite3_errmsg(db->sqlite);
            err = -EBADMSG;
            goto out;
        }
    }
    *ret = db;
    return 0;
out:
    (void)snprintf(error, GW_STORE_ERROR_MAX, "%s cannot be used as the store: %s", path, why);
    gw_db_close(db);
    return err;
}

void gw_db_close(struct gw_db *db)
{
    if (!db)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(db->statement[i]); /* repeats the statement's own error */
    (void)sqlite3_close(db->sqlite);
    free(db);
}

int gw_db_begin(struct gw_db *db)
{
    return run(db, "BEGIN");
}

int gw_db_commit(struct gw_db *db)
{
    int err = run(db, "COMMIT");
    /* A transaction left open would swallow every later row: give this one up. Some errors have closed it
     * already. */
    if (err && !sqlite3_get_autocommit(db->sqlite))
        (void)run(db, "ROLLBACK");
    return err;
}

static void text(sqlite3_stmt *stmt, int *at, const char *value)
{
    (void)sqlite3_bind_text(stmt, (*at)++, value, -1, SQLITE_STATIC); /* fails only for a wrong index */
}

static void number(sqlite3_stmt *stmt, int *at, uint64_t value)
{
    (void)sqlite3_bind_int64(stmt, (*at)++, (sqlite3_int64)value);
}

static int write_row(sqlite3_stmt *stmt)
{
    int result = sqlite3_step(stmt);
    (void)sqlite3_reset(stmt); /* repeats the error of step */
    (void)sqlite3_clear_bindings(stmt);
    return result == SQLITE_DONE ? 0 : -EIO;
}

int gw_db_save_binding(struct gw_db *db, const struct gw_store_binding *b)
{
    sqlite3_stmt *s = db->statement[SAVE_BINDING];
    int at = 1;
    text(s, &at, b->user);
    text(s, &at, b->contact);
    text(s, &at, b->source);
    text(s, &at, b->transport);
    text(s, &at, b->user_agent);
    text(s, &at, b->instance_id);
    text(s, &at, b->path);
    number(s, &at, b->reg_id);
    text(s, &at, b->call_id);
    number(s, &at, b->cseq);
    number(s, &at, b->updated_at_us);
    number(s, &at, b->expires_at_us);
    return write_row(s);
}

int gw_db_delete_binding(struct gw_db *db, const char *user, const char *contact)
{
    sqlite3_stmt *s = db->statement[DELETE_BINDING];
    int at = 1;
    text(s, &at, user);
    text(s, &at, contact);
    return write_row(s);
}

int gw_db_save_call(struct gw_db *db, const struct gw_store_call *c)
{
    sqlite3_stmt *s = db->statement[SAVE_CALL];
    int at = 1;
    text(s, &at, c->id);
    text(s, &at, c->direction);
    text(s, &at, c->user);
    text(s, &at, c->dialled);
    text(s, &at, c->peer);
    text(s, &at, c->peer_alias);
    text(s, &at, c->wzp_call_id);
    text(s, &at, c->sip_call_id);
    text(s, &at, c->codec);
    text(s, &at, c->path);
    text(s, &at, c->cause);
    number(s, &at, c->q850);
    number(s, &at, c->started_at_us);
    number(s, &at, c->answered_at_us);
    number(s, &at, c->ended_at_us);
    number(s, &at, c->rtp_rx);
    number(s, &at, c->rtp_tx);
    number(s, &at, c->rtp_lost);
    number(s, &at, c->wzp_rx);
    number(s, &at, c->wzp_tx);
    number(s, &at, c->wzp_lost);
    return write_row(s);
}

static void get_text(sqlite3_stmt *stmt, int *at, char *to, size_t size)
{
    const unsigned char *value = sqlite3_column_text(stmt, (*at)++);
    (void)snprintf(to, size, "%s", value ? (const char *)value : "");
}

static uint64_t get_number(sqlite3_stmt *stmt, int *at)
{
    return (uint64_t)sqlite3_column_int64(stmt, (*at)++);
}

int gw_db_each_binding(struct gw_db *db, uint64_t now_us,
                       void (*visit)(void *arg, const struct gw_store_binding *binding), void *arg)
{
    sqlite3_stmt *s = db->statement[EACH_BINDING];
    int result;
    (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)now_us);
    while ((result = sqlite3_step(s)) == SQLITE_ROW) {
        struct gw_store_binding b;
        int at = 0;
        get_text(s, &at, b.user, sizeof b.user);
        get_text(s, &at, b.contact, sizeof b.contact);
        get_text(s, &at, b.source, sizeof b.source);
        get_text(s, &at, b.transport, sizeof b.transport);
        get_text(s, &at, b.user_agent, sizeof b.user_agent);
        get_text(s, &at, b.instance_id, sizeof b.instance_id);
        get_text(s, &at, b.path, sizeof b.path);
        b.reg_id = (uint32_t)get_number(s, &at);
        get_text(s, &at, b.call_id, sizeof b.call_id);
        b.cseq = (uint32_t)get_number(s, &at);
        b.updated_at_us = get_number(s, &at);
        b.expires_at_us = get_number(s, &at);
        visit(arg, &b);
    }
    (void)sqlite3_reset(s);
    return result == SQLITE_DONE ? 0 : -EIO;
}

static void read_call(sqlite3_stmt *s, struct gw_store_call *c)
{
    int at = 0;
    get_text(s, &at, c->id, sizeof c->id);
    get_text(s, &at, c->direction, sizeof c->direction);
    get_text(s, &at, c->user, sizeof c->user);
    get_text(s, &at, c->dialled, sizeof c->dialled);
    get_text(s, &at, c->peer, sizeof c->peer);
    get_text(s, &at, c->peer_alias, sizeof c->peer_alias);
    get_text(s, &at, c->wzp_call_id, sizeof c->wzp_call_id);
    get_text(s, &at, c->sip_call_id, sizeof c->sip_call_id);
    get_text(s, &at, c->codec, sizeof c->codec);
    get_text(s, &at, c->path, sizeof c->path);
    get_text(s, &at, c->cause, sizeof c->cause);
    c->q850 = (uint32_t)get_number(s, &at);
    c->started_at_us = get_number(s, &at);
    c->answered_at_us = get_number(s, &at);
    c->ended_at_us = get_number(s, &at);
    c->rtp_rx = get_number(s, &at);
    c->rtp_tx = get_number(s, &at);
    c->rtp_lost = get_number(s, &at);
    c->wzp_rx = get_number(s, &at);
    c->wzp_tx = get_number(s, &at);
    c->wzp_lost = get_number(s, &at);
}

int gw_db_recent_calls(struct gw_db *db, struct gw_store_call *ret, unsigned max)
{
    sqlite3_stmt *s = db->statement[RECENT_CALLS];
    unsigned count = 0;
    int result;
    (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)max);
    while ((result = sqlite3_step(s)) == SQLITE_ROW && count < max)
        read_call(s, &ret[count++]);
    (void)sqlite3_reset(s);
    return result == SQLITE_DONE || result == SQLITE_ROW ? (int)count : -EIO;
}
