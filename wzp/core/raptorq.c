#include "wzp/core/raptorq.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "wzp/core/gf256.h"
#include "wzp/core/raptorq_tables.h"

/* Names of RFC 6330 section 5.3: K' source symbols with padding, S and H symbols of the two pre-codes, W columns of the
 * LT part, P = L - W permanently inactive ones, P1 the smallest prime not below P. In all our rows H and P are 10. */
struct parameters {
    unsigned k_padded, systematic_index, s, w;
};

#define H  10u
#define P  10u
#define P1 11u

#define ROWS_MAX (18u + 11u + H) /**< L of the largest row */

/** The rows of table 2 that blocks of 1..16 symbols need. */
static const struct parameters table_2[] = {
    { 10, 254, 7, 17 },
    { 12, 630, 7, 19 },
    { 18, 682, 11, 29 },
};

/** Table 1: a degree is the first whose bound is above the random number. */
static const uint32_t degree_bound[] = {
    0,       5243,    529531,  704294,  791675,  844104,  879057,  904023,  922747,  937311,  948962,
    958494,  966438,  973160,  978921,  983914,  988283,  992138,  995565,  998631,  1001391, 1003887,
    1006157, 1008229, 1010129, 1011876, 1013490, 1014983, 1016370, 1017662, 1048576,
};

/** The system A * C = D of section 5.4.2.1, each row with its part of the right-hand side: how much of each source symbol
 * is in D. Solving turns A into the identity and `right` into C, the intermediate symbols. */
struct system {
    unsigned size; /**< L */
    uint8_t left[ROWS_MAX][ROWS_MAX];
    uint8_t right[ROWS_MAX][WZP_RAPTORQ_SOURCES_MAX];
};

/** Rand[y, i, m] of section 5.3.5.1. */
static uint32_t random_below(uint32_t y, uint32_t i, uint32_t m)
{
    uint32_t mixed = 0;

    for (unsigned table = 0; table < WZP_RAPTORQ_RANDOM_TABLES; table++)
        mixed ^= wzp_raptorq_random[table][((y >> 8 * table) + i) & 0xff];
    return mixed % m;
}

/** Deg[v] of section 5.3.5.2. */
static unsigned degree_of(const struct parameters *par, uint32_t v)
{
    unsigned degree = 1;

    while (v >= degree_bound[degree])
        degree++;
    return degree < par->w - 2 ? degree : par->w - 2;
}

/** Tuple[K', X] of section 5.3.5.4. */
struct tuple {
    uint32_t d, a, b, d1, a1, b1;
};

static struct tuple tuple_of(const struct parameters *par, uint32_t x)
{
    uint32_t odd = (53591u + par->systematic_index * 997u) | 1u;
    uint32_t y = 10267u * (par->systematic_index + 1u) + x * odd;
    struct tuple t = { .d = degree_of(par, random_below(y, 0, 1u << 20)) };

    t.a = 1 + random_below(y, 1, par->w - 1);
    t.b = random_below(y, 2, par->w);
    t.d1 = t.d < 4 ? 2 + random_below(x, 3, 2) : 2;
    t.a1 = 1 + random_below(x, 4, P1 - 1);
    t.b1 = random_below(x, 5, P1);
    return t;
}

/** The walk over the permanently inactive columns jumps over the numbers between P and P1. */
static uint32_t next_inactive(uint32_t b1, uint32_t a1)
{
    do
        b1 = (b1 + a1) % P1;
    while (b1 >= P);
    return b1;
}

/** Which intermediate symbols are added up in encoding symbol x (section 5.3.5.3): 1 in their columns, toggled. */
static void add_lt_row(const struct parameters *par, uint32_t x, uint8_t *columns)
{
    struct tuple t = tuple_of(par, x);

    for (uint32_t j = 0; j < t.d; j++, t.b = (t.b + t.a) % par->w)
        columns[t.b] ^= 1;
    if (t.b1 >= P)
        t.b1 = next_inactive(t.b1, t.a1);
    for (uint32_t j = 0; j < t.d1; j++, t.b1 = next_inactive(t.b1, t.a1))
        columns[par->w + t.b1] ^= 1;
}

/** Section 5.3.3.3, the first S rows. */
static void add_ldpc_rows(const struct parameters *par, struct system *sys)
{
    unsigned lt_only = par->w - par->s; /* B */

    for (unsigned i = 0; i < lt_only; i++) {
        unsigned step = 1 + i / par->s, row = i % par->s;
        for (unsigned times = 0; times < 3; times++, row = (row + step) % par->s)
            sys->left[row][i] ^= 1;
    }
    for (unsigned i = 0; i < par->s; i++) {
        sys->left[i][lt_only + i] ^= 1;
        sys->left[i][par->w + i % P] ^= 1;
        sys->left[i][par->w + (i + 1) % P] ^= 1;
    }
}

