/* A client of a relay over real QUIC, for tests and benchmarks: it registers or joins a room and keeps what
 * it receives. Thread: that of its loop. */
#ifndef TESTS_SUPPORT_RELAY_PEER_H
#define TESTS_SUPPORT_RELAY_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/list.h"
#include "wzp/core/identity.h"
#include "wzp/core/signal.h"
#include "wzp/io/quic.h"

struct wz_loop;

struct relay_peer {
    struct wzp_quic *quic; /**< the endpoint it dials from, may be shared; NULL once closed */
    struct wzp_quic_conn *conn;
    struct wzp_identity identity;
    bool is_media;
    bool up, closed;
    bool registered;       /**< an Ack with success came */
    bool joined;           /**< a RoomUpdate came */
    uint32_t participants; /**< of the last RoomUpdate */
    char reason[128];      /**< why it was closed */
    char uni[256];         /**< what came on a unidirectional stream */
    size_t uni_len;
    uint64_t datagrams;
    size_t datagram_len; /**< of the last one */
    uint8_t datagram[1500];
    struct wz_list inbox; /**< messages not taken, without Acks, CallAnswers and RoomUpdates */
};

/** Start dialling; sni "_signal" registers user (a small number) when it is up, other names join a room, and
 *  "ping" and "version" just wait. 0 or a negative errno of wzp_quic_connect(). */
int relay_peer_dial(struct relay_peer *peer, struct wzp_quic *quic, struct wz_addr to, const char *sni,
                    unsigned user);
/** Start dialling and send nothing; relay_peer_greet() does the rest. */
int relay_peer_dial_silently(struct relay_peer *peer, struct wzp_quic *quic, struct wz_addr to, const char *sni,
                             unsigned user);
/** Register, or offer the media handshake. */
void relay_peer_greet(struct relay_peer *peer);
/** Close if open and forget the inbox. */
void relay_peer_done(struct relay_peer *peer);

/** Send a signal, or raw text. */
void relay_peer_send(struct relay_peer *peer, const struct wzp_signal *signal);
void relay_peer_send_text(struct relay_peer *peer, const char *json);
/** The oldest message of the inbox decoded; free with wzp_signal_done(). False: none, or not this kind. */
bool relay_peer_take(struct relay_peer *peer, enum wzp_signal_kind kind, struct wzp_signal *ret);

#endif
