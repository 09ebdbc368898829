/* What the parts of the bridge share: bridge.c (life, clock), bridge_rtp.c (phone -> WZP), bridge_wzp.c (WZP -> phone),
 * bridge_rtcp.c. */
#ifndef GATEWAY_MEDIA_BRIDGE_INTERNAL_H
#define GATEWAY_MEDIA_BRIDGE_INTERNAL_H

#include "gateway/media/bridge.h"
#include "gateway/media/codec_opus.h"
#include "gateway/media/dtmf.h"
#include "gateway/media/rtp_source.h"
#include "gateway/media/seqmap.h"
#include "gateway/media/tone.h"

#define TICK_US      GW_PLAYOUT_FRAME_US
#define WZP_CLOCK_HZ 1000
/** Samples of 40 ms, the longest frame we encode, at the highest rate we encode. */
#define ENCODE_SAMPLES_MAX 640
/** G.711 bytes of the longest packet we send (60 ms) and one tick more. */
#define G711_BYTES_MAX (480 + 160)

/** What depends on the negotiated codec; made as a whole, exchanged as a whole. */
struct gw_bridge_codecs {
    uint32_t rate_hz; /**< of all PCM inside the bridge */
    struct gw_playout *from_rtp;
    struct gw_playout *from_wzp;     /**< G.711 only: Opus legs get the packets as they are */
    struct gw_opus_encoder *encoder; /**< of tones too, where audio passes through */
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
    bool wzp_started;                /**< a frame has been sent: timestamps run from here on */
    bool reencodes;                  /**< an Opus phone sends frames that WZP does not have */
    unsigned fitting_run;            /**< fitting packets in a row while reencodes */
    int16_t pcm[ENCODE_SAMPLES_MAX]; /**< waits for a whole frame */
    size_t pcm_count;
    enum wzp_codec frame_profile; /**< of the frame being collected */
    unsigned frames_since_report;
    bool has_path_report;
    struct wzp_quality_report path_report;

    /* WZP -> phone */
    struct gw_rtp_source wzp_source;
    struct gw_seqmap to_rtp;
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

/** Start or stop the 20 ms clock as the present state needs it. */
void bridge_update_clock(struct gw_bridge *b);

/** One tick of phone -> WZP: tones, transcoding. */
void bridge_tick_to_wzp(struct gw_bridge *b, uint64_t tick_us);
/** One tick of WZP -> phone (G.711). */
void bridge_tick_to_rtp(struct gw_bridge *b, uint64_t tick_us);

void bridge_send_rtp(struct gw_bridge *b, const struct gw_rtp_hdr *hdr, struct wz_bytes payload);
void bridge_send_report(struct gw_bridge *b, bool bye);

#endif
