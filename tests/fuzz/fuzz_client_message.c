/* What a hostile relay or direct peer can say to a client that has a call in each state. A line of the input is one
 * step: "s" + JSON on the signal connection, "m" + JSON on the media connection of the call that is up, "j" + JSON on that
 * of the call being joined, "d" + JSON on the connection of the call that is direct, "a" + JSON on the inbound connection
 * made last of the call that races, "i" makes such a connection, "h" has its true peer say hello on it, "c" closes (c0
 * signal, c1 up, c2 joining, c3 direct, c4 inbound), "v" sees media of the call that is direct, "w" sees a datagram on the
 * inbound connection, "l" makes one of the call that races with a reference peer, on which "x" sees a datagram, "t" + number
 * advances by that many milliseconds. The outgoing call's id is 32 times "1", the ringing one's "feed", those of the others
 * "direct", "racing" and "legacy". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/core/client.h"
#include "wzp/core/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS_MAX 4096
#define PEER      "1234:5678:9abc:def0:1234:5678:9abc:def0"
#define KEY       "[7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7]"

struct fuzz_world {
    struct wzp_client *client;
    uint64_t now_us, signal, up, joining, last_dial, direct, inbound, legacy;
    struct wzp_identity peer; /**< of the calls that race */
    bool ended[CALLS_MAX];
    uint64_t used[CALLS_MAX]; /**< what media of each call is sent on */
};

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "does not hold: %s\n", #cond);                                                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void fill_ones(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    memset(out, 0x11, len);
}

static void drain(struct fuzz_world *w)
{
    for (struct wzp_client_effect *effect; (effect = wzp_client_next_effect(w->client));) {
        if (effect->kind == WZP_CLIENT_DIAL && !effect->is_direct)
            w->last_dial = effect->conn;
        if (effect->kind == WZP_CLIENT_USE) {
            CHECK(effect->call < CALLS_MAX);
            CHECK(!w->ended[effect->call]);
            CHECK(w->used[effect->call] != effect->conn); /* a change is told once */
            w->used[effect->call] = effect->conn;
        }
        if (effect->kind == WZP_CLIENT_EVENT && effect->call) {
            CHECK(effect->call < CALLS_MAX);
            CHECK(!w->ended[effect->call]);
            w->ended[effect->call] = effect->event.kind == WZP_LINE_ENDED;
        }
        wzp_client_effect_free(effect);
    }
    CHECK(wzp_client_stats(w->client)->calls <= WZP_CLIENT_MAX_CALLS);
}

static void say(struct fuzz_world *w, uint64_t conn, struct wz_bytes text)
{
    wzp_client_message(w->client, conn, text, w->now_us);
    drain(w);
}

static void say_text(struct fuzz_world *w, uint64_t conn, const char *text)
{
    say(w, conn, wz_bytes_str(text));
}

static void offer(struct fuzz_world *w, const char *call_id)
{
    char text[2048];
    const int len = snprintf(text, sizeof text,
                             "{\"DirectCallOffer\":{\"caller_fingerprint\":\"" PEER "\",\"target_fingerprint\":\"%s\","
                             "\"call_id\":\"%s\",\"identity_pub\":" KEY ",\"ephemeral_pub\":" KEY ",\"signature\":[],"
                             "\"supported_profiles\":[],\"caller_build_version\":\"x\"}}",
                             wzp_client_fingerprint(w->client), call_id);
    say(w, w->signal, wz_bytes(text, (size_t)len));
}

static void setup(struct fuzz_world *w, const char *call_id)
{
    char text[512];
    const int len = snprintf(text, sizeof text,
                             "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"call-%s\",\"relay_addr\":\"9.9.9.9:1\","
                             "\"peer_direct_addr\":\"9.9.9.9:5\"}}",
                             call_id, call_id);
    say(w, w->signal, wz_bytes(text, (size_t)len));
}

static void media_up(struct fuzz_world *w, uint64_t conn, const struct wz_rng *rng)
{
    const uint8_t seed[WZP_SEED_BYTES] = { 5 };
    struct wzp_identity relay;
    struct wzp_handshake hs;
    struct wzp_signal answer = { 0 };
    char *json = NULL;
    size_t len = 0;
    wzp_client_connected(w->client, conn, &(struct wzp_client_link){ 0 }, w->now_us);
    CHECK(wzp_identity_from_seed(seed, &relay) == 0 && wzp_handshake_init(&hs, rng) == 0);
    CHECK(wzp_handshake_answer(&hs, &relay, &answer) == 0 && wzp_signal_encode(&answer, &json, &len) == 0);
    say(w, conn, wz_bytes(json, len));
    say_text(w, conn, "{\"RoomUpdate\":{\"count\":2,\"participants\":[]}}");
    free(json);
    wzp_signal_done(&answer);
    wzp_handshake_done(&hs);
    wzp_identity_done(&relay);
}

