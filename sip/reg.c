/* Registrar table. See reg.h. */
#include "sip/reg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/base/hash.h"
#include "wzp/base/list.h"

struct entry {
    struct wz_list in_user;
    struct wz_list in_all;
    struct sipua_binding binding; /**< its strings lie in text[] */
    char text[];
};

struct user {
    struct wz_hash_node node;
    struct wz_list entries; /**< most recently refreshed first */
    size_t count;
    char name[];
};

struct sipua_reg {
    struct sipua_reg_config config;
    struct wz_hash users;
    struct wz_list all;
    size_t count;
    uint64_t deadline_us; /**< not later than the earliest expiry */
};

static struct entry *entry_of_user(struct wz_list *node)
{
    return wz_container_of(node, struct entry, in_user);
}

static struct entry *entry_of_all(struct wz_list *node)
{
    return wz_container_of(node, struct entry, in_all);
}

static struct user *user_find(const struct sipua_reg *reg, const char *name)
{
    struct wz_hash_node *node = wz_hash_find(&reg->users, wz_bytes_str(name));
    return node ? wz_container_of(node, struct user, node) : NULL;
}

static struct user *user_get(struct sipua_reg *reg, const char *name)
{
    struct user *user = user_find(reg, name);
    if (user)
        return user;
    const size_t len = strlen(name);
    user = calloc(1, sizeof *user + len + 1);
    if (!user)
        return NULL;
    memcpy(user->name, name, len + 1);
    wz_list_init(&user->entries);
    if (wz_hash_insert(&reg->users, &user->node, wz_bytes(user->name, len)) < 0) {
        free(user);
        return NULL;
    }
    return user;
}

static void user_drop_if_empty(struct sipua_reg *reg, struct user *user)
{
    if (user->count > 0)
        return;
    wz_hash_remove(&reg->users, &user->node);
    free(user);
}

/* One allocation holds the binding and copies of its strings. Not linked yet. */
static struct entry *entry_new(const struct sipua_binding *from)
{
    const char *const source[] = { from->user,        from->contact, from->user_agent,
                                   from->instance_id, from->path,    from->call_id };
    size_t size = 0;
    for (size_t i = 0; i < sizeof source / sizeof source[0]; i++)
        size += strlen(source[i]) + 1;
    struct entry *entry = calloc(1, sizeof *entry + size);
    if (!entry)
        return NULL;
    entry->binding = *from;
    struct sipua_binding *to = &entry->binding;
    const char **const target[] = {
        &to->user, &to->contact, &to->user_agent, &to->instance_id, &to->path, &to->call_id
    };
    char *pos = entry->text;
    for (size_t i = 0; i < sizeof source / sizeof source[0]; i++) {
        const size_t len = strlen(source[i]) + 1;
        memcpy(pos, source[i], len);
        *target[i] = pos;
        pos += len;
    }
    wz_list_init(&entry->in_user);
    wz_list_init(&entry->in_all);
    return entry;
}

static void entry_link(struct sipua_reg *reg, struct user *user, struct entry *entry)
{
    wz_list_append(user->entries.next, &entry->in_user); /* before the first: newest leads */
    wz_list_append(&reg->all, &entry->in_all);
    user->count++;
    reg->count++;
    if (entry->binding.expires_at_us < reg->deadline_us)
        reg->deadline_us = entry->binding.expires_at_us;
}

/* Unlink and free; the user object stays. */
static void entry_remove(struct sipua_reg *reg, struct user *user, struct entry *entry, enum sipua_unbind_reason reason,
                         bool tell)
{
    wz_list_remove(&entry->in_user);
    wz_list_remove(&entry->in_all);
    user->count--;
    reg->count--;
    if (tell && reg->config.unbound)
        reg->config.unbound(reg->config.arg, &entry->binding, reason);
    free(entry);
}

int sipua_reg_new(struct sipua_reg **ret, const struct sipua_reg_config *config)
{
    struct sipua_reg *reg = calloc(1, sizeof *reg);
    if (!reg)
        return -ENOMEM;
    reg->config = *config;
    reg->deadline_us = UINT64_MAX;
    wz_list_init(&reg->all);
    const int err = wz_hash_init(&reg->users, config->rng);
    if (err < 0) {
        free(reg);
        return err;
    }
    *ret = reg;
    return 0;
}

void sipua_reg_free(struct sipua_reg *reg)
{
    struct wz_list *node, *next;
    if (!reg)
        return;
    wz_list_foreach (node, next, &reg->all) {
        struct entry *entry = entry_of_all(node);
        struct user *user = user_find(reg, entry->binding.user);
        entry_remove(reg, user, entry, SIPUA_UNBIND_REMOVED, false);
        user_drop_if_empty(reg, user);
    }
    wz_hash_done(&reg->users);
    free(reg);
}

