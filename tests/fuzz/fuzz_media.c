/* Arbitrary bytes as one media datagram. What decodes must encode to the same bytes, but for the version bit
 * and the two unused bits, which we write as zero. */
#include <errno.h>
#include <stdlib.h>

#include "wzp/core/media.h"

#define VERSION_BIT  0x80u
#define UNUSED_BITS  0x03u
#define DATAGRAM_MAX 65535

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct wz_bytes datagram, const struct wzp_media_hdr *hdr,
                             struct wz_bytes payload)
{
    uint8_t *again = malloc(datagram.len);

    if (!again || wzp_media_encode(hdr, payload, again, datagram.len) != (int)datagram.len)
        abort();
    if (again[0] != (datagram.data[0] & ~VERSION_BIT) || again[1] != (datagram.data[1] & ~UNUSED_BITS) ||
        memcmp(again + 2, datagram.data + 2, datagram.len - 2) != 0)
        abort();
    if (wzp_media_encode(hdr, payload, again, datagram.len - 1) != -ENOSPC)
        abort();
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;

    if (size > DATAGRAM_MAX)
        return 0;
    int err = wzp_media_decode(wz_bytes(data, size), &hdr, &payload);
    if (err == 0)
        check_round_trip(wz_bytes(data, size), &hdr, payload);
    else if (err == -EBADMSG ? size >= WZP_MEDIA_HEADER_BYTES + WZP_MEDIA_TRAILER_BYTES
                             : err != -EPROTONOSUPPORT)
        abort();
    return 0;
}
