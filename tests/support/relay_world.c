#include "tests/support/relay_world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

struct message {
    struct wz_list node;
    size_t len;
    char text[];
};

static void fill_random(void *arg, uint8_t *out, size_t len)
{
    uint64_t *state = arg;
    for (size_t i = 0; i < len; i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        out[i] = (uint8_t)(*state >> 32);
    }
}

struct relay_world *relay_world_new(const struct wzp_relay_config *config)
{
    struct relay_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->random = UINT64_C(0x9e3779b97f4a7c15);
    w->rng = (struct wz_rng){ .fill = fill_random, .arg = &w->random };
    w->now_us = 1000000;
    wz_list_init(&w->conns);
    struct wzp_relay_config cfg = config ? *config : (struct wzp_relay_config){ 0 };
    cfg.rng = &w->rng;
    cfg.build = "test-build";
    memset(cfg.seed, 0x77, sizeof cfg.seed);
    assert_int_equal(wzp_relay_new(&w->relay, &cfg), 0);
    for (unsigned i = 0; i < RELAY_WORLD_USERS; i++) {
        uint8_t seed[WZP_SEED_BYTES];
        memset(seed, (int)i + 1, sizeof seed);
        assert_int_equal(wzp_identity_from_seed(seed, &w->user[i]), 0);
    }
    return w;
}

static void free_inbox(struct relay_world_conn *conn)
{
    struct wz_list *pos, *next;
    wz_list_foreach (pos, next, &conn->inbox)
        free(wz_container_of(pos, struct message, node));
    wz_list_init(&conn->inbox);
}

static void free_conn(struct relay_world_conn *conn)
{
    wz_list_remove(&conn->node);
    free_inbox(conn);
    free(conn->uni);
    free(conn->close_reason);
    free(conn);
}

void relay_world_free(struct relay_world *w)
{
    struct wz_list *pos, *next;
    wz_list_foreach (pos, next, &w->conns)
        free_conn(wz_container_of(pos, struct relay_world_conn, node));
    wzp_relay_free(w->relay);
    free(w);
}

int relay_world_setup(void **state)
{
    *state = relay_world_new(NULL);
    return 0;
}

int relay_world_teardown(void **state)
{
    relay_world_free(*state);
    return 0;
}

struct relay_world *relay_world_restart(void **state, const struct wzp_relay_config *config)
{
    relay_world_free(*state);
    return *state = relay_world_new(config);
}

const struct wzp_relay_stats *relay_world_stats(const struct relay_world *w)
{
    return wzp_relay_stats(w->relay);
}

struct relay_world_conn *relay_world_conn(struct relay_world *w, uint64_t id)
{
    struct wz_list *pos, *next;
    wz_list_foreach (pos, next, &w->conns) {
        struct relay_world_conn *conn = wz_container_of(pos, struct relay_world_conn, node);
        if (conn->id == id)
            return conn;
    }
    fail_msg("no connection %llu", (unsigned long long)id);
    return NULL;
}

static char *copy_text(struct wz_bytes body)
{
    char *text = malloc(body.len + 1);
    assert_non_null(text);
    memcpy(text, body.data, body.len);
    text[body.len] = '\0';
    return text;
}

static void deliver(struct relay_world *w, struct relay_world_conn *conn, struct wz_bytes body)
{
    w->sends++;
    if (w->on_send)
        w->on_send(w, conn, body);
    if (w->silent)
        return;
    struct message *message = malloc(sizeof *message + body.len + 1);
    assert_non_null(message);
    message->len = body.len;
    memcpy(message->text, body.data, body.len);
    message->text[body.len] = '\0';
    wz_list_append(&conn->inbox, &message->node);
}

/** Carry out; connections the relay closed are reported closed afterwards, as a shell does. */
static void apply(struct relay_world *w, int err, const struct wzp_relay_effects *effects)
{
    struct wzp_relay_effects more;
    uint64_t closed[64];
    size_t closed_count = 0;
    assert_int_equal(err, 0);
    for (size_t i = 0; i < effects->count; i++) {
        const struct wzp_relay_effect *effect = &effects->item[i];
        if (effect->kind == WZP_RELAY_LOG) {
            assert_non_null(effect->text);
            if (strcmp(effect->reason, "call.accepted") == 0)
                snprintf(w->last_accepted, sizeof w->last_accepted, "%s", effect->text);
            continue;
        }
        struct relay_world_conn *conn = relay_world_conn(w, effect->conn);
        assert_true(conn->open);
        assert_null(conn->close_reason);
        if (effect->kind == WZP_RELAY_SEND) {
            deliver(w, conn, effect->body);
        } else if (effect->kind == WZP_RELAY_SEND_UNI) {
            assert_null(conn->uni);
            conn->uni = copy_text(effect->body);
        } else if (effect->kind == WZP_RELAY_CHECK_TOKEN) {
            assert_true(effect->body.len < sizeof w->token);
            memcpy(w->token, effect->body.data, effect->body.len);
            w->token[effect->body.len] = '\0';
            w->token_conn = conn->id;
        } else {
            conn->close_reason = strdup(effect->reason);
            assert_true(closed_count < sizeof closed / sizeof closed[0]);
            closed[closed_count++] = conn->id;
        }
    }
    for (size_t i = 0; i < closed_count; i++) {
        relay_world_conn(w, closed[i])->open = false;
        err = wzp_relay_closed(w->relay, closed[i], w->now_us, &more);
        apply(w, err, &more);
    }
}

