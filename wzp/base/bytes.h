/* Bounded reading and writing of peer-controlled bytes. Every parser goes through these. */
#ifndef WZP_BASE_BYTES_H
#define WZP_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** A borrowed, read-only run of bytes. Who lends it and for how long is said by the function that takes it. */
struct wz_bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct wz_bytes wz_bytes(const void *data, size_t len)
{
    return (struct wz_bytes){ .data = data, .len = len };
}

static inline struct wz_bytes wz_bytes_str(const char *text)
{
    return wz_bytes(text, strlen(text));
}

static inline bool wz_bytes_equal(struct wz_bytes a, struct wz_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/** Cursor over borrowed bytes. A failed read leaves the cursor where it was. */
struct wz_reader {
    const uint8_t *pos;
    const uint8_t *end;
};

static inline struct wz_reader wz_reader(struct wz_bytes in)
{
    /* NULL is allowed for an empty run, and NULL + 0 is not defined. */
    return (struct wz_reader){ .pos = in.data, .end = in.len ? in.data + in.len : in.data };
}

static inline size_t wz_left(const struct wz_reader *in)
{
    return (size_t)(in->end - in->pos);
}

static inline bool wz_get_u8(struct wz_reader *in, uint8_t *ret)
{
    if (wz_left(in) < 1)
        return false;
    *ret = *in->pos++;
    return true;
}

static inline bool wz_get_u16be(struct wz_reader *in, uint16_t *ret)
{
    if (wz_left(in) < 2)
        return false;
    *ret = (uint16_t)((unsigned)in->pos[0] << 8 | in->pos[1]);
    in->pos += 2;
    return true;
}

static inline bool wz_get_u32be(struct wz_reader *in, uint32_t *ret)
{
    if (wz_left(in) < 4)
        return false;
    *ret = (uint32_t)in->pos[0] << 24 | (uint32_t)in->pos[1] << 16 | (uint32_t)in->pos[2] << 8 | (uint32_t)in->pos[3];
    in->pos += 4;
    return true;
}

/** Take the next len bytes as a borrowed slice. */
static inline bool wz_get_slice(struct wz_reader *in, size_t len, struct wz_bytes *ret)
{
    if (wz_left(in) < len)
        return false;
    *ret = wz_bytes(in->pos, len);
    in->pos += len;
    return true;
}

/** Cursor over a caller's buffer. Overflow is sticky: check wz_writer_ok() once at the end. */
struct wz_writer {
    uint8_t *start;
    uint8_t *pos;
    uint8_t *end;
    bool overflow;
};

static inline struct wz_writer wz_writer(void *buf, size_t size)
{
    uint8_t *start = buf;
    return (struct wz_writer){ .start = start, .pos = start, .end = start + size };
}

static inline bool wz_writer_ok(const struct wz_writer *out)
{
    return !out->overflow;
}

static inline size_t wz_written(const struct wz_writer *out)
{
    return (size_t)(out->pos - out->start);
}

static inline void wz_put(struct wz_writer *out, const void *data, size_t len)
{
    if (out->overflow || (size_t)(out->end - out->pos) < len) {
        out->overflow = true;
        return;
    }
    if (len)
        memcpy(out->pos, data, len);
    out->pos += len;
}

static inline void wz_put_u8(struct wz_writer *out, uint8_t v)
{
    wz_put(out, &v, 1);
}

static inline void wz_put_u16be(struct wz_writer *out, uint16_t v)
{
    const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };
    wz_put(out, b, sizeof b);
}

static inline void wz_put_u32be(struct wz_writer *out, uint32_t v)
{
    const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
    wz_put(out, b, sizeof b);
}

#endif
