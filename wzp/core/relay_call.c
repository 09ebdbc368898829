/* Direct calls: offer, answer, setup, hang-up, and the calls of users that are gone. */
#include "wzp/core/relay_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "wzp/core/handshake.h"

static const char *const party_name[] = { "caller", "callee", "relay" };

static enum wzp_registry_party other_party(enum wzp_registry_party party)
{
    return party == WZP_REGISTRY_CALLER ? WZP_REGISTRY_CALLEE : WZP_REGISTRY_CALLER;
}

static void send_hangup(struct wzp_relay *relay, const struct relay_conn *conn, enum wzp_hangup_reason reason,
                        const char *call_id)
{
    if (!conn)
        return;
    relay_send(
        relay, conn,
        &(struct wzp_signal){ .kind = WZP_SIG_HANGUP, .hangup = { .reason = reason, .call_id = (char *)call_id } });
}

/** End call and note it; the parties have been told. by: who wanted it, NOBODY for the relay itself. */
static void end_call(struct wzp_relay *relay, struct wzp_registry_call *call, enum wzp_registry_party by,
                     enum wzp_hangup_reason reason)
{
    const uint64_t talk_us = call->answered_us ? relay->now_us - call->answered_us : 0;
    wzp_registry_end(&relay->registry, call, relay->now_us);
    relay_log(relay, WZP_RELAY_LOG_INFO, "call.ended", "call=%s by=%s reason=%s talk_ms=%llu", call->id, party_name[by],
              wzp_hangup_reason_name(reason), (unsigned long long)(talk_us / 1000));
}

static struct relay_conn *conn_of(const struct wzp_relay *relay, const struct wzp_registry_call *call,
                                  enum wzp_registry_party party)
{
    return relay_find_registered(relay, call->fingerprint[party]);
}

static void clear_addrs(char **reflexive, struct wzp_addr_list *local)
{
    free(*reflexive);
    *reflexive = NULL;
    for (size_t i = 0; i < local->count; i++)
        free(local->text[i]);
    *local = (struct wzp_addr_list){ 0 };
}

/* ---- offer ---- */

static void refuse_offer(struct wzp_relay *relay, const struct relay_conn *conn, const char *call_id,
                         enum wzp_hangup_reason reason, const char *why)
{
    char id[WZP_CALL_ID_MAX + 1];
    relay_log(relay, WZP_RELAY_LOG_INFO, "call.refused", "call=%s caller=%s why=\"%s\"", relay_log_text(call_id, id),
              relay_user(conn), why);
    send_hangup(relay, conn, reason, call_id);
}

/** An offer that the key of this registration signed. */
static bool is_signed_offer(const struct relay_conn *conn, const struct wzp_signal *signal)
{
    char fingerprint[WZP_FINGERPRINT_TEXT];
    return wzp_fingerprint_of_key(signal->offer.keys.identity_pub, fingerprint) == 0 &&
           strcmp(fingerprint, conn->fingerprint) == 0 &&
           wzp_check_direct(&signal->offer.keys, signal->offer.target_fingerprint, signal->offer.call_id) == 0;
}

/** Rates, then rules that do not depend on the callee: the reason to refuse, which has been counted, or NULL. */
static const char *offer_obstacle(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *signal)
{
    if (!relay_charge(relay, conn, RELAY_CHARGE_OFFER))
        return "too many offers from this address";
    const char *obstacle = NULL;
    if (!relay_bucket_take(&conn->offers, relay->offers_per_minute, relay->now_us))
        obstacle = "too many offers";
    else if (!wzp_registry_id_is_legal(signal->offer.call_id))
        obstacle = "illegal call id";
    else if (!conn->is_current)
        obstacle = "replaced by a newer registration";
    else if (relay->draining)
        obstacle = "draining";
    if (obstacle) {
        relay->stats.refused_limits++;
    } else if (relay->strict && !is_signed_offer(conn, signal)) {
        relay->stats.refused_unsigned++;
        obstacle = "offer is not signed by the registered key";
    }
    return obstacle;
}

