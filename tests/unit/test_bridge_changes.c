/* The bridge under change: sources and strangers, hold, re-INVITE, digits, profiles. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "gateway/media/tone.h"
#include "tests/support/media_world.h"

#define FRAME    160
#define FRAME_US 20000

static const int16_t silence[FRAME];

static void talk(struct media_world *w, unsigned frames)
{
    for (unsigned n = 0; n < frames; n++) {
        media_phone_speaks(w, silence);
        media_advance(w, FRAME_US);
    }
}

static void start(struct media_world *w, enum gw_codec codec)
{
    const struct gw_bridge_config config = media_world_config(codec);
    media_world_init(w, &config);
}

static const struct media_rtp *last_rtp(const struct media_world *w)
{
    assert_true(w->rtp_count > 0);
    return &w->rtp[(w->rtp_count - 1) % MEDIA_WORLD_PACKETS];
}

static void assert_sends_to(struct media_world *w, const char *text)
{
    const struct wz_addr wanted = media_addr(text);
    assert_true(wz_addr_equal(&last_rtp(w)->to, &wanted));
}

/* ---- who may speak ---- */

static void rtp_goes_to_the_sdp_address_then_to_where_the_phone_is(void **state)
{
    struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;

    (void)state;
    config.rtp.remote = media_addr("10.1.1.1:4000");
    config.rtp.signalling = media_addr("203.0.113.9:5060");
    media_world_init(&w, &config);
    media_advance(&w, 100000);
    assert_sends_to(&w, "10.1.1.1:4000");
    assert_int_equal(media_stats(&w).latch, GW_LATCH_UNLATCHED);
    w.phone = media_addr("203.0.113.9:50000");
    talk(&w, 10);
    assert_sends_to(&w, "203.0.113.9:50000");
    assert_int_equal(media_stats(&w).latch, GW_LATCH_LATCHED);
    assert_int_equal(media_stats(&w).rtp_watched, GW_LATCH_PACKETS - 1);
    assert_true(w.wzp_count > 0);
    media_world_done(&w);
}

static void strangers_are_neither_heard_nor_sent_to(void **state)
{
    struct media_world w;
    uint8_t loud[FRAME];

    (void)state;
    memset(loud, 0x20, sizeof loud);
    start(&w, GW_CODEC_PCMU);
    talk(&w, 50);
    const struct wz_addr phone = w.phone;
    for (unsigned n = 0; n < 50; n++) {
        w.phone = media_addr("198.51.100.66:4000");
        media_phone_packet(&w, 0, (uint16_t)(w.phone_seq + 1), w.phone_ts, wz_bytes(loud, sizeof loud));
        w.phone = phone;
        talk(&w, 1);
    }
    assert_int_equal(media_stats(&w).rtp_strangers, 50);
    assert_int_equal(media_stats(&w).rtp_rx, 100);
    assert_true(media_stats(&w).rtp_level_dbov < -60);
    assert_sends_to(&w, "192.0.2.10:4000");
    media_world_done(&w);
}

static void without_a_known_address_the_phone_must_speak_first(void **state)
{
    struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;

    (void)state;
    config.rtp.remote = (struct wz_addr){ 0 };
    media_world_init(&w, &config);
    media_advance(&w, 200000);
    assert_int_equal(w.rtp_count, 0);
    w.phone = media_addr("192.0.2.10:7777"); /* the signalling's IP */
    talk(&w, 10);
    assert_sends_to(&w, "192.0.2.10:7777");
    media_world_done(&w);
}

static void payload_types_that_were_not_negotiated_are_counted(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU);
    for (uint16_t n = 0; n < 10; n++)
        media_phone_packet(&w, 8, n, n * FRAME, wz_bytes(silence, FRAME));
    gw_bridge_rtp_packet(w.bridge, (const uint8_t *)"short", 5, &w.phone, w.now_us);
    assert_int_equal(media_stats(&w).rtp_bad_pt, 10);
    assert_int_equal(media_stats(&w).rtp_bad, 1);
    assert_int_equal(media_stats(&w).rtp_rx, 0);
    assert_int_equal(media_stats(&w).latch, GW_LATCH_UNLATCHED);
    media_world_done(&w);
}

