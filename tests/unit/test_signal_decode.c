#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "wzp/core/frame.h"
#include "wzp/core/signal.h"

#define GOOD          "{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per_block\":5}"
#define ZEROS16       "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
#define ONES16        "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"
#define ZERO_KEY      "[" ZEROS16 "," ZEROS16 "]"
#define ONE_KEY       "[" ONES16 "," ONES16 "]"
#define ONE_SIGNATURE "[" ONES16 "," ONES16 "," ONES16 "," ONES16 "]"

static int decode(const char *json, struct wzp_signal *ret)
{
    return wzp_signal_decode(wz_bytes_str(json), ret);
}

static void expect_decoded(const char *json, struct wzp_signal *ret)
{
    int err = decode(json, ret);
    if (err)
        fail_msg("%d for %.200s", err, json);
}

/** Refused, and the output left as it was. */
static void expect_refused(const char *json)
{
    struct wzp_signal sig = { .kind = WZP_SIG_KIND_COUNT };
    int err = decode(json, &sig);
    if (err != -EBADMSG)
        fail_msg("%d for %.200s", err, json);
    assert_int_equal(sig.kind, WZP_SIG_KIND_COUNT);
}

/** A growing text, for messages at their limits. */
struct text {
    char *data;
    size_t len, size;
};

static void add(struct text *text, const char *more)
{
    size_t len = strlen(more);
    if (text->len + len >= text->size) {
        text->size = (text->len + len + 1) * 2;
        text->data = realloc(text->data, text->size);
        assert_non_null(text->data);
    }
    memcpy(text->data + text->len, more, len + 1);
    text->len += len;
}

/** before + item repeated count times with commas + after; freed by the caller. */
static char *repeat(const char *before, const char *item, size_t count, const char *after)
{
    struct text text = { 0 };
    add(&text, before);
    for (size_t i = 0; i < count; i++) {
        if (i)
            add(&text, ",");
        add(&text, item);
    }
    add(&text, after);
    return text.data;
}

static void expect_decoded_at_limit_only(const char *before, const char *item, size_t limit,
                                         const char *after)
{
    struct wzp_signal sig;
    char *at = repeat(before, item, limit, after), *past = repeat(before, item, limit + 1, after);
    expect_decoded(at, &sig);
    wzp_signal_done(&sig);
    expect_refused(past);
    free(at);
    free(past);
}

static void unit_variants_are_strings_or_objects_with_null(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum wzp_signal_kind kind;
    } units[] = {
        { "Reflect", WZP_SIG_REFLECT }, { "Hold", WZP_SIG_HOLD },     { "Unhold", WZP_SIG_UNHOLD },
        { "Mute", WZP_SIG_MUTE },       { "Unmute", WZP_SIG_UNMUTE }, { "TransferAck", WZP_SIG_TRANSFER_ACK },
    };

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        static const char *const shapes[] = { "\"%s\"", "{\"%s\":null}", " {\n\"%s\" : null }\n" };
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
            struct wzp_signal sig;
            char json[64], *pos = strchr(shapes[k], '%');
            (void)snprintf(json, sizeof json, "%.*s%s%s", (int)(pos - shapes[k]), shapes[k], units[i].name,
                           pos + 2);
            expect_decoded(json, &sig);
            assert_int_equal(sig.kind, units[i].kind);
            wzp_signal_done(&sig);
        }
    }
    expect_refused("{\"Reflect\":{}}");
    expect_refused("{\"Reflect\":false}");
    expect_refused("\"Hangup\"");
}

static void unknown_variants_are_named_not_refused(void **state)
{
    (void)state;
    static const char *const shapes[] = { "\"Teleport\"", "{\"Teleport\":null}",
                                          "{\"Teleport\":{\"where\":[1,2]}}" };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct wzp_signal sig;
        expect_decoded(shapes[i], &sig);
        assert_int_equal(sig.kind, WZP_SIG_UNKNOWN);
        assert_string_equal(sig.unknown.name, "Teleport");
        wzp_signal_done(&sig);
    }
}

static void the_kind_unknown_has_no_name_on_the_wire(void **state)
{
    (void)state;
    struct wzp_signal sig;
    expect_decoded("\"unknown\"", &sig);
    assert_int_equal(sig.kind, WZP_SIG_UNKNOWN);
    wzp_signal_done(&sig);
}

