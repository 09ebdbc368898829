/* Offer/answer (RFC 3264) on struct sipua_sdp. */
#include "sip/sdp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Payload types of our own offers. */
#define OFFER_PT_PCMU      0
#define OFFER_PT_PCMA      8
#define OFFER_PT_OPUS      96
#define OFFER_PT_EVENT_8K  101
#define OFFER_PT_EVENT_48K 102
#define EVENTS_ALL         "0-16"
#define OPUS_FMTP          "useinbandfec=1"
#define PTIME_STEP_MS      10

const char *sipua_codec_name(enum sipua_codec codec)
{
    switch (codec) {
    case SIPUA_CODEC_PCMU:
        return "PCMU";
    case SIPUA_CODEC_PCMA:
        return "PCMA";
    case SIPUA_CODEC_OPUS:
        return "opus";
    case SIPUA_CODEC_TELEPHONE_EVENT:
        return "telephone-event";
    case SIPUA_CODEC_OTHER:
        break;
    }
    return "other";
}

enum sipua_direction sipua_direction_reverse(enum sipua_direction direction)
{
    return (direction & SIPUA_DIR_SEND ? SIPUA_DIR_RECV : 0) | (direction & SIPUA_DIR_RECV ? SIPUA_DIR_SEND : 0);
}

const char *sipua_direction_name(enum sipua_direction direction)
{
    static const char *const name[] = { "inactive", "sendonly", "recvonly", "sendrecv" };
    return name[direction & SIPUA_DIR_SENDRECV];
}

static const struct sipua_sdp_codec *find_codec(const struct sipua_sdp *sdp, enum sipua_codec codec, uint32_t clock_hz)
{
    for (size_t i = 0; i < sdp->codec_count; i++)
        if (sdp->codec[i].codec == codec && (clock_hz == 0 || sdp->codec[i].clock_hz == clock_hz))
            return &sdp->codec[i];
    return NULL;
}

static const struct sipua_sdp_codec *find_pt(const struct sipua_sdp *sdp, uint8_t pt)
{
    for (size_t i = 0; i < sdp->codec_count; i++)
        if (sdp->codec[i].pt == pt)
            return &sdp->codec[i];
    return NULL;
}

/* The event clock should be the audio's (RFC 4733 2.1); phones that offer Opus often have only 8000. */
static const struct sipua_sdp_codec *find_event(const struct sipua_sdp *sdp, uint32_t audio_clock_hz)
{
    const struct sipua_sdp_codec *event = find_codec(sdp, SIPUA_CODEC_TELEPHONE_EVENT, audio_clock_hz);
    return event ? event : find_codec(sdp, SIPUA_CODEC_TELEPHONE_EVENT, 8000);
}

static uint16_t sending_ptime_ms(uint16_t wanted_ms, uint16_t peer_max_ms)
{
    if (peer_max_ms == 0 || peer_max_ms >= wanted_ms)
        return wanted_ms;
    return peer_max_ms < PTIME_STEP_MS ? PTIME_STEP_MS : (uint16_t)(peer_max_ms - peer_max_ms % PTIME_STEP_MS);
}

static void append(char *buf, size_t size, const char *separator, const char *text)
{
    const size_t used = strlen(buf);
    snprintf(buf + used, size - used, "%s%s", used && separator ? separator : "", text);
}

static void explain_no_codec(const struct sipua_sdp *remote, const struct sipua_sdp_caps *caps,
                             char why[static SIPUA_SDP_WHY_MAX])
{
    char theirs[SIPUA_SDP_WHY_MAX / 2] = "", ours[64] = "";
    for (size_t i = 0; i < remote->codec_count; i++)
        if (remote->codec[i].codec != SIPUA_CODEC_TELEPHONE_EVENT)
            append(theirs, sizeof theirs, ",", remote->codec[i].name);
    for (size_t i = 0; i < caps->prefer_count; i++)
        append(ours, sizeof ours, ",", sipua_codec_name(caps->prefer[i]));
    snprintf(why, SIPUA_SDP_WHY_MAX, "No common codec: offered %s; accepted here %s", *theirs ? theirs : "none",
             *ours ? ours : "none");
}

