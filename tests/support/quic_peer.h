/* A QUIC endpoint of a test that writes down what happens on its connections. Several share one loop; a test drives
 * it with quic_wait(). Thread: the test's. */
#ifndef TESTS_SUPPORT_QUIC_PEER_H
#define TESTS_SUPPORT_QUIC_PEER_H

#include "wzp/io/quic.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"

#define QUIC_LOG_NUMBERS 1024
#define QUIC_PEER_LOGS   64

/** What happened on one connection. */
struct quic_log {
    struct quic_peer *peer;
    struct wzp_quic_conn *conn; /**< NULL after closed() */
    bool accepted;
    char sni[256];
    unsigned connected, closed; /**< calls of the handler */
    enum wzp_quic_end end;
    uint64_t code;
    char reason[128];
    size_t messages;
    uint32_t number[QUIC_LOG_NUMBERS]; /**< first four bytes of each message, as sent by quic_log_send_number() */
    size_t message_len;                /**< of the last one */
    uint64_t message_sum;              /**< sum of its bytes */
    size_t unis, uni_len;
    char uni[4096];
    size_t datagrams, datagram_len;
    uint8_t datagram[1500];
};

struct quic_peer {
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct quic_log log[QUIC_PEER_LOGS]; /**< in order of dialling and accepting */
    size_t logs;
    size_t stuns;
    /** Called after a log was updated; may be NULL. */
    void (*on_connected)(struct quic_log *log);
    void (*on_message)(struct quic_log *log);
    void (*on_datagram)(struct quic_log *log);
    void (*on_closed)(struct quic_log *log);
    void *arg;
};

/** Defaults: loopback, any port, accepting. *config may be adjusted before quic_peer_start(). */
struct wzp_quic_config quic_peer_config(void);
int quic_peer_start(struct quic_peer *peer, struct wz_loop *loop, const struct wzp_quic_config *config);
void quic_peer_stop(struct quic_peer *peer);
/** Dial; the log of the new connection, or NULL. */
struct quic_log *quic_peer_dial(struct quic_peer *peer, struct wz_addr to, const char *sni);
/** The i-th accepted connection's log, or NULL when there are not so many. */
struct quic_log *quic_peer_accepted(struct quic_peer *peer, size_t i);

int quic_log_send_number(struct quic_log *log, uint32_t number);

/** Two of them: alice dials, bob answers. Each runs alone, too. */
struct quic_world {
    struct wz_loop *loop;
    struct quic_peer alice, bob;
};

/** NULL: quic_peer_config(). Aborts the test program when it cannot. */
struct quic_world *quic_world_new(const struct wzp_quic_config *alice, const struct wzp_quic_config *bob);
void quic_world_free(struct quic_world *w);
/** Alice dials `to` (NULL: bob directly); returns her log when both ends are up, else NULL. *ret_theirs is bob's. */
struct quic_log *quic_world_connect(struct quic_world *w, const struct wz_addr *to, const char *sni,
                                    struct quic_log **ret_theirs);

/** For tests on loopback: nothing takes this long unless it is broken. */
#define QUIC_WAIT_MS 5000

/** Turn the loop until the condition holds or ms have passed; evaluates to the condition. */
#define quic_wait(loop, condition, ms)                                                                                 \
    ({                                                                                                                 \
        uint64_t quic_wait_until_us_ = wz_clock_us() + (uint64_t)(ms)*1000u;                                           \
        while (!(condition) && wz_clock_us() < quic_wait_until_us_)                                                    \
            if (wz_loop_turn(loop, 5) < 0)                                                                             \
                break;                                                                                                 \
        (condition);                                                                                                   \
    })

#endif
