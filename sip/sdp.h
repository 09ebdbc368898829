/* SDP offer/answer for one audio stream (RFC 3264, 8866), on plain structs. Pure: text in, text out, no sofia type
 * shows. An offer's other m-lines are remembered so that the answer has the same number of them, refused.
 * Strings inside struct sipua_sdp are copies; nothing here allocates for the caller.  Thread: any. */
#ifndef SIP_SDP_H
#define SIP_SDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"

#define SIPUA_SDP_MAX_BYTES     8192 /**< longest SDP text accepted */
#define SIPUA_SDP_MAX_MLINES    8
#define SIPUA_SDP_MAX_CODECS    24
#define SIPUA_SDP_MAX_CANDIDATE 32
#define SIPUA_SDP_CANDIDATE_MAX 192  /**< longest a=candidate value kept, NUL included; longer ones are skipped */
#define SIPUA_SDP_FMTP_MAX      128  /**< longest fmtp value kept, NUL included; longer ones are dropped whole */
#define SIPUA_SDP_TEXT_MAX      4096 /**< always enough for sipua_sdp_format() of our own offers and answers */
#define SIPUA_SDP_WHY_MAX       256

enum sipua_codec {
    SIPUA_CODEC_OTHER, /**< known by name only */
    SIPUA_CODEC_PCMU,
    SIPUA_CODEC_PCMA,
    SIPUA_CODEC_OPUS,
    SIPUA_CODEC_TELEPHONE_EVENT,
};

/** Bits: what the party that wrote the SDP does. sendonly = SEND, inactive = 0. */
enum sipua_direction {
    SIPUA_DIR_INACTIVE = 0,
    SIPUA_DIR_SEND = 1,
    SIPUA_DIR_RECV = 2,
    SIPUA_DIR_SENDRECV = 3,
};

enum sipua_sdp_proto {
    SIPUA_PROTO_OTHER,
    SIPUA_PROTO_RTP_AVP,
};

struct sipua_sdp_codec {
    uint8_t pt;
    enum sipua_codec codec;
    uint32_t clock_hz;
    uint8_t channels;
    char name[24]; /**< encoding name as written by the peer */
    char fmtp[SIPUA_SDP_FMTP_MAX];
};

/** One m-line, as much of it as refusing it in an answer needs. */
struct sipua_sdp_mline {
    char media[16];
    char proto[24];
    char format[24]; /**< its first format */
};

struct sipua_sdp {
    char origin_user[32];
    uint64_t session_id;
    uint64_t session_version;
    struct wz_addr origin; /**< address of the o= line; family NONE when it is not a literal */

    struct sipua_sdp_mline mline[SIPUA_SDP_MAX_MLINES];
    size_t mline_count;
    size_t audio_index; /**< which m-line the fields below describe; == mline_count: no usable audio */

    struct wz_addr audio; /**< c= address and m= port; may be 0.0.0.0 (hold of RFC 2543) */
    uint16_t rtcp_port;   /**< a=rtcp, else RTP port + 1 */
    bool rtcp_mux;
    enum sipua_sdp_proto proto;
    struct sipua_sdp_codec codec[SIPUA_SDP_MAX_CODECS]; /**< in the writer's order */
    size_t codec_count;
    uint16_t ptime_ms;              /**< 0: not given */
    uint16_t maxptime_ms;           /**< 0: not given */
    enum sipua_direction direction; /**< of the writer; 0.0.0.0 has already taken RECV away */

    char candidate[SIPUA_SDP_MAX_CANDIDATE][SIPUA_SDP_CANDIDATE_MAX]; /**< a=candidate values, order kept */
    size_t candidate_count;
};

/** What this side can do and where it listens. */
struct sipua_sdp_caps {
    /** Most wanted first; PCMU, PCMA, OPUS. For a re-offer put the codec in use first, so that it stays. */
    enum sipua_codec prefer[4];
    size_t prefer_count;
    bool telephone_event; /**< take RFC 4733 when offered, and offer it */
    struct wz_addr audio; /**< where we receive RTP; its IP is also the origin's */
    uint64_t session_id;
    uint64_t session_version;       /**< +1 for each changed SDP of one dialog */
    uint16_t ptime_ms;              /**< 20 */
    bool rtcp_mux;                  /**< accept rtcp-mux when offered; offered when true */
    enum sipua_direction direction; /**< what we want; the answer is the part of it that the offer permits */
};