static void a_long_unknown_name_is_cut_between_characters(void **state)
{
    (void)state;
    struct wzp_signal sig;
    char json[128];

    /* 63 letters, then a character of two bytes across the limit of 64. */
    (void)snprintf(json, sizeof json, "\"%063d\xc3\xa9 and more\"", 0);
    expect_decoded(json, &sig);
    assert_int_equal(strlen(sig.unknown.name), 63);
    wzp_signal_done(&sig);
    (void)snprintf(json, sizeof json, "\"%062d\xc3\xa9 and more\"", 0);
    expect_decoded(json, &sig);
    assert_int_equal(strlen(sig.unknown.name), 64);
    wzp_signal_done(&sig);
}

static void what_is_no_message_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "null",
        "12",
        "true",
        "[]",
        "[\"Reflect\"]",
        "{}",
        "{\"Reflect\":null,\"Hold\":null}",
        "\"Reflect",
        "\"Reflect\" \"Reflect\"",
        "{\"Ping\":{\"timestamp_ms\":1}",
        "{\"Ping\":{\"timestamp_ms\":1}}x",
        "{\"Ping\":{\"timestamp_ms\":1,}}",
        "{\"Ping\":[1]}",
        "{\"Ping\":1}",
        "{Ping:{\"timestamp_ms\":1}}",
        "\"\\",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refused(bad[i]);
}

static void duplicate_fields_are_refused_known_or_not(void **state)
{
    (void)state;
    expect_refused("{\"Ping\":{\"timestamp_ms\":1,\"timestamp_ms\":1}}");
    expect_refused("{\"Ping\":{\"timestamp_ms\":1,\"x\":1,\"x\":2}}");
    expect_refused("{\"Ping\":{\"timestamp_ms\":1},\"Ping\":{\"timestamp_ms\":2}}");
}

static void texts_must_be_utf8_without_nul(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a\\u0000b", "\xff", "\xc0\x80", "\xed\xa0\x80", "\\ud800", "\xf4\x90\x80\x80", "a\tb",
    };
    struct wzp_signal sig;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char json[64];
        (void)snprintf(json, sizeof json, "{\"CallRinging\":{\"call_id\":\"%s\"}}", bad[i]);
        expect_refused(json);
    }
    expect_decoded("{\"CallRinging\":{\"call_id\":\"\\ud83d\\ude00 \xc3\xa9\"}}", &sig);
    assert_string_equal(sig.ringing.call_id, "\xf0\x9f\x98\x80 \xc3\xa9");
    wzp_signal_done(&sig);
    expect_refused("{\"CallRinging\":{\"call_id\":\"x\",\"a\\u0000\":1}}");
}

static void integers_are_exact_and_in_range(void **state)
{
    (void)state;
    static const char *const bad_ttl[] = { "-1", "256", "20.0", "2e1", "\"20\"", "true", "null", "[]" };
    struct wzp_signal sig;
    char json[128];

    for (size_t i = 0; i < sizeof bad_ttl / sizeof *bad_ttl; i++) {
        (void)snprintf(json, sizeof json, "{\"RouteQuery\":{\"fingerprint\":\"f\",\"ttl\":%s}}", bad_ttl[i]);
        expect_refused(json);
    }
    expect_decoded("{\"RouteQuery\":{\"fingerprint\":\"f\",\"ttl\":255}}", &sig);
    assert_int_equal(sig.route_query.ttl, 255);
    wzp_signal_done(&sig);
    expect_decoded("{\"RoomUpdate\":{\"count\":4294967295,\"participants\":[]}}", &sig);
    assert_int_equal(sig.room_update.count, UINT32_MAX);
    wzp_signal_done(&sig);
    expect_refused("{\"RoomUpdate\":{\"count\":4294967296,\"participants\":[]}}");
    expect_decoded("{\"Ping\":{\"timestamp_ms\":9223372036854775807}}", &sig);
    assert_true(sig.ping.timestamp_ms == INT64_MAX);
    wzp_signal_done(&sig);
    expect_refused("{\"Ping\":{\"timestamp_ms\":9223372036854775808}}");
    expect_refused("{\"Ping\":{\"timestamp_ms\":-1}}");
    expect_refused("{\"Ping\":{\"timestamp_ms\":1e3}}");
}

