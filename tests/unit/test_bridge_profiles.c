/* What the bridge sends towards WZP: every profile, changes between them, repair, comfort noise, and what quality reports
 * and the relay do to it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/media/codec_codec2.h"
#include "gateway/media/tone.h"
#include "tests/support/media_world.h"
#include "wzp/core/fec.h"

#define FRAME     160
#define FRAME_US  20000
#define SECOND_US 1000000u
#define COUNT(a)  (sizeof(a) / sizeof *(a))

static void start(struct media_world *w, enum gw_codec phone, const struct gw_wzp_params *params)
{
    struct gw_bridge_config config = media_world_config(phone);

    config.wzp = *params;
    config.wzp.complexity = 5;
    media_world_init(w, &config);
}

/* Sound is a tone, silence is silence; 20 ms each. */
static void talk(struct media_world *w, unsigned frames, bool is_loud)
{
    double phase = 0;

    for (unsigned n = 0; n < frames; n++) {
        int16_t pcm[FRAME] = { 0 };
        if (is_loud)
            gw_sine_render(250, 8000, 8000, &phase, pcm, FRAME);
        media_phone_speaks(w, pcm);
        media_advance(w, FRAME_US);
    }
}

static void set_profile(struct media_world *w, enum wzp_codec codec)
{
    const struct gw_wzp_params params = { .profile = codec, .complexity = 5 };
    assert_int_equal(gw_bridge_set_profile(w->bridge, &params), 0);
}

/* Numbers follow one another, and each packet's time is where the one before ended. */
static void assert_numbering(const struct media_world *w)
{
    uint32_t end_ms = 0;

    for (size_t i = 0; i < w->wzp_count; i++) {
        const struct wzp_media_hdr *hdr = &w->wzp[i].hdr;
        assert_int_equal(hdr->seq, (uint16_t)i);
        assert_int_equal(hdr->timestamp_ms, end_ms);
        if (!hdr->is_repair && hdr->codec != WZP_CODEC_COMFORT_NOISE)
            end_ms += wzp_codec_frame_ms(hdr->codec);
    }
}

static bool is_codec2(enum wzp_codec codec)
{
    return gw_codec2_frame_bytes(codec) > 0;
}

/* ---- profiles ---- */

static void every_opus_profile_is_sent_with_its_frame_and_no_repair(void **state)
{
    static const enum wzp_codec codecs[] = { WZP_CODEC_OPUS_6K,  WZP_CODEC_OPUS_16K, WZP_CODEC_OPUS_24K,
                                             WZP_CODEC_OPUS_32K, WZP_CODEC_OPUS_48K, WZP_CODEC_OPUS_64K };

    (void)state;
    for (size_t c = 0; c < COUNT(codecs); c++) {
        struct media_world w;
        start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = codecs[c] });
        talk(&w, 100, true);
        assert_in_range(w.wzp_count * wzp_codec_frame_ms(codecs[c]), 1900, 2040);
        for (size_t i = 0; i < w.wzp_count; i++) {
            const struct media_wzp *p = &w.wzp[i];
            assert_int_equal(p->hdr.codec, codecs[c]);
            assert_false(p->hdr.is_repair);
            assert_int_equal(p->hdr.fec_ratio | p->hdr.fec_block | p->hdr.fec_symbol, 0);
            assert_int_equal(gw_opus_packet_ticks(wz_bytes(p->payload, p->len)), 48 * wzp_codec_frame_ms(codecs[c]));
        }
        assert_numbering(&w);
        media_world_done(&w);
    }
}

/* Blocks of K bare frames, then R whole symbols with the time of the next frame. */
static void assert_blocks(const struct media_world *w, enum wzp_codec codec, unsigned k, unsigned r, uint8_t ratio)
{
    for (size_t i = 0; i < w->wzp_count; i++) {
        const struct media_wzp *p = &w->wzp[i];
        const unsigned place = (unsigned)i % (k + r);
        assert_int_equal(p->hdr.codec, codec);
        assert_int_equal(p->hdr.is_repair, place >= k);
        assert_int_equal(p->hdr.fec_symbol, place);
        assert_int_equal(p->hdr.fec_block, (uint8_t)(i / (k + r)));
        assert_int_equal(p->hdr.fec_ratio, ratio);
        assert_int_equal(p->len, place >= k ? WZP_FEC_SYMBOL_BYTES : gw_codec2_frame_bytes(codec));
        if (place >= k)
            assert_int_equal(p->at_us, w->wzp[i - 1].at_us); /* back to back */
    }
}

