/* Which addresses wzp-client can be reached at: names to addresses at start, this machine's own, and what
 * STUN servers see on the QUIC endpoint's socket. Thread: the loop's. */
#ifndef WZP_BIN_CLIENT_ADDRESSES_H
#define WZP_BIN_CLIENT_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/core/line_event.h"

struct wz_loop;
struct wzp_quic;
struct client_addresses;

/** "HOST[:PORT]", HOST a name, an IPv4 or a bracketed IPv6 literal. Blocks on DNS; IPv4 is preferred. 0;
 * -EINVAL (no such syntax); -ENOENT (the name is unknown). */
int client_resolve(const char *text, uint16_t default_port, struct wz_addr *ret);

/**
 * Enumerate, and ask the servers.
 * @param changed  Called when all servers have answered or were given up; never from inside this function.
 * found is complete then, borrowed for the call.
 */
int client_addresses_new(struct client_addresses **ret, struct wz_loop *loop, struct wzp_quic *quic,
                         const struct wz_addr *server, size_t server_count,
                         void (*changed)(void *arg, const struct wzp_line_addresses *found), void *arg);
void client_addresses_free(struct client_addresses *addresses);
/** A STUN packet came in on the endpoint. */
void client_addresses_packet(struct client_addresses *addresses, struct wz_bytes packet, const struct wz_addr *from);

#endif
