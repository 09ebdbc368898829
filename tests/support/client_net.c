#include "tests/support/client_net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/net_reference.h"

#define FIRST_PORT       4000
#define DEFAULT_DELAY_MS 10
/** After the media header: whose media it is. */
#define MEDIA_TAG_BYTES 16

const char *net_kind_name(enum net_kind kind)
{
    static const char *const name[] = { "ours", "reference", "seed" };
    return name[kind];
}

/* ---- the world ---- */

struct client_net *net_new(uint64_t seed)
{
    struct client_net *net = calloc(1, sizeof *net);
    assert_non_null(net);
    vnet_init(&net->v, seed);
    vquic_init(&net->quic, &net->v);
    net->rng = (struct wz_rng){ .fill = test_rng_fill, .arg = &net->v.random };
    net->v.jitter_ms = 2;
    net->relay_host = vnet_add_host(&net->v, vnet_add_nat(&net->v, VNET_OPEN, NULL), "198.51.100.1", NULL, 0);
    net_check_start(net);
    return net;
}

static void free_calls(struct net_client *client)
{
    for (size_t i = 0; i < client->call_count; i++)
        free(client->call[i]);
    free(client->call);
}

void net_free(struct client_net *net)
{
    for (size_t i = 0; i < net->client_count; i++) {
        if (net->client[i].kind == NET_OURS)
            net_client_stop(&net->client[i]);
        else
            net_reference_stop(&net->client[i]);
        free_calls(&net->client[i]);
    }
    wzp_relay_free(net->relay);
    vquic_done(&net->quic);
    vnet_done(&net->v);
    for (size_t i = 0; i < net->endpoint_count; i++)
        free(net->endpoint[i]);
    free(net);
}

void net_run_ms(struct client_net *net, uint64_t ms)
{
    for (size_t i = 0; i < net->client_count; i++)
        net_client_touch(&net->client[i]);
    vnet_run_until(&net->v, net->v.now_us + ms * 1000);
}

struct vquic_endpoint *net_open_endpoint(struct client_net *net, struct vnet_host *host, uint16_t port,
                                         const struct vquic_handlers *handlers, void *owner)
{
    struct vquic_endpoint *endpoint = calloc(1, sizeof *endpoint);
    assert_non_null(endpoint);
    assert_in_range(net->endpoint_count, 0, sizeof net->endpoint / sizeof net->endpoint[0] - 1);
    net->endpoint[net->endpoint_count++] = endpoint;
    endpoint->handlers = *handlers;
    endpoint->owner = owner;
    vquic_open(&net->quic, endpoint, host, port);
    return endpoint;
}

void net_trace_event(const struct net_client *client, const struct net_call *call, int kind)
{
    struct client_net *net = client->net;
    vnet_trace_number(&net->v, net->v.now_us);
    vnet_trace_number(&net->v, (uint64_t)(client - net->client) << 32 | (uint64_t)kind);
    vnet_trace(&net->v, call->call_id, strlen(call->call_id));
    if (net->verbose)
        printf("%9.3f s    client %zu, call %.6s: event %d%s\n", (double)net->v.now_us / 1e6,
               (size_t)(client - net->client), call->call_id, kind,
               !call->send                ? ""
               : net_call_is_direct(call) ? ", direct"
                                          : ", relay");
}

/* ---- calls ---- */

struct net_call *net_call_add(struct net_client *client, uint64_t id, bool incoming, const char *call_id)
{
    if (client->call_count == client->call_size) {
        client->call_size = client->call_size ? client->call_size * 2 : 8;
        client->call = realloc(client->call, client->call_size * sizeof(struct net_call *));
        assert_non_null(client->call);
    }
    struct net_call *call = calloc(1, sizeof *call);
    assert_non_null(call);
    client->call[client->call_count++] = call;
    call->id = id;
    call->incoming = incoming;
    call->begun_us = client->net->v.now_us;
    (void)snprintf(call->call_id, sizeof call->call_id, "%s", call_id ? call_id : "");
    return call;
}

