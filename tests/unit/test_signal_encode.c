#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "tests/support/signal_equal.h"
#include "wzp/core/frame.h"
#include "wzp/core/signal.h"
#include "wzp/core/signal_json.h"

#define GOOD  "{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per_block\":5}"
#define K32   "[9,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,254,255]"
#define Z32   "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"
#define S16   "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"
#define SIG64 "[" S16 "," S16 "," S16 "," S16 "]"
#define FP    "6871:1211:0e91:ecb3:09f6:6f51:d257:ccaa"

/** Every kind in the reference's spelling and field order; every optional field once present and once not. */
static const struct {
    enum wzp_signal_kind kind;
    const char *json;
} catalogue[] = {
    { WZP_SIG_AUTH_TOKEN, "{\"AuthToken\":{\"token\":\"eyJ...\"}}" },
    { WZP_SIG_REGISTER_PRESENCE,
      "{\"RegisterPresence\":{\"identity_pub\":" K32 ",\"signature\":[],\"alias\":null}}" },
    { WZP_SIG_REGISTER_PRESENCE,
      "{\"RegisterPresence\":{\"identity_pub\":" Z32 ",\"signature\":" SIG64 ",\"alias\":\"Swift Wolf\"}}" },
    { WZP_SIG_REGISTER_PRESENCE_ACK,
      "{\"RegisterPresenceAck\":{\"success\":true,\"relay_build\":\"9377a90\"}}" },
    { WZP_SIG_REGISTER_PRESENCE_ACK, "{\"RegisterPresenceAck\":{\"success\":false,\"error\":\"full\"}}" },
    { WZP_SIG_PING, "{\"Ping\":{\"timestamp_ms\":1744300000000}}" },
    { WZP_SIG_PONG, "{\"Pong\":{\"timestamp_ms\":9223372036854775807}}" },
    { WZP_SIG_REFLECT, "\"Reflect\"" },
    { WZP_SIG_REFLECT_RESPONSE, "{\"ReflectResponse\":{\"observed_addr\":\"192.0.2.17:4433\"}}" },
    { WZP_SIG_DIRECT_CALL_OFFER,
      "{\"DirectCallOffer\":{\"caller_fingerprint\":\"" FP
      "\",\"caller_alias\":null,\"target_fingerprint\":\"" FP "\",\"call_id\":\"c\",\"identity_pub\":" K32
      ",\"ephemeral_pub\":" Z32 ",\"signature\":[],\"supported_profiles\":[]}}" },
    { WZP_SIG_DIRECT_CALL_OFFER,
      "{\"DirectCallOffer\":{\"caller_fingerprint\":\"" FP
      "\",\"caller_alias\":\"A\",\"target_fingerprint\":\"" FP "\",\"call_id\":\"c\",\"identity_pub\":" K32
      ",\"ephemeral_pub\":" K32 ",\"signature\":" SIG64 ",\"supported_profiles\":[" GOOD "," GOOD
      "],\"caller_reflexive_addr\":\"203.0.113.5:40001\","
      "\"caller_local_addrs\":[\"192.168.1.10:40001\",\"[fd00::1]:5\"],\"caller_build_version\":\"9377a90\","
      "\"dialled_number\":\"+4930123\"}}" },
    { WZP_SIG_DIRECT_CALL_ANSWER, "{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":\"Reject\"}}" },
    { WZP_SIG_DIRECT_CALL_ANSWER,
      "{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":\"AcceptGeneric\",\"identity_pub\":" K32
      ",\"chosen_profile\":" GOOD "}}" },
    { WZP_SIG_DIRECT_CALL_ANSWER,
      "{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":\"AcceptTrusted\",\"identity_pub\":" K32
      ",\"ephemeral_pub\":" Z32 ",\"signature\":" SIG64 ",\"chosen_profile\":" GOOD
      ",\"callee_reflexive_addr\":\"198.51.100.9:40002\",\"callee_local_addrs\":[\"192.168.7.2:40002\"],"
      "\"callee_build_version\":\"9377a90\"}}" },
    { WZP_SIG_CALL_RINGING, "{\"CallRinging\":{\"call_id\":\"c\"}}" },
    { WZP_SIG_CALL_SETUP,
      "{\"CallSetup\":{\"call_id\":\"c\",\"room\":\"call-c\",\"relay_addr\":\"198.51.100.1:4433\"}}" },
    { WZP_SIG_CALL_SETUP,
      "{\"CallSetup\":{\"call_id\":\"c\",\"room\":\"call-c\",\"relay_addr\":\"198.51.100.1:4433\","
      "\"peer_direct_addr\":\"203.0.113.5:40001\",\"peer_local_addrs\":[\"192.168.1.10:40001\"]}}" },
    { WZP_SIG_MEDIA_PATH_REPORT,
      "{\"MediaPathReport\":{\"call_id\":\"c\",\"direct_ok\":true,\"race_winner\":\"Direct\"}}" },
    { WZP_SIG_MEDIA_PATH_REPORT,
      "{\"MediaPathReport\":{\"call_id\":\"c\",\"direct_ok\":false,\"race_winner\":\"\"}}" },
    { WZP_SIG_HANGUP, "{\"Hangup\":{\"reason\":\"Normal\"}}" },
    { WZP_SIG_HANGUP, "{\"Hangup\":{\"reason\":\"Busy\",\"call_id\":\"c\"}}" },
    { WZP_SIG_HANGUP, "{\"Hangup\":{\"reason\":\"Declined\"}}" },
    { WZP_SIG_HANGUP, "{\"Hangup\":{\"reason\":\"Timeout\"}}" },
    { WZP_SIG_HANGUP, "{\"Hangup\":{\"reason\":\"Error\"}}" },
    { WZP_SIG_CALL_OFFER,
      "{\"CallOffer\":{\"identity_pub\":" K32 ",\"ephemeral_pub\":" K32 ",\"signature\":" SIG64
      ",\"supported_profiles\":[{\"codec\":\"Codec2_1200\",\"fec_ratio\":1.0,\"frame_duration_ms\":40,"
      "\"frames_per_block\":8}],\"alias\":\"Swift Wolf\"}}" },
    { WZP_SIG_CALL_ANSWER, "{\"CallAnswer\":{\"identity_pub\":" K32 ",\"ephemeral_pub\":" K32
                           ",\"signature\":" SIG64 ",\"chosen_profile\":" GOOD "}}" },
    { WZP_SIG_ROOM_UPDATE,
      "{\"RoomUpdate\":{\"count\":2,\"participants\":[{\"fingerprint\":\"" FP "\",\"alias\":\"Swift Wolf\","
      "\"relay_label\":null},{\"fingerprint\":\"" FP "\",\"alias\":null,\"relay_label\":\"Relay B\"}]}}" },
    { WZP_SIG_ROOM_UPDATE, "{\"RoomUpdate\":{\"count\":0,\"participants\":[]}}" },
    { WZP_SIG_QUALITY_DIRECTIVE,
      "{\"QualityDirective\":{\"recommended_profile\":" GOOD ",\"reason\":\"weakest link: Degraded\"}}" },
    { WZP_SIG_QUALITY_DIRECTIVE, "{\"QualityDirective\":{\"recommended_profile\":" GOOD "}}" },
    { WZP_SIG_QUALITY_UPDATE, "{\"QualityUpdate\":{\"report\":{\"loss_pct\":12,\"rtt_4ms\":20,\"jitter_ms\":"
                              "3,\"bitrate_cap_kbps\":200},"
                              "\"recommended_profile\":" GOOD "}}" },
    { WZP_SIG_LOSS_RECOVERY_UPDATE, "{\"LossRecoveryUpdate\":{\"dred_reconstructions\":3,\"classical_plc_"
                                    "invocations\":1,\"frames_decoded\":900}}" },
    { WZP_SIG_REKEY, "{\"Rekey\":{\"new_ephemeral_pub\":" K32 ",\"signature\":" SIG64 "}}" },
    { WZP_SIG_ICE_CANDIDATE, "{\"IceCandidate\":{\"candidate\":\"192.0.2.1:4433\"}}" },
    { WZP_SIG_HOLD, "\"Hold\"" },
    { WZP_SIG_UNHOLD, "\"Unhold\"" },
    { WZP_SIG_MUTE, "\"Mute\"" },
    { WZP_SIG_UNMUTE, "\"Unmute\"" },
    { WZP_SIG_TRANSFER, "{\"Transfer\":{\"target_fingerprint\":\"" FP "\",\"relay_addr\":null}}" },
    { WZP_SIG_TRANSFER_ACK, "\"TransferAck\"" },
    { WZP_SIG_FEDERATION_HELLO, "{\"FederationHello\":{\"tls_fingerprint\":\"0c:62\"}}" },
    { WZP_SIG_GLOBAL_ROOM_ACTIVE,
      "{\"GlobalRoomActive\":{\"room\":\"general\",\"participants\":[{\"fingerprint\":\"" FP
      "\",\"alias\":null,\"relay_label\":null}]}}" },
    { WZP_SIG_GLOBAL_ROOM_INACTIVE, "{\"GlobalRoomInactive\":{\"room\":\"general\"}}" },
    { WZP_SIG_FEDERATED_SIGNAL_FORWARD, "{\"FederatedSignalForward\":{\"inner\":{\"CallRinging\":{\"call_"
                                        "id\":\"c\"}},\"origin_relay_fp\":\"0c:62\"}}" },
    { WZP_SIG_FEDERATED_SIGNAL_FORWARD,
      "{\"FederatedSignalForward\":{\"inner\":\"Reflect\",\"origin_relay_fp\":\"0c:62\"}}" },
    { WZP_SIG_PRESENCE_UPDATE,
      "{\"PresenceUpdate\":{\"fingerprints\":[\"" FP "\",\"x\"],\"relay_addr\":\"10.0.0.1:4433\"}}" },
    { WZP_SIG_PRESENCE_UPDATE,
      "{\"PresenceUpdate\":{\"fingerprints\":[],\"relay_addr\":\"10.0.0.1:4433\"}}" },
    { WZP_SIG_ROUTE_QUERY, "{\"RouteQuery\":{\"fingerprint\":\"" FP "\",\"ttl\":3}}" },
    { WZP_SIG_ROUTE_RESPONSE,
      "{\"RouteResponse\":{\"fingerprint\":\"" FP "\",\"found\":true,\"relay_chain\":[\"10.0.0.1:4433\"]}}" },
    { WZP_SIG_SESSION_FORWARD, "{\"SessionForward\":{\"session_id\":\"s1\",\"target_fingerprint\":\"" FP
                               "\",\"source_relay\":\"r\"}}" },
    { WZP_SIG_SESSION_FORWARD_ACK,
      "{\"SessionForwardAck\":{\"session_id\":\"s1\",\"room_name\":\"relay-s1\"}}" },
    { WZP_SIG_DIRECT_HELLO,
      "{\"DirectHello\":{\"call_id\":\"c\",\"identity_pub\":" K32 ",\"signature\":" SIG64 "}}" },
};
#define CATALOGUE_COUNT (sizeof catalogue / sizeof *catalogue)

