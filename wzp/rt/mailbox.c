/* See mailbox.h. A ring under a mutex; an eventfd wakes the owner's loop when the ring was empty. */
#include "wzp/rt/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "wzp/rt/loop.h"

struct wz_mailbox {
    pthread_mutex_t lock;
    uint8_t *ring;
    uint8_t *current; /**< the item being received, outside the ring so that the lock is free meanwhile */
    size_t capacity;
    size_t item_size;
    size_t head;
    atomic_size_t count; /**< written under the lock; read anywhere */
    int wake_fd;
    struct wz_io io;
    void (*receive)(void *arg, void *item);
    void *arg;
};

static void wake(struct wz_mailbox *box)
{
    const uint64_t one = 1;

    (void)!write(box->wake_fd, &one, sizeof one); /* EAGAIN means it is readable already */
}

/** Move the oldest item into box->current. False when there is none. */
static bool take(struct wz_mailbox *box)
{
    bool taken = false;

    (void)pthread_mutex_lock(&box->lock);
    if (box->count > 0) {
        memcpy(box->current, box->ring + box->head * box->item_size, box->item_size);
        box->head = (box->head + 1) % box->capacity;
        box->count--;
        taken = true;
    }
    (void)pthread_mutex_unlock(&box->lock);
    return taken;
}

static void on_wake(void *arg, uint32_t events)
{
    struct wz_mailbox *box = arg;
    uint64_t ignored;

    (void)events;
    (void)!read(box->wake_fd, &ignored, sizeof ignored); /* clears it before the ring is looked at */
    for (size_t n = 0; n < box->capacity; n++) {
        if (!take(box))
            return;
        box->receive(box->arg, box->current);
    }
    if (wz_mailbox_waiting(box) > 0) /* a fast poster must not keep this loop here for ever */
        wake(box);
}

int wz_mailbox_new(struct wz_mailbox **ret, struct wz_loop *loop, size_t capacity, size_t item_size,
                   void (*receive)(void *arg, void *item), void *arg)
{
    struct wz_mailbox *box;
    int err = -ENOMEM;

    if (!capacity || !item_size || !receive)
        return -EINVAL;
    box = calloc(1, sizeof *box);
    if (!box)
        return -ENOMEM;
    box->wake_fd = -1;
    (void)pthread_mutex_init(&box->lock, NULL); /* cannot fail with default attributes on Linux */
    box->capacity = capacity;
    box->item_size = item_size;
    box->receive = receive;
    box->arg = arg;
    box->ring = calloc(capacity, item_size);
    box->current = malloc(item_size);
    if (!box->ring || !box->current)
        goto out;
    box->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->wake_fd < 0) {
        err = -errno;
        goto out;
    }
    err = wz_io_init(&box->io, loop, box->wake_fd, EPOLLIN, on_wake, box);
    if (err)
        goto out;
    *ret = box;
    box = NULL;
out:
    wz_mailbox_free(box, NULL);
    return err;
}

void wz_mailbox_free(struct wz_mailbox *box, void (*drop)(void *arg, void *item))
{
    if (!box)
        return;
    wz_io_done(&box->io);
    /* The last poster may still be inside: what it posted can be what makes the owner free this. */
    (void)pthread_mutex_lock(&box->lock);
    (void)pthread_mutex_unlock(&box->lock);
    while (drop && take(box))
        drop(box->arg, box->current);
    if (box->wake_fd >= 0)
        (void)close(box->wake_fd);
    (void)pthread_mutex_destroy(&box->lock);
    free(box->ring);
    free(box->current);
    free(box);
}

int wz_mailbox_post(struct wz_mailbox *box, const void *item)
{
    size_t before;
    bool fits;

    (void)pthread_mutex_lock(&box->lock);
    before = box->count;
    fits = before < box->capacity;
    if (fits) {
        size_t tail = (box->head + before) % box->capacity;
        memcpy(box->ring + tail * box->item_size, item, box->item_size);
        box->count++;
    }
    /* Woken under the lock, and nothing of box is read after it: the item may be what makes the owner free it. */
    if (before == 0)
        wake(box);
    (void)pthread_mutex_unlock(&box->lock);
    return fits ? 0 : -EAGAIN;
}

size_t wz_mailbox_waiting(const struct wz_mailbox *box)
{
    return box->count;
}
