/* The registrar's table: RFC 3261 10.3 and what we add to it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sip/reg.h"
#include "wzp/rt/rng.h"

#define SECOND UINT64_C(1000000)
#define NOW    (1000 * SECOND)

struct world {
    struct sipua_reg *reg;
    unsigned bound, unbound;
    enum sipua_unbind_reason reason;
    char contact[SIPUA_REG_URI_MAX + 1]; /**< of the last callback */
};

static void bound(void *arg, const struct sipua_binding *binding)
{
    struct world *world = arg;
    world->bound++;
    snprintf(world->contact, sizeof world->contact, "%s", binding->contact);
}

static void unbound(void *arg, const struct sipua_binding *binding, enum sipua_unbind_reason reason)
{
    struct world *world = arg;
    world->unbound++;
    world->reason = reason;
    snprintf(world->contact, sizeof world->contact, "%s", binding->contact);
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    const struct sipua_reg_config config = { .rng = &wz_rng_system,
                                             .min_expires_s = 60,
                                             .max_expires_s = 3600,
                                             .default_expires_s = 1800,
                                             .max_bindings = 12,
                                             .bound = bound,
                                             .unbound = unbound,
                                             .arg = world };
    assert_int_equal(sipua_reg_new(&world->reg, &config), 0);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    sipua_reg_free(world->reg);
    free(world);
    return 0;
}

static struct sipua_reg_contact contact(const char *uri)
{
    return (struct sipua_reg_contact){ .uri = uri, .expires_s = SIPUA_REG_UNSTATED, .instance_id = "" };
}

static struct sipua_reg_request request(const struct sipua_reg_contact *contacts, size_t count, uint32_t cseq)
{
    struct sipua_reg_request request = { .user = "alice",
                                         .call_id = "id",
                                         .cseq = cseq,
                                         .expires_s = SIPUA_REG_UNSTATED,
                                         .contact = contacts,
                                         .contact_count = count,
                                         .user_agent = "phone/1",
                                         .path = "" };
    (void)wz_addr_parse("192.0.2.1:5060", &request.source);
    return request;
}

static int add(struct world *world, const char *uri, uint32_t expires_s, uint32_t cseq, uint64_t now_us)
{
    struct sipua_reg_contact c = contact(uri);
    struct sipua_reg_request r = request(&c, 1, cseq);
    r.expires_s = expires_s;
    return sipua_reg_update(world->reg, &r, now_us);
}

static size_t count(const struct world *world, uint64_t now_us)
{
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    return sipua_reg_contacts(world->reg, "alice", now_us, binding);
}

static void contact_is_kept_with_all_it_came_with(void **state)
{
    struct world *world = *state;
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    struct sipua_reg_contact c = contact("sip:a@x");
    c.instance_id = "<urn:uuid:1>";
    c.reg_id = 2;
    struct sipua_reg_request r = request(&c, 1, 7);
    r.path = "<sip:edge;lr>";
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    assert_int_equal(sipua_reg_contacts(world->reg, "alice", NOW, binding), 1);
    assert_string_equal(binding[0]->user, "alice");
    assert_string_equal(binding[0]->contact, "sip:a@x");
    assert_string_equal(binding[0]->instance_id, "<urn:uuid:1>");
    assert_string_equal(binding[0]->path, "<sip:edge;lr>");
    assert_string_equal(binding[0]->user_agent, "phone/1");
    assert_string_equal(binding[0]->call_id, "id");
    assert_int_equal(binding[0]->reg_id, 2);
    assert_int_equal(binding[0]->cseq, 7);
    assert_int_equal(binding[0]->source.port, 5060);
    assert_int_equal(binding[0]->expires_at_us, NOW + 1800 * SECOND); /* the default */
    assert_int_equal(world->bound, 1);
}

static void expiry_of_contact_beats_header_and_is_cut(void **state)
{
    struct world *world = *state;
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    struct sipua_reg_contact c[2] = { contact("sip:a@x"), contact("sip:b@x") };
    c[0].expires_s = 100000;
    struct sipua_reg_request r = request(c, 2, 1);
    r.expires_s = 90;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    assert_int_equal(sipua_reg_contacts(world->reg, "alice", NOW, binding), 2);
    assert_string_equal(binding[0]->contact, "sip:b@x"); /* the latest leads */
    assert_int_equal(binding[0]->expires_at_us, NOW + 90 * SECOND);
    assert_int_equal(binding[1]->expires_at_us, NOW + 3600 * SECOND);
}

static void too_brief_wish_changes_nothing(void **state)
{
    struct world *world = *state;
    struct sipua_reg_contact c[2] = { contact("sip:a@x"), contact("sip:b@x") };
    c[1].expires_s = 59;
    const struct sipua_reg_request r = request(c, 2, 1);
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), -ERANGE);
    assert_int_equal(count(world, NOW), 0);
    assert_int_equal(world->bound, 0);
    assert_int_equal(add(world, "sip:a@x", 60, 2, NOW), 0);
}

