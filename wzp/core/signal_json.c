#include "wzp/core/signal_json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/core/frame.h"
#include "wzp/core/hex.h"

#define JSON_FIRST_BYTES 256u

/** A float never needs more significant digits than this. */
#define FLOAT_DIGITS_MAX 9
/** Outside 1e-6 .. 1e13 the reference writes an exponent. */
#define FLOAT_PLAIN_MAX_EXP 12
#define FLOAT_PLAIN_MIN_EXP (-6)

void wzp_json_done(struct wzp_json_out *out)
{
    free(out->text);
    *out = (struct wzp_json_out){ 0 };
}

void wzp_json_fail(struct wzp_json_out *out, int err)
{
    if (!out->err)
        out->err = err;
}

static bool reserve(struct wzp_json_out *out, size_t more)
{
    if (out->err)
        return false;
    if (more > WZP_SIGNAL_MAX_BYTES - out->len) {
        out->err = -EMSGSIZE;
        return false;
    }
    if (out->len + more <= out->size)
        return true;
    size_t size = out->size ? out->size : JSON_FIRST_BYTES;
    while (size < out->len + more)
        size *= 2;
    char *text = realloc(out->text, size);
    if (!text) {
        out->err = -ENOMEM;
        return false;
    }
    out->text = text;
    out->size = size;
    return true;
}

void wzp_json_raw(struct wzp_json_out *out, const char *text, size_t len)
{
    if (len == 0 || !reserve(out, len))
        return;
    memcpy(out->text + out->len, text, len);
    out->len += len;
}

void wzp_json_char(struct wzp_json_out *out, char c)
{
    wzp_json_raw(out, &c, 1);
}

/** Length of the sequence that a first byte announces and its lowest code point; 0: illegal. */
static size_t utf8_sequence(unsigned char first, uint32_t *ret_bits, uint32_t *ret_least)
{
    if (first < 0x80)
        return *ret_bits = first, *ret_least = 0, 1;
    if (first >> 5 == 0x06)
        return *ret_bits = first & 0x1f, *ret_least = 0x80, 2;
    if (first >> 4 == 0x0e)
        return *ret_bits = first & 0x0f, *ret_least = 0x800, 3;
    if (first >> 3 == 0x1e)
        return *ret_bits = first & 0x07, *ret_least = 0x10000, 4;
    return 0;
}

bool wzp_utf8_is_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t code = 0, least = 0;
        size_t size = utf8_sequence((unsigned char)text[i], &code, &least);
        if (size == 0 || size > len - i)
            return false;
        for (size_t k = 1; k < size; k++) {
            unsigned char next = (unsigned char)text[i + k];
            if (next >> 6 != 0x02)
                return false;
            code = code << 6 | (next & 0x3fu);
        }
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += size;
    }
    return true;
}

static void put_escaped(struct wzp_json_out *out, char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = strchr(named, c);
    if (found) {
        char escape[2] = { '\\', letters[found - named] };
        wzp_json_raw(out, escape, sizeof escape);
        return;
    }
    char escape[6] = "\\u00";
    (void)wzp_hex_put(escape + 4, &(uint8_t){ (uint8_t)c }, 1);
    wzp_json_raw(out, escape, sizeof escape);
}

void wzp_json_string(struct wzp_json_out *out, const char *text)
{
    if (!wzp_utf8_is_valid(text, strlen(text))) {
        wzp_json_fail(out, -EINVAL);
        return;
    }
    wzp_json_char(out, '"');
    while (*text) {
        size_t plain = 0;
        while ((unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\')
            plain++;
        wzp_json_raw(out, text, plain);
        text += plain;
        if (*text)
            put_escaped(out, *text++);
    }
    wzp_json_char(out, '"');
}

void wzp_json_u64(struct wzp_json_out *out, uint64_t value)
{
    char digits[20], *pos = digits + sizeof digits;

    do {
        *--pos = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    wzp_json_raw(out, pos, (size_t)(digits + sizeof digits - pos));
}

struct decimal {
    char digit[FLOAT_DIGITS_MAX]; /**< the first one is before the point */
    int count, exponent;
};

/** The fewest digits of a positive float that read back as the same float. Whatever the locale's point is. */
static struct decimal shortest(float value)
{
    struct decimal dec = { 0 };
    char text[64];

    for (int digits = 1; digits <= FLOAT_DIGITS_MAX; digits++) {
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, (double)value);
        if (strtof(text, NULL) == value) /* NOLINT: equality is the point */
            break;
    }
    const char *pos = text;
    for (; *pos != 'e'; pos++)
        if (*pos >= '0' && *pos <= '9')
            dec.digit[dec.count++] = *pos;
    dec.exponent = atoi(pos + 1);
    return dec;
}

static void put_zeros(struct wzp_json_out *out, int count)
{
    while (count-- > 0)
        wzp_json_char(out, '0');
}

/** Digits with the point after the first `whole` of them; zeros fill up on either side. */
static void put_plain(struct wzp_json_out *out, const struct decimal *dec, int whole)
{
    int before = whole < dec->count ? whole : dec->count;
    if (whole > 0) {
        wzp_json_raw(out, dec->digit, (size_t)before);
        put_zeros(out, whole - before);
    } else {
        before = 0;
        wzp_json_char(out, '0');
    }
    wzp_json_char(out, '.');
    put_zeros(out, -whole);
    if (before < dec->count)
        wzp_json_raw(out, dec->digit + before, (size_t)(dec->count - before));
    else
        wzp_json_char(out, '0');
}

static void put_exponent(struct wzp_json_out *out, const struct decimal *dec)
{
    wzp_json_char(out, dec->digit[0]);
    if (dec->count > 1) {
        wzp_json_char(out, '.');
        wzp_json_raw(out, dec->digit + 1, (size_t)dec->count - 1);
    }
    wzp_json_char(out, 'e');
    if (dec->exponent < 0)
        wzp_json_char(out, '-');
    wzp_json_u64(out, (uint64_t)abs(dec->exponent));
}

void wzp_json_float(struct wzp_json_out *out, float value)
{
    if (!isfinite(value)) {
        wzp_json_fail(out, -EINVAL);
        return;
    }
    if (signbit(value))
        wzp_json_char(out, '-');
    struct decimal dec = shortest(fabsf(value));
    if (dec.exponent >= FLOAT_PLAIN_MIN_EXP && dec.exponent <= FLOAT_PLAIN_MAX_EXP)
        put_plain(out, &dec, dec.exponent + 1);
    else
        put_exponent(out, &dec);
}

void wzp_json_bytes(struct wzp_json_out *out, const uint8_t *data, size_t len)
{
    wzp_json_char(out, '[');
    for (size_t i = 0; i < len; i++) {
        if (i)
            wzp_json_char(out, ',');
        wzp_json_u64(out, data[i]);
    }
    wzp_json_char(out, ']');
}
