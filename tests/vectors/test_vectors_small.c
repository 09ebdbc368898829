/* The files with a handful of values each: quality_report, room_hash, p2p_role. */
#include "tests/vectors/vectors.h"

#include "wzp/core/candidates.h"
#include "wzp/core/media.h"
#include "wzp/core/room_name.h"

static void expect_report(const json_t *vector, const char *member, const struct wzp_quality_report *report)
{
    const uint8_t bytes[] = { report->loss, report->rtt_4ms, report->jitter_ms, report->bitrate_cap_kbps };
    vector_expect_hex(vector, member, bytes, sizeof bytes);
}

static void quality_reports_come_from_statistics_as_in_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("quality_report"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "from_path_stats"), index, vector)
    {
        double loss_pct = json_number_value(vector_member(vector, "loss_pct"));
        struct wzp_quality_report report =
            wzp_quality_from_stats((uint32_t)(loss_pct * 1000 + 0.5), vector_number(vector, "rtt_ms"),
                                   vector_number(vector, "jitter_ms"));
        expect_report(vector, "bytes", &report);
    }
    json_decref(root);
}

static void a_quality_trailer_is_read_and_written(void **state)
{
    (void)state;
    json_t *root = vector_load("quality_report");
    const json_t *raw = vector_member(root, "raw");
    struct vector_bytes trailer = vector_hex(raw, "hex");
    struct wzp_media_hdr hdr = { .has_report = true };
    uint8_t datagram[WZP_MEDIA_HEADER_BYTES + WZP_MEDIA_TRAILER_BYTES];
    struct wz_bytes payload;

    assert_int_equal(wzp_media_encode(&hdr, wz_bytes(NULL, 0), datagram, sizeof datagram), sizeof datagram);
    memcpy(datagram + WZP_MEDIA_HEADER_BYTES, trailer.data, trailer.len);
    assert_int_equal(wzp_media_decode(wz_bytes(datagram, sizeof datagram), &hdr, &payload), 0);
    assert_int_equal(hdr.report.loss, vector_number(raw, "loss_pct_byte"));
    assert_int_equal(hdr.report.rtt_4ms, vector_number(raw, "rtt_4ms"));
    assert_int_equal(hdr.report.jitter_ms, vector_number(raw, "jitter_ms"));
    assert_int_equal(hdr.report.bitrate_cap_kbps, vector_number(raw, "cap"));

    uint8_t again[sizeof datagram];
    assert_int_equal(wzp_media_encode(&hdr, payload, again, sizeof again), sizeof again);
    assert_memory_equal(again, datagram, sizeof again);
    json_decref(root);
}

static void rooms_hash_to_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("room_hash"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "vectors"), index, vector)
    {
        const char *room = vector_text(vector, "room");
        char text[WZP_ROOM_HASH_TEXT];
        uint8_t tag[WZP_ROOM_FEDERATION_HASH_BYTES];
        assert_int_equal(wzp_room_hash(room, text), 0);
        assert_string_equal(text, vector_text(vector, "sni_hash"));
        wzp_room_federation_hash(room, tag);
        vector_expect_hex(vector, "federation_hash8_of_raw_name", tag, sizeof tag);
    }
    json_decref(root);
}

static void roles_follow_the_vectors_and_mirror(void **state)
{
    (void)state;
    static const enum wzp_role mirror[] = {
        [WZP_ROLE_NONE] = WZP_ROLE_NONE,
        [WZP_ROLE_ACCEPTOR] = WZP_ROLE_DIALER,
        [WZP_ROLE_DIALER] = WZP_ROLE_ACCEPTOR,
    };
    json_t *root = vector_load("p2p_role"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "vectors"), index, vector)
    {
        const char *own = vector_text(vector, "own"), *peer = vector_text(vector, "peer");
        enum wzp_role role = wzp_candidates_role(own, peer);
        assert_string_equal(wzp_role_name(role), vector_text(vector, "role"));
        assert_int_equal(wzp_candidates_role(peer, own), mirror[role]);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quality_reports_come_from_statistics_as_in_the_vectors),
        cmocka_unit_test(a_quality_trailer_is_read_and_written),
        cmocka_unit_test(rooms_hash_to_the_vectors),
        cmocka_unit_test(roles_follow_the_vectors_and_mirror),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
