#include <errno.h>
#include <stdlib.h>

#include "wzp/core/fec_symbol.h"
#include "wzp/core/gf256.h"

/** Repair symbols kept of one block: as many as it can lack, and one for each that tells nothing new. */
#define REPAIRS_MAX (WZP_FEC_BLOCK_MAX + 4)

/** A block id that is 1..128 behind another one is older. */
#define ID_HALF 128u

struct block {
    bool is_open;
    uint8_t id;
    uint64_t heard_us;
    uint32_t known; /**< bit i: source i is there */
    unsigned known_count, repair_count;
    uint8_t source[WZP_FEC_BLOCK_MAX][WZP_FEC_SYMBOL_BYTES];
    uint8_t esi[REPAIRS_MAX];
    uint8_t repair[REPAIRS_MAX][WZP_FEC_SYMBOL_BYTES];
};

/** What is missing of a block, as equations: one row for each repair symbol. */
struct equations {
    unsigned rows, unknowns;
    uint8_t symbol[WZP_FEC_BLOCK_MAX]; /**< of unknown i */
    uint8_t left[REPAIRS_MAX][WZP_FEC_BLOCK_MAX];
    uint8_t right[REPAIRS_MAX][WZP_FEC_SYMBOL_BYTES];
    uint8_t row_of[REPAIRS_MAX]; /**< rows change places here, not in memory */
};

struct wzp_fec_decoder {
    struct wzp_raptorq raptorq;
    unsigned block_frames;
    struct block blocks[WZP_FEC_OPEN_BLOCKS];
    bool has_newest;
    uint8_t newest;
    uint64_t newest_us;            /**< when a block of the window was last heard */
    uint64_t ignore_until_us[256]; /**< by id: complete */
    struct equations equations;
    uint8_t solved_block;
    unsigned next_unknown; /**< what was solved and not taken starts here */
    struct wzp_fec_counts counts;
};

int wzp_fec_decoder_new(struct wzp_fec_decoder **ret, unsigned block_frames)
{
    if (block_frames == 0 || block_frames > WZP_FEC_BLOCK_MAX)
        return -EINVAL;
    struct wzp_fec_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return -ENOMEM;
    int err = wzp_raptorq_init(&decoder->raptorq, block_frames);
    if (err) {
        free(decoder);
        return err;
    }
    decoder->block_frames = block_frames;
    *ret = decoder;
    return 0;
}

void wzp_fec_decoder_free(struct wzp_fec_decoder *decoder)
{
    free(decoder);
}

/** Nothing is left to take. */
static void drop_solved(struct wzp_fec_decoder *decoder)
{
    decoder->equations.unknowns = decoder->next_unknown = 0;
}

void wzp_fec_decoder_reset(struct wzp_fec_decoder *decoder)
{
    for (unsigned i = 0; i < WZP_FEC_OPEN_BLOCKS; i++)
        decoder->blocks[i].is_open = false;
    memset(decoder->ignore_until_us, 0, sizeof decoder->ignore_until_us);
    decoder->has_newest = false;
    drop_solved(decoder);
}

struct wzp_fec_counts wzp_fec_decoder_counts(const struct wzp_fec_decoder *decoder)
{
    return decoder->counts;
}

/* Blocks. */

static void open_block(struct block *block, uint8_t id)
{
    block->is_open = true;
    block->id = id;
    block->known = 0;
    block->known_count = block->repair_count = 0;
}

/** Ids behind newest, modulo 256: 0 for itself and for those ahead. */
static unsigned behind(uint8_t newest, uint8_t id)
{
    unsigned distance = (uint8_t)(newest - id);
    return distance <= ID_HALF ? distance : 0;
}

/** The window holds as many ids as there are slots, so each id has its own; a block that leaves it gives way to the one
 * that comes. */
