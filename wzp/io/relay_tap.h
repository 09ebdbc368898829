/* The debug tap: a log line for each media packet of a room, its header only, never its payload; so many a second that a
 * busy room does not drown the log. Thread: the loop's. */
#ifndef WZP_IO_RELAY_TAP_H
#define WZP_IO_RELAY_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/core/room_name.h"

/** Lines a second; the first line of the next second tells how many packets went unshown. */
#define WZP_RELAY_TAP_LINES_PER_S 200

struct wzp_relay_tap {
    bool is_on, is_all;
    char name[WZP_SNI_MAX + 1];    /**< of the room as clients name it in TLS */
    char hash[WZP_ROOM_HASH_TEXT]; /**< the reference's clients name it by hash */
    uint64_t second_us;            /**< when the current one began */
    unsigned lines;
    uint64_t unshown;
};

/** room: a name, "*" for all, NULL for none. 0, or negative errno of wzp_room_name_to_sni(). */
int wzp_relay_tap_set(struct wzp_relay_tap *tap, const char *room);
/** A datagram came on connection conn to room sni; copies went on. Call only when is_on. */
void wzp_relay_tap_packet(struct wzp_relay_tap *tap, const char *sni, uint64_t conn, struct wz_bytes datagram,
                          size_t copies, uint64_t now_us);

#endif
