/* See udp.h. This file: socket set-up, receiving, addresses. Sending is in udp_send.c. */
#include "wzp/rt/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "wzp/rt/loop.h"
#include "wzp/rt/loop_internal.h"
#include "wzp/rt/udp_internal.h"

/** recvmmsg batches that one socket may take per turn, so that it cannot starve its loop. */
#define RX_BATCHES_PER_TURN 4
#define RX_BATCH            64
/** A plain receive buffer; longer datagrams are cut by the kernel and dropped here. */
#define RX_SLOT_BYTES 2048
/** One coalesced receive is at most a full IP packet. */
#define RX_GRO_BATCH      16
#define RX_GRO_SLOT_BYTES 65536

/* All sockets of a loop receive into the same buffers: packets are handed over before the next receive. */
struct wz_udp_shared {
    struct mmsghdr msg[RX_BATCH];
    struct iovec iov[RX_BATCH];
    struct sockaddr_storage from[RX_BATCH];
    union wz_udp_control control[RX_BATCH];
    uint8_t *plain;     /**< RX_BATCH slots of RX_SLOT_BYTES; NULL until a plain socket exists */
    uint8_t *coalesced; /**< RX_GRO_BATCH slots of RX_GRO_SLOT_BYTES; NULL until a coalescing one exists */
    size_t users;
    const struct wz_udp *receiving; /**< NULL again when that socket is freed by its own callback */
};

/* ---- addresses ---- */

socklen_t wz_addr_to_sockaddr(const struct wz_addr *addr, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (addr->family == WZ_ADDR_V4) {
        struct sockaddr_in *sin = (struct sockaddr_in *)ret;
        sin->sin_family = AF_INET;
        sin->sin_port = htons(addr->port);
        memcpy(&sin->sin_addr, addr->ip, 4);
        return sizeof *sin;
    }
    if (addr->family == WZ_ADDR_V6) {
        struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(addr->port);
        sin6->sin6_scope_id = addr->scope_id;
        memcpy(&sin6->sin6_addr, addr->ip, 16);
        return sizeof *sin6;
    }
    return 0;
}

struct wz_addr wz_addr_from_sockaddr(const struct sockaddr *sa)
{
    struct wz_addr addr = { 0 };

    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *sin = (const struct sockaddr_in *)(const void *)sa;
        addr.family = WZ_ADDR_V4;
        addr.port = ntohs(sin->sin_port);
        memcpy(addr.ip, &sin->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)(const void *)sa;
        addr.family = WZ_ADDR_V6;
        addr.port = ntohs(sin6->sin6_port);
        addr.scope_id = sin6->sin6_scope_id;
        memcpy(addr.ip, &sin6->sin6_addr, 16);
    }
    return wz_addr_unmap(addr);
}

static int local_of(int fd, struct wz_addr *ret)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    *ret = wz_addr_from_sockaddr((const struct sockaddr *)&ss);
    return 0;
}

int wz_addr_local_towards(const struct wz_addr *dest, struct wz_addr *ret)
{
    struct sockaddr_storage ss;
    socklen_t len = wz_addr_to_sockaddr(dest, &ss);
    int fd;
    int err;

    if (!len)
        return -EINVAL;
    fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&ss, len) < 0)
        err = -errno;
    else
        err = local_of(fd, ret);
    (void)close(fd);
    return err;
}