static void decode(const char *json, struct wzp_signal *ret)
{
    int err = wzp_signal_decode(wz_bytes_str(json), ret);
    if (err)
        fail_msg("%d for %.200s", err, json);
}

static void expect_encoded(const struct wzp_signal *sig, const char *json)
{
    char *text;
    size_t len;
    assert_int_equal(wzp_signal_encode(sig, &text, &len), 0);
    assert_string_equal(text, json);
    assert_int_equal(len, strlen(json));
    free(text);
}

static void expect_encode_fails(const struct wzp_signal *sig, int want)
{
    char *text = NULL;
    size_t len = 7;
    assert_int_equal(wzp_signal_encode(sig, &text, &len), want);
    assert_null(text);
    assert_int_equal(len, 7);
}

static char *copy(const char *text)
{
    char *ret = strdup(text);
    assert_non_null(ret);
    return ret;
}

static void every_kind_is_written_as_the_reference_writes_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < CATALOGUE_COUNT; i++) {
        struct wzp_signal sig;
        decode(catalogue[i].json, &sig);
        assert_int_equal(sig.kind, catalogue[i].kind);
        expect_encoded(&sig, catalogue[i].json);
        wzp_signal_done(&sig);
    }
}

static void the_catalogue_covers_every_kind(void **state)
{
    (void)state;
    for (unsigned kind = WZP_SIG_UNKNOWN + 1; kind < WZP_SIG_KIND_COUNT; kind++) {
        const char *name = wzp_signal_kind_name((enum wzp_signal_kind)kind);
        bool found = false;
        for (size_t i = 0; i < CATALOGUE_COUNT; i++)
            if (catalogue[i].kind == kind)
                found = strstr(catalogue[i].json, name) != NULL;
        if (!found)
            fail_msg("%s is not in the catalogue", name);
    }
    assert_int_equal(WZP_SIG_KIND_COUNT - 1, 37);
}

