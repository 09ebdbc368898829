/* Two client cores of our own kind, joined by a tiny exchange that plays the relay and the network between: whatever the
 * delays, both end on the same path, and on the same connection of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/client_world.h"
#include "wzp/core/race.h"

#define WIRES_MAX 64
#define SEEDS     200

struct side {
    struct wzp_client *client;
    uint64_t signal, relay_leg, call, used;
    enum wzp_line_path path;
    bool up, down, ended, in_room;
    unsigned paths;
};

/** A direct connection: end[i] is what side i calls it; 0: that side has not got it, or has closed it. */
struct wire {
    uint64_t end[2], last_us[2];
    uint8_t exporter;
};

enum event_kind { EV_SIGNAL, EV_LEG_UP, EV_LEG, EV_DIAL, EV_DIAL_DONE, EV_WIRE, EV_WIRE_CLOSED };

struct what {
    enum event_kind kind;
    unsigned to, wire;
    uint64_t conn;
};

struct event {
    struct wz_list node;
    uint64_t at_us;
    struct what what;
    size_t len;
    char body[];
};

struct pair {
    struct side side[2];
    struct wire wire[WIRES_MAX];
    unsigned wire_count;
    uint64_t now_us, last_signal_us[2];
    struct test_rng random;
    struct wz_rng rng;
    struct wzp_identity relay;
    struct wz_list queue;
    uint64_t direct_ms, relay_ms; /**< greatest delay of one way */
    bool reaches[2];              /**< side i's dials arrive */
    bool cut;                     /**< nothing passes the direct connections any more, silently */
};

static void post(struct pair *p, uint64_t at_us, struct what what, struct wz_bytes body)
{
    struct event *event = calloc(1, sizeof *event + body.len + 1); /* a NUL ends texts */
    assert_non_null(event);
    event->what = what;
    event->at_us = at_us;
    event->len = body.len;
    if (body.len)
        memcpy(event->body, body.data, body.len);
    struct wz_list *pos = p->queue.prev;
    while (pos != &p->queue && wz_container_of(pos, struct event, node)->at_us > at_us)
        pos = pos->prev;
    wz_list_append(pos->next, &event->node);
}

static uint64_t delay_us(struct pair *p, uint64_t most_ms)
{
    return 1000 + test_rng_below(&p->random, most_ms * 1000);
}

static void to_signal(struct pair *p, unsigned to, struct wz_bytes body)
{
    uint64_t at_us = p->now_us + delay_us(p, p->relay_ms);
    at_us = at_us > p->last_signal_us[to] ? at_us : p->last_signal_us[to];
    p->last_signal_us[to] = at_us;
    post(p, at_us, (struct what){ .kind = EV_SIGNAL, .to = to }, body);
}

static void to_signal_text(struct pair *p, unsigned to, const char *text)
{
    to_signal(p, to, wz_bytes_str(text));
}

/* ---- the relay ---- */

static void set_up_call(struct pair *p, const struct wzp_signal *answer)
{
    for (unsigned to = 0; to < 2; to++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "{\"CallSetup\":{\"call_id\":\"%s\",\"room\":\"call-%s\",\"relay_addr\":\"" WORLD_RELAY
                       "\",\"peer_direct_addr\":\"203.0.113.%u:4000\",\"peer_local_addrs\":[\"10.0.0.%u:4000\"]}}",
                       answer->answer.call_id, answer->answer.call_id, 2 - to, 2 - to);
        to_signal_text(p, to, text);
    }
}

static void relay_gets(struct pair *p, unsigned from, const struct wzp_client_effect *sent)
{
    struct wzp_signal signal = { 0 };
    assert_int_equal(wzp_signal_decode(sent->body, &signal), 0);
    switch (signal.kind) {
    case WZP_SIG_REFLECT: {
        char text[80];
        (void)snprintf(text, sizeof text, "{\"ReflectResponse\":{\"observed_addr\":\"203.0.113.%u:4000\"}}", from + 1);
        to_signal_text(p, from, text);
        break;
    }
    case WZP_SIG_DIRECT_CALL_ANSWER:
        to_signal(p, 1 - from, sent->body);
        set_up_call(p, &signal);
        break;
    case WZP_SIG_DIRECT_CALL_OFFER:
    case WZP_SIG_MEDIA_PATH_REPORT:
    case WZP_SIG_HANGUP:
        to_signal(p, 1 - from, sent->body);
        break;
    default:
        break;
    }
    wzp_signal_done(&signal);
}

