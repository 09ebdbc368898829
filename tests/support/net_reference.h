/* A model of the reference's clients on the simulated network, written from the description of the protocol: enough to see
 * how ours fare against them. NET_REFERENCE races as it does today; NET_SEED, the first generation, uses the relay alone and
 * drops its connection on a message it does not know. One call at a time. */
#ifndef TESTS_SUPPORT_NET_REFERENCE_H
#define TESTS_SUPPORT_NET_REFERENCE_H

#include "tests/support/client_net.h"

void net_reference_start(struct net_client *client);
void net_reference_stop(struct net_client *client);
bool net_reference_is_registered(const struct net_client *client);
/** -ENOTCONN, -EBUSY. */
int net_reference_dial(struct net_client *client, const char *target, bool hide_addresses);
void net_reference_answer(struct net_client *client, const struct net_call *call, enum wzp_accept_mode mode);
/** Without a call_id, as the reference does. */
void net_reference_hangup(struct net_client *client, struct net_call *call);

#endif
