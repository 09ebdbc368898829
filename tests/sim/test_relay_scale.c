/* 100,000 users of one relay core in virtual time: they register, call each other, some meet in their call's room, and all
 * leave. What an event costs must not depend on how many users there are, and nothing may be left of them.
 *
 * Costs are CPU time of this thread inside the core, compared between the first and the last tenth of each phase; the
 * bound is wide, since caches hold the first users and not the last. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/core/handshake.h"
#include "wzp/core/media.h"
#include "wzp/core/relay.h"
#include "wzp/core/signal.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/rng.h"

/** Every so many calls meet on the relay; the others go direct. A meeting costs two signatures at each end. */
#define MEET_EVERY 100u
/** Calls that go on at the same time. */
#define LIVE_CALLS 2000u
/** In each direction of a call that meets. */
#define DATAGRAMS 10u
#define EVENT_US  1000u
/** Everything a relay remembers of calls and sources is forgotten after that. */
#define AFTERWARDS_US (3600u * UINT64_C(1000000))
#define TENTHS        10u
#define RATIO_MAX     3.0

struct user {
    uint64_t conn;
    char fingerprint[WZP_FINGERPRINT_TEXT];
};

struct scale {
    struct wzp_relay *relay;
    uint64_t now_us, last_conn, random;
    struct wz_rng rng;
    struct wz_addr local;
    unsigned users;
    struct user *user;
    uint64_t (*media)[2]; /* per call that meets: its parties' media connections */
    uint64_t spent_us, events;
    size_t sends; /* of the last step */
};

static void fill_random(void *arg, uint8_t *out, size_t len)
{
    struct scale *s = arg;
    for (size_t i = 0; i < len; i++) {
        s->random = s->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        out[i] = (uint8_t)(s->random >> 56);
    }
}

/* ---- steps of the core, timed ---- */

static void take(struct scale *s, int err, const struct wzp_relay_effects *effects, uint64_t began_us)
{
    s->spent_us += wz_cpu_thread_us() - began_us;
    assert_int_equal(err, 0);
    s->sends = 0;
    for (size_t i = 0; i < effects->count; i++)
        s->sends += effects->item[i].kind == WZP_RELAY_SEND;
}

static void pass_time(struct scale *s)
{
    struct wzp_relay_effects effects;
    s->now_us += EVENT_US;
    s->events++;
    if (wzp_relay_deadline_us(s->relay) > s->now_us)
        return;
    const uint64_t began_us = wz_cpu_thread_us();
    take(s, wzp_relay_tick(s->relay, s->now_us, &effects), &effects, began_us);
}

/** Every user has an address of its own, as most people have. */
static uint64_t connect_user(struct scale *s, unsigned user, const char *sni)
{
    struct wz_addr remote = { .family = WZ_ADDR_V4, .port = 40000 };
    struct wzp_relay_effects effects;
    const uint64_t conn = ++s->last_conn;
    remote.ip[0] = 10;
    remote.ip[1] = (uint8_t)(user >> 16);
    remote.ip[2] = (uint8_t)(user >> 8);
    remote.ip[3] = (uint8_t)user;
    pass_time(s);
    const uint64_t began_us = wz_cpu_thread_us();
    take(s, wzp_relay_connected(s->relay, conn, sni, &remote, &s->local, s->now_us, &effects), &effects, began_us);
    wzp_relay_set_handle(s->relay, conn, s);
    return conn;
}

static void send(struct scale *s, uint64_t conn, const struct wzp_signal *signal)
{
    struct wzp_relay_effects effects;
    char *json = NULL;
    size_t len;
    assert_int_equal(wzp_signal_encode(signal, &json, &len), 0);
    pass_time(s);
    const uint64_t began_us = wz_cpu_thread_us();
    take(s, wzp_relay_message(s->relay, conn, wz_bytes(json, len), s->now_us, &effects), &effects, began_us);
    free(json);
}

static void drop(struct scale *s, uint64_t conn)
{
    struct wzp_relay_effects effects;
    pass_time(s);
    const uint64_t began_us = wz_cpu_thread_us();
    take(s, wzp_relay_closed(s->relay, conn, s->now_us, &effects), &effects, began_us);
}

static void send_datagram(struct scale *s, uint64_t conn)
{
    static const uint8_t datagram[WZP_MEDIA_HEADER_BYTES + 20] = { 0, 0, 0, 1 };
    void *const *handles;
    pass_time(s);
    const uint64_t began_us = wz_cpu_thread_us();
    const size_t count = wzp_relay_route(s->relay, conn, wz_bytes(datagram, sizeof datagram), s->now_us, &handles);
    s->spent_us += wz_cpu_thread_us() - began_us;
    assert_int_equal(count, 1);
}

