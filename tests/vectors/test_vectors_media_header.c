#include "tests/vectors/vectors.h"

#include <errno.h>

#include "wzp/core/media.h"

static struct wzp_media_hdr header_of(const json_t *vector)
{
    struct wzp_media_hdr hdr = {
        .is_repair = json_is_true(vector_member(vector, "is_repair")),
        .has_report = json_is_true(vector_member(vector, "has_quality_report")),
        .fec_ratio = (uint8_t)vector_number(vector, "fec_ratio_encoded"),
        .seq = (uint16_t)vector_number(vector, "seq"),
        .timestamp_ms = (uint32_t)vector_number(vector, "timestamp"),
        .fec_block = (uint8_t)vector_number(vector, "fec_block"),
        .fec_symbol = (uint8_t)vector_number(vector, "fec_symbol"),
        .reserved = (uint8_t)vector_number(vector, "reserved"),
        .csrc_count = (uint8_t)vector_number(vector, "csrc_count"),
    };
    assert_int_equal(wzp_codec_parse(vector_text(vector, "codec"), &hdr.codec), 0);
    assert_int_equal(hdr.codec, vector_number(vector, "codec_wire"));
    return hdr;
}

static void expect_header(const struct wzp_media_hdr *got, const struct wzp_media_hdr *want)
{
    assert_int_equal(got->codec, want->codec);
    assert_int_equal(got->is_repair, want->is_repair);
    assert_int_equal(got->has_report, want->has_report);
    assert_int_equal(got->fec_ratio, want->fec_ratio);
    assert_int_equal(got->seq, want->seq);
    assert_int_equal(got->timestamp_ms, want->timestamp_ms);
    assert_int_equal(got->fec_block, want->fec_block);
    assert_int_equal(got->fec_symbol, want->fec_symbol);
    assert_int_equal(got->reserved, want->reserved);
    assert_int_equal(got->csrc_count, want->csrc_count);
}

/** Headers that announce a report are completed by one of zeros. */
static size_t trailer_of(const struct wzp_media_hdr *hdr)
{
    return hdr->has_report ? WZP_MEDIA_TRAILER_BYTES : 0;
}

static void headers_encode_to_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("media_header"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "headers"), index, vector)
    {
        struct wzp_media_hdr hdr = header_of(vector);
        uint8_t buf[32];
        int len = wzp_media_encode(&hdr, wz_bytes(NULL, 0), buf, sizeof buf);
        assert_int_equal(len, WZP_MEDIA_HEADER_BYTES + trailer_of(&hdr));
        vector_expect_hex(vector, "hex", buf, WZP_MEDIA_HEADER_BYTES);
    }
    json_decref(root);
}

static void headers_decode_from_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("media_header"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "headers"), index, vector)
    {
        struct wzp_media_hdr want = header_of(vector), got;
        struct vector_bytes bytes = vector_hex(vector, "hex");
        struct wz_bytes payload;
        bytes.len += trailer_of(&want);
        assert_int_equal(wzp_media_decode(vector_view(&bytes), &got, &payload), 0);
        expect_header(&got, &want);
        assert_int_equal(payload.len, 0);
    }
    json_decref(root);
}

static void undefined_codecs_are_refused(void **state)
{
    (void)state;
    json_t *root = vector_load("media_header"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "invalid"), index, vector)
    {
        struct vector_bytes bytes = vector_hex(vector, "hex");
        struct wzp_media_hdr hdr;
        struct wz_bytes payload;
        assert_int_equal(wzp_media_decode(vector_view(&bytes), &hdr, &payload), -EPROTONOSUPPORT);
    }
    json_decref(root);
}

static void fec_ratios_encode_to_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("media_header"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "fec_ratio"), index, vector)
    {
        double ratio = json_number_value(vector_member(vector, "ratio"));
        assert_int_equal(wzp_fec_ratio_encode((unsigned)(ratio * 1000 + 0.5)),
                         vector_number(vector, "encoded"));
    }
    json_decref(root);
}

/** Decode, compare the parts, encode again. */
static void expect_packet(const struct vector_bytes *datagram, const struct wz_bytes *want_payload,
                          struct wzp_media_hdr *ret_hdr)
{
    uint8_t buf[VECTOR_BYTES_MAX];
    struct wz_bytes payload;

    assert_int_equal(wzp_media_decode(vector_view(datagram), ret_hdr, &payload), 0);
    assert_true(wz_bytes_equal(payload, *want_payload));
    assert_int_equal(wzp_media_encode(ret_hdr, payload, buf, sizeof buf), datagram->len);
    assert_memory_equal(buf, datagram->data, datagram->len);
}

static void a_packet_with_a_quality_trailer_goes_both_ways(void **state)
{
    (void)state;
    json_t *root = vector_load("media_header");
    const json_t *vector = vector_member(root, "packet_with_quality_report");
    struct vector_bytes datagram = vector_hex(vector, "datagram"), payload = vector_hex(vector, "payload");
    struct wz_bytes want = vector_view(&payload);
    struct wzp_media_hdr hdr;

    expect_packet(&datagram, &want, &hdr);
    const uint8_t report[] = { hdr.report.loss, hdr.report.rtt_4ms, hdr.report.jitter_ms,
                               hdr.report.bitrate_cap_kbps };
    vector_expect_hex(vector, "quality_report", report, sizeof report);
    json_decref(root);
}

static void a_comfort_noise_packet_goes_both_ways(void **state)
{
    (void)state;
    json_t *root = vector_load("media_header");
    const json_t *vector = vector_member(root, "comfort_noise_packet");
    struct vector_bytes datagram = vector_hex(vector, "datagram");
    uint8_t level = (uint8_t)vector_number(vector, "level");
    struct wz_bytes want = wz_bytes(&level, 1);
    struct wzp_media_hdr hdr;

    expect_packet(&datagram, &want, &hdr);
    assert_int_equal(hdr.codec, WZP_CODEC_COMFORT_NOISE);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_encode_to_the_vectors),
        cmocka_unit_test(headers_decode_from_the_vectors),
        cmocka_unit_test(undefined_codecs_are_refused),
        cmocka_unit_test(fec_ratios_encode_to_the_vectors),
        cmocka_unit_test(a_packet_with_a_quality_trailer_goes_both_ways),
        cmocka_unit_test(a_comfort_noise_packet_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
