/* Many clients of one relay in one process: they share a few UDP endpoints, each bound to a loopback address of its own
 * since a relay limits what one source may do. Header only: benchmarks are single files. Thread: the loop's. */
#ifndef TESTS_SUPPORT_BENCH_CROWD_H
#define TESTS_SUPPORT_BENCH_CROWD_H

#include "tests/support/bench_process.h"
#include "wzp/core/signal.h"

/** Registrations a minute that a relay takes from one source are limited (wzp/core/relay.h); stay below. */
#define BENCH_CROWD_PER_SOURCE 500u
#define BENCH_CROWD_SOURCES    64u
/** Handshakes at the same time. */
#define BENCH_CROWD_IN_FLIGHT 64u

struct bench_member {
    struct bench_crowd *crowd;
    struct wzp_quic_conn *conn; /**< NULL once closed */
    bool is_up, is_registered;
};

struct bench_crowd {
    struct wz_loop *loop;
    struct wz_addr relay;
    const char *sni; /**< "_signal": they register */
    bool redial;     /**< a closed one dials again */
    unsigned count, sources;
    unsigned in_flight; /**< dialled, and neither registered nor closed */
    uint64_t connected, registered, lost;
    unsigned dialled;
    struct wzp_quic *quic[BENCH_CROWD_SOURCES];
    struct bench_member *member;
};

static inline void bench_crowd_dial(struct bench_member *member);

static inline void bench_member_settled(struct bench_crowd *crowd)
{
    crowd->in_flight--;
    while (crowd->dialled < crowd->count && crowd->in_flight < BENCH_CROWD_IN_FLIGHT)
        bench_crowd_dial(&crowd->member[crowd->dialled++]);
}

static inline void bench_member_register(struct bench_member *member)
{
    struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE };
    char *json = NULL;
    size_t len;
    signal.register_presence.keys.has_identity = true; /* not signed: what is measured is not the signature */
    wz_rng_fill(&wz_rng_system, signal.register_presence.keys.identity_pub, WZP_KEY_BYTES);
    if (wzp_signal_encode(&signal, &json, &len) != 0 || wzp_quic_send_message(member->conn, wz_bytes(json, len)) != 0)
        bench_die("cannot register", EIO);
    free(json);
}

static inline void bench_member_connected(void *arg, struct wzp_quic_conn *conn)
{
    struct bench_member *member = arg;
    (void)conn;
    member->is_up = true;
    member->crowd->connected++;
}

static inline void bench_member_message(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    struct bench_member *member = arg;
    struct wzp_signal signal;
    (void)conn;
    if (wzp_signal_decode(body, &signal) != 0)
        return;
    if (signal.kind == WZP_SIG_REGISTER_PRESENCE_ACK && signal.register_ack.success && !member->is_registered) {
        member->is_registered = true;
        member->crowd->registered++;
        bench_member_settled(member->crowd);
    }
    wzp_signal_done(&signal);
}

static inline void bench_member_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    struct bench_member *member = arg;
    struct bench_crowd *crowd = member->crowd;
    (void)conn;
    member->conn = NULL;
    if (!member->is_up || member->is_registered || why->end != WZP_QUIC_END_PEER)
        crowd->lost++;
    if (member->is_registered)
        return;
    if (crowd->redial) {
        crowd->in_flight--;
        bench_crowd_dial(member);
    } else {
        bench_member_settled(crowd);
    }
}

static inline void bench_crowd_dial(struct bench_member *member)
{
    static const struct wzp_quic_handlers handlers = { .connected = bench_member_connected,
                                                       .message = bench_member_message,
                                                       .closed = bench_member_closed };
    struct bench_crowd *crowd = member->crowd;
    struct wzp_quic *quic = crowd->quic[(size_t)(member - crowd->member) % crowd->sources];
    const struct wzp_quic_dial dial = {
        .to = crowd->relay, .sni = crowd->sni, .initial_rtt_ms = 100, .handlers = &handlers, .arg = member
    };
    member->is_up = false;
    const int err = wzp_quic_connect(quic, &dial, &member->conn);
    if (err == -EINVAL)
        return; /* closing down: wzp_quic_free() tells of each connection */
    if (err)
        bench_die("cannot dial", -err);
    crowd->in_flight++;
    if (strcmp(crowd->sni, "_signal") == 0)
        bench_member_register(member); /* waits for the handshake by itself */
}

/** Dial count connections, a few at a time while the loop turns. relay must outlive the crowd. */
static inline void bench_crowd_start(struct bench_crowd *ret, const struct bench_process *relay, const char *sni,
                                     unsigned count, bool redial)
{
    *ret = (struct bench_crowd){ .relay = relay->address, .sni = sni, .redial = redial, .count = count };
    ret->sources = (count + BENCH_CROWD_PER_SOURCE - 1) / BENCH_CROWD_PER_SOURCE;
    ret->member = calloc(count, sizeof *ret->member);
    if (!ret->member || wz_loop_new(&ret->loop) != 0 || ret->sources > BENCH_CROWD_SOURCES)
        bench_die("too many clients", ENOMEM);
    for (unsigned i = 0; i < ret->sources; i++) {
        struct wzp_quic_config config = { .rng = &wz_rng_system };
        char text[32];
        snprintf(text, sizeof text, "127.0.1.%u:0", i + 1);
        const int err = wz_addr_parse(text, &config.bind);
        if (err || wzp_quic_new(&ret->quic[i], ret->loop, &config) != 0)
            bench_die("cannot open a socket", EMFILE);
    }
    for (unsigned i = 0; i < count; i++)
        ret->member[i].crowd = ret;
    while (ret->dialled < count && ret->in_flight < BENCH_CROWD_IN_FLIGHT)
        bench_crowd_dial(&ret->member[ret->dialled++]);
}

static inline void bench_crowd_turn(struct bench_crowd *crowd, unsigned ms)
{
    for (const uint64_t end_us = wz_clock_us() + ms * UINT64_C(1000); wz_clock_us() < end_us;)
        (void)wz_loop_turn(crowd->loop, 5);
}

/** Until everybody is registered. Exits when somebody was refused or it takes too long. */
static inline void bench_crowd_wait(struct bench_crowd *crowd, unsigned ms)
{
    const uint64_t end_us = wz_clock_us() + ms * UINT64_C(1000);
    while (crowd->registered < crowd->count) {
        if (crowd->lost > 0 || wz_clock_us() > end_us) {
            fprintf(stderr, "bench: %llu of %u registered, %llu lost\n", (unsigned long long)crowd->registered,
                    crowd->count, (unsigned long long)crowd->lost);
            bench_die("the relay does not take them", ETIMEDOUT);
        }
        (void)wz_loop_turn(crowd->loop, 5);
    }
}

static inline void bench_crowd_stop(struct bench_crowd *crowd)
{
    crowd->dialled = crowd->count;
    crowd->redial = false;
    for (unsigned i = 0; i < crowd->sources; i++)
        wzp_quic_free(crowd->quic[i]);
    wz_loop_free(crowd->loop);
    free(crowd->member);
}

#endif
