/* `wzp-client version`: which build the relay is. Thread: the loop's. */
#ifndef WZP_BIN_CLIENT_VERSION_H
#define WZP_BIN_CLIENT_VERSION_H

#include <stddef.h>

#include "wzp/base/addr.h"

struct wz_loop;
struct wzp_quic;

/** Runs the loop until the relay has answered. 0; -ETIMEDOUT (no answer in 5 s); -ECONNREFUSED (closed
 * without one). */
int client_version_ask(struct wz_loop *loop, struct wzp_quic *quic, const struct wz_addr *relay, char *ret,
                       size_t size);

#endif
