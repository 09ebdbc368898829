/* Digest: RFC vectors, nonces, replay, the strict header parser, and no difference between unknown and wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sip/auth.h"

#define SECOND UINT64_C(1000000)
#define NOW    (1000 * SECOND)

/* A counter: repeatable, and never the same twice. */
static void fill(void *arg, uint8_t *out, size_t len)
{
    uint8_t *next = arg;
    for (size_t i = 0; i < len; i++)
        out[i] = (*next)++;
}

struct world {
    uint8_t counter;
    struct wz_rng rng;
    struct sipua_auth *auth;
    struct sipua_credentials alice;
};

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->rng = (struct wz_rng){ fill, &world->counter };
    assert_int_equal(sipua_auth_new(&world->auth, "realm", &world->rng, 4), 0);
    sipua_auth_ha1(SIPUA_AUTH_MD5, "alice", "realm", "secret", world->alice.ha1_md5);
    sipua_auth_ha1(SIPUA_AUTH_SHA256, "alice", "realm", "secret", world->alice.ha1_sha256);
    world->alice.policy = SIPUA_POLICY_MD5;
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    sipua_auth_free(world->auth);
    free(world);
    return 0;
}

static struct sipua_auth_header parse(const char *text)
{
    struct sipua_auth_header header;
    assert_int_equal(sipua_auth_parse(wz_bytes_str(text), &header), 0);
    return header;
}

static void expect_parse_error(const char *text, int err)
{
    struct sipua_auth_header header = { .nc = 77 };
    assert_int_equal(sipua_auth_parse(wz_bytes_str(text), &header), err);
    assert_int_equal(header.nc, 77);
}

/* The nonce of a fresh challenge. */
static void take_nonce(struct world *world, enum sipua_auth_algorithm algorithm, uint64_t now_us, char *nonce)
{
    char challenge[SIPUA_AUTH_CHALLENGE_MAX];
    sipua_auth_challenge(world->auth, algorithm, false, now_us, challenge);
    const char *at = strstr(challenge, "nonce=\"");
    assert_non_null(at);
    snprintf(nonce, SIPUA_AUTH_FIELD_MAX, "%.*s", (int)strcspn(at + 7, "\""), at + 7);
}

static struct sipua_auth_header respond(const char *user, const char *password, enum sipua_auth_algorithm algorithm,
                                        const char *nonce, uint32_t nc)
{
    char ha1[SIPUA_HA1_TEXT_MAX];
    struct sipua_auth_header header = {
        .algorithm = algorithm, .nc = nc, .qop = "auth", .realm = "realm", .uri = "sip:realm", .cnonce = "c"
    };
    snprintf(header.username, sizeof header.username, "%s", user);
    snprintf(header.nonce, sizeof header.nonce, "%s", nonce);
    snprintf(header.nc_text, sizeof header.nc_text, "%08x", nc);
    sipua_auth_ha1(algorithm, user, "realm", password, ha1);
    sipua_auth_response(&header, "REGISTER", ha1, header.response);
    return header;
}

/* RFC 7616 3.9.1 */
static void rfc7616_vectors_match(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm, *response;
    } vector[] = {
        { "MD5", "8ca523f5e9506fed4657c9700eebdbec" },
        { "SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
    };
    for (size_t i = 0; i < 2; i++) {
        char text[1024], ha1[SIPUA_HA1_TEXT_MAX], response[SIPUA_HA1_TEXT_MAX];
        snprintf(text, sizeof text,
                 "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm=%s, "
                 "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, "
                 "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"%s\", "
                 "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
                 vector[i].algorithm, vector[i].response);
        const struct sipua_auth_header header = parse(text);
        sipua_auth_ha1(header.algorithm, "Mufasa", "http-auth@example.org", "Circle of Life", ha1);
        sipua_auth_response(&header, "GET", ha1, response);
        assert_string_equal(response, vector[i].response);
        assert_string_equal(header.response, vector[i].response);
    }
}

