#include "tests/support/client_direct.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

const char *direct_room(struct client_world *w, uint64_t call)
{
    (void)snprintf(w->room, sizeof w->room, "call-%s", world_call_id(w, call));
    return w->room;
}

bool direct_last_report(struct client_world *w)
{
    struct wzp_signal report = world_last_sent(w, WZP_SIG_MEDIA_PATH_REPORT);
    const bool ok = report.path_report.direct_ok;
    assert_string_equal(report.path_report.race_winner, ok ? "Direct" : "Relay");
    wzp_signal_done(&report);
    return ok;
}

uint64_t direct_used(const struct client_world *w)
{
    const struct wzp_client_effect *use = world_last(w, WZP_CLIENT_USE);
    return use ? use->conn : 0;
}

uint64_t direct_relay_conn(const struct client_world *w)
{
    assert_non_null(world_last_dial(w, false));
    return world_last_dial(w, false)->conn;
}

uint64_t direct_set_up_reference(struct client_world *w, const char *peer_direct_addr, const char *local)
{
    const uint64_t call = world_place_call(w);
    world_answer(w, call, DIRECT_BUILD);
    world_clear(w);
    world_setup_direct(w, call, peer_direct_addr, local);
    return call;
}

uint64_t direct_set_up_own(struct client_world *w, const char *peer_direct_addr, const char *local)
{
    const uint64_t call = world_place_call(w);
    world_answer_signed(w, call, WZP_ACCEPT_TRUSTED, DIRECT_BUILD);
    world_clear(w);
    world_setup_direct(w, call, peer_direct_addr, local);
    return call;
}

uint64_t direct_talk(struct client_world *w, uint64_t *ret_conn)
{
    const uint64_t call = direct_set_up_own(w, DIRECT_PEER, NULL);
    const uint64_t conn = world_direct_conn(w, DIRECT_PEER);
    world_media_up(w, 2);
    world_direct_up(w, conn);
    world_hello(w, conn, &w->peer, world_call_id(w, call));
    world_report(w, conn, world_call_id(w, call), true);
    assert_int_equal(direct_used(w), conn);
    *ret_conn = conn;
    return call;
}