static void rtcp_on_the_rtp_port_is_told_apart(void **state)
{
    struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    const struct gw_rtcp_report rr = { .ssrc = 7 };
    struct media_world w;
    uint8_t packet[GW_RTCP_PACKET_MAX];

    (void)state;
    config.rtp.rtcp_mux = true;
    media_world_init(&w, &config);
    const int len = gw_rtcp_encode(&rr, packet, sizeof packet);
    gw_bridge_rtp_packet(w.bridge, packet, (size_t)len, &w.phone, w.now_us);
    assert_int_equal(media_stats(&w).rtcp_rx, 1);
    media_advance(&w, 5000000);
    assert_int_equal(w.rtcp_to.port, 4000);
    media_world_done(&w);
}

static void another_ssrc_is_followed_without_a_gap_towards_wzp(void **state)
{
    static const enum gw_codec codecs[] = { GW_CODEC_PCMU, GW_CODEC_OPUS };

    (void)state;
    for (unsigned c = 0; c < 2; c++) {
        struct media_world w;
        start(&w, codecs[c]);
        talk(&w, 50);
        w.phone_ssrc++;
        w.phone_seq = 100;
        w.phone_ts = 5;
        talk(&w, 50);
        for (size_t i = 1; i < w.wzp_count; i++)
            assert_int_equal(w.wzp[i].hdr.seq, i);
        assert_true(w.wzp_count >= 90);
        assert_int_equal(media_stats(&w).rtp_lost, 0);
        media_world_done(&w);
    }
}

/* ---- hold and re-INVITE ---- */

static void hold_stops_rtp_and_resume_goes_on_where_it_was(void **state)
{
    struct media_world w;
    uint32_t ts;

    (void)state;
    start(&w, GW_CODEC_PCMU);
    for (unsigned n = 0; n < 50; n++) {
        media_peer_speaks(&w, silence);
        talk(&w, 1);
    }
    struct gw_rtp_params params = w.config.rtp;
    params.send = params.recv = false;
    assert_int_equal(gw_bridge_update_rtp(w.bridge, &params, w.now_us), 0);
    const size_t rtp_before = w.rtp_count, wzp_before = w.wzp_count;
    const struct gw_rtp_hdr before = last_rtp(&w)->hdr;
    const uint32_t wzp_ts = w.wzp[wzp_before - 1].hdr.timestamp_ms;
    for (unsigned n = 0; n < 500; n++) { /* the peer goes on speaking, the phone too: ten seconds */
        media_peer_speaks(&w, silence);
        talk(&w, 1);
    }
    assert_int_equal(w.rtp_count, rtp_before);
    assert_int_equal(w.wzp_count, wzp_before);
    assert_int_equal(media_stats(&w).rtp_on_hold, 500);
    assert_true(media_stats(&w).rtp_last_rx_us > w.now_us - 2 * FRAME_US);

    params.send = params.recv = true;
    assert_int_equal(gw_bridge_update_rtp(w.bridge, &params, w.now_us), 0);
    for (unsigned n = 0; n < 50; n++) {
        media_peer_speaks(&w, silence);
        talk(&w, 1);
    }
    const struct gw_rtp_hdr after = w.rtp[rtp_before].hdr;
    ts = after.timestamp_ticks - before.timestamp_ticks;
    assert_int_equal(after.ssrc, before.ssrc);
    assert_int_equal(after.seq, (uint16_t)(before.seq + 1));
    assert_int_equal(ts, 501 * FRAME);
    assert_true(after.marker);
    assert_int_equal(w.wzp[wzp_before].hdr.seq, wzp_before);
    assert_in_range(w.wzp[wzp_before].hdr.timestamp_ms - wzp_ts, 501 * 20, 503 * 20);
    assert_in_range(media_stats(&w).wzp_delay_us, 20000, 100000); /* nothing stale was played */
    media_world_done(&w);
}

/* The regression others had: so long on hold that a sequence number kept counting would have wrapped. */
static void hold_of_23_minutes_keeps_the_sequence(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU);
    talk(&w, 10);
    struct gw_rtp_params params = w.config.rtp;
    params.send = params.recv = false;
    assert_int_equal(gw_bridge_update_rtp(w.bridge, &params, w.now_us), 0);
    const struct gw_rtp_hdr before = last_rtp(&w)->hdr;
    const size_t count = w.rtp_count;
    media_advance(&w, 23 * 60 * UINT64_C(1000000));
    params.send = params.recv = true;
    assert_int_equal(gw_bridge_update_rtp(w.bridge, &params, w.now_us), 0);
    media_advance(&w, FRAME_US);
    assert_int_equal(w.rtp[count].hdr.seq, (uint16_t)(before.seq + 1));
    assert_int_equal((uint32_t)(w.rtp[count].hdr.timestamp_ticks - before.timestamp_ticks), (23 * 60 * 50 + 1) * FRAME);
    media_world_done(&w);
}

