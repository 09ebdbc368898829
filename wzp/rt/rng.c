/* See rng.h. */
#include "wzp/rt/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static void fill_from_kernel(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    while (len > 0) {
        ssize_t got = getrandom(out, len, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* keys made from anything else would be worse than a stop */
        }
        out += got;
        len -= (size_t)got;
    }
}

const struct wz_rng wz_rng_system = { .fill = fill_from_kernel };
