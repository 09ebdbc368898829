/* SDP: what is read, what is refused, and the answers given. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sip/sdp.h"

#define ORIGIN "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n"
#define HEAD   "v=0\r\no=jdoe 12 34 IN IP4 192.0.2.9\r\ns=call\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

static struct sipua_sdp parse(const char *text)
{
    struct sipua_sdp sdp;
    assert_int_equal(sipua_sdp_parse(text, strlen(text), &sdp), 0);
    return sdp;
}

static void expect_parse_error(const char *text, size_t len, int err)
{
    struct sipua_sdp sdp = { .session_id = 99 };
    assert_int_equal(sipua_sdp_parse(text, len, &sdp), err);
    assert_int_equal(sdp.session_id, 99);
}

static struct sipua_sdp_caps caps(void)
{
    struct sipua_sdp_caps caps = { .prefer = { SIPUA_CODEC_OPUS, SIPUA_CODEC_PCMA, SIPUA_CODEC_PCMU },
                                   .prefer_count = 3,
                                   .telephone_event = true,
                                   .session_id = 5,
                                   .session_version = 6,
                                   .ptime_ms = 20,
                                   .direction = SIPUA_DIR_SENDRECV };
    (void)wz_addr_parse("198.51.100.2:6000", &caps.audio);
    return caps;
}

struct outcome {
    struct sipua_sdp answer;
    struct sipua_sdp_choice choice;
    char text[SIPUA_SDP_TEXT_MAX];
};

static struct outcome answer(const char *offer_text, const struct sipua_sdp_caps *own)
{
    struct outcome out;
    char why[SIPUA_SDP_WHY_MAX];
    const struct sipua_sdp offer = parse(offer_text);
    assert_int_equal(sipua_sdp_answer(&offer, own, &out.answer, &out.choice, why), 0);
    assert_true(sipua_sdp_format(&out.answer, out.text, sizeof out.text) > 0);
    return out;
}

static void every_field_is_read(void **state)
{
    (void)state;
    const struct sipua_sdp sdp =
        parse(HEAD "m=audio 4000 RTP/AVP 96 0 101 97\r\na=rtpmap:96 opus/48000/2\r\n"
                   "a=fmtp:96 useinbandfec=1;maxaveragebitrate=24000\r\n"
                   "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
                   "a=rtpmap:97 G726-32/8000\r\na=ptime:30\r\na=maxptime:60\r\na=rtcp:4009\r\n"
                   "a=rtcp-mux\r\na=sendonly\r\n"
                   "a=candidate:1 1 UDP 2130706431 10.0.0.1 8998 typ host\r\n"
                   "a=candidate:2 1 UDP 1694498815 203.0.113.1 9000 typ srflx raddr 10.0.0.1 rport 8998\r\n");
    struct wz_addr want;
    assert_string_equal(sdp.origin_user, "jdoe");
    assert_int_equal(sdp.session_id, 12);
    assert_int_equal(sdp.session_version, 34);
    (void)wz_addr_parse("192.0.2.1:4000", &want);
    assert_true(wz_addr_equal(&sdp.audio, &want));
    assert_int_equal(sdp.codec_count, 4);
    assert_int_equal(sdp.codec[0].codec, SIPUA_CODEC_OPUS);
    assert_int_equal(sdp.codec[0].pt, 96);
    assert_int_equal(sdp.codec[0].channels, 2);
    assert_string_equal(sdp.codec[0].fmtp, "useinbandfec=1;maxaveragebitrate=24000");
    assert_int_equal(sdp.codec[1].codec, SIPUA_CODEC_PCMU); /* static type without rtpmap */
    assert_int_equal(sdp.codec[1].clock_hz, 8000);
    assert_int_equal(sdp.codec[2].codec, SIPUA_CODEC_TELEPHONE_EVENT);
    assert_int_equal(sdp.codec[3].codec, SIPUA_CODEC_OTHER);
    assert_string_equal(sdp.codec[3].name, "G726-32");
    assert_int_equal(sdp.ptime_ms, 30);
    assert_int_equal(sdp.maxptime_ms, 60);
    assert_int_equal(sdp.rtcp_port, 4009);
    assert_true(sdp.rtcp_mux);
    assert_int_equal(sdp.direction, SIPUA_DIR_SEND);
    assert_int_equal(sdp.candidate_count, 2);
    assert_string_equal(sdp.candidate[0], "1 1 UDP 2130706431 10.0.0.1 8998 typ host");
}

