/* What forwarding one datagram costs a relay in CPU time, against a raw UDP forwarder that batches alike and, when
 * --peer names another relay, against that.
 *
 * Each forwarder is a process of its own whose CPU clock is read, kernel part included; the clients, one socket each,
 * run in this process and are not counted. Saturating modes keep a window of datagrams in flight per room, so nothing
 * is dropped and all forwarders see the same bursts; paced modes send as phones do. A figure is the forwarder's CPU
 * time per datagram that arrived. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/bench_process.h"
#include "tests/support/udp_floor.h"
#include "wzp/core/handshake.h"
#include "wzp/core/media.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"
#include "wzp/rt/udp.h"

#define CLIENTS_MAX 128
#define WARM_UP_MS  300
#define SET_UP_MS   5000
#define STALL_US    100000
/* --quick */
#define QUICK_WARM_UP_MS 50
#define QUICK_MEASURE_MS 200

struct mode {
    const char *name;
    unsigned rooms, members, payload_bytes;
    unsigned window;      /* datagrams in flight per room; 0: paced */
    unsigned interval_us; /* paced: between datagrams of one talker; everybody talks */
    unsigned measure_ms;
};

static const struct mode modes[] = {
    { "saturated_1to1_20B", 8, 2, 20, 64, 0, 1500 },   { "saturated_1to1_160B", 8, 2, 160, 64, 0, 1500 },
    { "saturated_1to7_20B", 1, 8, 20, 128, 0, 1500 },  { "saturated_1to7_160B", 1, 8, 160, 128, 0, 1500 },
    { "paced_20x4_50pps", 20, 4, 80, 0, 20000, 3000 },
};

/* ---- the forwarder: a process of its own ---- */

enum kind { FLOOR, RELAY, PEER };

/** Shared with the floor's process: which client belongs to which room is told while nothing flows. */
struct shared_floor {
    struct udp_floor floor;
    struct wz_addr address;
    atomic_bool is_ready;
};

struct forwarder {
    enum kind kind;
    struct bench_process process;
    struct shared_floor *shared; /* floor only */
};

static void floor_process(struct shared_floor *shared)
{
    struct wz_loop *loop;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (wz_loop_new(&loop) != 0 || udp_floor_start(&shared->floor, loop) != 0)
        _exit(EXIT_FAILURE);
    shared->address = wz_udp_local(shared->floor.udp);
    atomic_store(&shared->is_ready, true);
    (void)wz_loop_run(loop);
    _exit(EXIT_SUCCESS);
}

static void floor_start(struct forwarder *f)
{
    struct shared_floor *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        bench_die("shared memory", errno);
    f->shared = shared;
    f->process.pid = fork();
    if (f->process.pid < 0)
        bench_die("fork", errno);
    if (f->process.pid == 0)
        floor_process(shared);
    while (!atomic_load(&shared->is_ready)) {
        if (!bench_is_alive(&f->process))
            bench_die("the raw forwarder", ECHILD);
        usleep(1000);
    }
    f->process.address = shared->address;
}

static void forwarder_start(struct forwarder *f, const struct bench_options *options)
{
    if (f->kind == FLOOR)
        floor_start(f);
    else
        bench_relay_start(&f->process, f->kind == PEER ? options->peer : options->relay, f->kind == RELAY);
}

static void forwarder_stop(struct forwarder *f)
{
    bench_process_stop(&f->process);
    if (f->shared)
        munmap(f->shared, sizeof *f->shared);
}

/* ---- clients ---- */

struct run;

struct room {
    uint64_t sent, received; /* received: by all members together */
    uint64_t moved_us;       /* when something last arrived */
};

struct client {
    struct run *run;
    struct room *room;
    bool talks;
    struct wzp_quic *quic; /* relay */
    struct wzp_quic_conn *conn;
    struct wz_udp *udp; /* floor */
    uint32_t participants;
    struct wz_timer pace;
    uint64_t next_us;
};

struct run {
    const struct mode *mode;
    struct forwarder forwarder;
    struct wz_loop *loop;
    struct wz_timer watchdog;
    bool flowing;
    uint64_t received, stalls;
    uint8_t datagram[WZP_MEDIA_DATAGRAM_MAX];
    size_t datagram_len;
    struct room room[UDP_FLOOR_ROOMS];
    struct client client[CLIENTS_MAX];
    size_t clients;
};

static void send_one(struct client *c)
{
    const struct run *run = c->run;
    if (c->conn)
        (void)wzp_quic_send_datagram(c->conn, wz_bytes(run->datagram, run->datagram_len));
    else
        (void)wz_udp_send(c->udp, run->datagram, run->datagram_len, &run->forwarder.process.address, NULL);
    c->room->sent++;
}

