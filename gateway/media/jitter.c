#include "gateway/media/jitter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/jitter_store.h"
#include "gateway/media/jitter_timing.h"
#include "wzp/base/seq.h"

#define DEFAULT_MIN_MS     20
#define DEFAULT_INITIAL_MS 40
#define DEFAULT_MAX_MS     200
#define LIMIT_MS           1000
/** Frames between two changes of the delay while someone speaks, and while nobody does. */
#define CHANGE_EVERY       25
#define CHANGE_EVERY_QUIET 2
/** While packets go missing that a longer delay would bring back. */
#define CHANGE_EVERY_HOLD 4
/** Concealed frames in a row after which nothing is heard any more, so that waiting longer does no harm. */
#define FADED_FRAMES 5
/** A packet this long overdue is played although the gap before it is not filled up. */
#define OVERDUE_US 40000
/** Late or known packets in a row that prove a restarted stream rather than a slow network. */
#define STALE_RUN 5
/** Largest loss that is taken for one when nothing waits; beyond, the sender has restarted. */
#define LOSS_STEP_MAX 3000
/** The shortest Opus frame: gaps below it are rounding. */
#define GAP_MIN_DIVISOR 400

enum slot_state {
    SLOT_FREE,
    SLOT_WAITING, /**< holds a payload */
    SLOT_OTHER,   /**< the number was used by a packet without audio, or came late before it was missed */
    SLOT_LOST,    /**< given up */
    SLOT_PLAYED,
};

struct slot {
    int64_t ticks;
    uint32_t duration;
    uint16_t seq;
    uint16_t len;
    uint8_t chunk;
    uint8_t tag;
    uint8_t state; /**< enum slot_state */
};

struct gw_jitter {
    uint32_t clock_hz;
    int64_t max_ticks;
    struct gw_timing timing;
    int64_t hold_us;

    bool synced;       /**< a stream is known */
    bool playing;      /**< its first frame was due */
    uint16_t last_seq; /**< everything up to it is accounted for */
    uint16_t highest_seq;
    int64_t last_ticks;   /**< for unwrapping */
    int64_t end_ticks;    /**< one past the newest packet's audio */
    int64_t floor_ticks;  /**< audio before this has been played or given up: later arrivals are late */
    int64_t play_ticks;   /**< the play point; runs ahead of floor in an underrun */
    uint32_t frame_ticks; /**< duration of the newest frame */

    unsigned waiting;
    unsigned underrun_run; /**< UNDERRUN frames whose reason (loss, lateness, pause) is not known yet */
    unsigned stale_run;
    unsigned since_change; /**< frames since the delay was changed on purpose */
    int64_t least_fill[2]; /**< least audio left after a frame, of this and of the former half second */
    unsigned fill_age;
    bool is_silent;
    bool has_candidate; /**< a jump waits to be confirmed by its successor */
    uint16_t candidate_seq;

    struct gw_jitter_stats stats;
    struct slot slot[GW_JITTER_SLOTS];
    struct gw_store store;
    uint8_t out[GW_JITTER_PAYLOAD_MAX];
};

int gw_jitter_new(struct gw_jitter **ret, const struct gw_jitter_config *config)
{
    const unsigned min_ms = config->min_ms ? config->min_ms : DEFAULT_MIN_MS;
    const unsigned initial_ms = config->initial_ms ? config->initial_ms : DEFAULT_INITIAL_MS;
    const unsigned max_ms = config->max_ms ? config->max_ms : DEFAULT_MAX_MS;
    struct gw_jitter *j;

    if (config->clock_hz < 1000 || config->clock_hz > 192000 || min_ms > initial_ms || initial_ms > max_ms ||
        max_ms > LIMIT_MS)
        return -EINVAL;
    j = calloc(1, sizeof *j);
    if (!j)
        return -ENOMEM;
    j->clock_hz = config->clock_hz;
    j->max_ticks = (int64_t)max_ms * config->clock_hz / 1000;
    j->frame_ticks = config->clock_hz / 50;
    gw_timing_init(&j->timing, config->clock_hz, min_ms, initial_ms, max_ms);
    gw_store_init(&j->store);
    *ret = j;
    return 0;
}

void gw_jitter_free(struct gw_jitter *jitter)
{
    free(jitter);
}

static struct slot *slot_of(struct gw_jitter *j, uint16_t seq)
{
    return &j->slot[seq % GW_JITTER_SLOTS];
}

