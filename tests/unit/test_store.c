/* gateway/store: registrations and call records survive a restart, also a sudden one; a bad file is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/store/store.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"

struct world {
    struct wz_loop *loop;
    char dir[64];
    char path[96];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/wzp-store-XXXXXX");
    if (!mkdtemp(w->dir) || wz_loop_new(&w->loop) < 0)
        return -1;
    (void)snprintf(w->path, sizeof w->path, "%s/gateway.db", w->dir);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
    wz_loop_free(w->loop);
    int failed = system(command);
    free(w);
    return failed;
}

static struct gw_store *open_store(struct world *w)
{
    char error[GW_STORE_ERROR_MAX];
    struct gw_store *store = NULL;
    if (gw_store_open(&store, w->loop, w->path, error) < 0)
        fail_msg("%s", error);
    return store;
}

static struct gw_store_binding binding(const char *user, const char *contact, uint64_t expires_at_us)
{
    struct gw_store_binding b = {
        .cseq = 7, .reg_id = 1, .updated_at_us = 5, .expires_at_us = expires_at_us
    };
    (void)snprintf(b.user, sizeof b.user, "%s", user);
    (void)snprintf(b.contact, sizeof b.contact, "%s", contact);
    (void)snprintf(b.source, sizeof b.source, "192.0.2.1:5060");
    (void)snprintf(b.user_agent, sizeof b.user_agent, "phone \"1\"'; DROP TABLE binding;--");
    return b;
}

struct seen {
    unsigned count;
    struct gw_store_binding last;
};

static void visit(void *arg, const struct gw_store_binding *b)
{
    struct seen *seen = arg;
    seen->count++;
    seen->last = *b;
}

static struct seen load(struct gw_store *store, uint64_t now_us)
{
    struct seen seen = { 0 };
    assert_int_equal(gw_store_load_bindings(store, now_us, visit, &seen), 0);
    return seen;
}

static void registration_survives_a_restart(void **state)
{
    struct world *w = *state;
    struct gw_store *store = open_store(w);
    struct gw_store_binding a = binding("alice", "sip:alice@192.0.2.1:5060", 1000),
                            b = binding("bob", "sip:b@x", 50);
    assert_int_equal(gw_store_save_binding(store, &a), 0);
    assert_int_equal(gw_store_save_binding(store, &b), 0);
    gw_store_close(store);
    store = open_store(w);
    struct seen seen = load(store, 100); /* bob's has expired meanwhile */
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.last.user, a.user);
    assert_string_equal(seen.last.contact, a.contact);
    assert_string_equal(seen.last.user_agent, a.user_agent);
    assert_int_equal(seen.last.cseq, 7);
    gw_store_close(store);
}

static void refreshed_binding_replaces_and_deleted_one_is_gone(void **state)
{
    struct world *w = *state;
    struct gw_store *store = open_store(w);
    struct gw_store_binding a = binding("alice", "sip:a@x", 1000);
    (void)gw_store_save_binding(store, &a);
    a.expires_at_us = 2000;
    (void)gw_store_save_binding(store, &a);
    struct seen seen = load(store, 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.expires_at_us, 2000);
    (void)gw_store_delete_binding(store, "alice", "sip:a@x");
    assert_int_equal(load(store, 0).count, 0);
    gw_store_close(store);
}

struct calls {
    bool replied;
    size_t count;
    struct gw_store_call first;
};

static void on_calls(void *arg, const struct gw_store_call *calls, size_t count)
{
    struct calls *got = arg;
    got->replied = true;
    got->count = count;
    if (count)
        got->first = calls[0];
}

static struct calls recent(struct world *w, struct gw_store *store, unsigned limit)
{
    struct calls got = { 0 };
    uint64_t limit_us = wz_clock_us() + 5000000;
    assert_int_equal(gw_store_recent_calls(store, limit, on_calls, &got), 0);
    while (!got.replied && wz_clock_us() < limit_us)
        (void)wz_loop_turn(w->loop, 100);
    assert_true(got.replied);
    return got;
}

static void newest_calls_come_first_and_an_update_keeps_one_row(void **state)
{
    struct world *w = *state;
    struct gw_store *store = open_store(w);
    struct gw_store_call call = { .id = "a", .cause = "normal", .started_at_us = 10 };
    (void)gw_store_save_call(store, &call);
    (void)snprintf(call.id, sizeof call.id, "b");
    call.started_at_us = 20;
    (void)gw_store_save_call(store, &call);
    call.rtp_rx = 99;
    (void)gw_store_save_call(store, &call);
    struct calls got = recent(w, store, 10);
    assert_int_equal(got.count, 2);
    assert_string_equal(got.first.id, "b");
    assert_int_equal(got.first.rtp_rx, 99);
    assert_int_equal(recent(w, store, 1).count, 1);
    gw_store_close(store);
}