static void tell_room(struct pair *p)
{
    char text[80];
    (void)snprintf(text, sizeof text, "{\"RoomUpdate\":{\"count\":%u,\"participants\":[]}}",
                   (unsigned)p->side[0].in_room + p->side[1].in_room);
    for (unsigned to = 0; to < 2; to++)
        if (p->side[to].in_room)
            post(p, p->now_us + p->relay_ms * 1000,
                 (struct what){ .kind = EV_LEG, .to = to, .conn = p->side[to].relay_leg }, wz_bytes_str(text));
}

static void leg_gets(struct pair *p, unsigned from, const struct wzp_client_effect *sent)
{
    struct wzp_handshake hs;
    struct wzp_signal answer = { 0 };
    char *json = NULL;
    size_t len = 0;
    if (sent->signal != WZP_SIG_CALL_OFFER)
        return;
    assert_int_equal(wzp_handshake_init(&hs, &p->rng), 0);
    assert_int_equal(wzp_handshake_answer(&hs, &p->relay, &answer), 0);
    assert_int_equal(wzp_signal_encode(&answer, &json, &len), 0);
    post(p, p->now_us + p->relay_ms * 1000, (struct what){ .kind = EV_LEG, .to = from, .conn = sent->conn },
         wz_bytes(json, len));
    free(json);
    wzp_signal_done(&answer);
    wzp_handshake_done(&hs);
    p->side[from].in_room = true;
    tell_room(p);
}

/* ---- the wires ---- */

static struct wire *wire_of(struct pair *p, unsigned side, uint64_t conn)
{
    for (unsigned i = 0; i < p->wire_count; i++)
        if (conn != 0 && p->wire[i].end[side] == conn)
            return &p->wire[i];
    return NULL;
}

static void to_wire(struct pair *p, unsigned from, struct wire *wire, enum event_kind kind, struct wz_bytes body)
{
    const unsigned to = 1 - from;
    uint64_t at_us = p->now_us + delay_us(p, p->direct_ms); /* streams may overtake each other */
    if (kind == EV_WIRE_CLOSED)
        at_us = at_us > wire->last_us[to] ? at_us : wire->last_us[to];
    wire->last_us[to] = at_us > wire->last_us[to] ? at_us : wire->last_us[to];
    if (!p->cut)
        post(p, at_us, (struct what){ .kind = kind, .to = to, .wire = (unsigned)(wire - p->wire) }, body);
}

static void start_dial(struct pair *p, unsigned from, const struct wzp_client_effect *dial)
{
    assert_in_range(p->wire_count, 0, WIRES_MAX - 1);
    struct wire *wire = &p->wire[p->wire_count];
    *wire = (struct wire){ .exporter = (uint8_t)++p->wire_count };
    wire->end[from] = dial->conn;
    if (p->reaches[from] && !p->cut)
        post(p, p->now_us + delay_us(p, p->direct_ms) * 3,
             (struct what){ .kind = EV_DIAL, .to = 1 - from, .wire = p->wire_count - 1 }, wz_bytes_str(dial->sni));
}

static struct wzp_client_link link_of(const struct wire *wire, uint8_t exporter[static WZP_DIRECT_EXPORTER_BYTES])
{
    memset(exporter, wire->exporter, WZP_DIRECT_EXPORTER_BYTES);
    return (struct wzp_client_link){ .exporter = exporter };
}

/** The handshake is through at the accepting side; the dialler knew before, or hears that it was refused. */
static void arrive(struct pair *p, const struct event *event)
{
    struct wire *wire = &p->wire[event->what.wire];
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    const struct wzp_client_link link = link_of(wire, exporter);
    if (wire->end[1 - event->what.to] == 0)
        return;
    wire->end[event->what.to] = wzp_client_accepted(p->side[event->what.to].client, event->body, &link, p->now_us);
    if (wire->end[event->what.to] == 0) {
        to_wire(p, event->what.to, wire, EV_WIRE_CLOSED, wz_bytes_str(""));
        return;
    }
    post(p, p->now_us + 1, (struct what){ .kind = EV_DIAL_DONE, .to = 1 - event->what.to, .wire = event->what.wire },
         wz_bytes_str(""));
}

