/* Datagrams of the reference's encoder as its relay forwarded them: headers, trailers, Codec2 blocks with their repair
 * packets, Opus with DRED (docs/interop.md "Captured"). */
#include "tests/vectors/vectors.h"

#include "gateway/media/codec_opus.h"
#include "wzp/core/fec.h"
#include "wzp/core/media.h"

#define BLOCK_MAX      16
#define OPUS_RATE_HZ   48000
#define SAMPLES_PER_MS (OPUS_RATE_HZ / 1000)
/** Loudest sample of the captured speech at least; noise and silence stay far below. */
#define AUDIBLE 1000

struct packet {
    struct vector_bytes bytes;
    struct wzp_media_hdr hdr;
    struct wz_bytes payload; /**< into bytes */
};

static void decode(struct packet *packet, const json_t *hex)
{
    packet->bytes = vector_hex_text(json_string_value(hex));
    assert_int_equal(wzp_media_decode(vector_view(&packet->bytes), &packet->hdr, &packet->payload), 0);
}

static void captured_datagrams_are_read_and_come_out_as_they_were(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_media"), *vector;
    size_t index;
    unsigned with_report = 0;

    json_array_foreach (vector_list(root, "packets"), index, vector) {
        struct packet packet;
        const json_t *report = json_object_get(vector, "report");
        uint8_t again[WZP_MEDIA_DATAGRAM_MAX];
        decode(&packet, vector_member(vector, "datagram"));
        assert_string_equal(wzp_codec_name(packet.hdr.codec), vector_text(vector, "codec"));
        assert_int_equal(packet.hdr.is_repair, json_is_true(vector_member(vector, "is_repair")));
        assert_int_equal(packet.hdr.fec_ratio, vector_number(vector, "fec_ratio"));
        assert_int_equal(packet.hdr.seq, vector_number(vector, "seq"));
        assert_int_equal(packet.hdr.timestamp_ms, vector_number(vector, "timestamp"));
        assert_int_equal(packet.hdr.fec_block, vector_number(vector, "fec_block"));
        assert_int_equal(packet.hdr.fec_symbol, vector_number(vector, "fec_symbol"));
        assert_int_equal(packet.payload.len, vector_number(vector, "payload_bytes"));
        assert_int_equal(packet.hdr.has_report, report != NULL);
        if (report) {
            assert_int_equal(packet.hdr.report.loss, vector_number(report, "loss"));
            assert_int_equal(packet.hdr.report.rtt_4ms, vector_number(report, "rtt_4ms"));
            assert_int_equal(packet.hdr.report.jitter_ms, vector_number(report, "jitter_ms"));
            assert_int_equal(packet.hdr.report.bitrate_cap_kbps, vector_number(report, "bitrate_cap_kbps"));
            with_report++;
        }
        assert_int_equal(wzp_media_encode(&packet.hdr, packet.payload, again, sizeof again), packet.bytes.len);
        assert_memory_equal(again, packet.bytes.data, packet.bytes.len);
    }
    assert_true(with_report >= 6);
    json_decref(root);
}

/** All packets of a captured block: K sources, then R repairs. */
static unsigned load_block(const json_t *vector, struct packet ret[static BLOCK_MAX], unsigned *ret_k)
{
    json_t *list = vector_list(vector, "datagrams");
    unsigned count = (unsigned)json_array_size(list);

    *ret_k = vector_number(vector, "K");
    assert_true(count == *ret_k + vector_number(vector, "R") && count <= BLOCK_MAX);
    for (unsigned i = 0; i < count; i++) {
        decode(&ret[i], json_array_get(list, i));
        assert_int_equal(ret[i].hdr.is_repair, i >= *ret_k);
        assert_int_equal(ret[i].hdr.fec_symbol, i);
    }
    return count;
}

/** Plays the packets of the block that mask names; every frame that is missing must come back as it was. */
static bool is_repaired(const struct packet *block, unsigned k, unsigned count, unsigned mask)
{
    struct wzp_fec_decoder *decoder;
    struct wzp_fec_frame frame;
    unsigned missing = k, back = 0;

    assert_int_equal(wzp_fec_decoder_new(&decoder, k), 0);
    for (unsigned i = 0; i < count; i++) {
        const struct wzp_media_hdr *hdr = &block[i].hdr;
        if (!(mask >> i & 1))
            continue;
        if (hdr->is_repair)
            (void)wzp_fec_decoder_repair(decoder, hdr->fec_block, hdr->fec_symbol, block[i].payload, 0);
        else
            (void)wzp_fec_decoder_source(decoder, hdr->fec_block, hdr->fec_symbol, block[i].payload, 0);
        missing -= !hdr->is_repair;
    }
    while (wzp_fec_decoder_take(decoder, &frame)) {
        assert_true(frame.symbol < k && !(mask >> frame.symbol & 1));
        assert_int_equal(frame.block, block[0].hdr.fec_block);
        assert_int_equal(frame.len, block[frame.symbol].payload.len);
        assert_memory_equal(frame.data, block[frame.symbol].payload.data, frame.len);
        back++;
    }
    wzp_fec_decoder_free(decoder);
    return back == missing;
}

