/* Direct connections of a call: whom to dial, whom to accept, who is at the other end, and their messages. */
#include "wzp/core/client_internal.h"

#include <stdio.h>

/* ---- whom to race against ---- */

static bool may_go_direct(const struct wzp_client *client, const struct wzp_client_call *call)
{
    /* A direct packet shows our address: only to a peer that was told it, or may be. Towards our own kind a call with
     * hidden addresses, or one that was accepted without trust, stays on the relay on both sides. */
    return !client->no_direct && !call->hide_addresses && call->accept_mode == WZP_ACCEPT_TRUSTED;
}

static struct wzp_dial_policy dial_policy(const struct wzp_client *client)
{
    const enum wz_addr_kind relay = wz_addr_kind(&client->relay);
    return (struct wzp_dial_policy){
        .loopback = relay == WZ_ADDR_KIND_LOOPBACK || relay == WZ_ADDR_KIND_LINK_LOCAL,
        .own_count = client->addresses.host_count,
        .own = client->addresses.host,
    };
}

static enum wzp_race_kind kind_of_role(enum wzp_role role)
{
    switch (role) {
    case WZP_ROLE_ACCEPTOR:
        return WZP_RACE_ACCEPTOR;
    case WZP_ROLE_DIALER:
        return WZP_RACE_DIALER;
    case WZP_ROLE_NONE:
        break;
    }
    return WZP_RACE_NONE;
}

/** The reference: roles by the texts that travelled, IPv4 only. */
static void plan_with_reference(const struct wzp_client *client, const struct wzp_client_call *call,
                                const struct wzp_signal *setup, struct client_race_plan *plan)
{
    const char *peer_text = setup->setup.peer_direct_addr;
    struct wzp_dial_policy policy = dial_policy(client);
    policy.reference = true;
    plan->config.kind = kind_of_role(wzp_candidates_role(call->told_reflexive, peer_text));
    plan->config.announced_only = client->strict;
    plan->count =
        wzp_candidates_to_dial(peer_text, &setup->setup.peer_local_addrs, &policy, plan->addr, WZP_RACE_MAX_DIALS);
    if (plan->config.kind == WZP_RACE_DIALER && plan->count == 0)
        plan->config.kind = WZP_RACE_NONE;
}

static void plan_with_own_kind(const struct wzp_client *client, const struct wzp_client_call *call,
                               const struct wzp_signal *setup, struct client_race_plan *plan)
{
    const struct wzp_dial_policy policy = dial_policy(client);
    plan->count = wzp_candidates_to_dial(setup->setup.peer_direct_addr, &setup->setup.peer_local_addrs, &policy,
                                         plan->addr, WZP_RACE_MAX_DIALS);
    /* A peer behind a symmetric NAT has no address to tell, but dials ours. */
    if (may_go_direct(client, call) && (plan->count > 0 || call->told_any))
        plan->config.kind = WZP_RACE_OWN;
    plan->config.nominates = strcmp(client->identity.fingerprint, call->peer) < 0;
}

/** Prefix, room and NUL: it may be longer than a server name. */
#define DIRECT_SNI_SIZE (sizeof WZP_DIRECT_SNI_PREFIX + WZP_CLIENT_SNI_SIZE)

static void direct_sni(const char *room, char ret[static DIRECT_SNI_SIZE])
{
    (void)snprintf(ret, DIRECT_SNI_SIZE, WZP_DIRECT_SNI_PREFIX "%s", room);
}

static bool has_direct_sni(const char *room)
{
    char sni[DIRECT_SNI_SIZE];
    direct_sni(room, sni);
    return wzp_room_name_is_sni(sni);
}

