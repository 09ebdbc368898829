/* Arbitrary text as 24 words. What is read must be written as the same words and read again as the same seed. */
#include <stdlib.h>
#include <string.h>

#include "wzp/core/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_round_trip(const uint8_t seed[static WZP_SEED_BYTES])
{
    uint8_t again[WZP_SEED_BYTES];
    char words[WZP_MNEMONIC_TEXT];

    check(wzp_mnemonic_format(seed, words) == 0 && strlen(words) < sizeof words);
    check(wzp_mnemonic_parse(words, again, NULL) == 0 && memcmp(seed, again, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t seed[WZP_SEED_BYTES];
    unsigned bad_word = 0;
    char *text = calloc(1, size + 1);

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    if (wzp_mnemonic_parse(text, seed, &bad_word) == 0)
        check_round_trip(seed);
    else
        check(bad_word <= WZP_MNEMONIC_WORDS);
    if (size >= sizeof seed)
        check_round_trip(data);
    free(text);
    return 0;
}