/* ---- what users do ---- */

static bool call_meets(unsigned call)
{
    return call % MEET_EVERY == 0;
}

/** Users of calls that meet sign, so they need real keys; for the others any 32 bytes do. */
static void identity_of(unsigned user, struct wzp_identity *ret)
{
    uint8_t seed[WZP_SEED_BYTES] = { 0x5c };
    memcpy(seed + 1, &user, sizeof user);
    if (call_meets(user / 2)) {
        assert_int_equal(wzp_identity_from_seed(seed, ret), 0);
        return;
    }
    memcpy(ret->ed25519_public, seed, WZP_KEY_BYTES);
    assert_int_equal(wzp_fingerprint_of_key(seed, ret->fingerprint), 0);
}

static void register_user(struct scale *s, unsigned user)
{
    struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE,
                                 .register_presence.keys = { .has_identity = true } };
    struct wzp_identity identity;
    identity_of(user, &identity);
    memcpy(s->user[user].fingerprint, identity.fingerprint, sizeof identity.fingerprint);
    memcpy(signal.register_presence.keys.identity_pub, identity.ed25519_public, WZP_KEY_BYTES);
    s->user[user].conn = connect_user(s, user, "_signal");
    send(s, s->user[user].conn, &signal);
    assert_int_equal(s->sends, 1);
}

static void join(struct scale *s, unsigned call, unsigned party, const char *sni)
{
    const unsigned user = 2 * call + party;
    struct wzp_handshake handshake;
    struct wzp_identity identity;
    struct wzp_signal offer;
    identity_of(user, &identity);
    assert_int_equal(wzp_handshake_init(&handshake, &s->rng), 0);
    assert_int_equal(wzp_handshake_offer(&handshake, &identity, NULL, &offer), 0);
    const uint64_t conn = connect_user(s, user, sni);
    send(s, conn, &offer);
    assert_true(s->sends >= 2); /* CallAnswer, RoomUpdate */
    s->media[call / MEET_EVERY][party] = conn;
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
    wzp_identity_done(&identity);
}

static void begin_call(struct scale *s, unsigned call)
{
    const struct user *caller = &s->user[2 * call], *callee = caller + 1;
    char id[32], sni[40];
    snprintf(id, sizeof id, "scale-%u", call);
    snprintf(sni, sizeof sni, "call-%s", id);
    send(s, caller->conn,
         &(struct wzp_signal){ .kind = WZP_SIG_DIRECT_CALL_OFFER,
                               .offer = { .caller_fingerprint = (char *)caller->fingerprint,
                                          .target_fingerprint = (char *)callee->fingerprint,
                                          .call_id = id,
                                          .keys = { .has_identity = true, .has_ephemeral = true },
                                          .profile_count = 1,
                                          .profile = { wzp_profile_good } } });
    assert_int_equal(s->sends, 2); /* the offer and Ringing */
    send(s, callee->conn,
         &(struct wzp_signal){ .kind = WZP_SIG_DIRECT_CALL_ANSWER,
                               .answer = { .call_id = id, .accept_mode = WZP_ACCEPT_TRUSTED } });
    assert_int_equal(s->sends, 3); /* the answer and a CallSetup for each */
    if (!call_meets(call))
        return;
    join(s, call, 0, sni);
    join(s, call, 1, sni);
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        send_datagram(s, s->media[call / MEET_EVERY][0]);
        send_datagram(s, s->media[call / MEET_EVERY][1]);
    }
}

static void end_call(struct scale *s, unsigned call)
{
    char id[32];
    snprintf(id, sizeof id, "scale-%u", call);
    send(s, s->user[2 * call].conn,
         &(struct wzp_signal){ .kind = WZP_SIG_HANGUP, .hangup = { .reason = WZP_HANGUP_NORMAL, .call_id = id } });
    if (!call_meets(call))
        return;
    drop(s, s->media[call / MEET_EVERY][0]);
    drop(s, s->media[call / MEET_EVERY][1]);
}

/* ---- phases ---- */

static void phase_register(struct scale *s, unsigned i)
{
    register_user(s, i);
}

static void phase_call(struct scale *s, unsigned i)
{
    if (i % 2)
        return;
    begin_call(s, i / 2);
    if (i / 2 >= LIVE_CALLS)
        end_call(s, i / 2 - LIVE_CALLS);
}

static void phase_leave(struct scale *s, unsigned i)
{
    drop(s, s->user[i].conn);
}

