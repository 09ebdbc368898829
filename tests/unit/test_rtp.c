#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/media/rtp.h"

static const struct gw_rtp_hdr sample = {
    .marker = true,
    .payload_type = 111,
    .seq = 0xfffe,
    .timestamp_ticks = 0x01020304,
    .ssrc = 0xdeadbeef,
};

static void header_and_payload_survive_a_round_trip(void **state)
{
    uint8_t buf[64];
    struct gw_rtp_hdr hdr;
    struct wz_bytes payload;

    (void)state;
    const int len = gw_rtp_encode(&sample, wz_bytes("hello", 5), buf, sizeof buf);
    assert_int_equal(len, 17);
    assert_int_equal(gw_rtp_decode(wz_bytes(buf, (size_t)len), &hdr, &payload), 0);
    assert_true(hdr.marker);
    assert_int_equal(hdr.payload_type, 111);
    assert_int_equal(hdr.seq, 0xfffe);
    assert_int_equal(hdr.timestamp_ticks, 0x01020304);
    assert_int_equal(hdr.ssrc, 0xdeadbeef);
    assert_true(wz_bytes_equal(payload, wz_bytes("hello", 5)));
}

static void encoded_bytes_are_those_of_the_rfc(void **state)
{
    static const uint8_t wanted[] = { 0x80, 0xef, 0xff, 0xfe, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef, 'x' };
    uint8_t buf[13];

    (void)state;
    assert_int_equal(gw_rtp_encode(&sample, wz_bytes("x", 1), buf, sizeof buf), 13);
    assert_memory_equal(buf, wanted, sizeof wanted);
}

static void encoding_refuses_what_does_not_fit(void **state)
{
    uint8_t buf[16];
    struct gw_rtp_hdr hdr = sample;

    (void)state;
    assert_int_equal(gw_rtp_encode(&sample, wz_bytes("hello", 5), buf, sizeof buf), -ENOSPC);
    assert_int_equal(gw_rtp_encode(&sample, wz_bytes(NULL, 0), buf, 11), -ENOSPC);
    hdr.payload_type = 128;
    assert_int_equal(gw_rtp_encode(&hdr, wz_bytes("x", 1), buf, sizeof buf), -EINVAL);
}

static void csrc_extension_and_padding_are_stepped_over(void **state)
{
    static const uint8_t packet[] = {
        0xb2, 0,    0,   1, 0, 0, 0, 2, 0, 0, 0, 3, /* V=2 P X CC=2 */
        1,    1,    1,   1, 2, 2, 2, 2,             /* CSRC */
        0xbe, 0xde, 0,   1, 9, 9, 9, 9,             /* extension of one word */
        'p',  'a',  'y', 0, 0, 3,                   /* three bytes of padding */
    };
    struct gw_rtp_hdr hdr;
    struct wz_bytes payload;

    (void)state;
    assert_int_equal(gw_rtp_decode(wz_bytes(packet, sizeof packet), &hdr, &payload), 0);
    assert_true(wz_bytes_equal(payload, wz_bytes("pay", 3)));
}

static void every_truncation_is_refused_and_leaves_outputs_alone(void **state)
{
    static const uint8_t packet[] = { 0x91, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 1, 1, 1, 0xbe, 0xde, 0, 1, 9, 9, 9, 9 };
    struct gw_rtp_hdr hdr = { .seq = 77 };
    struct wz_bytes payload = wz_bytes("keep", 4);

    (void)state;
    for (size_t len = 0; len < sizeof packet; len++)
        assert_int_equal(gw_rtp_decode(wz_bytes(packet, len), &hdr, &payload), -EBADMSG);
    assert_int_equal(hdr.seq, 77);
    assert_int_equal(payload.len, 4);
    assert_int_equal(gw_rtp_decode(wz_bytes(packet, sizeof packet), &hdr, &payload), 0);
    assert_int_equal(payload.len, 0);
}

static void bad_padding_and_version_are_refused(void **state)
{
    uint8_t packet[14] = { 0xa0 };
    struct gw_rtp_hdr hdr;
    struct wz_bytes payload;

    (void)state;
    packet[13] = 0;
    assert_int_equal(gw_rtp_decode(wz_bytes(packet, 14), &hdr, &payload), -EBADMSG);
    packet[13] = 3; /* only two bytes are there */
    assert_int_equal(gw_rtp_decode(wz_bytes(packet, 14), &hdr, &payload), -EBADMSG);
    packet[13] = 2;
    assert_int_equal(gw_rtp_decode(wz_bytes(packet, 14), &hdr, &payload), 0);
    assert_int_equal(gw_rtp_decode(wz_bytes(packet, 12), &hdr, &payload), -EBADMSG);
    packet[0] = 0x40;
    assert_int_equal(gw_rtp_decode(wz_bytes(packet, 14), &hdr, &payload), -EPROTONOSUPPORT);
}

static void rtcp_is_told_from_rtp_on_one_port(void **state)
{
    static const uint8_t sr[] = { 0x80, 200 }, pt0_marker[] = { 0x80, 0x80 }, pt111[] = { 0x80, 111 };

    (void)state;
    assert_true(gw_rtp_is_rtcp(wz_bytes(sr, 2)));
    assert_false(gw_rtp_is_rtcp(wz_bytes(sr, 1)));
    assert_false(gw_rtp_is_rtcp(wz_bytes(pt0_marker, 2)));
    assert_false(gw_rtp_is_rtcp(wz_bytes(pt111, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_and_payload_survive_a_round_trip),
        cmocka_unit_test(encoded_bytes_are_those_of_the_rfc),
        cmocka_unit_test(encoding_refuses_what_does_not_fit),
        cmocka_unit_test(csrc_extension_and_padding_are_stepped_over),
        cmocka_unit_test(every_truncation_is_refused_and_leaves_outputs_alone),
        cmocka_unit_test(bad_padding_and_version_are_refused),
        cmocka_unit_test(rtcp_is_told_from_rtp_on_one_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
