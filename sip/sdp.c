/* SDP text to struct sipua_sdp. sofia's sdp_parse does the grammar; it is given only the lines that we use, checked
 * first, since its rarer branches have a history of reading past the end. */
#include "sip/sdp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sofia-sip/sdp.h>

#include "wzp/base/bytes.h"

/* Our own session name and time replace the peer's, hence a little more than the input. */
#define FILTERED_MAX   (SIPUA_SDP_MAX_BYTES + 64)
#define LINE_MAX_BYTES 1024

static const char *const wanted_attribute[] = {
    "rtpmap:",    "fmtp:",    "ptime:",   "maxptime:", "rtcp:",    "rtcp-mux",
    "candidate:", "sendrecv", "sendonly", "recvonly",  "inactive",
};

static bool line_is_clean(struct wz_bytes line)
{
    for (size_t i = 0; i < line.len; i++)
        if ((line.data[i] < 0x20 && line.data[i] != '\t') || line.data[i] == 0x7f)
            return false;
    return line.len >= 2 && line.len <= LINE_MAX_BYTES && line.data[0] >= 'a' && line.data[0] <= 'z' &&
           line.data[1] == '=';
}

static bool line_contains(struct wz_bytes line, char c)
{
    return memchr(line.data, c, line.len) != NULL;
}

static bool attribute_is_wanted(struct wz_bytes line)
{
    for (size_t i = 0; i < sizeof wanted_attribute / sizeof wanted_attribute[0]; i++) {
        const size_t len = strlen(wanted_attribute[i]);
        if (line.len - 2 >= len && strncasecmp((const char *)line.data + 2, wanted_attribute[i], len) == 0)
            return true;
    }
    return false;
}