static void booleans_and_texts_have_exact_types(void **state)
{
    (void)state;
    expect_refused("{\"RegisterPresenceAck\":{\"success\":1}}");
    expect_refused("{\"RegisterPresenceAck\":{\"success\":\"true\"}}");
    expect_refused("{\"RegisterPresenceAck\":{\"success\":true,\"error\":5}}");
    expect_refused("{\"CallRinging\":{\"call_id\":5}}");
    expect_refused("{\"AuthToken\":{\"token\":null}}");
}

static void names_of_enumerations_are_exact(void **state)
{
    (void)state;
    struct wzp_signal sig;

    expect_refused("{\"Hangup\":{\"reason\":\"normal\"}}");
    expect_refused("{\"Hangup\":{\"reason\":\"\"}}");
    expect_refused("{\"Hangup\":{\"reason\":0}}");
    expect_refused("{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":\"Accept\"}}");
    expect_refused("{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":1}}");
    expect_decoded("{\"Hangup\":{\"reason\":\"Error\"}}", &sig);
    assert_int_equal(sig.hangup.reason, WZP_HANGUP_ERROR);
    wzp_signal_done(&sig);
}

static void profiles_need_all_four_fields(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "null",
        "{\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per_block\":5}",
        "{\"codec\":\"Opus24k\",\"frame_duration_ms\":20,\"frames_per_block\":5}",
        "{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frames_per_block\":5}",
        "{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20}",
        "{\"codec\":\"Opus25k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per_block\":5}",
        "{\"codec\":0,\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per_block\":5}",
        "{\"codec\":\"Opus24k\",\"fec_ratio\":\"0.2\",\"frame_duration_ms\":20,\"frames_per_block\":5}",
        "{\"codec\":\"Opus24k\",\"fec_ratio\":-0.1,\"frame_duration_ms\":20,\"frames_per_block\":5}",
        "{\"codec\":\"Opus24k\",\"fec_ratio\":16.1,\"frame_duration_ms\":20,\"frames_per_block\":5}",
        "{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20.0,\"frames_per_block\":5}",
        "{\"codec\":\"Opus24k\",\"fec_ratio\":0.2,\"frame_duration_ms\":20,\"frames_per_block\":256}",
    };
    struct wzp_signal sig;
    char json[256];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(json, sizeof json, "{\"QualityDirective\":{\"recommended_profile\":%s}}", bad[i]);
        expect_refused(json);
    }
    expect_decoded(
        "{\"QualityDirective\":{\"recommended_profile\":{\"codec\":\"Codec2_1200\",\"fec_ratio\":1,"
        "\"frame_duration_ms\":40,\"frames_per_block\":8}}}",
        &sig);
    assert_int_equal(sig.quality_directive.recommended_profile.codec, WZP_CODEC_CODEC2_1200);
    assert_true(sig.quality_directive.recommended_profile.fec_ratio == 1.0f);
    assert_null(sig.quality_directive.reason);
    wzp_signal_done(&sig);
}

static void optional_fields_take_missing_and_null_alike(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":\"Reject\"}}",
        "{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":\"Reject\",\"identity_pub\":null,"
        "\"ephemeral_pub\":null,"
        "\"signature\":null,\"chosen_profile\":null,\"callee_reflexive_addr\":null,\"callee_local_addrs\":[],"
        "\"callee_build_version\":null}}",
    };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct wzp_signal sig;
        expect_decoded(answers[i], &sig);
        assert_false(sig.answer.keys.has_identity || sig.answer.keys.has_ephemeral || sig.answer.has_profile);
        assert_int_equal(sig.answer.keys.signature_len, 0);
        assert_null(sig.answer.callee_reflexive_addr);
        assert_int_equal(sig.answer.callee_local_addrs.count, 0);
        wzp_signal_done(&sig);
    }
    expect_refused(
        "{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":\"Reject\",\"callee_local_addrs\":null}}");
}

