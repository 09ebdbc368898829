/* Sending for udp.h: packets collect in a batch; a flush sorts them by destination, joins neighbours of equal
 * size into one segmented message (GSO) and hands everything to sendmmsg. Order is kept per destination. */
#include "wzp/rt/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/rt/udp_internal.h"

/** UDP_MAX_SEGMENTS of the kernels we run on. */
#define GSO_SEGMENTS_MAX 64
/** A segmented message is one IP packet to the kernel: 65535 less headers. */
#define GSO_BYTES_MAX 65000
#define NO_SLOT       UINT16_MAX

int wz_udp_tx_init(struct wz_udp_tx *tx)
{
    size_t n = tx->capacity;

    tx->memory = malloc(n * WZ_UDP_PACKET_MAX);
    tx->slot = calloc(n, sizeof *tx->slot);
    tx->msg = calloc(n, sizeof *tx->msg);
    tx->iov = calloc(n, sizeof *tx->iov);
    tx->name = calloc(n, sizeof *tx->name);
    tx->control = calloc(n, sizeof *tx->control);
    tx->first = calloc(n, sizeof *tx->first);
    tx->last = calloc(n, sizeof *tx->last);
    tx->bucket = calloc(2 * n, sizeof *tx->bucket);
    return tx->memory && tx->slot && tx->msg && tx->iov && tx->name && tx->control && tx->first && tx->last &&
                   tx->bucket
               ? 0
               : -ENOMEM;
}

void wz_udp_tx_done(struct wz_udp_tx *tx)
{
    free(tx->memory);
    free(tx->slot);
    free(tx->msg);
    free(tx->iov);
    free(tx->name);
    free(tx->control);
    free(tx->first);
    free(tx->last);
    free(tx->bucket);
    *tx = (struct wz_udp_tx){ 0 };
}

uint8_t *wz_udp_reserve(struct wz_udp *udp)
{
    if (udp->tx.count == udp->tx.capacity)
        wz_udp_flush(udp);
    return udp->tx.memory + udp->tx.count * WZ_UDP_PACKET_MAX;
}

void wz_udp_commit(struct wz_udp *udp, size_t len, const struct wz_addr *to, const struct wz_addr *from)
{
    struct wz_addr dest = wz_addr_unmap(*to);
    struct wz_udp_slot *slot;

    if (len > WZ_UDP_PACKET_MAX || dest.family == WZ_ADDR_NONE ||
        (dest.family == WZ_ADDR_V6 && udp->sa_family == AF_INET)) {
        udp->stats.tx_dropped++; /* no such road from this socket */
        return;
    }
    slot = &udp->tx.slot[udp->tx.count++];
    slot->to = dest;
    slot->from =
        from && !wz_addr_is_any(from) && wz_addr_is_any(&udp->local) ? wz_addr_unmap(*from) : (struct wz_addr){ 0 };
    slot->from.port = 0;
    slot->len = (uint16_t)len;
    wz_flush_request(&udp->flush);
}

int wz_udp_send(struct wz_udp *udp, const void *data, size_t len, const struct wz_addr *to, const struct wz_addr *from)
{
    uint8_t *slot;

    if (len > WZ_UDP_PACKET_MAX)
        return -EMSGSIZE;
    slot = wz_udp_reserve(udp);
    if (len)
        memcpy(slot, data, len);
    wz_udp_commit(udp, len, to, from);
    return 0;
}

/* ---- grouping ---- */

static bool same_road(const struct wz_udp_slot *a, const struct wz_udp_slot *b)
{
    return a->to.port == b->to.port && a->to.family == b->to.family && a->to.scope_id == b->to.scope_id &&
           a->from.family == b->from.family && memcmp(a->to.ip, b->to.ip, sizeof a->to.ip) == 0 &&
           memcmp(a->from.ip, b->from.ip, sizeof a->from.ip) == 0;
}

