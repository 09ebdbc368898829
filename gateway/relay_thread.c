#include "gateway/relay_thread.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/thread.h"

struct gw_relay {
    struct gw_thread *thread;
    struct wzp_relay_server *server;
    const struct wzp_relay_server_config *config; /* valid during start only */
};

static int start(void *arg)
{
    struct gw_relay *self = arg;
    return wzp_relay_server_new(&self->server, gw_thread_loop(self->thread), self->config);
}

static void stop(void *arg)
{
    struct gw_relay *self = arg;
    wzp_relay_server_free(self->server);
}

int gw_relay_new(struct gw_relay **ret, const struct wzp_relay_server_config *config)
{
    struct gw_relay *self = calloc(1, sizeof *self);
    if (!self)
        return -ENOMEM;
    self->config = config;
    int err = gw_thread_new(
        &self->thread, &(struct gw_thread_config){ .name = "wzp-relay", .start = start, .stop = stop, .arg = self });
    self->config = NULL;
    if (err) {
        free(self);
        return err;
    }
    *ret = self;
    return 0;
}

void gw_relay_free(struct gw_relay *self)
{
    if (!self)
        return;
    gw_thread_free(self->thread);
    free(self);
}

struct wzp_relay_server *gw_relay_server(struct gw_relay *self)
{
    return self->server;
}
