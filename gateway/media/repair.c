#include "gateway/media/repair.h"

#include <string.h>

#include "wzp/base/seq.h"

/** K of the profiles that send Codec2. */
#define BLOCK_3200 5
#define BLOCK_1200 8
/** A block id heard again after this long is another block: ids wrap after 256. */
#define BLOCK_LIFE_US 2000000u

static unsigned index_of(enum wzp_codec codec)
{
    return codec == WZP_CODEC_CODEC2_1200;
}

static unsigned block_frames(enum wzp_codec codec)
{
    return codec == WZP_CODEC_CODEC2_1200 ? BLOCK_1200 : BLOCK_3200;
}

static void forget(struct gw_repair_codec *c)
{
    if (c->decoder)
        wzp_fec_decoder_reset(c->decoder);
    memset(c->block, 0, sizeof c->block);
}

void gw_repair_done(struct gw_repair *repair)
{
    for (unsigned i = 0; i < 2; i++)
        wzp_fec_decoder_free(repair->codec[i].decoder);
    *repair = (struct gw_repair){ 0 };
}

void gw_repair_reset(struct gw_repair *repair)
{
    for (unsigned i = 0; i < 2; i++)
        forget(&repair->codec[i]);
    repair->has_current = repair->has_seq = false;
}

/* ---- where symbols stood ---- */

static struct gw_repair_block *block_of(struct gw_repair_codec *c, uint8_t block)
{
    return &c->block[block % GW_REPAIR_BLOCKS];
}

static void note_place(struct gw_repair_codec *c, const struct wzp_media_hdr *hdr, uint64_t now_us)
{
    struct gw_repair_block *b = block_of(c, hdr->fec_block);
    const uint32_t frame_ms = wzp_codec_frame_ms(hdr->codec);
    const uint32_t bit = hdr->fec_symbol < GW_REPAIR_SYMBOLS ? 1u << hdr->fec_symbol : 0;
    const bool is_reused = b->seen & bit && b->seq[hdr->fec_symbol] != hdr->seq;

    if (!b->used || b->block != hdr->fec_block || is_reused || now_us - b->last_us > BLOCK_LIFE_US)
        *b = (struct gw_repair_block){ .used = true, .block = hdr->fec_block };
    b->last_us = now_us;
    if (bit == 0)
        return;
    b->seen |= bit;
    b->seq[hdr->fec_symbol] = hdr->seq;
    /* Repair packets all carry the time of the frame behind the block: symbol K's. */
    b->frame_ms[hdr->fec_symbol] =
        hdr->timestamp_ms + (hdr->is_repair ? (hdr->fec_symbol - block_frames(hdr->codec)) * frame_ms : 0);
}

/* The packets of a block follow one another, but comfort noise may stand between two: the nearest neighbour knows best. */
static bool place(const struct gw_repair_block *b, uint8_t symbol, uint32_t frame_ms, struct gw_repair_frame *ret)
{
    for (unsigned away = 1; away < GW_REPAIR_SYMBOLS; away++) {
        const int side[] = { symbol - (int)away, symbol + (int)away };
        for (unsigned i = 0; i < 2; i++) {
            if (side[i] < 0 || side[i] >= GW_REPAIR_SYMBOLS || !(b->seen >> side[i] & 1))
                continue;
            const int step = symbol - side[i];
            ret->seq = (uint16_t)(b->seq[side[i]] + step);
            ret->timestamp_ms = b->frame_ms[side[i]] + (uint32_t)step * frame_ms;
            return true;
        }
    }
    return false;
}

/* ---- in and out ---- */

void gw_repair_expect_loss(struct gw_repair *repair, uint64_t now_us)
{
    repair->lossy_until_us = now_us + GW_REPAIR_CALM_US;
}

static void watch_loss(struct gw_repair *repair, uint16_t seq, uint64_t now_us)
{
    const int16_t ahead = repair->has_seq ? seq16_diff(seq, repair->highest_seq) : 0;

    if (ahead > 1)
        gw_repair_expect_loss(repair, now_us);
    if (!repair->has_seq || ahead > 0)
        repair->highest_seq = seq;
    repair->has_seq = true;
}

unsigned gw_repair_packet(struct gw_repair *repair, const struct wzp_media_hdr *hdr, struct wz_bytes payload,
                          uint64_t now_us)
{
    struct gw_repair_codec *c = &repair->codec[index_of(hdr->codec)];

    if (!c->decoder && wzp_fec_decoder_new(&c->decoder, block_frames(hdr->codec)) < 0)
        return 0;
    if (repair->has_current && repair->current != hdr->codec)
        forget(&repair->codec[index_of(repair->current)]); /* its open block is never finished */
    repair->has_current = true;
    repair->current = hdr->codec;
    watch_loss(repair, hdr->seq, now_us);
    note_place(c, hdr, now_us);
    if (hdr->is_repair)
        return wzp_fec_decoder_repair(c->decoder, hdr->fec_block, hdr->fec_symbol, payload, now_us);
    return wzp_fec_decoder_source(c->decoder, hdr->fec_block, hdr->fec_symbol, payload, now_us);
}

void gw_repair_note(struct gw_repair *repair, uint16_t seq)
{
    if (repair->has_seq && seq == (uint16_t)(repair->highest_seq + 1))
        repair->highest_seq = seq;
}

void gw_repair_leave(struct gw_repair *repair)
{
    if (!repair->has_current)
        return;
    forget(&repair->codec[index_of(repair->current)]);
    repair->has_current = repair->has_seq = false;
}

bool gw_repair_take(struct gw_repair *repair, struct gw_repair_frame *ret)
{
    struct gw_repair_codec *c = &repair->codec[index_of(repair->current)];

    while (repair->has_current && wzp_fec_decoder_take(c->decoder, &ret->frame)) {
        const struct gw_repair_block *b = block_of(c, ret->frame.block);
        if (!b->used || b->block != ret->frame.block ||
            !place(b, ret->frame.symbol, wzp_codec_frame_ms(repair->current), ret))
            continue;
        repair->repaired++;
        return true;
    }
    return false;
}

uint32_t gw_repair_hold_us(const struct gw_repair *repair, uint64_t now_us)
{
    if (!repair->has_current || now_us >= repair->lossy_until_us)
        return 0;
    /* The first frame of a block waits for the last one and the repair packets right behind it. */
    return (block_frames(repair->current) - 1) * wzp_codec_frame_ms(repair->current) * 1000;
}
