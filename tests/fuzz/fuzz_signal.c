/* Arbitrary text into the signal decoder. What decodes must encode again (unknown kinds excepted) into a text
 * that decodes to the same values and encodes to the same bytes. */
#include <errno.h>
#include <stdlib.h>

#include "tests/support/signal_equal.h"
#include "wzp/core/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A forwarded signal of an unknown kind cannot be written: on any level. */
static bool has_unknown(const struct wzp_signal *sig)
{
    return sig->kind == WZP_SIG_UNKNOWN ||
           (sig->kind == WZP_SIG_FEDERATED_SIGNAL_FORWARD && has_unknown(sig->federated.inner));
}

static void check_round_trip(const struct wzp_signal *sig)
{
    struct wzp_signal again;
    char *json, *json_again;
    size_t len, len_again;

    int err = wzp_signal_encode(sig, &json, &len);
    if (err) {
        /* Numbers and escapes may grow when they are written out. */
        if (has_unknown(sig) ? err != -EINVAL : err != -EMSGSIZE)
            abort();
        return;
    }
    if (has_unknown(sig) || len > WZP_SIGNAL_MAX_BYTES || strlen(json) != len)
        abort();
    if (wzp_signal_decode(wz_bytes(json, len), &again) != 0 || !signal_equal(sig, &again))
        abort();
    if (wzp_signal_encode(&again, &json_again, &len_again) != 0 || strcmp(json, json_again) != 0)
        abort();
    free(json);
    free(json_again);
    wzp_signal_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wzp_signal sig;

    if (wzp_signal_decode(wz_bytes(data, size), &sig) == 0) {
        check_round_trip(&sig);
        wzp_signal_done(&sig);
    }
    return 0;
}
