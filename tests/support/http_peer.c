#include "tests/support/http_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wzp/rt/udp.h"

static void close_conn(struct http_peer_conn *conn)
{
    if (conn->fd < 0)
        return;
    wz_io_done(&conn->io);
    close(conn->fd);
    conn->fd = -1;
}

/** Length of the whole request in data, 0 while some is missing. */
static size_t request_len(const char *data, size_t len)
{
    const char *end = strstr(data, "\r\n\r\n");
    if (!end)
        return 0;
    const char *field = strcasestr(data, "\r\nContent-Length:");
    const size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    const size_t whole = (size_t)(end + 4 - data) + body;
    return whole <= len ? whole : 0;
}

static void answer(struct http_peer_conn *conn)
{
    struct http_peer *peer = conn->peer;
    peer->requests++;
    memcpy(peer->last, conn->data, conn->len + 1);
    char *text = peer->answer(peer->arg, conn->data);
    if (!text)
        return;
    for (size_t done = 0, len = strlen(text); done < len;) {
        const ssize_t n = send(conn->fd, text + done, len - done, MSG_NOSIGNAL);
        if (n <= 0)
            break; /* the client has had enough */
        done += (size_t)n;
    }
    free(text);
    close_conn(conn);
}

static void on_readable(void *arg, uint32_t events)
{
    struct http_peer_conn *conn = arg;
    const ssize_t n = recv(conn->fd, conn->data + conn->len, HTTP_PEER_REQUEST_MAX - conn->len, MSG_DONTWAIT);
    (void)events;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close_conn(conn);
        return;
    }
    conn->len += (size_t)n;
    conn->data[conn->len] = '\0';
    if (request_len(conn->data, conn->len))
        answer(conn);
}

static void on_accept(void *arg, uint32_t events)
{
    struct http_peer *peer = arg;
    (void)events;
    const int fd = accept(peer->fd, NULL, NULL);
    if (fd < 0)
        return;
    for (size_t i = 0; i < HTTP_PEER_CONNS; i++) {
        struct http_peer_conn *conn = &peer->conn[i];
        if (conn->fd >= 0)
            continue;
        *conn = (struct http_peer_conn){ .peer = peer, .fd = fd };
        if (wz_io_init(&conn->io, peer->loop, fd, EPOLLIN, on_readable, conn) != 0)
            abort();
        return;
    }
    close(fd);
}

int http_peer_start(struct http_peer *peer, struct wz_loop *loop, char *(*answer_with)(void *arg, const char *request),
                    void *arg)
{
    struct sockaddr_storage ss;
    struct wz_addr any;
    memset(peer, 0, sizeof *peer);
    peer->loop = loop;
    peer->answer = answer_with;
    peer->arg = arg;
    for (size_t i = 0; i < HTTP_PEER_CONNS; i++)
        peer->conn[i].fd = -1;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 || wz_addr_parse("127.0.0.1:0", &any) != 0)
        return -errno;
    socklen_t len = wz_addr_to_sockaddr(&any, &ss);
    if (bind(peer->fd, (struct sockaddr *)&ss, len) < 0 || listen(peer->fd, 1024) < 0)
        return -errno;
    len = sizeof ss;
    if (getsockname(peer->fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    peer->addr = wz_addr_from_sockaddr((struct sockaddr *)&ss);
    return wz_io_init(&peer->io, loop, peer->fd, EPOLLIN, on_accept, peer);
}

void http_peer_stop(struct http_peer *peer)
{
    if (peer->fd < 0)
        return;
    for (size_t i = 0; i < HTTP_PEER_CONNS; i++)
        close_conn(&peer->conn[i]);
    wz_io_done(&peer->io);
    close(peer->fd);
    peer->fd = -1;
}

char *http_peer_reply(unsigned status, const char *body)
{
    const size_t size = strlen(body) + 160;
    char *text = malloc(size);
    if (text)
        (void)snprintf(text, size,
                       "HTTP/1.1 %u Said\r\nContent-Type: application/json\r\nConnection: close\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       status, strlen(body), body);
    return text;
}
