/* Random signals of every kind, built from the field tables: decode(encode(x)) == x, and the text is a fixed
 * point. Also what a relay does: a message with its fields shuffled and unknown ones among them decodes to
 * the same values and keeps the unknown ones. On failure the seed is printed; rerun with:
 * test_signal_round_trip SEED */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/signal_equal.h"

static uint64_t first_seed = 1;
static uint64_t seeds = 4000;

struct world {
    uint64_t seed, rng;
};

#define CHECK(w, cond)                                                                                       \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            printf("seed %llu: %s\n", (unsigned long long)(w)->seed, #cond);                                 \
            fail();                                                                                          \
        }                                                                                                    \
    } while (0)

static uint32_t next(struct world *w)
{
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 7;
    w->rng ^= w->rng << 17;
    return (uint32_t)(w->rng >> 32);
}

static size_t below(struct world *w, size_t limit)
{
    return next(w) % limit;
}

static void random_bytes(struct world *w, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)next(w);
}

/** Up to 30 characters, the awkward ones included. */
static char *random_text(struct world *w)
{
    static const char *const pieces[] = { "a",
                                          "0",
                                          ":",
                                          "\"",
                                          "\\",
                                          "/",
                                          "\n",
                                          "\x01",
                                          "\x1f",
                                          "\x7f",
                                          " ",
                                          "\xc3\xa9",
                                          "\xe2\x82\xac",
                                          "\xf0\x9f\x98\x80",
                                          "\xef\xbf\xbf" };
    size_t count = below(w, 31);
    char *text = calloc(1, 4 * count + 1);
    CHECK(w, text);
    for (size_t i = 0; i < count; i++)
        strcat(text, pieces[below(w, sizeof pieces / sizeof *pieces)]);
    return text;
}

static float random_ratio(struct world *w)
{
    static const float usual[] = { 0.0f, 0.1f, 0.2f, 0.5f, 1.0f, WZP_SIGNAL_MAX_FEC_RATIO };
    if (below(w, 2))
        return usual[below(w, sizeof usual / sizeof *usual)];
    float any;
    uint32_t bits;
    do {
        bits = next(w) & 0x7fffffff; /* any positive pattern, denormals and infinities too */
        memcpy(&any, &bits, sizeof any);
    } while (!(any <= WZP_SIGNAL_MAX_FEC_RATIO));
    return any;
}

static void random_signal(struct world *w, enum wzp_signal_kind kind, struct wzp_signal *ret);
static void random_fields(struct world *w, struct wzp_fields fields, void *object);

/** A key that may be missing; where the field cannot be left out, missing is all zeros. */
static void random_key(struct world *w, uint8_t *key, bool *has)
{
    if ((*has = below(w, 4) != 0)) {
        random_bytes(w, key, WZP_KEY_BYTES);
        key[0] |= 1;
    }
}

static void random_participants(struct world *w, const struct wzp_field *row, void *object)
{
    size_t count = below(w, 5);
    struct wzp_participant *list = count ? calloc(count, sizeof *list) : NULL;
    CHECK(w, list || !count);
    for (size_t i = 0; i < count; i++)
        random_fields(w, wzp_participant_fields, &list[i]);
    *WZP_MEMBER(object, row->offset, struct wzp_participant *) = list;
    *WZP_MEMBER(object, row->extra, size_t) = count;
}

static void random_texts(struct world *w, const struct wzp_field *row, void *object)
{
    size_t count = below(w, 5);
    char **list = count ? calloc(count, sizeof *list) : NULL;
    CHECK(w, list || !count);
    for (size_t i = 0; i < count; i++)
        list[i] = random_text(w);
    *WZP_MEMBER(object, row->offset, char **) = list;
    *WZP_MEMBER(object, row->extra, size_t) = count;
}

