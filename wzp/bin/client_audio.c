#include "wzp/bin/client_audio.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/media/codec_opus.h"
#include "gateway/media/playout.h"

#define TICK_SAMPLES 960
/** 40 ms at 48 kHz, the longest frame of the Opus profiles. */
#define FRAME_SAMPLES_MAX (2 * TICK_SAMPLES)
#define TONE_AMPLITUDE    8192.0
#define COMPLEXITY        8

struct client_audio {
    struct client_audio_config config;
    struct gw_opus_encoder *encoder; /**< NULL with echo */
    struct gw_playout *playout;
    struct client_wav_writer *recording;
    int record_error;

    size_t played;    /**< samples of the file sent so far */
    uint64_t tone_at; /**< samples of the tone sent so far */
    int16_t frame[FRAME_SAMPLES_MAX];
    size_t frame_samples;
    uint16_t seq;
    uint32_t timestamp_ms;

    bool echo_begun;
    uint16_t echo_seq; /**< what arrived first: our numbers start at 0 */
    uint32_t echo_timestamp_ms;

    uint64_t rx, tx, undecodable;
    enum wzp_codec heard;
};

int client_audio_new(struct client_audio **ret, const struct client_audio_config *config)
{
    struct client_audio *audio = calloc(1, sizeof *audio);
    if (!audio)
        return -ENOMEM;
    audio->config = *config;
    audio->heard = config->codec;
    const struct gw_playout_config playout = { .codec = GW_CODEC_OPUS, .clock_hz = 1000, .rate_hz = 48000 };
    const struct gw_opus_encoder_config encoder = {
        .rate_hz = 48000,
        .bitrate_bps = wzp_codec_bitrate_bps(config->codec),
        .complexity = COMPLEXITY,
    };
    int err = gw_playout_new(&audio->playout, &playout);
    if (!err && !config->echo)
        err = gw_opus_encoder_new(&audio->encoder, &encoder);
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
    gw_opus_encoder_free(audio->encoder);
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

static size_t send_source(struct client_audio *audio, uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX])
{
    const unsigned frame_ms = wzp_codec_frame_ms(audio->config.codec);
    const size_t want = (size_t)frame_ms * CLIENT_WAV_RATE_HZ / 1000;
    fill_source(audio, audio->frame + audio->frame_samples);
    audio->frame_samples += TICK_SAMPLES;
    if (audio->frame_samples < want)
        return 0;
    audio->frame_samples = 0;
    uint8_t packet[GW_OPUS_PACKET_MAX];
    const int packet_len = gw_opus_encode(audio->encoder, audio->frame, want, packet, sizeof packet);
    const struct wzp_media_hdr hdr = {
        .codec = audio->config.codec,
        .seq = audio->seq,
        .timestamp_ms = audio->timestamp_ms,
    };
    audio->timestamp_ms += frame_ms;
    if (packet_len < 0)
        return 0;
    const int len = wzp_media_encode(&hdr, wz_bytes(packet, (size_t)packet_len), buf, WZP_MEDIA_DATAGRAM_MAX);
    if (len < 0)
        return 0;
    audio->seq++;
    audio->tx++;
    return (size_t)len;
}

size_t client_audio_tick(struct client_audio *audio, uint64_t now_us, uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX])
{
    int16_t pcm[GW_PLAYOUT_SAMPLES_MAX];
    (void)gw_playout_pull(audio->playout, now_us, pcm); /* silence is recorded too: the file stays aligned */
    if (audio->recording && !audio->record_error)
        audio->record_error = client_wav_write(audio->recording, pcm, TICK_SAMPLES);
    return audio->config.echo ? 0 : send_source(audio, buf);
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

size_t client_audio_receive(struct client_audio *audio, struct wz_bytes datagram, uint64_t now_us,
                            uint8_t buf[static WZP_MEDIA_DATAGRAM_MAX])
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    audio->rx++;
    if (wzp_media_decode(datagram, &hdr, &payload) < 0) {
        audio->undecodable++;
        return 0;
    }
    if (!hdr.is_repair && hdr.codec != WZP_CODEC_COMFORT_NOISE)
        audio->heard = hdr.codec;
    const int err = gw_playout_put_wzp(audio->playout, &hdr, payload, now_us);
    if (err == -EPROTONOSUPPORT || err == -EBADMSG)
        audio->undecodable++;
    return audio->config.echo ? echo_back(audio, &hdr, payload, buf) : 0;
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
        .loss_pct = expected ? 100.0 * (double)stats.jitter.lost / (double)expected : 0,
        .jitter_ms = stats.jitter.jitter_us / 1000.0,
        .codec = wzp_codec_name(audio->heard),
    };
}
