/* The SQL of the store: schema, rows in, rows out. Inside of gateway/store only. Thread: one per database. */
#ifndef GATEWAY_STORE_SQLITE_H
#define GATEWAY_STORE_SQLITE_H

#include "gateway/store/store.h"

struct gw_db;

int gw_db_open(struct gw_db **ret, const char *path, char error[static GW_STORE_ERROR_MAX]);
void gw_db_close(struct gw_db *db);
/* Each: 0 or -EIO. */
int gw_db_begin(struct gw_db *db);
int gw_db_commit(struct gw_db *db);
int gw_db_save_binding(struct gw_db *db, const struct gw_store_binding *binding);
int gw_db_delete_binding(struct gw_db *db, const char *user, const char *contact);
int gw_db_save_call(struct gw_db *db, const struct gw_store_call *call);
int gw_db_each_binding(struct gw_db *db, uint64_t now_us,
                       void (*visit)(void *arg, const struct gw_store_binding *binding), void *arg);
/** Fill at most max rows, newest first; returns how many, or -EIO. */
int gw_db_recent_calls(struct gw_db *db, struct gw_store_call *ret, unsigned max);

#endif