static void close_end(struct pair *p, unsigned side, uint64_t conn)
{
    struct wire *wire = wire_of(p, side, conn);
    if (!wire)
        return;
    wire->end[side] = 0;
    to_wire(p, side, wire, EV_WIRE_CLOSED, wz_bytes_str(""));
}

/* ---- the sides ---- */

static void note(struct pair *p, unsigned who, const struct wzp_client_effect *effect)
{
    struct side *side = &p->side[who];
    switch (effect->event.kind) {
    case WZP_LINE_INCOMING:
        side->call = effect->call;
        break;
    case WZP_LINE_PATH:
        side->path = effect->event.path;
        side->paths++;
        side->down = false;
        break;
    case WZP_LINE_MEDIA_UP:
        assert_false(side->up);
        side->up = true;
        break;
    case WZP_LINE_MEDIA_DOWN:
        assert_true(side->up);
        side->down = true;
        break;
    case WZP_LINE_ENDED:
        side->ended = true;
        break;
    default:
        break;
    }
}

static void carry_out(struct pair *p, unsigned who, const struct wzp_client_effect *effect)
{
    struct side *side = &p->side[who];
    struct wire *wire = NULL;
    switch (effect->kind) {
    case WZP_CLIENT_DIAL:
        if (effect->is_direct)
            start_dial(p, who, effect);
        else if (effect->call)
            post(p, p->now_us + 3 * p->relay_ms * 1000,
                 (struct what){ .kind = EV_LEG_UP, .to = who, .conn = side->relay_leg = effect->conn },
                 wz_bytes_str(""));
        else
            side->signal = effect->conn;
        break;
    case WZP_CLIENT_SEND:
        if (effect->conn == side->signal)
            relay_gets(p, who, effect);
        else if (effect->conn == side->relay_leg)
            leg_gets(p, who, effect);
        else if ((wire = wire_of(p, who, effect->conn)))
            to_wire(p, who, wire, EV_WIRE, effect->body);
        break;
    case WZP_CLIENT_CLOSE:
        if (effect->conn == side->relay_leg) {
            side->relay_leg = 0;
            side->in_room = false;
            tell_room(p);
        }
        close_end(p, who, effect->conn);
        break;
    case WZP_CLIENT_USE:
        side->used = effect->conn;
        break;
    case WZP_CLIENT_KNOCK:
        fail_msg("our own kind knocks nowhere");
        break;
    case WZP_CLIENT_EVENT:
        note(p, who, effect);
        break;
    }
}

static void drain(struct pair *p)
{
    for (unsigned who = 0; who < 2; who++)
        for (struct wzp_client_effect *effect; (effect = wzp_client_next_effect(p->side[who].client));) {
            carry_out(p, who, effect);
            wzp_client_effect_free(effect);
        }
}

static void happen(struct pair *p, struct event *event)
{
    struct side *side = &p->side[event->what.to];
    struct wire *wire = &p->wire[event->what.wire];
    const struct wz_bytes body = wz_bytes(event->body, event->len);
    uint8_t exporter[WZP_DIRECT_EXPORTER_BYTES];
    struct wzp_client_link link;
    switch (event->what.kind) {
    case EV_SIGNAL:
        wzp_client_message(side->client, side->signal, body, p->now_us);
        break;
    case EV_LEG_UP:
        wzp_client_connected(side->client, event->what.conn, &(struct wzp_client_link){ 0 }, p->now_us);
        break;
    case EV_LEG:
        wzp_client_message(side->client, event->what.conn, body, p->now_us);
        break;
    case EV_DIAL:
        arrive(p, event);
        break;
    case EV_DIAL_DONE:
        link = link_of(wire, exporter);
        wzp_client_connected(side->client, wire->end[event->what.to], &link, p->now_us);
        break;
    case EV_WIRE:
        wzp_client_message(side->client, wire->end[event->what.to], body, p->now_us);
        break;
    case EV_WIRE_CLOSED: {
        const uint64_t conn = wire->end[event->what.to];
        wire->end[event->what.to] = 0;
        wzp_client_closed(side->client, conn, "closed by the peer", p->now_us);
        break;
    }
    }
}

