/* The signal connection of a client: registration with back-off, Reflect, Ping. */
#include "wzp/core/client_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/** Seconds before each attempt; the last repeats for ever. */
static const uint8_t backoff_s[] = { 0, 1, 2, 4, 8, 15, 30 };
/** Spread of an immediate retry, so that a relay's restart is not met by all its clients in one millisecond.
 */
#define BACKOFF_MIN_SPREAD_MS 250u

static uint64_t random_below(struct wzp_client *client, uint64_t limit)
{
    uint64_t random = 0;
    wz_rng_fill(&client->rng, &random, sizeof random);
    return limit ? random % limit : 0;
}

static uint64_t next_delay_us(struct wzp_client *client)
{
    const size_t last = sizeof backoff_s - 1;
    const uint64_t delay_us =
        (uint64_t)backoff_s[client->attempt < last ? client->attempt : last] * 1000 * WZP_CLIENT_MS;
    const uint64_t least_us = BACKOFF_MIN_SPREAD_MS * WZP_CLIENT_MS;
    if (client->attempt < last)
        client->attempt++;
    return delay_us + random_below(client, delay_us / 4 > least_us ? delay_us / 4 : least_us);
}

void client_signal_start(struct wzp_client *client, unsigned start_delay_ms, uint64_t now_us)
{
    client->signal_state = CLIENT_SIGNAL_WAITING;
    client->signal_deadline_us = now_us + random_below(client, (uint64_t)start_delay_ms * WZP_CLIENT_MS);
    client->attempt = 1; /* this one is the immediate attempt */
}

static void schedule_retry(struct wzp_client *client, uint64_t now_us)
{
    client->signal_state = CLIENT_SIGNAL_WAITING;
    client->signal_deadline_us = now_us + next_delay_us(client);
}

static void forget_registration(struct wzp_client *client)
{
    free(client->relay_build);
    free(client->reflexive_addr);
    client->relay_build = client->reflexive_addr = NULL;
}

static void report_reflected(struct wzp_client *client)
{
    if (!client->reflect_asked)
        return;
    client->reflect_asked = false;
    struct wzp_client_effect *effect = client_event(client, NULL, WZP_LINE_REFLECTED);
    if (!effect)
        return;
    if (client->reflexive_addr && client->reflect_deadline_us == WZP_CLIENT_NEVER) {
        (void)snprintf(effect->text, sizeof effect->text, "%s", client->reflexive_addr);
        effect->event.observed_addr = effect->text;
    }
    client_push(client, effect);
}

static void report_pong(struct wzp_client *client, uint64_t rtt_us)
{
    client->ping_deadline_us = WZP_CLIENT_NEVER;
    struct wzp_client_effect *effect = client_event(client, NULL, WZP_LINE_PONG);
    if (!effect)
        return;
    effect->event.rtt_us = rtt_us > UINT32_MAX ? UINT32_MAX : (uint32_t)rtt_us;
    client_push(client, effect);
}

/** The connection is gone: nothing more will be answered on it. */
void client_signal_lost(struct wzp_client *client, const char *reason, uint64_t now_us)
{
    if (client->signal_state == CLIENT_SIGNAL_OFF)
        return;
    const bool was_steady = client->signal_state == CLIENT_SIGNAL_REGISTERED &&
                            now_us - client->registered_us >= (uint64_t)WZP_CLIENT_STEADY_MS * WZP_CLIENT_MS;
    if (was_steady)
        client->attempt = 0;
    forget_registration(client);
    client->reflect_deadline_us = WZP_CLIENT_NEVER;
    schedule_retry(client, now_us);

    struct wzp_client_effect *effect = client_event(client, NULL, WZP_LINE_UNREGISTERED);
    if (effect) {
        (void)snprintf(effect->text, sizeof effect->text, "%s", reason);
        effect->event.reason = effect->text;
        client_push(client, effect);
    }
    report_reflected(client);
    if (client->ping_deadline_us != WZP_CLIENT_NEVER)
        report_pong(client, 0);
    client_call_signal_lost(client);
}

