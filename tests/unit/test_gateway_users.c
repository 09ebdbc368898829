/* gateway/users and gateway/echo: identities and passwords come from the configuration as documented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "config/config.h"
#include "gateway/echo.h"
#include "gateway/users.h"
#include "wzp/core/media.h"

static const uint8_t master[WZP_SEED_BYTES] = { 1, 2, 3 };

static const char text[] = "users:\n"
                           "  - {name: alice, password: wonderland, number: \"1001\", alias: al, privacy: generic}\n"
                           "  - {name: bob, password: builder, display_name: Bob the Builder}\n"
                           "  - {name: carol, ha1: 0123456789ABCDEF0123456789abcdef,\n"
                           "     seed: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f}\n";

struct world {
    struct cfg *cfg;
    struct gw_users *users;
};

static struct world open_world(const uint8_t *seed, unsigned workers)
{
    struct world w = { 0 };
    struct cfg_mistakes mistakes = { 0 };
    int err = cfg_parse(wz_bytes_str(text), NULL, &w.cfg, &mistakes);
    if (err)
        fail_msg("%s", mistakes.count ? mistakes.item[0].text : "cfg_parse");
    cfg_mistakes_done(&mistakes);
    assert_int_equal(gw_users_new(&w.users, w.cfg, seed, workers), 0);
    return w;
}

static void close_world(struct world *w)
{
    gw_users_free(w->users);
    cfg_free(w->cfg);
}

static void identity_is_the_same_after_a_restart_and_another_for_another_gateway(void **state)
{
    (void)state;
    uint8_t other[WZP_SEED_BYTES] = { 9 };
    struct world a = open_world(master, 1), b = open_world(master, 4), c = open_world(other, 1);
    assert_string_equal(gw_users_find(a.users, "alice")->fingerprint, gw_users_find(b.users, "alice")->fingerprint);
    assert_string_not_equal(gw_users_find(a.users, "alice")->fingerprint, gw_users_find(c.users, "alice")->fingerprint);
    assert_string_not_equal(gw_users_find(a.users, "alice")->fingerprint, gw_users_find(a.users, "bob")->fingerprint);
    close_world(&a);
    close_world(&b);
    close_world(&c);
}

static void seed_of_the_configuration_wins(void **state)
{
    (void)state;
    struct world w = open_world(master, 1);
    /* tests/vectors/identity.json, S0 */
    assert_string_equal(gw_users_find(w.users, "carol")->fingerprint, "6871:1211:0e91:ecb3:09f6:6f51:d257:ccaa");
    close_world(&w);
}

static void password_becomes_both_digests_and_ha1_only_md5(void **state)
{
    (void)state;
    struct world w = open_world(master, 1);
    const struct gw_user *alice = gw_users_find(w.users, "alice"), *carol = gw_users_find(w.users, "carol");
    char expected[SIPUA_HA1_TEXT_MAX];
    sipua_auth_ha1(SIPUA_AUTH_MD5, "alice", "wzp", "wonderland", expected);
    assert_string_equal(alice->credentials.ha1_md5, expected);
    assert_int_equal(strlen(alice->credentials.ha1_sha256), 64);
    assert_string_equal(carol->credentials.ha1_md5, "0123456789abcdef0123456789abcdef");
    assert_string_equal(carol->credentials.ha1_sha256, "");
    close_world(&w);
}

static void name_shown_is_display_name_alias_or_name(void **state)
{
    (void)state;
    struct world w = open_world(master, 1);
    assert_string_equal(gw_users_find(w.users, "alice")->display, "al");
    assert_string_equal(gw_users_find(w.users, "bob")->display, "Bob the Builder");
    assert_string_equal(gw_users_find(w.users, "carol")->display, "carol");
    assert_true(gw_users_find(w.users, "alice")->generic);
    assert_null(gw_users_find(w.users, "dave"));
    close_world(&w);
}

static void every_user_is_found_by_worker_and_line(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers++) {
        struct world w = open_world(master, workers);
        uint32_t lines = 0;
        for (size_t i = 0; i < gw_users_count(w.users); i++) {
            struct gw_user *user = gw_users_at(w.users, i);
            assert_ptr_equal(gw_users_by_line(w.users, user->worker, user->line_id), user);
        }
        for (unsigned i = 0; i < workers; i++) {
            assert_null(gw_users_by_line(w.users, i, gw_users_lines(w.users, i)));
            lines += gw_users_lines(w.users, i);
        }
        assert_int_equal(lines, 3);
        close_world(&w);
    }
}

static void echo_keeps_codec_sequence_and_payload_and_drops_the_report(void **state)
{
    (void)state;
    uint8_t in[64], out[64];
    struct wzp_media_hdr hdr = { .codec = WZP_CODEC_OPUS_6K, .seq = 65535, .timestamp_ms = 1234, .has_report = true };
    struct wz_bytes payload;
    int len = wzp_media_encode(&hdr, wz_bytes_str("opus"), in, sizeof in);
    assert_true(len > 0);
    int back = gw_echo_datagram(wz_bytes(in, (size_t)len), out, sizeof out);
    assert_int_equal(back, len - WZP_MEDIA_TRAILER_BYTES);
    assert_int_equal(wzp_media_decode(wz_bytes(out, (size_t)back), &hdr, &payload), 0);
    assert_int_equal(hdr.codec, WZP_CODEC_OPUS_6K);
    assert_int_equal(hdr.seq, 65535);
    assert_int_equal(hdr.timestamp_ms, 1234);
    assert_false(hdr.has_report);
    assert_true(wz_bytes_equal(payload, wz_bytes_str("opus")));
}

static void echo_refuses_what_is_no_media(void **state)
{
    (void)state;
    uint8_t out[64], eleven[11] = { 0 };
    assert_true(gw_echo_datagram(wz_bytes(eleven, sizeof eleven), out, sizeof out) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_is_the_same_after_a_restart_and_another_for_another_gateway),
        cmocka_unit_test(seed_of_the_configuration_wins),
        cmocka_unit_test(password_becomes_both_digests_and_ha1_only_md5),
        cmocka_unit_test(name_shown_is_display_name_alias_or_name),
        cmocka_unit_test(every_user_is_found_by_worker_and_line),
        cmocka_unit_test(echo_keeps_codec_sequence_and_payload_and_drops_the_report),
        cmocka_unit_test(echo_refuses_what_is_no_media),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