static void right_response_is_accepted_once_per_nc(void **state)
{
    struct world *world = *state;
    char nonce[SIPUA_AUTH_FIELD_MAX];
    take_nonce(world, SIPUA_AUTH_MD5, NOW, nonce);
    struct sipua_auth_header header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_OK);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_STALE);
    header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 2);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_OK);
    header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 0);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_STALE);
}

static void method_is_part_of_the_response(void **state)
{
    struct world *world = *state;
    char nonce[SIPUA_AUTH_FIELD_MAX];
    take_nonce(world, SIPUA_AUTH_MD5, NOW, nonce);
    struct sipua_auth_header header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "INVITE", &world->alice, NOW), SIPUA_AUTH_DENIED);
}

static void wrong_password_and_unknown_user_are_denied_alike(void **state)
{
    struct world *world = *state;
    char nonce[SIPUA_AUTH_FIELD_MAX];
    take_nonce(world, SIPUA_AUTH_MD5, NOW, nonce);
    struct sipua_auth_header header = respond("alice", "guess", SIPUA_AUTH_MD5, nonce, 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_DENIED);
    header = respond("nobody", "guess", SIPUA_AUTH_MD5, nonce, 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", NULL, NOW), SIPUA_AUTH_DENIED);
    /* a refused response does not use up its nc */
    header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_OK);
}

static void nonce_grows_stale_at_its_age_and_never_for_a_guess(void **state)
{
    struct world *world = *state;
    char nonce[SIPUA_AUTH_FIELD_MAX];
    const uint64_t last_us = NOW + SIPUA_AUTH_NONCE_LIFE_S * SECOND;
    take_nonce(world, SIPUA_AUTH_MD5, NOW, nonce);
    struct sipua_auth_header header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, last_us), SIPUA_AUTH_OK);
    header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 2);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, last_us + 1), SIPUA_AUTH_STALE);
    header = respond("alice", "guess", SIPUA_AUTH_MD5, nonce, 3);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, last_us + 1), SIPUA_AUTH_DENIED);
    header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 4);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW - 1), SIPUA_AUTH_STALE);
}

static void foreign_or_altered_nonce_is_stale_for_the_right_password(void **state)
{
    struct world *world = *state;
    char nonce[SIPUA_AUTH_FIELD_MAX];
    take_nonce(world, SIPUA_AUTH_MD5, NOW, nonce);
    nonce[3] ^= 1;
    struct sipua_auth_header header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_STALE);
    header = respond("alice", "secret", SIPUA_AUTH_MD5, "made up", 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_STALE);
}

static void nonce_pushed_out_of_the_table_cannot_be_replayed(void **state)
{
    struct world *world = *state;
    char first[SIPUA_AUTH_FIELD_MAX], nonce[SIPUA_AUTH_FIELD_MAX];
    take_nonce(world, SIPUA_AUTH_MD5, NOW, first);
    struct sipua_auth_header header = respond("alice", "secret", SIPUA_AUTH_MD5, first, 1);
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_OK);
    for (uint64_t i = 1; i <= 64; i++) { /* the table has 4 slots */
        struct sipua_auth_header other;
        take_nonce(world, SIPUA_AUTH_MD5, NOW + i, nonce);
        other = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 1);
        assert_int_equal(sipua_auth_check(world->auth, &other, "REGISTER", &world->alice, NOW + i), SIPUA_AUTH_OK);
    }
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW + 65), SIPUA_AUTH_STALE);
}

static void policy_decides_which_algorithm_counts(void **state)
{
    static const struct {
        enum sipua_auth_policy policy;
        enum sipua_auth_algorithm algorithm;
        enum sipua_auth_verdict verdict;
    } row[] = {
        { SIPUA_POLICY_MD5, SIPUA_AUTH_MD5, SIPUA_AUTH_OK },
        { SIPUA_POLICY_MD5, SIPUA_AUTH_SHA256, SIPUA_AUTH_DENIED },
        { SIPUA_POLICY_SHA256, SIPUA_AUTH_SHA256, SIPUA_AUTH_OK },
        { SIPUA_POLICY_SHA256, SIPUA_AUTH_MD5, SIPUA_AUTH_DENIED },
        { SIPUA_POLICY_BOTH, SIPUA_AUTH_MD5, SIPUA_AUTH_OK },
        { SIPUA_POLICY_BOTH, SIPUA_AUTH_SHA256, SIPUA_AUTH_OK },
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char nonce[SIPUA_AUTH_FIELD_MAX];
        take_nonce(world, row[i].algorithm, NOW + i, nonce);
        const struct sipua_auth_header header = respond("alice", "secret", row[i].algorithm, nonce, 1);
        world->alice.policy = row[i].policy;
        assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW + i), row[i].verdict);
    }
}