uint64_t relay_world_connect_from(struct relay_world *w, const char *sni, const char *remote_text,
                                  const char *local_text)
{
    struct wz_addr remote, local;
    struct wzp_relay_effects effects;
    struct relay_world_conn *conn = calloc(1, sizeof *conn);
    assert_non_null(conn);
    assert_int_equal(wz_addr_parse(remote_text, &remote), 0);
    assert_int_equal(wz_addr_parse(local_text, &local), 0);
    conn->id = ++w->last_id;
    conn->open = true;
    wz_list_init(&conn->inbox);
    wz_list_append(&w->conns, &conn->node);
    const int err = wzp_relay_connected(w->relay, conn->id, sni, &remote, &local, w->now_us, &effects);
    wzp_relay_set_handle(w->relay, conn->id, conn);
    apply(w, err, &effects);
    return conn->id;
}

uint64_t relay_world_connect(struct relay_world *w, const char *sni)
{
    return relay_world_connect_from(w, sni, RELAY_WORLD_REMOTE, RELAY_WORLD_LOCAL);
}

static void send_bytes(struct relay_world *w, uint64_t conn, struct wz_bytes body)
{
    struct wzp_relay_effects effects;
    const int err = wzp_relay_message(w->relay, conn, body, w->now_us, &effects);
    apply(w, err, &effects);
}

void relay_world_send_text(struct relay_world *w, uint64_t conn, const char *json)
{
    send_bytes(w, conn, wz_bytes_str(json));
}

void relay_world_send(struct relay_world *w, uint64_t conn, const struct wzp_signal *signal)
{
    char *json;
    size_t len;
    assert_int_equal(wzp_signal_encode(signal, &json, &len), 0);
    send_bytes(w, conn, wz_bytes(json, len));
    free(json);
}

void relay_world_drop(struct relay_world *w, uint64_t id)
{
    struct wzp_relay_effects effects;
    struct relay_world_conn *conn = relay_world_conn(w, id);
    assert_true(conn->open);
    conn->open = false;
    const int err = wzp_relay_closed(w->relay, id, w->now_us, &effects);
    apply(w, err, &effects);
}

void relay_world_forget(struct relay_world *w, uint64_t id)
{
    relay_world_drop(w, id);
    free_conn(relay_world_conn(w, id));
}

void relay_world_advance_ms(struct relay_world *w, uint64_t ms)
{
    const uint64_t until_us = w->now_us + ms * 1000;
    uint64_t due_us;
    while ((due_us = wzp_relay_deadline_us(w->relay)) <= until_us) {
        struct wzp_relay_effects effects;
        w->now_us = due_us > w->now_us ? due_us : w->now_us;
        const int err = wzp_relay_tick(w->relay, w->now_us, &effects);
        apply(w, err, &effects);
        assert_true(wzp_relay_deadline_us(w->relay) > w->now_us);
    }
    w->now_us = until_us;
}

bool relay_world_is_open(struct relay_world *w, uint64_t conn)
{
    return relay_world_conn(w, conn)->open;
}

size_t relay_world_waiting(struct relay_world *w, uint64_t id)
{
    struct relay_world_conn *conn = relay_world_conn(w, id);
    size_t count = 0;
    for (struct wz_list *pos = conn->inbox.next; pos != &conn->inbox; pos = pos->next)
        count++;
    return count;
}

char *relay_world_take_text(struct relay_world *w, uint64_t id)
{
    struct relay_world_conn *conn = relay_world_conn(w, id);
    if (wz_list_is_empty(&conn->inbox))
        fail_msg("connection %llu received nothing", (unsigned long long)id);
    struct message *message = wz_container_of(conn->inbox.next, struct message, node);
    char *text = strdup(message->text);
    wz_list_remove(&message->node);
    free(message);
    return text;
}

struct wzp_signal relay_world_take(struct relay_world *w, uint64_t conn, enum wzp_signal_kind kind)
{
    struct wzp_signal signal;
    char *text = relay_world_take_text(w, conn);
    assert_int_equal(wzp_signal_decode(wz_bytes_str(text), &signal), 0);
    if (signal.kind != kind)
        fail_msg("expected %s, received %s", wzp_signal_kind_name(kind), text);
    free(text);
    return signal;
}

