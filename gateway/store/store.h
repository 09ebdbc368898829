/* What must survive a restart: phones' registrations and call records, in SQLite on a thread of its own.
 * Callers hand over plain copies and never wait. Thread: every function on the thread that opened the store,
 * unless it says other. */
#ifndef GATEWAY_STORE_STORE_H
#define GATEWAY_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wz_loop;
struct gw_store;

#define GW_STORE_ERROR_MAX 256
#define GW_STORE_TEXT_MAX  256
#define GW_STORE_URI_MAX   520
/** Writes waiting for the disk; beyond, new ones are dropped and counted (the gateway keeps calling). */
#define GW_STORE_WAITING_MAX 4096

/** One registered contact. Times are wall-clock microseconds. */
struct gw_store_binding {
    char user[GW_STORE_TEXT_MAX];
    char contact[GW_STORE_URI_MAX];
    char source[64];   /**< "ip:port" the REGISTER came from */
    char transport[8]; /**< "udp", "tcp" */
    char user_agent[GW_STORE_TEXT_MAX];
    char instance_id[GW_STORE_TEXT_MAX];
    char path[GW_STORE_URI_MAX];
    uint32_t reg_id;
    char call_id[GW_STORE_TEXT_MAX];
    uint32_t cseq;
    uint64_t updated_at_us, expires_at_us;
};

/** One call. Written when it ends and once more with the final counters; id is the key. */
struct gw_store_call {
    char id[40];
    char direction[8]; /**< "sip-wzp", "wzp-sip" */
    char user[GW_STORE_TEXT_MAX];
    char dialled[GW_STORE_TEXT_MAX];
    char peer[48]; /**< fingerprint */
    char peer_alias[GW_STORE_TEXT_MAX];
    char wzp_call_id[64];
    char sip_call_id[GW_STORE_TEXT_MAX];
    char codec[16];
    char path[8]; /**< "relay", "direct", "none" */
    char cause[24];
    uint32_t q850;
    uint64_t started_at_us, answered_at_us, ended_at_us; /**< 0: never */
    uint64_t rtp_rx, rtp_tx, rtp_lost, wzp_rx, wzp_tx, wzp_lost;
};

struct gw_store_stats {
    uint64_t written, dropped, failed; /**< dropped: the mailbox was full; failed: SQLite said no */
};

/**
 * Open or create the database, bring its schema to this version, start the thread.
 * @param loop   The opener's loop, where replies arrive.
 * @param error  GW_STORE_ERROR_MAX bytes: on failure a sentence that names file and reason.
 * @return       0, -EACCES, -EBADMSG (not our database, or damaged), -ENOTSUP (a newer schema), -EIO,
 * -ENOMEM.
 */
int gw_store_open(struct gw_store **ret, struct wz_loop *loop, const char *path, char error[static GW_STORE_ERROR_MAX]);
/** Write what is waiting, close. NULL-safe. */
void gw_store_close(struct gw_store *store);

/** Visit the bindings that had not expired at now_us, as they were at open. Blocks; meant for the start. */
int gw_store_load_bindings(struct gw_store *store, uint64_t now_us,
                           void (*visit)(void *arg, const struct gw_store_binding *binding), void *arg);

/** Insert or replace (key: user, contact). 0 or -EAGAIN (full: dropped, counted). */
int gw_store_save_binding(struct gw_store *store, const struct gw_store_binding *binding);
int gw_store_delete_binding(struct gw_store *store, const char *user, const char *contact);
int gw_store_save_call(struct gw_store *store, const struct gw_store_call *call);

/**
 * Fetch the newest calls, newest first.
 * @param reply  Called once from the opener's loop; calls is borrowed for it. Not called after
 * gw_store_close().
 * @return       0, -EAGAIN (too many questions open), -ENOMEM.
 */
int gw_store_recent_calls(struct gw_store *store, unsigned limit,
                          void (*reply)(void *arg, const struct gw_store_call *calls, size_t count), void *arg);
/** Wait until everything posted before has been written. Blocks: tests and shutdown. */
void gw_store_sync(struct gw_store *store);
/** Thread: any. */
struct gw_store_stats gw_store_stats(const struct gw_store *store);

#endif
