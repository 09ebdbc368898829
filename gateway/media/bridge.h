/* One call's media: an RTP leg (phone, trunk) joined with a WZP leg. Sans-IO: packets and the time go in, packets come
 * out through callbacks, and a deadline says when to call again. Knows neither SIP nor QUIC.
 *
 *   Opus <-> WZP   Pass-through: payload bytes unchanged, forwarded on arrival. Sequence gaps and pauses stay visible.
 *                  Frames of 20 and 40 ms pass; a phone that sends others is decoded and encoded anew, and so is
 *                  everyone's sound while Codec2 comes from WZP, or the path carries low rates only.
 *   G.711 <-> WZP  Transcoding at 8 kHz on a 20 ms clock: jitter buffer, concealment, Opus or Codec2 towards WZP.
 *
 * Telephone events and gw_bridge_play_digit() become tones in the stream towards WZP.
 *
 * Thread: one (the call's worker). After gw_bridge_new() and gw_bridge_update_rtp() nothing is allocated, but once each
 * when Codec2 is first received and first sent.
 * No callback may call back into the bridge or free it. Spec: docs/media.md, docs/wzp-wire.md "Media". */
#ifndef GATEWAY_MEDIA_BRIDGE_H
#define GATEWAY_MEDIA_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/media/adaptive.h"
#include "gateway/media/latch.h"
#include "gateway/media/playout.h"
#include "gateway/media/rtcp.h"
#include "gateway/media/rtp.h"
#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/base/rng.h"
#include "wzp/core/media.h"

/** Time between RTCP reports. */
#define GW_BRIDGE_RTCP_INTERVAL_US 5000000u
/** WZP packets between two quality reports of ours. */
#define GW_BRIDGE_REPORT_FRAMES 50
/** Ticks made up for at once after a stall; more are skipped and counted. */
#define GW_BRIDGE_CATCH_UP_MAX 5

struct gw_bridge;

/** What an offer/answer decided. */
struct gw_rtp_params {
    enum gw_codec codec;
    uint8_t payload_type;
    uint8_t dtmf_payload_type;  /**< GW_RTP_PT_NONE: no telephone events */
    uint32_t dtmf_clock_hz;     /**< of the event's rtpmap; 0: 8000 */
    unsigned ptime_ms;          /**< of what we send (G.711): 10..60 in steps of 10; 0: 20 */
    struct wz_addr remote;      /**< the peer's SDP address; family NONE or IP 0.0.0.0: not known, wait for the latch */
    struct wz_addr remote_rtcp; /**< a=rtcp; family NONE: remote's port + 1 (or the same with rtcp_mux) */
    struct wz_addr signalling;  /**< source of the peer's signalling; only the IP counts; may be NONE */
    bool rtcp_mux;
    bool latch_any_source;
    bool send; /**< we may send RTP (peer is sendrecv or recvonly) */
    bool recv; /**< we accept RTP (peer is sendrecv or sendonly) */
};

struct gw_wzp_params {
    enum wzp_codec profile; /**< what to send when we encode: any Opus or Codec2; WZP_CODEC_OPUS_24K by default (0) */
    unsigned complexity;    /**< 0..10 */
    enum gw_adapt adapt;    /**< what may lower it during the call */
    bool suppress_silence;  /**< send comfort noise for silence; counts in gw_bridge_new() only */
};

struct gw_bridge_config {
    struct gw_rtp_params rtp;
    struct gw_wzp_params wzp;
    unsigned jitter_min_ms, jitter_initial_ms, jitter_max_ms; /**< 0: 20, 40, 200 */
    const char *cname;        /**< RTCP CNAME, copied, cut at GW_RTCP_CNAME_MAX; NULL: a random one */
    const struct wz_rng *rng; /**< SSRC, first sequence number and timestamp; borrowed for the call */

    void (*send_rtp)(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to);
    void (*send_rtcp)(void *arg, const uint8_t *data, size_t len, const struct wz_addr *to);
    /** One datagram; borrowed for the call. */
    void (*send_wzp)(void *arg, struct wz_bytes datagram);
    void *arg;
};