struct net_call *net_last_call(struct net_client *client)
{
    return client->call_count ? client->call[client->call_count - 1] : NULL;
}

bool net_call_is_direct(const struct net_call *call)
{
    return call->send && call->send->conn->is_direct;
}

void net_call_ended(struct net_client *client, struct net_call *call)
{
    call->ended = true;
    call->up = false;
    call->send = NULL;
    call->ended_us = client->net->v.now_us;
    call->ended_unheard =
        client->host->unplugged || !client->net->relay || !client->endpoint->open || !net_is_registered(client);
}

void net_call_use(struct net_client *client, struct net_call *call, struct vquic_end *end)
{
    struct client_net *net = client->net;
    call->send = end;
    call->down_us = end ? 0 : net->v.now_us;
    if (end && net->media_every_ms && client->media_timer.want_us == VNET_NEVER)
        vnet_timer_set(&net->v, &client->media_timer, net->v.now_us);
}

struct net_call *net_peer_call(struct client_net *net, const struct net_client *client, const struct net_call *call,
                               struct net_client **ret_peer)
{
    for (size_t i = 0; i < net->client_count; i++) {
        struct net_client *other = &net->client[i];
        for (size_t k = other->call_count; other != client && k-- > 0;)
            if (strcmp(other->call[k]->call_id, call->call_id) == 0) {
                *ret_peer = other;
                return other->call[k];
            }
    }
    return NULL;
}

bool net_agree(const struct net_call *a, const struct net_call *b)
{
    if (a->ended || b->ended)
        return a->ended == b->ended;
    if (!a->send || !b->send)
        return !a->send && !b->send;
    return net_call_is_direct(a) ? vquic_other(a->send) == b->send : !net_call_is_direct(b);
}

/* ---- media ---- */

static void fill_tag(const struct net_client *client, const struct net_call *call, uint8_t tag[static MEDIA_TAG_BYTES])
{
    memset(tag, 0, MEDIA_TAG_BYTES);
    tag[0] = (uint8_t)(client - client->net->client);
    memcpy(tag + 1, call->call_id, strnlen(call->call_id, MEDIA_TAG_BYTES - 1));
}

void net_send_media(struct client_net *net, struct net_client *client, const struct net_call *call)
{
    uint8_t datagram[WZP_MEDIA_HEADER_BYTES + MEDIA_TAG_BYTES] = { 0 };
    (void)net;
    fill_tag(client, call, datagram + WZP_MEDIA_HEADER_BYTES);
    if (call->send && call->up)
        vquic_send_datagram(call->send, wz_bytes(datagram, sizeof datagram));
}

void net_call_heard(struct net_client *client, struct net_call *call, struct wz_bytes data)
{
    uint8_t tag[MEDIA_TAG_BYTES];
    fill_tag(client, call, tag);
    assert_int_equal(data.len, WZP_MEDIA_HEADER_BYTES + MEDIA_TAG_BYTES);
    assert_memory_equal(data.data + WZP_MEDIA_HEADER_BYTES + 1, tag + 1, MEDIA_TAG_BYTES - 1);
    assert_int_not_equal(data.data[WZP_MEDIA_HEADER_BYTES], tag[0]);
    call->datagrams++;
    call->heard_us = client->net->v.now_us;
}

static void media_due(void *arg)
{
    struct net_client *client = arg;
    struct client_net *net = client->net;
    bool any = false;
    for (size_t i = 0; i < client->call_count; i++) {
        net_send_media(net, client, client->call[i]);
        any = any || client->call[i]->send;
    }
    if (any && net->media_every_ms)
        vnet_timer_set(&net->v, &client->media_timer, net->v.now_us + (uint64_t)net->media_every_ms * 1000);
}

/* ---- clients ---- */

/** Two STUN servers are asked: a symmetric NAT shows itself by two mappings. */
static void ask_stun(struct net_client *client, struct wzp_line_addresses *known)
{
    static const char *const server[] = { "198.51.100.11:3478", "198.51.100.12:3478" };
    struct wz_addr inner = client->host->v4, to;
    inner.port = client->port;
    for (known->stun_count = 0; known->stun_count < 2; known->stun_count++) {
        assert_int_equal(wz_addr_parse(server[known->stun_count], &to), 0);
        known->stun[known->stun_count] = vnet_nat_outbound(client->host->nat, client->host, &inner, &to);
    }
}

