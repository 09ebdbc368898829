#include "tests/support/vnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LAN_DELAY_US 1000u

/** A timer, or a packet that arrives. */
struct vnet_event {
    uint64_t at_us, order;
    struct vnet_timer *timer;
    struct vnet_packet *packet;
};

/* ---- the trace ---- */

void vnet_trace(struct vnet *net, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        net->trace = (net->trace ^ bytes[i]) * 0x100000001b3ull;
}

void vnet_trace_number(struct vnet *net, uint64_t number)
{
    net->trace = (net->trace ^ number) * 0x9e3779b97f4a7c15ull;
    net->trace ^= net->trace >> 29;
}

/* ---- events ---- */

static bool is_before(const struct vnet_event *a, const struct vnet_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap_events(struct vnet_event *a, struct vnet_event *b)
{
    const struct vnet_event kept = *a;
    *a = *b;
    *b = kept;
}

static void push_event(struct vnet *net, struct vnet_event event)
{
    if (net->event_count == net->event_size) {
        net->event_size = net->event_size ? net->event_size * 2 : 64;
        net->event = realloc(net->event, net->event_size * sizeof *net->event);
        assert_non_null(net->event);
    }
    event.order = ++net->last_event;
    size_t at = net->event_count++;
    net->event[at] = event;
    for (; at > 0 && is_before(&net->event[at], &net->event[(at - 1) / 2]); at = (at - 1) / 2)
        swap_events(&net->event[at], &net->event[(at - 1) / 2]);
}

static struct vnet_event pop_event(struct vnet *net)
{
    const struct vnet_event first = net->event[0];
    net->event[0] = net->event[--net->event_count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < net->event_count; child++)
            least = is_before(&net->event[child], &net->event[least]) ? child : least;
        if (least == at)
            return first;
        swap_events(&net->event[at], &net->event[least]);
        at = least;
    }
}

void vnet_timer_set(struct vnet *net, struct vnet_timer *timer, uint64_t at_us)
{
    timer->want_us = at_us;
    if (at_us == VNET_NEVER || (timer->armed_us != 0 && timer->armed_us <= at_us))
        return;
    timer->armed_us = at_us > net->now_us ? at_us : net->now_us;
    push_event(net, (struct vnet_event){ .at_us = timer->armed_us, .timer = timer });
}

static void timer_event(struct vnet *net, struct vnet_timer *timer, uint64_t at_us)
{
    if (timer->armed_us != at_us)
        return; /* an earlier one was armed after this one */
    timer->armed_us = 0;
    const uint64_t want_us = timer->want_us;
    if (want_us > net->now_us) {
        vnet_timer_set(net, timer, want_us);
        return;
    }
    timer->want_us = VNET_NEVER;
    timer->due(timer->arg);
}

/* ---- packets ---- */

static bool is_translating(const struct vnet_nat *nat)
{
    return nat && nat->kind != VNET_OPEN && nat->kind != VNET_FIREWALL;
}

static bool is_private(const struct wz_addr *addr)
{
    return addr->family == WZ_ADDR_V4 && wz_addr_kind(addr) == WZ_ADDR_KIND_PRIVATE;
}

static struct vnet_host *host_at(const struct vnet *net, const struct wz_addr *addr, const struct vnet_nat *lan)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &net->hosts) {
        struct vnet_host *host = wz_container_of(pos, struct vnet_host, node);
        const struct wz_addr *own = addr->family == WZ_ADDR_V6 ? &host->v6 : &host->v4;
        if (wz_addr_same_ip(own, addr) && (!lan || host->nat == lan))
            return host;
    }
    return NULL;
}

static struct vnet_nat *nat_at(const struct vnet *net, const struct wz_addr *addr)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &net->nats) {
        struct vnet_nat *nat = wz_container_of(pos, struct vnet_nat, node);
        if (is_translating(nat) && wz_addr_same_ip(&nat->public_ip, addr))
            return nat;
    }
    return NULL;
}