struct gw_bridge_stats {
    /* From and to the phone. */
    uint64_t rtp_rx, rtp_tx, rtp_rx_bytes, rtp_tx_bytes;
    uint64_t rtp_lost, rtp_late, rtp_duplicate;
    uint64_t rtp_strangers; /**< from an address that is not the peer's */
    uint64_t rtp_watched;   /**< dropped while their source was being learned */
    uint64_t rtp_bad;       /**< not RTP, or a payload the codec does not have */
    uint64_t rtp_bad_pt;    /**< a payload type that was not negotiated */
    uint64_t rtp_on_hold;   /**< dropped because the negotiated direction forbids it */
    uint64_t rtcp_rx, rtcp_tx, rtcp_bad;
    uint64_t rtp_last_rx_us; /**< accepted RTP or RTCP; 0: never */
    uint32_t rtp_jitter_us;
    uint32_t rtp_delay_us;  /**< jitter buffer towards WZP; 0 in pass-through */
    uint64_t rtp_concealed; /**< frames invented in what goes to WZP */
    enum gw_latch_state latch;
    struct wz_addr rtp_source; /**< where RTP is sent now */
    /* What the phone's RTCP says about our stream. */
    uint8_t peer_fraction_lost; /**< 0..255 */
    uint32_t peer_lost;
    uint32_t peer_jitter_us;
    uint32_t rtt_us; /**< 0: not known */
    bool peer_bye;
    /* From and to the WZP peer. */
    uint64_t wzp_rx, wzp_tx, wzp_rx_bytes, wzp_tx_bytes;
    uint64_t wzp_lost, wzp_late, wzp_duplicate;
    uint64_t wzp_bad;       /**< truncated, or Opus that is none */
    uint64_t wzp_bad_codec; /**< nibbles 9..15 */
    uint64_t wzp_codec2;
    uint64_t wzp_repair;
    uint64_t wzp_comfort_noise;
    uint64_t wzp_comfort_noise_tx;
    uint64_t wzp_repair_tx;
    uint64_t wzp_repaired;       /**< Codec2 frames brought back from repair packets */
    uint64_t wzp_unrepaired;     /**< Codec2 frames that had to be concealed */
    uint64_t wzp_dred;           /**< Opus frames rebuilt from deep redundancy */
    enum wzp_codec wzp_codec_rx; /**< of the newest audio packet from WZP */
    enum wzp_codec wzp_codec_tx; /**< to send now */
    enum wzp_tier wzp_tier;      /**< what reports say of the path */
    uint64_t wzp_not_ready;      /**< frames not sent because the path was not up */
    uint64_t wzp_last_rx_us;
    uint32_t wzp_jitter_us;
    uint32_t wzp_delay_us;
    uint64_t wzp_concealed;
    uint64_t wzp_reports_rx, wzp_reports_tx;
    struct wzp_quality_report wzp_report; /**< the newest one received */
    /* Both. */
    bool pass_through_rtp; /**< phone -> WZP unchanged at present */
    bool pass_through_wzp; /**< WZP -> phone unchanged */
    int rtp_level_dbov;    /**< level of the phone's audio, -127..0; 1: not known (pass-through) */
    int wzp_level_dbov;
    uint64_t dtmf_digits;   /**< from telephone events */
    uint64_t skipped_ticks; /**< 20 ms periods lost because nobody called gw_bridge_tick() */
    uint32_t path_delay_us; /**< estimate phone -> WZP inside us: jitter buffer and half the RTCP round trip */
};

/** 0, -ENOMEM, -EINVAL (a parameter out of range). The 20 ms clock starts at now_us, rounded up to a 5 ms grid, so that
 *  calls of one worker are served in batches. */
int gw_bridge_new(struct gw_bridge **ret, const struct gw_bridge_config *config, uint64_t now_us);
/** Sends nothing; see gw_bridge_bye(). NULL-safe. */
void gw_bridge_free(struct gw_bridge *bridge);

/** A packet on the RTP port (RTCP too, with rtcp_mux). Never fails: bad ones are counted. */
void gw_bridge_rtp_packet(struct gw_bridge *bridge, const uint8_t *data, size_t len, const struct wz_addr *from,
                          uint64_t now_us);
void gw_bridge_rtcp_packet(struct gw_bridge *bridge, const uint8_t *data, size_t len, const struct wz_addr *from,
                           uint64_t now_us);
void gw_bridge_wzp_packet(struct gw_bridge *bridge, struct wz_bytes datagram, uint64_t now_us);

/** Do what is due. */
void gw_bridge_tick(struct gw_bridge *bridge, uint64_t now_us);
/** When gw_bridge_tick() is to be called next; packets may bring it nearer. UINT64_MAX: not at all. */
uint64_t gw_bridge_deadline_us(const struct gw_bridge *bridge);

/** A new offer/answer (hold, resume, another codec or address). SSRC, sequence and timestamps go on.
 *  0, -ENOMEM or -EINVAL; on failure everything stays as it was. */
int gw_bridge_update_rtp(struct gw_bridge *bridge, const struct gw_rtp_params *params, uint64_t now_us);
/** Frames towards WZP are sent from now on (or no longer); until then they are dropped and counted. */
void gw_bridge_set_wzp_ready(struct gw_bridge *bridge, bool is_ready);
/** The WZP peer's stream begins anew (its media connection was replaced): numbering and timestamps may start at 0, and
 *  what is known of the path is void. */
void gw_bridge_restart_wzp(struct gw_bridge *bridge);
/** Another profile or complexity for what we encode; numbering and timestamps go on. What reports said so far is
 *  forgotten. 0 or -EINVAL. */
int gw_bridge_set_profile(struct gw_bridge *bridge, const struct gw_wzp_params *params);
/** Statistics of the WZP path (QUIC), sent in our quality reports; without them no report is sent. */
void gw_bridge_set_path_stats(struct gw_bridge *bridge, uint32_t loss_milli_pct, uint32_t rtt_ms, uint32_t jitter_ms);
/** The relay recommends a profile for the whole room; ignored with GW_ADAPT_OFF. */
void gw_bridge_quality_directive(struct gw_bridge *bridge, const struct wzp_profile *profile);
/** A tone towards WZP (SIP INFO). 0, -EINVAL, -ENOSPC. */
int gw_bridge_play_digit(struct gw_bridge *bridge, char digit, uint32_t duration_ms, uint64_t now_us);
/** The call ends: RTCP BYE. */
void gw_bridge_bye(struct gw_bridge *bridge, uint64_t now_us);

void gw_bridge_stats(const struct gw_bridge *bridge, struct gw_bridge_stats *ret);

#endif
