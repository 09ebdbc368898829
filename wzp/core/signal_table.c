#include "wzp/core/signal_table.h"

#include <errno.h>

#define ROWS(array)                                                                                                    \
    {                                                                                                                  \
        array, sizeof(array) / sizeof *(array)                                                                         \
    }

/* T: type, N: need, s: the struct, m: the member, x: the member with the count or flag. */
#define ROW(s, name, T, N, m)                                                                                          \
    {                                                                                                                  \
        name, WZP_FIELD_##T, WZP_NEED_##N, offsetof(s, m), 0                                                           \
    }
#define ROW2(s, name, T, N, m, x)                                                                                      \
    {                                                                                                                  \
        name, WZP_FIELD_##T, WZP_NEED_##N, offsetof(s, m), offsetof(s, x)                                              \
    }
#define SIG(name, T, N, m)     ROW(struct wzp_signal, name, T, N, m)
#define SIG2(name, T, N, m, x) ROW2(struct wzp_signal, name, T, N, m, x)

static const struct wzp_field profile_rows[] = {
    ROW(struct wzp_profile, "codec", CODEC, REQUIRED, codec),
    ROW(struct wzp_profile, "fec_ratio", RATIO, REQUIRED, fec_ratio),
    ROW(struct wzp_profile, "frame_duration_ms", U8, REQUIRED, frame_duration_ms),
    ROW(struct wzp_profile, "frames_per_block", U8, REQUIRED, frames_per_block),
};
const struct wzp_fields wzp_profile_fields = ROWS(profile_rows);

static const struct wzp_field report_rows[] = {
    ROW(struct wzp_quality_report, "loss_pct", U8, REQUIRED, loss),
    ROW(struct wzp_quality_report, "rtt_4ms", U8, REQUIRED, rtt_4ms),
    ROW(struct wzp_quality_report, "jitter_ms", U8, REQUIRED, jitter_ms),
    ROW(struct wzp_quality_report, "bitrate_cap_kbps", U8, REQUIRED, bitrate_cap_kbps),
};
const struct wzp_fields wzp_report_fields = ROWS(report_rows);

static const struct wzp_field participant_rows[] = {
    ROW(struct wzp_participant, "fingerprint", TEXT, REQUIRED, fingerprint),
    ROW(struct wzp_participant, "alias", TEXT, NULLABLE, alias),
    ROW(struct wzp_participant, "relay_label", TEXT, NULLABLE, relay_label),
};
const struct wzp_fields wzp_participant_fields = ROWS(participant_rows);