static void tell_addresses(struct net_client *client)
{
    struct wzp_line_addresses known = { .host_count = 1 };
    char text[WZ_ADDR_TEXT_MAX];
    if (!client->client)
        return;
    known.host[0] = client->host->v4;
    if (client->host->nat->kind == VNET_OPEN) {
        (void)snprintf(text, sizeof text, "192.168.1.%u", (unsigned)(client - client->net->client + 1));
        assert_int_equal(wz_addr_parse_ip(text, 0, &known.host[0]), 0);
    }
    known.host[0].port = client->port;
    if (client->host->v6.family != WZ_ADDR_NONE) {
        known.host[known.host_count] = client->host->v6;
        known.host[known.host_count++].port = client->port;
    }
    if (client->stun)
        ask_stun(client, &known);
    wzp_client_set_addresses(client->client, &known);
}

static void start(struct net_client *client)
{
    if (client->kind == NET_OURS)
        net_client_start(client);
    else
        net_reference_start(client);
    tell_addresses(client);
}

struct net_client *net_add(struct client_net *net, const struct net_client_options *options)
{
    char public_ip[WZ_ADDR_TEXT_MAX], inner_ip[WZ_ADDR_TEXT_MAX];
    assert_in_range(net->client_count, 0, NET_CLIENTS_MAX - 1);
    struct net_client *client = &net->client[net->client_count++];
    const unsigned number = (unsigned)net->client_count;
    (void)snprintf(inner_ip, sizeof inner_ip, "192.168.1.%u", number);
    (void)snprintf(public_ip, sizeof public_ip, "203.0.113.%u", number);
    if (options->public_ip)
        (void)snprintf(public_ip, sizeof public_ip, "%s", options->public_ip);
    const bool is_open = options->nat == VNET_OPEN;
    struct vnet_nat *nat = vnet_add_nat(&net->v, options->nat, is_open ? NULL : public_ip);
    client->net = net;
    client->kind = options->kind;
    client->host = vnet_add_host(&net->v, nat, is_open ? public_ip : inner_ip, options->v6,
                                 options->delay_ms ? options->delay_ms : DEFAULT_DELAY_MS);
    if (options->firewall)
        client->host->firewall = vnet_add_nat(&net->v, VNET_FIREWALL, NULL);
    client->port = FIRST_PORT;
    client->stun = options->stun;
    client->config = (struct wzp_client_config){
        .seed = { (uint8_t)number, 7 },
        .build = "net-client",
        .share_local_addrs = options->share_local_addrs,
        .no_direct = options->no_direct,
        .strict = options->strict,
        .rng = &net->rng,
    };
    assert_int_equal(wz_addr_parse(NET_RELAY, &client->config.relay), 0);
    wz_list_init(&client->conns);
    client->timer.want_us = VNET_NEVER;
    client->media_timer = (struct vnet_timer){ .want_us = VNET_NEVER, .due = media_due, .arg = client };
    start(client);
    return client;
}

struct net_client *net_add_client(struct client_net *net, bool share_local_addrs)
{
    return net_add(net, &(struct net_client_options){ .share_local_addrs = share_local_addrs });
}

bool net_is_registered(const struct net_client *client)
{
    return client->kind == NET_OURS ? client->client && wzp_client_is_registered(client->client)
                                    : client->reference && net_reference_is_registered(client);
}

void net_register_all(struct client_net *net)
{
    for (unsigned i = 0; i < 300; i++) {
        size_t ready = 0;
        for (size_t k = 0; k < net->client_count; k++)
            ready += (!net->client[k].client && !net->client[k].reference) || net_is_registered(&net->client[k]);
        if (ready == net->client_count)
            return;
        net_run_ms(net, 100);
    }
    fail_msg("not all clients registered in 30 s");
}

