/* Random events against the relay core, checked after every step:
 *   - effects go to live connections only (tests/support/relay_world.c fails otherwise), all messages decode;
 *   - no call outlives its timers, none is left when everybody is gone;
 *   - the registered, session and room counts are what the events add up to;
 *   - an address a callee announced is seen by nobody but the caller, and only after a trusted answer;
 *   - a CallSetup goes to the two parties of an accepted call only;
 *   - datagrams reach exactly the others of the room;
 *   - a quality directive goes to those only who have reported, and never says the same twice;
 *   - nothing is answered before a token is found valid, where one is required.
 * A failure prints the seed; WZP_TEST_SEED=N runs that one alone, WZP_TEST_SEEDS=N the first N. */
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
    bool reported;
    char told[32]; /* reason of the last directive */
};

struct story {
    struct relay_world *w;
    uint64_t random;
    bool strict, tokens;
    uint64_t unproven; /* its token has not been found valid */
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

static void check_directive(struct client *to, const char *reason)
{
    assert_true(to->reported);
    assert_string_not_equal(to->told, reason);
    snprintf(to->told, sizeof to->told, "%s", reason);
}

static void check_send(struct relay_world *w, struct relay_world_conn *conn, struct wz_bytes body)
{
    struct story *s = w->arg;
    struct wzp_signal signal;
    assert_int_equal(wzp_signal_decode(body, &signal), 0);
    assert_int_not_equal(signal.kind, WZP_SIG_UNKNOWN);
    struct client *to = client_of(s, conn->id);
    assert_true(conn->id != s->unproven);
    if (to && signal.kind == WZP_SIG_QUALITY_DIRECTIVE)
        check_directive(to, signal.quality_directive.reason);
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

/** Some call that was offered, mostly; and as *ret_user mostly a party of it, the callee if asked for. */
static unsigned pick_call(struct story *s, bool callee_only, unsigned *ret_user)
{
    const unsigned start = (unsigned)below(s, CALLS_MAX);
    *ret_user = (unsigned)below(s, 4);
    for (unsigned i = 0; i < CALLS_MAX && below(s, 20); i++) {
        const unsigned call = (start + i) % CALLS_MAX;
        if (!s->call[call].known)
            continue;
        *ret_user = callee_only || below(s, 2) ? s->call[call].callee : s->call[call].caller;
        return call;
    }
    return start;
}

static const struct client *signal_of(const struct story *s, unsigned user)
{
    for (size_t i = CONNS_MAX; i-- > 0;)
        if (s->client[i].conn && s->client[i].role == ROLE_SIGNAL && s->client[i].user == user)
            return &s->client[i];
    return NULL;
}

/** Forget clients whose connection the relay has closed. */
static void sweep(struct story *s)
{
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (s->client[i].conn && !relay_world_is_open(s->w, s->client[i].conn))
            s->client[i].conn = 0;
}

/** A new connection, which shows a token where one is required. */
static uint64_t connect_to(struct story *s, const char *sni)
{
    const uint64_t conn = relay_world_connect(s->w, sni);
    if (!s->tokens || !relay_world_is_open(s->w, conn))
        return conn;
    s->unproven = conn;
    relay_world_send_text(s->w, conn, "{\"AuthToken\":{\"token\":\"t\"}}");
    return conn;
}

/** The auth server answers: mostly well, sometimes not, or never. */
static void decide(struct story *s, uint64_t conn, unsigned user)
{
    if (!s->tokens || !relay_world_is_open(s->w, conn))
        return;
    const uint64_t mood = below(s, 8);
    if (mood == 0)
        relay_world_verdict(s->w, conn, NULL);
    if (mood > 1) {
        s->unproven = 0;
        relay_world_verdict(s->w, conn, s->w->user[user].fingerprint);
    }
    s->unproven = 0;
}

static void event_register(struct story *s)
{
    struct client *c = free_slot(s);
    if (!c)
        return;
    const unsigned user = (unsigned)below(s, 4);
    const uint64_t conn = connect_to(s, "_signal");
    *c = (struct client){ .conn = conn, .role = ROLE_SIGNAL, .user = user };
    if (below(s, 8) == 0 || !relay_world_is_open(s->w, conn))
        return; /* never registers: its timer ends it */
    const bool early = below(s, 2);
    if (!early)
        decide(s, conn, user);
    if (relay_world_is_open(s->w, conn) && (s->strict ? below(s, 8) > 0 : below(s, 2)))
        relay_world_send_signed_register(s->w, conn, user);
    else if (relay_world_is_open(s->w, conn))
        relay_world_send_register(s->w, conn, user);
    if (early)
        decide(s, conn, user);
}

static void event_join(struct story *s)
{
    char room[32];
    struct client *c = free_slot(s);
    if (!c)
        return;
    unsigned user;
    const unsigned call = pick_call(s, false, &user);
    *c = (struct client){ .role = ROLE_MEDIA, .user = user, .room = below(s, 3) ? 2 + call : (unsigned)below(s, 2) };
    const struct client kept = *c;
    room_name(kept.room, room);
    const uint64_t conn = connect_to(s, room);
    if (relay_world_is_open(s->w, conn))
        relay_world_send_call_offer(s->w, conn, kept.user, below(s, 2) ? "alias" : NULL);
    decide(s, conn, kept.user);
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
    if (s->strict)
        relay_world_signed_offer(s->w, c->conn, c->user, callee, id);
    else
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
    unsigned user;
    const unsigned call = pick_call(s, true, &user);
    const struct client *c = signal_of(s, user);
    if (!c)
        return;
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
    unsigned user;
    const unsigned call = pick_call(s, false, &user);
    const struct client *c = signal_of(s, user);
    if (!c)
        return;
    call_id_of(call, id);
    relay_world_path_report(s->w, c->conn, id, below(s, 3) != 0);
}

static void event_drop(struct story *s)
{
    struct client *c = pick(s, (enum role)below(s, 2));
    if (!c || below(s, 3))
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

struct search {
    uint64_t conn;
    bool found;
};

static void compare_session(void *arg, const struct wzp_relay_session_view *view)
{
    struct search *search = arg;
    search->found |= view->conn == search->conn;
}

/** A media connection whose token was never decided is in no room yet. */
static bool has_joined(const struct story *s, const struct client *c)
{
    struct search search = { .conn = c->conn };
    if (c->conn && c->role == ROLE_MEDIA)
        wzp_relay_each_session(s->w->relay, compare_session, &search);
    return search.found;
}

static void event_datagram(struct story *s)
{
    uint8_t data[30] = { 0 };
    struct client *c = pick(s, ROLE_MEDIA);
    if (!c)
        return;
    const bool is_joined = has_joined(s, c);
    size_t others = 0;
    for (size_t i = 0; is_joined && i < CONNS_MAX; i++)
        others += s->client[i].conn != c->conn && has_joined(s, &s->client[i]) && s->client[i].room == c->room;
    if (below(s, 2)) {
        data[0] = 0x02; /* with a report */
        data[26] = (uint8_t)below(s, 60);
        c->reported |= is_joined;
    }
    for (uint64_t times = 1 + below(s, 4); times > 0; times--)
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
        if (s->tokens ? !has_joined(s, &s->client[i]) : !s->client[i].conn || s->client[i].role != ROLE_MEDIA)
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
    struct story story = { .random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1,
                           .strict = seed % 4 == 1,
                           .tokens = seed % 5 == 2 };
    const unsigned per_minute = seed % 7 == 3 ? 40 : 100000; /* some relays are short of patience */
    const struct wzp_relay_config config = { .ring_ms = RING_MS,
                                             .setup_ms = SETUP_MS,
                                             .register_wait_ms = REGISTER_WAIT_MS,
                                             .direct_grace_ms = GRACE_MS,
                                             .offers_per_minute = 100000,
                                             .source_registrations_per_minute = per_minute,
                                             .source_signed_registrations_per_minute = per_minute,
                                             .source_joins_per_minute = per_minute,
                                             .source_offers_per_minute = per_minute,
                                             .source_reflects_per_minute = per_minute,
                                             .source_waiting = seed % 7 == 3 ? 3 : 256,
                                             .strict = story.strict,
                                             .require_token = story.tokens,
                                             .strict_privacy = seed % 3 == 0 };
    story.w = relay_world_new(&config);
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
    const char *count = getenv("WZP_TEST_SEEDS");
    const uint64_t seeds = count ? strtoull(count, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run_story(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(relay_keeps_its_invariants_under_random_events, name_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
