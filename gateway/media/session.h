/* The shell around a bridge: owns it and its RTP sockets on a worker's loop, feeds it packets and time.
 * The bridges' clocks lie on a common 5 ms grid, so the timers of many sessions fire in the same turn and their packets
 * leave in one flush. Thread: the loop's, for every function. */
#ifndef GATEWAY_MEDIA_SESSION_H
#define GATEWAY_MEDIA_SESSION_H

#include "gateway/media/bridge.h"

struct wz_loop;
struct gw_session;

struct gw_session_config {
    int fd_rtp, fd_rtcp;            /**< of gw_port_pool_take(); adopted, closed by free and by a failing new */
    struct gw_bridge_config bridge; /**< send_rtp, send_rtcp, send_wzp and arg are filled in by the session */
    /** One media datagram for the WZP path; borrowed. May be called within any session function and from the loop. */
    void (*send_wzp)(void *arg, struct wz_bytes datagram);
    void *arg;
};

/** 0, or an error of the bridge or of the sockets. */
int gw_session_new(struct gw_session **ret, struct wz_loop *loop, const struct gw_session_config *config);
/** Sends the RTCP BYE. NULL-safe. Not from within send_wzp. */
void gw_session_free(struct gw_session *session);

/** A datagram came from the WZP path. */
void gw_session_wzp_datagram(struct gw_session *session, struct wz_bytes datagram);
int gw_session_update_rtp(struct gw_session *session, const struct gw_rtp_params *params);
void gw_session_set_wzp_ready(struct gw_session *session, bool is_ready);
/** See gw_bridge_restart_wzp(). */
void gw_session_restart_wzp(struct gw_session *session);
void gw_session_set_path_stats(struct gw_session *session, uint32_t loss_milli_pct, uint32_t rtt_ms,
                               uint32_t jitter_ms);
/** See gw_bridge_set_profile() and gw_bridge_quality_directive(). */
int gw_session_set_profile(struct gw_session *session, const struct gw_wzp_params *params);
void gw_session_quality_directive(struct gw_session *session, const struct wzp_profile *profile);
int gw_session_play_digit(struct gw_session *session, char digit, uint32_t duration_ms);
void gw_session_stats(const struct gw_session *session, struct gw_bridge_stats *ret);

#endif
