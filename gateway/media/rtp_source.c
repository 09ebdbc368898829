#include "gateway/media/rtp_source.h"

#include <stdlib.h>

#include "wzp/base/seq.h"

#define SEQ_MOD      (UINT32_C(1) << 16)
#define MAX_DROPOUT  3000
#define MAX_MISORDER 100
#define SEEN_WINDOW  64

static void restart_at(struct gw_rtp_source *s, uint16_t seq)
{
    s->base_seq = seq;
    s->highest_seq = seq;
    s->bad_seq = SEQ_MOD + 1; /* no sequence number equals this */
    s->cycles = 0;
    s->received = 0;
    s->duplicates = 0;
    s->seen = 0;
    s->expected_prior = 0;
    s->received_prior = 0;
}

void gw_rtp_source_start(struct gw_rtp_source *source, uint32_t ssrc, uint32_t clock_hz)
{
    *source = (struct gw_rtp_source){ .ssrc = ssrc, .clock_hz = clock_hz };
}

/* ahead: of the highest before. Packets further behind than the window count as new. */
static void note_seen(struct gw_rtp_source *s, int16_t ahead)
{
    if (ahead > 0) {
        s->seen = ahead < SEEN_WINDOW ? s->seen << ahead | 1 : 1;
    } else if (ahead > -SEEN_WINDOW) {
        const uint64_t bit = UINT64_C(1) << -ahead;
        s->duplicates += (s->seen & bit) != 0;
        s->seen |= bit;
    }
}

/* RFC 3550 appendix A.1, without its probation: the latch has qualified the stream before. */
static bool update_seq(struct gw_rtp_source *s, uint16_t seq)
{
    const uint16_t step = (uint16_t)(seq - s->highest_seq);
    int16_t ahead = seq16_diff(seq, s->highest_seq);

    if (step < MAX_DROPOUT) {
        if (seq < s->highest_seq)
            s->cycles += SEQ_MOD;
        s->highest_seq = seq;
    } else if (step <= SEQ_MOD - MAX_MISORDER) {
        if (seq != s->bad_seq) {
            s->bad_seq = (seq + 1u) & (SEQ_MOD - 1);
            return false;
        }
        restart_at(s, seq); /* two in a row: the sender has restarted */
        ahead = 0;
    }
    note_seen(s, ahead);
    s->received++;
    return true;
}

static void update_jitter(struct gw_rtp_source *s, uint32_t timestamp_ticks, uint64_t now_us)
{
    const uint32_t arrival_ticks = (uint32_t)(now_us * s->clock_hz / 1000000);
    const int32_t transit = (int32_t)(arrival_ticks - timestamp_ticks);

    if (s->received > 1) {
        const int64_t d = llabs((int64_t)(int32_t)((uint32_t)transit - (uint32_t)s->transit_ticks));
        /* A restarted timestamp clock is no jitter. */
        if (d < (int64_t)s->clock_hz)
            s->jitter_scaled = (uint32_t)((int64_t)s->jitter_scaled + d - ((s->jitter_scaled + 8) >> 4));
    }
    s->transit_ticks = transit;
}

bool gw_rtp_source_packet(struct gw_rtp_source *source, uint16_t seq, uint32_t timestamp_ticks, uint64_t now_us)
{
    if (!source->active) {
        restart_at(source, seq);
        source->active = true;
        source->received = 1;
        source->seen = 1;
    } else if (!update_seq(source, seq)) {
        return false;
    }
    update_jitter(source, timestamp_ticks, now_us);
    return true;
}

void gw_rtp_source_sr(struct gw_rtp_source *source, uint64_t ntp, uint64_t now_us)
{
    source->last_sr = gw_rtcp_ntp_middle(ntp);
    source->last_sr_us = now_us;
}

static uint32_t expected(const struct gw_rtp_source *s)
{
    return s->active ? s->cycles + s->highest_seq - s->base_seq + 1 : 0;
}

void gw_rtp_source_report(struct gw_rtp_source *source, uint64_t now_us, struct gw_rtcp_block *ret)
{
    const uint32_t all = expected(source);
    const uint32_t expected_now = all - source->expected_prior;
    const uint32_t received_now = source->received - source->received_prior;

    source->expected_prior = all;
    source->received_prior = source->received;
    *ret = (struct gw_rtcp_block){
        .ssrc = source->ssrc,
        .lost = (int32_t)(all - source->received),
        .highest_seq = source->cycles | source->highest_seq,
        .jitter_ticks = source->jitter_scaled >> 4,
        .last_sr = source->last_sr,
    };
    if (expected_now > received_now) {
        const uint64_t fraction = ((uint64_t)(expected_now - received_now) << 8) / expected_now;
        ret->fraction_lost = (uint8_t)(fraction > 255 ? 255 : fraction);
    }
    if (source->last_sr)
        ret->delay_since_sr = (uint32_t)((now_us - source->last_sr_us) * 65536 / 1000000);
}

uint32_t gw_rtp_source_lost(const struct gw_rtp_source *source)
{
    const uint32_t all = expected(source);
    const uint32_t came = source->received - source->duplicates;
    return all > came ? all - came : 0;
}

uint32_t gw_rtp_source_jitter_us(const struct gw_rtp_source *source)
{
    if (source->clock_hz == 0)
        return 0;
    return (uint32_t)((uint64_t)(source->jitter_scaled >> 4) * 1000000 / source->clock_hz);
}