static const struct wzp_field auth_token_rows[] = {
    SIG("token", TEXT, REQUIRED, auth_token.token),
};
static const struct wzp_field register_presence_rows[] = {
    SIG("identity_pub", IDENTITY, REQUIRED, register_presence.keys),
    SIG("signature", SIGNATURE, REQUIRED, register_presence.keys),
    SIG("alias", TEXT, NULLABLE, register_presence.alias),
};
static const struct wzp_field register_ack_rows[] = {
    SIG("success", BOOL, REQUIRED, register_ack.success),
    SIG("error", TEXT, ELIDABLE, register_ack.error),
    SIG("relay_build", TEXT, ELIDABLE, register_ack.relay_build),
};
static const struct wzp_field ping_rows[] = {
    SIG("timestamp_ms", U64, REQUIRED, ping.timestamp_ms),
};
static const struct wzp_field reflect_response_rows[] = {
    SIG("observed_addr", TEXT, REQUIRED, reflect_response.observed_addr),
};
static const struct wzp_field offer_rows[] = {
    SIG("caller_fingerprint", TEXT, REQUIRED, offer.caller_fingerprint),
    SIG("caller_alias", TEXT, NULLABLE, offer.caller_alias),
    SIG("target_fingerprint", TEXT, REQUIRED, offer.target_fingerprint),
    SIG("call_id", TEXT, REQUIRED, offer.call_id),
    SIG("identity_pub", IDENTITY, REQUIRED, offer.keys),
    SIG("ephemeral_pub", EPHEMERAL, REQUIRED, offer.keys),
    SIG("signature", SIGNATURE, REQUIRED, offer.keys),
    SIG2("supported_profiles", PROFILES, REQUIRED, offer.profile, offer.profile_count),
    SIG("caller_reflexive_addr", TEXT, ELIDABLE, offer.caller_reflexive_addr),
    SIG("caller_local_addrs", ADDRS, LIST, offer.caller_local_addrs),
    SIG("caller_build_version", TEXT, ELIDABLE, offer.caller_build_version),
    SIG("dialled_number", TEXT, ELIDABLE, offer.dialled_number),
};
static const struct wzp_field answer_rows[] = {
    SIG("call_id", TEXT, REQUIRED, answer.call_id),
    SIG("accept_mode", MODE, REQUIRED, answer.accept_mode),
    SIG("identity_pub", IDENTITY, ELIDABLE, answer.keys),
    SIG("ephemeral_pub", EPHEMERAL, ELIDABLE, answer.keys),
    SIG("signature", SIGNATURE, ELIDABLE, answer.keys),
    SIG2("chosen_profile", PROFILE, ELIDABLE, answer.chosen_profile, answer.has_profile),
    SIG("callee_reflexive_addr", TEXT, ELIDABLE, answer.callee_reflexive_addr),
    SIG("callee_local_addrs", ADDRS, LIST, answer.callee_local_addrs),
    SIG("callee_build_version", TEXT, ELIDABLE, answer.callee_build_version),
};
static const struct wzp_field ringing_rows[] = {
    SIG("call_id", TEXT, REQUIRED, ringing.call_id),
};
static const struct wzp_field setup_rows[] = {
    SIG("call_id", TEXT, REQUIRED, setup.call_id),
    SIG("room", TEXT, REQUIRED, setup.room),
    SIG("relay_addr", TEXT, REQUIRED, setup.relay_addr),
    SIG("peer_direct_addr", TEXT, ELIDABLE, setup.peer_direct_addr),
    SIG("peer_local_addrs", ADDRS, LIST, setup.peer_local_addrs),
};
static const struct wzp_field path_report_rows[] = {
    SIG("call_id", TEXT, REQUIRED, path_report.call_id),
    SIG("direct_ok", BOOL, REQUIRED, path_report.direct_ok),
    SIG("race_winner", TEXT, DEFAULTED, path_report.race_winner),
};
static const struct wzp_field hangup_rows[] = {
    SIG("reason", REASON, REQUIRED, hangup.reason),
    SIG("call_id", TEXT, ELIDABLE, hangup.call_id),
};
static const struct wzp_field call_offer_rows[] = {
    SIG("identity_pub", IDENTITY, REQUIRED, call_offer.keys),
    SIG("ephemeral_pub", EPHEMERAL, REQUIRED, call_offer.keys),
    SIG("signature", SIGNATURE, REQUIRED, call_offer.keys),
    SIG2("supported_profiles", PROFILES, REQUIRED, call_offer.profile, call_offer.profile_count),
    SIG("alias", TEXT, NULLABLE, call_offer.alias),
};
static const struct wzp_field call_answer_rows[] = {
    SIG("identity_pub", IDENTITY, REQUIRED, call_answer.keys),
    SIG("ephemeral_pub", EPHEMERAL, REQUIRED, call_answer.keys),
    SIG("signature", SIGNATURE, REQUIRED, call_answer.keys),
    SIG("chosen_profile", PROFILE, REQUIRED, call_answer.chosen_profile),
};
static const struct wzp_field room_update_rows[] = {
    SIG("count", U32, REQUIRED, room_update.count),
    SIG2("participants", PARTICIPANTS, REQUIRED, room_update.participant, room_update.participant_count),
};
static const struct wzp_field quality_directive_rows[] = {
    SIG("recommended_profile", PROFILE, REQUIRED, quality_directive.recommended_profile),
    SIG("reason", TEXT, ELIDABLE, quality_directive.reason),
};
static const struct wzp_field quality_update_rows[] = {
    SIG("report", REPORT, REQUIRED, quality_update.report),
    SIG("recommended_profile", PROFILE, REQUIRED, quality_update.recommended_profile),
};
static const struct wzp_field loss_recovery_rows[] = {
    SIG("dred_reconstructions", U64, DEFAULTED, loss_recovery.dred_reconstructions),
    SIG("classical_plc_invocations", U64, DEFAULTED, loss_recovery.classical_plc_invocations),
    SIG("frames_decoded", U64, DEFAULTED, loss_recovery.frames_decoded),
};
static const struct wzp_field rekey_rows[] = {
    SIG("new_ephemeral_pub", EPHEMERAL, REQUIRED, rekey.keys),
    SIG("signature", SIGNATURE, REQUIRED, rekey.keys),
};
static const struct wzp_field ice_candidate_rows[] = {
    SIG("candidate", TEXT, REQUIRED, ice_candidate.candidate),
};
static const struct wzp_field transfer_rows[] = {
    SIG("target_fingerprint", TEXT, REQUIRED, transfer.target_fingerprint),
    SIG("relay_addr", TEXT, NULLABLE, transfer.relay_addr),
};
static const struct wzp_field federation_hello_rows[] = {
    SIG("tls_fingerprint", TEXT, REQUIRED, federation_hello.tls_fingerprint),
};
static const struct wzp_field global_room_active_rows[] = {
    SIG("room", TEXT, REQUIRED, global_room.room),
    SIG2("participants", PARTICIPANTS, DEFAULTED, global_room.participant, global_room.participant_count),
};
static const struct wzp_field global_room_inactive_rows[] = {
    SIG("room", TEXT, REQUIRED, global_room.room),
};
static const struct wzp_field federated_rows[] = {
    SIG("inner", SIGNAL, REQUIRED, federated.inner),
    SIG("origin_relay_fp", TEXT, REQUIRED, federated.origin_relay_fp),
};
static const struct wzp_field presence_rows[] = {
    SIG2("fingerprints", TEXTS, REQUIRED, presence.fingerprint, presence.fingerprint_count),
    SIG("relay_addr", TEXT, REQUIRED, presence.relay_addr),
};
static const struct wzp_field route_query_rows[] = {
    SIG("fingerprint", TEXT, REQUIRED, route_query.fingerprint),
    SIG("ttl", U8, REQUIRED, route_query.ttl),
};
static const struct wzp_field route_response_rows[] = {
    SIG("fingerprint", TEXT, REQUIRED, route_response.fingerprint),
    SIG("found", BOOL, REQUIRED, route_response.found),
    SIG2("relay_chain", TEXTS, REQUIRED, route_response.hop, route_response.hop_count),
};
static const struct wzp_field session_forward_rows[] = {
    SIG("session_id", TEXT, REQUIRED, session_forward.session_id),
    SIG("target_fingerprint", TEXT, REQUIRED, session_forward.target_fingerprint),
    SIG("source_relay", TEXT, REQUIRED, session_forward.source_relay),
};
static const struct wzp_field session_forward_ack_rows[] = {
    SIG("session_id", TEXT, REQUIRED, session_forward_ack.session_id),
    SIG("room_name", TEXT, REQUIRED, session_forward_ack.room_name),
};