static bool slot_is(struct gw_jitter *j, uint16_t seq, enum slot_state state)
{
    const struct slot *s = slot_of(j, seq);
    return s->state == state && s->seq == seq;
}

static void release(struct gw_jitter *j, struct slot *s, enum slot_state state)
{
    if (s->state == SLOT_WAITING) {
        gw_store_release(&j->store, s->chunk);
        j->waiting--;
    }
    s->state = (uint8_t)state;
}

static void mark(struct gw_jitter *j, uint16_t seq, enum slot_state state)
{
    struct slot *s = slot_of(j, seq);

    release(j, s, state);
    s->seq = seq;
    s->ticks = INT64_MIN;
}

void gw_jitter_reset(struct gw_jitter *jitter)
{
    for (unsigned i = 0; i < GW_JITTER_SLOTS; i++)
        release(jitter, &jitter->slot[i], SLOT_FREE);
    jitter->synced = jitter->playing = jitter->has_candidate = false;
    jitter->underrun_run = jitter->stale_run = 0;
    gw_timing_restart(&jitter->timing);
}

static int64_t target_us(const struct gw_jitter *j)
{
    return j->timing.target_us + j->hold_us;
}

static int64_t ticks_of_us(const struct gw_jitter *j, int64_t us)
{
    return us * j->clock_hz / 1000000;
}

/* ---- in ---- */

/* Whatever is missing before seq is lost; seq itself comes next. */
static void give_up_before(struct gw_jitter *j, uint16_t seq)
{
    const uint16_t missing = (uint16_t)(seq - j->last_seq - 1);

    if (missing >= GW_JITTER_SLOTS) {
        j->stats.lost += missing;
    } else {
        for (uint16_t s = (uint16_t)(j->last_seq + 1); s != seq; s++) {
            if (slot_is(j, s, SLOT_OTHER))
                continue;
            mark(j, s, SLOT_LOST);
            j->stats.lost++;
        }
    }
    j->last_seq = (uint16_t)(seq - 1);
}

static void start_at(struct gw_jitter *j, const struct gw_jitter_packet *p)
{
    gw_jitter_reset(j);
    j->synced = true;
    j->last_seq = (uint16_t)(p->seq - 1);
    j->highest_seq = p->seq;
    j->last_ticks = p->timestamp;
    j->end_ticks = j->floor_ticks = j->play_ticks = p->timestamp;
    j->least_fill[0] = j->least_fill[1] = 0;
    j->fill_age = 0;
    j->since_change = 0;
}

static int64_t unwrap(const struct gw_jitter *j, uint32_t timestamp)
{
    return j->last_ticks + seq32_diff(timestamp, (uint32_t)j->last_ticks);
}

/* A jump is believed when the next packet continues it. */
static int follow_jump(struct gw_jitter *j, const struct gw_jitter_packet *p)
{
    if (!j->has_candidate || p->seq != (uint16_t)(j->candidate_seq + 1)) {
        j->has_candidate = true;
        j->candidate_seq = p->seq;
        return -EAGAIN;
    }
    start_at(j, p);
    j->stats.resyncs++;
    return 0;
}

/* A packet that is not new, or comes behind the play point. Several in a row, each continuing the one before, are a
 * restarted stream: a WZP peer begins at zero again when its path changes. */
static int take_stale(struct gw_jitter *j, const struct gw_jitter_packet *p, int err)
{
    j->stale_run = j->stale_run > 0 && p->seq == (uint16_t)(j->candidate_seq + 1) ? j->stale_run + 1 : 1;
    j->candidate_seq = p->seq;
    if (j->stale_run < STALE_RUN)
        return err;
    start_at(j, p);
    j->stats.resyncs++;
    return 0;
}

static int take_duplicate(struct gw_jitter *j, const struct gw_jitter_packet *p)
{
    j->stats.duplicate++;
    return take_stale(j, p, -EEXIST);
}

static int take_late(struct gw_jitter *j, const struct gw_jitter_packet *p, int64_t ticks, uint64_t now_us)
{
    const bool was_missed = slot_is(j, p->seq, SLOT_LOST);

    if (slot_is(j, p->seq, SLOT_PLAYED) && slot_of(j, p->seq)->ticks == ticks)
        return take_duplicate(j, p);
    if (was_missed)
        j->stats.lost--;
    if (was_missed || seq16_before(j->last_seq, p->seq))
        mark(j, p->seq, SLOT_OTHER);
    j->stats.late++;
    gw_timing_packet(&j->timing, ticks, now_us);
    return take_stale(j, p, -ETIME);
}

