#include "wzp/core/gf256.h"

#include <string.h>

/* Eight elements are worked on at once, one in each byte of a word: without tables, and nothing depends on the data. */
#define LANE_BYTES sizeof(uint64_t)
#define LOW_BITS   UINT64_C(0x0101010101010101)
#define REDUCTION  0x1du /**< x^8 is x^4 + x^3 + x^2 + 1 */

/** Each byte times x. */
static uint64_t times_x(uint64_t lanes)
{
    uint64_t carries = lanes >> 7 & LOW_BITS;
    return ((lanes ^ carries << 7) << 1) ^ carries * REDUCTION;
}

/** Each byte times factor. */
static uint64_t times(uint64_t lanes, unsigned factor)
{
    uint64_t product = 0;

    for (unsigned bit = 0; bit < 8; bit++) {
        product ^= lanes & -(uint64_t)(factor >> bit & 1);
        lanes = times_x(lanes);
    }
    return product;
}

uint8_t wzp_gf256_mul(uint8_t a, uint8_t b)
{
    return (uint8_t)times(a, b);
}

uint8_t wzp_gf256_inverse(uint8_t a)
{
    uint8_t power = a, inverse = 1;

    /* a^255 is 1, so a^254 is the inverse: the product of a^2, a^4, ... a^128. */
    for (unsigned bit = 1; bit < 8; bit++) {
        power = wzp_gf256_mul(power, power);
        inverse = wzp_gf256_mul(inverse, power);
    }
    return inverse;
}

void wzp_gf256_add_scaled(uint8_t *restrict sum, const uint8_t *restrict term, uint8_t factor, size_t len)
{
    size_t i = 0;

    for (; len - i >= LANE_BYTES; i += LANE_BYTES) {
        uint64_t a, b;
        memcpy(&a, sum + i, sizeof a);
        memcpy(&b, term + i, sizeof b);
        a ^= times(b, factor);
        memcpy(sum + i, &a, sizeof a);
    }
    for (; i < len; i++)
        sum[i] ^= wzp_gf256_mul(term[i], factor);
}

void wzp_gf256_scale(uint8_t *data, uint8_t factor, size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] = wzp_gf256_mul(data[i], factor);
}
