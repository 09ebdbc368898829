/* Bounded mailbox: any thread posts fixed-size items, the owner's loop receives them in order.
 * The only object that two threads share. */
#ifndef WZP_RT_MAILBOX_H
#define WZP_RT_MAILBOX_H

#include <stddef.h>

struct wz_loop;
struct wz_mailbox;

/**
 * @param capacity   Most items waiting at once.
 * @param item_size  Bytes per item; items are copied in and out. Pointers inside pass ownership with them.
 * @param receive    Called on the loop's thread, once per item; item is borrowed for the call. Must not free
 *                   the mailbox.
 */
int wz_mailbox_new(struct wz_mailbox **ret, struct wz_loop *loop, size_t capacity, size_t item_size,
                   void (*receive)(void *arg, void *item), void *arg);
/** Thread: the owner's. Nobody may post any more. Items still waiting are passed to drop (may be NULL). */
void wz_mailbox_free(struct wz_mailbox *box, void (*drop)(void *arg, void *item));
/** Copy item in. 0, or -EAGAIN when full (the caller keeps what the item owns). Never blocks for long. Thread: any. */
int wz_mailbox_post(struct wz_mailbox *box, const void *item);
/** Items waiting now. Thread: any. */
size_t wz_mailbox_waiting(const struct wz_mailbox *box);

#endif
