#include "gateway/media/rtp_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "wzp/rt/udp.h"

struct gw_rtp_socket {
    struct gw_rtp_socket_config config;
    struct wz_udp *rtp;
    struct wz_udp *rtcp;
};

static void on_rtp(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    const struct gw_rtp_socket *s = arg;

    (void)local; /* the socket is bound to one call */
    s->config.rtp(s->config.arg, data, len, from);
}

static void on_rtcp(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    const struct gw_rtp_socket *s = arg;

    (void)local;
    s->config.rtcp(s->config.arg, data, len, from);
}

int gw_rtp_socket_new(struct gw_rtp_socket **ret, struct wz_loop *loop, const struct gw_rtp_socket_config *config)
{
    struct wz_udp_config udp = { .dscp = GW_RTP_DSCP };
    struct gw_rtp_socket *s = calloc(1, sizeof *s);
    int fd_rtp = config->fd_rtp, fd_rtcp = config->fd_rtcp, err = -ENOMEM;

    if (!s)
        goto out;
    s->config = *config;
    udp.arg = s;
    udp.fd = fd_rtp;
    udp.packet = on_rtp;
    err = wz_udp_new(&s->rtp, loop, &udp);
    if (err)
        goto out;
    fd_rtp = -1; /* wz_udp closes it from here on */
    udp.fd = fd_rtcp;
    udp.packet = on_rtcp;
    err = wz_udp_new(&s->rtcp, loop, &udp);
    if (err)
        goto out;
    fd_rtcp = -1;
    *ret = s, s = NULL, err = 0;
out:
    if (fd_rtp >= 0)
        (void)close(fd_rtp);
    if (fd_rtcp >= 0)
        (void)close(fd_rtcp);
    gw_rtp_socket_free(s);
    return err;
}

void gw_rtp_socket_free(struct gw_rtp_socket *socket)
{
    if (!socket)
        return;
    if (socket->rtp)
        wz_udp_free(socket->rtp);
    if (socket->rtcp)
        wz_udp_free(socket->rtcp);
    free(socket);
}

void gw_rtp_socket_send(struct gw_rtp_socket *socket, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    (void)wz_udp_send(socket->rtp, data, len, to, NULL); /* refusals are in the statistics */
}

void gw_rtp_socket_send_rtcp(struct gw_rtp_socket *socket, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    (void)wz_udp_send(socket->rtcp, data, len, to, NULL);
}

void gw_rtp_socket_stats(const struct gw_rtp_socket *socket, struct gw_rtp_socket_stats *ret)
{
    *ret = (struct gw_rtp_socket_stats){
        .tx_dropped = wz_udp_stats(socket->rtp)->tx_dropped + wz_udp_stats(socket->rtcp)->tx_dropped,
    };
}
