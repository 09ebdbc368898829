/* struct sipua_sdp to text, and the reading of an Opus fmtp. */
#include "sip/sdp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wzp/base/bytes.h"

static void put(struct wz_writer *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct wz_writer *out, const char *fmt, ...)
{
    char text[SIPUA_SDP_FMTP_MAX + SIPUA_SDP_CANDIDATE_MAX];
    va_list args;
    va_start(args, fmt);
    const int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof text)
        out->overflow = true;
    else
        wz_put(out, text, (size_t)len);
}

static const char *address_text(const struct wz_addr *addr, char ip[static WZ_ADDR_TEXT_MAX], const char **ret_type)
{
    *ret_type = addr->family == WZ_ADDR_V6 ? "IP6" : "IP4";
    return addr->family == WZ_ADDR_NONE ? "0.0.0.0" : wz_addr_format_ip(addr, ip);
}

static void put_codec(struct wz_writer *out, const struct sipua_sdp_codec *codec)
{
    put(out, "a=rtpmap:%u %s/%u", codec->pt, codec->name, codec->clock_hz);
    if (codec->channels > 1)
        put(out, "/%u", codec->channels);
    put(out, "\r\n");
    if (codec->fmtp[0])
        put(out, "a=fmtp:%u %s\r\n", codec->pt, codec->fmtp);
}

static void put_audio(struct wz_writer *out, const struct sipua_sdp *sdp)
{
    const struct sipua_sdp_mline *line = &sdp->mline[sdp->audio_index];
    put(out, "m=%s %u %s", line->media, sdp->audio.port, line->proto);
    for (size_t i = 0; i < sdp->codec_count; i++)
        put(out, " %u", sdp->codec[i].pt);
    put(out, "\r\n");
    for (size_t i = 0; i < sdp->codec_count; i++)
        put_codec(out, &sdp->codec[i]);
    if (sdp->ptime_ms)
        put(out, "a=ptime:%u\r\n", sdp->ptime_ms);
    if (sdp->maxptime_ms)
        put(out, "a=maxptime:%u\r\n", sdp->maxptime_ms);
    if (sdp->rtcp_port != 0 && sdp->rtcp_port != (uint16_t)(sdp->audio.port + 1))
        put(out, "a=rtcp:%u\r\n", sdp->rtcp_port);
    if (sdp->rtcp_mux)
        put(out, "a=rtcp-mux\r\n");
    for (size_t i = 0; i < sdp->candidate_count; i++)
        put(out, "a=candidate:%s\r\n", sdp->candidate[i]);
    put(out, "a=%s\r\n", sipua_direction_name(sdp->direction));
}

int sipua_sdp_format(const struct sipua_sdp *sdp, char *buf, size_t size)
{
    char ip[WZ_ADDR_TEXT_MAX];
    const char *type;
    struct wz_writer out = wz_writer(buf, size);
    const char *text = address_text(&sdp->origin, ip, &type);
    put(&out, "v=0\r\no=%s %" PRIu64 " %" PRIu64 " IN %s %s\r\ns=-\r\n", sdp->origin_user[0] ? sdp->origin_user : "-",
        sdp->session_id, sdp->session_version, type, text);
    text = address_text(&sdp->audio, ip, &type);
    put(&out, "c=IN %s %s\r\nt=0 0\r\n", type, text);
    for (size_t i = 0; i < sdp->mline_count; i++) {
        if (i == sdp->audio_index)
            put_audio(&out, sdp);
        else
            put(&out, "m=%s 0 %s %s\r\n", sdp->mline[i].media, sdp->mline[i].proto, sdp->mline[i].format);
    }
    const size_t len = wz_written(&out);
    wz_put_u8(&out, 0);
    return wz_writer_ok(&out) ? (int)len : -ENOSPC;
}

/* "name=value" at the start of text, up to the next semicolon: the number, or fallback. */
static uint32_t fmtp_number(const char *text, const char *name, uint32_t fallback)
{
    const size_t len = strlen(name);
    while (text) {
        text += strspn(text, "; \t");
        if (strncasecmp(text, name, len) == 0 && text[len] == '=' && text[len + 1] >= '0' && text[len + 1] <= '9') {
            const unsigned long value = strtoul(text + len + 1, NULL, 10);
            return value <= UINT32_MAX ? (uint32_t)value : fallback;
        }
        text = strchr(text, ';');
    }
    return fallback;
}

struct sipua_opus_fmtp sipua_sdp_opus_fmtp(const char *fmtp)
{
    const uint32_t playback = fmtp_number(fmtp, "maxplaybackrate", 48000);
    const uint32_t bitrate = fmtp_number(fmtp, "maxaveragebitrate", 0);
    return (struct sipua_opus_fmtp){
        .max_playback_hz = playback >= 8000 && playback <= 48000 ? playback : 48000,
        .max_average_bitrate_bps = bitrate >= 6000 && bitrate <= 510000 ? bitrate : 0,
        .stereo = fmtp_number(fmtp, "stereo", 0) == 1,
        .cbr = fmtp_number(fmtp, "cbr", 0) == 1,
        .inband_fec = fmtp_number(fmtp, "useinbandfec", 0) == 1,
        .dtx = fmtp_number(fmtp, "usedtx", 0) == 1,
    };
}