static void run_ms(struct pair *p, uint64_t ms)
{
    const uint64_t end_us = p->now_us + ms * 1000;
    for (;;) {
        drain(p);
        uint64_t next_us = end_us + 1;
        for (unsigned who = 0; who < 2; who++) {
            const uint64_t at_us = wzp_client_deadline_us(p->side[who].client);
            next_us = at_us < next_us ? at_us : next_us;
        }
        struct event *event = wz_list_is_empty(&p->queue) ? NULL : wz_container_of(p->queue.next, struct event, node);
        const bool is_event = event && event->at_us <= next_us;
        next_us = is_event ? event->at_us : next_us;
        if (next_us > end_us)
            break;
        p->now_us = next_us > p->now_us ? next_us : p->now_us;
        if (is_event) {
            wz_list_remove(&event->node);
            happen(p, event);
            free(event);
        } else {
            for (unsigned who = 0; who < 2; who++)
                wzp_client_tick(p->side[who].client, p->now_us);
        }
    }
    p->now_us = end_us;
}

static void add_side(struct pair *p, unsigned who)
{
    struct wzp_client_config config = {
        .seed = { (uint8_t)(p->random.state >> (8 * who)), (uint8_t)who },
        .build = "pair",
        .rng = &p->rng,
    };
    assert_int_equal(wz_addr_parse(WORLD_RELAY, &config.relay), 0);
    assert_int_equal(wzp_client_new(&p->side[who].client, &config, p->now_us), 0);
    wzp_client_tick(p->side[who].client, p->now_us);
}

static struct pair *pair_new(uint64_t seed, const char *relay_build)
{
    const uint8_t relay_seed[WZP_SEED_BYTES] = { 1 };
    char ack[120];
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->now_us = 1000000;
    p->random.state = seed * 0x9e3779b97f4a7c15ull + 1;
    p->rng = (struct wz_rng){ .fill = test_rng_fill, .arg = &p->random };
    p->direct_ms = 20;
    p->relay_ms = 30;
    p->reaches[0] = p->reaches[1] = true;
    wz_list_init(&p->queue);
    assert_int_equal(wzp_identity_from_seed(relay_seed, &p->relay), 0);
    (void)snprintf(ack, sizeof ack, "{\"RegisterPresenceAck\":{\"success\":true%s%s%s}}",
                   relay_build ? ",\"relay_build\":\"" : "", relay_build ? relay_build : "", relay_build ? "\"" : "");
    for (unsigned who = 0; who < 2; who++)
        add_side(p, who);
    drain(p);
    for (unsigned who = 0; who < 2; who++) {
        wzp_client_connected(p->side[who].client, p->side[who].signal, &(struct wzp_client_link){ 0 }, p->now_us);
        to_signal_text(p, who, ack);
    }
    run_ms(p, 1000);
    return p;
}

static void pair_free(struct pair *p)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &p->queue) {
        wz_list_remove(pos);
        free(wz_container_of(pos, struct event, node));
    }
    for (unsigned who = 0; who < 2; who++)
        wzp_client_free(p->side[who].client);
    wzp_identity_done(&p->relay);
    free(p);
}

/** Side 0 calls side 1, which accepts with trust at once. CallSetup is on its way when this returns. */
static void start_call(struct pair *p)
{
    const struct wzp_line_dial dial = { .target_fingerprint = wzp_client_fingerprint(p->side[1].client) };
    assert_int_equal(wzp_client_call(p->side[0].client, &dial, p->now_us, &p->side[0].call), 0);
    for (int i = 0; i < 100 && p->side[1].call == 0; i++)
        run_ms(p, 10);
    assert_int_equal(wzp_client_answer(p->side[1].client, p->side[1].call, WZP_ACCEPT_TRUSTED, p->now_us), 0);
}

/** Both have media on the same path, and directly: on the same connection. */
static bool sides_agree(const struct pair *p)
{
    const struct side *a = &p->side[0], *b = &p->side[1];
    if (!a->up || !b->up || a->down || b->down || a->ended || b->ended || a->path != b->path)
        return false;
    if (a->path == WZP_LINE_PATH_RELAY)
        return a->used == a->relay_leg && b->used == b->relay_leg && a->used != 0 && b->used != 0;
    for (unsigned i = 0; i < p->wire_count; i++)
        if (p->wire[i].end[0] == a->used)
            return p->wire[i].end[1] == b->used && b->used != 0;
    return false;
}

