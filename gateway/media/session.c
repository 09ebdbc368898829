#include "gateway/media/session.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/media/rtp_socket.h"
#include "wzp/rt/loop.h"

struct gw_session {
    struct wz_loop *loop;
    struct gw_bridge *bridge;
    struct gw_rtp_socket *socket;
    struct wz_timer timer;
    uint64_t armed_us;
    void (*send_wzp)(void *arg, struct wz_bytes datagram);
    void *arg;
};

/* ---- out of the bridge ---- */

static void out_rtp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    const struct gw_session *s = arg;
    gw_rtp_socket_send(s->socket, data, len, to);
}

static void out_rtcp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to)
{
    const struct gw_session *s = arg;
    gw_rtp_socket_send_rtcp(s->socket, data, len, to);
}

static void out_wzp(void *arg, struct wz_bytes datagram)
{
    const struct gw_session *s = arg;
    s->send_wzp(s->arg, datagram);
}

/* ---- into the bridge ---- */

/* The timer heap is touched only when the deadline has moved. */
static void rearm(struct gw_session *s)
{
    const uint64_t deadline_us = gw_bridge_deadline_us(s->bridge);

    if (deadline_us == s->armed_us)
        return;
    s->armed_us = deadline_us;
    wz_timer_set(&s->timer, deadline_us);
}

static void on_timer(void *arg)
{
    struct gw_session *s = arg;

    s->armed_us = WZ_NEVER;
    gw_bridge_tick(s->bridge, wz_loop_now_us(s->loop));
    rearm(s);
}

static void in_rtp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *from)
{
    struct gw_session *s = arg;

    gw_bridge_rtp_packet(s->bridge, data, len, from, wz_loop_now_us(s->loop));
    rearm(s);
}

static void in_rtcp(void *arg, const uint8_t *data, size_t len, const struct wz_addr *from)
{
    struct gw_session *s = arg;

    gw_bridge_rtcp_packet(s->bridge, data, len, from, wz_loop_now_us(s->loop));
}

int gw_session_new(struct gw_session **ret, struct wz_loop *loop, const struct gw_session_config *config)
{
    struct gw_rtp_socket_config sockets = { .fd_rtp = config->fd_rtp, .fd_rtcp = config->fd_rtcp };
    struct gw_bridge_config bridge = config->bridge;
    struct gw_session *s = calloc(1, sizeof *s);
    int err = -ENOMEM;

    if (s) {
        s->loop = loop;
        s->send_wzp = config->send_wzp;
        s->arg = config->arg;
        s->armed_us = WZ_NEVER;
        wz_timer_init(&s->timer, loop, on_timer, s);
        bridge.send_rtp = out_rtp;
        bridge.send_rtcp = out_rtcp;
        bridge.send_wzp = out_wzp;
        bridge.arg = s;
        err = gw_bridge_new(&s->bridge, &bridge, wz_loop_now_us(loop));
    }
    if (err) {
        (void)close(config->fd_rtp);
        (void)close(config->fd_rtcp);
        free(s);
        return err;
    }
    sockets.rtp = in_rtp;
    sockets.rtcp = in_rtcp;
    sockets.arg = s;
    err = gw_rtp_socket_new(&s->socket, loop, &sockets);
    if (err) {
        gw_bridge_free(s->bridge);
        free(s);
        return err;
    }
    rearm(s);
    *ret = s;
    return 0;
}

void gw_session_free(struct gw_session *session)
{
    if (!session)
        return;
    gw_bridge_bye(session->bridge, wz_loop_now_us(session->loop));
    wz_timer_cancel(&session->timer);
    gw_rtp_socket_free(session->socket);
    gw_bridge_free(session->bridge);
    free(session);
}

void gw_session_wzp_datagram(struct gw_session *session, struct wz_bytes datagram)
{
    gw_bridge_wzp_packet(session->bridge, datagram, wz_loop_now_us(session->loop));
    rearm(session); /* Codec2 for an Opus phone starts the clock */
}

int gw_session_update_rtp(struct gw_session *session, const struct gw_rtp_params *params)
{
    const int err = gw_bridge_update_rtp(session->bridge, params, wz_loop_now_us(session->loop));
    rearm(session);
    return err;
}

void gw_session_set_wzp_ready(struct gw_session *session, bool is_ready)
{
    gw_bridge_set_wzp_ready(session->bridge, is_ready);
}

void gw_session_restart_wzp(struct gw_session *session)
{
    gw_bridge_restart_wzp(session->bridge);
}

void gw_session_set_path_stats(struct gw_session *session, uint32_t loss_milli_pct, uint32_t rtt_ms, uint32_t jitter_ms)
{
    gw_bridge_set_path_stats(session->bridge, loss_milli_pct, rtt_ms, jitter_ms);
}

int gw_session_set_profile(struct gw_session *session, const struct gw_wzp_params *params)
{
    return gw_bridge_set_profile(session->bridge, params);
}

void gw_session_quality_directive(struct gw_session *session, const struct wzp_profile *profile)
{
    gw_bridge_quality_directive(session->bridge, profile);
}

int gw_session_play_digit(struct gw_session *session, char digit, uint32_t duration_ms)
{
    const int err = gw_bridge_play_digit(session->bridge, digit, duration_ms, wz_loop_now_us(session->loop));
    rearm(session);
    return err;
}

void gw_session_stats(const struct gw_session *session, struct gw_bridge_stats *ret)
{
    gw_bridge_stats(session->bridge, ret);
}
