#include "tests/support/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/udp.h"

#define LIMIT_US 10000000u

static void on_ready(void *arg, uint32_t events)
{
    struct http_client *client = arg;
    ssize_t n = recv(client->fd, client->data + client->len, HTTP_CLIENT_MAX - 1 - client->len, MSG_DONTWAIT);

    (void)events;
    if (n > 0) {
        client->len += (size_t)n;
        client->data[client->len] = '\0';
    } else if (n == 0 || errno != EAGAIN) {
        client->closed = true;
        wz_io_done(&client->io);
    }
}

static int connect_client(const char *path, const struct wz_addr *addr)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct sockaddr_storage ss;
    const struct sockaddr *sa = (const struct sockaddr *)&un;
    socklen_t len = sizeof un;
    int fd;

    if (path) {
        (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    } else {
        len = wz_addr_to_sockaddr(addr, &ss);
        sa = (const struct sockaddr *)&ss;
    }
    fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, sa, len) < 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    return fd < 0 ? -errno : fd;
}

int http_client_open(struct http_client *client, struct wz_loop *loop, const char *path,
                     const struct wz_addr *addr, const char *request, size_t len)
{
    client->loop = loop;
    client->io.loop = NULL;
    client->closed = false;
    client->len = 0;
    client->data[0] = '\0';
    client->fd = connect_client(path, addr);
    if (client->fd < 0)
        return client->fd;
    if (send(client->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
        return -EIO;
    return wz_io_init(&client->io, loop, client->fd, EPOLLIN, on_ready, client);
}

void http_client_close(struct http_client *client)
{
    wz_io_done(&client->io);
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
}

bool http_client_wait(struct http_client *client)
{
    uint64_t limit_us = wz_clock_us() + LIMIT_US;

    while (!client->closed && wz_clock_us() < limit_us)
        if (wz_loop_turn(client->loop, 1000) < 0)
            return false;
    return client->closed;
}

unsigned http_client_status(const struct http_client *client)
{
    unsigned status = 0;

    (void)sscanf(client->data, "HTTP/1.%*1u %3u", &status);
    return status;
}

const char *http_client_body(const struct http_client *client)
{
    const char *end = strstr(client->data, "\r\n\r\n");

    return end ? end + 4 : "";
}

unsigned http_client_get(struct http_client *client, struct wz_loop *loop, const char *path,
                         const char *method_and_path)
{
    char request[2048];
    int len = snprintf(request, sizeof request, "%s HTTP/1.0\r\n\r\n", method_and_path);
    unsigned status = 0;

    if (http_client_open(client, loop, path, NULL, request, (size_t)len) == 0 && http_client_wait(client))
        status = http_client_status(client);
    http_client_close(client);
    return status;
}