static void media_connection_beats_the_session_one(void **state)
{
    (void)state;
    struct wz_addr want;
    const struct sipua_sdp sdp = parse(HEAD "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n");
    (void)wz_addr_parse("[2001:db8::1]:4000", &want);
    assert_true(wz_addr_equal(&sdp.audio, &want));
    assert_int_equal(sdp.rtcp_port, 4001);
}

static void bare_line_ends_and_unused_lines_are_fine(void **state)
{
    (void)state;
    const struct sipua_sdp sdp = parse("v=0\no=- 1 1 IN IP4 host.example\ns=x\ni=info\nb=AS:64\nc=IN IP4 192.0.2.1\n"
                                       "t=0 0\na=group:BUNDLE 0\nm=audio 4000 RTP/AVP 0 \na=unknown:thing\n");
    assert_int_equal(sdp.codec_count, 1);
    assert_int_equal(sdp.origin.family, WZ_ADDR_NONE);
}

static void what_is_not_sdp_is_refused(void **state)
{
    static const char *const bad[] = {
        "hello",
        "v=0\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", /* no origin */
        "v=1\r\n",
        HEAD "m=audio 4000 RTP/AVP 0\r\nnonsense\r\n",
        HEAD "m=audio 4000 RTP/AVP 0\r\na=x:\001\r\n",
        HEAD "m=audio 70000 RTP/AVP 0\r\n",
        HEAD "m=audio x RTP/AVP 0\r\n",
        HEAD "m=audio 4000 RTP/AVP\r\n",
        HEAD "m=audio  4000 RTP/AVP 0\r\n",
        HEAD "m= \r\n",
        HEAD "m=image 5002 udptl \2258\r\n", /* sdp_parse() of sofia would never return */
        HEAD "m=image 5002 udptl a/b\r\n",
        HEAD "m=audio 00PR40T /AVP 96\r\n",
        HEAD "m=audio 4000// RTP/AVP 0\r\n",
        ORIGIN "s=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        ORIGIN "s=-\r\nc=IN IP4 sip.example.org\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        ORIGIN "s=-\r\nc=IN IP4 224.2.1.1/127\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        ORIGIN "s=-\r\nc=IN IP4 224.2.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        ORIGIN "s=-\r\nc=IN IP4 255.255.255.255\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        ORIGIN "c=IN\r\nm=audio 4000 RTP/AVP 0\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_parse_error(bad[i], strlen(bad[i]), -EBADMSG);
    expect_parse_error("", 0, -EBADMSG);
    expect_parse_error(HEAD "m=audio 4000 RTP/AVP 0\r\na=x\0y\r\n",
                       sizeof HEAD "m=audio 4000 RTP/AVP 0\r\na=x.y\r\n" - 1, -EBADMSG);
}

static void size_and_media_limits_hold(void **state)
{
    char text[SIPUA_SDP_MAX_BYTES + 2] = HEAD;
    (void)state;
    for (unsigned i = 0; i < SIPUA_SDP_MAX_MLINES; i++)
        strcat(text, "m=audio 4000 RTP/AVP 0\r\n");
    assert_int_equal(parse(text).mline_count, SIPUA_SDP_MAX_MLINES);
    strcat(text, "m=audio 4000 RTP/AVP 0\r\n");
    expect_parse_error(text, strlen(text), -EMSGSIZE);
    snprintf(text, sizeof text, "%s", HEAD "m=audio 4000 RTP/AVP 0\r\n");
    while (strlen(text) < SIPUA_SDP_MAX_BYTES - 64)
        strcat(text, "a=x:0123456789012345678901234567890123456789\r\n");
    strcat(text, "a=x:");
    memset(text + strlen(text), 'y', SIPUA_SDP_MAX_BYTES - strlen(text)); /* text was zeroed: still terminated */
    assert_int_equal(strlen(text), SIPUA_SDP_MAX_BYTES);
    assert_int_equal(parse(text).codec_count, 1);
    text[SIPUA_SDP_MAX_BYTES] = 'y';
    expect_parse_error(text, SIPUA_SDP_MAX_BYTES + 1, -EMSGSIZE);
}

static void codecs_beyond_the_table_are_left_out(void **state)
{
    char text[2048] = HEAD "m=audio 4000 RTP/AVP 0 8 0 8";
    (void)state;
    for (unsigned i = 0; i < 28; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %u", 96 + i);
    strcat(text, "\r\n");
    for (unsigned i = 0; i < 28; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "a=rtpmap:%u X%u/8000\r\n", 96 + i, i);
    const struct sipua_sdp sdp = parse(text);
    assert_int_equal(sdp.codec_count, SIPUA_SDP_MAX_CODECS);
    assert_int_equal(sdp.codec[2].pt, 96); /* the repeated 0 and 8 count once */
}

static void answer_takes_our_first_choice_with_their_numbers(void **state)
{
    (void)state;
    const struct sipua_sdp_caps own = caps();
    const struct outcome out = answer(HEAD "m=audio 4000 RTP/AVP 0 111 126 8\r\na=rtpmap:111 opus/48000/2\r\n"
                                           "a=fmtp:111 stereo=1\r\na=rtpmap:126 telephone-event/8000\r\n",
                                      &own);
    assert_string_equal(out.text,
                        "v=0\r\no=- 5 6 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\n"
                        "m=audio 6000 RTP/AVP 111 126\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n"
                        "a=rtpmap:126 telephone-event/8000\r\na=fmtp:126 0-16\r\na=ptime:20\r\na=sendrecv\r\n");
    assert_int_equal(out.choice.codec, SIPUA_CODEC_OPUS);
    assert_int_equal(out.choice.pt, 111);
    assert_int_equal(out.choice.event_pt, 126);
    assert_int_equal(out.choice.event_clock_hz, 8000);
    assert_string_equal(out.choice.fmtp, "stereo=1");
    assert_int_equal(out.choice.remote.port, 4000);
    assert_int_equal(out.choice.remote_rtcp_port, 4001);
    assert_true(out.choice.may_send && out.choice.may_receive);
}

static void event_clock_follows_the_codec(void **state)
{
    const char *offer = HEAD "m=audio 4000 RTP/AVP 96 0 101 102\r\na=rtpmap:96 opus/48000/2\r\n"
                             "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\n";
    struct sipua_sdp_caps own = caps();
    (void)state;
    assert_int_equal(answer(offer, &own).choice.event_pt, 102);
    own.prefer[0] = SIPUA_CODEC_PCMU;
    assert_int_equal(answer(offer, &own).choice.event_pt, 101);
    own.telephone_event = false;
    assert_int_equal(answer(offer, &own).choice.event_pt, -1);
    own = caps();
    own.prefer[0] = SIPUA_CODEC_PCMA;
    assert_int_equal(
        answer(HEAD "m=audio 4000 RTP/AVP 8 102\r\na=rtpmap:102 telephone-event/48000\r\n", &own).choice.event_pt, -1);
}

static void opus_with_one_channel_or_other_clock_is_not_opus(void **state)
{
    const struct sipua_sdp_caps own = caps();
    (void)state;
    const struct outcome out = answer(HEAD "m=audio 4000 RTP/AVP 96 97 0\r\na=rtpmap:96 opus/48000\r\n"
                                           "a=rtpmap:97 opus/16000/2\r\n",
                                      &own);
    assert_int_equal(out.choice.codec, SIPUA_CODEC_PCMU);
}

static void no_common_codec_names_both_lists(void **state)
{
    char why[SIPUA_SDP_WHY_MAX];
    struct sipua_sdp result;
    struct sipua_sdp_choice choice;
    const struct sipua_sdp_caps own = caps();
    const struct sipua_sdp offer = parse(HEAD "m=audio 4000 RTP/AVP 18 3 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    (void)state;
    assert_int_equal(sipua_sdp_answer(&offer, &own, &result, &choice, why), -ENOENT);
    assert_string_equal(why, "No common codec: offered G729,GSM; accepted here opus,PCMA,PCMU");
}

static void other_transports_are_not_supported(void **state)
{
    static const char *const media[] = { "m=audio 4000 RTP/SAVP 0\r\n", "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n",
                                         "m=video 4000 RTP/AVP 31\r\n", "m=audio 0 RTP/AVP 0\r\n", "" };
    char text[512], why[SIPUA_SDP_WHY_MAX];
    struct sipua_sdp result;
    struct sipua_sdp_choice choice;
    const struct sipua_sdp_caps own = caps();
    (void)state;
    for (size_t i = 0; i < sizeof media / sizeof media[0]; i++) {
        snprintf(text, sizeof text, HEAD "%s", media[i]);
        const struct sipua_sdp offer = parse(text);
        assert_int_equal(sipua_sdp_answer(&offer, &own, &result, &choice, why), -EPROTONOSUPPORT);
    }
}

static void other_media_lines_are_refused_in_place(void **state)
{
    const struct sipua_sdp_caps own = caps();
    (void)state;
    const struct outcome out =
        answer(HEAD "m=video 5000 RTP/AVP 31 34\r\nm=audio 0 RTP/AVP 0\r\nm=audio 4000 RTP/AVP 8\r\n"
                    "m=image 5004 udptl t38\r\nm=audio 4002 RTP/AVP 0\r\n",
               &own);
    const char *lines = strstr(out.text, "m=video");
    assert_non_null(lines);
    const char *want = "m=video 0 RTP/AVP 31\r\nm=audio 0 RTP/AVP 0\r\nm=audio 6000 RTP/AVP 8\r\n";
    assert_memory_equal(lines, want, strlen(want));
    assert_non_null(strstr(out.text, "\r\nm=image 0 udptl t38\r\nm=audio 0 RTP/AVP 0\r\n"));
    assert_int_equal(out.choice.remote.port, 4000);
}

static void hold_is_answered_by_the_mirrored_direction(void **state)
{
    static const struct {
        const char *offered;
        enum sipua_direction ours, answered;
        bool may_send, may_receive;
    } row[] = {
        { "sendrecv", SIPUA_DIR_SENDRECV, SIPUA_DIR_SENDRECV, true, true },
        { "sendonly", SIPUA_DIR_SENDRECV, SIPUA_DIR_RECV, false, true },
        { "recvonly", SIPUA_DIR_SENDRECV, SIPUA_DIR_SEND, true, false },
        { "inactive", SIPUA_DIR_SENDRECV, SIPUA_DIR_INACTIVE, false, false },
        { "sendrecv", SIPUA_DIR_SEND, SIPUA_DIR_SEND, true, false },
        { "sendonly", SIPUA_DIR_SEND, SIPUA_DIR_INACTIVE, false, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char text[512];
        struct sipua_sdp_caps own = caps();
        own.direction = row[i].ours;
        snprintf(text, sizeof text, HEAD "m=audio 4000 RTP/AVP 0\r\na=%s\r\n", row[i].offered);
        const struct outcome out = answer(text, &own);
        assert_int_equal(out.answer.direction, row[i].answered);
        assert_int_equal(out.choice.may_send, row[i].may_send);
        assert_int_equal(out.choice.may_receive, row[i].may_receive);
    }
}

static void session_level_direction_counts(void **state)
{
    const struct sipua_sdp_caps own = caps();
    (void)state;
    assert_int_equal(answer(HEAD "a=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n", &own).answer.direction, SIPUA_DIR_RECV);
}

static void zero_address_is_a_hold(void **state)
{
    const struct sipua_sdp_caps own = caps();
    (void)state;
    const struct outcome out = answer(ORIGIN "s=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", &own);
    assert_int_equal(out.answer.direction, SIPUA_DIR_RECV);
    assert_false(out.choice.may_send);
    assert_true(out.choice.may_receive);
}

static void sending_ptime_respects_the_maximum(void **state)
{
    static const struct {
        unsigned max_ms, sent_ms;
    } row[] = { { 20, 20 }, { 60, 20 }, { 19, 10 }, { 10, 10 }, { 5, 10 } };
    const struct sipua_sdp_caps own = caps();
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, HEAD "m=audio 4000 RTP/AVP 0\r\na=maxptime:%u\r\n", row[i].max_ms);
        assert_int_equal(answer(text, &own).choice.ptime_ms, row[i].sent_ms);
    }
}

static void rtcp_mux_is_accepted_only_when_both_want_it(void **state)
{
    struct sipua_sdp_caps own = caps();
    const char *offer = HEAD "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n";
    (void)state;
    assert_false(answer(offer, &own).choice.rtcp_mux);
    own.rtcp_mux = true;
    assert_true(answer(offer, &own).choice.rtcp_mux);
    assert_int_equal(answer(offer, &own).choice.remote_rtcp_port, 4000);
    assert_false(answer(HEAD "m=audio 4000 RTP/AVP 0\r\n", &own).choice.rtcp_mux);
}

static void our_offer_and_its_answer(void **state)
{
    char text[SIPUA_SDP_TEXT_MAX], why[SIPUA_SDP_WHY_MAX];
    struct sipua_sdp offer;
    struct sipua_sdp_choice choice;
    const struct sipua_sdp_caps own = caps();
    (void)state;
    sipua_sdp_offer(&own, &offer);
    assert_true(sipua_sdp_format(&offer, text, sizeof text) > 0);
    assert_non_null(strstr(text, "m=audio 6000 RTP/AVP 96 8 0 101 102\r\n"));
    const struct sipua_sdp reread = parse(text);
    assert_int_equal(reread.codec_count, 5);
    const struct sipua_sdp taken = parse(HEAD "m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    assert_int_equal(sipua_sdp_apply_answer(&offer, &taken, 20, &choice, why), 0);
    assert_int_equal(choice.codec, SIPUA_CODEC_PCMA);
    assert_int_equal(choice.pt, 8);
    assert_int_equal(choice.event_pt, 101);
    const struct sipua_sdp held = parse(HEAD "m=audio 4000 RTP/AVP 0\r\na=recvonly\r\n");
    assert_int_equal(sipua_sdp_apply_answer(&offer, &held, 20, &choice, why), 0);
    assert_true(choice.may_send);
    assert_false(choice.may_receive);
}

static void answer_outside_the_offer_is_refused(void **state)
{
    static const struct {
        const char *media;
        int err;
    } row[] = {
        { "m=audio 4000 RTP/AVP 18\r\n", -ENOENT },
        { "m=audio 0 RTP/AVP 0\r\n", -ENOENT },
        { "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n", -ENOENT },
        { "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 speex/16000\r\n", -EPROTO },
        { "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 opus/48000/2\r\n", -EPROTO },
        { "m=video 4000 RTP/AVP 31\r\n", -ENOENT },
    };
    struct sipua_sdp offer;
    const struct sipua_sdp_caps own = caps();
    (void)state;
    sipua_sdp_offer(&own, &offer);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char text[512], why[SIPUA_SDP_WHY_MAX];
        struct sipua_sdp_choice choice;
        snprintf(text, sizeof text, HEAD "%s", row[i].media);
        const struct sipua_sdp wrong = parse(text);
        assert_int_equal(sipua_sdp_apply_answer(&offer, &wrong, 20, &choice, why), row[i].err);
    }
}

static void codec_that_was_not_offered_is_passed_over_in_an_answer(void **state)
{
    char why[SIPUA_SDP_WHY_MAX];
    struct sipua_sdp offer;
    struct sipua_sdp_choice choice;
    const struct sipua_sdp_caps own = caps();
    const struct sipua_sdp more = parse(HEAD "m=audio 4000 RTP/AVP 18 0\r\n");
    (void)state;
    sipua_sdp_offer(&own, &offer);
    assert_int_equal(sipua_sdp_apply_answer(&offer, &more, 20, &choice, why), 0);
    assert_int_equal(choice.codec, SIPUA_CODEC_PCMU);
}

static void opus_fmtp_is_read_with_defaults(void **state)
{
    (void)state;
    struct sipua_opus_fmtp fmtp = sipua_sdp_opus_fmtp("");
    assert_int_equal(fmtp.max_playback_hz, 48000);
    assert_false(fmtp.stereo || fmtp.cbr || fmtp.dtx || fmtp.inband_fec);
    fmtp = sipua_sdp_opus_fmtp("maxplaybackrate=16000; sprop-stereo=1;STEREO=1; useinbandfec=1;usedtx=1;cbr=0;"
                               "maxaveragebitrate=24000");
    assert_int_equal(fmtp.max_playback_hz, 16000);
    assert_int_equal(fmtp.max_average_bitrate_bps, 24000);
    assert_true(fmtp.stereo && fmtp.inband_fec && fmtp.dtx);
    assert_false(fmtp.cbr);
    fmtp = sipua_sdp_opus_fmtp("maxplaybackrate=7;maxaveragebitrate=99999999999999999999;stereo=yes;;;=");
    assert_int_equal(fmtp.max_playback_hz, 48000);
    assert_int_equal(fmtp.max_average_bitrate_bps, 0);
    assert_false(fmtp.stereo);
}

static void small_buffer_is_reported(void **state)
{
    char text[64];
    struct sipua_sdp offer;
    const struct sipua_sdp_caps own = caps();
    (void)state;
    sipua_sdp_offer(&own, &offer);
    assert_int_equal(sipua_sdp_format(&offer, text, sizeof text), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(media_connection_beats_the_session_one),
        cmocka_unit_test(bare_line_ends_and_unused_lines_are_fine),
        cmocka_unit_test(what_is_not_sdp_is_refused),
        cmocka_unit_test(size_and_media_limits_hold),
        cmocka_unit_test(codecs_beyond_the_table_are_left_out),
        cmocka_unit_test(answer_takes_our_first_choice_with_their_numbers),
        cmocka_unit_test(event_clock_follows_the_codec),
        cmocka_unit_test(opus_with_one_channel_or_other_clock_is_not_opus),
        cmocka_unit_test(no_common_codec_names_both_lists),
        cmocka_unit_test(other_transports_are_not_supported),
        cmocka_unit_test(other_media_lines_are_refused_in_place),
        cmocka_unit_test(hold_is_answered_by_the_mirrored_direction),
        cmocka_unit_test(session_level_direction_counts),
        cmocka_unit_test(zero_address_is_a_hold),
        cmocka_unit_test(sending_ptime_respects_the_maximum),
        cmocka_unit_test(rtcp_mux_is_accepted_only_when_both_want_it),
        cmocka_unit_test(our_offer_and_its_answer),
        cmocka_unit_test(answer_outside_the_offer_is_refused),
        cmocka_unit_test(codec_that_was_not_offered_is_passed_over_in_an_answer),
        cmocka_unit_test(opus_fmtp_is_read_with_defaults),
        cmocka_unit_test(small_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
