/* The RTP and RTCP sockets of one call on a worker's loop. Thread: the loop's. */
#ifndef GATEWAY_MEDIA_RTP_SOCKET_H
#define GATEWAY_MEDIA_RTP_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"

struct wz_loop;
struct gw_rtp_socket;

/** DSCP EF (RFC 3246), for media. */
#define GW_RTP_DSCP 46

struct gw_rtp_socket_config {
    int fd_rtp; /**< adopted: closed by gw_rtp_socket_free(), and by a failing gw_rtp_socket_new() */
    int fd_rtcp;
    void (*rtp)(void *arg, const uint8_t *data, size_t len, const struct wz_addr *from);
    void (*rtcp)(void *arg, const uint8_t *data, size_t len, const struct wz_addr *from);
    void *arg;
};

struct gw_rtp_socket_stats {
    uint64_t tx_dropped; /**< the kernel refused (buffer full, unreachable) */
};

int gw_rtp_socket_new(struct gw_rtp_socket **ret, struct wz_loop *loop, const struct gw_rtp_socket_config *config);
void gw_rtp_socket_free(struct gw_rtp_socket *socket);
void gw_rtp_socket_send(struct gw_rtp_socket *socket, const uint8_t *data, size_t len, const struct wz_addr *to);
void gw_rtp_socket_send_rtcp(struct gw_rtp_socket *socket, const uint8_t *data, size_t len, const struct wz_addr *to);
void gw_rtp_socket_stats(const struct gw_rtp_socket *socket, struct gw_rtp_socket_stats *ret);

#endif
