#include <errno.h>
#include <stdlib.h>

#include <jansson.h>

#include "wzp/core/frame.h"
#include "wzp/core/signal_json.h"
#include "wzp/core/signal_table.h"

/** Writes one present value; origin is the value it was decoded from, or NULL. */
typedef void field_writer(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                          const json_t *origin);

static void write_fields(struct wzp_json_out *out, struct wzp_fields fields, const void *object, const json_t *origin);
static void write_signal(struct wzp_json_out *out, const struct wzp_signal *sig);

static void put_null(struct wzp_json_out *out)
{
    wzp_json_raw(out, "null", 4);
}

/** A text that the other side would refuse is our bug. */
static void put_text(struct wzp_json_out *out, const char *text)
{
    if (!text || strlen(text) > WZP_SIGNAL_MAX_TEXT)
        wzp_json_fail(out, -EINVAL);
    else
        wzp_json_string(out, text);
}

static int append_dumped(const char *buffer, size_t size, void *arg)
{
    struct wzp_json_out *out = arg;
    wzp_json_raw(out, buffer, size);
    return out->err ? -1 : 0;
}

/** A value that we keep as it came. */
static void put_origin(struct wzp_json_out *out, const json_t *origin)
{
    if (json_dump_callback(origin, append_dumped, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        wzp_json_fail(out, -ENOMEM);
}

static void write_text(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    const char *text = *WZP_CONST_MEMBER(object, row->offset, char *);
    put_text(out, text || row->need != WZP_NEED_DEFAULTED ? text : "");
}

static void write_bool(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    if (*WZP_CONST_MEMBER(object, row->offset, bool))
        wzp_json_raw(out, "true", 4);
    else
        wzp_json_raw(out, "false", 5);
}

static void write_u8(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    wzp_json_u64(out, *WZP_CONST_MEMBER(object, row->offset, uint8_t));
}

static void write_u32(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    wzp_json_u64(out, *WZP_CONST_MEMBER(object, row->offset, uint32_t));
}

static void write_u64(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    wzp_json_u64(out, *WZP_CONST_MEMBER(object, row->offset, uint64_t));
}

static void write_ratio(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    float ratio = *WZP_CONST_MEMBER(object, row->offset, float);
    if (ratio >= 0 && ratio <= WZP_SIGNAL_MAX_FEC_RATIO)
        wzp_json_float(out, ratio > 0 ? ratio : 0.0f); /* -0.0 is 0 */
    else
        wzp_json_fail(out, -EINVAL);
}

static void write_codec(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    enum wzp_codec codec = *WZP_CONST_MEMBER(object, row->offset, enum wzp_codec);
    if ((unsigned)codec < WZP_CODEC_COUNT)
        wzp_json_string(out, wzp_codec_name(codec));
    else
        wzp_json_fail(out, -EINVAL);
}

static void write_reason(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                         const json_t *origin)
{
    (void)origin;
    enum wzp_hangup_reason reason = *WZP_CONST_MEMBER(object, row->offset, enum wzp_hangup_reason);
    if ((unsigned)reason <= WZP_HANGUP_ERROR)
        wzp_json_string(out, wzp_hangup_reason_name(reason));
    else
        wzp_json_fail(out, -EINVAL);
}

static void write_mode(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    enum wzp_accept_mode mode = *WZP_CONST_MEMBER(object, row->offset, enum wzp_accept_mode);
    if ((unsigned)mode <= WZP_ACCEPT_GENERIC)
        wzp_json_string(out, wzp_accept_mode_name(mode));
    else
        wzp_json_fail(out, -EINVAL);
}

static void put_key(struct wzp_json_out *out, const uint8_t key[static WZP_KEY_BYTES], bool has)
{
    static const uint8_t zeros[WZP_KEY_BYTES];
    wzp_json_bytes(out, has ? key : zeros, WZP_KEY_BYTES);
}

static void write_identity(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                           const json_t *origin)
{
    (void)origin;
    const struct wzp_signed_keys *keys = WZP_CONST_MEMBER(object, row->offset, struct wzp_signed_keys);
    put_key(out, keys->identity_pub, keys->has_identity);
}

static void write_ephemeral(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                            const json_t *origin)
{
    (void)origin;
    const struct wzp_signed_keys *keys = WZP_CONST_MEMBER(object, row->offset, struct wzp_signed_keys);
    put_key(out, keys->ephemeral_pub, keys->has_ephemeral);
}

static void write_signature(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                            const json_t *origin)
{
    const struct wzp_signed_keys *keys = WZP_CONST_MEMBER(object, row->offset, struct wzp_signed_keys);
    if (keys->signature_len != 0 && keys->signature_len != WZP_SIGNATURE_BYTES)
        wzp_json_fail(out, -EINVAL);
    else if (keys->signature_odd && origin)
        put_origin(out, origin);
    else
        wzp_json_bytes(out, keys->signature, keys->signature_len);
}

static void write_profile(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                          const json_t *origin)
{
    write_fields(out, wzp_profile_fields, WZP_CONST_MEMBER(object, row->offset, struct wzp_profile), origin);
}

static void write_report(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                         const json_t *origin)
{
    write_fields(out, wzp_report_fields, WZP_CONST_MEMBER(object, row->offset, struct wzp_quality_report), origin);
}

/** A list of objects. Elements inherit the unknown fields of their origin while the list has its length. */
static void put_objects(struct wzp_json_out *out, struct wzp_fields fields, const void *first, size_t size,
                        size_t count, const json_t *origin)
{
    bool inherits = json_array_size(origin) == count;

    wzp_json_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            wzp_json_char(out, ',');
        write_fields(out, fields, (const char *)first + i * size, inherits ? json_array_get(origin, i) : NULL);
    }
    wzp_json_char(out, ']');
}

static void write_profiles(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                           const json_t *origin)
{
    const struct wzp_profile *first = WZP_CONST_MEMBER(object, row->offset, struct wzp_profile);
    size_t count = *WZP_CONST_MEMBER(object, row->extra, size_t);
    if (count > WZP_SIGNAL_MAX_PROFILES)
        wzp_json_fail(out, -EINVAL);
    else
        put_objects(out, wzp_profile_fields, first, sizeof *first, count, origin);
}

static void write_participants(struct wzp_json_out *out, const struct wzp_field *row, const void *object,
                               const json_t *origin)
{
    const struct wzp_participant *first = *WZP_CONST_MEMBER(object, row->offset, struct wzp_participant *);
    size_t count = *WZP_CONST_MEMBER(object, row->extra, size_t);
    if (count > WZP_SIGNAL_MAX_PARTICIPANTS)
        wzp_json_fail(out, -EINVAL);
    else
        put_objects(out, wzp_participant_fields, first, sizeof *first, count, origin);
}

static void put_texts(struct wzp_json_out *out, char *const *text, size_t count)
{
    wzp_json_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            wzp_json_char(out, ',');
        put_text(out, text[i]);
    }
    wzp_json_char(out, ']');
}