static void refresh_moves_the_expiry(void **state)
{
    struct world *world = *state;
    assert_int_equal(add(world, "sip:a@x", 60, 1, NOW), 0);
    assert_int_equal(add(world, "sip:a@x", 60, 2, NOW + 30 * SECOND), 0);
    assert_int_equal(sipua_reg_count(world->reg), 1);
    assert_int_equal(world->unbound, 0);
    sipua_reg_expire(world->reg, NOW + 89 * SECOND);
    assert_int_equal(count(world, NOW + 89 * SECOND), 1);
    assert_int_equal(count(world, NOW + 90 * SECOND), 0); /* not returned although not swept yet */
    sipua_reg_expire(world->reg, NOW + 90 * SECOND);
    assert_int_equal(world->reason, SIPUA_UNBIND_EXPIRED);
    assert_int_equal(sipua_reg_count(world->reg), 0);
}

static void old_cseq_of_the_same_call_id_is_refused(void **state)
{
    struct world *world = *state;
    struct sipua_reg_contact c = contact("sip:a@x");
    assert_int_equal(add(world, "sip:a@x", 60, 5, NOW), 0);
    assert_int_equal(add(world, "sip:a@x", 0, 5, NOW), -EPROTO);
    assert_int_equal(add(world, "sip:a@x", 0, 4, NOW), -EPROTO);
    assert_int_equal(count(world, NOW), 1);
    struct sipua_reg_request r = request(&c, 1, 1); /* a rebooted phone */
    r.call_id = "other";
    r.expires_s = 0;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    assert_int_equal(count(world, NOW), 0);
    assert_int_equal(world->reason, SIPUA_UNBIND_REMOVED);
}

static void star_removes_all_and_only_with_expires_0(void **state)
{
    struct world *world = *state;
    struct sipua_reg_contact c = contact("sip:c@x");
    struct sipua_reg_request r = request(NULL, 0, 9);
    r.star = true;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), -EBADMSG);
    r.expires_s = 0;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0); /* nothing there: fine */
    assert_int_equal(add(world, "sip:a@x", 60, 1, NOW), 0);
    assert_int_equal(add(world, "sip:b@x", 60, 2, NOW), 0);
    r.contact = &c;
    r.contact_count = 1;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), -EBADMSG);
    r.contact_count = 0;
    r.cseq = 2;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), -EPROTO);
    assert_int_equal(count(world, NOW), 2);
    r.cseq = 3;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    assert_int_equal(count(world, NOW), 0);
    assert_int_equal(world->unbound, 2);
}

static void query_changes_nothing(void **state)
{
    struct world *world = *state;
    const struct sipua_reg_request r = request(NULL, 0, 9);
    assert_int_equal(add(world, "sip:a@x", 60, 1, NOW), 0);
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    assert_int_equal(count(world, NOW), 1);
    assert_int_equal(world->bound, 1);
}

static void same_instance_replaces_another_uri(void **state)
{
    struct world *world = *state;
    struct sipua_reg_contact c = contact("sip:a@old");
    c.instance_id = "<urn:uuid:1>";
    struct sipua_reg_request r = request(&c, 1, 1);
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    c.uri = "sip:a@new";
    r.call_id = "rebooted";
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    assert_int_equal(count(world, NOW), 1);
    assert_int_equal(world->unbound, 1);
    assert_int_equal(world->reason, SIPUA_UNBIND_REPLACED);
    assert_string_equal(world->contact, "sip:a@new"); /* bound comes after unbound */
    c.uri = "sip:a@second-flow";
    c.reg_id = 2;
    r.cseq++;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    assert_int_equal(count(world, NOW), 2);
}

static void one_contact_too_many_pushes_out_the_oldest(void **state)
{
    struct world *world = *state;
    char uri[32];
    for (unsigned i = 0; i < SIPUA_REG_MAX_CONTACTS; i++) {
        snprintf(uri, sizeof uri, "sip:%u@x", i);
        assert_int_equal(add(world, uri, 60, i + 1, NOW), 0);
    }
    assert_int_equal(world->unbound, 0);
    assert_int_equal(add(world, "sip:0@x", 60, 50, NOW), 0); /* refreshed: now the youngest */
    assert_int_equal(add(world, "sip:new@x", 60, 51, NOW), 0);
    assert_int_equal(count(world, NOW), SIPUA_REG_MAX_CONTACTS);
    assert_int_equal(world->unbound, 1);
    assert_int_equal(world->reason, SIPUA_UNBIND_EVICTED);
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    sipua_reg_contacts(world->reg, "alice", NOW, binding);
    assert_string_equal(binding[SIPUA_REG_MAX_CONTACTS - 1]->contact, "sip:2@x"); /* sip:1@x went */
}

