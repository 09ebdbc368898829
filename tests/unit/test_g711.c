#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "gateway/media/codec_g711.h"
#include "gateway/media/plc.h"

/* The formulas of ITU-T G.711, written out as the recommendation's tables have them: an independent reference. */
static int ulaw_reference(uint8_t code)
{
    const int c = ~code & 0xff, exponent = c >> 4 & 7, mantissa = c & 15;
    const int magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    return c & 0x80 ? -magnitude : magnitude;
}

static int alaw_reference(uint8_t code)
{
    const int c = code ^ 0x55, exponent = c >> 4 & 7, mantissa = c & 15;
    const int magnitude = exponent ? ((mantissa << 4) + 0x108) << (exponent - 1) : (mantissa << 4) + 8;
    return c & 0x80 ? magnitude : -magnitude;
}

static void all_codes_decode_as_the_recommendation_says(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t code = (uint8_t)c;
        int16_t u, a;
        gw_g711_decode(GW_G711_ULAW, &code, 1, &u);
        gw_g711_decode(GW_G711_ALAW, &code, 1, &a);
        assert_int_equal(u, ulaw_reference(code));
        assert_int_equal(a, alaw_reference(code));
    }
}

static void known_codes_have_known_values(void **state)
{
    static const uint8_t codes[] = { 0xff, 0x00, 0x80 };
    int16_t pcm[3];

    (void)state;
    gw_g711_decode(GW_G711_ULAW, codes, 3, pcm);
    assert_int_equal(pcm[0], 0);
    assert_int_equal(pcm[1], -32124);
    assert_int_equal(pcm[2], 32124);
    const uint8_t quiet = 0xd5, loudest = 0xaa;
    gw_g711_decode(GW_G711_ALAW, &quiet, 1, pcm);
    gw_g711_decode(GW_G711_ALAW, &loudest, 1, pcm + 1);
    assert_int_equal(pcm[0], 8);
    assert_int_equal(pcm[1], 32256);
}

static void codes_survive_decode_and_encode(void **state)
{
    (void)state;
    for (unsigned law = GW_G711_ULAW; law <= GW_G711_ALAW; law++) {
        for (unsigned c = 0; c < 256; c++) {
            const uint8_t code = (uint8_t)c;
            uint8_t back;
            int16_t pcm;
            gw_g711_decode((enum gw_g711_law)law, &code, 1, &pcm);
            gw_g711_encode((enum gw_g711_law)law, &pcm, 1, &back);
            if (law == GW_G711_ULAW && code == 0x7f)
                assert_int_equal(back, 0xff); /* minus zero becomes zero */
            else
                assert_int_equal(back, code);
        }
    }
}

/* No other code may be nearer than the one chosen, except by the half step of rounding towards zero. */
static void encoding_stays_within_the_step_of_its_segment(void **state)
{
    (void)state;
    for (unsigned law = GW_G711_ULAW; law <= GW_G711_ALAW; law++) {
        for (int v = INT16_MIN; v <= INT16_MAX; v++) {
            const int16_t pcm = (int16_t)v;
            uint8_t code;
            int16_t back;
            gw_g711_encode((enum gw_g711_law)law, &pcm, 1, &code);
            gw_g711_decode((enum gw_g711_law)law, &code, 1, &back);
            const int limit = abs(v) / 16 + 16 > 1024 + 16 ? 1024 + 16 : abs(v) / 16 + 16;
            assert_true(abs(back - v) <= limit);
        }
    }
}

static void concealment_goes_on_and_fades(void **state)
{
    struct gw_plc plc = { 0 };
    int16_t pcm[160];
    double energy[8];

    (void)state;
    for (int f = 0; f < 10; f++) {
        for (int i = 0; i < 160; i++)
            pcm[i] = (int16_t)lrint(8000 * sin(2 * 3.14159265 * 200 * (f * 160 + i) / 8000));
        gw_plc_good(&plc, pcm, 160);
    }
    for (int f = 0; f < 8; f++) {
        gw_plc_conceal(&plc, pcm, 160);
        energy[f] = 0;
        for (int i = 0; i < 160; i++)
            energy[f] += (double)pcm[i] * pcm[i];
    }
    assert_true(energy[0] > 160 * 0.3 * 32e6); /* close to the sine's own energy */
    assert_true(energy[2] < energy[0]);
    assert_true(energy[7] < 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_codes_decode_as_the_recommendation_says),
        cmocka_unit_test(known_codes_have_known_values),
        cmocka_unit_test(codes_survive_decode_and_encode),
        cmocka_unit_test(encoding_stays_within_the_step_of_its_segment),
        cmocka_unit_test(concealment_goes_on_and_fades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