static void written_record_survives_a_sudden_death(void **state)
{
    struct world *w = *state;
    pid_t pid = fork();
    if (pid == 0) {
        struct wz_loop *loop;
        struct gw_store *store;
        char error[GW_STORE_ERROR_MAX];
        struct gw_store_call call = { .id = "kept", .started_at_us = 1 };
        if (wz_loop_new(&loop) < 0 || gw_store_open(&store, loop, w->path, error) < 0)
            _exit(1);
        (void)gw_store_save_call(store, &call);
        gw_store_sync(store);
        _exit(0); /* no close, no checkpoint */
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct gw_store *store = open_store(w);
    assert_string_equal(recent(w, store, 5).first.id, "kept");
    gw_store_close(store);
}

static void foreign_or_damaged_file_is_refused_by_name(void **state)
{
    struct world *w = *state;
    char error[GW_STORE_ERROR_MAX];
    struct gw_store *store = NULL;
    FILE *file = fopen(w->path, "w");
    for (int i = 0; i < 1000; i++)
        assert_true(fprintf(file, "this is no database, line %d\n", i) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(gw_store_open(&store, w->loop, w->path, error), -EBADMSG);
    assert_non_null(strstr(error, w->path));
    assert_null(store);
}

static void change_database(struct world *w, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void database_of_a_newer_version_or_another_program_is_left_alone(void **state)
{
    struct world *w = *state;
    char error[GW_STORE_ERROR_MAX];
    struct gw_store *store = NULL;
    gw_store_close(open_store(w));
    change_database(w, "PRAGMA user_version=999");
    assert_int_equal(gw_store_open(&store, w->loop, w->path, error), -ENOTSUP);
    assert_non_null(strstr(error, "newer version"));
    change_database(w, "PRAGMA user_version=1; PRAGMA application_id=1");
    assert_int_equal(gw_store_open(&store, w->loop, w->path, error), -EBADMSG);
    assert_non_null(strstr(error, "another program"));
    assert_null(store);
}

static void full_mailbox_drops_and_counts_and_nothing_taken_is_lost(void **state)
{
    struct world *w = *state;
    struct gw_store *store = open_store(w);
    struct gw_store_call call = { .cause = "normal" };
    uint64_t taken = 0, refused = 0;
    sqlite3 *blocker;
    /* Another writer holds the database, so the store's thread waits while we go on. */
    assert_int_equal(sqlite3_open(w->path, &blocker), SQLITE_OK);
    assert_int_equal(sqlite3_exec(blocker, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (unsigned i = 0; i < GW_STORE_WAITING_MAX + 100; i++) {
        (void)snprintf(call.id, sizeof call.id, "%u", i);
        if (gw_store_save_call(store, &call) == 0)
            taken++;
        else
            refused++;
    }
    assert_int_equal(sqlite3_exec(blocker, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(blocker), SQLITE_OK);
    gw_store_sync(store);
    struct gw_store_stats stats = gw_store_stats(store);
    assert_true(refused > 0);
    assert_int_equal(stats.dropped, refused);
    assert_int_equal(stats.written + stats.failed, taken);
    assert_int_equal(stats.failed, 0);
    gw_store_close(store);
}

/** In a child, whose limit on file sizes stands for a full disk. Returns the step that went wrong, 0: none.
 */
static int write_through_a_full_disk(const char *path)
{
    struct wz_loop *loop;
    struct gw_store *store;
    char error[GW_STORE_ERROR_MAX];
    struct gw_store_call call = { .id = "lost", .started_at_us = 1 };
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    wz_log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), WZ_LOG_TEXT,
                WZ_LOG_ERROR); /* it rightly complains */
    if (wz_loop_new(&loop) < 0 || gw_store_open(&store, loop, path, error) < 0 ||
        getrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 1;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 2;
    (void)gw_store_save_call(store, &call);
    gw_store_sync(store);
    if (gw_store_stats(store).failed != 1 || gw_store_stats(store).written != 0)
        return 3;
    limit.rlim_cur = before;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 4;
    (void)snprintf(call.id, sizeof call.id, "kept");
    (void)gw_store_save_call(store, &call);
    gw_store_sync(store);
    return gw_store_stats(store).written == 1 ? 0 : 5;
}

static void writing_goes_on_when_a_full_disk_has_room_again(void **state)
{
    struct world *w = *state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(write_through_a_full_disk(w->path));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct gw_store *store = open_store(w);
    struct calls got = recent(w, store, 5);
    assert_int_equal(got.count, 1);
    assert_string_equal(got.first.id, "kept");
    gw_store_close(store);
}

static void database_can_be_read_by_its_owner_only(void **state)
{
    struct world *w = *state;
    struct stat st;
    mode_t before = umask(0);
    struct gw_store *store = open_store(w);
    (void)umask(before);
    assert_int_equal(stat(w->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    gw_store_close(store);
}

static void unwritable_place_is_refused(void **state)
{
    struct world *w = *state;
    char error[GW_STORE_ERROR_MAX];
    struct gw_store *store = NULL;
    assert_true(gw_store_open(&store, w->loop, "/nonexistent/place/gateway.db", error) < 0);
    assert_non_null(strstr(error, "/nonexistent/place/gateway.db"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(registration_survives_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(refreshed_binding_replaces_and_deleted_one_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(newest_calls_come_first_and_an_update_keeps_one_row, setup, teardown),
        cmocka_unit_test_setup_teardown(written_record_survives_a_sudden_death, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_or_damaged_file_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(database_of_a_newer_version_or_another_program_is_left_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(full_mailbox_drops_and_counts_and_nothing_taken_is_lost, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(writing_goes_on_when_a_full_disk_has_room_again, setup, teardown),
        cmocka_unit_test_setup_teardown(database_can_be_read_by_its_owner_only, setup, teardown),
        cmocka_unit_test_setup_teardown(unwritable_place_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
