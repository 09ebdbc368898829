#include "wzp/bin/client_audio.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/media/adaptive.h"
#include "gateway/media/playout.h"
#include "gateway/media/wzp_tx.h"
#include "wzp/core/fec.h"

#define TICK_SAMPLES   960
#define TONE_AMPLITUDE 8192.0
#define COMPLEXITY     8
/** The most that one tick sends: the last frame of a block and its repair. */
#define QUEUE_MAX (1 + WZP_FEC_BLOCK_MAX)

struct outgoing {
    size_t len;
    uint8_t byte[WZP_MEDIA_DATAGRAM_MAX];
};

struct client_audio {
    struct client_audio_config config;
    struct gw_wzp_tx *encoder; /**< NULL with echo, and where nothing is sent */
    struct gw_playout *playout;
    struct client_wav_writer *recording;
    int record_error;

    size_t played;    /**< samples of the file sent so far */
    uint64_t tone_at; /**< samples of the tone sent so far */
    uint16_t seq;
    uint32_t timestamp_ms;
    size_t queued, taken;
    struct outgoing queue[QUEUE_MAX];

    struct gw_adaptive adaptive;
    bool has_path_report;
    struct wzp_quality_report path_report;
    unsigned frames_since_report;
    uint64_t now_us;

    bool echo_begun;
    uint16_t echo_seq; /**< what arrived first: our numbers start at 0 */
    uint32_t echo_timestamp_ms;

    uint64_t rx, tx, undecodable, reports_rx, reports_tx;
    enum wzp_codec heard;
};

/* ---- names ---- */

static const struct codec_name {
    const char *name;
    enum wzp_codec codec;
} codec_names[] = {
    { "good", WZP_CODEC_OPUS_24K },           { "opus", WZP_CODEC_OPUS_24K },
    { "degraded", WZP_CODEC_OPUS_6K },        { "catastrophic", WZP_CODEC_CODEC2_1200 },
    { "codec2-1200", WZP_CODEC_CODEC2_1200 }, { "codec2-3200", WZP_CODEC_CODEC2_3200 },
    { "studio-32k", WZP_CODEC_OPUS_32K },     { "studio-48k", WZP_CODEC_OPUS_48K },
    { "studio-64k", WZP_CODEC_OPUS_64K },
};

int client_codec_parse(const char *name, enum wzp_codec *ret, bool *ret_auto)
{
    for (size_t i = 0; i < sizeof codec_names / sizeof codec_names[0]; i++) {
        if (strcasecmp(name, codec_names[i].name) == 0) {
            *ret = codec_names[i].codec;
            *ret_auto = false;
            return 0;
        }
    }
    for (int i = 0; i < WZP_CODEC_COUNT; i++) {
        const enum wzp_codec codec = (enum wzp_codec)i;
        if (gw_wzp_tx_can_send(codec) && strcasecmp(name, wzp_codec_name(codec)) == 0) {
            *ret = codec;
            *ret_auto = false;
            return 0;
        }
    }
    if (strcasecmp(name, "auto") != 0)
        return -EINVAL;
    *ret = WZP_CODEC_OPUS_64K;
    *ret_auto = true;
    return 0;
}

void client_audio_features(char *buf, size_t size)
{
    (void)snprintf(buf, size, "%s (%s), Codec2", gw_opus_version(), gw_opus_has_dred() ? "DRED" : "no DRED");
}

/* ---- life ---- */

static bool has_source(const struct client_audio_config *config)
{
    return config->play || config->tone_hz > 0 || !config->quiet;
}

static void queue_packet(void *arg, const struct gw_wzp_tx_packet *packet);

static void skip_silence(void *arg, unsigned ms)
{
    struct client_audio *audio = arg;
    audio->timestamp_ms += ms;
}

static int make_encoder(struct client_audio *audio)
{
    const struct gw_wzp_tx_config config = {
        .rate_hz = CLIENT_WAV_RATE_HZ,
        .complexity = COMPLEXITY,
        .dred = GW_OPUS_DRED_ALWAYS,
        .suppress_silence = audio->config.suppress_silence,
        .packet = queue_packet,
        .silence = skip_silence,
        .arg = audio,
    };
    if (audio->config.echo || !has_source(&audio->config))
        return 0;
    return gw_wzp_tx_new(&audio->encoder, &config);
}