static struct block *slot_of(struct wzp_fec_decoder *decoder, uint8_t id)
{
    _Static_assert(256 % WZP_FEC_OPEN_BLOCKS == 0, "neighbours have different slots across the wrap too");
    return &decoder->blocks[id % WZP_FEC_OPEN_BLOCKS];
}

/** The open block that a packet belongs to, or NULL: late. */
static struct block *block_for(struct wzp_fec_decoder *decoder, uint8_t id, uint64_t now_us)
{
    /* A sender that started again counts from anywhere: after a pause the window is where it says. */
    if (now_us - decoder->newest_us >= WZP_FEC_MEMORY_US)
        decoder->has_newest = false;
    if (now_us < decoder->ignore_until_us[id] ||
        (decoder->has_newest && behind(decoder->newest, id) >= WZP_FEC_OPEN_BLOCKS))
        return NULL;
    if (!decoder->has_newest || behind(id, decoder->newest))
        decoder->newest = id;
    decoder->has_newest = true;
    decoder->newest_us = now_us;

    struct block *block = slot_of(decoder, id);
    if (!block->is_open || block->id != id || now_us - block->heard_us >= WZP_FEC_MEMORY_US)
        open_block(block, id);
    block->heard_us = now_us;
    return block;
}

static void close_block(struct wzp_fec_decoder *decoder, struct block *block, uint64_t now_us)
{
    block->is_open = false;
    decoder->ignore_until_us[block->id] = now_us + WZP_FEC_MEMORY_US;
}

/* Solving. */

/** One equation: what of the repair symbol the known sources do not explain. */
static void set_row(struct wzp_fec_decoder *decoder, const struct block *block, unsigned row)
{
    struct equations *eq = &decoder->equations;
    const uint8_t *coefficient = decoder->raptorq.coefficient[block->esi[row]];
    unsigned unknown = 0;

    eq->row_of[row] = (uint8_t)row;
    memcpy(eq->right[row], block->repair[row], WZP_FEC_SYMBOL_BYTES);
    for (unsigned i = 0; i < decoder->block_frames; i++) {
        if (block->known >> i & 1u)
            wzp_gf256_add_scaled(eq->right[row], block->source[i], coefficient[i], WZP_FEC_SYMBOL_BYTES);
        else
            eq->left[row][unknown++] = coefficient[i];
    }
}

static void set_equations(struct wzp_fec_decoder *decoder, const struct block *block)
{
    struct equations *eq = &decoder->equations;

    eq->rows = block->repair_count;
    eq->unknowns = 0;
    for (unsigned i = 0; i < decoder->block_frames; i++)
        if (!(block->known >> i & 1u))
            eq->symbol[eq->unknowns++] = (uint8_t)i;
    for (unsigned row = 0; row < eq->rows; row++)
        set_row(decoder, block, row);
}

/** Bring a row with something in column `pivot` to that place. */
static bool choose_pivot(struct equations *eq, unsigned pivot)
{
    for (unsigned place = pivot; place < eq->rows; place++) {
        uint8_t row = eq->row_of[place];
        if (eq->left[row][pivot]) {
            eq->row_of[place] = eq->row_of[pivot];
            eq->row_of[pivot] = row;
            return true;
        }
    }
    return false;
}

/** Gauss and Jordan; unknown i is then right[row_of[i]]. False: the repair symbols do not say enough yet. */
static bool solve(struct equations *eq)
{
    for (unsigned pivot = 0; pivot < eq->unknowns; pivot++) {
        if (!choose_pivot(eq, pivot))
            return false;
        unsigned own = eq->row_of[pivot];
        uint8_t factor = wzp_gf256_inverse(eq->left[own][pivot]);
        wzp_gf256_scale(eq->left[own], factor, eq->unknowns);
        wzp_gf256_scale(eq->right[own], factor, WZP_FEC_SYMBOL_BYTES);
        for (unsigned row = 0; row < eq->rows; row++) {
            factor = eq->left[row][pivot];
            if (row == own || factor == 0)
                continue;
            wzp_gf256_add_scaled(eq->left[row], eq->left[own], factor, eq->unknowns);
            wzp_gf256_add_scaled(eq->right[row], eq->right[own], factor, WZP_FEC_SYMBOL_BYTES);
        }
    }
    return true;
}