static void fill_choice(const struct sipua_sdp *remote, const struct sipua_sdp_codec *codec,
                        const struct sipua_sdp_codec *event, enum sipua_direction local, uint16_t ptime_ms,
                        bool rtcp_mux, struct sipua_sdp_choice *ret)
{
    *ret = (struct sipua_sdp_choice){
        .codec = codec->codec,
        .pt = codec->pt,
        .clock_hz = codec->clock_hz,
        .channels = codec->channels,
        .event_pt = event ? event->pt : -1,
        .event_clock_hz = event ? event->clock_hz : 0,
        .remote = remote->audio,
        .remote_rtcp_port = rtcp_mux ? remote->audio.port : remote->rtcp_port,
        .rtcp_mux = rtcp_mux,
        .ptime_ms = sending_ptime_ms(ptime_ms, remote->maxptime_ms),
        .may_send = (local & SIPUA_DIR_SEND) && !wz_addr_is_any(&remote->audio),
        .may_receive = (local & SIPUA_DIR_RECV) != 0,
    };
    memcpy(ret->fmtp, codec->fmtp, sizeof ret->fmtp);
}

/* What every SDP of ours has in common. */
static void fill_local(const struct sipua_sdp_caps *caps, struct sipua_sdp *ret)
{
    ret->session_id = caps->session_id;
    ret->session_version = caps->session_version;
    ret->origin_user[0] = '-';
    ret->origin = caps->audio;
    ret->audio = caps->audio;
    ret->rtcp_port = (uint16_t)(caps->audio.port + 1);
    ret->proto = SIPUA_PROTO_RTP_AVP;
    ret->ptime_ms = caps->ptime_ms;
}

static void add_codec(struct sipua_sdp *sdp, uint8_t pt, enum sipua_codec codec, uint32_t clock_hz, uint8_t channels,
                      const char *fmtp)
{
    struct sipua_sdp_codec *to = &sdp->codec[sdp->codec_count++];
    *to = (struct sipua_sdp_codec){ .pt = pt, .codec = codec, .clock_hz = clock_hz, .channels = channels };
    snprintf(to->name, sizeof to->name, "%s", sipua_codec_name(codec));
    snprintf(to->fmtp, sizeof to->fmtp, "%s", fmtp);
}

int sipua_sdp_answer(const struct sipua_sdp *offer, const struct sipua_sdp_caps *caps, struct sipua_sdp *ret_answer,
                     struct sipua_sdp_choice *ret_choice, char why[static SIPUA_SDP_WHY_MAX])
{
    if (offer->audio_index >= offer->mline_count || offer->proto != SIPUA_PROTO_RTP_AVP) {
        snprintf(why, SIPUA_SDP_WHY_MAX, "No audio over RTP/AVP offered; nothing else is accepted here");
        return -EPROTONOSUPPORT;
    }
    const struct sipua_sdp_codec *codec = NULL;
    for (size_t i = 0; i < caps->prefer_count && !codec; i++)
        codec = find_codec(offer, caps->prefer[i], 0);
    if (!codec) {
        explain_no_codec(offer, caps, why);
        return -ENOENT;
    }
    const struct sipua_sdp_codec *event = caps->telephone_event ? find_event(offer, codec->clock_hz) : NULL;

    struct sipua_sdp answer = { .mline_count = offer->mline_count, .audio_index = offer->audio_index };
    memcpy(answer.mline, offer->mline, sizeof answer.mline);
    fill_local(caps, &answer);
    answer.rtcp_mux = offer->rtcp_mux && caps->rtcp_mux;
    answer.direction = sipua_direction_reverse(offer->direction) & caps->direction;
    add_codec(&answer, codec->pt, codec->codec, codec->clock_hz, codec->channels,
              codec->codec == SIPUA_CODEC_OPUS ? OPUS_FMTP : "");
    if (event)
        add_codec(&answer, event->pt, event->codec, event->clock_hz, 1, EVENTS_ALL);
    fill_choice(offer, codec, event, answer.direction, caps->ptime_ms, answer.rtcp_mux, ret_choice);
    *ret_answer = answer;
    return 0;
}

