/* The figures of an analysis, for people and as JSON, on standard output. Thread: the loop's. */
#ifndef WZP_BIN_CLIENT_ANALYZE_PRINT_H
#define WZP_BIN_CLIENT_ANALYZE_PRINT_H

#include "wzp/bin/client_analyze.h"

/** One line: how it goes t_us after the start; fresh: datagrams since the line before. */
void client_analyze_print_line(const struct client_analysis *analysis, uint64_t t_us, uint64_t fresh);
/** All streams, and the sums. */
void client_analyze_print_summary(const struct client_analysis *analysis);
/** The same as one object, event "streams". */
void client_analyze_print_json(const struct client_analysis *analysis, uint64_t t_us, bool is_final);

#endif