static void other_realm_is_denied(void **state)
{
    struct world *world = *state;
    char nonce[SIPUA_AUTH_FIELD_MAX];
    take_nonce(world, SIPUA_AUTH_MD5, NOW, nonce);
    struct sipua_auth_header header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 1);
    snprintf(header.realm, sizeof header.realm, "elsewhere");
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_DENIED);
}

static void user_without_a_hash_for_the_algorithm_is_denied(void **state)
{
    struct world *world = *state;
    char nonce[SIPUA_AUTH_FIELD_MAX];
    take_nonce(world, SIPUA_AUTH_MD5, NOW, nonce);
    const struct sipua_auth_header header = respond("alice", "secret", SIPUA_AUTH_MD5, nonce, 1);
    world->alice.ha1_md5[0] = '\0';
    assert_int_equal(sipua_auth_check(world->auth, &header, "REGISTER", &world->alice, NOW), SIPUA_AUTH_DENIED);
}

static void challenge_states_realm_qop_and_staleness(void **state)
{
    struct world *world = *state;
    char text[SIPUA_AUTH_CHALLENGE_MAX];
    sipua_auth_challenge(world->auth, SIPUA_AUTH_SHA256, true, NOW, text);
    assert_memory_equal(text, "Digest realm=\"realm\", nonce=\"", 29);
    assert_non_null(strstr(text, "\", algorithm=SHA-256, qop=\"auth\", stale=true"));
    sipua_auth_challenge(world->auth, SIPUA_AUTH_MD5, false, NOW, text);
    assert_null(strstr(text, "stale"));
}

static void unprintable_realm_and_odd_table_are_refused(void **state)
{
    struct world *world = *state;
    struct sipua_auth *auth = NULL;
    assert_int_equal(sipua_auth_new(&auth, "a\"b", &world->rng, 4), -EINVAL);
    assert_int_equal(sipua_auth_new(&auth, "a\r\nb", &world->rng, 4), -EINVAL);
    assert_int_equal(sipua_auth_new(&auth, "", &world->rng, 4), -EINVAL);
    assert_int_equal(sipua_auth_new(&auth, "ok", &world->rng, 3), -EINVAL);
    assert_null(auth);
}

#define GOOD                                                                                                           \
    "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"0aF0\", cnonce=\"c\", nc=0000000A, "   \
    "qop=auth"

static void parser_accepts_what_clients_write(void **state)
{
    (void)state;
    struct sipua_auth_header header = parse(GOOD);
    assert_string_equal(header.response, "0af0");
    assert_int_equal(header.nc, 10);
    assert_string_equal(header.nc_text, "0000000A");
    assert_int_equal(header.algorithm, SIPUA_AUTH_MD5);
    header =
        parse("dIgEsT  USERNAME = \"a\\\"b\" ,realm=\"\", nonce=\"n\",uri=\"sip:x\",response=\"00\", qop=\"auth\", "
              "cnonce=\"c\",nc=00000001, algorithm=sha-256, opaque=\"zzz\", foo=bar");
    assert_string_equal(header.username, "a\"b");
    assert_string_equal(header.realm, "");
    assert_int_equal(header.algorithm, SIPUA_AUTH_SHA256);
}