static void one_sided_hold_lets_music_through(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU);
    struct gw_rtp_params params = w.config.rtp;
    params.send = false; /* the phone is sendonly: it plays music to us */
    assert_int_equal(gw_bridge_update_rtp(w.bridge, &params, w.now_us), 0);
    const size_t before = w.rtp_count;
    talk(&w, 50);
    assert_int_equal(w.rtp_count, before);
    assert_true(w.wzp_count > 45);
    media_world_done(&w);
}

static void reinvite_to_another_codec_keeps_ssrc_and_numbering(void **state)
{
    static const enum gw_codec changes[] = { GW_CODEC_PCMA, GW_CODEC_OPUS, GW_CODEC_PCMU };
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU);
    for (unsigned c = 0; c < 3; c++) {
        for (unsigned n = 0; n < 50; n++) {
            media_peer_speaks(&w, silence);
            talk(&w, 1);
        }
        const struct gw_rtp_params params = media_world_config(changes[c]).rtp;
        assert_int_equal(gw_bridge_update_rtp(w.bridge, &params, w.now_us), 0);
        w.config.rtp = params;
    }
    for (unsigned n = 0; n < 50; n++) {
        media_peer_speaks(&w, silence);
        talk(&w, 1);
    }
    for (size_t i = 1; i < w.rtp_count; i++) {
        const struct gw_rtp_hdr *a = &w.rtp[i - 1].hdr, *b = &w.rtp[i].hdr;
        assert_int_equal(b->ssrc, a->ssrc);
        assert_int_equal(b->seq, (uint16_t)(a->seq + 1));
        assert_int_equal(b->marker, b->payload_type != a->payload_type);
        /* Each clock goes on from where the other stood. */
        assert_int_equal((uint32_t)(b->timestamp_ticks - a->timestamp_ticks), a->payload_type == 111 ? 960 : FRAME);
    }
    for (size_t i = 1; i < w.wzp_count; i++)
        assert_int_equal(w.wzp[i].hdr.seq, i);
    assert_true(w.rtp_count > 190 && w.wzp_count > 180);
    media_world_done(&w);
}

static void a_refused_update_changes_nothing(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU);
    struct gw_rtp_params params = media_world_config(GW_CODEC_OPUS).rtp;
    params.payload_type = 200;
    assert_int_equal(gw_bridge_update_rtp(w.bridge, &params, w.now_us), -EINVAL);
    talk(&w, 10);
    assert_int_equal(last_rtp(&w)->hdr.payload_type, 0);
    assert_false(media_stats(&w).pass_through_rtp);
    media_world_done(&w);
}

static void reinvite_to_another_address_latches_anew(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU);
    talk(&w, 10);
    struct gw_rtp_params params = w.config.rtp;
    params.remote = media_addr("192.0.2.99:6000");
    params.signalling = media_addr("192.0.2.10:5060");
    assert_int_equal(gw_bridge_update_rtp(w.bridge, &params, w.now_us), 0);
    media_advance(&w, FRAME_US);
    assert_sends_to(&w, "192.0.2.99:6000");
    w.phone = media_addr("192.0.2.99:6000");
    talk(&w, 10);
    assert_int_equal(media_stats(&w).latch, GW_LATCH_LOCKED);
    w.phone = media_addr("192.0.2.10:4000");
    talk(&w, 10);
    assert_int_equal(media_stats(&w).rtp_strangers, 10);
    media_world_done(&w);
}