static void write_addrs(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    const struct wzp_addr_list *list = WZP_CONST_MEMBER(object, row->offset, struct wzp_addr_list);
    if (list->count > WZP_SIGNAL_MAX_ADDRS)
        wzp_json_fail(out, -EINVAL);
    else
        put_texts(out, list->text, list->count);
}

static void write_texts(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    size_t count = *WZP_CONST_MEMBER(object, row->extra, size_t);
    if (count > WZP_SIGNAL_MAX_TEXTS)
        wzp_json_fail(out, -EINVAL);
    else
        put_texts(out, *WZP_CONST_MEMBER(object, row->offset, char **), count);
}

static void write_inner(struct wzp_json_out *out, const struct wzp_field *row, const void *object, const json_t *origin)
{
    (void)origin;
    const struct wzp_signal *inner = *WZP_CONST_MEMBER(object, row->offset, struct wzp_signal *);
    if (inner)
        write_signal(out, inner);
    else
        wzp_json_fail(out, -EINVAL);
}

static field_writer *const writers[] = {
    [WZP_FIELD_TEXT] = write_text,
    [WZP_FIELD_BOOL] = write_bool,
    [WZP_FIELD_U8] = write_u8,
    [WZP_FIELD_U32] = write_u32,
    [WZP_FIELD_U64] = write_u64,
    [WZP_FIELD_RATIO] = write_ratio,
    [WZP_FIELD_CODEC] = write_codec,
    [WZP_FIELD_REASON] = write_reason,
    [WZP_FIELD_MODE] = write_mode,
    [WZP_FIELD_IDENTITY] = write_identity,
    [WZP_FIELD_EPHEMERAL] = write_ephemeral,
    [WZP_FIELD_SIGNATURE] = write_signature,
    [WZP_FIELD_PROFILE] = write_profile,
    [WZP_FIELD_REPORT] = write_report,
    [WZP_FIELD_PROFILES] = write_profiles,
    [WZP_FIELD_ADDRS] = write_addrs,
    [WZP_FIELD_PARTICIPANTS] = write_participants,
    [WZP_FIELD_TEXTS] = write_texts,
    [WZP_FIELD_SIGNAL] = write_inner,
};