static void say_signal(struct fuzz_world *w, uint64_t conn, const struct wzp_signal *signal)
{
    char *json = NULL;
    size_t len = 0;
    CHECK(wzp_signal_encode(signal, &json, &len) == 0);
    say(w, conn, wz_bytes(json, len));
    free(json);
}

static void signed_offer(struct fuzz_world *w, const char *call_id)
{
    struct wzp_signal signal = { .kind = WZP_SIG_DIRECT_CALL_OFFER };
    struct wzp_signed_keys *keys = &signal.offer.keys;
    char own[WZP_FINGERPRINT_TEXT], id[16], build[] = "x";
    (void)snprintf(own, sizeof own, "%s", wzp_client_fingerprint(w->client));
    (void)snprintf(id, sizeof id, "%s", call_id);
    signal.offer.caller_fingerprint = w->peer.fingerprint;
    signal.offer.target_fingerprint = own;
    signal.offer.call_id = id;
    signal.offer.caller_build_version = build;
    keys->has_identity = keys->has_ephemeral = true;
    keys->signature_len = WZP_SIGNATURE_BYTES;
    memset(keys->ephemeral_pub, 9, sizeof keys->ephemeral_pub);
    memcpy(keys->identity_pub, w->peer.ed25519_public, sizeof keys->identity_pub);
    CHECK(wzp_sign_direct_offer(&w->peer, keys->ephemeral_pub, own, id, keys->signature) == 0);
    say_signal(w, w->signal, &signal);
}

/** Every direct connection exports the same bytes here: each could be every other. */
static const uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES] = { 0xee };

static uint64_t inbound(struct fuzz_world *w, const char *call_id)
{
    char sni[64];
    const struct wzp_client_link link = { .exporter = exporter,
                                          .remote = { .family = WZ_ADDR_V4, .port = 5, .ip = { 9, 9, 9, 9 } } };
    (void)snprintf(sni, sizeof sni, "call-call-%s", call_id);
    const uint64_t conn = wzp_client_accepted(w->client, sni, &link, w->now_us);
    drain(w);
    return conn;
}

static void hello(struct fuzz_world *w, uint64_t conn, const char *call_id)
{
    struct wzp_signal signal = { .kind = WZP_SIG_DIRECT_HELLO };
    struct wzp_signed_keys *keys = &signal.direct_hello.keys;
    char id[16];
    (void)snprintf(id, sizeof id, "%s", call_id);
    signal.direct_hello.call_id = id;
    keys->has_identity = true;
    keys->signature_len = WZP_SIGNATURE_BYTES;
    memcpy(keys->identity_pub, w->peer.ed25519_public, sizeof keys->identity_pub);
    CHECK(wzp_sign_direct_hello(&w->peer, exporter, id, keys->signature) == 0);
    say_signal(w, conn, &signal);
}

/** One call on a direct path and one that races, with our own kind; and one that races with a reference peer. */
static void begin_direct(struct fuzz_world *w)
{
    static const char *const ids[] = { "direct", "racing" };
    for (size_t i = 0; i < 2; i++) {
        signed_offer(w, ids[i]); /* calls 5 and 6 */
        CHECK(wzp_client_answer(w->client, 5 + i, WZP_ACCEPT_TRUSTED, w->now_us) == 0);
        say_text(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"8.8.8.8:1\"}}");
        setup(w, ids[i]);
    }
    w->direct = inbound(w, "direct");
    CHECK(w->direct != 0);
    hello(w, w->direct, "direct");
    say_text(w, w->direct,
             "{\"MediaPathReport\":{\"call_id\":\"direct\",\"direct_ok\":true,\"race_winner\":\"Direct\"}}");
    CHECK(w->used[5] == w->direct);
    w->inbound = inbound(w, "racing");
    CHECK(w->inbound != 0);
    offer(w, "legacy"); /* call 7 */
    CHECK(wzp_client_answer(w->client, 7, WZP_ACCEPT_TRUSTED, w->now_us) == 0);
    say_text(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"8.8.8.8:1\"}}");
    setup(w, "legacy");
    w->legacy = inbound(w, "legacy");
    CHECK(w->legacy != 0);
}