static void defaulted_fields_may_be_missing_but_not_null(void **state)
{
    (void)state;
    struct wzp_signal sig;

    expect_decoded("{\"MediaPathReport\":{\"call_id\":\"c\",\"direct_ok\":false}}", &sig);
    assert_string_equal(sig.path_report.race_winner, "");
    wzp_signal_done(&sig);
    expect_decoded("{\"LossRecoveryUpdate\":{\"frames_decoded\":9}}", &sig);
    assert_int_equal(sig.loss_recovery.dred_reconstructions, 0);
    assert_int_equal(sig.loss_recovery.frames_decoded, 9);
    wzp_signal_done(&sig);
    expect_decoded("{\"GlobalRoomActive\":{\"room\":\"r\"}}", &sig);
    assert_int_equal(sig.global_room.participant_count, 0);
    wzp_signal_done(&sig);
    expect_refused("{\"MediaPathReport\":{\"call_id\":\"c\",\"direct_ok\":false,\"race_winner\":null}}");
    expect_refused("{\"LossRecoveryUpdate\":{\"frames_decoded\":null}}");
    expect_refused("{\"GlobalRoomActive\":{\"room\":\"r\",\"participants\":null}}");
}

static void required_fields_may_be_neither_missing_nor_null(void **state)
{
    (void)state;
    expect_refused("{\"RegisterPresence\":{\"signature\":[],\"alias\":null}}");
    expect_refused("{\"RegisterPresence\":{\"identity_pub\":" ZERO_KEY ",\"alias\":null}}");
    expect_refused("{\"RegisterPresence\":{\"identity_pub\":null,\"signature\":[]}}");
    expect_refused("{\"RoomUpdate\":{\"count\":1}}");
    expect_refused("{\"RoomUpdate\":{\"count\":1,\"participants\":[{\"alias\":\"x\"}]}}");
    expect_refused("{\"CallSetup\":{\"call_id\":\"c\",\"room\":\"r\"}}");
    expect_refused("{\"FederatedSignalForward\":{\"origin_relay_fp\":\"x\"}}");
    expect_refused("{\"FederatedSignalForward\":{\"inner\":null,\"origin_relay_fp\":\"x\"}}");
    expect_refused("{\"FederatedSignalForward\":{\"inner\":{\"Ping\":{}},\"origin_relay_fp\":\"x\"}}");
}

static void keys_are_exactly_32_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[]",
        "[" ZEROS16 "]",
        "[" ZEROS16 "," ZEROS16 ",0]",
        "[" ZEROS16 ",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,256]",
        "[" ZEROS16 ",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-1]",
        "[" ZEROS16 ",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,\"0\"]",
        "\"00\"",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char json[256];
        (void)snprintf(json, sizeof json, "{\"RegisterPresence\":{\"identity_pub\":%s,\"signature\":[]}}",
                       bad[i]);
        expect_refused(json);
    }
}

static void zeros_mean_no_key_where_the_field_is_required(void **state)
{
    (void)state;
    struct wzp_signal sig;

    expect_decoded("{\"RegisterPresence\":{\"identity_pub\":" ZERO_KEY ",\"signature\":[]}}", &sig);
    assert_false(sig.register_presence.keys.has_identity);
    wzp_signal_done(&sig);
    expect_decoded("{\"RegisterPresence\":{\"identity_pub\":" ONE_KEY ",\"signature\":" ONE_SIGNATURE "}}",
                   &sig);
    assert_true(sig.register_presence.keys.has_identity);
    assert_int_equal(sig.register_presence.keys.identity_pub[31], 1);
    assert_int_equal(sig.register_presence.keys.signature_len, 64);
    assert_int_equal(sig.register_presence.keys.signature[63], 1);
    wzp_signal_done(&sig);
    expect_decoded(
        "{\"DirectCallAnswer\":{\"call_id\":\"c\",\"accept_mode\":\"Reject\",\"identity_pub\":" ZERO_KEY "}}",
        &sig);
    assert_true(sig.answer.keys.has_identity);
    wzp_signal_done(&sig);
}

static void a_signature_of_another_length_is_marked_odd(void **state)
{
    (void)state;
    static const char *const odd[] = { "[1]", ONE_KEY, "[" ONES16 "," ONES16 "," ONES16 "," ONES16 ",1]" };
    struct wzp_signal sig;
    char json[512];

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        (void)snprintf(json, sizeof json,
                       "{\"RegisterPresence\":{\"identity_pub\":" ONE_KEY ",\"signature\":%s}}", odd[i]);
        expect_decoded(json, &sig);
        assert_true(sig.register_presence.keys.signature_odd);
        assert_int_equal(sig.register_presence.keys.signature_len, 0);
        wzp_signal_done(&sig);
    }
    expect_refused("{\"RegisterPresence\":{\"identity_pub\":" ONE_KEY ",\"signature\":[1,300]}}");
    expect_refused("{\"RegisterPresence\":{\"identity_pub\":" ONE_KEY ",\"signature\":\"\"}}");
}