/** Whether an optional field has no value. */
static bool is_absent(const struct wzp_field *row, const void *object)
{
    const struct wzp_signed_keys *keys;

    switch (row->type) {
    case WZP_FIELD_TEXT:
        return !*WZP_CONST_MEMBER(object, row->offset, char *);
    case WZP_FIELD_IDENTITY:
        return !WZP_CONST_MEMBER(object, row->offset, struct wzp_signed_keys)->has_identity;
    case WZP_FIELD_EPHEMERAL:
        return !WZP_CONST_MEMBER(object, row->offset, struct wzp_signed_keys)->has_ephemeral;
    case WZP_FIELD_SIGNATURE:
        keys = WZP_CONST_MEMBER(object, row->offset, struct wzp_signed_keys);
        return keys->signature_len == 0 && !keys->signature_odd;
    case WZP_FIELD_PROFILE:
        return !*WZP_CONST_MEMBER(object, row->extra, bool);
    case WZP_FIELD_ADDRS:
        return WZP_CONST_MEMBER(object, row->offset, struct wzp_addr_list)->count == 0;
    default:
        return false;
    }
}

static void put_name(struct wzp_json_out *out, const char *name, bool *is_first)
{
    if (!*is_first)
        wzp_json_char(out, ',');
    *is_first = false;
    wzp_json_string(out, name);
    wzp_json_char(out, ':');
}

static bool is_known(struct wzp_fields fields, const char *name)
{
    for (size_t i = 0; i < fields.count; i++)
        if (strcmp(fields.row[i].name, name) == 0)
            return true;
    return false;
}

/** What the origin carried that we do not know, behind our own fields. */
static void put_unknown_fields(struct wzp_json_out *out, struct wzp_fields fields, const json_t *origin, bool *is_first)
{
    /* The iterator functions have no const; nothing is changed through them. */
    json_t *object = (json_t *)(uintptr_t)origin;
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        if (is_known(fields, name))
            continue;
        put_name(out, name, is_first);
        put_origin(out, value);
    }
}

static void write_fields(struct wzp_json_out *out, struct wzp_fields fields, const void *object, const json_t *origin)
{
    bool is_first = true;

    wzp_json_char(out, '{');
    for (size_t i = 0; i < fields.count; i++) {
        const struct wzp_field *row = &fields.row[i];
        bool may_be_absent = row->need != WZP_NEED_REQUIRED && row->need != WZP_NEED_DEFAULTED;
        bool absent = may_be_absent && is_absent(row, object);
        if (absent && row->need != WZP_NEED_NULLABLE)
            continue;
        put_name(out, row->name, &is_first);
        if (absent)
            put_null(out);
        else
            writers[row->type](out, row, object, json_object_get(origin, row->name));
    }
    put_unknown_fields(out, fields, origin, &is_first);
    wzp_json_char(out, '}');
}

static void write_signal(struct wzp_json_out *out, const struct wzp_signal *sig)
{
    if (sig->kind == WZP_SIG_UNKNOWN || (unsigned)sig->kind >= WZP_SIG_KIND_COUNT) {
        wzp_json_fail(out, -EINVAL);
        return;
    }
    const struct wzp_variant *variant = &wzp_variants[sig->kind];
    if (variant->is_unit) {
        wzp_json_string(out, variant->name);
        return;
    }
    bool is_first = true;
    wzp_json_char(out, '{');
    put_name(out, variant->name, &is_first);
    write_fields(out, variant->fields, sig, sig->origin);
    wzp_json_char(out, '}');
}

int wzp_signal_encode(const struct wzp_signal *sig, char **ret_json, size_t *ret_len)
{
    struct wzp_json_out out = { 0 };

    write_signal(&out, sig);
    char *json = out.err ? NULL : realloc(out.text, out.len + 1);
    if (!json) {
        int err = out.err ? out.err : -ENOMEM;
        wzp_json_done(&out);
        return err;
    }
    json[out.len] = '\0';
    *ret_json = json;
    *ret_len = out.len;
    return 0;
}
