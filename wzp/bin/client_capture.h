/* Capture files: the datagrams of a room with their times, in the format of the reference's analyzer:
 *
 *   57 5A 50 01 | u32 header length | JSON {room, relay, start_time, version: 1} |
 *   per packet: u64 microseconds since the start | u32 length | datagram         (numbers are little-endian)
 *
 * Blocks on the disk. Thread: one at a time. */
#ifndef WZP_BIN_CLIENT_CAPTURE_H
#define WZP_BIN_CLIENT_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"

#define CLIENT_CAPTURE_HEADER_MAX 65536u
/** Longest datagram: no UDP packet carries more. */
#define CLIENT_CAPTURE_PACKET_MAX 65535u
/** Largest file written or read: days of one talker. */
#define CLIENT_CAPTURE_MAX_BYTES (1u << 30)
#define CLIENT_CAPTURE_TEXT_MAX  256
#define CLIENT_CAPTURE_WHY_MAX   160

struct client_capture_info {
    char room[CLIENT_CAPTURE_TEXT_MAX], relay[CLIENT_CAPTURE_TEXT_MAX]; /**< empty: the file does not say */
    char start_time[CLIENT_CAPTURE_TEXT_MAX];                           /**< RFC 3339 */
};

struct client_capture_writer;

/** Create the file, or make it empty, and write what is in front of the packets. 0 or negative errno; -EINVAL: a text is
 *  no UTF-8. */
int client_capture_create(struct client_capture_writer **ret, const char *path, const struct client_capture_info *info);
/** Append one packet and hand it to the kernel: whatever happens to us later, the file can be read up to here.
 *  0; -EMSGSIZE; -EFBIG at the limit; or the error of writing. After a failure every later call fails the same way. */
int client_capture_write(struct client_capture_writer *writer, uint64_t at_us, struct wz_bytes datagram);
/** 0 or the first error of writing. NULL-safe. */
int client_capture_close(struct client_capture_writer *writer);

/** The time now, as start_time has it. */
void client_capture_now(char ret[static CLIENT_CAPTURE_TEXT_MAX]);

struct client_capture_packet {
    uint64_t at_us;
    struct wz_bytes datagram; /**< borrowed from the file's bytes */
};

struct client_capture_reader {
    struct client_capture_info info;
    struct wz_bytes file;
    struct wz_reader in;
    char why[CLIENT_CAPTURE_WHY_MAX]; /**< after a failure: what is wrong, and at which byte; for people */
};

/** Begin to read; file is borrowed as long as the reader is used. 0 or -EBADMSG, with `why`. */
int client_capture_open(struct client_capture_reader *reader, struct wz_bytes file);
/** The next packet. 1; 0 at the end; -ENODATA: the file ends inside a packet, as after a crash; -EBADMSG: no capture.
 *  Both failures say `why`. */
int client_capture_next(struct client_capture_reader *reader, struct client_capture_packet *ret);

/** Read a whole file into memory, the caller's to free. 0; -EFBIG past the limit; -ENOMEM; the error of reading. */
int client_capture_load(const char *path, uint8_t **ret, size_t *ret_len);

#endif
