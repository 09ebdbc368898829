#include "tests/support/lossy_udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/base/list.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/udp.h"

#define CLIENTS_MAX        256
#define UNDER_WAY_MAX      65536
#define DEFAULT_REORDER_MS 20u

/** A client and the socket that speaks for it towards the target, so that the target can tell clients apart. */
struct client {
    struct lossy_udp *lossy;
    struct wz_addr addr;
    struct wz_udp *upstream;
    uint64_t last_due_us[2]; /**< per direction, to keep the order under jitter */
};

struct packet {
    struct wz_list node;
    struct client *client;
    bool to_target;
    uint64_t due_us;
    size_t len;
    uint8_t data[];
};

struct lossy_udp {
    struct wz_loop *loop;
    struct wz_udp *downstream;
    struct wz_addr target;
    struct lossy_udp_shape shape;
    struct lossy_udp_stats stats;
    uint64_t random;
    struct wz_timer timer;
    struct wz_list under_way; /**< ascending due_us */
    size_t under_way_count;
    struct client *client[CLIENTS_MAX];
    size_t clients;
};

/** splitmix64: enough for dice, and the same everywhere. */
static uint64_t next_random(struct lossy_udp *lossy)
{
    uint64_t z = lossy->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool dice(struct lossy_udp *lossy, unsigned thousandths)
{
    return next_random(lossy) % 1000u < thousandths;
}

static void forward(struct lossy_udp *lossy, const struct packet *p)
{
    if (p->to_target)
        (void)wz_udp_send(p->client->upstream, p->data, p->len, &lossy->target, NULL);
    else
        (void)wz_udp_send(lossy->downstream, p->data, p->len, &p->client->addr, NULL);
    lossy->stats.forwarded++;
}

static void on_timer(void *arg)
{
    struct lossy_udp *lossy = arg;
    uint64_t now_us = wz_loop_now_us(lossy->loop);

    while (!wz_list_is_empty(&lossy->under_way)) {
        struct packet *p = wz_container_of(lossy->under_way.next, struct packet, node);
        if (p->due_us > now_us) {
            wz_timer_set(&lossy->timer, p->due_us);
            return;
        }
        forward(lossy, p);
        wz_list_remove(&p->node);
        lossy->under_way_count--;
        free(p);
    }
}

static void send_off(struct lossy_udp *lossy, struct client *client, bool to_target, const uint8_t *data, size_t len,
                     uint64_t due_us)
{
    struct wz_list *at = &lossy->under_way;
    struct packet *p;

    if (lossy->under_way_count == UNDER_WAY_MAX || !(p = malloc(sizeof *p + len))) {
        lossy->stats.overflowed++;
        return;
    }
    *p = (struct packet){ .client = client, .to_target = to_target, .due_us = due_us, .len = len };
    if (len)
        memcpy(p->data, data, len);
    while (at->prev != &lossy->under_way && wz_container_of(at->prev, struct packet, node)->due_us > due_us)
        at = at->prev;
    wz_list_append(at, &p->node);
    lossy->under_way_count++;
    wz_timer_set(&lossy->timer, wz_container_of(lossy->under_way.next, struct packet, node)->due_us);
}

static void decide(struct lossy_udp *lossy, struct client *client, bool to_target, const uint8_t *data, size_t len)
{
    const struct lossy_udp_shape *shape = &lossy->shape;
    uint64_t due_us = wz_loop_now_us(lossy->loop) + shape->delay_ms * UINT64_C(1000);
    uint64_t *last_us = &client->last_due_us[to_target];

    lossy->stats.received++;
    if (dice(lossy, shape->loss)) {
        lossy->stats.lost++;
        return;
    }
    if (shape->jitter_ms)
        due_us += next_random(lossy) % (shape->jitter_ms * UINT64_C(1000));
    if (dice(lossy, shape->reorder)) {
        lossy->stats.reordered++;
        due_us += (shape->reorder_ms ? shape->reorder_ms : DEFAULT_REORDER_MS) * UINT64_C(1000);
    } else {
        if (due_us < *last_us)
            due_us = *last_us;
        *last_us = due_us;
    }
    send_off(lossy, client, to_target, data, len, due_us);
    if (dice(lossy, shape->duplicate)) {
        lossy->stats.duplicated++;
        send_off(lossy, client, to_target, data, len, due_us);
    }
}

static void on_upstream(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    struct client *client = arg;

    (void)from;
    (void)local;
    decide(client->lossy, client, false, data, len);
}

static struct client *client_new(struct lossy_udp *lossy, const struct wz_addr *addr)
{
    struct client *client = calloc(1, sizeof *client);
    struct wz_udp_config config = { .fd = -1, .packet = on_upstream, .arg = client };

    if (!client)
        return NULL;
    client->lossy = lossy;
    client->addr = *addr;
    config.bind.family = lossy->target.family;
    if (wz_udp_new(&client->upstream, lossy->loop, &config) < 0) {
        free(client);
        return NULL;
    }
    return client;
}

static struct client *find_client(struct lossy_udp *lossy, const struct wz_addr *addr)
{
    struct client *client;

    for (size_t i = 0; i < lossy->clients; i++)
        if (wz_addr_equal(&lossy->client[i]->addr, addr))
            return lossy->client[i];
    if (lossy->clients == CLIENTS_MAX || !(client = client_new(lossy, addr)))
        return NULL;
    lossy->client[lossy->clients++] = client;
    return client;
}

static void on_downstream(void *arg, uint8_t *data, size_t len, const struct wz_addr *from, const struct wz_addr *local)
{
    struct lossy_udp *lossy = arg;
    struct client *client = find_client(lossy, from);

    (void)local;
    if (client)
        decide(lossy, client, true, data, len);
    else
        lossy->stats.overflowed++;
}

int lossy_udp_new(struct lossy_udp **ret, struct wz_loop *loop, const struct wz_addr *listen,
                  const struct wz_addr *target, uint64_t seed)
{
    struct lossy_udp *lossy = calloc(1, sizeof *lossy);
    struct wz_udp_config config = { .bind = *listen, .fd = -1, .packet = on_downstream, .arg = lossy };
    int err;

    if (!lossy)
        return -ENOMEM;
    lossy->loop = loop;
    lossy->target = *target;
    lossy->random = seed;
    wz_list_init(&lossy->under_way);
    wz_timer_init(&lossy->timer, loop, on_timer, lossy);
    err = wz_udp_new(&lossy->downstream, loop, &config);
    if (err) {
        lossy_udp_free(lossy);
        return err;
    }
    *ret = lossy;
    return 0;
}

void lossy_udp_free(struct lossy_udp *lossy)
{
    struct wz_list *pos, *tmp;

    if (!lossy)
        return;
    wz_timer_cancel(&lossy->timer);
    wz_list_foreach (pos, tmp, &lossy->under_way)
        free(wz_container_of(pos, struct packet, node));
    for (size_t i = 0; i < lossy->clients; i++) {
        wz_udp_free(lossy->client[i]->upstream);
        free(lossy->client[i]);
    }
    wz_udp_free(lossy->downstream);
    free(lossy);
}

struct wz_addr lossy_udp_local(const struct lossy_udp *lossy)
{
    return wz_udp_local(lossy->downstream);
}

void lossy_udp_shape(struct lossy_udp *lossy, const struct lossy_udp_shape *shape)
{
    lossy->shape = *shape;
}

const struct lossy_udp_stats *lossy_udp_stats(const struct lossy_udp *lossy)
{
    return &lossy->stats;
}
