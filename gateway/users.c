#include "gateway/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "wzp/base/list.h"
#include "wzp/rt/rng.h"

struct gw_users {
    struct gw_user *item;
    size_t count;
    unsigned worker_count;
    struct wz_hash by_name;
};

/* One domain for all: the realm's users are sip:name, whatever address the phone was given for us. */
static int derive_seed(const uint8_t master[static WZP_SEED_BYTES], const char *name,
                       uint8_t ret[static WZP_SEED_BYTES])
{
    char info[160];
    int len = snprintf(info, sizeof info, "wzp-gateway user sip:%s", name);
    if (len < 0 || (size_t)len >= sizeof info)
        return -EINVAL;
    return wzp_hkdf(wz_bytes(NULL, 0), wz_bytes(master, WZP_SEED_BYTES), wz_bytes(info, (size_t)len), ret,
                    WZP_SEED_BYTES);
}

static void fill_credentials(const struct cfg_user *from, const char *realm, struct sipua_credentials *ret)
{
    ret->policy = from->digest == CFG_DIGEST_SHA256 ? SIPUA_POLICY_SHA256
                  : from->digest == CFG_DIGEST_BOTH ? SIPUA_POLICY_BOTH
                                                    : SIPUA_POLICY_MD5;
    if (from->password) {
        sipua_auth_ha1(SIPUA_AUTH_MD5, from->name, realm, from->password, ret->ha1_md5);
        sipua_auth_ha1(SIPUA_AUTH_SHA256, from->name, realm, from->password, ret->ha1_sha256);
    } else if (from->ha1) {
        for (size_t i = 0; from->ha1[i] && i + 1 < sizeof ret->ha1_md5; i++)
            ret->ha1_md5[i] = from->ha1[i] >= 'A' && from->ha1[i] <= 'F' ? (char)(from->ha1[i] | 0x20) : from->ha1[i];
    }
}

static int fill_user(struct gw_users *users, size_t index, const struct cfg *cfg,
                     const uint8_t master[static WZP_SEED_BYTES])
{
    const struct cfg_user *from = &cfg->users.item[index];
    struct gw_user *user = &users->item[index];
    struct wzp_identity identity;
    user->name = from->name;
    user->alias = from->alias;
    user->number = from->number;
    user->display = from->display_name ? from->display_name : from->alias ? from->alias : from->name;
    user->generic = from->privacy == CFG_PRIVACY_GENERIC;
    user->max_calls = from->max_calls;
    user->worker = (unsigned)(index % users->worker_count);
    user->line_id = (uint32_t)(index / users->worker_count);
    fill_credentials(from, cfg->sip.realm, &user->credentials);
    if (from->seed.is_given)
        memcpy(user->seed, from->seed.bytes, sizeof user->seed);
    else if (derive_seed(master, from->name, user->seed) < 0)
        return -EIO;
    int err = wzp_identity_from_seed(user->seed, &identity);
    if (err)
        return err;
    memcpy(user->fingerprint, identity.fingerprint, sizeof user->fingerprint);
    wzp_identity_done(&identity);
    return wz_hash_insert(&users->by_name, &user->by_name, wz_bytes_str(user->name));
}

int gw_users_new(struct gw_users **ret, const struct cfg *cfg, const uint8_t master[static WZP_SEED_BYTES],
                 unsigned worker_count)
{
    int err = -ENOMEM;
    struct gw_users *users = calloc(1, sizeof *users);
    if (!users)
        return -ENOMEM;
    users->worker_count = worker_count;
    err = wz_hash_init(&users->by_name, &wz_rng_system);
    if (err)
        goto out;
    users->item = calloc(cfg->users.count ? cfg->users.count : 1, sizeof *users->item);
    err = users->item ? 0 : -ENOMEM;
    for (size_t i = 0; !err && i < cfg->users.count; i++) {
        err = fill_user(users, i, cfg, master);
        users->count += !err;
    }
    if (err)
        goto out;
    *ret = users, users = NULL;
out:
    gw_users_free(users);
    return err;
}

void gw_users_free(struct gw_users *users)
{
    if (!users)
        return;
    if (users->item)
        explicit_bzero(users->item, users->count * sizeof *users->item);
    free(users->item);
    wz_hash_done(&users->by_name);
    free(users);
}

size_t gw_users_count(const struct gw_users *users)
{
    return users->count;
}

struct gw_user *gw_users_at(struct gw_users *users, size_t index)
{
    return &users->item[index];
}

struct gw_user *gw_users_find(struct gw_users *users, const char *name)
{
    struct wz_hash_node *node = wz_hash_find(&users->by_name, wz_bytes_str(name));
    return node ? wz_container_of(node, struct gw_user, by_name) : NULL;
}

struct gw_user *gw_users_by_line(struct gw_users *users, unsigned worker, uint32_t line_id)
{
    size_t index = (size_t)line_id * users->worker_count + worker;
    return worker < users->worker_count && index < users->count ? &users->item[index] : NULL;
}

uint32_t gw_users_lines(const struct gw_users *users, unsigned worker)
{
    return (uint32_t)((users->count + users->worker_count - 1 - worker) / users->worker_count);
}