/** Refill the window in halves, so that both forwarders get the same bursts. */
static void pump(struct client *talker)
{
    const struct run *run = talker->run;
    const struct room *room = talker->room;
    const unsigned window = run->mode->window;
    if (room->sent - room->received / (run->mode->members - 1) > window / 2)
        return;
    for (unsigned i = 0; i < window / 2; i++)
        send_one(talker);
}

static struct client *talker_of(struct run *run, const struct room *room)
{
    return &run->client[(size_t)(room - run->room) * run->mode->members];
}

static void count_arrival(struct client *c)
{
    struct run *run = c->run;
    run->received++;
    c->room->received++;
    c->room->moved_us = wz_loop_now_us(run->loop);
    if (run->flowing && run->mode->window)
        pump(talker_of(run, c->room));
}

static void on_udp(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    (void)data, (void)len, (void)from, (void)local;
    count_arrival(arg);
}

static void on_datagram(void *arg, struct wzp_quic_conn *conn, struct wz_bytes data)
{
    (void)conn, (void)data;
    count_arrival(arg);
}

static void on_message(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    struct client *c = arg;
    struct wzp_signal signal;
    (void)conn;
    if (wzp_signal_decode(body, &signal) != 0)
        return;
    if (signal.kind == WZP_SIG_ROOM_UPDATE)
        c->participants = signal.room_update.count;
    wzp_signal_done(&signal);
}

static void on_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    struct client *c = arg;
    (void)conn, (void)why;
    c->conn = NULL;
}

static void on_pace(void *arg)
{
    struct client *c = arg;
    const uint64_t now_us = wz_loop_now_us(c->run->loop);
    while (c->next_us <= now_us) {
        send_one(c);
        c->next_us += c->run->mode->interval_us;
    }
    wz_timer_set(&c->pace, c->next_us);
}

/** A lost datagram would hold the window for ever. */
static void on_watchdog(void *arg)
{
    struct run *run = arg;
    const uint64_t now_us = wz_loop_now_us(run->loop);
    for (unsigned i = 0; i < run->mode->rooms; i++) {
        struct room *room = &run->room[i];
        if (now_us - room->moved_us < STALL_US)
            continue;
        run->stalls++;
        room->sent = room->received / (run->mode->members - 1);
        room->moved_us = now_us;
        pump(talker_of(run, room));
    }
    wz_timer_set(&run->watchdog, now_us + STALL_US / 2);
}

/* ---- set-up ---- */

static int send_call_offer(struct wzp_quic_conn *conn)
{
    struct wzp_handshake handshake;
    struct wzp_identity identity;
    struct wzp_signal offer;
    uint8_t seed[WZP_SEED_BYTES];
    char *json = NULL;
    size_t len;
    wz_rng_fill(&wz_rng_system, seed, sizeof seed);
    if (wzp_identity_from_seed(seed, &identity) != 0 || wzp_handshake_init(&handshake, &wz_rng_system) != 0 ||
        wzp_handshake_offer(&handshake, &identity, NULL, &offer) != 0)
        return -EIO;
    int err = wzp_signal_encode(&offer, &json, &len);
    if (!err)
        err = wzp_quic_send_message(conn, wz_bytes(json, len));
    free(json);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
    return err;
}

static int open_relay_client(struct run *run, struct client *c, unsigned room)
{
    static const struct wzp_quic_handlers handlers = { .message = on_message,
                                                       .datagram = on_datagram,
                                                       .closed = on_closed };
    struct wzp_quic_config config = { .rng = &wz_rng_system };
    char name[16];
    snprintf(name, sizeof name, "room%u", room);
    int err = wz_addr_parse("127.0.0.1:0", &config.bind);
    if (!err)
        err = wzp_quic_new(&c->quic, run->loop, &config);
    if (err)
        return err;
    const struct wzp_quic_dial dial = {
        .to = run->forwarder.process.address, .sni = name, .handlers = &handlers, .arg = c
    };
    err = wzp_quic_connect(c->quic, &dial, &c->conn);
    return err ? err : send_call_offer(c->conn);
}

static int open_floor_client(struct run *run, struct client *c, unsigned room)
{
    struct wz_udp_config config = { .fd = -1, .want_gro = true, .buffer_bytes = 4 << 20, .packet = on_udp, .arg = c };
    int err = wz_addr_parse("127.0.0.1:0", &config.bind);
    if (!err)
        err = wz_udp_new(&c->udp, run->loop, &config);
    if (err)
        return err;
    const struct wz_addr local = wz_udp_local(c->udp);
    udp_floor_add(&run->forwarder.shared->floor, room, &local);
    c->participants = run->mode->members;
    return 0;
}

static bool is_complete(const struct run *run)
{
    for (size_t i = 0; i < run->clients; i++)
        if (run->client[i].participants != run->mode->members)
            return false;
    return true;
}

static void turn_for(struct run *run, unsigned ms, bool (*until)(const struct run *run))
{
    const uint64_t end_us = wz_clock_us() + ms * UINT64_C(1000);
    while (wz_clock_us() < end_us && !(until && until(run)))
        (void)wz_loop_turn(run->loop, 5);
}

