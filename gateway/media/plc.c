#include "gateway/media/plc.h"

#include <errno.h>
#include <stdlib.h>

#include <spandsp/telephony.h>
#include <spandsp/plc.h>

struct gw_plc {
    plc_state_t state;
};

int gw_plc_new(struct gw_plc **ret)
{
    struct gw_plc *plc = calloc(1, sizeof *plc);

    if (!plc)
        return -ENOMEM;
    (void)plc_init(&plc->state); /* on storage of ours it cannot fail */
    *ret = plc;
    return 0;
}

void gw_plc_free(struct gw_plc *plc)
{
    free(plc);
}

void gw_plc_good(struct gw_plc *plc, int16_t *pcm, size_t samples)
{
    (void)plc_rx(&plc->state, pcm, (int)samples);
}

void gw_plc_conceal(struct gw_plc *plc, int16_t *pcm, size_t samples)
{
    (void)plc_fillin(&plc->state, pcm, (int)samples);
}