static bool is_token_char(uint8_t c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`{|}~", c) != NULL;
}

/* May c stand in this word of an m-line? 0 media, 1 port, 2 proto, 3 and up formats. */
static bool mline_allows(size_t word, uint8_t c)
{
    if (word == 1)
        return (c >= '0' && c <= '9') || c == '/';
    return is_token_char(c) || (word == 2 && c == '/');
}

/* "m=" media port proto format..., one blank between. Where a format holds any other byte, or the port is no number so
 * that words shift, sdp_parse() allocates for ever. */
static bool mline_is_clean(struct wz_bytes line)
{
    size_t word = 0, word_len = 0;
    for (size_t i = 2; i < line.len; i++) {
        const uint8_t c = line.data[i];
        if (c != ' ' && !mline_allows(word, c))
            return false;
        if (c == ' ' && word_len == 0)
            return false;
        word += c == ' ';
        word_len = c == ' ' ? 0 : word_len + 1;
    }
    return word >= 3 && word_len > 0;
}

static void put_line(struct wz_writer *out, struct wz_bytes line)
{
    wz_put(out, line.data, line.len);
    wz_put(out, "\r\n", 2);
}

/* The next line without its end; CRLF, or a bare CR or LF. */
static struct wz_bytes next_line(struct wz_reader *in)
{
    const uint8_t *start = in->pos;
    while (wz_left(in) > 0 && *in->pos != '\r' && *in->pos != '\n')
        in->pos++;
    const struct wz_bytes line = wz_bytes(start, (size_t)(in->pos - start));
    while (wz_left(in) > 0 && (*in->pos == '\r' || *in->pos == '\n'))
        in->pos++;
    return line;
}

static int filter_line(struct wz_bytes line, struct wz_writer *out, size_t *mlines)
{
    switch (line.data[0]) {
    case 'o':
        put_line(out, line);
        return 0;
    case 'c':
        if (line_contains(line, '/')) /* multicast: never a telephone, always a way to make us flood someone */
            return -EBADMSG;
        put_line(out, line);
        return 0;
    case 'm':
        while (line.data[line.len - 1] == ' ') /* some phones write one */
            line.len--;
        if (!mline_is_clean(line))
            return -EBADMSG;
        if (++*mlines > SIPUA_SDP_MAX_MLINES)
            return -EMSGSIZE;
        put_line(out, line);
        return 0;
    case 'a':
        if (attribute_is_wanted(line))
            put_line(out, line);
        return 0;
    default:
        return 0;
    }
}

/* 0, -EMSGSIZE or -EBADMSG. */
static int filter(const char *text, size_t len, struct wz_writer *out)
{
    struct wz_reader in = wz_reader(wz_bytes(text, len));
    struct wz_bytes line = next_line(&in);
    size_t mlines = 0;
    bool timed = false;
    if (!wz_bytes_equal(line, wz_bytes_str("v=0")))
        return -EBADMSG;
    put_line(out, line);
    while (wz_left(&in) > 0) {
        line = next_line(&in);
        if (!line_is_clean(line))
            return -EBADMSG;
        if (!timed && line.data[0] == 'm') {
            put_line(out, wz_bytes_str("s=-"));
            put_line(out, wz_bytes_str("t=0 0"));
            timed = true;
        }
        const int err = filter_line(line, out, &mlines);
        if (err < 0)
            return err;
    }
    return wz_writer_ok(out) ? 0 : -EMSGSIZE;
}

/* Copy text that will be shown or echoed: no blanks, quotes or bytes outside ASCII. False when it does not fit. */
static bool copy_word(const char *text, char *out, size_t size)
{
    const size_t len = text ? strlen(text) : 0;
    if (len == 0 || len >= size)
        return false;
    for (size_t i = 0; i <= len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c != '\0' && (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\'))
            return false;
        out[i] = (char)c;
    }
    return true;
}

static enum sipua_codec codec_by_name(const char *name, unsigned long clock_hz, unsigned channels)
{
    if (strcasecmp(name, "PCMU") == 0 && clock_hz == 8000 && channels == 1)
        return SIPUA_CODEC_PCMU;
    if (strcasecmp(name, "PCMA") == 0 && clock_hz == 8000 && channels == 1)
        return SIPUA_CODEC_PCMA;
    if (strcasecmp(name, "opus") == 0 && clock_hz == 48000 && channels == 2)
        return SIPUA_CODEC_OPUS;
    if (strcasecmp(name, "telephone-event") == 0 && channels == 1)
        return SIPUA_CODEC_TELEPHONE_EVENT;
    return SIPUA_CODEC_OTHER;
}

static unsigned channel_count(const char *params)
{
    if (!params || !*params)
        return 1;
    const long value = strtol(params, NULL, 10);
    return value >= 1 && value <= 255 ? (unsigned)value : 0;
}

static bool has_pt(const struct sipua_sdp *sdp, unsigned pt)
{
    for (size_t i = 0; i < sdp->codec_count; i++)
        if (sdp->codec[i].pt == pt)
            return true;
    return false;
}

static void take_codecs(const sdp_media_t *media, struct sipua_sdp *sdp)
{
    for (const sdp_rtpmap_t *map = media->m_rtpmaps; map; map = map->rm_next) {
        struct sipua_sdp_codec codec = { .pt = (uint8_t)map->rm_pt };
        const unsigned channels = channel_count(map->rm_params);
        if (sdp->codec_count == SIPUA_SDP_MAX_CODECS)
            return;
        if (has_pt(sdp, map->rm_pt) || channels == 0 || map->rm_rate == 0 || map->rm_rate > UINT32_MAX ||
            !copy_word(map->rm_encoding, codec.name, sizeof codec.name))
            continue;
        codec.codec = codec_by_name(codec.name, map->rm_rate, channels);
        codec.clock_hz = (uint32_t)map->rm_rate;
        codec.channels = (uint8_t)channels;
        if (map->rm_fmtp && strlen(map->rm_fmtp) < sizeof codec.fmtp)
            memcpy(codec.fmtp, map->rm_fmtp, strlen(map->rm_fmtp) + 1);
        sdp->codec[sdp->codec_count++] = codec;
    }
}

/* A decimal of at most max, else 0. */
static uint16_t small_number(const char *text, unsigned long max)
{
    char *end;
    if (!text || *text < '0' || *text > '9')
        return 0;
    const unsigned long value = strtoul(text, &end, 10);
    return value <= max ? (uint16_t)value : 0;
}

static void take_attributes(const sdp_media_t *media, struct sipua_sdp *sdp)
{
    for (const sdp_attribute_t *a = media->m_attributes; a; a = a->a_next) {
        if (strcasecmp(a->a_name, "rtcp-mux") == 0) {
            sdp->rtcp_mux = true;
        } else if (!a->a_value) {
            continue;
        } else if (strcasecmp(a->a_name, "ptime") == 0) {
            sdp->ptime_ms = small_number(a->a_value, 1000);
        } else if (strcasecmp(a->a_name, "maxptime") == 0) {
            sdp->maxptime_ms = small_number(a->a_value, 1000);
        } else if (strcasecmp(a->a_name, "rtcp") == 0) {
            const uint16_t port = small_number(a->a_value, UINT16_MAX);
            if (port != 0)
                sdp->rtcp_port = port;
        } else if (strcasecmp(a->a_name, "candidate") == 0 && sdp->candidate_count < SIPUA_SDP_MAX_CANDIDATE &&
                   strlen(a->a_value) < SIPUA_SDP_CANDIDATE_MAX) {
            memcpy(sdp->candidate[sdp->candidate_count++], a->a_value, strlen(a->a_value) + 1);
        }
    }
}

static enum sipua_direction direction_of(const sdp_media_t *media)
{
    switch (media->m_mode) {
    case sdp_sendonly:
        return SIPUA_DIR_SEND;
    case sdp_recvonly:
        return SIPUA_DIR_RECV;
    case sdp_inactive:
        return SIPUA_DIR_INACTIVE;
    default:
        return SIPUA_DIR_SENDRECV;
    }
}

static int connection_address(const sdp_connection_t *connection, uint16_t port, struct wz_addr *ret)
{
    struct wz_addr addr;
    if (!connection || !connection->c_address || wz_addr_parse_ip(connection->c_address, port, &addr) < 0)
        return -EBADMSG;
    if (wz_addr_kind(&addr) == WZ_ADDR_KIND_NONE && !wz_addr_is_any(&addr))
        return -EBADMSG; /* multicast, broadcast */
    *ret = addr;
    return 0;
}

static int take_audio(sdp_media_t *media, struct sipua_sdp *sdp)
{
    const int err = connection_address(sdp_media_connections(media), (uint16_t)media->m_port, &sdp->audio);
    if (err < 0)
        return err;
    sdp->proto = media->m_proto == sdp_proto_rtp ? SIPUA_PROTO_RTP_AVP : SIPUA_PROTO_OTHER;
    sdp->rtcp_port = media->m_port < UINT16_MAX ? (uint16_t)(media->m_port + 1) : 0;
    sdp->direction = direction_of(media);
    if (wz_addr_is_any(&sdp->audio)) /* hold as RFC 2543 had it */
        sdp->direction &= SIPUA_DIR_SEND;
    take_codecs(media, sdp);
    take_attributes(media, sdp);
    return 0;
}

static int take_mline(const sdp_media_t *media, struct sipua_sdp_mline *ret)
{
    struct sipua_sdp_mline line = { 0 };
    if (!copy_word(media->m_type_name, line.media, sizeof line.media) ||
        !copy_word(media->m_proto_name, line.proto, sizeof line.proto))
        return -EBADMSG;
    if (media->m_rtpmaps) {
        const unsigned pt = media->m_rtpmaps->rm_pt;
        char digits[4] = { (char)('0' + pt / 100), (char)('0' + pt / 10 % 10), (char)('0' + pt % 10), '\0' };
        const char *start = pt >= 100 ? digits : pt >= 10 ? digits + 1 : digits + 2;
        memcpy(line.format, start, strlen(start) + 1);
    } else if (!media->m_format || !copy_word(media->m_format->l_text, line.format, sizeof line.format)) {
        return -EBADMSG;
    }
    *ret = line;
    return 0;
}

static int take_media(const sdp_session_t *session, struct sipua_sdp *sdp)
{
    sdp_media_t *audio = NULL;
    for (sdp_media_t *media = session->sdp_media; media; media = media->m_next) {
        if (sdp->mline_count == SIPUA_SDP_MAX_MLINES)
            return -EMSGSIZE;
        if (media->m_port > UINT16_MAX)
            return -EBADMSG;
        const int err = take_mline(media, &sdp->mline[sdp->mline_count]);
        if (err < 0)
            return err;
        if (!audio && media->m_type == sdp_media_audio && media->m_port != 0) {
            audio = media;
            sdp->audio_index = sdp->mline_count;
        }
        sdp->mline_count++;
    }
    if (audio)
        return take_audio(audio, sdp);
    sdp->audio_index = sdp->mline_count;
    return 0;
}

static int take_session(const sdp_session_t *session, struct sipua_sdp *sdp)
{
    const sdp_origin_t *origin = session->sdp_origin;
    if (origin) {
        sdp->session_id = origin->o_id;
        sdp->session_version = origin->o_version;
        (void)copy_word(origin->o_username, sdp->origin_user, sizeof sdp->origin_user);
        if (origin->o_address) /* a host name is fine here: nothing is sent to the origin */
            (void)connection_address(origin->o_address, 0, &sdp->origin);
    }
    return take_media(session, sdp);
}

int sipua_sdp_parse(const char *text, size_t len, struct sipua_sdp *ret)
{
    char filtered[FILTERED_MAX];
    struct wz_writer out = wz_writer(filtered, sizeof filtered);
    if (len == 0)
        return -EBADMSG;
    if (len > SIPUA_SDP_MAX_BYTES)
        return -EMSGSIZE;
    int err = filter(text, len, &out);
    if (err < 0)
        return err;
    sdp_parser_t *parser = sdp_parse(NULL, filtered, (issize_t)wz_written(&out), sdp_f_c_missing);
    const sdp_session_t *session = sdp_session(parser);
    struct sipua_sdp sdp = { 0 };
    err = session ? take_session(session, &sdp) : -EBADMSG;
    sdp_parser_free(parser);
    if (err == 0)
        *ret = sdp;
    return err;
}
