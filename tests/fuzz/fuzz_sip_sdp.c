/* sip/sdp: any text. An answer names only what was offered, with the same numbers; what we print, we can read. */
#include <stdlib.h>
#include <string.h>

#include "sip/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_answer(const struct sipua_sdp *offer, const struct sipua_sdp *answer)
{
    require(answer->mline_count == offer->mline_count && answer->audio_index == offer->audio_index);
    require(answer->codec_count >= 1 && answer->codec_count <= 2);
    for (size_t i = 0; i < answer->codec_count; i++) {
        bool found = false;
        for (size_t j = 0; j < offer->codec_count; j++)
            found |= offer->codec[j].pt == answer->codec[i].pt && offer->codec[j].codec == answer->codec[i].codec &&
                     offer->codec[j].clock_hz == answer->codec[i].clock_hz;
        require(found);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[SIPUA_SDP_WHY_MAX], text[SIPUA_SDP_TEXT_MAX];
    struct sipua_sdp remote, ours, reread;
    struct sipua_sdp_choice choice;
    struct sipua_sdp_caps caps = { .prefer = { SIPUA_CODEC_OPUS, SIPUA_CODEC_PCMA, SIPUA_CODEC_PCMU },
                                   .prefer_count = 3,
                                   .telephone_event = true,
                                   .ptime_ms = 20,
                                   .direction = SIPUA_DIR_SENDRECV };
    (void)wz_addr_parse("192.0.2.1:4000", &caps.audio);
    if (sipua_sdp_parse((const char *)data, size, &remote) < 0)
        return 0;
    for (size_t i = 0; i < remote.codec_count; i++)
        (void)sipua_sdp_opus_fmtp(remote.codec[i].fmtp);
    if (sipua_sdp_answer(&remote, &caps, &ours, &choice, why) == 0) {
        check_answer(&remote, &ours);
        const int len = sipua_sdp_format(&ours, text, sizeof text);
        require(len > 0 && sipua_sdp_parse(text, (size_t)len, &reread) == 0);
        require(reread.mline_count == remote.mline_count && reread.codec_count == ours.codec_count);
    }
    sipua_sdp_offer(&caps, &ours);
    if (sipua_sdp_apply_answer(&ours, &remote, 20, &choice, why) == 0)
        require(choice.pt < 128 && choice.codec != SIPUA_CODEC_OTHER && choice.codec != SIPUA_CODEC_TELEPHONE_EVENT);
    return 0;
}