static void whatever_the_input_order_the_output_is_in_declaration_order(void **state)
{
    (void)state;
    struct wzp_signal sig;
    decode(" { \"Hangup\" : { \"call_id\" : \"c\" , \"reason\" : \"Busy\" } } ", &sig);
    expect_encoded(&sig, "{\"Hangup\":{\"reason\":\"Busy\",\"call_id\":\"c\"}}");
    wzp_signal_done(&sig);
}

static void unknown_fields_survive_behind_the_known_ones(void **state)
{
    (void)state;
    struct wzp_signal sig;
    decode("{\"CallRinging\":{\"x\":{\"b\":[1,2.5,null,true,\"\\u00e9\\n\"],\"a\":{}},\"call_id\":\"c\","
           "\"y\":-7}}",
           &sig);
    expect_encoded(&sig, "{\"CallRinging\":{\"call_id\":\"c\",\"x\":{\"b\":[1,2.5,null,true,\"\xc3\xa9\\n\"],"
                         "\"a\":{}},\"y\":-7}}");
    wzp_signal_done(&sig);
}

static void changed_and_cleared_fields_replace_those_of_the_origin(void **state)
{
    (void)state;
    struct wzp_signal sig;
    decode("{\"CallSetup\":{\"call_id\":\"c\",\"room\":\"r\",\"relay_addr\":\"a\",\"peer_direct_addr\":\"p\","
           "\"peer_local_addrs\":[\"l\"],\"new\":1}}",
           &sig);
    assert_int_equal(wzp_signal_set_text(&sig.setup.relay_addr, "192.0.2.1:4433"), 0);
    assert_int_equal(wzp_signal_set_text(&sig.setup.peer_direct_addr, NULL), 0);
    free(sig.setup.peer_local_addrs.text[0]);
    sig.setup.peer_local_addrs.count = 0;
    expect_encoded(
        &sig,
        "{\"CallSetup\":{\"call_id\":\"c\",\"room\":\"r\",\"relay_addr\":\"192.0.2.1:4433\",\"new\":1}}");
    wzp_signal_done(&sig);
}

