/* A call that races, in a client world: the steps that tests of the direct path share. */
#ifndef TESTS_SUPPORT_CLIENT_DIRECT_H
#define TESTS_SUPPORT_CLIENT_DIRECT_H

#include "tests/support/client_world.h"
#include "wzp/core/race.h"

#define DIRECT_BUILD "9377a90"
#define DIRECT_PEER  "9.9.9.9:5000"  /**< after WORLD_ADDR as a text: a reference peer there dials us */
#define DIRECT_LOW   "10.1.1.1:5000" /**< before it: we dial */
#define DIRECT_HOST  "192.168.7.7:5000"

/** The call's room; lives until the next question. */
const char *direct_room(struct client_world *w, uint64_t call);
/** direct_ok of the last MediaPathReport. */
bool direct_last_report(struct client_world *w);
/** What media is sent on; 0: nothing. */
uint64_t direct_used(const struct client_world *w);
/** The leg to the relay that was dialled last. */
uint64_t direct_relay_conn(const struct client_world *w);
/** A call with a reference peer up to CallSetup, or with our own kind. */
uint64_t direct_set_up_reference(struct client_world *w, const char *peer_direct_addr, const char *local);
uint64_t direct_set_up_own(struct client_world *w, const char *peer_direct_addr, const char *local);
/** Direct with our own kind, nominated by us; the relay's leg has been dropped. Returns the call. */
uint64_t direct_talk(struct client_world *w, uint64_t *ret_conn);

#endif
