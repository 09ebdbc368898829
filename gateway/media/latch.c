#include "gateway/media/latch.h"

#include "wzp/base/seq.h"

static bool is_sendable(const struct wz_addr *addr)
{
    return !wz_addr_is_any(addr) && addr->port != 0;
}

void gw_latch_init(struct gw_latch *latch, const struct wz_addr *sdp, const struct wz_addr *signalling, bool any_source)
{
    *latch = (struct gw_latch){
        .sdp = wz_addr_unmap(*sdp),
        .signalling = wz_addr_unmap(*signalling),
        .any_source = any_source,
    };
}

void gw_latch_update(struct gw_latch *latch, const struct wz_addr *sdp, const struct wz_addr *signalling)
{
    const struct wz_addr new_sdp = wz_addr_unmap(*sdp);

    latch->signalling = wz_addr_unmap(*signalling);
    if (wz_addr_equal(&latch->sdp, &new_sdp))
        return;
    /* RFC 2543 hold: c=0.0.0.0 says "send nothing", not "I have moved". */
    if (wz_addr_is_any(&new_sdp))
        return;
    latch->sdp = new_sdp;
    latch->state = GW_LATCH_UNLATCHED;
    latch->source = (struct wz_addr){ 0 };
    latch->candidate_count = 0;
}

static bool is_allowed_ip(const struct gw_latch *latch, const struct wz_addr *from)
{
    return latch->any_source || (!wz_addr_is_any(&latch->sdp) && wz_addr_same_ip(from, &latch->sdp)) ||
           (!wz_addr_is_any(&latch->signalling) && wz_addr_same_ip(from, &latch->signalling));
}

/* The record of one watched source. The one with the least progress makes room for a new one, the newest of equals: a
 * crowd of sources cannot push out the one that was there first. */
static struct gw_latch_candidate *candidate_of(struct gw_latch *latch, const struct wz_addr *from, uint32_t ssrc)
{
    struct gw_latch_candidate *victim = &latch->candidate[0];

    for (unsigned i = 0; i < latch->candidate_count; i++) {
        struct gw_latch_candidate *c = &latch->candidate[i];
        if (wz_addr_equal(&c->from, from)) {
            if (c->ssrc != ssrc)
                *c = (struct gw_latch_candidate){ .from = *from, .ssrc = ssrc };
            return c;
        }
        if (c->in_sequence <= victim->in_sequence)
            victim = c;
    }
    if (latch->candidate_count < GW_LATCH_CANDIDATES)
        victim = &latch->candidate[latch->candidate_count++];
    *victim = (struct gw_latch_candidate){ .from = *from, .ssrc = ssrc };
    return victim;
}

static bool has_qualified(struct gw_latch *latch, const struct wz_addr *from, uint32_t ssrc, uint16_t seq)
{
    struct gw_latch_candidate *c = candidate_of(latch, from, ssrc);
    const int16_t step = seq16_diff(seq, c->seq);

    if (c->in_sequence == 0 || step < 0 || step > GW_LATCH_SEQ_STEP_MAX)
        c->in_sequence = 1;
    else if (step > 0)
        c->in_sequence++;
    c->seq = seq;
    return c->in_sequence >= GW_LATCH_PACKETS;
}

static void latch_to(struct gw_latch *latch, const struct wz_addr *from, enum gw_latch_state state, uint64_t now_us)
{
    latch->state = state;
    latch->source = *from;
    latch->latched_us = now_us;
    latch->moves++;
    latch->candidate_count = 0;
}

enum gw_latch_verdict gw_latch_packet(struct gw_latch *latch, const struct wz_addr *from_raw, uint32_t ssrc,
                                      uint16_t seq, uint64_t now_us)
{
    const struct wz_addr from = wz_addr_unmap(*from_raw);
    const bool is_sdp = is_sendable(&latch->sdp) && wz_addr_equal(&from, &latch->sdp);

    if (latch->state == GW_LATCH_LATCHED && now_us >= latch->latched_us + GW_LATCH_SETTLE_US)
        latch->state = GW_LATCH_LOCKED;

    switch (latch->state) {
    case GW_LATCH_UNLATCHED:
        if (!is_sdp && !is_allowed_ip(latch, &from))
            return GW_LATCH_STRANGER;
        if (has_qualified(latch, &from, ssrc, seq)) {
            latch_to(latch, &from, is_sdp ? GW_LATCH_LOCKED : GW_LATCH_LATCHED, now_us);
            return GW_LATCH_ACCEPT;
        }
        return is_sdp ? GW_LATCH_ACCEPT : GW_LATCH_WATCH;
    case GW_LATCH_LATCHED:
        if (wz_addr_equal(&from, &latch->source))
            return GW_LATCH_ACCEPT;
        if (!is_sdp)
            return GW_LATCH_STRANGER;
        if (has_qualified(latch, &from, ssrc, seq)) {
            latch_to(latch, &from, GW_LATCH_LOCKED, now_us);
            return GW_LATCH_ACCEPT;
        }
        return GW_LATCH_WATCH;
    case GW_LATCH_LOCKED:
        return wz_addr_equal(&from, &latch->source) ? GW_LATCH_ACCEPT : GW_LATCH_STRANGER;
    }
    return GW_LATCH_STRANGER;
}

struct wz_addr gw_latch_target(const struct gw_latch *latch)
{
    if (latch->state != GW_LATCH_UNLATCHED)
        return latch->source;
    return is_sendable(&latch->sdp) ? latch->sdp : (struct wz_addr){ 0 };
}

bool gw_latch_knows_ip(const struct gw_latch *latch, const struct wz_addr *from_raw)
{
    const struct wz_addr from = wz_addr_unmap(*from_raw);

    if (latch->state != GW_LATCH_UNLATCHED)
        return wz_addr_same_ip(&from, &latch->source);
    return is_allowed_ip(latch, &from);
}

const char *gw_latch_state_name(enum gw_latch_state state)
{
    switch (state) {
    case GW_LATCH_UNLATCHED:
        return "unlatched";
    case GW_LATCH_LATCHED:
        return "latched";
    case GW_LATCH_LOCKED:
        return "locked";
    }
    return "?";
}