void client_direct_plan(const struct wzp_client *client, const struct wzp_client_call *call,
                        const struct wzp_signal *setup, struct client_race_plan *ret)
{
    struct client_race_plan plan = { 0 };
    /* Both appeared after the report did; the first generation drops its connection on the unknown kind (spec 8.1). */
    plan.config.reports = client->relay_build && (call->peer_has_build || call->own_kind);
    if (!client->no_direct && has_direct_sni(call->room)) {
        if (call->own_kind)
            plan_with_own_kind(client, call, setup, &plan);
        else if (plan.config.reports)
            plan_with_reference(client, call, setup, &plan);
    }
    *ret = plan;
}

void client_direct_plan_room(const struct wzp_client *client, const struct wzp_client_call *call,
                             const struct wz_addr *peer, struct client_race_plan *ret)
{
    struct client_race_plan plan = { 0 };
    if (!client->no_direct && peer->family != WZ_ADDR_NONE && has_direct_sni(call->room)) {
        plan.config = (struct wzp_race_config){ .kind = WZP_RACE_OWN, .nominates = true };
        plan.addr[plan.count++] = wz_addr_unmap(*peer);
    }
    *ret = plan;
}

/* ---- connections ---- */

const char *client_direct_id(const struct wzp_client_call *call)
{
    return call->kind == CLIENT_ROOM ? call->room : call->call_id;
}

struct client_link *client_direct_find(struct wzp_client_call *call, uint64_t conn)
{
    for (size_t i = 0; conn != 0 && i < WZP_RACE_MAX_LINKS; i++)
        if (call->link[i].conn.id == conn)
            return &call->link[i];
    return NULL;
}

static struct client_link *free_link(struct wzp_client_call *call)
{
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++)
        if (call->link[i].conn.id == 0)
            return &call->link[i];
    return NULL;
}

void client_direct_dial(struct wzp_client *client, struct wzp_client_call *call, const struct client_race_plan *plan)
{
    const enum wzp_race_kind kind = plan->config.kind;
    char sni[DIRECT_SNI_SIZE];
    if (kind != WZP_RACE_OWN && kind != WZP_RACE_DIALER)
        return;
    direct_sni(call->room, sni); /* that it is legal was asked before */
    for (size_t i = 0; i < plan->count; i++) {
        struct client_link *link = free_link(call);
        if (!link || client_dial(client, &link->conn, call->id, &plan->addr[i], sni, true) < 0) {
            client->stats.lost_effects++; /* without memory: the other addresses, or the relay, must do */
            continue;
        }
        link->remote = plan->addr[i];
        link->is_verified = link->has_exporter = false;
        (void)wzp_race_add(&call->race, link->conn.id, false); /* there are as many places */
    }
}

static bool is_announced(const struct wzp_client_call *call, const struct wz_addr *remote)
{
    return wzp_candidates_announced(remote, call->plan.addr, call->plan.count);
}

static void send_hello(struct wzp_client *client, const struct wzp_client_call *call, const struct client_link *link)
{
    char id[WZP_CLIENT_SNI_SIZE];
    (void)snprintf(id, sizeof id, "%s", client_direct_id(call));
    struct wzp_signal hello = { .kind = WZP_SIG_DIRECT_HELLO, .direct_hello.call_id = id };
    struct wzp_signed_keys *keys = &hello.direct_hello.keys;
    keys->has_identity = true;
    memcpy(keys->identity_pub, client->identity.ed25519_public, sizeof keys->identity_pub);
    if (wzp_sign_direct_hello(&client->identity, link->exporter, id, keys->signature) < 0) {
        client->stats.lost_effects++; /* the peer closes the connection when no hello comes */
        return;
    }
    keys->signature_len = WZP_SIGNATURE_BYTES;
    client_send(client, &link->conn, call, &hello);
}

/** This connection is not worth its place. May free the call. */
static void refuse_link(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                        uint64_t now_us)
{
    const struct wzp_race_event down = { .kind = WZP_RACE_LINK_DOWN, .link = link->conn.id };
    client->stats.direct_refused++;
    client_conn_close(client, &link->conn, "not-selected");
    client_path_step(client, call, &down, now_us);
}