static void random_row(struct world *w, const struct wzp_field *row, void *object)
{
    bool optional = row->need == WZP_NEED_NULLABLE || row->need == WZP_NEED_ELIDABLE;
    struct wzp_signed_keys *keys = WZP_MEMBER(object, row->offset, struct wzp_signed_keys);
    struct wzp_addr_list *addrs = WZP_MEMBER(object, row->offset, struct wzp_addr_list);
    struct wzp_profile *profile = WZP_MEMBER(object, row->offset, struct wzp_profile);
    struct wzp_signal *inner;
    size_t count;

    switch (row->type) {
    case WZP_FIELD_TEXT:
        *WZP_MEMBER(object, row->offset, char *) = optional && below(w, 2) ? NULL : random_text(w);
        break;
    case WZP_FIELD_BOOL:
        *WZP_MEMBER(object, row->offset, bool) = below(w, 2);
        break;
    case WZP_FIELD_U8:
        *WZP_MEMBER(object, row->offset, uint8_t) = (uint8_t)next(w);
        break;
    case WZP_FIELD_U32:
        *WZP_MEMBER(object, row->offset, uint32_t) = next(w) >> below(w, 32);
        break;
    case WZP_FIELD_U64: /* up to 2^63-1, see signal.h */
        *WZP_MEMBER(object, row->offset, uint64_t) = ((uint64_t)next(w) << 31 | next(w) >> 1) >> below(w, 63);
        break;
    case WZP_FIELD_RATIO:
        *WZP_MEMBER(object, row->offset, float) = random_ratio(w);
        break;
    case WZP_FIELD_CODEC:
        *WZP_MEMBER(object, row->offset, enum wzp_codec) = (enum wzp_codec)below(w, WZP_CODEC_COUNT);
        break;
    case WZP_FIELD_REASON:
        *WZP_MEMBER(object, row->offset, enum wzp_hangup_reason) =
            (enum wzp_hangup_reason)below(w, WZP_HANGUP_ERROR + 1);
        break;
    case WZP_FIELD_MODE:
        *WZP_MEMBER(object, row->offset, enum wzp_accept_mode) =
            (enum wzp_accept_mode)below(w, WZP_ACCEPT_GENERIC + 1);
        break;
    case WZP_FIELD_IDENTITY:
        random_key(w, keys->identity_pub, &keys->has_identity);
        break;
    case WZP_FIELD_EPHEMERAL:
        random_key(w, keys->ephemeral_pub, &keys->has_ephemeral);
        break;
    case WZP_FIELD_SIGNATURE:
        keys->signature_len = below(w, 2) ? WZP_SIGNATURE_BYTES : 0;
        random_bytes(w, keys->signature, keys->signature_len);
        break;
    case WZP_FIELD_PROFILE:
        if (row->need == WZP_NEED_ELIDABLE && !(*WZP_MEMBER(object, row->extra, bool) = below(w, 2)))
            break;
        random_fields(w, wzp_profile_fields, profile);
        break;
    case WZP_FIELD_REPORT:
        random_fields(w, wzp_report_fields, WZP_MEMBER(object, row->offset, struct wzp_quality_report));
        break;
    case WZP_FIELD_PROFILES:
        count = below(w, WZP_SIGNAL_MAX_PROFILES + 1);
        for (size_t i = 0; i < count; i++)
            random_fields(w, wzp_profile_fields, &profile[i]);
        *WZP_MEMBER(object, row->extra, size_t) = count;
        break;
    case WZP_FIELD_ADDRS:
        count = below(w, WZP_SIGNAL_MAX_ADDRS + 1);
        while (addrs->count < count)
            addrs->text[addrs->count++] = random_text(w);
        break;
    case WZP_FIELD_PARTICIPANTS:
        random_participants(w, row, object);
        break;
    case WZP_FIELD_TEXTS:
        random_texts(w, row, object);
        break;
    case WZP_FIELD_SIGNAL:
        inner = calloc(1, sizeof *inner);
        CHECK(w, inner);
        random_signal(w, (enum wzp_signal_kind)(1 + below(w, WZP_SIG_FEDERATED_SIGNAL_FORWARD - 1)), inner);
        *WZP_MEMBER(object, row->offset, struct wzp_signal *) = inner;
        break;
    }
}