static void parser_refuses_the_rest(void **state)
{
    char text[2 * SIPUA_AUTH_HEADER_MAX];
    (void)state;
    expect_parse_error("", -EBADMSG);
    expect_parse_error("Digest", -EBADMSG);
    expect_parse_error("Digest username", -EBADMSG);
    expect_parse_error("Basic QWxhZGRpbjo=", -EPROTONOSUPPORT);
    expect_parse_error(GOOD ", nc=00000002", -EBADMSG);
    expect_parse_error(GOOD ", USERNAME=\"b\"", -EBADMSG);
    expect_parse_error(GOOD ",", -EBADMSG);
    expect_parse_error(GOOD ", x=\"open", -EBADMSG);
    expect_parse_error(GOOD ", x=\"a\nb\"", -EBADMSG);
    expect_parse_error(GOOD ", algorithm=SHA-512-256", -EPROTONOSUPPORT);
    expect_parse_error(GOOD ", userhash=true", -EPROTONOSUPPORT);
    expect_parse_error("Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"x\", response=\"00\", cnonce=\"c\", "
                       "nc=00000001, qop=auth-int",
                       -EPROTONOSUPPORT);
    expect_parse_error("Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"x\", response=\"00\"", -EPROTONOSUPPORT);
    expect_parse_error("Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"x\", response=\"zz\", cnonce=\"c\", "
                       "nc=00000001, qop=auth",
                       -EBADMSG);
    expect_parse_error(
        "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"x\", response=\"00\", cnonce=\"c\", nc=1, qop=auth",
        -EBADMSG);
    expect_parse_error(
        "Digest realm=\"r\", nonce=\"n\", uri=\"x\", response=\"00\", cnonce=\"c\", nc=00000001, qop=auth", -EBADMSG);
    memset(text, ' ', sizeof text);
    memcpy(text, GOOD, strlen(GOOD));
    text[SIPUA_AUTH_HEADER_MAX] = '\0';
    assert_int_equal(parse(text).nc, 10); /* the limit itself */
    text[SIPUA_AUTH_HEADER_MAX] = ' ';
    text[SIPUA_AUTH_HEADER_MAX + 1] = '\0';
    expect_parse_error(text, -EBADMSG);
}

static void long_value_and_many_parameters_are_refused(void **state)
{
    char text[SIPUA_AUTH_HEADER_MAX], value[SIPUA_AUTH_FIELD_MAX + 1];
    (void)state;
    memset(value, 'v', sizeof value);
    value[SIPUA_AUTH_FIELD_MAX - 1] = '\0';
    snprintf(text, sizeof text, GOOD ", x=\"%s\"", value);
    assert_int_equal(parse(text).nc, 10);
    value[SIPUA_AUTH_FIELD_MAX - 1] = 'v';
    value[SIPUA_AUTH_FIELD_MAX] = '\0';
    snprintf(text, sizeof text, GOOD ", x=\"%s\"", value);
    expect_parse_error(text, -EBADMSG);
    snprintf(text, sizeof text, GOOD);
    for (unsigned i = 8; i < SIPUA_AUTH_PARAMS_MAX; i++)
        strcat(text, ", x=y");
    assert_int_equal(parse(text).nc, 10);
    strcat(text, ", x=y");
    expect_parse_error(text, -EBADMSG);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc7616_vectors_match),
        WORLD(right_response_is_accepted_once_per_nc),
        WORLD(method_is_part_of_the_response),
        WORLD(wrong_password_and_unknown_user_are_denied_alike),
        WORLD(nonce_grows_stale_at_its_age_and_never_for_a_guess),
        WORLD(foreign_or_altered_nonce_is_stale_for_the_right_password),
        WORLD(nonce_pushed_out_of_the_table_cannot_be_replayed),
        WORLD(policy_decides_which_algorithm_counts),
        WORLD(other_realm_is_denied),
        WORLD(user_without_a_hash_for_the_algorithm_is_denied),
        WORLD(challenge_states_realm_qop_and_staleness),
        WORLD(unprintable_realm_and_odd_table_are_refused),
        cmocka_unit_test(parser_accepts_what_clients_write),
        cmocka_unit_test(parser_refuses_the_rest),
        cmocka_unit_test(long_value_and_many_parameters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
