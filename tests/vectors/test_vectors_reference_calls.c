/* Whole calls of the reference, at its newest version and at its seed, message by message (docs/interop.md "Captured"). */
#include "tests/vectors/vectors.h"

#include "wzp/core/candidates.h"
#include "wzp/core/signal.h"

/** What one side of a captured call said about addresses and paths. Borrowed from the signals of a walk. */
struct side {
    char told[WZ_ADDR_TEXT_MAX];      /**< its reflexive address, as it travelled; empty: none */
    char told_host[WZ_ADDR_TEXT_MAX]; /**< the first of its host addresses */
    char peer[WZ_ADDR_TEXT_MAX];      /**< CallSetup's peer_direct_addr */
    char peer_host[WZ_ADDR_TEXT_MAX];
    bool has_setup, sent_report, sent_ok, got_report, got_ok, was_hung_up_on;
};

static void copy_text(char ret[static WZ_ADDR_TEXT_MAX], const char *text)
{
    (void)snprintf(ret, WZ_ADDR_TEXT_MAX, "%s", text ? text : "");
}

static void copy_first(char ret[static WZ_ADDR_TEXT_MAX], const struct wzp_addr_list *list)
{
    copy_text(ret, list->count ? list->text[0] : NULL);
}

static void note(struct side *side, bool is_sent, const struct wzp_signal *sig)
{
    if (is_sent && sig->kind == WZP_SIG_DIRECT_CALL_OFFER) {
        copy_text(side->told, sig->offer.caller_reflexive_addr);
        copy_first(side->told_host, &sig->offer.caller_local_addrs);
    } else if (is_sent && sig->kind == WZP_SIG_DIRECT_CALL_ANSWER) {
        copy_text(side->told, sig->answer.callee_reflexive_addr);
        copy_first(side->told_host, &sig->answer.callee_local_addrs);
    } else if (sig->kind == WZP_SIG_CALL_SETUP) {
        side->has_setup = true;
        copy_text(side->peer, sig->setup.peer_direct_addr);
        copy_first(side->peer_host, &sig->setup.peer_local_addrs);
    } else if (sig->kind == WZP_SIG_MEDIA_PATH_REPORT && is_sent) {
        side->sent_report = true;
        side->sent_ok = sig->path_report.direct_ok;
    } else if (sig->kind == WZP_SIG_MEDIA_PATH_REPORT) {
        side->got_report = true;
        side->got_ok = sig->path_report.direct_ok;
    } else if (sig->kind == WZP_SIG_HANGUP && !is_sent) {
        side->was_hung_up_on = true;
    }
}

/** Decodes every message of one side. */
static struct side walk(const json_t *captured)
{
    struct side side = { 0 };
    json_t *message;
    size_t index;

    json_array_foreach (vector_list(captured, "messages"), index, message) {
        struct wzp_signal sig;
        assert_int_equal(wzp_signal_decode(wz_bytes_str(vector_text(message, "json")), &sig), 0);
        assert_int_not_equal(sig.kind, WZP_SIG_UNKNOWN);
        note(&side, strcmp(vector_text(message, "dir"), "sent") == 0, &sig);
        wzp_signal_done(&sig);
    }
    return side;
}

static const char *const side_names[] = { "caller", "callee" };

static void messages_of_captured_calls_come_out_as_they_were(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_calls"), *call, *message;
    size_t index, number;
    unsigned count = 0;

    json_array_foreach (vector_list(root, "calls"), index, call) {
        for (size_t i = 0; i < 2; i++) {
            const json_t *side = json_object_get(call, side_names[i]);
            if (!side)
                continue;
            json_array_foreach (vector_list(side, "messages"), number, message) {
                const char *text = vector_text(message, "json");
                struct wzp_signal sig;
                char *json;
                size_t len;
                assert_int_equal(wzp_signal_decode(wz_bytes_str(text), &sig), 0);
                assert_int_equal(wzp_signal_encode(&sig, &json, &len), 0);
                assert_string_equal(json, text);
                free(json);
                wzp_signal_done(&sig);
                count++;
            }
        }
    }
    assert_true(count > 90);
    json_decref(root);
}

static void captured_setups_carry_the_other_sides_addresses(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_calls"), *call;
    size_t index;
    unsigned with_addresses = 0, with_hosts = 0;

    json_array_foreach (vector_list(root, "calls"), index, call) {
        const json_t *caller = json_object_get(call, "caller"), *callee = json_object_get(call, "callee");
        if (!caller || !callee)
            continue;
        const struct side a = walk(caller), b = walk(callee);
        if (!a.has_setup)
            continue; /* rejected */
        assert_string_equal(a.peer, b.told);
        assert_string_equal(b.peer, a.told);
        assert_string_equal(a.peer_host, b.told_host);
        assert_string_equal(b.peer_host, a.told_host);
        with_addresses += a.told[0] != '\0';
        with_hosts += a.told_host[0] != '\0';
    }
    assert_true(with_addresses >= 4 && with_hosts >= 1);
    json_decref(root);
}