void net_kill_client(struct client_net *net, struct net_client *client)
{
    (void)net;
    vquic_kill(client->endpoint);
    for (size_t i = 0; i < client->call_count; i++)
        if (!client->call[i]->ended)
            net_call_ended(client, client->call[i]);
    if (client->kind == NET_OURS)
        net_client_stop(client);
    else
        net_reference_stop(client);
}

void net_restart_client(struct client_net *net, struct net_client *client)
{
    (void)net;
    client->port++;
    start(client);
}

void net_cut(struct client_net *net, const struct net_client *a, const struct net_client *b, bool is_cut)
{
    vnet_cut_path(&net->v, a->host, b->host, is_cut);
}

/* ---- what users do ---- */

int net_dial(struct client_net *net, struct net_client *from, const struct net_client *to, bool hide_addresses)
{
    uint64_t id = 0;
    if (from->kind != NET_OURS)
        return net_reference_dial(from, to->fingerprint, hide_addresses);
    if (!from->client)
        return -ENOTCONN;
    tell_addresses(from);
    const struct wzp_line_dial dial = { .target_fingerprint = to->fingerprint, .hide_addresses = hide_addresses };
    const int err = wzp_client_call(from->client, &dial, net->v.now_us, &id);
    if (err < 0)
        return err;
    (void)net_call_add(from, id, false, wzp_client_call_id(from->client, id));
    net_client_touch(from);
    return 0;
}

struct net_call *net_join(struct client_net *net, struct net_client *client, const char *room,
                          const char *peer_direct_addr)
{
    uint64_t id = 0;
    const struct wzp_line_room join = { .name = room, .peer_direct_addr = peer_direct_addr };
    assert_int_equal(wzp_client_join(client->client, &join, net->v.now_us, &id), 0);
    struct net_call *call = net_call_add(client, id, false, room);
    call->answered_us = call->setup_us = net->v.now_us;
    net_client_touch(client);
    return call;
}

struct wz_addr net_public_addr(const struct net_client *client)
{
    struct wz_addr inner = client->host->v4;
    inner.port = client->port;
    return vnet_nat_outbound(client->host->nat, client->host, &inner, &client->config.relay);
}

static struct net_call *own_call(const struct net_client *client, const struct net_call *call)
{
    for (size_t i = 0; i < client->call_count; i++)
        if (client->call[i] == call)
            return client->call[i];
    fail_msg("not a call of this client");
    return NULL;
}

void net_answer(struct client_net *net, struct net_client *client, const struct net_call *call,
                enum wzp_accept_mode mode)
{
    if (client->kind != NET_OURS) {
        net_reference_answer(client, call, mode);
        return;
    }
    if (!client->client)
        return;
    tell_addresses(client);
    /* Random tests answer at wrong times too. */
    if (wzp_client_answer(client->client, call->id, mode, net->v.now_us) == 0 && mode != WZP_ACCEPT_REJECT)
        own_call(client, call)->answered_us = net->v.now_us;
    net_client_touch(client);
}

void net_hangup(struct client_net *net, struct net_client *client, struct net_call *call, enum wzp_hangup_reason reason)
{
    if (client->kind != NET_OURS) {
        net_reference_hangup(client, call);
        return;
    }
    if (!client->client)
        return;
    wzp_client_hangup(client->client, call->id, reason, net->v.now_us);
    net_client_touch(client);
}

void net_talk(struct client_net *net, struct net_client *a, struct net_client *b, struct net_call **ret_a,
              struct net_call **ret_b)
{
    const size_t before = b->call_count;
    assert_int_equal(net_dial(net, a, b, false), 0);
    struct net_call *mine = net_last_call(a);
    net_run_ms(net, 2000);
    assert_int_equal(b->call_count, before + 1);
    struct net_call *theirs = net_last_call(b);
    net_answer(net, b, theirs, WZP_ACCEPT_TRUSTED);
    net_run_ms(net, 3000);
    assert_true(mine->up);
    assert_true(theirs->up);
    *ret_a = mine;
    *ret_b = theirs;
}