/* ---- set-up ---- */

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/** Wishes: a kernel without them still carries packets. */
static void apply_wishes(struct wz_udp *udp, const struct wz_udp_config *config)
{
    bool v6 = udp->sa_family == AF_INET6;

    if (config->dont_fragment) {
        (void)set_int(udp->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        if (v6)
            (void)set_int(udp->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    }
    if (config->dscp) {
        (void)set_int(udp->fd, IPPROTO_IP, IP_TOS, config->dscp << 2);
        if (v6)
            (void)set_int(udp->fd, IPPROTO_IPV6, IPV6_TCLASS, config->dscp << 2);
    }
    if (config->buffer_bytes > 0) {
        (void)set_int(udp->fd, SOL_SOCKET, SO_RCVBUF, config->buffer_bytes);
        (void)set_int(udp->fd, SOL_SOCKET, SO_SNDBUF, config->buffer_bytes);
    }
    if (config->want_gro)
        udp->gro = set_int(udp->fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
}

static int want_pktinfo(const struct wz_udp *udp)
{
    return udp->sa_family == AF_INET6 ? set_int(udp->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                                      : set_int(udp->fd, IPPROTO_IP, IP_PKTINFO, 1);
}

static int open_socket(const struct wz_udp_config *config, int *ret)
{
    struct sockaddr_storage ss;
    socklen_t len = wz_addr_to_sockaddr(&config->bind, &ss);
    int err = 0;
    int fd;

    if (!len)
        return -EINVAL;
    fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (ss.ss_family == AF_INET6)
        err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, config->v6_only);
    if (!err && bind(fd, (const struct sockaddr *)&ss, len) < 0)
        err = -errno;
    if (err) {
        (void)close(fd);
        return err;
    }
    *ret = fd;
    return 0;
}

static int family_of(int fd, int *ret)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    *ret = ss.ss_family;
    return 0;
}

static void shared_release(struct wz_udp_shared **place)
{
    struct wz_udp_shared *shared = *place;

    if (--shared->users > 0)
        return;
    free(shared->plain);
    free(shared->coalesced);
    free(shared);
    *place = NULL;
}

static int shared_acquire(struct wz_udp_shared **place, bool gro)
{
    struct wz_udp_shared *shared = *place ? *place : calloc(1, sizeof *shared);
    uint8_t **memory;

    if (!shared)
        return -ENOMEM;
    shared->users++;
    *place = shared;
    memory = gro ? &shared->coalesced : &shared->plain;
    if (!*memory)
        *memory = malloc(gro ? (size_t)RX_GRO_BATCH * RX_GRO_SLOT_BYTES : (size_t)RX_BATCH * RX_SLOT_BYTES);
    if (!*memory) {
        shared_release(place);
        return -ENOMEM;
    }
    return 0;
}

static void on_ready(void *arg, uint32_t events);

static void run_flush(void *arg)
{
    wz_udp_flush(arg);
}

int wz_udp_new(struct wz_udp **ret, struct wz_loop *loop, const struct wz_udp_config *config)
{
    struct wz_udp *udp = calloc(1, sizeof *udp);
    bool adopted = config->fd >= 0;
    int err;

    if (!udp)
        return -ENOMEM;
    udp->loop = loop;
    udp->fd = config->fd;
    udp->packet = config->packet;
    udp->arg = config->arg;
    wz_flush_init(&udp->flush, loop, run_flush, udp);
    err = adopted ? 0 : open_socket(config, &udp->fd);
    if (!err)
        err = family_of(udp->fd, &udp->sa_family);
    if (!err)
        err = local_of(udp->fd, &udp->local);
    if (!err && wz_addr_is_any(&udp->local))
        err = want_pktinfo(udp);
    if (err)
        goto out;
    apply_wishes(udp, config);
    udp->tx.capacity = config->want_gro ? WZ_UDP_TX_BATCH : WZ_UDP_TX_BATCH_SMALL;
    udp->tx.gso = config->want_gro;
    err = wz_udp_tx_init(&udp->tx);
    if (err)
        goto out;
    err = shared_acquire(wz_loop_udp_shared(loop), udp->gro);
    if (err)
        goto out;
    udp->shares = true;
    err = wz_io_init(&udp->io, loop, udp->fd, EPOLLIN, on_ready, udp);
    if (err)
        goto out;
    *ret = udp;
    udp = NULL;
out:
    if (udp && adopted)
        udp->fd = -1; /* not ours until we succeed */
    wz_udp_free(udp);
    return err;
}

void wz_udp_free(struct wz_udp *udp)
{
    if (!udp)
        return;
    if (udp->shares) {
        struct wz_udp_shared **place = wz_loop_udp_shared(udp->loop);
        wz_udp_flush(udp); /* a last BYE or close packet queued this turn still leaves */
        if ((*place)->receiving == udp)
            (*place)->receiving = NULL;
        shared_release(place);
    }
    wz_flush_cancel(&udp->flush);
    wz_io_done(&udp->io);
    if (udp->fd >= 0)
        (void)close(udp->fd);
    wz_udp_tx_done(&udp->tx);
    free(udp);
}

/* ---- receiving ---- */

/** Segment size of a coalesced receive and the address it arrived at, from the control messages. */
static void read_control(struct msghdr *msg, size_t *segment_bytes, struct wz_addr *local)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0)
                *segment_bytes = (size_t)size;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            local->family = WZ_ADDR_V4;
            memcpy(local->ip, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            local->family = WZ_ADDR_V6;
            memcpy(local->ip, &info.ipi6_addr, 16);
            *local = wz_addr_unmap(*local);
        }
    }
}

