#include "wzp/core/registry.h"

#include <errno.h>
#include <stdlib.h>

/** A party of at least one live call. */
struct wzp_registry_user {
    struct wz_hash_node by_fingerprint;
    struct wz_list calls; /* of struct wzp_registry_link */
    char fingerprint[];
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool wzp_registry_id_is_legal(const char *call_id)
{
    size_t len = 0;
    for (; call_id[len]; len++) {
        const char c = lower(call_id[len]);
        if (len == WZP_CALL_ID_MAX)
            return false;
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return len > 0 && call_id[len - 1] != '-';
}

/** The lower-case key of a legal id; false for text that can be none. */
static bool make_key(const char *call_id, char ret[static WZP_CALL_ID_MAX + 1])
{
    if (!wzp_registry_id_is_legal(call_id))
        return false;
    size_t i = 0;
    for (; call_id[i]; i++)
        ret[i] = lower(call_id[i]);
    ret[i] = '\0';
    return true;
}

/* ---- addresses ---- */

static bool is_address_text(const char *text)
{
    return text && text[0] && strnlen(text, WZP_REGISTRY_ADDR_TEXT_MAX + 1) <= WZP_REGISTRY_ADDR_TEXT_MAX;
}

void wzp_registry_addrs_done(struct wzp_registry_addrs *addrs)
{
    free(addrs->reflexive);
    for (size_t i = 0; i < addrs->local.count; i++)
        free(addrs->local.text[i]);
    *addrs = (struct wzp_registry_addrs){ 0 };
}

int wzp_registry_addrs_copy(const char *reflexive, const struct wzp_addr_list *local, struct wzp_registry_addrs *ret)
{
    struct wzp_registry_addrs copy = { 0 };
    if (is_address_text(reflexive) && !(copy.reflexive = strdup(reflexive)))
        goto no_memory;
    for (size_t i = 0; i < local->count && i < WZP_SIGNAL_MAX_ADDRS; i++) {
        if (!is_address_text(local->text[i]))
            continue;
        if (!(copy.local.text[copy.local.count] = strdup(local->text[i])))
            goto no_memory;
        copy.local.count++;
    }
    *ret = copy;
    return 0;
no_memory:
    wzp_registry_addrs_done(&copy);
    return -ENOMEM;
}

/* ---- users: which live calls a fingerprint is in ---- */

static struct wzp_registry_user *find_user(const struct wzp_registry *reg, const char *fingerprint)
{
    struct wz_hash_node *node = wz_hash_find(&reg->users, wz_bytes_str(fingerprint));
    return node ? wz_container_of(node, struct wzp_registry_user, by_fingerprint) : NULL;
}

static int link_user(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party)
{
    const char *fingerprint = call->fingerprint[party];
    struct wzp_registry_user *user = find_user(reg, fingerprint);
    if (!user) {
        const size_t text_bytes = strlen(fingerprint) + 1;
        if (!(user = calloc(1, sizeof *user + text_bytes)))
            return -ENOMEM;
        wz_list_init(&user->calls);
        memcpy(user->fingerprint, fingerprint, text_bytes);
        if (wz_hash_insert(&reg->users, &user->by_fingerprint, wz_bytes_str(user->fingerprint)) != 0) {
            free(user);
            return -ENOMEM;
        }
    }
    struct wzp_registry_link *link = &call->link[party];
    link->call = call;
    link->user = user;
    wz_list_append(&user->calls, &link->node);
    return 0;
}

static void unlink_user(struct wzp_registry *reg, struct wzp_registry_link *link)
{
    struct wzp_registry_user *user = link->user;
    if (!user)
        return;
    link->user = NULL;
    wz_list_remove(&link->node);
    if (wz_list_is_empty(&user->calls)) {
        wz_hash_remove(&reg->users, &user->by_fingerprint);
        free(user);
    }
}

/* ---- timers ---- */

static void timer_stop(struct wzp_registry_call *call)
{
    wz_list_remove(&call->timer);
    call->due_us = WZP_REGISTRY_NEVER;
}

static void timer_start(struct wzp_registry_call *call, struct wz_list *queue, uint64_t due_us)
{
    wz_list_remove(&call->timer);
    wz_list_append(queue, &call->timer);
    call->due_us = due_us;
}

static struct wzp_registry_call *queue_head(const struct wz_list *queue)
{
    return wz_list_is_empty(queue) ? NULL : wz_container_of(queue->next, struct wzp_registry_call, timer);
}

static uint64_t queue_due_us(const struct wz_list *queue)
{
    const struct wzp_registry_call *head = queue_head(queue);
    return head ? head->due_us : WZP_REGISTRY_NEVER;
}

/** Start or stop the setup timer after something about the parties' media changed. */
static void review_setup(struct wzp_registry *reg, struct wzp_registry_call *call, uint64_t now_us)
{
    if (call->state != WZP_REGISTRY_ACTIVE)
        return;
    if (call->away[0] || call->away[1])
        return; /* that timer runs, and is the shorter one */
    const bool direct = wzp_registry_is_direct(call);
    const bool complete = direct || (call->in_room[0] && call->in_room[1]);
    const bool abandoned = !direct && !call->in_room[0] && !call->in_room[1];
    if (complete)
        call->settled = true;
    if (!call->settled)
        return; /* the timer that accept started still runs */
    if (!abandoned)
        timer_stop(call);
    else if (call->due_us == WZP_REGISTRY_NEVER)
        timer_start(call, &reg->setup_queue, now_us + reg->limits.setup_us);
}

/* ---- life of a call ---- */

int wzp_registry_init(struct wzp_registry *reg, const struct wzp_registry_limits *limits, const struct wz_rng *rng)
{
    struct wzp_registry fresh = { .limits = *limits };
    if (wz_hash_init(&fresh.calls, rng) != 0)
        return -ENOMEM;
    if (wz_hash_init(&fresh.users, rng) != 0) {
        wz_hash_done(&fresh.calls);
        return -ENOMEM;
    }
    *reg = fresh;
    wz_list_init(&reg->ring_queue);
    wz_list_init(&reg->setup_queue);
    wz_list_init(&reg->away_queue);
    wz_list_init(&reg->ended_queue);
    return 0;
}

static void free_call(struct wzp_registry_call *call)
{
    for (size_t i = 0; i < 2; i++) {
        wzp_registry_addrs_done(&call->addrs[i]);
        free(call->fingerprint[i]);
    }
    free(call->peer_relay_fp);
    free(call);
}

static void forget(struct wzp_registry *reg, struct wzp_registry_call *call)
{
    timer_stop(call);
    unlink_user(reg, &call->link[WZP_REGISTRY_CALLER]);
    unlink_user(reg, &call->link[WZP_REGISTRY_CALLEE]);
    wz_hash_remove(&reg->calls, &call->by_id);
    if (call->state == WZP_REGISTRY_ENDED)
        reg->ended--;
    else
        reg->live--;
    free_call(call);
}

static void forget_visit(void *arg, struct wz_hash_node *node)
{
    forget(arg, wz_container_of(node, struct wzp_registry_call, by_id));
}

void wzp_registry_done(struct wzp_registry *reg)
{
    if (reg->calls.bucket)
        wz_hash_each(&reg->calls, forget_visit, reg);
    wz_hash_done(&reg->calls);
    wz_hash_done(&reg->users);
    *reg = (struct wzp_registry){ 0 };
}

static struct wzp_registry_call *new_call(const char *call_id, const char *caller, const char *callee)
{
    struct wzp_registry_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    const size_t id_bytes = strlen(call_id) + 1;
    memcpy(call->id, call_id, id_bytes);
    memcpy(call->room, WZP_CALL_ROOM_PREFIX, sizeof WZP_CALL_ROOM_PREFIX - 1);
    memcpy(call->room + sizeof WZP_CALL_ROOM_PREFIX - 1, call_id, id_bytes);
    (void)make_key(call_id, call->key); /* the caller has checked the id */
    wz_list_init(&call->timer);
    call->due_us = WZP_REGISTRY_NEVER;
    if (!(call->fingerprint[WZP_REGISTRY_CALLER] = strdup(caller)) ||
        !(call->fingerprint[WZP_REGISTRY_CALLEE] = strdup(callee))) {
        free_call(call);
        return NULL;
    }
    return call;
}

int wzp_registry_add(struct wzp_registry *reg, const char *call_id, const char *caller, const char *callee,
                     const struct wzp_registry_addrs *addrs, uint64_t now_us, struct wzp_registry_call **ret)
{
    if (!wzp_registry_id_is_legal(call_id) || !caller[0] || !callee[0] || strcmp(caller, callee) == 0)
        return -EINVAL;
    if (wzp_registry_find(reg, call_id))
        return -EEXIST;
    if (reg->live >= reg->limits.max_live)
        return -ENOSPC;

    struct wzp_registry_call *call = new_call(call_id, caller, callee);
    if (!call)
        return -ENOMEM;
    if (wzp_registry_addrs_copy(addrs->reflexive, &addrs->local, &call->addrs[WZP_REGISTRY_CALLER]) != 0)
        goto no_memory;
    if (link_user(reg, call, WZP_REGISTRY_CALLER) != 0 || link_user(reg, call, WZP_REGISTRY_CALLEE) != 0)
        goto no_memory;
    if (wz_hash_insert(&reg->calls, &call->by_id, wz_bytes_str(call->key)) != 0)
        goto no_memory;
    call->created_us = now_us;
    reg->live++;
    timer_start(call, &reg->ring_queue, now_us + reg->limits.ring_us);
    *ret = call;
    return 0;
no_memory:
    unlink_user(reg, &call->link[WZP_REGISTRY_CALLER]);
    unlink_user(reg, &call->link[WZP_REGISTRY_CALLEE]);
    free_call(call);
    return -ENOMEM;
}

void wzp_registry_ringing(struct wzp_registry_call *call, uint64_t now_us)
{
    if (call->state != WZP_REGISTRY_PENDING)
        return;
    call->state = WZP_REGISTRY_RINGING;
    call->ringing_us = now_us;
}

int wzp_registry_accept(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_accept_mode mode,
                        const struct wzp_registry_addrs *callee_addrs, uint64_t now_us)
{
    if (mode == WZP_ACCEPT_REJECT)
        return -EINVAL;
    if (call->state != WZP_REGISTRY_PENDING && call->state != WZP_REGISTRY_RINGING)
        return -EPROTO;
    const int err =
        wzp_registry_addrs_copy(callee_addrs->reflexive, &callee_addrs->local, &call->addrs[WZP_REGISTRY_CALLEE]);
    if (err)
        return err;
    call->state = WZP_REGISTRY_ACTIVE;
    call->accept_mode = mode;
    call->answered_us = now_us;
    timer_start(call, &reg->setup_queue, now_us + reg->limits.setup_us);
    review_setup(reg, call, now_us); /* both may wait in the room already */
    return 0;
}

void wzp_registry_end(struct wzp_registry *reg, struct wzp_registry_call *call, uint64_t now_us)
{
    if (call->state == WZP_REGISTRY_ENDED)
        return;
    call->state = WZP_REGISTRY_ENDED;
    call->ended_us = now_us;
    for (size_t i = 0; i < 2; i++) {
        unlink_user(reg, &call->link[i]);
        wzp_registry_addrs_done(&call->addrs[i]);
    }
    free(call->peer_relay_fp);
    call->peer_relay_fp = NULL;
    reg->live--;
    reg->ended++;
    timer_start(call, &reg->ended_queue, now_us + reg->limits.keep_us);
    struct wzp_registry_call *oldest = queue_head(&reg->ended_queue);
    if (reg->ended > reg->limits.max_ended && oldest != call)
        forget(reg, oldest);
}

void wzp_registry_set_in_room(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party,
                              bool in_room, uint64_t now_us)
{
    if (party == WZP_REGISTRY_NOBODY)
        return;
    call->in_room[party] = in_room;
    call->renewed[party] = call->renewed[party] && !in_room;
    review_setup(reg, call, now_us);
}

void wzp_registry_set_knows_reports(struct wzp_registry_call *call, enum wzp_registry_party party)
{
    if (party != WZP_REGISTRY_NOBODY)
        call->knows_reports[party] = true;
}

void wzp_registry_set_direct(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party,
                             bool direct, uint64_t now_us)
{
    if (party == WZP_REGISTRY_NOBODY)
        return;
    call->reports_direct[party] = direct;
    call->knows_reports[party] = true;
    call->renewed[party] = false;
    review_setup(reg, call, now_us);
}

bool wzp_registry_is_direct(const struct wzp_registry_call *call)
{
    return call->state == WZP_REGISTRY_ACTIVE && call->reports_direct[0] && call->reports_direct[1] &&
           !(call->renewed[0] && call->renewed[1]);
}

bool wzp_registry_set_away(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party,
                           bool is_away, uint64_t now_us)
{
    if (party == WZP_REGISTRY_NOBODY || call->state != WZP_REGISTRY_ACTIVE || call->away[party] == is_away)
        return true;
    if (is_away && (call->away[0] || call->away[1]))
        return false;
    call->away[party] = is_away;
    if (is_away) {
        timer_start(call, &reg->away_queue, now_us + reg->limits.away_us);
    } else {
        timer_stop(call);
        review_setup(reg, call, now_us); /* the path may have broken meanwhile */
    }
    return true;
}

void wzp_registry_renew(struct wzp_registry *reg, struct wzp_registry_call *call, enum wzp_registry_party party,
                        uint64_t now_us)
{
    if (party == WZP_REGISTRY_NOBODY)
        return;
    call->renewed[party] = true;
    (void)wzp_registry_set_away(reg, call, party, false, now_us); /* coming back always works */
    review_setup(reg, call, now_us);
}

int wzp_registry_set_peer_relay(struct wzp_registry_call *call, const char *peer_relay_fp)
{
    char *copy = NULL;
    if (peer_relay_fp) {
        const size_t len = strnlen(peer_relay_fp, WZP_REGISTRY_RELAY_TEXT_MAX + 1);
        if (len == 0 || len > WZP_REGISTRY_RELAY_TEXT_MAX || call->state == WZP_REGISTRY_ENDED)
            return -EINVAL;
        if (!(copy = strdup(peer_relay_fp)))
            return -ENOMEM;
    }
    free(call->peer_relay_fp);
    call->peer_relay_fp = copy;
    return 0;
}

/* ---- looking up ---- */

struct wzp_registry_call *wzp_registry_find(const struct wzp_registry *reg, const char *call_id)
{
    char key[WZP_CALL_ID_MAX + 1];
    if (!make_key(call_id, key))
        return NULL;
    struct wz_hash_node *node = wz_hash_find(&reg->calls, wz_bytes_str(key));
    return node ? wz_container_of(node, struct wzp_registry_call, by_id) : NULL;
}

struct wzp_registry_call *wzp_registry_find_room(const struct wzp_registry *reg, const char *room)
{
    const size_t prefix = sizeof WZP_CALL_ROOM_PREFIX - 1;
    if (strncmp(room, WZP_CALL_ROOM_PREFIX, prefix) != 0)
        return NULL;
    return wzp_registry_find(reg, room + prefix);
}

struct wzp_registry_call *wzp_registry_first_of(const struct wzp_registry *reg, const char *fingerprint)
{
    const struct wzp_registry_user *user = find_user(reg, fingerprint);
    if (!user)
        return NULL;
    return wz_container_of(user->calls.next, struct wzp_registry_link, node)->call;
}

struct wzp_registry_call *wzp_registry_next_of(const struct wzp_registry_call *call, enum wzp_registry_party party)
{
    const struct wzp_registry_link *link = &call->link[party];
    if (!link->user || link->node.next == &link->user->calls)
        return NULL;
    return wz_container_of(link->node.next, struct wzp_registry_link, node)->call;
}

enum wzp_registry_party wzp_registry_party_of(const struct wzp_registry_call *call, const char *fingerprint)
{
    if (strcmp(call->fingerprint[WZP_REGISTRY_CALLER], fingerprint) == 0)
        return WZP_REGISTRY_CALLER;
    if (strcmp(call->fingerprint[WZP_REGISTRY_CALLEE], fingerprint) == 0)
        return WZP_REGISTRY_CALLEE;
    return WZP_REGISTRY_NOBODY;
}

bool wzp_registry_is_forming(const struct wzp_registry_call *call)
{
    return call->state != WZP_REGISTRY_ENDED && call->due_us != WZP_REGISTRY_NEVER && !call->away[0] && !call->away[1];
}

/* ---- expiry ---- */

struct wzp_registry_call *wzp_registry_expired(struct wzp_registry *reg, uint64_t now_us)
{
    while (queue_due_us(&reg->ended_queue) <= now_us && !wz_list_is_empty(&reg->ended_queue))
        forget(reg, queue_head(&reg->ended_queue));
    struct wz_list *const queues[] = { &reg->ring_queue, &reg->setup_queue, &reg->away_queue };
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        struct wzp_registry_call *head = queue_head(queues[i]);
        if (head && head->due_us <= now_us)
            return head;
    }
    return NULL;
}

uint64_t wzp_registry_deadline_us(const struct wzp_registry *reg)
{
    const uint64_t due_us[] = { queue_due_us(&reg->ring_queue), queue_due_us(&reg->setup_queue),
                                queue_due_us(&reg->away_queue), queue_due_us(&reg->ended_queue) };
    uint64_t first_us = WZP_REGISTRY_NEVER;
    for (size_t i = 0; i < sizeof due_us / sizeof due_us[0]; i++)
        if (due_us[i] < first_us)
            first_us = due_us[i];
    return first_us;
}
