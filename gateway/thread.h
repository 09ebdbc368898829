/* A thread with its own GMainContext and wz_loop, the shape of every media worker (docs/ARCHITECTURE.md "Threads"). */
#ifndef GATEWAY_THREAD_H
#define GATEWAY_THREAD_H

struct wz_loop;
struct gw_thread;
struct _GMainContext;

struct gw_thread_config {
    const char *name;        /**< at most 15 bytes, shown by ps */
    int (*start)(void *arg); /**< first thing on the thread: make what lives on it. 0 or -errno */
    void (*stop)(void *arg); /**< last thing on the thread, only if start succeeded */
    void *arg;
};

/** Start the thread and wait for start(). Its error is returned here, and then no thread is left. */
int gw_thread_new(struct gw_thread **ret, const struct gw_thread_config *config);
/** Stop the loop, run stop(), join. NULL-safe. Thread: any but the thread itself. */
void gw_thread_free(struct gw_thread *thread);
/** The loop and the context, to be used on the thread itself (from start() on). */
struct wz_loop *gw_thread_loop(struct gw_thread *thread);
struct _GMainContext *gw_thread_context(struct gw_thread *thread);

#endif