static size_t road_hash(const struct wz_udp_slot *slot)
{
    uint64_t words[2];

    memcpy(words, slot->to.ip, sizeof words);
    words[0] ^= words[1] * UINT64_C(0x9e3779b97f4a7c15);
    words[0] = (words[0] ^ slot->to.port) * UINT64_C(0xff51afd7ed558ccd);
    return (size_t)(words[0] >> 32);
}

/** Chain the slots by destination, in order. Returns the number of destinations. */
static size_t group_by_road(struct wz_udp_tx *tx)
{
    size_t mask = 2 * tx->capacity - 1;
    size_t roads = 0;

    memset(tx->bucket, 0, 2 * tx->capacity * sizeof *tx->bucket);
    for (size_t i = 0; i < tx->count; i++) {
        size_t at = road_hash(&tx->slot[i]) & mask;
        tx->slot[i].next = NO_SLOT;
        while (tx->bucket[at] && !same_road(&tx->slot[tx->first[tx->bucket[at] - 1]], &tx->slot[i]))
            at = (at + 1) & mask;
        if (tx->bucket[at]) {
            size_t road = tx->bucket[at] - 1u;
            tx->slot[tx->last[road]].next = (uint16_t)i;
            tx->last[road] = (uint16_t)i;
        } else {
            tx->first[roads] = tx->last[roads] = (uint16_t)i;
            tx->bucket[at] = (uint16_t)++roads;
        }
    }
    return roads;
}

/* ---- messages ---- */

static socklen_t fill_name(int sa_family, const struct wz_addr *addr, union wz_udp_name *name)
{
    memset(name, 0, sizeof *name);
    if (sa_family == AF_INET) {
        name->v4.sin_family = AF_INET;
        name->v4.sin_port = htons(addr->port);
        memcpy(&name->v4.sin_addr, addr->ip, 4);
        return sizeof name->v4;
    }
    name->v6.sin6_family = AF_INET6;
    name->v6.sin6_port = htons(addr->port);
    name->v6.sin6_scope_id = addr->scope_id;
    if (addr->family == WZ_ADDR_V6) {
        memcpy(&name->v6.sin6_addr, addr->ip, 16);
    } else {
        name->v6.sin6_addr.s6_addr[10] = 0xff;
        name->v6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(&name->v6.sin6_addr.s6_addr[12], addr->ip, 4);
    }
    return sizeof name->v6;
}

static void put_cmsg(struct msghdr *msg, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)((char *)msg->msg_control + msg->msg_controllen);

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
    msg->msg_controllen += CMSG_SPACE(len);
}

