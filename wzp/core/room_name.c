#include "wzp/core/room_name.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "wzp/core/hex.h"

#define ROOM_HASH_PREFIX "featherchat-group:"
#define ROOM_HASH_BYTES  16

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}

static bool label_is_legal(const char *label, size_t len)
{
    if (len == 0 || len > WZP_SNI_LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_label_char(label[i]))
            return false;
    return true;
}

/** A last label of digits alone would read as an IPv4 address. */
static bool label_is_number(const char *label, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_digit(label[i]))
            return false;
    return true;
}

bool wzp_room_name_is_sni(const char *name)
{
    if (strlen(name) > WZP_SNI_MAX)
        return false;
    for (;;) {
        size_t len = strcspn(name, ".");
        if (!label_is_legal(name, len))
            return false;
        if (name[len] == '\0')
            return !label_is_number(name, len);
        name += len + 1;
    }
}

int wzp_room_name_to_sni(const char *room, char ret[static WZP_SNI_MAX + 1])
{
    if (*room == '\0')
        return -EINVAL;
    if (!wzp_room_name_is_sni(room))
        return wzp_room_hash(room, ret);
    memcpy(ret, room, strlen(room) + 1);
    wzp_room_name_lower(ret);
    return 0;
}

int wzp_room_hash(const char *room, char ret[static WZP_ROOM_HASH_TEXT])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, ROOM_HASH_PREFIX, strlen(ROOM_HASH_PREFIX)) == 1 &&
              EVP_DigestUpdate(ctx, room, strlen(room)) == 1 && EVP_DigestFinal_ex(ctx, hash, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    if (!ok)
        return -EIO;
    *wzp_hex_put(ret, hash, ROOM_HASH_BYTES) = '\0';
    return 0;
}

void wzp_room_federation_hash(const char *room, uint8_t ret[static WZP_ROOM_FEDERATION_HASH_BYTES])
{
    uint8_t hash[SHA256_DIGEST_LENGTH] = { 0 };

    (void)SHA256((const unsigned char *)room, strlen(room), hash); /* fails only without the built-in digest */
    memcpy(ret, hash, WZP_ROOM_FEDERATION_HASH_BYTES);
}

void wzp_room_name_lower(char *name)
{
    for (; *name; name++)
        if (*name >= 'A' && *name <= 'Z')
            *name = (char)(*name - 'A' + 'a');
}
