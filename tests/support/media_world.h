/* A bridge in virtual time between a phone that speaks RTP and a WZP peer, both played by the test. Everything the bridge
 * sends is kept, and the audio in it decoded. */
#ifndef TESTS_SUPPORT_MEDIA_WORLD_H
#define TESTS_SUPPORT_MEDIA_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/media/bridge.h"
#include "gateway/media/codec_opus.h"
#include "tests/support/judge.h"

#define MEDIA_WORLD_PACKETS 4096
#define MEDIA_WORLD_SSRC    0x5eed0001u
#define MEDIA_WORLD_DTMF_PT 101

/** One packet the bridge sent, taken apart. */
struct media_rtp {
    uint64_t at_us;
    struct wz_addr to;
    struct gw_rtp_hdr hdr;
    size_t len;
    uint8_t payload[1300];
};

struct media_wzp {
    uint64_t at_us;
    struct wzp_media_hdr hdr;
    size_t len;
    uint8_t payload[1300];
};

struct media_world {
    struct gw_bridge *bridge;
    struct gw_bridge_config config;
    uint64_t now_us;
    uint64_t start_us;

    struct media_rtp *rtp;
    size_t rtp_count;
    struct media_wzp *wzp;
    size_t wzp_count;
    struct gw_rtcp_report rtcp; /**< the newest report the bridge sent */
    struct wz_addr rtcp_to;
    size_t rtcp_count;

    struct wz_addr phone; /**< where the phone sends from */
    uint16_t phone_seq;
    uint32_t phone_ts;
    uint32_t phone_ssrc;
    uint16_t peer_seq;
    uint32_t peer_ts_ms;
    struct gw_opus_encoder *encoder; /**< of the phone or peer, whoever speaks Opus */
    struct gw_opus_encoder *phone_encoder;
};

struct wz_addr media_addr(const char *text);
/** Defaults: the given codec, phone at 192.0.2.10:4000 with matching SDP, telephone-event 101/8000, Opus24k, WZP ready. */
struct gw_bridge_config media_world_config(enum gw_codec codec);
void media_world_init(struct media_world *w, const struct gw_bridge_config *config);
void media_world_done(struct media_world *w);

/** Run the bridge's clock to now + us. */
void media_advance(struct media_world *w, uint64_t us);

/** One RTP packet from the phone, as it is. */
void media_phone_packet(struct media_world *w, uint8_t pt, uint16_t seq, uint32_t ts, struct wz_bytes payload);
/** 20 ms of PCM (8 kHz) from the phone in its codec (Opus: encoded at 8 kHz); numbering goes on. */
void media_phone_speaks(struct media_world *w, const int16_t *pcm);
/** A whole digit by RFC 4733 beside no audio: 20 ms updates, three ends; advances the clock by its length. */
void media_phone_digit(struct media_world *w, char digit, unsigned duration_ms);

void media_peer_packet(struct media_world *w, const struct wzp_media_hdr *hdr, struct wz_bytes payload);
/** 20 ms of PCM (8 kHz) from the WZP peer. */
void media_peer_speaks(struct media_world *w, const int16_t *pcm);

/** All audio sent to WZP, or to the phone, decoded in order of sending at 8 kHz. */
void media_decode_wzp(const struct media_world *w, struct judge_audio *ret);
void media_decode_rtp(const struct media_world *w, struct judge_audio *ret);

struct gw_bridge_stats media_stats(const struct media_world *w);

#endif