static void limits_hold_for_the_message_and_the_table(void **state)
{
    struct world *world = *state;
    struct sipua_reg_contact c[SIPUA_REG_MAX_CONTACTS + 1];
    char uri[SIPUA_REG_MAX_CONTACTS + 1][32], longest[SIPUA_REG_URI_MAX + 2];
    for (unsigned i = 0; i <= SIPUA_REG_MAX_CONTACTS; i++) {
        snprintf(uri[i], sizeof uri[i], "sip:%u@x", i);
        c[i] = contact(uri[i]);
    }
    struct sipua_reg_request r = request(c, SIPUA_REG_MAX_CONTACTS + 1, 1);
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), -ENOSPC);
    r.contact_count = SIPUA_REG_MAX_CONTACTS;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    r.user = "bob"; /* 10 of 12 are used */
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), -ENOSPC);
    r.contact_count = 2;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    memset(longest, 'u', sizeof longest);
    longest[SIPUA_REG_URI_MAX + 1] = '\0';
    assert_int_equal(add(world, longest, 60, 9, NOW), -EBADMSG);
    longest[SIPUA_REG_URI_MAX] = '\0';
    assert_int_equal(add(world, longest, 0, 9, NOW), 0);
    assert_int_equal(add(world, "", 60, 9, NOW), -EBADMSG);
}

static void restored_binding_is_as_before_and_dead_ones_are_not(void **state)
{
    struct world *world = *state;
    const struct sipua_binding *binding[SIPUA_REG_MAX_CONTACTS];
    struct sipua_binding stored = { .user = "alice",
                                    .contact = "sip:a@x",
                                    .user_agent = "",
                                    .instance_id = "",
                                    .path = "",
                                    .call_id = "id",
                                    .cseq = 4,
                                    .updated_at_us = NOW,
                                    .expires_at_us = NOW + SECOND };
    assert_int_equal(sipua_reg_restore(world->reg, &stored, NOW + SECOND), -ESTALE);
    assert_int_equal(sipua_reg_restore(world->reg, &stored, NOW), 0);
    assert_int_equal(world->bound, 0); /* the store knows it already */
    assert_int_equal(sipua_reg_contacts(world->reg, "alice", NOW, binding), 1);
    assert_string_equal(binding[0]->contact, "sip:a@x");
    assert_int_equal(add(world, "sip:a@x", 60, 4, NOW), -EPROTO);
    stored.transport = SIPUA_TCP;
    stored.user = "bob";
    assert_int_equal(sipua_reg_restore(world->reg, &stored, NOW), -ESTALE);
    assert_int_equal(sipua_reg_count(world->reg), 1);
}

static void closed_connection_takes_its_bindings_along(void **state)
{
    struct world *world = *state;
    struct sipua_reg_contact c[2] = { contact("sip:a@x"), contact("sip:b@x") };
    struct sipua_reg_request r = request(c, 1, 1);
    struct wz_addr closed = r.source;
    r.transport = SIPUA_TCP;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    r.contact = &c[1];
    r.transport = SIPUA_UDP;
    assert_int_equal(sipua_reg_update(world->reg, &r, NOW), 0);
    assert_int_equal(sipua_reg_drop_connection(world->reg, &closed), 1);
    assert_string_equal(world->contact, "sip:a@x");
    assert_int_equal(count(world, NOW), 1);
    closed.port++;
    assert_int_equal(sipua_reg_drop_connection(world->reg, &closed), 0);
}

static void deadline_is_never_late(void **state)
{
    struct world *world = *state;
    assert_true(sipua_reg_deadline_us(world->reg) == UINT64_MAX);
    assert_int_equal(add(world, "sip:a@x", 600, 1, NOW), 0);
    assert_int_equal(add(world, "sip:b@x", 60, 2, NOW), 0);
    assert_true(sipua_reg_deadline_us(world->reg) <= NOW + 60 * SECOND);
    sipua_reg_expire(world->reg, NOW + 60 * SECOND);
    assert_int_equal(count(world, NOW + 60 * SECOND), 1);
    assert_true(sipua_reg_deadline_us(world->reg) == NOW + 600 * SECOND);
    sipua_reg_expire(world->reg, NOW + 600 * SECOND);
    assert_true(sipua_reg_deadline_us(world->reg) == UINT64_MAX);
}

static void count_one(void *arg, const struct sipua_binding *binding)
{
    (void)binding;
    ++*(unsigned *)arg;
}

static void each_visits_every_binding(void **state)
{
    struct world *world = *state;
    unsigned seen = 0;
    assert_int_equal(add(world, "sip:a@x", 60, 1, NOW), 0);
    assert_int_equal(add(world, "sip:b@x", 60, 2, NOW), 0);
    sipua_reg_each(world->reg, count_one, &seen);
    assert_int_equal(seen, 2);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(contact_is_kept_with_all_it_came_with),
        WORLD(expiry_of_contact_beats_header_and_is_cut),
        WORLD(too_brief_wish_changes_nothing),
        WORLD(refresh_moves_the_expiry),
        WORLD(old_cseq_of_the_same_call_id_is_refused),
        WORLD(star_removes_all_and_only_with_expires_0),
        WORLD(query_changes_nothing),
        WORLD(same_instance_replaces_another_uri),
        WORLD(one_contact_too_many_pushes_out_the_oldest),
        WORLD(limits_hold_for_the_message_and_the_table),
        WORLD(restored_binding_is_as_before_and_dead_ones_are_not),
        WORLD(closed_connection_takes_its_bindings_along),
        WORLD(deadline_is_never_late),
        WORLD(each_visits_every_binding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