static void codec2_profiles_are_sent_in_blocks_with_repair_behind_them(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_CODEC2_3200 });
    talk(&w, 200, true);
    assert_blocks(&w, WZP_CODEC_CODEC2_3200, 5, 3, 32);
    assert_numbering(&w);
    assert_true(media_stats(&w).wzp_repair_tx > 100);
    media_world_done(&w);
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_CODEC2_1200 });
    talk(&w, 200, true);
    assert_blocks(&w, WZP_CODEC_CODEC2_1200, 8, 8, 64);
    assert_numbering(&w);
    media_world_done(&w);
}

static void repair_that_is_sent_brings_back_what_was_sent(void **state)
{
    struct wzp_fec_decoder *decoder;
    struct wzp_fec_frame frame;
    struct media_world w;
    unsigned back = 0;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_CODEC2_1200 });
    talk(&w, 200, true);
    assert_int_equal(wzp_fec_decoder_new(&decoder, 8), 0);
    for (size_t i = 0; i < w.wzp_count; i++) {
        const struct media_wzp *p = &w.wzp[i];
        const struct wz_bytes payload = wz_bytes(p->payload, p->len);
        if (p->hdr.is_repair)
            (void)wzp_fec_decoder_repair(decoder, p->hdr.fec_block, p->hdr.fec_symbol, payload, p->at_us);
        else if (p->hdr.fec_symbol % 2 == 0) /* every other frame is lost */
            (void)wzp_fec_decoder_source(decoder, p->hdr.fec_block, p->hdr.fec_symbol, payload, p->at_us);
        while (wzp_fec_decoder_take(decoder, &frame)) {
            const struct media_wzp *was = &w.wzp[frame.block * 16u + frame.symbol];
            assert_true(wz_bytes_equal(wz_bytes(was->payload, was->len), wz_bytes(frame.data, frame.len)));
            back++;
        }
    }
    assert_true(back >= 4 * (w.wzp_count / 16) && back > 0);
    wzp_fec_decoder_free(decoder);
    media_world_done(&w);
}

static void changing_the_profile_in_a_call_keeps_numbers_and_time_and_drops_the_open_block(void **state)
{
    static const enum wzp_codec order[] = { WZP_CODEC_OPUS_24K,    WZP_CODEC_CODEC2_3200, WZP_CODEC_OPUS_6K,
                                            WZP_CODEC_CODEC2_1200, WZP_CODEC_CODEC2_3200, WZP_CODEC_OPUS_64K,
                                            WZP_CODEC_CODEC2_1200, WZP_CODEC_OPUS_32K,    WZP_CODEC_OPUS_48K };
    struct media_world w;
    unsigned changes = 0;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K });
    for (size_t c = 0; c < COUNT(order); c++) {
        set_profile(&w, order[c]);
        talk(&w, 33, true);
        assert_int_equal(media_stats(&w).wzp_codec_tx, order[c]);
    }
    assert_numbering(&w);
    for (size_t i = 1; i < w.wzp_count; i++) {
        const struct wzp_media_hdr *hdr = &w.wzp[i].hdr, *before = &w.wzp[i - 1].hdr;
        if (hdr->codec == before->codec)
            continue;
        changes++;
        assert_false(hdr->is_repair);
        assert_int_equal(hdr->fec_symbol, 0);
    }
    assert_int_equal(changes, COUNT(order) - 1);
    media_world_done(&w);
}

static void what_cannot_be_sent_is_refused_as_profile(void **state)
{
    const struct gw_wzp_params bad[] = { { .profile = WZP_CODEC_COMFORT_NOISE }, { .complexity = 11 } };
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K });
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(gw_bridge_set_profile(w.bridge, &bad[i]), -EINVAL);
    assert_int_equal(media_stats(&w).wzp_codec_tx, WZP_CODEC_OPUS_24K);
    media_world_done(&w);
}

static void digits_are_sent_in_opus_while_the_profile_is_codec2(void **state)
{
    struct media_world w;
    size_t raised = 0;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_CODEC2_1200 });
    talk(&w, 50, true);
    media_phone_digit(&w, '5', 200);
    talk(&w, 50, true);
    for (size_t i = 0; i < w.wzp_count; i++)
        raised += w.wzp[i].hdr.codec == WZP_CODEC_OPUS_24K;
    assert_in_range(raised, 9, 15); /* 200 ms and the pause after it, in frames of 20 ms */
    assert_int_equal(w.wzp[w.wzp_count - 1].hdr.codec, WZP_CODEC_CODEC2_1200);
    assert_numbering(&w);
    media_world_done(&w);
}

/* ---- silence ---- */

