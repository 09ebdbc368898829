#include "wzp/bin/client_addresses.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ice/enumerate.h"
#include "ice/stun.h"
#include "wzp/io/line.h"
#include "wzp/io/quic.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/udp.h"

#define HOST_MAX 256

struct client_addresses {
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct wice_stun *stun;
    size_t server_count;
    struct wz_timer timer;
    struct wzp_line_addresses found;
    void (*changed)(void *arg, const struct wzp_line_addresses *found);
    void *arg;
    bool told;
};

/* ---- names ---- */

static int parse_port(const char *text, uint16_t *ret)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)value;
    return 0;
}

static int look_up(const char *host, uint16_t port, struct wz_addr *ret)
{
    const struct addrinfo want = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM };
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, NULL, &want, &list) != 0)
        return -ENOENT;
    const struct addrinfo *pick = list;
    for (const struct addrinfo *pos = list; pos; pos = pos->ai_next)
        if (pos->ai_family == AF_INET) {
            pick = pos;
            break;
        }
    *ret = wz_addr_from_sockaddr(pick->ai_addr);
    ret->port = port;
    freeaddrinfo(list);
    return 0;
}

int client_resolve(const char *text, uint16_t default_port, struct wz_addr *ret)
{
    if (wz_addr_parse(text, ret) == 0 || wz_addr_parse_ip(text, default_port, ret) == 0)
        return 0;
    char host[HOST_MAX];
    const char *colon = strrchr(text, ':');
    const size_t len = colon ? (size_t)(colon - text) : strlen(text);
    uint16_t port = default_port;
    if (len == 0 || len >= sizeof host || memchr(text, ':', len) || (colon && parse_port(colon + 1, &port) < 0))
        return -EINVAL;
    (void)snprintf(host, sizeof host, "%.*s", (int)len, text);
    return look_up(host, port, ret);
}

/* ---- addresses ---- */

static void stun_send(void *arg, struct wz_bytes packet, const struct wz_addr *to)
{
    struct client_addresses *addresses = arg;
    (void)wzp_quic_send_raw(addresses->quic, packet, to); /* lost packets are sent again */
}

static void follow_stun(struct client_addresses *addresses)
{
    wz_timer_set(&addresses->timer, wice_stun_deadline_us(addresses->stun));
    if (addresses->told || !wice_stun_is_done(addresses->stun))
        return;
    addresses->told = true;
    for (size_t i = 0; i < addresses->server_count; i++)
        if (wice_stun_mapping(addresses->stun, i, &addresses->found.stun[addresses->found.stun_count]))
            addresses->found.stun_count++;
    addresses->changed(addresses->arg, &addresses->found);
}

static void on_timer(void *arg)
{
    struct client_addresses *addresses = arg;
    wice_stun_tick(addresses->stun, wz_loop_now_us(addresses->loop));
    follow_stun(addresses);
}

static void find_hosts(struct wzp_line_addresses *found, const struct wzp_quic *quic)
{
    struct wz_addr host[WZP_SIGNAL_MAX_ADDRS];
    const size_t count = wice_enumerate(wzp_quic_local(quic).port, false, host, WZP_SIGNAL_MAX_ADDRS);
    for (size_t i = 0; i < count; i++)
        if (wzp_line_endpoint_has(quic, &host[i]))
            found->host[found->host_count++] = host[i];
}

int client_addresses_new(struct client_addresses **ret, struct wz_loop *loop, struct wzp_quic *quic,
                         const struct wz_addr *server, size_t server_count,
                         void (*changed)(void *arg, const struct wzp_line_addresses *found), void *arg)
{
    if (server_count > WICE_STUN_MAX_SERVERS)
        return -EINVAL;
    struct client_addresses *addresses = calloc(1, sizeof *addresses);
    if (!addresses)
        return -ENOMEM;
    *addresses = (struct client_addresses){
        .loop = loop,
        .quic = quic,
        .server_count = server_count,
        .changed = changed,
        .arg = arg,
    };
    struct wice_stun_config config = { .server_count = server_count, .send = stun_send, .arg = addresses };
    for (size_t i = 0; i < server_count; i++)
        config.server[i] = server[i];
    const int err = wice_stun_new(&addresses->stun, &config);
    if (err < 0) {
        free(addresses);
        return err;
    }
    find_hosts(&addresses->found, quic);
    wz_timer_init(&addresses->timer, loop, on_timer, addresses);
    wice_stun_start(addresses->stun, wz_loop_now_us(loop));
    wz_timer_set(&addresses->timer, wz_loop_now_us(loop));
    *ret = addresses;
    return 0;
}

void client_addresses_free(struct client_addresses *addresses)
{
    if (!addresses)
        return;
    wz_timer_cancel(&addresses->timer);
    wice_stun_free(addresses->stun);
    free(addresses);
}

void client_addresses_packet(struct client_addresses *addresses, struct wz_bytes packet, const struct wz_addr *from)
{
    if (wice_stun_packet(addresses->stun, packet, from))
        follow_stun(addresses);
}
