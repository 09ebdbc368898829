/* Arbitrary signal bodies against the relay core in two small worlds. In the first: two users in a call, a third
 * registered, one media connection in a room, one unregistered connection. In the second, of a relay that requires
 * tokens and grants little to one source, everybody is a stranger. Input: blocks of  who (1 byte) · length (2 bytes,
 * big-endian) · body;  who picks the connection, and in its upper bits whether the clock moves on, a datagram is sent, or
 * a token's verdict comes instead. */
#include <stdint.h>
#include <stdlib.h>

#include "wzp/core/handshake.h"
#include "wzp/core/relay.h"
#include "wzp/core/signal.h"

#define USERS 3
#define CONNS 6

static void fill_counting(void *arg, uint8_t *out, size_t len)
{
    uint8_t *next = arg;
    for (size_t i = 0; i < len; i++)
        out[i] = (*next)++;
}

/** What a shell would do with the effects, as far as a fuzzer can tell right from wrong. */
static void check(struct wzp_relay *relay, bool open[static CONNS + 1], uint64_t now_us,
                  const struct wzp_relay_effects *effects)
{
    uint64_t closed[CONNS];
    size_t closed_count = 0;
    for (size_t i = 0; i < effects->count; i++) {
        const struct wzp_relay_effect *effect = &effects->item[i];
        if (effect->kind == WZP_RELAY_LOG)
            continue;
        if (effect->conn > CONNS || !open[effect->conn])
            abort();
        if (effect->kind == WZP_RELAY_SEND) {
            struct wzp_signal signal;
            const int err = wzp_signal_decode(effect->body, &signal);
            if (err)
                abort(); /* we never send what we would refuse */
            wzp_signal_done(&signal);
        } else if (effect->kind == WZP_RELAY_CHECK_TOKEN) {
            if (memchr(effect->body.data, 0, effect->body.len))
                abort(); /* a token is a text */
        } else if (effect->kind == WZP_RELAY_CLOSE) {
            open[effect->conn] = false;
            closed[closed_count++] = effect->conn;
        }
    }
    for (size_t i = 0; i < closed_count; i++) {
        struct wzp_relay_effects more;
        (void)wzp_relay_closed(relay, closed[i], now_us, &more);
        check(relay, open, now_us, &more);
    }
}

struct world {
    struct wzp_relay *relay;
    uint64_t now_us;
    bool open[CONNS + 1];
    struct wzp_identity user[USERS];
};

static void send_body(struct world *w, uint64_t conn, struct wz_bytes body)
{
    struct wzp_relay_effects effects;
    (void)wzp_relay_message(w->relay, conn, body, w->now_us, &effects);
    check(w->relay, w->open, w->now_us, &effects);
}

static void send_signal(struct world *w, uint64_t conn, const struct wzp_signal *signal)
{
    char *json;
    size_t len;
    if (wzp_signal_encode(signal, &json, &len) != 0)
        abort();
    send_body(w, conn, wz_bytes(json, len));
    free(json);
}

static void connect_as(struct world *w, uint64_t conn, const char *sni)
{
    struct wzp_relay_effects effects;
    struct wz_addr addr;
    if (wz_addr_parse("192.0.2.1:4433", &addr) != 0)
        abort();
    w->open[conn] = true;
    (void)wzp_relay_connected(w->relay, conn, sni, &addr, &addr, w->now_us, &effects);
    wzp_relay_set_handle(w->relay, conn, w);
    check(w->relay, w->open, w->now_us, &effects);
}

static void join_room(struct world *w, uint64_t conn, unsigned user, const char *room, const struct wz_rng *rng)
{
    struct wzp_handshake handshake;
    struct wzp_signal offer;
    connect_as(w, conn, room);
    if (wzp_handshake_init(&handshake, rng) != 0 || wzp_handshake_offer(&handshake, &w->user[user], "x", &offer) != 0)
        abort();
    send_signal(w, conn, &offer);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
}

/** The same three in every run; derived once, for keys cost more than all the rest of a run. */
static const struct wzp_identity *users(void)
{
    static struct wzp_identity user[USERS];
    if (user[0].fingerprint[0])
        return user;
    for (int i = USERS - 1; i >= 0; i--) {
        uint8_t seed[WZP_SEED_BYTES];
        memset(seed, i + 1, sizeof seed);
        if (wzp_identity_from_seed(seed, &user[i]) != 0)
            abort();
    }
    return user;
}

