#include "tests/support/net_reference_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REFLECT_US (1000u * REF_MS)
#define Z8         "0,0,0,0,0,0,0,0"
#define ZERO_KEY   "[" Z8 "," Z8 "," Z8 "," Z8 "]"
#define GOOD       "{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per_block\":5}"
#define JSON_MAX   4096

static uint64_t now_of(const struct net_reference *ref)
{
    return ref->client->net->v.now_us;
}

void ref_say(struct net_reference *ref, struct vquic_end *end, const char *format, ...)
{
    char json[JSON_MAX];
    va_list args;
    (void)ref;
    va_start(args, format);
    const int len = vsnprintf(json, sizeof json, format, args);
    va_end(args);
    assert_in_range(len, 1, sizeof json - 1);
    if (end)
        vquic_send(end, wz_bytes(json, (size_t)len));
}

void ref_arm(struct net_reference *ref)
{
    uint64_t at_us = ref_race_deadline_us(ref);
    at_us = ref->retry_us < at_us ? ref->retry_us : at_us;
    at_us = ref->reflect_until_us < at_us ? ref->reflect_until_us : at_us;
    vnet_timer_set(&ref->client->net->v, &ref->client->timer, at_us);
}

/* ---- registration ---- */

static void dial_signal(struct net_reference *ref)
{
    ref->retry_us = VNET_NEVER;
    ref->signal = vquic_dial(ref->client->endpoint, &ref->client->config.relay, "_signal", false);
}

static void signal_lost(struct net_reference *ref)
{
    static const uint8_t after_s[] = { 0, 1, 2, 4, 8, 15, 30 };
    const size_t last = sizeof after_s - 1;
    ref->registered = false;
    ref->signal = NULL;
    ref->retry_us = now_of(ref) + (uint64_t)after_s[ref->attempt < last ? ref->attempt : last] * 1000 * REF_MS;
    ref->attempt++;
    if (ref->state != REF_IDLE && ref->state < REF_RACING)
        ref_end_call(ref, WZP_LINE_END_RELAY_DOWN, WZP_HANGUP_ERROR);
}

static void send_registration(struct net_reference *ref)
{
    char key[WZP_KEY_BYTES * 4 + 1] = "";
    for (size_t i = 0, at = 0; i < WZP_KEY_BYTES; i++)
        at += (size_t)snprintf(key + at, sizeof key - at, "%s%u", i ? "," : "", ref->identity.ed25519_public[i]);
    ref_say(ref, ref->signal, "{\"RegisterPresence\":{\"identity_pub\":[%s],\"signature\":[],\"alias\":null}}", key);
}

/* ---- offers and answers ---- */

/** The list of our host addresses, quoted; IPv6 is told on a port of its own, and never accepted there. */
static const char *host_list(const struct net_reference *ref, char ret[static 160])
{
    char text[WZ_ADDR_TEXT_MAX];
    struct wz_addr v4 = ref->client->host->v4, v6 = ref->client->host->v6;
    v4.port = ref->client->port;
    v6.port = (uint16_t)(ref->client->port + 1000);
    ret[0] = '\0';
    int at = 0;
    if (wz_addr_kind(&v4) == WZ_ADDR_KIND_PRIVATE)
        at = snprintf(ret, 160, "\"%s\"", wz_addr_format(&v4, text));
    if (v6.family != WZ_ADDR_NONE)
        (void)snprintf(ret + at, 160 - (size_t)at, "%s\"%s\"", at ? "," : "", wz_addr_format(&v6, text));
    return ret;
}

/** The fields that tell where we are, with a comma before them; empty: none. */
static const char *address_fields(const struct net_reference *ref, const char *side, char ret[static 320])
{
    char hosts[160] = "";
    ret[0] = '\0';
    int at = 0;
    if (ref->reflexive[0])
        at = snprintf(ret, 320, ",\"%s_reflexive_addr\":\"%s\"", side, ref->reflexive);
    if (ref->client->kind == NET_REFERENCE && host_list(ref, hosts)[0])
        (void)snprintf(ret + at, 320 - (size_t)at, ",\"%s_local_addrs\":[%s]", side, hosts);
    return ret;
}

static const char *build_field(const struct net_reference *ref, const char *side, char ret[static 64])
{
    ret[0] = '\0';
    if (ref->client->kind == NET_REFERENCE)
        (void)snprintf(ret, 64, ",\"%s_build_version\":\"9377a90\"", side);
    return ret;
}

static void send_offer(struct net_reference *ref)
{
    char addresses[320] = "", build[64];
    if (!ref->hides)
        (void)address_fields(ref, "caller", addresses);
    ref_say(ref, ref->signal,
            "{\"DirectCallOffer\":{\"caller_fingerprint\":\"%s\",\"caller_alias\":null,\"target_fingerprint\":\"%s\","
            "\"call_id\":\"%s\",\"identity_pub\":" ZERO_KEY ",\"ephemeral_pub\":" ZERO_KEY
            ",\"signature\":[],\"supported_profiles\":[" GOOD "]%s%s}}",
            ref->client->fingerprint, ref->peer, ref->call->call_id, addresses, build_field(ref, "caller", build));
    ref->state = REF_OFFERED;
}

