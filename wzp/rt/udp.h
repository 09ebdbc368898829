/* A UDP socket on a loop: batched receive (recvmmsg, GRO), batched send (sendmmsg, GSO), local address
 * of each packet (pktinfo). One flush per loop turn. Thread: the loop's. */
#ifndef WZP_RT_UDP_H
#define WZP_RT_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "wzp/base/addr.h"

struct wz_loop;
struct wz_udp;

/** Largest packet wz_udp_reserve() gives room for. */
#define WZ_UDP_PACKET_MAX 1500

struct wz_udp_config {
    struct wz_addr bind; /**< port 0: any; IPv6 any is dual-stack unless v6_only */
    int fd;              /**< >= 0: adopt this bound non-blocking socket instead (closed at free) */
    bool v6_only;
    bool want_gro;      /**< coalesced receive and GSO send (QUIC endpoints); off for RTP */
    bool dont_fragment; /**< QUIC: path MTU probes must not be fragmented */
    int buffer_bytes;   /**< SO_RCVBUF/SO_SNDBUF wish, 0: system default */
    uint8_t dscp;       /**< 0..63, written to IP_TOS/IPV6_TCLASS */
    /** One received packet; data is borrowed for the call, and may be written to. local is where it arrived.
     *  May free the socket. */
    void (*packet)(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local);
    void *arg;
};

struct wz_udp_stats {
    uint64_t rx_packets, rx_bytes, rx_calls;
    uint64_t tx_packets, tx_bytes, tx_calls;
    uint64_t tx_dropped; /**< kernel buffer full or unreachable */
    uint64_t tx_too_big; /**< EMSGSIZE; normal for path-MTU probes */
};

/** 0 or negative errno of socket, bind, ...; -ENOMEM. On failure an adopted fd stays the caller's. */
int wz_udp_new(struct wz_udp **ret, struct wz_loop *loop, const struct wz_udp_config *config);
/** NULL-safe. What is queued is sent first. */
void wz_udp_free(struct wz_udp *udp);

/** A slot of WZ_UDP_PACKET_MAX bytes to build the next packet in; never NULL (flushes when the batch is full). */
uint8_t *wz_udp_reserve(struct wz_udp *udp);
/** Queue the reserved slot's first len bytes. from may be NULL; else its IP is the source address to use. */
void wz_udp_commit(struct wz_udp *udp, size_t len, const struct wz_addr *to, const struct wz_addr *from);
/** reserve + copy + commit. 0, or -EMSGSIZE over WZ_UDP_PACKET_MAX. */
int wz_udp_send(struct wz_udp *udp, const void *data, size_t len, const struct wz_addr *to, const struct wz_addr *from);
/** Send the batch now instead of at the end of the turn. */
void wz_udp_flush(struct wz_udp *udp);

/** The bound address, port filled in. */
struct wz_addr wz_udp_local(const struct wz_udp *udp);
int wz_udp_fd(const struct wz_udp *udp);
const struct wz_udp_stats *wz_udp_stats(const struct wz_udp *udp);

socklen_t wz_addr_to_sockaddr(const struct wz_addr *addr, struct sockaddr_storage *ret);
/** IPv4-mapped IPv6 becomes IPv4. */
struct wz_addr wz_addr_from_sockaddr(const struct sockaddr *sa);
/** The local address the kernel would use towards dest (UDP connect, nothing is sent). 0 or -errno. */
int wz_addr_local_towards(const struct wz_addr *dest, struct wz_addr *ret);

#endif