/* The first packets came out of order. */
static bool extends_backwards(struct gw_jitter *j, const struct gw_jitter_packet *p, int64_t ticks)
{
    if (j->playing || seq16_diff(j->highest_seq, p->seq) >= GW_JITTER_SLOTS || slot_of(j, p->seq)->state != SLOT_FREE)
        return false;
    j->last_seq = (uint16_t)(p->seq - 1);
    if (ticks < j->floor_ticks)
        j->floor_ticks = j->play_ticks = ticks;
    return true;
}

/* Where the packet lies: 0 to take it, else why not. */
static int place(struct gw_jitter *j, const struct gw_jitter_packet *p, uint64_t now_us)
{
    const int64_t ticks = unwrap(j, p->timestamp);
    const int16_t ahead = seq16_diff(p->seq, j->last_seq);

    if (gw_timing_is_jump(&j->timing, ticks, now_us))
        return follow_jump(j, p);
    if (ahead <= 0 && extends_backwards(j, p, ticks))
        return 0;
    if (ahead <= -GW_JITTER_SLOTS || ahead > LOSS_STEP_MAX || (ahead >= GW_JITTER_SLOTS && j->waiting > 0))
        return follow_jump(j, p);
    if (ahead <= 0)
        return take_late(j, p, ticks, now_us);
    if (slot_is(j, p->seq, SLOT_WAITING) || slot_is(j, p->seq, SLOT_OTHER))
        return take_duplicate(j, p);
    if (j->playing && ticks + p->duration_ticks <= j->floor_ticks)
        return take_late(j, p, ticks, now_us);
    if (ahead >= GW_JITTER_SLOTS)
        give_up_before(j, p->seq);
    return 0;
}

static struct slot *first_waiting(struct gw_jitter *j)
{
    if (j->waiting == 0)
        return NULL;
    for (uint16_t n = 1; n < GW_JITTER_SLOTS; n++) {
        const uint16_t seq = (uint16_t)(j->last_seq + n);
        if (slot_is(j, seq, SLOT_WAITING))
            return slot_of(j, seq);
    }
    return NULL;
}

/* Too much audio waits: this, the oldest, goes unplayed. */
static void discard(struct gw_jitter *j, struct slot *s)
{
    give_up_before(j, s->seq);
    j->last_seq = s->seq;
    j->floor_ticks = j->play_ticks = s->ticks + s->duration;
    release(j, s, SLOT_PLAYED);
    j->stats.overflow++;
}

static int store(struct gw_jitter *j, const struct gw_jitter_packet *p, int64_t ticks)
{
    struct slot *s = slot_of(j, p->seq);
    uint8_t chunk;

    while (gw_store_put(&j->store, p->payload, &chunk) < 0) {
        struct slot *oldest = first_waiting(j);
        if (!oldest || seq16_before(p->seq, oldest->seq)) {
            j->stats.overflow++;
            return -ENOSPC;
        }
        discard(j, oldest);
    }
    release(j, s, SLOT_FREE);
    *s = (struct slot){
        .state = SLOT_WAITING,
        .seq = p->seq,
        .len = (uint16_t)p->payload.len,
        .chunk = chunk,
        .duration = p->duration_ticks,
        .ticks = ticks,
        .tag = p->tag,
    };
    j->waiting++;
    if (ticks + p->duration_ticks > j->end_ticks)
        j->end_ticks = ticks + p->duration_ticks;
    if (seq16_before(j->highest_seq, p->seq))
        j->highest_seq = p->seq;
    return 0;
}

/* A rebuilt packet fits into the stream as it is or is of no use any more. */
static int put_repaired(struct gw_jitter *j, const struct gw_jitter_packet *p)
{
    const int64_t ticks = unwrap(j, p->timestamp);
    const int16_t ahead = seq16_diff(p->seq, j->last_seq);
    int err;

    if (!j->synced || ahead >= GW_JITTER_SLOTS || (j->playing && ticks + p->duration_ticks <= j->floor_ticks) ||
        (ahead <= 0 && !extends_backwards(j, p, ticks)))
        return -ETIME;
    if (slot_is(j, p->seq, SLOT_WAITING) || slot_is(j, p->seq, SLOT_OTHER))
        return -EEXIST;
    err = store(j, p, ticks);
    if (!err)
        j->stats.repaired++;
    return err;
}

