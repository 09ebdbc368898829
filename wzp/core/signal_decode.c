#include <errno.h>
#include <stdlib.h>

#include <jansson.h>

#include "wzp/core/frame.h"
#include "wzp/core/signal_table.h"

#define UNKNOWN_NAME_MAX 64

/** Reads one present value into its place within object. 0, -EBADMSG or -ENOMEM; what was allocated stays in
 * object. */
typedef int field_reader(const struct wzp_field *row, const json_t *value, void *object);

static int read_fields(struct wzp_fields fields, const json_t *value, void *object);
static int read_signal(const json_t *root, struct wzp_signal *ret);

static int copy_text(const json_t *value, char **ret)
{
    if (!json_is_string(value) || json_string_length(value) > WZP_SIGNAL_MAX_TEXT)
        return -EBADMSG;
    *ret = strdup(json_string_value(value));
    return *ret ? 0 : -ENOMEM;
}

static int read_text(const struct wzp_field *row, const json_t *value, void *object)
{
    return copy_text(value, WZP_MEMBER(object, row->offset, char *));
}

static int read_bool(const struct wzp_field *row, const json_t *value, void *object)
{
    if (!json_is_boolean(value))
        return -EBADMSG;
    *WZP_MEMBER(object, row->offset, bool) = json_is_true(value);
    return 0;
}

/** An integer 0..max. jansson holds 64-bit signed values: numbers from 2^63 on do not parse at all. */
static int get_unsigned(const json_t *value, uint64_t max, uint64_t *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max)
        return -EBADMSG;
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_u8(const struct wzp_field *row, const json_t *value, void *object)
{
    uint64_t number;
    int err = get_unsigned(value, UINT8_MAX, &number);
    if (!err)
        *WZP_MEMBER(object, row->offset, uint8_t) = (uint8_t)number;
    return err;
}

static int read_u32(const struct wzp_field *row, const json_t *value, void *object)
{
    uint64_t number;
    int err = get_unsigned(value, UINT32_MAX, &number);
    if (!err)
        *WZP_MEMBER(object, row->offset, uint32_t) = (uint32_t)number;
    return err;
}

static int read_u64(const struct wzp_field *row, const json_t *value, void *object)
{
    return get_unsigned(value, UINT64_MAX, WZP_MEMBER(object, row->offset, uint64_t));
}

static int read_ratio(const struct wzp_field *row, const json_t *value, void *object)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= 0 && number <= WZP_SIGNAL_MAX_FEC_RATIO))
        return -EBADMSG;
    *WZP_MEMBER(object, row->offset, float) = number > 0 ? (float)number : 0.0f; /* -0.0 is 0 */
    return 0;
}

static int read_codec(const struct wzp_field *row, const json_t *value, void *object)
{
    if (!json_is_string(value))
        return -EBADMSG;
    return wzp_codec_parse(json_string_value(value), WZP_MEMBER(object, row->offset, enum wzp_codec));
}

static int read_reason(const struct wzp_field *row, const json_t *value, void *object)
{
    if (!json_is_string(value))
        return -EBADMSG;
    return wzp_hangup_reason_parse(json_string_value(value), WZP_MEMBER(object, row->offset, enum wzp_hangup_reason));
}

static int read_mode(const struct wzp_field *row, const json_t *value, void *object)
{
    if (!json_is_string(value))
        return -EBADMSG;
    return wzp_accept_mode_parse(json_string_value(value), WZP_MEMBER(object, row->offset, enum wzp_accept_mode));
}

/** Every element of a list of numbers must be 0..255; the first size of them are stored. */
static int get_bytes(const json_t *value, uint8_t *ret, size_t size, size_t *ret_len)
{
    if (!json_is_array(value))
        return -EBADMSG;
    for (size_t i = 0; i < json_array_size(value); i++) {
        uint64_t byte;
        if (get_unsigned(json_array_get(value, i), UINT8_MAX, &byte))
            return -EBADMSG;
        if (i < size)
            ret[i] = (uint8_t)byte;
    }
    *ret_len = json_array_size(value);
    return 0;
}

static int get_key(const json_t *value, enum wzp_field_need need, uint8_t ret[static WZP_KEY_BYTES], bool *ret_has)
{
    static const uint8_t zeros[WZP_KEY_BYTES];
    uint8_t key[WZP_KEY_BYTES];
    size_t len = 0;

    if (get_bytes(value, key, sizeof key, &len) || len != sizeof key)
        return -EBADMSG;
    memcpy(ret, key, sizeof key);
    /* Where the field cannot be left out, zeros stand for "none". */
    *ret_has = need != WZP_NEED_REQUIRED || memcmp(key, zeros, sizeof key) != 0;
    return 0;
}

static int read_identity(const struct wzp_field *row, const json_t *value, void *object)
{
    struct wzp_signed_keys *keys = WZP_MEMBER(object, row->offset, struct wzp_signed_keys);
    return get_key(value, row->need, keys->identity_pub, &keys->has_identity);
}

