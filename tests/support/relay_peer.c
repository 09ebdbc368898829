#include "tests/support/relay_peer.h"

#include <stdio.h>
#include <stdlib.h>

#include "wzp/core/handshake.h"
#include "wzp/rt/rng.h"

struct message {
    struct wz_list node;
    size_t len;
    char text[];
};

static void keep_message(struct relay_peer *peer, struct wz_bytes body)
{
    struct message *message = malloc(sizeof *message + body.len + 1);
    if (!message)
        abort();
    message->len = body.len;
    memcpy(message->text, body.data, body.len);
    message->text[body.len] = '\0';
    wz_list_append(&peer->inbox, &message->node);
}

static void on_message(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    struct relay_peer *peer = arg;
    struct wzp_signal signal;
    (void)conn;
    if (wzp_signal_decode(body, &signal) != 0)
        abort(); /* a relay never sends what we would refuse */
    if (signal.kind == WZP_SIG_REGISTER_PRESENCE_ACK && signal.register_ack.success) {
        peer->registered = true;
    } else if (signal.kind == WZP_SIG_CALL_ANSWER) {
        if (wzp_handshake_check_answer(&signal) != 0)
            abort();
    } else if (signal.kind == WZP_SIG_ROOM_UPDATE) {
        peer->joined = true;
        peer->participants = signal.room_update.count;
    } else {
        keep_message(peer, body);
    }
    wzp_signal_done(&signal);
}

static void on_uni(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    struct relay_peer *peer = arg;
    (void)conn;
    peer->uni_len = body.len < sizeof peer->uni - 1 ? body.len : sizeof peer->uni - 1;
    memcpy(peer->uni, body.data, peer->uni_len);
    peer->uni[peer->uni_len] = '\0';
}

static void on_datagram(void *arg, struct wzp_quic_conn *conn, struct wz_bytes data)
{
    struct relay_peer *peer = arg;
    (void)conn;
    peer->datagrams++;
    peer->datagram_len = data.len;
    memcpy(peer->datagram, data.data, data.len < sizeof peer->datagram ? data.len : sizeof peer->datagram);
}

static void on_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    struct relay_peer *peer = arg;
    (void)conn;
    peer->conn = NULL;
    peer->closed = true;
    snprintf(peer->reason, sizeof peer->reason, "%s", why->reason);
}

static void send_register(struct relay_peer *peer)
{
    struct wzp_signal signal = { .kind = WZP_SIG_REGISTER_PRESENCE };
    struct wzp_signed_keys *keys = &signal.register_presence.keys;
    keys->has_identity = true;
    memcpy(keys->identity_pub, peer->identity.ed25519_public, WZP_KEY_BYTES);
    if (wzp_sign_register(&peer->identity, keys->signature) != 0)
        abort();
    keys->signature_len = WZP_SIGNATURE_BYTES;
    relay_peer_send(peer, &signal);
}

static void send_call_offer(struct relay_peer *peer)
{
    struct wzp_handshake handshake;
    struct wzp_signal offer;
    if (wzp_handshake_init(&handshake, &wz_rng_system) != 0 ||
        wzp_handshake_offer(&handshake, &peer->identity, NULL, &offer) != 0)
        abort();
    relay_peer_send(peer, &offer);
    wzp_signal_done(&offer);
    wzp_handshake_done(&handshake);
}

static void on_connected(void *arg, struct wzp_quic_conn *conn)
{
    struct relay_peer *peer = arg;
    (void)conn;
    peer->up = true;
}

static const struct wzp_quic_handlers handlers = {
    .connected = on_connected,
    .message = on_message,
    .uni = on_uni,
    .datagram = on_datagram,
    .closed = on_closed,
};

int relay_peer_dial_silently(struct relay_peer *peer, struct wzp_quic *quic, struct wz_addr to, const char *sni,
                             unsigned user)
{
    uint8_t seed[WZP_SEED_BYTES] = { 0 };
    *peer = (struct relay_peer){ .quic = quic, .is_media = strcmp(sni, "_signal") != 0 };
    wz_list_init(&peer->inbox);
    memcpy(seed, &user, sizeof user);
    seed[sizeof seed - 1] = 0x51;
    if (wzp_identity_from_seed(seed, &peer->identity) != 0)
        abort();
    const struct wzp_quic_dial dial = { .to = to, .sni = sni, .handlers = &handlers, .arg = peer };
    return wzp_quic_connect(quic, &dial, &peer->conn);
}

void relay_peer_greet(struct relay_peer *peer)
{
    if (peer->is_media)
        send_call_offer(peer); /* waits for the handshake by itself */
    else
        send_register(peer);
}

int relay_peer_dial(struct relay_peer *peer, struct wzp_quic *quic, struct wz_addr to, const char *sni, unsigned user)
{
    const int err = relay_peer_dial_silently(peer, quic, to, sni, user);
    if (!err && strcmp(sni, "ping") != 0 && strcmp(sni, "version") != 0)
        relay_peer_greet(peer);
    return err;
}

void relay_peer_done(struct relay_peer *peer)
{
    struct wz_list *pos, *next;
    if (peer->conn)
        wzp_quic_close(peer->conn, "done");
    if (!peer->inbox.next)
        return; /* never dialled */
    wz_list_foreach (pos, next, &peer->inbox)
        free(wz_container_of(pos, struct message, node));
    wz_list_init(&peer->inbox);
}

void relay_peer_send_text(struct relay_peer *peer, const char *json)
{
    if (peer->conn)
        (void)wzp_quic_send_message(peer->conn, wz_bytes_str(json)); /* a lost one shows in the test */
}

void relay_peer_send(struct relay_peer *peer, const struct wzp_signal *signal)
{
    char *json;
    size_t len;
    if (wzp_signal_encode(signal, &json, &len) != 0)
        abort();
    relay_peer_send_text(peer, json);
    free(json);
}

bool relay_peer_take(struct relay_peer *peer, enum wzp_signal_kind kind, struct wzp_signal *ret)
{
    if (wz_list_is_empty(&peer->inbox))
        return false;
    struct message *message = wz_container_of(peer->inbox.next, struct message, node);
    const int err = wzp_signal_decode(wz_bytes(message->text, message->len), ret);
    wz_list_remove(&message->node);
    free(message);
    if (err)
        return false;
    if (ret->kind == kind)
        return true;
    wzp_signal_done(ret);
    return false;
}
