/* Random bytes from the kernel (getrandom). Thread: any. */
#ifndef WZP_RT_RNG_H
#define WZP_RT_RNG_H

#include "wzp/base/rng.h"

extern const struct wz_rng wz_rng_system;

#endif