/** The outcome of an offer/answer, seen from this side. */
struct sipua_sdp_choice {
    enum sipua_codec codec;
    uint8_t pt; /**< the same in both directions */
    uint32_t clock_hz;
    uint8_t channels;
    char fmtp[SIPUA_SDP_FMTP_MAX]; /**< the peer's fmtp of that codec */
    int event_pt;                  /**< telephone-event payload type, or -1 */
    uint32_t event_clock_hz;
    struct wz_addr remote; /**< where to send RTP */
    uint16_t remote_rtcp_port;
    bool rtcp_mux;
    uint16_t ptime_ms; /**< what we send: caps.ptime_ms, shortened to the peer's maxptime */
    bool may_send;     /**< false: hold, or the peer gave 0.0.0.0 */
    bool may_receive;
};

/** What an Opus fmtp says (RFC 7587); absent parameters have the RFC's defaults. */
struct sipua_opus_fmtp {
    uint32_t max_playback_hz;         /**< 48000 */
    uint32_t max_average_bitrate_bps; /**< 0: not given */
    bool stereo;
    bool cbr;
    bool inband_fec;
    bool dtx;
};

/**
 * @param len  1..SIPUA_SDP_MAX_BYTES, text need not be NUL-terminated.
 * @return     0; -EMSGSIZE over the limit of bytes or m-lines; -EBADMSG when it is not SDP we can understand.
 */
int sipua_sdp_parse(const char *text, size_t len, struct sipua_sdp *ret);

/**
 * Answer an offer: one codec (the first of caps->prefer that is offered) and at most one telephone-event, with the
 * offer's payload types, every other m-line refused.
 *
 * @param ret_answer  Written on success.
 * @param ret_choice  Written on success.
 * @param why         SIPUA_SDP_WHY_MAX bytes; on failure a sentence naming both codec lists, fit for a Warning text.
 * @return            0; -ENOENT no common codec (488, Warning 305), -EPROTONOSUPPORT no RTP/AVP audio (488, Warning 304).
 */
int sipua_sdp_answer(const struct sipua_sdp *offer, const struct sipua_sdp_caps *caps, struct sipua_sdp *ret_answer,
                     struct sipua_sdp_choice *ret_choice, char why[static SIPUA_SDP_WHY_MAX]);

/** Our own offer: every codec of caps, dynamic payload types chosen here. */
void sipua_sdp_offer(const struct sipua_sdp_caps *caps, struct sipua_sdp *ret);

/**
 * Take the peer's answer to our offer.
 * @return 0; -ENOENT when nothing of ours is left (no codec, stream refused); -EPROTO when the answer names payload
 *         types that mean something else than in the offer.
 */
int sipua_sdp_apply_answer(const struct sipua_sdp *offer, const struct sipua_sdp *answer, uint16_t ptime_ms,
                           struct sipua_sdp_choice *ret_choice, char why[static SIPUA_SDP_WHY_MAX]);

/** Print with CRLF line ends. Length without NUL, or -ENOSPC. */
int sipua_sdp_format(const struct sipua_sdp *sdp, char *buf, size_t size);

/** Unknown parameters are ignored, wrong values fall back to the default. */
struct sipua_opus_fmtp sipua_sdp_opus_fmtp(const char *fmtp);

/** "PCMU", "PCMA", "opus", "telephone-event", "other". */
const char *sipua_codec_name(enum sipua_codec codec);
/** The answerer's view of an offered direction: sendonly -> recvonly and so on. */
enum sipua_direction sipua_direction_reverse(enum sipua_direction direction);
/** "sendrecv", "sendonly", "recvonly", "inactive". */
const char *sipua_direction_name(enum sipua_direction direction);

#endif