static void a_peer_that_begins_anew_is_heard_again(void **state)
{
    static const enum gw_codec codecs[] = { GW_CODEC_PCMU, GW_CODEC_OPUS };

    (void)state;
    for (unsigned c = 0; c < 2; c++) {
        struct media_world w;
        start(&w, codecs[c]);
        for (unsigned n = 0; n < 100; n++) {
            media_peer_speaks(&w, silence);
            media_advance(&w, FRAME_US);
        }
        const size_t before = w.rtp_count;
        w.peer_seq = 0; /* its media connection was replaced */
        w.peer_ts_ms = 0;
        gw_bridge_restart_wzp(w.bridge);
        for (unsigned n = 0; n < 50; n++) {
            media_peer_speaks(&w, silence);
            media_advance(&w, FRAME_US);
        }
        assert_int_equal(w.rtp_count, before + 50);
        assert_int_equal(media_stats(&w).wzp_duplicate, 0);
        assert_int_equal(media_stats(&w).wzp_late, 0);
        for (size_t i = 1; i < w.rtp_count; i++)
            assert_int_equal(w.rtp[i].hdr.seq, (uint16_t)(w.rtp[i - 1].hdr.seq + 1));
        media_world_done(&w);
    }
}

/* ---- digits ---- */

static void assert_digits(const struct media_world *w, const char *wanted)
{
    struct judge_audio got;
    char digits[JUDGE_DIGITS_MAX + 1];

    media_decode_wzp(w, &got);
    assert_int_equal(judge_digits(&got, digits), 0);
    assert_string_equal(digits, wanted);
    judge_audio_done(&got);
}

static void telephone_events_become_tones_in_every_profile_and_mode(void **state)
{
    static const struct {
        enum gw_codec codec;
        enum wzp_codec profile;
    } cases[] = {
        { GW_CODEC_PCMU, WZP_CODEC_OPUS_24K }, { GW_CODEC_PCMA, WZP_CODEC_OPUS_16K },
        { GW_CODEC_PCMU, WZP_CODEC_OPUS_6K },  { GW_CODEC_OPUS, WZP_CODEC_OPUS_24K },
        { GW_CODEC_OPUS, WZP_CODEC_OPUS_6K },  { GW_CODEC_PCMU, WZP_CODEC_OPUS_64K },
    };

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct gw_bridge_config config = media_world_config(cases[c].codec);
        struct media_world w;
        config.wzp.profile = cases[c].profile;
        media_world_init(&w, &config);
        talk(&w, 20);
        for (const char *d = "1234567890*#ABCD11"; *d; d++) {
            media_phone_digit(&w, *d, 100);
            talk(&w, 5);
        }
        talk(&w, 50);
        assert_digits(&w, "1234567890*#ABCD11");
        assert_int_equal(media_stats(&w).dtmf_digits, 18);
        assert_int_equal(media_stats(&w).rtp_lost, 0);
        for (size_t i = 1; i < w.wzp_count; i++) /* no hole, no overlap in the stream towards WZP */
            assert_int_equal(w.wzp[i].hdr.seq, (uint16_t)(w.wzp[i - 1].hdr.seq + 1));
        media_world_done(&w);
    }
}

/* What the peer sent: digits without their ends, doubled, out of order, faster than tones can follow. */
static void damaged_events_neither_lose_nor_double_digits(void **state)
{
    struct media_world w;
    uint8_t event[4] = { 0, 10, 0, 160 };

    (void)state;
    start(&w, GW_CODEC_PCMU);
    talk(&w, 10);
    for (uint8_t d = 0; d < 8; d++) {
        const uint32_t ts = w.phone_ts;
        event[0] = d;
        if (d % 2 == 0) { /* only one packet of it, no end */
            media_phone_packet(&w, MEDIA_WORLD_DTMF_PT, w.phone_seq++, ts, wz_bytes(event, 4));
        } else { /* only ends, five times */
            event[1] = 0x8a;
            for (unsigned n = 0; n < 5; n++)
                media_phone_packet(&w, MEDIA_WORLD_DTMF_PT, w.phone_seq++, ts, wz_bytes(event, 4));
            event[1] = 10;
        }
        w.phone_ts += 400; /* 50 ms apart */
        media_advance(&w, 50000);
    }
    talk(&w, 100);
    assert_digits(&w, "01234567");
    media_world_done(&w);
}

static void digits_from_signalling_are_played(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_OPUS);
    media_advance(&w, 1000000);
    assert_int_equal(w.wzp_count, 0);
    assert_int_equal(gw_bridge_play_digit(w.bridge, '5', 100, w.now_us), 0);
    assert_int_equal(gw_bridge_play_digit(w.bridge, '#', 0, w.now_us), 0);
    assert_int_equal(gw_bridge_play_digit(w.bridge, 'x', 100, w.now_us), -EINVAL);
    media_advance(&w, 1000000);
    assert_digits(&w, "5#");
    const size_t count = w.wzp_count;
    media_advance(&w, 1000000);
    assert_int_equal(w.wzp_count, count); /* the clock rests again */
    media_world_done(&w);
}

