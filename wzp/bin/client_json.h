/* Lines of JSON on standard output, one object each. Everything is NULL-safe: without memory a field or a line is
 * missing. Thread: the loop's. */
#ifndef WZP_BIN_CLIENT_JSON_H
#define WZP_BIN_CLIENT_JSON_H

#include <stdint.h>

struct json_t;

/** {"event": name, "t_ms": t_us / 1000}, the caller's. */
struct json_t *client_json_new(const char *event, uint64_t t_us);
/** NULL is null; what is no UTF-8 is said to be that. */
struct json_t *client_json_text(const char *value);
struct json_t *client_json_count(uint64_t value);
/** Rounded, so that a line stays readable. */
struct json_t *client_json_real(double value);
/** Takes value. */
void client_json_put(struct json_t *line, const char *key, struct json_t *value);
/** Takes line; flushed. */
void client_json_print(struct json_t *line);

#endif