void relay_world_take_hangup(struct relay_world *w, uint64_t conn, enum wzp_hangup_reason reason, const char *call_id)
{
    struct wzp_signal hangup = relay_world_take(w, conn, WZP_SIG_HANGUP);
    assert_string_equal(wzp_hangup_reason_name(hangup.hangup.reason), wzp_hangup_reason_name(reason));
    assert_non_null(hangup.hangup.call_id);
    assert_string_equal(hangup.hangup.call_id, call_id);
    wzp_signal_done(&hangup);
}

void relay_world_expect(struct relay_world *w, uint64_t conn, enum wzp_signal_kind kind)
{
    struct wzp_signal signal = relay_world_take(w, conn, kind);
    wzp_signal_done(&signal);
}

void relay_world_ignore(struct relay_world *w, uint64_t conn)
{
    while (relay_world_waiting(w, conn) > 0)
        free(relay_world_take_text(w, conn));
}

/* ---- stories ---- */

void relay_world_verdict(struct relay_world *w, uint64_t conn, const char *fingerprint)
{
    struct wzp_relay_effects effects;
    const int err =
        wzp_relay_token_checked(w->relay, conn, fingerprint != NULL, fingerprint, NULL, w->now_us, &effects);
    apply(w, err, &effects);
}

static void send_register(struct relay_world *w, uint64_t conn, unsigned user, bool is_signed)
{
    struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE };
    struct wzp_signed_keys *keys = &signal.register_presence.keys;
    keys->has_identity = true;
    memcpy(keys->identity_pub, w->user[user].ed25519_public, WZP_KEY_BYTES);
    if (is_signed) {
        assert_int_equal(wzp_sign_register(&w->user[user], keys->signature), 0);
        keys->signature_len = WZP_SIGNATURE_BYTES;
    }
    relay_world_send(w, conn, &signal);
}

void relay_world_send_register(struct relay_world *w, uint64_t conn, unsigned user)
{
    send_register(w, conn, user, false);
}

void relay_world_send_signed_register(struct relay_world *w, uint64_t conn, unsigned user)
{
    send_register(w, conn, user, true);
}

static uint64_t register_user(struct relay_world *w, unsigned user, bool is_signed)
{
    const uint64_t conn = relay_world_connect(w, "_signal");
    send_register(w, conn, user, is_signed);
    struct wzp_signal ack = relay_world_take(w, conn, WZP_SIG_REGISTER_PRESENCE_ACK);
    assert_true(ack.register_ack.success);
    wzp_signal_done(&ack);
    return conn;
}

uint64_t relay_world_register(struct relay_world *w, unsigned user)
{
    return register_user(w, user, true);
}

uint64_t relay_world_register_plain(struct relay_world *w, unsigned user)
{
    return register_user(w, user, false);
}

void relay_world_offer(struct relay_world *w, uint64_t conn, unsigned caller, unsigned callee, const char *call_id,
                       const char *reflexive, const char *local)
{
    struct wzp_signal signal = { .kind = WZP_SIG_DIRECT_CALL_OFFER,
                                 .offer = { .caller_fingerprint = w->user[caller].fingerprint,
                                            .target_fingerprint = w->user[callee].fingerprint,
                                            .call_id = (char *)call_id,
                                            .keys = { .has_identity = true, .has_ephemeral = true },
                                            .profile_count = 1,
                                            .profile = { wzp_profile_good },
                                            .caller_reflexive_addr = (char *)reflexive } };
    if (local) {
        signal.offer.caller_local_addrs.count = 1;
        signal.offer.caller_local_addrs.text[0] = (char *)local;
    }
    relay_world_send(w, conn, &signal);
}

void relay_world_signed_offer(struct relay_world *w, uint64_t conn, unsigned signer, unsigned callee,
                              const char *call_id)
{
    struct wzp_signal signal = { .kind = WZP_SIG_DIRECT_CALL_OFFER,
                                 .offer = { .caller_fingerprint = w->user[signer].fingerprint,
                                            .target_fingerprint = w->user[callee].fingerprint,
                                            .call_id = (char *)call_id } };
    struct wzp_signed_keys *keys = &signal.offer.keys;
    keys->has_identity = keys->has_ephemeral = true;
    memcpy(keys->identity_pub, w->user[signer].ed25519_public, WZP_KEY_BYTES);
    wz_rng_fill(&w->rng, keys->ephemeral_pub, sizeof keys->ephemeral_pub);
    assert_int_equal(wzp_sign_direct_offer(&w->user[signer], keys->ephemeral_pub, w->user[callee].fingerprint, call_id,
                                           keys->signature),
                     0);
    keys->signature_len = WZP_SIGNATURE_BYTES;
    relay_world_send(w, conn, &signal);
}

