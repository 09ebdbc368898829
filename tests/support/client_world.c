#include "tests/support/client_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t next_random(struct test_rng *rng)
{
    rng->state ^= rng->state >> 12;
    rng->state ^= rng->state << 25;
    rng->state ^= rng->state >> 27;
    return rng->state * 0x2545f4914f6cdd1dull;
}

void test_rng_fill(void *arg, uint8_t *out, size_t len)
{
    struct test_rng *rng = arg;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(next_random(rng) >> 56);
}

uint64_t test_rng_below(struct test_rng *rng, uint64_t limit)
{
    return next_random(rng) % limit;
}

static void make_peer(struct client_world *w, bool is_smaller)
{
    const char *own = wzp_client_fingerprint(w->client);
    for (uint8_t seed[WZP_SEED_BYTES] = { 4 };; seed[0]++) {
        assert_int_equal(wzp_identity_from_seed(seed, &w->peer), 0);
        if ((strcmp(w->peer.fingerprint, own) < 0) == is_smaller)
            return;
        wzp_identity_done(&w->peer);
    }
}

struct client_world *world_new(const struct client_world_options *options)
{
    static const struct client_world_options none;
    if (!options)
        options = &none;
    struct client_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->random.state = 42;
    w->rng = (struct wz_rng){ .fill = test_rng_fill, .arg = &w->random };
    w->now_us = 1000000;
    wz_list_init(&w->effects);
    uint8_t seed[WZP_SEED_BYTES] = { 1 };
    assert_int_equal(wzp_identity_from_seed(seed, &w->relay), 0);
    struct wzp_client_config config = {
        .seed = { 3 },
        .alias = options->alias,
        .auth_token = options->token,
        .build = "test-1",
        .start_delay_ms = options->start_delay_ms,
        .rooms_only = options->rooms_only,
        .share_local_addrs = options->share_local_addrs,
        .no_direct = options->no_direct,
        .strict = options->strict,
        .has_relay_key = options->pinned_relay != NULL,
        .rng = &w->rng,
    };
    if (options->pinned_relay)
        memcpy(config.relay_key, options->pinned_relay->ed25519_public, sizeof config.relay_key);
    assert_int_equal(wz_addr_parse(WORLD_RELAY, &config.relay), 0);
    assert_int_equal(wzp_client_new(&w->client, &config, w->now_us), 0);
    make_peer(w, options->peer_is_smaller);
    if (!options->unregistered && !options->rooms_only) {
        world_register(w, options->relay_build);
        world_clear(w);
    }
    return w;
}

void world_clear(struct client_world *w)
{
    world_drain(w);
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        wz_list_remove(pos);
        wzp_client_effect_free(effect);
    }
}

void world_free(struct client_world *w)
{
    world_clear(w);
    wzp_client_free(w->client);
    wzp_identity_done(&w->relay);
    wzp_identity_done(&w->peer);
    free(w);
}

void world_drain(struct client_world *w)
{
    for (struct wzp_client_effect *effect; (effect = wzp_client_next_effect(w->client));) {
        if (effect->kind == WZP_CLIENT_EVENT && effect->event.kind == WZP_LINE_SIGNAL) {
            w->traces++;
            wzp_client_effect_free(effect);
        } else {
            wz_list_append(&w->effects, &effect->node);
        }
    }
}

void world_advance_us(struct client_world *w, uint64_t us)
{
    const uint64_t end_us = w->now_us + us;
    world_drain(w);
    for (uint64_t at_us; (at_us = wzp_client_deadline_us(w->client)) <= end_us;) {
        if (at_us > w->now_us)
            w->now_us = at_us;
        wzp_client_tick(w->client, w->now_us);
        world_drain(w);
    }
    w->now_us = end_us;
}

void world_advance_ms(struct client_world *w, uint64_t ms)
{
    world_advance_us(w, ms * 1000);
}

typedef bool effect_test(const struct wzp_client_effect *effect, int what);

static bool is_kind(const struct wzp_client_effect *effect, int what)
{
    return (int)effect->kind == what;
}

static bool is_send_of(const struct wzp_client_effect *effect, int what)
{
    return effect->kind == WZP_CLIENT_SEND && (int)effect->signal == what;
}

static bool is_event(const struct wzp_client_effect *effect, int what)
{
    return effect->kind == WZP_CLIENT_EVENT && (int)effect->event.kind == what;
}

static size_t count_if(const struct client_world *w, effect_test *test, int what, struct wzp_client_effect **ret_last)
{
    size_t count = 0;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        if (!test(effect, what))
            continue;
        count++;
        if (ret_last)
            *ret_last = effect;
    }
    return count;
}

