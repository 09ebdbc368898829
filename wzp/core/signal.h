/* Signal messages: JSON text <-> struct wzp_signal. jansson stays inside the .c.
 * Spec: docs/wzp-wire.md "Signals". Thread: any.
 *
 * A decoded signal remembers the whole JSON it came from: wzp_signal_encode() writes the known fields and
 * then those of the origin that we do not know, so a relay that forwards a message keeps them. An optional
 * field that the caller cleared is gone. Objects inside a list keep their unknown fields while the list keeps
 * its length.
 *
 * Numbers: u64 fields read 0 .. 2^63-1 (jansson is signed), more is a bad message; they write the whole
 * range. */
#ifndef WZP_CORE_SIGNAL_H
#define WZP_CORE_SIGNAL_H

#include <stdbool.h>

#include "wzp/base/bytes.h"
#include "wzp/core/identity.h"
#include "wzp/core/media.h"

#define WZP_SIGNAL_MAX_DEPTH        128
#define WZP_SIGNAL_MAX_PROFILES     32
#define WZP_SIGNAL_MAX_ADDRS        16 /**< of a list of host addresses; a decoded list is cut here, not refused */
#define WZP_SIGNAL_MAX_PARTICIPANTS 4096
#define WZP_SIGNAL_MAX_TEXT         4096  /**< any one text field */
#define WZP_SIGNAL_MAX_TEXTS        20000 /**< fingerprints or hops of one gossip message */
#define WZP_SIGNAL_MAX_VALUES       65536 /**< JSON values of one message, known or not */
#define WZP_SIGNAL_MAX_FEC_RATIO    16.0f /**< the presets go up to 1.0, the media header up to 2.0 */
#define WZP_CALL_ID_MAX             53    /**< so that "call-call-" + id is a legal SNI label */

enum wzp_signal_kind {
    WZP_SIG_UNKNOWN, /**< a variant we do not know: counted, skipped, forwarded never */
    WZP_SIG_AUTH_TOKEN,
    WZP_SIG_REGISTER_PRESENCE,
    WZP_SIG_REGISTER_PRESENCE_ACK,
    WZP_SIG_PING,
    WZP_SIG_PONG,
    WZP_SIG_REFLECT,
    WZP_SIG_REFLECT_RESPONSE,
    WZP_SIG_DIRECT_CALL_OFFER,
    WZP_SIG_DIRECT_CALL_ANSWER,
    WZP_SIG_CALL_RINGING,
    WZP_SIG_CALL_SETUP,
    WZP_SIG_MEDIA_PATH_REPORT,
    WZP_SIG_HANGUP,
    WZP_SIG_CALL_OFFER,
    WZP_SIG_CALL_ANSWER,
    WZP_SIG_ROOM_UPDATE,
    WZP_SIG_QUALITY_DIRECTIVE,
    WZP_SIG_QUALITY_UPDATE,
    WZP_SIG_LOSS_RECOVERY_UPDATE,
    WZP_SIG_REKEY,
    WZP_SIG_ICE_CANDIDATE,
    WZP_SIG_HOLD,
    WZP_SIG_UNHOLD,
    WZP_SIG_MUTE,
    WZP_SIG_UNMUTE,
    WZP_SIG_TRANSFER,
    WZP_SIG_TRANSFER_ACK,
    WZP_SIG_FEDERATION_HELLO,
    WZP_SIG_GLOBAL_ROOM_ACTIVE,
    WZP_SIG_GLOBAL_ROOM_INACTIVE,
    WZP_SIG_FEDERATED_SIGNAL_FORWARD,
    WZP_SIG_PRESENCE_UPDATE,
    WZP_SIG_ROUTE_QUERY,
    WZP_SIG_ROUTE_RESPONSE,
    WZP_SIG_SESSION_FORWARD,
    WZP_SIG_SESSION_FORWARD_ACK,
    WZP_SIG_DIRECT_HELLO, /**< our extension: first message of each side of a direct connection (spec 8.5) */
    WZP_SIG_KIND_COUNT,
};

enum wzp_hangup_reason {
    WZP_HANGUP_NORMAL,
    WZP_HANGUP_BUSY,
    WZP_HANGUP_DECLINED,
    WZP_HANGUP_TIMEOUT,
    WZP_HANGUP_ERROR,
};

enum wzp_accept_mode {
    WZP_ACCEPT_REJECT,
    WZP_ACCEPT_TRUSTED,
    WZP_ACCEPT_GENERIC,
};

struct wzp_profile {
    enum wzp_codec codec;
    float fec_ratio;
    uint8_t frame_duration_ms;
    uint8_t frames_per_block;
};

extern const struct wzp_profile wzp_profile_studio_64k, wzp_profile_studio_48k, wzp_profile_studio_32k,
    wzp_profile_good, wzp_profile_degraded, wzp_profile_catastrophic;

/** Keys and signature as carried by offers and answers. `has_*` false: absent (DirectCallAnswer) or, where
 * the field is required, all zeros, read and written (the key itself then holds zeros too). Set `has_*` when
 * you fill a key. */
struct wzp_signed_keys {
    bool has_identity, has_ephemeral;
    uint8_t identity_pub[WZP_KEY_BYTES];
    uint8_t ephemeral_pub[WZP_KEY_BYTES];
    uint8_t signature[WZP_SIGNATURE_BYTES];
    size_t signature_len; /**< 0 (none) or 64; any other length on the wire reads as 0 with `signature_odd` */
    bool signature_odd;
};

struct wzp_addr_list {
    size_t count;
    char *text[WZP_SIGNAL_MAX_ADDRS];
};

