/* Counters as JSON -> the Prometheus text format. Pure. Thread: any. */
#ifndef GATEWAY_ADMIN_METRICS_H
#define GATEWAY_ADMIN_METRICS_H

struct json_t;

/**
 * Print every number and switch of an object, nested objects included, as "prefix_path_to_member value";
 * other values and arrays (rows of a table, not counters) are left out.
 * @return malloc'd text, NULL: no memory.
 */
char *gw_metrics_text(const struct json_t *stats, const char *prefix);

#endif
