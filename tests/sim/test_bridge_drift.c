/* Ten minutes of a phone and a peer whose clocks differ from ours by 100 ppm, in virtual time, through the whole bridge. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/media/tone.h"
#include "tests/support/media_world.h"

#define FRAME    160
#define FRAME_US 20000
#define SECONDS  600
#define PPM      100

/* One packet of the peer, again and again: its audio does not matter here, and encoding 30,000 frames costs time. */
static void peer_sends(struct media_world *w)
{
    static const uint8_t opus[] = { 0x08, 0x0b, 0xe4, 0xc1, 0x36, 0xec, 0xc5, 0x80 };
    const struct wzp_media_hdr hdr = {
        .codec = WZP_CODEC_OPUS_24K,
        .seq = w->peer_seq++,
        .timestamp_ms = w->peer_ts_ms,
    };

    w->peer_ts_ms += 20;
    media_peer_packet(w, &hdr, wz_bytes(opus, sizeof opus));
}

/* The n-th packet of a sender whose clock is fast (faster: +1) or slow (-1). */
static uint64_t send_time_us(uint64_t n, int faster)
{
    const uint64_t nominal_us = n * FRAME_US, drift_us = nominal_us * PPM / 1000000;
    return faster > 0 ? nominal_us - drift_us : nominal_us + drift_us;
}

static void run_with_drift(int phone_faster)
{
    struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;
    uint64_t phone_sent = 0, peer_sent = 0, worst_rtp_us = 0, worst_wzp_us = 0;
    int16_t pcm[FRAME];
    double phase = 0;

    config.wzp.complexity = 0;
    media_world_init(&w, &config);
    for (uint64_t t_us = 5000; t_us < SECONDS * UINT64_C(1000000); t_us += 5000) {
        for (unsigned i = 0; i < FRAME; i++)
            pcm[i] = 0;
        if (send_time_us(phone_sent, phone_faster) <= t_us) {
            gw_sine_render(440, 6000, 8000, &phase, pcm, FRAME);
            media_phone_speaks(&w, pcm);
            phone_sent++;
        }
        if (send_time_us(peer_sent, -phone_faster) <= t_us) {
            peer_sends(&w);
            peer_sent++;
        }
        media_advance(&w, 5000);
        if (t_us > 60000000 && t_us % 1000000 == 0) {
            const struct gw_bridge_stats s = media_stats(&w);
            worst_rtp_us = s.rtp_delay_us > worst_rtp_us ? s.rtp_delay_us : worst_rtp_us;
            worst_wzp_us = s.wzp_delay_us > worst_wzp_us ? s.wzp_delay_us : worst_wzp_us;
        }
    }
    const struct gw_bridge_stats s = media_stats(&w);
    print_message("phone %s: delay at most %u / %u ms, concealed %u / %u frames\n", phone_faster > 0 ? "fast" : "slow",
                  (unsigned)(worst_rtp_us / 1000), (unsigned)(worst_wzp_us / 1000), (unsigned)s.rtp_concealed,
                  (unsigned)s.wzp_concealed);
    assert_true(worst_rtp_us < 90000 && worst_wzp_us < 90000);
    assert_int_equal(s.rtp_lost + s.rtp_late + s.wzp_lost + s.wzp_late, 0);
    /* 60 ms of drift are three frames; a few more while the buffers settle. */
    assert_true(s.rtp_concealed <= 8 && s.wzp_concealed <= 8);
    /* The bridge's own clocks do not drift at all. */
    assert_int_equal(w.rtp_count, SECONDS * 50);
    assert_in_range(w.wzp_count, SECONDS * 50 - 10, SECONDS * 50);
    media_world_done(&w);
}

static void a_fast_phone_and_a_slow_peer_cost_no_delay(void **state)
{
    (void)state;
    run_with_drift(1);
}

static void a_slow_phone_and_a_fast_peer_cost_no_delay(void **state)
{
    (void)state;
    run_with_drift(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fast_phone_and_a_slow_peer_cost_no_delay),
        cmocka_unit_test(a_slow_phone_and_a_fast_peer_cost_no_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
