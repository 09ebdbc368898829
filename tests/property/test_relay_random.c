/* Random events against the relay core, checked after every step:
 *   - effects go to live connections only (tests/support/relay_world.c fails otherwise), all messages decode;
 *   - no call outlives its timers, none is left when everybody is gone;
 *   - the registered, session and room counts are what the events add up to;
 *   - an address a callee announced is seen by nobody but the caller, and only after a trusted answer;
 *   - a CallSetup goes to the two parties of an accepted call only;
 *   - datagrams reach exactly the others of the room.
 * A failure prints the seed; WZP_TEST_SEED=N runs that one alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"

#define SEEDS            60
#define STEPS            600
#define CONNS_MAX        24
#define CALLS_MAX        12
#define RING_MS          5000
#define SETUP_MS         2000
#define REGISTER_WAIT_MS 1000
#define GRACE_MS         3000

/** For the message of a failure; 0: no story is running. */
static uint64_t running_seed;

enum role { ROLE_SIGNAL, ROLE_MEDIA };

struct client {
    uint64_t conn; /* 0: free slot */
    enum role role;
    unsigned user;
    unsigned room; /* of media connections */
};

struct story {
    struct relay_world *w;
    uint64_t random;
    struct client client[CONNS_MAX];
    struct {
        unsigned caller, callee;
        bool trusted;
        bool known;
    } call[CALLS_MAX]; /* by call number, the latest use of the id */
};

static uint64_t below(struct story *s, uint64_t limit)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (s->random >> 20) % limit;
}

/* ---- texts that carry their own meaning ---- */

static void call_id_of(unsigned call, char buf[static 16])
{
    snprintf(buf, 16, "call%u", call);
}

/** The address user announces as callee of call: found again wherever it leaks. */
static void secret_addr(unsigned user, unsigned call, char buf[static 32])
{
    snprintf(buf, 32, "198.18.%u.%u:7777", user, call);
}

static void room_name(unsigned room, char buf[static 32])
{
    static const char *const plain[] = { "ops", "lobby" };
    if (room < 2)
        snprintf(buf, 32, "%s", plain[room]);
    else
        snprintf(buf, 32, "call-call%u", room - 2);
}

/* ---- what is sent ---- */

static struct client *client_of(struct story *s, uint64_t conn)
{
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (s->client[i].conn == conn)
            return &s->client[i];
    return NULL;
}

static void check_addresses(struct story *s, const struct client *to, const char *text)
{
    for (const char *pos = strstr(text, "198.18."); pos; pos = strstr(pos + 1, "198.18.")) {
        unsigned user, call;
        assert_int_equal(sscanf(pos, "198.18.%u.%u:7777", &user, &call), 2);
        assert_true(call < CALLS_MAX && s->call[call].known);
        assert_int_equal(s->call[call].callee, user);
        assert_int_equal(s->call[call].caller, to->user);
        assert_true(s->call[call].trusted);
    }
}

static void check_send(struct relay_world *w, struct relay_world_conn *conn, struct wz_bytes body)
{
    struct story *s = w->arg;
    struct wzp_signal signal;
    assert_int_equal(wzp_signal_decode(body, &signal), 0);
    assert_int_not_equal(signal.kind, WZP_SIG_UNKNOWN);
    const struct client *to = client_of(s, conn->id);
    if (to) { /* not yet known while it registers */
        char text[8192];
        assert_true(body.len < sizeof text);
        memcpy(text, body.data, body.len);
        text[body.len] = '\0';
        check_addresses(s, to, text);
        if (signal.kind == WZP_SIG_CALL_SETUP) {
            unsigned call;
            assert_int_equal(sscanf(signal.setup.call_id, "call%u", &call), 1);
            assert_true(to->user == s->call[call].caller || to->user == s->call[call].callee);
        }
    }
    wzp_signal_done(&signal);
}

/* ---- events ---- */

static struct client *free_slot(struct story *s)
{
    return client_of(s, 0);
}

static struct client *pick(struct story *s, enum role role)
{
    const size_t start = below(s, CONNS_MAX);
    for (size_t i = 0; i < CONNS_MAX; i++) {
        struct client *c = &s->client[(start + i) % CONNS_MAX];
        if (c->conn && c->role == role)
            return c;
    }
    return NULL;
}

/** Forget clients whose connection the relay has closed. */
static void sweep(struct story *s)
{
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (s->client[i].conn && !relay_world_is_open(s->w, s->client[i].conn))
            s->client[i].conn = 0;
}