/** One incoming call in each state from ringing to media up, and one outgoing. */
static void begin(struct fuzz_world *w, const struct wz_rng *rng)
{
    const struct wzp_client_config config = {
        .seed = { 3 },
        .build = "fuzz",
        .relay = { .family = WZ_ADDR_V4, .port = 4433, .ip = { 198, 51, 100, 1 } },
        .rng = rng,
    };
    w->now_us = 1000000;
    CHECK(wzp_client_new(&w->client, &config, w->now_us) == 0);
    wzp_client_tick(w->client, w->now_us);
    drain(w);
    w->signal = w->last_dial;
    wzp_client_connected(w->client, w->signal, &(struct wzp_client_link){ 0 }, w->now_us);
    say_text(w, w->signal, "{\"RegisterPresenceAck\":{\"success\":true,\"relay_build\":\"x\"}}");
    const char *const ids[] = { "up", "joining", "feed" };
    for (uint64_t i = 0; i < 3; i++)
        offer(w, ids[i]); /* calls 1, 2, 3 */
    for (uint64_t i = 0; i < 2; i++) {
        CHECK(wzp_client_answer(w->client, i + 1, WZP_ACCEPT_GENERIC, w->now_us) == 0);
        setup(w, ids[i]);
        *(i ? &w->joining : &w->up) = w->last_dial;
    }
    media_up(w, w->up, rng);
    wzp_client_connected(w->client, w->joining, &(struct wzp_client_link){ 0 }, w->now_us);
    const struct wzp_line_dial dial = { .target_fingerprint = PEER, .hide_addresses = true };
    uint64_t call = 0;
    CHECK(wzp_client_call(w->client, &dial, w->now_us, &call) == 0);
    drain(w);
    begin_direct(w);
}

static void close_one(struct fuzz_world *w, struct wz_bytes which)
{
    const uint64_t conns[] = { w->signal, w->up, w->joining, w->direct, w->inbound };
    if (which.len && which.data[0] >= '0' && which.data[0] <= '4')
        wzp_client_closed(w->client, conns[which.data[0] - '0'], "fuzz", w->now_us);
}

static void step(struct fuzz_world *w, const char *line, size_t len)
{
    const struct wz_bytes rest = wz_bytes(line + 1, len - 1);
    switch (line[0]) {
    case 's':
        say(w, w->signal, rest);
        break;
    case 'm':
        say(w, w->up, rest);
        break;
    case 'j':
        say(w, w->joining, rest);
        break;
    case 'd':
        say(w, w->direct, rest);
        break;
    case 'a':
        say(w, w->inbound, rest);
        break;
    case 'i': {
        const uint64_t conn = inbound(w, "racing");
        w->inbound = conn ? conn : w->inbound;
        break;
    }
    case 'h':
        hello(w, w->inbound, "racing");
        break;
    case 'v':
        wzp_client_media_seen(w->client, 5, w->now_us);
        break;
    case 'w':
        wzp_client_media_elsewhere(w->client, w->inbound, w->now_us);
        break;
    case 'l': {
        const uint64_t conn = inbound(w, "legacy");
        w->legacy = conn ? conn : w->legacy;
        break;
    }
    case 'x':
        wzp_client_media_elsewhere(w->client, w->legacy, w->now_us);
        break;
    case 'c':
        close_one(w, rest);
        break;
    case 't': {
        uint64_t ms = 0;
        for (size_t i = 0; i < rest.len && i < 6 && rest.data[i] >= '0' && rest.data[i] <= '9'; i++)
            ms = ms * 10 + (uint64_t)(rest.data[i] - '0');
        w->now_us += ms * 1000;
        wzp_client_tick(w->client, w->now_us);
        break;
    }
    default:
        break;
    }
    drain(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wz_rng rng = { .fill = fill_ones };
    const uint8_t peer_seed[WZP_SEED_BYTES] = { 6 };
    struct fuzz_world *w = calloc(1, sizeof *w);
    CHECK(w != NULL && wzp_identity_from_seed(peer_seed, &w->peer) == 0);
    begin(w, &rng);
    for (const char *pos = (const char *)data, *end = pos + size; pos < end;) {
        const char *nl = memchr(pos, '\n', (size_t)(end - pos));
        const size_t len = (size_t)((nl ? nl : end) - pos);
        if (len)
            step(w, pos, len);
        pos += len + 1;
    }
    wzp_client_stop(w->client, w->now_us);
    drain(w);
    CHECK(wzp_client_stats(w->client)->calls == 0);
    CHECK(wzp_client_deadline_us(w->client) == UINT64_MAX);
    wzp_client_free(w->client);
    wzp_identity_done(&w->peer);
    free(w);
    return 0;
}