static void assert_agree(const struct pair *p, enum wzp_line_path path, uint64_t seed)
{
    if (!sides_agree(p) || p->side[0].path != path)
        fail_msg("seed %llu: paths %d and %d, up %d %d, down %d %d, ended %d %d", (unsigned long long)seed,
                 (int)p->side[0].path, (int)p->side[1].path, p->side[0].up, p->side[1].up, p->side[0].down,
                 p->side[1].down, p->side[0].ended, p->side[1].ended);
}

static void simultaneous_connections_choose_exactly_one_on_both_sides(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct pair *p = pair_new(seed, "x");
        start_call(p);
        run_ms(p, 5000);
        assert_agree(p, WZP_LINE_PATH_DIRECT, seed);
        unsigned open = 0;
        for (unsigned i = 0; i < p->wire_count; i++)
            open += p->wire[i].end[0] != 0 || p->wire[i].end[1] != 0;
        assert_int_equal(open, 1);
        assert_false(p->side[0].in_room || p->side[1].in_room); /* the relay's legs are gone too */
        pair_free(p);
    }
}

static void direct_path_is_chosen_within_500_ms_when_one_side_reaches_the_other(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct pair *p = pair_new(seed, "x");
        p->reaches[seed & 1] = false;
        start_call(p);
        run_ms(p, 60 + 500); /* the answer and CallSetup travel first */
        assert_agree(p, WZP_LINE_PATH_DIRECT, seed);
        assert_int_equal(p->side[0].paths, 1); /* the relay never carried media */
        pair_free(p);
    }
}

static void without_a_way_both_use_the_relay_after_500_ms(void **state)
{
    (void)state;
    struct pair *p = pair_new(7, "x");
    p->reaches[0] = p->reaches[1] = false;
    start_call(p);
    run_ms(p, 60 + 600);
    assert_agree(p, WZP_LINE_PATH_RELAY, 7);
    run_ms(p, 60000);
    assert_agree(p, WZP_LINE_PATH_RELAY, 7);
    pair_free(p);
}

static void cut_path_is_back_on_the_relay_within_two_seconds_without_a_new_offer(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS / 4; seed++) {
        struct pair *p = pair_new(seed, seed & 1 ? "x" : NULL); /* without reports each side finds out alone */
        start_call(p);
        run_ms(p, 3000 + seed * 7);
        assert_agree(p, WZP_LINE_PATH_DIRECT, seed);
        p->cut = true;
        run_ms(p, 2000);
        assert_agree(p, WZP_LINE_PATH_RELAY, seed);
        run_ms(p, 30000);
        assert_agree(p, WZP_LINE_PATH_RELAY, seed);
        assert_int_equal(wzp_client_stats(p->side[0].client)->offers_out, 1);
        pair_free(p);
    }
}

static void slow_and_uneven_networks_never_leave_the_sides_apart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct pair *p = pair_new(seed, seed % 3 ? "x" : NULL);
        p->direct_ms = 1 + test_rng_below(&p->random, 900); /* around every timer of the race */
        p->relay_ms = 1 + test_rng_below(&p->random, 400);
        p->reaches[0] = test_rng_below(&p->random, 3) != 0;
        start_call(p);
        run_ms(p, test_rng_below(&p->random, 4000));
        p->cut = test_rng_below(&p->random, 3) == 0;
        run_ms(p, 12000);
        if (!sides_agree(p))
            fail_msg("seed %llu: paths %d and %d, up %d %d, ended %d %d", (unsigned long long)seed,
                     (int)p->side[0].path, (int)p->side[1].path, p->side[0].up, p->side[1].up, p->side[0].ended,
                     p->side[1].ended);
        wzp_client_hangup(p->side[0].client, p->side[0].call, WZP_HANGUP_NORMAL, p->now_us);
        run_ms(p, 3000);
        assert_true(p->side[0].ended && p->side[1].ended);
        for (unsigned i = 0; i < p->wire_count; i++)
            assert_true(p->cut || (p->wire[i].end[0] == 0 && p->wire[i].end[1] == 0));
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simultaneous_connections_choose_exactly_one_on_both_sides),
        cmocka_unit_test(direct_path_is_chosen_within_500_ms_when_one_side_reaches_the_other),
        cmocka_unit_test(without_a_way_both_use_the_relay_after_500_ms),
        cmocka_unit_test(cut_path_is_back_on_the_relay_within_two_seconds_without_a_new_offer),
        cmocka_unit_test(slow_and_uneven_networks_never_leave_the_sides_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