/** Hand over one received message, split into its datagrams. False when the socket was freed meanwhile. */
static bool deliver(struct wz_udp *udp, struct wz_udp_shared *shared, const struct mmsghdr *m)
{
    struct msghdr msg = m->msg_hdr;
    struct wz_addr from = wz_addr_from_sockaddr(msg.msg_name);
    struct wz_addr local = udp->local;
    uint8_t *data = msg.msg_iov->iov_base;
    size_t left = m->msg_len;
    size_t segment_bytes = left;

    if (msg.msg_flags & MSG_TRUNC)
        return true; /* longer than anything a peer of ours sends */
    read_control(&msg, &segment_bytes, &local);
    do {
        size_t len = left < segment_bytes ? left : segment_bytes;
        udp->stats.rx_packets++;
        udp->stats.rx_bytes += len;
        udp->packet(udp->arg, data, len, &from, &local);
        if (shared->receiving != udp)
            return false;
        data += len;
        left -= len;
    } while (left > 0);
    return true;
}

static unsigned prepare_batch(const struct wz_udp *udp, struct wz_udp_shared *shared)
{
    unsigned batch = udp->gro ? RX_GRO_BATCH : RX_BATCH;
    size_t slot_bytes = udp->gro ? RX_GRO_SLOT_BYTES : RX_SLOT_BYTES;
    uint8_t *memory = udp->gro ? shared->coalesced : shared->plain;

    for (unsigned i = 0; i < batch; i++) {
        shared->iov[i] = (struct iovec){ .iov_base = memory + i * slot_bytes, .iov_len = slot_bytes };
        shared->msg[i].msg_hdr = (struct msghdr){
            .msg_name = &shared->from[i],
            .msg_namelen = sizeof shared->from[i],
            .msg_iov = &shared->iov[i],
            .msg_iovlen = 1,
            .msg_control = &shared->control[i],
            .msg_controllen = sizeof shared->control[i],
        };
    }
    return batch;
}

static void on_ready(void *arg, uint32_t events)
{
    struct wz_udp *udp = arg;
    struct wz_udp_shared **place = wz_loop_udp_shared(udp->loop);
    struct wz_udp_shared *shared = *place;

    (void)events;    /* an error state is cleared by the receive that reports it */
    shared->users++; /* outlives this socket if a callback frees it */
    shared->receiving = udp;
    for (int round = 0; round < RX_BATCHES_PER_TURN && shared->receiving == udp; round++) {
        unsigned batch = prepare_batch(udp, shared);
        int n = recvmmsg(udp->fd, shared->msg, batch, 0, NULL);
        if (n <= 0)
            break;
        udp->stats.rx_calls++;
        for (int i = 0; i < n; i++)
            if (!deliver(udp, shared, &shared->msg[i]))
                break;
        if ((unsigned)n < batch)
            break;
    }
    shared->receiving = NULL;
    shared_release(place);
}

struct wz_addr wz_udp_local(const struct wz_udp *udp)
{
    return udp->local;
}

int wz_udp_fd(const struct wz_udp *udp)
{
    return udp->fd;
}

const struct wz_udp_stats *wz_udp_stats(const struct wz_udp *udp)
{
    return &udp->stats;
}