static void unknown_fields_inside_lists_survive_while_the_length_stays(void **state)
{
    (void)state;
    struct wzp_signal sig;
    decode("{\"RoomUpdate\":{\"count\":2,\"participants\":[{\"fingerprint\":\"a\",\"mic\":\"on\"},{"
           "\"fingerprint\":\"b\"}]}}",
           &sig);
    expect_encoded(&sig,
                   "{\"RoomUpdate\":{\"count\":2,\"participants\":[{\"fingerprint\":\"a\",\"alias\":null,"
                   "\"relay_label\":null,\"mic\":\"on\"},{\"fingerprint\":\"b\",\"alias\":null,\"relay_"
                   "label\":null}]}}");
    /* Without the first participant its extra field must not move to the second. */
    free(sig.room_update.participant[0].fingerprint);
    sig.room_update.participant[0] = sig.room_update.participant[1];
    sig.room_update.participant_count = sig.room_update.count = 1;
    expect_encoded(&sig,
                   "{\"RoomUpdate\":{\"count\":1,\"participants\":[{\"fingerprint\":\"b\",\"alias\":null,"
                   "\"relay_label\":null}]}}");
    wzp_signal_done(&sig);
}

static void an_odd_signature_is_forwarded_as_it_came(void **state)
{
    (void)state;
    static const char json[] = "{\"Rekey\":{\"new_ephemeral_pub\":" K32 ",\"signature\":[1,2,3]}}";
    struct wzp_signal sig;
    decode(json, &sig);
    expect_encoded(&sig, json);
    wzp_signal_done(&sig);
}

static void text_is_escaped_as_the_reference_escapes_it(void **state)
{
    (void)state;
    struct wzp_signal sig = { .kind = WZP_SIG_CALL_RINGING }, again;
    sig.ringing.call_id = copy("\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa9 \xf0\x9f\x98\x80");
    expect_encoded(&sig, "{\"CallRinging\":{\"call_id\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f "
                         "\xc3\xa9 \xf0\x9f\x98\x80\"}}");

    char *json;
    size_t len;
    assert_int_equal(wzp_signal_encode(&sig, &json, &len), 0);
    decode(json, &again);
    assert_true(signal_equal(&sig, &again));
    free(json);
    wzp_signal_done(&sig);
    wzp_signal_done(&again);
}