/** One step per user; compares the cost of an event in the first and the last tenth. */
static void run_phase(struct scale *s, const char *name, void (*step)(struct scale *s, unsigned i), bool is_judged)
{
    double us[TENTHS];
    for (unsigned tenth = 0; tenth < TENTHS; tenth++) {
        s->spent_us = s->events = 0;
        for (unsigned i = s->users / TENTHS * tenth; i < s->users / TENTHS * (tenth + 1); i++)
            step(s, i);
        us[tenth] = (double)s->spent_us / (double)s->events;
    }
    if (!is_judged)
        return;
    print_message("%s: %.2f us an event among few users, %.2f us among %u: ratio %.2f\n", name, us[0], us[TENTHS - 1],
                  s->users, us[TENTHS - 1] / us[0]);
    assert_true(us[TENTHS - 1] <= RATIO_MAX * us[0]);
}

/** All that the core forgets by itself. */
static void wait_until_forgotten(struct scale *s)
{
    const uint64_t end_us = s->now_us + AFTERWARDS_US;
    while (s->now_us < end_us) {
        const uint64_t deadline_us = wzp_relay_deadline_us(s->relay);
        struct wzp_relay_effects effects;
        s->now_us = deadline_us > end_us ? end_us : deadline_us > s->now_us ? deadline_us : s->now_us + 1;
        (void)wzp_relay_tick(s->relay, s->now_us, &effects);
    }
}

/** Sanitizers count for themselves. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t bytes_in_use(void)
{
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    return mallinfo2().uordblks;
}

/** A life of that many users, from the first registration until nothing is remembered. */
static void live(struct scale *s, unsigned users, bool is_judged)
{
    const unsigned calls = users / 2;
    const struct wzp_relay_stats before = *wzp_relay_stats(s->relay);
    s->users = users;
    run_phase(s, "registration", phase_register, is_judged);
    assert_int_equal(wzp_relay_stats(s->relay)->registered, users);
    run_phase(s, "call", phase_call, is_judged);
    for (unsigned call = calls > LIVE_CALLS ? calls - LIVE_CALLS : 0; call < calls; call++)
        end_call(s, call);
    run_phase(s, "leaving", phase_leave, is_judged);
    const struct wzp_relay_stats after = *wzp_relay_stats(s->relay);
    assert_int_equal(after.registrations_total - before.registrations_total, users);
    assert_int_equal(after.calls_setup_total - before.calls_setup_total, calls);
    assert_int_equal(after.packets_forwarded - before.packets_forwarded,
                     (uint64_t)(calls + MEET_EVERY - 1) / MEET_EVERY * 2 * DATAGRAMS);
    assert_int_equal(after.bad_signals + after.refused_limits + after.refused_source + after.refused_acl, 0);
    wait_until_forgotten(s);
    assert_int_equal(wzp_relay_stats(s->relay)->registered, 0);
    assert_int_equal(wzp_relay_stats(s->relay)->calls, 0);
    assert_int_equal(wzp_relay_stats(s->relay)->rooms, 0);
    assert_int_equal(wzp_relay_stats(s->relay)->sessions, 0);
}

static void event_of_100000_users_costs_what_it_costs_of_few(void **state)
{
    enum { USERS = 100000, SECOND_ROUND = 10000, LEAK_MAX = 65536 };
    struct scale s = { .now_us = 1000000, .random = 1 };
    struct wzp_relay_config config = {
        .build = "scale", .max_registrations = USERS, .max_sessions = USERS, .max_calls = USERS, .rng = &s.rng
    };
    (void)state;
    s.rng = (struct wz_rng){ .fill = fill_random, .arg = &s };
    s.user = calloc(USERS, sizeof *s.user);
    s.media = calloc(USERS / 2 / MEET_EVERY + 1, sizeof *s.media);
    assert_non_null(s.user);
    assert_non_null(s.media);
    assert_int_equal(wz_addr_parse("198.51.100.1:4433", &s.local), 0);
    assert_int_equal(wzp_relay_new(&s.relay, &config), 0);
    live(&s, USERS, true);
    const size_t after_first = bytes_in_use();
    live(&s, SECOND_ROUND, false);
    const size_t after_second = bytes_in_use();
    print_message("memory in use after everybody left: %zu kB, after another %d users %zu kB\n", after_first / 1024,
                  SECOND_ROUND, after_second / 1024);
    assert_true(after_second < after_first + LEAK_MAX);
    wzp_relay_free(s.relay);
    free(s.user);
    free(s.media);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_of_100000_users_costs_what_it_costs_of_few),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
