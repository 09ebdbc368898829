/* wzp/io/quic_tls: the walk over a stranger's ClientHello stays inside it, and a name it finds is inside, too. */
#include <stdlib.h>

#include "wzp/io/quic_tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at, len;

    if (quic_find_sni(wz_bytes(data, size), &at, &len)) {
        if (at > size || len > size - at)
            abort();
        if (quic_sni_is_legal(wz_bytes(data + at, len)) && (len == 0 || len > QUIC_SNI_MAX))
            abort();
    }
    return 0;
}
