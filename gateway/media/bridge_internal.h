/* What the parts of the bridge share: bridge.c (life, clock), bridge_rtp.c (RTP in), bridge_wzp_tx.c (to WZP),
 * bridge_wzp_rx.c (WZP -> phone), bridge_quality.c (what to send), bridge_rtcp.c. */
#ifndef GATEWAY_MEDIA_BRIDGE_INTERNAL_H
#define GATEWAY_MEDIA_BRIDGE_INTERNAL_H

#include "gateway/media/bridge.h"
#include "gateway/media/codec_opus.h"
#include "gateway/media/dtmf.h"
#include "gateway/media/rtp_source.h"
#include "gateway/media/seqmap.h"
#include "gateway/media/tone.h"
#include "gateway/media/wzp_tx.h"

#define TICK_US      GW_PLAYOUT_FRAME_US
#define WZP_CLOCK_HZ 1000
/** G.711 bytes of the longest packet we send (60 ms) and one tick more. */
#define G711_BYTES_MAX (480 + 160)

/** What depends on the negotiated codec; made as a whole, exchanged as a whole. */
struct gw_bridge_codecs {
    uint32_t rate_hz; /**< of all PCM inside the bridge */
    struct gw_playout *from_rtp;
    struct gw_playout *from_wzp;      /**< Opus legs get the packets as they are: NULL until Codec2 comes */
    struct gw_opus_encoder *to_phone; /**< Opus legs only; made with from_wzp */
    struct gw_wzp_tx *to_wzp;         /**< of tones too, where audio passes through */
};

struct gw_bridge {
    struct gw_bridge_config config; /**< rtp and wzp hold what is in force */
    struct gw_bridge_codecs codecs;
    struct gw_bridge_stats stats; /**< the plain counters; the rest is gathered on demand */
    uint64_t now_us;              /**< of the call being served */

    bool is_ticking;
    uint64_t next_tick_us;

    /* phone -> WZP */
    struct gw_latch latch;
    struct gw_rtp_source rtp_source;
    struct gw_dtmf_rx dtmf;
    struct gw_tone tone;
    struct gw_seqmap to_wzp;
    bool wzp_ready;
    bool wzp_started;     /**< a frame has been sent: timestamps run from here on */
    bool reencodes;       /**< an Opus phone sends frames that WZP does not have, or that the path does not carry */
    unsigned fitting_run; /**< fitting packets in a row while reencodes */
    struct gw_adaptive adaptive;
    unsigned frames_since_report;
    bool has_path_report;
    struct wzp_quality_report path_report;

    /* WZP -> phone */
    struct gw_rtp_source wzp_source;
    struct gw_seqmap to_rtp;
    bool decodes;      /**< an Opus phone gets Opus made of what WZP sends: there is Codec2 in it */
    unsigned opus_run; /**< Opus packets in a row while decodes */
    uint32_t ssrc;
    bool marker_due;
    uint8_t g711[G711_BYTES_MAX];
    size_t g711_count;
    unsigned fec_loss_pct;

    /* RTCP */
    char cname[GW_RTCP_CNAME_MAX + 1];
    struct wz_addr rtcp_source; /**< learned; family NONE: not yet */
    uint64_t next_rtcp_us;
    uint32_t last_rtp_ticks;
    uint64_t last_rtp_us;
    uint64_t rtp_tx_reported;
};

/** Opus legs pass packets through; G.711 is transcoded. */
static inline bool bridge_is_opus(const struct gw_bridge *b)
{
    return b->config.rtp.codec == GW_CODEC_OPUS;
}

/** Does what WZP sends become sound inside us, on the clock? */
static inline bool bridge_plays_wzp(const struct gw_bridge *b)
{
    return !bridge_is_opus(b) || b->decodes;
}

/** Start or stop the 20 ms clock as the present state needs it. */
void bridge_update_clock(struct gw_bridge *b);

/** One tick of phone -> WZP: tones, transcoding. */
void bridge_tick_to_wzp(struct gw_bridge *b, uint64_t tick_us);
/** One tick of WZP -> phone (G.711, or Opus while decodes). */
void bridge_tick_to_rtp(struct gw_bridge *b, uint64_t tick_us);

/** One packet towards WZP, numbered; quality reports ride on audio. */
void bridge_send_wzp(struct gw_bridge *b, struct wzp_media_hdr *hdr, struct wz_bytes payload);
/** What the sender of gw_bridge_codecs calls; arg is the bridge. */
void bridge_on_tx_packet(void *arg, const struct gw_wzp_tx_packet *packet);
void bridge_on_tx_silence(void *arg, unsigned ms);
/** The decoder and encoder of an Opus leg, when Codec2 comes. 0 or -ENOMEM. */
int bridge_make_opus_transcoder(struct gw_bridge *b);

/** The codec of the next frame towards WZP. */
enum wzp_codec bridge_codec_now(const struct gw_bridge *b);
/** Must an Opus phone's sound be encoded anew, because its own packets are not what is to be sent? */
bool bridge_must_encode(const struct gw_bridge *b);
void bridge_take_report(struct gw_bridge *b, const struct wzp_quality_report *report);
/** A report of ours is due with this audio packet: true, and it is filled in. */
bool bridge_report_due(struct gw_bridge *b, struct wzp_quality_report *ret);

void bridge_send_rtp(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, struct wz_bytes payload);
void bridge_send_report(struct gw_bridge *b, bool bye);

#endif