static void note_info(struct client_link *link, const struct wzp_client_link *info)
{
    link->conn.up = true;
    link->has_exporter = info->exporter != NULL;
    if (info->exporter)
        memcpy(link->exporter, info->exporter, sizeof link->exporter);
    if (info->remote.family != WZ_ADDR_NONE)
        link->remote = wz_addr_unmap(info->remote);
}

static void tell_verified(struct wzp_client *client, struct wzp_client_call *call, const struct client_link *link,
                          const char *owner, uint64_t now_us)
{
    const struct wzp_race_event verified = {
        .kind = WZP_RACE_LINK_VERIFIED,
        .link = link->conn.id,
        .nominates = strcmp(client->identity.fingerprint, owner) < 0,
    };
    client_path_step(client, call, &verified, now_us);
}

/** The connection is up and known to the race. */
static void begin_link(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                       uint64_t now_us)
{
    const bool is_own = call->race.config.kind == WZP_RACE_OWN;
    if (is_own && !link->has_exporter) {
        refuse_link(client, call, link, now_us);
        return;
    }
    if (is_own)
        send_hello(client, call, link);
    const struct wzp_race_event up = {
        .kind = WZP_RACE_LINK_UP,
        .link = link->conn.id,
        .is_announced = is_announced(call, &link->remote),
    };
    client_path_step(client, call, &up, now_us);
}

void client_direct_connected(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                             const struct wzp_client_link *info, uint64_t now_us)
{
    if (link->conn.up)
        return; /* told twice */
    note_info(link, info);
    begin_link(client, call, link, now_us);
}

/** Offered or answered, but CallSetup has not come: the peer's may have. */
static bool is_early(const struct wzp_client_call *call)
{
    return call->state == CLIENT_ANSWERED || call->state == CLIENT_OFFERED;
}

static bool expects(const struct wzp_client *client, const struct wzp_client_call *call, const char *sni)
{
    const size_t prefix = sizeof WZP_DIRECT_SNI_PREFIX - 1, call_prefix = sizeof WZP_ROOM_CALL_PREFIX - 1;
    if (strncmp(sni, WZP_DIRECT_SNI_PREFIX, prefix) != 0)
        return false;
    if (!is_early(call))
        return call->room[0] != '\0' && strcmp(sni + prefix, call->room) == 0;
    const bool answered_privately = call->state == CLIENT_ANSWERED && call->accept_mode != WZP_ACCEPT_TRUSTED;
    return !client->no_direct && !call->hide_addresses && !answered_privately &&
           strncmp(sni + prefix, WZP_ROOM_CALL_PREFIX, call_prefix) == 0 &&
           strcmp(sni + prefix + call_prefix, call->call_id) == 0;
}

static bool has_early_place(const struct wzp_client_call *call)
{
    size_t count = 0;
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++)
        count += call->link[i].conn.id != 0;
    return count < WZP_RACE_MAX_INBOUND;
}

bool client_direct_accept(struct wzp_client *client, struct wzp_client_call *call, const char *sni,
                          const struct wzp_client_link *info, uint64_t now_us, uint64_t *ret_conn)
{
    if (!expects(client, call, sni))
        return false;
    const bool has_place = is_early(call) ? has_early_place(call) : wzp_race_accepts(&call->race);
    struct client_link *link = free_link(call);
    if (!link || !has_place) {
        client->stats.direct_refused++;
        return false;
    }
    *link = (struct client_link){ 0 };
    if (client_conn_accept(client, &link->conn) < 0) {
        client->stats.lost_effects++;
        return false;
    }
    note_info(link, info);
    *ret_conn = link->conn.id;
    if (is_early(call))
        return true;
    (void)wzp_race_add(&call->race, link->conn.id, true); /* it said that it accepts */
    begin_link(client, call, link, now_us);
    return true;
}