static void field_order_does_not_matter_and_unknown_fields_are_ignored(void **state)
{
    (void)state;
    struct wzp_signal sig;

    expect_decoded(
        "{\"CallSetup\":{\"new\":{\"a\":[null]},\"peer_local_addrs\":[\"10.0.0.1:5\",\"10.0.0.2:5\"],"
        "\"relay_addr\":\"192.0.2.1:4433\",\"room\":\"call-c\",\"call_id\":\"c\"}}",
        &sig);
    assert_string_equal(sig.setup.room, "call-c");
    assert_null(sig.setup.peer_direct_addr);
    assert_int_equal(sig.setup.peer_local_addrs.count, 2);
    assert_string_equal(sig.setup.peer_local_addrs.text[1], "10.0.0.2:5");
    wzp_signal_done(&sig);
}

static void a_forwarded_signal_is_decoded_inside(void **state)
{
    (void)state;
    struct wzp_signal sig;

    expect_decoded("{\"FederatedSignalForward\":{\"inner\":\"Teleport\",\"origin_relay_fp\":\"x\"}}", &sig);
    assert_int_equal(sig.federated.inner->kind, WZP_SIG_UNKNOWN);
    assert_string_equal(sig.federated.inner->unknown.name, "Teleport");
    wzp_signal_done(&sig);
}

static void lists_and_texts_have_limits(void **state)
{
    (void)state;
    struct wzp_signal sig;

    expect_decoded_at_limit_only("{\"CallOffer\":{\"identity_pub\":" ONE_KEY ",\"ephemeral_pub\":" ONE_KEY
                                 ",\"signature\":[],\"supported_profiles\":[",
                                 GOOD, WZP_SIGNAL_MAX_PROFILES, "]}}");
    expect_decoded_at_limit_only("{\"RoomUpdate\":{\"count\":1,\"participants\":[", "{\"fingerprint\":\"f\"}",
                                 WZP_SIGNAL_MAX_PARTICIPANTS, "]}}");
    expect_decoded_at_limit_only("{\"PresenceUpdate\":{\"relay_addr\":\"r\",\"fingerprints\":[", "\"f\"",
                                 WZP_SIGNAL_MAX_TEXTS, "]}}");

    char text[WZP_SIGNAL_MAX_TEXT + 2], *json = malloc(sizeof text + 64);
    assert_non_null(json);
    for (size_t len = WZP_SIGNAL_MAX_TEXT; len <= WZP_SIGNAL_MAX_TEXT + 1; len++) {
        memset(text, 'x', len);
        text[len] = '\0';
        (void)snprintf(json, sizeof text + 64, "{\"AuthToken\":{\"token\":\"%s\"}}", text);
        if (len > WZP_SIGNAL_MAX_TEXT) {
            expect_refused(json);
        } else {
            expect_decoded(json, &sig);
            assert_int_equal(strlen(sig.auth_token.token), len);
            wzp_signal_done(&sig);
        }
    }
    free(json);
}

static void host_addresses_past_the_limit_are_left_out(void **state)
{
    (void)state;
    for (size_t count = WZP_SIGNAL_MAX_ADDRS - 1; count <= WZP_SIGNAL_MAX_ADDRS + 1; count++) {
        struct wzp_signal sig;
        char *json = repeat(
            "{\"CallSetup\":{\"call_id\":\"c\",\"room\":\"r\",\"relay_addr\":\"a\",\"peer_local_addrs\":[",
            "\"10.0.0.1:5\"", count, "]}}");
        expect_decoded(json, &sig);
        assert_int_equal(sig.setup.peer_local_addrs.count,
                         count < WZP_SIGNAL_MAX_ADDRS ? count : WZP_SIGNAL_MAX_ADDRS);
        wzp_signal_done(&sig);
        free(json);
    }
    char *json =
        repeat("{\"CallSetup\":{\"call_id\":\"c\",\"room\":\"r\",\"relay_addr\":\"a\",\"peer_local_addrs\":[",
               "\"10.0.0.1:5\"", WZP_SIGNAL_MAX_ADDRS, ",5]}}");
    expect_refused(json);
    free(json);
}

