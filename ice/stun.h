/* STUN binding requests (RFC 8489) to several servers at once, on the caller's own socket, with libnice's STUN library.
 * Sans-IO: packets go out through send, come in through wice_stun_packet(), time is passed in. Thread: one. */
#ifndef ICE_STUN_H
#define ICE_STUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"

#define WICE_STUN_MAX_SERVERS 4
/** A request is sent at 0, 0.5, 1.5 and 3.5 s, and given up at 7.5 s (RFC 8489 6.2.1, cut short). */
#define WICE_STUN_SENDS  4
#define WICE_STUN_RTO_US 500000u

struct wice_stun;

struct wice_stun_config {
    size_t server_count; /**< 0 is allowed: every round is done at once */
    struct wz_addr server[WICE_STUN_MAX_SERVERS];
    /** Send one packet; borrowed for the call. Must not call back. */
    void (*send)(void *arg, struct wz_bytes packet, const struct wz_addr *to);
    void *arg;
};

int wice_stun_new(struct wice_stun **ret, const struct wice_stun_config *config);
void wice_stun_free(struct wice_stun *stun);

/** Begin a round: a fresh request to every server. Results of the last round stay until answered anew or given up. */
void wice_stun_start(struct wice_stun *stun, uint64_t now_us);
/** A STUN packet arrived. True: it answered a request of ours (right transaction, right server). Others change nothing. */
bool wice_stun_packet(struct wice_stun *stun, struct wz_bytes packet, const struct wz_addr *from);
/** Send again, or give up, what is due. */
void wice_stun_tick(struct wice_stun *stun, uint64_t now_us);
/** UINT64_MAX: nothing is waiting. */
uint64_t wice_stun_deadline_us(const struct wice_stun *stun);
/** Every server of this round has answered or was given up. */
bool wice_stun_is_done(const struct wice_stun *stun);
/** The mapped address server index last told. False: none. */
bool wice_stun_mapping(const struct wice_stun *stun, size_t index, struct wz_addr *ret);

#endif