void client_direct_begin_early(struct wzp_client *client, struct wzp_client_call *call, uint64_t now_us)
{
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++) {
        struct client_link *link = &call->link[i];
        if (link->conn.id == 0 || !link->conn.up)
            continue;
        const bool was_verified = link->is_verified;
        if (!wzp_race_accepts(&call->race) || !wzp_race_add(&call->race, link->conn.id, true)) {
            client_conn_close(client, &link->conn, "not-selected");
            continue;
        }
        begin_link(client, call, link, now_us);
        if (was_verified && link->conn.id != 0)
            tell_verified(client, call, link, call->peer, now_us);
    }
}

void client_direct_closed(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                          const char *reason, uint64_t now_us)
{
    const struct wzp_race_event down = { .kind = WZP_RACE_LINK_DOWN, .link = link->conn.id };
    if (link->conn.id == wzp_race_direct_link(&call->race))
        (void)snprintf(call->media_failure, sizeof call->media_failure, "%s", reason);
    client_conn_forget(&link->conn);
    client_path_step(client, call, &down, now_us);
}

void client_direct_close_all(struct wzp_client *client, struct wzp_client_call *call, const char *reason)
{
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++)
        client_conn_close(client, &call->link[i].conn, reason);
}

void client_direct_forget_all(struct wzp_client_call *call)
{
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++)
        client_conn_forget(&call->link[i].conn);
}

/* ---- messages ---- */

void client_direct_report(struct wzp_client *client, const struct wzp_client_call *call, const struct client_conn *conn,
                          bool ok)
{
    char winner[] = "Direct", loser[] = "Relay", id[WZP_CLIENT_SNI_SIZE];
    (void)snprintf(id, sizeof id, "%s", client_direct_id(call));
    const struct wzp_signal report = {
        .kind = WZP_SIG_MEDIA_PATH_REPORT,
        .path_report = { .call_id = id, .direct_ok = ok, .race_winner = ok ? winner : loser },
    };
    client_send(client, conn, call, &report);
}

void client_direct_probe(struct wzp_client *client, const struct wzp_client_call *call, const struct client_conn *conn,
                         uint64_t now_us)
{
    const struct wzp_signal ping = { .kind = WZP_SIG_PING, .ping = { .timestamp_ms = now_us / WZP_CLIENT_MS } };
    client_send(client, conn, call, &ping);
}

/** Too short for a connection id, a STUN header or RTP, so every stack drops it unread; nobody answers. */
static const uint8_t knock_packet[] = { 0 };

void client_direct_knock(struct wzp_client *client, const struct wzp_client_call *call)
{
    for (size_t i = 0; i < call->plan.count; i++) {
        struct wzp_client_effect *effect = client_effect_new(WZP_CLIENT_KNOCK);
        if (effect) {
            effect->call = call->id;
            effect->to = call->plan.addr[i];
            effect->body = wz_bytes(knock_packet, sizeof knock_packet);
        }
        client_push(client, effect);
    }
}

void client_direct_send_hangup(struct wzp_client *client, struct wzp_client_call *call, enum wzp_hangup_reason reason)
{
    const struct client_link *link = client_direct_find(call, wzp_race_direct_link(&call->race));
    if (!link || call->race.config.kind != WZP_RACE_OWN || call->kind == CLIENT_ROOM)
        return;
    const struct wzp_signal hangup = {
        .kind = WZP_SIG_HANGUP,
        .hangup = { .reason = reason, .call_id = call->call_id },
    };
    client_send(client, &link->conn, call, &hangup);
}

/** The peer is who the call is with; in a room, anybody but ourselves (our own packets, reflected). */
static bool hello_is_right(const struct wzp_client *client, const struct wzp_client_call *call,
                           const struct client_link *link, const struct wzp_signal *hello,
                           char ret_owner[static WZP_FINGERPRINT_TEXT])
{
    const struct wzp_signed_keys *keys = &hello->direct_hello.keys;
    const char *id = client_direct_id(call);
    if (strcmp(hello->direct_hello.call_id, id) != 0 || wzp_check_direct_hello(keys, link->exporter, id) < 0 ||
        wzp_fingerprint_of_key(keys->identity_pub, ret_owner) < 0)
        return false;
    return call->kind == CLIENT_ROOM ? strcmp(ret_owner, client->identity.fingerprint) != 0
                                     : strcmp(ret_owner, call->peer) == 0;
}

