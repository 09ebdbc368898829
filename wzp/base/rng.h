/* The source of random bytes is a value passed in, so that tests and the simulator are repeatable. */
#ifndef WZP_BASE_RNG_H
#define WZP_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct wz_rng {
    /** Fill out with len unpredictable bytes. Never fails; a system source that fails aborts. */
    void (*fill)(void *arg, uint8_t *out, size_t len);
    void *arg;
};

static inline void wz_rng_fill(const struct wz_rng *rng, void *out, size_t len)
{
    rng->fill(rng->arg, out, len);
}

#endif