/** True when the id is taken; says so to the sender unless that would end a live call of its own. */
static bool refuse_duplicate(struct wzp_relay *relay, const struct relay_conn *conn, const char *call_id)
{
    char room[WZP_CALL_ROOM_TEXT];
    const struct wzp_registry_call *known = wzp_registry_find(&relay->registry, call_id);
    (void)snprintf(room, sizeof room, WZP_CALL_ROOM_PREFIX "%s", call_id); /* a legal id always fits */
    /* A forgotten call's room may still be open: its participants must not meet the parties of a new call. */
    if (!known && !relay_room_exists(relay, room))
        return false;
    relay->stats.refused_limits++;
    const bool is_own = known && known->state != WZP_REGISTRY_ENDED &&
                        wzp_registry_party_of(known, relay_user(conn)) != WZP_REGISTRY_NOBODY;
    if (is_own)
        relay_log(relay, WZP_RELAY_LOG_INFO, "call.refused", "call=%s caller=%s why=\"duplicate of a live call\"",
                  call_id, relay_user(conn));
    else
        refuse_offer(relay, conn, call_id, WZP_HANGUP_ERROR, "call id already used");
    return true;
}

/** The callee's connection, or NULL after the caller was told why not. */
static struct relay_conn *find_callee(struct wzp_relay *relay, const struct relay_conn *conn,
                                      const struct wzp_signal *offer)
{
    const char *call_id = offer->offer.call_id;
    char target[WZP_FINGERPRINT_TEXT];
    /* Names of an auth server count as they are written; a fingerprint may be written in several ways. */
    struct relay_conn *callee = relay_find_registered(relay, offer->offer.target_fingerprint);
    if (!callee && wzp_fingerprint_normalise(offer->offer.target_fingerprint, target) == 0)
        callee = relay_find_registered(relay, target);
    if (!callee) {
        refuse_offer(relay, conn, call_id, WZP_HANGUP_NORMAL, "callee not registered");
        return NULL;
    }
    const bool is_self = strcmp(relay_user(callee), relay_user(conn)) == 0;
    const bool is_busy = !callee->tells_calls_apart && wzp_registry_first_of(&relay->registry, relay_user(callee));
    if (is_self || is_busy) {
        refuse_offer(relay, conn, call_id, WZP_HANGUP_BUSY, is_self ? "calls itself" : "callee busy");
        return NULL;
    }
    return callee;
}

/** Hand the offer on. What the relay knows better than the caller is corrected; unknown fields survive. */
static void forward_offer(struct wzp_relay *relay, const struct relay_conn *conn, const struct relay_conn *callee,
                          struct wzp_signal *signal)
{
    if (strcmp(signal->offer.caller_fingerprint, relay_user(conn)) != 0) {
        relay->stats.refused_wrong_party++;
        relay_log(relay, WZP_RELAY_LOG_WARN, "call.caller_corrected", "call=%s caller=%s", signal->offer.call_id,
                  relay_user(conn));
        if (wzp_signal_set_text(&signal->offer.caller_fingerprint, relay_user(conn)) != 0) {
            relay->effect_lost = true;
            return;
        }
    }
    if (relay->strict_privacy)
        clear_addrs(&signal->offer.caller_reflexive_addr, &signal->offer.caller_local_addrs);
    relay_send(relay, callee, signal);
}

void relay_call_offer(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal)
{
    const char *call_id = signal->offer.call_id;
    relay->stats.offers_total++;
    const char *obstacle = offer_obstacle(relay, conn, signal);
    if (obstacle) {
        refuse_offer(relay, conn, call_id, WZP_HANGUP_ERROR, obstacle);
        return;
    }
    if (refuse_duplicate(relay, conn, call_id))
        return;
    const struct relay_conn *callee = find_callee(relay, conn, signal);
    if (!callee)
        return;

    struct wzp_registry_call *call;
    const struct wzp_registry_addrs addrs = { .reflexive = signal->offer.caller_reflexive_addr,
                                              .local = signal->offer.caller_local_addrs };
    if (wzp_registry_add(&relay->registry, call_id, relay_user(conn), relay_user(callee), &addrs, relay->now_us,
                         &call) != 0) {
        relay->stats.refused_limits++;
        refuse_offer(relay, conn, call_id, WZP_HANGUP_ERROR, "too many calls");
        return;
    }
    relay_log(relay, WZP_RELAY_LOG_INFO, "call.offered", "call=%s caller=%s callee=%s", call->id, relay_user(conn),
              relay_user(callee));
    forward_offer(relay, conn, callee, signal);
    if (signal->offer.caller_build_version)
        wzp_registry_set_knows_reports(call, WZP_REGISTRY_CALLER);
    wzp_registry_ringing(call, relay->now_us);
    relay_send(relay, conn, &(struct wzp_signal){ .kind = WZP_SIG_CALL_RINGING, .ringing = { .call_id = call->id } });
}

/* ---- answer ---- */