struct wzp_participant {
    char *fingerprint;
    char *alias;       /**< NULL: none */
    char *relay_label; /**< NULL: local */
};

/** A tagged union. Every char * is malloc'ed and the signal's; NULL means absent (optional fields only). */
struct wzp_signal {
    enum wzp_signal_kind kind;
    void *origin; /**< the JSON it was decoded from (opaque), or NULL when built by hand */
    union {
        struct {
            char *token;
        } auth_token;
        struct {
            struct wzp_signed_keys keys;
            char *alias;
        } register_presence;
        struct {
            bool success;
            char *error;
            char *relay_build;
        } register_ack;
        struct {
            uint64_t timestamp_ms;
        } ping; /**< PING and PONG */
        struct {
            char *observed_addr;
        } reflect_response;
        struct {
            char *caller_fingerprint, *caller_alias, *target_fingerprint, *call_id;
            struct wzp_signed_keys keys;
            size_t profile_count;
            struct wzp_profile profile[WZP_SIGNAL_MAX_PROFILES];
            char *caller_reflexive_addr;
            struct wzp_addr_list caller_local_addrs;
            char *caller_build_version;
            char *dialled_number; /**< our extension */
        } offer;
        struct {
            char *call_id;
            enum wzp_accept_mode accept_mode;
            struct wzp_signed_keys keys;
            bool has_profile;
            struct wzp_profile chosen_profile;
            char *callee_reflexive_addr;
            struct wzp_addr_list callee_local_addrs;
            char *callee_build_version;
        } answer;
        struct {
            char *call_id;
        } ringing;
        struct {
            char *call_id, *room, *relay_addr;
            char *peer_direct_addr;
            struct wzp_addr_list peer_local_addrs;
        } setup;
        struct {
            char *call_id;
            bool direct_ok;
            char *race_winner;
        } path_report;
        struct {
            enum wzp_hangup_reason reason;
            char *call_id;
        } hangup;
        struct {
            struct wzp_signed_keys keys;
            size_t profile_count;
            struct wzp_profile profile[WZP_SIGNAL_MAX_PROFILES];
            char *alias;
        } call_offer;
        struct {
            struct wzp_signed_keys keys;
            struct wzp_profile chosen_profile;
        } call_answer;
        struct {
            uint32_t count;
            size_t participant_count;
            struct wzp_participant *participant;
        } room_update;
        struct {
            struct wzp_profile recommended_profile;
            char *reason;
        } quality_directive;
        struct {
            struct wzp_quality_report report;
            struct wzp_profile recommended_profile;
        } quality_update;
        struct {
            uint64_t dred_reconstructions, classical_plc_invocations, frames_decoded;
        } loss_recovery;
        struct {
            struct wzp_signed_keys keys;
        } rekey; /**< ephemeral_pub = new_ephemeral_pub */
        struct {
            char *candidate;
        } ice_candidate;
        struct {
            char *target_fingerprint, *relay_addr;
        } transfer;
        struct {
            char *tls_fingerprint;
        } federation_hello;
        struct {
            char *room;
            size_t participant_count;
            struct wzp_participant *participant;
        } global_room; /**< ACTIVE, INACTIVE */
        struct {
            struct wzp_signal *inner;
            char *origin_relay_fp;
        } federated;
        struct {
            size_t fingerprint_count;
            char **fingerprint;
            char *relay_addr;
        } presence;
        struct {
            char *fingerprint;
            uint8_t ttl;
        } route_query;
        struct {
            char *fingerprint;
            bool found;
            size_t hop_count;
            char **hop;
        } route_response;
        struct {
            char *session_id, *target_fingerprint, *source_relay;
        } session_forward;
        struct {
            char *session_id, *room_name;
        } session_forward_ack;
        struct {
            char *call_id;
            struct wzp_signed_keys keys; /**< identity and signature */
        } direct_hello;
        struct {
            char *name;
        } unknown; /**< the variant's name, cut to 64 bytes */
    };
};

/**
 * Decode one message body (without the length prefix).
 * @return 0 (kind may be WZP_SIG_UNKNOWN); -EBADMSG (not JSON, invalid UTF-8, NUL in a text, duplicate field,
 * wrong type, missing field, too deep, a limit above exceeded); -EMSGSIZE (over WZP_SIGNAL_MAX_BYTES);
 * -ENOMEM. *ret untouched on failure.
 */
int wzp_signal_decode(struct wz_bytes json, struct wzp_signal *ret);
/**
 * Encode compactly; optional fields elided or null as the reference does. *ret_json is malloc'ed,
 * NUL-terminated.
 * @return 0; -EINVAL (WZP_SIG_UNKNOWN, a required text missing, a value the reader would refuse, invalid
 * UTF-8); -EMSGSIZE (over WZP_SIGNAL_MAX_BYTES); -ENOMEM.
 */
int wzp_signal_encode(const struct wzp_signal *sig, char **ret_json, size_t *ret_len);
/** Free what the signal owns; leaves it WZP_SIG_UNKNOWN and empty. NULL-safe. */
void wzp_signal_done(struct wzp_signal *sig);

const char *wzp_signal_kind_name(enum wzp_signal_kind kind);
const char *wzp_hangup_reason_name(enum wzp_hangup_reason reason);
const char *wzp_accept_mode_name(enum wzp_accept_mode mode);

/** Replace an owned text: free *field, strdup text (NULL: absent). 0 or -ENOMEM (field unchanged). */
int wzp_signal_set_text(char **field, const char *text);

#endif
