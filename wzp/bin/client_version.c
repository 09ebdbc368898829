#include "wzp/bin/client_version.h"

#include <errno.h>
#include <stdio.h>

#include "wzp/io/quic.h"
#include "wzp/rt/loop.h"

#define ANSWER_WAIT_US 5000000u

struct version_ask {
    struct wz_loop *loop;
    struct wzp_quic_conn *conn; /**< NULL: closed */
    struct wz_timer timer;
    char *text;
    size_t size;
    int result; /**< 1 while waiting */
};

static void finish(struct version_ask *ask, int result)
{
    if (ask->result != 1)
        return;
    ask->result = result;
    wz_loop_stop(ask->loop);
}

static void on_uni(void *arg, struct wzp_quic_conn *conn, struct wz_bytes body)
{
    struct version_ask *ask = arg;
    (void)conn;
    (void)snprintf(ask->text, ask->size, "%.*s", (int)body.len, (const char *)body.data);
    finish(ask, 0);
}

static void on_closed(void *arg, struct wzp_quic_conn *conn, const struct wzp_quic_closed *why)
{
    struct version_ask *ask = arg;
    (void)conn;
    (void)why;
    ask->conn = NULL;
    finish(ask, -ECONNREFUSED);
}

static void on_timer(void *arg)
{
    finish(arg, -ETIMEDOUT);
}

int client_version_ask(struct wz_loop *loop, struct wzp_quic *quic, const struct wz_addr *relay, char *ret, size_t size)
{
    static const struct wzp_quic_handlers handlers = { .uni = on_uni, .closed = on_closed };
    struct version_ask ask = { .loop = loop, .text = ret, .size = size, .result = 1 };
    const struct wzp_quic_dial dial = { .to = *relay, .sni = "version", .handlers = &handlers, .arg = &ask };
    wz_timer_init(&ask.timer, loop, on_timer, &ask);
    wz_timer_set(&ask.timer, wz_loop_now_us(loop) + ANSWER_WAIT_US);
    int err = wzp_quic_connect(quic, &dial, &ask.conn);
    if (!err)
        err = wz_loop_run(loop);
    wz_timer_cancel(&ask.timer);
    if (ask.conn)
        wzp_quic_close(ask.conn, "done");
    return err < 0 ? err : ask.result;
}
