/* Room names travel as the TLS server name of a media connection: which texts are legal there, and their
 * hashes. Spec: docs/wzp-wire.md "QUIC", the server name. Thread: any. Allocates nothing. */
#ifndef WZP_CORE_ROOM_NAME_H
#define WZP_CORE_ROOM_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define WZP_SNI_MAX                    253 /**< characters of a whole server name */
#define WZP_SNI_LABEL_MAX              63  /**< characters between two dots */
#define WZP_ROOM_HASH_TEXT             33  /**< 32 hex digits and NUL */
#define WZP_ROOM_FEDERATION_HASH_BYTES 8

/** The room of a connection without a server name. */
#define WZP_ROOM_DEFAULT     "default"
#define WZP_ROOM_CALL_PREFIX "call-"

/** True when name can be used as a server name as it is (upper case included: it arrives lower-cased). */
bool wzp_room_name_is_sni(const char *name);

/**
 * The server name for a room: lower-cased when legal, otherwise the hash of the room as given.
 * @return 0, -EINVAL when room is empty, or -EIO (crypto library).
 */
int wzp_room_name_to_sni(const char *room, char ret[static WZP_SNI_MAX + 1]);

/** hex(SHA-256("featherchat-group:" + room)[0..16]), the form used by the web bridge. 0 or -EIO. */
int wzp_room_hash(const char *room, char ret[static WZP_ROOM_HASH_TEXT]);
/** SHA-256(room)[0..8]: the tag of a room's datagrams between relays. */
void wzp_room_federation_hash(const char *room, uint8_t ret[static WZP_ROOM_FEDERATION_HASH_BYTES]);

/** ASCII lower-casing in place, as every TLS library does with a server name. */
void wzp_room_name_lower(char *name);

#endif
