/* The lines of one endpoint: which call an inbound connection is for.
 *
 * Whoever connects from outside is unknown until its handshake shows the server name. Names of calls that take a direct
 * connection lie in a keyed hash, so a stranger's name costs one look-up however many lines there are, and is answered
 * by closing. Several calls may share a name: both ends of a call between two lines of one endpoint do. */
#include "wzp/io/line_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/core/handshake.h"
#include "wzp/core/room_name.h"
#include "wzp/rt/rng.h"

/** Direct connections that others made to us, at once. Beyond that calls stay on the relay. */
#define GROUP_MAX_CONNECTIONS 1024
/** Strangers in the middle of a handshake before each must show that its address is its own (Retry). */
#define GROUP_MAX_HANDSHAKES 64

/** A server name and the calls that wait for a connection with it. */
struct line_group_name {
    struct wz_hash_node node;
    struct wzp_line_group *group;
    struct wz_list calls; /**< wzp_line_call.name_node */
    char sni[];
};

struct wzp_line_group {
    struct wz_hash names;
};

int wzp_line_group_new(struct wzp_line_group **ret)
{
    struct wzp_line_group *group = calloc(1, sizeof *group);
    if (!group)
        return -ENOMEM;
    const int err = wz_hash_init(&group->names, &wz_rng_system);
    if (err < 0) {
        free(group);
        return err;
    }
    *ret = group;
    return 0;
}

void wzp_line_group_free(struct wzp_line_group *group)
{
    if (!group)
        return;
    wz_hash_done(&group->names);
    free(group);
}

static struct line_group_name *find_name(const struct wzp_line_group *group, const char *sni)
{
    struct wz_hash_node *node = wz_hash_find(&group->names, wz_bytes_str(sni));
    return node ? wz_container_of(node, struct line_group_name, node) : NULL;
}

static struct line_group_name *make_name(struct wzp_line_group *group, const char *sni)
{
    const size_t size = strlen(sni) + 1;
    struct line_group_name *name = calloc(1, sizeof *name + size);
    if (!name)
        return NULL;
    name->group = group;
    memcpy(name->sni, sni, size);
    wz_list_init(&name->calls);
    if (wz_hash_insert(&group->names, &name->node, wz_bytes_str(name->sni)) < 0) {
        free(name);
        return NULL;
    }
    return name;
}

void line_group_expect(struct wzp_line_call *call, const char *sni)
{
    char lower[WZP_CLIENT_SNI_SIZE];
    const size_t len = strlen(sni);
    if (!call->line->group || call->name || len >= sizeof lower)
        return;
    memcpy(lower, sni, len + 1);
    wzp_room_name_lower(lower); /* as it will arrive */
    struct line_group_name *name = find_name(call->line->group, lower);
    if (!name)
        name = make_name(call->line->group, lower);
    if (!name)
        return;
    wz_list_append(&name->calls, &call->name_node);
    call->name = name;
}

void line_group_forget(struct wzp_line_call *call)
{
    struct line_group_name *name = call->name;
    if (!name)
        return;
    call->name = NULL;
    wz_list_remove(&call->name_node);
    if (!wz_list_is_empty(&name->calls))
        return;
    wz_hash_remove(&name->group->names, &name->node);
    free(name);
}

/* ---- inbound connections ---- */

static bool offer(struct line_group_name *name, struct wzp_quic_conn *quic)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &name->calls)
        if (line_conn_accept(wz_container_of(pos, struct wzp_line_call, name_node), quic))
            return true; /* the core has heard of it: pos, tmp and name may be gone */
    return false;
}

static void on_connected(void *arg, struct wzp_quic_conn *quic)
{
    struct wzp_line_group *group = arg;
    struct line_group_name *name = find_name(group, wzp_quic_conn_sni(quic));
    if (!name || !offer(name, quic))
        wzp_quic_close(quic, "stale");
}

void wzp_line_group_serve(struct wzp_line_group *group, struct wzp_quic_config *config)
{
    config->accept = true;
    config->max_connections = GROUP_MAX_CONNECTIONS;
    config->max_handshakes = GROUP_MAX_HANDSHAKES;
    config->handlers = (struct wzp_quic_handlers){ .connected = on_connected };
    config->arg = group;
}

int wzp_line_open_endpoint(struct wzp_quic **ret, struct wz_loop *loop, const struct wzp_quic_config *config)
{
    struct wzp_quic_config both = *config;
    both.bind = (struct wz_addr){ .family = WZ_ADDR_V6, .port = config->bind.port };
    if (config->bind.family == WZ_ADDR_V4 && wz_addr_is_any(&config->bind) && wzp_quic_new(ret, loop, &both) == 0)
        return 0; /* IPv4 comes in as mapped addresses, which wzp/rt/udp hides */
    return wzp_quic_new(ret, loop, config);
}

bool wzp_line_endpoint_has(const struct wzp_quic *quic, const struct wz_addr *host)
{
    const struct wz_addr local = wzp_quic_local(quic);
    const bool speaks = host->family == local.family || (local.family == WZ_ADDR_V6 && wz_addr_is_any(&local));
    return speaks && host->port == local.port && (wz_addr_is_any(&local) || wz_addr_same_ip(host, &local));
}
