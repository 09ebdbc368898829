/* A relay core alone under a virtual clock: the test plays every client, the world carries out effects, keeps
 * what each connection received, and fails the test when an effect names a connection that is not there. */
#ifndef TESTS_SUPPORT_RELAY_WORLD_H
#define TESTS_SUPPORT_RELAY_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/list.h"
#include "wzp/core/handshake.h"
#include "wzp/core/relay.h"
#include "wzp/core/signal.h"

#define RELAY_WORLD_USERS 8
/** Users of most stories. */
enum { ALICE, BOB, CAROL, DAVE };
/** Where clients come from, and where they reach the relay, unless a test says otherwise. */
#define RELAY_WORLD_REMOTE "203.0.113.7:40007"
#define RELAY_WORLD_LOCAL  "198.51.100.1:4433"
/** What relay_world_ring() announces. */
#define RELAY_WORLD_ALICE_ADDR  "203.0.113.5:40001"
#define RELAY_WORLD_ALICE_LOCAL "192.168.1.10:40001"

struct relay_world_conn {
    uint64_t id;
    bool open;
    char *uni;            /**< what came on a unidirectional stream, or NULL */
    char *close_reason;   /**< the relay closed it; or NULL */
    struct wz_list inbox; /**< messages not taken yet */
    struct wz_list node;
};

struct relay_world {
    struct wzp_relay *relay;
    uint64_t now_us, random;
    struct wz_rng rng;
    struct wzp_identity user[RELAY_WORLD_USERS];
    struct wz_list conns;
    uint64_t last_id;
    bool silent;             /**< drop what connections receive instead of keeping it */
    size_t sends;            /**< SEND effects so far */
    char last_accepted[256]; /**< text of the last "call.accepted" */
    uint64_t token_conn;     /**< whose token was to be checked last */
    char token[256];         /**< and which */
    /** Called for every message sent to a connection; NULL: none. */
    void (*on_send)(struct relay_world *w, struct relay_world_conn *conn, struct wz_bytes body);
    void *arg;
};

/** config may be NULL; its rng and build are filled in. */
struct relay_world *relay_world_new(const struct wzp_relay_config *config);
void relay_world_free(struct relay_world *w);

/* Fixture of the tests that play with one relay: *state is the world. */
int relay_world_setup(void **state);
int relay_world_teardown(void **state);
/** Another relay in place of the one so far. */
struct relay_world *relay_world_restart(void **state, const struct wzp_relay_config *config);
const struct wzp_relay_stats *relay_world_stats(const struct relay_world *w);

uint64_t relay_world_connect(struct relay_world *w, const char *sni);
uint64_t relay_world_connect_from(struct relay_world *w, const char *sni, const char *remote, const char *local);
void relay_world_send(struct relay_world *w, uint64_t conn, const struct wzp_signal *signal);
void relay_world_send_text(struct relay_world *w, uint64_t conn, const char *json);
/** The client's end: tell the relay that the connection is gone. */
void relay_world_drop(struct relay_world *w, uint64_t conn);
/** The same, and the world forgets the connection: for tests with very many. */
void relay_world_forget(struct relay_world *w, uint64_t conn);
/** Go on by ms, running the relay's timer whenever it is due. */
void relay_world_advance_ms(struct relay_world *w, uint64_t ms);

struct relay_world_conn *relay_world_conn(struct relay_world *w, uint64_t conn);
bool relay_world_is_open(struct relay_world *w, uint64_t conn);
/** Messages the connection has received and the test has not taken. */
size_t relay_world_waiting(struct relay_world *w, uint64_t conn);
/** Take the oldest message, which must be of this kind. Free with wzp_signal_done(). */
struct wzp_signal relay_world_take(struct relay_world *w, uint64_t conn, enum wzp_signal_kind kind);
/** The same, and free it. */
void relay_world_expect(struct relay_world *w, uint64_t conn, enum wzp_signal_kind kind);
/** Take and free all there is. */
void relay_world_ignore(struct relay_world *w, uint64_t conn);
/** Take the oldest message as text. Free it. */
char *relay_world_take_text(struct relay_world *w, uint64_t conn);
/** Take the oldest message: it must be this Hangup. */
void relay_world_take_hangup(struct relay_world *w, uint64_t conn, enum wzp_hangup_reason reason, const char *call_id);

/* Stories. Users are 0..RELAY_WORLD_USERS-1. */
/** The auth server's verdict on the token of conn; fingerprint NULL: refused. */
void relay_world_verdict(struct relay_world *w, uint64_t conn, const char *fingerprint);
/** What the reference's clients send: no signature. Nothing is taken. */
void relay_world_send_register(struct relay_world *w, uint64_t conn, unsigned user);
/** The same with a signature. */
void relay_world_send_signed_register(struct relay_world *w, uint64_t conn, unsigned user);
/** Register as our own clients do (signed) or as the reference's (no signature); the Ack is taken. */
uint64_t relay_world_register(struct relay_world *w, unsigned user);
uint64_t relay_world_register_plain(struct relay_world *w, unsigned user);
/** caller offers; "ADDR" texts may be NULL. Nothing is taken. */
void relay_world_offer(struct relay_world *w, uint64_t conn, unsigned caller, unsigned callee, const char *call_id,
                       const char *reflexive, const char *local);
/** An offer whose keys are signer's, validly signed: our own kind. */
void relay_world_signed_offer(struct relay_world *w, uint64_t conn, unsigned signer, unsigned callee,
                              const char *call_id);
void relay_world_answer(struct relay_world *w, uint64_t conn, const char *call_id, enum wzp_accept_mode mode,
                        const char *reflexive, const char *local);
/** Alice offers to bob from RELAY_WORLD_ALICE_ADDR; offer and ringing are taken. */
void relay_world_ring(struct relay_world *w, uint64_t alice, uint64_t bob, const char *call_id);
/** call_id NULL: none. */
void relay_world_hangup(struct relay_world *w, uint64_t conn, enum wzp_hangup_reason reason, const char *call_id);
void relay_world_path_report(struct relay_world *w, uint64_t conn, const char *call_id, bool direct_ok);
/** Connect to a room and send the user's CallOffer. Nothing is taken. The handle is the connection's. */
uint64_t relay_world_join(struct relay_world *w, unsigned user, const char *room, const char *alias);
void relay_world_send_call_offer(struct relay_world *w, uint64_t conn, unsigned user, const char *alias);
/** The same from another address. */
uint64_t relay_world_join_from(struct relay_world *w, unsigned user, const char *room, const char *remote);
/** Join; the answer and the first RoomUpdate are taken. */
uint64_t relay_world_enter(struct relay_world *w, unsigned user, const char *room);
/** Offer, ringing, answer, setup: everything taken. Both parties are registered. */
void relay_world_call(struct relay_world *w, uint64_t caller_conn, unsigned caller, uint64_t callee_conn,
                      unsigned callee, const char *call_id);
/** Route one datagram, and run the relay's timer when that made it due; how many others got it. The handles are struct relay_world_conn *. */
size_t relay_world_datagram(struct relay_world *w, uint64_t conn, struct wz_bytes data);

#endif