static void what_a_reader_would_refuse_is_not_written(void **state)
{
    (void)state;
    struct wzp_signal unknown = { .kind = WZP_SIG_UNKNOWN }, no_text = { .kind = WZP_SIG_CALL_RINGING };
    struct wzp_signal not_utf8 = { .kind = WZP_SIG_CALL_RINGING },
                      no_inner = { .kind = WZP_SIG_FEDERATED_SIGNAL_FORWARD };
    struct wzp_signal codec = { .kind = WZP_SIG_QUALITY_DIRECTIVE }, reason = { .kind = WZP_SIG_HANGUP };
    struct wzp_signal mode = { .kind = WZP_SIG_DIRECT_CALL_ANSWER },
                      profiles = { .kind = WZP_SIG_CALL_OFFER };

    expect_encode_fails(&unknown, -EINVAL);
    expect_encode_fails(&no_text, -EINVAL);
    not_utf8.ringing.call_id = copy("\xff");
    expect_encode_fails(&not_utf8, -EINVAL);
    wzp_signal_done(&not_utf8);
    no_inner.federated.origin_relay_fp = copy("x");
    expect_encode_fails(&no_inner, -EINVAL);
    wzp_signal_done(&no_inner);
    codec.quality_directive.recommended_profile.codec = WZP_CODEC_COUNT;
    expect_encode_fails(&codec, -EINVAL);
    reason.hangup.reason = (enum wzp_hangup_reason)(WZP_HANGUP_ERROR + 1);
    expect_encode_fails(&reason, -EINVAL);
    mode.answer.call_id = copy("c");
    mode.answer.accept_mode = (enum wzp_accept_mode)(WZP_ACCEPT_GENERIC + 1);
    expect_encode_fails(&mode, -EINVAL);
    mode.answer.accept_mode = WZP_ACCEPT_GENERIC;
    mode.answer.keys.signature_len = 63;
    expect_encode_fails(&mode, -EINVAL);
    wzp_signal_done(&mode);
    profiles.call_offer.profile_count = WZP_SIGNAL_MAX_PROFILES + 1;
    expect_encode_fails(&profiles, -EINVAL);
}

static void fec_ratios_out_of_range_are_not_written(void **state)
{
    (void)state;
    const float bad[] = { -0.1f, 16.5f, NAN, INFINITY };
    struct wzp_signal sig = { .kind = WZP_SIG_QUALITY_DIRECTIVE };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sig.quality_directive.recommended_profile.fec_ratio = bad[i];
        expect_encode_fails(&sig, -EINVAL);
    }
    sig.quality_directive.recommended_profile.fec_ratio = -0.0f;
    expect_encoded(&sig,
                   "{\"QualityDirective\":{\"recommended_profile\":{\"codec\":\"Opus24k\",\"fec_ratio\":0.0,"
                   "\"frame_duration_ms\":0,\"frames_per_block\":0}}}");
}

static void a_text_over_its_limit_is_not_written(void **state)
{
    (void)state;
    struct wzp_signal sig = { .kind = WZP_SIG_CALL_RINGING };
    char *json;
    size_t len;

    sig.ringing.call_id = calloc(1, WZP_SIGNAL_MAX_TEXT + 2);
    assert_non_null(sig.ringing.call_id);
    memset(sig.ringing.call_id, 'x', WZP_SIGNAL_MAX_TEXT);
    assert_int_equal(wzp_signal_encode(&sig, &json, &len), 0);
    free(json);
    sig.ringing.call_id[WZP_SIGNAL_MAX_TEXT] = 'x';
    expect_encode_fails(&sig, -EINVAL);
    wzp_signal_done(&sig);
}

static void a_message_over_the_frame_limit_is_not_written(void **state)
{
    (void)state;
    struct wzp_signal sig = { .kind = WZP_SIG_PRESENCE_UPDATE };
    size_t count = WZP_SIGNAL_MAX_BYTES / WZP_SIGNAL_MAX_TEXT;

    sig.presence.relay_addr = copy("r");
    sig.presence.fingerprint = calloc(count, sizeof *sig.presence.fingerprint);
    assert_non_null(sig.presence.fingerprint);
    sig.presence.fingerprint_count = count;
    for (size_t i = 0; i < count; i++) {
        sig.presence.fingerprint[i] = calloc(1, WZP_SIGNAL_MAX_TEXT + 1);
        assert_non_null(sig.presence.fingerprint[i]);
        memset(sig.presence.fingerprint[i], 'f', WZP_SIGNAL_MAX_TEXT);
    }
    expect_encode_fails(&sig, -EMSGSIZE);
    wzp_signal_done(&sig);
}