static const struct wzp_field direct_hello_rows[] = {
    SIG("call_id", TEXT, REQUIRED, direct_hello.call_id),
    SIG("identity_pub", IDENTITY, REQUIRED, direct_hello.keys),
    SIG("signature", SIGNATURE, REQUIRED, direct_hello.keys),
};

#define WITH_FIELDS(kind, text, rows) [WZP_SIG_##kind] = { .name = text, .fields = ROWS(rows) }
#define UNIT(kind, text)              [WZP_SIG_##kind] = { .name = text, .is_unit = true }

const struct wzp_variant wzp_variants[WZP_SIG_KIND_COUNT] = {
    [WZP_SIG_UNKNOWN] = { .name = "unknown" },
    WITH_FIELDS(AUTH_TOKEN, "AuthToken", auth_token_rows),
    WITH_FIELDS(REGISTER_PRESENCE, "RegisterPresence", register_presence_rows),
    WITH_FIELDS(REGISTER_PRESENCE_ACK, "RegisterPresenceAck", register_ack_rows),
    WITH_FIELDS(PING, "Ping", ping_rows),
    WITH_FIELDS(PONG, "Pong", ping_rows),
    UNIT(REFLECT, "Reflect"),
    WITH_FIELDS(REFLECT_RESPONSE, "ReflectResponse", reflect_response_rows),
    WITH_FIELDS(DIRECT_CALL_OFFER, "DirectCallOffer", offer_rows),
    WITH_FIELDS(DIRECT_CALL_ANSWER, "DirectCallAnswer", answer_rows),
    WITH_FIELDS(CALL_RINGING, "CallRinging", ringing_rows),
    WITH_FIELDS(CALL_SETUP, "CallSetup", setup_rows),
    WITH_FIELDS(MEDIA_PATH_REPORT, "MediaPathReport", path_report_rows),
    WITH_FIELDS(HANGUP, "Hangup", hangup_rows),
    WITH_FIELDS(CALL_OFFER, "CallOffer", call_offer_rows),
    WITH_FIELDS(CALL_ANSWER, "CallAnswer", call_answer_rows),
    WITH_FIELDS(ROOM_UPDATE, "RoomUpdate", room_update_rows),
    WITH_FIELDS(QUALITY_DIRECTIVE, "QualityDirective", quality_directive_rows),
    WITH_FIELDS(QUALITY_UPDATE, "QualityUpdate", quality_update_rows),
    WITH_FIELDS(LOSS_RECOVERY_UPDATE, "LossRecoveryUpdate", loss_recovery_rows),
    WITH_FIELDS(REKEY, "Rekey", rekey_rows),
    WITH_FIELDS(ICE_CANDIDATE, "IceCandidate", ice_candidate_rows),
    UNIT(HOLD, "Hold"),
    UNIT(UNHOLD, "Unhold"),
    UNIT(MUTE, "Mute"),
    UNIT(UNMUTE, "Unmute"),
    WITH_FIELDS(TRANSFER, "Transfer", transfer_rows),
    UNIT(TRANSFER_ACK, "TransferAck"),
    WITH_FIELDS(FEDERATION_HELLO, "FederationHello", federation_hello_rows),
    WITH_FIELDS(GLOBAL_ROOM_ACTIVE, "GlobalRoomActive", global_room_active_rows),
    WITH_FIELDS(GLOBAL_ROOM_INACTIVE, "GlobalRoomInactive", global_room_inactive_rows),
    WITH_FIELDS(FEDERATED_SIGNAL_FORWARD, "FederatedSignalForward", federated_rows),
    WITH_FIELDS(PRESENCE_UPDATE, "PresenceUpdate", presence_rows),
    WITH_FIELDS(ROUTE_QUERY, "RouteQuery", route_query_rows),
    WITH_FIELDS(ROUTE_RESPONSE, "RouteResponse", route_response_rows),
    WITH_FIELDS(SESSION_FORWARD, "SessionForward", session_forward_rows),
    WITH_FIELDS(SESSION_FORWARD_ACK, "SessionForwardAck", session_forward_ack_rows),
    WITH_FIELDS(DIRECT_HELLO, "DirectHello", direct_hello_rows),
};