static void event_register(struct story *s)
{
    struct client *c = free_slot(s);
    if (!c)
        return;
    const unsigned user = (unsigned)below(s, 4);
    const uint64_t conn = relay_world_connect(s->w, "_signal");
    struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE };
    signal.register_presence.keys.has_identity = true;
    memcpy(signal.register_presence.keys.identity_pub, s->w->user[user].ed25519_public, WZP_KEY_BYTES);
    *c = (struct client){ .conn = conn, .role = ROLE_SIGNAL, .user = user };
    if (below(s, 8) == 0)
        return; /* never registers: its timer ends it */
    if (below(s, 2)) {
        assert_int_equal(wzp_sign_register(&s->w->user[user], signal.register_presence.keys.signature), 0);
        signal.register_presence.keys.signature_len = WZP_SIGNATURE_BYTES;
    }
    relay_world_send(s->w, conn, &signal);
}

static void event_join(struct story *s)
{
    char room[32];
    struct client *c = free_slot(s);
    if (!c)
        return;
    c->user = (unsigned)below(s, 4);
    c->room = (unsigned)below(s, 2 + CALLS_MAX);
    room_name(c->room, room);
    c->role = ROLE_MEDIA;
    const struct client kept = *c;
    const uint64_t conn = relay_world_join(s->w, kept.user, room, below(s, 2) ? "alias" : NULL);
    *c = kept;
    c->conn = conn;
}

static void event_offer(struct story *s)
{
    char id[16];
    const struct client *c = pick(s, ROLE_SIGNAL);
    if (!c)
        return;
    const unsigned call = (unsigned)below(s, CALLS_MAX), callee = (unsigned)below(s, 5);
    call_id_of(call, id);
    const unsigned calls_before = wzp_relay_stats(s->w->relay)->calls;
    relay_world_offer(s->w, c->conn, c->user, callee, id, "203.0.113.1:1", below(s, 2) ? "10.0.0.1:1" : NULL);
    if (wzp_relay_stats(s->w->relay)->calls > calls_before) {
        s->call[call].known = true;
        s->call[call].trusted = false;
        s->call[call].caller = c->user;
        s->call[call].callee = callee;
    }
}

static void event_answer(struct story *s)
{
    char id[16], addr[32];
    const struct client *c = pick(s, ROLE_SIGNAL);
    if (!c)
        return;
    const unsigned call = (unsigned)below(s, CALLS_MAX);
    const enum wzp_accept_mode mode = (enum wzp_accept_mode)below(s, 3);
    call_id_of(call, id);
    secret_addr(c->user, call, addr);
    /* Said before the relay hears it: an accepted answer is forwarded within the step. */
    const bool was_trusted = s->call[call].trusted;
    if (mode == WZP_ACCEPT_TRUSTED && s->call[call].known && s->call[call].callee == c->user)
        s->call[call].trusted = true;
    const uint64_t setups_before = wzp_relay_stats(s->w->relay)->calls_setup_total;
    relay_world_answer(s->w, c->conn, id, mode, addr, below(s, 2) ? addr : NULL);
    if (wzp_relay_stats(s->w->relay)->calls_setup_total == setups_before)
        s->call[call].trusted = was_trusted;
}

static void event_hangup(struct story *s)
{
    char id[16];
    const struct client *c = pick(s, ROLE_SIGNAL);
    if (!c)
        return;
    call_id_of((unsigned)below(s, CALLS_MAX), id);
    relay_world_hangup(s->w, c->conn, (enum wzp_hangup_reason)below(s, 5), below(s, 3) ? id : NULL);
}

static void event_path_report(struct story *s)
{
    char id[16];
    const struct client *c = pick(s, ROLE_SIGNAL);
    if (!c)
        return;
    call_id_of((unsigned)below(s, CALLS_MAX), id);
    relay_world_path_report(s->w, c->conn, id, below(s, 3) != 0);
}

static void event_drop(struct story *s)
{
    struct client *c = pick(s, (enum role)below(s, 2));
    if (!c)
        return;
    const uint64_t conn = c->conn;
    c->conn = 0;
    relay_world_drop(s->w, conn);
}

static void event_noise(struct story *s)
{
    static const char *const noise[] = { "\"Reflect\"",
                                         "{",
                                         "\"Hold\"",
                                         "{\"Future\":1}",
                                         "{\"Ping\":{\"timestamp_ms\":1}}",
                                         "{\"CallRinging\":{\"call_id\":\"call1\"}}" };
    const struct client *c = pick(s, (enum role)below(s, 2));
    if (c)
        relay_world_send_text(s->w, c->conn, noise[below(s, sizeof noise / sizeof noise[0])]);
}

static void event_datagram(struct story *s)
{
    static const uint8_t data[30];
    const struct client *c = pick(s, ROLE_MEDIA);
    if (!c)
        return;
    size_t others = 0;
    for (size_t i = 0; i < CONNS_MAX; i++)
        others += s->client[i].conn && s->client[i].conn != c->conn && s->client[i].role == ROLE_MEDIA &&
                  s->client[i].room == c->room;
    assert_int_equal(relay_world_datagram(s->w, c->conn, wz_bytes(data, sizeof data)), others);
}