static void give_up_attempt(struct wzp_client *client, const char *reason, uint64_t now_us)
{
    client_conn_close(client, &client->signal, "normal close");
    client_signal_lost(client, reason, now_us);
}

static void dial_relay(struct wzp_client *client, uint64_t now_us)
{
    if (client_dial(client, &client->signal, 0, &client->relay, "_signal", false) < 0) {
        client_signal_lost(client, "out of memory", now_us);
        return;
    }
    client->signal_state = CLIENT_SIGNAL_DIALLING;
    client->signal_deadline_us = now_us + (uint64_t)WZP_CLIENT_DIAL_MS * WZP_CLIENT_MS;
}

void client_signal_connected(struct wzp_client *client, uint64_t now_us)
{
    if (client->signal_state != CLIENT_SIGNAL_DIALLING)
        return;
    client->signal.up = true;
    struct wzp_signal reg = { .kind = WZP_SIG_REGISTER_PRESENCE };
    struct wzp_signed_keys *keys = &reg.register_presence.keys;
    keys->has_identity = true;
    memcpy(keys->identity_pub, client->identity.ed25519_public, sizeof keys->identity_pub);
    if (wzp_sign_register(&client->identity, keys->signature) < 0) {
        give_up_attempt(client, "cannot sign the registration", now_us);
        return;
    }
    keys->signature_len = WZP_SIGNATURE_BYTES;
    reg.register_presence.alias = client->alias; /* lent for the encoding */
    client_send_token(client, &client->signal);
    client_send(client, &client->signal, NULL, &reg);
    client->signal_state = CLIENT_SIGNAL_REGISTERING;
    client->signal_deadline_us = now_us + (uint64_t)WZP_CLIENT_REGISTER_MS * WZP_CLIENT_MS;
}

static void on_register_ack(struct wzp_client *client, struct wzp_signal *signal, uint64_t now_us)
{
    if (client->signal_state != CLIENT_SIGNAL_REGISTERING) {
        client->stats.unexpected_signals++;
        return;
    }
    if (!signal->register_ack.success) {
        give_up_attempt(client, signal->register_ack.error ? signal->register_ack.error : "registration refused",
                        now_us);
        return;
    }
    client->relay_build = signal->register_ack.relay_build;
    signal->register_ack.relay_build = NULL;
    client->signal_state = CLIENT_SIGNAL_REGISTERED;
    client->signal_deadline_us = WZP_CLIENT_NEVER;
    client->registered_us = now_us;
    client->stats.registrations++;
    client_path_tell_relay(client);
    struct wzp_client_effect *effect = client_event(client, NULL, WZP_LINE_REGISTERED);
    if (!effect)
        return;
    if (client->relay_build) {
        (void)snprintf(effect->text, sizeof effect->text, "%s", client->relay_build);
        effect->event.relay_build = effect->text;
    }
    client_push(client, effect);
}

static void on_reflect_response(struct wzp_client *client, const struct wzp_signal *signal, uint64_t now_us)
{
    struct wz_addr addr;
    if (wz_addr_parse(signal->reflect_response.observed_addr, &addr) < 0) {
        client->stats.bad_signals++;
        return;
    }
    if (wzp_signal_set_text(&client->reflexive_addr, signal->reflect_response.observed_addr) < 0)
        return;
    client->reflect_deadline_us = WZP_CLIENT_NEVER;
    report_reflected(client);
    client_call_reflected(client, now_us);
}

static void on_pong(struct wzp_client *client, const struct wzp_signal *signal, uint64_t now_us)
{
    if (client->ping_deadline_us == WZP_CLIENT_NEVER ||
        signal->ping.timestamp_ms != client->ping_sent_us / WZP_CLIENT_MS) {
        client->stats.unexpected_signals++;
        return;
    }
    const uint64_t rtt_us = now_us - client->ping_sent_us;
    report_pong(client, rtt_us ? rtt_us : 1); /* 0 means no answer */
}