static void suppressed_silence_sends_comfort_noise_every_tenth_frame_and_time_goes_on(void **state)
{
    struct media_world w;
    size_t noise = 0, audio = 0;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K, .suppress_silence = true });
    talk(&w, 50, true);
    const size_t before = w.wzp_count;
    talk(&w, 200, false);
    for (size_t i = before; i < w.wzp_count; i++) {
        const struct media_wzp *p = &w.wzp[i];
        noise += p->hdr.codec == WZP_CODEC_COMFORT_NOISE;
        audio += p->hdr.codec != WZP_CODEC_COMFORT_NOISE;
        assert_int_equal(p->hdr.seq, (uint16_t)i);
        if (p->hdr.codec == WZP_CODEC_COMFORT_NOISE) {
            assert_int_equal(p->len, 1);
            assert_int_equal(p->payload[0], 50);
            assert_int_equal(p->hdr.fec_ratio | p->hdr.fec_symbol, 0);
        }
    }
    assert_in_range(noise, 18, 20);
    assert_in_range(audio, 5, 10); /* the hang-over, and what waited in the jitter buffer */
    assert_int_equal(media_stats(&w).wzp_comfort_noise_tx, noise);
    talk(&w, 20, true);
    const struct wzp_media_hdr *last = &w.wzp[w.wzp_count - 1].hdr;
    assert_in_range(last->timestamp_ms, 268 * 20 - 80, 270 * 20);
    media_world_done(&w);
}

static void silence_is_sent_as_it_is_by_default(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K });
    talk(&w, 100, false);
    assert_in_range(w.wzp_count, 95, 101);
    assert_int_equal(media_stats(&w).wzp_comfort_noise_tx, 0);
    media_world_done(&w);
}

/* ---- quality ---- */

/* One Opus packet from the peer that carries a report. */
static void peer_reports(struct media_world *w, unsigned loss_pct, unsigned rtt_ms)
{
    const uint8_t opus[] = { 0x08, 1, 2, 3 };
    const struct wzp_media_hdr hdr = {
        .codec = WZP_CODEC_OPUS_24K,
        .seq = w->peer_seq++,
        .timestamp_ms = w->peer_ts_ms,
        .has_report = true,
        .report = wzp_quality_from_stats(loss_pct * 1000, rtt_ms, 5),
    };

    w->peer_ts_ms += 20;
    media_peer_packet(w, &hdr, wz_bytes(opus, sizeof opus));
}

static void report_for(struct media_world *w, unsigned times, unsigned loss_pct, unsigned rtt_ms)
{
    for (unsigned n = 0; n < times; n++) {
        peer_reports(w, loss_pct, rtt_ms);
        talk(w, 50, true);
    }
}

static enum wzp_codec last_codec(const struct media_world *w)
{
    return w->wzp[w->wzp_count - 1].hdr.codec;
}

static void reports_lower_the_profile_and_better_ones_raise_it_no_higher_than_configured(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K });
    report_for(&w, 2, 8, 20);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_24K); /* two are chance */
    report_for(&w, 2, 8, 20);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_6K);
    assert_int_equal(media_stats(&w).wzp_tier, WZP_TIER_DEGRADED);
    report_for(&w, 4, 20, 20);
    assert_int_equal(last_codec(&w), WZP_CODEC_CODEC2_1200);
    report_for(&w, 25, 0, 10);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_24K);
    report_for(&w, 30, 0, 10);
    assert_true(media_stats(&w).wzp_tier > WZP_TIER_GOOD);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_24K);
    media_world_done(&w);
}

static void studio_tiers_are_used_when_configured(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_64K });
    report_for(&w, 2, 0, 10);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_64K);
    report_for(&w, 4, 1, 60);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_32K);
    report_for(&w, 32, 0, 10);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_64K);
    media_world_done(&w);
}

static void a_fixed_profile_is_not_changed_by_reports_or_relay(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K, .adapt = GW_ADAPT_OFF });
    gw_bridge_quality_directive(w.bridge, &wzp_profile_catastrophic);
    report_for(&w, 6, 50, 900);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_24K);
    media_world_done(&w);
}

static void a_directive_of_the_relay_lowers_the_profile_until_the_next_one(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_32K });
    gw_bridge_quality_directive(w.bridge, &wzp_profile_catastrophic);
    talk(&w, 50, true);
    assert_int_equal(last_codec(&w), WZP_CODEC_CODEC2_1200);
    gw_bridge_quality_directive(w.bridge, &wzp_profile_good);
    talk(&w, 50, true);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_24K);
    gw_bridge_quality_directive(w.bridge, &wzp_profile_studio_64k);
    talk(&w, 50, true);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_32K); /* never above what is configured */
    media_world_done(&w);
}

