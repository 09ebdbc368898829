/* Structured log lines: a dotted event, then key=value pairs. Text on a terminal, JSON otherwise.
 * The level is tested before arguments are formatted. Peer text goes through %s with wz_log_quote().
 * Thread: any. One write(2) a line. */
#ifndef WZP_RT_LOG_H
#define WZP_RT_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum wz_log_level { WZ_LOG_ERROR, WZ_LOG_WARN, WZ_LOG_INFO, WZ_LOG_DEBUG };
enum wz_log_format { WZ_LOG_AUTO, WZ_LOG_TEXT, WZ_LOG_JSON };

/** Set once at start, before other threads exist. AUTO: text when fd is a terminal. */
void wz_log_init(int fd, enum wz_log_format format, enum wz_log_level level);
/** "error" "warn" "info" "debug" -> level; -EINVAL otherwise. */
int wz_log_level_parse(const char *text, enum wz_log_level *ret);
bool wz_log_wants(enum wz_log_level level);

/** event: "call.answered"; fmt: "call=%s setup_ms=%u" (key=value pairs, values with blanks quoted). */
void wz_log_write(enum wz_log_level level, const char *module, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** Copy peer text, cut at size, quotes and control bytes escaped, wrapped in double quotes. Returns buf. */
const char *wz_log_quote(const char *text, char *buf, size_t size);

/* Each .c file says: #define LOG_MODULE "race" before including this header. */
#define WZ_LOG(level, event, ...)                                                                                      \
    do {                                                                                                               \
        if (wz_log_wants(level))                                                                                       \
            wz_log_write(level, LOG_MODULE, event, __VA_ARGS__);                                                       \
    } while (0)
#define LOG_ERROR(event, ...) WZ_LOG(WZ_LOG_ERROR, event, __VA_ARGS__)
#define LOG_WARN(event, ...)  WZ_LOG(WZ_LOG_WARN, event, __VA_ARGS__)
#define LOG_INFO(event, ...)  WZ_LOG(WZ_LOG_INFO, event, __VA_ARGS__)
#define LOG_DEBUG(event, ...) WZ_LOG(WZ_LOG_DEBUG, event, __VA_ARGS__)

#endif