/** Whom the packet reaches, and at which port; NULL: nobody. */
static struct vnet_host *find_receiver(const struct vnet *net, const struct vnet_packet *packet, uint16_t *ret_port)
{
    *ret_port = packet->to.port;
    if (is_private(&packet->to))
        return is_translating(packet->sender->nat) ? host_at(net, &packet->to, packet->sender->nat) : NULL;
    struct vnet_nat *nat = nat_at(net, &packet->to);
    if (nat)
        return nat == packet->sender->nat ? NULL /* no hairpin */
                                          : vnet_nat_inbound(nat, &packet->from, &packet->to, ret_port);
    struct vnet_host *host = host_at(net, &packet->to, NULL);
    if (host && packet->to.family == WZ_ADDR_V6 && host->firewall)
        return vnet_nat_inbound(host->firewall, &packet->from, &packet->to, ret_port);
    return host;
}

static struct vnet_socket *socket_at(const struct vnet_host *host, uint16_t port)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &host->sockets) {
        struct vnet_socket *socket = wz_container_of(pos, struct vnet_socket, node);
        if (socket->port == port)
            return socket;
    }
    return NULL;
}

static void trace_packet(struct vnet *net, const struct vnet_packet *packet, uint64_t fate)
{
    vnet_trace_number(net, net->now_us);
    vnet_trace_number(net, (uint64_t)packet->header.kind << 32 | packet->len << 8 | fate);
    vnet_trace_number(net, (uint64_t)packet->from.port << 16 | packet->to.port);
    vnet_trace(net, packet->data, packet->len);
}

static void arrive(struct vnet *net, const struct vnet_packet *packet)
{
    uint16_t port = 0;
    struct vnet_host *host = find_receiver(net, packet, &port);
    const struct vnet_socket *socket = host ? socket_at(host, port) : NULL;
    if (!socket || host->unplugged || vnet_is_cut(net, packet->sender, host)) {
        net->stats.filtered++;
        trace_packet(net, packet, 1);
        return;
    }
    net->stats.delivered++;
    trace_packet(net, packet, 0);
    socket->receive(socket->arg, packet);
}

/** One way, from host to whoever has the address. */
static uint64_t delay_us(struct vnet *net, const struct vnet_host *host, const struct wz_addr *to)
{
    uint64_t delay = LAN_DELAY_US;
    if (!is_private(to)) {
        const struct vnet_nat *nat = nat_at(net, to);
        const struct vnet_host *other = nat ? NULL : host_at(net, to, NULL);
        struct wz_list *pos, *tmp;
        wz_list_foreach (pos, tmp, &net->hosts) /* those of one NAT are equally far away */
            if (nat && !other && wz_container_of(pos, struct vnet_host, node)->nat == nat)
                other = wz_container_of(pos, struct vnet_host, node);
        delay = host->delay_us + (other ? other->delay_us : host->delay_us);
    }
    return delay + (net->jitter_ms ? test_rng_below(&net->random, (uint64_t)net->jitter_ms * 1000) : 0);
}

/** The source address that the world sees; family NONE: this host cannot send there. */
static struct wz_addr source_of(struct vnet_host *host, uint16_t port, const struct wz_addr *to)
{
    struct wz_addr from = to->family == WZ_ADDR_V6 ? host->v6 : host->v4;
    from.port = port;
    if (from.family == WZ_ADDR_NONE || is_private(to))
        return from;
    struct vnet_nat *nat = to->family == WZ_ADDR_V6 ? host->firewall : host->nat;
    return nat ? vnet_nat_outbound(nat, host, &from, to) : from;
}

void vnet_send(struct vnet_socket *socket, const struct wz_addr *to, const struct vnet_header *header,
               struct wz_bytes data, uint64_t *not_before)
{
    struct vnet_host *host = socket->host;
    struct vnet *net = host->net;
    struct vnet_packet *packet = calloc(1, sizeof *packet + data.len);
    assert_non_null(packet);
    packet->header = *header;
    packet->sender = host;
    packet->to = packet->aimed_at = *to;
    packet->from = source_of(host, socket->port, to);
    packet->len = data.len;
    if (data.len)
        memcpy(packet->data, data.data, data.len);
    net->stats.sent++;
    net->stats.sent_ipv6 += to->family == WZ_ADDR_V6;
    if (net->watch)
        net->watch(net->watch_arg, packet);
    const bool is_lost = net->loss_permille && test_rng_below(&net->random, 1000) < net->loss_permille;
    const uint64_t delay = delay_us(net, host, to);
    net->stats.lost += is_lost;
    net->stats.unroutable += packet->from.family == WZ_ADDR_NONE;
    if (is_lost || host->unplugged || packet->from.family == WZ_ADDR_NONE) {
        trace_packet(net, packet, 2);
        free(packet);
        return;
    }
    const uint64_t at_us = net->now_us + delay;
    *not_before = at_us > *not_before ? at_us : *not_before;
    push_event(net, (struct vnet_event){ .at_us = *not_before, .packet = packet });
}

