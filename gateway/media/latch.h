/* Symmetric RTP: where a leg's packets may come from and where ours go. Explicit states, one learning per offer/answer.
 *
 *   UNLATCHED  send to the SDP address. Packets from exactly that address are played; a source whose IP is that of the SDP
 *              or of the signalling is watched: four packets in sequence with the negotiated payload type latch it.
 *   LATCHED    send to the learned source, play only its packets. For two seconds a stream from exactly the SDP address
 *              may still take over: it is the better match.
 *   LOCKED     nothing moves until the next offer/answer. A stream from exactly the SDP address locks at once.
 *
 * Everyone else is a stranger: dropped and counted, never sent to. Sans-IO; plain data. */
#ifndef GATEWAY_MEDIA_LATCH_H
#define GATEWAY_MEDIA_LATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/base/addr.h"

/** Packets in plausible sequence before a source is believed. */
#define GW_LATCH_PACKETS 4
/** Largest step of the sequence number that is still plausible. */
#define GW_LATCH_SEQ_STEP_MAX 50
/** How long LATCHED lasts before it becomes LOCKED. */
#define GW_LATCH_SETTLE_US 2000000u
/** Sources watched at once while unlatched. */
#define GW_LATCH_CANDIDATES 4

enum gw_latch_state {
    GW_LATCH_UNLATCHED,
    GW_LATCH_LATCHED,
    GW_LATCH_LOCKED,
};

enum gw_latch_verdict {
    GW_LATCH_ACCEPT, /**< media of this leg */
    GW_LATCH_WATCH,  /**< may become the source; not played yet */
    GW_LATCH_STRANGER,
};

struct gw_latch_candidate {
    struct wz_addr from;
    uint32_t ssrc;
    uint16_t seq;
    unsigned in_sequence;
};

struct gw_latch {
    enum gw_latch_state state;
    struct wz_addr sdp;        /**< address the peer wrote into its SDP */
    struct wz_addr signalling; /**< where its signalling comes from; only the IP counts */
    bool any_source;           /**< policy: believe any IP that sends four good packets (trunk opted out) */
    struct wz_addr source;     /**< learned; valid unless UNLATCHED */
    uint64_t latched_us;
    unsigned moves; /**< transitions to LATCHED or LOCKED since the start */
    struct gw_latch_candidate candidate[GW_LATCH_CANDIDATES];
    unsigned candidate_count;
};

void gw_latch_init(struct gw_latch *latch, const struct wz_addr *sdp, const struct wz_addr *signalling,
                   bool any_source);
/** A new offer/answer: another SDP address starts learning afresh; the same address keeps what was learned. */
void gw_latch_update(struct gw_latch *latch, const struct wz_addr *sdp, const struct wz_addr *signalling);
/** Judge one packet whose payload type was found to be negotiated. */
enum gw_latch_verdict gw_latch_packet(struct gw_latch *latch, const struct wz_addr *from, uint32_t ssrc, uint16_t seq,
                                      uint64_t now_us);
/** Where to send; family NONE when the SDP gave no usable address and nothing was learned. */
struct wz_addr gw_latch_target(const struct gw_latch *latch);
/** May RTCP come from this IP? */
bool gw_latch_knows_ip(const struct gw_latch *latch, const struct wz_addr *from);
const char *gw_latch_state_name(enum gw_latch_state state);

#endif