size_t world_count(const struct client_world *w, enum wzp_client_effect_kind kind)
{
    return count_if(w, is_kind, (int)kind, NULL);
}

struct wzp_client_effect *world_last(const struct client_world *w, enum wzp_client_effect_kind kind)
{
    struct wzp_client_effect *last = NULL;
    count_if(w, is_kind, (int)kind, &last);
    return last;
}

size_t world_sent(const struct client_world *w, enum wzp_signal_kind kind)
{
    return count_if(w, is_send_of, (int)kind, NULL);
}

struct wzp_signal world_last_sent(const struct client_world *w, enum wzp_signal_kind kind)
{
    struct wzp_client_effect *last = NULL;
    if (count_if(w, is_send_of, (int)kind, &last) == 0)
        fail_msg("no %s was sent", wzp_signal_kind_name(kind));
    struct wzp_signal signal = { 0 };
    assert_int_equal(wzp_signal_decode(last->body, &signal), 0);
    return signal;
}

size_t world_events(const struct client_world *w, enum wzp_line_event_kind kind)
{
    return count_if(w, is_event, (int)kind, NULL);
}

const struct wzp_line_event *world_event(const struct client_world *w, enum wzp_line_event_kind kind)
{
    struct wzp_client_effect *last = NULL;
    if (count_if(w, is_event, (int)kind, &last) == 0)
        fail_msg("no event %d", (int)kind);
    return &last->event;
}

uint64_t world_event_call(const struct client_world *w, enum wzp_line_event_kind kind)
{
    struct wzp_client_effect *last = NULL;
    return count_if(w, is_event, (int)kind, &last) ? last->call : 0;
}

void world_say(struct client_world *w, uint64_t conn, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    const int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert_in_range(len, 1, sizeof text - 1);
    wzp_client_message(w->client, conn, wz_bytes(text, (size_t)len), w->now_us);
    world_drain(w);
}

void world_say_signal(struct client_world *w, uint64_t conn, const struct wzp_signal *signal)
{
    char *json = NULL;
    size_t len = 0;
    assert_int_equal(wzp_signal_encode(signal, &json, &len), 0);
    wzp_client_message(w->client, conn, wz_bytes(json, len), w->now_us);
    free(json);
    world_drain(w);
}

void world_connected(struct client_world *w, uint64_t conn)
{
    wzp_client_connected(w->client, conn, &(struct wzp_client_link){ 0 }, w->now_us);
    world_drain(w);
}

void world_closed(struct client_world *w, uint64_t conn, const char *reason)
{
    wzp_client_closed(w->client, conn, reason, w->now_us);
    world_drain(w);
}

void world_register(struct client_world *w, const char *relay_build)
{
    for (int i = 0; i < 3 && !world_last(w, WZP_CLIENT_DIAL); i++)
        world_advance_ms(w, 1);
    struct wzp_client_effect *dial = world_last(w, WZP_CLIENT_DIAL);
    assert_non_null(dial);
    assert_string_equal(dial->sni, "_signal");
    w->signal = dial->conn;
    world_connected(w, w->signal);
    if (relay_build)
        world_say(w, w->signal, "{\"RegisterPresenceAck\":{\"success\":true,\"relay_build\":\"%s\"}}", relay_build);
    else
        world_say(w, w->signal, "{\"RegisterPresenceAck\":{\"success\":true}}");
    assert_true(wzp_client_is_registered(w->client));
}

uint64_t world_place_call(struct client_world *w)
{
    uint64_t call = 0;
    const struct wzp_line_dial dial = { .target_fingerprint = w->peer.fingerprint };
    assert_int_equal(wzp_client_call(w->client, &dial, w->now_us, &call), 0);
    world_say(w, w->signal, "{\"ReflectResponse\":{\"observed_addr\":\"" WORLD_ADDR "\"}}");
    assert_true(world_sent(w, WZP_SIG_DIRECT_CALL_OFFER) > 0);
    return call;
}

/** The peer's keys, all but the signature. */
static void fill_keys(struct client_world *w, struct wzp_signed_keys *ret)
{
    ret->has_identity = ret->has_ephemeral = true;
    memcpy(ret->identity_pub, w->peer.ed25519_public, sizeof ret->identity_pub);
    memset(ret->ephemeral_pub, 9, sizeof ret->ephemeral_pub);
    ret->signature_len = WZP_SIGNATURE_BYTES;
}