/* RFC 3261 10.3 step 7 compares URIs; RFC 5626 section 6 lets instance and reg-id stand for the URI. */
static struct entry *entry_match(struct user *user, const struct sipua_reg_contact *contact)
{
    struct wz_list *node, *next;
    wz_list_foreach (node, next, &user->entries) {
        struct entry *entry = entry_of_user(node);
        const struct sipua_binding *have = &entry->binding;
        if (strcmp(have->contact, contact->uri) == 0)
            return entry;
        if (contact->instance_id[0] && strcmp(have->instance_id, contact->instance_id) == 0 &&
            have->reg_id == contact->reg_id)
            return entry;
    }
    return NULL;
}

/* A later request of one Call-ID has a higher CSeq; anything else is an old one, late. */
static bool is_out_of_order(const struct entry *entry, const struct sipua_reg_request *request)
{
    return strcmp(entry->binding.call_id, request->call_id) == 0 && request->cseq <= entry->binding.cseq;
}

static uint32_t wished_expiry_s(const struct sipua_reg *reg, const struct sipua_reg_request *request,
                                const struct sipua_reg_contact *contact)
{
    uint32_t expires_s = reg->config.default_expires_s;
    if (contact->expires_s != SIPUA_REG_UNSTATED)
        expires_s = contact->expires_s;
    else if (request->expires_s != SIPUA_REG_UNSTATED)
        expires_s = request->expires_s;
    return expires_s > reg->config.max_expires_s ? reg->config.max_expires_s : expires_s;
}

static int check_star(struct user *user, const struct sipua_reg_request *request)
{
    struct wz_list *node, *next;
    if (request->contact_count > 0 || request->expires_s != 0)
        return -EBADMSG;
    if (user)
        wz_list_foreach (node, next, &user->entries)
            if (is_out_of_order(entry_of_user(node), request))
                return -EPROTO;
    return 0;
}

/* Everything that can be refused is refused here, before anything is changed. */
static int check_request(const struct sipua_reg *reg, struct user *user, const struct sipua_reg_request *request)
{
    size_t added = 0;
    if (request->star)
        return check_star(user, request);
    if (request->contact_count > SIPUA_REG_MAX_CONTACTS)
        return -ENOSPC;
    for (size_t i = 0; i < request->contact_count; i++) {
        const struct sipua_reg_contact *contact = &request->contact[i];
        const size_t len = strlen(contact->uri);
        if (len == 0 || len > SIPUA_REG_URI_MAX)
            return -EBADMSG;
        const uint32_t expires_s = wished_expiry_s(reg, request, contact);
        if (expires_s != 0 && expires_s < reg->config.min_expires_s)
            return -ERANGE;
        const struct entry *entry = user ? entry_match(user, contact) : NULL;
        if (entry && is_out_of_order(entry, request))
            return -EPROTO;
        if (!entry && expires_s != 0)
            added++;
    }
    return reg->count + added > reg->config.max_bindings ? -ENOSPC : 0;
}

/* Room for one more contact: the one refreshed longest ago is most likely a phone's former self. */
static void make_room(struct sipua_reg *reg, struct user *user)
{
    while (user->count >= SIPUA_REG_MAX_CONTACTS)
        entry_remove(reg, user, entry_of_user(user->entries.prev), SIPUA_UNBIND_EVICTED, true);
}

static struct entry *build_entry(const struct sipua_reg *reg, const struct sipua_reg_request *request,
                                 const struct sipua_reg_contact *contact, uint64_t now_us)
{
    const uint64_t life_us = wished_expiry_s(reg, request, contact) * UINT64_C(1000000);
    return entry_new(&(struct sipua_binding){
        .user = request->user,
        .contact = contact->uri,
        .source = request->source,
        .transport = request->transport,
        .user_agent = request->user_agent,
        .instance_id = contact->instance_id,
        .path = request->path,
        .reg_id = contact->reg_id,
        .call_id = request->call_id,
        .cseq = request->cseq,
        .updated_at_us = now_us,
        .expires_at_us = now_us + life_us,
    });
}

/* fresh is linked, or freed when the contact is to be removed. */
static void apply_contact(struct sipua_reg *reg, struct user *user, const struct sipua_reg_contact *contact,
                          struct entry *fresh)
{
    struct entry *old = entry_match(user, contact);
    const bool removes = fresh->binding.expires_at_us == fresh->binding.updated_at_us;
    if (old && removes)
        entry_remove(reg, user, old, SIPUA_UNBIND_REMOVED, true);
    else if (old)
        entry_remove(reg, user, old, SIPUA_UNBIND_REPLACED, strcmp(old->binding.contact, contact->uri) != 0);
    if (removes) {
        free(fresh);
        return;
    }
    make_room(reg, user);
    entry_link(reg, user, fresh);
    if (reg->config.bound)
        reg->config.bound(reg->config.arg, &fresh->binding);
}

