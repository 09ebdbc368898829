/* Hangups that arrive. Rust clients hang up without a call_id, and old relays forward that as it is: with
 * several calls on one identity the evidence must tell which one ended (spec 6.4). */
#include "wzp/core/client_internal.h"

#define QUIET_US ((uint64_t)WZP_CLIENT_MEDIA_QUIET_MS * WZP_CLIENT_MS)
#define GRACE_US ((uint64_t)WZP_CLIENT_GRACE_MS * WZP_CLIENT_MS)
/** Media this recent before the Hangup counts as flowing. */
#define FLOWING_US (1000u * WZP_CLIENT_MS)

typedef bool client_call_test(const struct wzp_client_call *call, const struct client_bare_hangup *hangup);

/** The only call that passes, or with `oldest` the first; NULL: none, or several. */
static struct wzp_client_call *pick(const struct wzp_client *client, client_call_test *test,
                                    const struct client_bare_hangup *hangup, bool oldest)
{
    struct wzp_client_call *found = NULL;
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &client->calls) {
        struct wzp_client_call *call = wz_container_of(pos, struct wzp_client_call, node);
        if (!test(call, hangup))
            continue;
        if (oldest)
            return call;
        if (found)
            return NULL;
        found = call;
    }
    return found;
}

/** The relay had heard of it when it sent this Hangup. */
static bool is_open(const struct wzp_client_call *call, const struct client_bare_hangup *hangup)
{
    return call->kind != CLIENT_ROOM && call->known_us <= hangup->at_us;
}

/** Its peer has left the room, or the connection is gone. */
static bool is_deserted(const struct wzp_client_call *call, const struct client_bare_hangup *hangup)
{
    return is_open(call, hangup) &&
           (call->state == CLIENT_DOWN || (call->state == CLIENT_UP && call->alone_us != WZP_CLIENT_NEVER));
}

/** A relay answers each offer at once, with CallRinging or with this Hangup. */
static bool is_unheard_offer(const struct wzp_client_call *call, const struct client_bare_hangup *hangup)
{
    return is_open(call, hangup) && call->state == CLIENT_OFFERED && !call->ringing_seen;
}

static bool media_stopped(const struct wzp_client_call *call, const struct client_bare_hangup *hangup)
{
    return is_open(call, hangup) && call->state == CLIENT_UP && call->media_seen_us != 0 &&
           call->media_seen_us <= hangup->at_us + QUIET_US && call->media_seen_us + FLOWING_US >= hangup->at_us;
}

static bool has_no_media_yet(const struct wzp_client_call *call, const struct client_bare_hangup *hangup)
{
    return is_open(call, hangup) && call->state != CLIENT_UP && call->state != CLIENT_DOWN;
}

void client_hangup_by_peer(struct wzp_client *client, struct wzp_client_call *call, enum wzp_hangup_reason reason)
{
    client_call_end(client, call, WZP_LINE_END_HANGUP, reason, wzp_hangup_reason_name(reason));
}

static void drop_first_bare(struct wzp_client *client)
{
    client->bare_count--;
    memmove(client->bare, client->bare + 1, client->bare_count * sizeof client->bare[0]);
}

/** The call that the oldest bare Hangup meant, after all evidence is in. */
static struct wzp_client_call *guess(const struct wzp_client *client, const struct client_bare_hangup *hangup)
{
    struct wzp_client_call *call = pick(client, is_unheard_offer, hangup, true);
    if (!call)
        call = pick(client, media_stopped, hangup, false);
    return call ? call : pick(client, has_no_media_yet, hangup, false);
}

void client_hangup_review(struct wzp_client *client, uint64_t now_us)
{
    while (client->bare_count > 0) {
        const struct client_bare_hangup hangup = client->bare[0];
        struct wzp_client_call *call = pick(client, is_deserted, &hangup, true);
        if (!call && hangup.at_us + GRACE_US > now_us)
            return;
        if (!call)
            call = guess(client, &hangup);
        drop_first_bare(client);
        if (call)
            client_hangup_by_peer(client, call, hangup.reason);
        else
            client->stats.ambiguous_hangups++;
    }
}

void client_hangup_message(struct wzp_client *client, const struct wzp_signal *signal, uint64_t now_us)
{
    const struct client_bare_hangup hangup = { .at_us = now_us, .reason = signal->hangup.reason };
    if (signal->hangup.call_id) {
        struct wzp_client_call *named = client_call_by_id(client, signal->hangup.call_id);
        if (named)
            client_hangup_by_peer(client, named, hangup.reason);
        else
            client->stats.unknown_calls++;
        return;
    }
    if (!pick(client, is_open, &hangup, true)) {
        client->stats.unknown_calls++;
        return;
    }
    struct wzp_client_call *only = pick(client, is_open, &hangup, false);
    if (only) {
        client_hangup_by_peer(client, only, hangup.reason);
        return;
    }
    if (client->bare_count == WZP_CLIENT_MAX_CALLS) {
        client->stats.ambiguous_hangups++;
        return;
    }
    client->bare[client->bare_count++] = hangup;
    client_hangup_review(client, now_us);
}

uint64_t client_hangup_deadline_us(const struct wzp_client *client)
{
    return client->bare_count ? client->bare[0].at_us + GRACE_US : WZP_CLIENT_NEVER;
}