/* ---- profiles ---- */

static void a_low_profile_is_raised_while_digits_sound(void **state)
{
    struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;
    size_t raised = 0;

    (void)state;
    config.wzp.profile = WZP_CODEC_OPUS_6K;
    media_world_init(&w, &config);
    talk(&w, 50);
    media_phone_digit(&w, '5', 200);
    talk(&w, 50);
    for (size_t i = 0; i < w.wzp_count; i++)
        raised += w.wzp[i].hdr.codec == WZP_CODEC_OPUS_24K;
    assert_in_range(raised, 9, 15); /* 200 ms and the pause after it, in frames of 20 ms */
    assert_int_equal(w.wzp[0].hdr.codec, WZP_CODEC_OPUS_6K);
    assert_int_equal(w.wzp[w.wzp_count - 1].hdr.codec, WZP_CODEC_OPUS_6K);
    media_world_done(&w);
}

static void the_profile_decides_codec_frame_and_rate(void **state)
{
    struct gw_bridge_config config = media_world_config(GW_CODEC_PCMU);
    struct media_world w;

    (void)state;
    config.wzp.profile = WZP_CODEC_OPUS_6K;
    media_world_init(&w, &config);
    talk(&w, 50);
    for (size_t i = 0; i < w.wzp_count; i++) {
        assert_int_equal(w.wzp[i].hdr.codec, WZP_CODEC_OPUS_6K);
        assert_int_equal(w.wzp[i].hdr.timestamp_ms, 40 * i);
        assert_int_equal(gw_opus_packet_ticks(wz_bytes(w.wzp[i].payload, w.wzp[i].len)), 1920);
    }
    assert_in_range(w.wzp_count, 23, 25);
    const struct gw_wzp_params studio = { .profile = WZP_CODEC_OPUS_64K, .complexity = 3 };
    const struct gw_wzp_params bad = { .profile = WZP_CODEC_COMFORT_NOISE };
    assert_int_equal(gw_bridge_set_profile(w.bridge, &bad), -EINVAL);
    assert_int_equal(gw_bridge_set_profile(w.bridge, &studio), 0);
    const size_t before = w.wzp_count;
    const uint32_t ts = w.wzp[before - 1].hdr.timestamp_ms;
    talk(&w, 50);
    const struct media_wzp *last = &w.wzp[w.wzp_count - 1];
    assert_int_equal(last->hdr.codec, WZP_CODEC_OPUS_64K);
    assert_int_equal(last->hdr.seq, w.wzp_count - 1);
    assert_in_range(last->hdr.timestamp_ms - ts, 49 * 20, 52 * 20);
    media_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rtp_goes_to_the_sdp_address_then_to_where_the_phone_is),
        cmocka_unit_test(strangers_are_neither_heard_nor_sent_to),
        cmocka_unit_test(without_a_known_address_the_phone_must_speak_first),
        cmocka_unit_test(payload_types_that_were_not_negotiated_are_counted),
        cmocka_unit_test(rtcp_on_the_rtp_port_is_told_apart),
        cmocka_unit_test(another_ssrc_is_followed_without_a_gap_towards_wzp),
        cmocka_unit_test(hold_stops_rtp_and_resume_goes_on_where_it_was),
        cmocka_unit_test(hold_of_23_minutes_keeps_the_sequence),
        cmocka_unit_test(one_sided_hold_lets_music_through),
        cmocka_unit_test(reinvite_to_another_codec_keeps_ssrc_and_numbering),
        cmocka_unit_test(a_refused_update_changes_nothing),
        cmocka_unit_test(reinvite_to_another_address_latches_anew),
        cmocka_unit_test(a_peer_that_begins_anew_is_heard_again),
        cmocka_unit_test(telephone_events_become_tones_in_every_profile_and_mode),
        cmocka_unit_test(damaged_events_neither_lose_nor_double_digits),
        cmocka_unit_test(digits_from_signalling_are_played),
        cmocka_unit_test(a_low_profile_is_raised_while_digits_sound),
        cmocka_unit_test(the_profile_decides_codec_frame_and_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