static void start_adaptive(struct client_audio *audio)
{
    const struct client_audio_config *config = &audio->config;
    enum gw_adapt mode = GW_ADAPT_OFF;
    if (config->adapts)
        mode = config->by_reference ? GW_ADAPT_REFERENCE : GW_ADAPT_CONGESTION;
    gw_adaptive_init(&audio->adaptive, config->codec, mode, 0);
    audio->adaptive.is_room = config->in_room;
    if (config->adapts) /* the path has to earn what is above Good */
        wzp_quality_init(&audio->adaptive.quality, false, 0);
}

int client_audio_new(struct client_audio **ret, const struct client_audio_config *config)
{
    struct client_audio *audio = calloc(1, sizeof *audio);
    if (!audio)
        return -ENOMEM;
    audio->config = *config;
    audio->heard = config->codec;
    start_adaptive(audio);
    const struct gw_playout_config playout = { .codec = GW_CODEC_OPUS, .clock_hz = 1000, .rate_hz = 48000 };
    int err = gw_playout_new(&audio->playout, &playout);
    if (!err)
        err = make_encoder(audio);
    if (!err && config->record)
        err = client_wav_create(&audio->recording, config->record);
    if (err < 0) {
        (void)client_audio_free(audio); /* the error is known */
        return err;
    }
    *ret = audio;
    return 0;
}

int client_audio_free(struct client_audio *audio)
{
    if (!audio)
        return 0;
    const int closed = client_wav_close(audio->recording);
    const int err = audio->record_error ? audio->record_error : closed;
    gw_playout_free(audio->playout);
    gw_wzp_tx_free(audio->encoder);
    free(audio);
    return err;
}

/* ---- sending ---- */

static void fill_source(struct client_audio *audio, int16_t *pcm)
{
    const struct client_pcm *play = audio->config.play;
    if (audio->config.tone_hz > 0) {
        const double step = 2.0 * M_PI * audio->config.tone_hz / CLIENT_WAV_RATE_HZ;
        for (size_t i = 0; i < TICK_SAMPLES; i++)
            pcm[i] = (int16_t)lrint(TONE_AMPLITUDE * sin(fmod(step * (double)audio->tone_at++, 2.0 * M_PI)));
        return;
    }
    memset(pcm, 0, TICK_SAMPLES * sizeof *pcm);
    if (!play || audio->played >= play->count)
        return;
    const size_t left = play->count - audio->played;
    const size_t now = left < TICK_SAMPLES ? left : TICK_SAMPLES;
    memcpy(pcm, play->sample + audio->played, now * sizeof *pcm);
    audio->played += now;
}

/** Our own figures ride on every 50th audio packet, and count for our own choice of codec. */
static void add_report(struct client_audio *audio, struct wzp_media_hdr *hdr)
{
    if (!audio->has_path_report || ++audio->frames_since_report < CLIENT_REPORT_FRAMES)
        return;
    audio->frames_since_report = 0;
    audio->reports_tx++;
    hdr->has_report = true;
    hdr->report = audio->path_report;
    (void)gw_adaptive_own_report(&audio->adaptive, &hdr->report, audio->now_us);
}

static void queue_packet(void *arg, const struct gw_wzp_tx_packet *packet)
{
    struct client_audio *audio = arg;
    struct wzp_media_hdr hdr = {
        .codec = packet->codec,
        .is_repair = packet->is_repair,
        .seq = audio->seq,
        .timestamp_ms = audio->timestamp_ms,
        .fec_ratio = packet->fec_ratio,
        .fec_block = packet->fec_block,
        .fec_symbol = packet->fec_symbol,
    };
    if (packet->duration_ms > 0)
        add_report(audio, &hdr);
    audio->timestamp_ms += packet->duration_ms;
    if (audio->queued == QUEUE_MAX)
        return; /* no profile has blocks this large */
    struct outgoing *out = &audio->queue[audio->queued];
    const int len = wzp_media_encode(&hdr, packet->payload, out->byte, sizeof out->byte);
    if (len < 0)
        return; /* an Opus packet larger than any datagram */
    out->len = (size_t)len;
    audio->queued++;
    audio->seq++;
    audio->tx++;
}

size_t client_audio_next(struct client_audio *audio, uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX])
{
    if (audio->taken >= audio->queued)
        return 0;
    const struct outgoing *out = &audio->queue[audio->taken++];
    memcpy(buf, out->byte, out->len);
    return out->len;
}

