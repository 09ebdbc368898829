#include "tests/vectors/vectors.h"

#include "wzp/core/frame.h"
#include "wzp/core/signal.h"

/** The message of a frame that arrives in pieces of `piece` bytes. */
static struct wzp_frame_in feed_in_pieces(struct wz_bytes frame, size_t piece)
{
    struct wzp_frame_in in = { 0 };

    for (size_t pos = 0; pos < frame.len;) {
        size_t len = frame.len - pos < piece ? frame.len - pos : piece;
        pos += len;
        assert_int_equal(wzp_frame_feed(&in, wz_bytes(frame.data + pos - len, len)), pos == frame.len);
    }
    return in;
}

static void frames_give_the_json_in_whatever_pieces_they_arrive(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 3, 4, 5, 1000, VECTOR_BYTES_MAX };
    json_t *root = vector_load("signal_frames"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "frames"), index, vector)
    {
        struct vector_bytes frame = vector_hex(vector, "frame_hex");
        const char *json = vector_text(vector, "json");
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            struct wzp_frame_in in = feed_in_pieces(vector_view(&frame), pieces[i]);
            assert_int_equal(in.body_len, strlen(json));
            assert_memory_equal(in.body, json, in.body_len);
            wzp_frame_done(&in);
        }
    }
    json_decref(root);
}

/** What the encoder makes of sig is the vector's frame. */
static void expect_frame(const json_t *vector, const struct wzp_signal *sig)
{
    uint8_t frame[VECTOR_BYTES_MAX];
    char *json;
    size_t len;

    assert_int_equal(wzp_signal_encode(sig, &json, &len), 0);
    assert_string_equal(json, vector_text(vector, "json"));
    assert_true(WZP_FRAME_PREFIX_BYTES + len <= sizeof frame);
    assert_int_equal(wzp_frame_prefix(len, frame), 0);
    memcpy(frame + WZP_FRAME_PREFIX_BYTES, json, len);
    vector_expect_hex(vector, "frame_hex", frame, WZP_FRAME_PREFIX_BYTES + len);
    free(json);
}

static void decoding_and_encoding_reproduces_the_frames(void **state)
{
    (void)state;
    json_t *root = vector_load("signal_frames"), *vector;
    size_t index;

    json_array_foreach(vector_list(root, "frames"), index, vector)
    {
        struct wzp_signal sig;
        assert_int_equal(wzp_signal_decode(wz_bytes_str(vector_text(vector, "json")), &sig), 0);
        assert_int_not_equal(sig.kind, WZP_SIG_UNKNOWN);
        expect_frame(vector, &sig);
        wzp_signal_done(&sig);
    }
    json_decref(root);
}

static char *copy(const char *text)
{
    char *ret = strdup(text);
    assert_non_null(ret);
    return ret;
}

static const json_t *frame_of(const json_t *root, const char *start)
{
    const json_t *vector;
    size_t index;

    json_array_foreach(vector_list(root, "frames"), index,
                       vector) if (strncmp(vector_text(vector, "json"), start, strlen(start)) ==
                                   0) return vector;
    fail_msg("no frame starts with %s", start);
    return NULL;
}

/* The following build the message by hand, so that the bytes do not come from a decoded origin. */

static void a_hand_made_offer_encodes_to_the_vector(void **state)
{
    (void)state;
    json_t *root = vector_load("signal_frames");
    struct wzp_signal sig = { .kind = WZP_SIG_DIRECT_CALL_OFFER };

    sig.offer.caller_fingerprint = copy("6871:1211:0e91:ecb3:09f6:6f51:d257:ccaa");
    sig.offer.target_fingerprint = copy("518e:b935:62fa:9e34:e59c:28b6:7fc2:d384");
    sig.offer.call_id = copy("18a5c2d3e4f50617");
    sig.offer.profile[sig.offer.profile_count++] = wzp_profile_good;
    sig.offer.caller_reflexive_addr = copy("203.0.113.5:40001");
    sig.offer.caller_local_addrs.text[sig.offer.caller_local_addrs.count++] = copy("192.168.1.10:40001");
    sig.offer.caller_build_version = copy("9377a90");
    expect_frame(frame_of(root, "{\"DirectCallOffer\""), &sig);
    wzp_signal_done(&sig);
    json_decref(root);
}