int gw_jitter_put(struct gw_jitter *jitter, const struct gw_jitter_packet *packet, uint64_t now_us)
{
    int err;

    if (packet->duration_ticks == 0 || packet->duration_ticks > jitter->clock_hz || packet->payload.len == 0 ||
        packet->payload.len > GW_JITTER_PAYLOAD_MAX)
        return -EINVAL;
    if (packet->is_repaired)
        return put_repaired(jitter, packet);
    if (!jitter->synced)
        start_at(jitter, packet);
    err = place(jitter, packet, now_us);
    if (err)
        return err;
    const int64_t ticks = unwrap(jitter, packet->timestamp);
    err = store(jitter, packet, ticks);
    if (err)
        return err;
    jitter->last_ticks = ticks;
    jitter->has_candidate = false;
    jitter->stale_run = 0;
    jitter->stats.received++;
    gw_timing_packet(&jitter->timing, ticks, now_us);
    return 0;
}

void gw_jitter_note(struct gw_jitter *jitter, uint16_t seq)
{
    const int16_t ahead = seq16_diff(seq, jitter->last_seq);

    if (!jitter->synced || ahead <= 0)
        return;
    if (ahead >= GW_JITTER_SLOTS) {
        if (jitter->waiting > 0 || ahead > LOSS_STEP_MAX)
            return; /* a jump: the next audio packet tells */
        give_up_before(jitter, seq);
    }
    if (slot_is(jitter, seq, SLOT_WAITING))
        return;
    mark(jitter, seq, SLOT_OTHER);
    /* A stream that sends nothing else for long (comfort noise) must not fill the window. */
    while (slot_is(jitter, (uint16_t)(jitter->last_seq + 1), SLOT_OTHER))
        jitter->last_seq++;
}

/* ---- out ---- */

static bool is_missing_before(struct gw_jitter *j, const struct slot *s)
{
    for (uint16_t seq = (uint16_t)(j->last_seq + 1); seq != s->seq; seq++) {
        if (!slot_is(j, seq, SLOT_OTHER))
            return true;
    }
    return false;
}

/* The longest delay allowed bounds what waits. */
static struct slot *trim(struct gw_jitter *j, struct slot *s)
{
    while (s && j->waiting > 1 && j->end_ticks - s->ticks > j->max_ticks + ticks_of_us(j, j->hold_us) + s->duration) {
        discard(j, s);
        s = first_waiting(j);
    }
    return s;
}

static struct wz_bytes load(struct gw_jitter *j, const struct slot *s)
{
    gw_store_copy(&j->store, s->chunk, j->out, s->len);
    return wz_bytes(j->out, s->len);
}

/* The reason of the frames invented while nothing was there is known once the next packet is. */
static void settle_underruns(struct gw_jitter *j, bool is_pause)
{
    if (is_pause)
        j->stats.silence += j->underrun_run;
    else
        j->stats.concealed += j->underrun_run;
    j->underrun_run = 0;
}

static void pop_underrun(struct gw_jitter *j, struct gw_jitter_out *out)
{
    out->kind = GW_JITTER_UNDERRUN;
    out->duration_ticks = j->frame_ticks;
    j->play_ticks += j->frame_ticks;
    if (j->underrun_run < UINT16_MAX)
        j->underrun_run++;
    j->least_fill[0] = 0;
}

static void pop_gap(struct gw_jitter *j, const struct slot *next, struct gw_jitter_out *out)
{
    const int64_t gap = next->ticks - j->play_ticks;
    const bool is_loss = is_missing_before(j, next);

    settle_underruns(j, !is_loss);
    out->kind = is_loss ? GW_JITTER_LOST : GW_JITTER_SILENCE;
    out->duration_ticks = gap < j->frame_ticks ? (uint32_t)gap : j->frame_ticks;
    j->play_ticks += out->duration_ticks;
    j->floor_ticks = j->play_ticks;
    if (!is_loss) {
        j->stats.silence++;
        return;
    }
    j->stats.concealed++;
    out->fec = load(j, next);
    out->fec_ahead_ticks = (uint32_t)gap;
    out->tag = next->tag;
}

static unsigned change_every(const struct gw_jitter *j)
{
    return j->is_silent ? CHANGE_EVERY_QUIET : CHANGE_EVERY;
}