static int read_ephemeral(const struct wzp_field *row, const json_t *value, void *object)
{
    struct wzp_signed_keys *keys = WZP_MEMBER(object, row->offset, struct wzp_signed_keys);
    return get_key(value, row->need, keys->ephemeral_pub, &keys->has_ephemeral);
}

static int read_signature(const struct wzp_field *row, const json_t *value, void *object)
{
    struct wzp_signed_keys *keys = WZP_MEMBER(object, row->offset, struct wzp_signed_keys);
    uint8_t signature[WZP_SIGNATURE_BYTES];
    size_t len = 0;

    if (get_bytes(value, signature, sizeof signature, &len))
        return -EBADMSG;
    if (len == sizeof signature) {
        memcpy(keys->signature, signature, sizeof signature);
        keys->signature_len = len;
    } else {
        keys->signature_odd = len != 0;
    }
    return 0;
}

static int read_profile(const struct wzp_field *row, const json_t *value, void *object)
{
    if (row->need == WZP_NEED_ELIDABLE)
        *WZP_MEMBER(object, row->extra, bool) = true;
    return read_fields(wzp_profile_fields, value, WZP_MEMBER(object, row->offset, struct wzp_profile));
}

static int read_report(const struct wzp_field *row, const json_t *value, void *object)
{
    return read_fields(wzp_report_fields, value, WZP_MEMBER(object, row->offset, struct wzp_quality_report));
}

static int read_profiles(const struct wzp_field *row, const json_t *value, void *object)
{
    struct wzp_profile *profile = WZP_MEMBER(object, row->offset, struct wzp_profile);
    size_t count = json_array_size(value);

    if (!json_is_array(value) || count > WZP_SIGNAL_MAX_PROFILES)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++) {
        int err = read_fields(wzp_profile_fields, json_array_get(value, i), &profile[i]);
        if (err)
            return err;
    }
    *WZP_MEMBER(object, row->extra, size_t) = count;
    return 0;
}

/** A host with many interfaces is no reason to lose its call: what is beyond the limit is checked, then left
 * out. */
static int read_addrs(const struct wzp_field *row, const json_t *value, void *object)
{
    struct wzp_addr_list *list = WZP_MEMBER(object, row->offset, struct wzp_addr_list);

    if (!json_is_array(value))
        return -EBADMSG;
    for (size_t i = 0; i < json_array_size(value); i++) {
        char *text = NULL;
        int err = copy_text(json_array_get(value, i), &text);
        if (err)
            return err;
        if (list->count < WZP_SIGNAL_MAX_ADDRS)
            list->text[list->count++] = text;
        else
            free(text);
    }
    return 0;
}

static int read_participants(const struct wzp_field *row, const json_t *value, void *object)
{
    struct wzp_participant **list = WZP_MEMBER(object, row->offset, struct wzp_participant *);
    size_t count = json_array_size(value);

    if (!json_is_array(value) || count > WZP_SIGNAL_MAX_PARTICIPANTS)
        return -EBADMSG;
    if (count == 0)
        return 0;
    if (!(*list = calloc(count, sizeof **list)))
        return -ENOMEM;
    *WZP_MEMBER(object, row->extra, size_t) = count;
    for (size_t i = 0; i < count; i++) {
        int err = read_fields(wzp_participant_fields, json_array_get(value, i), &(*list)[i]);
        if (err)
            return err;
    }
    return 0;
}

static int read_texts(const struct wzp_field *row, const json_t *value, void *object)
{
    char ***list = WZP_MEMBER(object, row->offset, char **);
    size_t count = json_array_size(value);

    if (!json_is_array(value) || count > WZP_SIGNAL_MAX_TEXTS)
        return -EBADMSG;
    if (count == 0)
        return 0;
    if (!(*list = calloc(count, sizeof **list)))
        return -ENOMEM;
    *WZP_MEMBER(object, row->extra, size_t) = count;
    for (size_t i = 0; i < count; i++) {
        int err = copy_text(json_array_get(value, i), &(*list)[i]);
        if (err)
            return err;
    }
    return 0;
}

static int read_inner(const struct wzp_field *row, const json_t *value, void *object)
{
    struct wzp_signal **inner = WZP_MEMBER(object, row->offset, struct wzp_signal *);

    if (!(*inner = calloc(1, sizeof **inner)))
        return -ENOMEM;
    return read_signal(value, *inner);
}

static field_reader *const readers[] = {
    [WZP_FIELD_TEXT] = read_text,
    [WZP_FIELD_BOOL] = read_bool,
    [WZP_FIELD_U8] = read_u8,
    [WZP_FIELD_U32] = read_u32,
    [WZP_FIELD_U64] = read_u64,
    [WZP_FIELD_RATIO] = read_ratio,
    [WZP_FIELD_CODEC] = read_codec,
    [WZP_FIELD_REASON] = read_reason,
    [WZP_FIELD_MODE] = read_mode,
    [WZP_FIELD_IDENTITY] = read_identity,
    [WZP_FIELD_EPHEMERAL] = read_ephemeral,
    [WZP_FIELD_SIGNATURE] = read_signature,
    [WZP_FIELD_PROFILE] = read_profile,
    [WZP_FIELD_REPORT] = read_report,
    [WZP_FIELD_PROFILES] = read_profiles,
    [WZP_FIELD_ADDRS] = read_addrs,
    [WZP_FIELD_PARTICIPANTS] = read_participants,
    [WZP_FIELD_TEXTS] = read_texts,
    [WZP_FIELD_SIGNAL] = read_inner,
};

