#include "wzp/io/quic_selfcheck.h"

#include <errno.h>
#include <string.h>

#include "wzp/io/quic.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define LIMIT_US 5000000u
static const char name[] = "_signal";

struct check {
    bool accepted;
    bool name_right;
};

static void on_accepted(void *arg, struct wzp_quic_conn *conn)
{
    struct check *check = arg;
    check->accepted = true;
    check->name_right = strcmp(wzp_quic_conn_sni(conn), name) == 0;
}

static int run(struct wz_loop *loop, struct wzp_quic *server, struct wzp_quic *client, const struct check *check)
{
    static const struct wzp_quic_handlers none;
    struct wzp_quic_dial dial = { .to = wzp_quic_local(server), .sni = name, .handlers = &none };
    struct wzp_quic_conn *conn;
    uint64_t limit_us = wz_clock_us() + LIMIT_US;
    int err = wzp_quic_connect(client, &dial, &conn);
    while (!err && !check->accepted && wz_clock_us() < limit_us)
        err = wz_loop_turn(loop, 50);
    if (err)
        return err;
    if (!check->accepted)
        return -ETIMEDOUT;
    return check->name_right ? 0 : -EPROTO;
}

int wzp_quic_selfcheck(void)
{
    struct check check = { 0 };
    struct wz_loop *loop = NULL;
    struct wzp_quic *server = NULL, *client = NULL;
    struct wzp_quic_config config = { .accept = true, .rng = &wz_rng_system, .arg = &check,
                                      .handlers = { .connected = on_accepted } };
    int err = wz_addr_parse("127.0.0.1:0", &config.bind);
    if (!err)
        err = wz_loop_new(&loop);
    if (!err)
        err = wzp_quic_new(&server, loop, &config);
    config.accept = false;
    if (!err)
        err = wzp_quic_new(&client, loop, &config);
    if (!err)
        err = run(loop, server, client, &check);
    wzp_quic_free(client);
    wzp_quic_free(server);
    wz_loop_free(loop);
    return err;
}