static void remove_all(struct sipua_reg *reg, struct user *user)
{
    struct wz_list *node, *next;
    wz_list_foreach (node, next, &user->entries)
        entry_remove(reg, user, entry_of_user(node), SIPUA_UNBIND_REMOVED, true);
}

int sipua_reg_update(struct sipua_reg *reg, const struct sipua_reg_request *request, uint64_t now_us)
{
    struct entry *fresh[SIPUA_REG_MAX_CONTACTS] = { NULL };
    struct user *user = user_find(reg, request->user);
    int err = check_request(reg, user, request);
    if (err < 0)
        return err;
    if (!user && request->contact_count > 0 && !(user = user_get(reg, request->user)))
        return -ENOMEM;
    if (!user)
        return 0;
    for (size_t i = 0; i < request->contact_count; i++) {
        if (!(fresh[i] = build_entry(reg, request, &request->contact[i], now_us))) {
            err = -ENOMEM;
            goto out;
        }
    }
    if (request->star)
        remove_all(reg, user);
    for (size_t i = 0; i < request->contact_count; i++) {
        apply_contact(reg, user, &request->contact[i], fresh[i]);
        fresh[i] = NULL;
    }
out:
    for (size_t i = 0; i < request->contact_count; i++)
        free(fresh[i]);
    user_drop_if_empty(reg, user);
    return err;
}

size_t sipua_reg_contacts(const struct sipua_reg *reg, const char *user_name, uint64_t now_us,
                          const struct sipua_binding *ret[static SIPUA_REG_MAX_CONTACTS])
{
    struct wz_list *node, *next;
    struct user *user = user_find(reg, user_name);
    size_t count = 0;
    if (!user)
        return 0;
    wz_list_foreach (node, next, &user->entries) {
        const struct entry *entry = entry_of_user(node);
        if (entry->binding.expires_at_us > now_us && count < SIPUA_REG_MAX_CONTACTS)
            ret[count++] = &entry->binding;
    }
    return count;
}

int sipua_reg_restore(struct sipua_reg *reg, const struct sipua_binding *binding, uint64_t now_us)
{
    if (binding->expires_at_us <= now_us || binding->transport == SIPUA_TCP)
        return -ESTALE;
    if (reg->count >= reg->config.max_bindings)
        return -ENOSPC;
    struct user *user = user_get(reg, binding->user);
    if (!user)
        return -ENOMEM;
    int err = 0;
    struct entry *entry = NULL;
    if (user->count >= SIPUA_REG_MAX_CONTACTS)
        err = -ENOSPC;
    else if (!(entry = entry_new(binding)))
        err = -ENOMEM;
    else
        entry_link(reg, user, entry);
    user_drop_if_empty(reg, user);
    return err;
}

size_t sipua_reg_drop_connection(struct sipua_reg *reg, const struct wz_addr *source)
{
    struct wz_list *node, *next;
    size_t dropped = 0;
    wz_list_foreach (node, next, &reg->all) {
        struct entry *entry = entry_of_all(node);
        if (entry->binding.transport != SIPUA_TCP || !wz_addr_equal(&entry->binding.source, source))
            continue;
        struct user *user = user_find(reg, entry->binding.user);
        entry_remove(reg, user, entry, SIPUA_UNBIND_EXPIRED, true);
        user_drop_if_empty(reg, user);
        dropped++;
    }
    return dropped;
}

void sipua_reg_expire(struct sipua_reg *reg, uint64_t now_us)
{
    struct wz_list *node, *next;
    if (now_us < reg->deadline_us)
        return;
    uint64_t earliest_us = UINT64_MAX;
    wz_list_foreach (node, next, &reg->all) {
        struct entry *entry = entry_of_all(node);
        if (entry->binding.expires_at_us > now_us) {
            if (entry->binding.expires_at_us < earliest_us)
                earliest_us = entry->binding.expires_at_us;
            continue;
        }
        struct user *user = user_find(reg, entry->binding.user);
        entry_remove(reg, user, entry, SIPUA_UNBIND_EXPIRED, true);
        user_drop_if_empty(reg, user);
    }
    reg->deadline_us = earliest_us;
}

uint64_t sipua_reg_deadline_us(const struct sipua_reg *reg)
{
    return reg->deadline_us;
}

size_t sipua_reg_count(const struct sipua_reg *reg)
{
    return reg->count;
}

void sipua_reg_each(const struct sipua_reg *reg, void (*visit)(void *arg, const struct sipua_binding *binding),
                    void *arg)
{
    struct wz_list *node, *next;
    wz_list_foreach (node, next, &reg->all)
        visit(arg, &entry_of_all(node)->binding);
}
