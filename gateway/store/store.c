#include "gateway/store/store.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "store"
#include "gateway/store/sqlite.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/mailbox.h"

/** Questions that may be open at once. */
#define QUERIES_MAX 16
/** Rows one reply may hold. */
#define RECENT_MAX 1000

enum job_kind {
    JOB_SAVE_BINDING,
    JOB_DELETE_BINDING,
    JOB_SAVE_CALL,
    JOB_RECENT_CALLS,
    JOB_SYNC,
    JOB_STOP,
};

/** A question and its way back to the thread that asked. */
struct query {
    unsigned limit;
    void (*reply)(void *arg, const struct gw_store_call *calls, size_t count);
    void *arg;
    struct gw_store_call *row;
    size_t count;
};

struct job {
    enum job_kind kind;
    union {
        void *row; /**< a binding or a call, owned */
        struct query *query;
        sem_t *done;
    };
};

struct gw_store {
    struct gw_db *db;
    struct wz_loop *loop; /* of the store thread */
    struct wz_mailbox *jobs;
    struct wz_flush commit; /* one transaction per loop turn */
    bool in_transaction;
    unsigned uncommitted; /* rows in it; the store thread's */
    pthread_t thread;
    bool running;
    struct wz_mailbox *replies; /* to the opener's loop */
    unsigned asked;             /* questions not yet answered; the opener's side */
    atomic_uint_fast64_t written, dropped, failed;
};

/* ---- the store's own thread ---- */

static void on_commit(void *arg)
{
    struct gw_store *store = arg;
    unsigned rows = store->uncommitted;
    store->in_transaction = false;
    store->uncommitted = 0;
    if (gw_db_commit(store->db) == 0) {
        atomic_fetch_add(&store->written, rows);
        return;
    }
    atomic_fetch_add(&store->failed, rows);
    LOG_ERROR("store.commit_failed", "rows=%u hint=\"is the disk full?\"", rows);
}

static void begin(struct gw_store *store)
{
    if (store->in_transaction)
        return;
    store->in_transaction = gw_db_begin(store->db) == 0; /* without one each row is its own */
    if (store->in_transaction)
        wz_flush_request(&store->commit);
}

static void write_job(struct gw_store *store, struct job *job)
{
    int err;
    begin(store);
    if (job->kind == JOB_SAVE_CALL) {
        err = gw_db_save_call(store->db, job->row);
    } else {
        const struct gw_store_binding *binding = job->row;
        err = job->kind == JOB_SAVE_BINDING ? gw_db_save_binding(store->db, binding)
                                            : gw_db_delete_binding(store->db, binding->user, binding->contact);
    }
    free(job->row);
    if (err)
        LOG_ERROR("store.write_failed", "job=%d", (int)job->kind);
    if (!err && store->in_transaction)
        store->uncommitted++; /* counted when it is on the disk */
    else
        atomic_fetch_add(err ? &store->failed : &store->written, 1);
}

static void answer(struct gw_store *store, struct query *query)
{
    query->row = calloc(query->limit ? query->limit : 1, sizeof *query->row);
    int count = query->row ? gw_db_recent_calls(store->db, query->row, query->limit) : 0;
    query->count = count > 0 ? (size_t)count : 0;
    (void)wz_mailbox_post(store->replies, &query); /* has room for every question that may be open */
}

static void on_job(void *arg, void *item)
{
    struct gw_store *store = arg;
    struct job *job = item;
    switch (job->kind) {
    case JOB_SAVE_BINDING:
    case JOB_DELETE_BINDING:
    case JOB_SAVE_CALL:
        write_job(store, job);
        break;
    case JOB_RECENT_CALLS:
        answer(store, job->query);
        break;
    case JOB_SYNC:
        if (store->in_transaction) {
            wz_flush_cancel(&store->commit);
            on_commit(store);
        }
        (void)sem_post(job->done);
        break;
    case JOB_STOP:
        wz_loop_stop(store->loop);
        break;
    }
}

static void *run(void *arg)
{
    struct gw_store *store = arg;
    (void)wz_loop_run(store->loop); /* only epoll itself can fail */
    return NULL;
}

/* ---- the opener's side ---- */

static void query_free(struct query *query)
{
    free(query->row);
    free(query);
}

static void drop_reply(void *arg, void *item)
{
    (void)arg;
    query_free(*(struct query **)item);
}

static void drop_job(void *arg, void *item)
{
    struct job *job = item;
    (void)arg;
    if (job->kind <= JOB_SAVE_CALL)
        free(job->row);
    else if (job->kind == JOB_RECENT_CALLS)
        query_free(job->query);
}

static void on_reply(void *arg, void *item)
{
    struct gw_store *store = arg;
    struct query *query = *(struct query **)item;
    store->asked--;
    query->reply(query->arg, query->row, query->count);
    query_free(query);
}

