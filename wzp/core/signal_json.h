/* Writes compact JSON text the way the reference does. Private to wzp/core/signal*.c and their tests. */
#ifndef WZP_CORE_SIGNAL_JSON_H
#define WZP_CORE_SIGNAL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Zero-initialised is empty. The first error sticks and makes every later call do nothing. */
struct wzp_json_out {
    char *text; /**< malloc'ed, not terminated */
    size_t len, size;
    int err; /**< -ENOMEM; -EMSGSIZE: over WZP_SIGNAL_MAX_BYTES; -EINVAL: a value that JSON or the protocol
                cannot carry */
};

void wzp_json_done(struct wzp_json_out *out);
void wzp_json_fail(struct wzp_json_out *out, int err);
/** Text that is JSON already. */
void wzp_json_raw(struct wzp_json_out *out, const char *text, size_t len);
void wzp_json_char(struct wzp_json_out *out, char c);
/** A quoted, escaped string; invalid UTF-8 fails with -EINVAL. */
void wzp_json_string(struct wzp_json_out *out, const char *text);
void wzp_json_u64(struct wzp_json_out *out, uint64_t value);
/** The shortest decimal that reads back as the same float, with at least one decimal; must be finite. */
void wzp_json_float(struct wzp_json_out *out, float value);
/** An array of numbers. */
void wzp_json_bytes(struct wzp_json_out *out, const uint8_t *data, size_t len);

/** Whether the len bytes are well-formed UTF-8 (no overlong form, no surrogate). */
bool wzp_utf8_is_valid(const char *text, size_t len);

#endif
