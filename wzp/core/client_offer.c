/* Offers and answers of a client: what we say about ourselves, and whether a peer is of our own kind
 * (spec 8.5). */
#include "wzp/core/client_internal.h"

#include <stdio.h>
#include <stdlib.h>

/** A public key nobody holds the secret of afterwards: it only makes each signature unique. */
static int fresh_ephemeral(struct wzp_client *client, struct wzp_signed_keys *keys)
{
    struct wzp_handshake handshake;
    const int err = wzp_handshake_init(&handshake, &client->rng);
    if (err < 0)
        return err;
    memcpy(keys->ephemeral_pub, handshake.ephemeral_public, sizeof keys->ephemeral_pub);
    wzp_handshake_done(&handshake);
    keys->has_identity = keys->has_ephemeral = true;
    memcpy(keys->identity_pub, client->identity.ed25519_public, sizeof keys->identity_pub);
    keys->signature_len = WZP_SIGNATURE_BYTES;
    return 0;
}

/** What this call tells the peer about our addresses. A Reflect answer counts only when it is this call's own. */
static void choose_addresses(const struct wzp_client *client, struct wzp_client_call *call, struct wzp_candidates *ret)
{
    *ret = (struct wzp_candidates){ 0 };
    if (client->no_direct)
        return;
    const struct wzp_line_addresses *known = &client->addresses;
    struct wzp_address_facts facts = {
        .reflect = call->reflected ? client->reflexive_addr : NULL,
        .public_address = known->public_address,
        .share_loopback = client->addresses.share_loopback,
        .share_local = client->share_local_addrs,
    };
    for (; facts.stun_count < known->stun_count && facts.stun_count < WZP_CANDIDATES_MAX_STUN; facts.stun_count++)
        facts.stun[facts.stun_count] = known->stun[facts.stun_count];
    for (; facts.host_count < known->host_count && facts.host_count < WZP_CANDIDATES_MAX_HOST; facts.host_count++)
        facts.host[facts.host_count] = known->host[facts.host_count];
    (void)wzp_candidates_choose(&facts, ret); /* fails on NULL only */
    memcpy(call->told_reflexive, ret->reflexive, sizeof call->told_reflexive);
    call->told_any = ret->reflexive[0] || ret->local_count > 0;
}

/** Lend the chosen texts to a signal that is encoded and dropped. */
static void lend_addresses(struct wzp_candidates *chosen, char **reflexive, struct wzp_addr_list *local)
{
    *reflexive = chosen->reflexive[0] ? chosen->reflexive : NULL;
    local->count = chosen->local_count;
    for (size_t i = 0; i < chosen->local_count; i++)
        local->text[i] = chosen->local[i];
}

void client_send_offer(struct wzp_client *client, struct wzp_client_call *call)
{
    struct wzp_signal signal = { .kind = WZP_SIG_DIRECT_CALL_OFFER };
    signal.offer.caller_fingerprint = client->identity.fingerprint;
    signal.offer.caller_alias = call->caller_alias ? call->caller_alias : client->alias;
    signal.offer.target_fingerprint = call->peer;
    signal.offer.call_id = call->call_id;
    signal.offer.profile_count = 1;
    signal.offer.profile[0] = wzp_profile_good;
    signal.offer.caller_build_version = client->build;
    signal.offer.dialled_number = call->dialled_number;
    struct wzp_candidates chosen;
    if (!call->hide_addresses) {
        choose_addresses(client, call, &chosen);
        lend_addresses(&chosen, &signal.offer.caller_reflexive_addr, &signal.offer.caller_local_addrs);
    }
    struct wzp_signed_keys *keys = &signal.offer.keys;
    if (fresh_ephemeral(client, keys) < 0 ||
        wzp_sign_direct_offer(&client->identity, keys->ephemeral_pub, call->peer, call->call_id, keys->signature) < 0) {
        client->stats.lost_effects++; /* the crypto library failed: the ring timer ends the call */
        return;
    }
    client->stats.offers_out++;
    client_send(client, &client->signal, call, &signal);
}

/** A peer that cannot race against us must not be drawn into a race by our address: it would report the result, over which
 *  a relay of the first generation drops it. */
static bool caller_may_race(const struct wzp_client *client, const struct wzp_client_call *call)
{
    return call->own_kind || (client->relay_build && call->peer_has_build);
}

void client_send_answer(struct wzp_client *client, struct wzp_client_call *call, enum wzp_accept_mode mode)
{
    struct wzp_signal signal = { .kind = WZP_SIG_DIRECT_CALL_ANSWER };
    char call_id[sizeof call->call_id];
    memcpy(call_id, call->call_id, sizeof call_id);
    signal.answer.call_id = call_id;
    signal.answer.accept_mode = mode;
    signal.answer.has_profile = true;
    signal.answer.chosen_profile = wzp_profile_good;
    signal.answer.callee_build_version = client->build;
    struct wzp_candidates chosen;
    if (mode == WZP_ACCEPT_TRUSTED && caller_may_race(client, call)) {
        choose_addresses(client, call, &chosen);
        lend_addresses(&chosen, &signal.answer.callee_reflexive_addr, &signal.answer.callee_local_addrs);
    }
    struct wzp_signed_keys *keys = &signal.answer.keys;
    if (fresh_ephemeral(client, keys) < 0 || wzp_sign_direct_answer(&client->identity, keys->ephemeral_pub, call->peer,
                                                                    call->call_id, keys->signature) < 0) {
        client->stats.lost_effects++; /* the media timer ends the call */
        return;
    }
    client_send(client, &client->signal, call, &signal);
}

/** keys sign ephemeral || fingerprint || call_id, and belong to `signer`. */
static bool direct_signature_fits(const struct wzp_signed_keys *keys, const char *signer, const char *fingerprint,
                                  const char *call_id)
{
    char owner[WZP_FINGERPRINT_TEXT];
    if (!keys->has_identity || !keys->has_ephemeral || keys->signature_len != WZP_SIGNATURE_BYTES ||
        wzp_fingerprint_of_key(keys->identity_pub, owner) < 0 || strcmp(owner, signer) != 0)
        return false;
    uint8_t message[WZP_KEY_BYTES + WZP_FINGERPRINT_TEXT + WZP_CALL_ID_MAX];
    struct wz_writer out = wz_writer(message, sizeof message);
    wz_put(&out, keys->ephemeral_pub, sizeof keys->ephemeral_pub);
    wz_put(&out, fingerprint, strlen(fingerprint));
    wz_put(&out, call_id, strlen(call_id));
    return wz_writer_ok(&out) &&
           wzp_verify(keys->identity_pub, wz_bytes(message, wz_written(&out)), keys->signature) == 0;
}

bool client_offer_is_own_kind(const struct wzp_client *client, const struct wzp_signal *signal)
{
    return direct_signature_fits(&signal->offer.keys, signal->offer.caller_fingerprint, client->identity.fingerprint,
                                 signal->offer.call_id);
}

bool client_answer_is_own_kind(const struct wzp_client *client, const struct wzp_client_call *call,
                               const struct wzp_signal *signal)
{
    return direct_signature_fits(&signal->answer.keys, call->peer, client->identity.fingerprint, call->call_id);
}
