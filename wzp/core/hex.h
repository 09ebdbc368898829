/* Hexadecimal text, shared by the cores. Thread: any. */
#ifndef WZP_CORE_HEX_H
#define WZP_CORE_HEX_H

#include <stddef.h>
#include <stdint.h>

/** Value of one digit, either case; -1 when c is none. */
static inline int wzp_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/** Write 2 * len lower-case digits, no NUL; returns the position after them. */
static inline char *wzp_hex_put(char *out, const uint8_t *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    return out;
}

#endif
