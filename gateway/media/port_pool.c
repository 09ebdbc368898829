#include "gateway/media/port_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wzp/rt/udp.h"

/** Attempts to find two neighbouring free ports when the kernel chooses. */
#define CHOICE_TRIES 64
/** Packets taken out of a resting socket in one go; a flood must not hold up the caller. */
#define DRAIN_MAX 256

struct pair {
    int fd[2];
    uint16_t port;
    bool is_lent;
    bool was_used;
    uint64_t rests_until_us;
};

struct gw_port_pool {
    struct wz_addr bind_ip;
    unsigned count, lent;
    unsigned next; /**< where the search goes on, so that pairs take turns */
    struct pair pair[];
};

static int bind_port(const struct wz_addr *ip, uint16_t port, uint16_t *ret_port)
{
    struct wz_addr full = *ip;
    struct sockaddr_storage ss;
    socklen_t len;
    int fd, err;

    full.port = port;
    len = wz_addr_to_sockaddr(&full, &ss);
    fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&ss, len) < 0)
        goto fail;
    len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        goto fail;
    *ret_port = wz_addr_from_sockaddr((struct sockaddr *)&ss).port;
    return fd;
fail:
    err = -errno;
    (void)close(fd);
    return err;
}

static void pair_close(struct pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        if (pair->fd[i] >= 0)
            (void)close(pair->fd[i]);
        pair->fd[i] = -1;
    }
}

/* Even port for RTP, the next one for RTCP. ret_port names the port that could not be had. */
static int pair_bind(struct pair *pair, const struct wz_addr *ip, uint16_t port, uint16_t *ret_port)
{
    *pair = (struct pair){ .fd = { -1, -1 }, .port = port };
    for (unsigned i = 0; i < 2; i++) {
        uint16_t bound;
        pair->fd[i] = bind_port(ip, (uint16_t)(port + i), &bound);
        if (pair->fd[i] < 0) {
            const int err = pair->fd[i];
            *ret_port = (uint16_t)(port + i);
            pair_close(pair);
            return err;
        }
    }
    return 0;
}

static int pair_bind_any(struct pair *pair, const struct wz_addr *ip, uint16_t *ret_port)
{
    int err = -EADDRINUSE;

    for (unsigned try = 0; try < CHOICE_TRIES && err; try++) {
        uint16_t port;
        const int probe = bind_port(ip, 0, &port);
        if (probe < 0)
            return probe;
        (void)close(probe);
        err = port >= UINT16_MAX - 1 ? -EADDRINUSE : pair_bind(pair, ip, port & 0xfffe, ret_port);
    }
    return err;
}

int gw_port_pool_new(struct gw_port_pool **ret, const struct gw_port_pool_config *config, uint16_t *ret_port)
{
    const uint32_t first = config->first_port + (config->first_port & 1u);
    const uint32_t end = (uint32_t)config->last_port + 1;
    const uint32_t count = first == 0 ? config->pair_count : end > first ? (end - first) / 2 : 0;
    struct gw_port_pool *pool = NULL;
    uint16_t failed = 0;
    int err = -EINVAL;

    if (count == 0 || count > GW_PORT_POOL_PAIRS_MAX || config->bind_ip.family == WZ_ADDR_NONE)
        goto out;
    err = -ENOMEM;
    pool = calloc(1, sizeof *pool + count * sizeof pool->pair[0]);
    if (!pool)
        goto out;
    pool->bind_ip = config->bind_ip;
    for (; pool->count < count; pool->count++) {
        struct pair *pair = &pool->pair[pool->count];
        err = first ? pair_bind(pair, &config->bind_ip, (uint16_t)(first + 2 * pool->count), &failed)
                    : pair_bind_any(pair, &config->bind_ip, &failed);
        if (err)
            goto out;
    }
    *ret = pool, pool = NULL, err = 0;
out:
    if (err && ret_port)
        *ret_port = failed;
    gw_port_pool_free(pool);
    return err;
}

void gw_port_pool_free(struct gw_port_pool *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->count; i++)
        pair_close(&pool->pair[i]);
    free(pool);
}

/* Empty the receive buffers. True when anything was in them. */
static bool drain(struct pair *pair)
{
    bool found = false;

    for (unsigned i = 0; i < 2; i++) {
        uint8_t byte;
        for (unsigned n = 0; n < DRAIN_MAX && recv(pair->fd[i], &byte, sizeof byte, MSG_TRUNC) >= 0; n++)
            found = true;
    }
    return found;
}

static int lend(struct gw_port_pool *pool, struct pair *pair, struct gw_port_pair *ret)
{
    const int fd_rtp = fcntl(pair->fd[0], F_DUPFD_CLOEXEC, 0);
    const int fd_rtcp = fd_rtp < 0 ? -1 : fcntl(pair->fd[1], F_DUPFD_CLOEXEC, 0);

    if (fd_rtcp < 0) {
        const int err = -errno;
        if (fd_rtp >= 0)
            (void)close(fd_rtp);
        return err;
    }
    pair->is_lent = true;
    pair->was_used = true;
    pool->lent++;
    *ret = (struct gw_port_pair){ .fd_rtp = fd_rtp, .fd_rtcp = fd_rtcp, .port = pair->port };
    return 0;
}

int gw_port_pool_take(struct gw_port_pool *pool, uint64_t now_us, struct gw_port_pair *ret)
{
    for (unsigned n = 0; n < pool->count; n++) {
        struct pair *pair = &pool->pair[pool->next];

        pool->next = (pool->next + 1) % pool->count;
        if (pair->is_lent || now_us < pair->rests_until_us)
            continue;
        /* Somebody of the former call still sends here: give it more time. */
        if (drain(pair) && pair->was_used) {
            pair->rests_until_us = now_us + GW_PORT_POOL_REST_US;
            continue;
        }
        return lend(pool, pair, ret);
    }
    return -ENOSPC;
}

void gw_port_pool_give(struct gw_port_pool *pool, uint16_t port, uint64_t now_us)
{
    for (unsigned i = 0; i < pool->count; i++) {
        struct pair *pair = &pool->pair[i];
        if (pair->port != port || !pair->is_lent)
            continue;
        pair->is_lent = false;
        pair->rests_until_us = now_us + GW_PORT_POOL_REST_US;
        pool->lent--;
        return;
    }
}

unsigned gw_port_pool_free_pairs(const struct gw_port_pool *pool)
{
    return pool->count - pool->lent;
}

unsigned gw_port_pool_total_pairs(const struct gw_port_pool *pool)
{
    return pool->count;
}
