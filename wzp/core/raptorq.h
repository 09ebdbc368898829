/* RaptorQ (RFC 6330) for one short source block, as what it is in the end: each encoding symbol is a fixed linear
 * combination of the source symbols over GF(256). The coefficients are computed once; encoding multiplies with them, and
 * decoding solves for the source symbols that are missing. That finds a solution exactly when the RFC's own system of
 * intermediate symbols has one, since those follow from the source symbols. Thread: any. Allocates nothing. */
#ifndef WZP_CORE_RAPTORQ_H
#define WZP_CORE_RAPTORQ_H

#include <stdint.h>

/** Source symbols of a block. */
#define WZP_RAPTORQ_SOURCES_MAX 16
/** Encoding symbol ids 0..255: what a media header can name. */
#define WZP_RAPTORQ_SYMBOLS 256

struct wzp_raptorq {
    unsigned sources;
    /** [id][j]: how much of source symbol j is in encoding symbol id. Below `sources` the unit vectors. */
    uint8_t coefficient[WZP_RAPTORQ_SYMBOLS][WZP_RAPTORQ_SOURCES_MAX];
};

/** 0 or -EINVAL (sources 0 or over the limit). */
int wzp_raptorq_init(struct wzp_raptorq *raptorq, unsigned sources);

#endif