static bool wants_growth(const struct gw_jitter *j, const struct slot *s, uint64_t now_us)
{
    const int64_t short_ticks = ticks_of_us(j, target_us(j) - gw_timing_delay_us(&j->timing, s->ticks, now_us));

    if (short_ticks * 2 <= s->duration)
        return false;
    return j->underrun_run >= FADED_FRAMES || j->since_change >= change_every(j) ||
           (j->hold_us > 0 && j->since_change >= CHANGE_EVERY_HOLD);
}

static bool wants_shrinking(struct gw_jitter *j, const struct slot *s, uint64_t now_us)
{
    const int64_t spare_ticks = ticks_of_us(j, gw_timing_delay_us(&j->timing, s->ticks, now_us) - target_us(j));
    const int64_t fill = j->end_ticks - s->ticks - s->duration;
    int64_t least = j->least_fill[0] < j->least_fill[1] ? j->least_fill[0] : j->least_fill[1];

    if (j->is_silent)
        least = fill;
    return spare_ticks > s->duration + s->duration / 4 && least >= s->duration && fill >= s->duration &&
           j->since_change >= change_every(j);
}

static void watch_fill(struct gw_jitter *j)
{
    const int64_t fill = j->end_ticks - j->play_ticks;

    if (fill < j->least_fill[0])
        j->least_fill[0] = fill;
    if (++j->fill_age >= CHANGE_EVERY) {
        j->least_fill[1] = j->least_fill[0];
        j->least_fill[0] = fill;
        j->fill_age = 0;
    }
}

static void pop_frame(struct gw_jitter *j, struct slot *s, uint64_t now_us, struct gw_jitter_out *out)
{
    out->kind = GW_JITTER_FRAME;
    out->drop = wants_shrinking(j, s, now_us);
    out->seq = s->seq;
    out->tag = s->tag;
    out->duration_ticks = s->duration;
    out->payload = load(j, s);

    settle_underruns(j, !is_missing_before(j, s) && s->ticks > j->floor_ticks);
    give_up_before(j, s->seq);
    j->last_seq = s->seq;
    j->stats.delay_us = (uint32_t)gw_timing_delay_us(&j->timing, s->ticks, now_us);
    j->frame_ticks = s->duration;
    j->floor_ticks = j->play_ticks = s->ticks + s->duration;
    release(j, s, SLOT_PLAYED);
    if (out->drop) {
        j->stats.shrunk++;
        j->since_change = 0;
        return;
    }
    j->since_change++;
    watch_fill(j);
}

void gw_jitter_pop(struct gw_jitter *jitter, uint64_t now_us, struct gw_jitter_out *ret)
{
    struct slot *s = first_waiting(jitter);

    *ret = (struct gw_jitter_out){ .kind = GW_JITTER_EMPTY, .duration_ticks = jitter->frame_ticks };
    if (!jitter->playing) {
        if (!s || gw_timing_delay_us(&jitter->timing, s->ticks, now_us) < target_us(jitter))
            return;
        jitter->playing = true;
        jitter->floor_ticks = jitter->play_ticks = s->ticks;
    }
    s = trim(jitter, s);
    if (!s) {
        pop_underrun(jitter, ret);
        return;
    }
    const bool is_gap = s->ticks - jitter->play_ticks >= jitter->clock_hz / GAP_MIN_DIVISOR;
    const int64_t overdue_us = gw_timing_delay_us(&jitter->timing, s->ticks, now_us) - target_us(jitter);
    if (is_gap && overdue_us < OVERDUE_US) {
        pop_gap(jitter, s, ret);
    } else if (wants_growth(jitter, s, now_us)) {
        ret->kind = GW_JITTER_GROW;
        ret->duration_ticks = s->duration;
        jitter->stats.concealed++;
        jitter->since_change = 0;
    } else {
        pop_frame(jitter, s, now_us, ret);
    }
}

void gw_jitter_set_hold(struct gw_jitter *jitter, uint32_t hold_us)
{
    jitter->hold_us = hold_us;
}

void gw_jitter_hint_silence(struct gw_jitter *jitter, bool is_silent)
{
    jitter->is_silent = is_silent;
}

void gw_jitter_stats(const struct gw_jitter *jitter, struct gw_jitter_stats *ret)
{
    *ret = jitter->stats;
    ret->jitter_us = jitter->timing.jitter_scaled_us >> 4;
    ret->target_us = (uint32_t)target_us(jitter);
    ret->depth = jitter->waiting;
}