static uint64_t offer_as(struct client_world *w, const char *call_id, const char *build, bool is_signed)
{
    struct wzp_signal offer = { .kind = WZP_SIG_DIRECT_CALL_OFFER };
    char id[256], own[WZP_FINGERPRINT_TEXT], version[32];
    (void)snprintf(id, sizeof id, "%s", call_id);
    (void)snprintf(own, sizeof own, "%s", wzp_client_fingerprint(w->client));
    (void)snprintf(version, sizeof version, "%s", build ? build : "");
    offer.offer.caller_fingerprint = w->peer.fingerprint;
    offer.offer.target_fingerprint = own;
    offer.offer.call_id = id;
    offer.offer.caller_build_version = build ? version : NULL;
    offer.offer.profile_count = 1;
    offer.offer.profile[0] = wzp_profile_good;
    if (is_signed) {
        struct wzp_signed_keys *keys = &offer.offer.keys;
        fill_keys(w, keys);
        assert_int_equal(wzp_sign_direct_offer(&w->peer, keys->ephemeral_pub, own, id, keys->signature), 0);
    }
    const size_t before = world_events(w, WZP_LINE_INCOMING);
    world_say_signal(w, w->signal, &offer);
    return world_events(w, WZP_LINE_INCOMING) > before ? world_event_call(w, WZP_LINE_INCOMING) : 0;
}

uint64_t world_offer(struct client_world *w, const char *call_id, const char *build)
{
    return offer_as(w, call_id, build, false);
}

uint64_t world_offer_signed(struct client_world *w, const char *call_id, const char *build)
{
    return offer_as(w, call_id, build, true);
}

void world_answer_signed(struct client_world *w, uint64_t call, enum wzp_accept_mode mode, const char *build)
{
    struct wzp_signal answer = { .kind = WZP_SIG_DIRECT_CALL_ANSWER };
    char id[WZP_CALL_ID_MAX + 1], version[32];
    (void)snprintf(id, sizeof id, "%s", world_call_id(w, call));
    (void)snprintf(version, sizeof version, "%s", build ? build : "");
    answer.answer.call_id = id;
    answer.answer.accept_mode = mode;
    answer.answer.callee_build_version = build ? version : NULL;
    struct wzp_signed_keys *keys = &answer.answer.keys;
    fill_keys(w, keys);
    assert_int_equal(
        wzp_sign_direct_answer(&w->peer, keys->ephemeral_pub, wzp_client_fingerprint(w->client), id, keys->signature),
        0);
    world_say_signal(w, w->signal, &answer);
}

const char *world_call_id(const struct client_world *w, uint64_t call)
{
    const char *id = wzp_client_call_id(w->client, call);
    assert_non_null(id);
    return id;
}

void world_answer(struct client_world *w, uint64_t call, const char *build)
{
    const char *id = world_call_id(w, call);
    if (build)
        world_say(w, w->signal,
                  "{\"DirectCallAnswer\":{\"call_id\":\"%s\",\"accept_mode\":\"AcceptGeneric\","
                  "\"callee_build_version\":\"%s\"}}",
                  id, build);
    else
        world_say(w, w->signal, "{\"DirectCallAnswer\":{\"call_id\":\"%s\",\"accept_mode\":\"AcceptGeneric\"}}", id);
}

void world_setup(struct client_world *w, uint64_t call, const char *relay_addr)
{
    const char *id = world_call_id(w, call);
    world_say(w, w->signal, "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"call-%s\",\"relay_addr\":\"%s\"}}", id, id,
              relay_addr);
}

void world_room_count(struct client_world *w, uint64_t conn, uint32_t count)
{
    world_say(w, conn, "{\"RoomUpdate\":{\"count\":%u,\"participants\":[]}}", count);
}

struct wzp_client_effect *world_last_dial(const struct client_world *w, bool is_direct)
{
    struct wzp_client_effect *last = NULL;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        if (effect->kind == WZP_CLIENT_DIAL && effect->is_direct == is_direct)
            last = effect;
    }
    return last;
}

size_t world_dials(const struct client_world *w, bool is_direct)
{
    size_t count = 0;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        const struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        count += effect->kind == WZP_CLIENT_DIAL && effect->is_direct == is_direct;
    }
    return count;
}

uint64_t world_direct_conn(const struct client_world *w, const char *addr)
{
    char text[WZ_ADDR_TEXT_MAX];
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        const struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        if (effect->kind == WZP_CLIENT_DIAL && effect->is_direct &&
            strcmp(wz_addr_format(&effect->to, text), addr) == 0)
            return effect->conn;
    }
    fail_msg("%s was not dialled", addr);
    return 0;
}

bool world_is_closed(const struct client_world *w, uint64_t conn)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        const struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        if (effect->kind == WZP_CLIENT_CLOSE && effect->conn == conn)
            return true;
    }
    return false;
}

