/* Whether two signals carry the same values, walked over the field tables; origins are not compared.
 * A header because fuzz targets are linked without the support library. */
#ifndef TESTS_SUPPORT_SIGNAL_EQUAL_H
#define TESTS_SUPPORT_SIGNAL_EQUAL_H

#include <string.h>

#include "wzp/core/signal_table.h"

static inline bool signal_equal(const struct wzp_signal *a, const struct wzp_signal *b);
static inline bool signal_fields_equal(struct wzp_fields fields, const void *a, const void *b);

static inline bool signal_text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static inline bool signal_texts_equal(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
    bool equal = a_count == b_count;
    for (size_t i = 0; equal && i < a_count; i++)
        equal = signal_text_equal(a[i], b[i]);
    return equal;
}

static inline bool signal_objects_equal(struct wzp_fields fields, const void *a, size_t a_count,
                                        const void *b, size_t b_count, size_t size)
{
    bool equal = a_count == b_count;
    for (size_t i = 0; equal && i < a_count; i++)
        equal = signal_fields_equal(fields, (const char *)a + i * size, (const char *)b + i * size);
    return equal;
}

static inline bool signal_key_equal(bool a_has, const uint8_t *a, bool b_has, const uint8_t *b)
{
    return a_has == b_has && (!a_has || memcmp(a, b, WZP_KEY_BYTES) == 0);
}

#define SIGNAL_AT(object, where, type) (*WZP_CONST_MEMBER(object, where, type))
#define SIGNAL_SAME(type)              (SIGNAL_AT(a, row->offset, type) == SIGNAL_AT(b, row->offset, type))

static inline bool signal_row_equal(const struct wzp_field *row, const void *a, const void *b)
{
    const struct wzp_signed_keys *keys_a = WZP_CONST_MEMBER(a, row->offset, struct wzp_signed_keys);
    const struct wzp_signed_keys *keys_b = WZP_CONST_MEMBER(b, row->offset, struct wzp_signed_keys);
    const struct wzp_addr_list *addrs_a = WZP_CONST_MEMBER(a, row->offset, struct wzp_addr_list);
    const struct wzp_addr_list *addrs_b = WZP_CONST_MEMBER(b, row->offset, struct wzp_addr_list);

    switch (row->type) {
    case WZP_FIELD_TEXT:
        return signal_text_equal(SIGNAL_AT(a, row->offset, char *), SIGNAL_AT(b, row->offset, char *));
    case WZP_FIELD_BOOL:
        return SIGNAL_SAME(bool);
    case WZP_FIELD_U8:
        return SIGNAL_SAME(uint8_t);
    case WZP_FIELD_U32:
        return SIGNAL_SAME(uint32_t);
    case WZP_FIELD_U64:
        return SIGNAL_SAME(uint64_t);
    case WZP_FIELD_RATIO:
        return SIGNAL_SAME(float);
    case WZP_FIELD_CODEC:
        return SIGNAL_SAME(enum wzp_codec);
    case WZP_FIELD_REASON:
        return SIGNAL_SAME(enum wzp_hangup_reason);
    case WZP_FIELD_MODE:
        return SIGNAL_SAME(enum wzp_accept_mode);
    case WZP_FIELD_IDENTITY:
        return signal_key_equal(keys_a->has_identity, keys_a->identity_pub, keys_b->has_identity,
                                keys_b->identity_pub);
    case WZP_FIELD_EPHEMERAL:
        return signal_key_equal(keys_a->has_ephemeral, keys_a->ephemeral_pub, keys_b->has_ephemeral,
                                keys_b->ephemeral_pub);
    case WZP_FIELD_SIGNATURE:
        return keys_a->signature_odd == keys_b->signature_odd &&
               keys_a->signature_len == keys_b->signature_len &&
               memcmp(keys_a->signature, keys_b->signature, keys_a->signature_len) == 0;
    case WZP_FIELD_PROFILE:
        if (row->need == WZP_NEED_ELIDABLE &&
            SIGNAL_AT(a, row->extra, bool) != SIGNAL_AT(b, row->extra, bool))
            return false;
        return signal_fields_equal(wzp_profile_fields, WZP_CONST_MEMBER(a, row->offset, struct wzp_profile),
                                   WZP_CONST_MEMBER(b, row->offset, struct wzp_profile));
    case WZP_FIELD_REPORT:
        return signal_fields_equal(wzp_report_fields,
                                   WZP_CONST_MEMBER(a, row->offset, struct wzp_quality_report),
                                   WZP_CONST_MEMBER(b, row->offset, struct wzp_quality_report));
    case WZP_FIELD_PROFILES:
        return signal_objects_equal(wzp_profile_fields, WZP_CONST_MEMBER(a, row->offset, struct wzp_profile),
                                    SIGNAL_AT(a, row->extra, size_t),
                                    WZP_CONST_MEMBER(b, row->offset, struct wzp_profile),
                                    SIGNAL_AT(b, row->extra, size_t), sizeof(struct wzp_profile));
    case WZP_FIELD_ADDRS:
        return signal_texts_equal(addrs_a->text, addrs_a->count, addrs_b->text, addrs_b->count);
    case WZP_FIELD_PARTICIPANTS:
        return signal_objects_equal(
            wzp_participant_fields, SIGNAL_AT(a, row->offset, struct wzp_participant *),
            SIGNAL_AT(a, row->extra, size_t), SIGNAL_AT(b, row->offset, struct wzp_participant *),
            SIGNAL_AT(b, row->extra, size_t), sizeof(struct wzp_participant));
    case WZP_FIELD_TEXTS:
        return signal_texts_equal(SIGNAL_AT(a, row->offset, char **), SIGNAL_AT(a, row->extra, size_t),
                                  SIGNAL_AT(b, row->offset, char **), SIGNAL_AT(b, row->extra, size_t));
    case WZP_FIELD_SIGNAL:
        return signal_equal(SIGNAL_AT(a, row->offset, struct wzp_signal *),
                            SIGNAL_AT(b, row->offset, struct wzp_signal *));
    }
    return false;
}

static inline bool signal_fields_equal(struct wzp_fields fields, const void *a, const void *b)
{
    for (size_t i = 0; i < fields.count; i++)
        if (!signal_row_equal(&fields.row[i], a, b))
            return false;
    return true;
}

static inline bool signal_equal(const struct wzp_signal *a, const struct wzp_signal *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == WZP_SIG_UNKNOWN)
        return signal_text_equal(a->unknown.name, b->unknown.name);
    return signal_fields_equal(wzp_variants[a->kind].fields, a, b);
}

#endif
