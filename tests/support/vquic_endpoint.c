/* Sockets with QUIC on them: opened, killed, shut. */
#include "tests/support/vquic_internal.h"

#include <stdio.h>

void vquic_open(struct vquic *quic, struct vquic_endpoint *endpoint, struct vnet_host *host, uint16_t port)
{
    endpoint->quic = quic;
    endpoint->open = true;
    endpoint->socket.receive = vquic_receive;
    endpoint->socket.arg = endpoint;
    vnet_bind(&endpoint->socket, host, port);
}

typedef void vquic_visit(struct vquic_end *end, void *arg);

static void each_end(const struct vquic_endpoint *endpoint, vquic_visit *visit, void *arg)
{
    struct wz_list *pos, *tmp;
    wz_list_foreach (pos, tmp, &endpoint->quic->conns) {
        struct vquic_conn *conn = wz_container_of(pos, struct vquic_conn, node);
        if (conn->client.endpoint == endpoint)
            visit(&conn->client, arg);
        if (conn->server.endpoint == endpoint)
            visit(&conn->server, arg);
    }
}

static void answer_held(struct vquic_end *end, void *arg)
{
    (void)arg;
    if (end->state != VQUIC_HELD)
        return;
    vquic_answer(end);
}

void vquic_set_accept(struct vquic_endpoint *endpoint, enum vquic_accept accept)
{
    endpoint->accept = accept;
    if (accept == VQUIC_ACCEPT)
        each_end(endpoint, answer_held, NULL);
}

static void close_end(struct vquic_end *end, void *arg)
{
    vquic_close(end, arg);
}

static void forget_end(struct vquic_end *end, void *arg)
{
    (void)arg;
    if (end->state != VQUIC_CLOSED)
        vquic_end_now(end, "killed");
}

void vquic_kill(struct vquic_endpoint *endpoint)
{
    endpoint->open = false;
    each_end(endpoint, forget_end, NULL);
    vnet_unbind(&endpoint->socket);
}

void vquic_shut(struct vquic_endpoint *endpoint, const char *reason)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s", reason);
    each_end(endpoint, close_end, text);
    vquic_kill(endpoint);
}

void vquic_knock(struct vquic_endpoint *endpoint, const struct wz_addr *to, struct wz_bytes data)
{
    uint64_t not_before_us = 0;
    if (endpoint->open)
        vnet_send(&endpoint->socket, to, &(struct vnet_header){ .conn = NULL }, data, &not_before_us);
}

static void count_open(struct vquic_end *end, void *arg)
{
    size_t *count = arg;
    *count += end->state != VQUIC_CLOSED && end->state != VQUIC_NONE;
}

size_t vquic_open_ends(const struct vquic_endpoint *endpoint)
{
    size_t count = 0;
    each_end(endpoint, count_open, &count);
    return count;
}