static int open_clients(struct run *run)
{
    for (unsigned room = 0; room < run->mode->rooms; room++) {
        for (unsigned member = 0; member < run->mode->members; member++) {
            struct client *c = &run->client[run->clients++];
            c->run = run;
            c->room = &run->room[room];
            c->talks = run->mode->window == 0 || member == 0;
            wz_timer_init(&c->pace, run->loop, on_pace, c);
            const int err =
                run->forwarder.kind == FLOOR ? open_floor_client(run, c, room) : open_relay_client(run, c, room);
            if (err)
                return err;
        }
    }
    turn_for(run, SET_UP_MS, is_complete);
    return is_complete(run) ? 0 : -ETIMEDOUT;
}

static void close_clients(struct run *run)
{
    wz_timer_cancel(&run->watchdog);
    for (size_t i = 0; i < run->clients; i++) {
        wz_timer_cancel(&run->client[i].pace);
        if (run->client[i].quic)
            wzp_quic_free(run->client[i].quic);
        if (run->client[i].udp)
            wz_udp_free(run->client[i].udp);
    }
}

/* ---- measuring ---- */

static void start_flow(struct run *run)
{
    const uint64_t now_us = wz_loop_now_us(run->loop);
    run->flowing = true;
    for (size_t i = 0; i < run->clients; i++) {
        struct client *c = &run->client[i];
        if (!c->talks)
            continue;
        c->room->moved_us = now_us;
        if (run->mode->window) {
            pump(c);
        } else { /* talkers spread evenly over the interval, as independent phones are */
            c->next_us = now_us + run->mode->interval_us * i / run->clients;
            wz_timer_set(&c->pace, c->next_us);
        }
    }
    if (run->mode->window)
        wz_timer_set(&run->watchdog, now_us + STALL_US);
}

/** CPU nanoseconds per datagram that arrived; 0 when the run failed (said on stderr). */
static uint64_t measure(const struct bench_options *options, const struct mode *mode, enum kind kind)
{
    uint64_t result_ns = 0;
    struct run *run = calloc(1, sizeof *run);
    if (!run || wz_loop_new(&run->loop) != 0)
        abort();
    run->mode = mode;
    run->forwarder.kind = kind;
    forwarder_start(&run->forwarder, options);
    run->datagram_len = WZP_MEDIA_HEADER_BYTES + mode->payload_bytes;
    wz_timer_init(&run->watchdog, run->loop, on_watchdog, run);
    const int err = open_clients(run);
    if (err) {
        fprintf(stderr, "bench_relay_forward: %s: %s\n", mode->name, strerror(-err));
        goto out;
    }
    start_flow(run);
    turn_for(run, options->quick ? QUICK_WARM_UP_MS : WARM_UP_MS, NULL);
    const uint64_t cpu_us = bench_cpu_us(&run->forwarder.process), received = run->received;
    turn_for(run, options->quick ? QUICK_MEASURE_MS : mode->measure_ms, NULL);
    const uint64_t arrived = run->received - received;
    if (arrived > 0)
        result_ns = (bench_cpu_us(&run->forwarder.process) - cpu_us) * 1000 / arrived;
    if (run->stalls > 0 || arrived == 0)
        fprintf(stderr, "bench_relay_forward: %s: %llu arrived, %llu stalls\n", mode->name, (unsigned long long)arrived,
                (unsigned long long)run->stalls);
out:
    close_clients(run);
    forwarder_stop(&run->forwarder);
    wz_loop_free(run->loop);
    free(run);
    return result_ns;
}

static int compare(const struct bench_options *options, const struct mode *mode)
{
    const uint64_t floor_ns = measure(options, mode, FLOOR), relay_ns = measure(options, mode, RELAY);
    if (floor_ns == 0 || relay_ns == 0)
        return -EIO;
    printf("relay_forward.%s %.3f us_cpu_per_datagram %.2f against a raw UDP forwarder batching the same way\n",
           mode->name, (double)relay_ns / 1000.0, (double)relay_ns / (double)floor_ns);
    fflush(stdout);
    if (!options->peer)
        return 0;
    const uint64_t peer_ns = measure(options, mode, PEER);
    if (peer_ns == 0)
        return -EIO;
    printf("relay_forward.%s.peer %.0f datagrams_per_cpu_second %.2f against the peer's %.0f\n", mode->name,
           1e9 / (double)relay_ns, (double)peer_ns / (double)relay_ns, 1e9 / (double)peer_ns);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    int status = EXIT_SUCCESS;
    bench_options(argc, argv, &options);
    wz_log_init(STDERR_FILENO, WZ_LOG_TEXT, WZ_LOG_ERROR);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (bench_wanted(&options, modes[i].name) && compare(&options, &modes[i]) != 0)
            status = EXIT_FAILURE;
    return status;
}