static void send_answer(struct net_reference *ref)
{
    char addresses[320] = "", build[64];
    if (ref->mode == WZP_ACCEPT_TRUSTED)
        (void)address_fields(ref, "callee", addresses);
    ref_say(ref, ref->signal,
            "{\"DirectCallAnswer\":{\"call_id\":\"%s\",\"accept_mode\":\"%s\",\"chosen_profile\":" GOOD "%s%s}}",
            ref->call->call_id, wzp_accept_mode_name(ref->mode), addresses, build_field(ref, "callee", build));
    ref->state = REF_ANSWERED;
}

static void reflect_first(struct net_reference *ref)
{
    ref->state = REF_REFLECTING;
    ref->reflect_until_us = now_of(ref) + REFLECT_US;
    ref_say(ref, ref->signal, "\"Reflect\"");
}

static void go_on_after_reflect(struct net_reference *ref)
{
    ref->reflect_until_us = VNET_NEVER;
    if (ref->call->incoming)
        send_answer(ref);
    else
        send_offer(ref);
}

int net_reference_dial(struct net_client *client, const char *target, bool hide_addresses)
{
    struct net_reference *ref = client->reference;
    char call_id[32];
    if (!ref || !ref->registered)
        return -ENOTCONN;
    if (ref->state != REF_IDLE)
        return -EBUSY;
    (void)snprintf(call_id, sizeof call_id, "18a5%04x%016llx", (unsigned)(client - client->net->client),
                   (unsigned long long)now_of(ref));
    ref->call = net_call_add(client, ++ref->last_id, false, call_id);
    ref->hides = hide_addresses;
    (void)snprintf(ref->peer, sizeof ref->peer, "%s", target);
    if (hide_addresses)
        send_offer(ref);
    else
        reflect_first(ref);
    ref_arm(ref);
    return 0;
}

void net_reference_answer(struct net_client *client, const struct net_call *call, enum wzp_accept_mode mode)
{
    struct net_reference *ref = client->reference;
    if (!ref || ref->state != REF_RINGING || ref->call != call)
        return;
    ref->mode = mode;
    if (mode == WZP_ACCEPT_TRUSTED)
        reflect_first(ref);
    else
        send_answer(ref);
    if (mode == WZP_ACCEPT_REJECT)
        ref_end_call(ref, WZP_LINE_END_LOCAL, WZP_HANGUP_DECLINED);
    ref_arm(ref);
}

void net_reference_hangup(struct net_client *client, struct net_call *call)
{
    struct net_reference *ref = client->reference;
    if (!ref || ref->state == REF_IDLE || ref->call != call)
        return;
    ref_say(ref, ref->signal, "{\"Hangup\":{\"reason\":\"Normal\"}}");
    ref_end_call(ref, WZP_LINE_END_LOCAL, WZP_HANGUP_NORMAL);
    ref_arm(ref);
}

void ref_end_call(struct net_reference *ref, enum wzp_line_end end, enum wzp_hangup_reason reason)
{
    struct net_call *call = ref->call;
    ref_race_close(ref, "normal close");
    ref->state = REF_IDLE;
    ref->call = NULL;
    ref->reflect_until_us = VNET_NEVER;
    call->end = end;
    call->hangup_reason = reason;
    call->by_peer = end == WZP_LINE_END_HANGUP;
    net_call_ended(ref->client, call);
    net_trace_event(ref->client, call, (int)WZP_LINE_ENDED);
}

/* ---- messages ---- */

/** The peer of this call, or of the one before, is a later reference: it does not know what kills the first generation. */
static bool reference_is_at_fault(const struct net_reference *ref)
{
    struct net_client *peer = NULL;
    struct net_client *client = ref->client;
    const struct net_call *call = net_last_call(client);
    return call && net_peer_call(client->net, client, call, &peer) && peer->kind == NET_REFERENCE;
}

/** True when the message kills the connection. */
static bool is_deadly(const struct net_reference *ref, enum wzp_signal_kind kind)
{
    const char *name = wzp_signal_kind_name(kind);
    if (kind == WZP_SIG_UNKNOWN || kind == WZP_SIG_DIRECT_HELLO)
        fail_msg("a %s client was sent %s", net_kind_name(ref->client->kind), name);
    if (ref->client->kind != NET_SEED || (kind != WZP_SIG_MEDIA_PATH_REPORT && kind != WZP_SIG_QUALITY_DIRECTIVE &&
                                          kind != WZP_SIG_FEDERATED_SIGNAL_FORWARD))
        return false;
    if (!reference_is_at_fault(ref))
        fail_msg("a client of the first generation was sent %s", name);
    return true;
}

static void on_offer(struct net_reference *ref, const struct wzp_signal *signal)
{
    if (ref->state != REF_IDLE)
        return; /* it has one window */
    ref->state = REF_RINGING;
    ref->call = net_call_add(ref->client, ++ref->last_id, true, signal->offer.call_id);
    (void)snprintf(ref->peer, sizeof ref->peer, "%s", signal->offer.caller_fingerprint);
    net_trace_event(ref->client, ref->call, (int)WZP_LINE_INCOMING);
}