/** Who dialled and who accepted in the reference's own race is what our rule says of the same texts. */
static void captured_roles_are_those_of_our_rule(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_calls"), *call;
    size_t index;
    unsigned dialers = 0, acceptors = 0, none = 0;

    json_array_foreach (vector_list(root, "calls"), index, call) {
        for (size_t i = 0; i < 2; i++) {
            const json_t *captured = json_object_get(call, side_names[i]);
            const char *role = json_string_value(json_object_get(captured, "role"));
            if (!role)
                continue;
            const struct side side = walk(captured);
            const enum wzp_role ours = wzp_candidates_role(side.told, side.peer);
            assert_string_equal(wzp_role_name(ours), role);
            dialers += ours == WZP_ROLE_DIALER;
            acceptors += ours == WZP_ROLE_ACCEPTOR;
            none += ours == WZP_ROLE_NONE;
        }
    }
    assert_true(dialers == 3 && acceptors == 3 && none == 2);
    json_decref(root);
}

/** Direct exactly where both sides' reports say so; a side gets the report that the other sent. */
static void captured_paths_follow_from_the_reports(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_calls"), *call;
    size_t index;
    unsigned direct = 0, relayed = 0;

    json_array_foreach (vector_list(root, "calls"), index, call) {
        const json_t *caller = json_object_get(call, "caller"), *callee = json_object_get(call, "callee");
        if (!caller || !callee || !json_object_get(caller, "path"))
            continue;
        const struct side a = walk(caller), b = walk(callee);
        const bool both = a.sent_report && a.sent_ok && b.sent_report && b.sent_ok;
        assert_int_equal(a.got_report, b.sent_report);
        assert_int_equal(b.got_report, a.sent_report);
        assert_int_equal(a.got_ok, b.sent_ok);
        assert_int_equal(b.got_ok, a.sent_ok);
        assert_string_equal(vector_text(caller, "path"), both ? "direct" : "relay");
        assert_string_equal(vector_text(callee, "path"), both ? "direct" : "relay");
        direct += both;
        relayed += !both;
    }
    assert_true(direct == 2 && relayed == 3);
    json_decref(root);
}

/** A seed relay parses and writes anew: what it does not know is gone, in either direction. */
static void a_seed_relay_strips_what_is_newer(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_calls"), *call, *message;
    size_t index, number;
    unsigned offers = 0, answers = 0, acks = 0;

    json_array_foreach (vector_list(root, "calls"), index, call) {
        const bool is_seed = strcmp(vector_text(call, "relay"), "39277bf") == 0;
        for (size_t i = 0; i < 2; i++) {
            const json_t *side = json_object_get(call, side_names[i]);
            if (!side)
                continue;
            json_array_foreach (vector_list(side, "messages"), number, message) {
                struct wzp_signal sig;
                if (strcmp(vector_text(message, "dir"), "got") != 0)
                    continue;
                assert_int_equal(wzp_signal_decode(wz_bytes_str(vector_text(message, "json")), &sig), 0);
                if (sig.kind == WZP_SIG_REGISTER_PRESENCE_ACK) {
                    assert_int_equal(sig.register_ack.relay_build == NULL, is_seed);
                    acks += is_seed;
                } else if (sig.kind == WZP_SIG_DIRECT_CALL_OFFER) {
                    assert_int_equal(sig.offer.caller_build_version == NULL, is_seed);
                    offers += is_seed;
                } else if (sig.kind == WZP_SIG_DIRECT_CALL_ANSWER) {
                    assert_int_equal(sig.answer.callee_build_version == NULL, is_seed);
                    answers += is_seed;
                }
                wzp_signal_done(&sig);
            }
        }
    }
    assert_true(offers == 2 && answers == 2 && acks == 4);
    json_decref(root);
}

/** The relay's hang-up after a rejection names the call, a client's own never does. */
static void a_captured_rejection_reaches_the_caller_as_a_hang_up(void **state)
{
    (void)state;
    json_t *root = vector_load("reference_calls"), *call;
    size_t index;
    unsigned rejected = 0;

    json_array_foreach (vector_list(root, "calls"), index, call) {
        if (strcmp(vector_text(call, "name"), "rejected") != 0)
            continue;
        const struct side caller = walk(vector_member(call, "caller")), callee = walk(vector_member(call, "callee"));
        assert_true(caller.was_hung_up_on && !caller.has_setup);
        assert_true(!callee.was_hung_up_on && !callee.has_setup);
        assert_string_equal(callee.told, ""); /* who rejects tells no address */
        rejected++;
    }
    assert_int_equal(rejected, 1);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_captured_calls_come_out_as_they_were),
        cmocka_unit_test(captured_setups_carry_the_other_sides_addresses),
        cmocka_unit_test(captured_roles_are_those_of_our_rule),
        cmocka_unit_test(captured_paths_follow_from_the_reports),
        cmocka_unit_test(a_seed_relay_strips_what_is_newer),
        cmocka_unit_test(a_captured_rejection_reaches_the_caller_as_a_hang_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
