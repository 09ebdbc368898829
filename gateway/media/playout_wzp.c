/* What arrives from a WZP peer: any codec, repair packets, comfort noise. */
#include <errno.h>
#include <stdlib.h>

#include "gateway/media/playout_internal.h"

/** What the other implementation plays for a WZP comfort-noise packet: white noise of +-50. */
#define WZP_NOISE_DBOV (-61)

/* ---- Codec2 ---- */

void playout_codec2_free(struct playout_codec2 *codec2)
{
    if (!codec2)
        return;
    for (unsigned i = 0; i < 2; i++)
        gw_codec2_decoder_free(codec2->decoder[i]);
    gw_repair_done(&codec2->repair);
    free(codec2);
}

static int need_codec2(struct gw_playout *p, enum wzp_codec codec)
{
    const unsigned i = playout_codec2_index(codec);

    if (!p->codec2) {
        p->codec2 = calloc(1, sizeof *p->codec2);
        if (!p->codec2)
            return -ENOMEM;
        gw_resampler_init(&p->codec2->resampler, p->config.rate_hz);
    }
    return p->codec2->decoder[i] ? 0 : gw_codec2_decoder_new(&p->codec2->decoder[i], codec);
}

static struct gw_jitter_packet codec2_packet(enum wzp_codec codec, uint16_t seq, uint32_t timestamp_ms,
                                             struct wz_bytes payload)
{
    return (struct gw_jitter_packet){
        .seq = seq,
        .timestamp = timestamp_ms,
        .duration_ticks = payload.len == gw_codec2_frame_bytes(codec) ? wzp_codec_frame_ms(codec) : 0,
        .payload = payload,
        .tag = (uint8_t)codec,
    };
}

/* What comes back is older than the packet that brought it, and in front of it in the buffer. */
static void put_repaired(struct gw_playout *p, enum wzp_codec codec, uint64_t now_us)
{
    struct gw_repair_frame lost;

    while (gw_repair_take(&p->codec2->repair, &lost)) {
        struct gw_jitter_packet packet =
            codec2_packet(codec, lost.seq, lost.timestamp_ms, wz_bytes(lost.frame.data, lost.frame.len));
        packet.is_repaired = true;
        if (packet.duration_ticks > 0)
            (void)gw_jitter_put(p->jitter, &packet, now_us); /* too late: concealed already */
    }
}

static int put_codec2(struct gw_playout *p, const struct wzp_media_hdr *hdr, struct wz_bytes payload, uint64_t now_us)
{
    int err = need_codec2(p, hdr->codec);

    if (err) {
        gw_jitter_note(p->jitter, hdr->seq);
        return err;
    }
    if (gw_playout_is_fresh(p))
        gw_repair_expect_loss(&p->codec2->repair, now_us);
    if (hdr->is_repair) {
        gw_jitter_note(p->jitter, hdr->seq);
    } else {
        const struct gw_jitter_packet packet = codec2_packet(hdr->codec, hdr->seq, hdr->timestamp_ms, payload);
        err = playout_put(p, &packet, now_us);
        if (err == -EBADMSG)
            return err; /* no frame: nothing to repair others with */
    }
    if (gw_repair_packet(&p->codec2->repair, hdr, payload, now_us) > 0)
        put_repaired(p, hdr->codec, now_us);
    gw_jitter_set_hold(p->jitter, gw_repair_hold_us(&p->codec2->repair, now_us));
    return err;
}

/* ---- all ---- */

int gw_playout_put_wzp(struct gw_playout *playout, const struct wzp_media_hdr *hdr, struct wz_bytes payload,
                       uint64_t now_us)
{
    if (playout_is_codec2(hdr->codec))
        return put_codec2(playout, hdr, payload, now_us);
    if (hdr->is_repair) {
        gw_playout_note(playout, hdr->seq);
        return 0;
    }
    if (hdr->codec == WZP_CODEC_COMFORT_NOISE) {
        if (playout->codec2)
            gw_repair_note(&playout->codec2->repair, hdr->seq);
        gw_playout_comfort(playout, hdr->seq, WZP_NOISE_DBOV);
        return 0;
    }
    if (playout->codec2) {
        gw_repair_leave(&playout->codec2->repair);
        gw_jitter_set_hold(playout->jitter, 0);
    }
    return gw_playout_put(playout, hdr->seq, hdr->timestamp_ms, payload, now_us);
}
