#include "wzp/bin/client_capture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#define VERSION           1
#define PACKET_HEAD_BYTES 12u
#define READ_CHUNK        65536u

static const uint8_t magic[4] = { 'W', 'Z', 'P', VERSION };

/* ---- writing ---- */

struct client_capture_writer {
    FILE *file;
    uint64_t written; /**< bytes */
    int error;        /**< the first one */
};

static void put_le(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static int write_all(struct client_capture_writer *writer, const void *data, size_t len)
{
    if (len && fwrite(data, 1, len, writer->file) != len)
        return errno ? -errno : -EIO;
    writer->written += len;
    return 0;
}

static int write_head(struct client_capture_writer *writer, const struct client_capture_info *info)
{
    uint8_t length[4];
    json_t *head = json_pack("{s:s, s:s, s:s, s:i}", "room", info->room, "relay", info->relay, "start_time",
                             info->start_time, "version", VERSION);
    char *text = head ? json_dumps(head, JSON_COMPACT) : NULL;
    int err = head ? -ENOMEM : -EINVAL;
    if (!text)
        goto out;
    put_le(length, strlen(text), sizeof length);
    err = write_all(writer, magic, sizeof magic);
    if (!err)
        err = write_all(writer, length, sizeof length);
    if (!err)
        err = write_all(writer, text, strlen(text));
    if (!err && fflush(writer->file) != 0)
        err = -errno;
out:
    free(text);
    json_decref(head);
    return err;
}

int client_capture_create(struct client_capture_writer **ret, const char *path, const struct client_capture_info *info)
{
    struct client_capture_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return -ENOMEM;
    writer->file = fopen(path, "wbe");
    const int err = writer->file ? write_head(writer, info) : -errno;
    if (err < 0) {
        if (writer->file)
            (void)fclose(writer->file); /* the error is known */
        free(writer);
        return err;
    }
    *ret = writer;
    return 0;
}

int client_capture_write(struct client_capture_writer *writer, uint64_t at_us, struct wz_bytes datagram)
{
    uint8_t head[PACKET_HEAD_BYTES];
    if (writer->error)
        return writer->error;
    if (datagram.len > CLIENT_CAPTURE_PACKET_MAX)
        return -EMSGSIZE;
    if (writer->written + sizeof head + datagram.len > CLIENT_CAPTURE_MAX_BYTES)
        return writer->error = -EFBIG;
    put_le(head, at_us, 8);
    put_le(head + 8, datagram.len, 4);
    int err = write_all(writer, head, sizeof head);
    if (!err)
        err = write_all(writer, datagram.data, datagram.len);
    if (!err && fflush(writer->file) != 0)
        err = -errno;
    return writer->error = err;
}

int client_capture_close(struct client_capture_writer *writer)
{
    if (!writer)
        return 0;
    int err = writer->error;
    if (fclose(writer->file) != 0 && !err)
        err = -errno;
    free(writer);
    return err;
}

void client_capture_now(char ret[static CLIENT_CAPTURE_TEXT_MAX])
{
    struct timespec now = { 0 };
    struct tm utc = { 0 };
    char seconds[64];
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(ret, CLIENT_CAPTURE_TEXT_MAX, "%s.%09ld+00:00", seconds, now.tv_nsec);
}

/* ---- reading ---- */

static bool get_le(struct wz_reader *in, size_t bytes, uint64_t *ret)
{
    struct wz_bytes raw;
    if (!wz_get_slice(in, bytes, &raw))
        return false;
    *ret = 0;
    for (size_t i = 0; i < bytes; i++)
        *ret |= (uint64_t)raw.data[i] << (8 * i);
    return true;
}

static size_t offset(const struct client_capture_reader *reader)
{
    return reader->file.len - wz_left(&reader->in);
}

static int refuse(struct client_capture_reader *reader, int err, const char *what)
{
    (void)snprintf(reader->why, sizeof reader->why, "%s at byte %zu", what, offset(reader));
    return err;
}

/** Missing, no text or too long: empty. */
static void get_text(const json_t *head, const char *key, char ret[static CLIENT_CAPTURE_TEXT_MAX])
{
    const char *text = json_string_value(json_object_get(head, key));
    if (text && strlen(text) < CLIENT_CAPTURE_TEXT_MAX)
        memcpy(ret, text, strlen(text) + 1);
}

static int read_head(struct client_capture_reader *reader, struct wz_bytes text)
{
    json_t *head = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    int err = 0;
    if (!json_is_object(head))
        err = refuse(reader, -EBADMSG, "the header is no JSON object");
    else if (json_integer_value(json_object_get(head, "version")) != VERSION)
        err = refuse(reader, -EBADMSG, "the header is not of version 1");
    if (!err) {
        get_text(head, "room", reader->info.room);
        get_text(head, "relay", reader->info.relay);
        get_text(head, "start_time", reader->info.start_time);
    }
    json_decref(head);
    return err;
}

int client_capture_open(struct client_capture_reader *reader, struct wz_bytes file)
{
    struct wz_bytes start, text;
    uint64_t length = 0;
    *reader = (struct client_capture_reader){ .file = file, .in = wz_reader(file) };
    if (file.len < sizeof magic || memcmp(file.data, magic, sizeof magic) != 0)
        return refuse(reader, -EBADMSG, "no capture file: expected 57 5A 50 01");
    (void)wz_get_slice(&reader->in, sizeof magic, &start); /* it is there */
    struct wz_reader body = reader->in;
    if (!get_le(&body, 4, &length))
        return refuse(reader, -EBADMSG, "the file ends in the header's length");
    if (length > CLIENT_CAPTURE_HEADER_MAX)
        return refuse(reader, -EBADMSG, "the header is longer than 65536 bytes");
    if (!wz_get_slice(&body, (size_t)length, &text))
        return refuse(reader, -EBADMSG, "the file ends in the header");
    const int err = read_head(reader, text);
    if (!err)
        reader->in = body;
    return err;
}

int client_capture_next(struct client_capture_reader *reader, struct client_capture_packet *ret)
{
    struct client_capture_packet packet;
    struct wz_reader in = reader->in;
    uint64_t length = 0;
    if (!wz_left(&in))
        return 0;
    if (!get_le(&in, 8, &packet.at_us) || !get_le(&in, 4, &length))
        return refuse(reader, -ENODATA, "the file ends inside the packet that begins");
    if (length > CLIENT_CAPTURE_PACKET_MAX)
        return refuse(reader, -EBADMSG, "a packet longer than 65535 bytes");
    if (!wz_get_slice(&in, (size_t)length, &packet.datagram))
        return refuse(reader, -ENODATA, "the file ends inside the packet that begins");
    reader->in = in;
    *ret = packet;
    return 1;
}

static int read_rest(FILE *file, uint8_t **ret, size_t *ret_len)
{
    uint8_t *data = NULL;
    size_t len = 0, size = 0;
    for (;;) {
        if (len == size) {
            const size_t more = size ? size * 2 : READ_CHUNK;
            uint8_t *grown = more > 2ull * CLIENT_CAPTURE_MAX_BYTES ? NULL : realloc(data, more);
            if (!grown) {
                free(data);
                return -ENOMEM;
            }
            data = grown;
            size = more;
        }
        const size_t got = fread(data + len, 1, size - len, file);
        len += got;
        if (len > CLIENT_CAPTURE_MAX_BYTES || (!got && ferror(file))) {
            free(data);
            return len > CLIENT_CAPTURE_MAX_BYTES ? -EFBIG : -EIO;
        }
        if (!got)
            break;
    }
    *ret = data;
    *ret_len = len;
    return 0;
}

int client_capture_load(const char *path, uint8_t **ret, size_t *ret_len)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return -errno;
    const int err = read_rest(file, ret, ret_len);
    (void)fclose(file); /* was only read */
    return err;
}