static void on_hello(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                     const struct wzp_signal *signal, uint64_t now_us)
{
    char owner[WZP_FINGERPRINT_TEXT];
    const bool early = is_early(call);
    if ((call->race.config.kind != WZP_RACE_OWN && !early) || link->is_verified) {
        client->stats.unexpected_signals++;
        return;
    }
    if (!link->has_exporter || !hello_is_right(client, call, link, signal, owner)) {
        refuse_link(client, call, link, now_us);
        return;
    }
    link->is_verified = true;
    if (!early)
        tell_verified(client, call, link, owner, now_us);
}

static void on_link_report(struct wzp_client *client, struct wzp_client_call *call, const struct client_link *link,
                           const struct wzp_signal *signal, uint64_t now_us)
{
    if (call->race.config.kind != WZP_RACE_OWN || !signal->path_report.call_id ||
        strcmp(signal->path_report.call_id, client_direct_id(call)) != 0) {
        client->stats.unexpected_signals++;
        return;
    }
    const struct wzp_race_event report = {
        .kind = WZP_RACE_LINK_REPORT,
        .link = link->conn.id,
        .ok = signal->path_report.direct_ok,
    };
    client_path_step(client, call, &report, now_us);
}

static void on_link_hangup(struct wzp_client *client, struct wzp_client_call *call, const struct wzp_signal *signal)
{
    const char *id = signal->hangup.call_id;
    if (call->kind == CLIENT_ROOM || (id && strcmp(id, call->call_id) != 0))
        client->stats.unexpected_signals++;
    else
        client_hangup_by_peer(client, call, signal->hangup.reason);
}

static void answer_ping(struct wzp_client *client, const struct wzp_client_call *call, const struct client_link *link,
                        uint64_t timestamp_ms)
{
    const struct wzp_signal pong = { .kind = WZP_SIG_PONG, .ping = { .timestamp_ms = timestamp_ms } };
    client_send(client, &link->conn, call, &pong);
}

/** From a peer that is known to be there by right: verified, or a reference peer's connection in use. */
static void on_peer_message(struct wzp_client *client, struct wzp_client_call *call, const struct client_link *link,
                            const struct wzp_signal *signal, uint64_t now_us)
{
    switch (signal->kind) {
    case WZP_SIG_HANGUP:
        on_link_hangup(client, call, signal);
        return;
    case WZP_SIG_PING:
        answer_ping(client, call, link, signal->ping.timestamp_ms);
        break;
    case WZP_SIG_PONG:
        break;
    default: /* Hold and Unhold too: media stops of itself */
        client->stats.unexpected_signals++;
        break;
    }
    client_path_step(client, call, &(struct wzp_race_event){ .kind = WZP_RACE_LINK_SEEN, .link = link->conn.id },
                     now_us);
}

void client_direct_message(struct wzp_client *client, struct wzp_client_call *call, struct client_link *link,
                           const struct wzp_signal *signal, uint64_t now_us)
{
    const bool is_trusted = link->is_verified || (call->race.config.kind != WZP_RACE_OWN &&
                                                  link->conn.id == wzp_race_direct_link(&call->race));
    if (signal->kind == WZP_SIG_DIRECT_HELLO)
        on_hello(client, call, link, signal, now_us);
    else if (signal->kind == WZP_SIG_MEDIA_PATH_REPORT)
        on_link_report(client, call, link, signal, now_us);
    else if (is_trusted)
        on_peer_message(client, call, link, signal, now_us);
    else
        client->stats.unexpected_signals++;
}
