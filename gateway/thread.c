#include "gateway/thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>

#include "gateway/loop_glib.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/mailbox.h"

struct gw_thread {
    struct gw_thread_config config;
    GMainContext *context;
    GMainLoop *main_loop;
    struct wz_loop *loop;
    struct wz_mailbox *stop_box; /* one item: time to go */
    GSource *source;
    pthread_t thread;
    bool running;
    sem_t started;
    int start_err;
};

static void *run(void *arg)
{
    struct gw_thread *self = arg;
    g_main_context_push_thread_default(self->context);
    self->start_err = self->config.start(self->config.arg);
    bool ok = self->start_err == 0;
    (void)sem_post(&self->started); /* start_err belongs to the creator from here on */
    if (ok) {
        g_main_loop_run(self->main_loop);
        self->config.stop(self->config.arg);
    }
    g_main_context_pop_thread_default(self->context);
    return NULL;
}

static void on_stop(void *arg, void *item)
{
    struct gw_thread *self = arg;
    (void)item;
    g_main_loop_quit(self->main_loop);
}

static int start_thread(struct gw_thread *self)
{
    int err = -pthread_create(&self->thread, NULL, run, self);
    if (err)
        return err;
    self->running = true;
    (void)pthread_setname_np(self->thread, self->config.name); /* a long name is only less helpful */
    while (sem_wait(&self->started) < 0 && errno == EINTR) {
    }
    return self->start_err;
}

int gw_thread_new(struct gw_thread **ret, const struct gw_thread_config *config)
{
    int err = -ENOMEM;
    struct gw_thread *self = calloc(1, sizeof *self);
    if (!self)
        return -ENOMEM;
    self->config = *config;
    (void)sem_init(&self->started, 0, 0); /* fails only for a value that is too large */
    self->context = g_main_context_new();
    self->main_loop = g_main_loop_new(self->context, FALSE);
    err = wz_loop_new(&self->loop);
    if (err)
        goto out;
    err = wz_mailbox_new(&self->stop_box, self->loop, 1, 1, on_stop, self);
    if (err)
        goto out;
    self->source = gw_loop_attach(self->loop, self->context);
    /* start() may ask for the loop through *ret. */
    *ret = self;
    err = start_thread(self);
    if (err)
        *ret = NULL;
    else
        self = NULL;
out:
    gw_thread_free(self);
    return err;
}

void gw_thread_free(struct gw_thread *self)
{
    if (!self)
        return;
    if (self->running) {
        (void)wz_mailbox_post(self->stop_box, ""); /* empty: only we post, and once */
        (void)pthread_join(self->thread, NULL);
    }
    wz_mailbox_free(self->stop_box, NULL);
    if (self->source) {
        g_source_destroy(self->source);
        g_source_unref(self->source);
    }
    wz_loop_free(self->loop);
    g_main_loop_unref(self->main_loop);
    g_main_context_unref(self->context);
    (void)sem_destroy(&self->started);
    free(self);
}

struct wz_loop *gw_thread_loop(struct gw_thread *self)
{
    return self->loop;
}

struct _GMainContext *gw_thread_context(struct gw_thread *self)
{
    return self->context;
}