size_t client_audio_tick(struct client_audio *audio, uint64_t now_us, uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX])
{
    int16_t pcm[GW_PLAYOUT_SAMPLES_MAX];
    audio->now_us = now_us;
    (void)gw_playout_pull(audio->playout, now_us, pcm); /* silence is recorded too: the file stays aligned */
    if (audio->recording && !audio->record_error)
        audio->record_error = client_wav_write(audio->recording, pcm, TICK_SAMPLES);
    if (audio->config.heard)
        audio->config.heard(audio->config.heard_arg, pcm, TICK_SAMPLES);
    audio->queued = audio->taken = 0;
    if (!audio->encoder)
        return 0;
    fill_source(audio, gw_wzp_tx_room(audio->encoder));
    (void)gw_wzp_tx_push(audio->encoder, gw_adaptive_codec(&audio->adaptive)); /* without memory it is Opus6k */
    return client_audio_next(audio, buf);
}

/* ---- receiving ---- */

/** The same payload under our own numbering, which starts at 0; gaps and order stay as they are. */
static size_t echo_back(struct client_audio *audio, const struct wzp_media_hdr *in, struct wz_bytes payload,
                        uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX])
{
    if (!audio->echo_begun) {
        audio->echo_begun = true;
        audio->echo_seq = in->seq;
        audio->echo_timestamp_ms = in->timestamp_ms;
    }
    struct wzp_media_hdr hdr = *in;
    hdr.seq = (uint16_t)(in->seq - audio->echo_seq);
    hdr.timestamp_ms = in->timestamp_ms - audio->echo_timestamp_ms;
    hdr.has_report = false; /* it told about their reception, not ours */
    const int len = wzp_media_encode(&hdr, payload, buf, WZP_MEDIA_DATAGRAM_MAX);
    if (len < 0)
        return 0;
    audio->tx++;
    return (size_t)len;
}

static void take_report(struct client_audio *audio, const struct wzp_quality_report *report)
{
    audio->reports_rx++;
    (void)gw_adaptive_peer_report(&audio->adaptive, report, audio->now_us);
    if (audio->encoder)
        gw_wzp_tx_set_loss(audio->encoder, report->loss * 100u / 255);
}

size_t client_audio_receive(struct client_audio *audio, struct wz_bytes datagram, uint64_t now_us,
                            uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX])
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    audio->now_us = now_us;
    audio->rx++;
    if (wzp_media_decode(datagram, &hdr, &payload) < 0) {
        audio->undecodable++;
        return 0;
    }
    if (hdr.has_report)
        take_report(audio, &hdr.report);
    if (!hdr.is_repair && hdr.codec != WZP_CODEC_COMFORT_NOISE)
        audio->heard = hdr.codec;
    if (gw_playout_put_wzp(audio->playout, &hdr, payload, now_us) == -EBADMSG)
        audio->undecodable++;
    return audio->config.echo ? echo_back(audio, &hdr, payload, buf) : 0;
}

/* ---- the path ---- */

void client_audio_set_path_stats(struct client_audio *audio, uint32_t loss_milli_pct, uint32_t rtt_ms,
                                 uint32_t jitter_ms)
{
    audio->path_report = wzp_quality_from_stats(loss_milli_pct, rtt_ms, jitter_ms);
    audio->has_path_report = true;
}

void client_audio_path_changed(struct client_audio *audio)
{
    gw_adaptive_path_changed(&audio->adaptive);
    audio->has_path_report = false;
}

void client_audio_directive(struct client_audio *audio, const struct wzp_profile *profile)
{
    (void)gw_adaptive_directive(&audio->adaptive, profile); /* the next frame asks for the codec */
}

void client_audio_stats(const struct client_audio *audio, struct client_audio_stats *ret)
{
    struct gw_playout_stats stats;
    gw_playout_stats(audio->playout, &stats);
    const uint64_t expected = stats.jitter.received + stats.jitter.lost;
    *ret = (struct client_audio_stats){
        .rx = audio->rx,
        .tx = audio->tx,
        .undecodable = audio->undecodable,
        .lost = stats.jitter.lost,
        .concealed = stats.jitter.concealed,
        .repaired = stats.repaired,
        .unrepaired = stats.unrepaired,
        .reports_rx = audio->reports_rx,
        .reports_tx = audio->reports_tx,
        .loss_pct = expected ? 100.0 * (double)stats.jitter.lost / (double)expected : 0,
        .jitter_ms = stats.jitter.jitter_us / 1000.0,
        .codec = wzp_codec_name(audio->heard),
        .codec_tx = wzp_codec_name(gw_adaptive_codec(&audio->adaptive)),
    };
}