static void expect_ratio_text(float value, const char *want)
{
    struct wzp_json_out out = { 0 };
    wzp_json_float(&out, value);
    assert_int_equal(out.err, 0);
    if (out.len != strlen(want) || memcmp(out.text, want, out.len) != 0)
        fail_msg("%.*s instead of %s", (int)out.len, out.text, want);
    wzp_json_done(&out);
}

static void floats_print_shortest_with_a_decimal(void **state)
{
    (void)state;
    expect_ratio_text(0.0f, "0.0");
    expect_ratio_text(-0.5f, "-0.5");
    expect_ratio_text(1.0f, "1.0");
    expect_ratio_text(0.1f, "0.1");
    expect_ratio_text(0.2f, "0.2");
    expect_ratio_text(0.3f, "0.3");
    expect_ratio_text(2.0f, "2.0");
    expect_ratio_text(10.0f, "10.0");
    expect_ratio_text(1.0f / 3.0f, "0.33333334");
    expect_ratio_text(16777216.0f, "16777216.0");
    expect_ratio_text(12.375f, "12.375");
    expect_ratio_text(1e-6f, "0.000001");
    expect_ratio_text(1e-7f, "1e-7");
    expect_ratio_text(1e12f, "1000000000000.0");
    expect_ratio_text(1e13f, "1e13");
    expect_ratio_text(FLT_MAX, "3.4028235e38");
    expect_ratio_text(1.1754944e-38f, "1.1754944e-38");
}

static void the_first_error_of_a_writer_sticks(void **state)
{
    (void)state;
    struct wzp_json_out out = { 0 };
    wzp_json_float(&out, NAN);
    wzp_json_string(&out, "more");
    wzp_json_fail(&out, -ENOMEM);
    assert_int_equal(out.err, -EINVAL);
    assert_int_equal(out.len, 0);
    wzp_json_done(&out);
}

static void utf8_is_checked_strictly(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"
    };
    static const char *const bad[] = { "\x80",
                                       "\xc1\xbf",
                                       "\xc3",
                                       "\xc3(",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf8\x88\x80\x80\x80",
                                       "\xe2\x82" };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(wzp_utf8_is_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(wzp_utf8_is_valid(bad[i], strlen(bad[i])));
}

static void names_of_enumerations_are_those_of_the_wire(void **state)
{
    (void)state;
    assert_string_equal(wzp_hangup_reason_name(WZP_HANGUP_DECLINED), "Declined");
    assert_string_equal(wzp_accept_mode_name(WZP_ACCEPT_GENERIC), "AcceptGeneric");
    assert_string_equal(wzp_signal_kind_name(WZP_SIG_CALL_SETUP), "CallSetup");
    assert_string_equal(wzp_signal_kind_name(WZP_SIG_KIND_COUNT), "unknown");
    assert_string_equal(wzp_hangup_reason_name((enum wzp_hangup_reason)99), "unknown");
    assert_string_equal(wzp_accept_mode_name((enum wzp_accept_mode)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_written_as_the_reference_writes_it),
        cmocka_unit_test(the_catalogue_covers_every_kind),
        cmocka_unit_test(whatever_the_input_order_the_output_is_in_declaration_order),
        cmocka_unit_test(unknown_fields_survive_behind_the_known_ones),
        cmocka_unit_test(changed_and_cleared_fields_replace_those_of_the_origin),
        cmocka_unit_test(unknown_fields_inside_lists_survive_while_the_length_stays),
        cmocka_unit_test(an_odd_signature_is_forwarded_as_it_came),
        cmocka_unit_test(text_is_escaped_as_the_reference_escapes_it),
        cmocka_unit_test(what_a_reader_would_refuse_is_not_written),
        cmocka_unit_test(fec_ratios_out_of_range_are_not_written),
        cmocka_unit_test(a_text_over_its_limit_is_not_written),
        cmocka_unit_test(a_message_over_the_frame_limit_is_not_written),
        cmocka_unit_test(floats_print_shortest_with_a_decimal),
        cmocka_unit_test(the_first_error_of_a_writer_sticks),
        cmocka_unit_test(utf8_is_checked_strictly),
        cmocka_unit_test(names_of_enumerations_are_those_of_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