void relay_world_answer(struct relay_world *w, uint64_t conn, const char *call_id, enum wzp_accept_mode mode,
                        const char *reflexive, const char *local)
{
    struct wzp_signal signal = {
        .kind = WZP_SIG_DIRECT_CALL_ANSWER,
        .answer = { .call_id = (char *)call_id, .accept_mode = mode, .callee_reflexive_addr = (char *)reflexive }
    };
    if (local) {
        signal.answer.callee_local_addrs.count = 1;
        signal.answer.callee_local_addrs.text[0] = (char *)local;
    }
    relay_world_send(w, conn, &signal);
}

void relay_world_hangup(struct relay_world *w, uint64_t conn, enum wzp_hangup_reason reason, const char *call_id)
{
    relay_world_send(
        w, conn,
        &(struct wzp_signal){ .kind = WZP_SIG_HANGUP, .hangup = { .reason = reason, .call_id = (char *)call_id } });
}

void relay_world_path_report(struct relay_world *w, uint64_t conn, const char *call_id, bool direct_ok)
{
    static char winner[] = "Direct";
    relay_world_send(
        w, conn,
        &(struct wzp_signal){
            .kind = WZP_SIG_MEDIA_PATH_REPORT,
            .path_report = { .call_id = (char *)call_id, .direct_ok = direct_ok, .race_winner = winner } });
}

void relay_world_ring(struct relay_world *w, uint64_t alice, uint64_t bob, const char *call_id)
{
    relay_world_offer(w, alice, ALICE, BOB, call_id, RELAY_WORLD_ALICE_ADDR, RELAY_WORLD_ALICE_LOCAL);
    relay_world_expect(w, bob, WZP_SIG_DIRECT_CALL_OFFER);
    relay_world_expect(w, alice, WZP_SIG_CALL_RINGING);
}

uint64_t relay_world_join_from(struct relay_world *w, unsigned user, const char *room, const char *remote)
{
    const uint64_t conn = relay_world_connect_from(w, room, remote, RELAY_WORLD_LOCAL);
    if (relay_world_is_open(w, conn))
        relay_world_send_call_offer(w, conn, user, NULL);
    return conn;
}

void relay_world_send_call_offer(struct relay_world *w, uint64_t conn, unsigned user, const char *alias)
{
    struct wzp_handshake handshake;
    struct wzp_signal offer;
    assert_int_equal(wzp_handshake_init(&handshake, &w->rng), 0);
    assert_int_equal(wzp_handshake_offer(&handshake, &w->user[user], alias, &offer), 0);
    relay_world_send(w, conn, &offer);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
}

uint64_t relay_world_join(struct relay_world *w, unsigned user, const char *room, const char *alias)
{
    const uint64_t conn = relay_world_connect(w, room);
    relay_world_send_call_offer(w, conn, user, alias);
    return conn;
}

uint64_t relay_world_enter(struct relay_world *w, unsigned user, const char *room)
{
    const uint64_t conn = relay_world_join(w, user, room, NULL);
    relay_world_expect(w, conn, WZP_SIG_CALL_ANSWER);
    relay_world_expect(w, conn, WZP_SIG_ROOM_UPDATE);
    return conn;
}

void relay_world_call(struct relay_world *w, uint64_t caller_conn, unsigned caller, uint64_t callee_conn,
                      unsigned callee, const char *call_id)
{
    relay_world_offer(w, caller_conn, caller, callee, call_id, NULL, NULL);
    relay_world_expect(w, callee_conn, WZP_SIG_DIRECT_CALL_OFFER);
    relay_world_expect(w, caller_conn, WZP_SIG_CALL_RINGING);
    relay_world_answer(w, callee_conn, call_id, WZP_ACCEPT_GENERIC, NULL, NULL);
    relay_world_expect(w, caller_conn, WZP_SIG_DIRECT_CALL_ANSWER);
    relay_world_expect(w, caller_conn, WZP_SIG_CALL_SETUP);
    relay_world_expect(w, callee_conn, WZP_SIG_CALL_SETUP);
}

size_t relay_world_datagram(struct relay_world *w, uint64_t conn, struct wz_bytes data)
{
    void *const *handles = NULL;
    struct wzp_relay_port *port = wzp_relay_port(w->relay, conn);
    const size_t count = port ? wzp_relay_route_from(w->relay, port, data, w->now_us, &handles) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct relay_world_conn *to = handles[i];
        assert_true(to->open);
        assert_true(to->id != conn);
    }
    if (wzp_relay_is_due(w->relay)) {
        assert_true(wzp_relay_deadline_us(w->relay) <= w->now_us);
        relay_world_advance_ms(w, 0);
    }
    return count;
}