int gw_store_open(struct gw_store **ret, struct wz_loop *loop, const char *path, char error[static GW_STORE_ERROR_MAX])
{
    struct gw_store *store = calloc(1, sizeof *store);
    int err;
    (void)snprintf(error, GW_STORE_ERROR_MAX, "out of memory");
    if (!store)
        return -ENOMEM;
    err = gw_db_open(&store->db, path, error);
    if (err)
        goto out;
    err = wz_loop_new(&store->loop);
    if (err)
        goto out;
    wz_flush_init(&store->commit, store->loop, on_commit, store);
    err = wz_mailbox_new(&store->jobs, store->loop, GW_STORE_WAITING_MAX, sizeof(struct job), on_job, store);
    if (err)
        goto out;
    err = wz_mailbox_new(&store->replies, loop, QUERIES_MAX, sizeof(struct query *), on_reply, store);
    if (err)
        goto out;
    err = -pthread_create(&store->thread, NULL, run, store);
    if (err)
        goto out;
    store->running = true;
    (void)pthread_setname_np(store->thread, "wzp-store"); /* for ps only */
    *ret = store;
    return 0;
out:
    gw_store_close(store);
    return err;
}

void gw_store_close(struct gw_store *store)
{
    if (!store)
        return;
    if (store->running) {
        while (wz_mailbox_post(store->jobs, &(struct job){ .kind = JOB_STOP }) == -EAGAIN)
            gw_store_sync(store); /* full: wait for the disk, nothing that was taken may be lost */
        (void)pthread_join(store->thread, NULL);
        if (store->in_transaction) {
            wz_flush_cancel(&store->commit);
            on_commit(store);
        }
    }
    wz_mailbox_free(store->replies, drop_reply);
    wz_mailbox_free(store->jobs, drop_job);
    wz_loop_free(store->loop);
    gw_db_close(store->db);
    free(store);
}

int gw_store_load_bindings(struct gw_store *store, uint64_t now_us,
                           void (*visit)(void *arg, const struct gw_store_binding *binding), void *arg)
{
    gw_store_sync(store); /* the thread is idle now and stays so: only we give it work */
    return gw_db_each_binding(store->db, now_us, visit, arg);
}

static int post_row(struct gw_store *store, enum job_kind kind, const void *row, size_t size)
{
    struct job job = { .kind = kind, .row = malloc(size) };
    if (job.row) {
        memcpy(job.row, row, size);
        if (wz_mailbox_post(store->jobs, &job) == 0)
            return 0;
        free(job.row);
    }
    atomic_fetch_add(&store->dropped, 1);
    return -EAGAIN;
}

int gw_store_save_binding(struct gw_store *store, const struct gw_store_binding *binding)
{
    return post_row(store, JOB_SAVE_BINDING, binding, sizeof *binding);
}

int gw_store_delete_binding(struct gw_store *store, const char *user, const char *contact)
{
    struct gw_store_binding key = { .reg_id = 0 };
    (void)snprintf(key.user, sizeof key.user, "%s", user);
    (void)snprintf(key.contact, sizeof key.contact, "%s", contact);
    return post_row(store, JOB_DELETE_BINDING, &key, sizeof key);
}

int gw_store_save_call(struct gw_store *store, const struct gw_store_call *call)
{
    return post_row(store, JOB_SAVE_CALL, call, sizeof *call);
}

int gw_store_recent_calls(struct gw_store *store, unsigned limit,
                          void (*reply)(void *arg, const struct gw_store_call *calls, size_t count), void *arg)
{
    struct query *query;
    if (store->asked == QUERIES_MAX)
        return -EAGAIN;
    query = calloc(1, sizeof *query);
    if (!query)
        return -ENOMEM;
    *query = (struct query){ .limit = limit < RECENT_MAX ? limit : RECENT_MAX, .reply = reply, .arg = arg };
    int err = wz_mailbox_post(store->jobs, &(struct job){ .kind = JOB_RECENT_CALLS, .query = query });
    if (err)
        query_free(query);
    else
        store->asked++;
    return err;
}

void gw_store_sync(struct gw_store *store)
{
    sem_t done;
    (void)sem_init(&done, 0, 0);
    while (wz_mailbox_post(store->jobs, &(struct job){ .kind = JOB_SYNC, .done = &done }) == -EAGAIN)
        (void)sched_yield(); /* the thread is writing as fast as it can */
    while (sem_wait(&done) < 0 && errno == EINTR) {
    }
    (void)sem_destroy(&done);
}

struct gw_store_stats gw_store_stats(const struct gw_store *store)
{
    return (struct gw_store_stats){ .written = atomic_load(&store->written),
                                    .dropped = atomic_load(&store->dropped),
                                    .failed = atomic_load(&store->failed) };
}