/** {"Ping":{"timestamp_ms":1,"x":[[[...]]]}}: two levels of objects around the brackets. */
static char *nested(size_t depth)
{
    struct text text = { 0 };
    add(&text, "{\"Ping\":{\"timestamp_ms\":1,\"s\":\"[[[[ \\\" {{{{\",\"x\":");
    for (size_t i = 2; i < depth; i++)
        add(&text, "[");
    for (size_t i = 2; i < depth; i++)
        add(&text, "]");
    add(&text, "}}");
    return text.data;
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    struct wzp_signal sig;
    char *at = nested(WZP_SIGNAL_MAX_DEPTH), *past = nested(WZP_SIGNAL_MAX_DEPTH + 1);

    expect_decoded(at, &sig);
    wzp_signal_done(&sig);
    expect_refused(past);
    free(at);
    free(past);
}

static void the_number_of_values_has_a_limit(void **state)
{
    (void)state;
    /* Counted: the message, two objects, the comma before "x", its bracket, and the commas between the
     * elements. */
    expect_decoded_at_limit_only("{\"Ping\":{\"timestamp_ms\":1,\"x\":[", "0", WZP_SIGNAL_MAX_VALUES - 4,
                                 "]}}");
}

static void the_size_has_a_limit(void **state)
{
    (void)state;
    static const char start[] = "{\"Ping\":{\"timestamp_ms\":1}}";
    char *json = malloc(WZP_SIGNAL_MAX_BYTES + 1);
    struct wzp_signal sig;

    assert_non_null(json);
    memset(json, ' ', WZP_SIGNAL_MAX_BYTES + 1);
    memcpy(json, start, sizeof start - 1);
    assert_int_equal(wzp_signal_decode(wz_bytes(json, WZP_SIGNAL_MAX_BYTES), &sig), 0);
    wzp_signal_done(&sig);
    assert_int_equal(wzp_signal_decode(wz_bytes(json, WZP_SIGNAL_MAX_BYTES + 1), &sig), -EMSGSIZE);
    free(json);
}

static void done_may_be_called_on_nothing_and_twice(void **state)
{
    (void)state;
    struct wzp_signal sig;

    wzp_signal_done(NULL);
    expect_decoded("{\"CallRinging\":{\"call_id\":\"c\"}}", &sig);
    wzp_signal_done(&sig);
    assert_int_equal(sig.kind, WZP_SIG_UNKNOWN);
    wzp_signal_done(&sig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unit_variants_are_strings_or_objects_with_null),
        cmocka_unit_test(unknown_variants_are_named_not_refused),
        cmocka_unit_test(the_kind_unknown_has_no_name_on_the_wire),
        cmocka_unit_test(a_long_unknown_name_is_cut_between_characters),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(duplicate_fields_are_refused_known_or_not),
        cmocka_unit_test(texts_must_be_utf8_without_nul),
        cmocka_unit_test(integers_are_exact_and_in_range),
        cmocka_unit_test(booleans_and_texts_have_exact_types),
        cmocka_unit_test(names_of_enumerations_are_exact),
        cmocka_unit_test(profiles_need_all_four_fields),
        cmocka_unit_test(optional_fields_take_missing_and_null_alike),
        cmocka_unit_test(defaulted_fields_may_be_missing_but_not_null),
        cmocka_unit_test(required_fields_may_be_neither_missing_nor_null),
        cmocka_unit_test(keys_are_exactly_32_numbers),
        cmocka_unit_test(zeros_mean_no_key_where_the_field_is_required),
        cmocka_unit_test(a_signature_of_another_length_is_marked_odd),
        cmocka_unit_test(field_order_does_not_matter_and_unknown_fields_are_ignored),
        cmocka_unit_test(a_forwarded_signal_is_decoded_inside),
        cmocka_unit_test(lists_and_texts_have_limits),
        cmocka_unit_test(host_addresses_past_the_limit_are_left_out),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(the_number_of_values_has_a_limit),
        cmocka_unit_test(the_size_has_a_limit),
        cmocka_unit_test(done_may_be_called_on_nothing_and_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