void client_signal_message(struct wzp_client *client, struct wzp_signal *signal, uint64_t now_us)
{
    if (signal->kind == WZP_SIG_REGISTER_PRESENCE_ACK) {
        on_register_ack(client, signal, now_us);
        return;
    }
    if (client->signal_state != CLIENT_SIGNAL_REGISTERED) {
        client->stats.unexpected_signals++;
        return;
    }
    switch (signal->kind) {
    case WZP_SIG_REFLECT_RESPONSE:
        on_reflect_response(client, signal, now_us);
        break;
    case WZP_SIG_PONG:
        on_pong(client, signal, now_us);
        break;
    case WZP_SIG_DIRECT_CALL_OFFER:
    case WZP_SIG_DIRECT_CALL_ANSWER:
    case WZP_SIG_CALL_RINGING:
    case WZP_SIG_CALL_SETUP:
    case WZP_SIG_MEDIA_PATH_REPORT:
        client_call_message(client, signal, now_us);
        break;
    case WZP_SIG_HANGUP:
        client_hangup_message(client, signal, now_us);
        break;
    default:
        client->stats.unexpected_signals++;
        break;
    }
}

void client_reflect_start(struct wzp_client *client, uint64_t now_us)
{
    if (client->reflect_deadline_us != WZP_CLIENT_NEVER)
        return;
    const struct wzp_signal reflect = { .kind = WZP_SIG_REFLECT };
    client_send(client, &client->signal, NULL, &reflect);
    client->reflect_deadline_us = now_us + (uint64_t)WZP_CLIENT_REFLECT_MS * WZP_CLIENT_MS;
}

int wzp_client_reflect(struct wzp_client *client, uint64_t now_us)
{
    if (client->signal_state != CLIENT_SIGNAL_REGISTERED)
        return -ENOTCONN;
    if (client->reflect_asked)
        return -EALREADY;
    client->reflect_asked = true;
    client_reflect_start(client, now_us);
    return 0;
}

int wzp_client_ping(struct wzp_client *client, uint64_t now_us)
{
    if (client->signal_state != CLIENT_SIGNAL_REGISTERED)
        return -ENOTCONN;
    if (client->ping_deadline_us != WZP_CLIENT_NEVER)
        return -EALREADY;
    const struct wzp_signal ping = { .kind = WZP_SIG_PING, .ping = { .timestamp_ms = now_us / WZP_CLIENT_MS } };
    client_send(client, &client->signal, NULL, &ping);
    client->ping_sent_us = now_us;
    client->ping_deadline_us = now_us + (uint64_t)WZP_CLIENT_PONG_MS * WZP_CLIENT_MS;
    return 0;
}

static void reflect_timed_out(struct wzp_client *client)
{
    /* What was observed before is not what this Reflect would have shown: the user gets no address. */
    report_reflected(client);
    client->reflect_deadline_us = WZP_CLIENT_NEVER;
}

void client_signal_tick(struct wzp_client *client, uint64_t now_us)
{
    if (client->reflect_deadline_us <= now_us)
        reflect_timed_out(client);
    if (client->ping_deadline_us <= now_us)
        report_pong(client, 0);
    if (client->signal_deadline_us > now_us)
        return;
    switch (client->signal_state) {
    case CLIENT_SIGNAL_WAITING:
        dial_relay(client, now_us);
        break;
    case CLIENT_SIGNAL_DIALLING:
        give_up_attempt(client, "the relay does not answer", now_us);
        break;
    case CLIENT_SIGNAL_REGISTERING:
        give_up_attempt(client, "the relay does not confirm the registration", now_us);
        break;
    case CLIENT_SIGNAL_OFF:
    case CLIENT_SIGNAL_REGISTERED:
        client->signal_deadline_us = WZP_CLIENT_NEVER;
        break;
    }
}

uint64_t client_signal_deadline_us(const struct wzp_client *client)
{
    uint64_t first = client->signal_deadline_us;
    first = client->reflect_deadline_us < first ? client->reflect_deadline_us : first;
    return client->ping_deadline_us < first ? client->ping_deadline_us : first;
}