/** The frames of what was solved. */
static unsigned count_frames(struct wzp_fec_decoder *decoder)
{
    const struct equations *eq = &decoder->equations;
    unsigned frames = 0;

    for (unsigned i = 0; i < eq->unknowns; i++)
        if (wzp_fec_frame_len(eq->right[eq->row_of[i]]))
            frames++;
    decoder->counts.recovered += frames;
    decoder->counts.bad += eq->unknowns - frames;
    return frames;
}

static unsigned try_block(struct wzp_fec_decoder *decoder, struct block *block, uint64_t now_us)
{
    if (block->known_count == decoder->block_frames) {
        close_block(decoder, block, now_us);
        return 0;
    }
    if (block->known_count + block->repair_count < decoder->block_frames)
        return 0;
    set_equations(decoder, block);
    if (!solve(&decoder->equations)) {
        drop_solved(decoder);
        return 0;
    }
    decoder->solved_block = block->id;
    close_block(decoder, block, now_us);
    return count_frames(decoder);
}

/* Packets. */

unsigned wzp_fec_decoder_source(struct wzp_fec_decoder *decoder, uint8_t block, uint8_t symbol, struct wz_bytes frame,
                                uint64_t now_us)
{
    drop_solved(decoder);
    if (symbol >= decoder->block_frames || !wzp_fec_frame_fits(frame)) {
        decoder->counts.odd++;
        return 0;
    }
    struct block *open = block_for(decoder, block, now_us);
    if (!open) {
        decoder->counts.late++;
        return 0;
    }
    uint8_t padded[WZP_FEC_SYMBOL_BYTES];
    wzp_fec_symbol_of(frame, padded);
    if (open->known >> symbol & 1u) {
        if (memcmp(open->source[symbol], padded, sizeof padded) == 0)
            return 0;
        open_block(open, block); /* unmodified senders reuse the id of a block they gave up */
    }
    memcpy(open->source[symbol], padded, sizeof padded);
    open->known |= 1u << symbol;
    open->known_count++;
    return try_block(decoder, open, now_us);
}

unsigned wzp_fec_decoder_repair(struct wzp_fec_decoder *decoder, uint8_t block, uint8_t esi, struct wz_bytes symbol,
                                uint64_t now_us)
{
    drop_solved(decoder);
    if (esi < decoder->block_frames || symbol.len != WZP_FEC_SYMBOL_BYTES) {
        decoder->counts.odd++;
        return 0;
    }
    struct block *open = block_for(decoder, block, now_us);
    if (!open) {
        decoder->counts.late++;
        return 0;
    }
    if (open->repair_count == REPAIRS_MAX || memchr(open->esi, esi, open->repair_count))
        return 0;
    open->esi[open->repair_count] = esi;
    memcpy(open->repair[open->repair_count++], symbol.data, WZP_FEC_SYMBOL_BYTES);
    return try_block(decoder, open, now_us);
}

bool wzp_fec_decoder_take(struct wzp_fec_decoder *decoder, struct wzp_fec_frame *ret)
{
    const struct equations *eq = &decoder->equations;

    while (decoder->next_unknown < eq->unknowns) {
        unsigned i = decoder->next_unknown++;
        const uint8_t *symbol = eq->right[eq->row_of[i]];
        size_t len = wzp_fec_frame_len(symbol);
        if (len == 0)
            continue;
        *ret = (struct wzp_fec_frame){ .block = decoder->solved_block, .symbol = eq->symbol[i], .len = len };
        memcpy(ret->data, symbol + WZP_FEC_PREFIX_BYTES, len);
        return true;
    }
    return false;
}
