/* The provisioned SIP users, each a WZP identity of its own, placed on a worker. Built from the configuration at
 * start; only the counters change afterwards. Thread: control. */
#ifndef GATEWAY_USERS_H
#define GATEWAY_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "sip/auth.h"
#include "wzp/base/hash.h"
#include "wzp/core/identity.h"

struct cfg;

struct gw_user {
    const char *name;           /**< SIP user and digest username; borrowed from the configuration, as every text */
    const char *display;        /**< never NULL: display_name, alias or name */
    const char *alias, *number; /**< NULL: none */
    bool generic;               /**< answer with AcceptGeneric: keep our addresses from the caller */
    unsigned max_calls;
    struct sipua_credentials credentials;
    uint8_t seed[WZP_SEED_BYTES];
    char fingerprint[WZP_FINGERPRINT_TEXT];
    unsigned worker;
    uint32_t line_id;
    /* changing */
    bool line_up;
    unsigned active_calls;
    struct wz_hash_node by_name;
};

struct gw_users;

/** master: the gateway's seed; a user's seed is HKDF-SHA256(master, "wzp-gateway user " AOR) unless it has its own. */
int gw_users_new(struct gw_users **ret, const struct cfg *cfg, const uint8_t master[static WZP_SEED_BYTES],
                 unsigned worker_count);
void gw_users_free(struct gw_users *users);
size_t gw_users_count(const struct gw_users *users);
struct gw_user *gw_users_at(struct gw_users *users, size_t index);
/** NULL: no such user. */
struct gw_user *gw_users_find(struct gw_users *users, const char *name);
struct gw_user *gw_users_by_line(struct gw_users *users, unsigned worker, uint32_t line_id);
/** The line id on worker that the next identity (the echo) would get. */
uint32_t gw_users_lines(const struct gw_users *users, unsigned worker);

#endif
