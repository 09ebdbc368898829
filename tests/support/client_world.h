/* A client core alone: the test plays the relay, the clock is virtual, every effect is recorded. */
#ifndef TESTS_SUPPORT_CLIENT_WORLD_H
#define TESTS_SUPPORT_CLIENT_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/core/client.h"
#include "wzp/core/handshake.h"

#define WORLD_RELAY "198.51.100.1:4433"
#define WORLD_ADDR  "203.0.113.5:40001"

/** Repeatable random bytes (xorshift64*). */
struct test_rng {
    uint64_t state;
};
void test_rng_fill(void *arg, uint8_t *out, size_t len);
uint64_t test_rng_below(struct test_rng *rng, uint64_t limit);

struct client_world {
    struct wzp_client *client;
    struct test_rng random;
    struct wz_rng rng;
    uint64_t now_us;
    uint64_t signal; /**< our side of the signal connection; 0: none */
    struct wzp_identity relay, peer;
    struct wz_list effects; /**< since world_clear(), oldest first, without traces of incoming messages */
    size_t traces;          /**< of incoming messages */
    char room[80];          /**< scratch of direct_room() */
};

struct client_world_options {
    const char *relay_build; /**< NULL: a relay of the first generation */
    const char *alias, *token;
    bool unregistered; /**< stop before the registration */
    bool rooms_only, share_local_addrs, no_direct, strict;
    unsigned start_delay_ms;
    const struct wzp_identity *pinned_relay; /**< NULL: none; the relay's seed is { 1 } */
    bool peer_is_smaller;                    /**< the peer's fingerprint text is before ours, so that it nominates */
};

struct client_world *world_new(const struct client_world_options *options);
void world_free(struct client_world *w);

/** Collect what the core wants done. Called by everything below. */
void world_drain(struct client_world *w);
void world_clear(struct client_world *w);
/** Go to now + ms, running each timer at its moment. */
void world_advance_ms(struct client_world *w, uint64_t ms);
void world_advance_us(struct client_world *w, uint64_t us);

/** Number of effects, and the last of them, or NULL. */
size_t world_count(const struct client_world *w, enum wzp_client_effect_kind kind);
struct wzp_client_effect *world_last(const struct client_world *w, enum wzp_client_effect_kind kind);
size_t world_sent(const struct client_world *w, enum wzp_signal_kind kind);
/** The last message of this kind, decoded; the test frees it with wzp_signal_done(). Fails the test when
 * none. */
struct wzp_signal world_last_sent(const struct client_world *w, enum wzp_signal_kind kind);
size_t world_events(const struct client_world *w, enum wzp_line_event_kind kind);
/** The last event of this kind. Fails the test when none. */
const struct wzp_line_event *world_event(const struct client_world *w, enum wzp_line_event_kind kind);
/** The call of that event. */
uint64_t world_event_call(const struct client_world *w, enum wzp_line_event_kind kind);

/** A message arrives: printf of JSON, or a signal built by hand. */
void world_say(struct client_world *w, uint64_t conn, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void world_say_signal(struct client_world *w, uint64_t conn, const struct wzp_signal *signal);
void world_connected(struct client_world *w, uint64_t conn);
void world_closed(struct client_world *w, uint64_t conn, const char *reason);

/** Connect and register; fails the test when the core does not play along. */
void world_register(struct client_world *w, const char *relay_build);
/** Place a call and answer its Reflect: the offer is out. Returns the call. */
uint64_t world_place_call(struct client_world *w);
/** An offer from w->peer. Returns the call, 0 when none was announced. */
uint64_t world_offer(struct client_world *w, const char *call_id, const char *build);
/** The callee's answer (build NULL: of the first generation) and CallSetup. */
void world_answer(struct client_world *w, uint64_t call, const char *build);
void world_setup(struct client_world *w, uint64_t call, const char *relay_addr);
/** Finish the media connection that was dialled last: connected, CallAnswer, RoomUpdate with count (0: none).
 *  Returns its id. */
uint64_t world_media_up(struct client_world *w, uint32_t count);
void world_room_count(struct client_world *w, uint64_t conn, uint32_t count);
const char *world_call_id(const struct client_world *w, uint64_t call);
/** The last dial of this kind, or NULL; and how many there were. */
struct wzp_client_effect *world_last_dial(const struct client_world *w, bool is_direct);
size_t world_dials(const struct client_world *w, bool is_direct);
/** The connection that was dialled to addr directly. Fails the test when none was. */
uint64_t world_direct_conn(const struct client_world *w, const char *addr);
bool world_is_closed(const struct client_world *w, uint64_t conn);
size_t world_sent_on(const struct client_world *w, uint64_t conn, enum wzp_signal_kind kind);

/** As world_offer() and world_answer(), validly signed by w->peer: our own kind. */
uint64_t world_offer_signed(struct client_world *w, const char *call_id, const char *build);
void world_answer_signed(struct client_world *w, uint64_t call, enum wzp_accept_mode mode, const char *build);
/** CallSetup with the peer's addresses; NULL: none. local is the inside of a JSON list. */
void world_setup_direct(struct client_world *w, uint64_t call, const char *peer_direct_addr, const char *local);
/** What the TLS exporter gives on a connection that was dialled, at both ends. */
void world_exporter(uint64_t conn, uint8_t ret[static WZP_DIRECT_EXPORTER_BYTES]);
/** A direct connection that was dialled is complete. */
void world_direct_up(struct client_world *w, uint64_t conn);
/** An inbound one is complete, its server name built from room; 0 when it was not taken. */
uint64_t world_accept(struct client_world *w, const char *room, const char *remote);
/** The peer's DirectHello, signed by who, for this exporter value. */
void world_hello(struct client_world *w, uint64_t conn, const struct wzp_identity *who, const char *id);
void world_report(struct client_world *w, uint64_t conn, const char *id, bool direct_ok);

/** Placed, answered, set up, media up with both in the room. */
uint64_t world_talk(struct client_world *w, uint64_t *ret_media);

#endif
