#include "wzp/core/identity.h"

#include <errno.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "wzp/core/mnemonic_words.h"

#define BITS_PER_WORD  11
#define CHECKSUM_BYTES 1

/** The bits that the words stand for: the seed and the first byte of its SHA-256. */
struct payload {
    uint8_t data[WZP_SEED_BYTES + CHECKSUM_BYTES];
};

_Static_assert(sizeof(struct payload) * 8 == WZP_MNEMONIC_WORDS * BITS_PER_WORD, "the words hold the payload exactly");

/** 0 or -EIO. */
static int checksum(const uint8_t seed[static WZP_SEED_BYTES], uint8_t *ret)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];

    int err = SHA256(seed, WZP_SEED_BYTES, hash) ? 0 : -EIO;
    if (!err)
        *ret = hash[0];
    OPENSSL_cleanse(hash, sizeof hash);
    return err;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/** Order of a word of text, which ends at a blank, and a lower-case word of the list. */
static int compare(const char *text, size_t len, const char *word)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        if (c != word[i]) /* also where word ends: no text holds its NUL */
            return (unsigned char)c < (unsigned char)word[i] ? -1 : 1;
    }
    return word[len] == '\0' ? 0 : -1;
}

/** Its eleven bits, or -1. */
static int find_word(const char *text, size_t len)
{
    int low = 0, high = WZP_MNEMONIC_LIST_WORDS;

    while (low < high) {
        int middle = (low + high) / 2;
        int order = compare(text, len, wzp_mnemonic_words[middle]);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

/** Cut the next word off *text; its length, 0 at the end. */
static size_t next_word(const char **text, const char **ret_word)
{
    const char *pos = *text;

    while (is_blank(*pos))
        pos++;
    *ret_word = pos;
    while (*pos && !is_blank(*pos))
        pos++;
    *text = pos;
    return (size_t)(pos - *ret_word);
}

/** 0 or -EBADMSG with the number of an unknown word in *ret_bad_word. */
static int read_words(const char *text, struct payload *ret, unsigned *ret_bad_word)
{
    const char *word;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t filled = 0;

    for (unsigned number = 1; number <= WZP_MNEMONIC_WORDS; number++) {
        size_t len = next_word(&text, &word);
        int value = find_word(word, len);
        if (value < 0) {
            *ret_bad_word = len ? number : 0;
            return -EBADMSG;
        }
        bits = (bits & 0xff) << BITS_PER_WORD | (uint32_t)value; /* at most seven were left over */
        for (bit_count += BITS_PER_WORD; bit_count >= 8; bit_count -= 8)
            ret->data[filled++] = (uint8_t)(bits >> (bit_count - 8));
    }
    return next_word(&text, &word) == 0 ? 0 : -EBADMSG;
}

int wzp_mnemonic_parse(const char *text, uint8_t ret[static WZP_SEED_BYTES], unsigned *ret_bad_word)
{
    struct payload payload;
    uint8_t expected = 0;
    unsigned bad_word = 0;

    int err = read_words(text, &payload, &bad_word);
    if (!err)
        err = checksum(payload.data, &expected);
    if (!err && payload.data[WZP_SEED_BYTES] != expected)
        err = -EBADMSG;
    if (!err)
        memcpy(ret, payload.data, WZP_SEED_BYTES);
    else if (ret_bad_word)
        *ret_bad_word = bad_word;
    OPENSSL_cleanse(&payload, sizeof payload);
    return err;
}

/** The eleven bits at word number `index` from 0. */
static unsigned word_value(const struct payload *payload, unsigned index)
{
    unsigned first_bit = index * BITS_PER_WORD, value = 0;

    for (unsigned bit = first_bit; bit < first_bit + BITS_PER_WORD; bit++)
        value = value << 1 | ((unsigned)payload->data[bit / 8] >> (7 - bit % 8) & 1u);
    return value;
}

int wzp_mnemonic_format(const uint8_t seed[static WZP_SEED_BYTES], char ret[static WZP_MNEMONIC_TEXT])
{
    struct payload payload;
    char *out = ret;

    memcpy(payload.data, seed, WZP_SEED_BYTES);
    int err = checksum(seed, &payload.data[WZP_SEED_BYTES]);
    for (unsigned i = 0; !err && i < WZP_MNEMONIC_WORDS; i++) {
        out = stpcpy(out, wzp_mnemonic_words[word_value(&payload, i)]);
        *out++ = i + 1 < WZP_MNEMONIC_WORDS ? ' ' : '\0';
    }
    OPENSSL_cleanse(&payload, sizeof payload);
    return err;
}
