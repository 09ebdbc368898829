/* The shell around the bridge on real loopback sockets and a real loop. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/media/port_pool.h"
#include "gateway/media/session.h"
#include "tests/support/media_world.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"
#include "wzp/rt/udp.h"

#define PATIENCE_US 5000000u

struct world {
    struct wz_loop *loop;
    struct gw_port_pool *pool;
    struct gw_port_pair pair;
    struct gw_session *session;
    int phone_rtp, phone_rtcp;
    struct wz_addr phone, gateway;
    unsigned datagrams;
    struct wzp_media_hdr last;
};

static void on_wzp(void *arg, struct wz_bytes datagram)
{
    struct world *w = arg;
    struct wz_bytes payload;

    assert_int_equal(wzp_media_decode(datagram, &w->last, &payload), 0);
    w->datagrams++;
}

static int setup(void **state)
{
    static struct world world;
    struct world *w = &world;
    struct gw_port_pool_config pool = { .pair_count = 2 };
    struct gw_port_pair phone;

    *w = (struct world){ 0 };
    assert_int_equal(wz_loop_new(&w->loop), 0);
    assert_int_equal(wz_addr_parse_ip("127.0.0.1", 0, &pool.bind_ip), 0);
    assert_int_equal(gw_port_pool_new(&w->pool, &pool, NULL), 0);
    assert_int_equal(gw_port_pool_take(w->pool, 0, &w->pair), 0);
    assert_int_equal(gw_port_pool_take(w->pool, 0, &phone), 0);
    w->phone_rtp = phone.fd_rtp;
    w->phone_rtcp = phone.fd_rtcp;
    w->phone = w->gateway = pool.bind_ip;
    w->phone.port = phone.port;
    w->gateway.port = w->pair.port;

    struct gw_session_config config = {
        .fd_rtp = w->pair.fd_rtp,
        .fd_rtcp = w->pair.fd_rtcp,
        .bridge = media_world_config(GW_CODEC_PCMU),
        .send_wzp = on_wzp,
        .arg = w,
    };
    config.bridge.rng = &wz_rng_system;
    config.bridge.rtp.remote = w->phone;
    assert_int_equal(gw_session_new(&w->session, w->loop, &config), 0);
    gw_session_set_wzp_ready(w->session, true);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    gw_session_free(w->session);
    gw_session_free(NULL);
    gw_port_pool_free(w->pool);
    (void)close(w->phone_rtp);
    (void)close(w->phone_rtcp);
    wz_loop_free(w->loop);
    return 0;
}

static void phone_sends(const struct world *w, uint16_t seq)
{
    const struct gw_rtp_hdr hdr = { .payload_type = 0, .seq = seq, .timestamp_ticks = seq * 160u, .ssrc = 9 };
    uint8_t payload[160], packet[200];
    struct sockaddr_storage ss;
    const socklen_t sslen = wz_addr_to_sockaddr(&w->gateway, &ss);

    memset(payload, 0xff, sizeof payload);
    const int len = gw_rtp_encode(&hdr, wz_bytes(payload, sizeof payload), packet, sizeof packet);
    assert_int_equal(sendto(w->phone_rtp, packet, (size_t)len, 0, (struct sockaddr *)&ss, sslen), len);
}

static void rtp_comes_out_every_20_ms_and_wzp_for_what_went_in(void **state)
{
    struct world *w = *state;
    const uint64_t give_up_us = wz_clock_us() + PATIENCE_US;
    uint8_t packet[GW_RTP_PACKET_MAX];
    struct gw_rtp_hdr hdr;
    struct wz_bytes payload;
    unsigned received = 0;
    uint16_t seq = 0;

    while (received < 20 || w->datagrams < 10) {
        assert_true(wz_clock_us() < give_up_us);
        phone_sends(w, seq++);
        assert_true(wz_loop_turn(w->loop, 20) >= 0);
        for (ssize_t len; (len = recv(w->phone_rtp, packet, sizeof packet, MSG_DONTWAIT)) > 0; received++) {
            assert_int_equal(gw_rtp_decode(wz_bytes(packet, (size_t)len), &hdr, &payload), 0);
            assert_int_equal(payload.len, 160);
        }
    }
    struct gw_bridge_stats stats;
    gw_session_stats(w->session, &stats);
    assert_int_equal(stats.latch, GW_LATCH_LOCKED);
    assert_true(stats.rtp_tx >= 20 && stats.rtp_rx >= 10);
    assert_int_equal(w->last.codec, WZP_CODEC_OPUS_24K);
}

static void wzp_datagrams_hold_and_digits_reach_the_bridge(void **state)
{
    struct world *w = *state;
    static const uint8_t codec2[] = { WZP_CODEC_CODEC2_1200 << 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6 };
    const uint64_t give_up_us = wz_clock_us() + PATIENCE_US;
    struct gw_bridge_stats stats;

    gw_session_wzp_datagram(w->session, wz_bytes(codec2, sizeof codec2));
    gw_session_stats(w->session, &stats);
    assert_int_equal(stats.wzp_codec2, 1);
    struct gw_rtp_params params = media_world_config(GW_CODEC_OPUS).rtp;
    params.remote = w->phone;
    params.send = params.recv = false;
    assert_int_equal(gw_session_update_rtp(w->session, &params), 0);
    assert_int_equal(gw_session_play_digit(w->session, '5', 100), 0);
    while (w->datagrams < 5) { /* the Opus leg's clock runs for the tone alone */
        assert_true(wz_clock_us() < give_up_us);
        assert_true(wz_loop_turn(w->loop, 20) >= 0);
    }
    gw_session_stats(w->session, &stats);
    assert_true(stats.pass_through_wzp);
}

static void the_end_is_announced_by_rtcp_bye(void **state)
{
    struct world *w = *state;
    struct pollfd poll_fd = { .fd = w->phone_rtcp, .events = POLLIN };
    struct gw_rtcp_report report;
    uint8_t packet[GW_RTCP_PACKET_MAX];

    gw_session_free(w->session);
    w->session = NULL;
    assert_int_equal(poll(&poll_fd, 1, PATIENCE_US / 1000), 1);
    const ssize_t len = recv(w->phone_rtcp, packet, sizeof packet, 0);
    assert_true(len > 0);
    assert_int_equal(gw_rtcp_decode(wz_bytes(packet, (size_t)len), &report), 0);
    assert_true(report.bye);
}

static void a_failing_start_closes_the_sockets(void **state)
{
    struct world *w = *state;
    struct gw_session_config config = {
        .fd_rtp = dup(0), .fd_rtcp = dup(0), .bridge = media_world_config(GW_CODEC_PCMU), .send_wzp = on_wzp, .arg = w
    };
    struct gw_session *session = NULL;

    config.bridge.rng = &wz_rng_system;
    config.bridge.rtp.payload_type = 200;
    assert_int_equal(gw_session_new(&session, w->loop, &config), -EINVAL);
    assert_null(session);
    assert_int_equal(close(config.fd_rtp), -1);
    assert_int_equal(close(config.fd_rtcp), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rtp_comes_out_every_20_ms_and_wzp_for_what_went_in, setup, teardown),
        cmocka_unit_test_setup_teardown(wzp_datagrams_hold_and_digits_reach_the_bridge, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_is_announced_by_rtcp_bye, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_start_closes_the_sockets, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
