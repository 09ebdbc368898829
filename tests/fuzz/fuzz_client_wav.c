/* WAV files that wzp-client is asked to play. */
#include <stdint.h>
#include <stdlib.h>

#include "wzp/bin/client_wav.c" /* a program's file is in no library */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_pcm pcm;
    if (client_wav_parse(wz_bytes(data, size), &pcm) < 0)
        return 0;
    /* 192 kHz is thinned out, 4 kHz becomes twelve times as much: never more than that. */
    if (pcm.count > size * 12 || (pcm.count && !pcm.sample))
        abort();
    client_pcm_done(&pcm);
    return 0;
}