/** The live call a message is about when its sender is a party of it; else NULL, after counting why not. */
static struct wzp_registry_call *call_of(struct wzp_relay *relay, const struct relay_conn *conn,
                                         const struct wzp_signal *signal, const char *call_id,
                                         enum wzp_registry_party *ret_party)
{
    struct wzp_registry_call *call = wzp_registry_find(&relay->registry, call_id);
    if (!call || call->state == WZP_REGISTRY_ENDED) {
        relay_unexpected(relay, conn, signal); /* usual: both sides hung up at once */
        return NULL;
    }
    *ret_party = wzp_registry_party_of(call, relay_user(conn));
    if (*ret_party == WZP_REGISTRY_NOBODY) {
        relay->stats.refused_wrong_party++;
        relay_log(relay, WZP_RELAY_LOG_WARN, "call.wrong_party", "call=%s kind=%s fingerprint=%s", call->id,
                  wzp_signal_kind_name(signal->kind), relay_user(conn));
        return NULL;
    }
    return call;
}

/** addrs: the other party's, or NULL to withhold them. */
static void send_setup(struct wzp_relay *relay, const struct relay_conn *to, struct wzp_registry_call *call,
                       const struct wzp_registry_addrs *addrs)
{
    static const struct wzp_registry_addrs none;
    if (!to)
        return;
    char relay_addr[WZ_ADDR_TEXT_MAX];
    wz_addr_format(relay->public_address.family == WZ_ADDR_NONE ? &to->local : &relay->public_address, relay_addr);
    if (!addrs)
        addrs = &none;
    relay_send(relay, to,
               &(struct wzp_signal){ .kind = WZP_SIG_CALL_SETUP,
                                     .setup = { .call_id = call->id,
                                                .room = call->room,
                                                .relay_addr = relay_addr,
                                                .peer_direct_addr = addrs->reflexive,
                                                .peer_local_addrs = addrs->local } });
}

static void reject(struct wzp_relay *relay, struct wzp_registry_call *call)
{
    send_hangup(relay, conn_of(relay, call, WZP_REGISTRY_CALLER), WZP_HANGUP_DECLINED, call->id);
    end_call(relay, call, WZP_REGISTRY_CALLEE, WZP_HANGUP_DECLINED);
}

static void accept_call(struct wzp_relay *relay, const struct relay_conn *conn, struct wzp_registry_call *call,
                        struct wzp_signal *signal)
{
    const enum wzp_accept_mode mode = signal->answer.accept_mode;
    const bool is_trusted = mode == WZP_ACCEPT_TRUSTED;
    if (!is_trusted)
        clear_addrs(&signal->answer.callee_reflexive_addr, &signal->answer.callee_local_addrs);
    const struct wzp_registry_addrs announced = { .reflexive = signal->answer.callee_reflexive_addr,
                                                  .local = signal->answer.callee_local_addrs };
    const int err = wzp_registry_accept(&relay->registry, call, mode, &announced, relay->now_us);
    if (err == -EPROTO) {
        relay_unexpected(relay, conn, signal); /* answered before */
        return;
    }
    if (err) {
        relay->effect_lost = true;
        return;
    }
    if (signal->answer.callee_build_version)
        wzp_registry_set_knows_reports(call, WZP_REGISTRY_CALLEE);
    const struct wzp_registry_addrs *addrs = call->addrs;
    const bool p2p_viable = addrs[WZP_REGISTRY_CALLER].reflexive && addrs[WZP_REGISTRY_CALLEE].reflexive;
    relay_log(relay, WZP_RELAY_LOG_INFO, "call.accepted", "call=%s mode=%s p2p_viable=%s", call->id,
              wzp_accept_mode_name(mode), p2p_viable ? "true" : "false");

    const struct relay_conn *caller = conn_of(relay, call, WZP_REGISTRY_CALLER);
    if (caller)
        relay_send(relay, caller, signal);
    send_setup(relay, caller, call, is_trusted ? &addrs[WZP_REGISTRY_CALLEE] : NULL);
    send_setup(relay, conn, call, is_trusted || !relay->strict_privacy ? &addrs[WZP_REGISTRY_CALLER] : NULL);
    relay->stats.calls_setup_total++;
}

void relay_call_answer(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal)
{
    enum wzp_registry_party party;
    relay->stats.answers_total++;
    struct wzp_registry_call *call = call_of(relay, conn, signal, signal->answer.call_id, &party);
    if (!call)
        return;
    if (party != WZP_REGISTRY_CALLEE) {
        relay->stats.refused_wrong_party++;
        relay_log(relay, WZP_RELAY_LOG_WARN, "call.wrong_party", "call=%s kind=%s fingerprint=%s", call->id,
                  wzp_signal_kind_name(signal->kind), relay_user(conn));
        return;
    }
    if (signal->answer.accept_mode == WZP_ACCEPT_REJECT)
        reject(relay, call);
    else
        accept_call(relay, conn, call, signal);
}