static void random_fields(struct world *w, struct wzp_fields fields, void *object)
{
    for (size_t i = 0; i < fields.count; i++)
        random_row(w, &fields.row[i], object);
}

static void random_signal(struct world *w, enum wzp_signal_kind kind, struct wzp_signal *ret)
{
    *ret = (struct wzp_signal){ .kind = kind };
    random_fields(w, wzp_variants[kind].fields, ret);
}

static struct world world_of(uint64_t seed)
{
    struct world w = { .seed = seed, .rng = seed * 0x9e3779b97f4a7c15u + 1 };
    for (int i = 0; i < 4; i++)
        (void)next(&w);
    return w;
}

static char *encode(struct world *w, const struct wzp_signal *sig)
{
    char *json = NULL;
    size_t len = 0;
    CHECK(w, wzp_signal_encode(sig, &json, &len) == 0 && strlen(json) == len);
    return json;
}

static struct wzp_signal decode(struct world *w, const char *json)
{
    struct wzp_signal sig;
    CHECK(w, wzp_signal_decode(wz_bytes_str(json), &sig) == 0);
    return sig;
}

static void what_was_encoded_decodes_to_the_same_signal(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        struct world w = world_of(seed);
        struct wzp_signal sig, got;
        random_signal(&w, (enum wzp_signal_kind)(1 + seed % (WZP_SIG_KIND_COUNT - 1)), &sig);
        char *json = encode(&w, &sig);
        got = decode(&w, json);
        CHECK(&w, signal_equal(&sig, &got));
        char *again = encode(&w, &got);
        CHECK(&w, strcmp(json, again) == 0);
        free(json);
        free(again);
        wzp_signal_done(&sig);
        wzp_signal_done(&got);
    }
}

/** The members of payload in random order, with unknown ones in between. */
static json_t *shuffled(struct world *w, json_t *payload)
{
    json_t *out = json_object(), *value;
    size_t left = json_object_size(payload);
    CHECK(w, out && json_object_set_new(out, "unknown_1", json_pack("{s:[i,n]}", "x", 5)) == 0);
    while (left > 0) {
        size_t pick = below(w, left--);
        void *iter = json_object_iter(payload);
        while (pick-- > 0)
            iter = json_object_iter_next(payload, iter);
        const char *name = json_object_iter_key(iter);
        value = json_object_iter_value(iter);
        CHECK(w, json_object_set(out, name, value) == 0);
        CHECK(w, json_object_del(payload, name) == 0);
    }
    CHECK(w, json_object_set_new(out, "unknown_2", json_string("\xc3\xa9\n")) == 0);
    return out;
}

static void a_relay_keeps_unknown_fields_and_understands_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds / 4; seed++) {
        struct world w = world_of(seed);
        struct wzp_signal sig, got;
        enum wzp_signal_kind kind = (enum wzp_signal_kind)(1 + seed % (WZP_SIG_KIND_COUNT - 1));
        if (wzp_variants[kind].is_unit)
            continue;
        random_signal(&w, kind, &sig);
        char *plain = encode(&w, &sig);
        json_t *root = json_loads(plain, 0, NULL);
        CHECK(&w, root);
        json_t *mixed = shuffled(&w, json_object_get(root, wzp_variants[kind].name));
        CHECK(&w, json_object_set_new(root, wzp_variants[kind].name, mixed) == 0);
        char *text = json_dumps(root, JSON_INDENT(2));
        CHECK(&w, text);

        got = decode(&w, text);
        CHECK(&w, signal_equal(&sig, &got));
        char *forwarded = encode(&w, &got);
        json_t *reread = json_loads(forwarded, 0, NULL);
        CHECK(&w, json_equal(root, reread));
        json_decref(root);
        json_decref(reread);
        free(plain);
        free(text);
        free(forwarded);
        wzp_signal_done(&sig);
        wzp_signal_done(&got);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_decodes_to_the_same_signal),
        cmocka_unit_test(a_relay_keeps_unknown_fields_and_understands_any_order),
    };
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = 4; /* a quarter of them for the second test */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
