/* Arithmetic of the field with 256 elements of RFC 6330 section 5.7: bytes, addition is XOR, multiplication modulo
 * x^8 + x^4 + x^3 + x^2 + 1. Thread: any. Allocates nothing. */
#ifndef WZP_CORE_GF256_H
#define WZP_CORE_GF256_H

#include <stddef.h>
#include <stdint.h>

uint8_t wzp_gf256_mul(uint8_t a, uint8_t b);
/** The b with a * b = 1; 0 for 0. */
uint8_t wzp_gf256_inverse(uint8_t a);
/** sum[i] += factor * term[i] for len bytes. The two do not overlap. */
void wzp_gf256_add_scaled(uint8_t *restrict sum, const uint8_t *restrict term, uint8_t factor, size_t len);
/** data[i] *= factor. */
void wzp_gf256_scale(uint8_t *data, uint8_t factor, size_t len);

#endif