void vnet_cut_path(struct vnet *net, const struct vnet_host *a, const struct vnet_host *b, bool is_cut)
{
    for (size_t i = 0; i < net->cut_count;) {
        const struct vnet_cut *cut = &net->cut[i];
        if ((cut->a == a && cut->b == b) || (cut->a == b && cut->b == a))
            net->cut[i] = net->cut[--net->cut_count];
        else
            i++;
    }
    if (is_cut) {
        assert_in_range(net->cut_count, 0, VNET_CUTS_MAX - 1);
        net->cut[net->cut_count++] = (struct vnet_cut){ .a = a, .b = b };
    }
}

bool vnet_is_cut(const struct vnet *net, const struct vnet_host *a, const struct vnet_host *b)
{
    for (size_t i = 0; i < net->cut_count; i++)
        if ((net->cut[i].a == a && net->cut[i].b == b) || (net->cut[i].a == b && net->cut[i].b == a))
            return true;
    return false;
}

/* ---- the network ---- */

void vnet_init(struct vnet *net, uint64_t seed)
{
    *net = (struct vnet){ .now_us = 1000000, .trace = 0xcbf29ce484222325ull };
    net->random.state = seed * 0x9e3779b97f4a7c15ull + 1;
    wz_list_init(&net->hosts);
    wz_list_init(&net->nats);
}

void vnet_done(struct vnet *net)
{
    struct wz_list *pos, *tmp;
    for (size_t i = 0; i < net->event_count; i++)
        free(net->event[i].packet);
    free(net->event);
    wz_list_foreach (pos, tmp, &net->hosts)
        free(wz_container_of(pos, struct vnet_host, node));
    wz_list_foreach (pos, tmp, &net->nats) {
        struct vnet_nat *nat = wz_container_of(pos, struct vnet_nat, node);
        free(nat->mapping);
        free(nat);
    }
}

void vnet_run_until(struct vnet *net, uint64_t end_us)
{
    while (net->event_count > 0 && net->event[0].at_us <= end_us) {
        const struct vnet_event event = pop_event(net);
        net->now_us = event.at_us > net->now_us ? event.at_us : net->now_us;
        if (event.timer)
            timer_event(net, event.timer, event.at_us);
        else
            arrive(net, event.packet);
        free(event.packet);
    }
    net->now_us = end_us;
}

struct vnet_nat *vnet_add_nat(struct vnet *net, enum vnet_nat_kind kind, const char *public_ip)
{
    struct vnet_nat *nat = calloc(1, sizeof *nat);
    assert_non_null(nat);
    nat->net = net;
    nat->kind = kind;
    nat->next_port = (uint16_t)(20000 + test_rng_below(&net->random, 20000));
    if (public_ip)
        assert_int_equal(wz_addr_parse_ip(public_ip, 0, &nat->public_ip), 0);
    wz_list_append(&net->nats, &nat->node);
    return nat;
}

struct vnet_host *vnet_add_host(struct vnet *net, struct vnet_nat *nat, const char *v4, const char *v6,
                                unsigned delay_ms)
{
    struct vnet_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    host->net = net;
    host->nat = nat;
    host->delay_us = (uint64_t)delay_ms * 1000;
    assert_int_equal(wz_addr_parse_ip(v4, 0, &host->v4), 0);
    if (v6)
        assert_int_equal(wz_addr_parse_ip(v6, 0, &host->v6), 0);
    wz_list_init(&host->sockets);
    wz_list_append(&net->hosts, &host->node);
    return host;
}

void vnet_bind(struct vnet_socket *socket, struct vnet_host *host, uint16_t port)
{
    socket->host = host;
    socket->port = port;
    wz_list_append(&host->sockets, &socket->node);
}

void vnet_unbind(struct vnet_socket *socket)
{
    wz_list_remove(&socket->node);
}
