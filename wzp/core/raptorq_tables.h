/* Tables of RFC 6330. For raptorq.c only. */
#ifndef WZP_CORE_RAPTORQ_TABLES_H
#define WZP_CORE_RAPTORQ_TABLES_H

#include <stdint.h>

#define WZP_RAPTORQ_RANDOM_TABLES 4

/** V0 to V3 of section 5.5. */
extern const uint32_t wzp_raptorq_random[WZP_RAPTORQ_RANDOM_TABLES][256];

#endif