/* ---- hang-up, path report ---- */

/** Pass the Hangup on with the call's id in it, whether or not its sender wrote one. */
static void forward_hangup(struct wzp_relay *relay, struct wzp_registry_call *call, enum wzp_registry_party by,
                           struct wzp_signal *signal)
{
    const struct relay_conn *to = conn_of(relay, call, other_party(by));
    if (wzp_signal_set_text(&signal->hangup.call_id, call->id) != 0)
        relay->effect_lost = true;
    else if (to)
        relay_send(relay, to, signal);
    end_call(relay, call, by, signal->hangup.reason);
}

void relay_call_hangup(struct wzp_relay *relay, struct relay_conn *conn, struct wzp_signal *signal)
{
    enum wzp_registry_party party;
    struct wzp_registry_call *call;
    relay->stats.hangups_total++;
    if (signal->hangup.call_id) {
        conn->tells_calls_apart = true;
        if ((call = call_of(relay, conn, signal, signal->hangup.call_id, &party)))
            forward_hangup(relay, call, party, signal);
        return;
    }
    /* Without an id it means every call of the sender. */
    while ((call = wzp_registry_first_of(&relay->registry, relay_user(conn))))
        forward_hangup(relay, call, wzp_registry_party_of(call, relay_user(conn)), signal);
}

void relay_call_path_report(struct wzp_relay *relay, struct relay_conn *conn, const struct wzp_signal *signal)
{
    enum wzp_registry_party party;
    struct wzp_registry_call *call = call_of(relay, conn, signal, signal->path_report.call_id, &party);
    if (!call)
        return;
    if (call->state != WZP_REGISTRY_ACTIVE) {
        relay_unexpected(relay, conn, signal); /* there is no path to report before the answer */
        return;
    }
    wzp_registry_set_direct(&relay->registry, call, party, signal->path_report.direct_ok, relay->now_us);
    const struct relay_conn *to = conn_of(relay, call, other_party(party));
    /* A client of the first generation drops its signal connection on the unknown kind, and its call ends with that. */
    if (to && (call->knows_reports[other_party(party)] || to->tells_calls_apart))
        relay_send(relay, to, signal);
}

/* ---- calls that end by themselves ---- */

static void end_for_absence(struct wzp_relay *relay, struct wzp_registry_call *call, enum wzp_registry_party absent)
{
    send_hangup(relay, conn_of(relay, call, other_party(absent)), WZP_HANGUP_ERROR, call->id);
    end_call(relay, call, absent, WZP_HANGUP_ERROR);
}

void relay_call_expired(struct wzp_relay *relay, struct wzp_registry_call *call)
{
    for (enum wzp_registry_party party = WZP_REGISTRY_CALLER; party <= WZP_REGISTRY_CALLEE; party++) {
        if (call->away[party]) {
            end_for_absence(relay, call, party);
            return;
        }
    }
    send_hangup(relay, conn_of(relay, call, WZP_REGISTRY_CALLER), WZP_HANGUP_TIMEOUT, call->id);
    send_hangup(relay, conn_of(relay, call, WZP_REGISTRY_CALLEE), WZP_HANGUP_TIMEOUT, call->id);
    end_call(relay, call, WZP_REGISTRY_NOBODY, WZP_HANGUP_TIMEOUT);
}

void relay_call_party_gone(struct wzp_relay *relay, const char *user)
{
    struct wzp_registry_call *next;
    for (struct wzp_registry_call *call = wzp_registry_first_of(&relay->registry, user); call; call = next) {
        const enum wzp_registry_party party = wzp_registry_party_of(call, user);
        next = wzp_registry_next_of(call, party);
        /* Media on a direct path does not notice: its party may only have lost the relay, and be back soon. */
        if (wzp_registry_is_direct(call) && wzp_registry_set_away(&relay->registry, call, party, true, relay->now_us))
            relay_log(relay, WZP_RELAY_LOG_INFO, "call.party_away", "call=%s party=%s", call->id, party_name[party]);
        else
            end_for_absence(relay, call, party);
    }
}

void relay_call_party_back(struct wzp_relay *relay, const char *user)
{
    struct wzp_registry_call *call = wzp_registry_first_of(&relay->registry, user);
    while (call) {
        const enum wzp_registry_party party = wzp_registry_party_of(call, user);
        wzp_registry_renew(&relay->registry, call, party, relay->now_us);
        call = wzp_registry_next_of(call, party);
    }
}