const struct wzp_profile wzp_profile_studio_64k = { WZP_CODEC_OPUS_64K, 0.1f, 20, 5 };
const struct wzp_profile wzp_profile_studio_48k = { WZP_CODEC_OPUS_48K, 0.1f, 20, 5 };
const struct wzp_profile wzp_profile_studio_32k = { WZP_CODEC_OPUS_32K, 0.1f, 20, 5 };
const struct wzp_profile wzp_profile_good = { WZP_CODEC_OPUS_24K, 0.2f, 20, 5 };
const struct wzp_profile wzp_profile_degraded = { WZP_CODEC_OPUS_6K, 0.5f, 40, 10 };
const struct wzp_profile wzp_profile_catastrophic = { WZP_CODEC_CODEC2_1200, 1.0f, 40, 8 };

static const char *const hangup_reasons[] = {
    [WZP_HANGUP_NORMAL] = "Normal",   [WZP_HANGUP_BUSY] = "Busy",   [WZP_HANGUP_DECLINED] = "Declined",
    [WZP_HANGUP_TIMEOUT] = "Timeout", [WZP_HANGUP_ERROR] = "Error",
};

static const char *const accept_modes[] = {
    [WZP_ACCEPT_REJECT] = "Reject",
    [WZP_ACCEPT_TRUSTED] = "AcceptTrusted",
    [WZP_ACCEPT_GENERIC] = "AcceptGeneric",
};

#define COUNT(names) (sizeof(names) / sizeof *(names))

/** Index of name, or -1. */
static int find_name(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

enum wzp_signal_kind wzp_signal_kind_parse(const char *name)
{
    for (unsigned i = WZP_SIG_UNKNOWN + 1; i < WZP_SIG_KIND_COUNT; i++)
        if (strcmp(wzp_variants[i].name, name) == 0)
            return (enum wzp_signal_kind)i;
    return WZP_SIG_UNKNOWN;
}

int wzp_hangup_reason_parse(const char *name, enum wzp_hangup_reason *ret)
{
    int found = find_name(hangup_reasons, COUNT(hangup_reasons), name);
    if (found < 0)
        return -EBADMSG;
    *ret = (enum wzp_hangup_reason)found;
    return 0;
}

int wzp_accept_mode_parse(const char *name, enum wzp_accept_mode *ret)
{
    int found = find_name(accept_modes, COUNT(accept_modes), name);
    if (found < 0)
        return -EBADMSG;
    *ret = (enum wzp_accept_mode)found;
    return 0;
}

const char *wzp_signal_kind_name(enum wzp_signal_kind kind)
{
    return wzp_variants[(unsigned)kind < WZP_SIG_KIND_COUNT ? kind : WZP_SIG_UNKNOWN].name;
}

const char *wzp_hangup_reason_name(enum wzp_hangup_reason reason)
{
    return (unsigned)reason < COUNT(hangup_reasons) ? hangup_reasons[reason] : "unknown";
}

const char *wzp_accept_mode_name(enum wzp_accept_mode mode)
{
    return (unsigned)mode < COUNT(accept_modes) ? accept_modes[mode] : "unknown";
}
