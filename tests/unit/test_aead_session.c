/* The AEAD session: two directions under one key, the replay window, rekeying. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "wzp/core/session.h"

struct ends {
    struct wzp_session alice, bob; /**< initiator and responder */
};

static struct ends ends_new(void)
{
    struct wzp_session_keys keys = { .session_id = { 1, 2, 3, 4 } };
    struct ends ends;
    memset(keys.session_key, 5, sizeof keys.session_key);
    assert_int_equal(wzp_session_init(&ends.alice, &keys, WZP_SESSION_INITIATOR), 0);
    assert_int_equal(wzp_session_init(&ends.bob, &keys, WZP_SESSION_RESPONDER), 0);
    return ends;
}

static void ends_done(struct ends *ends)
{
    wzp_session_done(&ends->alice);
    wzp_session_done(&ends->bob);
}

struct packet {
    uint8_t data[64];
    size_t len;
    uint16_t seq;
};

static const struct wz_bytes aad = { (const uint8_t *)"header", 6 };

static struct packet seal(struct wzp_session *from, const char *text)
{
    struct packet packet;
    int len = wzp_session_seal(from, aad, wz_bytes_str(text), packet.data, sizeof packet.data, &packet.seq);
    assert_int_equal(len, strlen(text) + WZP_SESSION_TAG_BYTES);
    packet.len = (size_t)len;
    return packet;
}

static int open_packet(struct wzp_session *to, const struct packet *packet)
{
    uint8_t text[64];
    return wzp_session_open(to, packet->seq, aad, wz_bytes(packet->data, packet->len), text, sizeof text);
}

static void each_side_opens_what_the_other_sealed(void **state)
{
    (void)state;
    struct ends ends = ends_new();
    for (int i = 0; i < 3; i++) {
        struct packet there = seal(&ends.alice, "ping"), back = seal(&ends.bob, "pong!");
        assert_int_equal(open_packet(&ends.bob, &there), 4);
        assert_int_equal(open_packet(&ends.alice, &back), 5);
    }
    ends_done(&ends);
}

static void both_directions_use_different_nonces(void **state)
{
    (void)state;
    struct ends ends = ends_new();
    struct packet there = seal(&ends.alice, "same"), back = seal(&ends.bob, "same");
    assert_int_equal(there.seq, back.seq);
    assert_memory_not_equal(there.data, back.data, there.len);
    assert_int_equal(open_packet(&ends.alice, &there), -EBADMSG); /* reflected to its sender */
    ends_done(&ends);
}

static void a_changed_packet_is_refused_and_does_not_count_as_seen(void **state)
{
    (void)state;
    struct ends ends = ends_new();
    struct packet packet = seal(&ends.alice, "ping");
    for (size_t i = 0; i < packet.len; i++) {
        packet.data[i] ^= 1;
        assert_int_equal(open_packet(&ends.bob, &packet), -EBADMSG);
        packet.data[i] ^= 1;
    }
    packet.seq++;
    assert_int_equal(open_packet(&ends.bob, &packet), -EBADMSG);
    packet.seq--;
    assert_int_equal(open_packet(&ends.bob, &packet), 4);
    assert_int_equal(open_packet(&ends.bob, &packet), -EALREADY);
    ends_done(&ends);
}

static void the_clear_part_is_protected_too(void **state)
{
    (void)state;
    struct ends ends = ends_new();
    struct packet packet = seal(&ends.alice, "ping");
    uint8_t text[64];
    assert_int_equal(wzp_session_open(&ends.bob, packet.seq, wz_bytes_str("Header"), wz_bytes(packet.data, packet.len),
                                      text, sizeof text),
                     -EBADMSG);
    ends_done(&ends);
}

static void sizes_are_checked_to_the_byte(void **state)
{
    (void)state;
    struct ends ends = ends_new();
    uint8_t buf[4 + WZP_SESSION_TAG_BYTES], text[4];
    uint16_t seq;
    assert_int_equal(wzp_session_seal(&ends.alice, aad, wz_bytes("ping", 4), buf, sizeof buf - 1, &seq), -ENOSPC);
    assert_int_equal(wzp_session_seal(&ends.alice, aad, wz_bytes("ping", 4), buf, 3, &seq), -ENOSPC);
    assert_int_equal(wzp_session_seal(&ends.alice, aad, wz_bytes("ping", 4), buf, sizeof buf, &seq), sizeof buf);
    assert_int_equal(seq, 0); /* the failures did not use up a counter */
    assert_int_equal(wzp_session_open(&ends.bob, seq, aad, wz_bytes(buf, sizeof buf), text, 3), -ENOSPC);
    assert_int_equal(wzp_session_open(&ends.bob, seq, aad, wz_bytes(buf, WZP_SESSION_TAG_BYTES - 1), text, 4),
                     -EBADMSG);
    assert_int_equal(wzp_session_open(&ends.bob, seq, aad, wz_bytes(buf, sizeof buf), text, 4), 4);
    ends_done(&ends);
}

static void an_empty_packet_is_sealed_as_its_tag(void **state)
{
    (void)state;
    struct ends ends = ends_new();
    struct packet packet = seal(&ends.alice, "");
    assert_int_equal(packet.len, WZP_SESSION_TAG_BYTES);
    assert_int_equal(open_packet(&ends.bob, &packet), 0);
    ends_done(&ends);
}