static void on_setup(struct net_reference *ref, const struct wzp_signal *signal)
{
    if ((ref->state != REF_OFFERED && ref->state != REF_ANSWERED) ||
        strcmp(signal->setup.call_id, ref->call->call_id) != 0)
        return;
    ref->call->setups++;
    ref->call->setup_us = now_of(ref);
    (void)snprintf(ref->room, sizeof ref->room, "%s", signal->setup.room);
    if (wz_addr_parse(signal->setup.relay_addr, &ref->relay_addr) < 0)
        ref->relay_addr = ref->client->config.relay;
    ref_race_start(ref, signal);
}

static void on_signal_message(struct net_reference *ref, const struct wzp_signal *signal)
{
    switch (signal->kind) {
    case WZP_SIG_REGISTER_PRESENCE_ACK:
        ref->registered = true;
        ref->attempt = 0;
        ref->client->registered++;
        break;
    case WZP_SIG_REFLECT_RESPONSE:
        (void)snprintf(ref->reflexive, sizeof ref->reflexive, "%s", signal->reflect_response.observed_addr);
        if (ref->state == REF_REFLECTING)
            go_on_after_reflect(ref);
        break;
    case WZP_SIG_DIRECT_CALL_OFFER:
        on_offer(ref, signal);
        break;
    case WZP_SIG_CALL_RINGING:
        if (ref->call)
            ref->call->rings++;
        break;
    case WZP_SIG_CALL_SETUP:
        on_setup(ref, signal);
        break;
    case WZP_SIG_MEDIA_PATH_REPORT:
        ref_race_report(ref, signal->path_report.direct_ok);
        break;
    case WZP_SIG_HANGUP: /* whichever call it names */
        if (ref->state != REF_IDLE)
            ref_end_call(ref, WZP_LINE_END_HANGUP, signal->hangup.reason);
        break;
    default:
        break;
    }
}

static void on_message(void *owner, struct vquic_end *end, struct wz_bytes body)
{
    struct net_client *client = owner;
    struct net_reference *ref = client->reference;
    struct wzp_signal signal = { 0 };
    assert_int_equal(wzp_signal_decode(body, &signal), 0);
    const bool is_deadly_here = is_deadly(ref, signal.kind);
    if (is_deadly_here && end == ref->signal) {
        vquic_close(end, "");
        signal_lost(ref);
    } else if (end == ref->signal) {
        on_signal_message(ref, &signal);
    } else if (end == ref->relay) {
        ref_media_message(ref, &signal);
    }
    wzp_signal_done(&signal);
    ref_arm(ref);
}

static void on_connected(void *owner, struct vquic_end *end)
{
    struct net_client *client = owner;
    struct net_reference *ref = client->reference;
    if (end == ref->signal)
        send_registration(ref);
    else
        (void)ref_media_connected(ref, end);
    ref_arm(ref);
}

static void on_closed(void *owner, struct vquic_end *end, const char *reason)
{
    struct net_client *client = owner;
    struct net_reference *ref = client->reference;
    (void)reason;
    if (end == ref->signal)
        signal_lost(ref);
    else
        (void)ref_media_closed(ref, end);
    ref_arm(ref);
}

static void on_datagram(void *owner, struct vquic_end *end, struct wz_bytes data)
{
    struct net_client *client = owner;
    struct net_reference *ref = client->reference;
    if (ref->state == REF_UP && end == ref->call->send)
        net_call_heard(client, ref->call, data);
}

static void on_timer(void *arg)
{
    struct net_client *client = arg;
    struct net_reference *ref = client->reference;
    if (!ref)
        return;
    if (ref->retry_us <= now_of(ref))
        dial_signal(ref);
    if (ref->reflect_until_us <= now_of(ref))
        go_on_after_reflect(ref);
    ref_race_tick(ref);
    ref_arm(ref);
}

void net_reference_start(struct net_client *client)
{
    static const struct vquic_handlers handlers = { on_connected, on_message, on_datagram, on_closed };
    struct net_reference *ref = calloc(1, sizeof *ref);
    assert_non_null(ref);
    client->reference = ref;
    ref->client = client;
    ref->retry_us = ref->reflect_until_us = VNET_NEVER;
    assert_int_equal(wzp_identity_from_seed(client->config.seed, &ref->identity), 0);
    (void)snprintf(client->fingerprint, sizeof client->fingerprint, "%s", ref->identity.fingerprint);
    client->endpoint = net_open_endpoint(client->net, client->host, client->port, &handlers, client);
    vquic_set_accept(client->endpoint, client->kind == NET_SEED ? VQUIC_REFUSE : VQUIC_HOLD);
    client->timer.due = on_timer;
    client->timer.arg = client;
    dial_signal(ref);
    ref_arm(ref);
}

void net_reference_stop(struct net_client *client)
{
    if (!client->reference)
        return;
    wzp_identity_done(&client->reference->identity);
    free(client->reference);
    client->reference = NULL;
}

bool net_reference_is_registered(const struct net_client *client)
{
    return client->reference->registered;
}
