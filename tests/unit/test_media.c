#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "wzp/core/media.h"

/** A header of codec 0, optionally announcing a report, zero otherwise. */
static void make_header(uint8_t *buf, uint8_t byte0)
{
    memset(buf, 0, WZP_MEDIA_HEADER_BYTES);
    buf[0] = byte0;
}

static int decode_length(const uint8_t *data, size_t len, size_t *ret_payload_len)
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload = { 0 };
    int err = wzp_media_decode(wz_bytes(data, len), &hdr, &payload);
    *ret_payload_len = payload.len;
    return err;
}

static void a_datagram_of_eleven_bytes_is_refused_one_of_twelve_is_empty(void **state)
{
    (void)state;
    uint8_t data[WZP_MEDIA_HEADER_BYTES];
    size_t len;
    make_header(data, 0);
    for (size_t i = 0; i < sizeof data; i++)
        assert_int_equal(decode_length(data, i, &len), -EBADMSG);
    assert_int_equal(decode_length(data, sizeof data, &len), 0);
    assert_int_equal(len, 0);
}

static void an_announced_report_must_fit(void **state)
{
    (void)state;
    uint8_t data[WZP_MEDIA_HEADER_BYTES + WZP_MEDIA_TRAILER_BYTES + 1] = { 0 };
    size_t len;
    make_header(data, 0x02);
    for (size_t i = WZP_MEDIA_HEADER_BYTES; i < WZP_MEDIA_HEADER_BYTES + WZP_MEDIA_TRAILER_BYTES; i++)
        assert_int_equal(decode_length(data, i, &len), -EBADMSG);
    assert_int_equal(decode_length(data, sizeof data - 1, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(decode_length(data, sizeof data, &len), 0);
    assert_int_equal(len, 1);
}

static void codecs_beyond_the_last_are_refused(void **state)
{
    (void)state;
    uint8_t data[WZP_MEDIA_HEADER_BYTES];
    size_t len;
    for (unsigned codec = 0; codec < 16; codec++) {
        make_header(data, (uint8_t)(codec << 2));
        assert_int_equal(decode_length(data, sizeof data, &len),
                         codec < WZP_CODEC_COUNT ? 0 : -EPROTONOSUPPORT);
    }
}

static void outputs_stay_untouched_when_decoding_fails(void **state)
{
    (void)state;
    uint8_t data[WZP_MEDIA_HEADER_BYTES];
    struct wzp_media_hdr hdr = { .seq = 77 };
    struct wz_bytes payload = wz_bytes(data, 5);
    make_header(data, 9 << 2);
    assert_int_equal(wzp_media_decode(wz_bytes(data, sizeof data), &hdr, &payload), -EPROTONOSUPPORT);
    make_header(data, 0x02);
    assert_int_equal(wzp_media_decode(wz_bytes(data, sizeof data), &hdr, &payload), -EBADMSG);
    assert_int_equal(hdr.seq, 77);
    assert_int_equal(payload.len, 5);
}

static void the_version_bit_and_unused_bits_are_ignored_and_written_as_zero(void **state)
{
    (void)state;
    uint8_t data[WZP_MEDIA_HEADER_BYTES], again[WZP_MEDIA_HEADER_BYTES];
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    make_header(data, 0x80);
    data[1] = 0x03;
    assert_int_equal(wzp_media_decode(wz_bytes(data, sizeof data), &hdr, &payload), 0);
    assert_int_equal(wzp_media_encode(&hdr, payload, again, sizeof again), sizeof again);
    assert_int_equal(again[0], 0);
    assert_int_equal(again[1], 0);
}

static void encoding_fails_one_byte_short(void **state)
{
    (void)state;
    const struct wzp_media_hdr hdr = { .has_report = true };
    uint8_t buf[WZP_MEDIA_HEADER_BYTES + 3 + WZP_MEDIA_TRAILER_BYTES];
    assert_int_equal(wzp_media_encode(&hdr, wz_bytes("abc", 3), buf, sizeof buf), sizeof buf);
    for (size_t size = 0; size < sizeof buf; size++)
        assert_int_equal(wzp_media_encode(&hdr, wz_bytes("abc", 3), buf, size), -ENOSPC);
}

static void values_out_of_range_are_not_encoded(void **state)
{
    (void)state;
    uint8_t buf[64];
    struct wzp_media_hdr hdr = { .fec_ratio = 127 };
    assert_int_equal(wzp_media_encode(&hdr, wz_bytes(NULL, 0), buf, sizeof buf), WZP_MEDIA_HEADER_BYTES);
    hdr.fec_ratio = 128;
    assert_int_equal(wzp_media_encode(&hdr, wz_bytes(NULL, 0), buf, sizeof buf), -EINVAL);
    hdr.fec_ratio = 0;
    hdr.codec = WZP_CODEC_COUNT;
    assert_int_equal(wzp_media_encode(&hdr, wz_bytes(NULL, 0), buf, sizeof buf), -EINVAL);
}

static void the_codec_table_says_what_the_specification_says(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned bitrate_bps, frame_ms;
        bool is_opus;
    } want[] = {
        { "Opus24k", 24000, 20, true },     { "Opus16k", 16000, 20, true },
        { "Opus6k", 6000, 40, true },       { "Codec2_3200", 3200, 20, false },
        { "Codec2_1200", 1200, 40, false }, { "ComfortNoise", 0, 20, false },
        { "Opus32k", 32000, 20, true },     { "Opus48k", 48000, 20, true },
        { "Opus64k", 64000, 20, true },
    };
    assert_int_equal(sizeof want / sizeof *want, WZP_CODEC_COUNT);
    for (unsigned i = 0; i < WZP_CODEC_COUNT; i++) {
        enum wzp_codec codec = (enum wzp_codec)i, parsed;
        assert_string_equal(wzp_codec_name(codec), want[i].name);
        assert_int_equal(wzp_codec_bitrate_bps(codec), want[i].bitrate_bps);
        assert_int_equal(wzp_codec_frame_ms(codec), want[i].frame_ms);
        assert_int_equal(wzp_codec_is_opus(codec), want[i].is_opus);
        assert_int_equal(wzp_codec_parse(want[i].name, &parsed), 0);
        assert_int_equal(parsed, codec);
    }
}

static void a_codec_that_is_none_has_harmless_properties(void **state)
{
    (void)state;
    enum wzp_codec codec = WZP_CODEC_OPUS_6K;
    assert_int_equal(wzp_codec_parse("opus24k", &codec), -EBADMSG);
    assert_int_equal(wzp_codec_parse("", &codec), -EBADMSG);
    assert_int_equal(codec, WZP_CODEC_OPUS_6K);
    assert_string_equal(wzp_codec_name(WZP_CODEC_COUNT), "unknown");
    assert_false(wzp_codec_is_opus(WZP_CODEC_COUNT));
    assert_int_equal(wzp_codec_frame_ms(WZP_CODEC_COUNT), 20);
    assert_int_equal(wzp_codec_bitrate_bps(WZP_CODEC_COUNT), 0);
}

static void fec_ratios_round_half_up_and_saturate(void **state)
{
    (void)state;
    assert_int_equal(wzp_fec_ratio_encode(1000), 64);  /* 63.5 */
    assert_int_equal(wzp_fec_ratio_encode(1992), 126); /* 126.49 */
    assert_int_equal(wzp_fec_ratio_encode(1993), 127);
    assert_int_equal(wzp_fec_ratio_encode(2000), 127);
    assert_int_equal(wzp_fec_ratio_encode(UINT32_MAX), 127);
}

static void statistics_saturate(void **state)
{
    (void)state;
    struct wzp_quality_report report = wzp_quality_from_stats(100000, 1020, 255);
    assert_int_equal(report.loss, 255);
    assert_int_equal(report.rtt_4ms, 255);
    assert_int_equal(report.jitter_ms, 255);
    report = wzp_quality_from_stats(UINT32_MAX, UINT32_MAX, UINT32_MAX);
    assert_int_equal(report.loss, 255);
    assert_int_equal(report.rtt_4ms, 255);
    assert_int_equal(report.jitter_ms, 255);
    report = wzp_quality_from_stats(99999, 1019, 254);
    assert_int_equal(report.loss, 254);
    assert_int_equal(report.rtt_4ms, 254);
    assert_int_equal(report.jitter_ms, 254);
    assert_int_equal(report.bitrate_cap_kbps, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_of_eleven_bytes_is_refused_one_of_twelve_is_empty),
        cmocka_unit_test(an_announced_report_must_fit),
        cmocka_unit_test(codecs_beyond_the_last_are_refused),
        cmocka_unit_test(outputs_stay_untouched_when_decoding_fails),
        cmocka_unit_test(the_version_bit_and_unused_bits_are_ignored_and_written_as_zero),
        cmocka_unit_test(encoding_fails_one_byte_short),
        cmocka_unit_test(values_out_of_range_are_not_encoded),
        cmocka_unit_test(the_codec_table_says_what_the_specification_says),
        cmocka_unit_test(a_codec_that_is_none_has_harmless_properties),
        cmocka_unit_test(fec_ratios_round_half_up_and_saturate),
        cmocka_unit_test(statistics_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
