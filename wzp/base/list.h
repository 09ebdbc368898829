/* Intrusive doubly linked list: the node lies inside the object, nothing is allocated. */
#ifndef WZP_BASE_LIST_H
#define WZP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct wz_list {
    struct wz_list *next;
    struct wz_list *prev;
};

#define wz_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void wz_list_init(struct wz_list *head)
{
    head->next = head->prev = head;
}

static inline bool wz_list_is_empty(const struct wz_list *head)
{
    return head->next == head;
}

/** Insert node before head, i.e. at the tail of the list. */
static inline void wz_list_append(struct wz_list *head, struct wz_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/** Unlink node; it becomes an empty list of its own, so removing twice is harmless. */
static inline void wz_list_remove(struct wz_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    wz_list_init(node);
}

/** Iterate; the current node may be removed (and freed) inside the body. */
#define wz_list_foreach(pos, tmp, head)                                                                                \
    for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head); (pos) = (tmp), (tmp) = (pos)->next)

#endif
