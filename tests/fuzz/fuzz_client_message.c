/* What a hostile relay can say to a client that has a call in each state. A line of the input is one step:
 * "s" + JSON on the signal connection, "m" + JSON on the media connection of the call that is up, "j" + JSON
 * on that of the call being joined, "c" closes (c0 signal, c1 up, c2 joining), "t" + number advances by that
 * many milliseconds. The outgoing call's id is 32 times "1", the incoming one's "feed". */
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
    uint64_t now_us, signal, up, joining, last_dial;
    bool ended[CALLS_MAX];
};

#define CHECK(cond)                                                                                          \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            (void)fprintf(stderr, "does not hold: %s\n", #cond);                                             \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static void fill_ones(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    memset(out, 0x11, len);
}

static void drain(struct fuzz_world *w)
{
    for (struct wzp_client_effect *effect; (effect = wzp_client_next_effect(w->client));) {
        if (effect->kind == WZP_CLIENT_DIAL)
            w->last_dial = effect->conn;
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
    const int len =
        snprintf(text, sizeof text,
                 "{\"DirectCallOffer\":{\"caller_fingerprint\":\"" PEER "\",\"target_fingerprint\":\"%s\","
                 "\"call_id\":\"%s\",\"identity_pub\":" KEY ",\"ephemeral_pub\":" KEY ",\"signature\":[],"
                 "\"supported_profiles\":[],\"caller_build_version\":\"x\"}}",
                 wzp_client_fingerprint(w->client), call_id);
    say(w, w->signal, wz_bytes(text, (size_t)len));
}

static void setup(struct fuzz_world *w, const char *call_id)
{
    char text[512];
    const int len =
        snprintf(text, sizeof text,
                 "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"call-%s\",\"relay_addr\":\"9.9.9.9:1\"}}",
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
}

static void step(struct fuzz_world *w, const char *line, size_t len)
{
    const struct wz_bytes rest = wz_bytes(line + 1, len - 1);
    const uint64_t conns[] = { w->signal, w->up, w->joining };
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
    case 'c':
        if (rest.len && rest.data[0] >= '0' && rest.data[0] <= '2')
            wzp_client_closed(w->client, conns[rest.data[0] - '0'], "fuzz", w->now_us);
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
    struct fuzz_world *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
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
    free(w);
    return 0;
}