static void a_dropped_frame_comes_back_from_any_captured_repair_packet(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_media"), *vector;
    size_t index;

    json_array_foreach (vector_list(root, "blocks"), index, vector) {
        struct packet block[BLOCK_MAX];
        unsigned k, count = load_block(vector, block, &k);
        const unsigned sources = (1u << k) - 1;
        for (unsigned lost = 0; lost < k; lost++)
            for (unsigned repair = k; repair < count; repair++)
                assert_true(is_repaired(block, k, count, (sources & ~(1u << lost)) | 1u << repair));
    }
    json_decref(root);
}

/** Every way to lose as many packets as there are repair packets: what arrives, sources and repairs, is K. */
static void captured_blocks_survive_the_loss_of_as_many_packets_as_they_have_repairs(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_media"), *vector;
    size_t index;

    json_array_foreach (vector_list(root, "blocks"), index, vector) {
        struct packet block[BLOCK_MAX];
        unsigned k, count = load_block(vector, block, &k), tried = 0, failed = 0;
        for (unsigned mask = 0; mask < 1u << count; mask++) {
            if ((unsigned)__builtin_popcount(mask) != k)
                continue;
            tried++;
            failed += !is_repaired(block, k, count, mask);
        }
        /* The code is not perfect: K symbols do in all but about one case of a hundred. */
        assert_true(tried > 0 && failed * 50 <= tried);
    }
    json_decref(root);
}

static bool is_audible(const int16_t *pcm, int samples)
{
    for (int i = 0; i < samples; i++)
        if (pcm[i] > AUDIBLE || pcm[i] < -AUDIBLE)
            return true;
    return false;
}

static void captured_opus_plays(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_media"), *vector, *hex;
    size_t index, number;

    json_array_foreach (vector_list(root, "speech"), index, vector) {
        struct gw_opus_decoder *decoder;
        int16_t pcm[40 * SAMPLES_PER_MS];
        unsigned audible = 0;
        assert_int_equal(gw_opus_decoder_new(&decoder, OPUS_RATE_HZ), 0);
        json_array_foreach (vector_list(vector, "datagrams"), number, hex) {
            struct packet packet;
            decode(&packet, hex);
            int samples = gw_opus_decode(decoder, packet.payload, pcm, sizeof pcm / sizeof *pcm);
            assert_int_equal(samples, wzp_codec_frame_ms(packet.hdr.codec) * SAMPLES_PER_MS);
            audible += is_audible(pcm, samples);
        }
        assert_true(audible > json_array_size(vector_list(vector, "datagrams")) / 2);
        gw_opus_decoder_free(decoder);
    }
    json_decref(root);
}

/** Where libopus has DRED, each packet of the reference brings back lost ones before it; elsewhere that is refused. */
static void captured_dred_brings_back_what_was_lost_before_it(void **state)
{
    (void)state;
    const size_t lost = 3; /* frames */
    json_t *root = vector_load("reference_media");
    const json_t *speech = json_array_get(vector_list(root, "speech"), 0);
    json_t *list = vector_list(speech, "datagrams");
    const size_t frame = 20 * SAMPLES_PER_MS, next = json_array_size(list) - 1;
    struct gw_opus_decoder *decoder;
    struct packet packet;
    int16_t pcm[20 * SAMPLES_PER_MS];
    bool is_dred = false;

    assert_string_equal(vector_text(speech, "codec"), "Opus24k");
    assert_int_equal(gw_opus_decoder_new(&decoder, OPUS_RATE_HZ), 0);
    for (size_t i = 0; i + lost < next; i++) {
        decode(&packet, json_array_get(list, i));
        assert_int_equal(gw_opus_decode(decoder, packet.payload, pcm, frame), frame);
    }
    decode(&packet, json_array_get(list, next));
    for (size_t ahead = lost; ahead > 1; ahead--) {
        int samples = gw_opus_rebuild(decoder, packet.payload, ahead * frame, pcm, frame, &is_dred);
        assert_int_equal(samples > 0, gw_opus_has_dred());
        assert_int_equal(is_dred, gw_opus_has_dred());
    }
    gw_opus_decoder_free(decoder);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_datagrams_are_read_and_come_out_as_they_were),
        cmocka_unit_test(a_dropped_frame_comes_back_from_any_captured_repair_packet),
        cmocka_unit_test(captured_blocks_survive_the_loss_of_as_many_packets_as_they_have_repairs),
        cmocka_unit_test(captured_opus_plays),
        cmocka_unit_test(captured_dred_brings_back_what_was_lost_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