static void our_own_figures_count_where_the_peer_reports_nothing(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K });
    gw_bridge_set_path_stats(w.bridge, 9000, 20, 5);
    talk(&w, 4 * 50 + 20, true);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_6K);
    media_world_done(&w);
}

/* A good report and bad figures of our own, in turns, would never be three bad ones in a row. */
static void the_worse_end_of_the_path_decides(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K });
    gw_bridge_set_path_stats(w.bridge, 9000, 20, 5);
    report_for(&w, 6, 0, 20);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_6K);
    media_world_done(&w);
}

static void quality_reports_ride_on_audio_only(void **state)
{
    struct media_world w;
    size_t reports = 0, audio = 0;

    (void)state;
    start(&w, GW_CODEC_PCMU, &(struct gw_wzp_params){ .profile = WZP_CODEC_CODEC2_3200, .suppress_silence = true });
    gw_bridge_set_path_stats(w.bridge, 1000, 20, 3);
    for (unsigned n = 0; n < 20; n++) {
        talk(&w, 30, true);
        talk(&w, 20, false);
    }
    for (size_t i = 0; i < w.wzp_count; i++) {
        const bool is_audio = !w.wzp[i].hdr.is_repair && w.wzp[i].hdr.codec != WZP_CODEC_COMFORT_NOISE;
        audio += is_audio;
        reports += w.wzp[i].hdr.has_report;
        assert_true(is_audio || !w.wzp[i].hdr.has_report);
    }
    assert_true(media_stats(&w).wzp_comfort_noise_tx > 0 && media_stats(&w).wzp_repair_tx > 0);
    assert_int_equal(reports, audio / 50);
    media_world_done(&w);
}

/* ---- a phone that speaks Opus itself ---- */

static void an_opus_phone_is_encoded_anew_only_while_the_path_carries_no_more(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_OPUS, &(struct gw_wzp_params){ .profile = WZP_CODEC_OPUS_24K });
    talk(&w, 50, true);
    assert_true(media_stats(&w).pass_through_rtp);
    report_for(&w, 4, 20, 20);
    assert_false(media_stats(&w).pass_through_rtp);
    assert_true(is_codec2(last_codec(&w)));
    report_for(&w, 20, 0, 10);
    assert_true(media_stats(&w).pass_through_rtp);
    assert_int_equal(last_codec(&w), WZP_CODEC_OPUS_24K);
    for (size_t i = 1; i < w.wzp_count; i++)
        assert_int_equal(w.wzp[i].hdr.seq, (uint16_t)(w.wzp[i - 1].hdr.seq + 1));
    media_world_done(&w);
}

static void an_opus_phone_is_encoded_anew_for_a_codec2_profile(void **state)
{
    struct media_world w;

    (void)state;
    start(&w, GW_CODEC_OPUS, &(struct gw_wzp_params){ .profile = WZP_CODEC_CODEC2_3200 });
    talk(&w, 100, true);
    assert_false(media_stats(&w).pass_through_rtp);
    assert_blocks(&w, WZP_CODEC_CODEC2_3200, 5, 3, 32);
    media_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_opus_profile_is_sent_with_its_frame_and_no_repair),
        cmocka_unit_test(codec2_profiles_are_sent_in_blocks_with_repair_behind_them),
        cmocka_unit_test(repair_that_is_sent_brings_back_what_was_sent),
        cmocka_unit_test(changing_the_profile_in_a_call_keeps_numbers_and_time_and_drops_the_open_block),
        cmocka_unit_test(what_cannot_be_sent_is_refused_as_profile),
        cmocka_unit_test(digits_are_sent_in_opus_while_the_profile_is_codec2),
        cmocka_unit_test(suppressed_silence_sends_comfort_noise_every_tenth_frame_and_time_goes_on),
        cmocka_unit_test(silence_is_sent_as_it_is_by_default),
        cmocka_unit_test(reports_lower_the_profile_and_better_ones_raise_it_no_higher_than_configured),
        cmocka_unit_test(studio_tiers_are_used_when_configured),
        cmocka_unit_test(a_fixed_profile_is_not_changed_by_reports_or_relay),
        cmocka_unit_test(a_directive_of_the_relay_lowers_the_profile_until_the_next_one),
        cmocka_unit_test(our_own_figures_count_where_the_peer_reports_nothing),
        cmocka_unit_test(the_worse_end_of_the_path_decides),
        cmocka_unit_test(quality_reports_ride_on_audio_only),
        cmocka_unit_test(an_opus_phone_is_encoded_anew_only_while_the_path_carries_no_more),
        cmocka_unit_test(an_opus_phone_is_encoded_anew_for_a_codec2_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