/** Users 0..2 on connections 1..3; 1 has answered call "c1" of 0; 0 is in its room on 4; 5, 6 are mute. */
static void furnish(struct world *w, const struct wz_rng *rng)
{
    static char id[] = "c1";
    memcpy(w->user, users(), sizeof w->user);
    for (unsigned i = 0; i < USERS; i++) {
        struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE };
        signal.register_presence.keys.has_identity = true;
        memcpy(signal.register_presence.keys.identity_pub, w->user[i].ed25519_public, WZP_KEY_BYTES);
        connect_as(w, i + 1, "_signal");
        send_signal(w, i + 1, &signal);
    }
    struct wzp_signal offer = { .kind = WZP_SIG_DIRECT_CALL_OFFER,
                                .offer = { .caller_fingerprint = w->user[0].fingerprint,
                                           .target_fingerprint = w->user[1].fingerprint,
                                           .call_id = id,
                                           .keys = { .has_identity = true, .has_ephemeral = true } } };
    send_signal(w, 1, &offer);
    send_signal(w, 2,
                &(struct wzp_signal){ .kind = WZP_SIG_DIRECT_CALL_ANSWER,
                                      .answer = { .call_id = id, .accept_mode = WZP_ACCEPT_TRUSTED } });
    join_room(w, 4, 0, "call-c1", rng);
    connect_as(w, 5, "ops");
    connect_as(w, 6, "_signal");
}

/** Six connections of nobody: three for signals, three for media. */
static void leave_bare(struct world *w)
{
    static const char *const names[CONNS] = { "_signal", "_signal", "_signal", "ops", "ops", "call-c1" };
    for (unsigned i = 0; i < CONNS; i++)
        connect_as(w, i + 1, names[i]);
}

/** The body is the name the auth server gives; an empty one refuses. */
static void decide(struct world *w, uint64_t conn, struct wz_bytes body)
{
    struct wzp_relay_effects effects;
    char *name = strndup((const char *)body.data, body.len);
    if (!name)
        abort();
    (void)wzp_relay_token_checked(w->relay, conn, body.len > 0, name, name, w->now_us, &effects);
    free(name);
    check(w->relay, w->open, w->now_us, &effects);
}

static void play(struct world *w, struct wz_reader *in)
{
    uint8_t who;
    uint16_t len;
    struct wz_bytes body;
    while (wz_get_u8(in, &who) && wz_get_u16be(in, &len)) {
        if (!wz_get_slice(in, len, &body))
            (void)wz_get_slice(in, wz_left(in), &body); /* the last block may be cut */
        const uint64_t conn = 1 + (who & 0x0fu) % CONNS;
        if (who & 0x80) {
            void *const *handles;
            (void)wzp_relay_route(w->relay, conn, body, w->now_us, &handles);
            if (wzp_relay_is_due(w->relay) && wzp_relay_deadline_us(w->relay) > w->now_us)
                abort();
        } else if (who & 0x40) {
            struct wzp_relay_effects effects;
            w->now_us += (uint64_t)len * 1000;
            (void)wzp_relay_tick(w->relay, w->now_us, &effects);
            check(w->relay, w->open, w->now_us, &effects);
        } else if (who & 0x20) {
            decide(w, conn, body);
        } else {
            send_body(w, conn, body);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t next = 0;
    const struct wz_rng rng = { .fill = fill_counting, .arg = &next };
    const struct wzp_relay_config configs[] = {
        { .build = "fuzz", .rng = &rng },
        { .build = "fuzz",
          .rng = &rng,
          .require_token = true,
          .strict_privacy = true,
          .source_offers_per_minute = 2,
          .source_reflects_per_minute = 2,
          .source_registrations_per_minute = 3 },
    };
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        struct world w = { .now_us = 1000000 };
        struct wz_reader in = wz_reader(wz_bytes(data, size));
        if (wzp_relay_new(&w.relay, &configs[i]) != 0)
            abort();
        if (i == 0)
            furnish(&w, &rng);
        else
            leave_bare(&w);
        play(&w, &in);
        wzp_relay_free(w.relay);
    }
    return 0;
}