size_t world_sent_on(const struct client_world *w, uint64_t conn, enum wzp_signal_kind kind)
{
    size_t count = 0;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        const struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        count += effect->kind == WZP_CLIENT_SEND && effect->conn == conn && effect->signal == kind;
    }
    return count;
}

void world_setup_direct(struct client_world *w, uint64_t call, const char *peer_direct_addr, const char *local)
{
    char direct[WZ_ADDR_TEXT_MAX + 32] = "";
    const char *id = world_call_id(w, call);
    if (peer_direct_addr)
        (void)snprintf(direct, sizeof direct, ",\"peer_direct_addr\":\"%s\"", peer_direct_addr);
    world_say(w, w->signal,
              "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"call-%s\",\"relay_addr\":\"" WORLD_RELAY
              "\"%s,\"peer_local_addrs\":[%s]}}",
              id, id, direct, local ? local : "");
}

void world_exporter(uint64_t conn, uint8_t ret[static WZP_DIRECT_EXPORTER_BYTES])
{
    memset(ret, (int)(conn & 0xff), WZP_DIRECT_EXPORTER_BYTES);
}

void world_direct_up(struct client_world *w, uint64_t conn)
{
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    world_exporter(conn, exporter);
    wzp_client_connected(w->client, conn, &(struct wzp_client_link){ .exporter = exporter }, w->now_us);
    world_drain(w);
}

/** The exporter value of every inbound connection: its name is not known before it is accepted. */
#define WORLD_INBOUND_EXPORTER 0xee

static bool is_dialled(const struct client_world *w, uint64_t conn)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &w->effects) {
        const struct wzp_client_effect *effect = wz_container_of(pos, struct wzp_client_effect, node);
        if (effect->kind == WZP_CLIENT_DIAL && effect->conn == conn)
            return true;
    }
    return false;
}

uint64_t world_accept(struct client_world *w, const char *room, const char *remote)
{
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES] = { 0 };
    char sni[WZP_CLIENT_SNI_SIZE];
    struct wzp_client_link link = { .exporter = exporter };
    (void)snprintf(sni, sizeof sni, "call-%s", room);
    assert_int_equal(wz_addr_parse(remote, &link.remote), 0);
    memset(exporter, WORLD_INBOUND_EXPORTER, sizeof exporter);
    const uint64_t conn = wzp_client_accepted(w->client, sni, &link, w->now_us);
    world_drain(w);
    return conn;
}

void world_hello(struct client_world *w, uint64_t conn, const struct wzp_identity *who, const char *id)
{
    struct wzp_signal hello = { .kind = WZP_SIG_DIRECT_HELLO };
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    char name[WZP_CLIENT_SNI_SIZE];
    (void)snprintf(name, sizeof name, "%s", id);
    if (is_dialled(w, conn))
        world_exporter(conn, exporter);
    else
        memset(exporter, WORLD_INBOUND_EXPORTER, sizeof exporter);
    hello.direct_hello.call_id = name;
    struct wzp_signed_keys *keys = &hello.direct_hello.keys;
    keys->has_identity = true;
    memcpy(keys->identity_pub, who->ed25519_public, sizeof keys->identity_pub);
    assert_int_equal(wzp_sign_direct_hello(who, exporter, id, keys->signature), 0);
    keys->signature_len = WZP_SIGNATURE_BYTES;
    world_say_signal(w, conn, &hello);
}

void world_report(struct client_world *w, uint64_t conn, const char *id, bool direct_ok)
{
    world_say(w, conn, "{\"MediaPathReport\":{\"call_id\":\"%s\",\"direct_ok\":%s,\"race_winner\":\"%s\"}}", id,
              direct_ok ? "true" : "false", direct_ok ? "Direct" : "Relay");
}

uint64_t world_media_up(struct client_world *w, uint32_t count)
{
    const struct wzp_client_effect *dial = world_last_dial(w, false);
    assert_non_null(dial);
    const uint64_t conn = dial->conn;
    world_connected(w, conn);
    struct wzp_handshake hs;
    struct wzp_signal answer = { 0 };
    assert_int_equal(wzp_handshake_init(&hs, &w->rng), 0);
    assert_int_equal(wzp_handshake_answer(&hs, &w->relay, &answer), 0);
    world_say_signal(w, conn, &answer);
    wzp_signal_done(&answer);
    wzp_handshake_done(&hs);
    if (count)
        world_room_count(w, conn, count);
    return conn;
}

uint64_t world_talk(struct client_world *w, uint64_t *ret_media)
{
    const uint64_t call = world_place_call(w);
    world_answer(w, call, NULL);
    world_setup(w, call, WORLD_RELAY);
    const uint64_t media = world_media_up(w, 2);
    if (ret_media)
        *ret_media = media;
    world_clear(w);
    return call;
}
