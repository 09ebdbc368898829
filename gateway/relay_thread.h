/* The embedded relay: the core of wzp-relay on a thread of its own, so that a busy call never delays the relay and a
 * busy relay never delays SIP. */
#ifndef GATEWAY_RELAY_THREAD_H
#define GATEWAY_RELAY_THREAD_H

#include "wzp/io/relay_server.h"

struct gw_relay;

/** Start and bind. 0 or -errno. config is borrowed for the call. */
int gw_relay_new(struct gw_relay **ret, const struct wzp_relay_server_config *config);
/** Stop and join. NULL-safe. */
void gw_relay_free(struct gw_relay *relay);
/** For wzp_relay_server_local(), _stats(), _call_flow(): see their headers for what may be called from here. */
struct wzp_relay_server *gw_relay_server(struct gw_relay *relay);

#endif