/** Section 5.3.3.3, the H rows behind them: MT * GAMMA and an identity. Column j of that product is x times column j + 1
 * plus column j of MT, because GAMMA holds the powers of x below its diagonal. */
static void add_hdpc_rows(const struct parameters *par, struct system *sys)
{
    const unsigned width = par->k_padded + par->s;
    uint8_t power = 1, column[H] = { 0 };

    for (unsigned i = 0; i < H; i++, power = wzp_gf256_mul(power, 2))
        column[i] = power;
    for (unsigned j = width; j-- > 0;) {
        if (j + 1 < width) {
            uint32_t first = random_below(j + 1, 6, H);
            wzp_gf256_scale(column, 2, H);
            column[first] ^= 1;
            column[(first + random_below(j + 1, 7, H - 1) + 1) % H] ^= 1;
        }
        for (unsigned i = 0; i < H; i++)
            sys->left[par->s + i][j] = column[i];
    }
    for (unsigned i = 0; i < H; i++)
        sys->left[par->s + i][width + i] = 1;
}

static void swap_rows(struct system *sys, unsigned a, unsigned b)
{
    uint8_t left[ROWS_MAX], right[WZP_RAPTORQ_SOURCES_MAX];

    memcpy(left, sys->left[a], sizeof left);
    memcpy(sys->left[a], sys->left[b], sizeof left);
    memcpy(sys->left[b], left, sizeof left);
    memcpy(right, sys->right[a], sizeof right);
    memcpy(sys->right[a], sys->right[b], sizeof right);
    memcpy(sys->right[b], right, sizeof right);
}

/** Gauss and Jordan. False: singular, which the RFC's choice of systematic indexes excludes. */
static bool solve(struct system *sys)
{
    for (unsigned pivot = 0; pivot < sys->size; pivot++) {
        unsigned found = pivot;
        while (found < sys->size && sys->left[found][pivot] == 0)
            found++;
        if (found == sys->size)
            return false;
        if (found != pivot)
            swap_rows(sys, found, pivot);
        uint8_t factor = wzp_gf256_inverse(sys->left[pivot][pivot]);
        wzp_gf256_scale(sys->left[pivot], factor, ROWS_MAX);
        wzp_gf256_scale(sys->right[pivot], factor, WZP_RAPTORQ_SOURCES_MAX);
        for (unsigned row = 0; row < sys->size; row++) {
            factor = sys->left[row][pivot];
            if (row == pivot || factor == 0)
                continue;
            wzp_gf256_add_scaled(sys->left[row], sys->left[pivot], factor, ROWS_MAX);
            wzp_gf256_add_scaled(sys->right[row], sys->right[pivot], factor, WZP_RAPTORQ_SOURCES_MAX);
        }
    }
    return true;
}

static const struct parameters *parameters_for(unsigned sources)
{
    const struct parameters *par = table_2;

    while (par->k_padded < sources)
        par++;
    return par;
}

/** Repair symbol `id` has the number that follows the padding. */
static void set_repair(struct wzp_raptorq *raptorq, const struct parameters *par, const struct system *sys, unsigned id)
{
    uint8_t columns[ROWS_MAX] = { 0 };

    add_lt_row(par, id + par->k_padded - raptorq->sources, columns);
    for (unsigned i = 0; i < sys->size; i++)
        if (columns[i])
            wzp_gf256_add_scaled(raptorq->coefficient[id], sys->right[i], 1, WZP_RAPTORQ_SOURCES_MAX);
}

int wzp_raptorq_init(struct wzp_raptorq *raptorq, unsigned sources)
{
    if (sources == 0 || sources > WZP_RAPTORQ_SOURCES_MAX)
        return -EINVAL;
    const struct parameters *par = parameters_for(sources);
    struct system sys = { .size = par->k_padded + par->s + H };

    add_ldpc_rows(par, &sys);
    add_hdpc_rows(par, &sys);
    for (unsigned i = 0; i < par->k_padded; i++) {
        add_lt_row(par, i, sys.left[par->s + H + i]);
        if (i < sources) /* the padding symbols behind them are zero */
            sys.right[par->s + H + i][i] = 1;
    }
    if (!solve(&sys))
        return -EINVAL;

    *raptorq = (struct wzp_raptorq){ .sources = sources };
    for (unsigned id = 0; id < sources; id++)
        raptorq->coefficient[id][id] = 1;
    for (unsigned id = sources; id < WZP_RAPTORQ_SYMBOLS; id++)
        set_repair(raptorq, par, &sys, id);
    return 0;
}