static void event_time(struct story *s)
{
    relay_world_advance_ms(s->w, below(s, 4) ? below(s, 100) : below(s, RING_MS));
}

static void (*const events[])(struct story *s) = {
    event_register, event_register, event_join,   event_join,   event_offer,       event_offer,
    event_offer,    event_answer,   event_answer, event_answer, event_path_report, event_hangup,
    event_datagram, event_drop,     event_noise,  event_time,
};

/* ---- invariants ---- */

static void check_counts(struct story *s)
{
    const struct wzp_relay_stats *stats = wzp_relay_stats(s->w->relay);
    unsigned sessions = 0;
    bool room_used[2 + CALLS_MAX] = { false };
    for (size_t i = 0; i < CONNS_MAX; i++) {
        if (!s->client[i].conn || s->client[i].role != ROLE_MEDIA)
            continue;
        sessions++;
        room_used[s->client[i].room] = true;
    }
    unsigned rooms = 0;
    for (size_t i = 0; i < 2 + CALLS_MAX; i++)
        rooms += room_used[i];
    assert_int_equal(stats->sessions, sessions);
    assert_int_equal(stats->rooms, rooms);
    assert_true(stats->registered <= 4);
    assert_true(stats->calls <= CALLS_MAX);
    assert_true(wzp_relay_deadline_us(s->w->relay) > s->w->now_us);
}

/** With every media connection gone and no direct path left, every call ends by its timers. */
static void check_timers(struct story *s)
{
    for (size_t i = 0; i < CONNS_MAX; i++) {
        struct client *c = &s->client[i];
        if (!c->conn)
            continue;
        if (c->role == ROLE_SIGNAL) {
            for (unsigned call = 0; call < CALLS_MAX; call++) {
                char id[16];
                call_id_of(call, id);
                relay_world_path_report(s->w, c->conn, id, false);
            }
        } else {
            const uint64_t conn = c->conn;
            c->conn = 0;
            relay_world_drop(s->w, conn);
        }
    }
    relay_world_advance_ms(s->w, RING_MS + SETUP_MS + GRACE_MS);
    assert_int_equal(wzp_relay_stats(s->w->relay)->calls, 0);
    sweep(s);
    check_counts(s);
}

static void check_end(struct story *s)
{
    for (size_t i = 0; i < CONNS_MAX; i++) {
        const uint64_t conn = s->client[i].conn;
        s->client[i].conn = 0;
        if (conn)
            relay_world_drop(s->w, conn);
    }
    const struct wzp_relay_stats *stats = wzp_relay_stats(s->w->relay);
    assert_int_equal(stats->registered, 0);
    assert_int_equal(stats->calls, 0);
    assert_int_equal(stats->rooms, 0);
    assert_int_equal(stats->sessions, 0);
    relay_world_advance_ms(s->w, 61000);
    assert_true(wzp_relay_deadline_us(s->w->relay) == UINT64_MAX);
}

static void run_story(uint64_t seed)
{
    const struct wzp_relay_config config = { .ring_ms = RING_MS,
                                             .setup_ms = SETUP_MS,
                                             .register_wait_ms = REGISTER_WAIT_MS,
                                             .direct_grace_ms = GRACE_MS,
                                             .offers_per_minute = 100000,
                                             .source_registrations_per_minute = 100000,
                                             .source_joins_per_minute = 100000,
                                             .source_offers_per_minute = 100000,
                                             .strict_privacy = seed % 3 == 0 };
    struct story story = { .w = relay_world_new(&config), .random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };
    story.w->silent = true;
    story.w->arg = &story;
    story.w->on_send = check_send;
    running_seed = seed;
    for (int step = 0; step < STEPS; step++) {
        events[below(&story, sizeof events / sizeof events[0])](&story);
        sweep(&story);
        check_counts(&story);
    }
    check_timers(&story);
    check_end(&story);
    relay_world_free(story.w);
    running_seed = 0;
}

/** Runs after a failure too. */
static int name_the_seed(void **state)
{
    (void)state;
    if (running_seed)
        print_error("failed with seed %" PRIu64 "; WZP_TEST_SEED=%" PRIu64 " runs it alone\n", running_seed,
                    running_seed);
    return 0;
}

static void relay_keeps_its_invariants_under_random_events(void **state)
{
    (void)state;
    const char *only = getenv("WZP_TEST_SEED");
    if (only) {
        run_story(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_story(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(relay_keeps_its_invariants_under_random_events, name_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