void sipua_sdp_offer(const struct sipua_sdp_caps *caps, struct sipua_sdp *ret)
{
    bool opus = false;
    *ret = (struct sipua_sdp){ .mline_count = 1, .direction = caps->direction, .rtcp_mux = caps->rtcp_mux };
    ret->mline[0] = (struct sipua_sdp_mline){ .media = "audio", .proto = "RTP/AVP" };
    fill_local(caps, ret);
    for (size_t i = 0; i < caps->prefer_count; i++) {
        switch (caps->prefer[i]) {
        case SIPUA_CODEC_PCMU:
            add_codec(ret, OFFER_PT_PCMU, SIPUA_CODEC_PCMU, 8000, 1, "");
            break;
        case SIPUA_CODEC_PCMA:
            add_codec(ret, OFFER_PT_PCMA, SIPUA_CODEC_PCMA, 8000, 1, "");
            break;
        case SIPUA_CODEC_OPUS:
            add_codec(ret, OFFER_PT_OPUS, SIPUA_CODEC_OPUS, 48000, 2, OPUS_FMTP);
            opus = true;
            break;
        case SIPUA_CODEC_TELEPHONE_EVENT:
        case SIPUA_CODEC_OTHER:
            break; /* not audio */
        }
    }
    if (!caps->telephone_event)
        return;
    add_codec(ret, OFFER_PT_EVENT_8K, SIPUA_CODEC_TELEPHONE_EVENT, 8000, 1, EVENTS_ALL);
    if (opus)
        add_codec(ret, OFFER_PT_EVENT_48K, SIPUA_CODEC_TELEPHONE_EVENT, 48000, 1, EVENTS_ALL);
}

static bool is_same_codec(const struct sipua_sdp_codec *a, const struct sipua_sdp_codec *b)
{
    return a->clock_hz == b->clock_hz && a->channels == b->channels && strcasecmp(a->name, b->name) == 0;
}

/* Payload types that the answer took from the offer must still mean the same. */
static int check_answer_types(const struct sipua_sdp *offer, const struct sipua_sdp *answer,
                              char why[static SIPUA_SDP_WHY_MAX])
{
    for (size_t i = 0; i < answer->codec_count; i++) {
        const struct sipua_sdp_codec *theirs = &answer->codec[i], *ours = find_pt(offer, theirs->pt);
        if (ours && !is_same_codec(ours, theirs)) {
            snprintf(why, SIPUA_SDP_WHY_MAX, "Payload type %u was offered as %s/%u and answered as %s/%u", theirs->pt,
                     ours->name, ours->clock_hz, theirs->name, theirs->clock_hz);
            return -EPROTO;
        }
    }
    return 0;
}

int sipua_sdp_apply_answer(const struct sipua_sdp *offer, const struct sipua_sdp *answer, uint16_t ptime_ms,
                           struct sipua_sdp_choice *ret_choice, char why[static SIPUA_SDP_WHY_MAX])
{
    if (answer->audio_index >= answer->mline_count || answer->audio_index != offer->audio_index ||
        answer->proto != SIPUA_PROTO_RTP_AVP) {
        snprintf(why, SIPUA_SDP_WHY_MAX, "The answer refuses the audio stream");
        return -ENOENT;
    }
    const int err = check_answer_types(offer, answer, why);
    if (err < 0)
        return err;
    /* The answer with only what was offered, in the answer's order of preference. */
    struct sipua_sdp common = *answer;
    common.codec_count = 0;
    for (size_t i = 0; i < answer->codec_count; i++)
        if (find_pt(offer, answer->codec[i].pt))
            common.codec[common.codec_count++] = answer->codec[i];
    const struct sipua_sdp_codec *codec = NULL;
    for (size_t i = 0; i < common.codec_count && !codec; i++)
        if (common.codec[i].codec != SIPUA_CODEC_TELEPHONE_EVENT && common.codec[i].codec != SIPUA_CODEC_OTHER)
            codec = &common.codec[i];
    if (!codec) {
        snprintf(why, SIPUA_SDP_WHY_MAX, "The answer holds no codec that was offered");
        return -ENOENT;
    }
    const enum sipua_direction local = sipua_direction_reverse(answer->direction) & offer->direction;
    fill_choice(answer, codec, find_event(&common, codec->clock_hz), local, ptime_ms,
                offer->rtcp_mux && answer->rtcp_mux, ret_choice);
    return 0;
}