static void a_key_seals_65536_packets_and_then_wants_another(void **state)
{
    (void)state;
    struct ends ends = ends_new();
    struct packet packet;
    ends.alice.sealed = WZP_SESSION_MAX_PACKETS - 1;
    packet = seal(&ends.alice, "last");
    assert_int_equal(packet.seq, 65535);
    assert_int_equal(open_packet(&ends.bob, &packet), 4);
    assert_int_equal(wzp_session_seal(&ends.alice, aad, wz_bytes("x", 1), packet.data, sizeof packet.data, &packet.seq),
                     -EKEYEXPIRED);
    ends_done(&ends);
}

static void fill_counting(void *arg, uint8_t *out, size_t len)
{
    uint8_t *next = arg;
    memset(out, (*next)++, len);
}

static void after_a_rekey_old_packets_fail_and_counters_start_again(void **state)
{
    (void)state;
    struct ends ends = ends_new();
    uint8_t next = 11;
    const struct wz_rng rng = { fill_counting, &next };
    struct wzp_handshake a, b;
    struct packet old = seal(&ends.alice, "old"), fresh;

    assert_int_equal(open_packet(&ends.bob, &old), 3);
    old = seal(&ends.alice, "old");
    assert_int_equal(wzp_handshake_init(&a, &rng), 0);
    assert_int_equal(wzp_handshake_init(&b, &rng), 0);
    assert_int_equal(wzp_session_rekey(&ends.alice, &a, b.ephemeral_public), 0);
    assert_int_equal(wzp_session_rekey(&ends.bob, &b, a.ephemeral_public), 0);
    assert_int_equal(open_packet(&ends.bob, &old), -EBADMSG);
    fresh = seal(&ends.alice, "fresh");
    assert_int_equal(fresh.seq, 0);
    assert_int_equal(open_packet(&ends.bob, &fresh), 5);
    fresh = seal(&ends.bob, "back");
    assert_int_equal(fresh.seq, 0);
    assert_int_equal(open_packet(&ends.alice, &fresh), 4);
    ends_done(&ends);
}

static void a_low_order_key_changes_nothing(void **state)
{
    (void)state;
    static const uint8_t zero_point[WZP_KEY_BYTES];
    struct ends ends = ends_new();
    uint8_t next = 11;
    const struct wz_rng rng = { fill_counting, &next };
    struct wzp_handshake a;
    assert_int_equal(wzp_handshake_init(&a, &rng), 0);
    assert_int_equal(wzp_session_rekey(&ends.alice, &a, zero_point), -EBADMSG);
    struct packet packet = seal(&ends.alice, "still");
    assert_int_equal(open_packet(&ends.bob, &packet), 5);
    ends_done(&ends);
}

/** Fresh, and from then on seen. */
static bool take(struct wzp_replay *replay, uint16_t seq)
{
    if (!wzp_replay_is_fresh(replay, seq))
        return false;
    wzp_replay_mark(replay, seq);
    return true;
}

static void the_replay_window_is_1024_deep(void **state)
{
    (void)state;
    struct wzp_replay replay = { 0 };
    assert_true(take(&replay, 5000));
    assert_false(take(&replay, 5000));
    assert_false(take(&replay, 5000 - WZP_REPLAY_WINDOW));
    assert_true(take(&replay, 5000 - WZP_REPLAY_WINDOW + 1));
    assert_false(take(&replay, 5000 - WZP_REPLAY_WINDOW + 1));
    assert_true(take(&replay, 5001));
    assert_false(take(&replay, 5001 - WZP_REPLAY_WINDOW));
    assert_true(take(&replay, 4999));
}

static void the_replay_window_wraps_around(void **state)
{
    (void)state;
    struct wzp_replay replay = { 0 };
    assert_true(take(&replay, 65530));
    assert_true(take(&replay, 4));
    assert_false(take(&replay, 65530));
    assert_true(take(&replay, 65535));
    assert_true(take(&replay, 0));
    assert_false(take(&replay, 0));
}

static void a_leap_ahead_forgets_what_fell_behind(void **state)
{
    (void)state;
    struct wzp_replay replay = { 0 };
    assert_true(take(&replay, 0));
    assert_true(take(&replay, WZP_REPLAY_WINDOW));
    assert_false(take(&replay, 0));
    assert_true(take(&replay, 1)); /* its bit is not left over from an earlier turn */
    assert_true(take(&replay, WZP_REPLAY_WINDOW + 0x7fff));
    assert_true(take(&replay, WZP_REPLAY_WINDOW + 0x7fff - 1));
}

static void half_the_circle_ahead_is_new_and_one_more_is_old(void **state)
{
    (void)state;
    struct wzp_replay replay = { 0 };
    assert_true(take(&replay, 100));
    assert_false(wzp_replay_is_fresh(&replay, 100 + 0x8000));
    assert_true(wzp_replay_is_fresh(&replay, 100 + 0x7fff));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_side_opens_what_the_other_sealed),
        cmocka_unit_test(both_directions_use_different_nonces),
        cmocka_unit_test(a_changed_packet_is_refused_and_does_not_count_as_seen),
        cmocka_unit_test(the_clear_part_is_protected_too),
        cmocka_unit_test(sizes_are_checked_to_the_byte),
        cmocka_unit_test(an_empty_packet_is_sealed_as_its_tag),
        cmocka_unit_test(a_key_seals_65536_packets_and_then_wants_another),
        cmocka_unit_test(after_a_rekey_old_packets_fail_and_counters_start_again),
        cmocka_unit_test(a_low_order_key_changes_nothing),
        cmocka_unit_test(the_replay_window_is_1024_deep),
        cmocka_unit_test(the_replay_window_wraps_around),
        cmocka_unit_test(a_leap_ahead_forgets_what_fell_behind),
        cmocka_unit_test(half_the_circle_ahead_is_new_and_one_more_is_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