/** Absent texts that are always written need a value. */
static int set_default(const struct wzp_field *row, void *object)
{
    if (row->type != WZP_FIELD_TEXT)
        return 0;
    char **text = WZP_MEMBER(object, row->offset, char *);
    *text = strdup("");
    return *text ? 0 : -ENOMEM;
}

static int read_fields(struct wzp_fields fields, const json_t *value, void *object)
{
    if (!json_is_object(value))
        return -EBADMSG;
    for (size_t i = 0; i < fields.count; i++) {
        const struct wzp_field *row = &fields.row[i];
        const json_t *member = json_object_get(value, row->name);
        bool null_is_absent = row->need == WZP_NEED_NULLABLE || row->need == WZP_NEED_ELIDABLE;
        int err = 0;
        if (member && !(json_is_null(member) && null_is_absent))
            err = readers[row->type](row, member, object);
        else if (row->need == WZP_NEED_REQUIRED)
            err = -EBADMSG;
        else if (row->need == WZP_NEED_DEFAULTED)
            err = set_default(row, object);
        if (err)
            return err;
    }
    return 0;
}

/** Keep the name of a variant that we do not know, cut between characters. */
static int read_unknown(const char *name, struct wzp_signal *ret)
{
    size_t len = strlen(name);
    if (len > UNKNOWN_NAME_MAX)
        for (len = UNKNOWN_NAME_MAX; ((unsigned char)name[len] & 0xc0) == 0x80;)
            len--;
    ret->unknown.name = strndup(name, len);
    return ret->unknown.name ? 0 : -ENOMEM;
}

/** {"Name":payload}. */
static int read_tagged(const json_t *root, struct wzp_signal *ret)
{
    /* The iterator type has no const; nothing is changed through it. */
    void *first = json_object_iter((json_t *)(uintptr_t)root);
    if (json_object_size(root) != 1 || !first)
        return -EBADMSG;
    const char *name = json_object_iter_key(first);
    json_t *payload = json_object_iter_value(first);

    ret->kind = wzp_signal_kind_parse(name);
    if (ret->kind == WZP_SIG_UNKNOWN)
        return read_unknown(name, ret);
    if (wzp_variants[ret->kind].is_unit)
        return json_is_null(payload) ? 0 : -EBADMSG;
    ret->origin = json_incref(payload);
    return read_fields(wzp_variants[ret->kind].fields, payload, ret);
}

/** ret must be zero. What a failure leaves in it is the caller's to free with wzp_signal_done(). */
static int read_signal(const json_t *root, struct wzp_signal *ret)
{
    if (json_is_object(root))
        return read_tagged(root, ret);
    if (!json_is_string(root))
        return -EBADMSG;
    ret->kind = wzp_signal_kind_parse(json_string_value(root));
    if (ret->kind == WZP_SIG_UNKNOWN)
        return read_unknown(json_string_value(root), ret);
    return wzp_variants[ret->kind].is_unit ? 0 : -EBADMSG;
}

/** Nesting and number of values, counted before a parser spends memory on them. */
static bool shape_is_allowed(struct wz_bytes json)
{
    size_t depth = 0, values = 1;
    bool in_string = false;
    struct wz_reader in = wz_reader(json);
    uint8_t c;

    while (wz_get_u8(&in, &c)) {
        if (in_string) {
            if (c == '\\')
                (void)wz_get_u8(&in, &c); /* an escape at the very end is the parser's to refuse */
            else if (c == '"')
                in_string = false;
            continue;
        }
        in_string = c == '"';
        if (c == ',' || c == '[' || c == '{')
            values++;
        if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth > 0)
            depth--;
        if (depth > WZP_SIGNAL_MAX_DEPTH || values > WZP_SIGNAL_MAX_VALUES)
            return false;
    }
    return true;
}

int wzp_signal_decode(struct wz_bytes json, struct wzp_signal *ret)
{
    struct wzp_signal sig = { 0 };
    json_error_t error;

    if (json.len > WZP_SIGNAL_MAX_BYTES)
        return -EMSGSIZE;
    if (json.len == 0 || !shape_is_allowed(json))
        return -EBADMSG;
    /* Without JSON_ALLOW_NUL the parser refuses \u0000, so that texts are C strings. */
    json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
    int err = read_signal(root, &sig);
    json_decref(root);
    if (err)
        wzp_signal_done(&sig);
    else
        *ret = sig;
    return err;
}
