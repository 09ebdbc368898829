/* What udp.c and udp_send.c share; nobody else includes this. */
#ifndef WZP_RT_UDP_INTERNAL_H
#define WZP_RT_UDP_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "wzp/rt/loop.h"
#include "wzp/rt/udp.h"

/* linux/udp.h; older glibc headers lack them. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/** Packets collected before a send: QUIC endpoints carry many peers, an RTP socket one. */
#define WZ_UDP_TX_BATCH       256
#define WZ_UDP_TX_BATCH_SMALL 4

/** Room for a pktinfo and a segment size, in either direction. */
union wz_udp_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

union wz_udp_name {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct wz_udp_slot {
    struct wz_addr to;
    struct wz_addr from; /**< family NONE: the kernel chooses */
    uint16_t len;
    uint16_t next; /**< next slot to the same destination, NO_SLOT at the end; valid during a flush */
};

/** The batch being collected, and scratch of the same size for turning it into messages. */
struct wz_udp_tx {
    uint8_t *memory; /**< capacity packets of WZ_UDP_PACKET_MAX bytes */
    struct wz_udp_slot *slot;
    struct mmsghdr *msg;
    struct iovec *iov;
    union wz_udp_name *name;
    union wz_udp_control *control;
    uint16_t *first;  /**< per destination: first slot */
    uint16_t *last;   /**< per destination: last slot */
    uint16_t *bucket; /**< 2 * capacity, destination number + 1 */
    size_t count;
    size_t capacity; /**< a power of two */
    bool gso;
};

struct wz_udp {
    struct wz_loop *loop;
    struct wz_io io;
    struct wz_flush flush;
    int fd;
    int sa_family;
    bool gro;
    bool shares; /**< holds a reference on the loop's receive buffers */
    struct wz_addr local;
    void (*packet)(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local);
    void *arg;
    struct wz_udp_tx tx;
    struct wz_udp_stats stats;
};

/** capacity is set by the caller. 0 or -ENOMEM; wz_udp_tx_done() cleans up either way. */
int wz_udp_tx_init(struct wz_udp_tx *tx);
void wz_udp_tx_done(struct wz_udp_tx *tx);

#endif
