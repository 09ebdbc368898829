/* Random offers and capabilities. Invariants: the answer is a subset of the offer with the offer's payload types, has
 * its number of m-lines, sends only where the offer receives; it survives printing and reading; the offerer's view of
 * it is the mirror of ours. Random bytes of a valid offer changed: nothing breaks.
 * On failure the seed is printed; rerun with: test_sip_sdp_random SEED */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sip/sdp.h"

#define OFFER_MAX 4096
#define SEEDS     4000
#define MUTATIONS 20000

static uint64_t first_seed = 1;
static uint64_t seeds = SEEDS;
static uint64_t seed_now;

static uint32_t next(uint64_t *rng)
{
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return (uint32_t)(*rng >> 32);
}

static uint32_t below(uint64_t *rng, uint32_t limit)
{
    return next(rng) % limit;
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_error("seed %llu: %s\n", (unsigned long long)seed_now, #condition);                                  \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

/* Two names of equal meaning are there on purpose: which one wins must not matter to the rules. */
static const char *const maps[] = {
    "PCMU/8000", "PCMA/8000", "opus/48000/2", "OPUS/48000/2", "telephone-event/8000", "telephone-event/48000",
    "G722/8000", "G729/8000", "speex/16000",  "opus/16000",   "PCMU/16000",           "telephone-event/16000",
};

static void add(char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(char *text, const char *fmt, ...)
{
    const size_t used = strlen(text);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text + used, OFFER_MAX - used, fmt, args);
    va_end(args);
}

static void add_audio(uint64_t *rng, char *text)
{
    static const char *const attributes[] = { "sendrecv",
                                              "sendonly",
                                              "recvonly",
                                              "inactive",
                                              "rtcp-mux",
                                              "ptime:30",
                                              "maxptime:10",
                                              "maxptime:120",
                                              "rtcp:4711",
                                              "x-unknown:1",
                                              "candidate:1 1 UDP 1 10.0.0.1 9 typ host" };
    const uint32_t count = 1 + below(rng, 12), first = 96 + below(rng, 8);
    add(text, "m=audio %u RTP/AVP", below(rng, 8) ? 1 + below(rng, 65535) : 0);
    const bool statics = below(rng, 2);
    if (statics)
        add(text, " 0 8 18");
    for (uint32_t i = 0; i < count; i++)
        add(text, " %u", first + i);
    add(text, "\r\n");
    for (uint32_t i = 0; i < count; i++)
        add(text, "a=rtpmap:%u %s\r\n", first + i, maps[below(rng, sizeof maps / sizeof maps[0])]);
    for (uint32_t i = below(rng, 4); i > 0; i--)
        add(text, "a=%s\r\n", attributes[below(rng, sizeof attributes / sizeof attributes[0])]);
}

static void make_offer(uint64_t *rng, char text[static OFFER_MAX])
{
    static const char *const connections[] = { "IP4 192.0.2.1", "IP4 10.1.2.3", "IP6 2001:db8::5", "IP4 0.0.0.0" };
    static const char *const others[] = { "m=video 5000 RTP/AVP 31", "m=image 5002 udptl t38",
                                          "m=application 9 TCP/MSRP *", "m=audio 0 RTP/AVP 0",
                                          "m=audio 5004 RTP/SAVP 0" };
    text[0] = '\0';
    add(text, "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN %s\r\nt=0 0\r\n", connections[below(rng, 4)]);
    for (uint32_t i = below(rng, 3); i > 0; i--)
        add(text, "%s\r\n", others[below(rng, 4)]);
    add_audio(rng, text);
    for (uint32_t i = below(rng, 3); i > 0; i--)
        add(text, "%s\r\n", others[below(rng, 5)]);
}

static struct sipua_sdp_caps make_caps(uint64_t *rng)
{
    static const enum sipua_codec all[] = { SIPUA_CODEC_PCMU, SIPUA_CODEC_PCMA, SIPUA_CODEC_OPUS };
    struct sipua_sdp_caps caps = { .prefer_count = 1 + below(rng, 3),
                                   .telephone_event = below(rng, 2),
                                   .ptime_ms = 20,
                                   .rtcp_mux = below(rng, 2),
                                   .direction = (enum sipua_direction)below(rng, 4) };
    const uint32_t start = below(rng, 3);
    for (size_t i = 0; i < caps.prefer_count; i++)
        caps.prefer[i] = all[(start + i) % 3];
    CHECK(wz_addr_parse("198.51.100.1:7000", &caps.audio) == 0);
    return caps;
}

static const struct sipua_sdp_codec *find(const struct sipua_sdp *sdp, uint8_t pt)
{
    for (size_t i = 0; i < sdp->codec_count; i++)
        if (sdp->codec[i].pt == pt)
            return &sdp->codec[i];
    return NULL;
}

static bool can(const struct sipua_sdp_caps *caps, enum sipua_codec codec)
{
    for (size_t i = 0; i < caps->prefer_count; i++)
        if (caps->prefer[i] == codec)
            return true;
    return false;
}

static void check_subset(const struct sipua_sdp *offer, const struct sipua_sdp *answer,
                         const struct sipua_sdp_caps *caps)
{
    CHECK(answer->mline_count == offer->mline_count);
    for (size_t i = 0; i < answer->codec_count; i++) {
        const struct sipua_sdp_codec *offered = find(offer, answer->codec[i].pt);
        CHECK(offered && offered->codec == answer->codec[i].codec && offered->clock_hz == answer->codec[i].clock_hz);
        CHECK(i > 0 ? answer->codec[i].codec == SIPUA_CODEC_TELEPHONE_EVENT : can(caps, answer->codec[i].codec));
    }
    CHECK(answer->codec_count == 1 || (answer->codec_count == 2 && caps->telephone_event));
    const enum sipua_direction allowed = sipua_direction_reverse(offer->direction) & caps->direction;
    CHECK(answer->direction == allowed);
    CHECK(!answer->rtcp_mux || (offer->rtcp_mux && caps->rtcp_mux));
}

static void check_choice(const struct sipua_sdp *offer, const struct sipua_sdp *answer,
                         const struct sipua_sdp_choice *choice)
{
    CHECK(choice->pt == answer->codec[0].pt && choice->codec == answer->codec[0].codec);
    CHECK(choice->event_pt == (answer->codec_count == 2 ? answer->codec[1].pt : -1));
    CHECK(choice->event_pt < 0 || choice->event_clock_hz == choice->clock_hz || choice->event_clock_hz == 8000);
    CHECK(wz_addr_equal(&choice->remote, &offer->audio));
    CHECK(!choice->may_send || (offer->direction & SIPUA_DIR_RECV));
    CHECK(!choice->may_receive || (offer->direction & SIPUA_DIR_SEND));
    CHECK(choice->ptime_ms >= 10 && choice->ptime_ms <= 20);
}

static void check_mirror(const struct sipua_sdp *offer, const struct sipua_sdp *answer,
                         const struct sipua_sdp_choice *choice)
{
    char why[SIPUA_SDP_WHY_MAX];
    struct sipua_sdp_choice theirs;
    CHECK(sipua_sdp_apply_answer(offer, answer, 20, &theirs, why) == 0);
    CHECK(theirs.pt == choice->pt && theirs.codec == choice->codec && theirs.event_pt == choice->event_pt);
    CHECK(theirs.rtcp_mux == choice->rtcp_mux);
    CHECK(theirs.may_receive == ((answer->direction & SIPUA_DIR_SEND) != 0));
    CHECK(theirs.may_send == ((answer->direction & SIPUA_DIR_RECV) != 0));
}

static bool has_common_codec(const struct sipua_sdp *offer, const struct sipua_sdp_caps *caps)
{
    for (size_t i = 0; i < offer->codec_count; i++)
        if (can(caps, offer->codec[i].codec))
            return true;
    return false;
}

static void one_offer(uint64_t seed, unsigned *answered)
{
    uint64_t rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    char text[OFFER_MAX], printed[SIPUA_SDP_TEXT_MAX], why[SIPUA_SDP_WHY_MAX] = "";
    struct sipua_sdp offer, answer, reread;
    struct sipua_sdp_choice choice;
    make_offer(&rng, text);
    const struct sipua_sdp_caps caps = make_caps(&rng);
    CHECK(sipua_sdp_parse(text, strlen(text), &offer) == 0);
    const bool usable = offer.audio_index < offer.mline_count && offer.proto == SIPUA_PROTO_RTP_AVP;
    const int err = sipua_sdp_answer(&offer, &caps, &answer, &choice, why);
    CHECK((err == 0) == (usable && has_common_codec(&offer, &caps)));
    CHECK((err == 0) == (why[0] == '\0'));
    if (err < 0)
        return;
    ++*answered;
    check_subset(&offer, &answer, &caps);
    check_choice(&offer, &answer, &choice);
    const int len = sipua_sdp_format(&answer, printed, sizeof printed);
    CHECK(len > 0 && sipua_sdp_parse(printed, (size_t)len, &reread) == 0);
    check_subset(&offer, &reread, &caps);
    check_mirror(&offer, &reread, &choice);
}

static void answers_are_subsets_of_their_offers(void **state)
{
    unsigned answered = 0;
    (void)state;
    for (seed_now = first_seed; seed_now < first_seed + seeds; seed_now++)
        one_offer(seed_now, &answered);
    if (seeds > 1)
        assert_true(answered > seeds / 3); /* else the generator tests nothing */
}

static void changed_bytes_never_break_the_parser(void **state)
{
    (void)state;
    for (seed_now = first_seed; seed_now < first_seed + (seeds > 1 ? MUTATIONS : 1); seed_now++) {
        uint64_t rng = seed_now * UINT64_C(0x9e3779b97f4a7c15) + 1;
        char text[OFFER_MAX], why[SIPUA_SDP_WHY_MAX];
        struct sipua_sdp offer, answer;
        struct sipua_sdp_choice choice;
        make_offer(&rng, text);
        size_t len = strlen(text);
        for (uint32_t i = 1 + below(&rng, 6); i > 0; i--)
            text[below(&rng, (uint32_t)len)] = (char)next(&rng);
        if (below(&rng, 4) == 0)
            len = below(&rng, (uint32_t)len);
        const struct sipua_sdp_caps caps = make_caps(&rng);
        if (sipua_sdp_parse(text, len, &offer) == 0 && sipua_sdp_answer(&offer, &caps, &answer, &choice, why) == 0)
            check_subset(&offer, &answer, &caps);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_subsets_of_their_offers),
        cmocka_unit_test(changed_bytes_never_break_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