static void a_hand_made_answer_encodes_to_the_vector(void **state)
{
    (void)state;
    json_t *root = vector_load("signal_frames");
    struct wzp_signal sig = { .kind = WZP_SIG_DIRECT_CALL_ANSWER };

    sig.answer.call_id = copy("18a5c2d3e4f50617");
    sig.answer.accept_mode = WZP_ACCEPT_TRUSTED;
    sig.answer.has_profile = true;
    sig.answer.chosen_profile = wzp_profile_good;
    sig.answer.callee_reflexive_addr = copy("198.51.100.9:40002");
    sig.answer.callee_local_addrs.text[sig.answer.callee_local_addrs.count++] = copy("192.168.7.2:40002");
    expect_frame(frame_of(root, "{\"DirectCallAnswer\""), &sig);
    wzp_signal_done(&sig);
    json_decref(root);
}

static void hand_made_small_messages_encode_to_the_vectors(void **state)
{
    (void)state;
    json_t *root = vector_load("signal_frames");
    struct wzp_signal ping = { .kind = WZP_SIG_PING, .ping.timestamp_ms = 1744300000000 };
    struct wzp_signal reflect = { .kind = WZP_SIG_REFLECT };
    struct wzp_signal hangup = { .kind = WZP_SIG_HANGUP, .hangup.reason = WZP_HANGUP_NORMAL };
    struct wzp_signal directive = { .kind = WZP_SIG_QUALITY_DIRECTIVE };

    expect_frame(frame_of(root, "{\"Ping\""), &ping);
    expect_frame(frame_of(root, "\"Reflect\""), &reflect);
    expect_frame(frame_of(root, "{\"Hangup\":{\"reason\":\"Normal\"}}"), &hangup);
    directive.quality_directive.recommended_profile = wzp_profile_degraded;
    directive.quality_directive.reason = copy("weakest link: Degraded");
    expect_frame(frame_of(root, "{\"QualityDirective\""), &directive);
    wzp_signal_done(&directive);
    json_decref(root);
}

static void a_hand_made_federated_ringing_encodes_to_the_vector(void **state)
{
    (void)state;
    json_t *root = vector_load("signal_frames");
    struct wzp_signal sig = { .kind = WZP_SIG_FEDERATED_SIGNAL_FORWARD };

    sig.federated.inner = calloc(1, sizeof *sig.federated.inner);
    assert_non_null(sig.federated.inner);
    sig.federated.inner->kind = WZP_SIG_CALL_RINGING;
    sig.federated.inner->ringing.call_id = copy("18a5c2d3e4f50617");
    sig.federated.origin_relay_fp = copy(
        "0c:62:cf:b5:b9:e3:7c:77:ae:81:3d:9b:c3:5d:5c:ef:53:e1:2b:0a:bb:d8:e6:3b:4b:42:99:95:7d:6f:37:a9");
    expect_frame(frame_of(root, "{\"FederatedSignalForward\""), &sig);
    wzp_signal_done(&sig);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_give_the_json_in_whatever_pieces_they_arrive),
        cmocka_unit_test(decoding_and_encoding_reproduces_the_frames),
        cmocka_unit_test(a_hand_made_offer_encodes_to_the_vector),
        cmocka_unit_test(a_hand_made_answer_encodes_to_the_vector),
        cmocka_unit_test(hand_made_small_messages_encode_to_the_vectors),
        cmocka_unit_test(a_hand_made_federated_ringing_encodes_to_the_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