static void put_source(const struct wz_udp *udp, const struct wz_addr *from, struct msghdr *msg)
{
    union wz_udp_name name;

    (void)fill_name(udp->sa_family, from, &name);
    if (udp->sa_family == AF_INET6) {
        struct in6_pktinfo info = { .ipi6_addr = name.v6.sin6_addr };
        put_cmsg(msg, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    } else if (from->family == WZ_ADDR_V4) {
        struct in_pktinfo info = { .ipi_spec_dst = name.v4.sin_addr };
        put_cmsg(msg, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
}

/** Slots that one message can carry, from slot i along its chain: equal sizes, the last may be shorter. */
static size_t run_length(const struct wz_udp_tx *tx, size_t i)
{
    size_t size = tx->slot[i].len;
    size_t total = size;
    size_t n = 1;

    if (!tx->gso || size == 0)
        return 1;
    for (size_t j = tx->slot[i].next; j != NO_SLOT && n < GSO_SEGMENTS_MAX; j = tx->slot[j].next) {
        size_t len = tx->slot[j].len;
        if (len > size || len == 0 || total + len > GSO_BYTES_MAX)
            break;
        total += len;
        n++;
        if (len < size)
            break;
    }
    return n;
}

/** Turn the batch into messages. Returns how many. */
static size_t build_messages(struct wz_udp *udp)
{
    struct wz_udp_tx *tx = &udp->tx;
    size_t roads = group_by_road(tx);
    size_t messages = 0;
    size_t used = 0;

    for (size_t road = 0; road < roads; road++) {
        for (size_t i = tx->first[road]; i != NO_SLOT;) {
            const struct wz_udp_slot *head = &tx->slot[i];
            struct msghdr *msg = &tx->msg[messages].msg_hdr;
            size_t n = run_length(tx, i);

            *msg = (struct msghdr){ .msg_name = &tx->name[messages],
                                    .msg_iov = &tx->iov[used],
                                    .msg_iovlen = n,
                                    .msg_control = &tx->control[messages] };
            msg->msg_namelen = fill_name(udp->sa_family, &head->to, &tx->name[messages]);
            memset(&tx->control[messages], 0, sizeof tx->control[messages]);
            if (head->from.family != WZ_ADDR_NONE)
                put_source(udp, &head->from, msg);
            if (n > 1)
                put_cmsg(msg, IPPROTO_UDP, UDP_SEGMENT, &head->len, sizeof head->len);
            if (!msg->msg_controllen)
                msg->msg_control = NULL;
            for (size_t k = 0; k < n; k++, i = tx->slot[i].next)
                tx->iov[used++] =
                    (struct iovec){ .iov_base = tx->memory + i * WZ_UDP_PACKET_MAX, .iov_len = tx->slot[i].len };
            messages++;
        }
    }
    return messages;
}

/* ---- sending ---- */

static void count_sent(struct wz_udp *udp, const struct msghdr *msg)
{
    udp->stats.tx_packets += msg->msg_iovlen;
    for (size_t i = 0; i < msg->msg_iovlen; i++)
        udp->stats.tx_bytes += msg->msg_iov[i].iov_len;
}

static void count_failed(struct wz_udp *udp, const struct msghdr *msg, int error)
{
    if (error == EMSGSIZE)
        udp->stats.tx_too_big += msg->msg_iovlen;
    else
        udp->stats.tx_dropped += msg->msg_iovlen;
}

/** A segmented message was refused: send its packets one by one, and if that works stop segmenting. */
static void send_singly(struct wz_udp *udp, const struct msghdr *segmented)
{
    bool worked = false;

    for (size_t i = 0; i < segmented->msg_iovlen; i++) {
        struct msghdr one = *segmented;
        one.msg_iov = &segmented->msg_iov[i];
        one.msg_iovlen = 1;
        one.msg_controllen -= CMSG_SPACE(sizeof(uint16_t)); /* the segment size is the last of them */
        if (!one.msg_controllen)
            one.msg_control = NULL;
        udp->stats.tx_calls++;
        if (sendmsg(udp->fd, &one, 0) >= 0) {
            count_sent(udp, &one);
            worked = true;
        } else {
            count_failed(udp, &one, errno);
        }
    }
    if (worked)
        udp->tx.gso = false;
}

void wz_udp_flush(struct wz_udp *udp)
{
    struct wz_udp_tx *tx = &udp->tx;
    size_t messages;
    size_t done = 0;

    wz_flush_cancel(&udp->flush);
    if (!tx->count)
        return;
    messages = build_messages(udp);
    while (done < messages) {
        int n = sendmmsg(udp->fd, tx->msg + done, (unsigned)(messages - done), 0);
        int error = n < 0 ? errno : 0;

        udp->stats.tx_calls++;
        for (int i = 0; i < n; i++)
            count_sent(udp, &tx->msg[done + (size_t)i].msg_hdr);
        if (n >= 0) {
            done += (size_t)n;
        } else if (error == EAGAIN || error == ENOBUFS) {
            /* The kernel's buffer is full: late media is worthless and QUIC repairs the rest. */
            for (; done < messages; done++)
                count_failed(udp, &tx->msg[done].msg_hdr, error);
        } else if (error != EINTR) {
            const struct msghdr *msg = &tx->msg[done++].msg_hdr;
            if (msg->msg_iovlen > 1 && (error == EINVAL || error == EIO || error == EMSGSIZE))
                send_singly(udp, msg);
            else
                count_failed(udp, msg, error);
        }
    }
    tx->count = 0;
}
